"""Finds weak wording in Rust and Markdown; scripts/prose.py counts it.

In Rust this reads comments, and string literals of several words outside tests; in Markdown all but code.
"""

import bisect
import re
from collections import namedtuple

KINDS = ("clause", "pronoun", "idiom", "term", "long")
MAX_WORDS = 40

# Fragments that begin with a question word. In Markdown "When …, the …" is a good sentence.
CLAUSE = r"(?:What(?:ever)?|Whether|How(?! to\b)|Which|Who(?:ever|se)?)\b(?!.*\?$)"
CLAUSE_IN_RUST = re.compile(rf"{CLAUSE}|(?:Where|Why|When)\b(?!.*\?$)")
CLAUSE_IN_MARKDOWN = re.compile(CLAUSE)
# "This file …" names its noun; "This is …" and "Those of …" do not.
VERBS = ("is are was were has have had does do did can cannot may must will would should of which who that"
         " comes goes makes takes gives holds keeps says means reads runs stands lets needs")
PRONOUN = re.compile(r"(?:It|Its|They|Their|Such as)\b|(?:This|That|These|Those|Both) (?:%s)\b"
                     % "|".join(VERBS.split()))
ADVICE = {
    "clause": "begin with a verb (Returns true if …) or the thing (Number of …)",
    "pronoun": "name the thing",
    "long": f"split: more than {MAX_WORDS} words",
}

Hit = namedtuple("Hit", "path line kind found advice")


def idioms(text):
    """Returns (pattern, advice) of each line "pattern => advice"."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = [line.split(" => ") for line in lines]
    return [(re.compile(rf"\b(?:{pattern})(?![\w-])", re.I), advice) for pattern, advice in pairs]


def terms(text):
    """Returns (pattern, term) of each bold word in the last column of the glossary."""
    found = []
    for line in re.findall(r"^\|.*\|.*\|.*\|$", text, re.M):
        term, *_, avoid = (cell.strip() for cell in line.strip("|").split("|"))
        for word in re.findall(r"\*\*(.+?)\*\*", avoid):
            plural = rf"{re.escape(word[:-1])}(?:y|ies)" if word.endswith("y") else rf"{re.escape(word)}s?"
            found.append((re.compile(rf"\b{plural}\b", re.I), term))
    return found


TOKEN = re.compile(
    r"""\bb?r(?P<fence>\#*)"(?P<raw>.*?)"(?P=fence)|"(?P<string>(?:\\.|[^"\\])*)\""""
    r"""|b?'(?:\\[^\n]+?|[^'\\])'|(?P<comment>//[^\n]*|/\*.*?\*/)""", re.S)


def texts_of_rust(source):
    """Yields (line, form, text) of each run of comment lines and each string literal of several words."""
    newlines = [match.start() for match in re.finditer("\n", source)]
    tests = re.search(r"^#\[cfg\((?:all\()?test", source, re.M)
    run, run_end = None, 0
    for token in TOKEN.finditer(source):
        line = bisect.bisect_left(newlines, token.start()) + 1
        if token["comment"]:
            form, body = re.match(r"(//[/!](?!/)|//+|/\*[*!]?)(.*)", token["comment"], re.S).groups()
            if run and run[1] == form and re.fullmatch(r"[ \t\r]*\n[ \t]*", source[run_end:token.start()]):
                run[2] += "\n" + body
            else:
                if run:
                    yield run
                run = [line, form, re.sub(r"\n\s*\* ?", "\n", body.removesuffix("*/"))]
            run_end = token.end()
        elif not tests or token.start() < tests.start():
            text = token["raw"] or re.sub(r"\\\n\s*", "\n", token["string"] or "")
            if len(re.findall(r"\b[A-Za-z]+ ", text)) >= 3:
                yield line, '"', text
    if run:
        yield run


def paragraphs(text):
    """Yields (line, paragraph) of Markdown; list items, headings and table cells are paragraphs too."""
    start, lines, fenced = 0, [], False
    for number, line in enumerate(text.split("\n") + [""]):
        bare = line.strip()
        fence = bare.startswith(("```", "~~~"))
        table = bare.startswith(("#", "|"))
        item = re.match(r"(?:[-*+]|\d+[.)]) ", bare)
        alone = not bare or fence or fenced or table
        if lines and (alone or item):
            yield start, "\n".join(lines)
            lines = []
        if not alone:
            start = start if lines else number
            lines.append(bare[item.end():] if item else bare)
        elif table and not fenced:
            yield from ((number, cell.strip()) for cell in bare.lstrip("# ").split("|") if cell.strip())
        fenced ^= fence


def sentences(text):
    """Yields (line, sentence); inline code is one word, of a link its text stays, tags go."""
    for start, text in paragraphs(text):
        for pattern, word in ((r"`[^`]*`", "`_`"), (r"</?\w[^<>]*>", " "), (r"\]\([^)\s]*\)", "")):
            text = re.sub(pattern, lambda match, word=word: word + "\n" * match[0].count("\n"), text)
        text, at = re.sub(r"[*\[\]]", "", text), 0
        ends = re.finditer(r"[.!?…][\"')]*\s+(?=[A-Z`\"“(])", text)
        for end in [match.end() for match in ends] + [len(text)]:
            yield start + text.count("\n", 0, at), " ".join(text[at:end].split())
            at = end


def hits_of(path, source, idioms, terms):
    """Yields the hits of one file."""
    in_rust = path.endswith(".rs")
    terms = [] if path == "CONTRIBUTING.md" else terms
    for line, form, text in texts_of_rust(source) if in_rust else [(1, "", source)]:
        opens_doc = form in ("///", "//!", "/**", "/*!")
        for offset, sentence in sentences(text):
            found = []
            clause = CLAUSE_IN_RUST if in_rust else CLAUSE_IN_MARKDOWN
            if (opens_doc or not in_rust) and clause.match(sentence):
                found.append(("clause", sentence, ADVICE["clause"]))
            if opens_doc and PRONOUN.match(sentence):
                found.append(("pronoun", sentence, ADVICE["pronoun"]))
            for kind, patterns in (("idiom", idioms), ("term", terms)):
                for pattern, advice in patterns:
                    for match in pattern.finditer(sentence):
                        context = sentence[max(0, match.start() - 40):match.end() + 40]
                        found.append((kind, context, f"“{match[0]}”: {advice}"))
            if form != '"' and sum(any(map(str.isalnum, word)) for word in sentence.split()) > MAX_WORDS:
                found.append(("long", sentence, ADVICE["long"]))
            yield from (Hit(path, line + offset, *hit) for hit in found)
            opens_doc = False
