"""What has passed is not tried again; whatever could change the answer is."""

import os
import subprocess
import sys

import pytest

from scenarios import check_learning, passed_trials
from scenarios.check import check
from scenarios.errors import ScenarioError
from scenarios.load import load
from scenarios.passed_trials import PassedTrials
from scenarios.variants import variants
from tests.fl.models import zoo
from tests.scenarios.conftest import SMALL

ONE = [*SMALL, "methods=[{kind: fedit}]"]


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("AIRTUNE_TRIALS", str(tmp_path / "trials"))
    return tmp_path / "trials"


@pytest.fixture
def tried(monkeypatch):
    """Count how often models are tried."""
    calls = []
    real = check_learning.try_backbone
    monkeypatch.setattr(
        check_learning, "try_backbone", lambda *a, **k: (calls.append(1), real(*a, **k))[1]
    )
    return calls


def has_passed(settings):
    return PassedTrials(variants(load("quickstart", settings))).has_passed()


def test_what_has_passed_is_not_tried_again(folder, tried):
    facts = check(load("quickstart", ONE))
    assert len(tried) == len(list(folder.iterdir())) == 1
    assert check(load("quickstart", ONE)) == facts
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("setting", "passes"),
    [
        ("radio.bandwidth_hz=10e6", True),  # the radio decides nothing of what is tried
        ("name=other", True),
        ("training.batch_size=5", False),
        ("model.max_tokens=24", False),
        ("seeds=[7]", False),
        ("methods=[{kind: fedit, rank: 3}]", False),
        ("data.max_train_texts=300", False),
        ("clients.num_clients=5", False),
        ("matrix={training.learning_rate: [1e-3, 2e-3]}", False),
    ],
)
def test_another_study_is_tried(folder, setting, passes):
    note_passed(ONE)
    assert has_passed(ONE)
    assert has_passed([*ONE, setting]) is passes


def note_passed(settings):
    PassedTrials(variants(load("quickstart", settings))).note()


def test_other_code_and_other_libraries_are_tried(folder, monkeypatch):
    note_passed(ONE)
    with monkeypatch.context() as patch:
        patch.setattr(passed_trials, "code_digest", lambda packages, libraries: "0")
        assert not has_passed(ONE)
    with monkeypatch.context() as patch:
        patch.setattr(passed_trials, "PACKAGES", ("fl",))
        assert not has_passed(ONE)
    assert has_passed(ONE)


def test_a_model_folder_that_changes_is_tried_again(folder, tmp_path):
    model = zoo.save(tmp_path / "model", "bert")
    settings = [*ONE, f"model.name={model}"]
    note_passed(settings)
    assert has_passed(settings)
    weights = model / "model.safetensors"
    os.utime(weights, ns=(1, 1))
    assert not has_passed(settings)


def test_a_fault_is_found_again(folder, tried):
    """What fails is not noted."""
    bad = [*ONE, "model.max_tokens=4000"]
    for _ in range(2):
        with pytest.raises(ScenarioError):
            check(load("quickstart", bad))
    assert not folder.exists()


def test_own_methods_and_models_of_the_hub_are_tried_each_time(folder):
    own = [*SMALL, "methods=[{kind: docs/examples/own_method.py:Median}]"]
    for settings in (own, [*ONE, "model.name=nobody/none"]):
        note_passed(settings)
        assert not has_passed(settings)
    assert not folder.exists()


def test_off_and_a_folder_that_cannot_be_written_are_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    for value in ("off", str(tmp_path / "file" / "below")):
        monkeypatch.setenv("AIRTUNE_TRIALS", value)
        note_passed(ONE)
        assert not has_passed(ONE)


def test_the_oldest_are_forgotten(folder, monkeypatch):
    monkeypatch.setattr(passed_trials, "MOST_FILES", 2)
    for seed in (1, 2, 3):
        note_passed([*ONE, f"seeds=[{seed}]"])
    assert len(list(folder.iterdir())) == 2
    assert has_passed([*ONE, "seeds=[3]"])


def test_torch_is_not_loaded_for_what_has_passed(folder):
    note_passed([])
    code = (
        "import sys; from scenarios.cli import main; status = main(['validate', 'quickstart']);"
        "sys.exit(status or int('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("quickstart: valid")
