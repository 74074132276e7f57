r"""Fewer steps: another q for the same p, the ODE in its limit, and samplers that visit few levels.

DDIM (Song, Meng and Ermon 2021) keeps the network and what it is trained on, and takes another inference model. It
starts at the top and comes down, and every step has seen the data:

.. math::
    q_\sigma(x_{1:T} \mid x_0) = q(x_T \mid x_0) \prod_{t=2}^{T} q_\sigma(x_{t-1} \mid x_t, x_0), \qquad
    q_\sigma(x_{t-1} \mid x_t, x_0) = \mathcal N\Bigl(\sqrt{\bar\alpha_{t-1}}\,x_0
        + \sqrt{1-\bar\alpha_{t-1}-\sigma_t^2}\;\frac{x_t-\sqrt{\bar\alpha_t}\,x_0}{\sqrt{1-\bar\alpha_t}},\
        \sigma_t^2 I\Bigr)

(their equations 6 and 7), with :math:`\sigma_t = \eta\sqrt{\tilde\beta_t}`. Whatever :math:`\eta` is, all
:math:`q(x_t \mid x_0)` are those of the forward process, so the same noise has to be predicted. :class:`DDIM` is that
chain, and its bound is that of any other.

Without noise, :math:`\eta = 0`, a step of DDIM is a step of Euler for an ordinary differential equation. In the
variables

.. math::
    y = \frac{x_t}{\sqrt{\bar\alpha_t}} = x_0 + \kappa_t\,\varepsilon, \qquad
    \kappa_t = \sqrt{\frac{1-\bar\alpha_t}{\bar\alpha_t}} \qquad\text{it is}\qquad
    \frac{dy}{d\kappa} = \varepsilon_\theta(x_t, t)

(their section 4.3). :math:`\kappa` is what Karras et al. 2022 call :math:`\sigma`. All samplers here walk in these
variables, from one level of the schedule to any lower one, and count the calls of the network.

Data that are clean data c and noise of standard deviation s can be walked to in a variable of their own. With

.. math::
    y = c + \tilde\kappa_t\,\tilde\varepsilon, \qquad \tilde\kappa_t = \sqrt{\kappa_t^2 + s^2}
    \qquad\text{the same equation is}\qquad
    \frac{dy}{d\tilde\kappa} = \frac{\tilde\kappa_t}{\kappa_t}\,\varepsilon_\theta(x_t, t)
        \approx \frac{y - \mathbb E[c \mid y]}{\tilde\kappa_t},

and the walk ends at :math:`\tilde\kappa = s`, where nothing is singular, and not at :math:`\kappa = 0`. Whatever s is,
the equation has the same solutions; steps of finite length are better where s is right.
"""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, cast, get_args

import torch
from torch import Generator, Tensor
from torch.distributions import Independent

from diffusion_notes._arguments.levels import checked_table
from diffusion_notes._arguments.tensors import (
    check_alike,
    check_finite,
    check_generator,
    check_has_values,
    check_last_axis,
    check_points,
    check_precise,
    check_same_dtype_and_device,
    check_tensor,
)
from diffusion_notes._arguments.values import (
    check_choice,
    check_integer,
    check_kind,
    check_number,
    check_positive,
    describe,
)
from diffusion_notes.data import KnownDistribution
from diffusion_notes.ddpm import DDPM, Variance
from diffusion_notes.diffusion import ForwardProcess
from diffusion_notes.distributions import gaussian, randn_like, standard_normal
from diffusion_notes.parameterisations import Prediction
from diffusion_notes.schedule import DeviceTables, Schedule, best_schedule

__all__ = [
    "DDIM",
    "DDIMProcess",
    "ExactNoise",
    "best_levels",
    "choose_levels",
    "karras_levels",
    "on_levels",
    "sample",
    "start",
    "walk",
]

Method = Literal["ddim", "ancestral", "heun", "dpmpp_2m", "dpmpp_3m"]
Spacing = Literal["uniform", "log_snr", "karras"]
Last = Literal["jump", "half"]


