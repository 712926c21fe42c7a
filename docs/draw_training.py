"""Draw docs/results/training-MODEL: the losses of the shipped weights' training.

Usage: python docs/draw_training.py
"""

from __future__ import annotations

from pathlib import Path

from atpn_deploy.config import CONFIGS
from atpn_deploy.evaluation.plots import save, training_curve
from atpn_deploy.evaluation.training_log import read_training_log
from atpn_deploy.weights import shipped


def main() -> None:
    """One picture a model."""
    folder = Path(__file__).parent / "results"
    for model in CONFIGS:
        log = shipped(model).path.with_suffix(".training.jsonl")
        save(training_curve(read_training_log(log)), folder, f"training-{model}")


if __name__ == "__main__":
    main()
