"""Any back end in replicas on a Ray cluster: each is a process wherever the cluster has room, one a GPU by default.

A replica loads the model's settings with `load_backend`, as a run without Ray does in its own process, so that prompts
and answers are the same. Files, order, resume and preflight stay with the run, which only sees one more Backend. The
clips are decoded here and travel to the replicas with their requests; no replica reads a file of the data set.

A replica that ends (killed, out of memory, its node gone) is started anew, on whatever node has room, and what it was
working on is asked again, of another one if that is sooner. Ray's own retries are off: they would keep a request
waiting for the very process that is gone.

Ray Data and its vLLM processor are left aside: they hand answers over in blocks, keep an order of their own, and render
the prompt otherwise. Seen working with Ray 2.55 and 2.60.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import os
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data.errors import ModelError, ToolkitError, UsageError, printable
from inference.backends import Answer, Backend, Request, answering, load_backend
from inference.chat import without_credentials
from inference.manifest import package_versions
from inference.progress import say

# Only where the user has not said otherwise.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_COLOR_PREFIX": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what newer versions do; older ones warn that they will
}
HOW_TO_INSTALL = "install it with: pip install -e '.[ray]'"
ROOT = Path(__file__).parents[2]
NEW = "local"  # Ray's word for a cluster of this run's own
PACKAGES = ("data", "prompts", "inference")  # what a replica imports
LEFT_OUT = ["*.ogg"]  # the sample's recordings
ON_THE_CPU = ("embedded", "openai")  # back ends that never use a GPU
# As many replicas may end under one request, and one replica as often in a row without a single answer.
ATTEMPTS = 3
CONNECT_SECONDS = 10.0
SECONDS_BEFORE_A_WORD = 60.0
SHUTDOWN_SECONDS = 20.0
LONGEST_REASON = 300  # characters of one of Ray's messages, which may go on for pages


class Replica:
    """The model in a process of the cluster; Ray makes an actor of it."""

    async def load(
        self, settings: Mapping[str, Any], folder: str, *, all_cores: bool
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Load the back end; return the versions of the packages it stands on, and its weights' revisions.

        Args:
            settings: the model's.
            folder: where the run was started. Relative paths start there, if this machine has such a folder.
            all_cores: use as many threads as without Ray, which would have one for a process that asks for one core.

        Raises:
            ToolkitError: the model cannot be loaded here.
        """
        os.dup2(2, 1)  # of the two streams, only this one gets through to the user
        if Path(folder).is_dir():
            os.chdir(folder)
        if all_cores and os.environ.get("OMP_NUM_THREADS") == "1":
            del os.environ["OMP_NUM_THREADS"]  # the number of threads also decides how sums are rounded
        self._backend: Backend = await asyncio.to_thread(load_backend, settings)
        return package_versions(), dict(getattr(self._backend, "revisions", {}))

    async def answer(self, request: Request) -> Answer:
        """Answer one request."""
        return await self._backend.answer(_writable(request))

    async def rendered(self, request: Request) -> str:
        """Return the exact prompt of a request."""
        return self._backend.rendered(_writable(request))

    async def close(self) -> None:
        """Free what the model holds."""
        await self._backend.close()


@dataclass(slots=True, eq=False)
class _Remote:
    """One replica as seen from here, and how it fares.

    Attributes:
        actor: Ray's handle of it.
        loading: Ray's reference to what `load` returns; None once it is loaded.
        joining: the task that waits for that; None while nobody does.
        in_flight: requests that it works on.
        losses: replicas that ended in this one's place, one after the other, without a single answer.
    """

    actor: Any
    loading: Any
    joining: asyncio.Task[None] | None = None
    in_flight: int = 0
    losses: int = 0


