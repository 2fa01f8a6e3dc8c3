"""Draw the wings of ``netsim`` and ``fl`` on their floors: ``python -m tools.draw_wings PICTURE``.

Boxes and lines are read from the source text by :mod:`tools.import_graph`; nothing is typed in. A
line leads from a wing down to one that it imports, the wider, the more imports.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from tools.import_graph import FLOORS, graph, modules, upward, wing, wing_graph

WIDTH_IN, FLOOR_IN = 11.0, 0.88
BOX_HEIGHT = 0.46
INK, PAPER, EDGE = "#1f2933", "#eef3f8", "#4a6b8a"
GROUND_PAPER = "#f6f1e7"


def places(package: str) -> dict[str, tuple[float, int]]:
    """Return the place of each wing: the middle of its box in [0, 1], and its floor."""
    found = {}
    for floor, names in enumerate(FLOORS[package]):
        for index, name in enumerate(names):
            found[f"{package}.{name}"] = ((index + 0.5) / len(names), floor)
    return found


def sizes(package: str) -> dict[str, tuple[int, int]]:
    """Return the number of modules and of lines of each wing."""
    found: dict[str, tuple[int, int]] = {}
    for name, path in modules(package).items():
        count, lines = found.get(wing(name), (0, 0))
        own = len(path.read_text(encoding="utf-8").splitlines())
        found[wing(name)] = (count + 1, lines + own)
    return found


def draw(path: Path) -> None:
    """Draw both packages beside each other and write the picture."""
    tallest = max(len(levels) for levels in FLOORS.values())
    figure = Figure(figsize=(WIDTH_IN, FLOOR_IN * tallest + 0.8), layout="constrained")
    panels = figure.subplots(1, len(FLOORS))
    for axes, package in zip(panels, FLOORS, strict=True):
        _draw_package(axes, package, num_floors=tallest)
    with mpl.rc_context({"svg.hashsalt": "wings"}):
        figure.savefig(path, dpi=110, metadata={"Software": None} if path.suffix == ".png" else {})


def _draw_package(axes: Axes, package: str, *, num_floors: int) -> None:
    where, size = places(package), sizes(package)
    arrows = wing_graph({k: v for k, v in graph([package]).items() if k != package})
    _draw_imports(axes, arrows, where)
    for name, (middle, floor) in where.items():
        names = FLOORS[package][floor]
        width = min(0.92 / len(names), 0.42)
        axes.add_patch(
            FancyBboxPatch(
                (middle - width / 2, floor - BOX_HEIGHT / 2),
                width,
                BOX_HEIGHT,
                boxstyle="round,pad=0,rounding_size=0.03",
                facecolor=GROUND_PAPER if floor == 0 else PAPER,
                edgecolor=EDGE,
                linewidth=0.9,
                zorder=3,
            )
        )
        title = name.partition(".")[2]
        is_crowded = len(names) > 4
        count, lines = size[name]
        plural = "s" if count > 1 else ""
        detail = f"{lines} lines" if is_crowded else f"{count} module{plural}, {lines} lines"
        text: dict[str, Any] = {"ha": "center", "va": "center", "color": INK, "zorder": 4}
        axes.text(
            middle,
            floor + 0.08,
            title.replace("_", "_\n", 1) if is_crowded and len(title) > 10 else title,
            fontsize=min(6.2, 60.0 / len(names)) if is_crowded else 9.5,
            weight="bold",
            linespacing=0.9,
            **text,
        )
        detail_size = 5.2 if is_crowded else 7 if len(names) < 4 else 6.4
        axes.text(middle, floor - 0.14, detail, fontsize=detail_size, **text)
    back = len(upward(graph([package]), package))
    num_arrows = sum(len(targets) for targets in arrows.values())
    axes.set_title(
        f"{package}: {len(where)} wings, {len(FLOORS[package])} floors, {num_arrows} arrows, "
        f"{back} back",
        fontsize=10,
        color=INK,
    )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.5, num_floors - 0.45)
    axes.axis("off")


def _draw_imports(
    axes: Axes, arrows: Mapping[str, Mapping[str, int]], where: Mapping[str, tuple[float, int]]
) -> None:
    """Draw a line for each pair of wings; those to the ground are left out, all lead there."""
    for name, targets in arrows.items():
        for target, count in targets.items():
            (start, high), (end, low) = where[name], where[target]
            if low == 0:
                continue
            axes.add_patch(
                FancyArrowPatch(
                    (start, high - BOX_HEIGHT / 2),
                    (end, low + BOX_HEIGHT / 2),
                    connectionstyle="arc3,rad=0.06",
                    arrowstyle="-|>",
                    mutation_scale=7,
                    linewidth=0.5 + 0.12 * min(count, 15),
                    color=EDGE,
                    alpha=0.45,
                    zorder=1,
                )
            )


def main() -> None:
    """Draw to the path given."""
    parser = argparse.ArgumentParser(description="Draw the wings of netsim and fl.")
    parser.add_argument("picture", type=Path, help="where it goes, .png or .svg")
    draw(parser.parse_args().picture)


if __name__ == "__main__":
    main()
