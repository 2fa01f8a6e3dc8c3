import dataclasses
import json

import pytest

from analysis.load import load_results
from tests.analysis.rewarded import write_rewarded
from tests.analysis.synthetic import METHODS, without_metrics, write_results

SLOWER = {("pftt_r8", "real"): 30.0}
"""Seconds of computing a round, where they are not those of the method."""


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Four methods, three seeds; one never meets the target, one run was killed."""
    return write_results(tmp_path_factory.mktemp("study"), cut={("fedtt_r5", 3): 9})


@pytest.fixture(scope="session")
def results(study):
    return load_results(study)


@pytest.fixture(scope="session")
def in_cases(tmp_path_factory):
    """Two methods in two cases; in the second one, the first of the two computes longer."""
    methods = [method for method in METHODS if method.name in ("pftt_r8", "fedtt_r5")]
    variants = [
        dataclasses.replace(
            method,
            name=f"{method.name}--case={case}",
            compute_s=SLOWER.get((method.name, case), method.compute_s),
        )
        for method in methods
        for case in ("ideal", "real")
    ]
    folder = write_results(tmp_path_factory.mktemp("cases"), methods=variants, num_rounds=25)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for entry in manifest["variants"]:
        case = entry["name"].partition("--case=")[2]
        entry["knobs"] = {"case": case}
        entry["label"] = f"{entry['label']} ({case})"
    path.write_text(json.dumps(manifest))
    return load_results(folder)


@pytest.fixture(scope="session")
def rewarded(tmp_path_factory):
    """The first variant parts by preference, the second does not, the third has no rewards."""
    return load_results(write_rewarded(tmp_path_factory.mktemp("rewards")))


@pytest.fixture(scope="session")
def timing(tmp_path_factory):
    """Two methods, three seeds; nothing was trained."""
    folder = write_results(tmp_path_factory.mktemp("timing"), methods=METHODS[1:3])
    return load_results(without_metrics(folder))
