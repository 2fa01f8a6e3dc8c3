"""Sizes of figures: what stands side by side on a page stands below one another in a column."""

import pytest

from analysis.canvas import SIZES, figure_style, is_stacked, panels
from analysis.figures import draw_picture, save_picture, subjects
from analysis.picture import Subject
from analysis.report import write_report
from tests.analysis.synthetic import METHODS, write_results

WIDTHS_IN = {"column": 3.5, "double": 7.16, "slide": 10.0}


@pytest.mark.parametrize("size", SIZES)
def test_every_figure_has_the_width_of_its_size(results, size):
    with figure_style(size):
        for kind, subject in subjects(results):
            picture = draw_picture(kind, results, subject)
            if picture.in_report:
                assert picture.figure.get_figwidth() == WIDTHS_IN[size], kind


@pytest.mark.parametrize("size", SIZES)
def test_no_panel_is_squeezed_and_no_label_is_outside(results, size):
    with figure_style(size):
        for kind, subject in subjects(results):
            figure = draw_picture(kind, results, subject).figure
            figure.draw_without_rendering()
            whole = figure.bbox
            for ax in figure.axes:
                box = ax.get_window_extent()
                assert box.height > 0.5 * figure.dpi, kind
                assert box.width > 0.8 * figure.dpi, kind
                label = ax.xaxis.label.get_window_extent()
                assert whole.y0 - 1 <= label.y0, kind


def test_panels_of_a_column_stand_below_one_another():
    with figure_style("column"):
        assert is_stacked()
        _, axes = panels(2.0, columns=3, sharey=True)
        tops = [ax.get_position().y1 for ax in axes]
    assert tops == sorted(tops, reverse=True)
    assert len({round(ax.get_position().x0, 6) for ax in axes}) == 1
    assert not is_stacked()


def test_layout_holds_outside_the_style():
    figure, _ = panels(2.0, columns=2)
    assert figure.get_layout_engine() is not None


def test_pdf_has_its_fonts_inside_and_the_same_bytes_twice(results, tmp_path):
    with figure_style("column"):
        files = [
            save_picture(draw_picture("energy", results, Subject()), tmp_path / name, ["pdf"]).pdf
            for name in ("a", "b")
        ]
    first, second = (path.read_bytes() for path in files)
    assert first == second
    assert first.startswith(b"%PDF")
    assert b"/FontFile2" in first


def test_the_page_has_each_figure_for_wide_and_for_narrow_screens(tmp_path):
    folder = write_results(tmp_path / "out", methods=METHODS[1:3], num_rounds=3)
    report = write_report(folder, formats=["pdf"], size="column")
    shown = [figure for figure in report.figures if figure.in_report]
    page = report.index.read_text(encoding="utf-8")
    assert page.count('<div class="wide" role="img"') == len(shown)
    assert page.count('<div class="narrow" role="img"') == len(shown)
    assert all('width="515' in figure.wide for figure in shown)
    assert all('width="252' in figure.narrow for figure in shown)
    assert all(figure.pdf.is_file() for figure in report.figures)
    written = (folder / ".airtune" / "files.txt").read_text(encoding="utf-8")
    assert "figures/energy_breakdown.pdf" in written
    assert page.count('<div class="scroll" tabindex="0" role="region"') >= len(report.tables)
    ids = [part.split('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))
