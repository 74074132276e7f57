"""What can be said of an expression without a world: its terms, its indices, the constant that is added to it."""

from __future__ import annotations

from dataclasses import replace

from diffusion_notes._arguments.values import check_kind
from diffusion_notes.equations.nodes import Index, Node, Symbol
from diffusion_notes.equations.reading import expression, read

__all__ = ["constant", "contains", "indices", "numbers", "terms"]

UNWRITTEN = {Symbol("eps"), Symbol("v"), *(Symbol(base, label="theta") for base in ("eps", "x", "v", "mu"))}
PLAIN = ("number", "add", "sub", "neg", "mul", "div", "frac", "power", "sqrt", "exp", "log", "group")


def constant(node: Node) -> tuple[Node | None, tuple[Node, ...]]:
    """An expression without the constants that are added to it, and the constants."""
    named = node.value[0] if node.kind == "call" else node.value if node.kind == "symbol" else None
    if node.kind == "constant" or named == Symbol("C"):
        return None, (node,)
    if node.kind in ("add", "sub"):
        (a, first), (b, second) = (constant(part) for part in node.parts)
        if b is None:
            return a, first + second
        if a is None:
            return (b if node.kind == "add" else replace(node, kind="neg", parts=(b,))), first + second
        return replace(node, parts=(a, b)), first + second
    return node, ()


def terms(node: Node) -> list[Node]:
    """What is added up in an expression."""
    if node.kind in ("add", "sub", "neg", "group"):
        return [term for part in node.parts for term in terms(part)]
    return [node]


def numbers(node: Node) -> list[Node]:
    """The largest parts of an expression that have no letter in them."""
    if node.kind in PLAIN and not any(part.kind not in PLAIN for part in node.walk()):
        return [node]
    return [found for part in node.parts for found in numbers(part)]


def indices(node: Node) -> list[Index]:
    """The indices in an expression that nothing in it binds; a `t` of its own counts, and one that is not written."""
    found: list[Index] = []
    for symbol in node.symbols():
        index = symbol.index
        found += [index] if isinstance(index, Index) else [index.first, index.last] if index else []
        unwritten = node.kind == "symbol" and symbol in UNWRITTEN
        found += [Index("t")] if symbol == Symbol("t") or unwritten else []
    if node.kind == "total":
        letter, body = node.value[1].base, node.parts[-1]
        within = [index for index in indices(body) if index.letter != letter]
        return within + [index for part in node.parts[:-1] for index in indices(part)]
    found += [index for part in node.parts for index in indices(part)]
    drawn = [part.value[0] for part in node.parts if part.kind in ("variable", "drawn")]
    if node.kind in ("expectation", "variance") and Symbol("t") in drawn:
        return [index for index in found if index.letter != "t"]
    return found


def contains(latex: str, part: str) -> bool:
    r"""Whether an expression occurs in an equation, right of its first relation.

    Args:
        latex: The equation.
        part: The expression; a bare letter is found with any arguments, $\tilde\mu_t$ in $\tilde\mu_t(x_t, x_0)$, and
            a density whether or not its parameters are written, with its variables in any order.

    Raises:
        TypeError: If one of them is no string.
        NotUnderstood: If one of them is not in the book's notation.

    Example:
        >>> contains(r"\beta_t = 1 - \alpha_t", r"\alpha_t"), contains(r"\beta_t = 1 - \alpha_t", r"\beta_t")
        (True, False)
    """
    check_kind("latex", latex, str, "a string")
    check_kind("part", part, str, "a string")
    wanted = _plain(expression(part))
    sides = [side for i, s in enumerate(read(latex).statements) for side in s.sides[0 if i else 1 :] if side]
    found = (node for side in sides for node in _plain(side).walk())
    return any(node == wanted or (wanted.kind == "symbol" and wanted.value in node.symbols()) for node in found)


def _plain(node: Node) -> Node:
    value = node.value
    if node.kind in ("density", "given"):
        law = 1 if node.kind == "density" else 0
        symbols = [replace(symbol, label="") for symbol in value]
        value = (*symbols[:law], *sorted(symbols[law:], key=str))
    return replace(node, parts=tuple(map(_plain, node.parts)), value=value)
