"""The scanner: it goes through LaTeX piece by piece, and knows where it is."""

from __future__ import annotations

import re

from diffusion_notes.equations.language.pieces import ARITY, DROPPED, LIMITED, PIECE
from diffusion_notes.equations.language.syntax_tree import NotUnderstood, Place

__all__ = ["Scanner"]

ARGUMENT = re.compile(r"\s*(?:\{|\[[^\[\]{}]*\](?=\s*\{))")
"""How the argument of a command begins whose number of arguments nobody knows."""


class Scanner:
    """Goes through LaTeX piece by piece.

    Args:
        latex: The LaTeX, up to the end of the stretch that is read.
        at: Where the stretch begins.
    """

    def __init__(self, latex: str, at: int = 0) -> None:
        self.latex = latex
        self.at = at

    def fail(self, why: str, start: int) -> NotUnderstood:
        """What to raise about what began at `start`."""
        return NotUnderstood(why, (start, max(self.at, start + 1)))

    def text(self, place: Place) -> str:
        """The LaTeX of a place."""
        return self.latex[slice(*place)]

    def skip(self) -> None:
        """Pass over spacing, and over what only arranges."""
        while (found := DROPPED.match(self.latex, self.at)) and not self.misplaced(found.group(), self.at):
            self.at = found.end()

    def misplaced(self, piece: str, at: int) -> str:
        """Why a piece that is dropped elsewhere may not stand here, if it may not."""
        if piece == r"\limits" and not LIMITED.search(self.latex[:at]):
            return r"\limits stands after a sum, a product or an integral"
        return ""

    def peek(self) -> str:
        """The piece that comes."""
        self.skip()
        found = PIECE.match(self.latex, self.at)
        return found.group() if found else ""

    def take(self) -> str:
        """The piece that comes, and pass over it."""
        piece = self.peek()
        self.at += len(piece)
        return piece

    def comes(self, pattern: re.Pattern[str]) -> bool:
        """Whether a pattern comes."""
        return pattern.match(self.latex, self.at) is not None

    def optional(self) -> str | None:
        """What stands in square brackets, if they come at once; it is passed."""
        found = re.compile(r"\s*\[([^\[\]]*)\]").match(self.latex, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[1]

    def pass_command(self, start: int) -> None:
        """Pass over what began at `start`, and if it is a command, over the arguments that nobody has passed yet."""
        found = PIECE.match(self.latex, start)
        end = found.end() if found else start
        if self.at > end:
            return
        self.at = end
        while self.latex[start] == "\\" and (found := ARGUMENT.match(self.latex, self.at)):
            self.at = found.end()
            if found.group().endswith("{"):
                self._in_braces(start)

    def argument(self) -> Place:
        """Where the argument that comes stands, and pass over it: what is in the braces, or the one piece without."""
        start = self.at
        piece = self.take()
        return self._in_braces(start) if piece == "{" else self._without_braces(piece, start)

    def rest(self) -> Place:
        """Where all that is left stands, and pass over it."""
        start = self.at
        self.at = len(self.latex)
        return start, self.at

    def _without_braces(self, piece: str, start: int) -> Place:
        if not piece or piece in ("}", "^", "_", "&"):
            raise self.fail("an argument is missing here", start)
        if piece in ARITY:  # as in L_\text{simple}: the argument has an argument
            for _ in range(ARITY[piece]):
                self.argument()
            return start, self.at
        if piece.isdigit():  # LaTeX takes one digit
            self.at -= len(piece) - 1
            return self.at - 1, self.at
        return self.at - len(piece), self.at

    def _in_braces(self, start: int) -> Place:
        begin = self.at
        depth = 1
        while depth:
            piece = PIECE.match(self.latex, self.at)
            if piece is None:
                raise self.fail("a brace is never closed", start)
            depth += {"{": 1, "}": -1}.get(piece.group(), 0)
            self.at = piece.end()
        return begin, self.at - 1
