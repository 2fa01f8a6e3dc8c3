"""The figures of a study: a table of all kinds, and how they are written to files.

For figures of one's own there are the functions that draw (``draw_*``: a data frame on an Axes,
given or made), those that make their data frames (``*_frame``), and styles. They are named in
``__all__`` and explained on the page docs/own_figures.md.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import (
    alignment,
    cost_pictures,
    curve_pictures,
    fairness,
    gantt,
    pareto,
    participation,
    participation_map,
    partition_picture,
    privacy_cost,
    sensitivity,
    staleness,
    total_pictures,
)
from analysis.alignment import draw_preference_panels
from analysis.canvas import figure_style
from analysis.facets import draw_facets, facets_of, rival_styles
from analysis.fairness import draw_fairness, fairness_frame, gini_index
from analysis.gantt import draw_gantt, gantt_frame
from analysis.load import Results
from analysis.outlets import write_csv
from analysis.pareto import draw_pareto, pareto_frame
from analysis.participation_map import draw_links, draw_map, link_frame, map_frame
from analysis.partition_picture import draw_partition, partition_frame
from analysis.picture import FigureKind, Picture, Subject
from analysis.plots import draw_cdf, draw_curves
from analysis.ranking import draw_ranking, ranking_frame
from analysis.sensitivity import draw_sensitivity, sensitivity_frame
from analysis.series import (
    cdf_frame,
    curve_frame,
    energy_frame,
    latency_frame,
    round_durations,
    target_frame,
    transfer_durations,
    transfer_rates,
    transfer_sinrs,
    waste_frame,
)
from analysis.settings import draw_settings, settings_frame
from analysis.stacks import draw_shares, draw_stack
from analysis.staleness import draw_staleness, staleness_frame
from analysis.stats import COSTS
from analysis.style import variant_styles
from analysis.tables import metrics_of
from analysis.target_bars import draw_cost_panels, draw_target_costs

__all__ = [
    "COSTS",
    "FIGURES",
    "FORMATS",
    "Picture",
    "SavedFigure",
    "Subject",
    "all_pictures",
    "cdf_frame",
    "curve_frame",
    "draw_cdf",
    "draw_cost_panels",
    "draw_curves",
    "draw_facets",
    "draw_fairness",
    "draw_gantt",
    "draw_links",
    "draw_map",
    "draw_pareto",
    "draw_partition",
    "draw_picture",
    "draw_preference_panels",
    "draw_ranking",
    "draw_sensitivity",
    "draw_settings",
    "draw_shares",
    "draw_stack",
    "draw_staleness",
    "draw_target_costs",
    "energy_frame",
    "facets_of",
    "fairness_frame",
    "figure_style",
    "file_names",
    "gantt_frame",
    "gini_index",
    "latency_frame",
    "link_frame",
    "map_frame",
    "pareto_frame",
    "partition_frame",
    "ranking_frame",
    "rival_styles",
    "round_durations",
    "save_picture",
    "sensitivity_frame",
    "settings_frame",
    "staleness_frame",
    "subjects",
    "svg_text",
    "target_frame",
    "transfer_durations",
    "transfer_rates",
    "transfer_sinrs",
    "variant_styles",
    "waste_frame",
]

FIGURES: dict[str, FigureKind] = {
    "ranking": FigureKind(
        needs=cost_pictures.ranking_subjects,
        frame=cost_pictures.ranking_rows,
        draw=cost_pictures.draw_ranking_picture,
    ),
    "overview": FigureKind(
        needs=curve_pictures.overview_subjects,
        frame=curve_pictures.overview_frame,
        draw=curve_pictures.draw_overview,
    ),
    "curve": FigureKind(
        needs=curve_pictures.curve_subjects,
        frame=curve_pictures.one_curve_frame,
        draw=curve_pictures.draw_curve,
    ),
    "target": FigureKind(
        needs=cost_pictures.target_subjects,
        frame=cost_pictures.target_rows,
        draw=cost_pictures.draw_target_picture,
    ),
    "pareto": FigureKind(
        needs=pareto.pareto_subjects,
        frame=pareto.pareto_rows,
        draw=pareto.draw_pareto_picture,
    ),
    "settings": FigureKind(
        needs=cost_pictures.settings_subjects,
        frame=cost_pictures.settings_rows,
        draw=cost_pictures.draw_settings_picture,
    ),
    "sensitivity": FigureKind(
        needs=sensitivity.sensitivity_subjects,
        frame=sensitivity.sensitivity_rows,
        draw=sensitivity.draw_sensitivity_picture,
    ),
    "privacy": FigureKind(
        needs=privacy_cost.privacy_subjects,
        frame=privacy_cost.privacy_frame,
        draw=privacy_cost.draw_privacy_picture,
    ),
    "participation": FigureKind(
        needs=participation.participation_subjects,
        frame=participation.participation_frame,
        draw=participation.draw_participation,
    ),
    "fairness": FigureKind(
        needs=fairness.fairness_subjects,
        frame=fairness.fairness_rows,
        draw=fairness.draw_fairness_picture,
    ),
    "totals": FigureKind(
        needs=total_pictures.total_subjects,
        frame=total_pictures.total_rows,
        draw=total_pictures.draw_total_picture,
    ),
    "preferences": FigureKind(
        needs=alignment.preference_subjects,
        frame=alignment.preference_rows,
        draw=alignment.draw_preferences,
    ),
    "energy": FigureKind(
        needs=cost_pictures.energy_subjects,
        frame=cost_pictures.energy_rows,
        draw=cost_pictures.draw_energy_picture,
    ),
    "waste": FigureKind(
        needs=participation.waste_subjects,
        frame=participation.waste_rows,
        draw=participation.draw_waste_picture,
    ),
    "latency": FigureKind(
        needs=cost_pictures.latency_subjects,
        frame=cost_pictures.latency_rows,
        draw=cost_pictures.draw_latency_picture,
    ),
    "durations": FigureKind(
        needs=cost_pictures.duration_subjects,
        frame=cost_pictures.duration_rows,
        draw=cost_pictures.draw_duration_picture,
    ),
    "gantt": FigureKind(
        needs=gantt.gantt_subjects,
        frame=gantt.gantt_frame,
        draw=gantt.draw_gantt_picture,
    ),
    "staleness": FigureKind(
        needs=staleness.staleness_subjects,
        frame=staleness.staleness_rows,
        draw=staleness.draw_staleness_picture,
    ),
    "participation_map": FigureKind(
        needs=participation_map.map_subjects,
        frame=participation_map.map_rows,
        draw=participation_map.draw_map_picture,
    ),
    "participation_links": FigureKind(
        needs=participation_map.link_subjects,
        frame=participation_map.link_rows,
        draw=participation_map.draw_link_picture,
    ),
    "partition": FigureKind(
        needs=partition_picture.partition_subjects,
        frame=partition_picture.partition_rows,
        draw=partition_picture.draw_partition_picture,
    ),
}
"""Kinds of figures, in the order of the report within a metric; those of no metric come last."""


FORMATS = ("png", "svg", "pdf")
"""Formats of figure files; the first two are always written."""


@dataclass(frozen=True, kw_only=True)
class SavedFigure:
    """Files of one figure, and what the page shows of it."""

    name: str
    title: str
    caption: str
    png: Path
    svg: Path
    csv: Path
    pdf: Path | None
    """``None`` where it was not asked for."""
    in_report: bool
    wide: str = ""
    """SVG text of a page's width; empty unless in the report."""
    narrow: str = ""
    """SVG text of a column's width, panels below one another."""


