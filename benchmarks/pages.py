"""What each built page weighs, and how soon it can be read and used, in Chromium, from a local server that compresses.

    make book && python benchmarks/pages.py [book/vae search ...]

Prints JSON: for each page the bytes sent, by kind, and the milliseconds until something is painted, until the document
is parsed, until everything is loaded, and until the first explorable has answered a slider that was moved. Each visit
has an empty cache; the times are medians of five.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import launch_arguments, serving  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402

HTML = ROOT / "_build" / "html"
VISITS = 5
KINDS = {".html": "html", ".css": "css", ".js": "js", ".woff": "fonts", ".woff2": "fonts", ".ttf": "fonts"}
# Moves the first slider that can be seen as soon as there is one, and waits until the explorable says something else.
MOVE = """
addEventListener("DOMContentLoaded", () => {
  const root = document.querySelector("[data-explorable]");
  if (!root) return void (window.answered = null);
  const look = () => {
    const slider = [...root.querySelectorAll("input[type=range]")].find((input) => input.offsetWidth);
    const output = root.querySelector("output");
    if (!slider || !output) return void requestAnimationFrame(look);
    const before = output.textContent;
    slider.value = slider.value === slider.max ? slider.min : slider.max;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    const wait = () => output.textContent === before
      ? requestAnimationFrame(wait) : (window.answered = performance.now());
    wait();
  };
  look();
});
"""
TIMES = """() => {
  const [visit] = performance.getEntriesByType("navigation");
  const painted = performance.getEntriesByName("first-contentful-paint")[0];
  return { painted: painted.startTime, parsed: visit.domContentLoadedEventEnd, loaded: visit.loadEventEnd,
           explorable: window.answered };
}"""


def times(browser: Browser, address: str) -> dict[str, float | None]:
    """The milliseconds of one visit."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.add_init_script(MOVE)
    page.goto(address, wait_until="networkidle")
    page.wait_for_function("() => window.answered !== undefined")
    page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length")
    found = page.evaluate(TIMES)
    context.close()
    return found


def weight(sent: dict[str, int]) -> dict[str, int]:
    """Bytes by kind, and all together."""
    kinds: dict[str, int] = {}
    for address, size in sent.items():
        kind = KINDS.get(Path(address.partition("?")[0]).suffix, "images")
        kinds[kind] = kinds.get(kind, 0) + size
    return {"all": sum(kinds.values())} | kinds


def main() -> None:
    """Measure, and print what was found as JSON."""
    names = sys.argv[1:] or [str(path.relative_to(HTML).with_suffix("")) for path in sorted(HTML.glob("book/*.html"))]
    found: dict[str, object] = {"machine": platform.machine(), "cores": os.cpu_count(), "visits": VISITS}
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(**launch_arguments(playwright)) as browser,
        serving(HTML) as server,
    ):
        found["chromium"] = browser.version
        for name in names:
            server.sent.clear()
            visits = [times(browser, f"{server.url}/{name}.html") for _ in range(VISITS)]
            middle = {key: visits[0][key] and round(median(visit[key] for visit in visits)) for key in visits[0]}
            found[name] = {"bytes": weight(server.sent), "milliseconds": middle}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
