"""The bound of a trained diffusion model, term by term."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_number
from diffusion_notes.explorables.arrays import finite
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.linear_schedule import linear_ends
from diffusion_notes.explorables.still_pictures import BOUND, line, scaled, svg, words

__all__ = ["BoundBars"]


class BoundBars(Explorable):
    r"""What each :math:`L_{t-1}` costs in nats, and whose fault it is.

    Arguments:
        schedule: a linear :class:`~diffusion_notes.schedule.Schedule`.
        smallest_loss: :math:`\mathbb E\lVert\varepsilon - \mathbb E[\varepsilon \mid x_t]\rVert^2` for
            t = 1, ..., T, of shape ``(T,)``, for points in the plane.
        own_error: the network's :math:`\mathbb E\lVert\mathbb E[\varepsilon \mid x_t] - \varepsilon_\theta\rVert^2`.
        prior: :math:`L_T` in nats.
        entropy: of the data, in nats.

    Raises:
        TypeError: an argument is not what it should be.
        ValueError: a shape does not fit, a value is not finite or negative where it cannot be, or the schedule is
            not linear.
    """

    name = "bound_bars"
    parts = ("maths", "drawing", "dragging")

    settings = traitlets.Dict().tag(sync=True, state=True)
    loss = traitlets.Unicode().tag(sync=True, state=True)
    own = traitlets.Unicode().tag(sync=True, state=True)
    alt = traitlets.Unicode(
        "The terms of the bound from t = 2 on, on a logarithmic axis, so that areas are nats. Almost all of the area "
        "is what even a perfect network pays, most of it below a few hundred; the network's own error is a thin line "
        "on top."
    ).tag(sync=True, state=True)

    def __init__(self, schedule: Any, smallest_loss: Any, own_error: Any, *, prior: float, entropy: float) -> None:
        ends = linear_ends(schedule)
        T = ends["T"]
        tables = {"smallest_loss": finite("smallest_loss", smallest_loss), "own_error": finite("own_error", own_error)}
        for name, table in tables.items():
            if table.shape != (T,):
                raise ValueError(f"{name} must have shape ({T},), got {table.shape}")
            if (table < 0).any():
                raise ValueError(f"{name} must not be negative, and some of its entries are")
        if (tables["smallest_loss"] == 0).any():
            raise ValueError("smallest_loss must be positive, and some of its entries are not: is the data a point?")
        for name, value in (("prior", prior), ("entropy", entropy)):
            check_number(name, value)
        packed = [
            base64.b64encode(np.concatenate(([0.0], table)).astype("<f4").tobytes()).decode("ascii")
            for table in tables.values()
        ]
        self._smallest_loss = tables["smallest_loss"]
        # the last digits of a float64 depend on the version of NumPy, and the stored output must not
        nats = {"prior": float(f"{prior:.9g}"), "entropy": float(f"{entropy:.9g}")}
        super().__init__(
            settings=ends | nats,
            loss=packed[0],
            own=packed[1],
        )

    def still_picture(self) -> str:
        """What even a perfect network pays at each t, but for the constants, with areas as nats."""
        beta = np.linspace(self.settings["beta1"], self.settings["betaT"], self.settings["T"])
        t = np.arange(1, len(beta) + 1)
        noise = -np.expm1(np.log1p(-beta).cumsum())
        nats = beta / (2 * (1 - beta) * noise) * self._smallest_loss
        height = nats / np.log((t + 0.5) / (t - 0.5))  # of a bar over log t whose area is the nats
        some = np.unique(np.geomspace(2, len(beta), 120).round().astype(int)) - 1
        end = np.log(len(beta) + 0.5)
        across = scaled(np.log(t[some]), 0, end, (0, 600))
        up = scaled(height[some], 0, 1.1 * height[1:].max(), (260, 0))
        ticks = [words(scaled([np.log(k)], 0, end, (0, 600))[0], 290, f"t = {k}") for k in (3, 10, 30, 100)]
        alt = (
            "What even a perfect network pays at each t from 2 on, without the constants, on a logarithmic axis, so "
            "that areas are nats. Most of it is below a few hundred."
        )
        return svg(alt, (600, 300), line(across, up, BOUND), *ticks)
