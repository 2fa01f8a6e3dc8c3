"""Rules of given places: sites and clients stand where a layout in metres can have them."""

from collections.abc import Iterator, Sequence
from math import hypot

import numpy as np
from jaxtyping import Float

from netsim.checks import own_sites
from netsim.config import environment
from netsim.config.sites import Point, SitesLayout
from netsim.config.world import (
    MIN_SITE_GAP_M,
    MIN_SPREAD_M,
    StaticMobility,
    WorldConfig,
)
from netsim.problems import Problem
from netsim.world.own_sites import area_extent_m, site_positions_m


def find_problems(world: WorldConfig) -> Iterator[Problem]:
    """Find places of sites and of static clients that cannot be meant.

    Parameters
    ----------
    world
        The section; values that are not finite are reported by another rule.
    """
    layout, mobility = world.layout, world.mobility
    sites_m = np.zeros((1, 2))
    if isinstance(layout, SitesLayout):
        form = list(own_sites.find_form_problems(layout))
        yield from form
        own_m = sites_m if form else site_positions_m(layout)
        if not form and np.isfinite(own_m).all():
            sites_m = own_m
            yield from _site_problems(layout, sites_m)
    if isinstance(mobility, StaticMobility) and mobility.positions_m is not None:
        yield from _spread_problems(mobility.positions_m)
        yield from _range_problems(mobility.positions_m, sites_m, world.environment)


def _site_problems(layout: SitesLayout, sites_m: Float[np.ndarray, "site 2"]) -> Iterator[Problem]:
    key = "positions_m" if layout.sites is None else "sites"
    is_degrees = layout.own[0].lat_deg is not None
    width_m, height_m = area_extent_m(layout)
    places = [(x_m, y_m) for x_m, y_m in sites_m.tolist()]
    for index, (x_m, y_m) in enumerate(places):
        path = ("world", "layout", key, str(index))
        if abs(x_m) > width_m / 2 or abs(y_m) > height_m / 2:
            yield Problem(
                path,
                f"must lie in the plane, |x| <= {width_m / 2:g} m and "
                f"|y| <= {height_m / 2:g} m, got ({x_m:g}, {y_m:g})",
            )
        if places.index((x_m, y_m)) < index:
            yield Problem(path, f"must be a place of its own, got ({x_m:g}, {y_m:g}) again")
    yield from _gap_problems(sites_m, key=key, is_degrees=is_degrees)


def _gap_problems(
    place_m: Float[np.ndarray, "site 2"], *, key: str, is_degrees: bool
) -> Iterator[Problem]:
    """Find the first site that stands too near another; in another unit than metres all do."""
    unit = "" if is_degrees else ", in metres (not kilometres or degrees)"
    for index in range(1, len(place_m)):
        with np.errstate(over="ignore"):
            gap_m = np.hypot(*(place_m[:index] - place_m[index]).T)
        nearest = int(gap_m.argmin())
        if 0 < gap_m[nearest] < MIN_SITE_GAP_M:
            x_m, y_m = place_m[index].tolist()
            yield Problem(
                ("world", "layout", key, str(index)),
                f"must be at least {MIN_SITE_GAP_M:g} m from every other site{unit}, got "
                f"({x_m:.9g}, {y_m:.9g}), {gap_m[nearest]:.3g} m from site {nearest}",
            )
            return


def _spread_problems(positions_m: Sequence[Point]) -> Iterator[Problem]:
    """Find clients at different places that all lie in one spot."""
    x_m, y_m = zip(*positions_m, strict=True)
    extent_m = hypot(max(x_m) - min(x_m), max(y_m) - min(y_m))
    if 0 < extent_m < MIN_SPREAD_M:
        yield Problem(
            ("world", "mobility", "positions_m"),
            f"must be one place or extend over at least {MIN_SPREAD_M:g} m, in metres (not "
            f"kilometres or degrees), got {len(positions_m)} places within {extent_m:.3g} m",
        )


def _range_problems(
    positions_m: Sequence[Point],
    sites_m: Float[np.ndarray, "site 2"],
    name: environment.EnvironmentName,
) -> Iterator[Problem]:
    """Find clients beyond the range of the path-loss model from the origin and all own sites."""
    _, limit_m = environment.MODEL_RANGES[name].distance_2d_m
    for index, (x_m, y_m) in enumerate(positions_m):
        with np.errstate(over="ignore"):
            nearest_m = np.hypot(*(sites_m - (x_m, y_m)).T).min()
        if min(hypot(x_m, y_m), nearest_m) > limit_m:
            yield Problem(
                ("world", "mobility", "positions_m", str(index)),
                f"must lie within {limit_m:g} m of the origin or a site, where the path-loss model "
                f"holds, got ({x_m:g}, {y_m:g})",
            )
