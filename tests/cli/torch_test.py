# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of PyTorch: the artifact is that of the same tensors in a safetensors file, byte for byte."""
import struct

from command import CommandTest, EXAMPLES, LENET, WEIGHT_ONLY, floats, main

GOLDEN = EXAMPLES.parent / "tests" / "golden" / "torch"
ALL = 'quantize.layers=[{module_name: "*", weights: {dtype: int8}}]'


class Torch(CommandTest):
    def artifact(self, model, *settings):
        run = self.quantize(WEIGHT_ONLY, ALL, "quantize.skip_names=[]", *settings, model=model)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run, (self.folder / "out" / "quantized_model_torchao.safetensors").read_bytes()

    def assertSameArtifact(self, model, twin):
        self.assertEqual(self.artifact(model)[1], self.artifact(twin)[1])

    def test_both_containers(self):
        self.assertSameArtifact(LENET.with_name("model.pth"), LENET)
        self.assertSameArtifact(GOLDEN / "model_legacy.pth", LENET)

    def test_views(self):
        """Transposed, in steps, and with channels last: weights, and what is copied."""
        self.assertSameArtifact(GOLDEN / "strided.pth", GOLDEN / "strided.safetensors")
        run = self.ptq("compare", GOLDEN / "strided.pth", GOLDEN / "strided.safetensors")
        self.assertIn("all tensors are identical", run.stdout)
        run = self.ptq("compare", GOLDEN / "strided.pth", "out/quantized_model_torchao.safetensors")
        self.assertIn("differ: 2, 528 B", run.stdout)  # 24 and 108 floats

    def test_nested(self):
        self.assertSameArtifact(GOLDEN / "nested.pth", GOLDEN / "nested.safetensors")
        for command in (["inspect", GOLDEN / "nested.pth"], ["plan", "-e", WEIGHT_ONLY, f"model_path={GOLDEN / 'nested.pth'}"]):
            run = self.ptq(*command)
            self.assertIn('the weights are "state_dict" of the checkpoint; ptq.checkpoint.key names another. Others: ema.', run.stderr)
            self.assertIn("left out of the checkpoint, as no weights: epoch (int)", run.stderr)
        _, weights = self.artifact(GOLDEN / "nested.pth")
        _, average = self.artifact(GOLDEN / "nested.pth", "ptq.checkpoint.key=ema.module")
        self.assertNotEqual(weights, average)
        self.assertEqual(self.artifact(GOLDEN / "nested.pth", "ptq.checkpoint.key=ema")[1], average)
        self.assertIn('checkpoint: {key: "ema"}', (self.folder / "out" / "experiment.yaml").read_text())
        for key, said in (("emo", 'Did you mean "ema"?'), ("optimizer", "there are no tensors"), ("ema.modul", 'Did you mean "module"?')):
            run = self.ptq("plan", "-e", WEIGHT_ONLY, f"model_path={GOLDEN / 'nested.pth'}", f"ptq.checkpoint.key={key}")
            self.assertFails(run, 1, "nested.pth", said)
        flat = LENET.with_name("model.pth")
        for model, key, said in ((flat, "ema", "It has none: leave ptq.checkpoint.key out."),
                                 (GOLDEN / "nested.pth", "state_dict.x", "It has none: ptq.checkpoint.key=state_dict.")):
            run = self.ptq("plan", "-e", WEIGHT_ONLY, f"model_path={model}", f"ptq.checkpoint.key={key}")
            self.assertFails(run, 1, model.name, said)
        run = self.ptq("plan", "-e", WEIGHT_ONLY, f"model_path={LENET}", "ptq.checkpoint.key=ema")
        self.assertFails(run, 1, "ptq.checkpoint.key", "Leave the setting out.")

    def test_more_than_4_gb(self):
        """ZIP64, a hole of 5 GB in front of a weight: only what is looked at is read."""
        def counts(*values):
            return b"(" + b"".join(b"\x8a\x08" + struct.pack("<Q", value) for value in values) + b"t"

        def tensor(key, count, *shape):
            return (b"ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + key + b"X\3\0\0\0cpu"
                    + counts(count)[1:-1] + b"tQK\0" + counts(*shape) + counts(*shape[1:], 1) + b"\x89)tR")

        pickled = (b"\x80\2}(X\3\0\0\0big" + tensor(b"0", 1_250_000_000, 1_250_000_000)
                   + b"X\x0b\0\0\0last.weight" + tensor(b"1", 6, 2, 3) + b"u.")
        path = self.folder / "big.pth"
        directory = b""
        with open(path, "wb") as file:
            for name, size, data in ((b"m/data.pkl", len(pickled), pickled), (b"m/data/0", 5_000_000_000, b""),
                                     (b"m/data/1", 24, floats(1, 2, 3, 4, 5, 6))):
                directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 45, 45, 0, 0, 0, 0, 0, 0xffffffff, 0xffffffff, len(name), 28,
                                         0, 0, 0, 0, 0xffffffff) + name + struct.pack("<HHQQQ", 1, 24, size, size, file.tell())
                file.write(struct.pack("<IHHHHHIIIHH", 0x04034b50, 45, 0, 0, 0, 0, 0, 0, 0, len(name), 0) + name + data)
                file.seek(size - len(data), 1)
            at = file.tell()
            file.write(directory + struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, 3, 3, len(directory), at)
                       + struct.pack("<IIQI", 0x07064b50, 0, at + len(directory), 1)
                       + struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 0xffff, 0xffff, 0xffffffff, 0xffffffff, 0))
        run = self.ptq("inspect", path)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("2 tensors, 5.0 GB", run.stdout)
        run = self.ptq("plan", "-e", WEIGHT_ONLY, f"model_path={path}", ALL)
        self.assertIn("would quantize 1 of 1 layer", run.stdout)

    def test_what_cannot_be_read(self):
        run = self.quantize(WEIGHT_ONLY, ALL, model=GOLDEN / "types.pth")
        self.assertFails(run, 1, 'tensor "complex128"', "which the artifact, a safetensors file, has no type for")
        whole = LENET.with_name("model.pth").read_bytes()
        cut = self.write("cut.pth", whole[:50000])
        self.assertFails(self.ptq("inspect", cut), 1, "cut.pth", "the end of this ZIP archive is missing")
        evil = self.write("evil.pth", b"\x80\x02cos\nsystem\n(X\x04\0\0\0touchtR.")
        self.assertFails(self.ptq("inspect", evil), 1, 'names "os.system"', "Nothing was run.")


if __name__ == "__main__":
    main()
