"""Our exact search and FAISS in turn over one matrix of float16; prints the median of each and the ratios."""

import argparse
import json
import os
import statistics
import subprocess
import time

import faiss
import numpy

parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("data")
for name in ["rows", "width", "queries", "k", "rounds", "threads"]:
    parser.add_argument(f"--{name}", type=int, required=True)
args = parser.parse_args()

figures = {}


def note(what, wall, cpu):
    figures.setdefault(what, []).append((wall, cpu))


def ours(rounds):
    numbers = [args.rows, args.width, args.queries, args.k, rounds]
    command = [args.binary, args.data, *map(str, numbers)]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}
    lines = subprocess.run(command, check=True, capture_output=True, env=environment).stdout.splitlines()
    for line in map(json.loads, lines):
        note(f"magiclens {line['what']}", line["wall"], line["cpu"])


def theirs(what, index, queries):
    wall, cpu = time.perf_counter(), time.process_time()
    index.search(queries, args.k)
    note(what, time.perf_counter() - wall, time.process_time() - cpu)


ours(1)
figures.clear()
faiss.omp_set_num_threads(args.threads)
flat = faiss.IndexFlatIP(args.width)
half = faiss.IndexScalarQuantizer(args.width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
matrix = numpy.memmap(args.data, dtype=numpy.float16, mode="r", shape=(args.rows, args.width))
for first in range(0, args.rows, 100_000):
    rows = matrix[first : first + 100_000].astype(numpy.float32)
    flat.add(rows)
    half.add(rows)
queries = numpy.random.default_rng(0).standard_normal((args.queries, args.width), dtype=numpy.float32)
queries /= numpy.linalg.norm(queries, axis=1, keepdims=True)

for round in range(args.rounds):
    ours(2)
    for _ in range(2):
        theirs("faiss flat one", flat, queries[:1])
        theirs("faiss fp16 one", half, queries[:1])
        theirs("faiss flat all", flat, queries)
theirs("faiss fp16 all", half, queries)

print(f"{args.rows} x {args.width}, {args.queries} queries, top {args.k}, {args.threads} threads; "
      f"FAISS {faiss.__version__} ({faiss.get_compile_options().strip()}); medians")
median = {what: [statistics.median(column) for column in zip(*rows)] for what, rows in figures.items()}
for what, (wall, cpu) in median.items():
    print(f"{what:16} {wall:9.4f} s  {cpu:8.2f} CPU s  of {len(figures[what])}")
for mine, other in [("all", "faiss flat all"), ("all", "faiss fp16 all"), ("one", "faiss flat one"),
                    ("one", "faiss fp16 one"), ("one", "magiclens read")]:
    wall, cpu = (theirs / ours for theirs, ours in zip(median[other], median[f"magiclens {mine}"]))
    print(f"{other} / magiclens {mine}: {wall:.2f} (wall), {cpu:.2f} (CPU)")
