"""Nothing public makes a tensor anywhere but on the device of what it was given.

There is no GPU here, so a decoy stands in for the wrong device. In the first test torch's default
device is ``meta`` while all the inputs are on the CPU: a tensor made without saying where lands on
``meta`` and is caught, even if it is never used. In the second the inputs are on ``meta``: a tensor
made on the CPU is caught, so nothing can be hard-coded to it either. Both go over all public names that the tables
below say how to call; a test of its own fails, and says which, for a new one that is in none of them.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import math
import pkgutil
import traceback
from collections import deque
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import diffusion_notes
from diffusion_notes import (
    chains,
    conditioning,
    data,
    ddpm,
    diffusion,
    distributions,
    fitting,
    guidance,
    hierarchical_vae,
    ladder,
    measured,
    metrics,
    networks,
    parameterisations,
    pretrained,
    samplers,
    schedule,
    score,
    signals,
    swiss_roll,
    vae,
)
from diffusion_notes.experiment import ladder_runs
from diffusion_notes.notebook import exercises

Roll = swiss_roll.SwissRoll
Schedule = schedule.Schedule


class NoTensorOn(contextlib.ExitStack):
    """Raise when something makes a tensor on the forbidden device out of nothing that was there.

    Watched twice, since each view has a blind spot: as torch's operations, and as calls from Python
    (``torch.tensor(1.0)`` is no operation).
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device

    def __enter__(self):
        self.enter_context(Calls(self.check))
        self.enter_context(Operations(self.check))
        return self

    def check(self, function, args, kwargs):
        result = function(*args, **(kwargs or {}))
        given, made = devices((args, kwargs)), devices(result)
        if self.device in made and self.device not in given:
            where = "".join(traceback.format_stack(limit=12)[:-1])
            raise AssertionError(f"{function} made a tensor on {self.device}:\n{where}")
        return result


class Calls(TorchFunctionMode):
    def __init__(self, check):
        super().__init__()
        self.check = check

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return self.check(function, args, kwargs)


class Operations(TorchDispatchMode):
    def __init__(self, check):
        super().__init__()
        self.check = check

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return self.check(function, args, kwargs)


def devices(values) -> set[str]:
    return {x.device.type for x in tree_leaves(values) if isinstance(x, torch.Tensor)}


@contextlib.contextmanager
def decoy():
    """torch's default device is meta, and nothing may land there."""
    with torch.device("meta"), NoTensorOn("meta"):
        yield


def model(x) -> ddpm.DDPM:
    """A small model on the device of ``x``."""
    schedule = Schedule.linear(T=10)
    network = networks.NoiseMLP(schedule, width=4, depth=1, features=2)
    return ddpm.DDPM(network, schedule).to(x.device)


def model_with_table(x) -> ddpm.DDPM:
    """The same with tables of variances and of how often t is drawn, and trained on the bound."""
    plain = model(x)
    return ddpm.DDPM(plain.network, plain.schedule, plain.schedule.beta + 0.1, "variational", plain.schedule.beta + 1)


def conditional(x) -> guidance.ConditionalDDPM:
    """A small model that is told two numbers, on the device of ``x``."""
    network = networks.NoiseMLP(Schedule_10, width=4, depth=1, features=2, condition=2)
    return guidance.ConditionalDDPM(network, Schedule_10, 2, drop=0.5).to(x.device)


def labelled() -> guidance.Labelled:
    """Two parts with a label each, in the plane."""
    parts = data.GaussianMixture(torch.zeros(2), torch.eye(2), torch.ones(2))
    return guidance.Labelled(parts, torch.tensor([0, 1], device="cpu"))


def classified(x) -> tuple[ddpm.DDPM, guidance.NoisyClassifier]:
    classifier = guidance.NoisyClassifier(Schedule_10, 2, width=4, features=2)
    return model(x), classifier.to(x.device)


def mixtures(x) -> data.ConditionalMixture:
    """Two Gaussians for each point, on the device of ``x``."""
    return data.ConditionalMixture(x, torch.stack((x, -x), 1), torch.stack((x.exp(), x.exp()), 1))


def on_a_line(x) -> data.ConditionalMixture:
    return data.ConditionalMixture(x, x.unsqueeze(-1), x.exp().unsqueeze(-1))


def forecaster(x) -> guidance.ConditionalDDPM:
    network = networks.NoiseMLP(Schedule_10, 1, width=4, depth=1, features=2, condition=2)
    return guidance.ConditionalDDPM(network, Schedule_10, 2).to(x.device)


def prior_process(x) -> signals.PriorProcess:
    return signals.PriorProcess(Schedule_10, x.cos(), x.exp())


def towards(x) -> signals.TowardsPrior:
    return signals.TowardsPrior(model(x), x.cos(), x.exp())


def with_prior(x) -> signals.WithPrior:
    return signals.WithPrior(model(x), x.cos(), x.exp())


def waves(x, width: int = 16) -> torch.Tensor:
    return x.repeat(1, width)


def continuous(clock: str = "linear") -> score.ContinuousSchedule:
    return score.ContinuousSchedule(clock, T=1.0, first=0.99, last=0.01)


def mixture(x) -> data.GaussianMixture:
    return data.Clusters().mixture()


def ddim(x) -> samplers.DDIM:
    return samplers.DDIM(model(x), 0.5)


def both_models(x) -> tuple[ddpm.DDPM, ddpm.DDPM]:
    return model(x), model_with_table(x)


def linear_chain(x) -> chains.LinearGaussianChain:
    """A chain of length 2 on the device of ``x``."""
    step = chains.Affine(torch.eye(2).to(x), torch.zeros(2).to(x), torch.tensor(0.5).to(x))
    return chains.LinearGaussianChain([step, step], [step, step])


