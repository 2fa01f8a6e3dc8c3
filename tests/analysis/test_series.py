"""SINR and throughput of transfers against rows written by hand."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from analysis.plots import draw_cdf
from analysis.series import cdf_frame, transfer_rates, transfer_sinrs


def transfer(cell_id, start_s, end_s, blocks, **more):
    return {"variant": "local", "seed": 1, "client_id": 0, "direction": "uplink",
            "cell_id": cell_id, "size_bytes": 1_000_000, "requested_at_s": start_s - 1.0,
            "started_at_s": start_s,
            "finished_at_s": end_s, "num_resource_blocks": blocks, "mean_sinr_db": -3.0,
            "status": "delivered", **more}  # fmt: skip


@pytest.fixture
def by_hand(results):
    rows = [
        transfer(4, 0.0, 5.0, 10.0),
        transfer(4, 4.5, 10.0, 20.0, mean_sinr_db=12.0),
        transfer(2, 9.0, 10.0, 7.0, direction="downlink"),
        transfer(-1, 0.0, 10.0, 5.0, status="outage"),
        transfer(1, 2.0, np.nan, 5.0, status="cancelled", mean_sinr_db=np.nan),
    ]
    return dataclasses.replace(results, transfers=pd.DataFrame(rows))


def test_sinr_and_throughput_of_transfers_are_distributions(by_hand):
    sinr = cdf_frame(transfer_sinrs(by_hand), column="mean_sinr_db")
    assert sinr["mean_sinr_db"].tolist() == [-3.0, 12.0]
    assert sinr["share"].tolist() == pytest.approx([2 / 3, 1.0])
    ax = draw_cdf(sinr, column="mean_sinr_db", what="SINR")
    assert (ax.get_xscale(), ax.get_xlabel()) == ("linear", "SINR [dB]")
    rates = transfer_rates(by_hand)
    assert rates["rate_mbps"].tolist() == pytest.approx([8 / 5, 8 / 5.5])


def test_without_an_sinr_there_is_no_distribution(by_hand):
    bare = dataclasses.replace(by_hand, transfers=by_hand.transfers.drop(columns="mean_sinr_db"))
    assert transfer_sinrs(bare).empty
