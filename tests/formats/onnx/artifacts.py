# SPDX-License-Identifier: Apache-2.0
"""Models quantized by the tool quantize_model and run by ONNX Runtime; the rules of engines that are not at hand."""
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

TOOL = sys.argv[1]
LEVELS = {"disabled": ort.GraphOptimizationLevel.ORT_DISABLE_ALL, "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
          "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED, "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL}
failures = []


def check(condition, text):
    print("ok  " if condition else "FAIL", text)
    if not condition:
        failures.append(text)


def run(model, feeds, level="disabled"):
    """The outputs of a model: a path, or a model in memory."""
    options = ort.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"]).run(None, feeds)


def tool(*arguments):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


def layer_inputs(model):
    """(layer, its input tensor) pairs."""
    return [line.split("\t") for line in tool(model).splitlines()]


def calibrate(path, feeds):
    """The largest magnitude of each layer's input, as LAYER=AMAX."""
    model = onnx.load(path)
    pairs = layer_inputs(path)
    known = {output.name for output in model.graph.output}
    tapped = sorted({tensor for _, tensor in pairs} - set(feeds))
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tapped if name not in known)
    names = [output.name for output in model.graph.output]
    values = dict(zip(names, run(model, feeds))) | feeds
    amax = {}
    for layer, tensor in pairs:
        if values[tensor].dtype in (np.float32, np.float16, np.float64):
            amax[layer] = max(amax.get(layer, 0.0), float(np.abs(values[tensor]).max()))
    return [f"{layer}={value!r}" for layer, value in amax.items()]


def quantize(source, target, backend, dtype, granularity="default", amax=()):
    notes = tool(source, target, backend, dtype, granularity, *amax)
    onnx.checker.check_model(str(target), full_check=True)
    check_tensorrt_rules(target)
    return notes


def sqnr(wanted, got):
    wanted, got = np.asarray(wanted, np.float64), np.asarray(got, np.float64)
    noise = np.sum((wanted - got) ** 2)
    return float("inf") if noise == 0 else 10 * np.log10(np.sum(wanted ** 2) / noise)


def check_tensorrt_rules(path):
    """What the ONNX importer of TensorRT 10.1 demands of Q/DQ nodes: all but the last two are its assertions.

    Scales are constant, float32 and positive. The type of codes is output_dtype's or the zero point's, which agree. Zero
    points are 0 and as many as the scales. The axis is one of the tensor, with a scale for each of its elements. An
    activation has one scale, a scalar; the DequantizeLinear behind a QuantizeLinear has the same.
    """
    model = onnx.load(path)
    kinds = {onnx.TensorProto.INT8, onnx.TensorProto.FLOAT8E4M3FN, onnx.TensorProto.FLOAT8E5M2}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    encoders = {node.output[0]: node for node in model.graph.node if node.op_type == "QuantizeLinear"}
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        attributes = {attribute.name: attribute.i for attribute in node.attribute}
        scale = onnx.numpy_helper.to_array(constants[node.input[1]])
        assert scale.dtype == np.float32 and scale.ndim <= 1 and np.all(scale > 0), node
        kind = attributes.get("output_dtype", 0) if node.op_type == "QuantizeLinear" else 0
        if len(node.input) > 2:
            zero = constants[node.input[2]]
            assert kind in (0, zero.data_type) and tuple(zero.dims) == scale.shape and not any(zero.raw_data), node
            kind = zero.data_type
        if node.op_type == "QuantizeLinear":
            assert kind in kinds and scale.ndim == 0, node
            continue
        if node.input[0] in encoders:
            assert encoders[node.input[0]].input[1] == node.input[1], node
        else:
            codes = constants[node.input[0]]
            assert codes.data_type in kinds and kind in (0, codes.data_type), node
            rank, axis = len(codes.dims), attributes.get("axis", 1)
            assert scale.ndim == 0 or (-rank <= axis < rank and codes.dims[axis] == scale.size), node
