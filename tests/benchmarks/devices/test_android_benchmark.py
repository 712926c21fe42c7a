"""Phones without Python: jobs done by a benchmark_model, which is a script of the test's own."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atpn_benchmarks.devices.android_benchmark import AndroidBenchmark
from atpn_benchmarks.devices.benchmark_model import BenchmarkModelError, command, parsed
from atpn_benchmarks.devices.device import DeviceError
from atpn_benchmarks.devices.local_device import LocalWire
from atpn_benchmarks.devices.naming import named
from atpn_benchmarks.devices.posix_device import Habits, PosixDevice
from atpn_benchmarks.guest.job import Entry, Job
from atpn_benchmarks.heard import Heard

#: As the program of TensorFlow 2.16 writes it.
REPORT = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Graph: [{graph}]
INFO: #threads used for CPU inference: [1]
INFO: Loaded model {graph}
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: The input model file size (MB): 4.56118
INFO: Initialized session in 52.687ms.
INFO: Running benchmark for at least 1 iterations and at least 0 seconds but terminate if \
exceeding 150 seconds.
INFO: count=3 first=19105 curr=13909 min=13585 max=19105 avg=14452.5 std=1240

INFO: Running benchmark for at least {runs} iterations and at least 0 seconds but terminate if \
exceeding 150 seconds.
INFO: count={runs} first=14941 curr=14066 min=13728 max=16145 avg=14290.9 std=452

INFO: Inference timings in us: Init: 52687, First inference: 19105, Warmup (avg): 14452.5, \
Inference (avg): {mean}
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only \
APPROXIMATE to the actual memory footprint of the model at runtime. Take the information at your \
discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=21.9492 overall=34.5234
"""

#: Says what the real one says, on standard error as it does; counts its starts; some files fail.
STAND_IN = """\
#!/bin/sh
[ "$1" = --help ] && exit 1
echo "$*" >>"$(dirname "$0")/starts"
for word; do
    case $word in
        --graph=*) graph=${word#*=};;
        --num_runs=*) runs=${word#*=};;
    esac
done
case $graph in *bad*) echo "ERROR: Failed to load model $graph" >&2; exit 1;; esac
mean=2000.5
[ "$runs" -gt 5 ] && mean=$(wc -l <"$(dirname "$0")/starts")e+03
sed "s#{graph}#$graph#; s/{runs}/$runs/; s/{mean}/$mean/" >&2 <<'END'
"""

LONELY = Habits(pythons=())


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "android_aarch64_benchmark_model"
    path.write_text(f"{STAND_IN}{REPORT}END\n")
    return path


