#!/usr/bin/env bash
# Fetches the CPU build of libtorch that tch needs (x86-64 Linux, about 500 MB), out of PyPI wheels.
#
#   scripts/get-libtorch.sh          into ./libtorch, unless LIBTORCH names one already
#   scripts/get-libtorch.sh DIR      into DIR, whatever LIBTORCH says
#
# The result is DIR/torch (what LIBTORCH has to name) and DIR/nvidia (two CUDA run-time libraries that
# libtorch_cpu.so is linked against even where there is no GPU). A finished DIR is left as it is.
# PYTHON names the interpreter, which must have pip.
set -euo pipefail

version=2.11.0
# The PyTorch wheel and what its libtorch_cpu.so is linked against; pip refuses any other content.
wheels="torch==$version \
  --hash=sha256:7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a
nvidia-cuda-runtime==13.0.96 \
  --hash=sha256:7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
nvidia-cuda-cupti==13.0.85 \
  --hash=sha256:4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8"
platforms=(manylinux_2_28_x86_64 manylinux_2_25_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64)
python=${PYTHON:-python3}

say() { echo "get-libtorch: $*" >&2; }
die() { say "$*"; exit 1; }

if [ $# -eq 0 ]; then
  if [ -n "${LIBTORCH_USE_PYTORCH:-}" ]; then
    say "LIBTORCH_USE_PYTORCH is set: the PyTorch of python3 is used, nothing to fetch"
    exit 0
  elif [ -n "${LIBTORCH:-}" ]; then
    [ -e "$LIBTORCH/lib/libtorch_cpu.so" ] ||
      die "LIBTORCH=$LIBTORCH holds no lib/libtorch_cpu.so: correct it, or unset it to have one fetched"
    say "using LIBTORCH=$LIBTORCH"
    exit 0
  fi
fi
dest=${1:-$(dirname "${BASH_SOURCE[0]}")/../libtorch}

# build-version is written last, so a folder that has it is whole.
if [ "$(cat "$dest/torch/build-version" 2>/dev/null)" = "$version" ]; then
  say "libtorch $version is in $dest"
  exit 0
fi
[ "$(uname -sm)" = "Linux x86_64" ] ||
  die "there are wheels for x86-64 Linux only: install libtorch $version and set LIBTORCH to its folder"
"$python" -m pip --version >/dev/null 2>&1 ||
  die "$python has no pip: install it (Debian and Ubuntu: apt install python3-pip), or set PYTHON"

mkdir -p "$(dirname "$dest")"
work=$(mktemp -d "$dest.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "downloading libtorch $version…"
echo "$wheels" >"$work/wheels.txt"
"$python" -m pip download --quiet --no-deps --no-cache-dir --only-binary=:all: --require-hashes \
  --implementation cp --python-version 3.11 --abi cp311 --abi none \
  "${platforms[@]/#/--platform=}" --dest "$work/wheels" --requirement "$work/wheels.txt"

say "unpacking…"
"$python" - "$work/wheels" "$work/out" "$version" <<'PYTHON'
import pathlib, sys, zipfile

wheels, out, version = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
NEEDED = {
    "torch/lib": ("libtorch_cpu.so", "libc10.so", "libgomp"),
    "nvidia/cu13/lib": ("libcudart.so", "libcupti.so"),
}


def needed(name):
    folder, _, file = name.rpartition("/")
    return name.startswith("torch/include/") or file.startswith(NEEDED.get(folder, "\0"))


for wheel in sorted(wheels.glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out, filter(needed, archive.namelist()))

missing = [f for folder, files in NEEDED.items() for f in files if not [*(out / folder).glob(f + "*")]]
sys.exit(f"the wheels lack {', '.join(missing)}") if missing else None
# The wheel's own libtorch.so wants libtorch_cuda.so; a linker script in its place wants the CPU part.
(out / "torch/lib/libtorch.so").write_text("INPUT(-ltorch_cpu)\n")
(out / "torch/build-version").write_text(version + "\n")
PYTHON

rm -rf "$dest"
mv "$work/out" "$dest"
say "libtorch $version is in $dest"
