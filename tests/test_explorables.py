"""Explorables: their output is deterministic, safe to put in a page, and says what was given."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import ipywidgets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from IPython.core.formatters import DisplayFormatter

from diffusion_notes.explorables import Explorable, Particles


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


def test_the_output_is_the_same_to_the_byte():
    one, two = (particles()._repr_mimebundle_()[0] for _ in range(2))
    widget_view = "application/vnd.jupyter.widget-view+json"
    assert one.pop(widget_view) != two.pop(widget_view)  # a kernel's own name for it
    assert one == two
    assert one["text/plain"] == "Particles(3 frames of 4 points)"


def test_with_a_kernel_it_is_an_anywidget_with_the_same_state():
    widget = particles()
    state = stored_state(widget)
    live = widget.get_state()
    assert live["_esm"] == state["_esm"]
    assert {name: live[name] for name in state} == state
    assert "export default { render }" in live["_esm"]


@given(hnp.arrays(float, st.tuples(st.integers(2, 5), st.integers(1, 6), st.just(2)), elements=st.floats(-9, 9)))
def test_positions_survive_to_half_a_level(frames):
    hue = np.zeros(frames.shape[1])
    labels = [f"t = {i}" for i in range(len(frames))]
    state = stored_state(Particles(frames, labels, hue, alt="Points.", extent=3.0))
    level = decode(state, len(frames))
    assert level.min() >= 0
    assert level.max() <= 1023
    back = level / 1023 * 6 - 3
    assert np.abs(back - frames.clip(-3, 3)).max() <= 6 / 1023 / 2 + 1e-12


def test_hue_labels_and_alt_are_kept():
    state = stored_state(particles(slider="Time", seconds=2, autoplay=True))
    assert list(base64.b64decode(state["hue"])) == [0, 85, 170, 255]
    assert state["labels"] == ["t = 0", "t = 1", "t = 2"]
    assert (state["alt"], state["slider"], state["seconds"], state["autoplay"]) == (
        "Four points that move.", "Time", 2.0, True,
    )  # fmt: skip


def test_text_cannot_break_out_of_the_page():
    evil = '</script></title></svg><img src=x onerror="alert(1)">'
    widget = particles(alt=evil, labels=[evil] * 3, slider=evil)
    page = widget.static_html()
    assert "<img" not in page.split('<script type="application/json">')[0]
    assert page.count("</script>") == 2  # of the state and of the module
    assert stored_state(widget)["alt"] == evil


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


def test_hues_out_of_range_are_clipped():
    assert list(base64.b64decode(stored_state(particles(hue=[-1, 0, 1, 9]))["hue"])) == [0, 0, 255, 255]


def test_the_fragment_asks_for_nothing_from_elsewhere():
    page = particles().static_html()
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
