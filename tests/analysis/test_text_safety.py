import csv
import dataclasses
import html
import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from rich.console import Console

from analysis.canvas import figure_style
from analysis.figures import all_pictures, save_picture
from analysis.load import load_results
from analysis.outlets import rich_table, to_latex, to_markdown, write_csv
from analysis.page import inline_svg
from analysis.report import all_tables, write_report
from analysis.text_safety import (
    MAX_FIGURE_CHARACTERS,
    csv_text,
    figure_text,
    file_name,
    html_text,
    latex_comment,
    latex_text,
    markdown_text,
    shortened,
    visible,
)
from tests.analysis.synthetic import METHODS, write_results

NASTY = (
    r"$\frac{1}{$",
    r"$\frac{1}{2}$ and $x_",
    r"\$5 or $6$",
    '=HYPERLINK("http://example.org","x")',
    "+1+cmd|' /C calc'!A0",
    "@SUM(1)",
    "-2",
    "<script>alert(1)</script>",
    '" onload="alert(1)',
    "[a](javascript:alert(1)) | `b` *c* _d_ ~~e~~",
    r"\input{/etc/passwd} % & # ^ ~ {",
    "[red]x[/blue] :smile:",
    "{{body}} {{title}} {0} %s",
    'id="x" href="#y" url(#z) #0072b2 fill: #ffffff',
    "_hidden",
    "two\nlines\r\tand \x1b[2J and \x00",
    "\u202eright to left \udcff",
    "x" * 300,
)
"""Labels that mean something to a program that reads them."""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study whose labels, name, metric and cost label are nasty."""
    methods = [
        dataclasses.replace(METHODS[1], name=f"m{place}", label=label)
        for place, label in enumerate(NASTY[:9])
    ] + [
        dataclasses.replace(METHODS[1], name=label.replace("/", "_"), label=f"m{place}")
        for place, label in enumerate(NASTY[3:7])
    ]
    folder = tmp_path_factory.mktemp("nasty") / "out"
    write_results(folder, methods=methods[:9], seeds=(1, 2), num_rounds=2)
    return with_words(folder, NASTY[9:])


def with_words(folder, words):
    """Put nasty words in every other place of a manifest and a table that holds text."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["name"], manifest["cost_label"] = words[0], words[1]
    manifest["status"], manifest["target_split"] = words[2], words[3]
    manifest["data"] = {words[4]: list(words)}
    for variant, word in zip(manifest["variants"], words, strict=False):
        variant["knobs"] = {word: word}
    manifest["targets"] = {METRIC: 0.8}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "scenario.yaml").write_bytes(b"name: \xff </pre><script>\n")
    for path in folder.glob("*/seed*/evaluations.csv"):
        rows = list(csv.DictReader(path.open(newline="")))
        write_rows(path, [{**row, "metric": METRIC} for row in rows])
    for path in folder.glob("*/seed*/energy.csv"):
        rows = list(csv.DictReader(path.open(newline="")))
        rows[0]["activity"] = words[0]
        write_rows(path, rows)
    return folder


METRIC = '../$\\frac{1}{$ <b> "_x_" =1|2'


