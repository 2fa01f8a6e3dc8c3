"""The command ``airtune``: run, validate, list, report, compare, map, new, schema, traces, store.

Exit codes: 0 done, 1 a run failed, 2 bad input, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import NoReturn

from analysis.text_safety import shortened
from scenarios import commands, comparison, exporting, store
from scenarios.commands import BAD_INPUT, FAILED, INTERRUPTED
from scenarios.completion import (
    complete,
    completed,
    listed_names,
    scenario_files,
    scenario_keys,
)
from scenarios.error_log import with_logs
from scenarios.errors import AnswerLostError, RunFailedError, ScenarioError
from scenarios.output import MAX_LINE, complain, fill_closed_streams, flush_answer
from scenarios.trackers import TRACKERS

MAX_GIGABYTES = 1e9


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    fill_closed_streams()
    options = _parse(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ScenarioError as error:
        complain(with_logs(error), as_json=options.json)
        return BAD_INPUT
    except RunFailedError as error:
        complain([str(error)], as_json=options.json)
        return FAILED
    except KeyboardInterrupt:
        complain(["interrupted: finished rounds are on disk"], as_json=False)
        return INTERRUPTED


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are bounded."""

    def error(self, message: str) -> NoReturn:
        """State what is wrong with the arguments and end."""
        super().error(shortened(message, MAX_LINE))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments, none as a wish for help; a text that cannot be written is a failure."""
    words = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    complete(parser)
    try:
        return parser.parse_args(words or ["--help"])
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
    parser.add_argument("--version", action="version", version=f"airtune {version('airtune')}")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    verb = _verb(verbs, "run", commands.run_study, "run a scenario; write rows, tables and figures")
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
        "--executor",
        choices=["inline", "process", "cohort", "ray"],
        default="inline",
        help="who trains: the process of a run, one client after the other; a pool of processes "
        "that all runs share; the process of a run, several clients at once; or a Ray cluster",
    )
    verb.add_argument(
        "--workers", type=_positive, metavar="N", help="processes of the pool (default: cores)"
    )
    verb.add_argument(
        "--cohort",
        type=_positive,
        metavar="N",
        help="most clients at once with executor cohort (default: 8)",
    )
    verb.add_argument(
        "--ray-address",
        metavar="HOST:PORT",
        help="cluster of executor ray, or auto (default: one is started on this machine)",
    )
    verb.add_argument(
        "--ray-gpus",
        type=float,
        metavar="N",
        help="GPUs that a job of executor ray holds, a part of one if several share it "
        "(default: none)",
    )
    verb.add_argument(
        "--device",
        default="cpu",
        metavar="NAME",
        help="where jobs are computed: auto, cpu, cuda, cuda:N or mps (default: cpu)",
    )
    verb.add_argument(
        "--checkpointing",
        action="store_true",
        help="keep less for backward, and work blocks of the model out again: slower, less memory",
    )
    verb.add_argument(
        "--compile",
        action="store_true",
        help="compile blocks of the model: pays where jobs take very many steps",
    )
    verb.add_argument("--log", metavar="FILE", help="add a line for every round and run to a file")
    verb.add_argument(
        "--track",
        action="append",
        default=[],
        choices=list(TRACKERS),
        help="hand rounds on to a tracker of experiments, beside the files; may be repeated",
    )
    _takes_store(verb)
    verb.add_argument("--no-store", action="store_true", help="run every job, and keep no result")
    verb.add_argument(
        "--store-max-gb",
        type=_gigabytes,
        metavar="GB",
        help="most room for results; those that were used longest ago go (default: 20)",
    )
    verb.add_argument(
        "--overwrite",
        action="store_true",
        help="start anew in the result folder of an earlier run, instead of going on with it",
    )
    verb.add_argument(
        "--dry-run",
        action="store_true",
        help="run two rounds of every variant, say how long all would take, and keep nothing",
    )

    _takes_file(
        _verb(
            verbs,
            "validate",
            commands.validate,
            "check a scenario, its data and its model; run nothing",
        )
    )

    verb = _verb(verbs, "list", commands.list_names, "list what a scenario can name")
    from scenarios.catalogue import CATALOGUES  # noqa: PLC0415

    verb.add_argument("what", nargs="?", choices=list(CATALOGUES))
    completed(
        verb.add_argument("name", nargs="?", metavar="NAME", help="tell all of this one"),
        listed_names,
    )

    verb = _verb(
        verbs, "report", commands.report, "write tables and figures of a result folder again"
    )
    verb.add_argument("folder", metavar="DIR")
    verb.add_argument(
        "--figure-format",
        choices=["png", "svg", "pdf"],
        default="svg",
        help="pdf: beside PNG and SVG, which are always written, with fonts inside",
    )
    verb.add_argument(
        "--figure-style",
        choices=["column", "double", "slide"],
        default="double",
        help="width of figure files: one column of a journal page, both (default), or a slide",
    )
    _interpolates(verb)

    _compares(verbs)
    _exports(verbs)

    verb = _verb(verbs, "new", commands.new_file, "write a scenario file with every key explained")
    verb.add_argument("file", metavar="FILE", help="path of the new file")

    text = "print the JSON schema of scenario files, for editors"
    _verb(verbs, "schema", commands.print_schema, text)

    _stores(verbs)

    traces = verbs.add_parser(
        "traces", help="make a trace of rates out of measured logs", description="Traces of rates."
    )
    verb = _verb(
        traces.add_subparsers(required=True, metavar="ACTION"),
        "convert",
        commands.convert_traces,
        "make a trace for network.kind trace out of logs",
    )
    verb.add_argument("source", metavar="LOGS", help="csv or parquet file, see docs/networks.md")
    verb.add_argument("out", metavar="TRACE", help="csv or parquet file to write")
    verb.add_argument(
        "--uplink-fraction",
        type=float,
        required=True,
        metavar="X",
        help="uplink rate over downlink rate: the logs do not say what an uplink could carry",
    )
    verb.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="take only such rows; may be repeated",
    )

    verb = _verb(
        verbs, "map", commands.draw, "draw sites, cells, clients, tracks and SINR of a scenario"
    )
    _takes_file(verb)
    verb.add_argument("--out", metavar="PICTURE", help="where it goes (default: NAME_map.png)")
    verb.add_argument("--seed", type=int, help="whose world it is (default: the first seed)")
    return parser


def _compares(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    """Add the comparison of variants."""
    verb = _verb(
        verbs,
        "compare",
        comparison.compare_variants,
        "compare variants at a target, paired by seed",
    )
    verb.add_argument(
        "folders",
        metavar="DIR",
        nargs="+",
        help="result folder; several are read as one study, what they differ in as a knob",
    )
    verb.add_argument("--target", metavar="METRIC=VALUE", help="costs to it: accuracy=0.8")
    verb.add_argument(
        "--baseline",
        metavar="NAME",
        help="compare with this method, value of a knob, or variant: final metrics, or total costs "
        "where nothing was trained; with --target: what it cost to get there",
    )
    verb.add_argument(
        "--by",
        metavar="KNOB",
        help="compare values of this knob, radio.scheduler say, or methods: --by method (default: "
        "what the baseline is a value of)",
    )
    _interpolates(verb)
    verb.add_argument(
        "--format",
        choices=["text", "md", "tex", "csv", "json"],
        help="how the table is written (default: text, of a long table the rows that tell most)",
    )


def _interpolates(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--interpolate",
        action="store_true",
        help="read costs to a target on the straight line between the last evaluation below it and "
        "the first one that meets it (default: those of the latter)",
    )


def _exports(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    """Add the export of rows."""
    verb = _verb(verbs, "export", exporting.export_rows, "write all rows as tidy tables")
    verb.add_argument(
        "folders", metavar="DIR", nargs="+", help="result folder; several are read as one study"
    )
    verb.add_argument(
        "--to",
        choices=["csv", "parquet", "duckdb"],
        default="parquet",
        help="a file a table, or one database (default: parquet)",
    )
    verb.add_argument(
        "--out",
        metavar="PLACE",
        help="folder of the files (default: DIR_export beside the first DIR)",
    )


def _stores(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    """Add what can be done with kept results."""
    text = "tell, check or remove the results of jobs that are kept between runs"
    parser = verbs.add_parser("store", help=text, description="Results of jobs.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, command, told in (
        ("info", store.tell_store, "say where results are, how many, and how much room they take"),
        ("verify", store.verify_store, "read every result; remove those that are damaged"),
        ("clear", store.clear_store, "remove all results"),
    ):
        _takes_store(_verb(actions, name, command, told))


def _takes_store(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--store",
        metavar="DIR",
        help="folder of results of jobs: none is computed twice (default: in the user's cache)",
    )


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
    file = verb.add_argument(
        "file", metavar="FILE", help="scenario file, or the name of one in the library"
    )
    completed(file, scenario_files)
    keys = verb.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY.KEY=VALUE",
        help="replace or add a key; may be repeated",
    )
    completed(keys, scenario_keys)


def _gigabytes(text: str) -> int:
    """Return bytes."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not 0 < number < MAX_GIGABYTES:
        msg = f"must be a number above 0 and below {MAX_GIGABYTES:g}, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return round(1e9 * number)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        msg = f"must be a whole number >= 1, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
