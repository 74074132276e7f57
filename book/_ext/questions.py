"""Questions of exercises that can be answered in the page: their maths is set, and ``exercises.js`` asks them."""

from __future__ import annotations

import html
import re
from typing import Any

import sphinxcontrib.katex  # type: ignore[import-untyped]  # it has none
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

FORM = "<form data-question="
MATHS = re.compile(r"\$([^$]+)\$")


def with_maths(text: str) -> str:
    """HTML with ``$…$`` in it set by KaTeX."""

    def shown(match: re.Match[str]) -> str:
        return f'<span class="math">{sphinxcontrib.katex.render_latex(html.unescape(match[1]))}</span>'

    return MATHS.sub(shown, text)


class Questions(SphinxPostTransform):
    """Set their maths."""

    default_priority = 220

    def run(self, **kwargs: Any) -> None:
        """Find those of this document."""
        for raw in list(self.document.findall(nodes.raw)):
            if FORM in raw.astext():
                raw.replace_self(nodes.raw("", with_maths(raw.astext()), format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Add all this to Sphinx."""
    app.add_post_transform(Questions)
    app.add_css_file("exercises.css")
    app.add_js_file("exercises.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