class RayCluster:
    """Asks whichever replica has least to do; each has at most `concurrency` requests, as many as it would have alone.

    Attributes:
        replicas: how many there are to be.
        engine: what run.json says about them.
        packages: versions of the packages that the model stands on, as the first loaded replica has them.
        revisions: the hub's commits of its weights, likewise.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Find the cluster, or start one on this machine, and wait until one replica is loaded.

        Args:
            settings: `model`, the settings of the model's own back end, with `concurrency`; `address` of the cluster
                (None: the one that Ray finds, else one of this run's own); `replicas`, how many (None: one a GPU, or
                one a node where the model runs on the CPU); `resources` that a replica needs, beside the usual ones.

        Raises:
            UsageError: there are no settings of a model, or a resource cannot be one.
            ModelError: Ray is missing, the cluster cannot be reached or has no room, or the model cannot be loaded.
        """
        if "model" not in settings:
            raise UsageError("ray is no back end of its own; add --engine ray to the command that names the model")
        self._settings: Mapping[str, Any] = settings["model"]
        self._concurrency = int(self._settings["concurrency"])
        self._ray = _import_ray()
        self._changed = asyncio.Condition()
        self._remotes: list[_Remote] = []
        self._why: ToolkitError | None = None
        self.packages: dict[str, str] = {}
        self.revisions: dict[str, str] = {}
        self._leaving = ExitStack()
        try:
            # On standard output, which is for results, Ray prints pages about each process that has died.
            self._leaving.enter_context(redirect_stdout(io.StringIO()))
            self._leaving.callback(self._ray.shutdown)
            address = _connect(self._ray, settings.get("address"), self._settings)
            nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            given = settings.get("resources") or {}
            resources = {**_usual_resources(self._settings, nodes), **given}
            self._all_cores = "CPU" not in given and not resources.get("GPU")
            self.replicas = _replicas(settings.get("replicas"), resources, nodes)
            self.engine: dict[str, Any] = {
                "name": "ray",
                "version": self._ray.__version__,
                "address": address,
                "replicas": self.replicas,
                "resources": resources,
            }
            try:
                self._actor_class = self._actor(resources)
                for _ in range(self.replicas):
                    self._start(losses=0)
            except ValueError as error:
                raise UsageError(f"--ray_resources: {_reason(error)}") from None
            self._wait_for_one()
        except BaseException:
            self._leaving.close()
            raise

    async def answer(self, request: Request) -> Answer:
        """Have the least busy replica answer; if it ends meanwhile, ask again.

        Raises:
            ModelError: no replica is left, or Ray itself fails.
        """
        errors = self._ray.exceptions
        for _ in range(ATTEMPTS):
            remote = await self._least_busy()
            try:
                answer: Answer = await remote.actor.answer.remote(request)
            except errors.RayTaskError as error:
                if not isinstance(error.cause, ToolkitError):
                    raise
                self._lost(remote, error.cause)  # its engine has died: the process that is left is of no use
            except errors.RayActorError as error:
                self._lost(remote, ModelError(f"a replica of the model has died ({_death(error)})"))
            except errors.RayError as error:
                raise ModelError(f"ray: {_reason(error)}") from error
            else:
                remote.losses = 0
                return answer
            finally:
                remote.in_flight -= 1
                await self._tell(1 if remote in self._remotes else None)
        return Answer(None, f"{ATTEMPTS} replicas ended while they worked on it, the last with: {self._why}")

    def rendered(self, request: Request) -> str:
        """Return the prompt as a replica makes it."""
        for remote in self._loaded():
            try:
                return str(self._ray.get(remote.actor.rendered.remote(request)))
            except self._ray.exceptions.RayActorError:
                continue
        return "<unknown: the replicas have ended>"

    async def close(self) -> None:
        """Free the models, end the replicas, and leave the cluster; one that was started for this run ends too."""
        for remote in self._remotes:
            if remote.joining is not None:
                remote.joining.cancel()
        closing = [remote.actor.close.remote() for remote in self._loaded()]
        try:
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                await asyncio.gather(*closing, return_exceptions=True)
        except TimeoutError:
            pass
        finally:
            self._leaving.close()

    def _actor(self, resources: Mapping[str, float]) -> Any:
        """Return the class whose `remote()` starts a replica."""
        return self._ray.remote(Replica).options(
            num_cpus=resources.get("CPU", 0),
            num_gpus=resources.get("GPU", 0),
            resources={name: amount for name, amount in resources.items() if name not in ("CPU", "GPU")},
            scheduling_strategy="SPREAD",
            max_concurrency=self._concurrency + 2,  # a prompt can be asked for, and the end, while it is busy
            max_restarts=0,
            max_task_retries=0,
        )

    def _start(self, losses: int) -> None:
        actor = self._actor_class.remote()
        # An argument of a call goes straight to the replica; those of its creation would stay in the cluster's records.
        loading = actor.load.remote(self._settings, str(Path.cwd()), all_cores=self._all_cores)
        self._remotes.append(_Remote(actor, loading, losses=losses))

    def _wait_for_one(self) -> None:
        """Wait, without an event loop, until one replica is loaded."""
        seconds: float | None = SECONDS_BEFORE_A_WORD
        while self._remotes:
            loading = {remote.loading: remote for remote in self._remotes}
            done, _ = self._ray.wait(list(loading), num_returns=1, timeout=seconds)
            if not done:
                free = self._ray.available_resources()
                asked = _amounts({name: free.get(name, 0) for name in self.engine["resources"]})
                say(f"no replica is loaded yet: that takes longer, or the cluster is full (free: {asked})")
                seconds = None
            for reference in done:
                try:
                    self._join(loading[reference], self._ray.get(reference))
                    return
                except self._ray.exceptions.RayError as error:
                    self._not_loaded(loading[reference], error)
        raise self._why or AssertionError("unreachable: a replica is started at least")

    async def _wait_for(self, remote: _Remote) -> None:
        try:
            self._join(remote, await remote.loading)
        except self._ray.exceptions.RayError as error:
            self._not_loaded(remote, error)
        await self._tell(None)

    def _join(self, remote: _Remote, loaded: tuple[dict[str, str], dict[str, str]]) -> None:
        remote.loading = None
        packages, revisions = loaded
        if not self.packages:
            self.packages, self.revisions = packages, revisions
            if len(self._remotes) < self.replicas:
                say(printable(f"{len(self._remotes)} of {self.replicas} replicas are left: {self._why}"))
        others = {name for name in self.packages.keys() | packages if self.packages.get(name) != packages.get(name)}
        if others:
            say(f"warning: the replicas have different versions of {', '.join(sorted(others))}; answers may differ")

    def _not_loaded(self, remote: _Remote, error: Any) -> None:
        if isinstance(error, self._ray.exceptions.RayTaskError):
            cause = error.cause
            if not isinstance(cause, ToolkitError):
                cause = ModelError(f"a replica cannot load the model: {type(cause).__name__}: {_reason(cause)}")
            self._lost(remote, cause, again=False)
        elif getattr(error, "actor_init_failed", False):  # a traceback: a package is not installed on that node
            last = str(error).strip().rpartition("\n")[2]
            self._lost(remote, ModelError(f"a replica cannot be started: {last}"), again=False)
        else:
            self._lost(remote, ModelError(f"a replica of the model died while it was loading ({_death(error)})"))

    def _lost(self, remote: _Remote, why: ToolkitError, *, again: bool = True) -> None:
        """Put another replica in the place of one that is of no use any more, unless that has been tried enough."""
        if remote not in self._remotes:
            return  # another of its requests was here before
        self._why = why
        self._remotes.remove(remote)
        self._ray.kill(remote.actor)
        again = again and remote.losses + 1 < ATTEMPTS
        if again:
            self._start(remote.losses + 1)
        if self.packages and self._remotes:  # else none was loaded ever, or none is left: this ends the run
            fate = "it is started anew" if again else f"{len(self._remotes)} of {self.replicas} replicas are left"
            say(printable(f"{why}; {fate}"))

    def _loaded(self) -> list[_Remote]:
        return [remote for remote in self._remotes if remote.loading is None]

    def _with_room(self) -> list[_Remote]:
        return [remote for remote in self._loaded() if remote.in_flight < self._concurrency]

    async def _least_busy(self) -> _Remote:
        """Wait for a replica that has room, and take a place in it.

        Raises:
            ToolkitError: no replica is left.
        """
        async with self._changed:
            self._follow()
            await self._changed.wait_for(lambda: self._with_room() or not self._remotes)
            if not self._remotes:
                raise self._why or AssertionError("unreachable: replicas go only when they are lost")
            remote = min(self._with_room(), key=lambda remote: remote.in_flight)
            remote.in_flight += 1
            return remote

    async def _tell(self, count: int | None) -> None:
        """Let so many of those who wait for a replica look again; None for all."""
        async with self._changed:
            self._follow()
            self._changed.notify_all() if count is None else self._changed.notify(count)

    def _follow(self) -> None:
        for remote in self._remotes:
            if remote.loading is not None and remote.joining is None:
                remote.joining = asyncio.create_task(self._wait_for(remote))


