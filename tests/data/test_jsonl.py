"""JSONL files: round trips, torn lines, full disks, atomic rewriting and locks."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import jsonl
from data.errors import DataError

ROOT = Path(__file__).parents[2]
AS_ROOT = os.geteuid() == 0


def joined(text: str) -> str:
    """Return text as JSON can carry it: two adjacent surrogate halves are one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


# Any code point, surrogates included, and the characters that line readers stumble over.
TEXT = st.text(st.characters() | st.sampled_from('\u2028\u2029\x85\r\n\ufeff\0\\"\ud800\udfff')).map(joined)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**30, max_value=10**300)
    | st.floats(allow_nan=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=4)


def fields_of(path: Path, **options: bool) -> list[dict[str, Any]]:
    """Read all objects of a file."""
    return [line.fields for line in jsonl.read(path, **options)]


def names(folder: Path) -> list[str]:
    """List a folder, hidden files included."""
    return sorted(path.name for path in folder.iterdir())


# --- round trips ----------------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(objects=st.lists(OBJECTS, min_size=1, max_size=5))
def test_what_is_written_is_read_again(tmp_path: Path, objects: list[dict[str, Any]]) -> None:
    """Any JSON objects come back equal, one a line, at the offsets that are reported."""
    path = tmp_path / "a.jsonl"
    jsonl.rewrite(path, map(jsonl.dumps, objects))
    assert path.read_bytes().count(b"\n") == len(objects)
    lines = list(jsonl.read(path))
    assert [line.fields for line in lines] == objects
    assert [line.number for line in lines] == list(range(1, len(objects) + 1))
    backwards = [line.offset for line in reversed(lines)]
    assert b"".join(reversed(list(jsonl.raw_lines(path, backwards)))) == path.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(objects=st.lists(OBJECTS, max_size=4))
def test_what_is_appended_is_read_again(tmp_path: Path, objects: list[dict[str, Any]]) -> None:
    """An appended file holds the objects in order; without any it is empty, which only `torn` permits."""
    path = tmp_path / "a.jsonl"
    path.unlink(missing_ok=True)
    with jsonl.Appender(path) as appender:
        for fields in objects:
            appender.append(fields)
    assert fields_of(path, torn=True) == objects


@given(OBJECTS)
def test_a_written_line_is_plain_utf_8(fields: dict[str, Any]) -> None:
    """A line is valid UTF-8 with exactly one line feed, at its end."""
    line = jsonl.dumps(fields)
    line.decode("utf-8")
    assert line.index(b"\n") == len(line) - 1


