"""A second copy of the method, on a larger architecture without values: what a run is charged for.

The small model trains; its twin on the meta device goes through the same downloads, starts, uploads
and aggregations, shape by shape. So what travels and what a step costs is, client by client and
version by version, what the larger model would have under the same settings. Decisions that
methods take by values (a rank that a client prunes, experts that the server deals) are those of
the small model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from fl.execution.executor import JobHandle
from fl.methods import MethodConfig, attended_pairs_of, install_method
from fl.methods.base import (
    Contribution,
    FollowsDecisions,
    Method,
    ServerState,
    base_of,
    unmoved,
)
from fl.models.lora_settings import DEFAULT_LORA, LoraSettings
from fl.models.shape_only import build_shapes, num_positions
from fl.own_code import in_one_line
from fl.payload import Payload, Tensors
from fl.problems import ModelError, OwnCodeError
from fl.server.personal import PersonalTensors
from fl.training.cost import CostModel, Counted
from fl.training.job import Start, TrainResult

MAX_COUNTED = 64
"""Pairs of method and architecture whose counted steps are kept; one takes seconds to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """What one participation is charged for: names, shapes and types, no values."""

    client_id: int
    version: int
    download: Payload | None
    start: Start
    upload: Payload | None


class CostTwin:
    """A method installed in a larger architecture, and the state of its server and its clients.

    Parameters
    ----------
    name
        The architecture, as :func:`fl.models.shape_only.build_shapes` takes it.
    config
        Settings of the method.
    module
        The architecture on the meta device; the method is installed in it, in place.
    num_clients
        Clients of the federation.
    max_tokens
        Tokens of the longest text.
    lora
        Of low-rank adaptations.
    counted
        Steps that were counted before on an equal module with an equal method.

    Raises
    ------
    fl.problems.ModelError
        One line: the architecture has too few positions, or the method does not work on it.
    """

    def __init__(
        self,
        name: str,
        config: MethodConfig,
        module: nn.Module,
        *,
        num_clients: int,
        max_tokens: int,
        counted: Counted,
        lora: LoraSettings = DEFAULT_LORA,
    ) -> None:
        self.name = name
        self.module = module
        positions, needed = num_positions(module), max_tokens + config.extra_positions
        if positions is not None and needed > positions:
            msg = (
                f"model.cost_as: {name!r} has {positions} positions, texts and virtual tokens of "
                f"{config.kind} take up to {needed}"
            )
            raise ModelError(msg)
        try:
            # No value is drawn: the generator only fits the call.
            generator = torch.Generator().manual_seed(0)
            self.method: Method = install_method(
                config, module, generator=generator, num_clients=num_clients, lora=lora
            )
            module.eval()
            self._state = self.method.initial_state()
            self._personal = PersonalTensors(self.method)
            charged = self.charge(0)
            if charged.upload is not None:
                self._next([self._contribution(charged, now=0)], leader=self._state)
        except (OwnCodeError, ModelError) as error:
            raise self._unfit(config, str(error).removeprefix("model.name: ")) from error
        except Exception as error:  # on shapes alone, code that reads values fails in many ways
            raise self._unfit(config, in_one_line(error)) from error
        self.cost = CostModel(
            module,
            max_tokens=max_tokens,
            row_groups=self.method.row_groups,
            attended_pairs=attended_pairs_of(config),
            counted=counted,
        )

    def charge(self, client_id: int) -> Charged:
        """Return what a participation that begins now is charged for; changes nothing."""
        method, state = self.method, self._state
        download = method.download(state, client_id=client_id)
        start = method.start(download, self._personal.of(client_id), version=state.version)
        upload = method.upload({**start.tensors, **start.client_outputs}, version=state.version)
        return Charged(
            client_id=client_id,
            version=state.version,
            download=download,
            start=start,
            upload=upload,
        )

    def keep(self, charged: Charged) -> None:
        """Let a client hold what it keeps of an update that was received."""
        self._personal.keep(charged.client_id, self.method.personal(_trained(charged)))

    def keep_unsent(self, charged: Charged) -> None:
        """Let a client hold what it trained for itself, though its upload was lost."""
        self._personal.keep_unsent(charged.client_id, _Done(_trained(charged)))

    def aggregate(self, received: Sequence[Charged], *, leader: ServerState) -> None:
        """Follow an aggregation of the small model, whose state is now ``leader``."""
        now = self._state.version
        contributions = [self._contribution(each, now=now) for each in received]
        # Of nobody: noise alone was added, and the version moves on.
        contributions = contributions or [unmoved(self.method, self._state)]
        self._state = self._next(contributions, leader=leader)

    def _next(self, contributions: Sequence[Contribution], *, leader: ServerState) -> ServerState:
        method = self.method
        if isinstance(method, FollowsDecisions):
            return method.follow(self._state, leader=leader)
        return method.aggregate(self._state, contributions)

    def _contribution(self, charged: Charged, *, now: int) -> Contribution:
        payload = charged.upload
        if payload is None:
            msg = f"upload: {self.method.kind} sends nothing, there is nothing to merge"
            raise ValueError(msg)
        return Contribution(
            client_id=charged.client_id,
            payload=payload,
            weight=1.0,
            staleness=now - charged.version,
            base=base_of(self.method, payload, charged.start),
        )

    def _unfit(self, config: MethodConfig, reason: str) -> ModelError:
        return ModelError(
            f"model.cost_as: {self.name!r} does not work with {config.kind}: {reason}"
        )


class TwinMaker:
    """Makes twins; steps that one has counted are known to the next of the same settings."""

    def __init__(self) -> None:
        self._counted: dict[str, Counted] = {}

    def make(
        self,
        name: str,
        config: MethodConfig,
        *,
        num_classes: int,
        is_generation: bool,
        pooling: str,
        num_clients: int,
        max_tokens: int,
        lora: LoraSettings = DEFAULT_LORA,
    ) -> CostTwin:
        """Build an architecture and put a method in it.

        Raises
        ------
        fl.problems.ModelError
            One line: there is no such architecture, or the method does not work on it.
        """
        module = build_shapes(
            name,
            num_classes=num_classes,
            task="generation" if is_generation else "classification",
            pooling=pooling,
        )
        size = num_clients, max_tokens
        named = [name, config, num_classes, is_generation, pooling, *size, lora]
        if len(self._counted) >= MAX_COUNTED:
            self._counted.clear()
        return CostTwin(
            name,
            config,
            module,
            num_clients=num_clients,
            max_tokens=max_tokens,
            counted=self._counted.setdefault(repr(named), Counted()),
            lora=lora,
        )


class _Done(JobHandle[TrainResult]):
    """A job of a twin: it has no values to compute."""

    def __init__(self, tensors: Tensors) -> None:
        self._result = TrainResult(
            tensors=tensors, mean_loss=0.0, rms_loss=0.0, num_samples=1, num_steps=0
        )

    def result(self) -> TrainResult:
        return self._result

    def drop(self) -> None:
        """Hold on: nothing is saved by letting go."""


def _trained(charged: Charged) -> Tensors:
    return {**charged.start.tensors, **charged.start.client_outputs}
