"""Whether the labels of built tasks are right: what simple listeners make of the recordings, beside a constant answer.

    python bench/built_labels.py DIR [TASK ...]         DIR: what `python -m data build --as dynamic-superb` wrote

Each listener knows sound and, where the task has them, written words. Where it has to know voices, languages or accents
it learns them from the rows' labels, and never from a row with the sentence that it is asked about.

    noise             level of the quietest stretch: speech of these voices pauses in digital silence
    noise level       power before the speech begins, against the power of its active frames
    room              how fast the sound falls in 80 ms: a room does not let it fall faster than it decays itself
    direction         asymmetry of the envelope at 1 to 3 kHz: resonances ring down after every pulse of the glottis
    term, text        the embedded recogniser (Whisper tiny.en): is the word heard, and how many words differ
    command           the same: the command with the fewest letters to change
    language, accent  linear discriminant of means, spreads and covariances of cepstra, less the speaker's own mean
    speakers          linear discriminant of cepstra and pitch, learnt from the recordings of SpeakerVerification; in
                      the other tasks it hears the sentences one by one, cut at the longest pauses
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from data import audio
from data.dynamic_superb import options
from data.dynamic_superb.build.content import COMMANDS
from data.dynamic_superb.build.degradation import SNRS_DB
from data.dynamic_superb.build.examples import translations
from data.variants.intelligibility import word_errors, words
from data.variants.manifest import RATE

Samples = NDArray[np.float64]
COUNTS = ("one", "two", "three", "four")

QUIET_DBFS = -70.0
FASTEST_FALL = -380.0
"""dB a second. Sound in the driest of the rooms decays by 300; the end of the direct sound adds a few decibels."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a built task.

    Attributes:
        sounds: its recordings at 16 kHz, shape (n,) each.
        paths: their files.
        fields: the row's own fields.
    """

    sounds: Sequence[Samples]
    paths: Sequence[Path]
    fields: dict[str, Any]

    @property
    def sentences(self) -> list[str]:
        """Return what is said, sentence by sentence."""
        return re.split(r"(?<=\.) ", self.fields["spoken_text"])

    @property
    def voices(self) -> list[str]:
        """Return who speaks, each once, in order."""
        return str(self.fields["voice"]).split(", ")


def rows_of(folder: Path, task: str) -> list[Row]:
    """Return a built task's rows, recordings loaded."""
    (table,) = folder.glob(f"{task}_*/metadata.json")
    found = []
    for name, fields in json.loads(table.read_text(encoding="utf-8")).items():
        beside = table.parent / f"{Path(name).stem}_pair2.wav"
        paths = [table.parent / name, *([beside] if beside.exists() else [])]
        found.append(Row([audio.load(path, RATE).astype(np.float64) for path in paths], paths, fields))
    return found


# --- degradation ------------------------------------------------------------------------------------------------------


def noise(rows: Sequence[Row], _: Path) -> list[str]:
    """Hear noise where no pause is silent."""
    return ["noisy" if np.percentile(levels(row.sounds[0]), 5) > QUIET_DBFS else "clean" for row in rows]


def noise_level(rows: Sequence[Row], _: Path) -> list[str]:
    """Measure the ratio: the first 200 ms are noise alone, and the power of active frames is that of both."""
    return [min(SNRS_DB, key=lambda label: abs(SNRS_DB[label] - ratio(row.sounds[0]))) for row in rows]


