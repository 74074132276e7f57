"""What the search page searches: the sections of the pages, with their text, in a script that loads from a file too.

Sphinx's own index knows words of pages. A reader looks for a section, and wants to see a line of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from plain_maths import UnreadError, plain

LEFT_OUT = (nodes.literal_block, nodes.raw, nodes.comment, nodes.image, nodes.math_block, addnodes.index)


def readable(latex: str) -> str:
    """Maths in a line of text; what cannot be said so is left out as a whole, not in parts."""
    try:
        return plain(latex)
    except UnreadError:
        return "…"


def words(node: nodes.Node) -> Iterator[str]:
    """The text of a node, without its sections, its code and its equations."""
    for child in node.children:
        if isinstance(child, (nodes.section, nodes.title, addnodes.desc, *LEFT_OUT)):
            continue
        if isinstance(child, nodes.math):
            yield readable(child.astext())
        elif isinstance(child, nodes.Text):
            yield child.astext()
        else:
            yield from words(child)
            if not isinstance(child, nodes.Inline):
                yield " "


def text_of(node: nodes.Node) -> str:
    """The same, as a line."""
    return " ".join("".join(words(node)).split())


def heading_of(section: nodes.section) -> str:
    """What stands above it."""
    title = next(section.findall(nodes.title))
    parts = (readable(part.astext()) if isinstance(part, nodes.math) else part.astext() for part in title)
    return "".join(parts)


def entries(document: nodes.document, kind: str) -> Iterator[tuple[str, str, str, str]]:
    """What can be found in a page: the kind, the id, the heading and the text of each section and each name."""
    for section in document.findall(nodes.section):
        yield kind, section["ids"][0], heading_of(section), text_of(section)
    for name in document.findall(addnodes.desc):
        signature = name[0]
        if signature["ids"]:
            yield "package", signature["ids"][0], signature["fullname"], text_of(name[-1])


def write_sections(app: Sphinx, failure: Exception | None) -> None:
    """Write down all sections of all pages, in their order."""
    if failure or app.builder.format != "html":
        return
    found = []
    for name in app.env.found_docs:
        document = app.env.get_doctree(name)
        kind = "chapter" if app.env.doc2path(name).endswith(".ipynb") else "reference"
        kind = "package" if any(document.findall(addnodes.desc)) else kind
        title = app.env.titles[name].astext()
        page = app.builder.get_target_uri(name)
        for place, (its_kind, anchor, heading, text) in enumerate(entries(document, kind)):
            # the first section is the page
            found.append([page, title, "" if place == 0 else anchor, heading, text, its_kind])
    text = json.dumps(sorted(found, key=lambda entry: entry[0]), ensure_ascii=False, separators=(",", ":"))
    Path(app.outdir, "sections.js").write_text(f"const SECTIONS = {text};\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Add this to Sphinx."""
    app.connect("build-finished", write_sections)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
