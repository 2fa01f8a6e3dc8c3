"""A study whose clients are trained several at once: rows of an inline one, but for rounding."""

import csv
import json

import pytest

from scenarios import run
from scenarios.load import load
from tests.scenarios.test_earlier_runs import BASE

STUDY = (
    *BASE,
    "seeds=[1]",
    "training={local_epochs: 1, local_steps: null, batch_size: 4}",
    "server.num_rounds=2",
    "methods=[{kind: fedit}]",
)
EXACT = (
    "round", "started_at_s", "finished_at_s", "client_id", "outcome", "download_s", "compute_s",
    "upload_s", "compute_j", "energy_j", "uplink_bytes",
)  # fmt: skip
"""Columns that no rounding of training reaches."""


def rows_of(folder, name):
    [path] = folder.glob(f"*/seed1/{name}.csv")
    with path.open() as file:
        return list(csv.DictReader(file))


def test_rows_are_those_of_inline_but_for_rounding(tmp_path):
    study = load("quickstart", list(STUDY))
    inline = run(study, out=tmp_path / "inline")
    cohort = run(study, out=tmp_path / "cohort", executor="cohort", cohort=3)
    assert (inline.failures, cohort.failures) == ((), ())
    losses = 0
    for name in ("rounds", "clients"):
        found, wanted = rows_of(cohort.folder, name), rows_of(inline.folder, name)
        assert len(found) == len(wanted) > 0
        for one, other in zip(found, wanted, strict=True):
            assert one.keys() == other.keys()
            for key in one.keys() & set(EXACT):
                assert one[key] == other[key]
            for key in (each for each in one if each.endswith("loss") and one[each]):
                assert float(one[key]) == pytest.approx(float(other[key]), rel=1e-3)
                losses += 1
    assert losses
    [told] = json.loads((cohort.folder / "manifest.json").read_text())["runs"]
    assert told["executor"] == "cohort of at most 3"
    [told] = json.loads((inline.folder / "manifest.json").read_text())["runs"]
    assert told["executor"] == "inline"
