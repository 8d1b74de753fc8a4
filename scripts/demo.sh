#!/usr/bin/env bash
# Mines the demo world: builds, serves the small web on loopback, runs `mine` over it, shows some rows.
#
#   scripts/demo.sh [OUT]      OUT is the run directory, runs/demo by default; an old one is removed
#
# Needs Rust alone. Arguments of cargo, such as --release, go into DEMO_CARGO_FLAGS.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=${1:-runs/demo}
config=$out.toml
log=$out-world.log
seeds=$out-seeds.txt
read -ra flags <<<"${DEMO_CARGO_FLAGS:-}"
world=

say() { echo "demo: $*" >&2; }
die() { say "$*"; exit 1; }

stop_world() {
  [ -z "$world" ] || kill "$world" 2>/dev/null || true
  world=
}
trap stop_world EXIT
trap 'exit 130' INT TERM

# True where something answers on a port of loopback.
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
  local port
  for port in $(shuf -i 20000-32000 -n 50); do
    answers "$port" || { echo "$port"; return; }
  done
  die "no free port between 20000 and 32000"
}

# The world is up once it has printed its seeds and written the configuration to reach it.
wait_for_world() {
  local port=$1 tries
  for tries in $(seq 150); do
    if [ -s "$seeds" ] && [ -s "$config" ] && answers "$port"; then return; fi
    kill -0 "$world" 2>/dev/null || { cat "$log" >&2; die "the demo world ended early"; }
    sleep 0.2
  done
  cat "$log" >&2
  die "the demo world is not up after 30 s"
}

say "building (a first build takes some minutes)…"
# One build for all, since each choice of packages may compile dependencies with other features.
built=$(cargo build "${flags[@]}" --package magiclens --package magiclens-demo \
  --bin mine --bin demo-world --example rows --message-format=json-render-diagnostics |
  grep -o '"executable":"[^"]*"' | cut -d '"' -f 4)
program() { grep "/$1\$" <<<"$built" || die "cargo built no $1"; }
mine=$(program mine)
demo_world=$(program demo-world)
rows=$(program rows)

# Only what a demo left may be removed: a run directory of another kind stays.
if [ -e "$out" ]; then
  [ -e "$config" ] || die "$out is there and is no demo's: move it, or name another directory"
  rm -rf "$out"
fi
mkdir -p "$(dirname "$out")"
rm -f "$config" "$seeds"

port=$(free_port)
"$demo_world" serve --port "$port" --config-out "$config" >"$seeds" 2>"$log" &
world=$!
wait_for_world "$port"
say "the demo world is up on port $port"

say "mine --seed-urls $seeds --config $config --out $out"
"$mine" --seed-urls "$seeds" --config "$config" --out "$out"
stop_world

show() {
  echo
  echo "$1: the first rows"
  "$rows" "$out/$1" --limit 3 "${@:2}" || say "$out/$1 cannot be shown"
}
show images url width height page_url
show triplets query_url instruction target_url relation
say "the tables are in $out, as Parquet; the server's log is $log"
say "to look at the triplets, open $out/triplets/contact_sheet.html"
