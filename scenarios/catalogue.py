"""What a scenario can name, with one line each: the answers of ``airtune list``."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import fl
from scenarios.errors import ScenarioError
from scenarios.messages import nearest

if TYPE_CHECKING:
    from fl.clients.device_class import DeviceClass, SpeedRange

Entry = dict[str, str]


def _methods() -> list[Entry]:
    from fl.methods import METHODS  # noqa: PLC0415 -- each list loads only what it lists
    from fl.own_code import OWN_KIND  # noqa: PLC0415

    return [
        {
            "name": name,
            "summary": entry.summary,
            "sends": entry.sends,
            "keeps": entry.keeps,
            "source": entry.source,
        }
        for name, entry in METHODS.items()
    ] + [{"name": OWN_KIND, "summary": "a class in a file of yours, see docs/examples"}]


def _policies() -> list[Entry]:
    from fl.own_code import OWN_KIND  # noqa: PLC0415
    from fl.policies import POLICIES  # noqa: PLC0415

    entries = [
        {
            "name": name,
            "summary": f"{entry.summary} ({entry.source})",
            "source": entry.source,
        }
        for name, entry in POLICIES.items()
    ]
    return [
        *entries,
        {"name": OWN_KIND, "summary": "a class in a file of yours, see docs/examples"},
    ]


def _modes() -> list[Entry]:
    from fl.server.modes import MODES  # noqa: PLC0415

    return [
        {"name": name, "summary": f"{entry.summary} ({entry.source})", "source": entry.source}
        for name, entry in MODES.items()
    ]


def _codecs() -> list[Entry]:
    from fl.codecs import CODECS  # noqa: PLC0415

    return [
        {"name": name, "summary": f"{entry.summary} ({entry.source})", "source": entry.source}
        for name, entry in CODECS.items()
    ]


def _schedulers() -> list[Entry]:
    from netsim.mac.schedulers import SCHEDULERS  # noqa: PLC0415

    return [{"name": name, "summary": _first_line(kind)} for name, kind in SCHEDULERS.items()]


def _models() -> list[Entry]:
    from fl.models.registry import BUILT_IN  # noqa: PLC0415

    built_in = [{"name": name, "summary": entry[0]} for name, entry in BUILT_IN.items()]
    return [
        *built_in,
        {"name": "<folder or hub id>", "summary": "any encoder or decoder with safetensors"},
    ]


def _datasets() -> list[Entry]:
    from fl.data.config import DocstringsData, FilesData, HubData  # noqa: PLC0415

    sources = (DocstringsData, FilesData, HubData)
    return [{"name": kind.source, "summary": _first_line(kind)} for kind in sources]


def _devices() -> list[Entry]:
    from fl.clients.device_table import DEVICES  # noqa: PLC0415

    return [
        {
            "name": name,
            "summary": (
                f"{device.summary}: fp32 {_speed_text(device.fp32)}, "
                f"fp16 {_speed_text(device.fp16)} GFLOP/s, {_power_text(device)} W, "
                f"{device.memory_bytes / 1e9:g} GB, {_bandwidth_text(device)} GB/s, "
                f"{'mains' if device.battery_wh is None else f'{device.battery_wh:g} Wh'}"
            ),
            "source": device.source,
        }
        for name, device in DEVICES.items()
    ]


def _speed_text(speed: "SpeedRange | None") -> str:
    """Write a speed with its range [GFLOP/s]."""
    if speed is None:
        return "-"
    low, value, high = (
        f"{each / 1e9:g}"
        for each in (speed.low_flop_per_s, speed.flop_per_s, speed.high_flop_per_s)
    )
    return f"{value} ({low} to {high})"


def _power_text(device: "DeviceClass") -> str:
    low_w, high_w = device.power_range_w
    return f"{device.compute_w:g} ({low_w:g} to {high_w:g})"


def _bandwidth_text(device: "DeviceClass") -> str:
    """Write a memory bandwidth with its range [GB/s]."""
    figures = (
        device.memory_bandwidth_bytes_per_s,
        device.low_bandwidth_bytes_per_s,
        device.high_bandwidth_bytes_per_s,
    )
    value, low, high = ("-" if each is None else f"{each / 1e9:g}" for each in figures)
    return f"{value} ({low} to {high})"


def _scenarios() -> list[Entry]:
    from scenarios.load import LIBRARY, library  # noqa: PLC0415

    entries = []
    for name in library():
        first = (LIBRARY / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0]
        entries.append({"name": name, "summary": first.lstrip("# ")})
    return entries


def _presets() -> list[Entry]:
    from netsim.calibration.cases import cases  # noqa: PLC0415

    return [{"name": name, "summary": case.title} for name, case in cases().items()]


def _first_line(thing: type) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


CATALOGUES: dict[str, Callable[[], list[Entry]]] = {
    "methods": _methods,
    "policies": _policies,
    "modes": _modes,
    "codecs": _codecs,
    "schedulers": _schedulers,
    "models": _models,
    "datasets": _datasets,
    "devices": _devices,
    "scenarios": _scenarios,
    "presets": _presets,
}
"""What can be listed, and how."""


def find(what: str, name: str) -> Entry:
    """Return the entry of this name.

    Raises
    ------
    ScenarioError
        There is none; one line says what is near.
    """
    entries = {entry["name"]: entry for entry in CATALOGUES[what]()}
    if name not in entries:
        known = [each for each in entries if not each.startswith("<")]
        raise ScenarioError([f"list {what} {name}: unknown name; {nearest(name, known)}"])
    return entries[name]


def card(what: str, name: str) -> str:
    """Return all that there is to read of one thing: a method's card, a scenario's file, its entry.

    Raises
    ------
    ScenarioError
        There is no such thing.
    """
    entry = find(what, name)
    folders = {"methods": Path(fl.__file__).parent / "methods" / name / "README.md"}
    folders["scenarios"] = Path(__file__).parent / "library" / f"{name}.yaml"
    path = folders.get(what)
    if path is not None and path.is_file():
        return path.read_text(encoding="utf-8").rstrip()
    return "\n".join(f"{key}: {value}" for key, value in entry.items())
