# SPDX-License-Identifier: Apache-2.0
"""A run that is stopped or runs out of disk leaves no partial artifact, and the older artifact as it was."""
import json
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import pathlib
import unittest

from command import CommandTest, PTQ, WEIGHT_ONLY, floats, main, safetensors

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ARTIFACT = "out/quantized_model_torchao.safetensors"


class Interruption(CommandTest):
    def big_model(self, layers=60):
        block = floats(*[(i % 255 - 127) / 100 for i in range(4096)]) * 64
        return self.write("big.safetensors", safetensors({f"fc{i}.weight": ("F32", [512, 512], block) for i in range(layers)}))

    def older_artifact(self):
        self.assertEqual(self.quantize(WEIGHT_ONLY).returncode, 0)
        return (self.folder / ARTIFACT).read_bytes()

    def assertOlderKept(self, older):
        self.assertEqual((self.folder / ARTIFACT).read_bytes(), older)
        self.assertEqual([f for f in self.written() if "ptq-" in f], [])

    def test_ctrl_c(self):
        """Signals come while the artifact is being written: its partial file is there."""
        older, model = self.older_artifact(), self.big_model()
        new = self.folder / "out/.ptq-run/new"
        for sent in SIGNALS:
            with self.subTest(sent.name):
                stopped = 0
                for _ in range(10):
                    process = subprocess.Popen(
                        [PTQ, "quantize", "-e", WEIGHT_ONLY, f"model_path={model}", "results_dir=out"],
                        cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                        preexec_fn=lambda number=sent: signal.signal(number, signal.SIG_DFL))  # if it is ignored here
                    while process.poll() is None and not (new.exists() and list(new.iterdir())):
                        time.sleep(0.001)
                    process.send_signal(sent)
                    _, said = process.communicate(timeout=60)
                    self.assertIn(process.returncode, (0, -sent), said)
                    if process.returncode == 0:  # it was quicker than we were
                        older = (self.folder / ARTIFACT).read_bytes()
                        continue
                    stopped += 1
                    self.assertOlderKept(older)
                    self.assertIn("interrupted", said)
                    status = json.loads((self.folder / "out/status.json").read_text())
                    self.assertEqual((status["status"], status["message"]), ("FAILURE", "interrupted"))
                    break
                self.assertEqual(stopped, 1, "no signal came while the artifact was being written")

    def test_killed_run_is_cleaned_up_by_the_next(self):
        self.older_artifact()
        self.write("out/.ptq-run/lock", "ptq run: pid 1 on a since b\n")
        for name in ("new/quantized_model_torchao.safetensors", "new/.ptq-0123456789abcdef.partial", "old/status.json"):
            self.write(f"out/.ptq-run/{name}", "half")
        others = self.write("out/.download.partial", "half")
        self.older_artifact()
        self.assertFalse((self.folder / "out/.ptq-run").exists())
        self.assertTrue(others.exists())

    def test_file_size_limit(self):
        older, model = self.older_artifact(), self.big_model(8)

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        run = self.quantize(WEIGHT_ONLY, model=model, preexec_fn=limit)
        self.assertFails(run, 1, str(self.folder / "out"), "may write")
        self.assertOlderKept(older)

    def test_full_disk(self):
        mount = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, mount, True)
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mount],
                                               capture_output=True).returncode != 0:
            self.skipTest("a tmpfs cannot be mounted here; test_file_size_limit stands for it")
        self.addCleanup(subprocess.run, ["umount", mount])
        run = self.quantize(WEIGHT_ONLY, f"results_dir={mount}", model=self.big_model(8))
        self.assertFails(run, 1, str(mount), "space")
        self.assertEqual([p.name for p in mount.iterdir() if "quantized" in p.name], [])


if __name__ == "__main__":
    main()
