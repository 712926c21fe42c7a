"""What goes wrong by ssh: a real client against servers on loopback."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from atpn_benchmarks.devices.device import DeviceError, DeviceLostError
from atpn_benchmarks.devices.naming import named
from atpn_benchmarks.devices.python_there import VARIABLE
from atpn_benchmarks.devices.ssh_device import SSH_VARIABLE, SshWire, ssh_device
from atpn_benchmarks.devices.transfer import FOLDER_VARIABLE

if TYPE_CHECKING:
    from conftest import Server

needs_sshd = pytest.mark.needs("sshd")


def error_of(text: str) -> str:
    """The one line that opening the device ends with."""
    with pytest.raises(DeviceError) as caught, named(text):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


@needs_sshd
def test_a_connection_that_is_lost_keeps_what_was_told(sshd: Server, tmp_path: Path) -> None:
    """The server's process dies while the guest speaks; the guest ends, its folder goes."""
    (tmp_path / "guest.py").write_text(
        "import os, time\n"
        "print(os.getpid(), flush=True)\n"
        "for number in range(10**6):\n"
        "    print('line', number, flush=True)\n"
        "    time.sleep(0.02)\n"
    )
    heard: list[str] = []

    def cut(line: str) -> None:
        heard.append(line)
        if line == "line 3":
            for pid in sshd.sessions():
                os.kill(pid, signal.SIGKILL)

    with named(sshd.device) as device:
        device.push({"guest.py": tmp_path / "guest.py"})
        folder = device.ask("pwd -P")
        with pytest.raises(DeviceLostError, match=r"^ssh:board went away: "):
            device.run(["guest.py"], cut)
    assert heard[1:5] == ["line 0", "line 1", "line 2", "line 3"]
    assert device.left_behind == ""
    assert not Path(folder).exists()
    assert not Path(f"/proc/{heard[0]}").exists()


@needs_sshd
def test_a_board_that_does_not_come_back_is_left_in_bounded_time(sshd: Server, guest: Path) -> None:
    with named(sshd.device) as device:
        device.push({"guest.py": guest})
        folder = device.ask("pwd -P")
        children = sshd.sessions()
        sshd.process.kill()
        sshd.process.wait()
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(DeviceLostError):
            device.run(["guest.py", "0"], print)
        left_at = time.monotonic()
    assert time.monotonic() - left_at < 25
    assert device.left_behind == f"{folder} may still be on ssh:board"


@needs_sshd
def test_one_connection_carries_every_command(sshd: Server) -> None:
    with named(sshd.device) as device:
        for _ in range(3):
            device.ask("true")
        assert (sshd.folder / "server.log").read_text().count("Accepted publickey") == 1
    assert (sshd.folder / "server.log").read_text().count("Accepted publickey") == 1


@needs_sshd
def test_nothing_of_ours_is_left_running(sshd: Server) -> None:
    with named(sshd.device):
        assert sshd.sessions()
    until = time.monotonic() + 10
    while sshd.sessions() and time.monotonic() < until:
        time.sleep(0.05)
    assert sshd.sessions() == []


@needs_sshd
def test_a_refused_key_says_what_to_type(sshd: Server) -> None:
    (sshd.folder / "authorized_keys").write_text("")
    said = error_of("ssh:board")
    assert said.startswith("ssh:board: it takes none of your keys: type: ssh-copy-id board; ssh -F")


@needs_sshd
def test_an_unknown_host_key_is_not_accepted(sshd: Server) -> None:
    (sshd.folder / "known_hosts").write_text("")
    assert "its host key is not known here: type once: ssh -F" in error_of("ssh:board")
    assert (sshd.folder / "known_hosts").read_text() == ""


@needs_sshd
def test_a_changed_host_key_is_refused(sshd: Server) -> None:
    other = (sshd.folder / "key.pub").read_text().split()[1]
    (sshd.folder / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} ssh-ed25519 {other}\n")
    assert "its host key is not the one of last time" in error_of("ssh:board")


@needs_sshd
def test_a_port_may_be_named(sshd: Server, guest: Path) -> None:
    config = sshd.config.read_text()
    sshd.config.write_text(config.replace(f" Port {sshd.port}\n", ""))
    with named(f"ssh:board:{sshd.port}") as device:
        assert device.ask("echo here") == "here"


@needs_sshd
def test_a_greeting_of_the_login_shell_is_no_output(sshd: Server, guest: Path) -> None:
    config = sshd.folder / "sshd_config"
    greeting = "sh -c 'echo Welcome; echo to the board >&2; eval \"$SSH_ORIGINAL_COMMAND\"'"
    config.write_text(config.read_text() + f"ForceCommand {greeting}\n")
    sshd.process.send_signal(signal.SIGHUP)  # reads its config anew
    time.sleep(0.5)
    heard: list[str] = []
    with named(sshd.device) as device:
        device.push({"guest.py": guest})
        assert device.run(["guest.py", "0", "a word"], heard.append) == 0
        folder = device.ask("pwd -P")
    assert heard == [folder, "a word"]


