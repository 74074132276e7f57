"""Files that are whole or refused."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from diffusion_notes.fitting import Checkpoint, CheckpointError, fingerprint, load_weights, save_weights


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.safetensors"
    torch.manual_seed(0)
    save_weights(nn.Linear(3, 2), path, about={"made": "by a test"})
    return path


def load_everything(path):
    """Load a file in both ways; it must be refused in both."""
    with pytest.raises(CheckpointError) as refusal:
        load_weights(nn.Linear(3, 2), path)
    model = nn.Linear(3, 2)
    with pytest.raises(CheckpointError):
        Checkpoint(path, {}).load(model, model, torch.optim.Adam(model.parameters()), torch.Generator())
    return str(refusal.value)


def test_weights_come_back(weights):
    torch.manual_seed(0)
    saved, loaded = nn.Linear(3, 2), nn.Linear(3, 2)
    assert load_weights(loaded, weights) == {"made": "by a test"}
    assert torch.equal(saved.weight, loaded.weight)
    assert torch.equal(saved.bias, loaded.bias)


def test_the_same_weights_are_the_same_file(weights, tmp_path):
    torch.manual_seed(0)
    save_weights(nn.Linear(3, 2), tmp_path / "again", about={"made": "by a test"})
    assert (tmp_path / "again").read_bytes() == weights.read_bytes()


def test_empty_tensors_come_back(tmp_path):
    """Which safetensors cannot read before the version that is asked for: a network without features has one."""
    saved = nn.Module()
    saved.register_buffer("frequency", torch.zeros(2, 0))
    save_weights(saved, tmp_path / "empty")
    assert load_weights(saved, tmp_path / "empty") == {}


def test_truncated_anywhere_it_is_refused_and_left_alone(weights):
    whole = weights.read_bytes()
    for length in range(len(whole)):
        weights.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="damaged"):
            load_weights(nn.Linear(3, 2), weights)
        assert weights.read_bytes() == whole[:length]


def test_foreign_files_are_refused_and_not_executed(tmp_path):
    path = tmp_path / "file"

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    path.write_bytes(pickle.dumps(Bomb()))
    assert "damaged, or is no file of this package" in load_everything(path)
    assert not (tmp_path / "exploded").exists()

    torch.save(nn.Linear(3, 2).state_dict(), path)
    load_everything(path)
    save_file(nn.Linear(3, 2).state_dict(), path)  # safetensors, but not ours
    load_everything(path)
    path.write_text("a text")
    load_everything(path)
    path.write_bytes(b"")
    load_everything(path)


def test_weights_of_another_shape_change_nothing(weights):
    other = nn.Linear(3, 4)
    before = other.weight.clone()
    with pytest.raises(CheckpointError, match=r"another model: its (weight|bias) is"):
        load_weights(other, weights)
    assert torch.equal(other.weight, before)
    with pytest.raises(CheckpointError, match="in it only"):
        load_weights(nn.Linear(3, 2, bias=False), weights)
    with pytest.raises(CheckpointError, match="float64"):
        load_weights(nn.Linear(3, 2).double(), weights)


def test_weights_are_no_checkpoint_of_a_run(weights):
    model = nn.Linear(3, 2)
    checkpoint = Checkpoint(weights, {})
    with pytest.raises(CheckpointError, match="not a checkpoint of a training run"):
        checkpoint.load(model, model, torch.optim.Adam(model.parameters()), torch.Generator())


def saved_run(tmp_path):
    """A good checkpoint, its header and its tensors."""
    model, path = nn.Linear(3, 2), tmp_path / "run"
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    Checkpoint(path, {"steps": 9}).save(4, model, nn.Linear(3, 2), optimizer, torch.Generator())
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["diffusion_notes"])
        return path, header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize(
    "damage",
    [
        lambda header, tensors: header.pop("step"),
        lambda header, tensors: header.pop("settings"),
        lambda header, tensors: header.update(step="4"),
        lambda header, tensors: header.update(step=10),
        lambda header, tensors: header.update(step=0),
        lambda header, tensors: header.update(settings=[1]),
        lambda header, tensors: tensors.pop("generator"),
        lambda header, tensors: tensors.update(generator=tensors["generator"][:16]),
        lambda header, tensors: tensors["model.weight"].fill_(float("nan")),
        lambda header, tensors: tensors.pop("optimizer.0.exp_avg"),
        lambda header, tensors: tensors.update({"model.bias": torch.zeros(2, dtype=torch.float64)}),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_restores_nothing(tmp_path, damage):
    path, header, tensors = saved_run(tmp_path)
    damage(header, tensors)
    save_file(tensors, path, metadata={"diffusion_notes": json.dumps(header)})
    model, average, generator = nn.Linear(3, 2), nn.Linear(3, 2), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters())
    everything = [*model.parameters(), *average.parameters()]
    before, random_state = [p.clone() for p in everything], generator.get_state()
    with pytest.raises(CheckpointError):
        Checkpoint(path, {"steps": 9}).load(model, average, optimizer, generator)
    assert all(torch.equal(a, b) for a, b in zip(before, everything, strict=True))
    assert torch.equal(generator.get_state(), random_state)
    assert not optimizer.state


def test_a_good_checkpoint_is_restored(tmp_path):
    path, _, tensors = saved_run(tmp_path)
    model, average = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    assert Checkpoint(path, {"steps": 9}).load(model, average, optimizer, torch.Generator()) == 4
    assert torch.equal(model.weight, tensors["model.weight"])
    assert torch.equal(average.bias, tensors["average.bias"])
    assert torch.equal(optimizer.state[model.weight]["exp_avg"], tensors["optimizer.0.exp_avg"])


def test_a_directory_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="is not a file"):
        load_weights(nn.Linear(3, 2), tmp_path)


def test_no_file_is_a_fresh_start_or_an_error(tmp_path):
    model = nn.Linear(3, 2)
    nothing = Checkpoint(tmp_path / "none", {})
    assert nothing.load(model, model, torch.optim.Adam(model.parameters()), torch.Generator()) == 0
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_weights(model, tmp_path / "none")


def test_the_file_can_be_read_by_those_the_umask_allows(weights, tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    assert weights.stat().st_mode == plain.stat().st_mode


def test_fingerprints_tell_values_shapes_and_types_apart():
    a = torch.arange(6.0)
    prints = {fingerprint(x) for x in (a, a.reshape(2, 3), a.double(), a + 1)}
    assert len(prints) == 4
    assert fingerprint(a) == fingerprint(a.clone())


@pytest.mark.parametrize(
    "call",
    [
        lambda: Checkpoint(3, {}),
        lambda: fingerprint("data"),
        lambda: save_weights("model", "file"),
        lambda: load_weights(3, "file"),
    ],
)
def test_bad_input_is_a_type_error(call):
    with pytest.raises(TypeError):
        call()
