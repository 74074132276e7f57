"""Training: it learns, it resumes exactly, it refuses what it cannot resume from."""

from __future__ import annotations

import math
import os
from collections import deque

import pytest
import torch
from synchronisations import Synchronisations
from torch import nn
from tqdm import tqdm

from diffusion_notes.ddpm import DDPM
from diffusion_notes.fitting import CheckpointError, default_device, train
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll


def small_model(seed: int = 0) -> DDPM:
    schedule = Schedule.linear(T=20, beta_T=0.3)
    network = NoiseMLP(schedule, width=8, depth=2, features=4, generator=torch.Generator().manual_seed(seed))
    return DDPM(network, schedule)


def small_data() -> torch.Tensor:
    return SwissRoll().sample(64, torch.Generator().manual_seed(1))


def run(model, *, seed=2, stop_after=None, **kwargs):
    """Train, perhaps stopping early, and return every parameter there is."""
    settings = {"steps": 20, "batch_size": 16, "progress": False} | kwargs
    for state in train(model, small_data(), generator=torch.Generator().manual_seed(seed), **settings):
        if state.step == stop_after:
            break
    return torch.cat([p.detach().flatten() for m in (model, state.average) for p in m.parameters()])


def test_it_learns_the_roll():
    """Not perfectly in so short a time, but nine tenths of the way from the linear answer to the best one."""
    roll, schedule = SwissRoll(), Schedule.linear(T=20, beta_T=0.3)
    generator = torch.Generator().manual_seed(0)
    model = DDPM(NoiseMLP(schedule, generator=generator), schedule)

    def excess(network):
        levels = schedule.alpha_bar[1:].tolist()
        with torch.no_grad():
            return sum(
                roll.diffuse(level).expect(
                    lambda x, level=level, t=t: (roll.expected_noise(x, level) - network(x.float(), t)).square().sum(-1)
                )
                for t, level in enumerate(levels, 1)
            ) / len(levels)

    before = excess(model.network)
    state = deque(train(model, roll.sample(10_000, generator), steps=1500, generator=generator, progress=False)).pop()
    assert excess(state.average.network) < 0.1 * before


def test_the_same_seed_gives_the_same_bits():
    assert torch.equal(run(small_model()), run(small_model()))
    assert not torch.equal(run(small_model()), run(small_model(), seed=3))


def test_without_a_generator_the_global_seed_decides():
    torch.manual_seed(5)
    states = [state.loss.item() for state in train(small_model(), small_data(), steps=3, progress=False)]
    torch.manual_seed(5)
    again = [state.loss.item() for state in train(small_model(), small_data(), steps=3, progress=False)]
    assert states == again


@pytest.mark.parametrize("stop_after", [1, 5, 7, 10, 19])
def test_stopped_and_resumed_it_ends_with_the_same_bits(tmp_path, stop_after):
    straight = run(small_model())
    path = tmp_path / "run.safetensors"
    run(small_model(), checkpoint=path, save_every=5, stop_after=stop_after)
    # another initialisation and another seed: all of it must come from the file
    resumed = run(small_model(9) if path.exists() else small_model(), checkpoint=path, save_every=5,
                  seed=9 if path.exists() else 2)  # fmt: skip
    assert torch.equal(straight, resumed)


def test_saving_changes_nothing(tmp_path):
    assert torch.equal(run(small_model()), run(small_model(), checkpoint=tmp_path / "run", save_every=3))


def test_a_finished_run_is_not_run_again(tmp_path):
    path = tmp_path / "run"
    run(small_model(), checkpoint=path)
    before = path.read_bytes()
    states = list(train(small_model(), small_data(), steps=20, batch_size=16, checkpoint=path, progress=False))
    assert [state.step for state in states] == [20]  # the last state, and no step taken
    assert states[0].loss.isnan()
    assert path.read_bytes() == before


def test_the_last_good_state_is_never_written_over(tmp_path):
    """A new file takes the old one's place in one step: who has the old one open still reads all of it."""
    path = tmp_path / "run"
    run(small_model(), checkpoint=path, save_every=5, stop_after=5)
    before = path.read_bytes()
    with open(path, "rb") as old:
        run(small_model(), checkpoint=path, save_every=5)
        assert old.read() == before
    assert path.read_bytes() != before


