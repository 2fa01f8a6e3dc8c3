import time
from pathlib import Path

import pytest

from fl.clients.config import DeviceFileConfig
from scenarios.document import Document
from scenarios.errors import ScenarioError
from scenarios.load import library, load
from scenarios.schema import to_data, validate
from scenarios.variants import variants

STUDY = Path(__file__).with_name("study.yaml")
QUICKSTART = STUDY.read_text(encoding="utf-8")


def problems_of(tmp_path, text, overrides=()):
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load(path, list(overrides))
    found = [line.removeprefix(f"{tmp_path}/") for line in caught.value.problems]
    assert all("\n" not in line for line in found)
    return found


def test_library_was_found():
    assert library()


@pytest.fixture(scope="module")
def load_of_library(tmp_path_factory):
    """Load a scenario of the library; one that needs measured logs has made-up ones."""
    trace = tmp_path_factory.mktemp("logs") / "trace.csv"
    trace.write_text("client,time_s,uplink_mbps,downlink_mbps\na,0,1,5\na,1,2,10\n")
    needs = {"measured_5g": [f"network.path={trace}"]}
    return lambda name: load(name, needs.get(name, []))


@pytest.mark.parametrize("name", library())
def test_every_scenario_of_the_library_is_valid(name, load_of_library):
    scenario = load_of_library(name)
    assert scenario.name == name
    assert variants(scenario)


def test_a_study_without_its_measured_logs_says_what_is_missing_and_how_to_make_it(tmp_path):
    with pytest.raises(ScenarioError) as caught:
        load("measured_5g", [f"network.path={tmp_path}/gone.parquet"])
    assert "gone.parquet: there is no such file (airtune traces convert" in caught.value.problems[0]


def test_clients_of_the_library_who_walk_are_mostly_indoors(load_of_library):
    """80 % as in TR 38.901; who drives is not in a building."""
    worlds = [each.scenario.world for name in library() for each in variants(load_of_library(name))]
    speeds = {
        (world.mobility.max_speed_mps, world.indoor_fraction)
        for world in worlds
        if world is not None and world.mobility.kind == "random_waypoint"
    }
    assert speeds == {(1.5, 0.8), (14.0, 0.0)}


