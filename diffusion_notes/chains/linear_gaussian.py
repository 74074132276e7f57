r"""Chains whose every conditional is linear and Gaussian: everything about them is known exactly.

.. math::
    p(z_{i-1} \mid z_i) = \mathcal N(A_i z_i + b_i,\ s_i^2 I), \qquad
    q(z_i \mid z_{i-1}) = \mathcal N(C_i z_{i-1} + d_i,\ r_i^2 I), \qquad p(z_L) = \mathcal N(0, I).

All the variables together are Gaussian, so :math:`\log p(x)`, the bound, each of its terms and the
true posterior have closed forms. They are the ruler for what the other modules estimate.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal

from diffusion_notes._arguments.tensors import (
    check_alike,
    check_finite,
    check_points,
    check_precise,
    check_same_dtype_and_device,
    checked_device,
)
from diffusion_notes._arguments.values import check_integer, check_list, check_number, check_positive
from diffusion_notes.chains.protocol import Bound
from diffusion_notes.distributions import gaussian, standard_normal

__all__ = ["Affine", "LinearGaussianChain"]


@dataclass(frozen=True)
class Affine:
    r"""A conditional Gaussian :math:`\mathcal N(A z + b,\ s^2 I)`.

    Arguments:
        weight: A, of shape ``(D_out, D_in)``.
        bias: b, of shape ``(D_out,)``.
        std: s, a scalar tensor.

    >>> step = Affine(torch.eye(2), torch.zeros(2), torch.tensor(0.5))
    >>> step(torch.ones(3, 2)).mean.shape
    torch.Size([3, 2])
    """

    weight: Tensor
    bias: Tensor
    std: Tensor

    def __post_init__(self) -> None:
        check_points("weight", self.weight, least=1, finite=True)
        check_precise("weight", self.weight)
        check_alike("bias", self.bias, "a column of weight", self.weight[:, 0])
        check_alike("std", self.std, "an entry of weight", self.weight[0, 0])
        check_finite("bias", self.bias)
        check_finite("std", self.std, positive=True)

    @classmethod
    def scalar(cls, weight: float, std: float, bias: float = 0.0, device: torch.device | None = None) -> Affine:
        """The step between two single numbers, in double precision.

        >>> Affine.scalar(2.0, 0.5)(torch.ones(1, 1, dtype=torch.float64)).mean
        tensor([[2.]], dtype=torch.float64)
        """
        number = functools.partial(torch.tensor, dtype=torch.float64, device=checked_device(device))
        return cls(
            number([[check_number("weight", weight)]]),
            number([check_number("bias", bias)]),
            number(check_positive("std", std)),
        )

    def __call__(self, z: Tensor) -> Independent:
        """The Gaussian given ``z`` of shape ``(n, D_in)``.

        Values are not checked, because this is called inside loops.
        """
        check_points("z", z, dim=self.weight.shape[1])
        check_same_dtype_and_device("z", z, "weight", self.weight)
        return gaussian(z @ self.weight.T + self.bias, self.std)


class LinearGaussianChain:
    """A :class:`~diffusion_notes.chains.protocol.Chain` with closed forms for what is otherwise estimated.

    Arguments:
        generative: the steps p, from :math:`p(z_0 | z_1)` to :math:`p(z_{L-1} | z_L)`.
        inference: the steps q, from :math:`q(z_1 | z_0)` to :math:`q(z_L | z_{L-1})`.

    Raises:
        TypeError: an argument is no list of :class:`Affine`.
        ValueError: there is no step, or their numbers, dimensions, dtypes or devices do not fit.

    In the steps, values of points are not checked, because this is called inside loops.
    """

    def __init__(self, generative: Sequence[Affine], inference: Sequence[Affine]) -> None:
        check_list("generative", generative, "a list of steps", Affine, "Affine")
        check_list("inference", inference, "a list of steps", Affine, "Affine")
        self.length = len(generative)
        if self.length == 0 or len(inference) != self.length:
            lengths = f"{self.length} and {len(inference)}"
            raise ValueError(f"generative and inference must have as many steps, and at least one: got {lengths}")
        self.generative = tuple(generative)
        self.inference = tuple(inference)
        latent = self.generative[0].weight.shape[0]
        for i, (p, q) in enumerate(zip(self.generative, self.inference, strict=True), 1):
            check_same_dtype_and_device(f"step {i} of generative", p.weight, "the first", generative[0].weight)
            check_same_dtype_and_device(f"step {i} of inference", q.weight, "the first", generative[0].weight)
            if p.weight.shape != q.weight.T.shape:
                raise ValueError(f"p and q of layer {i} must go between the same spaces")
            if p.weight.shape[0] != latent:
                raise ValueError(f"layers {i - 1} and {i} must have the same latent between them")
            latent = p.weight.shape[1]

    def prior(self, like: Tensor) -> Independent:
        """:math:`p(z_L)`, for as many points as ``like`` has."""
        check_points("like", like)
        return standard_normal(like.new_zeros(len(like), self.generative[-1].weight.shape[1]))

    def infer(self, z: Tensor, i: int) -> Independent:
        """:math:`q(z_i | z_{i-1})`, for i from 1 to L."""
        return self.inference[self._index(i)](z)

    def generate(self, z: Tensor, i: int) -> Independent:
        """:math:`p(z_{i-1} | z_i)`, for i from 1 to L."""
        return self.generative[self._index(i)](z)

    def _index(self, i: int) -> int:
        return check_integer("i", i, least=1, most=self.length) - 1

    def _check(self, x: Tensor) -> None:
        check_points("x", x, dim=len(self.generative[0].bias), finite=True)
        check_same_dtype_and_device("x", x, "the chain's steps", self.generative[0].weight)

    def joint(self) -> MultivariateNormal:
        r"""The model p of all variables at once, :math:`(z_0, z_1, \dots, z_L)` side by side."""
        top = self.generative[-1].weight.new_zeros(self.generative[-1].weight.shape[1])
        mean = top
        covariance = torch.eye(len(top), dtype=top.dtype, device=top.device)
        for step in reversed(self.generative):
            # z_{i-1} depends on z_i only, which stands first among the variables so far
            reach = torch.cat((step.weight, step.weight.new_zeros(len(step.bias), len(mean) - step.weight.shape[1])), 1)
            cross = reach @ covariance
            noise = step.std**2 * torch.eye(len(step.bias), dtype=top.dtype, device=top.device)
            covariance = torch.cat(
                (torch.cat((reach @ cross.T + noise, cross), 1), torch.cat((cross.T, covariance), 1))
            )
            mean = torch.cat((reach @ mean + step.bias, mean))
        return MultivariateNormal(mean, covariance, validate_args=False)

    def log_prob(self, x: Tensor) -> Tensor:
        r""":math:`\log p(x)` in nats, exactly; ``x`` of shape ``(n, D)``."""
        self._check(x)
        joint = self.joint()
        dim = x.shape[1]
        data = MultivariateNormal(joint.mean[:dim], joint.covariance_matrix[:dim, :dim], validate_args=False)
        return data.log_prob(x)

    def posterior(self, x: Tensor) -> MultivariateNormal:
        r"""The true :math:`p(z_1, \dots, z_L \mid x)`, which q approximates."""
        self._check(x)
        joint = self.joint()
        dim = x.shape[1]
        covariance = joint.covariance_matrix
        gain = torch.linalg.solve(covariance[:dim, :dim], covariance[:dim, dim:]).T
        mean = joint.mean[dim:] + (x - joint.mean[:dim]) @ gain.T
        return MultivariateNormal(mean, covariance[dim:, dim:] - gain @ covariance[:dim, dim:], validate_args=False)

    def inferred(self, x: Tensor) -> MultivariateNormal:
        r"""The chain's own :math:`q(z_1, \dots, z_L \mid x)`, as one Gaussian."""
        self._check(x)
        mean = x
        covariance = torch.zeros(x.shape[1], x.shape[1], dtype=x.dtype, device=x.device)
        dim = x.shape[1]  # of the latest variable, which stands last
        for q in self.inference:
            below = covariance[:, -dim:] @ q.weight.T
            noise = q.std**2 * torch.eye(len(q.bias), dtype=x.dtype, device=x.device)
            corner = q.weight @ below[-dim:] + noise
            covariance = torch.cat((torch.cat((covariance, below), 1), torch.cat((below.T, corner), 1)))
            mean = torch.cat((mean, mean[:, -dim:] @ q.weight.T + q.bias), 1)
            dim = len(q.bias)
        data = x.shape[1]  # given, so without variance: leave it out
        return MultivariateNormal(mean[:, data:], covariance[data:, data:], validate_args=False)

    def exact_elbo(self, x: Tensor) -> Bound:
        """The bound of :func:`~diffusion_notes.chains.protocol.elbo`, its expectation taken exactly, term by term."""
        self._check(x)
        mean = x
        covariance = torch.zeros(x.shape[1], x.shape[1], dtype=x.dtype, device=x.device)
        terms: list[Tensor] = []
        entropy: float | Tensor = 0.0
        for p, q in zip(self.generative, self.inference, strict=True):
            above = mean @ q.weight.T + q.bias
            cross = covariance @ q.weight.T  # of z_{i-1} and z_i, under q
            noise = q.std**2 * torch.eye(len(q.bias), dtype=x.dtype, device=x.device)
            spread = q.weight @ cross + noise
            # log N(z_{i-1}; A z_i + b, s²): the residual z_{i-1} − A z_i − b is Gaussian
            residual = mean - above @ p.weight.T - p.bias
            scatter = covariance.trace() - 2 * (p.weight @ cross.T).trace() + (p.weight @ spread @ p.weight.T).trace()
            terms.append(_expected_log_normal(residual.square().sum(-1) + scatter, p.std, len(p.bias)) + entropy)
            entropy = len(q.bias) * (0.5 + 0.5 * math.log(2 * math.pi) + q.std.log())  # −E log q(z_i | z_{i−1})
            mean = above
            covariance = spread
        one = torch.ones((), dtype=x.dtype, device=x.device)
        last = _expected_log_normal(mean.square().sum(-1) + covariance.trace(), one, covariance.shape[0])
        return Bound(torch.stack([*terms, last + entropy]))


def _expected_log_normal(square: Tensor, std: Tensor, dim: int) -> Tensor:
    """E log N(r; 0, s² I) where E‖r‖² is known."""
    return -square / (2 * std**2) - dim * (0.5 * math.log(2 * math.pi) + std.log())
