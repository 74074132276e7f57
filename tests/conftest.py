from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from browser import (
    ASLEEP,
    DESK,
    HTML,
    Tabs,
    launch_arguments,
    opened,
    serving,
    shown,
    watched,
)
from hypothesis import Phase, settings
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

# derandomised, so that a failure is everybody's failure; no deadline, since machines are noisy
settings.register_profile("book", derandomize=True, deadline=None, max_examples=50)
# for those who ask only whether a test fails: the first example that does is enough, and need not be simple
phases = (Phase.explicit, Phase.generate)
settings.register_profile("verdict", settings.get_profile("book"), phases=phases, report_multiple_bugs=False)
settings.load_profile("book")


# those that take longest come first, after the notebooks, so that no worker ends with one of them
LONGEST = ["test_pages", "test_explorable_pages", "test_equations_verdicts", "test_readable_pages"]


# what the project does beside its code: small books are built, commands carried out in processes of their own
COMMANDS = {f"test_{name}" for name in ("build", "cells", "machines", "previews", "questions", "repository", "walk")}


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in the order in which the workers take them, and mark those that need more than the code."""
    for item in items:
        needs = set(getattr(item, "fixturenames", ()))
        if "browser" in needs:
            item.add_marker("browser")
        elif "built" in needs:
            item.add_marker("built_book")
        if item.path.stem in COMMANDS:
            item.add_marker("commands")
    rank = {name: place for place, name in enumerate(["book", *LONGEST])}
    items.sort(key=lambda item: rank.get("book" if item.path.suffix == ".ipynb" else item.path.stem, len(rank)))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# -- the browser: pytest-playwright's, with the machine's Chromium -----------------------------------


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict, playwright: Playwright) -> dict:
    """How it is started; where there is none, the tests that need it are skipped."""
    try:
        return browser_type_launch_args | launch_arguments(playwright)
    except FileNotFoundError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def shared_tab(browser: Browser, browser_context_args: dict) -> Iterator[Page]:
    """One for all pages that need no context of their own; workers are asleep."""
    context = browser.new_context(**browser_context_args | DESK)
    yield watched(context, ASLEEP)
    context.close()


@pytest.fixture
def tabs(shared_tab: Page, new_context: Callable[..., BrowserContext]) -> Tabs:
    return Tabs(shared_tab, new_context)


@pytest.fixture
def show(tabs: Tabs, tmp_path: Path) -> Callable[..., Page]:
    """Open explorables, each in a page of its own, opened as a file."""

    return partial(shown, tabs, tmp_path)


# -- the built book ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def built() -> None:
    """The book is there."""
    if not (HTML / "index.html").exists():
        pytest.fail("the book is not built: run `make book`")


@pytest.fixture(scope="session")
def server(built: None) -> Iterator[ThreadingHTTPServer]:
    """A server of the book."""
    with serving(HTML) as server:
        yield server


@pytest.fixture
def visit(tabs: Tabs, built: None) -> Callable[..., Page]:
    """Open pages of the book, from their files or from a server."""

    return partial(opened, tabs)
