"""Side by side with another simulator: package ``sionna-no-rt``, extra ``airtune[validate]``.

Run by hand: ``pytest -m crosscheck -s tests/netsim/crosscheck``. Each test prints both columns.
"""

import json
import sys
from functools import cache
from importlib import import_module
from importlib.resources import files

import numpy as np
import pytest

from netsim.channel.line_of_sight import los_probability
from netsim.channel.pathloss import path_loss_db
from netsim.channel.ray_average import RayDraws, link_angles
from netsim.channel.tdl import PROFILES, power_delay_profile
from netsim.config.environment import ENVIRONMENTS
from netsim.phy.block_error import code_block_error
from netsim.phy.mcs import mcs_table
from netsim.phy.transport_block import transport_block_size_bits

pytestmark = pytest.mark.crosscheck

BS_HEIGHT_M = {"uma": 25.0, "umi": 10.0, "rma": 35.0, "inh": 3.0}
DISTANCES_M = {
    "uma": [10.0, 35.0, 100.0, 250.0, 500.0, 1000.0, 2000.0, 5000.0],
    "umi": [10.0, 35.0, 100.0, 250.0, 500.0, 1000.0, 2000.0, 5000.0],
    "rma": [10.0, 35.0, 100.0, 250.0, 500.0, 1000.0, 2000.0, 5000.0],
    "inh": [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 150.0],
}


@pytest.fixture(scope="module")
def tr38901():
    pytest.importorskip("sionna.phy", reason="needs the extra airtune[validate]")
    return import_module("sionna.phy.channel.tr38901")


def write(line):
    sys.stdout.write(line + "\n")


def show(title, columns):
    """Print arrays as columns under a title."""
    write(f"\n{title}")
    write("".join(f"{name:>16}" for name in columns))
    for row in zip(*columns.values(), strict=True):
        write("".join(f"{value:>16.4f}" for value in row))


def scenario(tr38901, environment, *, carrier_hz, is_los):
    """One site, one UE at each distance along the x axis; parameter tables of Release 16."""
    import torch  # noqa: PLC0415 - only the cross-check needs it

    panel = tr38901.PanelArray(
        num_rows_per_panel=1,
        num_cols_per_panel=1,
        polarization="single",
        polarization_type="V",
        antenna_pattern="omni",
        carrier_frequency=carrier_hz,
    )
    kinds = {"uma": "UMaScenario", "umi": "UMiScenario", "rma": "RMaScenario", "inh": "InHScenario"}
    module = import_module(f"sionna.phy.channel.tr38901.{environment}_scenario")
    settings = {
        "ut_array": panel,
        "bs_array": panel,
        "direction": "downlink",
        "precision": "double",
        "spec_version": "16.1",
    }
    if environment in ("uma", "umi"):
        settings["o2i_model"] = "low"
    if environment == "inh":
        settings["indoor_scenario"] = "mixed"
    found = getattr(module, kinds[environment])(carrier_frequency=carrier_hz, **settings)
    distances = DISTANCES_M[environment]
    ue = torch.tensor([[[d, 0.0, 1.5] for d in distances]], dtype=torch.float64)
    site = torch.tensor([[[0.0, 0.0, BS_HEIGHT_M[environment]]]], dtype=torch.float64)
    found.set_topology(
        ue,
        site,
        torch.zeros_like(ue),
        torch.zeros_like(site),
        torch.zeros_like(ue),
        torch.full((1, len(distances)), environment == "inh"),
        is_los,
    )
    return found