@dataclass(frozen=True, eq=False)
class DDIMProcess:
    r"""The inference model :math:`q_\sigma` of DDIM, which is walked from the top.

    Arguments:
        schedule: the variances of the forward process whose marginals it has.
        eta: :math:`\eta` in (0, 1]. With 1 the posteriors too are those of the forward process; with 0 they would be no
            densities.

    Raises:
        TypeError: ``schedule`` is no Schedule, or ``eta`` no number.
        ValueError: ``eta`` does not lie in (0, 1].

    Shapes are as in :class:`~diffusion_notes.diffusion.ForwardProcess`. Values of points are not checked, because this
    is called inside loops.

    >>> q = DDIMProcess(Schedule.linear(T=1000), eta=0.5)
    >>> x = torch.ones(5, 2)
    >>> q.posterior(x, x, t=1000).mean.shape
    torch.Size([5, 2])
    """

    schedule: Schedule
    eta: float
    tables: DeviceTables = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_kind("schedule", self.schedule, Schedule)
        object.__setattr__(self, "eta", check_positive("eta", check_number("eta", self.eta, 0, 1)))
        object.__setattr__(self, "tables", DeviceTables(functools.partial(getattr, self)))

    @property
    def sigma(self) -> Tensor:
        r"""The table of :math:`\sigma_t = \eta\sqrt{\tilde\beta_t}`, T + 1 values.

        But for t = 1, where the data are given and p alone has a variance, it is :math:`\sqrt{\beta_1}`, as in
        :class:`~diffusion_notes.ddpm.DDPM`.
        """
        sigma = self.eta * self.schedule.beta_tilde.sqrt()
        sigma[1] = self.schedule.beta[1].sqrt()
        return sigma

    @property
    def from_x0(self) -> Tensor:
        r"""What :math:`x_0` counts in the mean of :math:`q_\sigma(x_{t-1} \mid x_t, x_0)`; 1 at t = 1, 0 for t = 0."""
        signal = self.schedule.sqrt_alpha_bar
        return torch.cat((signal.new_zeros(1), signal[:-1] - self.from_xt[1:] * signal[1:]))

    @property
    def from_xt(self) -> Tensor:
        r"""What :math:`x_t` does: :math:`\sqrt{(1-\bar\alpha_{t-1}-\sigma_t^2)/(1-\bar\alpha_t)}`; 0 at t = 1."""
        noise = self.schedule.one_minus_alpha_bar
        # 1 - alpha_bar[t-1] - sigma[t]**2, without the rounding of a difference
        kept = noise[:-1] * (1 - self.eta**2 * self.schedule.beta[1:] / noise[1:])
        return torch.cat((noise.new_zeros(1), (kept / noise[1:]).sqrt()))

    def mean(self, xt: Tensor, x0: Tensor, t: int | Tensor) -> Tensor:
        r"""The mean of :math:`q_\sigma(x_{t-1} \mid x_t, x_0)`, for t from 1 to T; for t = 1 it is :math:`x_0`."""
        check_last_axis("xt", xt)
        check_alike("x0", x0, "xt", xt)
        self.schedule.check_t(t, xt)
        return self.tables.at("from_x0", t, xt) * x0 + self.tables.at("from_xt", t, xt) * xt

    def marginal(self, x0: Tensor, t: int | Tensor) -> Independent:
        r""":math:`q(x_t \mid x_0)`, for t from 1 to T: that of the forward process, whatever :math:`\eta` is.

        Song, Meng and Ermon 2021, lemma 1.
        """
        return ForwardProcess(self.schedule).marginal(x0, t)

    def posterior(self, xt: Tensor, x0: Tensor, t: int | Tensor) -> Independent:
        r""":math:`q_\sigma(x_{t-1} \mid x_t, x_0)`, for t from 2 to T."""
        check_last_axis("xt", xt)
        self.schedule.check_t(t, xt, least=2)
        return gaussian(self.mean(xt, x0, t), self.tables.at("sigma", t, xt))


