"""What the notebooks show: the figures' common look, pictures drawn more than once, and source code."""

from __future__ import annotations

import ast
import colorsys
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import torch
from cycler import cycler
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patheffects import withStroke
from torch import Tensor

from diffusion_notes._arguments.tensors import (
    check_finite,
    check_fits,
    check_has_values,
    check_points,
    check_returned,
    check_tensor,
)
from diffusion_notes._arguments.values import check_choice, check_kind, check_positive, describe

__all__ = ["COLOURS", "HALO", "plane", "scatter", "show_arrows", "show_density", "show_source", "use_style"]

# one colour for one thing, in all chapters: told apart without red or without green too, on white and in the dark
COLOURS = {
    "data": "#0072B2",
    "model": "#D55E00",
    "exact": "#222222",
    "posterior": "#009E73",
    "prior": "#505252",
    "bound": "#8363DB",
    "noise": "#249ACC",
    "baseline": "#643601",
    "wrong": "#F2556E",
}

# for words on a picture, so that a line that passes behind them does not strike them through
HALO = [withStroke(linewidth=3, foreground="white")]

_STYLE: dict[Any, object] = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "axes.prop_cycle": cycler(
        color=[COLOURS[name] for name in ("data", "model", "posterior", "bound", "noise", "baseline", "exact")]
    ),
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 12,
    "savefig.dpi": 110,
}


def use_style() -> None:
    """Give all the figures of a notebook the book's look."""
    plt.rcParams.update(_STYLE)


def plane(axes: Axes, extent: float = 1.9, title: str = "") -> Axes:
    """A square window on the plane, with equal axes and few ticks."""
    check_kind("axes", axes, Axes, "matplotlib's Axes")
    check_positive("extent", extent)
    check_kind("title", title, str, "text")
    axes.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal", title=title)
    axes.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    return axes


def scatter(
    axes: Axes, x: Tensor, hue: Tensor | None = None, title: str = "", extent: float = 1.9, of: str = "data"
) -> Axes:
    """Points of shape ``(n, 2)``, coloured by ``hue`` in [0, 1], or by whose points they are: a key of COLOURS."""
    check_choice("of", of, tuple(COLOURS))
    plane(axes, extent, title)
    check_points("x", x, dim=2, least=1)
    right, up = _values("x", x).unbind(-1)
    color: dict[str, Any] = {"color": COLOURS[of]}
    if hue is not None:
        check_tensor("hue", hue)
        check_fits("hue", hue, x)
        color = {"c": _values("hue", hue).expand(len(x)).numpy(), "cmap": _HUES, "vmin": 0, "vmax": 1}
    size = min(3.0, 6000 / len(x))
    axes.scatter(right.numpy(), up.numpy(), s=size, linewidths=0, rasterized=True, **color)
    return axes


def show_density(axes: Axes, log_prob: Callable[[Tensor], Tensor], title: str = "", extent: float = 1.9) -> Axes:
    """A density as a picture: ``log_prob`` takes points of shape ``(n, 2)`` and returns nats."""
    plane(axes, extent, title)
    points = _grid(200, extent).reshape(-1, 2)
    density = _returned("log_prob", log_prob, points, points.shape[:1]).exp().reshape(200, 200)
    # few colours: a smooth picture of the same size would be ten times the file
    shades = plt.get_cmap("Blues", 12)
    window = (-extent, extent, -extent, extent)
    axes.imshow(density.numpy(), extent=window, origin="lower", cmap=shades, vmin=0, interpolation="nearest")
    return plane(axes, extent, title)  # again, since the picture has moved the window


def show_arrows(axes: Axes, field: Callable[[Tensor], Tensor], title: str = "", extent: float = 1.9) -> Axes:
    """A vector field as arrows: ``field`` takes points of shape ``(n, 2)`` and returns ``(n, 2)``."""
    plane(axes, extent, title)
    points = _grid(17, extent).reshape(-1, 2)
    arrows = _returned("field", field, points, points.shape)
    scaled: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 16}
    axes.quiver(*points.T.numpy(), *arrows.T.numpy(), **scaled, width=0.004, color=COLOURS["model"])
    return axes


# the colours of the films: hsl(200 to 400 degrees, 75 %, 52 %), from blue through purple to orange
_HUES = ListedColormap([colorsys.hls_to_rgb((200 + 200 * k / 255) / 360 % 1, 0.52, 0.75) for k in range(256)])


def _grid(count: int, extent: float) -> Tensor:
    axis = torch.linspace(-extent, extent, count, dtype=torch.float64)
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)


def _returned(name: str, f: Callable[[Tensor], Tensor], points: Tensor, shape: torch.Size) -> Tensor:
    """What a function makes of points, if it is what it should be."""
    check_kind(name, f, Callable, f"callable as {name}(x)")
    value = f(points)
    check_returned(name, value, shape)
    return value.detach().cpu()


def _values(name: str, x: Tensor) -> Tensor:
    check_has_values(name, x)
    x = x.detach().cpu().resolve_neg()
    x = x.to(torch.promote_types(x.dtype, torch.float32))  # numpy has not all that torch has
    check_finite(name, x)
    return x


class _Source:
    """Source code: text for the regression test, and a highlighted block under a heading where Markdown is shown."""

    def __init__(self, name: str, code: str) -> None:
        self.name = name
        self.code = code

    def __repr__(self) -> str:
        return self.code

    def _repr_markdown_(self) -> str:
        """The page of the book folds away what begins like this."""
        return f"Source of `{self.name}`\n\n```python\n{self.code}\n```"


def show_source(function: Callable) -> None:
    """Show a function as it stands in the package, without its docstring: the page never has a copy of it."""
    if not (inspect.isroutine(function) or inspect.isclass(function)) or inspect.isbuiltin(function):
        raise TypeError(f"function must be one written in Python, got {describe(function)}")
    if getattr(function, "__name__", "") == "<lambda>":  # its lines are a part of something else
        raise TypeError(f"function must have been defined by def or class, got {describe(function)}")
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    definition = ast.parse("\n".join(lines)).body[0]
    if isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(definition):
        del lines[definition.body[0].lineno - 1 : definition.body[0].end_lineno]
    name = getattr(function, "__qualname__", "").rpartition("<locals>.")[2]
    display(_Source(name, "\n".join(lines)))
