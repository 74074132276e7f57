r"""A latent that is a single number: the integral over it can be done, so nothing about the model is unknown.

For a chain of length one with a scalar z, :math:`\log p(x)`, the true posterior, the bound of any q and the
best Gaussian q of each point are integrals over a line. They tell apart what a VAE loses where: its model,
its family of posteriors, its encoder (Cremer et al. 2018).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Independent

from diffusion_notes._arguments.tensors import (
    check_broadcasts,
    check_event,
    check_finite,
    check_points,
    check_same_dtype_and_device,
    check_tensor,
)
from diffusion_notes._arguments.values import check_integer, check_positive
from diffusion_notes.chains.protocol import Chain, check_chain
from diffusion_notes.distributions import gaussian

__all__ = ["FreePosterior", "ScalarLatent"]


class FreePosterior(nn.Module):
    r"""The same generative model, with a Gaussian :math:`q_n(z)` of its own for each of n data points.

    There is no encoder: mean and standard deviation are parameters, one row a point. What an encoder
    loses against the best of these is the amortisation gap.

    Arguments:
        chain: a chain of length one, whose prior and decoder are used.
        mean: of shape ``(n, d)``.
        std: positive, broadcastable to that.

    Raises:
        TypeError: ``chain`` is no chain, ``mean`` no floating-point tensor, or ``std`` neither that nor a number.
        ValueError: the chain is longer than one, ``mean`` is not of shape ``(n, d)``, or ``std`` does not fit it
            or is not positive (checked for numbers and on the CPU).

    Values of points are not checked, because this is called inside loops.
    """

    length = 1

    def __init__(self, chain: Chain, mean: Tensor, std: Tensor | float = 1.0) -> None:
        super().__init__()
        check_chain(chain, length=1)
        check_points("mean", mean, least=1, finite=True)
        if isinstance(std, Tensor):
            check_broadcasts("std", std, "mean", mean)
            check_finite("std", std, positive=True)
        else:
            std = check_positive("std", std)
        self.chain = chain
        self.mean = nn.Parameter(mean.detach().clone())
        self.log_std = nn.Parameter((torch.ones_like(mean) * std).log().detach())

    def prior(self, like: Tensor) -> Independent:
        """The chain's own."""
        return self.chain.prior(like)

    def infer(self, z: Tensor, i: int = 1) -> Independent:
        r""":math:`q_n(z)`; ``z`` must be the n points, in order, for which this was made."""
        check_integer("i", i, least=1, most=1)
        check_points("z", z)
        check_same_dtype_and_device("z", z, "the means", self.mean)
        if len(z) != len(self.mean):
            raise ValueError(f"z must be the {len(self.mean)} points that have a q of their own, got {len(z)}")
        return gaussian(self.mean, self.log_std.exp())

    def generate(self, z: Tensor, i: int = 1) -> Independent:
        """The chain's own."""
        check_integer("i", i, least=1, most=1)
        return self.chain.generate(z, 1)


