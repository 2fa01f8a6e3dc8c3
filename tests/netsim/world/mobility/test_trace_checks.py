"""A trace that cannot be a walk or a drive in metres and seconds is refused with the reason."""

import numpy as np
import pandas as pd
import pytest

from netsim.world.area import Disc, Rectangle
from netsim.world.mobility.trace_checks import find_trace_faults

AREA = Rectangle(2000.0, 2000.0)
UNIX_S = 1_700_000_000.0


def walk(*, speed_mps=1.4, num_clients=3, num_rows=120, rest_s=0.0):
    """Clients who walk to and fro along x, one row a second, from -50 m to 50 m."""
    at_s = np.arange(num_rows, dtype=float)
    x_m = np.abs((at_s * speed_mps) % 200.0 - 100.0) - 50.0
    each = [
        pd.DataFrame({"client_id": client, "at_s": at_s + rest_s, "x_m": x_m, "y_m": 20.0 * client})
        for client in range(num_clients)
    ]
    return pd.concat(each, ignore_index=True)


@pytest.fixture
def faults_of(tmp_path):
    def find(table, *, area=AREA, num_clients=3):
        path = tmp_path / "trace.parquet"
        table.to_parquet(path)
        faults = find_trace_faults(str(path), area=area, num_clients=num_clients)
        assert all(fault.startswith(f"trace {path}: ") for fault in faults)
        return [fault.removeprefix(f"trace {path}: ") for fault in faults]

    return find


@pytest.mark.parametrize(
    "table",
    [
        walk(),
        walk(speed_mps=139.0),  # the train of TR 38.913
        walk(speed_mps=0.05),
        walk(rest_s=30.0),
        walk(rest_s=3600.0),
        walk(num_rows=8000, rest_s=7000.0),  # late, but it lasts longer
        walk(rest_s=-60.0),  # recorded from before the run on
        walk(num_rows=1),  # everybody stands
        walk(num_rows=1, rest_s=99_000.0),
        walk(num_clients=1).assign(x_m=lambda t: 0.2 * np.sin(t.at_s)),  # stands; receiver noise
    ],
)
def test_what_can_be_a_walk_a_drive_or_a_rest_is_taken(faults_of, table):
    num_clients = table["client_id"].nunique()
    assert faults_of(table, num_clients=num_clients) == []


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (  # a recording in metres, its clock in microseconds taken for seconds
            walk().assign(at_s=lambda t: t.at_s * 1e6),
            "nobody is ever faster than 1.4e-06 m/s (a walk is 0.03 m/s or more): at_s is in sec",
        ),
        (walk().assign(at_s=lambda t: t.at_s * 1000), "client 0 covers 99.4 m, but nobody is ever"),
        (walk().assign(at_s=lambda t: t.at_s / 1000), "1.4 m in 0.001 s from 0 s on, 1400 m/s; no"),
        (walk().assign(x_m=lambda t: t.x_m * 1000), "1400 m in 1 s from 0 s on, 1400 m/s; nobody "),
        (
            walk().assign(x_m=lambda t: t.x_m / 1000, y_m=lambda t: t.y_m / 1000),
            "all clients stay within 0.107 m of each other and are at most 0.0014 m/s fast, as in ",
        ),
        (  # longitude and latitude
            walk().assign(x_m=lambda t: 13.4 + t.x_m / 67e3, y_m=lambda t: 52.5 + t.y_m / 111e3),
            "m/s fast, as in kilometres or degrees: at_s is in seconds from the start of the run",
        ),
        (walk(rest_s=UNIX_S), "begins at 1700000000 s and lasts 119 s: until then every client "),
        (walk(rest_s=43_200.0), "counts from the start of the run, subtract 43200"),
        (walk(num_rows=1, rest_s=UNIX_S), "begins at 1700000000 s and lasts 0 s"),
        (walk(rest_s=-500.0), "ends at -381 s, before the run begins at 0 s"),
        (  # coordinates of a map of the country
            walk().assign(x_m=lambda t: 382_000.0 + t.x_m, y_m=lambda t: 5_820_000.0 + t.y_m),
            "to 382050 m and y 5820000 to 5820040 m, the area at x "
            "-1000 to 1000 m and y -1000 to 1000 m: both count from one origin",
        ),
    ],
)
def test_another_unit_or_origin_is_one_line_with_the_reason(faults_of, table, words):
    (fault,) = [line for line in faults_of(table) if "outside" not in line or "origin" in words]
    assert words in fault
    assert "\n" not in fault
    assert len(fault) < 400


def test_a_leap_is_refused_whoever_makes_it_and_whenever(faults_of):
    """400 m in a millisecond, by one client of three, once."""
    table = walk()
    leap = pd.DataFrame({"client_id": 1, "at_s": [200.0, 200.001], "x_m": [-200.0, 200.0]})
    (fault,) = faults_of(pd.concat([table, leap.assign(y_m=0.0)], ignore_index=True))
    assert "client 1 covers 400 m in 0.001 s from 200 s on, 4e+05 m/s; nobody is" in fault
    assert "faster than 150 m/s (1 of 3 clients are)" in fault


def test_the_bound_of_speed_is_that_of_every_mobility(faults_of):
    rows = {"client_id": 0, "at_s": [0.0, 1.0], "y_m": 0.0}
    assert faults_of(pd.DataFrame({**rows, "x_m": [0.0, 150.0]}), num_clients=1) == []
    (fault,) = faults_of(pd.DataFrame({**rows, "x_m": [0.0, 150.1]}), num_clients=1)
    assert "150.1 m/s" in fault


def test_missing_clients_and_places_outside_are_named_and_counted(faults_of):
    table = walk(num_clients=2)
    (missing,) = faults_of(table, num_clients=4)
    assert missing == "has no rows of client 2 (2 of 4 clients are missing)"
    (outside,) = faults_of(table, area=Disc(45.0), num_clients=2)
    assert outside == (
        "client 0 is outside the service area at 0 s (50 m, 0 m; 2 of 2 clients are at times)"
    )


def test_a_trace_that_cannot_be_read_is_one_fault(tmp_path):
    (fault,) = find_trace_faults(str(tmp_path / "none.csv"), area=AREA, num_clients=1)
    assert "no such file" in fault


def test_faults_stay_few_however_many_clients_a_trace_has(faults_of):
    table = walk(num_clients=500, num_rows=3).assign(x_m=lambda t: 1e9 * t.at_s)
    assert len(faults_of(table, num_clients=600)) == 3