@pytest.mark.parametrize("name", library())
def test_a_resolved_scenario_reads_back_equal(name, load_of_library):
    scenario = load_of_library(name)
    assert validate(Document(data=to_data(scenario), source=name)) == scenario


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("bandwidth_hz: 20e6", "bandwith_hz: 20e6",
         ["s.yaml:10: radio.bandwith_hz: unknown key; did you mean 'bandwidth_hz'?"]),
        ("bandwidth_hz: 20e6", "bandwidth_hz: 20 MHz",
         ["s.yaml:10: radio.bandwidth_hz: must be a number, got '20 MHz' (write 2e7: the unit is in the name of the key)"]),
        ("bandwidth_hz: 20e6", "bandwidth_hz: .nan",
         ["s.yaml:10: radio.bandwidth_hz: must be a finite number, got nan"]),
        ("bandwidth_hz: 20e6", "bandwidth_hz: 0",
         ["s.yaml:10: radio.bandwidth_hz: must be one of 5e6, 10e6, 15e6, 20e6"]),
        ("num_clients: 12", "num_clients: true",
         ["s.yaml:16: clients.num_clients: must be a whole number, got True"]),
        ("kind: rayleigh", "kind: raleigh",
         ["s.yaml:12: radio.fading.kind: unknown kind 'raleigh'; did you mean 'rayleigh'?"]),
        ("seeds: [1, 2]", "seeds: []", ["s.yaml:3: seeds: must have at least 1 item, got 0"]),
        ("seeds: [1, 2]", "seeds: [1, 1]", ["s.yaml:3: seeds: must differ, got 1 more than once"]),
        ("name: quickstart\n", "name: quickstart\nname: again\n",
         ["s.yaml:3: name: key stands twice, first in line 2"]),
        ("num_rounds: 15, ", "", ["s.yaml:21: server.num_rounds: missing"]),
        ("wraparound: false", "wraparound: true", ["s.yaml:6: world.layout.wraparound: has no effect"]),
        ("{kind: random, num_clients: 6}", "{kind: random, num_clients: 60}",
         ["s.yaml:21: server.policy.num_clients: must be <= clients.num_clients = 12, got 60"]),
        ("laptop: 0.2", "laptop: 0.3", ["s.yaml:17: clients.devices: shares must sum to 1, got 1.1"]),
        ("laptop: 0.2", "lapdog: 0.2", ["s.yaml:17: clients.devices.lapdog: must be one of"]),
        ("laptop: 0.2", "laptop: much", ["s.yaml:17: clients.devices.laptop: must be a number, got 'much'"]),
        ("laptop: 0.2", "mine: {share: 0.2, sustained_flop_per_s: 60, compute_w: 4 W, memory: 1e9}",
         ["s.yaml:17: clients.devices.mine.sustained_flop_per_s: must be >= 1e+06, got 60",
          "s.yaml:17: clients.devices.mine.compute_w: must be a number, got '4 W' (write 4: the unit",
          "s.yaml:17: clients.devices.mine.memory: unknown key; did you mean 'memory_bytes'?"]),
        ("{phone_mid: 0.5, phone_high: 0.3, laptop: 0.2}", "{path: p.csv, mid: .5, laptop: .5}",
         ["s.yaml:17: clients.devices.path: must stand alone, got mid, laptop beside it"]),
        ("{phone_mid: 0.5, phone_high: 0.3, laptop: 0.2}", "{path: 3}",
         ["s.yaml:17: clients.devices.path: must be the name of a file, got 3"]),
        ("{phone_mid: 0.5, phone_high: 0.3, laptop: 0.2}", "{path: ''}",
         ["s.yaml:17: clients.devices.path: must be the path of a file, got ''"]),
        ("{phone_mid: 0.5, phone_high: 0.3, laptop: 0.2}", "laptop",
         ["s.yaml:17: clients.devices: must be a mapping of keys to values, got 'laptop'"]),
        ("{kind: local, rank: 8}", "{kind: fedit, rank: 8}", ["methods.1: is the same as methods.0"]),
    ],
)  # fmt: skip
def test_each_fault_is_one_line_with_its_place(tmp_path, old, new, expected):
    assert old in QUICKSTART
    found = problems_of(tmp_path, QUICKSTART.replace(old, new, 1))
    assert len(found) == len(expected)
    for line, start in zip(found, expected, strict=True):
        assert start in line


@pytest.mark.parametrize(
    ("key", "home"),
    [("isd_m", None), ("bandwidth_hz", "radio"), ("world.isd_m", "layout"),
     ("radio.k_db", "fading"), ("radio.access.num_users", None), ("kind", None)],
)  # fmt: skip
def test_a_key_that_stands_too_high_is_told_its_place(tmp_path, key, home):
    (line,) = problems_of(tmp_path, QUICKSTART, [f"{key}=3"])
    if home is None:
        assert "it stands in" not in line
    else:
        assert line.endswith(f"{key}: unknown key; it stands in {home}")


def test_a_sector_s_key_at_its_site_is_told_its_place(tmp_path):
    layout = "world.layout={kind: sites, sites: [{x_m: 0, y_m: 0, azimuth_deg: 30}]}"
    (line,) = problems_of(tmp_path, QUICKSTART, [layout])
    assert line.endswith("sites.0.azimuth_deg: unknown key; it stands in sectors")


def test_all_faults_are_reported_at_once(tmp_path):
    text = QUICKSTART.replace("isd_m: 500", "isd_m: -500").replace("rank: 8", "rnk: 8")
    found = problems_of(tmp_path, text)
    assert len([line for line in found if "unknown key; did you mean 'rank'?" in line]) == 3
    assert any("isd_m: must be > 0" in line for line in found)