@dataclass(frozen=True, eq=False)
class DDIM:
    r"""The chain of DDIM: the p of a DDPM with other variances, and :class:`DDIMProcess` for q.

    .. math::
        p_\theta(x_{t-1} \mid x_t) = q_\sigma(x_{t-1} \mid x_t, \hat x_0), \qquad
        p_\theta(x_0 \mid x_1) = \mathcal N(\hat x_0, \beta_1 I), \qquad
        \hat x_0 = \frac{x_t - \sqrt{1-\bar\alpha_t}\,\varepsilon_\theta(x_t, t)}{\sqrt{\bar\alpha_t}}

    (Song, Meng and Ermon 2021, equations 9 and 10). It is a
    :class:`~diffusion_notes.chains.protocol.TopDownChain` and a
    :class:`~diffusion_notes.diffusion.DiffusionChain`, so :func:`~diffusion_notes.chains.protocol.elbo` and
    :func:`~diffusion_notes.diffusion.bound_terms` give its bound, in nats. With :math:`\eta = 1` that is the bound of
    DDPM with :math:`\sigma_t^2 = \tilde\beta_t`.

    Arguments:
        model: whose network and schedule are used; not its variances.
        eta: :math:`\eta` in (0, 1].

    Raises:
        TypeError: ``model`` is no DDPM, or ``eta`` no number.
        ValueError: ``eta`` does not lie in (0, 1].

    Values of points are not checked, because this is called inside loops.

    >>> from diffusion_notes.chains import elbo
    >>> silent = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    >>> elbo(DDIM(silent, eta=0.5), torch.zeros(5, 2)).terms.shape
    torch.Size([11, 5])
    """

    model: DDPM
    eta: float
    q: DDIMProcess = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_kind("model", self.model, DDPM)
        object.__setattr__(self, "q", DDIMProcess(self.model.schedule, self.eta))
        object.__setattr__(self, "eta", self.q.eta)

    @property
    def length(self) -> int:
        """T, the number of latents."""
        return self.model.schedule.T

    @property
    def weight(self) -> Tensor:
        r"""The table of :math:`w_t`, with which the error of the noise counts in the bound, T + 1 values in float64.

        For t > 1, :math:`L_{t-1} = w_t\,\mathbb E\lVert\varepsilon - \varepsilon_\theta\rVert^2`, and :math:`w_0 := 0`.

        .. math:: w_t = \frac{1}{2\sigma_t^2} \Bigl(\sqrt{\frac{\bar\alpha_{t-1}(1-\bar\alpha_t)}{\bar\alpha_t}}
            - \sqrt{1-\bar\alpha_{t-1}-\sigma_t^2}\Bigr)^2

        So :math:`\eta` changes the weights of the objective and nothing else (Song, Meng and Ermon 2021, theorem 1).
        :math:`L_0` has the same first term, and :math:`\tfrac D2\log 2\pi\beta_1` for a constant.
        """
        weight = (self.q.from_x0 * self.model.schedule.kappa).square()
        weight[1:] /= 2 * self.q.sigma[1:].square()
        return weight

    def prior(self, like: Tensor) -> Independent:
        r""":math:`p(x_T) = \mathcal N(0, I)`, for as many points as ``like`` has."""
        return standard_normal(like)

    def infer_last(self, x: Tensor) -> Independent:
        r""":math:`q(x_T \mid x_0 = x)`."""
        check_last_axis("x", x)
        return self.q.marginal(x, self.length)

    def infer_below(self, z: Tensor, x: Tensor, i: int) -> Independent:
        r""":math:`q_\sigma(x_{i-1} \mid x_i = z, x_0 = x)`, for i from 2 to T."""
        check_last_axis("z", z)
        check_alike("x", x, "z", z)
        i = check_integer("i", i, least=2, most=self.length)
        return self.q.posterior(z, x, i)

    def generate(self, z: Tensor, i: int) -> Independent:
        r""":math:`p_\theta(x_{i-1} \mid x_i = z)`, as :meth:`step`."""
        check_last_axis("z", z)
        return self.step(z, check_integer("i", i, least=1, most=self.length))

    def step(self, xt: Tensor, t: int | Tensor) -> Independent:
        r""":math:`p_\theta(x_{t-1} \mid x_t)`, for t from 1 to T; shapes as of DDPM's step."""
        noise = self.model.predict(xt, t)
        x0 = Prediction(self.model.schedule, xt, t, noise).x0
        return gaussian(self.q.mean(xt, x0, t), self.q.tables.at("sigma", t, xt))


@dataclass(frozen=True, eq=False)
class ExactNoise:
    r"""What a perfect network predicts: the score of known data, times a factor.

    .. math:: \mathbb E[\varepsilon \mid x_t] = -\sqrt{1-\bar\alpha_t}\,\nabla\log q(x_t)

    Values are not checked, because this is called inside loops.

    Arguments:
        data: a distribution that is known at every noise level.
        schedule: whose t is meant.

    Raises:
        TypeError: an argument is of another kind.

    >>> from diffusion_notes.data import Clusters
    >>> exact = ExactNoise(Clusters(), Schedule.linear(T=10))
    >>> DDPM(exact, exact.schedule).sample(torch.randn(5, 2)).shape
    torch.Size([5, 2])
    """

    data: KnownDistribution
    schedule: Schedule

    def __post_init__(self) -> None:
        check_kind("data", self.data, KnownDistribution, "known at every noise level")
        check_kind("schedule", self.schedule, Schedule)

    def __call__(self, xt: Tensor, t: int | Tensor) -> Tensor:
        """The prediction for ``xt`` of shape ``(..., 2)``; ``t`` is an integer or a tensor of shape ``(...)``."""
        level: Any  # data may know one level at a time, or many
        if isinstance(t, Tensor):
            level = self.schedule.at("alpha_bar", t, xt.new_empty(0, dtype=torch.float64)).squeeze(-1)
        else:
            level = self.schedule.alpha_bar[t].item()
        return -self.schedule.at("sqrt_one_minus_alpha_bar", t, xt) * self.data.diffuse(level).score(xt)

    def on(self, schedule: Schedule) -> ExactNoise:
        """The same at the levels of another schedule."""
        return ExactNoise(self.data, schedule)


