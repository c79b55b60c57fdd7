"""Instructions of one item that no answer can meet together, or hardly any (docs/data.md).

IFEval keeps whole families of instructions apart when it composes prompts (its registry, arXiv 2311.07911). Most of
those pairs can be met by one answer. Here a conflict is derived from what the rules ask in the profile `fixed`:

- numbers: at least 300 words, and less than 100 of them; ten sentences hold at least ten words;
- words: what must be said holds what must not be said, or more of it than may be said;
- pairs that shut each other out by their letter case, their language, or by how the answer begins.

An instruction is taken at its word: a forbidden word that could hide inside a longer one still conflicts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from evaluators.rules.arguments import Given
from evaluators.rules.base import Requirement, Rule, shown
from evaluators.rules.text import fold, fold_quotes


@dataclass(frozen=True, slots=True)
class Asked:
    """One usable instruction.

    Attributes:
        id: its id.
        given: its arguments.
        requirement: what it asks in the profile `fixed`.
    """

    id: str
    given: Given
    requirement: Requirement


@dataclass(frozen=True, slots=True)
class Conflict:
    """What is wrong between two instructions, or with one.

    Attributes:
        ids: the instructions.
        reason: why.
        impossible: whether no answer that takes the instructions at their word meets them; else only an odd one does.
    """

    ids: tuple[str, ...]
    reason: str
    impossible: bool = True

    def __str__(self) -> str:
        """Return the conflict in one line."""
        return f"{' and '.join(dict.fromkeys(self.ids))}: {self.reason}"


def conflicts(instructions: Sequence[tuple[str, Given]], rules: Mapping[str, Rule]) -> list[Conflict]:
    """Return the conflicts among an item's instructions, at most one for each two of them.

    Args:
        instructions: ids with their arguments; each must be usable in the profile `fixed`.
        rules: the rules by id.
    """
    asked = [Asked(name, given, rules[name].fixed(given)) for name, given in instructions]
    found: dict[tuple[str, ...], Conflict] = {}
    for conflict in (*_pairs(asked), *_numbers(asked), *_words(asked), *_odd(asked)):
        found.setdefault(tuple(sorted(conflict.ids)), conflict)
    return list(found.values())


# --- numbers ----------------------------------------------------------------------------------------------------------

_WORDS, _CAPITALS = "words", "words in capitals"
_RELATIVE = {
    "length_constraints:number_words": (_WORDS, "num_words", "relation"),
    "length_constraints:number_sentences": ("sentences", "num_sentences", "relation"),
    "change_case:capital_word_frequency": (_CAPITALS, "capital_frequency", "capital_relation"),
    "keywords:frequency": ("x {keyword}", "frequency", "relation"),
    "keywords:letter_frequency": ("x {letter}", "let_frequency", "let_relation"),
}
_EXACT = {
    "length_constraints:number_paragraphs": ("paragraphs divided by ***", "num_paragraphs"),
    "length_constraints:nth_paragraph_first_word": ("paragraphs divided by blank lines", "num_paragraphs"),
    "detectable_format:number_bullet_lists": ("bullets", "num_bullets"),
}
# Every sentence and every section number that counts holds a word; a word in capitals is one; so does each option.
_FEWEST_WORDS: dict[str, Callable[[Given], int]] = {
    "length_constraints:number_sentences": lambda given: _least(given, "num_sentences", "relation"),
    "change_case:capital_word_frequency": lambda given: _least(given, "capital_frequency", "capital_relation"),
    "detectable_format:multiple_sections": lambda given: given.threshold("num_sections"),
    "detectable_format:constrained_response": lambda _: 4,
}


def _numbers(asked: Sequence[Asked]) -> Iterator[Conflict]:
    """Yield quantities that are asked to be both larger and smaller than can be."""
    lowest: dict[str, list[tuple[int, str]]] = defaultdict(list)
    highest: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for one in asked:
        for quantity, low, high in _bounds(one):
            if low > 0:
                lowest[quantity].append((low, one.id))
            if high is not None:
                highest[quantity].append((high, one.id))
    for quantity, ceilings in highest.items():
        high, limiting = min(ceilings)
        if high < 0:
            yield Conflict((limiting,), f"less than 0 {quantity}")
        elif lowest[quantity] and max(lowest[quantity])[0] > high:
            low, asking = max(lowest[quantity])
            yield Conflict((asking, limiting), f"at least {shown(low)} {quantity}, and at most {shown(high)}")


def _bounds(one: Asked) -> Iterator[tuple[str, int, int | None]]:
    """Yield (quantity, least, most) that an instruction asks for."""
    given = one.given
    if one.id in _RELATIVE:
        noun, threshold, relation = _RELATIVE[one.id]
        if "{" in noun:
            noun = "x " + shown(fold(str(given.value(noun[3:-1])).strip()))
        number = given.threshold(threshold)
        if given.relation(relation) == "at least":
            yield noun, number, None
        else:
            yield noun, 0, number - 1
    elif one.id in _EXACT:
        noun, threshold = _EXACT[one.id]
        yield noun, given.threshold(threshold), given.threshold(threshold)
    elif one.id == _UPPER:
        yield _CAPITALS, 1, None
    elif one.id == _LOWER:
        yield _CAPITALS, 0, 0
    if one.id in _FEWEST_WORDS:
        yield _WORDS, _FEWEST_WORDS[one.id](given), None


def _least(given: Given, threshold: str, relation: str) -> int:
    return given.threshold(threshold) if given.relation(relation) == "at least" else 0


# --- words ------------------------------------------------------------------------------------------------------------

_MOST_REPEATED = 1000  # so that a threshold of a million makes no text of a million words


def _words(asked: Sequence[Asked]) -> Iterator[Conflict]:
    """Yield texts that must occur, but that an instruction which further text cannot mend turns down by themselves."""
    for limiting in asked:
        if not _only_forbids(limiting):
            continue
        for asking in asked:
            for text, times in _texts(asking):
                if limiting.id == _NO_COMMA and asking.id == "startend:end_checker":
                    continue  # punctuation in an end phrase is not compared
                # Occurrences may stand inside one word, so a number of words counts one of them only.
                times = 1 if limiting.id == "length_constraints:number_words" else times
                said = " ".join([text] * min(times, _MOST_REPEATED))
                wanted = limiting.requirement
                if asking is not limiting and not wanted.accepts(wanted.measure(said, *wanted.about)):
                    found = wanted.found(wanted.measure(said, *wanted.about))
                    reason = f"{shown(text)} is to be said, where {wanted.expected} is asked for (found: {found})"
                    yield Conflict((asking.id, limiting.id), reason)


def _only_forbids(one: Asked) -> bool:
    if one.id in ("keywords:frequency", "length_constraints:number_words"):
        return one.given.relation("relation") == "less than"
    if one.id == "keywords:letter_frequency":
        return one.given.relation("let_relation") == "less than"
    return one.id in (_NO_COMMA, "keywords:forbidden_words")


def _texts(one: Asked) -> Iterator[tuple[str, int]]:
    """Yield the texts that an instruction wants to be said, and how often."""
    given = one.given
    if one.id == "keywords:existence":
        yield from ((keyword, 1) for keyword in given.texts("keywords"))
    elif one.id == "keywords:frequency":
        times = _least(given, "frequency", "relation")
        yield from [(given.text("keyword"), times)] if times else []
    elif one.id == "keywords:letter_frequency":
        times = _least(given, "let_frequency", "let_relation")
        # A letter says nothing about words: that `a` occurs does not make it the word `a`.
        letter = str(given.value("letter"))
        yield from [(letter, times)] if times and not letter.isalnum() else []
    elif one.id == "detectable_format:multiple_sections":
        yield from [(given.text("section_spliter"), 1)] if given.threshold("num_sections") else []
    elif one.id in _LITERAL:
        yield given.text(_LITERAL[one.id]), 1


_LITERAL = {
    "length_constraints:nth_paragraph_first_word": "first_word",
    "detectable_content:postscript": "postscript_marker",
    "combination:repeat_prompt": "prompt_to_repeat",
    "startend:end_checker": "end_phrase",
}


# --- pairs ------------------------------------------------------------------------------------------------------------

_JSON = "detectable_format:json_format"
_NO_COMMA = "punctuation:no_comma"
_QUOTED = "startend:quotation"
_REPEAT = "combination:repeat_prompt"
_LANGUAGE = "language:response_language"
_UPPER, _LOWER = "change_case:english_capital", "change_case:english_lowercase"
_DIVIDED = "length_constraints:number_paragraphs"
_NTH = "length_constraints:nth_paragraph_first_word"
_OPTIONS = "detectable_format:constrained_response"
_SECTIONS = "detectable_format:multiple_sections"

_HIDDEN_IN_JSON = frozenset(
    {
        _DIVIDED,
        _OPTIONS,
        "combination:two_responses",
        "detectable_content:postscript",
        "detectable_format:number_highlighted_sections",
        "detectable_format:title",
    }
)

Check = Callable[[Given, Given], str | None]


def _always(reason: str) -> Check:
    return lambda _one, _other: reason


def _not_english(_: Given, other: Given) -> str | None:
    code = _primary(other)
    return None if code == "en" else f"the answer cannot be in English and in {shown(code)}"


def _other_language(one: Given, other: Given) -> str | None:
    return None if _primary(one) == _primary(other) else "two different languages"


def _wrong_case(changed: Callable[[str], str]) -> Check:
    def check(_: Given, other: Given) -> str | None:
        word = other.text("section_spliter")
        wrong = changed(word) != word and other.threshold("num_sections")
        return f"the letter case of {shown(word)} counts" if wrong else None

    return check


def _begins_with_prompt(marks: str, what: str) -> Check:
    def check(_: Given, other: Given) -> str | None:
        prompt = other.text("prompt_to_repeat")
        return None if prompt[0] in marks else f"the answer cannot begin with {what} and with {shown(prompt[:20])}"

    return check


def _begins_with_word(_: Given, other: Given) -> str | None:
    word = other.text("first_word")
    wrong = other.threshold("nth_paragraph") == 1 and word[0].isalnum()
    return f"JSON cannot begin with {shown(word)}" if wrong else None


def _repeats_and_begins(one: Given, other: Given) -> str | None:
    prompt, word = one.text("prompt_to_repeat"), other.text("first_word")
    fits = fold(prompt).lstrip("\"'「『« ").startswith(fold(fold_quotes(word)))
    wrong = other.threshold("nth_paragraph") == 1 and not fits
    return f"the prompt to repeat does not begin with {shown(word)}" if wrong else None


def _other_word(one: Given, other: Given) -> str | None:
    if one.threshold("nth_paragraph") != other.threshold("nth_paragraph"):
        return None
    first, second = (fold(given.text("first_word")) for given in (one, other))
    fits = first.startswith(second) or second.startswith(first)
    return None if fits else f"one paragraph cannot begin with {shown(first)} and with {shown(second)}"


def _has_bullets(_: Given, other: Given) -> str | None:
    return "no line of JSON is a bullet" if other.threshold("num_bullets") else None


_PAIRS: dict[tuple[str, str], Check] = {
    (_UPPER, _LOWER): _always("capitals only, and small letters only"),
    (_UPPER, _OPTIONS): _always("the options are in both letter cases"),
    (_LOWER, _OPTIONS): _always("the options are in both letter cases"),
    (_UPPER, _SECTIONS): _wrong_case(str.upper),
    (_LOWER, _SECTIONS): _wrong_case(str.lower),
    (_UPPER, _LANGUAGE): _not_english,
    (_LOWER, _LANGUAGE): _not_english,
    (_LANGUAGE, _LANGUAGE): _other_language,
    (_QUOTED, _JSON): _always("JSON cannot begin with a quotation mark"),
    (_QUOTED, _REPEAT): _begins_with_prompt('"“＂', "a quotation mark"),
    (_JSON, _REPEAT): _begins_with_prompt("{[`", "JSON"),
    (_JSON, _NTH): _begins_with_word,
    (_JSON, "detectable_format:number_bullet_lists"): _has_bullets,
    (_REPEAT, _NTH): _repeats_and_begins,
    (_NTH, _NTH): _other_word,
    ("combination:two_responses", _DIVIDED): _always("six asterisks are two dividers with a blank paragraph between"),
}


def _pairs(asked: Sequence[Asked]) -> Iterator[Conflict]:
    """Yield pairs that shut each other out."""
    for one, other in permutations(asked, 2):
        check = _PAIRS.get((one.id, other.id))
        reason = check(one.given, other.given) if check else None
        if reason:
            yield Conflict((one.id, other.id), reason)


def _odd(asked: Sequence[Asked]) -> Iterator[Conflict]:
    """Yield pairs that hardly any answer meets."""
    for one, other in permutations(asked, 2):
        if one.id == _JSON and other.id in _HIDDEN_IN_JSON:
            yield Conflict((one.id, other.id), "it would have to stand inside a string of the JSON", False)
        if (one.id, other.id) == (_DIVIDED, _NTH):
            number, beside = (given.threshold("num_paragraphs") for given in (one.given, other.given))
            if number != beside:
                yield Conflict((one.id, other.id), f"{shown(number)} paragraphs, and {shown(beside)}", False)


def _primary(given: Given) -> str:
    return given.text("language").replace("_", "-").split("-")[0].lower()