def test_ordinary_text_is_written_readably() -> None:
    """Only a line with a lone surrogate is written with escapes."""
    assert jsonl.dumps({"prompt": "写一首诗 🎵"}) == '{"prompt": "写一首诗 🎵"}\n'.encode()
    assert jsonl.dumps({"prompt": "诗 \ud83d"}) == b'{"prompt": "\\u8bd7 \\ud83d"}\n'


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 10**4000, -(10**4000), 1e-320])
def test_unusual_numbers_survive(tmp_path: Path, value: float) -> None:
    """NaN, infinities, negative zero and integers of thousands of digits come back."""
    path = tmp_path / "a.jsonl"
    jsonl.rewrite(path, [jsonl.dumps({"value": value})])
    (back,) = fields_of(path)
    assert repr(back["value"]) == repr(value)
    assert type(back["value"]) is type(value)


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, inside: str) -> None:
    """Other characters that Unicode calls line ends may stand raw in a value."""
    path = tmp_path / "a.jsonl"
    raw = json.dumps({"prompt": f"a{inside}b"}, ensure_ascii=False).encode()
    path.write_bytes(raw + b"\n" + raw + b"\n")
    assert [fields["prompt"] for fields in fields_of(path)] == [f"a{inside}b"] * 2


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"", b"\n\n", b"\n \t\r\n"], ids=repr)
@pytest.mark.parametrize("mark", [b"", jsonl.BYTE_ORDER_MARK], ids=["plain", "marked"])
@pytest.mark.parametrize("between", [b"\n", b"\r\n", b"\n\n", b"\n  \n"], ids=repr)
def test_line_ends_blank_lines_and_a_byte_order_mark_do_not_matter(
    tmp_path: Path, mark: bytes, between: bytes, end: bytes
) -> None:
    """What editors of other systems leave in a file changes neither objects nor line numbers."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(mark + b'{"key": 1}' + between + b'{"key": 2}' + end)
    lines = list(jsonl.read(path))
    assert [line.fields for line in lines] == [{"key": 1}, {"key": 2}]
    assert lines[1].number == 1 + between.count(b"\n")
    assert list(jsonl.raw_lines(path, [lines[1].offset, 0])) == [b'{"key": 2}\n', b'{"key": 1}\n']
    assert jsonl.starts_with_byte_order_mark(path) == bool(mark)


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "line", "words"),
    [
        (b'{"a": 1}\n{"a": \n', 2, ("not JSON", "column 7", "one JSON object")),
        (b"\n\nprompt: x\n", 3, ("not JSON", "column 1", "one JSON object")),
        (b"{'a': 1}\n", 1, ("not JSON", "one JSON object")),
        (b'{"a": 1} {"a": 2}\n', 1, ("not JSON", "column 10")),
        (b'{"a": 1}\n\xef\xbb\xbf{"a": 2}\n', 2, ("not JSON",)),
        (b'{"a": "\t"}\n', 1, ("not JSON",)),
        (b"[1]\n", 1, ("a JSON list", "one JSON object")),
        (b'"x"\n', 1, ("a JSON string",)),
        (b"7\n", 1, ("a JSON number",)),
        (b"7.5\n", 1, ("a JSON number",)),
        (b"NaN\n", 1, ("a JSON number",)),
        (b"true\n", 1, ("a JSON boolean",)),
        (b"null\n", 1, ("a JSON null",)),
        (b'{"a": "\xff"}\n', 1, ("not UTF-8", "byte 8", "convert")),
        (b'{"a": "\xed\xa0\x80"}\n', 1, ("not UTF-8", "convert")),
        ('{"a": 1}\n'.encode("utf-16"), 1, ("not UTF-8", "convert")),
        (b"[" * 100_000 + b"\n", 1, ("nested too deeply", "simplify")),
        (b'{"a": ' + b"1" * 5000 + b"}\n", 1, ("number too long", "simplify")),
    ],
)
def test_a_bad_line_is_named_with_what_to_do(tmp_path: Path, raw: bytes, line: int, words: tuple[str, ...]) -> None:
    """The error holds file:line, what is wrong and what is wanted, in one line."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        fields_of(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ")
    assert (caught.value.path, caught.value.line) == (path, line)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b" \r\n\t\n", jsonl.BYTE_ORDER_MARK, jsonl.BYTE_ORDER_MARK + b"\n"], ids=repr
)
def test_an_empty_file_is_an_error_unless_it_grows(tmp_path: Path, raw: bytes) -> None:
    """Nothing but white space is no data set, but may be a file of answers that has none yet."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"a\.jsonl: the file is empty; expected one JSON object a line"):
        fields_of(path)
    assert fields_of(path, torn=True) == []


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.jsonl", "no such file; check the path"),
        ("folder", "is a directory; name a JSONL file"),
        ("file/inside.jsonl", "cannot be read: Not a directory"),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_what_is_no_file_is_named(tmp_path: Path, name: str, words: str, torn: bool) -> None:
    """A missing file, a folder and impossible names are DataErrors with the path."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError) as caught:
        fields_of(tmp_path / name, torn=torn)
    assert str(caught.value) == f"{tmp_path / name}: {words}"


