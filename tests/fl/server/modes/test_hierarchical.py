"""Two levels on one number: by hand, and federated averaging as the special case."""

import pytest

from fl.methods.averaging import AveragingMethod
from fl.methods.ffa_lora.config import FfaLoraConfig
from fl.methods.head.config import HeadConfig
from fl.methods.options import AveragingOptions, FedAvgM
from fl.server.config import HierarchicalServer, SyncServer
from fl.server.faults import FaultsConfig, ServerCrash
from tests.fl.fakes import federation
from tests.fl.server.scalar import play, scalar_federation, values

SITES = {0: 0, 1: 0, 2: 3}


def hierarchical(*, sites=SITES, **options):
    played = scalar_federation(mode=HierarchicalServer, **options)
    played.network.site_of = sites
    return played


def test_sites_average_so_many_times_before_the_server_does():
    """Site 0: clients of 1 and 2 s with 1 and 3 texts and goals 4 and 8; site 3: client of 5 s.

    Rate 1/2, two averages a site. From 0, site 0: (2 + 3 x 4) / 4 = 3.5, then 3.5 / 2 +
    (2 + 3 x 4) / 4 = 5.25. Site 3, goal -8, 4 texts: -4, -6. Mean: (4 x 5.25 - 4 x 6) / 8.
    """
    played = hierarchical(
        seconds=[1, 2, 5],
        goals=[4.0, 8.0, -8.0],
        sizes=[1, 3, 4],
        rate=0.5,
        edge_rounds=2,
        num_rounds=1,
    )
    found = values(played)
    rows = play(played)
    assert found == [(4 * 5.25 - 4 * 6.0) / 8]
    (row,) = rows.rounds
    size_bytes = played.method.download(played.state, client_id=0).size_bytes
    relay_s = size_bytes * 8 / played.network.relay_rate_bps
    assert row.finished_at_s == pytest.approx(2 * relay_s + 10, abs=1e-9)
    assert (row.num_selected, row.num_received) == (6, 6)
    assert row.relayed_bytes == 4 * size_bytes
    moved = [(site, direction, size) for site, direction, size, _ in played.network.relays]
    assert moved == [
        (0, "downlink", size_bytes),
        (3, "downlink", size_bytes),
        (0, "uplink", size_bytes),
        (3, "uplink", size_bytes),
    ]
    at_s = [at_s for *_, at_s in played.network.relays]
    assert at_s == pytest.approx([0, 0, relay_s + 4, relay_s + 10], abs=1e-9)
    assert all(each.at_edge for each in played.network.transfers)
    assert {part.staleness for part in rows.clients} == {0}
    assert len({job.seed for job in played.executor.jobs}) == 6


@pytest.mark.parametrize("options", [{}, {"server_optimiser": FedAvgM(learning_rate=0.5)}])
def test_with_one_average_a_site_it_is_federated_averaging(options):
    """Exactly: all weights and values are sums of powers of 2."""
    found = {}
    for mode, settings in ((SyncServer, {}), (HierarchicalServer, {"edge_rounds": 1})):
        played = scalar_federation(
            seconds=[1, 2, 5], goals=[4.0, 8.0, -8.0], sizes=[1, 3, 4], rate=0.5, mode=mode,
            **settings,
        )  # fmt: skip
        played.network.site_of = SITES
        played.method = AveragingMethod(
            kind="scalar",
            initial=played.method.initial,
            shared=("x",),
            options=AveragingOptions(**options),
        )
        seen = values(played)
        play(played)
        found[mode.mode] = seen, [job.seed for job in played.executor.jobs]
    assert found["sync"] == found["hierarchical"]
    assert len(found["sync"][0]) == 3


@pytest.mark.parametrize("config", [HeadConfig(), FfaLoraConfig()])
def test_with_one_average_a_site_real_methods_learn_as_under_federated_averaging(config):
    states = []
    for mode, settings in ((SyncServer, {}), (HierarchicalServer, {"edge_rounds": 1})):
        played = federation(
            config, num_clients=4, cohort=3, num_rounds=1, num_texts=80,
            mode=mode, **settings,
        )  # fmt: skip
        played.network.site_of = {0: 0, 1: 1, 2: 1, 3: 2}
        play(played)
        states.append(played.state)
    first, second = states
    assert first.version == second.version == 1
    for name, value in first.tensors.items():
        # a site rounds its mean to single precision
        assert (value - second.tensors[name]).abs().max() <= 2e-7 * value.abs().max()


def test_clients_that_no_site_covers_work_for_the_server():
    played = hierarchical(
        seconds=[1, 2], goals=[2.0, 4.0], sites={0: 0, 1: -1}, edge_rounds=1, num_rounds=1
    )
    found = values(played)
    play(played)
    assert found == [3.0]
    assert {site for site, *_ in played.network.relays} == {0}
    assert {each.client_id: each.at_edge for each in played.network.transfers} == {
        0: True,
        1: False,
    }


def test_a_site_that_receives_nothing_sends_nothing():
    failing = {(0, "uplink"): "outage", (1, "uplink"): "outage"}
    played = hierarchical(
        seconds=[1, 2, 5], goals=[4.0, 8.0, -8.0], edge_rounds=2, num_rounds=2, failing=failing
    )
    found = values(played)
    rows = play(played)
    assert found == [-8.0, -8.0]
    up = [site for site, direction, *_ in played.network.relays if direction == "uplink"]
    assert up == [3, 3]
    assert [(row.num_received, row.num_failed) for row in rows.rounds] == [(2, 4)] * 2


def test_a_crash_of_the_server_ends_the_round_and_takes_the_averages_of_the_sites_with_it():
    """One client of 1 s, rate 1/2, goal 8, two averages: 4, lost at 1.5 s; from 3.5 s on 4, 6."""
    faults = FaultsConfig(server_crashes=(ServerCrash(at_s=1.5, down_s=2.0),))
    played = hierarchical(
        seconds=[1.0], goals=[8.0], rate=0.5, edge_rounds=2, num_rounds=2, faults=faults
    )
    found = values(played)
    rows = play(played)
    assert [part.outcome for part in rows.clients] == [
        "server_crashed:merge",
        "server_crashed:compute",
        "received",
        "received",
    ]
    assert found == [6.0]
    assert [row.num_received for row in rows.rounds] == [0, 2]
    lost, after = rows.rounds
    assert lost.finished_at_s == pytest.approx(1.5, abs=1e-9)
    assert after.started_at_s == pytest.approx(3.5, abs=1e-9)


def test_sites_begin_nothing_when_the_server_crashed_while_they_fetched_its_model():
    played = hierarchical(seconds=[1.0], goals=[8.0], edge_rounds=3, num_rounds=2)
    size_bytes = played.method.download(played.state, client_id=0).size_bytes
    played.network.relay_rate_bps = size_bytes * 8 / 4.0  # 4 s
    played.env.timeout(1.0).callbacks.append(lambda _: played.presence.crash_server(down_s=20.0))
    rows = play(played)
    first, second = rows.rounds
    assert (first.num_selected, first.finished_at_s) == (0, pytest.approx(4.0, abs=1e-9))
    assert (first.relayed_bytes, second.relayed_bytes) == (size_bytes, 2 * size_bytes)
    assert (second.num_received, second.started_at_s) == (3, pytest.approx(21.0, abs=1e-9))
