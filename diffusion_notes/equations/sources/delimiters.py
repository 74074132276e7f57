r"""What displays begin and end with: `$$`, `\[`, and the environments."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["OPENS", "Delimited", "delimited", "is_prose"]

ENVIRONMENTS = (
    r"equation|displaymath|align|alignat|xalignat|xxalignat|flalign|gather|multline|eqnarray|dmath|dgroup|IEEEeqnarray"
    r"|aligned|alignedat|gathered|split"
)
OPENS = re.compile(rf"\$\$|\\\\?\[|\\begin\s*\{{\s*((?:{ENVIRONMENTS})\*?)\s*\}}")
SKIPPED = re.compile(r"\\text(?:rm|bf|it|up)?\s*\{[^{}]*\}|\\(?:mbox|intertext|mathrm|operatorname\*?)\s*\{[^{}]*\}")
PROSE = re.compile(r"(?<![\\A-Za-z{_^])[A-Za-z]{2,}[,:]?\s+[A-Za-z]{2,}[,:]?\s+[A-Za-z]{2,}")


@dataclass(frozen=True)
class Delimited:
    """Where a display stands in a text: all of it, and what is to be read of it."""

    begin: int
    end: int
    content: slice
    opening: str


def delimited(text: str, at: int) -> Delimited | None:
    """The display that begins at a place of a text; nothing, if none does, or none that ends.

    Args:
        text: The text.
        at: The place.
    """
    found = OPENS.match(text, at)
    if not found:
        return None
    closes = _closing(found).search(text, found.end())
    if not closes:
        return None
    inside = text[found.end() : closes.start()]
    if re.search(r"\n[ \t>]*\n", inside) and is_prose(inside):
        return None  # it belongs to the next one
    whole = bool(found[1])
    content = slice(at, closes.end()) if whole else slice(found.end(), closes.start())
    return Delimited(at, closes.end(), content, found.group())


def _closing(opening: re.Match[str]) -> re.Pattern[str]:
    if opening[1]:
        return re.compile(rf"\\end\s*\{{\s*{re.escape(opening[1])}\s*\}}")
    if opening.group() == "$$":
        return re.compile(r"(?<!\\)(?:(?<=\\\\))?\$\$")
    return re.compile(r"\\\\\]" if opening.group() == r"\\[" else r"(?<!\\)\\\]")


def is_prose(latex: str) -> bool:
    """Whether there are words in a row that are not set as text: no formula, then."""
    return bool(PROSE.search(SKIPPED.sub(" ", latex)))
