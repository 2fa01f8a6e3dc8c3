"""The command ``airtune``: run, validate, list, report, compare, map, new.

Exit codes: 0 done, 1 a run failed, 2 bad input, 130 interrupted.
"""

import argparse
import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import RenderableType

from scenarios.errors import RunFailedError, ScenarioError
from scenarios.progress import Bars, PipeConsole, Silent

PICTURE_ENDINGS = (".png", ".svg", ".pdf")
DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ScenarioError as error:
        _complain(error.problems, as_json=options.json)
        return BAD_INPUT
    except RunFailedError as error:
        _complain([str(error)], as_json=options.json)
        return FAILED
    except KeyboardInterrupt:
        _complain(["interrupted: finished rounds are on disk"], as_json=False)
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
        _complain([f"interrupted: the finished rounds are in {result.folder}"], as_json=False)
        return INTERRUPTED
    for failure in result.failures:
        _complain([failure], as_json=False)
    if not result.num_done:
        return FAILED
    _present(result.folder, as_json=options.json, host_other_fraction=result.host_other_fraction)
    return FAILED if result.failures else DONE


def _validate(options: argparse.Namespace) -> int:
    from scenarios.check import check  # noqa: PLC0415
    from scenarios.load import load_with_places, variants  # noqa: PLC0415

    scenario, places = load_with_places(options.file, options.set)
    check(scenario, places)
    names = [variant.name for variant in variants(scenario)]
    if options.json:
        _say(
            json.dumps(
                {
                    "name": scenario.name,
                    "is_valid": True,
                    "variants": names,
                    "seeds": list(scenario.seeds),
                }
            )
        )
    else:
        size = f"{len(names)} variants x {len(scenario.seeds)} seeds"
        _say(f"{scenario.name}: valid; {size}: {', '.join(names)}")
    return DONE


def _list(options: argparse.Namespace) -> int:
    from scenarios.catalogue import CATALOGUES  # noqa: PLC0415

    entries = CATALOGUES[options.what]()
    if options.json:
        _say(json.dumps(entries, indent=2))
    else:
        width = max(len(entry["name"]) for entry in entries)
        for entry in entries:
            _say(f"{entry['name']:{width}}  {entry['summary']}")
    return DONE


def _report(options: argparse.Namespace) -> int:
    _present(Path(options.folder), as_json=options.json)
    return DONE


def _compare(options: argparse.Namespace) -> int:
    from analysis.compare import compare  # noqa: PLC0415
    from analysis.differences import final_differences  # noqa: PLC0415
    from analysis.load import ResultError, load_results  # noqa: PLC0415
    from analysis.tables import rich_table  # noqa: PLC0415

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
        _say(table.numbers.to_json(orient="records"))
    else:
        _say(rich_table(table))
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
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ScenarioError([f"{path}: exists already, it is not replaced"]) from None
    except OSError as error:
        raise ScenarioError([f"{path}: cannot be written: {error.strerror}"]) from None
    _say(
        json.dumps({"file": str(path)})
        if options.json
        else f"{path}: written; every key is explained in it"
    )
    return DONE


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
        raise ScenarioError([f"{path}: cannot be written: {error.strerror or error}"]) from None
    if options.json:
        _say(json.dumps(dataclasses.asdict(summary)))
    else:
        _say(f"{path}: {summary.num_sites} sites, {summary.num_cells} cells")
        _say(
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


def _present(folder: Path, *, as_json: bool, host_other_fraction: float | None = None) -> None:
    """Write figures and tables of a result folder and show what they say."""
    from analysis.load import ResultError  # noqa: PLC0415
    from analysis.report import write_report  # noqa: PLC0415
    from analysis.tables import rich_table  # noqa: PLC0415

    try:
        report = write_report(folder)
    except ResultError as error:
        raise ScenarioError([str(error)]) from None
    except OSError as error:
        raise ScenarioError([f"{error.filename or folder}: {error.strerror or error}"]) from None
    if as_json:
        answer = {
            "folder": str(folder),
            "report": str(report.index),
            "tables": {
                table.name: json.loads(table.numbers.to_json(orient="records"))
                for table in report.tables
            },
            "notes": list(report.notes),
            "host_other_fraction": host_other_fraction,
        }
        _say(json.dumps(answer, indent=2))
        return
    for table in report.tables[:-1]:  # the last one lists the runs: it is on the page
        _say(rich_table(table))
    for note in report.notes:
        _say(note)
    if host_other_fraction is not None:
        _say(f"host time outside training and evaluation: {100 * host_other_fraction:.1f} %")
    _say(f"figures: {folder / 'figures'}")
    _say(f"report:  {report.index}")


def _complain(lines: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        _say(json.dumps({"errors": list(lines)}))
    for line in lines:
        _say(f"airtune: {line}", to=sys.stderr)


def _say(what: RenderableType, *, to: TextIO | None = None) -> None:
    """Print to standard output, or to another stream; a reader that has left misses the rest."""
    stream = sys.stdout if to is None else to
    try:
        if isinstance(what, str):
            print(what, file=stream)
        else:
            PipeConsole(file=stream).print(what)
        stream.flush()
    except BrokenPipeError:
        # whatever is still in the buffer would fail once more when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
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
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
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
