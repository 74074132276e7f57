r"""Signals, and priors from data: diffusion towards another Gaussian, values in turn, waveforms from bands.

A diffusion need not forget everything. Instead of :math:`\mathcal N(0, I)` it can tend to a Gaussian that is made from
data, or from what is given (Popov et al. 2021; Lee et al. 2022):

.. math::
    x_t = \mu + \sqrt{\bar\alpha_t}\,(x_0 - \mu) + \sqrt{1-\bar\alpha_t}\;\Sigma^{1/2}\varepsilon, \qquad
    z_t = \Sigma^{-1/2}(x_t - \mu) = \sqrt{\bar\alpha_t}\,z_0 + \sqrt{1-\bar\alpha_t}\;\varepsilon.

The second equation says that this is the diffusion of everywhere else, for data that are whitened first. So the network
of :class:`TowardsPrior` sees z, and its bound is that of the network plus what the change of variables costs,
:math:`\log p(x_0) = \log p(z_0) - \tfrac12\log\det\Sigma`. It is something else to keep q and to start p better, which
is :class:`WithPrior`. :math:`\Sigma` is diagonal here: turn the axes first, which white noise does not notice.

With :math:`x_0` the next value of a series and the history h for a condition, a
:class:`~diffusion_notes.guidance.ConditionalDDPM` forecasts (Rasul et al. 2021),

.. math::
    p_\theta(x_{1:K}) = \prod_{k=1}^{K} p_\theta(x_k \mid x_{1:k-1}),

and with a waveform for :math:`x_0` and its coarse spectrum for a condition, it is a small vocoder (Kong et al. 2021).
Everything here is in nats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast, get_args

import torch
from torch import Generator, Tensor
from torch.distributions import Independent

from diffusion_notes._arguments.tensors import (
    check_alike,
    check_finite,
    check_generator,
    check_points,
    check_same_dtype_and_device,
    check_tensor,
)
from diffusion_notes._arguments.values import check_choice, check_integer, check_kind
from diffusion_notes.chains import Chain, elbo
from diffusion_notes.data import ConditionalMixture
from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import ForwardProcess
from diffusion_notes.distributions import gaussian, randn_like
from diffusion_notes.guidance import ConditionalDDPM
from diffusion_notes.samplers import Method, Spacing, sample
from diffusion_notes.schedule import Schedule

__all__ = [
    "ExactGiven",
    "PriorProcess",
    "TowardsPrior",
    "WithPrior",
    "draw_next",
    "forecast",
    "one_after_the_other",
    "series_bound",
]


# -- priors from data -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PriorProcess:
    r"""The inference model q that tends to :math:`\mathcal N(\mu, \Sigma)`, with :math:`\Sigma` diagonal.

    Arguments:
        schedule: the variances of the forward process.
        mean: :math:`\mu`, of shape ``(D,)``, or ``(n, D)``, one for each point.
        std: :math:`\Sigma^{1/2}`, likewise, positive.

    Raises:
        TypeError: ``schedule`` is no Schedule, or an argument no floating-point tensor.
        ValueError: ``mean`` is of another shape, ``std`` is not like it, or a value is not finite or not positive.

    Shapes are as in :class:`~diffusion_notes.diffusion.ForwardProcess`. Values of points are not checked, because this
    is called inside loops.

    >>> q = PriorProcess(Schedule.linear(T=10), torch.tensor([3.0, 0.0]), torch.tensor([0.1, 1.0]))
    >>> q.marginal(torch.ones(5, 2), t=10).mean.shape
    torch.Size([5, 2])
    """

    schedule: Schedule
    mean: Tensor
    std: Tensor

    def __post_init__(self) -> None:
        check_kind("schedule", self.schedule, Schedule)
        _check_prior(self.mean, self.std)

    def whiten(self, x: Tensor) -> Tensor:
        r""":math:`z = \Sigma^{-1/2}(x - \mu)`, of the shape of ``x``, ``(n, D)``."""
        return self._whitened("x", x)

    def colour(self, z: Tensor) -> Tensor:
        r"""The way back, :math:`x = \mu + \Sigma^{1/2} z`."""
        _check_fits_prior("z", z, self.mean)
        return self.mean + self.std * z

    def coloured(self, p: Independent) -> Independent:
        """The law of x, if that of z is the Gaussian ``p``, a TypeError if it is none."""
        check_kind("p", p, Independent, "a Gaussian")
        return gaussian(self.colour(p.mean), self.std * p.stddev)

    def step(self, x: Tensor, t: int | Tensor) -> Independent:
        r""":math:`q(x_t \mid x_{t-1} = x) = \mathcal N(\mu + \sqrt{\alpha_t}\,(x - \mu),\ \beta_t\Sigma)`."""
        return self.coloured(ForwardProcess(self.schedule).step(self._whitened("x", x), t))

    def marginal(self, x0: Tensor, t: int | Tensor) -> Independent:
        r""":math:`q(x_t|x_0) = \mathcal N(\mu + \sqrt{\bar\alpha_t}\,(x_0 - \mu),\ (1-\bar\alpha_t)\,\Sigma)`."""
        return self.coloured(ForwardProcess(self.schedule).marginal(self._whitened("x0", x0), t))

    def posterior(self, xt: Tensor, x0: Tensor, t: int | Tensor) -> Independent:
        r""":math:`q(x_{t-1} \mid x_t, x_0)`, with the variance :math:`\tilde\beta_t\Sigma`, for t from 2 to T."""
        white = self._whitened("xt", xt)
        check_alike("x0", x0, "xt", xt)
        return self.coloured(ForwardProcess(self.schedule).posterior(white, self.whiten(x0), t))

    def _whitened(self, name: str, x: Tensor) -> Tensor:
        _check_fits_prior(name, x, self.mean)
        return (x - self.mean) / self.std


@dataclass(frozen=True, eq=False)
class TowardsPrior:
    r"""A diffusion model whose q tends to :math:`\mathcal N(\mu, \Sigma)`, where its p begins.

    It is a :class:`~diffusion_notes.chains.protocol.Chain` and a :class:`~diffusion_notes.diffusion.DiffusionChain`,
    so :func:`~diffusion_notes.chains.protocol.elbo` and :func:`~diffusion_notes.diffusion.bound_terms` give its bound,
    of x and not of z. The network is trained by ``train(model, q.whiten(points))``: its loss there,
    :math:`\lVert\varepsilon - \varepsilon_\theta\rVert^2`, is what Lee et al. 2022 write as
    :math:`(e - e_\theta)^\top \Sigma^{-1} (e - e_\theta)` with the coloured noise :math:`e = \Sigma^{1/2}\varepsilon`.

    Arguments:
        model: of the whitened data; its samplers sample those, and ``q.colour`` makes data of them.
        mean: :math:`\mu`, as of :class:`PriorProcess`.
        std: :math:`\Sigma^{1/2}`, likewise.

    Raises:
        TypeError, ValueError: ``model`` is no DDPM, or as of :class:`PriorProcess`.

    Values of points are not checked, because this is called inside loops.

    >>> silent = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    >>> elbo(TowardsPrior(silent, torch.zeros(2), torch.tensor([0.1, 1.0])), torch.zeros(5, 2)).terms.shape
    torch.Size([11, 5])
    """

    model: DDPM
    mean: Tensor
    std: Tensor
    q: PriorProcess = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_kind("model", self.model, DDPM)
        object.__setattr__(self, "q", PriorProcess(self.model.schedule, self.mean, self.std))

    @property
    def length(self) -> int:
        """T, the number of latents."""
        return self.model.length

    def prior(self, like: Tensor) -> Independent:
        r""":math:`p(x_T) = \mathcal N(\mu, \Sigma)`, for as many points as ``like`` has."""
        _check_fits_prior("like", like, self.mean)
        return self.q.coloured(self.model.prior(like))

    def infer(self, z: Tensor, i: int) -> Independent:
        r""":math:`q(x_i \mid x_{i-1} = z)`, for i from 1 to T."""
        _check_fits_prior("z", z, self.mean)
        return self.q.step(z, check_integer("i", i, least=1, most=self.length))

    def generate(self, z: Tensor, i: int) -> Independent:
        r""":math:`p_\theta(x_{i-1} \mid x_i = z)`, as :meth:`step`."""
        _check_fits_prior("z", z, self.mean)
        return self.step(z, check_integer("i", i, least=1, most=self.length))

    def step(self, xt: Tensor, t: int | Tensor) -> Independent:
        r""":math:`p_\theta(x_{t-1} \mid x_t)`: the step of the model, coloured; shapes as of DDPM's step."""
        _check_fits_prior("xt", xt, self.mean)
        return self.q.coloured(self.model.step(self.q.whiten(xt), t))


