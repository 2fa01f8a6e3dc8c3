"""Rounds with a deadline: the instant, what is spent until then, and what comes later."""

import re

import pytest
import torch

from fl.methods.fedit.config import FeditConfig
from fl.methods.head.config import HeadConfig
from fl.methods.local.config import LocalConfig
from fl.server.config import DeadlineServer
from fl.server.modes import check_server
from fl.server.staleness import PolynomialDiscount
from fl.training.config import TrainingConfig
from tests.fl.fakes import federation
from tests.fl.server.scalar import COMPUTE_W, play, scalar_federation, values


@pytest.mark.parametrize(
    ("deadline_s", "stage"), [(0.01, "downlink"), (0.03, "compute"), (0.1, "uplink")]
)
def test_a_deadline_cuts_off_at_the_instant_and_books_what_was_spent(deadline_s, stage):
    training = TrainingConfig(local_epochs=4, batch_size=4, learning_rate=1e-3)
    played = federation(
        FeditConfig(),
        num_clients=2,
        cohort=2,
        num_rounds=1,
        devices=["phone_low", "phone_low"],
        training=training,
        mode=DeadlineServer,
        deadline_s=deadline_s,
    )
    rows = play(played)
    (row,) = rows.rounds
    assert row.finished_at_s == pytest.approx(deadline_s, rel=1e-9)
    assert (row.num_received, row.num_late, row.num_failed) == (0, 2, 0)
    assert {part.outcome for part in rows.clients} == {f"late:{stage}"}
    assert played.executor.num_computed == 0
    spent_j = sum(part.compute_j + part.radio_j for part in rows.clients)
    assert row.energy_j == pytest.approx(spent_j, rel=1e-9)
    if stage == "compute":
        down_s = next(part.download_s for part in rows.clients)
        assert rows.clients[0].compute_j == pytest.approx(2.5 * (deadline_s - down_s), rel=1e-9)


def test_late_updates_are_dropped_and_the_rest_is_averaged():
    """Clients of 1, 2 and 5 s under a deadline of 3 s: each round is the mean of the first two."""
    played = scalar_federation(
        seconds=[1, 2, 5], goals=[2.0, 4.0, 9.0], mode=DeadlineServer, deadline_s=3.0
    )
    found = values(played)
    rows = play(played)
    assert [row.finished_at_s for row in rows.rounds] == pytest.approx([3, 6, 9], abs=1e-9)
    assert [(row.num_received, row.num_late) for row in rows.rounds] == [(2, 1)] * 3
    assert found == [3.0] * 3
    lost = [part for part in rows.clients if part.client_id == 2]
    assert {part.outcome for part in lost} == {"late:compute"}
    assert all(part.compute_j == pytest.approx(3 * COMPUTE_W) for part in lost)


def test_a_round_ends_before_its_deadline_when_all_have_come():
    played = scalar_federation(seconds=[1, 2], mode=DeadlineServer, deadline_s=3.0, num_rounds=2)
    assert [row.finished_at_s for row in play(played).rounds] == pytest.approx([2, 4], abs=1e-9)


def carried(**options):
    """Client 2 needs 5 s of rounds of at most 3 s; its update of round 1 comes in round 2."""
    return scalar_federation(
        seconds=[1, 3 - 1e-6, 5],
        goals=[2.0, 4.0, 9.0],
        sizes=[1, 1, 2],
        rate=0.5,
        mode=DeadlineServer,
        deadline_s=3.0,
        late="carried",
        **options,
    )


