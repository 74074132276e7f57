"""Graphical models as vector figures: circles for variables, arrows for conditionals.

A filled circle is observed. A solid arrow is a step of the generative model p, a dashed one of the
inference model q.
"""

from __future__ import annotations

import cmath
import html
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from diffusion_notes._arguments.values import check_kind, check_list, describe

__all__ = ["Diagram", "chain_diagram"]

_RADIUS = 26
_SPACING = 150
_KINDS = ("p", "q", "p curved", "q curved")


class Diagram:
    """A drawing that a notebook shows: ``image/svg+xml`` where that is all, in a page as part of it.

    In a page it takes the colour of the text, in light and in dark mode.

    Arguments:
        nodes: by name, ``(x, y, observed)`` in units of the distance between neighbours; y points down.
            A name like ``z_1`` is set with its index below; ``...`` is three dots without a circle.
        edges: ``(from, to, label, kind)`` with kind ``"p"``, ``"q"``, or ``"p curved"`` and
            ``"q curved"`` for two arrows between the same two nodes.
        alt: what it shows, for those who cannot see it.

    Raises:
        TypeError: ``alt`` is no text.
        ValueError: ``alt`` is empty, there is no node, an edge does not join two, or a kind is none of these.

    >>> Diagram({"z": (0, 0, False), "x": (0, 1, True)}, [("z", "x", "p(x|z)", "p")], alt="z above x.")
    Diagram(2 nodes, 1 edges)
    """

    def __init__(
        self,
        nodes: Mapping[str, tuple[float, float, bool]],
        edges: Sequence[tuple[str, str, str, str]],
        alt: str,
    ) -> None:
        check_kind("alt", alt, str, "text")
        if not alt.strip():
            raise ValueError(f"alt must not be empty, got {alt!r}")
        check_kind("nodes", nodes, Mapping, "places by name")
        if not nodes:
            raise ValueError("nodes must hold at least one node, got none")
        for node in nodes.values():
            if not isinstance(node, Sequence) or len(node) != 3:
                raise TypeError(f"a place in nodes must be (x, y, observed), got {describe(node)}")
        check_list("edges", edges, "a list", Sequence, "(from, to, label, kind)")
        for edge in edges:
            if len(edge) != 4:
                raise TypeError(f"each of edges must be (from, to, label, kind), got {describe(edge)}")
            start, end, _, kind = edge
            if start not in nodes or end not in nodes or nodes[start][:2] == nodes[end][:2]:
                raise ValueError(f"each of edges must join two nodes in two places, got {start!r} and {end!r}")
            if kind not in _KINDS:
                raise ValueError(f"the kind of an edge in edges must be one of {', '.join(_KINDS)}, got {kind!r}")
        self.nodes = dict(nodes)
        self.edges = list(edges)
        self.alt = alt

    def __repr__(self) -> str:
        return f"Diagram({len(self.nodes)} nodes, {len(self.edges)} edges)"

    def svg(self) -> str:
        """The drawing."""
        x = [node[0] * _SPACING for node in self.nodes.values()]
        y = [node[1] * _SPACING for node in self.nodes.values()]
        left = min(x) - 60
        top = min(y) - 70
        width = max(x) - left + 60
        height = max(y) - top + 70
        drawn = [self._edge(*edge) for edge in self.edges] + [self._node(name) for name in self.nodes]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="{left:g} {top:g} {width:g} {height:g}" '
            f'width="{width:g}" style="max-width: 100%; height: auto" fill="none" stroke="currentColor" '
            f'stroke-width="1.5" font-family="STIX Two Text, Times New Roman, serif" font-size="18">'
            f"<title>{html.escape(self.alt)}</title>{''.join(drawn)}</svg>"
        )

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:
        svg = self.svg()
        page = f'<div data-diagram="model" style="text-align: center">{svg}</div>'
        return {"text/plain": repr(self), "image/svg+xml": svg, "text/html": page}

    def _node(self, name: str) -> str:
        x, y, observed = self.nodes[name]
        x *= _SPACING
        y *= _SPACING
        if name == "...":
            return "".join(f'<circle cx="{x + d:g}" cy="{y:g}" r="2" fill="currentColor"/>' for d in (-14, 0, 14))
        shade = ' fill="currentColor" fill-opacity="0.18"' if observed else ""
        return f'<circle cx="{x:g}" cy="{y:g}" r="{_RADIUS}"{shade}/>{_text(name, x, y + 6)}'

    def _edge(self, start: str, end: str, label: str, kind: str) -> str:
        # points of the plane as complex numbers, so that to turn is to multiply
        here = complex(*self.nodes[start][:2]) * _SPACING
        there = complex(*self.nodes[end][:2]) * _SPACING
        length = abs(there - here)
        ahead = (there - here) / length
        aside = ahead * -1j
        bend = 34 if kind.endswith("curved") else 0
        # from rim to rim, aimed a little to the side where it is curved
        aim = cmath.rect(1, math.atan2(2 * bend, length))
        tail = here + _RADIUS * (ahead * aim.real + aside * aim.imag)
        tip = there - (_RADIUS + 3) * (ahead * aim.real - aside * aim.imag)
        middle = (here + there) / 2 + aside * 2 * bend
        dash = ' stroke-dasharray="6 4"' if kind[0] == "q" else ""
        path = f'<path d="M{_place(tail)} Q{_place(middle)} {_place(tip)}"{dash}/>'
        back = cmath.phase(tip - middle)
        wings = [tip - cmath.rect(11, back + turn) for turn in (-0.4, 0.4)]
        corners = " ".join(_place(corner) for corner in (tip, *wings))
        head = f'<polygon points="{corners}" fill="currentColor" stroke="none"/>'
        beside = (here + there) / 2 + aside * (bend + 20)
        anchor = "middle" if abs(aside.real) < 0.5 else "start" if aside.real > 0 else "end"
        return path + head + _text(label, beside.real, beside.imag + 6, anchor)


def _place(point: complex) -> str:
    return f"{point.real:.1f},{point.imag:.1f}"


def chain_diagram(names: Sequence[str], alt: str) -> Diagram:
    """A Markov chain from the data on the left to the last latent on the right, q above and p below.

    >>> chain_diagram(["x", "z_1", "z_2"], alt="Three variables in a row.")
    Diagram(3 nodes, 4 edges)
    """
    check_list("names", names, "a list of names", str, "text")
    nodes = {name: (1.15 * i, 0.0, i == 0) for i, name in enumerate(names)}
    edges = []
    for low, high in pairwise(names):
        known = "..." not in (low, high)
        edges.append((high, low, f"p({low}|{high})" if known else "", "p curved"))
        edges.append((low, high, f"q({high}|{low})" if known else "", "q curved"))
    return Diagram(nodes, edges, alt)


def _text(label: str, x: float, y: float, anchor: str = "middle") -> str:
    """A formula in one line: what follows _ up to a space, bracket or bar is set lower and smaller."""
    parts = []
    i = 0
    while i < len(label):
        if label[i] == "_":
            j = i + 1
            while j < len(label) and label[j] not in " ()|,":
                j += 1
            parts.append(f'<tspan dy="5" font-size="13">{html.escape(label[i + 1 : j])}</tspan><tspan dy="-5">&#8203;')
            parts.append("</tspan>")
            i = j
        else:
            letter = html.escape(label[i]).replace("|", "&#8201;|&#8201;")
            style = ' font-style="italic"' if label[i].isalpha() else ""
            parts.append(f"<tspan{style}>{letter}</tspan>")
            i += 1
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor" stroke="none">'
        f"{''.join(parts)}</text>"
    )
