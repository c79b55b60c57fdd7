"""The bundled attacks: each is tried on the rendered request, on the reader, and on a real tokenizer."""

from __future__ import annotations

import json
import re
import unicodedata
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data import jsonl
from judges import attacks
from judges.attacks import AIMS, PLACES, Attack
from judges.tasks import TASKS, Task
from prompts import fencing, templates
from prompts.replies import read_adjust_reply, read_classify_reply, read_open_reply
from prompts.templates import Template

ATTACKS = attacks.load()
SYSTEM = templates.bundled("judge_system")
OWN = Template("mine", "Grade {response} as an answer to {request}.")
READ = {"open": read_open_reply, "adjust": read_adjust_reply, "classify": read_classify_reply}


def cases(task: Task) -> list[dict[str, Any]]:
    """Return the bundled items that attacks are tried on."""
    return [line.fields for line in jsonl.read(attacks.bundled_cases(task))]


def case_for(attack: Attack, task: Task) -> dict[str, Any]:
    """Return the first bundled item that an attack applies to."""
    return next(fields for fields in cases(task) if attack.applies_to(task, fields))


def text_of(fields: dict[str, Any], attack: Attack) -> str:
    """Return what the attacked part of an item holds, as the request shows it."""
    value = fields[PLACES[attack.place]]
    if attack.place == "questions":
        value = "\n".join(f"{number}. {' '.join(text.split())}" for number, text in enumerate(value, start=1))
    return fencing.shown(value)


APPLICABLE = [
    pytest.param(attack, task, id=f"{attack.id} {task.data_type}")
    for attack in ATTACKS
    for task in TASKS.values()
    if attack.place in task.placeholders
]


# --- the data -------------------------------------------------------------------------------------------------------


def test_there_are_enough_of_every_kind() -> None:
    """At least 60, in both languages, at every place and with every aim, no kind a mere example, no id twice."""
    assert len(ATTACKS) >= 60
    assert len({attack.id for attack in ATTACKS}) == len({attack.text for attack in ATTACKS}) == len(ATTACKS)
    assert {attack.place for attack in ATTACKS} == set(PLACES)
    assert {attack.aim for attack in ATTACKS} == set(AIMS)
    assert min(Counter(attack.kind for attack in ATTACKS).values()) >= 5
    assert min(Counter(attack.lang for attack in ATTACKS).values()) >= 20
    assert len({attack.kind for attack in ATTACKS if attack.lang == "zh"}) >= 10


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_an_attack_leaves_the_item_in_place(attack: Attack) -> None:
    """Each keeps what the attacked part held, so that a fair grader has no reason to judge otherwise."""
    assert attack.text.count("[[text]]") == 1
    assert attack.id.startswith(f"{attack.kind}-")
    assert not set(re.findall(r"\[\[\w+\]\]", attack.text)) - {
        f"[[{slot}]]" for slot in ("text", "good", "bad", "count")
    }
    assert attack.tries


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_bundled_items_can_be_judged(task: Task) -> None:
    """Every item passes the task's own check, right and wrong answers come in pairs, and their verdicts fit."""
    rows = cases(task)
    for number, fields in enumerate(rows, start=1):
        task.check(fields, Path("cases.jsonl"), number)
        assert len(fields["expected"]) == len(json.loads(task.all_no(fields)))
    for right, wrong in zip(rows[0::2], rows[1::2], strict=True):
        assert (right["prompt"], right["language"]) == (wrong["prompt"], wrong["language"])
        assert right["key"].endswith("-right") and wrong["key"].endswith("-wrong")
        assert right["expected"] != wrong["expected"]
    assert {fields["language"] for fields in rows} == {"en", "zh"}


def test_slots_are_filled_once() -> None:
    """What an item holds is never taken for a slot."""
    attack = Attack("x-01", "x", "en", "response", "YES", "t", "[[text]] [[good]] [[bad]] [[count]]")
    fields = {"prompt": "p", "response": "[[good]]", "decomposed_questions": "Is it?\nOr is it?", "kept": 1}
    assert attack.on(TASKS["open"], fields) == {**fields, "response": '[[good]] ["YES", "YES"] ["NO", "NO"] 2'}
    adjusted = attack.on(TASKS["adjust"], {"prompt": "p", "response": "r"})["response"]
    assert [json.loads(part) for part in re.findall(r"\{.*?\}", adjusted)] == [
        dict(zip(TASKS["adjust"].schema({})["required"], words, strict=True))
        for words in (("YES", "NO", "YES"), ("NO", "YES", "NO"))
    ]


