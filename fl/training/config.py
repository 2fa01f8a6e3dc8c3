"""Settings of local training, the same for every method of a study."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Literal, Protocol

from annotated_types import Ge, Gt, Lt

from fl.models.lora_settings import DEFAULT_LORA, LoraSettings
from fl.problems import Problem
from fl.training.optimiser_settings import ADAMW, OptimiserSettings, Sgd
from fl.training.rate_schedule import CONSTANT_RATE, RateSchedule
from fl.training.sample_privacy import SamplePrivacy


class TrainedMethod(Protocol):
    """What local training reads of a method's settings."""

    @property
    def kind(self) -> str:
        """Name of the method in the scenario."""

    @property
    def learning_rate(self) -> float | None:
        """Step size of this method alone; ``None``: that of the settings of local training."""

    @property
    def needs_whole_batches(self) -> bool:
        """Whether the loss of a step is not the mean of losses of parts of its batch."""

    @property
    def takes_gradient_steps(self) -> bool:
        """Whether jobs take steps of an optimiser along gradients."""

    @property
    def has_text_gradients(self) -> bool:
        """Whether a job reads texts by nothing but gradients of the losses of single ones."""

    @property
    def needs_plain_descent(self) -> bool:
        """Whether steps must be plain gradient descent."""

    @property
    def lora_settings(self) -> Collection[str]:
        """Settings of ``training.lora`` that act on the method, by name."""

    @property
    def compares_with_reference(self) -> bool:
        """Whether the loss compares the model with a reference, which nothing is dropped of."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How one client turns its shard into an update, with an optimiser fresh in every job."""

    local_steps: Annotated[int, Gt(0)] | None = None
    """Optimiser steps a job. Either this or ``local_epochs``."""
    local_epochs: Annotated[int, Gt(0)] | None = None
    """Passes over the client's shard a job. Either this or ``local_steps``."""
    batch_size: Annotated[int, Gt(0)] = 16
    """Texts a step; a smaller shard makes smaller batches."""
    micro_batch_size: Annotated[int, Gt(0)] | None = None
    """Texts that are passed at once: the gradients of a step add up over passes of at most so many
    to those of its whole batch, but for rounding, in less memory. The whole batch when empty."""
    optimiser: OptimiserSettings = ADAMW
    """What makes steps of gradients."""
    learning_rate: Annotated[float, Ge(0)] = 1e-3
    """Step size; 0 is allowed and leaves every tensor as it was."""
    rate_schedule: RateSchedule = CONSTANT_RATE
    """How the step size falls from one aggregation to the next."""
    warmup_rounds: Annotated[int, Ge(0)] = 0
    """Aggregations over which the step size rises in a straight line at the beginning."""
    step_schedule: RateSchedule = CONSTANT_RATE
    """How the step size falls from the first step of a job to its last, on top of that."""
    warmup_steps: Annotated[int, Ge(0)] = 0
    """Steps of every job over which the step size rises in a straight line at the beginning."""
    lora: LoraSettings = DEFAULT_LORA
    """Of the low-rank adaptations of all methods that have some."""
    backbone_dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Part that every dropout layer of the transformer drops while it trains, whatever part it was
    made with; drawn anew in each step, from the job's seed. Nothing is dropped by default."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """Weight decay of the trained tensors towards 0, per step and unit of learning rate."""
    decay_norms_and_biases: bool = True
    """Whether trained vectors (norms, biases) decay as well."""
    max_gradient_norm: Annotated[float, Gt(0)] | None = None
    """Clip the norm of all gradients together to this; no clipping when empty."""
    privacy: SamplePrivacy | None = None
    """Clipping of the gradient of each text and noise on their sum, DP-SGD; nothing is protected
    when empty. Steps then draw each text by itself, ``batch_size`` of them on average."""
    evaluation_batch_size: Annotated[int, Gt(0)] = 64
    """Texts a batch when models are evaluated."""
    threads: Annotated[int, Gt(0)] = 1
    """Threads of torch in each process; part of the scenario, for it changes the last bits."""
    autocast: Literal["bf16", "fp16"] | None = None
    """Numbers of matrix products on the machine that trains, by ``torch.autocast``: bfloat16, or
    float16 with loss scaling; single precision when empty. What is trained, sent and charged stays
    in single precision: the numbers of the simulated devices are ``clients.precision``."""
    frozen_weights: Literal["int8", "nf4"] | None = None
    """How frozen weights of linear layers are kept on the machine that trains: a byte (LLM.int8())
    or four bits (NF4) each, by bitsandbytes (extra ``quantized``); as they are when empty. It
    changes what models learn, and none of the costs, which go by ``clients.precision``."""
    mode: Literal["train", "none"] = "train"
    """``none``: bytes, seconds and joules alone, those of the run that trains. No job runs, nothing
    is evaluated, columns of losses are empty; the other settings stay as they are."""


