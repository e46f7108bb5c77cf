#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""engines_test.py RUN_GRAPHS HAS_OPENVINO
Both engines beside ONNX Runtime on graphs of one operator, edge cases included: an engine gives the same numbers or
refuses by name. What OpenVINO gets wrong is refused with the words given here, and nothing else is.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

RUN_GRAPHS, HAS_OPENVINO = Path(sys.argv[1]).resolve(), sys.argv[2] == "1"
random = np.random.default_rng(9)
folder = Path(tempfile.mkdtemp())
inputs, refused = {}, {}
BY_HAND = {  # where ONNX Runtime is no judge: it loses the first NaN, and refuses as much padding as a kernel has entries
    "max-nan": np.array([[[np.nan, np.nan, 3, 4, 5]]], np.float32),
    "max-dilated-far": np.array([[[-2, -3, -1, -2, -3]]], np.float32),
}


def normal(*shape):
    return random.standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def case(name, op, x, constants=None, opset=20, outputs=1, operands=None, openvino="", **attributes):
    """A graph of one operator; `operands` are its inputs where they are not x and the constants in their order, `openvino`
    what a refusal of OpenVINO says."""
    constants = constants or {}
    node = helper.make_node(op, operands or ["x", *constants], [f"y{i}" for i in range(outputs)], name="node", **attributes)
    graph = helper.make_graph(
        [node], name, [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
        [helper.make_empty_tensor_value_info(f"y{i}") for i in range(outputs)],
        [numpy_helper.from_array(np.asarray(value), constant) for constant, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.save(onnx.shape_inference.infer_shapes(model), folder / f"{name}.onnx")
    np.savez(folder / f"{name}.npz", x=x)
    inputs[name], refused[name] = x, openvino


def pools(image):
    """Below zero, so that padding is no maximum."""
    for strides in (1, 2, 3):
        for pads in ([0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 1], [1, 1, 0, 0], [2, 2, 2, 2]):
            for ceil in (0, 1):
                name = f"{strides}-{''.join(map(str, pads))}-{ceil}"
                how = {"kernel_shape": [3, 3], "strides": [strides] * 2, "pads": pads, "ceil_mode": ceil}
                late = "begin in the padding" if ceil and max(pads[2:]) + strides > 3 else ""
                case(f"max-{name}", "MaxPool", image, openvino=late, **how)
                case(f"average-{name}", "AveragePool", image, **how)
                case(f"average-pads-{name}", "AveragePool", image, count_include_pad=1,
                     openvino="count_include_pad" if ceil else "", **how)
    for dilation in (1, 2):
        case(f"max-dilated-{dilation}", "MaxPool", image, kernel_shape=[3, 2], dilations=[dilation] * 2, pads=[1, 1, 1, 1])
        case(f"average-dilated-{dilation}", "AveragePool", image, kernel_shape=[3, 2], dilations=[dilation] * 2, pads=[1, 1, 1, 1])
    # Dilated windows reach further than their entries: these begin before the padding, and reach out of it.
    case("max-dilated-ceil", "MaxPool", image, kernel_shape=[3, 2], dilations=[2, 3], strides=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1)
    case("max-dilated-far", "MaxPool", np.array([[[-1, -2, -3, -4]]], np.float32), kernel_shape=[2], dilations=[3], pads=[2, 2])
    for padding in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        for op in ("MaxPool", "AveragePool"):
            case(f"{op}-{padding}", op, image, kernel_shape=[2, 3], strides=[2, 2], auto_pad=padding)
    case("lp", "LpPool", image, kernel_shape=[3, 3], strides=[2, 2])
    case("lp-ceil", "LpPool", image, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, openvino="ceil_mode")
    case("max-indices", "MaxPool", image, kernel_shape=[2, 2], outputs=2)
    case("max-3d", "MaxPool", normal(1, 2, 5, 5, 5), kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    for op in ("MaxPool", "AveragePool"):
        case(f"far-{op}", op, image, kernel_shape=[2, 2], pads=[2, 0, 2, 0], openvino="the padding")
    case("max-nan", "MaxPool", np.array([[[1, np.nan, 2, 3, 4, 5]]], np.float32), kernel_shape=[2], openvino="not compared")


def convolutions(image):
    w, transposed = {"w": normal(4, 3, 2, 3)}, {"w": normal(3, 4, 2, 3)}
    case("conv-far", "Conv", image, w, pads=[5, 5, 5, 5])
    for padding in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        for strides in ([1, 1], [2, 2]):
            case(f"conv-{padding}-{strides[0]}", "Conv", image, w, auto_pad=padding, strides=strides)
            case(f"transposed-{padding}-{strides[0]}", "ConvTranspose", image, transposed, auto_pad=padding, strides=strides,
                 openvino="auto_pad" if padding != "VALID" else "")
    case("transposed", "ConvTranspose", image, transposed, output_padding=[1, 1], strides=[2, 2], pads=[1, 1, 0, 0])
    case("transposed-shape", "ConvTranspose", image, transposed, output_shape=[15, 13], strides=[2, 2], openvino="output_shape")


def products():
    case("matmul", "MatMul", normal(2, 3, 6), {"w": normal(2, 6, 4)})
    case("matmul-vector", "MatMul", normal(4, 6), {"w": normal(6)})
    case("gemm", "Gemm", normal(4, 6), {"w": normal(6, 4), "b": normal(4, 1)}, alpha=0.5, beta=0.25)


def elementwise():
    for op in ("Relu Sigmoid Tanh Erf Exp Abs Neg Floor Ceil Round Sign Softplus Softsign Elu Selu HardSwish Mish Gelu HardSigmoid "
               "ThresholdedRelu Celu LeakyRelu Sin Cos Atan Identity").split():
        case(op, op, np.concatenate([normal(3, 8) * 3, np.array([[0, -0.0, 0.5, -0.5, 1.5, 2.5, 60, -60]], np.float32)]))
    case("gelu-tanh", "Gelu", normal(3, 8), approximate="tanh")
    for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu"):
        case(op, op, normal(3, 8), {"b": normal(8)})
    for op in ("Div", "Mod"):
        case(f"{op}-integers", op, ints([7, -7, 5, -5, 0, 3]), {"b": ints(-3)})
    case("mod-c", "Mod", normal(3, 8), {"b": normal(8)}, fmod=1)
    case("clip", "Clip", normal(3, 8), {"b": np.float32(0.2)}, operands=["x", "", "b"])
    for op, opset, last in (("Softmax", 13, True), ("LogSoftmax", 13, True), ("Softmax", 11, False), ("LogSoftmax", 11, False),
                            ("Hardmax", 13, True), ("Hardmax", 11, False)):
        for axis in (0, 1, -1):
            case(f"{op}-{opset}-{axis}", op, normal(3, 4, 5), axis=axis, opset=opset,
                 openvino="" if last or axis == -1 else "before opset 13")


def reductions():
    for op in "Mean Sum Max Min Prod L1 L2 LogSum LogSumExp SumSquare".split():
        case(f"{op}-axes", f"Reduce{op}", abs(normal(3, 4, 5)), {"a": ints(1, -1)}, keepdims=0)
        case(f"{op}-none", f"Reduce{op}", abs(normal(3, 4, 5)), noop_with_empty_axes=1,
             openvino="noop_with_empty_axes" if op == "LogSum" else "")
    for axis in (1, -1):
        case(f"layer-norm{axis}", "LayerNormalization", normal(3, 4, 5) * 100, {"w": normal(*((4, 5) if axis == 1 else (5,)))}, axis=axis)
    case("layer-norm-constant", "LayerNormalization", np.full((3, 4, 5), 1000, np.float32), {"w": normal(5)})
    for last in (0, 1):
        case(f"arg-max-{last}", "ArgMax", np.array([[1, 3, 3, 0]], np.float32), axis=1, select_last_index=last)


def resizes(image):
    scales = {"s": np.array([1, 1, 1.7, 0.6], np.float32)}
    for mode in ("nearest", "linear", "cubic"):
        for transformation in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"):
            case(f"resize-{mode}-{transformation}", "Resize", image, scales, operands=["x", "", "s"], mode=mode,
                 coordinate_transformation_mode=transformation)
    case("resize-antialias", "Resize", image, scales, operands=["x", "", "s"], mode="linear", antialias=1, openvino="antialias")
    case("resize-inside", "Resize", image, scales, operands=["x", "", "s"], mode="cubic", exclude_outside=1, openvino="exclude_outside")
    regions = {"r": np.array([[0, 0, 3, 3]], np.float32), "b": ints(0)}
    case("roi", "RoiAlign", normal(1, 2, 6, 6), regions, output_height=2, output_width=2, opset=16, openvino="its samples")


def recurrent():
    for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        for direction in ("forward", "bidirectional"):
            count = 2 if direction == "bidirectional" else 1
            weights = {"w": normal(count, 4 * gates, 3), "r": normal(count, 4 * gates, 4), "b": normal(count, 8 * gates)}
            case(f"{op}-{direction}", op, normal(5, 2, 3), weights, outputs=2, hidden_size=4, direction=direction)
        case(f"{op}-lengths", op, normal(5, 2, 3), {**weights, "l": np.array([3, 5], np.int32)}, outputs=2, hidden_size=4,
             direction="bidirectional", openvino="sequence_lens")


def shapes():
    case("transpose", "Transpose", normal(2, 3, 4))
    case("flatten", "Flatten", normal(2, 3, 4), axis=-1)
    case("reshape", "Reshape", normal(2, 3, 4), {"s": ints(0, -1)})
    case("slice", "Slice", normal(2, 6, 4), {"s": ints(-1), "e": ints(-100), "a": ints(1), "t": ints(-2)})
    for mode in ("constant", "reflect", "edge"):
        case(f"pad-{mode}", "Pad", normal(2, 3, 5), {"p": ints(0, 0, 2, 0, 0, 1)}, mode=mode)
    case("pad-negative", "Pad", normal(2, 3, 5), {"p": ints(0, 0, -1, 0, 0, -2)})
    case("gather", "Gather", normal(2, 6), {"i": ints(-1, 0)}, axis=1)
    case("cumulated", "CumSum", normal(3, 5), {"a": ints(1)}, exclusive=1, reverse=1)
    case("top", "TopK", normal(3, 8), {"k": ints(4)}, outputs=2, largest=0)
    for mode in ("DCR", "CRD"):
        case(f"depth-{mode}", "DepthToSpace", normal(1, 8, 2, 3), blocksize=2, mode=mode)


def expected(name):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    if name.startswith("far-"):
        return []  # no engine may answer
    if name in BY_HAND:
        return [BY_HAND[name]]
    session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": inputs[name]})


def is_same(found, wanted):
    if found.shape != wanted.shape or found.dtype.kind != wanted.dtype.kind:
        return False
    if wanted.dtype.kind != "f":
        return np.array_equal(found, wanted)
    return np.allclose(found, wanted, rtol=1e-4, atol=1e-5 * max(1, np.nanmax(np.abs(wanted))), equal_nan=True)


def check(engine, answers):
    """Gives how many graphs the engine runs."""
    run = subprocess.run([RUN_GRAPHS, engine, folder], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, (engine, run.returncode, run.stderr)
    said = dict(line.split(": ", 1) if ": " in line else (line, "") for line in run.stdout.splitlines())
    wrong = [name for name in inputs if name not in said]
    ran = 0
    for name, error in said.items():
        why = refused[name] if engine == "openvino" else ""
        if why == "not compared":
            continue
        if engine == "openvino" and (why not in error if why else error):
            wrong.append(f"{name}: says {error!r}, not {why!r}")
        elif not error:
            ran += 1
            made = [np.load(folder / f"{name}.{i}.{engine}.npy") for i in range(len(answers[name]))]
            if not made or not all(map(is_same, made, answers[name])):
                wrong.append(f"{name}: other numbers than ONNX Runtime")
    assert not wrong, engine + ":\n" + "\n".join(wrong)
    return ran


def main():
    image = -abs(normal(2, 3, 7, 6)) - 1
    pools(image)
    convolutions(image)
    products()
    elementwise()
    reductions()
    resizes(image)
    recurrent()
    shapes()
    answers = {name: expected(name) for name in inputs}
    for engine, least in (("tiny", 35), ("openvino", 150)):
        if engine == "tiny" or HAS_OPENVINO:
            ran = check(engine, answers)
            print(f"{engine}: {ran} of {len(inputs)} graphs as ONNX Runtime, the rest refused")
            assert ran >= least, (engine, ran)


if __name__ == "__main__":
    main()
