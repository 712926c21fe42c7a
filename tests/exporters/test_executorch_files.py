"""Real .pte files of the shipped atpn-lite: float with two methods, int8 with one."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_deploy.contract import SIGNATURES
from atpn_deploy.errors import ArtifactError, CalibrationError, UnsupportedError
from atpn_deploy.golden import load_inputs
from atpn_deploy.parity import compare
from atpn_deploy.weights import predictor, save_state, shipped
from atpn_exporters.executorch_backend import EXECUTORCH_FP32, EXECUTORCH_INT8
from atpn_exporters.executorch_file import SEAL_LENGTH, read_methods, sealed
from atpn_exporters.session import SessionOptions
from atpn_exporters.target import ExportJob

pytestmark = pytest.mark.needs("torch", "executorch")

#: Those of the fixture `executorch_float`.
FACTS = {
    "target": "executorch-fp32",
    "model": "atpn-lite",
    "contract": {"version": 1},
    "ä": "é",
}


@dataclass(frozen=True)
class Made:
    """What the exports left."""

    job: ExportJob  # int8's
    crops: NDArray[np.uint8]
    fp32: Path  # both signatures
    int8: Path  # full
    expected: dict[str, NDArray[np.float32]]


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> ExportJob:
    # Trained weights: random ones amplify rounding beyond the limits of float files.
    model = shipped("atpn-lite").load()
    bare = ExportJob(model, "full", FACTS, tmp_path_factory.mktemp("executorch"))
    assert EXECUTORCH_INT8.observe is not None
    return replace(bare, ranges={"full": EXECUTORCH_INT8.observe(bare, load_inputs().images[::2])})


@pytest.fixture(scope="session")
def int8(job: ExportJob) -> Path:
    path = job.workspace / "int8.pte"
    EXECUTORCH_INT8.export(job, path)
    return path


@pytest.fixture(scope="session")
def expected(job: ExportJob) -> dict[str, NDArray[np.float32]]:
    return predictor(copy.deepcopy(job.model).double())(load_inputs().images)


@pytest.fixture
def made(
    job: ExportJob, executorch_float: Path, int8: Path, expected: dict[str, NDArray[np.float32]]
) -> Made:
    return Made(job, load_inputs().images, executorch_float, int8, expected)


def outputs(
    path: Path, crops: NDArray[np.uint8], signature: str = "full"
) -> dict[str, NDArray[np.float32]]:
    with EXECUTORCH_FP32.load(path, SessionOptions(signature=signature)) as session:
        rows = [session.run({"image": crop}) for crop in crops]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("signature", SIGNATURES)
def test_float_file_is_the_network(made: Made, signature: str) -> None:
    actual = outputs(made.fp32, made.crops, signature)
    assert list(actual) == [spec.name for spec in SIGNATURES[signature]]
    faces = np.ones(len(made.crops), bool)
    rows = compare(actual, made.expected, EXECUTORCH_FP32.limits, faces)
    assert [row for row in rows if not row.ok] == []
    assert len(rows) == len(actual)


def test_int8_file_follows_the_network(made: Made) -> None:
    actual = outputs(made.int8, made.crops)
    off = 112 * np.linalg.norm(actual["landmarks"] - made.expected["landmarks"], axis=-1)
    assert 0 < off.mean() < 0.6
    # It answers to the image: a file that always says the same correlates with nothing.
    moved = [v["landmarks"] - v["landmarks"].mean(0) for v in (actual, made.expected)]
    assert np.corrcoef(moved[0].ravel(), moved[1].ravel())[0, 1] > 0.6
    assert np.abs(actual["confidence"] - made.expected["confidence"]).max() < 0.15


def test_everything_runs_on_xnnpack_in_one_part(made: Made) -> None:
    for path in (made.fp32, made.int8):
        facts = EXECUTORCH_FP32.inspect(path)
        assert facts.partitions == 1
        assert facts.undelegated == {}


def test_scheme_is_read_from_the_file(made: Made) -> None:
    whole, small = EXECUTORCH_FP32.inspect(made.fp32), EXECUTORCH_INT8.inspect(made.int8)
    assert whole.scheme.startswith("weights float32; activations float32")
    assert whole.float_operators == whole.operators
    assert small.scheme.startswith("weights int8 per channel and float32; activations int8 and")
    # Float stays where the recipe says: heads and what joins the levels before one, linear layers,
    # heat map.
    assert not {"CONV_2D", "TRANSPOSE_CONV"} & set(small.float_operators)
    assert (small.float_operators["CONCATENATION"], small.operators["CONCATENATION"]) == (1, 4)
    assert small.float_operators["DEPTHWISE_CONV_2D"] == 3
    assert small.float_operators["FULLY_CONNECTED"] == 3


def test_two_methods_share_their_weights_and_int8_is_small(made: Made) -> None:
    weights = sum(p.numel() for p in made.job.model.parameters())
    assert made.fp32.stat().st_size < 1.15 * 4 * weights
    assert made.int8.stat().st_size < 0.5 * made.fp32.stat().st_size


def test_facts_and_names_are_methods_that_an_app_can_call(made: Made) -> None:
    assert EXECUTORCH_FP32.read_metadata(made.fp32) == FACTS
    methods = read_methods(made.fp32)
    assert json.loads(str(methods["atpn"].text)) == FACTS
    assert methods["full_outputs"].text == "landmarks,pose,confidence"
    assert methods["align_outputs"].text == "landmarks"
    assert methods["full"].inputs == ((1, 112, 112, 3),)


def test_bytes_are_equal_in_another_process_and_name_no_machine(
    job: ExportJob, executorch_float: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "mine.safetensors"
    save_state(job.model, weights)
    program = (
        "from pathlib import Path\n"
        "from atpn_deploy.weights import open_checkpoint\n"
        "from atpn_exporters.executorch_backend import EXECUTORCH_FP32\n"
        "from atpn_exporters.target import ExportJob\n"
        f"facts, folder = {FACTS!r}, Path({str(tmp_path)!r})\n"
        f"model = open_checkpoint(Path({str(weights)!r})).load()\n"
        "job = ExportJob(model, 'both', facts, folder)\n"
        "EXECUTORCH_FP32.export(job, folder / 'again.pte')\n"
    )
    path = [p for p in sys.path if p]
    command = f"import sys; sys.path[:0] = {path!r}\n{program}"
    subprocess.run([sys.executable, "-W", "ignore", "-c", command], check=True, cwd=tmp_path)
    content = executorch_float.read_bytes()
    assert (tmp_path / "again.pte").read_bytes() == content
    assert str(Path.home()).encode() not in content
    assert str(Path(__file__).parents[2]).encode() not in content


@pytest.mark.parametrize("threads", [2, 1])
def test_session_has_the_threads_that_were_asked_for(made: Made, threads: int) -> None:
    from atpn_exporters.executorch_session import runtime

    before = threading.active_count()
    with EXECUTORCH_FP32.load(made.fp32, SessionOptions(threads=threads)) as session:
        session.run({"image": made.crops[0]})
        assert runtime()._threadpool_get_thread_count() == threads
    assert threading.active_count() == before


def test_threads_do_not_change_under_an_open_session(made: Made) -> None:
    """Its method keeps a pointer to the pool, and would end the process when it runs."""
    one = EXECUTORCH_FP32.load(made.fp32, SessionOptions(threads=1))
    with one:
        with pytest.raises(UnsupportedError, match=r"2 threads while another \.pte is open"):
            EXECUTORCH_FP32.load(made.int8, SessionOptions(threads=2))
        with EXECUTORCH_FP32.load(made.int8, SessionOptions(threads=1)) as beside:
            beside.run({"image": made.crops[0]})
            one.run({"image": made.crops[0]})
    with EXECUTORCH_FP32.load(made.int8, SessionOptions(threads=2)) as two:
        two.run({"image": made.crops[0]})


def test_bytes_and_floats_with_or_without_batch_axis_are_one_image(made: Made) -> None:
    crop = made.crops[0]
    with EXECUTORCH_FP32.load(made.int8, SessionOptions()) as session:
        runs = [
            session.run({"image": image})
            for image in (crop, crop[None], crop.astype(np.float32), crop[None].astype(np.float64))
        ]
        session.repeat()
        with pytest.raises(ValueError, match="image has shape"):
            session.run({"image": crop[:100]})
    for run in runs[1:]:
        for name, values in run.items():
            assert values.dtype == np.float32
            np.testing.assert_array_equal(values, runs[0][name])
    with pytest.raises(ValueError, match="closed"):
        session.run({"image": crop})


def test_results_are_the_callers_own(made: Made) -> None:
    with EXECUTORCH_FP32.load(made.fp32, SessionOptions()) as session:
        first = session.run({"image": made.crops[0]})
        kept = first["landmarks"].copy()
        session.run({"image": made.crops[1]})
    np.testing.assert_array_equal(first["landmarks"], kept)


def test_signature_that_a_file_lacks_is_refused(made: Made) -> None:
    with pytest.raises(ArtifactError, match="computes the signature full; 'align' was asked for"):
        EXECUTORCH_FP32.load(made.int8, SessionOptions(signature="align"))


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999, 0.99999])
def test_cut_off_file_is_refused_before_the_runtime_sees_it(
    made: Made, tmp_path: Path, kept: float
) -> None:
    content = made.int8.read_bytes()
    path = tmp_path / "cut.pte"
    path.write_bytes(content[: int(kept * len(content))])
    for use in (
        EXECUTORCH_FP32.inspect,
        EXECUTORCH_FP32.read_metadata,
        lambda p: EXECUTORCH_FP32.load(p, SessionOptions()),
    ):
        with pytest.raises(ArtifactError, match=r"cut\.pte"):
            use(path)


@pytest.mark.parametrize("place", [40, 9000, -2000])
def test_one_wrong_byte_is_seen(made: Made, tmp_path: Path, place: int) -> None:
    """A wrong byte in the program can end the process where the runtime reads it."""
    content = bytearray(made.int8.read_bytes())
    content[place] ^= 0x5A
    path = tmp_path / "wrong.pte"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="sha256 is not the sealed one"):
        EXECUTORCH_FP32.load(path, SessionOptions())


def altered(made: Made, tmp_path: Path, old: bytes, new: bytes) -> Path:
    """The int8 file with some bytes changed and sealed again."""
    program = made.int8.read_bytes()[:-SEAL_LENGTH]
    assert program.count(old) == 1
    path = tmp_path / "other.pte"
    path.write_bytes(sealed(program.replace(old, new)))
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"full_outputs", b"full_outputz", "outputs without names"),
        (b"landmarks,pose,conf", b"landmarks,pase,conf", "landmarks,? pase, confidence"),
        (b"landmarks,pose,confidence", b"confidence,landmarks,pose", r"\(1, 98, 2\)"),
        (b"XnnpackBackend", b"CoreMLBackend!", "is for CoreMLBackend!; expected XnnpackBackend"),
        (b"XN01", b"XN02", "not with XNNPACK's"),
    ],
)
def test_program_of_another_make_is_refused(
    made: Made, tmp_path: Path, old: bytes, new: bytes, said: str
) -> None:
    path = altered(made, tmp_path, old, new)
    with pytest.raises(ArtifactError, match=said) as caught:
        EXECUTORCH_FP32.load(path, SessionOptions())
    assert "\n" not in str(caught.value)


def test_ranges_of_another_network_are_refused(made: Made, tmp_path: Path) -> None:
    ranges = dict(made.job.ranges["full"])
    name = next(iter(ranges))
    for bad, said in (
        ({n: r for n, r in ranges.items() if n != name}, "lacks 1 of the network's"),
        ({**ranges, name: (0.0, float("nan"))}, "expected two finite numbers"),
    ):
        with pytest.raises(CalibrationError, match=said):
            EXECUTORCH_INT8.export(replace(made.job, ranges={"full": bad}), tmp_path / "x.pte")
    with pytest.raises(CalibrationError, match="--calibration DIR"):
        EXECUTORCH_INT8.export(replace(made.job, ranges={}), tmp_path / "x.pte")


def test_modules_that_a_recipe_names_stay_float_besides(job: ExportJob) -> None:
    from atpn_exporters.executorch_convert import traced
    from atpn_exporters.executorch_recipe import left_in_float, planned

    graph = traced(job.model, "align")
    usual = {node.name for node in left_in_float(graph)}
    more = {node.name for node in left_in_float(graph, ("alignment.neck",))}
    of_neck = {
        node.name
        for node in graph.graph.nodes
        if node.op == "call_function" and "alignment.neck" in str(node.meta["nn_module_stack"])
    }
    assert usual < more
    assert of_neck <= more
    told = {operator.module: operator.in_float for operator in planned(graph)}
    assert told["alignment.head.linear"]
    assert not told["low.stem.conv"]


def test_ranges_are_named_after_modules_and_hold_what_was_seen(made: Made) -> None:
    ranges = made.job.ranges["full"]
    assert {"image", "low.stem.conv/conv2d", "alignment.head.linear/linear"} <= set(ranges)
    assert ranges["image"] == (0.0, 255.0)
    assert all(low <= high for low, high in ranges.values())


@pytest.fixture(scope="session")
def squeezed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object]:
    """`atpn`'s landmarks in int8: hard-swish and squeeze-excite, which atpn-lite does not have."""
    model = shipped("atpn").load()
    workspace = tmp_path_factory.mktemp("executorch-atpn")
    job = ExportJob(model, "align", {}, workspace)
    assert EXECUTORCH_INT8.observe is not None
    job = replace(job, ranges={"align": EXECUTORCH_INT8.observe(job, load_inputs().images[::2])})
    EXECUTORCH_INT8.export(job, workspace / "int8.pte")
    return workspace / "int8.pte", model


def test_hard_swish_stays_float_and_nothing_leaves_xnnpack(squeezed: tuple[Path, object]) -> None:
    facts = EXECUTORCH_INT8.inspect(squeezed[0])
    assert (facts.partitions, facts.undelegated) == (1, {})
    assert facts.float_operators["HARD_SWISH"] == facts.operators["HARD_SWISH"] > 20
    # The gates of squeeze-excite are clamps of int8 convolutions; the convolution before the head
    # is the only one that stays float.
    assert facts.float_operators["CONV_2D"] == 1
    assert "CLAMP" not in facts.float_operators


def test_squeezed_landmarks_follow_the_network(squeezed: tuple[Path, object]) -> None:
    crops = load_inputs().images
    expected = predictor(squeezed[1])(crops)["landmarks"]  # type: ignore[arg-type]
    actual = outputs(squeezed[0], crops, "align")["landmarks"]
    off = 112 * np.linalg.norm(actual - expected, axis=-1)
    assert 0 < off[load_inputs().faces].mean() < 0.8
