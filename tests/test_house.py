"""The house's rules that a reader of one file cannot see: who may import whom, and what stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("data", "prompts", "inference", "judges", "evaluators")
ALLOWED = {
    "data": {"data"},
    "prompts": {"data", "prompts"},
    "inference": {"data", "prompts", "inference"},
    "judges": {"data", "prompts", "inference", "judges"},
    "evaluators": {"data", "prompts", "evaluators"},
}
# Package -> the only files that may import it.
RESERVED = {
    "openai": ("inference/chat.py",),
    "torch": ("inference/backends/",),
    "vllm": ("inference/backends/",),
    "transformers": ("inference/backends/",),
    "ray": ("inference/backends/",),
    "rich": ("inference/progress.py", "evaluators/cli.py", "evaluators/report/"),
}
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Return the top-level packages that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_keep_to_the_directions(path: Path) -> None:
    """Rooms import along data <- prompts <- inference <- judges and data <- prompts <- evaluators only."""
    relative = path.relative_to(ROOT)
    room = relative.parts[0]
    if relative.name not in ("cli.py", "__main__.py"):
        assert imported(path) & set(ROOMS) <= ALLOWED[room]
    for package, places in RESERVED.items():
        if package in imported(path):
            assert str(relative).startswith(places)


@pytest.mark.parametrize("script", ["inference.py", "api_judge.py", "evaluate.py"])
def test_scripts_are_shims(script: str) -> None:
    """A command's script is a docstring, one import and a guard: the package of the same name wins on import."""
    body = ast.parse((ROOT / script).read_text(encoding="utf-8")).body
    assert [type(node) for node in body] == [ast.Expr, ast.ImportFrom, ast.If]


@pytest.mark.parametrize("script", ["inference.py", "api_judge.py", "evaluate.py"])
def test_help_is_light(script: str) -> None:
    """--help imports none of the heavy packages."""
    command = [sys.executable, "-X", "importtime", script, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    heavy = {
        "torch",
        "vllm",
        "transformers",
        "nltk",
        "langdetect",
        "scipy",
        "numpy",
        "openai",
        "faster_whisper",
        "gguf",
    }
    assert not loaded & heavy
    if script == "evaluate.py":
        assert not loaded & {"httpx2", "rich", "tenacity", "inference"}


def test_no_package_marker_under_tests() -> None:
    """tests/data must never shadow the package data."""
    assert not list((ROOT / "tests").rglob("__init__.py"))
