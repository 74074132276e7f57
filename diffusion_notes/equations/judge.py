"""The verdicts on the displays of a page: its statements, the conditions beside them, and what it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from diffusion_notes._arguments.values import check_choice, check_kind
from diffusion_notes.equations.conditions import Said, allowed, counts_only, earlier, variance
from diffusion_notes.equations.draws import check_draws
from diffusion_notes.equations.evaluate import Definitions
from diffusion_notes.equations.nodes import Node, NotUnderstood
from diffusion_notes.equations.reading import Display, Statement, read
from diffusion_notes.equations.step import Fails, Step
from diffusion_notes.equations.worlds import CHAINS, Undefined

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
        definitions: What is defined already.
        last: The side from which the next display may go on.

    Raises:
        TypeError: If the context is no string, or another argument not what it should be.
        ValueError: If there is no such chapter.
    """

    context: str
    definitions: Definitions = field(default_factory=dict)
    last: Node | None = None

    def __post_init__(self) -> None:
        check_choice("context", self.context, CHAINS)
        check_kind("definitions", self.definitions, dict, "a dictionary")
        check_kind("last", self.last, (Node, type(None)), "a node or None")

    def judge(self, latex: str) -> list[Verdict]:
        """The verdicts on the relations of a display, in its order.

        Args:
            latex: What stands between the dollars.

        Returns:
            A verdict for each relation; one verdict, if the display cannot be read.

        Raises:
            TypeError: If `latex` is no string.
        """
        check_kind("latex", latex, str, "a string")
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
            pairs = [pair for s in conditions if (pair := earlier(s))]
            if len(pairs) > 1:
                raise NotUnderstood("two conditions on the earlier step")
            said = Said(allowed(conditions), draws, earlier=pairs[0] if pairs else None)
            check_draws(display, self.context, self.definitions)
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
            left, right = sides[i : i + 2]
            if relation == "=:":
                left, relation, right = right, ":=", left
            step = Step(self.context, self.definitions, left, relation, right, said)
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
