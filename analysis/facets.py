"""Curves of large studies in facets: one panel a setting, one line a method.

A setting is a case with a choice of knobs, see :mod:`analysis.settings`. Where a study has one
method the values of the last knob take the place of methods.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.canvas import many_axes, panel_grid
from analysis.load import Results
from analysis.plots import CostAxis, curve_handles, draw_curves, value_limits
from analysis.ranking import MANY_VARIANTS
from analysis.settings import compared, has_settings, settings_of
from analysis.style import LineStyle, variant_styles, with_background
from analysis.text_safety import figure_text

MOST_PANELS = 12
"""Panels on a page; a caption names the settings that have none."""
PANELS_A_ROW = 3
_PANEL_IN = 1.75


def has_facets(results: Results) -> bool:
    """Whether a study has too many variants for one panel, in several settings."""
    return len(results.variants) > MANY_VARIANTS and has_settings(results)


def facets_of(results: Results, frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Return, for each setting with rows, its variants by name with what is compared in it.

    Parameters
    ----------
    results
        The study.
    frame
        Rows that are to be drawn, with a column ``variant``.
    """
    have, known = set(frame["variant"]), compared(results)
    found: dict[str, dict[str, str]] = {setting: {} for setting in settings_of(results)}
    for variant, (rival, setting) in known.items():
        if variant in have:
            found[setting][variant] = rival
    return {setting: variants for setting, variants in found.items() if variants}


def rival_styles(results: Results) -> dict[str, LineStyle]:
    """Return the style of each method, the same in all figures; those after the twelfth are grey.

    In a study without methods that differ: of each value of the last knob.
    """
    rivals = dict.fromkeys(rival for rival, _ in compared(results).values())
    return with_background(variant_styles({rival: rival for rival in rivals}), MANY_VARIANTS)


def rival_handles(
    facets: Mapping[str, Mapping[str, str]], styles: Mapping[str, LineStyle]
) -> list[Line2D]:
    """Return the legend entries of the methods that are drawn."""
    return curve_handles(styles, [rival for each in facets.values() for rival in each.values()])


def draw_facets(
    frame: pd.DataFrame,
    axes: Sequence[Axes] | None = None,
    *,
    facets: Mapping[str, Mapping[str, str]],
    styles: Mapping[str, LineStyle],
    column: str,
    metric: str,
    label: str,
    target: float | None = None,
) -> list[Axes]:
    """Draw curves in one panel a setting, all with the same axes.

    Parameters
    ----------
    frame
        As :func:`analysis.series.curve_frame` gives it.
    axes
        Where to draw, one a setting; ``None`` makes a figure.
    facets
        As :func:`facets_of` gives them; of more than :data:`MOST_PANELS` the first ones are drawn.
    styles
        As :func:`rival_styles` gives them.
    column, metric, target
        As for :func:`analysis.plots.draw_curves`.
    label
        Words of the y axis.

    Returns
    -------
    list of matplotlib.axes.Axes
        One a panel. There is no legend: see :func:`rival_handles`.
    """
    shown = dict(list(facets.items())[:MOST_PANELS])
    names = [name for variants in shown.values() for name in variants]
    drawn = frame[frame["variant"].isin(names)]
    axis = CostAxis.of(drawn, column)
    limits = value_limits(drawn, metric=metric, target=target)
    a_row = 2 if len(shown) == 4 else PANELS_A_ROW
    grid = panel_grid(len(shown), a_row=a_row, panel_in=_PANEL_IN)
    with many_axes(axes, len(shown), grid.make) as panels:
        for place, (ax, setting) in enumerate(zip(panels, shown, strict=True)):
            variants = shown[setting]
            draw_curves(
                drawn[drawn["variant"].isin(variants)],
                ax,
                column=column,
                metric=metric,
                styles={name: styles[rival] for name, rival in variants.items()},
                target=target,
                limits=limits,
                axis=axis,
                legend=False,
            )
            ax.set_title(figure_text(setting), loc="left", parse_math=False)
            is_left, is_last = grid.edges(place) if axes is None else (True, True)
            ax.set_ylabel(label if is_left else "")
            if is_last:
                ax.tick_params(labelbottom=True)
            else:
                ax.set_xlabel("")
    return panels


def facet_words(facets: Mapping[str, Mapping[str, str]]) -> str:
    """Say in a caption what panels are, and which settings have none."""
    words = " One panel a setting, one line a method, all with the same axes."
    rest = list(facets)[MOST_PANELS:]
    return f"{words} Without a panel: {'; '.join(rest)}." if rest else words
