"""Bad input is refused at the public door, by a message that names the argument; good input gives what is promised.

All public functions and classes are gone over, each called as the table of ``test_devices.py`` calls it, with
one argument replaced. What an argument may not be follows from its annotation; the tables below say the rest,
and a new public name fails until it is in one of them.
"""

from __future__ import annotations

import contextlib
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
from test_devices import CALLS, Schedule_10, linear_chain, public_names, resolve, scalar_chain
from torch import nn

from diffusion_notes import (
    best_levels,
    checkpoints,
    clusters,
    ddpm,
    diagrams,
    diffusion,
    distributions,
    equations,
    exercises,
    explorables,
    hierarchical_vae,
    ladder,
    layerwise,
    linear_gaussian,
    networks,
    neural_chain,
    parameterisations,
    plotting,
    pretrained,
    quadrature,
    rungs,
    scalar_latent,
    stored,
    swiss_roll,
    tables,
    vae,
)

FLAT = networks.NoiseMLP(Schedule_10, width=4, depth=1, features=2)


def saved(x, how):
    return how(checkpoints.Checkpoint("run.safetensors", {"steps": 3}), nn.Linear(2, 2))


def optimizer(module):
    return torch.optim.Adam(module.parameters())


def shown(draw):
    figure, axes = plt.subplots()
    try:
        return draw(axes)
    finally:
        plt.close(figure)


def particles():
    return explorables.Particles(np.zeros((2, 3, 2)), ["a", "b"], np.zeros(3), alt="Three points.")


def table(x):
    return Schedule_10.beta + 0.1


LEVELS = best_levels.levels_between(10)
DOUBTS = 0.5 * (1 - LEVELS)
RUNG = ladder.Rung(3)
MADE = invented.made_runs(seeds=2)


