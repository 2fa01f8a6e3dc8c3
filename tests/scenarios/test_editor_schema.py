"""What editors are told of scenario files: the schema agrees with what the program reads."""

import json

import pytest
from ruamel.yaml import YAML

from scenarios.cli import main
from scenarios.editor_schema import FILE_NAME, LINE, MARK, editor_schema
from scenarios.load import LIBRARY, library, load
from scenarios.schema import json_schema

jsonschema = pytest.importorskip("jsonschema", reason="needs the extra airtune[docs]")


@pytest.fixture(scope="module")
def validator():
    schema = editor_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def read(path):
    return YAML(typ="safe", pure=True).load(path.read_text("utf-8"))


@pytest.mark.parametrize("name", list(library()))
def test_scenarios_of_the_library_fit_the_schema(validator, name):
    assert [error.message for error in validator.iter_errors(read(LIBRARY / f"{name}.yaml"))] == []


def test_a_new_file_fits_the_schema_that_lies_beside_it(tmp_path, capsys):
    assert main(["new", str(tmp_path / "mine.yaml")]) == 0
    assert "every key is explained" in capsys.readouterr().out
    text = (tmp_path / "mine.yaml").read_text("utf-8")
    assert text.startswith(LINE)
    assert f"$schema={FILE_NAME}" in text.splitlines()[0]
    schema = json.loads((tmp_path / FILE_NAME).read_text("utf-8"))
    assert (
        list(jsonschema.Draft202012Validator(schema).iter_errors(read(tmp_path / "mine.yaml")))
        == []
    )
    assert load(str(tmp_path / "mine.yaml"), []).name == "mine"


def test_a_preset_fills_in_what_is_required(validator):
    data = read(LIBRARY / "quickstart.yaml")
    del data["world"], data["radio"]["bandwidth_hz"]
    assert not list(validator.iter_errors({"preset": "uma_mmtc_700_isd500", **data}))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("training", "local_step", 3), ("training", "local_steps", 0), ("server", "mode", "sink")],
)
def test_wrong_keys_and_values_do_not_fit(validator, section, key, value):
    data = read(LIBRARY / "quickstart.yaml")
    data[section][key] = value
    assert list(validator.iter_errors(data))


def test_the_schema_is_printed_with_all_keys(capsys):
    assert main(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == editor_schema()
    assert set(json_schema()["properties"]) | {"preset"} == set(printed["properties"])


def test_a_file_of_another_is_not_replaced(tmp_path, capsys):
    other = tmp_path / FILE_NAME
    other.write_text("{}", "utf-8")
    assert main(["new", str(tmp_path / "mine.yaml")]) == 0
    assert other.read_text("utf-8") == "{}"
    assert f"{other}: is not of airtune, it stays" in capsys.readouterr().err
    other.write_text(f'{{"$comment": "{MARK}"}}', "utf-8")
    assert main(["new", str(tmp_path / "yours.yaml")]) == 0
    assert json.loads(other.read_text("utf-8")) == editor_schema()
