"""Checkpoints that are whole or not there at all, and that are read without executing them.

A checkpoint is one safetensors file: tensors, and a header of JSON. It is written beside its place
and then moved there in one step, so that whenever a run is killed, the last good one survives.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Generator, Tensor, nn

from diffusion_notes.checks import check_tensor, describe

__all__ = ["Checkpoint", "CheckpointError", "fingerprint", "load_weights", "save_weights"]

_FORMAT = "diffusion_notes.training.1"


class CheckpointError(ValueError):
    """A file that cannot be used, and why. The file has not been touched."""


class Checkpoint:
    """The file a training run is saved to and resumed from.

    Arguments:
        path: where it is.
        settings: what must be the same for the run to be the same run: JSON values by name.

    Raises:
        TypeError: ``path`` is not a path.
    """

    def __init__(self, path: str | Path, settings: dict) -> None:
        self.path, self.settings = Path(path), settings

    def save(
        self, step: int, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, generator: Generator
    ) -> None:
        """Write everything the next step depends on. Raises OSError if the disk will not have it."""
        header = {"format": _FORMAT, "step": step, "settings": self.settings}
        tensors = _state(model, average, optimizer) | {"generator": generator.get_state()}
        _write(self.path, tensors, header)

    def load(self, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, generator: Generator) -> int:
        """Restore a run, and return how many steps it has taken: 0 if there is no file.

        Nothing is restored unless all of the file fits.

        Raises:
            CheckpointError: the file is damaged, is no checkpoint, or is one of another run.
        """
        if not self.path.exists():
            return 0
        header, tensors = _read(self.path)
        if header.get("format") != _FORMAT:
            raise CheckpointError(f"{self.path} is not a checkpoint of a training run")
        for name, mine in self.settings.items():
            theirs = header["settings"].get(name)
            if theirs != mine:
                raise CheckpointError(
                    f"{self.path} is of another run: its {name} is {theirs!r}, this one's is {mine!r}"
                )
        for parameter in model.parameters():  # gives Adam's state the shape it has after a step
            optimizer.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        mine = _state(model, average, optimizer)
        theirs = {name: tensor for name, tensor in tensors.items() if name != "generator"}
        try:
            _check_fits(self.path, mine, theirs)
        except CheckpointError:
            optimizer.state.clear()
            raise
        with torch.no_grad():
            for name, tensor in theirs.items():
                mine[name].copy_(tensor)
        generator.set_state(tensors["generator"])
        return header["step"]


def save_weights(module: nn.Module, path: str | Path, about: dict | None = None) -> None:
    """Write a module's parameters and buffers to a safetensors file, with ``about`` (JSON) in its header.

    Raises:
        TypeError: ``module`` is not a module.
        OSError: the file cannot be written.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch module, got {describe(module)}")
    _write(Path(path), dict(module.state_dict()), {"format": "weights", "about": about or {}})


def load_weights(module: nn.Module, path: str | Path) -> dict:
    """Read what :func:`save_weights` wrote into ``module``, and return what is said ``about`` it.

    Raises:
        TypeError: ``module`` is not a module.
        FileNotFoundError: there is no such file.
        CheckpointError: the file is damaged, or is of a module of another shape. ``module`` is
            unchanged.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch module, got {describe(module)}")
    header, tensors = _read(Path(path))
    state = module.state_dict()
    _check_fits(Path(path), state, tensors)
    with torch.no_grad():
        for name, tensor in tensors.items():
            state[name].copy_(tensor)
    return header.get("about", {})


def fingerprint(data: Tensor) -> str:
    """The first half of the SHA-256 of a tensor's values: the same values, the same name.

    >>> fingerprint(torch.zeros(3)) == fingerprint(torch.zeros(4))
    False
    """
    check_tensor("data", data)
    return hashlib.sha256(to_bytes({"data": data.detach().cpu().contiguous()})).hexdigest()[:32]


def _state(model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    state |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for i, parameter in enumerate(model.parameters()):
        state |= {f"optimizer.{i}.{name}": tensor for name, tensor in optimizer.state[parameter].items()}
    return state


def _check_fits(path: Path, mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    if mine.keys() != theirs.keys():
        name = min(mine.keys() ^ theirs.keys())
        raise CheckpointError(f"{path} is of another model: {name} is in {'it' if name in theirs else 'this one'} only")
    for name, tensor in theirs.items():
        if tensor.shape != mine[name].shape or tensor.dtype != mine[name].dtype:
            raise CheckpointError(
                f"{path} is of another model: its {name} is {tuple(tensor.shape)} {tensor.dtype}, "
                f"this one's is {tuple(mine[name].shape)} {mine[name].dtype}"
            )


def _read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = json.loads((file.metadata() or {})["diffusion_notes"])
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged, or is no file of this package: {error}") from error


def _write(path: Path, tensors: dict[str, Tensor], header: dict) -> None:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = to_bytes(tensors, metadata={"diffusion_notes": json.dumps(header, sort_keys=True)})
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o666 & ~_umask())
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
