"""``make weights``: train the networks that the pages show, and write their weights."""

from __future__ import annotations

import argparse
from collections import deque
from pathlib import Path

from torch import Generator, nn

from diffusion_notes.fitting import save_weights, train
from diffusion_notes.guidance import arms
from diffusion_notes.pretrained import RECIPES, WEIGHTS
from diffusion_notes.pretrained.expected_noise import ExpectedNoise
from diffusion_notes.pretrained.recipes import Recipe

__all__ = ["make_weights", "trained"]


def make_weights(name: str, recipe: Recipe, folder: Path = WEIGHTS) -> None:
    """Train a network by a recipe, and write its weights to the file of that name."""
    about = {"model": name, "recipe": recipe.hyperparameters}
    save_weights(trained(recipe), folder / f"{name}.safetensors", about=about)


def trained(recipe: Recipe, progress: bool = True) -> nn.Module:
    """Train a network by a recipe."""
    generator = Generator().manual_seed(recipe.seed)
    model = recipe.build(generator=generator)
    if recipe.seed_data:
        generator.manual_seed(recipe.seed)
    sample = recipe.data if recipe.labels is None else arms(recipe.labels).sample
    data = sample(recipe.points, generator)
    if recipe.pretrain is not None:
        recipe.pretrain(model, generator)
    if isinstance(model, ExpectedNoise) and recipe.examples is not None:
        data = model.examples(data, recipe.examples, generator)
    states = train(
        model,
        data,
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        decay=recipe.decay,
        generator=generator,
        progress=progress,
    )
    return deque(states, maxlen=1).pop().average


def main() -> None:
    """Make the weights that are named on the command line, or all of them."""
    parser = argparse.ArgumentParser("python -m diffusion_notes.pretrained", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(RECIPES)}; all of them if none is named")
    names = parser.parse_args().names
    if unknown := set(names) - RECIPES.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}; NAME must be one of {', '.join(RECIPES)}")
    for name in names or RECIPES:
        make_weights(name, RECIPES[name])


if __name__ == "__main__":
    main()
