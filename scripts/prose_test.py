#!/usr/bin/env python3
"""Tests of prose.py: samples with known hits, and whole runs over a small tree. `make check` runs them."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(SCRIPTS, "lib"))
sys.dont_write_bytecode = True

import wording  # noqa: E402

# Without what a git hook sets, which would lead to the repository around.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
GLOSSARY = "| term | meaning | not |\n|---|---|---|\n| image | pixels | **snapshot**, **old copy**, photo |\n"
with open(os.path.join(SCRIPTS, "prose.idioms"), encoding="utf-8") as file:
    IDIOMS = wording.idioms(file.read())


def hits(source, path="src/store/part.rs"):
    found = wording.hits_of(path, source, IDIOMS, wording.terms(GLOSSARY))
    return sorted((hit.line, hit.kind) for hit in found)


class Rust(unittest.TestCase):
    def test_openings_of_doc_comments(self):
        self.assertEqual(hits("/// Whether the file is open.\npub open: bool,\n"), [(1, "clause")])
        self.assertEqual(hits("//! What a part is.\n//!\n//! How it is written.\n"), [(1, "clause")])
        self.assertEqual(hits("\n/** Those of the part. */\n"), [(2, "pronoun")])
        self.assertEqual(hits("/// Its name.\n"), [(1, "pronoun")])
        self.assertEqual(hits("/// Returns true if the file is open.\n/// This file is kept.\n"), [])
        self.assertEqual(hits("/// This process owns the file.\n"), [])
        self.assertEqual(hits("// Whether it is open matters.\n/// `What` is a name.\n"), [])

    def test_a_comment_is_read_across_its_lines(self):
        self.assertEqual(hits("fn f() {} // waits until the file is\n          // had, or else\n"), [(1, "idiom")])
        self.assertEqual(hits("// Opens. Returns the file that can\n// be had, else an error.\n"), [(1, "idiom")])
        self.assertEqual(hits("// Opens a file. It is\n\nlet had = 1;\n// had\n"), [])

    def test_literals_count_outside_tests_and_are_no_comments(self):
        message = 'const M: &str = "no reply can \\\n    be had from {url}";\n'
        self.assertEqual(hits(message), [(1, "idiom")])
        self.assertEqual(hits("#[cfg(test)]\nmod tests {\n" + message + "}\n"), [])
        self.assertEqual(hits('let url = "https://a/b"; let quote = \'"\'; // goes on\n'), [(1, "idiom")])
        self.assertEqual(hits('let raw = r#"a "quote" that goes on"#; /// Who\n'), [(1, "clause"), (1, "idiom")])
        self.assertEqual(hits('let word = "go on";\n'), [])

    def test_code_in_comments_is_left_out(self):
        self.assertEqual(hits("/// Opens.\n///\n/// ```\n/// goes on\n/// ```\n/// `goes on` too.\n"), [])


class Markdown(unittest.TestCase):
    def test_sentences(self):
        words = " ".join(["word"] * 20)
        for text, expected in (
            (f"One {words}. Two {words}.", []),
            (f"One {words}\n\n- two {words}\n- three {words}", []),
            (f"One.\nTwo `a b c` {words}\n{words}", [(2, "long")]),
            (f"| {words} | {words} |", []),
            ("# How each stage decides", [(1, "clause")]),
            ("How is it decided? How to decide.", []),
            ("When the run ends, it stops.", []),
            ("Text.\n\n```\ngoes on\n```\nIt goes\non.", [(6, "idiom")]),
            ("[goes on](https://example.org/anew)", [(1, "idiom")]),
            ("A snapshot, a photo and Snapshots.", [(1, "term"), (1, "term")]),
            ("An old copy, old copies, an old copyright.", [(1, "term"), (1, "term")]),
        ):
            self.assertEqual(hits(text, "docs/a.md"), expected, text)

    def test_idioms_are_whole_and_meant(self):
        for text in ("They are all the same.", "Terms of use.", "The non-existence is nonessential.",
                     "Unless told otherwise.", "As many as there are.", "As it is written."):
            self.assertEqual(hits(text, "docs/a.md"), [], text)
        for text in ("There is none.", "It works all the same.", "At most so many bytes.", "It is kept as it is."):
            self.assertEqual(hits(text, "docs/a.md"), [(1, "idiom")], text)


class Ratchet(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        shutil.copytree(SCRIPTS, os.path.join(self.root, "scripts"), ignore=shutil.ignore_patterns("*.limits"))
        self.write("CONTRIBUTING.md", GLOSSARY)
        self.write("src/a/mod.rs", "/// Whether it runs.\n/// What it runs.\n\n/// Why.\n")
        self.write("src/b/mod.rs", "/// Runs.\n")
        self.assertEqual(self.run_prose("--update")[0], 0)

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def append(self, path, text):
        with open(os.path.join(self.root, path), "a", encoding="utf-8") as file:
            file.write(text)

    def limits(self):
        with open(os.path.join(self.root, "scripts/prose.limits"), encoding="utf-8") as file:
            return [line.split() for line in file if not line.startswith("#")]

    def run_prose(self, *args):
        command = [sys.executable, os.path.join(self.root, "scripts/prose.py"), *args]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", env=ENVIRONMENT)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout

    def test_a_count_at_its_limit_passes(self):
        self.assertEqual(self.limits(), [["src/a/*.rs", "2", "0", "0", "0", "0"]])
        self.assertEqual(self.run_prose(), (0, ""))

    def test_a_count_above_its_limit_fails_and_is_not_written(self):
        self.write("src/b/mod.rs", "/// Runs.\n\n/// Where it runs.\n")
        for args in ((), ("--update",), ("--update", "--moved")):
            code, out = self.run_prose(*args)
            self.assertEqual(code, 1)
            self.assertIn("src/b/mod.rs:3: clause: Where it runs.", out)
        self.assertEqual(len(self.limits()), 1)

    def test_without_limits_nothing_is_allowed(self):
        os.remove(os.path.join(self.root, "scripts/prose.limits"))
        self.assertEqual(self.run_prose()[0], 1)

    def test_a_count_below_its_limit_fails_until_the_limit_is_lowered(self):
        self.write("src/a/mod.rs", "/// Why.\n")
        code, out = self.run_prose()
        self.assertEqual(code, 1)
        self.assertIn("src/a/*.rs clause: 1, not 2", out)
        self.assertEqual(self.run_prose("--update"), (0, ""))
        self.assertEqual(self.run_prose(), (0, ""))
        self.assertEqual(self.limits()[0][:2], ["src/a/*.rs", "1"])

    def test_files_may_move_between_areas_if_totals_do_not_rise(self):
        os.rename(os.path.join(self.root, "src/a/mod.rs"), os.path.join(self.root, "src/b/mod.rs"))
        self.assertEqual(self.run_prose("--update")[0], 1)
        self.assertEqual(self.run_prose("--update", "--moved"), (0, ""))
        self.assertEqual(self.limits()[0][:2], ["src/b/*.rs", "2"])

    def test_of_a_merge_that_left_two_lines_the_lower_numbers_hold(self):
        limits = "<<<<<<< ours\nsrc/a/*.rs 3 0 1 0 0\n=======\nsrc/a/*.rs 2 0 4 0 0\n>>>>>>> theirs\n"
        self.write("scripts/prose.limits", limits)
        self.assertEqual(self.run_prose("--update"), (0, ""))
        self.assertEqual(self.limits(), [["src/a/*.rs", "2", "0", "0", "0", "0"]])

    @unittest.skipUnless(shutil.which("git"), "needs git")
    def test_changed_lines_come_first_and_ignored_files_do_not_count(self):
        def git(*args):
            subprocess.run(["git", "-C", self.root, "-c", "user.name=a", "-c", "user.email=a@b", *args],
                           check=True, capture_output=True, env=ENVIRONMENT)
        git("init")
        self.append("src/a/mod.rs", "\n" * 20)
        git("add", ".")
        git("commit", "-m", "first")
        self.write(".gitignore", "/out\n")
        self.write("out/a.rs", "/// Why.\n")
        self.assertEqual(self.run_prose(), (0, ""))
        self.append("src/a/mod.rs", "/// When it runs.\n")
        for command in (["add", "."], ["commit", "-m", "second"]):
            git(*command)
            self.assertTrue(self.run_prose()[1].startswith("src/a/mod.rs:25: clause: When it runs."))


if __name__ == "__main__":
    unittest.main()
