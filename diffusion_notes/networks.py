"""Small networks: those that see a noise level beside the point, and one whose output is a Gaussian."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Independent

from diffusion_notes._arguments.tensors import (
    check_generator,
    check_last_axis,
    check_points,
    check_same_dtype_and_device,
)
from diffusion_notes._arguments.values import check_integer, check_kind, check_positive, describe
from diffusion_notes.distributions import gaussian
from diffusion_notes.schedule import Schedule

__all__ = ["GaussianMLP", "NoiseMLP", "TimestepMLP", "timestep_embedding"]

_LEAST_STD = 1e-3  # of a learned Gaussian: a density without bound would be the end of a training run
_FREQUENCY = 2.0  # the standard deviation of the random frequencies, in radians per unit
_TIME_WAVES = 4


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
        condition: how many numbers c it is told beside the point and t; mostly none.

    Raises:
        TypeError: ``schedule`` is no :class:`~diffusion_notes.schedule.Schedule`, or a size is no integer.
        ValueError: a size is below 1, or ``condition`` below 0, or ``data_std`` is not positive and finite.

    >>> network = NoiseMLP(Schedule.linear(T=1000))
    >>> network(torch.zeros(5, 2), torch.tensor([1, 10, 100, 500, 1000])).shape
    torch.Size([5, 2])
    >>> NoiseMLP(network.schedule, condition=3)(torch.zeros(5, 2), 1, torch.eye(3)[0]).shape
    torch.Size([5, 2])
    """

    frequency: Tensor
    time: Tensor
    linear: Tensor
    left_over: Tensor

    def __init__(
        self,
        schedule: Schedule,
        dim: int = 2,
        width: int = 64,
        depth: int = 3,
        features: int = 16,
        data_std: float = 0.7,
        generator: Generator | None = None,
        condition: int = 0,
    ) -> None:
        super().__init__()
        check_kind("schedule", schedule, Schedule)
        for name, size in (("dim", dim), ("width", width), ("depth", depth), ("features", features)):
            check_integer(name, size, least=1)
        self.condition = check_integer("condition", condition, least=0)
        check_positive("data_std", data_std)
        check_generator("generator", generator, torch.device("cpu"))

        self.schedule = schedule
        self.data_std = data_std
        self.register_buffer("frequency", _frequencies(dim, features, generator))
        _register_tables(self, time=timestep_embedding(schedule), **self._linear_answer())
        self.layers = _perceptron(dim + 2 * features + 1 + 2 * _TIME_WAVES + condition, dim, width, depth)
        self.reset_parameters(generator)

    def on(self, schedule: Schedule) -> NoiseMLP:
        """The same network, with the same parameters, asked at the noise levels of another schedule.

        It sees t as a noise level and nothing else, so any level will do.

        Raises:
            TypeError: ``schedule`` is no :class:`~diffusion_notes.schedule.Schedule`.

        >>> network = NoiseMLP(Schedule.linear(T=1000))
        >>> fewer = network.on(Schedule.through(network.schedule.alpha_bar[[1, 10, 100, 1000]]))
        >>> x = torch.ones(1, 2)
        >>> bool((fewer(x, 3) - network(x, 100)).abs().max() < 1e-6)
        True
        """
        check_kind("schedule", schedule, Schedule)
        shared = {id(parameter): parameter for parameter in self.parameters()}
        other = copy.deepcopy(self, shared)
        other.schedule = schedule
        _register_tables(other, time=timestep_embedding(schedule), **other._linear_answer())
        return other.to(self.frequency)

    def _linear_answer(self) -> dict[str, Tensor]:
        """The best prediction for Gaussian data, as a factor of the point, and the size of what is left over."""
        signal = self.schedule.alpha_bar
        noise = self.schedule.one_minus_alpha_bar
        variance = signal * self.data_std**2 + noise
        return {"linear": noise.sqrt() / variance, "left_over": self.data_std * (signal / variance).sqrt()}

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw new initial weights, distributed as in ``torch.nn.Linear``, and a last layer of zeros.

        The untrained network then predicts exactly the linear answer.
        """
        check_generator("generator", generator, self.frequency.device)
        *hidden, last = _linear_layers(self.layers)
        _reset(hidden, generator)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def extra_repr(self) -> str:
        """What torch's own repr of the layers does not say."""
        about = f"data_std={self.data_std:g}, T={self.schedule.T}"
        return f"{about}, condition={self.condition}" if self.condition else about

    def forward(self, xt: Tensor, t: int | Tensor, c: Tensor | None = None) -> Tensor:
        """Predict the noise in ``xt`` of shape ``(..., D)``; ``t`` is an integer, or a tensor of shape ``(...)``.

        ``c`` is what the network is told, of shape ``(..., condition)``, or ``(condition,)`` for all points alike; None
        stands for zeros. ``xt`` and ``c`` have the dtype and device of the weights. Values, of ``t`` too, are not
        checked, because this is called inside loops.
        """
        check_last_axis("xt", xt, len(self.frequency))
        check_same_dtype_and_device("xt", xt, "the weights", self.frequency)
        self.schedule.check_t(t, xt, look=False)
        wave = xt @ self.frequency
        time = self.time[t].expand(*xt.shape[:-1], -1)
        inputs = torch.cat((xt, wave.sin(), wave.cos(), time, *self._told(c, xt)), -1)
        return self.linear[t] * xt + self.left_over[t] * self.layers(inputs)

    def _told(self, c: Tensor | None, xt: Tensor) -> tuple[Tensor, ...]:
        """What stands beside the other inputs: c for each point, or nothing."""
        shape = (*xt.shape[:-1], self.condition)
        if c is None:
            return (xt.new_zeros(shape),) if self.condition else ()
        if self.condition == 0:
            raise ValueError(f"c must be None: this network is told nothing (condition=0), got {describe(c)}")
        check_last_axis("c", c, self.condition)
        check_same_dtype_and_device("c", c, "the weights", self.frequency)
        if c.shape not in (shape, shape[-1:]):
            raise ValueError(f"c must have shape {shape} or {shape[-1:]}, got {tuple(c.shape)}")
        return (c.expand(shape),)


