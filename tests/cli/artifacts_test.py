# SPDX-License-Identifier: Apache-2.0
"""What the command writes and prints when all goes well."""
import json
import re
import subprocess

from command import CommandTest, LENET, PTQ, STATIC, WEIGHT_ONLY, floats, main, safetensors

ARTIFACT = "quantized_model_torchao.safetensors"


def header_of(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


class Artifacts(CommandTest):
    def test_first_example(self):
        run = self.quantize(WEIGHT_ONLY, "quantize.skip_names=[classifier.fc]")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.written(), ["out/experiment.yaml", "out/quantize_report.json", "out/" + ARTIFACT,
                                          "out/status.json"])
        self.assertIn("quantized: 2 of 4 layers", run.stdout)
        self.assertIn("fc1", run.stdout)
        self.assertIn("classifier.fc", run.stderr)  # a pattern that matches nothing is warned of
        self.assertIn(str(self.folder / "out" / ARTIFACT), run.stdout)

        before, before_data = header_of(LENET.read_bytes())
        before.pop("__metadata__", None)
        after, after_data = header_of((self.folder / "out" / ARTIFACT).read_bytes())
        meta = after.pop("__metadata__")
        self.assertEqual((meta["format"], meta["ptq_backend"], meta["ptq_mode"]), ("ptq", "torchao", "weight_only_ptq"))
        layers = json.loads(meta["ptq_layers"])
        self.assertEqual(layers["fc1"]["weights"], {"dtype": "int8", "granularity": "per_channel", "axis": 0})
        self.assertEqual(sorted(after), sorted([*before, "fc1.weight_scale", "fc2.weight_scale"]))
        self.assertEqual((after["fc1.weight"]["dtype"], after["fc1.weight"]["shape"]), ("I8", [64, 256]))
        self.assertEqual((after["fc1.weight_scale"]["dtype"], after["fc1.weight_scale"]["shape"]), ("F32", [64, 1]))

        def bytes_of(header, data, name):
            begin, end = header[name]["data_offsets"]
            return data[begin:end]

        for name in set(before) - {"fc1.weight", "fc2.weight"}:
            self.assertEqual(bytes_of(before, before_data, name), bytes_of(after, after_data, name), name)

    def test_report_and_status(self):
        self.quantize(WEIGHT_ONLY, "quantize.skip_names=[classifier.fc]")
        report = json.loads((self.folder / "out" / "quantize_report.json").read_text())
        fc1 = next(l for l in report["layers"] if l["name"] == "fc1")
        self.assertEqual(fc1["class"], "Linear")
        self.assertEqual(fc1["rule"], 0)
        self.assertGreater(fc1["weights"]["sqnr_db"], 35)
        self.assertEqual(fc1["weights"]["bytes_before"], 64 * 256 * 4)
        self.assertEqual(fc1["weights"]["bytes_after"], 64 * 256 + 64 * 4)
        conv1 = next(l for l in report["layers"] if l["name"] == "conv1")
        self.assertEqual((conv1["weights"]["dtype"], conv1["rule"]), ("native", None))
        self.assertTrue(conv1["reason"])
        self.assertEqual(len(report["layers"]), 4)
        self.assertTrue(any("classifier.fc" in w for w in report["warnings"]))
        self.assertEqual(json.loads((self.folder / "out" / "status.json").read_text())["status"], "SUCCESS")

    def test_json_is_all_of_stdout(self):
        run = self.quantize(WEIGHT_ONLY, "--json")
        self.assertEqual(json.loads(run.stdout), json.loads((self.folder / "out" / "quantize_report.json").read_text()))

    def test_json_has_one_form(self):
        """Indented by two, keys sorted, a line break at the end; files and what is printed alike."""
        model = LENET.with_name("model.onnx")
        data = f"dataset.quant_calibration_dataset.inputs={LENET.with_name('calib.npy')}"
        static = ("-e", STATIC, f"model_path={model}", "results_dir=out")
        for command in (("plan", *static, data), ("quantize", *static, data), ("calibrate", *static, data, "-o", "a.ptqcal"),
                        ("merge", "-o", "b.ptqcal", "a.ptqcal"), ("inspect", "a.ptqcal"), ("inspect", model),
                        ("compare", model, model), ("evaluate", *static, data, f"evaluate.inputs={LENET.with_name('calib.npy')}"),
                        ("plan",)):
            with self.subTest(command[0]):
                run = self.ptq(*command, "--json")
                self.assertEqual(run.returncode, 2 if command == ("plan",) else 0, run.stderr)
                self.assertSameForm(run.stdout)
        for file in ("quantize_report.json", "status.json"):
            self.assertSameForm((self.folder / "out" / file).read_text())

    def assertSameForm(self, text):
        numbers = dict.fromkeys(("parse_int", "parse_float"), lambda written: f"number {written}")
        expected = json.dumps(json.loads(text, **numbers), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        self.assertEqual(text, re.sub(r'"number ([^"]*)"', r"\1", expected))

    def test_the_resolved_spec_gives_the_same_artifact(self):
        self.quantize(WEIGHT_ONLY)
        first = (self.folder / "out" / ARTIFACT).read_bytes()
        run = self.ptq("quantize", "-e", self.folder / "out" / "experiment.yaml", "results_dir=again")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual((self.folder / "again" / ARTIFACT).read_bytes(), first)

    def test_the_resolved_spec_runs_from_any_folder(self):
        model = LENET.with_name("model.onnx")
        for file in (model, LENET.with_name("calib.npy")):
            (self.folder / file.name).symlink_to(file)
        data = "dataset.quant_calibration_dataset.inputs=calib.npy"
        self.write("types.json", "{}")
        given = ("-e", STATIC, "model_path=model.onnx")
        self.assertEqual(self.ptq("calibrate", *given, data, "-o", "a.ptqcal").returncode, 0)
        elsewhere = self.folder / "else" / "where"
        elsewhere.mkdir(parents=True)
        for more in ((data,), ("--statistics", "a.ptqcal"), ("ptq.calibration.statistics=a.ptqcal", "ptq.module_types=types.json")):
            with self.subTest(more=more):
                run = self.ptq("quantize", *given, "results_dir=out", *more)
                self.assertEqual(run.returncode, 0, run.stderr)
                held = {path: (self.folder / path).read_bytes() for path in self.written()}
                (self.folder / "out" / "quantized_model_modelopt.onnx").unlink()
                again = subprocess.run([PTQ, "quantize", "-e", self.folder / "out" / "experiment.yaml"], cwd=elsewhere,
                                       capture_output=True, text=True, timeout=60)
                self.assertEqual((again.returncode, again.stdout), (0, run.stdout), again.stderr)
                self.assertEqual({path: (self.folder / path).read_bytes() for path in self.written()}, held)
                self.assertEqual(list(elsewhere.iterdir()), [])

    def test_every_dtype_and_backend_spelling(self):
        for dtype, code in {"int8": "I8", "float8_e4m3fn": "F8_E4M3", "FP8_E5M2": "F8_E5M2"}.items():
            with self.subTest(dtype=dtype):
                spec = f"quantize: {{layers: [{{module_name: 'fc*', weights: {{dtype: {dtype}}}}}]}}\n"
                self.assertEqual(self.quantize(spec).returncode, 0)
                header, _ = header_of((self.folder / "out" / ARTIFACT).read_bytes())
                self.assertEqual(header["fc2.weight"]["dtype"], code)

    def test_conv_and_half_sources(self):
        model = self.write("half.safetensors", safetensors({
            "conv.weight": ("F16", [2, 1, 1, 2], bytes.fromhex("003c00c000400042")),
            "bn.weight": ("F32", [2], floats(1, 2)),
            "steps": ("I64", [], bytes(8)),
        }))
        run = self.quantize("quantize: {layers: [{module_name: Conv2d, weights: {dtype: int8}}]}\n", model=model)
        self.assertEqual(run.returncode, 0, run.stderr)
        header, _ = header_of((self.folder / "out" / ARTIFACT).read_bytes())
        self.assertEqual(header["conv.weight"]["dtype"], "I8")
        self.assertEqual(header["conv.weight_scale"]["shape"], [2, 1, 1, 1])
        self.assertEqual(header["steps"]["dtype"], "I64")

    def test_sharded(self):
        self.write("a.safetensors", safetensors({"one.weight": ("F32", [2, 2], floats(1, -2, 3, 4))}))
        self.write("b.safetensors", safetensors({"two.weight": ("F32", [1, 2], floats(5, 6))}))
        index = self.write("model.safetensors.index.json", json.dumps({
            "metadata": {"total_size": 24},
            "weight_map": {"one.weight": "a.safetensors", "two.weight": "b.safetensors"}}))
        run = self.quantize("quantize: {layers: [{module_name: Linear, weights: {dtype: int8}}]}\n", model=index)
        self.assertEqual(run.returncode, 0, run.stderr)
        header, _ = header_of((self.folder / "out" / ARTIFACT).read_bytes())
        self.assertEqual({header[n]["dtype"] for n in ("one.weight", "two.weight")}, {"I8"})


class Listings(CommandTest):
    def test_plan(self):
        run = self.ptq("plan", "-e", WEIGHT_ONLY, f"model_path={LENET}")
        self.assertEqual(run.returncode, 0, run.stderr)
        for word in ("conv1", "fc1", "Linear", "int8", "no rule matches"):
            self.assertIn(word, run.stdout)
        run = self.ptq("plan", "--json", "-e", WEIGHT_ONLY, f"model_path={LENET}", "quantize.skip_names=[classifier.fc]")
        plan = json.loads(run.stdout)
        fc1 = next(l for l in plan["layers"] if l["name"] == "fc1")
        self.assertEqual(fc1, {"name": "fc1", "class": "Linear", "inferred": True, "shape": [64, 256],
                               "weights": {"dtype": "int8", "granularity": "per_channel", "axis": 0, "rule": 0,
                                           "reason": None},
                               "activations": {"dtype": "native", "rule": None,
                                               "reason": "no matching rule sets activations"}, "skipped_by": None})
        self.assertEqual(plan["rules"], [{"module_name": "Linear", "matched": 2}])
        self.assertEqual(plan["skip_names"], [{"pattern": "classifier.fc", "matched": 0}])
        self.assertEqual(len(plan["layers"]), 4)

    def test_inspect(self):
        self.quantize(WEIGHT_ONLY)
        for file, words in ((LENET, ("fc1.weight", "F32", "64 x 256", "Linear")),
                            ("out/" + ARTIFACT, ("fc1", "int8", "channel", "torchao"))):
            run = self.ptq("inspect", file)
            self.assertEqual(run.returncode, 0, run.stderr)
            for word in words:
                self.assertIn(word, run.stdout)
            self.assertIn("fc1.weight", [t["name"] for t in json.loads(self.ptq("inspect", "--json", file).stdout)["tensors"]])

    def test_compare(self):
        self.quantize(WEIGHT_ONLY)
        run = self.ptq("compare", LENET, "out/" + ARTIFACT)
        self.assertEqual(run.returncode, 0, run.stderr)
        compared = json.loads(self.ptq("compare", "--json", LENET, "out/" + ARTIFACT).stdout)
        self.assertEqual(sorted(l["name"] for l in compared["layers"]), ["fc1", "fc2"])
        for layer in compared["layers"]:
            self.assertIn(layer["name"], run.stdout)
            self.assertGreater(layer["sqnr_db"], 35)
            self.assertGreater(layer["cosine"], 0.999)
        same = json.loads(self.ptq("compare", "--json", LENET, LENET).stdout)
        self.assertEqual((same["layers"], same["identical"]), ([], 8))


if __name__ == "__main__":
    main()
