"""Experiments that take longer than a page should: runs that are stored and gone on with, and their results."""
