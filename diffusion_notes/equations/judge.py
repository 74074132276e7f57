"""The verdicts on the displays of a page: its statements, the conditions beside them, and what it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from diffusion_notes.equations.conditions import Said, allowed, counts_only, variance
from diffusion_notes.equations.evaluate import Definitions, Evaluator
from diffusion_notes.equations.nodes import Node, NotUnderstood, Symbol
from diffusion_notes.equations.pool import worlds
from diffusion_notes.equations.reading import Display, Statement, read
from diffusion_notes.equations.step import Fails, Step
from diffusion_notes.equations.worlds import Point, Undefined

__all__ = ["Page", "Verdict"]


@dataclass(frozen=True)
class Verdict:
    """What was found out about one relation.

    Args:
        kind: `proved`, `holds`, `definition`, `fails` or `not understood`.
        latex: The relation as it is written.
        detail: How it was checked; or the counterexample; or what is not understood.
        tag: The number of the display.
        place: The characters of the display that are not understood.
    """

    kind: str
    latex: str
    detail: str
    tag: str = ""
    place: tuple[int, int] | None = None

    @property
    def good(self) -> bool:
        """Whether it may stand in the book."""
        return self.kind in ("proved", "holds", "definition")


@dataclass
class Page:
    """Judges the displays of a page, one after another; what the page defines, it remembers.

    Args:
        context: The chapter: `vae`, `hvae`, `diffusion` or `ddpm`.
    """

    context: str
    definitions: Definitions = field(default_factory=dict)
    last: Node | None = None

    def judge(self, latex: str) -> list[Verdict]:
        """The verdicts on the relations of a display, in its order.

        Args:
            latex: What stands between the dollars.

        Returns:
            A verdict for each relation; one verdict, if the display cannot be read.
        """
        try:
            return self._judge(latex)
        except Exception as error:  # whatever goes wrong in here, nothing may be accepted because of it
            text = " ".join(latex.split())
            return [Verdict("not understood", text, f"the checker broke: {type(error).__name__}: {error}")]

    def _judge(self, latex: str) -> list[Verdict]:
        try:
            display = read(latex)
        except NotUnderstood as why:
            return [Verdict("not understood", " ".join(latex.split()), why.why, "", why.place)]
        found: list[Verdict] = []
        try:
            conditions = [s for s in display.statements if s.kind != "relation" or counts_only(s)]
            draws = [s for s in conditions if s.kind == "draw"]
            said = Said(allowed(conditions), draws)
            self._check_draws(draws)
            choices = [s for s in display.statements[1:] if variance(s)]
            if len(choices) == 1:
                conditions, said = [*conditions, *choices], replace(said, variance=variance(choices[0]))
        except NotUnderstood as why:
            return [Verdict("not understood", " ".join(latex.split()), why.why, display.tag, why.place)]
        except (Fails, Undefined) as why:
            return [Verdict("fails", " ".join(latex.split()), str(why), display.tag)]
        for statement in display.statements:
            if statement not in conditions:
                found += self._statement(statement, said, display.tag)
        for named in display.named:
            found += self._statement(_averaged(named, display), said, display.tag)
        if not found:
            found = [
                Verdict("not understood", " ".join(latex.split()), "no relation in it: nothing is said", display.tag)
            ]
        return found

    def _statement(self, statement: Statement, said: Said, tag: str) -> list[Verdict]:
        sides = list(statement.sides)
        text = " ".join(statement.latex.replace("&", " ").split())
        make = lambda kind, detail, place=None: Verdict(kind, text, detail, tag, place)  # noqa: E731
        if sides[0] is None:
            if self.last is None:
                return [make("not understood", "it goes on from something, and there is nothing before it")]
            sides[0] = self.last
        self.last = sides[-1]
        kinds, details = [], []
        for i, relation in enumerate(statement.relations):
            step = Step(self.context, self.definitions, sides[i], relation, sides[i + 1], said)
            where = f"step {i + 1} of {len(statement.relations)}: " if len(statement.relations) > 1 else ""
            try:
                kind, detail = step.verdict()
            except NotUnderstood as why:
                return [make("not understood", where + why.why, why.place)]
            except Fails as why:
                return [make("fails", where + str(why))]
            kinds.append(kind)
            details.append(detail)
        worst = min(kinds, key=["definition", "holds", "proved"].index)
        return [make(worst, "; ".join(dict.fromkeys(details)))]

    def _check_draws(self, draws: list[Statement]) -> None:
        for draw in draws:
            symbol, law = draw.sides
            if symbol.kind != "symbol":
                raise NotUnderstood("a variable is drawn from a law", draw.place)
            world = next(w for w in worlds(self.context) if not w.cells)
            evaluator = Evaluator(world, self.definitions)
            if symbol.value.base in ("u", "n") and symbol.value.index is None:
                _check_roll(evaluator, symbol.value, law)
                continue
            point = world.draws(2).at(t=2, k=1)
            evaluator.drawn_from([symbol.value], law, point)
            _check_law(evaluator, symbol.value, law, point)


def _check_law(evaluator: Evaluator, symbol: Symbol, law: Node, point: Point) -> None:
    """A law that is written out has to be the one that the variable has, given what the law mentions."""
    keys = evaluator.variable(symbol, point)
    if law.kind == "density":
        _, about, given = evaluator.sides(law, point)
        if set(about) & set(given):
            raise NotUnderstood("a variable given itself", law.place)
        return
    if law.kind not in ("normal", "normal_law") or keys == ("eps",):
        return
    key, given = keys[0], tuple(k for k in evaluator.world.keys if k in evaluator.free(law, point) - set(keys))
    said = evaluator.log_law(law, point, key)
    known = [evaluator.world.log_density(model, keys, given, point) for model in "qp"]
    if not any(np.allclose(said, log, rtol=1e-9) for log in known):
        raise Fails(f"{key} has another law")


def _check_roll(evaluator: Evaluator, symbol: Symbol, law: Node) -> None:
    """The place on the spiral is uniform, the noise around it standard normal."""
    ends = [evaluator.integer(part, Point()) for part in law.parts] if law.kind == "uniform" else None
    normal = law.kind == "normal_law" and evaluator.normal_parts(*law.parts, Point())
    standard = normal and np.allclose(normal[0], 0) and np.allclose(normal[1], np.eye(evaluator.world.D))
    good = ends == [0, 1] if symbol.base == "u" else standard
    if not good:
        raise NotUnderstood(f"{symbol.base} has another law in this book", law.place)


def _averaged(named: Statement, display: Display) -> Statement:
    """What a brace names inside an expectation is the expectation of what it holds."""
    name, part = named.sides
    for statement in display.statements:
        for side in statement.sides:
            for node in side.having("expectation") if side is not None else ():
                begin, end = node.place or (0, 0)
                if begin < named.place[0] and named.place[1] <= end:
                    body = next(p for p in reversed(node.parts) if p.kind != "given")
                    parts = tuple(part if p is body else p for p in node.parts)
                    part = Node("expectation", parts, node.value, node.place)
    return Statement([name, part], named.relations, named.kind, named.latex, named.place)
