import dataclasses
import logging
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from transformers.utils import logging as transformers_logging

from fl.clients.config import ClientsConfig
from fl.clients.device_table import DEVICES
from fl.clients.devices import draw_devices
from fl.problems import ModelError
from scenarios import check_learning, shares
from scenarios.check import check
from scenarios.cli import main
from scenarios.errors import ScenarioError
from scenarios.load import load, load_with_places
from scenarios.shares import streams_of
from scenarios.variants import variants
from tests.fl.models import zoo
from tests.scenarios.conftest import SMALL, STUDY, options


def seeds_without_and_with(device, shares, num_clients):
    """Give a seed under which no client has the device, and one under which some client has."""
    found = {}
    for seed in range(1, 200):
        config = ClientsConfig(num_clients=num_clients, devices=shares)
        drawn = draw_devices(config, streams=streams_of(seed))
        found.setdefault(any(each.name == device for each in drawn), seed)
    return found[False], found[True]


def test_devices_of_every_seed_must_hold_a_step(monkeypatch):
    """An entry phone with too little memory turns up under the later seed only."""
    tiny = dataclasses.replace(DEVICES["phone_low"], memory_bytes=1e6)
    monkeypatch.setitem(DEVICES, "phone_low", tiny)
    shares = {"phone_low": 0.3, "laptop": 0.7}
    without, with_low = seeds_without_and_with("phone_low", shares, 4)
    common = [*SMALL, f"clients.devices={shares}", "methods=[{kind: fedit}]"]
    assert check(load("quickstart", [*common, f"seeds=[{without}]"]))
    for seeds in ([with_low], [without, with_low]):
        with pytest.raises(ScenarioError, match=r"but phone_low has 0.001 GB") as caught:
            check(load("quickstart", [*common, f"seeds={seeds}"]))
        assert len(caught.value.problems) == 1


def test_what_variants_share_is_made_once(monkeypatch):
    """The model is loaded and tried once, texts are shared once for every seed, and a method is
    tried and put together once for all that changes no shape."""
    calls = Counter()
    shares._shards.cache_clear()  # what other tests have shared
    for module, name in (
        (check_learning, "backbone_of"),
        (check_learning, "try_backbone"),
        (check_learning, "try_method"),
        (check_learning, "federate"),
        (shares, "partition"),
    ):
        real = getattr(module, name)

        def counted(*arguments, _name=name, _real=real, **named):
            calls[_name] += 1
            return _real(*arguments, **named)

        monkeypatch.setattr(module, name, counted)
    overrides = [
        *SMALL,
        "seeds=[1, 2, 3]",
        "methods=[{kind: fedit, rank: 2}, {kind: fedit, rank: 4}]",
        "matrix={training.learning_rate: [1e-3, 1e-2], training.batch_size: [2, 4],"
        " radio.scheduler: [round_robin, max_ci]}",
    ]
    scenario = load("quickstart", overrides)
    assert len(variants(scenario)) == 16
    check(scenario)
    assert calls == {
        "backbone_of": 1,
        "try_backbone": 1,
        "try_method": 2,
        "federate": 2,
        "partition": 3,
    }


def test_a_model_that_does_not_work_is_tried_once_and_told_of_every_variant(monkeypatch):
    calls = Counter()

    def refuse(backbone, *, train):
        calls["try_backbone"] += 1
        msg = f"model.name: {backbone.name!r} does not work: scores are not finite"
        raise ModelError(msg)

    monkeypatch.setattr(check_learning, "try_backbone", refuse)
    methods = "methods=[{kind: fedit, rank: 2}, {kind: fedit, rank: 4}, {kind: head}]"
    scenario = load("quickstart", [*SMALL, methods])
    found = list(check_learning.find_learning_faults(variants(scenario)))
    assert calls == {"try_backbone": 1}
    assert [variant.label for variant, _ in found] == [each.label for each in variants(scenario)]
    with pytest.raises(ScenarioError) as caught:
        check(scenario)
    (line,) = caught.value.problems
    assert line.endswith("model.name: 'tiny-encoder' does not work: scores are not finite")


def test_of_variants_that_share_a_check_only_those_at_fault_are_named(monkeypatch):
    """In 20 MB a step on 128 texts (on as many as a client has) is too large; on 4 it is not."""
    small = dataclasses.replace(DEVICES["laptop"], memory_bytes=20e6)
    monkeypatch.setitem(DEVICES, "laptop", small)
    overrides = [
        *SMALL,
        "clients.devices={laptop: 1}",
        "methods=[{kind: fedit}]",
        "matrix={training.batch_size: [2, 128, 4], training.local_steps: [1, 2]}",
    ]
    with pytest.raises(ScenarioError, match="a step of fedit on") as caught:
        check(load("quickstart", overrides))
    (line,) = caught.value.problems
    assert re.search(r"on [3-9]\d texts of 64 tokens needs 0\.0\d+ GB of memory", line)


