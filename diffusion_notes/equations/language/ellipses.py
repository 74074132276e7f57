r"""Dots: $L_0 + \dots + L_T$ is a sum, $\alpha_1 \alpha_2 \cdots \alpha_t$ a product, $x_1, \dots, x_T$ is $x_{1:T}$.

What stands before the dots and what stands after them may differ in their indices alone, all of them by the same steps.
They may run up or down, from $x_T$ to $x_0$; which of the two ends is the lower one has to be known, for what runs from
the higher end up to the lower one would be empty, and an empty row is never meant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from diffusion_notes.equations.language.normalisation import bracket_depths
from diffusion_notes.equations.language.syntax_tree import ELLIPSIS, Index, NotUnderstood, Range, Symbol
from diffusion_notes.equations.language.tokens import Token

__all__ = ["expand_ellipses"]

ENDS = ("PLUS", "MINUS", "REL", "COMMA", "SEMI", "SIM", "MID", "PAR")
LETTERS = ("i", "j", "k")
TAKING = ("p", "q", "calN")
"""The letters that take the brackets after them, whatever is on the letter."""

UNLIKE = "dots between what are not the terms or the factors of one row"

Span = tuple[int, int]


def expand_ellipses(tokens: list[Token]) -> list[Token]:
    """The same tokens, with a sum, a product or a range in the place of each row that has dots in it."""
    for at, token in enumerate(tokens):
        if token.kind == "DOTS" and (shorter := _without_dots(tokens, at)) is not None:
            return expand_ellipses(shorter)
    return tokens


def _without_dots(tokens: list[Token], at: int) -> list[Token] | None:
    """The tokens with something else for the row that has its dots at a place; none where they are a range of steps."""
    before, after = (tokens[i].kind if 0 <= i < len(tokens) else "" for i in (at - 1, at + 1))
    if before == after and before in ("PLUS", "MINUS"):
        return _counted(tokens, "SUM", _Row(tokens, _terms_before(tokens, at), _term_after(tokens, at), tokens[at]))
    if "COMMA" in (before, after) or _among_arguments(tokens, at):
        return _listed(tokens, at)
    if after == "INT":
        return _integrals(tokens, at)
    if (before, after) == ("DIFFERENTIAL", "DIFFERENTIAL"):
        return _listed(tokens, at)
    row = _Row(tokens, _factors_before(tokens, at), _factor_after(tokens, at), tokens[at])
    return _counted(tokens, "PROD", row)


# Where the members of a row stand


def _terms_before(tokens: list[Token], at: int) -> list[Span]:
    """The terms before some dots, the nearest first; all of them have the sign that stands before the dots."""
    depths = bracket_depths(tokens)
    sign = tokens[at - 1].kind
    found: list[Span] = []
    end = at - 1
    while end > 0 and tokens[end].kind == sign and depths[end] == depths[at]:
        start = next((i + 1 for i in range(end - 1, -1, -1) if _ends(tokens, depths, i, at)), 0)
        before = tokens[start - 1].kind if start and depths[start - 1] == depths[at] else ""
        if before != sign and "MINUS" in (before, sign):
            break
        found.append((start, end))
        end = start - 1
    return found


def _term_after(tokens: list[Token], at: int) -> Span:
    depths = bracket_depths(tokens)
    return at + 2, next((i for i in range(at + 2, len(tokens)) if _ends(tokens, depths, i, at)), len(tokens))


def _ends(tokens: list[Token], depths: list[int], i: int, at: int) -> bool:
    """Whether a term ends where a token stands, in a sum that has its dots at a place."""
    return depths[i] < depths[at] or (depths[i] == depths[at] and tokens[i].kind in ENDS)


def _factors_before(tokens: list[Token], at: int) -> list[Span]:
    """The factors before some dots, the nearest first."""
    found: list[Span] = []
    end = at - (at > 0 and tokens[at - 1].kind == "TIMES")
    while (start := _factor_start(tokens, end)) is not None:
        found.append((start, end))
        end = start - (start > 0 and tokens[start - 1].kind == "TIMES")
    return found


def _factor_after(tokens: list[Token], at: int) -> Span:
    begin = at + 1 + (tokens[at + 1 : at + 2] != [] and tokens[at + 1].kind == "TIMES")
    stops = (stop for stop in range(begin + 1, len(tokens) + 1) if _factor_start(tokens, stop) == begin)
    return begin, max(stops, default=begin)


def _factor_start(tokens: list[Token], end: int) -> int | None:
    """Where a factor begins that ends here: a letter, brackets with or without one, a fraction, a root, a power."""
    if end <= 0:
        return None
    if tokens[end - 1].kind == "SYMBOL":
        return end - 1
    if tokens[end - 1].kind not in ("RP", "RB", "CLOSE"):
        return None
    opened = _opened(tokens, end - 1)
    before = tokens[opened - 1].kind if opened else ""
    if tokens[end - 1].kind != "CLOSE":
        return opened - 1 if before == "SYMBOL" and _takes_arguments(tokens[opened - 1].value) else opened
    if before == "POWER":
        return _factor_start(tokens, opened - 1)
    if before == "CLOSE" and tokens[(above := _opened(tokens, opened - 1)) - 1].kind == "FRAC":
        return above - 1
    return opened - 1 if before == "SQRT" else None


def _opened(tokens: list[Token], end: int) -> int:
    """Where the bracket that is closed here was opened."""
    depths = bracket_depths(tokens)
    return next(i for i in range(end - 1, -1, -1) if depths[i] == depths[end])


def _takes_arguments(symbol: Symbol) -> bool:
    return symbol.base in TAKING or symbol.label in ("theta", "phi")


def _among_arguments(tokens: list[Token], at: int) -> bool:
    """Whether the dots stand between variables: of a law, or below an expectation."""
    depths = bracket_depths(tokens)
    opened = next((i for i in range(at - 1, -1, -1) if depths[i] < depths[at]), 0)
    if not depths[at] or not opened or not all(token.kind == "SYMBOL" for token in tokens[at - 1 : at + 2 : 2]):
        return False
    before = tokens[opened - 1]
    return before.kind == "BELOW" or (before.kind == "SYMBOL" and before.value.base in ("p", "q"))


# What a row is


@dataclass
class _Row:
    """A row with dots in it.

    Args:
        tokens: The tokens it stands in.
        before: Where its members before the dots may stand, the nearest first; those that do not belong are left out.
        after: Where the one after the dots stands.
        dots: The dots.
    """

    tokens: list[Token]
    before: list[Span]
    after: Span
    dots: Token

    def __post_init__(self) -> None:
        last = self.tokens[slice(*self.after)]
        steps: list[tuple[Index, Index]] = []
        for span in self.before:
            step = _step(self.tokens[slice(*span)], last)
            if step is None or not _is_regular([step[0], *(mine for mine, _ in steps[::-1])]):
                break
            steps.append(step)
        if not steps:
            raise NotUnderstood(UNLIKE, self.dots.place)
        self.first = self.before[len(steps) - 1]
        self.ends = steps[-1]
        up = _is_lower(*self.ends)
        told = _difference(steps[-2][0], steps[-1][0]) if len(steps) > 1 else None
        if up is None and told is None:
            raise NotUnderstood("dots, and nothing says which of their ends is the higher one", self.dots.place)
        if up is not None and told is not None and up != (told > 0):
            raise NotUnderstood("dots that lead away from where they should end", self.dots.place)
        self.up = told > 0 if told is not None else bool(up)

    @property
    def lowest(self) -> list[Token]:
        """The member with the lowest index."""
        return self.tokens[slice(*(self.first if self.up else self.after))]

    @property
    def highest(self) -> list[Token]:
        """The member with the highest index."""
        return self.tokens[slice(*(self.after if self.up else self.first))]

    @property
    def range(self) -> Range:
        """The lowest and the highest index."""
        return Range(*(self.ends if self.up else self.ends[::-1]))

    def replaced(self, tokens: list[Token]) -> list[Token]:
        """The tokens around the row, with others in its place."""
        return [*self.tokens[: self.first[0]], *tokens, *self.tokens[self.after[1] :]]


def _step(tokens: list[Token], last: list[Token]) -> tuple[Index, Index] | None:
    """The index at which one of them stands and that of the last, if they differ in nothing else."""
    if len(tokens) != len(last):
        return None
    found: list[tuple[Index, Index]] = []
    for mine, its in zip(tokens, last, strict=True):
        if mine.kind != its.kind or (mine.value != its.value and not (_indices(mine) and _bare(mine) == _bare(its))):
            return None
        found += [(a, b) for a, b in zip(_indices(mine), _indices(its), strict=True) if a != b]
    alike = all(_difference(a, found[0][0]) == _difference(b, found[0][1]) is not None for a, b in found)
    return found[0] if found and alike else None


def _is_regular(indices: list[Index]) -> bool:
    """Whether each index is one step from the next, all of them up or all of them down."""
    return len(indices) < 2 or {_difference(b, a) for a, b in pairwise(indices)} in ({1}, {-1})


def _indices(token: Token) -> list[Index]:
    index = token.value.index if isinstance(token.value, Symbol) else None
    if isinstance(index, Range):
        return [index.first, index.last]
    return [index] if index else []


def _bare(token: Token) -> tuple[Symbol, type]:
    """A letter without its index, and what kind of index it is."""
    return replace(token.value, index=None), type(token.value.index)


def _difference(one: Index, other: Index) -> int | None:
    return one.plus - other.plus if one.letter == other.letter else None


def _is_lower(one: Index, other: Index) -> bool | None:
    """Whether an index is lower than another, whatever the letters are; or that this cannot be told."""
    if (apart := _difference(one, other)) is not None:
        return apart < 0
    heights = [_height(index.letter) for index in (one, other)]
    return heights[0] < heights[1] if heights[0] != heights[1] else None


def _height(letter: str | None) -> int:
    """A number is below any letter, an earlier step s below t, and a capital, which is the last, above all."""
    if letter is None:
        return 0
    return 3 if letter.isupper() else {"t": 2}.get(letter, 1)


# What stands in its place


def _counted(tokens: list[Token], kind: str, row: _Row) -> list[Token]:
    """One sum or product in the place of all that is listed."""
    outside = [tokens[i].kind if 0 <= i < len(tokens) else "" for i in (row.first[0] - 1, row.after[1])]
    if outside[1] in ("POWER", "BELOW") or outside[0] == "SLASH":
        raise NotUnderstood(UNLIKE, row.dots.place)
    low, high = row.range.first, row.range.last
    letter = _unused_letter(row.lowest, low, high)
    if letter is None:
        raise NotUnderstood("dots, and every letter that counts is taken", row.dots.place)

    def make(name: str, value: object = None) -> Token:
        return Token(name, value, row.dots.place)

    index = [make(kind), make("BELOW"), make("OPEN", "{"), make("SYMBOL", Symbol(letter)), make("REL", ELLIPSIS)]
    index += [*_number(low, row.dots), make("CLOSE", "}"), make("POWER"), make("OPEN", "{"), *_number(high, row.dots)]
    body = [_at(letter, low, *pair) for pair in zip(row.lowest, row.highest, strict=True)]
    return row.replaced([make("LC"), *index, make("CLOSE", "}"), *body, make("RC")])


def _listed(tokens: list[Token], at: int) -> list[Token] | None:
    """A range of variables in the place of those that are listed; nothing if they are no variables."""
    end = at - (tokens[at - 1].kind == "COMMA")
    begin = at + 1 + (tokens[at + 1 : at + 2] != [] and tokens[at + 1].kind == "COMMA")
    if not all(_is_variable(token) for token in (*tokens[max(end - 1, 0) : end], *tokens[begin : begin + 1])):
        return None
    while (following := _next_variable(tokens, begin)) is not None:
        begin = following
    before: list[Span] = []
    while end > 0 and _is_variable(tokens[end - 1]):
        before.append((end - 1, end))
        end = end - 1 - (end > 1 and tokens[end - 2].kind == "COMMA")
    row = _Row(tokens, before, (begin, begin + 1), tokens[at])
    first = tokens[row.first[0]]
    place = (first.place[0], tokens[begin].place[1])
    return row.replaced([replace(_over(first, row.range), place=place)])


def _next_variable(tokens: list[Token], at: int) -> int | None:
    """Where the next variable of a list stands, if it is one step from the one at a place: x_1, …, x_{T-1}, x_T."""
    after = at + 1 + (at + 1 < len(tokens) and tokens[at + 1].kind == "COMMA")
    if after >= len(tokens) or not _is_variable(tokens[after]) or _bare(tokens[after]) != _bare(tokens[at]):
        return None
    apart = _difference(tokens[after].value.index, tokens[at].value.index)
    return after if apart in (1, -1) else None


def _is_variable(token: Token) -> bool:
    return token.kind in ("SYMBOL", "DIFFERENTIAL") and isinstance(token.value.index, Index) and not token.value.copy


def _integrals(tokens: list[Token], at: int) -> list[Token]:
    """One integral for a row of them, over all the variables that they name or over those that their end names."""
    if tokens[at - 1].kind == "INT":
        start = next((i + 1 for i in range(at - 1, -1, -1) if tokens[i].kind != "INT"), 0)
        return [*tokens[:start], *tokens[at + 1 :]]
    length = 5
    before: list[Span] = []
    while tokens[at - length * (len(before) + 1)].kind == "INT" and at >= length * (len(before) + 1):
        end = at - length * len(before)
        before.append((end - length, end))
    row = _Row(tokens, before, (at + 1, at + 1 + length), tokens[at])
    named = [_over(token, row.range) if _is_variable(token) else token for token in row.lowest]
    return row.replaced(named)


def _over(token: Token, run: Range) -> Token:
    """A variable, as a range of them."""
    return replace(token, value=replace(token.value, index=run))


def _unused_letter(tokens: list[Token], low: Index, high: Index) -> str | None:
    """A letter to count with that is not in some tokens, nor in the ends of a row."""
    used = {low.letter, high.letter}
    for token in tokens:
        if isinstance(token.value, Symbol) and isinstance(token.value.index, Index):
            used.add(token.value.index.letter)
    return next((name for name in LETTERS if name not in used), None)


def _at(letter: str, low: Index, mine: Token, its: Token) -> Token:
    """A token of the row, with the letter that counts in its index."""
    if mine.value == its.value:
        return mine
    pairs = zip(_indices(mine), _indices(its), strict=True)
    ends = [Index(letter, a.plus - low.plus) if a != b else a for a, b in pairs]
    return replace(mine, value=replace(mine.value, index=Range(*ends) if len(ends) == 2 else ends[0]))


def _number(index: Index, dots: Token) -> list[Token]:
    """An index as the tokens of a number."""
    number = [Token("NUMBER", str(abs(index.plus)), dots.place)]
    if index.letter is None:
        return number
    name = [Token("SYMBOL", Symbol(index.letter), dots.place)]
    return [*name, Token("PLUS" if index.plus > 0 else "MINUS", None, dots.place), *number] if index.plus else name
