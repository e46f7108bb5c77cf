#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""goldens_test.py PTQ GOLDEN_DIR

What the command writes, run by ONNX Runtime, against the reference tools' own results: single layers that ModelOpt
calibrated and quantized, and whole graphs that ONNX Runtime's quantizer did.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

PTQ, GOLDEN = (Path(argument).resolve() for argument in sys.argv[1:3])
OPERATORS = {"linear": "Gemm", "conv1d": "Conv", "conv2d": "Conv", "convtranspose2d": "ConvTranspose"}
failures = []


def check(condition, text):
    print("ok  " if condition else "FAIL", text)
    if not condition:
        failures.append(text)


def quantize(model, results, rule, data):
    """The artifact of the command with one rule for all layers, `minmax` and the data."""
    spec = results.with_suffix(".yaml")
    spec.write_text(json.dumps({"quantize": {"backend": "modelopt", "mode": "static_ptq", "algorithm": "minmax",
                                             "layers": [{"module_name": "*"} | rule],
                                             "model_path": str(model), "results_dir": str(results)},
                                "dataset": {"quant_calibration_dataset": data}}))
    done = subprocess.run([PTQ, "quantize", "-e", spec], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    path = results / "quantized_model_modelopt.onnx"
    onnx.checker.check_model(str(path), full_check=True)
    return onnx.load(path)


def run(model, feeds, tapped=()):
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tapped)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def constant(model, name):
    return numpy_helper.to_array(next(tensor for tensor in model.graph.initializer if tensor.name == name))


def relative_error(got, wanted):
    assert got.shape == wanted.shape
    return np.abs(got - wanted).max() / np.abs(wanted).max()


def one_layer(module, arrays):
    """The float model of a layer."""
    floats = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape[1:]])
    attributes = {"transB": 1} if module == "linear" else {}
    graph = helper.make_graph(
        [helper.make_node(OPERATORS[module], ["x", "layer.weight", "layer.bias"], ["y"], name="layer", **attributes)], module,
        [floats("x", arrays["x"].shape)], [floats("y", arrays["y"].shape)],
        [numpy_helper.from_array(arrays[name], f"layer.{name}") for name in ("weight", "bias")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def test_layers(folder):
    """ModelOpt simulates: it multiplies by a reciprocal, so a value on the boundary of two codes may take the other one."""
    group = GOLDEN / "c_static"
    cases = [case for case in json.loads((group / "index.json").read_text())["cases"] if case["kind"] == "layer"]
    check(len(cases) == 10, f"{len(cases)} layers")
    for case in cases:
        arrays = {key: np.load(group / value["file"]) for key, value in case.items() if isinstance(value, dict)}
        path = folder / f"{case['name']}.onnx"
        onnx.save(one_layer(case["module"], arrays), path)
        np.savez(folder / "seen.npz", layer=arrays["calib"].reshape(-1, *arrays["x"].shape[1:]))
        rule = {"weights": {"dtype": case["dtype"], "quant_axis": case["weight_axis"]}, "activations": {"dtype": case["dtype"]}}
        model = quantize(path, folder / case["name"], rule, {"activations": str(folder / "seen.npz")})
        largest = {"int8": 127, "fp8_e4m3fn": 448}[case["dtype"]]
        check(constant(model, "x_scale") == arrays["input_amax"][0] / np.float32(largest), f"{case['name']}: scale of the input")
        y, x, weight = run(model, {"x": arrays["x"]}, ("x_dequantized", "layer.weight_dequantized"))
        for name, got in (("x_fake_quant", x), ("weight_fake_quant", weight)):
            check(relative_error(got, arrays[name]) <= 1e-6, f"{case['name']}: {name} {relative_error(got, arrays[name]):.1e}")
        check(relative_error(y, arrays["y"]) <= 1e-5, f"{case['name']}: y {relative_error(y, arrays['y']):.1e} of max|y|")


def test_graphs(folder):
    """Ranges that the command finds itself, and the codes of ONNX Runtime's own quantizer (minmax, per channel)."""
    group = GOLDEN / "f_onnx"
    for case in json.loads((group / "index.json").read_text())["cases"]:
        for dtype, largest in (("int8", 127), ("fp8_e4m3fn", 448)):
            title = f"{case['name']} {dtype}"
            slot = {"dtype": dtype}
            model = quantize(group / case["float_model"], folder / title.replace(" ", "_"), {"weights": slot, "activations": slot},
                             {"inputs": str(group / case["calib_input"]["file"])})
            for tensor, amax in case["activation_amax"].items():
                error = abs(constant(model, f"{tensor}_scale") / (np.float32(amax) / np.float32(largest)) - 1)
                check(error <= (0 if tensor == "input" else 1e-6), f"{title}: scale of {tensor}, {error:.1e} apart")
            if dtype == "int8":
                for name, described in case["peer_quantize_static"]["minmax"]["weights"].items():
                    check(np.array_equal(constant(model, name), np.load(group / described["file"])), f"{title}: codes of {name}")


with tempfile.TemporaryDirectory() as scratch:
    test_layers(Path(scratch))
    test_graphs(Path(scratch))
print(f"{len(failures)} failed")
sys.exit(bool(failures))
