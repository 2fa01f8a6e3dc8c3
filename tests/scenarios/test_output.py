import contextlib
import errno
import io
import os
import subprocess
import sys

import pytest
from rich.table import Table

from scenarios import output
from scenarios.cli import main
from scenarios.errors import AnswerLostError
from scenarios.output import MAX_LINE, MAX_LINES, MutedStream, bounded, complain, say
from scenarios.progress import Bars, RunProgress
from tests.analysis.synthetic import METHODS, write_results

NASTY = "[red]x[/blue] [/] :smile: \x1b[2J"


class Stream(io.StringIO):
    """A stream whose every write fails."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))


def command(*arguments, redirect=""):
    """Run the command in a shell; give exit code and what was said on standard error."""
    line = '"$0" -m scenarios.cli "$@" ' + redirect
    done = subprocess.run(
        ["sh", "-c", line, sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(write_results(tmp_path_factory.mktemp("out"), methods=METHODS[1:3], num_rounds=2))


@pytest.mark.parametrize("arguments", [["--help"], ["report", "FOLDER"]], ids=" ".join)
def test_a_full_standard_output_is_one_line_and_a_failure(arguments, folder):
    given = [folder if each == "FOLDER" else each for each in arguments]
    assert command(*given, redirect=">/dev/full") == (
        1,
        "airtune: standard output: cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize(
    "arguments",
    [["list", "scenarios"], ["compare", "FOLDER", "--target", "accuracy=0.5"]],
    ids=" ".join,
)
def test_a_closed_standard_output_is_quiet(arguments, folder):
    given = [folder if each == "FOLDER" else each for each in arguments]
    assert command(*given, redirect=">&-") == (0, "")


@pytest.mark.parametrize("redirect", ["2>/dev/full", "<&- >&- 2>&-"])
def test_lost_complaints_keep_their_exit_code(redirect):
    assert command("report", "nowhere", redirect=redirect) == (2, "")


def test_bad_input_stays_bad_input_when_nobody_takes_the_answer():
    code, said = command("report", "nowhere", "--json", redirect=">/dev/full")
    assert code == 2
    assert said.splitlines() == [
        "airtune: nowhere: no such result folder",
        "airtune: standard output: cannot be written: No space left on device",
    ]


def test_what_a_library_prints_to_a_closed_stream_is_in_no_file(tmp_path):
    code = (
        "import os, sys\nfrom scenarios.output import fill_closed_streams\n"
        "fill_closed_streams()\n"
        "file = open(sys.argv[1], 'w')\n"
        "os.write(1, b'from C')\nos.write(2, b'from C')\n"
        "print('x'); print('y', file=sys.stderr)\n"
        "file.close()\n"
    )
    path = tmp_path / "rows.csv"
    line = '"$0" -c "$1" "$2" >&- 2>&-'
    done = subprocess.run(["sh", "-c", line, sys.executable, code, str(path)], check=False)
    assert done.returncode == 0
    assert path.read_bytes() == b""


def test_lines_are_bounded_in_length_and_number(capsys):
    complain(["x" * 2_000_000, *(f"line {number}" for number in range(300))], as_json=False)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == MAX_LINES + 1
    assert lines[0] == f"airtune: {'x' * 250}…{'x' * 249}"
    assert lines[-1] == f"airtune: and {301 - MAX_LINES} more"
    assert max(map(len, lines)) == MAX_LINE + len("airtune: ")
    assert bounded(["short"]) == ["short"]


def test_a_line_is_one_line_and_no_control_sequence(capsys):
    complain(["a\nb\x1b[2J\u2028c\u202ed\udcff"], as_json=False)
    assert capsys.readouterr().err == "airtune: a\\nb\\x1b[2J\\u2028c\\u202ed\\udcff\n"


def test_an_argument_of_any_length_is_complained_of_in_bounds(capsys):
    with pytest.raises(SystemExit):
        main(["run", "x", "--jobs", "9" * 10_000 + "x"])
    assert max(map(len, capsys.readouterr().err.splitlines())) < MAX_LINE + 50


def test_an_encoding_that_lacks_a_character_gets_its_escape(monkeypatch):
    file = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, encoding="ascii"))
    say("0.5 ± 0.1 \udcff")
    assert file.getvalue() == b"0.5 \\xb1 0.1 \\udcff\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_an_answer_that_cannot_be_written_is_an_error(monkeypatch, number):
    monkeypatch.setattr(sys, "stdout", Stream(number))
    table = Table()
    for answer in ("text", table):
        with pytest.raises(AnswerLostError, match="standard output: cannot be written"):
            say(answer)


def test_a_reader_that_left_misses_the_rest_quietly(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Stream(errno.EPIPE))
    say("text")


def test_a_muted_stream_stays_silent():
    stream = MutedStream(Stream(errno.ENOSPC))
    assert stream.write("abc") == 3
    stream.flush()
    assert stream.encoding is None


@pytest.mark.parametrize("is_terminal", [False, True])
def test_names_of_runs_are_text_not_markup(monkeypatch, is_terminal):
    file = io.StringIO()
    console = output.Console(file=file, force_terminal=is_terminal, width=200)
    monkeypatch.setattr("scenarios.progress.error_console", lambda: console)
    progress = RunProgress(variant=NASTY, seed=1, round=1, num_rounds=2, simulated_s=1.0,
                           energy_j=2.0, metric="accuracy", value=0.5)  # fmt: skip
    with Bars(1) as bars:
        bars.advance(progress)
        bars.finish(NASTY, 1, "done", 3.0)
    assert r"[red]x[/blue] [/] :smile: \x1b[2J seed 1" in file.getvalue()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE])
def test_bars_go_on_where_nobody_sees_them(monkeypatch, number):
    monkeypatch.setattr(sys, "stderr", Stream(number))
    with contextlib.closing(sys.stderr), Bars(1) as bars:
        bars.finish("fedit", 1, "done", 3.0)


def test_a_new_study_on_a_full_disk_leaves_no_half_file(tmp_path, capsys, file_limit):
    path = tmp_path / "mine.yaml"
    with file_limit(100):
        assert main(["new", str(path)]) == 1
    assert capsys.readouterr().err == f"airtune: {path}: cannot be written: File too large\n"
    assert not path.exists()
