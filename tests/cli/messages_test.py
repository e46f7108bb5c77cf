# SPDX-License-Identifier: Apache-2.0
"""What the command says about wrong input: where, what was expected, the nearest word, and an exit code."""
import json
import os
import shutil
import struct
import subprocess
import unittest

from command import CommandTest, EXAMPLES, LENET, PTQ, STATIC, WEIGHT_ONLY, floats, main, safetensors

LINEAR = "quantize: {layers: [{module_name: Linear, weights: {dtype: int8}}]}\n"


class Threads(CommandTest):
    def run_lenet(self, *arguments, isa=None):
        environment = {**os.environ, **({} if isa is None else {"PTQ_ISA": isa})}
        return subprocess.run([PTQ, "quantize", "-e", WEIGHT_ONLY, f"model_path={LENET}", f"results_dir={self.folder}/out",
                               *arguments], capture_output=True, text=True, env=environment)

    def test_counts(self):
        artifacts = set()
        for arguments in ([], ["--threads", "1"], ["--threads=3"], ["--threads", "1024"]):
            run = self.run_lenet(*arguments)
            self.assertEqual(run.returncode, 0, run.stderr)
            artifacts.add((self.folder / "out" / "quantized_model_torchao.safetensors").read_bytes())
        self.assertEqual(len(artifacts), 1)

    def test_what_is_no_count(self):
        for word in ("0", "-1", "1025", "two", "", "1.5", "99999999999999999999"):
            run = self.run_lenet(f"--threads={word}")
            self.assertEqual(run.returncode, 2, word)
            self.assertIn("--threads", run.stderr)
            if word:
                self.assertIn(f'"{word}" is not a number from 1 to 1024', run.stderr)

    def test_kernels(self):
        artifacts = set()
        for isa in (None, "portable"):
            self.assertEqual(self.run_lenet(isa=isa).returncode, 0)
            artifacts.add((self.folder / "out" / "quantized_model_torchao.safetensors").read_bytes())
        self.assertEqual(len(artifacts), 1)
        for isa, words in (("portble", 'Did you mean "portable"?'), ("", "Available are portable"), ("AVX2", "there are no kernels")):
            run = self.run_lenet(isa=isa)
            self.assertEqual(run.returncode, 2)
            self.assertIn("PTQ_ISA", run.stderr)
            self.assertIn(words, run.stderr)


