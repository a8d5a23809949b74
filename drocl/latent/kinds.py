"""Kinds of arguments and results, as annotations."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]
Numbers: TypeAlias = npt.ArrayLike
Real: TypeAlias = float
Whole: TypeAlias = int | np.integer
Prior: TypeAlias = Sequence[float] | Array | str | None
