"""The explorables under a finger, and on small screens."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from test_explorable_pages import ALL, each, slider

# What is dragged in two directions: the shares of the picture at which a point is, and its slider
POINTS = {
    "field": ((0.54, 0.24), "xₜ, across"),
    "forward_posterior": ((0.17, 0.3), "across"),
    "paths": ((0.09, 0.37), "Start, x"),
    "reverse": ((0.6, 0.6), "start, x"),
}
SIDEWAYS = {"forward": "Steps", "bound_bars": "t", "two_peaks": "xₜ", "paths": "Start, x", "guided": "Weight, w",
            "conditioned": "First value"}  # fmt: skip
NARROW = 292  # here it has as much room as on a page of the book that is 320 pixels wide

# Remembers each text that a canvas draws, and the box that it takes.
REMEMBER = """() => {
  const fill = CanvasRenderingContext2D.prototype.fillText;
  window.texts = [];
  CanvasRenderingContext2D.prototype.fillText = function (words, x, y) {
    const { width, actualBoundingBoxAscent: above, actualBoundingBoxDescent: below } = this.measureText(words);
    const left = x - width * { left: 0, center: 0.5, right: 1 }[this.textAlign];
    const canvas = [...document.querySelectorAll("canvas")].indexOf(this.canvas);
    window.texts.push({ canvas, words, left, right: left + width, top: y - above, bottom: y + below });
    fill.call(this, words, x, y);
  };
}"""
DRAWN = """async () => {
  const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  await frames(); // what has changed before is drawn
  window.texts = [];
  document.documentElement.dataset.theme += "-"; // they draw themselves again
  await frames();
  return window.texts;
}"""
SIZES = "[...document.querySelectorAll('canvas')].map((c) => [c.clientWidth, c.clientHeight])"
ENDS = """(end) => {
  for (const input of document.querySelectorAll("input[type=range]")) {
    input.value = input[end];
    input.dispatchEvent(new Event("input"));
  }
}"""


@pytest.fixture
def touched(show):
    """A function that opens an explorable with one of its pictures in sight, and gives its page and a swipe."""

    def open_page(name: str, which: int = -1):
        page = show(ALL[name](), viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
        if name == "reverse":
            page.locator("summary").click()
            page.get_by_role("combobox", name="Start").select_option("one")
        page.add_style_tag(content="main { padding: 600px 0 1500px }")
        canvas = page.locator("canvas").nth(which)
        fingers = page.context.new_cdp_session(page)

        def swipe(place: tuple[float, float], across: float, up: float) -> float:
            """Put a finger at a share of the picture, move it so many pixels, and say how far the page scrolled."""
            canvas.evaluate("c => scrollTo(0, scrollY + c.getBoundingClientRect().top - 150)")
            before, box = page.evaluate("scrollY"), canvas.bounding_box()
            x, y = box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"]
            for i in range(11):
                kind, at = "touchMove" if i else "touchStart", {"x": x + across * i / 10, "y": y - up * i / 10}
                fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
            page.wait_for_timeout(150)  # it rests, so that the page does not glide on
            fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
            page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            return page.evaluate("scrollY") - before

        return page, swipe

    return open_page


@pytest.mark.parametrize("name", POINTS)
def test_a_finger_drags_the_point_that_it_is_near_and_scrolls_elsewhere(touched, name):
    (place, control), (page, swipe) = POINTS[name], touched(name, which=0)
    at = slider(page, control).first
    before = at.input_value()
    assert swipe((0.9, 0.9), 0, 120) > 60
    assert at.input_value() == before
    assert swipe((place[0] + 0.05, place[1] - 0.05), 60, 100) == 0
    assert at.input_value() != before
    assert page.complaints == []


@pytest.mark.parametrize("name", SIDEWAYS)
def test_a_finger_drags_a_curve_sideways_and_scrolls_over_it(touched, name):
    page, swipe = touched(name, which=0 if name == "conditioned" else -1)
    at = slider(page, SIDEWAYS[name])
    assert swipe((0.3, 0.5), 100, 0) == 0
    there = at.input_value()
    assert swipe((0.8, 0.5), -100, 0) == 0
    assert at.input_value() != there
    assert swipe((0.3, 0.9), 0, 120) > 60
    assert page.complaints == []


def test_a_mouse_takes_the_point_from_anywhere(show):
    page = show(ALL["field"]())
    page.locator("canvas").click(position={"x": 20, "y": 20})
    assert float(slider(page, "xₜ, across").input_value()) < -1.5


@each
def test_no_text_of_a_picture_is_cut_or_covers_another(show, name):
    page = show(ALL[name](), width=NARROW)
    page.evaluate(REMEMBER)
    for end, width in product(["value", "min", "max"], [NARROW, 360, 800]):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(ENDS, end)
        page.wait_for_function("() => !document.querySelector('[data-busy]')")
        texts, sizes = page.evaluate(DRAWN), page.evaluate(SIZES)
        if (name, end != "value") == ("forward_posterior", True):
            texts = texts[:-1]  # both points are at one place, and so are their names
        for text in texts:
            wide, high = sizes[text["canvas"]]
            assert -1 < text["left"] < text["right"] < wide + 1, (width, end, text)
            assert -1 < text["top"] < text["bottom"] < high + 1, (width, end, text)
        for a, b in combinations(texts, 2):
            beside = a["right"] <= b["left"] or b["right"] <= a["left"]
            above = a["bottom"] <= b["top"] or b["bottom"] <= a["top"]
            assert a["canvas"] != b["canvas"] or beside or above, (width, end, a, b)


@pytest.mark.parametrize("name", ["rungs", "conditioned", "guided", "paths", "reverse"])
@pytest.mark.parametrize("width", [NARROW, 390])
def test_the_choices_can_be_read(show, width, name):
    page = show(ALL[name](), width=width)
    cut = r"""(selects) => selects.filter((select) => {
      const ink = document.createElement("canvas").getContext("2d");
      ink.font = getComputedStyle(select).font;
      const chosen = [...select.options].map((option) => option.text.replace(/ \(\+\d\)$/, "")); // as it is once chosen
      const arrow = 20; // pixels
      return Math.max(...chosen.map((words) => ink.measureText(words).width)) > select.clientWidth - arrow;
    }).map((select) => select.ariaLabel ?? select.labels[0].textContent)"""
    assert page.locator("select").locator("visible=true").evaluate_all(cut) == []
