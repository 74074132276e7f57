r"""Mixtures of Gaussians, and what an observation makes of them: exact posteriors.

The swiss roll, the clusters and the two peaks are all mixtures

.. math:: q(x_0) = \sum_{k=1}^K w_k\, \mathcal N\bigl(x_0;\ m_k,\ \operatorname{diag} v\bigr)

with one diagonal covariance for all parts: the roll of the nodes of its quadrature, the others of what they are made
of. Diffusion shrinks the means and widens the parts, and an observation of each coordinate by itself, with Gaussian
noise (:class:`Seen`), moves them, narrows them and weighs them anew. So :math:`q(x_t)`, :math:`q(x_0 \mid y)` and
:math:`q(x_t \mid y)` are mixtures of the same kind, whose density, score, evidence, draws and conditional distribution
functions are sums.
"""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from diffusion_notes._arguments.tensors import (
    check_finite,
    check_has_values,
    check_last_axis,
    check_returned,
    check_samples,
    check_tensor,
    checked_draws,
)
from diffusion_notes._arguments.values import check_integer, check_kind, check_number, describe
from diffusion_notes.data.quadrature import log_sum_exp

__all__ = ["GaussianMixture", "Seen"]

_FAR = 8  # standard deviations of a part: further away there is nothing
_NOTHING = 45  # in the logarithm: a part that weighs so much less than the heaviest is not computed
_STEPS_PER_STD = {1: 20, 2: 2.5}  # of the grid, for so many axes; entropy() is then right to 1e-8
_FINE_STEPS_PER_STD = {1: 100, 2: 5}  # where the density is only compared with a number
_CELLS = {1: 100, 2: 20}  # along each axis
_STRAYS = 0.0027  # the share of a Gaussian that is further than three standard deviations away
_MOST = 4_000_000  # points of a grid
_BLOCK = 512  # points at once


@dataclass(frozen=True, eq=False)
class Seen:
    r"""What was observed of a point: :math:`y = x_0 + \operatorname{diag}(k)\,n` with :math:`n \sim \mathcal N(0, I)`.

    Every coordinate has a noise of its own. One that is known exactly has 0, one that was not seen has infinity. So
    inpainting is ``Seen((a, 0), (0, inf))``, and denoising ``Seen((y1, y2), (k, k))``.

    Arguments:
        value: y, of shape ``(D,)``; of what was not seen it does not matter.
        noise: k, as many.

    Raises:
        TypeError: an argument is neither a sequence of numbers nor a floating-point tensor.
        ValueError: they are not of the same shape ``(D,)``, D ≥ 1, on ``meta``, not numbers, or a noise is negative.

    Both are kept in float64 on the CPU.

    >>> Seen((0.5, 0.0), (0.0, math.inf)).is_exact
    tensor([ True, False])
    """

    value: Tensor
    noise: Tensor

    def __init__(self, value: Tensor | Sequence[float], noise: Tensor | Sequence[float]) -> None:
        value = _numbers("value", value)
        noise = _numbers("noise", noise)
        if noise.shape != value.shape:
            raise ValueError(f"noise must have shape {tuple(value.shape)}, as value, got {tuple(noise.shape)}")
        check_finite("value", value)
        if not bool((noise >= 0).all()):  # nor NaN
            raise ValueError(f"noise must not be negative, got {noise.tolist()}")
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "noise", noise)

    @property
    def is_exact(self) -> Tensor:
        """Which coordinates are known exactly, ``(D,)``."""
        return self.noise == 0

    @property
    def is_seen(self) -> Tensor:
        """Which coordinates were seen at all, ``(D,)``."""
        return self.noise < math.inf

    def log_likelihood(self, x0: Tensor) -> Tensor:
        r""":math:`\log p(y \mid x_0)` in nats, of points ``(..., D)``, as ``(...)``; a density of what was seen.

        Values of points are not checked, because this is called inside loops.

        Raises:
            TypeError: ``x0`` is no floating-point tensor.
            ValueError: its last axis does not fit, or a coordinate is known exactly, so that there is no density.

        >>> Seen((0.0, 1.0), (math.inf, 2.0)).log_likelihood(torch.ones(3, 2)) + math.log(2)
        tensor([-0.9189, -0.9189, -0.9189])
        """
        check_last_axis("x0", x0, len(self.value))
        if bool(self.is_exact.any()):
            raise ValueError(f"noise must be positive where a likelihood is asked for, got {self.noise.tolist()}")
        total = torch.zeros_like(x0[..., 0])
        for d, (value, noise) in enumerate(zip(self.value.tolist(), self.noise.tolist(), strict=True)):
            if noise < math.inf:
                total = total - ((x0[..., d] - value) / noise).square() / 2 - math.log(2 * math.pi * noise**2) / 2
        return total


