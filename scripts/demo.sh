#!/usr/bin/env bash
# Mines the demo world: builds, serves the small web on loopback, runs `mine` over it, shows some rows.
#
#   scripts/demo.sh [OUT]      OUT is the run directory, runs/demo by default; an old one is removed
#
# Needs Rust alone. Arguments of cargo, such as --release, go into DEMO_CARGO_FLAGS.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=${1:-runs/demo}
name=demo
config=$out.toml
log=$out-world.log
seeds=$out-seeds.txt
source scripts/lib/world.sh

say "building (a first build takes some minutes)…"
build --bin mine --bin demo-world
mine=$(program mine)
demo_world=$(program demo-world)

clear_out "$out"
start_world "$demo_world" serve

say "mine --seed-urls $seeds --config $config --out $out"
"$mine" --seed-urls "$seeds" --config "$config" --out "$out"
stop_world

show() {
  echo
  echo "$1: the first rows"
  "$mine" head "$out/$1" --limit 3 "${@:2}" || say "$out/$1 cannot be shown"
}
show images url width height page_url
show triplets query_url instruction target_url relation
say "the tables are in $out, as Parquet; the server's log is $log"
say "to look at the triplets, open $out/triplets/contact_sheet.html"
