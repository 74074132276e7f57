"""A page: its displays, judged one after another in the notation and under the conventions in which they are written.

The book's own reading comes first. Where it fails, or is not understood, those come that are in use elsewhere, and the
verdict says under which of them the display holds. What a letter stands for once, it stands for on the whole page.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from diffusion_notes._arguments.values import check_choice, check_kind, check_list, check_number
from diffusion_notes.equations.evaluation.environment import Definitions
from diffusion_notes.equations.language.parser import Display, read
from diffusion_notes.equations.language.syntax_tree import NotUnderstood, Symbol
from diffusion_notes.equations.verdicts.chain import Chain, as_one_line
from diffusion_notes.equations.verdicts.contexts import contexts
from diffusion_notes.equations.verdicts.conventions import Convention, Reading, letters, named, plain, readings
from diffusion_notes.equations.verdicts.judge import Judge, Verdict
from diffusion_notes.equations.verdicts.step_letters import with_usual_letters
from diffusion_notes.equations.worlds.world import CHAINS

__all__ = ["Page"]

LONGEST = 1.5
"""So many seconds it looks for what would make one line true."""

ELSEWHERE = {"samplers": "if p_θ is DDIM's sampler"}
"""What is said of a display in a notation that is not its page's, and in which common letters mean something else."""


MOST = 30
"""So many relations of a display, at most, are looked at once more under other conventions."""


@dataclass(frozen=True)
class _Trial:
    """A display, judged in one notation and under one reading.

    Args:
        latex: The display.
        before: The judge, before it.
        after: The judge, with what it has learned from it.
        verdicts: What was found out.
    """

    latex: str
    before: Judge
    after: Judge
    verdicts: list[Verdict]

    @classmethod
    def of(cls, latex: str, judge: Judge, display: Display | None = None) -> _Trial:
        after = replace(judge, definitions=dict(judge.definitions))
        return cls(latex, judge, after, after.judge(latex, display))

    @property
    def good(self) -> int:
        return sum(verdict.good for verdict in self.verdicts)

    @property
    def fails(self) -> bool:
        return any(verdict.kind == "fails" for verdict in self.verdicts)

    @property
    def holds(self) -> bool:
        return all(verdict.good for verdict in self.verdicts)

    @property
    def understood(self) -> int:
        return sum(verdict.kind != "not understood" for verdict in self.verdicts)


@dataclass(frozen=True)
class _Conflict:
    """A reading under which a display would hold, and one before it that would not."""

    trial: _Trial
    past: _Trial