@pytest.mark.parametrize(("discount", "s"), [({}, 1.0), ({"exponent": 2.0}, 0.25)])
def test_an_update_that_is_carried_over_is_rebased_and_discounted(discount, s):
    """By hand: x0 = 0, x1 = mean(1, 2) = 1.5.

    Round 2: clients 0 and 1 go to 1.75 and 2.75; client 2 moved by 4.5 from 0, so it counts as
    1.5 + 4.5 with weight 2 s.
    """
    options = {"discount": PolynomialDiscount(**discount)} if discount else {}
    played = carried(num_rounds=2, **options)
    found = values(played)
    rows = play(played)
    expected = (1.75 + 2.75 + 2 * s * 6.0) / (2 + 2 * s)
    assert found == pytest.approx([1.5, expected], rel=1e-12)
    late = [part for part in rows.clients if part.client_id == 2]
    assert [(part.round, part.outcome, part.staleness) for part in late] == [(2, "received", 1)]
    assert [row.finished_at_s for row in rows.rounds] == pytest.approx([3, 6], abs=1e-5)
    assert [row.num_selected for row in rows.rounds] == [2, 3]
    assert sum(row.uplink_bytes for row in rows.rounds) == played.uplink_bytes


def test_who_is_at_work_is_not_selected_and_is_ended_with_the_run():
    played = carried(num_rounds=3)
    rows = play(played)
    starts = [(job.round, job.client_id) for job in played.executor.jobs]
    assert starts == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]
    (last,) = [part for part in rows.clients if part.round == 4]
    assert (last.client_id, last.outcome) == (2, "unfinished:compute")
    end_s = rows.rounds[-1].finished_at_s
    begun_s = rows.rounds[-1].started_at_s
    assert last.compute_j == pytest.approx(COMPUTE_W * (end_s - begun_s))
    assert played.env.now == end_s


def test_when_nobody_is_free_a_round_waits_for_those_at_work():
    """One client of 5 s, deadline 3 s: round 1 gets nothing, round 2 gets it at 5 s."""
    played = scalar_federation(
        seconds=[5], goals=[8.0], mode=DeadlineServer, deadline_s=3.0, late="carried", num_rounds=2
    )
    found = values(played)
    rows = play(played)
    assert [row.finished_at_s for row in rows.rounds] == pytest.approx([3, 5], abs=1e-9)
    assert [row.num_received for row in rows.rounds] == [0, 1]
    assert found == [8.0]


def test_a_fresh_update_is_merged_as_it_came():
    """Carrying over changes no bit of rounds in which nobody is late."""
    options = {"seconds": [1, 2], "rate": 0.3, "dtype": torch.float32, "mode": DeadlineServer}
    dropped = scalar_federation(deadline_s=9.0, **options)
    kept = scalar_federation(deadline_s=9.0, late="carried", **options)
    assert play(dropped) == play(kept)
    assert torch.equal(dropped.state.tensors["x"], kept.state.tensors["x"])


def test_nothing_hangs_when_all_uploads_are_lost():
    for late in ("dropped", "carried"):
        played = scalar_federation(
            seconds=[1, 2],
            mode=DeadlineServer,
            deadline_s=1.5,
            late=late,
            failing={(0, "uplink"): "outage", (1, "uplink"): "outage"},
        )
        rows = play(played)
        assert len(rows.rounds) == 3
        assert played.state.version == 0
        assert played.executor.num_computed == 0


def test_a_deadline_shorter_than_any_upload_is_refused():
    """Alone, a client downloads at 4 Mb/s and uploads at 1 Mb/s: 10 S / 4e6 seconds for S bytes."""
    played = federation(HeadConfig(), mode=DeadlineServer, deadline_s=1e-4, num_rounds=1)
    size_bytes = played.method.download(played.state, client_id=0).size_bytes
    least_s = size_bytes * 8 * (1 / 4e6 + 1 / 1e6)
    message = f"server.deadline_s: must be > {least_s:.3g}, the seconds in which the fastest"
    with pytest.raises(ValueError, match=re.escape(message)):
        check_server(played)
    for settings in ({"deadline_s": least_s * 1.001}, {"deadline_s": 1e-4, "late": "carried"}):
        check_server(federation(HeadConfig(), mode=DeadlineServer, num_rounds=1, **settings))
    check_server(federation(LocalConfig(), mode=DeadlineServer, deadline_s=1e-9, num_rounds=1))
