"""What the chapter on signals measures over several trainings: forecasts, waveforms, and short diffusions of the roll.

    python benchmarks/signals.py [--only NAME ...]

Three trainings each of the forecaster and of the two vocoders, by the recipes of the stored weights, of which the first
are the stored ones; and of a diffusion of 50 steps of the roll, towards N(0, I) and towards the Gaussian of the points.
Beside each stands the exact law, and of the waveforms a perfect network with other noise too: the control. Networks and
runs are kept as soon as they are made, so a series that is interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Generator, Tensor

from diffusion_notes.data import ConditionalMixture, GaussianMixture, KickedOscillator, TwoNotes
from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import bound_terms
from diffusion_notes.distributions import draw, gaussian
from diffusion_notes.experiment.results import STORED, provenance
from diffusion_notes.experiment.runs import Runs, write_whole
from diffusion_notes.fitting import load_weights, save_weights, train
from diffusion_notes.guidance import ConditionalDDPM
from diffusion_notes.metrics import binned_kl, crps, energy_score, ranks, stray_share
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.parameterisations import variational_constant, variational_weight
from diffusion_notes.pretrained import RECIPES, oscillator_forecaster, two_notes_vocoder
from diffusion_notes.pretrained.__main__ import trained
from diffusion_notes.samplers import sample
from diffusion_notes.schedule import Schedule, mmse
from diffusion_notes.signals import ExactGiven, TowardsPrior, WithPrior, draw_next, forecast
from diffusion_notes.swiss_roll import SwissRoll

FOLDER = Path(__file__).resolve().parents[1] / "_build" / "signals"
SEEDS = range(3)
CLOCK, NOTES, ROLL = KickedOscillator(), TwoNotes(), SwissRoll()
ONE_AHEAD, CASES, MEMBERS, AHEAD = 20_000, 1000, 99, 12
HISTORIES, PATHS = 40, 100_000
WAVES, SPECTRA = 10_000, 4000
CALLS = (4, 8, 16, 32)
LEVELS = (5, 10, 20, 50, 100)
SHORT = Schedule.linear(T=50)
POINTS, STEPS, FRESH, SAMPLES = 50_000, 6000, 20_000, 20_000


def network(name: str, seed: int) -> ConditionalDDPM:
    """A network of a recipe; that of seed 0 is the stored one."""
    if seed == RECIPES[name].seed:
        return oscillator_forecaster() if name == "forecaster" else two_notes_vocoder(name.removeprefix("vocoder_"))
    recipe = replace(RECIPES[name], seed=seed)
    model = recipe.build()
    path = FOLDER / f"{name}_{seed}.safetensors"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        save_weights(trained(recipe, progress=False), path, about={})
    load_weights(model, path)
    return model.eval().requires_grad_(False)


def mean(value: Tensor) -> dict:
    """The mean over cases, and two standard errors."""
    value = value.double()
    return {"mean": value.mean().item(), "two standard errors": 2 * value.std().item() / len(value) ** 0.5}


# -- forecasts ----------------------------------------------------------------------------------------


def gaussian_next(history: Tensor, generator: Generator | None) -> Tensor:
    """The next value by the best Gaussian: that of the exact mean and variance."""
    return draw(gaussian(*CLOCK.given(history).moments()), generator)


def exact_next(history: Tensor, generator: Generator | None) -> Tensor:
    """The next value by the exact law."""
    return CLOCK.given(history).sample(generator)


def cases(n: int, length: int) -> tuple[Tensor, Tensor]:
    """Histories, and what came: the same for all forecasters."""
    series = CLOCK.series(n, 2 + length, Generator().manual_seed(700))
    return series[:, :2], series[:, 2:]


def climate(n: int) -> Tensor:
    """Histories that have nothing to do with the cases."""
    return CLOCK.series(n, 2, Generator().manual_seed(701))


def one_ahead(model: ConditionalDDPM | None, seed: int) -> dict:
    """The bound, as far as it lies below the exact log score; the exact scores stand beside it."""
    history, y = cases(ONE_AHEAD, 1)
    law = CLOCK.given(history)
    exact = law.log_prob(y)
    if model is not None:
        bound = -bound_terms(model.given(history), y, Generator().manual_seed(seed)).total
        return {"log score": mean(bound), "behind": mean(exact - bound)}
    fitted = gaussian(*law.moments())
    # the density of the stationary law is the mean of what follows any history
    follows = CLOCK.given(climate(2000))
    values = torch.stack([follows.log_prob(v.expand(2000, 1)).exp().mean().log() for v in y[:2000]])
    each = {"exact": exact, "best Gaussian": fitted.log_prob(y), "climatology": values}
    chain = bound_terms(exact_chain(law), y, Generator().manual_seed(seed)).total
    each["diffusion, exact noise"] = -chain
    found = {
        name: {"log score": mean(value), "behind": mean(exact[: len(value)] - value)} for name, value in each.items()
    }
    found["exact"]["crps"] = mean(law.crps(y))
    spread = fitted.stddev
    alone = ConditionalMixture(torch.zeros_like(y), fitted.mean.unsqueeze(1), spread.square().unsqueeze(1))
    found["best Gaussian"]["crps"] = mean(alone.crps(y))
    return found


def exact_chain(law: ConditionalMixture) -> DDPM:
    """The chain of the forecaster with a perfect network."""
    schedule = Schedule.cosine(T=100)
    return DDPM(ExactGiven(law, schedule), schedule, "beta")


def ahead(next_value: Callable | None, seed: int) -> dict:
    """An ensemble for 12 steps: its CRPS at each, the energy score of all, and the ranks of what came."""
    history, y = cases(CASES, AHEAD)
    generator = Generator().manual_seed(800 + seed)
    if next_value is None:
        rows = CLOCK.series(CASES * MEMBERS, AHEAD, generator)
        members = rows.unflatten(0, (MEMBERS, CASES))
    else:
        members = forecast(next_value, history, AHEAD, MEMBERS, generator)
    rank = {
        f"step {k}": torch.bincount(ranks(members[..., k - 1], y[:, k - 1]), minlength=1 + MEMBERS).tolist()
        for k in (1, 6)
    }
    return {
        "crps": [mean(crps(members[..., k], y[:, k])) for k in range(AHEAD)],
        "energy score": mean(energy_score(members, y)),
        "ranks": rank,
    }


def shape(seed: int) -> dict:
    """What the best Gaussian loses further ahead: of each value by itself, and of the whole path.

    Of a value it is the divergence of its exact law given the history from that of the chain of Gaussians, by
    histograms of paths (which make it a little too small), on average over histories; beside it that of two sets of
    exact paths, which is the error. Of a path it is the difference of the log scores, exactly: the sum over its values.
    """
    generator = Generator().manual_seed(702)
    edges = torch.linspace(-5, 5, 201)
    found = {"value": torch.zeros(HISTORIES, AHEAD), "by chance": torch.zeros(HISTORIES, AHEAD)}
    for i, history in enumerate(CLOCK.series(HISTORIES, 2, generator)):
        exact, again, fitted = (
            forecast(next_value, history.unsqueeze(0), AHEAD, PATHS, generator)[:, 0]
            for next_value in (exact_next, exact_next, gaussian_next)
        )
        for k in range(AHEAD):
            p, same, q = (torch.histogram(each[:, k].contiguous(), edges).hist + 0.5 for each in (exact, again, fitted))
            p, same, q = (each / each.sum() for each in (p, same, q))
            found["value"][i, k] = p @ (p / q).log()
            found["by chance"][i, k] = p @ (p / same).log()
    history, y = cases(CASES, AHEAD)
    rows = torch.cat((history, y), 1)
    lost = torch.zeros(CASES)
    for k in range(AHEAD):
        law = CLOCK.given(rows[:, k : k + 2])
        value = rows[:, k + 2 : k + 3]
        lost += law.log_prob(value) - gaussian(*law.moments()).log_prob(value)
    return {name: [mean(each) for each in value.T] for name, value in found.items()} | {"path": mean(lost)}


def forecasts(name: str, seed: int) -> dict:
    """One forecaster."""
    if name == "shape":
        return shape(seed)
    if name == "known":
        ways = {"exact": exact_next, "best Gaussian": gaussian_next, "climatology": None}
        return {"one ahead": one_ahead(None, seed), "ahead": {way: ahead(f, seed) for way, f in ways.items()}}
    model = network("forecaster", seed)
    found = {str(calls): ahead(draw_next(model, calls), seed) for calls in (4, 8, 16)}
    return {"one ahead": one_ahead(model, seed), "ahead": found}


# -- waveforms ----------------------------------------------------------------------------------------


def noise_std(kind: str, c: Tensor) -> Tensor:
    """The root of the noise's diagonal covariance, for each spectrum: white, or of bands or of single coefficients."""
    if kind == "standard":
        return torch.ones(len(c), NOTES.length)
    if kind == "prior":
        return NOTES.band_variance(c).sqrt()
    if kind == "prior of coefficients":
        return NOTES.given(c).moments()[1]
    # one for all data: from waveforms that are not among those that are measured
    x, others = NOTES.sample(50_000, Generator().manual_seed(712))
    variance = NOTES.band_variance(others).mean(0) if kind == "one for all" else x.var(0)
    return variance.sqrt().expand(len(c), -1)


