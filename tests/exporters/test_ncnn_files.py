"""Real ncnn folders of the shipped networks, and what is done to folders that are none."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_deploy.contract import SIGNATURES
from atpn_deploy.errors import ArtifactError, ExportError, MissingToolError, ParityError
from atpn_deploy.golden import load_inputs
from atpn_deploy.parity import compare
from atpn_deploy.weights import predictor, shipped
from atpn_exporters import ncnn_convert
from atpn_exporters.artifact_files import sha256_of, size_bytes
from atpn_exporters.ncnn_backend import NCNN_FP16, NCNN_FP32
from atpn_exporters.ncnn_graph import (
    FLOAT16_TAG,
    Layer,
    halved,
    parse,
    stored_weights,
    written,
)
from atpn_exporters.ncnn_package import BIN, METADATA, PARAM, read_package, write_package
from atpn_exporters.opening import identify
from atpn_exporters.parity_run import ParityRequest, check
from atpn_exporters.pipeline import export
from atpn_exporters.planning import ExportPlan
from atpn_exporters.progress import Silent
from atpn_exporters.session import SessionOptions
from atpn_exporters.target import ExportJob

needs_ncnn = pytest.mark.needs("torch", "ncnn")
FACTS = {"target": "ncnn-fp32", "contract": {"version": 1}, "ä": "é"}
ONE = SessionOptions()


@dataclass(frozen=True)
class Made:
    """What one conversion left."""

    job: ExportJob
    crops: NDArray[np.uint8]
    fp32: Path
    fp16: Path
    expected: dict[str, NDArray[np.float32]]


@pytest.fixture(scope="session")
def made_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """`made_for(model)`: its two folders with all three tasks, made once a session."""
    done: dict[str, Made] = {}

    def make(name: str) -> Made:
        if name not in done:
            # Trained weights: random ones amplify rounding beyond the limits of float files.
            model = shipped(name).load()
            crops = load_inputs().images
            workspace = tmp_path_factory.mktemp(f"ncnn-{name}")
            job = ExportJob(model, "both", FACTS, workspace)
            fp32, fp16 = workspace / "fp32.ncnn", workspace / "fp16.ncnn"
            NCNN_FP32.export(job, fp32)
            NCNN_FP16.export(job, fp16)
            done[name] = Made(
                job, crops, fp32, fp16, predictor(copy.deepcopy(model).double())(crops)
            )
        return done[name]

    return make


@pytest.fixture
def made(made_for: Callable[[str], Made]) -> Made:
    return made_for("atpn-lite")


def outputs(path: Path, crops: NDArray[np.uint8], signature: str) -> dict[str, NDArray[np.float32]]:
    with NCNN_FP32.load(path, SessionOptions(signature=signature)) as session:
        rows = [session.run({"image": crop}) for crop in crops]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@needs_ncnn
@pytest.mark.parametrize("name", ["atpn-lite", "atpn"])
@pytest.mark.parametrize("signature", SIGNATURES)
def test_float_folder_is_the_network(
    made_for: Callable[[str], Made], name: str, signature: str
) -> None:
    made = made_for(name)
    actual = outputs(made.fp32, made.crops, signature)
    assert list(actual) == [spec.name for spec in SIGNATURES[signature]]
    rows = compare(actual, made.expected, NCNN_FP32.limits, np.ones(len(made.crops), bool))
    assert [row for row in rows if not row.ok] == []


@needs_ncnn
@pytest.mark.parametrize("name", ["atpn-lite", "atpn"])
def test_half_weights_stay_near_and_halve_the_folder(
    made_for: Callable[[str], Made], name: str
) -> None:
    made = made_for(name)
    actual = outputs(made.fp16, made.crops, "full")
    rows = compare(actual, made.expected, NCNN_FP16.limits, load_inputs().faces)
    assert [row for row in rows if not row.ok] == []
    assert not np.array_equal(actual["pose"], made.expected["pose"])
    assert size_bytes(made.fp16) < 0.55 * size_bytes(made.fp32)
    assert NCNN_FP16.inspect(made.fp16).scheme == "weights float16, activations float32"
    assert NCNN_FP32.inspect(made.fp32).scheme == "weights float32, activations float32"


@needs_ncnn
def test_graph_takes_a_planar_image_and_moves_nothing(made: Made) -> None:
    facts = NCNN_FP32.inspect(made.fp32)
    assert (facts.transposes, facts.partitions) == (0, None)
    layers = parse(read_package(made.fp32).param.decode())
    assert [layer.outputs for layer in layers if layer.kind == "Input"] == [("image",)]
    assert {"landmarks", "pose", "confidence"} <= {n for layer in layers for n in layer.outputs}


@needs_ncnn
def test_align_folder_holds_no_more_than_it_computes(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "align.ncnn"
    NCNN_FP32.export(replace(made.job, signature="align"), path)
    with NCNN_FP32.load(path, ONE) as session:
        assert session.output_names == ("landmarks",)
        made_alone = session.run({"image": made.crops[0]})["landmarks"]
    np.testing.assert_array_equal(
        made_alone, outputs(made.fp32, made.crops[:1], "align")["landmarks"]
    )
    assert size_bytes(path) < 0.9 * size_bytes(made.fp32)
    with pytest.raises(ArtifactError, match="computes landmarks; the signature 'full' was asked"):
        NCNN_FP32.load(path, SessionOptions(signature="full"))


@needs_ncnn
def test_bytes_are_equal_again_and_nothing_else_is_left_behind(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pnnx writes seven files into the folder that it runs in."""
    elsewhere, workspace = tmp_path / "cwd", tmp_path / "work"
    elsewhere.mkdir()
    workspace.mkdir()
    monkeypatch.chdir(elsewhere)
    again = tmp_path / "again.ncnn"
    NCNN_FP16.export(replace(made.job, workspace=workspace), again)
    assert sha256_of(again) == sha256_of(made.fp16)
    assert sorted(p.name for p in again.iterdir()) == [METADATA, BIN, PARAM]
    assert [*elsewhere.iterdir(), *workspace.iterdir()] == []
    text = b"".join(p.read_bytes() for p in sorted(again.iterdir()))
    assert str(tmp_path).encode() not in text