def subjects(results: Results) -> Iterator[tuple[str, Subject]]:
    """Yield kind and subject of every figure that the rows support, in the order of the report."""
    wanted = [
        (kind, subject) for kind, entry in FIGURES.items() for subject in entry.needs(results)
    ]
    for metric in (*metrics_of(results), None):
        yield from ((kind, subject) for kind, subject in wanted if subject.metric == metric)


def all_pictures(results: Results) -> Iterator[Picture]:
    """Draw every figure that the rows support, one at a time; call within ``figure_style()``."""
    for kind, subject in subjects(results):
        yield draw_picture(kind, results, subject)


def draw_picture(
    kind: str, results: Results, subject: Subject, frame: pd.DataFrame | None = None
) -> Picture:
    """Draw one figure of a kind; call within ``figure_style()``.

    Parameters
    ----------
    kind
        Key of :data:`FIGURES`.
    results, subject
        What it is about.
    frame
        Its data, where they are known already.
    """
    entry = FIGURES[kind]
    return entry.draw(results, subject, entry.frame(results, subject) if frame is None else frame)


def file_names(picture: Picture, formats: Sequence[str] = ()) -> list[str]:
    """Return the names of a picture's PNG, SVG and CSV file, and of others that are asked for."""
    more = [each for each in formats if each not in FORMATS[:2]]
    return [f"{picture.name}.{ending}" for ending in ("png", "svg", "csv", *more)]


def save_picture(picture: Picture, folder: Path, formats: Sequence[str] = ()) -> SavedFigure:
    """Write PNG, SVG (text as text), the data as CSV, and PDF (fonts inside) where asked for.

    The same picture gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    png, svg, csv = (folder / name for name in file_names(picture)[:3])
    picture.figure.savefig(png, metadata={"Software": None})
    svg.write_text(svg_text(picture), encoding="utf-8", newline="\n")
    write_csv(picture.data, csv)
    pdf = folder / f"{picture.name}.pdf" if "pdf" in formats else None
    if pdf is not None:
        picture.figure.savefig(pdf, metadata={"CreationDate": None, "Producer": None})
    return SavedFigure(
        name=picture.name,
        title=picture.title,
        caption=picture.caption,
        png=png,
        svg=svg,
        csv=csv,
        pdf=pdf,
        in_report=picture.in_report,
    )


def svg_text(picture: Picture) -> str:
    """Return a picture as SVG; call within ``figure_style()``."""
    stream = io.StringIO()
    picture.figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()
