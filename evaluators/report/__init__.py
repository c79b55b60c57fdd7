"""Showing numbers: what the rows are, and the forms in which they are printed."""
