"""Policy optimisation: purity, what is scored, special cases, and optima in closed form."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from transformers import LlamaConfig, LlamaForCausalLM

from fl.data.shards import GivenShards, Shard
from fl.models.language import LanguageModel
from fl.rewards.reward import Rewards
from fl.training.cost import CostModel
from fl.training.policy_settings import PolicySettings
from tests.fl.fakes import classifier, examples
from tests.fl.training.alignment import (
    SETTINGS,
    Counting,
    Words,
    aligned,
    different_words,
    even_words,
    moved,
    prompts,
)

ALGORITHMS = ["grpo", "rloo", "ppo"]


def policy_of(algorithm="grpo", **changes):
    return PolicySettings(algorithm=algorithm, **{"max_new_tokens": 8, **changes})


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


@pytest.mark.parametrize("num_epochs", [1, 3])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_result_is_a_function_of_the_job_alone(algorithm, num_epochs):
    procedure, worker, job = aligned(policy=policy_of(algorithm, num_epochs=num_epochs), prox=0.1)
    job = moved(job)
    before, state = dict(job.start.tensors), torch.get_rng_state()
    copies = {name: value.clone() for name, value in before.items()}
    first = procedure.run(job, worker)
    assert torch.equal(state, torch.get_rng_state())
    torch.rand(7)
    other = procedure.run(replace(job, seed=6, client_id=1), worker)
    again = procedure.run(job, worker)
    assert same(first.tensors, again.tensors)
    assert (first.mean_loss, first.rms_loss) == (again.mean_loss, again.rms_loss)
    assert not same(first.tensors, other.tensors)
    assert not same(first.tensors, before)
    assert same(copies, before)
    assert first.num_steps == 3 * num_epochs
    assert first.num_samples == 12
    assert not any(each.requires_grad for each in worker.module.parameters())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_reward_rises(algorithm):
    procedure, worker, job = aligned(
        names=["lm_head.weight"],
        policy=policy_of(algorithm, num_steps=40, num_completions=8, kl_weight=0.0),
        weight=0.0,
        settings=replace(SETTINGS, learning_rate=3e-2),
    )
    procedure.run(job, worker)
    rewards = [
        np.mean([even_words(text.split()) for text in texts])
        for _, texts in worker.rewards.safety.seen
    ]
    assert np.mean(rewards[-8:]) > np.mean(rewards[:8]) + 0.2


def test_loss_is_of_the_rewards_of_what_was_written():
    procedure, worker, job = aligned(weight=0.3)
    result = procedure.run(job, worker)
    seen = worker.rewards.helpfulness.seen
    assert seen == worker.rewards.safety.seen
    responses = [text.split() for _, texts in seen for text in texts]
    rewards = np.array([0.3 * different_words(r) + 0.7 * even_words(r) for r in responses])
    assert result.mean_loss == pytest.approx(-rewards.mean(), rel=1e-6)
    assert result.rms_loss == pytest.approx(np.sqrt((rewards**2).mean()), rel=1e-6)
    plan = procedure.plan(job.samples, seed=job.seed)
    tokenizer, tokens = Words(), worker.train.tokens
    for batch, (texts, _) in zip(plan.steps, seen, strict=True):
        ids = [tokens.prompt_and_answer(int(index))[0] for index in batch]
        assert texts == [tokenizer.decode(each, skip_special_tokens=True) for each in ids]


def test_an_independent_reward_is_not_learnt_from():
    """Nor does it cost a client anything: not asked, not charged, not held in memory."""
    independent = replace(Counting(different_words), digest="third", memory_bytes=10**12)
    procedure, worker, job = aligned(weight=0.3)
    with_it = replace(worker, rewards=replace(worker.rewards, independent=independent))
    assert same(procedure.run(job, worker).tensors, procedure.run(job, with_it).tensors)
    assert independent.seen == []
    assert with_it.rewards.memory_bytes == 0
    assert with_it.rewards.digest != worker.rewards.digest
    assert with_it.rewards.all_scores(["w1"], ["w2 w4 w6"])["independent"] == [3 / 8]
    assert "independent" not in worker.rewards.all_scores(["w1"], ["w2"])


def test_each_client_has_its_own_weight():
    procedure, worker, job = aligned(weight=0.9)
    own = replace(job, start=replace(job.start, client_outputs={"weight": torch.tensor(0.25)}))
    other, _, _ = aligned(worker.module, weight=0.25)
    found, wanted = procedure.run(own, worker), other.run(job, worker)
    assert found.mean_loss == wanted.mean_loss
    assert found.mean_loss != procedure.run(job, worker).mean_loss
    assert float(found.tensors["weight"]) == 0.25


def test_plan_repeats_each_prompt():
    procedure, _, job = aligned(policy=policy_of(num_completions=3, prompts_per_step=2))
    plan = procedure.plan(job.samples, seed=1)
    assert len(plan.steps) == SETTINGS.local_steps
    for batch in plan.steps:
        assert len(batch) == 6
        assert batch.tolist() == np.repeat(batch[::3], 3).tolist()
        assert len(set(batch.tolist())) == 2
    assert [len(batch) for batch in procedure.plan(job.samples[:1], seed=1).steps] == [3, 3, 3]
    more = replace(procedure, policy=replace(procedure.policy, num_steps=5))
    assert len(more.plan(job.samples, seed=1).steps) == 5
    epochs = replace(procedure, settings=replace(SETTINGS, local_steps=None, local_epochs=2))
    assert len(epochs.plan(job.samples, seed=1).steps) == 12
    assert len(replace(more, settings=epochs.settings).plan(job.samples, seed=1).steps) == 5


def test_work_is_of_writing_scoring_and_learning():
    class Priced(Counting):
        def flop(self, *, num_texts, num_tokens):
            return 1000 * num_texts + num_tokens

    rewards = Rewards(helpfulness=Priced(len), safety=Priced(len))
    policy = policy_of(num_completions=3, num_epochs=2, num_steps=1)
    procedure, worker, job = aligned(policy=policy, rewards=rewards)
    cost = CostModel(worker.module, max_tokens=20)
    plan = procedure.plan(job.samples, seed=1)
    (batch,) = plan.steps
    longest = max(len(worker.train.tokens.prompt_and_answer(int(each))[0]) for each in batch)
    found = procedure.work(plan, job.start, cost)
    writing = cost.generation_work(
        batch_size=6, prompt_tokens=longest, new_tokens=8, num_prompts=2, tensors=job.start.tensors
    )
    assert found.decode == writing.decode
    assert sum(each.num_steps for each in found.decode) == 7
    shape = {
        "batch_size": 6,
        "num_tokens": longest + 8,
        "num_asked": 48,
        "tensors": job.start.tensors,
    }
    reference = cost.step_flop((), **shape)
    learning = cost.step_flop(job.start.trainable, **shape)
    scoring = 2 * (6000 + longest + 8)
    assert found.flop == writing.flop + reference + 2 * learning + scoring
    free = replace(procedure, policy=replace(policy, kl_weight=0.0))
    assert free.work(plan, job.start, cost).flop == found.flop - reference
    cut = replace(procedure, num_positions=10)
    assert cut.work(plan, job.start, cost).total_flop < found.total_flop


def test_the_largest_step_has_the_longest_prompts_and_what_lies_beside_it():
    rewards = Rewards(
        helpfulness=Counting(len, memory_bytes=3000), safety=Counting(len, memory_bytes=500)
    )
    policy = policy_of(num_completions=3)
    procedure, worker, job = aligned(policy=policy, rewards=rewards)
    cost, start = CostModel(worker.module, max_tokens=20), job.start
    whole = GivenShards([Shard(train=job.samples, test=job.samples[:1])])
    found = procedure.largest(whole, start, cost)
    longest = max(len(worker.train.tokens.prompt_and_answer(each)[0]) for each in range(12))
    assert (found.num_texts, found.num_tokens) == (6, longest + 8)
    writing = {"batch_size": 6, "prompt_tokens": longest, "new_tokens": 8}
    assert found.writing == cost.generation_work(**writing, num_prompts=2, tensors=start.tensors)
    step = cost.count(
        start.trainable, batch_size=6, num_tokens=longest + 8, num_asked=48, tensors=start.tensors
    )
    trained_bytes = sum(each.nbytes for each in start.tensors.values())
    assert found.step.memory_bytes() == step.memory_bytes() + 3500 + trained_bytes
    free = replace(procedure, policy=replace(policy, kl_weight=0.0), rewards=None)
    assert free.largest(whole, start, cost).step == step
    small = GivenShards([Shard(train=job.samples[:1], test=job.samples[:1])] * 2)
    assert procedure.largest(small, start, cost).num_texts == 3  # one prompt a step


def test_the_cache_counts_where_little_is_kept_for_backward():
    procedure, worker, job = aligned(names=["lm_head.weight"], policy=policy_of(max_new_tokens=1))
    cost = CostModel(worker.module, max_tokens=20)
    whole = GivenShards([Shard(train=job.samples, test=job.samples[:1])])
    found = procedure.largest(whole, job.start, cost)
    cache_bytes = cost.generation_bytes(
        batch_size=8, prompt_tokens=found.num_tokens - 1, new_tokens=1, tensors=job.start.tensors
    )
    step = cost.count(
        job.start.trainable, batch_size=8, num_tokens=found.num_tokens, num_asked=8,
        tensors=job.start.tensors,
    )  # fmt: skip
    assert found.step.activation_bytes == cache_bytes > step.activation_bytes


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_equal_rewards_move_nothing(algorithm):
    procedure, worker, job = aligned(
        policy=policy_of(algorithm, kl_weight=0.0),
        helpfulness=lambda words: 0.1,
        safety=lambda words: 0.3,
    )
    job = moved(job)
    assert same(procedure.run(job, worker).tensors, job.start.tensors)


def test_divergence_pulls_towards_the_reference():
    def distance(kl_weight):
        procedure, worker, job = aligned(
            names=["lm_head.weight"],
            policy=policy_of(kl_weight=kl_weight, num_completions=8),
            helpfulness=lambda words: 0.1,
            safety=lambda words: 0.3,
            settings=replace(SETTINGS, local_steps=40, learning_rate=1e-2),
        )
        found = procedure.run(moved(job, scale=0.3), worker)
        worker.load(found.tensors)
        ids = torch.tensor([[7, 9, 4, 8], [3, 5, 9, 11]])
        mask = torch.ones_like(ids)
        with torch.no_grad():
            new = worker.module(ids, mask).log_softmax(-1)
            worker.load(worker.method.initial)
            old = worker.module(ids, mask).log_softmax(-1)
        return float((new.exp() * (new - old)).sum(-1).mean())

    assert distance(5.0) < 0.75 * distance(1e-9)


def test_the_penalty_of_the_method_counts():
    def drift(prox):
        procedure, worker, job = aligned(prox=prox, settings=replace(SETTINGS, local_steps=10))
        found = procedure.run(job, worker).tensors
        return sum(
            float((value - job.start.tensors[name]).square().sum()) for name, value in found.items()
        )

    assert drift(30.0) < 0.3 * drift(0.0)


def test_gradients_are_clipped():
    def of(norm, **changes):
        settings = replace(SETTINGS, local_steps=1, max_gradient_norm=norm, **changes)
        procedure, worker, job = aligned(settings=settings)
        return procedure.run(job, worker).tensors

    # AdamW's first step forgets the size of a gradient, but for its epsilon of 1e-8.
    assert same(of(None), of(1e9))
    assert not same(of(None), of(1e-9))


@pytest.mark.parametrize("which", ["helpfulness", "safety"])
def test_a_reward_that_is_no_number_names_client_round_and_step(which):
    calls = []

    def breaking(words):
        calls.append(words)
        return float("nan") if len(calls) > 8 else 0.5

    procedure, worker, job = aligned(**{which: breaking})
    message = rf"^reward of {which}: must be finite, got .* at step 1 of client 3 in round 2$"
    with pytest.raises(FloatingPointError, match=message):
        procedure.run(job, worker)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_empty_answers_are_scored_and_learned_from(algorithm):
    policy = policy_of(algorithm, temperature=0.5)
    free, worker, job = aligned(policy=policy)
    free.run(job, worker)
    firsts = [text.split()[0] for text in worker.rewards.safety.seen[0][1]]
    likely = max(set(firsts), key=firsts.count)  # ends a text from now on
    procedure, worker, job = aligned(policy=policy, tokenizer=Words(eos_token_id=int(likely[1:])))
    found = procedure.run(job, worker)
    assert "" in worker.rewards.safety.seen[0][1]
    assert all(torch.isfinite(value).all() for value in found.tensors.values())
    assert not same(found.tensors, job.start.tensors)


def test_a_prompt_without_room_loses_its_first_tokens(monkeypatch):
    train, read = prompts(longest=9), []
    procedure, worker, job = aligned(train=train, num_positions=12)
    sample = type(worker.module).sample

    def watched(module, given, **options):
        read.extend(list(each) for each in given)
        return sample(module, given, **options)

    monkeypatch.setattr(type(worker.module), "sample", watched)
    procedure.run(job, worker)
    plan = procedure.plan(job.samples, seed=job.seed)
    whole = [
        train.tokens.prompt_and_answer(int(index))[0] for batch in plan.steps for index in batch
    ]
    assert read == [prompt[-4:] for prompt in whole]
    assert read != whole
    # rewards are given all that was asked
    shown = [text for texts, _ in worker.rewards.safety.seen for text in texts]
    assert shown == [Words().decode(prompt, skip_special_tokens=True) for prompt in whole]


def test_answers_must_leave_room_for_a_prompt():
    procedure, worker, job = aligned(num_positions=8)
    with pytest.raises(
        ValueError, match=r"^max_new_tokens: must be below the 8 positions .* got 8"
    ):
        procedure.run(job, worker)


def test_jobs_of_others_are_refused():
    procedure, worker, job = aligned()
    with pytest.raises(ValueError, match=r"^model_key: "):
        procedure.run(replace(job, model_key="other"), worker)
    with pytest.raises(ValueError, match=r"^settings: "):
        procedure.run(replace(job, settings=replace(SETTINGS, batch_size=3)), worker)
    for lacking in ("tokenizer", "rewards"):
        with pytest.raises(TypeError, match=f"^{lacking}: "):
            procedure.run(job, replace(worker, **{lacking: None}))
    with pytest.raises(TypeError, match=r"^module: must be a language model"):
        procedure.run(job, replace(worker, module=classifier(), train=examples(5)))


# A bandit: one prompt, one token to write, two to choose from. The probability of the first is
# the only thing that the model can learn.
REWARD = 1.0
"""Of the first token; that of the second is 0."""


def bandit(algorithm, *, kl_weight, num_completions=64, learning_rate=0.04, num_steps=200):
    config = LlamaConfig(
        vocab_size=2,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        module = LanguageModel(LlamaForCausalLM(config)).eval()
    train = prompts(1, vocabulary_size=2 + 2)
    tokens = replace(
        train.tokens,
        ids=np.array([0, 1, 0, 0], dtype=np.int32),
        offsets=np.array([0, 4]),
        answer_starts=np.array([2], dtype=np.int32),
    )
    with torch.no_grad():  # the second token is likelier at first, by 0.6 in log-probability
        state = module.encoder(input_ids=torch.tensor([[0, 1]])).last_hidden_state[0, -1]
        module.lm_head.weight.zero_()
        module.lm_head.weight[1] = 0.6 * state / state.square().sum()
    procedure, worker, job = aligned(
        module,
        names=["lm_head.weight"],
        policy=PolicySettings(
            algorithm=algorithm,
            num_steps=num_steps,
            prompts_per_step=1,
            num_completions=num_completions,
            max_new_tokens=1,
            kl_weight=kl_weight,
        ),
        weight=1.0,
        helpfulness=lambda words: REWARD * (words == ["w0"]),
        safety=lambda words: 100.0 * len(words),
        tokenizer=Words(eos_token_id=None),
        train=replace(train, tokens=tokens),
        settings=replace(SETTINGS, learning_rate=learning_rate),
    )

    def chance(tensors):
        worker.load(tensors)
        with torch.no_grad():
            ids = torch.tensor([[0, 1]])
            return float(module(ids, torch.ones_like(ids))[0, -1].softmax(-1)[0])

    reference = chance(job.start.tensors)
    # The mean of the last positions: single ones are noisy.
    first = replace(procedure, policy=replace(procedure.policy, num_steps=num_steps // 2))
    found, chances = first.run(job, worker).tensors, []
    short = replace(procedure, policy=replace(procedure.policy, num_steps=10))
    for seed in range(20):
        start = replace(job.start, tensors=found)
        rest = replace(job.settings, learning_rate=learning_rate / 10)
        found = (
            replace(short, settings=rest)
            .run(replace(job, start=start, seed=seed, settings=rest), worker)
            .tensors
        )
        chances.append(chance(found))
    return reference, float(np.mean(chances))


@pytest.mark.parametrize("algorithm", ["rloo", "ppo"])
def test_bandit_ends_at_the_softmax_of_rewards(algorithm):
    """The optimum of reward minus divergence: softmax(reward / kl_weight + log reference)."""
    reference, found = bandit(algorithm, kl_weight=0.8)
    odds = np.exp(REWARD / 0.8) * reference / (1 - reference)
    assert found == pytest.approx(odds / (1 + odds), abs=0.02)
    assert abs(found - reference) > 0.2


def test_bandit_of_grpo_ends_where_its_own_gradient_is_0():
    """GRPO divides by the standard deviation within a group, which depends on the policy.

    By the logit, for large groups: sqrt(p (1 - p)) of the advantages, and kl_weight p (1 - p)
    (logit p - logit q) of the divergence; for small weights they never balance.
    """
    kl_weight = 3.0
    reference, found = bandit("grpo", kl_weight=kl_weight)

    def gradient(p):
        distance = np.log(p / (1 - p)) - np.log(reference / (1 - reference))
        return np.sqrt(p * (1 - p)) - kl_weight * p * (1 - p) * distance

    assert found == pytest.approx(brentq(gradient, reference, 0.7), abs=0.02)
    assert abs(found - reference) > 0.1
