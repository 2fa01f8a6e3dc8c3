"""Devices from the file to the rows: precision, and costs recomputed over a range of speeds."""

import csv
import json

import pytest

from analysis.device_range import device_table
from analysis.load import load_results
from scenarios.load import load
from scenarios.run import cost_label, run
from scenarios.single import COST_FILES
from scenarios.variants import variants
from tests.scenarios.conftest import SMALL, STUDY

ONE = (*SMALL, "seeds=[1]", "methods=[{kind: fedit, rank: 2, learning_rate: 1e-2}]")
LINKS = "network={kind: constant, uplink_rate_bps: 2e7, downlink_rate_bps: 5e7}"
"""Links of their own: a client's transfers do not meet those of others."""


def devices(speed, **more):
    figures = {"share": 1.0, "sustained_flop_per_s": speed, "compute_w": 3.0, "memory_bytes": 3e9}
    return "clients.devices=" + json.dumps({"mine": figures | more})


def rows_of(result, name):
    path = result.folder / "fedit" / "seed1" / f"{name}.csv"
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_recomputed_times_are_those_of_a_run_at_that_speed(tmp_path):
    """Exact where transfers do not meet; joules but for the tails of radios."""
    options = [*ONE, LINKS, "training.local_steps=8", "server.num_rounds=3"]
    taken, slow = (
        run(load("constant_rates", [*options, each]), out=tmp_path / name)
        for name, each in (
            ("taken", devices(4e9, low_flop_per_s=1e9)),
            ("slow", devices(1e9)),
        )
    )
    values = [float(row["mean"]) for row in rows_of(taken, "evaluations")
              if row["split"] == "personal"]  # fmt: skip
    target = max(values)
    assert values[0] < target  # met after a round or more
    (found,), (simulated,) = (
        device_table(load_results(each.folder), metric="accuracy", target=target).numbers.to_dict(
            "records"
        )
        for each in (taken, slow)
    )
    assert found["slow_at_s_mean"] == pytest.approx(simulated["at_s_mean"], rel=1e-9)
    assert found["slow_energy_j_mean"] == pytest.approx(simulated["energy_j_mean"], rel=0.05)
    assert found["at_s_mean"] < simulated["at_s_mean"]


def test_rows_and_tables_say_in_which_precision_costs_are(tmp_path):
    """Learning is the same; computing takes 10 / 15 of the time of a mid-range phone."""
    options = [*ONE, LINKS, "clients.devices={phone_mid: 1.0}", "clients.device_speed_sigma=0"]
    single, half = (
        run(load("constant_rates", [*options, f"clients.precision={each}"]), out=tmp_path / each)
        for each in ("fp32", "fp16")
    )
    for name in set(COST_FILES) - {"questions"}:  # nobody is asked
        assert {row["precision"] for row in rows_of(half, name)} == {"fp16"}
        assert "precision" not in rows_of(single, name)[0]
    assert load_results(half.folder).cost_label == "in fp16"
    assert {row["flop_per_s"] for row in rows_of(half, "devices")} == {"15000000000.0"}
    for before, after in zip(rows_of(single, "clients"), rows_of(half, "clients"), strict=True):
        assert float(after["compute_s"]) == pytest.approx(float(before["compute_s"]) / 1.5)
        assert after["train_loss"] == before["train_loss"]


def test_variants_of_other_precision_or_architecture_are_told_apart():
    one = [*ONE, "methods=[{kind: fedit, rank: 2}]"]
    found = variants(load(STUDY, [*one, "matrix={clients.precision: [fp32, int8]}"]))
    assert cost_label(found) == "in int8 where precision says so"
    both = [*one, "model.cost_as=gpt2", "clients.precision=fp16"]
    assert cost_label(variants(load(STUDY, both))) == "as gpt2, in fp16"
    assert cost_label(variants(load(STUDY, one))) is None
