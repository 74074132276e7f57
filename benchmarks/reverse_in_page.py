"""How fast the reverse process runs in a page: frames and network evaluations a second, in Chromium.

    python benchmarks/reverse_in_page.py

Everything is measured in one run, side by side: the page while it plays, and the network alone, with its blocked loops
and with a plain loop over the same numbers.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import launch_arguments, shown, tab_kept  # noqa: E402
from javascript import run  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from diffusion_notes.explorables import Reverse  # noqa: E402
from diffusion_notes.pretrained import swiss_roll_ddpm  # noqa: E402

PLAYED = """() => new Promise((done) => {
  const root = document.querySelector('[data-explorable]'), start = { ...root.dataset }, began = performance.now();
  const waits = []; let last = began;
  const timer = setInterval(() => { const now = performance.now(); waits.push(now - last - 4); last = now; }, 4);
  setTimeout(() => { clearInterval(timer); const seconds = (performance.now() - began) / 1000;
    done({ frames: (root.dataset.frames - start.frames) / seconds,
           evaluations: (root.dataset.evaluations - start.evaluations) / seconds,
           longest: Math.max(...waits) }); }, 5000); })"""
ALONE = """
const net = trainedNetwork(weights, settings), points = Float32Array.from(new Random(1).normals(2 * 2000));
const rate = (f) => { for (let i = 0; i < 5; i++) f(); const began = performance.now();
  let count = 0; while (performance.now() - began < 2000) { f(); count++; }
  return (1000 * count) / (performance.now() - began); };
const blocked = rate(() => net.predict(points, 500));
affine = (input, output, n, wide, high, weight, bias) => { for (let i = 0; i < n; i++) for (let o = 0; o < high; o++) {
  let sum = bias[o]; for (let k = 0; k < wide; k++) sum += input[i * wide + k] * weight[o * wide + k];
  output[i * high + o] = sum; } };
return { blocked, plain: rate(() => net.predict(points, 500)) };
"""


def main() -> None:
    """Measure, and print what was found as JSON."""
    widget = Reverse(swiss_roll_ddpm().network)
    found: dict[str, object] = {"machine": platform.machine(), "cores": os.cpu_count(), "points": 2000}
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(**launch_arguments(playwright)) as browser,
        tempfile.TemporaryDirectory() as folder,
        tab_kept(browser, before="") as tabs,
    ):
        found["chromium"] = browser.version
        page = shown(tabs, Path(folder), widget)
        page.get_by_role("button").first.click()
        page.wait_for_timeout(500)
        found["page"] = page.evaluate(PLAYED)
    state = widget.state()
    found["network alone, evaluations a second"] = run(
        ALONE, "maths", weights=state["weights"], settings=state["settings"]
    )
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
