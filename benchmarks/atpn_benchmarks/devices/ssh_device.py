"""A board by ssh: the user's own OpenSSH client, keys and config."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path

from atpn_benchmarks.devices.device import DeviceError
from atpn_benchmarks.devices.posix_device import Habits, PosixDevice

#: The client and its options, such as "ssh -F board.config"; as GIT_SSH_COMMAND for git.
SSH_VARIABLE = "ATPN_SSH"

_OPTIONS = {
    "BatchMode": "yes",  # what would ask for a password fails
    "ConnectTimeout": "15",
    "ServerAliveInterval": "5",  # a board without power is noticed after 20 s
    "ServerAliveCountMax": "3",
    "ClearAllForwardings": "yes",
    "ForwardX11": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "ControlPersist": "no",
}

#: A socket's path may have 108 bytes on Linux and 104 on macOS; ssh adds 17 to ours at first.
_LONGEST_SOCKET = 80

#: A word of ssh's own errors, what it means, what to type or look at.
_MEANINGS = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "its host key is not the one of last time: if you "
     "know why (a new system on the board), type: ssh-keygen -R {key}"),
    ("Host key verification failed", "its host key is not known here: type once: {ssh} {host}, "
     "and compare the fingerprint"),
    ("Could not resolve hostname", "there is no such host: check the name, or its entry in "
     "~/.ssh/config"),
    ("Connection refused", "nothing listens on its ssh port: is sshd running there, and is it "
     "this port?"),
    ("No route to host", "no way leads there: is it switched on and in this network?"),
    ("Network is unreachable", "no way leads there: is it switched on and in this network?"),
    ("timed out", "it does not answer: is it switched on and in this network?"),
    ("not responding", "it does not answer any more: switched off, rebooted or out of reach"),
    ("Permission denied", "it takes none of your keys: type: ssh-copy-id {host}; {ssh} -v {host} "
     "tells which were tried"),
    ("Too many authentication failures", "it was offered too many keys: name the right one "
     "(IdentityFile, IdentitiesOnly) in ~/.ssh/config"),
)  # fmt: skip


class SshWire:
    """One connection, shared by every command: only the first one shakes hands."""

    def __init__(self, host: str, port: int | None) -> None:
        self._ssh = shlex.split(os.environ.get(SSH_VARIABLE, "")) or ["ssh"]
        self._host = host
        self._port = port
        self._sockets: Path | None = None

    def open(self) -> None:
        """Make a place for the connection's socket."""
        if shutil.which(self._ssh[0]) is None:
            raise DeviceError(
                f"ssh:{self._host} needs OpenSSH's client, and {self._ssh[0]} is not here: "
                f"install openssh-client, or say what to run: {SSH_VARIABLE}='ssh -F FILE'"
            )
        sockets = tempfile.mkdtemp(prefix="atpn-ssh-")
        if len(sockets) > _LONGEST_SOCKET:
            Path(sockets).rmdir()
            sockets = tempfile.mkdtemp(prefix="atpn-ssh-", dir="/tmp")
        self._sockets = Path(sockets)

    def holding(self, script: str) -> list[str]:
        """The connection itself, with the script as its first session."""
        return [*self._command("yes"), script]

    def running(self, script: str) -> list[str]:
        """A session of the connection that is open; a connection anew if it is not."""
        return [*self._command("no"), script]

    def _command(self, master: str) -> list[str]:
        options = {**_OPTIONS, "ControlMaster": master, "ControlPath": f"{self._sockets}/socket"}
        flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        port = ["-p", str(self._port)] if self._port else []
        return [*self._ssh, *flags, *port, "--", self._host]

    def meaning(self, errors: str) -> str:
        """What ssh's errors mean; its own last line where none is known."""
        address = self._host.rpartition("@")[2]
        key = f"'[{address}]:{self._port}'" if self._port else address
        ssh = shlex.join([*self._ssh, *(["-p", str(self._port)] if self._port else [])])
        for word, meaning in _MEANINGS:
            if word in errors:
                return meaning.format(host=self._host, key=key, ssh=ssh)
        return errors.rpartition("\n")[2]

    def close(self) -> None:
        """Remove the socket's place."""
        if self._sockets:
            shutil.rmtree(self._sockets, ignore_errors=True)


def ssh_device(name: str, address: str, python: bool) -> PosixDevice:
    """The board at USER@HOST, HOST or either with :PORT; [ADDRESS]:PORT for IPv6."""
    parts = re.fullmatch(r"([^:\[\]]+|(?:[^@]+@)?\[[^\]]+\])(?::(\d+))?", address)
    if not parts or parts[1].startswith("-") or parts[1].endswith("@"):
        raise DeviceError(f"{name} is no address: expected ssh:USER@HOST or ssh:USER@HOST:PORT")
    host = parts[1].replace("[", "").replace("]", "")
    port = int(parts[2]) if parts[2] else None
    return PosixDevice(name, SshWire(host, port), Habits() if python else Habits(pythons=()))
