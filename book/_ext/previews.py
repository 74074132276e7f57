"""What a link leads to, shown beside it: an equation, a figure, a citation, a symbol of the notation.

The contents are made here, once, and only those that a page refers to and does not have itself: a page fetches nothing,
so this works from a file as well. ``previews.js`` shows them. Without scripts, links are links.

A symbol is a link to its row in the notation wherever it comes first in a section.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterator
from typing import Any

import sphinxcontrib.katex  # type: ignore[import-untyped]  # it has none
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

from verdicts import ledger_page, numbered

LINK = re.compile(r'<a class="[^"]*\breference internal\b[^"]*" href="([^"#]*)\.html#([\w-]+)"')
HEAVY = 40_000  # bytes of a still picture that a page does not carry for another's figure
CONTENTS: dict[tuple[str, str], str] = {}  # by the page and the id there; of this build
DOCUMENTS: dict[str, nodes.document] = {}


# -- symbols -----------------------------------------------------------------------------------------


def bare(latex: str) -> str:
    """A symbol as it is compared: without what only makes room."""
    return re.sub(r"\\[,;!:> ]|\\(?:[bB]igg?[lr]?)(?![a-zA-Z])|\s|[{}]", "", latex.replace(r"\mid", "|"))


def slug(latex: str) -> str:
    """The id of a symbol's row: ``symbol-bar-alpha-t``."""
    return "symbol-" + "-".join(re.findall(r"[A-Za-z0-9]+", latex))


def has_symbols(table: nodes.table) -> bool:
    """Whether it is one of those that say what the symbols mean."""
    heading = next(iter(table.findall(nodes.entry)), None)
    return heading is not None and heading.astext() == "Symbol"


def remember(app: Sphinx, document: nodes.document) -> None:
    """Note the equations and the symbols of a page that has just been read."""
    about = app.env.metadata[app.env.docname]
    about["equations"] = {anchor: display.astext() for anchor, display in numbered(document)}
    symbols: dict[str, str] = {}
    twice = set()
    for table in filter(has_symbols, document.findall(nodes.table)):
        for row in (row for body in table.findall(nodes.tbody) for row in body):
            for math in row[0].findall(nodes.math):
                symbol = bare(math.astext())
                twice |= {symbol} & symbols.keys()
                symbols[symbol] = row["ids"][0] if row["ids"] else slug(math.astext())
                row["ids"] = row["ids"] or [symbols[symbol]]
    about["symbols"] = {symbol: name for symbol, name in symbols.items() if symbol not in twice}
    slugs = {name: (0, name, name) for name in symbols.values()}
    about["myst_slugs"] = {**about.get("myst_slugs", {}), **slugs}


def notation_page(env: BuildEnvironment) -> str | None:
    """The page that says what the symbols mean."""
    return next((name for name, about in env.metadata.items() if about.get("symbols")), None)


class SymbolLinks(SphinxPostTransform):
    """In a chapter, link a symbol to the notation where it comes first in a section.

    Single letters are left alone: a link at each would be in the way, and some mean another thing for a line or two.
    """

    default_priority = 210
    ELSEWHERE = (nodes.reference, nodes.title, nodes.caption, nodes.table, nodes.figure, nodes.raw)

    def run(self, **kwargs: Any) -> None:
        """Link those of this document."""
        notation = notation_page(self.env)
        if notation is None or not self.env.doc2path(self.env.docname).endswith(".ipynb"):
            return
        symbols = self.env.metadata[notation]["symbols"]
        for section in self.document.findall(lambda node: isinstance(node, nodes.section) and is_inner(node)):
            seen = set()
            for math in list(section.findall(nodes.math)):
                symbol = bare(math.astext())
                if symbol in symbols and symbol not in seen and len(symbol) > 1 and self.is_in_text(math):
                    seen.add(symbol)
                    self.link(math, notation, symbols[symbol])

    def link(self, math: nodes.math, notation: str, name: str) -> None:
        """Put a link around a symbol."""
        link = make_refnode(self.app.builder, self.env.docname, notation, name, math.deepcopy())
        link["classes"] = ["symbol"]
        # the maths is a name for those who hear it, but one that not all programs find
        link += nodes.inline("", ", in the notation", classes=["visually-hidden"])
        math.replace_self(link)

    def is_in_text(self, node: nodes.Node) -> bool:
        """Whether it stands in a paragraph that is read as such."""
        return not any(isinstance(above, self.ELSEWHERE) for above in ancestors(node))


def ancestors(node: nodes.Node) -> Iterator[nodes.Node]:
    """What a node is in, from the inside out."""
    while node.parent is not None:
        node = node.parent
        yield node


