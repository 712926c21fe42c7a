"""What is heard of a process that speaks for a script on a device."""

from __future__ import annotations

from atpn_benchmarks.devices.conversation import Conversation


def test_last_words_that_come_late_are_waited_for() -> None:
    """A connection's other processes end at once; why is told by the one that holds it, later."""
    talk = Conversation(["sh", "-c", "sleep 0.4; echo 'Timeout, server not responding.' >&2"])

    assert talk.errors == ""
    assert talk.last_words() == "Timeout, server not responding."
    talk.end()