# How those are called that the other table leaves out, since they take no tensor or are not about tensors.
MORE = {
    "best_levels.best_bound": lambda x, t: best_levels.best_bound(LEVELS, DOUBTS, 1.0),
    "best_levels.best_schedule": lambda x, t: best_levels.best_schedule(LEVELS, DOUBTS, 3, 1.0),
    "best_levels.doubt": lambda x, t: best_levels.doubt(clusters.Clusters(), LEVELS),
    "best_levels.levels_between": lambda x, t: best_levels.levels_between(10),
    "clusters.Clusters": lambda x, t: clusters.Clusters(),
    "clusters.Clusters.expect": lambda x, t: clusters.Clusters().expect(torch.sin),
    "ladder.LadderChain": lambda x, t: ladder.LadderChain(RUNG, diffusion.Schedule.linear(3)),
    "ladder.Rung": lambda x, t: ladder.Rung(),
    "layerwise.StepMLP": lambda x, t: layerwise.StepMLP(Schedule_10, 2, 4),
    "networks.time_waves": lambda x, t: networks.time_waves(Schedule_10),
    "rungs.climb": lambda x, t: rungs.climb(RUNG, "clusters"),
    "rungs.measure": lambda x, t: rungs.measure(ladder.LadderChain(RUNG, diffusion.Schedule.linear(3)), "clusters"),
    "rungs.schedule_of": lambda x, t: rungs.schedule_of(RUNG, "clusters"),
    "rungs.steps_and_width": lambda x, t: rungs.steps_and_width(RUNG),
    "stored.provenance": lambda x, t: stored.provenance("make ladder"),
    "stored.results": lambda x, t: stored.results("levels"),
    "checkpoints.Checkpoint": lambda x, t: checkpoints.Checkpoint("run", {"steps": 3}),
    "checkpoints.Checkpoint.load": lambda x, t: saved(x, lambda c, m: c.load(m, m, optimizer(m), torch.Generator())),
    "checkpoints.Checkpoint.save": lambda x, t: saved(x, lambda c, m: c.save(1, m, m, optimizer(m), torch.Generator())),
    "checkpoints.load_weights": lambda x, t: (
        checkpoints.save_weights(nn.Linear(2, 2), "weights"),
        checkpoints.load_weights(nn.Linear(2, 2), "weights"),
    ),
    "checkpoints.save_weights": lambda x, t: checkpoints.save_weights(nn.Linear(2, 2), "weights"),
    "ddpm.DDPM": lambda x, t: ddpm.DDPM(FLAT, Schedule_10, table(x), importance=table(x)),
    "diagrams.Diagram": lambda x, t: diagrams.Diagram(
        {"z": (0, 0, False), "x": (0, 1, True)}, [("z", "x", "", "p")], "z above x."
    ),
    "diagrams.chain_diagram": lambda x, t: diagrams.chain_diagram(["x", "z_1"], "Two in a row."),
    "diffusion.ForwardProcess": lambda x, t: diffusion.ForwardProcess(Schedule_10),
    "diffusion.Schedule": lambda x, t: diffusion.Schedule(torch.tensor([0.0, 0.1, 0.2])),
    "diffusion.Schedule.cosine": lambda x, t: diffusion.Schedule.cosine(10),
    "diffusion.Schedule.linear": lambda x, t: diffusion.Schedule.linear(10),
    "equations.Page": lambda x, t: equations.Page("ddpm"),
    "equations.Page.judge": lambda x, t: equations.Page("ddpm").judge(r"1 = 1"),
    "equations.check": lambda x, t: equations.check(r"1 = 1", "ddpm"),
    "equations.contains": lambda x, t: equations.contains(r"\beta_t = 1 - \alpha_t", r"\alpha_t"),
    "exercises.check_line": lambda x, t: exercises.check_line(r"1 - \beta_t", r"\alpha_t", "ddpm"),
    "explorables.BoundBars": lambda x, t: explorables.BoundBars(
        Schedule_10, np.ones(10), np.ones(10), prior=0.1, entropy=0.5
    ),
    "explorables.Field": lambda x, t: explorables.Field(FLAT, 3),
    "explorables.Forward": lambda x, t: explorables.Forward(0.1),
    "explorables.ForwardPosterior": lambda x, t: explorables.ForwardPosterior(),
    "explorables.Gap": lambda x, t: explorables.Gap(1.2),
    "explorables.Layers": lambda x, t: explorables.Layers(0.5, 1.2),
    "explorables.Particles": lambda x, t: particles(),
    "explorables.Reverse": lambda x, t: explorables.Reverse(FLAT),
    "explorables.Rungs": lambda x, t: explorables.Rungs(MADE, invented.SWITCHES),
    "hierarchical_vae.HierarchicalVAE": lambda x, t: hierarchical_vae.HierarchicalVAE([2, 1], std=0.1),
    "linear_gaussian.Affine": lambda x, t: linear_gaussian.Affine(torch.eye(2), torch.zeros(2), torch.tensor(0.5)),
    "linear_gaussian.LinearGaussianChain": lambda x, t: linear_chain(x),
    "networks.GaussianMLP": lambda x, t: networks.GaussianMLP(2, 1, std=0.1),
    "networks.NoiseMLP": lambda x, t: networks.NoiseMLP(Schedule_10, width=4),
    "neural_chain.NeuralChain": lambda x, t: neural_chain.NeuralChain([2, 1], std=0.1),
    "parameterisations.best_variance": lambda x, t: parameterisations.best_variance(Schedule_10, table(x), 2),
    "parameterisations.variational_constant": lambda x, t: parameterisations.variational_constant(
        Schedule_10, table(x), 2
    ),
    "parameterisations.variational_weight": lambda x, t: parameterisations.variational_weight(Schedule_10, table(x)),
    "plotting.plane": lambda x, t: shown(plotting.plane),
    "plotting.scatter": lambda x, t: shown(lambda axes: plotting.scatter(axes, x, x[:, 0].sigmoid())),
    "plotting.show_arrows": lambda x, t: shown(lambda axes: plotting.show_arrows(axes, torch.sin)),
    "plotting.show_density": lambda x, t: shown(lambda a: plotting.show_density(a, lambda z: z.square().sum(-1))),
    "plotting.show_source": lambda x, t: plotting.show_source(plotting.plane),
    "pretrained.swiss_roll_ddpm": lambda x, t: pretrained.swiss_roll_ddpm(),
    "pretrained.swiss_roll_hierarchical_vae": lambda x, t: pretrained.swiss_roll_hierarchical_vae("sharp"),
    "pretrained.swiss_roll_vae": lambda x, t: pretrained.swiss_roll_vae("guided"),
    "quadrature.integrate_plane": lambda x, t: quadrature.integrate_plane(
        torch.sin, 1.0, 0.5, weight=lambda z: z.sum(-1)
    ),
    "quadrature.unit_interval": lambda x, t: quadrature.unit_interval(5),
    "scalar_latent.ScalarLatent": lambda x, t: scalar_latent.ScalarLatent(scalar_chain(x)),
    "swiss_roll.SwissRoll": lambda x, t: swiss_roll.SwissRoll(),
    "tables.Tables": lambda x, t: tables.Tables({"x": x}.__getitem__),
    "vae.VAE": lambda x, t: vae.VAE(1, std=0.1),
}
# Made by the package, for its callers to read; or not to be called at all.
NOT_CALLED = {
    "bound.Terms", "chain.Bound", "hierarchical_vae.Splits", "training.TrainingState",
    "best_levels.Known", "best_levels.Known.diffuse", "best_levels.Known.expect", "best_levels.Known.score",
    "equations.Report", "equations.Verdict", "checkpoints.CheckpointError",
    "chain.Chain", "chain.Chain.prior", "chain.Chain.infer", "chain.Chain.generate",
    "explorables.Explorable",
}  # fmt: skip
# The checks themselves name what their callers say: tests/test_checks.py.
CHECKS = {name for name in public_names() if name.startswith(("checks.", "tensor_checks.", "schedule_checks."))}


