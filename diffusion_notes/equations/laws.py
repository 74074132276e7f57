"""Densities, expectations, divergences: what an evaluator does with laws.

An expectation is a weighted sum over nodes that the world chooses, so everything here is a way of saying which
variables are drawn, from what, and given what.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from diffusion_notes.equations.gaussians import gauss_nodes, log_normal
from diffusion_notes.equations.names import START, is_index_letter, meaning
from diffusion_notes.equations.nodes import Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.worlds import Point, Undefined, Unsuited, Values

if TYPE_CHECKING:
    from diffusion_notes.equations.worlds import World

__all__ = ["Laws"]

ANY = "(any)"  # the variable of a law that names none


class Laws:
    """The part of an evaluator that is about laws."""

    world: World
    given: bool

    # Densities

    def sides(self, node: Node, point: Point) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Of a density: which model, about what, given what."""
        model, *about = node.value
        given = node.parts[0].value if node.parts else ()
        return model.base, self.variables(tuple(about), point), self.variables(given, point)

    def _normal_parts(self, mean: Node, cov: Node, point: Point) -> tuple[np.ndarray, np.ndarray]:
        D = self.world.D
        if self.world.cells:
            raise Unsuited("boxes are not Gaussian")
        m, v = self.value(mean, point), self.value(cov, point)
        if m.ndim == 1 and mean.kind == "number" and float(mean.value) == 0:
            m = np.zeros((1, D))
        if v.ndim == 1 and self.world.context == "hvae":  # the scalar example: a variance is a number there
            if D > 1:
                raise Unsuited("the scalar example")
            v = v[:, None, None]
        if m.ndim != 2 or v.ndim != 3:
            raise NotUnderstood("a Gaussian has a vector and a matrix: is an I missing?", cov.place)
        if (np.linalg.det(v).real <= 0).any():
            raise Undefined("a Gaussian without a positive variance")
        return m, v

    def log_law(self, law: Node, point: Point, key: str | None = None) -> np.ndarray:
        """The logarithm of a density; `key` is the variable of a law that names none."""
        if law.kind == "density":
            model, about, given = self.sides(law, point)
            for name in (*about, *given):
                if name not in point.values:
                    raise NotUnderstood(f"{name} has no value here", law.place)
            return self.world.log_density(model, about, given, point)
        if law.kind == "normal":
            where = self.value(law.parts[0], point)
        elif key is not None:
            where = self.look(key, point)
        else:
            raise NotUnderstood("a law, where a density at a point belongs", law.place)
        mean, cov = self._normal_parts(*law.parts[-2:], point)
        if where.ndim != 2:
            raise NotUnderstood("the density of what is not a vector", law.place)
        return log_normal(where, np.broadcast_to(mean, np.broadcast_shapes(mean.shape, where.shape)), cov)

    def _density(self, node: Node, point: Point) -> np.ndarray:
        return np.exp(self.log_law(node, point))

    _normal = _density

    def drawn(self, law: Node, point: Point) -> tuple[Values, np.ndarray]:
        """Nodes and weights of a law, by its variable."""
        if law.kind == "density":
            return self.world.nodes(*self.sides(law, point), point)
        if law.kind in ("normal", "normal_law"):
            key = self.about(law, point)[0]
            mean, cov = self._normal_parts(*law.parts[-2:], point)
            found, weights = gauss_nodes(*_both(mean, cov), self.world.rule)
            return {key: found}, weights
        raise NotUnderstood("this is not a law from which one can draw", law.place)

    def about(self, law: Node, point: Point) -> tuple[str, ...]:
        """The variables that a law is about."""
        if law.kind == "density":
            return self.sides(law, point)[1]
        if law.kind == "normal":
            if law.parts[0].kind != "symbol":
                raise NotUnderstood("a law is about a variable", law.parts[0].place)
            return self.variables((law.parts[0].value,), point)
        return (ANY,)

    # Which variables occur, and which of them are free

    def free(self, node: Node, point: Point) -> set[str]:
        """The variables that an expression depends on, noise included."""
        kind, parts = node.kind, node.parts
        if kind == "symbol":
            keys = None if is_index_letter(node.value) else self.variable(node.value, point)
            if keys is not None:
                return set(keys)
            if node.value.name == "tilde mu" and node.value.index is not None:
                return {f"x{self.count(node.value.index, point)}", "x0"}
            if self.known(node.value, point) is None or node.value.base in ("L", "calL", "ell"):
                return set()
            return self.free(self.known(node.value, point), self._scope(node.value, point))
        if kind == "density":
            _, about, given = self.sides(node, point)
            return {*about, *given}
        if kind == "total":
            return set().union(*(self.free(parts[-1], inner) for inner in self.steps(node, point)))
        if kind == "integral":
            return self.free(parts[-1], point) - set(self.variables(node.value, point))
        if kind in ("expectation", "variance"):
            return self._free_of_average(node, point)
        if kind == "divergence":
            return set().union(*(self.free(law, point) for law in parts)) - set(self.about(parts[0], point))
        if kind == "entropy":
            law = parts[0]
            return set() if law.kind == "bare" else self.free(law, point) - set(self.about(law, point))
        if kind == "mutual":
            return set(self.variables(node.value[3:], point))
        return set().union(*(self.free(part, point) for part in parts))

    def _free_of_average(self, node: Node, point: Point) -> set[str]:
        draws, body, given = _split(node)
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
                    model, about, conditions = what
                    inside = inside - set(about) - {"eps"} | set(conditions)
                elif kind == "law":
                    law, keys = what
                    inside = inside - set(keys) | (self.free(law, inner) - set(self.about(law, inner)))
            found |= inside
        return found

    def _random(self, body: Node, point: Point) -> set[str]:
        """The variables of a body; noise is what links two of them."""
        names = self.free(body, point)
        if "eps" in names:
            names = names - {"eps"} | set(self.world.linked(point))
        if names & {"u", "n"}:
            raise NotUnderstood("over which law is the average?", body.place)
        return {name for name in names if "^" not in name}

    # Expectations

    def bindings(self, draws: list[Node], body: Node, given: tuple[Symbol, ...], point: Point) -> list[tuple]:
        """What is drawn, one after another: steps, noise, variables of the joint law, or laws that are written out."""
        start = START[self.world.context]
        conditions = self.variables(given, point)
        if not draws or (draws[0].kind == "bare" and len(draws) == 1):
            if draws and draws[0].value[0].base != "q":
                raise NotUnderstood("an expectation over which variables of p?", draws[0].place)
            if not draws and not given and not self.world.diffusing_names:
                raise NotUnderstood("over which law is the average?", body.place)
            names = self._random(body, point) - set(conditions)
            if not given and self.given:
                names, conditions = names - {start}, (start,)
            ordered = tuple(key for key in self.world.keys if key in names)
            return [("joint", ("q", ordered, conditions))] if ordered else []
        if given:
            raise NotUnderstood("a condition, and a law as well", body.place)
        found: list[tuple] = []
        loose: list[Symbol] = []
        for draw in draws:
            if draw.kind in ("variable", "dots"):
                loose.append(draw.value[0] if draw.kind == "variable" else Symbol("dots"))
            elif draw.kind == "drawn":
                found.append(self._drawn_from([*loose, draw.value[0]], draw.parts[0], point))
                loose = []
            elif draw.kind in ("density", "normal"):
                found.append(("law", (draw, self.about(draw, point))))
            else:
                raise NotUnderstood("this is not a law from which one can draw", draw.place)
        return self._natural(loose, body, point) + found

    def _natural(self, symbols: list[Symbol], body: Node, point: Point) -> list[tuple]:
        """Variables without a law have the one that they have in the book."""
        found = [("t", None)] if Symbol("t") in symbols else []
        names = self.variables(tuple(s for s in symbols if s != Symbol("t")), point.at(t=point.counts.get("t", 1)))
        if not names:
            return found
        start = START[self.world.context]
        if "eps" in names:
            found += [("joint", ("q", (start,), ()))] if start in names else []
            if {key for key in names if key not in (start, "eps")} - set(
                self.world.linked(point.at(t=point.counts.get("t", 1)))
            ):
                raise NotUnderstood("noise, and a variable that it does not make", body.place)
            return [*found, ("noise", None)]
        if start not in names and start in self.free(body, point):
            raise NotUnderstood(f"is {start} given? Write the law", body.place)
        if not self.world.diffusing_names and set(names) != {start}:
            raise NotUnderstood("over which law is the average, p's or q's?", body.place)
        return [*found, ("joint", ("q", tuple(key for key in self.world.keys if key in names), ()))]

    def _drawn_from(self, symbols: list[Symbol], law: Node, point: Point) -> tuple:
        if law.kind == "uniform":
            ends = [self.integer(part, point) for part in law.parts]
            if symbols == [Symbol("t")] and ends[0] == 1 and ends[-1] == self.world.T:
                return ("t", None)
            raise NotUnderstood("a uniform law of what?", law.place)
        if Symbol("dots") in symbols:
            first, last = symbols[0], symbols[-1]
            if len(symbols) < 3 or first.copy != Index(None, 1) or last.copy is None:
                raise NotUnderstood("dots are read only between z^1 and z^K", law.place)
            symbols = [Symbol(first.base, copy=Index(None, k + 1)) for k in range(self.count(last.copy, point))]
        keys = self.variables(tuple(symbols), point)
        if keys == ("eps",):
            mean, cov = self._normal_parts(*law.parts[-2:], point) if law.kind == "normal_law" else (1, 0)
            if not (np.allclose(mean, 0) and np.allclose(cov, np.eye(self.world.D))):
                raise NotUnderstood("the noise is standard normal in this book", law.place)
            return ("noise", None)
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
            wide = self.remade(point.spread({"eps": found}, weights.shape[-1], dropped))
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
        elif len(keys) > 1:  # copies are drawn one by one
            return self.average([("law", (law, keys[:1])), ("law", (law, keys[1:])), *rest], inner, point)
        else:
            values = {keys[0]: found[mine[0]]}
        wide = point.spread(values, weights.shape[-1], ("eps",))
        return self.summed(lambda p: self.average(rest, inner, p), wide, weights)

    def summed(self, inner: Callable[[Point], np.ndarray], wide: Point, weights: np.ndarray) -> np.ndarray:
        """The weighted sum over the nodes that a point was spread to."""
        if wide.size > 2e6:
            raise Unsuited("too many nodes")
        count = weights.shape[-1]
        value = inner(wide)
        value = np.broadcast_to(value, (wide.size, *value.shape[1:])).reshape(-1, count, *value.shape[1:])
        return (value * weights.reshape(*weights.shape, *(1,) * (value.ndim - 2))).sum(1)

    def _expectation(self, node: Node, point: Point) -> np.ndarray:
        draws, body, given = _split(node)
        items = self.bindings(draws, body, given, point)
        return self.average(items, lambda inner: self.value(body, inner), point)

    def _variance(self, node: Node, point: Point) -> np.ndarray:
        draws, body, given = _split(node)
        items = self.bindings(draws, body, given, point)
        mean = self.average(items, lambda inner: self._scalar(body, inner), point)
        return self.average(items, lambda inner: self._scalar(body, inner) ** 2, point) - mean**2

    # Divergences and entropies

    def _divergence(self, node: Node, point: Point) -> np.ndarray:
        first, second = node.parts
        if "bare" in (first.kind, second.kind):
            raise NotUnderstood("a divergence between laws of which variables?", node.place)
        mine, other = self.about(first, point), self.about(second, point)
        if sorted(mine) != sorted(other) and (ANY,) not in (mine, other):
            raise NotUnderstood("a divergence between laws of different variables", node.place)
        key = (mine if mine != (ANY,) else other)[0]
        values, weights = self.drawn(first, point)
        if mine == (ANY,) != other:
            values = {key: values[ANY]}
        wide = point.spread(values, weights.shape[-1], () if key == ANY else ("eps",))
        return self.summed(lambda p: self.log_law(first, p, key) - self.log_law(second, p, key), wide, weights)

    def _entropy(self, node: Node, point: Point) -> np.ndarray:
        law = node.parts[0]
        if law.kind == "bare":
            return self.value(meaning(self.world.context, "H"), point)
        values, weights = self.drawn(law, point)
        wide = point.spread(values, weights.shape[-1])
        return self.summed(lambda p: -self.log_law(law, p, next(iter(values))), wide, weights)

    def _mutual(self, node: Node, point: Point) -> np.ndarray:
        symbol, a, b, *given = node.value
        if symbol.label not in ("", "q", "p") or symbol.index is not None:
            raise NotUnderstood("the mutual information under which law?", node.place)
        model, world = symbol.label or "q", self.world
        first, second, under = (self.variables(tuple(s), point) for s in ((a,), (b,), given))
        values, weights = world.nodes(model, first + second, under, point)
        wide = point.spread(values, weights.shape[-1])

        def ratio(p: Point) -> np.ndarray:
            single = sum(world.log_density(model, part, under, p) for part in (first, second))
            return world.log_density(model, first + second, under, p) - single

        return self.summed(ratio, wide, weights)


def _split(node: Node) -> tuple[list[Node], Node, tuple[Symbol, ...]]:
    """The laws, the body and the condition of an expectation."""
    *draws, body = [part for part in node.parts if part.kind != "given"]
    given = node.parts[-1].value if node.parts[-1].kind == "given" else ()
    return draws, body, given


def _both(mean: np.ndarray, cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = max(len(mean), len(cov))
    return np.broadcast_to(mean, (size, *mean.shape[1:])), np.broadcast_to(cov, (size, *cov.shape[1:]))
