"""What the rules build on: characters, Punkt, langdetect, and patterns that come from the data."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from data.errors import UsageError
from evaluators.rules import check, detect, patterns, sentences, text

RUNAWAY = ("(a+)+$", "a" * 40 + "b")


def test_cjk_class() -> None:
    """The character classes are those of section 5, letter by letter."""
    kana = {
        code
        for first, last in ((0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F))
        for code in range(first, last + 1)
        if unicodedata.category(chr(code))[0] == "L"
    }
    assert {code for code in range(sys.maxunicode + 1) if re.match(f"[{text.KANA}]", chr(code))} == kana
    assert text.count_han("㐀䶿一鿿豈\U00020000\U000323af々〇") == 9
    assert text.count_han("한ねㄅ、") == 0


def test_folding_is_ignorecase() -> None:
    """Two characters fold to the same one exactly if `re.IGNORECASE` takes them for the same."""
    classes = defaultdict(set)
    cased = [char for char in map(chr, range(sys.maxunicode + 1)) if char.lower() != char or char.casefold() != char]
    related = {other for char in cased for other in (char, *char.lower(), *char.upper(), *char.casefold())}
    related |= {chr(code) for code in range(0x1E00, 0x2000)} | set("ıſ\ufb05\ufb06")
    for char in related:
        classes[text.fold_case(char)].add(char)
    joined = "".join(sorted(related))
    for char in related:
        assert set(re.findall(re.escape(char), joined, re.IGNORECASE)) == classes[text.fold_case(char)], char


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("snake_case", ["snake", "case"]),
        ("don't", ["don", "t"]),
        ("हिन्दी", ["हिन्दी"]),
        ("❤️", []),
        ("我用iPhone15好", ["iPhone15"]),
        ("½①", ["½①"]),
        ("\u0301a\u0301b 한국", ["a\u0301b", "한국"]),
        ("〇a々", ["a"]),
    ],
)
def test_tokens(content: str, expected: list[str]) -> None:
    """Tokens are those of section 5."""
    assert [content[start:end] for start, end in text.tokens(content)] == expected
    inside = [at for start, end in text.tokens(content) for at in range(start + 1, end)]
    assert [at for at, flag in enumerate(text.insides(content)) if flag] == inside


@pytest.mark.parametrize("content", ["Hi there.\nIt's 3.5 (ok.) Mr. X said “no”. DON'T!", "", "...", "a\ud800. B"])
def test_word_tokens_are_nltk_s(content: str) -> None:
    """The tokens are those of NLTK's own two steps, sentence by sentence."""
    from nltk.tokenize.destructive import NLTKWordTokenizer  # type: ignore[import-untyped]  # NLTK has no types

    whole = sentences._splitter().tokenize(content)
    assert list(sentences.sentences(content)) == whole
    assert sentences.count_sentences(content) == len(whole)
    wanted = [token for sentence in whole for token in NLTKWordTokenizer().tokenize(sentence)]
    assert list(sentences.word_tokens(content)) == wanted


def test_missing_punkt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the data one line says what to install."""
    monkeypatch.setattr(sentences, "_from_nltk", lambda: None)
    monkeypatch.setattr(sentences, "_from_carrier", lambda: lambda name: (tmp_path / name).read_bytes())
    with pytest.raises(UsageError, match=r"missing: run .*nltk\.downloader --force punkt_tab"):
        sentences._model_files()


def test_carrier_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is not installed carries no data."""
    monkeypatch.setattr(sentences, "_CARRIER", "no-such-package-at-all")
    assert sentences._from_carrier() is None


def test_the_first_pinned_copy_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """NLTK's own folders come first; a copy there that is incomplete or another version is passed over."""
    pinned = sentences._model_files()

    def incomplete(name: str) -> bytes:
        raise FileNotFoundError(name)

    for other in (incomplete, lambda _name: b"another version"):
        for first, second in ((other, pinned.__getitem__), (pinned.__getitem__, other)):
            monkeypatch.setattr(sentences, "_from_nltk", lambda read=first: read)
            monkeypatch.setattr(sentences, "_from_carrier", lambda read=second: read)
            assert sentences._model_files() == pinned


