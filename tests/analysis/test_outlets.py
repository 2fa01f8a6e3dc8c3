"""Tables in a terminal: upright where they fit, on their side where that does, else in parts."""

import io

import pandas as pd
import pytest
from rich.console import Console

from analysis.outlets import TerminalTable
from analysis.tables import Table


def printed(text: pd.DataFrame, *, width: int) -> list[str]:
    table = Table(name="t", title="A table", numbers=text, text=text)
    stream = io.StringIO()
    Console(file=stream, width=width).print(TerminalTable(table))
    return [line.split() for line in stream.getvalue().splitlines() if line.strip()]


@pytest.fixture
def many_columns():
    heads = {f"number {index}": ["100 ± 200", "300 ± 400"] for index in range(9)}
    return pd.DataFrame({"variant": ["one", "two"], **heads})


def test_a_table_that_fits_stands_upright(many_columns):
    lines = printed(many_columns, width=140)
    assert [line[0] for line in lines if line[0] in ("one", "two")] == ["one", "two"]


def test_one_that_is_too_wide_is_turned_where_that_is_narrower(many_columns):
    lines = printed(many_columns, width=60)
    assert ["variant", "one", "two"] in lines
    assert ["number", "8", "100", "±", "200", "300", "±", "400"] in lines


def test_where_that_is_too_wide_as_well_columns_go_on_below(many_columns):
    lines = printed(many_columns, width=28)
    assert lines.count(["one", "100", "±", "200"]) == 9
    assert lines.count(["two", "300", "±", "400"]) == 9
    assert [line for line in lines if line[:2] == ["variant", "number"]] == [
        ["variant", "number", str(index)] for index in range(9)
    ]


def test_one_that_would_be_wider_on_its_side_stays():
    names = [letter * 12 for letter in "bcdefghijklm"]
    lines = printed(pd.DataFrame({"variant": names, "a": ["1"] * 12}), width=10)
    assert sum(line[-1] == "1" for line in lines) == 12
