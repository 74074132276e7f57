r"""Given something: draws from a posterior, by a model that was trained without it.

Of a point of the data something is known, an observation :math:`y` with the likelihood :math:`p(y \mid x_0)`, and its
posterior is wanted,

.. math:: q(x_0 \mid y) = \frac{q(x_0)\,p(y \mid x_0)}{p(y)} .

Observations here are those of :class:`~diffusion_notes.data.mixtures.Seen`: each coordinate with Gaussian noise of its
own, which is 0 for what is known exactly and infinite for what was not seen. A chain would draw from the posterior if
its steps were

.. math:: q(x_{t-1} \mid x_t, y) = q(x_{t-1} \mid x_t)\,\frac{p(y \mid x_{t-1})}{p(y \mid x_t)}, \qquad
    p(y \mid x_t) = \int p(y \mid x_0)\,q(x_0 \mid x_t)\,dx_0 ,

so that its score were :math:`\nabla\log q(x_t) + \nabla\log p(y \mid x_t)`. That integral over all that may become of
:math:`x_t` is what nobody has. The functions below differ in what they put in its place:

* :func:`replacement`: nothing; what is known is overwritten (Sohl-Dickstein et al. 2015; Song et al. 2021), again and
  again if it is resampled (RePaint, Lugmayr et al. 2022).
* :func:`multiplied`: the likelihood of :math:`x_{t-1}` itself, as if it were clean (Sohl-Dickstein et al. 2015).
* :func:`gradient_guidance`: the likelihood of the guess :math:`\hat x_0` (DPS, Chung et al. 2023), or a Gaussian around
  it with a variance (ΠGDM, Song et al. 2023).
* :func:`particles`: any of these guesses as a proposal, and weights that make up for what is wrong with it (twisted
  sequential Monte Carlo, Wu et al. 2023): exact with infinitely many particles.
* :func:`enter`: for an observation with the same noise in all coordinates nothing is missing. It is a point of the
  chain.

All take any :class:`~diffusion_notes.ddpm.DDPM`, visit all its levels or some, and step from one to the next with the
variance that it names, as the ancestral method of :func:`~diffusion_notes.samplers.walk` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Generator, Tensor

from diffusion_notes._arguments.tensors import (
    check_finite,
    check_generator,
    check_points,
    check_precise,
    check_returned,
)
from diffusion_notes._arguments.values import (
    check_choice,
    check_integer,
    check_kind,
    check_number,
    check_positive,
    describe,
)
from diffusion_notes.data import Seen
from diffusion_notes.ddpm import DDPM
from diffusion_notes.distributions import randn_like

__all__ = [
    "Particles",
    "denoised",
    "enter",
    "gradient_guidance",
    "multiplied",
    "particles",
    "replacement",
]

Guess = Literal["dps", "pigdm"]
Power = Literal["constant", "rising"]
States = Iterator[tuple[int, Tensor]]


# -- the steps of a chain ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    r"""A step of the chain from level t down to s < t, in the terms of the levels' :math:`\kappa`.

    .. math:: x_s = c_0\,\hat x_0 + c_t\,x_t + \sigma z, \qquad
        c_0 = \sqrt{\bar\alpha_s}\,\Bigl(1 - \frac{\kappa_s^2}{\kappa_t^2}\Bigr), \qquad
        c_t = \sqrt{\frac{\bar\alpha_s}{\bar\alpha_t}}\,\frac{\kappa_s^2}{\kappa_t^2} .
    """

    t: int
    s: int
    kappa: float
    kappa_s: float
    sigma: float

    @property
    def alpha(self) -> float:
        r""":math:`\bar\alpha_t/\bar\alpha_s`, the signal that the way back up leaves."""
        return (1 + self.kappa_s**2) / (1 + self.kappa**2)

    @property
    def beta(self) -> float:
        r""":math:`1 - \bar\alpha_t/\bar\alpha_s`, the noise that it adds."""
        return (self.kappa**2 - self.kappa_s**2) / (1 + self.kappa**2)

    def mean(self, xt: Tensor, x0: Tensor) -> Tensor:
        """The mean of the step, given the guess at the data."""
        kept = (self.kappa_s / self.kappa) ** 2
        signal = _signal(self.kappa_s)
        return signal * (1 - kept) * x0 + signal / _signal(self.kappa) * kept * xt

    def down(self, mean: Tensor, generator: Generator | None) -> Tensor:
        """A draw; of the last step, the mean."""
        return mean + self.sigma * randn_like(mean, generator) if self.s > 0 else mean

    def up(self, xs: Tensor, generator: Generator | None) -> Tensor:
        r""":math:`x_t \sim q(x_t \mid x_s)`."""
        return math.sqrt(self.alpha) * xs + math.sqrt(self.beta) * randn_like(xs, generator)


def _signal(kappa: float) -> float:
    r""":math:`\sqrt{\bar\alpha} = 1/\sqrt{1+\kappa^2}`."""
    return 1 / math.sqrt(1 + kappa**2)


def _steps(model: DDPM, levels: Sequence[int] | None, highest: int | None = None) -> list[_Step]:
    """The steps through these levels, rising, or through all, from the highest to the data."""
    check_kind("model", model, DDPM)
    T = model.schedule.T
    if levels is None:
        t = list(range(1, 1 + (highest or T)))
    else:
        check_kind("levels", levels, (list, tuple, range), "a list of integers, or None")
        t = [check_integer("each of levels", each, least=1, most=highest or T) for each in levels]
        if not t or any(below >= above for below, above in pairwise(t)):
            raise ValueError(f"levels must be integers that rise, got {describe(levels)}")
    kappa = model.schedule.kappa.tolist()
    variance = model.variance
    if isinstance(variance, Tensor) and len(t) != t[-1]:
        raise ValueError(f"model must have a variance with a name if levels are left out, got {describe(variance)}")
    steps = []
    for above, below in pairwise([*reversed(t), 0]):
        step = _Step(above, below, kappa[above], kappa[below], 0.0)
        if isinstance(variance, Tensor):
            sigma = math.sqrt(variance[above].item())
        elif variance == "beta" or below == 0:
            sigma = math.sqrt(step.beta)
        else:
            sigma = kappa[below] * _signal(kappa[below]) * math.sqrt(1 - (kappa[below] / kappa[above]) ** 2)
        steps.append(_Step(above, below, kappa[above], kappa[below], sigma))
    return steps


def _guess(model: DDPM, xt: Tensor, step: _Step) -> Tensor:
    r""":math:`\hat x_0 = (x_t - \sqrt{1-\bar\alpha_t}\,\varepsilon_\theta)/\sqrt{\bar\alpha_t}`: one call."""
    return xt / _signal(step.kappa) - step.kappa * model.predict(xt, step.t)


@dataclass(frozen=True)
class _Observed:
    """An observation as tensors ``(D,)`` that fit the points."""

    value: Tensor
    variance: Tensor
    seen: Tensor
    exact: Tensor

    def log_likelihood(self, x0: Tensor, variance: float) -> Tensor:
        r""":math:`\log\mathcal N(y;\ x_0,\ k^2 + \text{variance})` of what was seen, ``(n,)``."""
        spread = self.variance + variance
        each = (self.value - x0).square() / spread + (2 * math.pi * spread).log()
        return -each.masked_fill(~self.seen, 0.0).sum(-1) / 2

    def product(self, mean: Tensor, variance: float) -> tuple[Tensor, Tensor]:
        r"""Mean and standard deviation of :math:`\mathcal N(x;\ \text{mean}, \text{variance})\,p(y \mid x)`."""
        share = (variance / (variance + self.variance)).masked_fill(~self.seen, 0.0)
        return mean + share * (self.value - mean), (variance * (1 - share)).sqrt()


def _observed(observation: Seen, like: Tensor) -> _Observed:
    check_kind("observation", observation, Seen)
    if len(observation.value) != like.shape[1]:
        many = len(observation.value)
        raise ValueError(f"observation must have as many coordinates as xT, {like.shape[1]}, got {many}")
    finite = observation.noise.masked_fill(~observation.is_seen, 1.0)
    return _Observed(
        observation.value.to(like.dtype).to(like.device),
        finite.square().to(like.dtype).to(like.device),
        observation.is_seen.to(like.device),
        observation.is_exact.to(like.device),
    )


def _check_start(xT: Tensor, generator: Generator | None) -> None:
    check_points("xT", xT)
    check_precise("xT", xT)
    check_finite("xT", xT)
    check_generator("generator", generator, xT.device)


# -- what is known, written over --------------------------------------------------------------------


@torch.no_grad()
def replacement(
    model: DDPM,
    xT: Tensor,
    observation: Seen,
    resamplings: int = 1,
    noised: bool = True,
    levels: Sequence[int] | None = None,
    generator: Generator | None = None,
) -> States:
    r"""Inpainting by writing what is known over what was drawn, after each step; yields ``(t, xt)``, falling, to t = 0.

    .. math:: x_{t-1} = M\bigl(\sqrt{\bar\alpha_{t-1}}\,y + \sqrt{1-\bar\alpha_{t-1}}\,z\bigr)
        + (I - M)\,x'_{t-1}, \qquad x'_{t-1} \sim p_\theta(x_{t-1} \mid x_t)

    with M the mask of what is known (Song et al. 2021, appendix I.2; Ho et al. 2022, equation 4, call it the
    replacement method). Sohl-Dickstein et al. 2015, section 2.5, write the clean y itself: ``noised=False``.

    With :math:`q(x_t \mid y)` at t it does not give :math:`q(x_{t-1} \mid y)`: the step never hears what was written
    before it was taken (Trippe et al. 2023). Going back up and down again, ``resamplings`` times in all at each level,
    lets it hear (Lugmayr et al. 2022, algorithm 1). It costs so many times the calls.

    Arguments:
        model: whose network is asked.
        xT: where to start, of shape ``(N, D)``, at the highest level: a draw from :math:`\mathcal N(0, I)`.
        observation: of which each coordinate is known exactly or was not seen.
        resamplings: how often each step but the last is taken.
        noised: whether what is known is written as noisy as the level is.
        levels: the t to visit, rising; all, if it is not said.
        generator: draws the noise, on the device of ``xT``.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: ``xT`` is not of shape ``(N, D)`` and finite, the observation has another D or a noise that is
            neither 0 nor infinite, ``resamplings`` < 1, or ``levels`` do not rise within 1, ..., T.

    >>> from diffusion_notes.schedule import Schedule
    >>> silent = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    >>> [t for t, x in replacement(silent, torch.zeros(1, 2), Seen((0.5, 0), (0, math.inf)), levels=[1, 5, 10])]
    [10, 5, 1, 0]
    """
    steps = _steps(model, levels)
    _check_start(xT, generator)
    resamplings = check_integer("resamplings", resamplings, least=1)
    check_kind("noised", noised, bool)
    known = _observed(observation, xT)
    if not bool((observation.is_exact | ~observation.is_seen).all()):
        raise ValueError(f"observation must have noise 0 or infinite in each coordinate, got {observation.noise}")

    def write(x: Tensor, kappa: float) -> Tensor:
        value = known.value
        if noised and kappa > 0:
            value = _signal(kappa) * (value + kappa * randn_like(x, generator))
        return torch.where(known.exact, value, x)

    x = write(xT, steps[0].kappa)
    yield steps[0].t, x
    for step in steps:
        for again in range(resamplings if step.s > 0 else 1):
            if again:
                x = step.up(x, generator)
            x = step.down(step.mean(x, _guess(model, x, step)), generator)
            x = write(x, step.kappa_s)
        yield step.s, x


# -- the steps times a factor -----------------------------------------------------------------------


@torch.no_grad()
def multiplied(
    model: DDPM,
    xT: Tensor,
    factor: Seen | Callable[[Tensor], Tensor],
    power: Power = "constant",
    levels: Sequence[int] | None = None,
    generator: Generator | None = None,
) -> States:
    r"""Steps multiplied by a factor r(x), as if every :math:`x_t` were clean; yields ``(t, xt)``, falling, to t = 0.

    .. math:: \tilde p(x_{t-1} \mid x_t) \propto p_\theta(x_{t-1} \mid x_t)\,r(x_{t-1})
        \approx \mathcal N\bigl(x_{t-1};\ \mu_\theta + \sigma_t^2\,\nabla\log r(\mu_\theta),\ \sigma_t^2 I\bigr)

    (Sohl-Dickstein et al. 2015, section 2.5.) A Gaussian r, the likelihood of an observation, is multiplied exactly.

    Arguments:
        model: whose network is asked.
        xT: draws from :math:`\mathcal N(0, I)`, of shape ``(N, D)``, which is multiplied too if r is Gaussian.
        factor: an observation, whose likelihood is r; or :math:`\log r`, that takes ``(N, D)`` and returns ``(N,)``.
        power: ``"constant"``, r at all levels, or ``"rising"``, :math:`r^{(T-t)/T}`: the two choices that they name.
        levels: the t to visit, rising; all, if it is not said.
        generator: draws the noise, on the device of ``xT``.

    Raises:
        TypeError, ValueError: as of :func:`replacement`, but for the noise of the observation; there is no such
            ``power``; or ``factor`` returns another shape.

    >>> from diffusion_notes.schedule import Schedule
    >>> silent = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    >>> [t for t, x in multiplied(silent, torch.zeros(1, 2), lambda x: -x.square().sum(-1), levels=[1, 10])]
    [10, 1, 0]
    """
    steps = _steps(model, levels)
    _check_start(xT, generator)
    check_choice("power", power, get_args(Power))
    check_kind("factor", factor, (Seen, Callable), "an observation, or callable as factor(x)")
    T = model.schedule.T

    def shifted(mean: Tensor, sigma: float, t: int) -> tuple[Tensor, Tensor | float]:
        """Mean and standard deviation of the product."""
        exponent = 1.0 if power == "constant" else (T - t) / T
        if isinstance(factor, Seen):
            r = _observed(factor, mean)
            # a Gaussian to a power is one with another variance; to the power 0 it is none
            if exponent > 0:
                return _Observed(r.value, r.variance / exponent, r.seen, r.exact).product(mean, sigma**2)
            return mean, sigma
        return mean + exponent * sigma**2 * _gradient(factor, mean), sigma

    x = xT
    if isinstance(factor, Seen):
        mean, std = shifted(torch.zeros_like(xT), 1.0, steps[0].t)
        x = mean + std * xT
    yield steps[0].t, x
    for step in steps:
        mean, std = shifted(step.mean(x, _guess(model, x, step)), step.sigma, step.s)
        x = mean + std * randn_like(mean, generator) if step.s > 0 else mean
        yield step.s, x


def _gradient(log_r: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = log_r(x)
        check_returned("factor", value, x.shape[:1])
        (gradient,) = torch.autograd.grad(value.sum(), x)
    return gradient


# -- denoising --------------------------------------------------------------------------------------


@torch.no_grad()
def enter(
    model: DDPM,
    y: Tensor,
    noise: float,
    levels: Sequence[int] | None = None,
    generator: Generator | None = None,
) -> States:
    r"""Zero-shot denoising: enter the chain where it is as noisy as the points are; yields ``(t, xt)``, to t = 0.

    A point :math:`y = x_0 + k\,n` with :math:`k = \kappa_t` is :math:`x_t/\sqrt{\bar\alpha_t}`, in law and not by an
    approximation, so that

    .. math:: q(x_0 \mid y) = q(x_0 \mid x_t = \sqrt{\bar\alpha_t}\,y),

    which is what the rest of the chain draws from (as DiffWave, Kong et al. 2021, does without being trained for it).
    Steps without fresh noise would give one point for each y, not a draw.

    Arguments:
        model: whose network is asked.
        y: noisy points, of shape ``(N, D)``, each with its own answer; repeat one for many draws.
        noise: k. The chain is entered at its :meth:`~diffusion_notes.schedule.Schedule.nearest` level; with
            :func:`~diffusion_notes.samplers.on_levels` a model can have one that is exactly k.
        levels: the t to visit, rising, all not above that one, which is the last; all of them, if it is not said.
        generator: draws the noise, on the device of ``y``.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: ``y`` is not of shape ``(N, D)`` and finite, ``noise`` not positive, or ``levels`` do not rise from
            1 on to the level that is entered.

    >>> from diffusion_notes.schedule import Schedule
    >>> silent = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    >>> [t for t, x in enter(silent, torch.zeros(1, 2), noise=0.05)]
    [2, 1, 0]
    """
    check_kind("model", model, DDPM)
    t = model.schedule.nearest(check_positive("noise", noise))
    steps = _steps(model, levels, highest=t)
    if steps[0].t != t:
        raise ValueError(f"levels must end at the one that is entered, {t}, got {describe(levels)}")
    check_points("y", y)
    check_precise("y", y)
    check_finite("y", y)
    check_generator("generator", generator, y.device)
    x = _signal(steps[0].kappa) * y
    yield t, x
    for step in steps:
        x = step.down(step.mean(x, _guess(model, x, step)), generator)
        yield step.s, x


def denoised(model: DDPM, y: Tensor, noise: float) -> Tensor:
    r"""The posterior mean, by one call: :math:`\mathbb E[x_0 \mid y] = y - k\,\mathbb E[\varepsilon \mid x_t]`.

    The best single answer in mean square, and for a posterior in several pieces no likely one. Arguments and errors as
    of :func:`enter`; of the shape of ``y``.

    >>> from diffusion_notes.schedule import Schedule
    >>> silent = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    >>> denoised(silent, torch.ones(1, 2), noise=0.05)
    tensor([[1., 1.]])
    """
    check_kind("model", model, DDPM)
    t = model.schedule.nearest(check_positive("noise", noise))
    check_points("y", y)
    check_finite("y", y)
    kappa = model.schedule.kappa[t].item()
    return y - kappa * model.predict(_signal(kappa) * y, t)


# -- the gradient of a guess ------------------------------------------------------------------------


def _spread(guess: Guess, kappa: float) -> float:
    r"""How far :math:`x_0` is taken to be from :math:`\hat x_0`, as a variance: 0, or :math:`1-\bar\alpha_t`."""
    return 0.0 if guess == "dps" else kappa**2 / (1 + kappa**2)


def _look(model: DDPM, xt: Tensor, step: _Step, seen: _Observed, variance: float) -> tuple[Tensor, Tensor, Tensor]:
    r""":math:`\hat x_0`, :math:`\log\tilde p(y \mid x_t)` and its gradient in :math:`x_t`: one call, and one back."""
    with torch.enable_grad():
        xt = xt.detach().requires_grad_()
        x0 = _guess(model, xt, step)
        log_likelihood = seen.log_likelihood(x0, variance)
        (gradient,) = torch.autograd.grad(log_likelihood.sum(), xt)
    return x0.detach(), log_likelihood.detach(), gradient


@torch.no_grad()
def gradient_guidance(
    model: DDPM,
    xT: Tensor,
    observation: Seen,
    guess: Guess = "pigdm",
    step_size: float | None = None,
    levels: Sequence[int] | None = None,
    generator: Generator | None = None,
) -> States:
    r"""Steps that follow the gradient of a guess at :math:`p(y \mid x_t)`; yields ``(t, xt)``, falling, to t = 0.

    .. math:: p(y \mid x_t) \approx \mathcal N\bigl(y;\ \hat x_0(x_t),\ k^2 I + r_t^2 I\bigr)

    With :math:`r_t = 0` it is diffusion posterior sampling, ``"dps"`` (Chung et al. 2023): all of :math:`x_0` is taken
    to be where the guess is. With :math:`r_t^2 = \kappa_t^2/(1+\kappa_t^2) = 1-\bar\alpha_t` it is pseudoinverse
    guidance, ``"pigdm"`` (Song et al. 2023): the variance of :math:`x_0` given :math:`x_t` that standard normal data
    would have. The score of the step is the model's plus this gradient,

    .. math:: x_s = \text{step} + \frac{\beta}{\sqrt\alpha}\,\nabla_{x_t}\log\tilde p(y \mid x_t),

    with :math:`\alpha = \bar\alpha_t/\bar\alpha_s = 1 - \beta`. The likelihood of DPS grows without limit where k is
    small, so its authors take a step of another length instead (their algorithm 1):
    :math:`x_s = \text{step} - \zeta'\,\nabla_{x_t}\lVert y-\hat x_0\rVert^2 / \lVert y-\hat x_0\rVert`.

    Arguments:
        model: whose network is asked, and differentiated.
        xT: where to start, of shape ``(N, D)``, at the highest level: a draw from :math:`\mathcal N(0, I)`.
        observation: y and k. In the end what is known exactly is written over, and nothing else.
        guess: ``"dps"`` or ``"pigdm"``.
        step_size: :math:`\zeta'`, for DPS with the step of its authors; without it, the score's.
        levels: the t to visit, rising; all, if it is not said.
        generator: draws the noise, on the device of ``xT``.

    Raises:
        TypeError, ValueError: as of :func:`replacement`, but for the noise of the observation; there is no such
            ``guess``; ``step_size`` is not positive, or given with ``"pigdm"``; or a coordinate is known exactly, and
            the guess is DPS without a step size: its likelihood would be infinite.

    >>> from diffusion_notes.schedule import Schedule
    >>> silent = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    >>> [t for t, x in gradient_guidance(silent, torch.zeros(1, 1), Seen([1.0], [0.5]), levels=[1, 10])]
    [10, 1, 0]
    """
    steps = _steps(model, levels)
    _check_start(xT, generator)
    check_choice("guess", guess, get_args(Guess))
    seen = _observed(observation, xT)
    if step_size is not None:
        step_size = check_positive("step_size", step_size)
        if guess != "dps":
            raise ValueError(f"step_size must be None with the guess {guess!r}, got {step_size}")
    elif guess == "dps" and bool(observation.is_exact.any()):
        raise ValueError(f"step_size must be given where the noise of an observation is 0, got {step_size}")
    x = xT
    yield steps[0].t, x
    for step in steps:
        if step_size is None:
            x0, _, gradient = _look(model, x, step, seen, _spread(guess, step.kappa))
            shift = step.beta / math.sqrt(step.alpha) * gradient
        else:
            x0, gradient = _look_far(model, x, step, seen)
            shift = -step_size * gradient
        x = step.down(step.mean(x, x0) + shift, generator)
        if step.s == 0:
            x = torch.where(seen.exact, seen.value, x)
        yield step.s, x


def _look_far(model: DDPM, xt: Tensor, step: _Step, seen: _Observed) -> tuple[Tensor, Tensor]:
    r""":math:`\hat x_0`, and the gradient of :math:`\lVert y-\hat x_0\rVert^2` in :math:`x_t`, over that norm."""
    with torch.enable_grad():
        xt = xt.detach().requires_grad_()
        x0 = _guess(model, xt, step)
        away = (seen.value - x0).masked_fill(~seen.seen, 0.0)
        (gradient,) = torch.autograd.grad(away.square().sum(), xt)
    distance = away.detach().norm(dim=-1, keepdim=True)
    return x0.detach(), gradient / distance.clamp(min=torch.finfo(xt.dtype).tiny)


# -- particles --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Particles:
    r"""Where N particles are at level t, and what they weigh.

    Attributes:
        t: the level; 0 at the end.
        x: the particles, of shape ``(N, D)``, equally weighted at t = 0.
        log_weight: the logarithm of the weight of each, ``(N,)``; the weights add up to 1.
        effective: the effective sample size :math:`1/\sum_i W_i^2` before any resampling, a tensor without axes.
        log_evidence: of what was passed so far; at t = 0 that of :math:`\log p_\theta(y)`, in nats, a tensor without
            axes. The evidence itself is estimated without bias, its logarithm is not.
    """

    t: int
    x: Tensor
    log_weight: Tensor
    effective: Tensor
    log_evidence: Tensor


@torch.no_grad()
def particles(
    model: DDPM,
    xT: Tensor,
    observation: Seen,
    twisted: bool = True,
    resample_below: float = 0.5,
    levels: Sequence[int] | None = None,
    generator: Generator | None = None,
) -> Iterator[Particles]:
    r"""Sequential Monte Carlo: exact for the model with infinitely many particles; yields :class:`Particles`, to t = 0.

    With a guess :math:`\tilde p(y \mid x_t)`, that of ΠGDM, particles are moved and weighed by

    .. math:: x_{t-1} \sim \tilde p(x_{t-1} \mid x_t, y), \qquad
        w = \frac{p_\theta(x_{t-1} \mid x_t)\,\tilde p(y \mid x_{t-1})}
            {\tilde p(x_{t-1} \mid x_t, y)\,\tilde p(y \mid x_t)} .

    In the product of all weights the guesses cancel, but for the last, and that is the likelihood itself: whatever the
    guess and the proposal, what is sampled is :math:`p_\theta(x_{0:T} \mid y)`. Twisted, the proposal is the step of
    :func:`gradient_guidance` (Wu et al. 2023); otherwise it is the model's own, a bootstrap filter. Particles are
    resampled systematically when their effective number is less than a share of them, and at the end. The last step is
    the product of :math:`\mathcal N(\hat x_0, \sigma_1^2 I)` and the likelihood, drawn from exactly.

    Arguments:
        model: whose network is asked, and differentiated, once at each level for each particle.
        xT: draws from :math:`\mathcal N(0, I)`, of shape ``(N, D)``, a particle each.
        observation: y and k.
        twisted: whether the proposal knows the observation.
        resample_below: the share, in [0, 1].
        levels: the t to visit, rising; all, if it is not said.
        generator: draws the noise, on the device of ``xT``.

    Raises:
        TypeError, ValueError: as of :func:`replacement`, but for the noise of the observation; there is no particle; or
            ``resample_below`` lies outside [0, 1].

    >>> from diffusion_notes.schedule import Schedule
    >>> silent = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    >>> [each.t for each in particles(silent, torch.randn(8, 1), Seen([1.0], [0.5]), levels=[1, 5, 10])]
    [10, 5, 1, 0]
    """
    steps = _steps(model, levels)
    _check_start(xT, generator)
    check_points("xT", xT, least=1)
    check_kind("twisted", twisted, bool)
    resample_below = check_number("resample_below", resample_below, 0, 1)
    seen = _observed(observation, xT)
    n = len(xT)

    def look(x: Tensor, step: _Step) -> tuple[Tensor, Tensor, Tensor]:
        return _look(model, x, step, seen, _spread("pigdm", step.kappa))

    x = xT
    x0, guess, gradient = look(x, steps[0])
    log_weight, evidence = _weighed(torch.full_like(guess, -math.log(n)), guess)
    for step, below in zip(steps, [*steps[1:], None], strict=True):
        effective = _effective(log_weight)
        yield Particles(step.t, x, log_weight, effective, evidence)
        chosen, log_weight = _resampled(log_weight, effective < resample_below * n, generator)
        x, x0, guess, gradient = x[chosen], x0[chosen], guess[chosen], gradient[chosen]
        mean = step.mean(x, x0)
        if below is None:
            increment = seen.log_likelihood(mean, step.sigma**2) - guess
            mean, std = seen.product(mean, step.sigma**2)
            x = mean + std * randn_like(mean, generator)
        else:
            shift = step.beta / math.sqrt(step.alpha) * gradient if twisted else torch.zeros_like(x)
            noise = randn_like(mean, generator)
            x = mean + shift + step.sigma * noise
            # log p(x_s|x_t) - log of the proposal: two Gaussians of one variance
            away = noise + shift / step.sigma
            proposal = (noise.square() - away.square()).sum(-1) / 2
            x0, now, gradient = look(x, below)
            increment = proposal + now - guess
            guess = now
        log_weight, more = _weighed(log_weight, increment)
        evidence = evidence + more
    effective = _effective(log_weight)
    chosen, log_weight = _resampled(log_weight, torch.ones_like(effective, dtype=torch.bool), generator)
    yield Particles(0, x[chosen], log_weight, effective, evidence)


def _weighed(log_weight: Tensor, increment: Tensor) -> tuple[Tensor, Tensor]:
    """The weights times an increment, adding up to 1, and the logarithm of what they added up to."""
    product = log_weight + increment
    return product.log_softmax(0), product.logsumexp(0)


def _effective(log_weight: Tensor) -> Tensor:
    return (-(2 * log_weight).logsumexp(0)).exp()


def _resampled(log_weight: Tensor, needed: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
    """Which particles go on, systematically drawn, and their weights; all as they are unless that is needed.

    Which of the two is decided on the device: nothing here waits for it.
    """
    n = len(log_weight)
    place = torch.arange(n, device=log_weight.device)
    u = torch.rand(1, generator=generator, device=log_weight.device, dtype=log_weight.dtype)
    rising = log_weight.exp().cumsum(0)
    drawn = torch.searchsorted(rising, (place + u) / n * rising[-1], right=True).clamp(max=n - 1)
    equal = torch.full_like(log_weight, -math.log(n))
    return torch.where(needed, drawn, place), torch.where(needed, equal, log_weight)
