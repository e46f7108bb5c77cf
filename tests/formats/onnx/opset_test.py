#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""opset_test.py QUANTIZE_MODEL ADAPTERS_HEADER

Graphs of older operator sets keep their meaning where quantization moves them to a newer one. Each row of the table of
adapters is run in ONNX Runtime before and after: the operator has a path of its own in a graph whose one layer is
quantized, and its outputs must have equal bits. onnx's version_converter must agree where it knows the way. Every
change in the history of onnx's schemas is a row of the table, or is listed here as one that older nodes need not notice.
"""
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper, version_converter

TOOL, HEADER = sys.argv[1], Path(sys.argv[2])
OLDEST, NEWEST = 7, 21
TARGETS = {"int8": 13, "fp8_e4m3fn": 21}
failures = []


def check(condition, text):
    print("ok  " if condition else "FAIL", text)
    if not condition:
        failures.append(text)


# Versions whose changes an older node need not notice: more types, an attribute, input or output whose default is what
# was before, negative axes, words. (OneHot 11 counts negative indices from the end, which ONNX Runtime has always done;
# ConvTranspose 11 corrects a formula that it has never followed; its AveragePool 19 rounds the last bit otherwise.)
SAME = """
Abs 13; Add 13 14; ArgMax 11 12 13; ArgMin 11 12 13; AveragePool 10 11 19; BatchNormalization 15; Cast 9 13 19 21;
CastLike 19 21; Ceil 13; Clip 12 13; Compress 11; Concat 11 13; Constant 9 11 12 13 19 21; ConstantOfShape 20 21;
Conv 11; ConvTranspose 11; CumSum 14; DepthToSpace 11 13; DequantizeLinear 13 19 21; Div 13 14; Dropout 13; Equal 11
13 19; Erf 13; Exp 13; Expand 13; Flatten 9 11 13 21; Floor 13; GRU 14; Gather 11 13; GatherElements 13; GatherND 12
13; Gemm 9 11 13; Greater 9 13; GreaterOrEqual 16; Hardmax 11; Identity 13 14 16 19 21; If 11 13 16 19 21; IsInf 20;
IsNaN 13 20; LRN 13; LSTM 14; LeakyRelu 16; Less 9 13; LessOrEqual 16; Log 13; LogSoftmax 11; Loop 11 13 16 19 21;
LpPool 11 18; MatMul 9 13; Max 8 12 13; MaxPool 8 10 11 12; MaxUnpool 11; Mean 8 13; MeanVarianceNormalization 13;
Min 8 12 13; Mod 13; Mul 13 14; Neg 13; NegativeLogLikelihoodLoss 13; NonMaxSuppression 11; NonZero 13; OneHot 11;
OptionalGetElement 18; OptionalHasElement 18; PRelu 9 16; Pad 13 18 19 21; Pow 12 13 15; QLinearMatMul 21;
QuantizeLinear 13 19 21; RNN 14; Reciprocal 13; ReduceL1 11 13; ReduceL2 11 13; ReduceLogSum 11 13; ReduceLogSumExp
11 13; ReduceMax 11 12 13 20; ReduceMean 11 13; ReduceMin 11 12 13 20; ReduceProd 11 13; ReduceSum 11;
ReduceSumSquare 11 13; Relu 13 14; Reshape 13 14 19 21; Resize 18 19; Scan 11 16 19 21; ScatterElements 13 16 18;
ScatterND 13 16 18; Shape 13 15 19 21; Sigmoid 13; Sign 13; Size 13 19 21; Slice 11 13; Softmax 11;
SoftmaxCrossEntropyLoss 13; SpaceToDepth 13; Split 11; Sqrt 13; Squeeze 11 21; Sub 13 14; Sum 8 13; Tanh 13; Tile
13; TopK 11; Transpose 13 21; Unsqueeze 11 21; Where 16
"""

# onnx 1.23 takes Hardmax for the same, and loses the coordinates of Resize and Upsample.
WRONG_IN_CONVERTER = {"Hardmax", "Resize", "Upsample"}

GENERATOR = np.random.default_rng(3)


def floats(*shape):
    return GENERATOR.standard_normal(shape).astype(np.float32)


X = floats(2, 6, 4, 4)
POSITIVE = np.abs(floats(2, 6, 4)) + np.float32(0.1)


@dataclass
class Case:
    """One node, or a few, in the forms of older operator sets."""
    row: tuple  # (operator, since)
    opsets: tuple  # in which the nodes are valid
    nodes: list  # (operator, inputs, outputs, attributes)
    feeds: dict
    constants: dict = field(default_factory=dict)
    outputs: tuple = ("y",)
    kept: bool = False  # the nodes mean the same in the newer operator set
    refused: str = ""  # words of the message
    typed: bool = True  # the graph's inputs have shapes


CASES = []


def case(op, since, opsets, nodes, feeds, **others):
    if isinstance(nodes, dict):
        nodes = [(op, ["x"], ["y"], nodes)]
    feeds = feeds if isinstance(feeds, dict) else {"x": feeds}
    CASES.append(Case((op, since), opsets, nodes, feeds, **others))


def numbers(*values):
    return np.array(values, np.int64)


def add_cases():
    norm = {"s": floats(6), "b": floats(6), "m": floats(6), "v": np.abs(floats(6))}
    batch_norm = ("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"])
    case("BatchNormalization", 9, (7, 8), [(*batch_norm, {"spatial": 1})], X, constants=norm)
    case("BatchNormalization", 9, (7, 8), [(*batch_norm, {})], X, constants=norm, kept=True)
    case("BatchNormalization", 9, (8,), [(*batch_norm, {"spatial": 0})], X, refused="spatial = 0",
         constants={name: np.abs(floats(6, 4, 4)) for name in norm})
    case("BatchNormalization", 14, (9, 13), [(*batch_norm, {})], X, constants=norm, kept=True)
    case("BatchNormalization", 14, (9, 13), [(*batch_norm[:2], ["y", "m1", "v1", "m2", "v2"], {})], X, constants=norm,
         refused="training mode")
    case("Clip", 11, (7, 10), {"min": -0.5, "max": 0.25}, X)
    case("Clip", 11, (7, 10), {"min": -0.5}, X)
    case("Clip", 11, (7, 10), {"max": 0.25}, X)
    case("Clip", 11, (7, 10), {}, X, kept=True)
    case("Clip", 11, (10,), [("Mystery", ["x"], ["h"], {"domain": "com.microsoft"}), ("Clip", ["h"], ["y"], {"min": 0.0})],
         X, refused="infer_shapes")
    case("Clip", 11, (11, 12), [("Clip", ["x", "low"], ["y"], {})], X, constants={"low": np.float32(-0.5)}, kept=True)
    for axis in (1, 2, None):
        case("DFT", 20, (17, 19), {} if axis is None else {"axis": axis}, floats(2, 4, 5, 1))
    case("DFT", 20, (20,), [("DFT", ["x", "", "axis"], ["y"], {})], floats(2, 4, 1),
         constants={"axis": np.int64(1)}, kept=True)
    case("Dropout", 10, (7, 9), [("Dropout", ["x"], ["y", "mask"], {})], X)
    case("Dropout", 10, (7, 9), {}, X, kept=True)
    case("Dropout", 10, (7, 9), [("Dropout", ["x"], ["y", "mask"], {}), ("Identity", ["mask"], ["z"], {})], X,
         refused="mask is used")
    case("Dropout", 12, (7, 10, 11), {"ratio": 0.25}, X)
    case("Dropout", 12, (10, 11), [("Dropout", ["x"], ["y", "mask"], {})], X)
    case("Dropout", 12, (10, 11), [("Dropout", ["x"], ["y", "mask"], {})], X, outputs=("y", "mask"), refused="mask is used")
    case("Dropout", 12, (12,), [("Dropout", ["x", "ratio"], ["y", "mask"], {})], X, constants={"ratio": np.float32(0.5)},
         outputs=("y", "mask"), kept=True)
    grid = {"x": X, "grid": np.clip(floats(2, 3, 3, 2), -1.2, 1.2)}
    for mode, kept in (("bilinear", False), ("bicubic", False), ("nearest", True), (None, True)):
        case("GridSample", 20, (16, 19), [("GridSample", ["x", "grid"], ["y"], {} if mode is None else {"mode": mode})],
             grid, kept=kept)
    case("GridSample", 20, (20,), [("GridSample", ["x", "grid"], ["y"], {"mode": "cubic"})], grid, kept=True)
    case("GroupNormalization", 21, (18, 20), [("GroupNormalization", ["x", "s", "b"], ["y"], {"num_groups": 3})], X,
         constants={"s": floats(3), "b": floats(3)})
    case("GroupNormalization", 21, (21,), [("GroupNormalization", ["x", "s", "b"], ["y"], {"num_groups": 3})], X,
         constants={"s": floats(6), "b": floats(6)}, kept=True)
    for op in ("Hardmax", "LogSoftmax", "Softmax"):
        case(op, 13, (7, 11, 12), {"axis": 2}, X)
        case(op, 13, (7, 12), {"axis": 1}, X)
        case(op, 13, (7, 12), {"axis": 0}, X)
        case(op, 13, (7, 12), {}, X)
        case(op, 13, (11, 12), {"axis": -2}, X)
        case(op, 13, (11, 12), {"axis": -1}, X, kept=True)
        case(op, 13, (7, 12), {"axis": 3}, X, kept=True)
        case(op, 13, (7, 12), {"axis": 3}, X, typed=False)
        case(op, 13, (7, 12), {}, X[0, 0])  # the default axis is the last one
        case(op, 13, (13, 14), {"axis": 1}, X, kept=True)
        case(op, 13, (13, 14), {}, X, kept=True)
    for mode in ("constant", "reflect", "edge"):
        case("Pad", 11, (7, 10), {"mode": mode, "pads": [0, 0, 1, 2, 0, 1, 2, 1]}, X)
    case("Pad", 11, (7, 10), {"value": 1.5, "pads": [0, 0, 1, -1, 0, 0, 0, 0]}, X)
    case("Pad", 11, (10,), {"value": 1.5, "pads": [0, 0, 1, 2, 0, 1, 2, 1]}, X.astype(np.float64))
    case("Pad", 11, (11, 12), [("Pad", ["x", "pads"], ["y"], {})], X, constants={"pads": numbers(0, 0, 1, 2, 0, 1, 2, 1)},
         kept=True)
    for op in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"):
        since = 13 if op == "Sum" else 18
        old = (7, 11, 12) if op == "Sum" else (7, 12, 13, 17)
        case("Reduce" + op, since, old, {"axes": [1], "keepdims": 0}, POSITIVE)
        case("Reduce" + op, since, old, {"axes": [0, 2]}, POSITIVE)
        case("Reduce" + op, since, old, {"keepdims": 0}, POSITIVE, kept=True)
        case("Reduce" + op, since, old[1:], {"axes": [-1]}, POSITIVE)
        case("Reduce" + op, since, (since,), [("Reduce" + op, ["x", "axes"], ["y"], {})], POSITIVE,
             constants={"axes": numbers(1)}, kept=True)
    up, down = np.float32([1, 1, 2, 1.6]), np.float32([1, 1, 0.5, 0.7])
    for mode in ("nearest", "linear"):
        for scales in (up, down):
            case("Resize", 11, (10,), [("Resize", ["x", "scales"], ["y"], {"mode": mode})], X, constants={"scales": scales})
        case("Upsample", 9, (7, 8), {"mode": mode, "scales": up.tolist()}, X)
        case("Upsample", 10, (9,), [("Upsample", ["x", "scales"], ["y"], {"mode": mode})], X, constants={"scales": up})
    case("Upsample", 10, (9,), [("Upsample", ["x", "scales"], ["y"], {})], {"x": X, "scales": up})
    case("Resize", 11, (10,), [("Resize", ["x", "scales"], ["y"], {"mode": "linear"})], {"x": X, "scales": up})
    case("Resize", 11, (10,), [("Resize", ["x", "scales"], ["y"], {})], {"x": X, "scales": up}, refused="not constant")
    case("Resize", 11, (10,), [("Resize", ["x", "scales"], ["y"], {})], X, refused="shrink others",
         constants={"scales": np.float32([1, 1, 2, 0.5])})
    sized = ("Resize", ["x", "roi", "scales", "sizes"], ["y"])
    sizes = {"roi": np.float32([]), "scales": np.float32([]), "sizes": numbers(2, 6, 7, 3)}
    case("Resize", 13, (11, 12), [(*sized, {})], X, constants=sizes)
    case("Resize", 13, (11, 12), [(*sized, {"mode": "cubic", "coordinate_transformation_mode": "pytorch_half_pixel"})], X,
         constants=sizes)
    case("Resize", 13, (11, 12), [("Resize", ["x", "roi", "scales"], ["y"], {"mode": "linear"})], X, kept=True,
         constants={"roi": np.float32([]), "scales": up})
    case("Resize", 13, (11, 12), [(*sized, {"coordinate_transformation_mode": "tf_half_pixel_for_nn"})], X,
         constants=sizes, refused="tf_half_pixel_for_nn")
    case("Resize", 13, (13, 18), [("Resize", ["x", "", "scales"], ["y"], {})], X, constants={"scales": up}, kept=True)
    boxes = {"rois": np.float32([[0, 0, 3, 3], [1, 0, 2, 3]]), "batch": numbers(0, 1)}
    roi_align = ("RoiAlign", ["x", "rois", "batch"], ["y"])
    case("RoiAlign", 16, (10, 15), [(*roi_align, {"output_height": 2, "output_width": 2, "sampling_ratio": 2})], X,
         constants=boxes)
    case("RoiAlign", 16, (16,), [(*roi_align, {"output_height": 2, "output_width": 2})], X, constants=boxes, kept=True)
    body = helper.make_graph([helper.make_node("Identity", ["i"], ["o"])], "body",
                             [helper.make_tensor_value_info("i", TensorProto.FLOAT, [3])],
                             [helper.make_tensor_value_info("o", TensorProto.FLOAT, [3])])
    case("Scan", 9, (8,), [("Scan", ["", "x"], ["y"], {"body": body, "num_scan_inputs": 1})], floats(2, 4, 3),
         refused="runs over batches")
    case("Scan", 9, (9, 11), [("Scan", ["x"], ["y"], {"body": body, "num_scan_inputs": 1})], floats(4, 3), kept=True)
    scatter = {"i": numbers(0, 2, 1, 0).reshape(2, 2), "u": floats(2, 2)}
    case("Scatter", 11, (9, 10), [("Scatter", ["x", "i", "u"], ["y"], {"axis": 1})], floats(2, 4), constants=scatter)
    case("Scatter", 11, (11,), [("ScatterElements", ["x", "i", "u"], ["y"], {})], floats(3, 4), constants=scatter, kept=True)
    case("Slice", 10, (7, 9), {"starts": [1, 0], "ends": [1000, -1], "axes": [1, 3]}, X)
    case("Slice", 10, (7, 9), {"starts": [1, 2], "ends": [2, 5]}, X)
    case("Slice", 10, (10, 11), [("Slice", ["x", "s", "e"], ["y"], {})], X, kept=True,
         constants={"s": numbers(1), "e": numbers(2)})
    two = ("y", "z")
    case("Split", 13, (7, 11, 12), [("Split", ["x"], two, {"axis": 1, "split": [2, 4]})], X, outputs=two)
    case("Split", 18, (7, 12, 13, 17), [("Split", ["x"], two, {"axis": 1})], X, outputs=two)
    case("Split", 18, (13, 17), [("Split", ["x", "s"], two, {"axis": 1})], X, outputs=two, constants={"s": numbers(1, 5)},
         kept=True)
    case("Split", 18, (18,), [("Split", ["x"], two, {"axis": 1, "num_outputs": 2})], X, outputs=two, kept=True)
    thin = floats(1, 3, 1, 2)
    case("Squeeze", 13, (7, 11, 12), {"axes": [0, 2]}, thin)
    case("Squeeze", 13, (7, 11, 12), {}, thin, kept=True)
    case("Squeeze", 13, (13,), [("Squeeze", ["x", "a"], ["y"], {})], thin, constants={"a": numbers(0)}, kept=True)
    case("Unsqueeze", 13, (7, 11, 12), {"axes": [0, 2]}, thin)
    case("Unsqueeze", 13, (11,), {"axes": [-1]}, thin)
    case("Unsqueeze", 13, (13,), [("Unsqueeze", ["x", "a"], ["y"], {})], thin, constants={"a": numbers(0)}, kept=True)
    case("TopK", 10, (7, 9), [("TopK", ["x"], two, {"axis": 2, "k": 3})], X, outputs=two)
    case("TopK", 10, (7, 9), [("TopK", ["x"], two, {"k": 2})], X, outputs=two)
    case("TopK", 10, (10, 11), [("TopK", ["x", "k"], two, {})], X, outputs=two, constants={"k": numbers(2)}, kept=True)


def make_body(nodes, inputs, outputs):
    def declare(names):
        return [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in names]
    return helper.make_graph(nodes, "body", declare(inputs), declare(outputs))


def add_nested_cases():
    """Nodes in branches, in a loop in a branch, and below; types and constants come from around, and names clash."""
    shape, kind = [2, 6], TensorProto.FLOAT
    loop_body = make_body([helper.make_node("Softmax", ["state"], ["soft"], axis=0),
                      helper.make_node("Clip", ["soft"], ["next"], min=0.05, max=0.5),
                      helper.make_node("Identity", ["keep"], ["keep_on"])],
                     [("i", TensorProto.INT64, []), ("keep", TensorProto.BOOL, []), ("state", kind, shape)],
                     [("keep_on", TensorProto.BOOL, []), ("next", kind, shape)])
    yes = make_body([helper.make_node("Clip", ["x"], ["low"], max=0.5),  # the type is known from the graph around it
                helper.make_node("Loop", ["times", "", "low"], ["looped"], body=loop_body),
                helper.make_node("Unsqueeze", ["looped"], ["a"], axes=[0])], [], [("a", kind, [1, *shape])])
    no = make_body([helper.make_node("Identity", ["x"], ["b_axes"]), helper.make_node("Unsqueeze", ["b_axes"], ["b"], axes=[0])],
              [], [("b", kind, [1, *shape])])
    for flag in (True, False):
        case("nested", 13, (8, 10), [("If", ["flag"], ["y"], {"then_branch": yes, "else_branch": no}),
                                     ("Dropout", ["x"], ["a_axes", "low_max"], {})],
             {"x": floats(*shape), "flag": np.array(flag)}, constants={"times": np.int64(2)}, outputs=("y", "a_axes"))
    same = make_body([helper.make_node("Relu", ["x"], ["c"])], [], [("c", kind, shape)])
    case("nested", 13, (8, 12), [("If", ["flag"], ["y"], {"then_branch": same, "else_branch": same})],
         {"x": floats(*shape), "flag": np.array(True)}, kept=True)


def add_function_case():
    """Nodes in a function, which imports an operator set of its own."""
    case("function", 18, (15, 17), [("Spread", ["x"], ["y"], {"domain": "local"})], X)
    case("function", 18, (15, 17), [("Flat", ["x"], ["y"], {"domain": "local", "axes": [1]})], X, refused="parameter \"axes\"")


def add_functions(model, opset):
    mean = helper.make_node("ReduceMean", ["v"], ["m"], axes=[1])
    halves = helper.make_node("Split", ["d"], ["first", "second"], axis=1)
    flat = helper.make_node("ReduceMax", ["v"], ["r"])
    flat.attribute.append(onnx.AttributeProto(name="axes", ref_attr_name="axes", type=onnx.AttributeProto.INTS))
    imports = [helper.make_opsetid("", opset)]
    bodies = {"Spread": (["v"], ["r"], [mean, helper.make_node("Sub", ["v", "m"], ["d"]), halves,
                                        helper.make_node("Mul", ["first", "second"], ["r"])], []),
              "Flat": (["v"], ["r"], [flat], ["axes"])}
    for name in {node.op_type for node in model.graph.node if node.domain == "local"}:
        inputs, outputs, nodes, attributes = bodies[name]
        model.functions.append(helper.make_function("local", name, inputs, outputs, nodes, imports, attributes))
        model.opset_import.append(helper.make_opsetid("local", 1))


def ir_version(opset):
    return 3 if opset < 9 else 4 if opset < 10 else 6 if opset < 13 else 7 if opset < 15 else 8 if opset < 19 else 9 if opset < 21 else 10


def make_model(one, opset, outputs=None):
    """The case's nodes, and beside them the layer whose weight is quantized."""
    nodes = [helper.make_node("MatMul", ["lin", "w"], ["lin_y"], "fc")]
    for at, (op, inputs, names, attributes) in enumerate(one.nodes):
        nodes.append(helper.make_node(op, inputs, names, f"{op}_{at}", **attributes))
    feeds = one.feeds | {"lin": np.ones((2, 32), np.float32)}
    constants = one.constants | {"w": np.linspace(-1, 1, 32 * 8, dtype=np.float32).reshape(32, 8)}
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]

    def declare(name, value, typed=True):
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        return helper.make_tensor_value_info(name, kind, value.shape if typed else None)

    inputs = [declare(name, value, one.typed) for name, value in feeds.items()]
    if opset < 9:  # before IR version 4 every initializer is an input
        inputs += [declare(name, np.asarray(value)) for name, value in constants.items()]
    declared = [helper.make_empty_tensor_value_info(name) if outputs is None else declare(name, outputs[name], one.typed)
                for name in ("lin_y", *one.outputs)]
    graph = helper.make_graph(nodes, "graph", inputs, declared, initializers)
    model = helper.make_model(graph, ir_version=ir_version(opset),
                              opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)])
    add_functions(model, opset)
    return model, feeds