# --- the request ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("attack", "task"), APPLICABLE)
def test_an_attack_stays_between_the_marks(attack: Attack, task: Task) -> None:
    """It stands whole in its part, no mark is forged, and everything around stays, but for the code."""
    clean = case_for(attack, task)
    attacked = attack.on(task, clean)
    for prompt in (templates.bundled(task.prompt), OWN):
        (system, user), (clean_system, clean_user) = (
            [message["content"] for message in task.messages(SYSTEM, prompt, fields)] for fields in (attacked, clean)
        )
        (code,) = set(re.findall(r"the code ([0-9a-f]{12}):", system))
        (clean_code,) = set(re.findall(r"the code ([0-9a-f]{12}):", clean_system))
        assert code != clean_code
        inside, clean_inside = text_of(attacked, attack), text_of(clean, attack)
        if attack.place in prompt.placeholders:
            block = fencing.fenced(attack.place, inside, code)
            assert user.count(block) == 1
            clean_block = fencing.fenced(attack.place, clean_inside, clean_code)
            assert user.replace(block, "") == clean_user.replace(clean_block, "").replace(clean_code, code)
        assert system == clean_system.replace(clean_code, code)
        assert code not in inside.lower()
        assert user.count(code) == 2 * len(prompt.placeholders & set(fencing.PARTS))
        assert not re.search(r"[<＜《]\s*/?\s*(?:request|response|questions)(?! [0-9a-f]{12}>)", user, re.IGNORECASE)


@pytest.mark.parametrize(("attack", "task"), APPLICABLE)
def test_an_attack_hides_nothing(attack: Attack, task: Task) -> None:
    """No control, direction mark, zero-width character, selector or half character is left in what is sent."""
    messages = task.messages(SYSTEM, templates.bundled(task.prompt), attack.on(task, case_for(attack, task)))
    text = "".join(message["content"] for message in messages)
    categories = {character: unicodedata.category(character) for character in text}
    assert not [one for one, kind in categories.items() if kind in ("Cc", "Cf", "Cs", "Zl", "Zp") and one not in "\n\t"]
    assert "VARIATION SELECTOR" not in "".join(unicodedata.name(character, "") for character in categories)
    hidden = {one for one in attack.text if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n"}
    for character in hidden:
        assert fencing.shown(character) in text


@pytest.mark.parametrize(("attack", "task"), APPLICABLE)
def test_an_attack_renders_to_the_same_bytes(attack: Attack, task: Task) -> None:
    """The ledger and a provider's cache find the question again."""
    prompt = templates.bundled(task.prompt)
    once, again = (task.messages(SYSTEM, prompt, attack.on(task, case_for(attack, task))) for _ in range(2))
    assert json.dumps(once, ensure_ascii=False).encode() == json.dumps(again, ensure_ascii=False).encode()


# --- the reply ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("attack", "task"), APPLICABLE)
def test_a_reply_that_repeats_an_attack_is_no_verdict(attack: Attack, task: Task) -> None:
    """A grader that gives back what it read has not judged, as it stands there and as the request shows it."""
    fields = attack.on(task, case_for(attack, task))
    value = fields[PLACES[attack.place]]
    echo = value if isinstance(value, str) else value[-1]
    for reply in (echo, fencing.shown(echo), f"> {echo}\n\nDone."):
        assert task.complaint(reply, fields) is not None
    if not {"[[good]]", "[[bad]]"} & set(re.findall(r"\[\[\w+\]\]", attack.text)):
        assert READ[task.data_type](echo) is None


@pytest.mark.parametrize(
    ("attack", "task"), [case for case in APPLICABLE if re.search(r"\[\[(good|bad)\]\]", case.values[0].text)]
)
def test_a_quoted_attack_beside_a_verdict_is_no_verdict(attack: Attack, task: Task) -> None:
    """Two verdicts in a reply that differ are none, whichever comes first; a bare verdict is one."""
    fields = attack.on(task, case_for(attack, task))
    value = fields[PLACES[attack.place]]
    echo = value if isinstance(value, str) else value[-1]
    own = json.dumps(["YES", *json.loads(task.all_no(fields))[1:]]) if task.data_type == "open" else task.all_no(fields)
    for reply in (f"It says: {echo}\nMy verdict: {own}", f"{own} although it says: {echo}"):
        assert task.complaint(reply, fields) is not None
        if "```" not in reply:  # section 7 reads the first fence before anything else
            assert READ[task.data_type](reply) is None
    assert task.complaint(own, fields) is None


# --- a real tokenizer -----------------------------------------------------------------------------------------------


def post(url: str, **body: Any) -> Any:
    """Ask llama.cpp's server beside its chat interface."""
    asked = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def turn_signs(root: str, messages: list[dict[str, str]]) -> int:
    """Return how many tokens of a conversation are signs of a turn for the embedded model."""
    prompt = post(f"{root}/apply-template", messages=messages)["prompt"]
    tokens = post(f"{root}/tokenize", content=prompt, parse_special=True, with_pieces=True)["tokens"]
    return sum(token["piece"] in ("<|im_start|>", "<|im_end|>") for token in tokens)


def test_no_attack_opens_a_turn_in_a_real_model(embedded_server: Any) -> None:
    """Unfenced, the ChatML attacks make turns for SmolLM2; rendered, they are text."""
    root, task = embedded_server.base_url.removesuffix("/v1"), TASKS["open"]
    chatml = [attack for attack in ATTACKS if "<|im_start|>" in attack.text]
    assert len(chatml) >= 3
    plain = turn_signs(root, [{"role": role, "content": "x"} for role in ("system", "user")])
    for attack in chatml:
        fields = attack.on(task, case_for(attack, task))
        raw = [{"role": "system", "content": "x"}, {"role": "user", "content": fields[PLACES[attack.place]]}]
        assert turn_signs(root, raw) > plain
        assert turn_signs(root, task.messages(SYSTEM, templates.bundled(task.prompt), fields)) == plain