class SpecificationMessages(CommandTest):
    """All end with exit code 2 and write nothing."""

    def says(self, spec, *words):
        run = self.quantize(spec)
        self.assertFails(run, 2, *words)
        self.assertEqual(self.written(), [])

    def test_missing(self):
        self.assertFails(self.quantize(self.folder / "spek.yaml"), 2, str(self.folder / "spek.yaml"))

    def test_empty(self):
        self.says("", "spec.yaml", "quantize")

    def test_directory(self):
        self.assertFails(self.quantize(self.folder), 2, str(self.folder), "directory")

    def test_syntax(self):
        self.says("quantize:\n  layers: [\n", "spec.yaml:")

    def test_unknown_key(self):
        self.says("quantize:\n  skip_name: []\n", "spec.yaml:2:3", "quantize.skip_name", '"skip_names"')

    def test_unknown_dtype(self):
        self.says("quantize:\n  layers:\n    - module_name: Linear\n      weights: {dtype: int9}\n",
                  "spec.yaml:4:", "quantize.layers[0].weights.dtype", "int9", "fp8_e4m3fn", '"int8"')
        self.says("quantize:\n  layers: [{module_name: Linear, weights: {dtype: fp8}}]\n", 'Did you mean "fp8_e4m3fn"?')

    def test_unknown_algorithm(self):
        self.says("quantize: {algorithm: minmx}\n", "quantize.algorithm", "minmx", '"minmax"', "entropy")

    def test_unknown_backend(self):
        self.says("quantize: {backend: torcha}\n", "quantize.backend", "torcha", '"torchao"', "modelopt")
        self.says("quantize: {backend: TorchAO}\n", "quantize.backend", 'Did you mean "torchao"?')

    def test_unknown_mode(self):
        self.says("quantize: {mode: static_pqt}\n", "quantize.mode", '"static_ptq"')

    def test_wrong_pair(self):
        self.says("quantize: {backend: torchao, mode: static_ptq}\n", "torchao", "weight_only_ptq")

    def test_number_for_a_list(self):
        self.says("quantize: {layers: 3}\n", "spec.yaml:1:", "quantize.layers", 'expected a list, found "3"')

    def test_list_for_a_file(self):
        self.says("quantize: {}\nptq: {module_types: [1]}\n", "ptq.module_types: expected a file or a map, found a list")

    def test_list_for_a_string(self):
        self.says("quantize: {backend: [torchao]}\n", "quantize.backend", "list")

    def test_empty_module_name(self):
        self.says('quantize: {layers: [{module_name: "", weights: {dtype: int8}}]}\n', "quantize.layers[0].module_name",
                  "empty")

    def test_duplicate_key(self):
        self.says("quantize:\n  backend: torchao\n  backend: torchao\n", "spec.yaml:3:", "backend")

    def test_lost_indentation(self):
        self.says("quantize:\nbackend: torchao\nlayers: []\n", "spec.yaml:", "indent")

    def test_mandatory_value(self):
        self.says("quantize:\n  backend: ???\n", "quantize.backend", "mandatory")

    def test_override(self):
        run = self.quantize(LINEAR, "quantize.layers.0.weights.dtype=int9")
        self.assertFails(run, 2, "argument", "quantize.layers", '"int8"')

    def test_no_results_dir(self):
        run = self.ptq("quantize", "-e", self.write("spec.yaml", LINEAR), f"model_path={LENET}")
        self.assertFails(run, 2, "results_dir")

    def test_no_model_path(self):
        run = self.ptq("quantize", "-e", self.write("spec.yaml", LINEAR), "results_dir=out")
        self.assertFails(run, 2, "model_path")

    def test_strict(self):
        run = self.quantize("quantize: {layers: [{module_name: nothing_like_it, weights: {dtype: int8}}]}\n", "--strict")
        self.assertFails(run, 2, "nothing_like_it")
        self.assertEqual(self.written(), [])

    def test_strict_plan(self):
        spec = self.write("spec.yaml", "quantize: {layers: [{module_name: nothing_like_it, weights: {dtype: int8}}]}\n")
        lenient = self.ptq("plan", "-e", spec, f"model_path={LENET}")
        self.assertEqual(lenient.returncode, 0)
        self.assertIn("ptq: warning: ", lenient.stderr)
        strict = self.ptq("plan", "--strict", "-e", spec, f"model_path={LENET}")
        self.assertFails(strict, 2, "nothing_like_it", "--strict: 2 warnings.")
        self.assertNotIn("written", strict.stderr)  # a plan never writes
        self.assertEqual(strict.stdout, "")
        fine = self.ptq("plan", "--strict", "-e", self.write("fine.yaml", LINEAR), f"model_path={LENET}")
        self.assertEqual((fine.returncode, fine.stderr), (0, ""))

    def test_axis_out_of_range(self):
        spec = self.write("spec.yaml", "quantize:\n  layers:\n    - module_name: Linear\n"
                                       "      weights: {dtype: int8, quant_axis: 2}\n")
        for verb in ("plan", "quantize"):
            with self.subTest(verb=verb):
                run = self.ptq(verb, "-e", spec, f"model_path={LENET}", "results_dir=out")
                self.assertFails(run, 2, "spec.yaml:4:", "quantize.layers[0].weights.quant_axis: is 2", '"fc1"', "rank 2",
                                 "1 more layer")
                self.assertEqual((run.stdout, self.written()), ("", []))

    def test_options_before_the_command(self):
        self.assertFails(self.ptq("-e", "spec.yaml", "plan"), 2, '"-e" stands before the command', "ptq plan -e ...")

    def test_usage(self):
        for arguments, *words in (((), "no command is given.", "`ptq --help`"),
                                  (("quantise", "-e", "a"), 'there is no command "quantise".', 'Did you mean "quantize"?'),
                                  (("--stict",), "no command is given."),
                                  (("plan",), "plan: --experiment is required.", "`ptq plan --help`"),
                                  (("plan", "--stict"), 'plan: "--stict" is not expected.', 'Did you mean "--strict"?'),
                                  (("merge", "-o"), "merge: --output"), (("compare", "a"), "compare: files"),
                                  (("inspect", "a", "b"), "inspect: ")):
            with self.subTest(arguments=arguments):
                run = self.ptq(*arguments)
                self.assertFails(run, 2, *words)
                self.assertEqual((run.stdout, len(run.stderr.splitlines())), ("", 1))
                as_json = self.ptq(*arguments[:1], "--json", *arguments[1:])
                self.assertEqual((as_json.returncode, as_json.stderr), (2, run.stderr))
                self.assertEqual("ptq: error: " + json.loads(as_json.stdout)["error"]["message"] + "\n", run.stderr)

    def test_help(self):
        general = self.ptq("--help")
        self.assertEqual((general.returncode, general.stderr), (0, ""))
        self.assertIn("A specification:", general.stdout)
        for command in ("quantize", "plan", "inspect", "compare", "evaluate", "calibrate", "merge"):
            with self.subTest(command=command):
                run = self.ptq(command, "--help")
                self.assertEqual((run.returncode, run.stderr), (0, ""))
                self.assertIn(f"  ptq {command} ", run.stdout[run.stdout.index("\nExample"):])
                self.assertNotIn("A specification:", run.stdout)

    def test_version(self):
        self.assertRegex(self.ptq("--version").stdout, r"^\d+\.\d+\.\d+\nengines: tiny_engine(, OpenVINO)?\npictures: (JPEG, PNG, BMP|none .*)$")


