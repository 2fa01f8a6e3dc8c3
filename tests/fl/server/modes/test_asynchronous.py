"""Modes without rounds on one number, against a few lines of event simulation and by hand."""

import heapq

import numpy as np
import pytest

from fl.clients.availability.daily import DailyWindow
from fl.clients.availability.trace import TraceAvailability
from fl.clients.battery import BatteryConfig
from fl.policies import RandomPolicyConfig
from fl.server.config import FedAsyncServer, FedBuffServer, SemiAsyncServer
from fl.server.staleness import (
    ConstantDiscount,
    HingeDiscount,
    PolynomialDiscount,
    discount_factor,
)
from tests.fl.server.scalar import COMPUTE_W, play, scalar_federation, values

SECONDS = [1.0, 1.7, 4.1]
GOALS = [2.0, -4.0, 9.0]
RATE = 0.5
DISCOUNTS = [ConstantDiscount(), PolynomialDiscount(exponent=0.5), HingeDiscount(slope=2, delay=1)]


def simulated(merge, *, size, num_rounds):
    """Return ``(x, instant, staleness of each update)`` after each aggregation of a full buffer.

    Every client works all the time; ``merge(x, [(change, model, tau), ...])`` gives the next ``x``.
    """
    x, version, buffer, found = 0.0, 0, [], []
    at_work = [(seconds, k, 0.0, 0) for k, seconds in enumerate(SECONDS)]
    heapq.heapify(at_work)
    while len(found) < num_rounds:
        now_s, k, base, began = heapq.heappop(at_work)
        change = RATE * (GOALS[k] - base)
        buffer.append((change, base + change, began))
        if len(buffer) == size:
            taus = [version - start for _, _, start in buffer]
            x = merge(x, [(c, m, tau) for (c, m, _), tau in zip(buffer, taus, strict=True)])
            version, buffer = version + 1, []
            found.append((x, now_s, sorted(taus)))
        heapq.heappush(at_work, (now_s + SECONDS[k], k, x, version))
    return found


def compare(played, expected):
    found = values(played)
    rows = play(played)
    assert found == pytest.approx([x for x, _, _ in expected], rel=1e-12)
    instants = [row.finished_at_s for row in rows.rounds]
    assert instants == pytest.approx([at_s for _, at_s, _ in expected], abs=1e-9)
    staleness = [
        sorted(part.staleness for part in rows.clients if part.round == row.round)
        for row in rows.rounds
    ]
    assert staleness == [taus for _, _, taus in expected]
    starts = [0.0, *instants[:-1]]
    assert [row.started_at_s for row in rows.rounds] == starts
    return rows


@pytest.mark.parametrize("discount", DISCOUNTS)
@pytest.mark.parametrize("mixes", ["model", "change"])
def test_fedasync_is_the_mixture_of_every_update_as_it_comes(discount, mixes):
    def merge(x, updates):
        ((change, model, tau),) = updates
        a = 0.6 * discount_factor(discount, tau)
        return (1 - a) * x + a * model if mixes == "model" else x + a * change

    played = scalar_federation(
        seconds=SECONDS,
        goals=GOALS,
        rate=RATE,
        mode=FedAsyncServer,
        discount=discount,
        mixes=mixes,
        num_rounds=25,
        evaluate_every=25,
    )
    rows = compare(played, simulated(merge, size=1, num_rounds=25))
    assert max(part.staleness for part in rows.clients) >= 4


@pytest.mark.parametrize("discount", DISCOUNTS)
@pytest.mark.parametrize("normalise", ["count", "weights"])
def test_fedbuff_merges_full_buffers(discount, normalise):
    def merge(x, updates):
        s = [discount_factor(discount, tau) for _, _, tau in updates]
        total = sum(each * change for each, (change, _, _) in zip(s, updates, strict=True))
        return x + 0.7 * total / (len(s) if normalise == "count" else sum(s))

    played = scalar_federation(
        seconds=SECONDS,
        goals=GOALS,
        rate=RATE,
        mode=FedBuffServer,
        buffer_size=2,
        server_learning_rate=0.7,
        normalise=normalise,
        discount=discount,
        num_rounds=15,
        evaluate_every=15,
    )
    compare(played, simulated(merge, size=2, num_rounds=15))


def test_semi_async_with_restart_at_receipt_is_a_buffer_of_normalised_changes():
    def merge(x, updates):
        s = [discount_factor(PolynomialDiscount(), tau) for _, _, tau in updates]
        total = sum(each * change for each, (change, _, _) in zip(s, updates, strict=True))
        return x + total / sum(s)

    played = scalar_federation(
        seconds=SECONDS,
        goals=GOALS,
        rate=RATE,
        mode=SemiAsyncServer,
        num_updates=2,
        restart="receipt",
        num_rounds=12,
        evaluate_every=12,
    )
    compare(played, simulated(merge, size=2, num_rounds=12))


