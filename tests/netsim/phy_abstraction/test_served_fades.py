"""Margin of clients that are served at fades of choice."""

import numpy as np
import pytest

from netsim.phy_abstraction.served_fades import at_margin, usual_db


@pytest.mark.parametrize("persistence", [0.0, 0.4, 0.95])
def test_at_margin_lowers_the_measured_sinr_and_keeps_the_met_one(persistence: float) -> None:
    sinr, fade = np.array([30.0, 4.0]), np.array([1.5, 0.6])
    margin_db = (1 - persistence) * np.array([2.0, -1.0])
    lower, other = at_margin(sinr, fade, margin_db=margin_db, persistence=persistence)
    np.testing.assert_allclose(10 * np.log10(sinr / lower), margin_db)

    def met(sinr: np.ndarray, fade: np.ndarray) -> np.ndarray:
        return sinr / fade * (1 + persistence * (fade - 1))

    np.testing.assert_allclose(met(lower, other), met(sinr, fade))


def test_no_margin_changes_nothing() -> None:
    sinr, fade = at_margin(
        np.array([3.0]), np.array([0.7]), margin_db=np.array([0.0]), persistence=0.5
    )
    assert (sinr[0], fade[0]) == (3.0, 0.7)


def test_usual_fade_goes_from_that_of_one_group_to_that_of_all() -> None:
    shares = np.array([[1.0, 0, 0, 0], [0.3, 0.3, 0, 0], [0.2, 0.2, 0.2, 0.2], [0, 0, 0, 0]])
    usual = usual_db(np.full(4, -1.2), np.full(4, -0.6), shares)
    np.testing.assert_allclose(usual, [-0.6, -1.0, -1.2, -0.6])


def test_usual_fade_has_the_mean_of_unchosen_groups() -> None:
    """Groups of independent Rayleigh fades of four antennas: means over two groups, in dB."""
    rng = np.random.default_rng(5)
    gains = rng.gamma(4.0, 0.25, size=(200_000, 13))

    def mean_db(num_groups: int) -> float:
        return float(10 * np.log10(gains[:, :num_groups].mean(axis=1)).mean())

    shares = (np.arange(13) < 2).astype(float)[None]
    usual = usual_db(np.array([mean_db(13)]), np.array([mean_db(1)]), shares)
    assert usual[0] == pytest.approx(mean_db(2), abs=0.02)
