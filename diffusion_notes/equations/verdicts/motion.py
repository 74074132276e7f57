r"""Differential equations: `dx_t = f dt + g dw` says that the law of x_t at time t is q(x_t), and that is tried.

The law that such an equation makes changes by the Fokker-Planck equation,

$$\partial_t \log q = -\nabla \cdot f - \langle f, \nabla \log q \rangle
    \pm \tfrac12 g^2 (\Delta \log q + \lVert \nabla \log q \rVert^2),$$

with + for noise that goes with time, dw, and - for noise that goes against it, $d\bar w$; and not at all if it runs
on a clock of its own, dh, as Langevin's does. A drift in which no law
occurs has to make the law of x_t given x_0 as well.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from diffusion_notes.equations.evaluation.binding import free_variables
from diffusion_notes.equations.evaluation.environment import Definitions, unfolded
from diffusion_notes.equations.evaluation.evaluator import Evaluator
from diffusion_notes.equations.language.syntax_tree import ESTIMATE, Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.verdicts.comparison import POINTS, TOLERANCE, Fails
from diffusion_notes.equations.worlds.catalogue import continuous_worlds
from diffusion_notes.equations.worlds.continuous_worlds import NOW, ContinuousWorld
from diffusion_notes.equations.worlds.world import Point, Unsuited

__all__ = ["is_predicted", "verdict_on_motion"]

BACKWARD = Symbol("backward")
TIME = Symbol("t")
LAWS = {"density", "expectation", "normal"}


def is_predicted(node: Node, definitions: Definitions) -> bool:
    """Whether a prediction of a network occurs in an expression."""
    return any(
        symbol == ESTIMATE or symbol.label == "theta"
        for part in unfolded(node, definitions)
        for symbol in part.symbols()
    )


def verdict_on_motion(definitions: Definitions, moved: Node, motion: Node) -> str:
    """How it was found out that a differential equation makes the laws q(x_t).

    Raises:
        Fails: If it makes others.
        NotUnderstood: If it has no meaning, or no world can compute it.
    """
    (variable,) = moved.value
    drift = motion.parts[0]
    predicted = is_predicted(motion, definitions)
    laws: list[tuple[Node, ...]] = [()]
    timed = motion.value[0] == TIME and len(motion.parts) > 1
    if timed and not predicted and not any(part.kind in LAWS for part in unfolded(drift, definitions)):
        laws.append((Node("given", (), (Symbol("x", index=Index(None, 0)),)),))
    count = 0
    for world in continuous_worlds():
        assert isinstance(world, ContinuousWorld)
        if predicted and not world.perfect:
            continue
        with suppress(Unsuited):
            for given in laws:
                law = Node("log", (Node("density", given, (Symbol("q"), variable)),))
                _check_in(Evaluator(world, definitions, exact=True), world, law, motion, variable)
            count += 1
    if not count:
        raise NotUnderstood("no world can compute it", motion.place)
    where = ", where the network is perfect" if predicted else ""
    kept = "its law at t is" if motion.value[0] == TIME else "it keeps"
    return f"{kept} q(x_t){where}: the Fokker-Planck equation holds in {count} worlds"


def _check_in(evaluator: Evaluator, world: ContinuousWorld, law: Node, motion: Node, variable: Symbol) -> None:
    """Try the Fokker-Planck equation in one world."""
    point: Point = world.draws(POINTS).at(t=NOW)
    keys = evaluator.variable(variable, point)
    if keys != (f"x{NOW}",):
        raise NotUnderstood("a differential equation is one for x_t", motion.place)

    def value(kind: str, part: Node) -> np.ndarray:
        return evaluator.value(Node(kind, (part,), (variable,)), point)

    drift = evaluator.value(motion.parts[0], point)
    score = value("gradient", law)
    if drift.ndim != 2:
        raise NotUnderstood("the drift of a differential equation is a vector", motion.parts[0].place)
    terms = [-value("outflow", motion.parts[0]), -(drift * score).sum(-1)]
    if len(motion.parts) > 1:
        noise = evaluator.value(motion.parts[1], point)
        if noise.ndim != 1 or free_variables(evaluator, motion.parts[1], point):
            raise NotUnderstood("the noise of a differential equation is read with a number for its size", motion.place)
        way = -1 if motion.value[1] == BACKWARD else 1
        terms += [way * noise**2 / 2 * part for part in (value("laplacian", law), (score**2).sum(-1))]
    change = evaluator.value(Node("gradient", (law,), (TIME,)), point)
    if motion.value[0] != TIME:  # a clock of its own, on which the law stays what it is
        change = np.zeros_like(change)
    size = np.max([np.abs(np.broadcast_to(term, change.shape)) for term in (*terms, change)], axis=0)
    off = np.abs(change - sum(terms))
    if (off > TOLERANCE * np.maximum(size, 1e-3)).any():
        i = int(np.argmax(off))
        made = np.broadcast_to(sum(terms), change.shape)[i]
        raise Fails(
            f"in one world ({world.title}) it changes log q(x_t) by {made:.6g} a unit of time, "
            f"and in truth that changes by {change[i]:.6g}"
        )
