#!/bin/bash
# extract.sh FOLDER: image extraction side by side with selectolax on the *.html files of a folder,
# by CPU seconds. Real pages of about 55 KB are the bar's size: to take them out of a larger
# collection, e.g. the GIMP manual:
#   mkdir pages; find /usr/share/gimp/2.0/help/en -name '*.html' -size +37k -size -72k -exec cp {} pages/ \;
# Wants Python 3 with venv. BINARY is a release build of examples/extract_pages.rs, built if not given.
set -eu
folder=$(realpath "${1:?a folder of HTML pages}")
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=${VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/magiclens-peers}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import selectolax' 2>/dev/null || "$venv/bin/pip" install -q 'selectolax==1.0.2'
if [ -z "${BINARY:-}" ]; then
  cd "$root" && cargo build --release --example extract_pages
  BINARY=${CARGO_TARGET_DIR:-$root/target}/release/examples/extract_pages
fi
"$venv/bin/python" "$root/benches/peers/extract_selectolax.py" "$BINARY" "$folder"
