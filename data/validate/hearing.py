"""What a recogniser hears in the recordings, against what their lines say is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from data.validate.findings import Fact, Finding
from data.validate.rows import Row
from data.variants.intelligibility import word_errors, words

WORST_RATE = 0.5
"""Error rate from which a line is named: half of what is said was heard otherwise. Of the bundled sample the embedded
recogniser, the smallest there is, mishears so much in 7 of 26 lines with noise, in 1 with an accent, in no other."""

_BY_CHARACTER = frozenset({"zh", "ja", "th", "lo", "km", "my"})  # written without blanks between words

Hear = Callable[[Path, str | None], str | None]
"""From a recording and its language to what is heard; None where the recogniser does not know the language."""


def compare(
    rows: Sequence[Row], paths: Mapping[Row, Path], hear: Hear, told: Callable[[Fact], None]
) -> Iterator[Finding]:
    """Yield where what is heard is not what the line says.

    Args:
        rows: the lines of one file.
        paths: where their recordings lie.
        hear: the recogniser.
        told: gets the file's error rate, which is to be compared with what is usual for recogniser and variant.
    """
    said = {row: units(row.spoken, row.lang) for row in rows}
    errors = total = 0
    unheard: Counter[str | None] = Counter()
    for row in rows:
        if row not in paths:
            continue
        text = hear(paths[row], row.lang)
        if text is None:
            unheard[row.lang] += 1
            continue
        heard = units(text, row.lang)
        wrong = word_errors(said[row], heard)
        errors, total = errors + wrong, total + len(said[row])
        rate = wrong / max(1, len(said[row]))
        if rate >= WORST_RATE:
            yield _misheard(row, said, heard, rate, text)
    for lang, number in unheard.items():
        yield Finding(
            "not-heard", rows[0].file.path, None, f"{number} recordings in '{lang}', unknown to the recogniser"
        )
    if total:
        what = "character" if rows[0].lang in _BY_CHARACTER else "word"
        told(Fact(rows[0].file.path, f"{what} error rate {100 * errors / total:.1f} % over {total} {what}s"))


def _misheard(row: Row, said: Mapping[Row, list[str]], heard: list[str], rate: float, text: str) -> Finding:
    """Return the finding about a line of which little was heard: another line's prompt, perhaps."""
    bag = Counter(heard)
    others = (other for other in said if said[other] != said[row])
    # By what they have in common first: the error rate against every line would take long.
    closest = max(others, key=lambda one: (Counter(said[one]) & bag).total() / max(1, len(said[one])), default=None)
    if closest is not None and word_errors(said[closest], heard) < min(WORST_RATE, rate / 2) * len(said[closest]):
        return row.finding("heard-another", f"heard is the prompt of line {closest.number}: {text[:80]}", rate)
    return row.finding("heard-otherwise", f"error rate {100 * rate:.0f} %; heard: {text[:80]}", rate)


def units(text: str, lang: str | None) -> list[str]:
    """Return what errors are counted in: words, or characters in languages that put no blanks between words."""
    if lang in _BY_CHARACTER:
        return [character for character in text.casefold() if character.isalnum()]
    return words(text)
