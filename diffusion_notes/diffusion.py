r"""The forward process, and the bound of a diffusion model as :math:`L_T + \sum_{t>1} L_{t-1} + L_0`, in nats.

The inference model is a chain of Gaussians that forgets where it started,

.. math::
    q(x_t \mid x_{t-1}) = \mathcal N\bigl(x_t;\ \sqrt{1-\beta_t}\,x_{t-1},\ \beta_t I\bigr), \qquad
    q(x_t \mid x_0) = \mathcal N\bigl(x_t;\ \sqrt{\bar\alpha_t}\,x_0,\ (1-\bar\alpha_t) I\bigr)

(Ho et al. 2020, equations 2 and 4). The index in the code is the paper's: t runs from 1 to T, and
:math:`\bar\alpha_0 = 1`. With q turned around by Bayes' rule, the bound of :mod:`~diffusion_notes.chains`, negated, is

.. math::
    -\mathcal L(x_0) = \underbrace{D_{KL}\bigl(q(x_T|x_0) \,\Vert\, p(x_T)\bigr)}_{L_T}
    + \sum_{t=2}^{T} \mathbb E_q \underbrace{D_{KL}\bigl(q(x_{t-1}|x_t, x_0)
    \,\Vert\, p_\theta(x_{t-1}|x_t)\bigr)}_{L_{t-1}}
    \underbrace{- \mathbb E_q \log p_\theta(x_0|x_1)}_{L_0}

(Ho et al. 2020, equation 5). On every single path the two agree, see :func:`forward_form` and :func:`posterior_form`.
Everything here holds for any chain whose q is a :class:`ForwardProcess`; and what needs of q only the two Gaussians in
the bound, for any :class:`DiffusionProcess`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor
from torch.distributions import Independent, Normal, kl_divergence

from diffusion_notes._arguments.tensors import (
    check_alike,
    check_finite,
    check_fits,
    check_generator,
    check_last_axis,
    check_points,
    check_precise,
    check_same_dtype_and_device,
)
from diffusion_notes._arguments.values import check_kind, check_positive, describe
from diffusion_notes.distributions import draw, gaussian
from diffusion_notes.parameterisations import variational_constant
from diffusion_notes.schedule import Schedule

__all__ = [
    "BoundTerms",
    "DiffusionChain",
    "DiffusionProcess",
    "FixedVarianceChain",
    "ForwardProcess",
    "bound_terms",
    "discretised_log_prob",
    "forward_form",
    "kl_form",
    "one_step",
    "posterior_form",
]


@dataclass(frozen=True, eq=False)
class ForwardProcess:
    r"""The inference model q of a diffusion model. It has no parameters to learn.

    Points have shape ``(..., D)``; t has the shape ``(...)``, or is a single integer. Values of points are
    not checked, because this is called inside loops.

    >>> q = ForwardProcess(Schedule.linear(T=1000))
    >>> q.marginal(torch.ones(5, 2), t=1000).mean.shape
    torch.Size([5, 2])
    """

    schedule: Schedule

    def __post_init__(self) -> None:
        check_kind("schedule", self.schedule, Schedule)

    def step(self, x: Tensor, t: int | Tensor) -> Independent:
        r""":math:`q(x_t \mid x_{t-1} = x) = \mathcal N(\sqrt{\alpha_t}\,x,\ \beta_t I)`, for t from 1 to T."""
        check_last_axis("x", x)
        self.schedule.check_t(t, x)
        at = self.schedule.at
        mean = at("sqrt_alpha", t, x) * x
        return gaussian(mean, at("sqrt_beta", t, x))

    def marginal(self, x0: Tensor, t: int | Tensor) -> Independent:
        r""":math:`q(x_t \mid x_0) = \mathcal N(\sqrt{\bar\alpha_t}\,x_0,\ (1-\bar\alpha_t) I)`, for t from 1 to T."""
        check_last_axis("x0", x0)
        self.schedule.check_t(t, x0)
        at = self.schedule.at
        return gaussian(at("sqrt_alpha_bar", t, x0) * x0, at("sqrt_one_minus_alpha_bar", t, x0))

    def posterior(self, xt: Tensor, x0: Tensor, t: int | Tensor) -> Independent:
        r""":math:`q(x_{t-1} \mid x_t, x_0) = \mathcal N(\tilde\mu_t(x_t, x_0),\ \tilde\beta_t I)`, for t from 2 to T.

        Ho et al. 2020, equations 6 and 7. At t = 1 it is no density: :math:`x_0` is given, and
        :math:`\tilde\beta_1 = 0`.
        """
        check_last_axis("xt", xt)
        check_alike("x0", x0, "xt", xt)
        self.schedule.check_t(t, xt, least=2)
        at = self.schedule.at
        mean = at("from_x0", t, xt) * x0 + at("from_xt", t, xt) * xt
        return gaussian(mean, at("sigma_tilde", t, xt))

    def walk(self, x0: Tensor, generator: Generator | None = None) -> Iterator[tuple[int, Tensor]]:
        r"""Take the steps one after the other: yields ``(t, xt)`` for t = 0, 1, ..., T.

        >>> q = ForwardProcess(Schedule.linear(T=3))
        >>> [t for t, xt in q.walk(torch.zeros(1, 2))]
        [0, 1, 2, 3]
        """
        check_last_axis("x0", x0)
        check_generator("generator", generator, x0.device)
        x = x0
        yield 0, x
        for t in range(1, self.schedule.T + 1):
            x = draw(self.step(x, t), generator)
            yield t, x


@runtime_checkable
class DiffusionProcess(Protocol):
    """What the bound needs of q: two Gaussians, without parameters. A :class:`ForwardProcess` has them, and steps.

    DDIM's q has the same marginals, other posteriors, and no steps that would not ask where they began.
    """

    @property
    def schedule(self) -> Schedule:
        """The variances."""

    def marginal(self, x0: Tensor, t: int | Tensor) -> Independent:
        r""":math:`q(x_t \mid x_0)`, for t from 1 to T."""

    def posterior(self, xt: Tensor, x0: Tensor, t: int | Tensor) -> Independent:
        r""":math:`q(x_{t-1} \mid x_t, x_0)`, for t from 2 to T."""


@runtime_checkable
class DiffusionChain(Protocol):
    r"""A chain, walked up or down, whose q has no parameters.

    That is its ``q``, of as many steps as the chain is long.
    """

    length: int

    @property
    def q(self) -> DiffusionProcess:
        """The inference model."""

    def prior(self, like: Tensor) -> Independent:
        r""":math:`p(x_T)`, for as many points as ``like`` has."""

    def step(self, xt: Tensor, t: int | Tensor) -> Independent:
        r""":math:`p_\theta(x_{t-1} \mid x_t)`, where each point may have a t of its own."""


@runtime_checkable
class FixedVarianceChain(DiffusionChain, Protocol):
    """A :class:`DiffusionChain` whose steps p have a variance that depends on t alone, as those of DDPM.

    Its q is a :class:`ForwardProcess`.
    """

    @property
    def sigma_squared(self) -> Tensor:
        r"""The table of :math:`\sigma_t^2`, T + 1 values of which the first is not used."""


@dataclass(frozen=True)
class BoundTerms:
    r"""The terms of the negative bound for n points, in nats.

    Attributes:
        each: of shape ``(T + 1, n)``: :math:`L_0, L_1, \dots, L_T`, so that ``each[t - 1]`` belongs to the
            step from t to t − 1, and ``each[T]`` to the prior.
    """

    each: Tensor

    @property
    def reconstruction(self) -> Tensor:
        """:math:`L_0`, of shape ``(n,)``: the negative log density of the data given the first latent."""
        return self.each[0]

    @property
    def steps(self) -> Tensor:
        r""":math:`L_1, \dots, L_{T-1}`, of shape ``(T - 1, n)``."""
        return self.each[1:-1]

    @property
    def prior(self) -> Tensor:
        """:math:`L_T`, of shape ``(n,)``, in which there is nothing to learn."""
        return self.each[-1]

    @property
    def total(self) -> Tensor:
        r"""The negative bound of each point, an upper bound on :math:`-\log p_\theta(x_0)` on average."""
        return self.each.sum(0)


def bound_terms(chain: DiffusionChain, x0: Tensor, generator: Generator | None = None) -> BoundTerms:
    r"""All T + 1 terms, the KL divergences in closed form, from one :math:`x_t \sim q(x_t|x_0)` for each t.

    The draws for different t are independent: there is no path, for that see :func:`kl_form`. The average
    over draws is exact for every term. It takes T evaluations of the network. For more draws a point,
    repeat the points.

    Raises:
        TypeError: ``chain`` is no :class:`DiffusionChain`, or ``x0`` is not a floating-point tensor.
        ValueError: ``x0`` is empty, or not of shape ``(n, D)``.
    """
    check_kind("chain", chain, DiffusionChain, "a diffusion chain, with q and step")
    check_points("x0", x0, least=1, finite=True)
    check_generator("generator", generator, x0.device)
    latents = (draw(chain.q.marginal(x0, t), generator) for t in range(1, chain.length + 1))
    return BoundTerms(_kl_rows(chain, x0, latents))


def kl_form(chain: DiffusionChain, path: Sequence[Tensor]) -> Tensor:
    r"""The terms of :func:`bound_terms` at the points of one path: :func:`posterior_form`, each row averaged by itself.

    Row t − 1 is :math:`D_{KL}\bigl(q(x_{t-1}|x_t, x_0) \,\Vert\, p_\theta(x_{t-1}|x_t)\bigr)` at the path's
    :math:`x_t`: what :func:`posterior_form` has there, on average over :math:`x_{t-1}`. The other rows are
    :math:`-\log p_\theta(x_0|x_1)` and :math:`L_T`. Each row has the mean that it has with independent draws,
    but the rows of one path go together. Shapes and errors as in :func:`forward_form`.
    """
    _check_path(chain, path)
    return _kl_rows(chain, path[0], path[1:])


def _kl_rows(chain: DiffusionChain, x0: Tensor, above: Iterable[Tensor]) -> Tensor:
    rows = []
    for t, xt in enumerate(above, 1):
        p = chain.step(xt, t)
        rows.append(kl_divergence(chain.q.posterior(xt, x0, t), p) if t > 1 else -p.log_prob(x0))
    return torch.stack([*rows, kl_divergence(chain.q.marginal(x0, chain.length), chain.prior(x0))])


def one_step(chain: FixedVarianceChain, x0: Tensor, generator: Generator | None = None) -> Tensor:
    r"""The negative bound of each point, ``(n,)``, without bias, from a single t for each: one network call.

    With t uniform on 1, ..., T and the constants :math:`C_t` of
    :func:`~diffusion_notes.parameterisations.variational_constant`, it is
    :math:`L_T + \sum_i C_i + T\,(L_{t-1} - C_t)`. The constants are known, so only what depends on the draw is
    left to chance. Errors as in :func:`bound_terms`, or a TypeError if the chain has no ``sigma_squared``.
    """
    check_kind("chain", chain, FixedVarianceChain, "a diffusion chain, with q, step and sigma_squared")
    check_points("x0", x0, least=1, finite=True)
    check_generator("generator", generator, x0.device)
    t = torch.randint(1, 1 + chain.length, x0.shape[:1], generator=generator, device=x0.device)
    xt = draw(chain.q.marginal(x0, t), generator)
    p = chain.step(xt, t)
    # at t = 1 there is no posterior density; its place is taken by the reconstruction
    kl = kl_divergence(chain.q.posterior(xt, x0, t.clamp(min=2)), p) if chain.length > 1 else torch.zeros_like(xt[:, 0])
    step = torch.where(t == 1, -p.log_prob(x0), kl)
    constant = variational_constant(chain.q.schedule, chain.sigma_squared, x0.shape[-1])
    known = kl_divergence(chain.q.marginal(x0, chain.length), chain.prior(x0)) + constant.sum().item()
    return known + chain.length * (step - constant.to(x0.dtype).to(x0.device)[t])


def forward_form(chain: DiffusionChain, path: Sequence[Tensor]) -> Tensor:
    r"""The negative bound on one path, before it is turned around: T + 1 rows, ``(T + 1, n)``.

    Row t − 1 is :math:`-\log\frac{p_\theta(x_{t-1}|x_t)}{q(x_t|x_{t-1})}`, and the last is :math:`-\log p(x_T)`.
    ``path`` holds :math:`x_0, \dots, x_T`, each of shape ``(n, D)``.

    Raises:
        TypeError: ``chain`` is no :class:`DiffusionChain`, or ``path`` does not hold floating-point tensors.
        ValueError: ``path`` does not hold T + 1 of them, all of the same shape ``(n, D)``.
    """
    _check_path(chain, path)
    q = chain.q
    if not isinstance(q, ForwardProcess):
        raise TypeError(f"chain must be a diffusion chain whose q goes up, got {describe(q)}")
    rows = [
        q.step(path[t - 1], t).log_prob(path[t]) - chain.step(path[t], t).log_prob(path[t - 1])
        for t in range(1, chain.length + 1)
    ]
    return torch.stack([*rows, -chain.prior(path[-1]).log_prob(path[-1])])


def posterior_form(chain: DiffusionChain, path: Sequence[Tensor]) -> Tensor:
    r"""The same number, sorted into the terms of :class:`BoundTerms` by Bayes' rule; shapes and errors as there.

    Row 0 is :math:`-\log p_\theta(x_0|x_1)`, row t − 1 is
    :math:`\log\frac{q(x_{t-1}|x_t, x_0)}{p_\theta(x_{t-1}|x_t)}`, and the last
    :math:`\log\frac{q(x_T|x_0)}{p(x_T)}`.
    """
    _check_path(chain, path)
    x0 = path[0]
    xT = path[-1]
    T = chain.length
    rows = [-chain.step(path[1], 1).log_prob(x0)]
    for t in range(2, T + 1):
        below = path[t - 1]
        rows.append(chain.q.posterior(path[t], x0, t).log_prob(below) - chain.step(path[t], t).log_prob(below))
    return torch.stack([*rows, chain.q.marginal(x0, T).log_prob(xT) - chain.prior(xT).log_prob(xT)])


def discretised_log_prob(p: Independent, x: Tensor, width: float) -> Tensor:
    r"""The log probability, not density, of the box of side a, the ``width``, around each point of ``(n, D)``.

    .. math:: \sum_{i=1}^{D} \log \int_{x^i - a/2}^{x^i + a/2} \mathcal N(u;\ \mu^i, \sigma^2)\, du

    Ho et al. 2020, equation 13, without the open boxes at the ends of a range of pixels. A probability is
    at most one, so this is at most zero; a log density is not. For a narrow box it is
    :math:`\log p(x) + D \log a`.

    Raises:
        TypeError: ``p`` is not a Gaussian of this package, or ``x`` is not a floating-point tensor.
        ValueError: ``width`` is not positive and finite.

    >>> from diffusion_notes.distributions import standard_normal
    >>> x = torch.zeros(1, 2)
    >>> discretised_log_prob(standard_normal(x), x, width=1e6).item()
    0.0
    """
    normal = getattr(p, "base_dist", None)
    if not isinstance(normal, Normal):
        raise TypeError(f"p must be a Gaussian, got {describe(p)}")
    check_points("x", x)
    check_finite("x", x)
    check_precise("x", x)
    check_same_dtype_and_device("p", normal.mean, "x", x)
    if normal.mean.shape[-1:] != x.shape[1:]:
        raise ValueError(f"p must have shape (..., {x.shape[1]}), as x, got {tuple(normal.mean.shape)}")
    check_fits("p", normal.mean[..., 0], x)
    check_positive("width", width)
    away = (x - normal.loc).abs() / normal.scale
    side = width / normal.scale
    # between two boundaries nearer than this, rounding is more than what a box that is narrow neglects
    least = torch.finfo(x.dtype).eps ** (1 / 3)
    narrow = _log_prob_of_narrow(away, side.clamp(max=least))
    wide = _log_prob_of_wide(away, side.clamp(min=least))
    return torch.where(side < least, narrow, wide).sum(-1)


def _log_prob_of_wide(away: Tensor, width: Tensor) -> Tensor:
    """The log probability of a box of a standard normal, from the difference of its tails."""
    # on the side where both tails are small, or the difference would cancel
    far = torch.special.log_ndtr(-(away + width / 2))
    near = torch.special.log_ndtr(-(away - width / 2))
    return near + torch.log1p(-(far - near).exp())


def _log_prob_of_narrow(away: Tensor, width: Tensor) -> Tensor:
    """The same for a narrow box: the density is exponential in it, up to the width squared."""
    slope = (away * width).clamp(min=torch.finfo(away.dtype).tiny)
    tilt = slope / 2 + (-torch.expm1(-slope) / slope).log()
    return tilt + width.log() - away.square() / 2 - math.log(2 * math.pi) / 2


def _check_path(chain: DiffusionChain, path: Sequence[Tensor]) -> None:
    check_kind("chain", chain, DiffusionChain, "a diffusion chain, with q and step")
    check_kind("path", path, (list, tuple), "a list of tensors")
    if len(path) != chain.length + 1:
        raise ValueError(f"path must hold x_0, ..., x_T, {chain.length + 1} tensors, got {len(path)}")
    for t, x in enumerate(path):
        check_points(f"path[{t}]", x, least=1, finite=True)
        check_alike(f"path[{t}]", x, "path[0]", path[0])
