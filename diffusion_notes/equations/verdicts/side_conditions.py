"""What a display says beside its relations: of which steps it speaks, which variances it chooses, what it draws.

A condition narrows where a relation has to hold, as in t > 1. A draw, as in ε ~ N(0, I), has to be the law that the
variable has in the book.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from diffusion_notes.equations.evaluation.binding import draw_from, free_variables
from diffusion_notes.equations.evaluation.environment import Definitions
from diffusion_notes.equations.evaluation.evaluator import Evaluator
from diffusion_notes.equations.evaluation.laws import conditional, gaussian_parameters, log_law
from diffusion_notes.equations.language.parser import Display, Statement
from diffusion_notes.equations.language.syntax_tree import Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.verdicts.choices import Choice, choice_of_world
from diffusion_notes.equations.verdicts.comparison import Fails
from diffusion_notes.equations.worlds.catalogue import usual_worlds
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.world import Point, Undefined, Unsuited

__all__ = ["SideConditions", "Steps", "check_draws", "side_conditions"]

TURNED = {r"\gt": r"\lt", r"\lt": r"\gt", r"\ge": r"\le", r"\le": r"\ge", "=": "="}
SIGMA = Symbol("sigma", index=Index("t"))
ETA = Symbol("eta")
VARIANCES = {Symbol("beta", "tilde", Index("t")): "tilde", Symbol("beta", "", Index("t")): "plain"}

Earlier = tuple[int, int]
"""The first of the earlier steps s, and how far they are from t at least."""


@dataclass(frozen=True)
class Steps:
    """The steps t that a display speaks of, whatever T is: from `first` to `last`, and to T + `below` at most."""

    first: int = 0
    last: int = 10**6
    below: int = 0

    def __call__(self, T: int) -> range:
        """The steps, for a chain of T."""
        return range(self.first, min(self.last, T + self.below) + 1)


@dataclass(frozen=True)
class SideConditions:
    """What a display says beside its relations.

    Args:
        steps: The steps t that it speaks of; `None` is all but the first.
        draws: What is drawn from which law.
        variance: The variance that it chooses for p: `tilde`, `plain`, `eta 0`, `eta 1` or none of them.
        earlier: The first of the earlier steps s that it speaks of, and how far they are from t at least.
        small: What goes to zero, where the sides of an approximation come together.
        chosen: What it chooses of its worlds, such as perfect networks.
    """

    steps: Steps | None = None
    draws: list[Statement] = field(default_factory=list)
    variance: str = ""
    earlier: Earlier | None = None
    chosen: tuple[Choice, ...] = ()
    small: Symbol | None = None


def side_conditions(display: Display) -> tuple[list[Statement], SideConditions]:
    """The statements of a display that are conditions and no claims, and what they say.

    Raises:
        NotUnderstood: If a condition is not understood.
    """
    conditions = [s for s in display.statements if s.kind not in ("relation", "unread") or _is_about_steps(s)]
    earlier = [pair for s in conditions if (pair := _earlier(s))]
    if len(earlier) > 1:
        raise NotUnderstood("two conditions on the earlier step")
    draws = [s for s in conditions if s.kind == "draw"]
    limits = [s.expressions[0].value for s in conditions if s.kind == "limit"]
    if len(limits) > 1 or (limits and all(r"\approx" not in s.relations for s in display.statements)):
        raise NotUnderstood("a limit is named once, after an approximation")
    said = SideConditions(_allowed_steps(conditions), draws, "", earlier[0] if earlier else None)
    said = replace(said, small=limits[0] if limits else None)
    others = display.statements[1:]
    chosen = {id(s): choice for s in others if (choice := choice_of_world(s))}
    conditions = [*conditions, *(s for s in others if id(s) in chosen)]
    said = replace(said, chosen=tuple(chosen.values()))
    choices = [s for s in others if _chosen_variance(s)]
    if len(choices) == 1:
        return [*conditions, *choices], replace(said, variance=_chosen_variance(choices[0]))
    return conditions, said


# Conditions on the steps


def _earlier(statement: Statement) -> Earlier | None:
    """What a condition like 0 ≤ s < t ≤ T says of an earlier step s: its first, and how far from t it is at least."""
    sides = statement.expressions
    relations = list(statement.relations)
    if len(sides) < len(statement.sides) or statement.kind != "relation":
        return None
    if set(relations) <= {r"\gt", r"\ge"}:
        sides = sides[::-1]
        relations = [TURNED[relation] for relation in relations[::-1]]
    first = 0
    if sides[0].kind == "number" and sides[1].value == Symbol("s"):
        first = int(float(sides[0].value)) + (relations[0] == r"\lt")
        del sides[0], relations[0]
    if len(sides) == 3 and sides[2].value == Symbol("T") and relations[1] == r"\le":
        del sides[2], relations[1]
    if [side.value for side in sides] != [Symbol("s"), Symbol("t")] or relations[0] not in (r"\lt", r"\le"):
        return None
    return first, int(relations[0] == r"\lt")


def _is_about_steps(statement: Statement) -> bool:
    """Is it a condition on the step, such as t > 1, or s < t?"""
    if _earlier(statement):
        return True
    if None in statement.sides:
        return False
    step = [side.kind == "symbol" and side.value == Symbol("t") for side in statement.expressions]
    plain = [_end(side) != (None, None) for side in statement.expressions]
    return any(step) and all(a or b for a, b in zip(step, plain, strict=True))


End = tuple[int | None, int | None]
"""A number; or what is added to T."""


def _end(node: Node) -> End:
    if node.kind == "number" and float(node.value) == int(float(node.value)):
        return int(float(node.value)), None
    if node.kind == "symbol" and node.value == Symbol("T"):
        return None, 0
    if node.kind == "sub" and node.parts[0].value == Symbol("T") and node.parts[1].kind == "number":
        return None, -int(float(node.parts[1].value))
    return None, None


def _allowed_steps(conditions: list[Statement]) -> Steps | None:
    """The steps that the conditions allow; none if nothing is said."""
    conditions = [statement for statement in conditions if statement.kind not in ("draw", "limit")]
    steps = Steps()
    for statement in conditions:
        if pair := _earlier(statement):
            steps = replace(steps, first=max(steps.first, sum(pair)))
        elif statement.kind == "range":
            steps = _within_range(steps, statement)
        else:
            for i in range(len(statement.relations)):
                steps = _narrowed(steps, statement, i)
    return steps if conditions else None


def _within_range(steps: Steps, statement: Statement) -> Steps:
    """The steps that are in a range as well."""
    letter, *ends = statement.expressions
    first, _ = _end(ends[0])
    _, below = _end(ends[1])
    if letter.value != Symbol("t") or first is None or below is None:
        raise NotUnderstood("a range is read as t = 1, \\dots, T", statement.place)
    return replace(steps, first=max(steps.first, first), below=min(steps.below, below))


def _narrowed(steps: Steps, statement: Statement, i: int) -> Steps:
    """The steps that the i-th relation of a condition allows as well."""
    left, right = statement.expressions[i : i + 2]
    relation = statement.relations[i]
    if left.value == Symbol("t"):
        number, top = _end(right)
    else:
        number, top = _end(left)
        relation = TURNED.get(relation, "")
    if Symbol("t") not in (left.value, right.value) or relation not in TURNED:
        raise NotUnderstood("a condition on t is read as t > 1", statement.place)
    off = {r"\gt": 1, r"\lt": -1}.get(relation, 0)
    if number is not None:
        first = max(steps.first, number + off) if relation in (r"\gt", r"\ge", "=") else steps.first
        last = min(steps.last, number + off) if relation in (r"\lt", r"\le", "=") else steps.last
        return replace(steps, first=first, last=last)
    if top is None:
        raise NotUnderstood("a condition on t is read as t > 1", statement.place)
    if relation in (r"\gt", r"\ge"):
        raise NotUnderstood("there is no step above T", statement.place)
    return replace(steps, below=min(steps.below, top + off))


# The variances of p


def _chosen_variance(statement: Statement) -> str:
    """The variance that a display chooses for p, as in σ_t² = β̃_t, or the noise of DDIM's steps; or nothing."""
    if statement.kind != "relation" or statement.relations != ["="] or statement.sides[0] is None:
        return ""
    left, right = statement.expressions
    if left.value in (ETA, SIGMA) and right.kind == "number":
        return {("eta", 0.0): "eta 0", ("eta", 1.0): "eta 1", ("sigma", 0.0): "eta 0"}.get(
            (left.value.base, float(right.value)), ""
        )
    squared = left.kind == "power" and left.parts[0].value == SIGMA and left.parts[1] == Node("number", (), "2")
    return VARIANCES.get(right.value, "") if squared and right.kind == "symbol" else ""