def scalar_chain(x) -> chains.LinearGaussianChain:
    """A chain of length 1 with a single latent, on the device of ``x``."""
    std = torch.tensor(0.5).to(x)
    p = chains.Affine(torch.ones(2, 1).to(x), torch.zeros(2).to(x), std)
    return chains.LinearGaussianChain([p], [chains.Affine(p.weight.T, torch.zeros(1).to(x), std)])


def small_vae(x) -> vae.VAE:
    return vae.VAE(latent=1, width=4, depth=1, features=2).to(x.device)


def small_hierarchy(x) -> hierarchical_vae.HierarchicalVAE:
    return hierarchical_vae.HierarchicalVAE([2, 1], std=0.1, width=4, depth=1, features=2).to(x.device)


def rungs_of_all_kinds(x) -> list[ladder.LadderChain]:
    """Chains of ten layers on the device of ``x``."""
    switches = [("fixed", "shared", 2, "layer"), ("learned", "shared", 1, "layer"), ("fixed", "shared", 1, "bound")]
    switches += [("fixed", "shared", 2, "weighted"), ("learned", "own", 2, "bound"), ("fixed", "shared", 2, "simple")]
    return [
        ladder.LadderChain(ladder.Rung(10, inference, "noise", networks, latent, objective), Schedule_10, 4).to(
            x.device
        )
        for inference, networks, latent, objective in switches
    ]


def scalar(c) -> chains.ScalarLatent:
    return chains.ScalarLatent(c, nodes=41)


def free(x, c) -> chains.FreePosterior:
    return chains.FreePosterior(c, x[:, :1], std=0.5)


def train(x, net) -> None:
    generator = torch.Generator(x.device) if x.device.type != "meta" else None
    for state in fitting.train(net, x, steps=2, batch_size=4, generator=generator, progress=False):
        assert state.loss.device == x.device


def every_name(x, t, way) -> list[torch.Tensor]:
    guess = getattr(parameterisations.Prediction, way)(Schedule_10, x, t, x.sin())
    return [guess.noise, guess.x0, guess.mean, guess.score, guess.v]


def walk(x, net) -> torch.Tensor:
    return list(net.walk(x))[-1][1]


