"""The films of the built book, played, moved, printed and read back from their pixels."""

from __future__ import annotations

import pytest

each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


def picture(explorable) -> str:
    return explorable.locator("canvas").evaluate("canvas => canvas.toDataURL()")


def test_the_book_opens_with_the_film(visit):
    page = visit("intro")
    order = page.evaluate(
        "[...document.querySelectorAll('article h1, article [data-explorable], article p')].map(e => e.tagName)"
    )
    assert order[:3] == ["H1", "P", "DIV"]  # the title, one sentence, the film


def check_contrast(page) -> None:
    """The text on the controls can be read."""
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


@each_scheme
def test_the_film_plays_pauses_and_plays_again(visit, scheme):
    page = visit("training", color_scheme=scheme)
    check_contrast(page)
    film = page.locator('[data-explorable="particles"]').last
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
    page = visit("training")
    film = page.locator('[data-explorable="particles"]').last
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


def test_the_film_says_whose_half_it_is(visit):
    """Nobody has to learn the way there; the way back is learned."""
    film = visit("intro").locator("[data-explorable]")
    film.locator("button").click()  # it may have begun by itself
    slider, now = film.get_by_role("slider"), film.locator(".stages .now")
    for place, half in (("3", "encoder"), ("19", "encoder"), ("21", "decoder"), ("40", "decoder")):
        slider.fill(place)
        assert half in now.inner_text()
        assert half in slider.get_attribute("aria-valuetext")


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
    page = visit("training", device_scale_factor=2)
    film = page.locator('[data-explorable="particles"]').last
    worst = film.evaluate(
        """el => {
          const state = JSON.parse(el.querySelector('script').textContent);
          const packed = Uint8Array.from(atob(state.frames), c => c.charCodeAt(0)), half = packed.length / 2;
          const canvas = el.querySelector('canvas'), { width, height } = canvas;
          const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
          let [missing, inside] = [0, 0];
          for (let i = 0; i < state.count; i++) {
            const at = k => ((packed[2 * i + k] * 256 + packed[half + 2 * i + k]) / 1023 * 2 - 1) * state.reach;
            const x = Math.floor(width / 2 + at(0) / state.extent * height / 2);
            const y = Math.floor(height / 2 - at(1) / state.extent * height / 2);
            if (x < 0 || y < 0 || x >= width || y >= height) continue;
            inside++;
            if (pixels[4 * (y * width + x) + 3] === 0) missing++;
          }
          return [missing, inside, state.count];
        }"""
    )
    missing, inside, count = worst
    assert (missing, count) == (0, 300)
    assert inside > 280