class GaussianMixture:
    r"""A mixture of K Gaussians in D dimensions that share one diagonal covariance; clean or diffused.

    Arguments:
        log_weight: :math:`\log w_k`, of shape ``(K,)``. They are normalised here; minus infinity leaves a part out.
        mean: the centres :math:`m_k`, of shape ``(K, D)``.
        variance: v, of shape ``(D,)``. In an axis that is known exactly it is 0, and all centres have the same
            coordinate there; densities, entropies and cells are then those of the other axes, the *free* ones.

    Raises:
        TypeError: an argument is no floating-point tensor.
        ValueError: the shapes do not fit, there is no part, or no free axis; a value is not finite, a variance
            negative, or 0 where centres differ.

    The tables are kept in float64 on the CPU. All else is computed in the dtype and on the device of the points given.
    By ``log_prob``, ``score`` and ``log_parts`` their values are not checked, because this is called inside loops.

    >>> peaks = GaussianMixture(torch.zeros(2), torch.tensor([[-1.0], [1.0]]), torch.tensor([0.15**2]))
    >>> peaks.log_prob(torch.tensor([[1.0]]))
    tensor([0.2850])
    >>> near = peaks.given(Seen([0.2], [0.5]))
    >>> round(near.share(torch.tensor([False, True])), 3)  # of the right peak
    0.813
    """

    def __init__(self, log_weight: Tensor, mean: Tensor, variance: Tensor) -> None:
        log_weight, mean, variance = _checked_parts(log_weight, mean, variance)
        self._log_weight = log_weight.log_softmax(0)
        self._mean = mean
        self._variance = variance
        self._counting = log_weight > log_weight.max() - _NOTHING
        self._placed: dict[tuple[torch.device, torch.dtype, bool], tuple[Tensor, Tensor]] = {}
        self.alpha_bar = 1.0

    def __repr__(self) -> str:
        diffused = "" if self.alpha_bar == 1 else f".diffuse({self.alpha_bar})"
        return f"GaussianMixture({len(self._mean)} parts in {self.dim} dimensions){diffused}"

    @property
    def dim(self) -> int:
        """D."""
        return self._mean.shape[1]

    @property
    def log_weight(self) -> Tensor:
        r""":math:`\log w_k`, ``(K,)`` in float64, normalised."""
        return self._log_weight

    @property
    def mean(self) -> Tensor:
        """The centres of the parts, ``(K, D)`` in float64."""
        return math.sqrt(self.alpha_bar) * self._mean

    @property
    def variance(self) -> Tensor:
        """The variance of all parts, ``(D,)`` in float64; 0 in an axis that is known exactly."""
        return self.alpha_bar * self._variance + (1 - self.alpha_bar)

    @property
    def free(self) -> list[int]:
        """The axes that are not known exactly."""
        return [d for d, variance in enumerate(self.variance.tolist()) if variance > 0]

    def moments(self) -> tuple[Tensor, Tensor]:
        """The mean ``(D,)`` and the covariance ``(D, D)``, in float64."""
        weight = self.log_weight.exp()
        mean = weight @ self.mean
        away = self.mean - mean
        return mean, (weight[:, None] * away).T @ away + self.variance.diag()

    def diffuse(self, alpha_bar: float) -> GaussianMixture:
        r"""The distribution of :math:`x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon`.

        Of a posterior it is :math:`q(x_t \mid y)`.

        Raises:
            TypeError: ``alpha_bar`` is no number.
            ValueError: it lies outside [0, 1].
        """
        diffused = GaussianMixture.__new__(GaussianMixture)
        diffused.__dict__.update(self.__dict__)  # the tables are the same, also those on other devices
        diffused.__dict__.pop("_lowest", None)
        diffused.alpha_bar = self.alpha_bar * check_number("alpha_bar", alpha_bar, 0, 1)
        return diffused

    def given(self, observation: Seen) -> GaussianMixture:
        r"""The posterior :math:`q(x_0 \mid y) \propto q(x_0)\,p(y \mid x_0)`, exactly: a mixture with as many parts.

        In each axis, a part with variance v and centre m that is observed as y with noise k becomes

        .. math:: \mathcal N\Bigl(\frac{k^2 m + v y}{v + k^2},\ \frac{v k^2}{v + k^2}\Bigr)
            \quad\text{and is weighed with}\quad \mathcal N(y;\ m,\ v + k^2).

        Raises:
            TypeError: ``observation`` is no :class:`Seen`.
            ValueError: it has not as many coordinates, or leaves no axis free.
        """
        k2, posterior_weight = self._weighed(observation)
        seen = observation.is_seen
        v = self.variance
        narrowed = torch.where(seen, v * k2 / (v + k2), v)
        # in an axis that was known before, the centre stays
        share = torch.where(seen & (v > 0), v / (v + k2), 0.0)
        moved = self.mean + share * (observation.value - self.mean)
        return GaussianMixture(posterior_weight, torch.where(observation.is_exact, observation.value, moved), narrowed)

    def evidence(self, observation: Seen) -> float:
        r""":math:`\log p(y)` in nats, a density of the coordinates that were seen; errors as of :meth:`given`.

        >>> one = GaussianMixture(torch.zeros(1), torch.zeros(1, 2), torch.ones(2))
        >>> one.evidence(Seen((0.0, 0.0), (0.0, math.inf))) == -math.log(2 * math.pi) / 2
        True
        """
        return self._weighed(observation)[1].logsumexp(0).item()

    def only(self, kept: Tensor) -> GaussianMixture:
        """Some of the parts alone, such as an arm of the roll or one of the clusters: the data of a class.

        Arguments:
            kept: which, a tensor of bools of shape ``(K,)``. The others stay, with the weight 0.

        Raises:
            TypeError: ``kept`` is no tensor of bools.
            ValueError: its shape is another, or no part that weighs anything is kept.
        """
        kept = self._checked_choice(kept)
        if not bool(kept.logical_and(self.log_weight > -math.inf).any()):
            raise ValueError(f"kept must hold at least one part of positive weight, got {describe(kept)}")
        class_weight = torch.where(kept, self.log_weight, -math.inf)
        return GaussianMixture(class_weight, self._mean, self._variance).diffuse(self.alpha_bar)

    def share(self, kept: Tensor) -> float:
        """The probability of some of the parts together; arguments and errors as of :meth:`only`, but it may be 0."""
        return self.log_weight[self._checked_choice(kept)].exp().sum().item()

    def log_prob(self, x: Tensor) -> Tensor:
        r""":math:`\log q(x)` in nats; ``x`` of shape ``(..., D)`` to ``(...)``.

        Raises:
            TypeError: ``x`` is not a floating-point tensor.
            ValueError: the last axis of ``x`` does not have length D.
        """
        check_last_axis("x", x, self.dim)
        return log_sum_exp(self._joint(x)[0])

    def score(self, x: Tensor) -> Tensor:
        r""":math:`\nabla_x \log q(x) = (\mathbb E[m_k \mid x] - x) / v`, of shape ``(..., D)``; errors as above.

        In an axis that is known exactly it is 0.
        """
        check_last_axis("x", x, self.dim)
        logits, mean = self._joint(x)
        expected = logits.softmax(-1) @ mean
        columns = [
            (expected[..., d] - x[..., d]) / variance if variance > 0 else torch.zeros_like(x[..., d])
            for d, variance in enumerate(self.variance.tolist())
        ]
        return torch.stack(columns, -1)

    def log_parts(self, x: Tensor) -> Tensor:
        r""":math:`\log q(k \mid x)`, from which part each point came, ``(..., K)``; errors as of :meth:`log_prob`.

        A classifier of classes that are made of parts, at every noise level: ``log_parts(x)[..., kept].logsumexp(-1)``.
        """
        check_last_axis("x", x, self.dim)
        return self._joint(x, all_parts=True)[0].log_softmax(-1)

    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """``n`` independent points, of shape ``(n, D)``; arguments and errors as in ``SwissRoll.sample``."""
        n, device = checked_draws(n, generator, device, dtype)
        u = torch.rand(n, generator=generator, device=device, dtype=dtype)
        normal = torch.randn(n, self.dim, generator=generator, device=device, dtype=dtype)
        log_weight, mean = self._tables(normal)
        rising = log_weight.exp().cumsum(0)
        part = torch.searchsorted(rising, u * rising[-1], right=True).clamp(max=len(rising) - 1)
        std = self.variance.sqrt().tolist()
        return torch.stack([mean[part, d] + std[d] * normal[:, d] for d in range(self.dim)], -1)

    def expect(self, f: Callable[[Tensor], Tensor]) -> Tensor:
        r""":math:`\mathbb E_{q(x)}[f(x)]`, exact to quadrature: no sampling, the same on every run.

        ``f`` takes points of shape ``(n, D)`` in float64 and returns ``(n, ...)``; the result is float64 too.

        Raises:
            TypeError: ``f`` cannot be called, or returns no tensor.
            ValueError: it returns a tensor of another shape, or there are more than two free axes.

        >>> one = GaussianMixture(torch.zeros(1), torch.zeros(1, 2), torch.ones(2))
        >>> one.expect(lambda x: x.square())
        tensor([1.0000, 1.0000], dtype=torch.float64)
        """
        check_kind("f", f, Callable, "callable as f(x)")
        points, area = self._grid(_STEPS_PER_STD)

        def total(block: Tensor) -> Tensor:
            value = f(block)
            check_returned("f", value, block.shape[:1], rest=True)
            return torch.tensordot(area * self._log_density(block).exp(), value.double(), 1)

        return torch.stack([total(block) for block in points.split(_BLOCK)]).sum(0)

    def entropy(self) -> Tensor:
        r""":math:`H(q) = -\mathbb E[\log q(x)]` in nats, of the free axes; errors as of :meth:`expect`."""
        points, area = self._grid(_STEPS_PER_STD)
        each = [torch.special.entr(self._log_density(block).exp()).sum() for block in points.split(_BLOCK)]
        return area * torch.stack(each).sum()

    def uniforms(self, x: Tensor) -> Tensor:
        r"""The distribution functions :math:`F(x_1),\ F(x_2 \mid x_1), \dots` of the free axes, ``(n, free)``, float64.

        For true samples these are independent and uniform on [0, 1] (Rosenblatt 1952).

        Raises:
            TypeError, ValueError: ``x`` is not a floating-point tensor of shape ``(n, D)`` with n ≥ 1, all finite.
        """
        check_samples("x", x, dim=self.dim)
        return torch.cat([self._uniforms(block.double()) for block in x.split(_BLOCK)])

    def cells(self, x: Tensor, along: int | None = None) -> tuple[Tensor, int]:
        """The cell in which each of n points lies, ``(n,)``, and how many cells of the same probability there are.

        They are cut by the quantiles of each free axis given those before it.

        Arguments:
            x: the points, ``(n, D)``.
            along: how many along each free axis; 100 if it is the only one, 20 of two.

        Raises:
            TypeError, ValueError: ``x`` is not a floating-point tensor of shape ``(n, D)`` with n ≥ 1, all finite,
                or ``along`` no positive integer.
        """
        axes = len(self.free)
        along = _CELLS.get(axes, 4) if along is None else check_integer("along", along, least=1)
        place = (self.uniforms(x) * along).long().clamp(max=along - 1)
        cell = place[:, 0]
        for axis in range(1, axes):
            cell = cell * along + place[:, axis]
        return cell, along**axes

    def strays(self, x: Tensor) -> Tensor:
        """Which of n points lie where the density is lower than at all but 0.27 % of true samples: ``(n,)`` bools.

        Of one Gaussian on a line these are the points further than three standard deviations away. Errors as of
        :meth:`uniforms` and :meth:`expect`.
        """
        check_samples("x", x, dim=self.dim)
        return torch.cat([self.log_prob(block.double()) for block in x.split(_BLOCK)]) < self._lowest

    @functools.cached_property
    def _lowest(self) -> float:
        """The logarithm of the density above which all but the strays lie."""
        points, area = self._grid(_FINE_STEPS_PER_STD)
        log_density = torch.cat([self._log_density(block) for block in points.split(_BLOCK)]).sort().values
        mass = (area * log_density.exp()).cumsum(0)
        return log_density[torch.searchsorted(mass, _STRAYS)].item()

    def _weighed(self, observation: Seen) -> tuple[Tensor, Tensor]:
        """The squared noise, finite where it is not, and log(weight · p(y | part)) of every part."""
        check_kind("observation", observation, Seen)
        if len(observation.value) != self.dim:
            raise ValueError(f"observation must have {self.dim} coordinates, got {len(observation.value)}")
        seen = observation.is_seen
        if bool((observation.is_exact & (self.variance == 0)).any()):
            raise ValueError("observation must not say exactly what is known exactly already")
        k2 = torch.where(seen, observation.noise, 1.0).square()
        spread = self.variance + k2
        surprise = (observation.value - self.mean).square() / spread + (2 * math.pi * spread).log()
        return k2, self.log_weight - torch.where(seen, surprise, 0.0).sum(-1) / 2

    def _checked_choice(self, kept: Tensor) -> Tensor:
        if not isinstance(kept, Tensor) or kept.dtype != torch.bool:
            raise TypeError(f"kept must be a tensor of bools, got {describe(kept)}")
        if kept.shape != self.log_weight.shape:
            raise ValueError(f"kept must have shape {tuple(self.log_weight.shape)}, got {tuple(kept.shape)}")
        check_has_values("kept", kept)
        return kept.cpu()

    def _tables(self, like: Tensor, all_parts: bool = False) -> tuple[Tensor, Tensor]:
        """The logarithms of the weights, and the centres at this level, of the parts that count, as ``like``."""
        key = (like.device, like.dtype, all_parts)
        if key not in self._placed:
            chosen = slice(None) if all_parts else self._counting
            with torch.inference_mode(False):  # what is kept must be good for training too
                self._placed[key] = (
                    self._log_weight[chosen].to(like.dtype).to(like.device),
                    self._mean[chosen].to(like.dtype).to(like.device),
                )
        log_weight, mean = self._placed[key]
        return log_weight, math.sqrt(self.alpha_bar) * mean

    def _joint(self, x: Tensor, all_parts: bool = False) -> tuple[Tensor, Tensor]:
        """log(weight · density) of every part, and the centres."""
        log_weight, mean = self._tables(x, all_parts)
        return self._densities(x, log_weight, mean), mean

    def _densities(self, x: Tensor, log_weight: Tensor, mean: Tensor) -> Tensor:
        # differences, not the expanded square: that would cancel in float32
        for d, variance in enumerate(self.variance.tolist()):
            if variance > 0:
                distance = (x[..., d, None] - mean[:, d]).square()
                log_weight = log_weight - distance / (2 * variance) - math.log(2 * math.pi * variance) / 2
        return log_weight

    def _log_density(self, x: Tensor) -> Tensor:
        """:meth:`log_prob` of points that are close together, of which most parts are far; on the CPU."""
        log_weight, mean = self._tables(x)
        near = torch.ones_like(log_weight, dtype=torch.bool)
        for d in self.free:
            reach = _FAR * self.variance[d].sqrt()
            near &= (mean[:, d] > x[:, d].min() - reach) & (mean[:, d] < x[:, d].max() + reach)
        if not bool(near.any()):
            return torch.full_like(x[:, 0], -math.inf)
        return log_sum_exp(self._densities(x, log_weight[near], mean[near]))

    def _uniforms(self, x: Tensor) -> Tensor:
        logits, mean = self._tables(x)
        found = []
        for d in self.free:
            std = self.variance[d].sqrt().item()
            away = (x[:, d, None] - mean[:, d]) / std
            found.append((logits.softmax(-1) * torch.special.ndtr(away)).sum(-1))
            logits = logits - away.square() / 2
        return torch.stack(found, -1).clamp(0, 1)

    def _grid(self, steps_per_std: Mapping[int, float]) -> tuple[Tensor, float]:
        """Points all about, ``(n, D)``, and how much of the space of the free axes belongs to each."""
        free = self.free
        if len(free) not in steps_per_std:
            raise ValueError(f"the mixture must have at most two free axes for a quadrature, got {len(free)}")
        mean = self.mean[self._counting]
        area = 1.0
        axes = []
        for d in range(self.dim):
            if d not in free:
                axes.append(mean[:1, d])
                continue
            std = self.variance[d].sqrt().item()
            low = mean[:, d].min().item() - _FAR * std
            high = mean[:, d].max().item() + _FAR * std
            count = 1 + math.ceil((high - low) / std * steps_per_std[len(free)])
            axes.append(torch.linspace(low, high, count, dtype=torch.float64, device="cpu"))
            area *= (high - low) / (count - 1)
        if (points := math.prod(len(axis) for axis in axes)) > _MOST:
            raise ValueError(f"the mixture must not be so narrow against its width that a grid has {points} points")
        return torch.cartesian_prod(*axes).reshape(-1, self.dim), area


