"""What a display draws, as in ε ~ N(0, I): a variable has one law, and it is the one that it has in the book."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from diffusion_notes.equations.evaluate import Definitions, Evaluator
from diffusion_notes.equations.nodes import Node, NotUnderstood, Symbol
from diffusion_notes.equations.pool import worlds
from diffusion_notes.equations.reading import Display, Statement
from diffusion_notes.equations.sides import Fails
from diffusion_notes.equations.worlds import Point, Unsuited

__all__ = ["check_draws"]


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
    models, drawn = "q" if _noisy(display) else "qp", []
    for draw in (statement for statement in display.statements if statement.kind == "draw"):
        symbol, law = draw.sides
        if symbol.kind != "symbol" or symbol.value in drawn:
            raise NotUnderstood("a variable is drawn from one law", draw.place)
        drawn.append(symbol.value)
        named = {node.value[0].base for node in law.walk() if node.kind in ("density", "bare")}
        if not named <= set(models):
            raise NotUnderstood("what is made with noise is drawn from q", draw.place)
        _check_draw(draw, models, list(_places(context, definitions)))


def _noisy(display: Display) -> bool:
    """Whether a relation of the display has noise in it, which ties x_t to x_0, or z to x."""
    sides = [side for s in display.statements if s.kind == "relation" for side in s.sides if side is not None]
    return any(Symbol("eps") in node.symbols() for side in sides for node in side.walk())


def _places(context: str, definitions: Definitions) -> Iterator[tuple[Evaluator, Point]]:
    """Where a law is looked at: in all worlds whose variables are vectors, at their second and their last step."""
    for world in worlds(context):
        for t in {2, world.T} if world.diffusing else {2}:
            if not world.cells:
                yield Evaluator(world, definitions), world.draws(2).at(t=t, k=1)


def _check_draw(draw: Statement, models: str, places: list[tuple[Evaluator, Point]]) -> None:
    symbol, law = draw.sides[0].value, draw.sides[1]
    roll = symbol.base in ("u", "n") and symbol.index is None
    good, bad, seen = set(), set(), False
    for evaluator, point in places:
        with suppress(Unsuited):
            if roll:
                _check_roll(evaluator, symbol, law)
            else:
                evaluator.drawn_from([symbol], law, point)
                for model, same in _compared(evaluator, symbol, law, point, models):
                    (good if same else bad).add(model)
            seen = True
    if not seen:
        raise NotUnderstood("no world can compute this law", draw.place)
    if (good or bad) and not good - bad:
        raise Fails(f"{symbol.name} has another law")


def _compared(evaluator: Evaluator, symbol: Symbol, law: Node, point: Point, models: str) -> Iterator[tuple[str, bool]]:
    """Whether a law that is written out is that of the variable under a model, given what the law mentions."""
    keys = tuple(evaluator.world.original(key) for key in evaluator.variable(symbol, point)[:1])
    if law.kind == "density":
        _, about, given = evaluator.sides(law, point)
        if set(about) & set(given):
            raise NotUnderstood("a variable given itself", law.place)
    if law.kind not in ("normal", "normal_law") or keys == ("eps",):
        return
    given = tuple(k for k in evaluator.world.keys if k in evaluator.free(law, point) - set(keys))
    said = evaluator.log_law(law, point, keys[0])
    for model in models:
        with suppress(Unsuited):
            yield model, np.allclose(said, evaluator.world.log_density(model, keys, given, point), rtol=1e-9)


def _check_roll(evaluator: Evaluator, symbol: Symbol, law: Node) -> None:
    """The place on the spiral is uniform, the noise around it standard normal."""
    ends = [evaluator.integer(part, Point()) for part in law.parts] if law.kind == "uniform" else None
    normal = law.kind == "normal_law" and evaluator.normal_parts(*law.parts, Point())
    standard = normal and np.allclose(normal[0], 0) and np.allclose(normal[1], np.eye(evaluator.world.D))
    good = ends == [0, 1] if symbol.base == "u" else standard
    if not good:
        raise NotUnderstood(f"{symbol.base} has another law in this book", law.place)
