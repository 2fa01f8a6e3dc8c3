"""Every method of a study put together on its model, and every device asked to hold its step.

Variants that differ in nothing that this depends on are tried once, and all seeds together: memory
grows with the batch and the texts of a step, so that a device that holds the largest batch of the
longest texts of all seeds holds each one's.
"""

import copy
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self, cast

import numpy as np
import simpy
import torch

from fl.clients.config import classes_of
from fl.clients.device import Device
from fl.clients.devices import DeviceMemoryError, Devices
from fl.data.shards import GivenShards, Shard, Shards
from fl.execution.trial import TriedBackbone, try_backbone, try_method
from fl.models.backbone import Backbone
from fl.network import Network
from fl.server.federation import Federation
from scenarios.prepare import Texts, backbone_of, texts_of
from scenarios.schema import Scenario
from scenarios.shares import corpus_of, devices_of, shards_of, source_of, streams_of
from scenarios.single import federate
from scenarios.variants import Variant

_HOW_LONG = {
    "methods": ("label", "learning_rate"),
    "training": (
        "learning_rate",
        "rate_schedule",
        "warmup_rounds",
        "step_schedule",
        "warmup_steps",
        "weight_decay",
        "max_gradient_norm",
        "local_steps",
        "local_epochs",
        "threads",
        "autocast",
        "frozen_weights",
        "batch_size",
    ),
    "server": ("num_rounds", "evaluate_every", "targets", "target_split", "policy"),
}
"""Settings on which only the values and the number of steps depend, not whether one can be made;
the batch size stands aside because the largest one speaks for all."""


class _NoRows:
    """A recorder for a run that is only put together."""

    def round(self, row: object, clients: object) -> None:
        """Keep nothing."""

    def unfinished(self, clients: object) -> None:
        """Keep nothing."""

    def evaluation(self, row: object) -> None:
        """Keep nothing."""

    def privacy(self, row: object) -> None:
        """Keep nothing."""

    def questions(self, rows: object) -> None:
        """Forget questions."""

    def scores(self, rows: object) -> None:
        """Keep nothing."""

    def rewards(self, rows: object) -> None:
        """Keep nothing."""

    def answers(self, rows: object) -> None:
        """Keep nothing."""


def find_learning_faults(all_variants: Sequence[Variant]) -> Iterator[tuple[Variant, ValueError]]:
    """Put every variant together; give those that cannot be, each with its fault."""
    groups: dict[Hashable, dict[Hashable, list[Variant]]] = {}
    for variant in all_variants:
        scenario = variant.scenario
        group = groups.setdefault(_loaded_key(scenario), {})
        group.setdefault(_method_key(scenario), []).append(variant)
    for group in groups.values():
        yield from _find_faults(list(group.values()))


@dataclass(frozen=True, kw_only=True)
class _Model:
    """The model of a group of variants, loaded and tried once, and their texts."""

    backbone: Backbone
    texts: Texts
    tried: TriedBackbone

    @classmethod
    def load(cls, scenario: Scenario) -> Self:
        """Load and try the model of a scenario, on as many threads as its jobs will have.

        Raises
        ------
        ValueError
            If the data or the model cannot be used.
        """
        torch.set_num_threads(scenario.training.threads)
        num_classes = len(corpus_of(scenario).class_names)
        backbone = backbone_of(scenario, num_classes=num_classes, seed=scenario.seeds[0])
        texts = texts_of(scenario, backbone=backbone)
        tried = try_backbone(backbone, train=texts.train)
        return cls(backbone=backbone, texts=texts, tried=tried)

    def fresh(self) -> Backbone:
        """Return a copy of the model, for a method to be installed in."""
        return replace(self.backbone, module=copy.deepcopy(self.backbone.module))


def _loaded_key(scenario: Scenario) -> Hashable:
    """Name what is loaded for a scenario: texts and model."""
    return source_of(scenario), scenario.model


def _method_key(scenario: Scenario) -> Hashable:
    """Name what decides whether a method can be put together and how large its step is."""
    parts = {
        "methods": scenario.methods[0],
        "training": scenario.training,
        "server": scenario.server,
        "data": scenario.data,
        "clients": scenario.clients,
    }
    told = (
        repr(
            [
                getattr(part, item.name)
                for item in fields(part)
                if item.name not in _HOW_LONG.get(name, ())
            ]
        )
        for name, part in parts.items()
    )
    return *told, repr(scenario.rewards)


