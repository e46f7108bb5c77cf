# SPDX-License-Identifier: Apache-2.0
"""quantize --shard and merge: the bytes of one process, whatever the shares; and what they refuse."""
import json
import os
import shutil
import subprocess

from command import EXAMPLES, LENET, PTQ, WEIGHT_ONLY, CommandTest, floats, main, npy, npz, safetensors

TORCH = LENET.with_name("model.pth")
STATIC_LAYERS = """quantize: {backend: modelopt, mode: static_ptq, layers: [
  {module_name: Linear, weights: {dtype: int8}, activations: {dtype: int8}}]}
"""
INT8 = """quantize: {backend: torchao, mode: weight_only_ptq, layers: [{module_name: Linear, weights: {dtype: int8}}]}
"""
ONE_SCALE = """quantize: {backend: modelopt, mode: static_ptq, layers: [
  {module_name: Linear, weights: {dtype: int8, quant_axis: null}}]}
"""


class ShardTest(CommandTest):
    def setUp(self):
        super().setUp()
        # Of all sizes; the second output channel is lost where the first has the same scale.
        sizes = {"a": 3, "b": 40, "c": 1, "d": 17, "e": 64}
        self.layers = sorted(sizes)
        tensors = {f"{n}.weight": ("F32", [2, k], floats(*(0.25 * (i - k / 3) for i in range(k)), *[1e-9] * k))
                   for n, k in sizes.items()}
        tensors["e.bias"] = ("F32", [2], floats(1, 2))
        tensors["steps"] = ("I64", [], b"01234567")
        self.model = self.write("model.safetensors", safetensors(tensors, {"format": "pt", "title": "a model"}))
        self.inputs = self.write("inputs.npz", npz({
            n: npy([3, k], floats(*(i * 0.1 for i in range(3 * k)))) for n, k in sizes.items()}))

    def shard(self, part, *arguments, out="out", **more):
        return self.ptq("quantize", *arguments, f"results_dir={out}", "--shard", part, **more)

    def shown(self, out="out"):
        """{name: bytes}; experiment.yaml names its folder."""
        return {p.name: p.read_bytes().replace(f"/{out}\"".encode(), b"/DIR\"") for p in (self.folder / out).iterdir()}

    def expect_as_one(self, arguments, count):
        one = self.ptq("quantize", *arguments, "results_dir=one")
        self.assertEqual(one.returncode, 0, one.stderr)
        for i in range(count, 0, -1):
            run = self.shard(f"{i}/{count}", *arguments)
            self.assertEqual(run.returncode, 0, run.stderr)
        merged = self.ptq("merge", "out")
        self.assertEqual(merged.returncode, 0, merged.stderr)
        self.assertEqual(self.shown(), self.shown("one"))
        self.assertEqual(merged.stdout.replace(f"{self.folder}/out", f"{self.folder}/one"), one.stdout)
        for out in ("out", "one"):
            shutil.rmtree(self.folder / out)