def timestep_embedding(schedule: Schedule) -> Tensor:
    r"""What a network sees of t: half the log signal-to-noise ratio, and waves of it; ``(T + 1, 9)``, in float64.

    No two levels share a row, and every row is finite: there is no noise at t = 0, which no network is asked about, and
    that row repeats the one of t = 1.

    Raises:
        TypeError: ``schedule`` is no :class:`~diffusion_notes.schedule.Schedule`.

    >>> timestep_embedding(Schedule.linear(T=10)).shape
    torch.Size([11, 9])
    """
    check_kind("schedule", schedule, Schedule)
    half_log_snr = schedule.log_snr / 2
    half_log_snr[0] = half_log_snr[1]
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

    frequency: Tensor

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
        self.register_buffer("frequency", _frequencies(dim_in, features, generator))
        self.layers = _perceptron(dim_in + 2 * features, dim_out if std else 2 * dim_out, width, depth)
        _reset(_linear_layers(self.layers), generator)

    def extra_repr(self) -> str:
        """What torch's own repr of the layers does not say."""
        return f"std={self.std or 'learned'}"

    def forward(self, z: Tensor) -> Independent:
        """The Gaussian given ``z`` of shape ``(n, dim_in)``, in the dtype of the weights.

        Values are not checked, because this is called inside loops.
        """
        check_points("z", z, dim=len(self.frequency))
        check_same_dtype_and_device("z", z, "the weights", self.frequency)
        wave = z @ self.frequency
        out = self.layers(torch.cat((z, wave.sin(), wave.cos()), -1))
        if self.std is not None:
            return gaussian(out, torch.full_like(out, self.std))
        mean, raw = out.chunk(2, -1)
        return gaussian(mean, nn.functional.softplus(raw) + _LEAST_STD)