def karras_levels(count: int, smallest: float, largest: float, rho: float = 7.0) -> Tensor:
    r"""``count`` levels :math:`\kappa`, rising, evenly spaced in :math:`\kappa^{1/\rho}`; float64.

    Karras et al. 2022, equation 5. With a large :math:`\rho` they are evenly spaced in :math:`\log\kappa`.

    Raises:
        TypeError: an argument is no number.
        ValueError: ``count`` < 1, a number is not positive and finite, or ``smallest`` is not below ``largest``.

    >>> karras_levels(3, smallest=1, largest=9, rho=2)
    tensor([1., 4., 9.], dtype=torch.float64)
    """
    count = check_integer("count", count, least=1)
    smallest = check_positive("smallest", smallest)
    largest = check_positive("largest", largest)
    rho = check_positive("rho", rho)
    if smallest >= largest:
        raise ValueError(f"smallest must be below largest, got {smallest} and {largest}")
    # a single level is the largest: samplers begin there
    place = torch.linspace(1, 0, count, dtype=torch.float64, device="cpu").flip(0)
    return (smallest ** (1 / rho) * (1 - place) + largest ** (1 / rho) * place) ** rho


def choose_levels(
    schedule: Schedule,
    count: int,
    spacing: Spacing = "uniform",
    lowest: int = 1,
    highest: int | None = None,
    rho: float = 7.0,
    data_noise: float = 0.0,
) -> list[int]:
    r"""``count`` of the steps t of a schedule, rising, the first ``lowest`` and the last ``highest``.

    A single one is the highest. What does not fall on a step is taken to the nearest in :math:`\log\kappa_t`, and where
    two would fall on one, to its neighbours.

    Arguments:
        schedule: whose t is meant.
        count: how many, from 1 to the number of steps that there are.
        spacing: ``"uniform"`` in t, ``"log_snr"``, evenly in log signal-to-noise ratio, or ``"karras"``, as
            :func:`karras_levels`.
        lowest: the step from which a sampler jumps to the data.
        highest: the step at which it starts; T if it is not said.
        rho: of Karras's spacing.
        data_noise: s, for a walk in :math:`\tilde\kappa = \sqrt{\kappa^2 + s^2}`, with a spacing other than
            ``"uniform"``. It is :math:`\tilde\kappa` that is then evenly spaced, and the data are one level more, at
            :math:`\tilde\kappa = s`; no step is below ``lowest``.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: there is no such spacing, or no so many steps, or not 1 ≤ ``lowest`` ≤ ``highest`` ≤ T; or
            ``data_noise`` is negative, or not 0 where the spacing is uniform.

    >>> choose_levels(Schedule.linear(T=1000), 4)
    [1, 334, 667, 1000]
    >>> choose_levels(Schedule.linear(T=1000), 4, "log_snr")
    [1, 74, 604, 1000]
    >>> choose_levels(Schedule.linear(T=1000), 4, "log_snr", highest=300, data_noise=0.05)
    [27, 72, 159, 300]
    """
    check_kind("schedule", schedule, Schedule)
    check_choice("spacing", spacing, get_args(Spacing))
    highest = schedule.T if highest is None else check_integer("highest", highest, least=1, most=schedule.T)
    lowest = check_integer("lowest", lowest, least=1, most=highest)
    count = check_integer("count", count, least=1, most=highest - lowest + 1)
    rho = check_positive("rho", rho)
    data_noise = _checked_noise(data_noise)
    if data_noise > 0 and spacing == "uniform":
        raise ValueError(f"data_noise must be 0 with the spacing 'uniform', got {data_noise}")
    if count == 1:
        return [highest]
    if spacing == "uniform":
        step = (highest - lowest) / (count - 1)
        wanted = [round(lowest + k * step) for k in range(count)]
    else:
        power = math.inf if spacing == "log_snr" else rho
        log_kappa = -schedule.log_snr[1:] / 2
        first = log_kappa[lowest - 1].item()
        last = log_kappa[highest - 1].item()
        if data_noise > 0:
            kappa_tilde = math.hypot(math.exp(last), data_noise)
            above = _evenly(count + 1, math.log(data_noise), math.log(kappa_tilde), power).exp()[1:]
            sought = (above.square() - data_noise**2).clamp(min=math.exp(2 * first)).log() / 2
        else:
            sought = _evenly(count, first, last, power)
        wanted = (1 + (sought[:, None] - log_kappa).abs().argmin(1)).tolist()
    return _apart(wanted, highest)


