"""Where one after another is served in the order of present rates, flow decides at each instant."""

import pytest

from netsim.config.radio import NoFading, RayleighFading
from netsim.config.world import SingleCellLayout
from netsim.engines.served_fades import Leads
from tests.netsim.worlds import TWO_SITES, make_network, plain_radio, run_all, still_world

PLACES = [(100.0, 0.0), (150.0, 50.0), (200.0, 0.0), (500.0, 0.0), (450.0, 50.0), (400.0, 0.0)]


def lengths(monkeypatch, *, layout=TWO_SITES, direction="uplink", **radio):
    """Instants and time of each solve for 1.5 MB of each of six clients."""
    seen, of = [], Leads.of

    def spy(self, sent):
        seen.append((len(sent.duration_s), float(sent.duration_s.sum())))
        return of(self, sent)

    monkeypatch.setattr(Leads, "of", spy)
    env, network = make_network(
        still_world(PLACES, layout=layout),
        plain_radio(engine="flow", **{"fading": RayleighFading()} | radio),
        seed=3,
    )
    rows = run_all(env, [network.send(k, direction, 1_500_000) for k in range(6)])
    assert all(row.status == "delivered" for row in rows)
    return seen


@pytest.mark.parametrize("scheduler", ["min_energy", "max_ci"])
def test_each_solve_is_for_one_instant(monkeypatch, scheduler):
    found = lengths(monkeypatch, scheduler=scheduler)
    assert {number for number, _ in found} == {1}
    assert max(time_s for _, time_s in found) == pytest.approx(0.05 / 8)


@pytest.mark.parametrize(
    "settings",
    [
        {"scheduler": "proportional_fair"},
        {"scheduler": "min_energy", "layout": SingleCellLayout()},
        {"scheduler": "min_energy", "direction": "downlink"},
        {"scheduler": "min_energy", "interference": False},
    ],
    ids=["averages decide", "one cell", "downlink", "no interference"],
)
def test_others_look_as_far_as_the_next_tick(monkeypatch, settings):
    found = lengths(monkeypatch, **settings)
    assert (8, pytest.approx(0.05)) in found


def test_standing_world_without_fading_has_no_instants(monkeypatch):
    found = lengths(monkeypatch, scheduler="min_energy", fading=NoFading())
    assert {number for number, _ in found} == {1}
    assert len(found) < 200