def run(model, feeds):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip((output.name for output in session.get_outputs()), session.run(None, feeds)))


def same_bits(one, wanted, got):
    return all(wanted[name].dtype == got[name].dtype and wanted[name].shape == got[name].shape and
               wanted[name].tobytes() == got[name].tobytes() for name in one.outputs)


def quantize(model, folder, dtype):
    """The written model and the tool's notes; nothing and the message where it refuses."""
    source, target = folder / "source.onnx", folder / "target.onnx"
    source.write_bytes(model.SerializeToString())
    done = subprocess.run([TOOL, source, target, "torchao", dtype, "default"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None, done.stderr
    return onnx.load(target), done.stdout


def old_nodes(one, model):
    """The case's nodes and functions as they stand in a model."""
    names = {f"{node[0]}_{at}" for at, node in enumerate(one.nodes)}
    return [function.SerializeToString(deterministic=True) for function in model.functions] + [
        node.SerializeToString(deterministic=True) for node in model.graph.node if node.name in names]


def agrees_with_converter(one, model, target, wanted, feeds):
    """Whether onnx's own conversion gives these bits; None where it, or ONNX Runtime, does not know the way."""
    try:
        return same_bits(one, wanted, run(version_converter.convert_version(model, target), feeds))
    except Exception:  # pylint: disable=broad-exception-caught  (any refusal will do)
        return None


def test_case(one, opset, dtype, folder):
    target = TARGETS[dtype]
    op, since = one.row
    shown = {name: value for name, value in one.nodes[-1][3].items() if not isinstance(value, onnx.GraphProto)}
    text = f"{op} {since}: {opset} -> {target} {shown or ''}"
    model, feeds = make_model(one, opset)
    moves = opset < since <= target
    if one.refused and moves:
        written, message = quantize(model, folder, dtype)
        check(written is None and one.refused in message and f"needs operator set {target}, but the model has {opset}" in
              message, f"{text} refused: {message.strip()[-160:]}")
        return
    if one.refused:
        return  # older forms of refused nodes are often not run by ONNX Runtime either
    wanted = run(model, feeds)
    model, feeds = make_model(one, opset, wanted)
    written, notes = quantize(model, folder, dtype)
    if written is None:
        return check(False, f"{text}: {notes}")
    if one.typed:  # the checker demands shapes
        onnx.checker.check_model(written, full_check=True)
    versions = [entry.version for entry in written.opset_import if entry.domain == ""]
    rewritten = old_nodes(one, model) != old_nodes(one, written)
    got = run(written, feeds)
    check(versions == [target] and same_bits(one, wanted, got), f"{text}: equal bits")
    later = any(row_op == node[0] and opset < row_since <= target for row_op, row_since in TABLE for node in one.nodes
                if (row_op, row_since) != one.row)
    if not later:
        check(rewritten == (moves and not one.kept), f"{text}: {'rewritten' if rewritten else 'kept'}")
    converted = agrees_with_converter(one, model, target, wanted, feeds)
    CONVERTED[converted] = CONVERTED.get(converted, 0) + 1
    check(converted is not False or one.row[0] in WRONG_IN_CONVERTER, f"{text}: version_converter agrees, or cannot")


def table():
    return {(op, int(since)) for op, since in re.findall(r'\{"(\w+)", (\d+),', HEADER.read_text())}


def test_history():
    """No change in the schemas is unknown: each is a row of the table or listed as harmless, and none is both."""
    same = {(words[0], int(since)) for words in (entry.split() for entry in SAME.split(";")) for since in words[1:]}
    history = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            history.setdefault(schema.name, []).append(schema.since_version)
    changed = {(op, since) for op, versions in history.items() for since in versions
               if OLDEST < since <= NEWEST and since > min(versions)}
    check(changed == TABLE | same, f"every change is known; missing: {sorted(changed - TABLE - same)}, "
                                   f"invented: {sorted((TABLE | same) - changed)}")
    check(not TABLE & same, f"no change is both: {sorted(TABLE & same)}")
    cases = {one.row for one in CASES if not one.kept} - {("nested", 13), ("function", 18)}
    check(cases == TABLE, f"every row has a case; missing: {sorted(TABLE - cases)}, invented: {sorted(cases - TABLE)}")


TABLE = table()
CONVERTED = {}
add_cases()
add_nested_cases()
add_function_case()
test_history()
with tempfile.TemporaryDirectory() as scratch:
    for one_case in CASES:
        for one_opset in one_case.opsets:
            for one_dtype, one_target in TARGETS.items():
                if one_opset < one_target:
                    try:
                        test_case(one_case, one_opset, one_dtype, Path(scratch))
                    except Exception as error:  # pylint: disable=broad-exception-caught  (the next case runs)
                        check(False, f"{one_case.row} {one_opset} {one_case.nodes[-1][3].keys()}: {str(error)[-300:]}")
print(f"version_converter: {CONVERTED}")
print(f"{len(failures)} failed")
sys.exit(bool(failures))
