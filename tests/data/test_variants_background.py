"""Noise and its mixing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from data.variants.background import KINDS, check_ratio, heard_talkers, mix, noise, recorded, recordings
from data.variants.level import PEAK, Samples, active, decibels, levelled, padded, resampled

RATE = 16000


def talk(seconds: float = 1.5, seed: int = 1, gain: float = 0.2) -> Samples:
    """Return something like speech: bursts of sound with pauses between and around them."""
    random = np.random.RandomState(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    bursts = (np.sin(2 * np.pi * 2.5 * time) > 0) * np.sin(2 * np.pi * 180 * time)
    return padded((gain * bursts * random.uniform(0.5, 1.0, len(time))).astype(np.float32), RATE, 0.25)


def power_ratio_db(speech: Samples, added: Samples) -> float:
    """Measure the ratio anew, in dB, where the speech of this module sounds."""
    frames = [slice(i, i + 320) for i in range(0, len(speech) - 319, 320)]
    loud = [frame for frame in frames if np.mean(speech[frame] ** 2) > 1e-3 * np.max(speech**2)]
    parts = [(np.mean(speech[f].astype(float) ** 2), np.mean(added[f].astype(float) ** 2)) for f in loud]
    signal, unwanted = np.sum(parts, axis=0)
    return float(10 * np.log10(signal / unwanted))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 5.0, 10.0, 15.0, 30.0])
def test_ratio_is_achieved(kind: str, snr_db: float) -> None:
    """What was asked for is what is measured, by the function and apart from it."""
    speech = talk()
    mixture = mix(speech, noise(kind, len(speech), RATE, 7, [talk(seed=s) for s in range(8)]), RATE, snr_db)
    assert mixture.snr_db == pytest.approx(snr_db, abs=0.01)
    assert power_ratio_db(mixture.speech, mixture.samples - mixture.speech) == pytest.approx(snr_db, abs=0.2)


@settings(max_examples=40, deadline=None)
@given(
    snr_db=st.floats(-10, 40),
    gain=st.floats(0.01, 1.0),
    seconds=st.floats(0.5, 2.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_ratio_holds_at_any_level_without_clipping(snr_db: float, gain: float, seconds: float, seed: int) -> None:
    """Loud speech makes the whole mixture quieter instead of clipping it."""
    speech = talk(seconds, gain=gain)
    mixture = mix(speech, noise("pink", len(speech), RATE, seed), RATE, snr_db)
    assert float(np.abs(mixture.samples).max()) <= PEAK + 1e-6
    assert mixture.snr_db == pytest.approx(snr_db, abs=0.2)
    assert np.allclose(mixture.samples, mixture.speech + mixture.noise, atol=1e-6)


def test_pauses_do_not_flatter_the_ratio() -> None:
    """Silence around the speech changes nothing."""
    speech = talk()
    longer = padded(speech, RATE, 3.0)
    sound = noise("pink", len(longer), RATE, 3)
    assert mix(longer, sound, RATE, 10.0).snr_db == pytest.approx(10.0, abs=0.01)
    assert active(longer, RATE).sum() == pytest.approx(active(speech, RATE).sum(), abs=2 * 320)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_depends_on_its_seed_alone(kind: str) -> None:
    """Same seed, same noise; other seed, other noise; mean square 1."""
    talkers = [talk(seed=s) for s in range(3)]
    first, again, other = (noise(kind, 8000, RATE, seed, talkers) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert float(np.mean(first**2)) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("kind", "slope"), [("pink", -3.0), ("brown", -6.0), ("white", 0.0)])
def test_colour_falls_with_frequency(kind: str, slope: float) -> None:
    """The spectrum falls by 3 or 6 dB an octave."""
    spectrum = np.abs(np.fft.rfft(noise(kind, 16 * RATE, RATE, 5))) ** 2
    frequency = np.fft.rfftfreq(16 * RATE, 1 / RATE)
    octaves = [10 * np.log10(spectrum[(frequency >= f) & (frequency < 2 * f)].mean()) for f in (250, 500, 1000, 2000)]
    assert np.diff(octaves) == pytest.approx(slope, abs=0.3)


def test_what_cannot_be_mixed_is_refused() -> None:
    """Unknown noise, babble of nobody, silence, and noise that ends too early."""
    with pytest.raises(UsageError, match="no noise 'rain'"):
        noise("rain", 100, RATE, 1)
    with pytest.raises(UsageError, match="talkers"):
        noise("babble", 100, RATE, 1)
    silence = np.zeros(RATE, dtype=np.float32)
    with pytest.raises(DataError, match="silent"):
        mix(silence, noise("pink", RATE, RATE, 1), RATE, 5.0)
    with pytest.raises(DataError, match="no level"):
        mix(talk(), np.zeros(5 * RATE, dtype=np.float32), RATE, 5.0)
    with pytest.raises(DataError, match="too short"):
        mix(talk(), noise("pink", 100, RATE, 1), RATE, 5.0)
    with pytest.raises(DataError, match="shorter than 20 ms"):
        active(np.ones(10, dtype=np.float32), RATE)


def test_level_is_set_over_active_speech() -> None:
    """The level is reached, or the peak limits it."""
    quiet = levelled(talk(), RATE, -30.0)
    assert decibels(quiet, active(quiet, RATE)) == pytest.approx(-30.0, abs=0.01)
    assert float(np.abs(levelled(talk(), RATE, 10.0)).max()) == pytest.approx(PEAK, abs=1e-4)


def test_resampling_keeps_the_duration() -> None:
    """One second stays one second; the same rate leaves the samples alone."""
    pytest.importorskip("soxr", reason="soxr comes with the extras 'speech' and 'embedded'")
    samples = talk(1.0)
    assert len(resampled(samples, RATE, 8000)) == len(samples) // 2
    assert resampled(samples, RATE, RATE) is samples


@pytest.mark.parametrize("snr_db", [-20.1, 51.0, float("nan"), float("inf")])
def test_ratio_out_of_reach_is_refused(snr_db: float) -> None:
    """The reachable ones are named."""
    with pytest.raises(UsageError, match="cannot be reached; give one from -20 to 50 dB"):
        check_ratio(snr_db)
    with pytest.raises(UsageError, match="cannot be reached"):
        mix(talk(), noise("pink", 5 * RATE, RATE, 1), RATE, snr_db)


def test_only_what_is_heard_is_asked_for() -> None:
    """Of many talkers six are taken, and it can be told beforehand which."""

    class Counting(Sequence[Samples]):
        asked: list[int]

        def __init__(self) -> None:
            self.asked = []

        def __len__(self) -> int:
            return 50

        def __getitem__(self, index: int) -> Samples:  # type: ignore[override]
            self.asked.append(index)
            return talk(seed=index)

        def __iter__(self) -> Iterator[Samples]:
            raise AssertionError

    talkers = Counting()
    noise("babble", RATE, RATE, 9, talkers)
    assert talkers.asked == heard_talkers(50, 9)
    assert len(set(talkers.asked)) == 6


def recording(path: Path, seconds: float, *, silent_from: float = 99.0, rate: int = 22050) -> Path:
    """Write a stereo recording of noise."""
    samples = 0.1 * np.random.RandomState(1).standard_normal((round(seconds * rate), 2))
    samples[round(silent_from * rate) :] = 0
    sf.write(path, samples, rate)
    return path


def test_recordings_are_found_and_cut(tmp_path: Path) -> None:
    """From a seeded place; what is too short is looped; the ratio is reached on what was cut."""
    (tmp_path / "deep").mkdir()
    long, short = recording(tmp_path / "long.wav", 6.0), recording(tmp_path / "deep" / "short.flac", 0.7)
    (tmp_path / "notes.txt").write_text("no audio")
    assert recordings(tmp_path) == [short, long]
    speech = talk()
    for path in (long, short):
        sound, start = recorded(path, speech, RATE, 5)
        again, again_start = recorded(path, speech, RATE, 5)
        assert (len(sound), start) == (len(speech), again_start)
        assert np.array_equal(sound, again)
        assert mix(speech, sound, RATE, 5.0).snr_db == pytest.approx(5.0, abs=0.01)
    assert len({recorded(long, speech, RATE, seed)[1] for seed in range(5)}) == 5


def test_a_pause_is_no_noise(tmp_path: Path) -> None:
    """A recording that falls silent is used where it is not; one that is all silence is refused."""
    speech = talk(0.5)
    path = recording(tmp_path / "half.wav", 20.0, silent_from=10.0)
    assert all(recorded(path, speech, RATE, seed)[1] < 10.0 for seed in range(10))
    silence = recording(tmp_path / "silence.wav", 3.0, silent_from=0.0)
    with pytest.raises(DataError, match=r"silence\.wav: silent wherever noise was looked for"):
        recorded(silence, speech, RATE, 1)


def test_folder_without_audio_is_refused(tmp_path: Path) -> None:
    """An empty folder, a missing one, and a file that is no audio."""
    with pytest.raises(DataError, match="holds no audio"):
        recordings(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        recordings(tmp_path / "none")
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    with pytest.raises(DataError, match=r"broken\.wav: audio unreadable"):
        recorded(broken, talk(), RATE, 1)
