"""The cells of a page: code folded away, figures and tables with numbers and captions, and chapters with numbers.

In a small book, built once. That the large one obeys is tested in ``test_notebooks`` and ``test_pages``.
"""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from bs4 import BeautifulSoup, Tag
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebooks import ROOT
from PIL import Image
from small_books import STRICT, build, extensions_from

from diffusion_notes.explorables import Gap
from diffusion_notes.notebook.exercises import UNANSWERED
from diffusion_notes.notebook.tables import Table

CONFIG = f"""
title: A small book
only_build_toc_files: true
execute: {{{{execute_notebooks: "off"}}}}
sphinx:
  local_extensions:
    diffusion_book: {{extension}}
    light_pages: {{extension}}
    cells: {{extension}}
    typography: {{extension}}
  extra_extensions: [sphinxcontrib.katex]
  config:
    html_math_renderer: katex
    katex_prerender: true
    katex_css_path: katex.min.css
    html_static_path: [{ROOT / "book" / "_assets"}]
    html_css_files: [book.css]
    html_context: {{{{default_mode: auto}}}}
    html_secnumber_suffix: " "
    numfig: true
    numfig_format: {{{{figure: Figure %s, table: Table %s}}}}
    nb_mime_priority_overrides: [["html", "text/html", 5]]
    nb_merge_streams: true
    nb_render_markdown_format: myst
"""
TOC = """
format: jb-book
root: intro
parts:
  - caption: Chapters
    numbered: 1
    chapters: [{file: first}]
  - caption: Appendices
    numbered: 1
    style: alphaupper
    chapters: [{file: second}]
  - caption: For reference
    chapters: [{file: third}]
"""


def png() -> str:
    """A small white picture, as a notebook stores it."""
    file = BytesIO()
    Image.new("RGB", (40, 30), "white").save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


TABLE = Table({r"$\bar\alpha_t$": [0.5, 0.25], "n": [1, 2]}, {r"$\bar\alpha_t$": ".2f"})
SIGNS = Table({"who": ["a-b", "c"], "x": [-0.5, 1e-9], "y": ["0.1 ± 0.2", "-0.3 ± 0.1"]})
SET = """Where ($x_t$, $y = z$), it is 0.4 ± 0.1, with Ho et al.

> The line.

> Repeat:
>
> - this"""
LISTING = "Source of `VAE.loss`\n\n```python\ndef loss(self, x):\n    return -x\n```"


def printed(text: str) -> nbformat.NotebookNode:
    return new_output("stream", name="stdout", text=text)


def displayed(**data: str) -> nbformat.NotebookNode:
    """By what MIME types begin with: a picture, a page's HTML, Markdown, and always text."""
    names = {"png": "image/png", "html": "text/html", "markdown": "text/markdown", "plain": "text/plain"}
    return new_output("display_data", {names[kind]: value for kind, value in (data | {"plain": "its text"}).items()})


def captioned(name: str, caption: str, alt: str = "") -> dict:
    image = {"image": {"alt": alt}} if alt else {}
    return {"mystnb": {"figure": {"name": name, "caption": caption}} | image}