def find_problems(
    config: TrainingConfig,
    *,
    methods: Sequence[TrainedMethod] = (),
    num_rounds: int | None = None,
    path: tuple[str, ...] = ("training",),
) -> list[Problem]:
    """Find broken rules between the settings of local training and the methods.

    Parameters
    ----------
    config
        Settings of local training.
    methods
        All methods of the study; a setting that has no effect on any of them is refused.
        A rate equal to the default cannot be told from one that is not given.
    num_rounds
        Aggregations of the run, where they are known.
    path
        Where the section stands.
    """
    problems = [
        *_find_problems_of_steps(config, path=path),
        *_find_problems_of_optimiser(config, path=path),
        *_find_unused(config, methods=methods, path=path),
        *_find_problems_of_lora(config, methods=methods, path=path),
    ]
    if config.privacy is not None:
        problems += _find_problems_of_privacy(config, config.privacy, path=path)
    given = [config.local_steps is not None, config.local_epochs is not None]
    if sum(given) != 1:
        found = "both" if all(given) else "neither"
        rule = f"give exactly one of local_steps and local_epochs, got {found}"
        problems.append(Problem(path, rule))
    is_given = config.learning_rate != TrainingConfig.learning_rate
    if is_given and methods and all(each.learning_rate is not None for each in methods):
        kinds = ", ".join(method.kind for method in methods)
        rule = f"has no effect: {kinds} set their own, got {config.learning_rate:g}"
        problems.append(Problem((*path, "learning_rate"), rule))
    if num_rounds is not None and config.warmup_rounds >= num_rounds:
        rule = f"must be < num_rounds = {num_rounds}, got {config.warmup_rounds}"
        problems.append(Problem((*path, "warmup_rounds"), rule))
    return problems


def _find_problems_of_steps(config: TrainingConfig, *, path: tuple[str, ...]) -> Iterator[Problem]:
    """Find settings of the steps of a job that do not go together."""
    steps, micro = config.local_steps, config.micro_batch_size
    if steps is not None and config.warmup_steps >= steps:
        rule = f"must be < local_steps = {steps}, got {config.warmup_steps}"
        yield Problem((*path, "warmup_steps"), rule)
    if steps == 1 and config.step_schedule != CONSTANT_RATE:
        rule = f"has no effect: jobs have local_steps = 1, got {config.step_schedule.kind}"
        yield Problem((*path, "step_schedule"), rule)
    if micro is not None and micro >= config.batch_size:
        rule = f"must be < batch_size = {config.batch_size}, or left out, got {micro}"
        yield Problem((*path, "micro_batch_size"), rule)


