# SPDX-License-Identifier: Apache-2.0
"""The tables and lines that people read: names from files, figures that do not exist, numbers of things."""
import json
import re

from command import CommandTest, LENET, WEIGHT_ONLY, floats, main, rows_of, safetensors

GRAPH = LENET.with_name("model.onnx")


class ModuleTypes(CommandTest):
    def test_checkpoint_and_graph(self):
        for model in (LENET, GRAPH):
            run = self.ptq("plan", "--json", "-e", WEIGHT_ONLY, f"model_path={model}", "ptq.module_types={fc1: MyHead}",
                           "quantize.layers=[{module_name: MyHead, weights: {dtype: int8}}]")
            self.assertEqual(run.returncode, 0, run.stderr)
            fc1 = next(l for l in json.loads(run.stdout)["layers"] if l["name"] == "fc1")
            self.assertEqual((fc1["class"], fc1["inferred"], fc1["weights"]["rule"]), ("MyHead", False, 0))


class Names(CommandTest):
    """Names come from files: they must not steer the terminal, nor widen every row."""

    def setUp(self):
        super().setUp()
        self.names = ["a\nb\tc", "\x1b[31mred", "\x7f\x9b", "\u202egnp", "é" * 200]
        self.model = self.write("model.safetensors", safetensors(
            {name + ".weight": ("F32", [1, 2], floats(1, 2)) for name in self.names}))

    def assertTame(self, text):
        self.assertFalse(re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text), text)

    def test_tables(self):
        spec = self.write("spec.yaml", "quantize: {layers: [{module_name: Linear, weights: {dtype: int8}}]}\n")
        for command in (["inspect", self.model], ["plan", "-e", spec, f"model_path={self.model}"],
                        ["quantize", "-e", spec, f"model_path={self.model}", "results_dir=out"],
                        ["compare", self.model, "out/quantized_model_torchao.safetensors"]):
            with self.subTest(command=command[0]):
                run = self.ptq(*command)
                self.assertEqual(run.returncode, 0, run.stderr)
                self.assertTame(run.stdout)
                for shown in (r"a\nb\tc", r"\x1b[31mred", r"\x7f\x9b", r"\u202egnp", "é" * 20 + "..." + "é" * 20):
                    self.assertIn(shown, run.stdout)
                name = next(line for line in run.stdout.splitlines() if "é" in line).split()[0]
                self.assertEqual(len(name), 60)

    def test_json_keeps_them(self):
        printed = self.ptq("inspect", "--json", self.model).stdout
        self.assertTame(printed)
        layers = json.loads(printed)["layers"]
        self.assertEqual(sorted(l["name"] for l in layers), sorted(self.names))

    def test_errors(self):
        model = self.write("bad.safetensors", safetensors({"\x1b[31m\nfc.weight": ("F32", [1, 2], floats(1, float("nan")))}))
        run = self.quantize("quantize: {layers: [{module_name: '*', weights: {dtype: int8}}]}\n", model=model)
        self.assertFails(run, 1, r"\x1b[31m\nfc", "NaN")
        self.assertTame(run.stderr)

    def test_lone_bytes_of_graphs(self):
        whole = GRAPH.read_bytes().replace(b"input", b"i\x9b[2J").replace(b"logits", b"l\xe2\x80\xaex\n")
        graph = self.write("model.onnx", whole)
        for command in (["inspect", graph], ["inspect", "--json", graph], ["plan", "-e", WEIGHT_ONLY, f"model_path={graph}"]):
            run = self.ptq(*command)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertTame(run.stdout + run.stderr)
        self.assertIn(r"input i\x9b[2J: float32", self.ptq("inspect", graph).stdout)
        self.assertIn(r"output l\u202ex\n: float32", self.ptq("inspect", graph).stdout)

    def test_long_lines_are_cut_in_the_middle(self):
        run = self.ptq("inspect", "x" * 5000)
        self.assertFails(run, 1, "ptq: error: ", "x...x")
        self.assertLess(max(map(len, run.stderr.splitlines())), 2100)

    def test_warnings(self):
        run = self.ptq("plan", "-e", self.write("spec.yaml", 'quantize: {skip_names: ["\\e[31m"]}\n'), f"model_path={LENET}")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn(r"\x1b[31m", run.stderr)
        self.assertTame(run.stderr + run.stdout)

    def test_notes(self):
        recorded = self.write("recorded.safetensors", safetensors({
            "fc1": ("F32", [1, 256], floats(*range(256))), "\x1b[31mred": ("F32", [1], floats(1))}))
        spec = self.write("spec.yaml", "quantize: {backend: modelopt, mode: static_ptq, "
                                       "layers: [{module_name: fc1, activations: {dtype: int8}}]}\n")
        run = self.ptq("calibrate", "-e", spec, f"model_path={LENET}", "-o", "a.ptqcal",
                       f"dataset.quant_calibration_dataset.activations={recorded}")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertRegex(run.stderr, r"(?m)^ptq: note: .*\\x1b\[31mred")
        self.assertTame(run.stderr)


