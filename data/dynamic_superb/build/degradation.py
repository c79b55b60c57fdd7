"""Tasks about what was done to speech: noise, its level, a room, the direction of time.

Every label gets the same sentences by the same voices, and what was done changes neither length nor loudness.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle

from data.dynamic_superb.build.examples import Cast, Example, sound
from data.variants import rooms

SNRS_DB = {"zero": 0.0, "five": 5.0, "ten": 10.0, "fifteen": 15.0}
"""Label -> signal-to-noise ratio in dB over active speech."""

ROOMS = 12
"""How many rooms are simulated; speech sounds in each of them in turn."""


def noise(cast: Cast) -> Iterator[Example]:
    """Yield speech alone and speech with Gaussian noise, at each of the ratios in turn."""
    for (((sentence, _),), voices), snr_db in zip(cast.groups(1), cycle(SNRS_DB.values()), strict=False):
        clean = sound(sentence, voices[0])
        yield Example("clean", (clean,))
        yield Example("noisy", (replace(clean, snr_db=snr_db),))


def noise_level(cast: Cast) -> Iterator[Example]:
    """Yield speech with Gaussian noise at each of the ratios."""
    for ((sentence, _),), voices in cast.groups(1):
        for label, snr_db in SNRS_DB.items():
            yield Example(label, (replace(sound(sentence, voices[0]), snr_db=snr_db),))


def reverberation(cast: Cast) -> Iterator[Example]:
    """Yield speech alone and speech in one of the simulated rooms."""
    pool = cycle(rooms.pool(ROOMS, cast.chance.randrange(2**31)))
    for (((sentence, _),), voices), room in zip(cast.groups(1), pool, strict=False):
        dry = sound(sentence, voices[0])
        yield Example("dry", (dry,))
        yield Example("reverberant", (replace(dry, room=room),))


def direction(cast: Cast) -> Iterator[Example]:
    """Yield speech, and the same speech played backwards."""
    for ((sentence, _),), voices in cast.groups(1):
        forwards = sound(sentence, voices[0])
        yield Example("yes", (forwards,))
        yield Example("no", (replace(forwards, backwards=True),))
