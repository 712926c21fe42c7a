from __future__ import annotations

import os
import signal

import pytest

from atpn_deploy.cli.stopping import Stopping


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_noted_and_told(number, status):
    with Stopping() as stopping:
        assert not stopping()
        send(number)
        assert stopping()

    assert stopping.exit_status == status


def test_before_anyone_asks_ctrl_c_ends_at_once():
    with Stopping(), pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)


def test_a_second_ctrl_c_ends_at_once():
    with Stopping() as stopping:
        stopping()
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_afterwards_signals_are_what_they_were():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    with Stopping():
        assert signal.getsignal(signal.SIGINT) != before[0]

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
