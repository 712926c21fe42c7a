"""Boards by ssh: a real client against sshd and dropbear on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from atpn_benchmarks.devices.naming import named


@pytest.mark.parametrize("server", ["sshd", "dropbear"])
def test_a_guest_runs_on_a_board(server, request, guest, tmp_path):
    board = request.getfixturevalue(server)
    heard = []
    with named(board.device) as device:
        device.push({"guest.py": guest, "inner folder": guest.parent})
        status = device.run(
            ["guest.py", "3", "two words", "$HOME 'quoted' \"twice\""], heard.append
        )
        device.pull("inner folder/guest.py", tmp_path / "back")
        assert device.ask("pwd -P") == device.folder
    assert status == 3
    assert heard == [device.folder, "two words", "$HOME 'quoted' \"twice\""]
    assert device.last_errors() == "a complaint"
    assert (tmp_path / "back").read_bytes() == guest.read_bytes()
    assert not Path(device.folder).exists()
    assert device.left_behind == ""
