"""The mutation tester changes what runs, in every area, and knows what it may leave out."""

import csv

import pytest

pytest.importorskip("cosmic_ray", reason="the extra airtune[mutants] is not installed")

from tools import mutants as tool


def changes(tmp_path, source):
    (tmp_path / "some.py").write_text(source, encoding="utf-8")
    return [(each.operator, each.line) for each in tool.mutants("some.py", root=tmp_path)]


def test_signs_numbers_and_edges_are_changed(tmp_path):
    source = "def f(a, b):\n    return a + b if a < b else -a\n"
    found = changes(tmp_path, source)
    assert ("ReplaceBinaryOperator_Add_Sub", 2) in found
    assert ("ReplaceComparisonOperator_Lt_LtE", 2) in found
    assert ("ReplaceUnaryOperator_Delete_USub", 2) in found


def test_annotations_are_left_alone(tmp_path):
    assert changes(tmp_path, "def f(a: int | None) -> float | None:\n    return a\n") == []


def test_a_star_among_parameters_is_no_operator(tmp_path):
    source = "def f(a, *, b):\n    return g(*a, **b)\n\n\nc = (2 * 3) * f\n"
    found = [line for name, line in changes(tmp_path, source) if "Binary" in name]
    assert found == [5, 5]


def test_what_only_refuses_wrong_code_is_left_alone(tmp_path):
    source = (
        "@dataclass(frozen=True, slots=True, kw_only=True)\n"
        "class A:\n"
        "    is_on: bool = True\n"
        "pairs = zip(A, A, strict=True)\n"
        "g(strict=True)\n"
    )
    assert changes(tmp_path, source) == [("ReplaceTrueWithFalse", 3), ("ReplaceTrueWithFalse", 5)]


def test_a_change_is_told_by_the_line_after_it(tmp_path):
    (tmp_path / "some.py").write_text("def f(a):\n    return a + 1 + 1\n", encoding="utf-8")
    found = [
        tool.changed_line(each, root=tmp_path)
        for each in tool.mutants("some.py", root=tmp_path)
        if each.operator == "ReplaceBinaryOperator_Add_Sub"
    ]
    assert found == ["return a - 1 + 1", "return a + 1 - 1"]


def test_all_changes_of_one_line():
    change, *_ = tool.sample("energy", count=1, seed=1)
    found = tool.of_lines("energy", [f"{change.path}:{change.line}", "netsim/energy/ledger.py:1"])
    assert change in found
    assert {(each.path, each.line) for each in found} == {(change.path, change.line)}


@pytest.mark.parametrize("area", tool.AREAS)
def test_every_area_has_files_and_tests(area):
    assert tool.sample(area, count=5, seed=1) == tool.sample(area, count=5, seed=1)
    assert len(tool.sample(area, count=5, seed=1)) == 5
    for test in tool.AREAS[area].tests:
        assert (tool.ROOT / test).exists()


def test_a_change_that_a_test_sees_does_not_survive(tmp_path):
    (tmp_path / "some.py").write_text("def f(a, b):\n    return a + b\n", encoding="utf-8")
    (tmp_path / "test_it.py").write_text(
        "from some import f\n\n\ndef test_f():\n    assert f(2, 3) == 5\n", encoding="utf-8"
    )
    (tmp_path / "test_blind.py").write_text("def test_f():\n    assert True\n", encoding="utf-8")
    change = next(tool.mutants("some.py", root=tmp_path))
    seeing = tool.Area(files=("some.py",), tests=("test_blind.py", "test_it.py"))
    blind = tool.Area(files=("some.py",), tests=("test_blind.py",))
    assert not tool.survives(change, seeing, copy=tmp_path)
    assert tool.survives(change, blind, copy=tmp_path)
    assert (tmp_path / "some.py").read_text(encoding="utf-8").endswith("a + b\n")


def test_a_change_that_never_ends_does_not_survive(tmp_path, monkeypatch):
    (tmp_path / "some.py").write_text("n = 3\nwhile n > 0:\n    n = n - 1\n", encoding="utf-8")
    (tmp_path / "test_it.py").write_text(
        "def test_f():\n    import some\n\n    assert some.n <= 0\n", encoding="utf-8"
    )
    monkeypatch.setattr(tool, "NEAR_LIMIT_S", 2)
    area = tool.Area(files=("some.py",), tests=("test_it.py",))
    endless = next(
        each for each in tool.mutants("some.py", root=tmp_path) if "Sub" in each.operator
    )
    assert not tool.survives(endless, area, copy=tmp_path)


def test_excused_changes_name_lines_that_exist():
    with tool.EQUIVALENT.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        lines = (tool.ROOT / row["path"]).read_text(encoding="utf-8").splitlines()
        assert row["line"] in [line.strip() for line in lines], row
        changes = tool.mutants(row["path"])
        assert row["changed"] in [
            tool.changed_line(each)
            for each in changes
            if (each.operator, each.text) == (row["operator"], row["line"])
        ]
        assert row["operator"] in tool.OPERATORS
        assert len(row["reason"]) > 20
