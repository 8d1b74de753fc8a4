#!/usr/bin/env bash
# Builds the documentation as a book: the pages of docs, and the files at the root that they lead to.
#
#   scripts/book.sh [OUT]      OUT is target/book by default; an old one is replaced
#
# MDBOOK names the program. Pages link to files outside docs, so the book is built from a copy in which the
# repository's own folders are: links are the same there as in the source.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=$(realpath -m "${1:-target/book}")
mdbook=${MDBOOK:-mdbook}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

cp -r ./*.md LICENSE pipeline.toml docs schemas recipes prompts examples deploy notebooks "$copy"
mv "$copy/docs/book.toml" "$copy"
# SUMMARY.md names its pages from docs, the book from the root.
sed -e 's#](#](docs/#' -e 's#](docs/\.\./#](#' "$copy/docs/SUMMARY.md" >"$copy/SUMMARY.md"
rm "$copy/docs/SUMMARY.md"
rm -rf "$out"
"$mdbook" build "$copy" --dest-dir "$out"
