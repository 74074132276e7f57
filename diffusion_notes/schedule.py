r"""Noise schedules: the variances of a diffusion, what follows from them, and the best ones for few layers.

A :class:`Schedule` holds :math:`\beta_1, \dots, \beta_T`. :func:`best_schedule` finds the best noise levels for a
diffusion model of few layers, and :func:`best_bound` the best bound that such a model can have. For data whose minimum
mean squared error :math:`\mathbb E \operatorname{tr} \operatorname{Cov}(x_0 \mid x_t)` (:func:`mmse`) is known at
every noise level, the cost of each step is known too. A step from level t down to level s < t, with the perfect mean
and the best variance for it, costs on average

.. math::
    \mathbb E\, D_{KL}\bigl(q(x_s|x_t,x_0) \,\Vert\, p(x_s|x_t)\bigr) = \frac D2 \log\frac{v}{\tilde\beta},
    \qquad v = \tilde\beta + \frac{c^2}{D}\, \mathbb E \operatorname{tr} \operatorname{Cov}(x_0 \mid x_t),

with :math:`\tilde\beta` the variance of :math:`q(x_s|x_t,x_0)` and c the weight of :math:`x_0` in its mean. The whole
negative bound is a sum of such costs over the levels that are visited, so the best L of them are the
cheapest path of L edges, and dynamic programming finds it (Watson et al. 2021).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from diffusion_notes._arguments.levels import check_times, checked_table
from diffusion_notes._arguments.tensors import check_has_values, check_tensor
from diffusion_notes._arguments.values import (
    check_inside,
    check_integer,
    check_kind,
    check_number,
    check_positive,
    describe,
)
from diffusion_notes.data.known import KnownDistribution

__all__ = ["DeviceTables", "Schedule", "best_bound", "best_schedule", "log_snr_levels", "mmse"]

_DIM = 2  # of the data whose best levels are sought
_LEAST_BETA = 1e-100  # the product of two of them is still a number


class DeviceTables:
    """Tables by name, on any device and in any dtype.

    Arguments:
        make: returns the float64 table of a name. It is asked once for each device and dtype, since
            copying at every step of a loop would synchronise with the device.

    Raises:
        TypeError: ``make`` cannot be called.

    >>> squares = DeviceTables({"square": torch.arange(4.0) ** 2}.__getitem__)
    >>> squares.at("square", torch.tensor([3, 2]), like=torch.empty(2, 5))
    tensor([[9.],
            [4.]])
    """

    def __init__(self, make: Callable[[str], Tensor]) -> None:
        if not callable(make):
            raise TypeError(f"make must be callable as make(name), got {describe(make)}")
        self.make = make
        self.placed: dict[tuple[str, torch.device, torch.dtype], Tensor] = {}

    def at(self, name: str, t: int | Tensor, like: Tensor) -> Tensor:
        """The entries ``t``, of shape ``(...)``, on the device and in the dtype of ``like``, as ``(..., 1)``.

        The values of a tensor ``t`` are not checked, because this is called inside loops.

        Raises:
            TypeError: ``t`` is not an integer or a tensor of integers, or ``like`` no floating-point tensor.
            ValueError: there is no such table, no such entry, or ``t`` is a tensor on another device.
        """
        table = self.whole(name, like)
        if not isinstance(t, Tensor):
            return table[check_integer("t", t, least=0, most=len(table) - 1)].unsqueeze(-1)
        if t.dtype not in (torch.int32, torch.int64):
            raise TypeError(f"t must be an integer tensor (int32 or int64), got {describe(t)}")
        if t.device != like.device:
            raise ValueError(f"t must be on the device of what is multiplied, {like.device}, got one on {t.device}")
        return table[t.unsqueeze(-1)]  # a t of no axes would be read on the host, which vmap of a gradient cannot

    def whole(self, name: str, like: Tensor) -> Tensor:
        """All the entries, on the device and in the dtype of ``like``; errors as of :meth:`at`."""
        check_tensor("like", like)
        key = (str(name), like.device, like.dtype)
        if key not in self.placed:
            try:
                table = self.make(name)
                check_tensor("a table", table)
            except (AttributeError, KeyError, TypeError) as error:
                raise ValueError(f"name must be that of a table, got {describe(name)}") from error
            with torch.inference_mode(False):  # what is kept must be good for training too
                self.placed[key] = table.to(like.dtype).to(like.device)
        return self.placed[key]


@dataclass(frozen=True, eq=False)
class Schedule:
    r"""The variances :math:`\beta_0 = 0, \beta_1, \dots, \beta_T` and all that follows from them.

    Every table holds T + 1 float64 values, so ``alpha_bar[t]`` is :math:`\bar\alpha_t`; float32
    would cost :math:`\tilde\beta_t` four digits. Values are cast where they are used, by
    :meth:`at`.

    Arguments:
        beta: T + 1 values, of which the first is 0 and the others lie strictly between 0 and 1, and not below 1e-100:
            the product of two variances would round to 0.

    Raises:
        TypeError: ``beta`` is not a floating-point tensor.
        ValueError: its shape or a value is not as said above.

    >>> schedule = Schedule.linear(T=1000)
    >>> schedule.alpha_bar[0].item(), round(schedule.alpha_bar[1000].item(), 8)
    (1.0, 4.036e-05)
    """

    beta: Tensor
    tables: DeviceTables = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # the tables live on the CPU, whatever is diffused: MPS has no float64, and looking is free
        object.__setattr__(self, "beta", checked_table("beta", self.beta, below=1))
        if self.beta[0] != 0:
            raise ValueError(f"beta[0] must be 0 (t starts at 1), got {self.beta[0].item():g}")
        if (least := self.beta[1:].min().item()) < _LEAST_BETA:
            raise ValueError(f"beta[1], ..., beta[T] must not be below {_LEAST_BETA:g}, got {least:g}")
        object.__setattr__(self, "tables", DeviceTables(functools.partial(getattr, self)))

    @classmethod
    def linear(cls, T: int, beta_1: float = 1e-4, beta_T: float = 0.02) -> Schedule:
        r""":math:`\beta_t` rising evenly from ``beta_1`` to ``beta_T`` (Ho et al. 2020, section 4).

        Raises:
            TypeError: ``T`` is not an integer, or a variance no number.
            ValueError: ``T`` < 1, or a variance is not strictly between 0 and 1.

        >>> Schedule.linear(T=3, beta_1=0.1, beta_T=0.3).beta
        tensor([0.0000, 0.1000, 0.2000, 0.3000], dtype=torch.float64)
        """
        check_integer("T", T, least=1)
        for name, value in (("beta_1", beta_1), ("beta_T", beta_T)):
            check_inside(name, value, 0, 1)
        beta = torch.linspace(beta_1, beta_T, T, dtype=torch.float64, device="cpu")
        return cls(torch.cat((beta.new_zeros(1), beta)))

    @classmethod
    def cosine(cls, T: int, s: float = 0.008, largest: float = 0.999) -> Schedule:
        r""":math:`\bar\alpha_t \propto \cos^2\bigl(\tfrac{t/T+s}{1+s}\tfrac\pi2\bigr)`, with capped variances.

        Nichol and Dhariwal 2021, equation 17; ``s`` in [0, 1], no variance above ``largest``. Raises as :meth:`linear`.

        >>> Schedule.cosine(T=1000).alpha_bar[500].round(decimals=2).item()
        0.49
        """
        check_integer("T", T, least=1)
        check_number("s", s, 0, 1)
        check_inside("largest", largest, 0, 1)
        t = torch.arange(T + 1, dtype=torch.float64, device="cpu")
        alpha_bar = ((t / T + s) / (1 + s) * math.pi / 2).cos().square()
        beta = (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=largest)
        return cls(torch.cat((beta.new_zeros(1), beta)))

    @classmethod
    def through(cls, levels: Tensor) -> Schedule:
        r"""The schedule whose :math:`\bar\alpha_1, \dots, \bar\alpha_T` are these.

        Raises:
            TypeError: ``levels`` is no floating-point tensor.
            ValueError: they do not fall, or do not lie strictly between 0 and 1.

        >>> Schedule.through(torch.tensor([0.5, 0.25])).beta
        tensor([0.0000, 0.5000, 0.5000], dtype=torch.float64)
        """
        levels = _checked_levels(levels)
        alpha_bar = torch.cat((levels.new_ones(1), levels))
        beta = 1 - alpha_bar[1:] / alpha_bar[:-1]
        return cls(torch.cat((beta.new_zeros(1), beta)))

    @property
    def T(self) -> int:
        """The number of steps."""
        return len(self.beta) - 1

    @property
    def alpha(self) -> Tensor:
        r""":math:`\alpha_t = 1 - \beta_t`."""
        return 1 - self.beta

    @property
    def alpha_bar(self) -> Tensor:
        r""":math:`\bar\alpha_t = \prod_{i=1}^t \alpha_i`, with :math:`\bar\alpha_0 = 1`."""
        return self._log_alpha_bar.exp()

    @property
    def one_minus_alpha_bar(self) -> Tensor:
        r""":math:`1-\bar\alpha_t`, the variance of the noise in :math:`x_t`, without the rounding of a difference."""
        return -self._log_alpha_bar.expm1()

    @property
    def log_snr(self) -> Tensor:
        r""":math:`\log\frac{\bar\alpha_t}{1-\bar\alpha_t}`, the log signal-to-noise ratio; infinite for t = 0.

        It is finite for all other t, also where :math:`\bar\alpha_t` or :math:`1-\bar\alpha_t` is near 0.
        """
        return self._log_alpha_bar - self.one_minus_alpha_bar.log()

    @property
    def kappa(self) -> Tensor:
        r""":math:`\kappa_t = \sqrt{(1-\bar\alpha_t)/\bar\alpha_t}`, how much noise there is in
        :math:`x_t/\sqrt{\bar\alpha_t}`; 0 for t = 0.
        """
        return (-self.log_snr / 2).exp()

    def nearest(self, kappa: float) -> int:
        r"""The step t, from 1 to T, whose :math:`\kappa_t` is the nearest in its logarithm; the lower one of two.

        Raises:
            TypeError: ``kappa`` is no number.
            ValueError: it is not positive and finite.

        >>> schedule = Schedule.linear(T=1000)
        >>> [schedule.nearest(kappa) for kappa in (0.01, 1.0, 157.4)]
        [1, 259, 1000]
        """
        log_kappa = math.log(check_positive("kappa", kappa))
        return 1 + int((self.log_snr[1:] / -2 - log_kappa).abs().argmin())

    @property
    def _log_alpha_bar(self) -> Tensor:
        return (-self.beta).log1p().cumsum(0)

    @property
    def beta_tilde(self) -> Tensor:
        r""":math:`\tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\beta_t`, the variance of
        :math:`q(x_{t-1} \mid x_t, x_0)`; :math:`\tilde\beta_1 = 0`, and :math:`\tilde\beta_0 := 0`.
        """
        return self._over_noise(self.one_minus_alpha_bar[:-1] * self.beta[1:])

    @property
    def sqrt_alpha(self) -> Tensor:
        r""":math:`\sqrt{\alpha_t}`."""
        return self.alpha.sqrt()

    @property
    def sqrt_beta(self) -> Tensor:
        r""":math:`\sqrt{\beta_t}`, a standard deviation."""
        return self.beta.sqrt()

    @property
    def sigma_tilde(self) -> Tensor:
        r""":math:`\sqrt{\tilde\beta_t}`, but :math:`\sqrt{\beta_1}` at t = 1: a density needs a variance."""
        variance = self.beta_tilde
        variance[1] = self.beta[1]
        return variance.sqrt()

    @property
    def sqrt_alpha_bar(self) -> Tensor:
        r""":math:`\sqrt{\bar\alpha_t}`, how much of :math:`x_0` is left in :math:`x_t`."""
        return self.alpha_bar.sqrt()

    @property
    def sqrt_one_minus_alpha_bar(self) -> Tensor:
        r""":math:`\sqrt{1-\bar\alpha_t}`, the standard deviation of the noise in :math:`x_t`."""
        return self.one_minus_alpha_bar.sqrt()

    @property
    def from_x0(self) -> Tensor:
        r""":math:`\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}`: :math:`x_0` in :math:`\tilde\mu_t`."""
        return self._over_noise(self.sqrt_alpha_bar[:-1] * self.beta[1:])

    @property
    def from_xt(self) -> Tensor:
        r""":math:`\frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}`: :math:`x_t` in it."""
        return self._over_noise(self.sqrt_alpha[1:] * self.one_minus_alpha_bar[:-1])

    def _over_noise(self, numerator: Tensor) -> Tensor:
        return torch.cat((numerator.new_zeros(1), numerator / self.one_minus_alpha_bar[1:]))

    def at(self, name: str, t: int | Tensor, like: Tensor) -> Tensor:
        """The entries ``t`` of the table ``name``, on the device and in the dtype of ``like``.

        Arguments:
            name: one of the properties above, ``"alpha_bar"`` for instance.
            t: an integer, or an integer tensor of any shape ``(...)`` on the device of ``like``.
            like: what the result multiplies.

        Returns:
            A tensor of shape ``(..., 1)``, which broadcasts over the event axis.

        The values of a tensor ``t`` are not checked, because this is called inside loops: see :meth:`check_t`.

        >>> Schedule.linear(T=10).at("alpha_bar", torch.tensor([0, 0]), like=torch.empty(2, 5))
        tensor([[1.],
                [1.]])
        """
        return self.tables.at(name, t, like)

    def check_t(self, t: int | Tensor, x: Tensor, least: int = 1, look: bool = True) -> None:
        """Raise unless ``t`` is an integer (TypeError) from ``least`` to T, or a tensor that fits ``x`` (ValueError).

        The values of a tensor are checked on the CPU only, since looking at one synchronises with the device, and not
        at all unless ``look``.
        """
        check_tensor("x", x)
        check_integer("least", least, least=0)
        check_times(t, x, least, self.T, look)


def log_snr_levels(count: int, first: float = 0.9999, last: float = 4e-5) -> Tensor:
    r"""``count`` noise levels :math:`\bar\alpha`, evenly spaced in log signal-to-noise ratio, falling; float64.

    Raises:
        TypeError: an argument is no number.
        ValueError: ``count`` < 2, or not 1 > ``first`` > ``last`` > 0.

    >>> log_snr_levels(3, first=0.9, last=0.1)
    tensor([0.9000, 0.5000, 0.1000], dtype=torch.float64)
    """
    check_integer("count", count, least=2)
    check_inside("first", first, 0, 1)
    check_inside("last", last, 0, first)
    start, end = torch.tensor([first, last], dtype=torch.float64, device="cpu").logit().tolist()
    return torch.linspace(start, end, count, dtype=torch.float64, device="cpu").sigmoid()


def mmse(data: KnownDistribution, levels: Tensor) -> Tensor:
    r""":math:`\mathbb E \operatorname{tr} \operatorname{Cov}(x_0 \mid x_t)` at each level, exactly.

    It is :math:`\frac{1-\bar\alpha_t}{\bar\alpha_t}
    \bigl(D - (1-\bar\alpha_t)\,\mathbb E\lVert\nabla\log q(x_t)\rVert^2\bigr)`.

    Raises:
        TypeError: ``data`` is not known at every noise level, or ``levels`` is no floating-point tensor.
        ValueError: ``levels`` do not fall, or do not lie strictly between 0 and 1.
    """
    check_kind("data", data, KnownDistribution, "known at every noise level")
    each = []
    for level in _checked_levels(levels).tolist():
        information = _fisher_information(data.diffuse(level))
        each.append((1 - level) / level * (_DIM - (1 - level) * information))
    return torch.tensor(each, dtype=torch.float64, device="cpu")


def _fisher_information(diffused: KnownDistribution) -> float:
    r""":math:`\mathbb E\lVert\nabla\log q(x_t)\rVert^2`, about where the distribution is."""

    def squared_score(x: Tensor) -> Tensor:
        return diffused.score(x).square().sum(-1)

    return diffused.expect(squared_score).item()


def best_schedule(
    levels: Tensor, mmses: Tensor, layers: int, second_moment: float | None = None
) -> tuple[Schedule, float]:
    r"""The cheapest schedule of that many layers, and its best bound without the term :math:`L_T`, in nats.

    Arguments:
        levels: the levels to choose from: N falling values of :math:`\bar\alpha_t`, as of :func:`log_snr_levels`.
        mmses: those of :func:`mmse`, for the same levels.
        layers: L, how many are to be visited; at most as many as there are.
        second_moment: :math:`\mathbb E\lVert x_0 \rVert^2`; the cheapest end is then chosen too, by what :math:`L_T`
            costs there. Without it the last level is the end.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: ``levels`` do not fall within (0, 1), ``mmses`` do not fit them or are not positive, ``layers``
            is less than 1 or more than N, or ``second_moment`` is not positive.
    """
    levels = _checked_levels(levels)
    mmses = _checked_mmses(mmses, levels)
    check_integer("layers", layers, least=1, most=len(levels))
    if second_moment is not None:
        check_positive("second_moment", second_moment)
    to_data, between = _step_costs(levels, mmses)
    cost = to_data  # of the cheapest way from each level to the data, with one step, then with two, ...
    nearest = []  # the level that this way visits first
    for _ in range(layers - 1):
        cost, lower = (cost[:, None] + between).min(0)
        nearest.append(lower)
    end = len(levels) - 1
    if second_moment is not None:
        end = int((cost + _prior_kl(levels, second_moment)).argmin())
    visited = [end]
    for lower in reversed(nearest):
        visited.append(int(lower[visited[-1]]))
    return Schedule.through(levels[visited[::-1]]), cost[end].item()


def best_bound(levels: Tensor, mmses: Tensor, second_moment: float) -> float:
    r"""The least that a diffusion model can reach that visits all these levels: :math:`-\text{ELBO}`, in nats.

    Its steps have the perfect mean, and the best variance that does not depend on the point. Arguments and errors as
    in :func:`best_schedule`.
    """
    levels = _checked_levels(levels)
    mmses = _checked_mmses(mmses, levels)
    check_positive("second_moment", second_moment)
    to_data, between = _step_costs(levels, mmses)
    return (to_data[0] + between.diagonal(1).sum() + _prior_kl(levels, second_moment)[-1]).item()


def _step_costs(levels: Tensor, mmses: Tensor) -> tuple[Tensor, Tensor]:
    r"""What it costs to go from each level to the data, ``(N,)``, and from level t (column) to s (row), ``(N, N)``.

    The first is :math:`-\mathbb E \log p(x_0|x_t) = \frac D2\log(2\pi e\,v)`, a density's, and may be negative. The
    second is infinite unless s is the lower of the two.
    """
    t = levels
    s = levels[:, None]
    beta = (1 - t / s).clamp(min=0)  # of the one big step from s to t
    beta_tilde = (1 - s) / (1 - t) * beta
    weight = s.sqrt() * beta / (1 - t)
    excess = weight.square() * mmses / _DIM / beta_tilde  # v / beta_tilde - 1
    between = torch.where(beta > 0, _DIM / 2 * excess.log1p(), math.inf)
    to_data = _DIM / 2 * (2 * math.pi * math.e * mmses / _DIM).log()
    return to_data, between


def _prior_kl(levels: Tensor, second_moment: float) -> Tensor:
    r""":math:`\mathbb E\,D_{KL}(q(x_t|x_0) \,\Vert\, \mathcal N(0, I))` at each level: :math:`L_T` at the last."""
    return (levels * (second_moment - _DIM) - _DIM * (-levels).log1p()) / 2


def _checked_mmses(mmses: Tensor, levels: Tensor) -> Tensor:
    """One for each level, in float64 on the CPU, where looking is free."""
    check_tensor("mmses", mmses)
    check_has_values("mmses", mmses)
    if mmses.shape != levels.shape or not bool(((mmses > 0) & (mmses < math.inf)).all()):
        raise ValueError(f"mmses must be {len(levels)} positive numbers, as levels, got {describe(mmses)}")
    return mmses.detach().to("cpu").double()


def _checked_levels(levels: Tensor) -> Tensor:
    """Levels in float64 on the CPU, where looking is free."""
    check_tensor("levels", levels)
    check_has_values("levels", levels)
    table = levels.detach().to("cpu").double()
    within = table.dim() == 1 and bool(((table > 0) & (table < 1)).all()) and bool((table.diff() < 0).all())
    if not within or not len(table):
        raise ValueError(f"levels must fall, and lie strictly between 0 and 1, got {describe(levels)}")
    return table