# How each public thing is called with points x of shape (n, 2) and times t of shape (n,).
# A pair's second part makes what else is needed (a model on the device of x), before the watch begins.
CALLS = {
    "swiss_roll.SwissRoll.diffuse": lambda x, t: Roll().diffuse(x.sigmoid()[:, 0]).log_prob(x),
    "swiss_roll.SwissRoll.spiral": lambda x, t: Roll().spiral(x[:, 0]),
    "swiss_roll.SwissRoll.log_prob": lambda x, t: Roll().log_prob(x),
    "swiss_roll.SwissRoll.score": lambda x, t: Roll().score(x),
    "swiss_roll.SwissRoll.expected_noise": lambda x, t: Roll().expected_noise(x, x.sigmoid()[:, 0]),
    "swiss_roll.SwissRoll.sample": lambda x, t: Roll().diffuse(x.sigmoid()[:2, 0]).sample(3),
    "schedule.DeviceTables.whole": lambda x, t: schedule.DeviceTables({"x": x[:, 0]}.__getitem__).whole("x", x),
    "schedule.DeviceTables.at": lambda x, t: schedule.DeviceTables({"x": x[:, 0]}.__getitem__).at("x", 2, x),
    "schedule.Schedule.at": lambda x, t: Schedule_10.at("sqrt_alpha_bar", t, x),
    "schedule.Schedule.check_t": lambda x, t: Schedule_10.check_t(t, x),
    "diffusion.ForwardProcess.step": lambda x, t: diffusion.ForwardProcess(Schedule_10).step(x, t).mean,
    "diffusion.ForwardProcess.marginal": lambda x, t: diffusion.ForwardProcess(Schedule_10).marginal(x, t).stddev,
    "diffusion.ForwardProcess.posterior": lambda x, t: (
        diffusion.ForwardProcess(Schedule_10).posterior(x, x.sin(), t.clamp(min=2)).log_prob(x)
    ),
    "diffusion.ForwardProcess.walk": lambda x, t: list(diffusion.ForwardProcess(Schedule_10).walk(x)),
    "distributions.gaussian": lambda x, t: distributions.gaussian(x, x.exp()).log_prob(x),
    "distributions.standard_normal": lambda x, t: distributions.standard_normal(x).log_prob(x),
    "distributions.draw": lambda x, t: distributions.draw(distributions.gaussian(x, x.exp())),
    "distributions.randn_like": lambda x, t: distributions.randn_like(x),
    "networks.NoiseMLP.forward": (lambda x, t, m: m.network(x, t, x), conditional),
    "guidance.GaussianExample.model": lambda x, t: (
        guidance.GaussianExample(1.0, 0.5).model(Schedule_10).guided(x[:1, 0], 2.0).predict(x, t)
    ),
    "guidance.Labelled": (lambda x, t, d: d.log_class(x), lambda x: labelled()),
    "guidance.Labelled.classifier": (lambda x, t, d: d.classifier(Schedule_10)(x, 3), lambda x: labelled()),
    "guidance.Labelled.log_class": (lambda x, t, d: d.log_class(x, 0.5), lambda x: labelled()),
    "guidance.Labelled.log_tilted": (lambda x, t, f: f(x), lambda x: labelled().log_tilted(1, 2.0)),
    "guidance.Labelled.model": (
        lambda x, t, m: m.guided(x[0].sigmoid(), 2.0).predict(x, 3),
        lambda x: labelled().model(Schedule_10),
    ),
    "guidance.Labelled.row": (lambda x, t, d: d.row(1, x), lambda x: labelled()),
    "guidance.NoisyClassifier.forward": (lambda x, t, m: m[1](x, t), classified),
    "guidance.NoisyClassifier.loss": (lambda x, t, m: m[1].loss(torch.cat((x, x), 1)).backward(), classified),
    "guidance.NoisyClassifier.settings": (lambda x, t, m: m[1].settings(), classified),
    "guidance.classifier_guided": (
        lambda x, t, m: guidance.classifier_guided(*m, x[0], 2.0).predict(x, t),
        classified,
    ),
    "guidance.ConditionalDDPM.given": (lambda x, t, m: m.given(x).step(x, t).log_prob(x), conditional),
    "guidance.ConditionalDDPM.guided": (lambda x, t, m: m.guided(x[0], 2.0).predict(x, t), conditional),
    "guidance.ConditionalDDPM.loss": (lambda x, t, m: m.loss(torch.cat((x, x), 1)).backward(), conditional),
    "signals.ExactGiven": (lambda x, t, q: signals.ExactGiven(q, Schedule_10)(x, 3), mixtures),
    "signals.PriorProcess.whiten": (lambda x, t, q: q.whiten(x), prior_process),
    "signals.PriorProcess.colour": (lambda x, t, q: q.colour(x), prior_process),
    "signals.PriorProcess.coloured": (
        lambda x, t, q: q.coloured(distributions.standard_normal(x)).log_prob(x),
        prior_process,
    ),
    "signals.PriorProcess.step": (lambda x, t, q: q.step(x, t).log_prob(x), prior_process),
    "signals.PriorProcess.marginal": (lambda x, t, q: q.marginal(x, t).log_prob(x), prior_process),
    "signals.PriorProcess.posterior": (
        lambda x, t, q: q.posterior(x, x.sin(), t.clamp(min=2)).log_prob(x),
        prior_process,
    ),
    "signals.TowardsPrior.prior": (lambda x, t, m: m.prior(x).log_prob(x), towards),
    "signals.TowardsPrior.infer": (lambda x, t, m: m.infer(x, 3).log_prob(x), towards),
    "signals.TowardsPrior.generate": (lambda x, t, m: m.generate(x, 3).log_prob(x), towards),
    "signals.TowardsPrior.step": (lambda x, t, m: m.step(x, t).log_prob(x), towards),
    "signals.WithPrior.fitted": (lambda x, t, m: signals.WithPrior.fitted(m, x).std, model),
    "signals.WithPrior.prior": (lambda x, t, m: m.prior(x).log_prob(x), with_prior),
    "signals.WithPrior.infer": (lambda x, t, m: m.infer(x, 3).log_prob(x), with_prior),
    "signals.WithPrior.generate": (lambda x, t, m: m.generate(x, 3).log_prob(x), with_prior),
    "signals.WithPrior.step": (lambda x, t, m: m.step(x, t).log_prob(x), with_prior),
    "signals.one_after_the_other": lambda x, t: signals.one_after_the_other(waves(x, 3), 2),
    "signals.series_bound": (lambda x, t, m: signals.series_bound(m, waves(x, 3)), forecaster),
    "signals.draw_next": (lambda x, t, m: signals.draw_next(m, 4, "ddim", "uniform")(x, None), forecaster),
    "signals.forecast": lambda x, t: signals.forecast(lambda h, g: h.sum(-1, keepdim=True), x, 3, 2),
    "guidance.ConditionalDDPM.settings": (lambda x, t, m: m.settings(), conditional),
    "networks.NoiseMLP.reset_parameters": (lambda x, t, m: m.network.reset_parameters(), model),
    "ddpm.DDPM.loss": (lambda x, t, m: [each.loss(x).backward() for each in m], both_models),
    "ddpm.DDPM.step": (lambda x, t, m: m.step(x, t).log_prob(x), model),
    "ddpm.DDPM.prior": (lambda x, t, m: m.prior(x).log_prob(x), model),
    "ddpm.DDPM.infer": (lambda x, t, m: m.infer(x, 3).log_prob(x), model),
    "ddpm.DDPM.generate": (lambda x, t, m: m.generate(x, 3).log_prob(x), model),
    "ddpm.DDPM.walk": (lambda x, t, m: walk(x, m), model),
    "ddpm.DDPM.sample": (lambda x, t, m: m.sample(x), model),
    "ddpm.DDPM.predict": (lambda x, t, m: m.predict(x, t), model),
    "samplers.sample": (lambda x, t, m: samplers.sample(m, x, "ddim", 4, eta=0.5), model),
    "samplers.walk": (
        lambda x, t, m: list(samplers.walk(m, x, "heun", 4)) + list(samplers.walk(m, x, "dpmpp_2m", 4)),
        model,
    ),
    "conditioning.replacement": (
        lambda x, t, m: deque(conditioning.replacement(m, x, KNOWN, 2, levels=[2, 10]), maxlen=1)[0][1],
        model,
    ),
    "conditioning.multiplied": (
        lambda x, t, m: deque(conditioning.multiplied(m, x, SEEN, "rising", levels=[2, 10]), maxlen=1)[0][1],
        model,
    ),
    "conditioning.enter": (lambda x, t, m: deque(conditioning.enter(m, x, 0.05), maxlen=1)[0][1], model),
    "conditioning.denoised": (lambda x, t, m: conditioning.denoised(m, x, 0.05), model),
    "conditioning.gradient_guidance": (
        lambda x, t, m: deque(conditioning.gradient_guidance(m, x, SEEN, "dps", 0.5, levels=[2, 10]), maxlen=1)[0][1],
        model,
    ),
    "conditioning.particles": (
        lambda x, t, m: deque(conditioning.particles(m, x, SEEN, levels=[2, 10]), maxlen=1)[0].x,
        model,
    ),
    "samplers.start": lambda x, t: samplers.start(Schedule_10, x, 2 * x),
    "samplers.ExactNoise": lambda x, t: samplers.ExactNoise(data.Clusters(), Schedule_10)(x, 3),
    "samplers.DDIMProcess.mean": lambda x, t: samplers.DDIMProcess(Schedule_10, 0.5).mean(x, x.sin(), t),
    "samplers.DDIMProcess.marginal": lambda x, t: samplers.DDIMProcess(Schedule_10, 0.5).marginal(x, t).stddev,
    "samplers.DDIMProcess.posterior": lambda x, t: (
        samplers.DDIMProcess(Schedule_10, 0.5).posterior(x, x.sin(), t.clamp(min=2)).log_prob(x)
    ),
    "samplers.DDIM.prior": (lambda x, t, m: m.prior(x).log_prob(x), ddim),
    "samplers.DDIM.infer_last": (lambda x, t, m: m.infer_last(x).log_prob(x), ddim),
    "samplers.DDIM.infer_below": (lambda x, t, m: m.infer_below(x, x.sin(), 3).log_prob(x), ddim),
    "samplers.DDIM.generate": (lambda x, t, m: m.generate(x, 3).log_prob(x), ddim),
    "samplers.DDIM.step": (lambda x, t, m: m.step(x, t).log_prob(x), ddim),
    "score.ContinuousSchedule.alpha_bar": lambda x, t: continuous().alpha_bar(x[:, 0].sigmoid()),
    "score.ContinuousSchedule.beta": lambda x, t: continuous("cosine").beta(x[:, 0].sigmoid()),
    "score.ContinuousSchedule.kappa": lambda x, t: continuous("flow").kappa(x[:, 0].sigmoid()),
    "score.ContinuousSchedule.log_snr": lambda x, t: continuous("log_snr").log_snr(x[:, 0].sigmoid()),
    "score.annealed_langevin": (lambda x, t, m: list(score.annealed_langevin(m, x, [9, 3], 2)), model),
    "score.denoising_score_matching": (lambda x, t, m: score.denoising_score_matching(m, x, t), model),
    "score.divergence": lambda x, t: score.divergence(torch.sin, x, x[None]) + score.divergence(torch.sin, x),
    "score.forward_sde": lambda x, t: list(score.forward_sde(continuous(), x, 3)),
    "score.implicit_score_matching": (lambda x, t, m: score.implicit_score_matching(m, x, t, x[None]), model),
    "score.marginal_change": lambda x, t: score.marginal_change(data.Clusters(), x, 0.5, 0.5),
    "score.noise_from_velocity": lambda x, t: score.noise_from_velocity(x, x[:, 0].sigmoid(), 2 * x),
    "score.ode_log_prob": (lambda x, t, m: score.ode_log_prob(m, x, 2, x[None], 0.02), model),
    "score.reverse_sde": (lambda x, t, m: list(score.reverse_sde(m, continuous(), x, 3, 0.5)), model),
    "score.straightness": lambda x, t: score.straightness(torch.stack((x, 2 * x, x.sin()))),
    "score.velocity_from_noise": lambda x, t: score.velocity_from_noise(x, x[:, 0].sigmoid(), 2 * x),
    "diffusion.bound_terms": (lambda x, t, m: diffusion.bound_terms(m, x).total, model),
    "diffusion.one_step": (lambda x, t, m: diffusion.one_step(m, x).sum().backward(), model_with_table),
    "diffusion.forward_form": (lambda x, t, m: diffusion.forward_form(m, [x] * 11), model_with_table),
    "diffusion.posterior_form": (lambda x, t, m: diffusion.posterior_form(m, [x] * 11), model),
    "diffusion.kl_form": (lambda x, t, m: diffusion.kl_form(m, [x] * 11), model_with_table),
    "diffusion.discretised_log_prob": lambda x, t: diffusion.discretised_log_prob(
        distributions.standard_normal(x), x, 0.1
    ),
    "parameterisations.Prediction": lambda x, t: parameterisations.Prediction(Schedule_10, x, t, x.sin()).v,
    "parameterisations.Prediction.from_x0": lambda x, t: every_name(x, t, "from_x0"),
    "parameterisations.Prediction.from_mean": lambda x, t: every_name(x, t, "from_mean"),
    "parameterisations.Prediction.from_score": lambda x, t: every_name(x, t, "from_score"),
    "parameterisations.Prediction.from_v": lambda x, t: every_name(x, t, "from_v"),
    "metrics.energy_distance": lambda x, t: metrics.energy_distance(x, 2 * x),
    "metrics.sliced_distance": lambda x, t: metrics.sliced_distance(x, 2 * x),
    "metrics.kl_from_counts": lambda x, t: metrics.kl_from_counts(t, 11),
    "metrics.plug_in_kl": lambda x, t: metrics.plug_in_kl(t, 11),
    "metrics.stray_share": lambda x, t: metrics.stray_share(x, Roll()),
    "metrics.band_width": lambda x, t: metrics.band_width(x, Roll()),
    "metrics.binned_kl": lambda x, t: metrics.binned_kl(x, Roll()),
    "fitting.train": (lambda x, t, m: train(x, m), model),
    "fitting.fingerprint": lambda x, t: fitting.fingerprint(x),
    "chains.elbo": (lambda x, t, c: chains.elbo(c, x).standard_error, linear_chain),
    "chains.infer_path": (lambda x, t, c: chains.infer_path(c, x), linear_chain),
    "chains.importance_bound": (lambda x, t, c: chains.importance_bound(c, x, 3), linear_chain),
    "chains.sample": (lambda x, t, c: chains.sample(c, x), linear_chain),
    "chains.Affine.scalar": lambda x, t: chains.Affine.scalar(2, 0.5, device=x.device)(x[:, :1].double()),
    "chains.LinearGaussianChain.prior": (lambda x, t, c: c.prior(x).log_prob(x), linear_chain),
    "chains.LinearGaussianChain.infer": (lambda x, t, c: c.infer(x, 1).log_prob(x), linear_chain),
    "chains.LinearGaussianChain.generate": (lambda x, t, c: c.generate(x, 2).log_prob(x), linear_chain),
    "chains.LinearGaussianChain.joint": (lambda x, t, c: c.joint().mean, linear_chain),
    "chains.LinearGaussianChain.log_prob": (lambda x, t, c: c.log_prob(x), linear_chain),
    "chains.LinearGaussianChain.posterior": (lambda x, t, c: c.posterior(x).mean, linear_chain),
    "chains.LinearGaussianChain.exact_elbo": (lambda x, t, c: c.exact_elbo(x).total, linear_chain),
    "chains.LinearGaussianChain.inferred": (lambda x, t, c: c.inferred(x).mean, linear_chain),
    "networks.GaussianMLP.forward": (lambda x, t, m: m.encoders[0](x).log_prob(x[:, :1]), small_vae),
    "vae.naive_estimate": (lambda x, t, m: vae.naive_estimate(m, x, 3), small_vae),
    "vae.naive_spread": (lambda x, t, c: vae.naive_spread(c.generative[0], x), scalar_chain),
    "vae.score_function_surrogate": (lambda x, t, m: vae.score_function_surrogate(m, x).sum().backward(), small_vae),
    "chains.FreePosterior": (lambda x, t, c: free(x, c), scalar_chain),
    "chains.FreePosterior.prior": (lambda x, t, c: free(x, c).prior(x).log_prob(x[:, :1]), scalar_chain),
    "chains.FreePosterior.infer": (lambda x, t, c: free(x, c).infer(x).log_prob(x[:, :1]), scalar_chain),
    "chains.FreePosterior.generate": (lambda x, t, c: free(x, c).generate(x[:, :1]).log_prob(x), scalar_chain),
    "chains.ScalarLatent.grid": (lambda x, t, c: scalar(c).grid(x), scalar_chain),
    "chains.ScalarLatent.log_joint": (lambda x, t, m: scalar(m).log_joint(x), small_vae),
    "chains.ScalarLatent.log_prob": (lambda x, t, m: scalar(m).log_prob(x), small_vae),
    "chains.ScalarLatent.elbo": (lambda x, t, m: scalar(m).elbo(x), small_vae),
    "chains.ScalarLatent.best_gaussian": (lambda x, t, c: scalar(c).best_gaussian(x, steps=2), scalar_chain),
    "chains.NeuralChain.settings": (lambda x, t, m: m.settings(), small_hierarchy),
    "chains.NeuralChain.prior": (lambda x, t, m: m.prior(x).log_prob(x[:, :1]), small_hierarchy),
    "chains.NeuralChain.infer": (lambda x, t, m: m.infer(x, 2).log_prob(x[:, :1]), small_hierarchy),
    "chains.NeuralChain.generate": (lambda x, t, m: m.generate(x, 1).log_prob(x), small_hierarchy),
    "chains.NeuralChain.loss": (lambda x, t, m: m.loss(x).backward(), small_hierarchy),
    "hierarchical_vae.splits": (lambda x, t, c: hierarchical_vae.splits(c, x).repaired, linear_chain),
    "notebook.exercises.check": lambda x, t: exercises.check(x.sin(), x),
    "pretrained.put_on_spiral": (lambda x, t, m: pretrained.put_on_spiral(m, torch.Generator(x.device), 2), small_vae),
    "ddpm.DDPM.settings": (lambda x, t, m: m.settings(), model),
    "data.Clusters.diffuse": lambda x, t: data.Clusters().diffuse(0.5).log_prob(x),
    "data.Clusters.log_prob": lambda x, t: data.Clusters().log_prob(x),
    "data.Clusters.score": lambda x, t: data.Clusters().score(x),
    "data.Clusters.sample": lambda x, t: data.Clusters().sample(3, device=x.device),
    "data.Clusters.cells": lambda x, t: data.Clusters().cells(x),
    "data.Clusters.distance": lambda x, t: data.Clusters().distance(x),
    "data.GaussianMixture.cells": (lambda x, t, m: m.cells(x), mixture),
    "data.GaussianMixture.diffuse": (lambda x, t, m: m.diffuse(0.5).log_prob(x), mixture),
    "data.GaussianMixture.log_parts": (lambda x, t, m: m.log_parts(x), mixture),
    "data.GaussianMixture.log_prob": (lambda x, t, m: m.log_prob(x), mixture),
    "data.GaussianMixture.sample": (lambda x, t, m: m.sample(3, device=x.device), mixture),
    "data.GaussianMixture.score": (lambda x, t, m: m.score(x), mixture),
    "data.GaussianMixture.strays": (lambda x, t, m: m.strays(x), mixture),
    "data.GaussianMixture.uniforms": (lambda x, t, m: m.uniforms(x), mixture),
    "data.Seen.log_likelihood": lambda x, t: SEEN.log_likelihood(x),
    "data.KernelDensity": lambda x, t: data.KernelDensity(x, 0.1).points,
    "data.KernelDensity.log_prob": lambda x, t: data.KernelDensity(x, 0.1).log_prob(x),
    "data.KernelDensity.sample": lambda x, t: data.KernelDensity(x, 0.1).sample(len(x)),
    "data.ConditionalMixture": lambda x, t: mixtures(x).mean,
    "data.ConditionalMixture.diffuse": (lambda x, t, q: q.diffuse(0.5).log_prob(x), mixtures),
    "data.ConditionalMixture.sample": (lambda x, t, q: q.sample(), mixtures),
    "data.ConditionalMixture.log_prob": (lambda x, t, q: q.log_prob(x), mixtures),
    "data.ConditionalMixture.parts": (lambda x, t, q: q.parts(x), mixtures),
    "data.ConditionalMixture.score": (lambda x, t, q: q.score(x), mixtures),
    "data.ConditionalMixture.expected_noise": (lambda x, t, q: q.expected_noise(x, 0.5), mixtures),
    "data.ConditionalMixture.moments": (lambda x, t, q: q.moments(), mixtures),
    "data.ConditionalMixture.cdf": (lambda x, t, q: q.cdf(x[:, :1]), on_a_line),
    "data.ConditionalMixture.crps": (lambda x, t, q: q.crps(x[:, :1]), on_a_line),
    "data.KickedOscillator.given": lambda x, t: data.KickedOscillator().given(x).log_weight,
    "data.KickedOscillator.follow": lambda x, t: data.KickedOscillator().follow(x, 3),
    "data.KickedOscillator.series": lambda x, t: data.KickedOscillator().series(3, 4, device=x.device),
    "data.TwoNotes.given": lambda x, t: data.TwoNotes().given(waves(x, 2)).variance,
    "data.TwoNotes.band_variance": lambda x, t: data.TwoNotes().band_variance(waves(x, 2)),
    "data.TwoNotes.to_time": lambda x, t: data.TwoNotes().to_time(waves(x)),
    "data.TwoNotes.from_time": lambda x, t: data.TwoNotes().from_time(waves(x)),
    "data.TwoNotes.sample": lambda x, t: data.TwoNotes().sample(3, device=x.device),
    "data.TwoNotes.spectra": lambda x, t: data.TwoNotes().spectra(3, device=x.device),
    "metrics.crps": lambda x, t: metrics.crps(x, x[0]),
    "metrics.energy_score": lambda x, t: metrics.energy_score(torch.stack((x, x.flip(0))), x),
    "metrics.ranks": lambda x, t: metrics.ranks(x, x[0]),
    "data.Peaks.diffuse": lambda x, t: data.Peaks().diffuse(0.5).log_prob(x[:, :1]),
    "data.Peaks.log_prob": lambda x, t: data.Peaks().log_prob(x[:, :1]),
    "data.Peaks.score": lambda x, t: data.Peaks().score(x[:, :1]),
    "data.Peaks.expected_noise": lambda x, t: data.Peaks().expected_noise(x[:, :1], 0.5),
    "data.Peaks.posterior": lambda x, t: data.Peaks().posterior(x[:, :1], 0.5, 0.75).mean,
    "measured.smoothed": lambda x, t: measured.smoothed(x, 3, torch.Generator(x.device)),
    "measured.memorised": lambda x, t: measured.memorised(x, 3, torch.Generator(x.device)),
    "measured.scores": lambda x, t: measured.scores(x),
    "measured.true_samples": lambda x, t: measured.true_samples(x, 3, torch.Generator(x.device)),
    "swiss_roll.SwissRoll.across": lambda x, t: Roll().across(x),
    "swiss_roll.SwissRoll.cells": lambda x, t: Roll().cells(x),
    "swiss_roll.SwissRoll.distance": lambda x, t: Roll().distance(x),
    "swiss_roll.SwissRoll.nearest": lambda x, t: Roll().nearest(x),
    "networks.TimestepMLP.forward": (lambda x, t, m: m[0].decoder(x, t - 1), rungs_of_all_kinds),
    "ladder.LadderChain.settings": (lambda x, t, m: m[0].settings(), rungs_of_all_kinds),
    "ladder.LadderChain.prior": (lambda x, t, m: m[0].prior(x).log_prob(x), rungs_of_all_kinds),
    "ladder.LadderChain.infer": (lambda x, t, m: m[0].infer(x, 2).log_prob(x), rungs_of_all_kinds),
    "ladder.LadderChain.generate": (lambda x, t, m: m[0].generate(x, 2).log_prob(x), rungs_of_all_kinds),
    "ladder.LadderChain.step": (lambda x, t, m: m[0].step(x, t % 3 + 1).log_prob(x), rungs_of_all_kinds),
    "ladder.LadderChain.loss": (lambda x, t, m: [each.loss(x).backward() for each in m], rungs_of_all_kinds),
    "experiment.ladder_runs.gradient_noise": (
        lambda x, t, m: ladder_runs.gradient_noise(m[0], x, draws=2),
        rungs_of_all_kinds,
    ),
    "swiss_roll.SwissRoll.expect": lambda x, t: Roll().diffuse(x.sigmoid()[0, 0]).expect(torch.sin),
    "swiss_roll.SwissRoll.entropy": lambda x, t: Roll().diffuse(x.sigmoid()[:2, 0]).entropy(),
    "swiss_roll.SwissRoll.noise_mmse": lambda x, t: Roll().noise_mmse(x.sigmoid()[:2, 0]),
}
# These look at values (a count, a file's bytes, the size of a grid), which a meta tensor has not.
NEEDS_VALUES = {
    "score.forward_sde",  # whose rates are numbers
    "score.ode_log_prob",  # of networks at levels of its own, whose tables are made on the CPU by design
    "score.reverse_sde",
    "metrics.energy_distance",
    "metrics.crps",
    "metrics.energy_score",
    "metrics.ranks",
    "metrics.sliced_distance",
    "measured.memorised",
    "measured.smoothed",
    "measured.true_samples",
    "measured.scores",
    "swiss_roll.SwissRoll.across",
    "swiss_roll.SwissRoll.cells",
    "swiss_roll.SwissRoll.distance",
    "swiss_roll.SwissRoll.nearest",
    "metrics.stray_share",
    "metrics.band_width",
    "metrics.binned_kl",
    "metrics.kl_from_counts",
    "metrics.plug_in_kl",
    "data.Clusters.cells",
    "data.Clusters.distance",
    "data.GaussianMixture.cells",
    "data.GaussianMixture.strays",
    "data.GaussianMixture.uniforms",
    "experiment.ladder_runs.gradient_noise",
    "fitting.fingerprint",
    "swiss_roll.SwissRoll.expect",
    "swiss_roll.SwissRoll.entropy",
    "swiss_roll.SwissRoll.noise_mmse",
    "fitting.train",
    "notebook.exercises.check",
    "chains.ScalarLatent.best_gaussian",  # torch's Adam counts its steps on the CPU
    "pretrained.put_on_spiral",
}
# These take no tensor, or are there to make things where the caller says; what they make is tested elsewhere.
TAKE_NO_TENSOR = {
    "data.Band", "data.Band.across", "data.Reference", "data.Reference.cells", "data.Reference.distance",
    "diffusion.DiffusionChain", "diffusion.DiffusionChain.prior", "diffusion.DiffusionChain.step",
    "diffusion.DiffusionProcess", "diffusion.DiffusionProcess.marginal", "diffusion.DiffusionProcess.posterior",
    "diffusion.FixedVarianceChain", "measured.REFERENCES",
    "chains.TopDownChain", "chains.TopDownChain.generate", "chains.TopDownChain.infer_below",
    "chains.TopDownChain.infer_last", "chains.TopDownChain.prior",
    "conditioning.Particles",
    "samplers.DDIM", "samplers.DDIMProcess", "samplers.ExactNoise.on", "networks.NoiseMLP.on",
    "guidance.ConditionalDDPM", "guidance.GaussianExample", "guidance.GaussianExample.guided",
    "guidance.GaussianExample.tilted", "guidance.NoisyClassifier", "guidance.NoisyClassifier.on", "guidance.arms",
    "guidance.Labelled.given", "guidance.Labelled.information", "guidance.Labelled.sample", "guidance.Labelled.share",
    "networks.TimestepMLP.on", "pretrained.swiss_roll_arms", "pretrained.swiss_roll_arms_classifier",
    "signals.ExactGiven.on", "signals.PriorProcess", "signals.TowardsPrior", "signals.WithPrior",
    "data.KickedOscillator", "data.TwoNotes",
    "pretrained.oscillator_forecaster", "pretrained.two_notes_vocoder",
    "samplers.best_levels", "samplers.choose_levels", "samplers.karras_levels",  # tables, on the CPU by design
    "samplers.on_levels", "schedule.Schedule.through",
    "score.ContinuousSchedule", "score.ContinuousSchedule.steps", "score.LogProb", "score.bound_mixture",
    "score.continuous_bound", "score.entropy_from_losses", "score.network_losses",
    "diffusion.BoundTerms", "equations.Page", "equations.Page.judge", "equations.Report", "equations.Verdict",
    "equations.check", "equations.contains", "notebook.exercises.check_line",
    "chains.Bound", "chains.Chain", "chains.Chain.generate", "chains.Chain.infer", "chains.Chain.prior",
    "chains.Affine", "networks.NoiseMLP.extra_repr", "data.integrate_plane",
    "data.unit_interval", "chains.LinearGaussianChain",
    "fitting.Checkpoint", "fitting.Checkpoint.load", "fitting.Checkpoint.save",
    "fitting.CheckpointError", "fitting.load_weights", "fitting.save_weights",
    "ddpm.DDPM", "diffusion.ForwardProcess", "schedule.Schedule", "schedule.Schedule.cosine",
    "schedule.Schedule.linear", "schedule.Schedule.nearest", "networks.NoiseMLP", "swiss_roll.SwissRoll",
    "hierarchical_vae.HierarchicalVAE", "chains.NeuralChain",
    "schedule.DeviceTables", "hierarchical_vae.Splits", "networks.GaussianMLP",
    "networks.GaussianMLP.extra_repr", "chains.ScalarLatent", "vae.VAE",
    "data.KnownDistribution", "data.KnownDistribution.diffuse", "data.KnownDistribution.score",
    "data.KnownDistribution.expect", "data.KnownDistribution.log_prob",
    "schedule.best_bound", "schedule.best_schedule", "schedule.mmse",  # tables, on the CPU by design
    "schedule.log_snr_levels", "networks.timestep_embedding",  # tables, on the CPU by design
    "data.KernelDensity.leave_one_out",
    "data.GaussianMixture", "data.GaussianMixture.entropy", "data.GaussianMixture.evidence",
    "data.GaussianMixture.expect", "data.GaussianMixture.given", "data.GaussianMixture.moments",
    "data.GaussianMixture.only", "data.GaussianMixture.share", "data.Seen",  # tables, on the CPU by design
    "swiss_roll.SwissRoll.mixture", "data.Clusters.mixture", "data.Peaks.mixture",
    "data.Clusters", "data.Clusters.expect", "data.Clusters.entropy", "data.Peaks", "data.Peaks.expect",
    "networks.TimestepMLP",
    "networks.TimestepMLP.extra_repr", "ladder.CHOICES", "ladder.LadderChain", "ladder.Rung",
    "experiment.ladder_runs.BUDGETS", "experiment.ladder_runs.DATA", "experiment.ladder_runs.LADDER",
    "experiment.ladder_runs.LEARNING_RATE", "experiment.ladder_runs.RUNGS", "experiment.ladder_runs.train_rung",
    "experiment.ladder_runs.measure", "experiment.ladder_runs.schedule_of", "experiment.ladder_runs.steps_and_width",
    "experiment.comparisons.average", "experiment.comparisons.bought", "experiment.comparisons.runs_of",
    "experiment.results.STORED", "experiment.results.provenance", "experiment.results.load_results",
    "parameterisations.best_variance", "parameterisations.variational_constant",  # tables, on the CPU by design
    "parameterisations.variational_weight",
    "pretrained.RECIPES", "pretrained.WEIGHTS", "pretrained.swiss_roll_ddpm",
    "pretrained.swiss_roll_hierarchical_vae", "pretrained.swiss_roll_precise_ddpm", "pretrained.swiss_roll_vae",
    "experiment.sampler_runs.curve", "experiment.sampler_runs.names",
    "fitting.TrainingState", "fitting.default_device",
}  # fmt: skip
# These draw for a person, on the CPU by nature, or do not know torch at all.
NOT_ABOUT_TENSORS = {"notebook.diagrams", "notebook.plotting", "notebook.tables", "explorables", "experiment.runs"}

