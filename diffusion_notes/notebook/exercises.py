"""Cells that tell a reader whether an answer is right, without telling the answer."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_notes import equations
from diffusion_notes._arguments.tensors import check_finite, check_has_values, check_tensor
from diffusion_notes._arguments.values import check_choice, check_kind, check_list, check_number, check_positive
from diffusion_notes.equations.worlds.world import CHAINS

__all__ = ["check", "check_line"]


def check(answer: object, expected: float | Tensor, tolerance: float = 1e-6) -> None:
    """Print whether ``answer``, a number or a tensor, is what is expected.

    Arguments:
        answer: the reader's; ``...`` if there is none yet.
        expected: what it should be.
        tolerance: how far off it may be, in each entry.

    Raises:
        TypeError: ``expected`` is neither a number nor a floating-point tensor, or ``tolerance`` not a number.
        ValueError: ``expected`` is not finite, or ``tolerance`` not positive and finite.

    >>> check(..., 0.5)
    Replace ... by your answer and run the cell again.
    >>> check(0.25, 0.5)
    Not yet: the largest difference is 0.25.
    >>> check(0.5, 0.5)
    Right.
    """
    tolerance = check_positive("tolerance", tolerance)
    if isinstance(expected, Tensor):
        check_tensor("expected", expected)
        check_has_values("expected", expected)
        check_finite("expected", expected)
    else:
        check_number("expected", expected)
    if _missing(answer):
        return
    expected = torch.as_tensor(expected, dtype=torch.float64, device="cpu")  # where every machine has doubles
    try:
        if torch.as_tensor(answer, device="cpu").is_complex():  # torch would drop the imaginary part
            raise TypeError
        given = torch.as_tensor(answer, dtype=torch.float64, device="cpu")
    except (TypeError, ValueError, RuntimeError, OverflowError):
        print(f"Not yet: the answer should be a number or a tensor, and is a {type(answer).__name__}.")
        return
    if given.shape != expected.shape:
        print(f"Not yet: the answer should have shape {tuple(expected.shape)}, and has {tuple(given.shape)}.")
    elif not bool((given - expected).abs().max() <= tolerance):  # a NaN is not right either
        print(f"Not yet: the largest difference is {(given - expected).abs().max().item():.2g}.")
    else:
        print("Right.")


def check_line(answer: object, left: str, chapter: str, without: tuple[str, ...] = ()) -> equations.Report | None:
    r"""Let the book judge a line of a derivation: any right side that is equal to the left one is right.

    Arguments:
        answer: the reader's right side, in LaTeX; ``...`` if there is none yet.
        left: the left side.
        chapter: whose notation it is, `vae`, `hvae`, `diffusion` or `ddpm`.
        without: what may not occur in the answer, beside the left side itself.

    Returns:
        What was found out about the line, for the notebook to show; nothing, if there is no line.

    Raises:
        TypeError: ``left`` is not a string, or ``without`` not a tuple of them.
        ValueError: there is no such chapter.

    >>> check_line(..., r"\bar\alpha_t", "ddpm")
    Replace ... by your answer and run the cell again.
    >>> check_line(r"\bar\alpha_t", r"\bar\alpha_t", "ddpm")
    Not yet: it is to be written without \bar\alpha_t.
    >>> check_line(r"\bar\alpha_{t-1} - \alpha_t", r"\bar\alpha_t", "ddpm")  # doctest: +ELLIPSIS
    Not yet.
    ✗ fails: in one world ...
    >>> check_line(r"\bar\alpha_{t-1} (1 - \beta_t)", r"\bar\alpha_t", "ddpm")
    Right.
    ✓ proved: proved symbolically
        \bar\alpha_t = \bar\alpha_{t-1} (1 - \beta_t)
    """
    check_kind("left", left, str, "a string")
    check_choice("chapter", chapter, CHAINS)
    check_list("without", without, "a tuple of strings", str, "a string")
    if _missing(answer):
        return None
    if not isinstance(answer, str):
        print(f"Not yet: the answer should be LaTeX, as in r'\\beta_t', and is a {type(answer).__name__}.")
        return None
    answer = answer.strip().strip("$").strip().removeprefix("=")
    report = equations.check(f"{left} = {answer}", chapter)
    understood = all(verdict.kind != "not understood" for verdict in report.verdicts)
    for part in (left, *without) if understood else ():
        if equations.contains(report.latex, part):
            print(f"Not yet: it is to be written without {part}.")
            return None
    print("Right." if report else "Not yet.")
    return report


def _missing(answer: object) -> bool:
    missing = answer is None or answer is ...
    if missing:
        print("Replace ... by your answer and run the cell again.")
    return missing
