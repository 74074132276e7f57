"""Chains of latent variables: one protocol and one bound for all of them, and those whose every quantity is known."""

from diffusion_notes.chains.linear_gaussian import Affine, LinearGaussianChain
from diffusion_notes.chains.neural import NeuralChain
from diffusion_notes.chains.protocol import Bound, Chain, TopDownChain, elbo, importance_bound, infer_path, sample
from diffusion_notes.chains.scalar_latent import FreePosterior, ScalarLatent

__all__ = [
    "Affine",
    "Bound",
    "Chain",
    "FreePosterior",
    "LinearGaussianChain",
    "NeuralChain",
    "ScalarLatent",
    "TopDownChain",
    "elbo",
    "importance_bound",
    "infer_path",
    "sample",
]
