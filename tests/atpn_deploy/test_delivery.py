from __future__ import annotations

from pathlib import Path

import pytest

from atpn_deploy.delivery import aside_of, check_file, check_parent, deliver, deliver_text
from atpn_deploy.errors import AtpnError, ConfigError


def test_a_file_appears_whole(tmp_path: Path):
    path = tmp_path / "a.txt"

    def write(aside: Path) -> None:
        assert not path.exists()
        assert (aside.parent, aside.suffix) == (path.parent, path.suffix)
        aside.write_text("all of it")

    deliver(path, write)

    assert path.read_text() == "all of it"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def write(aside: Path) -> None:
        aside.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(AtpnError, match="cannot be written: No space left on device"):
        deliver(path, write)

    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str]):
    deliver_text(Path("-"), "hello\n")

    assert capsys.readouterr().out == "hello\n"


def test_two_processes_do_not_share_a_file_aside(monkeypatch: pytest.MonkeyPatch):
    one = aside_of(Path("a.csv"))
    monkeypatch.setattr("os.getpid", lambda: -1)

    assert aside_of(Path("a.csv")) != one


def test_what_must_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source, old = tmp_path / "in.mp4", tmp_path / "old.csv"
    source.write_text("in")
    old.write_text("old")

    check_file(old, source=source, force=True)
    for path, force, message in (
        (source, True, "is the input itself"),
        (tmp_path, True, "is a folder"),
        (tmp_path / "absent" / "a.csv", True, "absent is not a folder; make it first"),
        (old, False, "old.csv exists; add --force"),
    ):
        with pytest.raises(ConfigError, match=message):
            check_file(path, source=source, force=force)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(ConfigError, match="is not writable"):
        check_parent(tmp_path / "new.csv")
