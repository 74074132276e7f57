"""Tables of one number for each t: kept in float64 on the CPU, and copied to where they are used once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_notes.checks import check_integer, describe
from diffusion_notes.tensor_checks import check_tensor, is_dense

__all__ = ["Tables"]


class Tables:
    """Tables by name, on any device and in any dtype.

    Arguments:
        make: returns the float64 table of a name. It is asked once for each device and dtype, since
            copying to a GPU at every step of a loop would halt it.

    Raises:
        TypeError: ``make`` cannot be called.

    >>> squares = Tables({"square": torch.arange(4.0) ** 2}.__getitem__)
    >>> squares.at("square", torch.tensor([3, 2]), like=torch.empty(2, 5))
    tensor([[9.],
            [4.]])
    """

    def __init__(self, make: Callable[[str], Tensor]) -> None:
        if not callable(make):
            raise TypeError(f"make must be callable as make(name), got {describe(make)}")
        self.make = make
        self.placed: dict = {}

    def at(self, name: str, t: int | Tensor, like: Tensor) -> Tensor:
        """The entries ``t``, of shape ``(...)``, on the device and in the dtype of ``like``, as ``(..., 1)``.

        The values of a tensor ``t`` are not checked, because this is called inside loops.

        Raises:
            TypeError: ``t`` is not an integer or a tensor of integers, or ``like`` no floating-point tensor.
            ValueError: there is no such table, no such entry, or ``t`` is a tensor on another device.
        """
        table = self.whole(name, like)
        if not isinstance(t, Tensor):
            check_integer("t", t, least=0, most=len(table) - 1)
        elif t.dtype not in (torch.int32, torch.int64) or not is_dense(t):
            raise TypeError(f"t must be an integer tensor (int32 or int64), got {describe(t)}")
        elif t.device != like.device:
            raise ValueError(f"t must be on the device of what is multiplied, {like.device}, got one on {t.device}")
        return table[t].unsqueeze(-1)

    def whole(self, name: str, like: Tensor) -> Tensor:
        """All the entries, on the device and in the dtype of ``like``; errors as of :meth:`at`."""
        check_tensor("like", like)
        key = str(name), like.device, like.dtype
        if key not in self.placed:
            try:
                table = self.make(name)
                check_tensor("a table", table)
            except (AttributeError, KeyError, TypeError) as error:
                raise ValueError(f"name must be that of a table, got {describe(name)}") from error
            with torch.inference_mode(False):  # what is kept must be good for training too
                self.placed[key] = table.to(like.dtype).to(like.device)
        return self.placed[key]
