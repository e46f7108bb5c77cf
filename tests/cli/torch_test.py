# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of PyTorch, in and out: as safetensors the artifact is that of the same tensors in a safetensors file, byte for
byte; as .pth it is a sound ZIP archive and a pickle of few opcodes and names."""
import io
import json
import pickle
import pickletools
import struct
import zipfile

from command import CommandTest, EXAMPLES, LENET, WEIGHT_ONLY, floats, main, safetensors

GOLDEN = EXAMPLES.parent / "tests" / "golden" / "torch"
ALL = 'quantize.layers=[{module_name: "*", weights: {dtype: int8}}]'

OPCODES = {"PROTO", "GLOBAL", "EMPTY_TUPLE", "REDUCE", "MARK", "BINUNICODE", "BININT1", "BININT", "LONG1", "TUPLE", "BINPERSID",
           "NEWFALSE", "SETITEMS", "STOP"}
STORAGES = {"torch FloatStorage": "F32", "torch CharStorage": "I8", "torch float8_e4m3fn": "F8_E4M3", "torch float8_e5m2": "F8_E5M2"}
GLOBALS = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor_v3", "torch.storage UntypedStorage",
           *(f"torch {kind}Storage" for kind in ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool",
                                                 "ComplexFloat", "ComplexDouble")),
           *(f"torch {dtype}" for dtype in ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
                                            "uint16", "uint32", "uint64"))}


class Unpickler(pickle.Unpickler):
    """Gives {name: (storage key, class of the storage or dtype, shape)}."""

    def find_class(self, module, name):
        if name == "OrderedDict":
            return dict
        if not name.startswith("_rebuild"):
            return f"{module} {name}"
        return lambda storage, offset, shape, strides, gradient, hooks, dtype=None: (storage[2], dtype or storage[1], shape)

    def persistent_load(self, pid):
        return pid


def read_safetensors(data):
    """{name: (dtype, shape, bytes)}, and its metadata."""
    size = struct.unpack("<Q", data[:8])[0]
    held = json.loads(data[8:8 + size])
    metadata = held.pop("__metadata__", {})
    found = {name: (about["dtype"], about["shape"], data[8 + size + about["data_offsets"][0]:8 + size + about["data_offsets"][1]])
             for name, about in held.items()}
    return found | {"__metadata__": metadata}


def dequantized(held, name, kind):
    """code * scale in float32, as BF16 (nearest, ties to even) or F64."""
    _, shape, codes = held[name]
    scales = [one[0] for one in struct.iter_unpack("<f", held[name + "_scale"][2])]
    made = b""
    for at, (code,) in enumerate(struct.iter_unpack("<b", codes)):
        single = floats(code * scales[at // shape[1]])
        if kind == "F64":
            made += struct.pack("<d", struct.unpack("<f", single)[0])
        else:
            bits = struct.unpack("<I", single)[0]
            made += struct.pack("<H", (bits + 0x7fff + (bits >> 16 & 1)) >> 16)
    return made


class Torch(CommandTest):
    def artifact(self, model, *settings, form="safetensors"):
        run = self.quantize(WEIGHT_ONLY, ALL, "quantize.skip_names=[]", *settings, "--format", form, model=model)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run, (self.folder / "out" / f"quantized_model_torchao.{form}").read_bytes()

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
        run = self.quantize(WEIGHT_ONLY, ALL, "--format", "safetensors", model=GOLDEN / "types.pth")
        self.assertFails(run, 1, 'tensor "complex128"', "which the artifact, a safetensors file, has no type for")
        whole = LENET.with_name("model.pth").read_bytes()
        cut = self.write("cut.pth", whole[:50000])
        self.assertFails(self.ptq("inspect", cut), 1, "cut.pth", "the end of this ZIP archive is missing")
        evil = self.write("evil.pth", b"\x80\x02cos\nsystem\n(X\x04\0\0\0touchtR.")
        self.assertFails(self.ptq("inspect", evil), 1, 'names "os.system"', "Nothing was run.")

    # ---- out

    def read_pth(self, path):
        """The tensors of a state dict by names, as (storage or dtype, shape, bytes), and what the file says about itself."""
        self.assertTrue(path.is_file(), path)
        archive = zipfile.ZipFile(path)
        self.assertIsNone(archive.testzip())
        for entry in archive.infolist():
            self.assertEqual(entry.compress_type, zipfile.ZIP_STORED)
            self.assertEqual(entry.date_time, (1980, 1, 1, 0, 0, 0))
            local = path.read_bytes()[entry.header_offset:entry.header_offset + 30]
            crc, packed, size, name, extra = struct.unpack("<III2H", local[14:30])
            self.assertEqual((crc, packed, size), (entry.CRC, entry.file_size, entry.file_size))
            self.assertEqual((entry.header_offset + 30 + name + extra) % 64, 0)
        self.assertEqual(archive.read("archive/byteorder"), b"little")
        self.assertEqual(archive.read("archive/version"), b"3\n")
        self.assertFalse(any(name.endswith("/.format_version") for name in archive.namelist()))
        pickled = archive.read("archive/data.pkl")
        opcodes = list(pickletools.genops(pickled))
        self.assertLessEqual({opcode.name for opcode, _, _ in opcodes}, OPCODES)
        self.assertLessEqual({argument for opcode, argument, _ in opcodes if opcode.name == "GLOBAL"}, GLOBALS)
        tensors = Unpickler(io.BytesIO(pickled)).load()
        metadata = json.loads(archive.read("archive/ptq.json")) if "archive/ptq.json" in archive.namelist() else None
        return {name: (*what, archive.read(f"archive/data/{key}")) for name, (key, *what) in tensors.items()}, metadata

    def test_the_artifact_of_a_checkpoint_is_one(self):
        """Without a --format, as TAO names it; the other container, and the same from the twin, hold the same."""
        run = self.quantize(WEIGHT_ONLY, ALL, model=LENET.with_name("model.pth"))
        self.assertIn("torch.load(path, weights_only=True); --format safetensors is the other container", run.stdout)
        path = self.folder / "out" / "quantized_model_torchao.pth"
        tensors, metadata = self.read_pth(path)
        self.assertEqual(list(tensors)[:3], ["conv1.weight", "conv1.weight_scale", "conv1.bias"])
        held = read_safetensors(self.artifact(LENET.with_name("model.pth"))[1])
        self.assertEqual(metadata, held.pop("__metadata__"))
        self.assertEqual(set(tensors), set(held))
        for name, (kind, shape, data) in tensors.items():
            self.assertEqual((STORAGES[kind], list(shape), data), held[name], name)
        self.assertIn("all tensors are identical", self.ptq("compare", path, path.with_suffix(".safetensors")).stdout)
        shown = [self.ptq("inspect", one, "--json") for one in (path, path.with_suffix(".safetensors"))]
        layers = [json.loads(one.stdout)["layers"] for one in shown]
        self.assertEqual(layers[0], layers[1])
        self.assertIn("this model is quantized already",
                      self.ptq("quantize", "-e", WEIGHT_ONLY, f"model_path={path}", "results_dir=other").stderr)

    def test_every_dtype_and_element_type(self):
        for dtype, storage in (("int8", "torch CharStorage"), ("fp8_e4m3fn", "torch float8_e4m3fn"), ("fp8_e5m2", "torch float8_e5m2")):
            _, made = self.artifact(LENET, f"quantize.layers.0.weights.dtype={dtype}", form="pth")
            tensors, _ = self.read_pth(self.folder / "out" / "quantized_model_torchao.pth")
            self.assertEqual(tensors["fc1.weight"][0], storage)
            run = self.ptq("export", "out/quantized_model_torchao.pth", "--format", "pth", "-o", "again")
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertEqual((self.folder / "again" / "quantized_model_torchao.pth").read_bytes(), made)
        self.artifact(GOLDEN / "types.pth", form="pth")
        tensors, _ = self.read_pth(self.folder / "out" / "quantized_model_torchao.pth")
        self.assertEqual(tensors["complex128"][0], "torch ComplexDoubleStorage")
        self.assertIn("all tensors are identical",
                      self.ptq("compare", GOLDEN / "types.pth", "out/quantized_model_torchao.pth").stdout)

    def test_floats(self):
        """A half keeps its type, whichever way it goes; what is not quantized keeps its bytes."""
        halves = {"fc.weight": ("BF16", [2, 3], struct.pack("<6H", 0x3f80, 0x4000, 0xc040, 0x3e9a, 0x0001, 0x8000)),
                  "double.weight": ("F64", [2, 2], struct.pack("<4d", 1, 2.5, -3, 1e-3)), "fc.bias": ("F32", [2], floats(1, 2))}
        model = self.write("m.safetensors", safetensors(halves, {"format": "pt"}))
        _, artifact = self.artifact(model)
        about = json.loads(read_safetensors(artifact)["__metadata__"]["ptq_layers"])
        self.assertEqual([about[name]["weights"].get("source") for name in ("fc", "double")], ["bfloat16", "float64"])
        run = self.quantize(WEIGHT_ONLY, ALL, "quantize.skip_names=[]", "--format", "float", model=model)
        self.assertEqual(run.returncode, 0, run.stderr)
        made = (self.folder / "out" / "float_model_torchao.safetensors").read_bytes()
        held = read_safetensors(made)
        self.assertEqual({name: about[:2] for name, about in held.items() if name != "__metadata__"},
                         {name: about[:2] for name, about in halves.items()})
        self.assertEqual(held["fc.bias"], halves["fc.bias"])
        for name in ("fc.weight", "double.weight"):
            self.assertEqual(held[name][2], dequantized(read_safetensors(artifact), name, halves[name][0]), name)
        for container in ("safetensors", "pth"):
            self.artifact(model, form=container)
            run = self.ptq("export", f"out/quantized_model_torchao.{container}", "--format", "float", "-o", "again")
            self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual((self.folder / "again" / "float_model_torchao.safetensors").read_bytes(), made)
        tensors, metadata = self.read_pth(self.folder / "again" / "float_model_torchao.pth")
        self.assertIsNone(metadata)
        self.assertEqual({name: about[2] for name, about in tensors.items()},
                         {name: about[2] for name, about in held.items() if name != "__metadata__"})
        self.assertEqual(self.ptq("inspect", "again/float_model_torchao.pth").returncode, 0)

    def test_floats_of_a_graph(self):
        """From the model and from the artifact: the same weights, and no trace of their codes."""
        model = LENET.with_name("model.onnx")
        for form in ("float", "onnx"):
            run = self.quantize(WEIGHT_ONLY, ALL, "quantize.skip_names=[]", "--format", form, model=model)
            self.assertEqual(run.returncode, 0, run.stderr)
        made = (self.folder / "out" / "float_model_torchao.onnx").read_bytes()
        self.assertEqual(len(made), len(model.read_bytes()))
        run = self.ptq("export", "out/quantized_model_torchao.onnx", "--format", "float", "-o", "again")
        self.assertEqual(run.returncode, 0, run.stderr)
        folded = (self.folder / "again" / "float_model_torchao.onnx").read_bytes()
        self.assertNotIn(b"DequantizeLinear", folded)
        for other in ("again/float_model_torchao.onnx", "out/quantized_model_torchao.onnx"):
            rows = json.loads(self.ptq("compare", "out/float_model_torchao.onnx", other, "--json").stdout)["layers"]
            self.assertEqual([row["max_abs_error"] for row in rows], [0] * len(rows))

    def test_names_of_exports(self):
        """By the backend that the artifact tells, whatever its own name, unless that would be no name."""
        _, made = self.artifact(LENET)
        for told, name in (("torchao", "torchao"), ("a.b-c_1", "a.b-c_1"), ("../x", "mine.too"), ("", "mine.too"), ("a/b", "mine.too")):
            size = struct.unpack("<Q", made[:8])[0]
            header = json.loads(made[8:8 + size])
            header["__metadata__"]["ptq_backend"] = told
            text = json.dumps(header).encode()
            text += b" " * (-len(text) % 8)
            self.write("mine.too.safetensors", struct.pack("<Q", len(text)) + text + made[8 + size:])
            run = self.ptq("export", "mine.too.safetensors", "--format", "float", "-o", "x")
            self.assertEqual(run.returncode, 0, run.stderr)
            found, = (self.folder / "x").iterdir()
            self.assertEqual(found.name, f"float_model_{name}.safetensors")
            found.unlink()

    def test_export_refuses(self):
        self.artifact(LENET)
        run = self.quantize(WEIGHT_ONLY, "--format", "pth", model=LENET.with_name("model.onnx"))
        self.assertFails(run, 2, "--format", 'no artifact in the form "pth"', "onnx, float")
        artifact = "out/quantized_model_torchao.safetensors"
        before = (self.folder / artifact).read_bytes()
        for arguments, said in (((artifact, "--format", "safetensors"), "over itself. Give another -o DIR."),
                                ((artifact, "--format", "onnx"), "There are: safetensors, pth, float"),
                                ((artifact, "--format", "pht"), 'Did you mean "pth"?')):
            self.assertFails(self.ptq("export", *arguments), 2, said)
        self.assertFails(self.ptq("export", LENET, "--format", "float", "-o", "x"), 1, "this is not an artifact of ptq")
        self.assertFails(self.ptq("export", LENET.with_name("model.onnx"), "--format", "float", "-o", "x"), 1, "no weights as codes")
        self.assertEqual((self.folder / artifact).read_bytes(), before)
        self.assertFalse(list(self.folder.glob("x/*")))


if __name__ == "__main__":
    main()
