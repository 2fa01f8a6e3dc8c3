"""Bad files of a user's own through the command: one bounded line, its traceback in a file."""

import re
from pathlib import Path

import pytest

from scenarios.cli import main
from tests.scenarios.conftest import SMALL, STUDY, options

METHOD = """
from dataclasses import dataclass, replace
import torch
from fl.methods.averaging import AveragingMethod
from fl.payload import Payload
from fl.peft.install import freeze, head_names, snapshot

class Mine:
    def __init__(self, rank: int = 2): ...
    def install(self, module, *, generator):
        freeze(module)
        head = snapshot(module, head_names(module))
        return Own(kind="own", initial=head, shared=tuple(head))

@dataclass(frozen=True, kw_only=True)
class Own(AveragingMethod):
    """
SCHEDULER = "class Mine:\n    uses_rates = False\n    def shares(self, view):\n        "
POLICY = (
    "class Mine:\n    def __init__(self, num: int = 2): ...\n"
    "    def select(self, view, *, rng):\n        "
)
TRIAL = r"\(in a trial job of one step\)"
UPLOAD = "def upload(self, trained, *, version): "
METHODS = {
    "return {k: trained[k].numpy() for k in self.shared}": (
        UPLOAD,
        rf":17: upload: must return a Payload or None, got dict {TRIAL}$",
    ),
    "yield 1": (UPLOAD, "must return a Payload or None, got generator"),
    "return Payload({k: v[v > v.mean()] for k, v in trained.items()})": (
        UPLOAD,
        r"names and shapes must follow .*: it was \d+ B before training and is \d+ B after it",
    ),
    "return [t.add_(1) for t in trained.values()]": (UPLOAD, "must leave its arguments as they"),
    "return None": (
        "def aggregate(self, state, contributions): ",
        "aggregate: must return a ServerState, got NoneType",
    ),
    "return [1, 2]": (
        "def finish_batches(self, samples, *, batch_size): ",
        "finish_batches: each batch must be an array of whole numbers, got int",
    ),
    "return samples[:0]": (
        "def trained_texts(self, samples, *, batch_size): ",
        "trained_texts: each batch must hold texts out of those that it was given, at least one",
    ),
    "return torch.tensor(float('nan'))": (
        "def penalty(self, parameters, start): ",
        "penalty: must be finite, got nan",
    ),
    "return replace(super().start(*given, **numbers), trainable=())": (
        "def start(self, *given, **numbers): ",
        "start: trainable: must name at least 1 installed tensor, got none",
    ),
    "raise SystemExit(0)": ("def personal(self, trained): ", "personal: SystemExit: 0"),
    "raise type('Mine', (BaseException,), {})('x')": (
        "def personal(self, trained): ",
        "personal: Mine: x",
    ),
}
SCHEDULERS = {
    "view.group_rate_bps[:] = 0": ":4: raised ValueError: assignment destination is read-only",
    "import random; return view.group_rate_bps * 0 + random.random() / 9": (
        "among 1: .*:3: must decide by its view alone, two of its kind gave different answers"
    ),
    "yield 1": ":3: shares must be an array of numbers, got generator",
    "return view.group_rate_bps * float('nan')": r":3: shares must be in \[0, 1\], got nan",
    "raise type('Mine', (BaseException,), {})('x\\n' * 10**6)": r":4: raised Mine: x .*\.\.\.$",
}
POLICIES = {
    "return {1: 2}": ":3: select: must select ids out of 0..3, each at most once, got {1: 2}",
    "return [[1], [1, 2]]": r"got \[\[1\], \[1, 2\]\] \(in round 1, at 0 s\)$",
    "yield 1": "got <generator object",
    "view.candidates.client_id[:] = 7; return [7]": (
        r"ids out of 0..3, .* got \[7\] \(in round 1, at 0 s\)$"
    ),
    "return [0] if view.round == 1 else 1 / 0": (
        r":4: select: ZeroDivisionError: division by zero \(in round 2, at 10 s\)"
    ),
    "raise GeneratorExit": ":4: select: GeneratorExit",
}
FILES = {
    "raise KeyboardInterrupt": ":1: does not run: KeyboardInterrupt",
    "raise SystemExit(0)": ":1: does not run: SystemExit: 0",
    "raise GeneratorExit": ":1: does not run: GeneratorExit",
    "class E(BaseException): ...\nraise E('x')": ":2: does not run: E: x",
    "class Mine(:": ":1: does not run: SyntaxError",
    "class Mien: ...": "has no class 'Mine'",
    "from pathlib import Path\nimport sys\nsys.path.insert(0, str(Path(__file__).parent))\n"
    "import circle": r":4: does not run: ImportError",
}
KEYS = {
    "method": "methods=[{{kind: '{name}'{settings}}}]",
    "scheduler": "radio.scheduler={name}",
    "policy": "server.policy={{kind: '{name}'{settings}}}",
}


