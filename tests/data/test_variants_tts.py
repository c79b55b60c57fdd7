"""Text to speech: what is refused, the cache, and real speech where an engine is installed."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.errors import DataError, UsageError
from data.variants import engines, tts
from data.variants.engines import Manner, Speech
from data.variants.level import active, decibels
from data.variants.voices import VOICES, Voice

CI_SCRIPT = Path(__file__).parents[2] / ".ci" / "run"


def need(voice: Voice) -> None:
    """Skip where a voice's engine is missing; fail instead on a CI machine whose script installs that engine."""
    if not (reason := tts.missing(voice)):
        return
    script = CI_SCRIPT.read_text(encoding="utf-8") if CI_SCRIPT.is_file() else ""
    packages = voice.package.removeprefix("Debian: ").split(", ")
    if os.environ.get("CI") == "true" and set(packages) <= set(script.split()):
        pytest.fail(reason)
    pytest.skip(reason)


def said(text: str, name: str, **manner: object) -> Speech:
    """Let a voice of the table say something, or skip where it cannot."""
    need(VOICES[name])
    return tts.speak(text, VOICES[name], Manner(**manner))  # type: ignore[arg-type]


# One sentence a language, about as long in each.
GREETINGS = {"en": "Hello, this is a longer sentence.", "zh": "你好，这是一个长一点的句子。"}


@pytest.mark.parametrize("voice", VOICES)
def test_voice_speaks(voice: str) -> None:
    """Every voice gives the same sound for the same words, longer for more of them, in steps of 16 bits."""
    longer = GREETINGS.get(VOICES[voice].language, "Una, due, tre, quattro, cinque.")
    short, again, long = (said(text, voice) for text in (longer[:5], longer[:5], longer))
    assert np.array_equal(short.samples, again.samples)
    assert short.samples.dtype == np.float32
    assert short.samples.ndim == 1
    assert len(long.samples) > len(short.samples)
    assert -45 < decibels(long.samples, active(long.samples, long.rate)) < 0
    assert float(np.abs(long.samples).max()) <= 1.0
    assert np.array_equal(np.rint(long.samples * 32768), long.samples * 32768)


@pytest.mark.parametrize("voice", [name for name, row in VOICES.items() if row.rate])
def test_rate_changes_the_length(voice: str) -> None:
    """Faster speech is shorter, by about what was asked for."""
    text = "Please write a short story about a river and a stone."
    slow, fast = (len(said(text, voice, rate=rate).samples) for rate in (0.8, 1.25))
    assert slow / fast == pytest.approx(1.25 / 0.8, rel=0.2)


@pytest.mark.parametrize("voice", [name for name, row in VOICES.items() if row.pitch])
def test_pitch_changes_the_sound(voice: str) -> None:
    """Another pitch is another sound of much the same length."""
    usual, high = (said("One short sentence.", voice, pitch=pitch).samples for pitch in (1.0, 1.25))
    assert len(high) == pytest.approx(len(usual), rel=0.05)
    assert not np.array_equal(usual[:8000], high[:8000])


@pytest.mark.parametrize("voice", ["pico-en-us", "pico-de", "flite-slt", "flite-awb", "espeak-en-029"])
@pytest.mark.parametrize("pitch", [0.8, 1.25])
def test_engines_change_the_pitch_and_not_the_formants(voice: str, pitch: float) -> None:
    """The pitch moves by what was asked for; the spectral envelope fits its old self best unscaled."""
    world = pytest.importorskip("pyworld", reason="the extra 'speech' is not installed")

    def analysed(factor: float) -> tuple[np.ndarray, np.ndarray, float]:
        speech = said("Please write about the old lighthouse.", voice, pitch=factor)
        samples = speech.samples.astype(np.float64)
        frequency, times = world.dio(samples, speech.rate)
        envelope = np.log(world.cheaptrick(samples, frequency, times, speech.rate)[frequency > 0] + 1e-12).mean(axis=0)
        hertz = np.linspace(0, speech.rate / 2, len(envelope))
        return hertz, envelope, float(np.median(frequency[frequency > 0]))

    hertz, usual, height = analysed(1.0)
    _, changed, new_height = analysed(pitch)
    heard = (hertz > 300) & (hertz < 4500)
    misfit = {scale: np.std((np.interp(hertz * scale, hertz, usual) - changed)[heard]) for scale in (0.8, 1.0, 1.25)}
    assert new_height / height == pytest.approx(pitch, rel=0.1)
    assert min(misfit, key=misfit.__getitem__) == 1.0


def test_stress_lengthens_a_word() -> None:
    """A stressed word is said more slowly."""
    text = "Use exactly three words."
    plain, stressed = said(text, "pico-en-us"), said(text, "pico-en-us", stressed=("exactly three",))
    assert len(stressed.samples) > len(plain.samples)
    with pytest.raises(DataError, match="does not occur"):
        said(text, "pico-en-us", stressed=("four",))


