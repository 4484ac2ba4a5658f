"""The contender ONNX Runtime: one session per net, one thread per session, outputs preallocated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from rtsep_bench.contenders import Contender, from_nchw, to_nchw
from rtsep_bench.net_case import onnx_file


class OnnxRuntimeContender(Contender):
    """ONNX Runtime's CPU provider, every graph optimisation on."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3  # errors only
        magnitudes = onnxruntime.OrtValue.ortvalue_from_numpy(to_nchw(self.magnitudes))
        self._sessions, self._bindings, self._outputs = [], [], []
        for stem in self.case.nets:
            session = onnxruntime.InferenceSession(
                onnx_file(folder, stem), options, providers=["CPUExecutionProvider"]
            )
            output = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
                session.get_outputs()[0].shape, np.float32
            )
            binding = session.io_binding()
            binding.bind_ortvalue_input(session.get_inputs()[0].name, magnitudes)
            binding.bind_ortvalue_output(session.get_outputs()[0].name, output)
            self._sessions.append(session)
            self._bindings.append(binding)
            self._outputs.append(output)

    def run_net(self, net: int) -> None:
        """See Contender."""
        self._sessions[net].run_with_iobinding(self._bindings[net])

    def masks(self, net: int) -> np.ndarray:
        """See Contender."""
        return from_nchw(self._outputs[net].numpy())
