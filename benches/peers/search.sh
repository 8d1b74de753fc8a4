#!/usr/bin/env bash
# Exact search beside FAISS on the same vectors: 1,000 queries at once, and one, top 50 of 1.4M x 768.
#
#   PYTHON=… benches/peers/search.sh      PYTHON must have faiss-cpu and numpy
#
# SCAN_BENCH is a release build of examples/scan_bench.rs; without it, it is built. The matrix (2.2 GB) goes to
# DATA and stays there; FAISS holds it as float32 (4.3 GB) and as float16. THREADS are those of both.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=${PYTHON:-python3}
if [ -z "${SCAN_BENCH:-}" ]; then
  cargo build --release --features torch --example scan_bench
  SCAN_BENCH=${CARGO_TARGET_DIR:-target}/release/examples/scan_bench
fi
data=${DATA:-${TMPDIR:-/tmp}/magiclens-scan.f16}
exec "$python" benches/peers/search_faiss.py "$SCAN_BENCH" "$data" \
  --rows "${ROWS:-1400000}" --width "${WIDTH:-768}" --queries "${QUERIES:-1000}" --k "${K:-50}" \
  --rounds "${ROUNDS:-3}" --threads "${THREADS:-$(nproc)}"
