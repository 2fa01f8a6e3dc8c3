"""The command ``airtune``: run, validate, list, report, compare, map, new.

Exit codes: 0 done, 1 a run failed, 2 bad input, 130 interrupted.
"""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from analysis.errors import FolderLostError, ResultError
from analysis.text_safety import shortened
from scenarios.errors import AnswerLostError, RunFailedError, ScenarioError, is_full
from scenarios.output import MAX_LINE, bounded, complain, fill_closed_streams, flush_answer, say
from scenarios.progress import Bars, Silent

if TYPE_CHECKING:
    from analysis.report import Report

PICTURE_ENDINGS = (".png", ".svg", ".pdf")
DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    fill_closed_streams()
    options = _parse(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ScenarioError as error:
        complain(error.problems, as_json=options.json)
        return BAD_INPUT
    except RunFailedError as error:
        complain([str(error)], as_json=options.json)
        return FAILED
    except KeyboardInterrupt:
        complain(["interrupted: finished rounds are on disk"], as_json=False)
        return INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    from scenarios.load import load_with_places, variants  # noqa: PLC0415 -- torch is only loaded when it is needed
    from scenarios.run import run  # noqa: PLC0415

    scenario, places = load_with_places(options.file, options.set, seeds=options.seeds)
    settings: dict[str, Any] = {
        "out": options.out,
        "jobs": options.jobs,
        "overwrite": options.overwrite,
        "places": places,
    }
    if options.json:
        result = run(scenario, reporter=Silent(), **settings)
    else:
        with Bars(len(scenario.seeds) * len(variants(scenario))) as bars:
            result = run(scenario, reporter=bars, **settings)
    if result.status == "interrupted":
        complain([f"interrupted: the finished rounds are in {result.folder}"], as_json=False)
        return INTERRUPTED
    complain(result.failures, as_json=False)
    if not result.num_done:
        return FAILED
    report = _write_report(result.folder, run_id=result.run_id)
    _present(report, as_json=options.json, host_other_fraction=result.host_other_fraction)
    return FAILED if result.failures else DONE


def _validate(options: argparse.Namespace) -> int:
    from scenarios.check import check  # noqa: PLC0415
    from scenarios.load import load_with_places, variants  # noqa: PLC0415

    scenario, places = load_with_places(options.file, options.set)
    check(scenario, places)
    from scenarios.data_summary import data_facts, summary_lines  # noqa: PLC0415 -- loads torch, which the check leaves until last

    all_variants = variants(scenario)
    names = [variant.name for variant in all_variants]
    facts = data_facts(all_variants)
    if options.json:
        say(
            json.dumps(
                {
                    "name": scenario.name,
                    "is_valid": True,
                    "variants": names,
                    "seeds": list(scenario.seeds),
                    "data": facts,
                }
            )
        )
    else:
        size = f"{len(names)} variants x {len(scenario.seeds)} seeds"
        say(f"{scenario.name}: valid; {size}: {', '.join(bounded(names))}")
        for line in bounded([line for each in facts for line in summary_lines(each)]):
            say(line)
    return DONE


def _list(options: argparse.Namespace) -> int:
    from scenarios.catalogue import CATALOGUES  # noqa: PLC0415

    entries = CATALOGUES[options.what]()
    if options.json:
        say(json.dumps(entries, indent=2))
    else:
        width = max(len(entry["name"]) for entry in entries)
        for entry in entries:
            say(f"{entry['name']:{width}}  {entry['summary']}")
    return DONE


def _report(options: argparse.Namespace) -> int:
    _present(_write_report(Path(options.folder)), as_json=options.json)
    return DONE


def _compare(options: argparse.Namespace) -> int:
    from analysis.compare import compare  # noqa: PLC0415
    from analysis.differences import final_differences  # noqa: PLC0415
    from analysis.load import load_results  # noqa: PLC0415
    from analysis.outlets import rich_table  # noqa: PLC0415

    if options.target is None and options.baseline is None:
        raise ScenarioError(["compare: give --target METRIC=VALUE, --baseline METHOD, or both"])
    target = None if options.target is None else _parse_target(options.target)
    try:
        results = load_results(options.folder)
        if target is None:
            table = final_differences(results, baseline=options.baseline)
        else:
            metric, value = target
            table = compare(results, metric=metric, target=value, baseline=options.baseline)
    except ResultError as error:
        raise ScenarioError([str(error)]) from None
    except OSError as error:
        where = error.filename or options.folder
        raise ScenarioError([f"{where}: {error.strerror or error}"]) from None
    if options.json:
        say(table.numbers.to_json(orient="records"))
    else:
        say(rich_table(table))
    return DONE


def _parse_target(text: str) -> tuple[str, float]:
    """Read ``METRIC=NUMBER``; what ``server.targets`` of a scenario refuses is refused here."""
    from fl.metrics import METRICS  # noqa: PLC0415

    metric, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        raise ScenarioError([f"--target {text}: must have the form METRIC=NUMBER"]) from None
    is_fraction = metric in METRICS and METRICS[metric].is_fraction
    if not math.isfinite(value):
        rule = "must be a finite number"
    elif value <= 0:
        rule = "must be > 0"
    elif is_fraction and value > 1:
        rule = "must be <= 1"
    else:
        return metric, value
    raise ScenarioError([f"--target {text}: {metric}: {rule}, got {value:g}"])


def _new(options: argparse.Namespace) -> int:
    from scenarios.template import annotated_template  # noqa: PLC0415

    path = Path(options.file)
    text = annotated_template(path.stem)
    try:
        _write_new(path, text)
    except FileExistsError:
        raise ScenarioError([f"{path}: exists already, it is not replaced"]) from None
    except OSError as error:
        raise _not_written(path, error) from None
    say(
        json.dumps({"file": str(path)})
        if options.json
        else f"{path}: written; every key is explained in it"
    )
    return DONE


def _write_new(path: Path, text: str) -> None:
    """Write a file that must not exist yet; half a file is not left behind."""
    with path.open("x", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except OSError:
            path.unlink()
            raise


def _not_written(path: Path, error: OSError) -> Exception:
    """Say that a file cannot be written: bad input, or on a full disk a failure."""
    message = f"{path}: cannot be written: {error.strerror or error}"
    return RunFailedError(message) if is_full(error) else ScenarioError([message])


def _map(options: argparse.Namespace) -> int:
    from netsim.map_picture import draw_map  # noqa: PLC0415
    from scenarios.load import load  # noqa: PLC0415

    scenario = load(options.file, options.set)
    path = Path(options.out or f"{scenario.name}_map.png")
    seed = scenario.seeds[0] if options.seed is None else options.seed
    _check_map(path, seed)
    try:
        summary = draw_map(
            scenario.world,
            scenario.radio,
            num_clients=scenario.clients.num_clients,
            seed=seed,
            path=path,
        )
    except OSError as error:
        raise _not_written(path, error) from None
    if options.json:
        say(json.dumps(dataclasses.asdict(summary)))
    else:
        say(f"{path}: {summary.num_sites} sites, {summary.num_cells} cells")
        say(
            "SINR over the area: "
            f"p5 {summary.sinr_p5_db:.1f} dB, median {summary.sinr_p50_db:.1f} dB, "
            f"p95 {summary.sinr_p95_db:.1f} dB"
        )
    return DONE


def _check_map(path: Path, seed: int) -> None:
    """Refuse what would only fail once the map has been computed."""
    from scenarios.schema import MAX_SEED  # noqa: PLC0415

    problems = []
    if not 0 <= seed <= MAX_SEED:
        problems.append(f"--seed: must be >= 0 and <= {MAX_SEED}, got {seed}")
    if path.suffix.lower() not in PICTURE_ENDINGS:
        problems.append(f"--out: must end in one of {', '.join(PICTURE_ENDINGS)}, got {path}")
    if not path.parent.is_dir():
        problems.append(f"--out: must be in a folder that exists, got {path}")
    if problems:
        raise ScenarioError(problems)


def _write_report(folder: Path, *, run_id: str | None = None) -> "Report":
    """Write figures and tables of a result folder: one that was named, or that of a run just done.

    Raises
    ------
    ScenarioError
        If the named folder cannot be used.
    RunFailedError
        If the run's folder is no longer its own, or the disk is full.
    """
    from analysis.report import write_report  # noqa: PLC0415

    try:
        return write_report(folder, run_id=run_id)
    except FolderLostError as error:
        raise RunFailedError(str(error)) from None
    except (ResultError, OSError) as error:
        message = str(error)
        if isinstance(error, OSError):
            message = f"{error.filename or folder}: {error.strerror or error}"
        if run_id is None and not is_full(error):
            raise ScenarioError([message]) from None
        msg = f"the report cannot be written: {message}"
        raise RunFailedError(msg) from None


def _present(report: "Report", *, as_json: bool, host_other_fraction: float | None = None) -> None:
    """Show what a report says."""
    from analysis.outlets import rich_table  # noqa: PLC0415

    if as_json:
        answer = {
            "folder": str(report.folder),
            "report": str(report.index),
            "tables": {
                table.name: json.loads(table.numbers.to_json(orient="records"))
                for table in report.tables
            },
            "notes": list(report.notes),
            "host_other_fraction": host_other_fraction,
        }
        say(json.dumps(answer, indent=2))
        return
    for table in report.tables[:-1]:  # the last one lists the runs: it is on the page
        say(rich_table(table))
    for note in bounded(report.notes):
        say(note)
    if host_other_fraction is not None:
        say(f"host time outside training and evaluation: {100 * host_other_fraction:.1f} %")
    say(f"figures: {report.folder / 'figures'}")
    say(f"report:  {report.index}")


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are bounded."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments and end."""
        super().error(shortened(message, MAX_LINE))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments; a help text that cannot be written is a failure."""
    try:
        return _parser().parse_args(arguments)
    except SystemExit:
        try:
            flush_answer()
        except AnswerLostError as error:
            complain([str(error)], as_json=False)
            raise SystemExit(FAILED) from None
        raise


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="airtune",
        description="Federated fine-tuning over a simulated cellular network.",
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    verb = _verb(verbs, "run", _run, "run a scenario; write rows, tables and figures")
    _takes_file(verb)
    verb.add_argument(
        "--seeds", metavar="N,N", help="seeds instead of those in the file, for example 1,2,3"
    )
    verb.add_argument(
        "--out", default="out", metavar="DIR", help="where the result folder goes (default: out)"
    )
    verb.add_argument(
        "--jobs", type=_positive, default=1, metavar="N", help="runs at a time (default: 1)"
    )
    verb.add_argument(
        "--overwrite", action="store_true", help="replace the result folder of an earlier run"
    )

    _takes_file(
        _verb(verbs, "validate", _validate, "check a scenario, its data and its model; run nothing")
    )

    verb = _verb(verbs, "list", _list, "list what a scenario can name")
    from scenarios.catalogue import CATALOGUES  # noqa: PLC0415

    verb.add_argument("what", choices=list(CATALOGUES))

    verb = _verb(verbs, "report", _report, "write tables and figures of a result folder again")
    verb.add_argument("folder", metavar="DIR")

    verb = _verb(verbs, "compare", _compare, "compare variants at a target, paired by seed")
    verb.add_argument("folder", metavar="DIR")
    verb.add_argument("--target", metavar="METRIC=VALUE", help="costs to it: accuracy=0.8")
    verb.add_argument(
        "--baseline",
        metavar="NAME",
        help="final metrics minus those of this method; with --target: compare with this variant",
    )

    verb = _verb(verbs, "new", _new, "write a scenario file with every key explained")
    verb.add_argument("file", metavar="FILE", help="path of the new file")

    verb = _verb(verbs, "map", _map, "draw sites, cells, clients, tracks and SINR of a scenario")
    _takes_file(verb)
    verb.add_argument("--out", metavar="PICTURE", help="where it goes (default: NAME_map.png)")
    verb.add_argument("--seed", type=int, help="whose world it is (default: the first seed)")
    return parser


def _verb(
    verbs: "argparse._SubParsersAction[_Parser]",
    name: str,
    command: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}."
    )
    verb.set_defaults(command=command)
    verb.add_argument("--json", action="store_true", help="answer with JSON on standard output")
    return verb


def _takes_file(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "file", metavar="FILE", help="scenario file, or the name of one in the library"
    )
    verb.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY.KEY=VALUE",
        help="replace or add a key; may be repeated",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        msg = f"must be a whole number >= 1, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
