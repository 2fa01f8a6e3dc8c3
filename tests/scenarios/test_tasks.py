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
REWARDS = (
    "rewards={helpfulness: {kind: rule, rule: no_repetition}, "
    "safety: {kind: rule, rule: no_private_names}}"
)
INDEPENDENT = REWARDS.replace("}}", "}, independent: {kind: rule, rule: prompt_words}}")
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


def test_clients_learn_from_rewards_and_the_report_shows_it(tmp_path, capsys):
    own = (
        INDEPENDENT,
        "seeds=[1]",
        "server.metrics=[reward, independent_reward]",
        "server.generation={max_texts: 3, max_tokens: 4, num_kept: 1}",
        "methods=[{kind: pfit, num_blocks: 1, policy: {num_steps: 1, prompts_per_step: 1, "
        "num_completions: 2, max_new_tokens: 4}}]",
    )
    out = tmp_path / "out"
    assert main(["run", "quickstart", *options([*WRITE, *own]), "--out", str(out)]) == 0
    (folder,) = out.glob("*/pfit/seed1")
    manifest = json.loads((folder.parents[1] / "manifest.json").read_text())
    assert manifest["rewards"] == {"helpfulness": "rule", "safety": "rule", "independent": "rule"}
    with (folder / "rewards.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    weights = [float(row["helpfulness_weight"]) for row in rows if row["round"] == "0"]
    assert weights[0] == 0.0
    assert weights[-1] == 1.0
    assert {row["round"] for row in rows} == {"0", "1", "2"}
    with (folder / "evaluations.csv").open(newline="") as file:
        measured = [row for row in csv.DictReader(file) if row["metric"] == "independent_reward"]
    (last,) = (row for row in measured if (row["round"], row["split"]) == ("2", "personal"))
    own_means = [float(row["independent"]) for row in rows if row["round"] == "2"]
    assert float(last["mean"]) == pytest.approx(sum(own_means) / len(own_means), rel=1e-12)
    with (folder / "answers.csv").open(newline="") as file:
        answers = list(csv.DictReader(file))
    assert {row["client_id"] for row in answers} == {"", *(row["client_id"] for row in rows)}
    (report,) = out.glob("*/report.html")
    page = report.read_text(encoding="utf-8")
    assert "What models write, before and after" in page
    assert "Helpfulness and safety of every client" in page
    assert "independent reward, gain" in page


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
        (("server.metrics=[reward]",), "rewards: missing; it is required (a mapping of keys to"),
        (("methods=[{kind: pfit}]",), "rewards: missing; it is required (a mapping of keys to"),
        ((REWARDS,), "rewards: has no effect: no method learns from rewards"),
        (
            (INDEPENDENT, "methods=[{kind: pfit}]"),
            "rewards.independent: has no effect: server.metrics has no independent_reward",
        ),
        (
            (REWARDS, "server.metrics=[independent_reward]"),
            "rewards.independent: missing; the metric independent_reward is of it",
        ),
        (
            (INDEPENDENT.replace("prompt_words", "length"), "server.metrics=[independent_reward]"),
            "rewards.independent.num_words: must be given when rule is length",
        ),
        (
            (REWARDS.replace("no_repetition", "length"), "methods=[{kind: pfit}]"),
            "rewards.helpfulness.num_words: must be given when rule is length",
        ),
        (
            (REWARDS, "methods=[{kind: pfit, num_blocks: 3}]"),
            "num_blocks: must be <= 2, the blocks of the model, got 3",
        ),
        (
            (REWARDS, "methods=[{kind: pfit, policy: {num_completions: 1}}]"),
            "methods.0.policy.num_completions: must be at least 2",
        ),
        (
            (REWARDS, "methods=[{kind: pfit, exchange: none}]"),
            "methods.0.proximal_weight: has no meaning where exchange is none",
        ),
        (("methods=[{kind: feddpo}]",), "data.rejected: missing; feddpo learns from answers and"),
        (("data.rejected=other_summary",), "data.rejected: has no effect: no method learns from"),
        (
            ("methods=[{kind: pwff, alignment: {kind: dpo}}]",),
            "data.rejected: missing; pwff learns from answers and rejected ones",
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