def test_a_fault_of_the_data_is_found_before_torch_is_loaded(tmp_path):
    text = Path(STUDY).read_text(encoding="utf-8")
    text = re.sub(r"data: .*", "data: {source: files, train: gone.csv, test: gone2.csv}", text)
    (tmp_path / "s.yaml").write_text(text)
    code = (
        "import sys; from scenarios.cli import main; code = main(['validate', 's.yaml']); "
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"s.yaml:18: data.train: {tmp_path}/gone.csv does not exist" in done.stderr


BROKEN = {
    "raise SystemExit(0)": "does not run: SystemExit: 0",
    "import sys; sys.exit()": "does not run: SystemExit",
    "class Mine(": "does not run: SyntaxError",
    "1 / 0": "does not run: ZeroDivisionError: division by zero",
    "raise ValueError('two\\nlines')": "does not run: ValueError: two lines",
    "class Other: pass": "has no class 'Mine'",
    "class Mine: pass": "mine.py:1: Mine needs shares(self, view)",
    "class Mine:\n  shares = print\n  def __init__(self): raise SystemExit(0)": "SystemExit: 0",
    "class Mine:\n  shares = print\n  def __init__(self): raise OSError('a\\nb')": "OSError: a b",
    "class Mine:\n  shares = print\n  def __init__(self, x): pass": "x: missing; Mine needs it",
    "class Mine:\n  def shares(self): pass": "mine.py:2: Mine needs shares(self, view)",
    "class Mine:\n  def shares(self, view):\n    return 1 / 0": "mine.py:3: raised ZeroDivision",
    "class Mine:\n  def shares(self, view):\n    return 0": "mine.py:2: shares must have shape",
}


@pytest.mark.parametrize(("code", "words"), BROKEN.items())
def test_a_faulty_scheduler_file_is_one_clear_line(tmp_path, code, words):
    file = tmp_path / "mine.py"
    file.write_text(code + "\n")
    overrides = [*SMALL, "methods=[{kind: local}]", f"radio.scheduler={file}:Mine"]
    with pytest.raises(ScenarioError) as caught:
        check(load("quickstart", overrides))
    (line,) = caught.value.problems
    assert words in line
    assert "\n" not in line


@pytest.fixture
def texts(tmp_path):
    """Settings of a study on texts that the tokenizers of the zoo know."""
    for name, first in (("train", 0), ("test", 20)):
        rows = [
            f"{zoo.WORDS[row % 7]} the {zoo.WORDS[row % 11 + 14]} of all nodes,{'ab'[row % 2]}"
            for row in range(first, first + 40)
        ]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    files = f"train: {tmp_path}/train.csv, test: {tmp_path}/test.csv"
    kept = [each for each in SMALL if not each.startswith("data.")]
    data = f"data={{source: files, {files}, partition: {{kind: iid}}}}"
    return [*kept, "seeds=[1]", "data=null", data, "model.max_tokens=20"]


METHODS = "[{kind: full}, {kind: fedit, rank: 2}, {kind: fedamole, rank: 2}, {kind: head}]"


@pytest.mark.parametrize("name", ["bert", "deberta", "deberta-v2", "mpnet"])
def test_a_model_is_validated_without_a_word_of_the_library(tmp_path, texts, name, capfd):
    """transformers warns once a process: the memory of that is emptied first."""
    zoo.save(tmp_path / "model", name)
    heard = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())
    library = logging.getLogger("transformers")
    transformers_logging.warning_once.cache_clear()
    settings = [*texts, f"model.name={tmp_path / 'model'}", f"methods={METHODS}"]
    library.addHandler(handler)
    capfd.readouterr()
    try:
        code = main(["validate", STUDY, *options(settings)])
    finally:
        library.removeHandler(handler)
    assert (code, heard, capfd.readouterr().err) == (0, [], "")


@pytest.mark.parametrize(
    ("settings", "is_told"),
    [
        (["model.name=nobody/nothing"], True),
        (["model.max_tokens=100000"], False),
        (["model.name={folder}"], False),
    ],
)
def test_where_folders_are_looked_for_is_told_of_a_name_that_is_none(
    tmp_path, texts, settings, is_told, monkeypatch
):
    def offline(*_args, **_keys):
        msg = "no network"
        raise OSError(msg)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", offline)
    (tmp_path / "empty").mkdir()
    told = [each.format(folder=tmp_path / "empty") for each in settings]
    with pytest.raises(ScenarioError) as caught:
        check(*load_with_places(STUDY, [*texts, "methods=[{kind: head}]", *told]))
    (line,) = caught.value.problems
    assert ("folders are looked for from" in line) == is_told
