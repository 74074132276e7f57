"""The verdicts on the displays of a page: its statements, the conditions beside them, and what it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from diffusion_notes.equations.evaluation.environment import Definitions
from diffusion_notes.equations.language.parser import Display, Statement, read
from diffusion_notes.equations.language.syntax_tree import Node, NotUnderstood, Place
from diffusion_notes.equations.verdicts.chain import Chain, Link, as_one_line
from diffusion_notes.equations.verdicts.choices import Choice, check_choices, chooses_schedule, members_of_schedule
from diffusion_notes.equations.verdicts.comparison import Fails
from diffusion_notes.equations.verdicts.conventions import Reading, choosing, plain, under
from diffusion_notes.equations.verdicts.naming import named_parameters
from diffusion_notes.equations.verdicts.relation import Relation
from diffusion_notes.equations.verdicts.repair import repaired
from diffusion_notes.equations.verdicts.side_conditions import SideConditions, check_draws, side_conditions
from diffusion_notes.equations.verdicts.step_letters import with_usual_letters
from diffusion_notes.equations.worlds.world import LATER, Undefined

__all__ = ["Judge", "Verdict"]


@dataclass(frozen=True)
class Verdict:
    """What was found out about one relation.

    Args:
        kind: `proved`, `holds`, `definition`, `fails` or `not understood`.
        latex: The relation as it is written.
        detail: How it was checked; or the counterexample; or what is not understood.
        tag: The number of the display.
        place: The characters of the display that are not understood.
        reading: The condition under which it holds, if it holds under one reading of its letters only.
        hint: What would make it true, or be read.
    """

    kind: str
    latex: str
    detail: str
    tag: str = ""
    place: Place | None = None
    reading: str = ""
    hint: str = ""

    @property
    def good(self) -> bool:
        """Whether it may stand in the book."""
        return self.kind in ("proved", "holds", "definition")

    @property
    def told(self) -> str:
        """All that was found out, in a line, from the kind to what would make it true."""
        kind = f"{self.kind}, {self.reading}" if self.reading else self.kind
        return f"{kind}: {self.detail}" + (f"; {self.hint}" if self.hint else "")


@dataclass(frozen=True)
class _Found:
    """A verdict on a link, and the variance and whatever else was chosen of the worlds."""

    verdict: Verdict
    chosen: tuple[str, tuple[Choice, ...]]

    @property
    def always(self) -> bool:
        """Whether it holds with no choice, so with any."""
        return self.verdict.good and self.chosen == ("", ())


@dataclass
class Judge:
    """Judges displays in the notation of one chapter, one after another; what they define, it remembers.

    Args:
        context: The chapter: `vae`, `hvae`, `diffusion`, `ddpm`, `samplers`, `score`,
            `conditioning`, `guidance` or `signals`.
        definitions: What is defined already.
        last: The chain from which the next display may go on.
        reading: The conventions under which they are read; none of them is the book's own reading.
        own: Whether the page is one of the book's own, where nothing is defined by a mere =.
        wrong: The links that were found to be wrong.
        memory: What was found out about the links of the display at hand, under one reading or another.
    """

    context: str
    definitions: Definitions = field(default_factory=dict)
    last: Chain | None = None
    reading: Reading = ()
    own: bool = True
    wrong: list[tuple[Link, SideConditions]] = field(default_factory=list, init=False, repr=False)
    memory: dict[object, _Found] = field(default_factory=dict, repr=False)

    def judge(self, latex: str, display: Display | None = None) -> list[Verdict]:
        """The verdicts on the relations of a display, in its order.

        Args:
            latex: What stands between the dollars.
            display: The same, if it has been read.

        Returns:
            A verdict for each link of each chain; one verdict, if the display cannot be read.
        """
        before, self.last = self.last, None  # what is not read leaves nothing to go on from
        if before and self.reading:
            before = before.each(lambda side: plain(self.reading, side))
        try:
            return self._judge(latex, display, before)
        except Exception as error:  # whatever goes wrong in here, nothing may be accepted because of it
            self.last = None
            return [Verdict("not understood", as_one_line(latex), _broken(error))]

    def _judge(self, latex: str, display: Display | None, before: Chain | None) -> list[Verdict]:
        text = as_one_line(latex)
        try:
            display = with_usual_letters(under(self.reading, display or read(latex)), self.context)
        except NotUnderstood as why:
            self.last = None
            return [Verdict("not understood", text, why.why, "", why.place)]
        try:
            conditions, said = side_conditions(display)
            check_choices(said.chosen, self.context)
            said = choosing(self.reading, said)
            check_draws(display, self.context, self.definitions)
        except NotUnderstood as why:
            return [Verdict("not understood", text, why.why, display.tag, why.place)]
        except (Fails, Undefined) as why:
            return [Verdict("fails", text, str(why), display.tag)]
        claims = [statement for statement in display.statements if statement not in conditions]
        if not claims and not display.named:
            return [_without_relation(conditions, text, display.tag)]
        chains: list[Chain | Verdict] = []
        for claim in claims:
            chains.append(_joined(claim, before, display.tag))
            before = chains[-1].rest() if isinstance(chains[-1], Chain) else None
        self.last = before and before.elsewhere()
        chains += [Chain.of(_averaged(named, display)) for named in display.named]
        return self._judge_all(chains, said, display.tag)

    def _judge_all(self, chains: list[Chain | Verdict], said: SideConditions, tag: str) -> list[Verdict]:
        """The verdicts on all chains; what one of them defines may be known in those before it."""
        found: dict[int, list[Verdict]] = {}
        for i in self._in_order(chains):
            chain = chains[i]
            found[i] = self._judge_chain(chain, said, tag) if isinstance(chain, Chain) else [chain]
        if any(verdict.kind == "definition" for verdict in found[len(chains) - 1]) and not self.own:
            for i, chain in enumerate(chains[:-1]):
                if isinstance(chain, Chain) and all(verdict.kind == "not understood" for verdict in found[i]):
                    found[i] = self._judge_chain(chain, said, tag)
        return [verdict for i in range(len(chains)) for verdict in found[i]]

    def _in_order(self, chains: list[Chain | Verdict]) -> list[int]:
        """In which order they are judged: what a page defines at the end of a display may be known in all of it."""
        defining = [isinstance(chain, Chain) and self._is_first(chain) for chain in chains]
        return sorted(range(len(chains)), key=lambda i: not defining[i])

    def _is_first(self, chain: Chain) -> bool:
        """Whether it says what letters stand for that occur in other statements of its display."""
        if self.context in LATER and chain.relations[:1] == (":=",):
            return True
        return len(chain.sides) == 2 and bool(named_parameters(chain.sides[0], chain.relations[0], chain.sides[1]))

    def _judge_chain(self, chain: Chain, said: SideConditions, tag: str) -> list[Verdict]:
        """The verdicts on the links of a chain, and on its leaps where they fail."""
        verdicts = [self._judge_link(link, said, tag) for link in chain.links()]
        if chain.tied:
            return [_of_two(verdict) for verdict in verdicts]
        if any(verdict.kind == "fails" for verdict in verdicts):
            return verdicts
        leaps = [self._judge_link(leap, said, tag) for leap in chain.leaps()]
        if all(verdict.good for verdict in verdicts):
            lost = [replace(leap, detail=f"a constant is lost on the way: {leap.detail}") for leap in leaps]
            return verdicts + [leap for leap in lost if not leap.good]
        # what was not read may say under which condition its ends are equal
        apart = [replace(leap, kind="not understood", detail=f"its ends differ: {leap.detail}") for leap in leaps]
        return verdicts + [new for new, leap in zip(apart, leaps, strict=True) if leap.kind == "fails"]

    def _judge_link(self, link: Link, said: SideConditions, tag: str) -> Verdict:
        """The verdict on two sides, if no other reading has found it out: what always holds holds in some worlds."""
        drawn = tuple(tuple(draw.sides) for draw in said.draws)
        key = (link.left, link.relation, link.right, link.head, link.latex, drawn, tuple(self.definitions.items()))
        chosen = (said.variance, said.chosen)
        known = self.memory.get(key)
        found = known if known and (known.chosen == chosen or known.always) else None
        verdict = found.verdict if found else self._tried(link, said, tag)
        if verdict.kind == "fails":
            self.wrong.append((link, said))
        if verdict.kind != "definition":  # which is to be remembered
            self.memory[key] = found or _Found(verdict, chosen)
        return verdict

    def _tried(self, link: Link, said: SideConditions, tag: str) -> Verdict:
        """The verdict on two sides; which schedule somebody has is no claim."""
        verdict = self._claimed(link, said, tag)
        if self.own or verdict.good or not chooses_schedule(link.left, link.relation, link.right):
            return verdict
        for left, right in members_of_schedule(link.left, link.right):  # it must agree with itself there
            member = self._claimed(replace(link, left=left, right=right), said, tag)
            if not member.good:
                return replace(member, detail=f"of one of its own members: {member.detail}")
        return Verdict("definition", link.latex, "says which schedule it is", tag)

    def _claimed(self, link: Link, said: SideConditions, tag: str) -> Verdict:
        try:
            kind, detail = self._relation(link, said).verdict()
        except NotUnderstood as why:
            return Verdict("not understood", link.latex, why.why, tag, why.place)
        except Fails as why:
            return Verdict("fails", link.latex, str(why), tag)
        except Exception as error:  # a rule that breaks has found out nothing
            return Verdict("not understood", link.latex, _broken(error), tag)
        return Verdict(kind, link.latex, detail, tag)

    def hint(self, verdict: Verdict, latex: str, seconds: float) -> str:
        """What would make a link of the last display true, if that is one symbol.

        Args:
            verdict: That it fails.
            latex: The display.
            seconds: For how long changes are tried.
        """
        for link, said in self.wrong:
            if link.latex == verdict.latex and link.relation != ":=":
                return repaired(self._relation(link, said), latex, seconds)
        return ""

    def _relation(self, link: Link, said: SideConditions) -> Relation:
        if link.right.kind == "unread":
            raise link.right.value
        if link.left.kind == "unread":
            raise NotUnderstood("it goes on from what was not read") if link.goes_on else link.left.value
        if link.relation == "=:":
            return Relation(self.context, self.definitions, link.right, ":=", link.left, said)
        sides = (link.left, link.relation, link.right)
        return Relation(self.context, self.definitions, *sides, said, link.head, self.own).defining()


def _without_relation(conditions: list[Statement], text: str, tag: str) -> Verdict:
    """The verdict on a display that says only what is drawn; from which law, that has been looked at."""
    if conditions and all(statement.kind == "draw" for statement in conditions):
        return Verdict("definition", text, "what is drawn has this law", tag)
    return Verdict("not understood", text, "no relation in it: nothing is said", tag)


def _joined(claim: Statement, before: Chain | None, tag: str) -> Chain | Verdict:
    """The chain that a claim is, with what it goes on from; or why it is none."""
    text = as_one_line(claim.latex)
    if claim.kind == "unread":
        why = claim.why or NotUnderstood("this was not read", claim.place)
        return Verdict("not understood", text, why.why, tag, why.place)
    if claim.sides[0] is None and before is None:
        return Verdict("not understood", text, "it goes on from something, and nothing that was read is before it", tag)
    return Chain.of(claim, before)


def _broken(error: Exception) -> str:
    return f"the checker broke: {type(error).__name__}: {error}"


def _of_two(verdict: Verdict) -> Verdict:
    """The verdict on one of two statements that are said to hold together, and not by themselves."""
    if verdict.kind != "fails":
        return verdict
    return replace(
        verdict, kind="not understood", detail=f"an equivalence, and one side does not hold: {verdict.detail}"
    )


def _averaged(named: Statement, display: Display) -> Statement:
    """What a brace names inside an expectation is the expectation of what it holds."""
    name, part = named.expressions
    if name.place and named.place[0] <= name.place[0] < named.place[1]:
        return named  # what it holds is in a relation, and has no name
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