def _evenly(count: int, first: float, last: float, rho: float) -> Tensor:
    """Logarithms of levels, rising between two, even in the level to the power of 1 / rho or, if that is 0, even."""
    if rho == math.inf:
        return torch.linspace(first, last, count, dtype=torch.float64, device="cpu")
    return karras_levels(count, math.exp(first), math.exp(last), rho).log()


def _checked_noise(data_noise: float) -> float:
    """The standard deviation of the data's own noise, or 0."""
    data_noise = check_number("data_noise", data_noise)
    return check_positive("data_noise", data_noise) if data_noise else 0.0


def _apart(t: list[int], highest: int) -> list[int]:
    """The same, but each at least one above the one before, and none above the highest."""
    for k in range(1, len(t)):
        t[k] = max(t[k], t[k - 1] + 1)
    return [min(each, highest - (len(t) - 1 - k)) for k, each in enumerate(t)]


def best_levels(schedule: Schedule, mmses: Tensor, count: int, second_moment: float | None = None) -> list[int]:
    """The ``count`` steps t of a schedule, rising, with which the bound of ancestral sampling is best.

    It is :func:`~diffusion_notes.schedule.best_schedule`, which may choose among all steps of this one: best for steps
    with noise, whose variances are the best ones too. For the ODE, no theory says so.

    Arguments:
        schedule: whose t is meant.
        mmses: a table of :func:`~diffusion_notes.schedule.mmse` at each t, T + 1 values of which the first is not used.
        count: how many.
        second_moment: as there: the highest step is then chosen too; without it, it is T.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: ``mmses`` has not T + 1 values, positive and finite from t = 1 on; ``count`` is less than 1 or more
            than T; or ``second_moment`` is not positive.

    >>> from diffusion_notes.data import Clusters
    >>> from diffusion_notes.schedule import mmse
    >>> schedule = Schedule.linear(T=10, beta_1=0.01, beta_T=0.9)
    >>> best_levels(schedule, torch.cat((torch.ones(1), mmse(Clusters(), schedule.alpha_bar[1:]))), 4)
    [1, 2, 3, 10]
    """
    check_kind("schedule", schedule, Schedule)
    mmses = checked_table("mmses", mmses, schedule.T + 1)
    count = check_integer("count", count, least=1, most=schedule.T)
    best, _ = best_schedule(schedule.alpha_bar[1:], mmses[1:], count, second_moment)
    rising = schedule.one_minus_alpha_bar[1:].contiguous()
    t = torch.searchsorted(rising, best.one_minus_alpha_bar[1:] * (1 - 1e-9)) + 1
    return t.tolist()


def on_levels(model: DDPM, kappa: Tensor) -> DDPM:
    r"""The same model with other noise levels: its t counts the given :math:`\kappa`, and its T is how many there are.

    For samplers that are not bound to the steps of the training, and for the bound of a chain of so many layers.

    Arguments:
        model: its network must have a method ``on(schedule)``, as :class:`~diffusion_notes.networks.NoiseMLP` and
            :class:`ExactNoise` have, and its variance a name.
        kappa: the levels, rising and positive.

    Raises:
        TypeError: ``model`` is no DDPM, its network is bound to its schedule, or ``kappa`` is no floating-point tensor.
        ValueError: ``kappa`` does not rise, or is not positive and finite; or the variance of ``model`` is a table.

    >>> from diffusion_notes.data import Clusters
    >>> exact = ExactNoise(Clusters(), Schedule.linear(T=1000))
    >>> on_levels(DDPM(exact, exact.schedule), torch.tensor([0.1, 1.0, 10.0])).schedule.alpha_bar[1:]
    tensor([0.9901, 0.5000, 0.0099], dtype=torch.float64)
    """
    check_kind("model", model, DDPM)
    check_tensor("kappa", kappa)
    check_has_values("kappa", kappa)
    table = kappa.detach().to("cpu").double()
    if table.dim() != 1 or not len(table) or not bool(((table > 0) & (table < math.inf)).all()):
        raise ValueError(f"kappa must be positive numbers, got {describe(kappa)}")
    if not bool((table.diff() > 0).all()):
        raise ValueError(f"kappa must rise, got {describe(kappa)}")
    if not isinstance(model.variance, str):
        raise ValueError(f"model must have a variance with a name, got {describe(model.variance)}")
    if not hasattr(model.network, "on"):
        raise TypeError(f"model must have a network with on(schedule), got {describe(model.network)}")
    schedule = Schedule.through(1 / (1 + table.square()))
    return DDPM(model.network.on(schedule), schedule, cast(Variance, model.variance))