def test_semi_async_by_number_waits_with_the_next_model_until_the_aggregation():
    """Clients of 1, 2 and 5 s, two updates enough, weights 1, 1 and 2, rate 1, no discount.

    Aggregations at 2 s (clients 0 and 1 from 0: mean of 2 and 4), at 4 s (both again: 3), and at
    5 s client 2 arrives with its change of 9 from 0, first of the next two: at 5 s client 0, which
    began at 4 s, comes as well.
    """
    played = scalar_federation(
        seconds=[1, 2, 5 - 1e-6],
        goals=[2.0, 4.0, 9.0],
        sizes=[1, 1, 2],
        mode=SemiAsyncServer,
        num_updates=2,
        discount=ConstantDiscount(),
    )
    found = values(played)
    rows = play(played)
    assert [row.finished_at_s for row in rows.rounds] == pytest.approx([2, 4, 5], abs=1e-9)
    assert found == pytest.approx([3.0, 3.0, (2 * (3 + 9) + 2) / 3], rel=1e-12)
    of_third = [(part.client_id, part.staleness) for part in rows.clients if part.round == 3]
    assert of_third == [(0, 0), (2, 2)]
    (last,) = [part for part in rows.clients if part.round == 4]
    assert (last.client_id, last.outcome) == (1, "unfinished:compute")
    assert last.compute_j == pytest.approx(COMPUTE_W * 1)


def test_semi_async_by_time_aggregates_what_has_come_and_nothing_when_nothing_has():
    """It does not wait when nobody is at work any more: the update of 3.5 s is merged at once."""
    played = scalar_federation(
        seconds=[3.5], goals=[6.0], mode=SemiAsyncServer, time_s=1.0, num_rounds=5
    )
    found = values(played)
    rows = play(played)
    assert [row.finished_at_s for row in rows.rounds] == pytest.approx([1, 2, 3, 3.5, 4.5])
    assert [row.num_received for row in rows.rounds] == [0, 0, 0, 1, 0]
    assert found == [6.0]


def test_semi_async_by_either_takes_whichever_comes_first():
    played = scalar_federation(
        seconds=[1, 10], mode=SemiAsyncServer, num_updates=2, time_s=4.0, num_rounds=3
    )
    rows = play(played)
    assert [row.finished_at_s for row in rows.rounds] == pytest.approx([4, 8, 10], abs=1e-9)
    assert [row.num_received for row in rows.rounds] == [1, 1, 2]


def test_who_ends_is_replaced_by_somebody_who_is_not_at_work():
    """Two of five at a time: never the same client twice at once, and never more than two."""
    policy = RandomPolicyConfig(num_clients=2)
    played = scalar_federation(
        seconds=[1, 1.3, 1.9, 2.2, 2.7], mode=FedAsyncServer, policy=policy, num_rounds=40,
        evaluate_every=40,
    )  # fmt: skip
    rows = play(played)
    assert len(rows.rounds) == 40
    spans = {}
    for at_s, k, what in sorted(
        (edge, charge[0], what)
        for charge in played.network.charges
        if charge[1] == "compute"
        for edge, what in ((charge[2], 1), (charge[3], -1))
    ):
        spans[k] = spans.get(k, 0) + what
        assert spans[k] in (0, 1), f"client {k} at {at_s}"
        assert sum(spans.values()) <= 2
    assert len(spans) == 5


def test_a_client_that_begins_again_in_the_same_round_has_a_seed_of_its_own():
    played = scalar_federation(
        seconds=[1, 100], mode=FedBuffServer, buffer_size=2, num_rounds=2, evaluate_every=2
    )
    play(played)
    jobs = [job for job in played.executor.jobs if job.client_id == 0]
    assert [job.round for job in jobs] == [1, 1, 2, 2]
    assert len({job.seed for job in jobs}) == 4


@pytest.mark.parametrize(
    ("mode", "settings"),
    [
        (FedAsyncServer, {}),
        (FedBuffServer, {"buffer_size": 2}),
        (SemiAsyncServer, {"num_updates": 2}),
        (SemiAsyncServer, {"num_updates": 2, "restart": "receipt"}),
        (SemiAsyncServer, {"time_s": 0.5}),
    ],
)
def test_nothing_hangs_when_all_uploads_are_lost(mode, settings):
    failing = {(client_id, "uplink"): "outage" for client_id in range(3)}
    played = scalar_federation(seconds=SECONDS, mode=mode, failing=failing, **settings)
    rows = play(played)
    assert len(rows.rounds) == 3
    assert [row.num_received for row in rows.rounds] == [0, 0, 0]
    assert (played.state.version, played.executor.num_computed) == (0, 0)


def test_a_full_buffer_waits_for_the_one_client_that_gets_through():
    """Clients 0 and 1 lose every upload; 2 fills the buffer alone, from rounds that got nothing."""
    failing = {(client_id, "uplink"): "outage" for client_id in range(2)}
    played = scalar_federation(
        seconds=[1, 1, 10], mode=FedBuffServer, buffer_size=2, num_rounds=20, failing=failing
    )
    found = values(played)
    rows = play(played)
    received = [row for row in rows.rounds if row.num_received]
    assert {row.num_received for row in received} == {2}
    assert len(found) == len(received) >= 1
    assert received[0].finished_at_s == pytest.approx(20.0)


