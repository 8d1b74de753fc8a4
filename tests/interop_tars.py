"""Opens the tar files of a run with WebDataset and compares with the Parquet shards.

usage: interop_tars.py RUN
"""
import glob
import json
import os
import sys
from datetime import datetime

import polars as pl
import webdataset as wds

run = sys.argv[1]
rows = {row["triplet_id"]: row for row in pl.read_parquet(f"{run}/triplets/*.parquet").to_dicts()}
index = json.load(open(f"{run}/webdataset/shards.json"))
tars = [f"{run}/webdataset/{shard['path']}" for shard in index]
assert sorted(tars) == sorted(glob.glob(f"{run}/webdataset/*.tar")), tars
for shard in index:
    assert os.path.getsize(f"{run}/webdataset/{shard['path']}") == shard["bytes"], shard

seen = set()
for shard, tar in zip(index, tars):
    samples = list(wds.WebDataset(tar, shardshuffle=False))
    assert len(samples) == shard["samples"], shard
    for sample in samples:
        row = rows[sample["__key__"]]
        seen.add(sample["__key__"])
        images = [(f"{side}_image", side) for side in ("query", "target")]
        wanted = [(row[column], side) for column, side in images]
        wanted += [(image, f"negative{at}") for at, image in enumerate(row["hard_negatives"] or [])]
        for image, role in wanted:
            assert sample[f"{role}.jpg"] == image["bytes"], (role, sample.keys())
        assert len(sample) == len(wanted) + 5, sample.keys()  # txt, json, __key__, __url__, __local_path__
        assert sample["txt"].decode() == row["instruction"]
        known = json.loads(sample["json"])
        assert known["split"] == row["split"] == shard["split"]
        assert datetime.fromisoformat(known["fetched_at"]) == row["fetched_at"], known["fetched_at"]
        assert known["query_path"] == row["query_image"]["path"]
        assert known["query_phash"] == f"{row['query_phash']:016x}"
        for column in ("triplet_id", "page_url", "query_labels", "language"):
            assert known[column] == row[column], column
assert seen == set(rows), (len(seen), len(rows))

for sample in wds.WebDataset(tars, shardshuffle=False).decode("pil"):
    assert sample["query.jpg"].size[0] > 0 and sample["json"]["instruction"] == sample["txt"]
