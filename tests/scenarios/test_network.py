"""Studies on networks of given rates: the sections they use, their files, what they refuse."""

import csv
import hashlib
from pathlib import Path

import pytest
import simpy

from analysis.report import write_report
from scenarios.check import check
from scenarios.cli import main
from scenarios.commands import BAD_INPUT
from scenarios.errors import ScenarioError
from scenarios.load import load
from scenarios.network import background_counts, build_network
from scenarios.own_files import own_file_digests
from scenarios.run import run
from scenarios.variants import variants
from tests.scenarios.conftest import SMALL, STUDY, options

CONSTANT = (
    "network={kind: constant, uplink_rate_bps: 1e6, downlink_rate_bps: 4e6, rtt_s: 0.1}",
    "world=null",
    "radio=null",
)
HIERARCHICAL = ("server.mode=hierarchical", "methods=[{kind: ffa_lora}]")
OWN_POLICY = """
class Loudest:
    def __init__(self, column: str):
        self.column = column

    def select(self, view, *, rng):
        values = getattr(view.candidates.links, self.column)
        return [int(view.candidates.client_id[values.argmax()])]
"""


def faults_of(*settings):
    with pytest.raises(ScenarioError) as caught:
        load(STUDY, [*SMALL, *settings])
    return caught.value.problems


def rows(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_cellular_is_what_a_file_without_the_section_means():
    assert load(STUDY).network.kind == "cellular"


@pytest.mark.parametrize("name", ["world", "radio"])
def test_a_cellular_network_needs_its_sections(name):
    (fault,) = faults_of(f"{name}=null")
    assert f"{name}: missing; it is required" in fault


def test_sections_of_a_cellular_network_are_refused_by_the_others():
    world, radio = faults_of(CONSTANT[0])
    assert "world: has no effect: network.kind constant has no radio channel" in world
    assert "radio: has no effect: network.kind constant has no radio channel" in radio


def test_random_outages_of_sites_are_refused_where_there_are_none():
    (fault,) = faults_of(*CONSTANT[:2], "radio={outage_rate: {mean_up_s: 60, mean_down_s: 1}}")
    assert "radio: has no effect: network.kind constant has no radio channel" in fault


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("network.rtt_s=-0.1", "network.rtt_s: must be >= 0, got -0.1"),
        ("network.uplink_rate_bps=0", "network.uplink_rate_bps: must be > 0, got 0"),
        ("network.power={transmit_w: -1}", "network.power.transmit_w: must be >= 0, got -1"),
        ("network.total_uplink_rate_bps=1e9", "network.total_uplink_rate_bps: has no effect"),
        ("network.bandwidth_hz=1e6", "network.bandwidth_hz: unknown key"),
        ("network.kind=konstant", "did you mean 'constant'?"),
        ("server.policy.kind=best_channel", "best_channel needs signal-to-noise ratios"),
        ("server.downlink=broadcast", "network.kind constant has no multicast"),
    ],
)
def test_one_line_of_what_is_wrong(setting, fault):
    (found,) = faults_of(*CONSTANT, setting)
    assert fault in found


@pytest.mark.parametrize(
    ("backhaul", "engine", "works"),
    [
        ("{kind: star, latency_s: 0.01}", "slot", True),
        ("{kind: star, rate_bps: 1e8}", "flow", True),
        ("{kind: star, rate_bps: 1e8}", "slot", False),
    ],
)
def test_the_slot_engine_has_no_sites_that_average_behind_limited_links(backhaul, engine, works):
    settings = [*HIERARCHICAL, f"radio.backhaul={backhaul}", f"radio.engine={engine}"]
    if works:
        assert load(STUDY, [*SMALL, *settings]).server.edge_rounds == 2
        return
    (found,) = faults_of(*settings)
    rule = "radio.engine: must be flow with server.mode hierarchical and limited or cut backhaul"
    assert rule in found


def test_a_network_without_sites_has_none_that_average():
    (found,) = faults_of(*CONSTANT, *HIERARCHICAL)
    rule = "hierarchical needs sites that average: network.kind cellular, got constant"
    assert f"server.mode: {rule}" in found


def test_products_of_lora_are_averaged_at_two_levels(tmp_path):
    """A site gets factors of one rank; it sends those of all its clients, or the matrix."""
    settings = ["server.mode=hierarchical", "methods=[{kind: fedit, rank: 2}]"]
    (found,) = faults_of(*settings)
    assert "averages: products averages their products, ffa_lora freezes one factor" in found
    settings += ["server.averages=products", "server.edge_rounds=2", "seeds=[1]"]
    assert main(["run", STUDY, "--out", str(tmp_path), *options([*SMALL, *settings])]) == 0
    (path,) = tmp_path.rglob("rounds.csv")
    for row in rows(path):
        assert int(row["num_received"]) == int(row["num_selected"]) > 0
        assert int(row["downlink_bytes"]) == int(row["uplink_bytes"])
        # one site: what it gets is a client's download; what it sends is larger
        fetched = int(row["downlink_bytes"]) / int(row["num_received"])
        assert int(row["relayed_bytes"]) > 2 * fetched


def test_a_map_of_no_places_is_refused(capsys):
    assert main(["map", STUDY, *options(CONSTANT)]) == BAD_INPUT
    assert "a map needs cellular, got constant" in capsys.readouterr().err


