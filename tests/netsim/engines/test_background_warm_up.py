"""Files that are on their way when a run starts."""

import numpy as np
import pytest

from netsim.config.radio import SiteOutageRate
from netsim.config.world import SingleCellLayout
from netsim.engines.background_warm_up import FIRST_WARM_UP_FILE, files_in_progress
from netsim.mac.schedulers import scheduler_factory
from netsim.transport.background_traffic import FIRST_FILE
from netsim.world.layout import build_layout
from netsim.world.population import FIRST_BACKGROUND_USER
from tests.netsim.engines.test_background_users import FILE_BYTES, WORLD, alone_s, users
from tests.netsim.theory.processor_sharing import left_s
from tests.netsim.transport.test_background_traffic import arrivals
from tests.netsim.worlds import dead, ignore_block_sizes, make_network, plain_radio, still_world

pytestmark = pytest.mark.usefixtures("fluid_to_the_end")


def in_progress(background, *, seed=1, world=WORLD, **changes):
    radio = plain_radio(background_load=background, **changes)
    return files_in_progress(
        world,
        radio,
        background,
        layout=build_layout(world.layout),
        make_scheduler=scheduler_factory(radio.scheduler, own=None),
        seed=seed,
    )


@pytest.mark.parametrize(("direction", "load", "seed"), [("downlink", 0.9, 1), ("uplink", 0.9, 2)])
def test_the_state_is_that_of_a_shared_processor(direction, load, seed, monkeypatch, ladder):
    """Whose steady state is known: see ``theory/test_processor_sharing.py``."""
    ignore_block_sizes(monkeypatch)
    work_s = alone_s(direction)
    background = users(load, direction, work_s=work_s, warm_up_s=4.0)
    found = in_progress(background, seed=seed)
    files = arrivals(background, seed=seed, until_s=4.0, first_file=FIRST_WARM_UP_FILE)
    expected_s = left_s(
        [each.requested_at_s for each in files], np.full(len(files), work_s), at_s=4.0
    )
    unfinished = [each for each, left in zip(files, expected_s, strict=True) if left > 0]
    assert len(unfinished) > 1
    assert [each.transfer_id for each in found] == [each.transfer_id for each in unfinished]
    assert [each.client_id for each in found] == [each.client_id for each in unfinished]
    assert {each.direction for each in found} == {direction}
    ladder.near(
        28,
        f"bytes of unfinished files after a warm-up at load {load:g}, flow engine",
        source="a shared processor with the same arrivals",
        measured=np.array([each.left_bytes for each in found]),
        expected=FILE_BYTES * expected_s[expected_s > 0] / work_s,
        tolerance=2.0,
        unit="B",
    )
    limits_s = [each.requested_at_s + 60.0 - 4.0 for each in unfinished]
    assert [each.given_up_after_s for each in found] == pytest.approx(limits_s)


def test_without_a_warm_up_nothing_is_on_its_way():
    assert in_progress(users(0.9, work_s=0.05)) == []


def test_a_run_starts_with_them_and_later_files_are_the_same():
    background = users(0.9, work_s=0.05, warm_up_s=3.0)
    expected = in_progress(background)
    assert len(expected) > 2
    env, network = make_network(WORLD, plain_radio(background_load=background))
    env.run(until=1e-9)
    records = network._engine.active.records
    assert records["transfer_id"].tolist() == [each.transfer_id for each in expected]
    assert records["size_bytes"].tolist() == [each.left_bytes for each in expected]
    assert network.background_files.started == len(expected)
    env.run(until=1.0)
    later = arrivals(users(0.9, work_s=0.05), seed=1, until_s=1.0)
    assert network.background_files.started == len(expected) + len(later)
    assert {each.transfer_id for each in later} == set(range(FIRST_FILE, FIRST_FILE + len(later)))


def test_outages_and_clients_are_of_the_run_alone():
    background = users(0.9, work_s=0.05, warm_up_s=3.0)
    assert in_progress(background, outages=(dead(0, 0.0, 100.0),)) == in_progress(background)
    rate = SiteOutageRate(mean_up_s=0.1, mean_down_s=10.0)
    assert in_progress(background, outage_rate=rate) == in_progress(background)
    world = still_world([(0.0, 9.0)] * 5, layout=SingleCellLayout(radius_m=120.0))
    assert in_progress(background, world=world) == in_progress(background)


def test_both_engines_start_with_the_same_files():
    background = users(0.9, work_s=0.05, warm_up_s=1.0)
    found = in_progress(background)
    assert len(found) > 2
    assert all(1 <= each.left_bytes <= FILE_BYTES for each in found)
    assert all(each.client_id >= FIRST_BACKGROUND_USER for each in found)
    assert in_progress(background, engine="slot") == found
