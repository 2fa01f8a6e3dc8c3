"""Every kind of availability: a function of time alone, with changes where it says."""

import numpy as np
import pytest

from fl.clients.availability import (
    AVAILABILITY,
    AlwaysAvailable,
    build_availability,
    find_problems,
)
from fl.clients.availability.charging_wifi import ChargingWifiAvailability
from fl.clients.availability.daily import DailyWindow
from fl.clients.availability.diurnal import DiurnalAvailability
from fl.clients.availability.markov import MarkovAvailability
from fl.clients.availability.trace import TraceAvailability
from tests.fl.fakes import streams

NUM_CLIENTS = 20
TRACE = "client_id,from_s,to_s\n" + "".join(
    f"{client_id},{4000 * client_id + 1000 * part},{4000 * client_id + 1000 * part + 600}\n"
    for client_id in range(NUM_CLIENTS)
    for part in range(5)
)


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "there.csv"
    path.write_text(TRACE, encoding="utf-8")
    return {
        "always": AlwaysAvailable(),
        "markov": MarkovAvailability(mean_on_s=3000.0, mean_off_s=5000.0),
        "diurnal": DiurnalAvailability(
            begin_h=22, duration_h=7, spread_h=3, probability=0.8, starts_at_h=12
        ),
        "charging_wifi": ChargingWifiAvailability(starts_at_h=20.5),
        "trace": TraceAvailability(path=str(path)),
    }


def built(config, seed=7):
    return build_availability(config, num_clients=NUM_CLIENTS, streams=streams(seed))


def test_the_settings_here_are_those_of_all_kinds(settings):
    assert len(AVAILABILITY) >= 5
    assert settings.keys() == AVAILABILITY.keys()
    for kind, config in settings.items():
        assert AVAILABILITY[kind].config is type(config)
        assert config.kind == kind
        assert [*find_problems(config, num_clients=NUM_CLIENTS, path=("here",))] == []


@pytest.mark.parametrize("kind", sorted(AVAILABILITY))
def test_presence_changes_exactly_where_it_is_said_to(kind, settings):
    """Walked from change to change; between two changes nothing differs, at each it turns."""
    found, rng = built(settings[kind]), np.random.default_rng(3)
    for client_id in range(NUM_CLIENTS):
        ids, at_s = np.array([client_id]), 0.0
        for _ in range(8):
            before = found.is_available(ids, at_s=at_s)[0]
            (change_s,) = found.next_change_s(ids, after_s=at_s)
            assert change_s > at_s
            end_s = min(change_s, at_s + 1e6)
            for share in rng.random(3):
                between_s = at_s + share * (end_s - at_s)
                assert found.is_available(ids, at_s=between_s)[0] == before
                assert found.next_change_s(ids, after_s=between_s)[0] == change_s
            if change_s == np.inf:
                break
            assert found.is_available(ids, at_s=change_s)[0] != before
            at_s = change_s


@pytest.mark.parametrize("kind", sorted(AVAILABILITY))
def test_answers_depend_on_seed_client_and_time_alone(kind, settings):
    rng = np.random.default_rng(5)
    first, second = built(settings[kind]), built(settings[kind])
    every = np.arange(NUM_CLIENTS)
    for at_s in rng.random(30) * 3 * 86400:
        some = rng.permutation(NUM_CLIENTS)[:7]
        together = first.is_available(every, at_s=at_s)
        assert second.is_available(some, at_s=at_s).tolist() == together[some].tolist()
        changes_s = first.next_change_s(every, after_s=at_s)
        assert second.next_change_s(some, after_s=at_s).tolist() == changes_s[some].tolist()
    if kind not in ("always", "trace"):
        other = built(settings[kind], seed=8).next_change_s(every, after_s=1e4)
        assert other.tolist() != first.next_change_s(every, after_s=1e4).tolist()


def test_markov_fraction_and_lengths_are_those_of_its_settings():
    """3 of 8 present at 0 s and a day later, stays of 3000 s: within four standard errors."""
    config = MarkovAvailability(mean_on_s=3000.0, mean_off_s=5000.0)
    num = 40_000
    found = build_availability(config, num_clients=num, streams=streams())
    every = np.arange(num)
    bound = 4 * np.sqrt(3 / 8 * 5 / 8 / num)
    for at_s in (0.0, 500.0, 86400.0):
        there = found.is_available(every, at_s=at_s)
        assert there.mean() == pytest.approx(3 / 8, abs=bound)
        left_s = found.next_change_s(every, after_s=at_s) - at_s
        for state, mean_s in ((there, 3000.0), (~there, 5000.0)):
            error_s = 4 * mean_s / np.sqrt(state.sum())
            assert left_s[state].mean() == pytest.approx(mean_s, abs=error_s)
    before, after = (found.is_available(every, at_s=at_s) for at_s in (0.0, 86400.0))
    assert np.corrcoef(before, after)[0, 1] == pytest.approx(0, abs=4 / np.sqrt(num))


