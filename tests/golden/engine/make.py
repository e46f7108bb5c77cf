#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what ONNX Runtime answers, with all graph optimizations off: the .npz and .onnx files beside this script.

<model>.npz: `input`, the first 8 test inputs of a shipped model, and `output`, its logits.
<operator>.onnx and .npz: a graph of one operator, or of a few, and one input and output of it.
Needs onnx and onnxruntime (1.23.2 and 1.32.0 made those in use).
"""
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

here = pathlib.Path(__file__).parent
models = here.parent.parent.parent / "examples" / "models"
random = np.random.default_rng(5)


def run(path, **inputs):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def shipped(name, inputs):
    np.savez(here / f"{name}.npz", input=inputs, output=run(models / name / "model.onnx", input=inputs))


images = np.load(models / "lenet-digits" / "test_images.npy")[:8]
shipped("lenet-digits", (images.reshape(8, 1, 28, 28) / np.float32(255)).astype(np.float32))
shipped("pitch-transformer", np.load(models / "pitch-transformer" / "test_inputs.npy")[:8].astype(np.float32))


def normal(*shape):
    return random.standard_normal(shape).astype(np.float32)


def case(name, nodes, x, constants=None, opset=20):
    """`nodes`: (operator, inputs, attributes) in a chain: "x" is the input, "-" the output of the one before."""
    made, before = [], "x"
    for i, (op, inputs, attributes) in enumerate(nodes):
        out = "y" if i + 1 == len(nodes) else f"t{i}"
        made.append(helper.make_node(op, [before if n == "-" else n for n in inputs], [out], name=f"{name}.{i}", **attributes))
        before = out
    types = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in "xy"]
    tensors = [t if isinstance(t, TensorProto) else numpy_helper.from_array(t, n) for n, t in (constants or {}).items()]
    graph = helper.make_graph(made, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))], types[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    save(name, model, x)


def save(name, model, x):
    """Checked, with the shape of its output."""
    path = here / f"{name}.onnx"
    onnx.save(model, path)
    y = run(path, x=x)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, list(y.shape)))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    np.savez(here / f"{name}.npz", x=x, y=y)


def fp8(name, kind, values):
    return helper.make_tensor(name, kind, values.shape, values.flatten().tolist())


def ints(*values):
    return np.array(values, np.int64)


one = np.float32(0.02)

case("add", [("Add", ["x", "b"], {})], normal(2, 1, 4), {"b": normal(3, 1)})
case("arithmetic", [("Sub", ["x", "b"], {}), ("Mul", ["-", "b"], {}), ("Div", ["-", "c"], {}), ("Relu", ["-"], {}), ("Identity", ["-"], {})],
     normal(2, 3, 4), {"b": normal(4), "c": normal(2, 3, 1) + 4})
case("gelu", [("Gelu", ["x"], {})], normal(3, 50))
case("flatten", [("Flatten", ["x"], {"axis": 2})], normal(2, 3, 4, 5))
case("flatten_all", [("Flatten", ["x"], {"axis": 0})], normal(2, 3))
case("reshape", [("Reshape", ["x", "s"], {})], normal(2, 3, 4), {"s": ints(0, -1, 2)})
case("transpose", [("Transpose", ["x"], {})], normal(2, 3, 4))
case("transpose_perm", [("Transpose", ["x"], {"perm": [1, 3, 0, 2]})], normal(2, 3, 4, 5))
case("softmax", [("Softmax", ["x"], {"axis": 1})], normal(2, 5, 3) * 20)
case("layer_norm", [("LayerNormalization", ["x", "w", "b"], {"axis": 1, "epsilon": 0.01})], normal(2, 3, 4), {"w": normal(3, 4), "b": normal(3, 4)})
case("layer_norm_no_bias", [("LayerNormalization", ["x", "w"], {})], normal(2, 3, 8) * 100, {"w": normal(8)})
case("reduce_mean", [("ReduceMean", ["x", "a"], {"keepdims": 0})], normal(2, 3, 4), {"a": ints(1, -1)})
case("reduce_mean_keep", [("ReduceMean", ["x", "a"], {})], normal(2, 3, 4), {"a": ints(1)})
case("reduce_mean_all", [("ReduceMean", ["x"], {})], normal(2, 3, 4))
case("reduce_mean_13", [("ReduceMean", ["x"], {"axes": [0, 2], "keepdims": 0})], normal(2, 3, 4), opset=13)
case("max_pool", [("MaxPool", ["x"], {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1], "dilations": [1, 2]})], normal(2, 3, 9, 8))
case("max_pool_1d", [("MaxPool", ["x"], {"kernel_shape": [3]})], normal(1, 2, 7))
case("conv", [("Conv", ["x", "w", "b"], {"pads": [1, 0, 2, 1], "strides": [2, 1], "dilations": [1, 2]})], normal(2, 4, 9, 8), {"w": normal(6, 4, 3, 2), "b": normal(6)})
case("conv_groups", [("Conv", ["x", "w"], {"group": 2})], normal(1, 4, 6, 5), {"w": normal(6, 2, 3, 3)})
case("conv_1d", [("Conv", ["x", "w", "b"], {"kernel_shape": [5], "strides": [3], "pads": [2, 0]})], normal(2, 3, 40), {"w": normal(17, 3, 5), "b": normal(17)})
case("gemm", [("Gemm", ["x", "w", "b"], {"alpha": 0.5, "beta": 2.0, "transA": 1})], normal(7, 3), {"w": normal(7, 21), "b": normal(3, 1)})
case("gemm_transposed", [("Gemm", ["x", "w"], {"transB": 1})], normal(5, 33), {"w": normal(19, 33)})
case("matmul", [("MatMul", ["x", "w"], {})], normal(2, 3, 5, 7), {"w": normal(3, 7, 20)})
case("quantize_uint8", [("QuantizeLinear", ["x", "s", "z"], {}), ("DequantizeLinear", ["-", "s", "z"], {})], normal(3, 40) * 3, {"s": one, "z": np.uint8(131)})
case("quantize_int8_axis", [("QuantizeLinear", ["x", "s", "z"], {"axis": 1}), ("DequantizeLinear", ["-", "s", "z"], {"axis": 1})],
     normal(2, 3, 20), {"s": np.array([0.01, 0.03, 0.5], np.float32), "z": np.array([0, 5, -7], np.int8)})
for word, kind in (("e4m3fn", TensorProto.FLOAT8E4M3FN), ("e5m2", TensorProto.FLOAT8E5M2)):
    none = np.zeros((), np.float32)
    case(f"quantize_{word}", [("QuantizeLinear", ["x", "s", "z"], {}), ("DequantizeLinear", ["-", "s", "z"], {})], normal(3, 40) * 30, {"s": one, "z": fp8("z", kind, none)})
    weight = normal(19, 33) * 100
    case(f"weight_only_{word}", [("DequantizeLinear", ["w", "ws"], {"axis": 0}), ("Gemm", ["x", "-"], {"transB": 1})], normal(5, 33),
         {"w": fp8("w", kind, weight), "ws": (random.random(19) + 0.1).astype(np.float32)})


def codes(*shape):
    return random.integers(-128, 128, shape).astype(np.int8)


def static(name, op, attributes, x, w, axis):
    """int8 on both sides; the bias is int32 codes behind a DequantizeLinear, or float."""
    scales = (random.random(w.shape[axis]) * 0.01 + 0.001).astype(np.float32)
    nodes = [("QuantizeLinear", ["x", "s", "z"], {}), ("DequantizeLinear", ["-", "s", "z"], {})]
    constants = {"s": one, "z": np.int8(0), "w": w, "ws": scales, "wz": np.zeros(len(scales), np.int8)}
    graph_nodes, before = [], "x"
    for i, (kind, inputs, attrs) in enumerate(nodes):
        graph_nodes.append(helper.make_node(kind, [before] + inputs[1:], [f"t{i}"], **attrs))
        before = f"t{i}"
    graph_nodes.append(helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], axis=axis))
    operands = [before, "wf"]
    if op != "MatMul":
        constants |= {"b": random.integers(-9999, 9999, len(scales)).astype(np.int32), "bs": one * scales}
        graph_nodes.append(helper.make_node("DequantizeLinear", ["b", "bs"], ["bf"], axis=0))
        operands.append("bf")
    graph_nodes.append(helper.make_node(op, operands, ["y"], name=name, **attributes))
    graph = helper.make_graph(graph_nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(t, n) for n, t in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    save(name, model, x)


static("int8_conv", "Conv", {"pads": [1, 1, 1, 1], "strides": [2, 2], "group": 2}, normal(2, 4, 7, 7), codes(6, 2, 3, 3), 0)
static("int8_conv_1d", "Conv", {}, normal(2, 3, 30), codes(17, 3, 5), 0)
static("int8_gemm", "Gemm", {"transB": 1}, normal(5, 200), codes(19, 200), 0)
static("int8_gemm_plain", "Gemm", {}, normal(5, 33), codes(33, 19), 1)
static("int8_matmul", "MatMul", {}, normal(2, 3, 33), codes(33, 18), 1)


def graph_of(name, nodes, outputs, constants=None, domains=()):
    """A graph of x [?, 4] whose tensors are float32."""
    def value(tensor):
        return helper.make_tensor_value_info(tensor, TensorProto.FLOAT, ["n", 4])
    tensors = [numpy_helper.from_array(np.asarray(t), n) for n, t in (constants or {}).items()]
    graph = helper.make_graph(nodes, name, [value("x")], [value(output) for output in outputs], tensors)
    opsets = [helper.make_opsetid("", 19)] + [helper.make_opsetid(domain, 1) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


# One tensor, rounded in two ways.
fine, coarse = np.float32(2**-5), np.float32(2**-2)
save("two_scales",
     graph_of("two_scales",
              [helper.make_node("QuantizeLinear", ["x", "fine", "zero"], ["a"]),
               helper.make_node("DequantizeLinear", ["a", "fine", "zero"], ["b"]),
               helper.make_node("QuantizeLinear", ["x", "coarse", "zero"], ["c"]),
               helper.make_node("DequantizeLinear", ["c", "coarse", "zero"], ["d"]),
               helper.make_node("Sub", ["b", "d"], ["y"])], ["y"], {"fine": fine, "coarse": coarse, "zero": np.int8(0)}),
     np.random.default_rng(6).standard_normal((7, 4)).astype(np.float32))

# Dropout passes its input on; unused.weight feeds nothing.
eye = np.eye(4, dtype=np.float32)
onnx.save(graph_of("dropout",
                   [helper.make_node("MatMul", ["x", "first.weight"], ["h"]), helper.make_node("Dropout", ["h"], ["d"]),
                    helper.make_node("MatMul", ["h", "second.weight"], ["s"]), helper.make_node("Add", ["d", "s"], ["y"]),
                    helper.make_node("MatMul", ["x", "unused.weight"], ["u"])],
                   ["y"], {"first.weight": eye * 2, "second.weight": eye * 3, "unused.weight": eye}), here / "dropout.onnx")

# Operators that no engine has.
onnx.save(graph_of("foreign",
                   [helper.make_node("MatMul", ["x", "fc.weight"], ["h"]), helper.make_node("Fold", ["h"], ["f"], "fold", domain="org.example"),
                    helper.make_node("Unfold", ["f"], ["y"], domain="org.example")],
                   ["y"], {"fc.weight": eye}, ["org.example"]), here / "foreign.onnx")

# More padding than any machine has memory.
image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4])
onnx.save(helper.make_model(
    helper.make_graph([helper.make_node("Conv", ["x", "conv.weight"], ["y"], pads=[1 << 24] * 4)], "huge_pads", [image],
                      [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                      [numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "conv.weight")]),
    opset_imports=[helper.make_opsetid("", 19)], ir_version=9), here / "huge_pads.onnx")

# The first input is a number for all samples, as its batch of 1.
onnx.save(helper.make_model(
    helper.make_graph([helper.make_node("Mul", ["x", "gain"], ["h"]), helper.make_node("MatMul", ["h", "fc.weight"], ["y"])],
                      "number_first", [helper.make_tensor_value_info("gain", TensorProto.FLOAT, []),
                                       helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
                      [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
                      [numpy_helper.from_array(eye, "fc.weight")]),
    opset_imports=[helper.make_opsetid("", 19)], ir_version=9), here / "number_first.onnx")

# An operator that tiny_engine has, in a form that it does not: it sees that when it runs.
onnx.save(helper.make_model(
    helper.make_graph([helper.make_node("MaxPool", ["x"], ["p"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
                       helper.make_node("Flatten", ["p"], ["f"]), helper.make_node("MatMul", ["f", "fc.weight"], ["y"])],
                      "ceil_mode", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 3, 3])],
                      [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
                      [numpy_helper.from_array(eye, "fc.weight")]),
    opset_imports=[helper.make_opsetid("", 19)], ir_version=9), here / "ceil_mode.onnx")
