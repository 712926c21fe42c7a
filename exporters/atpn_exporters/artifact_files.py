"""An artefact on disk, whether one file or a folder of files: its size, its hash, moving it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path


def size_bytes(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return sum(part.stat().st_size for part in files_of(path))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of all files of a folder."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for part in files_of(path):
        digest.update(part.relative_to(path).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(part.read_bytes()).digest())
    return digest.hexdigest()


def files_of(path: Path) -> list[Path]:
    """The file itself, or all files of a folder in order of their names."""
    return [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def deliver(staged: Path, path: Path) -> None:
    """Rename a file or folder into place; what is there under that name is replaced.

    A file is replaced in one step. A folder can't be: the old one steps aside and goes last, so
    that an interruption leaves one of the two whole.
    """
    if not path.is_dir():
        staged.replace(path)
        return
    aside = path.with_name(f".{path.name}.old")
    remove(aside)
    path.rename(aside)
    staged.rename(path)
    remove(aside)
