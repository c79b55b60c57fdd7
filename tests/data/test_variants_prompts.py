"""From a line to what is said: whatever a rule looks for is said, in one piece, also where the speaker hesitates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.variants import disfluency, numbers
from data.variants.prompts import Prompt, read
from data.variants.recipe import PromptSet
from data.variants.spoken import spoken

pytest.importorskip("num2words", reason="the extra 'speech' is not installed")
pytest.importorskip("cn2an", reason="the extra 'speech' is not installed")

IFEVAL = Path(__file__).parents[1] / "golden" / "ifeval_gpt4.jsonl"
SAID_OTHERWISE = {"relation", "let_relation", "capital_relation", "language", "letter", "postscript_marker"}


def bare(text: str) -> str:
    """Return a text's words in lower case between blanks, without punctuation."""
    return " " + re.sub(r"\W+", " ", text.lower()).strip() + " "


def constraints(prompt: Prompt) -> Iterator[str]:
    """Yield what the rules look for and the prompt says as it is: texts, and numbers as words."""
    text = prompt.fields["prompt"]
    for arguments in prompt.fields["kwargs"]:
        for name, value in arguments.items():
            for wanted in value if isinstance(value, list) else [value]:
                if isinstance(wanted, int) and re.search(rf"(?<![\w.,:/-]){wanted}(?![\w.,:/-])", text):
                    yield numbers.number(str(wanted), "en")
                elif isinstance(wanted, str) and name not in SAID_OTHERWISE and bare(wanted) in bare(text):
                    yield spoken(wanted, "en", prompt.instructions)


def test_no_constraint_of_ifeval_is_lost() -> None:
    """All its 541 prompts: in the spoken form, and under three hesitations each."""
    found = 0
    for prompt in read(PromptSet((IFEVAL,))):
        hesitant = [disfluency.disfluent(prompt.words, seed, prompt.protected).text for seed in range(3)]
        for constraint in constraints(prompt):
            found += 1
            for said in (prompt.words, *hesitant):
                assert bare(constraint) in bare(said), prompt.fields["key"]
    assert found > 500


def one(folder: Path, **fields: Any) -> Prompt:
    """Return a line as a prompt."""
    path = folder / "prompts.jsonl"
    path.write_text(json.dumps(fields) + "\n", encoding="utf-8")
    lang = "zh" if re.search("[\u4e00-\u9fff]", fields["prompt"]) else "en"
    (prompt,) = read(PromptSet((path,), lang=lang))
    return prompt


KEYWORD = st.from_regex(re.compile(r"[A-Za-z]{2,8}(?:[-' /&][A-Za-z0-9]{1,6}){0,2}", re.ASCII), fullmatch=True)
HAN = st.text(st.sampled_from("春夏秋冬山水河湖桥树花鸟"), min_size=2, max_size=3)


@settings(deadline=None, max_examples=50)
@given(st.lists(KEYWORD, min_size=1, max_size=3), st.integers(0, 10_000), st.integers(1, 400))
def test_no_keyword_is_lost(tmp_path_factory: Any, keywords: list[str], seed: int, count: int) -> None:
    """Whatever the keywords are, of letters, digits and marks: they are said whole, and so is the number."""
    text = f"Write at least {count} words about the sea, and use the words " + " and ".join(f"'{k}'" for k in keywords)
    rules: Mapping[str, Any] = {"instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": keywords}]}
    prompt = one(tmp_path_factory.getbasetemp(), prompt=f"{text} in it.", **rules)
    for said in (prompt.words, disfluency.disfluent(prompt.words, seed, prompt.protected, least=4).text):
        for wanted in (*(spoken(keyword, "en") for keyword in keywords), numbers.number(str(count), "en")):
            assert bare(wanted) in bare(said)


@settings(deadline=None, max_examples=50)  # the first call loads a dictionary
@given(st.lists(HAN, min_size=1, max_size=3), st.integers(0, 10_000), st.integers(3, 400))
def test_no_chinese_keyword_is_lost(tmp_path_factory: Any, keywords: list[str], seed: int, count: int) -> None:
    """The same in Chinese."""
    pytest.importorskip("jieba", reason="the extra 'speech' is not installed")
    text = f"请写一篇关于大海的文章，至少{count}个字，并且用上{'、'.join(keywords)}这些词。"
    rules: Mapping[str, Any] = {"instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": keywords}]}
    prompt = one(tmp_path_factory.getbasetemp(), prompt=text, **rules)
    for said in (prompt.words, disfluency.disfluent(prompt.words, seed, prompt.protected, lang="zh", least=4).text):
        for wanted in (*keywords, numbers.number(str(count), "zh")):
            assert wanted in said
