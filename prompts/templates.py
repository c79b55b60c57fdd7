"""Prompt files and how they are filled.

A template names its values in braces: `{request}`. All are filled in one pass over the template, so a value that looks
like a placeholder stays as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data.errors import DataError, UsageError

FOLDER = Path(__file__).parent
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt with its identity.

    Attributes:
        name: the file's name without its ending.
        text: the words, with placeholders.
    """

    name: str
    text: str

    @property
    def prompt_id(self) -> str:
        """Return name and the start of the text's SHA-256: edited words are another prompt."""
        return f"{self.name}@{hashlib.sha256(self.text.encode('utf-8')).hexdigest()[:8]}"

    @property
    def placeholders(self) -> frozenset[str]:
        """Return the names in braces."""
        return frozenset(PLACEHOLDER.findall(self.text))

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with every placeholder replaced, in one pass.

        Raises:
            UsageError: the template names a placeholder that has no value.
        """

        def value(match: re.Match[str]) -> str:
            if match[1] not in values:
                known = ", ".join("{" + name + "}" for name in values)
                raise UsageError(f"prompt '{self.name}' has the unknown placeholder {match[0]}; known: {known}")
            return values[match[1]]

        return PLACEHOLDER.sub(value, self.text)


def load(path: Path) -> Template:
    """Read a prompt file; white space around its text is not part of it.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise DataError(f"prompt file cannot be read: {error.strerror}", path=path) from None
    except UnicodeDecodeError:
        raise DataError("prompt file is not UTF-8", path=path) from None
    if not text:
        raise DataError("prompt file is empty", path=path)
    return Template(path.stem, text)


def bundled(name: str) -> Template:
    """Return one of the prompts of this folder."""
    return load(FOLDER / f"{name}.txt")
