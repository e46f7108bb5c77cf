#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""layers_test.py PTQ: whatever way a weight takes to its node, the plan names it, and the artifact computes with it.

One graph has a branch for each way, each with an output channel that is a thousand times smaller than the others. Artifacts
run in ONNX Runtime at every level; each channel of their weights is compared with the float one.
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

PTQ = sys.argv[1]
GENERATOR = np.random.default_rng(3)
IN, OUT = 16, 10
node = helper.make_node
failures = []


def check(condition, text):
    print("ok  " if condition else "FAIL", text)
    if not condition:
        failures.append(text)


def sqnr(wanted, got):
    wanted, got = np.asarray(wanted, np.float64), np.asarray(got, np.float64)
    noise = np.sum((wanted - got) ** 2)
    return float("inf") if noise == 0 else 10 * np.log10(np.sum(wanted ** 2) / noise)


def weight(shape, output_axis):
    values = GENERATOR.standard_normal(shape).astype(np.float32)
    values[(slice(None),) * output_axis + (-1,)] *= 1e-3
    return values


class Graph:
    """Branches from x [4, IN] and its transpose to outputs, which are named after their layers."""

    def __init__(self):
        self.nodes = [node("Transpose", ["x"], ["xt"], perm=[1, 0]), node("Unsqueeze", ["x", "two"], ["x3"])]
        self.constants = {"two": np.array([2])}
        self.axes = {}  # layer -> axis of output channels in the constant's own layout
        self.reasons = {}  # layer -> what its reason holds

    def weight(self, layer, shape, axis):
        self.constants[f"{layer}.weight"] = weight(shape, axis)
        return f"{layer}.weight"

    def product(self, layer, shape, axis, *steps, op="MatMul", left=False, source="x", **attributes):
        """A node with a constant that goes through `steps`: (operator, integers of its second input, attributes)."""
        name = self.weight(layer, shape, axis)
        for i, (step, numbers, others) in enumerate(steps):
            inputs = [name]
            if numbers is not None:
                self.constants[f"{layer}.{i}"] = np.array(numbers, np.int64)
                inputs.append(f"{layer}.{i}")
            name = f"{layer}_step{i}"
            self.nodes.append(node(step, inputs, [name], f"{layer}_{step}", **others))
        operands = [name, "xt"] if left else [source, name]
        domain = "com.microsoft" if op == "FusedMatMul" else ""
        self.nodes.append(node(op, operands, [layer], f"{layer}_node", domain=domain, **attributes))
        self.axes[layer] = axis

    def leave(self, layer, reason, op, inputs, **attributes):
        self.nodes.append(node(op, inputs, [layer], layer, **attributes))
        self.reasons[layer] = reason

    def save(self, path):
        outputs = [*self.axes, *self.reasons]
        graph = helper.make_graph(
            self.nodes, "graph", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, IN])],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()])
        made = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17),
                                                                     helper.make_opsetid("com.microsoft", 1)])
        del made.graph.output[:]
        made.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs)
        onnx.save(made, path)


