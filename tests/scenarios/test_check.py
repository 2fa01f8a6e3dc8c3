import dataclasses

import pytest

from fl.clients.devices import DEVICES, draw_devices
from scenarios.check import check
from scenarios.errors import ScenarioError
from scenarios.load import load
from scenarios.prepare import streams_of
from tests.scenarios.conftest import SMALL


def seeds_without_and_with(device, shares, num_clients):
    """Give a seed under which no client has the device, and one under which some client has."""
    found = {}
    for seed in range(1, 200):
        drawn = draw_devices(shares, num_clients=num_clients, streams=streams_of(seed))
        found.setdefault(any(each.name == device for each in drawn), seed)
    return found[False], found[True]


def test_devices_of_every_seed_must_hold_a_step(monkeypatch):
    """An entry phone with too little memory turns up under the later seed only."""
    tiny = dataclasses.replace(DEVICES["phone_low"], memory_bytes=2**20)
    monkeypatch.setitem(DEVICES, "phone_low", tiny)
    shares = {"phone_low": 0.3, "laptop": 0.7}
    without, with_low = seeds_without_and_with("phone_low", shares, 4)
    common = [*SMALL, f"clients.devices={shares}", "methods=[{kind: fedit}]"]
    assert check(load("quickstart", [*common, f"seeds=[{without}]"]))
    for seeds in ([with_low], [without, with_low]):
        with pytest.raises(ScenarioError, match=r"but phone_low has 0\.000977 GiB") as caught:
            check(load("quickstart", [*common, f"seeds={seeds}"]))
        assert len(caught.value.problems) == 1


BROKEN = {
    "raise SystemExit(0)": "does not run: SystemExit: 0",
    "import sys; sys.exit()": "does not run: SystemExit",
    "class Mine(": "does not run: SyntaxError",
    "1 / 0": "does not run: ZeroDivisionError: division by zero",
    "raise ValueError('two\\nlines')": "does not run: ValueError: two lines",
    "class Other: pass": "has no class 'Mine'",
    "class Mine: pass": "needs a method shares",
    "class Mine:\n  shares = print\n  def __init__(self): raise SystemExit(0)": "SystemExit: 0",
    "class Mine:\n  shares = print\n  def __init__(self): raise OSError('a\\nb')": "OSError: a b",
    "class Mine:\n  shares = print\n  def __init__(self, x): pass": "TypeError: ",
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
