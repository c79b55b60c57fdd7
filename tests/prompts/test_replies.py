"""Reading a grader's reply: the two ways, on good, odd and hostile text."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.replies import (
    ADJUST_KEYS,
    CLASSIFY_VERDICTS,
    UNREADABLE,
    AdjustVote,
    json_value,
    literal_list,
    literal_value,
    read_adjust_reply,
    read_classify_reply,
    read_open_reply,
    stored_values,
    verdicts_in,
)

READERS: tuple[Callable[[object], object], ...] = (
    read_open_reply,
    read_adjust_reply,
    read_classify_reply,
    literal_list,
    stored_values,
)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
PIECES = st.sampled_from([
    *"[](){}“”‘’［］【】（），、；：\"'`*.-•,;:# \n\t\u3000\u00a0\ufeff\\019",
    *("YES", "NO", "yes", "No", "```", "```json\n", "**", "Q1:", "Question 2.", "null", "True", "\ud800"),
    *("N/A", "n/a", "verdict", '{"verdict": "', "not applicable"),
    *(f'"{key}": "YES"' for key in ADJUST_KEYS),
])  # fmt: skip


def adjust_reply(after: object = "YES", before: object = "NO", content: object = "YES", **other: object) -> str:
    """Write an adjustment reply as a well-behaved grader does."""
    return json.dumps(dict(zip(ADJUST_KEYS, (after, before, content), strict=True)) | other, ensure_ascii=False)


def seconds(call: Callable[[object], object], reply: object) -> float:
    """Measure the processor's work on one call, whatever else the machine does."""
    start = time.thread_time()
    call(reply)
    return time.thread_time() - start


# --- open -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "verdicts"),
    [
        ("['YES', 'NO']", [True, False]),
        ("[[\"YES\"], ['YES']]", [True]),
        ("(YES; no)", [True, False]),
        ("(1) YES, 2) NO", [True, False]),
        ("(1) YES, NO)", [True, False]),
        ("YES 'NO'", [True, False]),
        ("YES **NO**", [True, False]),
        ("**YES **, NO", [True, False]),
        ("YES ' NO", [True, False]),
        ("YES.. , NO...", [True, False]),
        ("YES . NO ,.", [True, False]),
        ("***YES", [True]),
        ("- **1. YES", None),
        ("Q١: YES", [True]),
        ("YES\u3000NO\x85YES", [True, False, True]),
        ("Question\u00a01: “ＹES”", None),
        ("Que\u017ftion 1: YES", None),
        ("YE\u017f", None),
        ("YES,, NO", None),
        ("YES, NO,,", None),
        ("[YES, NO)", None),
        ("[YES, NO", None),
        ("(YES", None),
        ("YESNO", None),
        ("YES/NO", None),
        ("YES,'NO' or [YES]", [True]),
        ("YES 1 NO", None),
        ("Q 1: YES", None),
        ("( 1 ) YES", None),
        ("[YES] [NO, YES]", None),
        ("[YES,] {NO} [ yes ]", [True]),
        ('{"a": "yes .", "b": "NO"}', [True, False]),
        ('{"a": "YES", "b": true}', None),
        ('{"a": "YES", "b": "NO", "a": "NO"}', [False, False]),
        ("{'a': 'YES'}", None),
        ('"YES"', [True]),
        ("", None),
        ("\ufeff\ufeffYES", None),
        (" \ufeff YES \ufeff ", [True]),
    ],
)
def test_open_reply(reply: str, verdicts: list[bool] | None) -> None:
    """The grammar's corners are read as written in section 7."""
    assert read_open_reply(reply) == (None if verdicts is None else tuple(verdicts))


