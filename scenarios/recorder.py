"""Rows of one run, written to its folder as they come."""

from collections.abc import Sequence
from dataclasses import dataclass

from fl.interrupts import interrupts_held
from fl.rows import (
    AnswerRow,
    ClientRow,
    EvaluationRow,
    PrivacyRow,
    QuestionRow,
    RewardRow,
    RoundRow,
    ScoreRow,
)
from scenarios.network import RunNetwork, position_rows
from scenarios.results import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyRow:
    """One row of ``energy.csv``: an owner's seconds and joules in one activity."""

    owner: str
    """``client:<id>`` or ``site:<id>``."""
    activity: str
    seconds: float
    energy_j: float


class FolderRecorder:
    """Writes rows as they come; those of the network so far go with every round."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self.network: RunNetwork | None = None
        self._scores: dict[tuple[str, str], Sequence[ScoreRow]] = {}
        """As last evaluated, by metric and split."""

    def write_scores(self) -> None:
        """Write the metrics of every client as last evaluated; once, at the end."""
        for rows in self._scores.values():
            self._folder.write("scores", rows)

    def write_network_rows(self) -> None:
        """Write transfers and positions since the last time."""
        if self.network is not None:
            self._folder.write("transfers", self.network.transfers())
            for name, rows in position_rows(self.network).items():
                self._folder.write(name, rows)

    def round(self, row: RoundRow, clients: Sequence[ClientRow]) -> None:
        """Write a round as a whole."""
        with interrupts_held():  # a round stands in all files, or in none
            self.write_network_rows()
            self._folder.write("clients", clients)
            self._folder.write("rounds", [row])

    def unfinished(self, clients: Sequence[ClientRow]) -> None:
        """Write participations that no round has ended."""
        self._folder.write("clients", clients)

    def privacy(self, row: PrivacyRow) -> None:
        """Write what is promised so far."""
        self._folder.write("privacy", [row])

    def questions(self, rows: Sequence[QuestionRow]) -> None:
        """Write what a policy asked."""
        self._folder.write("questions", rows)

    def evaluation(self, row: EvaluationRow) -> None:
        """Write one evaluation of one split."""
        self._folder.write("evaluations", [row])

    def scores(self, rows: Sequence[ScoreRow]) -> None:
        """Keep the metric of every client until a later one comes."""
        self._scores[rows[0].metric, rows[0].split] = rows

    def rewards(self, rows: Sequence[RewardRow]) -> None:
        """Write what every personal model earns."""
        self._folder.write("rewards", rows)

    def answers(self, rows: Sequence[AnswerRow]) -> None:
        """Write answers that are kept."""
        self._folder.write("answers", rows)


def energy_rows(network: RunNetwork, *, until_s: float) -> list[EnergyRow]:
    """Return what every owner has spent so far, activity by activity."""
    return [
        EnergyRow(
            owner=f"{total.owner}:{total.owner_id}",
            activity=total.activity,
            seconds=total.seconds,
            energy_j=total.energy_j,
        )
        for total in network.energy.totals(until_s)
    ]
