"""Fits on published latencies and what is estimated by them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from atpn_benchmarks.arm import validation
from atpn_benchmarks.arm.boards import BOARDS, Board, board_named, boards_with
from atpn_benchmarks.arm.estimate import (
    Estimate,
    estimate,
    estimates_markdown,
    estimates_table,
    figures,
)
from atpn_benchmarks.arm.mca import Cycles
from atpn_benchmarks.arm.remeasuring import Wanted, remeasure, wanted
from atpn_benchmarks.arm.validation import (
    Executed,
    Fit,
    LeftOut,
    Published,
    fits,
    fitted,
    others,
    read_executed,
    read_published,
    validate,
    write_executed,
)
from atpn_benchmarks.arm.validation_tables import others_markdown, validation_markdown
from atpn_deploy.cli.bench_validate_arm import app
from atpn_deploy.errors import ArmError, ConfigError

BOARD = Board("b", "A board", "cortex-a76", 2.0)
CYCLES = {"x": 2e6, "y": 4e6, "z": 8e6}  # 1, 2 and 4 ms at 2 GHz with a factor of 1


def test_a_board_that_is_just_slower_is_fitted_exactly() -> None:
    fit = fitted(BOARD, {"x": 1.5, "y": 3.0, "z": 6.0}, CYCLES)

    assert fit.alpha == pytest.approx(1.5)
    assert fit.mean_error == pytest.approx(0)
    assert fit.band == pytest.approx((1, 1))
    assert fit.good


def test_a_network_has_no_say_in_its_own_estimate() -> None:
    fit = fitted(BOARD, {"x": 1.0, "y": 2.0, "z": 400.0}, CYCLES)

    left_out = {one.network: one for one in fit.left_out}
    assert left_out["z"].estimated == pytest.approx(4.0), "whatever was published of z"
    assert left_out["z"].error == pytest.approx(-0.99)
    # Those beside it are estimated with it: the mean factor of 1 and 100 is 10.
    assert left_out["x"].estimated == pytest.approx(10.0)
    assert fit.alpha == pytest.approx(100 ** (1 / 3))
    assert fit.worst.network in ("x", "y")
    assert not fit.good


def test_errors_and_band_are_of_what_was_left_out() -> None:
    fit = Fit(BOARD, 1.0, (LeftOut("x", 10.0, 12.0), LeftOut("y", 10.0, 9.0)))

    assert fit.mean_error == pytest.approx(0.15)
    assert fit.worst.network == "x"
    assert fit.worst.error == pytest.approx(0.2)
    assert fit.band == pytest.approx((10 / 12, 10 / 9))


@pytest.mark.parametrize(
    ("errors", "good"),
    [
        ((0.1, -0.1, 0.09), True),
        ((0.1, -0.1, 0.13), False),  # 11 % mean
        ((0.0, 0.0, 0.0, 0.29), True),
        ((0.0, 0.0, 0.0, -0.31), False),  # 31 % worst
    ],
)
def test_a_fit_is_good_within_both_limits(errors: tuple[float, ...], good: bool) -> None:
    left_out = tuple(LeftOut(str(n), 100.0, 100.0 + 100 * e) for n, e in enumerate(errors))

    assert Fit(BOARD, 1.0, left_out).good == good


def test_an_error_that_is_no_number_is_not_good() -> None:
    assert not Fit(BOARD, 1.0, (LeftOut("x", 1.0, math.nan),)).good


def test_two_networks_are_no_fit() -> None:
    with pytest.raises(ArmError, match="A board: 2 networks"):
        fitted(BOARD, {"x": 1.0, "y": 1.0, "w": 1.0}, CYCLES)


def test_a_board_is_fitted_to_its_own_core_and_release() -> None:
    published = [Published("rpi5", n, cycles / 2.4e6, "ncnn 2", "") for n, cycles in CYCLES.items()]
    right = [Executed("cortex-a76", n, "ncnn 2", 1, cycles) for n, cycles in CYCLES.items()]
    wrong = [Executed("cortex-a76", n, "ncnn 1", 1, 9e9) for n in CYCLES]
    other = [Executed("cortex-a53", n, "ncnn 2", 1, 9e9) for n in CYCLES]

    (fit,) = validate(published, [*right, *wrong, *other])

    assert fit.board.name == "rpi5"
    assert fit.alpha == pytest.approx(1)


def test_other_networks_are_estimated_by_the_factor_and_fit_nothing() -> None:
    fit = Fit(BOARD, 1.5, (LeftOut("x", 1.0, 1.0),))
    published = [Published("b", "n", 4.0, "ncnn 1", ""), Published("b", "gone", 4.0, "ncnn 1", "")]

    found = others([fit], published, [Executed("cortex-a76", "n", "ncnn 1", 1, 4e6)])

    assert found == {"b": (LeftOut("n", 4.0, 3.0),)}
    assert others([fit], [], []) == {}


def test_the_shipped_tables_hold_every_board_and_network() -> None:
    published = read_published(validation.PUBLISHED)

    assert {p.board for p in published} == {board.name for board in BOARDS}
    assert all("ncnn" in p.source and ":" in p.source for p in published)
    executed = {(e.core, e.network, e.runtime) for e in read_executed(validation.CYCLES)}
    unfitted = read_published(validation.OTHERS)
    assert {(w.core, w.network, w.runtime) for w in wanted([*published, *unfitted])} == executed
    assert not {p.network for p in published} & {p.network for p in unfitted}


def test_the_shipped_fits_are_within_what_is_asked() -> None:
    worse = [fit.board.name for fit in fits() if not fit.good]

    assert len(fits()) == len(BOARDS)
    assert worse == []


def test_an_estimate_is_cycles_by_frequency_times_the_factor() -> None:
    (fit,) = (fit for fit in fits() if fit.board.name == "rpi5")

    (found,) = estimate(Cycles("cortex-a76", 24e6, 50_000_000, 1.0))

    assert found.board == board_named("rpi5")
    assert found.milliseconds == pytest.approx(10 * fit.alpha)
    assert found.low / found.milliseconds == pytest.approx(fit.band[0])
    assert found.low < found.milliseconds < found.high
    assert found.text.startswith("estimated ")
    assert "no one-thread latency of this runtime" in found.note


def test_ncnn_is_no_extrapolation() -> None:
    (found,) = estimate(Cycles("cortex-a76", 24e6, 1, 1.0), "ncnn 1.0.20261020")

    assert found.note.startswith("estimated")
    assert "no one-thread latency" not in found.note


def test_every_board_with_the_core_is_estimated() -> None:
    found = estimate(Cycles("cortex-a53", 1e6, 1, 1.0))

    assert tuple(one.board for one in found) == boards_with("cortex-a53")
    assert estimate(Cycles("cortex-x4", 1e6, 1, 1.0)) == ()


def test_a_board_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="rpi5"):
        board_named("rpi9")


def test_tables_show_the_band_and_leave_gaps() -> None:
    a76 = estimate(Cycles("cortex-a76", 24e6, 1, 1.0))
    a72 = estimate(Cycles("cortex-a72", 24e6, 1, 1.0))
    files = {"a.tflite": (*a76, *a72), "b.onnx": a72}

    lines = estimates_markdown(files).splitlines()

    assert lines[0].startswith("| estimated ms, one thread (band) | Raspberry Pi 5, cortex-a76 2.4")
    assert lines[2].startswith(f"| `a.tflite` | {figures(a76[0].milliseconds)} (")
    assert lines[3].startswith("| `b.onnx` |  | ")
    assert estimates_table(files).row_count == 5, "two boards have an A72"


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(123.4, "123"), (12.34, "12"), (4.567, "4.6"), (0.4567, "0.46")]
)
def test_estimates_have_two_digits(milliseconds: float, text: str) -> None:
    assert figures(milliseconds) == text
    board = board_named("rpi5")
    assert text in Estimate(board, milliseconds, 1.0, 2.0, 1.0, "").text


def test_a_table_of_cycles_is_read_back(tmp_path: Path) -> None:
    rows = (
        Executed("cortex-a53", "y", "ncnn 1", 7, 9.0),
        Executed("cortex-a53", "x", "ncnn 2", 5, 8.0),
    )
    write_executed(tmp_path / "c.csv", rows)

    assert read_executed(tmp_path / "c.csv") == rows


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("core,network\na,b\n", "no number under cycles"),
        ("core,network,runtime,instructions,cycles\na,b,c,1,x\n", "no number under cycles"),
        ("core,network,runtime,instructions,cycles\na,b,c,1,nan\n", "numbers above 0"),
        ("core,network,runtime,instructions,cycles\n", "at least one row"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "c.csv").write_text(text)

    with pytest.raises(ArmError, match=complaint):
        read_executed(tmp_path / "c.csv")


def test_validate_arm_prints_the_errors_and_passes(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--markdown", str(tmp_path / "v.md")])

    assert done.exit_code == 0, done.output
    assert (tmp_path / "v.md").read_text().startswith(validation_markdown(fits()))
    assert "rpi5" in done.output


def test_the_page_shows_the_errors_that_there_are() -> None:
    page = (Path(__file__).parents[3] / "docs" / "arm-estimates.md").read_text()

    assert validation_markdown(fits()) in page
    unfitted = read_published(validation.OTHERS)
    found = others(fits(), unfitted, read_executed(validation.CYCLES))
    assert others_markdown(found) in page
    assert sum(map(len, found.values())) == len(unfitted)


def test_validate_arm_fails_where_a_board_is_beyond(tmp_path: Path) -> None:
    rows = list(read_executed(validation.CYCLES))
    spoilt = [
        Executed(e.core, e.network, e.runtime, e.instructions, e.cycles * 3)
        if e.network == "resnet18"
        else e
        for e in rows
    ]
    write_executed(tmp_path / "c.csv", spoilt)

    assert CliRunner().invoke(app, ["--cycles", str(tmp_path / "c.csv")]).exit_code == 1


def test_remeasuring_says_which_network_is_missing(tmp_path: Path) -> None:
    from atpn_benchmarks.arm.environment import Environment

    with pytest.raises(ArmError, match=r"holds no resnet18\.param"):
        remeasure(
            Environment(tmp_path), tmp_path, [Wanted("ncnn 1", "resnet18", "cortex-a76")], print
        )


@pytest.mark.needs("qemu-arm")
def test_a_network_is_remeasured(tmp_path: Path) -> None:
    from atpn_benchmarks.arm.environment import Environment, default_folder

    environment = Environment(default_folder())
    (tmp_path / "tiny.param").write_text(
        "7767517\n2 2\n"
        "Input data 0 1 data 0=224 1=224 2=3\n"
        "Convolution conv 1 1 data out 0=8 1=3 3=2 4=1 5=1 6=216 9=1\n"
    )
    runtime = f"ncnn {environment.versions['ncnn']}"

    (found,) = remeasure(environment, tmp_path, [Wanted(runtime, "tiny", "cortex-a76")], print)

    macs = 112 * 112 * 8 * 27  # 16 in an instruction at best, and some work beside
    assert macs / 16 < found.instructions < macs
    assert 0.1 < found.cycles / found.instructions < 3