@dataclass(frozen=True, eq=False)
class WithPrior:
    r"""The same q, the same steps and another start: a DDPM with :math:`p(x_T) = \mathcal N(m, S)`, S diagonal.

    What a DDPM loses where q does not tend far enough to :math:`\mathcal N(0, I)` this wins back as far as
    :math:`q(x_T)` is a Gaussian. Nothing is trained anew: :math:`p(x_T)` stands in :math:`L_T` alone.

    Arguments:
        model: a DDPM.
        mean: m, of shape ``(D,)``, or ``(n, D)``, one for each point.
        std: :math:`S^{1/2}`, likewise, positive.

    Raises:
        TypeError, ValueError: ``model`` is no DDPM, or as of :class:`PriorProcess`.

    Values of points are not checked, because this is called inside loops.

    >>> silent = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    >>> WithPrior(silent, torch.zeros(2), torch.tensor([0.9, 1.0])).prior(torch.zeros(5, 2)).stddev[0]
    tensor([0.9000, 1.0000])
    """

    model: DDPM
    mean: Tensor
    std: Tensor

    def __post_init__(self) -> None:
        check_kind("model", self.model, DDPM)
        _check_prior(self.mean, self.std)

    @classmethod
    def fitted(cls, model: DDPM, points: Tensor) -> WithPrior:
        r"""With the mean and the variances of :math:`q(x_T)`, from points of the data.

        Arguments:
            model: a DDPM.
            points: at least two, of shape ``(n, D)``.

        Raises:
            TypeError, ValueError: an argument is not as said, or a coordinate does not vary and nothing is left of it.
        """
        check_kind("model", model, DDPM)
        check_points("points", points, least=2, finite=True)
        at = model.schedule.at
        T = model.schedule.T
        kept = at("alpha_bar", T, points) * points.var(0, correction=0)
        std = (kept + at("one_minus_alpha_bar", T, points)).sqrt()
        return cls(model, at("sqrt_alpha_bar", T, points) * points.mean(0), std)

    @property
    def length(self) -> int:
        """T, the number of latents."""
        return self.model.length

    @property
    def q(self) -> ForwardProcess:
        """That of the model."""
        return self.model.q

    def prior(self, like: Tensor) -> Independent:
        r""":math:`p(x_T) = \mathcal N(m, S)`, for as many points as ``like`` has."""
        _check_fits_prior("like", like, self.mean)
        unit = torch.ones_like(like)
        return gaussian(self.mean * unit, self.std * unit)

    def infer(self, z: Tensor, i: int) -> Independent:
        r""":math:`q(x_i \mid x_{i-1} = z)`, that of the model."""
        return self.model.infer(z, i)

    def generate(self, z: Tensor, i: int) -> Independent:
        r""":math:`p_\theta(x_{i-1} \mid x_i = z)`, that of the model."""
        return self.model.generate(z, i)

    def step(self, xt: Tensor, t: int | Tensor) -> Independent:
        """The same, where each point may have a t of its own."""
        return self.model.step(xt, t)


