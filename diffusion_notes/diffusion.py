r"""The forward process: a chain of Gaussians that forgets where it started.

.. math::
    q(x_t \mid x_{t-1}) = \mathcal N\bigl(x_t;\ \sqrt{1-\beta_t}\,x_{t-1},\ \beta_t I\bigr), \qquad
    q(x_t \mid x_0) = \mathcal N\bigl(x_t;\ \sqrt{\bar\alpha_t}\,x_0,\ (1-\bar\alpha_t) I\bigr)

with :math:`\alpha_t = 1-\beta_t` and :math:`\bar\alpha_t = \prod_{i=1}^t \alpha_i` (Ho et al. 2020,
equations 2 and 4). The index in the code is the paper's: t runs from 1 to T, and :math:`\bar\alpha_0 = 1`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor
from torch.distributions import Independent

from diffusion_notes.checks import check_inside, check_integer, check_kind, check_number
from diffusion_notes.distributions import draw, gaussian
from diffusion_notes.schedule_checks import check_times, checked_table
from diffusion_notes.tables import Tables
from diffusion_notes.tensor_checks import check_alike, check_generator, check_last_axis, check_tensor

__all__ = ["ForwardProcess", "Schedule"]


@dataclass(frozen=True, eq=False)
class Schedule:
    r"""The variances :math:`\beta_0 = 0, \beta_1, \dots, \beta_T` and all that follows from them.

    Every table holds T + 1 float64 values, so ``alpha_bar[t]`` is :math:`\bar\alpha_t`; float32
    would cost :math:`\tilde\beta_t` four digits. Values are cast where they are used, by
    :meth:`at`.

    Arguments:
        beta: T + 1 values, of which the first is 0 and the others lie strictly between 0 and 1.

    Raises:
        TypeError: ``beta`` is not a floating-point tensor.
        ValueError: its shape or a value is not as said above.

    >>> schedule = Schedule.linear(T=1000)
    >>> schedule.alpha_bar[0].item(), round(schedule.alpha_bar[1000].item(), 8)
    (1.0, 4.036e-05)
    """

    beta: Tensor
    tables: Tables = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # the tables live on the CPU, whatever is diffused: MPS has no float64, and looking is free
        object.__setattr__(self, "beta", checked_table("beta", self.beta, below=1))
        if self.beta[0] != 0:
            raise ValueError(f"beta[0] must be 0 (t starts at 1), got {self.beta[0].item():g}")
        object.__setattr__(self, "tables", Tables(functools.partial(getattr, self)))

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
        return (-self.beta).log1p().cumsum(0).exp()

    @property
    def one_minus_alpha_bar(self) -> Tensor:
        r""":math:`1-\bar\alpha_t`, the variance of the noise in :math:`x_t`, without the rounding of a difference."""
        return -(-self.beta).log1p().cumsum(0).expm1()

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

        The values of a tensor are checked on the CPU only, on a GPU looking at one would halt it, and not at all
        unless ``look``.
        """
        check_tensor("x", x)
        check_integer("least", least, least=0)
        check_times(t, x, least, self.T, look)


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