@pytest.mark.skipif(AS_ROOT, reason="root reads everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    """A file that may not be read is a DataError with the system's reason."""
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n")
    path.chmod(0)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        fields_of(path)


@given(st.binary(max_size=200))
def test_any_bytes_give_an_object_or_a_data_error(raw: bytes) -> None:
    """No content of a line makes the parser raise anything else."""
    try:
        value = jsonl.parse(raw, Path("a.jsonl"), 3)
    except DataError as error:
        assert str(error).startswith("a.jsonl:3: ")
        assert str(error).isprintable()
    else:
        assert isinstance(value, dict)


# --- torn last lines ------------------------------------------------------------------------------------------------

WHOLE = [{"key": 1, "prompt": "诗"}, {"key": 2, "prompt": "b"}]
LAST = {"key": 3, "prompt": "café 🎵", "response": "\ud800"}


def test_a_line_torn_anywhere_is_left_out_and_cut_off(tmp_path: Path) -> None:
    """At every byte of the last line: reading leaves the torn line out, appending replaces it."""
    kept = b"".join(map(jsonl.dumps, WHOLE))
    last = jsonl.dumps(LAST)
    for cut in range(len(last)):
        path = tmp_path / f"{cut}.jsonl"
        path.write_bytes(kept + last[:cut])
        assert fields_of(path, torn=True) == WHOLE
        assert path.stat().st_size == len(kept) + cut  # reading repairs nothing
        with jsonl.Appender(path) as appender:
            assert path.read_bytes() == kept
            appender.append(LAST)
        assert path.read_bytes() == kept + last


def test_a_file_that_is_one_torn_line_becomes_empty(tmp_path: Path) -> None:
    """A kill within the very first line leaves a file that starts anew."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"key": 1, "pro')
    assert fields_of(path, torn=True) == []
    jsonl.Appender(path).close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize("length", [65535, 65536, 65537, 200_000])
def test_the_end_of_a_long_torn_line_is_found(tmp_path: Path, length: int) -> None:
    """A torn line longer than the block that is read backwards is cut off like any other."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"key": 1}\n' + b"x" * length)
    assert fields_of(path, torn=True) == [{"key": 1}]
    jsonl.Appender(path).close()
    assert path.read_bytes() == b'{"key": 1}\n'


def test_a_torn_last_line_is_an_error_where_nothing_appends(tmp_path: Path) -> None:
    """A data set whose last line is torn is refused; one that merely lacks its last line feed is not."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"key": 1}\n{"key": ')
    with pytest.raises(DataError, match=r"a\.jsonl:2: not JSON"):
        fields_of(path)
    path.write_bytes(b'{"key": 1}\n{"key": 2}')
    assert len(fields_of(path)) == 2


def test_what_a_killed_writer_appended_is_whole(tmp_path: Path) -> None:
    """Each line is in the file once `append` has returned, even if the process is killed at once."""
    path = tmp_path / "folder" / "a.jsonl"
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom data import jsonl\n"
        "appender = jsonl.Appender(Path(sys.argv[1]))\n"
        "for key in range(3): appender.append({'key': key})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert fields_of(path) == [{"key": 0}, {"key": 1}, {"key": 2}]


def test_appending_keeps_what_is_there(tmp_path: Path) -> None:
    """A whole file is only added to."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"key": 1}\n\n')
    with jsonl.Appender(path) as appender:
        appender.append({"key": 2})
    assert path.read_bytes() == b'{"key": 1}\n\n{"key": 2}\n'


# --- full disks and unwritable places -------------------------------------------------------------------------------


@pytest.fixture
def full_device(tmp_path: Path) -> Path:
    """A device that is always full: one of our own for root, who could replace the system's by a bug under test."""
    system = Path("/dev/full")
    if not system.is_char_device():
        pytest.skip("no /dev/full here")
    if not AS_ROOT:
        return system
    own = tmp_path / "full"
    try:
        os.mknod(own, stat.S_IFCHR | 0o666, system.stat().st_rdev)
        own.open("wb").close()
    except OSError:
        pytest.skip("no devices in the temporary folder")
    return own


def test_a_full_disk_is_one_line(full_device: Path) -> None:
    """Appending and rewriting on a full device end in a DataError that names it."""
    message = f"{full_device}: cannot be written: No space left on device"
    with jsonl.Appender(full_device) as appender, pytest.raises(DataError) as caught:
        appender.append({"key": 1})
    assert str(caught.value) == message
    with pytest.raises(DataError) as caught:
        jsonl.rewrite(full_device, [b"{}\n"])
    assert str(caught.value) == message
    assert full_device.is_char_device()


def limited(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in a process whose files may grow to 1000 bytes only."""
    head = (
        "import resource, sys\nfrom pathlib import Path\nfrom data import errors, jsonl\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "path = Path(sys.argv[1])\n"
    )
    command = [sys.executable, "-B", "-c", head + code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("size", [100, 130, 333, 999, 1500])
def test_a_disk_that_fills_up_leaves_no_half_line(tmp_path: Path, size: int) -> None:
    """The line that does not fit is taken back, and the file goes on from there once there is room."""
    path = tmp_path / "a.jsonl"
    code = (
        "def command():\n"
        "    with jsonl.Appender(path) as appender:\n"
        f"        for key in range(100): appender.append({{'key': key, 'response': 'x' * {size}}})\n"
        "    return 0\n"
        "sys.exit(errors.guarded(command, lambda line: print(line, file=sys.stderr)))\n"
    )
    done = limited(code, path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {path}: cannot be written: File too large\n"
    raw = path.read_bytes()
    assert not raw or raw.endswith(b"\n")
    assert len(raw) > 1000 - 2 * (size + 40)
    keys = [fields["key"] for fields in fields_of(path, torn=True)]
    assert keys == list(range(len(keys)))
    with jsonl.Appender(path) as appender:
        appender.append({"key": len(keys), "response": ""})
    assert len(fields_of(path)) == len(keys) + 1


def test_a_disk_that_fills_up_while_rewriting_loses_nothing(tmp_path: Path) -> None:
    """The old file stands whole, and nothing is left beside it."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"key": 1}\n')
    code = (
        "command = lambda: jsonl.rewrite(path, [b'x' * 100 + b'\\n'] * 100)\n"
        "sys.exit(errors.guarded(command, lambda line: print(line, file=sys.stderr)))\n"
    )
    done = limited(code, path)
    assert (done.returncode, done.stderr) == (2, f"error: {path}: cannot be written: File too large\n")
    assert path.read_bytes() == b'{"key": 1}\n'
    assert names(tmp_path) == ["a.jsonl"]


def test_a_device_that_takes_half_a_line_is_asked_to_give_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that is cut short and then refused leaves the file as it was before the line."""
    real = os.write
    calls = []

    def write(descriptor: int, raw: bytes) -> int:
        calls.append(len(raw))
        if len(calls) % 2 == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, raw[:5])

    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"key": 1}\n')
    with jsonl.Appender(path) as appender:
        monkeypatch.setattr(os, "write", write)
        with pytest.raises(DataError, match="No space left"):
            appender.append({"key": 2})
        monkeypatch.undo()
        assert path.read_bytes() == b'{"key": 1}\n'
        appender.append({"key": 3})
    assert fields_of(path) == [{"key": 1}, {"key": 3}]


def test_a_line_that_is_taken_in_pieces_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short writes are continued where they stopped."""
    real = os.write
    path = tmp_path / "a.jsonl"
    with jsonl.Appender(path) as appender:
        monkeypatch.setattr(os, "write", lambda descriptor, raw: real(descriptor, raw[:3]))
        appender.append(LAST)
        monkeypatch.undo()
    assert path.read_bytes() == jsonl.dumps(LAST)


WRITERS: list[Callable[[Path], object]] = [
    lambda path: jsonl.Appender(path),
    lambda path: jsonl.rewrite(path, [b"{}\n"]),
]


@pytest.mark.parametrize("write", WRITERS, ids=["append", "rewrite"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("folder", "directory"),
        ("file/inside.jsonl", "cannot be written: "),
        ("x" * 300, "File name too long"),
    ],
)
def test_an_impossible_target_is_one_line(
    tmp_path: Path, write: Callable[[Path], object], name: str, reason: str
) -> None:
    """A folder, a file taken for a folder, and a name too long are DataErrors; nothing is left behind."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    with pytest.raises(DataError) as caught:
        write(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: cannot be written: ")
    assert reason in str(caught.value)
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "kept"
    assert names(tmp_path / "folder") == []


@pytest.mark.parametrize("write", WRITERS, ids=["append", "rewrite"])
def test_missing_folders_are_made(tmp_path: Path, write: Callable[[Path], object]) -> None:
    """A target in a folder that is not there yet gets it."""
    write(tmp_path / "new" / "er" / "a.jsonl")
    assert names(tmp_path / "new" / "er") == ["a.jsonl"]


@pytest.mark.skipif(AS_ROOT, reason="root writes everywhere")
@pytest.mark.parametrize("write", WRITERS, ids=["append", "rewrite"])
def test_a_read_only_folder_is_one_line(tmp_path: Path, write: Callable[[Path], object]) -> None:
    """Where the folder takes no files, the system's reason is said."""
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o555)
    with pytest.raises(DataError, match="cannot be written: Permission denied"):
        write(folder / "a.jsonl")
    with pytest.raises(DataError, match="cannot be written: Permission denied"), jsonl.only_process(folder / "a"):
        pass


# --- rewriting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [ValueError, DataError, KeyboardInterrupt, SystemExit])
def test_a_body_that_fails_leaves_the_old_file(tmp_path: Path, fault: Callable[[str], BaseException]) -> None:
    """Whatever ends the writing early, the old file stands whole and alone."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"old\n")
    with pytest.raises(BaseException, match="stop"), jsonl.replacing(path) as file:
        file.write(b"new\n" * 100_000)
        raise fault("stop")
    assert path.read_bytes() == b"old\n"
    assert names(tmp_path) == ["a.jsonl"]


def test_a_body_that_fails_makes_no_new_file(tmp_path: Path) -> None:
    """Where there was no file, there is none afterwards."""
    with pytest.raises(ZeroDivisionError), jsonl.replacing(tmp_path / "a.jsonl") as file:
        file.write(b"new\n")
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_the_old_file_stands_until_the_end(tmp_path: Path) -> None:
    """A reader sees the old file while the new one is written, and may keep reading it."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"old\n")
    with path.open("rb") as reader, jsonl.replacing(path) as file:
        file.write(b"new\n")
        file.flush()
        assert path.read_bytes() == b"old\n"
        assert reader.read() == b"old\n"
    assert path.read_bytes() == b"new\n"


def test_a_file_can_be_rewritten_from_itself(tmp_path: Path) -> None:
    """Lines are drawn from the old file while the new one grows."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"key": 1}\n{"key": 2}')
    offsets = [line.offset for line in jsonl.read(path)]
    jsonl.rewrite(path, jsonl.raw_lines(path, offsets[::-1]))
    assert path.read_bytes() == b'{"key": 2}\n{"key": 1}\n'


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_the_mode_is_kept(tmp_path: Path, mode: int) -> None:
    """The new file may be read by those who could read the old one, and by no others."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"old\n")
    path.chmod(mode)
    jsonl.rewrite(path, [b"new\n"])
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_gets_the_usual_mode(tmp_path: Path, mask: int, mode: int) -> None:
    """A file that was not there obeys the umask, which stays as it is."""
    before = os.umask(mask)
    try:
        jsonl.rewrite(tmp_path / "a.jsonl", [b"new\n"])
    finally:
        assert os.umask(before) == mask
    assert stat.S_IMODE((tmp_path / "a.jsonl").stat().st_mode) == mode


@pytest.mark.parametrize("there", [True, False], ids=["target there", "dangling"])
def test_a_link_stays_a_link(tmp_path: Path, there: bool) -> None:
    """A symbolic link keeps pointing at the file, which is the one replaced."""
    real = tmp_path / "store" / "real.jsonl"
    real.parent.mkdir()
    if there:
        real.write_bytes(b"old\n")
    link = tmp_path / "link.jsonl"
    link.symlink_to(Path("store") / "real.jsonl")
    jsonl.rewrite(link, [b"new\n"])
    assert link.is_symlink()
    assert real.read_bytes() == b"new\n"
    assert names(real.parent) == ["real.jsonl"]


def test_a_link_to_itself_is_no_traceback(tmp_path: Path) -> None:
    """A link that leads nowhere but to itself is an error of one line or is replaced."""
    link = tmp_path / "link.jsonl"
    link.symlink_to(link)
    try:
        jsonl.rewrite(link, [b"new\n"])
    except DataError as error:
        assert "cannot be written" in str(error)
    else:
        assert link.read_bytes() == b"new\n"


def test_a_write_protected_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renaming would get around a file's protection; it is refused as writing to it would be."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"old\n")
    path.chmod(0o444)
    if AS_ROOT:  # whom nothing protects from
        monkeypatch.setattr(os, "access", lambda target, _: bool(Path(target).stat().st_mode & 0o200))
    with pytest.raises(DataError, match=r"a\.jsonl: cannot be written: the file is write-protected"):
        jsonl.rewrite(path, [b"new\n"])
    assert path.read_bytes() == b"old\n"
    assert names(tmp_path) == ["a.jsonl"]


def test_a_pipe_is_written_through(tmp_path: Path) -> None:
    """A target that is no regular file stays what it is and receives the bytes."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    jsonl.rewrite(pipe, [b"one\n", b"two\n"])
    reader.join(timeout=60)
    assert received == [b"one\ntwo\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert names(tmp_path) == ["pipe"]


def test_standard_output_can_be_the_target() -> None:
    """`/dev/stdout` under a pipe shows the lines."""
    code = "from pathlib import Path\nfrom data import jsonl\njsonl.rewrite(Path('/dev/stdout'), [b'line\\n'])\n"
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=ROOT, check=True, capture_output=True)
    assert done.stdout == b"line\n"


# --- locks ----------------------------------------------------------------------------------------------------------

HOLDER = (
    "import sys\nfrom pathlib import Path\nfrom data import jsonl\n"
    "with jsonl.only_process(Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)


@pytest.mark.parametrize("end", ["ends", "killed"])
def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path, end: str) -> None:
    """The lock holds between processes, names its place, and goes with the process, even under kill -9."""
    path = tmp_path / "run" / "a.jsonl"
    command = [sys.executable, "-B", "-c", HOLDER, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        refused = pytest.raises(DataError, match=r"a\.jsonl: another process is writing here; wait for it")
        with refused, jsonl.only_process(path):
            pytest.fail("two at once")
        with jsonl.only_process(path.with_name("b.jsonl")):
            pass  # another file is free
        if end == "killed":
            holder.kill()
        else:
            holder.stdin.close()
        holder.wait(timeout=60)
    with jsonl.only_process(path):
        pass


def test_a_lock_is_released_when_its_body_fails(tmp_path: Path) -> None:
    """An error inside gives the lock back."""
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), jsonl.only_process(tmp_path / "a.jsonl"):
            raise ZeroDivisionError


def test_a_file_system_without_locks_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal of the lock itself is a DataError, not a traceback."""

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(DataError, match="cannot be written: No locks available"), jsonl.only_process(tmp_path / "a"):
        pass
