"""A trial decision of a policy of a user's own, before anything is simulated."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from fl.policies import build_policy
from fl.policies.answer import checked_questions, checked_selection
from fl.policies.own import KEY, OwnPolicyConfig
from fl.policies.view import AskingPolicy, Candidates, ClientIds, PerClient, Selection

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


class _Forecast:
    """Participations that take longer, and cost more, the larger the id; equal payloads."""

    def device(self, client_ids: ClientIds) -> Shaped[np.ndarray, " client"]:
        return np.full(len(client_ids), "phone_mid")

    def compute_s(self, client_ids: ClientIds) -> PerClient:
        return 1.0 + client_ids

    def compute_j(self, client_ids: ClientIds) -> PerClient:
        return 4.0 * (1.0 + client_ids)

    def download_bytes(self, client_ids: ClientIds) -> PerClient:
        return np.full(len(client_ids), 1e5)

    def upload_bytes(self, client_ids: ClientIds) -> PerClient:
        return np.full(len(client_ids), 1e5)


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
            rng, asked = np.random.default_rng([seed, round_id]), []
            if isinstance(policy, AskingPolicy):
                view = trial_view(num_clients, round_id=round_id, has_signals=has_signals)
                asked = checked_questions(policy, view, rng=rng)
            view = trial_view(
                num_clients, round_id=round_id, has_signals=has_signals, answered=asked
            )
            checked_selection(policy, view, rng=rng)
        except ValueError as error:
            msg = f"{KEY}: a trial decision: {str(error).removeprefix(f'{KEY}: ')}"
            raise ValueError(msg) from error


def trial_view(
    num_clients: int, *, round_id: int, has_signals: bool = True, answered: Sequence[int] = ()
) -> Selection:
    """Return what a policy may see in round 1, or in round 2 after every other client took part.

    Without signals, their columns cannot be read. ``answered`` are clients whose loss was asked
    for.
    """
    ids = np.arange(num_clients)
    took_part = (ids % 2 == 0) & (round_id > 1)
    asked_loss = np.full(num_clients, np.nan)
    asked_loss[list(answered)] = 1.0

    def known(values: PerClient) -> PerClient:
        return np.where(took_part, values, np.nan)

    return Selection(
        round=round_id,
        now_s=10.0 * (round_id - 1),
        candidates=Candidates(
            client_id=ids,
            num_samples=10 + ids,
            times_selected=took_part.astype(np.int64),
            last_round=took_part.astype(np.int64),
            last_received=took_part.astype(np.int64),
            last_loss=known(1.0 / (1.0 + ids)),
            last_rms_loss=known(1.5 / (1.0 + ids)),
            last_duration_s=known(2.0 + ids),
            spent_j=np.where(took_part, 1.0 + ids, 0.0),
            staleness=np.full(num_clients, round_id - 1),
            battery_j=np.full(num_clients, np.nan),
            battery_capacity_j=np.full(num_clients, np.nan),
            asked_loss=asked_loss,
            asked_accuracy=np.full(num_clients, np.nan),
            ask_links=_links if has_signals else _rates,
            forecast=_Forecast(),
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
