"""The tasks that can be built: a literal table. Labels hold by construction: what is asked is what was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from data.dynamic_superb.build import content, degradation, speaker, speakers
from data.dynamic_superb.build.examples import Maker
from data.variants.voices import Voice


@dataclass(frozen=True, slots=True)
class Task:
    """One task that can be built.

    Attributes:
        instance: name of its instance; the task is what stands before the first underscore.
        description: what is asked, in a sentence.
        labels: the options, as every instruction names them.
        made: how its labels come about, for the README.
        make: yields its examples.
        cast: returns who speaks, given how many voices are needed at least; raises a UsageError where they are missing.
        voices: that number.
        margin_seconds: silence before and after each sentence.
    """

    instance: str
    description: str
    labels: tuple[str, ...]
    made: str
    make: Maker
    cast: Callable[[int], tuple[Sequence[Voice], ...]] = speakers.people
    voices: int = 1
    margin_seconds: float = 0.25

    @property
    def name(self) -> str:
        """Return the task's name."""
        return self.instance.partition("_")[0]


_ROWS = (
    Task(
        "NoiseDetection_Speech-Gaussian",
        "Tell whether Gaussian noise was added to speech.",
        ("clean", "noisy"),
        "Every sentence is there as its voice said it (`clean`) and with white Gaussian noise (`noisy`) at 0, 5, 10 or "
        "15 dB over active speech.",
        degradation.noise,
    ),
    Task(
        "NoiseSNRLevelPrediction_Speech-Gaussian",
        "Tell at which signal-to-noise ratio Gaussian noise was added to speech.",
        tuple(degradation.SNRS_DB),
        "Every sentence is there four times, with white Gaussian noise at 0, 5, 10 and 15 dB over active speech; the "
        "ratio is measured on the two parts of the sum.",
        degradation.noise_level,
    ),
    Task(
        "ReverberationDetection_Speech-SimulatedRooms",
        "Tell whether speech sounds in a room.",
        ("dry", "reverberant"),
        "Every sentence is there as its voice said it (`dry`) and convolved with the impulse response of one of twelve "
        "simulated rooms (`reverberant`; image sources, reverberation times of 0.2 to 0.7 s).",
        degradation.reverberation,
        margin_seconds=0.5,
    ),
    Task(
        "SpeechDetection_Speech-Reversed",
        "Tell speech from the same speech played backwards.",
        ("yes", "no"),
        "Every sentence is there as its voice said it (`yes`) and with its samples in reverse order (`no`).",
        degradation.direction,
    ),
    Task(
        "SpokenTermDetection_Speech",
        "Tell whether a written word is spoken.",
        ("yes", "no"),
        "Sentences go in groups of two. Each is met with a word of its own (`yes`) and with the other's (`no`), each "
        "word once as right and once as wrong.",
        content.term,
        voices=2,
    ),
    Task(
        "SpeechTextMatching_Speech",
        "Tell whether a text is what is spoken.",
        ("yes", "no"),
        "Sentences go in groups of two. Each is met with its own text (`yes`) and with the other's (`no`), each text "
        "once as right and once as wrong.",
        content.text,
        voices=2,
    ),
    Task(
        "SpeechCommandRecognition_Speech",
        "Tell which command is spoken.",
        content.COMMANDS,
        "Every voice says every command.",
        content.command,
        voices=2,
    ),
    Task(
        "LanguageIdentification_Speech",
        "Tell which language is spoken.",
        content.LANGUAGES,
        "The same sentences are said in every language, by voices of the same kind: pico's, where it is installed, "
        "and speakers of espeak-ng who have all the languages.",
        content.language,
        speakers.in_languages,
    ),
    Task(
        "AccentClassification_Speech",
        "Tell with which accent English is spoken.",
        content.ACCENTS,
        "The same sentences are said in every accent by the same speakers of espeak-ng: its rules of pronunciation "
        "make the accent.",
        content.accent,
        speakers.in_accents,
    ),
    Task(
        "SpeakerVerification_Speech",
        "Tell whether two recordings are by one speaker.",
        ("yes", "no"),
        "Two sentences are said by one voice (`yes`) or by two (`no`); `no` begins with each voice as often as `yes`.",
        speaker.verification,
        voices=3,
    ),
    Task(
        "MultiSpeakerDetection_Speech",
        "Tell whether several people speak in a recording.",
        ("yes", "no"),
        "Three sentences one after the other, by two voices (`yes`) or by one (`no`).",
        speaker.several,
        voices=3,
    ),
    Task(
        "SpeakerCounting_Speech",
        "Tell how many people speak in a recording.",
        tuple(speaker.TURNS),
        "Four sentences one after the other by one to four voices, in changing order.",
        speaker.counting,
        voices=4,
    ),
)

TASKS: Mapping[str, Task] = {row.name: row for row in _ROWS}
"""The tasks that can be built, by their names."""
