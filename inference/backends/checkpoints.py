"""What the back ends share that run checkpoints through transformers: where one lies, and words for what goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data.errors import ModelError, UsageError


def place_of(name: str) -> str:
    """Return what transformers loads a checkpoint from: the folder of that name, else the hub's id.

    Raises:
        ModelError: the name can only be that of a folder, and there is none.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return str(folder)
    if name.startswith((".", "/", "~")):
        raise ModelError(f"{name}: no such folder")
    return name


def revision_of(place: str) -> str | None:
    """Return the commit under which the hub's cache keeps a checkpoint that was just loaded; None where it does not."""
    from transformers.utils import cached_file

    folder = Path(place)
    if not folder.is_dir():
        try:
            folder = Path(cached_file(place, "config.json", local_files_only=True)).parent
        except OSError:
            return None
    return folder.name if folder.parent.name == "snapshots" else None


def check_rate(extractor: Any, rate: int) -> None:
    """Raise a UsageError where a model's features are of another sampling rate than the clips, in Hz."""
    own = getattr(extractor, "sampling_rate", None)
    if own is not None and own != rate:
        raise UsageError(f"the model hears at {own} Hz, the clips are decoded at {rate} Hz; set sampling_rate = {own}")


def described(error: BaseException) -> str:
    """Return an error in one line."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:300]}" if said else type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether a smaller batch could have gone through; torch's CPU allocator raises a plain RuntimeError."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "not enough memory" in str(error)


def load_failure(name: str, error: Exception) -> str:
    """Return one line that says why a checkpoint cannot be loaded, and what to do."""
    if isinstance(error, ValueError) and "trust_remote_code" in str(error):
        return f"{name} comes with code of its own, which is not run unasked: read it, then add --trust_remote_code"
    if isinstance(error, OSError) and not Path(name).expanduser().is_dir():
        return (
            f"{name} is no folder here, not in the local cache, and the hub does not hand it out: check the id, the "
            f"connection (HF_HUB_OFFLINE) and, for gated models, HF_TOKEN ({described(error)})"
        )
    return f"{name} cannot be loaded: {described(error)}"
