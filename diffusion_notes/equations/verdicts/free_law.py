r"""A law q of the latents that may be any: the variational $q(z)$, which is given nothing.

Where $q(z)$ stands alone in a relation, and no $q(z \mid x)$ beside it, $\mathbb{E}_q$ is an average over it, and so is
an expectation that names no law; the bound is the one of that q. It is tried with a law that is neither the encoder nor
the prior nor the posterior: that of all latents together.
"""

from __future__ import annotations

from dataclasses import replace

from diffusion_notes.equations.language.syntax_tree import Node, Symbol

__all__ = ["with_free_law"]

Q = Symbol("q")
BARE = Node("bare", (), (Q,))
PHI = Node("symbol", (), Symbol("phi"))
LATENTS = {"vae": "z", "hvae": "z"}


def with_free_law(context: str, *sides: Node) -> tuple[Node, ...]:
    """The sides, with q(z) wherever q is meant and not written out, if they are about such a law.

    Args:
        context: The chapter.
        sides: The sides of a relation.
    """
    nodes = [node for side in sides for node in side.walk()]
    laws = [node for node in nodes if node.kind == "density" and node.value[0].base == "q"]
    alone = [law for law in laws if not law.parts and all(symbol.base == "z" for symbol in law.value[1:])]
    bounds = [node for node in nodes if node.kind == "call" and node.value[0].name == "calL" and BARE in node.parts]
    if context not in LATENTS or len(alone) < len(laws) or not (alone or bounds):
        return sides
    law = alone[0] if alone else Node("density", (), (Q, Symbol(LATENTS[context])))
    return tuple(_told(side, law) for side in sides)


def _told(node: Node, law: Node) -> Node:
    """A part of a side with the law written out."""
    match node.kind:
        case "symbol" if node.value == Symbol("calL"):
            return Node("call", (BARE,), (node.value,), node.place)
        case "call" if node.value[0] == Symbol("calL") and BARE in node.parts:
            return node
        case "call" if node.value[0] == Symbol("calL") and PHI not in node.parts:
            return replace(node, parts=(*node.parts, BARE))
        case "bare":
            return replace(law, value=(node.value[0], *law.value[1:]), place=node.place)
        case "expectation" if not _laws(node):
            inside = tuple(_told(part, law) for part in node.parts)
            return replace(node, parts=(law, *inside))
        case "drawn" if node.parts[0].kind == "bare":
            return replace(node, parts=(replace(law, value=(node.parts[0].value[0], *node.value)),))
    return replace(node, parts=tuple(_told(part, law) for part in node.parts))


def _laws(expectation: Node) -> tuple[Node, ...]:
    """What is written below an expectation, or in its brackets as a condition."""
    given = expectation.parts[-1].kind == "given"
    return expectation.parts if given else expectation.parts[:-1]
