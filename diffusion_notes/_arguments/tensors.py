"""Checks of tensors at the public door, and of what goes with them.

They look at types and shapes, and at values on the CPU only: to look at one on a GPU is to wait until all before it
is computed. What is called inside loops does not look at values at all, and says so; what is not a number then shows in
the result. Inside ``torch.vmap`` nothing looks at values: there they are many at once.
"""

from __future__ import annotations

import torch
from torch import Generator, Size, Tensor
from torch.distributions import Distribution

from diffusion_notes._arguments.values import check_integer, check_kind, describe


def all_hold(condition: Tensor) -> bool:
    """Whether all entries are true, as far as they may be looked at: on the CPU, and not inside ``torch.vmap``.

    >>> all_hold(torch.tensor([True, False])), all_hold(torch.tensor([False], device="meta"))
    (False, True)
    """
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor(condition)  # the only way to ask
    return condition.device.type != "cpu" or wrapped or bool(condition.all())


def check_tensor(name: str, value: Tensor) -> None:
    """Raise a TypeError unless ``value`` is a floating-point tensor.

    >>> check_tensor("x", [1.0])
    Traceback (most recent call last):
    TypeError: x must be a floating-point tensor, got list [1.0]
    """
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise TypeError(f"{name} must be a floating-point tensor, got {describe(value)}")


def check_precise(name: str, value: Tensor) -> None:
    """Raise a TypeError for a tensor of 16 bits a number, where its few digits would be the result's or torch cannot.

    >>> check_precise("x", torch.zeros(1).half())
    Traceback (most recent call last):
    TypeError: x must have 32 or 64 bits a number, got a torch.float16 tensor of shape (1,)
    """
    if value.dtype.itemsize < 4:
        raise TypeError(f"{name} must have 32 or 64 bits a number, got {describe(value)}")


def check_has_values(name: str, value: Tensor) -> None:
    """Raise a ValueError for a tensor on ``meta``, where there is nothing to look at.

    >>> check_has_values("x", torch.empty(3, device="meta"))
    Traceback (most recent call last):
    ValueError: x must hold values, got a tensor on meta
    """
    if value.device.type == "meta":
        raise ValueError(f"{name} must hold values, got a tensor on meta")


def check_finite(name: str, value: Tensor, positive: bool = False) -> None:
    """Raise a ValueError if an entry of a tensor on the CPU is not finite, or not ``positive``.

    >>> check_finite("x", torch.tensor([0.0, torch.nan]))
    Traceback (most recent call last):
    ValueError: x must be finite, and some of its entries are not
    """
    if not all_hold(value.isfinite()):
        raise ValueError(f"{name} must be finite, and some of its entries are not")
    if positive and not all_hold(value > 0):
        raise ValueError(f"{name} must be positive, and some of its entries are not")


def check_points(name: str, value: Tensor, dim: int | None = None, least: int = 0, finite: bool = False) -> None:
    """Raise unless ``value`` is a floating-point tensor (TypeError) of shape ``(n, D)`` (ValueError).

    Arguments:
        name: what the caller calls it.
        value: what was given.
        dim: D, if only one is allowed.
        least: the smallest n that is allowed.
        finite: whether to look at the values too, see :func:`check_finite`: not inside loops.

    >>> check_points("x0", torch.zeros(3))
    Traceback (most recent call last):
    ValueError: x0 must have shape (n, D), got (3,)
    """
    check_tensor(name, value)
    if value.dim() != 2 or value.shape[1] < 1 or value.shape[1] != (dim or value.shape[1]):
        raise ValueError(f"{name} must have shape (n, {dim or 'D'}), got {tuple(value.shape)}")
    if len(value) < least:
        raise ValueError(f"{name} must hold at least {least} points, got {len(value)}")
    if finite:
        check_finite(name, value)


def check_samples(name: str, value: Tensor, dim: int | None = None) -> None:
    """Raise unless ``value`` is a tensor of 32 or 64 bits (TypeError) of n >= 1 points, all finite (ValueError).

    Whatever the device: this is for what is measured, and looks at the values anyway.

    >>> check_samples("x", torch.zeros(0, 2))
    Traceback (most recent call last):
    ValueError: x must hold at least 1 points, got 0
    """
    check_points(name, value, dim, least=1)
    check_precise(name, value)
    check_has_values(name, value)
    check_finite(name, value.sum().cpu() if value.device.type != "cpu" else value)


def check_last_axis(name: str, value: Tensor, dim: int | None = None) -> None:
    """Raise unless ``value`` is a floating-point tensor (TypeError) of shape ``(..., D)`` (ValueError), with that D.

    >>> check_last_axis("x", torch.zeros(5, 3), 2)
    Traceback (most recent call last):
    ValueError: x must have shape (..., 2), got (5, 3)
    """
    check_tensor(name, value)
    if value.dim() == 0 or value.shape[-1] != (dim or value.shape[-1]):
        raise ValueError(f"{name} must have shape (..., {dim or 'D'}), got {tuple(value.shape)}")


def check_broadcasts(name: str, value: Tensor, other: str, like: Tensor) -> None:
    """Raise unless ``value`` is a tensor (TypeError) of the dtype and device of ``like``, and fits it (ValueError).

    >>> check_broadcasts("std", torch.zeros(5, 2), "mean", torch.zeros(5, 1))
    Traceback (most recent call last):
    ValueError: std must have a shape that fits mean's (5, 1), got (5, 2)
    """
    check_tensor(name, value)
    check_same_dtype_and_device(name, value, other, like)
    _check_shape(name, value, f"{other}'s", like.shape)


