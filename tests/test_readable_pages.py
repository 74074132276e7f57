"""Built pages for every reader: by keyboard, on a phone, in the dark, on paper, without scripts, without cookies.

What all pages have alike, as their header, is tried on a light one.
"""

from __future__ import annotations

import re

import pytest
from browser import PHONE
from notebooks import ROOT, markdown

each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


def focused(page) -> dict:
    return page.evaluate(
        """() => { const e = document.activeElement, s = getComputedStyle(e), box = e.getBoundingClientRect();
          const ring = [e, e.parentElement].map((n) => getComputedStyle(n))
            .some((s) => (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== "none");
          return { html: e.outerHTML.slice(0, 90), top: box.top, ring, inMain: !!e.closest("#main-content"),
                   skip: !!e.closest("#pst-skip-link"), order: [...document.querySelectorAll("*")].indexOf(e) }; }"""
    )


def test_the_skip_link_comes_first_and_skips(visit):
    page = visit("measured")
    page.keyboard.press("Tab")
    page.wait_for_function("() => document.activeElement.getBoundingClientRect().top >= 0")  # it slides in
    first = focused(page)
    assert first["skip"]
    assert first["top"] >= 0
    assert first["ring"]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page)["inMain"]


@pytest.mark.parametrize("name", ["vae", "api_shared", "search"])
@each_scheme
def test_focus_goes_through_the_page_in_order_and_is_seen(visit, name, scheme):
    page = visit(name, color_scheme=scheme)
    page.evaluate("document.activeElement.blur()")
    stops = []
    for _ in range(45):
        page.keyboard.press("Tab")
        stop = focused(page)
        if "<body" in stop["html"]:
            break
        stops.append(stop)
    assert len(stops) > 15
    assert [stop["html"] for stop in stops if not stop["ring"]] == []
    order = [stop["order"] for stop in stops]
    assert order == sorted(order)