def _numbers(name: str, value: Tensor | Sequence[float]) -> Tensor:
    """Numbers in float64 on the CPU, where looking is free."""
    if isinstance(value, Tensor):
        check_tensor(name, value)
        check_has_values(name, value)
        table = value.detach().to("cpu").double()
    else:
        check_kind(name, value, (list, tuple), "numbers or a floating-point tensor")
        for each in value:
            check_kind(f"each of {name}", each, numbers.Real, "a number")
        table = torch.tensor(value, dtype=torch.float64, device="cpu")
    if table.dim() != 1 or not len(table):
        raise ValueError(f"{name} must have shape (D,), got {tuple(table.shape)}")
    return table


def _checked_parts(log_weight: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The tables of a mixture in float64 on the CPU, where looking is free."""
    tables = []
    for name, value in (("log_weight", log_weight), ("mean", mean), ("variance", variance)):
        check_tensor(name, value)
        check_has_values(name, value)
        tables.append(value.detach().to("cpu").double())
    weight, centre, spread = tables
    if weight.dim() != 1 or not len(weight):
        raise ValueError(f"log_weight must have shape (K,), got {tuple(weight.shape)}")
    if centre.dim() != 2 or len(centre) != len(weight) or not centre.shape[1]:
        raise ValueError(f"mean must have shape ({len(weight)}, D), as log_weight, got {tuple(centre.shape)}")
    if spread.shape != centre.shape[1:]:
        raise ValueError(f"variance must have shape {tuple(centre.shape[1:])}, as mean, got {tuple(spread.shape)}")
    if not bool((weight < math.inf).all() and (weight > -math.inf).any()):  # nor NaN
        raise ValueError(
            f"log_weight must hold numbers, of which some may be minus infinity, got {describe(log_weight)}"
        )
    check_finite("mean", centre)
    if not bool(((spread >= 0) & (spread < math.inf)).all()):
        raise ValueError(f"variance must not be negative, and be finite, got {spread.tolist()}")
    known = spread == 0
    if bool(known.all()) or bool((centre[:, known] != centre[0, known]).any()):
        raise ValueError(f"variance must be 0 only where centres agree, and not in all axes, got {spread.tolist()}")
    return weight, centre, spread