def parameters(name: str) -> dict[str, inspect.Parameter]:
    """The parameters of a public thing, without self and without ``**``."""
    thing = resolve(name)
    if not callable(thing):
        return {}
    found = inspect.signature(thing).parameters
    return {n: p for n, p in found.items() if n != "self" and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


NAMES = sorted(n for n in public_names(without=()) - NOT_CALLED - CHECKS if parameters(n))


def test_every_public_name_is_called():
    assert set(NAMES) <= set(CALLS) | set(MORE)
    assert not set(MORE) & set(CALLS)
    assert set(MORE) | NOT_CALLED <= public_names(without=())


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
    "huge": 10**400,
    "fraction": Fraction(1, 2),
    "decimal": Decimal("0.5"),
    "objects": np.array([Anything()]),
    "sparse": torch.ones(6, 2).to_sparse(),
    "sparse integers": torch.ones(6, dtype=torch.long).to_sparse(),
    "nested": torch.nested.nested_tensor([torch.ones(2)], layout=torch.jagged),
    "eight bits": torch.ones(6, 2).to(torch.float8_e4m3fn),
    "something": Anything(),
    "class": int,
}
TENSORS = {"tensor", "scalar tensor"}
# Of what is mixed above, what each annotation lets pass; it may still be wrong for another reason.
FITS = {
    "Tensor": TENSORS, "torch.Tensor": TENSORS, "int": {"three"}, "float": {"half", "three"}, "str": {"text"},
    "None": {"none"}, "bool": {"yes"}, "object": set(MIXED), "dict": {"dict"}, "Path": set(), "Callable": {"class"},
    "Sequence": {"list", "lists"}, "tuple": set(), "Mapping": {"dict"}, "torch.device": set(), "torch.dtype": set(),
    "torch.LongTensor": {"integers"},
    "np.ndarray": {"half", "three", "yes", "list", "lists", "array", "array of integers", "scalar of numpy", "tensor",
                   "scalar tensor", "integers", "integer of numpy", "bytes tensor", "booleans"},
    "Any": set(),
    "times": {"integers"},
    "Definitions": {"dict"},
}  # fmt: skip


# What is given as numbers, in whatever form numpy understands.
ARRAYS = {("explorables.BoundBars", "smallest_loss"), ("explorables.BoundBars", "own_error"),
          ("explorables.ForwardPosterior", "x0"), ("explorables.ForwardPosterior", "xt")}  # fmt: skip


def kinds(name: str, parameter: str) -> set[str]:
    """The kinds that an annotation allows, without what is in brackets."""
    annotation = re.sub(r"\[.*\]", "", str(parameters(name)[parameter].annotation))
    found = {kind.strip() for kind in annotation.split("|")}
    if parameter == "t" and "Tensor" in found:
        return {"int", "times"}
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
def _elsewhere(tmp_path_factory):
    with contextlib.chdir(tmp_path_factory.mktemp("bad_input")):
        yield