@needs_ncnn
def test_only_the_converters_own_program_is_run(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pnnx's Python package would import a program that it has just written."""
    calls = []
    run = subprocess.run

    def watched(command: list[str], **options: object) -> object:
        calls.append((command, options))
        return run(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(ncnn_convert.subprocess, "run", watched)
    NCNN_FP32.export(made.job, tmp_path / "x.ncnn")
    [(command, options)] = calls
    assert Path(command[0]).name.startswith("pnnx")
    assert "shell" not in options
    assert Path(str(options["cwd"])).parent == made.job.workspace


@needs_ncnn
def test_facts_come_back_with_the_standard_library_alone(made: Made) -> None:
    assert NCNN_FP32.read_metadata(made.fp32) == FACTS
    note = json.loads((made.fp32 / METADATA).read_text(encoding="utf-8"))
    assert note["facts"] == FACTS
    assert note["sha256"][BIN] == hashlib.sha256((made.fp32 / BIN).read_bytes()).hexdigest()
    assert "PIXEL_RGB" in note["usage"]


@needs_ncnn
def test_bytes_and_floats_with_or_without_batch_axis_are_one_image(made: Made) -> None:
    crop = made.crops[0]
    with NCNN_FP32.load(made.fp32, ONE) as session:
        runs = [
            session.run({"image": image})
            for image in (crop, crop[None], crop.astype(np.float32), crop[None].astype(np.float64))
        ]
        session.repeat()
        again = session.run({"image": made.crops[1]})
        with pytest.raises(ValueError, match="image has shape"):
            session.run({"image": crop[:100]})
    assert not np.array_equal(again["landmarks"], runs[0]["landmarks"])
    for run in runs[1:]:
        for name, values in run.items():
            assert values.dtype == np.float32
            np.testing.assert_array_equal(values, runs[0][name])
    with pytest.raises(ValueError, match="closed"):
        session.repeat()


@needs_ncnn
def test_session_has_the_threads_that_were_asked_for_and_computes_in_float(made: Made) -> None:
    for threads in (1, 2):
        with NCNN_FP32.load(made.fp32, SessionOptions(threads=threads)) as session:
            options = session._net.opt  # type: ignore[attr-defined]
            assert options.num_threads == threads
            assert not options.use_fp16_arithmetic
            assert not options.use_bf16_storage


@needs_ncnn
def test_folder_is_delivered_replaced_and_checked_like_a_file(tmp_path: Path) -> None:
    plan = ExportPlan(shipped("atpn-lite"), (NCNN_FP32,), tmp_path / "out")
    impossible = tuple(replace(limit, value=0.0) for limit in NCNN_FP32.limits)
    strict = replace(plan, targets=(replace(NCNN_FP32, limits=impossible),))
    [failure] = export(strict, Silent()).failures
    assert isinstance(failure.error, ParityError)
    assert (tmp_path / "out" / "atpn-lite-fp32.failed.ncnn" / PARAM).is_file()

    (tmp_path / "out" / "atpn-lite-fp32.ncnn").mkdir()
    with pytest.raises(ExportError, match="overwrite with --force"):
        export(plan, Silent())
    [report] = export(replace(plan, force=True), Silent()).reports
    assert report.size_bytes == size_bytes(report.path)
    assert identify(report.path).sha256 == report.sha256
    assert sorted(p.name for p in report.path.iterdir()) == [METADATA, BIN, PARAM]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "atpn-lite-fp32.ncnn",
        "atpn-lite-fp32.ncnn.json",
    ]
    result = check(report.path, ParityRequest(weights=plan.checkpoint.path))
    assert (result.exit_status, result.error) == (0, "")


def test_absent_converter_gives_the_pip_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ncnn_convert, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match=r"atpn-deploy\[ncnn\]"):
        ncnn_convert.pnnx_binary()


