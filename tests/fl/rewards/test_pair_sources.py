"""Tables of pairs: which are trained on, which are held out, and what is wrong with a table."""

import os
from pathlib import Path

import pytest

from fl.data.table import text_hash
from fl.problems import DataError
from fl.rewards.config import FolderReward, TrainedReward
from fl.rewards.pair_sources import load_pairs
from fl.rewards.pairs import Pairs, split_apart

HEADER = ("prompt", "chosen", "rejected", "part")
ROWS = [
    ("p1", "a", "b", "train"),
    ("p2", "a", "b", "train2"),
    ("p3", "a", "b", "test"),
    ("P3 ", "c", "d", "train"),
    ("p4", "same", "same", "train"),
    ("p5", "a", "b", "other"),
]


def load(path, **settings):
    return load_pairs(TrainedReward(pairs=path, **settings), key="rewards.safety")


def test_parts_choose_the_pairs_and_held_out_prompts_leave_training(write_table):
    path = write_table([HEADER, *ROWS])
    found = load(path, part="part", train_parts=("train", "train2"))
    assert list(found.train.rows()) == [("p1", "a", "b"), ("p2", "a", "b")]
    assert list(found.test.rows()) == [("p3", "a", "b")]
    assert found.dropped == {"equal answers": 1, "prompt held out": 1}


def test_without_parts_one_prompt_in_five_is_held_out(write_table):
    prompts = [f"prompt {row // 2}" for row in range(400)]
    path = write_table([HEADER[:3], *((prompt, "a", "b") for prompt in prompts)])
    found = load(path)
    assert len(found.train) + len(found.test) == 400
    assert 50 < len(found.test) < 110
    assert not set(found.train.prompts) & set(found.test.prompts)
    assert all(text_hash(prompt) % 5 == 0 for prompt in found.test.prompts)
    assert found.dropped["prompt held out"] == 0


def test_most_held_out_pairs_are_those_of_smallest_hash(write_table):
    rows = [(f"p{row}", "a", "b", "train" if row < 3 else "test") for row in range(40)]
    found = load(write_table([HEADER, *rows]), part="part", max_test_pairs=9).test
    turned = load(write_table([HEADER, *rows[::-1]]), part="part", max_test_pairs=9).test
    assert len(found) == 9
    assert found.prompts == turned.prompts[::-1]
    assert len(load(write_table([HEADER, *rows]), part="part").test) == 37


def test_the_digest_is_of_texts_and_of_what_is_held_out(write_table):
    path = write_table([HEADER, *ROWS])
    first = load(path, part="part").digest
    assert first == load(path, part="part").digest
    assert first != load(path, part="part", train_parts=("train2",)).digest
    path = write_table([HEADER, ("p1", "a", "x", "train"), *ROWS[1:]])
    assert first != load(path, part="part").digest


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([HEADER[:2], ("p", "a")], {}, r"^rewards\.safety\.pairs: .* has no column 'rejected'"),
        ([HEADER[:3], ("p", "a", "b")], {"part": "x"}, r"^rewards\.safety\.part: .* no column 'x'"),
        (
            [HEADER, *ROWS],
            {"part": "part", "train_parts": ("trian",)},
            r"^rewards\.safety\.train_parts: no row of .* is of part 'trian'; .*: other, test, tra",
        ),
        (
            [HEADER, ("p", "", "b", "x")],
            {},
            r"^rewards\.safety\.pairs: column 'chosen' of .* row 0",
        ),
        (
            [HEADER, *ROWS],
            {"part": "part", "train_parts": ("test",), "test_parts": ("test",)},
            r"^rewards\.safety\.pairs: there must be pairs to train on, got none$",
        ),
    ],
)
def test_faults_of_a_table_are_told_in_one_line(write_table, rows, settings, message):
    with pytest.raises(DataError, match=message):
        load(write_table(rows), **settings)


def test_a_table_that_is_not_there_is_named():
    with pytest.raises(DataError, match=r"^rewards\.safety\.pairs: no\.parquet does not exist$"):
        load("no.parquet")


def test_a_worse_answer_may_be_empty():
    train = Pairs(prompts=("p",), chosen=("a",), rejected=("",))
    test = Pairs(prompts=("q",), chosen=("a",), rejected=("b",))
    assert len(split_apart(train, test, key="k").train) == 1
    with pytest.raises(DataError, match=r"^k\.pairs: there must be pairs held out, got none$"):
        split_apart(train, test.take([]), key="k")


@pytest.mark.data
@pytest.mark.parametrize(("name", "num_shared"), [("helpful", 20), ("harmless", 83)])
def test_shared_prompts_of_hh_rlhf_are_left_out(name, num_shared):
    folder = os.environ.get("AIRTUNE_DATA")
    if folder is None:
        pytest.skip("AIRTUNE_DATA is not set")
    path = Path(folder) / f"hh_{name}_single_turn.parquet"
    config = FolderReward(path="unused", pairs=str(path), part="part")
    found = load_pairs(config, key="k")
    shared = found.dropped["prompt held out"]
    assert num_shared <= shared <= 2 * num_shared  # a prompt may have several pairs
    assert len(found.train) == {"helpful": 3997, "harmless": 3996}[name] - shared
