"""The built pages, in a real browser: nothing fetched, nothing broken, everything operable."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from browser import HTML, PAGES, THEMES
from notebooks import NOTEBOOKS, markdown

each_page = pytest.mark.parametrize("name", PAGES)
# what reaches over the right edge, and no box of its own scrolls
STICK_OUT = """[...document.querySelectorAll(".bd-article-container *:not(svg *, .katex *)")].filter((e) => {
  if (e.getBoundingClientRect().right <= innerWidth + 1 || !e.checkVisibility()) return false;
  for (let box = e.parentElement; box; box = box.parentElement)
    if (["auto", "scroll", "hidden"].includes(getComputedStyle(box).overflowX) && box.tagName !== "HTML") return false;
  return true;
}).map((e) => e.outerHTML.slice(0, 80))"""
each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


def check_page(page, scheme: str) -> None:
    """Nothing is complained of, asked for elsewhere, broken, or wider than the page."""
    assert page.complaints == []
    assert [url for url in page.requested if not url.startswith(("file:", "blob:", "data:"))] == []
    opened = page.viewport_size
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(STICK_OUT) == []
    page.set_viewport_size(opened)
    assert page.locator("h1").locator("visible=true").count() == 1  # the theme has another one for print
    assert page.locator(".katex-error").count() == 0
    assert page.evaluate("document.documentElement.dataset.theme") == scheme


def test_a_page_is_whole_and_asks_nobody_else(page):
    check_page(page, "light")


def test_so_is_a_page_on_a_phone_in_the_dark(phone):
    check_page(phone, "dark")


def test_nothing_sticks_out_of_the_narrowest_page(phone):
    """Which is also a page of 1280 pixels at 400 %."""
    phone.set_viewport_size({"width": 320, "height": 640})
    assert phone.evaluate("document.documentElement.scrollWidth") <= 320
    assert phone.evaluate(STICK_OUT) == []


@each_page
def test_a_page_names_no_other_host_to_load_from(name):
    html = (HTML / ("" if name in THEMES else "book") / f"{name}.html").read_text(encoding="utf-8")
    loads = re.findall(r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=["'](https?:)?//""", html)
    assert loads == []


def test_a_page_has_a_favicon_and_one_search_box(page):
    icon = page.locator('link[rel~="icon"]').evaluate("link => link.href")
    assert Path(unquote(icon.removeprefix("file://"))).exists()
    boxes = page.locator("button.search-button-field, form.bd-search").locator("visible=true")
    assert boxes.count() == (2 if page.name == "search" else 1)


def test_every_image_has_words(page):
    alts = page.locator("article img").evaluate_all("images => images.map(i => i.alt)")
    assert all(len(alt) > 40 for alt in alts)


TAGS = {path.stem: re.findall(r"\\tag\{(\w+)\}", markdown(path)) for path in NOTEBOOKS}


def test_equations_carry_their_numbers(page):
    shown = page.locator(".katex-html .tag").all_text_contents()
    if page.name in TAGS:
        assert [re.sub(r"\s", "", tag) for tag in shown] == [f"({n})" for n in TAGS[page.name]]
    # an equation and its number never lie on top of each other, at any width
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        gaps = page.locator(".katex-html:has(> .tag)").evaluate_all(
            "all => all.map(e => e.querySelector(':scope > .tag').getBoundingClientRect().left"
            " - Math.max(...[...e.querySelectorAll(':scope > .base')].map(b => b.getBoundingClientRect().right)))"
        )
        assert len(gaps) == len(shown)
        assert all(gap >= 0 for gap in gaps)


def test_links_within_the_book_arrive(page):
    links = page.locator("article a[href]").evaluate_all("links => links.map(a => a.href)")
    for link in {link for link in links if link.startswith("file:")}:
        target, _, anchor = unquote(link.removeprefix("file://")).partition("#")
        assert Path(target).exists(), link
        if anchor:
            assert f'id="{anchor}"' in Path(target).read_text(encoding="utf-8"), link


# -- the explorables --------------------------------------------------------------------------------


def picture(explorable) -> str:
    return explorable.locator("canvas").evaluate("canvas => canvas.toDataURL()")


MOVED = {
    "intro": ["particles"],
    "vae": ["gap"],
    "hierarchical_vae": ["layers"],
    "ddpm": ["forward_posterior", "field", "bound_bars"],
    "swiss_roll": ["forward", "particles", "reverse", "particles"],
    "ladder": ["rungs"],
}


def test_what_can_be_moved_is_alive_in_its_page(page):
    found = page.locator("[data-explorable]")
    assert found.evaluate_all("all => all.map(e => e.dataset.explorable)") == MOVED.get(page.name, [])
    for explorable in found.all():
        assert explorable.locator("canvas").first.is_visible()
        assert all(len(canvas.get_attribute("aria-label")) > 40 for canvas in explorable.locator("canvas").all())
        assert explorable.locator("output").first.text_content()
        assert explorable.locator("> svg").is_hidden()


