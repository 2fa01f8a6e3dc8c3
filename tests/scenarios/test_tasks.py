"""Sentence pairs and answers to prompts, from scenario file to report."""

import csv
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from scenarios.cli import main
from tests.scenarios.conftest import SMALL, options

WRITE = (
    *SMALL,
    "data.task=generation",
    "data.partition={kind: iid}",
    "data.max_train_texts=60",
    "data.max_test_texts=12",
    "model={name: tiny-decoder, max_tokens: 32}",
    "server=null",  # drops the targets of the quickstart
    "server={mode: sync, num_rounds: 2, policy: {kind: random, num_clients: 2}}",
    "methods=[{kind: fedit, rank: 2}]",
)
ANSWERS = "data={source: files, train: a.csv, test: b.csv, response: r, partition: {kind: iid}}"


def evaluations(folder):
    (path, *_) = sorted(folder.glob("*/fedit/seed1/evaluations.csv"))
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_answers_are_learned_written_and_reported(tmp_path, capsys):
    own = (
        "seeds=[1]",
        "server.targets={perplexity: 1000}",
        "server.metrics=[loss, rouge_l, exact_match]",
    )
    own += ("server.generation={max_texts: 3, max_tokens: 4}",)
    command = ["run", "quickstart", *options([*WRITE, *own]), "--out", str(tmp_path), "--json"]
    assert main(command) == 0
    answer = json.loads(capsys.readouterr().out)
    rows = evaluations(tmp_path)
    assert {(row["metric"], row["split"]) for row in rows} == {
        (metric, split)
        for metric in ("perplexity", "loss", "rouge_l", "exact_match")
        for split in ("global", "personal")
    }
    ranges = {"rouge_l": (0, 1), "exact_match": (0, 1), "loss": (0.5, 8.4)}
    for row in rows:
        low, high = ranges.get(row["metric"], (2, 4500))
        assert low <= float(row["mean"]) <= high
        if row["split"] == "personal" and ranges.get(row["metric"]) != (0, 1):
            assert float(row["worst10"]) >= float(row["mean"])
        if row["split"] == "global":
            assert int(row["n"]) == (3 if row["metric"] in ("rouge_l", "exact_match") else 12)
    assert main(["report", answer["folder"]]) == 0
    folder = Path(answer["folder"])
    (table,) = (folder / "tables").glob("to_perplexity_1000.md")
    assert "1 of 1" in table.read_text(), "the shipped model is below 1000 from the start"
    assert "perplexity ≤ 1000" in (folder / "report.html").read_text()
    assert (folder / "figures" / "rouge_l_global.png").is_file()


def write_pairs(folder):
    table = pd.DataFrame(
        [(f"thing number {n}", f"thing number {n if n % 2 else n + 1}", n % 2) for n in range(120)],
        columns=["first", "second", "same"],
    )
    table[:90].to_parquet(folder / "train.parquet")
    table[90:].to_parquet(folder / "test.parquet")
    return (
        f"data={{source: files, train: {folder}/train.parquet, test: {folder}/test.parquet, "
        "text: first, text_pair: second, label: same, partition: {kind: iid}}"
    )


def test_pairs_are_classified(tmp_path, capsys):
    own = ("data=null", write_pairs(tmp_path), "seeds=[1]", "methods=[{kind: fedit, rank: 2}]")
    base = [each for each in SMALL if not each.startswith("data.")]
    command = ["run", "quickstart", *options([*base, *own]), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    capsys.readouterr()
    assert {row["metric"] for row in evaluations(tmp_path / "out")} == {"accuracy"}


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        (
            ("server.targets={accuracy: 0.5}",),
            "must be one of loss, perplexity, rouge_l, exact_match, ",
        ),
        (("server.metrics=[accuracy]",), "server.metrics"),
        (("server.metrics=[choice_accuracy]",), "server.metrics: choice_accuracy needs 2 to 20"),
        (("model.chat_template=always",), "model.chat_template: the tokenizer of 'tiny-decoder'"),
        (("server.targets={rouge_l: 1.5}",), "server.targets.rouge_l: must be <= 1, got 1.5"),
        (
            ("server.generation={max_texts: 3}",),
            "server.generation: has no effect: none of rouge_l",
        ),
        (("model.pooling=cls",), "model.pooling: has no effect"),
        (("model.name=tiny-encoder",), "is a bert model, which writes no text"),
        (("methods=[{kind: pftt, head: shared}]",), "methods.0.head: has no effect"),
        (("methods=[{kind: fedtt, classifier: linear}]",), "methods.0.classifier: must be empty"),
        (("methods=[{kind: bitfit}]",), "LlamaModel has none"),
        (
            ("data=null", ANSWERS.replace("iid", "dirichlet")),
            "data.label: must name the column that texts are shared by",
        ),
    ],
)
def test_what_does_not_go_with_writing_is_one_clear_line(tmp_path, capsys, assignments, words):
    out = tmp_path / "out"
    code = main(["run", "quickstart", *options([*WRITE, *assignments]), "--out", str(out)])
    said = capsys.readouterr().err
    assert code == 2
    assert not out.exists()
    lines = [line for line in said.splitlines() if line.startswith("airtune: ")]
    assert len(lines) == 1
    assert words in lines[0]


@pytest.mark.parametrize("metric", ["loss", "perplexity", "rouge_l"])
def test_what_is_not_measured_of_classes_is_one_clear_line(tmp_path, capsys, metric):
    own = (*SMALL, "server.targets=null", f"server.targets={{{metric}: 0.5}}")
    assert main(["run", "quickstart", *options(own), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert f"server.targets.{metric}: must be one of accuracy (classification)" in said
    assert said.count("airtune: ") == 1


@pytest.fixture
def shared_data():
    beside = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("AIRTUNE_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set AIRTUNE_DATA to its folder")
    return folder


@pytest.mark.data
def test_paraphrases_of_mrpc_are_classified(tmp_path, capsys, shared_data):
    data = (
        f"data={{source: files, train: {shared_data}/mrpc_train.parquet, "
        f"test: {shared_data}/mrpc_test.parquet, text: sentence1, text_pair: sentence2, "
        "max_train_texts: 120, max_test_texts: 30, partition: {kind: iid}}"
    )
    base = [each for each in SMALL if not each.startswith("data.")]
    own = ("data=null", data, "model={name: minilm}", "seeds=[1]", "methods=[{kind: fedit}]")
    assert main(["run", "quickstart", *options([*base, *own]), "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert {row["metric"] for row in evaluations(tmp_path)} == {"accuracy"}


@pytest.mark.data
def test_answers_of_dolly_are_learned(tmp_path, capsys, shared_data):
    table = pd.read_parquet(shared_data / "dolly15k.parquet")
    table[:200].to_parquet(tmp_path / "train.parquet")
    table[200:230].to_parquet(tmp_path / "test.parquet")
    data = (
        f"data={{source: files, train: {tmp_path}/train.parquet, test: {tmp_path}/test.parquet, "
        "text: instruction, text_pair: input, response: output, label: category, "
        "partition: {kind: dirichlet, alpha: 5, min_texts: 10}}"
    )
    own = ("data=null", data, "seeds=[1]", "server.metrics=[rouge_l, loss]")
    base = [each for each in WRITE if not each.startswith("data")]
    assert main(["run", "quickstart", *options([*base, *own]), "--out", str(tmp_path / "o")]) == 0
    capsys.readouterr()
    assert {row["metric"] for row in evaluations(tmp_path / "o")} == {"rouge_l", "loss"}
