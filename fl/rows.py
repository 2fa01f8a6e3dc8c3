"""The rows that a federation leaves behind; one dataclass a file, field order is column order."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """One row of ``devices.csv``: what one client computes with. ``None`` is an empty cell."""

    client_id: int
    device: str
    """Class."""
    flop_per_s: float
    """Operations a second that training sustains on it."""
    low_flop_per_s: float
    """What it would be were its class at the low end of the range."""
    high_flop_per_s: float
    """The same at the high end."""
    compute_w: float
    """Power while it computes."""
    low_w: float
    high_w: float
    memory_bytes: float
    battery_wh: float | None
    """``None`` for a device on mains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """One row of ``classes.csv``: the texts of one class that one client holds."""

    client_id: int
    class_name: str
    num_train: int
    """Texts that it trains on."""
    num_test: int
    """Texts that its personal model is tested on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRow:
    """One row of ``rounds.csv``. Energy columns are cumulative to ``finished_at_s``."""

    round: int
    started_at_s: float
    finished_at_s: float
    num_selected: int
    num_received: int
    num_late: int
    num_failed: int
    uplink_bytes: int
    """Bytes that the server received in this round."""
    downlink_bytes: int
    """Bytes that clients received in this round: one copy for each of them, also where a single
    broadcast served them all."""
    relayed_bytes: int
    """Bytes of models that sites fetched from the server or sent to it in this round; 0 but in the
    hierarchical mode. They cross the backhaul and belong to no client."""
    energy_j: float
    site_energy_j: float
    wasted_j: float
    """Of the clients' joules, those of finished participations whose update was not merged, and of
    questions without use."""


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class ClientRow:
    """One row of ``clients.csv``: one client's part in one round. ``None`` is an empty cell."""

    participation_id: int
    """Counts participations of the run from 0 in the order of their start. The rows of its
    transfers carry the same number."""
    round: int
    client_id: int
    outcome: str
    """``received``, ``late``, ``left`` or ``dropped`` (and why: ``dropped:uplink:timeout``)."""
    download_s: float | None
    compute_s: float | None
    upload_s: float | None
    compute_j: float
    radio_j: float
    wasted_j: float
    """Both together where the update was not merged, for the reason that ``outcome`` states; 0
    where it was."""
    train_loss: float | None
    """Mean loss over the local steps; empty when the update was never needed, so never computed."""
    staleness: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRow:
    """One row of ``questions.csv``: one client that a policy asked for its loss."""

    round: int
    """Round that was about to begin."""
    client_id: int
    outcome: str
    """``answered``, or why not (``left:compute``), or why nothing was made of the answer
    (``abandoned:answer``: nobody was there to be selected any more)."""
    asked_at_s: float
    ended_at_s: float
    compute_j: float
    radio_j: float
    wasted_j: float
    """Both together where there was no answer or nothing was made of it, for the reason that
    ``outcome`` states; 0 for an answer that the policy saw, whoever was selected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyRow:
    """One row of ``privacy.csv``: what has been promised up to a round.

    At the level of clients of all together, at the level of samples to the texts of one client;
    what is counted is clients there, and texts of the steps of its job here.
    """

    round: int
    level: str
    """What is protected: ``client``, all that one holds, or ``sample``, each text of a client."""
    client_id: int | None
    """Whose texts; ``None`` at the level of clients."""
    neighbours: str
    """In what neighbouring data sets differ: one ``replaced``, or one ``added_or_removed``."""
    num_drawn: int
    """Clients that were selected."""
    num_candidates: int
    """Clients that could be."""
    num_merged: int
    num_clipped: int
    """Those among the merged whose change was longer than ``clip_norm``; not private itself."""
    median_norm: float
    """Median length of the changes before they were clipped; not private itself."""
    noise_std: float
    """Standard deviation of the noise on each number of the mean change."""
    delta: float
    epsilon: float | None
    """Promised with ``delta`` of all rounds so far; ``None``: nothing is."""
    gap: str
    """Why nothing is promised; empty where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """One row of ``evaluations.csv``. Energy and bytes are cumulative to ``at_s``."""

    round: int
    at_s: float
    energy_j: float
    site_energy_j: float
    uplink_bytes: int
    """Bytes that the server received."""
    downlink_bytes: int
    """Bytes that clients received: one copy for each of them, also under broadcast."""
    metric: str
    split: str
    """``global`` (global model, common test set), ``personal`` (personal models, own test texts) or
    ``finetuned`` (the global model as each client tunes it, own test texts)."""
    mean: float
    std: float
    """Over clients; 0 for ``global``."""
    worst10: float
    """Mean of the worst 10 % of clients (at least one); the mean for ``global``."""
    n: int
    """Test texts for ``global``, else clients."""
    text_mean: float
    """Mean over test texts: each client counts by its texts; the mean for ``global``."""
    num_trained: int | None
    """Of these, those that have trained by then, and not in vain; for ``personal`` alone."""
    trained_mean: float | None
    """Mean over these alone; for ``personal`` alone, ``None`` without any."""
    prior: float | None
    """Mean accuracy of naming each client's most frequent training class; ``None`` elsewhere."""
    num_left_out: int | None
    """Clients with fewer test texts than are asked for; ``None`` for ``global``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One row of ``scores.csv``: one client's model on its own test texts, as last evaluated."""

    round: int
    at_s: float
    client_id: int
    metric: str
    split: str
    """``personal`` or ``finetuned``, as in ``evaluations.csv``."""
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardRow:
    """One row of ``rewards.csv``: what one personal model earns on its client's test prompts."""

    round: int
    at_s: float
    client_id: int
    helpfulness_weight: float
    """How much helpfulness counts for the client; safety counts the rest."""
    helpfulness: float
    """Mean score of what it writes."""
    safety: float
    reward: float
    """Mean of both by the client's weight."""
    independent: float | None
    """Mean score of a reward from which nobody learns; ``None`` without one."""
    num_texts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """One row of ``answers.csv``: what a personal model, or the global model, writes to a prompt.

    ``None`` is an empty cell.
    """

    round: int
    at_s: float
    client_id: int | None
    """``None`` for the global model."""
    text_id: int
    """Row of the prompt in the training table, or in the test table for the global model."""
    prompt: str
    answer: str
    helpfulness: float | None
    """Score; ``None`` without rewards."""
    safety: float | None
