import pytest

from netsim.calibration.cases import cases
from netsim.calibration.drop import world_of
from scenarios.errors import ScenarioError
from scenarios.load import LIBRARY, load

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


def test_an_unknown_preset_is_named_with_its_line(tmp_path):
    with pytest.raises(ScenarioError, match=r"s\.yaml:1: preset: unknown 'rural_70'; did you mean"):
        load(write(tmp_path, "preset: rural_70"))
