"""The yes/no questions of an open item, in any of the forms that data sets store them in.

Rules: docs/open-adjust.md section 1.
"""

from __future__ import annotations

import re

from prompts.replies import json_value, literal_value

_LINE_END = re.compile(r"\r\n|\r|\n")


def question_list(decomposed_questions: object) -> list[str] | None:
    """Return the questions of an item as separate texts.

    Args:
        decomposed_questions: the field of that name: a sequence of questions, or one string that is a JSON or Python
            list of strings, or a string with one question per line (blank lines do not count).

    Returns:
        One text per question; None where the questions are unknown: the field is absent, null or of another type.

    Source: docs/open-adjust.md section 1.
    """
    if isinstance(decomposed_questions, list | tuple):
        return [str(question) for question in decomposed_questions]
    if not isinstance(decomposed_questions, str):
        return None
    text = decomposed_questions.strip()
    for value in (json_value(text), literal_value(text)):
        if isinstance(value, list) and all(isinstance(question, str) for question in value):
            return value
    return [line.strip() for line in _LINE_END.split(text) if line.strip()]
