"""Broken rules between the settings of the server and the rest of a scenario."""

import pytest

from fl.methods.fedit.config import FeditConfig
from fl.methods.fedtt.config import FedttConfig
from fl.methods.ffa_lora.config import FfaLoraConfig
from fl.methods.flexlora.config import FlexloraConfig
from fl.methods.flora.config import FloraConfig
from fl.methods.head.config import HeadConfig
from fl.methods.local.config import LocalConfig
from fl.methods.options import FedAdam
from fl.methods.pftt.config import PfttConfig
from fl.methods.rolora.config import RoLoraConfig
from fl.policies import AllPolicyConfig, RandomPolicyConfig
from fl.policies.tifl import TiflPolicyConfig
from fl.server import timing_only
from fl.server.config import (
    DeadlineServer,
    FedAsyncServer,
    FedBuffServer,
    GenerationConfig,
    HierarchicalServer,
    SemiAsyncServer,
    SyncServer,
    measured,
)
from fl.server.rules import find_problems
from fl.server.staleness import ConstantDiscount, PolynomialDiscount

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


def mode_problems(kind, *, methods=None, num_clients=9, policy=POLICY, **settings):
    config = kind(num_rounds=3, policy=policy, **settings)
    found = find_problems(config, num_clients=num_clients, methods=methods or [FeditConfig()])
    return {".".join(problem.path): problem.message for problem in found}


def test_over_selection_needs_a_number_to_multiply_and_enough_clients():
    three = RandomPolicyConfig(num_clients=3)
    assert mode_problems(SyncServer, policy=three, over_selection=1.3) == {}
    assert mode_problems(SyncServer, policy=three, over_selection=1.3, num_clients=3) == {
        "server.over_selection": "needs 4 clients, clients.num_clients is 3; got 1.3"
    }
    assert mode_problems(SyncServer, policy=AllPolicyConfig(), over_selection=1.3) == {
        "server.over_selection": "needs a policy with num_clients, all has none; got 1.3"
    }
    assert mode_problems(SyncServer, policy=three, over_selection=1.0 + 1e-12) == {
        "server.over_selection": "has no effect: 1 x 3 clients are 3"
    }


def test_a_discount_needs_updates_that_are_carried_over():
    discount = PolynomialDiscount()
    assert mode_problems(DeadlineServer, deadline_s=1.0, discount=discount) == {
        "server.discount": "has no effect with late: dropped, got polynomial"
    }
    assert mode_problems(DeadlineServer, deadline_s=1.0, discount=discount, late="carried") == {}


def test_more_updates_than_clients_at_work_never_come():
    assert mode_problems(FedBuffServer, buffer_size=2) == {}
    assert mode_problems(FedBuffServer, buffer_size=3) == {
        "server.buffer_size": "must be <= the clients at work at a time, 2; got 3"
    }
    assert mode_problems(SemiAsyncServer, num_updates=3) == {
        "server.num_updates": "must be <= the clients at work at a time, 2; got 3"
    }
    assert mode_problems(FedBuffServer, policy=AllPolicyConfig(), buffer_size=10) == {
        "server.buffer_size": "must be <= the clients at work at a time, 9; got 10"
    }


def test_a_semi_asynchronous_server_needs_a_reason_to_aggregate():
    assert mode_problems(SemiAsyncServer) == {
        "server.num_updates": "missing; needs num_updates, time_s or both, got neither"
    }
    assert mode_problems(SemiAsyncServer, time_s=3.0) == {}


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (RoLoraConfig(), "its versions train different tensors"),
        (FloraConfig(), "it merges them by a rule of its own"),
    ],
)
def test_stale_updates_are_refused_where_they_cannot_be_merged(method, reason):
    for kind, settings in (
        (FedAsyncServer, {}),
        (FedBuffServer, {"buffer_size": 1}),
        (SemiAsyncServer, {"num_updates": 1}),
        (DeadlineServer, {"deadline_s": 1.0, "late": "carried"}),
    ):
        found = mode_problems(kind, methods=[FeditConfig(), method], **settings)
        assert list(found) == ["server.mode"]
        message = found["server.mode"]
        assert message.startswith(f"cannot merge stale updates of {method.kind}: {reason}")
        assert message.partition("; got ")[2].startswith(kind.mode)
    assert mode_problems(DeadlineServer, methods=[method], deadline_s=1.0) == {}


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (FeditConfig(), "it averages the factors of products one by one, whose bias two levels"),
        (RoLoraConfig(), "its turns go by aggregations of the server"),
        (FloraConfig(), "it merges updates by a rule of its own"),
    ],
)
def test_two_levels_are_refused_where_a_mean_of_means_is_not_the_mean(method, reason):
    found = mode_problems(HierarchicalServer, methods=[FfaLoraConfig(), method])
    assert list(found) == ["server.mode"]
    message = found["server.mode"]
    assert message.startswith(f"cannot average at two levels for {method.kind}: {reason}")
    assert message.endswith("; got hierarchical")


