#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""types_test.py PTQ

The element type of every output of every standard operator, as onnx.defs has it, against what a plan says of a LeakyRelu
behind it. Remedies that messages name are followed, and static bfloat16 graphs are quantized and evaluated.
"""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, defs, helper, numpy_helper

PTQ = Path(sys.argv[1]).resolve()
FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}
# Outputs whose type no input has: attributes, and the type that they name.
GIVEN = {
    "Bernoulli": ({"dtype": TensorProto.INT32}, TensorProto.INT32),
    "BitCast": ({"to": TensorProto.INT32}, TensorProto.INT32),
    "BlackmanWindow": ({"output_datatype": TensorProto.INT16}, TensorProto.INT16),
    "Cast": ({"to": TensorProto.INT16}, TensorProto.INT16),
    "ConstantOfShape": ({"value": helper.make_tensor("v", TensorProto.UINT8, [1], [1])}, TensorProto.UINT8),
    "EyeLike": ({"dtype": TensorProto.UINT16}, TensorProto.UINT16),
    "HammingWindow": ({"output_datatype": TensorProto.INT16}, TensorProto.INT16),
    "HannWindow": ({"output_datatype": TensorProto.INT16}, TensorProto.INT16),
    "MelWeightMatrix": ({"output_datatype": TensorProto.INT16}, TensorProto.INT16),
    "Multinomial": ({"dtype": TensorProto.INT64}, TensorProto.INT64),
    "RandomNormal": ({"shape": [2]}, TensorProto.FLOAT),
    "RandomNormalLike": ({}, None),  # of its input
    "RandomUniform": ({"shape": [2]}, TensorProto.FLOAT),
    "RandomUniformLike": ({}, None),
    "DequantizeLinear": ({}, "x_scale"),
    "LayerNormalization": ({}, None),
}
# Sequences, optionals and bodies: tested apart, or not known.
APART = {"Constant", "If", "Loop", "Scan", "Optional", "OptionalGetElement", "SequenceAt", "SequenceConstruct", "SequenceEmpty",
         "SequenceErase", "SequenceInsert", "SequenceMap", "SplitToSequence", "ConcatFromSequence", "SequenceLength",
         "OptionalHasElement"}


def number(type_text):
    return {"tensor(float)": TensorProto.FLOAT, "tensor(double)": TensorProto.DOUBLE}.get(
        type_text) or getattr(TensorProto, type_text[7:-1].upper())


def name_of(kind):
    """As ptq calls it; what it has no name for is a number."""
    name = TensorProto.DataType.Name(kind).lower()
    return {"bool": "boolean"}.get(name, f"type {kind}" if name.startswith("float6") else name.replace("float8", "fp8_"))


def value(name, kind):
    return helper.make_tensor_value_info(name, kind, None)


def plan_of(nodes, inputs, folder, initializers=()):
    """{layer: reason of its activations; None where they are quantized}"""
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    nodes = [*nodes, helper.make_node("Identity", [inputs[0].name], ["y"])]
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, list(initializers)),
                              opset_imports=[helper.make_opsetid("", defs.onnx_opset_version()), helper.make_opsetid("mine", 1)])
    path = folder / "m.onnx"
    onnx.save(model, path)
    spec = folder / "s.yaml"
    spec.write_text("quantize: {backend: modelopt, mode: static_ptq, layers: [{module_name: '*', activations: {dtype: int8}}]}")
    done = subprocess.run([PTQ, "plan", "-e", spec, f"model_path={path}", "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {layer["name"]: layer["activations"]["reason"] for layer in json.loads(done.stdout)["layers"]}


class Types(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name).resolve()

    def test_every_output_of_every_standard_operator(self):
        """Once with floats where an operator takes them, once with the last type that it takes, and once with another type for
        each of its type parameters."""
        schemas = [s for s in defs.get_all_schemas() if s.domain == "" and not s.deprecated and s.name not in APART]
        self.assertGreater(len(schemas), 170)
        for pick in ("floats", "last", "apart"):
            nodes, inputs, wanted = [], [value("first", TensorProto.FLOAT)], {}
            for schema in schemas:
                attributes, given = GIVEN.get(schema.name, ({}, None))
                bound = {}
                for place, constraint in enumerate(schema.type_constraints):
                    allowed = [number(t) for t in constraint.allowed_type_strs if t.startswith("tensor(")]
                    floats = [t for t in allowed if t in FLOATS]
                    if allowed:
                        bound[constraint.type_param_str] = {"floats": (floats or allowed)[0], "last": allowed[-1],
                                                            "apart": allowed[place % len(allowed)]}[pick]
                names, types = [], {}
                for i, formal in enumerate(schema.inputs):
                    kind = bound.get(formal.type_str) or number(formal.type_str)
                    names.append(f"{schema.name}_in{i}")
                    inputs.append(value(names[-1], kind))
                    types[formal.name] = kind
                outs = [f"{schema.name}_out{i}" for i in range(len(schema.outputs))]
                nodes.append(helper.make_node(schema.name, names, outs, **attributes))
                taken = {formal.type_str for formal in schema.inputs}
                for i, formal in enumerate(schema.outputs):
                    if formal.type_str.startswith("tensor("):
                        kind = number(formal.type_str)
                    elif isinstance(given, int):
                        kind = given
                    elif isinstance(given, str):
                        kind = types[given]
                    elif formal.type_str in taken:
                        kind = bound[formal.type_str]
                    elif schema.name == "LayerNormalization":
                        kind = TensorProto.FLOAT
                    elif len(allowed := next(c for c in schema.type_constraints if c.type_param_str == formal.type_str).allowed_type_strs) == 1:
                        kind = number(allowed[0])
                    else:
                        kind = list(types.values())[0]
                    tail = f"{schema.name}_tail{i}"
                    nodes.append(helper.make_node("LeakyRelu", [outs[i]], [tail], name=tail))
                    wanted[tail] = None if kind in FLOATS else f'its input "{outs[i]}" holds ' + name_of(kind)
            found = plan_of(nodes, inputs, self.folder)
            self.assertLessEqual(set(wanted), set(found))
            wrong = {name: (found[name], wanted[name]) for name in wanted
                     if found[name] != wanted[name]}
            self.assertEqual(wrong, {})

    def test_bodies_declare_their_outputs(self):
        def body(kind, *others):
            return helper.make_graph([helper.make_node("Identity", ["x"], ["o"])], "b", [],
                                     [*others, helper.make_tensor_value_info("o", kind, None)])
        flag = helper.make_tensor_value_info("x", TensorProto.BOOL, None)
        nodes = [helper.make_node("If", ["c"], ["if"], then_branch=body(TensorProto.FLOAT), else_branch=body(TensorProto.FLOAT)),
                 helper.make_node("If", ["c"], ["odd"], then_branch=body(TensorProto.FLOAT), else_branch=body(TensorProto.INT8)),
                 helper.make_node("Loop", ["", "c", "x"], ["loop"], body=body(TensorProto.INT64, flag)),
                 helper.make_node("Mine", ["x"], ["mine"], domain="mine"),
                 helper.make_node("Relu", ["mine"], ["far"]),
                 *(helper.make_node("LeakyRelu", [n], [n + "_r"], name=n) for n in ("if", "odd", "loop", "mine", "far"))]
        found = plan_of(nodes, [value("x", TensorProto.FLOAT), value("c", TensorProto.BOOL)], self.folder)
        self.assertIsNone(found["if"])
        self.assertIn("holds int64", found["loop"])
        for name in ("odd", "mine", "far"):
            self.assertIn("of a type that the file does not tell", found[name])

    def run_ptq(self, *arguments):
        return subprocess.run([PTQ, *map(str, arguments)], capture_output=True, text=True, check=False)

    def test_the_names_that_a_refusal_gives_keep_the_rules_off(self):
        random = np.random.default_rng(6)
        inits = lambda codes: [numpy_helper.from_array(np.float32(0.02), "s"), numpy_helper.from_array(np.int8(0), "z"),
                 numpy_helper.from_array(random.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), codes),
                 numpy_helper.from_array(np.float32(0.01), "ws"),
                 numpy_helper.from_array(random.normal(size=(5, 4, 1, 1)).astype(np.float32), "head.weight")]
        node = helper.make_node
        for name in ("wq", "odd[0]*"):
            graph = helper.make_graph(
                [node("QuantizeLinear", ["x", "s", "z"], ["q"]),
                 node("MaxPool", ["q"], ["mp"], "pool", kernel_shape=[2, 2]),
                 node("DequantizeLinear", ["mp", "s", "z"], ["dq"]), node("DequantizeLinear", [name, "ws"], ["wd"]),
                 node("Conv", ["dq", "wd"], ["c"], "conv1"), node("Conv", ["c", "head.weight"], ["y"], "head")], "g",
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
                [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5, 5, 5])], inits(name))
            path, spec = self.folder / "m.onnx", self.folder / "s.yaml"
            onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
            np.savez(self.folder / "a.npz", head=random.normal(size=(4, 4, 5, 5)).astype(np.float32))
            rule = {"module_name": "*", "weights": {"dtype": "int8"}, "activations": {"dtype": "int8"}}
            content = {"quantize": {"backend": "modelopt", "mode": "static_ptq", "layers": [rule]},
                       "dataset": {"quant_calibration_dataset": {"activations": str(self.folder / "a.npz")}}}
            spec.write_text(json.dumps(content))
            refused = self.run_ptq("plan", "-e", spec, f"model_path={path}")
            self.assertEqual(refused.returncode, 1, refused.stderr)
            remedy = json.loads(refused.stderr.rstrip().rpartition("quantize.skip_names: ")[2])
            shown = json.loads(self.run_ptq("inspect", path, "--json").stdout)["layers"]
            self.assertIn(name, [layer["name"] for layer in shown])
            for skipped in (remedy, ["conv1"]):
                content["quantize"]["skip_names"] = skipped
                spec.write_text(json.dumps(content))
                done = self.run_ptq("quantize", "-e", spec, f"model_path={path}", f"results_dir={self.folder / 'out'}", "--json")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertNotIn("matches no layer", done.stderr)
                layers = {l["name"]: l["activations"] for l in json.loads(done.stdout)["layers"]}
                self.assertEqual({n: a["dtype"] for n, a in layers.items()}, {"pool": "native", name: "native", "head": "int8"})
                self.assertEqual(layers["pool"]["reason"], 'its input "q" holds int8')
                artifact = self.folder / "out" / "quantized_model_modelopt.onnx"
                onnx.checker.check_model(str(artifact), full_check=True)
                ort.InferenceSession(str(artifact), providers=["CPUExecutionProvider"])

    def test_static_bfloat16(self):
        random = np.random.default_rng(0)
        weight = random.normal(size=(8, 8)).astype(ml_dtypes.bfloat16)
        given = random.normal(size=(16, 8)).astype(np.float32)
        np.save(self.folder / "x.npy", given)
        for ahead in ([], ["Relu"], ["Sigmoid"]):
            nodes = [helper.make_node(op, ["x"], ["h"]) for op in ahead]
            nodes.append(helper.make_node("MatMul", ["h" if ahead else "x", "fc.weight"], ["y"], "fc"))
            tensor = TensorProto(name="fc.weight", data_type=TensorProto.BFLOAT16, dims=[8, 8], raw_data=weight.tobytes())
            bf16 = lambda name: helper.make_tensor_value_info(name, TensorProto.BFLOAT16, ["n", 8])
            graph = helper.make_graph(nodes, "g", [bf16("x")], [bf16("y")], [tensor])
            path, spec = self.folder / "m.onnx", self.folder / "s.yaml"
            onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10), path)
            spec.write_text("quantize: {backend: modelopt, mode: static_ptq, layers: [{module_name: '*', weights: {dtype: int8}, "
                            "activations: {dtype: int8}}]}")
            arguments = ["-e", spec, f"model_path={path}", f"results_dir={self.folder / 'out'}"]
            done = self.run_ptq("quantize", *arguments, f"dataset.quant_calibration_dataset.inputs={self.folder / 'x.npy'}", "--json")
            if "OpenVINO, which covers more, is not built in" in done.stderr:
                self.skipTest("bfloat16 graphs need OpenVINO")
            self.assertEqual(done.returncode, 0, done.stderr)
            exact = given.astype(ml_dtypes.bfloat16).astype(np.float32)
            reached = {"": exact, "Relu": np.maximum(exact, 0), "Sigmoid": 1 / (1 + np.exp(-exact))}["".join(ahead)]
            amax = json.loads(done.stdout)["layers"][0]["activations"]["amax"]
            self.assertAlmostEqual(amax, np.abs(reached).max(), delta=0.01 * amax)
            artifact = self.folder / "out" / "quantized_model_modelopt.onnx"
            onnx.checker.check_model(str(artifact), full_check=True)
            kinds = [n.op_type for n in onnx.load(artifact).graph.node]
            self.assertEqual(kinds.count("QuantizeLinear"), 1)
            seen = self.run_ptq("evaluate", *arguments, f"evaluate.inputs={self.folder / 'x.npy'}")
            self.assertEqual(seen.returncode, 0, seen.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
