"""Aggregation of received updates into the server's next state, and the rows of a round."""

from collections.abc import Callable, Sequence

from fl.methods.base import Contribution, ServerState, unmoved
from fl.privacy.client_changes import plain_sum
from fl.problems import during
from fl.rows import RoundRow
from fl.server.federation import Federation
from fl.server.merging import MergeRule
from fl.server.participation import Participation
from fl.server.presence import GONE
from fl.server.secure_rounds import SecureSum

AggregationRule = Callable[[ServerState, Sequence[Contribution]], ServerState]
"""From the server's state and updates to its next state, as a method's ``aggregate``."""


def aggregate(
    federation: Federation,
    participations: Sequence[Participation],
    *,
    round_id: int,
    rule: MergeRule | None = None,
) -> None:
    """Merge what was received; without any update the state stays as it is.

    But for Poisson sampling with privacy: noise alone is added then.

    Parameters
    ----------
    federation
        Its state is replaced.
    participations
        Ended ones; those that were not received count for nothing.
    round_id
        For messages.
    rule
        What becomes of each update before the method averages it; ``None``: nothing.
    """
    merged = [each.contribution() for each in participations if each.is_received]
    received = [item for item in merged if item is not None]
    private = federation.private_rounds
    if not received and private is not None and private.probability is not None:
        received = [unmoved(federation.method, federation.state)]
    if not received:
        return
    state = federation.state
    if rule is not None:
        received = [rule(state, item) for item in received]
    with during(f"in round {round_id}, {len(received)} contributions"):
        received = protected(federation, received, participations, round_id=round_id)
        merge(federation, received, participations)


def protected(
    federation: Federation,
    received: list[Contribution],
    participations: Sequence[Participation],
    *,
    round_id: int,
) -> list[Contribution]:
    """Return updates whose sum alone is seen, or whose mean is private; else as they are.

    Where there are shapes and no values, nothing can be protected and nothing is promised.
    """
    private, secure = federation.private_rounds, federation.server.secure_aggregation
    if federation.is_timing_only:
        return received
    summing = None
    if secure is not None and any(each.is_received for each in participations):
        everyone = sorted(each.client_id for each in participations)
        summing = SecureSum(federation, secure, round_id, everyone)
    if private is None:
        return received if summing is None else summing.mean(received)
    add = plain_sum if summing is None else summing.add
    made, row = private.protect(received, round_id=round_id, add=add)
    federation.recorder.privacy(row)
    return list(made)


def merge(
    federation: Federation,
    contributions: Sequence[Contribution],
    participations: Sequence[Participation],
    *,
    rule: AggregationRule | None = None,
) -> None:
    """Make the server's next state of contributions, and charge what it sends.

    Parameters
    ----------
    federation
        Its state is replaced.
    contributions
        Of clients, or of sites; at least one.
    participations
        Ended ones that the contributions come from.
    rule
        What makes the next state; ``None``: the method.
    """
    aggregate = federation.method.aggregate if rule is None else rule
    federation.state = aggregate(federation.state, contributions)
    if federation.twin is not None:
        parts = [each.charged for each in participations if each.is_received]
        charged = [each for each in parts if each is not None]
        federation.twin.aggregate(charged, leader=federation.state)


def record_round(
    federation: Federation,
    participations: Sequence[Participation],
    *,
    round_id: int,
    started_at_s: float,
    version: int,
    relayed_bytes: int = 0,
) -> None:
    """Write the rows of a round and add up its bytes and what was in vain.

    Parameters
    ----------
    federation
        Whose roster and recorder are told.
    participations
        Those that ended in the round.
    round_id
        Which, from 1.
    started_at_s
        When it began; it ends now.
    version
        Version of the server before the aggregation: staleness is counted up to it.
    relayed_bytes
        What sites and server exchanged in the round.
    """
    ordered = sorted(participations, key=lambda each: (each.client_id, each.participation_id))
    asked = federation.take_asked()
    uplink_bytes = asked.uplink_bytes + sum(each.uplink_bytes for each in ordered)
    downlink_bytes = asked.downlink_bytes + sum(each.downlink_bytes for each in ordered)
    federation.uplink_bytes += uplink_bytes
    federation.downlink_bytes += downlink_bytes
    rows = [each.row(round_id=round_id, staleness=version - each.version) for each in ordered]
    for each in ordered:
        each.note(round_id=round_id)
    federation.wasted_j += asked.wasted_j
    for row in rows:
        federation.wasted_j += row.wasted_j
    of_round = RoundRow(
        round=round_id,
        started_at_s=started_at_s,
        finished_at_s=federation.now_s,
        num_selected=len(ordered),
        num_received=sum(each.is_received for each in ordered),
        num_late=sum(each.outcome.startswith("late") for each in ordered),
        num_failed=sum(each.outcome.startswith(("dropped", *GONE)) for each in ordered),
        uplink_bytes=uplink_bytes,
        downlink_bytes=downlink_bytes,
        relayed_bytes=relayed_bytes,
        energy_j=federation.energy_j(),
        site_energy_j=federation.site_energy_j(),
        wasted_j=federation.wasted_j,
    )
    federation.num_rounds = round_id
    federation.recorded_j = of_round.energy_j
    federation.recorder.round(of_round, rows)
    if federation.sample_accounts is not None:
        for promise in federation.sample_accounts.rows(ordered, round_id=round_id):
            federation.recorder.privacy(promise)
