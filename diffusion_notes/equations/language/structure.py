"""What has to come in pairs before anything can be read: braces, environments, brackets that grow; and columns."""

from __future__ import annotations

import re

from diffusion_notes.equations.language.pieces import BRACKETS
from diffusion_notes.equations.language.syntax_tree import NotUnderstood
from diffusion_notes.equations.language.tokens import MOST, Token

__all__ = ["TOO_DEEP", "check_braces", "check_environments", "doubt_columns", "partners"]

TOO_DEEP = "groups within groups, too deep to follow"


def partners(latex: str) -> dict[int, str]:
    r"""What each `\left` and `\right` has for its partner, by where it stands; environments are closed by their name.

    Raises:
        NotUnderstood: If they do not come in pairs.
    """
    found_partners: dict[int, str] = {}
    opened: list[tuple[int, str]] = []
    for found in re.finditer(r"\\(left|right)(?![a-zA-Z])\s*(\\[a-zA-Z]+|\\.|.)", latex):
        side, bracket = found.groups()
        if bracket not in BRACKETS:
            raise NotUnderstood("\\left and \\right stand before a bracket", found.span())
        if side == "left":
            opened.append((found.start(), bracket))
            continue
        if not opened:
            raise NotUnderstood("a \\right without its \\left", found.span())
        start, partner = opened.pop()
        found_partners[start] = bracket
        found_partners[found.start()] = partner
    if opened:
        raise NotUnderstood("a \\left without its \\right", (opened[-1][0], opened[-1][0] + len(r"\left")))
    return found_partners


def check_environments(latex: str) -> None:
    """Environments are closed by their own name."""
    stack: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\s*\{([^}]*)\}", latex):
        if kind == "begin":
            stack.append(name)
        elif not stack or stack.pop() != name:
            raise NotUnderstood(f"\\end{{{name}}} does not close what was opened")
    if stack:
        raise NotUnderstood(f"\\begin{{{stack[-1]}}} is never closed")


def check_braces(latex: str) -> None:
    """Braces come in pairs, and are not too many within one another."""
    opened: list[int] = []
    for found in re.finditer(r"\\.|[{}]", latex, re.S):
        place = found.span()
        if found.group() == "{":
            opened.append(found.start())
        elif found.group() == "}":
            if not opened:
                raise NotUnderstood("a brace is closed that was not opened", place)
            opened.pop()
        if len(opened) > MOST:  # told before all of it is read again at each depth
            raise NotUnderstood(TOO_DEEP, place)
    if opened:
        raise NotUnderstood("a brace is never closed", (opened[-1], opened[-1] + 1))


def _columns(latex: str) -> set[int]:
    """Where the marks stand that part the columns of an environment."""
    found: set[int] = set()
    opened: list[str] = []
    for piece in re.finditer(r"\\(begin|end)\s*\{[^}]*\}|\\.|[{}&]", latex, re.S):
        if piece[1] == "begin" or piece.group() == "{":
            opened.append(piece[1] or "{")
        elif piece[1] == "end" or piece.group() == "}":
            opened.pop()
        elif piece.group() == "&" and opened[-1:] == ["begin"]:
            found.add(piece.start())
    return found


def doubt_columns(tokens: list[Token], latex: str) -> list[Token]:
    """The same, with a doubt for each & that stands in no environment."""
    columns = _columns(latex)

    def checked(token: Token) -> Token:
        if token.kind != "COLUMN" or token.place[0] in columns:
            return token
        why = NotUnderstood("& stands between the columns of an environment", token.place)
        return Token("UNREAD", why, token.place)

    return [checked(token) for token in tokens]
