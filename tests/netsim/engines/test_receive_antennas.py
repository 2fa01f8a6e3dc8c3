"""Receive antennas of sites in both engines: array gain, diversity, and what they leave alone."""

import numpy as np
import pytest
from scipy.stats import gamma

from netsim.config.radio import NoFading, RayleighFading, TddDuplex, TdlFading
from tests.netsim.worlds import (
    NEAR_0,
    NEAR_1,
    ignore_block_sizes,
    make_network,
    plain_radio,
    run_all,
    still_world,
    two_sites,
)

ENGINES = ["flow", "slot"]
FAR = (1500.0, 0.0)


def uploads(num_antennas, *, places=(NEAR_0,), size_bytes=400_000, seed=1, **radio):
    """Rows of an upload of each client in one cell."""
    settings = plain_radio(site_rx_antennas=num_antennas, **radio)
    env, network = make_network(still_world(places), settings, seed=seed)
    return run_all(env, [network.send(k, "uplink", size_bytes) for k in range(len(places))])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("num_antennas", [2, 4, 8, 64])
def test_without_fading_the_sinr_rises_by_the_array_gain(engine, num_antennas):
    one, many = (uploads(number, engine=engine)[0] for number in (1, num_antennas))
    gained_db = many.mean_sinr_db - one.mean_sinr_db
    assert gained_db == pytest.approx(10 * np.log10(num_antennas), abs=1e-9)
    assert many.finished_at_s <= one.finished_at_s


@pytest.mark.parametrize("engine", ENGINES)
def test_interference_is_not_combined(engine):
    """Two cells that send all the time: signal over interference rises by the array gain too."""
    found_db = []
    for number in (1, 4):
        env, network = two_sites((NEAR_0, NEAR_1), engine=engine, site_rx_antennas=number)
        sent = [network.send(k, "uplink", 10**9, timeout_s=0.5) for k in (0, 1)]
        rows = run_all(env, sent)
        assert {row.status for row in rows} == {"timeout"}
        found_db.append([row.mean_sinr_db for row in rows])
    np.testing.assert_allclose(np.subtract(*found_db[::-1]), 10 * np.log10(4), atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fading", [RayleighFading(), TdlFading()], ids=["rayleigh", "tdl"])
def test_downlinks_are_those_of_one_antenna(engine, fading):
    rows = []
    for number in (1, 8):
        radio = plain_radio(site_rx_antennas=number, fading=fading, engine=engine)
        env, network = make_network(still_world([NEAR_0, FAR]), radio)
        rows.append(run_all(env, [network.send(k, "downlink", 200_000) for k in (0, 1)]))
    assert rows[0] == rows[1]


def test_an_upload_without_fading_takes_its_closed_form(monkeypatch):
    """Bits over goodput at four times the SINR of one antenna, at 1.5 km and full power."""
    ignore_block_sizes(monkeypatch)
    size_bytes = 400_000
    env, network = make_network(still_world([FAR]), plain_radio(site_rx_antennas=4))
    air = network.air
    gain = network._channel.gain(np.array([0]), at_s=0.0)[0, 0]
    power_w = min(0.2, float(air.uplink_power.density_w(np.array([gain]))[0]) * air.num_blocks)
    sinr = 4.0 * power_w / air.num_blocks * gain / air.site_noise_w
    bits_per_element = air.uplink_adaptation.efficiency(np.array([sinr]))[0]
    rate_bps = bits_per_element * air.num_blocks * air.uplink_element_rate_hz
    row = run_all(env, [network.send(0, "uplink", size_bytes)])[0]
    assert row.mean_sinr_db == pytest.approx(10 * np.log10(sinr), abs=0.02)
    assert row.finished_at_s == pytest.approx(8 * size_bytes / rate_bps, rel=0.005)


def test_an_ergodic_upload_takes_its_closed_form(monkeypatch):
    """Mean of the goodput over the Erlang distribution of order 4 of the combined gain.

    Goodput is that at a constant fade: no measurement delay, and nothing lost by retransmissions
    where the loop of link adaptation is not used.
    """
    ignore_block_sizes(monkeypatch)
    fading = RayleighFading(mode="ergodic")
    size_bytes, settings = 4_000_000, {"fading": fading, "knowledge_delay_slots": 0}
    still = make_network(still_world([FAR]), plain_radio(site_rx_antennas=4))[1].air
    env, network = make_network(still_world([FAR]), plain_radio(site_rx_antennas=4, **settings))
    row = run_all(env, [network.send(0, "uplink", size_bytes)])[0]
    mean = 10 ** (row.mean_sinr_db / 10)
    fade = gamma.ppf((np.arange(20_000) + 0.5) / 20_000, 4) / 4
    bits_per_element = still.uplink_adaptation.efficiency(mean * fade).mean()
    rate_bps = bits_per_element * still.num_blocks * still.uplink_element_rate_hz
    assert row.finished_at_s == pytest.approx(8 * size_bytes / rate_bps, rel=0.02)


@pytest.mark.parametrize("duplex", [None, TddDuplex()], ids=["fdd", "tdd"])
def test_combined_antennas_fade_less_than_one(duplex):
    """Spread of the times of uploads in 12 channels: that of one antenna is the larger."""
    settings = {"fading": RayleighFading(), "size_bytes": 100_000, "places": (FAR,)}
    if duplex is not None:
        settings["duplex"] = duplex
    spread = [
        np.std(np.log([uploads(n, seed=k, **settings)[0].finished_at_s for k in range(12)]))
        for n in (1, 8)
    ]
    assert spread[1] < 0.5 * spread[0]


@pytest.mark.parametrize(
    ("num_antennas", "correlation", "fading"),
    [(4, 0.0, RayleighFading()), (4, 0.6, TdlFading()), (64, 0.0, RayleighFading())],
)
def test_engines_agree(num_antennas, correlation, fading):
    """Mean time of uploads of 1 MB from 1.5 km at walking speed, two channels: within 3 %."""
    settings = {"fading": fading, "size_bytes": 1_000_000, "places": (FAR,)}
    settings |= {"site_rx_correlation": correlation, "channel_tick_s": 0.005}
    flow_s, slot_s = (
        np.mean(
            [uploads(num_antennas, engine=e, seed=k, **settings)[0].finished_at_s for k in (1, 2)]
        )
        for e in ENGINES
    )
    assert slot_s == pytest.approx(flow_s, rel=0.03)


def test_link_table_has_the_array_gain():
    links = [
        make_network(still_world([FAR]), plain_radio(site_rx_antennas=number, fading=NoFading()))[
            1
        ].link_table([0])
        for number in (1, 4)
    ]
    assert links[1].uplink_rate_bps[0] > 1.5 * links[0].uplink_rate_bps[0]
    assert links[1].downlink_rate_bps[0] == links[0].downlink_rate_bps[0]
    assert links[1].snr_db[0] == links[0].snr_db[0]
