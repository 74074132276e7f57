r"""Steps of a sampler: what makes $x_{t-1}$ of $x_t$, and how large the error of a step is.

`x_{t-1} = … ε_θ(x_t, t) …` says what the step of DDIM is, so both sides are compared where $x_{t-1}$ was made by it,
with the same new noise. Where the display adds `O((κ_t - κ_{t-1})^2)`, the points lie on the curve of the differential
equation, and the order of the error is measured: it has to be the one that is said. And a step of length h that makes
$\tilde x_t$ of x_t, as Langevin's does, has to keep the law of x_t.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np

from diffusion_notes.equations.evaluation.binding import free_variables
from diffusion_notes.equations.evaluation.environment import Definitions, unfolded
from diffusion_notes.equations.evaluation.evaluator import Evaluator
from diffusion_notes.equations.language.syntax_tree import ESTIMATE, Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.verdicts.comparison import POINTS, Fails, largest_entry
from diffusion_notes.equations.worlds.catalogue import usual_worlds
from diffusion_notes.equations.worlds.curve_world import MIDDLE, CurveWorld
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld, gauss_nodes
from diffusion_notes.equations.worlds.world import Point, Unsuited

__all__ = ["is_quiet", "kept_law", "measured_order", "put_in", "remainder", "step_target"]

REST = Symbol("O")
LENGTH = Symbol("h")
MASK = Symbol("M")
FEW = 5  # nodes for new noise, of which no more than the fourth power is averaged
LENGTHS = (0.02, 0.01)
NEAR = 0.15
NOTHING = 1e-12
AVERAGES = {"density", "normal", "expectation", "variance", "divergence", "integral", "rate"}


# Steps of DDIM


def step_target(definitions: Definitions, left: Node, relation: str, right: Node) -> Index | None:
    """Of which variable a relation says how a sampler makes it of x_t: of x_{t-1}, or of an earlier x_s; or of none."""
    made = {symbol.index for node in left.walk() for symbol in node.symbols() if symbol.name in ("x", "y")}
    target = made.pop() if len(made) == 1 else None
    if relation != "=" or target not in (Index("t", -1), Index("s")) or not isinstance(target, Index):
        return None
    parts = list(unfolded(right, definitions))
    used = {symbol for node in parts for symbol in node.symbols()}
    predicted = ESTIMATE in used or any(symbol.label == "theta" for symbol in used)
    itself = any(symbol.index == target and symbol.name in ("x", "y") for symbol in used)
    averaged = any(node.kind in AVERAGES for node in (*left.walk(), *parts))
    return target if predicted and not itself and not averaged else None


def is_quiet(definitions: Definitions, right: Node) -> bool:
    """Whether a step speaks of no noise at all, so that it can only be one without."""
    symbols = {symbol for node in unfolded(right, definitions) for symbol in node.symbols()}
    return all(symbol.base not in ("z", "sigma", "eta", "mu", "w") for symbol in symbols)


# Steps that keep a law


def kept_law(definitions: Definitions, left: Node, right: Node) -> str:
    r"""Whether a step of length h, $\\tilde x_t = x_t + …$, keeps the law of x_t, but for an error of order h².

    Returns:
        What was found out; nothing, if it is no such step.

    Raises:
        Fails: If it changes the law by more than that.
        NotUnderstood: If it is made of anything but x_t and new noise, or no world can compute it.
    """
    symbols = {symbol for node in unfolded(right, definitions) for symbol in node.symbols()}
    if left.kind != "symbol" or left.value.name != "tilde x" or LENGTH not in symbols:
        return ""
    count = 0
    for world in usual_worlds("score"):
        with suppress(Unsuited):
            if isinstance(world, GaussianWorld) and world.D in (1, 2):
                _check_kept(world, definitions, left, right)
                count += 1
    if not count:
        raise NotUnderstood("no world can compute this step", right.place)
    return f"keeps q(x_t) but for an error of order h² in {count} worlds"


def _check_kept(world: GaussianWorld, definitions: Definitions, left: Node, right: Node) -> None:
    """Measure how moments change in one world, by two lengths of the step."""
    evaluator = Evaluator(world, definitions, exact=True)
    start = Point(counts={"t": 2})
    keys = evaluator.variables((replace(left.value, accent=""),), start)
    if free_variables(evaluator, right, start) - {*keys, "z"}:
        raise NotUnderstood("a step that keeps a law is made of x_t and new noise", right.place)
    values, weights = world.nodes("q", keys, (), start)
    noise, more = gauss_nodes(np.zeros((1, world.D)), np.eye(world.D)[None], FEW)
    wide = start.spread(values, weights.shape[-1]).spread({"z": noise}, more.shape[-1])
    shares = (weights[0][:, None] * more).ravel()
    lengths = np.array(LENGTHS) * np.linalg.eigvalsh(world.regress("q", keys, ())[2])[0]
    before = _moments(wide.values[keys[0]], shares)
    changes = []
    for length in lengths:
        there = replace(evaluator, world=world.with_length(length))
        after = there.value(right, wide)
        if after.ndim != 2:
            raise NotUnderstood("a step that is no vector", right.place)
        changes.append(np.abs(_moments(after, shares) - before).max())
    power = np.log(changes[0] / changes[1]) / np.log(LENGTHS[0] / LENGTHS[1])
    if not abs(power - 2) < NEAR:
        raise Fails(f"in one world ({world.title}) it changes the law of x_t by an error of order {power:.1f} in h")


def _moments(x: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Averages of the coordinates, of their products, and of a third and a fourth power."""
    total = x.sum(-1, keepdims=True)
    products = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    return shares @ np.concatenate([x, products, total**3, total**4], axis=-1)


