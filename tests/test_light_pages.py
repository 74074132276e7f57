"""What the built pages load: little, from nowhere else, under a policy that they obey."""

from __future__ import annotations

import json

import pytest
from browser import HTML, PAGES
from fontTools.ttLib import TTFont

LIMIT = 600_000  # bytes, as sent with gzip
each_page = pytest.mark.parametrize("name", PAGES)
each_place = pytest.mark.parametrize("place", ["file", "server"])


@each_place
def test_the_worker_runs_under_the_policy(visit, server, place):
    page = visit("swiss_roll", server.url if place == "server" else HTML.as_uri())
    reverse = page.locator('[data-explorable="reverse"]')
    reverse.get_by_role("button").first.click()
    page.wait_for_function("root => root.dataset.evaluations > 3", arg=reverse.element_handle())
    assert page.workers
    assert page.complaints == []


@each_place
def test_the_search_finds_and_stays_light(visit, server, place):
    server.sent.clear()
    page = visit("intro", server.url if place == "server" else HTML.as_uri())
    page.locator(".search-button-field").click()
    page.keyboard.type("entropy")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=entropy")
    page.wait_for_load_state("networkidle")
    links = page.locator("#search-results li > a")
    assert links.count() > 5
    assert page.complaints == []
    assert sum(server.sent.values()) < LIMIT
    links.first.click()
    page.wait_for_load_state("networkidle")
    assert "entropy" in page.locator("article").text_content().lower()


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