class ScalarLatent:
    r"""A chain of length one whose z is a single number, with every integral over z done.

    The trapezoidal rule on an even grid is exact to rounding once the grid is finer than what it
    integrates, here the posterior.

    Arguments:
        chain: the model; ``chain.generate`` is asked for every node of the grid.
        nodes: how many there are.
        reach: they lie between −reach and reach.

    Raises:
        TypeError: ``chain`` is no chain.
        ValueError: it is longer than one, its latent is no single number, or the grid is empty.
    """

    def __init__(self, chain: Chain, nodes: int = 8001, reach: float = 8.0) -> None:
        check_chain(chain, length=1)
        self.chain = chain
        self.nodes = check_integer("nodes", nodes, least=2)
        self.reach = check_positive("reach", reach)
        self.step = 2 * self.reach / (self.nodes - 1)

    def grid(self, like: Tensor) -> Tensor:
        """The nodes, of shape ``(nodes, 1)``, on the device and in the dtype of ``like``."""
        check_tensor("like", like)
        return torch.linspace(-self.reach, self.reach, self.nodes, dtype=like.dtype, device=like.device).unsqueeze(-1)

    def log_joint(self, x: Tensor) -> Tensor:
        r""":math:`\log p(x, z)` for each point and each node, of shape ``(n, nodes)``."""
        check_points("x", x, least=1, finite=True)
        z = self.grid(x)
        prior = self.chain.prior(z)
        if prior.event_shape != (1,):
            raise ValueError(f"the latent must be a single number, and has shape {tuple(prior.event_shape)}")
        p = self.chain.generate(z, 1)
        check_event("x", x, p)
        rows = [gaussian(p.mean, p.stddev).log_prob(chunk.unsqueeze(1)) for chunk in x.split(64)]
        return torch.cat(rows) + prior.log_prob(z)

    def log_prob(self, x: Tensor) -> Tensor:
        r""":math:`\log p(x) = \log\int p(x, z)\,dz` in nats, of shape ``(n,)``."""
        check_points("x", x, least=1)
        return torch.cat([self.log_joint(chunk).logsumexp(-1) for chunk in x.split(64)]) + math.log(self.step)

    def elbo(self, x: Tensor) -> Tensor:
        """The bound of each point with the chain's own q, its expectation integrated; of shape ``(n,)``.

        What of q lies beyond the grid is left out, so ``reach`` must be large against q. It is not refused, since an
        integral over the plane also asks about points so far out that they weigh nothing.
        """
        return self._elbo(self.log_joint(x), self.grid(x), self.chain.infer(x, 1))

    def best_gaussian(self, x: Tensor, steps: int = 400) -> FreePosterior:
        """The Gaussian q(z) with the largest bound for each point, started at the posterior's highest mode.

        Found by Adam on the integrated bound, so there is no noise in it. Where the posterior has
        several modes, it is the best one near the highest.
        """
        steps = check_integer("steps", steps, least=1)
        check_points("x", x, least=1, finite=True)
        z = self.grid(x)
        # the points know nothing of each other, and a few at a time stay in the processor's cache
        found = [self._best_gaussian(self.log_joint(chunk).detach(), z, steps) for chunk in x.split(32)]
        mean, std = (torch.cat(each) for each in zip(*found, strict=True))
        return FreePosterior(self.chain, mean, std)

    def _best_gaussian(self, joint: Tensor, z: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Its mean and its standard deviation for each row of ``joint``, both of shape ``(n, 1)``."""
        mode = z[joint.argmax(-1)]
        # as wide as the Gaussian with the posterior's mass and its height
        width = (joint.logsumexp(-1) - joint.amax(-1)).exp().unsqueeze(-1) * self.step / math.sqrt(2 * math.pi)
        # in units of that width, so that one learning rate suits all posteriors
        offset = torch.zeros_like(mode, requires_grad=True)
        log_ratio = torch.zeros_like(mode, requires_grad=True)
        optimizer = torch.optim.Adam([offset, log_ratio], lr=0.05)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            with torch.no_grad():
                std = width * log_ratio.exp()
                slope_mean, slope_log_std = self._slopes(joint, z.squeeze(-1), mode + width * offset, std)
                offset.grad = -width * slope_mean
                log_ratio.grad = -slope_log_std
            optimizer.step()
            schedule.step()
        return (mode + width * offset).detach(), (width * log_ratio.exp()).detach()

    def _slopes(self, joint: Tensor, z: Tensor, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        r"""The derivatives of the bound for the mean and for the logarithm of the standard deviation of q.

        They are :math:`\mathbb E_q[f\,r]/s` and :math:`\mathbb E_q[f\,(r^2 - 1)]`, with :math:`r = (z - m)/s` and
        :math:`f = \log p(x, z) - \log q(z)`: in a third of the time that autograd takes.
        """
        r = (z - mean) / std
        square = r.square()
        log_q = square.mul(-0.5).sub_(std.log() + 0.5 * math.log(2 * math.pi))
        weighted = (joint - log_q).mul_(log_q.exp_())
        slope_mean = torch.linalg.vecdot(weighted, r).unsqueeze(-1) / std * self.step
        slope_log_std = torch.linalg.vecdot(weighted, square.sub_(1)).unsqueeze(-1) * self.step
        return slope_mean, slope_log_std

    def _elbo(self, joint: Tensor, z: Tensor, q: Independent) -> Tensor:
        log_q = gaussian(q.mean.unsqueeze(1), q.stddev.unsqueeze(1)).log_prob(z)
        return (log_q.exp() * (joint - log_q)).sum(-1) * self.step
