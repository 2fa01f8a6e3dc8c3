"""A client that sends and receives at once is in one state at a time; the most that it draws."""

import numpy as np
import pytest

from netsim.energy.ue_power import most_power_w, one_state_at_a_time


def shares(fraction, power_w, is_uplink, *, client=None):
    count = len(fraction)
    found = one_state_at_a_time(
        np.zeros(count, dtype=int) if client is None else np.array(client),
        np.array(fraction),
        np.array(power_w),
        is_uplink=np.array(is_uplink),
    )
    return found.tolist()


def test_the_state_that_draws_less_gives_way():
    assert shares([0.5, 0.8], [2.0, 1.0], [True, False]) == pytest.approx([0.5, 0.4])
    assert shares([0.5, 0.8], [1.0, 2.0], [True, False]) == pytest.approx([0.1, 0.8])


def test_at_equal_power_receiving_gives_way_to_sending():
    assert shares([0.5, 0.8], [1.0, 1.0], [True, False]) == pytest.approx([0.5, 0.4])
    assert shares([0.8, 0.5], [1.0, 1.0], [False, True]) == pytest.approx([0.4, 0.5])


def test_one_direction_alone_keeps_its_time_and_other_clients_do_not_count():
    assert shares([0.3, 0.6], [1.0, 2.0], [True, True]) == pytest.approx([0.3, 0.6])
    found = shares([0.3, 0.6], [1.0, 2.0], [True, False], client=[4, 9])
    assert found == pytest.approx([0.3, 0.6])


def test_transfers_of_one_direction_act_as_one_state():
    # Both uploads together are on the air for 0.6 of the time, at 3 W where it counts.
    found = shares([0.2, 0.4, 0.5], [1.0, 3.0, 2.0], [True, True, False])
    assert found == pytest.approx([0.2, 0.4, 0.5 * 0.4])


def test_a_transfer_without_airtime_makes_nobody_give_way():
    assert shares([0.0, 0.5], [9.0, 1.0], [True, False]) == pytest.approx([0.0, 0.5])
    # Its power is not that of its direction either.
    found = shares([0.0, 0.5, 0.5], [9.0, 1.0, 2.0], [True, True, False])
    assert found == pytest.approx([0.0, 0.25, 0.5])
    found = shares([0.0, 0.5, 0.5], [9.0, 0.25, 0.5], [True, True, False])
    assert found == pytest.approx([0.0, 0.25, 0.5])


def test_a_direction_on_air_all_the_time_leaves_nothing():
    assert shares([0.7, 0.7, 0.5], [2.0, 2.0, 1.0], [True, True, False])[2] == 0


@pytest.mark.parametrize("state", ["transmit", "receive", "listen", "tail"])
def test_the_most_that_a_radio_draws_is_that_of_its_dearest_state(state):
    drawn_w = {"transmit": 1.0, "receive": 1.0, "listen": 1.0, "tail": 1.0, state: 4.0}

    class Power:
        listen_w = drawn_w["listen"]

        def transmit_w(self, radiated_w, rate_bps):
            assert radiated_w == 0.2
            return drawn_w["transmit"] if rate_bps > 1e12 else 0.5

        def receive_w(self, rate_bps):
            return drawn_w["receive"] if rate_bps > 1e12 else 0.5

        def tail_energy_j(self, gap_s):
            return gap_s * drawn_w["tail"]  # at its begin

    assert most_power_w(Power(), max_radiated_w=0.2) == pytest.approx(4.0, rel=1e-12)