def chain_of(model: DDPM, kind: str, c: Tensor) -> DDPM | TowardsPrior:
    """The chain of the waveforms, whatever its network sees."""
    std = noise_std(kind, c)
    return model if kind == "standard" else TowardsPrior(model, torch.zeros_like(std), std)


def law_seen(kind: str, c: Tensor) -> ConditionalMixture:
    """The exact law of what the network sees."""
    law = NOTES.given(c)
    return ConditionalMixture(law.log_weight, law.mean, law.variance / noise_std(kind, c).square().unsqueeze(1))


def behind(model: DDPM, kind: str, x: Tensor, c: Tensor, seed: int) -> dict:
    """How far the bound lies below the exact log density, in nats a sample of the waveform."""
    bound = -bound_terms(chain_of(model, kind, c), x, Generator().manual_seed(seed)).total
    return mean((NOTES.given(c).log_prob(x) - bound) / NOTES.length)


def sound(model: DDPM, kind: str, c: Tensor, calls: int, seed: int) -> dict:
    """Waveforms of few calls: how much less likely than true ones they are, and on which note."""
    law = NOTES.given(c)
    z = torch.randn(len(c), NOTES.length, generator=Generator().manual_seed(900 + seed))
    z = sample(model, z, "dpmpp_2m", calls, levels="log_snr")
    return judged(z * noise_std(kind, c), law, NOTES.band_variance(c).sqrt())


