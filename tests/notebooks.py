"""Runs a notebook from top to bottom and prints what it found, as JSON.

usage: notebooks.py NOTEBOOK

Fails on the first cell that fails. What is printed is an expression over the notebook's own variables,
evaluated after its last cell, and how many figures the cells drew.
"""
import ast
import json
import os
import sys

import nbformat
from nbclient import NotebookClient

FOUND = {
    "explore": """{
        "funnel": {row["table"]: [row["in"], row["out"], row["rejected"], row["failed"]] for row in funnel.to_dicts()},
        "reasons": int(lost["count"].sum()), "rejects": int(rejects["rows"].sum()),
        "pairs": len(pairs), "bounds": {name: bounds[name] for name in bounds if name.startswith("pair.")},
        "triplets": len(triplets), "words": int(words["words"].sum()),
        "domains": dict(zip(domains["domain"], domains["triplets"])), "shown": len(shown),
    }""",
    "load": """{
        "seen": seen, "usable": usable, "with_negatives": with_negatives,
        "shape": list(first["query"].shape), "brightest": float(first["query"].max()),
        "batches": [len(batch) for batch in batches], "masked_by_page": int(same([
            rows[index]["group_id"] for index in batches[0]]).sum()),
        "indices": sorted(index for batch in batches for index in batch), "loss": float(loss),
    }""",
    "embed": """{
        "width": width, "names": names, "queries": queries.tolist(), "targets": targets.tolist(),
        "triplets": [row["triplet_id"] for row in triplets], "recall": recall.to_dicts(),
        "saved": pl.read_parquet(saved).height,
    }""",
}


def main(path):
    name = os.path.splitext(os.path.basename(path))[0]
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    source = f"__import__('json').dumps({FOUND[name]})"
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    folder = os.path.dirname(os.path.abspath(path))
    client = NotebookClient(notebook, timeout=240, resources={"metadata": {"path": folder}})
    client.execute()
    *cells, last = notebook.cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    found = json.loads(ast.literal_eval(last.outputs[0]["data"]["text/plain"]))
    found["figures"] = sum("image/png" in output.get("data", {}) for output in outputs)
    if "SAVE" in os.environ:
        notebook.cells.pop()
        nbformat.write(notebook, os.environ["SAVE"])
    print(json.dumps(found))


main(*sys.argv[1:])
