r"""Learning from what is expected of the noise, and not from the noise itself.

A noisy point :math:`y = x_0 + \kappa_t\varepsilon` can have come from any of the n points of the data, from near ones
rather than from others. What the noise is on average is known, for these points:

.. math::
    \mathbb E[\varepsilon \mid y] = \frac{y - \mathbb E[x_0 \mid y]}{\kappa_t}, \qquad
    \mathbb E[x_0 \mid y] = \frac{\sum_j w_j\,x_j}{\sum_j w_j}, \qquad
    w_j = \exp\Bigl(-\frac{\lVert y - x_j\rVert^2}{2\kappa_t^2}\Bigr).

That is the minimum of :math:`L_\text{simple}` on these points (Karras et al. 2022, appendix B.3), so a network that
learns it learns the same, without the noise in its targets. Xu, Tong and Jaakkola 2023 take the sums over a larger
batch; here they are taken over all points where few are near, once, before the training.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from diffusion_notes._arguments.tensors import check_generator, check_points
from diffusion_notes._arguments.values import check_integer
from diffusion_notes.ddpm import DDPM
from diffusion_notes.distributions import randn_like

__all__ = ["ExpectedNoise"]

_NEAR = 0.08  # the levels below which only near points are asked
_REACH = 4.0  # of the levels: points further away weigh nothing
_GROUP = 10_000  # points that are asked at the levels above


class ExpectedNoise(DDPM):
    """A DDPM that learns from examples, whose targets are expected and not drawn.

    Arguments and errors are those of :class:`~diffusion_notes.ddpm.DDPM`.

    >>> from diffusion_notes.networks import NoiseMLP
    >>> from diffusion_notes.schedule import Schedule
    >>> schedule = Schedule.linear(T=10)
    >>> model = ExpectedNoise(NoiseMLP(schedule), schedule)
    >>> examples = model.examples(torch.randn(20, 2), 50)
    >>> examples.shape, model.loss(examples).shape
    (torch.Size([50, 6]), torch.Size([]))
    """

    def examples(self, points: Tensor, count: int, generator: Generator | None = None) -> Tensor:
        r"""Rows of :math:`x_t`, t, what t counts in the loss, and :math:`\mathbb E[\varepsilon \mid x_t]`.

        Above :math:`\kappa = 0.08` a noisy point is compared with 10,000 points, its own origin among them. That is
        unbiased, because points are in groups for a reason that is none of theirs.

        Arguments:
            points: of shape ``(n, D)``, in no order.
            count: how many rows.
            generator: draws, on the device of the points.

        Returns:
            A tensor of shape ``(count, 2 D + 2)``, to be given to :func:`~diffusion_notes.fitting.loop.train`.

        Raises:
            TypeError, ValueError: an argument is of another kind, or not positive.
        """
        check_points("points", points, least=1, finite=True)
        count = check_integer("count", count, least=1)
        check_generator("generator", generator, points.device)
        row = torch.randint(len(points), (count,), generator=generator, device=points.device)
        t, weight = self._draw_t(points[row], generator)
        kappa = self.schedule.kappa.to(points)[t]
        y = points[row] + kappa.unsqueeze(-1) * randn_like(points[row], generator)
        noise = (y - _expected_point(y, kappa, row, points)) / kappa.unsqueeze(-1)
        xt = self.schedule.at("sqrt_alpha_bar", t, y) * y
        about = torch.stack((t.to(y), torch.as_tensor(weight).to(y).expand(count)), -1)
        return torch.cat((xt, about, noise), -1)

    def loss(self, x0: Tensor, generator: Generator | None = None) -> Tensor:
        r"""As of a DDPM, from a batch of examples: nothing is drawn, and a perfect network reaches zero."""
        dim = x0.shape[-1] // 2 - 1
        xt, t, weight, noise = x0.split((dim, 1, 1, dim), -1)
        predicted = self._predict(xt, t.squeeze(-1).long())
        return (weight.squeeze(-1) * (noise - predicted).square().sum(-1)).mean()


def _expected_point(y: Tensor, kappa: Tensor, row: Tensor, points: Tensor) -> Tensor:
    """What the origin of each noisy point is on average; its own is one of the points that are asked."""
    expected = torch.empty_like(y)
    for first in range(0, len(points), _GROUP):
        far = (kappa > _NEAR) & (row >= first) & (row < first + _GROUP)
        expected[far] = _average(y[far], kappa[far], points[first : first + _GROUP])
    near = (kappa <= _NEAR).nonzero().squeeze(-1)
    # noisy points of about one level in one small square, for which the same points matter
    octave = kappa[near].log2().floor().unsqueeze(-1)
    square = (y[near] / (4 * 2**octave)).floor()
    _, place, counts = torch.unique(torch.cat((octave, square), -1), dim=0, return_inverse=True, return_counts=True)
    for block in near[place.argsort()].split(counts.tolist()):
        reach = _REACH * kappa[block].max()
        inside = (points >= y[block].amin(0) - reach) & (points <= y[block].amax(0) + reach)
        expected[block] = _average(y[block], kappa[block], points[inside.all(-1)])
    return expected


def _average(y: Tensor, kappa: Tensor, points: Tensor) -> Tensor:
    """The mean of the points, weighed by how well each explains a noisy point."""
    parts = []
    for some, level in zip(y.split(500), kappa.split(500), strict=True):
        squared = torch.cdist(some, points, compute_mode="donot_use_mm_for_euclid_dist").square()
        parts.append((squared / (-2 * level.square().unsqueeze(-1))).softmax(-1) @ points)
    return torch.cat(parts)
