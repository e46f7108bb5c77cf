# SPDX-License-Identifier: Apache-2.0
"""A run is one transaction: killed or failed at every call that changes its folder, and beside other runs.

The shim (fault_shim.cpp) kills a run at its k-th such call, or lets that fail, for every k. Each time the folder must show
files of one run only; and the next run, which fails by itself, must leave one run, whole, old or new, and nothing else.
PTQ_PAIRS=200 runs that many pairs of runs at once (few are enough for every day).
Waiting for the disk takes most of the time of a small run: what is flushed, and when, is written down here.
"""
import errno
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from command import EXAMPLES, PTQ, CommandTest, floats, main, npy, npz, safetensors

SHIM = pathlib.Path(sys.argv[3]).resolve()
GRAPHS = EXAMPLES.parent / "tests" / "golden" / "onnx"
LAYER = "{module_name: Linear, weights: {dtype: %s}}"
WEIGHTS = "quantize: {backend: %s, mode: %s, layers: [" + LAYER + "]}\n"
STATIC = "quantize: {backend: modelopt, mode: static_ptq, layers: [{module_name: Linear, activations: {dtype: int8}}]}\n"
MODES = {"torchao": "weight_only_ptq", "modelopt": "static_ptq"}


class TransactionTest(CommandTest):
    def setUp(self):
        shared = pathlib.Path("/dev/shm")  # a disk would be synced a thousand times
        holder = tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None)
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name).resolve()
        self.model = self.write("model.safetensors", safetensors({"fc.weight": ("F32", [2, 4], floats(*range(8)))}))
        self.nan = self.write("nan.safetensors", safetensors({"fc.weight": ("F32", [1, 4], floats(0, 1, 2, float("nan")))}))
        for backend, mode in MODES.items():
            for dtype in ("int8", "fp8_e4m3fn"):
                self.write(f"{backend}_{dtype}.yaml", WEIGHTS % (backend, mode, dtype))

    def shown(self):
        """What the folder shows, but for what the run says about itself: {name: bytes}."""
        return {p.name: p.read_bytes() for p in (self.folder / "out").iterdir()
                if p.is_file() and p.name not in ("status.json", ".keep")}

    def status(self):
        return json.loads((self.folder / "out/status.json").read_text())["status"]

    def arguments(self, dtype, model, backend="torchao"):
        return ["quantize", "-e", f"{backend}_{dtype}.yaml", f"model_path={model}", "results_dir=out"]

    def begin_with(self, older):
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        shutil.copytree(self.folder / older, self.folder / "out")

    def faulted(self, arguments, k, reason):
        """The run that is stopped at its k-th change; None if it has fewer."""
        fired = self.folder / "fired"
        fired.unlink(missing_ok=True)
        run = self.ptq(*arguments, env={
            **os.environ, "LD_PRELOAD": str(SHIM), "PTQ_FAULT": f"{k}:{reason}", "PTQ_FAULT_UNDER": "out",
            "PTQ_FAULT_FIRED": str(fired), "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"})
        return run if fired.exists() else None

    def statistics(self, name, *values):
        recorded = self.write(f"{name}.npz", npz({"fc": npy([1, 4], floats(*values))}))
        return ["calibrate", "-e", self.write("static.yaml", STATIC), f"model_path={self.model}", "-o", f"out/{name}.ptqcal",
                f"dataset.quant_calibration_dataset.activations={recorded}"]


