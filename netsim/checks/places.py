"""Rules of given places: sites and clients stand where a layout in metres can have them."""

from collections.abc import Iterator, Sequence
from math import hypot

import numpy as np

from netsim.config import environment
from netsim.config.world import (
    MIN_SITE_GAP_M,
    MIN_SPREAD_M,
    Point,
    SitesLayout,
    StaticMobility,
    WorldConfig,
)
from netsim.problems import Problem


def find_problems(world: WorldConfig) -> Iterator[Problem]:
    """Find places of sites and of static clients that cannot be meant.

    Parameters
    ----------
    world
        The section; values that are not finite are reported by another rule.
    """
    if isinstance(world.layout, SitesLayout):
        yield from _site_problems(world.layout)
    mobility = world.mobility
    if isinstance(mobility, StaticMobility) and mobility.positions_m is not None:
        yield from _spread_problems(mobility.positions_m)
        yield from _range_problems(mobility.positions_m, world.environment)


def _site_problems(layout: SitesLayout) -> Iterator[Problem]:
    for index, (x_m, y_m) in enumerate(layout.positions_m):
        path = ("world", "layout", "positions_m", str(index))
        if abs(x_m) > layout.width_m / 2 or abs(y_m) > layout.height_m / 2:
            yield Problem(
                path,
                f"must lie in the plane, |x| <= {layout.width_m / 2:g} m and "
                f"|y| <= {layout.height_m / 2:g} m, got ({x_m:g}, {y_m:g})",
            )
        if layout.positions_m.index((x_m, y_m)) < index:
            yield Problem(path, f"must be a place of its own, got ({x_m:g}, {y_m:g}) again")
    yield from _gap_problems(layout.positions_m)


def _gap_problems(positions_m: Sequence[Point]) -> Iterator[Problem]:
    """Find the first site that stands too near another; in another unit than metres all do."""
    place_m = np.array(positions_m)
    for index in range(1, len(place_m)):
        with np.errstate(invalid="ignore", over="ignore"):
            gap_m = np.hypot(*(place_m[:index] - place_m[index]).T)
        nearest = int(gap_m.argmin())
        if 0 < gap_m[nearest] < MIN_SITE_GAP_M:
            x_m, y_m = positions_m[index]
            yield Problem(
                ("world", "layout", "positions_m", str(index)),
                f"must be at least {MIN_SITE_GAP_M:g} m from every other site, in metres (not "
                f"kilometres or degrees), got ({x_m:.9g}, {y_m:.9g}), {gap_m[nearest]:.3g} m from "
                f"site {nearest}",
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
    positions_m: Sequence[Point], name: environment.EnvironmentName
) -> Iterator[Problem]:
    """Find clients beyond the range of the path-loss model."""
    _, limit_m = environment.MODEL_RANGES[name].distance_2d_m
    for index, (x_m, y_m) in enumerate(positions_m):
        if hypot(x_m, y_m) > limit_m:
            yield Problem(
                ("world", "mobility", "positions_m", str(index)),
                f"must lie within {limit_m:g} m of the origin, where the path-loss model "
                f"holds, got ({x_m:g}, {y_m:g})",
            )
