"""JSONL files: read line by line, append safely, rewrite atomically.

Lines end at U+000A only (values may hold U+2028 or a bare carriage return). Values survive a round trip, also lone
surrogates, which JSON can carry but UTF-8 cannot: such a line is written with escapes.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from data.errors import DataError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """One object of a JSONL file.

    Attributes:
        number: 1-based line number.
        offset: byte offset of the line's start in the file.
        fields: the object.
    """

    number: int
    offset: int
    fields: dict[str, Any]


def read(path: Path, *, torn: bool = False) -> Iterator[Line]:
    """Yield the objects of a JSONL file one by one; blank lines are skipped, one leading BOM is ignored.

    Args:
        path: the file.
        torn: for a file that grows by appending: a last line without its line feed (torn by a kill) is left out, and
            the file may be empty.

    Raises:
        DataError: the file cannot be read, is empty, or a line is not UTF-8, not JSON or not an object.
    """
    found = torn
    offset = 0
    with opened(path) as file:
        size = _end_of_last_line(file.fileno()) if torn else None
        try:
            for number, raw in enumerate(file, start=1):
                start, offset = offset, offset + len(raw)
                if size is not None and offset > size:
                    break
                if number == 1:
                    raw = raw.removeprefix(BYTE_ORDER_MARK)
                if raw.strip():
                    found = True
                    yield Line(number, start, parse(raw, path, number))
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    if not found:
        raise DataError("the file is empty; expected one JSON object a line", path=path)


def raw_lines(path: Path, offsets: Iterable[int]) -> Iterator[bytes]:
    """Yield the lines that start at byte offsets which `read` reported, as they stand, in the order asked for."""
    with opened(path) as file:
        for offset in offsets:
            file.seek(offset)
            yield file.readline().removeprefix(BYTE_ORDER_MARK).rstrip(b"\r\n") + b"\n"


def parse(raw: bytes, path: Path, number: int) -> dict[str, Any]:
    """Return the object that one line holds.

    Raises:
        DataError: the line is not UTF-8, not JSON, or not an object.
    """
    try:
        value = json.loads(raw.decode("utf-8").rstrip("\r\n"))  # an error's column is one of this line
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8 (byte {error.start + 1} of the line); convert the file to UTF-8", path=path, line=number
        ) from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"not JSON (column {error.colno}: {error.msg}); each line must be one JSON object", path=path, line=number
        ) from None
    except (ValueError, RecursionError):
        raise DataError(
            "not usable JSON (nested too deeply, or a number too long); simplify the line", path=path, line=number
        ) from None
    if not isinstance(value, dict):
        raise DataError(
            f"a JSON {_json_type(value)} where an object is expected; each line must be one JSON object",
            path=path,
            line=number,
        )
    return value


def dumps(fields: Mapping[str, Any]) -> bytes:
    """Return one line, with its line feed."""
    try:
        return json.dumps(fields, ensure_ascii=False).encode("utf-8") + b"\n"
    except UnicodeEncodeError:  # a lone surrogate: only the escaped form can carry it
        return json.dumps(fields).encode("ascii") + b"\n"


class Appender:
    """A JSONL file that grows by whole lines; each line reaches the kernel before `append` returns."""

    def __init__(self, path: Path) -> None:
        """Open the file, creating it; a last line torn by a kill is cut off.

        Raises:
            DataError: the file cannot be written.
        """
        self.path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            whole = _end_of_last_line(self._descriptor)
            if whole < os.fstat(self._descriptor).st_size:
                os.ftruncate(self._descriptor, whole)

    def append(self, fields: Mapping[str, Any]) -> None:
        """Write one line.

        Raises:
            DataError: the disk is full or the file cannot be written; no half line is left.
        """
        line = dumps(fields)
        with writing(self.path):
            before = os.fstat(self._descriptor).st_size
            try:
                written = os.write(self._descriptor, line)
                while written < len(line):
                    written += os.write(self._descriptor, line[written:])
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, before)
                raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Appender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def rewrite(path: Path, lines: Iterable[bytes]) -> None:
    """Replace a file in one step; until then the old one stands whole.

    Raises:
        DataError: the target cannot be written; it is unchanged then.
    """
    with replacing(path) as file:
        file.writelines(lines)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write to, which takes the place of `path` when the body ends well.

    A target that is no regular file (a pipe, /dev/stdout) is written through instead of replaced.

    Raises:
        DataError: the target cannot be written; it is unchanged then.
    """
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory; name a file")
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            with path.open("wb") as file:
                yield file
            return
        target = Path(os.path.realpath(path))  # a link keeps pointing at the file that is replaced
        if target.exists() and not os.access(target, os.W_OK):  # renaming would get around the file's protection
            raise PermissionError(errno.EACCES, "the file is write-protected")
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write into the one line that the user reads.

    Raises:
        DataError: in place of any OSError of the body.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot be written: {reason}", path=path) from None


@contextmanager
def only_process(path: Path) -> Iterator[None]:
    """Hold a lock beside a file or folder, so that no second process writes to it.

    The lock goes with the process, also when it is killed.

    Raises:
        DataError: another process holds it, or the folder cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path.parent / f".{path.name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with writing(path):  # some network file systems know no locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(
                    "another process is writing here; wait for it, or choose another --run_name, --output_file, --out",
                    path=path,
                ) from None
        yield
    finally:
        os.close(descriptor)


def starts_with_byte_order_mark(path: Path) -> bool:
    """Return whether the file opens with a UTF-8 byte order mark."""
    with opened(path) as file:
        return file.read(3) == BYTE_ORDER_MARK


def opened(path: Path) -> BufferedReader:
    """Return a file opened for reading.

    Raises:
        DataError: there is no such file, it is a directory, or it cannot be read.
    """
    try:
        if path.is_dir():
            raise DataError("is a directory; name a JSONL file", path=path)
        return path.open("rb")
    except FileNotFoundError:
        raise DataError("no such file; check the path", path=path) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None


def _end_of_last_line(descriptor: int) -> int:
    """Return the offset behind the last line feed; reads backwards in blocks, so a long file costs nothing."""
    position = os.fstat(descriptor).st_size
    while position > 0:
        start = max(0, position - 65536)
        feed = os.pread(descriptor, position - start, start).rfind(b"\n")
        if feed >= 0:
            return start + feed + 1
        position = start
    return 0


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _json_type(value: object) -> str:
    names = {list: "list", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names[type(value)]
