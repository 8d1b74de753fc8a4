#!/usr/bin/env bash
# The training step on a GPU beside PyTorch, in one command: MagicLens-B, 2048 triplets a step, bf16.
#
#   scripts/bench-gpu.sh            prints triplets/s, ratios, MFU, memory, and how far losses are apart
#
# PYTHON (python3) must have torch 2.11 for CUDA and safetensors: its libtorch is what ours runs on too.
# The binary is a release build of examples/train_step.rs at target/release/examples/train_step, carried
# here or built before (`cargo build --release --features torch --example train_step`), or TRAIN_STEP; where
# neither is there it is built. MODEL, BATCH, PRECISION, CHUNKS, TOKENS, STEPS, WARMUP, ROUNDS and RATE change what is
# measured; CHUNKS lists CHUNK:HELD, and each side is compared at its own best. 80 GB hold the default ones but
# PyTorch's eager 512:0, and ten minutes, its compilation included. Not 0 where losses are more than 1 % apart:
# RATE is the recipe's, as with five times that the noise of bf16 alone takes them further from each other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3}
lib=$("$python" -c 'import torch, pathlib; print(pathlib.Path(torch.__file__).parent / "lib")')
"$python" -c 'import safetensors' 2>/dev/null || { echo "needs: $python -m pip install safetensors" >&2; exit 1; }
TRAIN_STEP=${TRAIN_STEP:-${CARGO_TARGET_DIR:-target}/release/examples/train_step}
if [ ! -x "$TRAIN_STEP" ]; then
  command -v cargo >/dev/null || { echo "no $TRAIN_STEP, and no cargo to build it" >&2; exit 1; }
  cargo build --release --features torch --example train_step
fi
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader

export LD_LIBRARY_PATH=$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
read -ra chunks <<<"${CHUNKS:-128:2 256:1 512:0}"
exec "$python" benches/peers/train_compare.py "$TRAIN_STEP" --model "${MODEL:-base}" \
  --batch "${BATCH:-2048}" --precision "${PRECISION:-bf16}" --tokens "${TOKENS:-24}" \
  --rate "${RATE:-2e-5}" --steps "${STEPS:-17}" --warmup "${WARMUP:-3}" --rounds "${ROUNDS:-1}" --chunks "${chunks[@]}"