class AsOneProcess(ShardTest):
    def test_weights(self):
        for count in (1, 2, 3, 11):  # some of eleven have no tensor
            self.expect_as_one(["-e", WEIGHT_ONLY, f"model_path={self.model}"], count)

    def test_notes_keep_their_order(self):
        spec = self.write("one_scale.yaml", ONE_SCALE)
        run = self.ptq("quantize", "-e", spec, f"model_path={self.model}", "results_dir=out")
        self.assertEqual(run.returncode, 0, run.stderr)
        report = json.loads((self.folder / "out/quantize_report.json").read_text())
        self.assertGreater(len([n for n in report["notes"] if "became all zero" in n]), 2, report["notes"])
        shutil.rmtree(self.folder / "out")
        self.expect_as_one(["-e", spec, f"model_path={self.model}"], 3)

    def test_checkpoints_and_forms(self):
        self.expect_as_one(["-e", WEIGHT_ONLY, f"model_path={TORCH}"], 2)
        for form in ("pth", "float"):
            self.expect_as_one(["-e", WEIGHT_ONLY, f"model_path={self.model}", "--format", form], 2)

    def test_what_a_model_says_about_itself(self):
        for metadata in (None, {"format": "np"}):
            model = self.write("other.safetensors", safetensors({"a.weight": ("F32", [1, 2], floats(1, 2))}, metadata))
            for form in ("float", "safetensors"):
                self.expect_as_one(["-e", WEIGHT_ONLY, f"model_path={model}", "--format", form], 2)

    def test_tensors_without_elements(self):
        model = self.write("empty.safetensors", safetensors({  # "a" lies where "a.weight" begins
            "a": ("I64", [0], b""), "a.weight": ("F32", [1, 4], floats(1, 2, 3, 4)), "b.weight": ("F32", [0, 4], b"")}))
        for count in (1, 2, 3):
            self.expect_as_one(["-e", WEIGHT_ONLY, f"model_path={model}"], count)

    def test_folders_that_loaders_open(self):
        self.write("hub/model.safetensors", self.model.read_bytes())
        self.write("hub/config.json", '{"architectures": ["Net"], "model_type": "net"}')
        self.write("hub/tokenizer.json", "{}")
        arguments = ["-e", self.write("int8.yaml", INT8), "model_path=hub"]
        self.expect_as_one(arguments, 2)
        self.expect_as_one([*arguments, "--format", "safetensors"], 3)

    def test_recorded_activations(self):
        spec = self.write("static.yaml", STATIC_LAYERS)
        data = f"dataset.quant_calibration_dataset.activations={self.inputs}"
        self.expect_as_one(["-e", spec, f"model_path={self.model}", data], 3)
        made = self.ptq("calibrate", "-e", spec, f"model_path={self.model}", data, "-o", "all.ptqcal")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.expect_as_one(["-e", spec, f"model_path={self.model}", "--statistics", "all.ptqcal"], 2)

    def test_shares_at_once(self):
        one = self.ptq("quantize", "-e", WEIGHT_ONLY, f"model_path={self.model}", "results_dir=one")
        self.assertEqual(one.returncode, 0, one.stderr)
        runs = [subprocess.Popen([PTQ, "quantize", "-e", WEIGHT_ONLY, f"model_path={self.model}", "results_dir=out",
                                  "--shard", f"{i}/4"], cwd=self.folder, stdout=subprocess.DEVNULL) for i in (1, 2, 3, 4)]
        self.assertEqual([run.wait(60) for run in runs], [0] * 4)
        self.assertEqual(self.ptq("merge", "out").returncode, 0)
        self.assertEqual(self.shown(), self.shown("one"))


