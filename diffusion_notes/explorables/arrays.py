"""Arrays that are given to an explorable."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from diffusion_notes._arguments.values import describe

__all__ = ["finite"]


def finite(name: str, value: ArrayLike) -> np.ndarray:
    """An array of finite numbers, in double precision.

    Raises:
        TypeError: ``value`` cannot be read as one, or holds something else than real numbers.
        ValueError: some of its entries are not finite.

    >>> finite("hue", [0, 1])
    array([0., 1.])
    """
    try:
        array = np.asarray(value)
    except (RuntimeError, TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array of numbers, got {describe(value)}: {error}") from error
    if array.dtype.kind not in "iuf":  # texts would be read as numbers, complex ones be cut
        raise TypeError(f"{name} must be an array of numbers, got {describe(value)}: its dtype is {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, and some of its entries are not")
    return array.astype(np.float64)