Schedule_10 = Schedule.linear(T=10)
SEEN = data.Seen((0.5, 0.1), (0.3, 0.2))
KNOWN = data.Seen((0.5, 0.1), (0.0, math.inf))


def doors(package: ModuleType = diffusion_notes) -> Iterator[ModuleType]:
    """The public modules, and of a room that says what is public in it only the room."""
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if info.name.rpartition(".")[2][0] == "_":
            continue
        module = importlib.import_module(info.name)
        if hasattr(module, "__all__"):
            yield module
        elif info.ispkg:
            yield from doors(module)


def public_names(without: set[str] = NOT_ABOUT_TENSORS) -> set[str]:
    names = set()
    for module in doors():
        place = module.__name__.removeprefix("diffusion_notes.")
        if place in without:
            continue
        for name in module.__all__:
            thing = getattr(module, name)
            names.add(f"{place}.{name}")
            if inspect.isclass(thing):
                own = {n for n, f in vars(thing).items() if callable(getattr(f, "__func__", f)) and n[0] != "_"}
                names |= {f"{place}.{name}.{n}" for n in own}
    return names


PLACES = {module.__name__.removeprefix("diffusion_notes."): module for module in doors()}


def resolve(name: str) -> object:
    """What a public name stands for."""
    place = max((place for place in PLACES if f"{name}.".startswith(f"{place}.")), key=len)
    return functools.reduce(getattr, name.removeprefix(place).split(".")[1:], PLACES[place])


