"""Nothing is lost: whatever happens to a run, it resumes exactly or refuses, and the last good state is there."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_fitting_checkpoints import saved_run
from test_fitting_loop import small_data, small_model
from torch import nn

from diffusion_notes.fitting import Checkpoint, CheckpointError, load_weights, save_weights, train

SCRIPT = Path(__file__).with_name("killed_trainings.py")


def survive(what: str, path: Path, before: tuple[str, ...] = ()) -> dict:
    command = [*before, sys.executable, str(SCRIPT), what, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_killed_fifty_times_it_ends_with_the_same_bits(tmp_path):
    assert survive("kills", tmp_path / "run") == {"killed": 50, "same": True}
    assert sorted(os.listdir(tmp_path)) == ["run", "run.straight"]  # nothing half-written lies about


def test_killed_in_each_stage_of_a_save_it_ends_with_the_same_bits(tmp_path):
    assert survive("stages", tmp_path / "run") == dict.fromkeys(
        ["truncate", "half", "fsync", "replace", "replaced"], True
    )


def test_several_processes_on_one_checkpoint_do_not_damage_it(tmp_path):
    found = survive("twins", tmp_path / "run")
    assert found["same"]
    assert found["ends"] == [0, 0, 0, 0]
    assert found["looks"] > 0
    assert sorted(os.listdir(tmp_path)) == ["run", "run.straight"]


def test_a_file_that_may_not_grow_leaves_the_last_good_state(tmp_path):
    found = survive("full", tmp_path / "run")
    assert found == {"said": "[Errno 27] File too large", "same": True, "left": ["run"]}


def own_disk(size: str, folder: Path) -> tuple[str, ...]:
    """What to put before a command, so that it has a disk of its own there."""
    mount = f'mount -t tmpfs -o size={size} tmpfs "{folder}" && exec "$@"'
    return "unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh"


def may_mount(folder: Path) -> bool:
    return (
        shutil.which("unshare") is not None
        and not subprocess.run([*own_disk("64k", folder), "true"], capture_output=True).returncode
    )


def test_a_full_disk_leaves_the_last_good_state(tmp_path):
    if not may_mount(tmp_path):
        pytest.skip("no disk may be mounted here; a limit on a file's size stands in for it in the test above")
    found = survive("full", tmp_path / "run", own_disk("128k", tmp_path))
    assert found == {"said": "[Errno 28] No space left on device", "same": True, "left": ["run", "run.ballast"]}


def refused_or_unharmed(path: Path, good: dict[str, torch.Tensor]) -> bool:
    """Whether it is refused; if it is not, every value must be that of the good file."""
    model, average, generator = nn.Linear(3, 2), nn.Linear(3, 2), torch.Generator()
    optimizer = torch.optim.Adam(model.parameters())
    before, damaged = [p.clone() for p in (*model.parameters(), *average.parameters())], path.read_bytes()
    try:
        step = Checkpoint(path, {"steps": 9}).load(model, average, optimizer, generator)
    except CheckpointError:
        after = (*model.parameters(), *average.parameters())
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        assert path.read_bytes() == damaged
        return True
    assert step == 4
    assert torch.equal(model.weight, good["model.weight"])
    assert torch.equal(average.weight, good["average.weight"])
    assert torch.equal(optimizer.state[model.weight]["exp_avg_sq"], good["optimizer.0.exp_avg_sq"])
    assert torch.equal(generator.get_state(), good["generator"])
    return False


def test_a_checkpoint_cut_off_anywhere_is_refused(tmp_path):
    path, _, tensors = saved_run(tmp_path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for length in [*range(header + 1), *random.Random(0).sample(range(header, len(whole)), 200)]:
        path.write_bytes(whole[:length])
        assert refused_or_unharmed(path, tensors)


def test_a_flipped_bit_is_refused_wherever_it_means_something(tmp_path):
    path, _, tensors = saved_run(tmp_path)
    whole, refused = path.read_bytes(), 0
    header = 8 + int.from_bytes(whole[:8], "little")
    bits = random.Random(0)
    places = [*range(header), *bits.sample(range(header, len(whole)), 500)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bits.randrange(8)
        path.write_bytes(damaged)
        refused += refused_or_unharmed(path, tensors)
    # what is not refused is harmless: another blank in the padding, say
    assert refused >= len(places) - 16


@pytest.mark.parametrize("deep", [b'{"__metadata__": ' + b"[" * 100_000, b"[" * 100_000])
def test_a_header_without_end_is_refused(tmp_path, deep):
    path = tmp_path / "run"
    path.write_bytes(len(deep).to_bytes(8, "little") + deep)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_weights(nn.Linear(3, 2), path)


def test_a_run_that_went_astray_leaves_its_last_good_state(tmp_path):
    path, model, generator = tmp_path / "run", small_model(), torch.Generator().manual_seed(2)
    settings = {"steps": 10, "batch_size": 16, "save_every": 2, "progress": False}
    states = train(model, small_data(), generator=generator, checkpoint=path, **settings)
    while next(states).step < 5:
        pass
    good = path.read_bytes()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match=r"model\.\S+ must be finite"):
        next(states)
    assert path.read_bytes() == good
    assert os.listdir(tmp_path) == ["run"]
    assert next(train(small_model(), small_data(), generator=generator, checkpoint=path, **settings)).step == 5


def test_weights_that_could_not_be_read_again_are_not_written(tmp_path):
    save_weights(nn.Linear(3, 2), tmp_path / "weights")
    good, module = (tmp_path / "weights").read_bytes(), nn.Linear(3, 2)
    torch.nn.init.constant_(module.bias, float("inf"))
    with pytest.raises(ValueError, match="bias must be finite"):
        save_weights(module, tmp_path / "weights")
    assert (tmp_path / "weights").read_bytes() == good


def test_a_link_where_it_is_written_first_is_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / ".weights.part").symlink_to(precious)
    with pytest.raises(OSError, match=r"\.weights\.part"):
        save_weights(nn.Linear(3, 2), tmp_path / "weights")
    assert precious.read_text() == "precious"


def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk" / "run")
    save_weights(nn.Linear(3, 2), tmp_path / "run")
    assert (tmp_path / "run").is_symlink()
    assert os.listdir(tmp_path / "disk") == ["run"]


def test_a_link_to_nowhere_is_refused_before_the_training(tmp_path):
    (tmp_path / "run").symlink_to(tmp_path / "nowhere" / "run")
    with pytest.raises(FileNotFoundError, match=r"there is no directory .*nowhere to save a checkpoint in"):
        Checkpoint(tmp_path / "run", {})


def test_a_link_to_itself_is_replaced(tmp_path):
    (tmp_path / "weights").symlink_to("weights")
    save_weights(nn.Linear(3, 2), tmp_path / "weights")
    load_weights(nn.Linear(3, 2), tmp_path / "weights")


def test_a_flipped_bit_in_weights_is_refused(tmp_path):
    path = tmp_path / "weights"
    save_weights(nn.Linear(3, 2), path)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match="is damaged: what it holds is not what was written"):
        load_weights(nn.Linear(3, 2), path)


@pytest.mark.parametrize(("mine", "theirs"), [({}, {"steps": 9}), ({"steps": 9, "decay": 0.5}, {"steps": 9})])
def test_settings_that_only_one_of_two_runs_has_are_refused(tmp_path, mine, theirs):
    model = nn.Linear(3, 2)
    run = (model, nn.Linear(3, 2), torch.optim.Adam(model.parameters()), torch.Generator())
    Checkpoint(tmp_path / "run", theirs).save(4, *run)
    with pytest.raises(CheckpointError, match="of another run"):
        Checkpoint(tmp_path / "run", mine).load(*run)


def test_a_checkpoint_of_another_version_is_refused(tmp_path, monkeypatch):
    path, _, _ = saved_run(tmp_path)
    monkeypatch.setattr("diffusion_notes.fitting.checkpoints._FORMAT", "diffusion_notes.training.3")
    model = nn.Linear(3, 2)
    with pytest.raises(CheckpointError, match="not a checkpoint of a training run"):
        Checkpoint(path, {"steps": 9}).load(model, model, torch.optim.Adam(model.parameters()), torch.Generator())


def test_tied_weights_are_saved_and_come_back(tmp_path):
    def tied():
        module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        module[1].weight = module[0].weight
        return module

    first, second = tied(), tied()
    save_weights(first, tmp_path / "tied")
    load_weights(second, tmp_path / "tied")
    assert torch.equal(first[1].weight, second[0].weight)
