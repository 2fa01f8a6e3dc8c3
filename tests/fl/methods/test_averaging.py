"""What holds for every method that averages: plain training for one client, its start, FedProx."""

import numpy as np
import pytest
import torch

from fl.methods.averaging import proximal_penalty
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
