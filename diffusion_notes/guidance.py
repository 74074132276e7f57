r"""Guidance: a model of the data and of the data given a label, and what lies beyond the two.

A network that is told a label c, and sometimes not, predicts the noise with and without it, and guidance of weight w
goes from the one to the other and further (Ho and Salimans 2022),

.. math::
    \varepsilon_w(x_t, t) = (1-w)\,\varepsilon_\theta(x_t, t) + w\,\varepsilon_\theta(x_t, t, c).

With w = 0 nothing is known of the label, and with w = 1 it is the model given c. (Theirs is this w minus 1.) A
classifier of noisy points does the same for a model that was told nothing (Sohl-Dickstein et al. 2015, Dhariwal and
Nichol 2021),

.. math::
    \varepsilon_w(x_t, t) = \varepsilon_\theta(x_t, t) - w\sqrt{1-\bar\alpha_t}\,\nabla\log p_\phi(c \mid x_t).

With exact predictions the two are one. What they sample for w other than 0 and 1 is *not* the tilted density

.. math:: q_w(x_0 \mid c) \propto q(x_0)\,p(c \mid x_0)^w.

Its diffusion has the score :math:`\nabla\log q(x_t) + \nabla\log\mathbb E[p(c|x_0)^w \mid x_t]`, and guidance has
:math:`\nabla\log q(x_t) + w\,\nabla\log\mathbb E[p(c|x_0) \mid x_t]` (Du et al. 2023, Bradley and Nakkiran 2024,
Chidambaram et al. 2024). :class:`Labelled` and :class:`GaussianExample` know both. Everything here is in nats.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor, nn

from diffusion_notes._arguments.tensors import (
    check_finite,
    check_generator,
    check_last_axis,
    check_points,
    check_returned,
    check_tensor,
)
from diffusion_notes._arguments.values import (
    check_inside,
    check_integer,
    check_kind,
    check_number,
    describe,
)
from diffusion_notes.data import GaussianMixture, unit_interval
from diffusion_notes.ddpm import DDPM, Objective, TSampling, Variance
from diffusion_notes.distributions import randn_like
from diffusion_notes.networks import TimestepMLP
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

__all__ = [
    "ConditionalDDPM",
    "GaussianExample",
    "Labelled",
    "NoisyClassifier",
    "arms",
    "classifier_guided",
]

_NODES = 400  # of the quadrature for the Gaussian example


class ConditionalDDPM(nn.Module):
    r"""A DDPM for each condition c, with one network: :math:`\varepsilon_\theta(x_t, t, c)`.

    It is trained on points with their c. To a share ``drop`` of them it is not told, and zeros stand in its place, so
    that the same network learns the model without a condition too (Ho and Salimans 2022, algorithm 1). A label is a
    row of zeros with a single one; any numbers will do, but for zeros.

    Arguments:
        network: :math:`\varepsilon_\theta`, called as ``network(xt, t, c)``, and as ``network(xt, t)`` where nothing is
            known. A module to be trained, as :class:`~diffusion_notes.networks.NoiseMLP`, or any function.
        schedule: the variances of the forward process.
        condition: how many numbers c is.
        variance: as ``objective`` and ``t_sampling``, of :class:`~diffusion_notes.ddpm.DDPM`.
        objective: as there.
        drop: the probability that c is left out in the training.
        t_sampling: as there.

    Raises:
        TypeError, ValueError: as of :class:`~diffusion_notes.ddpm.DDPM`; or ``condition`` is below 1 or not that of the
            network, or ``drop`` is no probability.

    Values of points are not checked, because this is called inside loops.

    >>> from diffusion_notes.networks import NoiseMLP
    >>> schedule = Schedule.linear(T=10)
    >>> model = ConditionalDDPM(NoiseMLP(schedule, condition=3), schedule, condition=3, drop=0.1)
    >>> model.given(torch.tensor([0.0, 1.0, 0.0])).sample(torch.randn(5, 2)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        network: Callable[..., Tensor],
        schedule: Schedule,
        condition: int,
        variance: Variance | Tensor = "beta_tilde",
        objective: Objective = "simple",
        drop: float = 0.0,
        t_sampling: TSampling | Tensor = "uniform",
    ) -> None:
        super().__init__()
        self.condition = check_integer("condition", condition, least=1)
        knows = getattr(network, "condition", condition)
        if knows != condition:
            raise ValueError(f"condition must be {knows}, as that of the network, got {condition}")
        self.drop = check_number("drop", drop, 0, 1)
        self.unconditional = DDPM(network, schedule, variance, objective, t_sampling)

    @property
    def network(self) -> Callable[..., Tensor]:
        r""":math:`\varepsilon_\theta`."""
        return self.unconditional.network

    @property
    def schedule(self) -> Schedule:
        """The variances of the forward process."""
        return self.unconditional.schedule

    def settings(self) -> dict[str, str]:
        """What a training run cannot be resumed without, beside the parameters."""
        return self.unconditional.settings() | {"condition": str(self.condition), "drop": str(self.drop)}

    def loss(self, rows: Tensor, generator: Generator | None = None) -> Tensor:
        """The loss of a DDPM, from one batch, in which some are told their c and some are not.

        Arguments:
            rows: points and their c side by side, of shape ``(N, D + condition)``, as ``train`` draws them.
            generator: draws who is told, then as of :meth:`~diffusion_notes.ddpm.DDPM.loss`.

        Raises:
            TypeError: ``rows`` is not a floating-point tensor.
            ValueError: ``rows`` is empty, or has too few columns.
        """
        check_points("rows", rows, least=1)
        check_generator("generator", generator, rows.device)
        if rows.shape[1] <= self.condition:
            raise ValueError(f"rows must have more than {self.condition} columns, got {describe(rows)}")
        x0, c = rows.tensor_split((rows.shape[1] - self.condition,), 1)
        if self.drop > 0:
            told = torch.rand(len(c), 1, generator=generator, device=c.device, dtype=c.dtype) >= self.drop
            c = c * told.to(c)  # in which what is not a number shows
        return self._with(_Given(self.network, c)).loss(x0, generator)

    def given(self, c: Tensor) -> DDPM:
        r"""The model of the data given c, a chain like any other.

        Arguments:
            c: ``(condition,)``, for all points alike, or ``(n, condition)``, for as many points.

        Raises:
            TypeError: ``c`` is not a floating-point tensor.
            ValueError: ``c`` is of another shape, or not finite.

        >>> from diffusion_notes.chains import elbo
        >>> from diffusion_notes.networks import NoiseMLP
        >>> schedule = Schedule.linear(T=10)
        >>> model = ConditionalDDPM(NoiseMLP(schedule, condition=1), schedule, condition=1)
        >>> elbo(model.given(torch.ones(1)), torch.zeros(5, 2)).terms.shape
        torch.Size([11, 5])
        """
        return self._with(_Given(self.network, self._checked(c)))

    def guided(self, c: Tensor, w: float) -> DDPM:
        r"""The model with the noise of guidance, :math:`(1-w)\,\varepsilon_\theta(x_t)+w\,\varepsilon_\theta(x_t,c)`.

        It asks the network twice, but for w = 0, which is the model without a condition, and w = 1, the one given c.

        Arguments:
            c: as of :meth:`given`.
            w: the weight of guidance, any number.

        Raises:
            TypeError, ValueError: as of :meth:`given`, or ``w`` is no finite number.
        """
        return self._with(_Guided(self.network, self._checked(c), check_number("w", w)))

    def _checked(self, c: Tensor) -> Tensor:
        return _checked_condition(c, self.condition)

    def _with(self, network: nn.Module) -> DDPM:
        return _with_network(self.unconditional, network)


