"""Experts and their router against loops over tokens, closed forms and plain LoRA."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fl.peft.install import freeze
from fl.peft.lora import add_lora, query_and_value
from fl.peft.lora_experts import LoraExperts, add_lora_experts, balance_loss, route
from tests.fl.peft.architectures import ARCHITECTURES, generator, gradients, logits, sizes, tiny

IN, OUT, RANK, ALPHA = 12, 10, 4, 16.0


def experts(num_experts, *, top_k=2, seed=1):
    module = LoraExperts(
        in_features=IN,
        out_features=OUT,
        num_experts=num_experts,
        rank=RANK,
        alpha=ALPHA,
        top_k=top_k,
    )
    for number, parameter in enumerate(module.parameters()):
        nn.init.normal_(parameter, generator=generator(seed + number))
    return module


def hidden(*shape, seed=9):
    return torch.randn((*shape, IN), generator=generator(seed))


def token_by_token(module, token, *, top_k):
    """The equations of the card, one expert after the other, float64."""
    value = {name: each.detach().double() for name, each in module.named_parameters()}
    x = token.double()
    scores = [
        torch.dot(factor @ x, value["projection"] @ x).item() / math.sqrt(RANK)
        for factor in value["domain_A"]
    ]
    total = sum(math.exp(score) for score in scores)
    pi = [math.exp(score) / total for score in scores]
    chosen = sorted(range(len(pi)), key=lambda e: -pi[e])[:top_k]
    y = value["shared_B"] @ (value["shared_A"] @ x)
    for e in chosen:
        gate = pi[e] / sum(pi[other] for other in chosen)
        y = y + gate * (value["domain_B"][e] @ (value["domain_A"][e] @ x))
    return ALPHA / RANK * y, pi, chosen


@pytest.mark.parametrize(("num_experts", "top_k"), [(1, 2), (2, 2), (5, 2), (8, 3), (4, 1)])
def test_output_is_that_of_a_loop_over_tokens(num_experts, top_k):
    module, given_ = experts(num_experts, top_k=top_k).double(), hidden(2, 7).double()
    found = module(given_)
    assert found.shape == (2, 7, OUT)
    for text in range(2):
        for at in range(7):
            expected, _, _ = token_by_token(module, given_[text, at], top_k=top_k)
            torch.testing.assert_close(found[text, at], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("is_masked", [False, True])
def test_balance_is_that_of_a_loop_over_tokens(is_masked):
    module, given_ = experts(5).double(), hidden(2, 7).double()
    mask = torch.ones(2, 7)
    if is_masked:
        mask[1, 4:] = 0
        module.mask = mask
    module(given_)
    pis, counts = [], [0] * 5
    for text, at in mask.nonzero().tolist():
        _, pi, chosen = token_by_token(module, given_[text, at], top_k=2)
        pis.append(pi)
        for e in chosen:
            counts[e] += 1
    expected = 5 * sum(
        counts[e] / sum(counts) * sum(pi[e] for pi in pis) / len(pis) for e in range(5)
    )
    assert module.balance.item() == pytest.approx(expected, rel=1e-6)


@given(num_experts=st.integers(1, 8), top_k=st.integers(1, 3), num_tokens=st.integers(1, 9))
def test_even_routing_has_balance_one(num_experts, top_k, num_tokens):
    scores = torch.zeros(num_tokens, num_experts)
    gates, is_chosen = route(scores, top_k=top_k)
    held = min(top_k, num_experts)
    assert torch.equal(is_chosen.sum(dim=-1), torch.full((num_tokens,), held))
    torch.testing.assert_close(gates.sum(dim=-1), torch.ones(num_tokens))
    assert balance_loss(scores, is_chosen).item() == pytest.approx(1.0, rel=1e-6)


def test_routing_to_one_expert_has_the_largest_balance():
    scores = torch.tensor([[50.0, 0.0, 0.0, 0.0]]).repeat(6, 1)
    _, is_chosen = route(scores, top_k=1)
    assert balance_loss(scores, is_chosen).item() == pytest.approx(4.0, rel=1e-6)


def test_gradient_of_the_balance_moves_the_shares_and_not_the_counts():
    scores = torch.randn((6, 4), generator=generator(), requires_grad=True)
    _, is_chosen = route(scores, top_k=2)
    (found,) = torch.autograd.grad(balance_loss(scores, is_chosen), scores)
    shares = scores.detach().softmax(dim=-1)
    parts = is_chosen.double().mean(dim=0) / 2
    expected = 4 / 6 * shares * (parts - (shares * parts).sum(dim=-1, keepdim=True))
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-7)


def test_gradient_reaches_a_through_expert_and_router():
    """With B = 0 an expert gives nothing: its A learns through the router alone, if at all."""
    module, given_ = experts(3).double(), hidden(5).double()
    module(given_).square().sum().backward()
    both = module.domain_A.grad.clone()
    factor = module.domain_A.detach()
    frozen = module.projection.detach()
    low = torch.einsum("eri,ti->ter", factor, given_)
    gates, _ = route((low * (given_ @ frozen.T).unsqueeze(1)).sum(-1) / math.sqrt(RANK), top_k=2)
    free = factor.clone().requires_grad_()
    domain = torch.einsum("te,eor,eri,ti->to", gates, module.domain_B, free, given_)
    shared = given_ @ module.shared_A.T @ module.shared_B.T
    (ALPHA / RANK * (shared + domain)).square().sum().backward()
    through_expert = free.grad
    assert (both - through_expert).norm() > 1e-3 * both.norm()

    module.zero_grad()
    nn.init.zeros_(module.domain_B)
    module(given_)
    module.balance.backward()
    assert module.domain_A.grad.norm() > 0


def test_balance_is_kept_only_where_gradients_are():
    module = experts(3)
    with torch.inference_mode():
        module(hidden(4))
    assert module.balance is None
    module(hidden(4))
    assert module.balance.requires_grad


def test_experts_may_be_dealt_anew():
    """Values of another number of experts take the place of the first ones, in any order."""
    module, given_ = experts(5), hidden(3, 4)
    chosen = torch.tensor([3, 0, 4])
    smaller = experts(3)
    for name, parameter in smaller.named_parameters():
        whole = dict(module.named_parameters())[name].detach()
        parameter.data = whole[chosen] if name.startswith("domain_") else whole
    for name in ("domain_A", "domain_B"):
        parameter = getattr(module, name)
        parameter.data = parameter.data[chosen.flip(0)]
    torch.testing.assert_close(module(given_), smaller(given_), rtol=1e-5, atol=1e-5)


def put_in(name, *, num_experts):
    module = tiny(name)
    freeze(module)
    layers = add_lora_experts(
        module,
        targets=query_and_value(module),
        num_experts=num_experts,
        rank=4,
        alpha=8,
        top_k=2,
        generator=generator(),
    )
    names = [
        f"{layer}.experts.{part}"
        for layer, each in layers.items()
        for part, _ in each.experts.named_parameters()
    ]
    return module, names


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_architecture_takes_experts(name):
    before = logits(tiny(name))
    module, names = put_in(name, num_experts=3)
    torch.testing.assert_close(logits(module), before, rtol=1e-6, atol=1e-7)
    outs = {"gpt2": [96], "llama": [32, 16]}.get(name, [32, 32])
    assert sizes(module, names) == 2 * sum(4 * 4 * (32 + out) + 4 * 32 for out in outs)
    parameters = dict(module.named_parameters())
    for each in names:
        parameters[each].data.normal_(generator=generator(2))
    assert not torch.allclose(logits(module), before)
    assert all(value.abs().max() > 0 for value in gradients(module, names).values())


def test_without_domain_experts_it_is_lora():
    module, names = put_in("bert", num_experts=0)
    plain = tiny("bert")
    freeze(plain)
    lora = add_lora(plain, targets=query_and_value(plain), rank=4, alpha=8, generator=generator())
    ours, theirs = dict(module.named_parameters()), dict(plain.named_parameters())
    renamed = {each: each.replace("experts.shared_", "lora_") for each in names}
    assert sorted(renamed.values()) == lora
    for number, (one, other) in enumerate(sorted(renamed.items())):
        assert torch.equal(ours[one], theirs[other])
        ours[one].data.normal_(generator=generator(number))
        theirs[other].data.normal_(generator=generator(number))
    torch.testing.assert_close(logits(module), logits(plain), rtol=1e-6, atol=1e-7)


def test_too_large_a_rank_is_refused():
    module = tiny("llama")
    settings = {"num_experts": 2, "rank": 17, "alpha": 8, "top_k": 2, "generator": generator()}
    with pytest.raises(ValueError, match=r"^rank: must be <= 16, the smaller side of"):
        add_lora_experts(module, targets=["v_proj"], **settings)
