"""What a careful setter sees to: what belongs together stays in one line, and numbers look like numbers.

A browser may end a line after any formula, also before the comma that belongs to it; a program prints a hyphen where a
minus is meant. A quotation of one paragraph in a section is the line to take away from it, one with a list is an
algorithm; each gets a class, by which it has its look.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

AFTER = re.compile(r"""[.,;:!?)\]’”"'…-]+""")
BEFORE = re.compile(r"""[(\["“‘±]+\Z""")
TOGETHER = [
    (re.compile(r" ± ?"), "\u00a0±\u00a0"),
    (re.compile(r"(?<=\d) (?=%)"), "\u00a0"),
    (re.compile(r"\bet al\."), "et\u00a0al."),
]
HYPHEN = re.compile(r"(?<![\w.)])-(?=\.?\d)")
NUMBER = re.compile(r"[−–-]?(?:[<>≤≥≈] ?)?(?:\d[\d.,]*(?:e[+-]\d+)?)?%?(?:\u00a0±\u00a0[\d.]+)?(?: nats| s)?")
VERBATIM = (nodes.literal, nodes.literal_block, nodes.raw, nodes.math, nodes.math_block, nodes.comment)


class Typography(SphinxPostTransform):
    """See to all of this in a page."""

    default_priority = 230  # after symbols have become links

    def run(self, **kwargs: Any) -> None:
        """Text first, tables then, since they look at it, and formulas last, which change its pieces."""
        for text in list(self.document.findall(nodes.Text)):
            kept = kept_together(text.astext())
            if kept != text.astext() and not isinstance(text.parent, VERBATIM):
                text.parent.replace(text, nodes.Text(kept))
        for table in self.document.findall(nodes.table):
            set_numbers(table)
        for math in list(self.document.findall(nodes.math)):
            keep_punctuation(math)
        for quote in self.document.findall(nodes.block_quote):
            if isinstance(quote.parent, nodes.section):
                is_line = len(quote) == 1 and isinstance(quote[0], nodes.paragraph)
                quote["classes"].append("takeaway" if is_line else "algorithm")


def kept_together(text: str) -> str:
    """A text with spaces at which no line ends, where none should."""
    for pattern, replacement in TOGETHER:
        text = pattern.sub(replacement, text)
    return text


def set_numbers(table: nodes.table) -> None:
    """Give numbers a minus, and let a column of them stand at its right edge, with its heading."""
    rows = list(table.findall(nodes.row))
    head = [row for row in rows if isinstance(row.parent, nodes.thead)]
    body = [row for row in rows if not isinstance(row.parent, nodes.thead)]
    for row in body:
        for text in list(row.findall(nodes.Text)):
            if HYPHEN.search(text) and not isinstance(text.parent, VERBATIM):
                text.parent.replace(text, nodes.Text(HYPHEN.sub("−", text)))
    for entries in zip(*body, strict=False):
        if any(entry.astext().strip("– ") for entry in entries) and all(map(is_number, entries)):
            place = body[0].index(entries[0])
            for row in (*head, *body):
                if place < len(row) and "text-right" not in row[place]["classes"]:
                    row[place]["classes"] = [*(c for c in row[place]["classes"] if c != "text-left"), "text-right"]


def is_number(entry: nodes.Element) -> bool:
    """Whether there is nothing but a number in it, with its error and its unit if it has them, or nothing at all."""
    return not list(entry.findall(nodes.math)) and bool(NUMBER.fullmatch(entry.astext().strip()))


def keep_punctuation(math: nodes.math) -> None:
    """Put a formula into one box with the marks that stand at it; within itself it may still break."""
    whole = math.parent if isinstance(math.parent, nodes.reference) and "symbol" in math.parent["classes"] else math
    around = whole.parent
    place = around.index(whole)
    before = around[place - 1] if place else None
    after = around[place + 1] if place + 1 < len(around) else None
    opening = BEFORE.search(before) if isinstance(before, nodes.Text) else None
    closing = AFTER.match(after) if isinstance(after, nodes.Text) else None
    if not opening and not closing:
        return
    kept = nodes.inline("", "", classes=["keep"])
    around.remove(whole)
    around.insert(place, kept)
    if opening:
        around[place - 1] = nodes.Text(before[: opening.start()])
        kept += nodes.Text(opening[0])
    kept += whole
    if closing:
        kept += nodes.Text(closing[0])
        around[place + 1] = nodes.Text(after[closing.end() :])


def setup(app: Sphinx) -> dict[str, bool]:
    """Add this to Sphinx."""
    app.add_post_transform(Typography)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
