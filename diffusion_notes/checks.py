"""Checks of arguments at the public door: what was given, and what is allowed.

They look at types and shapes, never at the values of a tensor on a GPU, which would halt it.
"""

from __future__ import annotations

import math

from torch import Tensor

__all__ = [
    "check_fits",
    "check_integer",
    "check_points",
    "check_positive",
    "check_tensor",
    "checked_alpha_bar",
    "describe",
]


def describe(value: object) -> str:
    """What was given, for an error message: short, and without the values of a tensor.

    >>> describe(3)
    'int 3'
    """
    if isinstance(value, Tensor):
        return f"a {value.dtype} tensor of shape {tuple(value.shape)}"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def check_integer(name: str, value: int, least: int) -> None:
    """Raise unless ``value`` is an integer (TypeError) and at least ``least`` (ValueError).

    >>> check_integer("T", 0, least=1)
    Traceback (most recent call last):
    ValueError: T must be at least 1, got 0
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, got {describe(value)}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def check_positive(name: str, value: float) -> None:
    """Raise unless ``value`` is a number (TypeError), positive and finite (ValueError).

    >>> check_positive("noise", -1.0)
    Traceback (most recent call last):
    ValueError: noise must be positive and finite, got -1.0
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {describe(value)}")
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value}")


def check_tensor(name: str, value: Tensor) -> None:
    """Raise a TypeError unless ``value`` is a floating-point tensor.

    >>> check_tensor("x", [1.0])
    Traceback (most recent call last):
    TypeError: x must be a floating-point tensor, got list [1.0]
    """
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise TypeError(f"{name} must be a floating-point tensor, got {describe(value)}")


def check_points(name: str, value: Tensor, dim: int | None = None, least: int = 0) -> None:
    """Raise unless ``value`` is a floating-point tensor (TypeError) of shape ``(n, D)`` (ValueError).

    Arguments:
        name: what the caller calls it.
        value: what was given.
        dim: D, if only one is allowed.
        least: the smallest n that is allowed.

    >>> import torch
    >>> check_points("x0", torch.zeros(3))
    Traceback (most recent call last):
    ValueError: x0 must have shape (n, D), got (3,)
    """
    check_tensor(name, value)
    if value.dim() != 2 or value.shape[1] < 1 or value.shape[1] != (dim or value.shape[1]):
        raise ValueError(f"{name} must have shape (n, {dim or 'D'}), got {tuple(value.shape)}")
    if len(value) < least:
        raise ValueError(f"{name} must hold at least {least} points, got {len(value)}")


def check_fits(name: str, value: Tensor, x: Tensor) -> None:
    """Raise a ValueError unless ``value`` has one entry for each point of ``x``, or broadcasts to that.

    Without this, a column of values against a row of points would silently give a whole table.

    >>> import torch
    >>> check_fits("t", torch.zeros(5, 1), torch.zeros(5, 2))
    Traceback (most recent call last):
    ValueError: t must have a shape that fits the points' (5,), got (5, 1)
    """
    batch, shape = x.shape[:-1], value.shape
    pairs = zip(reversed(shape), reversed(batch), strict=False)
    if len(shape) > len(batch) or not all(a in (1, b) for a, b in pairs):
        raise ValueError(f"{name} must have a shape that fits the points' {tuple(batch)}, got {tuple(shape)}")


def checked_alpha_bar(alpha_bar: float | Tensor) -> float | Tensor:
    """Return a noise level, a number or a floating-point tensor (else TypeError) in [0, 1] (else ValueError).

    >>> checked_alpha_bar(1.5)
    Traceback (most recent call last):
    ValueError: alpha_bar must lie in [0, 1], got 1.5
    """
    if isinstance(alpha_bar, Tensor) and alpha_bar.is_floating_point():
        if alpha_bar.device.type == "cpu" and not bool(((alpha_bar >= 0) & (alpha_bar <= 1)).all()):
            raise ValueError("alpha_bar must lie in [0, 1], and some of its entries do not")
        return alpha_bar
    if isinstance(alpha_bar, bool) or not isinstance(alpha_bar, (int, float)):
        raise TypeError(f"alpha_bar must be a number or a floating-point tensor, got {describe(alpha_bar)}")
    if not 0 <= alpha_bar <= 1:
        raise ValueError(f"alpha_bar must lie in [0, 1], got {alpha_bar}")
    return float(alpha_bar)
