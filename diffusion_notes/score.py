r"""The score, and time without steps: Langevin dynamics, the SDE and its ODE, log p, and the bound as an integral.

A network that predicts the noise has learned the *score*, the slope of the log density of noisy data,

.. math::
    \nabla \log q(x_t) = -\frac{\mathbb E[\varepsilon \mid x_t]}{\sqrt{1-\bar\alpha_t}}

(Robbins 1956, Efron 2011). With ever more and ever smaller steps the forward process becomes a stochastic differential
equation, with t a real number in [0, T] and :math:`d\log\bar\alpha_t/dt = -\beta_t`:

.. math::
    dx = -\tfrac12\beta_t\,x\,dt + \sqrt{\beta_t}\,dw.

Backward in time, for any :math:`\eta \ge 0`,

.. math::
    dx = -\tfrac12\beta_t\bigl(x + (1+\eta^2)\,\nabla\log q(x_t)\bigr)\,dt + \eta\sqrt{\beta_t}\,d\bar w

has the same :math:`q(x_t)` (Song et al. 2021, equations 6 and 13, and appendix G). With :math:`\eta = 1` it is the
reversal of Anderson 1982, with :math:`\eta = 0` an ordinary differential equation, the probability-flow ODE; and
:math:`\eta` is that of :class:`~diffusion_notes.samplers.DDIM`, in the limit of small steps. In the variables of
:mod:`~diffusion_notes.samplers`, :math:`y = x_t/\sqrt{\bar\alpha_t}` and :math:`\kappa_t`, the ODE is
:math:`dy/d\kappa = \varepsilon_\theta`, and along a path

.. math::
    \log p(x_0) = \log p(y_\kappa) + \int_0^\kappa \nabla\cdot\varepsilon_\theta\,d\kappa'

(Chen et al. 2018, Grathwohl et al. 2019). Everything here is in nats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Generator, Tensor

from diffusion_notes._arguments.tensors import (
    all_hold,
    check_alike,
    check_finite,
    check_generator,
    check_has_values,
    check_last_axis,
    check_points,
    check_precise,
    check_returned,
    check_same_dtype_and_device,
    check_tensor,
)
from diffusion_notes._arguments.values import (
    check_choice,
    check_inside,
    check_integer,
    check_kind,
    check_number,
    check_positive,
    describe,
)
from diffusion_notes.data import KnownDistribution, unit_interval
from diffusion_notes.ddpm import DDPM
from diffusion_notes.distributions import randn_like
from diffusion_notes.samplers import on_levels
from diffusion_notes.schedule import Schedule, mmse

__all__ = [
    "ContinuousSchedule",
    "LogProb",
    "annealed_langevin",
    "bound_mixture",
    "continuous_bound",
    "denoising_score_matching",
    "divergence",
    "entropy_from_losses",
    "forward_sde",
    "implicit_score_matching",
    "marginal_change",
    "network_losses",
    "noise_from_velocity",
    "ode_log_prob",
    "reverse_sde",
    "straightness",
    "velocity_from_noise",
]

Clock = Literal["linear", "cosine", "log_snr", "flow"]

_RISE = 200  # of the linear beta from its start to its end, as in Ho et al. 2020
_ORDER = 4  # of the Runge-Kutta method


@dataclass(frozen=True)
class ContinuousSchedule:
    r"""Noise levels :math:`\bar\alpha_t` for every real t from 0 to T.

    Only two numbers of it matter to a bound in continuous time, the levels at its ends (Kingma et al. 2021). In between
    there are four ways to walk:

    * ``"linear"``: :math:`\beta_t` rises linearly, to 200 times its start (Ho et al. 2020).
    * ``"cosine"``: the angle whose squared cosine is :math:`\bar\alpha_t` rises linearly (Nichol and Dhariwal 2021).
    * ``"log_snr"``: :math:`\lambda_t = \log\frac{\bar\alpha_t}{1-\bar\alpha_t}` falls linearly.
    * ``"flow"``: :math:`\tau = \kappa_t/(1+\kappa_t)` rises linearly, the clock of flow matching (Lipman et al. 2023).

    Arguments:
        clock: one of these.
        T: the last t.
        first: :math:`\bar\alpha_0`: 1, where all begins with the data themselves, or less.
        last: :math:`\bar\alpha_T`.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: there is no such clock; T is not positive; or not 1 ≥ ``first`` > ``last`` > 0, or ``first`` is 1
            and the clock ``"log_snr"``, where :math:`\lambda_0` would be infinite.

    >>> ContinuousSchedule("cosine", T=2, last=0.25).alpha_bar(1.0)
    tensor(0.7500, dtype=torch.float64)
    """

    clock: Clock = "linear"
    T: float = 1000.0
    first: float = 1.0
    last: float = 4e-5

    def __post_init__(self) -> None:
        check_choice("clock", self.clock, get_args(Clock))
        object.__setattr__(self, "T", check_positive("T", self.T))
        first = check_positive("first", check_number("first", self.first, 0, 1))
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "last", check_inside("last", self.last, 0, self.first))
        if self.clock == "log_snr" and self.first == 1:
            raise ValueError(f"first must be below 1 with the clock 'log_snr', got {self.first}")

    def alpha_bar(self, time: float | Tensor) -> Tensor:
        r""":math:`\bar\alpha_t` at t = ``time``, in its shape; of a number in float64.

        Raises:
            TypeError: ``time`` is neither a number nor a floating-point tensor.
            ValueError: it does not lie in [0, T] (checked for numbers and on the CPU).
        """
        return (-self._exponent(time)[0]).exp()

    def beta(self, time: float | Tensor) -> Tensor:
        r""":math:`\beta_t = -d\log\bar\alpha_t/dt`; arguments and errors as of :meth:`alpha_bar`."""
        return self._exponent(time)[1]

    def kappa(self, time: float | Tensor) -> Tensor:
        r""":math:`\kappa_t = \sqrt{(1-\bar\alpha_t)/\bar\alpha_t}`; arguments and errors as of :meth:`alpha_bar`."""
        return self._exponent(time)[0].expm1().sqrt()

    def log_snr(self, time: float | Tensor) -> Tensor:
        r""":math:`\lambda_t = -2\log\kappa_t`; arguments and errors as of :meth:`alpha_bar`."""
        return -self._exponent(time)[0].expm1().log()

    def steps(self, count: int) -> Schedule:
        r"""A schedule of ``count`` steps through these levels, evenly spaced in t, whose last is T.

        Its first is 0 unless :math:`\bar\alpha_0 = 1`, which is no noise level.

        Raises:
            TypeError: ``count`` is no integer.
            ValueError: it is below 2.

        >>> ContinuousSchedule("cosine", T=2, last=0.25).steps(2).alpha_bar
        tensor([1.0000, 0.7500, 0.2500], dtype=torch.float64)
        """
        count = check_integer("count", count, least=2)
        t = torch.linspace(0, self.T, count + (self.first == 1), dtype=torch.float64, device="cpu")
        return Schedule.through(self.alpha_bar(t[-count:]))

    def _exponent(self, time: float | Tensor) -> tuple[Tensor, Tensor]:
        r""":math:`-\log\bar\alpha_t`, and its derivative in t."""
        part = self._part(time)
        if self.clock == "linear":
            start, end = -math.log(self.first), -math.log(self.last)
            slope = 2 / (1 + _RISE) * (end - start)
            exponent = start + slope * part * (1 + (_RISE - 1) / 2 * part)
            return exponent, slope / self.T * (1 + (_RISE - 1) * part)
        if self.clock == "cosine":
            start, end = (math.atan(_kappa(level)) for level in (self.first, self.last))
            angle = start + (end - start) * part
            return -2 * angle.cos().log(), 2 * angle.tan() * ((end - start) / self.T)
        if self.clock == "log_snr":
            start, end = (2 * math.log(_kappa(level)) for level in (self.first, self.last))
            minus = start + (end - start) * part
            return torch.nn.functional.softplus(minus), minus.sigmoid() * ((end - start) / self.T)
        start, end = (_kappa(level) / (1 + _kappa(level)) for level in (self.first, self.last))
        tau = start + (end - start) * part
        kappa = tau / (1 - tau)
        rate = 2 * kappa / (1 + kappa.square()) / (1 - tau).square()
        return kappa.square().log1p(), rate * ((end - start) / self.T)

    def _part(self, time: float | Tensor) -> Tensor:
        """How much of the time has gone, in [0, 1]."""
        if not isinstance(time, Tensor):
            number = check_number("time", time, 0, self.T, what="a number or a floating-point tensor")
            return torch.tensor(number / self.T, dtype=torch.float64, device="cpu")
        check_tensor("time", time)
        check_precise("time", time)
        if not all_hold((time >= 0) & (time <= self.T)):
            raise ValueError(f"time must be between 0 and {self.T:g}, and some of its entries are not")
        return time / self.T


def _kappa(alpha_bar: float) -> float:
    return math.sqrt((1 - alpha_bar) / alpha_bar)


# -- what the score may be learned from -------------------------------------------------------------


def denoising_score_matching(model: DDPM, x0: Tensor, t: int | Tensor, generator: Generator | None = None) -> Tensor:
    r"""Denoising score matching of each point, ``(n,)``, at step t, with one draw of the noise.

    .. math:: \Bigl\lVert -\frac{\varepsilon_\theta(x_t, t)}{\sqrt{1-\bar\alpha_t}}
        - \nabla_{x_t}\log q(x_t \mid x_0)\Bigr\rVert^2
        = \frac{\lVert\varepsilon-\varepsilon_\theta(x_t, t)\rVert^2}{1-\bar\alpha_t}

    On average it is the squared error of the score, up to a constant (Vincent 2011).

    Arguments:
        model: whose network and schedule are used.
        x0: data, of shape ``(n, D)``.
        t: an integer, or an integer tensor of shape ``(n,)``, from 1 to T.
        generator: draws the noise, on the device of ``x0``.

    Raises:
        TypeError, ValueError: an argument is not as said.

    Values of points are not checked, because this is called inside loops.

    >>> silent = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    >>> denoising_score_matching(silent, torch.zeros(5, 2), 3).shape
    torch.Size([5])
    """
    check_kind("model", model, DDPM)
    check_points("x0", x0)
    model.schedule.check_t(t, x0)
    noise = randn_like(x0, generator)
    at = model.schedule.at
    xt = at("sqrt_alpha_bar", t, x0) * x0 + at("sqrt_one_minus_alpha_bar", t, x0) * noise
    error = (noise - model.predict(xt, t)) / at("sqrt_one_minus_alpha_bar", t, x0)
    return error.square().sum(-1)


def implicit_score_matching(model: DDPM, xt: Tensor, t: int | Tensor, probes: Tensor | None = None) -> Tensor:
    r"""Hyvärinen's score matching of each noisy point, ``(n,)``, at step t: no noise is known, nor any score.

    .. math:: \lVert g\rVert^2 + 2\,\nabla\cdot g, \qquad g = -\frac{\varepsilon_\theta(x_t, t)}{\sqrt{1-\bar\alpha_t}}

    On average it is the squared error of the score, up to a constant, by an integration by parts (Hyvärinen 2005). It
    can be differentiated once more, by the parameters.

    Arguments:
        model: whose network and schedule are used.
        xt: noisy points, of shape ``(n, D)``.
        t: an integer, or an integer tensor of shape ``(n,)``, from 1 to T.
        probes: as in :func:`divergence`.

    Raises:
        TypeError, ValueError: an argument is not as said.

    Values of points are not checked, because this is called inside loops.

    >>> silent = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    >>> implicit_score_matching(silent, torch.zeros(2, 2), 3)
    tensor([0., 0.])
    """
    check_kind("model", model, DDPM)
    check_points("xt", xt)
    model.schedule.check_t(t, xt)
    noise = model.schedule.at("sqrt_one_minus_alpha_bar", t, xt)
    guess, spread = divergence(lambda x: -model.predict(x, t) / noise, xt, probes)
    return guess.square().sum(-1) + 2 * spread


def divergence(f: Callable[[Tensor], Tensor], x: Tensor, probes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    r"""A vector field at n points, ``(n, D)``, and its divergence :math:`\nabla\cdot f` there, ``(n,)``.

    Exactly, from D derivatives; or by Hutchinson's estimate

    .. math:: \nabla\cdot f = \mathbb E_z\Bigl[z^\top \frac{\partial f}{\partial x} z\Bigr], \qquad
        \mathbb E[z z^\top] = I

    (Hutchinson 1990), the mean over some z, from one derivative each.

    Arguments:
        f: maps points ``(n, D)`` to vectors ``(n, D)``, each by itself.
        x: points of shape ``(n, D)``.
        probes: some z of the shape of ``x``, of shape ``(k, n, D)``; without them the divergence is exact.

    Raises:
        TypeError: ``f`` cannot be called or returns no tensor, or an argument is no floating-point tensor.
        ValueError: ``f`` returns another shape, or ``probes`` do not fit ``x``.

    Values are not checked, because this is called inside loops.

    >>> divergence(lambda x: x * x.new_tensor([1.0, 2.0]), torch.zeros(1, 2))[1]
    tensor([3.])
    """
    check_kind("f", f, Callable, "callable as f(x)")
    check_points("x", x)
    each = _checked_probes(probes, x)

    def checked(points: Tensor) -> Tensor:
        result = f(points)
        check_returned("f", result, points.shape)
        return result

    wanted = torch.is_grad_enabled()  # by the parameters of f, perhaps
    with torch.enable_grad():
        place = x if x.requires_grad else x.detach().requires_grad_()
        value = checked(place)
        if not value.requires_grad:  # a field that is the same everywhere
            return value, torch.zeros_like(x[:, 0])
        total = torch.zeros_like(x[:, 0])
        for z in each:
            (along,) = torch.autograd.grad(
                value, place, z, retain_graph=True, create_graph=wanted, materialize_grads=True
            )
            total = total + (z * along).sum(-1)
    total = total if probes is None else total / len(each)
    return (value, total) if wanted else (value.detach(), total)


def _checked_probes(probes: Tensor | None, x: Tensor) -> tuple[Tensor, ...]:
    """Those that were given, one by one, or the unit vectors."""
    if probes is None:
        unit = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        return tuple(direction.expand_as(x).contiguous() for direction in unit.unbind())
    check_tensor("probes", probes)
    if probes.dim() != 3 or not len(probes) or probes.shape[1:] != x.shape:
        raise ValueError(f"probes must have shape (k, {len(x)}, {x.shape[1]}) with k >= 1, got {tuple(probes.shape)}")
    check_same_dtype_and_device("probes", probes, "x", x)
    return probes.unbind()


# -- walks ------------------------------------------------------------------------------------------


@torch.no_grad()
def annealed_langevin(
    model: DDPM,
    xt: Tensor,
    levels: list[int],
    steps: int = 100,
    step_size: float = 0.2,
    generator: Generator | None = None,
) -> Iterator[tuple[int, Tensor]]:
    r"""Annealed Langevin dynamics (Song and Ermon 2019, algorithm 1): yields ``(t, xt)`` at the end of each level.

    At each level, the noisiest first, it takes some steps in :math:`y = x_t/\sqrt{\bar\alpha_t}`,

    .. math:: y' = y + \tfrac h2\,\nabla\log q(y) + \sqrt h\,z = y - \tfrac h2\,\frac{\varepsilon_\theta}{\kappa_t}
        + \sqrt h\,z, \qquad h = \delta\,\kappa_t^2,

    and takes y along to the next level, less noisy, as it is. Small steps without end would draw from :math:`q(x_t)`.

    Arguments:
        model: whose network and schedule are used.
        xt: where to start, of shape ``(n, D)``, at the first level.
        levels: the steps t to visit, falling.
        steps: how many are taken at each level.
        step_size: :math:`\delta`, the size of a step as a share of the level's variance; 0.2 in their paper.
        generator: draws the noise, on the device of ``xt``.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: ``levels`` do not fall within 1, ..., T; ``steps`` is below 1; ``step_size`` is not positive; or
            ``xt`` is not of shape ``(n, D)``.

    >>> silent = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    >>> [t for t, xt in annealed_langevin(silent, torch.zeros(1, 2), [10, 5, 1], steps=2)]
    [10, 5, 1]
    """
    check_kind("model", model, DDPM)
    check_points("xt", xt)
    check_finite("xt", xt)
    check_kind("levels", levels, (list, tuple, range), "a list of integers")
    t_all = [check_integer("each of levels", t, least=1, most=model.schedule.T) for t in levels]
    if not t_all or any(above <= below for above, below in pairwise(t_all)):
        raise ValueError(f"levels must fall, and there must be one at least, got {levels}")
    steps = check_integer("steps", steps, least=1)
    step_size = check_positive("step_size", step_size)
    check_generator("generator", generator, xt.device)
    kappas = model.schedule.kappa.tolist()
    y = xt * math.sqrt(1 + kappas[t_all[0]] ** 2)
    for t in t_all:
        kappa = kappas[t]
        signal = 1 / math.sqrt(1 + kappa**2)
        for _ in range(steps):
            drift = -step_size / 2 * kappa * model.predict(signal * y, t)
            y = y + drift + math.sqrt(step_size) * kappa * randn_like(y, generator)
        yield t, signal * y


def forward_sde(
    schedule: ContinuousSchedule, x0: Tensor, steps: int = 1000, generator: Generator | None = None
) -> Iterator[tuple[int, Tensor]]:
    r"""The forward SDE by the method of Euler and Maruyama: yields ``(k, xt)`` for k = 0, ..., ``steps``.

    .. math:: x_{t+h} = x_t - \tfrac h2\beta_t\,x_t + \sqrt{h\,\beta_t}\,z, \qquad t = k h, \quad h = T/\text{steps}

    Arguments:
        schedule: :math:`\beta_t`. If it begins with noise, what starts is taken to be :math:`x_t` at t = 0.
        x0: where to start, of shape ``(n, D)``.
        steps: how many.
        generator: draws the noise, on the device of ``x0``.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> [k for k, xt in forward_sde(ContinuousSchedule(T=1), torch.zeros(1, 2), steps=2)]
    [0, 1, 2]
    """
    check_kind("schedule", schedule, ContinuousSchedule)
    check_points("x0", x0)
    check_finite("x0", x0)
    steps = check_integer("steps", steps, least=1)
    check_generator("generator", generator, x0.device)
    h = schedule.T / steps
    rates = schedule.beta(torch.arange(steps, dtype=torch.float64, device="cpu") * h).tolist()
    x = x0
    yield 0, x
    for k, rate in enumerate(rates, 1):
        x = x - h / 2 * rate * x + math.sqrt(h * rate) * randn_like(x, generator)
        yield k, x


@torch.no_grad()
def reverse_sde(
    model: DDPM,
    schedule: ContinuousSchedule,
    xT: Tensor,
    steps: int = 1000,
    eta: float = 1.0,
    generator: Generator | None = None,
) -> Iterator[tuple[int, Tensor]]:
    r"""Back from T to 0 by the method of Euler and Maruyama: yields ``(k, xt)`` for k = ``steps``, ..., 0.

    .. math:: x_{t-h} = x_t + \tfrac h2\beta_t\bigl(x_t + (1+\eta^2)\,\nabla\log q(x_t)\bigr)
        + \eta\sqrt{h\,\beta_t}\,z, \qquad t = k h, \quad h = T/\text{steps}

    With :math:`\eta = 1` the reversal of the forward SDE (Anderson 1982), with :math:`\eta = 0` the probability-flow
    ODE (Song et al. 2021), by Euler's method: whatever :math:`\eta` is, all :math:`q(x_t)` are the same, but for the
    error of the steps.

    Arguments:
        model: its network must have a method ``on(schedule)``, as for :func:`~diffusion_notes.samplers.on_levels`.
        schedule: the levels at which it is asked, and :math:`\beta_t`.
        xT: where to start, of shape ``(n, D)``.
        steps: how many, and how often the network is called.
        eta: :math:`\eta`, not negative.
        generator: draws the noise, on the device of ``xT``.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> from diffusion_notes.data import Clusters
    >>> from diffusion_notes.samplers import ExactNoise
    >>> exact = ExactNoise(Clusters(), Schedule.linear(T=10))
    >>> walk = reverse_sde(DDPM(exact, exact.schedule), ContinuousSchedule(T=1), torch.zeros(1, 2), steps=2)
    >>> [k for k, xt in walk]
    [2, 1, 0]
    """
    check_kind("model", model, DDPM)
    check_kind("schedule", schedule, ContinuousSchedule)
    check_points("xT", xT)
    check_finite("xT", xT)
    steps = check_integer("steps", steps, least=1)
    eta = check_number("eta", eta, 0)
    check_generator("generator", generator, xT.device)
    h = schedule.T / steps
    t = torch.arange(1, steps + 1, dtype=torch.float64, device="cpu") * h
    asked = on_levels(model, schedule.kappa(t.clamp(max=schedule.T)))
    width = asked.schedule.sqrt_one_minus_alpha_bar.tolist()
    rates = schedule.beta(t.clamp(max=schedule.T)).tolist()
    x = xT
    yield steps, x
    for k in range(steps, 0, -1):
        rate = rates[k - 1]
        score = -asked.predict(x, k) / width[k]
        x = x + h / 2 * rate * (x + (1 + eta**2) * score)
        if eta > 0:
            x = x + eta * math.sqrt(h * rate) * randn_like(x, generator)
        yield k - 1, x


def marginal_change(
    data: KnownDistribution, x: Tensor, alpha_bar: float, eta: float = 1.0, delta: float = 0.01
) -> tuple[Tensor, Tensor]:
    r"""How fast :math:`\log q(x_t)` changes at a place, ``(n,)``: as it is, and as the equation of motion says.

    Time is measured so that :math:`\beta = 1`: it is :math:`-\log\bar\alpha`. The first is a difference of log
    densities at levels on both sides. The second is the Fokker-Planck equation of what moves with the drift
    :math:`b = -\tfrac12\bigl(x + (1-\eta^2)\nabla\log q\bigr)` and the variance :math:`\eta^2`,

    .. math:: \frac{\partial\log q}{\partial t} = -\nabla\cdot b - b\cdot\nabla\log q
        + \tfrac12\eta^2\bigl(\nabla\cdot\nabla\log q + \lVert\nabla\log q\rVert^2\bigr)

    With :math:`\eta = 1` that is the forward SDE, with :math:`\eta = 0` the ODE, whose equation is the continuity
    equation.

    Arguments:
        data: a distribution that is known at every noise level.
        x: places, of shape ``(n, 2)``.
        alpha_bar: the level, strictly between 0 and 1.
        eta: :math:`\eta`, not negative.
        delta: half the step of the difference, which is right to its fourth power, as a share of
            :math:`1-\bar\alpha`; below 0.25.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> from diffusion_notes.data import Clusters
    >>> seen, said = marginal_change(Clusters(), torch.ones(1, 2).double(), alpha_bar=0.5)
    >>> bool((seen - said).abs() < 1e-8)
    True
    """
    check_kind("data", data, KnownDistribution, "known at every noise level")
    check_points("x", x, dim=2, finite=True)
    check_precise("x", x)
    level = check_inside("alpha_bar", alpha_bar, 0, 1)
    eta = check_number("eta", eta, 0)
    delta = check_inside("delta", delta, 0, 0.25) * (1 - level)
    ahead = {k: data.diffuse(level * math.exp(-k * delta)).log_prob(x) for k in (-2, -1, 1, 2)}
    seen = (ahead[-2] - 8 * ahead[-1] + 8 * ahead[1] - ahead[2]) / (12 * delta)
    now = data.diffuse(level)

    def drift(place: Tensor) -> Tensor:
        return -(place + (1 - eta**2) * now.score(place)) / 2

    score, curvature = divergence(now.score, x)
    moved, spread = divergence(drift, x)
    diffused = curvature + score.square().sum(-1)
    return seen, -spread - (moved * score).sum(-1) + eta**2 / 2 * diffused


# -- log p by the ODE -------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogProb:
    """What the ODE says of n points.

    Attributes:
        value: their log density in nats, ``(n,)``.
        error: an estimate of what the steps of the solver have added to it, ``(n,)``.
        latent: where they end, :math:`x_T`, of shape ``(n, D)``.
    """

    value: Tensor
    error: Tensor
    latent: Tensor


_Rate = Callable[[Tensor, int], tuple[Tensor, Tensor]]
_State = tuple[Tensor, Tensor]


@torch.no_grad()
def ode_log_prob(
    model: DDPM,
    x0: Tensor,
    steps: int = 64,
    probes: Tensor | None = None,
    lowest: float | None = None,
    log_prior: Callable[[Tensor], Tensor] | None = None,
) -> LogProb:
    r""":math:`\log p(x_0)` of what the probability-flow ODE makes of :math:`p(x_T)`, in nats.

    .. math:: \log p(x_0) = \log p(x_T) + \tfrac D2\log\bar\alpha_T
        + \int_0^{\kappa_T} \nabla\cdot\varepsilon_\theta(y_\kappa, \kappa)\,d\kappa, \qquad
        \frac{dy}{d\kappa} = \varepsilon_\theta, \quad y_0 = x_0, \quad x_T = \sqrt{\bar\alpha_T}\,y_{\kappa_T}

    (Song et al. 2021, appendix D.2.) The method of Runge and Kutta of order 4 takes even steps in :math:`\log\kappa`,
    and then half as many; the difference, divided by 15, is the estimate of the error. Below the lowest level the noise
    is taken to go to 0 in proportion to :math:`\kappa`, as it does in truth.

    Arguments:
        model: its network must have a method ``on(schedule)``, as for :func:`~diffusion_notes.samplers.on_levels`.
        x0: points of shape ``(n, D)``.
        steps: how many, an even number; the network is differentiated ``4 * steps`` times, and half as often again.
        probes: the z of Hutchinson's estimate, of shape ``(k, n, D)``, the same along the whole path; without them the
            divergence is exact, see :func:`divergence`.
        lowest: the lowest :math:`\kappa` at which the network is asked; that of t = 1 if it is not said.
        log_prior: :math:`\log p(x_T)`; that of :math:`\mathcal N(0, I)` if it is not given.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: ``steps`` is odd or below 2; ``lowest`` does not lie between 0 and :math:`\kappa_T`; or a tensor is
            not of the shape that is said.

    >>> from diffusion_notes.data import Clusters
    >>> from diffusion_notes.samplers import ExactNoise
    >>> exact = ExactNoise(Clusters(), Schedule.linear(T=1000))
    >>> x = torch.tensor([[1.0, 0.1]], dtype=torch.float64)
    >>> found = ode_log_prob(DDPM(exact, exact.schedule), x, lowest=1e-3)
    >>> bool((found.value - Clusters().log_prob(x)).abs() < 1e-2)
    True
    """
    check_kind("model", model, DDPM)
    check_points("x0", x0, finite=True)
    check_precise("x0", x0)
    steps = check_integer("steps", steps, least=2)
    if steps % 2:
        raise ValueError(f"steps must be even, got {steps}")
    check_kind("log_prior", log_prior, (Callable, type(None)), "callable as log_prior(xT), or None")
    if probes is not None:
        _checked_probes(probes, x0)
        check_finite("probes", probes)
    kappa_T = model.schedule.kappa[-1].item()
    lowest = model.schedule.kappa[1].item() if lowest is None else check_inside("lowest", lowest, 0, kappa_T)
    u = torch.linspace(math.log(lowest), math.log(kappa_T), 2 * steps + 1, dtype=torch.float64, device="cpu")
    asked = on_levels(model, u.exp())
    kappa = asked.schedule.kappa.tolist()
    signal = asked.schedule.sqrt_alpha_bar.tolist()
    length = math.log(kappa_T / lowest) / steps

    def change(y: Tensor, i: int) -> _State:
        """The noise at the i-th level, and its divergence in y."""
        return divergence(lambda place: asked.predict(signal[i] * place, i), y, probes)

    def change_in_log(y: Tensor, i: int) -> _State:
        noise, spread = change(y, i)
        return kappa[i] * noise, kappa[i] * spread

    def walk(stride: int) -> _State:
        state = (x0, torch.zeros_like(x0[:, 0]))
        # up to the lowest level the noise grows with kappa, so that half of kappa passes as if it were all there
        for _ in range(4 // stride):
            state = _runge_kutta(change, state, (1, 1, 1), lowest / 2 / (4 // stride))
        for i in range(1, 2 * steps + 1, 2 * stride):
            nodes = (i, i + stride, i + 2 * stride)
            state = _runge_kutta(change_in_log, state, nodes, stride * length)
        return state

    end, volume = walk(1)
    _, coarse = walk(2)
    latent = signal[-1] * end
    prior = _standard_normal(latent) if log_prior is None else log_prior(latent)
    check_returned("log_prior", prior, latent.shape[:1])
    value = prior + x0.shape[1] * math.log(signal[-1]) + volume
    return LogProb(value, (volume - coarse).abs() / (2**_ORDER - 1), latent)


def _standard_normal(x: Tensor) -> Tensor:
    return -(x.square().sum(-1) + x.shape[1] * math.log(2 * math.pi)) / 2


def _runge_kutta(rate: _Rate, state: _State, nodes: tuple[int, int, int], h: float) -> _State:
    """A step from the first node to the last, with one in the middle."""
    y, volume = state
    before, middle, after = nodes
    y1, v1 = rate(y, before)
    y2, v2 = rate(y + h / 2 * y1, middle)
    y3, v3 = rate(y + h / 2 * y2, middle)
    y4, v4 = rate(y + h * y3, after)
    return y + h / 6 * (y1 + 2 * y2 + 2 * y3 + y4), volume + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)


# -- the bound as an integral -----------------------------------------------------------------------


def network_losses(model: DDPM, data: KnownDistribution, levels: Tensor) -> tuple[Tensor, Tensor]:
    r"""The smallest loss at each noise level, and what the network adds to it, exactly; float64 on the CPU.

    .. math:: \mathbb E\lVert\varepsilon-\varepsilon_\theta\rVert^2
        = \mathbb E\lVert\varepsilon-\mathbb E[\varepsilon|x_t]\rVert^2
        + \mathbb E\lVert\mathbb E[\varepsilon|x_t]-\varepsilon_\theta\rVert^2

    Both are integrals over the plane: nothing is sampled.

    Arguments:
        model: its network must have a method ``on(schedule)``, and be in double precision, on the CPU.
        data: a distribution that is known at every noise level.
        levels: values of :math:`\bar\alpha`, falling.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: ``levels`` do not fall, or do not lie strictly between 0 and 1.

    >>> from diffusion_notes.data import Clusters
    >>> from diffusion_notes.samplers import ExactNoise
    >>> exact = ExactNoise(Clusters(), Schedule.linear(T=10))
    >>> smallest, excess = network_losses(DDPM(exact, exact.schedule), Clusters(), torch.tensor([0.5, 0.1]))
    >>> bool((excess < 1e-12).all())
    True
    """
    check_kind("model", model, DDPM)
    smallest = mmse(data, levels)
    table = levels.detach().to("cpu").double()
    snr = table / (1 - table)
    asked = on_levels(model, snr.rsqrt())
    excess = []
    for t, level in enumerate(table.tolist(), 1):
        excess.append(data.diffuse(level).expect(_squared_error(asked, data.diffuse(level), t, level)))
    return snr * smallest, torch.stack(excess)


def _squared_error(model: DDPM, diffused: KnownDistribution, t: int, level: float) -> Callable[[Tensor], Tensor]:
    width = math.sqrt(1 - level)

    def squared_error(x: Tensor) -> Tensor:
        return (width * diffused.score(x) + model.predict(x, t)).square().sum(-1)

    return squared_error


def entropy_from_losses(loss: Callable[[Tensor], Tensor], dim: int, reach: float = 24.0, nodes: int = 96) -> float:
    r"""The entropy of data, in nats, from how well its noise can be guessed at all levels.

    .. math:: H(x_0) = \tfrac D2\log 2\pi e
        - \tfrac12\int_{-\infty}^{\infty}\bigl(D\,\bar\alpha - \ell(\lambda)\bigr)\,d\lambda,
        \qquad \lambda = \log\frac{\bar\alpha}{1-\bar\alpha}

    (Guo, Shamai and Verdú 2005; Kong, Brekelmans and Ver Steeg 2023), where :math:`D\,\bar\alpha` is the smallest loss
    for standard normal data. With the losses of a network in the place of the smallest ones it is an upper bound of the
    entropy, the limit of many steps of the negative bound of a diffusion model.

    Arguments:
        loss: gives the losses :math:`\ell` at levels :math:`\bar\alpha`, ``(n,)`` falling in float64, as ``(n,)``.
        dim: D.
        reach: the integral runs over :math:`|\lambda|` up to here, where the difference has died out like
            :math:`e^{-|\lambda|}`.
        nodes: of the quadrature, the rule of the trapezium.

    Raises:
        TypeError: ``loss`` cannot be called or returns no tensor, or a number is none.
        ValueError: ``dim`` < 1, ``reach`` is not positive or not below 34 (1 - :math:`\bar\alpha` would be 0),
            ``nodes`` < 2, or ``loss`` returns another shape.

    >>> round(entropy_from_losses(lambda level: 3 * level, dim=3) - 1.5 * math.log(2 * math.pi * math.e), 12)
    0.0
    """
    check_kind("loss", loss, Callable, "callable as loss(alpha_bar)")
    dim = check_integer("dim", dim, least=1)
    reach = check_inside("reach", reach, 0, 34)
    nodes = check_integer("nodes", nodes, least=2)
    log_snr = torch.linspace(reach, -reach, nodes, dtype=torch.float64, device="cpu")
    levels = log_snr.sigmoid()
    missing = dim * levels - _losses(loss, levels)
    area = torch.trapezoid(missing.flip(0), log_snr.flip(0)).item()
    return dim / 2 * math.log(2 * math.pi * math.e) - area / 2


def continuous_bound(
    loss: Callable[[Tensor], Tensor],
    dim: int,
    second_moment: float,
    first: float,
    last: float,
    reconstruct: bool = True,
    nodes: int = 64,
) -> float:
    r"""The negative bound of a diffusion model with infinitely many steps, in nats: it depends on its two ends only.

    .. math:: L_T + \tfrac12\int_{\lambda_T}^{\lambda_0} \mathbb E\lVert\varepsilon-\varepsilon_\theta\rVert^2\,d\lambda
        + L_0, \qquad L_T = \mathbb E\,D_{KL}\bigl(q(x_T|x_0)\,\Vert\,\mathcal N(0, I)\bigr)

    (Kingma et al. 2021, section 4). The decoder is :math:`\mathcal N(\hat x_0, \kappa_0^2 I)`, so
    :math:`L_0 = \tfrac D2\log 2\pi\kappa_0^2 + \tfrac12\mathbb E\lVert\varepsilon-\varepsilon_\theta\rVert^2` at the
    first level.

    Arguments:
        loss: gives :math:`\mathbb E\lVert\varepsilon-\varepsilon_\theta\rVert^2` at levels :math:`\bar\alpha`, ``(n,)``
            falling in float64, as ``(n,)``: of a network, or the smallest possible.
        dim: D.
        second_moment: :math:`\mathbb E\lVert x_0\rVert^2`.
        first: :math:`\bar\alpha_0`, the level nearest to the data.
        last: :math:`\bar\alpha_T`.
        reconstruct: whether the data are to be described, or what is left of them at the first level,
            :math:`x_0 + \kappa_0\varepsilon`. Of that, :math:`L_0 = \tfrac D2\log 2\pi e\,\kappa_0^2`, and what a
            perfect network reaches is its entropy, plus the divergence of :math:`q(x_T)` from :math:`\mathcal N(0, I)`.
        nodes: of the quadrature, Gauss's.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: not 1 > ``first`` > ``last`` > 0, a number is too small, or ``loss`` returns another shape.

    >>> normal = continuous_bound(lambda level: 2 * level, 2, 2.0, 0.999, 0.001, reconstruct=False)
    >>> round(normal - math.log(2 * math.pi * math.e / 0.999), 12)
    0.0
    """
    check_kind("loss", loss, Callable, "callable as loss(alpha_bar)")
    dim = check_integer("dim", dim, least=1)
    second_moment = check_positive("second_moment", second_moment)
    first = check_inside("first", first, 0, 1)
    last = check_inside("last", last, 0, first)
    check_kind("reconstruct", reconstruct, bool)
    place, weight = (torch.from_numpy(each) for each in unit_interval(check_integer("nodes", nodes, least=2)))
    start, end = (torch.tensor(level, dtype=torch.float64, device="cpu").logit().item() for level in (first, last))
    levels = (start + (end - start) * place).sigmoid()
    ends = torch.tensor([first], dtype=torch.float64, device="cpu")
    steps = (start - end) / 2 * (weight * _losses(loss, levels)).sum().item()
    decoder = dim / 2 * (math.log(2 * math.pi) - start)
    decoder += _losses(loss, ends).item() / 2 if reconstruct else dim / 2
    prior = (last * (second_moment - dim) - dim * math.log1p(-last)) / 2
    return prior + steps + decoder


def _losses(loss: Callable[[Tensor], Tensor], levels: Tensor) -> Tensor:
    found = loss(levels)
    check_returned("loss", found, levels.shape)
    return found.detach().to("cpu").double()


def bound_mixture(log_snr: Tensor, weight: Tensor) -> Tensor:
    r"""Of which bounds a weighted loss is the mixture: one mass for each level, ``(n,)``, in float64 on the CPU.

    If the weight falls with :math:`\lambda`, and so rises with the noise, then

    .. math:: \tfrac12\int w(\lambda)\,\ell\,d\lambda = \int\Bigl(-\frac{dw}{d\mu}\Bigr)
        \Bigl[\tfrac12\int_{-\infty}^{\mu}\ell\,d\lambda\Bigr]\,d\mu,

    and what is in brackets is, up to a constant, the negative bound for data to which noise was added, as much as there
    is at :math:`\mu` (Kingma and Gao 2023). Here w is a staircase: ``weight[k]`` between ``log_snr[k - 1]`` and
    ``log_snr[k]``, ``weight[0]`` below, and 0 above the last. The masses add up to ``weight[0]``.

    Arguments:
        log_snr: levels :math:`\lambda`, rising.
        weight: of the loss at each of them.

    Raises:
        TypeError: an argument is no floating-point tensor.
        ValueError: ``log_snr`` does not rise, or ``weight`` does not fit it, is negative or rises somewhere: the loss
            is then no mixture of bounds.

    >>> bound_mixture(torch.tensor([-1.0, 0.0, 1.0]), torch.tensor([1.0, 0.75, 0.25]))
    tensor([0.2500, 0.5000, 0.2500], dtype=torch.float64)
    """
    tables = []
    for name, value in (("log_snr", log_snr), ("weight", weight)):
        check_tensor(name, value)
        check_has_values(name, value)
        tables.append(value.detach().to("cpu").double())
        check_finite(name, tables[-1])
    place, table = tables
    if place.dim() != 1 or not len(place) or not bool((place.diff() > 0).all()):
        raise ValueError(f"log_snr must be numbers that rise, got {describe(log_snr)}")
    if table.shape != place.shape:
        raise ValueError(f"weight must have shape {tuple(place.shape)}, as log_snr, got {tuple(table.shape)}")
    mass = -torch.cat((table, table.new_zeros(1))).diff()
    if not bool((mass >= 0).all()):
        raise ValueError(f"weight must not be negative or rise with log_snr, got {describe(weight)}")
    return mass


# -- flow matching ----------------------------------------------------------------------------------


def velocity_from_noise(x: Tensor, tau: float | Tensor, noise: Tensor) -> Tensor:
    r"""The velocity of flow matching that a prediction of the noise says, of the shape of ``x``.

    .. math:: x_\tau = (1-\tau)\,x_0 + \tau\,\varepsilon, \qquad
        v = \varepsilon - x_0 = \frac{\varepsilon - x_\tau}{1-\tau}

    (Lipman et al. 2023, with :math:`\tau` running from the data to the noise; Liu et al. 2023.) So :math:`x_\tau` is
    :math:`(1-\tau)\,y` of :mod:`~diffusion_notes.samplers`, at :math:`\kappa = \tau/(1-\tau)`.

    Arguments:
        x: :math:`x_\tau`, of shape ``(..., D)``.
        tau: :math:`\tau` in [0, 1), a number or a tensor of shape ``(...)``.
        noise: the prediction of :math:`\varepsilon`, like ``x``.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> velocity_from_noise(torch.tensor([1.5]), 0.5, torch.tensor([2.0]))
    tensor([1.])
    """
    left = _left(x, tau, "noise", noise)
    return (noise - x) / left


def noise_from_velocity(x: Tensor, tau: float | Tensor, velocity: Tensor) -> Tensor:
    r"""The other way: :math:`\varepsilon = x_\tau + (1-\tau)\,v`; the rest as of :func:`velocity_from_noise`.

    >>> noise_from_velocity(torch.tensor([1.5]), 0.5, torch.tensor([1.0]))
    tensor([2.])
    """
    left = _left(x, tau, "velocity", velocity)
    return x + left * velocity


def _left(x: Tensor, tau: float | Tensor, name: str, value: Tensor) -> Tensor | float:
    r""":math:`1-\tau`, to multiply ``x``."""
    check_last_axis("x", x)
    check_finite("x", x)
    check_alike(name, value, "x", x)
    check_finite(name, value)
    if not isinstance(tau, Tensor):
        number = check_number("tau", tau, 0, 1, what="a number or a floating-point tensor")
        if number == 1:
            raise ValueError(f"tau must be below 1, where nothing is left of the data, got {tau}")
        return 1 - number
    check_tensor("tau", tau)
    if tau.shape not in (x.shape[:-1], ()):
        raise ValueError(f"tau must have a shape that fits the points' {tuple(x.shape[:-1])}, got {tuple(tau.shape)}")
    check_same_dtype_and_device("tau", tau, "x", x)
    if not all_hold((tau >= 0) & (tau < 1)):
        raise ValueError("tau must be at least 0 and below 1, and some of its entries are not")
    return 1 - tau.unsqueeze(-1)


def straightness(path: Tensor) -> Tensor:
    """How much longer each of n paths is than the straight line between its ends, ``(n,)``: 1 if it is straight.

    Arguments:
        path: points along each, of shape ``(k, n, D)`` with k ≥ 2. Between them it is taken to be straight.

    Raises:
        TypeError: ``path`` is no floating-point tensor.
        ValueError: its shape is another.

    Values are not checked, because this is called inside loops; a path that returns to its start has no finite one.

    >>> straightness(torch.tensor([[[0.0, 0.0]], [[3.0, 0.0]], [[3.0, 4.0]]]))
    tensor([1.4000])
    """
    check_tensor("path", path)
    check_precise("path", path)
    if path.dim() != 3 or len(path) < 2:
        raise ValueError(f"path must have shape (k, n, D) with k >= 2, got {tuple(path.shape)}")
    length = path.diff(dim=0).norm(dim=-1).sum(0)
    return length / (path[-1] - path[0]).norm(dim=-1)
