"""What the explorables compute in the page is what the package computes."""

from __future__ import annotations

import pytest
import torch
from javascript import run
from torch.distributions import Normal, kl_divergence

from diffusion_notes.linear_gaussian import Affine, LinearGaussianChain

exactly = {"dtype": torch.float64}


@pytest.mark.parametrize(("x", "m", "r"), [(1.2, 0.0, 1.0), (-0.7, 0.4, 0.3), (3.0, -2.0, 0.1)])
def test_the_gap_of_the_linear_decoder_is_the_closed_form(x, m, r):
    found = run("return numbers('line', x, m, r)", "maths", "drawing", "gap", x=x, m=m, r=r)
    point, chain = (
        torch.tensor([[x]], **exactly),
        LinearGaussianChain([Affine.scalar(1.0, 0.5)], [Affine.scalar(0.0, r, bias=m)]),
    )
    assert found["evidence"] == pytest.approx(chain.log_prob(point).item(), abs=1e-9)
    assert found["bound"] == pytest.approx(chain.exact_elbo(point).total.item(), abs=1e-6)
    posterior = chain.posterior(point)
    truth = Normal(posterior.mean.squeeze(), posterior.stddev.squeeze())
    assert found["kl"] == pytest.approx(kl_divergence(Normal(m, r), truth).item(), abs=1e-6)