class TimestepMLP(nn.Module):
    r"""A perceptron with two hidden layers for each step t = 1, ..., T of a chain, or one for all of them.

    It sees the point, random Fourier features of it, and waves of the step's log signal-to-noise ratio, as
    :class:`~diffusion_notes.networks.NoiseMLP` does. Its last layer starts at zero.

    Arguments:
        schedule: says T, and the noise level of each step.
        dim_in: the number of coordinates of a point.
        dim_out: the number of outputs.
        shared: one perceptron for all steps, or one for each.
        width: the number of units in both hidden layers.
        features: the number of random frequencies.
        generator: draws the initial weights and the frequencies; on the CPU.

    Raises:
        TypeError: ``schedule`` is no Schedule, ``shared`` no bool, or a size no integer.
        ValueError: a size is below 1.

    Values are not checked, because this is called inside loops.

    >>> network = TimestepMLP(Schedule.linear(T=10), 2, 4, shared=False, width=8)
    >>> network(torch.zeros(5, 2), torch.tensor([1, 2, 3, 4, 10])).shape
    torch.Size([5, 4])
    >>> network.parameters_of_a_step * 10 == sum(p.numel() for p in network.parameters())
    True
    """

    frequency: Tensor
    time: Tensor

    def __init__(
        self,
        schedule: Schedule,
        dim_in: int,
        dim_out: int,
        shared: bool = True,
        width: int = 64,
        features: int = 16,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        check_kind("schedule", schedule, Schedule)
        check_kind("shared", shared, bool)
        for name, size in (("dim_in", dim_in), ("dim_out", dim_out), ("width", width), ("features", features)):
            check_integer(name, size, least=1)
        check_generator("generator", generator, torch.device("cpu"))
        self.schedule = schedule
        self.shared = shared
        self.register_buffer("frequency", _frequencies(dim_in, features, generator))
        _register_tables(self, time=timestep_embedding(schedule))
        count = 1 if shared else schedule.T
        sizes = [dim_in + 2 * features + self.time.shape[1], width, width]
        self.weights = nn.ParameterList(
            _uniform((count, inner, outer), inner, generator) for inner, outer in pairwise(sizes)
        )
        self.weights.append(nn.Parameter(torch.zeros(count, width, dim_out)))
        self.biases = nn.ParameterList(_uniform((count, width), inner, generator) for inner in sizes[:-1])
        self.biases.append(nn.Parameter(torch.zeros(count, dim_out)))

    def on(self, schedule: Schedule) -> TimestepMLP:
        """The same perceptron, with the same parameters, at the noise levels of another schedule, if it is shared.

        Raises:
            TypeError: ``schedule`` is no :class:`~diffusion_notes.schedule.Schedule`.
            ValueError: each step has a perceptron of its own.

        >>> network = TimestepMLP(Schedule.linear(T=10), 2, 4)
        >>> network.on(Schedule.linear(T=5))(torch.zeros(3, 2), 5).shape
        torch.Size([3, 4])
        """
        check_kind("schedule", schedule, Schedule)
        if not self.shared:
            raise ValueError("schedule must be that of the network, whose steps have each a perceptron, got another")
        shared = {id(parameter): parameter for parameter in self.parameters()}
        other = copy.deepcopy(self, shared)
        other.schedule = schedule
        _register_tables(other, time=timestep_embedding(schedule))
        return other.to(self.frequency)

    @property
    def parameters_of_a_step(self) -> int:
        """The number of parameters that an evaluation uses; it takes about as many multiplications."""
        return sum(parameter[0].numel() for parameter in self.parameters())

    def forward(self, z: Tensor, t: int | Tensor) -> Tensor:
        """The outputs for points ``z`` of shape ``(n, dim_in)`` at step ``t``: an integer, or a tensor ``(n,)``.

        With networks of their own, a tensor of steps synchronises with the device once, to see how many points each
        step has.
        """
        check_last_axis("z", z, len(self.frequency))
        check_same_dtype_and_device("z", z, "the weights", self.frequency)
        self.schedule.check_t(t, z, look=False)
        wave = z @ self.frequency
        h = torch.cat((z, wave.sin(), wave.cos(), self.time[t].expand(len(z), -1)), -1)
        if self.shared or isinstance(t, int):
            place = 0 if self.shared else t - 1
            return self._perceptron(h, [(w[place], b[place]) for w, b in self._layers()])
        order = t.argsort()
        counts = torch.bincount(t - 1, minlength=self.schedule.T).tolist()
        # the points of a step together, each group with its own weights: gathering weights for each point is far slower
        each = zip(*[zip(w.unbind(), b.unbind(), strict=True) for w, b in self._layers()], strict=True)
        groups = zip(h[order].split(counts), each, strict=True)
        return torch.cat([self._perceptron(group, layers) for group, layers in groups if len(group)])[order.argsort()]

    def _layers(self) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self.weights, self.biases, strict=True))

    @staticmethod
    def _perceptron(h: Tensor, layers: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        for k, (weight, bias) in enumerate(layers):
            h = torch.addmm(bias, nn.functional.silu(h) if k else h, weight)
        return h

    def extra_repr(self) -> str:
        """What torch's own repr of the weights does not say."""
        return f"T={self.schedule.T}, shared={self.shared}"


def _uniform(shape: tuple[int, ...], inputs: int, generator: Generator | None) -> nn.Parameter:
    """Initial weights, or biases, distributed as in torch.nn.Linear."""
    bound = 1 / math.sqrt(inputs)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))


def _frequencies(dim_in: int, features: int, generator: Generator | None) -> Tensor:
    """Those of the random Fourier features (Tancik et al. 2020), of shape ``(dim_in, features)``."""
    return torch.randn(dim_in, features, generator=generator) * _FREQUENCY


def _register_tables(module: nn.Module, **tables: Tensor) -> None:
    """What a network knows of each t, row by row, in the dtype of its weights; made anew, never stored."""
    for name, table in tables.items():
        rows = table if table.dim() == 2 else table.unsqueeze(-1)
        module.register_buffer(name, rows.to(torch.get_default_dtype()), persistent=False)


def _perceptron(dim_in: int, dim_out: int, width: int, depth: int) -> nn.Sequential:
    sizes = [dim_in] + [width] * depth
    hidden = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.SiLU())]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], dim_out))


def _linear_layers(layers: nn.Sequential) -> list[nn.Linear]:
    return [layer for layer in layers if isinstance(layer, nn.Linear)]


def _reset(layers: Iterable[nn.Linear], generator: Generator | None) -> None:
    """Initial weights as torch.nn.Linear draws them, but from a generator."""
    for layer in layers:
        bound = 1 / math.sqrt(layer.in_features)
        nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
