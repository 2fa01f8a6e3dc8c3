"""Overhead of a policy-optimisation job: ``python -m benchmarks.policy_step [--json] [MODEL]``.

The same settings once as a job (:mod:`fl.training.policy_optimisation`) and once as a plain loop
that samples with ``generate`` of transformers: GRPO, the last two blocks, 2 prompts with 4 answers
of 24 tokens a step, two rule-based rewards. Processor milliseconds a step, median over runs that
alternate. What ends a text is switched off, so that both write the same number of tokens.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import transformers
from jaxtyping import Float, Int

from fl.models.backbone import load_backbone
from fl.models.config import ModelConfig
from fl.models.language import LanguageModel
from fl.models.tokens import TokenTable
from fl.payload import Tensors
from fl.rewards.reward import Rewards
from fl.training.batches import Examples
from fl.training.job import JobSettings, Start, TrainJob
from fl.training.local_work import ModelInMemory
from fl.training.objective import TASK_LOSS, Objective
from fl.training.policy_optimisation import PolicyOptimisation
from fl.training.policy_settings import PolicySettings
from fl.training.worker import Worker

TARGET = 1.3
NUM_STEPS = 6
REPEATS = 7
POLICY = PolicySettings(num_steps=NUM_STEPS)
SETTINGS = JobSettings(
    local_steps=None,
    local_epochs=1,
    batch_size=8,
    learning_rate=1e-3,
    weight_decay=0.0,
    max_gradient_norm=None,
)
PROMPTS = (
    "def mean(values):",
    "def read_lines(path, encoding):",
    "def shortest_path(graph, source, target):",
    "def plot(spectrum):",
)


class Words:
    """A rule: different words, or words that are short, in [0, 1]."""

    digest = "words"
    memory_bytes = 0

    def __init__(self, *, counts_short: bool) -> None:
        self._counts_short = counts_short

    def scores(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> Float[np.ndarray, " text"]:
        """Return the score of each answer."""
        words = [text.lower().split() for text in responses]
        if self._counts_short:
            return np.array([sum(len(word) < 4 for word in each) / 24 for each in words])
        return np.array([len(set(each)) / 24 for each in words])

    def flop(self, *, num_texts: int, num_tokens: int) -> int:
        """Return 0."""
        return 0


class LastBlocks:
    """Trains some tensors, with a penalty for their distance from where they began."""

    kind = "last_blocks"
    objective: Objective = TASK_LOSS  # its procedure is made by hand below

    def __init__(self, initial: Tensors) -> None:
        self.initial = initial

    def reward_weight(self, start: Start) -> float:
        """Return the weight of helpfulness."""
        return 0.5

    def penalty(self, parameters: Tensors, start: Start) -> torch.Tensor:
        """Return half the squared distance."""
        return (
            0.5
            * torch.stack(
                [(value - start.tensors[name]).square().sum() for name, value in parameters.items()]
            ).sum()
        )

    def trained_texts(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> Int[np.ndarray, " text"]:
        """Train on all texts."""
        return samples

    def finish_batches(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> Sequence[Int[np.ndarray, " text"]]:
        """Return nothing."""
        return ()

    def finish(self, trained: Tensors, job: TrainJob, worker: ModelInMemory) -> Tensors:
        """Return nothing."""
        return {}


def prompt_table(tokenizer: transformers.PreTrainedTokenizerBase, *, pad_id: int) -> Examples:
    """Return the prompts, each with an answer of one token, which nobody reads."""
    texts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in PROMPTS]
    rows = [[*text, text[0]] for text in texts]
    tokens = TokenTable(
        ids=np.concatenate(rows).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum([len(row) for row in rows])]),
        pad_token_id=pad_id,
        answer_starts=np.array([len(text) for text in texts], dtype=np.int32),
    )
    return Examples(tokens=tokens, labels=np.zeros(len(rows), dtype=np.int64))


def plain_job(
    causal: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    rewards: Rewards,
    start: Tensors,
    places: dict[str, torch.nn.Parameter],
    *,
    pad_id: int,
) -> None:
    """Make the same steps as a job does, by hand."""
    named = {name: places[name] for name in start}
    for name, parameter in named.items():
        parameter.data = start[name].clone()
        parameter.requires_grad = True
    optimiser = torch.optim.AdamW(named.values(), lr=1e-3, weight_decay=0.0, fused=True)
    order = np.random.default_rng(3)
    how = transformers.GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=POLICY.max_new_tokens,
        do_sample=True,
        top_k=0,
        eos_token_id=None,
        pad_token_id=pad_id,
    )
    for _ in range(NUM_STEPS):
        chosen = order.choice(len(PROMPTS), POLICY.prompts_per_step, replace=False)
        texts = [PROMPTS[index] for index in chosen for _ in range(POLICY.num_completions)]
        rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        cut = max(map(len, rows))
        padded = [[pad_id] * (cut - len(row)) + row for row in rows]
        seen = [[0] * (cut - len(row)) + [1] * len(row) for row in rows]
        ids, mask = torch.tensor(padded), torch.tensor(seen)
        with torch.inference_mode():
            generate: Any = causal.generate
            found = generate(input_ids=ids, attention_mask=mask, generation_config=how)
        ids = found.clone()
        mask = torch.cat([mask, torch.ones_like(ids[:, cut:])], dim=1)
        said = tokenizer.batch_decode(ids[:, cut:], skip_special_tokens=True)
        scores = rewards.scores(texts, said)
        mixed = torch.from_numpy(0.5 * scores["helpfulness"] + 0.5 * scores["safety"]).float()
        groups = mixed.view(-1, POLICY.num_completions)
        spread = groups - groups.mean(1, keepdim=True)
        advantages = (spread / (groups.std(1, keepdim=True) + 1e-4)).view(-1, 1)

        def log_probs(ids: torch.Tensor, mask: torch.Tensor, cut: int) -> torch.Tensor:
            logits = causal(input_ids=ids, attention_mask=mask, use_cache=False).logits
            tokens = ids[:, cut:, None]
            return logits[:, cut - 1 : -1].log_softmax(-1).gather(-1, tokens)[..., 0]

        with torch.no_grad():
            now = {name: parameter.data for name, parameter in named.items()}
            for name, parameter in named.items():
                parameter.data = start[name]
            old = log_probs(ids, mask, cut)
            for name, parameter in named.items():
                parameter.data = now[name]
        new = log_probs(ids, mask, cut)
        ratio = torch.exp(new - new.detach())
        divergence = torch.exp(old - new) - (old - new) - 1
        loss = (-ratio * advantages + POLICY.kl_weight * ratio * divergence).mean()
        for name, parameter in named.items():
            loss = loss + 0.5 * (parameter - start[name]).square().sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    for parameter in named.values():
        parameter.requires_grad = False


def measure(model: str) -> dict[str, Any]:
    """Return processor milliseconds a step, of the job and of the plain loop, and their ratio."""
    backbone = load_backbone(
        ModelConfig(name=model), num_classes=2, rng=np.random.default_rng(0), task="generation"
    )
    module, tokenizer = backbone.module, backbone.tokenizer
    if not isinstance(module, LanguageModel):
        msg = f"model: must be a language model, got {model}"
        raise TypeError(msg)
    for parameter in module.parameters():
        parameter.requires_grad = False
    tokenizer.eos_token = None
    places = dict(module.named_parameters())
    last = max(int(name.split(".")[2]) for name in places if name.startswith("encoder.layers."))
    chosen = tuple(f"encoder.layers.{index}." for index in (last - 1, last))
    start = {
        name: value.detach().clone() for name, value in places.items() if name.startswith(chosen)
    }
    rewards = Rewards(helpfulness=Words(counts_short=False), safety=Words(counts_short=True))
    table, method = prompt_table(tokenizer, pad_id=backbone.pad_token_id), LastBlocks(start)
    worker = Worker(
        module=module,
        method=method,
        train=table,
        test=table,
        tokenizer=tokenizer,
        rewards=rewards,
        model_key="key",
    )
    procedure = PolicyOptimisation(settings=SETTINGS, policy=POLICY, method=method, train=table)
    job = TrainJob(
        model_key="key",
        client_id=0,
        round=1,
        version=0,
        start=Start(tensors=start, trainable=tuple(sorted(start))),
        samples=np.arange(len(PROMPTS)),
        settings=SETTINGS,
        seed=3,
    )
    ways: dict[str, Callable[[], object]] = {
        "job": lambda: procedure.run(job, worker),
        "plain": lambda: plain_job(
            module.causal, tokenizer, rewards, start, places, pad_id=backbone.pad_token_id
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with torch.random.fork_rng(devices=[]):
        for repeat in range(REPEATS + 1):
            for name, run in ways.items():
                began_s = time.process_time()
                run()
                if repeat:  # the first warms up
                    seconds[name].append(time.process_time() - began_s)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return {
        "model": model,
        "ms_per_step": {name: 1e3 * each / NUM_STEPS for name, each in medians.items()},
        "ratio": medians["job"] / medians["plain"],
        "target": TARGET,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="tiny-decoder")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(arguments.model)
    if arguments.json:
        print(json.dumps(found))
        return
    own, plain = found["ms_per_step"]["job"], found["ms_per_step"]["plain"]
    print(
        f"{found['model']}: {own:.1f} ms a step in a job, {plain:.1f} ms by hand, "
        f"{found['ratio']:.2f} x (at most {TARGET})"
    )


if __name__ == "__main__":
    main()