def test_a_diurnal_window_without_spread_is_where_the_clock_says():
    """From 22 to 5 o'clock; the run starts at noon, so from 10 h to 17 h and a day later."""
    config = DiurnalAvailability(begin_h=22, duration_h=7, starts_at_h=12)
    found, one = built(config), np.array([3])
    edges_h = [found.next_change_s(one, after_s=h * 3600)[0] / 3600 for h in (0, 10, 17, 34, 41)]
    assert edges_h == pytest.approx([10, 17, 34, 41, 58], rel=1e-12)
    assert found.is_available(one, at_s=10 * 3600)[0]
    assert not found.is_available(one, at_s=17 * 3600)[0]


def test_a_run_that_starts_within_a_window_starts_with_its_clients():
    config = DiurnalAvailability(begin_h=22, duration_h=7, starts_at_h=1)
    found = built(config)
    assert found.is_available(np.arange(5), at_s=0.0).all()
    assert found.next_change_s(np.array([0]), after_s=0.0) == pytest.approx([4 * 3600])


def test_diurnal_spread_and_probability_are_those_of_the_settings():
    config = DiurnalAvailability(begin_h=12, duration_h=7, spread_h=3, probability=0.25)
    num = 20_000
    found = build_availability(config, num_clients=num, streams=streams())
    every = np.arange(num)
    there = found.is_available(every, at_s=15.5 * 3600)  # all that begin have begun, none is over
    assert there.mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / num))
    begins_h = found.next_change_s(every, after_s=0.0)[there] / 3600
    assert begins_h.min() == pytest.approx(9, abs=0.01)
    assert begins_h.max() == pytest.approx(15, abs=0.01)
    assert begins_h.mean() == pytest.approx(12, abs=0.1)


def test_charging_and_wifi_is_the_overlap_of_both():
    """Charging 20 to 4 o'clock, Wi-Fi 23 to 9: there from 23 to 4."""
    config = ChargingWifiAvailability(
        charging=DailyWindow(begin_h=20, duration_h=8), wifi=DailyWindow(begin_h=23, duration_h=10)
    )
    found, one = built(config), np.array([0])
    edges_h = [found.next_change_s(one, after_s=h * 3600)[0] / 3600 for h in (5, 23, 28)]
    assert edges_h == pytest.approx([23, 28, 47], rel=1e-12)
    assert found.is_available(one, at_s=0.0)[0]


@pytest.mark.parametrize(
    ("config", "key", "words"),
    [
        (DiurnalAvailability(begin_h=22, duration_h=12, spread_h=6), "spread_h", "got 24"),
        (
            ChargingWifiAvailability(wifi=DailyWindow(begin_h=8, duration_h=9)),
            "wifi",
            "must overlap charging: nobody would ever be available",
        ),
        (
            ChargingWifiAvailability(wifi=DailyWindow(begin_h=8, duration_h=22, spread_h=1)),
            "wifi.spread_h",
            "duration_h + 2 spread_h must be < 24",
        ),
        (TraceAvailability(path="nowhere.csv"), "path", "must be a file, got 'nowhere.csv'"),
    ],
)
def test_settings_that_leave_nobody_are_refused(config, key, words):
    (problem,) = find_problems(config, num_clients=2, path=("clients", "availability"))
    assert ".".join(problem.path) == f"clients.availability.{key}"
    assert words in problem.message


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("0,0,5\n1,0,5\n0,4,9", "line 4: from_s: client 0 is there until 5 s, an interval from 4"),
        ("0,0,5\n1,0,5\n0,5,9", "interval from 5 s touches that; make them one"),
        ("0,0,5", "must have an interval for every client 0 to 1, none for 1"),
        ("0,0,5\n2,0,5", "line 3: client_id: unknown client 2, must be 0 to 1"),
        ("0,0,5\n-1,0,5", "line 3: client_id: unknown client -1, must be 0 to 1"),
        ("0,0,5\n0.5,0,5", "line 3: client_id: unknown client 0.5"),
        ("0,5,5\n1,0,5", "line 2: to_s: must be > from_s = 5, got 5"),
        ("0,-1,5\n1,0,5", "line 2: from_s: must be >= 0, got -1"),
        ("0,0,nan\n1,0,5", "line 2: to_s: must be a number, got 'nan'"),
        ("0,0\n1,0,5", "line 2: must have 3 cells, got 2"),
        ("0,,5\n1,0,5", "line 2: from_s: must not be empty"),
    ],
)
def test_a_trace_that_cannot_be_used_names_its_line(rows, words, tmp_path):
    path = tmp_path / "there.csv"
    path.write_text(f"client_id,from_s,to_s\n{rows}\n", encoding="utf-8")
    config = TraceAvailability(path=str(path))
    (problem,) = find_problems(config, num_clients=2, path=("clients", "availability"))
    assert words in problem.message
