r"""The curves along which samplers go, and what changes with time.

Without noise a step of DDIM keeps what is predicted, $\hat x_0$ and $\varepsilon_\theta$, and changes the level of
noise: $x_s = \sqrt{\bar\alpha_s}\, \hat x_0 + \sqrt{1 - \bar\alpha_s}\, \varepsilon_\theta(x_t, t)$. The ordinary
differential equation is the limit of small steps, so a derivative along its curve is one along this step, where it
begins. A partial derivative by time leaves the point where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from diffusion_notes.equations.evaluation.arithmetic import scalar
from diffusion_notes.equations.evaluation.binding import free_variables
from diffusion_notes.equations.evaluation.environment import Environment, bound_name, gaussian, unfolded
from diffusion_notes.equations.language.syntax_tree import Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.worlds.continuous_worlds import NOW, ContinuousWorld
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.world import Point, Unsuited

__all__ = ["CLOCKS", "change", "is_derived", "partial", "rate", "step_down"]

STEP = 1e-30
CLOCKS = ("t", "kappa", "lambda", "tau")
"""What may tell the time, or the level of noise."""

KNOWN = {"symbol", "number", "add", "sub", "neg", "mul", "div", "frac", "power", "sqrt", "log", "group"}
"""Of what can be said how fast it changes where time has steps: of points of the curve, and of levels of noise."""

HELD = ("density", "expectation", "divergence", "entropy", "call")
"""Of what a partial derivative by time is read: of functions of a point, which stays where it is."""

DERIVATIVES = ("gradient", "rate", "outflow", "laplacian")
STENCIL = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
"""What the differences over one, two, three and four steps count in a derivative."""

Function = Callable[[complex], np.ndarray]


# Derivatives


def change(function: Function, length: float, nested: bool) -> np.ndarray:
    """The derivative of a function at zero: by a complex step, or by differences if one is taken in it already."""
    if not nested:
        return function(1j * STEP).imag / STEP
    pairs = ((c, function(k * length) - function(-k * length)) for k, c in enumerate(STENCIL, start=1))
    return np.asarray(sum(c * difference for c, difference in pairs)) / length


def is_derived(env: Environment, body: Node) -> bool:
    """Whether a derivative is taken in an expression, or in what its letters stand for."""
    return any(node.kind in DERIVATIVES for node in unfolded(body, env.definitions))


def rate(env: Environment, node: Node, point: Point) -> np.ndarray:
    """How fast an expression changes along the curve, by time or by the level of noise."""
    body = node.parts[0]
    clock: Symbol = node.value[0]
    if clock.index is None and bound_name(clock) in point.values:
        return _by_letter(env, body, clock, point)
    _check_clock(clock, node)
    world = gaussian(env.world, "boxes have no curves")
    if "eps" in free_variables(env, body, point) and not env.paired:
        raise NotUnderstood("how fast does noise change along the curve?", body.place)
    if isinstance(world, ContinuousWorld):
        return _by_clock(env, body, clock, point, lambda level: _moved(env, world, point, NOW, level))
    if clock.base != "kappa" or env.world.context != "samplers":
        raise NotUnderstood(f"a derivative by {clock.name} is not read where time has steps", node.place)
    if any(part.kind not in KNOWN or any(symbol.label for symbol in part.symbols()) for part in body.walk()):
        raise NotUnderstood("how fast does this change along the curve? Only points and levels are read", body.place)
    t = point.counts["t"]
    levels = world.alpha_bar.astype(complex)
    levels[t] *= 1 + 1j * STEP
    there = replace(env, world=world.with_levels(levels))
    moved = _moved(env, world, point, t, levels[t])
    return _ratio(there.value(body, moved).imag, scalar(there, Node("symbol", (), clock, node.place), moved).imag)


def _by_letter(env: Environment, body: Node, letter: Symbol, point: Point) -> np.ndarray:
    """The derivative of a function of a level by the letter that an integral binds; dw/dμ is that of w(μ)."""
    if body.kind == "symbol" and body.value == Symbol("w"):
        body = Node("call", (Node("symbol", (), letter),), (Symbol("w"),), body.place)
    name = bound_name(letter)

    def value(far: complex) -> np.ndarray:
        return env.value(body, replace(point, values=point.values | {name: point.values[name] + far}))

    return change(value, 0.0, nested=False)


def partial(env: Environment, node: Node, point: Point) -> np.ndarray:
    """How fast an expression changes with time, or with the level of noise, where the point stays."""
    body = node.parts[0]
    clock: Symbol = node.value[0]
    _check_clock(clock, node)
    if not isinstance(env.world, ContinuousWorld):
        raise NotUnderstood(f"a derivative by {clock.name}, where time has steps", node.place)
    free = free_variables(env, body, point)
    if "eps" in free or (free and all(part.kind not in HELD for part in unfolded(body, env.definitions))):
        raise NotUnderstood("does the point stay where it is? Write d for ∂, or what is a function of it", body.place)
    return _by_clock(env, body, clock, point, lambda level: _held(env, body, point, level))


def _check_clock(clock: Symbol, node: Node) -> None:
    if clock.name not in CLOCKS or clock.index not in (None, Index("t")):
        raise NotUnderstood(f"a derivative by {clock.name} is not read here", node.place)


def _by_clock(
    env: Environment, body: Node, clock: Symbol, point: Point, at_level: Callable[[complex], Point]
) -> np.ndarray:
    """The derivative by time, as one by a clock."""
    world = env.world
    assert isinstance(world, ContinuousWorld)

    def value(what: Node, after: complex) -> np.ndarray:
        there = world.at_time(world.times[NOW] + after)
        return replace(env, world=there).value(what, at_level(there.alpha_bar[NOW]))

    length = 0.01 * world.times[NOW]
    slope = change(lambda after: value(body, after), length, is_derived(env, body))
    pace = change(lambda after: value(Node("symbol", (), clock), after), length, nested=False)
    return _ratio(slope, pace)


def _ratio(change: np.ndarray, by: np.ndarray) -> np.ndarray:
    return change / by.reshape(by.shape + (1,) * (change.ndim - 1))


def _moved(env: Environment, world: GaussianWorld, point: Point, t: int, level: complex) -> Point:
    """Where x_t is what DDIM makes of it without noise, at another level."""
    xt = point.values[f"x{t}"]
    exact = env.exact and isinstance(world, ContinuousWorld)
    if env.paired:  # the straight line of x_0 and its noise
        noise = world.noise(point.at(t=t))
        value = np.sqrt(level) * point.values["x0"] + np.sqrt(1 - level) * noise
        return replace(point, values=point.values | {f"x{t}": value})
    noise = world.expected_noise(xt, t) if exact else world.network(xt, t)  # type: ignore[attr-defined] # it is asked
    value = np.sqrt(level) * world.start_of(xt, noise, t) + np.sqrt(1 - level) * noise
    return replace(point, values=point.values | {f"x{t}": value})


def _held(env: Environment, body: Node, point: Point, level: complex) -> Point:
    """Where the coordinate that an expression is written in stays what it is, x_t or one that is proportional to it."""
    used = {symbol for node in unfolded(body, env.definitions) for symbol in node.symbols()}
    scaled = {symbol.name if symbol.name == "y" else "x tau" for symbol in used if env.is_coordinate(symbol)}
    bare = used & {Symbol("x"), Symbol("x", index=Index("t"))} or any(symbol.label == "theta" for symbol in used)
    if not scaled:
        return point
    if bare or len(scaled) > 1:
        raise NotUnderstood("which of the points stays where it is?", body.place)
    there = gaussian(env.world, "boxes have no coordinates")
    before = _scale(there.alpha_bar[NOW], scaled)
    after = _scale(level, scaled)
    return replace(point, values=point.values | {f"x{NOW}": point.values[f"x{NOW}"] * before / after})


def _scale(level: complex, scaled: set[str]) -> complex:
    """What y, or x_τ, is for x_t = 1."""
    kappa = np.sqrt((1 - level) / level)
    return 1 / np.sqrt(level) / (1 if scaled == {"y"} else 1 + kappa)


# Steps of DDIM


def step_down(world: GaussianWorld, point: Point, to: int, env: Environment) -> Point:
    """Where x_{t-1}, or an earlier x_s if there is no noise, is what a step of DDIM makes of x_t and of new noise."""
    t = point.counts["t"]
    xt = point.values[f"x{t}"]
    if world.eta is None:
        raise Unsuited("no step of DDIM")
    if world.eta == 0:
        value = _moved(env, world, point, t, world.alpha_bar[to]).values[f"x{t}"]
    elif to == t - 1:
        value = world.mean_down(xt, t) + world.sigma[t] * point.values["z"]
    else:
        raise NotUnderstood("a jump over several steps is read without noise")
    return replace(point, values=point.values | {f"x{to}": value})
