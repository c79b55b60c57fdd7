"""The items of a report: one line of JSON each, and the recordings, embedded up to a size limit, else linked."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from data.dataset import AudioFinder, AudioNotFound
from data.manifest import without_folders
from data.records import Item, Score
from data.suites import Suite, file_kind
from evaluators.explain import Explanation, Reason, explain
from evaluators.report import rows
from evaluators.tally import EVALUATORS

MEDIA_TYPES = {
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
}
NOT_KNOWN = "not for redistribution: no licence of the recordings is known"
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Speed:
    """What the answers of a run took, as far as their lines tell.

    Attributes:
        latencies: seconds an answer.
        prompt_tokens: sum over the answers.
        completion_tokens: sum over the answers.
    """

    latencies: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Items:
    """Takes items as they are counted and keeps what the page shows of them.

    Attributes:
        files: what the items' files are, in order.
        lines: one item each, as JSON that may stand in a page.
        recordings: base64 of the embedded recordings, with their media type, by number.
        linked: how many recordings are linked instead.
        missing: how many were not found.
        terms: on which terms recordings may be passed on, in words, of every data set that is embedded.
        speeds: by folder of a run.
    """

    def __init__(self, page: Path, profile: str, embed_bytes: int) -> None:
        """Prepare for a page at this path, with room for so many bytes of recordings."""
        self.files: list[dict[str, str]] = []
        self.lines: list[bytes] = []
        self.recordings: dict[int, tuple[str, str]] = {}
        self.linked = 0
        self.missing = 0
        self.terms: dict[str, None] = {}
        self.speeds: dict[Path, Speed] = {}
        self._page = page
        self._profile = profile
        self._room = embed_bytes
        self._sounds: dict[Path, dict[str, Any]] = {}

    def of_file(self, path: Path, suite: Suite) -> Callable[[Item, Score], None]:
        """Return what takes the items of one file."""
        number = len(self.files)
        kind = file_kind(path)
        run = rows.manifest_of(path.parent)
        lang = None if kind is None else kind.lang
        self.files.append(
            {
                "run": path.parent.name,
                "file": path.name,
                "subset": suite.name,
                "variant": kind.variant if kind else "",
                "lang": lang or "",
            }
        )
        noted = run.get("data", {}).get("root")
        root = Path(noted) if isinstance(noted, str) and noted else path.parent
        finder = AudioFinder(root)
        evaluator = EVALUATORS[suite.evaluator]
        beside = root / suite.folder / path.name
        if kind is not None and evaluator.choice is not None:
            beside = _folder_of_instance(root, kind.variant) / path.name
        terms = _terms(run)
        speed = self.speeds.setdefault(path.parent, Speed())

        def see(item: Item, score: Score) -> None:
            found = explain(item, score, evaluator, self._profile, lang)
            shown = _shown(item, found, number)
            if evaluator.choice is not None:
                options = evaluator.choice(item, score).options
                shown["asked"] = [["Label", item.fields["label"]], ["Options", "\n".join(options) or "not readable"]]
            if "error" in shown and root.is_absolute() and root.name:  # it may name a recording
                shown["error"] = str(shown["error"]).replace(str(root), root.name)
            if item.id.audio is not None:
                shown["audio"] = self._sound(finder, item.id.audio, beside, terms)
            if len(item.audios) > 1:
                shown["further"] = [self._sound(finder, audio, beside, terms) for audio in item.audios[1:]]
            _note_speed(speed, item)
            self.lines.append(for_page(shown))

        return see

    def _sound(self, finder: AudioFinder, audio: str, beside: Path, terms: str) -> dict[str, Any]:
        """Return where the page finds a recording: by number inside it, or by a link."""
        try:
            path = finder.find(audio, beside).resolve()
        except AudioNotFound:
            self.missing += 1
            return {"name": audio}
        if path not in self._sounds:
            self._sounds[path] = self._placed(path, audio, terms)
        return self._sounds[path]

    def _placed(self, path: Path, audio: str, terms: str) -> dict[str, Any]:
        media_type = MEDIA_TYPES.get(path.suffix.lower())
        try:
            size = path.stat().st_size
            if media_type is not None and size <= self._room:
                content = base64.b64encode(path.read_bytes()).decode("ascii")
                self._room -= size
                self.terms[terms] = None
                number = len(self.recordings)
                self.recordings[number] = (media_type, content)
                return {"name": audio, "number": number}
        except OSError:
            self.missing += 1
            return {"name": audio}
        self.linked += 1
        relative = os.path.relpath(path, self._page.resolve().parent)
        return {"name": audio, "link": quote(relative.replace(os.sep, "/"), errors="replace")}


def for_page(value: object) -> bytes:
    """Return JSON that can stand in a script element: no tag, comment or lone surrogate is left in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode("utf-8")


def listed(lines: list[bytes]) -> Iterator[bytes]:
    """Yield lines of JSON as one list, piece by piece."""
    yield b"["
    for place, line in enumerate(lines):
        yield b",\n" + line if place else line
    yield b"]"


def _shown(item: Item, found: Explanation, number: int) -> dict[str, Any]:
    fields = item.fields
    shown: dict[str, Any] = {
        "file": number,
        "key": item.id.key,
        "prompt": item.prompt,
        "response": fields.get("response"),
        "verdict": found.verdict,
        "reasons": [_reason(reason) for reason in found.reasons],
    }
    optional = {
        "unscored": found.unscored,
        "error": fields.get("error"),
        "transcript": fields.get("asr_transcript"),
        "kinds": fields.get("instruction_id_list"),
        "votes": [[without_folders(vote.judge), _text(vote.reply), vote.read] for vote in found.votes],
        "remarks": found.remarks,
    }
    return shown | {name: value for name, value in optional.items() if value}


def _reason(reason: Reason) -> list[object]:
    mark = reason.mark
    return [reason.name, reason.about, mark.met, mark.expected, mark.found, mark.flag]


def _text(reply: object) -> str:
    return reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False)


def _folder_of_instance(root: Path, name: str) -> Path:
    """Return where an instance of Dynamic-SUPERB lies: in the data set's folder, or in its task's there."""
    deeper = (folder for folder in root.glob(f"*/{name}") if folder.is_dir())
    return root / name if (root / name).is_dir() else next(deeper, root / name)


def _terms(run: dict[str, Any]) -> str:
    source = run.get("data", {}).get("source")
    stated = source.get("redistribution") if isinstance(source, dict) else None
    return stated if isinstance(stated, str) and stated else NOT_KNOWN


def _note_speed(speed: Speed, item: Item) -> None:
    latency = item.fields.get("latency_seconds")
    if isinstance(latency, int | float):
        speed.latencies.append(float(latency))
    for name in ("prompt_tokens", "completion_tokens"):
        tokens = item.fields.get(name)
        if isinstance(tokens, int):
            setattr(speed, name, getattr(speed, name) + tokens)
