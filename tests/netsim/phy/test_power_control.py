"""Ladder step 15: uplink power control with the 2^mu term and its two limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.phy.power_control import pusch_power_w
from netsim.units import w_to_dbm


def power_dbm(loss_db, num_blocks, **changes):
    settings = {"p0_dbm": -80.0, "alpha": 0.8, "max_dbm": 23.0, "subcarrier_spacing_hz": 30e3}
    return w_to_dbm(pusch_power_w(loss_db, num_blocks, **(settings | changes)))


def test_table_of_the_standard_formula(ladder):
    found_dbm = power_dbm([80.0, 100.0, 110.0, 120.0], 10)
    ladder.near(
        15,
        "uplink power at 80 to 120 dB path loss, clipped at 23 dBm",
        source="TS 38.213 clause 7.1.1",
        measured=found_dbm,
        expected=[-2.99, 13.01, 21.01, 23.0],
        tolerance=0.01,
        unit="dBm",
    )


def test_every_doubling_of_the_spacing_adds_3_db(ladder):
    found_dbm = [
        float(power_dbm(90.0, 4, subcarrier_spacing_hz=spacing_hz))
        for spacing_hz in (15e3, 30e3, 60e3, 120e3)
    ]
    ladder.near(
        15,
        "a doubling of the subcarrier spacing, 2^mu",
        source="the same",
        measured=np.diff(found_dbm),
        expected=3.0103,
        tolerance=1e-4,
        unit="dB",
    )


def test_power_never_falls_below_40_dbm_under():
    assert power_dbm(0.0, 1, p0_dbm=-110.0) == pytest.approx(-40.0)


@given(
    loss_db=st.floats(40, 180),
    more_db=st.floats(0, 30),
    num_blocks=st.integers(1, 273),
    alpha=st.floats(0, 1),
)
def test_power_grows_with_loss_and_stays_within_limits(loss_db, more_db, num_blocks, alpha):
    near_dbm, far_dbm = power_dbm([loss_db, loss_db + more_db], num_blocks, alpha=alpha)
    assert -40 - 1e-9 <= near_dbm <= far_dbm + 1e-9 <= 23 + 2e-9
    unclipped = -80 + 10 * np.log10(2 * num_blocks) + alpha * loss_db
    assert near_dbm == pytest.approx(np.clip(unclipped, -40, 23), abs=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 1.1}, "alpha: must be within 0 and 1, got 1.1"),
        ({"max_dbm": -50.0}, "max_dbm: must be >= -40, got -50"),
        ({"subcarrier_spacing_hz": 20e3}, "subcarrier_spacing_hz: must be 15e3"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        power_dbm(100.0, 10, **changes)


def test_no_blocks_is_refused():
    with pytest.raises(ValueError, match="num_resource_blocks: must be > 0"):
        power_dbm(100.0, 0)


def test_the_ends_of_the_settings_are_allowed():
    assert power_dbm(100.0, 1, p0_dbm=0.0, alpha=0.0) == pytest.approx(10 * np.log10(2))
    assert power_dbm(70.0, 1, alpha=1.0) == pytest.approx(-10 + 10 * np.log10(2))
    assert power_dbm(100.0, 10, max_dbm=-40.0) == pytest.approx(-40.0)
    assert power_dbm(200.0, 10, max_dbm=10.0, min_dbm=10.0) == pytest.approx(10.0)
    # Time sharing: half a block is 3 dB less.
    assert power_dbm(90.0, 1) - power_dbm(90.0, 0.5) == pytest.approx(3.0103, abs=1e-4)


@pytest.mark.parametrize("alpha", [-1e-9, 1 + 1e-9, float("nan")])
def test_alpha_just_out_of_range_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha: must be within 0 and 1"):
        power_dbm(100.0, 10, alpha=alpha)


@pytest.mark.parametrize("blocks", [-1.0, float("nan"), [3.0, 0.0]])
def test_a_number_of_blocks_that_is_none_is_refused(blocks):
    with pytest.raises(ValueError, match="num_resource_blocks: must be > 0"):
        power_dbm(100.0, blocks)
