"""Training, as a loop one can iterate over, stop at any moment and take up again.

>>> from diffusion_notes.ddpm import DDPM
>>> from diffusion_notes.schedule import Schedule
>>> from diffusion_notes.networks import NoiseMLP
>>> schedule = Schedule.linear(T=100)
>>> model = DDPM(NoiseMLP(schedule), schedule)
>>> for state in train(model, torch.randn(50, 2), steps=3, progress=False):
...     loss = state.loss
>>> state.step
3
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar, cast

import torch
from torch import Generator, Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from tqdm.auto import tqdm

from diffusion_notes._arguments.tensors import check_generator, check_points, check_tensor
from diffusion_notes._arguments.values import check_integer, check_kind, check_number, check_positive, describe
from diffusion_notes.fitting.checkpoints import Checkpoint, fingerprint

__all__ = ["TrainingState", "default_device", "train"]

Model = TypeVar("Model", bound=nn.Module)


class _Trainable(Protocol):
    """What a model has beside the methods of a module: the expectation of its loss is minimised."""

    def loss(self, x: Tensor, generator: Generator | None, /) -> Tensor: ...


def default_device() -> torch.device:
    """The fastest device there is: cuda, then mps, then cpu.

    >>> default_device().type in ("cuda", "mps", "cpu")
    True
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@dataclass
class TrainingState(Generic[Model]):
    """What :func:`train` yields after every step.

    Attributes:
        step: how many steps have been taken, from 1.
        loss: this step's loss, a scalar on the model's device. Reading its value synchronises with a GPU, so
            keep it and look later.
        average: the model with the exponential moving average of the parameters: the one to use. It
            is the same live object at every step.
    """

    step: int
    loss: Tensor
    average: Model


