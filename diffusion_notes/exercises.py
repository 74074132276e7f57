"""Cells that tell a reader whether an answer is right, without telling the answer."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_notes.checks import check_positive

__all__ = ["check"]


def check(answer: object, expected: float | Tensor, tolerance: float = 1e-6) -> None:
    """Print whether ``answer``, a number or a tensor, is what is expected.

    Arguments:
        answer: the reader's; ``...`` if there is none yet.
        expected: what it should be.
        tolerance: how far off it may be, in each entry.

    Raises:
        TypeError: ``tolerance`` is not a number.
        ValueError: ``tolerance`` is not positive and finite.

    >>> check(..., 0.5)
    Replace ... by your answer and run the cell again.
    >>> check(0.25, 0.5)
    Not yet: the largest difference is 0.25.
    >>> check(0.5, 0.5)
    Right.
    """
    check_positive("tolerance", tolerance)
    if answer is None or answer is ...:
        print("Replace ... by your answer and run the cell again.")
        return
    expected = torch.as_tensor(expected, dtype=torch.float64, device="cpu")  # where every machine has doubles
    try:
        answer = torch.as_tensor(answer, dtype=torch.float64, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        print(f"Not yet: the answer should be a number or a tensor, and is a {type(answer).__name__}.")
        return
    if answer.shape != expected.shape:
        print(f"Not yet: the answer should have shape {tuple(expected.shape)}, and has {tuple(answer.shape)}.")
    elif not bool((answer - expected).abs().max() <= tolerance):  # a NaN is not right either
        print(f"Not yet: the largest difference is {(answer - expected).abs().max().item():.2g}.")
    else:
        print("Right.")
