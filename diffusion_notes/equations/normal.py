"""Gaussians by themselves: a root, a density, and nodes at which expectations are taken."""

from __future__ import annotations

from functools import cache

import numpy as np

from diffusion_notes.equations.worlds import Unsuited

__all__ = ["gauss_nodes", "log_normal"]


def _root(matrix: np.ndarray) -> np.ndarray:
    """A lower triangular root of a symmetric matrix, `(…, n, n)`; analytic, as numpy's is not for complex entries."""
    n = matrix.shape[-1]
    root = np.zeros(matrix.shape, dtype=np.result_type(matrix, float))
    for i in range(n):
        for j in range(i + 1):
            rest = matrix[..., i, j] - (root[..., i, :j] * root[..., j, :j]).sum(-1)
            root[..., i, j] = np.sqrt(rest) if i == j else rest / root[..., j, j]
    return root


def log_normal(x: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """The logarithm of a Gaussian density: vectors `(S, n)`, covariance `(S or 1, n, n)`, result `(S,)`."""
    off = x - mean
    n = off.shape[-1]
    if len(cov) == 1:  # one matrix for all points
        solved = np.linalg.solve(cov[0], off.T).T
    else:
        solved = np.linalg.solve(np.broadcast_to(cov, (len(off), n, n)), off[..., None])[..., 0]
    return -0.5 * ((off * solved).sum(-1) + np.log(np.linalg.det(cov)) + n * np.log(2 * np.pi))


@cache
def _hermite(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.hermite_e.hermegauss(count)


@cache
def _star(n: int, centre: float) -> tuple[np.ndarray, np.ndarray]:
    """A centre and two points on each axis, turned at random: exact for cubic polynomials, for many variables."""
    axes, _ = np.linalg.qr(np.random.default_rng(n).normal(size=(n, n)))
    reach = n + centre
    grid = np.concatenate([np.zeros((1, n)), axes * np.sqrt(reach), -axes * np.sqrt(reach)])
    return grid, np.array([centre / reach, *[0.5 / reach] * (2 * n)])


def gauss_nodes(mean: np.ndarray, cov: np.ndarray, rule: str | int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes `(S, N, n)` and weights `(1, N)` for expectations: exact for polynomials, or a fine grid, or a star."""
    n = mean.shape[-1]
    if str(rule).startswith("star"):
        grid, weights = _star(n, float(rule.split()[1]))
        return mean[:, None, :] + np.einsum("...ij,nj->...ni", _root(cov), grid), weights[None]
    if isinstance(rule, int):
        line, weight = _hermite(rule)
    else:
        if n > 1:
            raise Unsuited("an integral of several variables that is not a polynomial's")
        wide, count = (float(part) for part in rule.split()[1:])
        line = np.linspace(-wide, wide, int(count))
        weight = np.exp(-(line**2) / 2)
    if len(line) ** n > 5e3:
        raise Unsuited("too many nodes")
    grid = np.stack(np.meshgrid(*(line,) * n, indexing="ij")).reshape(n, -1).T
    weights = np.prod(np.stack(np.meshgrid(*(weight / weight.sum(),) * n, indexing="ij")).reshape(n, -1), axis=0)
    return mean[:, None, :] + np.einsum("...ij,nj->...ni", _root(cov), grid), weights[None]
