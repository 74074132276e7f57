"""Points in the plane that move: the swiss roll as it dissolves, and as it comes back."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_kind, check_positive
from diffusion_notes.explorables.arrays import finite
from diffusion_notes.explorables.base import Explorable

__all__ = ["Particles"]

_PANEL = 300  # the side of one panel of the still picture
_LEVELS = 2**10  # a coordinate is rounded to so many levels, each about half a pixel


class Particles(Explorable):
    """Frames of points, with a play button and a slider.

    Arguments:
        frames: where the points are, of shape ``(F, N, 2)``; at least two frames.
        labels: one for each frame, in plain text: what the slider says.
        hue: a number in [0, 1] for each point, which colours it; of shape ``(N,)``.
        alt: what there is to see, for those who cannot.
        slider: the slider's name.
        extent: the coordinate at the border of the picture.
        seconds: how long it plays.
        autoplay: whether it plays once when it is first seen (never where motion is not wanted).

    Raises:
        TypeError: an argument is not an array of numbers, or not text.
        ValueError: the shapes do not fit, a value is not finite, or ``alt`` is empty.

    >>> Particles(np.zeros((2, 3, 2)), ["start", "end"], np.zeros(3), alt="Three points at rest.")
    Particles(2 frames of 3 points)
    """

    name = "particles"

    frames = traitlets.Unicode().tag(sync=True, state=True)
    count = traitlets.Int().tag(sync=True, state=True)
    hue = traitlets.Unicode().tag(sync=True, state=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True, state=True)
    alt = traitlets.Unicode().tag(sync=True, state=True)
    slider = traitlets.Unicode().tag(sync=True, state=True)
    seconds = traitlets.Float().tag(sync=True, state=True)
    autoplay = traitlets.Bool().tag(sync=True, state=True)

    def __init__(
        self,
        frames: np.ndarray,
        labels: Sequence[str],
        hue: np.ndarray,
        *,
        alt: str,
        slider: str = "Step",
        extent: float = 3.5,
        seconds: float = 6.0,
        autoplay: bool = False,
    ) -> None:
        frames = finite("frames", frames)
        hue = finite("hue", hue)
        if frames.ndim != 3 or frames.shape[2] != 2 or len(frames) < 2 or frames.shape[1] < 1:
            raise ValueError(f"frames must have shape (F, N, 2) with F >= 2 and N >= 1, got {frames.shape}")
        if hue.shape != frames.shape[1:2]:
            raise ValueError(f"hue must have shape {frames.shape[1:2]}, got {hue.shape}")
        check_kind("labels", labels, (list, tuple), "a list of texts")
        if len(labels) != len(frames):
            raise ValueError(f"labels must be one for each of the {len(frames)} frames, got {len(labels)}")
        for what, text in (("alt", alt), ("slider", slider), *(("labels", label) for label in labels)):
            check_kind(what, text, str, "text")
            if not text.strip():
                raise ValueError(f"{what} must not be empty, got {text!r}")
        check_positive("extent", extent)
        check_positive("seconds", seconds)
        check_kind("autoplay", autoplay, bool)
        place = ((frames / extent).clip(-1, 1) + 1) / 2
        level = (place * (_LEVELS - 1)).round().astype(np.uint16)
        self._place = level / (_LEVELS - 1)
        self._hue = (hue.clip(0, 1) * 255).round().astype(np.uint8)
        super().__init__(
            # all the high bytes, then all the low ones: so they compress to almost nothing but the low ones
            frames=_base64(np.stack((level >> 8, level & 255)).astype(np.uint8)),
            count=frames.shape[1],
            hue=_base64(self._hue),
            labels=list(labels),
            alt=alt,
            slider=slider,
            seconds=float(seconds),
            autoplay=autoplay,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.labels)} frames of {self.count} points)"

    def still_picture(self) -> str:
        """Five of the frames, side by side."""
        chosen = np.linspace(0, len(self.labels) - 1, 5).round().astype(int)
        panels = "".join(self._panel(i, frame) for i, frame in enumerate(dict.fromkeys(chosen.tolist())))
        return (
            f'<svg role="img" viewBox="0 0 {5 * _PANEL} {_PANEL + 40}" width="100%" fill="none" stroke-linecap="round">'
            f"<title>{html.escape(self.alt)}</title>{panels}</svg>"
        )

    def _panel(self, i: int, frame: int) -> str:
        x, y = (self._place[frame] * [1, -1] + [0, 1]).T * _PANEL
        paths = []
        for band in range(8):
            here = self._hue // 32 == band
            dots = "".join(f"M{a:.0f},{b:.0f}h0" for a, b in zip(x[here], y[here], strict=True))
            if dots:
                paths.append(f'<path stroke="hsl({212 + 25 * band},75%,52%)" d="{dots}"/>')
        label = html.escape(self.labels[frame])
        return (
            f'<g transform="translate({i * _PANEL})" stroke-width="4">{"".join(paths)}'
            f'<text x="{_PANEL // 2}" y="{_PANEL + 28}" font-size="20" text-anchor="middle" fill="currentColor">'
            f"{label}</text></g>"
        )


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")
