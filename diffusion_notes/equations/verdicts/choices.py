r"""What a display chooses of its worlds, after its first statement, in the chapters about conditions.

`\varepsilon_\theta = \mathbb{E}[\varepsilon \mid x_t]` chooses perfect networks, `p_\phi(c \mid x_t) = p(c \mid x_t)`
an exact classifier, `w \ge 1` a weight of guidance, `q(x_0) = \mathcal{N}(x_0; 0, I)` the data; and
`y = x_t / \sqrt{\bar\alpha_t}, k = \kappa_t` an observation that is a noisy variable of the chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from diffusion_notes.equations.evaluation.evaluator import Evaluator
from diffusion_notes.equations.evaluation.laws import gaussian_parameters
from diffusion_notes.equations.language.parser import Statement, read_expression
from diffusion_notes.equations.language.syntax_tree import ESTIMATE, Index, Node, NotUnderstood, Symbol, numeric_parts
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.world import ATTACHED, Point, Unsuited, World

__all__ = [
    "Choice",
    "check_choices",
    "choice_of_world",
    "chooses_schedule",
    "coupled",
    "members_of_schedule",
    "with_choices",
]

NOW = Index("t")
DATA = Node("density", (), (Symbol("q"), Symbol("x", index=Index(None, 0))))
PREDICTED = {Symbol("eps", label="theta"): Symbol("eps"), ESTIMATE: replace(ESTIMATE, accent="")}


@dataclass(frozen=True)
class Choice:
    """What is chosen: `perfect`, `exact`, `encoder`, `heavy`, `data`, `place` or `size`; and of data their law."""

    kind: str
    law: Node | None = None


def choice_of_world(statement: Statement) -> Choice | None:
    """What a statement chooses, or nothing if it is a claim."""
    if statement.kind != "relation" or len(statement.relations) != 1 or statement.sides[0] is None:
        return None
    left, right = statement.expressions
    if (left.value, right.kind, right.value, statement.relations[0]) in (
        (Symbol("w"), "number", "1", r"\ge"),
        (Symbol("w"), "number", "1", r"\gt"),
    ):
        return Choice("heavy")
    if statement.relations != ["="]:
        return None
    if left == DATA and right.kind in ("normal", "normal_law"):
        about_data = right.kind == "normal_law" or right.parts[0].value == DATA.value[1]
        return Choice("data", right) if about_data else None
    if left.kind == "density" and left.value[0] == Symbol("p", label="phi"):
        return Choice("exact") if right == replace(left, value=(Symbol("p"), *left.value[1:])) else None
    if (left, right) == (Node("symbol", (), Symbol("y")), read_expression(r"\frac{x_t}{\sqrt{\bar\alpha_t}}")):
        return Choice("place")
    if (left, right) == (Node("symbol", (), Symbol("k")), read_expression(r"\kappa_t")):
        return Choice("size")
    return Choice("perfect") if _is_perfect(left, right) else None


def _is_perfect(left: Node, right: Node) -> bool:
    """Whether it says that a prediction is the expectation given what it is made from."""
    name = left.value[0] if left.kind == "call" else left.value
    if left.kind not in ("call", "symbol") or name not in PREDICTED or right.kind != "expectation":
        return False
    *body, given = right.parts
    if [part.value for part in body] != [PREDICTED[name]] or given.kind != "given":
        return False
    told = [part.value for part in left.parts if part.value != Symbol("t")]
    seen = [symbol for symbol in given.value if symbol != Symbol("x", index=NOW)]
    plain = Symbol("x", index=NOW) in given.value and all(symbol == Symbol(symbol.base) for symbol in seen)
    return plain and (not told or set(told) == set(given.value))


SCHEDULED = (Symbol("beta", index=NOW), Symbol("alpha", index=NOW), Symbol("alpha", "bar", NOW))
ENDS = (Symbol("beta", index=Index(None, 1)), Symbol("beta", index=Index("T")))
COUNTED = ("number", "symbol", "call", "add", "sub", "neg", "mul", "div", "frac", "power", "sqrt", "exp", "log",
           "group", "wave")  # fmt: skip


def chooses_schedule(left: Node, relation: str, right: Node) -> bool:
    r"""Whether two sides say which schedule it is, as in $\beta_t = 10^{-4} + 0.02\, t / T$: a choice, and no claim.

    The right side is made of the step and of what does not change with it; or f(t) is, of which a schedule is made; or
    the first or the last β is a number.
    """
    if left.kind == "symbol" and left.value in ENDS and relation in ("=", ":="):
        return numeric_parts(right) == [right]
    step = Symbol("t")
    of_step = left.kind == "call" and [part.value for part in left.parts] == [step] and left.value[0] == Symbol("f")
    if relation not in ("=", ":=") or not (of_step or (left.kind == "symbol" and left.value in SCHEDULED)):
        return False
    nodes = list(right.walk())
    symbols = [symbol for node in nodes for symbol in node.symbols()]
    moving = [
        symbol for symbol in symbols if isinstance(symbol.index, Index) and symbol.index.letter not in (None, "T")
    ]
    others = [symbol for symbol in symbols if symbol.base in ("x", "z", "eps", "p", "q", "mu", "L", "calL")]
    return step in symbols and not moving and not others and all(node.kind in COUNTED for node in nodes)


def members_of_schedule(left: Node, right: Node) -> list[tuple[Node, Node]]:
    r"""What a schedule says of the members by which it is told, as of β_1 and β_T in β_t = β_1 + …: both sides."""
    told = {symbol for node in right.walk() for symbol in node.symbols() if left.kind == "symbol"}
    own = [symbol.index for symbol in told if symbol != left.value and replace(symbol, index=NOW) == left.value]
    return [(_at(left, index), _at(right, index)) for index in own if isinstance(index, Index)]


def _at(node: Node, index: Index) -> Node:
    """An expression with another step for t: a number, or T."""
    if node.kind == "symbol" and node.value == Symbol("t"):
        number = Node("number", (), str(index.plus), node.place)
        return number if index.letter is None else replace(node, value=Symbol(index.letter))
    if node.kind == "symbol" and node.value.index == NOW:
        return replace(node, value=replace(node.value, index=index))
    return replace(node, parts=tuple(_at(part, index) for part in node.parts))


def check_choices(choices: Sequence[Choice], context: str) -> None:
    """In other chapters nothing is chosen in this way, and an observation that is one of the chain has its size too."""
    kinds = {choice.kind for choice in choices}
    if choices and context not in ATTACHED:
        raise NotUnderstood("a condition of which this chapter knows nothing")
    if len(kinds & {"place", "size"}) == 1:
        raise NotUnderstood("an observation is one of the chain if y = x_t / √ᾱ_t and k = κ_t")


def with_choices(worlds: tuple[World, ...], choices: Sequence[Choice]) -> tuple[World, ...]:
    """The worlds in which things are as a display chooses them."""
    for choice in choices:
        match choice.kind:
            case "data":
                assert choice.law is not None
                worlds = tuple(_with_data(world, choice.law) for world in worlds if _is_one_gaussian(world))
            case "heavy":
                worlds = tuple(world.heavier() for world in worlds)
    for choice in choices:
        if choice.kind in ("perfect", "exact"):
            worlds = tuple(world.perfected(choice.kind) for world in worlds)
        if choice.kind == "encoder":
            worlds = tuple(exact for world in worlds if (exact := world.with_exact_encoder()) is not None)
    return worlds


def _is_one_gaussian(world: World) -> bool:
    return isinstance(world, GaussianWorld) and type(world).rules == GaussianWorld.rules


def _with_data(world: World, law: Node) -> World:
    assert isinstance(world, GaussianWorld)
    mean, cov = gaussian_parameters(Evaluator(world, {}), law, Point())
    return world.with_data(mean[0], cov[0])


def coupled(world: World, point: Point, choices: Sequence[Choice]) -> tuple[World, Point]:
    """The world and the points where y is x_t in units of x_0, if a display chooses that."""
    if all(choice.kind != "place" for choice in choices):
        return world, point
    if not isinstance(world, GaussianWorld):
        raise Unsuited("boxes have no noise")
    t = point.counts["t"]
    bar = world.alpha_bar[t]
    there = world.with_blur(float(np.sqrt((1 - bar) / bar)))
    return there, replace(point, values=point.values | {"y": point.values[f"x{t}"] / np.sqrt(bar)})
