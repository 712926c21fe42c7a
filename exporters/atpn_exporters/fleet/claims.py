"""Who works on a video: a file that only one can create keeps two runs from doing it twice."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from atpn_deploy.errors import FleetError
from atpn_exporters.fleet.listing import Video

#: Below the folder of results; holds claims and what is being made, nothing when no run goes on.
HIDDEN = ".atpn-track"
#: How often a claim says that its owner is alive, and after how long without a sign another
#: machine takes the video over. On one machine the process itself is looked for.
SIGN_S = 20.0
STALE_S = 600.0


@dataclass(frozen=True)
class Owner:
    """One run, told from every other on any machine."""

    host: str  # for people
    machine: str  # processes are looked for only where this is equal
    pid: int
    began: str  # when the process did; a number that is given again later is another process
    token: str

    @property
    def alive(self) -> bool | None:
        """Whether the process runs; None on another machine, from where nobody can tell."""
        if self.machine != _machine():
            return None
        return _runs(self.pid) and _began(self.pid) == self.began

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_run() -> Owner:
    """A new run of this process."""
    pid = os.getpid()
    return Owner(socket.gethostname(), _machine(), pid, _began(pid), secrets.token_hex(4))


class Claims:
    """The claims of one run on the videos whose results go below `folder`."""

    def __init__(self, folder: Path, owner: Owner | None = None) -> None:
        self.owner = owner or this_run()
        self._hidden = folder / HIDDEN
        self._claims = self._hidden / "claims"
        self._works = self._hidden / "work"
        self._held: dict[Path, Path | None] = {}  # claim to workplace
        self._signed_s = time.monotonic()

    def open(self) -> None:
        """Make the hidden folder: FleetError where nothing can be written."""
        try:
            for folder in (self._claims, self._works):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FleetError(f"{error.filename} can't be made: {error.strerror}") from error

    def take(self, video: Video) -> Owner | None:
        """Claim a video; None if that went well, else who has it."""
        path = self._path(video)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            if (other := self._take_over(path)) is not None:
                return other
        else:
            with os.fdopen(descriptor, "w") as file:
                json.dump(asdict(self.owner), file)
        self._held[path] = None
        return None

    def workplace(self, video: Video) -> Path:
        """A new, empty folder for a video that was taken; what is left of others goes."""
        claim = self._path(video)
        for old in self._works.glob(f"{claim.name}-*"):
            shutil.rmtree(old, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f"{claim.name}-", dir=self._works))
        self._held[claim] = work
        return work

    def release(self, video: Video) -> None:
        """Give a video back, and its workplace."""
        path = self._path(video)
        if (work := self._held.pop(path, None)) is not None:
            shutil.rmtree(work, ignore_errors=True)
        if _read(path) == self.owner:
            path.unlink(missing_ok=True)

    def aside(self, name: str) -> Path:
        """Where a file of this run is filled before it gets its name."""
        return self._hidden / f"{self.owner.token}-{name}"

    def sign(self) -> None:
        """Say that this run is alive; to be called often, does something every SIGN_S."""
        if time.monotonic() - self._signed_s < SIGN_S:
            return
        self._signed_s = time.monotonic()
        for path in self._held:
            try:
                os.utime(path)
            except FileNotFoundError:  # taken over by a machine that thought this one dead
                continue

    def _path(self, video: Video) -> Path:
        return self._claims / hashlib.sha256(os.fsencode(video.name)).hexdigest()[:24]

    def _take_over(self, path: Path) -> Owner | None:
        """Replace a claim whose owner is gone; None if that went well, else who has it.

        The lock is held by one process at a time and falls with it, so of several that find the
        claim stale one writes, and the next one reads what it wrote.
        """
        try:
            with path.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                owner = _parsed(file.read())
                if not self._stale(path, owner) or not _same_file(path, file.fileno()):
                    return owner or _UNKNOWN
                file.seek(0)
                file.truncate()
                json.dump(asdict(self.owner), file)
                file.flush()
                os.utime(path)
                return None
        except OSError:  # given back meanwhile, or a file system without locks
            return _UNKNOWN

    def _stale(self, path: Path, owner: Owner | None) -> bool:
        alive = None if owner is None else owner.alive
        if alive is not None:
            return not alive
        # Both times are the file server's: the clocks of two machines may differ by minutes.
        with tempfile.NamedTemporaryFile(dir=path.parent) as now:
            return os.stat(now.name).st_mtime - path.stat().st_mtime > STALE_S


#: Stands for an owner whose claim is just being written or was just given back.
_UNKNOWN = Owner("another machine", "", 0, "", "")


def _same_file(path: Path, descriptor: int) -> bool:
    return os.path.samestat(path.stat(), os.fstat(descriptor))


def _read(path: Path) -> Owner | None:
    try:
        return _parsed(path.read_text())
    except OSError:
        return None


def _parsed(text: str) -> Owner | None:
    """The owner; None for a claim that is not written to its end."""
    try:
        values: Mapping[str, object] = json.loads(text)
        return Owner(**values)  # type: ignore[arg-type]  # compared, never trusted
    except (ValueError, TypeError):
        return None


def _machine() -> str:
    """This boot of this machine, and of its containers this one: where process ids are unique."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return socket.gethostname()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _began(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty for one that has ended, or off Linux."""
    try:
        # The command's name, in brackets, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]  # ended, and not yet fetched by its parent