def test_an_override_is_named_as_the_place(tmp_path):
    (line,) = problems_of(tmp_path, QUICKSTART, ["training.batch_size=none"])
    assert (
        line
        == "--set training.batch_size=none: training.batch_size: must be a whole number, got 'none'"
    )


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["world.layout={kind: hexagonal, num_sites: 1, isd_m: 5}"],
         "--set world.layout={kind: hexagonal, num_sites: 1, isd_m: 5}: world.layout.isd_m: must"),
        (["methods=[{kind: fedit, rank: 0}]"],
         "--set methods=[{kind: fedit, rank: 0}]: methods.0.rank: must be > 0, got 0"),
        (["methods.1={kind: fedit, rank: 0}"], "--set methods.1={kind: fedit, rank: 0}: methods.1"),
        (["methods.1.rank=0"], "--set methods.1.rank=0: methods.1.rank: must be > 0, got 0"),
        (["training.batch_size=0", "training={local_steps: 1, batch_size: -1}"],
         "--set training={local_steps: 1, batch_size: -1}: training.batch_size: must be > 0, got -1"),
        (["training={local_steps: 1}", "training.batch_size=0"],
         "--set training.batch_size=0: training.batch_size: must be > 0, got 0"),
        (["methods=[{kind: local}]",
          "matrix={world.layout: [{kind: hexagonal, num_sites: 1, isd_m: 5}]}"],
         "--set matrix={world.layout: [{kind: hexagonal, num_sites: 1, isd_m: 5}]}: world.layout.isd"),
    ],
)  # fmt: skip
def test_a_line_that_an_option_replaced_is_not_blamed(tmp_path, overrides, expected):
    (line,) = problems_of(tmp_path, QUICKSTART, overrides)
    assert line.startswith(expected)


def test_an_item_of_a_list_is_named_with_its_line(tmp_path):
    outages = "outages:\n    - {site_id: 0, started_at_s: 0, finished_at_s: 1}\n"
    outages += "    - {site_id: 7, started_at_s: 0, finished_at_s: 1}\n"
    text = QUICKSTART.replace("  fading:", f"  {outages}  fading:")
    lines = problems_of(tmp_path, text, ["methods=[{kind: local}]"])
    assert any(line.startswith("s.yaml:14: radio.outages.1.site_id: must") for line in lines), lines


@pytest.mark.parametrize(
    ("rate", "fault"),
    [
        ("{mean_up_s: 0, mean_down_s: 60}", "mean_up_s: must be >= 0.001, got 0"),
        ("{mean_up_s: 60, mean_down_s: -1}", "mean_down_s: must be >= 0.001, got -1"),
        ("{mean_up_s: .inf, mean_down_s: 60}", "mean_up_s: must be a finite number, got inf"),
        ("{mean_up_s: .nan, mean_down_s: 60}", "mean_up_s: must be a finite number, got nan"),
        ("{mean_up_s: 60}", "mean_down_s: missing; it is required"),
        ("{mean_up_s: 60, mean_down_s: 1, site_id: 0}", "site_id: unknown key"),
        ("60", "must be a mapping"),
    ],
)
def test_a_rate_of_outages_that_makes_no_sense_is_one_line(tmp_path, rate, fault):
    (line,) = problems_of(tmp_path, QUICKSTART, [f"radio.outage_rate={rate}"])
    assert f"radio.outage_rate{'' if rate == '60' else '.'}" in line
    assert fault in line


def test_matrix_makes_every_combination_and_names_it():
    scenario = load(str(STUDY), [
        "matrix={radio.scheduler: [round_robin, proportional_fair], training.local_steps: [2, 4]}",
    ])  # fmt: skip
    cells = variants(scenario)
    assert len(cells) == 3 * 2 * 2
    assert len({cell.name for cell in cells}) == len(cells)
    assert cells[0].scenario.radio.scheduler == "round_robin"
    assert cells[0].knobs == {"radio.scheduler": "round_robin", "training.local_steps": 2}


def test_a_wrong_knob_is_named_once(tmp_path):
    text = QUICKSTART + "matrix:\n  radio.shceduler: [round_robin]\n"
    (line,) = problems_of(tmp_path, text)
    assert "s.yaml:27: radio.shceduler: unknown key; did you mean 'scheduler'?" in line
    (line,) = problems_of(tmp_path, QUICKSTART + "matrix: {methods.0.rank: [1]}\n")
    assert "must not be one of" in line


def test_methods_of_one_kind_are_told_apart_by_what_differs():
    names = [cell.name for cell in variants(load(str(STUDY), [
        "methods=[{kind: fedit, rank: 4}, {kind: fedit, rank: 8}, {kind: local, rank: 8}]",
    ]))]  # fmt: skip
    assert names == ["fedit-rank4", "fedit-rank8", "local"]


