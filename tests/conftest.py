from __future__ import annotations

import pytest
import torch
from browser import HTML, PAGES, PHONE, chromium, pages, serving, visits
from hypothesis import Phase, settings

# derandomised, so that a failure is everybody's failure; no deadline, since machines are noisy
settings.register_profile("book", derandomize=True, deadline=None, max_examples=50)
# for those who ask only whether a test fails: the first example that does is enough, and need not be simple
phases = (Phase.explicit, Phase.generate)
settings.register_profile("verdict", settings.get_profile("book"), phases=phases, report_multiple_bugs=False)
settings.load_profile("book")


# those that take longest come first, after the notebooks, so that no worker ends with one of them
LONGEST = ["test_readable_pages", "test_pages", "test_explorable_pages", "test_equations_verdicts", "test_equations"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in the order in which the workers take them."""
    rank = {name: place for place, name in enumerate(["book", *LONGEST])}
    items.sort(key=lambda item: rank.get("book" if item.path.suffix == ".ipynb" else item.path.stem, len(rank)))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def show(browser, tmp_path):
    """Open explorables, each in a page of its own."""
    with pages(browser, tmp_path) as show:
        yield show


@pytest.fixture(scope="session")
def built():
    """The book is there."""
    if not (HTML / "index.html").exists():
        pytest.fail("the book is not built: run `make book`")


@pytest.fixture
def visit(browser, built):
    """Open pages of the book."""
    with visits(browser) as visit:
        yield visit


@pytest.fixture(scope="module", params=PAGES)
def page(request, browser, built):
    """A page of the book, opened once for all tests that only look at it."""
    with visits(browser) as visit:
        yield visit(request.param)


@pytest.fixture(scope="module", params=PAGES)
def phone(request, browser, built):
    """The same on a phone, in the dark, for a reader who wants no motion."""
    with visits(browser) as visit:
        yield visit(request.param, color_scheme="dark", reduced_motion="reduce", **PHONE)


@pytest.fixture(scope="session")
def server(built):
    """A server of the book."""
    with serving(HTML) as server:
        yield server
