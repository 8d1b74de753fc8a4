#!/usr/bin/env bash
# Fetch to stored image, side by side with img2dataset 1.47: get, decode, resize to 256, JPEG, hashes.
#
#   benches/peers/fetch.sh [N=2000]        FEATURES=turbo for libjpeg-turbo
#
# Draws N photo-like JPEGs (0.28 megapixels, about 38 KB), serves them on loopback (nginx where it is
# installed, else Python's server), lets both tools fetch the same list and prints CPU milliseconds
# an image. Each tool runs on 50 images and on all: the difference is the price of an image, without
# that of starting up. The server's CPU is not counted. Needs python3 and the network for pip, once.
set -euo pipefail
cd "$(dirname "$0")/../.."

n=${1:-2000}
warm=50
port=${PORT:-8077}
features=${FEATURES:+--features $FEATURES}
work=${PEERS_DIR:-${CARGO_TARGET_DIR:-target}/peers}/fetch
mkdir -p "$work"
work=$(cd "$work" && pwd)

if ! [ -x "$work/venv/bin/img2dataset" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet img2dataset==1.47.0
fi
python="$work/venv/bin/python"
"$python" benches/peers/fetch_pictures.py "$work/pictures" "$n"
cargo build --quiet --release $features --example fetch_urls
ours="${CARGO_TARGET_DIR:-target}/release/examples/fetch_urls"

if command -v nginx > /dev/null; then
    cat > "$work/nginx.conf" << CONF
pid $work/nginx.pid;
error_log $work/error.log;
events {}
http { access_log off; server { listen 127.0.0.1:$port; root $work/pictures; } }
CONF
    nginx -p "$work" -c "$work/nginx.conf" -g 'daemon off;' 2> "$work/error.log" &
else
    "$python" -m http.server "$port" --bind 127.0.0.1 --directory "$work/pictures" \
        2> "$work/error.log" &
fi
server=$!
trap 'kill $server' EXIT

# Seconds of CPU, user and system, children included, of a command.
cpu() {
    local TIMEFORMAT='%U %S'
    { time "$@" > "$work/out.log" 2> "$work/err.log"; } 2>&1 | awk '{print $1 + $2}'
}
# CPU milliseconds an image of `tool URLS OUTDIR`.
each() {
    local few all
    rm -rf "$work/out"
    few=$(cpu "$@" "$work/few.txt" "$work/out/few")
    all=$(cpu "$@" "$work/all.txt" "$work/out/all")
    awk -v a="$all" -v f="$few" -v n="$n" -v w="$warm" 'BEGIN {printf "%.2f", (a - f) * 1000 / (n - w)}'
}
seq 0 $((n - 1)) | sed "s|.*|http://127.0.0.1:$port/&.jpg|" > "$work/all.txt"
head -n $warm "$work/all.txt" > "$work/few.txt"
for _ in $(seq 50); do
    if "$python" -c "import urllib.request as u; u.urlopen('$(head -n 1 "$work/all.txt")')" \
        2> /dev/null; then break; fi
    sleep 0.1
done

# Neighbours on the machine only ever add, so the least of each tool's rounds is its price.
best_peer=1e9
best_mine=1e9
least() { awk -v a="$1" -v b="$2" 'BEGIN {print a < b ? a : b}'; }
echo 'CPU-ms an image   img2dataset 1.47   magiclens'
for round in 1 2 3; do
    peer=$(each "$python" benches/peers/fetch_img2dataset.py)
    mine=$(each "$ours")
    best_peer=$(least "$peer" "$best_peer")
    best_mine=$(least "$mine" "$best_mine")
    printf 'round %d           %-18s %s\n' "$round" "$peer" "$mine"
done
awk -v p="$best_peer" -v m="$best_mine" 'BEGIN {printf "least             %-18s %s (%.2f times)\n", p, m, p / m}'
stored=$(find "$work/out/all" -type f | wc -l)
[ "$stored" -eq "$n" ] || { echo "stored $stored of $n"; exit 1; }
