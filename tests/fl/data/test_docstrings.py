import gzip
import hashlib
import inspect
import logging
import re

import numpy as np
import pytest
from networkx.utils import misc

from fl.data import docstrings, harvest, prose
from fl.data.config import DocstringsData
from fl.data.corpus import load_corpus
from fl.problems import DataError

SOME_PLACES = {"networkx": ("utils",), "numpy": ("linalg", "fft", "polynomial")}


@pytest.fixture
def small_recipe(monkeypatch):
    monkeypatch.setattr(docstrings, "PLACES", SOME_PLACES)
    monkeypatch.setattr(docstrings, "CLASS_NAMES", tuple(SOME_PLACES))


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def full_corpus(cache_dir):
    return load_corpus(DocstringsData(), cache_dir=cache_dir)


def test_source_docstrings_equal_those_of_the_running_module():
    read = {item.docstring for item in harvest.read_docstrings("networkx", ["utils/misc.py"])}
    for function in (misc.flatten, misc.pairwise, misc.groups, misc.dict_to_numpy_array):
        assert inspect.getdoc(inspect.unwrap(function)) in read


def test_test_code_of_packages_is_not_read():
    modules = {item.module for item in harvest.read_docstrings("networkx")}
    assert len(modules) > 200
    assert not any("tests" in module.split(".") for module in modules)


def test_missing_package_and_missing_place_are_named():
    with pytest.raises(DataError, match="package no-such-package, which is not installed"):
        harvest.package_version("no-such-package")
    with pytest.raises(DataError, match="networkx/no_such_place"):
        list(harvest.read_docstrings("networkx", ["no_such_place"]))


@pytest.mark.usefixtures("small_recipe")
def test_second_load_reads_the_cache_and_gives_the_same(tmp_path, monkeypatch):
    first = docstrings.load_docstrings(cache_dir=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(docstrings, "harvest_rows", lambda: pytest.fail("cache was not read"))
    second = docstrings.load_docstrings(cache_dir=tmp_path)
    for before, after in zip(first[2:], second[2:], strict=True):
        assert before.texts == after.texts
        np.testing.assert_array_equal(before.labels, after.labels)
        np.testing.assert_array_equal(before.domains, after.domains)


@pytest.mark.usefixtures("small_recipe")
def test_damaged_cache_is_harvested_again_and_said(tmp_path, caplog):
    expected = docstrings.load_docstrings(cache_dir=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:200])
    with caplog.at_level(logging.WARNING):
        again = docstrings.load_docstrings(cache_dir=tmp_path)
    assert again[2].texts == expected[2].texts
    assert "cannot be read" in caplog.text
    with gzip.open(file, "rt") as stream:
        assert len(stream.readlines()) == len(expected[2]) + len(expected[3])


@pytest.mark.usefixtures("small_recipe")
def test_cache_that_cannot_be_written_is_said_and_does_no_harm(tmp_path, caplog):
    (tmp_path / "taken").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        _, _, train, _ = docstrings.load_docstrings(cache_dir=tmp_path / "taken")
    assert len(train) > 100
    assert "AIRTUNE_CACHE" in caplog.text


@pytest.mark.usefixtures("small_recipe")
def test_recipe_digest_follows_versions(monkeypatch):
    before = docstrings.recipe_digest()
    assert docstrings.recipe_digest() == before
    monkeypatch.setattr(harvest, "package_version", lambda _: "0.0")
    assert docstrings.recipe_digest() != before


def test_fold_depends_on_words_alone():
    assert docstrings.is_test_text("Return  the SUM.") == docstrings.is_test_text("return the sum.")
    share = np.mean([docstrings.is_test_text(f"text number {n}") for n in range(5_000)])
    # 5 standard deviations of a fair draw of one in five.
    assert abs(share - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 5_000)


def test_held_out_texts_are_a_quarter_of_either_fold():
    words = "Return  the SUM."
    assert docstrings.is_held_out_text(words) == docstrings.is_held_out_text("return the sum.")
    texts = [f"text number {n}" for n in range(5_000)]
    is_test = np.array([docstrings.is_test_text(text) for text in texts])
    is_held_out = np.array([docstrings.is_held_out_text(text) for text in texts])
    for fold in (is_test, ~is_test):
        # 5 standard deviations of a fair draw of one in four.
        assert abs(is_held_out[fold].mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / fold.sum())


def test_full_corpus_is_large_balanced_and_clean(full_corpus):
    corpus = full_corpus
    assert corpus.class_names == tuple(docstrings.PLACES)
    assert len(corpus.train) > 10_000
    assert len(corpus.test) > 2_000
    for table in (corpus.train, corpus.test):
        shares = np.bincount(table.labels, minlength=len(corpus.class_names)) / len(table)
        assert shares.max() < 0.2
        assert shares.min() > 0.05
    texts = [*corpus.train.texts, *corpus.test.texts]
    assert len({text.casefold() for text in texts}) == len(texts)
    giveaway = re.compile("|".join(prose.LIBRARY_NAMES), re.IGNORECASE)
    assert not [text for text in texts if giveaway.search(text)]
    words = re.compile(rf"\b(?:{'|'.join(prose.ALIASES)})\b", re.IGNORECASE)
    assert not [text for text in texts if words.search(text)]


