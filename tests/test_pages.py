"""What is true of every page of the built book, in a real browser: on a desk from a server, on a phone from its file.

Each page is opened twice, and all tests look at these two. What is done in one page or another is tested in
``test_readable_pages``, ``test_light_pages`` and ``test_films``.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import cache
from itertools import count, pairwise, product
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from browser import COLOUR_RULES, FRAMES, HTML, LIMIT, PAGES, PHONE, THEMES, opened, tab_kept, violations
from bs4 import BeautifulSoup, Tag
from fontTools.ttLib import TTFont
from notebooks import NOTEBOOKS, ROOT, chapter_numbers, code_cells, markdown
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

CHAPTERS = chapter_numbers()
TAGS = {path.stem: re.findall(r"\\tag\{([\w.]+)\}", markdown(path)) for path in NOTEBOOKS}
MOVED = {
    "intro": ["particles"],
    "vae": ["gap"],
    "hierarchical_vae": ["layers"],
    "ddpm": ["field", "forward_posterior", "bound_bars"],
    "swiss_roll": ["forward", "two_peaks", "forward"],
    "ladder": ["rungs"],
    "score": ["paths"],
    "conditioning": ["conditioned"],
    "guidance": ["guided"],
    "training": ["particles", "particles", "reverse"],
    "samplers": ["reverse"],
}
# what reaches over the right edge, and no box of its own scrolls
STICK_OUT = """[...document.querySelectorAll(".bd-article-container *:not(svg *, .katex *)")].filter((e) => {
  if (e.getBoundingClientRect().right <= innerWidth + 1 || !e.checkVisibility()) return false;
  for (let box = e.parentElement; box; box = box.parentElement)
    if (["auto", "scroll", "hidden"].includes(getComputedStyle(box).overflowX) && box.tagName !== "HTML") return false;
  return true;
}).map((e) => e.outerHTML.slice(0, 80))"""
# how far the number of an equation is from what stands in its row; on a phone an equation may have several
GAPS = """[...document.querySelectorAll(".katex-html:has(> .tag)")].map((e) => {
  const tag = e.querySelector(":scope > .tag").getBoundingClientRect();
  const parts = [...e.querySelectorAll(":scope > .base")].map((b) => b.getBoundingClientRect());
  return tag.left - Math.max(0, ...parts.filter((b) => b.top < tag.bottom && b.bottom > tag.top).map((b) => b.right));
})"""
THEME = "document.documentElement.dataset.theme"


# -- on a desk, from a server -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def desk_tabs(browser):
    with tab_kept(browser) as tabs:
        yield tabs


@pytest.fixture(scope="module", params=PAGES)
def page(request, desk_tabs, server):
    """A page of the book, opened once for all tests that only look at it."""
    server.sent.clear()
    page = opened(desk_tabs, request.param, server.url)
    page.weight = dict(server.sent)
    return page


@pytest.fixture(scope="module")
def looks(page):
    """What is seen of it at two widths in two schemes, by width and scheme; it is left as it was."""
    looks = {}
    for width, schemes in ((390, ("light", "dark")), (1280, ("dark", "light"))):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(f"scheme => {THEME} === scheme", arg=scheme)
            looks[width, scheme] = page.evaluate(
                f"() => ({{ wide: document.documentElement.scrollWidth, out: {STICK_OUT}, gaps: {GAPS} }})"
            )
    return looks


def check_page(page) -> None:
    """It says what every page says, once, and its script has understood all."""
    assert page.complaints == []
    assert page.locator("h1").locator("visible=true").count() == 1  # the theme has another one for print
    assert page.locator(".katex-error").count() == 0


def test_a_page_is_whole_and_asks_nobody_else(page, server):
    check_page(page)
    assert page.evaluate(THEME) == "light"
    assert [url for url in page.requested if not url.startswith((server.url, "blob:", "data:"))] == []


def test_a_page_is_light(page):
    assert sum(page.weight.values()) < LIMIT, page.weight


def test_nothing_sticks_out_at_either_width_in_either_scheme(looks):
    assert set(looks) == set(product((390, 1280), ("light", "dark")))
    for (width, _), look in looks.items():
        assert look["wide"] <= width
        assert look["out"] == []


def test_equations_carry_their_numbers(page, looks):
    shown = page.locator(".katex-html .tag").all_text_contents()
    if page.name in TAGS:
        assert [re.sub(r"\s", "", tag) for tag in shown] == [f"({n})" for n in TAGS[page.name]]
    # an equation and its number never lie on top of each other, at any width
    for look in looks.values():
        assert len(look["gaps"]) == len(shown)
        assert all(gap >= 0 for gap in look["gaps"])


def file_of(url: str, server) -> tuple[Path, str]:
    """The file that the server has there, and the place in it."""
    path, _, anchor = unquote(url.removeprefix(server.url)).partition("#")
    return HTML / path.lstrip("/"), anchor


def test_a_page_has_a_favicon_and_one_search_box(page, server):
    icon = page.locator('link[rel~="icon"]').evaluate("link => link.href")
    assert file_of(icon, server)[0].is_file()
    boxes = page.locator("button.search-button-field, form.bd-search").locator("visible=true")
    assert boxes.count() == (2 if page.name == "search" else 1)


def test_every_image_is_there_and_has_words(page):
    images = page.locator("img").evaluate_all("images => images.map(i => i.complete && i.naturalWidth > 0)")
    assert all(images)
    alts = page.locator("article img").evaluate_all("images => images.map(i => i.alt)")
    assert all(len(alt) > 40 for alt in alts)


def test_links_within_the_book_arrive(page, server):
    links = page.locator("article a[href]").evaluate_all("links => links.map(a => a.href)")
    for link in {link for link in links if link.startswith(server.url)}:
        target, anchor = file_of(link, server)
        assert target.exists(), link
        if anchor:
            assert f'id="{anchor}"' in target.read_text(encoding="utf-8"), link


def test_every_icon_is_in_the_font(page):
    shown = page.locator(".fa-solid").evaluate_all(
        """icons => icons.map((icon) => getComputedStyle(icon, "::before"))
          .map((style) => [style.content, style.fontFamily])"""
    )
    assert len(shown) > 3
    glyphs = TTFont(HTML / "_static" / "icons.woff").getBestCmap()
    for content, family in shown:
        assert ord(json.loads(content)) in glyphs
        assert "Font Awesome" in family
    fonts = [url.rpartition("/")[2] for url in page.requested if "/fonts/" in url or ".woff" in url or ".ttf" in url]
    assert "icons.woff" in fonts
    assert not [font for font in fonts if font.startswith("fa-")]
    assert not page.locator("link[href*=fontawesome], script[src*=fontawesome]").count()


def check_explorables(page) -> None:
    """They are those of this page, alive, and say in words what they show."""
    found = page.locator("[data-explorable]")
    assert found.evaluate_all("all => all.map(e => e.dataset.explorable)") == MOVED.get(page.name, [])
    for explorable in found.all():
        assert explorable.locator("canvas").first.is_visible()
        assert all(len(canvas.get_attribute("aria-label")) > 40 for canvas in explorable.locator("canvas").all())
        assert explorable.locator("output").first.text_content()
        assert explorable.locator("> svg").is_hidden()


def test_what_can_be_moved_is_alive_in_its_page(page):
    check_explorables(page)


def test_paper_is_light_whole_and_without_sidebars(page):
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")
    page.emulate_media(color_scheme="dark", media="print")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'light'")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("h1").first.is_visible()
    for part in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-header-article", ".prev-next-footer"):
        assert not page.locator(part).locator("visible=true").count()
    assert not page.locator("details:not([open], .code)").count()
    assert not page.locator("details.code:not([open])").locator("visible=true").count()
    page.emulate_media(color_scheme="dark", media="screen")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")
    assert not page.locator("article details[open]:not(.code)").count()
    page.emulate_media(color_scheme="light", media="null")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'light'")


# All is laid out, since axe-core measures what is not seen yet as well, and an equation, of which there are hundreds,
# is one text instead of a hundred boxes. No colour is caught on its way to another.
FLATTEN = """() => {
  const style = document.createElement("style");
  style.textContent = "section { content-visibility: visible !important } * { transition: none !important }";
  document.head.append(style);
  for (const maths of document.querySelectorAll(".katex")) maths.textContent = maths.textContent;
}"""
# Which words look alike: those with one colour on one ground, in one size, in both schemes. A word of code may be in
# several boxes.
KINDS = """() => {
  window.kinds ??= new Map();
  const grounds = new Map();
  const ground = (e) => {
    if (!e) return "";
    if (!grounds.has(e)) {
      const { backgroundColor, opacity } = getComputedStyle(e);
      const own = backgroundColor === "rgba(0, 0, 0, 0)" ? "" : backgroundColor;
      grounds.set(e, (own || ground(e.parentElement)) + (opacity === "1" ? "" : opacity));
    }
    return grounds.get(e);
  };
  const says = (word) => [...word.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  for (const word of document.body.querySelectorAll("*")) {
    if (!says(word) && !word.matches(":is(.highlight, dt.sig, code) span")) continue;
    const { color, fontSize, fontWeight, textDecorationLine } = getComputedStyle(word);
    const around = getComputedStyle(word.parentElement).color;
    const look = [color, ground(word), fontSize, fontWeight, textDecorationLine, around].join();
    kinds.set(word, [kinds.get(word) ?? word.tagName, look].join());
  }
}"""
# Of those that look alike the first five are enough for what axe-core says of their colours, and of the words of code
# for all that it says: it takes a tenth of the time.
REDUCE = """() => {
  const seen = {};
  for (const [word, kind] of kinds) {
    seen[kind] = (seen[kind] ?? 0) + 1;
    if (seen[kind] <= 5) word.dataset.sample = "";
    else if (word.matches(":is(.highlight, dt.sig, code) span:not([id])") && !word.querySelector("a, [id]"))
      word.replaceWith(...word.childNodes);
  }
  for (const control of document.querySelectorAll("input, select, textarea")) control.dataset.sample = "";
  document.body.normalize();
}"""
# boxes that scroll have a test below
RULES = {"label-content-name-mismatch": {"enabled": True}, "scrollable-region-focusable": {"enabled": False}}


def test_axe_finds_nothing_in_either_scheme(page):
    """Comes last, since it makes the page smaller."""
    page.evaluate(FLATTEN)
    page.evaluate(KINDS)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"() => {THEME} === 'dark'")
    page.evaluate(FRAMES)
    page.evaluate(KINDS)
    page.evaluate(REDUCE)
    of_each_kind = {"include": [["[data-sample]"]]}
    assert violations(page, of_each_kind, runOnly=COLOUR_RULES) == []
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"() => {THEME} === 'light'")
    page.evaluate(FRAMES)
    assert violations(page, of_each_kind, runOnly=COLOUR_RULES) == []
    assert violations(page, rules=RULES | {rule: {"enabled": False} for rule in COLOUR_RULES}) == []


# -- on a phone in the dark, for a reader who wants no motion, from its file ------------------------


@pytest.fixture(scope="module")
def phone_tabs(browser, built):
    with tab_kept(browser, color_scheme="dark", reduced_motion="reduce", **PHONE) as tabs:
        yield tabs


@pytest.fixture(scope="module", params=PAGES)
def phone(request, phone_tabs):
    return opened(phone_tabs, request.param)


def test_a_page_is_whole_on_a_phone_too(phone):
    check_page(phone)
    check_explorables(phone)
    assert phone.evaluate(THEME) == "dark"
    assert [url for url in phone.requested if not url.startswith(("file:", "blob:", "data:"))] == []


def test_boxes_that_scroll_can_be_reached_by_keyboard(phone):
    """A script sees to it, a moment after the page is there."""
    unreachable = """() => [...document.querySelectorAll("main *")].filter((e) =>
             e.scrollWidth > e.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(e).overflowX)
             && e.checkVisibility() && e.tabIndex < 0 && !e.querySelector("a, button, input"))
           .map((e) => e.outerHTML.slice(0, 80))"""
    phone.wait_for_timeout(400)
    with suppress(PlaywrightTimeoutError):  # it looks again when a font has come
        phone.wait_for_function(f"() => !({unreachable})().length", timeout=5000)
    assert phone.evaluate(unreachable) == []


def test_headings_are_in_order(phone):
    tags = phone.locator("h1, h2, h3, h4, h5, h6").evaluate_all("all => all.map((heading) => heading.tagName)")
    levels = [int(tag[1]) for tag in tags]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_nothing_sticks_out_of_a_phone_or_of_the_narrowest_page(phone):
    """Which is also a page of 1280 pixels at 400 %."""
    for width in (390, 320):
        phone.set_viewport_size({"width": width, "height": 640})
        assert phone.evaluate("document.documentElement.scrollWidth") <= width
        assert phone.evaluate(STICK_OUT) == []


def test_a_page_forbids_other_hosts(phone):
    refused = phone.evaluate(
        """async () => {
          const found = [];
          addEventListener("securitypolicyviolation", (e) => found.push(e.effectiveDirective));
          const image = new Image(), script = document.createElement("script"), style = document.createElement("link");
          image.src = script.src = style.href = "https://example.org/x";
          style.rel = "stylesheet";
          document.head.append(script, style);
          const fetched = await fetch("https://example.org/x").then(() => "fetched", () => "refused");
          await new Promise((done) => setTimeout(done, 50));
          return [fetched, ...found.sort()];
        }"""
    )
    assert refused == ["refused", "connect-src", "img-src", "script-src-elem", "style-src-elem"]


# -- without a browser ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_no_other_host_to_load_from(built, name):
    html = (HTML / ("" if name in THEMES else "book") / f"{name}.html").read_text(encoding="utf-8")
    loads = re.findall(r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=["'](https?:)?//""", html)
    assert loads == []