def _check_prior(mean: Tensor, std: Tensor) -> None:
    check_tensor("mean", mean)
    if mean.dim() not in (1, 2):
        raise ValueError(f"mean must have shape (D,) or (n, D), got {tuple(mean.shape)}")
    check_alike("std", std, "mean", mean)
    check_finite("mean", mean)
    check_finite("std", std, positive=True)


def _check_fits_prior(name: str, x: Tensor, mean: Tensor) -> None:
    """Raise unless ``x`` is points ``(n, D)`` of the prior's space, n as many as it has if it is another for each."""
    check_points(name, x, dim=mean.shape[-1])
    check_same_dtype_and_device(name, x, "the prior", mean)
    if mean.dim() == 2 and len(mean) not in (1, len(x)):
        raise ValueError(f"{name} must have shape {tuple(mean.shape)}, as the prior, got {tuple(x.shape)}")


@dataclass(frozen=True, eq=False)
class ExactGiven:
    r"""What a perfect network predicts that is told the condition of each point.

    .. math:: \mathbb E[\varepsilon \mid x_t, c_i] = -\sqrt{1-\bar\alpha_t}\,\nabla\log q(x_t \mid c_i)

    Arguments:
        law: :math:`q(x_0 \mid c_i)` for each of n points.
        schedule: whose t is meant.

    Raises:
        TypeError: an argument is of another kind.

    Values are not checked, because this is called inside loops.

    >>> from diffusion_notes.data import TwoNotes
    >>> x, c = TwoNotes().sample(5)
    >>> exact = ExactGiven(TwoNotes().given(c), Schedule.cosine(T=10))
    >>> elbo(DDPM(exact, exact.schedule), x).terms.shape
    torch.Size([11, 5])
    """

    law: ConditionalMixture
    schedule: Schedule
    knows_each_point = True

    def __post_init__(self) -> None:
        check_kind("law", self.law, ConditionalMixture)
        check_kind("schedule", self.schedule, Schedule)

    def __call__(self, xt: Tensor, t: int) -> Tensor:
        """The prediction for ``xt`` of shape ``(n, D)``, all at the same t, an integer."""
        t = check_integer("t", t, least=1, most=self.schedule.T)
        return self.law.expected_noise(xt, self.schedule.alpha_bar[t].item())

    def on(self, schedule: Schedule) -> ExactGiven:
        """The same at the levels of another schedule."""
        return ExactGiven(self.law, schedule)


