"""A video is in one run's hands at a time, and in nobody's when that run is gone."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

import pytest

from atpn_exporters.fleet.claims import STALE_S, Claims, Owner, this_run
from atpn_exporters.fleet.listing import Video

VIDEO = Video("a.mp4", Path("a.mp4"), 1, 1)


def opened(folder: Path, owner: Owner | None = None) -> Claims:
    claims = Claims(folder, owner)
    claims.open()
    return claims


def claim_in(folder: Path) -> Path:
    (claim,) = (folder / ".atpn-track" / "claims").iterdir()
    return claim


def gone() -> Owner:
    """A run of this machine whose process has ended."""
    program = (
        "from atpn_exporters.fleet.claims import this_run; from dataclasses import asdict; "
        "import json; print(json.dumps(asdict(this_run())))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    output = subprocess.check_output([sys.executable, "-c", program], env=environment)
    return Owner(**json.loads(output))


def test_the_second_run_is_told_who_has_the_video(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)

    assert first.take(VIDEO) is None
    assert second.take(VIDEO) == first.owner
    assert second.take(replace(VIDEO, name="b.mp4")) is None
    assert str(os.getpid()) in str(first.owner)


def test_a_video_that_was_given_back_can_be_taken(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    first.take(VIDEO)
    work = first.workplace(VIDEO)
    (work / "half").touch()
    first.release(VIDEO)

    assert not work.exists()
    assert second.take(VIDEO) is None


def test_the_claim_of_a_process_that_ended_is_taken_over(tmp_path: Path) -> None:
    opened(tmp_path, gone()).take(VIDEO)
    claims = opened(tmp_path)

    assert claims.take(VIDEO) is None
    assert Owner(**json.loads(claim_in(tmp_path).read_text())) == claims.owner


def test_a_process_id_that_was_given_again_is_another_process(tmp_path: Path) -> None:
    opened(tmp_path, replace(this_run(), began="1")).take(VIDEO)

    assert opened(tmp_path).take(VIDEO) is None


def test_of_two_that_find_a_stale_claim_one_waits_and_sees_the_other(tmp_path: Path) -> None:
    opened(tmp_path, gone()).take(VIDEO)
    first, second = this_run(), opened(tmp_path)
    answers: list[Owner | None] = []
    thread = threading.Thread(target=lambda: answers.append(second.take(VIDEO)))
    with claim_in(tmp_path).open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        thread.start()
        thread.join(0.5)
        assert answers == []
        file.write(json.dumps(asdict(first)))
        file.truncate()
        file.flush()
        fcntl.flock(file, fcntl.LOCK_UN)
        thread.join()

    assert answers == [first]


def test_a_claim_that_was_replaced_while_one_waited_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tmp_path, gone()).take(VIDEO)
    claim, other = claim_in(tmp_path), this_run()

    def replaced_meanwhile(file: IO[str], operation: int) -> None:
        claim.unlink()
        assert opened(tmp_path, other).take(VIDEO) is None

    monkeypatch.setattr(fcntl, "flock", replaced_meanwhile)

    assert opened(tmp_path).take(VIDEO) is not None
    assert Owner(**json.loads(claim.read_text())) == other


@pytest.mark.parametrize(("silent_s", "taken"), [(STALE_S - 60, False), (STALE_S + 60, True)])
def test_a_claim_of_another_machine_holds_while_it_gives_signs(
    tmp_path: Path, silent_s: float, taken: bool
) -> None:
    there = replace(this_run(), host="there", machine="another", pid=1)
    opened(tmp_path, there).take(VIDEO)
    os.utime(claim_in(tmp_path), (time.time() - silent_s,) * 2)

    answer = opened(tmp_path).take(VIDEO)

    assert answer == (None if taken else there)


def test_signs_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = opened(tmp_path)
    claims.take(VIDEO)
    os.utime(claim_in(tmp_path), (1, 1))
    claims.sign()
    assert claim_in(tmp_path).stat().st_mtime == 1  # it is too early

    monkeypatch.setattr("atpn_exporters.fleet.claims.SIGN_S", 0.0)
    claims.sign()
    assert time.time() - claim_in(tmp_path).stat().st_mtime < 60


def test_a_claim_that_is_just_being_written_is_respected(tmp_path: Path) -> None:
    claims = opened(tmp_path)
    claims.take(VIDEO)
    claim_in(tmp_path).write_text("")

    assert opened(tmp_path).take(VIDEO) is not None


def test_what_another_took_over_is_left_to_it(tmp_path: Path) -> None:
    slow = opened(tmp_path)
    slow.take(VIDEO)
    other = this_run()
    claim_in(tmp_path).write_text(json.dumps(asdict(other)))
    slow.release(VIDEO)

    assert Owner(**json.loads(claim_in(tmp_path).read_text())) == other
