"""Numbers, vectors and matrices: what an evaluator does with plain arithmetic, and which sums have no meaning."""

from __future__ import annotations

import numpy as np

from diffusion_notes.equations.anatomy import terms
from diffusion_notes.equations.nodes import Node, NotUnderstood, Symbol
from diffusion_notes.equations.worlds import Point, Unsuited, Valueless

__all__ = ["Arithmetic"]


HIDDEN = 1e-7
ROUNDING = 1e-11
MINUS_ONE = Node("neg", (Node("number", (), "1"),))


class Arithmetic:
    """The part of an evaluator that is arithmetic; one method a kind of node."""

    def _number(self, node: Node, point: Point) -> np.ndarray:
        return np.array([float(node.value)])

    def _add(self, node: Node, point: Point, sign: int = 1) -> np.ndarray:
        (a, one), (b, other) = (self.alone(part, point) for part in node.parts)
        if a.shape[1:] != b.shape[1:]:
            raise NotUnderstood(f"{_kind(a)} and {_kind(b)} are added or compared", node.place)
        self.visible(a, one, b)
        self.visible(b, other, a)
        self.largest[0] = max(self.largest[0], _size(a), _size(b))
        return a + sign * b

    def alone(self, node: Node, point: Point) -> tuple[np.ndarray, float]:
        """The value of an expression, and the largest that was added up to get it."""
        before, self.largest[0] = self.largest[0], 0.0
        try:
            return self.value(node, point), self.largest[0]
        finally:
            self.largest[0] = max(before, self.largest[0])

    def visible(self, value: np.ndarray, summed: float, beside: np.ndarray) -> None:
        """What is added must not vanish beside the other: nobody would see whether it is right."""
        if not self.searching and ROUNDING * summed < _size(value) < HIDDEN * _size(beside):
            raise Unsuited("something too small to be seen beside something else")

    def _sub(self, node: Node, point: Point) -> np.ndarray:
        return self._add(node, point, -1)

    def _neg(self, node: Node, point: Point) -> np.ndarray:
        return -self.value(node.parts[0], point)

    def _group(self, node: Node, point: Point) -> np.ndarray:
        return self.value(node.parts[0], point)

    def _mul(self, node: Node, point: Point) -> np.ndarray:
        left, right = node.parts
        if _of_densities(node):
            return np.exp(self.logarithm(node, point))
        if _transposed(left) or (left.kind == "mul" and _transposed(left.parts[1])):
            outer = left if _transposed(left) else left.parts[1]
            a, b = self.value(outer.parts[0], point), self.value(right, point)
            if a.ndim == b.ndim == 2:
                product = (a * b).sum(-1)
                return product * self.value(left.parts[0], point) if left.kind == "mul" else product
        a, b = self.value(left, point), self.value(right, point)
        if a.ndim == 1 or b.ndim == 1:
            wide = max(a.ndim, b.ndim)
            return a.reshape(a.shape + (1,) * (wide - a.ndim)) * b.reshape(b.shape + (1,) * (wide - b.ndim))
        if a.ndim == 3:
            return a @ b if b.ndim == 3 else (a @ b[..., None])[..., 0]
        raise NotUnderstood("two vectors side by side: which product?", node.place)

    def _div(self, node: Node, point: Point) -> np.ndarray:
        if _of_densities(node):
            return np.exp(self.logarithm(node, point))
        a, b = (self.value(part, point) for part in node.parts)
        if b.ndim > 1:
            raise NotUnderstood(f"{_kind(b)} below a fraction line", node.place)
        if (b == 0).any():
            raise (Unsuited if node.parts[1].having("density") else Valueless)("a division by zero")
        if (np.abs(b) < 1e-9).any() and node.parts[1].having("sub"):
            sizes = [np.abs(self.value(term, point)).max() for term in terms(node.parts[1])]
            if (np.abs(b) < 1e-12 * max(sizes)).any():
                raise Valueless("a division by zero")
        return a / b.reshape(b.shape + (1,) * (a.ndim - 1))

    _frac = _div

    def number(self, node: Node, point: Point) -> np.ndarray:
        """The value of an expression that must be a number."""
        value = self.value(node, point)
        if value.ndim > 1:
            raise NotUnderstood(f"{_kind(value)} where a number belongs", node.place)
        return value

    def _sqrt(self, node: Node, point: Point) -> np.ndarray:
        value = self.number(node.parts[0], point)
        if (value.real < 0).any():
            raise Valueless("the root of a negative number")
        return np.sqrt(value)

    def _log(self, node: Node, point: Point) -> np.ndarray:
        return self.logarithm(node.parts[0], point)

    def logarithm(self, node: Node, point: Point) -> np.ndarray:
        """The logarithm of an expression; that of a product is a sum, so that tiny densities do no harm."""
        if node.kind in ("density", "normal"):
            return self.log_law(node, point)
        if node.kind == "group":
            return self.logarithm(node.parts[0], point)
        if node.kind in ("mul", "frac", "div") and _of_densities(node):
            a, b = (self.logarithm(part, point) for part in node.parts)
            return a + b if node.kind == "mul" else a - b
        value = self.number(node, point)
        if (value == 0).any():
            raise Unsuited("a number too small for a computer")
        if (value.real < 0).any():
            raise Valueless("the logarithm of what is not positive")
        return np.log(value)

    def _exp(self, node: Node, point: Point) -> np.ndarray:
        value = np.exp(self.argument(node.parts[0], point))
        if (value == 0).any():
            raise Unsuited("a number too small for a computer")
        return value

    def _wave(self, node: Node, point: Point) -> np.ndarray:
        return (np.cos if node.value == "COS" else np.sin)(self.argument(node.parts[0], point))

    def argument(self, node: Node, point: Point) -> np.ndarray:
        """A number that a function is taken of, in which it can be told from zero."""
        value, summed = self.alone(node, point)
        self.visible(value, summed, np.ones(1))
        return self.number(node, point) if value.ndim > 1 else value

    def _pair(self, node: Node, point: Point) -> np.ndarray:
        a, b = (self.number(part, point) for part in node.parts)
        return np.stack(np.broadcast_arrays(a, b), axis=-1)

    def _power(self, node: Node, point: Point) -> np.ndarray:
        if _transposed(node) and self.value(node.parts[0], point).ndim > 1:
            return self._transpose(node, point)
        if node.parts[1] == MINUS_ONE and self.value(node.parts[0], point).ndim == 3:
            return np.linalg.inv(self.value(node.parts[0], point))
        value, power = self.number(node.parts[0], point), self.argument(node.parts[1], point)
        if ((value.real < 0) & (power != np.round(power.real))).any() or ((value == 0) & (power.real < 0)).any():
            raise Valueless("a power that is no number")
        with np.errstate(all="ignore"):  # what is not finite is refused later
            raised = value**power
        if ((raised == 0) & (value != 0)).any():
            raise Unsuited("a number too small for a computer")
        return raised

    def _transpose(self, node: Node, point: Point) -> np.ndarray:
        value = self.value(node.parts[0], point)
        if value.ndim != 3:
            raise NotUnderstood("a transposed vector with nothing to its right", node.place)
        return np.swapaxes(value, 1, 2)

    def _norm(self, node: Node, point: Point) -> np.ndarray:
        value = self.value(node.parts[0], point)
        if value.ndim == 1:
            raise NotUnderstood("the norm of a number", node.place)
        return np.sqrt((value * value).reshape(len(value), -1).sum(-1))

    def _inner(self, node: Node, point: Point) -> np.ndarray:
        a, b = (self.value(part, point) for part in node.parts)
        if a.ndim != 2 or b.ndim != 2:
            raise NotUnderstood("an inner product of what are not two vectors", node.place)
        return (a * b).sum(-1)


def _of_densities(node: Node) -> bool:
    """Is it made of densities by multiplying and dividing alone? Then it is computed by its logarithm."""
    if node.kind in ("mul", "frac", "div", "group"):
        return all(_of_densities(part) for part in node.parts)
    return node.kind in ("density", "normal")


def _transposed(node: Node) -> bool:
    """Is it transposed, with a sign of its own or with a T?"""
    return node.kind == "transpose" or (node.kind == "power" and node.parts[1].value == Symbol("T"))


def _size(value: np.ndarray) -> float:
    return float(np.abs(value.real).max(initial=0.0))


def _kind(value: np.ndarray) -> str:
    return ("a number", "a vector", "a matrix")[value.ndim - 1]
