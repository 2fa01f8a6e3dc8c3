"""Trackers beside the files: what each is told, and that none of them can stop a study."""

import importlib.machinery
import json
import sys
import types
from pathlib import Path

import pytest

from scenarios.cli import main
from scenarios.errors import ScenarioError
from scenarios.progress import RunProgress, RunStart
from scenarios.trackers import TRACKERS, Trackers
from tests.scenarios.conftest import SMALL, STUDY, options

TOP = Path(__file__).resolve().parents[2]
START = RunStart(variant="fedit", seed=3, num_rounds=2)
STEP = RunProgress(variant="fedit", seed=3, round=1, num_rounds=2, simulated_s=1.5, energy_j=20.0,
                   metric="accuracy", value=0.25)  # fmt: skip
NUMBERS = {"simulated_s": 1.5, "energy_j": 20.0, "accuracy": 0.25}
SETTINGS = {"method": "fedit", "rank": 8, "seed": 3}


class Recorder:
    """Notes every call of every name."""

    def __init__(self, calls, name="", result=None):
        self.calls, self.name, self.result = calls, name, result

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Recorder(self.calls, f"{self.name}.{name}".strip("."), self.result)

    def __call__(self, *args, **kwargs):
        self.calls.append((self.name, args, kwargs))
        return Recorder(self.calls, self.name)


@pytest.fixture
def fake(monkeypatch):
    """Put a recorder in the place of a module; give its calls."""

    def put(name, **attributes):
        calls = []
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__getattr__ = lambda key: getattr(Recorder(calls), key)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
        return calls

    return put


def track(name, folder, *, ends="done"):
    settings = {"fedit": {"method": "fedit", "rank": 8}}
    with Trackers([name], study="mine", folder=folder, settings=settings) as trackers:
        trackers.begin(START)
        trackers.advance(STEP)
        if ends:
            trackers.finish("fedit", 3, ends, 9.0)


def test_tensorboard_gets_scalars_by_round(fake, tmp_path):
    fake("tensorboard")
    calls = fake("torch.utils.tensorboard")
    track("tensorboard", tmp_path)
    (name, _, how) = calls[0]
    assert (name, how) == (
        "SummaryWriter", {"log_dir": f"{tmp_path}/tensorboard/mine/fedit seed 3"},
    )  # fmt: skip
    scalars = [(*args, how["global_step"]) for name, args, how in calls if "add_scalar" in name]
    assert scalars == [(key, value, 1) for key, value in NUMBERS.items()]
    assert calls[-1][0].endswith("close")


def test_trackio_gets_a_run_of_a_project(fake, tmp_path):
    calls = fake("trackio")
    track("trackio", tmp_path)
    assert calls == [
        ("init", (), {"project": "mine", "name": "fedit seed 3", "config": SETTINGS}),
        ("init.log", (NUMBERS,), {"step": 1}),
        ("init.finish", (), {}),
    ]


@pytest.mark.parametrize(("ends", "code"), [("done", 0), ("failed", 1), (None, 1)])
def test_wandb_is_offline_unless_told_otherwise(fake, tmp_path, monkeypatch, ends, code):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    calls = fake("wandb")
    track("wandb", tmp_path, ends=ends)
    assert calls[0][2] == {
        "project": "mine", "name": "fedit seed 3", "config": SETTINGS, "dir": str(tmp_path),
        "mode": "offline", "reinit": "create_new",
    }  # fmt: skip
    assert calls[1:] == [
        ("init.log", (NUMBERS,), {"step": 1}), ("init.finish", (), {"exit_code": code}),
    ]  # fmt: skip
    monkeypatch.setenv("WANDB_MODE", "online")
    track("wandb", tmp_path)
    assert calls[3][2]["mode"] == "online"


