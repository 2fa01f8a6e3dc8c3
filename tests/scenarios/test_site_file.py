"""Own sites from a csv file: the same study as in the scenario, and one line for what is wrong."""

import csv
import hashlib
from pathlib import Path

import pytest

from netsim.config.sites import SectorConfig, SiteConfig
from scenarios.cli import main
from scenarios.errors import ScenarioError
from scenarios.load import load
from scenarios.network import cellular_sections
from scenarios.own_files import own_file_digests
from scenarios.site_file import read_site_file
from scenarios.variants import variants
from tests.scenarios.conftest import SMALL, STUDY, options

HEADER = "site,x_m,y_m,height_m,azimuth_deg,tilt_deg,power_dbm"
ROWS = """\
# two sites of an operator
site,x_m,y_m,height_m,azimuth_deg,tilt_deg,power_dbm
north,0,300,30,0,6,43
north,0,300,30,180,,40
south,100,-300,,,,
"""


def write(tmp_path, text):
    path = tmp_path / "sites.csv"
    path.write_text(text, encoding="utf-8")
    return path


def layout(path, **more):
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f"world.layout={{kind: sites, path: {path}{extra}}}"


def test_a_row_is_a_sector_and_empty_cells_are_left_out(tmp_path):
    found = read_site_file(str(write(tmp_path, ROWS)))
    assert found.sites == (
        SiteConfig(x_m=0.0, y_m=300.0, height_m=30.0, sectors=(
            SectorConfig(azimuth_deg=0.0, tilt_deg=6.0, power_dbm=43.0),
            SectorConfig(azimuth_deg=180.0, power_dbm=40.0),
        )),
        SiteConfig(x_m=100.0, y_m=-300.0, sectors=(SectorConfig(),)),
    )  # fmt: skip
    assert found.names == ("north", "south")


def test_without_azimuths_a_row_is_a_site_with_the_sectors_of_the_layout(tmp_path):
    path = write(tmp_path, "site,lat_deg,lon_deg,power_dbm\na,48.1,11.5,40\nb,48.11,11.5,\n")
    scenario = load(STUDY, [*SMALL, layout(path)])
    found = cellular_sections(scenario).world.layout
    assert found.sites == (
        SiteConfig(lat_deg=48.1, lon_deg=11.5, power_dbm=40.0),
        SiteConfig(lat_deg=48.11, lon_deg=11.5),
    )
    assert len(found.cells) == 6


def test_a_changed_file_is_read_anew(tmp_path):
    path = write(tmp_path, ROWS)
    assert len(read_site_file(str(path)).sites) == 2
    write(tmp_path, ROWS + "west,-400,0,,,,\n")
    assert len(read_site_file(str(path)).sites) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must have a header and 1 to 12000 rows, got 0 lines"),
        (f"{HEADER}\n", "must have a header and 1 to 12000 rows, got 1 lines"),
        ("site,x_m,y_m,azimut\na,0,0,1\n", "unknown column 'azimut'; did you mean 'azimuth_deg'?"),
        ("x_m,y_m\n0,0\n", "lacks the column site"),
        ("site,x_m,x_m,y_m\na,0,0,0\n", "must not have a column twice"),
        ("site,x_m,lat_deg\na,0,0\n", "must have the columns x_m and y_m, or lat_deg and lon_deg"),
        ("site,height_m\na,30\n", "must have the columns x_m and y_m, or lat_deg and lon_deg"),
        ("site,x_m,y_m,tilt_deg\na,0,0,3\n", "tilt_deg has no effect without azimuth_deg"),
        ("site,x_m,y_m\na,0\n", "line 2: must have 3 cells, got 2"),
        ("site,x_m,y_m\n\n# remark\na,0,\n", "line 4: y_m: must not be empty"),
        ("site,x_m,y_m\n,0,0\n", "line 2: site: must not be empty"),
        ("site,x_m,y_m\na,0,zero\n", "line 2: y_m: must be a number, got 'zero'"),
        ("site,x_m,y_m\na,0,nan\n", "line 2: y_m: must be a number, got 'nan'"),
        ("site,lat_deg,lon_deg\na,5334000,690000\n", "line 2: lat_deg: must be <= 80, got 5334000"),
        (f"{HEADER}\na,0,0,30,400,,\n", "line 2: azimuth_deg: must be <= 360, got 400"),
        (f"{HEADER}\na,0,0,-1,,,\n", "line 2: height_m: must be > 0, got -1"),
        (f"{HEADER}\na,0,0,30,0,,\na,0,9,30,90,,\n", "line 3: site 'a' must have one place and"),
        ("site,x_m,y_m\na,0,0\na,0,0\n", "line 3: site 'a' must have 1 row without a column azim"),
        (f"{HEADER}\n" + "a,0,0,30,0,,\n" * 13, "line 14: site 'a' must have at most 12 rows"),
        ('site,x_m,y_m\n"a,0,0\n', "unexpected end of data"),
        ("site,x_m,y_m\n\0,0,0\n", "holds null characters"),
        # rules of the network, told with the line
        (f"{HEADER}\na,0,0,30,0,,\na,0,0,30,0,,\n", "line 3 (site a): azimuth_deg: must differ"),
        (f"{HEADER}\na,0,0,90,0,,\n", "line 2 (site a): height_m: must be within 15 and 50"),
        ("site,x_m,y_m\na,0,0\nb,0.3,0.4\n", "line 3 (site b): must be at least 5 m from every"),
        (
            "site,lat_deg,lon_deg\na,10,20\nb,70,80\n",
            "(site a): must lie within 50 km of all other sites, in degrees (not metres",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path, text, words):
    with pytest.raises(ScenarioError) as caught:
        load(STUDY, [*SMALL, layout(write(tmp_path, text))])
    (line,) = caught.value.problems
    assert "world.layout.path: " in line
    assert "sites.csv" in line
    assert words in line
    assert "\n" not in line