def test_chinese_is_read_as_chinese() -> None:
    """The voice reads characters, about four a second, rather than spelling out their transcription."""
    speech = said("请写一首关于秋天的短诗", "espeak-cmn")
    assert 2.0 < len(speech.samples) / speech.rate < 4.5


@pytest.mark.parametrize("text", ["-h", "--stdin", "$(exit 1); `ls` | cat", "'\"'", '(quit) "word'])
@pytest.mark.parametrize("voice", ["flite-slt", "espeak-en-029", "festival-slt"])
def test_text_is_never_a_command(voice: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks like an option, a shell command or Scheme is only read out."""
    need(VOICES[voice])
    monkeypatch.chdir(tmp_path)
    assert len(said(f"{text} word", voice).samples) > 1000
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_said_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refusal names its reason, before any engine is started."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/nowhere/{name}")
    flite = VOICES["flite-slt"]
    for voice, manner, reason in (
        (VOICES["flite-rms"], Manner(pitch=1.2), "cannot change its pitch"),
        (replace(flite, rate=False), Manner(rate=1.2), "cannot change its speed"),
        (flite, Manner(stressed=("Hello",)), "cannot stress"),
        (flite, Manner(emotion="happy"), "has no emotions"),
        (flite, Manner(rate=3.0), r"between 0\.5 and 2"),
    ):
        with pytest.raises(UsageError, match=reason):
            tts.speak("Hello", voice, manner)
    with pytest.raises(DataError, match="nothing to say"):
        tts.speak("  ", flite)
    with pytest.raises(DataError, match="markup"):
        tts.speak("<break/>", flite)
    with pytest.raises(UsageError, match="no engine 'x'; there are: pico"):
        tts.speak("Hello", Voice("v", "x", "", "en", "none"))


def test_missing_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which package to install."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(engines, "_version", engines._version.__wrapped__)
    flite = VOICES["flite-slt"]
    assert tts.missing(flite) == "flite is not installed (Debian: flite)"
    assert tts.engine_of(flite).version(flite) is None
    with pytest.raises(UsageError, match=r"voice 'flite-slt': flite is not installed"):
        tts.speak("Hello", flite)


ECHO = """
import sys, wave
text = sys.argv[1] if len(sys.argv) > 2 else sys.stdin.read()
file = wave.open(sys.argv[-1] if sys.argv[-1].endswith(".wav") else sys.stdout.buffer, "wb")
file.setparams((2, 2, 8000, 0, "NONE", ""))
file.writeframes(b"\\x00\\x10\\x00\\x10" * (1000 + len(text)))
file.close()
"""


@pytest.mark.parametrize(
    "arguments", [["{out}"], ["{text}", "{out}"], []], ids=["text on standard input", "text as argument", "to stdout"]
)
def test_a_command_is_a_voice(arguments: list[str], tmp_path: Path) -> None:
    """A program gets the text and gives a file, or prints it; two channels become one."""
    script = tmp_path / "voice.py"
    script.write_text(ECHO)
    voice = Voice("v", "command", "", "en", "none", command=(sys.executable, str(script), *arguments))
    speech = tts.speak("-x {out} 'two words'", voice)
    assert speech.rate == 8000
    # A dash in front would look like an option, so an argument gets a blank before it.
    assert len(speech.samples) == 1000 + len("-x {out} 'two words'") + (len(arguments) == 2)
    assert set(speech.samples) == {np.float32(0x1000 / 32768)}


@pytest.mark.parametrize(
    ("code", "said_about_it"),
    [("import sys; sys.exit('no such voice')", "failed: no such voice"), ("print('hello')", "is no audio")],
)
def test_a_command_that_fails_is_told(code: str, said_about_it: str) -> None:
    """Its own words are passed on."""
    voice = Voice("v", "command", "", "en", "none", command=(sys.executable, "-c", code))
    with pytest.raises(DataError, match=said_about_it):
        tts.speak("Hello", voice)
    absent = Voice("v", "command", "", "en", "none", command=("no-such-program",))
    assert tts.missing(absent) == "no-such-program is not installed or not on the path"


def test_cache_gives_back_what_was_said(tmp_path: Path) -> None:
    """The same words, voice and manner are said once; whatever differs is said anew; a broken file is made again."""
    count = tmp_path / "count"
    code = f"open({str(count)!r}, 'a').write('x'); import sys; {ECHO.replace(chr(10), '; ').strip('; ')}"
    voice = Voice("v", "command", "", "en", "none", command=(sys.executable, "-c", code))
    cache = tts.SpeechCache(tmp_path / "cache")
    first = cache.speak("Hello.", voice)
    again = cache.speak("Hello.", voice)
    assert np.array_equal(first.samples, again.samples)
    assert (first.rate, again.rate, count.read_text()) == (8000, 8000, "x")
    cache.speak("Hello!", voice)
    cache.speak("Hello.", replace(voice, setting="other"))
    assert count.read_text() == "xxx"
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:40])
    assert np.array_equal(cache.speak("Hello.", voice).samples, first.samples)
    assert count.read_text() == "xxxx"
