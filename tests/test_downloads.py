"""A notebook alone, as a page hands it out: the cells of the book's own, and links that lead somewhere."""

from __future__ import annotations

import re
import sys

import nbformat
import pytest
from browser import HTML
from notebooks import NOTEBOOKS, ROOT, read

sys.path.insert(0, str(ROOT / "book" / "_ext"))
from downloads import led, published

SITE = "https://owner.github.io/name/"
TITLES = {"vae": "The variational autoencoder", "references": "References"}
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.mark.parametrize(
    ("text", "words", "there"),
    [
        (
            "by [equation (2.3)](vae.ipynb#eq-2-3), and",
            "by equation (2.3) (in *The variational autoencoder*), and",
            f"by [equation (2.3)]({SITE}book/vae.html#eq-2-3), and",
        ),
        (
            "[Kingma [1] (2014)](references.md)",
            "Kingma [1] (2014) (in *References*)",
            f"[Kingma [1] (2014)]({SITE}book/references.html)",
        ),
        (
            "in [the variational autoencoder](vae.ipynb)",
            "in the variational autoencoder",
            f"in [the variational autoencoder]({SITE}book/vae.html)",
        ),
        *[(text, text, text) for text in ("[here](#eq-2-3)", "[there](https://example.org/vae.md)", "a [b] (c)")],
    ],
)
def test_a_link_to_another_page_is_put_in_words_or_leads_to_the_published_one(text, words, there):
    assert led(text, TITLES, "") == words
    assert led(text, TITLES, SITE) == there


def test_the_published_pages_are_those_of_the_repository():
    assert published("https://github.com/owner/name") == SITE
    assert published("") == ""


@each_notebook
def test_what_a_page_hands_out_is_its_notebook(built, path):
    page = (HTML / "book" / f"{path.stem}.html").read_text(encoding="utf-8")
    assert f'href="../_sources/book/{path.name}"' in page
    own = read(path)
    copy = nbformat.read(HTML / "_sources" / "book" / path.name, as_version=4)
    code = [[cell for cell in each.cells if cell.cell_type == "code"] for each in (own, copy)]
    assert code[0] == code[1]
    assert [cell.id for cell in own.cells] == [cell.id for cell in copy.cells]
    assert copy.metadata == own.metadata


@each_notebook
def test_no_link_of_what_a_page_hands_out_needs_the_pages_beside_it(built, path):
    copy = nbformat.read(HTML / "_sources" / "book" / path.name, as_version=4)
    text = "\n".join(cell.source for cell in copy.cells if cell.cell_type == "markdown")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert [target for target in targets if not re.match("#|https://", target)] == []
    assert {target for target in targets if target.startswith("#eq-") and f'id="{target[1:]}"' not in text} == set()
