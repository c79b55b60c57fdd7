r"""How text that others wrote stands in a prompt: between marks that it cannot forge, with nothing hidden in it.

    <response 3f2a1b4c5d6e>
    what the model said
    </response 3f2a1b4c5d6e>

The code is taken from the SHA-256 of everything that is sent, so the same question renders to the same bytes, and it
stands nowhere in the fenced texts. What cannot be seen, and what imitates a mark of ours or a chat template's, is shown
as an escape (`\u202e`); all other text stays as it is. Why: docs/judging.md, "What the grader sees".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

DIGITS = 12
PARTS = ("request", "response", "questions", "label")
"""The placeholders whose values others wrote."""

# --- what is shown as an escape -------------------------------------------------------------------------------------

# The ranges are written out, not asked from `unicodedata`: bytes must not change with Python's version of Unicode.
_PICTURES = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001faff"
)
_HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_JOINING_SCRIPTS = "\u0600-\u109f\u1780-\u18af"  # Arabic to Myanmar, Khmer, Mongolian
_FLAG = re.compile(  # England, Scotland, Wales: the only flags that are spelt with tag characters
    "|".join(
        "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in region) + "\U000e007f"
        for region in ("gbeng", "gbsct", "gbwls")
    )
)
# Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt, Unicode 14; checked 2026-11-20), controls except
# tab and line feed, line separators, annotation marks, halves of surrogate pairs, and two codes that are no characters.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# A character that joins or varies its neighbours is ordinary text where it does so, once.
_JOINS_OR_VARIES = re.compile(
    rf"(?:(?<=[{_PICTURES}])|(?<=[{_PICTURES}]\ufe0f))\u200d(?=[{_PICTURES}])"
    rf"|(?<=[{_JOINING_SCRIPTS}])[\u200c\u200d]"
    rf"|(?<=[{_PICTURES}0-9#*])[\ufe0e\ufe0f]"
    rf"|(?<=[{_HAN}])[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)

# Marks of ours, with any code or none; chat templates' signs for a turn or for thinking, which many servers take for
# real ones when they stand in a message (ggml-org/llama.cpp issue 24382, huggingface/transformers issue 29279; read
# 2026-11-20). Runs are possessive or bounded, so that the time stays linear in the text.
_OPENING = re.compile(r"[<＜﹤‹〈⟨《«\[]")
_IMITATION = re.compile(
    rf"""
    [^\[] (?= [\s/／\\]*+ (?: (?:{"|".join(PARTS)}|question|answer)s?\b             # </response>
                           | [^>\n]{{0,40}}? (?<![0-9a-f])[0-9a-f]{{{DIGITS}}}(?![0-9a-f]) ) )
    | < (?= [|｜]\w                                                                  # <|im_start|>, <|turn>
          | [\w▁]{{1,40}}[|｜]>                                                      # <turn|>
          | /?(?:s|bos|eos|pad|unk|sop|eop|think|start_of_turn|end_of_turn)>
          | </?SYS>> )
    | \[ (?= /?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\] )
    """,
    re.IGNORECASE | re.VERBOSE,
)


def shown(text: str) -> str:
    """Return text as a grader gets it: hidden characters and imitated marks as escapes, CR LF as a line feed."""
    # JSON may spell one character as two escapes of half a character each; here they become one again.
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass").replace("\r\n", "\n")
    visible = _HIDDEN.sub(lambda match: match[0] if _is_ordinary(match) else _escape(match[0]), whole)
    return _OPENING.sub(
        lambda match: _escape(match[0]) if _IMITATION.match(visible, match.start()) else match[0], visible
    )


def _is_ordinary(match: re.Match[str]) -> bool:
    """Return whether a hidden character does its proper work where it stands."""
    text, place = match.string, match.start()
    if _JOINS_OR_VARIES.match(text, place):
        return True
    flag = _FLAG.match(text, max(text.rfind("\U0001f3f4", max(place - 6, 0), place), 0))
    return flag is not None and flag.end() > place


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


# --- marks ----------------------------------------------------------------------------------------------------------


def code_of(texts: Sequence[str], *, digits: int = DIGITS) -> str:
    """Return the code for the marks round these texts: hexadecimal digits that stand in none of them.

    It is the start of a hash of all texts together. Whoever writes one of them cannot know it, short of trying some
    2^48 wordings; a text that holds its own code all the same (or a million guesses) only makes the hash be taken anew.

    Args:
        texts: everything that is sent: the templates and their values.
        digits: length of the code.
    """
    lowered = [text.lower() for text in texts]
    attempt = 0
    while True:
        digest = hashlib.sha256(json.dumps([attempt, *texts]).encode("ascii")).hexdigest()[:digits]
        if not any(digest in text for text in lowered):
            return digest
        attempt += 1


def fenced(name: str, text: str, code: str) -> str:
    """Return text between its two marks, each on a line of its own."""
    return f"<{name} {code}>\n{text}\n</{name} {code}>"
