"""Built-in pairs: what makes the worse answer worse, and that held-out pairs stay apart."""

from collections import Counter

import numpy as np
import pytest

from fl.data import docstrings
from fl.data.table import TextTable
from fl.rewards.docstring_pairs import (
    HELD_OUT_TEMPLATES,
    TEMPLATES,
    built_in_pairs,
    private_names,
    right_summaries,
)
from fl.rewards.pairs import split_apart
from fl.rewards.rules import PRIVATE_NAME


def table(num=60, *, order=None):
    rows = np.arange(num) if order is None else order
    names = [f"_fetch{row}" if row % 2 else f"fetch{row}" for row in rows]
    return TextTable(
        texts=tuple(f"def {name}(x)" for name in names),
        responses=tuple(f"Fetch the values of {row} and return them all." for row in rows),
        labels=np.zeros(num, dtype=np.int64),
        domains=np.array([row % 4 // 2 for row in rows]),
        domain_names=("a", "b"),
    )


def test_a_wrong_summary_is_that_of_another_function():
    found = right_summaries(table(), draws=3)
    assert len(found) == 180
    right = dict(zip(table().texts, table().responses, strict=True))
    for prompt, chosen, rejected in found.rows():
        assert chosen == right[prompt]
        assert rejected != chosen
        assert rejected in right.values()
    assert max(Counter(found.rejected).values()) < 25


def test_a_function_of_the_same_signature_or_summary_gives_no_wrong_summary():
    same = TextTable(
        texts=("def f(x)", "def f(x)", "def g(x)", "def h(x)"),
        responses=("One of them.", "Two of them.", "one of THEM.", "Three of them."),
        labels=np.zeros(4, dtype=np.int64),
    )
    found = right_summaries(same, draws=8)
    assert {each for prompt, _, each in found.rows() if prompt == "def f(x)"} <= {
        "one of THEM.",
        "Three of them.",
    }
    assert {each for prompt, _, each in found.rows() if prompt == "def g(x)"} == {
        "Two of them.",
        "Three of them.",
    }
    with pytest.raises(ValueError, match="no function has another"):
        right_summaries(same.take(np.array([0, 1])))


@pytest.mark.parametrize("make", [right_summaries, lambda each: private_names(each, TEMPLATES)])
def test_pairs_depend_on_no_order(make):
    other = table(order=np.random.default_rng(1).permutation(60))
    assert set(make(table()).rows()) == set(make(other).rows())


@pytest.mark.parametrize("templates", [TEMPLATES, HELD_OUT_TEMPLATES])
def test_only_worse_answers_have_private_names_of_their_submodule(templates):
    found = private_names(table(), templates)
    assert len(found) == 60
    num_plain = 0
    for prompt, chosen, rejected in found.rows():
        is_odd = int(prompt.partition("fetch")[2].partition("(")[0]) % 4 // 2
        names = PRIVATE_NAME.findall(rejected)
        assert names
        assert {int(name[6:]) % 4 // 2 for name in names} == {is_odd}
        assert not PRIVATE_NAME.search(chosen)
        num_plain += "Fetch the values" in chosen and len(chosen.split()) == 9
    assert 10 < num_plain < 35  # the other better answers name something as well


def test_summaries_with_private_names_of_their_own_are_left_out():
    leaking = table(4)
    leaking = TextTable(
        texts=leaking.texts,
        responses=("Calls _fetch1.", *(leaking.responses or ())[1:]),
        labels=leaking.labels,
        domains=leaking.domains,
        domain_names=leaking.domain_names,
    )
    assert "def fetch0(x)" not in private_names(leaking, TEMPLATES).prompts


def test_no_held_out_template_is_trained_on():
    bare = [
        template.format(text="", name="", other="", before="", after="").strip(" .,:()")
        for template in (*TEMPLATES, *HELD_OUT_TEMPLATES)
    ]
    wordy = [each for each in bare if any(letter.isalpha() for letter in each)]
    assert len(set(wordy)) == len(wordy) >= 15


@pytest.mark.parametrize("name", ["right_summaries", "private_names"])
def test_pairs_of_installed_packages(name, tmp_path, monkeypatch):
    places = {"networkx": ("utils",), "numpy": ("linalg", "fft", "polynomial", "ma")}
    monkeypatch.setattr(docstrings, "PLACES", places)
    monkeypatch.setattr(docstrings, "CLASS_NAMES", tuple(places))
    train, test = built_in_pairs(name, cache_dir=tmp_path)
    found = split_apart(train, test, key="k")
    assert len(found.train) > 100
    assert len(found.test) > 20
    if name == "right_summaries":
        assert all(docstrings.is_held_out_text(text) for text in test.chosen)
        assert not any(docstrings.is_held_out_text(text) for text in train.chosen)
    texts = {text for part in (train, test) for text in (*part.chosen, *part.rejected)}
    assert not any(docstrings.is_test_text(text) for text in texts) or name == "private_names"