class ModelMessages(CommandTest):
    """All end with exit code 1 and leave no artifact."""

    def says(self, content, *words, spec=LINEAR):
        model = self.write("model.safetensors", content)
        run = self.quantize(spec, model=model)
        self.assertFails(run, 1, str(model), *words)
        self.assertFalse([f for f in self.written() if "quantized_model" in f])

    def test_missing(self):
        self.assertFails(self.quantize(LINEAR, model="nowhere.safetensors"), 1, str(self.folder / "nowhere.safetensors"))

    def test_evaluate_before_quantize(self):
        run = self.ptq("evaluate", "-e", WEIGHT_ONLY, f"model_path={LENET.with_name('model.onnx')}", "results_dir=out",
                       "evaluate.inputs=x.npy")
        self.assertFails(run, 1, str(self.folder / "out" / "quantized_model_torchao.onnx"), "no such file",
                         "`ptq quantize` with the same specification writes it.")

    def test_evaluate_of_a_checkpoint(self):
        run = self.ptq("evaluate", "-e", WEIGHT_ONLY, "model_path=nowhere", "results_dir=out", "evaluate.inputs=x.npy")
        self.assertFails(run, 1, str(self.folder / "nowhere"), "no such file")
        run = self.ptq("evaluate", "-e", WEIGHT_ONLY, f"model_path={LENET}", "results_dir=out", "evaluate.inputs=x.npy")
        self.assertFails(run, 1, str(LENET), "holds weights but no graph", ".onnx", "`ptq compare`")

    def test_truncated(self):
        whole = LENET.read_bytes()
        for length in (0, 4, 100, len(whole) - 1):
            with self.subTest(length=length):
                self.says(whole[:length])

    def test_huge_header_claim(self):
        self.says(struct.pack("<Q", 100_000_000_000) + b"{}", "100000000000")

    def test_lying_header(self):
        self.says(safetensors({"fc.weight": ("F32", [2, 3], floats(1, 2, 3, 4))}), "fc.weight")

    def test_overlap(self):
        data = safetensors({"a.weight": ("F32", [2, 1], floats(1, 2)), "b.weight": ("F32", [2, 1], floats(1, 2))})
        self.says(data.replace(b"[8, 16]", b"[4, 12]"), "b.weight")

    def test_scales_that_are_there(self):
        self.says(safetensors({"a.weight": ("F32", [1, 2], floats(1, 2)), "a.weight_scale": ("F32", [1], floats(1))}),
                  'model.safetensors: tensor "a.weight_scale": the model has a tensor of this name already')

    def test_float8(self):
        model = self.write("model.safetensors", safetensors({"a.weight": ("F8_E4M3", [1, 2], b"12")}))
        self.assertIn("its weight holds F8_E4M3; float16, ", self.quantize(LINEAR, model=model).stdout)

    def test_nan_and_infinity(self):
        for bad in (float("nan"), float("inf")):
            self.says(safetensors({"fc.weight": ("F32", [2, 3], floats(1, 2, 3, 4, 5, bad))}), "fc", "[1, 2]", "NaN")