LINKS = """# The first chapter

[the line](#fig-first-line), [the table](#tab-first-table), [the gap](#fig-first-gap),
[elsewhere](second.ipynb#fig-second-a)

## A section

### A part of it"""
CELLS = [
    new_markdown_cell(LINKS),
    new_code_cell("# what Colab needs\nx = 1", metadata={"tags": ["remove-cell"]}),
    new_code_cell("# Imports\n\nimport torch"),
    new_code_cell("# Nothing & <nothing> but text\n\nfor i in range(2):\n    print(i)", outputs=[printed("0\n1\n")]),
    new_markdown_cell("Then:"),
    new_code_cell("# The text is the point\nprint(2)", metadata={"tags": ["show-output"]}, outputs=[printed("2\n")]),
    new_code_cell("# The line that is talked about\ny = x", metadata={"tags": ["open"]}),
    new_code_cell("# Exercise 1: say it\n...", metadata={"tags": ["exercise"]}, outputs=[printed(f"{UNANSWERED}\n")]),
    new_code_cell(
        "# A line\nprint(3)\nplot()",
        metadata=captioned("fig-first-line", r"A line of slope $\alpha_t$.", "A straight line"),
        outputs=[printed("3\n"), displayed(png=png())],
    ),
    new_code_cell(
        "# A table\ntable",
        metadata=captioned("tab-first-table", "Halves."),
        outputs=[displayed(markdown=TABLE._repr_markdown_())],
    ),
    new_code_cell(
        "# The gap, to move\nGap()",
        metadata=captioned("fig-first-gap", "The gap."),
        outputs=[displayed(html=Gap(x=1.2).stored_html())],
    ),
    new_code_cell("# The loss\nshow_source(VAE.loss)", outputs=[displayed(markdown=LISTING)]),
    new_code_cell("# More\na = 1\nshow_source(a)", metadata={"tags": ["open"]}, outputs=[displayed(markdown=LISTING)]),
    new_code_cell("# A first part, of x_0\nb = 1", outputs=[printed("first\n")]),
    new_code_cell("# A second\nshow_source(b)", outputs=[displayed(markdown=LISTING)]),
    new_code_cell("# A third\nplot()", metadata=captioned("fig-first-b", "B.", "B"), outputs=[displayed(png=png())]),
    new_code_cell("# A fourth\nc = 1"),
    new_markdown_cell(SET),
    new_code_cell("# Signs\nsigns", outputs=[displayed(markdown=SIGNS._repr_markdown_())]),
    new_markdown_cell("<details><summary>Why it holds</summary>\n\nBecause.\n\n</details>"),
]
SECOND = [
    new_markdown_cell("# The second\n\n[back](first.ipynb#tab-first-table)\n\n## Its section"),
    new_code_cell("# Two\nplot()", metadata=captioned("fig-second-a", "Two.", "Two"), outputs=[displayed(png=png())]),
]


