"""Small networks: one that predicts noise, and one whose output is a Gaussian."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Independent

from diffusion_notes.checks import check_integer, check_kind, check_positive
from diffusion_notes.diffusion import Schedule
from diffusion_notes.distributions import gaussian
from diffusion_notes.tensor_checks import check_generator, check_last_axis, check_place, check_points

__all__ = ["GaussianMLP", "NoiseMLP", "time_waves"]


class NoiseMLP(nn.Module):
    r""":math:`\varepsilon_\theta(x_t, t)` for points with few coordinates: a small multi-layer perceptron.

    Three things let so few parameters predict the noise well, and none of them changes what is
    predicted.

    * *Random Fourier features* of the point (Tancik et al. 2020). A perceptron alone is slow to
      learn anything that varies quickly, and the arms of the roll are close together.
    * *Time as a noise level.* The network sees half the log signal-to-noise ratio,
      :math:`\tfrac12\log\frac{\bar\alpha_t}{1-\bar\alpha_t}`, and a few sines and cosines of it, in
      place of the position t in some schedule.
    * *A start from the linear answer* (Karras et al. 2022, section 5). If the data were
      :math:`\mathcal N(0, \sigma_d^2 I)`, the best prediction would be
      :math:`\frac{\sqrt{1-\bar\alpha_t}}{v_t}\,x_t`, with :math:`v_t = \bar\alpha_t\sigma_d^2 + 1 - \bar\alpha_t`,
      and what is left over would have variance :math:`\bar\alpha_t\sigma_d^2 / v_t`. The
      perceptron only learns what is left over, scaled to variance one.

    Arguments:
        schedule: the schedule whose t is meant.
        dim: D, the number of coordinates of a point.
        width: the number of units in each hidden layer.
        depth: the number of hidden layers.
        features: the number of random frequencies.
        data_std: :math:`\sigma_d`, the standard deviation of a coordinate of the data.
        generator: draws the initial weights and the frequencies; on the CPU.

    Raises:
        TypeError: ``schedule`` is no :class:`~diffusion_notes.diffusion.Schedule`, or a size is no integer.
        ValueError: a size is below 1, or ``data_std`` is not positive and finite.

    >>> network = NoiseMLP(Schedule.linear(T=1000))
    >>> network(torch.zeros(5, 2), torch.tensor([1, 10, 100, 500, 1000])).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        schedule: Schedule,
        dim: int = 2,
        width: int = 64,
        depth: int = 3,
        features: int = 16,
        data_std: float = 0.7,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        check_kind("schedule", schedule, Schedule)
        for name, size in (("dim", dim), ("width", width), ("depth", depth), ("features", features)):
            check_integer(name, size, least=1)
        check_positive("data_std", data_std)
        check_generator("generator", generator, torch.device("cpu"))

        self.schedule, self.data_std = schedule, data_std
        frequency = torch.randn(dim, features, generator=generator) * _FREQUENCY
        self.register_buffer("frequency", frequency)
        self._register_tables(schedule, data_std)
        self.layers = _perceptron(dim + 2 * features + 1 + 2 * _TIME_WAVES, dim, width, depth)
        self.reset_parameters(generator)

    def _register_tables(self, schedule: Schedule, data_std: float) -> None:
        """What the network knows of each t, row by row: tables in the dtype of the weights."""
        noise = (1 - schedule.alpha_bar).clamp(min=1e-6)  # t = 0 is never asked about; keep it finite
        signal = 1 - noise
        variance = signal * data_std**2 + noise
        time = time_waves(schedule)
        tables = {"time": time, "linear": noise.sqrt() / variance, "left_over": data_std * (signal / variance).sqrt()}
        for name, table in tables.items():
            table = table if table.dim() == 2 else table.unsqueeze(-1)
            self.register_buffer(name, table.to(torch.get_default_dtype()), persistent=False)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw new initial weights, distributed as in ``torch.nn.Linear``, and a last layer of zeros.

        The untrained network then predicts exactly the linear answer.
        """
        check_generator("generator", generator, self.frequency.device)
        _reset(self.layers[:-1], generator)
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def extra_repr(self) -> str:
        """What torch's own repr of the layers does not say."""
        return f"data_std={self.data_std:g}, T={self.schedule.T}"

    def forward(self, xt: Tensor, t: int | Tensor) -> Tensor:
        """Predict the noise in ``xt`` of shape ``(..., D)``; ``t`` is an integer, or a tensor of shape ``(...)``.

        ``xt`` has the dtype and device of the weights. Values, of ``t`` too, are not checked,
        because this is called inside loops.
        """
        check_last_axis("xt", xt, len(self.frequency))
        check_place("xt", xt, "the weights", self.frequency)
        self.schedule.check_t(t, xt, look=False)
        time, linear, left_over = (table[t] for table in (self.time, self.linear, self.left_over))
        wave = xt @ self.frequency
        time = time.expand(*xt.shape[:-1], -1)
        inputs = torch.cat((xt, wave.sin(), wave.cos(), time), -1)
        return linear * xt + left_over * self.layers(inputs)


