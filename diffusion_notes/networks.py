"""The network that predicts the noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from diffusion_notes.distributions import _describe

__all__ = ["NoiseMLP"]


class NoiseMLP(nn.Module):
    r""":math:`\varepsilon_\theta(x_t, \bar\alpha_t)`: a multi-layer perceptron for points in the plane (or in D dimensions).

    Two things make so small a network accurate.
    It sees the point at several scales, :math:`x_t / \sqrt{\bar\alpha_t s^2 + 1-\bar\alpha_t}`...
    """