@pytest.mark.parametrize("is_los", [True, False], ids=["los", "nlos"])
@pytest.mark.parametrize("carrier_ghz", [0.7, 3.5])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_path_loss(tr38901, environment, carrier_ghz, is_los):
    theirs = scenario(tr38901, environment, carrier_hz=carrier_ghz * 1e9, is_los=is_los)
    theirs_db = theirs.basic_pathloss.numpy()[0, 0]
    ours_db = path_loss_db(
        environment,
        np.array(DISTANCES_M[environment]),
        is_los=is_los,
        carrier_hz=carrier_ghz * 1e9,
        bs_height_m=BS_HEIGHT_M[environment],
        ue_height_m=1.5,
    )
    show(
        f"path loss [dB], {environment}, {carrier_ghz} GHz, {'LOS' if is_los else 'NLOS'}",
        {"distance_m": DISTANCES_M[environment], "airtune": ours_db, "sionna": theirs_db},
    )
    # They take c = 299,792,458 m/s at breakpoints, we 3e8 as the standard writes it.
    np.testing.assert_allclose(ours_db, theirs_db, rtol=0, atol=0.02)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_los_probability(tr38901, environment):
    theirs = scenario(tr38901, environment, carrier_hz=3.5e9, is_los=True)
    theirs = np.ravel(theirs.los_probability.numpy())
    ours = los_probability(environment, np.array(DISTANCES_M[environment]), ue_height_m=1.5)
    show(
        f"line-of-sight probability, {environment}",
        {"distance_m": DISTANCES_M[environment], "airtune": ours, "sionna": theirs},
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("is_los", [True, False], ids=["los", "nlos"])
@pytest.mark.parametrize("carrier_ghz", [0.7, 28.0])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_angular_statistics(tr38901, environment, carrier_ghz, is_los):
    if environment == "rma":
        carrier_ghz = min(carrier_ghz, 7.0)
    theirs = scenario(tr38901, environment, carrier_hz=carrier_ghz * 1e9, is_los=is_los)
    mean, std = (a.numpy()[0, 0] for a in (theirs.lsp_log_mean, theirs.lsp_log_std))
    their_offset_deg = np.broadcast_to(theirs.zod_offset.numpy(), (1, 1, 8))[0, 0]
    for sigma in (0.0, 1.0):
        asd_deg, zsd_deg, offset_deg = our_angles(
            environment, sigma, carrier_hz=carrier_ghz * 1e9, is_los=is_los
        )
        their_asd_deg = np.minimum(10 ** (mean[:, 1] + sigma * std[:, 1]), 104.0)
        their_zsd_deg = np.minimum(10 ** (mean[:, 6] + sigma * std[:, 6]), 52.0)
        show(
            f"angles [deg] at {sigma:g} sigma, {environment}, {carrier_ghz} GHz, LOS {is_los}",
            {
                "distance_m": DISTANCES_M[environment],
                "ASD airtune": asd_deg,
                "ASD sionna": their_asd_deg,
                "ZSD airtune": zsd_deg,
                "ZSD sionna": their_zsd_deg,
                "offset airtune": offset_deg,
                "offset sionna": their_offset_deg,
            },
        )
        np.testing.assert_allclose(asd_deg, their_asd_deg, rtol=1e-4)
        np.testing.assert_allclose(zsd_deg, their_zsd_deg, rtol=1e-4)
        np.testing.assert_allclose(offset_deg, their_offset_deg, rtol=1e-4, atol=1e-4)


def our_angles(environment, sigma, *, carrier_hz, is_los):
    """Spreads and offset at a number of standard deviations, read from crafted rays."""
    distance_m = np.array(DISTANCES_M[environment])
    num = len(distance_m)
    angles = link_angles(
        environment,
        RayDraws(
            spread_normal=np.full((num, 2), sigma),
            k_factor_normal=np.zeros(num),
            azimuth_normal=np.ones((num, 2)),
            zenith_laplace=np.array([[0.0, 1.0]]).repeat(num, axis=0),
        ),
        azimuth_rad=np.zeros(num),
        distance_2d_m=distance_m,
        is_los=np.full(num, is_los),
        is_indoor=np.zeros(num, dtype=bool),
        carrier_hz=carrier_hz,
        bs_height_m=BS_HEIGHT_M[environment],
        ue_height_m=1.5,
    )
    zenith_deg = np.degrees(angles.ray_zenith_rad)
    return (
        np.degrees(angles.ray_azimuth_rad[:, 0]),
        zenith_deg[:, 1] - zenith_deg[:, 0],
        zenith_deg[:, 0] - np.degrees(angles.zenith_rad),
    )


@pytest.mark.parametrize("name", PROFILES)
def test_power_delay_profile(tr38901, name):
    theirs = tr38901.TDL(name, 100e-9, 3.5e9, precision="double", spec_version="16.1")
    ours = power_delay_profile(name)
    first = 1 if ours.is_direct.any() else 0  # they add the direct path to the tap it falls on
    power = ours.power[first:].copy()
    power[0] += ours.power[ours.is_direct].sum()
    order = np.argsort(ours.normalized_delay[first:], kind="stable")
    their_power = theirs.mean_powers.numpy()
    their_delay_s = theirs.delays.numpy()
    their_order = np.argsort(their_delay_s, kind="stable")
    columns = {
        "delay_ns ours": ours.normalized_delay[first:][order] * 100,
        "delay_ns theirs": their_delay_s[their_order] * 1e9,
        "power airtune": power[order],
        "power sionna": their_power[their_order],
    }
    show(f"TDL-{name}, delay spread 100 ns", columns)
    np.testing.assert_allclose(columns["delay_ns ours"], columns["delay_ns theirs"], atol=1e-3)
    np.testing.assert_allclose(columns["power airtune"], columns["power sionna"], atol=1e-5)


@cache
def bler_curves(number):
    """Their simulated curves: MCS -> (SNR [dB], {block bits: error rate})."""
    text = (files("sionna.sys.bler_tables") / f"PDSCH_table{number}.json").read_text()
    curves = json.loads(text)["category"]["1"]["index"][str(number)]["MCS"]
    return {
        int(mcs): (
            np.array(entry["SNR_db"]),
            {int(bits): np.array(curve["BLER"]) for bits, curve in entry["CBS"].items()},
        )
        for mcs, entry in curves.items()
    }


def ten_percent_db(snr_db, error):
    """Where an error curve crosses 10 %, straight in log(error) between points; NaN outside."""
    floor = np.maximum(error, 1e-4)
    (below,) = np.nonzero(floor < 0.1)
    if not len(below) or below[0] == 0:
        return np.nan
    after = below[0]
    log_error = np.log10(floor[after - 1 : after + 1])
    share = (-1 - log_error[0]) / (log_error[1] - log_error[0])
    return snr_db[after - 1] + share * (snr_db[after] - snr_db[after - 1])


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("num_bits", [500, 1000, 2000])
def test_block_error_thresholds(tr38901, number, num_bits):
    table = mcs_table(number)
    fine_db = np.arange(-12, 30, 0.01)
    theirs_db, ours_db, indices = [], [], []
    for mcs, (snr_db, curves) in sorted(bler_curves(number).items()):
        error = code_block_error(
            10 ** (fine_db / 10),
            num_info_bits=num_bits,
            spectral_efficiency=table.spectral_efficiency[mcs],
            modulation_order=table.modulation_order[mcs],
        )
        indices.append(mcs)
        theirs_db.append(ten_percent_db(snr_db, curves[num_bits]))
        ours_db.append(fine_db[np.argmax(error < 0.1)])
    gap_db = np.array(ours_db) - np.array(theirs_db)
    show(
        f"10 % block error at {num_bits} bits, PDSCH table {number} [dB]",
        {"mcs": indices, "airtune": ours_db, "sionna": theirs_db, "gap": gap_db},
    )
    known = gap_db[np.isfinite(gap_db)]
    assert len(known) >= 24
    # Their grid has a point every 1.8 dB: crossings between points are known to about 0.5 dB.
    assert np.abs(known).max() < 0.6
    assert abs(known.mean()) < 0.2


def test_eesm_betas(tr38901):
    text = (files("sionna.sys.esm_params") / "eesm_beta_table.json").read_text()
    theirs = json.loads(text)["index"]
    for number in (1, 2):
        np.testing.assert_allclose(mcs_table(number).eesm_beta, theirs[str(number)], rtol=1e-12)


def test_transport_block_sizes(tr38901):
    size_of = import_module("sionna.phy.nr.utils").calculate_tb_size
    differing = []
    table = mcs_table(1)
    num_compared = 0
    for num_blocks in (1, 2, 3, 5, 8, 10, 17, 25, 51, 106, 189, 273):
        for mcs in range(len(table)):
            rate, order = float(table.code_rate[mcs]), int(table.modulation_order[mcs])
            theirs = size_of(
                order,
                rate,
                num_prbs=num_blocks,
                num_ofdm_symbols=12,
                num_dmrs_per_prb=12,
                return_cw_length=False,
            )[0]
            ours = transport_block_size_bits(
                num_blocks, code_rate_x1024=rate * 1024, modulation_order=order
            )
            num_compared += 1
            if int(theirs) != ours:
                differing.append((num_blocks, mcs, ours, int(theirs)))
    write(f"\n{num_compared} transport block sizes compared, differing: {differing}")
    assert num_compared == 348
    assert not differing
