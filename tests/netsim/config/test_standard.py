"""Defaults that depend on carrier and bandwidth, as a scenario's air interface has them."""

from math import log10

import numpy as np
import pytest

from netsim.config import standard
from netsim.config.world import SingleCellLayout
from tests.netsim.worlds import ignore_block_sizes, make_network, plain_radio, run_all, still_world

BANDWIDTHS_HZ = [mhz * 1e6 for mhz in (20, 30, 40, 50, 60, 70, 80, 90, 100)]
MMWAVE = {"environment": "umi", "carrier_hz": 28e9}
FR2_GRID = {"bandwidth_hz": 100e6, "subcarrier_spacing_hz": 120e3}


def air_of(radio, **world):
    return make_network(still_world([(50.0, 0.0)], **world), radio)[1].air


@pytest.mark.parametrize(
    ("world", "grid", "overheads", "noise_figures_db"),
    [({}, {}, (0.08, 0.14), (5.0, 9.0)), (MMWAVE, FR2_GRID, (0.10, 0.18), (7.0, 10.0))],
    ids=["FR1", "FR2"],
)
def test_overheads_and_noise_are_those_of_the_frequency_range(
    world, grid, overheads, noise_figures_db
):
    air = air_of(plain_radio(**grid), **world)
    assert (air.uplink_overhead_fraction, air.downlink_overhead_fraction) == overheads
    block_hz = 12 * air.subcarrier_spacing_hz
    found_db = [
        10 * log10(noise_w * 1e3) + 174.0 - 10 * log10(block_hz)
        for noise_w in (air.site_noise_w, air.ue_noise_w)
    ]
    np.testing.assert_allclose(found_db, noise_figures_db, atol=0.01)


def test_given_values_hold_in_both_ranges():
    given = {
        "uplink_overhead_fraction": 0.3,
        "downlink_overhead_fraction": 0.2,
        "site_noise_figure_db": 1.0,
        "ue_noise_figure_db": 2.0,
        "site_power_dbm": 30.0,
    }
    for grid, changes in (({}, {}), (FR2_GRID, MMWAVE)):
        radio, world = plain_radio(**grid, **given), still_world([(50.0, 0.0)], **changes)
        for name, value in given.items():
            assert getattr(standard, name)(world, radio) == value


@pytest.mark.parametrize(
    ("bandwidth_hz", "power_dbm"), [(5e6, 46.0), (20e6, 46.0), (40e6, 49.0103), (100e6, 52.9897)]
)
def test_power_grows_with_bandwidth_from_20_mhz(bandwidth_hz, power_dbm):
    world, radio = still_world([(50.0, 0.0)]), plain_radio(bandwidth_hz=bandwidth_hz)
    assert standard.site_power_dbm(world, radio) == pytest.approx(power_dbm, abs=1e-4)
    assert standard.site_power_dbm(still_world([(50.0, 0.0)], **MMWAVE), radio) == 41.0


def test_more_bandwidth_is_never_slower_nor_out_of_coverage(monkeypatch):
    """Downlink at 900 m without line of sight, near the edge, 20 to 100 MHz."""
    ignore_block_sizes(monkeypatch)
    world = still_world(
        [(900.0, 0.0)], line_of_sight="never", layout=SingleCellLayout(radius_m=2000.0)
    )
    times_s, blocks = [], []
    for bandwidth_hz in BANDWIDTHS_HZ:
        env, network = make_network(world, plain_radio(bandwidth_hz=bandwidth_hz))
        row = run_all(env, [network.send(0, "downlink", 200_000)])[0]
        assert row.status == "delivered"
        times_s.append(row.finished_at_s)
        blocks.append(network.air.num_blocks)
    assert np.all(np.diff(times_s) < 0)
    # a little more blocks than in proportion share the power: 273 instead of 255 at 100 MHz
    np.testing.assert_allclose(np.multiply(times_s, blocks) / (times_s[0] * 51), 1.0, atol=0.07)
