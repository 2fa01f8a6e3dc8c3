"""Cases, the matrix, and what of a study may vary."""

import pytest

from scenarios.document import Document
from scenarios.errors import ScenarioError
from scenarios.load import LIBRARY, load
from scenarios.names import folder_name
from scenarios.schema import to_data, validate
from scenarios.variants import variants

ONE = ["methods=[{kind: local}]"]
CASES = (
    "cases={as it is: {}, wide and fair: {radio.bandwidth_hz: 50e6, radio.scheduler: round_robin}}"
)


def problems_of(*assignments):
    with pytest.raises(ScenarioError) as caught:
        load("quickstart", [*ONE, *assignments])
    return caught.value.problems


def test_every_method_runs_in_every_case_with_every_combination_of_the_matrix():
    methods = "methods=[{kind: local}, {kind: head}]"
    scenario = load("quickstart", [methods, CASES, "matrix={training.local_steps: [2, 4]}"])
    found = variants(scenario)
    assert [(each.label, each.scenario.radio.bandwidth_hz) for each in found] == [
        ("Local (as it is, local steps 2)", 20e6),
        ("Local (as it is, local steps 4)", 20e6),
        ("Local (wide and fair, local steps 2)", 50e6),
        ("Local (wide and fair, local steps 4)", 50e6),
        ("Head (as it is, local steps 2)", 20e6),
        ("Head (as it is, local steps 4)", 20e6),
        ("Head (wide and fair, local steps 2)", 50e6),
        ("Head (wide and fair, local steps 4)", 50e6),
    ]
    assert found[2].scenario.radio.scheduler == "round_robin"
    assert found[2].name == "local--case_wideandfair--training.local_steps_2"
    assert found[2].knobs == {"case": "wide and fair", "training.local_steps": 2}
    assert found[2].scenario.cases == found[2].scenario.matrix == {}


def test_a_scenario_with_cases_is_read_back_as_it_was():
    scenario = load("quickstart", [*ONE, CASES])
    assert validate(Document(data=to_data(scenario), source="again")) == scenario


def test_a_matrix_may_refine_what_a_case_sets_whole():
    cases = "cases={flat: {radio.fading: {kind: rician}}, none: {radio.fading: {kind: tdl}}}"
    (line,) = problems_of(cases, "matrix={radio.fading.k_db: [3, 6]}")
    assert "matrix={radio.fading.k_db: [3, 6]}: radio.fading.k_db: unknown key" in line
    found = variants(
        load("quickstart", [*ONE, "cases={flat: {radio.fading: {kind: rician}}}",
                            "matrix={radio.fading.k_db: [3, 6]}"])
    )  # fmt: skip
    assert [each.scenario.radio.fading.k_db for each in found] == [3.0, 6.0]


def test_sections_as_values_are_called_by_their_kinds_where_these_differ():
    policies = "{kind: random, num_clients: 2}, {kind: round_robin, num_clients: 3}"
    found = variants(load("quickstart", [*ONE, f"matrix={{server.policy: [{policies}]}}"]))
    assert [each.name for each in found] == [
        "local--server.policy_random",
        "local--server.policy_round_robin",
    ]
    assert [each.label for each in found] == ["Local (policy random)", "Local (policy round_robin)"]
    assert found[0].told == {"server.policy": "random"}
    assert found[0].scenario.server.policy.num_clients == 2
    policies = "{kind: random, num_clients: 2}, {kind: random, num_clients: 3}"
    found = variants(load("quickstart", [*ONE, f"matrix={{server.policy: [{policies}]}}"]))
    assert "num_clients" in found[0].label


def test_values_are_short_in_folders_and_have_units_in_labels():
    found = variants(load("quickstart", [*ONE, "matrix={radio.bandwidth_hz: [10e6, 20e6]}"]))
    assert [(each.name, each.label) for each in found] == [
        ("local--radio.bandwidth_hz_10e6", "Local (bandwidth 10 MHz)"),
        ("local--radio.bandwidth_hz_20e6", "Local (bandwidth 20 MHz)"),
    ]


@pytest.mark.parametrize("label", ["a:b", "a=b", "a?b", "a\\\\b", "a|b", "a<b", "a*b", "b."])
def test_folders_have_names_that_every_system_takes(label):
    name = folder_name(label, {"world.site_file": "c:x"})
    assert not set(name) & set('<>:"/\\\\|?*= ')
    assert not folder_name(label, {}).endswith(".")


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        ("{a: {}, b: {}}", "cases.b: is the same as cases.a, leave one out"),
        ("{a: {training.local_steps: 2}, b: {training.local_steps: 2}}",
         "cases.b: is the same as cases.a, leave one out"),
        ("{a: {seeds: [1]}}", "cases.a.seeds: must not be one of name, seeds"),
        ("{a: {server: {mode: sync}}}", "cases.a.server: must not be one of name, seeds"),
        ("{a: {radio.fading: {kind: rician}, radio.fading.k_db: 3}}",
         "cases.a.radio.fading.k_db: is set by radio.fading too, set it once"),
        ("{a: {radio.shceduler: round_robin}}", "radio.shceduler: unknown key; did you mean"),
        ("{a: {methods.5.rank: 3}}", "cases.a.methods.5.rank: must not be one of name, seeds"),
        ("{a: {radio.fading.kind.x: 3}}",
         "cases.a.radio.fading.kind.x: radio.fading.kind is the value 'tdl', it has no key 'x'"),
        ("{a: 3}", "cases.a: "),
    ],
)  # fmt: skip
def test_a_faulty_case_is_one_line_with_its_place(cases, words):
    (line,) = problems_of(f"cases={cases}")
    assert line.startswith(f"--set cases={cases}: ")
    assert words in line


def test_a_key_is_not_set_by_a_case_and_by_the_matrix():
    (line,) = problems_of(
        "cases={a: {training.local_steps: 3}}", "matrix={training.local_steps: [2, 4]}"
    )
    assert "cases.a.training.local_steps: is set by training.local_steps too, set it once" in line


def test_the_line_of_a_case_is_named(tmp_path):
    text = """cases:
  fast: {training.local_steps: 2}
  odd:
    radio.bandwidth_hz: 7e6
"""
    library = (LIBRARY / "quickstart.yaml").read_text()
    (tmp_path / "s.yaml").write_text(library + text)
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / "s.yaml", ONE)
    last = len((library + text).splitlines())
    assert f"s.yaml:{last}: radio.bandwidth_hz: " in caught.value.problems[0]


def test_cases_count_among_the_variants():
    many = ", ".join(f"c{n}: {{training.local_steps: {n + 1}}}" for n in range(501))
    (line,) = problems_of(f"cases={{{many}}}")
    assert "cases: must give at most 500 variants, got 1 methods x 501 cases = 501" in line