def test_rows_and_bytes_are_those_of_what_ended_and_of_what_the_end_cut_off():
    played = scalar_federation(
        seconds=SECONDS, mode=FedBuffServer, buffer_size=2, num_rounds=4, evaluate_every=4
    )
    played.network.uplink_rate_bps = 500.0
    rows = play(played)
    transfers = played.network.transfers
    ids = [part.participation_id for part in rows.clients]
    assert sorted(ids) == list(range(played.num_participations))
    up = sum(each.delivered_bytes for each in transfers if each.direction == "uplink")
    assert played.uplink_bytes == up
    late = [part for part in rows.clients if part.round == 5]
    assert late
    assert all(part.outcome.startswith("unfinished:") for part in late)
    spent_j = sum(part.compute_j + part.radio_j for part in rows.clients)
    assert played.energy_j() == pytest.approx(spent_j, rel=1e-12)
    merged = [part for part in rows.clients if part.outcome == "received"]
    assert len(merged) == 8
    assert all(part.wasted_j == part.compute_j + part.radio_j for part in late)


def with_trace(folder, intervals, **options):
    """Return a federation whose clients are there in these intervals: client, from, to [s]."""
    path = folder / "there.csv"
    rows = "".join(f"{client},{from_s!r},{to_s!r}\n" for client, from_s, to_s in intervals)
    path.write_text(f"client_id,from_s,to_s\n{rows}", encoding="utf-8")
    return scalar_federation(availability=TraceAvailability(path=str(path)), **options)


def begins(rows, client_id):
    """Return when participations of a client began to compute, transfers taking no time."""
    return [charge[2] for charge in rows if charge[0] == client_id and charge[1] == "compute"]


@pytest.mark.parametrize(
    ("mode", "settings"),
    [
        (FedAsyncServer, {}),
        (FedBuffServer, {"buffer_size": 2}),
        (SemiAsyncServer, {"num_updates": 2}),
        (SemiAsyncServer, {"time_s": 20.0, "restart": "receipt"}),
    ],
)
def test_a_client_that_comes_while_another_works_begins_at_that_instant(mode, settings, tmp_path):
    """Two places. Client 0 takes 10 s; client 1 comes at 3.25 s, leaves at 5.5 s, is back at 7."""
    intervals = [(0, 0.0, 99.0), (1, 3.25, 5.5), (1, 7.0, 99.0)]
    played = with_trace(
        tmp_path,
        intervals,
        seconds=[10.0, 4.0],
        mode=mode,
        policy=RandomPolicyConfig(num_clients=2),
        num_rounds=1,
        **settings,
    )
    rows = play(played)
    found = begins(played.network.charges, 1)
    restarts = settings.get("restart", "receipt") == "receipt" and mode is not SemiAsyncServer
    expected = [3.25, 7.0] if restarts or settings.get("restart") else [3.25]
    assert found[: len(expected)] == pytest.approx(expected, abs=1e-9)
    left = next(part for part in rows.clients if part.outcome == "left:compute")
    assert left.client_id == 1


def test_places_that_a_policy_leaves_free_stay_so_until_the_next_one_ends(tmp_path):
    """Nobody else is asked for when a client comes: the policy never selects more than one."""
    played = with_trace(
        tmp_path,
        [(0, 0.0, 99.0), (1, 0.0, 99.0), (2, 1.0, 99.0)],
        seconds=[10.0, 4.0, 4.0],
        mode=FedAsyncServer,
        policy=RandomPolicyConfig(num_clients=2),
        num_rounds=1,
    )
    asked = []

    class One:
        def select(self, view, *, rng):
            asked.append(view.now_s)
            return [int(view.candidates.client_id[0])]

    played.policy = One()
    play(played)
    assert asked == [0.0]


def test_a_place_is_taken_when_a_battery_has_charged_enough():
    """Client 1 has run empty at 0 s; one hour at 1 W brings it back, while client 0 works on."""
    charging = DailyWindow(begin_h=0.0, duration_h=20.0)
    battery = BatteryConfig(idle_w=0.0, charging=charging, charging_w=1.0, return_level=0.5)
    played = scalar_federation(
        seconds=[9000.0, 10.0],
        mode=FedAsyncServer,
        policy=RandomPolicyConfig(num_clients=2),
        num_rounds=1,
        battery=battery,
        devices=["phone_mid"] * 2,
    )
    batteries = played.presence.batteries
    batteries.capacity_j[:] = [np.inf, 7200.0]
    batteries.empty(1)
    play(played)
    (begins_s,) = begins(played.network.charges, 1)[:1]
    assert begins_s == pytest.approx(3600.0, abs=1e-6)
