"""Counted operations against arithmetic by hand; memory by its invariants."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fl.methods import METHODS, install_method
from fl.methods.fedit.config import FeditConfig
from fl.methods.full.config import FullConfig
from fl.methods.pftt.config import PfttConfig
from fl.training import cost as cost_module
from fl.training.cost import CostModel
from tests.fl.fakes import (
    MAX_TOKENS,
    NUM_CLASSES,
    NUM_CLIENTS,
    SMALLEST,
    VOCABULARY_SIZE,
    answers,
    classifier,
    install,
    language_model,
    roberta_base_on_meta,
)
from tests.fl.training.closed_form import lora_step_flop


def cost_of(config, module=None):
    module = classifier() if module is None else module
    method = install_method(config, module, generator=torch.Generator().manual_seed(0))
    return CostModel(module, max_tokens=MAX_TOKENS), tuple(sorted(method.initial))


@pytest.mark.parametrize("rank", [1, 8])
@pytest.mark.parametrize(("batch_size", "num_tokens"), [(1, 1), (3, 7), (16, 12)])
def test_lora_operations_equal_the_closed_form(rank, batch_size, num_tokens):
    cost, trainable = cost_of(FeditConfig(rank=rank))
    expected = lora_step_flop(
        batch_size=batch_size,
        num_tokens=num_tokens,
        hidden=32,
        feed_forward=64,
        layers=2,
        rank=rank,
        num_classes=NUM_CLASSES,
    )
    shape = {"batch_size": batch_size, "num_tokens": num_tokens}
    assert cost.count(trainable, **shape).flop == expected
    assert cost.step_flop(trainable, **shape) == expected


def test_roberta_base_on_the_meta_device_equals_the_closed_form():
    cost, trainable = cost_of(FeditConfig(rank=8), roberta_base_on_meta())
    counted = cost.count(trainable, batch_size=4, num_tokens=64)
    assert counted.flop == lora_step_flop(
        batch_size=4,
        num_tokens=64,
        hidden=768,
        feed_forward=3072,
        layers=12,
        rank=8,
        num_classes=4,
    )
    assert counted.memory_bytes() > 4 * 124_055_040  # RoBERTa-base's weights without a pooler


@pytest.mark.parametrize("kind", sorted(METHODS))
def test_interpolated_operations_are_the_counted_ones(kind):
    method, module = install(kind)
    start = method.start(
        method.download(method.initial_state(), client_id=0),
        method.initial_personal(0),
        version=0,
    )
    cost, trainable = CostModel(module, max_tokens=MAX_TOKENS), start.trainable
    for batch_size, num_tokens in [(1, 2), (5, 9), (8, 12)]:
        shape = {"batch_size": batch_size, "num_tokens": num_tokens}
        assert cost.step_flop(trainable, **shape) == cost.count(trainable, **shape).flop


def watch_counts(monkeypatch):
    """Shapes of the steps that are counted by running them, from now on."""
    counted, count = [], cost_module.count_step

    def watched(module, trainable, **shape):
        counted.append((shape["batch_size"], shape["num_tokens"]))
        return count(module, trainable, **shape)

    monkeypatch.setattr(cost_module, "count_step", watched)
    return counted


def test_a_few_shapes_are_counted_and_all_others_follow(monkeypatch):
    counted = watch_counts(monkeypatch)
    cost, trainable = cost_of(FeditConfig())
    for batch_size in range(1, 9):
        for num_tokens in range(1, MAX_TOKENS + 1):
            cost.step_flop(trainable, batch_size=batch_size, num_tokens=num_tokens)
    assert sorted(counted) == [(1, 1), (1, 2), (1, 3), (2, 1), (2, MAX_TOKENS)]


def test_clients_that_differ_in_rows_alone_are_counted_once(monkeypatch):
    """Experts that the server dealt out: a second client, with more of them, costs no count."""
    method, module = install("fedamole")
    state = method.initial_state()
    counted = watch_counts(monkeypatch)
    cost = CostModel(module, max_tokens=MAX_TOKENS, row_groups=method.row_groups)
    starts = {}
    for client_id in range(NUM_CLIENTS):
        download = method.download(state, client_id=client_id)
        start = method.start(download, method.initial_personal(client_id), version=0)
        starts[tuple(start.tensors[group[0]].shape[0] for group in method.row_groups)] = start
    assert len(starts) > 2
    shape = {"batch_size": 3, "num_tokens": 7}
    found, num_counted = [], []
    for start in starts.values():
        found.append(cost.step_flop(start.trainable, **shape, tensors=start.tensors))
        num_counted.append(len(counted))
    assert len(set(num_counted)) == 1
    expected = [
        cost.count(start.trainable, **shape, tensors=start.tensors).flop
        for start in starts.values()
    ]
    assert found == expected


def test_a_model_that_is_no_polynomial_is_counted_shape_by_shape():
    class Windowed(torch.nn.Module):
        """Work grows with the tokens up to four."""

        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.Embedding(10, 4)
            self.head = torch.nn.Linear(4, 3)

        def forward(self, input_ids, attention_mask):
            del attention_mask
            return self.head(self.encoder.weight[input_ids[:, :4]]).mean(dim=1)

    cost = CostModel(Windowed(), max_tokens=8)
    at = {
        tokens: cost.step_flop(["head.weight"], batch_size=2, num_tokens=tokens)
        for tokens in (2, 4, 8)
    }
    assert at[4] == 2 * at[2] > 0
    assert at[8] == at[4]


def test_rank_width_length_and_batch_all_matter():
    base, trainable = cost_of(FeditConfig(rank=2))
    more_rank, wide = cost_of(FeditConfig(rank=8))
    first = base.count(trainable, batch_size=4, num_tokens=8)
    for other in (
        more_rank.count(wide, batch_size=4, num_tokens=8),
        base.count(trainable, batch_size=4, num_tokens=9),
        base.count(trainable, batch_size=5, num_tokens=8),
    ):
        assert other.flop > first.flop
        assert other.memory_bytes() > first.memory_bytes()
    narrow, names = cost_of(PfttConfig(adapter_dim=2))
    broad, same_names = cost_of(PfttConfig(adapter_dim=16))
    shape = {"batch_size": 4, "num_tokens": 8}
    assert broad.step_flop(same_names, **shape) > narrow.step_flop(names, **shape)


def test_a_job_is_the_sum_of_its_padded_steps():
    cost, trainable = cost_of(FeditConfig(rank=8))
    lengths = np.array([3, 9, 4, 12])
    batches = [np.array([0, 2]), np.array([1, 3]), np.array([0])]
    shapes = [(2, 4), (2, 12), (1, 3)]
    assert cost.job_flop(trainable, batches=batches, lengths=lengths) == sum(
        cost.count(trainable, batch_size=size, num_tokens=tokens).flop for size, tokens in shapes
    )


WRITING = sorted(
    kind
    for kind, config in SMALLEST.items()
    if not config.find_problems(num_clients=4, task="generation")
)


@pytest.mark.parametrize("kind", WRITING)
def test_a_job_that_learns_to_write_costs_what_its_loss_does(kind):
    """Counted once by shape, and once by running the very batches, padding and answers included."""
    method, module = install(kind, language_model("gpt2"))
    table, batches = answers(30), [np.arange(0, 8), np.arange(8, 13), np.array([20])]
    state = method.initial_state()
    download = method.download(state, client_id=0)
    start = method.start(download, method.initial_personal(0), version=0)
    parameters = dict(module.named_parameters())
    for name in start.trainable:
        parameters[name].requires_grad = True
    with FlopCounterMode(display=False) as counter:
        for rows in batches:
            loss = module.loss(table.batch(rows))
            torch.autograd.grad(loss, [parameters[name] for name in start.trainable])
    module.requires_grad_(False)
    counted = CostModel(module, max_tokens=MAX_TOKENS).job_flop(
        start.trainable,
        batches=batches,
        lengths=table.tokens.lengths,
        answer_lengths=table.tokens.answer_lengths,
    )
    assert counted == counter.get_total_flops()


def test_each_token_that_is_asked_for_costs_one_row_of_the_output_layer():
    cost, trainable = cost_of(FeditConfig(rank=4), language_model())
    shape = {"batch_size": 4, "num_tokens": 9}
    ten, eleven = (cost.count(trainable, **shape, num_asked=asked) for asked in (10, 11))
    # Forward, and backward to the hidden state; the output layer itself is frozen.
    assert eleven.flop - ten.flop == 2 * 2 * 32 * VOCABULARY_SIZE
    assert eleven.memory_bytes() > ten.memory_bytes()
    assert cost.step_flop(trainable, **shape, num_asked=11) == eleven.flop


def test_a_frozen_backbone_takes_four_operations_a_weight_and_token_and_a_trained_one_six():
    """RoBERTa-base, 12 x 7,077,888 weights in products; attention adds 1 % at 64 tokens, the
    adapters of rank 8 some 2 %, and the lowest layer's inputs need no gradient."""
    weights, tokens = 12 * 7_077_888, 4 * 64
    for config, operations in ((FeditConfig(rank=8), 4), (FullConfig(), 6)):
        cost, trainable = cost_of(config, roberta_base_on_meta())
        flop = cost.count(trainable, batch_size=4, num_tokens=64).flop
        assert flop / (tokens * weights) == pytest.approx(operations, rel=0.03)
