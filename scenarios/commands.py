"""What each verb of the command ``airtune`` does with its arguments; the result is the exit code.

Libraries are imported inside the functions: a verb loads what it needs, torch only where it runs.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.errors import FolderLostError, ResultError
from scenarios.errors import RunFailedError, ScenarioError, is_full
from scenarios.output import bounded, complain, say
from scenarios.progress import Bars, Silent
from scenarios.store import MAX_BYTES, usable_store

if TYPE_CHECKING:
    from analysis.canvas import Size
    from analysis.report import Report
    from scenarios.document import Document
    from scenarios.run import StudyResult
    from scenarios.schema import Scenario

PICTURE_ENDINGS = (".png", ".svg", ".pdf")
_MOST_NAMED = 8
"""Variants that ``validate`` names in its first line; ``--json`` names all."""
DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def run_study(options: argparse.Namespace) -> int:
    """Run a scenario and show its report."""
    from scenarios.load import load_with_places  # noqa: PLC0415 -- torch is only loaded when it is needed
    from scenarios.run import run  # noqa: PLC0415
    from scenarios.watching import watched  # noqa: PLC0415

    scenario, places = load_with_places(options.file, options.set, seeds=options.seeds)
    if options.no_store and options.store:
        raise ScenarioError(["--store and --no-store: give one of them"])
    if options.no_store and options.store_max_gb:
        raise ScenarioError(["--store-max-gb: has no effect with --no-store"])
    if options.dry_run:
        return _estimate(options, scenario, places)
    settings: dict[str, Any] = {
        "out": options.out,
        "executor": options.executor,
        **_executor_settings(options),
        "store": None if options.no_store else usable_store(options.store),
        "store_max_bytes": options.store_max_gb or MAX_BYTES,
        "overwrite": options.overwrite,
        "places": places,
    }
    with watched(
        scenario,
        has_bars=not options.json,
        log=options.log,
        trackers=options.track,
        folder=options.out,
    ) as reporter:
        result = run(scenario, reporter=reporter, **settings)
    if result.status == "interrupted":
        complain([f"interrupted: the finished rounds are in {result.folder}"], as_json=False)
        return INTERRUPTED
    complain(result.failures, as_json=False)
    if not result.num_done:
        return FAILED
    report = _write_report(result.folder, run_id=result.run_id)
    _present(report, as_json=options.json, result=result)
    return FAILED if result.failures else DONE


def _executor_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of who runs jobs, but for its name."""
    names = (
        "jobs",
        "workers",
        "cohort",
        "ray_address",
        "ray_gpus",
        "device",
        "checkpointing",
        "compile",
    )
    return {name: getattr(options, name) for name in names}


def _estimate(options: argparse.Namespace, scenario: "Scenario", places: "Document") -> int:
    """Say what a study would take; runs two rounds of every variant and keeps nothing."""
    from scenarios.dry_run import estimate  # noqa: PLC0415
    from scenarios.executors import ExecutorSettings  # noqa: PLC0415
    from scenarios.variants import variants  # noqa: PLC0415

    for flag, is_given in (("--overwrite", options.overwrite), ("--store", options.store)):
        if is_given:
            raise ScenarioError([f"{flag}: has no effect with --dry-run, which keeps nothing"])
    executor = ExecutorSettings(name=options.executor, **_executor_settings(options))
    if options.json:
        found = estimate(scenario, executor=executor, reporter=Silent(), places=places)
        say(json.dumps(found.as_data()))
        return DONE
    with Bars(len(variants(scenario))) as bars:
        found = estimate(scenario, executor=executor, reporter=bars, places=places)
    for line in bounded(found.lines()):
        say(line)
    return DONE


