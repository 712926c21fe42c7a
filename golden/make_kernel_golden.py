"""Record what quantised files give on this machine's kernels: `make_kernel_golden.py FILE...`.

Run by hand after make_golden.py, on files that atpn-export has just made from the shipped weights.
A file that was recorded before on the same family of kernels is replaced.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from atpn_deploy.golden import load_inputs, read_manifest
from atpn_exporters.opening import identify
from atpn_exporters.session import SessionOptions
from atpn_exporters.verification import run_all

FOLDER = Path(__file__).parent


def main() -> None:
    """Run every file on the golden crops and store its outputs whole."""
    manifest = read_manifest(FOLDER)
    images = load_inputs(FOLDER).images
    entries = {entry["file"]: entry for entry in manifest["kernel_goldens"]}
    for path in map(Path, sys.argv[1:]):
        artifact = identify(path)
        with artifact.target.load(path, SessionOptions()) as session:
            outputs = run_all(session, images)
            family, runtime = session.kernel_family, session.runtime
        name = f"{artifact.metadata['model']}/{path.stem}.{family}.npz"
        np.savez_compressed(FOLDER / name, allow_pickle=False, **outputs)
        entries[name] = {
            "file": name,
            "artifact": path.name,
            "artifact_sha256": artifact.sha256,
            "family": family,
            "runtime": runtime,
        }
        manifest["sha256"][name] = hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()
    manifest["kernel_goldens"] = list(entries.values())
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
