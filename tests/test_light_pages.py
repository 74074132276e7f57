"""What built pages load while they are used: little, from nowhere else, under a policy that they obey."""

from __future__ import annotations

import pytest
from browser import HTML, LIMIT

each_place = pytest.mark.parametrize("place", ["file", "server"])


@each_place
def test_the_worker_runs_under_the_policy(visit, server, place):
    page = visit("swiss_roll", server.url if place == "server" else HTML.as_uri(), own_context=True)
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
    links = page.locator("#search-results li > a")
    links.nth(5).wait_for()
    assert page.complaints == []
    assert sum(server.sent.values()) < LIMIT
    links.first.click()
    page.wait_for_url(lambda url: "search.html" not in url)
    assert "entropy" in page.locator("article").text_content().lower()