class EveryInstant(TransactionTest):
    def every_instant(self, first, second, failing):
        """first and second: arguments of the older run and of the one that is stopped; failing: of the next one."""
        (self.folder / "out").mkdir()
        self.assertEqual(self.ptq(*first).returncode, 0)
        older = self.shown()
        shutil.copytree(self.folder / "out", self.folder / "older")
        run = self.ptq(*second)
        self.assertEqual(run.returncode, 0, run.stderr)
        newer = self.shown()
        self.assertNotEqual(older, newer)
        self.assertEqual(self.written(), sorted(f"out/{n}" for n in [*newer, "status.json"] if (self.folder / "out" / n).exists()))
        for reason in (0, errno.EIO):
            seen, k = set(), 0
            while True:
                k += 1
                self.begin_with("older")
                run = self.faulted(second, k, reason)
                if run is None:
                    break
                with self.subTest(k=k, reason=errno.errorcode.get(reason, "killed")):
                    shown = self.shown()
                    self.assertTrue(shown.items() <= older.items() or shown.items() <= newer.items(), sorted(shown))
                    if reason == 0:
                        self.assertEqual(run.returncode, -signal.SIGKILL)
                        has_status = (self.folder / "out/status.json").exists()
                        if has_status and self.status() == "SUCCESS" and shown != older:
                            self.assertEqual(shown, newer)
                    else:
                        self.assertIn(run.returncode, (0, 1), run.stderr)
                        self.assertEqual(shown, older if run.returncode else newer, run.stderr)
                        self.assertNotIn(".ptq-run", run.stderr)
                    self.assertEqual(self.ptq(*failing).returncode, 1)
                    settled = self.shown()
                    self.assertIn(settled, (older, newer))
                    self.assertEqual([n for n in self.written() if "ptq-" in n], [])
                    seen.add(settled == newer)
            self.assertGreater(k, 10)
            self.assertEqual(seen, {False, True}, "of a transaction something comes before its commit, and something after")

    def test_safetensors(self):
        self.every_instant(self.arguments("int8", self.model), self.arguments("fp8_e4m3fn", self.model),
                           self.arguments("int8", self.nan))

    def test_onnx(self):
        graph = GRAPHS / "layers.onnx"
        self.every_instant(self.arguments("int8", graph, "modelopt"), self.arguments("fp8_e4m3fn", graph, "modelopt"),
                           self.arguments("int8", self.nan))

    def test_onnx_with_data(self):
        graph = GRAPHS / "external.onnx"
        self.every_instant(self.arguments("int8", graph, "modelopt"), self.arguments("fp8_e4m3fn", graph, "modelopt"),
                           self.arguments("int8", self.nan))

    def test_statistics(self):
        first, second = self.statistics("a", 1, 2, 3, 4), self.statistics("b", 5, 6, 7, 8)
        second[second.index("out/b.ptqcal")] = "out/a.ptqcal"
        self.every_instant(first, second, ["merge", "-o", "out/a.ptqcal", "model.safetensors"])
        for part, call in (("a", first), ("b", second)):
            self.assertEqual(self.ptq(*call).returncode, 0)
            shutil.copy(self.folder / "out/a.ptqcal", self.folder / f"{part}.ptqcal")
        shutil.rmtree(self.folder / "out")
        shutil.rmtree(self.folder / "older")
        self.every_instant(["merge", "-o", "out/a.ptqcal", "a.ptqcal"], ["merge", "-o", "out/a.ptqcal", "a.ptqcal", "b.ptqcal"],
                           ["merge", "-o", "out/a.ptqcal", "model.safetensors"])


class Shards(TransactionTest):
    """Killed at every change: a part is made again or is there, whole; no merge loses what the parts hold."""

    def setUp(self):
        super().setUp()
        self.model = self.write("two.safetensors", safetensors({f"{n}.weight": ("F32", [2, 4], floats(*range(8))) for n in "ab"}))

    def shard(self, part):
        return [*self.arguments("int8", self.model), "--shard", part]

    def expect_done(self, *arguments):
        run = self.ptq(*arguments)
        self.assertEqual(run.returncode, 0, run.stderr)

    def every_death(self, older, arguments, check):
        for k in range(1, 1000):
            self.begin_with(older)
            if self.faulted(arguments, k, 0) is None:
                self.assertGreater(k, 10)
                return
            with self.subTest(k=k):
                check()
                self.assertEqual([n for n in self.written() if "ptq-" in n], [])

    def test_every_instant(self):
        self.expect_done(*self.arguments("int8", self.model))
        whole = self.shown()
        (self.folder / "none").mkdir()
        self.begin_with("none")
        self.expect_done(*self.shard("2/2"))
        shutil.copytree(self.folder / "out", self.folder / "second")
        self.expect_done(*self.shard("1/2"))
        both = self.shown()
        shutil.copytree(self.folder / "out", self.folder / "both")

        def again():
            self.expect_done(*self.shard("1/2"))
            self.assertEqual(self.shown(), both)

        def merge_again():
            was_whole = self.shown() == whole
            run = self.ptq("merge", "out")
            self.assertIn(run.returncode, (0, 1) if was_whole else (0,), run.stderr)
            if run.returncode:  # nothing is left of it but locks
                self.assertIn("there are no parts", run.stderr)
            self.assertEqual(self.shown(), whole)

        self.every_death("second", self.shard("1/2"), again)
        self.every_death("both", ["merge", "out"], merge_again)


