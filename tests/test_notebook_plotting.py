"""Pictures and source code, as the notebooks show them."""

from __future__ import annotations

import matplotlib as mpl
import pytest
import torch

mpl.use("Agg")

import matplotlib.pyplot as plt

from diffusion_notes.diffusion import ForwardProcess
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