@pytest.mark.parametrize(
    ("reply", "verdicts"),
    [
        ("Draft [NO]\n```\nYES\n```", (True,)),
        ("```YES\nNO\n```", (False,)),
        ("```YES NO```", (True, False)),
        ("```\nnothing\n``` [NO]", (False,)),
        ("```\n[YES] or [NO]\n```\n[YES]", None),
        ("``` [YES] [NO]", None),
        ("[NO]\n```\nYES", (False,)),
        ("```\nnothing\n```\n```\nYES\n```", None),
        ("text ```\nYES\n``` text ```\nNO\n```", (True,)),
    ],
)
def test_open_fences(reply: str, verdicts: tuple[bool, ...] | None) -> None:
    """The first closed fence is tried before the whole reply, and a contradiction in it is final."""
    assert read_open_reply(reply) == verdicts


def whole_grammar() -> re.Pattern[str]:
    """Write section 7's grammar down as the one backtracking expression that must not be used on long replies."""
    word = "(?:[Yy][Ee][Ss]|[Nn][Oo])"
    question = "[Qq][Uu][Ee][Ss][Tt][Ii][Oo][Nn]"
    mark = rf"(?:(?:[Qq]|{question}\s*)?\d+[.):]|\(\d+\)|[-*•])"
    item = rf"""(?:{mark}\s*)?(?:\*\*)?["'`]?\s*{word}\s*\.?\s*["'`]?(?:\*\*)?\.?"""
    separator = r"(?:\s*[,;\n]\s*|\s+)"
    entries = rf"{item}(?:{separator}{item})*\s*,?"
    return re.compile(rf"\s*(?:\[\s*{entries}\s*\]|\(\s*{entries}\s*\)|{entries})\s*\.?\s*")


WHOLE = whole_grammar()


DRESSING = st.lists(
    st.sampled_from([*"()[].,;:'\"`*-•1 \n\t", " ", " ", "**", "Q1:", "(2)", "Question 3.", ", "]), max_size=4
).map("".join)
NEARLY_LISTS = st.tuples(
    st.lists(st.tuples(DRESSING, st.sampled_from(["YES", "no"])).map("".join), min_size=1, max_size=3).map("".join),
    DRESSING,
).map("".join)


@given(NEARLY_LISTS.filter(lambda text: "```" not in text))
def test_open_steps_accept_the_whole_grammar(text: str) -> None:
    """Reading by steps takes exactly the texts that the grammar as one expression takes, in the words' order."""
    words = tuple(word.lower() == "yes" for word in re.findall("yes|no", text, re.IGNORECASE))
    if WHOLE.fullmatch(text.strip()):
        assert read_open_reply(text) == words
    elif "[" not in text:
        assert read_open_reply(text) is None


@st.composite
def dressed_lists(draw: st.DrawFn) -> tuple[tuple[bool, ...], str]:
    """Draw verdicts and one of the many ways in which a grader may write them."""
    verdicts = tuple(draw(st.lists(st.booleans(), min_size=1, max_size=8)))
    blank = st.sampled_from(["", " ", "  ", "\t", "\u3000"])
    marks = ["", "{0}.", "{0})", "{0}：", "Q{0}:", "question {0}.", "({0})", "（{0}）", "-", "*", "•"]
    mark = draw(st.sampled_from(marks))
    bold = draw(st.sampled_from(["", "**"]))
    opening, closing = draw(st.sampled_from(["[]", "()", "［］", "【】", "（）", ("", "")]))
    separator = draw(st.sampled_from([", ", ",", "，", "、", ";", "；", "\n", "\n\n", "  ", " ,\n "]))
    items = []
    for number, verdict in enumerate(verdicts, start=1):
        left, right = draw(st.sampled_from(["''", '""', "``", "“”", "‘’", ("", "")]))
        word = draw(st.sampled_from(["YES", "Yes", "yes"] if verdict else ["NO", "No", "no"]))
        dot = draw(st.sampled_from(["", "."]))
        core = f"{bold}{left}{draw(blank)}{word}{dot}{draw(blank) if right else ''}{right}{bold}"
        items.append(f"{mark.format(number)}{draw(blank) if mark else ''}{core}")
    inner = separator.join(items) + draw(st.sampled_from(["", ",", " ,"]))
    text = f"{opening}{draw(blank)}{inner}{draw(blank)}{closing}{draw(st.sampled_from(['', '.', ' .']))}"
    frame = draw(st.sampled_from(["{0}", " {0}\n", "\ufeff{0}", "```\n{0}\n```", "```json\n{0}\n``` so be it"]))
    return verdicts, frame.format(text)


