#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make.py FOLDER: writes the small odd models beside it, with the PyPI packages onnx and numpy.

The good ones pass the checker of onnx. The bad ones have a name that starts with bad_.
"""
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(sys.argv[1])
GENERATOR = np.random.default_rng(7)


def weight(name, *shape, dtype=np.float32):
    return numpy_helper.from_array(GENERATOR.standard_normal(shape).astype(dtype), name)


def value(name, *shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, list(shape))


def model(nodes, inputs, outputs, initializers=(), opset=19, ir=9, **others):
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(initializers), **others)
    return helper.make_model(graph, ir_version=ir, opset_imports=[helper.make_opsetid("", opset)], producer_name="make.py")


def save(name, made):
    if not name.startswith("bad_"):
        onnx.checker.check_model(made)
    (FOLDER / f"{name}.onnx").write_bytes(made.SerializeToString(deterministic=True))


node = helper.make_node


def layers():
    """Every class of layer, and every way in which a weight reaches one."""
    nodes = [
        node("Conv", ["x1", "conv1d.weight"], ["c1"], "c1"),
        node("Conv", ["x2", "features.conv2d.weight", "features.conv2d.bias"], ["c2"], "c2"),
        node("Conv", ["x3", "conv3d.weight"], ["c3"], "c3"),
        node("ConvTranspose", ["x1", "up1d.weight"], ["u1"], "u1"),
        node("ConvTranspose", ["x2", "up2d.weight"], ["u2"], "u2", group=2),
        node("ConvTranspose", ["x3", "up3d.weight"], ["u3"], "u3"),
        node("MaxPool", ["c2"], ["p1"], kernel_shape=[2, 2]),
        node("AveragePool", ["c1"], ["p2"], "mean1d", kernel_shape=[2]),
        node("GlobalAveragePool", ["c3"], ["p3"], "mean3d"),
        node("BatchNormalization", ["p1", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"], ["n1"], "bn_node"),
        node("InstanceNormalization", ["u1", "in.weight", "in.bias"], ["n2"], "in_node"),
        node("LeakyRelu", ["n1"], ["r1"], "leaky"),
        node("GlobalAveragePool", ["r1"], ["g1"], "mean2d"),
        node("Flatten", ["g1"], ["f1"]),
        # a Gemm in both layouts; a MatMul; the same weight by other ways
        node("Gemm", ["f1", "fc.weight", "fc.bias"], ["y1"], "fc_node", transB=1),
        node("Gemm", ["f1", "fc_in_out.weight"], ["y2"], "fc2_node"),
        node("MatMul", ["f1", "mm"], ["y3"], "mm_node"),
        node("Transpose", ["turned.weight"], ["turned_t"], "turn", perm=[1, 0]),
        node("MatMul", ["f1", "turned_t"], ["y4"], "turned_node"),
        node("Constant", [], ["fixed"], "fixed_node", value=weight("", 4, 3)),
        node("MatMul", ["f1", "fixed"], ["y5"], "fixed_mm"),
        node("Identity", ["kept.weight"], ["kept_i"]),
        node("Cast", ["kept_i"], ["kept_c"], to=TensorProto.FLOAT),
        node("MatMul", ["f1", "kept_c"], ["y6"], "kept_mm"),
        node("MatMul", ["f1", "onnx::MatMul_77"], ["y7"], "/encoder/query/MatMul"),
        # the same weight twice: one layer
        node("MatMul", ["y3", "square.weight"], ["s1"], "first"),
        node("MatMul", ["s1", "square.weight"], ["s2"], "second"),
        # no layer: two inputs that vary; and a constant on the left
        node("MatMul", ["s2t", "s2"], ["v1"], "varying"),
        node("MatMul", ["left", "s2t"], ["v2"], "left_node"),
    ]
    nodes.insert(-2, node("Transpose", ["s2"], ["s2t"], perm=[1, 0]))
    initializers = [
        weight("conv1d.weight", 6, 2, 3), weight("features.conv2d.weight", 4, 2, 3, 3), weight("features.conv2d.bias", 4),
        weight("conv3d.weight", 3, 2, 1, 1, 1), weight("up1d.weight", 2, 5, 3), weight("up2d.weight", 2, 3, 2, 2),
        weight("up3d.weight", 2, 3, 1, 1, 1),
        *(weight(f"bn.{part}", 4) for part in ("weight", "bias", "running_mean")),
        numpy_helper.from_array(np.ones(4, np.float32), "bn.running_var"),
        weight("in.weight", 5), weight("in.bias", 5),
        weight("fc.weight", 7, 4), weight("fc.bias", 7), weight("fc_in_out.weight", 4, 6), weight("mm", 4, 3),
        weight("turned.weight", 3, 4), weight("kept.weight", 4, 3, dtype=np.float16), weight("onnx::MatMul_77", 4, 3),
        weight("square.weight", 3, 3), weight("left", 2, 3),
    ]
    outputs = [*(f"y{i}" for i in range(1, 8)), "n2", "p2", "p3", "u2", "u3", "v1", "v2"]
    made = model(nodes, [value("x1", 1, 2, 9), value("x2", 1, 2, 8, 8), value("x3", 1, 2, 2, 2, 2)],
                 [onnx.ValueInfoProto(name=name) for name in outputs], initializers)
    inferred = onnx.shape_inference.infer_shapes(made)
    made.graph.ClearField("output")
    made.graph.output.extend(inferred.graph.output)
    save("layers", made)


def bodies():
    """An If whose branches hold a layer of their own and use a weight of the graph around them."""
    then = helper.make_graph([node("MatMul", ["h", "shared.weight"], ["t"])], "then", [], [value("t", "N", 3)])
    inner = helper.make_graph([node("Add", ["h", "h"], ["d"])], "inner", [], [value("d", "N", 3)])
    orelse = helper.make_graph(
        [node("MatMul", ["h", "own"], ["m"]), node("If", ["flag"], ["e"], then_branch=inner, else_branch=inner)],
        "else", [], [value("e", "N", 3)], [weight("own", 3, 3)])
    nodes = [node("MatMul", ["x", "shared.weight"], ["h"], "before"),
             node("If", ["flag"], ["y"], "choose", then_branch=then, else_branch=orelse)]
    save("bodies", model(nodes, [value("x", "N", 3), value("flag", dtype=TensorProto.BOOL)], [value("y", "N", 3)],
                         [weight("shared.weight", 3, 3)]))


def stored():
    """Each way to store values: raw, and in each of the typed lists."""
    typed = [("f32", TensorProto.FLOAT, [1.5, -2.25, 3e-40]), ("f64", TensorProto.DOUBLE, [1.5, -2.25, 1e300]),
             ("i64", TensorProto.INT64, [-1, 2**62, 3]), ("u64", TensorProto.UINT64, [2**63, 1, 2]),
             ("u32", TensorProto.UINT32, [2**32 - 1, 1, 2]), ("i32", TensorProto.INT32, [-1, 2**31 - 1, -2**31]),
             ("i16", TensorProto.INT16, [-1, 300, 2]), ("i8", TensorProto.INT8, [-128, 127, -1]),
             ("u8", TensorProto.UINT8, [255, 0, 7]), ("flag", TensorProto.BOOL, [True, False, True])]
    initializers = [helper.make_tensor(name, kind, [3], values) for name, kind, values in typed]
    for name, kind, numbers in (("f16", TensorProto.FLOAT16, [0x3c00, 0xc000, 0x7c00]),
                                ("bf16", TensorProto.BFLOAT16, [0x3f80, 0xc000, 0x7f80]),
                                ("e4m3", TensorProto.FLOAT8E4M3FN, [0x38, 0xb8, 0x7e]), ("i4", TensorProto.INT4, [0x7f, 0x08])):
        tensor = TensorProto(name=name, data_type=kind, dims=[3], int32_data=numbers)
        initializers.append(tensor)
    initializers.append(helper.make_tensor("words", TensorProto.STRING, [2], [b"a", b"bc"]))
    initializers.append(weight("raw", 2, 3))
    initializers.append(helper.make_tensor("none", TensorProto.FLOAT, [0, 4], []))
    constants = [node("Constant", [], ["one"], value_float=1.5), node("Constant", [], ["ones"], value_floats=[1.5, 2.5]),
                 node("Constant", [], ["whole"], value_int=-7), node("Constant", [], ["wholes"], value_ints=[1, -2]),
                 node("Constant", [], ["word"], value_string="a"), node("Identity", ["raw"], ["y"])]
    save("stored", model(constants, [], [value("y", 2, 3)], initializers, opset=21, ir=10))


def external():
    """Two tensors in one file beside the model, and a small one within it."""
    made = model([node("Gemm", ["x", "a.weight", "bias"], ["h"], "a", transB=1), node("MatMul", ["h", "b.weight"], ["y"], "b")],
                 [value("x", "N", 4)], [value("y", "N", 3)], [weight("a.weight", 8, 4), weight("b.weight", 8, 3), weight("bias", 8)])
    data = b""
    for tensor in made.graph.initializer[:2]:
        data += b"\0" * (-len(data) % 4096)
        onnx.external_data_helper.set_external_data(tensor, "external.data", len(data), len(tensor.raw_data))
        data += tensor.raw_data
        tensor.ClearField("raw_data")
    (FOLDER / "external.data").write_bytes(data)
    (FOLDER / "external.onnx").write_bytes(made.SerializeToString(deterministic=True))
    for name, location in (("up", "../external.data"), ("inside_up", "a/../../external.data"), ("root", "/etc/passwd"),
                           ("missing", "other.data"), ("folder", ".")):
        made.graph.initializer[0].external_data[0].value = location
        save(f"bad_external_{name}", made)
    made.graph.initializer[0].external_data[0].value = "external.data"
    made.graph.initializer[0].external_data[1].value = "99999"
    save("bad_external_offset", made)
    made.graph.initializer[0].external_data[1].value = "-1"
    save("bad_external_number", made)


def old():
    """Files of older exporters: initializers that are inputs too, and operators that have changed since."""
    linear = [node("MatMul", ["x", "w"], ["y"], "fc")]
    w = weight("w", 3, 3)
    save("ir3_opset9", model(linear, [value("x", "N", 3), value("w", 3, 3)], [value("y", "N", 3)], [w], opset=9, ir=3))
    save("opset13", model(linear, [value("x", "N", 3)], [value("y", "N", 3)], [w], opset=13, ir=7))
    softmax = linear[:] + [node("Softmax", ["y"], ["z"], "soft")]
    save("opset11_softmax", model(softmax, [value("x", "N", 3)], [value("z", "N", 3)], [w], opset=11, ir=6))
    reduce = linear[:] + [node("ReduceMean", ["y"], ["z"], "mean", axes=[1])]
    save("opset13_reduce_mean", model(reduce, [value("x", "N", 3)], [value("z", "N", 1)], [w], opset=13, ir=7))
    for name, kind, numpy_kind in (("half", TensorProto.FLOAT16, np.float16), ("double", TensorProto.DOUBLE, np.float64)):
        save(name, model([node("Gemm", ["x", "w.weight", "b"], ["h"], "fc", transB=1), node("MaxPool", ["x4"], ["p"], "pool", kernel_shape=[2, 2])],
                         [value("x", "N", 4, dtype=kind), value("x4", 1, 1, 4, 4, dtype=kind)],
                         [value("h", "N", 3, dtype=kind), value("p", 1, 1, 3, 3, dtype=kind)],
                         [weight("w.weight", 3, 4, dtype=numpy_kind), weight("b", 3, dtype=numpy_kind)], opset=17, ir=8))


def shared():
    """Tied weights: a table that is looked up and multiplied by; a tensor that two layers, a Relu and the outside use."""
    nodes = [node("Gather", ["table.weight", "ids"], ["h"], "look_up"),
             node("Gemm", ["h", "a.weight"], ["a"], "a", transB=1), node("Gemm", ["h", "b.weight"], ["b"], "b", transB=1),
             node("Relu", ["h"], ["r"], "relu"), node("Add", ["a", "b"], ["s"]), node("Add", ["s", "r"], ["t"]),
             node("Gemm", ["t", "table.weight"], ["logits"], "head", transB=1),
             node("MatMul", ["t", "both.weight"], ["m"], "by_matmul"), node("Gemm", ["m", "both.weight"], ["g"], "by_gemm")]
    save("shared", model(nodes, [value("ids", "N", dtype=TensorProto.INT64)],
                         [value("logits", "N", 9), value("g", "N", 4), value("h", "N", 4)],
                         [weight("table.weight", 9, 4), weight("a.weight", 4, 4), weight("b.weight", 4, 4),
                          weight("both.weight", 4, 4), weight("h_scale", 1), weight("a.weight_quantized", 1)]))


def bad():
    x, y, w = value("x", "N", 3), value("y", "N", 3), weight("fc.weight", 3, 3)
    fc = node("MatMul", ["x", "fc.weight"], ["h"], "fc")
    save("bad_missing", model([node("MatMul", ["x", "fc.wieght"], ["y"], "fc")], [x], [y], [w]))
    save("bad_output", model([fc], [x], [y], [w]))
    save("bad_cycle", model([node("Add", ["x", "b"], ["a"], "first"), node("Relu", ["a"], ["b"], "second"),
                             node("MatMul", ["a", "fc.weight"], ["y"], "fc")], [x], [y], [w]))
    save("bad_self", model([node("Add", ["x", "y"], ["y"])], [x], [y]))
    save("bad_order", model([node("Relu", ["h"], ["y"], "act"), fc], [x], [y], [w]))
    save("bad_twice", model([fc, node("Relu", ["x"], ["h"]), node("Relu", ["h"], ["y"])], [x], [y], [w]))
    inner = helper.make_graph([node("Relu", ["nowhere"], ["t"])], "then", [], [value("t", "N", 3)])
    save("bad_body", model([node("If", ["flag"], ["y"], "choose", then_branch=inner, else_branch=inner)],
                           [value("flag", dtype=TensorProto.BOOL)], [y]))
    for name, dims in (("bad_short", [3, 4]), ("bad_negative", [-3, -3]), ("bad_absurd", [2**62, 2**62, 3])):
        tensor = TensorProto()
        tensor.CopyFrom(w)
        del tensor.dims[:]
        tensor.dims.extend(dims)
        save(name, model([node("MatMul", ["x", "fc.weight"], ["y"], "fc")], [x], [y], [tensor]))
    mixed = TensorProto(name="fc.weight", data_type=TensorProto.FLOAT, dims=[2], int64_data=[1, 2])
    save("bad_field", model([node("Add", ["x", "fc.weight"], ["y"], "add")], [x], [y], [mixed]))
    for name, op, shape in (("bad_conv_rank", "Conv", (3, 3)), ("bad_gemm_rank", "Gemm", (3, 3, 3))):
        save(name, model([node(op, ["x", "fc.weight"], ["y"], "fc")], [x], [y], [weight("fc.weight", *shape)]))


def outputs():
    """A weight and the input of a layer that are outputs too; a weight of three layers; declarations of tensors that do not
    exist, by names that quantization likes to use."""
    nodes = [node("Relu", ["x"], ["h"], "relu"), node("MatMul", ["h", "tied.weight"], ["m"], "first"),
             node("Gemm", ["m", "tied.weight"], ["n"], "second", transB=1), node("Gemm", ["n", "tied.weight"], ["y"], "third"),
             node("MatMul", ["h", "seen.weight"], ["z"], "fourth")]
    stale = [value("tied.weight_dequantized", 3, 5), value("h_quantized", 9, dtype=TensorProto.INT64), value("h_dequantized", 9)]
    save("outputs", model(nodes, [value("x", "N", 8)],
                          [value("y", "N", 8), value("z", "N", 5), value("h", "N", 8), value("seen.weight", 8, 5)],
                          [weight("tied.weight", 8, 8), weight("seen.weight", 8, 5)], value_info=stale))


def integers():
    """Layers that compute on codes, in the forms that other tools write, and one that is still float."""
    constants = {"scale": np.float32(0.5), "zero": np.int8(0), "conv.weight_quantized": np.ones((2, 1, 3, 3), np.int8),
                 "conv2.weight_quantized": np.ones((2, 2, 3, 3), np.int8), "fc.weight": np.ones((2, 4), np.int8),
                 "fc2.weight": np.ones((4, 4), np.int8)}
    nodes = [node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
             node("QLinearConv", ["q", "scale", "zero", "conv.weight_quantized", "scale", "zero", "scale", "zero"], ["c"], "conv"),
             node("ConvInteger", ["c", "conv2.weight_quantized"], ["i"], "conv2"),
             node("Cast", ["i"], ["f"], to=TensorProto.FLOAT), node("GlobalMaxPool", ["f"], ["p"]), node("Flatten", ["p"], ["v"]),
             node("QuantizeLinear", ["v", "scale", "zero"], ["vq"]),
             node("QLinearMatMul", ["vq", "scale", "zero", "fc.weight", "scale", "zero", "scale", "zero"], ["m"], "fc"),
             node("MatMulInteger", ["m", "fc2.weight"], ["n"], "fc2"), node("Cast", ["n"], ["g"], to=TensorProto.FLOAT),
             node("MatMul", ["g", "head.weight"], ["y"], "head")]
    save("integers", model(nodes, [value("x", "N", 1, 8, 8)], [value("y", "N", 3)],
                           [*(numpy_helper.from_array(np.array(v), name) for name, v in constants.items()), weight("head.weight", 4, 3)]))


def shared_constant():
    """A table that is looked up and multiplied by, and that a Constant node makes."""
    nodes = [node("Constant", [], ["table"], value=weight("table", 9, 9)), node("Gather", ["table", "ids"], ["h"]),
             node("MatMul", ["h", "table"], ["y"])]
    save("shared_constant", model(nodes, [value("ids", "N", dtype=TensorProto.INT64)], [value("y", "N", 9)]))


for make in (layers, bodies, stored, external, old, shared, bad, outputs, integers, shared_constant):
    make()