@needs_ncnn
def test_converter_that_fails_is_quoted(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "pnnx"
    fake.write_text("#!/bin/sh\necho first\necho cannot parse that >&2\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setattr(ncnn_convert, "pnnx_binary", lambda: fake)
    with pytest.raises(ExportError, match="pnnx ended with status 3: cannot parse that"):
        NCNN_FP32.export(made.job, tmp_path / "x.ncnn")


TEXT = """7767517
5 5
Input image 0 1 image
Convolution conv 1 1 image a 0=2 1=1 5=1 6=6
Split split 1 2 a b c
BinaryOp add 2 1 b c landmarks 0=0
"""
#: As TEXT announces it: 5 layers would be one more than there are.
GOOD = TEXT.replace("5 5", "4 5")
#: Tag, six weights, two biases.
WEIGHTS = bytes(4) + np.array([1e-5, 1, -3, 0.1, 2, 7e-6, 9, 1e-9], "<f4").tobytes()


def test_layers_are_read_and_written_alike() -> None:
    layers = parse(GOOD)
    assert [layer.kind for layer in layers] == ["Input", "Convolution", "Split", "BinaryOp"]
    assert layers[1] == Layer(
        "Convolution", "conv", ("image",), ("a",), ("0=2", "1=1", "5=1", "6=6")
    )
    assert (layers[1].number(6), layers[1].number(11)) == (6, 0)
    assert written(layers) == GOOD


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no ncnn model: line 1 is not 7767517"),
        ("<html>\n\n\n", "no ncnn model"),
        (TEXT, "cut off: 4 layers and 5 blobs, the text announces 5 5"),
        (GOOD.replace("2 1 b c", "2 1 b d"), "damaged: add reads d, which nothing makes"),
        (GOOD.replace("1 2 a b c", "1 9 a b c"), "announces more than it holds"),
        (GOOD.replace("1 1 image", "1 x image"), "damaged: invalid literal"),
    ],
)
def test_text_that_is_no_graph_is_refused(text: str, said: str) -> None:
    with pytest.raises(ArtifactError, match=said):
        parse(text)


