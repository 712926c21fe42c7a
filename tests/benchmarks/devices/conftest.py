"""Servers for the tests of devices: sshd and dropbear of the system, on loopback."""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from atpn_benchmarks.devices.python_there import VARIABLE
from atpn_benchmarks.devices.ssh_device import SSH_VARIABLE
from atpn_benchmarks.devices.transfer import FOLDER_VARIABLE

#: Where servers are installed; a user's own path may lack it.
SYSTEM_PATH = "/usr/sbin:/usr/local/sbin:/sbin"


def program(name: str) -> str:
    """Where a program of the system is; a test that asks has been skipped where it is not."""
    found = shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)
    assert found, name
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: sockets and keys have a longest path."""
    with tempfile.TemporaryDirectory(prefix="atpn-test-") as name:
        yield Path(name)


@dataclass
class Server:
    """A running ssh server and what its client is given."""

    process: subprocess.Popen[bytes]
    port: int
    config: Path  # of the client
    folder: Path

    @property
    def device(self) -> str:
        return "ssh:board"

    def sessions(self) -> list[int]:
        """Processes that serve a connection."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # ended meanwhile
                words = stat.read_text().rpartition(")")[2].split()
                if words[0] != "Z" and int(words[1]) == self.process.pid:
                    found.append(int(stat.parent.name))
        return found


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def make_key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def client_config(folder: Path, port: int, user: str) -> Path:
    """What a user has in ~/.ssh/config, with `board` as the host."""
    config = folder / "config"
    config.write_text(
        f"Host board\n HostName 127.0.0.1\n Port {port}\n User {user}\n"
        f" IdentityFile {folder}/key\n IdentitiesOnly yes\n IdentityAgent none\n"
        f" UserKnownHostsFile {folder}/known_hosts\n GlobalKnownHostsFile /dev/null\n"
    )
    return config


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


