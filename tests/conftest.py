"""Property tests draw the same examples every time, and the command ``pytest --ladder``.

``AIRTUNE_CHECK_ARRAYS`` names modules or packages, parted by commas, whose every call is checked
against its annotations: a test fails where an array of another rank, size or type is passed.

Tables of link adaptation are kept in a folder of the run (``AIRTUNE_TABLES``), not in the user's;
studies are tried each time, whatever has passed before (``AIRTUNE_TRIALS``), and no results are
kept between runs (``AIRTUNE_STORE``).
"""

import os
import shutil
import tempfile

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from tests.ladder import NUM_STEPS, Ladder, steps, table

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

if checked := os.environ.get("AIRTUNE_CHECK_ARRAYS"):
    install_import_hook(checked.split(","), "beartype.beartype")


@pytest.fixture
def ladder(record_property):
    """Checks of the ladder of evidence, see :mod:`tests.ladder`."""
    return Ladder(record_property)


def pytest_addoption(parser):
    parser.addoption(
        "--ladder",
        action="store_true",
        help="run the ladder of evidence alone and print expected beside measured",
    )


def pytest_configure(config):
    if "AIRTUNE_TABLES" not in os.environ:
        os.environ["AIRTUNE_TABLES"] = folder = tempfile.mkdtemp(prefix="airtune-tables-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["AIRTUNE_TRIALS"] = os.environ["AIRTUNE_STORE"] = "off"
    if config.getoption("--ladder"):
        config.option.markexpr = ""  # its slow steps too


def pytest_collection_modifyitems(config, items):
    if config.getoption("--ladder"):
        chosen = [item for item in items if "ladder" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("--ladder"):
        return
    stats = terminalreporter.stats
    reports = [r for name in ("passed", "failed") for r in stats.get(name, ()) if r.when == "call"]
    lines = table(reports)
    terminalreporter.write_line("")
    for line in lines:
        terminalreporter.write_line(line)
    missing = sorted(set(range(1, NUM_STEPS + 1)) - steps(lines))
    if missing:
        terminalreporter.write_line(f"steps without a check in this run: {missing}")
