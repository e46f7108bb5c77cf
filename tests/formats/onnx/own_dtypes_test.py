#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""own_dtypes_test.py QUANTIZE_MODEL MODELS: dtypes that a user adds are right in ONNX Runtime, at every level.

Codes of 4 bits (int4, packed) and of 16 (int16) are decoded by numpy here; ONNX Runtime must compute with the same numbers.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

QUANTIZE_MODEL, MODELS = sys.argv[1], pathlib.Path(sys.argv[2])
MODEL = MODELS / "lenet-digits" / "model.onnx"
LEVELS = [ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
          ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED, ort.GraphOptimizationLevel.ORT_ENABLE_ALL]


def run(model, level, images):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def with_decoded_weights(artifact):
    """The float model, its weights replaced by codes times scales."""
    model = onnx.load(MODEL)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in artifact.graph.initializer}
    replaced = 0
    for tensor in model.graph.initializer:
        codes = stored.get(tensor.name + "_quantized")
        if codes is None:
            continue
        scale = stored[tensor.name + "_scale"]
        node = next(n for n in artifact.graph.node if n.input[0] == tensor.name + "_quantized")
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        shape = [1] * codes.ndim
        if scale.ndim:
            shape[axis] = -1
        values = codes.astype(np.float32) * scale.reshape(shape)
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
        replaced += 1
    return model.SerializeToString(), replaced


def main():
    images = np.load(MODELS / "lenet-digits" / "test_images.npy")[:64]
    images = images.astype(np.float32).reshape(-1, 1, 28, 28) / 255
    floats = run(MODEL.read_bytes(), LEVELS[0], images)
    for dtype, least_db in (("int4", 8), ("int16", 60)):
        for granularity in ("per_channel", "per_tensor"):
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "q.onnx"
                subprocess.run([QUANTIZE_MODEL, MODEL, path, "torchao", dtype, granularity], check=True,
                               stdout=subprocess.DEVNULL)
                artifact = onnx.load(path)
                onnx.checker.check_model(artifact, full_check=True)
                expected_model, replaced = with_decoded_weights(artifact)
                assert replaced == 4, replaced
                expected = run(expected_model, LEVELS[0], images)
                for level in LEVELS:
                    got = run(path.read_bytes(), level, images)
                    worst = float(np.abs(got - expected).max() / np.abs(expected).max())
                    assert worst < 1e-5, (dtype, granularity, level, worst)
                db = 10 * np.log10(np.square(floats).sum() / np.square(floats - expected).sum())
                assert db > least_db, (dtype, granularity, db)
                print(f"{dtype} {granularity}: the same numbers at 4 levels, {db:.1f} dB from the floats")


if __name__ == "__main__":
    main()
