"""Validating shows the classes of the data with their sizes, so that one too many is seen."""

import json

import pytest

from scenarios.cli import main
from scenarios.data_summary import MAX_CLASSES, summary_lines
from tests.scenarios.conftest import SMALL, STUDY, options


@pytest.fixture
def with_a_wrong_label(tmp_path):
    """Options for a study on texts of which one bears a label that is a slip."""
    for name, rows in (("train", range(60)), ("test", range(60, 80))):
        lines = [f"film {row} was seen\t{('neg', 'pos')[row % 2]}" for row in rows]
        (tmp_path / f"{name}.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    with (tmp_path / "train.tsv").open("a") as file:
        file.write("film of fog\tpos \n")
    files = f"train: {tmp_path}/train.tsv, test: {tmp_path}/test.tsv"
    data = f"data={{source: files, {files}, partition: {{kind: iid}}}}"
    settings = [*SMALL, "seeds=[1]", "methods=[{kind: head}]"]
    settings = [each for each in settings if not each.startswith("data")] + ["data=null", data]
    return options(settings)


def test_a_silent_extra_class_shows_with_its_count(with_a_wrong_label, capsys):
    assert main(["validate", STUDY, *with_a_wrong_label]) == 0, capsys.readouterr().err
    warning, _, *lines = capsys.readouterr().out.splitlines()
    assert warning.startswith("warning: ")  # of clients that few rounds leave untrained
    assert lines == [
        "train: 61 training texts, 20 test texts, 0 of them in training too; 3 classes:",
        "  neg   30 training  10 test",
        "  pos   30 training  10 test",
        "  pos    1 training   0 test",
        "  personal models are tested on 12 texts: 0 of them are trained on by the same client, "
        "0 by any",
    ]


def test_json_tells_the_classes_too(with_a_wrong_label, capsys):
    assert main(["validate", STUDY, *with_a_wrong_label, "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)["data"]
    assert facts["class_names"] == ["neg", "pos", "pos "]
    assert facts["num_train_texts_by_class"] == [30, 30, 1]
    assert facts["num_test_texts_by_class"] == [10, 10, 0]


def test_every_data_set_of_a_matrix_is_told_once(capsys):
    knob = "matrix={data.max_test_texts: [40, 50], server.num_rounds: [1, 2]}"
    settings = options([*SMALL, "methods=[{kind: head}]", knob])
    assert main(["validate", STUDY, *settings]) == 0, capsys.readouterr().err
    told = [line for line in capsys.readouterr().out.splitlines() if "test texts" in line]
    assert [line.split(", ")[1] for line in told] == ["40 test texts", "50 test texts"]


def facts(names, counts):
    return {
        "name": "x" * 300,
        "num_train_texts": sum(counts),
        "num_test_texts": len(counts),
        "num_test_texts_in_train": 0,
        "class_names": names,
        "num_train_texts_by_class": counts,
        "num_test_texts_by_class": [1] * len(counts),
    }


def test_of_many_classes_the_largest_and_the_smallest_are_listed():
    counts = [500 + number for number in range(999)]
    counts[700] = 1
    lines = summary_lines(facts([f"class {number}" for number in range(999)], counts))
    assert len(lines) == MAX_CLASSES + 2
    assert any(line.split() == ["class", "700", "1", "training", "1", "test"] for line in lines)
    assert any(line.startswith("  class 998 ") for line in lines)
    assert lines[-1] == "  and 959 classes with numbers of training texts between these"


def test_names_of_classes_are_shown_on_one_short_line():
    lines = summary_lines(facts(["a\nb\x1b[2J", "c" * 1_000_000], [1, 2]))
    assert all(len(line) < 160 and line.isprintable() for line in lines)
    assert lines[1].startswith(r"  a\nb\x1b[2J ")


def test_prompts_and_answers_have_no_classes():
    assert len(summary_lines(facts(["all"], [7]))) == 1
