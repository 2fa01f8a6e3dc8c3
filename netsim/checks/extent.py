"""Rules of size: the service area must lie within the range of the path-loss model.

The range applies to the link to the nearest site; interferers may be farther away.
"""

from collections.abc import Iterator
from math import isfinite, sqrt

import numpy as np
from jaxtyping import Float

from netsim.checks.own_sites import find_form_problems
from netsim.config.environment import MODEL_RANGES, EnvironmentName
from netsim.config.sites import SitesLayout
from netsim.config.world import HexagonalLayout, SingleCellLayout, WorldConfig
from netsim.problems import Problem
from netsim.world.own_sites import area_extent_m, site_positions_m

GRID_POINTS = 101
"""Points along each side of a rectangular service area at which distances are checked."""

MIN_FREE_FRACTION = 0.05
"""Smallest share of the service area in which clients may be placed: random placement finds it."""


def find_problems(world: WorldConfig) -> Iterator[Problem]:
    """Find extents outside the range of the environment's path-loss model.

    Parameters
    ----------
    world
        The section. An office, whose size is fixed, breaks no rule; values that are not finite are
        reported by another rule.
    """
    layout = world.layout
    if world.environment == "inh":
        return  # Only an office may have this environment, which is another rule.
    nearest_m, farthest_m = MODEL_RANGES[world.environment].distance_2d_m
    match layout:
        case SingleCellLayout():
            yield from _outside(
                "radius_m", layout.radius_m, (2 * nearest_m, farthest_m), world.environment
            )
        case HexagonalLayout():
            # The corners of a hexagon are isd / sqrt(3) from its site, its sides isd / 2.
            limits_m = (2 * nearest_m, sqrt(3) * farthest_m)
            yield from _outside("isd_m", layout.isd_m, limits_m, world.environment)
        case SitesLayout():
            if not any(find_form_problems(layout)):
                yield from _plane_problems(layout, (nearest_m, farthest_m), world.environment)


def _outside(
    key: str, value_m: float, limits_m: tuple[float, float], environment: EnvironmentName
) -> Iterator[Problem]:
    low_m, high_m = limits_m
    nearest_m, farthest_m = MODEL_RANGES[environment].distance_2d_m
    if isfinite(value_m) and not low_m <= value_m <= high_m:
        yield Problem(
            ("world", "layout", key),
            f"must be within {low_m:g} and {high_m:.6g} in environment {environment} (no client "
            f"is nearer to a site than {nearest_m:g} m, and the path-loss model ends at "
            f"{farthest_m:g} m), got {value_m:g}",
        )


def _plane_problems(
    layout: SitesLayout, range_m: tuple[float, float], environment: EnvironmentName
) -> Iterator[Problem]:
    """Check the distance to the nearest site on a grid of points that includes the corners."""
    width_m, height_m = area_extent_m(layout)
    sites_m = site_positions_m(layout)
    if not isfinite(width_m * height_m) or not np.isfinite(sites_m).all():
        return
    nearest_m, farthest_m = range_m
    distance_m = _nearest_site_m(sites_m, width_m, height_m)
    if distance_m.max() > farthest_m:
        key, got_m = ("width_m", width_m) if width_m >= height_m else ("height_m", height_m)
        yield Problem(
            ("world", "layout", key),
            f"must leave no place farther than {farthest_m:g} m from every site, where the "
            f"path-loss model of {environment} ends, got {got_m:g} with a place "
            f"{distance_m.max():.6g} m away",
        )
    free_fraction = float((distance_m >= nearest_m).mean())
    if free_fraction < MIN_FREE_FRACTION:
        key, got_m = ("width_m", width_m) if width_m <= height_m else ("height_m", height_m)
        yield Problem(
            ("world", "layout", key),
            f"must leave room for clients, who keep {nearest_m:g} m from every site: "
            f"{MIN_FREE_FRACTION:.0%} of the plane at least, got {got_m:g} with "
            f"{free_fraction:.1%}",
        )


def _nearest_site_m(
    sites_m: Float[np.ndarray, "site 2"], width_m: float, height_m: float
) -> Float[np.ndarray, "point point"]:
    side = np.linspace(-0.5, 0.5, GRID_POINTS)
    x_m, y_m = np.meshgrid(side * width_m, side * height_m)
    nearest_m = np.full(x_m.shape, np.inf)
    for site_x_m, site_y_m in sites_m.tolist():
        np.minimum(nearest_m, np.hypot(x_m - site_x_m, y_m - site_y_m), out=nearest_m)
    return nearest_m