@given(dressed_lists())
def test_open_dressing_does_not_matter(dressed: tuple[tuple[bool, ...], str]) -> None:
    """A list of verdicts reads back the same in every allowed dressing."""
    verdicts, reply = dressed
    assert read_open_reply(reply) == verdicts


# --- adjustment -----------------------------------------------------------------------------------------------------

GOOD = AdjustVote(after=True, before=False, content=True)


@pytest.mark.parametrize(
    ("reply", "vote"),
    [
        (adjust_reply(), GOOD),
        (adjust_reply(reason="uses “{x}” and {y"), GOOD),
        (adjust_reply(" yes. ", "No", "YES ."), GOOD),
        (adjust_reply(content="YES.."), None),
        (adjust_reply(content=True), None),
        (adjust_reply(content=["YES"]), None),
        (adjust_reply(content=None), None),
        (adjust_reply("NO", "YES", "NO") + " no: " + adjust_reply(), None),
        (adjust_reply() + adjust_reply("yes", "no", "yes"), GOOD),
        ("so: {'x': " + adjust_reply() + "}", GOOD),
        ("{" + adjust_reply(), GOOD),
        ("} " + adjust_reply() + " }", GOOD),
        (adjust_reply().replace('"', "'"), GOOD),
        (adjust_reply().replace('"', "“"), GOOD),
        (adjust_reply().replace(":", "：").replace(",", "，"), GOOD),
        (adjust_reply().upper(), GOOD),
        ("Verdict: " + adjust_reply().replace("follow_after", "\\u0066ollow_after"), GOOD),
        ("Verdict: " + adjust_reply().replace('"follow_after_adjust"', "'follow' \"_after_adjust\""), GOOD),
        ("```\n" + adjust_reply() + "\n```\n" + adjust_reply("NO"), GOOD),
        ("```\nnothing\n```\n" + adjust_reply(), GOOD),
        ("```\n" + adjust_reply("NO") + adjust_reply() + "\n```\n" + adjust_reply(), None),
        ('{"follow_after_adjust": "YES", "follow_before_adjust": "NO"}', None),
        (adjust_reply()[:-1], None),
        ("YES NO YES", None),
    ],
)
def test_adjust_reply(reply: str, vote: AdjustVote | None) -> None:
    """An object with the three keys is found wherever it stands, and objects that differ are no vote."""
    assert read_adjust_reply(reply) == vote


@given(
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.permutations(range(3)),
    st.sampled_from(
        ["{0}", "```json\n{0}\n```", "Here: {0} - done.", "[{0}]", '{{"verdict": {0}}}', "\ufeff{0}", "{0}{0}"]
    ),
    st.sampled_from(['"', "'", "“", "”"]),
    st.sampled_from([str.upper, str.lower, str.title]),
)
def test_adjust_dressing_does_not_matter(
    verdicts: tuple[bool, bool, bool],
    order: list[int],
    frame: str,
    quote: str,
    case: Callable[[str], str],
) -> None:
    """A vote reads back the same in every key order, quote, letter case and wrapping."""
    words = [case("yes" if verdict else "no") for verdict in verdicts]
    pairs = ", ".join(f"{quote}{ADJUST_KEYS[place]}{quote}: {quote}{words[place]}{quote}" for place in order)
    assert read_adjust_reply(frame.format(f"{{{pairs}}}")) == AdjustVote(*verdicts)


