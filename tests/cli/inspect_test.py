# SPDX-License-Identifier: Apache-2.0
"""What inspect says of each kind of file, and of files of other kinds."""
import json
import shutil

from command import CommandTest, LENET, STATIC, WEIGHT_ONLY, floats, main, npy, npz, rows_of, safetensors

GRAPH = LENET.with_name("model.onnx")


class Inspect(CommandTest):
    def quantize_graph(self):
        run = self.quantize(STATIC, f"dataset.quant_calibration_dataset.inputs={LENET.with_name('calib.npy')}", model=GRAPH)
        self.assertEqual(run.returncode, 0, run.stderr)
        return self.folder / "out" / "quantized_model_modelopt.onnx"

    def inspect(self, file):
        text, report = self.ptq("inspect", file), self.ptq("inspect", "--json", file)
        self.assertEqual((text.returncode, report.returncode), (0, 0), text.stderr + report.stderr)
        return text.stdout, json.loads(report.stdout)

    def test_onnx(self):
        text, report = self.inspect(GRAPH)
        for words in ("operator set 19", "IR version 9", "input input: float32[N, 1, 28, 28]",
                      "output logits: float32[N, 10]", "8 tensors, 82.1 KB"):
            self.assertIn(words, text)
        self.assertEqual(rows_of(text)["conv2"], ["conv2", "Conv2d", "16 x 8 x 5 x 5"])
        self.assertEqual(rows_of(text)["pool1"], ["pool1", "MaxPool2d", "-"])
        self.assertEqual(rows_of(text)["fc1.weight"], ["fc1.weight", "float32", "64 x 256", "65.5 KB"])
        self.assertEqual((report["opset"], report["ir_version"]), (19, 9))
        self.assertEqual(report["inputs"], [{"name": "input", "type": "float32[N, 1, 28, 28]"}])
        self.assertEqual([l["name"] for l in report["layers"]], ["conv1", "pool1", "conv2", "pool2", "fc1", "fc2"])
        self.assertEqual(report["layers"][4], {"name": "fc1", "class": "Linear", "inferred": False, "shape": [64, 256],
                                               "weights": None, "activations": None})

    def test_quantized_onnx(self):
        text, report = self.inspect(self.quantize_graph())
        self.assertEqual(rows_of(text)["fc1"][:5], ["fc1", "Linear", "64 x 256", "int8", "channel, axis 0"])
        self.assertEqual(rows_of(text)["fc1.weight_quantized"][1], "int8")
        self.assertEqual([l["name"] for l in report["layers"]], ["conv1", "pool1", "conv2", "pool2", "fc1", "fc2"])
        conv1, pool1 = report["layers"][:2]
        self.assertEqual((conv1["class"], conv1["shape"]), ("Conv2d", [8, 1, 5, 5]))
        self.assertEqual((conv1["weights"]["dtype"], conv1["weights"]["granularity"], conv1["weights"]["axis"]),
                         ("int8", "per_channel", 0))
        self.assertAlmostEqual(conv1["activations"]["scale"], 255 / 127, 6)  # pixels
        self.assertEqual((pool1["shape"], pool1["weights"], pool1["activations"]), (None, None, None))

    def test_artifact(self):
        self.assertEqual(self.quantize(STATIC, "quantize.backend=torchao", "quantize.mode=weight_only_ptq").returncode, 0)
        text, report = self.inspect("out/quantized_model_torchao.safetensors")
        self.assertEqual(rows_of(text)["fc1"][:5], ["fc1", "Linear", "64 x 256", "int8", "channel, axis 0"])
        fc1 = next(l for l in report["layers"] if l["name"] == "fc1")
        self.assertEqual((fc1["class"], fc1["inferred"], fc1["shape"]), ("Linear", False, [64, 256]))
        self.assertEqual((fc1["weights"]["dtype"], fc1["weights"]["granularity"], fc1["weights"]["axis"]),
                         ("int8", "per_channel", 0))
        self.assertGreater(fc1["weights"]["smallest_scale"], 0)
        self.assertIsNone(fc1["activations"])

    def test_artifact_with_activations(self):
        run = self.quantize("quantize: {backend: modelopt, mode: static_ptq, layers: [{module_name: 'fc1', weights: {dtype: "
                            "fp8_e4m3fn}, activations: {dtype: int8}}]}\n", "dataset.quant_calibration_dataset.activations="
                            f"{self.write('fc1.npz', npz({'fc1': npy([2, 256], floats(*range(512)))}))}")
        self.assertEqual(run.returncode, 0, run.stderr)
        text, report = self.inspect("out/quantized_model_modelopt.safetensors")
        self.assertEqual(report["layers"][0]["weights"]["granularity"], "per_tensor")
        self.assertEqual(report["layers"][0]["activations"]["dtype"], "int8")
        self.assertEqual(report["layers"][0]["activations"]["amax"], 511)
        self.assertEqual(rows_of(text)["fc1"][-1], "511")

    def test_checkpoint(self):
        text, report = self.inspect(LENET)
        self.assertEqual(rows_of(text)["fc1"], ["fc1", "Linear?", "64 x 256"])
        self.assertEqual(text.count("? inferred from name and shape"), 1)
        self.assertIn({"name": "fc1", "class": "Linear", "inferred": True, "shape": [64, 256], "weights": None,
                       "activations": None}, report["layers"])

    def test_artifact_with_a_dtype_of_somebody_s_own(self):
        """What its reader can do, who need not know C++."""
        self.assertEqual(self.quantize(WEIGHT_ONLY).returncode, 0)
        artifact = self.folder / "out" / "quantized_model_torchao.safetensors"
        artifact.write_bytes(artifact.read_bytes().replace(b'\\"int8\\"', b'\\"int4\\"'))
        for command in (["inspect", artifact], ["compare", LENET, artifact]):
            run = self.ptq(*command)
            self.assertFails(run, 1, str(artifact), '"int4"', "the program that wrote the artifact")
            self.assertNotIn("policies", run.stderr)
            self.assertNotIn("read_artifact", run.stderr)

    def test_one_tensor(self):
        text, _ = self.inspect(self.write("one.safetensors", safetensors({"steps": ("I64", [], bytes(8))})))
        self.assertIn("1 tensor, 8 B", text)
        self.assertNotIn("inferred", text)

    def test_other_files(self):
        nameless = self.folder / "nameless"
        shutil.copyfile(GRAPH, nameless)
        for file, kind in ((WEIGHT_ONLY, "a YAML file"), (LENET.with_name("calib.npy"), "NumPy array"),
                           (self.write("notes", "what I did\n" * 9), "looks like text."),
                           (self.write("a.zip", b"PK\3\4 and so on"), "zip archive"),
                           (nameless, "ONNX model without the suffix .onnx")):
            for command in (["inspect", file], ["compare", LENET, file], ["plan", "-e", WEIGHT_ONLY, f"model_path={file}"]):
                with self.subTest(command=command):
                    run = self.ptq(*command)
                    self.assertFails(run, 1, str(file), "not a safetensors file", kind, ".safetensors.index.json", ".onnx")
                    self.assertNotIn("8 bytes", run.stderr)

    def test_damaged_onnx(self):
        file = self.write("cut.onnx", GRAPH.read_bytes()[:1000])
        for command in (["inspect", file], ["compare", GRAPH, file]):
            self.assertFails(self.ptq(*command), 1, str(file))


if __name__ == "__main__":
    main()
