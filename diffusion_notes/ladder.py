r"""From the VAE to DDPM, one difference at a time: a chain of latents with a switch for each of them.

Every rung is a :class:`~diffusion_notes.chains.protocol.Chain`, so the bound of each is computed by the one function
:func:`~diffusion_notes.chains.protocol.elbo`. All rungs start from the same place, the forward process of a schedule
and the steps that undo it for Gaussian data, and their networks learn what is to be added to that:

.. math::
    \begin{aligned}
    q_\phi(z_i \mid z_{i-1}) &= \mathcal N\bigl(\sqrt{\alpha_i}\,z_{i-1} + \sqrt{\beta_i}\,f_\phi(z_{i-1}, i),\
        \beta_i\,e^{2 g_\phi(z_{i-1}, i)} I\bigr), \\
    p_\theta(z_{i-1} \mid z_i) &= \mathcal N\bigl(\mu_\theta(z_i, i),\ s_i^2\,e^{2 h_\theta(z_i, i)} I\bigr).
    \end{aligned}

With :math:`f_\phi = g_\phi = 0` for good, q is the forward process of DDPM; with L = 1 and both learned, the
chain is a VAE.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, get_args

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Independent, kl_divergence

from diffusion_notes._arguments.tensors import check_generator, check_points
from diffusion_notes._arguments.values import check_choice, check_integer, check_kind, check_positive
from diffusion_notes.chains import elbo
from diffusion_notes.diffusion import ForwardProcess
from diffusion_notes.distributions import draw, gaussian, randn_like, standard_normal
from diffusion_notes.networks import TimestepMLP
from diffusion_notes.parameterisations import Prediction, variational_weight
from diffusion_notes.schedule import Schedule

__all__ = ["CHOICES", "LadderChain", "Rung"]

Inference = Literal["learned", "fixed"]
Last = Literal["informative", "noise"]
Networks = Literal["own", "shared"]
Objective = Literal["bound", "layer", "weighted", "simple"]
CHOICES = {
    "inference": get_args(Inference),
    "last": get_args(Last),
    "networks": get_args(Networks),
    "objective": get_args(Objective),
}

_DIM = 2  # of the data


@dataclass(frozen=True)
class Rung:
    """The switches of a rung. As they stand they are those of DDPM.

    Arguments:
        layers: L, the number of latents.
        inference: whether q is ``"learned"`` or the ``"fixed"`` forward process.
        last: whether the last latent may be ``"informative"``, or is driven to ``"noise"``: the schedule ends
            there, and the last step of a learned q is not learned.
        networks: whether each step has its ``"own"`` network, or one is ``"shared"`` by all (in p, and in q).
        latent: the number of coordinates of a latent, 1 or 2.
        objective: what it is trained on: the whole ``"bound"``, one random ``"layer"`` of it for each point, the same
            with the layers ``"weighted"`` by how much they weigh in the bound, or the ``"simple"`` loss of DDPM.

    Raises:
        TypeError, ValueError: a switch is not in one of its positions; or the objective is ``"simple"`` or
            ``"weighted"``, which know the layers of DDPM only, with a q that is learned (it would learn to make the
            prediction easy: the simple loss is no bound) or with latents smaller than the data.

    >>> Rung(layers=1, inference="learned", last="informative", networks="own", objective="bound").is_vae
    True
    """

    layers: int = 1000
    inference: Inference = "fixed"
    last: Last = "noise"
    networks: Networks = "shared"
    latent: int = 2
    objective: Objective = "simple"

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", check_integer("layers", self.layers, least=1))
        object.__setattr__(self, "latent", check_integer("latent", self.latent, least=1, most=_DIM))
        for name, choices in CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        if self.objective in ("weighted", "simple") and (self.inference == "learned" or self.latent < _DIM):
            needs = f"objective {self.objective!r} must have inference 'fixed' and latent 2"
            raise ValueError(f"{needs}, got inference {self.inference!r} and latent {self.latent}")

    @property
    def is_vae(self) -> bool:
        """Whether this is the chain of length one with a learned and informative q."""
        return (self.layers, self.inference, self.last) == (1, "learned", "informative")


class LadderChain(nn.Module):
    """The chain of a rung.

    Arguments:
        rung: its switches.
        schedule: the noise levels where it starts from, and stays if q is fixed; as many as there are layers.
        width: of all its networks: see :class:`~diffusion_notes.networks.TimestepMLP`.
        data_std: the standard deviation of a coordinate of the data.
        generator: draws the initial weights; on the CPU.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: the schedule has not as many steps as there are layers, or a size is not positive.

    Values of points are not checked, because this is called inside loops.

    >>> chain = LadderChain(Rung(layers=3), Schedule.linear(T=3))
    >>> elbo(chain, torch.zeros(5, 2)).terms.shape
    torch.Size([4, 5])
    """

    decoder: TimestepMLP
    bottom: TimestepMLP  # the step to data that are larger than the latents: it has other sizes than all others
    encoder: TimestepMLP  # of a q that is learned
    top: TimestepMLP  # the same for the step from data that are larger than the latents
    linear: Tensor
    left_over: Tensor
    std: Tensor
    layer_probability: Tensor
    layer_cdf: Tensor

    def __init__(
        self,
        rung: Rung,
        schedule: Schedule,
        width: int = 64,
        data_std: float = 0.7,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        check_kind("rung", rung, Rung)
        check_kind("schedule", schedule, Schedule)
        check_positive("data_std", data_std)
        check_generator("generator", generator, torch.device("cpu"))
        if rung.layers != schedule.T:
            raise ValueError(f"schedule must have {rung.layers} steps, as rung has layers, got {schedule.T}")
        self.rung = rung
        self.schedule = schedule
        self.length = rung.layers
        self.data_std = data_std
        self.q = ForwardProcess(schedule)
        self._small = rung.latent < _DIM
        self._learned = rung.inference == "learned"
        self._make_networks(width, generator)
        std = self._std_for_gaussian_data()
        probability = self._layer_probability(std.square())
        tables = self._noise_of_gaussian_data() | {"std": std}
        tables |= {"layer_probability": probability, "layer_cdf": probability.cumsum(0)}
        for name, table in tables.items():
            self.register_buffer(name, table.to(torch.get_default_dtype()).unsqueeze(-1), persistent=False)

    def _make_networks(self, width: int, generator: Generator | None) -> None:
        """Each says two things about what is on its other side, for each coordinate: a mean and a stretch."""
        schedule = self.schedule
        latent = self.rung.latent
        shared = self.rung.networks == "shared"
        self.decoder = TimestepMLP(schedule, latent, 2 * latent, shared, width, generator=generator)
        if self._small:
            self.bottom = TimestepMLP(schedule, latent, 2 * _DIM, width=width, generator=generator)
        if self._learned:
            self.encoder = TimestepMLP(schedule, latent, 2 * latent, shared, width, generator=generator)
        if self._learned and self._small:
            self.top = TimestepMLP(schedule, _DIM, 2 * latent, width=width, generator=generator)

    def _noise_of_gaussian_data(self) -> dict[str, Tensor]:
        r"""For data :math:`\mathcal N(0, \sigma_d^2 I)` the noise is linear in z, what is left over of known size."""
        signal = self.schedule.alpha_bar * self.data_std**2
        noise = self.schedule.one_minus_alpha_bar
        variance = signal + noise
        return {"linear": noise.sqrt() / variance, "left_over": (signal / variance).sqrt()}

    def _std_for_gaussian_data(self) -> Tensor:
        r"""The standard deviation of :math:`z_{i-1}` given :math:`z_i`, for the same data."""
        signal = self.schedule.alpha_bar * self.data_std**2
        noise = self.schedule.one_minus_alpha_bar
        variance_of_x0 = self.data_std**2 * noise / (signal + noise)  # given z_i
        return (self.schedule.beta_tilde + self.schedule.from_x0.square() * variance_of_x0).sqrt()

    def _layer_probability(self, sigma_squared: Tensor) -> Tensor:
        """How the one layer is drawn on which a point is trained."""
        uniform = (self.schedule.beta > 0) / self.schedule.T
        if self.rung.objective != "weighted":
            return uniform
        weight = variational_weight(self.schedule, sigma_squared)
        return (uniform + weight / weight.sum()) / 2  # half of the draws are uniform: no layer is left out

    def settings(self) -> dict[str, str]:
        """What a training run cannot be resumed without, beside the parameters."""
        return {"rung": str(asdict(self.rung)), "schedule": str(self.schedule.beta.tolist())}

    @property
    def cost(self) -> int:
        """The number of multiplications that a step of the training takes for a point, forward; about."""
        whole = self.rung.objective == "bound"
        generative = self.decoder.parameters_of_a_step * (self.length if whole else 1)
        inference = self.encoder.parameters_of_a_step * self.length if self._learned else 0
        return generative + inference

    def prior(self, like: Tensor) -> Independent:
        r""":math:`p(z_L) = \mathcal N(0, I)`, for as many points as ``like`` has."""
        check_points("like", like)
        return standard_normal(like.new_zeros(len(like), self.rung.latent))

    def infer(self, z: Tensor, i: int) -> Independent:
        r""":math:`q_\phi(z_i \mid z_{i-1} = z)`, for i from 1 to L; :math:`z_0` is the data."""
        check_integer("i", i, least=1, most=self.length)
        check_points("z", z, dim=_DIM if i == 1 else self.rung.latent)
        p = self.q.step(z[:, : self.rung.latent], i)  # smaller latents see the first coordinate, if q is fixed
        learned = self._learned and (i < self.length or self.rung.last == "informative")
        if not learned:
            return p
        network = self.top if i == 1 and self._small else self.encoder
        shift, stretch = _halves(network(z, i))
        return gaussian(p.mean + p.stddev * shift, p.stddev * stretch.exp())

    def generate(self, z: Tensor, i: int) -> Independent:
        r""":math:`p_\theta(z_{i-1} \mid z_i = z)`, for i from 1 to L."""
        check_integer("i", i, least=1, most=self.length)
        check_points("z", z, dim=self.rung.latent)
        return self._from_bottom(z) if i == 1 and self._small else self.step(z, i)

    def step(self, xt: Tensor, t: int | Tensor) -> Independent:
        r""":math:`p_\theta(z_{t-1} \mid z_t)` between latents, where each point may have a layer of its own.

        With a fixed q and latents of the size of the data this makes the chain a
        :class:`~diffusion_notes.diffusion.DiffusionChain`.
        """
        check_points("xt", xt, dim=self.rung.latent)
        self.schedule.check_t(t, xt)
        noise, stretch = self._noise(xt, t)
        mean = Prediction(self.schedule, xt, t, noise).mean
        return gaussian(mean, self.std[t] * stretch.exp())

    def loss(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """What the rung is trained on, in nats but for ``"simple"``, from one batch; errors as in ``chain.elbo``.

        The values of ``"bound"`` and ``"layer"`` have the same expectation, up to the constant :math:`L_T` where q is
        fixed.
        """
        check_points("x", x, dim=_DIM, least=1)
        check_generator("generator", generator, x.device)
        if self.rung.objective == "bound":
            return -elbo(self, x, generator).mean
        i = self._draw_layers(x, generator)
        if self._learned:
            return self._loss_along_path(x, i, generator)
        z0 = x[:, : self.rung.latent]
        noise = randn_like(z0, generator)
        at = self.schedule.at
        z = at("sqrt_alpha_bar", i, x) * z0 + at("sqrt_one_minus_alpha_bar", i, x) * noise
        if self.rung.objective == "simple":
            predicted, _ = self._noise(z, i)
            return (noise - predicted).square().sum(-1).mean()
        return (self._layer_loss(x, z0, z, i) / self.layer_probability[i].squeeze(-1)).mean()

    def _draw_layers(self, x: Tensor, generator: Generator | None) -> Tensor:
        """One for each point."""
        u = torch.rand(x.shape[:1], generator=generator, device=x.device, dtype=x.dtype)
        return torch.searchsorted(self.layer_cdf.squeeze(-1), u, right=True).clamp(max=self.length)

    def _layer_loss(self, x: Tensor, z0: Tensor, z: Tensor, i: Tensor) -> Tensor:
        """The term of the negative bound that belongs to layer i, for each point: a KL, or the reconstruction."""
        p = self.step(z, i)
        to_data = self._from_bottom(z) if self._small else p
        reconstruction = -to_data.log_prob(x)
        if self.length == 1:
            return reconstruction
        return torch.where(i == 1, reconstruction, kl_divergence(self.q.posterior(z, z0, i.clamp(min=2)), p))

    def _loss_along_path(self, x: Tensor, i: Tensor, generator: Generator | None) -> Tensor:
        """The negative bound with one random step of p in place of all: q must be walked whole."""
        path = [x]
        log_q = x.new_zeros(len(x))
        for k in range(1, self.length + 1):
            q = self.infer(path[-1], k)
            path.append(draw(q, generator))
            log_q = log_q + q.log_prob(path[-1])
        log_prior = self.prior(x).log_prob(path[-1])
        return (log_q - self.length * self._log_p_of_step(path, i) - log_prior).mean()

    def _log_p_of_step(self, path: list[Tensor], i: Tensor) -> Tensor:
        r""":math:`\log p_\theta(z_{i-1} \mid z_i)` on a path :math:`z_0, \dots, z_L`, each point with its own i."""
        x, *latents = path
        # latents smaller than the data cannot be stacked with them; where i = 1, what stands there is not used
        lowest = latents[0] if self._small else x
        point = torch.arange(len(x), device=x.device)
        z = torch.stack(latents)[i - 1, point]
        below = torch.stack([lowest, *latents[:-1]])[i - 1, point]
        log_p = self.step(z, i).log_prob(below)
        if self._small:  # the step to the data is another network's
            log_p = torch.where(i == 1, self._from_bottom(latents[0]).log_prob(x), log_p)
        return log_p

    def _noise(self, z: Tensor, i: int | Tensor) -> tuple[Tensor, Tensor]:
        """The noise that is predicted in z, and by how much the standard deviation is stretched, in logarithms."""
        out, stretch = _halves(self.decoder(z, i))
        return self.linear[i] * z + self.left_over[i] * out, stretch

    def _from_bottom(self, z: Tensor) -> Independent:
        """The step to the data from latents that are smaller."""
        mean, stretch = _halves(self.bottom(z, 1))
        return gaussian(self.data_std * mean, self.data_std * stretch.exp())


def _halves(out: Tensor) -> tuple[Tensor, Tensor]:
    """For a mean and a std, this by at most a factor of e⁴: a density without bound would be the end of a training."""
    mean, stretch = out.chunk(2, -1)
    return mean, 4 * (stretch / 4).tanh()