# Steps that put in what is seen


def put_in(definitions: Definitions, left: Node, right: Node, context: str) -> str:
    r"""Whether a step, $\tilde x_{t-1} = M (…) + (I - M)\, x_{t-1}$, puts in what an observation says, by a mask M.

    What it puts in must have the law q(x_{t-1} | x_0) where the observation is x_0; the rest must stay what it is.

    Returns:
        What was found out; nothing, if it is no such step.

    Raises:
        Fails: If it does not.
        NotUnderstood: If no world can compute it.
    """
    symbols = {symbol for node in unfolded(right, definitions) for symbol in node.symbols()}
    if left.kind != "symbol" or left.value.name != "tilde x" or MASK not in symbols:
        return ""
    count = 0
    for world in usual_worlds(context):
        with suppress(Unsuited):
            if isinstance(world, GaussianWorld) and world.D in (2, 3):
                for t in range(2, world.T + 1):
                    _check_put_in(world, definitions, left, right, t)
                count += 1
    if not count:
        raise NotUnderstood("no world can compute this step", right.place)
    return f"what it puts in has the law q of x_(t-1) given what is seen, the rest stays, in {count} worlds"


def _check_put_in(world: GaussianWorld, definitions: Definitions, left: Node, right: Node, t: int) -> None:
    evaluator = Evaluator(world, definitions, exact=True)
    point: Point = world.draws(1).at(t=t)
    point = replace(point, values=point.values | {"y": point.values["x0"]})
    keys = evaluator.variables((replace(left.value, accent=""),), point)
    if keys != (f"x{t - 1}",) or free_variables(evaluator, right, point) - {*keys, "y", "z"}:
        raise NotUnderstood("a step that puts in what is seen is made of x_{t-1}, y and new noise", right.place)
    noise, weights = gauss_nodes(np.zeros((1, world.D)), np.eye(world.D)[None], FEW)
    wide = point.spread({"z": noise}, weights.shape[-1])
    made = evaluator.value(right, wide)
    mask = evaluator.value(Node("symbol", (), MASK), wide)[0]
    other = np.eye(world.D) - mask
    if made.ndim != 2:
        raise NotUnderstood("a step that is no vector", right.place)
    made = np.broadcast_to(made, wide.values["z"].shape)
    if not np.allclose(made @ other, wide.values[keys[0]] @ other):
        raise Fails(f"in one world ({world.title}) it changes what is not seen")
    mean, cov = world.moments("q", keys, ("x0",), point)
    off = (made - mean) @ mask
    found = np.einsum("n,ni,nj->ij", weights[0], off, off)
    if not (np.allclose(weights[0] @ off, 0) and np.allclose(found, mask @ cov[0] @ mask)):
        raise Fails(f"in one world ({world.title}) what it puts in has another law than q(x_(t-1) | x_0)")


# The order of a method


def remainder(right: Node) -> tuple[Node, Node] | None:
    """A side without the order of its error at the end, and what the order is that of; or nothing, if none is said."""
    said = [node for node in right.of_kind("call") if node.value == (REST,)]
    if not said:
        return None
    if len(said) > 1 or right.kind != "add" or right.parts[1] is not said[0] or len(said[0].parts) > 1:
        raise NotUnderstood(
            "the order of an error stands at the end: … + O((\\kappa_t - \\kappa_{t-1})^2)", said[0].place
        )
    if Index("t", 1) in {symbol.index for node in said[0].walk() for symbol in node.symbols()}:
        raise NotUnderstood("the error of this step, by the length of the one before", said[0].place)
    return right.parts[0], said[0].parts[0]


def measured_order(definitions: Definitions, left: Node, right: Node, error: Node) -> str:
    """Whether the sides differ by as much as is said, along the curve of the differential equation.

    Raises:
        Fails: If the order is another one.
        NotUnderstood: If what is said does not shrink with the steps.
    """
    for D in (1, 2):
        sizes = np.array([_sizes(CurveWorld(D, D, length), definitions, (left, right, error)) for length in LENGTHS])
        if (sizes[:, 0] < NOTHING).any():
            raise Fails("there is no error at all: write =")
        if (sizes[:, 1] < NOTHING).any():
            raise NotUnderstood("this is nothing, whatever the steps are", error.place)
        found, claimed = np.log(sizes[0] / sizes[1]) / np.log(LENGTHS[0] / LENGTHS[1])
        if claimed < 1 - NEAR:
            raise NotUnderstood("this does not shrink with the steps", error.place)
        if abs(found - claimed) > NEAR:
            raise Fails(f"the error shrinks with the power {found:.1f} of the step, not with {claimed:.1f}")
    return f"an error of order {round(claimed)}, measured along the curve of the differential equation"


def _sizes(world: CurveWorld, definitions: Definitions, sides: tuple[Node, Node, Node]) -> tuple[float, float]:
    """How far the sides are apart, and what the error is said to be."""
    evaluator = Evaluator(world, definitions)
    point: Point = world.draws(POINTS).at(t=MIDDLE, s=MIDDLE - 1)
    left, right, _ = sides
    if free_variables(evaluator, left, point) & free_variables(evaluator, right, point) - {f"x{MIDDLE}"}:
        raise NotUnderstood("a step that uses what it makes", right.place)
    a, b, error = (evaluator.value(side, point) for side in sides)
    if a.shape[1:] != b.shape[1:] or error.ndim > 1:
        raise NotUnderstood("a number and a vector are compared")
    return float(largest_entry(a - b).sum()), float(np.abs(error).max())
