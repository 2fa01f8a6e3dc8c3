"""Own sites from a csv file, one row a sector: read here, handed to the network as settings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from fl.csv_rows import MAX_SHOWN, by_column, header_faults, number, read_rows
from netsim.config import WorldConfig
from netsim.config.sites import MAX_SECTORS, MAX_SITES, SectorConfig, SiteConfig, SitesLayout
from netsim.problems import Problem
from scenarios.errors import ScenarioError
from scenarios.messages import sentence

SITE = "site"
PLACES = (("x_m", "y_m"), ("lat_deg", "lon_deg"))
NEEDED = (SITE, *PLACES[0], *PLACES[1])
"""Columns that have no empty cell where a file has them."""
OF_SITE = (*PLACES[0], *PLACES[1], "height_m")
OF_SECTOR = ("azimuth_deg", "tilt_deg", "power_dbm")
COLUMNS = (SITE, *OF_SITE, *OF_SECTOR)
_T = TypeVar("_T", SiteConfig, SectorConfig)
PATH = ("world", "layout", "path")


@dataclass(frozen=True, slots=True)
class SiteFile:
    """The sites of a file, and where each sector stands in it."""

    path: str
    sites: tuple[SiteConfig, ...]
    lines: tuple[tuple[int, ...], ...]
    """Lines of the file by site and sector."""
    names: tuple[str, ...]
    """Names of the sites."""

    def place(self, path: Sequence[str]) -> str:
        """Return where in the file a key below ``world.layout.sites`` stands."""
        site, *below = path
        lines = self.lines[int(site)]
        sector = int(below[1]) if below[:1] == ["sectors"] and len(lines) > 1 else 0
        key = below[-1:] if below else []
        shown = self.names[int(site)][:MAX_SHOWN]
        return ": ".join([f"{self.path}, line {lines[sector]} (site {shown})", *key])


def with_sites(world: WorldConfig) -> WorldConfig:
    """Return a world whose sites are those of its file, if it names one; else as it is.

    Raises
    ------
    ScenarioError
        One line: what is wrong with the file, and in which line of it.
    """
    found = site_file_of(world)
    if found is None or not isinstance(world.layout, SitesLayout):
        return world
    return replace(world, layout=replace(world.layout, path=None, sites=found.sites))


def site_file_of(world: WorldConfig) -> SiteFile | None:
    """Return the file of a world's own sites; ``None`` where it names none, or other sites too.

    Raises
    ------
    ScenarioError
        As for :func:`with_sites`.
    """
    layout = world.layout
    if not isinstance(layout, SitesLayout) or layout.path is None:
        return None
    if layout.positions_m is not None or layout.sites is not None:
        return None
    return read_site_file(layout.path)


def problems_in_file(problems: Sequence[Problem], world: WorldConfig) -> list[Problem]:
    """Return broken rules, those of sites that come from a file told with its lines."""
    found = site_file_of(world)
    if found is None:
        return list(problems)
    return [
        Problem(PATH, f"{found.place(problem.path[3:])}: {problem.message}")
        if problem.path[:3] == ("world", "layout", "sites") and len(problem.path) > 3
        else problem
        for problem in problems
    ]


def read_site_file(path: str) -> SiteFile:
    """Read a csv file of sites; an unchanged file is read once.

    Lines that begin with ``#`` are remarks. Rows of one ``site`` are its sectors. Without the
    column ``azimuth_deg`` a row is a site with the sectors of ``num_sectors``.

    Raises
    ------
    ScenarioError
        One line: the file cannot be read, a column is unknown or missing, or the line and the cell
        at fault.
    """
    try:
        about = Path(path).stat()
    except OSError as error:
        raise ScenarioError([f"sites {path}: cannot be read: {error.strerror or error}"]) from None
    return _read_version(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=16)
def _read_version(path: str, size_bytes: int, modified_at_ns: int) -> SiteFile:
    """Read the file; size and time of the last change identify its version."""
    del size_bytes, modified_at_ns
    try:
        header, rows = read_rows(path, max_rows=MAX_SITES * MAX_SECTORS)
        fault = next(_header_faults(header), None)
        found = None if fault is not None else _site_file(path, header, rows)
    except ValueError as error:
        fault, found = str(error), None
    if found is None:
        raise ScenarioError([f"sites {path}: {fault}"])
    return found


def _header_faults(header: list[str]) -> Iterator[str]:
    yield from header_faults(header, known=COLUMNS, needed=[SITE])
    given = [pair for pair in PLACES if set(pair) & set(header)]
    if len(given) != 1 or not set(given[0]) <= set(header):
        yield f"must have the columns x_m and y_m, or lat_deg and lon_deg, got {', '.join(header)}"
    if "azimuth_deg" not in header and "tilt_deg" in header:
        yield "the column tilt_deg has no effect without azimuth_deg"


@dataclass(slots=True)
class _Site:
    """Rows of one site so far."""

    own: SiteConfig
    sectors: list[SectorConfig] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def _site_file(path: str, header: list[str], rows: list[tuple[int, list[str]]]) -> SiteFile:
    """Return the sites of rows, in order of appearance.

    Raises
    ------
    ValueError
        With the line at fault.
    """
    found: dict[str, _Site] = {}
    has_sectors = "azimuth_deg" in header
    for line, cells in rows:
        try:
            _add(found, _row(header, cells), line, has_sectors=has_sectors)
        except ValueError as error:
            msg = f"line {line}: {error}"
            raise ValueError(msg) from None
    if len(found) > MAX_SITES:
        msg = f"must have at most {MAX_SITES} sites, got {len(found)}"
        raise ValueError(msg)
    return SiteFile(
        path,
        tuple(
            replace(site.own, sectors=tuple(site.sectors))
            if has_sectors
            else replace(site.own, power_dbm=site.sectors[0].power_dbm)
            for site in found.values()
        ),
        tuple(tuple(site.lines) for site in found.values()),
        tuple(found),
    )


def _row(header: list[str], cells: list[str]) -> dict[str, str]:
    """Return the cells of a row that are not empty, by column; some may not be empty."""
    row = by_column(header, cells)
    for column in header:
        if column in NEEDED and column not in row:
            msg = f"{column}: must not be empty"
            raise ValueError(msg)
    return row


def _add(found: dict[str, _Site], row: Mapping[str, str], line: int, *, has_sectors: bool) -> None:
    """Add a row to the sites."""
    name = row[SITE]
    own = _settings(SiteConfig, row, OF_SITE)
    site = found.setdefault(name, _Site(own))
    if site.own != own:
        msg = (
            f"site {name[:MAX_SHOWN]!r} must have one place and height in all its rows, those of "
            f"line {site.lines[0]}"
        )
        raise ValueError(msg)
    if site.lines and not has_sectors:
        msg = f"site {name[:MAX_SHOWN]!r} must have 1 row without a column azimuth_deg"
        raise ValueError(msg)
    if len(site.lines) == MAX_SECTORS:
        msg = f"site {name[:MAX_SHOWN]!r} must have at most {MAX_SECTORS} rows, which are sectors"
        raise ValueError(msg)
    site.sectors.append(_settings(SectorConfig, row, OF_SECTOR))
    site.lines.append(line)


def _settings(kind: type[_T], row: Mapping[str, str], columns: Sequence[str]) -> _T:
    """Return the settings of some columns, within the bounds of the keys in a scenario.

    Raises
    ------
    ValueError
        With column, rule and value.
    """
    values = {column: number(column, row[column]) for column in columns if column in row}
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        column = str(first["loc"][0])
        msg = f"{column}: {sentence(first, (column,), kind)}"
        raise ValueError(msg) from None
