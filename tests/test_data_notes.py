"""The two notes: the basis against NumPy's Fourier transform, and the law against its draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffusion_notes.data import TwoNotes

float64 = {"dtype": torch.float64}
NOTES = TwoNotes()
BANDS = [0] * 9 + [1] * 8 + [2] * 8 + [3] * 7


def test_the_axes_are_turned_and_nothing_else():
    x = torch.randn(7, 32, generator=torch.Generator().manual_seed(0), **float64)
    torch.testing.assert_close(NOTES.to_time(x).norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(NOTES.from_time(NOTES.to_time(x)), x)
    assert torch.linalg.det(NOTES.to_time(torch.eye(32, **float64))).abs().item() == pytest.approx(1)


@pytest.mark.parametrize("j", range(32))
def test_each_coefficient_is_one_frequency(j):
    """By the fast Fourier transform: all the energy of a wave is where it should be, a cosine before a sine."""
    wave = NOTES.to_time(torch.eye(32, **float64)[j]).numpy()
    transform = np.fft.rfft(wave)
    energy = np.abs(transform) ** 2
    assert energy.argmax() == (j + 1) // 2
    assert energy.max() / energy.sum() == pytest.approx(1)
    largest = transform[energy.argmax()]
    is_sine = j > 0 and j % 2 == 0
    assert abs(largest.real if is_sine else largest.imag) < 1e-12


def test_both_notes_have_the_power_of_each_band():
    c = NOTES.spectra(5, torch.Generator().manual_seed(0), **float64)
    variance = NOTES.given(c).variance
    for band in range(4):
        inside = torch.tensor([b == band for b in BANDS])
        torch.testing.assert_close(variance[:, :, inside].mean(-1), c[:, band].exp().unsqueeze(1).expand(5, 2))
        torch.testing.assert_close(
            NOTES.band_variance(c)[:, inside], c[:, band : band + 1].exp().expand(5, int(inside.sum()))
        )


def test_the_power_of_a_note_is_on_its_multiples():
    variance = NOTES.given(torch.zeros(1, 4, **float64)).variance[0]
    for note, comb in zip(variance, (4, 3), strict=True):
        for band in range(4):
            inside = [j for j in range(32) if BANDS[j] == band]
            teeth = [j for j in inside if (j + 1) // 2 % comb == 0 and j > 0]
            between = [j for j in inside if j not in teeth]
            assert len(set(note[teeth].tolist())) == 1
            torch.testing.assert_close(note[between], 0.04 * note[teeth[0]].expand(len(between)))


def test_a_waveform_is_stationary():
    """Its covariance depends on the distance of two samples alone."""
    variance = NOTES.given(NOTES.spectra(1, torch.Generator().manual_seed(2), **float64)).variance[0, 0]
    basis = NOTES.to_time(torch.eye(32, **float64))
    covariance = basis.T @ torch.diag(variance) @ basis
    for shift in range(1, 32):
        torch.testing.assert_close(covariance.roll((shift, shift), (0, 1)), covariance)


def test_the_tilt_of_the_spectrum_says_which_note_is_likely():
    c = torch.tensor([[0.0, -1.0, -2.0, -3.0], [1.0, -1.0, -2.0, -3.5]], **float64)
    share = NOTES.given(c).log_weight.exp()[:, 1]
    torch.testing.assert_close(share, torch.sigmoid(torch.tensor([0.0, 1.5], **float64)))


def test_the_draws_are_those_of_the_law():
    x, c = NOTES.sample(20_000, torch.Generator().manual_seed(0), **float64)
    law = NOTES.given(c)
    note = law.parts(x)
    assert ((note > 0.99).any(-1)).double().mean() > 0.97  # one hears which note it is
    torch.testing.assert_close(note[:, 1].mean(), law.log_weight.exp()[:, 1].mean(), atol=0.01, rtol=0)
    ratio = x.square() / law.variance[torch.arange(len(x)), note.argmax(-1)]
    torch.testing.assert_close(ratio.mean(0), torch.ones(32, **float64), atol=0.06, rtol=0)
    torch.testing.assert_close(c.mean(0), torch.tensor([0.0, -1.0, -2.0, -3.0], **float64), atol=0.02, rtol=0)
    torch.testing.assert_close(c.std(0), torch.full((4,), 0.7, **float64), atol=0.02, rtol=0)
    assert repr(NOTES) == "TwoNotes()"