def time_waves(schedule: Schedule) -> Tensor:
    r"""What a network sees of t: half the log signal-to-noise ratio, and waves of it; ``(T + 1, 9)``, in float64.

    Raises:
        TypeError: ``schedule`` is no :class:`~diffusion_notes.diffusion.Schedule`.

    >>> time_waves(Schedule.linear(T=10)).shape
    torch.Size([11, 9])
    """
    check_kind("schedule", schedule, Schedule)
    noise = (1 - schedule.alpha_bar).clamp(min=1e-6)  # t = 0 is never asked about; keep it finite
    half_log_snr = ((1 - noise) / noise).log() / 2
    wave = math.pi / 8 * torch.arange(1, 1 + _TIME_WAVES, dtype=torch.float64, device="cpu")
    phase = half_log_snr.unsqueeze(-1) * wave
    return torch.cat((half_log_snr.unsqueeze(-1) / 4, phase.sin(), phase.cos()), -1)


class GaussianMLP(nn.Module):
    r"""A conditional Gaussian :math:`\mathcal N(\mu(z),\ \operatorname{diag}\sigma^2(z))`: an encoder or a decoder.

    One multi-layer perceptron computes the mean and, unless it is given, the standard deviation.

    Arguments:
        dim_in: the number of coordinates of z.
        dim_out: the number of coordinates of what is described.
        width: the number of units in each hidden layer.
        depth: the number of hidden layers; with 0 the mean is affine in z.
        features: the number of random Fourier features of z (Tancik et al. 2020) beside z itself. They
            let the perceptron learn what varies quickly.
        std: the standard deviation, if it is not to be learned: one number for all z and all coordinates.
        generator: draws the initial weights and the frequencies; on the CPU.

    Raises:
        TypeError: a size is no integer, or ``std`` is no number.
        ValueError: a size is too small, or ``std`` is not positive and finite.

    >>> GaussianMLP(1, 2)(torch.zeros(5, 1)).log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        dim_in: int,
        dim_out: int,
        width: int = 64,
        depth: int = 2,
        features: int = 0,
        std: float | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("dim_in", dim_in), ("dim_out", dim_out), ("width", width)):
            check_integer(name, size, least=1)
        check_integer("depth", depth, least=0)
        check_integer("features", features, least=0)
        if std is not None:
            check_positive("std", std)
        check_generator("generator", generator, torch.device("cpu"))
        self.std = std
        self.register_buffer("frequency", torch.randn(dim_in, features, generator=generator) * _FREQUENCY)
        self.layers = _perceptron(dim_in + 2 * features, dim_out if std else 2 * dim_out, width, depth)
        _reset(self.layers, generator)

    def extra_repr(self) -> str:
        """What torch's own repr of the layers does not say."""
        return f"std={self.std or 'learned'}"

    def forward(self, z: Tensor) -> Independent:
        """The Gaussian given ``z`` of shape ``(n, dim_in)``, in the dtype of the weights.

        Values are not checked, because this is called inside loops.
        """
        check_points("z", z, dim=len(self.frequency))
        check_place("z", z, "the weights", self.frequency)
        wave = z @ self.frequency
        out = self.layers(torch.cat((z, wave.sin(), wave.cos()), -1))
        if self.std is not None:
            return gaussian(out, torch.full_like(out, self.std))
        mean, raw = out.chunk(2, -1)
        return gaussian(mean, nn.functional.softplus(raw) + _LEAST_STD)


def _perceptron(dim_in: int, dim_out: int, width: int, depth: int) -> nn.Sequential:
    sizes = [dim_in] + [width] * depth
    hidden = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.SiLU())]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], dim_out))


def _reset(layers: nn.Sequential, generator: Generator | None) -> None:
    """Initial weights as torch.nn.Linear draws them, but from a generator."""
    for layer in layers[::2]:
        bound = 1 / math.sqrt(layer.in_features)
        nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


_LEAST_STD = 1e-3  # of a learned Gaussian: a density without bound would be the end of a training run
_FREQUENCY = 2.0  # the standard deviation of the random frequencies, in radians per unit
_TIME_WAVES = 4
