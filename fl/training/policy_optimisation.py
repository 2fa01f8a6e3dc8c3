"""Policy optimisation: a client's model writes answers and learns from their rewards.

Each step samples answers to a few prompts, scores them with both rewards, mixed by the client's own
weight, and makes one or more updates with them. The reference, which the model is kept near, is the
model with the first values of what is trained: they are put in its place for one pass, so there is
no second model.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from fl.clients.work import Work
from fl.data.shards import Shards
from fl.models.frozen_blocks import of_the_same_texts
from fl.models.language import LanguageModel
from fl.rewards.reward import Rewards
from fl.training.advantages import leave_one_out, standardised_by_group
from fl.training.batches import Examples, plan_batches
from fl.training.completions import Completions, Sampled, log_probabilities
from fl.training.cost import CostModel
from fl.training.job import JobSettings, Start, TrainJob, TrainResult
from fl.training.local_work import AlignsPolicy, LocalWork
from fl.training.policy_loss import grpo_loss, rloo_loss
from fl.training.policy_settings import PolicySettings
from fl.training.ppo import ProximalUpdates
from fl.training.procedure import Largest, Plan, reference_bytes
from fl.training.reference import language_model_of, reference_in_place
from fl.training.steps import Optimiser, finished_result
from fl.training.worker import Worker

Updates = Callable[[LanguageModel, Sampled], Iterator[torch.Tensor]]
"""Give the loss of each update with the same answers; the model is updated between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOptimisation:
    """Steps of an optimiser, fresh in every job, on rewards of what the model writes.

    The loss reported is minus the reward of an answer, mixed by the client's weight: its mean over
    all answers of the job, and its root mean square.
    """

    settings: JobSettings
    policy: PolicySettings
    method: AlignsPolicy
    """It knows each client's weight."""
    train: Examples
    """Table that jobs index: of each text the prompt alone is read."""
    num_positions: int | None = None
    """Positions of the model that texts may take; ``None``: no limit."""
    rewards: Rewards | None = None
    """What scoring answers costs; ``None``: nothing. Jobs are scored by the worker's own."""

    def plan(self, samples: Int[np.ndarray, " text"], *, seed: int) -> Plan:
        """Return the prompts of each step, each as often as it is answered."""
        policy, settings = self.policy, self.settings
        by_settings = policy.num_steps is None
        batches = plan_batches(
            self.method.trained_texts(samples, batch_size=settings.batch_size),
            batch_size=policy.prompts_per_step,
            local_steps=settings.local_steps if by_settings else policy.num_steps,
            local_epochs=settings.local_epochs if by_settings else None,
            seed=seed,
        )
        return Plan(
            steps=tuple(np.repeat(batch, policy.num_completions) for batch in batches),
            forward=tuple(self.method.finish_batches(samples, batch_size=settings.batch_size)),
        )

    def work(self, plan: Plan, start: Start, cost: CostModel) -> Work:
        """Return what writing, scoring and learning computes, all at the most tokens."""
        policy, total, flop = self.policy, Work(), 0
        for batch in plan.steps:
            prompts = np.unique(batch)
            prompt_tokens = max(len(self._prompt(int(index))) for index in prompts)
            num_tokens = prompt_tokens + policy.max_new_tokens
            total += cost.generation_work(
                batch_size=len(batch),
                prompt_tokens=prompt_tokens,
                new_tokens=policy.max_new_tokens,
                num_prompts=len(prompts),
                tensors=start.tensors,
            )
            passes = [((), 0 if policy.kl_weight == 0 else 1), (start.trainable, policy.num_epochs)]
            for trainable, times in passes:
                flop += times * cost.step_flop(
                    trainable,
                    batch_size=len(batch),
                    num_tokens=num_tokens,
                    num_asked=len(batch) * policy.max_new_tokens,
                    tensors=start.tensors,
                )
            flop += self._scoring_flop(len(batch), num_tokens)
        flop += cost.job_flop(
            (),
            batches=plan.forward,
            lengths=self.train.tokens.lengths,
            answer_lengths=self.train.tokens.answer_lengths,
            tensors=start.tensors,
        )
        return total + Work(flop=flop)

    def largest(self, shards: Shards, start: Start, cost: CostModel) -> Largest:
        """Return the step of the longest prompts; the reference and both rewards lie beside it."""
        policy, tokens = self.policy, self.train.tokens
        prompt_lengths = tokens.lengths
        if tokens.answer_lengths is not None:
            prompt_lengths = prompt_lengths - tokens.answer_lengths
        prompt_tokens = len(self._prompt(shards.longest_text(prompt_lengths)))
        num_prompts = min(policy.prompts_per_step, int(shards.num_train.max()))
        num_texts = num_prompts * policy.num_completions
        num_tokens = prompt_tokens + policy.max_new_tokens
        step = cost.count(
            start.trainable,
            batch_size=num_texts,
            num_tokens=num_tokens,
            num_asked=num_texts * policy.max_new_tokens,
            tensors=start.tensors,
        )
        cache_bytes = cost.generation_bytes(
            batch_size=num_texts,
            prompt_tokens=prompt_tokens,
            new_tokens=policy.max_new_tokens,
            tensors=start.tensors,
        )
        held_bytes = 0 if policy.kl_weight == 0 else reference_bytes(start)
        if self.rewards is not None:
            held_bytes += self.rewards.memory_bytes
        return Largest(
            num_texts=num_texts,
            num_tokens=num_tokens,
            step=step.under(self.settings.optimiser).beside(
                frozen_bytes=held_bytes, cache_bytes=cache_bytes
            ),
            writing=cost.generation_work(
                batch_size=num_texts,
                prompt_tokens=prompt_tokens,
                new_tokens=policy.max_new_tokens,
                num_prompts=num_prompts,
                tensors=start.tensors,
            ),
        )

    def run(self, job: TrainJob, worker: Worker[LocalWork]) -> TrainResult:
        """Let a client's model write, and train its tensors on the rewards.

        The result depends on the job alone: what is sampled is drawn from a generator made of the
        job's seed.

        Raises
        ------
        ValueError
            If the job was made for another model or has other settings, or a prompt has no room.
        TypeError
            If the worker's model writes no text, or there are no rewards.
        FloatingPointError
            If a reward or the loss is not finite; says which client, round and step.
        """
        worker.check_key(job.model_key)
        if job.settings != self.settings:
            msg = f"settings: job was made for {job.settings}, procedure has {self.settings}"
            raise ValueError(msg)
        module = language_model_of(worker)
        steps = self.plan(job.samples, seed=job.seed).steps
        optimiser = Optimiser.of(job, worker, num_steps=len(steps))
        generator = torch.Generator().manual_seed(job.seed)
        updates = self._updates()
        rewards = []
        for step, batch in enumerate(steps):
            completions, scores = self._sample(batch, job, worker, generator=generator, step=step)
            rewards.append(scores.double())
            with of_the_same_texts(module, job.start.trainable):
                sampled = Sampled(
                    completions=completions,
                    rewards=scores,
                    reference=self._reference(completions, job, worker),
                )
                for loss in updates(module, sampled):
                    optimiser.update(loss, step=step)
        losses = -torch.cat(rewards)
        return finished_result(
            job,
            worker,
            mean_loss=float(losses.mean()),
            rms_loss=math.sqrt(float(losses.square().mean())),
            num_steps=len(steps) * self.policy.num_epochs,
        )

    def _sample(
        self,
        batch: Int[np.ndarray, " text"],
        job: TrainJob,
        worker: Worker[LocalWork],
        *,
        generator: torch.Generator,
        step: int,
    ) -> tuple[Completions, Float[torch.Tensor, " text"]]:
        """Let the model answer prompts, and score the answers."""
        module, policy = language_model_of(worker), self.policy
        prompts = [self._prompt(int(index)) for index in batch]
        tokenizer = worker.tokenizer
        if tokenizer is None or worker.rewards is None:
            lacking = "tokenizer" if tokenizer is None else "rewards"
            msg = f"{lacking}: learning from rewards needs a worker with a tokenizer and rewards"
            raise TypeError(msg)
        stop_id, pad_id = tokenizer.eos_token_id, self.train.tokens.pad_token_id
        written = module.sample(
            prompts,
            num_tokens=policy.max_new_tokens,
            stop_id=stop_id,
            pad_id=pad_id,
            temperature=policy.temperature,
            generator=generator,
        )
        completions = Completions.of(
            prompts,
            written,
            num_tokens=policy.max_new_tokens,
            stop_id=stop_id,
            pad_id=pad_id,
            device=next(module.parameters()).device,
        )
        asked = [worker.decode(self.train.tokens.question(int(index))) for index in batch]
        scores = worker.rewards.scores(asked, [worker.decode(own) for own in written])
        mixed = mix(scores, weight=self.method.reward_weight(job.start))
        if not np.isfinite(mixed).all():
            bad = next(name for name, of in scores.items() if not np.isfinite(of).all())
            msg = (
                f"reward of {bad}: must be finite, got {scores[bad].tolist()} at step {step} of "
                f"client {job.client_id} in round {job.round}"
            )
            raise FloatingPointError(msg)
        return completions, torch.from_numpy(mixed).to(completions.input_ids.device, torch.float32)

    def _reference(
        self, completions: Completions, job: TrainJob, worker: Worker[LocalWork]
    ) -> Float[torch.Tensor, "text step"] | None:
        """Return how probable the reference finds the answers; ``None`` where nobody asks."""
        if self.policy.kl_weight == 0:
            return None
        with torch.no_grad(), reference_in_place(worker, job.start.trainable):
            return log_probabilities(
                language_model_of(worker), completions, temperature=self.policy.temperature
            )

    def _updates(self) -> Updates:
        if self.policy.algorithm == "ppo":
            return ProximalUpdates(self.policy)
        return self._group_updates

    def _group_updates(self, module: LanguageModel, sampled: Sampled) -> Iterator[torch.Tensor]:
        """Give the loss of each update of GRPO or RLOO."""
        policy, there = self.policy, sampled.completions.is_written
        old = advantages = None
        for _ in range(policy.num_epochs):
            new = log_probabilities(module, sampled.completions, temperature=policy.temperature)
            if old is None or advantages is None:
                old = new.detach()
                advantages = self._advantages(sampled, old)
            if policy.algorithm == "rloo":
                yield rloo_loss(new, old=old, advantages=advantages, clip=policy.clip)
                continue
            yield grpo_loss(
                new,
                old=old,
                reference=sampled.reference,
                advantages=advantages,
                is_written=there,
                clip=policy.clip,
                kl_weight=policy.kl_weight,
            )

    def _advantages(self, sampled: Sampled, old: torch.Tensor) -> Float[torch.Tensor, " text"]:
        """Compare answers to the same prompt; RLOO takes the divergence off each reward first."""
        size, rewards = self.policy.num_completions, sampled.rewards
        if self.policy.algorithm == "grpo":
            return standardised_by_group(rewards, group_size=size)
        if sampled.reference is not None:
            rewards = rewards - self.policy.kl_weight * (old - sampled.reference).sum(dim=1)
        return leave_one_out(rewards, group_size=size)

    def _prompt(self, index: int) -> list[int]:
        """Return a prompt, without its first tokens where there is no room for the answer."""
        prompt, _ = self.train.tokens.prompt_and_answer(index)
        if self.num_positions is None:
            return prompt
        room = self.num_positions - self.policy.max_new_tokens
        if room < 1:
            msg = (
                f"max_new_tokens: must be below the {self.num_positions} positions of the model, "
                f"got {self.policy.max_new_tokens}"
            )
            raise ValueError(msg)
        return prompt[-room:]

    def _scoring_flop(self, num_texts: int, num_tokens: int) -> int:
        if self.rewards is None:
            return 0
        return self.rewards.flop(num_texts=num_texts, num_tokens=num_tokens)


def mix(
    scores: dict[str, Float[np.ndarray, " text"]], *, weight: float
) -> Float[np.ndarray, " text"]:
    """Return ``weight`` times helpfulness and the rest of 1 times safety; both standardised."""
    return weight * scores["helpfulness"] + (1 - weight) * scores["safety"]
