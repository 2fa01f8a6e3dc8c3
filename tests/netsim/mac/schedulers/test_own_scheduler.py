"""The example of the docs runs as printed, in the network and by its name in the settings."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import simpy

from netsim.checks.trial import try_network
from netsim.config import RadioConfig, WorldConfig
from netsim.config.radio import RayleighFading
from netsim.config.world import (
    HexagonalLayout,
    NoShadowing,
    RandomWaypointMobility,
    SingleCellLayout,
    StaticMobility,
)
from netsim.mac.mean_shares import MeanShares
from netsim.mac.schedulers import check_shares, scheduler_factory
from netsim.mac.schedulers.proportional_fair import ProportionalFair
from netsim.network import CellularNetwork
from tests.netsim.mac.schedulers.cells import random_cell
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world

EXAMPLE = Path(__file__).resolve().parents[4] / "docs" / "examples" / "own_scheduler.py"
NAME = f"{EXAMPLE}:NearlyDone"
HERE = f"{Path(__file__).resolve()}:Own"


def class_in(path, name="Mine"):
    """The class in a file, as a user of the network loads it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


class Copy(ProportionalFair):
    """Proportional fair under another name."""


class Plain:
    """Proportional fair without its metric."""

    is_exclusive = True

    def shares(self, view):
        ratio = view.group_rate_bps / view.average_rate_bps[:, None]
        best = ratio >= ratio.max(axis=0) * (1 - 1e-9)
        return best / best.sum(axis=0)


def test_it_has_ten_lines_of_code():
    lines = EXAMPLE.read_text().split('"""')[2].splitlines()  # after the module's own text
    assert sum(1 for line in lines if line.strip()) <= 10


def test_its_shares_are_legal():
    view = random_cell(np.random.default_rng(4), 7).view()
    shares = check_shares(class_in(EXAMPLE, "NearlyDone")().shares(view), view, name=NAME)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    assert shares[view.remaining_bits.argmin()].min() == 1.0


def rows_of(scheduler, *, direction, own=None, **radio):
    """Rows of walking clients in three cells that interfere."""
    world = WorldConfig(
        environment="uma",
        layout=HexagonalLayout(num_sites=1, isd_m=500.0),
        carrier_hz=3.5e9,
        mobility=RandomWaypointMobility(),
    )
    env, network = make_network(
        world,
        plain_radio(fading=RayleighFading(), scheduler=scheduler, **radio),
        num_clients=9,
        own_scheduler=own,
    )
    return run_all(env, [network.send(k, direction, 100_000) for k in range(9)])


@pytest.mark.parametrize("engine", ["flow", "slot"])
@pytest.mark.parametrize("direction", ["uplink", "downlink"])
def test_a_copy_of_proportional_fair_gives_the_same_rows(direction, engine):
    """Byte for byte: the engines go by what a scheduler declares, never by its name."""
    ours = rows_of("proportional_fair", direction=direction, engine=engine)
    assert rows_of(HERE, own=Copy, direction=direction, engine=engine) == ours


def test_proportional_fair_without_its_metric_is_asked_and_agrees():
    asked = []

    class Watched(Plain):
        def shares(self, view):
            asked.append(len(view.remaining_bits))
            return super().shares(view)

    ours = rows_of("proportional_fair", direction="downlink")
    own = rows_of(HERE, own=Watched, direction="downlink")
    assert max(asked) > 1  # it is asked, with clients to choose from
    finished_s, expected_s = (np.mean([row.finished_at_s for row in rows]) for rows in (own, ours))
    assert finished_s == pytest.approx(expected_s, rel=0.01)