# --- classification -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("YES", "YES"),
        ("no.", "NO"),
        (" n/a ", "N/A"),
        ("NA", "N/A"),
        ("Not applicable.", "N/A"),
        ("The final verdict is no!", "NO"),
        ('["YES"]', "YES"),
        ('{"verdict": "n/a"}', "N/A"),
        ("{'Verdict': 'No'}", "NO"),
        ('{"verdict": "YES"', "YES"),
        ('{"verdict": true}', None),
        ('{"reason": "the label is NO", "verdict": "YES"}', "YES"),
        ('{"verdict": "YES", "verdict": "NO"}', None),
        ('{"verdict": "YES"} {"verdict": "yes"}', "YES"),
        ("**Verdict:** no, it names another label.", "NO"),
        ("Verdict: no doubt about it. YES", "YES"),
        ("Verdict: no doubt about it.", None),
        ("verdict：“是”", None),
        ("判定：YES。", "YES"),
        ("Say YES to it all.", None),
        ("YES, or NO", None),
        ("**YES**: it names the label.", "YES"),
        ("The answer names the label, so there is no problem: YES", "YES"),
        ("The answer says NO as the label does. YES", None),
        ("The answer says YES as the label does. YES", "YES"),
        ("The answer says YES as the label does.", None),
        ("```\nyes\n```", "YES"),
        ("So:\n```text\nyes\n```", "YES"),
        ("NO\n```\nyes\n```", None),
        ("YES/NO", None),
        ("yes or no", None),
        ("nobody, nay, NOTHING, YESTERDAY", None),
        ("yes and so on", None),
        ("YE\u017f", None),
        ("", None),
        (None, None),
        (True, None),
    ],
)
def test_classify_reply(reply: object, verdict: str | None) -> None:
    """One verdict is found in an object, behind its name, in capitals or alone; two that differ are none."""
    assert read_classify_reply(reply) == verdict


PROSE = st.lists(st.sampled_from(["the label", "no", "yes", "is", "said,", "Nobody", "na", "\n", "(why?)"]), max_size=6)
FRAMES = (
    '{{"verdict": "{0}"}}',
    "{{'verdict': '{0}', 'reason': 'no'}}",
    '```json\n{{"verdict": "{0}"}}\n```',
    ": **{0}**.",
)


@given(st.sampled_from(CLASSIFY_VERDICTS), st.sampled_from(FRAMES), PROSE, PROSE)
def test_classify_dressing_and_prose_do_not_matter(
    verdict: str, frame: str, before: list[str], after: list[str]
) -> None:
    """One verdict reads back the same in every frame, with any prose in lower case round it."""
    reply = f"{' '.join(before)} {frame.format(verdict)} {' '.join(after)}"
    assert read_classify_reply(reply) == verdict
    assert {said for _, said in verdicts_in(reply)} == {verdict}


@given(st.permutations(CLASSIFY_VERDICTS), st.sampled_from(FRAMES), PROSE)
def test_classify_contradictions_are_no_verdict(verdicts: list[str], frame: str, between: list[str]) -> None:
    """Two different verdicts in the same form contradict each other, wherever they stand."""
    one, other, _ = (frame.format(verdict) for verdict in verdicts)
    assert read_classify_reply(f"{one} {' '.join(between)} {other}") is None


@given(st.text() | st.lists(PIECES, max_size=30).map("".join))
def test_classify_verdicts_are_of_the_three(text: str) -> None:
    """What is read is one of the three words; what is found has its place inside the text."""
    assert read_classify_reply(text) in (None, *CLASSIFY_VERDICTS)
    for (start, end), verdict in verdicts_in(text):
        assert verdict in CLASSIFY_VERDICTS
        assert 0 <= start < end <= len(text)


# --- the literal way ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "entries"),
    [
        (" \t['YES', True, 1]", ["YES", True, 1]),
        ("[]", []),
        ("[['YES']]", [["YES"]]),
        ("('YES',)", None),
        ("[YES]", None),
        ("[f('YES')]", None),
        ("[{[]}]", None),
        ("```['YES']```", None),
        ("\ufeff['YES']", None),
        (["YES"], None),
        (None, None),
    ],
)
def test_literal_list(reply: object, entries: list[object] | None) -> None:
    """Only what is literally a Python list counts, and its entries stay as they are."""
    assert literal_list(reply) == entries