class QuantizedModels(CommandTest):
    """A model that is quantized already is refused by name; Q/DQ that no rule is about are not."""

    STATIC_ARTIFACT = "static/quantized_model_modelopt.onnx"

    def quantize_lenet(self):
        graph = LENET.with_name("model.onnx")
        run = self.quantize(STATIC, f"dataset.quant_calibration_dataset.inputs={LENET.with_name('calib.npy')}",
                            "results_dir=static", 'quantize.skip_names=["fc2"]', model=graph)
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_checkpoint(self):
        self.assertEqual(self.quantize(LINEAR).returncode, 0)
        artifact = (self.folder / "out/quantized_model_torchao.safetensors").rename(self.folder / "again.safetensors")
        for command in (("quantize", "results_dir=out"), ("plan",)):
            run = self.ptq(*command, "-e", "spec.yaml", f"model_path={artifact}")
            self.assertFails(run, 1, str(artifact), "quantized already", "float model")
        self.assertNotIn("out/quantized_model_torchao.safetensors", self.written())

    def test_graph(self):
        self.quantize_lenet()
        for pattern in ("Linear", "fc1", "Gemm", "Conv2d", "conv*"):
            with self.subTest(pattern):
                rule = f"quantize: {{layers: [{{module_name: '{pattern}', weights: {{dtype: int8}}}}]}}\n"
                run = self.quantize(rule, model=self.STATIC_ARTIFACT)
                name = "fc1" if pattern in ("Linear", "fc1", "Gemm") else "conv1"
                self.assertFails(run, 1, str(self.folder / self.STATIC_ARTIFACT), f'weight "{name}.weight_quantized"',
                                 "quantized already", "float model")
        self.assertFails(self.ptq("plan", "-e", "spec.yaml", f"model_path={self.STATIC_ARTIFACT}"), 1, "quantized already")

    def test_integer_operators(self):
        """A rule that matches them is refused; else they are layers that stay as they are."""
        graph = EXAMPLES.parent / "tests" / "golden" / "onnx" / "integers.onnx"
        for pattern, weight in (("Conv2d", "conv.weight_quantized"), ("conv2", "conv2.weight_quantized"), ("fc", "fc.weight"),
                                ("QLinearMatMul", "fc.weight"), ("MatMulInteger", "fc2.weight"), ("Linear", "fc.weight")):
            with self.subTest(pattern):
                rule = f"quantize: {{layers: [{{module_name: '{pattern}', weights: {{dtype: int8}}}}]}}\n"
                self.assertFails(self.quantize(rule, model=graph), 1, str(graph), f'its weight "{weight}" holds codes',
                                 "quantized already", "float model")
        run = self.quantize("quantize: {layers: [{module_name: head, weights: {dtype: int8}}]}\n", model=graph)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("quantized: 1 of 5 layers\nleft as they are, no rule matches: 4 (conv, conv2, fc, fc2)", run.stdout)

    def test_operator_set_that_cannot_be_raised(self):
        """Before any work: the data, which a calibration would read first, are not there."""
        whole = (EXAMPLES.parent / "tests" / "golden" / "onnx" / "opset11_softmax.onnx").read_bytes()
        self.assertTrue(whole.endswith(b"\x10\x0b"))  # the import of operator set 11
        graph = self.write("old.onnx", whole[:-1] + b"\x06")
        words = ("-e", STATIC, f"model_path={graph}", "results_dir=out", "dataset.quant_calibration_dataset.inputs=none.npy")
        for command in ("plan", "quantize"):
            self.assertFails(self.ptq(command, *words), 1, str(graph), "int8 needs operator set 13, but the model has 6",
                             "Export the model with operator set 13 or later")

    def test_rules_about_what_is_still_float(self):
        self.quantize_lenet()
        for spec in ("layers: [{module_name: fc2, weights: {dtype: int8}}]",
                     "layers: [{module_name: '*', weights: {dtype: int8}}], skip_names: ['conv*', fc1]",
                     "layers: [{module_name: '*', weights: {dtype: native}}, {module_name: fc2, weights: {dtype: int8}}]"):
            run = self.quantize(f"quantize: {{{spec}}}\n", model=self.STATIC_ARTIFACT)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn("quantized: 1 of", run.stdout)


