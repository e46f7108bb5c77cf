#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""exports_test.py PTQ GOLDEN_DIR

Three modules as both exporters of PyTorch write them (exports/make_exports.py): layers have the modules' names and classes,
rules, skip_names, data and statistics take these and the graph's own, and int8 costs no more than by ONNX Runtime's quantizer.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

PTQ = Path(sys.argv[1]).resolve()
EXPORTS = Path(sys.argv[2]).resolve() / "exports"
MODULES = json.loads((EXPORTS / "modules.json").read_text())
MODELS = [f"{module}_{exporter}" for module in MODULES for exporter in ("dynamo", "script")]
INT8 = {"weights": {"dtype": "int8"}, "activations": {"dtype": "int8"}}
ORT_LEVELS = (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
# Linear layers that a module computes without a module of their own.
FUNCTIONAL = {f"encoder.layers.{i}.self_attn.in_proj": "Linear" for i in range(2)}
# The class in PyTorch, and what is computed.
COMPUTED_AS = {"NonDynamicallyQuantizableLinear": "Linear"}


def session(model, level=ORT_LEVELS[0]):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    return ort.InferenceSession(model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"])


def sqnr(exact, got):
    return 10 * np.log10((exact.astype(np.float64) ** 2).sum() / ((exact.astype(np.float64) - got) ** 2).sum())


class Exports(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name).resolve()

    def ptq(self, command, model, layers=({"module_name": "*", **INT8},), skip=(), data=None, **settings):
        spec = self.folder / "spec.yaml"
        content = {"quantize": {"backend": "modelopt", "mode": "static_ptq", "layers": list(layers), "skip_names": list(skip),
                                "model_path": str(EXPORTS / f"{model}.onnx"), "results_dir": str(self.folder / "out")},
                   "ptq": settings}
        if data:
            content["dataset"] = {"quant_calibration_dataset": data}
        spec.write_text(json.dumps(content))
        extra = ["-o", self.folder / "ranges.ptqcal"] if command == "calibrate" else []
        done = subprocess.run([PTQ, command, "-e", spec, "--json", *extra], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout) if command != "calibrate" else None

    def plan(self, model, **settings):
        report = self.ptq("plan", model, **settings)
        return {layer["name"]: layer for layer in report["layers"]}, report

    def record(self, model, plan, by="name"):
        """What ONNX Runtime feeds the layers of a plan for the calibration data, keyed by one of their names."""
        graph = onnx.load(EXPORTS / f"{model}.onnx")
        initializers = {tensor.name for tensor in graph.graph.initializer}
        wanted = {}
        for layer in plan.values():
            if layer["activations"]["dtype"] == "native":
                continue
            own = {layer.get("graph_name"), layer["name"] + ".weight"} - {None}
            node = next(node for node in graph.graph.node if own & {node.name, *(set(node.input) & initializers)})
            wanted[layer.get(by, layer["name"])] = node.input[0]
        inputs = {value.name for value in graph.graph.input}
        graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in set(wanted.values()) - inputs)
        given = np.load(EXPORTS / f"{model.split('_')[0]}.npz")["calibration"]
        running = session(graph.SerializeToString())
        made = dict(zip([value.name for value in running.get_outputs()], running.run(None, {"x": given})))
        made["x"] = given
        path = self.folder / "recorded.npz"
        np.savez(path, **{name: made[tensor] for name, tensor in wanted.items()})
        return {"activations": str(path)}

    def test_names_and_classes_are_those_of_the_modules(self):
        for model in MODELS:
            with self.subTest(model):
                modules = MODULES[model.split("_")[0]] | FUNCTIONAL
                layers, _ = self.plan(model)
                for name, layer in layers.items():
                    module = re.sub(r"\.lstm$", "", name, flags=re.IGNORECASE)  # the second weight of a recurrent node
                    self.assertIn(module, modules)
                    self.assertEqual(layer["class"], COMPUTED_AS.get(modules[module], modules[module]))
                leaves = {"Conv2d", "Linear", "LSTM", "MaxPool2d", "LeakyReLU", "NonDynamicallyQuantizableLinear"}
                wanted = {name for name, kind in modules.items() if kind in leaves and
                          (name not in FUNCTIONAL or model.startswith("transformer"))}
                self.assertLessEqual(wanted, set(layers))

    def test_what_the_exporter_numbered_is_marked(self):
        numbered = {"cnn_dynamo": set(), "cnn_script": {"stem.0", "body.0"}, "recurrent_dynamo": {"rnn", "rnn.lstm"},
                    "recurrent_script": {"rnn", "rnn.LSTM"}}
        for model in MODELS:
            layers, _ = self.plan(model)
            graph = onnx.load(EXPORTS / f"{model}.onnx").graph
            held = {tensor.name for tensor in graph.initializer} | {node.name for node in graph.node}
            for layer in layers.values():
                if "graph_name" in layer:
                    self.assertIn(layer["graph_name"], held)
            marked = {name for name, layer in layers.items() if layer.get("made_up")}
            self.assertEqual(marked, numbered.get(model, marked))
            if model.startswith("transformer"):
                self.assertEqual(len(marked), 7)  # all that were transposed: embed, in_proj, linear1, linear2

    def test_skip_names_takes_modules_and_their_classes(self):
        for model, pattern, left in (("transformer_dynamo", "*self_attn*", 4), ("transformer_script", "*self_attn*", 4),
                                     ("transformer_dynamo", "MultiheadAttention", 4), ("transformer_dynamo", "encoder.layers.1.linear?", 2),
                                     ("transformer_script", "encoder.layers.1.linear?", 2), ("transformer_script", "embed", 1),
                                     ("cnn_dynamo", "stem.*", 2), ("cnn_script", "stem.*", 2), ("recurrent_dynamo", "rnn", 1)):
            with self.subTest(model, pattern=pattern):
                layers, report = self.plan(model, skip=[pattern])
                self.assertEqual(report["skip_names"], [{"pattern": pattern, "matched": left}])
                skipped = {name for name, layer in layers.items() if layer["skipped_by"] == 0}
                self.assertEqual({layers[name]["weights"]["dtype"] for name in skipped}, {"native"})
                before, _ = self.plan(model)
                for name in set(layers) - skipped:
                    self.assertEqual(layers[name], before[name])

    def test_names_of_the_graph_are_taken_too(self):
        for model in MODELS:
            for name, layer in self.plan(model)[0].items():
                if "graph_name" in layer:
                    for pattern in (layer["graph_name"], name):
                        hit, _ = self.plan(model, skip=[pattern.replace("[", "[[]")])
                        self.assertEqual([n for n, l in hit.items() if l["skipped_by"] is not None], [name])

    def test_data_statistics_and_classes_are_found_by_every_name(self):
        model = "transformer_dynamo"
        plan, _ = self.plan(model)
        codes = []
        for by in ("name", "graph_name"):
            self.ptq("quantize", model, data=self.record(model, plan, by))
            codes.append((self.folder / "out" / "quantized_model_modelopt.onnx").read_bytes())
        self.assertEqual(codes[0], codes[1])
        self.ptq("calibrate", model, data=self.record(model, plan))
        ranges = self.folder / "ranges.ptqcal"
        renamed = ranges.read_bytes()
        size = int.from_bytes(renamed[:8], "little")
        header, tensors = json.loads(renamed[8:8 + size]), renamed[8 + size:]
        names = {name: layer.get("graph_name", name) for name, layer in plan.items()}
        header = {".".join([names.get(key.rpartition(".")[0], key.rpartition(".")[0]), key.rpartition(".")[2]]).lstrip("."): value
                  for key, value in header.items()}
        self.assertIn("val_4.counts", header)
        meta = json.loads(header["__metadata__"]["ptq_statistics"])
        text = json.dumps(meta)
        for name, other in names.items():
            text = text.replace(f'"{name}"', f'"{other}"')
        header["__metadata__"]["ptq_statistics"] = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
        head = json.dumps(header).encode()
        head += b" " * (-len(head) % 8)
        ranges.write_bytes(len(head).to_bytes(8, "little") + head + tensors)
        self.ptq("quantize", model, calibration={"statistics": str(ranges)})
        self.assertEqual((self.folder / "out" / "quantized_model_modelopt.onnx").read_bytes(), codes[0])
        types = {"val_4": "Mine", "encoder.layers.0.linear1": "Yours"}
        layers, _ = self.plan(model, module_types=types)
        self.assertEqual(layers["encoder.layers.0.self_attn.in_proj"]["class"], "Mine")
        self.assertEqual(layers["encoder.layers.0.linear1"]["class"], "Yours")

    def test_the_listings_of_an_artifact_have_the_same_names(self):
        for model in MODELS:
            plan, _ = self.plan(model)
            report = self.ptq("quantize", model, data=self.record(model, plan))
            shown = subprocess.run([PTQ, "inspect", self.folder / "out" / "quantized_model_modelopt.onnx", "--json"],
                                   capture_output=True, text=True, check=True)
            for listed in (report["layers"], json.loads(shown.stdout)["layers"]):
                self.assertEqual([(l["name"], l["class"], l.get("graph_name"), l.get("module_class")) for l in listed],
                                 [(l["name"], l["class"], l.get("graph_name"), l.get("module_class")) for l in plan.values()])

    def test_int8_costs_no_more_than_by_the_quantizer_of_onnx_runtime(self):
        for model in MODELS:
            data = np.load(EXPORTS / f"{model.split('_')[0]}.npz")
            floats = session(EXPORTS / f"{model}.onnx").run(None, {"x": data["test"]})[0]
            self.assertGreater(sqnr(data["logits"], floats), 90)
            self.ptq("quantize", model, data=self.record(model, self.plan(model)[0]))
            artifact = self.folder / "out" / "quantized_model_modelopt.onnx"
            onnx.checker.check_model(str(artifact), full_check=True)
            ours = [sqnr(floats, session(artifact, level).run(None, {"x": data["test"]})[0]) for level in ORT_LEVELS]
            theirs = sqnr(floats, session(self.quantized_by_onnx_runtime(model, data["calibration"])).run(None, {"x": data["test"]})[0])
            print(f"{model}: logit SQNR {ours[0]:.1f} dB, {ours[1]:.1f} dB at level all; ONNX Runtime's quantizer {theirs:.1f} dB")
            with self.subTest(model):
                self.assertGreater(min(ours), theirs)

    def quantized_by_onnx_runtime(self, model, calibration):
        class Reader(CalibrationDataReader):
            batches = iter([{"x": calibration}])

            def get_next(self):
                return next(self.batches, None)

        prepared, out = self.folder / "prepared.onnx", self.folder / "theirs.onnx"
        quant_pre_process(str(EXPORTS / f"{model}.onnx"), str(prepared), skip_symbolic_shape=True)
        quantize_static(str(prepared), str(out), Reader(), quant_format=QuantFormat.QDQ,
                        activation_type=QuantType.QInt8, weight_type=QuantType.QInt8)
        return out


if __name__ == "__main__":
    os.environ.setdefault("ORT_LOGGING_LEVEL", "3")
    unittest.main(argv=sys.argv[:1])
