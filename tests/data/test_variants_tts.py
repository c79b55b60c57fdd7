"""Voices: the table, what is refused, and real speech where an engine is installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from data.errors import DataError, UsageError
from data.variants import tts
from data.variants.level import active, decibels

CI_SCRIPT = Path(__file__).parents[2] / ".ci" / "run"


def need(voice: str) -> None:
    """Skip where a voice's engine is missing; fail instead on a CI machine whose script installs that engine."""
    if not (reason := tts.missing(voice)):
        return
    script = CI_SCRIPT.read_text(encoding="utf-8") if CI_SCRIPT.is_file() else ""
    package = tts.VOICES[voice].package.removeprefix("Debian: ")
    if os.environ.get("CI") == "true" and package in script.split():
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.mark.parametrize("voice", tts.VOICES)
def test_voice_speaks(voice: str) -> None:
    """Every voice gives the same sound for the same words, longer for more of them."""
    need(voice)
    short, again, long = (tts.speak(text, voice) for text in ("Hello.", "Hello.", "Hello, this is a longer sentence."))
    assert np.array_equal(short.samples, again.samples)
    assert short.samples.dtype == np.float32
    assert short.samples.ndim == 1
    assert len(long.samples) > len(short.samples)
    assert -45 < decibels(long.samples, active(long.samples, long.rate)) < 0
    assert float(np.abs(long.samples).max()) <= 1.0


@pytest.mark.parametrize("voice", tts.VOICES)
def test_rate_changes_the_length(voice: str) -> None:
    """Faster speech is shorter, by about what was asked for."""
    need(voice)
    text = "Please write a short story about a river and a stone."
    slow, fast = (len(tts.speak(text, voice, rate=rate).samples) for rate in (0.8, 1.25))
    assert slow / fast == pytest.approx(1.25 / 0.8, rel=0.2)


@pytest.mark.parametrize("voice", [name for name, row in tts.VOICES.items() if row.pitch])
def test_pitch_changes_the_sound(voice: str) -> None:
    """Another pitch is another sound of much the same length."""
    need(voice)
    usual, high = (tts.speak("One short sentence.", voice, pitch=pitch).samples for pitch in (1.0, 1.25))
    assert len(high) == pytest.approx(len(usual), rel=0.05)
    assert not np.array_equal(usual[:8000], high[:8000])


def test_stress_lengthens_a_word() -> None:
    """A stressed word is said more slowly."""
    need("pico-en-us")
    text = "Use exactly three words."
    plain, stressed = tts.speak(text, "pico-en-us"), tts.speak(text, "pico-en-us", stressed=["exactly three"])
    assert len(stressed.samples) > len(plain.samples)
    with pytest.raises(DataError, match="does not occur"):
        tts.speak(text, "pico-en-us", stressed=["four"])


def test_chinese_is_read_as_chinese() -> None:
    """The voice reads characters, about four a second, rather than spelling out their transcription."""
    need("espeak-cmn")
    speech = tts.speak("请写一首关于秋天的短诗", "espeak-cmn")
    assert 2.0 < len(speech.samples) / speech.rate < 4.5


@pytest.mark.parametrize("text", ["-h", "--stdin", "$(exit 1); `ls` | cat", "'\"'"])
@pytest.mark.parametrize("voice", ["flite-slt", "espeak-en-029"])
def test_text_is_never_a_command(voice: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks like an option or a shell command is only read out."""
    need(voice)
    monkeypatch.chdir(tmp_path)
    tts.speak(f"{text} word", voice)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_said_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refusal names its reason, before any engine is started."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/nowhere/{name}")
    with pytest.raises(UsageError, match="no voice 'hal'; there are: pico-en-us"):
        tts.speak("Hello", "hal")
    with pytest.raises(UsageError, match="cannot change its pitch"):
        tts.speak("Hello", "flite-rms", pitch=1.2)
    with pytest.raises(UsageError, match="cannot stress"):
        tts.speak("Hello", "flite-slt", stressed=["Hello"])
    with pytest.raises(UsageError, match=r"between 0\.5 and 2"):
        tts.speak("Hello", "flite-slt", rate=3.0)
    with pytest.raises(DataError, match="nothing to say"):
        tts.speak("  ", "flite-slt")
    with pytest.raises(DataError, match="markup"):
        tts.speak("<break/>", "flite-slt")


def test_missing_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which package to install."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert tts.missing("flite-slt") == "flite is not installed (Debian: flite)"
    assert tts.engine_version("flite") is None
    with pytest.raises(UsageError, match=r"voice 'flite-slt': flite is not installed"):
        tts.speak("Hello", "flite-slt")


def test_table_states_licences() -> None:
    """No voice without a licence, a package and a language tag; none whose speech may not be passed on."""
    for row in tts.VOICES.values():
        assert row.licence
        assert row.package.startswith(("pip: ", "Debian: "))
        assert row.tag.split("-")[0] in ("en", "cmn")
