"""Core ML's protobuf messages, taken from coremltools without loading its converters.

`import coremltools` takes seconds, loads every converter that is installed and writes to the
terminal; its generated message classes need protobuf alone.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

from atpn_deploy.errors import MissingToolError

#: The name under which the messages are loaded where coremltools itself is not.
ALIAS = "atpn_exporters_coreml_messages"


@cache
def model_class() -> Any:
    """The class of the message that a model.mlmodel holds, or raise MissingToolError."""
    if "coremltools.proto" in sys.modules:
        return sys.modules["coremltools.proto"].Model_pb2.Model
    found = importlib.util.find_spec("coremltools")
    if found is None or not found.submodule_search_locations:
        raise MissingToolError(
            "reading a .mlpackage needs coremltools: "
            "pip install -c constraints.txt 'atpn-deploy[coreml]'"
        )
    folder = Path(found.submodule_search_locations[0]) / "proto"
    spec = importlib.util.spec_from_file_location(
        ALIAS, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise MissingToolError(f"{folder} holds no Core ML messages; install coremltools 9.0 anew")
    module = importlib.util.module_from_spec(spec)
    sys.modules[ALIAS] = module
    spec.loader.exec_module(module)
    return importlib.import_module(f"{ALIAS}.Model_pb2").Model
