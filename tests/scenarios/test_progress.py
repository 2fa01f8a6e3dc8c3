"""What is shown of runs: those that go on are seen on any terminal, failures are told as such."""

import dataclasses
import io
import time

import pytest

from scenarios import output, single
from scenarios.progress import (
    KEPT,
    Bars,
    RunProgress,
    RunStart,
    Several,
    Silent,
)
from scenarios.run import run
from scenarios.variants import variants

LONG = "fedtt_plus rank=16, radio.bandwidth_hz=10000000.0, radio.scheduler=round_robin"


def start(name, seed=1, num_rounds=20):
    return RunStart(variant=name, seed=seed, num_rounds=num_rounds)


def progress(name, number, seed=1, num_rounds=20):
    return RunProgress(variant=name, seed=seed, round=number, num_rounds=num_rounds,
                       simulated_s=12.34 * number, energy_j=1234.56, metric="accuracy",
                       value=0.6512)  # fmt: skip


@pytest.fixture
def terminal(monkeypatch):
    """Make a console of a size, and tell what stands on it at last and what was printed."""

    def make(width, height, *, is_terminal=True):
        file = io.StringIO()
        console = output.Console(
            file=file, force_terminal=is_terminal, width=width, height=height, color_system=None
        )
        monkeypatch.setattr("scenarios.progress.error_console", lambda: console)
        return console, file

    return make


def shown(bars, console):
    """Lines of the live display as it is now."""
    file = io.StringIO()
    plain = output.Console(file=file, width=console.width, force_terminal=True, color_system=None)
    plain.print(bars._progress.get_renderable())
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 110, 200])
def test_a_line_has_name_rounds_simulated_time_joules_and_metric(terminal, width):
    console, _ = terminal(width, 24)
    with Bars(3) as bars:
        bars.begin(start(LONG))
        bars.advance(progress(LONG, 5))
        lines = shown(bars, console)
    text = "\n".join(lines)
    for part in ("5/20", "61.7 s", "1234.6 J", "accuracy", "0.651"):
        assert part in text
    assert "…" not in text
    assert max(map(len, lines)) <= width


def test_runs_that_go_on_are_shown_however_many_have_ended(terminal):
    console, file = terminal(120, 8)
    with Bars(40) as bars:
        for index in range(30):
            bars.begin(start(f"method{index}"))
            bars.advance(progress(f"method{index}", 20))
            bars.finish(f"method{index}", 1, "done", 3.0)
        for index in (30, 31):
            bars.begin(start(f"method{index}"))
            bars.advance(progress(f"method{index}", 5))
        lines = shown(bars, console)
    assert [line.split()[0] for line in lines] == ["all", "method30", "method31"]
    assert "30/40" in lines[0]
    assert "method7 seed 1: done in 3.0 s of host time; 246.8 s simulated" in file.getvalue()


def test_more_runs_than_lines_are_counted(terminal):
    console, _ = terminal(120, 8)
    with Bars(40) as bars:
        for index in range(20):
            bars.begin(start(f"method{index}"))
        lines = shown(bars, console)
        assert len(lines) == 1 + 5
        assert "15 more go on" in lines[0]
        assert lines[1].split()[0] == "method0"
        bars.finish("method0", 1, "done", 1.0)
        lines = shown(bars, console)
    assert "14 more go on" in lines[0]
    assert lines[1].split()[0] == "method1"
    assert lines[5].split()[0] == "method5"


def test_a_run_that_starts_is_shown_before_its_first_round(terminal):
    console, _ = terminal(120, 20)
    with Bars(2) as bars:
        bars.begin(start("fedit"))
        assert any("fedit" in line and "starts" in line for line in shown(bars, console))


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_failed_run_is_told_as_failed(terminal, is_terminal):
    console, file = terminal(120, 20, is_terminal=is_terminal)
    with Bars(2) as bars:
        bars.begin(start("fedit"))
        bars.advance(progress("fedit", 3))
        bars.finish("fedit", 1, "failed", 4.25)
        lines = shown(bars, console) if is_terminal else []
    assert "fedit seed 1: failed after 4.2 s of host time; 37.0 s simulated" in file.getvalue()
    assert not any("fedit" in line for line in lines)


def test_all_runs_move_with_every_round(terminal):
    terminal(120, 20)
    with Bars(4) as bars:
        bars.finish("done_before", 1, KEPT, 9.0)
        bars.begin(start("fedit"))
        bars.advance(progress("fedit", 5))
        assert bars._progress.tasks[0].completed == pytest.approx(1 + 5 / 20)
        bars.finish("fedit", 1, "done", 3.0)
        assert bars._progress.tasks[0].completed == 2


def test_runs_done_before_are_told_where_there_is_no_terminal(terminal):
    for is_terminal, told in ((True, False), (False, True)):
        _, file = terminal(120, 20, is_terminal=is_terminal)
        with Bars(1) as bars:
            bars.finish("fedit", 1, KEPT, 9.0)
        assert ("fedit seed 1: done before" in file.getvalue()) is told


def test_several_are_told_in_order():
    heard = []

    class Ear(Silent):
        def __init__(self, name):
            self.name = name

        def begin(self, start):
            heard.append((self.name, start.variant))

        def finish(self, variant, seed, status, host_s):
            heard.append((self.name, status))

    both = Several([Ear("a"), Ear("b")])
    both.begin(start("x"))
    both.advance(progress("x", 1))
    both.finish("x", 1, "done", 1.0)
    assert heard == [("a", "x"), ("b", "x"), ("a", "done"), ("b", "done")]


def test_a_study_tells_the_begin_and_end_of_runs_and_how_long_a_failed_one_took(
    tmp_path, small, monkeypatch
):
    heard = []

    class Ear(Silent):
        def begin(self, start):
            heard.append(("begin", start.variant, start.seed, start.num_rounds))

        def advance(self, progress):
            heard.append(("round", progress.variant, progress.seed, progress.round))

        def finish(self, variant, seed, status, host_s):
            heard.append((status, variant, seed, host_s > 0.05))

    def failing(variant, seed, **settings):
        if seed == 2:
            time.sleep(0.06)
            raise RuntimeError
        return assemble(variant, seed, **settings)

    assemble = single.assemble
    monkeypatch.setattr(single, "assemble", failing)
    scenario = dataclasses.replace(small, methods=small.methods[:1])
    (variant,) = variants(scenario)
    label = variant.label
    assert run(scenario, out=tmp_path, reporter=Ear()).status == "failed"
    assert heard[0] == ("begin", label, 1, 2)
    assert [each[3] for each in heard if each[0] == "round"][-2:] == [1, 2]
    assert heard[-3:] == [
        ("done", label, 1, True), ("begin", label, 2, 2), ("failed", label, 2, True)
    ]  # fmt: skip
