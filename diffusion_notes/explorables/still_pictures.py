"""Still pictures, for where no script runs: lines and dots in an SVG."""

from __future__ import annotations

import html

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["BOUND", "DATA", "MODEL", "NOISE", "POSTERIOR", "WRONG", "dots", "faint", "line", "scaled", "svg", "words"]

# one colour for one thing, as in the figures and in drawing.js
DATA = "#0072B2"
MODEL = "#D55E00"
POSTERIOR = "#009E73"
NOISE = "#249ACC"
BOUND = "#8363DB"
WRONG = "#F2556E"


def faint(colour: str, opacity: float) -> str:
    """A colour that one sees through."""
    return f"{colour}{round(255 * opacity):02x}"


def svg(alt: str, size: tuple[int, int], *shapes: str) -> str:
    """A picture of shapes, with what there is to see in words."""
    wide, high = size
    return (
        f'<svg role="img" viewBox="0 0 {wide} {high}" width="100%" fill="none" stroke-linecap="round" '
        f'font-size="16"><title>{html.escape(alt)}</title>{"".join(shapes)}</svg>'
    )


def line(x: np.ndarray, y: np.ndarray, colour: str = "currentColor", width: float = 3, fill: str = "none") -> str:
    """A line through points, in pixels from the upper left."""
    path = "L".join(f"{a:.0f},{b:.0f}" for a, b in zip(x, y, strict=True))
    return f'<path d="M{path}" stroke="{colour}" stroke-width="{width:g}" fill="{fill}"/>'


def dots(x: np.ndarray, y: np.ndarray, colour: str = "currentColor", width: float = 4) -> str:
    """A dot at each point."""
    path = "".join(f"M{a:.0f},{b:.0f}h0" for a, b in zip(x, y, strict=True))
    return f'<path d="{path}" stroke="{colour}" stroke-width="{width:g}"/>'


def words(x: float, y: float, text: str, colour: str = "currentColor", anchor: str = "middle") -> str:
    """A short text."""
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}" text-anchor="{anchor}">{html.escape(text)}</text>'


def scaled(values: ArrayLike, low: float, high: float, to: tuple[float, float]) -> np.ndarray:
    """Values between ``low`` and ``high``, put between two places in the picture."""
    return to[0] + (np.asarray(values, dtype=float) - low) / (high - low) * (to[1] - to[0])
