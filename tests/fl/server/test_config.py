"""Broken rules between the settings of the server and the rest of a scenario."""

import pytest

from fl.methods.fedit.config import FeditConfig
from fl.methods.local.config import LocalConfig
from fl.methods.pftt.config import PfttConfig
from fl.policies import RandomPolicyConfig
from fl.server.config import GenerationConfig, SyncServer, measured
from fl.server.rules import find_problems

POLICY = RandomPolicyConfig(num_clients=2)


def test_every_problem_of_the_server_is_found():
    policy = RandomPolicyConfig(num_clients=9)
    bad = SyncServer(
        num_rounds=2,
        policy=policy,
        targets={"speed": 0.5},
        target_split="global",
        evaluate_every=3,
    )
    paths = [
        problem.path[1:] for problem in find_problems(bad, num_clients=4, methods=[LocalConfig()])
    ]
    assert paths == [
        ("policy", "num_clients"),
        ("targets", "speed"),
        ("target_split",),
        ("evaluate_every",),
    ]
    idle = SyncServer(num_rounds=2, policy=policy, stop_at_targets=True, target_split="global")
    paths = [
        problem.path[1:] for problem in find_problems(idle, num_clients=9, methods=[FeditConfig()])
    ]
    assert paths == [("stop_at_targets",), ("target_split",)]
    cast = SyncServer(num_rounds=2, policy=policy, downlink="broadcast")
    (problem,) = find_problems(cast, num_clients=9, methods=[LocalConfig()])
    assert problem.path == ("server", "downlink")
    assert problem.message == "has no effect: nothing is sent by local; got broadcast"
    assert find_problems(cast, num_clients=9, methods=[LocalConfig(), PfttConfig()]) == []
    good = SyncServer(num_rounds=2, policy=policy, targets={"accuracy": 0.5})
    assert find_problems(good, num_clients=9, methods=[LocalConfig(), PfttConfig()]) == []


def problems(task="classification", **settings):
    config = SyncServer(**{"num_rounds": 3, "policy": POLICY, **settings})
    found = find_problems(config, num_clients=2, methods=[FeditConfig()], task=task)
    return {".".join(problem.path): problem.message for problem in found}


def test_what_is_measured_is_what_is_asked_for_or_the_usual():
    def of(task="classification", **settings):
        return measured(SyncServer(num_rounds=1, policy=POLICY, **settings), task)

    assert of() == ("accuracy",)
    assert of("generation") == ("loss", "perplexity")
    assert of(targets={"loss": 1.0}, metrics=("accuracy", "loss")) == ("loss", "accuracy")


def test_the_edges_of_what_is_allowed_are_allowed():
    assert problems(evaluate_every=3) == {}
    assert "must be <= num_rounds = 3, got 4" in problems(evaluate_every=4)["server.evaluate_every"]
    assert problems(targets={"accuracy": 1.0}, stop_at_targets=True, target_split="global") == {}
    assert problems("generation", targets={"loss": 7.5}) == {}  # no fraction
    assert problems(targets={"accuracy": 1.5}) == {
        "server.targets.accuracy": "must be <= 1, got 1.5"
    }


@pytest.mark.parametrize(
    ("task", "right", "metric"),
    [("classification", "accuracy", "rouge_l"), ("generation", "loss", "accuracy")],
)
def test_metrics_are_those_of_the_task(task, right, metric):
    (message,) = problems(task, metrics=(right, metric)).values()
    assert message.startswith("must be one of ")
    assert message.endswith(f"({task}), got {metric}")
    assert list(problems(task, metrics=(right, metric))) == ["server.metrics.1"]


def test_how_much_is_written_matters_only_where_something_is():
    generation = GenerationConfig(max_texts=3)
    (path,) = problems("generation", generation=generation)
    assert path == "server.generation"
    assert problems("generation", generation=generation, metrics=("rouge_l",)) == {}


def test_defaults_are_those_that_the_documents_tell():
    config = SyncServer(num_rounds=2, policy=POLICY)
    assert (config.generation.max_texts, config.generation.max_tokens) == (64, 32)
    assert (config.target_split, config.evaluate_every) == ("personal", 1)
    assert (config.downlink, config.mode) == ("unicast", "sync")
    assert not config.stop_at_targets
