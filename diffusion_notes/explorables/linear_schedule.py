"""What a page needs to know of a schedule: its ends, from which it computes the rest."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffusion_notes._arguments.values import describe

__all__ = ["linear_ends"]


def linear_ends(schedule: Any) -> dict[str, int | float]:
    r"""T, :math:`\beta_1` and :math:`\beta_T` of a linear schedule.

    Arguments:
        schedule: a :class:`~diffusion_notes.schedule.Schedule`.

    Raises:
        TypeError: ``schedule`` is none.
        ValueError: it is not linear.
    """
    if not hasattr(schedule, "beta"):
        raise TypeError(f"schedule must be a Schedule, got {describe(schedule)}")
    beta = schedule.beta.cpu().numpy()
    if not np.allclose(beta[1:], np.linspace(beta[1], beta[-1], len(beta) - 1), rtol=1e-12):
        raise ValueError("schedule must be linear: the page computes it from its ends")
    return {"T": len(beta) - 1, "beta1": float(beta[1]), "betaT": float(beta[-1])}
