"""Opens `pages` and `images` of a run directory with other implementations and compares.

usage: interop.py RUN PAGES IMAGES
"""
import hashlib
import io
import sys

import duckdb
import pyarrow.dataset as ds
from PIL import Image

run, n_pages, n_images = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
pages = ds.dataset(f"{run}/pages", format="parquet", exclude_invalid_files=True).to_table()
images = ds.dataset(f"{run}/images", format="parquet", exclude_invalid_files=True).to_table()
assert (pages.num_rows, images.num_rows) == (n_pages, n_images), (pages.num_rows, images.num_rows)

for row in images.to_pylist():
    picture = Image.open(io.BytesIO(row["bytes"]))
    picture.load()
    assert picture.size == (row["stored_width"], row["stored_height"]), row["url"]
    assert max(picture.size) <= 512, row["url"]
    if row["stored_as"] == "original":
        assert hashlib.sha256(row["bytes"]).hexdigest() == row["image_id"], row["url"]
    assert len(row["phash256"]) == 32 and len(row["colour_layout"]) == 192
    assert row["fetched_at"].tzinfo is not None

db = duckdb.connect()
count = db.sql(f"""
    SELECT count(*), count(DISTINCT i.url)
    FROM (SELECT unnest(images).url AS url FROM '{run}/pages/*.parquet') p
    JOIN '{run}/images/*.parquet' i USING (url)
""").fetchone()
assert count[1] == n_images, count
shown = {image["url"] for page in pages.to_pylist() for image in page["images"]}
assert set(images["url"].to_pylist()) <= shown
