"""All pairs of 64-bit hashes within a radius by FAISS's multi-index hashing.

usage: near_faiss.py FILE RADIUS

FILE has 64-bit numbers. Hashes are cut into RADIUS + 1 blocks, and two within RADIUS bits agree in one of
them, so no pair is missed. Prints a line of JSON: pairs, wall and CPU seconds, peak memory.
"""
import json
import resource
import sys
import time

import faiss
import numpy

BATCH = 100_000

path, radius = sys.argv[1], int(sys.argv[2])
hashes = numpy.fromfile(path, dtype=numpy.uint8).reshape(-1, 8)
wall, cpu = time.perf_counter(), time.process_time()
index = faiss.IndexBinaryMultiHash(64, radius + 1, 64 // (radius + 1))
index.nflip = 0
index.add(hashes)
pairs = 0
for first in range(0, len(hashes), BATCH):
    # FAISS counts distances below its radius.
    limits, _, found = index.range_search(hashes[first:first + BATCH], radius + 1)
    rows = numpy.repeat(numpy.arange(first, first + len(limits) - 1), numpy.diff(limits.astype(numpy.int64)))
    pairs += int((found > rows).sum())
print(json.dumps({
    "what": "faiss", "pairs": pairs, "wall": round(time.perf_counter() - wall, 2),
    "cpu": round(time.process_time() - cpu, 2),
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
