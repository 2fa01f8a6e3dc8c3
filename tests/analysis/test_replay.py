"""The replay: what it is told of a run, by hand, and that it works in a browser."""

import html
import json
import re
import shutil
import subprocess

import pandas as pd
import pytest

from analysis.load import load_results
from analysis.replay import MAX_TRANSFERS, replay_data, replay_section
from analysis.report import write_report
from tests.analysis.synthetic import METHODS, write_results

CHROMIUM = shutil.which("chromium")


@pytest.fixture
def placed(tmp_path):
    """Two methods, one seed; every client has two places, and there is one site."""
    folder = write_results(tmp_path / "made", methods=METHODS[1:3], seeds=(4,), num_rounds=3)
    for variant in METHODS[1:3]:
        run = folder / variant.name / "seed4"
        transfers = pd.read_csv(run / "transfers.csv")
        ids = sorted(set(transfers["client_id"]))
        rows = [
            {"at_s": at_s, "client_id": each, "x_m": 10.0 * each + at_s, "y_m": -5.0}
            for each in ids
            for at_s in (1.0, 3.0)
        ]
        pd.DataFrame(rows).to_csv(run / "positions.csv", index=False)
        pd.DataFrame([{"site_id": 0, "x_m": 1.25, "y_m": 2.0}]).to_csv(
            run / "sites.csv", index=False
        )
    return folder


def test_numbers_are_those_of_the_rows(placed):
    results = load_results(placed)
    runs = replay_data(results)
    assert [run["label"] for run in runs] == [each.label for each in results.variants]
    run = runs[0]
    transfers = results.transfers[results.transfers["variant"] == results.variants[0].name]
    assert run["seed"] == 4
    assert len(run["transfers"]) == len(transfers)
    assert run["sites"] == [[1.2, 2.0]]
    client = run["clients"][0]
    assert client[1:] == [[1.0, 3.0], [10.0 * client[0] + 1, 10.0 * client[0] + 3], [-5.0, -5.0]]
    place, is_up, asked_s, started_s, finished_s, rate_mbps = run["transfers"][0]
    first = transfers.sort_values(["requested_at_s", "client_id"]).iloc[0]
    assert run["clients"][place][0] == first["client_id"]
    assert is_up == (first["direction"] == "uplink")
    assert [asked_s, started_s, finished_s] == pytest.approx(
        first[["requested_at_s", "started_at_s", "finished_at_s"]].tolist(), abs=5e-4
    )
    sent = first.get("delivered_bytes", first["size_bytes"])
    mbps = 8e-6 * sent / (first["finished_at_s"] - first["started_at_s"])
    assert rate_mbps == pytest.approx(mbps, abs=0.006)
    rounds = results.rounds[results.rounds["variant"] == results.variants[0].name]
    assert run["end_s"] == pytest.approx(rounds["finished_at_s"].max(), abs=5e-4)
    assert [row[2] for row in run["rounds"]] == pytest.approx(rounds["energy_j"].tolist(), abs=5e-4)
    assert run["metric"] == "accuracy"
    assert run["num_left_out"] == 0


def test_a_client_is_at_work_between_its_download_and_its_upload(placed):
    for each in METHODS[1:3]:
        path = placed / each.name / "seed4" / "transfers.csv"
        rows = pd.read_csv(path).assign(participation_id=range(len(pd.read_csv(path))))
        down = rows[rows["direction"] == "downlink"].index
        up = rows[rows["direction"] == "uplink"].index
        rows.loc[up[:1], "participation_id"] = rows.loc[down[:1], "participation_id"].tolist()
        rows.loc[up[0], "client_id"] = rows.loc[down[0], "client_id"]
        rows.loc[up[0], "requested_at_s"] = rows.loc[down[0], "finished_at_s"] + 0.25
        rows.to_csv(path, index=False)
    run = replay_data(load_results(placed))[0]
    ((_, from_s, to_s),) = run["work"]
    assert to_s - from_s == pytest.approx(0.25, abs=2e-3)


def test_without_places_one_line_says_so(study):
    section = replay_section(load_results(study))
    assert "No replay: no run has places" in section
    assert "<canvas" not in section


def test_runs_beyond_the_bound_are_left_out(placed, monkeypatch):
    monkeypatch.setattr("analysis.replay.MAX_BYTES", 10)
    monkeypatch.setattr("analysis.replay.MAX_TRANSFERS", 2)
    (run,) = replay_data(load_results(placed))
    assert len(run["transfers"]) == 2
    assert run["num_left_out"] > 0
    assert MAX_TRANSFERS > 1000


def test_no_label_ends_the_data_or_becomes_markup(placed):
    path = placed / "manifest.json"
    manifest = json.loads(path.read_text())
    evil = '</script><script>alert(1)</script>"&\u202e'
    manifest["variants"][0]["label"] = evil
    path.write_text(json.dumps(manifest))
    section = replay_section(load_results(placed))
    assert section.count("<script") == 2
    assert "alert(1)</script>" not in section
    data = re.search(r'id="replay-data">(.*?)</script>', section, re.DOTALL)[1]
    assert json.loads(data)[0]["label"] == evil
    option = re.search(r'<option value="0">(.*?)</option>', section)[1]
    assert "<" not in option
    assert html.unescape(option).startswith("</script><script>")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: no page is opened")
def test_controls_work_in_a_browser_without_errors(placed, tmp_path):
    page = write_report(placed).index
    probe = """<script>
    const said = [];
    window.addEventListener("error", (event) => said.push("error: " + event.message));
    const told = document.getElementById("replay-told"), before = told.textContent;
    const slider = document.getElementById("replay-time");
    slider.value = "500"; slider.dispatchEvent(new Event("input"));
    said.push(told.textContent !== before ? "moved" : "still");
    const run = document.getElementById("replay-run");
    run.value = "1"; run.dispatchEvent(new Event("change"));
    said.push("runs " + run.options.length);
    const play = document.getElementById("replay-play");
    play.click(); said.push(play.textContent); play.click(); said.push(play.textContent);
    document.getElementById("replay").dispatchEvent(
      new KeyboardEvent("keydown", {key: " ", bubbles: true}));
    said.push(play.getAttribute("aria-pressed"));
    window.airtuneReplay.at(0.7); said.push(told.textContent.split(" ")[0]);
    document.title = said.join("|");
    </script></body>"""
    copy = tmp_path / "probe.html"
    copy.write_text(page.read_text().replace("</body>", probe))
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"file://{copy}"]
    done = subprocess.run(
        [CHROMIUM, *arguments], capture_output=True, text=True, timeout=120, check=True
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout)[1]
    assert title == "moved|runs 2|Pause|Play|true|0.7"