def is_inner(section: nodes.Node) -> bool:
    """Whether it is a section of a page, and not the page, nor a section of such a section."""
    return sum(isinstance(above, nodes.section) for above in ancestors(section)) == 1


# -- contents ----------------------------------------------------------------------------------------


def content(app: Sphinx, page: str, name: str) -> str:
    """What stands at an id of a page, as HTML; nothing if it is none of what is shown beside a link."""
    if (page, name) not in CONTENTS:
        CONTENTS[page, name] = made(app, page, name)
    return CONTENTS[page, name]


def made(app: Sphinx, page: str, name: str) -> str:
    """The content, made anew."""
    about = app.env.metadata.get(page, {})
    if name in about.get("equations", {}):
        latex = about["equations"][name]
        number = re.search(r"\\tag\{([^}]*)\}", latex)
        title = html.escape(", ".join(filter(None, (number and f"({number[1]})", app.env.titles[page].astext()))))
        return f'<p class="where">{title}</p>{sphinxcontrib.katex.render_latex(latex, {"displayMode": True})}'
    if page not in DOCUMENTS:
        DOCUMENTS[page] = app.env.get_and_resolve_doctree(page, app.builder)
    document = DOCUMENTS[page]
    target = document.ids.get(name) or next((n for n in document.findall(nodes.row) if name in n["ids"]), None)
    match target:
        case nodes.citation():
            return rendered(app, target.children[1:])
        case nodes.row():
            symbol, code, meaning = target
            parts = [*symbol, nodes.paragraph("", "", *meaning[0].children)]
            if code.astext().strip("– "):
                parts.append(nodes.paragraph("", "", nodes.Text("In the code: "), *code[0].children, classes=["where"]))
            return rendered(app, parts)
        case nodes.figure():
            return shown_figure(app, page, name, document, target)
    return ""


def rendered(app: Sphinx, parts: list[nodes.Node]) -> str:
    """Some nodes as HTML."""
    inner = nodes.container("", *(part.deepcopy() for part in parts))
    fragment = app.builder.render_partial(inner)["fragment"]  # type: ignore[attr-defined]  # an HTML builder has it
    return re.sub(r' id="[^"]*"', "", fragment)  # the page may have that id


def shown_figure(app: Sphinx, page: str, name: str, document: nodes.document, figure: nodes.figure) -> str:
    """The picture or the table of a figure, if it has one, with its number and its caption."""
    numbers = app.env.toc_fignumbers.get(page, {})
    kind = "table" if any(figure.findall(nodes.table)) else "figure"
    number = ".".join(map(str, numbers.get(kind, {}).get(name, ())))
    pictures = [*figure.findall(nodes.image), *figure.findall(nodes.table), *stills(figure)][:1]
    app.builder.post_process_images(document)  # type: ignore[attr-defined]  # a builder of pages has it
    caption = next(figure.findall(nodes.caption))
    label = [nodes.strong("", f"{kind.title()} {number}"), nodes.Text(" ")] if number else []
    return rendered(app, [*pictures, nodes.paragraph("", "", *label, *(part.deepcopy() for part in caption))])


def stills(figure: nodes.figure) -> Iterator[nodes.raw]:
    """The still picture of an explorable, if it is a light one."""
    for raw in figure.findall(nodes.raw):
        still = re.search(r"<svg.*?</svg>", raw.astext(), re.DOTALL) if "data-explorable" in raw.astext() else None
        if still and len(still[0]) < HEAVY:
            yield nodes.raw("", still[0], format="html")


def add_previews(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """Put into a page what it refers to on others; the ledger shows its equations itself."""
    if doctree is None:
        return
    body = context.get("body", "")
    home = app.builder.get_target_uri(pagename)
    found = dict.fromkeys(match.groups() for match in LINK.finditer(body))
    parts = []
    for path, name in found if pagename != ledger_page(app.env) else ():
        page = posixpath.normpath(posixpath.join(posixpath.dirname(home), path))
        text = content(app, page, name) if page in app.env.all_docs else ""
        if text:
            parts.append(f'<template class="preview" data-of="{path}.html#{name}">{text}</template>')
    context["body"] = body + "".join(parts)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add all this to Sphinx."""
    CONTENTS.clear()
    DOCUMENTS.clear()
    app.setup_extension("verdicts")
    app.connect("doctree-read", remember)
    app.add_post_transform(SymbolLinks)
    app.connect("html-page-context", add_previews)
    app.add_css_file("previews.css")
    app.add_js_file("previews.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
