"""NLTK's English Punkt model and its word tokenizer, from data whose content is pinned.

NLTK takes most of a second to import, so that happens when the first rule needs it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import UsageError

if TYPE_CHECKING:
    from nltk.tokenize.destructive import NLTKWordTokenizer  # type: ignore[import-untyped]  # NLTK has no types
    from nltk.tokenize.punkt import PunktSentenceTokenizer  # type: ignore[import-untyped]  # NLTK has no types

FILES = ("abbrev_types.txt", "collocations.tab", "ortho_context.tab", "sent_starters.txt")
"""The four files of `punkt_tab/english` that decide verdicts."""

SHA256 = "87b7437941fb4df13edcd8cad64ff370f548f8c3e9503a795e05bef42bf34bdc"
"""SHA-256 over the four files, one behind the other in the order of `FILES`."""

_FOLDER = "tokenizers/punkt_tab/english/"
_CARRIER = "llama-index-core"
_CARRIED = f"llama_index/core/_static/nltk_cache/{_FOLDER}"


def count_sentences(text: str) -> int:
    """Return the number of Punkt sentences of a text."""
    return sum(1 for _ in _splitter().span_tokenize(text))


def sentences(text: str) -> Iterator[str]:
    """Yield the Punkt sentences of a text."""
    for start, end in _splitter().span_tokenize(text):
        yield text[start:end]


def word_tokens(text: str) -> Iterator[str]:
    """Yield what `nltk.word_tokenize` gives, from the pinned data."""
    tokenizer = _tokenizer()
    for sentence in sentences(text):
        yield from tokenizer.tokenize(sentence)


@cache
def _splitter() -> PunktSentenceTokenizer:
    """Return the sentence splitter; raises UsageError where its data is missing or not the pinned one."""
    from nltk.tabdata import PunktDecoder  # type: ignore[import-untyped]  # NLTK has no types
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    files = {name: io.StringIO(content.decode("utf-8")) for name, content in _model_files().items()}
    decoder = PunktDecoder()
    parameters = PunktParameters()
    parameters.abbrev_types = decoder.txt2set(files["abbrev_types.txt"])
    parameters.collocations = set(decoder.tab2tups(files["collocations.tab"]))
    parameters.ortho_context = decoder.tab2intdict(files["ortho_context.tab"])
    parameters.sent_starters = decoder.txt2set(files["sent_starters.txt"])
    return PunktSentenceTokenizer(parameters)


@cache
def _tokenizer() -> NLTKWordTokenizer:
    from nltk.tokenize.destructive import NLTKWordTokenizer

    return NLTKWordTokenizer()


def _model_files() -> dict[str, bytes]:
    """Return the content of the four files, from NLTK's own data folders or from the package that carries them.

    Raises:
        UsageError: neither place holds the pinned data.
    """
    found = None
    for source in (_from_nltk, _from_carrier):
        read = source()
        if read is None:
            continue
        try:
            files = {name: read(name) for name in FILES}
        except OSError:
            continue  # an incomplete copy
        found = hashlib.sha256(b"".join(files.values())).hexdigest()
        if found == SHA256:
            return files
    raise UsageError(
        f"NLTK's punkt_tab/english is {'missing' if found is None else f'not the pinned one (sha256 {found[:12]}…)'}: "
        "run `python -m nltk.downloader --force punkt_tab` or install llama-index-core==0.14.25"
    )


def _from_nltk() -> Callable[[str], bytes] | None:
    import nltk.data  # type: ignore[import-untyped]  # NLTK has no types

    try:
        folder = nltk.data.find(_FOLDER)
    except LookupError:
        return None

    def read(name: str) -> bytes:
        with folder.join(name).open() as file:
            return bytes(file.read())

    return read


def _from_carrier() -> Callable[[str], bytes] | None:
    """Find the folder inside an installed package without importing that package."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        folder = Path(str(distribution(_CARRIER).locate_file(_CARRIED)))
    except PackageNotFoundError:
        return None
    return lambda name: (folder / name).read_bytes()