def test_a_label_is_the_name_and_does_not_rename_others():
    methods = "methods=[{kind: fedit}, {kind: fedit, rank: 4, label: small}, {kind: local}]"
    assert [cell.name for cell in variants(load(str(STUDY), [methods]))] == [
        "fedit",
        "small",
        "local",
    ]
    for label in ("small", "local"):
        twice = methods.replace("{kind: fedit}", f"{{kind: fedit, label: {label}}}")
        with pytest.raises(ScenarioError, match=rf"methods\.\d\.label: '{label}' is the name of"):
            load(str(STUDY), [twice])


@pytest.mark.parametrize(
    ("label", "words"),
    [
        *((name, "must be none of manifest.json, scenario.yaml, report.html, figures, tables")
          for name in ("manifest.json", "scenario.yaml", "report.html", "figures", "Tables")),
        *((name, "must be a name that shows") for name in ("..", ".", ". .", " ", "a\\n", ".x")),
        ("\U0001f600" * 60, "must name a folder of at most 200 bytes, not of 240"),
    ],
)  # fmt: skip
def test_a_label_that_cannot_be_a_folder_is_refused(tmp_path, label, words):
    text = QUICKSTART.replace("{kind: fedit, rank: 8}", f'{{kind: fedit, label: "{label}"}}')
    (line,) = problems_of(tmp_path, text)
    assert line.startswith(f"s.yaml:24: methods.1.label: {words}")


def test_a_class_of_ones_own_has_a_name_that_can_be_a_folder(tmp_path):
    (line,) = problems_of(tmp_path, QUICKSTART, ["methods=[{kind: mine.py:figures}]"])
    assert "methods.0.label: must be none of manifest.json" in line
    own = "methods=[{kind: a.py:Mine}, {kind: b.py:Mine}]"
    (line,) = problems_of(tmp_path, QUICKSTART, [own])
    assert "methods.1.label: 'Mine' is the name of methods.0 already, choose another" in line


@pytest.mark.parametrize(("one", "other"), [("a/b", "a_b"), ("x y", "xy")])
def test_labels_that_give_one_folder_are_refused(tmp_path, one, other):
    methods = f"methods=[{{kind: local, label: {one}}}, {{kind: fedit, label: {other}}}]"
    (line,) = problems_of(tmp_path, QUICKSTART, [methods])
    expected = f"methods.1.label: {other!r} gives the folder of {one!r}, methods.0, choose another"
    assert expected in line


@pytest.mark.parametrize(
    "label", ["noise start, biases frozen", "all-shared", "fedtt_plus-neutral", "v1.2 (a)", "Größe"]
)
def test_ordinary_labels_stay_legal(label):
    methods = f'methods=[{{kind: local}}, {{kind: fedit, label: "{label}"}}]'
    found = variants(load(str(STUDY), [methods]))
    assert [cell.label for cell in found] == ["Local", label]


def test_an_unknown_scenario_name_suggests_one():
    with pytest.raises(ScenarioError, match="did you mean 'quickstart'"):
        load("quikstart")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("0,0,0,0\n0,2,1,0\n0,1,2,0\n", "must increase"),
        ("0,0,0,0\n0,1,9000,0\n", "area"),
        ("0,0,0,0\n0,1,2,0\n", "11 of 12 clients are missing"),
    ],
)
def test_a_faulty_trace_is_refused_before_anything_runs(tmp_path, rows, words):
    trace = tmp_path / "walk.csv"
    trace.write_text("client_id,at_s,x_m,y_m\n" + rows)
    lines = problems_of(tmp_path, QUICKSTART, [f"world.mobility={{kind: trace, path: {trace}}}"])
    assert any("walk.csv" in line and words in line for line in lines), lines


@pytest.mark.parametrize(
    "matrix",
    [
        "server.targets: [{accuracy: 0.5}, {accuracy: 0.6}]",
        "server.targets.accuracy: [0.5, 0.6]",
        "server.target_split: [personal, global]",
        "server: [{mode: sync}]",
        "seeds: [[1], [2]]",
    ],
)
def test_what_a_study_has_once_is_no_knob(tmp_path, matrix):
    (line,) = problems_of(tmp_path, QUICKSTART + f"matrix: {{{matrix}}}\n")
    assert f"matrix.{matrix.partition(':')[0]}: must not be one of name, seeds" in line