def test_a_file_that_is_not_there_is_one_line(tmp_path, capsys):
    override = layout(tmp_path / "absent.csv")
    assert main(["validate", STUDY, "--set", override]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "absent.csv: cannot be read: No such file or directory" in line


def test_sites_told_twice_are_one_line(tmp_path):
    with pytest.raises(ScenarioError) as caught:
        load(STUDY, [*SMALL, layout(write(tmp_path, ROWS), positions_m="[[0, 0]]")])
    (line,) = caught.value.problems
    assert "world.layout: must have one of positions_m, sites and path, got positions_m" in line


def test_a_study_runs_on_the_sites_of_a_file_beside_it(tmp_path, capsys):
    """Rows of sites and cells, digest, map; told in the scenario they give the same rows."""
    path = write(tmp_path, ROWS)
    one = (*SMALL, "seeds=[1]", "methods=[{kind: fedit, rank: 2}]", "server.num_rounds=1")
    told = (
        "world.layout={kind: sites, sites: ["
        "{x_m: 0, y_m: 300, height_m: 30, sectors: [{azimuth_deg: 0, tilt_deg: 6, power_dbm: 43}, "
        "{azimuth_deg: 180, power_dbm: 40}]}, "
        "{x_m: 100, y_m: -300, sectors: [{}]}]}"
    )
    for name, setting in (("read", layout(path)), ("told", told)):
        words = ["run", STUDY, *options([*one, setting]), "--out", str(tmp_path / name)]
        assert main(words) == 0
    read, same = (
        {
            file: (folder / "fedit" / "seed1" / file).read_text(encoding="utf-8")
            for file in ("sites.csv", "cells.csv", "transfers.csv")
        }
        for folder in (tmp_path / "read" / "small", tmp_path / "told" / "small")
    )
    assert read == same
    cells = list(csv.DictReader(read["cells.csv"].splitlines()))
    assert [row["boresight_deg"] for row in cells] == ["90.0", "270.0", ""]
    assert [row["downtilt_deg"] for row in cells] == ["6.0", "9.0", ""]
    assert [row["tx_power_dbm"] for row in cells] == ["43.0", "40.0", "46.0"]
    heights = [row["height_m"] for row in csv.DictReader(read["sites.csv"].splitlines())]
    assert heights == ["30.0", "25.0"]
    scenario = load(STUDY, [*one, layout(path)])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert own_file_digests(variants(scenario)) == {str(path): digest}
    capsys.readouterr()
    picture = ["map", STUDY, *options([*one, layout(path)]), "--out", str(tmp_path / "map.png")]
    assert main(picture) == 0
    assert "2 sites, 3 cells" in capsys.readouterr().out


def test_a_path_is_relative_to_the_scenario(tmp_path, monkeypatch):
    write(tmp_path, ROWS)
    study = tmp_path / "study.yaml"
    text = "\n".join(
        "  layout: {kind: sites, path: sites.csv}" if line.startswith("  layout:") else line
        for line in Path(STUDY).read_text(encoding="utf-8").splitlines()
    )
    study.write_text(text, encoding="utf-8")
    monkeypatch.chdir("/")
    scenario = load(str(study))
    assert scenario.world.layout.path == str(tmp_path / "sites.csv")
    assert len(cellular_sections(scenario).world.layout.own) == 2