def judged(x: Tensor, law: ConditionalMixture, std: Tensor) -> dict:
    """What is measured of waveforms."""
    parts = law.parts(x)
    note = parts.argmax(-1)
    variance = law.variance[torch.arange(len(x)), note]
    on = variance > std.square()
    power = x.square() / variance
    return {
        "log q": mean(law.log_prob(x) / NOTES.length),
        "second note": mean(parts[:, 1]),
        "undecided": mean(((parts[:, 1] > 0.05) & (parts[:, 1] < 0.95)).float()),
        "power on the teeth": (power * on).sum().item() / on.sum().item(),
        "power between": (power * ~on).sum().item() / (~on).sum().item(),
    }


def waveforms(name: str, seed: int) -> dict:
    """One vocoder, or what is exact."""
    x, c = NOTES.sample(WAVES, Generator().manual_seed(710))
    law = NOTES.given(c)
    some = c[:SPECTRA]
    if name == "true":
        std = NOTES.band_variance(some).sqrt()
        best = gaussian(*law.moments())
        bands = gaussian(torch.zeros_like(x), NOTES.band_variance(c).sqrt())
        return {
            "log q": mean(law.log_prob(x) / NOTES.length),
            "behind": {
                "best Gaussian": mean((law.log_prob(x) - best.log_prob(x)) / NOTES.length),
                "prior": mean((law.log_prob(x) - bands.log_prob(x)) / NOTES.length),
            },
            "sound": judged(NOTES.given(some).sample(Generator().manual_seed(711)), NOTES.given(some), std),
        }
    kind, whose = name.split(", ")
    if whose == "exact":
        exact = ExactGiven(law_seen(kind, c), Schedule.cosine(T=50))
        of_some = ExactGiven(law_seen(kind, some), Schedule.cosine(T=50))
        steps = {
            str(T): behind(DDPM(exact.on(Schedule.cosine(T)), Schedule.cosine(T), "beta"), kind, x, c, seed)
            for T in LEVELS
        }
        model = DDPM(of_some, of_some.schedule, "beta")
        return {"behind": steps, "sound": {str(calls): sound(model, kind, some, calls, seed) for calls in CALLS}}
    trained_one = network(f"vocoder_{kind}", seed)
    found = {str(calls): sound(trained_one.given(some), kind, some, calls, seed) for calls in CALLS}
    return {"behind": behind(trained_one.given(c), kind, x, c, seed), "sound": found}


# -- short diffusions of the roll ---------------------------------------------------------------------