def validate(options: argparse.Namespace) -> int:
    """Check a scenario, its data and its model."""
    from scenarios.check import check  # noqa: PLC0415
    from scenarios.load import load_with_places  # noqa: PLC0415
    from scenarios.variants import find_warnings, variants  # noqa: PLC0415

    scenario, places = load_with_places(options.file, options.set)
    warnings = find_warnings(variants(scenario))
    if not options.json:
        for warning in warnings:  # first: what follows may take long for the same reason
            say(f"warning: {warning}")
    check(scenario, places)
    from scenarios.cost_summary import cost_facts, cost_lines  # noqa: PLC0415
    from scenarios.data_summary import data_facts, summary_lines  # noqa: PLC0415

    all_variants = variants(scenario)
    names = [variant.name for variant in all_variants]
    facts, costs = data_facts(all_variants), cost_facts(all_variants)
    if options.json:
        say(
            json.dumps(
                {
                    "name": scenario.name,
                    "is_valid": True,
                    "variants": names,
                    "seeds": list(scenario.seeds),
                    "data": facts,
                    "costs": costs,
                    "warnings": warnings,
                }
            )
        )
    else:
        size = f"{len(names)} variants x {len(scenario.seeds)} seeds"
        say(f"{scenario.name}: valid; {size}: {', '.join(bounded(names, most=_MOST_NAMED))}")
        lines = [line for each in facts for line in summary_lines(each)]
        lines += [line for each in costs for line in cost_lines(each)]
        for line in bounded(lines):
            say(line)
    return DONE


def list_names(options: argparse.Namespace) -> int:
    """List what a scenario can name, tell of one of them, or say what can be listed."""
    from scenarios.catalogue import CATALOGUES, card, find  # noqa: PLC0415

    if options.what is None:
        say(json.dumps(list(CATALOGUES)) if options.json else "\n".join(CATALOGUES))
        return DONE
    if options.name is not None:
        told = card(options.what, options.name)
        entry = find(options.what, options.name)
        say(json.dumps({**entry, "card": told}, indent=2) if options.json else told)
        return DONE
    entries = CATALOGUES[options.what]()
    if options.json:
        say(json.dumps(entries, indent=2))
    else:
        width = max(len(entry["name"]) for entry in entries)
        for entry in entries:
            say(f"{entry['name']:{width}}  {entry['summary']}")
    return DONE


def report(options: argparse.Namespace) -> int:
    """Write figures and tables of a result folder again."""
    report = _write_report(
        Path(options.folder),
        formats=(options.figure_format,),
        size=options.figure_style,
        interpolate=options.interpolate,
    )
    _present(report, as_json=options.json)
    return DONE


def new_file(options: argparse.Namespace) -> int:
    """Write a scenario file with every key explained."""
    from scenarios.editor_schema import FILE_NAME, write_beside  # noqa: PLC0415
    from scenarios.template import annotated_template  # noqa: PLC0415

    path = Path(options.file)
    text = annotated_template(path.stem)
    try:
        _write_new(path, text)
        schema = write_beside(path)
    except FileExistsError:
        raise ScenarioError([f"{path}: exists already, it is not replaced"]) from None
    except OSError as error:
        raise _not_written(path, error) from None
    if schema is None:
        complain([f"{path.parent / FILE_NAME}: is not of airtune, it stays"], as_json=False)
    say(
        json.dumps({"file": str(path), "schema": None if schema is None else str(schema)})
        if options.json
        else f"{path}: written; every key is explained in it"
    )
    return DONE


def print_schema(options: argparse.Namespace) -> int:
    """Print the JSON schema of scenario files; with ``--json`` it is the same."""
    from scenarios.editor_schema import schema_text  # noqa: PLC0415

    say(schema_text().rstrip())
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
    """State that a file cannot be written: bad input, or on a full disk a failure."""
    message = f"{path}: cannot be written: {error.strerror or error}"
    return RunFailedError(message) if is_full(error) else ScenarioError([message])


