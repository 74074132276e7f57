"""From LaTeX to syntax trees: tokens, one spelling for each meaning, the grammar, and what the book's letters mean."""
