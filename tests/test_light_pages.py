"""What built pages load while they are used: little, from nowhere else, under a policy that they obey."""

from __future__ import annotations

import pytest
from browser import HTML, LIMIT

each_place = pytest.mark.parametrize("place", ["file", "server"])


@each_place
def test_the_worker_runs_under_the_policy(visit, server, place):
    page = visit("training", server.url if place == "server" else HTML.as_uri(), own_context=True)
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
    page.locator("#pst-search-dialog .found li > a").first.wait_for()  # or Enter cuts off the script that finds them
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=entropy")
    links = page.locator("#search-results li > a")
    links.nth(5).wait_for()
    assert page.complaints == []
    assert sum(server.sent.values()) < LIMIT
    links.first.click()
    page.wait_for_url(lambda url: "search.html" not in url)
    assert "entropy" in page.locator("article").text_content().lower()


@each_place
def test_what_is_found_stands_below_the_field_while_one_types(visit, server, place):
    page = visit("intro", server.url if place == "server" else HTML.as_uri())
    page.locator(".search-button-field").click()
    assert not [url for url in page.requested if "sections.js" in url]
    page.keyboard.type("entropy of the roll", delay=5)
    found = page.locator("#pst-search-dialog .found li > a")
    found.first.wait_for()
    assert 1 <= found.count() <= 6
    assert page.locator("#pst-search-dialog").get_by_role("status").inner_text().endswith("in the book.")
    page.keyboard.press("Tab")
    while not page.evaluate("document.activeElement.matches('.found a')"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "intro.html" not in url)
    assert page.complaints == []


QUERIES = {
    "posterior": {"vae.html#posterior-collapse", "ddpm.html#the-forward-posterior"},
    "KL": {"vae.html#the-gap-is-a-kl-divergence", "hierarchical_vae.html#the-trap-one-kl-per-layer"},
    "cosine schedule": {"swiss_roll.html#", "training.html#"},
    "amortization": {"vae.html#whose-fault-is-it"},
    "reparameterization trick": {"vae.html#two-ways-to-a-gradient"},
}


@each_place
@pytest.mark.parametrize("query", QUERIES)
def test_a_search_finds_sections_of_chapters_first_and_the_package_last(tabs, server, place, query):
    base = server.url if place == "server" else HTML.as_uri()
    page = tabs.open(f"{base}/search.html?q={query}")
    found = page.locator("#search-results li")
    found.first.wait_for()
    links = [link.get_attribute("href") for link in page.locator("#search-results li > a").all()]
    sections = {link.removeprefix("book/") for link in links[:3]}
    assert any(section.startswith(right) for section in sections for right in QUERIES[query]), links[:5]
    of_package = ["/api" in f"/{link}" for link in links]
    assert of_package == sorted(of_package)
    assert found.first.locator(".context mark").count() > 0
    assert page.complaints == []


def test_what_is_not_in_the_book_is_not_found(tabs, built):
    page = tabs.open(f"{HTML.as_uri()}/search.html?q=xylophone")
    assert page.get_by_role("status").inner_text() == "Nothing in the book has all of these words."
