r"""Guidance: a model of the data and of the data given a label, and what lies beyond the two.

A network that is told a label c, and sometimes not, predicts the noise with and without it, and guidance of weight w
goes from the one to the other and further (Ho and Salimans 2022),

.. math::
    \varepsilon_w(x_t, t) = (1-w)\,\varepsilon_\theta(x_t, t) + w\,\varepsilon_\theta(x_t, t, c).

With w = 0 nothing is known of the label, with w = 1 it is the model given c; theirs is this w minus 1.
Everything here is in nats.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from diffusion_notes._arguments.tensors import check_finite, check_generator, check_points, check_tensor
from diffusion_notes._arguments.values import check_integer, check_number, describe
from diffusion_notes.ddpm import DDPM, Objective, TSampling, Variance
from diffusion_notes.schedule import Schedule

__all__ = ["ConditionalDDPM"]


class ConditionalDDPM(nn.Module):
    r"""A DDPM for each condition c, with one network: :math:`\varepsilon_\theta(x_t, t, c)`.

    It is trained on points with their c. To a share ``drop`` of them it is not told, and zeros stand in its place, so
    that the same network learns the model without a condition too (Ho and Salimans 2022, algorithm 1). A label is a
    row of zeros with a single one; any numbers will do, but for zeros.

    Arguments:
        network: :math:`\varepsilon_\theta`, called as ``network(xt, t, c)``, and as ``network(xt, t)`` where nothing is
            known. A module to be trained, as :class:`~diffusion_notes.networks.NoiseMLP`, or any function.
        schedule: the variances of the forward process.
        condition: how many numbers c is.
        variance: as ``objective`` and ``t_sampling``, of :class:`~diffusion_notes.ddpm.DDPM`.
        objective: as there.
        drop: the probability that c is left out in the training.
        t_sampling: as there.

    Raises:
        TypeError, ValueError: as of :class:`~diffusion_notes.ddpm.DDPM`; or ``condition`` is below 1 or not that of the
            network, or ``drop`` is no probability.

    Values of points are not checked, because this is called inside loops.

    >>> from diffusion_notes.networks import NoiseMLP
    >>> schedule = Schedule.linear(T=10)
    >>> model = ConditionalDDPM(NoiseMLP(schedule, condition=3), schedule, condition=3, drop=0.1)
    >>> model.given(torch.tensor([0.0, 1.0, 0.0])).sample(torch.randn(5, 2)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        network: Callable[..., Tensor],
        schedule: Schedule,
        condition: int,
        variance: Variance | Tensor = "beta_tilde",
        objective: Objective = "simple",
        drop: float = 0.0,
        t_sampling: TSampling | Tensor = "uniform",
    ) -> None:
        super().__init__()
        self.condition = check_integer("condition", condition, least=1)
        knows = getattr(network, "condition", condition)
        if knows != condition:
            raise ValueError(f"condition must be {knows}, as that of the network, got {condition}")
        self.drop = check_number("drop", drop, 0, 1)
        self.unconditional = DDPM(network, schedule, variance, objective, t_sampling)

    @property
    def network(self) -> Callable[..., Tensor]:
        r""":math:`\varepsilon_\theta`."""
        return self.unconditional.network

    @property
    def schedule(self) -> Schedule:
        """The variances of the forward process."""
        return self.unconditional.schedule

    def settings(self) -> dict[str, str]:
        """What a training run cannot be resumed without, beside the parameters."""
        return self.unconditional.settings() | {"condition": str(self.condition), "drop": str(self.drop)}

    def loss(self, rows: Tensor, generator: Generator | None = None) -> Tensor:
        """The loss of a DDPM, from one batch, in which some are told their c and some are not.

        Arguments:
            rows: points and their c side by side, of shape ``(N, D + condition)``, as ``train`` draws them.
            generator: draws who is told, then as of :meth:`~diffusion_notes.ddpm.DDPM.loss`.

        Raises:
            TypeError: ``rows`` is not a floating-point tensor.
            ValueError: ``rows`` is empty, or has too few columns.
        """
        check_points("rows", rows, least=1)
        check_generator("generator", generator, rows.device)
        if rows.shape[1] <= self.condition:
            raise ValueError(f"rows must have more than {self.condition} columns, got {describe(rows)}")
        x0, c = rows.tensor_split((rows.shape[1] - self.condition,), 1)
        if self.drop > 0:
            told = torch.rand(len(c), 1, generator=generator, device=c.device, dtype=c.dtype) >= self.drop
            c = c * told.to(c)  # in which what is not a number shows
        return self._with(_Given(self.network, c)).loss(x0, generator)

    def given(self, c: Tensor) -> DDPM:
        r"""The model of the data given c, a chain like any other.

        Arguments:
            c: ``(condition,)``, for all points alike, or ``(n, condition)``, for as many points.

        Raises:
            TypeError: ``c`` is not a floating-point tensor.
            ValueError: ``c`` is of another shape, or not finite.

        >>> from diffusion_notes.chains import elbo
        >>> from diffusion_notes.networks import NoiseMLP
        >>> schedule = Schedule.linear(T=10)
        >>> model = ConditionalDDPM(NoiseMLP(schedule, condition=1), schedule, condition=1)
        >>> elbo(model.given(torch.ones(1)), torch.zeros(5, 2)).terms.shape
        torch.Size([11, 5])
        """
        return self._with(_Given(self.network, self._checked(c)))

    def guided(self, c: Tensor, w: float) -> DDPM:
        r"""The model with the noise of guidance, :math:`(1-w)\,\varepsilon_\theta(x_t)+w\,\varepsilon_\theta(x_t,c)`.

        It asks the network twice, but for w = 0, which is the model without a condition, and w = 1, the one given c.

        Arguments:
            c: as of :meth:`given`.
            w: the weight of guidance, any number.

        Raises:
            TypeError, ValueError: as of :meth:`given`, or ``w`` is no finite number.
        """
        return self._with(_Guided(self.network, self._checked(c), check_number("w", w)))

    def _checked(self, c: Tensor) -> Tensor:
        check_tensor("c", c)
        if c.dim() not in (1, 2) or c.shape[-1] != self.condition:
            shapes = f"({self.condition},) or (n, {self.condition})"
            raise ValueError(f"c must have shape {shapes}, got {tuple(c.shape)}")
        check_finite("c", c)
        return c

    def _with(self, network: nn.Module) -> DDPM:
        """The model with another network, whose tables are the same ones."""
        other = copy.copy(self.unconditional)
        other._modules = other._modules.copy()
        other.__dict__.pop("network", None)  # a function that is no module
        other.network = network
        return other


