"""Opens an export without images as `datasets` shows it to anybody.

usage: interop_bare.py RUN TRIPLETS
"""
import os
import sys

# Whatever the library would fetch, it must not need it here.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_CACHE"] = os.path.join(sys.argv[1], "cache-bare")

import datasets

dataset = datasets.load_dataset(f"{sys.argv[1]}/triplets", split="train")
assert dataset.num_rows == int(sys.argv[2]), dataset.num_rows
for row in dataset:
    assert row["query_image"] is None and row["target_image"] is None
    assert row["query_url"] and len(row["query_image_id"]) == 64 and row["instruction"]
