"""What is read in pretraining, and the tokenizers made of it."""

import os
import subprocess
import sys

import pytest

from fl.data import docstrings, harvest
from fl.data.docstrings import is_held_out_text, is_test_text
from fl.models import pretrain_text
from fl.models.pretrain_encoder import pair_texts
from tests.fl.models.conftest import TEXTS


@pytest.fixture
def small_sources(monkeypatch):
    sources = [
        harvest.SourceDocstring(module="numpy.x", docstring=f"{text}\n\nMore words on {n}, here.")
        for n, text in enumerate(f"Return thing number {n} of the list." for n in range(60))
    ]
    monkeypatch.setattr(pretrain_text, "CLASS_NAMES", ("numpy",))
    monkeypatch.setattr(harvest, "read_docstrings", lambda _: iter(sources))
    return sources


def test_documents_reserved_for_tests_are_left_out(small_sources):
    documents = pretrain_text.collect_documents()
    summaries = [source.docstring.partition("\n")[0] for source in small_sources]
    kept = [text for text in summaries if not is_test_text(text) and not is_held_out_text(text)]
    assert 0 < len(kept) < len([text for text in summaries if not is_test_text(text)])
    assert [document.paragraphs[0] for document in documents] == kept
    read = [text for document in documents for text in document.paragraphs]
    assert not any(is_test_text(text) or is_held_out_text(text) for text in read)


@pytest.mark.slow
def test_no_text_that_anything_is_tested_on_is_read_in_pretraining():
    """The real harvests, compared text by text, without the rule that keeps them apart."""

    def plain(text):
        return " ".join(text.casefold().split())

    documents = pretrain_text.collect_documents()
    of_encoder, _ = pair_texts([document.paragraphs for document in documents])
    read = [*of_encoder, *(text for document in documents for text in document.paragraphs)]
    assert len(read) > 80_000
    rows = docstrings.harvest_rows()
    tested = {plain(text) for *_, text in rows if is_test_text(text) or is_held_out_text(text)}
    others = {plain(text) for *_, text in rows} - tested
    assert len(tested) > 0.35 * len(rows)
    paragraphs = {plain(text) for text in read}
    assert tested.isdisjoint(paragraphs)
    # The comparison can find what it looks for: nearly every other text of the corpus was read.
    assert len(others & paragraphs) > 0.5 * len(others)


def test_a_paragraph_occurs_once(small_sources):
    twice = [*small_sources, *small_sources]
    assert pretrain_text.collect_documents() == pretrain_text.collect_documents()
    with pytest.MonkeyPatch.context() as patch:
        once = pretrain_text.collect_documents()
        patch.setattr(harvest, "read_docstrings", lambda _: iter(twice))
        assert pretrain_text.collect_documents() == once


def test_a_signature_stands_with_the_summary_of_its_function_alone(monkeypatch):
    wanted = next(
        text
        for text in (f"Give back the thing of number {n}." for n in range(100))
        if not pretrain_text.is_reserved(text)
    )
    more = next(
        text
        for text in (f"These are more words, the set {n}." for n in range(100))
        if not pretrain_text.is_reserved(text)
    )
    sources = [
        harvest.SourceDocstring(module="numpy.x", docstring=docstring, signature="def f(x)")
        for docstring in (
            f"{wanted}\n\n{more}",
            f"Too short.\n\n{more} Once again.",  # whose summary is not read
            f"{wanted}\n\n{more} And again.",  # whose summary was read before
        )
    ]
    monkeypatch.setattr(pretrain_text, "CLASS_NAMES", ("numpy",))
    monkeypatch.setattr(pretrain_text, "is_reserved", lambda _: False)
    monkeypatch.setattr(harvest, "read_docstrings", lambda _: iter(sources))
    assert pretrain_text.collect_documents() == [
        ("def f(x)", (wanted, more)),
        ("", (f"{more} Once again.",)),
        ("", (f"{more} And again.",)),
    ]


def test_writing_tokenizer_gives_any_text_back():
    tokenizer = pretrain_text.train_writing_tokenizer(TEXTS, vocabulary_size=300)
    for text in (*TEXTS, "def f(x, *args)\n  Größe — ½ 数", " leading, trailing "):
        ids = tokenizer(text)["input_ids"]
        assert ids[0] == tokenizer.bos_token_id
        assert ids[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert len(tokenizer) == 300


@pytest.mark.parametrize("kind", ["train_tokenizer", "train_writing_tokenizer"])
def test_tokenizers_are_the_same_in_every_process(kind):
    """Hash maps of another process come in another order."""
    code = (
        "import hashlib; from fl.models import pretrain_text; "
        f"made = pretrain_text.{kind}({TEXTS!r}, vocabulary_size=300); "
        "print(hashlib.sha256(made.backend_tokenizer.to_str().encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert len(found.pop().strip()) == 64
