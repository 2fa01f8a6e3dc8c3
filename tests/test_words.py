"""One name for one thing: the words of documents, docstrings and messages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("airtune", "analysis", "benchmarks", "fl", "netsim", "scenarios", "tools")
LEFT_OUT = {"CHANGELOG.md", "docs/studies.md"}
REFUSED = re.compile(
    r"\bserver's (?:own )?model\b"
    r"|\bmodel of the server\b"
    r"|\bown models?\b"
    r"|\bclients' own tests\b"
    r"|\|\s*clients' own\s*\|",
    re.IGNORECASE,
)
"""Other names for the global model and for personal models."""


def files():
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for package in PACKAGES:
        for ending in ("*.md", "*.py", "*.yaml", "*.html", "*.js"):
            texts += (ROOT / package).rglob(ending)
    return [path for path in texts if str(path.relative_to(ROOT)) not in LEFT_OUT]


def refused(text):
    """Other names in a text, with its line ends, quotes and comment signs taken for blanks."""
    flat = re.sub(r"(?:\\?[\"#*]|\s)+", " ", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return [found[0] for found in REFUSED.finditer(flat.replace("&#x27;", "'").replace("\\'", "'"))]


def test_global_model_and_personal_models_have_no_other_names():
    texts = files()
    assert len(texts) > 400
    found = {
        str(path.relative_to(ROOT)): names
        for path in texts
        if (names := refused(path.read_text(encoding="utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "the server's model",
        "accuracy, own model",
        '"what clients\' "\n    "own models earn"',
        "the clients'\n    # own model",
        "| clients' own | ideal radio |",
        "model of\nthe server",
    ],
)
def test_another_name_is_found(text):
    assert refused(text)


@pytest.mark.parametrize("text", ["personal models", "the server's LoRA", "the client's own LoRA"])
def test_other_words_pass(text):
    assert not refused(text)