@dataclass
class Page:
    """Judges the displays of a page, one after another; what the page defines, it remembers.

    Args:
        context: The chapter: `vae`, `hvae`, `diffusion`, `ddpm`, `samplers`, `score`,
            `conditioning`, `guidance` or `signals`; or `None`, where the letters of each display tell.
        definitions: What is defined already, in this chapter.
        last: The chain from which the next display may go on.
        conventions: The names of the conventions that it uses: none of them, `()`, is the book's own reading and its
            chapter's notation alone; `None`, where nothing is said, tries those of `verdicts/conventions.py`.
        patience: For how many seconds, on the whole page, it looks for what would make wrong lines true.

    Raises:
        TypeError: If an argument is not what it should be.
        ValueError: If there is no such chapter, or no such convention, or `patience` is negative.
    """

    context: str | None = None
    definitions: Definitions = field(default_factory=dict)
    last: Chain | None = None
    conventions: Sequence[str] | None = None
    patience: float = 0.0
    _kept: Reading = field(default=(), init=False, repr=False)
    _judges: dict[str, Judge] = field(default_factory=dict, init=False, repr=False)
    _latest: str = field(default="", init=False, repr=False)
    _letters: set[Symbol] = field(default_factory=set, init=False, repr=False)
    _past: list[_Trial] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.context is not None:
            check_choice("context", self.context, CHAINS)
        check_kind("definitions", self.definitions, dict, "a dictionary")
        check_kind("last", self.last, (Chain, type(None)), "a chain or None")
        if self.conventions is not None:
            check_list("conventions", self.conventions, "a list of names", str, "a string")
            self.conventions = tuple(self.conventions)
        self.patience = check_number("patience", self.patience, 0)
        self._kept = named(self.conventions or ())

    def judge(self, latex: str) -> list[Verdict]:
        """The verdicts on the relations of a display, in its order.

        Args:
            latex: What stands between the dollars.

        Returns:
            A verdict for each link of each chain; one verdict, if the display cannot be read.

        Raises:
            TypeError: If `latex` is no string.
        """
        check_kind("latex", latex, str, "a string")
        trial = self._in_the_book(latex) if self.conventions == () else self._as_meant(latex)
        self._learn(trial)
        return [self._with_hint(verdict, trial) for verdict in trial.verdicts]

    def _with_hint(self, verdict: Verdict, trial: _Trial) -> Verdict:
        """A verdict, with what would make a wrong line true."""
        if verdict.kind != "fails" or self.patience <= 0:
            return verdict
        begun = time.process_time()
        hint = trial.after.hint(verdict, trial.latex, min(self.patience, LONGEST))
        self.patience -= time.process_time() - begun
        return replace(verdict, hint=hint)

    def _judge_in(self, context: str) -> Judge:
        """The judge for a notation, with what the page has defined in it."""
        own = self.conventions == ()
        if context == self.context:
            return Judge(context, self.definitions, self.last, own=own)
        found = self._judges.get(context) or Judge(context)
        return replace(found, last=self.last, reading=(), own=own, memory={})

    def _in_the_book(self, latex: str) -> _Trial:
        return _Trial.of(latex, self._judge_in(self.context or "ddpm"))

    def _learn(self, trial: _Trial) -> None:
        """Remember what a display defines, from where the next may go on, and how it was read."""
        judge = trial.after
        self.last = judge.last
        self._judges[judge.context] = judge
        self._latest = judge.context
        if judge.context == self.context:
            self.definitions = judge.definitions
        if trial.good:
            self._past.append(trial)
            self._keep(tuple(c for c in judge.reading if c.kept and c not in self._kept))

    def _keep(self, more: Reading) -> None:
        """What has been defined before is said in the letters of these conventions as well."""
        self._kept += more
        for judge in self._judges.values() if more else ():
            for key, definition in judge.definitions.items():
                judge.definitions[key] = definition._replace(expression=plain(more, definition.expression))

    # In which notation

    def _as_meant(self, latex: str) -> _Trial:
        """The display in the likeliest notation that understands it; a less likely one never mends what fails."""
        try:
            display = read(latex)
        except NotUnderstood:
            return self._in_the_book(latex)
        goes_on = [statement.sides[:1] for statement in display.statements[:1]] == [[None]]
        groups = contexts(letters(display), self.context, frozenset(self._letters))
        if goes_on and self._judges:  # in the notation of what it goes on from
            groups = [(self._latest,)]
        self._letters |= letters(display)
        best: _Trial | None = None
        for group in groups:
            least = best.understood if best else -1
            found = self._best_of(group, latex, display, least)
            if best is None or found.understood > least:
                best = found
            if best.understood:  # what is left is not understood for another reason than its notation
                break
        assert best is not None
        elsewhere = ELSEWHERE.get(best.after.context, "") if any(map(_is_of_model, letters(display))) else ""
        if not elsewhere or best.after.context == self.context:
            return best
        said = [replace(v, reading=", and ".join(filter(None, (elsewhere, v.reading)))) for v in best.verdicts]
        return replace(best, verdicts=[new if new.good else old for new, old in zip(said, best.verdicts, strict=True)])

    def _best_of(self, group: tuple[str, ...], latex: str, display: Display, least: int) -> _Trial:
        """The display in the first notation of a group in which most of it holds."""
        found = self._read(latex, display, group[0], least)
        for context in group[1:]:
            if found.holds:
                break
            other = self._read(latex, display, context, least)
            found = max(found, other, key=lambda trial: (trial.good, trial.understood))
        return found

    # Under which conventions

    def _read(self, latex: str, display: Display, context: str, least: int) -> _Trial:
        """The display in one notation, under the first reading under which it holds.

        Args:
            latex: The display.
            display: The same, read.
            context: The chapter.
            least: How many of its relations have been understood in another notation, if it is to be better.
        """
        judge = self._judge_in(context)
        display = with_usual_letters(display, context)
        if self.conventions is not None:
            stated = tuple(c for c in self._kept if c.may_be_meant(display, context))
            trial = _Trial.of(latex, replace(judge, reading=stated), display)
            return _conditioned(trial, trial)
        first, *others = readings(self._kept, display, context, self._letters)
        plain = _Trial.of(latex, replace(judge, reading=first), display)
        if plain.understood <= least:
            return plain
        best = plain
        conflict: _Conflict | None = None
        telling: list[Convention] = []  # those that change a verdict
        unread = _unread(display)
        for reading in others:
            more = reading[len(first) :]
            if best.good + unread >= len(best.verdicts) or len(judge.memory) > len(plain.verdicts) + MOST:
                break
            if len(more) > 1 and not set(more) <= set(telling):
                continue
            found = _Trial.of(latex, replace(judge, reading=reading), display)
            telling += more if len(more) == 1 and found.verdicts != plain.verdicts else ()
            if found.good > best.good and (past := self._broken_by(found)):
                conflict = conflict or _Conflict(found, past)
            elif found.good > best.good:
                best = found
        best = _conditioned(plain, best)
        if best.holds:
            return best
        return _explained(best, telling, conflict or self._forgone(latex, display, judge, best))

    def _broken_by(self, trial: _Trial) -> _Trial | None:
        """The first display before this one that does not hold if this one is read as it is in a trial."""
        added = tuple(c for c in trial.after.reading if c.kept and c not in self._kept)
        for past in self._past:
            display = read(past.latex)
            more = tuple(c for c in added if c.touches(display, past.after.context) and c not in past.after.reading)
            judge = replace(past.before, reading=(*past.after.reading, *more))
            if more and _Trial.of(past.latex, judge).good < past.good:
                return past
        return None

    def _forgone(self, latex: str, display: Display, judge: Judge, best: _Trial) -> _Conflict | None:
        """A reading under which it would hold, had the page not said before what a letter in it stands for."""
        kept = [convention for convention in self._kept if convention.touches(display, judge.context)]
        for reading in readings((), display, judge.context) if kept else ():
            if set(kept) & set(reading):
                continue
            trial = _Trial.of(latex, replace(judge, reading=reading), display)
            past = next((past for past in self._past if set(kept) & set(past.after.reading)), None)
            if past and trial.good > best.good:
                return _Conflict(trial, past)
        return None


