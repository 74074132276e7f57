"""Explorables: their output is deterministic, safe to put in a page, and says what was given."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import ipywidgets
import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from IPython.core.formatters import DisplayFormatter
from notebooks import NOTEBOOKS, ROOT

from diffusion_notes import explorables
from diffusion_notes.explorables import Explorable, Forward, Gap, Layers, Particles, still_pictures
from diffusion_notes.explorables.base import json_in_script, module_script
from diffusion_notes.notebook import plotting


def particles(**kwargs) -> Particles:
    arguments = {
        "frames": np.linspace(-1, 1, 24).reshape(3, 4, 2),
        "labels": ["t = 0", "t = 1", "t = 2"],
        "hue": np.linspace(0, 1, 4),
        "alt": "Four points that move.",
    }
    return Particles(**(arguments | kwargs))


def stored_state(widget: Explorable) -> dict:
    page = widget._repr_mimebundle_()[0]["text/html"]
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)[1])


def decode(state: dict, frames: int) -> np.ndarray:
    packed = np.frombuffer(base64.b64decode(state["frames"]), np.uint8).reshape(2, frames, state["count"], 2)
    return packed[0].astype(int) * 256 + packed[1]


def test_it_imports_without_torch():
    code = "import sys, diffusion_notes.explorables; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_thing_has_one_colour_in_figures_stills_scripts_and_pages():
    script = (ROOT / "diffusion_notes" / "explorables" / "drawing.js").read_text()
    face = (ROOT / "book" / "_assets" / "face.css").read_text()
    names = ("bound", "data", "model", "noise", "posterior", "wrong")
    figures = {name: plotting.COLOURS[name].lower() for name in names}
    assert {name: getattr(still_pictures, name.upper()).lower() for name in names} == figures
    in_script = re.findall(r'^const ([A-Z]+) = "(#\w{6})"', script, re.M)
    assert {name.lower(): colour.lower() for name, colour in in_script} == figures
    styled = {name: figures[name] for name in ("data", "posterior", "wrong")}
    assert dict(re.findall(r"--(data|posterior|wrong): (#\w{6})", face)) == styled


def test_the_output_is_the_same_to_the_byte():
    one, two = (particles()._repr_mimebundle_()[0] for _ in range(2))
    widget_view = "application/vnd.jupyter.widget-view+json"
    assert one.pop(widget_view) != two.pop(widget_view)  # a kernel's own name for it
    assert one == two
    assert one["text/plain"] == "Particles(3 frames of 4 points)"


SCRIPTS = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("diffusion_notes/explorables/*.js")}
LINES = {line.strip() for text in SCRIPTS.values() for line in text.splitlines() if len(line.strip()) > 30}


def test_with_a_kernel_it_is_an_anywidget_with_the_same_state_and_the_module():
    widget = particles()
    state = stored_state(widget)
    live = widget.get_state()
    assert {name: live[name] for name in state} == state
    assert live["_esm"] == SCRIPTS["particles"]
    assert "export default { render }" in live["_esm"]


def test_the_module_is_all_its_parts_in_their_order():
    assert Gap()._esm == "\n".join(SCRIPTS[name] for name in ("maths", "drawing", "gap"))


def test_what_is_stored_holds_no_line_of_a_script():
    assert len(LINES) > 500
    for widget in (particles(), Gap(), Layers(), Forward()):
        stored = widget._repr_mimebundle_()[0]["text/html"]
        assert stored == widget.stored_html()
        assert [line for line in LINES if line in stored] == []
        assert "_esm" not in stored_state(widget)
        assert any(json_in_script(line)[1:-1] in widget.page_html() for line in LINES)  # that it would be seen


def test_a_change_of_a_script_changes_nothing_that_is_stored():
    """In another process, where every script begins with another line."""
    code = """
import sys
from diffusion_notes.explorables import Gap, base
print(Gap().stored_html())
print("another line" in Gap()._esm, file=sys.stderr)
"""
    changed = code.replace(
        "import sys\n",
        """import sys