@pytest.mark.parametrize(("name", "parameter"), EVERY)
def test_what_is_of_another_kind_is_refused(name, parameter):
    call, _ = recorded(name)
    fits = set().union(*(FITS.get(kind, set()) for kind in kinds(name, parameter)))
    for what in MIXED.keys() - fits:
        with described(what, name, parameter):
            refuses(call, parameter, MIXED[what])


# Numbers of which zero, or what is negative, are good.
ZERO = {
    ("clusters.Clusters.diffuse", "alpha_bar"), ("clusters.Clusters.sample", "n"), ("rungs.climb", "seed"),
    ("networks.GaussianMLP", "depth"), ("networks.GaussianMLP", "features"), ("swiss_roll.SwissRoll.sample", "n"),
    ("neural_chain.NeuralChain", "depth"), ("neural_chain.NeuralChain", "features"),
    ("explorables.Forward", "position"),
    ("hierarchical_vae.HierarchicalVAE", "depth"), ("hierarchical_vae.HierarchicalVAE", "features"),
    ("diffusion.Schedule.cosine", "s"), ("diffusion.Schedule.check_t", "least"), ("tables.Tables.at", "t"),
    ("diffusion.Schedule.at", "t"), ("training.train", "decay"), ("swiss_roll.SwissRoll.diffuse", "alpha_bar"),
    ("swiss_roll.SwissRoll.expected_noise", "alpha_bar"), ("swiss_roll.SwissRoll.smallest_loss", "alpha_bar"),
}  # fmt: skip
ANY_SIGN = {
    ("linear_gaussian.Affine.scalar", "weight"), ("linear_gaussian.Affine.scalar", "bias"),
    ("exercises.check", "expected"), ("explorables.BoundBars", "prior"), ("explorables.BoundBars", "entropy"),
    ("explorables.Gap", "x"), ("explorables.Layers", "a"), ("explorables.Layers", "x"),
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
    ("diffusion.Schedule.linear", "beta_1"): 1.0, ("diffusion.Schedule.linear", "beta_T"): 1.0,
    ("diffusion.Schedule.cosine", "s"): 1.01, ("diffusion.Schedule.cosine", "largest"): 1.0,
    ("explorables.Field", "t"): 11, ("explorables.Forward", "position"): 1.01, ("explorables.Gap", "x"): 3.01,
    ("explorables.ForwardPosterior", "T"): 1001, ("explorables.ForwardPosterior", "t"): 11,
    ("explorables.Layers", "a"): 1.0, ("explorables.Layers", "x"): 3.01, ("training.train", "decay"): 1.0,
    ("swiss_roll.SwissRoll", "scale"): 0.51, ("clusters.Clusters", "noise"): 0.1,
    ("ladder.Rung", "latent"): 3,
    ("clusters.Clusters.diffuse", "alpha_bar"): 1.01, ("best_levels.best_schedule", "layers"): 11,
    ("best_levels.levels_between", "first"): 1.0, ("best_levels.levels_between", "last"): 1.0,
    ("swiss_roll.SwissRoll.diffuse", "alpha_bar"): 1.01,
    ("swiss_roll.SwissRoll.expected_noise", "alpha_bar"): 1.01, ("chain.check_chain", "length"): 3,
    ("swiss_roll.SwissRoll.smallest_loss", "alpha_bar"): 1.01,
} | {
    (n, p): 11 for n, p in EVERY if "times" in kinds(n, p)
} | {
    (n, p): 11 if n.startswith(("ddpm.", "ladder.")) else 3 for n, p in EVERY if p == "i"
}  # fmt: skip


@pytest.mark.parametrize(("name", "parameter"), TOO_LARGE)
def test_a_number_that_is_too_large_is_refused(name, parameter):
    refuses(recorded(name)[0], parameter, TOO_LARGE[name, parameter])