def test_the_book_opens_with_the_film(visit):
    page = visit("intro")
    order = page.evaluate(
        "[...document.querySelectorAll('article h1, article [data-explorable], article p')].map(e => e.tagName)"
    )
    assert order[:3] == ["H1", "DIV", "P"]


@each_scheme
def test_the_film_plays_pauses_and_plays_again(visit, scheme):
    page = visit("swiss_roll", color_scheme=scheme)
    film = page.locator('[data-explorable="particles"]').first
    film.scroll_into_view_if_needed()
    button, slider, label = film.locator("button"), film.get_by_role("slider"), film.locator("output")
    assert (button.inner_text(), label.inner_text()) == ("Play", "t = 1000")
    before = picture(film)
    button.click()
    assert button.inner_text() == "Pause"
    page.wait_for_function("s => s.value > 3", arg=slider.element_handle())
    button.click()
    assert button.inner_text() == "Play"
    stopped = slider.input_value()
    assert picture(film) != before
    page.wait_for_timeout(300)
    assert slider.input_value() == stopped
    slider.fill("20")
    assert (label.inner_text(), button.inner_text()) == ("t = 0", "Play again")
    button.click()
    assert button.inner_text() == "Pause"
    assert int(slider.input_value()) < 5


def test_the_film_is_operated_by_keyboard(visit):
    page = visit("swiss_roll")
    film = page.locator('[data-explorable="particles"]').first
    slider = film.get_by_role("slider", name="Backward in time")
    slider.focus()
    start, before = slider.get_attribute("aria-valuetext"), picture(film)
    assert start == "t = 1000"
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == film.locator("output").inner_text() == "t = 0"
    assert picture(film) != before
    page.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuetext") == "t = 3"
    page.keyboard.press("Home")
    assert picture(film) == before
    page.keyboard.press("Shift+Tab")
    assert film.locator("button").evaluate("b => b === document.activeElement")
    page.keyboard.press("Space")
    assert film.locator("button").inner_text() == "Pause"


def test_the_first_film_starts_by_itself_once_it_is_seen(visit):
    page = visit("intro")
    slider = page.get_by_role("slider", name="There and back")
    page.wait_for_function("s => s.value > 0", arg=slider.element_handle())


def test_nothing_moves_for_those_who_want_no_motion(visit):
    page = visit("intro", reduced_motion="reduce")
    film = page.locator("[data-explorable]")
    slider = film.get_by_role("slider")
    page.wait_for_timeout(600)
    assert slider.input_value() == "0"
    film.locator("button").click()  # still pictures, a second apart
    page.wait_for_timeout(500)
    assert slider.input_value() == "0"
    page.wait_for_function("s => s.value > 0", arg=slider.element_handle())
    assert int(slider.input_value()) == round(40 / 7)


def test_without_scripts_a_picture_stands_in_its_place(visit):
    page = visit("intro", java_script_enabled=False)
    assert page.locator("[data-explorable] > svg").is_visible()
    assert len(page.locator("[data-explorable] > svg > title").text_content()) > 40
    assert page.locator("[data-explorable] canvas").count() == 0


def test_in_print_a_picture_stands_in_its_place(visit):
    page = visit("intro")
    page.emulate_media(media="print")
    assert page.locator("[data-explorable] > svg").is_visible()
    assert page.locator("[data-explorable] canvas").is_hidden()
    assert page.locator("[data-explorable] button").is_hidden()


def test_the_film_shows_what_the_notebook_computed(visit):
    """The picture's points, read back from the pixels, are where the stored frame has them."""
    page = visit("swiss_roll", device_scale_factor=2)
    film = page.locator('[data-explorable="particles"]').first
    worst = film.evaluate(
        """el => {
          const state = JSON.parse(el.querySelector('script').textContent);
          const packed = Uint8Array.from(atob(state.frames), c => c.charCodeAt(0)), half = packed.length / 2;
          const canvas = el.querySelector('canvas'), size = canvas.width;
          const pixels = canvas.getContext('2d').getImageData(0, 0, size, size).data;
          let missing = 0;
          for (let i = 0; i < state.count; i++) {
            const at = k => (packed[2 * i + k] * 256 + packed[half + 2 * i + k]) / 1023;
            const x = Math.min(size - 1, Math.floor(at(0) * size));
            const y = Math.min(size - 1, Math.floor((1 - at(1)) * size));
            if (pixels[4 * (y * size + x) + 3] === 0) missing++;
          }
          return [missing, state.count];
        }"""
    )
    assert worst == [0, 300]


@each_scheme
def test_text_on_the_controls_can_be_read(visit, scheme):
    page = visit("swiss_roll", color_scheme=scheme)
    contrast = page.locator('[data-explorable="particles"] output').first.evaluate(
        """el => {
          const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(v => (v /= 255) <= 0.04045
            ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
          let behind = el;
          while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
          const [a, b] = [light(getComputedStyle(el).color), light(getComputedStyle(behind).backgroundColor)];
          return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        }"""
    )
    assert contrast > 7
