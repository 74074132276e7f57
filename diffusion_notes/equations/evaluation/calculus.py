"""Integrals and derivatives: expectations, divergences, entropies; gradients and minima.

An integral, and so an expectation, is a weighted sum over nodes that the world chooses. Derivatives are taken by a
complex step, so they are exact to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import scipy

from diffusion_notes.equations.evaluation.arithmetic import factors_of, product_of, scalar
from diffusion_notes.equations.evaluation.binding import (
    Draw,
    JointDraw,
    LawDraw,
    NoiseDraw,
    StepDraw,
    bindings,
    factors,
    is_level,
    parted,
)
from diffusion_notes.equations.evaluation.curves import CLOCKS, change, is_derived, partial
from diffusion_notes.equations.evaluation.environment import Environment, bound_name, gaussian, unfolded
from diffusion_notes.equations.evaluation.laws import ANY, about, complete, law_nodes, log_law
from diffusion_notes.equations.evaluation.levels import integral_over_levels
from diffusion_notes.equations.language.syntax_tree import Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld, gauss_nodes
from diffusion_notes.equations.worlds.line_world import LineWorld
from diffusion_notes.equations.worlds.world import START, Point, SeveralDimensions, Unsuited, Valueless, Values

__all__ = [
    "average",
    "divergence",
    "entropy",
    "expectation",
    "gradient",
    "integral",
    "laplacian",
    "minimiser",
    "mutual_information",
    "outflow",
    "sum_over_labels",
    "uncertainty",
    "variance",
]

DIRECTIONS = 5  # of a gradient in parameters; not a number of coordinates, so that the two are not mixed up
STEP = 1e-30
PREDICTED = {Symbol("eps", label="theta"), Symbol("x", label="theta"), Symbol("v", label="theta")}
BRACKET = (1e-6, 1e6)

Function = Callable[[Point], np.ndarray]


# Sums over nodes


def _weighted_sum(env: Environment, inner: Function, wide: Point, weights: np.ndarray) -> np.ndarray:
    """The weighted sum of a function over the nodes that a point was spread to."""
    count = weights.shape[-1]
    value = inner(wide)
    value = np.broadcast_to(value, (wide.size, *value.shape[1:])).reshape(-1, count, *value.shape[1:])
    weights = weights.reshape(*weights.shape, *(1,) * (value.ndim - 2))
    env.seen(np.abs(value * weights).sum(1))
    return (value * weights).sum(1)


def integral(env: Environment, node: Node, point: Point) -> np.ndarray:
    """An integral over one variable or several, or over a part of the spiral."""
    if is_level(node):
        return integral_over_levels(env, node, point)
    keys = env.variables(node.value, point)
    body = node.parts[-1]
    if isinstance(env.world, LineWorld):
        return _integral_over_the_line(env, node, point)
    if len(node.parts) == 3:
        return _definite_integral(env, node, keys, point)
    if len(set(keys)) < len(keys) or not keys:
        raise NotUnderstood("one differential for each variable", node.place)

    def over(left: tuple[str, ...], inner: Point) -> np.ndarray:
        if not left:
            return env.value(body, inner)
        found, weights = env.world.measure(left[0], inner)
        wide = inner.spread(found, weights.shape[1])
        return _weighted_sum(env, lambda there: over(left[1:], there), wide, weights)

    try:
        return over(keys, point)
    except SeveralDimensions:
        return _as_average(env, body, keys, point)


def _as_average(env: Environment, body: Node, keys: tuple[str, ...], point: Point) -> np.ndarray:
    """An integral in several dimensions of a density, or of one times something, which is an average over its law."""
    multiplied = factors_of(body)
    laws = [part for part in multiplied if part.kind in ("density", "normal")]
    over = [law for law in laws if sorted(about(env, law, point)) == sorted(keys)]
    if not over:
        raise SeveralDimensions("an integral over several dimensions")
    rest = product_of([part for part in multiplied if part is not over[0]])
    return average(env, factors(env, over[0], point), lambda inner: env.value(rest, inner), point)


def sum_over_labels(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A sum over all values of a label, c."""
    keys = env.variable(node.value[0], point)
    if keys != ("c",) or "c" not in env.world.attached:
        raise NotUnderstood("a sum over which values? It is read over those of a label, c", node.place)
    values, weights = env.world.measure("c", point)
    if isinstance(env.world, GaussianWorld) and values["c"].ndim != 2:
        raise Unsuited("a sum over a label that is a vector")
    wide = point.spread(values, weights.shape[-1])
    return _weighted_sum(env, lambda inner: env.value(node.parts[0], inner), wide, weights)


