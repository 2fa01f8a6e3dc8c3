"""Rules across fields of ``world:`` and ``radio:``: model ranges, legal pairs, given positions.

Bounds of single fields are declared at the fields. Rules that need two fields, a table or a file
are here; given places are in :mod:`netsim.checks.places`, sizes in :mod:`netsim.checks.extent`,
settings without effect in :mod:`netsim.checks.effect`. Every broken rule is reported, not only the
first.
"""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from math import isfinite
from pathlib import Path

from netsim.channel import penetration
from netsim.checks import access_rules, background, effect, extent, own_sites, places
from netsim.config import environment, standard
from netsim.config.radio import (
    A3Handover,
    GraphBackhaul,
    MaxPowerReduction,
    RadioConfig,
)
from netsim.config.ue_power import MeasuredPowerConfig, UePowerConfig
from netsim.config.world import (
    MAX_INSTANT_S,
    HexagonalLayout,
    IndoorOfficeLayout,
    ManhattanMobility,
    OmniAntenna,
    RandomWaypointMobility,
    SectorAntenna,
    TraceMobility,
    WorldConfig,
)
from netsim.energy import measured_power, site_energy
from netsim.frequency_range import frequency_range
from netsim.mac.schedulers import SCHEDULERS
from netsim.phy import resource_grid
from netsim.problems import Problem
from netsim.transport import backhaul
from netsim.units import dbm_to_w, w_to_dbm
from netsim.world.layout import build_layout
from netsim.world.mobility.manhattan import find_street_fault

_OWN_WORD = {"bs_height_m": "site_height_m"}
"""Keys of ``world:`` by their name in the standard."""

TIME_TO_TRIGGER_S = tuple(
    ms / 1000
    for ms in (0, 40, 64, 80, 100, 128, 160, 256, 320, 480, 512, 640, 1024, 1280, 2560, 5120)
)
"""Values of TimeToTrigger in TS 38.331."""

