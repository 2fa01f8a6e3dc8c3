import pytest

from scenarios.document import override, parse_document, read_document
from scenarios.errors import MAX_LINE_CHARACTERS, MAX_PROBLEMS, ScenarioError
from scenarios.yaml_text import MAX_VALUES


def test_numbers_and_text_follow_yaml_1_2():
    data = parse_document("a: 20e6\nb: 1e-3\nc: no\nd: -80\n", source="s").data
    assert data == {"a": 20e6, "b": 1e-3, "c": "no", "d": -80}


def test_every_key_knows_its_line():
    document = parse_document("a: 1\nb:\n  c: [1, {d: 2}]\n", source="s.yaml")
    assert document.place(("b", "c")) == "s.yaml:3"
    assert document.place(("b", "c", 1, "d")) == "s.yaml:3"
    assert document.place(("b", "missing")) == "s.yaml:2"


def test_all_repeated_keys_are_named_with_both_lines():
    with pytest.raises(ScenarioError) as caught:
        parse_document("a: 1\nb: {c: 1, c: 2}\na: 3\n", source="s.yaml")
    assert caught.value.problems == (
        "s.yaml:2: b.c: key stands twice, first in line 2",
        "s.yaml:3: a: key stands twice, first in line 1",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1\nb: 2", "s:2: not valid YAML"),
        ("- 1\n- 2\n", "mapping of keys to values, got list"),
        ("", "got nothing"),
        ("a: b: c", "s:1: not valid YAML"),
        ("a: *nowhere", "not valid YAML"),
    ],
)
def test_what_is_not_a_mapping_is_one_clear_line(text, words):
    with pytest.raises(ScenarioError) as caught:
        parse_document(text, source="s")
    (line,) = caught.value.problems
    assert words in line
    assert "\n" not in line


def test_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(ScenarioError, match="No such file") as caught:
        read_document(tmp_path / "absent.yaml")
    assert len(caught.value.problems) == 1


def test_overrides_replace_add_and_index():
    document = parse_document("a: {b: 1}\nm: [{r: 1}, {r: 2}]\n", source="s")
    changed = override(document, ["a.b=2e6", "a.c=[1, 2]", "m.1.r=5", "x.y=text"])
    assert changed.data == {
        "a": {"b": 2e6, "c": [1, 2]},
        "m": [{"r": 1}, {"r": 5}],
        "x": {"y": "text"},
    }
    assert changed.place(("a", "b")) == "--set a.b=2e6"
    assert document.data["a"] == {"b": 1}


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("a", "KEY.KEY=VALUE"),
        ("=1", "KEY.KEY=VALUE"),
        ("a.b.c=1", "has no key 'c'"),
        ("m.7=1", "items are 0 to 0"),
        ("a.b=[1", "not valid YAML"),
    ],
)
def test_a_wrong_override_is_named(assignment, words):
    document = parse_document("a: {b: 1}\nm: [1]\n", source="s")
    with pytest.raises(ScenarioError, match="--set") as caught:
        override(document, [assignment])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("2024-01-01", "quote it if it is text"),
        ("2024-99-99", "got timestamp"),
        ("!!binary aGk=", "got binary"),
        ("!!set {x, y}", "got set"),
        ("!!omap [x: 1]", "got omap"),
        ("!foo x", "got !foo"),
        ("{[1]: 2}", "a key must be text"),
        ("{1: 2}", "a key must be text"),
        ("{? {b: 1} : 2}", "a key must be text"),
        ("{b: 1, b: 2}", "key stands twice"),
        ("&x [*x]", "must not contain itself"),
        ("&x {b: *x}", "must not contain itself"),
        ("!!int many", "not valid YAML"),
        ("!!bool maybe", "not valid YAML"),
        ("9" * 5000, "a: must be a whole number of at most 64 bits (19 digits), got 5000 char"),
        ("0x" + "f" * 4300, "a: must be a whole number of at most 64 bits (19 digits), got 4302"),
        ("[1, 0x8000000000000000]", "a.1: must be a whole number of at most 64 bits"),
        ("1e999", "a: must be a finite number, got inf"),
        ("[.nan]", "a.0: must be a finite number, got nan"),
        ('"\\ud800"', "a: must be text of whole characters, got a lone surrogate in"),
        ('{"\\ud800": 1}', "a: a key must be text of whole characters, got"),
        ("x" * 1_000_001, "must have at most 1000000 characters"),
        ("[" * 33 + "]" * 33, "nested too deep: at most 32 levels"),
        ("[" * 3000 + "]" * 3000, "nested too deep: at most 32 levels"),
        ("{k: " * 1000 + "1" + "}" * 1000, "nested too deep: at most 32 levels"),
        (
            f"[&a [{'z, ' * 999}], &b [{'*a, ' * 999}], [{'*b, ' * 999}]]",
            f"at most {MAX_VALUES} values",
        ),
    ],
)
def test_yaml_that_is_not_json_is_one_clear_line(value, words):
    with pytest.raises(ScenarioError) as caught:
        parse_document(f"z: 1\na: {value}\n", source="s.yaml")
    (line,) = caught.value.problems
    assert line.startswith("s.yaml:")
    assert words in line
    with pytest.raises(ScenarioError) as caught:
        override(parse_document("z: 1", source="s"), [f"a={value}"])
    (line,) = caught.value.problems
    assert line.startswith("--set a=")
    assert words in line
    assert len(line) < 300


def test_the_line_of_what_is_not_json_is_named():
    with pytest.raises(ScenarioError, match=r"^s\.yaml:3: a\.b: must be a mapping, a list, text"):
        parse_document("z: 1\na:\n  b: 2024-01-01\n", source="s.yaml")


def test_aliases_and_merges_are_read():
    data = parse_document("a: &x {k: 1}\nb: {<<: *x, c: 2}\nc: *x\n", source="s").data
    assert data == {"a": {"k": 1}, "b": {"k": 1, "c": 2}, "c": {"k": 1}}


def test_the_line_of_a_value_without_bound_is_named():
    text = f"z: 1\na:\n  b: 0x{'f' * 4300}\n  c: {'[' * 40 + ']' * 40}\n"
    with pytest.raises(ScenarioError, match=r"^s\.yaml:4: is nested too deep"):
        parse_document(text, source="s.yaml")
    with pytest.raises(ScenarioError, match=r"^s\.yaml:3: a\.b: must be a whole number"):
        parse_document(text.partition("  c:")[0], source="s.yaml")


def test_the_largest_numbers_and_the_deepest_nesting_are_read():
    deepest = "[" * 31 + "]" * 31
    text = f"a: {2**63 - 1}\nb: {-(2**63) + 1}\nc: {deepest}\nd: 0x7fff_ffff\n"
    data = parse_document(text, source="s").data
    assert (data["a"], data["b"], data["d"]) == (2**63 - 1, 1 - 2**63, 0x7FFFFFFF)
    assert str(data["c"]).count("[") == 31


def test_messages_are_bounded_in_length_and_number():
    with pytest.raises(ScenarioError) as caught:
        parse_document("".join("a: 1\n" for _ in range(300)), source="s")
    assert len(caught.value.problems) == MAX_PROBLEMS + 1
    assert caught.value.problems[-1] == f"and {299 - MAX_PROBLEMS} more problems"
    with pytest.raises(ScenarioError) as caught:
        parse_document(f"? {'k' * 5000}\n: !foo x\n", source="s")
    (line,) = caught.value.problems
    assert len(line) == MAX_LINE_CHARACTERS
