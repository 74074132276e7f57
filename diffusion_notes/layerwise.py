"""Perceptrons for the steps of a chain: one that all steps share, or one for each of them.

Both are the same code and see the same inputs, the point and the noise level of its step, so that they
differ in nothing but the sharing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from diffusion_notes.checks import check_integer, check_kind
from diffusion_notes.diffusion import Schedule
from diffusion_notes.networks import time_waves
from diffusion_notes.tensor_checks import check_generator, check_last_axis, check_place

__all__ = ["StepMLP"]


class StepMLP(nn.Module):
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

    >>> network = StepMLP(Schedule.linear(T=10), 2, 4, shared=False, width=8)
    >>> network(torch.zeros(5, 2), torch.tensor([1, 2, 3, 4, 10])).shape
    torch.Size([5, 4])
    >>> network.parameters_of_a_step * 10 == sum(p.numel() for p in network.parameters())
    True
    """

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
        self.schedule, self.shared = schedule, shared
        self.register_buffer("frequency", 2 * torch.randn(dim_in, features, generator=generator))
        time = time_waves(schedule).to(torch.get_default_dtype())
        self.register_buffer("time", time, persistent=False)
        count = 1 if shared else schedule.T
        sizes = [dim_in + 2 * features + time.shape[1], width, width]
        self.weights = nn.ParameterList(
            _uniform((count, inner, outer), inner, generator) for inner, outer in pairwise(sizes)
        )
        self.weights.append(nn.Parameter(torch.zeros(count, width, dim_out)))
        self.biases = nn.ParameterList(_uniform((count, width), inner, generator) for inner in sizes[:-1])
        self.biases.append(nn.Parameter(torch.zeros(count, dim_out)))

    @property
    def parameters_of_a_step(self) -> int:
        """The number of parameters that an evaluation uses; it takes about as many multiplications."""
        return sum(parameter[0].numel() for parameter in self.parameters())

    def forward(self, z: Tensor, t: int | Tensor) -> Tensor:
        """The outputs for points ``z`` of shape ``(n, dim_in)`` at step ``t``: an integer, or a tensor ``(n,)``.

        With networks of their own, a tensor of steps halts a GPU once, to see how many points each step has.
        """
        check_last_axis("z", z, len(self.frequency))
        check_place("z", z, "the weights", self.frequency)
        self.schedule.check_t(t, z, look=False)
        wave = z @ self.frequency
        h = torch.cat((z, wave.sin(), wave.cos(), self.time[t].expand(len(z), -1)), -1)
        if self.shared or isinstance(t, int):
            place = 0 if self.shared else t - 1
            return self._perceptron(h, [(w[place], b[place]) for w, b in self._layers()])
        order, counts = t.argsort(), torch.bincount(t - 1, minlength=self.schedule.T).tolist()
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
