"""The value of an expression in a world."""
