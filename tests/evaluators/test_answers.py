"""Remarks about answers: empty, cut off, refusals, another language; and what is none of these."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.answers import REMARKS, remarks

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m really sorry, I cannot play audio files here.",
    "Sorry, I can't assist with this request.",
    "Unfortunately, I am unable to process the audio.",
    "I cannot listen to recordings, but if you type your question I will answer it.",
    "I'm not able to hear what you said.",
    "I am unable to provide that.",
    "As an AI language model, I don't have access to live weather.",
    "As a text-based assistant, I cannot hear your voice.",
    '"I can\'t comply with that."',
    "I apologize, but I do not understand the request.",
    "抱歉，我无法完成这个请求。",
    "很抱歉，我不能提供相关信息。",
    "对不起,我听不清您说的话。",
    "我无法直接播放音频。",
    "作为一个AI语言模型，我没有实时信息。",
    "作为人工智能，我不能回答这个问题。",
]
ANSWERS = [
    "I can't wait to tell you about the sea!",
    "Sorry seems to be the hardest word, as the song goes.",
    "Dear Anna, I am sorry that I missed your birthday.",
    "Here is a letter: I'm sorry, but the parcel is late.",
    "Unfortunately, the harbour closed in 1902.",
    "As an AI pioneer, Turing asked whether machines think.",
    "Cannot is one word.",
    "I cannot tell a lie, said George.",
    "抱歉信的写法如下：先写称呼。",
    "我不能说的秘密是一部电影。",
    "作为一个老师，你应该耐心。",
    "遗憾的是，船已经开了。",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals(text: str) -> None:
    """Answers that open with not being able or willing to answer."""
    assert remarks({"response": text}, None) == ("refusal",)


@pytest.mark.parametrize("text", ANSWERS)
def test_answers_are_no_refusals(text: str) -> None:
    """Regret and inability inside an answer's matter are part of the answer."""
    assert remarks({"response": text}, None) == ()


@pytest.mark.parametrize(
    ("fields", "lang", "found"),
    [
        ({"response": None}, "en", ()),
        ({}, "en", ()),
        ({"response": " \n"}, "en", ("empty",)),
        ({"response": "", "finish_reason": "length"}, "en", ("empty",)),
        ({"response": "Once upon a", "finish_reason": "length"}, "en", ("truncated",)),
        ({"response": "Done.", "finish_reason": "stop"}, "en", ()),
        ({"response": "从前有一个渔夫，他住在海边的一个小村子里，每天都出海。"}, "en", ("other_language",)),
        ({"response": "从前有一个渔夫，他住在海边的一个小村子里，每天都出海。"}, "zh", ()),
        ({"response": "从前有一个渔夫，他住在海边的一个小村子里，每天都出海。"}, None, ()),
        ({"response": "Once upon a time there was a fisherman."}, "zh", ("other_language",)),
        ({"response": "Once upon a time there was a fisherman."}, "en", ()),
        ({"response": "Der Fischer fährt schöne Äpfel über den großen Fluß."}, "en", ()),
        ({"response": "むかしむかし、あるところにおじいさんとおばあさんがいました。"}, "zh", ("other_language",)),
        ({"response": "42"}, "zh", ()),
        ({"response": "OK, 好的。"}, "zh", ()),
        (
            {
                "response": "Once upon a time there was a fisherman.",
                "instruction_id_list": ["language:response_language"],
            },
            "zh",
            (),
        ),
        (
            {"response": "很抱歉，我无法处理您提供的音频文件，请您用文字再说一遍吧。", "finish_reason": "length"},
            "en",
            ("truncated", "refusal", "other_language"),
        ),
    ],
)
def test_remarks(fields: dict[str, object], lang: str | None, found: tuple[str, ...]) -> None:
    """Each remark has its own sign, and an answer may earn several."""
    assert remarks(fields, lang) == found


@given(st.text(), st.sampled_from(["en", "zh", None]))
def test_any_text_can_be_remarked_on(text: str, lang: str | None) -> None:
    """Whatever the answer is, the remarks are among the known ones."""
    assert set(remarks({"response": text}, lang)) <= set(REMARKS)
