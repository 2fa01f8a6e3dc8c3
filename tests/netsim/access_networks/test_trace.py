"""The kind ``trace`` against closed forms, on files that the tests write."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import simpy

from netsim.access_networks.build import build_rate_network
from netsim.access_networks.convert import convert_logs
from netsim.access_networks.rules import find_problems
from netsim.access_networks.trace_file import read_logs
from netsim.config.network import ModemPowerConfig, TraceNetworkConfig

MB = 1_000_000
HEAD = "client,time_s,uplink_mbps,downlink_mbps"
STEPS = f"{HEAD}\n0,0,8,16\n0,2,0,0\n0,5,4,8\n0,6,4,8\n"
"""1 MB/s for 2 s, nothing for 3 s, half a MB/s for 2 s: 3 MB in 7 s."""
DATA = os.environ.get("AIRTUNE_DATA", "")


@pytest.fixture
def trace(tmp_path):
    def write(text, name="trace.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def network(path, *, num_clients=1, seed=1, **settings):
    env = simpy.Environment()
    config = TraceNetworkConfig(path=path, **{"rtt_s": 0.0, **settings})
    return env, build_rate_network(env, config, num_clients=num_clients, seed=seed)


def rows(env, net, until_s=1000.0):
    env.run(until=until_s)
    return [row for _, row in sorted((row.transfer_id, row) for row in net.transfers())]


@pytest.mark.parametrize(
    ("size_bytes", "starts_at_s", "ends_at_s"),
    [
        (MB, 0.0, 1.0),
        (2 * MB, 0.0, 2.0),  # not 5: its last byte is there when the stretch of rate 0 begins
        (2 * MB + MB // 4, 0.0, 5.5),
        (MB, 1.5, 6.0),
        (MB, 3.0, 7.0),
        (3 * MB + MB // 2, 0.0, 7.5),  # the log repeats
        (7 * MB, 0.0, 15.0 - 0.0),
    ],
)
def test_an_upload_across_changes_of_rate(trace, size_bytes, starts_at_s, ends_at_s):
    env, net = network(trace(STEPS))
    if starts_at_s > 0:
        env.run(until=starts_at_s)
    net.send(0, "uplink", size_bytes)
    (row,) = rows(env, net)
    assert row.status == "delivered"
    assert row.finished_at_s == pytest.approx(ends_at_s, rel=1e-12)


def test_directions_have_their_own_rates(trace):
    env, net = network(trace(STEPS))
    net.send(0, "downlink", 4 * MB)
    assert rows(env, net)[0].finished_at_s == pytest.approx(2.0)


def test_two_transfers_share_the_rate_of_the_moment(trace):
    """1 MB and 2 MB: half of 1 MB/s each for 2 s, then the rest of 1 MB alone from 5 s on."""
    env, net = network(trace(STEPS))
    net.send(0, "uplink", MB)
    net.send(0, "uplink", 2 * MB)
    first, second = rows(env, net)
    assert first.finished_at_s == pytest.approx(2.0)
    assert second.finished_at_s == pytest.approx(7.0)


def test_after_its_end_a_log_may_hold(trace):
    env, net = network(trace(STEPS), after_end="hold")
    net.send(0, "uplink", 4 * MB)
    assert rows(env, net)[0].finished_at_s == pytest.approx(9.0)


def test_a_deadline_in_a_stretch_of_rate_0(trace):
    env, net = network(trace(STEPS))
    net.send(0, "uplink", 3 * MB, timeout_s=4.0)
    (row,) = rows(env, net)
    assert (row.status, row.finished_at_s) == ("timeout", 4.0)
    assert row.delivered_bytes == pytest.approx(2 * MB, abs=1)


def test_a_log_of_nothing_ends_at_the_deadline(trace):
    env, net = network(trace(f"{HEAD}\n0,0,0,0\n0,1,0,0\n"), transfer_timeout_s=50.0)
    net.send(0, "uplink", 1)
    (row,) = rows(env, net)
    assert (row.status, row.finished_at_s, row.delivered_bytes) == ("timeout", 50.0, 0)


def test_energy_is_power_times_time(trace):
    power = ModemPowerConfig(transmit_w=2.0, receive_w=1.0, connected_w=0.5, tail_s=0.0)
    env, net = network(trace(STEPS), power=power)
    net.send(0, "uplink", 2 * MB + MB // 4)
    (row,) = rows(env, net)
    assert row.energy_j == pytest.approx(5.5 * 2.0)
    assert net.energy.total_energy_j(1000.0) == pytest.approx(5.5 * 2.0)


def test_round_trips_and_power_of_the_file(trace):
    """3 W for 2 s, then 1 W; the round trip counts at the request."""
    head = f"{HEAD},rtt_s,transmit_w,receive_w"
    path = trace(f"{head}\n0,0,8,8,0.2,3,2\n0,2,8,8,1.0,1,2\n0,4,8,8,1.0,1,2\n")
    env, net = network(path, rtt_s=TraceNetworkConfig.rtt_s)
    net.send(0, "uplink", 3 * MB)
    (row,) = rows(env, net)
    assert row.finished_at_s == pytest.approx(3.0 + 0.1)
    assert row.energy_j == pytest.approx(2 * 3.0 + 1 * 1.0)
    links = net.link_table([0])
    assert links.uplink_rate_bps.tolist() == [8e6]


def test_clients_have_their_own_logs(trace):
    env, net = network(trace(f"{HEAD}\n1,0,8,8\n0,0,4,4\n1,1,8,8\n0,1,4,4\n"), num_clients=2)
    net.send(0, "uplink", MB)
    net.send(1, "uplink", MB)
    slow, fast = rows(env, net)
    assert (slow.finished_at_s, fast.finished_at_s) == (pytest.approx(2.0), pytest.approx(1.0))
    assert net.link_table([1, 0]).uplink_rate_bps.tolist() == [8e6, 4e6]


def test_logs_are_drawn_by_the_seed(trace):
    """Of two logs both are drawn, starts differ, and a client's draw does not depend on others."""
    path = trace(f"{HEAD}\nbus,0,1,1\nbus,10,2,2\ntram,0,3,3\ntram,10,4,4\n")

    def rates(num_clients, seed):
        _, net = network(path, num_clients=num_clients, seed=seed, assignment="drawn")
        return net.link_table(range(num_clients)).uplink_rate_bps.tolist()

    assert set(rates(40, 1)) == {1e6, 2e6, 3e6, 4e6}
    assert rates(40, 1)[:10] == rates(10, 1)
    assert rates(40, 1) != rates(40, 2)