@pytest.mark.parametrize("values", ["[5e-3, 1e-3, 5e-3]", "[1, 1.0]"])
def test_a_value_that_stands_twice_is_named(tmp_path, values):
    (line,) = problems_of(tmp_path, QUICKSTART + f"matrix:\n  training.learning_rate: {values}\n")
    assert "s.yaml:27: matrix.training.learning_rate: values must differ, got" in line


def test_values_that_give_one_folder_are_named(tmp_path):
    for name in ("a_b", "a"):
        (tmp_path / name).mkdir()
    places = []
    for place in ("a_b/x.csv", "a/b/x.csv", "test.csv"):
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.write_text("text,label\n")
        places.append(str(path))
    files = f"data={{source: files, partition: {{kind: iid}}, train: {places[0]}, test: {places.pop()}}}"
    lines = problems_of(
        tmp_path, QUICKSTART, ["data=null", files, f"matrix={{data.train: {places}}}"]
    )
    assert len(lines) == 3
    assert all(f"data.train = {places[1]!r} as with {places[0]!r}" in line for line in lines)


def test_a_folder_name_beyond_200_bytes_is_refused(tmp_path):
    long = f"{'d' * 180}.py:Mine"
    (tmp_path / long.partition(":")[0]).write_text("")
    lines = problems_of(tmp_path, QUICKSTART, [f"matrix={{radio.scheduler: [{tmp_path}/{long}]}}"])
    assert len(lines) == 3
    assert all("must be at most 200 bytes, got 2" in line for line in lines)


@pytest.mark.parametrize(
    ("overrides", "kinds"),
    [
        (["matrix={radio.fading.kind: [rayleigh, none]}"], ("rayleigh", "none")),
        (["radio.fading={kind: rician, mode: ergodic}", "radio.scheduler=round_robin",
          "matrix={radio.fading.kind: [rician, rayleigh]}"], ("rician", "rayleigh")),
        (["matrix={radio.fading.kind: [rayleigh, none]}", "radio.fading.kind=rician"],
         ("rayleigh", "none")),
        (["matrix={data.partition.kind: [dirichlet, iid]}"], ("dirichlet", "iid")),
        (["data.partition.kind=iid"], ("iid",)),
    ],
)  # fmt: skip
def test_a_changed_tag_drops_what_its_new_member_has_not(overrides, kinds):
    scenario = load(str(STUDY), ["methods=[{kind: local}]", *overrides])
    cells = variants(scenario)
    has_fading = any("fading" in override for override in overrides)
    found = [
        cell.scenario.radio.fading.kind if has_fading else cell.scenario.data.partition.kind
        for cell in cells
    ]
    assert tuple(found) == kinds
    again = validate(Document(data=to_data(scenario), source="again"))
    assert again == scenario
    assert variants(again) == cells


DEVICE_FILE = """name,share,sustained_flop_per_s,compute_w,memory_bytes
a,1,1e10,4,4e9
"""


def test_a_file_takes_the_place_of_device_classes_and_the_reverse(tmp_path):
    (tmp_path / "phones.csv").write_text(DEVICE_FILE)
    path = tmp_path / "s.yaml"
    path.write_text(QUICKSTART)
    override = f"clients.devices.path={tmp_path / 'phones.csv'}"
    assert load(path, [override]).clients.devices == DeviceFileConfig(
        path=str(tmp_path / "phones.csv")
    )
    knob = f"matrix={{clients.devices.path: [{tmp_path / 'phones.csv'}]}}"
    (first, *_) = variants(load(path, [knob]))
    assert isinstance(first.scenario.clients.devices, DeviceFileConfig)
    path.write_text(
        QUICKSTART.replace("{phone_mid: 0.5, phone_high: 0.3, laptop: 0.2}", "{path: phones.csv}")
    )
    classes = ["clients.devices.phone_low=0.4", "clients.devices.laptop=0.6"]
    assert load(path, classes).clients.devices == {"phone_low": 0.4, "laptop": 0.6}


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["clients.devices.path="], "clients.devices.path: must be text, got None"),
        (["clients.devices.path=''"], "clients.devices.path: must be the path of a file, got ''"),
        (["clients.devices.path=gone.csv"], "clients.devices.path: must be a file, got '"),
        (["clients.devices.path=3"], "clients.devices.path: must be the name of a file, got 3"),
        (
            ["clients.devices.path=gone.csv", "clients.devices.laptop=1"],
            "clients.devices.path: must stand alone, got laptop beside it",
        ),
        (["world.layout={kind: sites, path: ''}"], "world.layout.path: must be the path of a file"),
    ],
)
def test_a_file_that_is_none_is_one_line(tmp_path, overrides, words):
    (line,) = problems_of(tmp_path, QUICKSTART, overrides)
    assert words in line