def test_other_punkt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data that is nowhere the pinned one is refused in one line."""
    for source in ("_from_nltk", "_from_carrier"):
        monkeypatch.setattr(sentences, source, lambda: lambda _name: b"another version")
    with pytest.raises(UsageError, match="not the pinned one") as caught:
        sentences._model_files()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "This is a plain English sentence about the weather in spring.",
        "Das Wetter ist heute sehr schön, und wir gehen mit unseren Freunden spazieren.",
        "今天天气很好，我们去公园散步。",
        "yes",
        "Hello!",
        "je ne sais pas what this is 123",
        "\ud800 abc",
    ],
)
def test_detection_is_langdetect_s(content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our quicker loops give the library's own answer under seed 0, in any order of calls."""
    import langdetect  # type: ignore[import-untyped]  # no types

    monkeypatch.setattr(langdetect.DetectorFactory, "seed", 0)
    monkeypatch.setattr(langdetect.detector_factory, "_factory", None)
    first = detect.detected(content)
    assert first == langdetect.detect(content)
    detect.detected.cache_clear()
    detect.detected("Another text that comes before it.")
    assert detect.detected(content) == first


@pytest.mark.parametrize("content", ["12345", "😀", "http://example.org", "\x00"])
def test_nothing_to_detect(content: str) -> None:
    """Without features there is no answer."""
    assert detect.detected(content) is None


@pytest.mark.parametrize(
    ("content", "english"),
    [
        ("", False),
        ("123", False),
        ("yes", True),
        ("abcdefghi" + "я", True),
        ("abcdefgh" + "я", False),
        ("ｆｕｌｌ ｗｉｄｔｈ", False),
        ("a" * 29, True),
        ("das wetter ist heute sehr schön und wir gehen spazieren", False),
    ],
)
def test_english(content: str, english: bool) -> None:
    """E(t) of section 5 at its limits."""
    assert detect.is_english(content) is english


def test_libraries_are_imported_late() -> None:
    """Importing the rules imports neither NLTK nor langdetect, and no text without need for them does."""
    code = (
        "import sys, evaluators.rules as rules\n"
        "rules.check('punctuation:no_comma', {}, 'a', 'reference')\n"
        "rules.check('change_case:english_capital', {}, 'a', 'reference')\n"
        "print([name for name in ('nltk', 'langdetect', 'subprocess', 'fractions') if name in sys.modules])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=root, text=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("rule", "arguments"),
    [
        ("keywords:existence", {"keywords": [RUNAWAY[0]]}),
        ("detectable_format:multiple_sections", {"section_spliter": "(a+)+x", "num_sections": 1}),
    ],
)
def test_runaway_pattern(rule: str, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern that would run for ages is an error that says so; handler and timer are as before."""
    monkeypatch.setattr(patterns, "SECONDS", 0.2)
    before = signal.getsignal(signal.SIGVTALRM)
    strict, loose = check(rule, arguments, RUNAWAY[1], "reference")
    assert (strict.flag, strict.met, loose.met) == ("error", False, False)
    assert "takes more than 0.2 s" in strict.found
    assert signal.getsignal(signal.SIGVTALRM) == before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def _in_thread(call: Any) -> list[Any]:
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(call())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found


def test_patterns_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Off the main thread the answers are the same, and a runaway pattern is bounded too."""
    assert _in_thread(lambda: patterns.matches("findall", "(a)|.b", "a\ud800b", re.IGNORECASE)) == [2]
    (broken,) = _in_thread(lambda: patterns.matches("search", "(a", "a"))
    assert isinstance(broken, re.error)
    monkeypatch.setattr(patterns, "SECONDS", 0.2)
    (slow,) = _in_thread(lambda: patterns.matches("search", *RUNAWAY))
    assert isinstance(slow, patterns.PatternTooSlow)


@pytest.mark.parametrize(
    ("method", "pattern", "content", "number"),
    [("search", "b", "abc", 1), ("search", "d", "abc", 0), ("findall", "", "ab", 3), ("split", r"(\d)", "a1b2c", 5)],
)
def test_matches(method: patterns.Method, pattern: str, content: str, number: int) -> None:
    """The plain and the limited way count alike."""
    assert patterns.matches(method, pattern, content, plain=True) == number
    assert patterns.matches(method, pattern, content) == number


@pytest.mark.parametrize(("keyword", "plain"), [("Section", True), ("a b-c#", True), ("好", True), ("C++", False)])
def test_plain_keywords(keyword: str, plain: bool) -> None:
    """Only keywords without metacharacters are known to be harmless."""
    assert patterns.is_plain(keyword) is plain
