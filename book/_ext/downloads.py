"""The notebook that a page offers to download: alone, its links lead somewhere.

A notebook of the repository links to the pages beside it, `vae.ipynb#eq-2-3`. In the copy that is downloaded such a
link would be dead: it leads to the published page where the repository has an address, and names the page where not.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

# [words](page.ipynb#place), and the same to a page of Markdown; not an image, not an address of its own
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((\w+)\.(?:ipynb|md)(#[\w-]+)?\)")


def published(repository: str) -> str:
    """Where GitHub publishes the pages of a repository, empty if it has no address."""
    owner, _, name = repository.removeprefix("https://github.com/").partition("/")
    return f"https://{owner}.github.io/{name}/" if name else ""


def led(text: str, titles: dict[str, str], site: str) -> str:
    """The text of a cell, with its links to other pages led to the site, or put in words."""

    def link(found: re.Match) -> str:
        words, page, place = found[1], found[2], found[3] or ""
        if site:
            return f"[{words}]({site}book/{page}.html{place})"
        title = titles.get(page, page)
        return words if title.lower() in words.lower() else f"{words} (in *{title}*)"

    return LINK.sub(link, text)


def lead_links(app: Sphinx, failure: Exception | None) -> None:
    """Rewrite the copies in `_sources`, which the download buttons hand out."""
    if failure or app.builder.name != "html":
        return
    titles = {name.removeprefix("book/"): title.astext() for name, title in app.env.titles.items()}
    site = published(app.config.html_theme_options.get("repository_url", ""))
    for name in app.env.found_docs:
        path = Path(app.env.doc2path(name))
        copy = Path(app.outdir, "_sources", f"{name}.ipynb")
        if path.suffix != ".ipynb" or not copy.exists():
            continue
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = led(cell.source, titles, site)
        nbformat.write(notebook, copy)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("build-finished", lead_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