def draw(options: argparse.Namespace) -> int:
    """Draw the world of a scenario."""
    from netsim.map_picture import draw_map  # noqa: PLC0415
    from scenarios.load import load  # noqa: PLC0415
    from scenarios.network import map_sections  # noqa: PLC0415

    scenario = load(options.file, options.set)
    sections = map_sections(scenario)
    path = Path(options.out or f"{scenario.name}_map.png")
    seed = scenario.seeds[0] if options.seed is None else options.seed
    _check_map(path, seed)
    try:
        summary = draw_map(
            sections.world,
            sections.radio,
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


def convert_traces(options: argparse.Namespace) -> int:
    """Make a trace of rates out of measured logs."""
    from netsim.access_networks.convert import convert_logs  # noqa: PLC0415
    from scenarios.paths import find_path_fault  # noqa: PLC0415

    only = {}
    for text in options.only:
        column, separator, value = text.partition("=")
        if not separator or not column:
            raise ScenarioError([f"--only {text}: must have the form COLUMN=VALUE"])
        only[column] = value
    if fault := find_path_fault(options.source) or find_path_fault(options.out):
        raise ScenarioError([f"traces convert: {fault}"])
    try:
        done = convert_logs(
            options.source, options.out, uplink_fraction=options.uplink_fraction, only=only
        )
    except ValueError as error:
        raise ScenarioError([str(error)]) from None
    except OSError as error:
        raise _not_written(Path(options.out), error) from None
    if options.json:
        say(json.dumps({"file": options.out, **dataclasses.asdict(done)}))
    else:
        short = f", {done.num_short} of a single instant left out" if done.num_short else ""
        say(
            f"{options.out}: {done.num_clients} logs, {done.num_rows} rows, mean downlink "
            f"{done.mean_downlink_mbps:.4g} Mbit/s{short}"
        )
    return DONE


def _check_map(path: Path, seed: int) -> None:
    """Refuse what would only fail once the map has been computed."""
    from scenarios.paths import find_path_fault  # noqa: PLC0415
    from scenarios.schema import MAX_SEED  # noqa: PLC0415

    problems = []
    if not 0 <= seed <= MAX_SEED:
        problems.append(f"--seed: must be >= 0 and <= {MAX_SEED}, got {seed}")
    if fault := find_path_fault(str(path)):
        raise ScenarioError([*problems, f"--out: {fault}"])
    if path.suffix.lower() not in PICTURE_ENDINGS:
        problems.append(f"--out: must end in one of {', '.join(PICTURE_ENDINGS)}, got {path}")
    if not path.parent.is_dir():
        problems.append(f"--out: must be in a folder that exists, got {path}")
    if problems:
        raise ScenarioError(problems)


def _write_report(
    folder: Path,
    *,
    run_id: str | None = None,
    formats: Sequence[str] = (),
    size: "Size" = "double",
    interpolate: bool = False,
) -> "Report":
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
        return write_report(
            folder, run_id=run_id, formats=formats, size=size, interpolate=interpolate
        )
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


def _present(report: "Report", *, as_json: bool, result: "StudyResult | None" = None) -> None:
    """Show what a report says, and of a study that has just ended how it went."""
    from analysis.outlets import rich_table  # noqa: PLC0415
    from analysis.short import shortened  # noqa: PLC0415

    host_time = None if result is None else result.host_time
    num_kept = 0 if result is None else result.num_kept
    if as_json:
        answer = {
            "folder": str(report.folder),
            "report": str(report.index),
            "tables": {
                table.name: json.loads(table.numbers.to_json(orient="records"))
                for table in report.tables
            },
            "notes": list(report.notes),
            "host_time": None if host_time is None else dataclasses.asdict(host_time),
            "num_runs_done_before": num_kept,
        }
        say(json.dumps(answer, indent=2))
        return
    left_out = []
    for table in report.tables[:-1]:  # the last one lists the runs: it is on the page
        place = report.folder / "tables" / table.name
        shown = shortened(table, where=f"{place}.md, .csv, .tex")
        if shown is None:
            left_out.append(f"{table.name} ({len(table.text)} rows)")
        else:
            say(rich_table(shown))
    if left_out:
        say(f"more tables in {report.folder / 'tables'}: {', '.join(left_out)}")
    for note in bounded(report.notes):
        say(note)
    if num_kept:
        say(f"{num_kept} of the runs were done before, and stayed as they are")
    if host_time is not None:
        say(host_time.line())
    say(f"figures: {report.folder / 'figures'}")
    say(f"report:  {report.index}")
