"""FILE.judge.json beside a judged file: what determined its verdicts, what graders did not take, what it cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from data import jsonl
from data.errors import DataError
from judges.asking import Asking
from judges.ledger import Reply, Usage


def path_for(target: Path) -> Path:
    """Return where the manifest of a judged file stands."""
    return target.with_name(f"{target.stem}.judge.json")


def read(target: Path) -> dict[str, Any] | None:
    """Return what stands beside a judged file, or None where nothing does.

    Raises:
        DataError: it is no manifest.
    """
    path = path_for(target)
    if not path.exists():
        return None
    try:
        fields = json.loads(path.read_bytes())
        if isinstance(fields, dict) and isinstance(fields.get("judges"), list):
            return fields
    except (OSError, ValueError):
        pass
    raise DataError("cannot be read as what api_judge.py writes beside a judged file; judge the file again", path=path)


class Tally:
    """What one grader's replies in one file came to."""

    def __init__(self, asking: Asking) -> None:
        """Start at nothing."""
        self._asking = asking
        self._served: Counter[tuple[str, str | None]] = Counter()
        self._unreadable = 0
        self._usage: dict[bool, Usage] = {}
        self._seen: set[str] = set()

    def add(self, key: str, replies: list[Reply], unreadable: int, usages: list[Usage]) -> None:
        """Count one response's replies; items that share a request cost once."""
        self._served.update((reply.model, reply.fingerprint) for reply in replies)
        self._unreadable += unreadable
        if key in self._seen:
            return
        self._seen.add(key)
        for usage in usages:
            before = self._usage.get(usage.batched, Usage())
            self._usage[usage.batched] = Usage(
                before.prompt + usage.prompt,
                before.completion + usage.completion,
                before.cached + usage.cached,
                usage.batched,
            )

    def fields(self) -> dict[str, Any]:
        """Return what the manifest says about this grader."""
        judge = self._asking.judge
        price = judge.price
        return {
            "name": judge.name,
            "label": judge.label,
            "server": judge.server,
            "model": judge.client.model,
            "served": [
                {"model": model, "fingerprint": fingerprint, "replies": count}
                for (model, fingerprint), count in self._served.most_common()
            ],
            "sampling": asdict(judge.sampling),
            "n": judge.n,
            "reply_form": judge.reply_form,
            "fields": dict(judge.fields or {}),
            "not_taken": dict(judge.support.learned),
            "unreadable_replies": self._unreadable,
            "tokens": {
                "batched" if batched else "live": {
                    "prompt": usage.prompt,
                    "cached": usage.cached,
                    "completion": usage.completion,
                }
                for batched, usage in self._usage.items()
                if usage.prompt or usage.completion
            },
            "price_per_million_tokens": asdict(price) if price else None,
            "dollars": round(sum(map(price.dollars, self._usage.values())), 6) if price else None,
        }


def write(target: Path, tallies: list[Tally], settings: Mapping[str, Any], counts: Mapping[str, int]) -> None:
    """Write the manifest of one judged file.

    Raises:
        DataError: it cannot be written.
    """
    fields = {
        "file": target.name,
        **settings,
        "judges": [tally.fields() for tally in tallies],
        "counts": dict(counts),
        "packages": {"openai": metadata.version("openai")},
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    jsonl.rewrite(path_for(target), [json.dumps(fields, indent=2, ensure_ascii=True).encode("ascii"), b"\n"])
