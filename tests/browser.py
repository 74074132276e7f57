"""A browser, a server that compresses, and an explorable in a page of its own, opened as a file."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread

import pytest
from notebooks import ROOT
from playwright.sync_api import Browser, Page, sync_playwright

from diffusion_notes.explorables import Explorable

HTML = ROOT / "_build" / "html"
THEMES = ["genindex", "search"]  # pages that the theme makes, beside those of the book
PAGES = sorted(path.stem for path in (ROOT / "book").glob("*") if path.suffix in {".md", ".ipynb"}) + THEMES
PHONE = {"viewport": {"width": 390, "height": 844}}
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
CANDIDATES = ["chromium", "chromium-browser", "google-chrome", "chrome"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PAGE = """<!doctype html><html lang="en" data-theme="{scheme}"><head><meta charset="utf-8"><title>An explorable</title>
<meta name="viewport" content="width=device-width"></head>
<body style="font: 16px sans-serif; margin: 10px; {colours}">
<main><h1>An explorable</h1>{widget}</main></body></html>"""
MOUNTED = "() => [...document.querySelectorAll('[data-explorable]')].every((e) => e.querySelector('output'))"
COLOURS = {"light": "background: #fff; color: #222", "dark": "background: #14181e; color: #ddd"}


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's Chromium."""
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, CANDIDATES)), None)
        executable = os.environ.get("CHROMIUM") or found or playwright.chromium.executable_path
        if not Path(executable).exists():
            pytest.skip("SKIPPED TESTS OF THE PAGES: no Chromium. Install one, or set CHROMIUM to where it is.")
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


class Compressing(SimpleHTTPRequestHandler):
    """Serves a folder as the web does: text with gzip. The server remembers how many bytes each address took."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for the browser to acknowledge its headers

    def send_head(self) -> BytesIO | None:
        """Send the headers, and say what the body is."""
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        body, text = compressed(path)
        self.server.sent[self.path] = len(body)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Length", str(len(body)))
        if text:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        return BytesIO(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@cache
def compressed(path: Path) -> tuple[bytes, bool]:
    """The bytes that are sent for a file, and whether they are compressed: fonts and bitmaps are by themselves."""
    text = path.suffix in {".html", ".css", ".js", ".svg", ".json"}
    return gzip.compress(path.read_bytes()) if text else path.read_bytes(), text


@contextmanager
def serving(folder: Path) -> Iterator[ThreadingHTTPServer]:
    """A server of a folder; ``sent`` holds the bytes of what was asked for, by address, ``url`` is where it is."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Compressing, directory=folder)) as server:
        server.sent, server.url = {}, f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@contextmanager
def pages(browser: Browser, folder: Path) -> Iterator[Callable[..., Page]]:
    """Open explorables, each in a page that remembers what it asks for and complains of."""
    contexts = []

    def show(widget: Explorable, scheme: str = "light", width: int = 800, **options: object) -> Page:
        viewport = {"width": width, "height": 900}
        context = browser.new_context(**({"viewport": viewport, "color_scheme": scheme} | options))
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: None if r.url.startswith(("file:", "blob:")) else page.complaints.append(r.url))
        path = folder / f"page{len(contexts)}.html"
        colours = COLOURS[scheme]
        path.write_text(PAGE.format(scheme=scheme, colours=colours, widget=widget.page_html()), encoding="utf-8")
        page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            page.wait_for_selector("[data-explorable] output")
        return page

    yield show
    for context in contexts:
        context.close()


@contextmanager
def visits(browser: Browser, before: str = "") -> Iterator[Callable[..., Page]]:
    """Open pages of the book, from their files or from a server, and remember what they ask for and complain of.

    A script may run before those of the page.
    """
    contexts = []

    def visit(name: str, base: str = HTML.as_uri(), anchor: str = "", **options: object) -> Page:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(before)
        page.name, page.requested, page.complaints = name, [], []
        page.on("request", lambda request: page.requested.append(request.url))
        page.on("requestfailed", lambda request: page.complaints.append(f"not found: {request.url}"))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
        page.goto(f"{base}/{'' if name in THEMES else 'book/'}{name}.html{anchor}")
        if options.get("java_script_enabled", True):
            page.wait_for_function(MOUNTED)
            page.evaluate("document.fonts.ready.then(() => 0)")
        return page

    yield visit
    for context in contexts:
        context.close()


def check_whole(page: Page, width: int) -> None:
    """Nothing is complained of, nothing sticks out sideways, and axe-core finds nothing."""
    assert page.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert [f"{v['id']}: {v['nodes'][0]['html']}" for v in found["violations"]] == []


def number(words: str) -> float:
    """A number as a page says it, with its sign and its power of ten."""
    digits, _, power = words.replace("−", "-").partition("·10⁻")
    return float(digits) * 10.0 ** -int(power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")) or 0)
