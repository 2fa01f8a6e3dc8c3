"""The mutation tester changes what runs, in every area, and knows what it may leave out."""

import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray", reason="the extra airtune[mutants] is not installed")

from tests.tools.test_equivalent_mutants import excused
from tools import forked_pytest
from tools import mutants as tool
from tools.forked_pytest import Ending, Run, UnchangedRuns, UnchangedTestsError


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


def fate(tmp_path, source, test, operator="ReplaceBinaryOperator"):
    """What comes of the first change of some source, tried on one file of tests."""
    (tmp_path / "some.py").write_text(source, encoding="utf-8")
    (tmp_path / "test_it.py").write_text(test, encoding="utf-8")
    changes = tool.mutants("some.py", root=tmp_path)
    change = next(each for each in changes if each.operator.startswith(operator))
    area = tool.Area(files=("some.py",), tests=("test_it.py",))
    unchanged = UnchangedRuns(tmp_path)
    total = tool.tally([change], area, copy=tmp_path, unchanged=unchanged)
    assert (tmp_path / "some.py").read_text(encoding="utf-8") == source
    return total


SUM = "def f(a, b):\n    return a + b\n"
SEEING = "from some import f\n\n\ndef test_f():\n    assert f(2, 3) == 5\n"
BLIND = "from some import f\n\n\ndef test_f():\n    assert f(2, 0) == 2\n"


def test_a_change_that_a_test_sees_is_killed(tmp_path, capsys):
    total = fate(tmp_path, SUM, SEEING)
    assert (total.killed, total.share, total.misses_goal) == (1, 1.0, False)
    assert total.row()["of_these_timeout"] == 0
    assert capsys.readouterr().out == ""


def test_a_change_that_no_test_sees_survives_and_is_printed(tmp_path, capsys):
    total = fate(tmp_path, SUM, BLIND)
    assert (total.killed, total.row()["survived"], total.share) == (0, 1, 0.0)
    assert total.misses_goal
    assert capsys.readouterr().out == (
        "survived some.py:2 ReplaceBinaryOperator_Add_Sub #0\n  - return a + b\n  + return a - b\n"
    )


def test_the_tests_that_follow_the_nearest_count_as_well(tmp_path):
    (tmp_path / "some.py").write_text(SUM, encoding="utf-8")
    (tmp_path / "test_it.py").write_text(SEEING, encoding="utf-8")
    (tmp_path / "test_blind.py").write_text(BLIND, encoding="utf-8")
    change = next(tool.mutants("some.py", root=tmp_path))
    area = tool.Area(files=("some.py",), tests=("test_blind.py", "test_it.py"))
    unchanged = UnchangedRuns(tmp_path)
    for is_near, ending in ((False, Ending.FAILED), (True, Ending.PASSED)):
        run = tool.try_out(change, area, copy=tmp_path, unchanged=unchanged, is_near=is_near)
        assert run.ending == ending


def test_a_change_that_no_module_of_tests_can_import_is_killed(tmp_path):
    source = "n = 1 + 1\nif n == 0:\n    raise ValueError(n)\n"
    total = fate(tmp_path, source, "import some\n\n\ndef test_f():\n    assert some\n")
    assert total.row()["killed"] == 1
    assert total.row()["error"] == 0