def test_weights_are_counted_as_ncnn_reads_them() -> None:
    layers = parse(GOOD)
    [stored] = stored_weights(layers, WEIGHTS)
    assert (stored.count, stored.kind, stored.start, stored.end) == (6, "float32", 4, 28)
    for content, said in (
        (WEIGHTS[:-1], "cut off: conv ends at 36 of 35 bytes"),
        (WEIGHTS + b"\0", "37 bytes of weights; the layers take 36"),
        (b"\0\0", "cut off before conv"),
        (b"\x84\x4b\x0d\0" + WEIGHTS, "in a way that no ATPN does: 0xd4b84"),
    ):
        with pytest.raises(ArtifactError, match=said):
            stored_weights(layers, content)
    with pytest.raises(ArtifactError, match="holds the layer LSTM, which no ATPN has"):
        stored_weights(parse(GOOD.replace("Split split", "LSTM split")), WEIGHTS)


def test_halves_are_rounded_to_the_nearest_and_faint_weights_are_kept() -> None:
    layers = parse(GOOD)
    half = halved(layers, WEIGHTS)
    [stored] = stored_weights(layers, half)
    assert stored.kind == "float16"
    assert half[:4] == FLOAT16_TAG.to_bytes(4, "little")
    values = np.frombuffer(half, "<f2", 6, 4).astype(np.float32)
    whole = np.frombuffer(WEIGHTS, "<f4", 6, 4)
    np.testing.assert_allclose(values, whole, rtol=2**-11, atol=2**-25)
    assert values[0] > 0  # below float16's least normal number
    assert half[-8:] == WEIGHTS[-8:]
    too_large = bytes(4) + np.full(8, 7e4, "<f4").tobytes()
    with pytest.raises(ArtifactError, match="conv holds a weight beyond float16's 65504"):
        halved(layers, too_large)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "m.ncnn"
    write_package(path, GOOD.encode(), WEIGHTS, FACTS)
    return path


USES = (NCNN_FP32.inspect, NCNN_FP32.read_metadata, lambda path: NCNN_FP32.load(path, ONE))


def refused(path: Path, said: str) -> None:
    for use in USES:
        with pytest.raises(ArtifactError, match=said) as caught:
            use(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [PARAM, BIN])
def test_changed_cut_off_or_missing_file_is_seen_before_ncnn_reads_it(
    folder: Path, name: str
) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1])
    refused(folder, rf"{name} \(\d+ bytes\) is damaged or another model's")
    (folder / name).write_bytes(content[:-1] + b"?")
    refused(folder, "is damaged or another model's")
    (folder / name).unlink()
    refused(folder, f"cannot read .*{name}: No such file")


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("", "is no JSON"),
        ("[]", "not one of atpn-export: it has no 'layout'"),
        ('{"layout": 2}', "is of layout 2; this version reads 1"),
        ('{"layout": 1, "sha256": 3}', "'sha256' and 'facts' are no objects"),
    ],
)
def test_note_of_another_make_is_refused(folder: Path, note: str, said: str) -> None:
    (folder / METADATA).write_text(note)
    refused(folder, said)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.ncnn"
    path.write_bytes(b"x")
    refused(path, "is no folder")
    refused(tmp_path / "none.ncnn", "is no folder")
    with pytest.raises(ArtifactError, match="does not exist"):
        identify(tmp_path / "none.ncnn")


def test_folder_of_another_network_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.ncnn"
    write_package(other, GOOD.replace("landmarks", "logits").encode(), WEIGHTS, {})
    with pytest.raises(ArtifactError, match="takes image and computes logits; expected image and"):
        NCNN_FP32.load(other, ONE)
    shutil.rmtree(folder)
    write_package(folder, GOOD.encode(), WEIGHTS[:-4], FACTS)
    with pytest.raises(ArtifactError, match=r"m\.ncnn: the weights are cut off"):
        NCNN_FP32.load(folder, ONE)
