"""The table of voices, espeak-ng's, and a user's own file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from data.variants import tts, voices
from data.variants.voices import VOICES, Voice


def test_table_states_licences() -> None:
    """No voice without a licence, a package and a language tag."""
    for name, row in VOICES.items():
        assert row.name == name
        assert row.licence
        assert row.package.startswith(("pip: ", "Debian: "))
        assert row.language in ("en", "zh", "de", "es", "fr", "it")
        assert row.tag == voices.tag(row.tag)
        assert row.engine in tts.ENGINES


def test_unknown_voice_is_refused() -> None:
    """The message lists what there is."""
    with pytest.raises(UsageError, match="no voice 'hal'; there are: mine, pico-en-us"):
        voices.named("hal", {"mine": Voice("mine", "server", "", "en", "")})


def test_espeak_offers_its_languages() -> None:
    """Any voice of the installed espeak-ng can be named; those that need MBROLA cannot."""
    found = voices.espeak_voices()
    if not found:
        pytest.skip("espeak-ng is not installed")
    assert voices.named("espeak-sv").language == "sv"
    assert found["espeak-fr-be"].tag == "fr-BE"
    assert found["espeak-cmn"].language == found["espeak-yue"].language == "zh"
    assert not [name for name in found if "mb" in name.split("-")]
    assert voices.named("espeak-cmn") is VOICES["espeak-cmn"]  # the table goes first


@pytest.mark.parametrize(
    ("written", "usual"),
    [
        ("en-gb-scotland", "en-GB-scotland"),
        ("ES-419", "es-419"),
        ("cmn-latn-pinyin", "cmn-Latn-pinyin"),
        ("vi-vn-x-central", "vi-VN-x-central"),
        ("en-x-l1-hi", "en-x-l1-hi"),
    ],
)
def test_tags_have_their_usual_case(written: str, usual: str) -> None:
    """Regions in capitals, scripts with one, private parts as they are in lower case."""
    assert voices.tag(written) == usual


OWN = """
[loud]
engine = "server"
base_url = "http://localhost:1/v1"
model = "m"
setting = "alloy"
tag = "en-US"
licence = "MIT"
emotion = true

[piper]
engine = "command"
command = ["piper", "{out}"]
tag = "de-AT"
licence = "MIT"
rate = true
"""


def test_own_voices_are_read(tmp_path: Path) -> None:
    """What such a voice can do itself is only what its file says."""
    path = tmp_path / "voices.toml"
    path.write_text(OWN)
    loud, piper = voices.read(path).values()
    assert (loud.name, loud.emotion, loud.rate, loud.pitch) == ("loud", True, False, False)
    assert (piper.command, piper.language, piper.rate, piper.pitch) == (("piper", "{out}"), "de", True, False)
    assert voices.named("piper", {"piper": piper}) is piper


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no voice"),
        ("x = ", "not TOML"),
        ("x = 1", r"field 'x': is no voice"),
        (OWN.replace('model = "m"\n', ""), r"field 'loud\.model': missing"),
        (OWN.replace('licence = "MIT"\nemotion', "emotion"), r"field 'loud\.licence': missing"),
        (OWN.replace("true", '"yes"', 1), r"field 'loud\.emotion': must be true or false"),
        (OWN.replace('["piper", "{out}"]', '"piper"'), r"field 'piper\.command': must be a list of texts"),
        (OWN.replace('["piper", "{out}"]', "[]"), r"field 'piper\.command': must be a list of texts"),
        (OWN.replace("de-AT", "deutsch!"), r"field 'piper\.tag': 'deutsch!' is no BCP 47 tag"),
        (OWN + 'volume = "1"', r"field 'piper\.volume': unknown; known: engine"),
    ],
)
def test_what_is_wrong_with_own_voices_is_named(text: str, said: str, tmp_path: Path) -> None:
    """File, voice and field are named."""
    path = tmp_path / "voices.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        voices.read(path)


def test_missing_file_of_voices(tmp_path: Path) -> None:
    """One line instead of a traceback."""
    with pytest.raises(DataError, match="cannot be read: No such file"):
        voices.read(tmp_path / "none.toml")


@given(st.from_regex(re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}", re.ASCII), fullmatch=True))
def test_case_is_all_that_changes_in_a_tag(written: str) -> None:
    """A tag in its usual case is the same tag, and stays as it is."""
    assert voices.tag(written).lower() == written.lower()
    assert voices.tag(voices.tag(written)) == voices.tag(written)
