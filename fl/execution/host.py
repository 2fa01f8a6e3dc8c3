"""What of this machine jobs run on. Nothing of it is simulated, and importing it loads no torch."""

import os
import re
import warnings
from dataclasses import dataclass

DEVICE_NAMES = "auto, cpu, cuda, cuda:N or mps"
_NAMED = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


class HostError(ValueError):
    """A device that is not here, or a name of none; one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where jobs are computed, and what they keep in memory."""

    device: str = "cpu"
    """As torch names it: ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    checkpointing: bool = False
    """Whether backward keeps only what comes into each block of the model."""
    compiled: bool = False
    """Whether blocks are compiled by ``torch.compile``."""

    @property
    def device_kind(self) -> str:
        """The device without its number: what results may depend on."""
        return self.device.partition(":")[0]


PLAIN = Host()
"""The CPU, as it is without settings."""


def check_name(name: str) -> None:
    """Refuse what is no name of a device.

    Raises
    ------
    HostError
        One line.
    """
    if not isinstance(name, str) or _NAMED.fullmatch(name) is None:
        msg = f"device: must be {DEVICE_NAMES}, got {name!r}"
        raise HostError(msg)


def find_device(name: str) -> str:
    """Return the device of this machine that a name means; ``auto`` takes the fastest kind.

    Raises
    ------
    HostError
        There is no such device here, or none of this name.
    """
    check_name(name)
    import torch  # noqa: PLC0415 -- loads seconds

    num_cuda, has_mps = torch.cuda.device_count(), torch.backends.mps.is_available()
    if name == "auto":
        return "cuda" if num_cuda else "mps" if has_mps else "cpu"
    kind, _, number = name.partition(":")
    if kind == "cuda" and int(number or 0) >= num_cuda:
        seen = f"{num_cuda} of them" if num_cuda else "none"
        msg = f"device: {name} is not here: torch {torch.__version__} sees {seen}; cpu would do"
        raise HostError(msg)
    if kind == "mps" and not has_mps:
        msg = f"device: mps is not here: torch {torch.__version__} sees none; cpu would do"
        raise HostError(msg)
    return name


def check_compiler() -> None:
    """Refuse to compile where there is no compiler.

    Raises
    ------
    HostError
        One line.
    """
    from torch._inductor.cpp_builder import get_cpp_compiler  # noqa: PLC0415 -- loads seconds

    try:
        get_cpp_compiler()
    except Exception as error:
        msg = "compile: torch finds no C++ compiler here; install g++ or clang, or leave it out"
        raise HostError(msg) from error


def open_device(device: str) -> None:
    """Make a device ready for jobs: its kernels add in the same order every time, where they can.

    Raises
    ------
    HostError
        It is not here.
    """
    find_device(device)
    if not device.startswith("cuda"):
        return
    import torch  # noqa: PLC0415 -- loads seconds

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # those that have no such order warn at every call
    warnings.filterwarnings("ignore", message=".*deterministic", category=UserWarning)
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
