"""Type of broadcasting arguments: an array, a number, or a sequence of numbers.

``numpy.typing.ArrayLike`` means the same but relies on int and float being compatible with complex,
which run-time type checkers do not assume.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

ArrayLike = npt.NDArray[Any] | np.generic | float | int | Sequence[Any]