@pytest.fixture
def phone(program: Path) -> AndroidBenchmark:
    return AndroidBenchmark(PosixDevice("adb:phone", LocalWire(), LONELY), program)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A job of four files, as the bench packs it."""
    entries = (
        Entry("one", "files/0.tflite", target="tflite-fp32", signature="align"),
        Entry("peer", "files/1.tflite", shapes={"x": (1, 3)}),
        Entry("broken", "files/bad.tflite"),
        Entry("other", "files/2.onnx"),
    )
    job = Job(entries, warmup=4, samples=40, seconds=0.01, rounds=3, cores=(0,), seed=5)
    job.save(tmp_path / "job.json")
    (tmp_path / "model").write_bytes(b"TFL3")
    there = {entry.path: tmp_path / "model" for entry in entries}
    for name in list(there):
        copy = tmp_path / Path(name).name
        copy.write_bytes(b"TFL3")
        there[name] = copy
    return {**there, "job.json": tmp_path / "job.json"}


def conduct(phone: AndroidBenchmark, files: dict[str, Path]) -> tuple[list[Any], list[str]]:
    """The events, and the command lines of every start."""
    lines: list[str] = []
    with phone as device:
        device.push(files)
        assert device.run(["guest.pyz", "conduct", "job.json"], lines.append) == 0
        starts = device.ask("cat starts").splitlines()
    return [json.loads(line) for line in lines], starts


def of(kind: str, events: list[Any]) -> list[Any]:
    return [event for event in events if event["event"] == kind]


def test_a_job_tells_what_the_guest_tells(phone: AndroidBenchmark, files: dict[str, Path]) -> None:
    events, _ = conduct(phone, files)
    heard = Heard()
    for event in events:
        heard.take(event)
    assert heard.begin["cores"] == [0]
    assert heard.begin["machine"]["python"] == ""
    assert heard.begin["machine"]["cores"] >= 1
    assert heard.opened["one", 1]["load_s"] == pytest.approx(0.052687)
    assert heard.opened["one", 1]["first_s"] == pytest.approx(0.019105)
    assert heard.opened["one", 1]["kernel_family"] == "XNNPACK"
    assert heard.memory["one", 1]["peak_bytes"] == round(34.5234 * 2**20)
    assert heard.failed["other"]["state"] == "not run"
    assert heard.failed["other"]["reason"] == "benchmark_model runs .tflite"
    assert heard.failed["broken"]["state"] == "failed"
    assert "Failed to load model files/bad.tflite" in heard.failed["broken"]["reason"]
    assert set(heard.samples) == {("one", 1), ("peer", 1)}
    assert "conditions" in heard.end


def test_each_round_starts_every_file_once_in_an_order_of_its_own(
    phone: AndroidBenchmark, files: dict[str, Path]
) -> None:
    events, starts = conduct(phone, files)
    bursts = [event["name"] for event in of("burst", events)]
    assert len(bursts) == 6
    shuffled = []
    shuffle = random.Random(5).shuffle
    for _ in range(3):
        order = ["one", "peer"]
        shuffle(order)
        shuffled += order
    assert bursts == shuffled
    timed = [line for line in starts if "--num_runs=14" in line]  # 40 samples in 3 rounds
    assert len(timed) == 6
    assert all("--num_threads=1" in line and "--min_secs=0" in line for line in timed)


def test_a_sample_is_the_mean_of_its_start_and_that_is_said(
    phone: AndroidBenchmark, files: dict[str, Path]
) -> None:
    events, _ = conduct(phone, files)
    for burst in of("burst", events):
        assert burst["per_round"] == 14
        assert len(burst["wall_ns"]) == 14
        assert len(set(burst["wall_ns"])) == 1
    assert len({burst["wall_ns"][0] for burst in of("burst", events)}) == 6
    assert "each sample is such a mean" in phone.remarks[0]


def test_signature_and_shapes_are_the_files_own(
    phone: AndroidBenchmark, files: dict[str, Path]
) -> None:
    _, starts = conduct(phone, files)
    ours = [line for line in starts if "0.tflite" in line]
    peer = [line for line in starts if "1.tflite" in line]
    assert all("--signature_to_run_for=align" in line for line in ours)
    assert all("--input_layer=x --input_layer_shape=1,3" in line for line in peer)
    assert not any("signature" in line for line in peer)


@pytest.mark.needs("adb")
def test_a_phone_does_it_by_adb(stand_in: str, program: Path, files: dict[str, Path]) -> None:
    phone = named(stand_in, benchmark_model=program)
    assert isinstance(phone, AndroidBenchmark)
    events, starts = conduct(phone, files)
    assert len(of("burst", events)) == 6
    assert len(starts) == 9
    assert phone.left_behind == ""


def test_only_what_it_can_run_is_sent(phone: AndroidBenchmark, files: dict[str, Path]) -> None:
    with phone as device:
        device.push(files)
        assert device.ask("ls files").split() == ["0.tflite", "1.tflite", "bad.tflite"]


def test_a_program_that_does_not_start_is_told(tmp_path: Path, program: Path) -> None:
    program.write_bytes(b"\x7fELF of another processor")
    phone = AndroidBenchmark(PosixDevice("adb:phone", LocalWire(), LONELY), program)
    with pytest.raises(DeviceError, match=r"does not start android_.*\(no noexec mount\)\?"):
        phone.__enter__()


def test_a_missing_program_is_told(tmp_path: Path) -> None:
    phone = AndroidBenchmark(PosixDevice("adb:phone", LocalWire(), LONELY), tmp_path / "none")
    with pytest.raises(DeviceError, match=r"none is no file: give the benchmark_model"):
        phone.__enter__()


def test_other_commands_of_the_guest_are_refused(phone: AndroidBenchmark) -> None:
    with phone as device, pytest.raises(DeviceError, match="has no Python"):
        device.run(["guest.pyz", "facts"], print)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.partition("INFO: Inference")[0], "has no report: INFO: count=9"),
        (lambda text: "", "has no report: no output"),
    ],
)
def test_a_report_that_is_none_is_an_error(change: Callable[[str], str], why: str) -> None:
    report = REPORT.format(graph="a.tflite", runs=9, mean="14290.9")
    with pytest.raises(BenchmarkModelError, match=why):
        parsed(change(report))


def test_a_report_without_delegate_runs_the_builtin_kernels() -> None:
    report = REPORT.format(graph="a", runs=9, mean="1.42909e+06").replace("XNNPACK", "some")
    assert parsed(report).kernel_family == "builtin"
    assert parsed(report).mean_s == pytest.approx(1.42909)
    assert parsed(report).calls == 9


def test_an_older_report_is_read_too() -> None:
    older = REPORT.format(graph="a", runs=50, mean="33209.4").replace("INFO: ", "")
    older = older.replace(
        "Memory footprint delta from the start of the tool", "Peak memory footprint"
    )
    assert parsed(older).mean_s == pytest.approx(0.0332094)
    assert parsed(older).memory_bytes > 0


def test_pinning_is_a_mask() -> None:
    words = command("./b", "a b.tflite", threads=2, warmup=1, calls=9, mask=0b11000000)
    assert words.startswith("taskset c0 ./b '--graph=a b.tflite' --num_threads=2 ")
    assert "taskset" not in command("./b", "a", threads=1, warmup=1, calls=9, mask=0)