# -- one step after the other -----------------------------------------------------------------------


def one_after_the_other(series: Tensor, order: int) -> Tensor:
    r"""The rows to train a forecaster on: each value, and then the ``order`` values before it, the last one last.

    Arguments:
        series: of shape ``(n, K)``.
        order: how many values the forecaster is told, less than K.

    Returns:
        A tensor of shape ``(n (K - order), 1 + order)``, series by series.

    Raises:
        TypeError: ``series`` is not a floating-point tensor, or ``order`` no integer.
        ValueError: ``series`` is of another shape, or ``order`` is not between 1 and K - 1.

    Values are not checked, because this is called inside loops.

    >>> one_after_the_other(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), order=2)
    tensor([[3., 1., 2.],
            [4., 2., 3.]])
    """
    check_points("series", series)
    order = check_integer("order", order, least=1, most=series.shape[1] - 1)
    windows = series.unfold(1, order + 1, 1).flatten(0, 1)
    return windows.roll(1, dims=-1)


def series_bound(model: ConditionalDDPM, series: Tensor, generator: Generator | None = None) -> Tensor:
    r"""The bound of each value of a series given those before it, ``(n, K - order)``; their sum is that of the series.

    .. math:: \log p_\theta(x_{1:K}) \ge \sum_k \mathcal L(x_k \mid x_{1:k-1})

    One draw of :func:`~diffusion_notes.chains.protocol.elbo` each. The first values are given.

    Arguments:
        model: its condition is the history.
        series: of shape ``(n, K)``, K larger than the number of values in the history.
        generator: draws the paths, on the device of ``series``.

    Raises:
        TypeError, ValueError: an argument is not as said, or a value not finite.
    """
    check_kind("model", model, ConditionalDDPM)
    check_points("series", series, least=1, finite=True)
    if series.shape[1] <= model.condition:
        raise ValueError(f"series must have more than {model.condition} values, got shape {tuple(series.shape)}")
    rows = one_after_the_other(series, model.condition)
    check_generator("generator", generator, series.device)
    value, history = rows[:, :1], rows[:, 1:]
    return elbo(cast(Chain, model.given(history)), value, generator).total.unflatten(0, (len(series), -1))


