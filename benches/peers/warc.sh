#!/bin/bash
# warc.sh FILE|FOLDER: pages and their images out of a WARC file, side by side with FastWARC and
# selectolax, one core each, by CPU seconds. Of a folder of HTML pages a WARC file is made first, a gzip
# member for each record, e.g. of the GIMP manual:
#   benches/peers/warc.sh /usr/share/gimp/2.0/help/en
# Wants Python 3 with venv. BINARY is a release build of examples/warc_pages.rs, built if not given.
set -eu
input=$(realpath "${1:?a WARC file, or a folder of HTML pages}")
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=${VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/magiclens-peers}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import fastwarc, selectolax' 2>/dev/null ||
  "$venv/bin/pip" install -q 'selectolax==1.0.2' 'FastWARC==2.0.1'
if [ -z "${BINARY:-}" ]; then
  cd "$root" && cargo build --release --example warc_pages
  BINARY=${CARGO_TARGET_DIR:-$root/target}/release/examples/warc_pages
fi
if [ -d "$input" ]; then
  made=$(mktemp --suffix .warc.gz)
  trap 'rm -f "$made"' EXIT
  "$venv/bin/python" "$root/benches/peers/warc_fastwarc.py" --make "$input" "$made"
  input=$made
fi
"$venv/bin/python" "$root/benches/peers/warc_fastwarc.py" "$BINARY" "$input"
