"""The book as one PDF: two of its pages, printed and joined by the tool."""

from __future__ import annotations

import importlib.util
import sys
from io import BytesIO

import pytest
from browser import HTML
from notebooks import ROOT
from pypdf import PdfReader
from pypdf.generic import ArrayObject

NAMES = ["intro", "references"]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("pdf_tool", ROOT / "tools" / "pdf.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pdf(tool, browser, built) -> PdfReader:
    paths = [HTML / "book" / f"{name}.html" for name in NAMES]
    wanted = tool.linked(paths)
    parts = [tool.print_page(browser, path, wanted.get(path, set())) for path in paths]
    written = BytesIO()
    tool.join(parts, browser).write(written)
    return PdfReader(written)


def links(pdf: PdfReader) -> list[tuple[int, object]]:
    """The links of all pages, with the number of the page that they stand on."""
    return [
        (number, link.get_object())
        for number, page in enumerate(pdf.pages)
        for link in page.get("/Annots", ArrayObject())
    ]


def test_the_outline_has_chapters_and_their_sections(pdf):
    chapter, sections, last, *_ = pdf.outline
    assert chapter.title == "Diffusion Models as a Kind of VAE"
    assert "How to run it" in [section.title for section in sections]
    assert last.title == "References"
    assert 0 == pdf.get_destination_page_number(chapter) < pdf.get_destination_page_number(last)


def test_pages_have_numbers_and_are_whole(pdf):
    for number, page in enumerate(pdf.pages, 1):
        assert page.extract_text().strip().endswith(str(number))
    assert "destroys data with noise" in pdf.pages[0].extract_text()


def test_a_link_to_another_page_of_the_book_leads_into_the_file(pdf):
    _, _, references, *_ = pdf.outline
    first = pdf.get_destination_page_number(references)
    targets = [(number, link["/Dest"][0].get_object()) for number, link in links(pdf) if "/Dest" in link]
    assert [number for number, target in targets if number < first and target in pdf.pages[first:]]
    assert not [link for _, link in links(pdf) if str(link.get("/A", {}).get("/URI", "")).startswith("file:")]


def test_a_page_offers_the_file_once_it_is_there(tool, tmp_path):
    (tmp_path / "book").mkdir()
    page = tmp_path / "book" / "a.html"
    page.write_text(f"<footer>{tool.OFFER}</footer>")
    tool.offer(tmp_path)
    assert page.read_text() == f'<footer><a href="../{tool.NAME}">The whole book as a PDF.</a></footer>'


def test_the_pages_have_a_place_for_the_offer(tool):
    assert tool.OFFER in (ROOT / "_config.yml").read_text("utf-8")


def test_it_has_the_pages_in_the_order_of_the_contents(tool):
    toc = {"root": "a", "parts": [{"chapters": [{"file": "b"}, {"file": "c"}]}, {"chapters": [{"file": "d"}]}]}
    assert [path.stem for path in tool.pages(toc)] == list("abcd")
