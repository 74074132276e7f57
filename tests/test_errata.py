"""Every number that the errata state is computed here, from the definitions."""

from __future__ import annotations

import math
import re

import torch
from notebooks import ROOT
from test_notebooks import NUMBER, STRUCTURE, prose

from diffusion_notes.diffusion import Schedule
from diffusion_notes.hierarchical_vae import splits
from diffusion_notes.linear_gaussian import Affine, LinearGaussianChain

TEXT = (ROOT / "book" / "errata.md").read_text(encoding="utf-8")


def log_normal(x: float, variance: float) -> float:
    return -(x**2) / (2 * variance) - math.log(2 * math.pi * variance) / 2


def numbers() -> dict[str, float]:
    """By what is printed: what it should be."""
    s, a = 0.5, 0.1
    between, encoder = Affine.scalar(a, math.sqrt(1 - a**2)), Affine.scalar(1 / (1 + s**2), s / math.sqrt(1 + s**2))
    chain = LinearGaussianChain([Affine.scalar(1.0, s), between], [encoder, between])
    it = splits(chain, torch.tensor([[1.2]], dtype=torch.float64))
    alpha_bar = Schedule.linear(T=1000).alpha_bar
    return {
        "0.226": -log_normal(0, 1 / 4),
        "0.919": -log_normal(0, 1),
        "0.86": (it.printed - it.log_prob).item(),
        "0.00004": alpha_bar[-1].item(),
        "0.603": Schedule.linear(T=50).alpha_bar[-1].item(),
        "0.276": alpha_bar[1:].mean().item(),  # each coordinate's smallest loss is alpha_bar, for standard normal data
        "1.419": math.log(2 * math.pi * math.e) / 2,
    }


def test_every_number_is_computed():
    body = re.sub(r"^\d+\. ", "", TEXT, flags=re.MULTILINE)
    stated = set(NUMBER.findall(prose(body))) - STRUCTURE - {"1000", "50"}  # the two T
    stated -= {str(n) for n in range(1, 11)}  # the post's equations
    assert stated == set(numbers())
    for text, value in numbers().items():
        assert round(value, len(text.partition(".")[2])) == float(text), text


def test_they_are_numbered_in_order_and_of_one_of_three_kinds():
    entries = re.findall(r"^(\d+)\. \*\*.*?\*\* \((\w+)", TEXT, re.MULTILINE)
    assert [int(n) for n, _ in entries] == list(range(1, len(entries) + 1))
    assert len(entries) > 60
    assert {kind for _, kind in entries} == {"wrong", "slip", "loose"}
