"""Audio files: every format to mono float32 at a rate, and what is no audio as a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from data import audio
from data.audio import AudioUnreadable

RATE = 16_000
FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "wav24": ("WAV", "PCM_24"),
    "wavfloat": ("WAV", "FLOAT"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
}


def sine(hertz: float, rate: int, seconds: float = 1.0, level: float = 0.5) -> np.ndarray:
    """Return a tone."""
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def loudest(samples: np.ndarray, rate: int) -> float:
    """Return the frequency in Hz at which there is most."""
    return float(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * rate / len(samples))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_decoded(tmp_path: Path, name: str) -> None:
    """What libsndfile writes is read as the tone that it is, whatever the file is called."""
    kind, subtype = FORMATS[name]
    if kind not in soundfile.available_formats():
        pytest.skip(f"this libsndfile has no {kind}")
    path = tmp_path / f"{name}.bin"
    soundfile.write(path, sine(440, RATE), RATE, format=kind, subtype=subtype)
    samples = audio.load(path, RATE)
    assert samples.dtype == np.float32
    assert samples.flags.c_contiguous
    assert samples.ndim == 1
    assert abs(len(samples) - RATE) < RATE / 10
    assert loudest(samples, RATE) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)


def test_lossless_samples_are_exact(tmp_path: Path) -> None:
    """At its own rate a lossless file comes back as it was written."""
    written = sine(440, RATE)
    soundfile.write(tmp_path / "a.wav", written, RATE, subtype="FLOAT")
    assert np.array_equal(audio.load(tmp_path / "a.wav", RATE), written)


def test_a_long_file_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are put together in order, also when the last is short or the file ends with a block."""
    written = sine(440, RATE)
    soundfile.write(tmp_path / "a.wav", written, RATE, subtype="FLOAT")
    for block in (7, 4000, len(written), len(written) + 1):
        monkeypatch.setattr(audio, "BLOCK", block)
        assert np.array_equal(audio.load(tmp_path / "a.wav", RATE), written)


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_channels_are_mixed_by_their_mean(tmp_path: Path, channels: int) -> None:
    """One loud channel among silent ones is as loud as its share; no channel is dropped."""
    tone = sine(440, RATE)
    for loud in range(channels):
        samples = np.zeros((len(tone), channels), np.float32)
        samples[:, loud] = tone
        soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
        assert audio.load(tmp_path / "a.wav", RATE) == pytest.approx(tone / channels, abs=1e-6)


@pytest.mark.parametrize("own_rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_resampling_keeps_pitch_length_and_level(tmp_path: Path, own_rate: int, channels: int) -> None:
    """A tone is the same tone at the wanted rate."""
    tone = sine(440, own_rate)
    soundfile.write(tmp_path / "a.wav", np.stack([tone] * channels, axis=1), own_rate, subtype="FLOAT")
    samples = audio.load(tmp_path / "a.wav", RATE)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(RATE, abs=2)
    assert loudest(samples, RATE) == pytest.approx(440, abs=2)
    assert np.abs(samples[1000:-1000]).max() == pytest.approx(0.5, rel=0.01)


def test_what_the_rate_cannot_carry_is_filtered_out(tmp_path: Path) -> None:
    """A tone above half the wanted rate does not come back as a lower one."""
    soundfile.write(tmp_path / "a.wav", sine(11_000, 48_000), 48_000, subtype="FLOAT")
    assert np.abs(audio.load(tmp_path / "a.wav", RATE)[1000:-1000]).max() < 0.01


def flac_that_names_no_length(path: Path, *, frames: int) -> None:
    """Write a FLAC as an encoder does that writes to a pipe: `frames` stands in its header, 0 for unknown."""
    soundfile.write(path, sine(440, RATE), RATE, format="FLAC")
    raw = bytearray(path.read_bytes())
    count = int.from_bytes(raw[21:26], "big") & ~((1 << 36) - 1)  # the low 36 bits of these bytes of STREAMINFO
    raw[21:26] = (count | frames).to_bytes(5, "big")
    path.write_bytes(raw)


@pytest.mark.parametrize("frames", [0, (1 << 36) - 1], ids=["unknown", "too many"])
def test_a_header_may_not_know_the_length(tmp_path: Path, frames: int) -> None:
    """A FLAC with an unknown or absurd length is read to its real end, without room for what it promises."""
    flac_that_names_no_length(tmp_path / "a.flac", frames=frames)
    samples = audio.load(tmp_path / "a.flac", RATE)
    assert len(samples) == RATE
    assert loudest(samples, RATE) == pytest.approx(440, abs=2)


def test_a_wav_whose_header_knows_no_length_is_read(tmp_path: Path) -> None:
    """A WAV that was written to a pipe promises four gigabytes and holds one second."""
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(440, RATE), RATE)
    raw = bytearray(path.read_bytes())
    raw[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(raw)
    assert len(audio.load(path, RATE)) == RATE


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("zero.wav", b""),
        ("text.wav", b"This is no audio at all.\n" * 50),
        ("head.wav", b"RIFF\x24\x00\x00\x00WAVE"),
        ("text.mp3", b"plain words\n" * 100),
        ("text.flac", b"fLaC" + b"\0" * 100),
        ("text.ogg", b"OggS" + b"\xff" * 100),
        ("noise.raw", b"1234" * 100),
        ("page.html", b"<html><body>404</body></html>"),
        ("pointer.wav", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    ],
)
def test_what_is_no_audio_is_said_so(tmp_path: Path, name: str, content: bytes) -> None:
    """Files that hold no audio give a reason of one line without the folder's name."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioUnreadable) as caught:
        audio.load(path, RATE)
    assert str(caught.value).startswith("audio unreadable: ")
    assert len(str(caught.value)) > len("audio unreadable: ")
    assert str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.wav", "folder"])
def test_a_path_without_a_file_is_said_so(tmp_path: Path, name: str) -> None:
    """A file that went away, or a folder, is a reason too."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(AudioUnreadable, match="audio unreadable: "):
        audio.load(tmp_path / name, RATE)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU"])
def test_a_file_without_samples_is_empty(tmp_path: Path, kind: str) -> None:
    """A header alone is no audio."""
    path = tmp_path / "a.bin"
    soundfile.write(path, np.zeros(0, np.float32), 48_000, format=kind)
    with pytest.raises(AudioUnreadable, match=r"^audio empty: no samples$"):
        audio.load(path, RATE)


def test_too_short_for_a_sample_is_empty(tmp_path: Path) -> None:
    """One sample at 48 kHz is none at 16 kHz; nothing of length 0 is ever returned."""
    soundfile.write(tmp_path / "a.wav", np.ones(1, np.float32) / 2, 48_000)
    with pytest.raises(AudioUnreadable, match=r"^audio empty: "):
        audio.load(tmp_path / "a.wav", RATE)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rate", [RATE, 48_000])
def test_samples_that_are_no_numbers_are_refused(tmp_path: Path, bad: float, rate: int) -> None:
    """One NaN or infinity anywhere spoils the file, and is said before it spreads by resampling."""
    samples = np.stack([sine(440, rate)] * 2, axis=1)
    samples[777, 1] = bad
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    with pytest.raises(AudioUnreadable, match="samples that are no numbers"):
        audio.load(tmp_path / "a.wav", RATE)


def test_silence_is_audio(tmp_path: Path) -> None:
    """A file of zeros is read as such; whether there is speech is not decided here."""
    soundfile.write(tmp_path / "a.ogg", np.zeros(RATE, np.float32), RATE)
    assert not audio.load(tmp_path / "a.ogg", RATE).any()
