"""A file and a folder are sized, hashed, delivered and removed alike."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from atpn_exporters.artifact_files import deliver, files_of, remove, sha256_of, size_bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model.package"
    (path / "Data").mkdir(parents=True)
    (path / "Manifest.json").write_bytes(b"{}")
    (path / "Data" / "weights").write_bytes(b"12345")
    return path


def test_a_folder_is_all_its_files(folder: Path) -> None:
    assert size_bytes(folder) == 7
    assert [file.name for file in files_of(folder)] == ["weights", "Manifest.json"]


def test_a_files_digest_is_that_of_its_bytes(folder: Path) -> None:
    file = folder / "Manifest.json"
    assert sha256_of(file) == hashlib.sha256(b"{}").hexdigest()


def test_a_folders_digest_does_not_depend_on_where_it_lies(folder: Path, tmp_path: Path) -> None:
    before = sha256_of(folder)
    assert sha256_of(folder.rename(tmp_path / "elsewhere")) == before


@pytest.mark.parametrize("change", ["byte", "name", "added"])
def test_a_folders_digest_sees_every_change(folder: Path, change: str) -> None:
    before = sha256_of(folder)
    weights = folder / "Data" / "weights"
    if change == "byte":
        weights.write_bytes(b"12346")
    elif change == "name":
        weights.rename(folder / "Data" / "weight")
    else:
        (folder / "Data" / "more").touch()
    assert sha256_of(folder) != before


def test_delivery_replaces_what_was_there(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "delivered.package"
    (target / "old").mkdir(parents=True)
    digest = sha256_of(folder)

    deliver(folder, target)

    assert sha256_of(target) == digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["delivered.package"]


def test_removing_takes_files_folders_and_nothing(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path in (file, folder, tmp_path / "absent"):
        remove(path)
    assert list(tmp_path.iterdir()) == []
