"""The global random generators of Python, numpy and torch, held still around foreign code.

The library draws from addressed streams only. A user's method, or a layer that it puts into the
model, may draw from a global generator all the same; seeded here, it draws the same in every run.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded_generators(seed: int) -> Iterator[None]:
    """Seed the global generators for what runs inside, and restore their states afterwards.

    Takes about 50 us. Generators of accelerators are included once torch has started them.

    Parameters
    ----------
    seed
        At least 0, below 2^64; numpy takes its lowest 32 bits.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    has_cuda: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if has_cuda else ()
    try:
        with torch.random.fork_rng(devices=devices):
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.default_generator.manual_seed(seed)
            if has_cuda:
                torch.cuda.manual_seed_all(seed)
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
