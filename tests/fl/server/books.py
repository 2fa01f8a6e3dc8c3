"""What every finished run must satisfy: joules and bytes add up, and every row is accounted for."""

from collections import Counter

import numpy as np
import pytest

from fl.server.presence import GONE


def check_books(played, *, asked_j=None):
    """Check the books of a federation that has run to its end.

    Parameters
    ----------
    played
        It has, or to its targets, over a network of constant rates.
    asked_j
        Joules that each client spent on questions of the policy; ``None``: it asks none.
    """
    rows, end_s = played.recorder, played.env.now
    check_rounds(played)
    ids = [part.participation_id for part in rows.clients]
    assert sorted(ids) == list(range(played.num_participations))
    assert not played.roster.is_busy.any()
    num_clients = len(played.shards)
    spent_j = np.zeros(num_clients) if asked_j is None else np.array(asked_j)
    for part in rows.clients:
        own_j = part.compute_j + part.radio_j
        spent_j[part.client_id] += own_j
        assert part.wasted_j == (0 if part.outcome == "received" else own_j)
        assert part.staleness >= 0
    check_questions(played, asked_j=asked_j)
    booked_j = played.network.client_energy_j(np.arange(num_clients), end_s)
    assert spent_j.tolist() == pytest.approx(booked_j.tolist(), rel=1e-9, abs=1e-12)
    assert played.energy_j() == pytest.approx(spent_j.sum(), rel=1e-9)
    check_bytes(played)
    assert not played.network.running
    assert all(charge[3] <= end_s for charge in played.network.charges)


def check_rounds(played):
    """Check that each round counts the participations that ended in it, and what they wasted."""
    rows, wasted_j, before_s = played.recorder, 0.0, 0.0
    assert [row.round for row in rows.rounds] == list(range(1, len(rows.rounds) + 1))
    assert played.server.stop_at_targets or len(rows.rounds) == played.server.num_rounds
    for row in rows.rounds:
        assert before_s <= row.started_at_s <= row.finished_at_s <= played.env.now
        before_s = row.finished_at_s
        parts = [part for part in rows.clients if part.round == row.round]
        outcomes = Counter(part.outcome.split(":")[0] for part in parts)
        assert row.num_selected == len(parts)
        assert row.num_received == outcomes["received"]
        assert row.num_late == outcomes["late"]
        assert row.num_failed == outcomes["dropped"] + sum(outcomes[each] for each in GONE)
        wasted_j += sum(part.wasted_j for part in parts)
        wasted_j += sum(asked.wasted_j for asked in rows.of_questions if asked.round == row.round)
        assert row.wasted_j == pytest.approx(wasted_j, rel=1e-12)


def check_questions(played, *, asked_j):
    """Check that questions account for the joules of asking, and waste those without use."""
    of_questions = np.zeros(len(played.shards))
    for asked in played.recorder.of_questions:
        own_j = asked.compute_j + asked.radio_j
        of_questions[asked.client_id] += own_j
        assert asked.wasted_j == (0 if asked.outcome == "answered" else own_j)
        assert asked.asked_at_s <= asked.ended_at_s <= played.env.now
    wanted = np.zeros(len(played.shards)) if asked_j is None else asked_j
    assert of_questions.tolist() == pytest.approx(np.asarray(wanted).tolist(), rel=1e-9, abs=1e-12)


def check_bytes(played):
    """Check the bytes of the run, and of its rounds, against those of all transfers."""
    sent = Counter()
    for moved in played.network.transfers:
        assert moved.finished_at_s <= played.env.now
        sent[moved.direction] += moved.delivered_bytes
    assert (played.uplink_bytes, played.downlink_bytes) == (sent["uplink"], sent["downlink"])
    rounds, unfinished = played.recorder.rounds, Counter()
    last = {part.participation_id for part in played.recorder.clients if part.round > len(rounds)}
    for moved in played.network.transfers:
        if moved.participation_id in last:
            unfinished[moved.direction] += moved.delivered_bytes
    for direction in ("uplink", "downlink"):
        of_rounds = sum(getattr(row, f"{direction}_bytes") for row in rounds)
        assert of_rounds + unfinished[direction] == sent[direction]