def _unread(display: Display) -> int:
    """How many links of a display have a side that was not read, so that no convention helps."""
    sides = [statement.sides for statement in display.statements if statement.kind != "unread"]
    pairs = [pair for each in sides for pair in pairwise(each)]
    whole = sum(statement.kind == "unread" for statement in display.statements)
    return whole + sum(any(side is not None and side.kind == "unread" for side in pair) for pair in pairs)


def _is_of_model(symbol: Symbol) -> bool:
    """Whether a letter means something else where p is another model."""
    return symbol.label == "theta" or symbol.base in ("p", "sigma", "L", "calL", "w")


def _condition(reading: Reading) -> str:
    return ", and ".join(convention.sentence for convention in reading)


def _conditioned(plain: _Trial, trial: _Trial) -> _Trial:
    """A trial whose verdicts say under which reading they hold."""
    verdicts = []
    same = len(plain.verdicts) == len(trial.verdicts)
    for i, verdict in enumerate(trial.verdicts):
        held = same and plain.verdicts[i].good
        condition = _condition(plain.after.reading if held else trial.after.reading)
        verdicts.append(replace(verdict, reading=condition) if verdict.good else verdict)
    return replace(trial, verdicts=verdicts)


def _explained(trial: _Trial, tried: list[Convention], conflict: _Conflict | None) -> _Trial:
    """A trial whose verdicts say what else has been tried, and what the page has said before."""
    also = ", or ".join(convention.sentence for convention in tried)
    verdicts = [
        replace(v, detail=f"{v.detail}; nor does it hold {also}") if also and v.kind == "fails" else v
        for v in trial.verdicts
    ]
    if conflict and len(conflict.trial.verdicts) == len(verdicts):
        past = conflict.past
        condition = _condition(conflict.trial.after.reading) or "as this book writes"
        where = next((f"({v.tag})" for v in past.verdicts if v.tag), as_one_line(past.latex))
        why = f"it would hold {condition}, but not on one page with {where}, where the letter stands for something else"
        pairs = zip(verdicts, conflict.trial.verdicts, strict=True)
        verdicts = [replace(v, kind="fails", detail=why) if other.good and not v.good else v for v, other in pairs]
    return replace(trial, verdicts=verdicts)
