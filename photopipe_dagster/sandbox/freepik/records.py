"""What the simulator of Freepik remembers: charges, cut-outs, tasks and uploads."""

from __future__ import annotations

import hashlib
import hmac
import threading
import uuid
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from photopipe_dagster.sandbox.charges import Charge, Job
from photopipe_dagster.sandbox.clock import Clock
from photopipe_dagster.sandbox.config import Paint, SandboxConfig
from photopipe_dagster.sandbox.freepik.mystic import Order
from photopipe_dagster.sandbox.pictures import encode, shrink
from photopipe_dagster.sandbox.traffic import Traffic

Status = Literal["CREATED", "IN_PROGRESS", "COMPLETED", "FAILED"]

UPLOAD_URL_SECONDS = 120
ASSET_URL_SECONDS = 86400
MAX_PREVIEW_PIXELS = 250_000
_SIGNING_KEY = b"signs URLs of the sandbox and nothing else"


@dataclass(frozen=True, slots=True)
class CutoutFiles:
    """The pictures of one background removal, by file name, and when they die."""

    id: str
    files: dict[str, tuple[bytes, str]] = field(repr=False)
    expires: float


@dataclass(slots=True)
class Task:
    """A Mystic task; its fault is what it has to act out."""

    id: str
    order: Order
    number: int
    created: float
    fault: str | None = None
    polls: int = 0
    finished: bool = False
    url_expires: float | None = None
    picture: tuple[bytes, str] | None = field(default=None, repr=False)


@dataclass(slots=True)
class Upload:
    """A place for a file that a client uploads."""

    id: str
    content_type: str
    created: float
    data: bytes | None = field(default=None, repr=False)


