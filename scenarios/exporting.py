"""The verb ``export``: all rows of result folders as tidy tables."""

import argparse
import json
from pathlib import Path

from analysis.errors import ResultError
from scenarios.errors import ScenarioError
from scenarios.output import say


def export_rows(options: argparse.Namespace) -> int:
    """Write all rows of one or several result folders as tidy tables."""
    from analysis.export import export  # noqa: PLC0415 -- loads pandas
    from analysis.several import load_several  # noqa: PLC0415

    # beside the result folder: what is in it and not of the study keeps it from being replaced
    first = Path(options.folders[0]).resolve()
    place = Path(options.out) if options.out else first.with_name(f"{first.name}_export")
    try:
        files = export(load_several(options.folders), form=options.to, place=place)
    except ResultError as error:
        raise ScenarioError([str(error)]) from None
    except OSError as error:
        where = error.filename or place
        raise ScenarioError([f"{where}: {error.strerror or error}"]) from None
    told = [str(path) for path in files]
    say(json.dumps({"files": told}) if options.json else "\n".join(told))
    return 0
