r"""Approximations: the sides come together in a limit that the page names, and are measured on the way there.

`A \approx B, \qquad \kappa_t \to 0` says that B is right where x_t has next to no noise. To put x_0 for x_t is right
there too, but for an error as large as the noise; so an approximation has to be better than that: its error has to
shrink faster than what goes to zero. `A = B + O(\kappa_t^2)` says how fast, and that has to be what is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from diffusion_notes.equations.evaluation.environment import Definitions
from diffusion_notes.equations.evaluation.evaluator import Evaluator
from diffusion_notes.equations.language.syntax_tree import Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.verdicts.comparison import POINTS, Fails
from diffusion_notes.equations.verdicts.motion import is_predicted
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.world import Point, Undefined, Unsuited, World

__all__ = ["approached"]

NOISE = Symbol("kappa", index=Index("t"))
STEP = Symbol("sigma", index=Index("t"))
SIZES = (0.004, 0.002)
NOW = 2
NOTHING = 1e-10
NEAR = 0.2
BETTER = 1.5  # the power with which an approximation comes near, at least


def approached(
    definitions: Definitions,
    left: Node,
    right: Node,
    small: Symbol | None,
    error: Node | None,
    worlds: Sequence[World],
) -> str:
    """How the sides come together.

    Args:
        definitions: What the page has defined.
        left: One side.
        right: The other, without the order of its error.
        small: What goes to zero: κ_t or σ_t.
        error: What the error is said to be like, if that is said.
        worlds: Where it is tried: in those whose variables have one coordinate, or two.

    Raises:
        Fails: If they do not, or are equal everywhere.
        NotUnderstood: If nothing says in which limit they do.
    """
    if small not in (NOISE, STEP):
        raise NotUnderstood(r"≈ says in which limit it is right: \qquad \kappa_t \to 0, or \sigma_t \to 0")
    predicted = any(is_predicted(side, definitions) for side in (left, right))
    powers = []
    exact = 0
    for world in worlds:
        if not isinstance(world, GaussianWorld) or world.D not in (1, 2):
            continue
        with suppress(Unsuited, Undefined):
            there = world.perfected() if predicted and small == NOISE else world
            found = _power(there, definitions, (left, right, error), small)
            if found is None:
                exact += 1
                continue
            power, claimed = found
            if error is not None and abs(power - claimed) > NEAR:
                raise Fails(f"the error shrinks with the power {power:.1f} of {small.base}, not with {claimed:.1f}")
            if error is not None and claimed < 1 - NEAR:
                raise NotUnderstood("this does not go to zero", error.place)
            if error is None and power < BETTER:
                raise Fails(
                    f"in one world ({world.title}) the error shrinks with the power {power:.1f} of {small.base}: "
                    "no better than to leave the noise out"
                )
            powers.append(power)
    if not powers and exact:
        raise Fails("there is no error at all: write =")
    if not powers:
        raise NotUnderstood("no world can compute it", left.place)
    where = ", where the network is perfect" if predicted and small == NOISE else ""
    return f"an approximation: its error shrinks with the power {np.median(powers):.0f} of {small.base}_t{where}"


def _power(
    world: GaussianWorld, definitions: Definitions, sides: tuple[Node, Node, Node | None], small: Symbol
) -> tuple[float, float] | None:
    """With which power of what goes to zero the sides come together, and with which it is said; none, if they agree."""
    errors = np.array([_error(world, definitions, sides, small, size) for size in SIZES])
    if (errors[:, 0] < NOTHING).all():
        return None
    found, claimed = np.log(errors[0] / errors[1]) / np.log(SIZES[0] / SIZES[1])
    return float(found), float(claimed)


def _error(
    world: GaussianWorld,
    definitions: Definitions,
    sides: tuple[Node, Node, Node | None],
    small: Symbol,
    size: float,
) -> tuple[float, float]:
    """How far the sides are apart where something is small, and what that is said to be like."""
    there, point = _where(world, small, size)
    evaluator = Evaluator(there, definitions, exact=True)
    left, right, error = sides
    a, b = (evaluator.value(side, point) for side in (left, right))
    if a.shape[1:] != b.shape[1:]:
        raise NotUnderstood("a number and a vector are compared", right.place)
    said = 1.0 if error is None else float(np.abs(evaluator.value(error, point)).max())
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise Undefined("a side that is not finite")
    return float(np.abs(a - b).sum() / np.abs(a).sum()), said


def _where(world: GaussianWorld, small: Symbol, size: float) -> tuple[GaussianWorld, Point]:
    """The world in which κ_t, or σ_t, has a size, and points that are as likely there as elsewhere."""
    if small == NOISE:
        kappas = size * np.arange(world.T + 1) / NOW
        there = world.with_levels(1 / (1 + kappas**2))
        return there, there.draws(POINTS).at(t=NOW)
    there = world.with_sigma(NOW, size)
    point = world.draws(POINTS).at(t=NOW)
    before = there.mean_down(point.values[f"x{NOW}"], NOW) + size * point.values["z"] @ world.root
    return there, Point(point.values | {f"x{NOW - 1}": before}, point.counts)
