#!/usr/bin/env bash
# Trains a tiny model from scratch on the CPU: serves the training world on loopback, mines it, trains on
# the triplets, and retrieves among images of things that were in no triplet, before and after.
#
#   scripts/train-demo.sh [OUT]      OUT is the folder, runs/train-demo by default; an old one is removed
#
# SEEDS="0 1 2" trains once for each; RECIPE_SET="loss.query_negatives=false" changes keys of the recipe;
# MINED=DIR takes the triplets of an earlier run instead of mining. BARS=yes trains all seeds again without
# query-image negatives, prints both tables and ends there: with an error where the first misses its bars. Ends in a server over the unseen images
# when a person is watching, or with SERVE=yes. Needs libtorch (`make libtorch`).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=${1:-runs/train-demo}
name=train-demo
config=$out.toml
log=$out-world.log
seeds=$out-seeds.txt
source scripts/lib/world.sh
read -ra train_seeds <<<"${SEEDS:-0}"
read -ra sets <<<"${RECIPE_SET:-}"
mined=${MINED:-$out/mined}

say "building (a first build takes some minutes)…"
build --features torch --bin mine --bin train --bin search --bin demo-world --example demo_recall
mine=$(program mine)
train=$(program train)
search=$(program search)
demo_world=$(program demo-world)
recall=$(program demo_recall)

clear_out "$out"
mkdir -p "$out"
benchmark=$out/benchmark
"$demo_world" benchmark --out "$benchmark"

if [ -z "${MINED:-}" ]; then
  start_world "$demo_world" serve-training
  say "mine --seed-urls $seeds --config $config --out $mined"
  "$mine" --seed-urls "$seeds" --config "$config" --out "$mined" \
    --set pair.direction=both --set pair.max_pairs=6 \
    --set export.val_share=0.1 --set export.test_share=0.0
  stop_world
else
  touch "$config"
fi

# Embeds the gallery and all ways to ask with the checkpoint of a run.
embed() {
  local run=$1 list
  mkdir -p "$run/embeddings"
  for list in gallery queries image_only text_only; do
    "$search" embed --model "$run" --queries "$benchmark/$list.jsonl" \
      --out "$run/embeddings/$list.parquet"
  done
}

train_run() {
  local run=$1 seed=$2 arguments=() set
  shift 2
  for set in "${sets[@]}" "$@"; do arguments+=(--set "$set"); done
  "$train" --shards "$mined" --out "$run" --recipe recipes/tiny.toml --set "run.seed=$seed" "${arguments[@]}"
  embed "$run"
}

# Trains each seed in a folder of its own; their embeddings are then in `runs`.
train_all() {
  local prefix=$1 seed run
  shift
  runs=()
  for seed in "${train_seeds[@]}"; do
    run=$out/$prefix-$seed
    say "train --shards $mined --out $run --recipe recipes/tiny.toml --set run.seed=$seed${*:+ --set $*}"
    train_run "$run" "$seed" "$@"
    runs+=("$run/embeddings")
  done
}

train_run "$out/before" "${train_seeds[0]}" run.steps=0
train_all seed

echo
echo "before training"
"$recall" "$benchmark" "$out/before/embeddings"
echo
echo "after training, on the same unseen things"
if [ "${BARS:-}" = yes ]; then
  reached=0
  "$recall" "$benchmark" "${runs[@]}" --bars || reached=$?
  train_all without loss.query_negatives=false
  echo
  echo "the same without query-image negatives"
  "$recall" "$benchmark" "${runs[@]}"
  exit "$reached"
fi
"$recall" "$benchmark" "${runs[@]}" --show 3
say "curves: $out/seed-${train_seeds[0]}/log.jsonl, or tensorboard --logdir $out"

index=$out/index
say "search index --model $out/seed-${train_seeds[0]} --out $index $benchmark/gallery"
"$search" index --model "$out/seed-${train_seeds[0]}" --out "$index" "$benchmark/gallery"
say "search serve --index $index"
if [ "${SERVE:-}" = yes ] || { [ -z "${SERVE:-}" ] && [ -t 1 ]; }; then
  exec "$search" serve --index "$index" --listen "${LISTEN:-127.0.0.1:8080}"
fi