class Book(NamedTuple):
    status: int
    log: str
    html: Path

    def page(self, name: str) -> BeautifulSoup:
        return BeautifulSoup((self.html / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def book_of(folder: Path, cells: list) -> Book:
    """A book whose first chapter has these cells."""
    (folder / "_config.yml").write_text(CONFIG.format(extension=extensions_from(folder)))
    (folder / "_toc.yml").write_text(TOC)
    (folder / "intro.md").write_text("# A book\n\n[a figure](first.ipynb#fig-first-line)\n")
    (folder / "third.md").write_text("# The third\n\n## Its section\n")
    language = {"language_info": {"name": "python"}, "kernelspec": {"name": "python3", "display_name": "Python"}}
    for name, content in {"first": cells, "second": SECOND}.items():
        nbformat.write(new_notebook(cells=content, metadata=language), folder / f"{name}.ipynb")
    return Book(*build(folder, *STRICT), folder / "_build" / "html")


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Book:
    book = book_of(tmp_path_factory.mktemp("cells"), CELLS)
    assert book.status == 0, book.log
    return book


@pytest.fixture(scope="module")
def folds(book) -> dict[str, Tag]:
    """The folded code of the first chapter, by its label."""
    return {fold.summary.get_text(): fold for fold in book.page("first").select("article details.code")}


def code_of(fold: Tag) -> str:
    return "".join(block.get_text() for block in fold.select(".cell_input pre")).strip()


def text_of(fold: Tag) -> str:
    return "".join(block.get_text() for block in fold.select(".cell_output pre")).strip()


def test_the_label_is_the_first_line_and_the_code_is_what_follows(folds):
    assert code_of(folds["Nothing & <nothing> but text"]) == "for i in range(2):\n    print(i)"
    assert text_of(folds["Nothing & <nothing> but text"]) == "0\n1"
    assert "what Colab needs" not in folds


def test_the_imports_are_in_the_notebook_only(book, folds):
    assert "Imports" not in folds
    assert "import torch" not in book.page("first").select_one("article").get_text()


def test_folds_that_follow_one_another_are_one(book, folds):
    label = "A first part, of x0 · Source of VAE.loss · A third · A fourth"
    assert [part.get_text() for part in folds[label].select("p.part")] == label.split(" · ")
    assert folds[label].summary.sub.get_text() == "0"
    assert code_of(folds[label]) == "b = 1\ndef loss(self, x):\n    return -x\nplot()\nc = 1"
    assert text_of(folds[label]) == "first"
    # the figure comes first, and its code is below
    assert [part.name for part in folds[label].parent.find_all(["figure", "details"])] == ["figure", "details"]


def test_only_what_is_tagged_stands_open(folds):
    open_ones = {label for label, fold in folds.items() if fold.has_attr("open")}
    assert open_ones == {"The line that is talked about", "More", "Source of VAE.loss"}


def test_an_exercise_without_a_question_is_for_the_notebook_and_gives_no_orders(folds):
    assert code_of(folds["This exercise is done in a notebook"]) == "..."
    assert text_of(folds["This exercise is done in a notebook"]) == ""


def test_what_is_seen_is_not_in_the_fold(folds):
    for label, seen in {"A line": "img", "A table": "table", "The gap, to move": "[data-explorable]"}.items():
        assert not folds[label].select(seen)
        assert len(folds[label].parent.select(f".cell_output {seen}")) == 1
    assert text_of(folds["A line"]) == "3"
    shown = folds["The text is the point"]
    assert text_of(shown) == ""
    assert text_of(shown.parent) == "2"


def test_a_listing_has_a_fold_of_its_own(book, folds):
    listings = [
        fold for fold in book.page("first").select("details.code") if fold.summary.get_text().startswith("Source")
    ]
    assert [fold.has_attr("open") for fold in listings] == [False, True]
    assert {code_of(fold) for fold in listings} == {"def loss(self, x):\n    return -x"}
    assert all(fold.summary.code.get_text() == "VAE.loss" and fold.select("pre .k") for fold in listings)
    assert "The loss" not in folds  # nothing but the call
    assert code_of(folds["More"]) == "a = 1\nshow_source(a)"


def captions(page: BeautifulSoup) -> list[str]:
    return [number.get_text().strip() for number in page.select("figure > figcaption .caption-number")]


def test_figures_and_tables_count_for_themselves_in_each_chapter(book):
    assert captions(book.page("first")) == ["Figure 1.1", "Table 1.1", "Figure 1.2", "Figure 1.3"]
    assert captions(book.page("second")) == ["Figure A.1"]


def test_a_caption_holds_maths_and_a_link_to_its_figure(book):
    first = book.page("first")
    for name, kind in {"fig-first-line": "figure", "tab-first-table": "table", "fig-first-gap": "figure"}.items():
        figure = first.find(id=name)
        assert figure.name == "figure"
        link = figure.figcaption.select_one("a.headerlink")
        assert (link["href"], link["title"]) == (f"#{name}", f"Link to this {kind}")
    assert first.select_one("#fig-first-line .caption-text .katex")
    assert first.select_one("#fig-first-line img")["alt"] == "A straight line"
    assert first.select_one("#tab-first-table table th .katex")
    assert len(first.select("#tab-first-table table tbody tr")) == 2


def test_links_to_figures_arrive_and_keep_their_words(book):
    links = {
        a["href"]: a.get_text()
        for name in ("first", "second", "index")
        for a in book.page(name).select("article p > a:not(.headerlink)")
    }
    wanted = {
        "#fig-first-line": "the line", "#tab-first-table": "the table", "#fig-first-gap": "the gap",
        "second.html#fig-second-a": "elsewhere", "first.html#tab-first-table": "back",
    }  # fmt: skip
    assert wanted.items() <= links.items()
    assert {a.get_text() for a in book.page("intro").select("article p a[href='first.html#fig-first-line']")} == {
        "a figure"
    }


def test_what_belongs_together_stays_in_one_line(book):
    first = book.page("first")
    kept = [span.get_text() for span in first.select("span.keep")]
    assert [(text[0], text[-1]) for text in kept] == [("α", "."), ("(", ","), ("y", ",")]
    assert kept[2].endswith("),")
    assert "it is 0.4\u00a0±\u00a00.1, with Ho et\u00a0al." in first.select_one("article").get_text()


def test_the_line_to_take_away_and_an_algorithm_look_different(book):
    quotes = book.page("first").select("article blockquote")
    assert [(quote["class"], quote.get_text().split()[0]) for quote in quotes] == [
        (["takeaway"], "The"),
        (["algorithm"], "Repeat:"),
    ]


def test_numbers_in_tables_have_a_minus_and_stand_at_the_right(book):
    table = next(table for table in book.page("first").select("table") if "a-b" in table.get_text())
    rows = [[cell.get_text() for cell in row.select("th, td")] for row in table.select("tr")]
    assert rows == [["who", "x", "y"], ["a-b", "−0.5", "0.1\u00a0±\u00a00.2"], ["c", "1e-09", "−0.3\u00a0±\u00a00.1"]]
    for row in table.select("tr"):
        assert ["text-right" in cell["class"] for cell in row.select("th, td")] == [False, True, True]


def test_chapters_have_numbers_and_sections_have_none(book):
    names, titles = ("first", "second", "third"), ["1 The first chapter", "A The second", "The third"]
    assert [book.page(name).select_one("article h1").get_text().rstrip("#") for name in names] == titles
    assert [a.get_text().strip() for a in book.page("third").select(".bd-links a")][-3:] == titles
    assert not [name for name in names if book.page(name).select(":is(h2, h3) .section-number")]


MISTAKES = {
    "a cell without a label": (
        [new_markdown_cell("# A"), new_code_cell("x = 1")],
        "a code cell begins with no comment",
    ),
    "a link to no figure": ([new_markdown_cell("# A\n\n[it](#fig-nowhere)")], "fig-nowhere"),
    "two figures of a name": ([CELLS[0], *CELLS[8:11], CELLS[8]], "fig-first-line"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_fails_the_build(tmp_path, name):
    cells, said = MISTAKES[name]
    book = book_of(tmp_path, cells)
    assert book.status != 0
    assert [line for line in book.log.splitlines() if "WARNING" in line and said in line], book.log


# -- in a browser -----------------------------------------------------------------------------------


@pytest.fixture
def first(book, tabs):
    """The first chapter, in a tab."""
    return lambda **options: tabs.open((book.html / "first.html").as_uri(), **options)


IS_OPEN = "all => all.map(fold => fold.open)"


def test_code_opens_with_the_keyboard(first):
    page = first()
    fold = page.locator("details.code").first
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    assert fold.locator("pre").first.is_visible()
    page.keyboard.press("Space")
    assert not fold.locator("pre").first.is_visible()


def test_one_button_opens_and_closes_all_code_and_the_next_page_remembers_what_was_opened(first, book):
    page = first()
    folds = page.locator("details.code")
    button = page.locator(".all-code")
    as_written = folds.evaluate_all(IS_OPEN)
    assert {True, False} == set(as_written)
    assert button.inner_text() == "Show all code"
    button.focus()
    page.keyboard.press("Enter")
    assert all(folds.evaluate_all(IS_OPEN))
    assert button.inner_text() == "Hide all code"
    assert not page.locator("article details:not(.code)").evaluate("fold => fold.open")
    page.goto((book.html / "second.html").as_uri())
    assert all(page.locator("details.code").evaluate_all(IS_OPEN))
    page.get_by_role("button", name="Hide all code").click()
    assert not any(page.locator("details.code").evaluate_all(IS_OPEN))
    page.goto((book.html / "first.html").as_uri())
    assert folds.evaluate_all(IS_OPEN) == as_written
    assert page.get_by_role("button", name="Show all code").count() == 1


def test_the_button_is_where_there_is_code_to_show(first, book):
    page = first()
    page.goto((book.html / "third.html").as_uri())
    assert not page.locator(".all-code").count()


def test_where_nothing_can_be_stored_the_button_works(first):
    forbidden = """Object.defineProperty(window, "sessionStorage", { get() { throw new DOMException("no"); } })"""
    page = first(before=forbidden)
    page.locator(".all-code").click()
    assert all(page.locator("details.code").evaluate_all(IS_OPEN))
    assert page.complaints == []


def test_without_scripts_code_opens_and_no_button_is_dead(first):
    page = first(java_script_enabled=False)
    assert not page.locator(".all-code").count()
    fold = page.locator("details.code").first
    assert not fold.locator("pre").first.is_visible()
    fold.locator("summary").click()
    assert fold.locator("pre").first.is_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_paper_has_the_open_code_only_and_what_the_code_shows(first, scripts):
    page = first(java_script_enabled=scripts)
    folds = [(fold, fold.get_attribute("open") is not None) for fold in page.locator("details.code").all()]
    page.emulate_media(media="print")
    page.wait_for_timeout(100)
    for fold, is_open in folds:
        assert fold.is_visible() == is_open
        assert [block.is_visible() for block in fold.locator("pre").all()] == [is_open] * fold.locator("pre").count()
    for seen in ("figure img", "figure table", "figure figcaption >> nth=0"):
        assert page.locator(seen).first.is_visible()
    assert not page.locator(".all-code").locator("visible=true").count()
    if scripts:  # reader.js sees to the other folds, which are answers and steps
        assert page.locator("article details:not(.code)").evaluate("fold => fold.open")
