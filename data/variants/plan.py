"""From a recipe to what has to be made: one job a recording, and the line that will stand beside it.

Nothing is spoken or written here, so that whatever cannot be built is found before anything is.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from data import jsonl
from data.errors import DataError, UsageError
from data.suites import SUITES, file_name, suffix
from data.variants import adjustment, background, disfluency, paralinguistics, rooms, tts
from data.variants.casting import cast
from data.variants.jobs import Item, Job, Plan, Surroundings, Utterance
from data.variants.prompts import Prompt, read
from data.variants.recipe import ADJUSTMENT, PromptSet, Recipe
from data.variants.spoken import BETWEEN
from data.variants.voices import Voice, told_of

NOISES = ("babble", "pink", "brown", "hum")
SNRS_DB = (15.0, 10.0, 5.0)

_Entry = TypeVar("_Entry")


def plan(recipe: Recipe, own_voices: Mapping[str, Voice]) -> Plan:
    """Plan a set.

    Args:
        recipe: what is wanted.
        own_voices: the user's own voices, by name.

    Raises:
        DataError: a prompt or a file of the recipe cannot be used.
        UsageError: a voice, noise or style that is not there, or two lists of prompts that make the same file.
    """
    files: dict[str, list[Item]] = {}
    notes: list[str] = []
    used: dict[str, Voice] = {}
    for wanted in recipe.sets:
        planner = _Planner(recipe, wanted, own_voices)
        for path, items in planner.files():
            if path in files:
                raise UsageError(f"two lists of prompts make {path}; join them, or build them into two folders")
            files[path] = items
        notes += planner.notes
        used |= planner.used
    if not any(files.values()):
        raise UsageError(f"nothing is left to build: {'; '.join(notes)}")
    return Plan(files, list(dict.fromkeys(notes)), used, _settings(recipe, used))


class _Planner:
    """Plans one list of prompts.

    Attributes:
        notes: what was left out, and why.
        used: the voices in use, by name.
    """

    def __init__(self, recipe: Recipe, wanted: PromptSet, own: Mapping[str, Voice]) -> None:
        self.notes: list[str] = []
        self.used: dict[str, Voice] = {}
        self._recipe = recipe
        self._wanted = wanted
        self._voices, self._accents = cast(wanted, own)
        self._rooms = _rooms(recipe)
        folders = {noise for noise, _ in wanted.conditions if noise not in background.KINDS}
        self._recordings = {folder: background.recordings(Path(folder)) for folder in folders}

    def files(self) -> Iterator[tuple[str, list[Item]]]:
        """Yield each JSONL file's path and items.

        Raises:
            DataError: a prompt cannot be used.
            UsageError: what was asked for by name cannot be built.
        """
        prompts = read(self._wanted)
        for suite in SUITES.values():
            own = [prompt for prompt in prompts if prompt.suite is suite]
            kinds = [kind for kind in self._wanted.variants if kind != ADJUSTMENT]
            for kind in ["standard"] if suite.name == ADJUSTMENT else kinds:
                if own and (items := self._attempted(kind, own)):
                    yield f"{suite.folder}/{file_name(suite, kind, self._wanted.lang)}", items
        if ADJUSTMENT in self._wanted.variants:
            others = [prompt for prompt in prompts if prompt.suite.name != ADJUSTMENT]
            if others and (items := self._attempted(ADJUSTMENT, others)):
                suite = SUITES[ADJUSTMENT]
                yield f"{suite.folder}/{file_name(suite, 'standard', self._wanted.lang)}", items

    def _attempted(self, kind: str, prompts: Sequence[Prompt]) -> list[Item]:
        """Return the items of one variant; none, with a note, where it cannot be built and need not be."""
        try:
            items = list(_VARIANTS[kind](self, prompts))
        except UsageError as error:
            if not self._wanted.optional:
                raise
            self.notes.append(f"{kind}: {error}")
            return []
        if not items:
            self._leave_out(f"{kind}: none of the {len(prompts)} prompts allows it")
        return items

    def _leave_out(self, note: str) -> None:
        if not self._wanted.optional:
            raise UsageError(note)
        self.notes.append(note)

    def _turns(self, entries: Sequence[_Entry], count: int, what: str) -> list[_Entry]:
        """Return so many entries: round after round, each round in an order of its own if the recipe says so."""
        chance = random.Random(f"{self._recipe.seed}:{what}")
        turns: list[_Entry] = []
        while len(turns) < count:
            turns += chance.sample(entries, len(entries)) if self._recipe.shuffled else entries
        return turns[:count]

    def _voice(self, index: int) -> Voice:
        return self._voices[index % len(self._voices)]

    def _seed(self, index: int) -> int:
        return self._recipe.seed + index

    def _item(
        self,
        kind: str,
        index: int,
        prompt: Prompt,
        utterance: Utterance,
        more: Mapping[str, Any],
        surroundings: Surroundings | None = None,
    ) -> Item:
        """Put a job and its line together.

        Raises:
            UsageError: the voice cannot do it.
            DataError: the text cannot be said by it.
        """
        voice = utterance.voice
        self.used[voice.name] = voice
        tts.refuse(utterance.text, voice, paralinguistics.manner(utterance.manner, voice, utterance.stressed))
        adjusts = kind == ADJUSTMENT or prompt.suite.name == ADJUSTMENT
        suite = SUITES[ADJUSTMENT] if adjusts else prompt.suite
        # The hub keeps variants apart by folder where a subset has several.
        folders = [suffix(self._wanted.lang), *([kind] if suite.name == "closed" or kind not in _PLAIN else [])]
        audio = f"{'/'.join(folders)}/{suite.name}_{_file_stem(prompt.key)}.{self._recipe.format}"
        fields = dict(prompt.fields)
        if utterance.text != fields["prompt"]:
            fields["spoken_text"] = utterance.text
        fields |= {
            "audio_path": audio,
            "language": self._wanted.lang,
            "variant": "standard" if adjusts else kind,
            "voice": voice.name,
            "accent": voice.tag,
            "seed": self._seed(index),
            "source_sha256": prompt.source_sha256,
        }
        job = Job(
            f"{suite.folder}/{audio}", utterance, surroundings, self._recipe.level_dbfs, self._recipe.margin_seconds
        )
        return Item(job, {**fields, **more})

    def standard(self, prompts: Sequence[Prompt]) -> Iterator[Item]:
        """Say each prompt as it is."""
        for index, prompt in enumerate(prompts):
            yield self._item("standard", index, prompt, Utterance(prompt.words, self._voice(index)), {})

    def accent(self, prompts: Sequence[Prompt]) -> Iterator[Item]:
        """Say each prompt in another accent."""
        if not self._accents:
            raise UsageError(f"no installed voice speaks '{self._wanted.lang}' with another accent; name one")
        for index, (prompt, voice) in enumerate(
            zip(prompts, self._turns(self._accents, len(prompts), "accent"), strict=True)
        ):
            yield self._item("accent", index, prompt, Utterance(prompt.words, voice), {})

    def background(self, prompts: Sequence[Prompt]) -> Iterator[Item]:
        """Put noise behind the standard recording of each prompt; babble is other prompts' speech."""
        plain = [Utterance(prompt.words, self._voice(index)) for index, prompt in enumerate(prompts)]
        turns = self._turns(self._conditions(len(prompts)), len(prompts), "condition")
        places = self._turns(self._rooms or [None], len(prompts), "room")
        for index, (prompt, (noise, snr_db), room) in enumerate(zip(prompts, turns, places, strict=True)):
            made = self._surroundings(noise, snr_db, index, plain)
            told: dict[str, Any] = {"noise": made.noise}
            if made.recording:
                told |= {"noise_file": Path(made.recording).name, "noise_sha256": made.recording_sha256}
            told |= room.told() if room is not None else {}
            yield self._item("background", index, prompt, plain[index], told, replace(made, room=room))

    def paralinguistics(self, prompts: Sequence[Prompt]) -> Iterator[Item]:
        """Say each prompt in the voice of its standard recording, in another manner."""
        names = self._styles(prompts)
        for index, (prompt, turn) in enumerate(zip(prompts, self._turns(names, len(prompts), "style"), strict=True)):
            voice, start = self._voice(index), names.index(turn)
            for name in (*names[start:], *names[:start]):
                if not self._impossible(name, voice, prompt):
                    break
            else:
                raise UsageError(f"no style fits prompt {prompt.key}: {self._impossible(turn, voice, prompt)}")
            stressed = paralinguistics.stressed_words(prompt.words) if paralinguistics.style(name).stress else []
            utterance = Utterance(prompt.words, voice, name, tuple(stressed))
            vocoder = paralinguistics.by_vocoder(utterance.manner, voice) != (1.0, 1.0)
            told = paralinguistics.parameters(name, stressed, vocoder)
            yield self._item("paralinguistics", index, prompt, utterance, told)

    def disfluency(self, prompts: Sequence[Prompt]) -> Iterator[Item]:
        """Say each prompt in the voice of its standard recording, with disfluencies."""
        wanted = self._wanted
        without = 0
        for index, prompt in enumerate(prompts):
            made = disfluency.disfluent(
                prompt.words,
                self._seed(index),
                prompt.protected,
                lang=wanted.lang,
                kinds=wanted.disfluencies,
                rate=wanted.disfluency_rate,
                least=wanted.least_disfluencies,
            )
            if not made.events:
                without += 1
                continue
            told = [{"kind": event.kind, "before": event.before, "added": event.added} for event in made.events]
            fields = {"fluent_text": prompt.words, "disfluency": told}
            yield self._item("disfluency", index, prompt, Utterance(made.text, self._voice(index)), fields)
        if without:
            self._leave_out(f"disfluency: {without} of {len(prompts)} prompts have no place for one")

    def adjustment(self, prompts: Sequence[Prompt]) -> Iterator[Item]:
        """Let each prompt that has a constraint change its mind."""
        if self._wanted.lang not in adjustment.OPENERS:
            raise UsageError(f"no words for revisions in '{self._wanted.lang}'")
        between, without = BETWEEN.get(self._wanted.lang, " "), 0
        for index, prompt in enumerate(prompts):
            kwargs = prompt.fields.get("kwargs") or ()
            made = adjustment.adjusted(prompt.words, self._wanted.lang, self._seed(index), prompt.instructions, kwargs)
            if made is None:
                without += 1
                continue
            kept = {"key": prompt.key, "prompt": f"{prompt.fields['prompt'].rstrip()}{between}{made.revision}"}
            told = {
                "superseded": made.superseded,
                "holds": made.holds,
                "revised_instruction": made.rule,
                "holding": {"instruction_id_list": list(made.instruction_id_list), "kwargs": list(made.kwargs)},
            }
            utterance = Utterance(f"{_stopped(prompt.words, between)}{between}{made.revision}", self._voice(index))
            yield self._item(ADJUSTMENT, index, replace(prompt, fields=kept), utterance, told)
        if without and without < len(prompts):
            self.notes.append(f"adjustment: {without} of {len(prompts)} prompts have nothing that could be revised")

    def _conditions(self, count: int) -> list[tuple[str, float]]:
        """Return the noises with their ratios; by default all of `NOISES` at all of `SNRS_DB`."""
        if not self._wanted.conditions:
            kinds = [kind for kind in NOISES if kind != "babble" or count > 1]
            return [(kind, snr_db) for snr_db in SNRS_DB for kind in kinds]
        left = [condition for condition in self._wanted.conditions if condition[0] != "babble" or count > 1]
        if not left:
            raise UsageError("babble is other prompts' speech, and there is one prompt only")
        if len(left) < len(self._wanted.conditions):
            self.notes.append("babble: it is other prompts' speech, and there is one prompt only")
        return left

    def _surroundings(self, noise: str, snr_db: float, index: int, plain: Sequence[Utterance]) -> Surroundings:
        seed = self._seed(index)
        if noise == "babble":
            others = background.heard_talkers(len(plain) - 1, seed)
            heard = tuple(plain[other + (other >= index)] for other in others)
            return Surroundings(noise, snr_db, seed, talkers=heard, among=len(plain) - 1)
        if noise in background.KINDS:
            return Surroundings(noise, snr_db, seed)
        path = random.Random(f"{self._recipe.seed}:recording:{index}").choice(self._recordings[noise])
        return Surroundings(background.RECORDING, snr_db, seed, recording=str(path), recording_sha256=_hash(path))

    def _styles(self, prompts: Sequence[Prompt]) -> list[str]:
        """Return the styles to go round; one that no voice can do is refused if it was asked for by name."""
        found, reasons = [], []
        for name in self._wanted.styles or paralinguistics.STYLES:
            reason = self._impossible(name, self._voice(0), prompts[0])
            if reason and all(self._impossible(name, self._voice(i), prompt) for i, prompt in enumerate(prompts)):
                reasons.append(f"style '{name}': {reason}")
            else:
                found.append(name)
        if reasons and (self._wanted.styles or not found):
            raise UsageError(reasons[0])
        return found

    def _impossible(self, name: str, voice: Voice, prompt: Prompt) -> str | None:
        return paralinguistics.impossible(paralinguistics.style(name), voice, prompt.words, self._wanted.lang)


