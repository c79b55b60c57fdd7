"""A recording of a built task: one sentence or several, backwards, in a room, in noise; and how it is made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.variants import background, rooms, tts
from data.variants.jobs import Job, Utterance
from data.variants.level import Samples, levelled
from data.variants.manifest import RATE
from data.variants.render import Studio


@dataclass(frozen=True, slots=True)
class Take(Job):
    """One recording to be made.

    Attributes:
        after: what is said after the first utterance, each with margins of its own.
        backwards: whether all this is played from its end to its start.
    """

    after: tuple[Utterance, ...] = ()
    backwards: bool = False

    def digest(self) -> str:
        """Return a hash of all that decides on the sound."""
        engines = [tts.engine_of(said.voice).version(said.voice) for said in self.after]
        return hashlib.sha256(f"{Job.digest(self)} {engines}".encode()).hexdigest()


class Stage(Studio):
    """Makes takes. Whatever is done to the speech, its length stays and its level is set afterwards.

    So neither length nor loudness tells what was done.
    """

    def samples(self, job: Job) -> tuple[Samples, dict[str, Any]]:
        """Return a recording, shape (n,) at `RATE`, and what was measured on it."""
        assert isinstance(job, Take)
        speech = np.concatenate([self._spoken(said, job) for said in (job.utterance, *job.after)])
        if job.backwards:
            speech = np.ascontiguousarray(speech[::-1])
        around = job.surroundings
        measured: dict[str, Any] = {}
        if around is None:
            return speech, measured
        if around.room is not None:
            impulse = rooms.response(around.room, RATE, self.cache / "rooms")
            speech = rooms.reverberant(speech, impulse, RATE)[: len(speech)]
        if around.noise:
            sound = background.noise(around.noise, len(speech), RATE, around.seed)
            mixture = background.mix(speech, sound, RATE, around.snr_db)
            speech, measured = mixture.samples, {"snr_db": round(mixture.snr_db, 2) + 0.0}  # no -0.0
        return levelled(speech, RATE, job.level_dbfs), measured
