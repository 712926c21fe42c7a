"""Where a training stage stands: written so that a kill or a full disk never costs the last one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from atpn_deploy.errors import TrainingError
from atpn_deploy.model import ATPN
from atpn_deploy.training.average import AveragedWeights


@dataclass(frozen=True)
class RunState:
    """Network, optimiser and averaged weights of a stage: all that an exact resume needs."""

    model: ATPN
    optimiser: torch.optim.Optimizer
    average: AveragedWeights

    def set_rate(self, rate: float) -> None:
        """Let the next step use this learning rate."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def save(self, path: Path, step: int, plan: str, unreadable: Mapping[str, str]) -> None:
        """Write aside, then rename, so that `path` is whole at every moment.

        `plan` says what is trained; a run with another one is refused when it resumes. Raises
        TrainingError where the disk is full; what stood at `path` still stands.
        """
        tensors = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": torch.as_tensor(v) for name, v in state.items()}
        tensors |= {f"average.{i}": tensor for i, tensor in enumerate(self.average.tensors)}
        whole = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        skipped = json.dumps(dict(unreadable), sort_keys=True)
        metadata = {"step": str(step), "plan": plan, "unreadable": skipped}
        write_whole(path, lambda aside: save_file(whole, aside, metadata=metadata))

    def restore(self, path: Path, plan: str) -> tuple[int, dict[str, str]]:
        """Load what `save` wrote; return the next step and the faces that could not be read.

        Only what the stage trains is loaded: the rest of the network may have been trained since.
        """
        try:
            with safe_open(path, "pt") as archive:
                metadata = archive.metadata() or {}
            tensors = load_file(path)
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"{path} can't be read ({error}); remove it to start this stage anew"
            ) from error
        if "plan" not in metadata:
            raise TrainingError(f"{path} holds no training that could go on; remove it")
        if metadata["plan"] != plan:
            raise TrainingError(
                f"{path} was trained with other settings: "
                f"{_differences(json.loads(metadata['plan']), json.loads(plan))}; give those, or "
                "another output folder"
            )
        self._load_trained(path, _under("model.", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("adam.", tensors).items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        for place, tensor in enumerate(self.average.tensors):
            tensor.copy_(tensors[f"average.{place}"])
        return int(metadata["step"]), json.loads(metadata.get("unreadable", "{}"))

    def _load_trained(self, path: Path, saved: dict[str, Tensor]) -> None:
        """Load the modules that are trained; TrainingError where those below them have changed."""
        learning = {n.split(".")[0]: p.requires_grad for n, p in self.model.named_parameters()}
        own = self.model.state_dict()
        for name in _below(own) if not learning["alignment"] else ():
            if not torch.equal(own[name].cpu(), saved[name]):
                raise TrainingError(
                    f"{path} was trained on another backbone than is given now ({name} differs); "
                    "remove it to train this stage anew"
                )
        trained = {n: t for n, t in saved.items() if learning.get(n.split(".")[0], False)}
        self.model.load_state_dict(own | trained)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path` and put it in its place when it is on the disk.

    TrainingError where that fails; then nothing is left of it, and `path` is what it was.
    """
    aside = path.with_name(path.name + ".partial")
    try:
        write(aside)
        with aside.open("rb+") as file:
            os.fsync(file.fileno())  # a rename may reach the disk before what it names
        aside.replace(path)
    except (OSError, SafetensorError) as error:
        kept = "the one before is still there" if path.exists() else "there is none yet"
        raise TrainingError(
            f"{path} could not be written ({error}); {kept}; make room and start the same command "
            "again"
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def _below(names: Mapping[str, Tensor]) -> list[str]:
    """Weights that tracking and pose stand on.

    Without batch norms, whose statistics depend on the machine in their last bits.
    """
    parts = ("low.", "high.", "alignment.")
    return [n for n, t in names.items() if n.startswith(parts) and t.dim() > 1]


def _differences(was: dict[str, Any], now: dict[str, Any], within: str = "") -> str:
    """Which settings differ: `stage.samples 640 there, 320 here`."""
    found = []
    for key in sorted({*was, *now}):
        one, other = was.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict) and one != other:
            found.append(_differences(one, other, f"{within}{key}."))
        elif one != other:
            found.append(f"{within}{key} {one} there, {other} here")
    return ", ".join(found)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
