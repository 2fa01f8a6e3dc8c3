"""Every rule across fields: the setting that breaks it, where it is reported, and in which words."""

from dataclasses import replace

import numpy as np
import pytest

from netsim.checks.rules import find_problems
from netsim.config import RadioConfig, WorldConfig
from netsim.config.access import AccessConfig, ConnectionConfig, DrxConfig, PagingConfig
from netsim.config.radio import (
    A3Handover,
    BackgroundShare,
    BackgroundUsers,
    EnergyConfig,
    LinkCut,
    LinkFailureConfig,
    MaxPowerReduction,
    NoFading,
    NoHandover,
    OuterLoopAdaptation,
    RayleighFading,
    SiteOutage,
    SiteOutageRate,
    StarBackhaul,
    TddDuplex,
    UplinkPowerConfig,
)
from netsim.config.sites import SitesLayout
from netsim.config.ue_power import MeasuredPowerConfig, Tr38840PowerConfig
from netsim.config.world import (
    CorrelatedShadowing,
    HexagonalLayout,
    IndoorOfficeLayout,
    ManhattanMobility,
    OmniAntenna,
    RandomWaypointMobility,
    SingleCellLayout,
    StaticMobility,
    TraceMobility,
)
from netsim.world.layout import build_layout
from netsim.world.placement import Placement

WALKING = RandomWaypointMobility(min_speed_mps=0.5, max_speed_mps=1.5)
WORLD = WorldConfig(
    environment="uma", layout=HexagonalLayout(num_sites=7), carrier_hz=3.5e9, mobility=WALKING
)
RADIO = RadioConfig(bandwidth_hz=20e6, subcarrier_spacing_hz=30e3)
PLANE = SitesLayout(positions_m=((0.0, 0.0),), width_m=400.0, height_m=200.0)


def test_a_good_configuration_has_no_problem():
    assert find_problems(WORLD, RADIO) == []
    assert find_problems(replace(WORLD, layout=PLANE), RADIO) == []


