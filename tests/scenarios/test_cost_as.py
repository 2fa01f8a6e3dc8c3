"""``model.cost_as`` from the file to rows, manifest, tables and ``validate``."""

import csv
import json

import pytest

from analysis.load import load_results
from analysis.tables import summary_table
from scenarios.cli import main
from scenarios.errors import ScenarioError
from scenarios.load import load
from scenarios.run import cost_label, run
from scenarios.single import COST_FILES
from scenarios.variants import variants
from tests.scenarios.conftest import SMALL, STUDY, options

ONE = (*SMALL, "seeds=[1]", "methods=[{kind: fedit, rank: 2}]")
SIZES = {
    "model_type": "bert",
    "vocab_size": 100,
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "max_position_embeddings": 64,
}


@pytest.fixture
def larger(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(SIZES), encoding="utf-8")
    return path


def test_rows_manifest_and_tables_say_whose_costs_they_hold(larger, tmp_path):
    result = run(load(STUDY, [*ONE, f"model.cost_as={larger}"]), out=tmp_path / "out")
    assert result.status == "done"
    for name in (each for each in COST_FILES if each != "questions"):
        with (result.folder / "fedit" / "seed1" / f"{name}.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert rows
        assert {row["cost_as"] for row in rows} == {str(larger)}
    read = load_results(result.folder)
    assert read.cost_label == f"as {larger}"
    assert f"Costs as {larger}." in summary_table(read).notes
    # Four blocks, query and value, A and B of rank 2 and width 256; head of 8 classes.
    numbers = 4 * 2 * 2 * 2 * 256 + 8 * 256 + 8
    uploads = read.transfers[read.transfers["direction"] == "uplink"]
    assert (uploads["size_bytes"] - 4 * numbers).between(0, 4096).all()


def test_without_it_no_file_has_a_column_more(tmp_path):
    result = run(load(STUDY, list(ONE)), out=tmp_path / "out")
    header = (result.folder / "fedit" / "seed1" / "rounds.csv").read_text().splitlines()[0]
    assert "cost_as" not in header
    assert json.loads((result.folder / "manifest.json").read_text())["cost_label"] is None


def test_variants_that_differ_in_it_are_told_apart_by_their_labels():
    found = variants(load(STUDY, [*ONE, "matrix={model.cost_as: [null, gpt2]}"]))
    assert cost_label(found) == "as gpt2 where cost_as says so"
    assert [each.label for each in found] == ["FedIT (cost as none)", "FedIT (cost as gpt2)"]


def test_validate_shows_both_models(larger, capsys):
    words = options([*ONE, f"model.cost_as={larger}"])
    assert main(["validate", STUDY, *words, "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)["costs"]
    assert (facts["model"], facts["cost_as"]) == ("tiny-encoder", str(larger))
    assert facts["charged"]["num_trainable"] == 4 * 2 * 2 * 2 * 256 + 8 * 256 + 8
    for key in ("num_trainable", "upload_bytes", "largest_step_flop", "peak_memory_bytes"):
        assert facts["charged"][key] > facts["trained"][key]


@pytest.mark.parametrize(
    ("cost_as", "rule"),
    [
        ("tiny-encoder", "model.cost_as: has no effect: tiny-encoder is the model that trains"),
        ("./nowhere.json", "model.cost_as: there is no folder"),
    ],
)
def test_names_of_nothing_are_refused_when_the_file_is_read(cost_as, rule):
    with pytest.raises(ScenarioError, match=rule):
        load(STUDY, [*ONE, f"model.cost_as={cost_as}"])


def test_a_configuration_without_a_key_is_bad_input(larger, capsys):
    sizes = {key: value for key, value in SIZES.items() if key != "num_hidden_layers"}
    larger.write_text(json.dumps(sizes), encoding="utf-8")
    assert main(["validate", STUDY, *options([*ONE, f"model.cost_as={larger}"])]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "model.cost_as: the configuration of" in line
    assert line.endswith("(bert) lacks num_hidden_layers")


def test_a_device_too_small_for_the_larger_model_is_refused(capsys):
    settings = [
        *ONE,
        "methods=[{kind: full}]",
        "model.cost_as=gpt2",
        "clients.devices={phone_low: 1}",
    ]
    assert main(["validate", STUDY, *options(settings)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert " as gpt2 needs " in line
    assert "but phone_low has 0.8 GB" in line
