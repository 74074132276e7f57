"""What the notebooks show and ask: figures, diagrams, and exercises that say whether an answer is right."""
