"""Wideband SINR of the strongest cell."""

import numpy as np

from netsim.channel.geometry import wideband_sinr

RECEIVED_W = np.array([[8.0, 1.0, 2.0], [3.0, 6.0, 0.0]])


def test_strongest_cell_over_the_others_and_noise():
    np.testing.assert_allclose(wideband_sinr(RECEIVED_W, noise_w=1.0), [8 / 4, 6 / 4], rtol=1e-15)


def test_without_interference_it_is_the_snr_of_the_strongest_cell():
    snr = wideband_sinr(RECEIVED_W, noise_w=0.5, is_interfering=False)
    np.testing.assert_allclose(snr, [16.0, 12.0], rtol=1e-15)
