from __future__ import annotations

from pathlib import Path

import pytest

from atpn_deploy.contract import OUTPUTS
from atpn_deploy.errors import ArtifactError
from atpn_exporters.opening import identify, open_file
from atpn_exporters.registry import TARGETS, float_twin
from atpn_exporters.session import SessionOptions
from atpn_exporters.target import Target


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_every_target_limits_every_output_with_a_reason(target: Target) -> None:
    assert {limit.output for limit in target.limits} == {spec.name for spec in OUTPUTS}
    assert all(len(limit.reason) > 10 and limit.value > 0 for limit in target.limits)


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_name_is_format_and_quantisation(target: Target) -> None:
    assert target.name == f"{target.format}-{target.quantization}"
    assert float_twin(target).quantization == "fp32"


@pytest.mark.parametrize("opener", [identify, lambda p: open_file(p, SessionOptions())])
@pytest.mark.parametrize(
    ("name", "said"), [("none.tflite", "does not exist"), ("model.caffe", "ends in '.caffe'")]
)
def test_what_is_no_deployable_file_is_refused(
    tmp_path: Path, opener: object, name: str, said: str
) -> None:
    path = tmp_path / name
    if path.suffix == ".caffe":
        path.write_bytes(b"x")
    with pytest.raises(ArtifactError, match=said):
        opener(path)  # type: ignore[operator]