@needs_sshd
def test_a_board_without_python_says_where_it_looked(
    sshd: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "/nowhere/python3")
    said = error_of("ssh:board")
    assert said.startswith("ssh:board has no Python: looked for /nowhere/python3; on Debian")


@needs_sshd
def test_an_old_python_is_named(
    sshd: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / "python3"
    old.write_text(
        f'#!/bin/sh\n{sys.executable} "$@" | sed "s/^{sys.version_info.major}[.][0-9.]*/3.8.10/"\n'
    )
    old.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(old))
    said = error_of("ssh:board")
    assert said.startswith("ssh:board has Python 3.8.10 at ")
    assert "3.10 or newer is needed" in said


@pytest.mark.needs("dropbear")
def test_a_lost_dropbear_is_noticed(dropbear: Server, tmp_path: Path) -> None:
    (tmp_path / "guest.py").write_text(
        "import time\nfor number in range(10**6):\n"
        "    print(number, flush=True)\n    time.sleep(0.02)\n"
    )
    heard: list[str] = []

    def cut(line: str) -> None:
        heard.append(line)
        if line == "3":
            for pid in dropbear.sessions():
                os.kill(pid, signal.SIGKILL)

    with named(dropbear.device) as device:
        device.push({"guest.py": tmp_path / "guest.py"})
        folder = device.ask("pwd -P")
        with pytest.raises(DeviceLostError):
            device.run(["guest.py"], cut)
    assert heard[:4] == ["0", "1", "2", "3"]
    assert not Path(folder).exists()


@pytest.mark.needs("dropbear")
def test_a_board_without_space_is_told(
    dropbear: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, f"{dropbear.folder}/home/small")
    (tmp_path / "file").write_bytes(bytes(40_000))
    with named(dropbear.device) as device:
        device.push({"one": tmp_path / "file"})
        with pytest.raises(
            DeviceError, match=r"has 0[.]02 MB left in .*, and 0[.]04 MB are to go there"
        ):
            device.push({"two": tmp_path / "file"})
        assert device.ask("ls") == "one"


@needs_sshd
def test_a_board_that_hangs_is_noticed(
    sshd: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one without power: nothing is closed, nothing answers; asked every 5 s, here every 1 s."""
    often = "-o ServerAliveInterval=1 -o ServerAliveCountMax=1"
    monkeypatch.setenv(SSH_VARIABLE, f"ssh {often} -F {sshd.config}")
    (tmp_path / "guest.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(100)")
    stopped: list[int] = []

    def stop(line: str) -> None:
        for pid in sshd.sessions():
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)

    with named(sshd.device) as device:
        device.push({"guest.py": tmp_path / "guest.py"})
        folder = device.ask("pwd -P")
        with pytest.raises(DeviceLostError, match="does not answer any more"):
            device.run(["guest.py"], stop)
    assert not Path(folder).exists()  # by the second connection
    for pid in stopped:
        os.kill(pid, signal.SIGKILL)


@needs_sshd  # of its client alone
@pytest.mark.parametrize(
    ("host", "meaning"),
    [
        ("atpn-no-such-host.invalid", "there is no such host"),
        ("127.0.0.1:1", "nothing listens on its ssh port"),
    ],
)
def test_a_board_that_is_not_there(
    host: str, meaning: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "config").write_text("")
    monkeypatch.setenv(SSH_VARIABLE, shlex.join(["ssh", "-F", str(folder / "config")]))
    assert error_of(f"ssh:{host}").startswith(f"ssh:{host}: {meaning}")


def test_no_ssh_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SSH_VARIABLE, "/nowhere/ssh")
    assert "install openssh-client" in error_of("ssh:board")


def test_a_board_is_asked_every_few_seconds_and_never_for_a_password() -> None:
    for command in (SshWire("a", None).holding("true"), SshWire("a", None).running("true")):
        assert {"ServerAliveInterval=5", "ServerAliveCountMax=3", "BatchMode=yes"} <= set(command)


@pytest.mark.parametrize("address", ["a:b", "-oProxyCommand=x", "a:1:2", "user@", "[::1"])
def test_a_wrong_address_is_refused(address: str) -> None:
    with pytest.raises(DeviceError, match=r"expected ssh:USER@HOST or ssh:USER@HOST:PORT"):
        ssh_device(f"ssh:{address}", address, True)


@pytest.mark.parametrize(
    ("errors", "meaning"),
    [
        ("Timeout, server board not responding.", "switched off, rebooted or out of reach"),
        ("ssh: connect to host board port 22: Connection timed out", "it does not answer"),
        ("ssh: connect to host board port 22: No route to host", "no way leads there"),
        ("something\nof its own", "of its own"),
    ],
)
def test_words_of_ssh_are_explained(errors: str, meaning: str) -> None:
    assert meaning in SshWire("pi@board", None).meaning(errors)


def test_a_changed_key_names_the_entry_to_remove() -> None:
    errors = "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed."
    assert "ssh-keygen -R '[board]:2222'" in SshWire("pi@board", 2222).meaning(errors)
