"""Spoken sets built from any prompts: `python -m data build` (docs/building.md, docs/architecture.md)."""
