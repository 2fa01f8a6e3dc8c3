"""What a policy sees, made by hand."""

import numpy as np

from fl.policies.view import Candidates, Selection
from tests.fl.constant_network import ConstantLinks


def links(snr_db):
    num = len(snr_db)
    return ConstantLinks(
        cell_id=np.zeros(num, dtype=np.int64),
        site_id=np.zeros(num, dtype=np.int64),
        snr_db=np.array(snr_db, dtype=float),
        mean_snr_db=np.zeros(num),
        uplink_rate_bps=np.ones(num),
        downlink_rate_bps=np.ones(num),
        uplink_w=np.ones(num),
    )


def view(num_clients=10, *, last_round=None, snr_db=None, asked=None):
    def ask(client_ids):
        if asked is not None:
            asked.append(client_ids.tolist())
        return links([0.0] * num_clients if snr_db is None else snr_db)

    return Selection(
        round=1,
        now_s=0.0,
        candidates=Candidates(
            client_id=np.arange(num_clients),
            num_samples=np.full(num_clients, 10),
            times_selected=np.zeros(num_clients, dtype=np.int64),
            last_round=np.array([0] * num_clients if last_round is None else last_round),
            last_loss=np.full(num_clients, np.nan),
            ask_links=ask,
        ),
    )