UPLINK_ALPHAS = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Values of alpha (TS 38.213 clause 7.1.1) in TS 38.331 (as recollected)."""

CARRIERS_HZ = ((410e6, 7.125e9), (24.25e9, 71e9))
"""FR1 and FR2, TS 38.104 Table 5.1-1 (as recollected; 52.6 to 71 GHz is FR2-2)."""

MAX_SPEED_RATIO = 10_000
"""Largest ratio of the highest to the lowest speed of random waypoint (our choice): the steady
state is sampled by rejection, whose number of draws grows with the ratio, to some 3000 here."""


def find_problems(world: WorldConfig, radio: RadioConfig) -> list[Problem]:
    """Return every broken rule of the two sections; an empty list means that they can run.

    Parameters
    ----------
    world, radio
        The sections as they stand in the scenario. Bounds of single fields are checked elsewhere,
        except that values that are not finite are reported here too.
    """
    space = [
        *_not_finite(world, ("world",)),
        *_layout_problems(world),
        *places.find_problems(world),
        *extent.find_problems(world),
        *_mobility_problems(world),
    ]
    diameter_m = None if space else build_layout(world.layout).area.diameter_m
    return [
        *space,
        *([] if space else _street_problems(world)),
        *_not_finite(radio, ("radio",)),
        *_propagation_problems(world),
        *own_sites.find_problems(world, radio),
        *_grid_problems(world, radio),
        *_radio_problems(radio),
        *effect.find_problems(world, radio),
        *_outage_problems(world, radio),
        *_backhaul_problems(world, radio),
        *access_rules.find_problems(radio, diameter_m=diameter_m),
    ]


def _problem(path: str, message: str) -> Problem:
    return Problem(tuple(path.split(".")), message)


def _not_finite(section: object, path: tuple[str, ...]) -> Iterator[Problem]:
    """Find NaN and infinity in every float below a settings object."""
    if isinstance(section, float) and not isfinite(section):
        yield Problem(path, f"must be a finite number, got {section}")
    elif is_dataclass(section) and not isinstance(section, type):
        for field in fields(section):
            yield from _not_finite(getattr(section, field.name), (*path, field.name))
    elif isinstance(section, tuple):
        for index, item in enumerate(section):
            yield from _not_finite(item, (*path, str(index)))


def _layout_problems(world: WorldConfig) -> Iterator[Problem]:
    layout = world.layout
    if isinstance(layout, HexagonalLayout) and layout.wraparound and layout.num_sites == 1:
        yield _problem(
            "world.layout.wraparound",
            "has no effect with num_sites 1; remove it or use 7 or 19 sites",
        )
    if isinstance(layout, IndoorOfficeLayout) != (world.environment == "inh"):
        yield _problem(
            "world.layout.kind",
            f"indoor_office and environment inh belong together, got {layout.kind} "
            f"with {world.environment}",
        )
    antenna = world.antenna
    if isinstance(antenna, SectorAntenna) and not standard.has_sectors(world):
        yield _problem(
            "world.antenna.kind", f"sector needs a layout with sectors, got {layout.kind} without"
        )
    if isinstance(antenna, OmniAntenna) and standard.has_sectors(world):
        yield _problem("world.antenna.kind", "omni makes the sectors of a site the same cell")
    if isinstance(antenna, SectorAntenna) and antenna.num_elements == 1:
        default = SectorAntenna()
        for name in ("element_spacing_wavelengths", "zenith_deg"):
            if getattr(antenna, name) != getattr(default, name):
                yield _problem(f"world.antenna.{name}", "has no effect with num_elements 1")


def _mobility_problems(world: WorldConfig) -> Iterator[Problem]:
    mobility = world.mobility
    if isinstance(mobility, RandomWaypointMobility):
        if mobility.min_speed_mps == 0:
            yield _problem(
                "world.mobility.min_speed_mps",
                "must be > 0 for random_waypoint (speed 0 has no steady state), got 0",
            )
        if mobility.min_speed_mps > mobility.max_speed_mps:
            yield _problem(
                "world.mobility.min_speed_mps",
                f"must be <= max_speed_mps {mobility.max_speed_mps:g}, "
                f"got {mobility.min_speed_mps:g}",
            )
        least_mps = mobility.max_speed_mps / MAX_SPEED_RATIO
        if 0 < mobility.min_speed_mps < least_mps:
            yield _problem(
                "world.mobility.min_speed_mps",
                f"must be >= max_speed_mps / {MAX_SPEED_RATIO} = {least_mps:g}, "
                f"got {mobility.min_speed_mps:g}",
            )
    if isinstance(mobility, TraceMobility) and not Path(mobility.path).is_file():
        yield _problem("world.mobility.path", f"must be a file, got {mobility.path!r}")


def _street_problems(world: WorldConfig) -> Iterator[Problem]:
    """Find a grid of streets that does not fit an area, which itself breaks no rule."""
    if not isinstance(world.mobility, ManhattanMobility):
        return
    fault = find_street_fault(build_layout(world.layout).area, block_m=world.mobility.block_m)
    if fault is not None:
        yield _problem("world.mobility.block_m", fault)


def _propagation_problems(world: WorldConfig) -> Iterator[Problem]:
    beyond = [
        replace(problem, path=("world", _OWN_WORD.get(problem.path[-1], problem.path[-1])))
        for problem in environment.find_problems(
            world.environment,
            carrier_hz=world.carrier_hz,
            bs_height_m=standard.site_height_m(world),
            ue_height_m=standard.ue_height_m(world),
        )
    ]
    yield from beyond
    is_legal = any(low_hz <= world.carrier_hz <= high_hz for low_hz, high_hz in CARRIERS_HZ)
    if not is_legal and all(problem.path != ("world", "carrier_hz") for problem in beyond):
        ranges = " or ".join(f"{low / 1e9:g}e9 to {high / 1e9:g}e9" for low, high in CARRIERS_HZ)
        yield _problem(
            "world.carrier_hz",
            f"must be within {ranges} (FR1 or FR2 of TS 38.104), got {world.carrier_hz:g}",
        )
    if world.indoor_fraction + world.car_fraction > 1:
        yield _problem(
            "world.car_fraction",
            f"must leave indoor_fraction + car_fraction <= 1, got "
            f"{world.indoor_fraction + world.car_fraction:g}",
        )
    if world.environment == "inh":
        for name in ("indoor_fraction", "car_fraction"):
            if getattr(world, name) > 0:
                yield _problem(f"world.{name}", "has no effect in environment inh (no walls)")
    if world.indoor_fraction > 0:
        yield from penetration.find_problems(
            world.penetration,
            environment=world.environment,
            carrier_hz=world.carrier_hz,
            path=("world", "penetration"),
        )


def _grid_problems(world: WorldConfig, radio: RadioConfig) -> Iterator[Problem]:
    band = frequency_range(world.carrier_hz)
    problems = resource_grid.find_problems(
        radio.bandwidth_hz,
        radio.subcarrier_spacing_hz,
        band=band,
        path=("radio",),
    )
    yield from problems or background.find_problems(world, radio)
    yield from _site_power_problems(world, radio)
    legal_hz = {spacing_hz for _, spacing_hz in resource_grid.legal_pairs(band=band)}
    if radio.subcarrier_spacing_hz in legal_hz:
        slot_s = resource_grid.slot_duration_s(radio.subcarrier_spacing_hz)
        if radio.channel_tick_s < slot_s:
            yield _problem(
                "radio.channel_tick_s",
                f"must be >= one slot, {slot_s:g} s, got {radio.channel_tick_s:g}",
            )
    yield from _ue_power_problems(radio.ue_power)


def _ue_power_problems(power: UePowerConfig) -> Iterator[Problem]:
    if isinstance(power, MeasuredPowerConfig):
        yield from measured_power.find_problems(power, ("radio", "ue_power"))
        return
    if power.drx_on_s > power.drx_cycle_s:
        yield _problem(
            "radio.ue_power.drx_on_s",
            f"must be <= drx_cycle_s {power.drx_cycle_s:g}, got {power.drx_on_s:g}",
        )
    if power.release_s < power.inactivity_s:
        yield _problem(
            "radio.ue_power.release_s",
            f"must be >= inactivity_s {power.inactivity_s:g}, got {power.release_s:g}",
        )


def _site_power_problems(world: WorldConfig, radio: RadioConfig) -> Iterator[Problem]:
    """Find a power that the hardware of the sites cannot radiate, and the key that sets it."""
    site_class = standard.site_class(world, radio)
    power_dbm = standard.site_power_dbm(world, radio)
    problems = site_energy.find_problems(
        site_class,
        cell_power_w=dbm_to_w(power_dbm),
        scale=standard.bandwidth_scale(world, radio),
        path=("radio", "energy", "site_class"),
    )
    if radio.site_power_dbm is None:
        yield from problems
    elif problems:
        scale = standard.bandwidth_scale(world, radio)
        limit_dbm = w_to_dbm(site_energy.most_cell_w(site_class, scale=scale))
        yield _problem(
            "radio.site_power_dbm",
            f"must be <= {limit_dbm:.4g} dBm, the most that a cell of energy.site_class "
            f"{site_class} radiates, got {power_dbm:g}",
        )


def _radio_problems(radio: RadioConfig) -> Iterator[Problem]:
    path, separator, class_name = radio.scheduler.rpartition(":")
    if separator:
        if not path.endswith(".py") or not Path(path).is_file():
            yield _problem("radio.scheduler", f"must name a Python file before ':', got {path!r}")
        if not class_name.isidentifier():
            yield _problem("radio.scheduler", f"must name a class after ':', got {class_name!r}")
    elif radio.scheduler not in SCHEDULERS:
        plain = re.sub(r"[\s_-]+", "", radio.scheduler[:100].casefold())
        meant = [name for name in SCHEDULERS if name.replace("_", "") == plain]
        hint = f"; did you mean {meant[0]!r}?" if meant else ""
        yield _problem(
            "radio.scheduler",
            f"must be one of {', '.join(SCHEDULERS)} or path.py:Class, got "
            f"{radio.scheduler[:100]!r}{hint}",
        )
    alpha = radio.uplink_power.alpha
    if alpha not in UPLINK_ALPHAS:
        legal = ", ".join(f"{value:g}" for value in UPLINK_ALPHAS)
        yield _problem(
            "radio.uplink_power.alpha", f"must be one of {legal} (TS 38.213), got {alpha:g}"
        )
    reduction = radio.uplink_power.max_power_reduction
    if reduction is not None:
        yield from _power_reduction_problems(reduction)
    handover = radio.handover
    if isinstance(handover, A3Handover) and handover.time_to_trigger_s not in TIME_TO_TRIGGER_S:
        legal = ", ".join(f"{value:g}" for value in TIME_TO_TRIGGER_S)
        yield _problem(
            "radio.handover.time_to_trigger_s",
            f"must be one of {legal} (TS 38.331), got {handover.time_to_trigger_s:g}",
        )
    failure = radio.link_failure
    if failure.out_of_sync_db > failure.in_sync_db:
        yield _problem(
            "radio.link_failure.in_sync_db",
            f"must be >= out_of_sync_db {failure.out_of_sync_db:g}, got {failure.in_sync_db:g}",
        )


def _power_reduction_problems(reduction: MaxPowerReduction) -> Iterator[Problem]:
    """Find modulations that are allowed more power than a lower one."""
    by_name = [(each.name, getattr(reduction, each.name)) for each in fields(reduction)]
    for (lower, below_db), (name, value_db) in pairwise(by_name):
        if value_db < below_db:
            yield _problem(
                f"radio.uplink_power.max_power_reduction.{name}",
                f"must be >= {lower} {below_db:g}, got {value_db:g}",
            )


def _outage_problems(world: WorldConfig, radio: RadioConfig) -> Iterator[Problem]:
    count = standard.num_sites(world)
    for index, outage in enumerate(radio.outages):
        if outage.site_id >= count:
            yield _problem(
                f"radio.outages.{index}.site_id",
                f"must be below {count}, the number of sites, got {outage.site_id}",
            )
        if outage.finished_at_s <= outage.started_at_s:
            yield _problem(
                f"radio.outages.{index}.finished_at_s",
                f"must be after started_at_s {outage.started_at_s:g}, got {outage.finished_at_s:g}",
            )
        yield from _clock_problems(outage.started_at_s, f"radio.outages.{index}.started_at_s")


def _clock_problems(at_s: float, path: str) -> Iterator[Problem]:
    """Find the start of an event that no run reaches."""
    if at_s > MAX_INSTANT_S:
        yield _problem(
            path,
            f"must be <= {MAX_INSTANT_S:g} s from the start of the run (it is no Unix time, and "
            f"not in milliseconds), got {at_s:.12g}",
        )


def _backhaul_problems(world: WorldConfig, radio: RadioConfig) -> Iterator[Problem]:
    config = radio.backhaul
    for index, cut in enumerate(config.cuts):
        yield from _clock_problems(cut.started_at_s, f"radio.backhaul.cuts.{index}.started_at_s")
    count = standard.num_sites(world)
    links = config.links if isinstance(config, GraphBackhaul) else backhaul.star(count)
    yield from backhaul.find_problems(
        links, num_sites=count, cuts=config.cuts, path=("radio", "backhaul")
    )
