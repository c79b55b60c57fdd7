"""From a job to its recording: speak, change, surround, write. Runs in worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from data.errors import DataError
from data.variants import background, paralinguistics, rooms
from data.variants.jobs import Job, Surroundings, Utterance
from data.variants.level import Samples, levelled, padded, resampled
from data.variants.manifest import RATE, write_audio
from data.variants.tts import SpeechCache


@dataclass(frozen=True, slots=True)
class Studio:
    """Where recordings are made and kept.

    Attributes:
        out: the set's folder.
        cache: folder of speech and impulse responses, used by every build.
    """

    out: Path
    cache: Path

    def make(self, job: Job) -> dict[str, Any]:
        """Make a recording.

        Returns:
            The manifest's entry: the job's digest, hashes, length and level, and what was measured on the mixture.

        Raises:
            UsageError: an engine cannot be used.
            DataError: an engine failed, or the mixture cannot be made; the message names the recording.
        """
        try:
            samples, measured = self.samples(job)
            return {"job": job.digest(), **write_audio(self.out / job.path, samples), **measured}
        except DataError as error:
            raise DataError(f"{job.path}: {error}") from None

    def samples(self, job: Job) -> tuple[Samples, dict[str, Any]]:
        """Return a recording, shape (n,) at `RATE`, and what was measured on it."""
        speech = self._spoken(job.utterance, job)
        if job.surroundings is None:
            return speech, {}
        around = job.surroundings
        if around.room is not None:
            speech = rooms.reverberant(speech, rooms.response(around.room, RATE, self.cache / "rooms"), RATE)
        sound, measured = self._noise(around, speech, job)
        mixture = background.mix(speech, sound, RATE, around.snr_db)
        return mixture.samples, {"snr_db": round(mixture.snr_db, 2) + 0.0, **measured}  # no -0.0

    def _spoken(self, utterance: Utterance, job: Job) -> Samples:
        """Say something and bring it to the set's rate, level and margins."""
        manner = utterance.manner
        asked = paralinguistics.manner(manner, utterance.voice, utterance.stressed)
        speech = SpeechCache(self.cache / "speech").speak(utterance.text, utterance.voice, asked)
        samples = speech.samples
        rate, pitch = paralinguistics.by_vocoder(manner, utterance.voice)
        if (rate, pitch) != (1.0, 1.0):
            samples = paralinguistics.revoiced(samples, speech.rate, rate, pitch)
        samples = resampled(samples, speech.rate, RATE)
        return padded(levelled(samples, RATE, job.level_dbfs + manner.gain_db), RATE, job.margin_seconds)

    def _noise(self, around: Surroundings, speech: Samples, job: Job) -> tuple[Samples, dict[str, Any]]:
        if around.noise == background.RECORDING:
            sound, start = background.recorded(Path(around.recording), speech, RATE, around.seed)
            return sound, {"noise_start": round(start, 3)}
        others = _Others(self, around, job)
        return background.noise(around.noise, len(speech), RATE, around.seed, others), {}


class _Others(Sequence[Samples]):
    """The speech of the other prompts; only what is heard of it is spoken."""

    def __init__(self, studio: Studio, around: Surroundings, job: Job) -> None:
        self._studio = studio
        self._around = around
        self._job = job

    def __len__(self) -> int:
        return self._around.among

    @overload
    def __getitem__(self, index: int) -> Samples: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Samples]: ...

    def __getitem__(self, index: int | slice) -> Samples | Sequence[Samples]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        heard = background.heard_talkers(len(self), self._around.seed)
        return self._studio._spoken(self._around.talkers[heard.index(index)], self._job)
