# SPDX-License-Identifier: Apache-2.0
"""What compare says of two files: checkpoints, graphs, and artifacts of either."""
import json

from command import CommandTest, EXAMPLES, LENET, STATIC, WEIGHT_ONLY, floats, main, safetensors

GRAPH = LENET.with_name("model.onnx")
NAN, INF = float("nan"), float("inf")


class Compare(CommandTest):
    def compare(self, a, b):
        """The text, and the report."""
        text, report = self.ptq("compare", a, b), self.ptq("compare", "--json", a, b)
        self.assertEqual((text.returncode, report.returncode), (0, 0), text.stderr + report.stderr)
        return text.stdout, json.loads(report.stdout)

    def compare_tensors(self, a, b):
        return self.compare(self.write("a.safetensors", safetensors(a)), self.write("b.safetensors", safetensors(b)))

    def test_two_checkpoints(self):
        text, report = self.compare_tensors(
            {"fc.weight": ("F32", [1, 4], floats(1, 2, 3, 4)), "fc.bias": ("F32", [1], floats(7)), "old": ("F32", [1], floats(1))},
            {"fc.weight": ("F32", [1, 4], floats(1, 2, 3, 4.5)), "fc.bias": ("F32", [1], floats(7)), "new": ("F32", [1], floats(1))})
        self.assertEqual(report["layers"], [{
            "name": "fc", "shape": [1, 4], "dtype_a": "F32", "dtype_b": "F32", "bytes_a": 16, "bytes_b": 16,
            "identical": False, "not_finite": 0, "sqnr_db": report["layers"][0]["sqnr_db"],
            "cosine": report["layers"][0]["cosine"], "max_abs_error": 0.5}])
        self.assertAlmostEqual(report["layers"][0]["sqnr_db"], 20.7918, 4)  # 10 log10(30 / 0.25)
        self.assertAlmostEqual(report["layers"][0]["cosine"], 0.998295, 6)
        self.assertEqual((report["identical"], report["only_in_a"], report["only_in_b"]), (1, ["old"], ["new"]))
        self.assertRegex(text, r"(?m)^fc +F32 +F32 +20\.8 +0\.998295 +0\.5 +16 B +16 B$")
        for line in ("differ: 1, 16 B -> 16 B", "identical: 1", "only in A: 1 (old)", "only in B: 1 (new)"):
            self.assertIn(line + "\n", text)

    def test_artifact(self):
        self.assertEqual(self.quantize(WEIGHT_ONLY).returncode, 0)
        _, report = self.compare(LENET, "out/quantized_model_torchao.safetensors")
        fc1 = next(l for l in report["layers"] if l["name"] == "fc1")
        self.assertEqual((fc1["dtype_b"], fc1["bytes_a"], fc1["bytes_b"]), ("int8", 64 * 256 * 4, 64 * 256 + 64 * 4))
        quantized = json.loads((self.folder / "out" / "quantize_report.json").read_text())
        stated = next(l for l in quantized["layers"] if l["name"] == "fc1")["weights"]
        self.assertAlmostEqual(fc1["max_abs_error"], stated["max_abs_error"], 12)
        self.assertAlmostEqual(fc1["sqnr_db"], stated["sqnr_db"], 9)

    def test_weights_that_stay_as_floats_too(self):
        """A table that is looked up, a body of If that uses a weight, and a name that was taken."""
        for name, layers in (("shared", ["a", "b", "both", "table"]), ("shared_constant", ["table"]), ("bodies", ["shared"])):
            model = EXAMPLES.parent / "tests" / "golden" / "onnx" / f"{name}.onnx"
            run = self.quantize(WEIGHT_ONLY, 'quantize.layers=[{module_name: "*", weights: {dtype: int8}}]',
                                "quantize.skip_names=[]", model=model)
            self.assertEqual(run.returncode, 0, run.stderr)
            artifact = "out/quantized_model_torchao.onnx"
            _, report = self.compare(model, artifact)
            self.assertEqual(sorted(l["name"] for l in report["layers"]), layers)
            self.assertEqual({l["dtype_b"] for l in report["layers"]}, {"int8"})
            self.assertEqual((report["only_in_a"], report["only_in_b"]), ([], []))
            before, after = (sum(l[f"bytes_{side}"] for l in report["layers"]) for side in "ab")
            totals = json.loads((self.folder / "out" / "quantize_report.json").read_text())["totals"]
            self.assertEqual(after - before, totals["bytes_after"] - totals["bytes_before"])
            inspected = json.loads(self.ptq("inspect", "--json", artifact).stdout)["layers"]
            self.assertLessEqual(set(layers), {l["name"] for l in inspected if l["weights"]})

    def test_formats_that_name_types_differently(self):
        text, report = self.compare(GRAPH, LENET)
        self.assertEqual((report["layers"], report["identical"]), ([], 8))

    def test_artifact_with_itself(self):
        self.assertEqual(self.quantize(WEIGHT_ONLY).returncode, 0)
        text, report = self.compare(*["out/quantized_model_torchao.safetensors"] * 2)
        self.assertEqual((report["layers"], report["identical"]), ([], 8))
        self.assertIn("all tensors are identical", text)

    def test_onnx(self):
        run = self.quantize(STATIC, f"dataset.quant_calibration_dataset.inputs={LENET.with_name('calib.npy')}", model=GRAPH)
        self.assertEqual(run.returncode, 0, run.stderr)
        artifact = "out/quantized_model_modelopt.onnx"
        text, report = self.compare(GRAPH, artifact)
        self.assertEqual(sorted(l["name"] for l in report["layers"]), ["conv1", "conv2", "fc1", "fc2"])
        self.assertEqual((report["identical"], report["only_in_a"], report["only_in_b"]), (4, [], []))  # biases
        quantized = json.loads((self.folder / "out" / "quantize_report.json").read_text())
        stated = {l["name"]: l["weights"] for l in quantized["layers"]}
        for layer in report["layers"]:
            expected = stated[layer["name"]]
            self.assertAlmostEqual(layer["sqnr_db"], expected["sqnr_db"], 9)
            self.assertAlmostEqual(layer["max_abs_error"], expected["max_abs_error"], 12)
            self.assertEqual((layer["bytes_a"], layer["bytes_b"]), (expected["bytes_before"], expected["bytes_after"]))
        self.assertRegex(text, r"(?m)^fc1 +float32 +int8 +41\.8 ")
        _, same = self.compare(artifact, artifact)
        self.assertEqual((same["layers"], same["identical"]), ([], 8))

    def test_not_finite(self):
        good, bad = floats(1, 2, 3, 4, 5, 6), floats(1, 2, 3, 4, NAN, INF)
        for a, b in ((good, bad), (bad, good)):
            text, report = self.compare_tensors({"fc.weight": ("F32", [2, 3], a)}, {"fc.weight": ("F32", [2, 3], b)})
            layer = report["layers"][0]
            self.assertEqual((layer["not_finite"], layer["first_not_finite"], layer["identical"]), (2, [1, 1], False))
            self.assertEqual((layer["sqnr_db"], layer["cosine"], layer["max_abs_error"]), (None, None, None))
            self.assertRegex(text, r"(?m)^fc .*  -  +-  +-  .*2 not finite, the first at \[1, 1\]$")
            self.assertNotRegex(text, r"\b(inf|nan)\b")

    def test_same_values(self):
        text, report = self.compare_tensors({"x": ("F32", [2], floats(1, 2))}, {"x": ("F16", [2], bytes.fromhex("003c0040"))})
        self.assertEqual((report["layers"][0]["identical"], report["layers"][0]["sqnr_db"]), (True, None))
        self.assertEqual((report["layers"][0]["max_abs_error"], report["layers"][0]["not_finite"]), (0, 0))
        self.assertIn("same values", text)
        self.assertNotIn("all tensors are identical", text)

    def test_other_shape(self):
        text, report = self.compare_tensors({"x": ("F32", [2, 1], floats(1, 2))}, {"x": ("F32", [1, 2], floats(1, 2))})
        layer = report["layers"][0]
        self.assertEqual((layer["shape"], layer["shape_b"], layer["identical"], layer["sqnr_db"]), ([2, 1], [1, 2], False, None))
        self.assertIn("other shape: [2, 1], [1, 2]", text)

    def test_not_floats(self):
        text, report = self.compare_tensors({"x": ("I32", [1], bytes(4))}, {"x": ("I32", [1], b"\1\0\0\0")})
        self.assertEqual((report["layers"][0]["identical"], report["layers"][0]["sqnr_db"]), (False, None))
        self.assertIn("not floats", text)

    def test_empty(self):
        text, report = self.compare_tensors({"x": ("F32", [0], b"")}, {"x": ("F16", [0], b"")})
        self.assertTrue(report["layers"][0]["identical"])
        self.assertRegex(text, r"(?m)^x .*same values$")


if __name__ == "__main__":
    main()
