"""Where jobs are computed and in which numbers: what of a run stays, what the manifest says."""

import csv
import json
import sys

import pytest
import torch

from scenarios import run
from scenarios.cli import main
from scenarios.errors import ScenarioError
from scenarios.load import load
from tests.scenarios.conftest import options
from tests.scenarios.test_earlier_runs import BASE, rows

TRAINED = (*BASE, "seeds=[1]", "training={local_steps: 2, batch_size: 4}", "server.num_rounds=2")
HALF = ("training.autocast=bf16",)
OF_VALUES = ("loss", "accuracy", "value", "nats")
"""Parts of the names of columns that hold what models learn."""


def run_entries(folder):
    return json.loads((folder / "manifest.json").read_text())["runs"]


def costs(folder):
    """All rows, without the columns of what models learn."""
    found = {}
    for path in sorted(folder.rglob("*.csv")):
        with path.open(encoding="utf-8") as file:
            found[path.relative_to(folder)] = [
                {k: v for k, v in row.items() if not any(part in k for part in OF_VALUES)}
                for row in csv.DictReader(file)
            ]
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(load("quickstart", list(TRAINED)), out=tmp_path_factory.mktemp("plain")).folder


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    study = load("quickstart", [*TRAINED, *HALF])
    return run(study, out=tmp_path_factory.mktemp("half")).folder


def test_half_precision_changes_what_is_learnt_and_no_cost(plain, half):
    assert rows(half) != rows(plain)
    assert costs(half) == costs(plain)
    assert {(each["device"], each["matrix_products"]) for each in run_entries(plain)} == {
        ("cpu", "fp32")
    }
    assert {(each["device"], each["matrix_products"]) for each in run_entries(half)} == {
        ("cpu", "bf16")
    }


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_executors_give_the_same_rows_in_half_precision(executor, half, tmp_path):
    study = load("quickstart", [*TRAINED, *HALF])
    again = run(study, out=tmp_path, executor=executor, checkpointing=True)
    assert rows(again.folder) == rows(half)
    assert all(each["checkpointing"] for each in run_entries(again.folder))


def test_a_cohort_trains_in_half_precision(half, tmp_path):
    study = load("quickstart", [*TRAINED, *HALF])
    cohort = run(study, out=tmp_path, executor="cohort", cohort=2)
    assert costs(cohort.folder) == costs(half)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--device", "tpu"), "device: must be auto, cpu, cuda, cuda:N or mps, got 'tpu'"),
        (
            ("--executor", "ray", "--device", "auto"),
            "device: auto is not known for nodes of a cluster; name it",
        ),
        (
            ("--executor", "ray", "--device", "cuda"),
            "device: cuda needs ray_gpus above 0 with executor ray, jobs see no GPU otherwise",
        ),
        (
            ("--executor", "ray", "--ray-gpus", "0.5"),
            "ray_gpus: has no effect with device cpu, got 0.5; give device cuda",
        ),
        (
            ("--executor", "cohort", "--compile"),
            "compile: has no effect with executor cohort, which calls layers for several clients",
        ),
        (
            ("--checkpointing", "--set", "methods=[{kind: prefix_tuning}]"),
            "checkpointing: does not go with prefix_tuning: its layers keep things of a pass",
        ),
        (
            ("--checkpointing", "--set", "training.mode=none"),
            "checkpointing: has no effect where training.mode is none",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_one_line(words, told, tmp_path, capsys):
    command = ["run", "quickstart", *options(TRAINED), "--out", str(tmp_path), *words]
    assert main(command) == 2
    assert capsys.readouterr().err == f"airtune: {told}\n"
    assert not list(tmp_path.iterdir())


def test_a_device_that_is_not_here_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    command = ["run", "quickstart", *options(TRAINED), "--out", str(tmp_path), "--device", "cuda"]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert told.startswith("airtune: device: cuda is not here: torch ")
    assert told.count("\n") == 1
    assert not list(tmp_path.iterdir())


QUANTIZED = "training.frozen_weights=nf4"


def test_quantised_weights_without_the_package_are_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    command = ["run", "quickstart", *options((*TRAINED, QUANTIZED)), "--out", str(tmp_path)]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert told.startswith("airtune: training.frozen_weights: the package bitsandbytes is needed (")
    assert told.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_quantised_weights_change_what_is_learnt_and_no_cost(plain, tmp_path):
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: airtune[quantized]")
    study = load("quickstart", [*TRAINED, QUANTIZED])
    inline = run(study, out=tmp_path / "inline")
    assert rows(inline.folder) != rows(plain)
    assert costs(inline.folder) == costs(plain)
    told = {each["frozen_weights"] for each in run_entries(inline.folder)}
    assert all(each.startswith("nf4, bitsandbytes ") for each in told)
    process = run(study, out=tmp_path / "process", executor="process", workers=1)
    assert rows(process.folder) == rows(inline.folder)


def test_quantised_weights_need_a_method_that_leaves_some_frozen(tmp_path, capsys):
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: airtune[quantized]")
    words = options((*TRAINED, QUANTIZED, "methods=[{kind: full}]"))
    assert main(["run", "quickstart", *words, "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "training.frozen_weights: no linear layer stays frozen that can be" in told
    assert not list(tmp_path.iterdir())


def test_numbers_of_matrix_products_are_checked():
    with pytest.raises(ScenarioError, match="autocast"):
        load("quickstart", [*TRAINED, "training.autocast=int8"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is at hand: torch sees none")
@pytest.mark.parametrize("more", [{}, {"executor": "process"}, {"executor": "cohort"}])
@pytest.mark.parametrize("settings", [(), HALF])
def test_on_a_gpu_costs_are_those_of_the_cpu(more, settings, plain, tmp_path):
    study = load("quickstart", [*TRAINED, *settings])
    away = run(study, out=tmp_path, device="cuda", **more)
    assert costs(away.folder) == costs(plain)
    assert {each["device"] for each in run_entries(away.folder)} == {"cuda"}
