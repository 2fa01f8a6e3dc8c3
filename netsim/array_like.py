"""What functions that broadcast accept: an array, a number, or a list of numbers.

``numpy.typing.ArrayLike`` means the same but counts on int and float being kinds of complex, which
run-time type checkers do not assume.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

ArrayLike = npt.NDArray[Any] | np.generic | float | int | Sequence[Any]
