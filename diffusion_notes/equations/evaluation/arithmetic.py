"""Numbers, vectors and matrices: the rules of plain arithmetic, and which sums have no meaning.

One rule a kind of node; `Evaluator` lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np

from diffusion_notes.equations.evaluation.environment import Environment, gaussian
from diffusion_notes.equations.evaluation.laws import from_logarithm, log_law
from diffusion_notes.equations.language.syntax_tree import Index, Node, NotUnderstood, Symbol, terms
from diffusion_notes.equations.worlds.gaussian_world import matrix_power
from diffusion_notes.equations.worlds.world import Point, Undefined, Unsuited, Valueless

__all__ = [
    "absolute",
    "add",
    "component",
    "cos_or_sin",
    "determinant",
    "divide",
    "exp",
    "factors_of",
    "group",
    "indicator",
    "inner_product",
    "known_value",
    "log",
    "logarithm",
    "multiply",
    "negate",
    "norm",
    "number",
    "pair",
    "power",
    "product_of",
    "scalar",
    "sqrt",
    "subtract",
    "total",
    "transpose",
    "weighted_norm",
]

HIDDEN = 1e-7
ROUNDING = 1e-11
TWO = Node("number", (), "2")
MINUS_ONE = Node("neg", (Node("number", (), "1"),))


# What stands for itself


def number(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A number that is written out."""
    return np.array([float(node.value)])


def known_value(env: Environment, node: Node, point: Point) -> np.ndarray:
    """What has been evaluated already."""
    return node.value


def group(env: Environment, node: Node, point: Point) -> np.ndarray:
    """Brackets."""
    return env.value(node.parts[0], point)


