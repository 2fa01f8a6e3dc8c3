"""Proximal policy optimisation: a bandit's and a chain's values and optimum are known.

In the chain two tokens are written, of two to choose from: four answers with a reward each.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from fl.models.language import LanguageModel
from fl.training.completions import Completions, Sampled
from fl.training.policy_settings import PolicySettings
from fl.training.ppo import ProximalUpdates, ValueHead
from tests.fl.training.alignment import SETTINGS, Words, aligned, prompts

ANSWERS = [[0, 0], [0, 1], [1, 0], [1, 1]]
REWARDS = [1.0, 0.0, 0.2, -0.5]
KL_WEIGHT = 0.5
PROMPT = [0, 1]


def chain_model():
    config = LlamaConfig(
        vocab_size=2,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        module = LanguageModel(LlamaForCausalLM(config)).eval()
    with torch.no_grad():
        module.lm_head.weight.mul_(10.0)
    return module


def chances(module):
    """Return the probability of each answer, and that the first token is the first one."""
    ids = torch.tensor([[*PROMPT, *answer] for answer in ANSWERS])
    with torch.no_grad():
        scores = module(ids, torch.ones_like(ids)).log_softmax(-1)
    found = [
        float(scores[row, 1, first] + scores[row, 2, second])
        for row, (first, second) in enumerate(ANSWERS)
    ]
    return np.exp(found)


def written(module, *, reference=None):
    return Sampled(
        completions=Completions.of(
            [PROMPT] * 4,
            ANSWERS,
            num_tokens=2,
            stop_id=None,
            pad_id=0,
            device=torch.device("cpu"),
        ),
        rewards=torch.tensor(REWARDS),
        reference=reference,
    )


def test_values_of_the_chain_are_learned():
    """Before the first token the mean reward of what follows, after it that of what is left.

    The answers are given equally often, so the means are plain.
    """
    module = chain_model()
    policy = PolicySettings(
        algorithm="ppo", kl_weight=0.0, num_epochs=200, gae_lambda=1.0, value_learning_rate=0.1
    )
    updates = ProximalUpdates(policy)
    for loss in updates(module, written(module)):
        loss.backward()
    ids = torch.tensor([[*PROMPT, *answer] for answer in ANSWERS])
    with torch.no_grad():
        _, states = module.scores_and_states(
            ids,
            torch.ones_like(ids),
            (torch.tensor([0, 0, 2]), torch.tensor([1, 2, 2])),
        )
        values = updates._head(states)
    wanted = [np.mean(REWARDS), np.mean(REWARDS[:2]), np.mean(REWARDS[2:])]
    assert values.tolist() == pytest.approx(wanted, abs=0.01)


def test_advantages_and_the_loss_of_the_first_update_by_hand():
    """Values are 0 at first: lambda discounts the reward of the answer, less the divergence."""
    module = chain_model()
    reference = torch.full((4, 2), -0.9)
    policy = PolicySettings(algorithm="ppo", kl_weight=0.3, gae_lambda=0.6)
    (loss,) = ProximalUpdates(policy)(module, written(module, reference=reference))
    ids = torch.tensor([[*PROMPT, *answer] for answer in ANSWERS])
    scores = module(ids, torch.ones_like(ids)).log_softmax(-1).detach()
    wanted = 0.0
    for row, answer in enumerate(ANSWERS):
        own = [float(scores[row, 1 + step, token]) for step, token in enumerate(answer)]
        rewards = [-0.3 * (each + 0.9) for each in own]
        rewards[1] += REWARDS[row]
        advantages = [rewards[0] + 0.6 * rewards[1], rewards[1]]
        returns = advantages  # as values are 0
        terms = [-a + 0.5 * r**2 for a, r in zip(advantages, returns, strict=True)]
        wanted += sum(terms) / 2 / 4
    assert loss.item() == pytest.approx(wanted, rel=1e-5)


def test_the_loss_of_values_does_not_reach_the_model():
    module = chain_model()
    policy = PolicySettings(algorithm="ppo", kl_weight=0.0)
    sampled = replace(written(module), rewards=torch.zeros(4))
    updates = ProximalUpdates(policy)
    for loss in updates(module, sampled):
        loss.backward()
    # No reward, no advantage: what is left is the loss of values, which are 0 and right.
    head = updates._head
    with torch.no_grad():
        head.bias.fill_(3.0)
    module.zero_grad()
    advantages = []
    for loss in updates(module, replace(sampled, rewards=torch.full((4,), 3.0))):
        loss.backward()
        advantages.append(loss.item())
    # Values are 3 everywhere, and so are returns: nothing is better than expected.
    assert advantages == pytest.approx([0.0], abs=1e-6)
    assert all(
        each.grad is None or float(each.grad.abs().max()) < 1e-6 for each in module.parameters()
    )


def test_a_value_is_linear_in_the_state():
    head = ValueHead(4)
    states = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
    assert head(states).tolist() == [0.0, 0.0]
    with torch.no_grad():
        head.weight.copy_(torch.tensor([1.0, 0.0, -1.0, 2.0]))
        head.bias.fill_(0.5)
    assert head(states).tolist() == pytest.approx([(1 - 3 + 8) / 2 + 0.5, 0.5])


@pytest.mark.parametrize("algorithm", ["ppo", "rloo"])
def test_chain_ends_at_the_softmax_of_rewards(algorithm):
    """The optimum of reward minus divergence over whole answers: reference exp(reward / beta)."""
    module = chain_model()
    train = prompts(1)
    tokens = replace(
        train.tokens,
        ids=np.array([*PROMPT, 0], dtype=np.int32),
        offsets=np.array([0, 3]),
        answer_starts=np.array([2], dtype=np.int32),
    )
    of = {tuple(answer): reward for answer, reward in zip(ANSWERS, REWARDS, strict=True)}
    settings = replace(SETTINGS, learning_rate=1e-2)
    procedure, worker, job = aligned(
        module,
        names=[name for name, _ in module.named_parameters()],
        policy=PolicySettings(
            algorithm=algorithm,
            num_steps=70,
            prompts_per_step=1,
            num_completions=128,
            max_new_tokens=2,
            kl_weight=KL_WEIGHT,
            gae_lambda=1.0 if algorithm == "ppo" else None,
        ),
        weight=1.0,
        helpfulness=lambda words: of[tuple(int(word[1:]) for word in words)],
        safety=lambda words: 0.0,
        tokenizer=Words(eos_token_id=None),
        train=replace(train, tokens=tokens),
        settings=settings,
    )
    reference = chances(module)
    rough = procedure.run(job, worker).tensors
    slow = replace(settings, learning_rate=1e-3)
    fine = replace(procedure, settings=slow).run(
        replace(job, settings=slow, start=replace(job.start, tensors=rough), seed=8), worker
    )
    worker.load(fine.tensors)
    odds = reference * np.exp(np.array(REWARDS) / KL_WEIGHT)
    assert chances(module) == pytest.approx(odds / odds.sum(), abs=0.03)
    assert np.abs(chances(module) - reference).max() > 0.2