def write_rows(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.words, self.attributes = set(), [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def report(study):
    return write_report(study)


def test_nobodys_words_become_markup_of_the_page(report):
    page = Tags()
    page.feed(report.index.read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert not page.attributes & {"onload", "onclick"}
    words = "".join(page.words)
    for label in NASTY[:9]:
        assert visible(label) in words
    assert words.count("How this was made") == 1
    assert "{{body}} {{title}}" in words


def test_files_of_a_report_stay_in_its_folder(report, study):
    assert list(study.parent.iterdir()) == [study]
    names = [path.name for path in (*study.glob("figures/*"), *study.glob("tables/*"))]
    assert len(names) == 3 * (len(report.figures) + len(report.tables))
    for name in names:
        assert re.fullmatch(r"[\w.=-]+", name)
        assert not name.startswith(".")


def test_no_cell_of_any_table_on_disk_is_a_formula(report, study):
    paths = [*study.glob("tables/*.csv"), *study.glob("figures/*.csv")]
    assert paths
    for path in paths:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                for cell in row:
                    is_formula = cell.startswith(("=", "+", "-", "@", "\t", "\r"))
                    assert not is_formula or is_number(cell), (path.name, cell)


def is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_every_figure_is_well_formed_and_shows_labels_as_they_are(report):
    seen = ""
    for figure in report.figures:
        tree = ElementTree.parse(figure.svg)
        seen += "".join(tree.getroot().itertext())
    for label in NASTY[:9]:
        assert figure_text(label) in seen


def test_many_variants_are_drawn_with_any_words(tmp_path):
    """The figure of large studies has names, settings and metrics as text, too."""
    methods = [
        dataclasses.replace(METHODS[1], name=f"m{place}", label=label)
        for place, label in enumerate(NASTY)
    ]
    folder = write_results(tmp_path / "out", methods=methods, seeds=(1,), num_rounds=2)
    with_words(folder, NASTY[9:])
    results = load_results(folder)
    with figure_style():
        saved = [save_picture(picture, tmp_path / "f") for picture in all_pictures(results)]
    assert any(figure.name.endswith("ranking") for figure in saved)
    for figure in saved:
        ElementTree.parse(figure.svg)


def test_tables_say_the_same_in_markdown_latex_and_on_a_terminal(study):
    for table in all_tables(load_results(study)):
        markdown = [line for line in to_markdown(table).splitlines() if line.startswith("|")]
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in markdown}
        assert columns == {len(table.text.columns) + 1}
        assert len(markdown) == len(table.text) + 2
        latex = to_latex(table).splitlines()
        assert len([line for line in latex if line.endswith(r"\\")]) == len(table.text) + 1
        assert not [line for line in latex if r"\input" in line and not line.startswith("%")]
        console = Console(file=io.StringIO(), width=5000, force_terminal=True)
        console.print(rich_table(table))
        shown = console.file.getvalue()
        assert "\x1b[2J" not in shown
        if table.name == "summary":
            for label in NASTY[:9]:
                assert visible(label) in shown


@pytest.mark.parametrize("text", NASTY)
def test_each_medium_gives_the_words_back(text):
    """What is escaped for a medium is read there as the visible text."""
    shown = visible(text)
    assert shown.isprintable()
    assert html.unescape(html_text(text)) == shown
    blanks = visible(" ".join(text.split()))
    markdown = re.sub(r"\\([\\`*_|~$(])", r"\1", markdown_text(text))
    assert html.unescape(markdown) == blanks
    assert "\n" not in latex_text(text) + latex_comment(text) + markdown_text(text)
    assert not re.search(r"(?<!\\)[$&#%_]", latex_text(text))
    assert csv_text(text).lstrip("'") == shown.lstrip("'")
    assert re.fullmatch(r"[^./\\\s][^/\\\s]*", file_name(text))
    assert len(figure_text(text)) <= MAX_FIGURE_CHARACTERS


def test_text_is_cut_in_the_middle():
    assert shortened("a" * 10, 10) == "a" * 10
    assert shortened("a" * 10 + "b" * 10, 9) == "aaaa…bbbb"
    assert shortened("\n" * 1_000_000, 9) == "\\n\\n…\\n\\n"


def test_words_in_a_figure_are_not_changed_when_it_is_put_in_a_page():
    words = 'id="x" href="#y" url(#z) #0072b2 fill: #ffffff'
    svg = f'<?xml?><svg><text id="a" style="fill: #0072b2">{words}</text></svg>'
    assert inline_svg(svg, prefix="p-") == (
        f'<svg><text id="p-a" style="fill: var(--series-0)">{words}</text></svg>'
    )


def test_a_column_name_is_no_formula_either(tmp_path):
    import pandas as pd  # noqa: PLC0415

    write_csv(pd.DataFrame({"=a": [-1.0], "b": ["-c"]}), tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "'=a,b\n-1.0,'-c\n"