def _import_ray() -> Any:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ModelError(f"--engine ray needs ray ({error}); {HOW_TO_INSTALL}") from None


def _connect(ray: Any, wanted: str | None, settings: Mapping[str, Any]) -> str:
    """Connect to the cluster, or start one; return its address.

    Raises:
        ModelError: it cannot be reached, or used.
    """
    address = _address(wanted)
    try:
        with _own_signals():
            context = ray.init(
                address=address,
                include_dashboard=False,
                logging_level="ERROR",
                runtime_env={"py_modules": _code(settings), "excludes": LEFT_OUT},
            )
    except Exception as error:  # whatever sockets, versions, tokens or the code's transfer raise
        what = "Ray cannot be started" if address == NEW else f"the Ray cluster at {address} cannot be used"
        raise ModelError(without_credentials(f"{what}: {_reason(error)}")) from error
    return without_credentials(getattr(context, "address_info", {}).get("gcs_address") or address)


def _address(wanted: str | None) -> str:
    """Return what to tell Ray: the address, `auto`, or NEW; checked, since Ray would go on trying for many minutes.

    Raises:
        ModelError: nobody answers.
    """
    address = os.environ.get("RAY_ADDRESS") or "auto" if wanted in (None, "auto") else wanted
    if address != "auto":
        if error := _unreachable(address):
            where = without_credentials(address)
            raise ModelError(f"the Ray cluster at {where} does not answer ({error}); is it running?")
        return address
    note = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir(), "ray", "ray_current_cluster")
    latest = note.read_text().strip() if note.exists() else ""
    error = _unreachable(latest)
    if wanted is None and (error or not latest):
        return NEW
    if error:
        raise ModelError(f"the Ray cluster of this machine has ended without a word ({error}); ray stop clears that up")
    return "auto"