# Draws


def check_draws(display: Display, context: str, definitions: Definitions) -> None:
    """Look at all that is drawn in a display; what has noise in it is drawn from a law of q.

    Args:
        display: The display.
        context: The chapter.
        definitions: What the page has defined.

    Raises:
        NotUnderstood: If a variable has several laws, or one that it has not in this book.
        Fails: If a law that is written out is another than that of the variable.
    """
    models = "q" if _has_noise(display) else "qp"
    drawn: list[Symbol] = []
    for draw in (statement for statement in display.statements if statement.kind == "draw"):
        variable, law = draw.expressions
        if variable.kind != "symbol" or variable.value in drawn:
            raise NotUnderstood("a variable is drawn from one law", draw.place)
        drawn.append(variable.value)
        named = {node.value[0].base for node in law.walk() if node.kind in ("density", "bare")}
        if not named <= set(models):
            raise NotUnderstood("what is made with noise is drawn from q", draw.place)
        _check_draw(draw, variable.value, law, models, list(_places(context, definitions)))


def _has_noise(display: Display) -> bool:
    """Whether a relation of the display has noise in it, which ties x_t to x_0, or z to x."""
    sides = [side for s in display.statements if s.kind == "relation" for side in s.expressions]
    return any(Symbol("eps") in node.symbols() for side in sides for node in side.walk())