def draw_next(
    model: ConditionalDDPM, calls: int = 16, method: Method = "dpmpp_2m", levels: Spacing = "log_snr"
) -> Callable[[Tensor, Generator | None], Tensor]:
    """A function that draws the next value given histories, with few calls of the network, for :func:`forecast`.

    Arguments:
        model: its condition is the history.
        calls: as ``method`` and ``levels``, of :func:`~diffusion_notes.samplers.sample`.
        method: as there.
        levels: a spacing, as there.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: there is no such method or spacing, or ``calls`` is below 1.

    >>> from diffusion_notes.networks import NoiseMLP
    >>> schedule = Schedule.cosine(T=20)
    >>> network = NoiseMLP(schedule, dim=1, condition=2)
    >>> draw_next(ConditionalDDPM(network, schedule, condition=2), calls=8)(torch.zeros(5, 2), None).shape
    torch.Size([5, 1])
    """
    check_kind("model", model, ConditionalDDPM)
    calls = check_integer("calls", calls, least=1)
    check_choice("method", method, get_args(Method))
    check_choice("levels", levels, get_args(Spacing))

    def next_value(history: Tensor, generator: Generator | None) -> Tensor:
        noise = randn_like(history[:, :1], generator)
        return sample(model.given(history), noise, method, calls, levels=levels, generator=generator)

    return next_value


@torch.no_grad()
def forecast(
    next_value: Callable[[Tensor, Generator | None], Tensor],
    history: Tensor,
    steps: int,
    members: int,
    generator: Generator | None = None,
) -> Tensor:
    r"""What may come in each of the next ``steps``, as an ensemble, ``(members, n, steps)``.

    Each member goes on from its own values: :math:`x_{k+1} \sim p(x_{k+1} \mid x_{1:k})`, one after the other.

    Arguments:
        next_value: draws the next values, ``(m, 1)``, for histories ``(m, order)``, with a generator; of a diffusion
            model it is :func:`draw_next`.
        history: the last values, the newest last, of shape ``(n, order)``.
        steps: how many values ahead.
        members: how many draws for each history.
        generator: draws, on the device of ``history``.

    Raises:
        TypeError, ValueError: an argument is not as said, or ``next_value`` returns another shape.

    >>> forecast(lambda history, generator: history.sum(-1, keepdim=True), torch.ones(1, 2), steps=4, members=1)
    tensor([[[2., 3., 5., 8.]]])
    """
    check_kind("next_value", next_value, Callable, "callable as next_value(history, generator)")
    check_points("history", history, least=1, finite=True)
    steps = check_integer("steps", steps, least=1)
    members = check_integer("members", members, least=1)
    check_generator("generator", generator, history.device)
    state = history.repeat(members, 1)
    values = []
    for _ in range(steps):
        value = next_value(state, generator)
        check_alike("what next_value returns", value, "a column of histories", state[:, :1])
        values.append(value)
        state = torch.cat((state, value), 1)[:, 1:]
    return torch.cat(values, 1).unflatten(0, (members, len(history)))