def ratio(samples: Samples) -> float:
    """Return the signal-to-noise ratio over active speech in dB, noise being what sounds before speech begins."""
    hiss = float(np.mean(np.square(samples[: RATE // 5])))
    speech = np.maximum(10 ** (levels(samples) / 10) - hiss, 1e-12)
    active = speech[speech >= np.percentile(speech, 95) * 1e-3]
    return 10 * float(np.log10(active.mean() / hiss))


def room(rows: Sequence[Row], _: Path) -> list[str]:
    """Hear a room where sound never falls fast."""
    return ["reverberant" if steepest(row.sounds[0]) > FASTEST_FALL else "dry" for row in rows]


def steepest(samples: Samples) -> float:
    """Return how fast the level falls over 80 ms at its fastest (1st percentile), in dB a second."""
    step = 0.005
    level = levels(samples, step)
    top = np.percentile(level, 95)
    level = np.maximum(level, top - 60)
    span = round(0.08 / step)
    slopes = (level[span:] - level[:-span]) / 0.08
    return float(np.percentile(slopes[level[:-span] > top - 30], 1))


def direction(rows: Sequence[Row], _: Path) -> list[str]:
    """Hear speech where the envelope rises faster than it falls."""
    return ["yes" if asymmetry(row.sounds[0]) > 0 else "no" for row in rows]


def asymmetry(samples: Samples) -> float:
    """Return the skewness of the slope of the envelope at 1 to 3 kHz; reversed, the same sound has the opposite."""
    band = signal.sosfiltfilt(signal.butter(3, (1000, 3000), "band", fs=RATE, output="sos"), samples)
    envelope = signal.sosfiltfilt(signal.butter(2, 500, fs=RATE, output="sos"), np.abs(signal.hilbert(band)))
    slope = np.diff(envelope)
    return float(np.mean(slope**3) / np.mean(slope**2) ** 1.5)


def levels(samples: Samples, seconds: float = 0.02) -> Samples:
    """Return the level of each frame in dBFS."""
    length = round(seconds * RATE)
    framed = samples[: len(samples) // length * length].reshape(-1, length)
    return np.asarray(10 * np.log10(np.mean(np.square(framed), axis=1) + 1e-12))


# --- content ----------------------------------------------------------------------------------------------------------


def term(rows: Sequence[Row], _: Path) -> list[str]:
    """Look for the word in what is heard."""
    return ["yes" if row.fields["text"] in words(heard(row.paths[0])) else "no" for row in rows]


def text(rows: Sequence[Row], _: Path) -> list[str]:
    """Count the words that differ between what is heard and what is written."""
    found = []
    for row in rows:
        written = words(row.fields["text"])
        found.append("yes" if 2 * word_errors(written, words(heard(row.paths[0]))) < len(written) else "no")
    return found


def command(rows: Sequence[Row], _: Path) -> list[str]:
    """Choose the command that is closest to what is heard, letter by letter."""
    letters = ["".join(words(heard(row.paths[0]))) for row in rows]
    return [min(COMMANDS, key=lambda word: word_errors(word, said)) for said in letters]


def heard(path: Path) -> str:
    """Return what the embedded recogniser writes down."""
    runner, recogniser = _recogniser()
    return str(runner.run(recogniser.transcribe(audio.clip(path, RATE))))


@cache
def _recogniser() -> tuple[asyncio.Runner, Any]:
    from inference import asr

    return asyncio.Runner(), asr.load_transcriber("embedded", {"languages": ["en"]})


def language(rows: Sequence[Row], _: Path) -> list[str]:
    """Learn languages from the other sentences; a sentence and its translations count as one."""
    groups = {line: str(number) for number, same in enumerate(translations()) for line in same}
    return spoken_as(rows, [groups[row.fields["spoken_text"]] for row in rows])


def accent(rows: Sequence[Row], _: Path) -> list[str]:
    """Learn accents from the other sentences."""
    return spoken_as(rows, [row.fields["spoken_text"] for row in rows])


def spoken_as(rows: Sequence[Row], sentences: Sequence[str]) -> list[str]:
    """Return languages or accents, learnt from the rows with another sentence."""
    features = []
    for row in rows:
        found = cepstra(row.sounds[0])[:, :14]
        shape, change = found[:, 1:], found[2:] - found[:-2]
        spread = np.cov(shape.T)[np.triu_indices(shape.shape[1])]
        features.append(np.concatenate([shape.mean(0), shape.std(0), change.std(0), spread]))
    table = np.array(features)
    speakers = np.array([_speaker(row.voices[0]) for row in rows])
    for speaker in set(speakers):
        table[speakers == speaker] -= table[speakers == speaker].mean(axis=0)
    names = np.array([row.fields["label"] for row in rows])
    return nearest(table, names, np.array(sentences), table, sentences)


def _speaker(voice: str) -> str:
    """Return an espeak-ng speaker whatever the language; pico's voices count as one."""
    engine, _, setting = voice.partition("-")
    return f"{engine}+{setting.partition('+')[2]}"


# --- speakers ---------------------------------------------------------------------------------------------------------


def verification(rows: Sequence[Row], folder: Path) -> list[str]:
    """Name the voice of each recording."""
    return ["yes" if len(speakers(list(row.sounds), row, folder)) == 1 else "no" for row in rows]


def several(rows: Sequence[Row], folder: Path) -> list[str]:
    """Name the voice of each sentence."""
    return ["no" if len(speakers(cut(row.sounds[0], 3), row, folder)) == 1 else "yes" for row in rows]


def counting(rows: Sequence[Row], folder: Path) -> list[str]:
    """Name the voice of each sentence, and count."""
    return [COUNTS[len(speakers(cut(row.sounds[0], 4), row, folder)) - 1] for row in rows]


def speakers(parts: Sequence[Samples], row: Row, folder: Path) -> set[str]:
    """Return who says the sentences of a row, learnt from recordings of other sentences."""
    known, names, sentences = _enrolled(folder)
    asked = np.array([portrait(part) for part in parts])
    return set(nearest(known, names, sentences, asked, row.sentences))


@cache
def _enrolled(folder: Path) -> tuple[Samples, NDArray[np.str_], NDArray[np.str_]]:
    known, names, sentences = [], [], []
    for row in rows_of(folder, "SpeakerVerification"):
        known += [portrait(samples) for samples in row.sounds]
        names += [row.voices[0], row.voices[-1]]
        sentences += row.sentences
    return np.array(known), np.array(names), np.array(sentences)


def portrait(samples: Samples) -> Samples:
    """Return what tells a voice: means and spreads of its cepstra, and its pitch."""
    found = cepstra(samples)[:, 1:14]
    return np.concatenate([found.mean(0), found.std(0), [pitch(samples)]])


def cut(samples: Samples, count: int) -> list[Samples]:
    """Return so many sentences, cut in the middle of the longest pauses."""
    loud = np.flatnonzero(levels(samples, 0.01) > QUIET_DBFS)
    pauses = np.sort(np.argsort(np.diff(loud))[1 - count :])
    edges = [int((loud[place] + loud[place + 1]) / 2 * 0.01 * RATE) for place in pauses]
    return np.split(samples, edges)


def pitch(samples: Samples) -> float:
    """Return the median of the fundamental frequency in octaves, by autocorrelation between 70 and 400 Hz."""
    framed = loudest(np.lib.stride_tricks.sliding_window_view(samples, 640)[::160], 0.1)
    framed = framed - framed.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(framed, 2048)) ** 2
    correlation = np.fft.irfft(power)[:, :640]
    lags = (correlation / correlation[:, :1])[:, 40:230]
    voiced = lags.max(axis=1) > 0.5
    return float(np.median(np.log2(RATE / (40 + lags.argmax(axis=1)[voiced])))) if voiced.any() else 7.0


# --- tools ------------------------------------------------------------------------------------------------------------


def nearest(
    known: Samples, names: NDArray[np.str_], sentences: NDArray[np.str_], asked: Samples, about: Sequence[str]
) -> list[str]:
    """Return the closest class of each vector, in the metric of the spread within classes, by other sentences.

    Args:
        known: shape (n, features).
        names: their classes, shape (n,).
        sentences: what is said in them, shape (n,).
        asked: shape (m, features).
        about: what is said in these; rows of `known` with the same sentence are left out.
    """
    centre, scale = known.mean(axis=0), known.std(axis=0)
    known, asked = (known - centre) / scale, (asked - centre) / scale
    classes = sorted(set(names))
    found = [""] * len(asked)
    for sentence in set(about):
        others = [known[(names == name) & (sentences != sentence)] for name in classes]
        within = sum(np.cov(rows.T) for rows in others) / len(classes) + 0.1 * np.eye(known.shape[1])
        metric, means = np.linalg.inv(within), [rows.mean(axis=0) for rows in others]
        for place in (place for place, one in enumerate(about) if one == sentence):
            away = [asked[place] - mean for mean in means]
            found[place] = classes[int(np.argmin([one @ metric @ one for one in away]))]
    return found


def cepstra(samples: Samples) -> Samples:
    """Return mel cepstra of the frames that are not pauses, shape (frames, 20)."""
    framed = loudest(np.lib.stride_tricks.sliding_window_view(samples, 400)[::160] * np.hanning(400), 1e-3)
    power = np.abs(np.fft.rfft(framed, 512)) ** 2
    return np.asarray(fft.dct(np.log(power @ _filters().T + 1e-8), axis=1, norm="ortho")[:, :20])


def loudest(framed: Samples, share: float) -> Samples:
    """Return the frames whose power is at least this share of the loud ones'."""
    power = np.square(framed).sum(axis=1)
    return np.asarray(framed[power > np.percentile(power, 95) * share])


@cache
def _filters(count: int = 26, lowest: float = 80.0, highest: float = 7600.0) -> Samples:
    """Return triangles on the mel scale, shape (count, 257)."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (lowest, highest))
    mel = np.linspace(low, high, count + 2)
    edge = 700 * (10 ** (mel / 2595) - 1) / RATE * 512
    place = np.arange(257)
    rise = (place - edge[:-2, None]) / np.diff(edge)[:-1, None]
    fall = (edge[2:, None] - place) / np.diff(edge)[1:, None]
    return np.asarray(np.maximum(0, np.minimum(rise, fall)))


Oracle = Callable[[Sequence[Row], Path], list[str]]

ORACLES: dict[str, Oracle] = {
    "NoiseDetection": noise,
    "NoiseSNRLevelPrediction": noise_level,
    "ReverberationDetection": room,
    "SpeechDetection": direction,
    "SpokenTermDetection": term,
    "SpeechTextMatching": text,
    "SpeechCommandRecognition": command,
    "LanguageIdentification": language,
    "AccentClassification": accent,
    "SpeakerVerification": verification,
    "MultiSpeakerDetection": several,
    "SpeakerCounting": counting,
}


def accuracy(answers: Sequence[str], rows: Sequence[Row]) -> float:
    """Return the share of answers that are the label."""
    return float(np.mean([answer == row.fields["label"] for answer, row in zip(answers, rows, strict=True)]))


def main() -> None:
    """Print a table: the oracle's accuracy, that of the best constant answer, and chance."""
    folder, *wanted = Path(sys.argv[1]), *sys.argv[2:]
    print("| task | examples | oracle | constant answer | chance |")
    print("| --- | --- | --- | --- | --- |")
    for task, oracle in ORACLES.items():
        if (wanted and task not in wanted) or not list(folder.glob(f"{task}_*/metadata.json")):
            continue
        rows = rows_of(folder, task)
        share = Counter(row.fields["label"] for row in rows).most_common(1)[0][1] / len(rows)
        chance = 1 / len(options.read(rows[0].fields["instruction"]))
        right = accuracy(oracle(rows, folder), rows)
        print(f"| {task} | {len(rows)} | {100 * right:.1f} | {100 * share:.1f} | {100 * chance:.1f} |")


if __name__ == "__main__":
    main()
