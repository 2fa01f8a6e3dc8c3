"""Clients that come and leave: participations end at the instant, and books stay exact."""

import numpy as np
import pytest

from fl.clients.availability import AVAILABILITY
from fl.clients.availability.markov import MarkovAvailability
from fl.clients.availability.trace import TraceAvailability
from fl.methods.fedit.config import FeditConfig
from fl.server.config import DeadlineServer
from fl.server.modes import run_server
from fl.training.config import TrainingConfig
from tests.fl.fakes import federation, streams
from tests.fl.server.books import check_books

UNTRAINED = TrainingConfig(local_steps=3, batch_size=8, mode="none")
DOWN_BPS, UP_BPS = 4e6, 1e6
TRANSMIT_W, RECEIVE_W, COMPUTE_W = 0.5, 0.2, 3.0


def run(played):
    played.env.run(until=played.env.process(run_server(played)))
    return played.recorder


def steps_s():
    """Seconds of download, job and upload of client 1, a mid-range phone."""
    rows = run(federation(FeditConfig(rank=8), num_clients=2, cohort=2, num_rounds=1,
                          devices=["laptop", "phone_mid"], training=UNTRAINED))  # fmt: skip
    part = rows.clients[1]
    return part.download_s, part.compute_s, part.upload_s


def traced(tmp_path, *rows, **options):
    path = tmp_path / "there.csv"
    path.write_text("client_id,from_s,to_s\n" + "\n".join(rows) + "\n", encoding="utf-8")
    settings = {
        "num_clients": 2, "cohort": 2, "devices": ["laptop", "phone_mid"], "training": UNTRAINED,
        "num_rounds": 1, **options,
    }  # fmt: skip
    return federation(
        FeditConfig(rank=8), availability=TraceAvailability(path=str(path)), **settings
    )


@pytest.mark.parametrize("stage", ["downlink", "compute", "uplink"])
def test_a_client_leaves_in_the_middle_of_each_step_with_what_it_spent(stage, tmp_path):
    down_s, compute_s, up_s = steps_s()
    leaves_at_s, compute_j, radio_j = {
        "downlink": (down_s / 2, 0.0, RECEIVE_W * down_s / 2),
        "compute": (down_s + compute_s / 2, COMPUTE_W * compute_s / 2, RECEIVE_W * down_s),
        "uplink": (
            down_s + compute_s + up_s / 2,
            COMPUTE_W * compute_s,
            RECEIVE_W * down_s + TRANSMIT_W * up_s / 2,
        ),
    }[stage]
    played = traced(tmp_path, "0,0,1000", f"1,0,{leaves_at_s!r}")
    rows = run(played)
    stayed, left = rows.clients
    assert (stayed.outcome, left.outcome) == ("received", f"left:{stage}")
    assert left.compute_j == pytest.approx(compute_j, rel=1e-9)
    assert left.radio_j == pytest.approx(radio_j, rel=1e-9)
    assert (stayed.wasted_j, left.wasted_j) == (0, left.compute_j + left.radio_j)
    (row,) = rows.rounds
    assert (row.num_selected, row.num_received, row.num_failed, row.num_late) == (2, 1, 1, 0)
    assert row.wasted_j == left.wasted_j
    spent_j = sum(part.compute_j + part.radio_j for part in rows.clients)
    assert row.energy_j == pytest.approx(spent_j, rel=1e-12)
    booked_until_s = max(end_s for client, _, _, end_s, _ in played.network.charges if client == 1)
    assert booked_until_s == pytest.approx(leaves_at_s, abs=1e-9)


def test_only_those_who_are_there_are_candidates(tmp_path):
    played = traced(tmp_path, "0,0,1e6", "1,1e5,1e6", num_rounds=2)
    rows = run(played)
    assert [part.client_id for part in rows.clients] == [0, 0]


def test_the_server_waits_until_somebody_is_there_and_begins_at_that_instant(tmp_path):
    played = traced(tmp_path, "0,777.25,1e6", "1,9e5,1e6")
    (row,) = run(played).rounds
    assert row.started_at_s == pytest.approx(777.25, abs=1e-9)
    assert (row.num_selected, row.num_received) == (1, 1)


