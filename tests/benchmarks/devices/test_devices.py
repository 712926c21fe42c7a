"""What every device does alike, on this machine, on ssh servers and on phones."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from atpn_benchmarks.devices import posix_device
from atpn_benchmarks.devices.device import DeviceError
from atpn_benchmarks.devices.local_device import LocalWire
from atpn_benchmarks.devices.naming import named
from atpn_benchmarks.devices.posix_device import Habits, PosixDevice
from atpn_benchmarks.devices.python_there import VARIABLE
from atpn_benchmarks.devices.transfer import FOLDER_VARIABLE

ALL = [
    "local",
    pytest.param("sshd", marks=pytest.mark.needs("sshd")),
    pytest.param("dropbear", marks=pytest.mark.needs("dropbear")),
    pytest.param("stand_in", marks=pytest.mark.needs("adb")),
    pytest.param("adbd", marks=pytest.mark.needs("adbd")),
]

FOREVER = (
    "import os, sys, time\n"
    "print(os.getpid(), flush=True)\n"
    "for number in range(10**9):\n"
    "    print('line', number, flush=True)\n"
    "    time.sleep(0.02)\n"
)


@pytest.fixture
def device_text(request: pytest.FixtureRequest) -> str:
    if request.param == "local":
        return "local"
    server = request.getfixturevalue(request.param)
    return server if isinstance(server, str) else server.device


@pytest.fixture
def forever(tmp_path: Path) -> Path:
    """A guest that tells its process number and never ends."""
    path = tmp_path / "forever.py"
    path.write_text(FOREVER)
    return path


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether a process has ended by then; one that only waits to be collected has."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def vanished(folder: str, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while Path(folder).exists() and time.monotonic() < until:
        time.sleep(0.05)
    return not Path(folder).exists()


@pytest.mark.parametrize("device_text", ALL, indirect=True)
def test_a_guest_runs_in_a_folder_of_its_own(device_text: str, guest: Path, tmp_path: Path) -> None:
    heard: list[str] = []
    with named(device_text) as device:
        device.push({"guest.py": guest, "a folder/inner": guest.parent})
        status = device.run(["guest.py", "3", "two words", "$HOME 'a' \"b\" \\ !"], heard.append)
        device.pull("a folder/inner/guest.py", tmp_path / "back")
        folder = device.ask("pwd -P")
        assert device.ask("ls") == "a folder\nguest.py"
    assert status == 3
    assert heard == [folder, "two words", "$HOME 'a' \"b\" \\ !"]
    assert device.last_errors() == "a complaint"
    assert (tmp_path / "back").read_bytes() == guest.read_bytes()
    assert not Path(folder).exists()
    assert device.left_behind == ""


@pytest.mark.parametrize("device_text", ALL, indirect=True)
def test_lines_come_while_the_guest_runs(device_text: str, forever: Path) -> None:
    """Ctrl-C in the middle of them ends the guest and removes the folder."""
    heard: list[str] = []

    def interrupt(line: str) -> None:
        heard.append(line)
        if len(heard) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), named(device_text) as device:  # noqa: PT012 leaving is what is tried
        device.push({"forever.py": forever})
        folder = device.ask("pwd -P")
        device.run(["forever.py"], interrupt)
    assert heard[1:] == ["line 0", "line 1", "line 2"]
    assert gone(int(heard[0]))
    assert not Path(folder).exists()


@pytest.mark.parametrize("device_text", ALL, indirect=True)
def test_binary_files_arrive_whole(device_text: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 300 + b"\r\n\n\0\x1a"
    (tmp_path / "sent").write_bytes(content)
    with named(device_text) as device:
        device.push({"there": tmp_path / "sent", "empty": tmp_path / "sent"})
        device.pull("there", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content


@pytest.mark.parametrize("device_text", ALL, indirect=True)
def test_the_status_is_the_guests_own(device_text: str, tmp_path: Path) -> None:
    """255 is what ssh says of its own failures, 1 what adb does; a signal is 128 and its number."""
    (tmp_path / "end.py").write_text(
        "import os, signal, sys\n"
        "print('no line end', end='', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSEGV) if sys.argv[1] == '-' else sys.exit(int(sys.argv[1]))"
    )
    heard: list[str] = []
    with named(device_text) as device:
        device.push({"end.py": tmp_path / "end.py"})
        statuses = [device.run(["end.py", word], heard.append) for word in ("0", "1", "255", "-")]
    assert statuses == [0, 1, 255, 128 + 11]
    assert heard == ["no line end"] * 4


def test_our_death_cleans_up_too(forever: Path, tmp_path: Path) -> None:
    script = tmp_path / "ours.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from atpn_benchmarks.devices.naming import named\n"
        "with named('local') as device:\n"
        "    device.push({'forever.py': Path(sys.argv[1])})\n"
        "    print(device.ask('pwd -P'), flush=True)\n"
        "    device.run(['forever.py'], lambda line: print(line, flush=True))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script), str(forever)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as ours:
        assert ours.stdout
        folder, pid = ours.stdout.readline().strip(), int(ours.stdout.readline())
        ours.kill()
    assert gone(pid)
    assert vanished(folder)


def test_what_works_in_the_folder_ends_with_it(tmp_path: Path) -> None:
    """Such as the workers of a guest that was killed."""
    (tmp_path / "parent.py").write_text(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'])\n"
        "print(child.pid, flush=True)\n"
    )
    heard: list[str] = []
    with named("local") as device:
        device.push({"parent.py": tmp_path / "parent.py"})
        with pytest.raises(KeyboardInterrupt):
            device.run(["parent.py"], lambda line: (heard.append(line), _interrupt()))
    assert gone(int(heard[0]), seconds=2)


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_a_device_is_stopped_from_another_thread(forever: Path) -> None:
    with named("local") as device:
        device.push({"forever.py": forever})

        def stop_at_once(line: str) -> None:
            if line == "line 3":
                threading.Thread(target=device.stop).start()

        with pytest.raises(DeviceError, match="local was stopped"):
            device.run(["forever.py"], stop_at_once)
        with pytest.raises(DeviceError, match="local was stopped"):
            device.ask("true")


def test_a_silent_guest_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posix_device, "_QUIET_S", 0.1)
    (tmp_path / "silent.py").write_text("import time\nprint('a line', flush=True)\ntime.sleep(60)")
    heard: list[str] = []
    device = PosixDevice("local", LocalWire(), Habits((sys.executable,), silence_s=0.5))
    with device:
        device.push({"silent.py": tmp_path / "silent.py"})
        with pytest.raises(DeviceError, match="has said nothing for 0 s"):
            device.run(["silent.py"], heard.append)
    assert heard == ["a line"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a//b", "a/./b", "", "line\nbreak"])
def test_names_stay_inside_the_folder(name: str, guest: Path) -> None:
    device = PosixDevice("local", LocalWire(), Habits(()))
    with device, pytest.raises(DeviceError, match="would leave its folder"):
        device.push({name: guest})


def test_a_file_that_is_missing_here_is_named(tmp_path: Path) -> None:
    device = PosixDevice("local", LocalWire(), Habits(()))
    with device, pytest.raises(DeviceError, match=r"can't read .*/nothing: No"):
        device.push({"nothing": tmp_path / "nothing"})


def test_a_file_that_is_missing_there_is_named(tmp_path: Path) -> None:
    device = PosixDevice("local", LocalWire(), Habits(()))
    with device, pytest.raises(DeviceError, match="local: can't read nothing"):
        device.pull("nothing", tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


class Cutting(LocalWire):
    """Loses the end of every file that it carries."""

    def running(self, script: str) -> list[str]:
        return super().running(script.replace("cat >", "head -c 3 >"))


def test_a_file_that_is_cut_short_on_the_way_is_noticed(guest: Path) -> None:
    device = PosixDevice("local", Cutting(), Habits(()))
    with device, pytest.raises(DeviceError, match=r"guest.py arrived with 3 bytes of \d+$"):
        device.push({"guest.py": guest})


def test_a_device_without_space_is_told_before_anything_is_sent(guest: Path) -> None:
    class Full(LocalWire):
        def running(self, script: str) -> list[str]:
            return super().running(script.replace("df -Pk", "echo /dev/sda 9 9 0 100% /; :"))

    with PosixDevice("local", Full(), Habits(())) as device:
        with pytest.raises(DeviceError, match=r"has 0.00 MB left in .*ATPN_DEVICE_FOLDER=PATH"):
            device.push({"guest.py": guest})
        assert device.ask("ls") == ""


def test_a_write_that_fails_there_is_told(tmp_path: Path) -> None:
    """As on a disk that fills up, or with a quota, which df does not know of."""

    class Limited(LocalWire):
        def running(self, script: str) -> list[str]:
            return ["sh", "-c", f"ulimit -f 8; trap '' XFSZ; {script}"]

    (tmp_path / "large").write_bytes(bytes(100_000))
    with (
        PosixDevice("local", Limited(), Habits(())) as device,
        pytest.raises(DeviceError, match=r"can't write large there: .*File too large"),
    ):
        device.push({"large": tmp_path / "large"})


def test_a_folder_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "absent"))
    device = PosixDevice("local", LocalWire(), Habits(()))
    with pytest.raises(DeviceError, match=r"no folder can be made in .*absent"):
        device.__enter__()


def test_variables_about_a_board_leave_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, "/media/sd-card")
    monkeypatch.setenv(VARIABLE, "/home/pi/bench/bin/python")
    with named("local") as device:
        assert device.ask("pwd -P")


def test_the_folder_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / 'it\'s a "place" $HOME'
    root.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(root))
    with PosixDevice("local", LocalWire(), Habits(())) as device:
        assert Path(device.ask("pwd -P")).parent == root
    assert list(root.iterdir()) == []


def test_what_could_not_be_removed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn(LocalWire):
        def holding(self, script: str) -> list[str]:
            return super().holding(script.replace("rm -rf", "false"))

        def running(self, script: str) -> list[str]:
            return super().running(script.replace("rm -rf", "false"))

    with PosixDevice("local", Stubborn(), Habits(())) as device:
        folder = device.folder
    assert device.left_behind == f"{folder} may still be on local"
    Path(folder).rmdir()


def test_another_python_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "my python"
    python.symlink_to(sys.executable)
    monkeypatch.setenv(VARIABLE, str(python))
    device = PosixDevice("local", LocalWire())
    with device:
        assert device.python is not None
        assert device.python.executable == str(python)


@pytest.mark.parametrize("text", ["", "locale", "local:x", "ssh", "ssh:", "adb:", "usb:1"])
def test_a_wrong_name_lists_the_forms(text: str) -> None:
    with pytest.raises(DeviceError, match=r"expected local, ssh:USER@HOST\[:PORT\], adb:SERIAL"):
        named(text)
