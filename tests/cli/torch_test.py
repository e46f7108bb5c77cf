# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of PyTorch: the artifact is that of the same tensors in a safetensors file, byte for byte."""
from command import CommandTest, EXAMPLES, LENET, WEIGHT_ONLY, main

GOLDEN = EXAMPLES.parent / "tests" / "golden" / "torch"
ALL = 'quantize.layers=[{module_name: "*", weights: {dtype: int8}}]'


class Torch(CommandTest):
    def artifact(self, model, *settings):
        run = self.quantize(WEIGHT_ONLY, ALL, "quantize.skip_names=[]", *settings, model=model)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run, (self.folder / "out" / "quantized_model_torchao.safetensors").read_bytes()

    def assertSameArtifact(self, model, twin):
        run, made = self.artifact(model)
        self.assertIn("(a safetensors file, also where the model is a checkpoint of PyTorch", run.stdout)
        self.assertEqual(made, self.artifact(twin)[1])

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
        run = self.ptq("plan", "-e", WEIGHT_ONLY, f"model_path={LENET}", "ptq.checkpoint.key=ema")
        self.assertFails(run, 1, "ptq.checkpoint.key", "Leave the setting out.")

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
