"""How knobs of a study read: the words of a key, and values with the unit that its name ends in."""

from collections.abc import Mapping

_UNITS = {
    "s": "s",
    "ms": "ms",
    "j": "J",
    "wh": "Wh",
    "bytes": "B",
    "kb": "kB",
    "mb": "MB",
    "gb": "GB",
    "w": "W",
    "hz": "Hz",
    "bps": "bit/s",
    "db": "dB",
    "dbm": "dBm",
    "dbi": "dBi",
    "m": "m",
    "km": "km",
    "mps": "m/s",
    "kmh": "km/h",
    "deg": "°",
}
"""Unit of a key by the last word of its name."""

_SCALED = {"Hz", "bit/s", "J", "W", "B"}
"""Units that take a prefix."""
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_SHORT_FROM, _SHORT_BELOW = 1e4, 1e12
"""Floats between these are written with an exponent in names of folders, if that is shorter."""


def knob_words(key: str) -> str:
    """Return the words of a dotted key, without sections and unit; of a kind, what it is one of.

    Examples
    --------
    >>> knob_words("radio.bandwidth_hz"), knob_words("server.policy.num_clients")
    ('bandwidth', 'clients')
    >>> knob_words("server.policy.kind")
    'policy'
    """
    name = key.removesuffix(".kind").rpartition(".")[2]
    stem, _, last = name.rpartition("_")
    return (stem if stem and last in _UNITS else name).removeprefix("num_").replace("_", " ")


def knob_unit(key: str) -> str:
    """Return the unit that a dotted key names; empty where it names none.

    Examples
    --------
    >>> knob_unit("radio.bandwidth_hz"), knob_unit("data.partition.alpha")
    ('Hz', '')
    """
    name = key.rpartition(".")[2]
    return _UNITS.get(name.rpartition("_")[2], "") if "_" in name else ""


def knob_scale(key: str, largest: float) -> tuple[float, str]:
    """Return the scale in which values of a key read best, and its unit with the prefix.

    Examples
    --------
    >>> knob_scale("radio.bandwidth_hz", 2e7), knob_scale("server.deadline_s", 2000.0)
    ((1000000.0, 'MHz'), (1.0, 's'))
    """
    unit = knob_unit(key)
    for scale, prefix in _PREFIXES if unit in _SCALED else ():
        if largest >= scale:
            return scale, f"{prefix}{unit}"
    return 1.0, unit


def value_words(key: str, value: object) -> str:
    """Return a value as figures and tables print it, with the unit that its key names.

    Examples
    --------
    >>> value_words("radio.bandwidth_hz", 10000000.0), value_words("training.lr", 0.001)
    ('10 MHz', '0.001')
    >>> value_words("world.extent_m", [200, 300]), value_words("model.cost_as", None)
    ('[200, 300]', 'none')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float):
        return str(value)
    unit = knob_unit(key)
    if unit in _SCALED:
        for scale, prefix in _PREFIXES:
            if abs(value) >= scale:
                return f"{value / scale:.12g} {prefix}{unit}"
    return f"{value:.12g} {unit}".strip()


def short_value(value: object) -> str:
    """Return a value as names of folders have it: large floats with an exponent.

    Examples
    --------
    >>> [short_value(value) for value in (10000000.0, 12500000.0, 0.5, 2.0, 3, "random")]
    ['10e6', '12.5e6', '0.5', '2.0', '3', 'random']
    """
    plain = str(value)
    if isinstance(value, float) and _SHORT_FROM <= abs(value) < _SHORT_BELOW:
        power = next(power for power in (9, 6, 3) if abs(value) >= 10**power)
        text = f"{value / 10**power:.12g}e{power}"
        if float(text) == value and len(text) < len(plain):
            return text
    return plain


def setting_words(knobs: Mapping[str, object], *, case: str) -> str:
    """Return a case and knobs in words: ``urban, bandwidth 10 MHz``; ``case`` is the case's key."""
    return ", ".join(
        str(value) if key == case else f"{knob_words(key)} {value_words(key, value)}"
        for key, value in knobs.items()
    )
