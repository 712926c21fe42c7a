"""Layers in the form that XNNPACK computes fastest, beside what the converter wrote."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_exporters.tflite_fast_forms import use_fast_forms

if TYPE_CHECKING:
    from torch import nn

pytestmark = pytest.mark.needs("torch", "litert", "litert-torch")

Layer = Callable[[], "nn.Module"]


def whole_map() -> nn.Module:
    from torch import nn

    return nn.Conv2d(6, 6, 7, groups=6)


def whole_map_without_bias() -> nn.Module:
    from torch import nn

    return nn.Conv2d(6, 6, 7, groups=6, bias=False)


def deconvolution() -> nn.Module:
    from torch import nn

    return nn.ConvTranspose2d(6, 5, 2, 2, bias=False)


def overlapping() -> nn.Module:
    from torch import nn

    return nn.ConvTranspose2d(6, 5, 3, 2, bias=False)


def part_of_the_map() -> nn.Module:
    from torch import nn

    return nn.Conv2d(6, 6, 5, groups=6)


def linear(outputs: int) -> nn.Module:
    from torch import nn

    layer = nn.Linear(6, outputs, bias=False)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), layer, nn.Unflatten(1, (-1, 1, 1)))


def converted(layer: nn.Module) -> Any:
    """The layer between (1, 7, 7, 6) and whatever it makes, as litert-torch writes it."""
    import litert_torch
    import torch

    from atpn_exporters.tflite_flatbuffer import unpack

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.export about itself
        network = litert_torch.to_channel_last_io(layer.eval(), args=[0], outputs=[0])
        made = litert_torch.convert(network, (torch.zeros(1, 7, 7, 6),))
    return unpack(made.model_content())


def kinds(model: Any) -> list[str]:
    from atpn_exporters.tflite_graph import graphs

    return [op.kind for op in graphs(model)[0].operators]


def ran(model: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
    from ai_edge_litert.interpreter import Interpreter

    from atpn_deploy.native_stderr import captured_stderr
    from atpn_exporters.tflite_flatbuffer import pack

    with captured_stderr():
        interpreter = Interpreter(model_content=pack(model), num_threads=1)
        interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    made: NDArray[np.float32] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return made


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (whole_map, ["MUL", "SUM", "ADD"]),
        (whole_map_without_bias, ["MUL", "SUM", "ADD"]),  # the converter writes a bias of zeros
        (deconvolution, ["CONV_2D", "DEPTH_TO_SPACE"]),
        (partial(linear, 100), ["SLICE"]),
    ],
)
def test_the_fast_form_computes_the_same(layer: Layer, expected: list[str]) -> None:
    import torch

    torch.manual_seed(1)
    model = converted(layer())
    x = np.random.default_rng(2).normal(size=(1, 7, 7, 6)).astype(np.float32)
    before, slow = ran(model, x), kinds(model)

    use_fast_forms(model)

    assert [kind for kind in kinds(model) if kind not in slow] == expected
    assert before.std() > 0.05, "a constant output would hide an error"
    np.testing.assert_allclose(ran(model, x), before, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "layer", [overlapping, part_of_the_map, partial(linear, 96), partial(linear, 3)]
)
def test_other_layers_stay_as_they_are(layer: Layer) -> None:
    model = converted(layer())
    before = kinds(model)

    use_fast_forms(model)

    assert kinds(model) == before