@pytest.mark.parametrize(
    ("reply", "values"),
    [
        (adjust_reply("Yes", True, ["NO"]), ("Yes", True, ["NO"])),
        ('{"follow_after_adjust": null, "after_adjust_content_correct": "YES"}', (None,)),
        ('{"follow_before_adjust": "YES", "after_adjust_content_correct": "YES"}', ()),
        ("```" + adjust_reply() + "```", ()),
        ('"follow_after_adjust"', ()),
        ("[1]", ()),
        ("7", ()),
        (7, ()),
        (None, ()),
    ],
)
def test_stored_values(reply: object, values: tuple[object, ...]) -> None:
    """Values are stored in the order after, before, content up to the first missing key."""
    assert stored_values(reply) == values


def test_unreadable_is_no_value() -> None:
    """A null that was read differs from text that could not be read."""
    assert json_value("null") is None
    assert literal_value("None") is None
    assert json_value("nul") is UNREADABLE
    assert literal_value("open('x')") is UNREADABLE


# --- hostile replies ------------------------------------------------------------------------------------------------


@given(st.text() | JSON_VALUES | st.lists(PIECES, max_size=30).map("".join) | JSON_VALUES.map(json.dumps))
def test_no_reader_raises(reply: Any) -> None:
    """Whatever a reply is, every reader answers."""
    for reader in READERS:
        reader(reply)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param("[" * 50_000, id="brackets open"),
        pytest.param("[" * 50_000 + "]" * 50_000, id="brackets nested"),
        pytest.param("{" * 50_000 + "}" * 50_000, id="braces nested"),
        pytest.param("{}" * 50_000, id="braces in a row"),
        pytest.param('{"a":' * 16_000 + "1" + "}" * 16_000, id="objects nested"),
        pytest.param("(" * 100_000, id="parentheses"),
        pytest.param("-" * 100_000 + "1", id="signs"),
        pytest.param("1+" * 50_000 + "1", id="sums"),
        pytest.param("1" * 100_000, id="digits"),
        pytest.param("Q" + "1" * 50_000 + ": YES " + "2" * 50_000, id="long marks"),
        pytest.param("YES  " * 20_000 + "x", id="double blanks"),
        pytest.param("[" + "YES \n, " * 15_000 + "x]", id="double blanks in brackets"),
        pytest.param("YES" + " " * 50_000 + "NO" + " " * 50_000 + "x", id="long blanks"),
        pytest.param("YES" + ".'** " * 20_000 + "x", id="dressing only"),
        pytest.param("`" * 100_000, id="fences"),
        pytest.param('"' * 100_001, id="quotes"),
        pytest.param("\x00\ud800" * 50_000, id="no characters"),
        pytest.param("the final " * 10_000 + "verdict is", id="long beginnings"),
        pytest.param('"verdict" : ' * 10_000 + "nothing", id="names without a verdict"),
        pytest.param("verdict:" + " " * 100_000 + "yes" + " " * 100_000 + "x", id="a verdict far away"),
    ],
)
def test_hostile_replies_end_soon(reader: Callable[[object], object], reply: str) -> None:
    """Deep nesting and long runs make no reader raise or hang; nothing in them is a verdict, but for one word."""
    assert seconds(reader, reply) < 5
    assert reader(reply) in (None, ()) or (reader is read_classify_reply and re.findall("YES|NO", reply)[0] == "YES")


def test_long_list_is_read_in_linear_time() -> None:
    """A correct list of 20,000 entries with double blanks is read, and soon."""
    reply = "[" + " ,  ".join(["'YES'"] * 20_000) + " ]"
    assert seconds(read_open_reply, reply) < 5
    assert read_open_reply(reply) == (True,) * 20_000
