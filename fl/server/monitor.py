"""What follows every round in every mode: evaluate if due, tell how far the run is, end it."""

from collections import deque
from collections.abc import Iterator, Mapping

from fl.interrupts import interrupts_held
from fl.metrics import METRICS
from fl.problems import during
from fl.server.config import ServerConfig
from fl.server.evaluation import Evaluation, Evaluator
from fl.server.federation import Federation, Progress

AHEAD = 2
"""Evaluations that may be under way while rounds go on, where jobs run beside this process."""


class Monitor:
    """Evaluates the start and the rounds that are due, and says when the run is over.

    Evaluation takes no simulated time. Where jobs run ahead, rounds go on meanwhile, unless the run
    may end at its targets; then the mean that is told is that of an earlier round.

    Parameters
    ----------
    federation
        The run; nothing is evaluated yet.
    """

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._evaluator = Evaluator(federation)
        self._means: Mapping[str, float] = {}
        self._under_way: deque[Evaluation] = deque()
        server = federation.server
        is_ahead = federation.executor.runs_ahead and not server.stop_at_targets
        self._most_under_way = AHEAD if is_ahead else 0
        federation.write_finished = self.write_finished

    def rounds(self) -> Iterator[int]:
        """Count rounds from 1 to the last one of the run, which must be recorded one by one.

        The start and every round are noted: evaluated where that is due, and told.
        """
        is_over, round_id = self._note(0), 0
        while not is_over:
            round_id += 1
            yield round_id
            is_over = self._note(round_id)

    def _note(self, round_id: int) -> bool:
        """Note that a round has been recorded; return whether it was the last one."""
        server = self._federation.server
        is_last = round_id == server.num_rounds
        is_due = round_id % server.evaluate_every == 0 or is_last
        if is_due and self._federation.metrics:  # else nothing is measured
            with during(_place(round_id)):
                self._under_way.append(self._evaluator.submit(round_id))
        while len(self._under_way) > (0 if is_last else self._most_under_way):
            self._take_first()
        self._tell(round_id)
        # Never by an older evaluation: so the last round of a run is always evaluated.
        is_stopped = is_due and server.stop_at_targets and _is_reached(server, self._means)
        return is_last or is_stopped

    def write_finished(self) -> None:
        """Record the evaluations that are finished, for a run that ends before its last round.

        Up to the first that is not: rows stay in order.
        """
        while self._under_way and self._under_way[0].is_ready():
            self._take_first()

    def _take_first(self) -> None:
        """Record the first evaluation under way, and note what targets are compared with."""
        federation, evaluation = self._federation, self._under_way[0]
        with during(_place(evaluation.round)):
            self._evaluator.wait(evaluation)  # interrupted here, it is still under way
            with interrupts_held():  # written as a whole, and once
                self._under_way.popleft()
                rows = self._evaluator.rows(evaluation)
                for row in rows:
                    federation.recorder.evaluation(row)
        split = federation.server.target_split
        self._means = {row.metric: row.mean for row in rows if row.split == split}

    def _tell(self, round_id: int) -> None:
        federation = self._federation
        metric = next(iter(federation.metrics), None)
        federation.on_progress(
            Progress(
                round=round_id,
                num_rounds=federation.server.num_rounds,
                at_s=federation.now_s,
                energy_j=federation.recorded_j,
                metric=metric,
                value=None if metric is None else self._means.get(metric),
            )
        )


def _place(round_id: int) -> str:
    return f"in the evaluation after round {round_id}"


def _is_reached(server: ServerConfig, means: Mapping[str, float]) -> bool:
    """Return whether every target is reached; none is where the method has no such split."""
    return all(
        name in means
        and (means[name] <= value if METRICS[name].is_lower_better else means[name] >= value)
        for name, value in server.targets.items()
    )
