"""Files that are whole or refused."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from diffusion_notes.fitting import Checkpoint, CheckpointError, checkpoints, fingerprint, load_weights, save_weights


def fresh():
    """A model, its average, its optimizer and its generator."""
    model = nn.Linear(3, 2)
    return model, nn.Linear(3, 2), torch.optim.Adam(model.parameters()), torch.Generator()


def saved_run(tmp_path):
    """A good checkpoint, its header and its tensors."""
    model, average, optimizer, generator = fresh()
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    Checkpoint(tmp_path / "run", {"steps": 9}).save(4, model, average, optimizer, generator)
    with safe_open(tmp_path / "run", framework="pt") as file:
        header = json.loads(file.metadata()["diffusion_notes"])
        return tmp_path / "run", header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


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
    with pytest.raises(CheckpointError):
        Checkpoint(path, {}).load(*fresh())
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


def test_damaged_anywhere_weights_are_refused_and_left_alone(weights):
    whole = weights.read_bytes()
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    for damaged in [*(whole[:length] for length in range(0, len(whole), 3)), whole[:-1], flipped]:
        weights.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            load_weights(nn.Linear(3, 2), weights)
        assert weights.read_bytes() == damaged


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
    with pytest.raises(CheckpointError, match="not a checkpoint of a training run"):
        Checkpoint(weights, {}).load(*fresh())


def test_a_checkpoint_of_another_version_is_refused(tmp_path, monkeypatch):
    path, _, _ = saved_run(tmp_path)
    monkeypatch.setattr("diffusion_notes.fitting.checkpoints._FORMAT", "diffusion_notes.fitting.3")
    with pytest.raises(CheckpointError, match="not a checkpoint of a training run"):
        Checkpoint(path, {"steps": 9}).load(*fresh())


@pytest.mark.parametrize(("mine", "theirs"), [({}, {"steps": 9}), ({"steps": 9, "decay": 0.5}, {"steps": 9})])
def test_settings_that_only_one_of_two_runs_has_are_refused(tmp_path, mine, theirs):
    run = fresh()
    Checkpoint(tmp_path / "run", theirs).save(4, *run)
    with pytest.raises(CheckpointError, match="of another run"):
        Checkpoint(tmp_path / "run", mine).load(*run)


def other_device(header, tensors):
    tensors["generator"] = tensors["generator"][:16]


def not_finite(header, tensors):
    tensors["model.weight"].fill_(float("nan"))


def half_of_adam(header, tensors):
    del tensors["optimizer.0.exp_avg"]


def other_type(header, tensors):
    tensors["model.bias"] = torch.zeros(2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_device, "of a run on another kind of device"),
        (not_finite, "is damaged: its model.weight is not finite"),
        (half_of_adam, "of another model: optimizer.0.exp_avg is in this one only"),
        (other_type, r"of another model: its model.bias is \(2,\) torch.float64, this one's is \(2,\) torch.float32"),
        (lambda header, tensors: header.update(step=3), "what it holds is not what was written"),
        (lambda header, tensors: header.pop("step"), "what it holds is not what was written"),
        (lambda header, tensors: header.pop("digest"), "what it holds is not what was written"),
        (lambda header, tensors: tensors.pop("generator"), "what it holds is not what was written"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_and_restores_nothing(tmp_path, change, words):
    path, header, tensors = saved_run(tmp_path)
    change(header, tensors)
    if "not what was written" not in words:  # as a run would have written it
        del header["digest"]
        header["digest"] = checkpoints._digest(header, tensors)
    save_file(tensors, path, metadata={"diffusion_notes": json.dumps(header)})
    model, average, optimizer, generator = run = fresh()
    everything = [*model.parameters(), *average.parameters(), generator.get_state()]
    before = [p.clone() for p in everything]
    with pytest.raises(CheckpointError, match=words):
        Checkpoint(path, {"steps": 9}).load(*run)
    everything[-1] = generator.get_state()
    assert all(torch.equal(a, b) for a, b in zip(before, everything, strict=True))
    assert not optimizer.state_dict()["state"]


def test_a_good_checkpoint_is_restored(tmp_path):
    path, _, tensors = saved_run(tmp_path)
    model, average, optimizer, generator = run = fresh()
    generator.manual_seed(1)
    assert Checkpoint(path, {"steps": 9}).load(*run) == 4
    assert torch.equal(model.weight, tensors["model.weight"])
    assert torch.equal(average.bias, tensors["average.bias"])
    assert torch.equal(optimizer.state[model.weight]["exp_avg"], tensors["optimizer.0.exp_avg"])
    assert torch.equal(generator.get_state(), tensors["generator"])


def test_a_checkpoint_is_restored_whatever_the_default_dtype(tmp_path):
    path, _, _ = saved_run(tmp_path)
    run = fresh()
    torch.set_default_dtype(torch.float64)
    try:
        assert Checkpoint(path, {"steps": 9}).load(*run) == 4
    finally:
        torch.set_default_dtype(torch.float32)


def test_tied_weights_are_saved_and_come_back(tmp_path):
    def tied():
        module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        module[1].weight = module[0].weight
        return module

    first, second = tied(), tied()
    save_weights(first, tmp_path / "tied")
    load_weights(second, tmp_path / "tied")
    assert torch.equal(first[1].weight, second[0].weight)


def test_a_directory_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="is not a file"):
        load_weights(nn.Linear(3, 2), tmp_path)


def test_no_file_is_a_fresh_start_or_an_error(tmp_path):
    assert Checkpoint(tmp_path / "none", {}).load(*fresh()) == 0
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_weights(nn.Linear(3, 2), tmp_path / "none")


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