def start(
    schedule: Schedule,
    like: Tensor,
    points: Tensor | None = None,
    t: int | None = None,
    generator: Generator | None = None,
) -> Tensor:
    r"""Draws to start from at level t: as many, on the device and in the dtype, as ``like`` has.

    From :math:`\mathcal N(0, I)`, or, if there are ``points`` of the data, from the Gaussian that has the mean and the
    covariance of :math:`q(x_t)`,

    .. math:: \mathcal N\bigl(\sqrt{\bar\alpha_t}\,m,\ \bar\alpha_t C + (1-\bar\alpha_t) I\bigr),

    with m and C those of the points.

    Arguments:
        schedule: whose t is meant.
        like: of shape ``(n, D)``; its values do not matter.
        points: at least two, of shape ``(m, D)``, like ``like`` in dtype and device.
        t: T, if it is not said.
        generator: draws, on the device of ``like``.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> start(Schedule.linear(T=10), torch.empty(5, 2), points=torch.randn(20, 2)).shape
    torch.Size([5, 2])
    """
    check_kind("schedule", schedule, Schedule)
    check_points("like", like)
    check_precise("like", like)
    t = schedule.T if t is None else check_integer("t", t, least=1, most=schedule.T)
    noise = randn_like(like, generator)
    if points is None:
        return noise
    check_points("points", points, dim=like.shape[1], least=2, finite=True)
    check_same_dtype_and_device("points", points, "like", like)
    mean = points.mean(0)
    covariance = (points - mean).T @ (points - mean) / len(points)
    unit = torch.eye(len(mean), dtype=like.dtype, device=like.device)
    spread = schedule.at("alpha_bar", t, like) * covariance + schedule.at("one_minus_alpha_bar", t, like) * unit
    root, _ = torch.linalg.cholesky_ex(spread)  # which does not look whether it is one
    return schedule.at("sqrt_alpha_bar", t, like) * mean + noise @ root.T


@dataclass(frozen=True)
class _Level:
    r"""A level that a sampler visits.

    Attributes:
        t: 0 for the data.
        kappa: :math:`\kappa_t`.
        scale: :math:`\tilde\kappa_t = \sqrt{\kappa_t^2 + s^2}`, with s the data's own noise.
    """

    t: int
    kappa: float
    scale: float

    @property
    def signal(self) -> float:
        r""":math:`\sqrt{\bar\alpha_t}`."""
        return 1 / math.sqrt(1 + self.kappa**2)


_Predict = Callable[[Tensor, _Level], Tensor]
_Noise = Callable[[_Level, _Level], tuple[float, float]]


