"""Making an environment: only what is missing or stale, whole or not at all, and then tried out."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from atpn_benchmarks.arm import making, parts
from atpn_benchmarks.arm.environment import (
    FOLDER_VARIABLE,
    Environment,
    Stamp,
    default_folder,
    remove,
)
from atpn_benchmarks.arm.parts import Part, Workshop
from atpn_deploy.errors import ArmError
from atpn_exporters.progress import Silent

#: A qemu-aarch64 that can't load a plugin.
NO_PLUGINS = """#!/bin/sh
echo "-cpu model   QEMU_CPU"
"""


class Workbench:
    """Two parts made of nothing, and which of them were made."""

    def __init__(self, folder: Path) -> None:
        self.workshop = Workshop(folder, "")
        self.made: list[str] = []
        self.wishes = {"one": "1.0", "two": "1.0"}
        self.interrupts = ""

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(self._part(name) for name in self.wishes)

    def _part(self, name: str) -> Part:
        def make(workshop: Workshop, folder: Path) -> dict[str, str]:
            folder.mkdir(parents=True)
            if self.interrupts == name:
                raise KeyboardInterrupt
            (folder / "file").write_text(self.wishes[name])
            self.made.append(name)
            return {name: self.wishes[name]}

        return Part(name, f"making {name}", 1.0, lambda _: self.wishes[name], make)

    def make(self) -> Environment:
        return making.make(self.workshop, Silent())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    bench = Workbench(tmp_path / "arm")
    monkeypatch.setattr(making, "try_out", lambda environment: None)
    with monkeypatch.context() as patch:
        patch.setattr(making, "PARTS", bench.parts)
        patch.setattr(making, "stale_parts", lambda w: stale_parts(w, bench.parts))
        yield bench


stale_parts = making.stale_parts


def test_a_whole_environment_is_not_made_again(bench: Workbench) -> None:
    bench.make()
    environment = bench.make()

    assert bench.made == ["one", "two"]
    assert environment.versions == {"one": "1.0", "two": "1.0"}


def test_only_the_part_whose_recipe_changed_is_made_anew(bench: Workbench) -> None:
    bench.make()
    bench.wishes["two"] = "2.0"

    assert stale_parts(bench.workshop, bench.parts) == ["two"]
    environment = bench.make()

    assert bench.made == ["one", "two", "two"]
    assert environment.versions["two"] == "2.0"


def test_a_part_that_was_removed_by_hand_is_missed(bench: Workbench) -> None:
    bench.make()
    (bench.workshop.folder / "one" / "file").unlink()
    (bench.workshop.folder / "one").rmdir()

    assert stale_parts(bench.workshop, bench.parts) == ["one"]


def test_an_interrupted_set_up_goes_on_where_it_was(bench: Workbench) -> None:
    bench.interrupts = "two"
    with pytest.raises(KeyboardInterrupt):
        bench.make()
    assert stale_parts(bench.workshop, bench.parts) == ["two"]

    bench.interrupts = ""
    bench.make()

    assert bench.made == ["one", "two"]
    assert sorted(path.name for path in bench.workshop.folder.glob("*.partial")) == []


def test_an_environment_that_does_not_count_is_not_whole(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(environment: Environment) -> None:
        raise ArmError("takes no plugins")

    bench.wishes = {"emulator": "1.0", "two": "1.0"}
    monkeypatch.setattr(making, "PARTS", bench.parts)
    monkeypatch.setattr(making, "try_out", fail)

    with pytest.raises(ArmError, match="takes no plugins"):
        bench.make()
    assert stale_parts(bench.workshop, bench.parts) == ["emulator"]


def test_a_second_set_up_at_the_same_time_is_refused(bench: Workbench) -> None:
    bench.workshop.folder.mkdir()
    with (bench.workshop.folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        with pytest.raises(ArmError, match="another set-up is making"):
            bench.make()


def test_a_folder_that_can_not_be_made_is_told(bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    bench.workshop = replace(bench.workshop, folder=tmp_path / "file" / "arm")

    with pytest.raises(ArmError, match=r"can't write to .*file/arm: Not a directory"):
        bench.make()


def test_without_an_environment_the_command_that_makes_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArmError, match=r"no ARM environment in .*; make it: atpn-bench setup-arm"):
        making.open_environment(tmp_path)


def test_a_stale_environment_is_told_with_the_parts(tmp_path: Path) -> None:
    made = {part.name: {"recipe": "of another version", "versions": {}} for part in parts.PARTS}
    (tmp_path / "stamp.json").write_text(json.dumps({"parts": made}))

    with pytest.raises(ArmError, match=r"stale or incomplete \(emulator, sysroot, plugin, cores"):
        making.open_environment(tmp_path)


def test_a_damaged_stamp_is_none(tmp_path: Path) -> None:
    (tmp_path / "stamp.json").write_text('{"parts": {"one"')

    assert Stamp.read(tmp_path) == Stamp()


def test_a_recipe_knows_its_sources() -> None:
    plugin = next(part for part in parts.PARTS if part.name == "plugin")
    before = plugin.recipe(Workshop(Path("/a"), ""))

    assert plugin.recipe(Workshop(Path("/b"), "http://other/debian")) == before
    assert plugin.recipe(Workshop(Path("/a"), "", Path("/opt/qemu-aarch64"))) != before


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({FOLDER_VARIABLE: "/x/arm", "XDG_CACHE_HOME": "/c"}, "/x/arm"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/atpn-deploy/arm"),
        ({"HOME": "/home/me"}, "/home/me/.cache/atpn-deploy/arm"),
    ],
)
def test_folder_is_the_users_cache_unless_it_is_named(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (FOLDER_VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert default_folder() == Path(expected)


def test_remove_takes_an_environment_and_nothing_else(bench: Workbench, tmp_path: Path) -> None:
    bench.make()
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "me.png").touch()

    with pytest.raises(ArmError, match="photos is no ARM environment"):
        remove(foreign)
    assert remove(bench.workshop.folder)
    assert not bench.workshop.folder.exists()
    assert not remove(bench.workshop.folder)


def test_another_qemu_must_be_there(tmp_path: Path) -> None:
    emulator = next(part for part in parts.PARTS if part.name == "emulator")

    with pytest.raises(ArmError, match=r"no QEMU at .*absent; expected a qemu-aarch64"):
        emulator.make(Workshop(tmp_path, "", tmp_path / "absent"), tmp_path / "emulator")


def test_a_qemu_without_plugins_is_refused(tmp_path: Path) -> None:
    qemu = tmp_path / "emulator" / "qemu-aarch64"
    qemu.parent.mkdir()
    qemu.write_text(NO_PLUGINS)
    qemu.chmod(0o755)

    with pytest.raises(ArmError, match=r"qemu-aarch64 takes no plugins.*--enable-plugins"):
        making.try_out(Environment(tmp_path))