def test_parquet_is_read_as_csv_is(trace, tmp_path):
    path = trace(STEPS)
    pd.read_csv(path).to_parquet(tmp_path / "trace.parquet")
    one, other = read_logs(path)["0"], read_logs(str(tmp_path / "trace.parquet"))["0"]
    assert one.starts_s.tolist() == other.starts_s.tolist()
    assert {name: values.tolist() for name, values in one.columns.items()} == {
        name: values.tolist() for name, values in other.columns.items()
    }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"{HEAD}\n0,0,1,1\n0,30,1,1\n", "client 0 has a gap of 30 s after 0 s"),
        (f"{HEAD}\n1,0,1,1\n1,1,1,1\n", "has no rows of client 0"),
        (f"{HEAD}\n0,0,1,1\n0,1,1,1\n7,0,1,1\n7,1,1,1\n", "client 7 is none of clients.num_cl"),
        (f"{HEAD}\n0,0,-1,1\n0,1,1,1\n", "uplink_mbps must be a finite number >= 0, got -1"),
        (
            f"{HEAD},rtt_s\n0,0,1,1,-0.1\n0,1,1,1,0\n",
            "rtt_s must be a finite number >= 0, got -0.1",
        ),
        (f"{HEAD},receive_w\n0,0,1,1,-2\n0,1,1,1,0\n", "receive_w must be a finite number >= 0"),
        (f"{HEAD}\n0,0,1,\n0,1,1,1\n", "downlink_mbps must be a finite number >= 0, got nan"),
        (f"{HEAD}\n0,1,1,1\n0,2,1,1\n", "client 0 must begin at 0 s, got 1 s in data row 1"),
        (f"{HEAD}\n0,0,1,1\n0,0,1,1\n", "time_s of client 0 must increase, got 0 s after 0 s"),
        (f"{HEAD}\n0,0,1,1\n", "client 0 must have at least 2 rows, got 1"),
        (f"{HEAD}\n,0,1,1\n", "every row must name its client, got none in data row 1"),
        (f"{HEAD}\n", "has no rows"),
        ("client,time_s,mbps\n0,0,1\n", "missing uplink_mbps, downlink_mbps"),
        ("", "cannot be read as csv"),
    ],
)
def test_a_trace_that_cannot_be_used_is_one_line(trace, text, fault):
    config = TraceNetworkConfig(path=trace(text))
    (problem,) = find_problems(config, num_clients=1)
    assert problem.path == ("network", "path")
    assert fault in problem.message
    assert "\n" not in problem.message


def test_a_file_that_is_not_there_or_of_another_kind(trace):
    config = TraceNetworkConfig(path="/nowhere/trace.csv")
    (problem,) = find_problems(config, num_clients=1)
    assert "there is no such file" in problem.message
    (problem,) = find_problems(TraceNetworkConfig(path=trace("x", "a.txt")), num_clients=1)
    assert "must end in .csv or .parquet" in problem.message