def test_a_link_to_an_equation_arrives_there(visit):
    anchors = re.findall(r'<a id="(eq-[\w-]+)"></a>', markdown(ROOT / "book" / "vae.ipynb"))
    for anchor in (anchors[-1], anchors[len(anchors) // 2]):
        page = visit("vae", anchor=f"#{anchor}")
        page.wait_for_timeout(300)  # what is above is laid out
        top = page.locator(f"#{anchor}").evaluate("e => e.getBoundingClientRect().top")
        assert 0 <= top <= 300
        assert page.evaluate("scrollY") > 1000


def test_a_printed_page_is_what_paper_shows(visit):
    page = visit("vae", color_scheme="dark")
    page.evaluate(
        """window.seen = []; new MutationObserver(() => seen.push(
             [document.documentElement.dataset.theme, document.querySelectorAll("details:not([open], .code)").length]))
           .observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] })"""
    )
    assert len(page.pdf()) > 100_000
    assert page.evaluate("seen")[0] == ["light", 0]
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_buttons_of_the_header_work(visit):
    page = visit("measured", color_scheme="light", permissions=["clipboard-read", "clipboard-write"])
    theme = page.locator(".theme-switch-button").first
    seen = []
    for _ in range(3):
        theme.click()
        seen.append(page.evaluate("document.documentElement.dataset.mode"))
    assert sorted(seen) == ["auto", "dark", "light"]
    sidebar = page.locator("#pst-primary-sidebar")
    assert sidebar.is_visible()
    page.locator(".primary-toggle").click()
    page.wait_for_function("() => document.querySelector('#pst-primary-sidebar').getBoundingClientRect().right <= 0")
    page.locator(".dropdown-download-buttons button").first.click()
    assert page.locator(".dropdown-download-buttons .dropdown-menu").is_visible()


def test_the_sidebars_open_on_a_phone(visit):
    page = visit("measured", **PHONE)
    for side in ("primary", "secondary"):
        page.locator(f".{side}-toggle").click()
        assert page.locator(f"#pst-{side}-sidebar-modal").is_visible()
        page.keyboard.press("Escape")
        page.locator(f"#pst-{side}-sidebar-modal").wait_for(state="hidden")


def test_a_button_that_is_pressed_with_a_key_keeps_the_focus(visit):
    page = visit("measured", color_scheme="light")
    for button in (".primary-toggle", ".primary-toggle", ".theme-switch-button"):  # away, and back
        page.locator(button).first.focus()
        page.keyboard.press("Enter")
        page.wait_for_timeout(50)
        assert page.locator(button).first.evaluate("e => e === document.activeElement")
    assert page.locator("#pst-primary-sidebar").is_visible()
    page = visit("measured", **PHONE)
    page.locator(".secondary-toggle").focus()
    page.keyboard.press("Enter")
    page.locator("#pst-secondary-sidebar-modal").wait_for(state="visible")
    page.keyboard.press("Escape")
    page.wait_for_timeout(50)
    assert page.locator(".secondary-toggle").evaluate("e => e === document.activeElement")


# all is laid out, also what is not seen yet; the script that fits equations looks at each when it comes near
SCROLLING = """() => {
  const style = document.createElement("style");
  style.textContent = "section { content-visibility: visible !important }";
  document.head.append(style);
  return [...document.querySelectorAll("div.math")].map((e) => e.scrollWidth > e.clientWidth + 1);
}"""


@pytest.mark.parametrize("name", ["swiss_roll", "vae", "hierarchical_vae", "diffusion", "ddpm"])
def test_on_a_phone_at_most_one_equation_in_ten_scrolls(visit, name):
    page = visit(name, **PHONE)
    page.evaluate(SCROLLING)
    page.wait_for_timeout(600)
    scrolling = page.evaluate(SCROLLING)
    assert len(scrolling) > 10
    assert sum(scrolling) <= len(scrolling) / 10


def test_code_can_be_copied(visit, server):
    page = visit("vae", server.url, permissions=["clipboard-read", "clipboard-write"])
    page.locator("details.code > summary").first.click()
    page.locator("div.highlight").first.hover()
    page.locator("button.copybtn").first.click()
    shown = page.locator("div.highlight pre").first.inner_text()
    assert len(shown.strip()) > 5
    assert page.evaluate("navigator.clipboard.readText()").strip() == shown.strip()


def test_the_contents_mark_the_section_that_is_read(visit):
    page = visit("vae")
    marked = page.locator("#pst-page-toc-nav a.active")
    sections = page.locator("article > section > section[id]")
    names = sections.evaluate_all("all => all.map((section) => section.id)")
    for name in (names[5], names[2], names[-2], names[0]):  # there and back; the last has sections of its own
        page.locator(f"#{name} > h2").evaluate("heading => heading.scrollIntoView()")
        page.wait_for_function(
            "name => document.querySelector('#pst-page-toc-nav a.active')?.hash === '#' + name", arg=name
        )
        assert marked.count() == 1
        assert marked.get_attribute("aria-current") == "true"


def test_the_footer_says_the_licences(visit):
    assert "Text: CC BY 4.0. Code: MIT." in visit("measured").locator("footer.bd-footer-content").inner_text()


FORBIDDEN = """for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { configurable: true, get() { throw new DOMException("no"); } });"""
# The least contrast of text, headings and code with what is behind them; axe-core does not run where scripts do not.
FAINTEST = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => numbers(colour).slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    const colour = e && getComputedStyle(e).backgroundColor;
    return !e ? "rgb(255, 255, 255)" : numbers(colour)[3] === 0 ? behind(e.parentElement) : colour;
  };
  return Math.min(...[...document.querySelectorAll("article :is(p, h1, h2, pre, pre span)")].map((e) => {
    const [low, high] = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }));
}"""


def test_a_reader_who_forbids_cookies_can_use_the_page(visit):
    page = visit("measured", before=FORBIDDEN)
    seen = []
    for _ in range(3):
        page.locator(".theme-switch-button").first.click()
        seen.append(page.evaluate("document.documentElement.dataset.mode"))
    assert sorted(seen) == ["auto", "dark", "light"]
    assert page.locator("button.copybtn").count() > 10
    page.set_viewport_size(PHONE["viewport"])
    page.reload()
    page.locator(".primary-toggle").click()
    assert page.locator("#pst-primary-sidebar-modal").is_visible()
    assert page.complaints == []


@each_scheme
def test_without_scripts_all_is_legible_and_no_button_is_dead(visit, scheme):
    page = visit("ladder", java_script_enabled=False, color_scheme=scheme, **PHONE)
    assert page.locator("pre").count() > 10
    assert page.evaluate(FAINTEST) > 4.5
    buttons = page.locator("button, .primary-toggle, .secondary-toggle").locator("visible=true")
    assert {button.get_attribute("aria-label") for button in buttons.all()} <= {"Download this page"}


def test_the_index_fits_at_any_zoom(visit):
    page = visit("genindex")
    for width in (640, 800, 1024):
        page.set_viewport_size({"width": width, "height": 600})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_legend_keeps_its_colours_where_others_are_forced(visit):
    page = visit("ddpm", forced_colors="active")
    for name in ("bound_bars", "forward_posterior"):
        seen = page.locator(f'[data-explorable="{name}"]').evaluate(
            """root => [...[...root.querySelectorAll("li, legend")].map((e) => getComputedStyle(e, "::before")),
              ...[...root.querySelectorAll(".legend [aria-hidden]")].map((e) => getComputedStyle(e))]
              .map((s) => [s.forcedColorAdjust, s.color, s.backgroundColor, s.borderTopColor, s.borderTopStyle])
              .map(String)"""
        )
        assert len(seen) == len(set(seen)) > 2, name