class FreepikRecords:
    """State of the simulator of Freepik.

    Attributes:
        charges: Everything that was charged, oldest first.
    """

    def __init__(self, config: SandboxConfig, clock: Clock, traffic: Traffic) -> None:
        self.config = config
        self.clock = clock
        self._traffic = traffic
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self.charges: list[Charge] = []
            self.cutouts: dict[str, CutoutFiles] = {}
            self.tasks: dict[str, Task] = {}
            self.uploads: dict[str, Upload] = {}
            self._calls: deque[float] = deque()
            self._refusals = 0

    @property
    def spent_usd(self) -> Decimal:
        """Sum of the charges."""
        with self._lock:
            return sum((charge.usd for charge in self.charges), Decimal(0))

    def alternate(self) -> bool:
        """True and false in turn: which of the two forms of a refusal is sent."""
        with self._lock:
            self._refusals += 1
            return self._refusals % 2 == 1

    def within_limit(self) -> bool:
        """Count a call of this minute; ``False`` if it is one too many."""
        limit = self.config.freepik_requests_per_minute
        if limit is None:
            return True
        now = self.clock.timestamp()
        with self._lock:
            while self._calls and self._calls[0] <= now - 60:
                self._calls.popleft()
            if len(self._calls) >= limit:
                return False
            self._calls.append(now)
            return True

    # --- cut-outs ------------------------------------------------------------------------

    def sell_cutout(self, files: dict[str, tuple[bytes, str]], *, dead: bool) -> CutoutFiles:
        """Keep the pictures of a cut-out and charge for it."""
        lifetime = -1.0 if dead else self.config.cutout_url_seconds
        cutout = CutoutFiles(uuid.uuid4().hex, files, self.clock.timestamp() + lifetime)
        with self._lock:
            self.cutouts[cutout.id] = cutout
            self._charge(cutout.id, "remove_background", self.config.price_cutout_usd)
        return cutout

    def cutout_file(self, cutout_id: str, name: str) -> tuple[bytes, str] | None:
        """Bytes and content type; ``None`` if unknown or expired."""
        with self._lock:
            cutout = self.cutouts.get(cutout_id)
        if cutout is None or self.clock.timestamp() >= cutout.expires:
            return None
        if name == "preview.png":  # made when it is asked for, as hardly anybody does
            png, content_type = cutout.files["high.png"]
            return shrink(png, MAX_PREVIEW_PIXELS), content_type
        return cutout.files.get(name)

    def _charge(self, reference: str, operation: str, usd: Decimal) -> None:
        job: Job = "cutout" if operation == "remove_background" else "background"
        self.charges.append(Charge(reference, operation, job, usd, self.clock.now()))

    # --- Mystic --------------------------------------------------------------------------

    def sell_task(self, order: Order, fault: str | None) -> Task:
        """Take an order and charge for it: at its creation, so that a lost answer costs."""
        with self._lock:
            number, created = len(self.tasks), self.clock.timestamp()
            task = Task(str(uuid.uuid4()), order, number, created, fault)
            self.tasks[task.id] = task
            self._charge(task.id, "mystic", self.config.price_mystic_usd[order.resolution])
        return task

    def poll(self, task_id: str) -> Task | None:
        """Look at a task, which brings it on where no latency is set."""
        with self._lock:
            task = self.tasks.get(task_id)
            if task is not None:
                task.polls += 1
                if self.status(task) in ("COMPLETED", "FAILED"):
                    self.finish(task)
            return task

    def look_at_all(self) -> list[Task]:
        """Look at all tasks; a list has no URLs, so that none begins to age."""
        with self._lock:
            for task in self.tasks.values():
                task.polls += 1
            return list(self.tasks.values())

    def finish(self, task: Task) -> None:
        """Bring a task to its end; from now on its URL ages."""
        with self._lock:
            task.finished = True
            if task.url_expires is None or self.config.mystic_resigns:
                lifetime = -1.0 if task.fault == "expired_url" else self.config.mystic_url_seconds
                task.url_expires = self.clock.timestamp() + lifetime

    def status(self, task: Task) -> Status:
        """Where a task stands: by its age if a latency is set, else by how often it was polled."""
        latency = self._traffic.latency("freepik.mystic.task")
        if latency:
            progress = (self.clock.timestamp() - task.created) / latency
        else:
            progress = task.polls / max(1, self.config.mystic_polls)
        if task.finished or progress >= 1:
            return "FAILED" if task.fault == "task_failed" else "COMPLETED"
        return "CREATED" if progress <= 0 else "IN_PROGRESS"

    def picture(self, task: Task) -> tuple[bytes, str]:
        """The task's picture and its true content type: PNG and JPEG in turn. Slow."""
        if task.picture is None:
            width, height = task.order.size(self.config.mystic_scale)
            kind = "JPEG" if task.number % 2 else "PNG"
            picture = _painted(self.config.paint, task.order.prompt, width, height, kind)
            task.picture = picture, f"image/{kind.lower()}"
        return task.picture

    def token(self, task: Task) -> str:
        """The token of a finished task's URL."""
        expires = int(task.url_expires or 0)
        return f"exp={expires}~hmac={_sign(task.id, expires)}"

    def accepts(self, task: Task, token: str) -> bool:
        """Whether a URL's token is genuine and has not expired."""
        expires, _, given = token.removeprefix("exp=").partition("~hmac=")
        if not expires.isdigit() or self.clock.timestamp() >= int(expires):
            return False
        return hmac.compare_digest(given, _sign(task.id, int(expires)))

    # --- uploads -------------------------------------------------------------------------

    def reserve_upload(self, content_type: str) -> Upload:
        """Make a place for a file."""
        upload = Upload(str(uuid.uuid4()), content_type, self.clock.timestamp())
        with self._lock:
            self.uploads[upload.id] = upload
        return upload

    def open_upload(self, upload_id: str) -> Upload | None:
        """A place that still takes its file."""
        return self._upload(upload_id, UPLOAD_URL_SECONDS)

    def uploaded(self, upload_id: str) -> Upload | None:
        """A place whose file was uploaded and can be fetched."""
        upload = self._upload(upload_id, ASSET_URL_SECONDS)
        return upload if upload is not None and upload.data is not None else None

    def _upload(self, upload_id: str, lifetime: float) -> Upload | None:
        with self._lock:
            upload = self.uploads.get(upload_id)
        if upload is None or self.clock.timestamp() >= upload.created + lifetime:
            return None
        return upload


@lru_cache(maxsize=8)
def _painted(paint: Paint, prompt: str, width: int, height: int, kind: str) -> bytes:
    """A finished picture; who orders it again gets the same, as painters are deterministic."""
    return encode(paint(prompt, width, height), kind)


def _sign(task_id: str, expires: int) -> str:
    message = f"{task_id}:{expires}".encode()
    return hmac.new(_SIGNING_KEY, message, hashlib.sha256).hexdigest()