BETA, ARRAY = Schedule_10.beta, np.ones(10)
# Texts that are no choice, and other things wrong in ways of their own.
WRONG = {
    ("ddpm.DDPM", "variance"): ["gamma", BETA * 0, BETA + math.inf, BETA[1:] + 1],
    ("ddpm.DDPM", "objective"): ["bound"],
    ("ddpm.DDPM", "importance"): ["weight", 1, BETA * 0, BETA + math.inf, BETA[1:] + 1],
    ("best_levels.best_schedule", "levels"): [LEVELS.flip(0), LEVELS * 0, LEVELS * 2, LEVELS[None]],
    ("best_levels.best_schedule", "doubts"): [DOUBTS[1:], -DOUBTS, DOUBTS * math.inf],
    ("best_levels.best_bound", "levels"): [LEVELS.flip(0)],
    ("best_levels.best_bound", "doubts"): [DOUBTS[1:], DOUBTS * 0],
    ("best_levels.doubt", "levels"): [1 - LEVELS, LEVELS * 0],
    ("clusters.Clusters.sample", "dtype"): [torch.long, float],
    ("ladder.LadderChain", "schedule"): [Schedule_10],
    ("ladder.Rung", "objective"): ["elbo"], ("ladder.Rung", "inference"): ["free", "learned"],
    ("ladder.Rung", "last"): ["first"], ("ladder.Rung", "networks"): ["none"], ("ladder.Rung", "latent"): [1],
    ("quality.chi_square_divergence", "cell"): [torch.tensor([11]), torch.tensor([-1]), torch.tensor(1)],
    ("rungs.climb", "data"): ["moons"], ("rungs.climb", "budget"): ["none"], ("rungs.measure", "data"): ["moons"],
    ("rungs.schedule_of", "data"): ["moons"], ("rungs.steps_and_width", "budget"): ["none"],
    ("rungs.measure", "chain"): [RUNG], ("stored.results", "name"): ["moons"],
    ("diffusion.Schedule", "beta"): [
        torch.tensor(beta)
        for beta in ([0.0, 0.5, 1.0], [0.0, -0.1], [0.0, 0.0], [0.1, 0.1], [0.0, 0.1, math.nan], [0.0])
    ],
    ("linear_gaussian.Affine", "std"): [torch.tensor(value) for value in (0.0, -1.0, math.nan)],
    ("scalar_latent.FreePosterior", "std"): [torch.tensor(0.0), torch.tensor([[-1.0]]), torch.ones(5, 1)],
    ("parameterisations.best_variance", "loss"): [BETA * 0, BETA[1:], -BETA],
    ("parameterisations.variational_weight", "sigma_squared"): [BETA * math.nan, -BETA, BETA[1:]],
    ("parameterisations.variational_constant", "sigma_squared"): [BETA * 0, BETA[1:]],
    ("pretrained.swiss_roll_vae", "kind"): ["blunt", "again"],
    ("pretrained.swiss_roll_hierarchical_vae", "kind"): ["guided"],
    ("pretrained.swiss_roll_ddpm", "objective"): ["bound"],
    ("pretrained.swiss_roll_ddpm", "variance"): ["gamma", torch.ones(3)],
    ("equations.check", "chapter"): ["gan"],
    ("equations.Page", "context"): ["gan"],
    ("exercises.check_line", "chapter"): ["gan"],
    ("exercises.check_line", "without"): [(1,), ["x"], "x"],
    ("explorables.Particles", "labels"): [["a"], ["a", 1]],
    ("explorables.Particles", "frames"): [np.full((2, 3, 2), math.nan), np.zeros((1, 3, 2)), np.zeros((2, 3, 3))],
    ("explorables.Particles", "hue"): [np.zeros(4), np.full(3, math.inf), np.ma.masked_array(np.zeros(3), [0, 0, 1])],
    ("explorables.BoundBars", "smallest_loss"): [0 * ARRAY, -ARRAY, ARRAY * math.nan, np.ones(9)],
    ("explorables.BoundBars", "own_error"): [-ARRAY, ARRAY * math.inf, np.ones(11)],
    ("explorables.ForwardPosterior", "x0"): [(0.0,), (3.1, 0.0), (math.nan, 0.0)],
    ("explorables.ForwardPosterior", "xt"): [(0.0, 2.5), (0.0, math.inf)],
    ("explorables.Rungs", "runs"): [
        [], (), MADE + MADE, MADE[-1:], [MADE[0] | {"rung": "GAN"}], [MADE[0] | {"seed": 0.5}],
    ],
    ("explorables.Rungs", "switches"): [{}, {"VAE": 3}, {"VAE": {}}, {"VAE": dict.fromkeys(invented.SWITCHES["VAE"])}],
    ("explorables.Rungs", "data"): ["moons"], ("explorables.Rungs", "budget"): ["none", "parameters"],
    ("explorables.Rungs", "a"): ["GAN"], ("explorables.Rungs", "b"): ["diffusion, 128"],
    ("hierarchical_vae.HierarchicalVAE", "latents"): [[], [0], [1.0], [2, True]],
    ("neural_chain.NeuralChain", "latents"): [[], [-1], ["2"]],
    ("bound.as_walked", "path"): [[], [torch.zeros(6, 2)] * 10, [torch.zeros(6, 2)] * 10 + [torch.zeros(6, 1)]],
    ("bound.turned", "path"): [[torch.zeros(6, 2)] * 12, [torch.full((6, 2), math.nan)] * 11],
    ("linear_gaussian.LinearGaussianChain", "generative"): [[1, 2], [1.0], "pq", []],
    ("linear_gaussian.LinearGaussianChain", "inference"): [[], ()],
    ("explorables.Field", "network"): [networks.NoiseMLP], ("explorables.Reverse", "network"): [networks.NoiseMLP],
    ("quality.nearest", "roll"): [swiss_roll.SwissRoll().diffuse(0.5)],
    ("checkpoints.Checkpoint", "settings"): [{"a": math.nan}, {"a": {1}}],
    ("checkpoints.save_weights", "about"): [{"a": {1}}],
    ("swiss_roll.SwissRoll.sample", "dtype"): [torch.long, float],
    ("swiss_roll.SwissRoll.expect", "f"): [lambda x: x.sum(), lambda x: x[:-1], lambda x: 1.0, lambda x: None],
    ("quadrature.integrate_plane", "reach"): [1e6, 1e308], ("quadrature.integrate_plane", "step"): [1e-9, 1e-308],
    ("networks.NoiseMLP", "data_std"): [1e308, 1e-308], ("ladder.LadderChain", "data_std"): [1e308, 1e-308],
    ("quadrature.integrate_plane", "f"): [lambda x: x.sum(), lambda x: x[:1], lambda x: 1.0],
    ("plotting.show_density", "log_prob"): [lambda x: x, lambda x: 1.0],
    ("plotting.show_arrows", "field"): [lambda x: x[:, 0], lambda x: None],
    ("diagrams.Diagram", "nodes"): [{}, {"z": 1}, {"z": (0, "1", True)}, {1: (0, 0, True)}],
    ("diagrams.Diagram", "edges"): [[("z", "x")], ["zx"], [("z", "x", "", 1)]],
    ("diagrams.chain_diagram", "names"): [["x", 1], "xz"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "parameter"), WRONG)
