"""Nothing is lost: whatever happens to a run, it resumes exactly or refuses, and the last good state is there."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from killed_trainings import KILLS, STAGES
from test_fitting_checkpoints import fresh, saved_run
from test_fitting_loop import small_data, small_model
from torch import nn

from diffusion_notes.fitting import Checkpoint, CheckpointError, checkpoints, load_weights, save_weights, train

SCRIPT = Path(__file__).with_name("killed_trainings.py")


def own_disk(folder: Path, size: str) -> list[str]:
    """What to put before a command, so that this folder is a disk of its own for it; nothing if that is not allowed."""
    mount = f'mount -t tmpfs -o size={size} tmpfs "{folder}" && exec "$@"'
    before = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh"]
    allowed = shutil.which("unshare") and not subprocess.run([*before, "true"], capture_output=True).returncode
    return before if allowed else []


@pytest.fixture(scope="module")
def survived(tmp_path_factory) -> dict:
    """What came of the runs that were killed, starved of disk or in each other's way."""
    folder = tmp_path_factory.mktemp("killed_trainings")
    disk = tmp_path_factory.mktemp("disk")
    before = own_disk(disk, "128k")
    command = [*before, sys.executable, SCRIPT, folder, *([disk] if before else [])]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_killed_again_and_again_it_ends_with_the_same_bits(survived):
    assert survived["killed_at_random"] == {"killed": KILLS, "on its way": True, "same": True, "left": ["run"]}


def test_killed_in_each_stage_of_a_save_it_ends_with_the_same_bits(survived):
    assert survived["killed_while_saving"] == {"same": dict.fromkeys(STAGES, True), "left": sorted(STAGES)}


def test_several_processes_on_one_checkpoint_do_not_damage_it(survived):
    assert survived["together"] == {"ends": [0, 0, 0, 0], "looks": True, "same": True, "left": ["run"]}


def test_a_file_that_may_not_grow_leaves_the_last_good_state(survived):
    assert survived["limited_size"] == {"said": "File too large", "same": True, "left": ["run"]}


def test_a_full_disk_leaves_the_last_good_state(survived):
    if "full_disk" not in survived:
        pytest.skip("no disk may be mounted here; a limit on a file's size stands in for it in the test above")
    left = ["run", "run.ballast"]
    assert survived["full_disk"] == {"said": "No space left on device", "same": True, "left": left}


def refused_or_unharmed(path: Path, good: dict[str, torch.Tensor]) -> bool:
    """Whether it is refused; if it is not, every value must be that of the good file."""
    model, average, optimizer, generator = run = fresh()
    before = [p.clone() for p in (*model.parameters(), *average.parameters())]
    damaged = path.read_bytes()
    try:
        step = Checkpoint(path, {"steps": 9}).load(*run)
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


def header_and_sample(whole: bytes, size: int) -> Iterator[int]:
    """Every place in the length and around the ends of header and tensors, and a sample of the others."""
    header = 8 + int.from_bytes(whole[:8], "little")
    places = random.Random(0)
    yield from range(10)
    yield from places.sample(range(10, header - 2), size)
    yield from range(header - 2, header + 2)
    for tensor in json.loads(whole[8:header]).values():
        for end in tensor.get("data_offsets", ()):
            yield from range(max(header, header + end - 1), min(len(whole), header + end + 1))
    yield from places.sample(range(header, len(whole)), size)


def test_a_checkpoint_cut_off_anywhere_is_refused(tmp_path):
    path, _, tensors = saved_run(tmp_path)
    whole = path.read_bytes()
    for length in header_and_sample(whole, 40):
        path.write_bytes(whole[:length])
        assert refused_or_unharmed(path, tensors)


def test_a_flipped_bit_is_refused_wherever_it_means_something(tmp_path):
    path, _, tensors = saved_run(tmp_path)
    whole = path.read_bytes()
    bits = random.Random(0)
    refused = []
    for place in header_and_sample(whole, 150):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bits.randrange(8)
        path.write_bytes(damaged)
        refused.append(refused_or_unharmed(path, tensors))
    # what is not refused is harmless: another blank in the padding, say
    assert refused.count(False) <= len(refused) // 100


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


def test_what_a_killed_save_left_is_removed_and_nothing_else(tmp_path):
    others = [".weights.part", ".weights.of.mine.part", f".other.{'0' * 16}.part"]
    for name in (f".weights.{'0' * 16}.part", *others):
        (tmp_path / name).write_bytes(b"half of a file")
    save_weights(nn.Linear(3, 2), tmp_path / "weights")
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "weights"])


def test_a_file_that_another_run_took_for_a_leftover_is_written_again(tmp_path, monkeypatch):
    fsync = os.fsync
    began = []

    def another_begins(descriptor):
        fsync(descriptor)
        if len(began) < 3:
            began.append(Checkpoint(tmp_path / "run", {"steps": 9}).load(*fresh()))

    monkeypatch.setattr(os, "fsync", another_begins)
    Checkpoint(tmp_path / "run", {"steps": 9}).save(4, *fresh())
    assert began == [0, 0, 0]
    assert os.listdir(tmp_path) == ["run"]
    assert Checkpoint(tmp_path / "run", {"steps": 9}).load(*fresh()) == 4


def test_where_there_is_no_folder_nothing_is_written(tmp_path):
    with pytest.raises(FileNotFoundError):
        save_weights(nn.Linear(3, 2), tmp_path / "nowhere" / "weights")


def test_a_link_where_it_is_written_first_is_not_followed(tmp_path, monkeypatch):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    monkeypatch.setattr(checkpoints.secrets, "token_hex", lambda size: "guessed")
    (tmp_path / ".weights.guessed.part").symlink_to(precious)
    with pytest.raises(FileExistsError, match=r"\.weights\.guessed\.part"):
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
