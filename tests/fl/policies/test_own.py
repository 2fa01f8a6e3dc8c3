"""A policy in a file of the user's own: the printed example, and faults in one line."""

import re
from pathlib import Path

import pytest

from fl.policies import asks_clients, build_policy
from fl.policies.own import OwnPolicyConfig
from fl.policies.trial import try_policy
from fl.problems import OwnCodeError
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import SMALLEST, federation

EXAMPLE = Path(__file__).parents[3] / "docs/examples/own_policy.py"


def played(config):
    made = federation(SMALLEST["head"], num_clients=4, num_rounds=2)
    made.policy = build_policy(config)
    made.env.run(until=made.env.process(run_rounds(made)))
    return made


def test_the_example_runs_as_printed():
    assert len([line for line in EXAMPLE.read_text().splitlines() if line]) <= 12
    found = played(OwnPolicyConfig(kind=f"{EXAMPLE}:FastOfTheIdle", settings={"num": 2}))
    assert [row.client_id for row in found.recorder.clients] == [0, 1, 2, 3]


def test_the_page_prints_the_example(tmp_path):
    page = (EXAMPLE.parents[1] / "policies.md").read_text(encoding="utf-8")
    (printed,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert printed.strip() in EXAMPLE.read_text(encoding="utf-8")
    (tmp_path / "mine.py").write_text(printed, encoding="utf-8")
    found = played(OwnPolicyConfig(kind=f"{tmp_path}/mine.py:FastOfTheIdle", settings={"num": 3}))
    assert [row.client_id for row in found.recorder.clients] == [0, 1, 2, 0, 1, 3]


ASKING = """
class Asking:
    def ask(self, view, *, rng):
        return {asked}

    def select(self, view, *, rng):
        return [int(view.candidates.client_id[view.candidates.asked_loss.argmin()])]
"""


def test_a_class_may_ask(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(ASKING.format(asked="[0, 1, 2, 3]"))
    try_policy(OwnPolicyConfig(kind=f"{file}:Asking"), num_clients=4, seed=1)
    assert asks_clients(OwnPolicyConfig(kind=f"{file}:Asking"))
    assert not asks_clients(OwnPolicyConfig(kind=f"{EXAMPLE}:FastOfTheIdle", settings={"num": 3}))
    found = played(OwnPolicyConfig(kind=f"{file}:Asking"))
    assert [row.download_s for row in found.recorder.clients] == [0.0, 0.0]
    file.write_text(ASKING.format(asked="[0, 7]"))
    with pytest.raises(OwnCodeError, match=r"own\.py:3: ask: must ask ids out of 0\.\.3.*\[0, 7\]"):
        played(OwnPolicyConfig(kind=f"{file}:Asking"))


def test_unknown_settings_are_named():
    with pytest.raises(OwnCodeError, match=r"^server\.policy\.nun: unknown key"):
        build_policy(OwnPolicyConfig(kind=f"{EXAMPLE}:FastOfTheIdle", settings={"nun": 2}))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('x')", r"^server\.policy: .*own\.py:3.*KeyError.*in round 1, at 0 s"),
        (
            "return [0, 0]",
            r"^server\.policy: .*own\.py:2: select: must select ids out of 0\.\.3, "
            r"each at most once, got \[0, 0\] \(in round 1, at 0 s\)$",
        ),
        ("return [4]", r"ids out of 0\.\.3, .* got \[4\]"),
        ("return [0.5]", r"got \[0\.5\]"),
        ("return [True]", r"got \[True\]"),
        ("return None", r"got None"),
    ],
)
def test_faults_are_one_line(tmp_path, body, message):
    file = tmp_path / "own.py"
    file.write_text(f"class Mine:\n    def select(self, view, *, rng):\n        {body}\n")
    with pytest.raises(OwnCodeError, match=message) as caught:
        played(OwnPolicyConfig(kind=f"{file}:Mine"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("num_clients", [1, 2, 5])
def test_a_trial_takes_the_example_with_any_number_of_clients(num_clients):
    config = OwnPolicyConfig(kind=f"{EXAMPLE}:FastOfTheIdle", settings={"num": 1})
    try_policy(config, num_clients=num_clients, seed=1)


def test_draws_from_global_generators_are_the_same_in_every_run(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        "import random\nimport numpy as np\nclass Mine:\n"
        "    def select(self, view, *, rng):\n"
        "        first = int(rng.integers(2))\n"
        "        return [first, 2 + (random.randrange(10**6) + np.random.randint(10**6)) % 2]\n"
    )
    chosen = []
    for _ in range(3):
        found = played(OwnPolicyConfig(kind=f"{file}:Mine"))
        chosen.append([row.client_id for row in found.recorder.clients])
    assert chosen[0] == chosen[1] == chosen[2]