class Figures(CommandTest):
    LINEAR = "quantize: {layers: [{module_name: Linear, weights: {dtype: int8}}]}\n"

    def test_empty_tensor(self):
        model = self.write("model.safetensors", safetensors({
            "full.weight": ("F32", [2, 2], floats(1, 2, 3, 5)), "empty.weight": ("F32", [0, 4], b"")}))
        run = self.quantize(self.LINEAR, model=model)
        self.assertEqual(run.returncode, 0, run.stderr)
        names = [name for name in rows_of(run.stdout) if name in ("full", "empty")]
        self.assertEqual(names, ["full", "empty"])  # the worst first
        self.assertEqual(rows_of(run.stdout)["empty"][5:7], ["-", "-"])
        report = json.loads((self.folder / "out" / "quantize_report.json").read_text())
        empty = next(l for l in report["layers"] if l["name"] == "empty")["weights"]
        self.assertEqual((empty["sqnr_db"], empty["max_abs_error"]), (None, None))

    def test_sizes(self):
        tall = self.write("tall.safetensors", safetensors({"fc.weight": ("F32", [9, 1], floats(*range(1, 10)))}))
        self.assertIn("model: 36 B -> 45 B (1.25 times larger)", self.quantize(self.LINEAR, model=tall).stdout)
        self.assertIn("model: 82.1 KB -> 31.3 KB (2.62 times smaller)", self.quantize(self.LINEAR).stdout)
        self.assertIn("model: 82.1 KB -> 82.1 KB (unchanged)", self.quantize("quantize: {layers: []}\n").stdout)

    def test_numbers(self):
        model = self.write("model.safetensors", safetensors({"fc.weight": ("F32", [1, 2], floats(1, 2)),
                                                             "fc.bias": ("F32", [1], floats(1))}))
        run = self.quantize(self.LINEAR, model=model)
        self.assertIn("quantized: 1 of 1 layer\n", run.stdout)
        self.assertIn("copied, not the weight of a layer: 1 tensor\n", run.stdout)

    def test_inferred_is_explained_once(self):
        for run in (self.ptq("plan", "-e", WEIGHT_ONLY, f"model_path={LENET}"), self.quantize(WEIGHT_ONLY)):
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn("Linear?", run.stdout)
            self.assertEqual(run.stdout.count("? inferred from name and shape; ptq.module_types"), 1)
        self.assertNotIn("inferred", self.ptq("plan", "-e", WEIGHT_ONLY, f"model_path={GRAPH}").stdout)

    def test_no_weight_has_no_shape(self):
        rows = rows_of(self.ptq("plan", "-e", WEIGHT_ONLY, f"model_path={GRAPH}").stdout)
        self.assertEqual(rows["pool1"][:3], ["pool1", "MaxPool2d", "-"])


class Activations(CommandTest):
    """A layer whose activations alone are quantized counts, and is not said to be left."""

    def spec(self, *rules):
        return self.write("spec.yaml", f"quantize: {{backend: modelopt, mode: static_ptq, layers: [{', '.join(rules)}]}}\n")

    def test_numbers_agree(self):
        spec = self.spec("{module_name: MaxPool2d, activations: {dtype: int8}}", "{module_name: fc1, activations: {dtype: int8}}",
                         "{module_name: conv1, weights: {dtype: int8}}")
        self.assertIn("would quantize 4 of 6 layers", self.ptq("plan", "-e", spec, f"model_path={GRAPH}").stdout)
        run = self.quantize(spec, f"dataset.quant_calibration_dataset.inputs={LENET.with_name('calib.npy')}", model=GRAPH)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("quantized: 4 of 6 layers\nleft as they are, no rule matches: 2 (conv2, fc2)\n", run.stdout)
        self.assertEqual(run.stdout.count("left as they are"), 1)
        report = json.loads((self.folder / "out" / "quantize_report.json").read_text())
        self.assertEqual(report["totals"]["quantized_layers"], 4)

    def test_plan_shows_their_rules_and_reasons(self):
        spec = self.spec("{module_name: '*', weights: {dtype: int8}}", "{module_name: Linear, activations: {dtype: int8}}",
                         "{module_name: fc2, activations: {dtype: native}}")
        text = self.ptq("plan", "-e", spec, f"model_path={GRAPH}").stdout
        self.assertEqual(text.splitlines()[0].split()[-4:], ["rule", "activations", "rule", "reason"])
        rows = rows_of(text)
        self.assertEqual(rows["fc1"][3:], ["int8", "channel, axis 0", "0", "int8", "1"])
        self.assertEqual(rows["fc2"][3:], ["int8", "channel, axis 0", "0", "native", "2", "quantize.layers[2] says native"])
        self.assertEqual(rows["conv1"][5:], ["0", "native", "-"])
        self.assertEqual(rows["pool1"][5:], ["0", "native", "-", "only the activations of MaxPool2d can be quantized"])

    def test_plan_of_weights_alone_has_no_column_of_them(self):
        self.assertNotIn("activations", self.ptq("plan", "-e", WEIGHT_ONLY, f"model_path={GRAPH}").stdout)


if __name__ == "__main__":
    main()
