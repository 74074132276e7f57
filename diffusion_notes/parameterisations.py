r"""One prediction, five names: the noise, the data, the mean of the next step, the score, and v.

Given :math:`x_t`, each of them determines the others, since
:math:`x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon`. What differs is how much an error
in one counts as an error in another, and that is the weight of a loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from diffusion_notes._arguments.levels import checked_table
from diffusion_notes._arguments.tensors import check_alike, check_tensor
from diffusion_notes._arguments.values import check_integer, check_kind
from diffusion_notes.schedule import Schedule

__all__ = ["Prediction", "best_variance", "variational_constant", "variational_weight"]


@dataclass(frozen=True)
class Prediction:
    r"""What is predicted about :math:`x_t`, as the noise; the properties say it in other words.

    Arguments:
        schedule: whose t is meant.
        xt: points of shape ``(..., D)``.
        t: an integer, or an integer tensor of shape ``(...)``, from 1 to T.
        noise: the prediction of :math:`\varepsilon`, of the shape of ``xt``.

    Raises:
        TypeError, ValueError: as :meth:`~diffusion_notes.schedule.Schedule.check_t`, or ``noise`` is not like ``xt``.

    The values of points are not checked, because this is called inside loops.

    >>> import torch
    >>> guess = Prediction(Schedule.linear(T=10), torch.ones(1, 2), 10, torch.zeros(1, 2))
    >>> bool((Prediction.from_v(guess.schedule, guess.xt, 10, guess.v).noise.abs() < 1e-6).all())
    True
    """

    schedule: Schedule
    xt: Tensor
    t: int | Tensor
    noise: Tensor

    def __post_init__(self) -> None:
        _check(self.schedule, self.xt, self.t, noise=self.noise)

    def _at(self, name: str) -> Tensor:
        return self.schedule.at(name, self.t, self.xt)

    @property
    def x0(self) -> Tensor:
        r""":math:`\hat x_0 = (x_t - \sqrt{1-\bar\alpha_t}\,\varepsilon) / \sqrt{\bar\alpha_t}`."""
        noise = self._at("sqrt_one_minus_alpha_bar") * self.noise
        return (self.xt - noise) / self._at("sqrt_alpha_bar")

    @property
    def mean(self) -> Tensor:
        r""":math:`\mu = (x_t - \beta_t\,\varepsilon / \sqrt{1-\bar\alpha_t}) / \sqrt{\alpha_t}`."""
        change = self._at("beta") / self._at("sqrt_one_minus_alpha_bar")
        return (self.xt - change * self.noise) / self._at("sqrt_alpha")

    @property
    def score(self) -> Tensor:
        r""":math:`\nabla\log q(x_t) = -\varepsilon / \sqrt{1-\bar\alpha_t}`, if the noise is the expected one."""
        return -self.noise / self._at("sqrt_one_minus_alpha_bar")

    @property
    def v(self) -> Tensor:
        r""":math:`v = \sqrt{\bar\alpha_t}\,\varepsilon - \sqrt{1-\bar\alpha_t}\,x_0` (Salimans and Ho 2022)."""
        data = self._at("sqrt_one_minus_alpha_bar") * self.x0
        return self._at("sqrt_alpha_bar") * self.noise - data

    @classmethod
    def from_x0(cls, schedule: Schedule, xt: Tensor, t: int | Tensor, x0: Tensor) -> Prediction:
        """From a prediction of the data."""
        at = _check(schedule, xt, t, x0=x0)
        return cls(schedule, xt, t, (xt - at("sqrt_alpha_bar") * x0) / at("sqrt_one_minus_alpha_bar"))

    @classmethod
    def from_mean(cls, schedule: Schedule, xt: Tensor, t: int | Tensor, mean: Tensor) -> Prediction:
        """From the mean of the next step."""
        at = _check(schedule, xt, t, mean=mean)
        return cls(schedule, xt, t, (xt - at("sqrt_alpha") * mean) * at("sqrt_one_minus_alpha_bar") / at("beta"))

    @classmethod
    def from_score(cls, schedule: Schedule, xt: Tensor, t: int | Tensor, score: Tensor) -> Prediction:
        """From the score."""
        at = _check(schedule, xt, t, score=score)
        return cls(schedule, xt, t, -at("sqrt_one_minus_alpha_bar") * score)

    @classmethod
    def from_v(cls, schedule: Schedule, xt: Tensor, t: int | Tensor, v: Tensor) -> Prediction:
        """From v."""
        at = _check(schedule, xt, t, v=v)
        return cls(schedule, xt, t, at("sqrt_alpha_bar") * v + at("sqrt_one_minus_alpha_bar") * xt)


def variational_weight(schedule: Schedule, sigma_squared: Tensor) -> Tensor:
    r""":math:`w_t = \frac{\beta_t^2}{2\sigma_t^2\alpha_t(1-\bar\alpha_t)}`, for t = 0, ..., T with :math:`w_0 := 0`.

    For t > 1, :math:`L_{t-1} = w_t\,\mathbb E\lVert\varepsilon - \varepsilon_\theta\rVert^2 + C_t` (Ho et al. 2020,
    equation 12); :math:`L_0` has the same first term, with :math:`\tfrac D2\log 2\pi\sigma_1^2` for a constant.

    Arguments:
        schedule: the variances of the forward process.
        sigma_squared: the table of :math:`\sigma_t^2`: :attr:`~diffusion_notes.ddpm.DDPM.sigma_squared`.

    Raises:
        TypeError, ValueError: the table is none, or has not T + 1 values, positive and finite from t = 1 on.
    """
    sigma_squared = _checked_variance(schedule, sigma_squared)
    weight = schedule.beta.new_zeros(schedule.T + 1)
    weight[1:] = schedule.beta[1:].square() / schedule.one_minus_alpha_bar[1:] / schedule.alpha[1:]
    weight[1:] /= 2 * sigma_squared[1:]
    return weight


def variational_constant(schedule: Schedule, sigma_squared: Tensor, dim: int) -> Tensor:
    r"""What is left of each :math:`L_{t-1}` when the prediction is exact, for t = 0, ..., T; 0 for t = 0.

    .. math:: C_t = \tfrac D2\Bigl(\frac{\tilde\beta_t}{\sigma_t^2} - 1 - \log\frac{\tilde\beta_t}{\sigma_t^2}\Bigr)
        \quad (t > 1), \qquad C_1 = \tfrac D2\log 2\pi\sigma_1^2 .

    It is zero for t > 1 exactly where :math:`\sigma_t^2 = \tilde\beta_t`. Arguments and errors as in
    :func:`variational_weight`; ``dim`` is D.
    """
    sigma_squared = _checked_variance(schedule, sigma_squared)
    check_integer("dim", dim, least=1)
    constant = schedule.beta.new_zeros(schedule.T + 1)
    ratio = schedule.beta_tilde[2:] / sigma_squared[2:]
    constant[2:] = dim / 2 * (ratio - 1 - ratio.log())
    constant[1] = dim / 2 * (math.log(2 * math.pi) + sigma_squared[1].log())
    return constant


def best_variance(schedule: Schedule, loss: Tensor, dim: int) -> Tensor:
    r"""The :math:`\sigma_t^2` with which a prediction costs the bound least, for t = 0, ..., T; 0 for t = 0.

    .. math:: \tilde\beta_t + \frac{\beta_t^2}{\alpha_t(1-\bar\alpha_t)} \cdot \frac{\ell_t}{D}

    (Bao et al. 2022; equation (5.12) of the book.)

    Arguments:
        schedule: the variances of the forward process.
        loss: the table of :math:`\ell_t = \mathbb E\lVert\varepsilon - \varepsilon_\theta(x_t, t)\rVert^2`, of a
            network or the smallest possible; T + 1 values, of which the first is not used.
        dim: D.

    Raises:
        TypeError, ValueError: the table is none, or has not T + 1 values, positive and finite from t = 1 on; or
            ``dim`` is not an integer from 1 on.

    >>> schedule = Schedule.linear(T=10)
    >>> standard_normal = best_variance(schedule, 2 * schedule.alpha_bar, dim=2)  # data of variance one
    >>> bool((standard_normal - schedule.beta).abs().max() < 1e-12)
    True
    """
    check_kind("schedule", schedule, Schedule)
    loss = checked_table("loss", loss, schedule.T + 1)
    check_integer("dim", dim, least=1)
    spread = schedule.beta[1:].square() / schedule.alpha[1:] / schedule.one_minus_alpha_bar[1:]
    best = schedule.beta_tilde.clone()
    best[1:] += spread * loss[1:] / dim
    return best


def _check(schedule: Schedule, xt: Tensor, t: int | Tensor, **prediction: Tensor) -> Callable[[str], Tensor]:
    """Check what a prediction is made of, and return what gives the entries t of a table."""
    check_kind("schedule", schedule, Schedule)
    check_tensor("xt", xt)
    for name, value in prediction.items():
        check_alike(name, value, "xt", xt)
    schedule.check_t(t, xt)
    return lambda table: schedule.at(table, t, xt)


def _checked_variance(schedule: Schedule, sigma_squared: Tensor) -> Tensor:
    check_kind("schedule", schedule, Schedule)
    return checked_table("sigma_squared", sigma_squared, schedule.T + 1)
