r"""The curves along which samplers go: a step of DDIM, and how fast something changes along its steps without noise.

Without noise a step of DDIM keeps what is predicted, $\hat x_0$ and $\varepsilon_\theta$, and changes the level of
noise: $x_s = \sqrt{\bar\alpha_s}\, \hat x_0 + \sqrt{1 - \bar\alpha_s}\, \varepsilon_\theta(x_t, t)$. The ordinary
differential equation is the limit of small steps, so a derivative along its curve is one along this step, where it
begins.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffusion_notes.equations.evaluation.arithmetic import scalar
from diffusion_notes.equations.evaluation.environment import Environment, gaussian
from diffusion_notes.equations.language.syntax_tree import Node, NotUnderstood, Symbol
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.world import Point, Unsuited

__all__ = ["rate", "step_down"]

STEP = 1e-30
CLOCKS = ("kappa",)
KNOWN = {"symbol", "number", "add", "sub", "neg", "mul", "div", "frac", "power", "sqrt", "log", "group"}
"""Of what can be said how fast it changes: of points of the curve, and of levels of noise."""


def rate(env: Environment, node: Node, point: Point) -> np.ndarray:
    """How fast an expression changes along the curve, by the level of noise."""
    body = node.parts[0]
    clock: Symbol = node.value[0]
    if clock.base not in CLOCKS or env.world.context != "samplers":
        raise NotUnderstood(f"a derivative by {clock.name} is not read here", node.place)
    if any(part.kind not in KNOWN or any(s.label for s in part.symbols()) for part in body.walk()):
        raise NotUnderstood("how fast does this change along the curve? Only points and levels are read", body.place)
    world = gaussian(env.world, "boxes have no curves")
    t = point.counts["t"]
    levels = world.alpha_bar.astype(complex)
    levels[t] *= 1 + 1j * STEP
    there = replace(env, world=world.with_levels(levels))
    moved = replace(point, values=point.values | {f"x{t}": _moved(world, point, t, levels[t])})
    change = there.value(body, moved).imag
    by = scalar(there, Node("symbol", (), clock, node.place), moved).imag
    return change / by.reshape(by.shape + (1,) * (change.ndim - 1))


def _moved(world: GaussianWorld, point: Point, t: int, level: complex) -> np.ndarray:
    """Where DDIM goes from x_t without noise, to another level."""
    xt = point.values[f"x{t}"]
    noise = world.network(xt, t)
    return np.sqrt(level) * world.start_of(xt, noise, t) + np.sqrt(1 - level) * noise


def step_down(world: GaussianWorld, point: Point, to: int) -> Point:
    """Where x_{t-1}, or an earlier x_s if there is no noise, is what a step of DDIM makes of x_t and of new noise."""
    t = point.counts["t"]
    xt = point.values[f"x{t}"]
    if world.eta is None:
        raise Unsuited("no step of DDIM")
    if world.eta == 0:
        value = _moved(world, point, t, world.alpha_bar[to])
    elif to == t - 1:
        value = world.mean_down(xt, t) + world.sigma[t] * point.values["z"]
    else:
        raise NotUnderstood("a jump over several steps is read without noise")
    return replace(point, values=point.values | {f"x{to}": value})
