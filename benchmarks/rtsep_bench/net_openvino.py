"""The contenders OpenVINO: one compiled model per net from the same ONNX file, one thread each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import openvino

from rtsep_bench.contenders import HALF_TOLERANCE, TOLERANCE, Contender, from_nchw, to_nchw
from rtsep_bench.net_case import onnx_file

PROPERTIES = {
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "PERFORMANCE_HINT": "LATENCY",
    # Two nets at once must not be pinned to the same core.
    "ENABLE_CPU_PINNING": False,
}


class OpenVinoDefaultContender(Contender):
    """OpenVINO's CPU plugin as it comes: in bfloat16 where the processor has it, else in float32."""

    hints: ClassVar[Mapping[str, str]] = {}
    tolerance = HALF_TOLERANCE

    def __init__(self, folder: Path):
        super().__init__(folder)
        core = openvino.Core()
        self._input = openvino.Tensor(to_nchw(self.magnitudes), shared_memory=True)
        self._requests = []
        for stem in self.case.nets:
            model = core.compile_model(onnx_file(folder, stem), "CPU", {**PROPERTIES, **self.hints})
            request = model.create_infer_request()
            request.set_input_tensor(self._input)
            self._requests.append(request)

    def run_net(self, net: int) -> None:
        """See Contender."""
        self._requests[net].infer()

    def masks(self, net: int) -> np.ndarray:
        """See Contender."""
        return from_nchw(self._requests[net].get_output_tensor().data)


class OpenVinoContender(OpenVinoDefaultContender):
    """The same in float32."""

    tolerance = TOLERANCE
    hints: ClassVar = {"INFERENCE_PRECISION_HINT": "f32"}
