#!/usr/bin/env python3
"""Counts weak wording in Rust and Markdown and compares the counts with scripts/prose.limits.

    scripts/prose.py                    fails where a count is not its limit
    scripts/prose.py --update           lowers the limits to the counts; never raises one
    scripts/prose.py --update --moved   may raise limits, as long as no kind's total rises
    scripts/prose.py --list [PATH…]     prints every hit in the files below the paths

Reads the files that git does not ignore: comments in Rust, string literals of several words outside
tests, and Markdown without code. CONTRIBUTING.md (Wording) explains the kinds; scripts/prose.idioms
has the idioms, and the bold words of the glossary in CONTRIBUTING.md are the terms to avoid.
"""

import argparse
import os
import re
import subprocess
import sys
from collections import Counter

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "scripts", "lib"))
sys.dont_write_bytecode = True

from wording import KINDS, hits_of, idioms, terms  # noqa: E402

LIMITS = os.path.join(ROOT, "scripts", "prose.limits")
HEADER = """\
# Weak wording that each area still has. `make check` fails where a count is not the number here;
# `scripts/prose.py --update` lowers the numbers. CONTRIBUTING.md (Wording) explains the kinds.
"""
MAX_SHOWN = 40

# Generated from doc comments; prompts, whose every change asks the models again.
SKIPPED = re.compile(r"docs/configuration\.md|prompts/.*\.v\d+\.md|tests/fixtures/run-.*/.*")
# Folders left out where git does not say what is ignored.
PRUNED = {"target", "libtorch", "runs", "node_modules", "__pycache__"}


def read(path):
    """Returns the text of a file of the repository."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def area_of(path):
    """Returns the area that counts a file: its module in src, its crate, or its top-level folder."""
    parts = path.split("/")[:-1]
    depth = 1 + (parts[:1] in (["src"], ["crates"])) + (parts[:2] == ["src", "stages"])
    return "/".join(parts[:depth] + ["*" + os.path.splitext(path)[1]])


def git(*args):
    """Returns what git prints, and nothing where git or its folder is missing."""
    try:
        command = ("git", "-C", ROOT, *args)
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def files():
    """Returns the paths of the files to read, sorted."""
    paths = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    if paths == [""]:
        for folder, inner, names in os.walk(ROOT):
            inner[:] = [name for name in inner if name not in PRUNED and not name.startswith(".")]
            paths += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
    return sorted(path for path in set(paths) if path.endswith((".rs", ".md"))
                  and not SKIPPED.fullmatch(path) and os.path.isfile(os.path.join(ROOT, path)))


def changes():
    """Returns the changed ranges of lines by path: against HEAD, or of the last commit if nothing differs."""
    diff = git("diff", "-U0", "HEAD") or git("diff", "-U0", "HEAD~1", "HEAD")
    ranges, path = {}, ""
    for line in diff.splitlines():
        if line.startswith("+++ "):
            path = line[6:]
        elif hunk := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
            first = int(hunk[1])
            ranges.setdefault(path, []).append(range(first - 3, first + int(hunk[2] or 1)))
    return ranges


def parse_limits(text):
    """Returns the limits by (area, kind); of an area that a merge left twice, the lower numbers."""
    limits = {}
    for area, *numbers in (line.split() for line in text.splitlines() if re.match(r"\S*\*\.\w+ ", line)):
        for kind, number in zip(KINDS, numbers):
            limits[area, kind] = min(limits.get((area, kind), int(number)), int(number))
    return limits


def format_limits(counts):
    """Returns the text of the limits: a line for each area that has hits."""
    areas = sorted({area for (area, _), count in counts.items() if count})
    rows = [("# area", *KINDS)] + [(area, *(counts.get((area, kind), 0) for kind in KINDS)) for area in areas]
    return HEADER + "".join(f"{row[0]:24}" + "".join(f"{cell:>9}" for cell in row[1:]) + "\n" for row in rows)


def rises(counts, limits, moved):
    """Returns the keys whose counts are above the limits: (area, kind), or kinds alone if files moved."""
    if moved:
        counts, limits = ({kind: sum(n for key, n in numbers.items() if key[1] == kind) for kind in KINDS}
                          for numbers in (counts, limits))
    return sorted(key for key, count in counts.items() if count > limits.get(key, 0))


def show(hits):
    """Prints hits, those on changed lines first, then those in changed files."""
    changed = changes()

    def rank(hit):
        on_changed_line = any(hit.line in lines for lines in changed.get(hit.path, ()))
        return not on_changed_line, hit.path not in changed, hit

    for hit in sorted(hits, key=rank)[:MAX_SHOWN]:
        print(f"{hit.path}:{hit.line}: {hit.kind}: {hit.found[:120]}\n    {hit.advice}")
    if len(hits) > MAX_SHOWN:
        print(f"… and {len(hits) - MAX_SHOWN} more; scripts/prose.py --list PATH prints them")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="lower the limits to the counts")
    parser.add_argument("--moved", action="store_true", help="with --update: compare totals over all areas")
    parser.add_argument("--list", nargs="*", metavar="PATH", help="print the hits below these paths")
    args = parser.parse_args()
    patterns = idioms(read("scripts/prose.idioms")), terms(read("CONTRIBUTING.md"))
    paths = files()
    hits = [hit for path in paths for hit in hits_of(path, read(path), *patterns)]
    if args.list is not None:
        for hit in hits:
            if hit.path.startswith(tuple(args.list) or ""):
                print(f"{hit.path}:{hit.line}: {hit.kind}: {hit.found}\n    {hit.advice}")
        return 0

    counts = Counter((area_of(hit.path), hit.kind) for hit in hits)
    limits = dict(counts) if args.update else {}
    if os.path.exists(LIMITS):
        limits = parse_limits(read("scripts/prose.limits"))
    if risen := rises(counts, limits, args.moved):
        show([hit for hit in hits if hit.kind in risen or (area_of(hit.path), hit.kind) in risen])
        for key in risen:
            name = key if args.moved else f"{' '.join(key)}: {counts[key]}, not {limits.get(key, 0)}"
            print(f"prose: above the limit: {name}")
        return 1
    if args.update:
        with open(LIMITS, "w", encoding="utf-8") as file:
            file.write(format_limits(counts))
    elif fallen := sorted(key for key, limit in limits.items() if counts[key] < limit):
        for area, kind in fallen:
            print(f"prose: below the limit: {area} {kind}: {counts[area, kind]}, not {limits[area, kind]}")
        print("prose: run scripts/prose.py --update and commit scripts/prose.limits with the change")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
