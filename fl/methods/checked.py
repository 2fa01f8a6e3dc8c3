"""A user's own method at the seam: what it is asked is seeded, what it answers is checked."""

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int

from fl.global_generators import seeded_generators
from fl.methods.base import Contribution, Method, ServerState
from fl.methods.contract import (
    Installed,
    Shapes,
    find_fault_of_batches,
    find_fault_of_outputs,
    find_fault_of_payload,
    find_fault_of_penalty,
    find_fault_of_texts,
    shapes_of,
)
from fl.own_code import OwnClass
from fl.payload import Payload, Tensors
from fl.training.job import Start, TrainJob
from fl.training.local_work import ModelInMemory
from fl.training.objective import TASK_LOSS, Objective

MAX_UPLOADS_REMEMBERED = 256
"""Kinds of upload (version and shapes) whose size is compared with that of later ones."""
HASHED_VALUES = 16
"""Values of a tensor, spread over it, that decide the seed of a call."""

_Check = Callable[[Any], str | None]


class CheckedMethod:
    """A method whose answers are checked; implements :class:`fl.methods.base.Method`.

    The global generators are seeded for every call from the run's seed and the arguments, so that
    a method which draws from them gives the same for the same arguments. Whatever it raises, and
    the first rule that an answer breaks, becomes one line with the user's file, line and method.

    Parameters
    ----------
    method
        What ``install`` returned. It may have ``resized``, names of installed tensors whose shape
        differs from client to client (a rank of its own); those of ``row_groups`` are taken to.
    own
        The class in the user's file.
    module_shapes
        Shapes of the model's parameters after ``install``, by name.
    seed
        From the run's seed, at least 0.

    Raises
    ------
    fl.problems.OwnCodeError
        If ``initial`` does not hold values for parameters of the model, in their shapes.
    """

    def __init__(
        self,
        method: Method,
        *,
        own: OwnClass,
        module_shapes: Mapping[str, torch.Size],
        seed: int,
    ) -> None:
        self._method = method
        self._own = own
        self._seed = seed
        self._uploads: OrderedDict[tuple[int, Shapes], Shapes] = OrderedDict()
        with own.blame("install", method):
            rows = {name for group in method.row_groups for name in group}
            resized = frozenset({*rows, *getattr(method, "resized", ())})
        self._installed = Installed({}, resized)
        self._require("initial", method.initial, self._installed.find_fault_of_tensors)
        self._require("initial", method.initial, lambda given: _misplaced(given, module_shapes))
        self._require("merges", method.merges, _find_fault_of_merging)
        self._installed = Installed(dict(method.initial), resized)
        self._first_names = [
            name for name in self.initial_state().tensors if name in self._installed.tensors
        ]

    @property
    def kind(self) -> str:
        """Name of the method."""
        return self._method.kind

    @property
    def same_download(self) -> bool:
        """Whether all clients of a round get the same bytes, so that one broadcast serves them."""
        return self._method.same_download

    @property
    def initial(self) -> Tensors:
        """Value of every installed tensor before any training."""
        return self._installed.tensors

    @property
    def objective(self) -> Objective:
        """What its jobs optimise; the loss of the task where the user's class does not say."""
        objective: Objective = getattr(self._method, "objective", TASK_LOSS)
        return objective

    @property
    def row_groups(self) -> Sequence[Sequence[str]]:
        """Groups of installed tensors of one first dimension, which differs between clients."""
        return self._method.row_groups

    @property
    def merges(self) -> Literal["mean", "products", "own"]:
        """Whether updates are averaged or merge by a rule of the method's own."""
        return self._method.merges

    @property
    def self_trained(self) -> Collection[str]:
        """Names of personal tensors that a client keeps when its upload was lost."""
        return self._method.self_trained

    def initial_state(self) -> ServerState:
        """Return the server's state before the first round."""
        state = self._ask("initial_state")
        return self._require(
            "initial_state", state, lambda it: self._installed.find_fault_of_state(it, version=0)
        )

    def initial_personal(self, client_id: int) -> Tensors:
        """Return what a client holds of its own before it first trains."""
        personal = self._ask("initial_personal", client_id)
        return self._require("initial_personal", personal, self._installed.find_fault_of_tensors)

    def download(self, state: ServerState, *, client_id: int) -> Payload | None:
        """Return what the server sends a client that begins now; ``None``: nothing."""
        payload = self._ask("download", state, client_id=client_id)
        return self._require("download", payload, find_fault_of_payload)

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Return where a client's job begins, from what it received and what it holds."""
        start = self._ask("start", download, personal, version=version)
        return self._require("start", start, self._installed.find_fault_of_start)

    def penalty(self, parameters: Tensors, start: Start) -> torch.Tensor | None:
        """Return what is added to the loss of a step; ``None``: 0."""
        # Within a job, whose generators are seeded already; in-place changes would be of training.
        with self._own.blame("penalty", self._method):
            term = self._method.penalty(parameters, start)
        return self._require("penalty", term, find_fault_of_penalty)

    def reward_weight(self, start: Start) -> float:
        """Return how much helpfulness counts for the client, where jobs learn from rewards."""
        weight = self._ask("reward_weight", start)
        return float(self._require("reward_weight", weight, _find_fault_of_weight))

    def trained_texts(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> Int[np.ndarray, " text"]:
        """Return the texts that steps train on; all where the user's class does not say."""
        if not hasattr(self._method, "trained_texts"):
            return samples
        texts = self._ask("trained_texts", samples, batch_size=batch_size)
        return self._require(
            "trained_texts", texts, lambda given: find_fault_of_texts(given, samples)
        )

    def finish_batches(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> Sequence[Int[np.ndarray, " text"]]:
        """Return the texts that :meth:`finish` passes forward, batch by batch: its cost."""
        batches = self._ask("finish_batches", samples, batch_size=batch_size)
        return self._require(
            "finish_batches", batches, lambda given: find_fault_of_batches(given, samples)
        )

    def finish(self, trained: Tensors, job: TrainJob, worker: ModelInMemory) -> Tensors:
        """Return what the client computes after its steps, named and shaped as announced."""
        with self._own.blame("finish", self._method):
            outputs = self._method.finish(trained, job, worker)
        announced = job.start.client_outputs
        return self._require(
            "finish", outputs, lambda given: find_fault_of_outputs(given, announced)
        )

    def upload(self, trained: Tensors, *, version: int) -> Payload | None:
        """Return what a client that began from ``version`` sends after training, or ``None``."""
        payload = self._ask("upload", trained, version=version)
        self._require("upload", payload, find_fault_of_payload)
        shapes = () if payload is None else shapes_of(payload.tensors)
        before = self._uploads.setdefault((version, shapes_of(trained)), shapes)
        if len(self._uploads) > MAX_UPLOADS_REMEMBERED:
            self._uploads.popitem(last=False)
        self._require("upload", shapes, lambda now: _find_fault_of_size(now, before))
        return payload

    def personal(self, trained: Tensors) -> Tensors:
        """Return what a client keeps after training, of tensors and outputs."""
        personal = self._ask("personal", trained)
        self._require("personal", personal, self._installed.find_fault_of_tensors)
        lacking = [name for name in self.self_trained if name not in personal]
        rule = f"must return what self_trained names, lacks {lacking[0]!r}" if lacking else None
        return self._require("personal", personal, lambda _: rule)

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Merge received updates, at least one, into the next state; their order is irrelevant."""
        after = self._ask("aggregate", state, contributions)
        version = state.version + 1
        return self._require(
            "aggregate",
            after,
            lambda given: self._installed.find_fault_of_state(
                given, version=version, needed=self._first_names
            ),
        )

    def global_model(self, state: ServerState) -> Tensors | None:
        """Return the server's whole model, a value for every tensor; ``None`` if there is none."""
        model = self._ask("global_model", state)
        if model is None:
            return None
        return self._require("global_model", model, self._installed.find_fault_of_model)

    def personal_model(self, state: ServerState, personal: Tensors) -> Tensors:
        """Return the model that a client uses, from the server's state and its own tensors."""
        model = self._ask("personal_model", state, personal)
        return self._require("personal_model", model, self._installed.find_fault_of_model)

    def _ask(self, hook: str, *arguments: Any, **numbers: int) -> Any:  # noqa: ANN401
        """Call a method of the user's with seeded generators; its arguments must stay as they are.

        Raises
        ------
        fl.problems.OwnCodeError
            From whatever it raises, or if it changed a tensor or a mapping that it was given.
        """
        given = [each for argument in arguments for each in _tensors_in(argument)]
        watched = [*given, *(each for argument in arguments for each in _bases_in(argument))]
        marks = [_marks(tensors) for tensors in watched]
        seed = self._seed_of(hook, [*arguments, *numbers.values()], given)
        with seeded_generators(seed), self._own.blame(hook, self._method):
            answer = getattr(self._method, hook)(*arguments, **numbers)
        for tensors, before in zip(watched, marks, strict=True):
            after = _marks(tensors)
            changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
            if changed:
                rule = f"must leave its arguments as they are, it changed {changed[0]!r} in place"
                raise self._own.fault(hook, rule, self._method)
        return answer

    def _require(self, hook: str, answer: Any, find_fault: _Check) -> Any:  # noqa: ANN401
        rule = find_fault(answer)
        if rule is not None:
            raise self._own.fault(hook, rule, self._method)
        return answer

    def _seed_of(self, hook: str, arguments: Sequence[object], given: Sequence[Tensors]) -> int:
        """Return a seed made of the run's, the hook, its numbers and some of its values."""
        numbers = [each for each in arguments if isinstance(each, int)]
        digest = hashlib.blake2b(f"{self._seed} {hook} {numbers}".encode(), digest_size=8)
        for tensors in given:
            for name in sorted(tensors):
                digest.update(name.encode())
                if tensors[name].is_meta:  # of a larger model, of which there are only shapes
                    continue
                values = tensors[name].detach().reshape(-1)
                if values.is_complex():
                    values = torch.view_as_real(values).reshape(-1)
                step = max(1, values.numel() // HASHED_VALUES)
                digest.update(array("d", values[::step].tolist()).tobytes())
        return int.from_bytes(digest.digest(), "big")


def _tensors_in(argument: object) -> list[Tensors]:
    """Return the mappings of tensors that an argument of a method is made of."""
    if isinstance(argument, ServerState):
        return [argument.tensors, argument.memory]
    if isinstance(argument, Payload):
        return [argument.tensors]
    if isinstance(argument, Mapping):
        return [argument]
    if isinstance(argument, Sequence):
        return [each.payload.tensors for each in argument if isinstance(each, Contribution)]
    return []


def _bases_in(argument: object) -> list[Tensors]:
    """Return what contributions began from: it must stay as it is, and decides no seed."""
    if isinstance(argument, Sequence):
        return [each.base for each in argument if isinstance(each, Contribution)]
    return []


def _marks(tensors: Tensors) -> dict[str, tuple[int, int]]:
    """Return which tensors these are, with torch's count of changes in place."""
    return {
        name: (id(tensor), 0 if tensor.is_inference() else tensor._version)
        for name, tensor in tensors.items()
    }


def _misplaced(initial: Tensors, module_shapes: Mapping[str, torch.Size]) -> str | None:
    """Return what is wrong with the first values, given the model's parameters."""
    if not initial:
        return "must hold at least 1 tensor, got none"
    for name, value in initial.items():
        if name not in module_shapes:
            return f"must name parameters of the model, got {name!r}"
        if value.shape != module_shapes[name]:
            shape, wanted = tuple(value.shape), tuple(module_shapes[name])
            return f"{name!r} must have the shape of the model's parameter {wanted}, got {shape}"
    return None


def _find_fault_of_merging(given: object) -> str | None:
    is_known = given in ("mean", "products", "own")
    return None if is_known else f"must be mean, products or own, got {given!r}"


def _find_fault_of_weight(given: object) -> str | None:
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if is_number and 0 <= given <= 1:  # type: ignore[operator]
        return None
    return f"must be a number in [0, 1], got {given!r}"


def _find_fault_of_size(now: Shapes, before: Shapes) -> str | None:
    """Return what is wrong with an upload whose argument has been seen with other values."""
    if now == before:
        return None
    return (
        "names and shapes must follow from those of its argument, never from values: "
        f"it was {_size(before)} before training and is {_size(now)} after it"
    )


def _size(shapes: Shapes) -> str:
    """Return the size of an upload of these shapes in words."""
    if not shapes:
        return "nothing"
    empty = {name: torch.empty(shape, dtype=dtype, device="meta") for name, shape, dtype in shapes}
    return f"{Payload(empty).size_bytes} B"