def finish_times_s(scheduler, own=None):
    world = WorldConfig(
        environment="uma",
        layout=SingleCellLayout(),
        carrier_hz=3.5e9,
        shadowing=NoShadowing(),
        mobility=StaticMobility(positions_m=((60.0, 0.0), (0.0, 60.0), (-60.0, 0.0))),
    )
    radio = RadioConfig(
        bandwidth_hz=20e6, subcarrier_spacing_hz=30e3, scheduler=scheduler, access=None
    )
    env = simpy.Environment()
    network = CellularNetwork(env, world, radio, num_clients=3, seed=1, own_scheduler=own)
    sizes = (3_000_000, 1_000_000, 2_000_000)
    transfers = [network.send(k, "uplink", size) for k, size in enumerate(sizes)]
    for transfer in transfers:
        env.run(until=transfer.event)
    return [transfer.event.value.finished_at_s for transfer in transfers]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise KeyError('boom\\nline2')", r"raised KeyError: 'boom\\nline2'"),
        ("raise RuntimeError('one\\ntwo')", r"raised RuntimeError: one two"),
        ("raise SystemExit(3)", r"raised SystemExit: 3"),
        ("return [[1.0], [1.0, 2.0]]", r"shares must be an array of numbers, got list"),
        ("return view.group_rate_bps[:, :0]", r"shares must have shape .*"),
    ],
)
def test_what_goes_wrong_inside_has_its_place_and_time_in_one_line(tmp_path, body, words):
    path = tmp_path / "own.py"
    path.write_text(f"class Mine:\n    def shares(self, view):\n        {body}\n")
    name = f"{path}:Mine"
    with pytest.raises((ValueError, RuntimeError), match=words) as caught:
        finish_times_s(name, class_in(path))
    line = 2 if words.startswith("shares") else 3  # of the definition, or of what raised
    begin = f"scheduler {name}, uplink of cell 0: {path}:{line}: "
    assert str(caught.value).startswith(begin)
    assert "\n" not in str(caught.value)


def test_the_closed_form_has_its_place_too(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "class Mine:\n"
        "    def shares(self, view):\n        return view.group_rate_bps * 0\n"
        "    def steady_state_shares(self, view):\n        return view.nothing\n"
    )
    name = f"{path}:Mine"
    mean, ones = MeanShares(class_in(path)(), name=name, slot_s=5e-4), np.ones(2)
    view = random_cell(np.random.default_rng(4), 2).view()
    with pytest.raises(RuntimeError, match=r"own\.py:5: raised AttributeError"):
        mean.over([view], duration_s=np.array([np.inf]), floor_bps=ones, alone_bps=ones[None])


def test_a_network_obeys_it():
    own_s, round_robin_s = (
        finish_times_s(NAME, class_in(EXAMPLE, "NearlyDone")),
        finish_times_s("round_robin"),
    )
    assert own_s[1] < own_s[2] < own_s[0]
    assert own_s[1] < 0.7 * round_robin_s[1]
    assert np.mean(own_s) < np.mean(round_robin_s)


@pytest.mark.parametrize(
    ("scheduler", "own", "words"),
    [
        (HERE, None, "own_scheduler: must be the class that radio.scheduler names"),
        ("round_robin", Plain, "own_scheduler: must be left out where"),
    ],
)
def test_a_class_is_given_exactly_where_one_is_named(scheduler, own, words):
    with pytest.raises(ValueError, match=words):
        finish_times_s(scheduler, own)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="round_robin"):
        scheduler_factory("robin_hood")


class Misshapen(Plain):
    """Right for several transfers, wrong for one."""

    def shares(self, view):
        return super().shares(view) if len(view.client_id) > 1 else np.ones(1)


class Lost(Plain):
    """A metric that is no number."""

    def metric(self, group_rate_bps, average_rate_bps):
        return group_rate_bps * np.nan


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (Misshapen, r"^scheduler: a trial decision among 1: .*\.py:\d+: shares must have shape"),
        (
            Lost,
            r"^scheduler: a trial decision among 1: .*\.py:\d+: metric must be numbers, got NaN",
        ),
    ],
)
def test_a_trial_decision_finds_a_faulty_scheduler(own, words):
    world, radio = still_world([(60.0, 0.0)]), plain_radio(scheduler=HERE)
    try_network(world, radio, seed=1, own_scheduler=Plain)
    with pytest.raises(ValueError, match=words):
        try_network(world, radio, seed=1, own_scheduler=own)
