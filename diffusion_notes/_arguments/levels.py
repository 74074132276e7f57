"""Checks of what belongs to a schedule: times, noise levels, and tables of variances.

What they look at, and when, is as in :mod:`~diffusion_notes._arguments.tensors`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffusion_notes._arguments.tensors import all_hold, check_fits, check_has_values, check_tensor
from diffusion_notes._arguments.values import check_integer, check_number, describe


def check_times(t: int | Tensor, x: Tensor, least: int, most: int, look: bool = True) -> int | Tensor:
    """Return an integer or a tensor of them (else a TypeError), in a range and fitting ``x`` (else a ValueError).

    An integer comes back as Python's own. The values of a tensor are looked at on the CPU, if ``look``.

    >>> check_times(11, torch.zeros(5, 2), least=1, most=10)
    Traceback (most recent call last):
    ValueError: t must lie in 1, ..., 10, got 11
    """
    if not isinstance(t, Tensor):
        t = check_integer("t", t, what="an integer or an integer tensor")
        if not least <= t <= most:
            raise ValueError(f"t must lie in {least}, ..., {most}, got {t}")
        return t
    if t.dtype not in (torch.int32, torch.int64):
        raise TypeError(f"t must be an integer tensor (int32 or int64), got {describe(t)}")
    check_fits("t", t, x)
    if t.device != x.device:
        raise ValueError(f"t must be on the device of the points, {x.device}, got one on {t.device}")
    if look and not all_hold((t >= least) & (t <= most)):
        raise ValueError(f"t must lie in {least}, ..., {most}, and some of its entries do not")
    return t


def check_levels(alpha_bar: Tensor, x: Tensor) -> None:
    """Raise a ValueError unless noise levels fit the points ``x``, and are on the CPU or where those are.

    >>> check_levels(torch.ones(5, 1), torch.zeros(5, 2))
    Traceback (most recent call last):
    ValueError: alpha_bar must have a shape that fits the points' (5,), got (5, 1)
    """
    check_fits("alpha_bar", alpha_bar, x)
    if alpha_bar.device.type != "cpu" and alpha_bar.device != x.device:
        where = alpha_bar.device
        raise ValueError(f"alpha_bar must be on the device of the points, {x.device}, got one on {where}")


def checked_alpha_bar(alpha_bar: float | Tensor) -> float | Tensor:
    """Return a noise level, a number or a floating-point tensor (else a TypeError) in [0, 1] (else a ValueError).

    >>> checked_alpha_bar(1.5)
    Traceback (most recent call last):
    ValueError: alpha_bar must be between 0 and 1, got 1.5
    """
    if not isinstance(alpha_bar, Tensor):
        return check_number("alpha_bar", alpha_bar, 0, 1, what="a number or a floating-point tensor")
    check_tensor("alpha_bar", alpha_bar)
    if not all_hold((alpha_bar >= 0) & (alpha_bar <= 1)):
        raise ValueError("alpha_bar must be between 0 and 1, and some of its entries are not")
    return alpha_bar


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


def checked_table(
    name: str, value: Tensor, length: int | None = None, below: float = math.inf, above: float = 0
) -> Tensor:
    """Return a table of variances, one for each t, in float64 on the CPU, where looking is free.

    Arguments:
        name: what the caller calls it.
        value: a floating-point tensor (else a TypeError) of one axis, whose values from t = 1 on lie strictly
            between ``above`` and ``below`` (else a ValueError).
        length: T + 1 (else a ValueError), if not any is allowed.
        below: what the values must be less than.
        above: what they must be more than; at least 0.

    >>> checked_table("beta", torch.zeros(3), length=2)
    Traceback (most recent call last):
    ValueError: beta must hold T + 1 = 2 values, got a torch.float32 tensor of shape (3,)
    """
    check_tensor(name, value)
    check_has_values(name, value)
    if value.dim() != 1 or len(value) < 2 or len(value) != (length or len(value)):
        raise ValueError(f"{name} must hold T + 1 {f'= {length}' if length else '>= 2'} values, got {describe(value)}")
    table = value.detach().to("cpu").double()
    if not all_hold((table[1:] > above) & (table[1:] < below)):
        allowed = "be positive and finite" if below == math.inf else f"lie strictly between {above:g} and {below:g}"
        raise ValueError(f"{name}[1], ..., {name}[T] must {allowed}, and some of its entries do not")
    return table
