"""What has to be made: recordings, each with all that decides on its sound, and the lines that stand beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data.variants import paralinguistics, rooms, tts
from data.variants.voices import Voice


@dataclass(frozen=True, slots=True)
class Utterance:
    """Words, a voice and a manner.

    Attributes:
        text: what is said.
        voice: who says it.
        style: a key of `paralinguistics.STYLES`, or empty: the voice's own manner.
        stressed: words of the text to stress.
    """

    text: str
    voice: Voice
    style: str = ""
    stressed: tuple[str, ...] = ()

    @property
    def manner(self) -> paralinguistics.Style:
        """Return the manner of speaking."""
        return paralinguistics.style(self.style) if self.style else paralinguistics.Style()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is heard behind an utterance, and where.

    Attributes:
        noise: one of `background.KINDS`, or `background.RECORDING`; empty: none, only a room (built tasks).
        snr_db: wanted signal-to-noise ratio in dB.
        seed: seed of the noise, or of the place in the recording.
        recording: path of the recording; empty for other noise.
        recording_sha256: hash of its bytes.
        talkers: for babble: who is heard, in order.
        among: for babble: how many there were to choose from.
        room: where; None: nowhere in particular.
    """

    noise: str
    snr_db: float
    seed: int
    recording: str = ""
    recording_sha256: str = ""
    talkers: tuple[Utterance, ...] = ()
    among: int = 0
    room: rooms.Room | rooms.Recorded | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One recording to be made.

    Attributes:
        path: the audio file, relative to the set's folder.
        utterance: what is said.
        surroundings: what is heard beside it; None: nothing.
        level_dbfs: level over active speech in dBFS, before the style's gain.
        margin_seconds: silence before and after, in seconds.
    """

    path: str
    utterance: Utterance
    surroundings: Surroundings | None
    level_dbfs: float
    margin_seconds: float

    def digest(self) -> str:
        """Return a hash of all that decides on the sound; a recording with another one is made anew."""
        told = asdict(self)
        if self.surroundings is not None:  # where a file lies does not decide
            told["surroundings"]["recording"] = ""
            if isinstance(self.surroundings.room, rooms.Recorded):
                told["surroundings"]["room"]["path"] = ""
        heard = (self.utterance, *(self.surroundings.talkers if self.surroundings else ()))
        told["engines"] = [tts.engine_of(said.voice).version(said.voice) for said in heard]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Item:
    """A job, and the fields of its line that are known beforehand."""

    job: Job
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """A set to be built.

    Attributes:
        files: JSONL file, relative to the set's folder -> its items in order.
        notes: what was left out, and why.
        voices: the voices in use, by name.
        settings: what decided on all this, as it stands in the manifest; without a path of this machine.
    """

    files: Mapping[str, Sequence[Item]]
    notes: Sequence[str]
    voices: Mapping[str, Voice]
    settings: Mapping[str, Any]

    @property
    def recipe_id(self) -> str:
        """Return the start of a hash of `settings`; it stands on every line."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:12]

    def jobs(self) -> Iterator[Job]:
        """Yield every job, standard recordings before those that are made of them."""
        for items in self.files.values():
            yield from (item.job for item in items)
