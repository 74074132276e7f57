r"""What would make a false relation true: one symbol changed, as it is in the errors that people make.

A bar that is missing, an index that is off by one, a sign, a square, a root, a factor of two, a condition, the two laws
of a divergence interchanged: `mutants.py` tries whether the checker notices them, and here they are undone. They are
changes of the trees, not of the LaTeX, so it makes no difference how somebody writes $\bar\alpha_t$. What is said of a
change is read after "true with".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from diffusion_notes.equations.language.syntax_tree import Index, Node, Place, Symbol
from diffusion_notes.equations.language.writing import in_latex
from diffusion_notes.equations.verdicts.comparison import INEQUALITIES
from diffusion_notes.equations.verdicts.relation import Relation
from diffusion_notes.equations.worlds.world import World

__all__ = ["repaired"]

Change = tuple[Node, str]
"""What might stand there, and how that is said."""

Rule = Callable[[Node], Iterator[Change]]

SCHEDULE = ("alpha", "beta", "sigma", "kappa")
DATA = (Symbol("x", index=Index(None, 0)), Symbol("x"))
ONE = Node("number", (), "1")
TWO = Node("number", (), "2")
HALF = Node("frac", (ONE, TWO))
COMPARING = ("sub", "frac", "div", "divergence")
LONGEST = 40


def repaired(relation: Relation, latex: str, seconds: float) -> str:
    """What would make a relation true, if the change of one symbol does; or nothing.

    Args:
        relation: A relation that does not hold.
        latex: The display that it is from.
        seconds: For how long changes are tried.
    """
    end = time.process_time() + seconds
    relation = replace(relation, definitions=dict(relation.definitions), own=True)
    world = relation.counterexample()
    for changed, said in _changes(relation, _Words(latex)):
        if time.process_time() > end:
            break
        if not _is_idle(changed) and _holds(changed, world):
            return f"true with {said}"
    return ""


def _is_idle(relation: Relation) -> bool:
    """Whether a part of it says nothing: a difference, a ratio or a divergence of two things that are the same."""
    parts = (part for side in (relation.left, relation.right) for part in side.walk())
    same = any(part.kind in COMPARING and part.parts[0] == part.parts[1] for part in parts)
    return same or relation.left == relation.right


def _holds(relation: Relation, world: World | None) -> bool:
    """Whether a relation holds, in one world first, and is no definition; where that is not clear, it does not."""
    with suppress(Exception):
        first = world is None or relation.holds_in(world)
        return bool(first) and relation.verdict()[0] in ("proved", "holds")
    return False


def _changes(relation: Relation, words: _Words) -> Iterator[tuple[Relation, str]]:
    """A relation with one change, the likely ones first."""
    rules: tuple[Rule, ...] = (
        words.letter, words.sign, words.power, words.limit, words.turned, words.variable, words.condition, words.law
    )  # fmt: skip
    for rule in rules:
        for node, said in _everywhere(relation.right, rule):
            yield replace(relation, right=node), said
        for node, said in _everywhere(relation.left, rule):
            yield replace(relation, left=node), said
    for node, said in words.factor(relation.right):
        yield replace(relation, right=node), said
    for sign in INEQUALITIES[::2] if relation.relation == "=" else _turned_sign(relation.relation):
        yield replace(relation, relation=sign), f"{sign} for {relation.relation}"


def _everywhere(node: Node, rule: Rule) -> Iterator[Change]:
    """A tree with one change at one place, for each place."""
    yield from rule(node)
    for i, part in enumerate(node.parts):
        for new, said in _everywhere(part, rule):
            yield replace(node, parts=(*node.parts[:i], new, *node.parts[i + 1 :])), said


def _turned_sign(relation: str) -> tuple[str, ...]:
    turned = {r"\ge": r"\le", r"\le": r"\ge", r"\gt": r"\lt", r"\lt": r"\gt"}
    return (turned[relation],) if relation in turned else ()


@dataclass(frozen=True)
class _Words:
    """The changes of a node, each with the words that say it.

    Args:
        latex: The display that it is from.
    """

    latex: str

    def text(self, node: Node) -> str:
        """A part of the display, as it is written there."""
        if node.kind == "symbol":
            return in_latex(node.value)
        found = " ".join(self.latex[slice(*_whole(self.latex, node.place))].split()) if node.place else "it"
        return found if len(found) <= LONGEST else found[:LONGEST].rsplit(" ", 1)[0] + " …"

    def letter(self, node: Node) -> Iterator[Change]:
        """Another letter: another index, with a bar or without."""
        if node.kind == "symbol":
            for other in _others(node.value):
                yield replace(node, value=other), f"{in_latex(other)} for {in_latex(node.value)}"

    def sign(self, node: Node) -> Iterator[Change]:
        """Another sign."""
        if node.kind == "add":
            yield replace(node, kind="sub"), f"a minus before {self.text(node.parts[1])}"
        if node.kind == "sub":
            yield replace(node, kind="add"), f"a plus before {self.text(node.parts[1])}"
        if node.kind == "neg":
            yield node.parts[0], f"no minus before {self.text(node.parts[0])}"

    def power(self, node: Node) -> Iterator[Change]:
        """A square or a root less, or more."""
        text = self.text(node)
        if node.kind == "power" and node.parts[1] == TWO:
            yield node.parts[0], f"no square in {text}"
        if node.kind == "sqrt":
            yield node.parts[0], f"no root in {text}"
        if node.kind == "norm" or _is_of_schedule(node):
            yield Node("power", (node, TWO)), f"the square of {text}"
        if _is_of_schedule(node) or (node.kind == "sub" and node.parts[0] == ONE) or node.kind == "frac":
            yield Node("sqrt", (node,)), f"the root of {text}"

    def turned(self, node: Node) -> Iterator[Change]:
        """A fraction upside down, a divergence of the second law from the first."""
        if node.kind == "frac":
            yield replace(node, parts=node.parts[::-1]), f"{self.text(node)} upside down"
        if node.kind == "divergence":
            yield replace(node, parts=node.parts[::-1]), f"the two laws of {self.text(node)} interchanged"
        if node.kind == "density" and node.parts and len(node.value) == 2 and len(node.parts[0].value) == 1:
            given = Node("given", (), node.value[1:])
            yield (
                replace(node, parts=(given,), value=(node.value[0], *node.parts[0].value)),
                f"{self.text(node)} the other way round",
            )

    def variable(self, node: Node) -> Iterator[Change]:
        """Another variable in a law."""
        first = 1 if node.kind == "density" else 0
        for i, symbol in enumerate(node.value if node.kind in ("density", "given") else ()):
            for other in _others(symbol) if i >= first else ():
                if other.base == symbol.base and other not in node.value:
                    new = replace(node, value=(*node.value[:i], other, *node.value[i + 1 :]))
                    where = f" in {self.text(node)}" if node.kind == "density" else ""
                    yield new, f"{in_latex(other)} for {in_latex(symbol)}{where}"

    def condition(self, node: Node) -> Iterator[Change]:
        """A law given the data, or not given them."""
        if node.kind != "density":
            return
        given = node.parts[0].value if node.parts else ()
        for data in DATA:
            less = tuple(symbol for symbol in given if symbol != data)
            if data in given:
                parts = (Node("given", (), less),) if less else ()
                yield replace(node, parts=parts), f"{self.text(node)} without the condition {in_latex(data)}"
            elif data not in node.value:
                parts = (Node("given", (), (*given, data)),)
                yield replace(node, parts=parts), f"{in_latex(data)} as a condition in {self.text(node)}"

    def law(self, node: Node) -> Iterator[Change]:
        """The law of the other model."""
        if node.kind == "density" and node.value[0].base in ("p", "q") and not node.value[0].accent:
            other = "q" if node.value[0].base == "p" else "p"
            yield (
                replace(node, value=(Symbol(other), *node.value[1:])),
                f"{other} for {self.text(node)[:1]} in {self.text(node)}",
            )

    def limit(self, node: Node) -> Iterator[Change]:
        """Another first or last term."""
        if node.kind != "total" or node.parts[0].kind != "number":
            return
        kind = "sum" if node.value[0] == "SUM" else "product"
        first = int(float(node.parts[0].value))
        for other in (first - 1, first + 1):
            if other >= 0:
                new = Node("number", (), str(other))
                yield replace(node, parts=(new, *node.parts[1:])), f"{other} for {first} below the {kind}"

    def factor(self, node: Node) -> Iterator[Change]:
        """A factor before a term."""
        if node.kind in ("add", "sub", "neg", "group"):
            for i, part in enumerate(node.parts):
                for new, said in self.factor(part):
                    yield replace(node, parts=(*node.parts[:i], new, *node.parts[i + 1 :])), said
            return
        for factor, name in ((HALF, r"\frac12"), (TWO, "2"), (Node("symbol", (), Symbol("D")), "D")):
            yield Node("mul", (factor, node)), f"the factor {name} before {self.text(node)}"
        yield Node("neg", (node,)), f"a minus before {self.text(node)}"


def _whole(latex: str, place: Place) -> Place:
    """A place with the braces that close after it."""
    first, last = place
    opened = latex.count("{", first, last) - latex.count("}", first, last)
    while opened > 0 and last < len(latex):
        opened -= latex[last] == "}"
        last += 1
    return first, last


def _is_of_schedule(node: Node) -> bool:
    return node.kind == "symbol" and node.value.base in SCHEDULE


def _others(symbol: Symbol) -> Iterator[Symbol]:
    """The letters for which a letter is written by mistake."""
    accents = {("alpha", ""): "bar", ("alpha", "bar"): "", ("beta", ""): "tilde", ("beta", "tilde"): ""}
    accent = accents.get((symbol.base, symbol.accent))
    if accent is not None:
        yield replace(symbol, accent=accent)
    index = symbol.index
    if isinstance(index, Index) and index.letter in ("t", "s", "i"):
        for plus in (index.plus - 1, index.plus + 1):
            if -2 <= plus <= 1:
                yield replace(symbol, index=Index(index.letter, plus))
    if symbol.base in ("alpha", "beta") and not symbol.accent:
        yield replace(symbol, base="beta" if symbol.base == "alpha" else "alpha")
    if symbol.base == "x" and index in (Index(None, 0), Index("t")):
        yield replace(symbol, index=Index("t") if index == Index(None, 0) else Index(None, 0))