def _integral_over_the_line(env: Environment, node: Node, point: Point) -> np.ndarray:
    """An integral from -∞ to ∞ of what vanishes beyond where F changes."""
    ends = [tuple(inner.kind for inner in part.walk()) for part in node.parts[:-1]]
    letters = [symbol for part in node.parts[:-1] for inner in part.walk() for symbol in inner.symbols()]
    if ends and (ends != [("neg", "symbol"), ("raised", "symbol")] or letters != [Symbol("infty")] * 2):
        raise NotUnderstood("an integral over the line goes from -∞ to ∞", node.place)
    values, weights = env.world.measure(node.value[0].base, point)
    wide = point.spread(values, weights.shape[-1])
    value = scalar(env, node.parts[-1], wide).reshape(-1, weights.shape[-1])
    if (value[:, :2] != 0).any():
        raise Valueless("an integral over the line of what does not vanish far out")
    return (value * weights).sum(1)


def _definite_integral(env: Environment, node: Node, keys: tuple[str, ...], point: Point) -> np.ndarray:
    below, above = (scalar(env, part, point) for part in (node.parts[0], node.parts[1].parts[0]))
    if keys != ("u",) or len(below) != 1 or len(above) != 1 or not 0 <= below[0] < above[0] <= 1:
        raise NotUnderstood("limits between 0 and 1 belong to an integral over u", node.place)
    line, weights = np.polynomial.legendre.leggauss(400)
    half = (above - below) / 2
    wide = point.spread({"u": (below + half * (line + 1))[None]}, len(line))
    return _weighted_sum(env, lambda inner: env.value(node.parts[-1], inner), wide, (half * weights)[None])


def average(env: Environment, draws: Sequence[Draw], inner: Function, point: Point) -> np.ndarray:
    """The expectation of a function of the point, over what is drawn, one after another."""
    if not draws:
        return inner(point)
    first, *rest = draws

    def then(wide: Point) -> np.ndarray:
        return average(env, rest, inner, wide)

    match first:
        case StepDraw() if env.is_continuous:
            raise NotUnderstood("an average over steps, in continuous time")
        case StepDraw():
            values = [then(env.remade(point.at(t=t))) for t in range(1, env.world.T + 1)]
            return sum(values[1:], values[0]) / len(values)
        case NoiseDraw(step):
            world = gaussian(env.world, "boxes have no noise")
            found, weights = gauss_nodes(np.zeros((1, world.D)), np.eye(world.D)[None], world.rule_of_noise)
            dropped = tuple(key for key in world.keys if key != START[world.context])
            here = point if step is None else point.at(t=step)
            wide = env.remade(here.spread({"eps": found}, weights.shape[-1], dropped))
            return _weighted_sum(env, then, wide, weights)
        case JointDraw(keys, given):
            joint, weights = env.world.nodes("q", keys, given, point)
            return _weighted_sum(env, then, point.spread(joint, weights.shape[-1], ("eps",)), weights)
        case LawDraw(law, keys):
            mine = about(env, law, point)
            drawn, weights = law_nodes(env, law, point)
            if sorted(mine) != sorted(keys) and len(keys) > len(mine):  # copies are drawn one by one
                one_by_one = [LawDraw(law, keys[:1]), LawDraw(law, keys[1:]), *rest]
                return average(env, one_by_one, inner, point)
            values_drawn: Values = drawn if sorted(mine) == sorted(keys) else {keys[0]: drawn[mine[0]]}
            return _weighted_sum(env, then, point.spread(values_drawn, weights.shape[-1], ("eps",)), weights)


