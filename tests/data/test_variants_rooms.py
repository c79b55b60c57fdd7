"""Rooms: what an impulse response does to speech, and simulated ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from data.errors import DataError, UsageError
from data.variants import rooms
from data.variants.level import Samples, active, decibels, padded

RATE = 16000


def talk(seconds: float = 1.0) -> Samples:
    """Return bursts of noise with silence around them."""
    random = np.random.RandomState(3)
    time = np.arange(round(seconds * RATE)) / RATE
    return padded(
        (0.1 * (np.sin(2 * np.pi * 2.5 * time) > 0) * random.standard_normal(len(time))).astype(np.float32), RATE, 0.25
    )


def decay(rt60: float, delay: int = 0) -> Samples:
    """Return an impulse and noise behind it that decays by 60 dB in the given time."""
    length = round(1.5 * rt60 * RATE)
    tail = np.random.RandomState(4).standard_normal(length) * 10 ** (-3 * np.arange(length) / (rt60 * RATE))
    impulse = 0.05 * tail
    impulse[0] = 1.0
    return np.concatenate([np.zeros(delay), impulse]).astype(np.float32)


def given(tmp_path: Path, samples: Samples, rate: int = RATE) -> rooms.Recorded:
    """Write an impulse response."""
    path = tmp_path / "hall.wav"
    sf.write(path, samples, rate, subtype="FLOAT")
    return rooms.Recorded(str(path), "0" * 64)


def test_a_lone_impulse_changes_nothing(tmp_path: Path) -> None:
    """However late it comes: the direct sound is where the speech was."""
    speech = talk()
    impulse = np.zeros(4000, dtype=np.float32)
    impulse[1234] = 0.3
    kept = rooms.response(given(tmp_path, impulse), RATE, tmp_path)
    wet = rooms.reverberant(speech, kept, RATE)
    assert np.abs(wet[16 : 16 + len(speech)] - speech).max() < 1e-4


@pytest.mark.parametrize("rt60", [0.2, 0.6])
def test_level_is_kept_and_the_room_rings_on(rt60: float, tmp_path: Path) -> None:
    """The level over active speech is what it was; behind the speech there is sound that decays."""
    speech = talk()
    wet = rooms.reverberant(speech, rooms.response(given(tmp_path, decay(rt60, 300)), RATE, tmp_path), RATE)
    assert decibels(wet, active(wet, RATE)) == pytest.approx(decibels(speech, active(speech, RATE)), abs=0.01)
    assert len(wet) > len(speech)
    assert decibels(wet[-round(0.05 * RATE) :]) < decibels(wet, active(wet, RATE)) - 40


def test_response_is_cut_where_it_has_decayed(tmp_path: Path) -> None:
    """Silence and noise far below the sound cost nothing."""
    long = np.concatenate([decay(0.3), np.zeros(5 * RATE, dtype=np.float32)])
    kept = rooms.response(given(tmp_path, long), RATE, tmp_path)
    assert 0.15 < len(kept) / RATE < 0.45
    assert len(rooms.response(given(tmp_path, decay(0.3), 48000), RATE, tmp_path)) < len(kept) / 2


def test_what_is_no_response_is_refused(tmp_path: Path) -> None:
    """Silence, and a file that is no audio."""
    with pytest.raises(DataError, match=r"hall\.wav: a silent impulse response"):
        rooms.response(given(tmp_path, np.zeros(100, dtype=np.float32)), RATE, tmp_path)
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(DataError, match=r"text\.wav: audio unreadable"):
        rooms.response(rooms.Recorded(str(tmp_path / "text.wav"), ""), RATE, tmp_path)


def test_simulated_rooms(tmp_path: Path) -> None:
    """A pool depends on its seed, rooms decay as fast as they should, and each is computed once."""
    pytest.importorskip("pyroomacoustics", reason="the extra 'speech' is not installed")
    pool = rooms.pool(4, 7)
    assert pool == rooms.pool(4, 7) != rooms.pool(4, 8)
    assert rooms.pool(20, 7)[:4] == pool
    room = min(pool, key=lambda room: room.rt60)
    impulse = rooms.response(room, RATE, tmp_path)
    energy = np.cumsum(np.square(impulse[::-1].astype(float)))[::-1]
    level = 10 * np.log10(energy / energy[0])
    # T20: from -5 to -25 dB, three times that is the reverberation time.
    measured = 3 * (np.argmax(level < -25) - np.argmax(level < -5)) / RATE
    assert measured == pytest.approx(room.rt60, rel=0.35)
    (kept,) = tmp_path.iterdir()
    before = kept.stat().st_mtime_ns
    assert np.array_equal(rooms.response(room, RATE, tmp_path), impulse)
    assert kept.stat().st_mtime_ns == before
    assert 0.8 <= room.told()["simulated_room"]["distance_m"] <= 2.5


@pytest.mark.parametrize("count", [0, 21])
def test_number_of_rooms(count: int) -> None:
    """At most twenty."""
    with pytest.raises(UsageError, match="there can be 1 to 20"):
        rooms.pool(count, 1)
