"""Speed and memory of the whole path: ``python -m benchmarks.spine [--json]``.

Four measurements, each in processes of its own, each against a reference of the same run:

* quickstart: host seconds of the study, against its training and evaluation alone;
* memory: resident bytes that one more client adds, against one more copy of the backbone;
* ledger: seconds of asking for joules every round of a long run, against replaying its entries;
* import: seconds to import ``netsim``, against ``numpy`` alone.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

FEW_CLIENTS, MANY_CLIENTS = 100, 1000
LEDGER_ROUNDS, LEDGER_CLIENTS = 3000, 20
_QUICKSTART = """
    import json, time
    from scenarios import load, run
    if __name__ == "__main__":
        started_s = time.perf_counter()
        result = run(load("quickstart"), out=OUT, jobs=2)
        manifest = json.loads((result.folder / "manifest.json").read_text())
        print(json.dumps({
            "wall_s": time.perf_counter() - started_s,
            "runs": len(manifest["runs"]),
            "host_s": sum(run["host_total_s"] for run in manifest["runs"]),
            "learning_s": sum(run["host_train_s"] + run["host_eval_s"] for run in manifest["runs"]),
        }))
"""
_MEMORY = """
    import json, resource
    from fl.models.backbone import load_backbone
    from scenarios import load, run
    scenario = load("quickstart", [
        "name=memory", "seeds=[1]", "methods=[{kind: fedit, rank: 8}]",
        "clients.num_clients=NUM", "data.partition={kind: iid}",
        "server.num_rounds=1", "server.policy={kind: random, num_clients: NUM}",
        "server.targets={}", "training.local_steps=1", "training.batch_size=4",
    ])
    result = run(scenario, out=OUT)
    assert result.num_done == 1, result.failures
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    from scenarios.prepare import backbone_of
    module = backbone_of(scenario, num_classes=2, seed=1).module
    copy = sum(p.numel() * p.element_size() for p in module.parameters())
    print(json.dumps({"peak_bytes": peak, "backbone_bytes": copy}))
"""
_LEDGER = """
    import json, time
    from netsim.energy.ledger import Ledger
    from netsim.energy.site_energy import site_power
    from netsim.energy.tr38840_power import Tr38840Power
    ue_power, site = Tr38840Power(bandwidth_hz=20e6), site_power("macro", num_cells=3)
    ledger = Ledger(ue_power=ue_power, site_power=[site])
    booked_s = asked_s = 0.0
    for number in range(ROUNDS):
        begun_s, at_s = time.perf_counter(), 40.0 * number
        for client in range(CLIENTS):
            for activity, start_s, length_s in (
                ("idle", 0.0, 0.5), ("rx", 0.5, 0.2), ("compute", 0.7, 5.0),
                ("idle", 5.7, 1.0), ("tx", 6.7, 1.0 + 0.1 * client),
            ):
                ledger.charge(client, activity, started_at_s=at_s + start_s,
                              finished_at_s=at_s + start_s + length_s, power_w=1.0 + 0.1 * client)
        ledger.charge_site(0, "tx", started_at_s=at_s, finished_at_s=at_s + 9.0, power_w=10.0)
        booked_s, begun_s = booked_s + time.perf_counter() - begun_s, time.perf_counter()
        ledger.total_energy_j(at_s + 12.0), ledger.site_energy_j(at_s + 12.0)
        asked_s += time.perf_counter() - begun_s
    begun_s = time.perf_counter()
    ledger.totals(at_s + 12.0)
    replay_s = time.perf_counter() - begun_s
    print(json.dumps({"booked_s": booked_s, "asked_s": asked_s, "replay_s": replay_s}))
"""
_IMPORT = """
    import json, time
    started_s = time.perf_counter()
    import NAME
    print(json.dumps({"import_s": time.perf_counter() - started_s}))
"""


def measure() -> dict[str, Any]:
    """Run all measurements; seconds and bytes carry their units in the keys."""
    quickstart = _python(_QUICKSTART)
    few = _python(_MEMORY.replace("NUM", str(FEW_CLIENTS)))
    many = _python(_MEMORY.replace("NUM", str(MANY_CLIENTS)))
    per_client = (many["peak_bytes"] - few["peak_bytes"]) / (MANY_CLIENTS - FEW_CLIENTS)
    ledger = _python(
        _LEDGER.replace("ROUNDS", str(LEDGER_ROUNDS)).replace("CLIENTS", str(LEDGER_CLIENTS))
    )
    radio = min(_python(_IMPORT.replace("NAME", "netsim.network"))["import_s"] for _ in range(3))
    numpy = min(_python(_IMPORT.replace("NAME", "numpy"))["import_s"] for _ in range(3))
    return {
        "quickstart_wall_s": round(quickstart["wall_s"], 2),
        "quickstart_runs": quickstart["runs"],
        "quickstart_host_per_learning": round(quickstart["host_s"] / quickstart["learning_s"], 3),
        "quickstart_host_other_fraction": round(
            1 - quickstart["learning_s"] / quickstart["host_s"], 4
        ),
        "memory_clients": MANY_CLIENTS,
        "memory_peak_bytes": many["peak_bytes"],
        "memory_bytes_per_client": round(per_client),
        "memory_client_per_backbone_copy": round(per_client / many["backbone_bytes"], 4),
        "ledger_rounds": LEDGER_ROUNDS,
        "ledger_clients": LEDGER_CLIENTS,
        "ledger_asked_s": round(ledger["asked_s"], 2),
        "ledger_asked_per_booked": round(ledger["asked_s"] / ledger["booked_s"], 2),
        "ledger_question_per_replay": round(
            ledger["asked_s"] / LEDGER_ROUNDS / ledger["replay_s"], 4
        ),
        "import_netsim_s": round(radio, 3),
        "import_netsim_per_numpy": round(radio / numpy, 2),
    }


def _python(code: str) -> dict[str, Any]:
    """Run code in a fresh interpreter; give the JSON object that it prints last."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "measured.py"
        program.write_text(textwrap.dedent(code).replace("OUT", repr(folder)), encoding="utf-8")
        command = [sys.executable, str(program)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        msg = f"measured program failed:\n{done.stderr}"
        raise RuntimeError(msg)
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description="Speed and memory of the whole path.")
    parser.add_argument("--json", action="store_true")
    found = measure()
    if parser.parse_args().json:
        print(json.dumps(found))
        return
    for key, value in found.items():
        print(f"{key:36} {value}")


if __name__ == "__main__":
    main()