def test_a_parameter_that_is_not_used_does_not_hinder_resuming(tmp_path):
    def with_spare():
        model = small_model()
        model.spare = nn.Parameter(torch.zeros(3))
        return model

    straight = run(with_spare())
    run(with_spare(), checkpoint=tmp_path / "run", save_every=5, stop_after=7)
    assert torch.equal(straight, run(with_spare(), checkpoint=tmp_path / "run", save_every=5))


def test_a_few_steps_are_those_of_adam_written_out():
    """Batches with replacement from all rows, the loss, Adam's own update, the annealed rate."""
    model, data = small_model(), small_data()
    theta = [p.detach().clone() for p in model.parameters()]
    first, second = ([torch.zeros_like(p) for p in theta] for _ in range(2))
    reference, generator = small_model(), torch.Generator().manual_seed(2)
    for step in range(1, 6):
        row = torch.randint(64, (16,), generator=generator)
        for p, value in zip(reference.parameters(), theta, strict=True):
            p.data.copy_(value)
        gradients = torch.autograd.grad(reference.loss(data[row], generator), list(reference.parameters()))
        rate = 0.005 * (step if step <= 1 else 0.5 * (1 + math.cos(math.pi * (step - 1) / 19)))
        for p, g, m, v in zip(theta, gradients, first, second, strict=True):
            m.mul_(0.9).add_(0.1 * g)
            v.mul_(0.99).add_(0.01 * g.square())
            p.sub_(rate * (m / (1 - 0.9**step)) / ((v / (1 - 0.99**step)).sqrt() + 1e-8))
    run(model, stop_after=5)
    for ours, value in zip(model.parameters(), theta, strict=True):
        torch.testing.assert_close(ours.detach(), value, rtol=1e-4, atol=1e-6)


def test_a_full_disk_leaves_the_last_good_state(tmp_path, monkeypatch):
    path = tmp_path / "run"
    run(small_model(), checkpoint=path, save_every=5, stop_after=5)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run(small_model(), checkpoint=path, save_every=5)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run"]  # nothing half-written lies about


@pytest.mark.parametrize(
    "change",
    [{"steps": 21}, {"batch_size": 17}, {"learning_rate": 0.1}, {"decay": 0.5}],
    ids=lambda change: next(iter(change)),
)
def test_another_run_is_refused(tmp_path, change):
    path = tmp_path / "run"
    run(small_model(), checkpoint=path, save_every=5, stop_after=5)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=f"another run: its {next(iter(change))}"):
        run(small_model(), checkpoint=path, **change)
    assert path.read_bytes() == before


def test_other_data_are_refused(tmp_path):
    path = tmp_path / "run"
    run(small_model(), checkpoint=path, save_every=5, stop_after=5)
    with pytest.raises(CheckpointError, match="its data is"):
        next(train(small_model(), small_data() + 1, steps=20, batch_size=16, checkpoint=path, progress=False))


def test_the_same_parameters_under_another_schedule_are_refused(tmp_path):
    path = tmp_path / "run"
    run(small_model(), checkpoint=path, save_every=5, stop_after=5)
    schedule = Schedule.cosine(T=20)
    other = DDPM(NoiseMLP(schedule, width=8, depth=2, features=4), schedule)
    with pytest.raises(CheckpointError, match="another run: its schedule is"):
        run(other, checkpoint=path)
    schedule = small_model().schedule
    other = DDPM(NoiseMLP(schedule, width=8, depth=2, features=4, data_std=2.0), schedule)
    with pytest.raises(CheckpointError, match="another run: its network is"):
        run(other, checkpoint=path)


def test_another_model_is_refused_and_nothing_is_restored(tmp_path, monkeypatch):
    path = tmp_path / "run"
    monkeypatch.setattr(DDPM, "settings", lambda self: {})
    run(small_model(), checkpoint=path, save_every=5, stop_after=5)
    other = DDPM(NoiseMLP(Schedule.linear(T=20), width=9, depth=2, features=4), Schedule.linear(T=20))
    before = [p.clone() for p in other.parameters()]
    with pytest.raises(CheckpointError, match="another model"):
        run(other, checkpoint=path)
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))