def test_what_is_wrong_in_a_way_of_its_own_is_refused(name, parameter):
    for value in WRONG[name, parameter]:
        with described(value, name, parameter):
            refuses(recorded(name)[0], parameter, value)


OF_TENSORS = [(n, p) for n, p in EVERY if kinds(n, p) & {"Tensor", "torch.Tensor"}]
OF_TIMES = [n for n, p in EVERY if "times" in kinds(n, p)]


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
        "diffusion.Schedule.at",
        "tables.Tables.at",
        "networks.NoiseMLP.forward",
        "layerwise.StepMLP.forward",
    }:  # they are for loops
        assert "not checked, because this is called inside loops" in documentation(name)
    else:
        refuses(recorded(name)[0], "t", t)


@pytest.mark.parametrize("name", sorted(set(OF_TIMES) - {"diffusion.Schedule.at", "tables.Tables.at"}))
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
    "bound.as_walked": on_path, "bound.divergences": on_path, "bound.turned": on_path,
    "bound.discretised_log_prob": each("x"), "bound.one_step": each("x0"), "bound.terms": each("x0", 11),
    "chain.elbo": each("x", 3), "chain.importance_bound": each("x"), "chain.sample": many("like", 2),
    "ddpm.DDPM.generate": same("z"), "ddpm.DDPM.infer": same("z"), "ddpm.DDPM.loss": lambda a: (),
    "ddpm.DDPM.prior": same("like"), "ddpm.DDPM.sample": same("xT"), "ddpm.DDPM.step": same("xt"),
    "ddpm.DDPM.walk": same("xT"),
    "best_levels.doubt": lambda a: a.levels.shape,
    "clusters.Clusters.log_prob": each("x"), "clusters.Clusters.score": same("x"),
    "clusters.Clusters.cell_divergence": lambda a: (),
    "ladder.LadderChain.generate": same("z"), "ladder.LadderChain.infer": same("z"),
    "ladder.LadderChain.loss": lambda a: (), "ladder.LadderChain.prior": many("like", 2),
    "layerwise.StepMLP.forward": many("z", 4), "rungs.gradient_noise": lambda a: (),
    "diffusion.ForwardProcess.marginal": same("x0"), "diffusion.ForwardProcess.posterior": same("xt"),
    "diffusion.ForwardProcess.step": same("x"), "diffusion.ForwardProcess.walk": same("x0"),
    "diffusion.Schedule.at": lambda a: (*a.t.shape, 1), "tables.Tables.at": lambda a: (1,),
    "distributions.gaussian": same("mean"), "distributions.randn_like": same("x"),
    "distributions.standard_normal": same("like"),
    "hierarchical_vae.splits": each("x"),
    "linear_gaussian.LinearGaussianChain.exact_elbo": each("x", 3),
    "linear_gaussian.LinearGaussianChain.generate": many("z", 2),
    "linear_gaussian.LinearGaussianChain.infer": many("z", 2),
    "linear_gaussian.LinearGaussianChain.inferred": many("x", 4),
    "linear_gaussian.LinearGaussianChain.log_prob": each("x"),
    "linear_gaussian.LinearGaussianChain.posterior": many("x", 4),
    "linear_gaussian.LinearGaussianChain.prior": many("like", 2),
    "networks.GaussianMLP.forward": many("z", 1), "networks.NoiseMLP.forward": same("xt"),
    "neural_chain.NeuralChain.generate": many("z", 2), "neural_chain.NeuralChain.infer": many("z", 1),
    "neural_chain.NeuralChain.loss": lambda a: (), "neural_chain.NeuralChain.prior": many("like", 1),
    "parameterisations.Prediction": same("xt"), "parameterisations.Prediction.from_mean": same("xt"),
    "parameterisations.Prediction.from_score": same("xt"), "parameterisations.Prediction.from_v": same("xt"),
    "parameterisations.Prediction.from_x0": same("xt"),
    "parameterisations.best_variance": lambda a: (11,),
    "parameterisations.variational_constant": lambda a: (11,), "parameterisations.variational_weight": lambda a: (11,),
    "measured.energy_distance": lambda a: (), "measured.sliced_distance": lambda a: (),
    "quality.band_width": lambda a: (), "quality.cell_divergence": lambda a: (),
    "quality.off_spiral_share": lambda a: (),
    "scalar_latent.FreePosterior.generate": many("z", 2), "scalar_latent.FreePosterior.infer": many("z", 1),
    "scalar_latent.FreePosterior.prior": many("like", 1), "scalar_latent.ScalarLatent.grid": lambda a: (41, 1),
    "scalar_latent.ScalarLatent.elbo": each("x"), "scalar_latent.ScalarLatent.log_joint": many("x", 41),
    "scalar_latent.ScalarLatent.log_prob": each("x"),
    "swiss_roll.SwissRoll.expected_noise": same("xt"), "swiss_roll.SwissRoll.log_prob": each("x"),
    "swiss_roll.SwissRoll.sample": lambda a: (a.n, 2, 2), "swiss_roll.SwissRoll.score": same("x"),
    "swiss_roll.SwissRoll.smallest_loss": same("alpha_bar"), "swiss_roll.SwissRoll.spiral": lambda a: (*a.u.shape, 2),
    "vae.naive_estimate": each("x"), "vae.naive_spread": each("x"), "vae.score_function_surrogate": each("x"),
}  # fmt: skip
# What comes back there in double precision whatever is given: sums over a fine grid, and tables.
DOUBLE = {
    "best_levels.doubt",
    "swiss_roll.SwissRoll.smallest_loss", "parameterisations.best_variance",
    "parameterisations.variational_constant", "parameterisations.variational_weight",
}  # fmt: skip
# These return what has no one shape: something to be called later, nothing, or two things.
NO_SHAPE = {
    "best_levels.best_bound", "best_levels.best_schedule",
    "tables.Tables.whole",
    "checkpoints.fingerprint", "ddpm.DDPM", "diffusion.Schedule", "diffusion.Schedule.check_t", "exercises.check",
    "linear_gaussian.Affine", "plotting.scatter", "pretrained.swiss_roll_ddpm", "quality.nearest",
    "scalar_latent.FreePosterior", "scalar_latent.ScalarLatent.best_gaussian", "swiss_roll.SwissRoll.diffuse",
    "training.train",
}  # fmt: skip


