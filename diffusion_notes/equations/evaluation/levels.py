r"""Integrals over time and over the level of noise, and the limit of ever more steps, which is one of them.

The world is moved to the level at each place, and what stands under the integral is evaluated there. A point in it runs
along the curve of the differential equation that begins at x_0. Weights and losses are functions of λ, so an integral
of these alone moves no world.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from diffusion_notes.equations.evaluation.arithmetic import scalar
from diffusion_notes.equations.evaluation.binding import free_variables, is_level
from diffusion_notes.equations.evaluation.environment import Environment, bound_name, unfolded
from diffusion_notes.equations.language.syntax_tree import Index, Node, NotUnderstood, Range, Symbol
from diffusion_notes.equations.worlds.continuous_worlds import EARLIER, NOW, ContinuousWorld
from diffusion_notes.equations.worlds.world import Point, Valueless, Values

__all__ = ["integral_over_levels", "limit", "loss_at", "on_curve", "weight"]

PLAIN = ("lambda", "mu", "w", "ell", "D", "pi", "e", "infty")
"""The letters of what depends on the level alone."""

ORDER = 13  # of the polynomials of a table, one for each panel
PLACES = 40  # of an integral between two levels
PANELS = 14  # of one over all levels
FAR = 15.0  # log SNR at which little is left of the noise, or of the data
NOTHING = 1e-9
NEAR = 1e-2
APART = (0.16, 0.08, 0.04, 0.02, 0.01, 0.005)  # how far neighbouring levels are from each other, in λ
SEGMENT = 4  # steps along the curve between two places


# Integrals


def integral_over_levels(env: Environment, node: Node, point: Point) -> np.ndarray:
    """An integral over time or over the level of noise; a point in it runs along the curve that begins at x_0."""
    world = env.world
    letter: Symbol = node.value[0]
    if world.context == "samplers" and letter == Symbol("kappa"):
        return _integral_over_a_letter(env, node, point)
    if not isinstance(world, ContinuousWorld):
        raise NotUnderstood("an integral over time, where time has steps", node.place)
    if letter.name in ("lambda", "mu") and _is_of_functions(node.parts[-1]):
        return _integral_of_functions(env, node, point)
    if letter.name == "mu":
        raise NotUnderstood("an integral over μ is one of weights and losses alone", node.place)
    place = EARLIER if letter == Symbol("s") else NOW
    below, above = (scalar(env, part, point) for part in (node.parts[0], node.parts[1].parts[0]))
    if below.shape != (1,) or above.shape != (1,):
        raise NotUnderstood("the limits of an integral over time are numbers", node.place)
    places, weights = _places(float(below[0].real), float(above[0].real), letter)
    worlds = [_world_at(world, letter, value, place) for value in places]
    body = node.parts[-1]
    if any(name.startswith("(") for name in point.values):
        raise NotUnderstood("an integral over time in one over levels", node.place)
    kept = (node, world.title, world.rule, tuple(world.alpha_bar), world.eta, env.exact)
    if kept in env.memory:
        return env.memory[kept]
    env = replace(env, searching=env.searching or len(places) > PLACES)  # far out all is small beside something
    running = f"x{place}" in free_variables(env, body, point.at(**_counts(place)))
    points = _along(env, worlds, point, place) if running else [point] * len(worlds)
    found = [
        replace(env, world=there).value(body, here.at(**_counts(place)))
        for there, here in zip(worlds, points, strict=True)
    ]
    env.seen(np.max([np.abs(value).max() for value in found]))
    total = np.asarray(sum(weight * value for weight, value in zip(weights, found, strict=True)))
    ends = [value for end, value in ((below, found[:2]), (above, found[:-3:-1])) if np.isinf(end).any()]
    total = np.asarray(sum((_tail(*end) for end in ends), total))
    if not running and not free_variables(env, node, point):
        env.memory[kept] = total
    return total


def _tail(edge: np.ndarray, before: np.ndarray) -> np.ndarray:
    """An integral from the edge on, of what decays there as an exponential of λ; `before` is one unit from the edge."""
    small = np.abs(edge) < NOTHING
    if (~small & (np.abs(edge / before - np.exp(-1)) > NEAR)).any():
        raise Valueless("an integral over all levels of what does not vanish at their end")
    return edge


def _integral_over_a_letter(env: Environment, node: Node, point: Point) -> np.ndarray:
    """An integral over a level of noise, whose letter has no index; those with an index stay."""
    level = node.value[0]
    body = node.parts[-1]
    if all(level not in part.symbols() for part in body.walk()):
        raise NotUnderstood(f"what is integrated over {level.name} does not say how it depends on it", body.place)
    below, above = (scalar(env, part, point) for part in (node.parts[0], node.parts[1].parts[0]))
    line, weights = np.polynomial.legendre.leggauss(40)
    middle, half = (below + above) / 2, (above - below) / 2
    wide = point.spread({bound_name(level): middle[:, None] + half[:, None] * line}, len(line))
    value = env.value(body, wide)
    env.seen(value)
    value = np.broadcast_to(value, (wide.size, *value.shape[1:])).reshape(-1, len(line), *value.shape[1:])
    return np.einsum("sn,sn...->s...", half[:, None] * weights, value)


def _is_of_functions(body: Node) -> bool:
    """Whether an expression is made of functions of the level alone, as w(λ) is, so that no world has to be moved."""
    plain = all(symbol.index is None and symbol.name in PLAIN for part in body.walk() for symbol in part.symbols())
    return plain and any(part.kind in ("call", "rate") for part in body.walk())


def _integral_of_functions(env: Environment, node: Node, point: Point) -> np.ndarray:
    """An integral over λ, or over μ which is another λ, of weights and losses; its limits may be such letters too."""
    letter: Symbol = node.value[0]
    limits = [scalar(env, part, point) for part in (node.parts[0], node.parts[1].parts[0])]
    low, high = (np.clip(limit, -FAR, FAR)[:, None] for limit in limits)
    parts = [_legendre(a, b, PLACES // 4) for a, b in pairwise(np.linspace(0.0, 1.0, PANELS + 1))]
    line = np.concatenate([p for p, _ in parts])
    weights = (high - low) * np.concatenate([w for _, w in parts])
    ends = np.broadcast_arrays(low, low + 1, high - 1, high)
    places = np.concatenate([*ends, low + (high - low) * line], axis=1)
    wide = point.spread({bound_name(letter): places}, places.shape[1])
    env = replace(env, searching=env.searching or any(np.isinf(limit).any() for limit in limits))
    value = scalar(env, node.parts[-1], wide)
    value = np.broadcast_to(value, (wide.size,)).reshape(-1, places.shape[1])
    env.seen(value)
    total = (weights * value[:, 4:]).sum(1)
    for limit, edge, before in ((limits[0], 0, 1), (limits[1], 3, 2)):
        if np.isinf(limit).any():
            total = total + _tail(value[:, edge], value[:, before])
    return total


def _counts(place: int) -> dict[str, int]:
    return {"s": EARLIER} if place == EARLIER else {"t": NOW}


def _places(below: float, above: float, letter: Symbol) -> tuple[np.ndarray, np.ndarray]:
    """Values of the letter, and weights, whose weighted sums are integrals."""
    if np.isinf([below, above]).any():
        if letter.name != "lambda":
            raise NotUnderstood("of all integrals over levels those over λ may go to infinity")
        low, high = (np.clip(end, -FAR, FAR) for end in (below, above))
        parts = [_legendre(a, b, PLACES // 4) for a, b in pairwise(np.linspace(low, high, PANELS + 1))]
        ends = np.array([low, low + 1]), np.array([high - 1, high])
        places = np.concatenate([ends[0], *(p for p, _ in parts), ends[1]])
        return places, np.concatenate([np.zeros(2), *(w for _, w in parts), np.zeros(2)])
    if (
        letter.name in ("t", "s", "tau") and below == 0
    ):  # what changes as a root of time at its beginning is smooth in u
        line, weights = _legendre(0.0, 1.0, PLACES)
        return above * line**2, 2 * above * line * weights
    return _legendre(below, above, PLACES)


def _legendre(below: float, above: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    line, weights = np.polynomial.legendre.leggauss(count)
    half = (above - below) / 2
    return (above + below) / 2 + half * line, half * weights


def _world_at(world: ContinuousWorld, letter: Symbol, value: float, place: int) -> ContinuousWorld:
    """The world in which the letter has a value."""
    match letter.name:
        case "t" | "s":
            return world.at_time(value, place)
        case "lambda":
            return world.at_level(1 / (1 + np.exp(-value)))
        case "tau":
            value = value / (1 - value)
    return world.at_level(1 / (1 + value**2))


def _along(env: Environment, worlds: list[ContinuousWorld], point: Point, place: int) -> Iterator[Point]:
    """The points where the curve that begins at x_0 is at the levels of some worlds, which go one way."""
    y = point.values["x0"]
    kappa = 0.0
    for world in worlds:
        level = world.alpha_bar[place]
        after = np.sqrt((1 - level) / level)
        y = world.followed(y, np.linspace(kappa, after, SEGMENT + 1), env.exact)
        kappa = after
        yield replace(point, values=point.values | {f"x{place}": np.sqrt(level) * y})


def on_curve(env: Environment, sides: tuple[Node, ...], point: Point) -> Point:
    """The points, or those of the curves through x_0 if an integral of the sides goes along it."""
    world = env.world
    integrals = [node for side in sides for node in unfolded(side, env.definitions) if is_level(node)]
    if not isinstance(world, ContinuousWorld) or not integrals:
        return point
    places = {EARLIER if node.value[0] == Symbol("s") else NOW for node in integrals}
    runs = any(
        f"x{place}" in free_variables(env, node.parts[-1], point.at(**_counts(place)))
        for node in integrals
        for place in places
    )
    if not runs:
        return point
    moved: Values = {}
    kappas = [np.sqrt((1 - level) / level) for level in world.alpha_bar]
    y = point.values["x0"]
    for i in (EARLIER, NOW, world.T):
        y = world.followed(y, np.linspace(kappas[i - 1], kappas[i], PLACES * SEGMENT // 3), env.exact)
        moved[f"x{i}"] = np.sqrt(world.alpha_bar[i]) * y
    return replace(point, values=point.values | moved)


# Functions of the level


def weight(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The weight w at a level: it falls to nothing as λ rises."""
    level = scalar(env, node.parts[0], point)
    if not isinstance(env.world, ContinuousWorld):
        raise NotUnderstood("a weight as a function of λ, where time has steps", node.place)
    height, place, steep = env.world.falling
    return height / (1 + np.exp(steep * (level - place)))


