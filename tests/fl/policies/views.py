"""What a policy sees, made by hand."""

from dataclasses import dataclass

import numpy as np

from fl.policies.view import Candidates, Selection
from tests.fl.constant_network import ConstantLinks


def column(value, num_clients, dtype=float):
    return np.broadcast_to(np.asarray(value, dtype=dtype), (num_clients,)).copy()


@dataclass
class Foreseen:
    """A forecast that was written down: columns over all clients of the view."""

    compute_s: object = 1.0
    compute_j: object = 2.0
    download_bytes: object = 0.0
    upload_bytes: object = 125_000.0

    def of(self, name, client_ids):
        value = np.asarray(getattr(self, name), dtype=float)
        return np.full(len(client_ids), value) if value.ndim == 0 else value[client_ids]


class Forecast:
    def __init__(self, foreseen):
        self.foreseen = foreseen

    def device(self, client_ids):
        return np.full(len(client_ids), "phone_mid")

    def compute_s(self, client_ids):
        return self.foreseen.of("compute_s", client_ids)

    def compute_j(self, client_ids):
        return self.foreseen.of("compute_j", client_ids)

    def download_bytes(self, client_ids):
        return self.foreseen.of("download_bytes", client_ids)

    def upload_bytes(self, client_ids):
        return self.foreseen.of("upload_bytes", client_ids)


def view(
    num_clients=10,
    *,
    round_id=1,
    client_id=None,
    num_wanted=None,
    snr_db=0.0,
    mean_snr_db=0.0,
    cell_id=0,
    uplink_rate_bps=1e6,
    downlink_rate_bps=1e6,
    uplink_w=1.0,
    asked=None,
    forecast=None,
    **columns,
):
    """Return a view; columns are numbers or one number a client.

    The seconds of an upload are 1 unless a rate or a size is given.
    """
    ids = np.arange(num_clients) if client_id is None else np.array(client_id)
    num = len(ids)

    def ask(client_ids):
        if asked is not None:
            asked.append(client_ids.tolist())
        return ConstantLinks(
            cell_id=column(cell_id, num, np.int64),
            site_id=column(cell_id, num, np.int64),
            snr_db=column(snr_db, num),
            mean_snr_db=column(mean_snr_db, num),
            uplink_rate_bps=column(uplink_rate_bps, num),
            downlink_rate_bps=column(downlink_rate_bps, num),
            uplink_w=column(uplink_w, num),
        )

    whole = {"num_samples": 10, "times_selected": 0, "last_round": 0, "last_received": 0}
    whole["staleness"] = 0
    real = dict.fromkeys(
        (
            "last_loss",
            "last_rms_loss",
            "last_duration_s",
            "battery_j",
            "battery_capacity_j",
            "asked_loss",
            "asked_accuracy",
        ),
        np.nan,
    )
    real["spent_j"] = 0.0
    given = {name: column(columns.pop(name, value), num, np.int64) for name, value in whole.items()}
    given |= {name: column(columns.pop(name, value), num) for name, value in real.items()}
    assert not columns, columns
    return Selection(
        round=round_id,
        now_s=0.0,
        num_wanted=num_wanted,
        candidates=Candidates(
            client_id=ids,
            ask_links=ask,
            forecast=Forecast(forecast or Foreseen()),
            **given,
        ),
    )
