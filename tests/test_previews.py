"""What a link shows of what it leads to, where a citation leads, and what is said beside an equation."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from browser import HTML, violations
from small_books import STRICT, build, extensions_from

CONFIG = """
title: A small book
only_build_toc_files: true
execute: {{execute_notebooks: "off"}}
sphinx:
  local_extensions: {{diffusion_book: {there}, citations: {there}, previews: {there}}}
  extra_extensions: [sphinxcontrib.bibtex, sphinxcontrib.katex]
  config:
    html_math_renderer: katex
    katex_prerender: true
    katex_css_path: katex.min.css
    bibtex_bibfiles: [works.bib]
"""
WORKS = """
@misc{ho2020, author = {Ho, Jonathan and Jain, Ajay and Abbeel, Pieter}, title = {Denoising}, year = {2020}}
@misc{song2021one, author = {Song, Yang}, title = {One}, year = {2021}}
@misc{song2021other, author = {Song, Yang}, title = {Another}, year = {2021}}
@misc{sonderby, author = {S{\\o}nderby, C. and van den Oord, A\\"aron}, title = {Accents}, year = {2016}}
"""
REFERENCES = """# References

```{bibliography}
:all:
```
"""
NOTATION = """# Notation

| Symbol | In the code | Meaning |
| --- | --- | --- |
| $\\beta_t$ | `beta[t]` | the variance of a step |
| $t$ | `t` | the step |
"""
LEDGER = """# A ledger

```{equation-ledger}
```
"""
DEFINED = """# A small chapter on ddpm

## One section

<a id="eq-2-1"></a>

$$ \\alpha_t = 1 - \\beta_t \\tag{2.1} $$

Twice $\\beta_t$, and $\\beta_t$, and $t$; [equation (2.1)](#eq-2-1).
[Ho et al. (2020)](references.md), [Sønderby and van den Oord, 2016](references.md),
[Song (2021)](references.md#song2021other), [the list](references.md).
"""
OTHER = """# Another page

See [equation (2.1) of the chapter](ddpm.ipynb#eq-2-1).
"""


def small_book(folder: Path, **pages: str) -> tuple[int, str]:
    """A book of a chapter, notation, ledger, references and these pages: the status of the build, and its log."""
    pages = {"notation": NOTATION, "ledger": LEDGER, "references": REFERENCES, "other": OTHER} | pages
    (folder / "_config.yml").write_text(CONFIG.format(there=extensions_from(folder)))
    (folder / "works.bib").write_text(WORKS)
    chapters = "".join(f"\n- file: {name}" for name in ("ddpm", *pages) if name != "other")
    (folder / "_toc.yml").write_text(f"format: jb-book\nroot: other\nchapters:{chapters}\n")
    for name, page in pages.items():
        (folder / f"{name}.md").write_text(page)
    chapter = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(DEFINED)])
    nbformat.write(chapter, folder / "ddpm.ipynb")
    return build(folder, *STRICT)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    status, log = small_book(folder)
    assert status == 0, log
    return folder / "_build" / "html"


def templates(html: str) -> dict[str, str]:
    """What is shown beside links, by their addresses."""
    return dict(re.findall(r'<template class="preview" data-of="([^"]+)">(.*?)</template>', html, re.S))


def test_a_page_has_what_it_refers_to_on_others_and_nothing_else(small):
    other = templates((small / "other.html").read_text())
    assert list(other) == ["ddpm.html#eq-2-1"]
    assert "A small chapter on ddpm" in other["ddpm.html#eq-2-1"]
    assert r"\alpha_t = 1 - \beta_t" in other["ddpm.html#eq-2-1"]
    chapter = templates((small / "ddpm.html").read_text())
    assert len(chapter) == 4  # three works, and a symbol
    assert templates((small / "ledger.html").read_text()) == {}
    for html in (small / "other.html", small / "ddpm.html"):
        for part in templates(html.read_text()).values():
            assert " id=" not in part


def test_a_citation_in_an_ordinary_link_leads_to_its_entry(small):
    html = (small / "ddpm.html").read_text()
    shown = templates(html)
    for words, title in (("Ho et al. (2020)", "Denoising"), ("Oord, 2016", "Accents"), ("Song (2021)", "Another")):
        href = re.search(rf'href="(references\.html#\w+)"><span[^>]*>[^<]*{re.escape(words)}', html)[1]
        assert title in shown[href]
    assert '<a class="reference internal" href="references.html"><span class="std std-doc">the list' in html


MISTAKES = {
    "unknown": ("[Ho et al. (2021)](references.md)", "'Ho et al. (2021)' is of no entry"),
    "few": ("[Ho (2020)](references.md)", "'Ho (2020)' is of no entry"),
    "two": ("[Song (2021)](references.md)", "'Song (2021)' is of song2021one or song2021other"),
    "key": ("[Song (2021)](references.md#song)", "local id not found in doc 'references': 'song'"),
}


def test_a_citation_of_no_entry_or_of_two_fails_the_build(tmp_path):
    status, log = small_book(tmp_path, **{name: f"# A page\n\n{text}\n" for name, (text, _) in MISTAKES.items()})
    assert status != 0
    for name, (_, words) in MISTAKES.items():
        assert re.search(rf"/{name}\.md:.*WARNING.*{re.escape(words)}", log), log


def test_a_symbol_is_linked_once_in_a_section_and_a_letter_never(small):
    html = (small / "ddpm.html").read_text()
    assert html.count('href="notation.html#symbol-beta-t"') == 1
    assert "#symbol-t" not in html
    assert "the variance of a step" in templates(html)["notation.html#symbol-beta-t"]
    assert '<tr class="row-even" id="symbol-beta-t">' in (small / "notation.html").read_text()


def test_an_equation_leads_to_its_verdict_and_back(small):
    html = (small / "ddpm.html").read_text()
    (address, name, words) = re.search(
        r'<p class="checked"><a[^>]*href="([^"]+)" aria-label="([^"]+)">(.*?)</a>', html
    ).groups()
    assert words == "✓ proved"
    assert name == "Equation (2.1) is proved by algebra: its entry in the ledger"
    page, anchor = address.split("#")
    ledger = (small / page).read_text()
    entry = ledger[ledger.index(f'<a id="{anchor}">') :]
    assert 'href="ddpm.html#eq-2-1"' in entry[:200]


# In a browser


@pytest.fixture
def page(visit):
    return visit("ddpm")


OTHERS = 'article a[href^="diffusion.html#eq-"]'
OWN = 'article p a[href^="#eq-"]'
BOX = "#preview:popover-open"


def test_a_link_shows_what_it_leads_to_while_the_mouse_is_on_it_or_on_the_box(page):
    for selector in (OTHERS, OWN, "article a.symbol", 'article a[href*="references.html#"]'):
        link = page.locator(selector).first
        link.scroll_into_view_if_needed()
        link.hover()
        box = page.locator(BOX)
        box.wait_for()
        assert box.inner_text().strip()
        assert link.get_attribute("aria-describedby") == "preview"
        box.hover(position={"x": 5, "y": 5})
        page.wait_for_timeout(400)  # longer than the box stays without the mouse
        assert box.is_visible()
        page.mouse.move(2, 2)
        box.wait_for(state="hidden")
        assert link.get_attribute("aria-describedby") is None
    assert page.complaints == []


def test_a_figure_shows_its_caption_and_a_mark_of_a_heading_nothing(visit):
    """By a link that the test adds: where the chapters have some changes with their text."""
    page = visit("diffusion")
    name = page.locator("figure[id]").first.get_attribute("id")
    page.evaluate(f"document.querySelector('article p').innerHTML += '<a href=\"#{name}\">the figure</a>'")
    page.get_by_role("link", name="the figure", exact=True).hover()
    page.locator(BOX).wait_for()
    caption = page.locator(f"#{name} .caption-text").text_content()
    assert caption.strip() in page.locator(BOX).text_content()
    assert page.locator("#preview .headerlink").count() == 0
    page.mouse.move(2, 2)
    page.locator(BOX).wait_for(state="hidden")
    page.locator("figure .headerlink").first.dispatch_event("pointerover")
    page.wait_for_timeout(300)
    assert page.locator(BOX).count() == 0


def test_by_keyboard_it_opens_with_the_focus_and_escape_closes_it(page):
    link = page.locator(OTHERS).first
    link.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    page.locator(BOX).wait_for()
    page.keyboard.press("Escape")
    page.locator(BOX).wait_for(state="hidden")
    assert link.evaluate("link => link === document.activeElement")


# axe-core looks at the whole page before it looks at a part: the sections that are not needed go
ONLY = """(selectors) => {
  const links = selectors.map((selector) => document.querySelector(selector));
  for (const section of document.querySelectorAll("article section section"))
    if (!links.some((link) => section.contains(link))) section.remove();
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_open_box_is_accessible_and_within_a_phone(visit, scheme):
    page = visit("ddpm", viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.evaluate(ONLY, [OTHERS, "article a.symbol"])
    for selector in (OTHERS, "article a.symbol"):
        link = page.locator(selector).first
        page.keyboard.press("Tab")  # from here on, focus is seen
        link.focus()
        page.locator(BOX).wait_for()
        about = page.locator(BOX).bounding_box()
        assert about["x"] >= 0
        assert about["x"] + about["width"] <= 390
        assert violations(page, {"include": [["#preview"], [":focus"]]}) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.complaints == []


def test_on_touch_the_first_tap_shows_and_the_link_in_the_box_follows(visit):
    page = visit("ddpm", has_touch=True, own_context=True)
    link = page.locator(OTHERS).first
    address = link.get_attribute("href")
    link.tap()
    page.locator(BOX).wait_for()
    assert page.url.endswith("ddpm.html")
    page.locator("#preview > .go").tap()
    page.wait_for_url(f"**/{address}")


def test_without_scripts_a_link_is_a_link(visit):
    page = visit("ddpm", java_script_enabled=False)
    assert page.locator("#preview").count() == 0
    assert page.locator("template.preview").first.is_hidden()
    address = page.locator(OTHERS).first.get_attribute("href")
    assert (HTML / "book" / address.split("#")[0]).is_file()


def test_every_numbered_equation_has_a_badge_that_leads_to_its_entry(built):
    ledger = (HTML / "book" / "equations.html").read_text()
    found = 0
    for path in (HTML / "book").glob("*.html"):
        html = path.read_text()
        for name in re.findall(r'<p class="checked"><a[^>]*href="equations\.html#([\w-]+)"', html):
            found += 1
            assert f'<a id="{name}">' in ledger
    assert found >= 50
