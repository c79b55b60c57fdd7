"""Styles of speaking."""

from __future__ import annotations

import numpy as np
import pytest

from data.errors import UsageError
from data.variants import paralinguistics
from data.variants.engines import Manner
from data.variants.level import Samples
from data.variants.paralinguistics import EMOTIONS, MOST_STRESSES, STYLES, Style, parameters, stressed_words, style
from data.variants.voices import VOICES, Voice

RATE = 16000


def test_every_style_changes_something() -> None:
    """No style is the plain one, and no two are alike."""
    assert len(set(STYLES.values())) == len(STYLES)
    plain = type(style("fast"))()
    assert plain not in STYLES.values()


def test_parameters_name_everything() -> None:
    """A line can be rendered again from what it says."""
    told = {"style": "fast", "rate": 1.3, "pitch": 1.0, "gain_db": 0.0, "stress": []}
    assert parameters("fast") == told
    assert parameters("fast", vocoder=True) == {**told, "vocoder": "WORLD"}
    assert parameters("stressed", ["not"])["stress"] == ["not"]
    assert parameters("sad")["emotion"] == "sad"


def test_unknown_style_is_refused() -> None:
    """The message lists what there is."""
    with pytest.raises(UsageError, match=r"no style 'shy'; there are: fast"):
        style("shy")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Use exactly three words.", ["exactly", "three"]),
        ("Nobody is tone deaf.", []),
        ("Do not stop; do not go.", ["not"]),
        ("A notion, not a fact.", []),  # the string "not" occurs first inside another word
        ("One, two, three, four, five.", ["One", "two", "three"]),
    ],
)
def test_stressed_words(text: str, words: list[str]) -> None:
    """The weighty words are found as words, each once."""
    assert stressed_words(text) == words
    assert len(words) <= MOST_STRESSES


def test_a_voice_is_asked_for_what_it_can() -> None:
    """What it cannot do itself is left to the vocoder."""
    wanted = Style(rate=1.2, pitch=0.8)
    flite, rms, festival = VOICES["flite-slt"], VOICES["flite-rms"], VOICES["festival-slt"]
    assert paralinguistics.manner(wanted, flite, []) == Manner(rate=1.2, pitch=0.8)
    assert paralinguistics.by_vocoder(wanted, flite) == (1.0, 1.0)
    assert paralinguistics.manner(wanted, rms, []) == Manner(rate=1.2)
    assert paralinguistics.by_vocoder(wanted, rms) == (1.0, 0.8)
    assert paralinguistics.by_vocoder(wanted, festival) == (1.2, 0.8)


@pytest.mark.parametrize(
    ("name", "voice", "text", "lang", "reason"),
    [
        ("stressed", "flite-slt", "only", "en", "cannot stress"),
        ("stressed", "pico-en-us", "Hello", "en", "no word to stress"),
        ("stressed", "pico-de", "only", "de", "no word to stress"),
        ("stressed", "pico-en-us", "only", "en", None),
        ("happy", "pico-en-us", "Hello", "en", "has no emotions"),
        ("fast", "pico-en-us", "Hello", "en", None),
        ("quiet", "festival-slt", "Hello", "en", None),
    ],
)
def test_what_cannot_be_is_told(name: str, voice: str, text: str, lang: str, reason: str | None) -> None:
    """Stress and emotion depend on voice and words."""
    said = paralinguistics.impossible(style(name), VOICES[voice], text, lang)
    assert said is None if reason is None else reason in str(said)


def test_every_emotion_is_a_style() -> None:
    """And a voice that has emotions can have it."""
    able = Voice("v", "server", "x", "en", "none", emotion=True)
    for name in EMOTIONS:
        assert paralinguistics.impossible(style(name), able, "Hello", "en") is None


def vowel(pitch_hz: float, seconds: float = 1.0) -> Samples:
    """Return pulses through two resonances, 700 and 1200 Hz: something like an a."""
    pulses = np.zeros(round(seconds * RATE))
    pulses[(np.arange(0, seconds, 1 / pitch_hz) * RATE).astype(int)] = 1.0
    for formant, width in ((700, 90), (1200, 110), (2600, 160)):
        radius = np.exp(-np.pi * width / RATE)
        feedback = (2 * radius * np.cos(2 * np.pi * formant / RATE), -(radius**2))
        out = np.zeros_like(pulses)
        for i in range(2, len(pulses)):
            out[i] = pulses[i] + feedback[0] * out[i - 1] + feedback[1] * out[i - 2]
        pulses = out
    return (0.3 * pulses / np.abs(pulses).max()).astype(np.float32)


def pitch_of(samples: Samples) -> float:
    """Return the pitch in Hz, by autocorrelation of the middle."""
    part = samples[len(samples) // 4 :][:4096].astype(np.float64)
    product = np.correlate(part, part, "full")[len(part) - 1 :]
    low, high = RATE // 400, RATE // 70
    return RATE / (low + int(np.argmax(product[low:high])))


def formants_of(samples: Samples) -> list[float]:
    """Return the two lowest resonances in Hz, by linear prediction of the middle."""
    part = samples[len(samples) // 4 :][:4096].astype(np.float64) * np.hanning(4096)
    product = np.correlate(part, part, "full")[len(part) - 1 :][:13]
    matrix = np.array([[product[abs(i - j)] for j in range(12)] for i in range(12)])
    weights = np.linalg.solve(matrix + 1e-6 * product[0] * np.eye(12), product[1:])
    roots = [root for root in np.roots([1, *-weights]) if root.imag > 0 and abs(root) > 0.9]
    return sorted(float(np.angle(root)) * RATE / (2 * np.pi) for root in roots)[:2]


@pytest.mark.parametrize("pitch", [0.8, 1.25])
def test_another_pitch_leaves_the_formants(pitch: float) -> None:
    """The vocoder moves the pitch by what was asked for, and the resonances stay where they are."""
    pytest.importorskip("pyworld", reason="the extra 'speech' is not installed")
    speech = vowel(140.0)
    made = paralinguistics.revoiced(speech, RATE, 1.0, pitch)
    assert pitch_of(made) / pitch_of(speech) == pytest.approx(pitch, rel=0.03)
    assert formants_of(made) == pytest.approx(formants_of(speech), rel=0.06)
    assert len(made) == pytest.approx(len(speech), rel=0.02)


@pytest.mark.parametrize("rate", [0.75, 1.3])
def test_another_rate_leaves_the_pitch(rate: float) -> None:
    """Faster is shorter, not higher; and the same again is the same."""
    pytest.importorskip("pyworld", reason="the extra 'speech' is not installed")
    speech = vowel(140.0)
    made = paralinguistics.revoiced(speech, RATE, rate, 1.0)
    assert len(speech) / len(made) == pytest.approx(rate, rel=0.02)
    assert pitch_of(made) == pytest.approx(pitch_of(speech), rel=0.02)
    assert np.array_equal(made, paralinguistics.revoiced(speech, RATE, rate, 1.0))
