"""Numbers that devices compute with: what they change of speed and memory. Learning stays as it is.

Jobs train in single precision whatever this setting says: it changes seconds, joules and whether a
job fits, as ``model.cost_as`` does, not values. Payloads are sent in single precision, too.
"""

from typing import Literal

Precision = Literal["fp32", "fp16", "int8"]
"""``fp32``: single precision. ``fp16``: frozen weights and activations in two bytes, products in
half precision. ``int8``: the same with frozen weights stored in one byte and widened for each
product, so at the speed of half precision (our assumption; integer kernels are faster at reading a
prompt and no use for gradients). What is trained, its gradient and the moments of the optimiser
stay in single precision, as in mixed-precision training."""

_FROZEN_BYTES: dict[Precision, int] = {"fp32": 4, "fp16": 2, "int8": 1}
_ACTIVATION_BYTES: dict[Precision, int] = {"fp32": 4, "fp16": 2, "int8": 2}


def job_memory_bytes(
    precision: Precision, *, frozen_bytes: int, trained_bytes: int, activation_bytes: int
) -> int:
    """Return the peak memory of a training step.

    Parameters
    ----------
    precision
        Numbers that the device computes with.
    frozen_bytes, activation_bytes
        Frozen weights, and what backward keeps, in single precision.
    trained_bytes
        Trained numbers with their gradients and moments.
    """
    frozen = frozen_bytes * _FROZEN_BYTES[precision] // 4
    return frozen + trained_bytes + activation_bytes * _ACTIVATION_BYTES[precision] // 4