class Flushes(TransactionTest):
    """All that a run writes is on the disk before the plan has its name; every other flush is one between two states."""

    def flushes_and_renames(self, *arguments):
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        run = self.ptq(*arguments, env={**os.environ, "LD_PRELOAD": str(SHIM), "PTQ_CALLS": str(calls), "PTQ_FAULT_UNDER": "out",
                                        "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"})
        self.assertEqual(run.returncode, 0, run.stderr)
        said = re.sub(r"\.ptq-[0-9a-f]{16}\.partial", "PARTIAL", calls.read_text().replace(str(self.folder) + "/", ""))
        return [line for line in said.splitlines() if line.split()[0] in ("fsync", "rename")]

    def test_quantize(self):
        files = ["quantized_model_torchao.safetensors", "quantize_report.json", "experiment.yaml"]
        whole = [
            "fsync out/.ptq-run/lock",
            "fsync out/.ptq-run/PARTIAL", "rename out/.ptq-run/status.json", "rename out/status.json",
            *[f"rename out/.ptq-run/new/{name}" for name in (*files, "status.json")],
            *[f"fsync out/.ptq-run/new/{name}" for name in (*files, "status.json")],
            "fsync out/.ptq-run/new", "fsync out",
            "fsync out/.ptq-run/PARTIAL", "rename out/.ptq-run/plan", "fsync out/.ptq-run",
            *[f"rename out/{name}" for name in files], "fsync out",
            "rename out/status.json", "fsync out"]
        self.assertEqual(self.flushes_and_renames(*self.arguments("int8", self.model)), whole)
        at = whole.index(f"rename out/{files[0]}")
        whole[at:at] = [*[f"rename out/.ptq-run/old/{name}" for name in files[1:]], "fsync out/.ptq-run/old"]
        self.assertEqual(self.flushes_and_renames(*self.arguments("fp8_e4m3fn", self.model)), whole)

    def test_calibrate(self):
        (self.folder / "out").mkdir()
        own = "out/.a.ptqcal.ptq-run"
        self.assertEqual(self.flushes_and_renames(*self.statistics("a", 1, 2, 3, 4)), [
            f"fsync {own}/lock",
            f"rename {own}/new/a.ptqcal", f"fsync {own}/new/a.ptqcal", f"fsync {own}/new", "fsync out",
            f"fsync {own}/PARTIAL", f"rename {own}/plan", f"fsync {own}",
            "rename out/a.ptqcal", "fsync out"])


