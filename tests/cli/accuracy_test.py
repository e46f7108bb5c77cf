# SPDX-License-Identifier: Apache-2.0
"""The first static example on the shipped models: how much of their accuracy is left."""
import json
import struct

from command import EXAMPLES, CommandTest, main, npy

STATIC = EXAMPLES / "specs" / "static.yaml"
MODELS = {"lenet-digits": ("test_images.npy", 1 / 255), "pitch-transformer": ("test_inputs.npy", 1)}
# agreement and decibels that int8 with minmax has to reach; ONNX Runtime's own quantizer has 0.994 and 34.0, 0.998 and 28.9
WANTED = {"lenet-digits": (0.990, 33), "pitch-transformer": (0.995, 28)}
SETTINGS = (("int8", "minmax"), ("int8", "entropy"), ("fp8_e4m3fn", "minmax"), ("fp8_e5m2", "minmax"))


def sizes_in_readme():
    """(model, dtype, algorithm) -> the last column of the page's table of what static quantization costs."""
    sizes, name = {}, ""
    for line in (EXAMPLES / "cli/README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 8 or (cells[1], cells[2]) not in SETTINGS:
            continue
        name = cells[0].split(",")[0] or name
        sizes[name, cells[1], cells[2]] = cells[-1]
    return sizes


class Accuracy(CommandTest):
    def test_static_example(self):
        for name, (inputs, scale) in MODELS.items():
            for dtype, algorithm in SETTINGS:
                with self.subTest(model=name, dtype=dtype, algorithm=algorithm):
                    self.check(name, inputs, scale, dtype, algorithm)

    def check(self, name, inputs, scale, dtype, algorithm):
        model, calibration = EXAMPLES / "models" / name, "dataset.quant_calibration_dataset"
        words = ["-e", STATIC, f"model_path={model / 'model.onnx'}", f"results_dir={name}-{dtype}-{algorithm}"]
        if (dtype, algorithm) != ("int8", "minmax"):  # which is what the file says
            words.append(f"quantize.algorithm={algorithm}")
            words += [f"quantize.layers.{rule}.{slot}.dtype={dtype}" for rule in (0, 1) for slot in ("weights", "activations")]
        run = self.ptq("quantize", *words, f"{calibration}.inputs={model / 'calib.npy'}", f"{calibration}.scale={scale}")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("SQNR dB (estimate)", run.stdout)
        run = self.ptq("evaluate", "--json", *words, f"evaluate.inputs={model / inputs}",
                       f"evaluate.labels={model / 'test_labels.npy'}", f"evaluate.scale={scale}")
        self.assertEqual(run.returncode, 0, run.stderr)
        found = json.loads(run.stdout)
        print(f"{name} {dtype} {algorithm}: top-1 {found['float_top1']:.4f} -> {found['quantized_top1']:.4f}, "
              f"agreement {found['agreement']:.4f}, logits {found['sqnr_db']:.1f} dB")
        agreement, decibels = WANTED[name] if (dtype, algorithm) == ("int8", "minmax") else (0.95, 15)
        self.assertGreaterEqual(found["agreement"], agreement)
        self.assertGreaterEqual(found["sqnr_db"], decibels)
        artifact = self.folder / f"{name}-{dtype}-{algorithm}" / "quantized_model_modelopt.onnx"
        self.assertEqual(f"{artifact.stat().st_size // 1000} KB", sizes_in_readme()[name, dtype, algorithm])
        self.check_report(json.loads((self.folder / f"{name}-{dtype}-{algorithm}" / "quantize_report.json").read_text()), dtype, algorithm)

    def test_integer_arithmetic(self):
        """What firmware will have: nearly the figures of ONNX's arithmetic, and no float layer in silence."""
        model, calibration = EXAMPLES / "models" / "lenet-digits", "dataset.quant_calibration_dataset"
        words = ["-e", STATIC, f"model_path={model / 'model.onnx'}", "results_dir=out"]
        run = self.ptq("quantize", *words, f"{calibration}.inputs={model / 'calib.npy'}", f"{calibration}.scale={1 / 255}")
        self.assertEqual(run.returncode, 0, run.stderr)
        words += [f"evaluate.inputs={model / 'test_images.npy'}", f"evaluate.labels={model / 'test_labels.npy'}",
                  f"evaluate.scale={1 / 255}"]
        found = {}
        for name in ("onnx", "integer"):
            run = self.ptq("evaluate", "--json", "--arithmetic", name, *words)
            self.assertEqual(run.returncode, 0, run.stderr)
            found[name] = json.loads(run.stdout)
            self.assertEqual(found[name]["arithmetic"], name)
        print(f"integers alone: top-1 {found['integer']['quantized_top1']:.4f}, agreement {found['integer']['agreement']:.4f}, "
              f"logits {found['integer']['sqnr_db']:.2f} dB; ONNX's arithmetic {found['onnx']['sqnr_db']:.2f} dB")
        self.assertGreaterEqual(found["integer"]["agreement"], 0.99)
        self.assertLess(abs(found["integer"]["quantized_top1"] - found["onnx"]["quantized_top1"]), 0.002)
        self.assertLess(abs(found["integer"]["sqnr_db"] - found["onnx"]["sqnr_db"]), 0.5)
        self.assertNotEqual(found["integer"]["sqnr_db"], found["onnx"]["sqnr_db"])
        run = self.ptq("evaluate", "--arithmetic=integer", *words)
        self.assertIn("arithmetic        integer, as in firmware", run.stdout)
        self.assertFails(self.ptq("evaluate", "--arithmetic", "intger", *words), 2, "--arithmetic", 'no arithmetic "intger"',
                         'Did you mean "integer"?')
        run = self.ptq("quantize", *words[:4], f"{calibration}.inputs={model / 'calib.npy'}",
                       *[f"quantize.layers.{rule}.{slot}.dtype=fp8_e4m3fn" for rule in (0, 1) for slot in ("weights", "activations")])
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertFails(self.ptq("evaluate", "--arithmetic", "integer", *words), 1, "(QuantizeLinear)",
                         "not in integer arithmetic: codes other than int8")

    def test_label_out_of_range(self):
        model, calibration = EXAMPLES / "models" / "lenet-digits", "dataset.quant_calibration_dataset"
        words = ["-e", STATIC, f"model_path={model / 'model.onnx'}", "results_dir=out", "evaluate.batch_size=2",
                 f"evaluate.inputs={self.write('x.npy', npy([5, 1, 28, 28], bytes(5 * 4 * 28 * 28)))}"]
        self.assertEqual(self.ptq("quantize", *words).returncode, 0)
        for label in (-1, 10):
            labels = self.write("y.npy", npy([5], struct.pack("<5q", 0, 9, 0, label, 0), "<i8"))
            self.assertFails(self.ptq("evaluate", *words, f"evaluate.labels={labels}"), 1,
                             f"{labels}: sample 3: the label is {label}, but the model has 10 classes", "from 0 to 9")

    def test_artifact_of_another_model(self):
        """By what it takes and gives; and in a graph of the same form, by the names of its weights."""
        digits, pitch = (EXAMPLES / "models" / name / "model.onnx" for name in ("lenet-digits", "pitch-transformer"))
        renamed = self.write("renamed.onnx", digits.read_bytes().replace(b"fc1.weight", b"fcX.weight"))
        words = ["-e", STATIC, "results_dir=out",
                 f"evaluate.inputs={self.write('x.npy', npy([1, 1, 28, 28], bytes(4 * 28 * 28)))}"]
        artifact = self.folder / "out" / "quantized_model_modelopt.onnx"
        for model, why in ((pitch, "it takes "), (renamed, 'the model has no weight "fc1.weight"')):
            with self.subTest(model=model.name):
                self.assertEqual(self.ptq("quantize", *words, f"model_path={digits}").returncode, 0)
                self.assertFails(self.ptq("evaluate", *words, f"model_path={model}"), 1,
                                 f"{artifact}: this artifact belongs to another model than {model}: {why}")
                self.assertEqual(self.ptq("evaluate", *words, f"model_path={digits}").returncode, 0)

    def check_report(self, report, dtype, algorithm):
        for layer in report["layers"]:
            activations = layer["activations"]
            self.assertEqual(set(activations), {"dtype", "amax", "clipped_share", "algorithm", "reason", "sqnr_db"})
            if activations["dtype"] == "native":
                self.assertEqual([activations[key] for key in ("amax", "clipped_share", "algorithm", "sqnr_db")], [None] * 4)
                continue
            self.assertEqual((activations["dtype"], activations["algorithm"], activations["reason"]), (dtype, algorithm, None))
            self.assertGreater(activations["amax"], 0)
            self.assertGreater(activations["sqnr_db"], {"int8": 20, "fp8_e4m3fn": 25, "fp8_e5m2": 19}[dtype])
            self.assertTrue(0 <= activations["clipped_share"] < (0.01 if algorithm == "entropy" else 1e-9))


if __name__ == "__main__":
    main()
