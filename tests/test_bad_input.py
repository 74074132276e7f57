"""Bad input is refused at the public door, by a message that names the argument; good input gives what is promised.

All public functions and classes are gone over, each called as the table of ``test_devices.py`` calls it, with
one argument replaced. What an argument may not be follows from its annotation; the tables below say the rest. For a
new public name that is in none of them one test fails, and says to which table it must be added.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import inspect
import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from unittest import mock

import invented_ladder_runs as invented
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_devices import (
    CALLS,
    SEEN,
    Schedule_10,
    continuous,
    labelled,
    linear_chain,
    mixtures,
    public_names,
    resolve,
    scalar_chain,
)
from torch import nn

from diffusion_notes import (
    chains,
    data,
    ddpm,
    diffusion,
    distributions,
    equations,
    explorables,
    fitting,
    guidance,
    hierarchical_vae,
    ladder,
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
from diffusion_notes.experiment import comparisons, ladder_runs, results, sampler_runs
from diffusion_notes.notebook import diagrams, exercises, plotting, tables

FLAT = networks.NoiseMLP(Schedule_10, width=4, depth=1, features=2)
FLAT_TOLD = networks.NoiseMLP(Schedule_10, width=4, depth=1, features=2, condition=2)


def shown(draw):
    figure, axes = plt.subplots()
    try:
        return draw(axes)
    finally:
        plt.close(figure)


def particles():
    return explorables.Particles(np.zeros((2, 3, 2)), ["a", "b"], np.zeros(3), alt="Three points.")


def exact_model():
    return ddpm.DDPM(samplers.ExactNoise(data.Clusters(), Schedule_10), Schedule_10)


def table(x):
    return Schedule_10.beta + 0.1


LEVELS = schedule.log_snr_levels(10)
MMSES = 0.5 * (1 - LEVELS)
RUNG = ladder.Rung(3)
STORED = results.load_results("ladder")["runs"]
OF_SAMPLERS = [{"way": "DDIM", "model": "exact", "calls": 8, "KL500": 0.5, "off the spiral": 0.1}]
OF_VAE, OF_DDPM = (comparisons.runs_of(STORED, name) for name in ("VAE", "DDPM"))
MADE = invented.made_runs(seeds=2)


# How those are called that the other table leaves out, since they take no tensor or are not about tensors.
MORE = {
    "schedule.best_bound": lambda x, t: schedule.best_bound(LEVELS, MMSES, 1.0),
    "schedule.best_schedule": lambda x, t: schedule.best_schedule(LEVELS, MMSES, 3, 1.0),
    "schedule.mmse": lambda x, t: schedule.mmse(data.Clusters(), LEVELS),
    "schedule.log_snr_levels": lambda x, t: schedule.log_snr_levels(10),
    "data.Clusters": lambda x, t: data.Clusters(),
    "data.Clusters.expect": lambda x, t: data.Clusters().expect(torch.sin),
    "data.GaussianMixture": lambda x, t: data.GaussianMixture(torch.zeros(3), torch.zeros(3, 2), torch.ones(2)),
    "data.GaussianMixture.evidence": lambda x, t: data.Clusters().mixture().evidence(SEEN),
    "data.GaussianMixture.expect": lambda x, t: data.Clusters().mixture().expect(torch.sin),
    "data.GaussianMixture.given": lambda x, t: data.Clusters().mixture().given(SEEN),
    "data.GaussianMixture.only": lambda x, t: data.Clusters().mixture().only(torch.arange(8) < 3),
    "data.GaussianMixture.share": lambda x, t: data.Clusters().mixture().share(torch.arange(8) < 3),
    "data.Seen": lambda x, t: data.Seen(torch.zeros(2), torch.ones(2)),
    "swiss_roll.SwissRoll.mixture": lambda x, t: swiss_roll.SwissRoll().mixture(2, 300),
    "data.KernelDensity.leave_one_out": lambda x, t: data.KernelDensity(x, 0.1).leave_one_out(0.2),
    "data.KickedOscillator": lambda x, t: data.KickedOscillator(0.4, 0.1, 10.0, 0.8, 1.0),
    "data.Peaks": lambda x, t: data.Peaks(),
    "data.Peaks.expect": lambda x, t: data.Peaks().expect(torch.sin),
    "ladder.LadderChain": lambda x, t: ladder.LadderChain(RUNG, schedule.Schedule.linear(3)),
    "ladder.Rung": lambda x, t: ladder.Rung(),
    "networks.TimestepMLP": lambda x, t: networks.TimestepMLP(Schedule_10, 2, 4),
    "networks.timestep_embedding": lambda x, t: networks.timestep_embedding(Schedule_10),
    "experiment.ladder_runs.train_rung": lambda x, t: ladder_runs.train_rung(RUNG, "clusters"),
    "experiment.ladder_runs.measure": lambda x, t: ladder_runs.measure(
        ladder.LadderChain(RUNG, schedule.Schedule.linear(3)), "clusters"
    ),
    "experiment.ladder_runs.schedule_of": lambda x, t: ladder_runs.schedule_of(RUNG, "clusters"),
    "experiment.ladder_runs.steps_and_width": lambda x, t: ladder_runs.steps_and_width(RUNG),
    "experiment.comparisons.average": lambda x, t: comparisons.average(OF_VAE),
    "experiment.comparisons.bought": lambda x, t: comparisons.bought(OF_VAE, OF_DDPM),
    "experiment.sampler_runs.curve": lambda x, t: sampler_runs.curve(OF_SAMPLERS, "DDIM", "exact"),
    "experiment.sampler_runs.names": lambda x, t: sampler_runs.names(OF_SAMPLERS),
    "experiment.comparisons.runs_of": lambda x, t: comparisons.runs_of(STORED, "VAE"),
    "experiment.results.provenance": lambda x, t: results.provenance("make ladder"),
    "experiment.results.load_results": lambda x, t: results.load_results("levels"),
    "fitting.Checkpoint": lambda x, t: fitting.Checkpoint("run", {"steps": 3}),
    "fitting.load_weights": lambda x, t: (
        fitting.save_weights(nn.Linear(2, 2), "weights"),
        fitting.load_weights(nn.Linear(2, 2), "weights"),
    ),
    "fitting.save_weights": lambda x, t: fitting.save_weights(nn.Linear(2, 2), "weights"),
    "ddpm.DDPM": lambda x, t: ddpm.DDPM(FLAT, Schedule_10, table(x), t_sampling=table(x)),
    "guidance.ConditionalDDPM": lambda x, t: guidance.ConditionalDDPM(
        FLAT_TOLD, Schedule_10, 2, table(x), "simple", 0.1, table(x)
    ),
    "guidance.GaussianExample": lambda x, t: guidance.GaussianExample(1.0, 0.5),
    "guidance.GaussianExample.guided": lambda x, t: guidance.GaussianExample(1.0, 0.5).guided(2.0, 0.5),
    "guidance.GaussianExample.tilted": lambda x, t: guidance.GaussianExample(1.0, 0.5).tilted(2.0),
    "guidance.Labelled.given": lambda x, t: labelled().given(1),
    "guidance.Labelled.sample": lambda x, t: labelled().sample(3),
    "guidance.Labelled.share": lambda x, t: labelled().share(1),
    "guidance.NoisyClassifier": lambda x, t: guidance.NoisyClassifier(Schedule_10, 2),
    "guidance.NoisyClassifier.on": lambda x, t: guidance.NoisyClassifier(Schedule_10, 2).on(Schedule_10),
    "guidance.arms": lambda x, t: guidance.arms(3, swiss_roll.SwissRoll()),
    "networks.TimestepMLP.on": lambda x, t: networks.TimestepMLP(Schedule_10, 2, 4).on(Schedule_10),
    "pretrained.swiss_roll_arms": lambda x, t: pretrained.swiss_roll_arms(1, True),
    "notebook.diagrams.Diagram": lambda x, t: diagrams.Diagram(
        {"z": (0, 0, False), "x": (0, 1, True)}, [("z", "x", "", "p")], "z above x."
    ),
    "notebook.diagrams.chain_diagram": lambda x, t: diagrams.chain_diagram(["x", "z_1"], "Two in a row."),
    "diffusion.ForwardProcess": lambda x, t: diffusion.ForwardProcess(Schedule_10),
    "schedule.Schedule": lambda x, t: schedule.Schedule(torch.tensor([0.0, 0.1, 0.2])),
    "schedule.Schedule.cosine": lambda x, t: schedule.Schedule.cosine(10),
    "schedule.Schedule.nearest": lambda x, t: Schedule_10.nearest(0.5),
    "schedule.Schedule.through": lambda x, t: schedule.Schedule.through(LEVELS),
    "networks.NoiseMLP.on": lambda x, t: FLAT.on(Schedule_10),
    "samplers.DDIM": lambda x, t: samplers.DDIM(ddpm.DDPM(FLAT, Schedule_10), 0.5),
    "samplers.DDIMProcess": lambda x, t: samplers.DDIMProcess(Schedule_10, 0.5),
    "samplers.ExactNoise.on": lambda x, t: samplers.ExactNoise(data.Clusters(), Schedule_10).on(Schedule_10),
    "samplers.best_levels": lambda x, t: samplers.best_levels(Schedule_10, table(x), 3, 1.0),
    "samplers.choose_levels": lambda x, t: samplers.choose_levels(Schedule_10, 3, "karras", 2, 9),
    "samplers.karras_levels": lambda x, t: samplers.karras_levels(3, 0.1, 10.0),
    "samplers.on_levels": lambda x, t: samplers.on_levels(ddpm.DDPM(FLAT, Schedule_10), x[:, 0].square().cumsum(0)),
    "score.ContinuousSchedule": lambda x, t: continuous(),
    "score.ContinuousSchedule.steps": lambda x, t: continuous().steps(3),
    "score.bound_mixture": lambda x, t: score.bound_mixture(torch.linspace(-3, 3, 10), 1 - LEVELS.flip(0)),
    "score.continuous_bound": lambda x, t: score.continuous_bound(lambda a: 2 * a, 2, 2.0, 0.99, 0.01),
    "score.entropy_from_losses": lambda x, t: score.entropy_from_losses(lambda a: 2 * a, 2),
    "score.network_losses": lambda x, t: score.network_losses(exact_model(), data.Clusters(), LEVELS[:2]),
    "schedule.Schedule.linear": lambda x, t: schedule.Schedule.linear(10),
    "equations.Page": lambda x, t: equations.Page("ddpm"),
    "equations.Page.judge": lambda x, t: equations.Page("ddpm").judge(r"1 = 1"),
    "equations.check": lambda x, t: equations.check(r"1 = 1", "ddpm"),
    "equations.contains": lambda x, t: equations.contains(r"\beta_t = 1 - \alpha_t", r"\alpha_t"),
    "notebook.exercises.check_line": lambda x, t: exercises.check_line(r"1 - \beta_t", r"\alpha_t", "ddpm"),
    "explorables.BoundBars": lambda x, t: explorables.BoundBars(
        Schedule_10, np.ones(10), np.ones(10), prior=0.1, entropy=0.5
    ),
    "explorables.Conditioned": lambda x, t: explorables.Conditioned("point", (0.5, 0.3), 0.3, "dps", 20, 5),
    "explorables.Field": lambda x, t: explorables.Field(FLAT, 3),
    "explorables.Forward": lambda x, t: explorables.Forward(0.1),
    "explorables.ForwardPosterior": lambda x, t: explorables.ForwardPosterior(),
    "explorables.Gap": lambda x, t: explorables.Gap(1.2),
    "explorables.Guided": lambda x, t: explorables.Guided(3.0, "sde", "apart"),
    "explorables.Layers": lambda x, t: explorables.Layers(0.5, 1.2),
    "explorables.Particles": lambda x, t: particles(),
    "explorables.Paths": lambda x, t: explorables.Paths(200, 0.1, 8, "both", "log_snr", 0.8),
    "explorables.Reverse": lambda x, t: explorables.Reverse(FLAT, "ddim", 3, 0.5, "log_snr"),
    "explorables.TwoPeaks": lambda x, t: explorables.TwoPeaks(200, 0.1),
    "explorables.Rungs": lambda x, t: explorables.Rungs(MADE, invented.SWITCHES),
    "hierarchical_vae.HierarchicalVAE": lambda x, t: hierarchical_vae.HierarchicalVAE([2, 1], std=0.1),
    "chains.Affine": lambda x, t: chains.Affine(torch.eye(2), torch.zeros(2), torch.tensor(0.5)),
    "chains.LinearGaussianChain": lambda x, t: linear_chain(x),
    "networks.GaussianMLP": lambda x, t: networks.GaussianMLP(2, 1, std=0.1),
    "networks.NoiseMLP": lambda x, t: networks.NoiseMLP(Schedule_10, width=4),
    "chains.NeuralChain": lambda x, t: chains.NeuralChain([2, 1], std=0.1),
    "parameterisations.best_variance": lambda x, t: parameterisations.best_variance(Schedule_10, table(x), 2),
    "parameterisations.variational_constant": lambda x, t: parameterisations.variational_constant(
        Schedule_10, table(x), 2
    ),
    "parameterisations.variational_weight": lambda x, t: parameterisations.variational_weight(Schedule_10, table(x)),
    "notebook.plotting.plane": lambda x, t: shown(plotting.plane),
    "notebook.plotting.scatter": lambda x, t: shown(lambda axes: plotting.scatter(axes, x, x[:, 0].sigmoid())),
    "notebook.plotting.show_arrows": lambda x, t: shown(lambda axes: plotting.show_arrows(axes, torch.sin)),
    "notebook.plotting.show_density": lambda x, t: shown(
        lambda a: plotting.show_density(a, lambda z: z.square().sum(-1))
    ),
    "notebook.plotting.show_source": lambda x, t: plotting.show_source(plotting.plane),
    "notebook.tables.Table": lambda x, t: tables.Table({"t": [1, 2]}, {"t": "d"}),
    "pretrained.swiss_roll_ddpm": lambda x, t: pretrained.swiss_roll_ddpm(),
    "pretrained.swiss_roll_hierarchical_vae": lambda x, t: pretrained.swiss_roll_hierarchical_vae("sharp"),
    "pretrained.swiss_roll_precise_ddpm": lambda x, t: pretrained.swiss_roll_precise_ddpm(1),
    "pretrained.two_notes_vocoder": lambda x, t: pretrained.two_notes_vocoder("prior"),
    "pretrained.swiss_roll_vae": lambda x, t: pretrained.swiss_roll_vae("guided"),
    "data.integrate_plane": lambda x, t: data.integrate_plane(torch.sin, 1.0, 0.5, weight=lambda z: z.sum(-1)),
    "data.unit_interval": lambda x, t: data.unit_interval(5),
    "chains.ScalarLatent": lambda x, t: chains.ScalarLatent(scalar_chain(x)),
    "signals.ExactGiven.on": lambda x, t: signals.ExactGiven(mixtures(x), Schedule_10).on(Schedule_10),
    "signals.PriorProcess": lambda x, t: signals.PriorProcess(Schedule_10, x, x.exp()),
    "signals.TowardsPrior": lambda x, t: signals.TowardsPrior(exact_model(), x, x.exp()),
    "signals.WithPrior": lambda x, t: signals.WithPrior(exact_model(), x, x.exp()),
    "swiss_roll.SwissRoll": lambda x, t: swiss_roll.SwissRoll(),
    "schedule.DeviceTables": lambda x, t: schedule.DeviceTables({"x": x}.__getitem__),
    "vae.VAE": lambda x, t: vae.VAE(1, std=0.1),
}
# Made by the package, for its callers to read; or not to be called at all.
NOT_CALLED = {
    "conditioning.Particles",
    "diffusion.BoundTerms", "chains.Bound", "score.LogProb", "hierarchical_vae.Splits", "fitting.TrainingState",
    "data.Band", "data.Band.across", "data.KnownDistribution", "data.KnownDistribution.diffuse",
    "data.KnownDistribution.expect", "data.KnownDistribution.log_prob", "data.KnownDistribution.score",
    "data.Reference", "data.Reference.cells", "data.Reference.distance",
    "diffusion.DiffusionChain", "diffusion.DiffusionChain.prior", "diffusion.DiffusionChain.step",
    "diffusion.DiffusionProcess", "diffusion.DiffusionProcess.marginal", "diffusion.DiffusionProcess.posterior",
    "diffusion.FixedVarianceChain",
    "chains.TopDownChain", "chains.TopDownChain.generate", "chains.TopDownChain.infer_below",
    "chains.TopDownChain.infer_last", "chains.TopDownChain.prior",
    "equations.Report", "equations.Verdict", "fitting.CheckpointError",
    "fitting.Checkpoint.load", "fitting.Checkpoint.save",  # which the training calls
    "chains.Chain", "chains.Chain.prior", "chains.Chain.infer", "chains.Chain.generate",
    "explorables.Explorable",
    "experiment.runs.Runs", "experiment.runs.Runs.once", "experiment.runs.finite", "experiment.runs.write_whole",
}  # fmt: skip


def parameters(name: str) -> dict[str, inspect.Parameter]:
    """The parameters of a public thing, without self and without ``**``."""
    thing = resolve(name)
    if not callable(thing):
        return {}
    found = inspect.signature(thing).parameters
    return {n: p for n, p in found.items() if n != "self" and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


PUBLIC = public_names(without=set())
NAMES = sorted(n for n in PUBLIC & (set(CALLS) | set(MORE)) - NOT_CALLED if parameters(n))


def test_every_public_name_is_in_one_of_the_tables():
    new = {n for n in PUBLIC - set(CALLS) - set(MORE) - NOT_CALLED if parameters(n)}
    assert not new, f"say in CALLS of test_devices.py, or in MORE, how {sorted(new)} are called, or add to NOT_CALLED"
    twice = set(MORE) & set(CALLS)
    assert not twice, f"take {sorted(twice)} out of MORE: they are in CALLS of test_devices.py"
    gone = (set(MORE) | NOT_CALLED) - PUBLIC
    assert not gone, f"take {sorted(gone)} out of MORE and NOT_CALLED: they are public no longer"


def test_the_tables_speak_of_what_there_is():
    """An entry for what is public no longer, or has no such argument, would test nothing."""
    said = {*ZERO, *ANY_SIGN, *TOO_LARGE, *WRONG, *ARRAYS, *FREE, *ANY_VALUE}
    assert not said - set(EVERY), "take these out of the tables: there are no such arguments"
    assert not {*RETURNS, *DOUBLE, *NO_SHAPE, *IN_LOOPS} - PUBLIC, "take these out of the tables: they are not public"


@functools.cache
def recorded(name: str, n: int = 6, dtype: torch.dtype = torch.float32):
    """The public thing with its arguments bound, as the table calls it: ``(call, arguments, result)``.

    ``call(**changes)`` calls it again, with other arguments in the place of those.
    """
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    t = torch.arange(n) % 9 + 2
    owner, attribute = resolve(name.rpartition(".")[0]), name.rpartition(".")[2]
    if inspect.isclass(getattr(owner, attribute)):
        owner, attribute = getattr(owner, attribute), "__init__"
    static = inspect.getattr_static(owner, attribute)
    bound_to_class = isinstance(static, classmethod)
    function = static.__func__ if bound_to_class else static
    seen = []

    def spy(*args, **kwargs):
        seen.append((args, kwargs))
        return function(*args, **kwargs)

    entry = CALLS.get(name) or MORE[name]
    entry, make = entry if isinstance(entry, tuple) else (entry, None)
    with (
        mock.patch.object(owner, attribute, classmethod(spy) if bound_to_class else spy),
        redirect_stdout(io.StringIO()),
    ):
        entry(x, t, *(() if make is None else (make(x),)))
    bound = inspect.signature(function).bind(*seen[0][0], **seen[0][1])
    arguments = dict(bound.arguments)
    arguments |= arguments.pop("sizes", {})
    first = [arguments.pop(key) for key in ("self", "cls") if key in arguments]
    if attribute == "__init__":
        function, first = owner, []

    def call(**changes):
        with redirect_stdout(io.StringIO()):
            result = function(*first, **{**arguments, **changes})
            return list(result) if isinstance(result, Iterator) else result

    return call, arguments


class Anything:
    def __repr__(self):
        return "something else"


MIXED = {
    "none": None,
    "text": "text",
    "bytes": b"text",
    "yes": True,
    "half": 0.5,
    "three": 3,
    "imaginary": 1j,
    "list": [1.0],
    "lists": [[0.5, 0.5]],
    "dict": {"a": 1},
    "array": np.zeros((6, 2)),
    "array of integers": np.arange(6),
    "scalar of numpy": np.float32(0.5),
    "integer of numpy": np.int64(3),
    "tensor": torch.zeros(6, 2),
    "scalar tensor": torch.tensor(0.5),
    "integers": torch.ones(6, dtype=torch.long),
    "bytes tensor": torch.ones(6, 2, dtype=torch.uint8),
    "booleans": torch.ones(6, 2, dtype=torch.bool),
    "complex": torch.ones(6, 2, dtype=torch.complex64),
    "fraction": Fraction(1, 2),
    "decimal": Decimal("0.5"),
    "something": Anything(),
    "class": int,
}
TENSORS = {"tensor", "scalar tensor"}
# Of what is mixed above, what each annotation lets pass; it may still be wrong for another reason.
FITS = {
    "Tensor": TENSORS, "torch.Tensor": TENSORS, "str": {"text"}, "Generator": set(),
    "int": {"three", "integer of numpy"}, "float": {"half", "three", "scalar of numpy", "integer of numpy"},
    "None": {"none"}, "bool": {"yes"}, "object": set(MIXED), "dict": {"dict"}, "Path": set(), "Callable": {"class"},
    "Sequence": {"list", "lists"}, "tuple": set(), "Mapping": {"dict"}, "torch.device": set(), "torch.dtype": set(),
    "np.ndarray": {"half", "three", "yes", "list", "lists", "array", "array of integers", "scalar of numpy", "tensor",
                   "scalar tensor", "integers", "integer of numpy", "bytes tensor", "booleans"},
    "Any": set(),
    "times": {"integers"},
    "Definitions": {"dict"},
}  # fmt: skip


# What is given as numbers, in whatever form numpy understands.
ARRAYS = {("explorables.BoundBars", "smallest_loss"), ("explorables.BoundBars", "own_error"),
          ("explorables.ForwardPosterior", "x0"), ("explorables.ForwardPosterior", "xt"),
          ("explorables.Conditioned", "place")}  # fmt: skip


# What is not looked at: a switch of what is called in loops, where whatever is true is on; points that do not matter.
FREE = {("schedule.Schedule.check_t", "look"), ("measured.true_samples", "points")}


def kinds(name: str, parameter: str) -> set[str]:
    """The kinds that an annotation allows, without what is in brackets."""
    annotation = re.sub(r"\[.*\]", "", str(parameters(name)[parameter].annotation))
    found = {kind.strip() for kind in annotation.split("|")}
    if parameter == "t" and "Tensor" in found:
        return {"int", "times"}
    if (name, parameter) in {
        ("metrics.kl_from_counts", "cell"),
        ("metrics.plug_in_kl", "cell"),
        ("guidance.Labelled", "label"),
    }:
        return {"times"}
    return {"np.ndarray"} if (name, parameter) in ARRAYS else found


EVERY = [(name, parameter) for name in NAMES for parameter in parameters(name)]


def says_what_is_wrong(error: Exception, *names: str) -> None:
    """The message says which argument, what is allowed, and what was given."""
    message = str(error)
    assert re.search(rf"(?<!\w)({'|'.join(names)})(?!\w)", message), f"which argument? {message}"
    assert re.search(r"\bmust\b", message), f"what is allowed? {message}"
    assert re.search(r"\bgot\b|\band some of its entries\b", message), f"what was given? {message}"


def refuses(call, parameter: str, value: object) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call(**{parameter: value})
    says_what_is_wrong(caught.value, parameter)


@contextmanager
def described(*what):
    try:
        yield
    except BaseException as failure:
        raise AssertionError(f"{what}: {type(failure).__name__}: {failure}") from failure


@pytest.fixture(autouse=True, scope="module")
def _elsewhere_and_shortly(tmp_path_factory):
    short = mock.patch.object(ladder_runs, "_STEPS", 20)
    with contextlib.chdir(tmp_path_factory.mktemp("bad_input")), short:
        yield


@pytest.mark.parametrize(("name", "parameter"), [pair for pair in EVERY if pair not in FREE])
def test_what_is_of_another_kind_is_refused(name, parameter):
    call, _ = recorded(name)
    fits = set().union(*(FITS.get(kind, set()) for kind in kinds(name, parameter)))
    for what in MIXED.keys() - fits:
        with described(what, name, parameter):
            refuses(call, parameter, MIXED[what])


def again(arguments: dict) -> dict:
    """The same arguments, with all that is random as it was, and modules that no training has changed."""
    torch.manual_seed(0)
    for value in arguments.values():
        if isinstance(value, torch.Generator):
            value.manual_seed(0)
    return {key: copy.deepcopy(value) for key, value in arguments.items() if isinstance(value, nn.Module)}


@pytest.mark.parametrize(("name", "parameter"), [(n, p) for n, p in EVERY if kinds(n, p) & {"int", "float"}])
def test_numbers_of_numpy_are_as_good(name, parameter):
    call, arguments = recorded(name)
    value = arguments.get(parameter, parameters(name)[parameter].default)
    if isinstance(value, bool | torch.Tensor) or not isinstance(value, int | float):
        value = 2 if "int" in kinds(name, parameter) else 0.5
    results = []
    for number in (value, np.int64(value) if isinstance(value, int) else np.float64(value)):
        results.append(call(**again(arguments) | {parameter: number}))
    for one, other in zip(*map(parts, results), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    if not parts(results[0]):
        one, other = (re.sub(r" at 0x\w+|'seconds': [^,}]+", "", repr(result)) for result in results)
        assert one == other


# Numbers of which zero, or what is negative, are good.
ZERO = {
    ("equations.Page", "patience"),
    ("data.Peaks.diffuse", "alpha_bar"), ("data.Peaks.expected_noise", "alpha_bar"),
    ("data.Peaks.posterior", "alpha_bar"),
    ("data.GaussianMixture.diffuse", "alpha_bar"), ("data.GaussianMixture.sample", "n"),
    ("data.ConditionalMixture.diffuse", "alpha_bar"), ("data.ConditionalMixture.expected_noise", "alpha_bar"),
    ("data.KickedOscillator.series", "n"), ("data.TwoNotes.sample", "n"), ("data.TwoNotes.spectra", "n"),
    ("data.Clusters.diffuse", "alpha_bar"), ("data.Clusters.sample", "n"), ("data.KernelDensity.sample", "n"),
    ("measured.memorised", "samples"), ("measured.smoothed", "samples"),
    ("measured.scores", "seed"), ("measured.true_samples", "samples"), ("experiment.ladder_runs.train_rung", "seed"),
    ("networks.NoiseMLP", "condition"), ("guidance.ConditionalDDPM", "drop"), ("pretrained.swiss_roll_arms", "seed"),
    ("guidance.GaussianExample.guided", "w"), ("guidance.GaussianExample.guided", "eta"),
    ("guidance.GaussianExample.tilted", "w"), ("guidance.Labelled.log_class", "alpha_bar"),
    ("guidance.Labelled.log_tilted", "w"), ("guidance.Labelled.log_tilted", "c"), ("guidance.Labelled.row", "c"),
    ("guidance.Labelled.given", "c"), ("guidance.Labelled.share", "c"), ("guidance.Labelled.sample", "n"),
    ("networks.GaussianMLP", "depth"), ("networks.GaussianMLP", "features"), ("swiss_roll.SwissRoll.sample", "n"),
    ("chains.NeuralChain", "depth"), ("chains.NeuralChain", "features"),
    ("explorables.Forward", "position"), ("explorables.Reverse", "eta"), ("explorables.Guided", "w"),
    ("hierarchical_vae.HierarchicalVAE", "depth"), ("hierarchical_vae.HierarchicalVAE", "features"),
    ("conditioning.particles", "resample_below"),
    ("samplers.sample", "eta"), ("samplers.walk", "eta"), ("pretrained.swiss_roll_precise_ddpm", "seed"),
    ("samplers.sample", "data_noise"), ("samplers.walk", "data_noise"), ("samplers.choose_levels", "data_noise"),
    ("score.marginal_change", "eta"), ("score.reverse_sde", "eta"),
    ("score.noise_from_velocity", "tau"), ("score.velocity_from_noise", "tau"),
    *((f"score.ContinuousSchedule.{name}", "time") for name in ("alpha_bar", "beta", "kappa", "log_snr")),
    ("schedule.Schedule.cosine", "s"), ("schedule.Schedule.check_t", "least"), ("schedule.DeviceTables.at", "t"),
    ("schedule.Schedule.at", "t"), ("fitting.train", "decay"), ("swiss_roll.SwissRoll.diffuse", "alpha_bar"),
    ("swiss_roll.SwissRoll.expected_noise", "alpha_bar"), ("swiss_roll.SwissRoll.noise_mmse", "alpha_bar"),
}  # fmt: skip
ANY_SIGN = {
    ("chains.Affine.scalar", "weight"), ("chains.Affine.scalar", "bias"),
    ("notebook.exercises.check", "expected"), ("explorables.BoundBars", "prior"), ("explorables.BoundBars", "entropy"),
    ("explorables.Gap", "x"), ("explorables.Layers", "a"), ("explorables.Layers", "x"),
    ("explorables.TwoPeaks", "xt"), ("explorables.Paths", "xt"), ("guidance.ConditionalDDPM.guided", "w"),
    ("guidance.GaussianExample", "mean"), ("guidance.classifier_guided", "w"),
}  # fmt: skip
NUMBERS = [(n, p) for n, p in EVERY if kinds(n, p) & {"int", "float"}]


@pytest.mark.parametrize(("name", "parameter"), NUMBERS)
@settings(max_examples=15)
@given(data=st.data())
def test_what_is_no_number_for_this_is_refused(name, parameter, data):
    call, _ = recorded(name)
    whole = "float" not in kinds(name, parameter)
    bad = [] if whole else [st.sampled_from((math.nan, math.inf, -math.inf))]
    if (name, parameter) not in ANY_SIGN:
        bad.append(st.integers(max_value=-1) if whole else st.floats(max_value=-1e-300, allow_infinity=False))
        bad += [] if (name, parameter) in ZERO else [st.just(0 if whole else 0.0)]
    refuses(call, parameter, data.draw(st.one_of(bad)))


# Numbers with an upper end: the first that is too large.
TOO_LARGE = {
    ("schedule.Schedule.linear", "beta_1"): 1.0, ("schedule.Schedule.linear", "beta_T"): 1.0,
    ("guidance.GaussianExample", "variance"): 1.0, ("pretrained.swiss_roll_arms", "seed"): 3,
    ("guidance.Labelled.log_class", "alpha_bar"): 1.01, ("guidance.Labelled.log_tilted", "c"): 2,
    ("guidance.Labelled.row", "c"): 2, ("guidance.Labelled.given", "c"): 2, ("guidance.Labelled.share", "c"): 2,
    ("guidance.ConditionalDDPM", "condition"): 3, ("guidance.ConditionalDDPM", "drop"): 1.01,
    ("conditioning.particles", "resample_below"): 1.01,
    ("samplers.sample", "calls"): 11, ("samplers.walk", "calls"): 20, ("samplers.start", "t"): 11,
    ("samplers.sample", "eta"): 1.01, ("samplers.walk", "eta"): 0.01, ("samplers.best_levels", "count"): 11,
    ("samplers.DDIM", "eta"): 1.01, ("samplers.DDIMProcess", "eta"): 1.01, ("samplers.choose_levels", "count"): 9,
    ("samplers.choose_levels", "lowest"): 10, ("samplers.choose_levels", "highest"): 11,
    ("samplers.karras_levels", "smallest"): 10.0, ("pretrained.swiss_roll_precise_ddpm", "seed"): 3,
    ("score.ContinuousSchedule", "first"): 1.01, ("score.ContinuousSchedule", "last"): 0.99,
    ("score.ContinuousSchedule.beta", "time"): 1.01, ("score.ContinuousSchedule.kappa", "time"): 1.01,
    ("score.continuous_bound", "first"): 1.0, ("score.continuous_bound", "last"): 0.99,
    ("score.entropy_from_losses", "reach"): 34.0, ("score.marginal_change", "alpha_bar"): 1.0,
    ("score.marginal_change", "delta"): 0.25, ("score.noise_from_velocity", "tau"): 1.0,
    ("score.ode_log_prob", "lowest"): 10.0, ("score.velocity_from_noise", "tau"): 1.0,
    ("schedule.Schedule.cosine", "s"): 1.01, ("schedule.Schedule.cosine", "largest"): 1.0,
    ("explorables.Field", "t"): 11, ("explorables.Forward", "position"): 1.01, ("explorables.Gap", "x"): 3.01,
    ("explorables.Guided", "w"): 8.1, ("explorables.Conditioned", "noise"): 1.1,
    ("explorables.Conditioned", "steps"): 1001, ("explorables.Conditioned", "resamplings"): 51,
    ("explorables.ForwardPosterior", "T"): 1001, ("explorables.ForwardPosterior", "t"): 11,
    ("explorables.Layers", "a"): 1.0, ("explorables.Layers", "x"): 3.01, ("fitting.train", "decay"): 1.0,
    ("swiss_roll.SwissRoll", "scale"): 0.51, ("data.Clusters", "noise"): 0.1,
    ("data.Peaks", "noise"): 1.0, ("data.Peaks", "share"): 1.0, ("data.Peaks.diffuse", "alpha_bar"): 1.01,
    ("data.Peaks.expected_noise", "alpha_bar"): 1.01, ("data.Peaks.posterior", "alpha_bar"): 1.01,
    ("data.Peaks.posterior", "earlier"): 1.01, ("explorables.TwoPeaks", "t"): 1001,
    ("explorables.Paths", "t"): 1001, ("explorables.Paths", "xt"): 2.51, ("explorables.Paths", "steps"): 1001,
    ("explorables.Paths", "share"): 0.9, ("explorables.TwoPeaks", "xt"): 2.51,
    ("explorables.Reverse", "calls"): 11, ("explorables.Reverse", "eta"): 1.01,
    ("ladder.Rung", "latent"): 3,
    ("data.GaussianMixture.diffuse", "alpha_bar"): 1.01,
    ("data.ConditionalMixture.diffuse", "alpha_bar"): 1.01,
    ("data.ConditionalMixture.expected_noise", "alpha_bar"): 1.01, ("data.KickedOscillator", "damping"): 1.0,
    **{("data.KickedOscillator", name): 10.0 for name in ("kick", "noise", "gain")},
    ("data.KickedOscillator", "period"): 1000.0, ("signals.one_after_the_other", "order"): 6,
    ("data.Clusters.diffuse", "alpha_bar"): 1.01, ("schedule.best_schedule", "layers"): 11,
    ("schedule.log_snr_levels", "first"): 1.0, ("schedule.log_snr_levels", "last"): 1.0,
    ("swiss_roll.SwissRoll.diffuse", "alpha_bar"): 1.01,
    ("swiss_roll.SwissRoll.expected_noise", "alpha_bar"): 1.01,
    ("swiss_roll.SwissRoll.noise_mmse", "alpha_bar"): 1.01,
} | {
    (n, p): 11 for n, p in EVERY if p == "t" and "times" in kinds(n, p)
} | {
    (n, p): 11 if n.startswith(("ddpm.", "ladder.", "samplers.", "signals.")) else 3 for n, p in EVERY if p == "i"
}  # fmt: skip


@pytest.mark.parametrize(("name", "parameter"), TOO_LARGE)
def test_a_number_that_is_too_large_is_refused(name, parameter):
    refuses(recorded(name)[0], parameter, TOO_LARGE[name, parameter])


BETA, ARRAY = Schedule_10.beta, np.ones(10)
# Texts that are no choice, and other things wrong in ways of their own.
WRONG = {
    ("conditioning.replacement", "levels"): [[], [0], [3, 3], [11]], ("conditioning.multiplied", "levels"): [[11]],
    ("conditioning.enter", "levels"): [[1], [10]], ("conditioning.gradient_guidance", "levels"): [[2, 1]],
    ("conditioning.particles", "levels"): [[2, 1]], ("conditioning.multiplied", "power"): ["falling"],
    ("conditioning.gradient_guidance", "guess"): ["best", "pigdm"], ("conditioning.replacement", "observation"): [SEEN],
    ("samplers.sample", "method"): ["euler"], ("samplers.walk", "method"): ["DDIM"],
    ("samplers.sample", "levels"): ["evenly", [1, 2, 3], [1, 2, 2, 3], [0, 1, 2, 3], [1, 2, 3, 11], [4, 3, 2, 1]],
    ("samplers.walk", "levels"): ["evenly", [1, 2], [1, 2.0, 3]], ("samplers.sample", "last"): ["none"],
    ("samplers.choose_levels", "spacing"): ["evenly"], ("samplers.start", "points"): [torch.zeros(1, 2)],
    ("samplers.on_levels", "kappa"): [torch.zeros(0), torch.ones(3), torch.tensor([2.0, 1.0]), torch.zeros(1)],
    ("samplers.best_levels", "mmses"): [BETA * 0, BETA[1:], -BETA],
    ("score.ContinuousSchedule", "clock"): ["even"],
    ("score.annealed_langevin", "levels"): [[], [1, 2], [3, 3], [11], [0]],
    ("score.bound_mixture", "log_snr"): [-LEVELS * 0, LEVELS, LEVELS[:0]],
    ("score.bound_mixture", "weight"): [LEVELS.flip(0), -LEVELS, LEVELS[1:]],
    ("score.continuous_bound", "loss"): [lambda a: a.sum(), lambda a: 1.0],
    ("score.divergence", "f"): [lambda x: x[:, 0], lambda x: x[:1], lambda x: None],
    ("score.divergence", "probes"): [torch.zeros(0, 6, 2), torch.zeros(6, 2), torch.zeros(1, 6, 3)],
    ("score.entropy_from_losses", "loss"): [lambda a: a[1:], lambda a: None],
    ("score.network_losses", "levels"): [1 - LEVELS, LEVELS * 0],
    ("score.ode_log_prob", "log_prior"): [lambda x: x, lambda x: 1.0], ("score.ode_log_prob", "steps"): [3],
    ("score.straightness", "path"): [torch.zeros(1, 6, 2), torch.zeros(3, 2)],
    ("schedule.Schedule.through", "levels"): [LEVELS.flip(0), LEVELS * 0, LEVELS * 2],
    ("guidance.ConditionalDDPM", "variance"): ["gamma"], ("guidance.ConditionalDDPM", "objective"): ["bound"],
    ("guidance.ConditionalDDPM", "t_sampling"): ["evenly"],
    ("guidance.Labelled", "label"): [torch.tensor([0]), torch.tensor([0, 2]), torch.tensor([-1, 0])],
    ("guidance.Labelled", "mixture"): [labelled().mixture.diffuse(0.5)],
    ("guidance.NoisyClassifier.loss", "rows"): [torch.zeros(6, 3), torch.zeros(0, 4), torch.zeros(4)],
    ("guidance.classifier_guided", "c"): [torch.zeros(1, 6, 2), torch.zeros(())],
    ("pretrained.swiss_roll_arms", "variance"): ["gamma", torch.ones(3)],
    ("guidance.ConditionalDDPM.given", "c"): [torch.zeros(6, 3), torch.zeros(1, 6, 2), torch.zeros(())],
    ("guidance.ConditionalDDPM.guided", "c"): [torch.zeros(6, 3), torch.zeros(1, 6, 2), torch.zeros(())],
    ("guidance.ConditionalDDPM.loss", "rows"): [torch.zeros(6, 2), torch.zeros(0, 4), torch.zeros(4)],
    ("networks.NoiseMLP.forward", "c"): [torch.zeros(6, 3), torch.zeros(5, 2), torch.zeros(1, 6, 2)],
    ("data.ConditionalMixture", "log_weight"): [torch.zeros(6, 1), torch.zeros(6), torch.full((6, 2), -math.inf)],
    ("data.ConditionalMixture", "mean"): [torch.zeros(6, 2), torch.zeros(6, 0, 2)],
    ("data.ConditionalMixture", "variance"): [torch.zeros(6, 2, 2), torch.ones(6, 2, 1), -torch.ones(6, 2, 2)],
    ("data.ConditionalMixture.log_prob", "x"): [torch.zeros(5, 2), torch.zeros(6, 1), torch.zeros(2)],
    ("data.KickedOscillator.given", "history"): [torch.zeros(6, 3), torch.zeros(2)],
    ("data.KickedOscillator.follow", "history"): [torch.zeros(6, 3), torch.zeros(2)],
    ("data.KickedOscillator.series", "dtype"): [torch.long, float],
    ("data.TwoNotes.sample", "dtype"): [torch.long, float], ("data.TwoNotes.spectra", "dtype"): [torch.long, float],
    ("data.TwoNotes.given", "c"): [torch.zeros(6, 3), torch.zeros(4)],
    ("data.TwoNotes.to_time", "x"): [torch.zeros(6, 31)],
    ("data.TwoNotes.from_time", "waveform"): [torch.zeros(6, 31)],
    ("metrics.crps", "members"): [torch.zeros(1, 2), torch.zeros(6)], ("metrics.crps", "y"): [torch.zeros(3)],
    ("metrics.ranks", "members"): [torch.zeros(1, 2), torch.zeros(6)], ("metrics.ranks", "y"): [torch.zeros(3)],
    ("metrics.energy_score", "members"): [torch.zeros(1, 3, 2), torch.zeros(6, 2)],
    ("metrics.energy_score", "y"): [torch.zeros(2, 2), torch.zeros(3)],
    ("pretrained.two_notes_vocoder", "kind"): ["Prior"],
    ("signals.PriorProcess", "mean"): [torch.zeros(()), torch.zeros(1, 6, 2)],
    ("signals.PriorProcess", "std"): [torch.zeros(6, 2), torch.ones(2), -torch.ones(6, 2)],
    ("signals.TowardsPrior", "std"): [torch.zeros(6, 2), torch.ones(2)],
    ("signals.WithPrior", "std"): [torch.zeros(6, 2), torch.ones(2)],
    ("signals.WithPrior.fitted", "points"): [torch.zeros(1, 2), torch.zeros(2)],
    ("signals.draw_next", "method"): ["euler"], ("signals.draw_next", "levels"): ["evenly"],
    ("signals.forecast", "next_value"): [lambda h, g: h, lambda h, g: None, lambda h, g: h[:1, :1]],
    ("signals.forecast", "history"): [torch.zeros(0, 2), torch.zeros(2)],
    ("signals.one_after_the_other", "series"): [torch.zeros(6)],
    ("signals.series_bound", "series"): [torch.zeros(6), torch.zeros(6, 2)],
    ("ddpm.DDPM", "variance"): ["gamma", BETA * 0, BETA + math.inf, BETA[1:] + 1],
    ("ddpm.DDPM", "objective"): ["bound"],
    ("ddpm.DDPM", "t_sampling"): ["evenly", True, 1, BETA * 0, BETA + math.inf, BETA[1:] + 1],
    ("schedule.best_schedule", "levels"): [LEVELS.flip(0), LEVELS * 0, LEVELS * 2, LEVELS[None]],
    ("schedule.best_schedule", "mmses"): [MMSES[1:], -MMSES, MMSES * math.inf],
    ("schedule.best_bound", "levels"): [LEVELS.flip(0)],
    ("schedule.best_bound", "mmses"): [MMSES[1:], MMSES * 0],
    ("schedule.mmse", "levels"): [1 - LEVELS, LEVELS * 0],
    ("data.Clusters.sample", "dtype"): [torch.long, float],
    ("data.GaussianMixture.sample", "dtype"): [torch.long, float],
    ("data.GaussianMixture", "log_weight"): [torch.zeros(2), torch.full((3,), -math.inf)],
    ("data.GaussianMixture", "variance"): [torch.zeros(2), -torch.ones(2), torch.ones(3)],
    ("data.GaussianMixture.only", "kept"): [torch.zeros(8) > 1, torch.ones(3) > 0],
    ("data.GaussianMixture.share", "kept"): [torch.ones(3) > 0],
    ("data.Seen", "noise"): [-torch.ones(2), torch.ones(3), [1.0, math.nan]],
    ("ladder.LadderChain", "schedule"): [Schedule_10],
    ("ladder.Rung", "objective"): ["elbo"], ("ladder.Rung", "inference"): ["free", "learned"],
    ("ladder.Rung", "last"): ["first"], ("ladder.Rung", "networks"): ["none"], ("ladder.Rung", "latent"): [1],
    ("metrics.kl_from_counts", "cell"): [torch.tensor([11]), torch.tensor([-1]), torch.tensor(1)],
    ("metrics.plug_in_kl", "cell"): [torch.tensor([11]), torch.tensor([-1]), torch.tensor(1)],
    ("experiment.ladder_runs.train_rung", "data"): ["moons"],
    ("experiment.comparisons.runs_of", "rung"): ["moons"], ("experiment.comparisons.runs_of", "data"): ["moons"],
    ("experiment.comparisons.runs_of", "budget"): ["none"], ("experiment.comparisons.average", "key"): ["moons"],
    ("experiment.ladder_runs.train_rung", "budget"): ["none"],
    ("experiment.ladder_runs.measure", "data"): ["moons"],
    ("experiment.ladder_runs.schedule_of", "data"): ["moons"],
    ("experiment.ladder_runs.steps_and_width", "budget"): ["none"],
    ("experiment.ladder_runs.measure", "chain"): [RUNG], ("experiment.results.load_results", "name"): ["moons"],
    ("schedule.Schedule", "beta"): [
        torch.tensor(beta)
        for beta in ([0.0, 0.5, 1.0], [0.0, -0.1], [0.0, 0.0], [0.1, 0.1], [0.0, 0.1, math.nan], [0.0])
    ],
    ("chains.Affine", "std"): [torch.tensor(value) for value in (0.0, -1.0, math.nan)],
    ("chains.FreePosterior", "std"): [torch.tensor(0.0), torch.tensor([[-1.0]]), torch.ones(5, 1)],
    ("parameterisations.best_variance", "loss"): [BETA * 0, BETA[1:], -BETA],
    ("parameterisations.variational_weight", "sigma_squared"): [BETA * math.nan, -BETA, BETA[1:]],
    ("parameterisations.variational_constant", "sigma_squared"): [BETA * 0, BETA[1:]],
    ("pretrained.swiss_roll_precise_ddpm", "variance"): ["gamma", torch.ones(3)],
    ("experiment.sampler_runs.curve", "way"): ["moons"], ("experiment.sampler_runs.curve", "model"): ["moons"],
    ("experiment.sampler_runs.curve", "key"): ["KL"], ("experiment.sampler_runs.names", "what"): ["seed"],
    ("pretrained.swiss_roll_vae", "kind"): ["blunt", "again"],
    ("pretrained.swiss_roll_hierarchical_vae", "kind"): ["guided"],
    ("pretrained.swiss_roll_ddpm", "objective"): ["bound"],
    ("pretrained.swiss_roll_ddpm", "variance"): ["gamma", torch.ones(3)],
    ("equations.check", "chapter"): ["gan"],
    ("equations.Page", "context"): ["gan"],
    ("notebook.exercises.check_line", "chapter"): ["gan"],
    ("notebook.exercises.check_line", "without"): [(1,), "x"],
    ("notebook.exercises.check_line", "must_contain"): [(1,), "x"],
    ("explorables.Particles", "labels"): [["a"], ["a", 1]],
    ("explorables.Particles", "frames"): [np.full((2, 3, 2), math.nan), np.zeros((1, 3, 2)), np.zeros((2, 3, 3))],
    ("explorables.Particles", "hue"): [np.zeros(4), np.full(3, math.inf)],
    ("explorables.BoundBars", "smallest_loss"): [0 * ARRAY, -ARRAY, ARRAY * math.nan, np.ones(9)],
    ("explorables.BoundBars", "own_error"): [-ARRAY, ARRAY * math.inf, np.ones(11)],
    ("explorables.Conditioned", "place"): [(0.0,), (1.5, 0.0), (math.nan, 0.0)],
    ("explorables.ForwardPosterior", "x0"): [(0.0,), (3.7, 0.0), (math.nan, 0.0)],
    ("explorables.ForwardPosterior", "xt"): [(0.0, 2.7), (0.0, math.inf)],
    ("explorables.Rungs", "runs"): [
        [], (), MADE + MADE, MADE[-1:], [MADE[0] | {"rung": "GAN"}], [MADE[0] | {"seed": 0.5}],
    ],
    ("explorables.Rungs", "switches"): [{}, {"VAE": 3}, {"VAE": {}}, {"VAE": dict.fromkeys(invented.SWITCHES["VAE"])}],
    ("explorables.Rungs", "data"): ["moons"], ("explorables.Rungs", "budget"): ["none", "parameters"],
    ("explorables.Rungs", "a"): ["GAN"], ("explorables.Rungs", "b"): ["diffusion, 128"],
    ("hierarchical_vae.HierarchicalVAE", "latents"): [[], [0], [1.0], [2, True]],
    ("chains.NeuralChain", "latents"): [[], [-1], ["2"]],
    ("diffusion.forward_form", "path"): [[], [torch.zeros(6, 2)] * 10, [torch.zeros(6, 2)] * 10 + [torch.zeros(6, 1)]],
    ("diffusion.posterior_form", "path"): [[torch.zeros(6, 2)] * 12, [torch.full((6, 2), math.nan)] * 11],
    ("chains.LinearGaussianChain", "generative"): [[1, 2], [1.0], "pq", []],
    ("chains.LinearGaussianChain", "inference"): [[], ()],
    ("explorables.Field", "network"): [networks.NoiseMLP], ("explorables.Reverse", "network"): [networks.NoiseMLP],
    ("explorables.Conditioned", "given"): ["x3"], ("explorables.Conditioned", "method"): ["repaint", "none"],
    ("explorables.Guided", "sampler"): ["pde"], ("explorables.Guided", "data"): ["roll"],
    ("explorables.Paths", "kind"): ["none"], ("explorables.Paths", "spacing"): ["karras"],
    ("explorables.Reverse", "method"): ["euler"], ("explorables.Reverse", "levels"): ["evenly"],
    ("fitting.Checkpoint", "settings"): [{"a": math.nan}, {"a": {1}}],
    ("fitting.save_weights", "about"): [{"a": {1}}],
    ("swiss_roll.SwissRoll.sample", "dtype"): [torch.long, float],
    ("swiss_roll.SwissRoll.expect", "f"): [lambda x: x.sum(), lambda x: x[:-1], lambda x: 1.0, lambda x: None],
    ("data.integrate_plane", "reach"): [1e6], ("data.integrate_plane", "step"): [1e-9],
    ("data.integrate_plane", "f"): [lambda x: x.sum(), lambda x: x[:1], lambda x: 1.0],
    ("notebook.plotting.show_density", "log_prob"): [lambda x: x, lambda x: 1.0],
    ("notebook.plotting.show_arrows", "field"): [lambda x: x[:, 0], lambda x: None],
    ("notebook.tables.Table", "columns"): [{}, {"a": [1], "b": []}, [1]],
    ("notebook.tables.Table", "formats"): [{"u": "d"}, {"t": "z"}, ["d"]],
    ("notebook.diagrams.Diagram", "nodes"): [{}, {"z": 1}, {"z": (0, 1)}],
    ("notebook.diagrams.Diagram", "edges"): [[("z", "x")], ["zx"], [("z", "x", "", "r")], [("z", "y", "", "p")]],
    ("notebook.diagrams.chain_diagram", "names"): [["x", 1], "xz"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "parameter"), WRONG)
def test_what_is_wrong_in_a_way_of_its_own_is_refused(name, parameter):
    for value in WRONG[name, parameter]:
        with described(value, name, parameter):
            refuses(recorded(name)[0], parameter, value)


OF_TENSORS = [(n, p) for n, p in EVERY if kinds(n, p) & {"Tensor", "torch.Tensor"}]
OF_TIMES = [n for n, p in EVERY if p == "t" and "times" in kinds(n, p)]


def documentation(name: str) -> str:
    """What is said about a public thing: its own docstring, and that of its class."""
    above = name.rpartition(".")[0]
    own = inspect.getdoc(resolve(name)) or ""
    return " ".join((own + (documentation(above) if "." in above else "")).split())


@pytest.mark.parametrize("name", OF_TIMES)
@given(data=st.data())
def test_times_that_do_not_exist_are_refused(name, data):
    least = 2 if name.endswith("posterior") else 1
    t = torch.full((6,), 5)
    t[data.draw(st.integers(0, 5))] = data.draw(st.integers(-(2**40), least - 1) | st.integers(11, 2**40))
    if name in {
        "schedule.Schedule.at",
        "schedule.DeviceTables.at",
        "networks.NoiseMLP.forward",
        "networks.TimestepMLP.forward",
        "guidance.NoisyClassifier.forward",
    }:  # they are for loops
        assert "not checked, because this is called inside loops" in documentation(name)
    else:
        refuses(recorded(name)[0], "t", t)


@pytest.mark.parametrize("name", sorted(set(OF_TIMES) - {"schedule.Schedule.at", "schedule.DeviceTables.at"}))
@given(shape=st.lists(st.integers(0, 7), max_size=3).filter(lambda shape: shape not in ([], [1], [6])))
def test_times_that_do_not_fit_the_points_are_refused(name, shape):
    refuses(recorded(name)[0], "t", torch.full(shape, 5))


@pytest.mark.parametrize("name", OF_TIMES)
def test_times_on_another_device_are_refused(name):
    refuses(recorded(name)[0], "t", torch.full((6,), 5, device="meta"))


def test_a_generator_on_another_device_is_refused():
    with pytest.raises(ValueError, match="generator must be on meta, got one on cpu"):
        distributions.randn_like(torch.empty(1, 1, device="meta"), torch.Generator())


def same(name: str):
    return lambda a: getattr(a, name).shape


def each(name: str, *before: int):
    return lambda a: (*before, *getattr(a, name).shape[:-1])


def many(name: str, *after: int):
    return lambda a: (len(getattr(a, name)), *after)


def on_path(a):
    return (11, len(a.path[0]))


# The shape of what comes back, given the arguments; of a distribution's mean and standard deviation, if it is one.
RETURNS = {
    "diffusion.forward_form": on_path, "diffusion.kl_form": on_path, "diffusion.posterior_form": on_path,
    "diffusion.discretised_log_prob": each("x"), "diffusion.one_step": each("x0"),
    "diffusion.bound_terms": each("x0", 11),
    "chains.elbo": each("x", 3), "chains.importance_bound": each("x"), "chains.sample": many("like", 2),
    "ddpm.DDPM.generate": same("z"), "ddpm.DDPM.infer": same("z"), "ddpm.DDPM.loss": lambda a: (),
    "ddpm.DDPM.prior": same("like"), "ddpm.DDPM.sample": same("xT"), "ddpm.DDPM.step": same("xt"),
    "guidance.ConditionalDDPM.loss": lambda a: (), "guidance.NoisyClassifier.loss": lambda a: (),
    "guidance.NoisyClassifier.forward": same("xt"), "guidance.Labelled.log_class": lambda a: (*a.x.shape[:-1], 2),
    "guidance.Labelled.row": lambda a: (2,),
    "data.ConditionalMixture.cdf": each("x"), "data.ConditionalMixture.crps": each("x"),
    "data.ConditionalMixture.expected_noise": same("xt"), "data.ConditionalMixture.log_prob": each("x"),
    "data.ConditionalMixture.parts": many("x", 2), "data.ConditionalMixture.score": same("x"),
    "data.KickedOscillator.follow": lambda a: (len(a.history), a.steps),
    "data.TwoNotes.band_variance": many("c", 32),
    "data.TwoNotes.to_time": same("x"), "data.TwoNotes.from_time": same("waveform"),
    "metrics.crps": same("y"), "metrics.energy_score": each("y"),
    "signals.PriorProcess.whiten": same("x"), "signals.PriorProcess.colour": same("z"),
    "signals.PriorProcess.marginal": same("x0"), "signals.PriorProcess.posterior": same("xt"),
    "signals.PriorProcess.step": same("x"), "signals.TowardsPrior.prior": same("like"),
    "signals.TowardsPrior.infer": same("z"), "signals.TowardsPrior.generate": same("z"),
    "signals.TowardsPrior.step": same("xt"), "signals.WithPrior.prior": same("like"),
    "signals.WithPrior.infer": same("z"), "signals.WithPrior.generate": same("z"), "signals.WithPrior.step": same("xt"),
    "signals.forecast": lambda a: (a.members, len(a.history), a.steps),
    "signals.one_after_the_other": lambda a: (len(a.series) * (a.series.shape[1] - a.order), 1 + a.order),
    "signals.series_bound": lambda a: (len(a.series), a.series.shape[1] - 2),
    "ddpm.DDPM.walk": same("xT"), "ddpm.DDPM.predict": same("xt"),
    "conditioning.replacement": same("xT"), "conditioning.multiplied": same("xT"), "conditioning.enter": same("y"),
    "conditioning.denoised": same("y"), "conditioning.gradient_guidance": same("xT"),
    "samplers.sample": same("xT"), "samplers.start": same("like"),
    "samplers.DDIMProcess.mean": same("xt"), "samplers.DDIMProcess.marginal": same("x0"),
    "samplers.DDIMProcess.posterior": same("xt"), "samplers.DDIM.prior": same("like"),
    "samplers.DDIM.infer_last": same("x"), "samplers.DDIM.infer_below": same("z"), "samplers.DDIM.step": same("xt"),
    "samplers.DDIM.generate": same("z"),
    "score.ContinuousSchedule.alpha_bar": lambda a: a.time.shape,
    "score.ContinuousSchedule.beta": lambda a: a.time.shape, "score.ContinuousSchedule.kappa": lambda a: a.time.shape,
    "score.ContinuousSchedule.log_snr": lambda a: a.time.shape, "score.annealed_langevin": same("xt"),
    "score.bound_mixture": same("weight"), "score.denoising_score_matching": each("x0"),
    "score.forward_sde": same("x0"), "score.reverse_sde": same("xT"),
    "score.implicit_score_matching": each("xt"), "score.marginal_change": each("x"),
    "score.noise_from_velocity": same("x"), "score.velocity_from_noise": same("x"),
    "schedule.mmse": lambda a: a.levels.shape,
    "data.Clusters.log_prob": each("x"), "data.Clusters.score": same("x"),
    "data.GaussianMixture.log_prob": each("x"),
    "data.GaussianMixture.score": same("x"), "data.GaussianMixture.log_parts": lambda a: (*a.x.shape[:-1], 8),
    "data.GaussianMixture.uniforms": same("x"), "data.Seen.log_likelihood": each("x0"),
    "data.KernelDensity.log_prob": each("x"), "data.Peaks.log_prob": each("x"), "data.Peaks.score": same("x"),
    "data.Peaks.expected_noise": same("xt"), "data.Peaks.posterior": same("xt"),
    "data.Clusters.distance": each("x"), "swiss_roll.SwissRoll.distance": each("x"),
    "swiss_roll.SwissRoll.across": each("x"), "ladder.LadderChain.step": same("xt"),
    "measured.memorised": lambda a: (a.samples, 2), "measured.smoothed": lambda a: (a.samples, 2),
    "ladder.LadderChain.generate": same("z"), "ladder.LadderChain.infer": same("z"),
    "ladder.LadderChain.loss": lambda a: (), "ladder.LadderChain.prior": many("like", 2),
    "networks.TimestepMLP.forward": many("z", 4), "experiment.ladder_runs.gradient_noise": lambda a: (),
    "diffusion.ForwardProcess.marginal": same("x0"), "diffusion.ForwardProcess.posterior": same("xt"),
    "diffusion.ForwardProcess.step": same("x"), "diffusion.ForwardProcess.walk": same("x0"),
    "schedule.Schedule.at": lambda a: (*a.t.shape, 1), "schedule.DeviceTables.at": lambda a: (1,),
    "distributions.gaussian": same("mean"), "distributions.randn_like": same("x"),
    "distributions.standard_normal": same("like"),
    "hierarchical_vae.splits": each("x"),
    "chains.LinearGaussianChain.exact_elbo": each("x", 3),
    "chains.LinearGaussianChain.generate": many("z", 2),
    "chains.LinearGaussianChain.infer": many("z", 2),
    "chains.LinearGaussianChain.inferred": many("x", 4),
    "chains.LinearGaussianChain.log_prob": each("x"),
    "chains.LinearGaussianChain.posterior": many("x", 4),
    "chains.LinearGaussianChain.prior": many("like", 2),
    "networks.GaussianMLP.forward": many("z", 1), "networks.NoiseMLP.forward": same("xt"),
    "chains.NeuralChain.generate": many("z", 2), "chains.NeuralChain.infer": many("z", 1),
    "chains.NeuralChain.loss": lambda a: (), "chains.NeuralChain.prior": many("like", 1),
    "parameterisations.Prediction": same("xt"), "parameterisations.Prediction.from_mean": same("xt"),
    "parameterisations.Prediction.from_score": same("xt"), "parameterisations.Prediction.from_v": same("xt"),
    "parameterisations.Prediction.from_x0": same("xt"),
    "parameterisations.best_variance": lambda a: (11,),
    "parameterisations.variational_constant": lambda a: (11,), "parameterisations.variational_weight": lambda a: (11,),
    "metrics.energy_distance": lambda a: (), "metrics.sliced_distance": lambda a: (),
    "metrics.band_width": lambda a: (), "metrics.binned_kl": lambda a: (),
    "metrics.stray_share": lambda a: (),
    "chains.FreePosterior.generate": many("z", 2), "chains.FreePosterior.infer": many("z", 1),
    "chains.FreePosterior.prior": many("like", 1), "chains.ScalarLatent.grid": lambda a: (41, 1),
    "chains.ScalarLatent.elbo": each("x"), "chains.ScalarLatent.log_joint": many("x", 41),
    "chains.ScalarLatent.log_prob": each("x"),
    "swiss_roll.SwissRoll.expected_noise": same("xt"), "swiss_roll.SwissRoll.log_prob": each("x"),
    "swiss_roll.SwissRoll.sample": lambda a: (a.n, 2, 2), "swiss_roll.SwissRoll.score": same("x"),
    "swiss_roll.SwissRoll.noise_mmse": same("alpha_bar"), "swiss_roll.SwissRoll.spiral": lambda a: (*a.u.shape, 2),
    "vae.naive_estimate": each("x"), "vae.naive_spread": each("x"), "vae.score_function_surrogate": each("x"),
}  # fmt: skip
# What comes back there in double precision whatever is given: sums over a fine grid, and tables.
DOUBLE = {
    "schedule.mmse", "score.bound_mixture",
    "swiss_roll.SwissRoll.noise_mmse", "parameterisations.best_variance", "data.GaussianMixture.uniforms",
    "parameterisations.variational_constant", "parameterisations.variational_weight",
}  # fmt: skip
# These return what has no one shape: something to be called later, nothing, or two things.
NO_SHAPE = {
    "guidance.Labelled", "guidance.classifier_guided", "pretrained.swiss_roll_arms",
    "guidance.ConditionalDDPM", "guidance.ConditionalDDPM.given", "guidance.ConditionalDDPM.guided",
    "data.ConditionalMixture", "data.KickedOscillator.given", "data.TwoNotes.given", "metrics.ranks",
    "signals.PriorProcess", "signals.TowardsPrior", "signals.WithPrior", "signals.WithPrior.fitted",
    "score.divergence", "score.network_losses", "score.ode_log_prob", "score.straightness",
    "schedule.best_bound", "schedule.best_schedule", "chains.infer_path", "samplers.best_levels", "samplers.on_levels",
    "samplers.walk", "schedule.Schedule.through",
    "schedule.DeviceTables.whole",
    "fitting.fingerprint", "ddpm.DDPM", "schedule.Schedule", "schedule.Schedule.check_t", "notebook.exercises.check",
    "chains.Affine", "notebook.plotting.scatter", "pretrained.swiss_roll_ddpm", "pretrained.swiss_roll_precise_ddpm",
    "swiss_roll.SwissRoll.nearest",
    "data.Clusters.cells", "swiss_roll.SwissRoll.cells", "measured.scores", "measured.true_samples",
    "metrics.kl_from_counts", "metrics.plug_in_kl",
    "chains.FreePosterior", "chains.ScalarLatent.best_gaussian", "swiss_roll.SwissRoll.diffuse",
    "fitting.train", "data.Peaks.diffuse", "data.KernelDensity",
    "conditioning.particles",
    "data.GaussianMixture", "data.GaussianMixture.cells", "data.GaussianMixture.only", "data.GaussianMixture.share",
    "data.GaussianMixture.strays", "data.Seen",
}  # fmt: skip


def test_every_function_of_tensors_has_its_promise():
    new = {name for name, _ in OF_TENSORS} - set(RETURNS) - NO_SHAPE
    assert not new, f"say in RETURNS what shape {sorted(new)} give, or in NO_SHAPE that there is no one shape"
    assert not set(RETURNS) & NO_SHAPE


def parts(result: object) -> list[torch.Tensor]:
    """The tensors in what came back."""
    if isinstance(result, torch.Tensor):
        return [result]
    if isinstance(result, torch.distributions.Distribution):
        return [result.mean, result.stddev]
    if isinstance(result, float):
        return [torch.tensor(result)]
    if isinstance(result, list | tuple):
        return [part for each in result for part in parts(each)]
    if isinstance(result, parameterisations.Prediction):
        return [result.noise, result.x0, result.mean, result.score, result.v]
    if dataclasses.is_dataclass(result):
        return parts([getattr(result, field.name) for field in dataclasses.fields(result)])
    return []


def is_as_promised(name: str, call, arguments: dict, **changes) -> None:
    results = parts(call(**changes))
    assert results
    for result in results:
        assert tuple(result.shape) == tuple(RETURNS[name](SimpleNamespace(**(arguments | changes))))
        assert result.isfinite().all()


def is_as_promised_or_refused(name: str, call, arguments: dict, **changes) -> None:
    try:
        if name in RETURNS:
            is_as_promised(name, call, arguments, **changes)
        else:
            call(**changes)
    except (TypeError, ValueError) as error:
        says_what_is_wrong(error, *parameters(name), *INSIDE)


# What does not fit a model is said by the network that gets it, under the name that it has there.
INSIDE = ("xt", "z")


@pytest.mark.parametrize("name", sorted(RETURNS))
@settings(max_examples=5)
@given(n=st.integers(3, 9))
def test_good_input_gives_what_is_promised(name, n):
    call, arguments = recorded(name, n)
    is_as_promised(name, call, arguments)
    given = [x for x in arguments.values() if isinstance(x, torch.Tensor) and x.is_floating_point()]
    expected = torch.float64 if name in DOUBLE else given[0].dtype if given else torch.float32
    assert {x.dtype for x in parts(call())} == {expected}


@pytest.mark.parametrize(("name", "parameter"), OF_TENSORS)
@settings(max_examples=25)
@given(shape=st.lists(st.integers(0, 7), max_size=3))
def test_any_shape_is_refused_or_gives_what_is_promised(name, parameter, shape):
    assume(name != "swiss_roll.SwissRoll.noise_mmse" or math.prod(shape) < 2)  # each of them takes long
    call, arguments = recorded(name)
    dtype = getattr(arguments.get(parameter), "dtype", torch.float32)
    is_as_promised_or_refused(name, call, arguments, **{parameter: torch.full(shape, 0.5, dtype=dtype)})


def is_given_a_tensor(name: str, parameter: str) -> bool:
    """Whether the table gives one; of what cannot be called at all too, so that its own tests say so."""
    try:
        return isinstance(recorded(name)[1].get(parameter), torch.Tensor)
    except Exception:
        return True


TENSORS_GIVEN = [pair for pair in OF_TENSORS if pair not in FREE and is_given_a_tensor(*pair)]


@pytest.mark.parametrize(("name", "parameter"), TENSORS_GIVEN)
def test_another_precision_is_refused_or_gives_what_is_promised(name, parameter):
    call, arguments = recorded(name)
    value = arguments[parameter]
    other = torch.float64 if value.dtype == torch.float32 else torch.float32
    is_as_promised_or_refused(name, call, arguments, **{parameter: value.to(other)})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", sorted({name for name, _ in TENSORS_GIVEN} & set(RETURNS)))
def test_sixteen_bits_are_refused_or_give_what_is_promised(name, dtype):
    try:
        is_as_promised(name, *recorded(name, dtype=dtype))
    except (TypeError, ValueError) as error:
        says_what_is_wrong(error, *parameters(name), *INSIDE, "weight")


@pytest.mark.parametrize(("name", "parameter"), TENSORS_GIVEN)
def test_a_tensor_on_another_device_is_refused_or_all_is_there(name, parameter):
    call, arguments = recorded(name)
    try:
        result = call(**{parameter: arguments[parameter].to("meta")})
    except (TypeError, ValueError) as error:
        says_what_is_wrong(error, *parameters(name), *INSIDE)
    else:
        assert all(part.device.type == "meta" for part in parts(result))


# These are called inside loops, where looking would synchronise with the device every time. What is not a number shows
# in the result.
IN_LOOPS = {
    "guidance.NoisyClassifier.forward", "guidance.NoisyClassifier.loss", "guidance.Labelled.log_class",
    "guidance.ConditionalDDPM.loss",
    *(f"data.ConditionalMixture.{name}" for name in ("cdf", "crps", "expected_noise", "log_prob", "parts", "score")),
    "data.TwoNotes.band_variance", "data.TwoNotes.from_time", "data.TwoNotes.to_time", "signals.one_after_the_other",
    *(f"signals.PriorProcess.{name}" for name in ("colour", "marginal", "posterior", "step", "whiten")),
    *(f"signals.{name}" for name in ("TowardsPrior.generate", "TowardsPrior.infer", "TowardsPrior.step")),
    *(f"signals.{name}" for name in ("WithPrior.generate", "WithPrior.infer", "WithPrior.step")),
    "data.GaussianMixture.log_prob", "data.GaussianMixture.score", "data.GaussianMixture.log_parts",
    "data.Seen.log_likelihood",
    "data.Clusters.log_prob", "data.Clusters.score", "data.Peaks.log_prob", "data.Peaks.score",
    "data.Peaks.expected_noise", "data.Peaks.posterior", "ladder.LadderChain.generate", "ladder.LadderChain.infer",
    "ladder.LadderChain.loss", "networks.TimestepMLP.forward",
    "score.denoising_score_matching", "score.divergence", "score.implicit_score_matching", "score.straightness",
    "ddpm.DDPM.predict", "samplers.DDIM.generate", "samplers.DDIM.infer_below", "samplers.DDIM.infer_last",
    "samplers.DDIM.step", "samplers.DDIMProcess.marginal", "samplers.DDIMProcess.mean",
    "samplers.DDIMProcess.posterior",
    "chains.infer_path",
    "chains.elbo", "ddpm.DDPM.generate", "ddpm.DDPM.infer", "ddpm.DDPM.loss", "ddpm.DDPM.step",
    "diffusion.ForwardProcess.marginal", "diffusion.ForwardProcess.posterior", "diffusion.ForwardProcess.step",
    "diffusion.ForwardProcess.walk", "distributions.gaussian", "chains.LinearGaussianChain.generate",
    "chains.LinearGaussianChain.infer", "networks.GaussianMLP.forward", "networks.NoiseMLP.forward",
    "chains.NeuralChain.generate", "chains.NeuralChain.infer", "chains.NeuralChain.loss",
    "parameterisations.Prediction", "parameterisations.Prediction.from_mean", "parameterisations.Prediction.from_score",
    "parameterisations.Prediction.from_v", "parameterisations.Prediction.from_x0",
    "chains.FreePosterior.generate", "ladder.LadderChain.step",
    "swiss_roll.SwissRoll.expected_noise", "swiss_roll.SwissRoll.log_prob",
    "swiss_roll.SwissRoll.score", "swiss_roll.SwissRoll.spiral", "vae.score_function_surrogate",
}  # fmt: skip
# Of these, nothing but shape, dtype and device matters; or every value has a name of its own.
ANY_VALUE = {
    ("distributions.randn_like", "x"), ("schedule.Schedule.check_t", "x"), ("chains.FreePosterior.infer", "z"),
    ("fitting.fingerprint", "data"), ("measured.true_samples", "points"),
    ("data.GaussianMixture", "log_weight"), ("data.Seen", "noise"), ("data.GaussianMixture.only", "kept"),
    ("data.GaussianMixture.share", "kept"),
} | {(n, p) for n, p in EVERY if p == "like"}  # fmt: skip
# Of these, what is infinite may have a finite value: nothing is below minus infinity, whose exponential is 0.
AT_INFINITY = {"data.ConditionalMixture.cdf", "data.TwoNotes.band_variance"}
# Of these tables, the first entry is not used.
FROM_ONE = {"ddpm.DDPM", "guidance.ConditionalDDPM", "samplers.best_levels"} | {
    name for name in NAMES if name.startswith("parameterisations.") and name in DOUBLE
}


@pytest.mark.parametrize(("name", "parameter"), [pair for pair in TENSORS_GIVEN if pair not in ANY_VALUE])
@settings(max_examples=10)
@given(data=st.data())
def test_what_is_not_finite_is_refused_or_shows(name, parameter, data):
    call, arguments = recorded(name)
    value = arguments[parameter].detach().clone()
    entry = data.draw(st.integers(int(name in FROM_ONE), value.numel() - 1))
    value.view(-1)[entry] = data.draw(
        st.sampled_from((math.nan, *(() if name in AT_INFINITY else (math.inf, -math.inf))))
    )
    if name in IN_LOOPS and parameter != "alpha_bar":
        assert "not checked, because this is called" in documentation(name)
        assert not all(x.isfinite().all() for x in parts(call(**{parameter: value})))
    else:
        refuses(call, parameter, value)
