from pathlib import Path

import pytest

from netsim.calibration.cases import cases
from netsim.calibration.drop import world_of
from scenarios.errors import ScenarioError
from scenarios.load import LIBRARY, load
from scenarios.template import EXAMPLE_PRESET, annotated_template

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = (LIBRARY / "quickstart.yaml").read_text(encoding="utf-8")
WITHOUT_WORLD = (
    QUICKSTART[: QUICKSTART.index("world:")] + QUICKSTART[QUICKSTART.index("clients:") :]
)


def write(tmp_path, head, text=WITHOUT_WORLD):
    path = tmp_path / "s.yaml"
    path.write_text(f"{head}\n{text}", encoding="utf-8")
    return path


def test_presets_were_found():
    assert cases()


@pytest.mark.parametrize("name", list(cases()))
def test_a_preset_gives_the_world_that_is_calibrated(name, tmp_path):
    scenario = load(write(tmp_path, f"preset: {name}"))
    assert scenario.world == world_of(cases()[name])
    assert scenario.radio.site_power_dbm == cases()[name].tx_power_dbm
    assert scenario.radio.site_rx_antennas == 1
    assert scenario.radio.uplink_power.max_power_reduction is None


def test_own_keys_win_over_the_preset(tmp_path):
    head = (
        "preset: rural_700_isd1732\n"
        "world: {layout: {kind: single_cell, radius_m: 900}, antenna: {kind: omni},"
        " mobility: {kind: random_direction, speed_mps: 3}}\n"
        "radio: {bandwidth_hz: 20e6}"
    )
    scenario = load(write(tmp_path, head))
    assert scenario.world.layout.radius_m == 900
    assert scenario.world.environment == "rma"
    assert (scenario.radio.bandwidth_hz, scenario.radio.subcarrier_spacing_hz) == (20e6, 15e3)


def test_antennas_that_the_calibration_excludes_are_one_line(tmp_path):
    head = "preset: rural_700_isd1732\nradio:\n  site_rx_antennas: "
    assert load(write(tmp_path, head + "1")).radio.site_rx_antennas == 1
    with pytest.raises(ScenarioError) as caught:
        load(write(tmp_path, head + "4"))
    (line,) = caught.value.problems
    assert line.endswith(
        "s.yaml:3: radio.site_rx_antennas: must be 1 with a preset: rural_700_isd1732 was "
        "calibrated with one antenna, got 4; leave out the one or the other"
    )
    with pytest.raises(ScenarioError, match=r"radio\.site_rx_antennas=8: radio\.site_rx_antennas"):
        load(write(tmp_path, head + "1"), ["radio.site_rx_antennas=8"])


@pytest.mark.parametrize(
    ("study", "got"),
    [
        ("matrix: {radio.site_rx_antennas: [1, 8]}", 8),
        ("cases: {one: {}, many: {radio.site_rx_antennas: 2}}", 2),
        ("cases: {one: {}, whole: {radio: {bandwidth_hz: 10e6, subcarrier_spacing_hz: 15e3}}}", 4),
    ],
)
def test_antennas_of_a_variant_are_one_line_as_well(study, got, tmp_path):
    """A radio that a case sets as a whole has the default of four antennas."""
    text = f"{WITHOUT_WORLD}\n{study}\n"
    line_number = len(text.splitlines()) + 1
    with pytest.raises(ScenarioError) as caught:
        load(write(tmp_path, "preset: rural_700_isd1732", text))
    (line,) = caught.value.problems
    assert line.endswith(
        f"s.yaml:{line_number}: radio.site_rx_antennas: must be 1 with a preset: rural_700_isd1732 "
        f"was calibrated with one antenna, got {got}; leave out the one or the other"
    )


def test_a_variant_may_have_the_one_antenna_of_the_calibration(tmp_path):
    text = f"{WITHOUT_WORLD}\nmatrix: {{radio.site_rx_antennas: [1], radio.bandwidth_hz: [10e6]}}\n"
    assert load(write(tmp_path, "preset: rural_700_isd1732", text)).matrix


def test_an_unknown_preset_is_named_with_its_line(tmp_path):
    with pytest.raises(ScenarioError, match=r"s\.yaml:1: preset: unknown 'rural_70'; did you mean"):
        load(write(tmp_path, "preset: rural_70"))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["presets=uma"], "presets: unknown key; did you mean 'preset'?"),
        (["zzz=1"], "valid here: name, seeds, network, world, radio, clients, data, model,"
         " training, rewards, server, faults, methods, cases, matrix, preset"),
        (["world.preset=uma_mmtc_700_isd500"],
         "world.preset: unknown key; preset stands at the top of the file, see airtune list"),
        (["matrix={preset: [uma_mmtc_700_isd500]}"], "matrix.preset: must not be one of name"),
    ],
)  # fmt: skip
def test_messages_know_the_key(overrides, words):
    with pytest.raises(ScenarioError) as caught:
        load("quickstart", overrides)
    (line,) = caught.value.problems
    assert words in line


def test_the_example_of_a_new_file_and_of_the_readme_is_a_preset():
    assert EXAMPLE_PRESET in cases()
    assert f"\n# preset: {EXAMPLE_PRESET}\n" in annotated_template("mine")
    assert f"`preset: {EXAMPLE_PRESET}`" in (ROOT / "README.md").read_text(encoding="utf-8")
    scenario = load("quickstart", ["world={}", "radio={}", f"preset={EXAMPLE_PRESET}"])
    assert scenario.world == world_of(cases()[EXAMPLE_PRESET])
