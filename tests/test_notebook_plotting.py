"""Pictures and source code, as the notebooks show them."""

from __future__ import annotations

from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
import torch

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_hex, to_rgb

from diffusion_notes.diffusion import ForwardProcess
from diffusion_notes.notebook import plotting
from diffusion_notes.notebook.plotting import plane, scatter, show_arrows, show_density, show_source, use_style
from diffusion_notes.swiss_roll import SwissRoll


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_a_density_is_drawn_the_right_way_up(axes):
    show_density(axes, lambda x: torch.where((x[:, 0] > 1) & (x[:, 1] < -1), 0.0, -100.0), extent=2)
    image = axes.get_images()[0]
    assert image.origin == "lower"
    assert list(image.get_extent()) == [-2, 2, -2, 2]
    assert image.get_array()[0, -1] == 1  # bottom right
    assert image.get_array()[-1, 0] < 1e-9


def test_points_and_arrows_are_where_they_belong(axes):
    x = torch.tensor([[0.5, -1.0], [1.0, 1.5]])
    scatter(axes, x, hue=torch.tensor([0.0, 1.0]), title="points")
    assert axes.collections[0].get_offsets().tolist() == x.tolist()
    assert axes.get_title() == "points"
    show_arrows(axes, lambda x: 2 * x, extent=1)
    arrows = axes.collections[1]
    assert pytest.approx(2 * arrows.X) == arrows.U
    assert pytest.approx(2 * arrows.Y) == arrows.V


def test_points_have_the_colour_of_what_they_are_of(axes):
    for of in ("data", "model"):
        scatter(axes, torch.zeros(3, 2), of=of)
        assert to_hex(axes.collections[-1].get_facecolor()[0]) == plotting.COLOURS[of].lower()
    with pytest.raises(ValueError, match="of must be"):
        scatter(axes, torch.zeros(3, 2), of="nobody")


def test_the_plane_is_square(axes):
    plane(axes, extent=3)
    assert axes.get_xlim() == axes.get_ylim() == (-3, 3)
    assert axes.get_aspect() == 1


def test_the_style_is_applied():
    use_style()
    assert plt.rcParams["axes.spines.top"] is False


def test_source_is_the_functions_own_without_its_docstring(capsys):
    show_source(ForwardProcess.marginal)
    text = capsys.readouterr().out
    assert text.startswith("def marginal(self, x0: Tensor")
    assert "return gaussian(" in text
    assert '"""' not in text
    show_source(SwissRoll.sample)
    assert '"""' not in capsys.readouterr().out
    show_source(plane)
    assert "aspect" in capsys.readouterr().out


def test_source_of_what_has_none_is_an_error():
    with pytest.raises(TypeError):
        show_source(len)
    with pytest.raises(TypeError, match="function must have been defined by def or class, got function <function"):
        show_source(lambda: 3)


# What is seen without red or without green, of linear light (Machado, Oliveira and Fernandes 2009, severity 1), and the
# way from linear light to Oklab (Ottosson 2020), where equal distances look about equally different.
SEEN = {
    "all": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}
CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
OKLAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]
# hue-rotate(180deg), of colours as they are written
TURNED = [[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]]
LUMINANCE = [0.2126, 0.7152, 0.0722]


def written(colour: str) -> np.ndarray:
    return np.array(to_rgb(colour))


def linear(colour: np.ndarray) -> np.ndarray:
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def in_the_dark(colour: np.ndarray) -> np.ndarray:
    """What book.css makes of a figure's colour: invert(0.93) hue-rotate(180deg)."""
    return np.clip(TURNED @ (0.93 - 0.86 * colour), 0, 1)


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    low, high = sorted(LUMINANCE @ linear(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", plotting.COLOURS)
def test_a_colour_is_seen_on_white_and_in_the_dark(name):
    colour = written(plotting.COLOURS[name])
    white = np.ones(3)
    assert contrast(colour, white) >= 3
    assert contrast(in_the_dark(colour), in_the_dark(white)) >= 3


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("ground", [np.asarray, in_the_dark])
def test_colours_are_told_apart_by_all_eyes(eyes, ground):
    """Okabe and Ito's orange and a brown, which did not pass, are 0.02 from each other."""
    light = [np.clip(SEEN[eyes] @ linear(ground(written(colour))), 0, 1) for colour in plotting.COLOURS.values()]
    places = [OKLAB @ np.cbrt(CONES @ of_one) for of_one in light]
    assert min(np.linalg.norm(a - b) for a, b in combinations(places, 2)) > 0.05
