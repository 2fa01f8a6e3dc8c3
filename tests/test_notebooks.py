"""Notebooks of the documents: they run from top to bottom, and are kept without outputs."""

import ast
import json
import re
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def cells(path, kind):
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def shown(source, names):
    """Run a cell, and return the value of its last line as a notebook shows it."""
    tree = ast.parse(source)
    is_shown = isinstance(tree.body[-1], ast.Expr) and not source.rstrip().endswith(";")
    last = tree.body.pop() if is_shown else None
    exec(compile(tree, "cell", "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


@pytest.fixture
def ran(tmp_path, monkeypatch, capsys):
    """Names, shown values, figures and printed text of the first study, run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    with mpl.rc_context(), plt.ioff():
        plt.switch_backend("agg")
        outputs = [
            shown("".join(cell["source"]), names)
            for cell in cells(FOLDER / "first_study.ipynb", "code")
        ]
        figures = [plt.figure(number) for number in plt.get_fignums()]
        for figure in figures:
            figure.canvas.draw()
        plt.close("all")
    return names, outputs, figures, capsys.readouterr().out


def test_the_first_study_runs_compares_plots_and_exports(ran, tmp_path):
    names, outputs, figures, printed = ran
    tables = [each for each in outputs if hasattr(each, "_repr_html_")]
    assert len(tables) == 3
    assert all(len(each) for each in tables)
    assert len(names["cost"].text) == 6
    assert len(figures) == 2
    for figure in figures:
        (ax,) = figure.axes
        assert {text.get_text() for text in ax.get_legend().get_texts()} == {"FedIT", "Head"}
    assert (tmp_path / "summary.csv").read_text(encoding="utf-8").count("\n") == 3
    assert "FedIT" in (tmp_path / "summary.tex").read_text(encoding="utf-8")
    assert "| FedIT | 3 |" in printed


def test_commands_that_the_notebook_names_are_of_its_own_study():
    (path,) = NOTEBOOKS
    source = "".join(cells(path, "code")[0]["source"])
    words = " ".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    (name,) = re.findall(r'"name=(\w+)"', source)
    folders = set(re.findall(r"airtune \w+ out/(\w+)", words))
    assert folders == {name}
    (target,) = re.findall(r"targets=\{accuracy: ([\d.]+)\}", source)
    assert set(re.findall(r"--target accuracy=([\d.]*\d)", words)) == {target}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path):
    for cell in cells(path, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_notebooks_lead_somewhere(path):
    text = "\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    links = re.findall(r"\]\(([^)#\s]+)", text)
    assert links
    assert not [x for x in links if "://" not in x and not (path.parent / x).is_file()]
