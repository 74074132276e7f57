"""The smallest things in LaTeX: what an index is, and whether what opens is closed."""

from __future__ import annotations

import re

from diffusion_notes.equations.nodes import Index, NotUnderstood
from diffusion_notes.equations.vocabulary import BRACKETS, DROPPED, PIECE, TAKING

__all__ = ["Scanner", "balanced", "read_index"]

LIMITED = re.compile(r"\\(?:(?:sum|prod|int|iint|min)|(?:operatorname\*?|mathop)\s*\{[^{}]*\})\s*$")


def read_index(text: str, place: tuple[int, int]) -> Index:
    """The index that a text is: a letter, a number, or a letter and what is added to it."""
    found = re.fullmatch(r"([a-zA-Z])?(?:([+-]?)(0|[1-9]\d*))?", text.replace(" ", ""))
    if not text or not found or (found[1] and found[3] and not found[2]) or (found[2] and not found[1]):
        raise NotUnderstood(f"the index {text!r} is not in this book's notation", place)
    return Index(found[1], int((found[2] or "") + (found[3] or "0")))


def balanced(latex: str) -> None:
    """Brackets that grow come in pairs and stand before a bracket; environments are closed by their own name."""
    sides = re.findall(r"\\(left|right)(?![a-zA-Z])\s*(\\[a-zA-Z]+|\\.|.)", latex)
    if any(after not in BRACKETS for _, after in sides):
        raise NotUnderstood("\\left and \\right stand before a bracket")
    if [side for side, _ in sides].count("left") * 2 != len(sides):
        raise NotUnderstood("a \\left without its \\right")
    stack: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\s*\{([^}]*)\}", latex):
        if kind == "begin":
            stack.append(name)
        elif not stack or stack.pop() != name:
            raise NotUnderstood(f"\\end{{{name}}} does not close what was opened")
    if stack:
        raise NotUnderstood(f"\\begin{{{stack[-1]}}} is never closed")


def _in_columns(before: str) -> bool:
    """Whether an environment is open at the end of a text, and no brace within it."""
    plain = re.sub(r"\\[{}]", "", before)
    return before.count(r"\begin") > before.count(r"\end") and plain.count("{") == plain.count("}")


class Scanner:
    """Goes through LaTeX piece by piece, and knows where it is."""

    def __init__(self, latex: str) -> None:
        self.latex, self.at, self.tag, self.named = latex, 0, "", []

    def fail(self, why: str, start: int) -> NotUnderstood:
        """What to raise about what began at `start`."""
        return NotUnderstood(why, (start, max(self.at, start + 1)))

    def skip(self) -> None:
        """Pass over spacing, and over what belongs where it stands."""
        while found := DROPPED.match(self.latex, self.at):
            before = self.latex[: self.at]
            if found.group() == "&" and not _in_columns(before):
                raise self.fail("& stands between the columns of an environment", self.at)
            if found.group() == r"\limits" and not LIMITED.search(before):
                raise self.fail(r"\limits stands after a sum, a product or an integral", self.at)
            self.at = found.end()

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

    def raw(self) -> tuple[int, int]:
        """The argument that comes: what is in the braces, or the one piece without braces; where it stands."""
        start = self.at
        piece = self.take()
        if piece != "{":
            if not piece or piece in ("}", "^", "_", "&"):
                raise self.fail("an argument is missing here", start)
            if piece.isdigit() and len(piece) > 1:  # LaTeX takes one digit
                self.at -= len(piece) - 1
            end = self.at
            if piece in TAKING:  # as in L_\text{simple}: the argument has an argument
                end = self.raw()[1] + (self.latex[self.at - 1] == "}")
            return (end - 1 if piece.isdigit() else self.at - len(piece) if piece not in TAKING else start), end
        begin, depth = self.at, 1
        while depth:
            piece = PIECE.match(self.latex, self.at)
            if piece is None:
                raise self.fail("a brace is never closed", start)
            depth += {"{": 1, "}": -1}.get(piece.group(), 0)
            self.at = piece.end()
        return begin, self.at - 1