@pytest.mark.parametrize(
    ("world", "radio", "path", "words"),
    [
        ({"layout": replace(PLANE, positions_m=((0.0, 0.0), (250.0, 0.0)))}, {},
         "world.layout.positions_m.1", "must lie in the plane, |x| <= 200 m"),
        ({"layout": replace(PLANE, positions_m=((0.0, 0.0), (0.0, 0.0)))}, {},
         "world.layout.positions_m.1", "a place of its own"),
        ({"layout": SingleCellLayout(radius_m=1e6)}, {},
         "world.layout.radius_m", "must be within 20 and 5000 in environment uma"),
        ({"layout": SingleCellLayout(radius_m=1.0)}, {}, "world.layout.radius_m", "got 1"),
        ({"layout": HexagonalLayout(isd_m=1e6)}, {},
         "world.layout.isd_m", "must be within 20 and 8660.25 in environment uma"),
        ({"layout": HexagonalLayout(isd_m=1.0)}, {}, "world.layout.isd_m", "got 1"),
        ({"layout": replace(PLANE, width_m=1e6)}, {},
         "world.layout.width_m", "must leave no place farther than 5000 m from every site"),
        ({"layout": replace(PLANE, height_m=12e3)}, {}, "world.layout.height_m", "got 12000"),
        ({"layout": replace(PLANE, width_m=10.0, height_m=12.0)}, {},
         "world.layout.width_m", "must leave room for clients, who keep 10 m"),
        ({}, {"channel_tick_s": 1e-9}, "radio.channel_tick_s", "must be >= one slot, 0.0005 s"),
        ({"layout": HexagonalLayout(num_sites=1, wraparound=True)}, {},
         "world.layout.wraparound", "no effect"),
        ({"environment": "inh"}, {}, "world.layout.kind", "belong together"),
        ({"environment": "inh", "layout": IndoorOfficeLayout(office="open"), "line_of_sight": "never"},
         {}, "world.layout.office", "no effect with line_of_sight never"),
        ({"antenna": OmniAntenna()}, {}, "world.antenna.kind", "the same cell"),
        ({"mobility": replace(WALKING, min_speed_mps=0.0)}, {},
         "world.mobility.min_speed_mps", "must be > 0 for random_waypoint"),
        ({"mobility": replace(WALKING, min_speed_mps=9.0)}, {},
         "world.mobility.min_speed_mps", "must be <= max_speed_mps 1.5, got 9"),
        ({"mobility": replace(WALKING, min_speed_mps=1e-5)}, {},
         "world.mobility.min_speed_mps", "must be >= max_speed_mps / 10000 = 0.00015, got 1e-05"),
        ({"mobility": ManhattanMobility(block_m=5e3)}, {},
         "world.mobility.block_m", "must leave room for a street between two crossings"),
        ({"mobility": ManhattanMobility(block_m=10.0), "layout": SingleCellLayout(radius_m=5e3)}, {},
         "world.mobility.block_m", "must leave at most 100000 crossings in the area"),
        ({"mobility": TraceMobility(path="nowhere.csv")}, {}, "world.mobility.path", "nowhere.csv"),
        ({"mobility": StaticMobility(positions_m=((1e5, 0.0),))}, {},
         "world.mobility.positions_m.0", "where the path-loss model holds"),
        ({"carrier_hz": 200e9}, {}, "world.carrier_hz", "must"),
        ({"environment": "rma", "carrier_hz": 28e9}, {}, "world.carrier_hz", "must"),
        ({"carrier_hz": 15e9}, {}, "world.carrier_hz",
         "must be within 0.41e9 to 7.125e9 or 24.25e9 to 71e9 (FR1 or FR2 of TS 38.104), got 1.5e+10"),
        ({"carrier_hz": 80e9}, {}, "world.carrier_hz", "got 8e+10"),
        ({}, {"uplink_power": UplinkPowerConfig(alpha=0.55)}, "radio.uplink_power.alpha",
         "must be one of 0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1 (TS 38.213), got 0.55"),
        ({}, {"uplink_power": UplinkPowerConfig(max_power_reduction=MaxPowerReduction(qam64_db=1.0))},
         "radio.uplink_power.max_power_reduction.qam64_db", "must be >= qam16_db 2, got 1"),
        ({}, {"uplink_power": UplinkPowerConfig(max_power_reduction=MaxPowerReduction(qam256_db=7.0))},
         "radio.uplink_power.max_power_reduction.qam256_db", "has no effect with mcs_table 1"),
        ({}, {"bandwidth_hz": 0.0}, "radio.bandwidth_hz", "must be one of 5e6, 10e6"),
        ({}, {"subcarrier_spacing_hz": -15e3}, "radio.subcarrier_spacing_hz",
         "must be one of 15e3, 30e3, 60e3 in FR1, got -15000"),
        ({"indoor_fraction": 0.8, "car_fraction": 0.5}, {}, "world.car_fraction", "got 1.3"),
        ({"penetration": "high"}, {}, "world.penetration", "no effect"),
        (
            {"indoor_fraction": 0.5, "high_loss_fraction": 0.4},
            {},
            "world.high_loss_fraction",
            "no effect with penetration low",
        ),
        ({"car_windows": "metallised"}, {}, "world.car_windows", "no effect with car_fraction 0"),
        ({}, {"site_rx_antennas": 1, "site_rx_correlation": 0.5}, "radio.site_rx_correlation",
         "has no effect with site_rx_antennas 1"),
        ({}, {"site_rx_correlation": 0.5, "fading": NoFading()}, "radio.site_rx_correlation",
         "has no effect without fading"),
        ({}, {"site_combining": "mmse", "site_rx_antennas": 1}, "radio.site_combining",
         "mmse has no effect with site_rx_antennas 1"),
        ({}, {"site_combining": "mmse", "interference": False}, "radio.site_combining",
         "mmse has no effect without interference"),
        ({"layout": SingleCellLayout()}, {"site_combining": "mmse"}, "radio.site_combining",
         "mmse has no effect with a single cell"),
        ({}, {"bandwidth_hz": 21e6}, "radio.bandwidth_hz", "20"),
        ({}, {"subcarrier_spacing_hz": 45e3}, "radio.subcarrier_spacing_hz", "30"),
        ({}, {"scheduler": "fastest"}, "radio.scheduler", "round_robin"),
        ({}, {"scheduler": "absent.py:Mine"}, "radio.scheduler", "absent.py"),
        ({}, {"bandwidth_hz": float("nan")}, "radio.bandwidth_hz", "finite"),
        ({}, {"outages": (SiteOutage(site_id=9, started_at_s=0.0, finished_at_s=1.0),)},
         "radio.outages.0.site_id", "must be below 7"),
        ({}, {"outages": (SiteOutage(site_id=0, started_at_s=2.0, finished_at_s=1.0),)},
         "radio.outages.0.finished_at_s", "must"),
        ({}, {"outages": (SiteOutage(site_id=0, started_at_s=1.7e9, finished_at_s=1.8e9),)},
         "radio.outages.0.started_at_s", "must be <= 1e+08 s from the start of the run (it is no"),
        ({}, {"backhaul": StarBackhaul(
            cuts=(LinkCut(ends=("site-0", "server"), started_at_s=1.7e9, finished_at_s=1.8e9),))},
         "radio.backhaul.cuts.0.started_at_s", "must be <= 1e+08 s from the start of the run"),
        ({}, {"ue_power": Tr38840PowerConfig(drx_on_s=1.0)},
         "radio.ue_power.drx_on_s", "must be <= drx_cycle_s 0.32, got 1"),
        ({}, {"ue_power": Tr38840PowerConfig(release_s=0.05)},
         "radio.ue_power.release_s", "must be >= inactivity_s 0.1, got 0.05"),
        ({}, {"access": AccessConfig(rtt_s=None)},
         "radio.access.session", "needs rtt_s; null switches it off, too"),
        ({}, {"access": AccessConfig(rtt_s=1e-7)},
         "radio.access.rtt_s", "light's way across the area of"),
        ({}, {"access": AccessConfig(drx=DrxConfig(cycle_s=0.1)), "ue_power": Tr38840PowerConfig()},
         "radio.access.drx.cycle_s", "has no effect with ue_power.kind tr38840: set ue_power.drx_c"),
        ({}, {"access": AccessConfig(drx=DrxConfig(inactivity_s=0.1)),
              "ue_power": Tr38840PowerConfig()},
         "radio.access.drx.inactivity_s", "tr38840: set ue_power.inactivity_s"),
        ({}, {"access": AccessConfig(connection=ConnectionConfig(inactive_s=0.0, resume_s=0.1))},
         "radio.access.connection.resume_s", "has no effect: no client is ever INACTIVE"),
        ({}, {"access": AccessConfig(paging=PagingConfig(inactive_cycle_s=0.1)),
              "ue_power": MeasuredPowerConfig(profile="t_mobile_nsa_low")},
         "radio.access.paging.inactive_cycle_s", "has no effect: no client is ever INACTIVE"),
        ({}, {"ue_power": MeasuredPowerConfig(profile="verizon_lte")},
         "radio.ue_power.screen_w", "must be given with profile verizon_lte, whose powers hold"),
        ({}, {"ue_power": MeasuredPowerConfig(screen_w=2.35)},
         "radio.ue_power.screen_w", "has no effect with profile t_mobile_sa"),
        ({}, {"ue_power": MeasuredPowerConfig(profile="verizon_lte", screen_w=2.7)},
         "radio.ue_power.screen_w", "must be <= 2.69 W, connected_w of profile verizon_lte"),
        ({}, {"ue_power": MeasuredPowerConfig(transmit_w=3.0)},
         "radio.ue_power.transmit_max_w", "must be >= transmit_w 3, got 2.08"),
        ({}, {"ue_power": MeasuredPowerConfig(receive_max_w=1.0)},
         "radio.ue_power.receive_max_w", "must be >= receive_w 1.19, got 1"),
        ({}, {"fading": RayleighFading(mode="ergodic"), "engine": "slot"},
         "radio.fading.mode", "slot"),
        ({}, {"fading": RayleighFading(mode="ergodic")},
         "radio.fading.mode", "must be block with a scheduler that follows fades"),
        ({}, {"fading": RayleighFading(mode="ergodic"), "scheduler": "max_ci"},
         "radio.fading.mode", "got ergodic with max_ci"),
        ({"mobility": StaticMobility()},
         {"fading": NoFading(), "handover": A3Handover(offset_db=2.0)},
         "radio.handover", "no effect: no client ever moves and no site fails"),
        ({"layout": SingleCellLayout()}, {"handover": A3Handover(offset_db=2.0)},
         "radio.handover", "no effect with a single cell"),
        ({"layout": PLANE, "shadowing": CorrelatedShadowing(site_correlation=0.5)}, {},
         "world.shadowing.site_correlation", "no effect with a single site"),
        ({"mobility": StaticMobility(), "layout": SingleCellLayout()},
         {"link_failure": LinkFailureConfig(timer_s=2.0), "fading": NoFading()},
         "radio.link_failure.timer_s", "no effect: no client ever moves"),
        ({"mobility": StaticMobility()},
         {"link_failure": LinkFailureConfig(recovery_s=2.0), "interference": False,
          "fading": RayleighFading(mode="ergodic"), "scheduler": "round_robin"},
         "radio.link_failure.recovery_s", "nothing fades or disturbs"),
        ({}, {"energy": EnergyConfig(site_sleep_after_s=1.0),
              "background_load": BackgroundShare(downlink_fraction=0.2)},
         "radio.energy.site_sleep_after_s", "no site is ever silent"),
        ({}, {"background_load": BackgroundShare(downlink_fraction=0.995)},
         "radio.background_load.downlink_fraction", "must leave at least one of"),
        ({}, {"background_load": BackgroundShare(uplink_fraction=1.0)},
         "radio.background_load.uplink_fraction", "resource blocks, got 1"),
        ({}, {"background_load": BackgroundUsers(num_users=5)},
         "radio.background_load.num_users", "has no effect with downlink_files_per_s 0 and"),
        ({"layout": SingleCellLayout()},
         {"background_load": BackgroundUsers(num_users=50, downlink_files_per_s=0.45)},
         "radio.background_load.downlink_files_per_s",
         "must offer less than one cell can carry, 8.186e+07 bit/s at the highest MCS, or files "
         "queue up without bound; got 9e+07 bit/s"),
        ({"layout": SingleCellLayout()},
         {"duplex": TddDuplex(uplink_fraction=0.2),
          "background_load": BackgroundUsers(num_users=50, uplink_files_per_s=0.09)},
         "radio.background_load.uplink_files_per_s", "one cell can carry, 1.751e+07 bit/s"),
        ({"layout": HexagonalLayout(num_sites=1, wraparound=False)},
         {"background_load": BackgroundUsers(num_users=700, downlink_files_per_s=0.1)},
         "radio.background_load.downlink_files_per_s", "less than 3 cells can carry, 2.456e+08"),
        ({"layout": SingleCellLayout()}, {"interference": False}, "radio.interference", "no effect"),
        ({}, {"link_adaptation": OuterLoopAdaptation(step_up_db=0.5), "fading": NoFading()},
         "radio.link_adaptation.step_up_db", "no effect in engine flow"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_found_with_its_place(world, radio, path, words):
    problems = find_problems(replace(WORLD, **world), replace(RADIO, **radio))
    found = [each.message for each in problems if ".".join(each.path) == path]
    assert any(words in message for message in found), problems


OUTAGE = (SiteOutage(site_id=0, started_at_s=1.0, finished_at_s=2.0),)
RATE = SiteOutageRate(mean_up_s=3600.0, mean_down_s=60.0)
ALONE = {"mobility": StaticMobility(), "layout": SingleCellLayout()}


@pytest.mark.parametrize(
    ("world", "radio"),
    [
        # A failing site sends clients away that stand still.
        ({"mobility": StaticMobility()}, {"handover": A3Handover(offset_db=2.0), "outages": OUTAGE}),
        ({"mobility": StaticMobility()}, {"handover": NoHandover()}),
        ({"layout": SingleCellLayout()}, {"handover": NoHandover()}),
        (ALONE, {"link_failure": LinkFailureConfig(timer_s=2.0), "outages": OUTAGE}),
        ({"mobility": StaticMobility()}, {"handover": A3Handover(offset_db=2.0), "outage_rate": RATE}),
        (ALONE, {"link_failure": LinkFailureConfig(timer_s=2.0), "outage_rate": RATE}),
        # The edge of coverage.
        (ALONE, {"link_failure": LinkFailureConfig(out_of_sync_db=-7.0)}),
        ({"shadowing": CorrelatedShadowing(site_correlation=0.5)}, {}),
        ({}, {"link_adaptation": OuterLoopAdaptation(step_up_db=0.5), "engine": "slot",
              "fading": NoFading()}),
        ({}, {"link_adaptation": OuterLoopAdaptation(step_up_db=0.5), "fading": RayleighFading()}),
        ({}, {"fading": RayleighFading(mode="ergodic"), "scheduler": "round_robin"}),
        ({}, {"fading": RayleighFading(mode="ergodic"), "scheduler": "earliest_deadline"}),
        ({}, {"fading": RayleighFading(mode="ergodic"), "scheduler": "equal_finish"}),
        ({"carrier_hz": 7.125e9}, {"uplink_power": UplinkPowerConfig(alpha=0.0)}),
        ({"carrier_hz": 24.25e9}, {"bandwidth_hz": 100e6, "subcarrier_spacing_hz": 120e3,
                                   "uplink_power": UplinkPowerConfig(alpha=0.4)}),
        ({}, {"energy": EnergyConfig(site_sleep_after_s=1.0),
              "background_load": BackgroundShare(uplink_rise_db=3.0)}),
        # Between two files a site may sleep.
        ({}, {"energy": EnergyConfig(site_sleep_after_s=1.0),
              "background_load": BackgroundUsers(num_users=5, downlink_files_per_s=0.1)}),
        ({"layout": SingleCellLayout()},
         {"background_load": BackgroundUsers(num_users=50, downlink_files_per_s=0.4)}),
    ],
)  # fmt: skip
def test_a_setting_with_an_effect_is_taken(world, radio):
    assert find_problems(replace(WORLD, **world), replace(RADIO, **radio)) == []


def test_all_broken_rules_are_found_at_once():
    world = replace(WORLD, layout=HexagonalLayout(num_sites=1, wraparound=True), penetration="high")
    assert len(find_problems(world, replace(RADIO, bandwidth_hz=21e6))) == 3


@pytest.mark.parametrize(
    "layout",
    [
        SingleCellLayout(radius_m=20.0),
        SingleCellLayout(radius_m=5e3),
        HexagonalLayout(isd_m=20.0),
        HexagonalLayout(num_sites=19, isd_m=1732.0),
        SitesLayout(positions_m=((0.0, 0.0),), width_m=18.0, height_m=18.0),
        SitesLayout(positions_m=((0.0, 0.0),), width_m=6e3, height_m=8e3),
        SitesLayout(positions_m=((-4e3, 0.0), (4e3, 0.0)), width_m=15e3, height_m=5e3),
    ],
)
def test_extents_that_pass_can_be_filled_with_clients(layout):
    world = replace(WORLD, layout=layout)
    assert find_problems(world, RADIO) == []
    places = Placement(build_layout(layout), seed=1, min_distance_m=10.0)
    distance_m = build_layout(layout).distance_m(places.positions_m(np.arange(1024))).min(axis=1)
    assert distance_m.min() >= 10.0
    assert distance_m.max() <= 5e3