@torch.no_grad()
def walk(
    model: DDPM,
    xT: Tensor,
    method: Method = "ddim",
    calls: int = 16,
    eta: float = 0.0,
    levels: Spacing | Sequence[int] = "uniform",
    last: Last = "jump",
    generator: Generator | None = None,
    data_noise: float = 0.0,
) -> Iterator[tuple[int, Tensor]]:
    r"""Sample with few calls of the network: yields ``(t, xt)`` for the t that are visited, falling, and for t = 0.

    Arguments:
        model: whose network is asked.
        xT: where to start, of shape ``(N, D)``, at the highest level: usually a draw of :func:`start`.
        method: ``"ddim"``, with the noise of ``eta``; ``"ancestral"``, the steps of DDPM between the levels that are
            visited, with the variance that ``model`` names, :math:`\beta` or :math:`\tilde\beta`; ``"heun"``, Heun's
            method of order 2 (Karras et al. 2022, algorithm 1); ``"dpmpp_2m"``, DPM-Solver++(2M) (Lu et al. 2022,
            algorithm 2); or ``"dpmpp_3m"``, that looks back two calls, as the multistep solver of diffusers with
            ``solver_order=3`` does.
        calls: how often the network is called. At each level once, but by Heun's method twice, once at the lowest, and
            once at the highest if ``calls`` is even: it then visits ``calls // 2 + 1`` levels.
        eta: in [0, 1]; of ``"ddim"`` alone, the others take 0.
        levels: the t to visit: a spacing of :func:`choose_levels`, or rising integers, as many as ``calls`` needs.
        last: how the lowest level is left, :math:`x_0 = y - c\,\kappa\,\varepsilon_\theta`: ``"jump"``, to the
            predicted :math:`x_0`, c = 1, or ``"half"``, c = 1/2. In truth the expected noise goes to 0 with
            :math:`\kappa`, linearly, and the integral of that is a half.
        generator: draws the noise, on the device of ``xT``.
        data_noise: s, the standard deviation of noise that the data themselves have. The walk is in
            :math:`\tilde\kappa = \sqrt{\kappa^2 + s^2}` and ends at :math:`\tilde\kappa = s`, as above; a spacing
            other than the uniform one is even in it. With 0 it is the walk in :math:`\kappa`.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: there is no such method, spacing or last step; ``data_noise`` is negative, or positive with the
            ancestral method or with half of the last noise; ``calls`` is below 1 or more than the levels allow;
            ``eta`` is outside [0, 1], or not 0 where there is no :math:`\eta`; ``levels`` do not rise within 1, ..., T
            or are not as many as the calls need; ``xT`` is not of shape ``(N, D)``; or the method is ancestral, and the
            variance of ``model`` is a table, while not all levels are visited.

    >>> model = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=1000))
    >>> [t for t, xt in walk(model, torch.zeros(1, 2), calls=4)]
    [1000, 667, 334, 1, 0]
    """
    check_kind("model", model, DDPM)
    check_points("xT", xT)
    check_finite("xT", xT)
    check_choice("method", method, get_args(Method))
    check_choice("last", last, get_args(Last))
    eta = check_number("eta", eta, 0, 1)
    if eta > 0 and method != "ddim":
        raise ValueError(f"eta must be 0 with the method {method!r}, got {eta}")
    check_generator("generator", generator, xT.device)
    data_noise = _checked_noise(data_noise)
    if data_noise > 0 and (method == "ancestral" or last == "half"):
        raise ValueError(
            f"data_noise must be 0 with the ancestral method or half of the last noise, got {data_noise} "
            f"with {method!r} and {last!r}"
        )
    visited = _visited(model, method, calls, levels, data_noise)
    rest = 0.5 if last == "half" else 0.0

    def predict(y: Tensor, level: _Level) -> Tensor:
        return level.scale / level.kappa * model.predict(level.signal * y, level.t)

    y = xT / visited[0].signal
    if method == "heun":
        states = _heun(predict, y, visited, rest, first_is_euler=calls % 2 == 0)
    elif method in ("dpmpp_2m", "dpmpp_3m"):
        states = _dpmpp(predict, y, visited, rest, most=1 if method == "dpmpp_2m" else 2)
    else:
        noise = _ddim_noise(eta) if method == "ddim" else _ancestral_noise(model, visited)
        states = _with_noise(predict, y, visited, rest, noise, generator)
    yield visited[0].t, xT
    for level, state in states:
        yield level.t, level.signal * state


def sample(
    model: DDPM,
    xT: Tensor,
    method: Method = "ddim",
    calls: int = 16,
    eta: float = 0.0,
    levels: Spacing | Sequence[int] = "uniform",
    last: Last = "jump",
    generator: Generator | None = None,
    data_noise: float = 0.0,
) -> Tensor:
    """The end :math:`x_0` of :func:`walk`, of the shape of ``xT``; arguments and errors as there.

    >>> model = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=1000))
    >>> sample(model, torch.randn(5, 2), method="heun", calls=8).shape
    torch.Size([5, 2])
    """
    return deque(walk(model, xT, method, calls, eta, levels, last, generator, data_noise), maxlen=1).pop()[1]


def _visited(
    model: DDPM, method: Method, calls: int, levels: Spacing | Sequence[int], data_noise: float
) -> list[_Level]:
    """The levels of a walk, falling, and the data at their end."""
    T = model.schedule.T
    calls = check_integer("calls", calls, least=1, most=2 * T - 1 if method == "heun" else T)
    count = calls // 2 + 1 if method == "heun" else calls
    if isinstance(levels, str):
        check_choice("levels", levels, get_args(Spacing))
        even = 0.0 if levels == "uniform" else data_noise
        t = choose_levels(model.schedule, count, levels, data_noise=even)
    else:
        check_kind("levels", levels, (list, tuple, range), "a spacing, or a list of integers")
        t = [check_integer("each of levels", each, least=1, most=T) for each in levels]
        if len(t) != count or any(below >= above for below, above in pairwise(t)):
            raise ValueError(f"levels must be {count} rising integers for {calls} calls of {method}, got {levels}")
    kappa = model.schedule.kappa.tolist()
    visited = [_Level(each, kappa[each], math.hypot(kappa[each], data_noise)) for each in reversed(t)]
    return [*visited, _Level(0, 0.0, data_noise)]