from pathlib import Path
read = Path.read_text
Path.read_text = lambda path, **how: "// another line\\n" * (path.suffix == ".js") + read(path, **how)
""",
    )
    before, after = (
        subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
        for text in (code, changed)
    )
    assert (before.stderr.strip(), after.stderr.strip()) == ("False", "True")
    assert after.stdout == before.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_stores_the_state_of_its_explorables_and_no_script(path):
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            stored = output.get("data", {}).get("text/html", "")
            if "data-explorable" not in stored:
                continue
            name = re.match(r'<div data-explorable="(\w+)">', stored)[1]
            (kind,) = (kind for kind in every_kind() if kind.name == name)
            assert re.findall("<script.*?>", stored) == ['<script type="application/json">']
            state = json.loads(re.search(r'<script type="application/json">(.*)</script></div>$', stored)[1])
            assert sorted(state) == sorted(kind.class_trait_names(state=True))
            assert [line for line in LINES if line in stored] == []


def every_kind() -> list[type[Explorable]]:
    return [getattr(explorables, name) for name in explorables.__all__ if name != "Explorable"]


def test_every_explorable_has_a_name_and_a_module_of_its_own():
    names = [kind.name for kind in every_kind()]
    assert len(set(names)) == len(names)
    assert set(names) <= set(SCRIPTS)


def test_where_no_script_runs_a_line_says_how_to_move_it():
    stored = particles().stored_html()
    (line,) = re.findall(r'</svg><p class="how-to-move-it">(.*?)</p>', stored)
    assert "Run this cell in Jupyter, VS Code or Colab" in line


@given(hnp.arrays(float, st.tuples(st.integers(2, 5), st.integers(1, 6), st.just(2)), elements=st.floats(-9, 9)))
def test_positions_survive_to_half_a_level(frames):
    hue = np.zeros(frames.shape[1])
    labels = [f"t = {i}" for i in range(len(frames))]
    state = stored_state(Particles(frames, labels, hue, alt="Points.", extent=2.0, aspect=1.5))
    level = decode(state, len(frames))
    assert level.min() >= 0
    assert level.max() <= 1023
    reach = state["reach"]
    assert reach > 2.0 * 1.5  # what is beyond the picture is not at its border
    back = (2 * level / 1023 - 1) * reach
    assert np.abs(back - frames.clip(-reach, reach)).max() <= reach / 1023 + 1e-12


def test_hue_labels_and_alt_are_kept():
    state = stored_state(particles(slider="Time", seconds=2, autoplay=True))
    assert list(base64.b64decode(state["hue"])) == [0, 85, 170, 255]
    assert state["labels"] == ["t = 0", "t = 1", "t = 2"]
    assert (state["alt"], state["slider"], state["seconds"], state["autoplay"]) == (
        "Four points that move.", "Time", 2.0, True,
    )  # fmt: skip


def test_text_cannot_break_out_of_the_page():
    evil = '<!--<script></script></title></svg><img src=x onerror="alert(1)">'
    widget = particles(alt=evil, labels=[evil] * 3, slider=evil)
    page = widget.page_html()
    assert "<img" not in page
    assert "<!--" not in page
    assert page.count("<script") == page.count("</script>") == 3  # of the state, of the module, and of what starts it
    assert stored_state(widget)["alt"] == evil


def test_the_text_of_a_module_cannot_break_out_of_its_script():
    kept = module_script("evil", 'const a = "</script><!--";')
    assert "<" not in kept
    assert json.loads(kept.partition("= ")[2].rpartition(";")[0].partition("= ")[2]) == 'const a = "</script><!--";'


def test_the_still_picture_is_an_svg_with_all_points_and_a_title():
    svg = ElementTree.fromstring(particles().still_picture())
    assert svg.attrib["role"] == "img"
    assert svg.find("title").text == "Four points that move."
    assert [text.text for text in svg.iter("text")] == ["t = 0", "t = 1", "t = 2"]
    assert sum(path.attrib["d"].count("M") for path in svg.iter("path")) == 3 * 4


def test_the_still_picture_is_the_right_way_up():
    frames = np.zeros((2, 1, 2))
    frames[:, 0] = (1.75, 1.75)  # right of the middle and above it
    svg = ElementTree.fromstring(Particles(frames, ["a", "b"], [0.0], alt="One point.").still_picture())
    assert [path.attrib["d"] for path in svg.iter("path")] == ["M225,75h0"] * 2


def test_the_still_picture_leaves_out_what_is_beyond_it():
    frames = np.zeros((2, 2, 2))
    frames[1, 0] = (0.0, 3.6)
    svg = ElementTree.fromstring(Particles(frames, ["a", "b"], [0.0, 0.0], alt="Two points.").still_picture())
    assert [path.attrib["d"] for path in svg.iter("path")] == ["M150,150h0M150,150h0", "M150,150h0"]


def test_the_still_picture_names_the_stages_over_arrows():
    widget = particles(stages=["there", "and back"])
    assert stored_state(widget)["stages"] == ["there", "and back"]
    svg = ElementTree.fromstring(widget.still_picture())
    assert [text.text for text in svg.iter("text")][:2] == ["there", "and back"]


def test_hues_out_of_range_are_clipped():
    assert list(base64.b64decode(stored_state(particles(hue=[-1, 0, 1, 9]))["hue"])) == [0, 0, 255, 255]


def test_the_fragment_asks_for_nothing_from_elsewhere():
    page = particles().page_html()
    assert not re.search(r"""(src|href|import|fetch)\s*[=(]?\s*["'(]*(https?:)?//""", page)


def test_an_explorable_must_be_drawn_without_scripts():
    class Bare(Explorable):
        pass

    with pytest.raises(TypeError, match="Bare does not say how it is drawn"):
        Bare().still_picture()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"frames": np.zeros((3, 4))}, ValueError, r"shape \(F, N, 2\)"),
        ({"frames": np.zeros((1, 4, 2))}, ValueError, r"shape \(F, N, 2\)"),
        ({"frames": np.zeros((3, 0, 2)), "hue": []}, ValueError, r"shape \(F, N, 2\)"),
        ({"frames": np.full((3, 4, 2), np.nan)}, ValueError, "frames must be finite"),
        ({"frames": "frames"}, TypeError, "frames must be an array of numbers"),
        ({"hue": np.zeros(5)}, ValueError, r"hue must have shape \(4,\)"),
        ({"hue": [0, 1, np.inf, 0]}, ValueError, "hue must be finite"),
        ({"labels": ["a"]}, ValueError, "labels must be one for each of the 3 frames"),
        ({"labels": [1, 2, 3]}, TypeError, "labels must be text"),
        ({"alt": " "}, ValueError, "alt must not be empty"),
        ({"alt": None}, TypeError, "alt must be text"),
        ({"slider": ""}, ValueError, "slider must not be empty"),
        ({"stages": ["a", " "]}, ValueError, "stages must not be empty"),
        ({"stages": "a"}, TypeError, "stages must be a list of texts"),
        ({"aspect": 0}, ValueError, "aspect must be positive"),
        ({"extent": 0}, ValueError, "extent must be positive"),
        ({"seconds": -1}, ValueError, "seconds must be positive"),
    ],
)
def test_bad_input_is_named(change, error, words):
    with pytest.raises(error, match=words):
        particles(**change)


def test_its_output_is_whole_with_ipywidgets_7_too(monkeypatch):
    """That version shows widgets by a method of IPython's that goes before the bundle."""
    shown = []
    monkeypatch.setattr(ipywidgets.Widget, "_ipython_display_", lambda self: shown.append(self), raising=False)
    DisplayFormatter().format(ipywidgets.IntSlider())
    assert len(shown) == 1
    data, _ = DisplayFormatter().format(particles())
    assert len(shown) == 1
    assert {"text/html", "application/vnd.jupyter.widget-view+json"} <= data.keys()
