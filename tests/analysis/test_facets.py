"""Curves of methods in settings: one panel a setting, one line a method."""

import dataclasses
import json

import pytest
from matplotlib.figure import Figure

from analysis.canvas import figure_style
from analysis.facets import (
    MOST_PANELS,
    draw_facets,
    facet_words,
    facets_of,
    has_facets,
    rival_handles,
    rival_styles,
)
from analysis.figures import FIGURES, draw_picture
from analysis.load import load_results
from analysis.picture import Subject
from analysis.series import curve_frame
from analysis.stats import COSTS
from analysis.style import BACKGROUND
from tests.analysis.synthetic import METHODS, write_results

PERSONAL = Subject(metric="accuracy", split="personal")
AGAINST_MB = Subject(metric="accuracy", split="global", cost=COSTS["uplink"])


def write_grid(folder, *, methods, knobs):
    variants = [
        dataclasses.replace(
            method,
            name=f"{method.name}--bandwidth_hz={knob}e6",
            label=f"{method.label} (bandwidth {knob} MHz)",
            compute_s=method.compute_s * (0.5 + 1 / knob),
        )
        for method in methods
        for knob in knobs
    ]
    write_results(folder, methods=variants, num_rounds=4, seeds=(1, 2))
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for entry in manifest["variants"]:
        entry["knobs"] = {"radio.bandwidth_hz": float(entry["name"].partition("=")[2])}
    path.write_text(json.dumps(manifest))
    return load_results(folder)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Four methods, two of which have a global model, at four bandwidths."""
    return write_grid(tmp_path_factory.mktemp("grid"), methods=METHODS, knobs=(1, 2, 5, 10))


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """One method at more bandwidths than a page has panels, and a second one."""
    folder = tmp_path_factory.mktemp("wide")
    return write_grid(folder, methods=METHODS[1:3], knobs=range(1, MOST_PANELS + 3))


def test_small_studies_and_those_of_one_setting_have_no_facets(results, in_cases, grid):
    assert has_facets(grid)
    assert not has_facets(results)
    assert not has_facets(in_cases)  # four variants in two settings


@pytest.mark.parametrize(("kind", "subject"), [("overview", PERSONAL), ("curve", AGAINST_MB)])
def test_every_setting_has_a_panel_and_every_method_its_line(grid, kind, subject):
    assert subject in FIGURES[kind].needs(grid)
    with figure_style():
        picture = draw_picture(kind, grid, subject)
    axes = [ax for ax in picture.figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in axes] == [
        f"bandwidth {knob} MHz" for knob in (1, 2, 5, 10)
    ]
    num_methods = 4 if subject.split == "personal" else 2
    for ax in axes:
        curves = [
            line for line in ax.lines if line.get_linewidth() > 1 and len(line.get_xdata()) > 2
        ]
        assert len(curves) == num_methods
        assert all(line.get_color() != BACKGROUND for line in curves)
        assert (ax.get_xlim(), ax.get_ylim()) == (axes[0].get_xlim(), axes[0].get_ylim())
    (legend,) = picture.figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == [each.label for each in METHODS if subject.split in each.splits]
    assert "One panel a setting, one line a method" in picture.caption
    assert "grey" not in picture.caption
    picture.figure.draw_without_rendering()
    box = legend.get_window_extent()
    assert not any(box.overlaps(ax.get_window_extent()) for ax in axes)


def test_a_method_looks_the_same_in_all_panels_and_figures(grid):
    styles = rival_styles(grid)
    with figure_style():
        for kind, subject in (("overview", PERSONAL), ("curve", AGAINST_MB)):
            for ax in draw_picture(kind, grid, subject).figure.axes:
                colours = {line.get_color() for line in ax.lines if line.get_linewidth() > 1}
                assert styles["FedIT, rank 8"].colour in colours


def test_methods_without_a_model_are_named_once(grid):
    with figure_style():
        picture = draw_picture("curve", grid, AGAINST_MB)
    assert "hence not shown: Local only; PFTT, d 8, rank 8." in picture.caption
    (legend,) = picture.figure.legends
    title = legend.get_title().get_text().replace("\n", " ")
    assert title == "no global model: Local only; PFTT, d 8, rank 8"


def test_settings_beyond_a_page_are_named_and_their_rows_kept(wide):
    with figure_style():
        picture = draw_picture("overview", wide, PERSONAL)
    axes = [ax for ax in picture.figure.axes if ax.get_visible()]
    assert len(axes) == MOST_PANELS
    assert "Without a panel: bandwidth 13 MHz; bandwidth 14 MHz." in picture.caption
    assert picture.data["variant"].nunique() == len(wide.variants)


def test_a_study_of_one_method_compares_values_of_its_last_knob(wide):
    variants = [
        dataclasses.replace(each, knobs={"case": case, "radio.bandwidth_hz": knob})
        for (each, (case, knob)) in zip(
            wide.variants[:14],
            [(case, knob) for case in ("rural", "urban") for knob in range(1, 8)],
            strict=True,
        )
    ]
    manifest = dataclasses.replace(wide.manifest, variants=tuple(variants))
    study = dataclasses.replace(wide, manifest=manifest)
    frame = curve_frame(study, metric="accuracy", split="personal", cost=COSTS["seconds"])
    facets = facets_of(study, frame)
    assert list(facets) == ["rural", "urban"]
    assert list(facets["rural"].values()) == [str(knob) for knob in range(1, 8)]


def test_facets_go_on_axes_of_anybodys(grid):
    frame = curve_frame(grid, metric="accuracy", split="personal", cost=COSTS["seconds"])
    facets, styles = facets_of(grid, frame), rival_styles(grid)
    given = Figure(figsize=(9, 3), layout="constrained").subplots(1, 4)
    axes = draw_facets(frame, given, facets=facets, styles=styles, column="at_s",
                       metric="accuracy", label="share right")  # fmt: skip
    assert axes == list(given)
    assert {ax.get_ylabel() for ax in axes} == {"share right"}
    assert len(rival_handles(facets, styles)) == 4
    assert facet_words(facets).endswith("all with the same axes.")