def expectation(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The expectation of a number, a vector or a matrix."""
    laws, body, given = parted(node)
    draws = bindings(env, laws, body, given, point)
    return average(env, draws, lambda inner: env.value(body, inner), point)


def variance(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The variance of a number, the covariance of a vector."""
    laws, body, given = parted(node)
    draws = bindings(env, laws, body, given, point)

    def square(value: np.ndarray) -> np.ndarray:
        return value[:, :, None] * value[:, None, :] if value.ndim == 2 else value**2

    mean = average(env, draws, lambda inner: env.value(body, inner), point)
    return average(env, draws, lambda inner: square(env.value(body, inner)), point) - square(mean)


# Averages of logarithms of laws


def divergence(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A Kullback-Leibler divergence between two laws of the same variables."""
    first, second = (complete(env, law) for law in node.parts)
    if first.kind == second.kind == "normal" and _is_any(second.parts[0], point):  # N(x; …) and N(y; …)
        first, second = (replace(law, kind="normal_law", parts=law.parts[1:]) for law in (first, second))
    mine = about(env, first, point)
    other = about(env, second, point)
    if sorted(mine) != sorted(other) and (ANY,) not in (mine, other):
        raise NotUnderstood("a divergence between laws of different variables", node.place)
    key = (mine if mine != (ANY,) else other)[0]
    draws = factors(env, first, point) if mine != (ANY,) else [LawDraw(first, (key,))]

    def ratio(there: Point) -> np.ndarray:
        above = log_law(env, first, there, key)
        below = log_law(env, second, there, key)
        env.seen(above)
        return above - below

    return average(env, draws, ratio, point)


def _is_any(variable: Node, point: Point) -> bool:
    """Whether it is a letter of which nothing is said: the variable of a law may have any name."""
    return variable.kind == "symbol" and bound_name(variable.value) in point.values


def entropy(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The entropy of a law."""
    law = complete(env, node.parts[0])
    values, weights = law_nodes(env, law, point)
    wide = point.spread(values, weights.shape[-1])
    return _weighted_sum(env, lambda there: -log_law(env, law, there, next(iter(values))), wide, weights)


def mutual_information(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The mutual information of two groups of variables, given a third."""
    symbol, a, b, *given = node.value
    if symbol.label not in ("", "q", "p") or symbol.index is not None:
        raise NotUnderstood("the mutual information under which law?", node.place)
    model = symbol.label or "q"
    first, second, under = (env.variables(symbols, point) for symbols in (a, b, given[0] if given else ()))
    values, weights = env.world.nodes(model, first + second, under, point)
    wide = point.spread(values, weights.shape[-1])

    def ratio(there: Point) -> np.ndarray:
        one = env.world.log_density(model, first, under, there)
        other = env.world.log_density(model, second, under, there)
        env.seen(one + other)
        return env.world.log_density(model, first + second, under, there) - (one + other)

    return _weighted_sum(env, ratio, wide, weights)


def uncertainty(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The entropy of some variables given others, under q, averaged over these."""
    mine, *given = (env.variables(symbols, point) for symbols in node.value)
    under = given[0] if given else ()
    values, weights = env.world.nodes("q", mine + under, (), point)
    wide = point.spread(values, weights.shape[-1])
    return _weighted_sum(env, lambda there: -env.world.log_density("q", mine, under, there), wide, weights)


# Derivatives


def gradient(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The gradient of a number in a variable, or in the parameters."""
    body = node.parts[0]
    if not node.value and (at := _argument_of_function(env, body)):
        return _slope_of_function(env, body, at, point)
    symbol: Symbol = node.value[0] if node.value else _own_variable(env, node)
    if symbol.name in CLOCKS and env.world.diffusing:
        return partial(env, node, point)
    if symbol.base in ("theta", "phi"):
        if is_derived(env, body):
            raise NotUnderstood("a gradient of a gradient", node.place)
        moved = (env.world.moved(symbol.base, direction, 1j * STEP) for direction in range(DIRECTIONS))
        slopes = [scalar(replace(env, world=world), body, point).imag / STEP for world in moved]
        return np.stack(np.broadcast_arrays(*slopes), axis=-1)
    slopes = _slopes(env, body, symbol, point, node)
    if slopes[0].ndim > 1 and not env.is_deep:
        raise NotUnderstood("a vector where a number belongs", body.place)
    return np.stack(np.broadcast_arrays(*slopes), axis=-1)


def _argument_of_function(env: Environment, body: Node) -> Node | None:
    """Where the gradient of a function, or of its logarithm, is taken that is written at a point: of r(μ_θ) at μ_θ."""
    inner = body.parts[0] if body.kind == "log" else body
    while inner.kind == "group":
        inner = inner.parts[0]
    if inner.kind != "call" or inner.value[0] != Symbol("r") or len(inner.parts) != 1:
        return None
    return inner.parts[0]


def _slope_of_function(env: Environment, body: Node, at: Node, point: Point) -> np.ndarray:
    """The gradient of a function in its argument, at a point."""
    here = env.value(at, point)
    if here.ndim != 2 or np.iscomplexobj(here):
        raise NotUnderstood("the gradient of a function of a vector, at a vector", at.place)
    slopes = []
    for way in np.eye(here.shape[1]):
        inner = Node("call", (Node("value", (), here + 1j * STEP * way),), (Symbol("r"),))
        moved = Node("log", (inner,)) if body.kind == "log" else inner
        slopes.append(scalar(env, moved, point).imag / STEP)
    return np.stack(np.broadcast_arrays(*slopes), axis=-1)


def outflow(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The divergence of a field: the sum of how fast each coordinate changes in its own direction."""
    symbol = node.value[0] if node.value else _own_variable(env, node)
    slopes = _slopes(env, node.parts[0], symbol, point, node)
    if slopes[0].ndim != 2:
        raise NotUnderstood("the divergence of what is no vector", node.place)
    return np.asarray(sum(slope[:, i] for i, slope in enumerate(slopes)))


def laplacian(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The divergence of a gradient."""
    symbol = node.value[0] if node.value else _own_variable(env, node)
    inner = Node("gradient", node.parts, (symbol,), node.place)
    return outflow(env, Node("outflow", (inner,), (symbol,), node.place), point)


def _own_variable(env: Environment, node: Node) -> Symbol:
    """The variable of a derivative that names none: what the densities are about, or the one point that there is."""
    parts = list(unfolded(node.parts[0], env.definitions))
    laws = [part for part in parts if part.kind == "density"]
    found = {symbol for law in laws for symbol in law.value[1:]}
    seen = {symbol for symbol in found if symbol == Symbol(symbol.base) and symbol.base in env.world.attached}
    if seen:  # what the law of an observation is given
        under = {symbol for law in laws for given in law.parts for symbol in given.value if symbol not in seen}
        found = (found - seen) | {symbol for symbol in under if symbol.base not in env.world.attached}
        found = found or {Symbol("x", index=Index("t"))}  # ∇ log p(y) beside ∇ log p(x_t | y), which is nothing
    if not found:
        found = {symbol for part in parts for symbol in part.symbols() if symbol.name in ("x", "y")}
        found -= {Symbol("x", index=Index(None, 0)), Symbol("x", label="theta")}
        found |= {Symbol("x", index=Index("t")) for part in parts if part.kind == "symbol" and part.value in PREDICTED}
    if not env.world.diffusing or len(found) != 1:
        raise NotUnderstood("a derivative in which variable? Write it below the sign", node.place)
    return found.pop()


def _slopes(env: Environment, body: Node, symbol: Symbol, point: Point, node: Node) -> list[np.ndarray]:
    """How fast an expression changes in each direction of a variable."""
    keys = env.variable(symbol, point)
    if keys is None or len(keys) != 1 or keys[0] not in env.world.names:
        raise NotUnderstood(f"a gradient in {symbol.name}", node.place)
    here = env.look(keys[0], point, node)
    unit = env.unit(symbol, point) if env.is_coordinate(symbol) else np.ones(1)
    nested = is_derived(env, body)
    if np.iscomplexobj(here):
        raise NotUnderstood("a derivative of a derivative", node.place)
    if nested and not env.is_deep:
        raise NotUnderstood("a gradient of a gradient", node.place)

    def along(direction: np.ndarray) -> np.ndarray:
        def value(far: complex) -> np.ndarray:
            there = replace(point, values=point.values | {keys[0]: here + far * direction / unit})
            return env.value(body, there)

        return change(value, _length(env, keys[0], unit) if nested else 0.0, nested)

    return [along(direction) for direction in np.eye(here.shape[1])]


def _length(env: Environment, key: str, unit: np.ndarray) -> float:
    """A small part of how far the noise goes in a variable, in the units of its coordinate."""
    world = gaussian(env.world, "boxes have no coordinates")
    noise = 1 - world.alpha_bar[world.keys.index(key)].real
    return float(0.02 * np.sqrt(max(noise, 1e-2)) * unit[0].real)


def minimiser(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The variance at which an expression is smallest: where its slope changes from below zero to above."""
    symbol = node.parts[0].value
    exponent = node.parts[1].parts[0]
    if not isinstance(symbol, Symbol) or symbol.name != "sigma" or exponent != Node("number", (), "2"):
        raise NotUnderstood("a minimum is read over a variance, σ_t²", node.place)
    world = gaussian(env.world, "boxes have no such number")
    t = env.count(symbol.index, point)
    body = _with_constants_known(env, node.parts[2], point)

    def slope(log_variance: float) -> float:
        variance = np.exp(log_variance + 1j * STEP)
        there = replace(env, world=world.with_sigma(t, np.sqrt(variance)), searching=True)
        return scalar(there, body, point).imag.max() / STEP

    grid = np.linspace(np.log(BRACKET[0]), np.log(BRACKET[1]), 16)
    signs = np.sign([slope(log_variance) for log_variance in grid])
    turns = np.flatnonzero(np.diff(signs))
    if len(turns) != 1 or signs[0] > 0:
        raise Valueless("an expression without one minimum")
    ends = grid[turns[0] : turns[0] + 2]
    return np.array([np.exp(scipy.optimize.brentq(slope, *ends, xtol=1e-13))])


def _with_constants_known(env: Environment, node: Node, point: Point) -> Node:
    """An expression in which what does not depend on the variances of p is a value already."""
    if _is_constant(env, node, point):
        return Node("value", (), env.value(node, point), node.place)
    if node.kind not in ("add", "sub", "neg", "mul", "div", "frac", "group"):
        return node
    return replace(node, parts=tuple(_with_constants_known(env, part, point) for part in node.parts))


def _is_constant(env: Environment, node: Node, point: Point) -> bool:
    """Whether neither the variances nor the laws of p occur in an expression, or in what its letters stand for."""
    for part in node.walk():
        for symbol in part.symbols():
            defined = part.kind == "call" and (symbol.name, symbol.index) in env.definitions
            if defined or symbol.base in ("sigma", "p", "calL") or symbol.label == "p":
                return False
            known = env.known(symbol, point) if part.kind == "symbol" else None
            if known is not None and not _is_constant(env, known, point):
                return False
    return True
