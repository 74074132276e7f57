"""Worlds: joint distributions in which everything can be computed, so that an equation is true in them or not."""
