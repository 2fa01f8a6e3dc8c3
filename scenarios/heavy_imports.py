"""Imports of torch and transformers in the least time."""

import contextlib
import gc
import sys
from collections.abc import Iterator

from fl.cycle_collection import without_cycle_collection


@contextlib.contextmanager
def heavy_imports() -> Iterator[None]:
    """Surround the imports that load torch.

    They make some 700,000 objects that stay until the process ends. The collector of cyclic
    garbage would look through all of them again and again, while they are made and afterwards: a
    quarter of the time of ``airtune validate quickstart``. It is off in here, and what is alive at
    the end is exempt from it (:func:`gc.freeze`). Does nothing once torch is loaded.
    """
    if "torch" in sys.modules:
        yield
        return
    gc.collect()  # what is garbage now would be exempt, too
    with without_cycle_collection():
        yield
        gc.freeze()
