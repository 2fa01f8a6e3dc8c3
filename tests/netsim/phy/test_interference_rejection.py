"""MMSE combining: against closed forms, and against the inverse matrix of drawn directions."""

import numpy as np
import pytest

from netsim.phy.interference_rejection import InterferenceRejection

NOISE_W = 2.0


def left_w(num_antennas, received_w, part=None):
    """Noise and interference at one cell."""
    received_w = np.asarray(received_w, dtype=float)
    part = np.ones_like(received_w) if part is None else np.asarray(part)
    rejection = InterferenceRejection(num_antennas=num_antennas, noise_w=NOISE_W)
    return rejection.noise_and_interference_w(received_w[:, None], part)[0]


def drawn_w(num_antennas, received_w, *, draws=4000, seed=1):
    """The same by ``M p / E[p h^H Q^-1 h]`` with vectors of uniform directions."""
    rng = np.random.default_rng(seed)
    shape = (draws, num_antennas, len(received_w))
    vector = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    vector *= np.sqrt(num_antennas / (np.abs(vector) ** 2).sum(axis=1, keepdims=True))
    vector *= np.sqrt(received_w)
    covariance = NOISE_W * np.eye(num_antennas) + vector @ vector.conj().swapaxes(1, 2)
    return num_antennas / (1.0 / np.linalg.eigvalsh(covariance)).sum(axis=1).mean()


@pytest.mark.parametrize("num_antennas", [2, 4, 8, 64])
@pytest.mark.parametrize("received_w", [0.01, 1.0, 30.0, 1e4])
def test_a_single_interferer_has_its_closed_form(num_antennas, received_w):
    others = (num_antennas - 1) / NOISE_W
    exact = num_antennas / (others + 1.0 / (NOISE_W + num_antennas * received_w))
    assert left_w(num_antennas, [received_w]) == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize(("num_antennas", "strong"), [(2, 1), (4, 1), (4, 3), (8, 5), (64, 20)])
def test_each_interferer_of_infinite_power_costs_one_degree_of_freedom(num_antennas, strong):
    """M - K antennas in place of M."""
    gain = num_antennas * NOISE_W / left_w(num_antennas, [1e15] * strong)
    assert gain == pytest.approx(num_antennas - strong, rel=1e-6)


def test_without_interference_it_is_maximum_ratio_combining():
    assert left_w(4, [0.0, 0.0]) == NOISE_W
    assert left_w(4, [5.0], part=[0.0]) == NOISE_W


def test_one_antenna_suppresses_nothing():
    assert left_w(1, [3.0, 0.5, 7.0]) == pytest.approx(NOISE_W + 10.5, rel=1e-9)


def test_weak_interferers_stay_as_they_are():
    """There are far more of them than antennas: their sum is white."""
    assert left_w(4, [0.01] * 1000) == pytest.approx(NOISE_W + 10.0, rel=0.005)


@pytest.mark.parametrize("num_antennas", [2, 4, 8])
@pytest.mark.parametrize(
    "received_w",
    [
        [20.0, 6.0, 2.0, 1.0, 0.6],
        [200.0, 20.0, 10.0, 6.0, 4.0, 2.0, 2.0, 2.0],
        [2.0] * 10,
        [6.0] * 20,
    ],
)
def test_it_is_near_the_mean_over_drawn_directions(num_antennas, received_w):
    """Within 6 %; maximum-ratio combining has 1.05 to 25 times as much."""
    found_w = left_w(num_antennas, received_w)
    assert found_w == pytest.approx(drawn_w(num_antennas, received_w), rel=0.06)
    assert NOISE_W < found_w < NOISE_W + sum(received_w)


def test_as_many_strong_equal_interferers_as_antennas_are_the_worst_case():
    """15 dB over the noise each: a fifth too little is left."""
    ratio = left_w(4, [60.0] * 4) / drawn_w(4, [60.0] * 4)
    assert 0.75 < ratio < 0.85


def test_those_who_hold_blocks_in_turn_count_as_one():
    """Of equal power: one degree of freedom, however many hold a part of the blocks."""
    alone = left_w(4, [50.0, 3.0])
    in_turn = left_w(4, [50.0, 50.0, 50.0, 3.0], part=[0.5, 0.2, 0.3, 1.0])
    assert in_turn == pytest.approx(alone, rel=1e-7)


def test_cells_and_groups_of_blocks_are_apart():
    """Two groups with different holders, three cells: as one by one."""
    rng = np.random.default_rng(5)
    received_w = rng.exponential(20.0, (6, 3))
    part = np.where(rng.random((2, 6)) < 0.7, rng.random((2, 6)), 0.0)
    rejection = InterferenceRejection(num_antennas=4, noise_w=NOISE_W)
    found_w = rejection.noise_and_interference_w(received_w, part)
    assert found_w.shape == (2, 3)
    for group in range(2):
        for cell in range(3):
            alone = left_w(4, received_w[:, cell], part[group])
            assert found_w[group, cell] == pytest.approx(alone, rel=1e-6)
