"""The best whole number of blocks under a limit of power."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.phy_abstraction.block_choice import BlockChoice

WIDTH = 12


def bits(sinr, blocks):
    """Half a bit from -3 dB, 1.2 from 2 dB, 2 from 6 dB; odd numbers of blocks lose a tenth."""
    sinr = sinr * (1 + 1e-9)
    rate = 0.5 * (sinr >= 0.501) + 0.7 * (sinr >= 1.585) + 0.8 * (sinr >= 3.981)
    return rate * blocks * np.where(blocks % 2 == 1, 0.9, 1.0)


CHOICE = BlockChoice(bits, num_blocks=WIDTH)


@given(
    whole_db=st.floats(-20, 40), most=st.integers(1, WIDTH), full_density=st.floats(0.2, 2 * WIDTH)
)
def test_it_is_that_of_trying_all(whole_db, most, full_density):
    """But within the step of the table about a border of the rates."""
    number = np.arange(1.0, most + 1)

    def of(sinr):
        return bits(sinr / np.maximum(number, full_density), number)

    sinr = 10 ** (whole_db / 10)
    used = CHOICE.used(
        np.array([float(most)]),
        at_full_density=np.array([full_density]),
        whole_sinr=np.array([sinr]),
    )[0]
    low, high = of(sinr * 10**-0.0051), of(sinr * 10**0.0051)
    assert used == int(used)
    assert 1 <= used <= most
    best = low.max()
    # Below full density and with fewer blocks than that covers, all that it covers are used.
    if used > full_density or most <= full_density:
        assert high[int(used) - 1] >= best * 0.9


def test_sizes_count():
    """1.2 bits in two blocks; 0.5 from three, of which five would be slower for their rounding."""
    granted = np.array([1.0, 2.0, 3.0, 5.0, 6.0, 7.0])
    used = CHOICE.used(granted, at_full_density=np.ones(6), whole_sinr=np.full(6, 3.3))
    assert used.tolist() == [1.0, 2.0, 2.0, 2.0, 6.0, 6.0]


def test_who_has_less_than_a_block_or_none_keeps_it():
    used = CHOICE.used(
        np.array([0.0, 0.4, 0.4]), at_full_density=np.full(3, 0.5), whole_sinr=np.array([9, 9, 0.0])
    )
    assert used.tolist() == [0.0, 0.4, 0.4]


def test_rounding_of_shares_asks_for_no_block_beyond_the_band():
    granted = np.array([WIDTH + 1e-12, 3 + 1e-12])
    used = CHOICE.used(granted, at_full_density=np.ones(2), whole_sinr=np.full(2, 1e5))
    np.testing.assert_allclose(used, [WIDTH, 3])


def test_what_the_limit_of_power_covers_is_used_and_the_next_block_where_it_pays():
    """Five blocks and a half at full density with 2 dB in each: a sixth loses too much there."""
    for full_db, expected in ((2.0, 5.0), (2.5, 6.0)):
        whole = 5.5 * 10 ** (full_db / 10 + 1e-4)
        used = CHOICE.used(
            np.array([6.0]), at_full_density=np.array([5.5]), whole_sinr=np.array([whole])
        )
        assert used.tolist() == [expected]


def test_more_granted_is_never_less_carried():
    sinr = 10 ** np.arange(-2, 4, 0.01)
    ones = np.ones(len(sinr))
    carried = [
        bits(sinr / used, used)
        for most in range(1, WIDTH + 1)
        for used in [CHOICE.used(most * ones, at_full_density=0.1 * ones, whole_sinr=sinr)]
    ]
    lost = np.diff(carried, axis=0) < -1e-9
    assert lost.mean() < 0.02  # within half a step of a border, 0.025 of 5 dB
    assert pytest.approx(1.0) == CHOICE.used(ones, at_full_density=ones, whole_sinr=sinr).max()
