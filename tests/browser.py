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

from axe_playwright_python.sync_playwright import Axe
from notebooks import ROOT
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from diffusion_notes.explorables import Explorable

HTML = ROOT / "_build" / "html"
THEMES = ["genindex", "search"]  # pages that the theme makes, beside those of the book
PAGES = sorted(path.stem for path in (ROOT / "book").glob("*") if path.suffix in {".md", ".ipynb"}) + THEMES
LIMIT = 700_000  # bytes of a page, as sent with gzip
DESK = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}
PHONE = {"viewport": {"width": 390, "height": 844}}
CANDIDATES = ["chromium", "chromium-browser", "google-chrome", "chrome"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
NO_CHROMIUM = "SKIPPED TESTS OF THE PAGES: no Chromium. Install one, or set CHROMIUM to where it is."
PAGE = """<!doctype html><html lang="en" data-theme="{scheme}"><head><meta charset="utf-8"><title>An explorable</title>
<meta name="viewport" content="width=device-width"></head>
<body style="font: 16px sans-serif; margin: 10px; {colours}">
<main><h1>An explorable</h1>{widget}</main></body></html>"""
MOUNTED = "() => [...document.querySelectorAll('[data-explorable]')].every((e) => e.querySelector('output'))"
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
COLOURS = {"light": "background: #fff; color: #222", "dark": "background: #14181e; color: #ddd"}
# The network of the reverse process runs for a minute once it is seen; tests of the rest of a page do without.
ASLEEP = "Worker.prototype.postMessage = () => {}"
# axe-core's rules that see a difference between light and dark
COLOUR_RULES = ["color-contrast", "link-in-text-block"]


def launch_arguments(playwright: Playwright) -> dict[str, object]:
    """How the machine's Chromium is started: which it is, and without what it would ask of the network by itself.

    Raises:
        FileNotFoundError: If there is none; it says what to do.
    """
    found = next(filter(None, map(shutil.which, CANDIDATES)), None)
    executable = os.environ.get("CHROMIUM") or found or playwright.chromium.executable_path
    if not Path(executable).exists():
        raise FileNotFoundError(NO_CHROMIUM)
    return {"executable_path": executable, "args": FLAGS}


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
        self.send_header("Cache-Control", "no-store")  # each page is weighed as if it were the first
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
        server.sent = {}
        server.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def watched(context: BrowserContext, before: str = "") -> Page:
    """A tab that remembers what its page asks for, and what it complains of; a script runs before those of the page."""
    page = context.new_page()
    page.add_init_script(before)
    page.requested = []
    page.complaints = []
    page.on("request", lambda request: page.requested.append(request.url))
    page.on("requestfailed", lambda request: page.complaints.append(f"not found: {request.url}"))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    return page


class Tabs:
    """Opens pages in one tab, one after the other; those that need what only a new context can be are in one of those.

    A new context, as pytest-playwright's ``page`` has for each test, costs the browser a new process: three times as
    much work as to open an explorable in one that there is. What one page leaves behind is cleared before the next.
    """

    EMULATED = ("color_scheme", "reduced_motion", "forced_colors", "media")

    def __init__(self, shared: Page, new_context: Callable[..., BrowserContext], **given: object) -> None:
        """From a tab whose context was made with these options, and pytest-playwright's way to make another."""
        self.shared = shared
        self.new_context = new_context
        self.given = given

    def open(self, address: str, *, own_context: bool = False, before: str = "", **options: object) -> Page:
        """The page at an address, with options of a context; a script may run before those of the page.

        In a context of its own, which others cannot share, workers are awake.
        """
        options = DESK | self.given | options
        fixed = {name for name, value in options.items() if self.given.get(name) != value}
        if own_context or before or not fixed <= {"viewport", *self.EMULATED}:
            page = watched(self.new_context(**options), before)
        else:
            page = self.shared
            page.set_viewport_size(options["viewport"])
            page.emulate_media(**{name: options.get(name, "null") for name in self.EMULATED})
        self.clear(page)
        if "#" in address:
            page.goto("about:blank")  # or it would only scroll, if it is there already
        page.goto(address)
        return page

    @staticmethod
    def clear(page: Page) -> None:
        """Forget what a page has stored, asked for and complained of, and let the mouse go."""
        page.mouse.up()
        page.mouse.move(0, 0)
        page.evaluate("() => { try { localStorage.clear(); sessionStorage.clear() } catch {} }")
        page.requested.clear()
        page.complaints.clear()


@contextmanager
def tab_kept(browser: Browser, before: str = ASLEEP, **options: object) -> Iterator[Tabs]:
    """A tab of its own, with options of a context, for pages that several tests look at; workers are asleep."""
    context = browser.new_context(**options)
    yield Tabs(watched(context, before), browser.new_context, **options)
    context.close()


def opened(tabs: Tabs, name: str, base: str = HTML.as_uri(), anchor: str = "", **options: object) -> Page:
    """A page of the book, with its explorables and its fonts, if there are scripts."""
    page = tabs.open(f"{base}/{'' if name in THEMES else 'book/'}{name}.html{anchor}", **options)
    page.name = name
    if options.get("java_script_enabled", True):
        page.wait_for_function(MOUNTED)
        page.evaluate("document.fonts.ready.then(() => 0)")
    return page


def shown(
    tabs: Tabs, folder: Path, widget: Explorable, scheme: str = "light", width: int = 800, **options: object
) -> Page:
    """A page with nothing but an explorable, opened as a file of this folder."""
    path = folder / "page.html"
    html = PAGE.format(scheme=scheme, colours=COLOURS[scheme], widget=widget.page_html())
    path.write_text(html, encoding="utf-8")
    page = tabs.open(path.as_uri(), **{"viewport": {"width": width, "height": 900}, "color_scheme": scheme} | options)
    if options.get("java_script_enabled", True):
        page.wait_for_selector("[data-explorable] output")
    return page


def resize(page: Page, width: int) -> None:
    """Make the page so wide, and wait until what is drawn by scripts is drawn again."""
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(FRAMES)


def violations(page: Page, context: dict[str, object] | None = None, **options: object) -> list[str]:
    """What axe-core finds: the rule, and the first element that breaks it."""
    asked = {"resultTypes": ["violations"], "preload": False} | options
    there = page.evaluate("typeof axe !== 'undefined'")
    found = (Axe("0") if there else Axe()).run(page, context, asked).response
    assert found["passes"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found["violations"]]


def check_whole(page: Page, scheme: str) -> None:
    """Nothing is complained of or asked for elsewhere, nothing sticks out sideways, and axe-core finds nothing.

    In the dark, axe-core tries only those of its rules that see a difference to the light.
    """
    assert page.complaints == []
    assert [url for url in page.requested if not url.startswith(("file:", "blob:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert violations(page, **{"runOnly": COLOUR_RULES} if scheme == "dark" else {}) == []


def number(words: str) -> float:
    """A number as a page says it, with its sign and its power of ten."""
    digits, _, power = words.replace("−", "-").partition("·10⁻")
    return float(digits) * 10.0 ** -int(power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")) or 0)