def _find_faults(group: Sequence[Sequence[Variant]]) -> Iterator[tuple[Variant, ValueError]]:
    """Load the model of a group, and try it with every method; in each list variants are alike."""
    try:
        model = _Model.load(group[0][0].scenario)
    except ValueError as error:
        yield from ((variant, error) for alike in group for variant in alike)
        return
    for alike in group:
        yield from _find_faults_of_method(alike, model)


def _find_faults_of_method(
    alike: Sequence[Variant], model: _Model
) -> Iterator[tuple[Variant, ValueError]]:
    """Try the variant of the largest batch for all that are alike, and each only if it fails."""
    largest = max(alike, key=lambda variant: variant.scenario.training.batch_size)
    try:
        _try_all_seeds(largest.scenario, model)
    except ValueError as error:
        if len(alike) == 1:
            yield largest, error
            return
        for variant in alike:
            try:
                _try_all_seeds(variant.scenario, model)
            except ValueError as own:
                yield variant, own


def _try_all_seeds(scenario: Scenario, model: _Model) -> None:
    """Try a variant's method on its model, then put it together with the largest step of any seed.

    Where that is too much for a device, it is put together seed by seed.

    Raises
    ------
    ValueError
        If some seed cannot be run.
    """
    if scenario.training.mode == "train":
        try_method(
            scenario.methods[0],
            backbone=model.fresh(),
            tried=model.tried,
            num_clients=scenario.clients.num_clients,
            seed=scenario.seeds[0],
            lora=scenario.training.lora,
        )
    texts = model.texts
    by_seed = [_largest(shards_of(scenario, seed=seed), texts) for seed in scenario.seeds]
    kinds = [kind for kind, _ in classes_of(scenario.clients).values()]
    smallest = Device.of(min(kinds, key=lambda each: each.memory_bytes))
    try:
        made = _try(scenario, model, _largest(GivenShards(by_seed), texts), Devices.of([smallest]))
        if made.facts().num_decode_steps:
            for kind in kinds:
                kind.known_bandwidth_bytes_per_s()
    except DeviceMemoryError:
        # it may be that no seed has drawn that device, or those texts together
        tried = set()
        for seed, largest in zip(scenario.seeds, by_seed, strict=True):
            devices = devices_of(scenario, streams_of(seed))
            names = frozenset(kind.name for kind in devices.kinds)
            need = (names, largest.train.tobytes())
            if need not in tried:
                tried.add(need)
                _try(scenario, model, largest, devices)


def put_together(scenario: Scenario) -> Federation:
    """Put the federation of a scenario of one method together as under its first seed.

    Every client has the largest shard. Nothing can be sent.
    """
    model = _Model.load(scenario)
    seed = scenario.seeds[0]
    largest = _largest(shards_of(scenario, seed=seed), model.texts)
    return _try(scenario, model, largest, devices_of(scenario, streams_of(seed)))


def _largest(shards: Shards, texts: Texts) -> Shard:
    """Return the shard whose step is the largest of all: most texts, among them the longest.

    Texts, answers, prompts and rejected answers each have a longest one.
    """
    answers = texts.train.tokens.answer_lengths
    longest = [texts.train.tokens.lengths]
    if answers is not None:
        longest += [answers, texts.train.tokens.lengths - answers]
    if texts.train.rejected is not None:
        longest.append(texts.train.rejected.lengths)
    rows = np.unique([shards.longest_text(lengths) for lengths in longest])
    num_texts = max(len(rows), int(shards.num_train.max()))
    return Shard(train=np.resize(rows, num_texts), test=shards[0].test[:1])


def _try(scenario: Scenario, model: _Model, largest: Shard, devices: Devices) -> Federation:
    """Put a federation together in which every client has the largest shard."""
    num_clients = scenario.clients.num_clients
    return federate(
        scenario,
        seed=scenario.seeds[0],
        env=simpy.Environment(),
        network=cast("Network", None),  # nothing is sent
        backbone=model.fresh(),
        shards=GivenShards([largest], num_clients=num_clients),
        devices=devices.repeated(num_clients),
        recorder=_NoRows(),
    )
