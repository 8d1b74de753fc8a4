#!/usr/bin/env bash
# Near-duplicates of 64-bit hashes, beside FAISS on the same hashes.
#
#   benches/peers/near.sh [ROWS=20000000] [PEER_ROWS=2000000] [RADIUS=3]
#
# Ours (examples/near_bench) finds all pairs within RADIUS bits of ROWS rows, then of PEER_ROWS; FAISS does
# the latter with IndexBinaryMultiHash over RADIUS + 1 blocks, which is exact too. THREADS are those of
# both. Needs python3 and the network for pip, once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

rows=${1:-20000000}
peer_rows=${2:-2000000}
radius=${3:-3}
work=${PEERS_DIR:-${CARGO_TARGET_DIR:-target}/peers}/near
mkdir -p "$work"
work=$(cd "$work" && pwd)
if ! [ -x "$work/venv/bin/python" ] || ! "$work/venv/bin/python" -c 'import faiss' 2> /dev/null; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet faiss-cpu numpy
fi
if [ -z "${NEAR_BENCH:-}" ]; then
    cargo build --quiet --release --example near_bench
    NEAR_BENCH=${CARGO_TARGET_DIR:-target}/release/examples/near_bench
fi
export RAYON_NUM_THREADS=${THREADS:-$(nproc)} OMP_NUM_THREADS=${THREADS:-$(nproc)}
echo "== ours, $rows rows, radius $radius"
"$NEAR_BENCH" "$rows" "$radius"
echo "== ours, $peer_rows rows, radius $radius"
"$NEAR_BENCH" "$peer_rows" "$radius" "$work/hashes.u64"
echo "== faiss, the same rows"
"$work/venv/bin/python" benches/peers/near_faiss.py "$work/hashes.u64" "$radius"