def every_way():
    made = Graph()
    shape_of_matrix = [OUT, IN]
    made.product("reshape", (OUT, IN, 1, 1), 0, ("Reshape", shape_of_matrix, {}), op="Gemm", transB=1)
    made.product("open", (IN, 1, OUT), 2, ("Reshape", [0, -1], {}))
    made.product("squeeze", (OUT, IN, 1, 1), 0, ("Squeeze", [2, -1], {}), ("Transpose", None, {"perm": [1, 0]}))
    made.product("unsqueeze", shape_of_matrix, 0, ("Unsqueeze", [-1], {}), op="Conv", source="x3")
    made.product("flatten", (OUT, 4, 4), 0, ("Flatten", None, {}), op="Gemm", transB=1)
    made.product("flatten_end", (4, 4, OUT), 2, ("Flatten", None, {"axis": -1}))
    made.product("turned", (OUT, 1, IN), 0, ("Transpose", None, {"perm": [2, 1, 0]}), ("Identity", None, {}),
                 ("Reshape", [IN, OUT], {}), ("Cast", None, {"to": TensorProto.FLOAT}))
    made.product("left", shape_of_matrix, 0, left=True)
    made.product("left_gemm", shape_of_matrix, 0, op="Gemm", left=True)
    made.product("left_turned", (IN, OUT), 1, op="Gemm", left=True, transA=1)
    made.product("left_path", (1, OUT, IN), 1, ("Squeeze", [0], {}), left=True)
    made.product("fused", shape_of_matrix, 0, op="FusedMatMul", transB=1, alpha=0.5)
    made.product("fused_left", (IN, OUT), 1, op="FusedMatMul", left=True, transA=1)
    made.product("single", (1, IN, OUT), 2)

    made.weight("parts", (IN, 2, OUT // 2), 2)
    made.constants["matrix"] = np.array([IN, OUT])
    made.nodes.append(node("Reshape", ["parts.weight", "matrix"], ["parts_matrix"]))
    made.nodes.append(node("MatMul", ["x", "parts_matrix"], ["parts"], "parts"))
    made.reasons["parts"] = 'no axis of "parts.weight", float32[16, 2, 5], counts its output channels'
    made.constants |= {"norm.v": weight((OUT, IN), 0), "norm.g": weight((OUT, 1), 0), "part.weight": weight((OUT, 20), 0),
                       "from": np.array([2]), "to": np.array([2 + IN]), "one": np.array([1]),
                       "halves.a": weight((OUT, 8), 0), "halves.b": weight((OUT, 8), 0)}
    made.nodes += [node("Mul", ["norm.v", "norm.g"], ["norm.w"], "norm_mul"),
                   node("Slice", ["part.weight", "from", "to", "one"], ["part.w"]),
                   node("Concat", ["halves.a", "halves.b"], ["halves.w"], axis=1)]
    made.leave("norm", 'its weight is computed from "norm.v" and "norm.g" by node "norm_mul" (Mul): fold constants',
               "Gemm", ["x", "norm.w"], transB=1)
    made.leave("part", 'is computed from "part.weight" by a Slice', "Gemm", ["x", "part.w"], transB=1)
    made.leave("halves", 'is computed from "halves.a" and "halves.b" by a Concat', "Gemm", ["x", "halves.w"], transB=1)
    made.leave("stack", "a stack of 3 matrices", "MatMul", ["x", made.weight("stack", (3, IN, OUT), 2)])
    made.leave("sum", "ptq cannot quantize the constants of Einsum", "Einsum", ["x", made.weight("sum", (OUT, IN), 0)],
               equation="bi,oi->bo")
    made.leave("moved", "ptq cannot quantize the constants of Add", "Add", ["x", made.weight("moved", (4, IN), 0)])

    body = helper.make_graph([node("MatMul", ["x", "inner.weight"], ["b"], "product")], "body", [],
                             [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)],
                             [numpy_helper.from_array(weight((IN, OUT), 1), "inner.weight")])
    other = helper.make_graph([node("MatMul", ["x", "norm_turned"], ["c"], "product")], "other", [],
                              [helper.make_tensor_value_info("c", TensorProto.FLOAT, None)])
    made.constants["yes"] = np.array(True)
    made.nodes.append(node("Transpose", ["norm.v"], ["norm_turned"]))
    made.nodes.append(node("Identity", ["yes"], ["flag"]))
    made.nodes.append(node("If", ["flag"], ["choice"], "choose", then_branch=body, else_branch=other))
    made.reasons["choice"] = ""
    return made


def ptq(*arguments):
    done = subprocess.run([PTQ, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


def run(model, feeds, level):
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    options.log_severity_level = 3
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def check_plan(made, plan):
    rows = {row["name"]: row for row in plan["layers"]}
    check(len(rows) == len(plan["layers"]), "names are unique")
    for layer, axis in made.axes.items():
        got = rows.get(layer, {}).get("weights", {})
        check(got.get("axis") == axis and got.get("dtype") == "int8", f"{layer}: axis {got.get('axis')}, {got.get('reason')}")
    for layer, reason in made.reasons.items():
        got = rows.get(layer, {}).get("weights", {}) if reason else {"reason": "", "dtype": "native"}
        check(got.get("dtype") == "native" and reason in (got.get("reason") or ""), f"{layer}: {got.get('reason')}")
    for inside in ("choose/then_branch/inner", "choose/else_branch/norm.v"):
        got = rows.get(inside, {}).get("weights", {}).get("reason") or ""
        check('inside node "choose" (If)' in got, f"{inside}: {got}")


def check_weights(made, artifact):
    """Each output channel has codes of its own scale."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(artifact).graph.initializer}
    for layer, axis in made.axes.items():
        wanted = made.constants[f"{layer}.weight"]
        codes, scale = stored[f"{layer}.weight_quantized"], stored[f"{layer}.weight_scale"]
        got = codes * np.expand_dims(scale, [i for i in range(codes.ndim) if i != axis])
        worst = min(sqnr(a, b) for a, b in zip(np.moveaxis(wanted, axis, 0), np.moveaxis(got, axis, 0)))
        check(codes.shape == wanted.shape and worst > 35, f"{layer}: {worst:.1f} dB in its worst channel")


def test_graph(folder):
    made, model = every_way(), folder / "model.onnx"
    made.save(model)
    x = GENERATOR.standard_normal((4, IN)).astype(np.float32)
    sources = {"unsqueeze": x[:, :, None], **{name: x.T[None] for name in made.axes if name.startswith("left")}}
    sources["fused_left"] = x.T[None]
    np.savez(folder / "inputs.npz", parts=x, **{name: sources.get(name, x) for name in made.axes})
    rule = "layers: [{module_name: '*', weights: {dtype: int8}%s}]"
    (folder / "torchao.yaml").write_text("quantize: {%s}\n" % rule % "")
    (folder / "modelopt.yaml").write_text("quantize: {backend: modelopt, mode: static_ptq, %s}\n" % rule % ", activations: {dtype: int8}")
    check_plan(made, json.loads(ptq("plan", "--json", "-e", folder / "torchao.yaml", f"model_path={model}")))
    floats = dict(zip([*made.axes, *made.reasons], run(model, {"x": x}, "ORT_DISABLE_ALL")))
    for backend in ("torchao", "modelopt"):
        ptq("quantize", "-e", folder / f"{backend}.yaml", f"model_path={model}", f"results_dir={folder}/{backend}",
            *([f"dataset.quant_calibration_dataset.activations={folder}/inputs.npz"] if backend == "modelopt" else []))
        artifact = folder / backend / f"quantized_model_{backend}.onnx"
        check_weights(made, artifact)
        listed = json.loads(ptq("inspect", "--json", artifact))["layers"]
        axes = {row["name"]: row["weights"]["axis"] for row in listed if row["weights"]}
        check(axes == made.axes, f"{backend}: inspect finds the same layers: {axes}")
        for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_ALL"):
            for (name, wanted), got in zip(floats.items(), run(artifact, {"x": x}, level)):
                check(sqnr(wanted, got) > (30 if name in made.axes or name == "parts" else 60) and got.shape == wanted.shape,
                      f"{backend} {level} {name}: {sqnr(wanted, got):.1f} dB")


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, value in tensors.items():
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": [len(data), len(data) + value.nbytes]}
        data += value.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def read_safetensors(path):
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    kinds = {"F32": np.float32, "I8": np.int8}
    return {name: np.frombuffer(content[8 + size:][slice(*entry["data_offsets"])], kinds[entry["dtype"]]).reshape(entry["shape"])
            for name, entry in json.loads(content[8:8 + size]).items() if name != "__metadata__"}


def test_checkpoint(folder):
    """GPT-2's matrices are [in, out]; a stack of experts is left as it is, and said."""
    tensors = {"h.0.attn.c_attn.weight": weight((8, 24), 1), "h.0.attn.c_attn.bias": np.zeros(24, np.float32),
               "h.0.attn.c_proj.weight": weight((8, 8), 1), "h.0.attn.c_proj.bias": np.zeros(8, np.float32),
               "h.0.moe.experts.up.weight": weight((3, 8, 8), 1), "h.0.moe.experts.down_proj": weight((3, 8, 8), 1)}
    write_safetensors(folder / "model.safetensors", tensors)
    report = json.loads(ptq("quantize", "--json", "-e", folder / "torchao.yaml", f"model_path={folder}/model.safetensors",
                            f"results_dir={folder}/checkpoint"))
    stored = read_safetensors(folder / "checkpoint" / "quantized_model_torchao.safetensors")
    for name in ("h.0.attn.c_attn.weight", "h.0.attn.c_proj.weight"):
        got = stored[name] * stored[f"{name}_scale"]
        worst = min(sqnr(a, b) for a, b in zip(tensors[name].T, got.T))
        check(stored[f"{name}_scale"].shape == (1, got.shape[1]) and worst > 35, f"{name}: {worst:.1f} dB in its worst channel")
    reasons = {row["name"]: row["reason"] for row in report["layers"]}
    for layer, name in (("h.0.moe.experts.up", "h.0.moe.experts.up.weight"), ("h.0.moe.experts.down_proj",) * 2):
        check("a stack of 3 matrices" in (reasons.get(layer) or "") and np.array_equal(stored[name], tensors[name]),
              f"{layer}: {reasons.get(layer)}")


with tempfile.TemporaryDirectory() as scratch:
    test_graph(Path(scratch))
    test_checkpoint(Path(scratch))
print(f"{len(failures)} failed")
sys.exit(bool(failures))