def _ddim_noise(eta: float) -> _Noise:
    r"""What a step of DDIM adds to y: how much of the predicted noise, and of new noise.

    .. math:: y' = y - \kappa\varepsilon_\theta + \sqrt{\kappa'^2 - s^2}\,\varepsilon_\theta + s z, \qquad
        s = \eta\,\kappa'\sqrt{1 - \kappa'^2/\kappa^2}
    """

    def noise(now: _Level, below: _Level) -> tuple[float, float]:
        new = eta * below.scale * math.sqrt(1 - (below.scale / now.scale) ** 2)
        return math.sqrt(below.scale**2 - new**2) - now.scale, new

    return noise


def _ancestral_noise(model: DDPM, visited: list[_Level]) -> _Noise:
    """The same of a step of DDPM: the mean of DDIM with eta = 1, and the variance of the model's kind."""
    variance = model.variance
    if isinstance(variance, Tensor) and len(visited) != model.schedule.T + 1:
        raise ValueError(f"model must have a variance with a name if levels are left out, got {describe(variance)}")
    sigma = variance.sqrt().tolist() if isinstance(variance, Tensor) else []

    def noise(now: _Level, below: _Level) -> tuple[float, float]:
        old, new = _ddim_noise(1.0)(now, below)
        if sigma:
            new = sigma[now.t] / below.signal
        elif variance == "beta":
            new = math.sqrt(1 - (now.signal / below.signal) ** 2) / below.signal
        return old, new

    return noise


def _with_noise(
    predict: _Predict, y: Tensor, visited: list[_Level], rest: float, noise: _Noise, generator: Generator | None
) -> Iterator[tuple[_Level, Tensor]]:
    """One call a step, and new noise after each but the last."""
    for now, below in pairwise(visited):
        predicted = predict(y, now)
        if below.t == 0:
            y = y + (1 - rest) * (below.scale - now.scale) * predicted
        else:
            old, new = noise(now, below)
            y = y + old * predicted
            if new > 0:
                y = y + new * randn_like(y, generator)
        yield below, y


def _heun(
    predict: _Predict, y: Tensor, visited: list[_Level], rest: float, first_is_euler: bool
) -> Iterator[tuple[_Level, Tensor]]:
    """Two calls a step: at its beginning, and where Euler's step would end."""
    for now, below in pairwise(visited):
        slope = predict(y, now)
        if below.t == 0:
            y = y + (1 - rest) * (below.scale - now.scale) * slope
        elif now is visited[0] and first_is_euler:
            y = y + (below.scale - now.scale) * slope
        else:
            step = below.scale - now.scale
            y = y + step / 2 * (slope + predict(y + step * slope, below))
        yield below, y


def _dpmpp(
    predict: _Predict, y: Tensor, visited: list[_Level], rest: float, most: int
) -> Iterator[tuple[_Level, Tensor]]:
    r"""One call a step: the predicted data, continued in :math:`\log\tilde\kappa` from at most so many calls before.

    Over a step from :math:`\tilde\kappa` to :math:`\tilde\kappa' = e^{-h}\tilde\kappa` it is, for a prediction D,

    .. math:: y' = e^{-h} y + \int_0^h e^{u-h} D(u)\,du

    exactly (Lu et al. 2022, equation 9).
    """
    past: list[tuple[float, Tensor]] = []  # the last of the predictions, and where they were made
    for now, below in pairwise(visited):
        predicted = predict(y, now)
        x0 = y - now.scale * predicted
        if below.scale == 0:
            y = x0 + rest * now.scale * predicted
        else:
            place = -math.log(now.scale)
            past = [*past[-most:], (place, x0)]
            h = -math.log(below.scale) - place
            y = math.exp(-h) * y + _from_the_past(past, h)
        yield below, y


def _from_the_past(past: list[tuple[float, Tensor]], h: float) -> Tensor:
    r"""The integral over a step of length h, of what is continued from the last one, two or three predictions.

    With two, the linear one is put where it is half-way. With three, the slope is that of the parabola, and its bend
    counts half: so it is in diffusers and elsewhere, and with few calls it is better than the whole.
    """
    at, newest = past[-1]
    phi = -math.expm1(-h)
    if len(past) == 1:
        return phi * newest
    before, second = past[-2]
    slope = (newest - second) / (at - before)
    if len(past) == 2:
        return phi * (newest + h / 2 * slope)
    first, third = past[-3]
    bend = (slope - (second - third) / (before - first)) / (at - first)
    slope = slope + (at - before) * bend
    phi_1 = h - phi
    return phi * newest + phi_1 * slope + (h**2 / 2 - phi_1) * bend
