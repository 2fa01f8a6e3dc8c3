"""Settings of a user's own class stand beside its name, and are checked like any other."""

import re
from pathlib import Path

import pytest

from scenarios.check import check
from scenarios.errors import ScenarioError
from scenarios.load import load
from scenarios.schema import json_schema, to_data
from scenarios.variants import variants

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs/examples/own_policy.py"
STUDY = str(Path(__file__).with_name("study.yaml"))
POLICY = f"kind: '{EXAMPLE}:FastOfTheIdle'"


def loaded(policy, *options):
    return load(STUDY, [f"server.policy={{{policy}}}", *options])


def test_what_the_documentation_prints_works_with_its_setting():
    (printed,) = re.findall(r'policy: (\{kind: "own_policy\.py:.*?\})``', EXAMPLE.read_text())
    policy = printed.strip("{}").replace("own_policy.py", str(EXAMPLE))
    scenario = loaded(policy)
    assert scenario.server.policy.settings == {"num": 4}
    assert to_data(scenario)["server"]["policy"] == {
        "kind": f"{EXAMPLE}:FastOfTheIdle",
        "num": 4,
    }


def test_they_are_knobs_of_a_study():
    scenario = loaded(f"{POLICY}, num: 1", "matrix={server.policy.num: [1, 3]}")
    found = {str(each.scenario.server.policy.settings) for each in variants(scenario)}
    assert found == {"{'num': 1}", "{'num': 3}"}


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        (f"{POLICY}, nun: 2", "server.policy.nun: unknown key; did you mean 'num'?"),
        (f"{POLICY}, settings: {{num: 2}}", "server.policy.settings: unknown key; valid here: num"),
    ],
)
def test_wrong_ones_are_told_with_their_place(policy, line):
    with pytest.raises(ScenarioError, match=re.escape(line)):
        check(loaded(policy))


def test_those_of_a_method_stand_beside_its_options():
    method = f"kind: '{ROOT}/docs/examples/own_method.py:Any', label: mine, rank: 3"
    scenario = load(STUDY, [f"methods=[{{{method}}}]"])
    (found,) = scenario.methods
    assert (found.label, found.settings) == ("mine", {"rank": 3})
    assert to_data(scenario)["methods"][0]["rank"] == 3


def test_an_editor_is_told_that_any_key_may_stand_there():
    told = json_schema()["$defs"]["OwnPolicyConfig"]
    assert told["additionalProperties"] is True
    assert told["properties"].keys() == {"kind"}
