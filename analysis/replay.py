"""What the report's replay shows of a run: places, transfers and costs over simulated time.

Positions are known where transfers begin and end; between two of them a client is drawn on the line
that joins them, before the first and after the last it stands. Numbers are rounded to what a screen
can show. Runs beyond a bound are left out, so that the page stays small.
"""

import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.load import Results
from analysis.rows import Columns, read_rows
from analysis.tables import metrics_of
from analysis.text_safety import html_text

POSITIONS: Columns = {"at_s": "float", "client_id": "int", "x_m": "float", "y_m": "float"}
SITES: Columns = {"site_id": "int", "x_m": "float", "y_m": "float"}
MAX_BYTES = 4_000_000
"""Most bytes of all runs that are shown [our choice]; the first run is shown in any case."""
MAX_TRANSFERS = 20_000
"""Most transfers of a run that are shown, the first ones."""
_RATE_BITS = 8


def replay_data(results: Results) -> list[dict[str, Any]]:
    """Return what can be replayed: the first seed of each variant, as far as the bound allows.

    Returns
    -------
    list of dict
        One a run, none where no run has positions and transfers. Keys: ``label``, ``seed``,
        ``end_s``; ``sites`` as ``[x_m, y_m]``; ``clients`` as ``[client_id, [at_s], [x_m],
        [y_m]]``; ``transfers`` as ``[place of the client, is_uplink, requested_at_s,
        started_at_s, finished_at_s, Mb/s]`` by request; ``work`` as ``[place of the client, from_s,
        to_s]`` between a download and the upload after it; ``rounds`` as ``[started_at_s,
        finished_at_s, energy_j]``; ``metric`` and ``values`` as ``[at_s, mean]``;
        ``num_left_out`` transfers.
    """
    made: list[dict[str, Any]] = []
    size = 0
    for variant in results.variants:
        runs = results.runs[(results.runs["variant"] == variant.name) & results.runs["is_used"]]
        if runs.empty:
            continue
        run = _run_data(results, variant.name, int(runs["seed"].iloc[0]))
        if run is None:
            continue
        run = {"label": variant.label, **run}
        size += len(json.dumps(run))
        if made and size > MAX_BYTES:
            break
        made.append(run)
    return made


def replay_section(results: Results) -> str:
    """Return the section of the page, or one line that says why there is none."""
    runs = replay_data(results)
    head = '<section id="replay"><h2>Replay</h2>'
    if not runs:
        told = "no run has places of clients and transfers between them"
        return f"{head}<p>No replay: {told}.</p></section>"
    options = "".join(
        f'<option value="{place}">{html_text(run["label"])}, seed {run["seed"]}</option>'
        for place, run in enumerate(runs)
    )
    script = resources.files("analysis").joinpath("replay.js").read_text(encoding="utf-8")
    return f"""{head}
<figure role="group" aria-label="Replay of a run">
<div class="controls">
<button type="button" id="replay-play" aria-pressed="false">Play</button>
<label>Run <select id="replay-run">{options}</select></label>
<label>Speed <select id="replay-speed"><option value="0.2">0.2 x</option>
<option value="1" selected>1 x</option><option value="5">5 x</option>
<option value="30">30 x</option></select></label>
</div>
<canvas id="replay-map" role="img" aria-label="Sites, clients and transfers on a map"></canvas>
<input type="range" id="replay-time" min="0" max="1000" value="0" step="1"
 aria-label="Simulated time">
<p id="replay-told" class="told" aria-live="off"></p>
<p id="replay-scale" class="told"></p>
<figcaption>One run of a variant, drawn from its rows. Triangles are sites, small dots clients,
those that compute with a circle around. A client that sends has a filled dot, one that receives a
ring, with a line to the nearest site, coloured by the mean rate of the transfer; a dashed line is a
transfer that waits for access. Positions are known where transfers begin and end and lie on
straight lines between. Space plays and pauses, the arrow keys move the clock.</figcaption>
</figure>
<noscript><p>The replay needs JavaScript, which this page runs without any network.</p></noscript>
<script type="application/json" id="replay-data">{_json(runs)}</script>
<script>{script}</script>
</section>"""


