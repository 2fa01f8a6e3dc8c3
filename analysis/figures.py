"""The figures of a study: a table of all kinds, and how they are written to files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from analysis import alignment, cost_pictures, curve_pictures, participation, total_pictures
from analysis.load import Results
from analysis.outlets import write_csv
from analysis.picture import FigureKind, Picture, Subject
from analysis.tables import metrics_of

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
    "settings": FigureKind(
        needs=cost_pictures.settings_subjects,
        frame=cost_pictures.settings_rows,
        draw=cost_pictures.draw_settings_picture,
    ),
    "participation": FigureKind(
        needs=participation.participation_subjects,
        frame=participation.participation_frame,
        draw=participation.draw_participation,
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
}
"""Kinds of figures, in the order of the report within a metric; those of no metric come last."""


@dataclass(frozen=True, kw_only=True)
class SavedFigure:
    """Files of one figure."""

    name: str
    title: str
    caption: str
    png: Path
    svg: Path
    csv: Path
    in_report: bool


def all_pictures(results: Results) -> Iterator[Picture]:
    """Draw every figure that the rows support, one at a time; call within ``figure_style()``."""
    wanted = [
        (kind, subject) for kind, entry in FIGURES.items() for subject in entry.needs(results)
    ]
    metrics = metrics_of(results)
    for metric in (*metrics, None):
        for kind, subject in wanted:
            if subject.metric == metric:
                yield draw_picture(kind, results, subject)


def draw_picture(kind: str, results: Results, subject: Subject) -> Picture:
    """Draw one figure of a kind; call within ``figure_style()``."""
    entry = FIGURES[kind]
    return entry.draw(results, subject, entry.frame(results, subject))


def file_names(picture: Picture) -> tuple[str, str, str]:
    """Return the names of a picture's PNG, SVG and CSV file."""
    return f"{picture.name}.png", f"{picture.name}.svg", f"{picture.name}.csv"


def save_picture(picture: Picture, folder: Path) -> SavedFigure:
    """Write PNG, SVG (text as text) and the data as CSV; same picture, same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    png, svg, csv = (folder / name for name in file_names(picture))
    picture.figure.savefig(png, metadata={"Software": None})
    picture.figure.savefig(svg, metadata={"Date": None, "Creator": None})
    write_csv(picture.data, csv)
    return SavedFigure(
        name=picture.name,
        title=picture.title,
        caption=picture.caption,
        png=png,
        svg=svg,
        csv=csv,
        in_report=picture.in_report,
    )
