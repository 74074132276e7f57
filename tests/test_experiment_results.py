"""Stored results: what is there says where it comes from, and what is not there is refused by name."""

from __future__ import annotations

import datetime
import json

import pytest
import torch

from diffusion_notes.experiment.results import STORED, load_results, provenance


def test_every_stored_result_says_where_it_comes_from():
    files = sorted(STORED.glob("*.json"))
    assert files
    for file in files:
        about = load_results(file.stem)["provenance"]
        assert set(about) == set(provenance(""))
        assert about["command"].startswith("make ")
        datetime.date.fromisoformat(about["date"])


def test_it_is_what_was_written():
    assert load_results("levels") == json.loads((STORED / "levels.json").read_text(encoding="utf-8"))


def test_the_provenance_is_of_here_and_now():
    about = provenance("make ladder")
    assert about["torch"] == torch.__version__.split("+")[0]
    assert about["threads"] == torch.get_num_threads()
    assert json.loads(json.dumps(about)) == about


def test_there_is_no_other_name():
    with pytest.raises(ValueError, match=r"name must be one of .*'levels'.*, got '../x'"):
        load_results("../x")