def told(tmp_path, capfd, kind, code, *, verb="validate", settings=""):
    """Give exit code and lines of the command for a study with a file of one's own."""
    file = tmp_path / "mine.py"
    file.write_text(code + "\n")
    (tmp_path / "circle.py").write_text("from square import B\nA = 1\n")
    (tmp_path / "square.py").write_text("from circle import A\nB = 1\n")
    common = [each for each in SMALL if kind != "policy" or "policy" not in each]
    name = KEYS[kind].format(name=f"{file}:Mine", settings=settings)
    sets = [*common, "seeds=[1]", *(["methods=[{kind: head}]"] if kind != "method" else []), name]
    arguments = [verb, STUDY, *options(sets)]
    if verb == "run":
        arguments += ["--out", str(tmp_path / "out")]
    code = main(arguments)
    err = capfd.readouterr().err
    assert "Traceback" not in err
    return code, [line for line in err.splitlines() if line.startswith("airtune: ")]


def check_line(found, words):
    """One bounded line and exit code 2; a traceback, where there is one, is in the file named."""
    code, lines = found
    (line,) = lines
    assert code == 2
    assert len(line) <= 520
    message, _, log = line.partition("; traceback: ")
    assert re.search(words, message), line
    if log:
        text = Path(log).read_text()
        Path(log).unlink()
        assert text.startswith("== ")
        assert "Traceback (most recent call last)" in text
        assert "mine.py" in text
    return log


@pytest.fixture
def logs_in(tmp_path, monkeypatch):
    """Logs of a check go where files of this test go."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.usefixtures("logs_in")
@pytest.mark.parametrize("body", METHODS)
def test_a_trial_job_finds_a_faulty_method(tmp_path, capfd, body):
    head, words = METHODS[body]
    found = told(tmp_path, capfd, "method", f"{METHOD}{head}{body}")
    assert bool(check_line(found, words)) == body.startswith("raise")


@pytest.mark.usefixtures("logs_in")
@pytest.mark.parametrize("body", SCHEDULERS)
def test_a_trial_decision_finds_a_faulty_scheduler(tmp_path, capfd, body):
    check_line(told(tmp_path, capfd, "scheduler", SCHEDULER + body), SCHEDULERS[body])


@pytest.mark.usefixtures("logs_in")
@pytest.mark.parametrize("body", POLICIES)
def test_a_trial_decision_finds_a_faulty_policy(tmp_path, capfd, body):
    check_line(told(tmp_path, capfd, "policy", POLICY + body), POLICIES[body])


@pytest.mark.usefixtures("logs_in")
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("code", FILES)
def test_a_file_that_does_not_run_is_a_failed_import(tmp_path, capfd, kind, code):
    check_line(told(tmp_path, capfd, kind, code), FILES[code])


@pytest.mark.parametrize(
    ("kind", "code", "where"),
    [
        ("method", METHOD + "pass", "methods.0.rank"),
        ("policy", POLICY + "return [0]", "server.policy.num"),
    ],
)
def test_a_setting_of_another_type_is_told_like_any_other(tmp_path, capfd, kind, code, where):
    name = where.rpartition(".")[2]
    found = told(tmp_path, capfd, kind, code, settings=f", {name}: two")
    check_line(found, rf"{where}: must be a whole number, got 'two'$")


LATE = {
    "method": (
        METHOD + "def aggregate(self, state, contributions):\n"
        "        if state.version == 1: raise KeyError('a\\nb $x$ =1+1 ' + 'y' * 10**6)\n"
        "        return super().aggregate(state, contributions)",
        r"mine\.py:18: aggregate: KeyError: .*in round 2, 2 contributions\)",
    ),
    "scheduler": (
        SCHEDULER + "if view.now_s > 0: raise KeyError('late')\n"
        "        return view.group_rate_bps * 0 + 1 / len(view.client_id)",
        r"mine\.py:Mine, \w+link of cell \d: .*mine\.py:4: raised KeyError: 'late' at [\d.]+ s of",
    ),
    "policy": (
        POLICY + "return [0] if view.now_s in (0.0, 10.0) else [1 / 0]",
        r"mine\.py:4: select: ZeroDivisionError: .* \(in round 2, at [\d.]+ s\) at [\d.]+ s of",
    ),
}


@pytest.mark.parametrize("kind", LATE)
def test_what_fails_in_a_run_says_when_and_keeps_its_traceback(tmp_path, capfd, kind):
    text, words = LATE[kind]
    code, (line,) = told(tmp_path, capfd, kind, text, verb="run")
    log = tmp_path / "out" / "small" / "error.log"
    message, _, path = line.partition("; traceback: ")
    assert code == 1
    assert len(line) <= 520
    assert Path(path) == log
    assert re.search(words, message), line
    kept = log.read_text()
    assert kept.startswith("== ")
    assert "Traceback (most recent call last)" in kept
    assert 'mine.py", line' in kept
    assert len(kept) < 300_000
    code, _ = told(tmp_path, capfd, kind, text, verb="run")
    assert code == 1  # what has failed is tried again