def _check_shape(name: str, value: Tensor, whose: str, shape: Size) -> None:
    """Raise a ValueError unless ``value`` broadcasts to that shape, and the shape stays as it is."""
    pairs = zip(reversed(value.shape), reversed(shape), strict=False)
    if value.dim() > len(shape) or not all(a in (1, b) for a, b in pairs):
        raise ValueError(f"{name} must have a shape that fits {whose} {tuple(shape)}, got {tuple(value.shape)}")


def check_fits(name: str, value: Tensor, x: Tensor) -> None:
    """Raise a ValueError unless ``value`` has one entry for each point of ``x``, or broadcasts to that.

    Without this, a column of values against a row of points would silently give a whole table.

    >>> check_fits("t", torch.zeros(5, 1), torch.zeros(5, 2))
    Traceback (most recent call last):
    ValueError: t must have a shape that fits the points' (5,), got (5, 1)
    """
    _check_shape(name, value, "the points'", x.shape[:-1])


def check_same_dtype_and_device(name: str, value: Tensor, other: str, like: Tensor) -> None:
    """Raise a ValueError unless ``value`` has the dtype and the device of ``like``.

    >>> check_same_dtype_and_device("x", torch.zeros(1), "weight", torch.zeros(1).double())
    Traceback (most recent call last):
    ValueError: x must have the dtype and device of weight, torch.float64 on cpu, got torch.float32 on cpu
    """
    if value.dtype != like.dtype or value.device != like.device:
        theirs = f"{like.dtype} on {like.device}"
        raise ValueError(
            f"{name} must have the dtype and device of {other}, {theirs}, got {value.dtype} on {value.device}"
        )


def check_alike(name: str, value: Tensor, other: str, like: Tensor) -> None:
    """Raise unless ``value`` is a tensor (TypeError) with the shape, dtype and device of ``like`` (ValueError).

    >>> check_alike("x0", torch.zeros(5, 1), "xt", torch.zeros(5, 2))
    Traceback (most recent call last):
    ValueError: x0 must have the shape of xt, (5, 2), got (5, 1)
    """
    check_tensor(name, value)
    if value.shape != like.shape:
        raise ValueError(f"{name} must have the shape of {other}, {tuple(like.shape)}, got {tuple(value.shape)}")
    check_same_dtype_and_device(name, value, other, like)


def check_event(name: str, value: Tensor, p: Distribution) -> None:
    """Raise a ValueError unless ``value`` holds points of the space that ``p`` is about.

    Without this, one coordinate would silently be compared with each of them.

    >>> check_event("x", torch.zeros(5, 1), torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2)))
    Traceback (most recent call last):
    ValueError: x must have shape (..., 2), as what the model makes, got (5, 1)
    """
    if value.shape[-1:] != p.event_shape:
        wanted = f"(..., {p.event_shape[0]})"
        raise ValueError(f"{name} must have shape {wanted}, as what the model makes, got {tuple(value.shape)}")


def check_returned(name: str, value: Tensor, shape: Size, rest: bool = False) -> None:
    """Raise unless ``name`` returned a tensor (TypeError) of that shape, or so begun if ``rest`` (ValueError).

    >>> check_returned("f", torch.zeros(()), torch.Size([5]))
    Traceback (most recent call last):
    ValueError: what f returns must have shape (5,), got ()
    """
    check_kind(f"what {name} returns", value, Tensor, "a tensor")
    if value.shape[: len(shape) if rest else None] != shape:
        wanted = f"({', '.join(map(str, shape))}, ...)" if rest else tuple(shape)
        raise ValueError(f"what {name} returns must have shape {wanted}, got {tuple(value.shape)}")


def check_generator(name: str, value: Generator | None, device: torch.device | None = None) -> None:
    """Raise unless ``value`` is a generator or None (TypeError), on that kind of device (ValueError).

    >>> check_generator("generator", 0)
    Traceback (most recent call last):
    TypeError: generator must be a torch.Generator or None, got int 0
    """
    check_kind(name, value, (Generator, type(None)), "a torch.Generator or None")
    if value is not None and device is not None and value.device.type != device.type:
        raise ValueError(f"{name} must be on {device.type}, got one on {value.device.type}")


def checked_draws(
    n: int, generator: Generator | None, device: torch.device | str | None, dtype: torch.dtype | None
) -> tuple[int, torch.device | None]:
    """How many are drawn and where: on ``device``, or where the generator is; or raise.

    >>> checked_draws(5, None, "cpu", None)
    (5, device(type='cpu'))
    """
    n = check_integer("n", n, least=0)
    place = checked_device(device, dtype)
    check_generator("generator", generator, place)
    return n, place or (generator.device if generator is not None else None)


def checked_device(device: torch.device | str | None, dtype: torch.dtype | None = None) -> torch.device | None:
    """Return a device, or None for None; raise unless it is one, and ``dtype`` a floating-point one or None.

    >>> checked_device("cup")
    Traceback (most recent call last):
    ValueError: device must be the name of a device, got 'cup'
    """
    check_kind("device", device, (str, torch.device, type(None)), "a device, its name, or None")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype must be a floating-point dtype of torch, or None, got {describe(dtype)}")
    try:
        return None if device is None else torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device must be the name of a device, got {device!r}") from error
