"""What holds for every method that averages: plain training for one client, its start, FedProx."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fl.methods.averaging import AveragingMethod, proximal_penalty, weighted_mean
from fl.methods.base import Contribution
from fl.methods.bitfit.config import BitfitConfig
from fl.methods.fedadapter.config import FedAdapterConfig
from fl.methods.fedit.config import FeditConfig
from fl.methods.fedsa_lora.config import FedsaLoraConfig
from fl.methods.ffa_lora.config import FfaLoraConfig
from fl.methods.full.config import FullConfig
from fl.methods.local.config import LocalConfig
from fl.methods.pftt.config import PfttConfig
from fl.methods.prefix_tuning.config import PrefixTuningConfig
from fl.methods.prompt_tuning.config import PromptTuningConfig
from fl.methods.rolora.config import RoLoraConfig
from fl.payload import Payload
from fl.server.modes.sync import run_rounds
from fl.training.batches import plan_batches
from fl.training.config import TrainingConfig
from tests.fl.fakes import backbone, classifier, federation, streams
from tests.fl.methods.updates import installed
from tests.fl.peft.architectures import logits

UNCHANGED = [
    LocalConfig(),
    FullConfig(),
    FeditConfig(),
    FfaLoraConfig(),
    RoLoraConfig(),
    FedsaLoraConfig(),
    FedAdapterConfig(),
    BitfitConfig(),
    PfttConfig(),
]
"""Methods whose card says that they start at the backbone."""
CONFIGS = [*UNCHANGED, PromptTuningConfig(), PrefixTuningConfig(projection_dim=5)]


def kind_of(config):
    return config.kind


def is_trained(kind, name, version):
    """Whether a tensor is trained from a server version, from the cards."""
    if kind == "ffa_lora":
        return not name.endswith(".lora_A")
    if kind == "rolora":
        return not name.endswith(".lora_B" if version % 2 else ".lora_A")
    return True


def run(parts):
    parts.env.run(until=parts.env.process(run_rounds(parts)))


@pytest.mark.parametrize("config", CONFIGS, ids=kind_of)
def test_one_client_trains_as_in_a_plain_loop(config):
    parts = federation(config, num_clients=1, cohort=1, num_rounds=3, num_texts=40)
    run(parts)
    found = parts.method.personal_model(parts.state, parts.personal.of(0))
    module = backbone().module
    seed = int(streams()("method_init").integers(2**63 - 1))
    method, _ = installed(config, module=module, seed=seed)
    parameters = dict(module.named_parameters())
    for name in method.initial:  # full fine-tuning hands out the loaded weights themselves
        parameters[name].data = parameters[name].data.clone()
    settings = parts.job_settings
    for round_id in (1, 2, 3):
        trained = [
            parameters[name]
            for name in sorted(method.initial)
            if is_trained(config.kind, name, round_id - 1)
        ]
        for parameter in parameters.values():
            parameter.requires_grad = any(parameter is each for each in trained)
        optimiser = torch.optim.AdamW(
            trained, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        batches = plan_batches(
            parts.shards[0].train,
            batch_size=settings.batch_size,
            local_steps=settings.local_steps,
            local_epochs=None,
            seed=parts.job_seed(0, round_id),
        )
        for indices in batches:
            optimiser.zero_grad()
            module.loss(parts.worker.train.batch(indices)).backward()
            optimiser.step()
    assert found.keys() == method.initial.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, parameters[name].detach(), rtol=0, atol=1e-6)
    moved = max(
        float((found[name] - tensor).abs().max()) for name, tensor in method.initial.items()
    )
    assert moved > settings.learning_rate


@pytest.mark.parametrize("config", CONFIGS, ids=kind_of)
def test_start_is_the_backbone_where_the_card_says_so(config):
    before = logits(classifier())
    _, module = installed(config)
    assert torch.equal(logits(module), before) == (config in UNCHANGED)


def test_proximal_penalty_and_its_gradient():
    start = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([5.0])}
    here = {"a": torch.tensor([1.5, 0.0], requires_grad=True), "b": torch.tensor([7.0])}
    penalty = proximal_penalty(3.0, here, start, names={"a"})
    assert float(penalty.detach()) == 3.0 / 2 * (0.5**2 + 2.0**2)
    (gradient,) = torch.autograd.grad(penalty, here["a"])
    np.testing.assert_allclose(gradient.numpy(), [3.0 * 0.5, 3.0 * -2.0], rtol=1e-6)


def drift(weight, config=FeditConfig):
    """Root mean square way of the shared tensors in one job, in learning rates."""
    parts = federation(
        config(proximal_weight=weight),
        num_clients=1,
        cohort=1,
        num_rounds=1,
        num_texts=40,
        training=TrainingConfig(local_steps=40, batch_size=8, learning_rate=1e-3),
    )
    run(parts)
    start = parts.method.initial_state().tensors
    ways = torch.cat([(parts.state.tensors[name] - start[name]).flatten() for name in start])
    return float(ways.square().mean().sqrt()) / 1e-3


def test_a_heavy_proximal_term_holds_tensors_at_their_start():
    free, light, heavy = drift(None), drift(1.0), drift(1e6)
    assert heavy < light < free
    # Adam's steps have the length of the learning rate: it swings about the start, no further.
    assert free > 10
    assert heavy < 1


def test_personal_tensors_are_not_held():
    method, _ = installed(FedsaLoraConfig(proximal_weight=2.0))
    download = method.download(method.initial_state(), client_id=0)
    start = method.start(download, method.initial_personal(0), version=0)
    moved = {name: start.tensors[name] + 1.0 for name in start.trainable}
    shared = sum(tensor.numel() for tensor in download.tensors.values())
    np.testing.assert_allclose(float(method.penalty(moved, start)), shared, rtol=1e-6)


def test_without_a_weight_there_is_no_penalty():
    method, _ = installed(FeditConfig())
    start = method.start(method.download(method.initial_state(), client_id=0), {}, version=0)
    assert method.penalty(start.tensors, start) is None


class TestWeightedMean:
    def test_closed_form(self):
        updates = [{"w": torch.tensor([4.0, 0.0])}, {"w": torch.tensor([0.0, 8.0])}]
        for weights in ([1.0, 3.0], [0.125, 0.375]):
            mean = weighted_mean(updates, weights)
            assert mean["w"].tolist() == [1.0, 6.0]

    def test_type_is_that_of_the_first_and_sums_run_in_float64(self):
        first = {"w": torch.tensor([1.0], dtype=torch.float32)}
        others = [{"w": torch.tensor([2.0**-30], dtype=torch.float64)}] * 4
        mean = weighted_mean([first, *others], [1.0] * 5)["w"]
        assert mean.dtype == torch.float32
        assert mean.item() == np.float32((1 + 4 * 2.0**-30) / 5)

    def test_a_client_of_weight_0_does_not_count(self):
        updates = [{"w": torch.tensor([4.0])}, {"w": torch.tensor([1.0])}]
        assert weighted_mean(updates, [0.0, 0.5])["w"].item() == 1.0

    @pytest.mark.parametrize("weights", [[], [1.0], [1.0, 1.0, 1.0], [2.0, -1.0], [0.0, 0.0]])
    def test_weights_that_do_not_fit_are_refused(self, weights):
        with pytest.raises(ValueError, match="weights: one >= 0 for each update and a sum > 0"):
            weighted_mean([{"w": torch.ones(1)}] * 2, weights)

    def test_no_update_is_refused(self):
        for weights in ([], [1.0]):
            with pytest.raises(ValueError, match="weights: one >= 0 for each update"):
                weighted_mean([], weights)

    def test_names_that_differ_are_refused(self):
        with pytest.raises(ValueError, match="updates: all must name the same 1 tensors"):
            weighted_mean([{"w": torch.ones(1)}, {"v": torch.ones(1)}], [1.0, 1.0])


def scheduled(**changes):
    """A method of two shared tensors that are due in turns, and a personal one."""
    initial = {name: torch.zeros(1) for name in ("a", "b", "c", "own")}
    settings = {
        "kind": "mine",
        "initial": initial,
        "shared": ("a", "b"),
        "own": ("own",),
        "schedule": lambda version: ("b" if version % 2 else "a",),
    }
    return AveragingMethod(**(settings | changes))


def sent(method, state, *, client_id, value, staleness=0):
    version = state.version - staleness
    tensors = {name: torch.full((1,), value) for name in ("b" if version % 2 else "a",)}
    return Contribution(
        client_id=client_id,
        payload=Payload(tensors),
        base={name: state.tensors[name] for name in tensors},
        weight=1.0,
        staleness=staleness,
    )


class TestWhatClientsHold:
    def test_a_client_holds_the_version_that_it_began_from(self):
        method = scheduled()
        state = method.initial_state()
        for value in (1.0, 2.0):
            state = method.aggregate(state, [sent(method, state, client_id=0, value=value)])
        late = sent(method, state, client_id=1, value=3.0, staleness=2)
        state = method.aggregate(state, [late])
        assert state.version == 3
        assert state.held == {0: 1, 1: 0}
        assert state.changed_at == {"a": 3, "b": 2}

    def test_it_is_sent_what_has_changed_since(self):
        method = scheduled()
        state = method.initial_state()
        state = method.aggregate(state, [sent(method, state, client_id=0, value=1.0)])
        assert set(method.download(state, client_id=0).tensors) == {"a"}
        assert set(method.download(state, client_id=1).tensors) == {"a", "b"}
        state = replace(state, held={0: 1})
        assert method.download(state, client_id=0) is None

    def test_nothing_is_tracked_without_a_schedule(self):
        method = scheduled(schedule=None)
        state = method.initial_state()
        state = method.aggregate(state, [sent(method, state, client_id=0, value=1.0)])
        assert (state.held, state.changed_at) == ({}, {})
        assert method.same_download
        assert not scheduled().same_download


def test_models_are_completed_by_what_was_never_sent():
    method = scheduled()
    assert method.has_global_model
    state = method.initial_state()
    state = method.aggregate(state, [sent(method, state, client_id=0, value=1.0)])
    whole = method.global_model(state)
    assert {name: tensor.item() for name, tensor in whole.items()} == {
        "a": 1.0, "b": 0.0, "c": 0.0, "own": 0.0,
    }  # fmt: skip
    assert scheduled(has_global_model=False).global_model(state) is None
    mine = method.personal_model(state, {"own": torch.full((1,), 5.0), "a": torch.zeros(1)})
    assert {name: tensor.item() for name, tensor in mine.items()} == {
        "a": 1.0, "b": 0.0, "c": 0.0, "own": 5.0,
    }  # fmt: skip


def test_the_mean_of_shapes_is_their_shape():
    update = {"a": torch.empty(2, 3, device="meta")}
    mean = weighted_mean([update, update], [1.0, 2.0])["a"]
    assert (mean.is_meta, mean.shape) == (True, (2, 3))
