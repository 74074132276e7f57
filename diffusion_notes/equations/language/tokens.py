"""Tokens: what a formula is made of before it is a tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diffusion_notes.equations.language.syntax_tree import Place

__all__ = ["MOST", "Named", "Token", "kind_at"]

MOST = 300
"""How many tokens an expression, and how many braces within braces: what is read recursively has an end."""


@dataclass(frozen=True)
class Token:
    """A token of a formula: its kind, what it stands for, and where it was read.

    The value is a `Symbol` for a letter, the digits of a number, the sign of a relation, the words of a `TEXT`, the
    reason (`NotUnderstood`) of what is `UNREAD`, and nothing for most others.
    """

    kind: str
    value: Any
    place: Place


Named = tuple[Place, Place]
"""Where the name below a brace stands, and where what the brace holds."""


def kind_at(tokens: list[Token], at: int) -> str:
    """The kind of the token at a place, or nothing where there is none."""
    return tokens[at].kind if 0 <= at < len(tokens) else ""
