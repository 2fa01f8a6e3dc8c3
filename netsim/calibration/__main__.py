"""Command line: ``python -m netsim.calibration [--figure PATH] [--json] [--drops N]``."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from netsim.calibration.cases import cases
from netsim.calibration.drop import UES_PER_DROP, run_drops
from netsim.calibration.report import NUM_BATCHES, compare, draw_figure, table_text


def main(arguments: list[str] | None = None) -> int:
    """Run the cases, print the table, draw the figure; return 0."""
    parser = argparse.ArgumentParser(prog="python -m netsim.calibration", description=__doc__)
    parser.add_argument("--figure", type=Path, help="draw the distributions into this file")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--drops", type=int, default=60, help="worlds a case (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="root seed (default 1)")
    options = parser.parse_args(arguments)
    if options.drops < NUM_BATCHES:
        parser.error(f"--drops: must be >= {NUM_BATCHES}, got {options.drops}")
    if options.seed < 0:
        parser.error(f"--seed: must be >= 0, got {options.seed}")
    if options.figure is not None and not options.figure.parent.is_dir():
        parser.error(f"--figure: no such folder, got {options.figure.parent}")
    results, rows = {}, []
    for name, case in cases().items():
        results[name] = run_drops(case, num_drops=options.drops, seed=options.seed)
        rows += compare(name, results[name], num_drops=options.drops)
    if options.json:
        report = {
            "num_drops": options.drops,
            "num_ues": options.drops * UES_PER_DROP,
            "seed": options.seed,
            "rows": [asdict(row) for row in rows],
        }
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.write(table_text(rows) + "\n")
    if options.figure is not None:
        draw_figure(results, options.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
