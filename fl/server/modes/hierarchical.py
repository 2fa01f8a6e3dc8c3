"""Two levels: sites average the updates of their clients, the server the models of the sites.

HierFAVG, as the code of LuminLiu/HierFL has it: after ``edge_rounds`` averages at a site the server
averages, both weighted by training texts. With one average at a site it is federated averaging.

Of LoRA whose factors are both trained, products are averaged (:mod:`fl.methods.product_mean`). A
site sends its mean product as it is, and so the server averages all that sites have received;
it is cut to the rank of the clients where they download, from the server or from their site.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import simpy

from fl.methods.base import Contribution, ServerState
from fl.network import Direction
from fl.problems import during
from fl.server.aggregation import merge, record_round
from fl.server.config import HierarchicalServer, of_mode
from fl.server.edge_means import EdgeMean, average_at_edge, averages_products, merge_products
from fl.server.federation import Federation
from fl.server.monitor import Monitor
from fl.server.participation import Participation
from fl.server.selection import select_clients
from fl.server.starting import charged_download, start_participations

NO_SITE = -1
"""Stands for the site of clients that none covers: they work for the server, which averages their
updates as a site would."""


@dataclass(slots=True, kw_only=True)
class _Edge:
    """A site, the clients that it served when they were selected, and its model of this round."""

    site_id: int
    client_ids: Sequence[int]
    state: ServerState
    num_crashes: int
    """Crashes of the server until the round began; with the next one the round is lost."""
    participations: list[Participation] = field(default_factory=list)
    merged: dict[int, float] = field(default_factory=dict)
    """Training texts of the clients whose updates are in the model, by client."""
    num_averaged: int = 0
    """Participations that the model has seen."""
    mean: EdgeMean | None = None
    """Of the latest updates, once there are any."""
    relayed_bytes: int = 0
    """What the site has fetched from the server and sent to it."""


def run_rounds(federation: Federation) -> Generator[simpy.Event, Any, None]:
    """Run all rounds of the server as a SimPy process; ends with the last, or at the targets."""
    for round_id in Monitor(federation).rounds():
        yield from _run_round(federation, round_id)


def _run_round(federation: Federation, round_id: int) -> Generator[simpy.Event, Any, None]:
    """Run one round of the server: all sites at once, each at its own pace, then their mean."""
    yield from federation.presence.wait_for_somebody()
    env, started_at_s, state = federation.env, federation.now_s, federation.state
    client_ids = yield from select_clients(federation, round_id)
    edges = _edges(federation, client_ids)
    yield env.all_of([env.process(_run_edge(federation, each, round_id)) for each in edges])
    participations = [part for each in edges for part in each.participations]
    kept = [each for each in edges if not _is_lost(federation, each)]
    received = [_contribution(each, each.mean, state) for each in kept if each.mean is not None]
    if received:
        rule = partial(merge_products, federation) if averages_products(federation) else None
        with during(f"in round {round_id}, {len(received)} sites"):
            merge(federation, received, participations, rule=rule)
    record_round(
        federation,
        participations,
        round_id=round_id,
        started_at_s=started_at_s,
        version=state.version,
        relayed_bytes=sum(each.relayed_bytes for each in edges),
    )


def _edges(federation: Federation, client_ids: Sequence[int]) -> list[_Edge]:
    """Group clients by the site that serves them now, ascending."""
    if not client_ids:
        return []
    site_ids = np.asarray(federation.network.link_table(np.array(client_ids)).site_id)
    return [
        _Edge(
            site_id=int(site_id),
            client_ids=[
                each for each, at in zip(client_ids, site_ids, strict=True) if at == site_id
            ],
            state=federation.state,
            num_crashes=federation.presence.num_crashes,
        )
        for site_id in np.unique(site_ids)
    ]


def _run_edge(
    federation: Federation, edge: _Edge, round_id: int
) -> Generator[simpy.Event, Any, None]:
    """Fetch the global model, average so many times, send the result.

    A crash of the server ends it: what the site has averaged counts as lost.
    """
    num_rounds = of_mode(federation.server, HierarchicalServer).edge_rounds
    is_site = edge.site_id != NO_SITE
    # where clients differ in what they get of it, the site fetches what the largest needs
    is_same = federation.method.same_download
    asking = edge.client_ids[:1] if is_same else edge.client_ids
    size_bytes = max(_relay_bytes(federation, each) for each in asking) if is_site else 0
    yield from _relay(federation, edge, "downlink", size_bytes)
    for turn in range(num_rounds):
        if _is_lost(federation, edge):
            return
        begun = start_participations(
            federation,
            edge.client_ids,
            round_id=round_id,
            seed_ids=[(round_id - 1) * num_rounds + turn + 1] * len(edge.client_ids),
            state=edge.state,
            at_edge=is_site,
        )
        edge.participations += begun
        yield federation.env.all_of([each.done for each in begun])
        _average(federation, edge)
    if edge.mean is not None and is_site and not _is_lost(federation, edge):
        sent_bytes = size_bytes if edge.mean.size_bytes is None else edge.mean.size_bytes
        yield from _relay(federation, edge, "uplink", sent_bytes)


def _relay_bytes(federation: Federation, client_id: int) -> int:
    """Return the bytes that a site fetches for a client; 0: nothing."""
    payload = charged_download(federation, client_id)
    return 0 if payload is None else federation.coding.relay_bytes(payload)


def _relay(
    federation: Federation, edge: _Edge, direction: Direction, size_bytes: int
) -> Generator[simpy.Event, Any, None]:
    """Move a model between a site and the server, if there is anything to move."""
    if size_bytes:
        yield federation.network.relay(edge.site_id, direction, size_bytes)
        edge.relayed_bytes += size_bytes


def _average(federation: Federation, edge: _Edge) -> None:
    """Replace the model of a site by the mean of what it received last, if anything."""
    latest = edge.participations[edge.num_averaged :]
    edge.num_averaged = len(edge.participations)
    mean = average_at_edge(federation, edge.state, latest)
    if mean is None:
        return
    edge.mean, edge.state = mean, mean.state
    edge.merged |= mean.weights


def _is_lost(federation: Federation, edge: _Edge) -> bool:
    """Return whether the server has crashed since the round began."""
    return federation.presence.num_crashes != edge.num_crashes


def _contribution(edge: _Edge, mean: EdgeMean, state: ServerState) -> Contribution:
    """Return what a site sends the server, weighted by the training texts that are in it."""
    return Contribution(
        client_id=edge.site_id,
        payload=mean.payload,
        weight=sum(edge.merged.values()),
        staleness=0,
        base=state.tensors,
    )
