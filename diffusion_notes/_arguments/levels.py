"""Checks of what belongs to a schedule: times, noise levels, and tables of variances.

What they look at, and when, is as in :mod:`~diffusion_notes._arguments.tensors`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffusion_notes._arguments.tensors import check_fits, check_has_values, check_tensor, is_dense
from diffusion_notes._arguments.values import check_kind, describe

__all__ = [
    "check_levels",
    "check_times",
    "checked_alpha_bar",
    "checked_level",
    "checked_table",
]


def check_times(t: int | Tensor, x: Tensor, least: int, most: int, look: bool = True) -> None:
    """Raise unless ``t`` is an integer (TypeError) in a range, or a tensor that fits ``x`` (ValueError).

    The values of a tensor are looked at on the CPU, if ``look``.

    >>> check_times(11, torch.zeros(5, 2), least=1, most=10)
    Traceback (most recent call last):
    ValueError: t must lie in 1, ..., 10, got 11
    """
    check_kind("look", look, bool)
    if isinstance(t, Tensor):
        if t.dtype not in (torch.int32, torch.int64) or not is_dense(t):
            raise TypeError(f"t must be an integer tensor (int32 or int64), got {describe(t)}")
        check_fits("t", t, x)
        if t.device != x.device:
            raise ValueError(f"t must be on the device of the points, {x.device}, got one on {t.device}")
        if look and t.device.type == "cpu" and not bool(((t >= least) & (t <= most)).all()):
            raise ValueError(f"t must lie in {least}, ..., {most}, and some of its entries do not")
    elif isinstance(t, bool) or not isinstance(t, int):
        raise TypeError(f"t must be an integer or an integer tensor, got {describe(t)}")
    elif not least <= t <= most:
        raise ValueError(f"t must lie in {least}, ..., {most}, got {t}")


def check_levels(alpha_bar: Tensor, x: Tensor) -> None:
    """Raise a ValueError unless noise levels fit the points ``x``, and are on the CPU or where those are.

    >>> check_levels(torch.ones(5, 1), torch.zeros(5, 2))
    Traceback (most recent call last):
    ValueError: alpha_bar must have a shape that fits the points' (5,), got (5, 1)
    """
    check_fits("alpha_bar", alpha_bar, x)
    if alpha_bar.device not in (torch.device("cpu"), x.device):
        where = alpha_bar.device
        raise ValueError(f"alpha_bar must be on the device of the points, {x.device}, got one on {where}")


def checked_alpha_bar(alpha_bar: float | Tensor) -> float | Tensor:
    """Return a noise level, a number or a floating-point tensor (else TypeError) in [0, 1] (else ValueError).

    >>> checked_alpha_bar(1.5)
    Traceback (most recent call last):
    ValueError: alpha_bar must lie in [0, 1], got 1.5
    """
    if isinstance(alpha_bar, Tensor) and alpha_bar.is_floating_point():
        check_tensor("alpha_bar", alpha_bar)
        if alpha_bar.device.type == "cpu" and not bool(((alpha_bar >= 0) & (alpha_bar <= 1)).all()):
            raise ValueError("alpha_bar must lie in [0, 1], and some of its entries do not")
        return alpha_bar
    if isinstance(alpha_bar, bool) or not isinstance(alpha_bar, (int, float)):
        raise TypeError(f"alpha_bar must be a number or a floating-point tensor, got {describe(alpha_bar)}")
    if not 0 <= alpha_bar <= 1:
        raise ValueError(f"alpha_bar must lie in [0, 1], got {alpha_bar}")
    return float(alpha_bar)


def checked_level(alpha_bar: float | Tensor) -> float:
    """Return the one noise level that a number or a tensor holds, or raise a ValueError.

    >>> checked_level(torch.tensor([0.5]))
    0.5
    """
    if isinstance(alpha_bar, Tensor):
        check_has_values("alpha_bar", alpha_bar)
        if alpha_bar.numel() != 1:
            raise ValueError(f"one noise level at a time, got alpha_bar of shape {tuple(alpha_bar.shape)}")
    return float(alpha_bar)


def checked_table(name: str, value: Tensor, length: int | None = None, below: float = math.inf) -> Tensor:
    """Return a table of variances, one for each t, in float64 on the CPU, where looking is free.

    Arguments:
        name: what the caller calls it.
        value: a floating-point tensor (else a TypeError) of one axis, whose values from t = 1 on are positive
            and less than ``below`` (else a ValueError).
        length: T + 1 (else a ValueError), if not any is allowed.
        below: what the values must be less than.

    >>> checked_table("beta", torch.zeros(3), length=2)
    Traceback (most recent call last):
    ValueError: beta must hold T + 1 = 2 values, got a torch.float32 tensor of shape (3,)
    """
    check_tensor(name, value)
    if value.dim() != 1 or len(value) < 2 or len(value) != (length or len(value)):
        raise ValueError(f"{name} must hold T + 1 {f'= {length}' if length else '>= 2'} values, got {describe(value)}")
    check_has_values(name, value)
    table = value.detach().to("cpu").double()
    if not bool(((table[1:] > 0) & (table[1:] < below)).all()):
        allowed = "be positive and finite" if below == math.inf else f"lie strictly between 0 and {below:g}"
        raise ValueError(f"{name}[1], ..., {name}[T] must {allowed}, and some of its entries do not")
    return table
