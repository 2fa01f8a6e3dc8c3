from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fl.data.config import DocstringsData, FilesData
from fl.data.corpus import build_corpus, load_corpus
from fl.data.table import TextTable, text_hash
from fl.problems import DataError


def table_of(texts, labels):
    return TextTable(texts=tuple(texts), labels=np.array(labels, dtype=np.int64))


def test_empty_and_one_class_tables_are_refused():
    both, none = table_of("ab", [0, 1]), table_of("", [])
    with pytest.raises(DataError, match="letters has no training text"):
        build_corpus(name="letters", class_names=("x", "y"), train=none, test=both)
    with pytest.raises(DataError, match="letters has no test text"):
        build_corpus(name="letters", class_names=("x", "y"), train=both, test=none)
    with pytest.raises(DataError, match=r"at least 2 classes .* got only 'y'"):
        build_corpus(name="letters", class_names=("x", "y"), train=table_of("a", [1]), test=both)


def test_digest_tells_texts_apart_where_their_joins_agree():
    test = table_of("ab", [0, 1])
    digests = {
        build_corpus(
            name="letters", class_names=("x", "y"), train=table_of(texts, [0, 1]), test=test
        ).digest
        for texts in (("ab", "c"), ("a", "bc"), ("c", "ab"))
    }
    assert len(digests) == 3


def test_text_hash_is_the_same_everywhere():
    # BLAKE2b with an 8-byte digest, read big-endian: RFC 7693 fixes it for every machine.
    assert text_hash("") == 0xE4A6A0577479B2B4


def test_test_texts_that_occur_in_training_are_counted_and_all_of_them_refused():
    train = table_of("abcd", [0, 1, 0, 1])
    apart, some = (
        build_corpus(name="letters", class_names=("x", "y"), train=train, test=test)
        for test in (table_of("ef", [0, 1]), table_of("aab?", [0, 1, 1, 0]))
    )
    assert (apart.num_test_texts_in_train, some.num_test_texts_in_train) == (0, 3)
    with pytest.raises(DataError, match=r"letters must have test texts .* got 2 of 2 that are"):
        build_corpus(
            name="letters", class_names=("x", "y"), train=train, test=table_of("cb", [0, 1])
        )


def table_file(folder, name, texts):
    file = folder / name
    labels = [len(text) % 2 for text in texts]
    pd.DataFrame({"text": texts, "label": labels}).to_csv(file, index=False)
    return str(file)


def corpora(config):
    return {fold: load_corpus(replace(config, fold=fold)) for fold in ("final", "tuning")}


@pytest.fixture
def files(tmp_path):
    words = [f"text {'x' * (index % 3)}{index}" for index in range(400)]
    return FilesData(
        train=table_file(tmp_path, "train.csv", words),
        test=table_file(tmp_path, "test.csv", ["one", "four"]),
    )


@pytest.mark.parametrize("source", ["files", "docstrings"])
def test_settings_are_chosen_on_texts_that_no_final_run_is_tested_on(source, files):
    both = corpora(files if source == "files" else DocstringsData())
    final, tuning = both["final"], both["tuning"]
    tested = set(final.test.texts)
    tested |= {
        text
        for text, may_test in zip(final.train.texts, final.train.may_test, strict=True)
        if may_test
    }
    assert tested
    chosen_on = {*tuning.train.texts, *tuning.test.texts}
    assert chosen_on
    assert not tested & chosen_on
    assert not set(tuning.train.texts) & set(tuning.test.texts)
    assert chosen_on <= set(final.train.texts)
    assert tuning.train.may_test is None
    assert 0.1 < len(tuning.test) / len(chosen_on) < 0.3
    assert tuning.digest != final.digest


def test_the_same_prompt_with_another_answer_is_another_text():
    def table(texts, responses):
        return TextTable(
            texts=tuple(texts), responses=tuple(responses), labels=np.zeros(len(texts), np.int64)
        )

    corpus = build_corpus(
        name="x", class_names=("all",), train=table("aab", "xyz"), test=table("aab", "xqq")
    )
    assert corpus.num_test_texts_in_train == 1


def test_digest_follows_pairs_and_answers():
    def digest(**columns):
        train = replace(table_of("ab", [0, 1]), **columns)
        return build_corpus(
            name="x", class_names=("x", "y"), train=train, test=table_of("cd", [0, 1])
        ).digest

    columns = [
        {},
        {"pairs": ("p", "q")},
        {"pairs": ("q", "p")},
        {"responses": ("p", "r")},
        {"pairs": ("p", "q"), "responses": ("p", "r")},
    ]
    assert len({digest(**each) for each in columns}) == len(columns)
