"""Expectations and variances: which variables are drawn, from what, and given what.

An expectation is a weighted sum over nodes that the world chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from diffusion_notes.equations.laws import ANY, Laws, parted
from diffusion_notes.equations.names import START
from diffusion_notes.equations.nodes import Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.normal import gauss_nodes
from diffusion_notes.equations.worlds import Point, Unsuited

__all__ = ["Averages"]


class Averages(Laws):
    """The part of an evaluator that takes averages."""

    def _random(self, body: Node, point: Point) -> set[str]:
        """The variables of a body; noise is what links two of them."""
        names = self.free(body, point)
        if "eps" in names:
            names = names - {"eps"} | set(self.world.linked(point))
        if names & {"u", "n"}:
            raise NotUnderstood("over which law is the average?", body.place)
        return {name for name in names if "^" not in name}

    def _free_of_average(self, node: Node, point: Point) -> set[str]:
        draws, body, given = parted(node)
        if not draws or draws[0].kind == "bare":
            return set(self.variables(given, point))
        if any(draw.kind == "variable" and draw.value[0].base == "t" for draw in draws):
            points = [point.at(t=t) for t in range(1, self.world.T + 1)]
        else:
            points = [point]
        found: set[str] = set()
        for inner in points:
            inside = self.free(body, inner)
            for kind, what in reversed(self.bindings(draws, body, given, inner)):
                if kind == "noise":
                    dropped = {key for key in self.world.keys if key != START[self.world.context]}
                    inside = inside - {"eps"} - dropped | {START[self.world.context]}
                elif kind == "joint":
                    _, about, conditions = what
                    inside = inside - set(about) - {"eps"} | set(conditions)
                elif kind == "law":
                    law, keys = what
                    inside = inside - set(keys) | (self.free(law, inner) - set(self.about(law, inner)))
            found |= inside
        return found

    def bindings(self, draws: list[Node], body: Node, given: tuple[Symbol, ...], point: Point) -> list[tuple]:
        """What is drawn, one after another: steps, noise, variables of the joint law, or laws that are written out."""
        start = START[self.world.context]
        conditions = self.variables(given, point)
        if not draws or (draws[0].kind == "bare" and len(draws) == 1):
            if draws and draws[0].value[0].base != "q":
                raise NotUnderstood("an expectation over which variables of p?", draws[0].place)
            if not draws and not given and not self.world.diffusing:
                raise NotUnderstood("over which law is the average?", body.place)
            names = self._random(body, point) - set(conditions)
            if not given and self.given:
                names, conditions = names - {start}, (start,)
            ordered = tuple(key for key in self.world.keys if key in names)
            if not ordered:
                raise NotUnderstood(f"an average over nothing: is {start} given?", body.place)
            return [("joint", ("q", ordered, conditions))]
        if given:
            raise NotUnderstood("a condition, and a law as well", body.place)
        found: list[tuple] = []
        loose: list[Symbol] = []
        for draw in draws:
            if draw.kind in ("variable", "dots"):
                loose.append(draw.value[0] if draw.kind == "variable" else Symbol("dots"))
            elif draw.kind == "drawn":
                found.append(self.drawn_from([*loose, draw.value[0]], draw.parts[0], point))
                loose = []
            elif draw.kind == "conditional":
                loose.append(draw.value[0])
                keys, given = self.variables(tuple(loose), point), self.variables(draw.parts[0].value, point)
                found, loose = [*found, ("joint", ("q", keys, given))], []
            elif draw.kind in ("density", "normal", "product"):
                found += self.factors(draw, point)
            else:
                raise NotUnderstood("this is not a law from which one can draw", draw.place)
        items = self._natural(loose, body, point) + found
        drawn = [key for kind, what in items if kind in ("law", "joint") for key in what[1]]
        self._noise_is_whole(items, drawn, body, point)
        if len(set(drawn)) < len(drawn):
            raise NotUnderstood("a variable is drawn twice", body.place)
        return items

    def _noise_is_whole(self, items: list[tuple], drawn: list[str], body: Node, point: Point) -> None:
        """Noise belongs to two variables: if one is drawn, the other is drawn too, or the law is given it."""
        if {"t", "noise"} & {kind for kind, _ in items} or "eps" not in self.free(body, point):
            return
        ends = set(self.world.linked(point))
        given = set()
        for kind, what in items:
            given |= set(what[2]) if kind == "joint" else set()
            if kind == "law":
                given |= self.free(what[0], point) - set(self.about(what[0], point))
        if ends & set(drawn) and not ends <= {*drawn, *given}:
            raise NotUnderstood("the noise belongs to two variables: which of them are drawn?", body.place)

    def _natural(self, symbols: list[Symbol], body: Node, point: Point) -> list[tuple]:
        """Variables without a law have the one that they have in the book."""
        found = [("t", None)] if Symbol("t") in symbols else []
        names = self.variables(tuple(s for s in symbols if s != Symbol("t")), point.at(t=point.counts.get("t", 1)))
        if not names:
            return found
        start = START[self.world.context]
        if "eps" in names:
            found += [("joint", ("q", (start,), ()))] if start in names else []
            if set(names) - {start, "eps"}:
                raise NotUnderstood("noise is drawn, and what it makes as well", body.place)
            return [*found, ("noise", self._made(body, point))]
        if start not in names and start in self.free(body, point):
            raise NotUnderstood(f"is {start} given? Write the law", body.place)
        if "eps" in self.free(body, point) and not set(self.world.linked(point)) <= set(names):
            raise NotUnderstood("the noise belongs to two variables: which of them are drawn?", body.place)
        if not self.world.diffusing and set(names) != {start}:
            raise NotUnderstood("over which law is the average, p's or q's?", body.place)
        return [*found, ("joint", ("q", tuple(key for key in self.world.keys if key in names), ()))]

    def whole(self, law: Node) -> Node:
        """A law without variables is that of a data point."""
        start = START[self.world.context]
        symbol = Symbol("x", index=Index(None, 0)) if start == "x0" else Symbol("x")
        return Node("density", (), (law.value[0], symbol), law.place) if law.kind == "bare" else law

    def factors(self, law: Node, point: Point) -> list[tuple]:
        """The factors of a law in an order in which they can be drawn: first what the others are given."""
        if law.kind != "product":
            return [("law", (law, self.about(law, point)))] if self.about(law, point) != ("eps",) else [("noise", "t")]
        left, found = list(law.parts), []
        while left:
            waiting = {key for part in left for key in self.about(part, point)}
            ready = [p for p in left if not (self.free(p, point) - set(self.about(p, point))) & waiting]
            if not ready:
                raise NotUnderstood("factors of a law that wait for each other", law.place)
            found.append(("law", (ready[0], self.about(ready[0], point))))
            left.remove(ready[0])
        return found

    def _made(self, body: Node, point: Point) -> int | str:
        """Which of the variables the noise makes: x_t, or the one that is named by a number."""
        said = {s for node in body.walk() for s in node.symbols()}
        if not self.world.diffusing or Symbol("t") in said or any(s.index == Index("t") for s in said):
            return "t"
        made = {int(key[1:]) for key in self.free(body, point) & set(self.world.keys)} - {0}
        return made.pop() if len(made) == 1 else "t"

    def drawn_from(self, symbols: list[Symbol], law: Node, point: Point) -> tuple:
        """What it means that variables are drawn from a law that is written out."""
        if law.kind == "uniform":
            ends = [self.integer(part, point) for part in law.parts]
            if symbols == [Symbol("t")] and ends[0] == 1 and ends[-1] == self.world.T:
                return ("t", None)
            raise NotUnderstood("a uniform law of what?", law.place)
        if Symbol("dots") in symbols:
            first, last = symbols[0], symbols[-1]
            if self.world.context == "vae":  # samples may be numbered below as well
                first, last = (replace(s, copy=s.copy or s.index, index=None) for s in (first, last))
            if len(symbols) < 3 or first.copy != Index(None, 1) or last.copy is None:
                raise NotUnderstood("dots are read only between z^1 and z^K", law.place)
            symbols = [Symbol(first.base, copy=Index(None, k + 1)) for k in range(self.count(last.copy, point))]
        keys = self.variables(tuple(symbols), point)
        if keys == ("eps",):
            mean, cov = self.normal_parts(*law.parts[-2:], point) if law.kind == "normal_law" else (1, 0)
            if not (np.allclose(mean, 0) and np.allclose(cov, np.eye(self.world.D))):
                raise NotUnderstood("the noise is standard normal in this book", law.place)
            return ("noise", "t")
        law = self.whole(law)
        mine = self.about(law, point)
        same = sorted(mine) == sorted(keys) or all(len(mine) == 1 and key.split("^")[0] == mine[0] for key in keys)
        if not same and mine != (ANY,):
            raise NotUnderstood("the law is about other variables", law.place)
        return ("law", (law, keys))

    def average(self, items: list[tuple], inner: Callable[[Point], np.ndarray], point: Point) -> np.ndarray:
        """The expectation of a function of the point, over what is drawn, one after another."""
        if not items:
            return inner(point)
        (kind, what), *rest = items
        if kind == "t":
            values = [self.average(rest, inner, self.remade(point.at(t=t))) for t in range(1, self.world.T + 1)]
            return sum(values[1:], values[0]) / len(values)
        if kind == "noise":
            D, rule = self.world.D, self.world.rule if not self.world.cells else None
            if rule is None:
                raise Unsuited("boxes have no noise")
            found, weights = gauss_nodes(np.zeros((1, D)), np.eye(D)[None], rule)
            dropped = tuple(key for key in self.world.keys if key != START[self.world.context])
            here = point if what == "t" else point.at(t=what)
            wide = self.remade(here.spread({"eps": found}, weights.shape[-1], dropped))
            return self.summed(lambda p: self.average(rest, inner, p), wide, weights)
        if kind == "joint":
            values, weights = self.world.nodes(*what, point)
            wide = point.spread(values, weights.shape[-1], ("eps",))
            return self.summed(lambda p: self.average(rest, inner, p), wide, weights)
        law, keys = what
        mine, values = self.about(law, point), {}
        found, weights = self.drawn(law, point)
        if sorted(mine) == sorted(keys):
            values = found
        elif len(keys) > len(mine):  # copies are drawn one by one
            return self.average([("law", (law, keys[:1])), ("law", (law, keys[1:])), *rest], inner, point)
        else:
            values = {keys[0]: found[mine[0]]}
        wide = point.spread(values, weights.shape[-1], ("eps",))
        return self.summed(lambda p: self.average(rest, inner, p), wide, weights)

    def summed(self, inner: Callable[[Point], np.ndarray], wide: Point, weights: np.ndarray) -> np.ndarray:
        """The weighted sum over the nodes that a point was spread to."""
        count = weights.shape[-1]
        value = inner(wide)
        value = np.broadcast_to(value, (wide.size, *value.shape[1:])).reshape(-1, count, *value.shape[1:])
        weights = weights.reshape(*weights.shape, *(1,) * (value.ndim - 2))
        self.seen(np.abs(value * weights).sum(1))
        return (value * weights).sum(1)

    def seen(self, value: np.ndarray) -> None:
        """Remember the size of what is summed: a sum that cancels is no more exact than that."""
        size = float(np.nanmax(np.abs(value), initial=0.0))
        self.scale[0], self.largest[0] = max(self.scale[0], size), max(self.largest[0], size)

    def _expectation(self, node: Node, point: Point) -> np.ndarray:
        draws, body, given = parted(node)
        items = self.bindings(draws, body, given, point)
        return self.average(items, lambda inner: self.value(body, inner), point)

    def _variance(self, node: Node, point: Point) -> np.ndarray:
        """The variance of a number, the covariance of a vector."""
        draws, body, given = parted(node)
        items = self.bindings(draws, body, given, point)

        def square(value: np.ndarray) -> np.ndarray:
            return value[:, :, None] * value[:, None, :] if value.ndim == 2 else value**2

        mean = self.average(items, lambda inner: self.value(body, inner), point)
        return self.average(items, lambda inner: square(self.value(body, inner)), point) - square(mean)