def test_every_public_name_is_in_one_of_the_tables():
    new = public_names() - set(CALLS) - TAKE_NO_TENSOR
    assert not new, f"say in CALLS how {sorted(new)} are called, or in TAKE_NO_TENSOR that they take no tensor"
    gone = (set(CALLS) | TAKE_NO_TENSOR | NEEDS_VALUES) - public_names()
    assert not gone, f"take {sorted(gone)} out of CALLS, TAKE_NO_TENSOR and NEEDS_VALUES: they are public no longer"
    assert not set(CALLS) & TAKE_NO_TENSOR, "a name in CALLS is called, and one in TAKE_NO_TENSOR is not"


def call(name: str, x: torch.Tensor, t: torch.Tensor, watch) -> None:
    entry = CALLS[name]
    function, make = entry if isinstance(entry, tuple) else (entry, None)
    made = () if make is None else (make(x),)
    with watch:
        function(x, t, *made)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_nothing_is_made_on_the_default_device(name):
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    call(name, x, torch.tensor([1, 2, 3, 4, 5, 10]), decoy())


@pytest.mark.parametrize("name", sorted(set(CALLS) - NEEDS_VALUES))
def test_nothing_is_made_on_the_cpu(name):
    x = torch.empty(6, 2, device="meta")
    Schedule_10.tables.placed.clear()
    for table in ("sqrt_alpha_bar", "sqrt_one_minus_alpha_bar", "sqrt_alpha", "sqrt_beta", "sigma_tilde", "beta"):
        Schedule_10.at(table, 1, x)  # the tables live on the CPU by design, and are copied over once
    call(name, x, torch.zeros(6, dtype=torch.long, device="meta"), NoTensorOn("cpu"))


SLIPS = [lambda: torch.zeros(3), lambda: torch.tensor(1.0), lambda: torch.arange(2) + 1, lambda: torch.randn(1)]


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_to_the_default_device_is_caught(slip):
    """The tests above can fail: this is what would make them."""
    with pytest.raises(AssertionError, match="made a tensor on meta"), decoy():
        slip()


def test_a_slip_to_the_cpu_is_caught():
    with pytest.raises(AssertionError, match="made a tensor on cpu"), NoTensorOn("cpu"):
        torch.zeros(3, device="cpu")