class RunsAtOnce(TransactionTest):
    def start(self, *arguments):
        return subprocess.Popen([PTQ, *arguments], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def both(self, pair, *more):
        runs = [self.start(*arguments, *more) for arguments in pair]
        return [(run.communicate(timeout=60)[1], run.returncode) for run in runs]

    def test_pairs(self):
        """Each ends well, or says who is in its way; report and artifact are of one run."""
        ways = [(("int8", "torchao"), ("fp8_e4m3fn", "torchao")), (("int8", "torchao"), ("int8", "modelopt"))]
        for n in range(int(os.environ.get("PTQ_PAIRS", "8"))):
            pair = ways[n % 2]
            alone = []
            for dtype, backend in pair:
                shutil.rmtree(self.folder / "out", ignore_errors=True)
                self.assertEqual(self.ptq(*self.arguments(dtype, self.model, backend)).returncode, 0)
                alone.append(self.shown())
            with self.subTest(n=n, pair=pair):
                shutil.rmtree(self.folder / "out")
                ended = self.both([self.arguments(dtype, self.model, backend) for dtype, backend in pair])
                for said, code in ended:
                    if code != 0:
                        self.assertRegex(said, r"another run writes here( \(pid \d+ on .+ since .+ UTC\))?\. .*--wait")
                self.assertIn(0, [code for _, code in ended])
                shown = self.shown()
                reports = [whole["experiment.yaml"] for whole in alone]
                last = alone[reports.index(shown["experiment.yaml"])]
                self.assertEqual({name: shown[name] for name in last}, last)
                self.assertEqual(self.status(), "SUCCESS")
                self.assertEqual([name for name in self.written() if "ptq-" in name], [])

    def test_wait(self):
        calls = [self.arguments(dtype, self.model) for dtype in ("int8", "fp8_e4m3fn")]
        self.assertEqual([code for _, code in self.both(calls, "--wait")], [0, 0])
        self.assertEqual(self.status(), "SUCCESS")
        calls = [self.statistics("a", 1, 2, 3, 4)] * 2
        self.assertEqual([code for _, code in self.both(calls, "--wait")], [0, 0])

    def test_runs_into_other_files_do_not_meet(self):
        (self.folder / "out").mkdir()
        self.assertEqual([code for _, code in self.both([self.statistics(name, 1, 2, 3, 4) for name in "ab"])], [0, 0])


class ReadFiles(TransactionTest):
    """What is read, and what others have put into the folder, is never written over or removed."""

    def test_own_folder_of_someone_else(self):
        for kept in ("notes.txt", "lock"):
            with self.subTest(kept):
                path = self.write(f"out/.ptq-run/{kept}", "mine")
                self.assertFails(self.ptq(*self.arguments("int8", self.model)), 1, str(path.parent), "does not come from one")
                self.assertEqual(path.read_text(), "mine")
                shutil.rmtree(self.folder / "out")

    def test_link_in_the_place_of_the_own_folder(self):
        mine = self.write("mine/new/a", "mine")
        self.write("mine/lock", "ptq run: pid 1 on b since c\n")
        (self.folder / "out").mkdir()
        (self.folder / "out/.ptq-run").symlink_to(mine.parent.parent)
        self.assertFails(self.ptq(*self.arguments("int8", self.model)), 1, "does not come from one")
        self.assertEqual(mine.read_text(), "mine")

    def test_sources_in_the_own_folder(self):
        self.write("out/.ptq-run/lock", "ptq run: pid 1 on b since c\n")
        model = self.write("out/.ptq-run/new/model.safetensors", self.model.read_bytes())
        self.assertFails(self.ptq(*self.arguments("int8", model)), 2, "model_path", "Move the file away")
        self.assertTrue(model.exists())

    def test_names_and_links_of_partial_files(self):
        content = self.model.read_bytes()
        for name in (".quantized_model_torchao.safetensors.partial", ".ptq-0123456789abcdef.partial", "old.ptqcal.partial"):
            self.write(f"out/{name}", content)
            self.assertEqual(self.ptq(*self.arguments("int8", f"out/{name}")).returncode, 0)
            self.assertEqual((self.folder / "out" / name).read_bytes(), content)
        self.write("out/.ptq-run/lock", "ptq run: pid 1 on b since c\n")
        (self.folder / "out/.ptq-run/new").mkdir()
        os.link(self.model, self.folder / "out/.ptq-run/new/status.json")
        self.assertEqual(self.ptq(*self.arguments("int8", self.model)).returncode, 0)
        self.assertEqual(self.model.read_bytes(), content)

    def test_data_that_an_older_version_wrote(self):
        """They had one name for all runs; with the artifact they belong to, they go."""
        call = self.arguments("int8", GRAPHS / "external.onnx", "modelopt")
        self.assertEqual(self.ptq(*call).returncode, 0)
        older = self.write("out/quantized_model_modelopt.onnx.data", "older")
        self.assertEqual(self.ptq(*call).returncode, 0)
        self.assertFalse(older.exists())

    def test_data_of_the_model(self):
        """A source that is named as external data are would be removed with the artifact that they belong to."""
        shutil.copy(GRAPHS / "external.data", self.folder)
        named = "quantized_model_modelopt.0123456789abcdef.onnx.data"
        graph = (GRAPHS / "external.onnx").read_bytes()
        (self.folder / "out").mkdir()
        os.link(self.folder / "external.data", self.folder / "out" / named)
        self.write("model.onnx", graph)
        os.unlink(self.folder / "external.data")
        os.link(self.folder / "out" / named, self.folder / "external.data")
        run = self.ptq(*self.arguments("int8", "model.onnx", "modelopt"))
        self.assertNotEqual(run.returncode, 0, run.stderr)
        self.assertTrue((self.folder / "out" / named).exists())

    def test_permissions_stay(self):
        for _ in range(2):
            self.assertEqual(self.ptq(*self.arguments("int8", self.model)).returncode, 0)
            for name in (*self.shown(), "status.json"):
                os.chmod(self.folder / "out" / name, 0o640)
        self.assertEqual(self.ptq(*self.arguments("fp8_e4m3fn", self.model)).returncode, 0)
        for name in (*self.shown(), "status.json"):
            self.assertEqual(oct((self.folder / "out" / name).stat().st_mode & 0o777), "0o640", name)

    def test_status_says_running(self):
        killed = self.faulted(self.arguments("int8", self.model), 30, 0)
        self.assertIsNotNone(killed)
        status = json.loads((self.folder / "out/status.json").read_text())
        self.assertEqual(status["status"], "RUNNING")
        self.assertRegex(status["message"], r"^pid \d+ on .+ since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$")


if __name__ == "__main__":
    main()
