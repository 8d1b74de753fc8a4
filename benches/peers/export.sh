#!/usr/bin/env bash
# Export of triplet shards, side by side with a plain copy of the same shards by pyarrow.
#
#   benches/peers/export.sh [PAGES=20000] [BYTES=30000]
#
# Makes up a run (examples/synthetic_run: eight images a page, BYTES each), mines it up to the pairs,
# then measures the export alone: it decides over splits and shards, gathers every image from
# `images` and writes the shards. The peer reads these shards and writes them again with the same
# properties, a row group at a time. Both are counted in the bytes of the shards: CPU seconds, and
# the most memory. 20000 pages take 11 GB of disk. Needs python3 and the network for pip, once.
set -euo pipefail
cd "$(dirname "$0")/../.."

pages=${1:-20000}
bytes=${2:-30000}
work=${PEERS_DIR:-${CARGO_TARGET_DIR:-target}/peers}/export
mkdir -p "$work"
work=$(cd "$work" && pwd)
run=$work/run

if ! [ -x "$work/venv/bin/python" ] || ! "$work/venv/bin/python" -c 'import pyarrow' 2> /dev/null; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet pyarrow
fi
cargo build --quiet --release --bin mine --example synthetic_run
target=${CARGO_TARGET_DIR:-target}/release
rm -rf "$run" "$work/copy"
"$target/examples/synthetic_run" "$run" "$pages" "$bytes"
"$target/mine" --out "$run" --stages group..instruct > /dev/null 2> "$work/mine.log"

# "CPU seconds, wall seconds, peak MB" of a command.
measure() {
    python3 - "$@" << 'PYTHON'
import resource, subprocess, sys, time
start = time.time()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{used.ru_utime + used.ru_stime:.2f} {time.time() - start:.2f} {used.ru_maxrss / 1024:.0f}")
PYTHON
}
mine=$(measure "$target/mine" --out "$run" --stages export)
peer=$(measure "$work/venv/bin/python" benches/peers/export_copy.py "$run/triplets" "$work/copy")
size=$(du -sm "$run/triplets" | cut -f 1)
rows=$("$work/venv/bin/python" -c "
import pyarrow.dataset as ds
print(ds.dataset('$run/triplets', exclude_invalid_files=True).count_rows())")
echo "$rows triplets, $size MB"
echo "          CPU s    wall s   MB/s   peak MB"
row() { awk -v n="$1" -v c="$2" -v w="$3" -v m="$4" -v s="$size" \
    'BEGIN {printf "%-9s %-8s %-8s %-6.0f %s\n", n, c, w, s / w, m}'; }
row pyarrow $peer
row magiclens $mine
awk -v a="${mine%% *}" -v b="${peer%% *}" 'BEGIN {printf "ratio of CPU %.2f\n", a / b}'
