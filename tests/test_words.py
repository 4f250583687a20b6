"""Words that cost readers time do not come back: in names, comments, messages and docs.

`docs/glossary.md` has the words to use in their place.
"""

import ast
import io
import pathlib
import re
import tokenize

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("selfsup", "data_prep", "eval", "launch")
SOURCES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py")
)
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "launch").rglob("*.md"),
    ]
)

# A name says what a thing is.
NAMES = {"found", "gone", "its", "lay", "one", "ones", "ours", "said", "theirs", "told"}

# Regular expression -> what to write instead.
PHRASES = {
    r"\banew\b": "again",
    r"\bas of `": "see `...`",
    r"\bgoes on\b|\bgo on\b|\bwent on\b|\bgoing on\b": "continues, resumes",
    r"\balone\b": "only, by itself",
    r"\blikewise\b": "also; or repeat what it is",
    r"\bby turns\b": "alternately, in turn",
    r"\bso many\b|\bthat many\b": "the number of what",
    r"\bstand[- ]ins?\b|(?<![`\"\w])stand_ins?\b(?![`\":])": "replacement",
    r"\bhence\b|\bthereby\b|\bwherein\b": "so, by this, where",
    r"\bcomes? to its end\b|\bcame to its end\b": "finishes",
    r"\bof ours\b|\bof our own\b": "name the thing",
    r"\bwhat comes of\b|\bwhat has come of\b": "the result of",
    r"\blost records?\b|\blost examples?\b": "missing or damaged records",
}


def _bound_names(tree):
    """(line, name) of each variable, argument, function and attribute that is defined."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.lineno, node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def _prose(path):
    """(line, text) of each comment and string of a source file, or line of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from enumerate(text.splitlines(), start=1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, line


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_say_what_a_thing_is(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wrong = [
        f"{path}:{line}: {name}" for line, name in _bound_names(tree) if name in NAMES
    ]
    assert not wrong, "name the thing itself"


@pytest.mark.parametrize(
    "path", [*SOURCES, *PAGES], ids=lambda path: str(path.relative_to(ROOT))
)
def test_prose_is_plain(path):
    wrong = [
        f"{path}:{line}: {text.strip()!r}: write {better!r}"
        for line, text in _prose(path)
        for phrase, better in PHRASES.items()
        if re.search(phrase, text, re.IGNORECASE)
    ]
    assert not wrong, "\n".join(wrong)