class Parts(ShardTest):
    def setUp(self):
        super().setUp()
        self.arguments = ["-e", str(WEIGHT_ONLY), f"model_path={self.model}"]

    def make(self, *parts):
        for part in parts:
            run = self.shard(part, *self.arguments)
            self.assertEqual(run.returncode, 0, run.stderr)
        return run

    def test_a_part_is_not_made_twice(self):
        first = self.make("1/2")
        self.assertNotIn("was there", first.stdout)
        before = self.shown()
        self.assertEqual(sorted(before), ["quantized_model_torchao-part-00001-of-00002.json",
                                          "quantized_model_torchao-part-00001-of-00002.safetensors"])
        self.assertIn("was there already", self.make("1/2").stdout)
        self.assertTrue(json.loads(self.shard("1/2", *self.arguments, "--json").stdout)["was_there"])
        self.assertEqual(self.shown(), before)
        part = self.folder / "out/quantized_model_torchao-part-00001-of-00002.safetensors"
        part.write_bytes(part.read_bytes()[:-1])
        self.assertNotIn("was there", self.make("1/2").stdout)
        self.assertEqual(self.shown(), before)

    def test_a_part_of_something_else_is_replaced(self):
        self.make("1/2")
        self.arguments.append("quantize.layers.0.weights.dtype=fp8_e5m2")
        self.assertIn("it is replaced", self.make("1/2").stderr)
        os.utime(self.model, (1, 1))
        self.assertIn("it is replaced", self.make("1/2").stderr)
        self.assertIn("was there already", self.make("1/2").stdout)

    def test_parts_that_are_missing_are_named(self):
        self.make("1/3", "3/3")
        self.arguments.append("evaluate.labels=my labels.npy")
        run = self.ptq("merge", "out")
        self.assertFails(run, 1, "of 3 parts 1 is missing: 2", f"ptq quantize -e {WEIGHT_ONLY} model_path={self.model} "
                         "results_dir=out --shard 2/3")
        self.assertEqual(len(self.shown()), 4)

    def test_parts_that_do_not_belong_together(self):
        self.make("1/2")
        self.arguments.append("quantize.layers.0.weights.dtype=fp8_e5m2")
        self.make("2/2")
        self.assertFails(self.ptq("merge", "out"), 1, "part-00002-of-00002.json", "of another model", "--shard 2/2")
        self.make("1/3")
        self.assertFails(self.ptq("merge", "out"), 1, "of another model")
        shutil.rmtree(self.folder / "out")
        self.make("1/2", "1/3")
        self.assertFails(self.ptq("merge", "out"), 1, "1 of 2", "1 of 3", "Remove")
        self.make("2/2")
        self.assertEqual(self.ptq("merge", "out").returncode, 0)
        self.assertEqual([n for n in self.shown() if "-part-" in n], [])

    def test_a_model_that_has_changed(self):
        self.make("1/2", "2/2")
        os.utime(self.model, (1, 1))
        self.assertFails(self.ptq("merge", "out"), 1, "has changed since")
        self.model.unlink()
        self.assertFails(self.ptq("merge", "out"), 1, str(self.model))
        self.assertEqual(len(self.shown()), 4)

    def test_damaged_parts(self):
        self.make("1/1")
        about = self.folder / "out/quantized_model_torchao-part-00001-of-00001.json"
        whole = json.loads(about.read_text())
        for change in ({"layers": 1}, {"key": 5}, {"layers": []}, {"part": 2}, {"specification": "quantize: 1"},
                       {"layers": [dict(whole["layers"][0], place=10**9)]}, {"notes": [1]}):
            about.write_text(json.dumps({**whole, **change}))
            self.assertFails(self.ptq("merge", "out"), 1)
        about.write_text("[" * 1000)
        self.assertFails(self.ptq("merge", "out"), 1, "nested")

    def test_a_merge_that_died_takes_no_newer_parts(self):
        self.make("1/1")
        old = list(self.shown())
        self.write("out/.ptq-run/lock", "ptq run: pid 1 on here\n")
        for folder in ("new", "old"):
            (self.folder / "out/.ptq-run" / folder).mkdir()
        self.write("out/.ptq-run/plan", "last 1 status.json\n" + "".join(f"stale 0 {n}\n" for n in old))
        self.arguments.append("quantize.layers.0.weights.dtype=fp8_e5m2")
        self.make("1/1")
        merged = self.ptq("merge", "out")
        self.assertEqual(merged.returncode, 0, merged.stderr)
        self.assertIn("fp8_e5m2", merged.stdout)
        self.assertIn("quantized_model_torchao.safetensors", self.shown())

    def test_an_earlier_merge_is_told_in_json_too(self):
        self.make("1/1")
        old = {n: (self.folder / "out" / n).read_bytes() for n in self.shown()}
        first = self.ptq("merge", "out", "--json")
        for name, content in old.items():
            self.write(f"out/{name}", content)
        self.write("out/.ptq-run/lock", "ptq run: pid 1 on here\n")
        self.write("out/.ptq-run/plan", "last 1 status.json\n" + "".join(f"stale 0 {n}\n" for n in old))
        again = self.ptq("merge", "out", "--json")
        self.assertEqual((again.returncode, again.stdout), (0, first.stdout))

    def test_a_part_is_no_file_that_is_read(self):
        whole = self.model.read_bytes()
        model = self.write("out/quantized_model_torchao-part-00001-of-00002.safetensors", whole)
        for part in ("1/2", "2/2"):  # it would be written over; a merge would take it away
            run = self.shard(part, "-e", WEIGHT_ONLY, f"model_path={model}")
            self.assertFails(run, 2, str(model), "read as model_path", "Give another results_dir")
        self.assertEqual(self.shown(), {model.name: whole})

    def test_wrong_usage(self):
        for part in ("0/2", "3/2", "1", "1/", "/2", "a/b", "1/901", "-1/2", "1/2/3"):
            self.assertFails(self.shard(part, *self.arguments), 2, "--shard", "i/n")
        self.assertFails(self.ptq("merge", "."), 1, "there are no parts")
        self.assertFails(self.ptq("merge", "nothing"), 2, "--output is required")
        graph = LENET.with_name("model.onnx")
        self.assertFails(self.shard("1/2", "-e", WEIGHT_ONLY, f"model_path={graph}"), 2, "one graph", "ptq calibrate")
        self.assertEqual([p.name for p in self.folder.iterdir() if p.is_dir()], [])

    def test_parts_that_are_being_made(self):
        self.make("1/2", "2/2")
        own = self.folder / "out/.quantized_model_torchao-part-00001-of-00002.safetensors.ptq-run"
        own.mkdir()
        (own / "lock").write_text("ptq run: pid 1 on here\n")
        with open(own / "lock") as lock:
            import fcntl
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertFails(self.ptq("merge", "out"), 1, "pid 1 on here", "--wait")
            self.assertFails(self.shard("1/2", *self.arguments), 1, "pid 1 on here")
            self.assertEqual(self.shard("2/2", *self.arguments).returncode, 0)
        self.assertEqual(self.ptq("merge", "out").returncode, 0)
        self.assertFalse(own.exists())


if __name__ == "__main__":
    main()