@pytest.mark.parametrize(
    "overrides",
    [
        ["matrix={radio.fading.k_db: [3, 6], radio.fading.kind: [rician, rayleigh]}"],
        ["matrix={radio.fading.kind: [rician, rayleigh], radio.fading.k_db: [3, 6]}"],
        ["radio.fading.k_db=3", "radio.fading.kind=rayleigh"],
    ],
)
def test_what_was_asked_for_is_not_dropped_with_a_tag(tmp_path, overrides):
    text = QUICKSTART.replace("{kind: rayleigh}", "{kind: rician, k_db: 9}")
    lines = problems_of(tmp_path, text, ["methods=[{kind: local}]", *overrides])
    assert all("radio.fading.k_db: unknown key" in line for line in lines)


@pytest.mark.parametrize("name", ["../esc", "/tmp/x", "x" * 101, "", ".hidden", "a b", "a\\n", "é"])
def test_a_name_that_is_no_plain_folder_is_refused(tmp_path, name):
    (line,) = problems_of(tmp_path, QUICKSTART.replace("name: quickstart", f'name: "{name}"'))
    assert "s.yaml:2: name: must be 1 to 100 letters, digits, '_', '.' or '-'" in line


@pytest.mark.parametrize("tag", ["[rayleigh]", "{a: 1}", "1", "null"])
@pytest.mark.parametrize(
    ("old", "path"),
    [
        ("{kind: rayleigh}", "radio.fading.kind"),
        ("{kind: local, rank: 8}", "methods.0.kind"),
        ("{kind: dirichlet, alpha: 0.5}", "data.partition.kind"),
    ],
)
def test_a_tag_that_is_no_text_is_one_clear_line(tmp_path, old, path, tag):
    (line,) = problems_of(tmp_path, QUICKSTART.replace(old, f"{{kind: {tag}}}"))
    assert f"{path}: must be text, one of" in line


def test_seeds_are_whole_numbers_that_tables_hold(tmp_path):
    assert load(str(STUDY), [f"seeds=[{2**63 - 1}]"]).seeds == (2**63 - 1,)
    (line,) = problems_of(tmp_path, QUICKSTART, [f"seeds=[{2**63}]"])
    assert "seeds.0: must be a whole number of at most 64 bits (19 digits), got 92233" in line


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([f"seeds={list(range(20_000))}"], "seeds: must have at most 1000 items, got 20000"),
        ([f"matrix={{radio.channel_tick_s: {list(range(1, 168))}}}"],
         "matrix: must give at most 500 variants, got 3 methods x 167 values = 501"),
        ([f"matrix={{{', '.join(f'a.k{i}: {list(range(10))}' for i in range(6))}}}"],
         "= 3000000"),
        ([f"seeds={list(range(1000))}", "matrix={training.local_steps: [1, 2, 3, 4]}"],
         "must give at most 10000 runs, got 3 methods x 4 values = 12 variants x 1000 seeds = 12000"),
    ],
)  # fmt: skip
def test_a_study_without_bound_is_refused_at_once(tmp_path, overrides, words):
    started_s = time.process_time()
    (line,) = problems_of(tmp_path, QUICKSTART, overrides)
    assert words in line
    assert time.process_time() - started_s < 5


def test_a_study_of_the_most_variants_is_read_in_seconds():
    started_s = time.process_time()
    steps = f"matrix={{training.local_steps: {list(range(1, 167))}}}"
    assert len(variants(load(str(STUDY), [steps]))) == 498
    assert time.process_time() - started_s < 20


@pytest.mark.parametrize(
    "key", ["clients.num_clients", "training.batch_size", "server.num_rounds", "methods.0.rank"]
)
@pytest.mark.parametrize("value", [f"0x{'f' * 4300}", "9" * 4300, 10**18])
def test_a_whole_number_beyond_use_is_one_line(tmp_path, key, value):
    (line,) = problems_of(tmp_path, QUICKSTART, [f"{key}={value}"])
    assert f"{key}: must be " in line
    assert len(line) < 300
