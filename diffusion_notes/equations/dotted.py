r"""Dots between terms or factors: $L_0 + L_1 + \dots + L_T$ is a sum, $\alpha_1 \alpha_2 \cdots \alpha_t$ a product.

What stands before the dots and what stands after them may differ in their indices alone, all of them by the same steps.
"""

from __future__ import annotations

from dataclasses import replace

from diffusion_notes.equations.latex import Word
from diffusion_notes.equations.nesting import matching, nesting
from diffusion_notes.equations.nodes import Index, NotUnderstood, Range, Symbol

__all__ = ["dotted"]

ENDS = ("PLUS", "MINUS", "REL", "COMMA", "SEMI", "SIM", "MID", "PAR")
LETTERS = ("i", "j", "k")

Span = tuple[int, int]


def dotted(some: list[Word]) -> list[Word]:
    """The same words, with a sum or a product for what has dots between signs or between factors."""
    for at, word in enumerate(some):
        beside = [some[i].kind if 0 <= i < len(some) else "" for i in (at - 1, at + 1)]
        if word.kind != "DOTS" or {"COMMA", ""} & set(beside):
            continue
        if beside == ["PLUS", "PLUS"]:
            return dotted(_written(some, "SUM", *_terms(some, at), word))
        wide = beside == ["TIMES", "TIMES"]
        return dotted(_written(some, "PROD", *_factors(some, at, wide), word))
    return some


def _terms(some: list[Word], at: int) -> tuple[list[Span], Span]:
    """Where the terms before some dots stand, the nearest first, and the one after them."""
    depths = nesting(some)

    def ends(i: int) -> bool:
        return depths[i] < depths[at] or (depths[i] == depths[at] and some[i].kind in ENDS)

    before, end = [], at - 1
    while end > 0 and some[end].kind == "PLUS" and depths[end] == depths[at]:
        start = next((i + 1 for i in range(end - 1, -1, -1) if ends(i)), 0)
        before.append((start, end))
        end = start - 1
    return before, (at + 2, next((i for i in range(at + 2, len(some)) if ends(i)), len(some)))


def _factors(some: list[Word], at: int, wide: bool) -> tuple[list[Span], Span]:
    """Where the factors before some dots stand, the nearest first, and the one after them."""
    before, end = [], at - wide
    while end > 0 and (start := _start(some, end)) is not None:
        before.append((start, end))
        end = start - (wide and some[start - 1].kind == "TIMES")
    start = stop = at + 1 + wide
    if stop < len(some) and some[stop].kind == "SYMBOL":
        stop += 1
        if stop < len(some) and some[stop].kind == "LP":
            stop = matching(some, stop) + 1
    return before, (start, stop)


def _start(some: list[Word], end: int) -> int | None:
    """Where a factor begins that ends here: a letter, or a letter and what stands in brackets after it."""
    if some[end - 1].kind == "RP":
        opened = next(i for i in range(end - 2, -1, -1) if some[i].kind == "LP" and matching(some, i) == end - 1)
        end = opened
    return end - 1 if end > 0 and some[end - 1].kind == "SYMBOL" else None


def _written(some: list[Word], kind: str, before: list[Span], after: Span, dots: Word) -> list[Word]:
    """The words with one sum or product in the place of all that is listed."""
    last = some[slice(*after)]
    steps, first = [], after
    for span in before:
        step = _steps(some[slice(*span)], last)
        if step is None or (steps and _minus(steps[-1][0], step[0]) != 1):
            break
        steps, first = [*steps, step], span
    outside = [some[i].kind if 0 <= i < len(some) else "" for i in (first[0] - 1, after[1])]
    if not steps or outside[1] in ("POWER", "BELOW") or outside[0] in ("MINUS", "SLASH")[kind == "PROD" :]:
        raise NotUnderstood("dots between what are not the terms or the factors of one row", dots.place)
    low, high = steps[-1]
    used = {s.index.letter for w in last for s in [w.value] if isinstance(s, Symbol) and isinstance(s.index, Index)}
    letter = next((name for name in LETTERS if name not in {*used, low.letter, high.letter}), None)
    if letter is None:
        raise NotUnderstood("dots, and every letter that counts is taken", dots.place)
    make = lambda name, value=None: Word(name, value, dots.place)  # noqa: E731
    index = [make(kind), make("BELOW"), make("OPEN", "{"), make("SYMBOL", Symbol(letter)), make("REL", "=")]
    index += [*_number(low, dots), make("CLOSE", "}"), make("POWER"), make("OPEN", "{"), *_number(high, dots)]
    body = [_shifted(mine, its, letter, low) for mine, its in zip(some[slice(*first)], last, strict=True)]
    row = [make("LC"), *index, make("CLOSE", "}"), *body, make("RC")]
    return [*some[: first[0]], *row, *some[after[1] :]]


def _indices(word: Word) -> list[Index]:
    index = word.value.index if isinstance(word.value, Symbol) else None
    return [index] if isinstance(index, Index) else [index.first, index.last] if isinstance(index, Range) else []


def _steps(some: list[Word], last: list[Word]) -> tuple[Index, Index] | None:
    """The index at which one of them stands and that of the last, if they differ in nothing else."""
    if len(some) != len(last):
        return None
    found = []
    for mine, its in zip(some, last, strict=True):
        if mine.kind != its.kind or (mine.value != its.value and not (_indices(mine) and _bare(mine) == _bare(its))):
            return None
        found += [(a, b) for a, b in zip(_indices(mine), _indices(its), strict=True) if a != b]
    alike = all(_minus(a, found[0][0]) == _minus(b, found[0][1]) is not None for a, b in found)
    return found[0] if found and alike else None


def _bare(word: Word) -> Symbol:
    return replace(word.value, index=type(word.value.index))


def _minus(one: Index, other: Index) -> int | None:
    return one.plus - other.plus if one.letter == other.letter else None


def _shifted(mine: Word, its: Word, letter: str, low: Index) -> Word:
    """A word of the row, with the letter that counts in its index."""
    if mine.value == its.value:
        return mine
    ends = [
        Index(letter, a.plus - low.plus) if a != b else a for a, b in zip(_indices(mine), _indices(its), strict=True)
    ]
    return replace(mine, value=replace(mine.value, index=Range(*ends) if len(ends) == 2 else ends[0]))


def _number(index: Index, dots: Word) -> list[Word]:
    """An index as the words of a number."""
    number = [Word("NUMBER", str(abs(index.plus)), dots.place)]
    if index.letter is None:
        return number
    name = [Word("SYMBOL", Symbol(index.letter), dots.place)]
    return [*name, Word("PLUS" if index.plus > 0 else "MINUS", None, dots.place), *number] if index.plus else name