def _checked_condition(c: Tensor, count: int) -> Tensor:
    check_tensor("c", c)
    if c.dim() not in (1, 2) or c.shape[-1] != count:
        raise ValueError(f"c must have shape ({count},) or (n, {count}), got {tuple(c.shape)}")
    check_finite("c", c)
    return c


def _with_network(model: DDPM, network: nn.Module) -> DDPM:
    """The model with another network, whose tables are the same ones."""
    other = copy.copy(model)
    other._modules = other._modules.copy()
    other.__dict__.pop("network", None)  # a function that is no module
    other.network = network
    return other


class _Given(nn.Module):
    """A network that has been told c, and does not ask for it any more."""

    c: Tensor

    def __init__(self, network: Callable[..., Tensor], c: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("c", c, persistent=False)

    @property
    def schedule(self) -> Schedule:
        return self.network.schedule  # type: ignore[attr-defined, no-any-return]

    @property
    def knows_each_point(self) -> bool:
        """Whether there is a c for each point."""
        return self.c.dim() == 2

    def on(self, schedule: Schedule) -> nn.Module:
        """The same at the levels of another schedule."""
        other = copy.copy(self)
        other._modules = other._modules.copy()
        network = other.__dict__.pop("network", None) or self.network
        other.network = network.on(schedule)  # type: ignore[union-attr, operator]
        return other

    def forward(self, xt: Tensor, t: int | Tensor) -> Tensor:
        return self.network(xt, t, self.c)


class _Guided(_Given):
    """One that has been told c, and makes w times as much of it."""

    def __init__(self, network: Callable[..., Tensor], c: Tensor, w: float) -> None:
        super().__init__(network, c)
        self.w = w

    def extra_repr(self) -> str:
        return f"w={self.w:g}"

    def forward(self, xt: Tensor, t: int | Tensor) -> Tensor:
        if self.w == 0:
            return self.network(xt, t)
        told = self.network(xt, t, self.c)
        return told if self.w == 1 else (1 - self.w) * self.network(xt, t) + self.w * told


# -- guidance by a classifier -----------------------------------------------------------------------


class NoisyClassifier(nn.Module):
    r"""A classifier of noisy points, :math:`p_\phi(c \mid x_t)`: one small perceptron for all noise levels.

    Arguments:
        schedule: whose t is meant.
        classes: how many there are.
        dim: D, the number of coordinates of a point.
        width: of its two hidden layers.
        features: as of :class:`~diffusion_notes.networks.TimestepMLP`.
        generator: draws the initial weights; on the CPU.

    Raises:
        TypeError, ValueError: as of :class:`~diffusion_notes.networks.TimestepMLP`.

    Values of points are not checked, because this is called inside loops.

    >>> classifier = NoisyClassifier(Schedule.linear(T=10), classes=3)
    >>> classifier(torch.zeros(1, 2), 5).exp()
    tensor([[0.3333, 0.3333, 0.3333]], grad_fn=<ExpBackward0>)
    """

    def __init__(
        self,
        schedule: Schedule,
        classes: int,
        dim: int = 2,
        width: int = 64,
        features: int = 16,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.classes = check_integer("classes", classes, least=1)
        self.dim = check_integer("dim", dim, least=1)
        self.network = TimestepMLP(schedule, dim, classes, True, width, features, generator)

    @property
    def schedule(self) -> Schedule:
        """Whose t is meant."""
        return self.network.schedule

    def settings(self) -> dict[str, str]:
        """What a training run cannot be resumed without, beside the parameters."""
        return {"classifier": repr(self)}

    def on(self, schedule: Schedule) -> NoisyClassifier:
        """The same, with the same parameters, at the levels of another schedule.

        Raises:
            TypeError: ``schedule`` is no :class:`~diffusion_notes.schedule.Schedule`.
        """
        other = copy.copy(self)
        other._modules = {"network": self.network.on(schedule)}
        return other

    def forward(self, xt: Tensor, t: int | Tensor) -> Tensor:
        r""":math:`\log p_\phi(c \mid x_t)` of each class, ``(n, classes)``.

        Arguments:
            xt: noisy points of shape ``(n, D)``.
            t: an integer, or an integer tensor of shape ``(n,)``.
        """
        check_points("xt", xt, dim=self.dim)
        return self.network(xt, t).log_softmax(-1)

    def loss(self, rows: Tensor, generator: Generator | None = None) -> Tensor:
        r""":math:`-\mathbb E\log p_\phi(c \mid x_t)` in nats, with t uniform on 1, ..., T, from one batch.

        Arguments:
            rows: points and their label side by side, of shape ``(N, D + classes)``, as of :meth:`Labelled.sample`.
            generator: draws t and the noise, on the device of ``rows``.

        Raises:
            TypeError: ``rows`` is not a floating-point tensor.
            ValueError: ``rows`` is empty, or has not so many columns.
        """
        check_points("rows", rows, dim=self.dim + self.classes, least=1)
        check_generator("generator", generator, rows.device)
        x0, c = rows.tensor_split((self.dim,), 1)
        t = torch.randint(1, 1 + self.schedule.T, rows.shape[:1], generator=generator, device=rows.device)
        at = self.schedule.at
        xt = at("sqrt_alpha_bar", t, x0) * x0 + at("sqrt_one_minus_alpha_bar", t, x0) * randn_like(x0, generator)
        return -(c * self(xt, t)).sum(-1).mean()


def classifier_guided(model: DDPM, classifier: Callable[[Tensor, int | Tensor], Tensor], c: Tensor, w: float) -> DDPM:
    r"""A model that was told nothing, with the guidance of a classifier.

    .. math:: \varepsilon_w(x_t, t) = \varepsilon_\theta(x_t, t)
        - w\sqrt{1-\bar\alpha_t}\,\nabla_{x_t}\log p_\phi(c \mid x_t)

    Dhariwal and Nichol 2021, algorithm 2, where w is called s. (They guided a model that was told c besides: then 1 + s
    is the weight here.)

    Arguments:
        model: whose network and schedule are used.
        classifier: gives :math:`\log p_\phi(c \mid x_t)` of each class, ``(n, classes)``, called as
            ``classifier(xt, t)``: a :class:`NoisyClassifier`, or :meth:`Labelled.classifier`.
        c: the label, a row of zeros with a single one, ``(classes,)``, or one for each point, ``(n, classes)``.
        w: the weight of guidance, any number.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: ``c`` is of another shape or not finite, or ``w`` not finite.

    >>> model = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    >>> guided = classifier_guided(model, lambda xt, t: -xt.square(), torch.tensor([1.0, 0.0]), w=2.0)
    >>> with torch.no_grad():
    ...     guided.predict(torch.ones(1, 2), 10) / model.schedule.sqrt_one_minus_alpha_bar[10].float()
    tensor([[4., 0.]])
    """
    check_kind("model", model, DDPM)
    check_kind("classifier", classifier, Callable, "callable as classifier(xt, t)")
    check_tensor("c", c)
    c = _checked_condition(c, c.shape[-1] if c.dim() else 1)
    network = _ClassifierGuided(model.network, classifier, model.schedule, c, check_number("w", w))
    return _with_network(model, network)


class _ClassifierGuided(nn.Module):
    """A network that goes where a classifier finds a class."""

    c: Tensor

    def __init__(
        self,
        network: Callable[[Tensor, int | Tensor], Tensor],
        classifier: Callable[[Tensor, int | Tensor], Tensor],
        schedule: Schedule,
        c: Tensor,
        w: float,
    ) -> None:
        super().__init__()
        self.network = network
        self.classifier = classifier
        self.schedule = schedule
        self.w = w
        self.register_buffer("c", c, persistent=False)

    @property
    def knows_each_point(self) -> bool:
        return self.c.dim() == 2

    def on(self, schedule: Schedule) -> _ClassifierGuided:
        network, classifier = (each.on(schedule) for each in (self.network, self.classifier))  # type: ignore[attr-defined]
        return _ClassifierGuided(network, classifier, schedule, self.c, self.w)

    def forward(self, xt: Tensor, t: int | Tensor) -> Tensor:
        wanted = torch.is_grad_enabled()  # of the guidance itself
        with torch.enable_grad():
            place = xt if xt.requires_grad else xt.detach().requires_grad_()
            log_p = self.classifier(place, t)
            check_returned("classifier", log_p, torch.Size((len(xt), self.c.shape[-1])))
            (slope,) = torch.autograd.grad((self.c * log_p).sum(), place, create_graph=wanted)
        width = self.schedule.at("sqrt_one_minus_alpha_bar", t, xt)
        return self.network(xt, t) - self.w * width * slope


# -- known data with known labels -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Labelled:
    r"""A mixture of Gaussians whose parts have labels: everything is known with the label and without it.

    A label c is one of ``classes`` numbers, and is given to networks as a row of zeros with a single one.

    Arguments:
        mixture: the data, not diffused.
        label: of each of its K parts, integers from 0, ``(K,)``. Every class has a part.

    Raises:
        TypeError: ``mixture`` is no GaussianMixture, or ``label`` no tensor of int64.
        ValueError: ``mixture`` is diffused, or ``label`` of another shape, or negative, or leaves a class without a
            part that weighs anything.

    >>> from diffusion_notes.data import Peaks
    >>> peaks = Labelled(Peaks().mixture(), torch.tensor([0, 1]))
    >>> round(peaks.information(), 4)  # log 2
    0.6931
    """

    mixture: GaussianMixture
    label: Tensor
    _members: Tensor = field(init=False, repr=False)  # which parts each class has, (classes, K)
    _places: tuple[Tensor, ...] = field(init=False, repr=False)  # the numbers of these

    def __post_init__(self) -> None:
        check_kind("mixture", self.mixture, GaussianMixture)
        if self.mixture.alpha_bar != 1:
            raise ValueError(f"mixture must be clean, and this one is diffused: got {self.mixture!r}")
        if not isinstance(self.label, Tensor) or self.label.dtype != torch.long:
            raise TypeError(f"label must be a tensor of int64, got {describe(self.label)}")
        weight = self.mixture.log_weight
        if self.label.shape != weight.shape or self.label.device.type != "cpu" or bool((self.label < 0).any()):
            raise ValueError(f"label must be {len(weight)} numbers from 0, got {describe(self.label)}")
        classes = torch.bincount(self.label, weights=weight.exp())
        if not bool((classes > 0).all()):
            raise ValueError(f"label must leave no class without a part, got {sorted(set(self.label.tolist()))}")
        members = self.label == torch.arange(len(classes), device="cpu").unsqueeze(-1)
        object.__setattr__(self, "_members", members)
        object.__setattr__(self, "_places", tuple(kept.nonzero().squeeze(-1) for kept in members))

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self._places)

    @property
    def dim(self) -> int:
        """D."""
        return self.mixture.dim

    def row(self, c: int, like: Tensor | None = None) -> Tensor:
        """The label c as a row of zeros with a single one, ``(classes,)``, in the dtype and on the device of ``like``.

        Raises:
            TypeError, ValueError: ``c`` is none of the labels, or ``like`` no floating-point tensor.
        """
        place = self._checked(c)
        if like is not None:
            check_tensor("like", like)
        like = torch.empty(0, device="cpu") if like is None else like
        return (torch.arange(self.classes, device=like.device) == place).to(like.dtype)

    def given(self, c: int) -> GaussianMixture:
        r""":math:`q(x_0 \mid c)`: the parts that have that label; errors as of :meth:`row`."""
        return self.mixture.only(self._members[self._checked(c)])

    def share(self, c: int) -> float:
        """The probability of a label; errors as of :meth:`row`."""
        return self.mixture.share(self._members[self._checked(c)])

    def _checked(self, c: int) -> int:
        return check_integer("c", c, least=0, most=self.classes - 1)

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """``n`` points with their labels side by side, ``(n, D + classes)``: what models are trained on.

        Raises:
            TypeError, ValueError: ``n`` is no integer, or negative.
        """
        n = check_integer("n", n, least=0)
        check_generator("generator", generator)
        device = None if generator is None else generator.device
        u = torch.rand(n, generator=generator, device=device, dtype=torch.float64)
        normal = torch.randn(n, self.dim, generator=generator, device=device)
        rising = self.mixture.log_weight.exp().cumsum(0).to(u.device)
        part = torch.searchsorted(rising, u * rising[-1], right=True).clamp(max=len(rising) - 1)
        x = self.mixture.mean.to(normal)[part] + self.mixture.variance.sqrt().to(normal) * normal
        return torch.cat((x, self._members.T.to(normal)[part]), 1)

    def log_class(self, x: Tensor, alpha_bar: float = 1.0) -> Tensor:
        r""":math:`\log p(c \mid x_t)` of each class, ``(..., classes)``: the exact classifier at a noise level.

        Arguments:
            x: points of shape ``(..., D)``.
            alpha_bar: the level, in [0, 1]; 1 for clean points.

        Raises:
            TypeError: ``x`` is not a floating-point tensor, or ``alpha_bar`` no number.
            ValueError: the last axis of ``x`` does not have length D, or ``alpha_bar`` lies outside [0, 1].

        Values of points are not checked, because this is called inside loops.
        """
        parts = self.mixture.diffuse(alpha_bar).log_parts(x)
        each = [parts.index_select(-1, place.to(x.device)).logsumexp(-1) for place in self._places]
        return torch.stack(each, -1)

    def classifier(self, schedule: Schedule) -> Callable[[Tensor, int], Tensor]:
        r"""The exact :math:`\log p(c \mid x_t)`, to be called as ``classifier(xt, t)`` with an integer t.

        Raises:
            TypeError: ``schedule`` is no :class:`~diffusion_notes.schedule.Schedule`.
        """
        check_kind("schedule", schedule, Schedule)
        return _ExactClassifier(self, schedule)

    def model(self, schedule: Schedule, variance: Variance = "beta_tilde") -> ConditionalDDPM:
        r"""The perfect conditional model: its network is :math:`\mathbb E[\varepsilon \mid x_t, c]`.

        It knows one level at a time, an integer t.

        Raises:
            TypeError, ValueError: as of :class:`~diffusion_notes.ddpm.DDPM`.
        """
        check_kind("schedule", schedule, Schedule)
        return ConditionalDDPM(_ExactPrediction(self, schedule), schedule, self.classes, variance)

    def information(self) -> float:
        r""":math:`I(x_0; c) = H(c) - H(c \mid x_0)`, what the label says of the data, in nats.

        Raises:
            ValueError: the mixture has more than two axes.
        """
        share = torch.tensor([self.share(c) for c in range(self.classes)], dtype=torch.float64, device="cpu")

        def doubt(x: Tensor) -> Tensor:
            return torch.special.entr(self.log_class(x).exp()).sum(-1)

        return (torch.special.entr(share).sum() - self.mixture.expect(doubt)).item()

    def log_tilted(self, c: int, w: float) -> Callable[[Tensor], Tensor]:
        r"""The tilted density: gives :math:`\log q_w(x_0 \mid c)` in nats, of points ``(..., D)``, as ``(...)``.

        .. math:: q_w(x_0 \mid c) = \frac{q(x_0)\,p(c \mid x_0)^w}{\mathbb E[p(c \mid x_0)^w]}

        Arguments:
            c: the label.
            w: the weight, not negative.

        Raises:
            TypeError, ValueError: an argument is of another kind, or there is no such label, or ``w`` is negative, or
                the mixture has more than two axes.

        >>> from diffusion_notes.data import Peaks
        >>> peaks = Labelled(Peaks(noise=0.5).mixture(), torch.tensor([0, 1]))
        >>> x = torch.zeros(1, 1)
        >>> bool((peaks.log_tilted(1, w=1.0)(x) - peaks.given(1).log_prob(x)).abs() < 1e-6)
        True
        """
        place = self._checked(c)
        w = check_number("w", w, 0)
        total = self.mixture.expect(lambda x: (w * self.log_class(x)[..., place]).exp()).log().item()

        def log_tilted(x: Tensor) -> Tensor:
            return self.mixture.log_prob(x) + w * self.log_class(x)[..., place] - total

        return log_tilted


@dataclass(frozen=True, eq=False)
class _ExactClassifier:
    labelled: Labelled
    schedule: Schedule

    def __call__(self, xt: Tensor, t: int) -> Tensor:
        return self.labelled.log_class(xt, self.schedule.alpha_bar[t].item())

    def on(self, schedule: Schedule) -> _ExactClassifier:
        return _ExactClassifier(self.labelled, schedule)


@dataclass(frozen=True, eq=False)
class _ExactPrediction:
    """The expected noise, with the label and without."""

    labelled: Labelled
    schedule: Schedule

    @property
    def condition(self) -> int:
        return self.labelled.classes

    def __call__(self, xt: Tensor, t: int, c: Tensor | None = None) -> Tensor:
        check_last_axis("xt", xt, self.labelled.dim)
        now = self.labelled.mixture.diffuse(self.schedule.alpha_bar[t].item())
        logits = now.log_parts(xt)
        if c is not None:
            # a row of zeros says nothing, so that all parts are left
            told = torch.where((c == 0).all(-1, keepdim=True), 1, c)
            logits = logits + told[..., self.labelled.label.to(c.device)].log()
        expected = logits.softmax(-1) @ now.mean.to(xt)
        score = (expected - xt) / now.variance.to(xt)
        return -self.schedule.at("sqrt_one_minus_alpha_bar", t, xt) * score

    def on(self, schedule: Schedule) -> _ExactPrediction:
        return _ExactPrediction(self.labelled, schedule)


def arms(count: int = 3, roll: SwissRoll | None = None) -> Labelled:
    """The swiss roll with its arms for labels: ``count`` equal pieces of u, from the inner end to the outer one.

    Arguments:
        count: how many.
        roll: the standard one, if it is not said.

    Raises:
        TypeError, ValueError: ``count`` is no integer, or below 1, or ``roll`` no clean SwissRoll.

    >>> arms(3).sample(5).shape
    torch.Size([5, 5])
    """
    count = check_integer("count", count, least=1)
    check_kind("roll", roll, (SwissRoll, type(None)), "a SwissRoll or None")
    mixture = (SwissRoll() if roll is None else roll).mixture(pieces=count)
    each = len(mixture.log_weight) // count
    return Labelled(mixture, torch.arange(count, device="cpu").repeat_interleave(each))


# -- the example in closed form ---------------------------------------------------------------------


@dataclass(frozen=True)
class GaussianExample:
    r"""One Gaussian within another, where all that guidance does is known.

    .. math:: q(x_0) = \mathcal N(0, 1), \qquad q(x_0 \mid c) = \mathcal N(m, v), \qquad 0 < v < 1,

    so :math:`p(c \mid x_0)` is a Gaussian bump in :math:`x_0`. The guided score is linear at every level, and what is
    sampled is a Gaussian. With :math:`\eta`, the noise of the walk as in :mod:`~diffusion_notes.samplers`, it has

    .. math::
        \text{the variance}\quad v^{p w} \int_0^1 \bigl(1 - (1-v)\,s^{1/\eta^2}\bigr)^{-p w} ds, \qquad
        \text{the mean}\quad m\,w\,v^{p w/2} \int_0^1 \bigl(1 - (1-v)\,s^{2/p}\bigr)^{-p w/2 - 1} ds, \qquad
        p = 1 + \eta^2.

    Without noise the variance is :math:`v^w`, with :math:`\eta = 1` it is :math:`(v - v^{2w}) / ((2w-1)(1-v))` (Bradley
    and Nakkiran 2024 have both). The tilted density has :math:`v / (v + w(1-v))`, which is the limit of large
    :math:`\eta`.

    Arguments:
        mean: m.
        variance: v, strictly between 0.001 and 1.

    Raises:
        TypeError: an argument is no number.
        ValueError: ``mean`` is not finite, or ``variance`` out of range.

    >>> example = GaussianExample(mean=1.0, variance=0.25)
    >>> [round(number, 4) for number in (*example.tilted(2.0), *example.guided(2.0, eta=0.0))]
    [1.1429, 0.1429, 1.3802, 0.0625]
    """

    mean: float
    variance: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", check_number("mean", self.mean))
        object.__setattr__(self, "variance", check_inside("variance", self.variance, 0.001, 1))

    def tilted(self, w: float) -> tuple[float, float]:
        r"""The mean and the variance of :math:`q_w(x_0 \mid c)`.

        Raises:
            TypeError, ValueError: ``w`` is no number, or negative.
        """
        w = check_number("w", w, 0)
        total = self.variance + w * (1 - self.variance)
        return w * self.mean / total, self.variance / total

    def guided(self, w: float, eta: float) -> tuple[float, float]:
        r"""The mean and the variance of what is sampled, with steps without end and the noise of :math:`\eta`.

        Raises:
            TypeError, ValueError: ``w`` or ``eta`` is no number, or negative.
        """
        w = check_number("w", w, 0)
        eta = check_number("eta", eta, 0)
        p = 1 + eta**2
        place, weight = (torch.from_numpy(each) for each in unit_interval(_NODES))
        v = self.variance

        def mean_of(power: float, exponent: float) -> float:
            """The integral of (v / (1 - (1 - v) s^power))^exponent over s."""
            return (weight * (v / (1 - (1 - v) * place**power)) ** exponent).sum().item()

        mean = self.mean * w / v * mean_of(2 / p, p * w / 2 + 1)
        return mean, v**w if eta == 0 else mean_of(1 / eta**2, p * w)

    def model(self, schedule: Schedule) -> ConditionalDDPM:
        """The perfect model, told c by a one, ``torch.ones(1)``.

        Raises:
            TypeError: ``schedule`` is no :class:`~diffusion_notes.schedule.Schedule`.
        """
        check_kind("schedule", schedule, Schedule)
        return ConditionalDDPM(_GaussianPrediction(self, schedule), schedule, 1)


@dataclass(frozen=True, eq=False)
class _GaussianPrediction:
    example: GaussianExample
    schedule: Schedule

    condition = 1

    def __call__(self, xt: Tensor, t: int | Tensor, c: Tensor | None = None) -> Tensor:
        at = self.schedule.at
        width = at("sqrt_one_minus_alpha_bar", t, xt)
        if c is None:
            return width * xt
        variance = at("alpha_bar", t, xt) * self.example.variance + at("one_minus_alpha_bar", t, xt)
        return width * (xt - at("sqrt_alpha_bar", t, xt) * self.example.mean) / variance

    def on(self, schedule: Schedule) -> _GaussianPrediction:
        return _GaussianPrediction(self.example, schedule)
