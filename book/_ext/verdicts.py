"""A badge beside each numbered equation: how it was checked, and a link to its entry in the ledger."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform

from diffusion_notes.equations.ledger import entry_anchor
from diffusion_notes.equations.pages import Equation, judge_page

ANCHOR = re.compile(r'<a id="(eq-[\w-]+)">')
BADGES = {  # the weakest first
    "holds": ("✓ holds", "Equation ({}) holds in all worlds that can compute it: its entry in the ledger"),
    "proved": ("✓ proved", "Equation ({}) is proved by algebra: its entry in the ledger"),
    "definition": ("≔ definition", "Equation ({}) is a definition: its entry in the ledger"),
}


def judged(path: Path) -> list[Equation]:
    """The displayed equations of a page with their verdicts; the page is judged once, until it changes."""
    return _judged(path, path.stat().st_mtime_ns)


@cache
def _judged(path: Path, time: int) -> list[Equation]:
    return judge_page(path, ())


def numbered(document: nodes.Node) -> Iterator[tuple[str, nodes.math_block]]:
    """The displayed equations of a page that have an anchor before them, by its name."""
    anchor = ""
    for node in document.findall():
        if isinstance(node, nodes.raw) and (match := ANCHOR.match(node.astext())):
            anchor = match[1]
        elif isinstance(node, nodes.math_block):
            if anchor:
                yield anchor, node
            anchor = ""


def badge(equation: Equation, href: str) -> str:
    """The badge of an equation, as HTML; nothing if there is no good verdict."""
    kinds = {verdict.kind for verdict in equation.verdicts}
    kind = next((kind for kind in BADGES if kind in kinds), "")
    if not kind or kinds - BADGES.keys():
        return ""
    words, name = BADGES[kind]
    tag = next((verdict.tag for verdict in equation.verdicts if verdict.tag), "")
    return (
        f'<p class="checked"><a class="reference internal" href="{html.escape(href)}" '
        f'aria-label="{html.escape(name.format(tag))}">{words}</a></p>'
    )


class Badges(SphinxPostTransform):
    """Put a badge after each equation that the ledger has."""

    default_priority = 200

    def run(self, **kwargs: Any) -> None:
        """Find those of this document."""
        home = ledger_page(self.env)
        path = Path(self.env.doc2path(self.env.docname))
        if home is None or self.env.docname not in self.env.metadata[home]["ledger"]:
            return
        equations = {equation.anchor: equation for equation in judged(path)}
        uri = self.app.builder.get_relative_uri(self.env.docname, home)
        for anchor, display in list(numbered(self.document)):
            text = badge(equations[anchor], f"{uri}#{entry_anchor(path, anchor)}") if anchor in equations else ""
            if text:
                display.parent.insert(display.parent.index(display) + 1, nodes.raw("", text, format="html"))


def ledger_page(env: BuildEnvironment) -> str | None:
    """The page that has the ledger."""
    return next((name for name, about in env.metadata.items() if "ledger" in about), None)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add this to Sphinx."""
    app.add_post_transform(Badges)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