def test_the_learning_rate_rises_and_falls(monkeypatch):
    rates = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam, "step", lambda self: (rates.append(self.param_groups[0]["lr"]), step(self))[1]
    )
    run(small_model(), steps=100, learning_rate=0.01)
    assert rates[0] == pytest.approx(0.002)
    assert max(rates) == rates[4] == pytest.approx(0.01)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_the_average_is_exponential():
    class Quadratic(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor([1.0]))

        def loss(self, x, generator):
            return (self.w * x).square().mean()

    model, expected = Quadratic(), None
    for state in train(model, torch.ones(4, 1), steps=10, decay=0.9, batch_size=2, progress=False):
        w = model.w.item()
        expected = w if expected is None else 0.9 * expected + 0.1 * w
        assert state.average.w.item() == pytest.approx(expected, rel=1e-5)
        assert state.loss.shape == ()
        assert not state.loss.requires_grad


def test_the_progress_bar_counts_to_the_end(tmp_path, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    bars = []

    class Spy(tqdm):
        def __init__(self, **options):
            self.options = options
            bars.append(self)
            super().__init__(**options)

    monkeypatch.setattr("diffusion_notes.fitting.loop.tqdm", Spy)
    run(small_model(), progress=True, checkpoint=tmp_path / "run", save_every=5, stop_after=5)
    run(small_model(), progress=True, checkpoint=tmp_path / "run", save_every=5)
    run(small_model(), progress=False)
    assert [(bar.initial, bar.total, bar.options["disable"]) for bar in bars[:2]] == [(0, 20, False), (5, 20, False)]
    assert bars[1].n == 20
    assert bars[2].options["disable"]


def test_default_device_exists():
    assert torch.empty(1, device=default_device()).device.type == default_device().type


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model": nn.Linear(2, 2)}, TypeError, "model must be a module with a method loss"),
        ({"data": [[0.0, 0.0]]}, TypeError, "data must be"),
        ({"data": torch.zeros(0, 2)}, ValueError, "at least 1 points"),
        ({"data": torch.zeros(2)}, ValueError, r"shape \(n, D\)"),
        ({"data": torch.zeros(2, 2, device="meta")}, ValueError, "on one device, got cpu and meta"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"steps": 1.5}, TypeError, "steps must be an integer"),
        ({"batch_size": -1}, ValueError, "batch_size must be at least 1"),
        ({"save_every": 0}, ValueError, "save_every must be at least 1"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be positive"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be a number"),
        ({"decay": 1.0}, ValueError, r"decay must lie in \[0, 1\)"),
        ({"decay": False}, TypeError, "decay must be a number"),
        ({"checkpoint": "no/such/directory/run"}, FileNotFoundError, "there is no directory"),
    ],
)
def test_bad_input_is_named(change, error, words):
    arguments = {"model": small_model(), "data": small_data(), "steps": 1, "progress": False} | change
    with pytest.raises(error, match=words):
        next(train(arguments.pop("model"), arguments.pop("data"), **arguments))


class Fitted(nn.Module):
    """A scale w of one dimension, with any loss, and any parameter beside it that is not trained."""

    def __init__(self, loss=lambda w, x: (w * x).square().mean(), dtype=torch.float32, beside=None):
        super().__init__()
        self.w = nn.Parameter(torch.ones(2, dtype=dtype))
        self.of = loss
        if beside is not None:
            self.beside = nn.Parameter(beside, requires_grad=False)

    def loss(self, x, generator):
        return self.of(self.w, x)