def test_folds_of_the_full_corpus_keep_to_the_rule(full_corpus):
    assert not any(docstrings.is_test_text(text) for text in full_corpus.train.texts)
    assert all(docstrings.is_test_text(text) for text in full_corpus.test.texts)
    assert full_corpus.num_test_texts_in_train == 0
    train = full_corpus.train
    expected = [docstrings.is_held_out_text(text) for text in train.texts]
    np.testing.assert_array_equal(train.may_test, expected)


def test_caps_keep_the_mask_of_texts_to_test_on(full_corpus, cache_dir):
    capped = load_corpus(DocstringsData(max_train_texts=200), cache_dir=cache_dir).train
    mask_of = dict(zip(full_corpus.train.texts, full_corpus.train.may_test, strict=True))
    assert len(capped) == len(capped.may_test) == 200
    assert [mask_of[text] for text in capped.texts] == capped.may_test.tolist()


def test_domains_belong_to_one_class_each(full_corpus):
    table = full_corpus.train
    for domain, name in enumerate(table.domain_names):
        labels = np.unique(table.labels[table.domains == domain])
        assert [full_corpus.class_names[label] for label in labels] == [name.split(".")[0]]


def test_digest_of_classification_is_over_names_labels_domains_and_texts_alone(full_corpus):
    """The formula from before there were pairs and answers: old manifests still compare."""
    digest = hashlib.sha256("\x1f".join(full_corpus.class_names).encode())
    for table in (full_corpus.train, full_corpus.test):
        digest.update("\x1f".join(table.domain_names).encode())
        digest.update(table.labels.astype("<i8").tobytes())
        digest.update(table.domains.astype("<i8").tobytes())
        digest.update("".join(f"{text}\x1e" for text in table.texts).encode())
    assert full_corpus.digest == digest.hexdigest()


@pytest.fixture(scope="module")
def written(cache_dir, full_corpus):
    del full_corpus  # which has harvested
    return load_corpus(DocstringsData(task="generation"), cache_dir=cache_dir)


def test_answers_are_the_summaries_of_signatures(written, full_corpus):
    for table, whole in ((written.train, full_corpus.train), (written.test, full_corpus.test)):
        assert 0.5 * len(whole) < len(table) < len(whole)
        assert set(table.responses) < set(whole.texts)
        assert all(re.fullmatch(r"def \w+\(.*\)", text) for text in table.texts)
        np.testing.assert_array_equal(np.unique(table.labels), np.arange(8))
        label_of = dict(zip(whole.texts, whole.labels, strict=True))
        assert [label_of[text] for text in table.responses] == table.labels.tolist()


def test_folds_of_answers_are_those_of_the_summaries(written):
    assert not any(docstrings.is_test_text(text) for text in written.train.responses)
    assert all(docstrings.is_test_text(text) for text in written.test.responses)
    assert set(written.train.responses).isdisjoint(written.test.responses)
    assert written.num_test_texts_in_train == 0
    expected = [docstrings.is_held_out_text(text) for text in written.train.responses]
    np.testing.assert_array_equal(written.train.may_test, expected)


def test_signatures_have_names_alone():
    found = {
        item.docstring.partition("\n")[0]: item.signature
        for item in harvest.read_docstrings("networkx", ["utils/misc.py"])
    }
    signature = found[inspect.getdoc(misc.flatten).partition("\n")[0]]
    assert signature == f"def flatten({', '.join(inspect.signature(misc.flatten).parameters)})"
    assert "" in found.values(), "modules and classes have none"


def test_rejected_summaries_are_those_of_other_functions(written, cache_dir):
    config = DocstringsData(task="generation", rejected="other_summary")
    corpus = load_corpus(config, cache_dir=cache_dir)
    for table, plain in ((corpus.train, written.train), (corpus.test, written.test)):
        assert table.responses == plain.responses
        pairs = list(zip(table.responses, table.rejected, strict=True))
        assert all(own.casefold() != other.casefold() for own, other in pairs)
        assert set(table.rejected) <= set(table.responses)
        # about 1 - 1/e of all are some text's other summary where they are drawn at random
        assert len(set(table.rejected)) > 0.5 * len(table)
    assert load_corpus(config, cache_dir=cache_dir).digest == corpus.digest


def test_another_summary_never_reads_the_same():
    same = ["Return all.", "return ALL."]
    assert docstrings.other_summaries([*same, "Plot it."])[:2] == ("Plot it.", "Plot it.")
    with pytest.raises(DataError, match=r"data\.rejected: needs two different summaries, got 1"):
        docstrings.other_summaries(same)
