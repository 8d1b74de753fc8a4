#!/bin/bash
# train.sh: the training step of a tiny model on the CPU beside PyTorch eager and torch.compile, by CPU
# seconds: without recomputation (all chunks held) and with (none held). Prints both commands of each.
# Wants Python 3 with venv; takes PYTHON where that has torch 2.11 and safetensors. BINARY is a build of
# examples/train_step.rs, built if not given.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=${VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/magiclens-peers}
python=${PYTHON:-$venv/bin/python}
if ! "$python" -c 'import torch, safetensors' 2>/dev/null; then
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  python=$venv/bin/python
  "$python" -m pip install -q 'torch==2.11.*' 'safetensors==0.8.0' numpy
fi
if [ -z "${BINARY:-}" ]; then
  cd "$root" && cargo build --release --features torch --example train_step
  BINARY=${CARGO_TARGET_DIR:-$root/target}/release/examples/train_step
fi
for chunks in 128:1 32:0; do
  echo "batch 128, chunk:held $chunks"
  "$python" "$root/benches/peers/train_compare.py" "$BINARY" --chunks $chunks "$@"
  echo
done
