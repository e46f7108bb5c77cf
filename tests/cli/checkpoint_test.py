# SPDX-License-Identifier: Apache-2.0
"""Checkpoints as people have them: names with prefixes, nested weights, archives of NumPy, and TAO's own first command."""
import json
import struct
import zipfile

from command import CommandTest, EXAMPLES, LENET, WEIGHT_ONLY, floats, main, npy, npz, safetensors

GOLDEN = EXAMPLES.parent / "tests" / "golden" / "torch"
ALL = 'quantize.layers=[{module_name: "*", weights: {dtype: int8}}]'
ARTIFACT = "out/quantized_model_torchao.safetensors"
STRIP = "ptq.checkpoint.strip_prefix="


def tensors_of(path):
    """{name: (dtype, shape, bytes)} of a safetensors file."""
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], content[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]])
            for name, t in header.items()}


def prefixed(prefix):
    return safetensors({prefix + name: tensor for name, tensor in tensors_of(LENET).items()})


class CheckpointTest(CommandTest):
    def artifact(self, model, *settings):
        run = self.quantize(WEIGHT_ONLY, ALL, "quantize.skip_names=[]", *settings, model=model)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run, (self.folder / ARTIFACT).read_bytes()

    def plan(self, model, *settings):
        return self.ptq("plan", "-e", WEIGHT_ONLY, f"model_path={model}", *settings)


class Prefixes(CheckpointTest):
    def test_names_lose_it_everywhere(self):
        expected = self.artifact(LENET)[1]
        model = self.write("module.safetensors", prefixed("module."))
        archive = self.write("module.npz", npz({"module." + name: npy(shape, data) for name, (_, shape, data) in tensors_of(LENET).items()}))
        for path in (model, archive):
            run, made = self.artifact(path, STRIP + "module.")
            self.assertEqual(made, expected)
            self.assertIn('strip_prefix: ["module."]', (self.folder / "out" / "experiment.yaml").read_text())
            self.assertNotIn("begins with", run.stderr)
            self.assertIn("conv1", self.plan(path, STRIP + "module.").stdout)
        for name in ("all tensors are identical", "conv1"):
            self.assertIn(name, self.ptq("compare", model, LENET, "--strip-prefix", "module.").stdout + self.ptq("inspect", LENET).stdout)
        self.assertNotIn("module.", self.ptq("inspect", model, "--strip-prefix", "module.").stdout)

    def test_several_one_after_the_other(self):
        model = self.write("model.safetensors", prefixed("module.model."))
        self.assertEqual(self.artifact(model, STRIP + "[module., model.]")[1], self.artifact(LENET)[1])
        run = self.ptq("inspect", GOLDEN / "nested.pth", "--strip-prefix", "0.")
        self.assertRegex(run.stdout, r"(?m)^weight +float32 +3 x 4 ")

    def test_they_are_kept_and_a_note_says_so(self):
        for prefix, noted in (("module.", 1), ("model.", 0)):
            run = self.plan(self.write("model.safetensors", prefixed(prefix)))
            self.assertIn(prefix + "conv1", run.stdout)
            self.assertEqual(run.stderr.count("ptq.checkpoint.strip_prefix=module. leaves it out"), noted)

    def test_what_cannot_be(self):
        both = self.write("both.safetensors", safetensors({"module.fc.weight": ("F32", [1, 2], floats(1, 2)),
                                                           "fc.weight": ("F32", [1, 2], floats(1, 2))}))
        self.assertFails(self.plan(both, STRIP + "module."), 1, 'the tensors "module.fc.weight" and "fc.weight" would both be "fc.weight"')
        self.assertFails(self.plan(both, STRIP + "modul."), 1, 'no tensor\'s name begins with "modul."', 'Did you mean "module."?')
        self.assertFails(self.plan(both, STRIP + "module"), 1, 'would leave ".fc.weight" of "module.fc.weight"')
        self.assertFails(self.plan(LENET.with_name("model.onnx"), STRIP + "module."), 1, "of the format ONNX stay as they are")
        self.artifact(LENET)
        self.assertFails(self.ptq("inspect", ARTIFACT, "--strip-prefix", "conv1."), 1, "this is an artifact of ptq")


class Keys(CheckpointTest):
    def test_inspect_and_compare(self):
        nested = GOLDEN / "nested.pth"
        run = self.ptq("inspect", nested, "--key", "ema.module")
        self.assertIn('the weights are "ema.module" of the checkpoint', run.stderr)
        run = self.ptq("compare", nested, nested, "--key", "ema")
        self.assertIn("differ: 6", run.stdout)
        self.assertIn('the weights are "ema.module" of the checkpoint', run.stderr)
        self.assertIn('the weights are "state_dict" of the checkpoint', run.stderr)
        self.assertFails(self.ptq("inspect", nested, "--key", "emo"), 1, 'Did you mean "ema"?')
        self.assertFails(self.ptq("inspect", LENET, "--key", "ema"), 1, "ptq.checkpoint.key", "Leave the setting out.")


