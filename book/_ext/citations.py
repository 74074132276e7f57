"""Citations in ordinary links, ``[Ho et al. (2020)](references.md)``, lead to their entry in the list of references.

A notebook has no roles, and Jupyter and Colab know links only. Authors and year are looked up in the bibliography; what
fits no entry, or more than one, is a warning, so the strict build fails. ``(references.md#ho2020denoising)`` chooses
between two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

LOGGER = logging.getLogger(__name__)
CITATION = re.compile(r"(?P<names>\D+?)(?:’s|'s)?,? +\(?(?P<year>\d{4})\b")


def surnames(entry: Any) -> list[str]:
    """The surnames of an entry's authors, without TeX's accents."""
    persons = entry.persons.get("author", ())
    return [" ".join(str(part) for part in person.rich_prelast_names + person.rich_last_names) for person in persons]


def is_of(names: str, year: str, entry: Any) -> bool:
    """Whether this is how an entry is cited: by one or two surnames, or by the first and *et al.*"""
    if entry.fields.get("year") != year:
        return False
    authors = surnames(entry)
    if names.endswith(" et al."):
        return len(authors) > 2 and names.removesuffix(" et al.") == authors[0]
    return re.split(r", and |, | and | & ", names) == authors


def cited(text: str, entries: Iterable[Any]) -> list[Any]:
    """The citations, as the bibliography knows them, that a text may mean."""
    match = CITATION.match(" ".join(text.split()))
    if match is None:
        return []
    return [each for each in entries if is_of(match["names"].strip(), match["year"], each.entry)]


class CitationLinks(SphinxPostTransform):
    """Let each such link lead to its entry."""

    default_priority = 8  # before MyST resolves links, which would lead to the page as a whole

    def run(self, **kwargs: Any) -> None:
        """Resolve those of this document."""
        entries = {entry.key: entry for entry in self.env.get_domain("cite").citations}
        pages = {entry.bibliography_key.docname for entry in entries.values()}
        for node in list(self.document.findall(pending_xref)):
            if node.get("refdomain") != "doc" or node["reftarget"] not in pages:
                continue
            text = node.astext()
            key = node.get("reftargetid")
            if key is None and not re.search(r"\d", text):
                continue  # the list as such
            found = [entries[key]] if key in entries else [] if key else cited(text, entries.values())
            if len(found) == 1:
                self.lead(node, found[0])
            elif key is None:  # else MyST says that there is none
                which = " or ".join(sorted(each.key for each in found)) or "no entry"
                LOGGER.warning("the citation %r is of %s of the bibliography", text, which, location=node)

    def lead(self, node: pending_xref, citation: Any) -> None:
        """Put a link to an entry in the place of one to its page."""
        source = node.get("refdoc", self.env.docname)
        page = citation.bibliography_key.docname
        inner = nodes.inline("", "", *node[0].children, classes=["std", "std-ref"])
        node.replace_self(make_refnode(self.app.builder, source, page, citation.citation_id, inner))


def setup(app: Sphinx) -> dict[str, bool]:
    """Add this to Sphinx."""
    app.add_post_transform(CitationLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