def _find_problems_of_privacy(
    config: TrainingConfig, privacy: SamplePrivacy, *, path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find settings that do not go with clipped gradients of single texts."""
    place = (*path, "privacy")
    if config.mode == "none":
        yield Problem(place, f"promises nothing without training, mode none; got {privacy.kind}")
    if config.autocast == "fp16":
        rule = "needs gradients without loss scaling: training.autocast bf16 or none, got fp16"
        yield Problem(place, rule)
    if config.lora.dropout or config.backbone_dropout:
        rule = "does not go with dropout (lora.dropout, backbone_dropout)"
        yield Problem(place, f"{rule}; got {privacy.kind}")


def _find_problems_of_optimiser(
    config: TrainingConfig, *, path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find settings of the optimiser without an effect."""
    optimiser = config.optimiser
    if isinstance(optimiser, Sgd) and optimiser.nesterov and not optimiser.momentum:
        rule = "has no effect without momentum, got true"
        yield Problem((*path, "optimiser", "nesterov"), rule)
    if not config.decay_norms_and_biases and not config.weight_decay:
        rule = "has no effect with weight_decay 0, got false"
        yield Problem((*path, "decay_norms_and_biases"), rule)


def find_unsuited(
    config: TrainingConfig, *, method: TrainedMethod, path: tuple[str, ...] = ("training",)
) -> Iterator[Problem]:
    """Find settings that one method cannot have.

    Parameters
    ----------
    config
        Settings of local training of this method; its recipe may set them.
    method
        Of one variant.
    path
        Where the section stands.
    """
    micro = config.micro_batch_size
    if micro is not None and method.needs_whole_batches:
        rule = f"must be left out: the loss of {method.kind} is one of whole batches, got {micro}"
        yield Problem((*path, "micro_batch_size"), rule)
    for where, share in (
        ((*path, "lora", "dropout"), config.lora.dropout),
        ((*path, "backbone_dropout"), config.backbone_dropout),
    ):
        if share and method.compares_with_reference:
            rule = (
                f"must be 0: {method.kind} compares with a reference, from which a model that "
                f"drops something differs before any step, got {share:g}"
            )
            yield Problem(where, rule)
    if config.privacy is not None and not method.has_text_gradients:
        rule = (
            f"cannot protect {method.kind}: its jobs read texts by more than gradients of losses "
            f"of single texts; got {config.privacy.kind}, needs none"
        )
        yield Problem((*path, "privacy"), rule)
    if method.needs_plain_descent:
        yield from _find_other_than_descent(config, method=method, path=path)


def _find_other_than_descent(
    config: TrainingConfig, *, method: TrainedMethod, path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find what makes more of a gradient than a step of the learning rate of the job."""
    if config.optimiser != Sgd():
        momentum = getattr(config.optimiser, "momentum", 0.0)
        found = config.optimiser.kind + (f" with momentum {momentum:g}" if momentum else "")
        rule = f"must be sgd without momentum for {method.kind}, got {found}"
        yield Problem((*path, "optimiser"), rule)
    if config.max_gradient_norm is not None:
        rule = f"must be left out for {method.kind}, got {config.max_gradient_norm:g}"
        yield Problem((*path, "max_gradient_norm"), rule)


_OF_GRADIENTS = (
    "micro_batch_size",
    "optimiser",
    "step_schedule",
    "warmup_steps",
    "backbone_dropout",
    "weight_decay",
    "max_gradient_norm",
)
"""Settings of steps along gradients."""


def _find_unused(
    config: TrainingConfig, *, methods: Sequence[TrainedMethod], path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find settings of gradients where no method takes any."""
    if not methods or any(method.takes_gradient_steps for method in methods):
        return
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in _OF_GRADIENTS and value != field.default:
            kinds = ", ".join(sorted({method.kind for method in methods}))
            rule = f"has no effect: {kinds} takes no steps along gradients; leave it out"
            yield Problem((*path, field.name), rule)


def _find_problems_of_lora(
    config: TrainingConfig, *, methods: Sequence[TrainedMethod], path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find settings of adaptations that no method has."""
    for field in fields(config.lora):
        value = getattr(config.lora, field.name)
        acts = [method for method in methods if field.name in method.lora_settings]
        if methods and not acts and value != field.default:
            kinds = ", ".join(sorted({method.kind for method in methods}))
            rule = f"has no effect with {kinds}, got {value}; leave it out"
            yield Problem((*path, "lora", field.name), rule)
