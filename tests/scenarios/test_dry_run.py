"""What a study would take: scaled by hand, and on a small study."""

import json
from types import SimpleNamespace

import pytest

from scenarios.cli import main
from scenarios.dry_run import StudyEstimate, VariantEstimate, scaled

SMALL = [
    "quickstart",
    "--set=methods=[{kind: head}, {kind: fedit}]",
    "--set=data.max_train_texts=120",
    "--set=data.max_test_texts=40",
    "--set=clients.num_clients=4",
    "--set=server.policy.num_clients=2",
    "--set=training.local_steps=1",
    "--set=server.num_rounds=40",
    "--set=server.evaluate_every=20",
]


@pytest.mark.parametrize(
    ("num_rounds", "every", "evaluations", "times"),
    [(40, 20, 3 / 2, 20), (40, 1, 41 / 3, 20), (7, 3, 4 / 2, 3.5), (1, 1, 1, 1)],
)
def test_rounds_and_evaluations_are_scaled_and_the_start_is_not(
    num_rounds, every, evaluations, times
):
    server = SimpleNamespace(num_rounds=num_rounds, evaluate_every=every)
    entry = {
        "host_start_s": 3.0,
        "host_train_s": 10.0,
        "host_eval_s": 6.0,
        "host_write_s": 0.5,
        "host_total_s": 20.0,
    }
    found = scaled("one", server, entry)
    assert found.host_s == pytest.approx(
        {
            "starting": 3.0,
            "training": 10.0 * times,
            "evaluation": 6.0 * evaluations,
            "writing rows": 0.5 * times,
            "simulation": 0.5 * times,
        }
    )
    assert found.total_s == pytest.approx(sum(found.host_s.values()))


def test_a_study_is_all_runs_and_no_shorter_than_its_longest():
    made = [
        VariantEstimate(variant=name, num_rounds=9, host_s={"training": each})
        for name, each in (("a", 10.0), ("b", 70.0))
    ]
    study = StudyEstimate(variants=made, num_seeds=2, jobs=3, memory_bytes=2_000_000_000)
    assert study.total_s == 160.0
    assert study.wall_s == 70.0
    assert study.lines() == [
        "b: about 1 min 10 s a run of 9 rounds: training 1 min 10 s",
        "a: about 10 s a run of 9 rounds: training 10 s",
        "4 runs: about 2 min 40 s one after the other, 1 min 10 s with --jobs 3; 2.0 GB a process",
    ]


def test_a_dry_run_says_what_all_takes_and_keeps_nothing(tmp_path, capsys):
    assert main(["run", *SMALL, "--dry-run", "--json", f"--out={tmp_path}"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["variant"] for each in found["variants"]] == ["Head", "FedIT"]
    for each in found["variants"]:
        assert each["num_rounds"] == 40
        assert each["host_s"]["training"] > 0
        assert each["host_total_s"] == pytest.approx(sum(each["host_s"].values()))
    each_s = [each["host_total_s"] for each in found["variants"]]
    assert found["num_seeds"] == 2
    assert found["host_total_s"] == pytest.approx(2 * sum(each_s))
    assert found["memory_bytes"] > 10**8
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flag", ["--overwrite", "--store=here"])
def test_what_has_no_effect_is_refused(flag, capsys):
    assert main(["run", "quickstart", "--dry-run", flag]) == 2
    assert "has no effect with --dry-run" in capsys.readouterr().err