def loss_at(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The smallest loss ℓ at a level, from a table of it in which is interpolated."""
    level = scalar(env, node.parts[0], point)
    world = env.world
    if not isinstance(world, ContinuousWorld):
        raise NotUnderstood("a loss as a function of λ, where time has steps", node.place)
    key = ("losses", world.title, world.rule)
    edges = np.linspace(-FAR, FAR, PANELS + 1)
    if key not in env.memory:
        least = Node("symbol", (), Symbol("ell", index=Index("t")))
        nodes = np.cos(np.pi * (np.arange(ORDER) + 0.5) / ORDER)
        rows = []
        for low, high in pairwise(edges):
            places = (low + high) / 2 + (high - low) / 2 * nodes
            worlds = [_world_at(world, Symbol("lambda"), place, NOW) for place in places]
            values = [replace(env, world=w, searching=True).value(least, Point(counts={"t": NOW}))[0] for w in worlds]
            rows.append(np.polynomial.chebyshev.chebfit(nodes, values, ORDER - 1))
        env.memory[key] = np.array(rows)
    panel = np.clip(np.searchsorted(edges, level) - 1, 0, PANELS - 1)
    local = 2 * (level - edges[panel]) / (edges[1] - edges[0]) - 1
    basis = np.polynomial.chebyshev.chebvander(local, ORDER - 1)
    return (basis * env.memory[key][panel]).sum(-1)


# The limit of ever more steps


def limit(env: Environment, node: Node, point: Point) -> np.ndarray:
    r"""The limit of a sum over ever more steps between the same two levels: $\lim_{T \to \infty} \sum_{t=2}^{T}$.

    A term is nearly a density in λ times the difference of two neighbouring levels; the limit is its integral.
    """
    world = env.world
    body = node.parts[0]
    counted = body.kind == "total" and body.value == ("SUM", Symbol("t"), "=") and len(body.parts) == 3
    ends = [body.parts[0].value, body.parts[1].parts[0].value] if counted else []
    many = [part for part in body.parts[-1].walk() if Symbol("T") in part.symbols() or _ends_at_last(part)]
    if many or node.value != (Symbol("T"), Symbol("infty")) or ends != ["2", Symbol("T")]:
        raise NotUnderstood(r"a limit is read as \lim_{T \to \infty} \sum_{t=2}^{T}", node.place)
    if not isinstance(world, ContinuousWorld):
        raise NotUnderstood("a limit of many steps is read in continuous time", node.place)
    first, last = (np.log(world.alpha_bar[i] / (1 - world.alpha_bar[i])) for i in (EARLIER, world.T))
    places, weights = _legendre(last, first, PLACES // 2)
    total: np.ndarray | float = 0.0
    for place, weight in zip(places, weights, strict=True):
        rows = []
        for apart in APART:
            there = world.neighbours(place + apart / 2, place - apart / 2)
            here = Point({key: value for key, value in point.values.items() if key == "x0"}, {"t": NOW})
            rows.append(replace(env, world=there).value(body.parts[-1], here) / apart)
        total = total + weight * _extrapolated(rows)
    return np.asarray(total)


def _ends_at_last(part: Node) -> bool:
    """Whether there is something of the last step in it, whose number is not fixed in a limit."""
    return any(symbol.index == Index("T") or isinstance(symbol.index, Range) for symbol in part.symbols())


def _extrapolated(values: list[np.ndarray]) -> np.ndarray:
    """The value at zero of the polynomial through values at `APART`."""
    rows = list(values)
    for width in range(1, len(rows)):
        for i in range(len(rows) - width):
            far, near = APART[i], APART[i + width]
            rows[i] = (far * rows[i + 1] - near * rows[i]) / (far - near)
    return rows[0]
