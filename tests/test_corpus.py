"""The checker on pages in the manner of other authors, about each of whose displays it is known whether it holds."""

from __future__ import annotations

import pytest
from corpus_score import PAGE, PAGES, SCORE, known_displays, line, outcomes, said, tally
from corpus_score import judged as judged_page

from diffusion_notes.equations.pages import displays

pages = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)


@pages
def test_every_display_of_a_page_is_found(path):
    assert len(displays(path)) == len(known_displays(path))


@pages
def test_no_false_line_is_accepted(path):
    bad = [outcome for known, found in judged_page(path) for outcome in outcomes(known, found.verdicts)]
    assert not [f"{o.latex}: {o.detail}: {o.known.why}" for o in bad if o.kind == "accepted"]


def test_there_are_many_true_and_many_false_ones():
    known = [known for path in PAGES for known in known_displays(path)]
    assert len(known) >= 240
    assert sum(not k.true for k in known) >= 60
    assert all(k.why for k in known if not k.true or k.under_convention)


def test_true_lines_are_hardly_ever_called_false():
    score = tally(PAGES)
    assert 100 * score["called_false"] <= score["relations"]


def test_most_relations_are_understood_as_they_are_printed():
    assert tally(PAGES)["percent"] >= 75


def test_the_score_that_is_kept_is_the_score():
    score = tally(PAGES)
    assert SCORE.read_text(encoding="utf-8") == line(score), "make corpus"
    assert said(score) in PAGE.read_text(encoding="utf-8"), "make corpus"
