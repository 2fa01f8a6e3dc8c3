"""Ladder step 6: thermal noise and the link-budget anchors."""

import numpy as np
import pytest

from netsim.channel.pathloss import path_loss_db
from netsim.phy.noise import noise_power_w
from netsim.phy.power_control import pusch_power_w
from netsim.phy.resource_grid import block_bandwidth_hz
from netsim.units import linear_to_db, w_to_dbm


@pytest.mark.parametrize(
    ("spacing_hz", "expected_dbm"),
    [(15e3, -121.447), (30e3, -118.437), (60e3, -115.427), (120e3, -112.416)],
)
def test_noise_of_one_resource_block(ladder, spacing_hz, expected_dbm):
    found_dbm = w_to_dbm(noise_power_w(block_bandwidth_hz(spacing_hz), noise_figure_db=0.0))
    ladder.near(
        6,
        "noise of a resource block, 15 to 120 kHz",
        source="-174 dBm/Hz over 12 subcarriers",
        measured=found_dbm,
        expected=expected_dbm,
        tolerance=0.001,
        unit="dBm",
    )


@pytest.mark.parametrize(
    ("num_blocks", "spacing_hz", "figure_db", "expected_dbm"),
    [
        (52, 15e3, 0, -104.29),
        (106, 15e3, 5, -96.19),
        (51, 30e3, 7, -94.36),
        (106, 30e3, 9, -89.18),
        (273, 30e3, 5, -89.08),
    ],
)
def test_noise_of_whole_carriers(num_blocks, spacing_hz, figure_db, expected_dbm):
    bandwidth_hz = num_blocks * block_bandwidth_hz(spacing_hz)
    found_dbm = w_to_dbm(noise_power_w(bandwidth_hz, noise_figure_db=figure_db))
    assert found_dbm == pytest.approx(expected_dbm, abs=0.006)


def test_uplink_budget_anchors(ladder):
    """23 dBm at 250 m, UMa NLOS, 3.5 GHz, figure 5 dB: SNR falls as blocks share the power."""
    loss_db = path_loss_db(
        "uma", 250.0, is_los=False, carrier_hz=3.5e9, bs_height_m=25.0, ue_height_m=1.5
    )
    assert loss_db == pytest.approx(118.21, abs=0.01)
    num_blocks = np.array([10, 51, 273])
    power_w = pusch_power_w(
        loss_db, num_blocks, p0_dbm=0.0, alpha=1.0, max_dbm=23.0, subcarrier_spacing_hz=30e3
    )
    noise_w = noise_power_w(num_blocks * block_bandwidth_hz(30e3), noise_figure_db=5.0)
    snr_linear = power_w * 10 ** (-loss_db / 10) / noise_w
    ladder.near(
        6,
        "SNR of three uplink budgets (10, 51, 273 blocks)",
        source="by hand: UMa NLOS 250 m, 23 dBm, 3.5 GHz, figure 5 dB",
        measured=linear_to_db(snr_linear),
        expected=[8.23, 1.15, -6.13],
        tolerance=0.01,
        unit="dB",
    )
    capacity_bps = num_blocks * block_bandwidth_hz(30e3) * np.log2(1 + snr_linear)
    np.testing.assert_allclose(capacity_bps / 1e6, [10.57, 22.11, 30.92], rtol=0, atol=0.01)
    np.testing.assert_allclose(80e6 / capacity_bps, [7.57, 3.62, 2.59], rtol=0, atol=0.01)


def test_negative_bandwidth_is_refused():
    with pytest.raises(ValueError, match="bandwidth_hz: must be >= 0"):
        noise_power_w(-1.0, noise_figure_db=0.0)


def test_no_bandwidth_has_no_noise_and_no_number_is_refused():
    assert noise_power_w(0.0, noise_figure_db=9.0) == 0.0
    with pytest.raises(ValueError, match="bandwidth_hz: must be >= 0"):
        noise_power_w(float("nan"), noise_figure_db=0.0)