def train(
    model: Model,
    data: Tensor,
    *,
    steps: int,
    batch_size: int = 512,
    learning_rate: float = 5e-3,
    decay: float = 0.995,
    generator: Generator | None = None,
    checkpoint: str | Path | None = None,
    save_every: int = 500,
    progress: bool = True,
) -> Iterator[TrainingState[Model]]:
    r"""Minimise ``model.loss`` with Adam, and yield a :class:`TrainingState` after every step.

    The learning rate rises linearly over the first twentieth of the steps (warm-up) and then falls to zero along a
    cosine. An exponential moving average (EMA) of the parameters is kept beside them, which after the first step is
    equal to them. No step reads a value from the device, so none synchronises with a GPU. What else helps there is
    the caller's: ``model.network.compile()`` before the training (with ``mode="reduce-overhead"`` it uses CUDA
    graphs), and the loop inside ``torch.autocast(...)``. Points and parameters stay in 32 bits there; in 16 the
    schedule's :math:`\sqrt{\bar\alpha_t}` would be rounded to 1 for small t.

    Arguments:
        model: a module with a method ``loss(x, generator)``, on the device where it is to be trained. What that
            returns is a scalar that depends on parameters which require a gradient.
        data: points of shape ``(n, D)`` on that device; batches are drawn from them with replacement.
        steps: how many steps to take in all, those before a resumption included.
        batch_size: how many points a batch holds.
        learning_rate: its largest value.
        decay: of the moving average, for each step.
        generator: draws everything that is random, on the same device. One seeded by torch's global
            generator if not given.
        checkpoint: a file to save to, and to resume from where it exists. A run that was killed at
            any moment and resumed ends with the same parameters, bit for bit (on a CPU), as one that was
            not; before its first save it starts afresh, so seed the model and the generator. A run that
            was finished yields its last state once more, with a loss of NaN. A model may have a method
            ``settings()`` that returns, as JSON, what must not differ.
        save_every: how many steps lie between two saves. The last step is always saved.
        progress: whether to show a progress bar (never where the environment has TQDM_DISABLE).

    Raises:
        TypeError: ``model`` has no ``loss`` or a parameter that is no floating-point number, ``data`` or what the
            loss returns is no floating-point tensor, or a count is no integer.
        ValueError: a count, rate or shape is out of range, ``data`` lies on another device, no parameter requires a
            gradient, or the loss is no scalar or depends on none that does. For a loss: at the step where it is met.
        RuntimeError: a step is asked for under ``torch.no_grad()`` or ``torch.inference_mode()``.
        FileNotFoundError: ``checkpoint`` is in a directory that does not exist.
        CheckpointError: the file at ``checkpoint`` cannot be resumed from. It is left as it is.
    """
    _check_model(model)
    check_points("data", data, least=1, finite=True)
    _check_same_device(model, data)
    check_integer("steps", steps, least=1)
    check_integer("batch_size", batch_size, least=1)
    check_positive("learning_rate", learning_rate)
    _check_decay(decay)
    check_generator("generator", generator, data.device)
    check_kind("checkpoint", checkpoint, (str, Path, type(None)), "a path or None")
    check_integer("save_every", save_every, least=1)
    check_kind("progress", progress, bool)
    _check_records_gradients()

    if generator is None:
        generator = Generator(data.device).manual_seed(int(torch.randint(2**62, (), device="cpu")))
    average = _copy(model)
    parameters = list(model.parameters())
    averaged = list(average.parameters())
    optimizer = torch.optim.Adam(parameters, lr=learning_rate, betas=(0.9, 0.99), fused=True)
    file = None
    taken = 0
    if checkpoint is not None:
        settings = {"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate, "decay": decay}
        of_model: dict = getattr(model, "settings", dict)()
        file = Checkpoint(checkpoint, settings | of_model | {"data": fingerprint(data)})
        taken = file.load(model, average, optimizer, generator)
    if taken == steps:
        yield TrainingState(steps, torch.full((), math.nan, device=data.device), average)

    hidden = not progress or bool(os.environ.get("TQDM_DISABLE"))  # tqdm's bar for notebooks does not look there
    with tqdm(total=steps, initial=taken, disable=hidden, leave=False, unit="step") as bar:
        for step in range(taken + 1, steps + 1):
            optimizer.param_groups[0]["lr"] = learning_rate * _annealed(step, steps)
            row = torch.randint(len(data), (batch_size,), generator=generator, device=data.device)
            optimizer.zero_grad()
            loss = _differentiated_loss(model, data[row], generator)
            optimizer.step()
            get_ema_multi_avg_fn(decay if step > 1 else 0)(averaged, parameters, None)
            if file is not None and (step % save_every == 0 or step == steps):
                file.save(step, model, average, optimizer, generator)
            bar.update()
            yield TrainingState(step, loss, average)


def _differentiated_loss(model: nn.Module, x: Tensor, generator: Generator) -> Tensor:
    """The loss of one batch, after its gradient has been added to the parameters'; no value is read."""
    _check_records_gradients()  # the caller may have entered torch.no_grad() since the last step
    loss = cast(_Trainable, model).loss(x, generator)
    check_tensor("what model.loss returns", loss)
    if loss.shape != ():
        raise ValueError(f"what model.loss returns must be a scalar, got {describe(loss)}")
    if loss.requires_grad:
        loss.backward()
    if all(parameter.grad is None for parameter in model.parameters()):
        raise ValueError(
            "what model.loss returns must depend on a parameter that requires a gradient, "
            "got a loss that gives none to any"
        )
    return loss.detach()


def _copy(model: Model) -> Model:
    """A model with parameters of its own, that no gradient reaches, and with the buffers of ``model`` itself."""
    shared = {id(buffer): buffer for buffer in model.buffers()}
    return copy.deepcopy(model, shared).requires_grad_(False)


def _annealed(step: int, steps: int) -> float:
    """The share of the largest learning rate at a step: up along a line, down along a cosine."""
    warm = max(1, steps // 20)
    if step <= warm:
        return step / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def _check_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module) or not callable(getattr(model, "loss", None)):
        raise TypeError(f"model must be a module with a method loss(x, generator), got {describe(model)}")
    for name, parameter in model.named_parameters():
        check_tensor(f"model's {name}", parameter)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        count = len(list(model.parameters()))
        raise ValueError(f"model must have a parameter that requires a gradient, got none among its {count}")


def _check_same_device(model: nn.Module, data: Tensor) -> None:
    for parameter in model.parameters():
        if parameter.device != data.device:
            raise ValueError(f"model and data must be on one device, got {parameter.device} and {data.device}")


def _check_decay(decay: float) -> None:
    check_number("decay", decay)
    if not 0 <= decay < 1:
        raise ValueError(f"decay must lie in [0, 1), got {decay}")


def _check_records_gradients() -> None:
    if not torch.is_grad_enabled():
        raise RuntimeError("train must not be iterated over under torch.no_grad() or torch.inference_mode()")