def test_a_run_for_which_nobody_comes_any_more_is_refused(tmp_path):
    played = traced(tmp_path, "0,0,0.001", "1,5,5.001", num_rounds=3)
    match = "clients.availability: nobody is available at 5.001 s, nor ever after"
    with pytest.raises(ValueError, match=match):
        run(played)
    assert [row.num_received for row in played.recorder.rounds] == [0, 0]


def test_who_returns_before_a_round_ends_takes_part_in_the_next(tmp_path):
    down_s, compute_s, up_s = steps_s()
    whole_s = down_s + compute_s + up_s
    again_s = down_s * 0.75
    played = traced(
        tmp_path,
        f"0,0,{down_s / 2!r}",
        f"0,{again_s!r},1000",
        f"1,0,{10 * whole_s!r}",
        num_rounds=2,
    )
    rows = run(played)
    assert [part.outcome for part in rows.clients] == ["left:downlink", *["received"] * 3]
    assert rows.rounds[0].finished_at_s == pytest.approx(whole_s, rel=1e-12)


def test_a_client_has_one_timer_at_most_however_many_rounds_it_takes_part_in():
    available = MarkovAvailability(mean_on_s=1e7, mean_off_s=1.0)
    played = federation(
        FeditConfig(), num_clients=4, cohort=4, num_rounds=30, training=UNTRAINED,
        availability=available,
    )  # fmt: skip
    run(played)
    assert len(played.recorder.clients) == 120
    timers = [each for each in played.env._queue if each[0] > played.env.now]
    assert len(timers) <= 4


CONFIGS = {
    "short": MarkovAvailability(mean_on_s=0.3, mean_off_s=0.2),
    "rare": MarkovAvailability(mean_on_s=0.2, mean_off_s=5.0),
    "long": MarkovAvailability(mean_on_s=20.0, mean_off_s=1.0),
}


SERVERS = {
    "sync": {},
    "over_selection": {"over_selection": 1.5},
    "broadcast": {"downlink": "broadcast"},
    "dropped": {"mode": DeadlineServer, "deadline_s": 0.3},
    "carried": {"mode": DeadlineServer, "deadline_s": 0.2, "late": "carried"},
}


@pytest.mark.parametrize("name", sorted(CONFIGS))
@pytest.mark.parametrize("server", sorted(SERVERS))
def test_bytes_and_joules_add_up_whoever_leaves(name, server):
    rng = np.random.default_rng([len(name), len(server)])
    options = {
        "num_clients": 6,
        "cohort": int(rng.integers(2, 7)),
        "num_rounds": 8,
        "training": UNTRAINED,
        "failing": {(int(rng.integers(6)), "uplink"): "outage"},
        "availability": CONFIGS[name],
        **SERVERS[server],
    }
    played, again = (federation(FeditConfig(), **options) for _ in range(2))
    rows = run(played)
    assert rows == run(again)
    check_books(played)
    found = played.availability
    for client_id, _, start_s, end_s, _ in played.network.charges:
        # nobody spends anything while away
        middle_s = (start_s + end_s) / 2
        assert end_s == start_s or found.is_available(np.array([client_id]), at_s=middle_s)[0]
    if name == "rare":
        assert "left" in {part.outcome.split(":")[0] for part in rows.clients}


def test_availability_is_the_same_for_every_policy_and_method():
    """It is asked by client and time, and drawn from a stream of its own."""
    assert len(AVAILABILITY) >= 5
    first, second = (
        federation(FeditConfig(rank=rank), num_clients=4, cohort=cohort, training=UNTRAINED,
                   availability=CONFIGS["short"])
        for rank, cohort in ((2, 1), (8, 4))
    )  # fmt: skip
    run(first), run(second)
    every = np.arange(4)
    for at_s in np.random.default_rng(1).random(20) * 30:
        there, other = (
            each.availability.is_available(every, at_s=at_s).tolist() for each in (first, second)
        )
        assert there == other
    assert int(streams()("availability", 0).integers(9)) >= 0
