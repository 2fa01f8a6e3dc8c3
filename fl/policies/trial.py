"""A trial decision of a policy of a user's own, before anything is simulated."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from fl.policies import build_policy
from fl.policies.answer import checked_selection
from fl.policies.own import KEY, OwnPolicyConfig
from fl.policies.view import Candidates, Selection

ROUNDS = (1, 2)
"""Rounds of the trial: before any participation, and after one of every other client."""


@dataclass(frozen=True, slots=True)
class _Links:
    """Links of clients that differ in all that a policy may look at."""

    cell_id: Int[np.ndarray, " client"]
    site_id: Int[np.ndarray, " client"]
    snr_db: Float[np.ndarray, " client"]
    mean_snr_db: Float[np.ndarray, " client"]
    uplink_rate_bps: Float[np.ndarray, " client"]
    downlink_rate_bps: Float[np.ndarray, " client"]
    uplink_w: Float[np.ndarray, " client"]


@dataclass(frozen=True, slots=True)
class _Rates:
    """The same without signals."""

    cell_id: Int[np.ndarray, " client"]
    site_id: Int[np.ndarray, " client"]
    uplink_rate_bps: Float[np.ndarray, " client"]
    downlink_rate_bps: Float[np.ndarray, " client"]
    uplink_w: Float[np.ndarray, " client"]

    @property
    def snr_db(self) -> Float[np.ndarray, " client"]:
        """Refused, as by a network that knows rates only."""
        msg = "snr_db: a network of this kind knows no signals; uplink_rate_bps is known"
        raise ValueError(msg)

    @property
    def mean_snr_db(self) -> Float[np.ndarray, " client"]:
        """Refused, as by a network that knows rates only."""
        return self.snr_db


def try_policy(
    config: OwnPolicyConfig, *, num_clients: int, seed: int, has_signals: bool = True
) -> None:
    """Make a user's policy and let it select in two rounds.

    Parameters
    ----------
    config
        Names the file, the class and its settings.
    num_clients
        Clients of the federation, at least 1.
    seed
        Of what it draws.
    has_signals
        Whether the network knows signal-to-noise ratios, or rates only.

    Raises
    ------
    ValueError
        One line: what cannot be loaded or made, what is raised, or what is wrong with an answer.
    """
    policy = build_policy(config)
    for round_id in ROUNDS:
        try:
            view = trial_view(num_clients, round_id=round_id, has_signals=has_signals)
            checked_selection(policy, view, rng=np.random.default_rng([seed, round_id]))
        except ValueError as error:
            msg = f"{KEY}: a trial decision: {str(error).removeprefix(f'{KEY}: ')}"
            raise ValueError(msg) from error


def trial_view(num_clients: int, *, round_id: int, has_signals: bool = True) -> Selection:
    """Return what a policy may see in round 1, or in round 2 after every other client took part.

    Without signals, their columns cannot be read.
    """
    ids = np.arange(num_clients)
    took_part = (ids % 2 == 0) & (round_id > 1)
    return Selection(
        round=round_id,
        now_s=10.0 * (round_id - 1),
        candidates=Candidates(
            client_id=ids,
            num_samples=10 + ids,
            times_selected=took_part.astype(np.int64),
            last_round=took_part.astype(np.int64),
            last_loss=np.where(took_part, 1.0 / (1.0 + ids), np.nan),
            ask_links=_links if has_signals else _rates,
        ),
    )


def _links(client_ids: Int[np.ndarray, " client"]) -> _Links:
    """Return links that get worse with the id; the last of several clients is out of coverage."""
    part = 1.0 / (1.0 + client_ids)
    is_out = (client_ids == client_ids.max(initial=0)) & (len(client_ids) > 1)
    snr_db = np.where(is_out, -np.inf, 20.0 + 10.0 * np.log10(part))
    cell_id = np.where(is_out, -1, 0)
    return _Links(
        cell_id=cell_id,
        site_id=cell_id,
        snr_db=snr_db,
        mean_snr_db=snr_db,
        uplink_rate_bps=np.where(is_out, 0.0, 1e7 * part),
        downlink_rate_bps=np.where(is_out, 0.0, 5e7 * part),
        uplink_w=np.where(is_out, 0.0, 0.5),
    )


def _rates(client_ids: Int[np.ndarray, " client"]) -> _Rates:
    """Return the same links as a network gives them that knows no signals; all are in reach."""
    links = _links(client_ids)
    reachable = np.zeros_like(links.cell_id)
    return _Rates(
        cell_id=reachable,
        site_id=reachable,
        uplink_rate_bps=links.uplink_rate_bps,
        downlink_rate_bps=links.downlink_rate_bps,
        uplink_w=links.uplink_w,
    )
