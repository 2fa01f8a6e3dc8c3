import dataclasses
import json
import math

import pandas as pd
import pytest

from analysis.load import load_results
from tests.analysis.rewarded import write_rewarded
from tests.analysis.synthetic import METHODS, without_metrics, write_results

SLOWER = {("pftt_r8", "real"): 30.0}
"""Seconds of computing a round, where they are not those of the method."""
EPSILONS = {
    ("fedtt_r5", "ideal"): 1.0,
    ("fedtt_r5", "real"): 10.0,
    ("pftt_r8", "ideal"): math.nan,
    ("pftt_r8", "real"): 100.0,
}
"""At the end of runs that are protected."""


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
def finetuned(in_cases):
    """Of two methods in two cases, one has a global model that clients tune at the end."""
    rows = in_cases.evaluations
    last = rows["round"] == rows["round"].max()
    of_global = rows[(rows["split"] == "global") & rows["variant"].str.startswith("fedtt") & last]
    tuned = of_global.assign(split="finetuned", mean=of_global["mean"] + 0.02)
    return dataclasses.replace(in_cases, evaluations=pd.concat([rows, tuned], ignore_index=True))


@pytest.fixture(scope="session")
def rewarded(tmp_path_factory):
    """The first variant parts by preference, the second does not, the third has no rewards."""
    return load_results(write_rewarded(tmp_path_factory.mktemp("rewards")))


@pytest.fixture(scope="session")
def timing(tmp_path_factory):
    """Two methods, three seeds; nothing was trained."""
    folder = write_results(tmp_path_factory.mktemp("timing"), methods=METHODS[1:3])
    return load_results(without_metrics(folder))


@pytest.fixture(scope="session")
def private(in_cases):
    """Three variants promise an epsilon, each another, and one does not."""
    rows = []
    for variant in in_cases.variants:
        method, _, case = variant.name.partition("--case=")
        for seed in (1, 2, 3):
            rows += _privacy_rows(variant.name, seed, EPSILONS[method, case])
    return dataclasses.replace(in_cases, privacy=pd.DataFrame(rows))


def _privacy_rows(variant, seed, epsilon):
    """Two rounds: 3 of 4, then 1 of 6 changes shortened; epsilon grows."""
    shared = {"variant": variant, "seed": seed, "level": "client",
              "client_id": float("nan"), "num_drawn": 6, "num_candidates": 12,
              "median_norm": 0.4, "noise_std": 0.5, "delta": 1e-3}  # fmt: skip
    first = {"round": 1, "num_merged": 4, "num_clipped": 3, "epsilon": epsilon / 2}
    second = {"round": 2, "num_merged": 6, "num_clipped": 1, "epsilon": epsilon}
    return [shared | first, shared | second]
