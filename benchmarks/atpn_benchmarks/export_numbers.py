"""`python -m atpn_benchmarks.export_numbers`: what exporting costs and what it does to accuracy.

Prints one JSON object; docs/measurements.md quotes it.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from atpn_deploy.cli.shell import main_of
from atpn_deploy.contract import CROP_SIDE
from atpn_deploy.metrics import inter_ocular, normalised_mean_error, pose_error_deg

app = typer.Typer(add_completion=False, rich_markup_mode=None)

MODELS = ("atpn-lite", "atpn")


@app.command()
def numbers(
    data: Annotated[
        Path | None, typer.Option(help="folder that holds wflw_dev, for drift and NME")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="time all variants of one model too")
    ] = False,
) -> None:
    """Time the commands, export both models' int8 files, compare speed and accuracy."""
    found: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        for option in ("--help", "--list"):
            found[f"atpn-export {option}"] = statistics.median(
                run_command(["atpn-export", option])["wall_s"] for _ in range(5)
            )
        for model in MODELS:
            for signature in ("full", "align"):
                command = f"atpn-export --format tflite --quantize int8 --model {model}"
                command += f" --signature {signature} --output {out}"
                found[f"{model} {signature}"] = run_command(command.split())
                found[f"{model} {signature}"]["speed"] = _speed(out, model, signature)
            if data is not None:
                found[f"{model} int8 on wflw_dev"] = drift(out / f"{model}-int8.tflite", data)
        if everything:
            command = f"atpn-export --format all --quantize all --output {out / 'all'}"
            found["atpn-export --format all --quantize all"] = run_command(command.split())
    typer.echo(json.dumps(found, indent=2))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def run_command(command: list[str]) -> dict[str, float]:
    """Wall seconds and the largest resident memory of any one process of a command."""
    executable = Path(sys.executable).parent / command[0]
    started = time.perf_counter()
    peak, errors = 0, ""
    with tempfile.TemporaryFile("w+") as log:
        with subprocess.Popen(
            [str(executable), *command[1:]], stdout=subprocess.DEVNULL, stderr=log
        ) as process:
            while process.poll() is None:
                peak = max(peak, _resident(process.pid))
                time.sleep(0.02)
        wall = time.perf_counter() - started
        log.seek(0)
        errors = log.read().strip()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {errors[-500:]}")
    return {"wall_s": round(wall, 3), "peak_resident_mb": round(peak / 2**20)}


def _resident(pid: int) -> int:
    """Resident bytes of a process and its children together."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_resident(int(child)) for child in children)


def _speed(folder: Path, model: str, signature: str) -> dict[str, Any]:
    """The verdict that the export itself measured."""
    part = "" if signature == "full" else f"-{signature}"
    report = json.loads((folder / f"{model}{part}-int8.tflite.json").read_text())
    return {
        "ratio": round(report["speed"]["ratio"], 3),
        "interval_95": [round(v, 3) for v in report["speed"]["interval_95"]],
        "partitions": report["xnnpack_partitions"],
    }


def drift(path: Path, data: Path) -> dict[str, float]:
    """How far a file is from the reference on the development faces, and what that does to NME."""
    from atpn_deploy.datasets import packs
    from atpn_deploy.evaluation.views import Crops
    from atpn_deploy.weights import predictor, shipped
    from atpn_exporters.opening import identify
    from atpn_exporters.session import SessionOptions
    from atpn_exporters.verification import run_all

    faces = packs.wflw_dev(data)
    cut = Crops(faces.images, faces.boxes)
    crops = np.stack([cut[i] for i in range(len(cut))])
    points = np.stack(
        [square.from_image(p) for square, p in zip(cut.squares, faces.points, strict=True)]
    ).astype(np.float32)
    artifact = identify(path)
    reference = predictor(shipped(str(artifact.metadata["model"])).load())(crops)
    with artifact.target.load(path, SessionOptions()) as session:
        actual = run_all(session, crops)
    distance = np.linalg.norm(actual["landmarks"] - reference["landmarks"], axis=-1)  # (N, 98)
    ocular = inter_ocular(reference["landmarks"])
    before = 100 * normalised_mean_error(reference["landmarks"], points).mean()
    after = 100 * normalised_mean_error(actual["landmarks"], points).mean()
    return _rounded(
        {
            "faces": len(crops),
            "landmark_drift_px": CROP_SIDE * distance.mean(),
            "landmark_drift_percent_inter_ocular": 100 * (distance / ocular[:, None]).mean(),
            "pose_drift_deg": pose_error_deg(actual["pose"], reference["pose"]).mean(),
            "confidence_drift": np.abs(actual["confidence"] - reference["confidence"]).mean(),
            "nme_percent_reference": before,
            "nme_percent_file": after,
            "nme_rise_percent": 100 * (after / before - 1),
        }
    )


def _rounded(values: dict[str, Any]) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in values.items()}


main = main_of(app)

if __name__ == "__main__":
    main()
