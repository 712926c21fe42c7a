"""What an evaluation shows while it runs."""

from __future__ import annotations

import io

from rich.console import Console

from atpn_deploy.evaluation.bars import Bars
from atpn_deploy.evaluation.trials import Trial

TRIAL = Trial("alignment", "WFLW test", 2500, lambda networks, advance: [])


def test_a_log_gets_one_line_a_data_set() -> None:
    file = io.StringIO()
    with Bars(Console(file=file, width=100)) as bars, bars.trial(TRIAL) as advance:
        advance(64)
        advance(64)
    assert file.getvalue() == "alignment: WFLW test, 2,500\n"


def test_a_terminal_shows_how_far_it_is() -> None:
    file = io.StringIO()
    console = Console(file=file, width=100, force_terminal=True, color_system=None)
    with Bars(console) as bars, bars.trial(TRIAL) as advance:
        advance(1250)
    assert "alignment: WFLW test" in file.getvalue()
    assert "1250/2500" in file.getvalue()
