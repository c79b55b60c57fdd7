"""Asking the speech model."""
