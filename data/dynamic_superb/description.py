"""instance.json, which describes an instance, and the README beside it: what the review wants of them.

{"name": "SpeechDetection_MySpeech", "description": "...", "keywords": ["speech"], "metrics": ["accuracy"],
 "path": "DynamicSuperb/SpeechDetection_MySpeech", "version": "<40 digits of the commit on the hub>"}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.dynamic_superb import licences
from data.dynamic_superb.instances import COMMIT
from data.dynamic_superb.rows import INSTANCE_NAME
from data.validate.findings import Finding

NAME = "instance.json"
README = "README.md"
ACCURACY = "accuracy"

_FIELDS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "description": (str,),
    "keywords": (list, str),
    "metrics": (list,),
    "path": (str,),
    "version": (str,),
}


def metrics(folder: Path) -> list[str]:
    """Return the metrics that an instance's description names; accuracy where it cannot be read."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8-sig"))["metrics"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        found = None
    return found if isinstance(found, list) else [ACCURACY]


def findings(folder: Path) -> Iterator[Finding]:
    """Yield what is wrong with an instance's instance.json, name and licence."""
    path = folder / NAME
    text, fields = "", None
    try:
        text = path.read_text(encoding="utf-8-sig")
        fields = json.loads(text)
    except FileNotFoundError:
        yield Finding("description-broken", path, None, "missing")
    except json.JSONDecodeError as error:
        yield Finding("description-broken", path, error.lineno, f"not JSON ({error.msg})")
    except (OSError, ValueError, RecursionError) as error:
        yield Finding("description-broken", path, None, f"cannot be read: {error}")
    if isinstance(fields, dict):
        yield from _described(path, text, fields)
    elif fields is not None:
        yield Finding("description-broken", path, 1, "not an object")
    yield from _licensed(folder, fields if isinstance(fields, dict) else {})


def _described(path: Path, text: str, fields: dict[str, Any]) -> Iterator[Finding]:
    def at(check: str, field: str, message: str) -> Finding:
        place = re.search(rf'"{field}"\s*:', text)
        return Finding(check, path, text.count("\n", 0, place.start()) + 1 if place else None, message)

    for name, kinds in _FIELDS.items():
        value: Any = fields.get(name)
        if name not in fields:
            yield at("description-field", name, f"'{name}' is missing")
        elif not isinstance(value, kinds) or not _told(value):
            yield at("description-field", name, f"'{name}' must be {'a list of texts' if list in kinds else 'text'}")
        elif name == "metrics" and isinstance(value, list) and ACCURACY not in value:
            yield at("metrics-other", name, f"{', '.join(value)}")
    folder = path.absolute().parent.name
    own, place = fields.get("name"), fields.get("path")
    if isinstance(own, str):
        if own != folder:
            yield at("instance-name", "name", f"'name' is {own!r}, the folder's {folder!r}")
        if not INSTANCE_NAME.fullmatch(own) or not all(own.partition("_")):
            yield at("instance-name", "name", f"{own!r} is not <Task>_<Data>")
        if isinstance(place, str) and place.rpartition("/")[2] != own:
            yield at("instance-name", "path", f"'path' ends in {place.rpartition('/')[2]!r}, 'name' is {own!r}")
    if isinstance(place, str) and not re.fullmatch(r"[\w.-]+/[\w.-]+", place):
        yield at("description-field", "path", f"'path' must be OWNER/NAME on the hub, not {place!r}")
    version = fields.get("version")
    if isinstance(version, str) and not COMMIT.fullmatch(version):
        yield at("version-unpinned", "version", f"{version!r} is no commit")
    for field in ("split", "splits"):
        split = fields.get(field, "test")
        if split not in ("test", ["test"]):
            yield at("split-other", field, f"'{field}' is {split!r}")


def _told(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, str) and one.strip() for one in value)
    return bool(value.strip())


def _licensed(folder: Path, fields: dict[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with the licence: in instance.json, in the instance's README or its task's."""
    stated: list[tuple[Path, int | None, str]] = [
        (folder / NAME, None, fields[name]) for name in ("license", "licence") if isinstance(fields.get(name), str)
    ]
    readme = next((path for path in (folder / README, folder.absolute().parent / README) if path.is_file()), None)
    if readme is not None:
        # Where licences are spoken of: from such a line on to the next heading.
        near = False
        for place, line in enumerate(readme.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            near = bool(licences.MENTIONS.search(line)) or (near and not line.startswith("#"))
            if near:
                stated.append((readme, place, line))
    forbidding = [(path, number) for path, number, line in stated if licences.FORBIDS.search(line)]
    for path, number in forbidding:
        yield Finding("licence-forbids", path, number, "says that the data may not be passed on")
    if forbidding or any(licences.PERMITS.search(line) for _, _, line in stated):
        return
    if stated:
        where, at, words = stated[0]
        yield Finding("licence-unclear", where, at, f"no licence that is known: {words.strip()[:60]}")
    elif readme is None:
        yield Finding("licence-missing", folder / README, None, "no README.md, here or in the task's folder")
    else:
        yield Finding("licence-missing", readme, None, "no word on a licence")
