"""Rules of own sites: where they are told, what their sectors have, and what is then unused."""

from collections.abc import Iterator
from math import isfinite

import numpy as np

from netsim.config import environment, standard
from netsim.config.radio import RadioConfig
from netsim.config.sites import SiteConfig, SitesLayout
from netsim.config.world import MAX_SITE_EXTENT_M, SectorAntenna, WorldConfig
from netsim.energy import site_energy
from netsim.problems import Problem
from netsim.units import dbm_to_w, w_to_dbm
from netsim.world.own_sites import site_positions_m

_LAYOUT = ("world", "layout")
_FORMS = ("positions_m", "sites", "path")
_POWER_RULE = "has no effect: every {} has power_dbm"


def find_form_problems(layout: SitesLayout) -> Iterator[Problem]:
    """Find sites that are told in no way, in several, not all in the same, or on no plane.

    Every other rule needs these.

    Parameters
    ----------
    layout
        The section; a file is read before, see :mod:`scenarios.site_file`.
    """
    given = [name for name in _FORMS if getattr(layout, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        yield Problem(_LAYOUT, f"must have one of positions_m, sites and path, got {found}")
        return
    if layout.path is not None:
        rule = f"must be read before, its sites belong in sites, got {layout.path!r}"
        yield Problem((*_LAYOUT, "path"), rule)
        return
    if layout.sites is None:
        return
    is_degrees = layout.sites[0].lat_deg is not None or layout.sites[0].lon_deg is not None
    wanted, others = ("x_m", "y_m"), ("lat_deg", "lon_deg")
    if is_degrees:
        wanted, others = others, wanted
    for index, site in enumerate(layout.sites):
        path = _site_path(index)
        missing = [name for name in wanted if getattr(site, name) is None]
        mixed = [name for name in others if getattr(site, name) is not None]
        if mixed:
            rule = f"has no place beside {wanted[0]} and {wanted[1]}: all sites are told alike"
            yield Problem((*path, mixed[0]), rule)
        elif missing:
            yield Problem((*path, missing[0]), f"missing; a site needs {' and '.join(wanted)}")
        if mixed or missing:
            return
    if is_degrees:
        yield from _far_problems(layout)


def _far_problems(layout: SitesLayout) -> Iterator[Problem]:
    """Find degrees that lie farther apart than a plane can show."""
    sites_m = site_positions_m(layout)
    spread_m = float(np.hypot(*np.ptp(sites_m, axis=0)))
    if isfinite(spread_m) and spread_m > MAX_SITE_EXTENT_M:
        farthest = int(np.abs(sites_m).max(axis=1).argmax())
        site = layout.own[farthest]
        yield Problem(
            _site_path(farthest),
            f"must lie within {MAX_SITE_EXTENT_M / 1e3:g} km of all other sites, in degrees (not "
            f"metres, latitude and longitude not exchanged), got ({site.lat_deg:.9g}, "
            f"{site.lon_deg:.9g}) among sites that extend over {spread_m / 1e3:.4g} km",
        )


def find_problems(world: WorldConfig, radio: RadioConfig) -> Iterator[Problem]:
    """Find what sites and sectors cannot have, and settings that they leave without effect.

    Parameters
    ----------
    world, radio
        The sections as they stand in the scenario.
    """
    layout = world.layout
    if not isinstance(layout, SitesLayout) or any(find_form_problems(layout)):
        return
    yield from _extent_effects(layout)
    for index, site in enumerate(layout.own):
        yield from _sector_problems(layout, site, _site_path(index))
        yield from _height_problems(world, site, _site_path(index))
    yield from _tilt_problems(world, layout)
    yield from _default_effects(world, radio, layout)
    yield from _power_problems(world, radio, layout)


def _site_path(index: int) -> tuple[str, ...]:
    return (*_LAYOUT, "sites", str(index))


def _extent_effects(layout: SitesLayout) -> Iterator[Problem]:
    if layout.margin_m != SitesLayout.margin_m and None not in (layout.width_m, layout.height_m):
        yield Problem((*_LAYOUT, "margin_m"), "has no effect with width_m and height_m")
    has_sectors = all(site.sectors is not None for site in layout.own)
    if layout.num_sectors != SitesLayout.num_sectors and has_sectors:
        yield Problem((*_LAYOUT, "num_sectors"), "has no effect: every site has sectors")


def _sector_problems(
    layout: SitesLayout, site: SiteConfig, path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find sectors of one site that would be the same cell."""
    sectors = layout.sectors_of(site)
    azimuths_deg: list[float] = []
    for index, sector in enumerate(sectors):
        key = (*path, "sectors", str(index), "azimuth_deg")
        if sector.azimuth_deg is None:
            if len(sectors) > 1:
                yield Problem(
                    key, f"missing; each of the {len(sectors)} sectors of a site needs it"
                )
            if sector.tilt_deg is not None:
                rule = "has no effect without azimuth_deg: an omnidirectional antenna has no tilt"
                yield Problem((*path, "sectors", str(index), "tilt_deg"), rule)
            continue
        azimuth_deg = sector.azimuth_deg % 360.0
        if azimuth_deg in azimuths_deg:
            rule = f"must differ from those of the site's other sectors, got {azimuth_deg:g} again"
            yield Problem(key, rule)
        azimuths_deg.append(azimuth_deg)
    if site.power_dbm is not None and all(sector.power_dbm is not None for sector in sectors):
        rule = _POWER_RULE.format("sector of the site")
        yield Problem((*path, "power_dbm"), rule)


def _height_problems(
    world: WorldConfig, site: SiteConfig, path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find heights beyond the path-loss model."""
    if site.height_m is None:
        return
    low_m, high_m = environment.MODEL_RANGES[world.environment].bs_height_m
    if not low_m <= site.height_m <= high_m:
        yield Problem(
            (*path, "height_m"),
            f"must be within {low_m:g} and {high_m:g} in environment {world.environment}, "
            f"got {site.height_m:g}",
        )


def _tilt_problems(world: WorldConfig, layout: SitesLayout) -> Iterator[Problem]:
    antenna = standard.antenna(world)
    if not isinstance(antenna, SectorAntenna):
        return
    directed = [sector for sector in layout.cells if sector.azimuth_deg is not None]
    has_own = all(sector.tilt_deg is not None for sector in directed)
    if has_own and antenna.zenith_deg != SectorAntenna.zenith_deg:
        yield Problem(
            ("world", "antenna", "zenith_deg"), "has no effect: every sector has tilt_deg"
        )
    if antenna.num_elements > 1:
        return
    for index, site in enumerate(layout.own):
        for number, sector in enumerate(layout.sectors_of(site)):
            if sector.tilt_deg is not None:
                yield Problem(
                    (*_site_path(index), "sectors", str(number), "tilt_deg"),
                    "has no effect with antenna.num_elements 1",
                )


def _default_effects(
    world: WorldConfig, radio: RadioConfig, layout: SitesLayout
) -> Iterator[Problem]:
    """Find values for all sites that none takes."""
    if world.site_height_m is not None and all(site.height_m is not None for site in layout.own):
        yield Problem(("world", "site_height_m"), "has no effect: every site has height_m")
    is_own = all(
        site.power_dbm is not None or sector.power_dbm is not None
        for site in layout.own
        for sector in layout.sectors_of(site)
    )
    if radio.site_power_dbm is not None and is_own:
        yield Problem(("radio", "site_power_dbm"), _POWER_RULE.format("site or sector"))


def _power_problems(
    world: WorldConfig, radio: RadioConfig, layout: SitesLayout
) -> Iterator[Problem]:
    """Find own powers that the hardware of the sites cannot radiate."""
    site_class = standard.site_class(world, radio)
    scale = standard.bandwidth_scale(world, radio)
    limit_w = site_energy.most_cell_w(site_class, scale=scale)
    for index, site in enumerate(layout.own):
        own = {("power_dbm",): site.power_dbm} | {
            ("sectors", str(number), "power_dbm"): sector.power_dbm
            for number, sector in enumerate(layout.sectors_of(site))
        }
        for key, power_dbm in own.items():
            if power_dbm is not None and dbm_to_w(power_dbm) > limit_w * (1 + 1e-6):
                yield Problem(
                    (*_site_path(index), *key),
                    f"must be <= {w_to_dbm(limit_w):.4g} dBm, the most that a cell of "
                    f"energy.site_class {site_class} radiates, got {power_dbm:g}",
                )
