"""Two runs as a workstation and a phone would give them, with every state a row can have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from atpn_benchmarks.latency import Rules, summarise
from atpn_benchmarks.results import (
    SCHEMA,
    Conditions,
    Cost,
    Delegation,
    Drift,
    Fraction,
    Machine,
    OperatorTime,
    Peaks,
    Row,
    Run,
    Settings,
    Timing,
)

ROUNDS, BURST = 26, 8
RULES = Rules(samples=150, seconds=0.05)
PEAKS = Peaks(
    52e9,
    210e9,
    88e9,
    21e9,
    {
        "fp32_macs_per_s": "a 3x3 convolution, 64 to 64 channels, on ONNX Runtime",
        "int8_macs_per_s": "the same in int8 on LiteRT",
        "cache_bytes_per_s": "np.add over 512 kB",
        "memory_bytes_per_s": "np.copyto over 256 MB",
    },
)
#: Multiply-adds, parameters and bytes moved in float, of each network and signature.
COSTS = {
    ("atpn-lite", "full"): (93.4e6, 0.97e6, 12.1e6),
    ("atpn-lite", "align"): (59.8e6, 0.72e6, 7.9e6),
    ("atpn", "full"): (94.1e6, 1.49e6, 14.6e6),
    ("atpn", "align"): (60.0e6, 1.10e6, 9.5e6),
}
#: target, title, size in MB, p50 in ms, drift in px, whether its multiply-adds are int8.
LITE = (
    ("tflite-fp32", "TFLite fp32", 3.866, 3.19, 8.4e-5, False),
    ("tflite-fp16", "TFLite fp16", 2.029, 3.21, 0.0083, False),
    ("tflite-dynamic-int8", "TFLite dynamic int8", 1.224, 2.41, 0.101, True),
    ("tflite-int8", "TFLite int8", 1.262, 1.79, 0.157, True),
    ("tflite-full-int8", "TFLite full int8", 1.271, 1.98, 0.237, True),
    ("onnx-fp32", "ONNX fp32", 3.876, 3.62, 5.4e-5, False),
    ("onnx-fp16", "ONNX fp16", 2.083, 4.41, 0.0074, False),
    ("onnx-int8", "ONNX int8", 1.712, 2.34, 0.144, True),
    ("executorch-fp32", "ExecuTorch fp32", 3.903, 3.25, 3.1e-5, False),
    ("executorch-int8", "ExecuTorch int8", 1.629, 1.86, 0.153, True),
    ("ncnn-fp32", "ncnn fp32", 3.840, 2.95, 3.5e-5, False),
)
FULL = (
    ("tflite-fp32", "TFLite fp32", 6.044, 3.52, 3.0e-5, False),
    ("tflite-int8", "TFLite int8", 2.017, 2.11, 0.335, True),
    ("onnx-fp32", "ONNX fp32", 6.059, 3.88, 3.1e-5, False),
    ("onnx-int8", "ONNX int8", 2.721, 3.14, 0.311, True),
)
#: name, title, runtime, size in MB, p50 in ms, multiply-adds.
PEERS = (
    ("mediapipe_face_landmark.tflite", "MediaPipe face_landmark", "LiteRT", 1.242, 1.71, 35.0e6),
    ("pfld_ghostone_98.onnx", "PFLD_GhostOne 98", "ONNX Runtime", 2.839, 2.88, 74.9e6),
    ("faceland98.tflite", "faceland98", "LiteRT", 0.515, 0.33, 9.06e6),
    ("openseeface_lm_model0.onnx", "OpenSeeFace lm0", "ONNX Runtime", 1.903, 7.05, 126.7e6),
    ("3ddfa_v2_mb05.tflite", "3DDFA_V2 mb0.5", "LiteRT", 3.435, 1.12, 46.5e6),
)


def timing(p50_s: float, threads: int, seed: int, *, noise: float = 0.012, rounds: int = ROUNDS):
    """Samples in rounds that are each a little slower or faster, one in twelve preempted."""
    rng = np.random.default_rng(seed)
    each = np.repeat(rng.normal(1, noise, rounds), BURST)
    cpu_s = p50_s * each * rng.lognormal(0, 0.01, rounds * BURST)
    wall_s = cpu_s * (1.004 + rng.exponential(0.004, rounds * BURST))
    wall_s[rng.random(len(wall_s)) < 1 / 12] *= 1.8
    cpu_s *= threads**0.2  # several threads take more processor time in all
    summary = summarise(wall_s, cpu_s, threads=threads, burst=BURST, rules=RULES)
    return Timing(
        threads,
        0.012 + 4 * p50_s,
        3.1 * p50_s,
        int(61e6 + 4e9 * p50_s),
        int(52e6),
        BURST,
        tuple(wall_s.tolist()),
        tuple(cpu_s.tolist()),
        summary,
    )


def drifts(px: float) -> tuple[Drift, ...]:
    """Landmarks, pose and confidence; float files are judged by their worst value."""
    if px < 0.05:
        fine = px < 1e-3
        return (
            Drift("landmarks", "max", "faces", px, 1e-4 if fine else 0.05, "px"),
            Drift("pose", "max", "faces", px * 2, 1e-3 if fine else 0.2, "degree"),
        )
    return (
        Drift("landmarks", "mean", "faces", px, 0.5, "px"),
        Drift("landmarks", "mean", "faces", px * 3.3, 1.5, "% inter-ocular"),
        Drift("pose", "mean", "faces", px * 1.8, 1.5, "degree"),
        Drift("confidence", "max", "all", 4.4e-5, 0.1, "probability"),
    )


def operators(p50_s: float, seed: int) -> tuple[OperatorTime, ...]:
    """Some forty operators whose times add up to about `p50_s`."""
    rng = np.random.default_rng(seed)
    parts = ("low", "mid", "high", "neck", "multiview", "alignment", "pose", "tracking")
    names = [f"{part}.{part}.{n}.{what}" for part in parts for n in (0, 1) for what in ("expand",)]
    names += [f"{part}.rows.{n}.depthwise.conv" for part in parts for n in (0, 1, 2)]
    shares = rng.dirichlet(np.full(len(names) + 1, 0.7))
    found = [
        OperatorTime(
            f"{name}/Conv",
            "Convolution (NHWC, F32) IGEMM" if n % 3 else "Depthwise",
            name,
            True,
            float(share * p50_s),
            int(share * 90e6),
        )
        for n, (name, share) in enumerate(zip(names, shares, strict=False))
    ]
    return (*found, OperatorTime("heat map", "RSQRT", "", False, float(shares[-1] * p50_s), 0))


def own_row(model: str, signature: str, spec: Sequence[object], scale: float, seed: int) -> Row:
    """A timed file of ours; `scale` is how much slower the machine is."""
    target, title, size_mb, p50_ms, px, int8 = spec
    share = COSTS[model, signature][0] / COSTS[model, "full"][0]
    p50_s = p50_ms * 1e-3 * scale * share
    macs, parameters, moved = COSTS[model, signature]
    moved *= 0.3 if int8 else 1.0
    peak = PEAKS.int8_macs_per_s if int8 else PEAKS.fp32_macs_per_s
    limit = max(macs / peak, moved / PEAKS.cache_bytes_per_s)
    extra = "" if signature == "full" else "-align"
    suffix = str(target).split("-")[0].replace("executorch", "pte")
    lite = suffix in ("tflite", "pte")
    partitions = 3 if target == "tflite-full-int8" else 1
    left = {"MAXIMUM": 1, "RSQRT": 1, "SQRT": 1} if partitions == 3 else {}
    return Row(
        name=f"{model}{extra}-{str(target).split('-', 1)[1]}.{suffix}",
        title=f"{model} {title}" + (" align" if extra else ""),
        target=str(target),
        model=model,
        signature=signature,
        peer=False,
        state="timed",
        sha256="0e01c917" * 8,
        size_bytes=int(size_mb * 1e6 * share),
        runtime={"tflite": "LiteRT 2.3.0", "onnx": "ONNX Runtime 1.32.0"}.get(suffix, suffix),
        kernel_family="litert-xnnpack" if lite else f"{suffix}-x86_64",
        drift=drifts(px),
        delegation=Delegation(partitions, 144, left, 0) if lite else None,
        cost=Cost(int(parameters), int(macs), int(size_mb * 1e6), 903_168, int(moved), {})
        if not int8
        else Cost(
            int(parameters), int(macs), 1_200_000, 250_000, int(moved), {"RSQRT": 1}, int(macs)
        ),
        timings=(timing(p50_s, 1, seed), timing(p50_s * 0.62, 2, seed + 1)),
        fraction=Fraction(limit, limit / p50_s, "compute"),
        operators=operators(p50_s, seed) if suffix in ("tflite", "onnx") else (),
    )


def peer_row(spec: Sequence[object], scale: float, seed: int) -> Row:
    """A timed file of others."""
    name, title, runtime, size_mb, p50_ms, macs = spec
    p50_s = p50_ms * 1e-3 * scale
    limit = macs / PEAKS.fp32_macs_per_s
    return Row(
        name=str(name),
        title=str(title),
        target="",
        model=str(name).split(".")[0],
        signature="",
        peer=True,
        state="timed",
        size_bytes=int(size_mb * 1e6),
        runtime=f"{runtime} {'2.3.0' if runtime == 'LiteRT' else '1.32.0'}",
        cost=Cost(int(size_mb * 2.4e5), int(macs), int(size_mb * 1e6), 500_000, int(macs / 7), {}),
        timings=(timing(p50_s, 1, seed), timing(p50_s * 0.66, 2, seed + 1)),
        fraction=Fraction(limit, limit / p50_s, "compute"),
    )


def odd_rows(scale: float) -> tuple[Row, ...]:
    """One of every state but "timed"."""
    spec = ("tflite-int16x8", "TFLite int16x8", 1.329, 9.8, 0.097, True)
    wild = timing(9.8e-3 * scale, 1, 900, noise=0.3)
    invalid = replace(
        own_row("atpn-lite", "full", spec, scale, 900),
        state="invalid",
        reason="; ".join(wild.summary.broken),
        timings=(wild,),
        operators=(),
        fraction=None,
    )
    spec = ("ncnn-fp16", "ncnn fp16", 1.994, 3.05, 0.0083, False)
    lost = own_row("atpn-lite", "full", spec, scale, 910)
    partial = replace(
        lost,
        state="partial",
        reason="the connection to the device was lost after 6 of 26 rounds",
        timings=(timing(3.05e-3 * scale, 1, 911, rounds=6),),
    )
    off = replace(
        lost,
        name="mine-int8.onnx",
        title="mine ONNX int8",
        target="onnx-int8",
        model="mine",
        state="not timed",
        reason="landmarks is off by 7.71 px (limit 0.5, mean over faces)",
        drift=(Drift("landmarks", "mean", "faces", 7.71, 0.5, "px"),),
        timings=(),
        fraction=None,
        cost=None,
    )
    absent = Row(
        "atpn-lite-fp16.mlpackage",
        "atpn-lite Core ML fp16",
        "coreml-fp16",
        "atpn-lite",
        "full",
        False,
        "not run",
        "needs macOS: the reference evaluator says nothing of latency",
    )
    broken = Row(
        "broken.tflite",
        "broken.tflite",
        "",
        "broken",
        "",
        True,
        "failed",
        "LiteRT cannot open it: the file is no TFLite flatbuffer",
        size_bytes=1024,
    )
    return invalid, partial, off, absent, broken


def made(device: str, machine: Machine, scale: float, seed: int, peaks: Peaks | None) -> Run:
    """A run of every file and peer on one machine."""
    specs = [("atpn-lite", "full", spec) for spec in LITE]
    specs += [("atpn-lite", "align", spec) for spec in (LITE[0], LITE[3], LITE[5])]
    specs += [("atpn", "full", spec) for spec in FULL]
    specs += [("atpn", "align", spec) for spec in FULL[:2]]
    rows = [own_row(*spec, scale, seed + 10 * n) for n, spec in enumerate(specs)]
    rows += [peer_row(spec, scale, seed + 500 + 10 * n) for n, spec in enumerate(PEERS)]
    return Run(
        SCHEMA,
        f"20261123T050102Z-{seed:04x}",
        "2026-11-23T05:01:02+00:00",
        412.6,
        device,
        "0.1.0",
        machine,
        Settings((1, 2), (1, 0), 20, 200, 1.0, 7),
        Conditions("performance", 3.7e9, 51.0),
        Conditions("performance", 3.65e9, 58.5),
        0.31,
        4.1e-7,
        (*rows, *odd_rows(scale)),
        peaks,
        ("1 peer does not load: broken.tflite",),
    )


@pytest.fixture(scope="session")
def run() -> Run:
    """A workstation: every kind of row, two thread counts, operators, peaks."""
    machine = Machine(
        "AMD EPYC 9R45",
        "x86_64",
        2,
        16_500_000_000,
        ("avx2", "avx512f", "avx512_vnni", "fma"),
        "Linux 6.1.0",
        "glibc 2.36",
        "3.11.7",
    )
    return made("local", machine, 1.0, 40, PEAKS)


@pytest.fixture(scope="session")
def phone() -> Run:
    """A board by ssh: about three times as slow, little known about it, no peaks."""
    machine = Machine(
        "Cortex-A76", "aarch64", 4, 8_200_000_000, ("asimddp",), "Linux 6.6.20", "", "3.11.2"
    )
    whole = made("ssh:pi@board", machine, 2.9, 6000, None)
    rows = tuple(replace(row, fraction=None, operators=()) for row in whole.rows)
    unknown = Conditions("", None, None)
    return replace(whole, rows=rows, before=unknown, after=unknown, competing_load=None)