def test_every_function_of_tensors_has_its_promise():
    assert {name for name, _ in OF_TENSORS} <= set(RETURNS) | NO_SHAPE
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
    assume(name != "swiss_roll.SwissRoll.smallest_loss" or math.prod(shape) < 2)  # each of them takes long
    call, arguments = recorded(name)
    dtype = getattr(arguments.get(parameter), "dtype", torch.float32)
    is_as_promised_or_refused(name, call, arguments, **{parameter: torch.full(shape, 0.5, dtype=dtype)})


TENSORS_GIVEN = [(n, p) for n, p in OF_TENSORS if isinstance(recorded(n)[1].get(p), torch.Tensor)]


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


# These are called inside loops, where looking would halt a GPU every time. What is not a number shows in the result.
IN_LOOPS = {
    "clusters.Clusters.log_prob", "clusters.Clusters.score", "ladder.LadderChain.generate", "ladder.LadderChain.infer",
    "ladder.LadderChain.loss", "layerwise.StepMLP.forward",
    "chain.elbo", "ddpm.DDPM.generate", "ddpm.DDPM.infer", "ddpm.DDPM.loss", "ddpm.DDPM.step",
    "diffusion.ForwardProcess.marginal", "diffusion.ForwardProcess.posterior", "diffusion.ForwardProcess.step",
    "diffusion.ForwardProcess.walk", "distributions.gaussian", "linear_gaussian.LinearGaussianChain.generate",
    "linear_gaussian.LinearGaussianChain.infer", "networks.GaussianMLP.forward", "networks.NoiseMLP.forward",
    "neural_chain.NeuralChain.generate", "neural_chain.NeuralChain.infer", "neural_chain.NeuralChain.loss",
    "parameterisations.Prediction", "parameterisations.Prediction.from_mean", "parameterisations.Prediction.from_score",
    "parameterisations.Prediction.from_v", "parameterisations.Prediction.from_x0",
    "scalar_latent.FreePosterior.generate", "swiss_roll.SwissRoll.expected_noise", "swiss_roll.SwissRoll.log_prob",
    "swiss_roll.SwissRoll.score", "swiss_roll.SwissRoll.spiral", "vae.score_function_surrogate",
}  # fmt: skip
# Of these, nothing but shape, dtype and device matters; or every value has a name of its own.
ANY_VALUE = {
    ("distributions.randn_like", "x"), ("diffusion.Schedule.check_t", "x"), ("scalar_latent.FreePosterior.infer", "z"),
    ("checkpoints.fingerprint", "data"),
} | {(n, p) for n, p in EVERY if p == "like"}  # fmt: skip
# Of these tables, the first entry is not used.
FROM_ONE = {"ddpm.DDPM"} | {name for name in NAMES if name.startswith("parameterisations.") and name in DOUBLE}


@pytest.mark.parametrize(("name", "parameter"), [pair for pair in TENSORS_GIVEN if pair not in ANY_VALUE])
@settings(max_examples=10)
@given(data=st.data())
def test_what_is_not_finite_is_refused_or_shows(name, parameter, data):
    call, arguments = recorded(name)
    value = arguments[parameter].detach().clone()
    entry = data.draw(st.integers(int(name in FROM_ONE), value.numel() - 1))
    value.view(-1)[entry] = data.draw(st.sampled_from((math.nan, math.inf, -math.inf)))
    if name in IN_LOOPS and parameter != "alpha_bar":
        assert "not checked, because this is called" in documentation(name)
        assert not all(x.isfinite().all() for x in parts(call(**{parameter: value})))
    else:
        refuses(call, parameter, value)
