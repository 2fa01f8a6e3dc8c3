import numpy as np
import pytest

from fl.data.corpus import TextTable, build_corpus, text_hash
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
