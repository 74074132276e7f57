"""What can be said of an expression without a world: its terms, its indices, the constant that is added to it."""

from __future__ import annotations

from dataclasses import replace

from diffusion_notes.equations.nodes import Index, Node, Symbol

__all__ = ["constant", "indices", "terms"]


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