@pytest.mark.parametrize(("ends", "status"), [("done", "FINISHED"), ("failed", "FAILED")])
def test_mlflow_gets_a_run_of_an_experiment(fake, tmp_path, monkeypatch, ends, status):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    calls = fake("mlflow")
    track("mlflow", tmp_path, ends=ends)
    assert calls[0] == ("MlflowClient", (), {"tracking_uri": f"file://{tmp_path}/mlruns"})
    metrics = [(args[1:], how) for name, args, how in calls if name.endswith("log_metric")]
    assert metrics == [((key, value), {"step": 1}) for key, value in NUMBERS.items()]
    params = [args[1:] for name, args, _ in calls if name.endswith("log_param")]
    assert dict(params) == SETTINGS
    assert calls[-1][2] == {"status": status}


def test_an_absent_package_is_one_line_and_bad_input(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    out = tmp_path / "out"
    assert main(["run", STUDY, "--track", "wandb", "--out", str(out)]) == 2
    assert capsys.readouterr().err == (
        "airtune: --track wandb: is not installed; pip install 'airtune[wandb]' adds it\n"
    )
    assert not out.exists()
    with pytest.raises(ScenarioError, match="--track wandb: is not installed"):
        Trackers(["wandb"], study="x", folder=out, settings={})


@pytest.mark.parametrize("fails", ["init", "log", "finish"])
def test_a_tracker_that_fails_is_told_once_and_left_out(fake, tmp_path, capsys, fails):
    calls = fake("trackio")

    class Run:
        def log(self, numbers, *, step):
            calls.append("log")
            if fails == "log":
                raise RuntimeError

        def finish(self):
            calls.append("finish")
            if fails == "finish":
                raise RuntimeError

    def init(**settings):
        calls.append("init")
        if fails == "init":
            raise RuntimeError
        return Run()

    sys.modules["trackio"].init = init
    with Trackers(["trackio"], study="mine", folder=tmp_path, settings={}) as trackers:
        for _ in range(2):
            trackers.begin(START)
            trackers.advance(STEP)
            trackers.finish("fedit", 3, "done", 1.0)
    assert calls == ["init", "log", "finish"][: ["init", "log", "finish"].index(fails) + 1]
    told = "airtune: --track trackio: failed, left out from here on: RuntimeError: \n"
    assert capsys.readouterr().err.replace("RuntimeError:\n", "RuntimeError: \n") == told


def test_runs_that_were_done_before_and_runs_at_once_are_kept_apart(fake, tmp_path):
    calls = fake("trackio")
    with Trackers(["trackio"], study="mine", folder=tmp_path, settings={}) as trackers:
        trackers.finish("fedit", 1, "done before", 1.0)
        for seed in (1, 2):
            trackers.begin(RunStart(variant="fedit", seed=seed, num_rounds=2))
    assert [how.get("name") for _, _, how in calls] == ["fedit seed 1", "fedit seed 2", None, None]


def test_a_study_is_tracked_beside_its_files(fake, tmp_path, capsys):
    calls = fake("trackio")
    words = ["run", STUDY, *options(SMALL), "--set", "methods=[{kind: head}]", "--seeds", "1"]
    words += ["--no-store", "--track", "trackio", "--json", "--out", str(tmp_path)]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["folder"] == str(tmp_path / "small")
    assert calls[0][2]["config"] == {"method": "head", "seed": 1}
    steps = [how["step"] for name, _, how in calls if name == "init.log"]
    assert steps[-1] == 2
    assert steps == sorted(steps)
    assert calls[-1][0] == "init.finish"
    assert (tmp_path / "small" / "report.html").is_file()


def test_every_tracker_has_an_extra():
    text = (TOP / "pyproject.toml").read_text("utf-8")
    for name in TRACKERS:
        assert f'\n{name} = ["{name}' in text


def test_tensorboard_reads_what_was_written(tmp_path):
    place = "tensorboard.backend.event_processing.event_accumulator"
    reader = pytest.importorskip(place, reason="needs the extra airtune[tensorboard]")
    track("tensorboard", tmp_path)
    events = reader.EventAccumulator(str(tmp_path / "tensorboard" / "mine" / "fedit seed 3"))
    events.Reload()
    read = {key: [(each.step, each.value) for each in events.Scalars(key)] for key in NUMBERS}
    assert read == {key: [(1, value)] for key, value in NUMBERS.items()}
