"""Settings of methods that change nothing are refused before anything runs, one line each."""

import pytest

from scenarios.errors import ScenarioError
from scenarios.load import load


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (
            "{kind: fedamole, assignment: random, balance_weight: null, mask_padding: false}",
            ["mask_padding: has no effect with assignment random and balance_weight null"],
        ),
        (
            "{kind: fedamole, assignment: homogeneous, max_experts: 20}",
            ["max_experts: has no effect with assignment homogeneous"],
        ),
        (
            "{kind: hetlora, rank: 4, min_rank: 4, gamma: 0.5, penalty_weight: 0.5}",
            [
                "gamma: has no effect with rank 4 and min_rank 4: no rank has a tail, got 0.5",
                "penalty_weight: has no effect with rank 4 and min_rank 4: no rank has a tail, got",
            ],
        ),
        (
            "{kind: hetlora, rank: 1, gamma: 0.5}",
            ["gamma: has no effect with rank 1 and min_rank 1: no rank has a tail, got 0.5"],
        ),
        (
            "{kind: fdlora, fusion_evaluations: 1, fusion_penalty: 0.5}",
            ["fusion_evaluations: must be >= 4, got 1"],
        ),
    ],
)
def test_a_setting_without_effect_is_refused(method, words):
    with pytest.raises(ScenarioError) as caught:
        load("quickstart", [f"methods=[{method}]"])
    assert len(caught.value.problems) == len(words)
    for line, expected in zip(caught.value.problems, words, strict=True):
        assert expected in line
        assert "\n" not in line


def test_normalised_steps_need_steps_that_differ():
    method = "methods=[{kind: head, normalise_steps: true}]"
    with pytest.raises(ScenarioError) as caught:
        load("quickstart", [method, "training.local_steps=4"])
    (line,) = caught.value.problems
    assert (
        "methods.0.normalise_steps: has no effect: every job makes training.local_steps = 4" in line
    )
    assert "\n" not in line
    scenario = load("quickstart", [method, "training={local_epochs: 1, batch_size: 4}"])
    assert scenario.methods[0].normalise_steps


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ("optimiser={kind: adamw}", "optimiser: must be sgd without momentum for scaffold, got ad"),
        ("optimiser={kind: sgd, momentum: 0.9}", "for scaffold, got sgd with momentum 0.9"),
        ("max_gradient_norm=2", "training.max_gradient_norm: must be left out for scaffold, got 2"),
    ],
)
def test_control_variates_need_plain_descent(training, words):
    settings = ["methods=[{kind: scaffold}]", "training.optimiser={kind: sgd}"]
    with pytest.raises(ScenarioError) as caught:
        load("quickstart", [*settings, f"training.{training}"])
    (line,) = caught.value.problems
    assert words in line
    assert load("quickstart", settings).methods[0].kind == "scaffold"
