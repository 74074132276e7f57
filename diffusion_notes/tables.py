"""Tables of one number for each t: kept in float64 on the CPU, and copied to where they are used once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_notes.checks import describe

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
        """The entries ``t``, of shape ``(...)``, on the device and in the dtype of ``like``, as ``(..., 1)``."""
        return self.whole(name, like)[t].unsqueeze(-1)

    def whole(self, name: str, like: Tensor) -> Tensor:
        """All entries, on the device and in the dtype of ``like``."""
        key = name, like.device, like.dtype
        if key not in self.placed:
            with torch.inference_mode(False):  # what is kept must be good for training too
                self.placed[key] = self.make(name).to(like.dtype).to(like.device)
        return self.placed[key]
