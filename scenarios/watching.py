"""Who watches a study: bars on a terminal, a log file, trackers of experiments."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from scenarios.log_file import LogFile
from scenarios.progress import Bars, Reporter, Several
from scenarios.schema import Scenario
from scenarios.trackers import Trackers
from scenarios.variants import variants


@contextlib.contextmanager
def watched(
    scenario: Scenario,
    *,
    has_bars: bool,
    log: str | None = None,
    trackers: Sequence[str] = (),
    folder: str | Path = "out",
) -> Iterator[Reporter]:
    """Open what watches a study, and close it at the end.

    Parameters
    ----------
    scenario
        The study.
    has_bars
        Whether bars are shown on standard error.
    log
        File to which a line is added for every event.
    trackers
        Names of :data:`scenarios.trackers.TRACKERS`.
    folder
        Where trackers keep their files.

    Raises
    ------
    ScenarioError
        The log cannot be opened, or the package of a tracker is not installed.
    """
    all_variants = variants(scenario)
    reporters: list[Reporter] = []
    with contextlib.ExitStack() as stack:
        if trackers:
            settings = {each.label: {"method": each.method, **each.told} for each in all_variants}
            tracked = Trackers(trackers, study=scenario.name, folder=folder, settings=settings)
            reporters.append(stack.enter_context(tracked))
        if log is not None:
            reporters.append(stack.enter_context(LogFile(log)))
        if has_bars:
            num_runs = len(scenario.seeds) * len(all_variants)
            reporters.append(stack.enter_context(Bars(num_runs)))
        yield Several(reporters)