def short(name: str, seed: int) -> dict:
    """A diffusion of 50 steps of the roll, its bound and its samples, from each of the starts that fit its q."""
    kind, whose = name.split(", ")
    if whose == "exact":
        return perfect(kind)
    generator = Generator().manual_seed(seed)
    net = NoiseMLP(SHORT, data_std=1.0 if kind == "prior" else 0.7, generator=generator)
    points = ROLL.sample(POINTS, generator)
    mu, std = points.mean(0), points.std(0)
    seen = (points - mu) / std if kind == "prior" else points
    model = DDPM(net, SHORT, "beta")
    states = train(model, seen, steps=STEPS, batch_size=512, generator=generator, progress=False)
    model = DDPM(deque(states, maxlen=1).pop().average.network, SHORT, "beta")
    if kind == "prior":
        chains = {"towards the Gaussian": TowardsPrior(model, mu, std)}
    else:
        chains = {"standard": model, "better start": WithPrior.fitted(model, points)}
    x = ROLL.sample(FRESH, Generator().manual_seed(720))
    found = {}
    for way, chain in chains.items():
        bound = -bound_terms(chain, x, Generator().manual_seed(seed)).total
        xT = draw(chain.prior(x[:SAMPLES]), Generator().manual_seed(730 + seed))
        made = deque(walk(chain, xT, Generator().manual_seed(740 + seed)), maxlen=1).pop()
        found[way] = {
            "behind": mean(ROLL.log_prob(x) - bound),
            "KL500": binned_kl(made, ROLL),
            "off the spiral": stray_share(made, ROLL),
        }
    return found


def perfect(kind: str) -> dict:
    """How far the bound of a perfect network is behind, on average, by quadrature: nothing is sampled."""
    data = ROLL.mixture()
    mean, covariance = data.moments()
    std = covariance.diag().sqrt()
    if kind == "prior":
        data = GaussianMixture(data.log_weight, (data.mean - mean) / std, data.variance / std.square())
        mean, std = torch.zeros_like(mean), torch.ones_like(std)
    level = SHORT.alpha_bar[1:]
    # of the noise: what is left of it when the data are guessed
    smallest = level / (1 - level) * mmse(data, level)
    steps = variational_weight(SHORT, SHORT.beta)[1:] @ smallest + variational_constant(SHORT, SHORT.beta, 2)[1:].sum()
    kept, left = level[-1], 1 - level[-1]
    fitted = (kept.sqrt() * mean, kept * std.square() + left)
    starts = {"standard": (torch.zeros_like(mean), torch.ones_like(std)), "better start": fitted}
    found = {}
    for way, (m, v) in starts.items():
        squared = left + kept * std.square() + (kept.sqrt() * mean - m).square()
        last = (v.log() - left.log() + squared / v - 1).sum() / 2
        found[way] = {"behind": {"mean": (last + steps - data.entropy()).item()}}
    return {"towards the Gaussian": found["standard"]} if kind == "prior" else found


@torch.no_grad()
def walk(chain: DDPM | TowardsPrior | WithPrior, x: Tensor, generator: Generator):
    """Ancestral sampling, the last step without noise."""
    for t in range(chain.length, 0, -1):
        p = chain.step(x, t)
        x = draw(p, generator) if t > 1 else p.mean
        yield x


# -- all of them --------------------------------------------------------------------------------------


def main() -> None:
    """Run what is missing, and say what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=["forecasts", "waveforms", "short"])
    only = parser.parse_args().only
    torch.set_num_threads(1)
    runs = Runs(FOLDER)
    kinds = ("standard", "prior")
    others = ("one for all", "one for all coefficients", "prior of coefficients")
    plan: list[tuple[Callable, str, int]] = [(forecasts, "known", 0), (forecasts, "shape", 0), (waveforms, "true", 0)]
    plan += [(run, f"{kind}, exact", 0) for run in (waveforms, short) for kind in kinds]
    plan += [(waveforms, f"{kind}, exact", 0) for kind in others]
    for seed in SEEDS:
        plan += [(forecasts, "diffusion", seed)]
        plan += [(waveforms, f"{kind}, trained", seed) for kind in kinds]
        plan += [(short, f"{kind}, trained", seed) for kind in kinds]
    keys = {}
    for run, name, seed in plan:
        key = f"{run.__name__}, {name}, {seed}"
        keys[key] = {"what": run.__name__, "name": name, "seed": seed}
        if run.__name__ in only and runs.once(key, run, name, seed):
            print(key, runs[key], flush=True)
    if all(key in runs for key in keys):
        sizes = {
            "one ahead": ONE_AHEAD, "cases": CASES, "members": MEMBERS, "ahead": AHEAD, "histories": HISTORIES,
            "paths": PATHS, "waves": WAVES, "spectra": SPECTRA, "fresh": FRESH, "samples": SAMPLES,
        }  # fmt: skip
        stored = {
            "provenance": provenance("make signals"),
            "sizes": sizes,
            "runs": [about | {"found": runs[key]} for key, about in keys.items()],
        }
        write_whole(STORED / "signals.json", json.dumps(stored) + "\n")


if __name__ == "__main__":
    main()