def test_averages_of_factors_are_refused_with_both_ways_out():
    (message,) = mode_problems(HierarchicalServer, methods=[FeditConfig()]).values()
    out = "averages: products averages their products, ffa_lora freezes one factor"
    assert message.endswith(f"; {out}; got hierarchical")
    (message,) = mode_problems(HierarchicalServer, methods=[FedttConfig()]).values()
    assert message.endswith("would compound; got hierarchical")


def test_products_are_averaged_where_they_can_be():
    def of(*methods, **settings):
        return mode_problems(HierarchicalServer, methods=list(methods), **settings)

    assert of(FlexloraConfig()) == {}
    assert of(FeditConfig(), FlexloraConfig(), FfaLoraConfig(), averages="products") == {}
    (message,) = of(FlexloraConfig(), HeadConfig(), averages="products").values()
    rule = "no products can be averaged in place of factors of flexlora, head"
    assert message == f"has no effect: {rule}; got products"
    found = of(FeditConfig(server_optimiser=FedAdam()), averages="products")
    assert found == {
        "server.averages": "needs server_optimiser fedavg, fedit has fedadam; got products"
    }
    assert "fedtt" in of(FedttConfig(), FeditConfig(), averages="products")["server.mode"]


def test_normalised_steps_need_several_clients_at_a_time():
    methods = [HeadConfig(), FfaLoraConfig(normalise_steps=True)]
    rule = "does not go with normalise_steps of ffa_lora: "
    assert mode_problems(FedAsyncServer, methods=methods) == {
        "server.mode": f"{rule}one update is merged at a time; got fedasync"
    }
    assert mode_problems(HierarchicalServer, methods=methods) == {
        "server.mode": f"{rule}sites average their clients, and make no steps; got hierarchical"
    }
    for mode, settings in ((SyncServer, {}), (FedBuffServer, {"buffer_size": 2})):
        assert mode_problems(mode, methods=methods, **settings) == {}


def test_defaults_of_the_modes_are_those_that_the_documents_tell():
    fedasync = FedAsyncServer(num_rounds=1, policy=POLICY)
    assert (fedasync.alpha, fedasync.mixes) == (0.6, "model")
    fedbuff = FedBuffServer(num_rounds=1, policy=POLICY, buffer_size=1)
    assert (fedbuff.server_learning_rate, fedbuff.normalise) == (1.0, "count")
    semi = SemiAsyncServer(num_rounds=1, policy=POLICY, num_updates=1)
    assert semi.restart == "aggregation"
    assert fedasync.discount == fedbuff.discount == semi.discount == PolynomialDiscount()
    hierarchical = HierarchicalServer(num_rounds=1, policy=POLICY)
    assert (hierarchical.edge_rounds, hierarchical.averages) == (2, "tensors")
    deadline = DeadlineServer(num_rounds=1, policy=POLICY, deadline_s=1.0)
    assert (deadline.late, deadline.discount) == ("dropped", ConstantDiscount())
    assert deadline.over_selection == 1.0


def test_tiers_adapt_to_accuracies_where_there_are_any():
    policy = TiflPolicyConfig(num_clients=2, adapt_rounds=3)
    assert problems(policy=policy) == {}
    assert problems("generation", policy=policy) == {
        "server.policy.adapt_rounds": "needs accuracies, which data.task generation has none of; "
        "got 3"
    }


@pytest.mark.parametrize(
    ("steps", "every", "rule"),
    [
        (0, 4, "has no effect without server.finetune_steps, got 4"),
        (3, 5, "must be a multiple of evaluate_every = 2, got 5"),
        (3, 4, None),
        (3, None, None),
    ],
)
def test_when_models_are_tuned_fits_when_they_are_evaluated(steps, every, rule):
    found = problems(num_rounds=8, evaluate_every=2, finetune_steps=steps, finetune_every=every)
    assert found == ({} if rule is None else {"server.finetune_every": rule})


def test_finetuning_needs_a_global_model_and_measuring_needs_training():
    server = SyncServer(num_rounds=2, policy=POLICY, finetune_steps=3, min_test_texts=2)
    for methods, faulty in (([LocalConfig()], True), ([LocalConfig(), FeditConfig()], False)):
        found = find_problems(server, num_clients=4, methods=methods)
        assert [each.path for each in found] == [("server", "finetune_steps")] * faulty
    idle = timing_only.find_problems(server, methods=[FeditConfig()])
    assert [each.path[-1] for each in idle] == ["finetune_steps", "min_test_texts"]