class Checksums(CheckpointTest):
    def test_what_was_damaged_on_its_way(self):
        whole = (GOLDEN / "strided.pth").read_bytes()
        with zipfile.ZipFile(GOLDEN / "strided.pth") as archive:
            names = [info.filename for info in archive.infolist() if info.filename.endswith("/data/0")]
            at = whole.index(archive.read(names[0]))
        damaged = self.write("damaged.pth", whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        self.assertFails(self.ptq("inspect", damaged), 1, f'damaged.pth: entry "{names[0]}": its CRC-32 does not match')
        # torch.serialization.set_crc32_options(False) leaves zeros.
        content = bytearray(damaged.read_bytes())
        at = content.find(b"PK\1\2")
        while at >= 0:
            content[at + 16:at + 20] = bytes(4)
            at = content.find(b"PK\1\2", at + 4)
        self.assertEqual(self.ptq("inspect", self.write("unchecked.pth", bytes(content))).returncode, 0)


class Npz(CheckpointTest):
    def test_stored_and_deflated(self):
        expected = self.artifact(LENET)[1]
        arrays = {name: npy(shape, data) for name, (_, shape, data) in tensors_of(LENET).items()}
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            model = self.write("model", npz(arrays, method))  # told by content
            run, made = self.artifact(model)
            self.assertEqual(made, expected)
            self.assertIn("(a safetensors file", run.stdout)
            self.assertIn("all tensors are identical", self.ptq("compare", model, LENET).stdout)

    def test_fortran_order(self):
        rows = floats(1, 2, 3, 4, 5, 6)
        columns = npy([2, 3], floats(1, 4, 2, 5, 3, 6)).replace(b"False", b"True ")
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            model = self.write("model.npz", npz({"fc.weight": columns}, method))
            twin = self.write("twin.safetensors", safetensors({"fc.weight": ("F32", [2, 3], rows)}))
            self.assertEqual(self.artifact(model)[1], self.artifact(twin)[1])

    def test_what_is_no_weight_is_named(self):
        model = self.write("model.npz", npz({"fc.weight": npy([1, 2], floats(1, 2)), "names": npy([1], b"a\0\0\0", "<U1"),
                                             "z": npy([1], floats(1, 2), "<c8")}))
        run = self.ptq("inspect", model)
        self.assertIn('left out of the archive, as no weights: names ("<U1"), z ("<c8").', run.stderr)
        self.assertIn("1 tensor, 8 B", run.stdout)

    def test_what_cannot_be_read(self):
        whole = npz({"fc.weight": npy([64, 64], floats(*range(4096)))}, zipfile.ZIP_STORED)
        damaged = self.write("damaged.npz", whole[:2000] + b"\xff" + whole[2001:])
        self.assertFails(self.ptq("inspect", damaged), 1, 'damaged.npz: entry "fc.weight.npy"', "CRC-32")
        short = self.write("short.npz", npz({"fc.weight": npy([64, 64], b"1234")}))
        self.assertFails(self.ptq("inspect", short), 1, 'short.npz: entry "fc.weight.npy"', "the header promises")
        text = self.write("text.npz", npz({"names": npy([1], b"a\0\0\0", "<U1")}))
        self.assertFails(self.ptq("inspect", text), 1, "there is no array of numbers in this archive")
        bomb = self.write("bomb.npz", npz({"x": npy([1 << 25], bytes(1 << 27))}))
        self.assertFails(self.ptq("inspect", bomb), 1, 'bomb.npz: entry "x.npy"', "more than 64 MB are deflated", "np.savez(")
        cut = self.write("cut.npz", whole[:1000])
        self.assertFails(self.ptq("inspect", cut), 1, "the end of this ZIP archive is missing")


class Hints(CheckpointTest):
    def test_config_beside_the_checkpoint(self):
        model = self.write("model.safetensors", safetensors({"emb.weight": ("F32", [50, 8], bytes(1600)), "head.weight": ("F32", [50, 8], bytes(1600))}))
        self.assertEqual(self.plan(model).stdout.count("Linear?"), 2)
        self.write("config.json", '{"model_type": "rwkv", "vocab_size": 50, "hidden_size": 8}')
        for run in (self.plan(model), self.ptq("inspect", model)):
            self.assertIn("classes inferred by the config.json beside the checkpoint: emb (Embedding); ptq.module_types names others.", run.stderr)
            self.assertRegex(run.stdout, r"(?m)^emb +Embedding\?")
            self.assertRegex(run.stdout, r"(?m)^head +Linear\?")
        for broken in ("{", "[]", '{"model_type": 1, "vocab_size": "x", "hidden_size": -1}', '{"vocab_size": 1e400}'):
            self.write("config.json", broken)
            self.assertEqual(self.plan(model).stdout.count("Linear?"), 2)


class Tao(CheckpointTest):
    """The specification files are those of TAO's users: with all its other sections."""
    OTHERS = """
encryption_key: tlt_encode
results_dir: /results
wandb: {enable: false, project: tao, tags: [quantize]}
dataset:
  dataset: CLDataset
  root_dir: /data/classification
  batch_size: 8
  workers: 4
  num_classes: 10
  img_size: 224
  augmentation: {random_flip: {enable: true}, mixup_cutmix: true}
  train_dataset: {images_dir: /data/train}
  val_dataset: {images_dir: /data/val}
model:
  backbone: {type: resnet_50, pretrained_backbone_path: null, freeze_backbone: false}
  head: {type: TAOLinearClsHead, binary: false, topk: [1, 5]}
train:
  num_gpus: 1
  num_epochs: 80
  optim: {optimizer: adamw, lr: 0.00006, policy: linear}
  checkpoint_interval: 10
evaluate: {num_gpus: 1, checkpoint: /results/train/model.pth, is_quantized: true}
inference: {checkpoint: /results/train/model.pth, is_quantized: true}
export: {checkpoint: /results/train/model.pth, opset_version: 17, input_width: 224, is_quantized: false}
gen_trt_engine: {tensorrt: {data_type: FP16, workspace_size: 1024}}
"""

    def spec(self, quantize):
        return self.write("spec.yaml", "quantize:\n" + "".join(f"  {line}\n" for line in quantize.strip().splitlines()) + self.OTHERS)

    def test_the_first_command_as_typed(self):
        self.spec(f"""
model_path: {LENET.with_name("model.pth")}
backend: modelopt.pytorch
mode: weight_only_ptq
algorithm: minmax
device: cuda
default_layer_dtype: native
default_activation_dtype: native
layers:
  - module_name: "Linear"
    weights: {{dtype: int8}}
  - module_name: "conv*"
    weights: {{dtype: float8_e4m3fn}}
skip_names: ["*head*"]""")
        out = self.folder / "out"
        run = self.ptq("quantize", "-e", "spec.yaml", f"results_dir={out}", "quantize.backend=torchao")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual([line for line in run.stderr.splitlines() if "error" in line], [])
        made = [name for name in self.written() if name.startswith("out/quantized_model_torchao.")]
        self.assertEqual(len(made), 1)
        listed = json.loads(self.ptq("inspect", "--json", made[0]).stdout)["layers"]
        self.assertEqual({layer["name"]: layer["weights"]["dtype"] for layer in listed if layer["weights"]},
                         {"conv1": "fp8_e4m3fn", "conv2": "fp8_e4m3fn", "fc1": "int8", "fc2": "int8"})

    DEFAULT = """
backend: {backend}
mode: static_ptq
algorithm: max
device: cuda
layers:
  - module_name: "*"
    weights: {{dtype: float8_e4m3fn}}
    activations: {{dtype: float8_e4m3fn}}
skip_names: ["*lm_head*", "*block_sparse_moe.gate*", "*router*", "*output_layer*", "output.*", BatchNorm1d, BatchNorm2d, BatchNorm3d,
             LeakyReLU, "*head*"]"""

    def test_the_default_specification(self):
        for backend in ("modelopt", "modelopt.pytorch"):
            spec = self.spec(self.DEFAULT.format(backend=backend))
            run = self.ptq("plan", "-e", spec, f"model_path={LENET.with_name('model.pth')}", "--json")
            self.assertEqual(run.returncode, 0, run.stderr)
            layers = json.loads(run.stdout)["layers"]
            self.assertEqual([(layer["weights"]["dtype"], layer["activations"]["dtype"]) for layer in layers],
                             [("fp8_e4m3fn", "fp8_e4m3fn")] * 4)
            run = self.ptq("quantize", "-e", spec, f"model_path={LENET.with_name('model.onnx')}", f"results_dir={self.folder / 'out'}",
                           f"dataset.quant_calibration_dataset.inputs={LENET.with_name('calib.npy')}")
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn(f"out/quantized_model_{backend}.onnx", self.written())


if __name__ == "__main__":
    main()