@pytest.fixture(scope="module", params=CHAPTERS)
def chapter(request, built) -> SimpleNamespace:
    """A chapter as it is built: its name, and its page, read."""
    return SimpleNamespace(name=request.param, number=CHAPTERS[request.param], article=article(request.param))


@cache  # it takes a second
def article(name: str) -> Tag:
    """The page of a chapter."""
    return article_of((HTML / "book" / f"{name}.html").read_text(encoding="utf-8"))


def article_of(html: str) -> Tag:
    """The page without what the theme has around it."""
    return BeautifulSoup(html, "html.parser").select_one("article")


def test_a_chapter_has_its_number_and_its_sections_have_none(chapter):
    assert [number.text for number in chapter.article.select(".section-number")] == [f"{chapter.number} "]
    assert chapter.article.h1.select(".section-number")


def test_figures_and_tables_are_numbered_and_can_be_linked_to(chapter):
    """Each for itself, in each chapter; all that their cells name are there."""
    counted = {"Figure": count(1), "Table": count(1)}
    figures = chapter.article.select("figure:has(figcaption)")
    for figure in figures:
        kind = "Table" if figure.select("table") and not figure.select("[data-explorable]") else "Figure"
        label = figure.select_one("figcaption .caption-number").text.strip()
        assert label == f"{kind} {chapter.number}.{next(counted[kind])}"
        assert figure.select_one("figcaption .caption-text").text.strip()
        assert figure.select_one("figcaption a.headerlink")["href"] == f"#{figure['id']}"
    cells = code_cells(ROOT / "book" / f"{chapter.name}.ipynb")
    named = [cell.metadata.get("mystnb", {}).get("figure", {}).get("name") for cell in cells]
    assert [figure["id"] for figure in figures] == list(filter(None, named))


def open_code(article: Tag) -> list[str]:
    """The lines of code of a page that are seen without opening anything."""
    blocks = article.select("pre:not(.output pre):not(details:not([open]) pre)")
    return [line for block in blocks for line in block.text.splitlines() if line.strip()]


def test_what_counts_as_open_code():
    page = """<article><details class="code"><summary>A</summary><pre>folded</pre></details>
      <details class="code" open><pre>a\n\nb\n</pre><div class="output"><pre>printed</pre></div></details>
      <details open><details><pre>inner</pre></details></details><pre>c</pre></article>"""
    assert open_code(article_of(page)) == ["a", "b", "c"]


def test_little_code_stands_open(built):
    """All the rest is one click away, or one key."""
    lines = {name: len(open_code(article(name))) for name in CHAPTERS}
    assert sum(lines.values()) <= 500, lines