_PLAIN = ("standard", ADJUSTMENT)

_VARIANTS: dict[str, Callable[[_Planner, Sequence[Prompt]], Iterator[Item]]] = {
    "standard": _Planner.standard,
    "background": _Planner.background,
    "accent": _Planner.accent,
    "paralinguistics": _Planner.paralinguistics,
    "disfluency": _Planner.disfluency,
    ADJUSTMENT: _Planner.adjustment,
}


def _rooms(recipe: Recipe) -> list[rooms.Room | rooms.Recorded]:
    if recipe.rooms:
        return list(rooms.pool(recipe.rooms, recipe.seed))
    if recipe.impulse_responses is None:
        return []
    return [rooms.Recorded(str(path), _hash(path)) for path in background.recordings(recipe.impulse_responses)]


def _settings(recipe: Recipe, used: Mapping[str, Voice]) -> dict[str, Any]:
    """Return the recipe as the manifest keeps it: files by name and hash, folders by name."""
    told = asdict(recipe)
    for name in ("about", "licence", "noise_licence"):  # they decide on no sound
        del told[name]
    if recipe.impulse_responses is not None:
        told["impulse_responses"] = recipe.impulse_responses.name
    for row, prompts in zip(told["sets"], recipe.sets, strict=True):
        row["prompts"] = [{"file": path.name, "sha256": _hash(path)} for path in prompts.prompts]
        row["conditions"] = [
            [noise if noise in background.KINDS else Path(noise).name, snr_db] for noise, snr_db in prompts.conditions
        ]
    told["voices"] = told_of(used)
    return told


def _stopped(words: str, between: str) -> str:
    """Return words with a stop behind them, so that the revision is heard as a sentence of its own."""
    return words if words[-1:] in ".!?。！？" else words + ("." if between else "。")


def _file_stem(key: int | str) -> str:
    """Return a key as part of a file name: letters, digits, dots and hyphens; what else it holds shows as a hash."""
    if isinstance(key, int):
        return f"{key:03}"
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", key)[:60].strip(".-")
    return (
        plain
        if plain == key and not key.isdigit()
        else f"{plain}-{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:8]}"
    )


def _hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with jsonl.opened(path) as file:
            changed = os.fstat(file.fileno()).st_mtime_ns
        return _hash_once(path, changed)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None


@cache
def _hash_once(path: Path, _changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
