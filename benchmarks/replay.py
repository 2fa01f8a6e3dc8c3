"""Frames a second of a report's replay: ``python -m benchmarks.replay [--clients NUM]``.

Prints one JSON object. A study of ``NUM`` walking clients around two sites, all of them in every
round, is run without training; its page is opened in chromium without a window and without a
graphics processor, plays for some seconds, and is then scrubbed, one step a frame. Frames a second
are those of the clock, so they tell of a quiet machine only. Processor milliseconds a frame are
those of all processes of the browser; the target, 30 frames a second, is read off these.
"""

import argparse
import json
import os
import subprocess
import tempfile
import threading
import urllib.parse
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TARGET_PER_S = 30.0
NUM_CLIENTS = 200
PLAYED_S = 4.0
NUM_FRAMES = 60
"""Least of each part, however long they take."""
_WAIT_S = 150.0
SCENARIO = """
name: replay
seeds: [1]
clients: {num_clients: NUM_CLIENTS, devices: {phone_mid: 0.5, phone_high: 0.3, laptop: 0.2}}
data: {source: docstrings, partition: {kind: iid}, max_train_texts: 3000, max_test_texts: 800}
model: {name: tiny-encoder}
training: {mode: none, local_steps: 8, batch_size: 16}
server: {mode: sync, num_rounds: 3, policy: {kind: random, num_clients: NUM_CLIENTS}}
methods: [{kind: fedtt, rank: 3, adapter_dim: 16, classifier: linear}]
world:
  environment: uma
  layout: {kind: sites, positions_m: [[0, 0], [500, 0]]}
  carrier_hz: 3.5e9
  mobility: {kind: random_waypoint}
radio: {bandwidth_hz: 20e6, subcarrier_spacing_hz: 30e3, fading: {kind: none}, scheduler: round_robin}
"""  # noqa: E501 -- a scenario file
_PROBE = """<img src="/wait" alt=""><script>
window.addEventListener("DOMContentLoaded", async () => {
  const pen = document.getElementById("replay-map").getContext("2d");
  const slider = document.getElementById("replay-time");
  const play = document.getElementById("replay-play");
  const frame = () => new Promise(requestAnimationFrame);
  const measure = async (what, least, step) => {
    await fetch("/begin");
    const begun = performance.now();
    let count = 0, passed = 0;
    while (count < least || passed < PLAYED_MS) {
      await step(passed / PLAYED_MS);
      count += 1;
      passed = performance.now() - begun;
    }
    await fetch(`/end?what=${what}&frames=${count}&seconds=${passed / 1000}`);
  };
  document.getElementById("replay-speed").value = "5";
  await frame();
  play.click();
  await measure("play", NUM_FRAMES, frame);
  play.click();
  await measure("scrub", NUM_FRAMES, async (part) => {
    slider.value = String(Math.round(1000 * (part % 1)));
    slider.dispatchEvent(new Event("input"));
    await frame();
  });
  await fetch("/done");
});
</script></body>"""


class _Listener(BaseHTTPRequestHandler):
    """Serves the page, and its picture only once it has told its figures: so chromium waits."""

    page: bytes
    session: list[int]
    begun_s: list[float]
    told: dict[str, float]
    is_told: threading.Event

    def do_GET(self) -> None:
        """Send the page, take the figures, or keep the page from being complete."""
        address = urllib.parse.urlparse(self.path)
        body = b""
        match address.path:
            case "/":
                body = self.page
            case "/begin":
                self.begun_s[:] = [processor_s(self.session[0])]
            case "/end":
                self._take(dict(urllib.parse.parse_qsl(address.query)))
            case "/done":
                self.is_told.set()
            case "/wait":
                self.is_told.wait(_WAIT_S)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _take(self, found: Mapping[str, str]) -> None:
        frames, what = float(found["frames"]), found["what"]
        used_s = processor_s(self.session[0]) - self.begun_s[0]
        self.told[f"{what}_frames_per_s"] = round(frames / float(found["seconds"]), 1)
        self.told[f"{what}_processor_ms"] = round(1000 * used_s / frames, 1)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def processor_s(session: int) -> float:
    """Return the processor seconds so far of all processes of a session that live (Linux)."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[3]) == session:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def run_study(folder: Path, *, num_clients: int) -> Path:
    """Run the scenario without training; return its page."""
    from scenarios import load, run  # noqa: PLC0415 -- only where a study is run

    path = folder / "replay.yaml"
    path.write_text(SCENARIO.replace("NUM_CLIENTS", str(num_clients)), encoding="utf-8")
    return run(load(path), out=folder).folder / "report.html"


def measure(page: Path, *, chromium: str = "chromium", size: str = "1440,900") -> dict[str, Any]:
    """Open a page and let it tell how many frames it had.

    Parameters
    ----------
    page
        A report with a replay.
    chromium
        The browser's command.
    size
        Of its window, in pixels.
    """
    probe = _PROBE.replace("PLAYED_MS", str(1000 * PLAYED_S))
    probe = probe.replace("NUM_FRAMES", str(NUM_FRAMES))
    text = page.read_text(encoding="utf-8").replace("</body>", probe)
    session: list[int] = []
    told: dict[str, float] = {}
    shared: dict[str, Any] = {
        "page": text.encode(),
        "session": session,
        "begun_s": [],
        "told": told,
    }
    shared["is_told"] = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Listener", (_Listener,), shared))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        command += [f"--window-size={size}", f"--user-data-dir={folder}"]
        command += [f"http://127.0.0.1:{server.server_port}/"]
        with subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as browser:
            session.append(browser.pid)
            browser.wait(2 * _WAIT_S)
        server.shutdown()
        server.server_close()
    slowest_ms = max(told["play_processor_ms"], told["scrub_processor_ms"])
    return {**told, "is_within_target": slowest_ms <= 1000.0 / TARGET_PER_S}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Frames a second of a report's replay.")
    parser.add_argument("--clients", type=int, default=NUM_CLIENTS)
    parser.add_argument("--page", type=Path, help="a report made before")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = given.page or run_study(Path(folder), num_clients=given.clients)
        print(json.dumps({"num_clients": given.clients, **measure(page)}))


if __name__ == "__main__":
    main()
