"""`python -m judges ledger stats`: what a ledger holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from judges.__main__ import main
from judges.ledger import Ledger, Reply, Usage


def test_a_ledger_is_summed_up_by_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row a served model and way: requests, replies and tokens."""
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    for number in range(1200):
        ledger.keep(f"r{number}", [(0, Reply("a", "gpt-x-2026")), (1, Reply("b", "gpt-x-2026"))], Usage(10, 4, 1))
    ledger.keep("s", [(0, Reply("c", "gpt-x-2026"))], Usage(9, 2, batched=True))
    ledger.close()
    assert main(["ledger", "stats", str(path)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["gpt-x-2026", "live", "1,200", "2,400", "12,000", "1,200", "4,800"] in rows
    assert ["gpt-x-2026", "batch", "1", "1", "9", "0", "2"] in rows


@pytest.mark.parametrize("content", [None, b"no database at all, only text that is long enough to be read as one" * 20])
def test_what_is_no_ledger_is_said(content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit 2, and no file is made."""
    path = tmp_path / "ledger.sqlite"
    if content is not None:
        path.write_bytes(content)
    assert main(["ledger", "stats", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {path}")
    assert err.count("\n") == 1
    assert path.exists() == (content is not None)
