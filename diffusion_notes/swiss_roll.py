r"""The swiss roll as a distribution whose every quantity is known.

A point is a place on a spiral, chosen uniformly in the spiral's angle, plus Gaussian noise:

.. math::
    x_0 = c(u) + s\,n, \qquad
    c(u) = \tfrac{1}{10}\,(\tau\cos\tau,\ \tau\sin\tau), \quad
    \tau = \tfrac{3\pi}{2}(1 + 2u), \quad u \sim \mathcal U[0, 1], \quad n \sim \mathcal N(0, I).

These are the first and last coordinates of scikit-learn's ``make_swiss_roll``, divided by ten.
Diffusion shrinks the spiral and widens the noise, and a shrunken spiral with wider noise is a
distribution of the same form. So one class serves every noise level, and its density

.. math::
    q(x_t) = \int_0^1 \mathcal N\bigl(x_t;\ \sqrt{\bar\alpha_t}\,c(u),\ v_t I\bigr)\,du,
    \qquad v_t = \bar\alpha_t s^2 + 1 - \bar\alpha_t,

is a one-dimensional integral of a smooth function: Gauss-Legendre quadrature gives it to ten
digits. With it come the entropy, the score, the best possible noise prediction
:math:`\mathbb E[\varepsilon \mid x_t]` and the smallest loss any network can reach.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from diffusion_notes._arguments.levels import check_levels, checked_alpha_bar, checked_level
from diffusion_notes._arguments.tensors import (
    check_generator,
    check_last_axis,
    check_samples,
    check_tensor,
    checked_device,
)
from diffusion_notes._arguments.values import check_integer, check_positive
from diffusion_notes.data import GaussianMixture, integrate_plane, unit_interval
from diffusion_notes.data.quadrature import log_sum_exp

__all__ = ["SwissRoll"]

_FIRST_ANGLE = 1.5 * math.pi
_LAST_ANGLE = 4.5 * math.pi
_COARSE = 200  # pieces of the spiral, for a first search
_PIECES = 400  # of the spiral, to find out where in the plane there is nothing
_FAR = 8  # standard deviations: further away there is nothing
_STEPS_PER_NOISE = 2.5  # of the grid in the plane; entropy() is then right to 1e-8, noise_mmse() to 1e-6


class SwissRoll:
    r"""The swiss roll, clean or diffused to any noise level.

    Arguments:
        noise: the standard deviation :math:`s` of the noise around the spiral, after scaling.
        scale: what the spiral is multiplied by; 0.1 makes its outer end 1.41 from the origin.

    Raises:
        TypeError: an argument is not a number.
        ValueError: an argument is not positive and finite, or the noise so small against the scale
            that the quadrature would need thousands of nodes.

    Everything is computed in the dtype and on the device of the points given. Their values are not checked,
    because this is called inside loops; those of a noise level are, on the CPU.

    >>> roll = SwissRoll()
    >>> roll.log_prob(roll.sample(5)).shape
    torch.Size([5])
    >>> round(roll.entropy().item(), 4)
    0.5818
    """

    def __init__(self, noise: float = 0.05, scale: float = 0.1) -> None:
        self.noise = check_positive("noise", noise)
        self.scale = check_positive("scale", scale)
        if noise < scale / 10:
            raise ValueError(f"noise must be at least a tenth of scale, got {noise} and {scale}")
        self.alpha_bar: float | Tensor = 1.0
        self.device: torch.device | None = None

    def __repr__(self) -> str:
        diffused = "" if self.is_clean else f".diffuse({self.alpha_bar})"
        return f"SwissRoll(noise={self.noise:g}, scale={self.scale:g}){diffused}"

    @property
    def is_clean(self) -> bool:
        """Whether this is the data's own distribution, not a diffused one."""
        return self.device is None and bool(self.alpha_bar == 1)

    def diffuse(self, alpha_bar: float | Tensor) -> SwissRoll:
        r"""The distribution of :math:`x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon`.

        Arguments:
            alpha_bar: :math:`\bar\alpha_t \in [0, 1]`, a number or a tensor. The shape of a tensor
                broadcasts against the batch shape of the points that are asked about later.

        Raises:
            TypeError: ``alpha_bar`` is neither a number nor a floating-point tensor.
            ValueError: a value lies outside [0, 1] (checked for numbers and on the CPU).
        """
        diffused = SwissRoll(self.noise, self.scale)
        diffused.alpha_bar = self.alpha_bar * checked_alpha_bar(alpha_bar)
        diffused.device = alpha_bar.device if isinstance(alpha_bar, Tensor) else self.device
        return diffused

    def spiral(self, u: Tensor) -> Tensor:
        r"""The clean spiral :math:`c(u)`, without its noise; ``u`` of shape ``(...)`` to ``(..., 2)``.

        >>> SwissRoll().spiral(torch.tensor([0.0, 1.0])).shape
        torch.Size([2, 2])
        """
        check_tensor("u", u)
        angle = _FIRST_ANGLE + (_LAST_ANGLE - _FIRST_ANGLE) * u
        return self.scale * angle.unsqueeze(-1) * torch.stack((angle.cos(), angle.sin()), -1)

    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """``n`` independent points, of shape ``(n, 2)``, drawn on the generator's device.

        A roll diffused with a tensor of noise levels gives ``(n, *alpha_bar.shape, 2)``, on its device.
        Raises a TypeError or a ValueError unless ``n`` is an integer that is not negative.
        """
        n = check_integer("n", n, least=0)
        device = checked_device(device, dtype)
        levels = tuple(self.alpha_bar.shape) if isinstance(self.alpha_bar, Tensor) else ()
        check_generator("generator", generator, device or self.device)
        device = device or self.device or (generator.device if generator is not None else None)
        u = torch.rand(n, *levels, generator=generator, device=device, dtype=dtype)
        normal = torch.randn(n, *levels, 2, generator=generator, device=device, dtype=dtype)
        return self.spiral(u) * self._root(u) + self._variance(u).sqrt().unsqueeze(-1) * normal

    def log_prob(self, x: Tensor) -> Tensor:
        r""":math:`\log q(x)` in nats; ``x`` of shape ``(..., 2)`` to ``(...)``.

        Raises:
            TypeError: ``x`` is not a floating-point tensor.
            ValueError: the last axis of ``x`` does not have length 2.
        """
        logits, _, variance = self._mixture(x)
        return log_sum_exp(logits) - (2 * math.pi * variance).log()

    def score(self, x: Tensor) -> Tensor:
        r""":math:`\nabla_x \log q(x) = (\mathbb E[m(u) \mid x] - x) / v`, of shape ``(..., 2)``.

        Here :math:`m(u) = \sqrt{\bar\alpha}\,c(u)`. Raises what :meth:`log_prob` raises.
        """
        logits, spiral, variance = self._mixture(x)
        return (logits.softmax(-1) @ spiral * self._root(x) - x) / variance.unsqueeze(-1)

    def expected_noise(self, xt: Tensor, alpha_bar: float | Tensor) -> Tensor:
        r""":math:`\mathbb E[\varepsilon \mid x_t] = -\sqrt{1-\bar\alpha_t}\ \nabla\log q(x_t)`.

        This is what a perfect network predicts (Tweedie's formula; Efron 2011). Shapes as in
        :meth:`score`; ``alpha_bar`` as in :meth:`diffuse`.
        """
        check_last_axis("xt", xt, 2)
        score = self.diffuse(alpha_bar).score(xt)
        noise = 1 - alpha_bar  # in its own precision, then in that of the points
        return -torch.as_tensor(noise, dtype=xt.dtype, device=xt.device).sqrt().unsqueeze(-1) * score

    def expect(self, f: Callable[[Tensor], Tensor]) -> Tensor:
        r""":math:`\mathbb E_{q(x)}[f(x)]`, exact to quadrature: no sampling, the same on every run.

        ``f`` takes points of shape ``(n, 2)`` in float64 and returns ``(n, ...)``; the result is
        float64 too. Only a single noise level is accepted.

        Raises:
            ValueError: the roll is diffused to a whole tensor of noise levels.

        >>> SwissRoll().expect(lambda x: torch.ones_like(x))
        tensor([1.0000, 1.0000], dtype=torch.float64)
        """
        roll = self._single()
        return roll._integrate(f, lambda x: roll._log_density(x).exp())

    def entropy(self) -> Tensor:
        r""":math:`H(q) = -\mathbb E[\log q(x)]` in nats: one number for each noise level."""

        def entropy(roll: SwissRoll) -> Tensor:
            return roll._integrate(lambda x: torch.special.entr(roll._log_density(x).exp()))

        return self._each_level(entropy)

    def noise_mmse(self, alpha_bar: float | Tensor) -> Tensor:
        r"""The irreducible :math:`\mathbb E\lVert\varepsilon - \mathbb E[\varepsilon \mid x_t]\rVert^2`.

        No network, however large, has a smaller :math:`L_\text{simple}` at this noise level. The
        noise is only known up to which :math:`x_0` it was added to:
        :math:`\mathbb E\lVert\varepsilon - \mathbb E[\varepsilon \mid x_t]\rVert^2
        = \tfrac{\bar\alpha_t}{1-\bar\alpha_t}\,\mathbb E \operatorname{tr}\operatorname{Cov}(x_0 \mid x_t)`,
        and the covariance splits into the noise around the spiral and that of the place on
        it. Written this way nothing cancels when :math:`\bar\alpha_t` is near 0 or 1.

        Returns one number for each entry of ``alpha_bar``, which is checked as in :meth:`diffuse`.
        Raises a ValueError on a diffused roll: the formula is the clean one's.
        """
        self._check_clean("noise_mmse")

        def loss(roll: SwissRoll) -> Tensor:
            def given(x: Tensor) -> Tensor:
                logits, spiral, variance = roll._mixture(x, roll._nowhere)
                weight = logits.softmax(-1)
                spread = (weight @ spiral.square() - (weight @ spiral).square()).sum(-1)
                level = roll._level(x)
                around = 2 * level * self.noise**2 / variance
                return around + level * (1 - level) / variance**2 * spread

            return roll.expect(given)

        return self.diffuse(alpha_bar)._each_level(loss)

    def nearest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        r"""The nearest place on the clean roll's spiral, and the way from there to the point.

        Arguments:
            x: points of shape ``(n, 2)``.

        Returns:
            u in [0, 1], of shape ``(n,)``, in double precision to 4e-6, and :math:`x - c(u)`, of shape ``(n, 2)``.

        Raises:
            TypeError, ValueError: ``x`` is not a floating-point tensor of shape ``(n, 2)`` with n ≥ 1, all finite, or
                the roll is diffused.

        >>> roll = SwissRoll()
        >>> roll.nearest(roll.spiral(torch.tensor([0.25, 0.75])))[0]
        tensor([0.2500, 0.7500])
        """
        self._check_clean("nearest")
        check_samples("x", x, dim=2)
        coarse = torch.linspace(0, 1, 1 + _COARSE, dtype=x.dtype, device=x.device)
        corners = self.spiral(coarse)
        chunks = [torch.cdist(chunk, corners).argmin(-1) for chunk in x.split(10_000)]
        u = coarse[torch.cat(chunks)]
        # a search around the nearest corner, finer and finer
        around = torch.linspace(-1, 1, 11, dtype=x.dtype, device=x.device)
        for width in (1 / _COARSE, 0.2 / _COARSE, 0.04 / _COARSE, 0.008 / _COARSE):
            near = (u.unsqueeze(-1) + width * around).clamp(0, 1)
            distance = (self.spiral(near) - x.unsqueeze(1)).square().sum(-1)
            u = near.gather(1, distance.argmin(-1, keepdim=True)).squeeze(-1)
        return u, x - self.spiral(u)

    def distance(self, x: Tensor) -> Tensor:
        """How far each of n points is from the spiral, ``(n,)``; arguments and errors as in :meth:`nearest`.

        >>> SwissRoll().distance(torch.tensor([[0.0, 0.0]]))
        tensor([0.4712])
        """
        return self.nearest(x)[1].norm(dim=-1)

    def across(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest place, and the part of the way there that is normal to the spiral, ``(n,)`` each.

        Beyond an end of the spiral the way has another part too. Arguments and errors as in :meth:`nearest`.
        """
        u, way = self.nearest(x)
        ahead = self.spiral(u + 1e-3) - self.spiral(u - 1e-3)
        return u, (way[:, 1] * ahead[:, 0] - way[:, 0] * ahead[:, 1]) / ahead.norm(dim=-1)

    def cells(self, x: Tensor, along: int = 50, across: int = 10) -> tuple[Tensor, int]:
        """The cell in which each of n points lies, ``(n,)``, and how many cells there are.

        The roll is cut into ``along`` pieces of its length and each of them into ``across`` strips, all of (very
        nearly) the same probability. Errors as in :meth:`nearest`.
        """
        along = check_integer("along", along, least=1)
        across = check_integer("across", across, least=1)
        u, offset = self.across(x)
        strip = torch.special.ndtr(offset / self.noise)
        row = (u * along).long().clamp(max=along - 1)
        column = (strip * across).long().clamp(max=across - 1)
        return row * across + column, along * across

    def mixture(self, pieces: int = 1, nodes: int | None = None) -> GaussianMixture:
        r"""The clean roll as a mixture of Gaussians, :math:`\sum_k w_k\,\mathcal N(x;\ c(u_k),\ s^2 I)`.

        The :math:`u_k` and :math:`w_k` are the nodes and weights of Gauss's quadrature, in the order of u. They are
        so close together that the density is the roll's to ten digits; and what is known of mixtures, such as their
        posteriors, is then known of the roll.

        Arguments:
            pieces: into how many equal pieces of u the roll is cut, each with as many nodes of its own. The first K / 2
                of K parts are then the inner half, if ``pieces`` is even.
            nodes: for each piece; as many as the density needs, if it is not said.

        Raises:
            TypeError: an argument is no integer.
            ValueError: it is less than 1, or the roll is diffused: it is the mixture that can be, afterwards.

        >>> SwissRoll().mixture(pieces=2).diffuse(0.5).score(torch.zeros(3, 2)).shape
        torch.Size([3, 2])
        """
        self._check_clean("mixture")
        pieces = check_integer("pieces", pieces, least=1)
        nodes = 32 + self._count() // pieces if nodes is None else check_integer("nodes", nodes, least=1)
        place, weight = (torch.from_numpy(each) for each in unit_interval(nodes))
        first = torch.arange(pieces, dtype=torch.float64, device="cpu")
        u = (first[:, None] + place) / pieces
        variance = torch.full((2,), self.noise**2, dtype=torch.float64, device="cpu")
        return GaussianMixture(weight.log().repeat(pieces), self.spiral(u.flatten()), variance)

    def _check_clean(self, what: str) -> None:
        if not self.is_clean:
            raise ValueError(f"{what} must be asked of a clean roll, and this one is diffused: got {self!r}")

    @property
    def _width(self) -> float:
        """The square root of v, of a roll with one noise level."""
        return math.sqrt(1 - checked_level(self.alpha_bar) * (1 - self.noise**2))

    @property
    def _size(self) -> float:
        """What the angle is multiplied by, of a roll with one noise level."""
        return math.sqrt(checked_level(self.alpha_bar)) * self.scale

    @property
    def _nowhere(self) -> float:
        """Further than this from the corners of the spiral, cut into pieces, there is nothing."""
        longest = (_LAST_ANGLE - _FIRST_ANGLE) * math.hypot(1, _LAST_ANGLE) * self._size / _PIECES
        return _FAR * self._width + longest

    def _integrate(self, f: Callable[[Tensor], Tensor], weight: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The integral over the plane of what is zero where the density is, of a roll with one noise level."""
        place = torch.linspace(0, 1, 1 + _PIECES, dtype=torch.float64, device=self.device)
        corners = self.spiral(place) * self._size / self.scale

        def near(x: Tensor) -> Tensor:
            return torch.cdist(x, corners).amin(-1) < self._nowhere

        reach = self._size * _LAST_ANGLE + _FAR * self._width
        return integrate_plane(f, reach, self._width / _STEPS_PER_NOISE, self.device, weight, near)

    def _log_density(self, x: Tensor) -> Tensor:
        """:meth:`log_prob` for points that are close together, of a roll with one noise level."""
        logits, _, variance = self._mixture(x, self._nowhere)
        return log_sum_exp(logits) - (2 * math.pi * variance).log()

    def _level(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.alpha_bar, dtype=x.dtype, device=x.device)

    def _root(self, x: Tensor) -> Tensor:
        return self._level(x).sqrt().unsqueeze(-1)

    def _variance(self, x: Tensor) -> Tensor:
        level = self._level(x)
        return level * self.noise**2 + (1 - level)

    def _mixture(self, x: Tensor, within: float = math.inf) -> tuple[Tensor, Tensor, Tensor]:
        """log(weight · exp(−distance²/2v)) of every node, the nodes c(u_k), and the variance v.

        If ``within`` is given, only of the nodes that are so close to some of the points.
        """
        check_last_axis("x", x, 2)
        if isinstance(self.alpha_bar, Tensor):
            check_levels(self.alpha_bar, x)
        u, weight = (torch.as_tensor(a, dtype=x.dtype, device=x.device) for a in unit_interval(self._count()))
        spiral = self.spiral(u)
        variance = self._variance(x)
        if within < math.inf:
            place = spiral * self._root(x)
            near = ((place > x.amin(0) - within) & (place < x.amax(0) + within)).all(-1)
            spiral = spiral[near]
            weight = weight[near]
        # differences, not the expanded square: that would cancel in float32
        right = x[..., 0, None] - self._root(x) * spiral[:, 0]
        up = x[..., 1, None] - self._root(x) * spiral[:, 1]
        distance = right.square() + up.square()
        return weight.log() - distance / (2 * variance.unsqueeze(-1)), spiral, variance

    def _count(self) -> int:
        """Nodes so close together that the widest gap on the spiral is below the noise."""
        level = 1.0 if isinstance(self.alpha_bar, Tensor) else self.alpha_bar
        return math.ceil(32 + 256 * self.scale * math.sqrt(level / (1 - level * (1 - self.noise**2))))

    def _single(self) -> SwissRoll:
        """The same roll with its one noise level as a number, which lets the quadrature be sized to it."""
        single = SwissRoll(self.noise, self.scale).diffuse(checked_level(self.alpha_bar))
        single.device = self.device
        return single

    def _each_level(self, f: Callable[[SwissRoll], Tensor]) -> Tensor:
        if not isinstance(self.alpha_bar, Tensor):
            return f(self)
        clean = SwissRoll(self.noise, self.scale)
        each = [f(clean.diffuse(level)._single()) for level in self.alpha_bar.reshape(-1).unbind()]
        return torch.stack(each).reshape(self.alpha_bar.shape) if each else self.alpha_bar.double()
