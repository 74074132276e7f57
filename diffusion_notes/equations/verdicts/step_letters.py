r"""Which letters count the steps: others write $\sum_{l=1}^{t}$, or $q(x_k \mid x_0)$ for every k.

A letter that a sum or a product binds may be any; it is renamed where it would mean something else here. A letter for
any step is t, and one for an earlier step s, if the display has no t, or no s, of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from diffusion_notes.equations.language.parser import Display, Statement
from diffusion_notes.equations.language.syntax_tree import Index, Node, Range, Symbol, free_indices, renamed
from diffusion_notes.equations.worlds.world import START

__all__ = ["with_usual_letters"]

BOUND = ("i", "j", "k", "s")
COUNTING = ("i", "j", "k", "l", "m", "n", "r", "s", "tau")
"""What may stand for a step; of these τ is no step where time has none."""

OF_STEPS = ("x", "alpha", "beta", "sigma", "eps", "L")
"""What is numbered by steps."""


def with_usual_letters(display: Display, context: str) -> Display:
    """A display about a chain x_0, …, x_T, in which t is any step, and s an earlier one; any other as it is."""
    if START[context] != "x0":
        return display
    statements = [_each(statement, _with_usual_bound) for statement in display.statements]
    named = [_each(statement, _with_usual_bound) for statement in display.named]
    new = _free_letters([*statements, *named], context)

    def change(node: Node) -> Node:
        return _with_letters(node, new)

    return replace(
        display,
        statements=[_each(statement, change) for statement in statements] if new else statements,
        named=[_each(statement, change) for statement in named] if new else named,
    )


def _each(statement: Statement, change: Callable[[Node], Node]) -> Statement:
    return replace(statement, sides=[None if side is None else change(side) for side in statement.sides])


# Letters that are bound


def _with_usual_bound(node: Node) -> Node:
    """An expression whose sums and products count with letters that count in this book."""
    node = replace(node, parts=tuple(map(_with_usual_bound, node.parts)))
    if node.kind != "total":
        return node
    letter: Symbol = node.value[1]
    if letter.base in (*BOUND, "t") or letter.base not in COUNTING or letter != Symbol(letter.base):
        return node
    used = _letters_in(node)
    new = next((name for name in BOUND if name not in used), None)
    return _with_letters(node, {letter.base: new}) if new else node


def _letters_in(node: Node) -> set[str]:
    symbols = [symbol for part in node.walk() for symbol in part.symbols()]
    return {symbol.base for symbol in symbols} | {index.letter or "" for symbol in symbols for index in _ends(symbol)}


def _ends(symbol: Symbol) -> list[Index]:
    index = symbol.index
    return [index.first, index.last] if isinstance(index, Range) else [index] if index else []


# Letters that are free


def _free_letters(statements: list[Statement], context: str) -> dict[str, str]:
    """What t is called in a display, and s, if they are called something else."""
    sides = [side for statement in statements for side in statement.expressions]
    symbols = [symbol for side in sides for part in side.walk() for symbol in part.symbols()]
    mine = any(index.letter == "t" for symbol in symbols for index in _ends(symbol)) or Symbol("t") in symbols
    numbering = {index.letter for symbol in symbols if symbol.base in OF_STEPS for index in _ends(symbol)}
    found = {index.letter for side in sides for index in free_indices(side)} & numbering
    free = {letter for letter in found if letter and letter in COUNTING}
    free -= {"tau"} if context == "score" else set()
    ranged = [statement.expressions[0].value for statement in statements if statement.kind == "range"]
    if not mine and len(free) == 1:
        return {free.pop(): "t"}
    if mine and len(free) == 1 and free != {"s"} and Symbol("s") not in symbols and not ranged:
        return {free.pop(): "s"}
    return {}


def _with_letters(node: Node, new: dict[str, str]) -> Node:
    """An expression with other letters for its steps."""

    def index(old: Index) -> Index:
        return replace(old, letter=new.get(old.letter or "", old.letter))

    def change(symbol: Symbol) -> Symbol:
        if symbol == Symbol(symbol.base):
            return Symbol(new.get(symbol.base, symbol.base))
        number = symbol.index
        if isinstance(number, Range):
            return replace(symbol, index=Range(index(number.first), index(number.last)))
        return replace(symbol, index=index(number)) if number else symbol

    return renamed(node, change)