@pytest.mark.parametrize(("column", "works"), [("uplink_rate_bps", True), ("snr_db", False)])
def test_a_policy_of_the_users_own_that_reads_signals_is_refused(tmp_path, column, works):
    (tmp_path / "own.py").write_text(OWN_POLICY, encoding="utf-8")
    kind = f"{tmp_path}/own.py:Loudest"
    policy = f"server.policy={{kind: '{kind}', column: {column}}}"
    small = [each for each in SMALL if "policy" not in each]
    scenario = load(STUDY, [*small, *CONSTANT, policy])
    if works:
        check(scenario)
        return
    with pytest.raises(ScenarioError, match="snr_db: a network of this kind knows no signals"):
        check(scenario)


def test_a_trace_is_found_beside_the_file_and_its_digest_kept(tmp_path):
    """Whoever reads the manifest knows which rates they were."""
    text = "client,time_s,uplink_mbps,downlink_mbps\n0,0,1,1\n0,1,1,1\n"
    (tmp_path / "rates.csv").write_text(text, encoding="utf-8")
    study = Path(STUDY).read_text(encoding="utf-8")
    (tmp_path / "study.yaml").write_text(
        study + "network: {kind: trace, path: rates.csv}\n", encoding="utf-8"
    )
    one = ["world=null", "radio=null", "clients.num_clients=1", "server.policy.num_clients=1"]
    scenario = load(tmp_path / "study.yaml", one)
    path = str(tmp_path / "rates.csv")
    assert scenario.network.path == path
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert own_file_digests(variants(scenario)) == {path: digest}
    with pytest.raises(ScenarioError, match=r"yaml:\d+: network.path: .* no rows of client 1"):
        load(tmp_path / "study.yaml", [*one[:2], "clients.num_clients=12"])


def test_logs_are_converted_by_the_command(tmp_path, capsys):
    logs, out = tmp_path / "logs.csv", tmp_path / "out.csv"
    logs.write_text("trace,kind,t_s,mbps\na,bus,0,4\na,bus,1,2\n", encoding="utf-8")
    words = ["traces", "convert", str(logs), str(out), "--uplink-fraction", "0.5"]
    assert main([*words, "--only", "kind=bus"]) == 0
    assert "1 logs, 2 rows, mean downlink 3 Mbit/s" in capsys.readouterr().out
    assert out.read_text("utf-8").splitlines()[1:] == ["a,0,2.0,4", "a,1,1.0,2"]
    assert main(words) == BAD_INPUT
    assert "exists already" in capsys.readouterr().err
    assert main([*words, "--only", "bus"]) == BAD_INPUT
    assert "--only bus: must have the form COLUMN=VALUE" in capsys.readouterr().err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    scenario = load(STUDY, [*SMALL, *CONSTANT, "methods=[{kind: fedit, rank: 4}]"])
    return run(scenario, out=tmp_path_factory.mktemp("out")).folder


def test_a_run_leaves_the_files_that_mean_something(folder):
    files = {path.stem for path in (folder / "fedit" / "seed1").glob("*.csv")}
    of_clients = {"clients", "devices", "classes", "scores"}
    assert files == {"rounds", "transfers", "evaluations", "energy", *of_clients}


def test_transfers_of_a_run_take_what_the_rates_say(folder):
    transfers = rows(folder / "fedit" / "seed1" / "transfers.csv")
    assert len(transfers) == 2 * 2 * 2
    for row in transfers:
        rate_bps = 1e6 if row["direction"] == "uplink" else 4e6
        took_s = float(row["finished_at_s"]) - float(row["requested_at_s"])
        assert took_s == pytest.approx(0.05 + 8 * int(row["size_bytes"]) / rate_bps)
        power_w = 2.08 if row["direction"] == "uplink" else 1.19
        assert float(row["energy_j"]) == pytest.approx(power_w * (took_s - 0.05))


def test_the_joules_of_a_run_add_up(folder):
    energy = rows(folder / "fedit" / "seed1" / "energy.csv")
    last = rows(folder / "fedit" / "seed1" / "rounds.csv")[-1]
    assert float(last["energy_j"]) == pytest.approx(sum(float(row["energy_j"]) for row in energy))
    assert float(last["site_energy_j"]) == 0
    assert {row["owner"].partition(":")[0] for row in energy} == {"client"}


def test_a_report_is_made_of_it(folder):
    report = write_report(folder)
    names = {figure.png.stem for figure in report.figures}
    assert {"energy_breakdown", "round_breakdown", "duration_cdf"} <= names


def test_a_resolved_scenario_runs_again(folder, tmp_path):
    again = run(load(folder / "scenario.yaml"), out=tmp_path).folder
    for path in (folder / "fedit").rglob("*.csv"):
        assert path.read_bytes() == (again / path.relative_to(folder)).read_bytes(), path.name


def test_a_key_of_a_section_without_use_is_no_word_on_its_other_keys():
    (line,) = faults_of(*CONSTANT, "radio.background_load.kind=share")
    assert line.startswith("--set radio.background_load.kind=share: radio: has no effect: network.")


def test_a_run_tells_what_became_of_the_files_of_others():
    load_ = "{kind: users, num_users: 9, downlink_files_per_s: 1, warm_up_s: 2}"
    scenario = load(STUDY, [*SMALL, f"radio.background_load={load_}"])
    env = simpy.Environment()
    network = build_network(scenario, env, seed=1)
    env.run(until=2.0)
    files = network.background_files
    assert files.started > 9
    assert background_counts(network) == {
        "background_files": {"started": files.started, "delivered": files.delivered, "given_up": 0}
    }
    for settings in ((), CONSTANT):
        other = build_network(load(STUDY, [*SMALL, *settings]), simpy.Environment(), seed=1)
        assert background_counts(other) == {}
