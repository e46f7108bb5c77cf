# SPDX-License-Identifier: Apache-2.0
"""mpirun ptq: the bytes of one process for every number of ranks; a rank that fails ends the run with its name."""
import json
import os
import random
import shutil
import subprocess

from command import EXAMPLES, LENET, PTQ, STATIC, WEIGHT_ONLY, CommandTest, floats, main, safetensors

PITCH = EXAMPLES / "models/pitch-transformer/model.safetensors"
GRAPH = LENET.with_name("model.onnx")
DATA = f"dataset.quant_calibration_dataset.inputs={LENET.with_name('calib.npy')}"
ARRAYS = [f"model_path={GRAPH}", DATA, "dataset.quant_calibration_dataset.max_samples=70"]
MPIRUN = ["mpirun", "--oversubscribe", "-n"]
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "OMPI_MCA_btl_base_warn_component_unused": "0",
               "OMPI_MCA_btl_vader_single_copy_mechanism": "none",  # containers often forbid reading another process
               "ASAN_OPTIONS": "detect_leaks=0"}  # MPI's own


class MpiTest(CommandTest):
    def ranks(self, count, *arguments, command=PTQ):
        return subprocess.run([*MPIRUN, str(count), command, *map(str, arguments)], cwd=self.folder, capture_output=True,
                              text=True, timeout=60, env=ENVIRONMENT)

    def shown(self, out):
        return {p.name: p.read_bytes().replace(f"/{out}\"".encode(), b"/DIR\"") for p in (self.folder / out).iterdir()}

    def expect_as_one(self, counts, *arguments):
        one = self.ptq("quantize", *arguments, "results_dir=one")
        self.assertEqual(one.returncode, 0, one.stderr)
        for count in counts:
            run = self.ranks(count, "quantize", *arguments, f"results_dir={count}")
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertEqual(self.shown(str(count)), self.shown("one"))
            self.assertEqual(run.stdout.replace(f"/{count}/", "/one/"), one.stdout)
            self.assertEqual(run.stderr, one.stderr)

    def test_weights(self):
        self.expect_as_one((1, 2, 4), "-e", WEIGHT_ONLY, f"model_path={PITCH}")

    def test_samples(self):
        self.expect_as_one((2, 4), "-e", STATIC, *ARRAYS)

    def test_calibrate(self):
        calls = ["calibrate", "-e", STATIC, *ARRAYS, "-o"]
        self.assertEqual(self.ptq(*calls, "one.ptqcal").returncode, 0)
        run = self.ranks(3, *calls, "three.ptqcal")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual((self.folder / "three.ptqcal").read_bytes(), (self.folder / "one.ptqcal").read_bytes())

    def test_a_rank_that_fails(self):
        bad = [1.0] * 3999 + [float("nan")]
        model = self.write("nan.safetensors", safetensors({
            f"l{i}.weight": ("F32", [2, 2000], floats(*(bad if i == 5 else [1.0] * 4000))) for i in range(8)}))
        run = self.ranks(4, "quantize", "-e", WEIGHT_ONLY, f"model_path={model}", "results_dir=out")
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertRegex(run.stderr, r'(?m)^ptq: error: rank 2 of 4 on [^:]+: .*layer "l5": weight\[1, 1999\] is NaN')
        self.assertEqual(run.stderr.count("ptq: error"), 1)
        status = json.loads((self.folder / "out/status.json").read_text())
        self.assertEqual(status["status"], "FAILURE")
        self.assertIn("rank 2 of 4", status["message"])
        self.assertEqual([n for n in self.written() if n.endswith("torchao.safetensors") or "ptq-run" in n], [])

        run = self.ranks(2, "quantize", "-e", WEIGHT_ONLY, f"model_path={model}", "results_dir=out", "quantize.backend=x")
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertEqual(run.stderr.count("ptq: error: rank 0 of 2"), 1, run.stderr)

    def test_ranks_that_do_not_see_the_same(self):
        differing = self.write("differing.sh", f"""#!/bin/sh
[ "$OMPI_COMM_WORLD_RANK" = 1 ] && set -- "$@" quantize.layers.0.weights.dtype=fp8_e5m2
exec {PTQ} "$@"
""")
        differing.chmod(0o755)
        run = self.ranks(2, "quantize", "-e", WEIGHT_ONLY, f"model_path={PITCH}", "results_dir=out", command=differing)
        self.assertEqual(run.returncode, 1)
        self.assertIn("rank 1 of 2", run.stderr)
        self.assertIn("All must see the same files", run.stderr)

    def test_a_rank_that_is_killed(self):
        self.assertEqual(self.ptq("quantize", "-e", WEIGHT_ONLY, f"model_path={PITCH}", "results_dir=one").returncode, 0)
        killing = self.write("killing.sh", f"""#!/bin/sh
[ "$OMPI_COMM_WORLD_RANK" = "$VICTIM" ] && {{ (sleep "$AFTER"; kill -9 $$) >/dev/null 2>&1 & }}
exec {PTQ} "$@"
""")
        killing.chmod(0o755)
        arguments = ["quantize", "-e", WEIGHT_ONLY, f"model_path={PITCH}", "results_dir=out"]
        random.seed(4)
        for i in range(2):
            shutil.rmtree(self.folder / "out", ignore_errors=True)
            ENVIRONMENT.update(VICTIM=str(i % 2), AFTER=f"{random.uniform(0.1, 0.5):.3f}")
            run = self.ranks(2, *arguments, command=killing)
            if run.returncode == 0:
                continue  # it was too late
            self.assertEqual(run.returncode, 137, run.stderr)  # which rank it was mpirun says, mostly
            again = self.ranks(2, *arguments)
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertEqual(self.shown("out"), self.shown("one"))


if __name__ == "__main__":
    main()
