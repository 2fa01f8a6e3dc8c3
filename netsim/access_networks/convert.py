"""Public measured logs turned into a trace, see :mod:`netsim.access_networks.trace_file`.

Two forms are known by their columns: logs of the app G-NetTrack Pro as in the 5G data set of UCC
(Raca et al., MMSys 2020), and throughput series as in Pensieve (HSDPA of Norway, FCC). Neither says
what an uplink could have carried: the first logs what went up during downloads, the second nothing.
So the uplink is a fraction of the downlink that the user names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netsim.access_networks.trace_file import CLIENT, ENDINGS, NEEDED, TIME, read_frame

if TYPE_CHECKING:
    import pandas as pd

_KBPS_PER_MBPS = 1e3
_LOG = "trace"
"""Column of both forms that names a log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What a trace holds that was made of logs."""

    num_clients: int
    num_rows: int
    num_short: int
    """Logs of fewer than two instants, which were left out."""
    mean_downlink_mbps: float


def convert_logs(
    source: str, out: str, *, uplink_fraction: float, only: Mapping[str, str]
) -> Converted:
    """Write a trace made of a file of logs.

    Parameters
    ----------
    source
        A csv or parquet file of one of the two forms.
    out
        The trace, a csv or parquet file that does not exist yet.
    uplink_fraction
        Uplink rate over downlink rate, > 0.
    only
        Column to the value that its rows must have; the others are left out.

    Raises
    ------
    ValueError
        One line: a file or an argument that cannot be used.
    """
    if not 0 < uplink_fraction < float("inf"):
        msg = f"uplink fraction: must be > 0 and finite, got {uplink_fraction:g}"
        raise ValueError(msg)
    if Path(out).suffix not in ENDINGS:
        msg = f"{out}: must end in {' or '.join(ENDINGS)}"
        raise ValueError(msg)
    if Path(out).exists():
        msg = f"{out}: exists already, it is not replaced"
        raise ValueError(msg)
    frame = _selected(read_frame(source, name=source), only, source=source)
    read = next((form for columns, form in _FORMS.items() if columns <= set(frame.columns)), None)
    if read is None:
        forms = "; or ".join(", ".join(sorted(columns)) for columns in _FORMS)
        msg = f"{source}: must have the columns {forms}; got {', '.join(map(str, frame.columns))}"
        raise ValueError(msg)
    rates = read(frame, source)
    sizes = rates.groupby(CLIENT, sort=False)[TIME].transform("size")
    kept = rates[sizes >= 2]
    if not len(kept):
        msg = f"{source}: no log has two instants"
        raise ValueError(msg)
    starts_s = kept.groupby(CLIENT, sort=False)[TIME].transform("min")
    uplink, downlink = NEEDED
    trace = kept.assign(**{TIME: kept[TIME] - starts_s, uplink: kept[downlink] * uplink_fraction})
    trace = trace[[CLIENT, TIME, uplink, downlink]]
    if Path(out).suffix == ".csv":
        trace.to_csv(out, index=False)
    else:
        trace.to_parquet(out, index=False)
    return Converted(
        num_clients=int(trace[CLIENT].nunique()),
        num_rows=len(trace),
        num_short=int(rates[CLIENT].nunique() - trace[CLIENT].nunique()),
        mean_downlink_mbps=float(trace[downlink].mean()),
    )


def _selected(frame: "pd.DataFrame", only: Mapping[str, str], *, source: str) -> "pd.DataFrame":
    """Keep the rows with these values."""
    for column, value in only.items():
        if column not in frame.columns:
            msg = f"{source}: has no column {column}, only {', '.join(map(str, frame.columns))}"
            raise ValueError(msg)
        known = frame[column].astype(str)
        frame = frame[known == value]
        if not len(frame):
            there_are = ", ".join(sorted(known.unique())[:12])
            msg = f"{source}: no row has {column}={value}, there are {there_are}"
            raise ValueError(msg)
    return frame


def _of_gnettrack(frame: "pd.DataFrame", source: str) -> "pd.DataFrame":
    """Return the rates of G-NetTrack logs: kbit/s, means over the rows of a second."""
    import pandas as pd  # noqa: PLC0415

    at = pd.to_datetime(frame["Timestamp"], format="%Y.%m.%d_%H.%M.%S", errors="coerce")
    if at.isna().any():
        bad = str(frame["Timestamp"][at.isna()].iloc[0])[:60]
        msg = f"{source}: Timestamp must look like 2019.12.31_23.59.59, got {bad}"
        raise ValueError(msg)
    rates = pd.DataFrame(
        {
            CLIENT: frame[_LOG],
            TIME: (at - at.min()).dt.total_seconds(),
            NEEDED[1]: pd.to_numeric(frame["DL_bitrate"], errors="coerce") / _KBPS_PER_MBPS,
        }
    )
    means = rates.dropna().groupby([CLIENT, TIME], sort=True)[NEEDED[1]].mean()
    return means.reset_index()


def _of_throughput(frame: "pd.DataFrame", source: str) -> "pd.DataFrame":
    """Return the rates of throughput series: Mbit/s, each from its time to the next."""
    del source
    renamed = frame.rename(columns={_LOG: CLIENT, "t_s": TIME, "mbps": NEEDED[1]})
    return renamed[[CLIENT, TIME, NEEDED[1]]].dropna()


_FORMS: dict[frozenset[str], Callable[["pd.DataFrame", str], "pd.DataFrame"]] = {
    frozenset({_LOG, "Timestamp", "DL_bitrate"}): _of_gnettrack,
    frozenset({_LOG, "t_s", "mbps"}): _of_throughput,
}
