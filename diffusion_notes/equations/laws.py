"""Laws: their densities, the nodes for an average over them, and which variables an expression is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from diffusion_notes.equations.names import is_index_letter
from diffusion_notes.equations.nodes import Node, NotUnderstood, Symbol
from diffusion_notes.equations.normal import gauss_nodes, log_normal
from diffusion_notes.equations.worlds import Point, Undefined, Unsuited, Valueless, Values

if TYPE_CHECKING:
    from diffusion_notes.equations.worlds import World

__all__ = ["ANY", "Laws", "parted"]

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

    def normal_parts(self, mean: Node, cov: Node, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """The mean `(S, D)` and the covariance `(S, D, D)` of a Gaussian that is written out."""
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
        determinants = np.linalg.det(v).real
        if (determinants <= 0).any():
            raise (Valueless if (determinants < 0).any() else Undefined)("a Gaussian without a positive variance")
        return m, v

    def log_law(self, law: Node, point: Point, key: str | None = None) -> np.ndarray:
        """The logarithm of a density; `key` is the variable of a law that names none."""
        if law.kind == "product":
            return sum(self.log_law(part, point) for part in law.parts)
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
        mean, cov = self.normal_parts(*law.parts[-2:], point)
        if where.ndim != 2:
            raise NotUnderstood("the density of what is not a vector", law.place)
        return log_normal(where, np.broadcast_to(mean, np.broadcast_shapes(mean.shape, where.shape)), cov)

    def _density(self, node: Node, point: Point) -> np.ndarray:
        return np.exp(self.log_law(node, point))

    _normal = _density

    def drawn(self, law: Node, point: Point) -> tuple[Values, np.ndarray]:
        """Nodes and weights of a law, by its variable."""
        if law.kind == "density":
            model, about, given = self.sides(law, point)
            return self.world.nodes(model, tuple(key for key in about if key not in given), given, point)
        if law.kind in ("normal", "normal_law"):
            key = self.about(law, point)[0]
            mean, cov = self.normal_parts(*law.parts[-2:], point)
            found, weights = gauss_nodes(*_both(mean, cov), self.world.rule)
            return {key: found}, weights
        raise NotUnderstood("this is not a law from which one can draw", law.place)

    def about(self, law: Node, point: Point) -> tuple[str, ...]:
        """The variables that a law is about."""
        if law.kind == "density":
            _, about, given = self.sides(law, point)
            return tuple(key for key in about if key not in given)  # what is given is not drawn
        if law.kind == "product":
            keys = tuple(key for part in law.parts for key in self.about(part, point))
            if len(set(keys)) < len(keys):
                raise NotUnderstood("a variable in two of the factors of a law", law.place)
            return keys
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
            if node.value.label == "theta" and node.value.index is None and self.world.diffusing:
                return {f"x{point.counts['t']}"} if "t" in point.counts else set()  # a network at x_t
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
            parts = tuple(self.whole(law) for law in parts)
            return set().union(*(self.free(law, point) for law in parts)) - set(self.about(parts[0], point))
        if kind == "entropy":
            law = parts[0]
            return set() if law.kind == "bare" else self.free(law, point) - set(self.about(law, point))
        if kind == "mutual":
            return set(self.variables(node.value[3], point)) if len(node.value) > 3 else set()
        return set().union(*(self.free(part, point) for part in parts))


def parted(node: Node) -> tuple[list[Node], Node, tuple[Symbol, ...]]:
    """The laws, the body and the condition of an expectation."""
    *draws, body = [part for part in node.parts if part.kind != "given"]
    given = node.parts[-1].value if node.parts[-1].kind == "given" else ()
    return draws, body, given


def _both(mean: np.ndarray, cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = max(len(mean), len(cov))
    return np.broadcast_to(mean, (size, *mean.shape[1:])), np.broadcast_to(cov, (size, *cov.shape[1:]))
