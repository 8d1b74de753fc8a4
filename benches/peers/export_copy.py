"""Copies Parquet shards a row group at a time, with the properties of ours: image bytes plain, the rest
zstd.

usage: export_copy.py FROM TO
"""
import pathlib
import sys

import pyarrow.parquet as pq

source, target = map(pathlib.Path, sys.argv[1:3])
target.mkdir(parents=True, exist_ok=True)
for path in sorted(source.glob("*.parquet")):
    file = pq.ParquetFile(path)
    leaves = [file.schema.column(i).path for i in range(len(file.schema))]
    compression = {leaf: "none" if leaf.endswith("bytes") else "zstd" for leaf in leaves}
    dictionary = [leaf for leaf in leaves if not leaf.endswith("bytes")]
    with pq.ParquetWriter(target / path.name, file.schema_arrow, compression=compression,
                          compression_level=None, use_dictionary=dictionary,
                          write_page_index=True) as writer:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            writer.write_table(table, row_group_size=table.num_rows)
