"""States by the time since the last data, and what leaving each costs, against the fact table."""

import numpy as np
import pytest

from netsim.config.access import (
    NO_ACCESS,
    AccessConfig,
    ConnectionConfig,
    DrxConfig,
    PagingConfig,
)
from netsim.config.ue_power import MeasuredPowerConfig, Tr38840PowerConfig
from netsim.energy.measured_power import measured_power
from netsim.rrc.connection import (
    ConnectionTimers,
    State,
    connect_s,
    find_problems,
    make_timers,
    notice_s,
)


def timers_of(profile, **changes):
    power = MeasuredPowerConfig(profile=profile, screen_w=None)
    connected_s = float(measured_power(power).tail_s(np.array(np.inf)))
    return make_timers(AccessConfig(**changes), power, connected_s=connected_s)


def test_states_of_the_measured_standalone_network():
    gaps_s = (0.0, 0.5, 0.51, 10.2, 10.21, 15.0, 15.01, np.inf)
    states = [State.ACTIVE] * 2 + [State.DRX] * 2 + [State.INACTIVE] * 2 + [State.IDLE] * 2
    assert [timers_of("t_mobile_sa").state(gap_s) for gap_s in gaps_s] == states


def test_without_standalone_a_client_goes_straight_to_idle():
    timers = timers_of("t_mobile_nsa_low")
    assert [timers.state(gap_s) for gap_s in (10.2, 10.21)] == [State.DRX, State.IDLE]


def test_the_connection_ends_where_the_tail_of_the_power_model_ends():
    power = MeasuredPowerConfig(tail_s=3.0)
    timers = make_timers(
        AccessConfig(), power, connected_s=float(measured_power(power).tail_s(np.array(np.inf)))
    )
    assert [timers.state(gap_s) for gap_s in (3.0, 3.01, 7.8, 7.81)] == [
        State.DRX,
        State.INACTIVE,
        State.INACTIVE,
        State.IDLE,
    ]


def test_a_tail_shorter_than_the_inactivity_timer_leaves_no_time_in_drx():
    timers = ConnectionTimers(inactivity_s=0.5, drx_cycle_s=0.1, connected_s=0.2, inactive_s=0.0)
    assert [timers.state(gap_s) for gap_s in (0.2, 0.21)] == [State.ACTIVE, State.IDLE]


def test_power_states_of_tr_38840_bring_their_own_timers():
    timers = make_timers(AccessConfig(), Tr38840PowerConfig(), connected_s=10.0)
    assert timers == ConnectionTimers(
        inactivity_s=0.1, drx_cycle_s=0.32, connected_s=10.0, inactive_s=5.0
    )


def test_settings_replace_the_timers_of_the_network():
    timers = timers_of(
        "t_mobile_sa",
        connection=ConnectionConfig(inactive_s=1.0),
        drx=DrxConfig(inactivity_s=0.2, cycle_s=0.16),
    )
    assert (timers.inactivity_s, timers.drx_cycle_s, timers.inactive_s) == (0.2, 0.16, 1.0)


def test_an_upload_waits_as_in_the_table():
    config = AccessConfig()
    waits_s = [connect_s(each, config.connection, config.drx, is_uplink=True) for each in State]
    assert waits_s == [0.0, 0.005, 0.06, 0.30]


def test_a_download_is_noticed_after_a_part_of_the_cycle_of_the_state():
    paging = PagingConfig()
    for uniform in (0.0, 0.5, 0.999):
        waits_s = [notice_s(each, uniform, drx_cycle_s=0.04, paging=paging) for each in State]
        np.testing.assert_allclose(waits_s, uniform * np.array([0.0, 0.04, 0.64, 1.28]))
    config = AccessConfig()
    way_s = [connect_s(each, config.connection, config.drx, is_uplink=False) for each in State]
    assert way_s == [0.0, 0.0, 0.06, 0.30]


def test_parts_that_are_switched_off_cost_nothing():
    off = NO_ACCESS
    for state in State:
        assert connect_s(state, off.connection, off.drx, is_uplink=True) == 0.0
        assert notice_s(state, 0.5, drx_cycle_s=None, paging=off.paging) == 0.0


@pytest.mark.parametrize("power", [MeasuredPowerConfig(), Tr38840PowerConfig()])
def test_the_defaults_break_no_rule(power):
    assert find_problems(AccessConfig(), power, ("radio", "access")) == []
    assert find_problems(NO_ACCESS, power, ("radio", "access")) == []
