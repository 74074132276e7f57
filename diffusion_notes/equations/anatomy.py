"""What can be said of an expression without a world: its terms, its indices, the constant that is added to it."""

from __future__ import annotations

from dataclasses import replace

from diffusion_notes.equations.nodes import Index, Node, Symbol
from diffusion_notes.equations.reading import expression, read

__all__ = ["constant", "contains", "indices", "terms"]


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


def indices(node: Node) -> list[Index]:
    """All indices in an expression; a `t` of its own counts too."""
    found: list[Index] = []
    for part in node.walk():
        for symbol in part.symbols():
            index = symbol.index
            found += [index] if isinstance(index, Index) else [index.first, index.last] if index else []
            found += [Index("t")] if symbol == Symbol("t") else []
    return found


def contains(latex: str, part: str) -> bool:
    r"""Whether an expression occurs in an equation, right of its first relation.

    Args:
        latex: The equation.
        part: The expression; a bare letter is found with any arguments, $\tilde\mu_t$ in $\tilde\mu_t(x_t, x_0)$.

    Raises:
        NotUnderstood: If one of them is not in the book's notation.

    Example:
        >>> contains(r"\beta_t = 1 - \alpha_t", r"\alpha_t"), contains(r"\beta_t = 1 - \alpha_t", r"\beta_t")
        (True, False)
    """
    wanted = expression(part)
    sides = [side for i, s in enumerate(read(latex).statements) for side in s.sides[0 if i else 1 :] if side]
    found = (node for side in sides for node in side.walk())
    return any(node == wanted or (wanted.kind == "symbol" and wanted.value in node.symbols()) for node in found)
