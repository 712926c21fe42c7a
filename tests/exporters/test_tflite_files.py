"""Real files: one conversion of the shipped atpn-lite, then every scheme of it."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.errors import ArtifactError, CalibrationError, UnsupportedError
from atpn_deploy.golden import load_inputs
from atpn_deploy.parity import compare
from atpn_deploy.weights import shipped
from atpn_exporters import tflite_backend
from atpn_exporters.session import SessionOptions
from atpn_exporters.target import ExportJob
from atpn_exporters.tracing import is_within

pytest.importorskip("torch")
pytest.importorskip("litert_torch", reason="needs litert-torch")
pytest.importorskip("ai_edge_quantizer", reason="needs ai-edge-quantizer")

TARGETS = {
    target.quantization: target
    for target in (
        tflite_backend.TFLITE_FP32,
        tflite_backend.TFLITE_FP16,
        tflite_backend.TFLITE_DYNAMIC_INT8,
        tflite_backend.TFLITE_INT8,
        tflite_backend.TFLITE_FULL_INT8,
        tflite_backend.TFLITE_INT16X8,
    )
}
FACTS = {"name": "ATPN", "license": "Apache-2.0", "contract": {"version": 1}, "ä": "é"}


@dataclass(frozen=True)
class Made:
    """What one export of every scheme left."""

    model: object
    crops: np.ndarray
    faces: np.ndarray  # which of them show one
    workspace: Path
    job: ExportJob
    paths: dict[str, Path]


@pytest.fixture(scope="module")
def made(tflite_workspace) -> Made:
    from atpn_exporters.tflite_convert import float_file
    from atpn_exporters.tflite_quantize import collect_ranges

    # Trained weights: random ones amplify rounding beyond the limits of float files.
    model = shipped("atpn-lite").load()
    inputs = load_inputs()
    crops = inputs.images
    workspace = tflite_workspace
    source = float_file(model, "both", workspace)
    ranges = {name: collect_ranges(source, crops[::2], name) for name in ("align", "full")}
    job = ExportJob(model, "both", FACTS, workspace, ranges)
    paths = {}
    for name, target in TARGETS.items():
        paths[name] = workspace / f"{name}.tflite"
        target.export(job, paths[name])
    return Made(model, crops, inputs.faces, workspace, job, paths)


def outputs(made: Made, path: Path, signature: str = "full") -> dict[str, np.ndarray]:
    with tflite_backend.TFLITE_FP32.load(path, SessionOptions(signature=signature)) as session:
        rows = [session.run({"image": crop}) for crop in made.crops]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def reference(made: Made) -> dict[str, np.ndarray]:
    from atpn_deploy.weights import predictor

    return predictor(copy.deepcopy(made.model).double())(made.crops)


@pytest.mark.parametrize("signature", ["align", "full"])
def test_float_file_equals_the_network(made, signature):
    actual = outputs(made, made.paths["fp32"], signature)
    names = {"align": {"landmarks"}, "full": {"landmarks", "pose", "confidence"}}
    assert set(actual) == names[signature]
    limits = TARGETS["fp32"].limits
    rows = compare(actual, reference(made), limits, np.ones(len(made.crops), bool))
    assert [row for row in rows if not row.ok] == []


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "fp32"])
def test_quantised_file_follows_the_network(made, name):
    actual, expected = outputs(made, made.paths[name]), reference(made)
    apart = 112 * np.linalg.norm(actual["landmarks"] - expected["landmarks"], axis=-1)
    off = apart[made.faces]  # what a blank crop's points are is no one's concern
    assert 0 < off.mean() < {"fp16": 0.05, "full-int8": 0.8}.get(name, 0.5)
    # It answers to the image: a file that always says the same correlates with nothing.
    moved = [values["landmarks"] - values["landmarks"].mean(0) for values in (actual, expected)]
    assert np.corrcoef(moved[0].ravel(), moved[1].ravel())[0, 1] > 0.6
    assert np.abs(actual["confidence"] - expected["confidence"]).max() < 0.1


def test_two_signatures_share_weights_and_agree(made):
    for name in ("fp32", "int8"):
        path = made.paths[name]
        np.testing.assert_array_equal(
            outputs(made, path, "align")["landmarks"], outputs(made, path)["landmarks"]
        )
    weights = sum(p.numel() for p in made.model.parameters())
    assert made.paths["int8"].stat().st_size < 2 * weights
    assert made.paths["fp32"].stat().st_size < 1.4 * 4 * weights


#: Largest difference that another order of float sums makes, by output: fraction, radian,
#: probability. Integers are equal.
ROUNDING = {"landmarks": 1e-6, "pose": 1e-6, "confidence": 1e-6}


@pytest.mark.parametrize("name", ["fp32", "fp16", "int8", "full-int8"])
def test_fast_forms_change_rounding_at_most(made, name, monkeypatch):
    from atpn_exporters import tflite_quantize
    from atpn_exporters.tflite_graph import inspect

    fast = made.paths[name]
    forms = {"TRANSPOSE_CONV": 0, "DEPTH_TO_SPACE": 4, "SUM": 0 if name == "full-int8" else 4}
    found = inspect(fast).operators
    assert {kind: found.get(kind, 0) for kind in forms} == forms
    monkeypatch.setattr(tflite_quantize, "use_fast_forms", lambda model: None)
    slow = made.workspace / f"slow-{name}.tflite"
    TARGETS[name].export(made.job, slow)
    assert "TRANSPOSE_CONV" in inspect(slow).operators
    limits = dict.fromkeys(ROUNDING, 0.0) if name == "full-int8" else ROUNDING
    for signature in ("align", "full"):
        before = outputs(made, slow, signature)
        for output, values in outputs(made, fast, signature).items():
            assert np.abs(values - before[output]).max() <= limits[output]


def test_a_recipe_leaves_whole_modules_in_float(made):
    from atpn_exporters.module_names import called_names_of
    from atpn_exporters.tflite_flatbuffer import read_model
    from atpn_exporters.tflite_graph import graphs, in_float
    from atpn_exporters.tflite_recipe import planned

    path = made.workspace / "recipe.tflite"
    modules = ("alignment.neck", "alignment.coord.0", "low.low.1")
    TARGETS["int8"].export(replace(made.job, float_modules=modules), path)
    called = called_names_of(made.model)
    for graph in graphs(read_model(path)):
        plan = planned(graph, called)
        parts = [m for m in called if any(is_within(m, module) for module in modules)]
        pairs = zip(plan, graph.operators, strict=True)
        float_ = {p.module for p, op in pairs if in_float(graph, op)}
        # A ReLU that is part of a convolution names it: `clip` behind a CoordConv's.
        named = [p.module for p in plan if p.module in parts]
        layers = [module for module in named if module.endswith(("conv", "clip"))]
        assert len(layers) > 6
        assert set(layers) <= float_
        assert not {"alignment.coord.1.conv", "alignment.coord.1.clip"} & float_
    plain = TARGETS["int8"].inspect(made.paths["int8"])
    left = TARGETS["int8"].inspect(path)
    assert left.float_operators["CONV_2D"] > plain.float_operators.get("CONV_2D", 0)
    assert left.partitions == 1


def test_graph_is_what_the_scheme_says(made):
    facts = {name: TARGETS[name].inspect(path) for name, path in made.paths.items()}
    assert all(fact.transposes <= 2 for fact in facts.values())
    assert facts["full-int8"].float_operators == {}
    assert facts["int16x8"].float_operators == {}
    assert "CONV_2D" not in facts["int8"].float_operators
    assert facts["int8"].float_operators["TANH"] == 1
    assert facts["fp32"].partitions == facts["int8"].partitions == 1
    assert facts["int8"].undelegated == {}
    assert facts["full-int8"].undelegated == {"MAXIMUM": 1, "RSQRT": 1, "SQRT": 1}
    assert facts["int16x8"].partitions == 0
    assert facts["fp16"].scheme.startswith("weights float16; activations float32")
    assert facts["int8"].scheme.startswith("weights int8 per channel")


def test_bytes_go_in_with_a_step_of_one(made):
    from ai_edge_litert.interpreter import Interpreter

    for name in ("int8", "full-int8"):
        runner = Interpreter(str(made.paths[name])).get_signature_runner("full")
        details = runner.get_input_details()["image"]
        assert (details["dtype"], details["quantization"]) == (np.int8, (1.0, -128))
        kinds = {details["dtype"] for details in runner.get_output_details().values()}
        assert kinds == ({np.int8} if name == "full-int8" else {np.float32})


def test_steps_are_those_of_integer_outputs_only(made):
    for name, path in made.paths.items():
        with TARGETS[name].load(path, SessionOptions()) as session:
            integer = name in ("full-int8", "int16x8")
            assert set(session.steps) == (set(session.output_names) if integer else set())
            assert session.output_names == ("landmarks", "pose", "confidence")
            kernels = "builtin" if name == "int16x8" else "xnnpack"
            assert session.kernel_family == f"litert-{kernels}"


def test_same_ranges_give_the_same_bytes_in_another_process(made, tmp_path):
    from atpn_exporters.tflite_convert import float_file
    from atpn_exporters.tflite_quantize import quantize

    source = float_file(made.model, "both", made.workspace)  # cached: no second conversion
    (tmp_path / "ranges.json").write_text(json.dumps(made.job.ranges))
    program = (
        "import json, sys; from pathlib import Path\n"
        "from atpn_exporters.tflite_quantize import quantize\n"
        "ranges = json.loads(Path(sys.argv[2]).read_text())\n"
        "Path(sys.argv[3]).write_bytes(quantize(Path(sys.argv[1]), 'int8', ranges))\n"
    )
    other = tmp_path / "other.tflite"
    subprocess.run(
        [sys.executable, "-c", program, str(source), str(tmp_path / "ranges.json"), str(other)],
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "1", "PATH": "/usr/bin"},
        capture_output=True,
    )
    assert other.read_bytes() == quantize(source, "int8", made.job.ranges)


def test_ranges_are_the_extremes_over_all_crops(made):
    from atpn_exporters.tflite_convert import float_file
    from atpn_exporters.tflite_quantize import collect_ranges

    source = float_file(made.model, "both", made.workspace)
    told = []
    each = [collect_ranges(source, made.crops[i : i + 1], "align") for i in range(3)]
    together = collect_ranges(
        source, made.crops[:3], "align", lambda done, count: told.append((done, count))
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    for name, (low, high) in together.items():
        assert low == min(ranges[name][0] for ranges in each)
        assert high == max(ranges[name][1] for ranges in each)
    assert len(together) > 60


@pytest.mark.parametrize("spoil", ["missing", "nan", "swapped"])
def test_ranges_of_another_network_are_refused(made, spoil):
    from atpn_exporters.tflite_convert import float_file
    from atpn_exporters.tflite_quantize import quantize

    ranges = {name: dict(values) for name, values in made.job.ranges.items()}
    name = next(iter(ranges["full"]))
    if spoil == "missing":
        del ranges["full"][name]
    else:
        ranges["full"][name] = (float("nan"), 1.0) if spoil == "nan" else (1.0, 0.0)
    with pytest.raises(CalibrationError, match="--calibration DIR"):
        quantize(float_file(made.model, "both", made.workspace), "int8", ranges)


def test_unknown_scheme_is_refused(made):
    from atpn_exporters.tflite_quantize import quantize

    with pytest.raises(UnsupportedError, match="'int4'; choose one of fp32"):
        quantize(made.paths["fp32"], "int4", {})


def test_facts_come_back_with_the_standard_library_alone(made):
    for name, path in made.paths.items():
        assert TARGETS[name].read_metadata(path) == FACTS
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist() == ["atpn.json"]
            assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_table_of_the_convention_names_the_associated_file(made):
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(made.paths["int8"]))
    entry = next(e for e in model.metadata if e.name == b"TFLITE_METADATA")
    table = bytes(model.buffers[entry.buffer].data)
    assert table[4:8] == b"M001"
    for text in (b"atpn.json", b"Apache-2.0", b"ATPN"):
        assert text in table


def test_constants_lie_aligned_inside_the_flatbuffer(made):
    from atpn_exporters.tflite_flatbuffer import unpack

    content = made.paths["int8"].read_bytes()
    sizes = [b.data for b in unpack(content).buffers if b.data is not None and len(b.data) > 5000]
    assert len(sizes) > 10
    assert all(content.find(bytes(data)) % 16 == 0 for data in sizes)


@pytest.mark.parametrize("kept", [0.0, 0.0001, 0.3, 0.9, 0.999])
def test_cut_off_file_is_refused_before_a_runtime_sees_it(made, tmp_path, kept):
    content = made.paths["int8"].read_bytes()
    path = tmp_path / "cut.tflite"
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ArtifactError):
        TARGETS["int8"].read_metadata(path)
    if kept < 0.99:  # the last bytes are the zipped facts, which no runtime reads
        with pytest.raises(ArtifactError, match=r"cut\.tflite"):
            TARGETS["int8"].load(path, SessionOptions())


def test_file_without_facts_has_none(made, tmp_path):
    from atpn_exporters.tflite_convert import float_file

    assert TARGETS["fp32"].read_metadata(float_file(made.model, "both", made.workspace)) == {}


@pytest.mark.parametrize("name", ["fp32", "int8", "int16x8"])
@pytest.mark.parametrize("signature", ["align", "full"])
def test_bytes_and_floats_with_or_without_batch_axis_are_one_image(made, name, signature):
    crop = made.crops[0]
    with TARGETS[name].load(made.paths[name], SessionOptions(signature=signature)) as session:
        ways = [crop, crop[None], crop.astype(np.float32), crop[None].astype(np.float64)]
        runs = [session.run({"image": image}) for image in ways]
        with pytest.raises(ValueError, match="image has shape"):
            session.run({"image": crop[:100]})
    for run in runs[1:]:
        for output, values in run.items():
            np.testing.assert_array_equal(values, runs[0][output])


def test_signature_that_a_file_lacks_is_refused(made):
    with pytest.raises(ArtifactError, match="no signature 'pose'; it has align, full"):
        TARGETS["fp32"].load(made.paths["fp32"], SessionOptions(signature="pose"))


def test_custom_operator_is_refused(made, tmp_path):
    from ai_edge_litert import schema_py_generated as schema

    from atpn_deploy.errors import ExportError
    from atpn_exporters.tflite_flatbuffer import pack, read_model
    from atpn_exporters.tflite_graph import refuse_foreign_operators

    refuse_foreign_operators(made.paths["fp32"])
    model = read_model(made.paths["fp32"])
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"FlexErf"
    path = tmp_path / "flex.tflite"
    path.write_bytes(pack(model))
    with pytest.raises(ExportError, match="FlexErf"):
        refuse_foreign_operators(path)


def test_faint_constant_does_not_break_the_graph(made, tmp_path):
    """A coordinate map of 1e-5 beside activations of 1 kept XNNPACK from taking its ADD."""
    from atpn_exporters.tflite_convert import float_file
    from atpn_exporters.tflite_flatbuffer import pack, read_model
    from atpn_exporters.tflite_graph import graphs, inspect
    from atpn_exporters.tflite_quantize import quantize

    model = read_model(float_file(made.model, "both", made.workspace))
    faint = 0
    for graph in graphs(model):
        for op in graph.operators:
            for index in op.inputs if op.kind == "ADD" else ():
                tensor = graph.tensors[index]
                if tensor.constant and tensor.shape == (1, 7, 7, 160):
                    subgraph = model.subgraphs[0 if graph.signature == "align" else 1]
                    buffer = model.buffers[subgraph.tensors[index].buffer]
                    values = np.frombuffer(bytes(buffer.data), np.float32)
                    buffer.data = np.frombuffer((values * 1e-6).tobytes(), np.uint8)
                    faint += 1
    source, path = tmp_path / "faint.tflite", tmp_path / "int8.tflite"
    source.write_bytes(pack(model))
    path.write_bytes(quantize(source, "int8", made.job.ranges))
    assert faint == 6
    assert inspect(path).undelegated == {}


def test_nothing_is_printed(made, capfd):
    from atpn_exporters.tflite_convert import float_file
    from atpn_exporters.tflite_quantize import collect_ranges, quantize

    source = float_file(made.model, "both", made.workspace)
    collect_ranges(source, made.crops[:1], "full")
    quantize(source, "int8", made.job.ranges)
    TARGETS["int8"].inspect(made.paths["int8"])
    outputs(made, made.paths["int8"])
    assert capfd.readouterr() == ("", "")
