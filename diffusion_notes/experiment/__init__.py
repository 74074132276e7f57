"""Experiments that take longer than a page should: how they are run, and what came out."""
