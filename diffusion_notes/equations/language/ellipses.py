r"""Dots between terms or factors: $L_0 + L_1 + \dots + L_T$ is a sum, $\alpha_1 \alpha_2 \cdots \alpha_t$ a product.

What stands before the dots and what stands after them may differ in their indices alone, all of them by the same steps.
"""

from __future__ import annotations

from dataclasses import replace

from diffusion_notes.equations.language.lexer import Token
from diffusion_notes.equations.language.normalisation import bracket_depths, matching_bracket
from diffusion_notes.equations.language.syntax_tree import Index, NotUnderstood, Range, Symbol

__all__ = ["expand_ellipses"]

ENDS = ("PLUS", "MINUS", "REL", "COMMA", "SEMI", "SIM", "MID", "PAR")
LETTERS = ("i", "j", "k")

Span = tuple[int, int]


def expand_ellipses(tokens: list[Token]) -> list[Token]:
    """The same tokens, with a sum or a product for what has dots between signs or between factors."""
    for at, token in enumerate(tokens):
        beside = [tokens[i].kind if 0 <= i < len(tokens) else "" for i in (at - 1, at + 1)]
        if token.kind != "DOTS" or {"COMMA", ""} & set(beside):
            continue
        if beside == ["PLUS", "PLUS"]:
            before, after = _terms(tokens, at)
            return expand_ellipses(_written_out(tokens, "SUM", before, after, token))
        before, after = _factors(tokens, at, wide=beside == ["TIMES", "TIMES"])
        return expand_ellipses(_written_out(tokens, "PROD", before, after, token))
    return tokens


def _terms(tokens: list[Token], at: int) -> tuple[list[Span], Span]:
    """Where the terms before some dots stand, the nearest first, and the one after them."""
    depths = bracket_depths(tokens)

    def ends(i: int) -> bool:
        return depths[i] < depths[at] or (depths[i] == depths[at] and tokens[i].kind in ENDS)

    before: list[Span] = []
    end = at - 1
    while end > 0 and tokens[end].kind == "PLUS" and depths[end] == depths[at]:
        start = next((i + 1 for i in range(end - 1, -1, -1) if ends(i)), 0)
        before.append((start, end))
        end = start - 1
    return before, (at + 2, next((i for i in range(at + 2, len(tokens)) if ends(i)), len(tokens)))


def _factors(tokens: list[Token], at: int, wide: bool) -> tuple[list[Span], Span]:
    """Where the factors before some dots stand, the nearest first, and the one after them."""
    before: list[Span] = []
    end = at - wide
    while end > 0 and (start := _factor_start(tokens, end)) is not None:
        before.append((start, end))
        end = start - (wide and tokens[start - 1].kind == "TIMES")
    begin = at + 1 + wide
    stop = begin
    if stop < len(tokens) and tokens[stop].kind == "SYMBOL":
        stop += 1
        if stop < len(tokens) and tokens[stop].kind == "LP":
            stop = matching_bracket(tokens, stop) + 1
    return before, (begin, stop)


def _factor_start(tokens: list[Token], end: int) -> int | None:
    """Where a factor begins that ends here: a letter, or a letter and what stands in brackets after it."""
    if tokens[end - 1].kind == "RP":
        pairs = (i for i in range(end - 2, -1, -1) if tokens[i].kind == "LP" and matching_bracket(tokens, i) == end - 1)
        end = next(pairs)
    return end - 1 if end > 0 and tokens[end - 1].kind == "SYMBOL" else None


def _written_out(tokens: list[Token], kind: str, before: list[Span], after: Span, dots: Token) -> list[Token]:
    """The tokens with one sum or product in the place of all that is listed."""
    last = tokens[slice(*after)]
    steps: list[tuple[Index, Index]] = []
    first = after
    for span in before:
        step = _step(tokens[slice(*span)], last)
        if step is None or (steps and _difference(steps[-1][0], step[0]) != 1):
            break
        steps.append(step)
        first = span
    outside = [tokens[i].kind if 0 <= i < len(tokens) else "" for i in (first[0] - 1, after[1])]
    stuck = ("SLASH",) if kind == "PROD" else ("MINUS", "SLASH")
    if not steps or outside[1] in ("POWER", "BELOW") or outside[0] in stuck:
        raise NotUnderstood("dots between what are not the terms or the factors of one row", dots.place)
    low, high = steps[-1]
    letter = _unused_letter(last, low, high)
    if letter is None:
        raise NotUnderstood("dots, and every letter that counts is taken", dots.place)

    def make(name: str, value: object = None) -> Token:
        return Token(name, value, dots.place)

    index = [make(kind), make("BELOW"), make("OPEN", "{"), make("SYMBOL", Symbol(letter)), make("REL", "=")]
    index += [*_number(low, dots), make("CLOSE", "}"), make("POWER"), make("OPEN", "{"), *_number(high, dots)]
    body = [_counted(mine, its, letter, low) for mine, its in zip(tokens[slice(*first)], last, strict=True)]
    row = [make("LC"), *index, make("CLOSE", "}"), *body, make("RC")]
    return [*tokens[: first[0]], *row, *tokens[after[1] :]]


def _unused_letter(tokens: list[Token], low: Index, high: Index) -> str | None:
    """A letter to count with that is not in some tokens, nor in the ends of a row."""
    used = {low.letter, high.letter}
    for token in tokens:
        if isinstance(token.value, Symbol) and isinstance(token.value.index, Index):
            used.add(token.value.index.letter)
    return next((name for name in LETTERS if name not in used), None)


def _indices(token: Token) -> list[Index]:
    index = token.value.index if isinstance(token.value, Symbol) else None
    if isinstance(index, Range):
        return [index.first, index.last]
    return [index] if index else []


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


def _bare(token: Token) -> tuple[Symbol, type]:
    """A letter without its index, and what kind of index it is."""
    return replace(token.value, index=None), type(token.value.index)


def _difference(one: Index, other: Index) -> int | None:
    return one.plus - other.plus if one.letter == other.letter else None


def _counted(mine: Token, its: Token, letter: str, low: Index) -> Token:
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
