"""The figures' common look, and the two pictures that are drawn more than once."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

__all__ = ["plane", "scatter", "show_arrows", "show_density", "use_style"]

_STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.dpi": 96,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "savefig.dpi": 96,
}


def use_style() -> None:
    """Give all the figures of a notebook the book's look."""
    plt.rcParams.update(_STYLE)


def plane(axes: Axes, extent: float = 1.9, title: str = "") -> Axes:
    """A square window on the plane, with equal axes and few ticks."""
    axes.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal", title=title)
    axes.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    return axes


def scatter(axes: Axes, x: Tensor, hue: Tensor | None = None, title: str = "", extent: float = 1.9) -> Axes:
    """Points of shape ``(n, 2)``, coloured by ``hue`` in [0, 1] if it is given."""
    x = x.detach().cpu()
    color = {"c": hue.cpu(), "cmap": "plasma", "vmin": 0, "vmax": 1.1} if hue is not None else {"color": "C0"}
    axes.scatter(x[:, 0], x[:, 1], s=3, linewidths=0, rasterized=True, **color)
    return plane(axes, extent, title)


def show_density(axes: Axes, log_prob: Callable[[Tensor], Tensor], title: str = "", extent: float = 1.9) -> Axes:
    """A density as a picture: ``log_prob`` takes points of shape ``(n, 2)`` and returns nats."""
    points = _grid(200, extent)
    density = log_prob(points.reshape(-1, 2)).exp().reshape(200, 200)
    axes.imshow(density, extent=(-extent, extent) * 2, origin="lower", cmap="Blues", vmin=0)
    return plane(axes, extent, title)


def show_arrows(axes: Axes, field: Callable[[Tensor], Tensor], title: str = "", extent: float = 1.9) -> Axes:
    """A vector field as arrows: ``field`` takes points of shape ``(n, 2)`` and returns ``(n, 2)``."""
    points = _grid(21, extent).reshape(-1, 2)
    arrows = field(points)
    axes.quiver(*points.T, *arrows.T, angles="xy", scale_units="xy", scale=12, width=0.004, color="C3")
    return plane(axes, extent, title)


def _grid(count: int, extent: float) -> Tensor:
    axis = torch.linspace(-extent, extent, count, dtype=torch.float64)
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
