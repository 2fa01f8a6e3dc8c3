"""FedAMoLE as its authors run it, on a causal model: 10 clients, 30 experts, c = 2, at most 8."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fl.methods.fedamole.config import FedamoleConfig
from fl.models.backbone import load_backbone
from fl.models.config import ModelConfig
from fl.training import cost
from fl.training.config import TrainingConfig
from tests.fl.methods.recorded import recorded

NUM_CLIENTS, NUM_EXPERTS, RANK = 10, 30, 8
PAPER = FedamoleConfig(
    num_domain_experts=NUM_EXPERTS, clients_per_expert=2, max_experts=8, top_k=2, rank=RANK
)


@pytest.fixture(scope="module")
def played():
    config = ModelConfig(name="tiny-decoder", max_tokens=32)
    rng = np.random.default_rng(0)
    backbone = load_backbone(config, num_classes=0, rng=rng, task="generation")
    return recorded(
        "fedamole",
        config=PAPER,
        module=backbone.module,
        task="generation",
        num_clients=NUM_CLIENTS,
        cohort=NUM_CLIENTS,
        num_rounds=3,
        num_texts=400,
        training=TrainingConfig(local_steps=4, batch_size=1, learning_rate=3e-3),
    )


def test_these_are_the_defaults_but_for_what_the_training_settings_say():
    assert FedamoleConfig().num_experts(NUM_CLIENTS) == NUM_EXPERTS
    assert FedamoleConfig().num_holders(NUM_CLIENTS) == PAPER.clients_per_expert
    told = replace(FedamoleConfig(), num_domain_experts=NUM_EXPERTS, clients_per_expert=2)
    assert told == PAPER
    assert (PAPER.alpha, PAPER.balance_weight, PAPER.evaluation) == (16.0, 1e-3, "tuned")


def test_query_and_value_of_every_block_are_adapted(played):
    federation, method = played
    module = federation.worker.module
    blocks = [name for name, _ in module.named_modules() if name.endswith(".self_attn")]
    expected = {f"{block}.{part}" for block in blocks for part in ("q_proj", "v_proj")}
    assert set(method.layers) == expected
    assert expected


def test_every_expert_has_two_clients_and_every_client_two_to_eight_experts(played):
    federation, method = played
    for state in (*method.states, federation.state):
        dealt = state.memory["assignment"].numpy()
        assert dealt.shape == (len(method.layers), NUM_EXPERTS, NUM_CLIENTS)
        assert np.all(dealt.sum(axis=2) == 2)
        held = dealt.sum(axis=1)
        assert held.min() >= 2
        assert held.max() <= 8
        assert np.all(held.mean(axis=1) == 6)
        assert len(np.unique(held)) > 1


def test_what_is_sent_is_the_formula_of_the_paper(played):
    federation, method = played
    sizes = {name: layer.base_layer.weight.shape for name, layer in method.layers.items()}
    downs = []
    for client_id in range(NUM_CLIENTS):
        tensors = method.method.download(federation.state, client_id=client_id).tensors
        expected = 0
        for name, (num_out, num_in) in sizes.items():
            held = len(tensors[f"{name}.expert_ids"])
            expected += (held + 1) * RANK * (num_in + num_out) + RANK * num_in + held
        downs.append(sum(each.numel() for each in tensors.values()))
        assert downs[-1] == expected
    mean = sum(
        7 * RANK * (num_in + num_out) + RANK * num_in + 6 for num_out, num_in in sizes.values()
    )
    assert np.mean(downs) == mean


def test_clients_learn_and_are_measured_with_what_they_last_trained(played):
    federation, method = played
    losses = [
        row.mean
        for row in federation.recorder.evaluations
        if row.metric == "loss" and row.split == "personal"
    ]
    assert losses[-1] < 0.95 * losses[0]
    last = {item.client_id: item.payload.tensors for item in method.contributions[-1]}
    for client_id in range(NUM_CLIENTS):
        model = method.personal_model(federation.state, federation.personal.of(client_id))
        assert all(torch.equal(model[name], last[client_id][name]) for name in model)


def test_a_trained_mixture_writes_with_its_cache_what_it_writes_without(played):
    federation, method = played
    module = federation.worker.module
    federation.worker.load(method.personal_model(federation.state, federation.personal.of(3)))
    prompts = [[5, 6, 7, 8], [9, 10]]
    with torch.no_grad():
        written = module.write(prompts, num_tokens=6, stop_id=None, pad_id=0)
        for prompt, own in zip(prompts, written, strict=True):
            ids = list(prompt)
            for token in own:
                text = torch.tensor([ids])
                assert int(module(text, torch.ones_like(text))[0, -1].argmax()) == token
                ids.append(token)


def test_layers_of_one_shape_are_counted_once_for_all(played, monkeypatch):
    federation, method = played
    starts = [
        method.start(
            method.method.download(federation.state, client_id=client_id),
            method.initial_personal(client_id),
            version=0,
        )
        for client_id in (0, 7)
    ]
    found = []
    for most in (1000, 3):
        monkeypatch.setattr(cost, "MAX_COUNTED", most)
        model = cost.CostModel(
            federation.worker.module, max_tokens=12, row_groups=method.row_groups
        )
        found.append(
            [
                model.job_flop(
                    start.trainable,
                    batches=[np.arange(3)],
                    lengths=np.array([5, 9, 12]),
                    answer_lengths=np.array([2, 3, 4]),
                    tensors=start.tensors,
                )
                for start in starts
            ]
        )
    assert found[0] == found[1]
    assert found[0][0] != found[0][1]
