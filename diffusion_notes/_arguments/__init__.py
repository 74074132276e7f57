"""Checks of arguments, for the public doors of this package only: what was given, and what is allowed."""