def test_a_change_that_makes_tests_endless_is_killed_and_counted_apart(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(forked_pytest, "LEAST_LIMIT_S", 1.0)
    monkeypatch.setattr(forked_pytest, "LIMIT_FACTOR", 1.5)
    source = "def f(n):\n    while n > 0:\n        n = n - 1\n    return n\n"
    test = "from some import f\n\n\ndef test_f():\n    assert f(3) == 0\n"
    total = fate(tmp_path, source, test, "ReplaceBinaryOperator_Sub_Add")
    row = total.row()
    assert (row["killed"], row["of_these_timeout"], row["survived"]) == (1, 1, 0)
    assert "timeout (the limit of processor time) some.py:3" in capsys.readouterr().out


def test_a_change_that_only_waits_is_stopped_by_the_clock(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(forked_pytest, "LEAST_LIMIT_S", 4.0)
    monkeypatch.setattr(forked_pytest, "LIMIT_FACTOR", 1.5)
    monkeypatch.setattr(forked_pytest, "WALL_FACTOR", 1.0)
    source = "import time\n\n\ndef f():\n    time.sleep(600 - 600)\n"
    test = "from some import f\n\n\ndef test_f():\n    f()\n"
    assert fate(tmp_path, source, test).endings == {Ending.TIMEOUT: 1}
    assert "timeout (no end after " in capsys.readouterr().out


def test_an_internal_error_of_pytest_is_no_kill(tmp_path, capsys):
    (tmp_path / "conftest.py").write_text(
        "def pytest_runtest_protocol(item):\n"
        "    from some import f\n\n"
        "    if f(2, 3) != 5:\n"
        "        raise RuntimeError(f(2, 3))\n",
        encoding="utf-8",
    )
    total = fate(tmp_path, SUM, BLIND)
    assert (total.killed, total.row()["error"], total.row()["survived"]) == (0, 1, 0)
    assert total.share == 0.0
    assert "error (exit code 3 of pytest) some.py:2" in capsys.readouterr().out


def test_tests_that_are_not_found_are_no_kill(tmp_path, capsys):
    test = "import some\n\nif some.f(2, 3) == 5:\n\n    def test_f():\n        assert True\n"
    assert fate(tmp_path, SUM, test).endings == {Ending.ERROR: 1}
    assert "error (exit code 5 of pytest)" in capsys.readouterr().out


def test_a_process_that_is_shot_is_no_kill(tmp_path):
    test = (
        "import os\nimport some\n\n\n"
        "def test_f():\n    if some.f(2, 3) != 5:\n        os.kill(os.getpid(), 9)\n"
    )
    assert fate(tmp_path, SUM, test).endings == {Ending.ERROR: 1}


def test_a_run_that_cannot_begin_is_no_kill(tmp_path):
    run = forked_pytest.run_tests(["test_it.py"], copy=tmp_path / "nowhere", limit_s=30.0)
    assert (run.ending, run.reason) == (Ending.ERROR, "no start of pytest")


def test_what_tests_start_ends_with_them(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import subprocess\nimport sys\nfrom pathlib import Path\n\n\n"
        "def test_f():\n"
        "    wait = 'import time; time.sleep(600)'\n"
        "    process = subprocess.Popen([sys.executable, '-c', wait])\n"
        "    Path('pid').write_text(str(process.pid))\n",
        encoding="utf-8",
    )
    run = forked_pytest.run_tests(["test_it.py"], copy=tmp_path, limit_s=30.0)
    assert run.ending == Ending.PASSED
    pid = int((tmp_path / "pid").read_text())
    state = Path(f"/proc/{pid}/stat")
    for _ in range(100):
        if not state.exists() or state.read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail(f"process {pid} is alive")


def test_tests_that_fail_without_a_change_are_refused(tmp_path):
    wrong = SEEING.replace("5", "6")
    rule = r"^test_it.py: must pass on the unchanged code, got exit code 1 of pytest$"
    with pytest.raises(UnchangedTestsError, match=rule):
        fate(tmp_path, SUM, wrong)
    with pytest.raises(UnchangedTestsError, match=r"got exit code 5 of pytest$"):
        fate(tmp_path, SUM, "import some\n")


def test_a_group_of_tests_is_measured_once_and_sets_its_limit(tmp_path, monkeypatch):
    times_s = iter([4.0, 40.0])

    def measured(tests, *, copy, limit_s):
        assert (copy, limit_s) == (tmp_path, forked_pytest.UNCHANGED_LIMIT_S)
        processor_s = next(times_s)
        return Run(ending=Ending.PASSED, processor_s=processor_s, wall_s=0.0, reason="")

    monkeypatch.setattr(forked_pytest, "run_tests", measured)
    unchanged = UnchangedRuns(tmp_path)
    assert [unchanged.limit_s(tests) for tests in (["a"], ["b"], ["a"])] == [30.0, 200.0, 30.0]


@pytest.mark.parametrize(
    ("endings", "share", "is_missed"),
    [
        ({Ending.FAILED: 8, Ending.TIMEOUT: 1, Ending.PASSED: 1}, 0.9, False),
        ({Ending.FAILED: 9, Ending.ERROR: 2}, 9 / 11, True),
        ({}, None, False),
    ],
)
def test_the_share_is_of_all_that_was_tried(endings, share, is_missed):
    total = tool.Tally(endings=Counter(endings), equivalent=5)
    assert (total.share, total.misses_goal) == (share, is_missed)


@pytest.mark.parametrize(("is_missed", "code"), [(True, 1), (False, 0)])
def test_the_exit_code_tells_whether_an_area_misses_the_goal(monkeypatch, is_missed, code):
    ending = Ending.PASSED if is_missed else Ending.FAILED
    monkeypatch.setattr(tool, "_copy", lambda folder: tool.ROOT)
    monkeypatch.setattr(tool, "_load", lambda names: None)
    monkeypatch.setattr(tool, "tally", lambda *_, **__: tool.Tally(endings=Counter({ending: 3})))
    assert tool.main(["energy", "--sample", "3"]) == code


def test_the_command_stops_where_unchanged_tests_fail(monkeypatch, capsys):
    def refuse(*_, **__):
        msg = "tests/some: must pass"
        raise UnchangedTestsError(msg)

    monkeypatch.setattr(tool, "_copy", lambda folder: tool.ROOT)
    monkeypatch.setattr(tool, "_load", lambda names: None)
    monkeypatch.setattr(tool, "tally", refuse)
    assert tool.main(["energy", "rrc", "--sample", "3"]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "tests/some: must pass\n")


def test_excused_changes_are_changes_of_the_tool():
    for row in excused():
        changes = tool.mutants(row["path"])
        assert row["changed"] in [
            tool.changed_line(each)
            for each in changes
            if (each.operator, each.text) == (row["operator"], row["line"])
        ], row
        assert row["operator"] in tool.OPERATORS
