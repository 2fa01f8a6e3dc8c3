"""A trial of a method on a model, before anything is simulated.

One small batch, with a text of the greatest length, goes through the model as it was loaded and
then with the method in it. What would only show in the middle of a run, or not at all, is refused
here: scores that are not those of the model's own forward pass, padding that changes them, losses
that are not finite, gradients that do not reach what is trained or reach anything else.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from fl.execution.own_trial import try_own_method
from fl.execution.run_job import run_job
from fl.execution.trial_job import trial_job, trial_worker
from fl.methods import MethodConfig
from fl.methods.base import Method
from fl.methods.own import OwnConfig
from fl.models.backbone import Backbone
from fl.models.classifier import TextClassifier, pool
from fl.models.language import LanguageModel
from fl.models.lora_settings import DEFAULT_LORA, LoraSettings
from fl.models.tokens import TokenTable
from fl.own_code import in_one_line
from fl.problems import ModelError, one_line
from fl.training.batches import Examples
from fl.training.job import Start
from fl.training.worker import Worker

TOLERANCE = 1e-3
"""Largest difference between equal scores, relative to the largest score: float32 sums in another
order differ by 1e-6 in a small model and 1e-4 in a large one [our choice]."""
MAX_REASON = 300
"""Longest reason that a message repeats [characters]."""
_PLACE = "model.name: "


@dataclass(frozen=True, kw_only=True)
class TriedBackbone:
    """What a model that works gave for the texts of a trial."""

    examples: Examples
    """Two texts."""
    scores: torch.Tensor
    """Its own for each text alone; shape ``(text, class)``, or ``(asked token, vocabulary)``."""


def try_backbone(backbone: Backbone, *, train: Examples) -> TriedBackbone:
    """Pass two texts through a model as it was loaded; leaves it as it is.

    Parameters
    ----------
    backbone
        Freshly loaded.
    train
        Training texts, at least one; the texts of the trial are made of their tokens.

    Raises
    ------
    fl.problems.ModelError
        One line that names the model and the reason.
    """
    examples = trial_texts(train.tokens, max_tokens=backbone.max_tokens)
    if train.rejected is not None:
        worse = trial_texts(train.rejected, max_tokens=backbone.max_tokens)
        examples = replace(examples, rejected=worse.tokens)
    try:
        plain = _own_scores(backbone, examples)
        _compare(_scores(backbone, examples), plain, what="scores in a padded batch")
    except Exception as error:
        msg = f"{_PLACE}{backbone.name!r} does not work: {_reason(error)}"
        raise ModelError(msg) from error
    return TriedBackbone(examples=examples, scores=plain)


def try_method(
    config: MethodConfig,
    *,
    backbone: Backbone,
    tried: TriedBackbone,
    num_clients: int,
    seed: int,
    lora: LoraSettings = DEFAULT_LORA,
) -> None:
    """Install a method in a model that works by itself, and let a client train one step.

    Draws nothing from a global generator. Of a method of a user's own, only the answers are
    checked, as in a run.

    Parameters
    ----------
    config
        Settings of the method.
    backbone
        Freshly loaded; of no use afterwards.
    tried
        What :func:`try_backbone` returned for an equal backbone.
    num_clients
        Clients of the federation.
    seed
        Of the method's first values.
    lora
        Of low-rank adaptations.

    Raises
    ------
    ValueError
        One line that names model, method and reason; or what the method says of its own settings.
    """
    backbone.check_room(config.extra_positions, kind=config.kind)
    if isinstance(config, OwnConfig):
        try_own_method(
            config,
            backbone=backbone,
            examples=tried.examples,
            num_clients=num_clients,
            seed=seed,
            lora=lora,
        )
        return
    try:
        worker = trial_worker(
            config,
            backbone=backbone,
            examples=tried.examples,
            num_clients=num_clients,
            seed=seed,
            lora=lora,
        )
        _try_jobs(config, worker, backbone=backbone, tried=tried)
    except Exception as error:
        # What a method says of its own settings names them: it needs no words of ours.
        if isinstance(error, ValueError) and not isinstance(error, ModelError):
            raise
        msg = f"{_PLACE}{backbone.name!r} does not work with {config.kind}: {_reason(error)}"
        raise ModelError(msg) from error


def trial_texts(tokens: TokenTable, *, max_tokens: int) -> Examples:
    """Return two texts made of the tokens of others: one of the greatest length, one of half that.

    The largest token id is among them. Where texts are answers to prompts, the second half is to be
    written; where tokens have types, it has type 1.
    """
    lengths = np.array([max_tokens, max(2, max_tokens // 2)])
    ids = np.resize(tokens.ids, lengths.sum())
    ids[0] = tokens.ids.max()
    is_second_half = np.concatenate([np.arange(length) >= length // 2 for length in lengths])
    table = TokenTable(
        ids=ids,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        pad_token_id=tokens.pad_token_id,
        type_ids=None if tokens.type_ids is None else is_second_half.astype(np.int8),
        answer_starts=(None if tokens.answer_starts is None else (lengths // 2).astype(np.int32)),
    )
    return Examples(tokens=table, labels=np.arange(2))


def _own_scores(backbone: Backbone, examples: Examples) -> torch.Tensor:
    """Return the scores that the model of transformers gives to each text alone, without padding.

    Shape ``(text, class)``, or ``(asked token, vocabulary)``.
    """
    module, found = backbone.module, []
    with torch.no_grad():
        for index in range(2):
            batch = examples.batch(np.array([index]))
            texts = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
            if isinstance(module, LanguageModel):
                logits = module.causal(**texts).logits[0]
                starts = examples.tokens.answer_starts
                first = 1 if starts is None else int(starts[index])
                found.append(logits[first - 1 : -1])
                continue
            types = {} if batch.token_type_ids is None else {"token_type_ids": batch.token_type_ids}
            hidden = module.encoder(**texts, **types).last_hidden_state
            features = pool(hidden, batch.attention_mask, pooling=module.pooling)
            found.append(module.head(features))
    return torch.cat(found)


def _scores(backbone: Backbone, examples: Examples, index: int | None = None) -> torch.Tensor:
    """Return our scores of both texts in one batch, or of one alone; shape as above."""
    module = backbone.module
    batch = examples.batch(np.arange(2) if index is None else np.array([index]))
    with torch.no_grad():
        if isinstance(module, TextClassifier):
            return module(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        return module.answer_scores(batch)[0]


def _compare(found: torch.Tensor, expected: torch.Tensor, *, what: str) -> None:
    """Refuse scores that are not finite or not those expected."""
    if not found.isfinite().all():
        msg = "scores are not finite"
        raise ModelError(msg)
    scale = float(expected.abs().max())
    worst = float((found - expected).abs().max())
    if not worst <= TOLERANCE * scale:
        msg = (
            f"{what} must be those of the model's own forward pass on each text alone; largest "
            f"difference {worst:.3g} among scores up to {scale:.3g}"
        )
        raise ModelError(msg)


def _try_jobs(
    config: MethodConfig, worker: Worker[Method], *, backbone: Backbone, tried: TriedBackbone
) -> None:
    """Compare scores, look at every gradient, and run a job of one step."""
    method, examples = worker.method, tried.examples
    seen: set[tuple[str, ...]] = set()
    # Methods that train their tensors in turn have another set after an aggregation.
    for version in (0, 1):
        state = replace(method.initial_state(), version=version)
        download = method.download(state, client_id=0)
        start = method.start(download, method.initial_personal(0), version=version)
        if start.trainable in seen:
            continue
        seen.add(start.trainable)
        _check_gradients(start, worker)
        worker.load(start.tensors)
        scores = _scores(backbone, examples)
        if config.is_identity_at_start:
            _compare(scores, tried.scores, what="scores before training")
        alone = torch.cat([_scores(backbone, examples, index) for index in range(2)])
        _compare(scores, alone, what="scores in a padded batch")
        trained = run_job(trial_job(start, worker, version=version), worker)
        method.upload(trained.tensors, version=version)


def _check_gradients(start: Start, worker: Worker[Method]) -> None:
    """Refuse a step whose gradients are not on exactly the tensors that it trains."""
    parameters = worker.load(start.tensors, trainable=start.trainable)
    named = dict(zip(start.trainable, parameters, strict=True))
    loss = worker.module.loss(worker.train.batch(np.arange(2)))
    penalty = worker.method.penalty(named, start)
    total = loss if penalty is None else loss + penalty
    if not total.isfinite():
        msg = f"the loss of a step must be finite, got {float(total)}"
        raise ModelError(msg)
    total.backward()  # type: ignore[no-untyped-call]
    found = {name: each.grad for name, each in worker.parameters.items() if each.grad is not None}
    reached = found.keys()
    wild = {name for name, gradient in found.items() if not gradient.isfinite().all()}
    for names, fault in (
        (set(start.trainable) - reached, "trains tensors that no gradient reaches"),
        (reached - set(start.trainable), "sends gradients to tensors that are not trained"),
        (wild, "has gradients that are not finite"),
    ):
        if names:
            msg = f"a step {fault}: {len(names)}, first {min(names)}"
            raise ModelError(msg)


def _reason(error: Exception) -> str:
    """Return what an error says in one line of bounded length, without our own key."""
    if not isinstance(error, ValueError):
        return in_one_line(error)
    return one_line(str(error).removeprefix(_PLACE), MAX_REASON)
