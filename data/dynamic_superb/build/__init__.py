"""Tasks of Dynamic-SUPERB whose labels hold by construction, built from text to speech: `python -m data build --as`.

Every task becomes a folder in the form of `data.dynamic_superb.rows`, with its instance.json, README.md and manifest.
"""
