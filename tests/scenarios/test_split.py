"""Split fine-tuning on the cellular network: each of its transfers is one of the network."""

import pandas as pd
import pytest

from scenarios.cli import main
from tests.scenarios.conftest import SMALL, STUDY, options

CHANGES = (
    *SMALL,
    "seeds=[1]",
    "training.local_steps=3",
    "server.targets={}",
    "training.mode=none",
    "methods=[{kind: splitlora, activations: bf16, server_flop_per_s: 1e12}]",
)


@pytest.fixture(scope="module", params=["flow", "slot"])
def rows(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    changes = options((*CHANGES, f"radio.engine={request.param}"))
    assert main(["run", STUDY, *changes, "--out", str(folder)]) == 0
    (place,) = folder.glob("small/*/seed1")
    return lambda name: pd.read_csv(place / f"{name}.csv")


def test_each_step_is_two_transfers_whose_bytes_and_joules_are_in_the_rows(rows):
    clients, sent = rows("clients").set_index("participation_id"), rows("transfers")
    assert len(clients) == 4
    assert set(clients["outcome"]) == {"received"}
    for number, row in clients.iterrows():
        mine = sent[sent["participation_id"] == number].sort_values("requested_at_s")
        assert mine["direction"].tolist() == ["downlink", *["uplink", "downlink"] * 3, "uplink"]
        starts_s, ends_s = (mine[f"{each}_at_s"].to_numpy() for each in ("requested", "finished"))
        assert (starts_s[1:] >= ends_s[:-1]).all()
        assert row["radio_j"] == pytest.approx(mine["energy_j"].sum(), rel=1e-12)
        lasts_s = (mine["finished_at_s"] - mine["requested_at_s"]).groupby(mine["direction"]).sum()
        assert row["upload_s"] == pytest.approx(lasts_s["uplink"], rel=1e-9)
        assert row["download_s"] > lasts_s["downlink"]  # the server computes in between
    rounds = rows("rounds")
    for direction in ("uplink", "downlink"):
        total = sent.loc[sent["direction"] == direction, "delivered_bytes"].sum()
        assert rounds[f"{direction}_bytes"].sum() == total


def test_the_ledger_has_what_the_rows_say(rows):
    """Joules of computing."""
    clients, energy = rows("clients"), rows("energy")
    spent_j = energy[energy["activity"] == "compute"]["energy_j"].sum()
    assert spent_j == pytest.approx(clients["compute_j"].sum(), rel=1e-9)
