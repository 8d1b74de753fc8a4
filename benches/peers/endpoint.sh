#!/usr/bin/env bash
# What a model call costs on the client's side, beside Python's `openai` async client.
#
#   benches/peers/endpoint.sh [CALLS=20000]
#
# Both ask the same server on loopback (examples/model_bench serve), which answers at once. Ours renders
# the prompt, checks the reply against its schema and keeps it in a file on the way; the peer parses the
# JSON. Then 4000 calls of ours at a latency of 5 s and 2000 in flight, for the memory. Needs python3
# and the network for pip, once.
set -euo pipefail
cd "$(dirname "$0")/../.."

calls=${1:-20000}
port=${PORT:-8078}
work=${PEERS_DIR:-${CARGO_TARGET_DIR:-target}/peers}/endpoint
mkdir -p "$work"
if ! [ -x "$work/venv/bin/python" ] || ! "$work/venv/bin/python" -c 'import openai' 2> /dev/null; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet openai
fi
cargo build --quiet --release --example model_bench
ours=${CARGO_TARGET_DIR:-target}/release/examples/model_bench
ulimit -n 8192
server=
trap 'kill $server' EXIT
serve() {
    [ -z "$server" ] || kill "$server"
    "$ours" serve "$port" "$1" &
    server=$!
    sleep 1
}
url=http://127.0.0.1:$port/v1
serve 0
echo "                 CPU-ms a call   calls a CPU second   calls a second   peak MB"
row() { printf '%-16s %-15s %-20s %-16s %s\n' "$@"; }
for round in 1 2 3; do
    row "openai, $round" $("$work/venv/bin/python" benches/peers/endpoint_openai.py "$url" $((calls / 10)) 64)
    row "magiclens, $round" $("$ours" ask "$url" "$calls" 64)
done
serve 5000
row "magiclens, 5 s" $("$ours" ask "$url" 4000 2000)
