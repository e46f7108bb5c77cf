# SPDX-License-Identifier: Apache-2.0
"""Statistics depend on the values that were seen and on nothing else; memory does not depend on how many there were."""
import ast
import json
import pathlib
import random
import struct
import subprocess
import time

from command import CommandTest, EXAMPLES, LENET, PTQ, STATIC, floats, main, npy, npz

BATCHES = (1, 7, 32, 256)


class samples_of:
    """The samples of an NPY file, each as bytes."""

    def __init__(self, path):
        data = path.read_bytes()
        end = 10 + struct.unpack("<H", data[8:10])[0]
        header = ast.literal_eval(data[10:end].decode())
        self.descr, self.shape = header["descr"], header["shape"][1:]
        size = (len(data) - end) // header["shape"][0]
        self.samples = [data[at : at + size] for at in range(end, len(data), size)]

    def npy(self, samples):
        return npy([len(samples), *self.shape], b"".join(samples), self.descr)


class Independence(CommandTest):
    def statistics(self, model, key, file, batch=32):
        run = self.ptq("calibrate", "-e", STATIC, f"model_path={model}", "-o", "made.ptqcal",
                       f"dataset.quant_calibration_dataset.{key}={file}",
                       f"dataset.quant_calibration_dataset.batch_size={batch}")
        self.assertEqual(run.returncode, 0, run.stderr)
        return (self.folder / "made.ptqcal").read_bytes()

    def check(self, model, key, samples, write):
        """write(samples): the path of a file that holds them."""
        whole = self.statistics(model, key, write(samples))
        for batch in BATCHES:
            self.assertEqual(self.statistics(model, key, write(samples), batch), whole, f"batch size {batch}")
        shuffled = samples[:]
        random.Random(1).shuffle(shuffled)
        self.assertNotEqual(shuffled, samples)
        self.assertEqual(self.statistics(model, key, write(shuffled)), whole, "shuffled")
        self.assertNotEqual(self.statistics(model, key, write(samples[:-1])), whole)
        for parts in range(1, 5):
            files = []
            for part in range(parts):
                data = self.statistics(model, key, write(shuffled[part::parts]), batch=5)
                files.insert(0, self.write(f"part{part}.ptqcal", data))
            run = self.ptq("merge", "-o", "merged.ptqcal", *files)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertEqual((self.folder / "merged.ptqcal").read_bytes(), whole, f"{parts} parts")

    def test_models(self):
        for name in ("lenet-digits", "pitch-transformer"):
            with self.subTest(name):
                folder = EXAMPLES / "models" / name
                data = samples_of(folder / "calib.npy")
                self.check(folder / "model.onnx", "inputs", data.samples,
                           lambda samples: self.write("inputs.npy", data.npy(samples)))

    def test_recorded_activations(self):
        shapes = {"conv1": [1, 6, 6], "conv2": [8, 3, 3], "fc1": [256], "fc2": [64]}
        numbers = random.Random(2)
        samples = [{name: floats(*[numbers.gauss(0, i + 1) for _ in range(length)])
                    for name, length in (("conv1", 36), ("conv2", 72), ("fc1", 256), ("fc2", 64))}
                   for i in range(270)]

        def write(some):
            return self.write("recorded.npz", npz({name: npy([len(some), *shape], b"".join(s[name] for s in some))
                                                   for name, shape in shapes.items()}))

        self.check(LENET, "activations", samples, write)


class Memory(CommandTest):
    def peak(self, file):
        """Peak anonymous memory of a calibration in bytes, sampled every millisecond, and the samples it saw."""
        with (self.folder / "out.json").open("w+") as out:
            process = subprocess.Popen(
                [PTQ, "calibrate", "--json", "-e", STATIC, f"model_path={LENET.with_name('model.onnx')}", "-o", "m.ptqcal",
                 f"dataset.quant_calibration_dataset.inputs={file}"],
                cwd=self.folder, stdout=out, stderr=subprocess.DEVNULL)
            peak = 0
            while process.poll() is None:
                try:
                    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                    peak = max([peak] + [int(l.split()[1]) * 1024 for l in status.splitlines() if l.startswith("RssAnon")])
                except OSError:
                    pass
                time.sleep(0.001)
            self.assertEqual(process.returncode, 0)
            out.seek(0)
            return peak, json.load(out)["layers"][0]["count"] // 784

    def test_does_not_grow_with_the_samples(self):
        data = samples_of(LENET.with_name("calib.npy"))
        few, counted = max(self.peak(self.write("few.npy", data.npy(data.samples))) for _ in range(3))
        self.assertEqual(counted, 256)
        many, counted = self.peak(self.write("many.npy", data.npy(data.samples * 100)))
        self.assertEqual(counted, 25600)
        print(f"peak anonymous memory: 256 samples {few / 1e6:.2f} MB, 25600 samples {many / 1e6:.2f} MB")
        self.assertGreater(few, 0)
        self.assertLessEqual(many, 1.05 * few)


if __name__ == "__main__":
    main()