class ResultsMessages(CommandTest):
    def test_results_dir_is_a_file(self):
        self.write("out", "in the way")
        self.assertFails(self.quantize(LINEAR), 1, str(self.folder / "out"))

    def test_read_only(self):
        """Root may write everywhere, so it runs a copy of the command as somebody else."""
        command, model = self.folder / "ptq", self.folder / "model.safetensors"
        shutil.copy(PTQ, command)
        shutil.copyfile(LENET, model)
        self.folder.chmod(0o755)
        (self.folder / "out").mkdir(mode=0o555)
        somebody = {"user": "nobody"} if os.geteuid() == 0 else {}
        self.assertFails(self.quantize(LINEAR, command=command, model=model, **somebody), 1, str(self.folder / "out"),
                         "ermission")
        self.assertEqual(self.written(), [])

    def test_what_is_printed_does_not_arrive(self):
        for command in (["plan", "-e", WEIGHT_ONLY, f"model_path={LENET}"], ["inspect", LENET, "--json"], ["--help"]):
            with open("/dev/full", "w") as full:
                run = subprocess.run([PTQ, *map(str, command)], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
            self.assertFails(run, 1, "standard output: No space left on device")

    def test_results_dir_cannot_be_made(self):
        self.assertFails(self.quantize(LINEAR, "results_dir=/proc/nowhere/out"), 1, "/proc/nowhere")

    def test_results_dir_is_seen_to_before_the_data(self):
        run = self.quantize(STATIC, "results_dir=/proc/nowhere/out", "dataset.quant_calibration_dataset.inputs=nowhere.npy",
                            model=LENET.with_name("model.onnx"))
        self.assertFails(run, 1, "results_dir cannot be made")

    def test_results_dir_with_a_slash(self):
        run = self.quantize(LINEAR, "results_dir=out/")
        self.assertIn(f"artifact: {self.folder}/out/quantized_model_torchao.safetensors\n", run.stdout)


class Status(CommandTest):
    """status.json never keeps an older SUCCESS when a run has failed."""

    def status(self):
        return json.loads((self.folder / "out/status.json").read_text())

    def test_a_model_that_cannot_be_read(self):
        self.assertFails(self.quantize(LINEAR, model="nowhere.safetensors"), 1)
        self.assertEqual(self.status()["status"], "FAILURE")
        self.assertEqual(self.quantize(LINEAR).returncode, 0)
        self.assertEqual(self.status()["status"], "SUCCESS")
        for name in ("cut.safetensors", "cut.onnx"):
            self.assertFails(self.quantize(LINEAR, model=self.write(name, LENET.read_bytes()[:-1])), 1)
            self.assertEqual(self.status()["status"], "FAILURE")
            self.assertIn(name, self.status()["message"])

    def test_an_index_that_is_none(self):
        self.assertEqual(self.quantize(LINEAR).returncode, 0)
        for text, words in (('{"foo": 1}', '"weight_map" is missing'), ("[]", "not a JSON object"),
                            ('{"weight_map": {}}', '"weight_map" is empty')):
            with self.subTest(text):
                self.write("out/status.json", '{"status": "SUCCESS"}')
                run = self.quantize(LINEAR, model=self.write("model.safetensors.index.json", text))
                self.assertFails(run, 1, str(self.folder / "model.safetensors.index.json"), words)
                self.assertEqual(self.status()["status"], "FAILURE")

    def test_wrong_usage_writes_nothing(self):
        self.assertEqual(self.quantize(LINEAR).returncode, 0)
        self.assertFails(self.quantize(LINEAR, "quantize.algorithm=minmx"), 2)
        self.assertEqual(self.status()["status"], "SUCCESS")


class ComparisonMessages(CommandTest):
    def test_nothing_in_common(self):
        a = self.write("a.safetensors", safetensors({"x": ("F32", [1], floats(1))}))
        b = self.write("b.safetensors", safetensors({"y": ("F32", [1], floats(1))}))
        self.assertFails(self.ptq("compare", a, b), 1, "a.safetensors", "b.safetensors", "no tensor")

    def test_not_a_checkpoint(self):
        self.assertFails(self.ptq("inspect", WEIGHT_ONLY), 1, str(WEIGHT_ONLY))


if __name__ == "__main__":
    main()