def pair(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A vector of two numbers."""
    a, b = (scalar(env, part, point) for part in node.parts)
    return np.stack(np.broadcast_arrays(a, b), axis=-1)


def scalar(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The value of an expression that must be a number."""
    value = env.value(node, point)
    if value.ndim > 1:
        raise NotUnderstood(f"{_kind(value)} where a number belongs", node.place)
    return value


# Sums


def add(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A sum of two numbers, vectors or matrices."""
    a, b = _summands(env, node, point)
    return a + b


def subtract(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A difference."""
    a, b = _summands(env, node, point)
    return a - b


def negate(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A minus before an expression."""
    return -env.value(node.parts[0], point)


def _summands(env: Environment, node: Node, point: Point) -> tuple[np.ndarray, np.ndarray]:
    (a, one), (b, other) = (_alone(env, part, point) for part in node.parts)
    if a.shape[1:] != b.shape[1:]:
        raise NotUnderstood(f"{_kind(a)} and {_kind(b)} are added or compared", node.place)
    _check_visible(env, a, one, b)
    _check_visible(env, b, other, a)
    env.magnitude.part = max(env.magnitude.part, _size(a), _size(b))
    return a, b


def _alone(env: Environment, node: Node, point: Point) -> tuple[np.ndarray, float]:
    """The value of an expression, and the largest that was added up to get it."""
    before = env.magnitude.part
    env.magnitude.part = 0.0
    try:
        return env.value(node, point), env.magnitude.part
    finally:
        env.magnitude.part = max(before, env.magnitude.part)


def _check_visible(env: Environment, value: np.ndarray, summed: float, beside: np.ndarray) -> None:
    """What is added must not vanish beside the other: nobody would see whether it is right."""
    if not env.searching and ROUNDING * summed < _size(value) < HIDDEN * _size(beside):
        raise Unsuited("something too small to be seen beside something else")


def total(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A sum or a product over an index."""
    if _is_of_densities(node):
        return from_logarithm(env, logarithm(env, node, point))
    sign = node.value[0]
    values = _at_each_index(env, node, point, env.value)
    if not values:
        return np.zeros(1) if sign == "SUM" else np.ones(1)
    if sign == "PROD" and values[0].ndim > 1:
        raise NotUnderstood("a product of what are not numbers", node.place)
    result = values[0]
    for value in values[1:]:
        result = result + value if sign == "SUM" else result * value
    return result


def _at_each_index(
    env: Environment, node: Node, point: Point, evaluate: Callable[[Node, Point], np.ndarray]
) -> list[np.ndarray]:
    """What stands after a sum or a product sign, at each of its indices."""
    body = node.parts[-1]
    values = [evaluate(body, inner) for inner in env.index_range(node, point)]
    if not values:
        with suppress(Undefined, Unsuited):  # what stands after an empty sum has to have a meaning too
            evaluate(body, point.at(**{node.value[1].base: 2}))
    return values


# Products


def multiply(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A product; of a transposed vector and a vector the inner one."""
    left, right = node.parts
    if _is_of_densities(node):
        return _by_logarithm(env, node, point)
    product = _transposed_product(env, node, point)
    if product is not None:
        return product
    a = env.value(left, point)
    b = env.value(right, point)
    if a.ndim == 1 or b.ndim == 1:
        wide = max(a.ndim, b.ndim)
        return a.reshape(a.shape + (1,) * (wide - a.ndim)) * b.reshape(b.shape + (1,) * (wide - b.ndim))
    if a.ndim == 3:
        return a @ b if b.ndim == 3 else (a @ b[..., None])[..., 0]
    if a.ndim == b.ndim and (
        node.value == "dot" or (node.value is None and env.world.diffusing)
    ):  # as in the exponent of a Gaussian
        return (a * b).sum(-1)
    raise NotUnderstood("two vectors side by side: which product?", node.place)


def _transposed_product(env: Environment, node: Node, point: Point) -> np.ndarray | None:
    """An inner product aᵀb, or aᵀMb, with or without numbers before it, if that is what is written."""
    factors = factors_of(node)
    for at, factor in enumerate(factors[:-1]):
        if _is_transposed(factor) and (a := env.value(factor.parts[0], point)).ndim == 2:
            b = env.value(product_of(factors[at + 1 :]), point)
            if b.ndim != 2:
                return None
            inner = (a * b).sum(-1)
            return inner * scalar(env, product_of(factors[:at]), point) if at else inner
    return None


def factors_of(node: Node) -> list[Node]:
    """What is multiplied, from left to right, if no brackets hold it together."""
    return [*factors_of(node.parts[0]), node.parts[1]] if node.kind == "mul" else [node]


def product_of(factors: list[Node]) -> Node:
    """The product of some factors; of none it is one."""
    first, *rest = factors or [Node("number", (), "1")]
    for factor in rest:
        first = Node("mul", (first, factor), None, first.place)
    return first


def divide(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A fraction, whose denominator is a number."""
    if _is_of_densities(node):
        return _by_logarithm(env, node, point)
    below = node.parts[1]
    a, b = (env.value(part, point) for part in node.parts)
    if b.ndim > 1:
        raise NotUnderstood(f"{_kind(b)} below a fraction line", node.place)
    if (b == 0).any():
        raise (Unsuited if below.of_kind("density") else Valueless)("a division by zero")
    if (np.abs(b) < 1e-9).any() and below.of_kind("sub"):
        sizes = [np.abs(env.value(term, point)).max() for term in terms(below)]
        if (np.abs(b) < 1e-12 * max(sizes)).any():
            raise Valueless("a division by zero")
    return a / b.reshape(b.shape + (1,) * (a.ndim - 1))


def inner_product(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The inner product of two vectors."""
    a, b = (env.value(part, point) for part in node.parts)
    if a.ndim != 2 or b.ndim != 2:
        raise NotUnderstood("an inner product of what are not two vectors", node.place)
    return (a * b).sum(-1)


def norm(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The norm of a vector, or of a matrix (Frobenius)."""
    value = env.value(node.parts[0], point)
    if value.ndim == 1:
        raise NotUnderstood("the norm of a number", node.place)
    return np.sqrt((value * value).reshape(len(value), -1).sum(-1))


def weighted_norm(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The norm of a vector by a matrix: the root of vᵀMv."""
    value, matrix = (env.value(part, point) for part in node.parts)
    if value.ndim != 2 or matrix.ndim != 3:
        raise NotUnderstood("a norm with an index is one of a vector, by a matrix", node.place)
    return np.sqrt((value[:, :, None] * matrix * value[:, None, :]).sum((1, 2)))


def determinant(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The determinant of a matrix."""
    value = env.value(node.parts[0], point)
    if value.ndim != 3:
        raise NotUnderstood("the determinant of what is no matrix", node.place)
    return np.linalg.det(value)


def component(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A component of a vector; of a matrix, which is a vector of deviations, an entry of its diagonal."""
    value = env.value(node.parts[0], point)
    place = env.count(Index(node.value), point) - 1
    gaussian(env.world, "boxes have no coordinates")
    if value.ndim == 1:
        return value
    return value[:, place] if value.ndim == 2 else value[:, place, place]


def absolute(env: Environment, node: Node, point: Point) -> np.ndarray:
    """How far a number is from zero, where it has no derivative; of a matrix its determinant."""
    value = env.value(node.parts[0], point)
    if value.ndim == 3:
        return determinant(env, node, point)
    value = scalar(env, node.parts[0], point)
    if np.iscomplexobj(value):
        raise NotUnderstood("a derivative of a distance", node.place)
    return np.abs(value)


def indicator(env: Environment, node: Node, point: Point) -> np.ndarray:
    """One where a relation of two numbers holds, and zero elsewhere."""
    a, b = (scalar(env, part, point) for part in node.parts)
    if np.iscomplexobj(a) or np.iscomplexobj(b):
        raise NotUnderstood("a derivative of a jump", node.place)
    compare = {r"\ge": np.greater_equal, r"\gt": np.greater, r"\le": np.less_equal, r"\lt": np.less}.get(node.value)
    if compare is None:
        raise NotUnderstood("an indicator is one of which of two numbers is larger", node.place)
    return compare(a, b).astype(float)


def transpose(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A transposed matrix."""
    value = env.value(node.parts[0], point)
    if value.ndim != 3:
        raise NotUnderstood("a transposed vector with nothing to its right", node.place)
    return np.swapaxes(value, 1, 2)


# Functions of a number


def power(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A power of a number; or a transposed matrix, or an inverse one."""
    base, exponent = node.parts
    if _is_of_densities(node):
        return _by_logarithm(env, node, point)
    if _is_transposed(node) and env.value(base, point).ndim > 1:
        return transpose(env, node, point)
    if base.kind in ("symbol", "group", "call") and env.value(base, point).ndim == 3:
        return _power_of_matrix(env, base, exponent, point)
    a = _squared(env, base, exponent, point)
    if a is not None:
        return a
    a = scalar(env, base, point)
    b = _argument(env, exponent, point)
    if ((a.real < 0) & (b != np.round(b.real))).any() or ((a == 0) & (b.real < 0)).any():
        raise Valueless("a power that is no number")
    with np.errstate(all="ignore"):  # what is not finite is refused later
        raised = a**b
    if ((raised == 0) & (a != 0)).any():
        raise Unsuited("a number too small for a computer")
    return raised


def _squared(env: Environment, base: Node, exponent: Node, point: Point) -> np.ndarray | None:
    """The square of a vector, which is that of its norm; nothing, if it is no such square."""
    if exponent != TWO or base.kind not in ("symbol", "group"):
        return None
    value = env.value(base, point)
    return (value * value).sum(-1) if value.ndim == 2 else None


def _power_of_matrix(env: Environment, base: Node, exponent: Node, point: Point) -> np.ndarray:
    """The inverse of a matrix; of one that is symmetric and positive other powers too, such as its root."""
    matrix = env.value(base, point)
    if exponent == MINUS_ONE:
        return np.linalg.inv(matrix)
    raised = scalar(env, exponent, point)
    if raised.shape != (1,) or np.iscomplexobj(matrix):
        raise NotUnderstood("a power of a matrix is -1, 1/2 or another number", exponent.place)
    if not np.allclose(matrix, np.swapaxes(matrix, 1, 2)) or (np.linalg.eigvalsh(matrix) <= 0).any():
        raise NotUnderstood("a power of a matrix that is not symmetric, or not positive", base.place)
    return matrix_power(matrix, raised[0].real)


def sqrt(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A square root."""
    value = scalar(env, node.parts[0], point)
    if (value.real < 0).any():
        raise Valueless("the root of a negative number")
    return np.sqrt(value)


def log(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A logarithm that is written out."""
    return logarithm(env, node.parts[0], point)


def logarithm(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The logarithm of an expression; that of a product is a sum, so that tiny densities do no harm."""
    if node.kind in ("density", "bare", "normal"):
        return log_law(env, node, point)
    if node.kind == "group":
        return logarithm(env, node.parts[0], point)
    if node.kind == "exp":
        return _argument(env, node.parts[0], point)
    if node.kind in ("mul", "frac", "div") and _is_of_densities(node):
        a, b = (logarithm(env, part, point) for part in node.parts)
        env.seen(a)
        env.seen(b)
        return a + b if node.kind == "mul" else a - b
    if node.kind == "power" and _is_of_densities(node):
        return scalar(env, node.parts[1], point) * logarithm(env, node.parts[0], point)
    if node.kind == "total" and _is_of_densities(node):
        return sum(_at_each_index(env, node, point, partial(logarithm, env)), np.zeros(1))
    value = scalar(env, node, point)
    if (value == 0).any():
        raise Unsuited("a number too small for a computer")
    if (value.real < 0).any():
        raise Valueless("the logarithm of what is not positive")
    return np.log(value)


def _by_logarithm(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A product of densities, by its logarithm; how large that became on the way says nothing of the product."""
    before = env.magnitude.overall
    value = from_logarithm(env, logarithm(env, node, point))
    env.magnitude.overall = before
    return value


def exp(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The exponential of a number."""
    value = np.exp(_argument(env, node.parts[0], point))
    if (value == 0).any():
        raise Unsuited("a number too small for a computer")
    return value


def cos_or_sin(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The cosine or the sine of a number."""
    return (np.cos if node.value == "COS" else np.sin)(_argument(env, node.parts[0], point))


def _argument(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A number that a function is taken of, in which it can be told from zero."""
    value, summed = _alone(env, node, point)
    _check_visible(env, value, summed, np.ones(1))
    return scalar(env, node, point) if value.ndim > 1 else value


def _is_of_densities(node: Node) -> bool:
    """Is it made of densities by multiplying and dividing alone? Then it is computed by its logarithm."""
    if node.kind in ("mul", "frac", "div", "group"):
        return all(_is_of_densities(part) for part in node.parts)
    if node.kind == "power" and node.parts[1].value != Symbol("T"):
        return _is_of_densities(node.parts[0])
    if node.kind == "total" and node.value[0] == "PROD":
        return _is_of_densities(node.parts[-1])
    return node.kind in ("density", "bare", "normal")


def _is_transposed(node: Node) -> bool:
    """Is it transposed, with a sign of its own or with a T?"""
    return node.kind == "transpose" or (node.kind == "power" and node.parts[1].value == Symbol("T"))


def _size(value: np.ndarray) -> float:
    return float(np.abs(value.real).max(initial=0.0))


def _kind(value: np.ndarray) -> str:
    return ("a number", "a vector", "a matrix")[value.ndim - 1]
