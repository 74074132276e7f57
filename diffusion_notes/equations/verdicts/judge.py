"""The verdicts on the displays of a page: its statements, the conditions beside them, and what it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field

from diffusion_notes._arguments.values import check_choice, check_kind
from diffusion_notes.equations.evaluation.environment import Definitions
from diffusion_notes.equations.language.parser import Display, Statement, read
from diffusion_notes.equations.language.syntax_tree import Node, NotUnderstood, Place
from diffusion_notes.equations.verdicts.choices import check_choices
from diffusion_notes.equations.verdicts.comparison import Fails
from diffusion_notes.equations.verdicts.relation import Relation
from diffusion_notes.equations.verdicts.side_conditions import SideConditions, check_draws, side_conditions
from diffusion_notes.equations.worlds.world import CHAINS, LATER, Undefined

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
    place: Place | None = None

    @property
    def good(self) -> bool:
        """Whether it may stand in the book."""
        return self.kind in ("proved", "holds", "definition")


@dataclass
class Page:
    """Judges the displays of a page, one after another; what the page defines, it remembers.

    Args:
        context: The chapter: `vae`, `hvae`, `diffusion`, `ddpm`, `samplers`, `score`,
            `conditioning`, `guidance` or `signals`.
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
        text = " ".join(latex.split())
        try:
            display = read(latex)
        except NotUnderstood as why:
            self.last = None
            return [Verdict("not understood", text, why.why, "", why.place)]
        try:
            conditions, said = side_conditions(display)
            check_choices(said.chosen, self.context)
            check_draws(display, self.context, self.definitions)
        except NotUnderstood as why:
            return [Verdict("not understood", text, why.why, display.tag, why.place)]
        except (Fails, Undefined) as why:
            return [Verdict("fails", text, str(why), display.tag)]
        claims = [statement for statement in display.statements if statement not in conditions]
        claims += [_averaged(named, display) for named in display.named]
        if not claims:
            return [Verdict("not understood", text, "no relation in it: nothing is said", display.tag)]
        if self.context in LATER:  # what is defined at the end of a display is known in all of it
            found = {id(claim): self._judge_statement(claim, said, display.tag) for claim in _definitions_first(claims)}
            return [found[id(claim)] for claim in claims]
        return [self._judge_statement(claim, said, display.tag) for claim in claims]

    def _judge_statement(self, statement: Statement, said: SideConditions, tag: str) -> Verdict:
        """The verdict on a chain of relations: the weakest of its steps."""
        text = " ".join(statement.latex.replace("&", " ").split())
        if statement.why:
            self.last = None
            return Verdict("not understood", text, statement.why.why, tag, statement.why.place)
        sides = statement.expressions
        if statement.sides[0] is None:
            if self.last is None:
                why = "it goes on from something, and there is nothing before it"
                return Verdict("not understood", text, why, tag)
            sides = [self.last, *sides]
        self.last = None if sides[-1].kind == "unread" else sides[-1]
        kinds = []
        details = []
        for i, relation in enumerate(statement.relations):
            where = f"step {i + 1} of {len(statement.relations)}: " if len(statement.relations) > 1 else ""
            try:
                kind, detail = self._relation(sides[i], relation, sides[i + 1], said).verdict()
            except NotUnderstood as why:
                return Verdict("not understood", text, where + why.why, tag, why.place)
            except Fails as why:
                return Verdict("fails", text, where + str(why), tag)
            kinds.append(kind)
            details.append(detail)
        weakest = min(kinds, key=["definition", "holds", "proved"].index)
        return Verdict(weakest, text, "; ".join(dict.fromkeys(details)), tag)

    def _relation(self, left: Node, relation: str, right: Node, said: SideConditions) -> Relation:
        for side in (left, right):
            if side.kind == "unread":
                raise NotUnderstood(side.value.why, side.value.place)
        if relation == "=:":
            return Relation(self.context, self.definitions, right, ":=", left, said)
        return Relation(self.context, self.definitions, left, relation, right, said)


def _definitions_first(claims: list[Statement]) -> list[Statement]:
    return sorted(claims, key=lambda claim: claim.relations[:1] != [":="])


def _averaged(named: Statement, display: Display) -> Statement:
    """What a brace names inside an expectation is the expectation of what it holds."""
    name, part = named.expressions
    for expectation in _expectations(display):
        begin, end = expectation.place or (0, 0)
        if begin < named.place[0] and named.place[1] <= end:
            body = next(p for p in reversed(expectation.parts) if p.kind != "given")
            parts = tuple(part if p is body else p for p in expectation.parts)
            part = Node("expectation", parts, expectation.value, expectation.place)
    return Statement([name, part], named.relations, named.kind, named.latex, named.place)


def _expectations(display: Display) -> list[Node]:
    sides = [side for statement in display.statements for side in statement.expressions]
    return [expectation for side in sides for expectation in side.of_kind("expectation")]
