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
_DOTS = 250  # the most that it shows: it is a file of its own in the README
_LEVELS = 2**10  # a coordinate is rounded to so many levels, each about a pixel
_BEYOND = 1.1  # a point outside the picture is kept this far out, and not drawn


class Particles(Explorable):
    """Frames of points, with a play button and a slider.

    Arguments:
        frames: where the points are, of shape ``(F, N, 2)``; at least two frames.
        labels: one for each frame, in plain text: what the slider says.
        hue: a number in [0, 1] for each point, which colours it; of shape ``(N,)``.
        alt: what there is to see, for those who cannot.
        slider: the slider's name.
        stages: names of equal stretches of the film, in their order, which stand below the slider; or none.
        extent: the coordinate at the upper border of the picture; a point beyond its borders is not seen.
        aspect: the width of the picture over its height. A narrow page shows a square.
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
    stages = traitlets.List(traitlets.Unicode()).tag(sync=True, state=True)
    reach = traitlets.Float().tag(sync=True, state=True)
    extent = traitlets.Float().tag(sync=True, state=True)
    aspect = traitlets.Float().tag(sync=True, state=True)
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
        stages: Sequence[str] = (),
        extent: float = 3.5,
        aspect: float = 1.0,
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
        check_kind("stages", stages, (list, tuple), "a list of texts")
        _check_texts(alt=[alt], slider=[slider], labels=labels, stages=stages)
        check_positive("extent", extent)
        check_positive("aspect", aspect)
        check_positive("seconds", seconds)
        check_kind("autoplay", autoplay, bool)
        reach = _BEYOND * extent * max(aspect, 1)
        place = ((frames / reach).clip(-1, 1) + 1) / 2
        level = (place * (_LEVELS - 1)).round().astype(np.uint16)
        self._point = (2 * level / (_LEVELS - 1) - 1) * reach
        self._hue = (hue.clip(0, 1) * 255).round().astype(np.uint8)
        super().__init__(
            # all the high bytes, then all the low ones: so they compress to almost nothing but the low ones
            frames=_base64(np.stack((level >> 8, level & 255)).astype(np.uint8)),
            count=frames.shape[1],
            hue=_base64(self._hue),
            labels=list(labels),
            alt=alt,
            slider=slider,
            stages=list(stages),
            reach=float(reach),
            extent=float(extent),
            aspect=float(aspect),
            seconds=float(seconds),
            autoplay=autoplay,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.labels)} frames of {self.count} points)"

    def still_picture(self) -> str:
        """Five of the frames, side by side, below the names of the stages."""
        chosen = np.linspace(0, len(self.labels) - 1, 5).round().astype(int)
        top = 44 if self.stages else 0
        panels = "".join(self._panel(i, frame, top) for i, frame in enumerate(dict.fromkeys(chosen.tolist())))
        return (
            f'<svg role="img" viewBox="0 0 {5 * _PANEL} {top + _PANEL + 40}" width="100%" fill="none" '
            f'stroke-linecap="round"><title>{html.escape(self.alt)}</title>{self._arrows()}{panels}</svg>'
        )

    def _arrows(self) -> str:
        """For each stage its name, over an arrow as long as it lasts."""
        width = 5 * _PANEL / max(1, len(self.stages))
        return "".join(
            f'<g transform="translate({i * width:.0f})"><text x="{width / 2:.0f}" y="22" font-size="22" '
            f'text-anchor="middle" fill="currentColor">{html.escape(stage)}</text>'
            f'<path stroke="currentColor" stroke-width="1.5" d="M20,36H{width - 20:.0f}l-9,-5m9,5l-9,5"/></g>'
            for i, stage in enumerate(self.stages)
        )

    def _panel(self, i: int, frame: int, top: int) -> str:
        shown = self._point[frame][:_DOTS]
        inside = (np.abs(shown) <= self.extent).all(-1)
        x, y = ((shown * [1, -1] / self.extent + 1) / 2).T * _PANEL
        paths = []
        for band in range(8):
            here = inside & (self._hue[:_DOTS] // 32 == band)
            dots = "".join(f"M{a:.0f},{b:.0f}h0" for a, b in zip(x[here], y[here], strict=True))
            if dots:
                paths.append(f'<path stroke="hsl({212 + 25 * band},75%,52%)" d="{dots}"/>')
        label = html.escape(self.labels[frame])
        return (
            f'<g transform="translate({i * _PANEL},{top})" stroke-width="4">{"".join(paths)}'
            f'<text x="{_PANEL // 2}" y="{_PANEL + 28}" font-size="20" text-anchor="middle" fill="currentColor">'
            f"{label}</text></g>"
        )


def _check_texts(**texts: Sequence[str]) -> None:
    """What is read aloud or shown is text, and says something."""
    for what, given in texts.items():
        for text in given:
            check_kind(what, text, str, "text")
            if not text.strip():
                raise ValueError(f"{what} must not be empty, got {text!r}")


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")