class Nothing(nn.Module):
    def loss(self, x, generator):
        return x.sum()


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (Fitted().requires_grad_(False), ValueError, "model must have a parameter that requires a gradient, got none"),
        (Nothing(), ValueError, "model must have a parameter that requires a gradient, got none"),
        (
            Fitted(beside=torch.ones(2, dtype=torch.long)),
            TypeError,
            "beside must be a floating-point tensor, got .*int64",
        ),
        (
            Fitted(beside=torch.ones(2, dtype=torch.bool)),
            TypeError,
            "beside must be a floating-point tensor, got .*bool",
        ),
        (Fitted(dtype=torch.complex64), TypeError, "model's w must be a floating-point tensor, got .*complex64"),
        (Fitted(lambda w, x: (w * x).square()), ValueError, r"loss returns must be a scalar, got .* shape \(16, 2\)"),
        (
            Fitted(lambda w, x: (w * x * 1j).sum()),
            TypeError,
            "loss returns must be a floating-point tensor, got .*complex",
        ),
        (
            Fitted(lambda w, x: (w * x).sum().long()),
            TypeError,
            "loss returns must be a floating-point tensor, got .*int64",
        ),
        (Fitted(lambda w, x: 3.0), TypeError, r"loss returns must be a floating-point tensor, got float 3\.0"),
        (Fitted(lambda w, x: (w.sum(), x)), TypeError, "loss returns must be a floating-point tensor, got tuple"),
        (Fitted(lambda w, x: x.sum()), ValueError, "loss returns must depend on a parameter that requires a gradient"),
        (
            Fitted(lambda w, x: (w * x).detach().sum()),
            ValueError,
            "must depend on a parameter that requires a gradient",
        ),
        (
            Fitted(lambda w, x: (x.clone().requires_grad_() * w.detach()).sum()),
            ValueError,
            "must depend on a parameter that requires a gradient, got a loss that gives none to any",
        ),
    ],
)
def test_a_model_that_cannot_be_trained_is_named(model, error, words):
    with pytest.raises(error, match=words):
        next(train(model, small_data(), steps=2, batch_size=16, progress=False))


@pytest.mark.parametrize("without_gradients", [torch.no_grad, torch.inference_mode])
def test_where_no_gradients_are_recorded_it_refuses_to_begin_and_to_go_on(tmp_path, without_gradients):
    settings = {"steps": 20, "batch_size": 16, "save_every": 1, "progress": False, "checkpoint": tmp_path / "run"}
    refusal = r"train must not be iterated over under torch\.no_grad\(\) or torch\.inference_mode\(\)"
    states = train(small_model(), small_data(), **settings)
    next(states)
    with without_gradients(), pytest.raises(RuntimeError, match=refusal):
        next(states)
    model = small_model(9)
    with without_gradients(), pytest.raises(RuntimeError, match=refusal):
        next(train(model, small_data(), **settings))
    untouched = zip(model.parameters(), small_model(9).parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in untouched)  # nothing was restored before it was refused


def test_frozen_parameters_stay_and_are_averaged_with_the_others():
    model = small_model()
    frozen = next(model.parameters()).requires_grad_(False)
    before = frozen.clone()
    for state in train(model, small_data(), steps=3, batch_size=16, progress=False):
        average = next(state.average.parameters())
    assert torch.equal(frozen, before)
    assert torch.equal(average, before)


@pytest.mark.parametrize("how", [("beta_tilde",), ("beta", "variational"), ("beta", "variational", "weight")])
def test_no_step_of_the_training_or_the_sampler_synchronises_with_a_gpu(how):
    schedule, data = Schedule.linear(T=20), small_data()
    model = DDPM(NoiseMLP(schedule, width=8, depth=2, features=4), schedule, *how)
    states = train(model, data, steps=10, batch_size=16, progress=False)
    next(states)  # what is checked and made once is done
    with Synchronisations() as found:
        state = deque(states, maxlen=1).pop()
    assert found.seen == []
    walk = state.average.walk(data)
    next(walk)
    with Synchronisations() as found:
        deque(walk)
    assert found.seen == []


def test_a_look_would_be_seen():
    with Synchronisations() as found:
        bool(torch.ones(1) > 0)
        torch.ones(1).item()
        torch.ones(3).tolist()
        torch.ones(3).numpy()
    assert len(found.seen) == 4


def losses(model) -> torch.Tensor:
    states = train(
        model, small_data(), steps=20, batch_size=64, generator=torch.Generator().manual_seed(2), progress=False
    )
    return torch.stack([state.loss for state in states])


def test_compiled_it_learns_the_same():
    model = small_model()
    model.network.compile(backend="aot_eager")  # the graph, without the C++ compiler that a machine may lack
    torch.testing.assert_close(losses(model), losses(small_model()), rtol=1e-4, atol=0)


def test_in_half_precision_it_learns_nearly_the_same_with_whole_parameters():
    model, whole = small_model(), losses(small_model())
    with torch.autocast("cpu", torch.bfloat16):
        half = losses(model)
    assert not torch.equal(half, whole)
    torch.testing.assert_close(half, whole, rtol=0.05, atol=0)
    assert all(p.dtype == torch.float32 for p in model.parameters())
