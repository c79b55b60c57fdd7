"""Where things are kept that can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """Return the toolkit's folder in the user's cache: $XDG_CACHE_HOME, or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "speech-instruction-judge"