@contextmanager
def serving(command: list[str], folder: Path, port: int, user: str) -> Iterator[Server]:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(port, process)
            host_key = " ".join((folder / "host.pub").read_text().split()[:2])
            (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
            yield Server(process, port, client_config(folder, port, user), folder)
        finally:
            process.terminate()
            process.wait()


@contextmanager
def privilege_folder() -> Iterator[None]:
    """What Debian's sshd wants to exist when root starts it; its service makes it elsewhere."""
    path = Path("/run/sshd")
    made = os.getuid() == 0 and not path.exists()
    if made:
        path.mkdir(mode=0o755)
    try:
        yield
    finally:
        if made:
            path.rmdir()


def prepare(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    make_key(folder / "host")
    public = make_key(folder / "key").with_suffix(".pub")
    (folder / "authorized_keys").write_text(public.read_text())
    (folder / "authorized_keys").chmod(0o600)


@pytest.fixture
def sshd(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """OpenSSH's server as this user, with keys and a config of its own."""
    prepare(folder)
    port = free_port()
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\nLogLevel VERBOSE\n"
        "SetEnv SHLVL=2\n"  # bash reads ~/.bashrc for ssh, which may be slow, but not that deep
    )
    command = [program("sshd"), "-D", "-e", "-f", str(config)]
    with privilege_folder(), serving(command, folder, port, getpass.getuser()) as server:
        use(server, monkeypatch)
        yield server


@pytest.fixture
def dropbear(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """dropbear as root, whose home is the test's folder in a mount namespace of its own.

    It reads ~/.ssh/authorized_keys alone, and hands no environment on. ~/small has 64 KiB.
    """
    alone = ["unshare", "--mount", "--propagation", "private"]
    if os.getuid() or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("a mount namespace of its own needs root")
    prepare(folder)
    home = folder / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    (home / "small").mkdir()
    shutil.copy(folder / "authorized_keys", home / ".ssh" / "authorized_keys")
    (folder / "passwd").write_text(f"root:x:0:0:root:{home}:/bin/sh\n")
    subprocess.run(
        [program("dropbearkey"), "-t", "ecdsa", "-f", folder / "dropbear.key"],
        check=True,
        capture_output=True,
    )
    shown = subprocess.run(
        [program("dropbearkey"), "-y", "-f", folder / "dropbear.key"],
        check=True,
        capture_output=True,
        text=True,
    )
    public = next(line for line in shown.stdout.splitlines() if line.startswith("ecdsa-"))
    (folder / "host.pub").write_text(public)
    port = free_port()
    start = (
        f"mount --bind {folder}/passwd /etc/passwd && mount -t tmpfs -o size=64k none {home}/small"
        f" && exec {program('dropbear')} -F -E -s -m "
        f"-p 127.0.0.1:{port} -r {folder}/dropbear.key -P {folder}/pid"
    )
    with serving([*alone, "sh", "-c", start], folder, port, "root") as server:
        use(server, monkeypatch)
        yield server


def use(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SSH_VARIABLE, shlex.join(["ssh", "-F", str(server.config)]))
    monkeypatch.setenv(VARIABLE, sys.executable)


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    """A small guest: tells its folder and arguments, complains, ends with the status asked for."""
    path = tmp_path / "guest.py"
    path.write_text(
        "import os, sys\n"
        "print(os.getcwd())\n"
        "for word in sys.argv[2:]:\n"
        "    print(word)\n"
        "print('a complaint', file=sys.stderr)\n"
        "sys.exit(int(sys.argv[1]))\n"
    )
    return path


@dataclass
class Phones:
    """An adb server of the test's own, and the phones that are attached to it."""

    folder: Path

    def adb(self, *words: str) -> str:
        command = [program("adb"), *words]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return told.stdout + told.stderr

    @contextmanager
    def stand_in(self, *words: str) -> Iterator[str]:
        """The serial of a phone that speaks adbd's protocol; see adb_stand_in.py."""
        port_file = self.folder / f"port-{len(words)}"
        script = Path(__file__).with_name("adb_stand_in.py")
        command = [sys.executable, str(script), str(port_file), *words]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 20
            while not (port_file.exists() and port_file.read_text()):
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.02)
            serial = f"127.0.0.1:{port_file.read_text()}"
            self.adb("connect", serial)
            yield serial
        finally:
            process.kill()
            process.wait()


@contextmanager
def adb_server(folder: Path, monkeypatch: pytest.MonkeyPatch, *inside: str) -> Iterator[Phones]:
    """adb's server behind a socket file, started by the words `inside`; with keys of its own."""
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))  # its log
    monkeypatch.setenv("ADB_SERVER_SOCKET", f"localfilesystem:{folder}/adb")
    monkeypatch.setenv("ADB_MDNS", "0")
    monkeypatch.setenv(VARIABLE, sys.executable)
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))  # there is no /data/local/tmp here
    command = [*inside, program("adb"), "nodaemon", "server"]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until = time.monotonic() + 20
        while not (folder / "adb").is_socket():
            assert server.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.02)
        yield Phones(folder)
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # a phone that was started beside it too
        server.wait()


@pytest.fixture
def phones(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Phones]:
    with adb_server(folder, monkeypatch) as phones:
        yield phones


@pytest.fixture
def stand_in(phones: Phones) -> Iterator[str]:
    """A phone of the protocol's own: the real adb speaks to adb_stand_in.py."""
    with phones.stand_in() as serial:
        yield f"adb:{serial}"


@pytest.fixture
def adbd(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Debian's own adbd and adb's server in a network of their own: adbd asks for no key."""
    alone = ["unshare", "--net", "--map-root-user"]
    start = f'ip link set lo up && {{ {program("adbd")} & }} && exec "$@"'
    if subprocess.run([*alone, "ip", "link"], capture_output=True).returncode:
        pytest.skip("no network namespace of its own can be made here")
    with adb_server(folder, monkeypatch, *alone, "sh", "-c", start, "sh") as phones:
        until = time.monotonic() + 20
        while "connected to" not in phones.adb("connect", "127.0.0.1:5555"):
            assert time.monotonic() < until
            time.sleep(0.2)
        yield "adb:127.0.0.1:5555"