def _unreachable(address: str) -> str | None:
    """Return why nothing listens at HOST:PORT; None where something does, or it is no such address."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        if port.isdecimal():
            socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        return str(error)
    return None


def _code(settings: Mapping[str, Any]) -> list[str]:
    """Return what travels to every node: this project, and the module of a class of one's own, if it lies here."""
    code = [ROOT / package for package in PACKAGES]
    backend = answering(settings)["backend"]
    if ":" in backend:
        own = Path.cwd() / backend.partition(":")[0].partition(".")[0]
        code += [path for path in (own, own.with_suffix(".py")) if path.exists()][:1]
    return [str(path) for path in code]


def _usual_resources(settings: Mapping[str, Any], nodes: list[Mapping[str, float]]) -> dict[str, float]:
    """Return what a replica needs: a core, and a GPU, or as many as the model is spread over."""
    model = answering(settings)
    engine = model.get("engine", {})
    has_gpus = any(node.get("GPU") for node in nodes)
    if not has_gpus or model["backend"] in ON_THE_CPU or str(engine.get("device", "")).startswith("cpu"):
        return {"CPU": 1}
    gpus = 1
    for kind in ("tensor", "pipeline", "data"):
        gpus *= int(engine.get(f"{kind}_parallel_size", 1))
    return {"CPU": 1, "GPU": gpus}


def _replicas(wanted: int | None, resources: Mapping[str, float], nodes: list[Mapping[str, float]]) -> int:
    """Return how many replicas are started: as many as wanted, else one a GPU, or one a node where none is needed.

    Raises:
        ModelError: no number is given, and the cluster has no room for a single one.
    """
    needed = {name: amount for name, amount in resources.items() if amount > 0}
    room = [min((int(node.get(name, 0) / needed[name] + 1e-9) for name in needed), default=1) for node in nodes]
    fitting = sum(room) if needed.get("GPU") else sum(count > 0 for count in room)
    if not (wanted or fitting):
        raise ModelError(
            f"no node of the Ray cluster has what a replica needs ({_amounts(needed)}); --ray_resources changes that, "
            "and with --ray_replicas N the run waits for nodes to come"
        )
    if wanted and wanted > sum(room):
        say(f"the cluster has room for {sum(room)} of {wanted} replicas ({_amounts(needed)} each); the others wait")
    return wanted or fitting


def _amounts(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={amount:g}" for name, amount in resources.items())


def _writable(request: Request) -> Request:
    """Return the request with samples that may be written to, as they may without Ray."""
    return replace(request, clips=tuple(replace(clip, samples=clip.samples.copy()) for clip in request.clips))


def _reason(error: BaseException) -> str:
    """Return an error's message as one line."""
    return printable(" ".join(str(error).split()))[:LONGEST_REASON] or type(error).__name__


def _death(error: BaseException) -> str:
    """Return where and why a replica died, from the lines that Ray gives it: a heading, indented details, a reason."""
    lines = str(error).splitlines()
    details = dict(line.strip().partition(": ")[::2] for line in lines if line.startswith("\t"))
    reason = " ".join(line for line in lines[1:] if not line.startswith("\t")) or str(error)
    place = f"process {details['pid']} on {details['ip']}: " if {"pid", "ip"} <= details.keys() else ""
    return place + _reason(Exception(reason))


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep SIGTERM to ourselves: Ray would end the process where we first bring the files into order."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:  # what Ray made of a SIGTERM meanwhile
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGTERM, before)
