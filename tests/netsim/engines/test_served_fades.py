"""By how much the flow engine takes measured fades to be better than met ones."""

import numpy as np
import pytest
from scipy.constants import speed_of_light
from scipy.special import j0

from netsim.config.radio import RayleighFading, TdlFading
from netsim.config.world import RandomDirectionMobility
from netsim.engines.served_fades import Leads
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray | None, np.ndarray]]:
    """Leads and airtimes of all solves."""
    seen, of = [], Leads.of

    def spy(self, sent):
        lead_db = of(self, sent)
        seen.append((lead_db, sent.duration_s @ (sent.activity * (sent.blocks > 0))))
        return lead_db

    monkeypatch.setattr(Leads, "of", spy)
    return seen


def send(num_clients, *, kmh=120.0, **radio):
    mobility = RandomDirectionMobility(speed_mps=kmh / 3.6)
    world = still_world([(0.0, 0.0)], line_of_sight="never", mobility=mobility)
    env, network = make_network(
        world, plain_radio(engine="flow", **radio), num_clients=num_clients, seed=1
    )
    run_all(env, [network.send(k, "uplink", 300_000) for k in range(num_clients)])


def mean_db(found):
    lead_db, airtime_s = (np.concatenate(each) for each in zip(*found, strict=True))
    return np.average(lead_db, weights=airtime_s)


def test_lead_is_what_has_passed_of_the_chosen_fades(found):
    """At 120 km/h all of it; at 30 km/h, with measurements 1 ms old, 1 - J0(2 pi f_d 1 ms)^2."""
    radio = {"fading": TdlFading(), "scheduler": "proportional_fair", "site_rx_antennas": 4}
    send(6, **radio)
    fast_db = mean_db(found)
    assert 0.4 < fast_db < 2.0
    found.clear()
    send(6, kmh=30.0, **radio)
    left = j0(2 * np.pi * 30 / 3.6 * 3.5e9 / speed_of_light * 1e-3) ** 2
    assert mean_db(found) == pytest.approx((1 - left) * fast_db, rel=0.25)


def test_who_is_served_at_all_fades_has_none(found):
    send(1, fading=RayleighFading(), scheduler="proportional_fair")
    whole_ticks = [lead_db for lead_db, airtime_s in found if airtime_s[0] > 0.049]
    assert whole_ticks
    np.testing.assert_allclose(np.concatenate(whole_ticks), 0.0, atol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [{"scheduler": "round_robin"}, {"scheduler": "proportional_fair", "kmh": 3.0}],
    ids=["fades are not followed", "walking"],
)
def test_none_where_measured_fades_are_met(found, settings):
    send(2, fading=TdlFading(), **settings)
    assert all(lead_db is None for lead_db, _ in found)
