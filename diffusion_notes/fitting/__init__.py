"""Training: a loop that one can iterate over, stop at any moment and take up again, and the files it is saved to."""

from diffusion_notes.fitting.checkpoints import Checkpoint, CheckpointError, fingerprint, load_weights, save_weights
from diffusion_notes.fitting.loop import TrainingState, default_device, train

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "TrainingState",
    "default_device",
    "fingerprint",
    "load_weights",
    "save_weights",
    "train",
]
