from __future__ import annotations

import pytest
import torch
from hypothesis import settings

# derandomised, so that a failure is everybody's failure; no deadline, since machines are noisy
settings.register_profile("book", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("book")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