class _Given(nn.Module):
    """A network that has been told c, and does not ask for it any more."""

    c: Tensor

    def __init__(self, network: Callable[..., Tensor], c: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("c", c, persistent=False)

    @property
    def schedule(self) -> Schedule:
        return self.network.schedule  # type: ignore[attr-defined, no-any-return]

    @property
    def knows_each_point(self) -> bool:
        """Whether there is a c for each point."""
        return self.c.dim() == 2

    def on(self, schedule: Schedule) -> nn.Module:
        """The same at the levels of another schedule."""
        other = copy.copy(self)
        other._modules = other._modules.copy()
        network = other.__dict__.pop("network", None) or self.network
        other.network = network.on(schedule)  # type: ignore[union-attr, operator]
        return other

    def forward(self, xt: Tensor, t: int | Tensor) -> Tensor:
        return self.network(xt, t, self.c)


class _Guided(_Given):
    """One that has been told c, and makes w times as much of it."""

    def __init__(self, network: Callable[..., Tensor], c: Tensor, w: float) -> None:
        super().__init__(network, c)
        self.w = w

    def extra_repr(self) -> str:
        return f"w={self.w:g}"

    def forward(self, xt: Tensor, t: int | Tensor) -> Tensor:
        if self.w == 0:
            return self.network(xt, t)
        told = self.network(xt, t, self.c)
        return told if self.w == 1 else (1 - self.w) * self.network(xt, t) + self.w * told
