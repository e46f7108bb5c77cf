#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""levels_test.py QUANTIZE_MODEL

ONNX Runtime gives the same answer at each of its optimization levels: one graph with a branch for every neighbour that its
fusions look at, quantized in every way.
"""
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from artifacts import LEVELS, calibrate, check, failures, quantize, run, sqnr

GENERATOR = np.random.default_rng(3)
FEEDS = {"x": GENERATOR.standard_normal((16, 8), np.float32), "image": GENERATOR.standard_normal((4, 4, 6, 6), np.float32),
         "steps": GENERATOR.standard_normal((3, 5, 8), np.float32)}
# dtype of weights/inputs, granularity, whether inputs are quantized
WAYS = (("int8", "default", True), ("int8", "per_tensor", True), ("fp8_e4m3fn", "default", True), ("fp8_e5m2", "per_channel", True),
        ("native/int8", "default", True), ("native/fp8_e4m3fn", "default", True), ("int8/fp8_e4m3fn", "default", True),
        ("fp8_e5m2/int8", "default", True), ("int8", "default", False), ("int8", "per_tensor", False),
        ("fp8_e4m3fn", "default", False), ("fp8_e5m2", "default", False))
# The differences that are allowed: float sums in another order may cross the middle between two codes, and ONNX Runtime
# rounds a bias of int8 layers to int32. Errors of quantization are 20 to 45 dB below the values.
LEAST = 40
LEAST_OF_FP8_AT_BASIC = 120  # no kernel of fp8 layers wants another bias, and no other kernel is used at that level


class Graph:
    def __init__(self):
        self.nodes, self.constants, self.outputs = [], [], []

    def name(self, start):
        return f"{start}_{len(self.nodes) + len(self.constants)}"

    def constant(self, values):
        self.constants.append(numpy_helper.from_array(np.asarray(values), self.name("constant")))
        return self.constants[-1].name

    def weight(self, *shape, dtype=np.float32):
        return self.constant((GENERATOR.standard_normal(shape) * 0.4).astype(dtype))

    def __getattr__(self, op_type):
        def add(*inputs, **attributes):
            output = self.name(op_type)
            self.nodes.append(helper.make_node(op_type, inputs, [output], output, **attributes))
            return output
        return add

    def branch(self, title, tensor, rank):
        self.nodes.append(helper.make_node("Identity", [tensor], [title]))
        self.outputs.append(helper.make_tensor_value_info(title, TensorProto.FLOAT, [None] * rank))

    def save(self, path, opset):
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *values.shape[1:]]) for name, values in FEEDS.items()]
        graph = helper.make_graph(self.nodes, "branches", inputs, self.outputs, self.constants)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10 if opset > 20 else 9), path)


def activations(g):
    return {"nothing": lambda x: x, "Relu": g.Relu, "Sigmoid": g.Sigmoid, "LeakyRelu": g.LeakyRelu, "HardSwish": g.HardSwish,
            "Tanh": g.Tanh, "Gelu": g.Gelu, "Softmax": g.Softmax, "SiLU": lambda x: g.Mul(x, g.Sigmoid(x)),
            "Clip": lambda x: g.Clip(x, g.constant(np.float32(0)), g.constant(np.float32(6))),
            "Clip from 0": lambda x: g.Clip(x, g.constant(np.float32(0))),
            "Clip to 1": lambda x: g.Clip(x, g.constant(np.float32(-1)), g.constant(np.float32(1)))}


def layers(g):
    """(function of (x, biased), input) by name."""
    def bias(n, biased):
        return [g.weight(n)] if biased else []

    def matmul(x, biased):
        return g.Add(g.MatMul(x, g.weight(8, 8)), g.weight(8)) if biased else g.MatMul(x, g.weight(8, 8))
    return {"MatMul": (matmul, "x"), "MatMul of steps": (matmul, "steps"),
            "Gemm": (lambda x, biased: g.Gemm(x, g.weight(8, 8), *bias(8, biased)), "x"),
            "Gemm, transB": (lambda x, biased: g.Gemm(x, g.weight(8, 8), *bias(8, biased), transB=1), "x"),
            "Conv": (lambda x, biased: g.Conv(x, g.weight(4, 4, 3, 3), *bias(4, biased), pads=[1] * 4), "image"),
            "depthwise": (lambda x, biased: g.Conv(x, g.weight(4, 1, 3, 3), *bias(4, biased), pads=[1] * 4, group=4), "image"),
            "ConvTranspose": (lambda x, biased: g.ConvTranspose(x, g.weight(4, 4, 3, 3), *bias(4, biased), pads=[1] * 4), "image")}


def add_pairs(g):
    """Each layer, each activation, the layer again; without and with biases."""
    for layer, (apply, source) in layers(g).items():
        for activation, between in activations(g).items():
            for biased in (False, True):
                if biased and activation not in ("nothing", "Relu", "Clip", "LeakyRelu"):
                    continue
                tensor = apply(between(apply(source, biased)), biased)
                g.branch(f"{layer}, {activation}, {biased}", tensor, FEEDS[source].ndim)


def add_between(g):
    """What may stand between two layers."""
    conv, matmul = layers(g)["Conv"][0], layers(g)["MatMul"][0]
    image = {"MaxPool": lambda x: g.MaxPool(x, kernel_shape=[2, 2]), "AveragePool": lambda x: g.AveragePool(x, kernel_shape=[2, 2]),
             "GlobalAveragePool": g.GlobalAveragePool, "MaxPool of Relu": lambda x: g.MaxPool(g.Relu(x), kernel_shape=[2, 2]),
             "residual": lambda x: g.Add(conv(x, True), x), "residual, Relu": lambda x: g.Relu(g.Add(conv(x, False), x)),
             "InstanceNormalization": lambda x: g.InstanceNormalization(x, g.weight(4), g.weight(4)),
             "Resize": lambda x: g.Resize(x, "", g.constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest"),
             "Pad": lambda x: g.Pad(x, g.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1])))}
    for title, between in image.items():
        for biased in (False, True):
            g.branch(f"Conv, {title}, {biased}", conv(between(conv("image", biased)), biased), 4)
    g.branch("MaxPool, Neg", g.Neg(image["MaxPool"](conv("image", True))), 4)
    g.branch("MaxPool alone", image["MaxPool"]("image"), 4)
    g.branch("Concat", g.Conv(g.Concat(conv("image", False), conv("image", False), axis=1), g.weight(4, 8, 1, 1)), 4)
    g.branch("Flatten", g.Gemm(g.Flatten(conv("image", False)), g.weight(8, 144), g.weight(8), transB=1), 2)
    g.branch("Transpose", g.MatMul(g.Transpose(g.Relu(conv("image", False)), perm=[0, 2, 3, 1]), g.weight(4, 8)), 4)
    g.branch("LayerNormalization", matmul(g.LayerNormalization(g.Add(matmul("steps", True), "steps"), g.weight(8), g.weight(8)), True), 3)
    g.branch("Mul", matmul(g.Mul(matmul("x", False), matmul("x", False)), False), 2)
    shared = g.Relu(matmul("x", False))
    g.branch("shared", g.Add(matmul(shared, False), g.Tanh(shared)), 2)
    g.branch("alpha and beta", g.Gemm(layers(g)["Gemm"][0]("x", True), g.weight(8, 8), g.weight(8), alpha=0.5, beta=2.0), 2)


def add_carried_weights(g):
    """Weights that a Transpose brings, whose DequantizeLinear is moved behind it; and one that two layers share."""
    def turned():
        return g.Transpose(g.weight(8, 8), perm=[1, 0])
    g.branch("carried, MatMul", g.MatMul(g.Relu(g.MatMul("x", turned())), turned()), 2)
    g.branch("carried, Gemm", g.Gemm(g.Relu(g.Gemm("x", turned(), g.weight(8))), turned(), g.weight(8), transB=1), 2)
    tied = g.weight(8, 8)
    g.branch("tied", g.MatMul(g.Relu(g.MatMul("x", tied)), tied), 2)


def add_dead_channels(g):
    """Channels whose weights are zero, or all but: their scales are no measure for a bias that is rounded to int32."""
    def dead(shape, axis, factor):
        values = GENERATOR.standard_normal(shape).astype(np.float32) * 0.01
        np.moveaxis(values, axis, 0)[1] *= factor
        return g.constant(values)

    def bias(n):
        return g.constant(np.linspace(0.7, -0.9, n).astype(np.float32))

    def picked(shape, axis):
        """The weights of a layer that looks at channel 1 alone."""
        values = np.zeros(shape, np.float32)
        np.moveaxis(values, axis, 0)[1] = 0.4
        return g.constant(values)
    ten = g.constant(np.float32(10))
    image, vector = g.Mul("image", ten), g.Mul("x", ten)
    for factor in (np.float32(1e-9), np.float32(0)):
        for title, tensor in (("Conv", g.Conv(image, dead((4, 4, 3, 3), 0, factor), bias(4))),
                              ("ConvTranspose", g.ConvTranspose(image, dead((4, 4, 3, 3), 1, factor), bias(4)))):
            g.branch(f"dead by {factor}, {title}", g.Conv(g.Relu(tensor), picked((4, 4, 1, 1), 1)), 4)
        for title, tensor in (("Gemm", g.Gemm(vector, dead((8, 8), 1, factor), bias(8))),
                              ("transB", g.Gemm(vector, dead((8, 8), 0, factor), bias(8), transB=1)),
                              ("MatMul", g.Add(g.MatMul(vector, dead((8, 8), 1, factor)), bias(8)))):
            g.branch(f"dead by {factor}, {title}", g.Gemm(g.Relu(tensor), picked((8, 8), 0)), 2)
    half, double = np.linspace(0.7, -0.9, 4).astype(np.float16), np.linspace(0.7, -0.9, 4)
    for title, tensor in (("Add", g.Add(bias(4), bias(4))), ("half", g.Cast(g.constant(half), to=TensorProto.FLOAT)),
                          ("double", g.Cast(g.constant(double), to=TensorProto.FLOAT)),
                          ("Reshape", g.Reshape(g.Unsqueeze(bias(4), g.constant(np.array([0]))), g.constant(np.array([-1]))))):
        dead_layer = g.Conv(image, dead((4, 4, 3, 3), 0, np.float32(1e-9)), tensor)
        g.branch(f"dead, bias by {title}", g.Conv(g.Relu(dead_layer), picked((4, 4, 1, 1), 1)), 4)


def add_halves(g):
    half = np.float16
    for activation in ("nothing", "Relu", "Sigmoid", "Clip"):
        def between(x, word=activation):
            if word == "Clip":
                return g.Clip(x, g.constant(half(0)), g.constant(half(6)))
            return activations(g)[word](x)
        x, image = g.Cast("x", to=TensorProto.FLOAT16), g.Cast("image", to=TensorProto.FLOAT16)
        for title, tensor, rank in (
                ("MatMul", g.MatMul(between(g.MatMul(x, g.weight(8, 8, dtype=half))), g.weight(8, 8, dtype=half)), 2),
                ("Gemm", g.Gemm(between(g.Gemm(x, g.weight(8, 8, dtype=half))), g.weight(8, 8, dtype=half), transB=1), 2),
                ("Conv", g.Conv(between(g.Conv(image, g.weight(4, 4, 3, 3, dtype=half))), g.weight(4, 4, 3, 3, dtype=half)), 4)):
            g.branch(f"half {title}, {activation}", g.Cast(tensor, to=TensorProto.FLOAT), rank)
    tied = g.weight(8, 8, dtype=half)
    both = g.Add(g.MatMul(x, tied), g.Gemm(x, tied, g.weight(8, dtype=half), transB=1))
    g.branch("half, tied by MatMul and Gemm", g.Cast(both, to=TensorProto.FLOAT), 2)


def check_levels(source, target, names, ways):
    amax = calibrate(source, FEEDS)
    for dtype, granularity, is_static in ways:
        way = f"{source.stem}, {dtype} {granularity} {'static' if is_static else 'weight-only'}"
        quantize(source, target, "modelopt" if is_static else "torchao", dtype, granularity, amax if is_static else ())
        answers = {level: run(target, FEEDS, level) for level in LEVELS}
        for level in list(LEVELS)[1:]:
            apart = {name: sqnr(one, other) for name, one, other in zip(names, answers["disabled"], answers[level])}
            worst = min(apart, key=apart.get)
            least = LEAST_OF_FP8_AT_BASIC if "fp8" in dtype and level == "basic" else LEAST
            wrong = [f"{name}: {apart[name]:.1f} dB" for name in names if not apart[name] >= least]
            check(not wrong, f"{way}, level {level}: {len(names)} branches, at least {apart[worst]:.0f} dB alike ({worst}) {wrong}")


def main(folder):
    g = Graph()
    for add in (add_pairs, add_between, add_carried_weights, add_dead_channels, add_halves):
        add(g)
    names = [output.name for output in g.outputs]
    # From operator set 21 on the optimizer writes other nodes: fp8 is moved there, int8 is not.
    for opset, ways in ((20, WAYS), (22, [way for way in WAYS if way[0].endswith("int8")])):
        source = folder / f"operator set {opset}.onnx"
        g.save(source, opset)
        check_levels(source, folder / "quantized.onnx", names, ways)


with tempfile.TemporaryDirectory() as scratch:
    main(Path(scratch))
print(f"{len(failures)} failed")
sys.exit(bool(failures))
