"""From the values of two sides to a verdict: proofs, comparisons, conditions, and the judge of a page."""
