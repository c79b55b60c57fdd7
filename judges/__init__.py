"""Asking the grader."""
