"""Conversions between decibel and linear scales.

The simulator computes in SI units; decibels appear in scenario files, standards and plots.
"""

from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

_SMALLEST = np.finfo(float).tiny

Scalar = TypeVar("Scalar", float, npt.NDArray[np.float64])


def db_to_linear(value_db: Scalar) -> Scalar:
    """Return the power ratio of a value in dB."""
    return 10.0 ** (value_db / 10.0)


def linear_to_db(ratio_linear: Scalar) -> Scalar:
    """Return a power ratio in dB; a ratio of 0 is -inf dB, a negative one is an error.

    Raises
    ------
    ValueError
        If a ratio is negative: a power ratio cannot be.
    """
    if np.any(np.asarray(ratio_linear) < 0):
        msg = f"ratio_linear must be >= 0, got minimum {np.min(ratio_linear)}"
        raise ValueError(msg)
    with np.errstate(divide="ignore"):
        value_db = 10.0 * np.log10(ratio_linear)
    return cast("Scalar", float(value_db) if np.ndim(ratio_linear) == 0 else value_db)


def floored_db(ratio_linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return power ratios in dB, with -3077 dB (the smallest positive number) for 0.

    For look-ups in tables that are clipped at their edges, where -inf has no index. Arguments are
    not checked.
    """
    return np.asarray(10.0 * np.log10(np.maximum(ratio_linear, _SMALLEST)))


def dbm_to_w(power_dbm: Scalar) -> Scalar:
    """Return a power in watts from dBm."""
    return db_to_linear(power_dbm - 30.0)


def w_to_dbm(power_w: Scalar) -> Scalar:
    """Return a power in dBm from watts; 0 W is -inf dBm."""
    return linear_to_db(power_w) + 30.0