def test_a_longer_gap_may_be_allowed(trace):
    config = TraceNetworkConfig(path=trace(f"{HEAD}\n0,0,1,1\n0,30,1,1\n"), max_gap_s=30.0)
    assert find_problems(config, num_clients=1) == []


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"rtt_s": 0.1}, "rtt_s"),
        ({"power": ModemPowerConfig(transmit_w=1.0)}, "power.transmit_w"),
        ({"power": ModemPowerConfig(receive_w=1.0)}, "power.receive_w"),
    ],
)
def test_a_setting_that_the_file_has_is_refused(trace, settings, key):
    text = f"{HEAD},rtt_s,transmit_w,receive_w\n0,0,1,1,0,1,1\n0,1,1,1,0,1,1\n"
    (problem,) = find_problems(TraceNetworkConfig(path=trace(text), **settings), num_clients=1)
    assert ".".join(problem.path) == f"network.{key}"
    assert "has no effect: the trace has a column" in problem.message


GNETTRACK = """trace,app,Timestamp,DL_bitrate
B/1,Download,2020.01.01_00.00.59,1000
B/1,Download,2020.01.01_00.00.59,3000
B/1,Download,2020.01.01_00.01.01,500
A/2,Netflix,2020.01.01_00.00.00,800
A/2,Netflix,2020.01.01_00.00.01,
A/2,Netflix,2020.01.01_00.00.02,900
C/3,Download,2020.01.01_00.00.00,800
"""


def test_gnettrack_logs_are_converted(trace, tmp_path):
    """kbit/s to Mbit/s, means within a second, times from the start of each log."""
    out = str(tmp_path / "out.csv")
    done = convert_logs(trace(GNETTRACK), out, uplink_fraction=0.5, only={})
    assert (done.num_clients, done.num_rows, done.num_short) == (2, 4, 1)
    logs = read_logs(out)
    assert logs["B/1"].starts_s.tolist() == [0, 2]
    assert logs["B/1"].columns["downlink_mbps"].tolist() == [2.0, 0.5]
    assert logs["B/1"].columns["uplink_mbps"].tolist() == [1.0, 0.25]
    assert logs["A/2"].starts_s.tolist() == [0, 2]
    assert done.mean_downlink_mbps == pytest.approx((2 + 0.5 + 0.8 + 0.9) / 4)


def test_logs_are_chosen_by_a_column(trace, tmp_path):
    out = str(tmp_path / "out.parquet")
    convert_logs(trace(GNETTRACK), out, uplink_fraction=0.5, only={"app": "Netflix"})
    assert list(read_logs(out)) == ["A/2"]


def test_throughput_series_are_converted(trace, tmp_path):
    text = "trace,kind,t_s,mbps\nbus_1,bus,0.5,4\nbus_1,bus,1.25,2\n"
    out = str(tmp_path / "out.csv")
    convert_logs(trace(text), out, uplink_fraction=0.1, only={})
    log = read_logs(out)["bus_1"]
    assert log.starts_s.tolist() == [0, 0.75]
    assert log.columns["downlink_mbps"].tolist() == [4, 2]
    assert log.columns["uplink_mbps"].tolist() == pytest.approx([0.4, 0.2])


@pytest.mark.parametrize(
    ("text", "settings", "fault"),
    [
        ("a,b\n1,2\n", {}, "must have the columns DL_bitrate, Timestamp, trace; or mbps, t_s"),
        (GNETTRACK, {"only": {"app": "Skype"}}, "no row has app=Skype, there are Download, Netf"),
        (GNETTRACK, {"only": {"op": "x"}}, "has no column op"),
        (GNETTRACK, {"uplink_fraction": 0.0}, "uplink fraction: must be > 0"),
        (GNETTRACK.replace("2020.01.01_00.00.59", "noon"), {}, "Timestamp must look like"),
        ("trace,t_s,mbps\nx,0,1\n", {}, "no log has two instants"),
    ],
)
def test_what_cannot_be_converted_is_one_line(trace, tmp_path, text, settings, fault):
    arguments = {"uplink_fraction": 0.5, "only": {}, **settings}
    with pytest.raises(ValueError, match=fault):
        convert_logs(trace(text), str(tmp_path / "out.csv"), **arguments)


def test_a_trace_is_not_replaced(trace):
    path = trace(STEPS)
    with pytest.raises(ValueError, match="exists already"):
        convert_logs(path, path, uplink_fraction=0.5, only={})


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "only", "num_clients"),
    [("ucc_5g_traces", {"app": "Download"}, 21), ("hsdpa_fcc_bandwidth", {}, 269)],
)
def test_measured_logs_carry_transfers(tmp_path, name, only, num_clients):
    source = Path(DATA, "traces", f"{name}.parquet")
    if not DATA or not source.is_file():
        pytest.skip(f"AIRTUNE_DATA names no folder with traces/{name}.parquet")
    out = str(tmp_path / "trace.parquet")
    done = convert_logs(str(source), out, uplink_fraction=0.25, only=only)
    assert done.num_clients == num_clients
    env, net = network(out, num_clients=20, assignment="drawn", max_gap_s=20.0)
    for client_id in range(20):
        net.send(client_id, "uplink", MB // 10)
    ended = rows(env, net)
    assert np.mean([row.status == "delivered" for row in ended]) > 0.8