def _run_data(results: Results, variant: str, seed: int) -> dict[str, Any] | None:
    folder = results.folder / variant / f"seed{seed}"
    positions = _read(folder / "positions.csv", POSITIONS)
    sites = _read(folder / "sites.csv", SITES)
    transfers = _of_run(results.transfers, variant, seed).dropna(
        subset=["started_at_s", "finished_at_s"]
    )
    rounds = _of_run(results.rounds, variant, seed)
    if positions.empty or transfers.empty or rounds.empty:
        return None
    transfers = transfers.sort_values(["requested_at_s", "client_id"], kind="stable")
    left_out = max(len(transfers) - MAX_TRANSFERS, 0)
    transfers = transfers.head(MAX_TRANSFERS)
    places: dict[int, int] = {}
    clients: list[list[Any]] = []
    for client_id, own in positions.sort_values("at_s", kind="stable").groupby("client_id"):
        places[int(str(client_id))] = len(clients)
        known = own.drop_duplicates(["x_m", "y_m"])
        clients.append(
            [
                int(str(client_id)),
                _rounded(known["at_s"], 2),
                _rounded(known["x_m"], 1),
                _rounded(known["y_m"], 1),
            ]
        )
    shown = transfers[transfers["client_id"].isin(places)]
    metric = next(iter(metrics_of(results)), None)
    return {
        "seed": seed,
        "end_s": round(float(rounds["finished_at_s"].max()), 3),
        "sites": [
            [round(x, 1), round(y, 1)] for x, y in zip(sites["x_m"], sites["y_m"], strict=True)
        ],
        "clients": clients,
        "transfers": [_transfer(row, places) for row in shown.to_dict("records")],
        "work": _work(shown, places),
        "rounds": rounds[["started_at_s", "finished_at_s", "energy_j"]]
        .round(3)
        .to_numpy()
        .tolist(),
        "metric": metric,
        "values": _values(_of_run(results.evaluations, variant, seed), metric),
        "num_left_out": left_out,
    }


def _transfer(row: Mapping[Any, Any], places: Mapping[int, int]) -> list[float]:
    started_s, finished_s = float(row["started_at_s"]), float(row["finished_at_s"])
    sent = float(row.get("delivered_bytes", row["size_bytes"]))
    rate_mbps = _RATE_BITS * sent / 1e6 / max(finished_s - started_s, 1e-6)
    return [
        places[int(row["client_id"])],
        int(row["direction"] == "uplink"),
        *(round(at_s, 3) for at_s in (float(row["requested_at_s"]), started_s, finished_s)),
        round(rate_mbps, 2),
    ]


def _work(transfers: pd.DataFrame, places: Mapping[int, int]) -> list[list[float]]:
    """Return when clients were at work: from the end of a download to the request that follows."""
    if "participation_id" not in transfers:
        return []
    found: list[list[float]] = []
    last: dict[object, tuple[str, float]] = {}
    columns = ["participation_id", "client_id", "direction", "requested_at_s", "finished_at_s"]
    known = transfers[transfers["participation_id"].notna()]
    for key, client_id, way, asked_s, ended_s in known[columns].itertuples(index=False, name=None):
        before, from_s = last.get(key, ("", 0.0))
        if (before, way) == ("downlink", "uplink") and asked_s > from_s:
            found.append([places[client_id], round(from_s, 3), round(asked_s, 3)])
        last[key] = way, ended_s
    return sorted(found, key=lambda each: each[1])


def _values(rows: pd.DataFrame, metric: str | None) -> list[list[float]]:
    """Return the metric over time: of the global model if there is one, else of personal ones."""
    own = rows[rows["metric"] == metric]
    for split in ("global", "personal"):
        of_split = own[own["split"] == split]
        if len(of_split):
            pairs = zip(of_split["at_s"], of_split["mean"], strict=True)
            return [[round(at, 3), round(mean, 4)] for at, mean in pairs if math.isfinite(mean)]
    return []


def _read(path: Path, columns: Columns) -> pd.DataFrame:
    return read_rows(path, columns, is_done=False)


def _of_run(rows: pd.DataFrame, variant: str, seed: int) -> pd.DataFrame:
    return rows[(rows["variant"] == variant) & (rows["seed"] == seed)]


def _rounded(values: "pd.Series[float]", decimals: int) -> list[float]:
    return [round(float(value), decimals) for value in values]


def _json(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return JSON that no text in it can end the element of."""
    text = json.dumps(runs, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