Place = tuple[Evaluator, GaussianWorld, Point]


def _places(context: str, definitions: Definitions) -> Iterator[Place]:
    """Where a law is looked at: in all worlds whose variables are vectors, at their second and their last step."""
    for world in usual_worlds(context):
        if isinstance(world, GaussianWorld):
            for t in {2, world.T} if world.diffusing else {2}:
                counts = {"t": t} if world.attached else {"t": t, "k": 1}
                yield Evaluator(world, definitions), world, world.draws(2).at(**counts)


def _check_draw(draw: Statement, symbol: Symbol, law: Node, models: str, places: list[Place]) -> None:
    of_the_data = symbol.base in ("u", "n") and symbol.index is None
    good: set[str] = set()
    bad: set[str] = set()
    seen = False
    for evaluator, world, point in places:
        with suppress(Unsuited, Undefined):
            if of_the_data:
                _check_draw_of_the_data(evaluator, world, symbol, law)
            else:
                draw_from(evaluator, [symbol], law, point)
                for model, same in _compared(evaluator, world, symbol, law, point, models):
                    (good if same else bad).add(model)
            seen = True
    if not seen:
        raise NotUnderstood("no world can compute this law", draw.place)
    if (good or bad) and not good - bad:
        raise Fails(f"{symbol.name} has another law")


def _compared(
    evaluator: Evaluator, world: GaussianWorld, symbol: Symbol, law: Node, point: Point, models: str
) -> Iterator[tuple[str, bool]]:
    """Whether a law that is written out is that of the variable under a model, given what the law mentions."""
    keys = tuple(world.original(key) for key in evaluator.variables((symbol,), point)[:1])
    if law.kind == "density":
        _, about, given = conditional(evaluator, law, point)
        if set(about) & set(given):
            raise NotUnderstood("a variable given itself", law.place)
    if law.kind not in ("normal", "normal_law") or keys == ("eps",) or keys[0] not in world.names:
        return
    free = free_variables(evaluator, law, point)
    given = tuple(key for key in world.names if key in free - set(keys))
    said = log_law(evaluator, law, point, keys[0])
    for model in models:
        with suppress(Unsuited):
            yield model, np.allclose(said, world.log_density(model, keys, given, point), rtol=1e-9)


def _check_draw_of_the_data(evaluator: Evaluator, world: GaussianWorld, symbol: Symbol, law: Node) -> None:
    """The place on the spiral is uniform, the noise around it standard normal."""
    uniform = law.kind == "uniform" and [evaluator.integer(part, Point()) for part in law.parts] == [0, 1]
    normal = law.kind == "normal_law" and _is_standard_normal(evaluator, world, law)
    if not (uniform if symbol.base == "u" else normal):
        raise NotUnderstood(f"{symbol.base} has another law in this book", law.place)


def _is_standard_normal(evaluator: Evaluator, world: GaussianWorld, law: Node) -> bool:
    mean, cov = gaussian_parameters(evaluator, law, Point())
    return np.allclose(mean, 0) and np.allclose(cov, np.eye(world.D))
