r"""Denoising diffusion probabilistic models: the generative chain, written with a noise prediction.

.. math::
    p_\theta(x_{t-1} \mid x_t) = \mathcal N\bigl(x_{t-1};\ \mu_\theta(x_t, t),\ \sigma_t^2 I\bigr), \qquad
    \mu_\theta(x_t, t) = \frac{1}{\sqrt{\alpha_t}}
        \Bigl(x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\varepsilon_\theta(x_t, t)\Bigr)

(Ho et al. 2020, equations 1 and 11).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal, get_args

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Independent

from diffusion_notes._arguments.levels import checked_table
from diffusion_notes._arguments.tensors import check_finite, check_generator, check_last_axis, check_points
from diffusion_notes._arguments.values import check_choice, check_integer, check_kind, describe
from diffusion_notes.diffusion import ForwardProcess
from diffusion_notes.distributions import draw, gaussian, randn_like, standard_normal
from diffusion_notes.fitting import fingerprint
from diffusion_notes.parameterisations import variational_weight
from diffusion_notes.schedule import DeviceTables, Schedule

__all__ = ["DDPM"]

Variance = Literal["beta", "beta_tilde"]
Objective = Literal["simple", "variational", "flow"]
TSampling = Literal["uniform", "weight"]

_BLOCK = 2048  # points


class DDPM(nn.Module):
    r"""The generative model p of a diffusion model, and the forward process q that belongs to it.

    Arguments:
        network: :math:`\varepsilon_\theta`, called as ``network(xt, t)``. A module to be trained, or
            any function: the exact :math:`\mathbb E[\varepsilon \mid x_t]` makes a perfect model.
        schedule: the variances of the forward process.
        variance: :math:`\sigma_t^2`, either ``"beta"`` or ``"beta_tilde"``, or a table of T + 1 values
            of which the first is not used. Since :math:`\tilde\beta_1 = 0` is no variance of a density,
            the last step has :math:`\sigma_1^2 = \beta_1` in both named cases.
        objective: ``"simple"``, to train on :math:`L_\text{simple}`, ``"variational"``, on the bound, or ``"flow"``, on
            the velocity of flow matching (Lipman et al. 2023), whose error is that of the noise times
            :math:`1+\kappa_t`, see :mod:`~diffusion_notes.score`.
        t_sampling: how :meth:`loss` draws t. ``"uniform"``, or ``"weight"``, in proportion to its weight in the
            objective (Nichol and Dhariwal 2021, section 3.3, have the idea). The expectation is the same, and
            of the bound's the noise is much smaller; in :math:`L_\text{simple}` all weights are equal. Or a
            table of T + 1 values of which the first is not used: t is drawn in proportion to them.

    Raises:
        TypeError: ``network`` cannot be called, or ``schedule`` is no ``Schedule``.
        ValueError: ``variance``, ``objective`` or ``t_sampling`` is none of these, or ``network`` was made for
            another schedule.

    Values of points are not checked, because this is called inside loops.

    >>> schedule = Schedule.linear(T=10)
    >>> ddpm = DDPM(lambda xt, t: torch.zeros_like(xt), schedule)
    >>> ddpm.sample(torch.randn(5, 2)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        network: Callable[[Tensor, int | Tensor], Tensor],
        schedule: Schedule,
        variance: Variance | Tensor = "beta_tilde",
        objective: Objective = "simple",
        t_sampling: TSampling | Tensor = "uniform",
    ) -> None:
        super().__init__()
        if not callable(network):
            raise TypeError(f"network must be callable as network(xt, t), got {describe(network)}")
        check_kind("schedule", schedule, Schedule)
        if not torch.equal(getattr(network, "schedule", schedule).beta, schedule.beta):
            raise ValueError("network was made for another schedule")
        check_choice("objective", objective, get_args(Objective))
        self.network = network
        self.schedule = schedule
        self.variance = _name_or_table("variance", variance, get_args(Variance), schedule)
        self.objective = objective
        self.t_sampling = _name_or_table("t_sampling", t_sampling, get_args(TSampling), schedule)
        self.q = ForwardProcess(schedule)
        weight = self._weight()
        self.mean_weight = (weight.sum() / schedule.T).item()
        tables = self._sampling_tables(weight) | {"sigma": self.sigma_squared.sqrt(), "weight": weight}
        self.tables = DeviceTables(tables.__getitem__)

    def _weight(self) -> Tensor:
        """What each t counts in the loss, where t is uniform; 0 for t = 0."""
        if self.objective == "simple":
            return (self.schedule.beta > 0).double()
        if self.objective == "flow":
            return torch.where(self.schedule.beta > 0, (1 + self.schedule.kappa).square(), 0.0)
        return self.schedule.T * variational_weight(self.schedule, self.sigma_squared)

    def _sampling_tables(self, weight: Tensor) -> dict[str, Tensor]:
        """Where t is not uniform: how it is distributed, and what makes up for that (of t = 0, never drawn: NaN)."""
        often = torch.where(weight > 0, self.t_sampling, 0) if isinstance(self.t_sampling, Tensor) else weight
        return {
            "cdf": often.cumsum(0) / often.sum(),
            "importance_weight": weight / often * (often.sum() / self.schedule.T),
        }

    def settings(self) -> dict[str, str]:
        """What a training run cannot be resumed without, beside the parameters."""
        network = repr(self.network) if isinstance(self.network, nn.Module) else type(self.network).__name__
        variance = fingerprint(self.variance) if isinstance(self.variance, Tensor) else self.variance
        schedule = fingerprint(self.schedule.beta)
        about = {"variance": variance, "schedule": schedule, "network": network, "objective": self.objective}
        if isinstance(self.t_sampling, Tensor):
            return about | {"t_sampling": fingerprint(self.t_sampling)}
        # runs that were stored before there was a choice do not name it
        return about if self.t_sampling == "uniform" else about | {"t_sampling": self.t_sampling}

    @property
    def length(self) -> int:
        """The number of latents.

        With :meth:`prior`, :meth:`infer` and :meth:`generate` it makes this a
        :class:`~diffusion_notes.chains.protocol.Chain`, whose bound is that of any other chain.
        """
        return self.schedule.T

    def prior(self, like: Tensor) -> Independent:
        r""":math:`p(x_T) = \mathcal N(0, I)`, for as many points as ``like`` has."""
        return standard_normal(like)

    def infer(self, z: Tensor, i: int) -> Independent:
        r""":math:`q(x_i \mid x_{i-1} = z)`: the forward process, which has no parameters."""
        self._check_latent(z, i)
        return self.q.step(z, i)

    def generate(self, z: Tensor, i: int) -> Independent:
        r""":math:`p_\theta(x_{i-1} \mid x_i = z)`, as :meth:`step`."""
        self._check_latent(z, i)
        return self.step(z, i)

    def _check_latent(self, z: Tensor, i: int) -> None:
        check_last_axis("z", z)
        check_integer("i", i, least=1, most=self.length)

    def loss(self, x0: Tensor, generator: Generator | None = None) -> Tensor:
        r""":math:`L_\text{simple} = \mathbb E\lVert\varepsilon - \varepsilon_\theta(x_t, t)\rVert^2`, from one batch.

        Each point of the batch ``(N, D)`` gets one t, uniform on 1, ..., T, and one noise. The norm
        is summed over the D coordinates, as in equation 14 of Ho et al. 2020, and averaged over
        the batch. A perfect network does not reach zero: see
        :meth:`~diffusion_notes.swiss_roll.SwissRoll.noise_mmse`. With the variational objective each
        point's loss is multiplied by :math:`T w_t`, its weight in the bound: the expectation is the
        negative bound, up to a constant. With that of flow matching it is multiplied by
        :math:`(1+\kappa_t)^2`. Values are not checked, because this is called at every step of training.

        Raises:
            TypeError: ``x0`` is not a floating-point tensor.
            ValueError: ``x0`` is empty, or not of shape ``(N, D)``.
        """
        check_points("x0", x0, least=1)
        check_generator("generator", generator, x0.device)
        t, weight = self._draw_t(x0, generator)
        noise = randn_like(x0, generator)
        at = self.schedule.at
        xt = at("sqrt_alpha_bar", t, x0) * x0 + at("sqrt_one_minus_alpha_bar", t, x0) * noise
        return (weight * (noise - self._predict(xt, t)).square().sum(-1)).mean()

    def _draw_t(self, x0: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor | float]:
        """A t for each point, and what makes up for how it was drawn."""
        T = self.schedule.T
        n = x0.shape[:1]
        if isinstance(self.t_sampling, str) and self.t_sampling == "uniform":
            t = torch.randint(1, 1 + T, n, generator=generator, device=x0.device)
            return t, 1.0 if self.objective == "simple" else self.tables.at("weight", t, x0).squeeze(-1)
        u = torch.rand(n, generator=generator, device=x0.device, dtype=x0.dtype)
        # t is the first whose cumulative probability is more than u
        t = torch.searchsorted(self.tables.whole("cdf", x0), u, right=True).clamp(max=T)
        if isinstance(self.t_sampling, Tensor):
            return t, self.tables.at("importance_weight", t, x0).squeeze(-1)
        return t, self.mean_weight

    def _predict(self, xt: Tensor, t: int | Tensor) -> Tensor:
        if self._is_faster_in_blocks(xt, t):
            # the hidden units of a block stay in the cache of a CPU, those of all points would not
            return torch.cat([self._predict(block, t) for block in xt.split(_BLOCK)])
        noise = self.network(xt, t)
        if getattr(noise, "shape", None) != xt.shape:  # it would broadcast, train, and be wrong
            raise ValueError(f"network must return the shape of xt, {tuple(xt.shape)}, got {describe(noise)}")
        return noise

    def _is_faster_in_blocks(self, xt: Tensor, t: int | Tensor) -> bool:
        # a network that knows something of each point must be shown all of them
        together = not isinstance(t, int) or torch.is_grad_enabled() or getattr(self.network, "knows_each_point", False)
        return len(xt) > _BLOCK and xt.device.type == "cpu" and not together

    def predict(self, xt: Tensor, t: int | Tensor) -> Tensor:
        r""":math:`\varepsilon_\theta(x_t, t)`, of the shape of ``xt``; arguments and errors as of :meth:`step`."""
        check_last_axis("xt", xt)
        self.schedule.check_t(t, xt)
        return self._predict(xt, t)

    def step(self, xt: Tensor, t: int | Tensor) -> Independent:
        r""":math:`p_\theta(x_{t-1} \mid x_t)`, for t from 1 to T.

        Arguments:
            xt: points of shape ``(..., D)``.
            t: an integer, or an integer tensor of shape ``(...)``.

        Raises:
            TypeError, ValueError: as :meth:`~diffusion_notes.schedule.Schedule.check_t`.
        """
        check_last_axis("xt", xt)
        self.schedule.check_t(t, xt)
        at = self.schedule.at
        noise = at("sqrt_one_minus_alpha_bar", t, xt)
        mean = (xt - at("beta", t, xt) / noise * self._predict(xt, t)) / at("sqrt_alpha", t, xt)
        return gaussian(mean, self.tables.at("sigma", t, xt))

    @property
    def sigma_squared(self) -> Tensor:
        r"""The table of :math:`\sigma_t^2`, T + 1 values in float64, of which the first is not used."""
        if isinstance(self.variance, Tensor):
            return self.variance
        return self.schedule.beta if self.variance == "beta" else self.schedule.sigma_tilde.square()

    @torch.no_grad()
    def walk(
        self,
        xT: Tensor,
        generator: Generator | None = None,
    ) -> Iterator[tuple[int, Tensor]]:
        r"""Ancestral sampling (Ho et al. 2020, algorithm 2): yields ``(t, xt)`` for t = T, T − 1, ..., 0.

        The last step adds no noise: :math:`x_0` is the mean of :math:`p_\theta(x_0 \mid x_1)`.

        Arguments:
            xT: where to start, of shape ``(N, D)``: usually a draw from :math:`\mathcal N(0, I)`.
            generator: draws the noise, on the device of ``xT``.

        Raises:
            TypeError, ValueError: ``xT`` is not a floating-point tensor of shape ``(N, D)``.

        >>> ddpm = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=3))
        >>> [t for t, xt in ddpm.walk(torch.zeros(1, 2))]
        [3, 2, 1, 0]
        """
        check_points("xT", xT)
        check_finite("xT", xT)
        check_generator("generator", generator, xT.device)
        x = xT
        yield self.schedule.T, x
        for t in range(self.schedule.T, 0, -1):
            p = self.step(x, t)
            x = draw(p, generator) if t > 1 else p.mean
            yield t - 1, x

    def sample(self, xT: Tensor, generator: Generator | None = None) -> Tensor:
        """The end :math:`x_0` of :meth:`walk`, of the shape of ``xT``."""
        return deque(self.walk(xT, generator), maxlen=1).pop()[1]


def _name_or_table(name: str, value: str | Tensor, names: tuple[str, ...], schedule: Schedule) -> str | Tensor:
    """What was given, if it is one of the names or a table with a value for each t."""
    if isinstance(value, Tensor):
        return checked_table(name, value, schedule.T + 1)
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{name} must be {' or '.join(map(repr, names))}, or a table of values, got {describe(value)}")
    return value
