import json
import re
from html.parser import HTMLParser

import pytest

from analysis.errors import ResultError
from analysis.page import inline_svg
from analysis.report import write_report
from tests.analysis.synthetic import METHODS, write_results


@pytest.fixture(scope="module")
def written(study):
    return write_report(study)


class Page(HTMLParser):
    """Collects ids, references and loaded resources of a page."""

    VOID = frozenset({"meta", "br", "path", "use", "rect", "link", "input"})

    def __init__(self):
        super().__init__()
        self.ids, self.references, self.loads, self.stack = [], [], [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        for name, value in found.items():
            if name in {"href", "xlink:href"} and (value or "").startswith("#"):
                self.references.append(value[1:])
            self.references += re.findall(r"url\(#([^)]*)\)", value or "")
        if tag in {"script", "img", "iframe", "link", "object", "embed"}:
            self.loads.append(tag)
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.stack.pop() == tag


@pytest.fixture(scope="module")
def page(written):
    parsed = Page()
    parsed.feed(written.index.read_text(encoding="utf-8"))
    assert parsed.stack == []
    return parsed


def test_everything_named_is_on_disk(written, study):
    assert written.index == study / "report.html"
    for figure in written.figures:
        for path in (figure.png, figure.svg, figure.csv):
            assert path.stat().st_size > 0
    for table in written.tables:
        for ending in ("csv", "md", "tex"):
            assert (study / "tables" / f"{table.name}.{ending}").stat().st_size > 0
    links = re.findall(r'<a href="([^"]*)"', written.index.read_text())
    assert len(links) == 3 * (len(written.figures) + len(written.tables))
    assert all((study / link).is_file() for link in links)


def test_page_asks_for_nothing_else(written, page):
    assert page.loads == []
    text = written.index.read_text()
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert not re.search(r"@import|url\((?!#)", text)


def test_ids_are_unique_and_references_resolve(page):
    assert len(page.ids) == len(set(page.ids)) > 50
    assert set(page.references) <= set(page.ids)


def test_page_tells_provenance_clocks_and_gaps(written):
    text = written.index.read_text()
    for part in (
        "Two clocks.",
        "sha256:5d41402abc4b2a76",
        "torch 2.13.0",
        "0123abc",
        "seed 3: interrupted after 9 rounds; left out of means",
        "not reached",
        "name: synthetic",
    ):
        assert part in text


def test_colours_follow_the_theme(written):
    text = written.index.read_text()
    drawn = text[text.index("<svg") :]
    assert "var(--series-1)" in drawn
    assert "#d55e00" not in drawn
    assert "prefers-color-scheme: dark" in text


def test_same_rows_same_bytes(written, study, tmp_path):
    again = write_results(tmp_path / study.name, cut={("fedtt_r5", 3): 9})
    second = write_report(again)
    for first_path in sorted(study.rglob("*")):
        if first_path.is_file():
            other = again / first_path.relative_to(study)
            assert other.read_bytes() == first_path.read_bytes(), first_path.name
    assert second.notes == written.notes


def test_text_of_the_study_cannot_become_markup(tmp_path):
    folder = write_results(tmp_path / "out", methods=METHODS[1:2], seeds=(1,), num_rounds=2)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["name"] = manifest["variants"][0]["label"] = "<script>alert(1)</script> & $x$"
    manifest["cost_label"] = "<b>large</b>"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    text = write_report(folder).index.read_text()
    assert "<script" not in text
    assert "<b>large" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; $x$" in text


def test_study_without_targets_or_transfers(tmp_path):
    folder = write_results(tmp_path / "out", methods=METHODS[:1], seeds=(1, 2), num_rounds=2)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["targets"] = {}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    report = write_report(folder)
    assert [table.name for table in report.tables] == [
        "summary",
        "who_counts",
        "participation",
        "runs",
    ]
    assert "accuracy_personal" in [figure.name for figure in report.figures]


def test_unusable_folder_is_left_as_it_was(tmp_path):
    with pytest.raises(ResultError, match=r"no manifest\.json"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_inlined_ids_get_the_prefix():
    svg = '<?xml?><svg><metadata>x</metadata><g id="a"/><use href="#a" clip-path="url(#a)"/></svg>'
    assert inline_svg(svg, prefix="p-") == (
        '<svg><g id="p-a"/><use href="#p-a" clip-path="url(#p-a)"/></svg>'
    )
