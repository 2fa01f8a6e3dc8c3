"""A study with a store of results: the same rows, and nothing is trained twice."""

import json

import pytest

from scenarios import run
from scenarios.errors import ScenarioError
from scenarios.load import load
from tests.scenarios.conftest import SMALL, STUDY

CASES = "cases={narrow: {radio.bandwidth_hz: 10e6}, wide: {radio.bandwidth_hz: 20e6}}"


@pytest.fixture(scope="module")
def study():
    return load(STUDY, [*SMALL, "seeds=[1]", "methods=[{kind: pftt}]", CASES])


def files_of(result):
    folder = result.folder
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.csv"))}


def jobs_of(result):
    runs = json.loads((result.folder / "manifest.json").read_text())["runs"]
    return [(entry["num_jobs_submitted"], entry["num_jobs_computed"]) for entry in runs]


def test_cases_that_train_alike_train_once_and_their_rows_are_the_same(study, tmp_path):
    plain = run(study, out=tmp_path / "plain")
    stored = run(study, out=tmp_path / "stored", store=tmp_path / "store")
    again = run(study, out=tmp_path / "again", store=tmp_path / "store")
    assert files_of(plain) == files_of(stored) == files_of(again)
    (submitted, computed), other = jobs_of(plain)
    assert computed == submitted > 0
    assert other == (submitted, submitted)
    assert jobs_of(stored) == [(submitted, submitted), (submitted, 0)]
    assert jobs_of(again) == [(submitted, 0)] * 2


def test_a_store_that_cannot_be_made_leaves_nothing(study, tmp_path):
    (tmp_path / "store").write_text("a file")
    with pytest.raises(ScenarioError, match="store: must be a folder that can be written, got"):
        run(study, out=tmp_path / "out", store=tmp_path / "store")
    assert not (tmp_path / "out").exists()
