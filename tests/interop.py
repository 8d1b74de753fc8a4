"""Opens the tables of a run directory with other implementations and compares.

usage: interop.py RUN PAGES IMAGES TRIPLETS
"""
import hashlib
import io
import json
import os
import sys

# Whatever the libraries would fetch, they must not need it here.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_CACHE"] = os.path.join(sys.argv[1], "cache")

import datasets
import duckdb
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from PIL import Image

run, n_pages, n_images, n_triplets = sys.argv[1], *map(int, sys.argv[2:5])
pages = ds.dataset(f"{run}/pages", format="parquet", exclude_invalid_files=True).to_table()
images = ds.dataset(f"{run}/images", format="parquet", exclude_invalid_files=True).to_table()
assert (pages.num_rows, images.num_rows) == (n_pages, n_images), (pages.num_rows, images.num_rows)

originals = {}
for row in images.to_pylist():
    picture = Image.open(io.BytesIO(row["bytes"]))
    picture.load()
    assert picture.size == (row["stored_width"], row["stored_height"]), row["url"]
    assert len(row["bytes"]) == row["stored_bytes"], row["url"]
    assert max(picture.size) <= 512, row["url"]
    if row["stored_as"] == "original":
        assert hashlib.sha256(row["bytes"]).hexdigest() == row["image_id"], row["url"]
    assert len(row["phash256"]) == 32 and len(row["colour_layout"]) == 192
    assert row["fetched_at"].tzinfo is not None
    originals[row["image_id"]] = row["bytes"]

db = duckdb.connect()
count = db.sql(f"""
    SELECT count(*), count(DISTINCT i.url)
    FROM (SELECT unnest(images).url AS url FROM '{run}/pages/*.parquet') p
    JOIN '{run}/images/*.parquet' i USING (url)
""").fetchone()
assert count[1] == n_images, count
shown = {image["url"] for page in pages.to_pylist() for image in page["images"]}
assert set(images["url"].to_pylist()) <= shown

# Shards: every reader sees the same rows, and the images are those of the table `images`.
shards = f"{run}/triplets/*.parquet"
rows = pl.read_parquet(shards).to_dicts()
assert len(rows) == n_triplets, len(rows)
assert len({row["triplet_id"] for row in rows}) == n_triplets
for row in rows:
    parts = [row["group_id"], row["query_image_id"], row["target_image_id"], row["instruction"]]
    assert row["triplet_id"] == hashlib.sha256("\n".join(parts).encode()).hexdigest()
    for side in ("query", "target"):
        assert row[f"{side}_image"]["bytes"] == originals[row[f"{side}_image_id"]]
        assert row[f"{side}_image"]["path"].startswith(row[f"{side}_image_id"])
in_duckdb = db.sql(f"""
    SELECT count(*), count(DISTINCT triplet_id), sum(octet_length(query_image.bytes))
    FROM '{shards}' WHERE query_cluster_id <> target_cluster_id AND instruction <> ''
""").fetchone()
size = sum(len(row["query_image"]["bytes"]) for row in rows)
assert in_duckdb == (n_triplets, n_triplets, size), in_duckdb

dataset = datasets.load_dataset(f"{run}/triplets", split="train")
assert dataset.num_rows == n_triplets, dataset.num_rows
for side in ("query_image", "target_image"):
    assert isinstance(dataset.features[side], datasets.Image), dataset.features[side]
    assert isinstance(dataset[0][side], Image.Image), dataset[0][side]
assert dataset[0]["instruction"] and isinstance(dataset[0]["query_labels"], list)

# Hard negatives: a list of images for every reader, null where a page has none.
lists = [row["hard_negatives"] for row in rows if row["hard_negatives"] is not None]
assert lists and all(0 < len(images) <= 2 for images in lists), len(lists)
for image in (image for images in lists for image in images):
    assert image["bytes"] == originals[image["path"].split(".")[0]], image["path"]
n_images = sum(map(len, lists))
in_duckdb = db.sql(f"""
    SELECT count(*), count(DISTINCT image.path), sum(octet_length(image.bytes))
    FROM (SELECT unnest(hard_negatives) AS image FROM '{shards}')
""").fetchone()
paths = {image["path"] for images in lists for image in images}
size = sum(len(image["bytes"]) for images in lists for image in images)
assert in_duckdb == (n_images, len(paths), size), in_duckdb
feature = dataset.features["hard_negatives"]
assert isinstance(getattr(feature, "feature", feature), datasets.Image), feature
shown = [images for images in dataset["hard_negatives"] if images]
assert len(shown) == len(lists) and all(isinstance(i, Image.Image) for l in shown for i in l)

# Row groups that a trainer can shuffle, images as they are, a page index.
names = [name for name in os.listdir(f"{run}/triplets") if name.endswith(".parquet")]
for name in names:
    metadata = pq.ParquetFile(f"{run}/triplets/{name}").metadata
    for group in range(metadata.num_row_groups):
        assert metadata.row_group(group).num_rows <= 512
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            expected = "UNCOMPRESSED" if chunk.path_in_schema.endswith("bytes") else "ZSTD"
            assert chunk.compression == expected, (chunk.path_in_schema, chunk.compression)
            assert chunk.has_offset_index, chunk.path_in_schema
described = json.load(open(f"{run}/../triplet.json"))["columns"]
assert list(described) == dataset.column_names, set(described) ^ set(dataset.column_names)
