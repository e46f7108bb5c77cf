# SPDX-License-Identifier: Apache-2.0
"""Folders of Hugging Face's hub, as they are on disk: read, and written as loaders read them."""
import json
import os
import shutil

from command import CommandTest, EXAMPLES, LENET, WEIGHT_ONLY, floats, main, safetensors

GOLDEN = EXAMPLES.parent / "tests" / "golden" / "torch"


def header_of(path):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def names_in(path):
    return [name for name in header_of(path)[0] if name != "__metadata__"]


class Reading(CommandTest):
    def tensors(self, model):
        run = self.ptq("inspect", "--json", model)
        self.assertEqual(run.returncode, 0, run.stderr)
        return sorted(json.dumps(tensor) for tensor in json.loads(run.stdout)["tensors"])

    def test_cache(self):
        """snapshots/<revision>/<name> are links to blobs, whose names are hashes."""
        blob = self.write("blobs/0a1b", safetensors({"query.weight": ("F32", [2, 2], floats(1, 2, 3, 4))}, {"format": "pt"}))
        snapshot = self.folder / "snapshots" / "2c3d"
        snapshot.mkdir(parents=True)
        (snapshot / "model.safetensors").symlink_to("../../blobs/0a1b")
        for model in (snapshot, snapshot / "model.safetensors", blob):
            self.assertEqual(len(self.tensors(model)), 1)
        (snapshot / "model.safetensors").rename(snapshot / "model-00001-of-00001.safetensors")
        self.write("blobs/4e5f", json.dumps({"weight_map": {"query.weight": "model-00001-of-00001.safetensors"}}))
        (snapshot / "model.safetensors.index.json").symlink_to("../../blobs/4e5f")
        for model in (snapshot, snapshot / "model.safetensors.index.json"):
            self.assertEqual(len(self.tensors(model)), 1)

    def test_pytorch_files(self):
        """pytorch_model.bin, and an index of several; safetensors files beside them are preferred."""
        self.write("one/pytorch_model.bin", LENET.with_name("model.pth").read_bytes())
        self.assertEqual(len(self.tensors(self.folder / "one")), len(names_in(LENET)))
        shards = {"pytorch_model-00001-of-00002.bin": GOLDEN / "strided.pth",
                  "pytorch_model-00002-of-00002.bin": LENET.with_name("model.pth")}
        held = {}
        for name, file in shards.items():
            self.write("many/" + name, file.read_bytes())
            held.update(dict.fromkeys(names_in(file.with_suffix(".safetensors")), name))
        index = self.write("many/pytorch_model.bin.index.json", json.dumps({"metadata": {}, "weight_map": held}))
        for model in (index, index.parent):
            self.assertEqual(len(self.tensors(model)), len(held))
        run = self.quantize(WEIGHT_ONLY, model=index.parent)
        self.assertEqual(run.returncode, 0, run.stderr)
        (index.parent / "pytorch_model-00002-of-00002.bin").unlink()
        self.assertFails(self.ptq("inspect", index), 1, "pytorch_model.bin.index.json", "a shard cannot be opened")
        shutil.copy(LENET, index.parent / "model.safetensors")
        self.assertEqual(len(self.tensors(index.parent)), len(names_in(LENET)))


class Folders(CommandTest):
    """What the loaders of transformers, vLLM, TensorRT-LLM and SGLang ask of a folder."""

    QUANTIZED = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                 "mlp.up_proj", "mlp.down_proj")
    PER_TENSOR = {"weights": {"dtype": "fp8_e4m3fn", "quant_axis": None}, "activations": {"dtype": "fp8_e4m3fn"}}

    def setUp(self):
        super().setUp()
        self.seed = 1

    def weights(self, *shape):
        count, values = 1, []
        for extent in shape:
            count *= extent
        for _ in range(count):
            self.seed = self.seed * 1103515245 + 12345 & 0x7FFFFFFF
            values.append(self.seed / 2**30 - 1)
        return "F32", list(shape), floats(*values)

    def llama(self, layers=2, folder="llama", **config):
        """A folder with everything that may lie in one."""
        tensors = {"model.embed_tokens.weight": self.weights(11, 6), "model.norm.weight": self.weights(6)}
        for i in range(layers):
            for name in self.QUANTIZED:
                tensors[f"model.layers.{i}.{name}.weight"] = self.weights(*((6, 7) if "down" in name else (7, 6) if "mlp" in name else (6, 6)))
            tensors[f"model.layers.{i}.input_layernorm.weight"] = self.weights(6)
        self.config = {"architectures": ["LlamaForCausalLM"], "rms_norm_eps": 1e-06, "rope_theta": 500000.0, "dtype": "float32",
                       "pi": 3.141592653589793, "name": "caf\u00e9", "nested": {"z": 1, "a": [None, True]}, **config}
        self.carried = {"tokenizer.json": b"{}\n", "tokenizer.model": bytes(range(256)), "generation_config.json": b"{ }",
                        "merges.txt": b"", "README.md": b"# card\n"}
        self.write(folder + "/model.safetensors", safetensors(tensors, {"format": "pt"}))
        self.write(folder + "/config.json", json.dumps(self.config))
        for name, content in self.carried.items():
            self.write(f"{folder}/{name}", content)
        for name in (".gitattributes", "pytorch_model.bin", "tf_model.h5", "model.onnx", "onnx/model.json"):
            self.write(f"{folder}/{name}", "left")
        return tensors

    def spec(self, *rules, backend="torchao", mode="weight_only_ptq", skip=()):
        rules = [{"module_name": name, **how} for name, how in rules]
        return json.dumps({"quantize": {"backend": backend, "mode": mode, "layers": rules, "skip_names": list(skip)}})

    def made(self, spec, *more, model="llama"):
        run = self.quantize(spec, *more, model=model)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run, json.loads((self.folder / "out/config.json").read_text())["quantization_config"]

    def recorded(self, tensors):
        """Inputs of the layers, recorded."""
        inputs = {name[:-7]: (dtype, [2, shape[1]], self.weights(2, shape[1])[2]) for name, (dtype, shape, _) in tensors.items()
                  if "proj" in name}
        return "dataset.quant_calibration_dataset.activations=" + str(self.write("inputs.safetensors", safetensors(inputs)))

    def assertCarried(self):
        """config.json but for one member, and the other files; no weights in other forms, no folders."""
        config = json.loads((self.folder / "out/config.json").read_text())
        self.assertEqual([*config], [*self.config, "quantization_config"])
        config.pop("quantization_config")
        self.assertEqual(config, self.config)
        for name, content in self.carried.items():
            self.assertEqual((self.folder / "out" / name).read_bytes(), content, name)
        own = {"config.json", "experiment.yaml", "quantize_report.json", "status.json"}
        weights = {name for name in self.names() if name.startswith("model") or name == "hf_quant_config.json"}
        self.assertEqual(self.names() - own - weights, set(self.carried))
        return weights

    def names(self):
        return {path.name for path in (self.folder / "out").iterdir()}

    def assertReadBack(self, spec, *more):
        """The same codes and scales as in ptq's own file."""
        made = self.folder / "out"
        made.rename(self.folder / "folder")
        run = self.quantize(spec, "--format", "safetensors", *more, model="llama")
        self.assertEqual(run.returncode, 0, run.stderr)
        own, = (self.folder / "out").glob("*.safetensors")
        run = self.ptq("compare", "folder", own)
        self.assertIn("all tensors are identical", run.stdout, run.stderr)
        self.assertIn("artifact of ptq", self.ptq("inspect", "folder").stdout)

    def test_packed_int8(self):
        tensors = self.llama()
        spec = self.spec(("Linear", {"weights": {"dtype": "int8"}}), skip=["model.layers.1.mlp.*"])
        run, config = self.made(spec)
        self.assertIn("(compressed-tensors: a folder for transformers and vLLM)", run.stdout)
        self.assertEqual(self.assertCarried(), {"model.safetensors"})
        self.assertEqual((config["quant_method"], config["format"], config["quantization_status"]),
                         ("compressed-tensors", "pack-quantized", "compressed"))
        self.assertEqual(config["config_groups"], {"group_0": {
            "targets": ["Linear"], "input_activations": None, "output_activations": None, "format": "pack-quantized",
            "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False}}})
        self.assertEqual(sorted(config["ignore"]), ["lm_head", *(f"model.layers.1.mlp.{n}_proj" for n in ("down", "gate", "up"))])
        header, data = header_of(self.folder / "out/model.safetensors")
        self.assertEqual(header["__metadata__"]["format"], "pt")
        down = "model.layers.0.mlp.down_proj."
        self.assertNotIn(down + "weight", header)
        self.assertEqual([(header[down + n]["dtype"], header[down + n]["shape"]) for n in ("weight_packed", "weight_scale", "weight_shape")],
                         [("I32", [6, 2]), ("F32", [6, 1]), ("I64", [2])])
        begin, end = header[down + "weight_shape"]["data_offsets"]
        self.assertEqual(data[begin:end], (6).to_bytes(8, "little") + (7).to_bytes(8, "little"))
        self.assertEqual(header["model.layers.1.mlp.up_proj.weight"]["dtype"], "F32")
        begin, end = header[down + "weight_packed"]["data_offsets"]
        packed = data[begin:end]
        self.assertReadBack(spec)
        own, own_data = header_of(self.folder / "out/quantized_model_torchao.safetensors")
        begin, _ = own[down + "weight"]["data_offsets"]
        for row in range(6):
            codes = own_data[begin + 7 * row : begin + 7 * row + 7]
            self.assertEqual(packed[8 * row : 8 * row + 8], bytes(code ^ 0x80 for code in codes) + b"\0")
        self.assertEqual({n for n in header if "proj" not in n and n != "__metadata__"}, {n for n in tensors if "proj" not in n})

    def test_schemes(self):
        """What is stored, and what is said of it."""
        tensors = self.llama()
        data = self.recorded(tensors)
        for dtype, format, word, kind in (("int8", "int-quantized", "I8", "int"), ("fp8_e4m3fn", "float-quantized", "F8_E4M3", "float")):
            with self.subTest(dtype):
                spec = self.spec(("Linear", {"weights": {"dtype": dtype}, "activations": {"dtype": dtype}}), backend="modelopt", mode="static_ptq")
                _, config = self.made(spec, data)
                group, = config["config_groups"].values()
                header, _ = header_of(self.folder / "out/model.safetensors")
                strategy, shape = ("channel", [6, 1]) if dtype == "int8" else ("tensor", [1])
                self.assertEqual((config["format"], group["format"]), (format, format))
                self.assertEqual(group["weights"], {"num_bits": 8, "type": kind, "symmetric": True, "strategy": strategy, "dynamic": False})
                self.assertEqual(group["input_activations"], {**group["weights"], "strategy": "tensor"})
                query = "model.layers.0.self_attn.q_proj."
                self.assertEqual([(header[query + n]["dtype"], header[query + n]["shape"]) for n in ("weight", "weight_scale", "input_scale")],
                                 [(word, [6, 6]), ("F32", shape), ("F32", [1])])
                self.assertReadBack(spec, data)
                shutil.rmtree(self.folder / "folder")
                shutil.rmtree(self.folder / "out")
        _, config = self.made(self.spec(("Linear", {"weights": {"dtype": "fp8_e4m3fn"}})))
        self.assertEqual(config["format"], "naive-quantized")
        mixed = self.spec(("Linear", {"weights": {"dtype": "int8"}}), ("*mlp*", {"weights": {"dtype": "fp8_e4m3fn"}}))
        _, config = self.made(mixed)
        self.assertEqual(config["format"], "mixed-precision")
        targets = {group["format"]: group["targets"] for group in config["config_groups"].values()}
        self.assertEqual(sorted(targets["naive-quantized"]), sorted(f"model.layers.{i}.{n}" for i in (0, 1) for n in self.QUANTIZED if "mlp" in n))
        self.assertEqual(len(targets["pack-quantized"]), 8)

    def test_modelopt(self):
        tensors = self.llama()
        spec = self.spec(("Linear", self.PER_TENSOR), backend="modelopt", mode="static_ptq", skip=["*o_proj"])
        data = self.recorded(tensors)
        run, config = self.made(spec, "--format", "modelopt-hf", data)
        self.assertIn("TensorRT-LLM", run.stdout)
        self.assertEqual(self.assertCarried(), {"model.safetensors", "hf_quant_config.json"})
        nested = json.loads((self.folder / "out/hf_quant_config.json").read_text())
        left = [f"model.layers.{i}.self_attn.o_proj" for i in (0, 1)] + ["lm_head"]
        self.assertEqual(nested["producer"]["name"], "modelopt")
        self.assertEqual(nested["quantization"], {"quant_algo": "FP8", "kv_cache_quant_algo": None, "exclude_modules": left})
        self.assertEqual((config["quant_method"], config["quant_algo"], config["ignore"]), ("modelopt", "FP8", left))
        self.assertEqual(config["config_groups"]["group_0"]["targets"], ["Linear"])
        header, held = header_of(self.folder / "out/model.safetensors")
        for layer in {name[:-7] for name in tensors if "proj" in name}:
            if layer in left:
                self.assertEqual(header[layer + ".weight"]["dtype"], "F32")
                continue
            self.assertEqual(header[layer + ".weight"]["dtype"], "F8_E4M3")
            for scale in (".weight_scale", ".input_scale"):
                self.assertEqual((header[layer + scale]["dtype"], header[layer + scale]["shape"]), ("F32", []))
                begin, end = header[layer + scale]["data_offsets"]
                value = int.from_bytes(held[begin:end], "little")
                self.assertTrue(0 < value < 0x7F800000, scale)  # positive and finite
        self.assertReadBack(spec, data)

    def test_refusals(self):
        """Before anything is written, with the layer and the form that can."""
        tensors = self.llama()
        data = self.recorded(tensors)
        int8, fp8, e5m2 = ({"weights": {"dtype": dtype}} for dtype in ("int8", "fp8_e4m3fn", "fp8_e5m2"))
        static = {"backend": "modelopt", "mode": "static_ptq"}
        both = {**int8, "activations": {"dtype": "int8"}}
        for form, rule, how, said in (
                ("compressed-tensors", e5m2, {}, "not fp8_e5m2"), ("compressed-tensors", {"weights": {"dtype": "int8", "quant_axis": 1}}, {}, "axis 1"),
                ("modelopt-hf", int8, {}, "not int8"), ("modelopt-hf", fp8, {}, "--format compressed-tensors"),
                ("modelopt-hf", both, static, "--format compressed-tensors"),
                ("compressed-tensors", {**fp8, "activations": {"dtype": "int8"}}, static, "one dtype for both"),
                ("compressed-tensors", {"weights": {"dtype": "native"}}, {}, "nothing is quantized")):
            with self.subTest(form=form, rule=rule):
                run = self.quantize(self.spec(("Linear", rule), **how), "--format", form, data, model="llama")
                self.assertFails(run, 1, "" if "native" in str(rule) else 'layer "model.layers.0.', said, "--format safetensors")
                self.assertEqual([n for n in self.written() if "status" not in n], [])
        self.write("conv/model.safetensors", safetensors({"stem.weight": self.weights(2, 3, 3, 3)}))
        self.write("conv/config.json", "{}")
        spec = self.spec(("Conv2d", int8))
        self.assertFails(self.quantize(spec, "--format", "compressed-tensors", model="conv"), 1, 'layer "stem"', "class Conv2d")
        run = self.quantize(spec, model="conv")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn('layer "stem"', run.stderr)
        self.assertIn("ptq_layers", run.stderr)
        self.assertIn("out/quantized_model_torchao.safetensors", self.written())
        run = self.quantize(spec, "--format", "compressed-tensors", model=LENET)
        self.assertFails(run, 1, "there is no config.json beside this model")
        for wrong in ("[]", "{", json.dumps({"quantization_config": {"quant_method": "gptq"}})):
            self.write("conv/config.json", wrong)
            run = self.quantize(self.spec(("Conv2d", int8)), "--format", "compressed-tensors", model="conv")
            self.assertFails(run, 1, "config.json")

    def test_tied(self):
        """An output head that is the embedding: quantized, it would be replaced by it."""
        self.llama(tie_word_embeddings=True)
        header, data = header_of(self.folder / "llama/model.safetensors")
        header.pop("__metadata__")
        tensors = {n: (e["dtype"], e["shape"], data[slice(*e["data_offsets"])]) for n, e in header.items()}
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
        self.write("llama/model.safetensors", safetensors(tensors))
        run = self.quantize(self.spec(("Linear", {"weights": {"dtype": "int8"}})), "--format", "compressed-tensors", model="llama")
        self.assertFails(run, 1, 'layer "lm_head"', "skip_names=[lm_head]")
        run = self.quantize(self.spec(("Linear", {"weights": {"dtype": "int8"}})), "--format", "safetensors", "results_dir=own", model="llama")
        self.assertEqual(run.returncode, 0, run.stderr)
        shutil.copy(self.folder / "llama/config.json", self.folder / "own")
        run = self.ptq("export", "own", "--format", "compressed-tensors", "-o", "out")
        self.assertFails(run, 1, 'layer "lm_head"', "skip_names=[lm_head]")
        _, config = self.made(self.spec(("Linear", {"weights": {"dtype": "int8"}}), skip=["lm_head"]))
        self.assertEqual(config["ignore"], ["lm_head"])

    def test_other_folders_are_kept(self):
        self.llama()
        spec = self.spec(("Linear", {"weights": {"dtype": "int8"}}))
        run = self.quantize(spec, "results_dir=llama", model="llama")
        self.assertFails(run, 2, "this one is the model's", "Give another results_dir")
        self.write("out/config.json", "{}")
        self.assertFails(self.quantize(spec, model="llama"), 2, "has one already")
        (self.folder / "out/config.json").unlink()
        for _ in range(2):
            self.made(spec)
        self.write("out/quantized_model_torchao.safetensors", "older")  # vLLM takes every file of that suffix
        part = "quantized_model_torchao-part-00001-of-00002.safetensors"
        for kept in ("mine.safetensors", part):
            self.write("out/" + kept, "kept")
        self.made(spec)
        self.assertEqual({n for n in self.names() if n.endswith(".safetensors")},
                         {"model.safetensors", "mine.safetensors", part})

    def test_another_form_replaces_a_folder(self):
        """Loaders, and `ptq compare model out`, would take the folder's tensors for those of the run."""
        self.llama()
        spec = self.spec(("Linear", {"weights": {"dtype": "int8"}}))
        for form, name in (("safetensors", "quantized_model_torchao.safetensors"), ("pth", "quantized_model_torchao.pth"),
                           ("float", "float_model_torchao.safetensors")):
            with self.subTest(form):
                self.made(spec)
                run = self.quantize(spec, "--format", form, model="llama")
                self.assertEqual(run.returncode, 0, run.stderr)
                left = set(self.names())
                self.assertIn(name, left)
                self.assertFalse(left & {"config.json", "model.safetensors", "model.safetensors.index.json"})
                (self.folder / "out" / name).unlink()
                for carried in left & set(os.listdir(self.folder / "llama")):
                    (self.folder / "out" / carried).unlink()
        for _ in range(2):  # the float model's own folder stays
            run = self.quantize(spec, "--format", "safetensors", "results_dir=llama", model="llama")
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertLessEqual({"config.json", "model.safetensors"}, set(os.listdir(self.folder / "llama")))

    def test_links_that_lead_nowhere(self):
        self.llama()
        (self.folder / "llama/vocab.txt").symlink_to("../blobs/gone")
        spec = self.spec(("Linear", {"weights": {"dtype": "int8"}}))
        run = self.quantize(spec, "--format", "compressed-tensors", model="llama")
        self.assertFails(run, 1, "llama/vocab.txt: this link leads nowhere", "Get the model's folder again")
        self.assertNotIn("model.safetensors", self.names())

    def test_a_folder_that_cannot_be_looked_into(self):
        self.llama()
        spec = self.spec(("Linear", {"weights": {"dtype": "int8"}}))
        self.made(spec)
        long = "a" * 300
        self.assertFails(self.quantize(spec, f"results_dir={long}", model="llama"), 1, "cannot be made")
        self.assertFails(self.ptq("export", "out", "--format", "compressed-tensors", "-o", long), 1, "cannot be made")

    def test_a_run_that_died_is_no_other_model(self):
        self.llama()
        spec = self.spec(("Linear", {"weights": {"dtype": "int8"}}))
        self.made(spec)
        whole = (self.folder / "out/config.json").read_bytes()
        for name in self.names() - {"config.json"}:
            (self.folder / "out" / name).unlink()
        self.write("out/.ptq-run/lock", "ptq run: pid 1 on here\n")
        self.write("out/.ptq-run/new/status.json", "{}")
        inode = (self.folder / "out/config.json").stat().st_ino
        self.write("out/.ptq-run/plan", f"main {inode} config.json\nlast 1 status.json\n")
        self.made(spec)
        self.assertEqual((self.folder / "out/config.json").read_bytes(), whole)

    def test_export(self):
        """From ptq's own form into a folder and back: the bytes that `quantize` writes."""
        tensors = self.llama()
        spec = self.spec(("Linear", {"weights": {"dtype": "int8"}}), skip=["*o_proj"])
        self.made(spec)
        self.assertEqual(self.ptq("export", "out", "--format", "safetensors", "-o", "own").returncode, 0)
        run = self.quantize(spec, "--format", "safetensors", "results_dir=plain", model="llama")
        own, = (self.folder / "own").glob("*.safetensors")
        plain, = (self.folder / "plain").glob("*.safetensors")
        self.assertEqual(own.read_bytes(), plain.read_bytes())
        self.assertIn("ptq_layers", run.stderr)  # and nothing of it is for loaders
        run = self.ptq("export", plain, "--format", "compressed-tensors")
        self.assertFails(run, 1, "there is no config.json beside this model", "Copy it there")
        for name in ("config.json", *self.carried):
            shutil.copy(self.folder / "llama" / name, self.folder / "plain")
        self.assertFails(self.ptq("export", plain, "--format", "compressed-tensors"), 2, "Give another -o DIR")
        run = self.ptq("export", plain, "--format", "compressed-tensors", "-o", "again")
        self.assertEqual(run.returncode, 0, run.stderr)
        for path in (self.folder / "again").iterdir():
            self.assertEqual(path.read_bytes(), (self.folder / "out" / path.name).read_bytes(), path.name)
        self.assertFails(self.ptq("export", "out", "--format", "modelopt-hf", "-o", "other"), 1, "not int8", "--format compressed-tensors")
        self.assertFails(self.quantize(spec, "results_dir=more", model="out"), 1, "quantized already, by ptq")

    def test_files_of_others_are_kept(self):
        """A folder without an artifact of ptq: nothing in it is replaced or removed."""
        self.llama()
        spec = self.spec(("Linear", {"weights": {"dtype": "int8"}}))
        run = self.quantize(spec, "--format", "safetensors", "results_dir=own", model="llama")
        self.assertEqual(run.returncode, 0, run.stderr)
        shutil.copy(self.folder / "llama/config.json", self.folder / "own")
        self.write("own/README.md", "# card\n")
        for name in ("README.md", "model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json"):
            with self.subTest(name):
                self.write("out/" + name, "mine")
                self.assertFails(self.quantize(spec, model="llama"), 2, "out/" + name, "Give an empty folder")
                self.assertFails(self.ptq("export", "own", "--format", "compressed-tensors", "-o", "out"), 2, "out/" + name)
                self.assertEqual({path.name: path.read_text() for path in (self.folder / "out").iterdir()}, {name: "mine"})
                (self.folder / "out" / name).unlink()
        self.write("out/README.md", "# card\n")  # the model's
        self.made(spec)

    def test_config_of_others(self):
        """A config.json without a model: a training program's, say. The artifact is as if it was not there."""
        self.llama()
        self.write("llama/config.json", json.dumps({"lr": 0.1}))
        run = self.quantize(self.spec(("Linear", {"weights": {"dtype": "int8"}})), model="llama")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("out/quantized_model_torchao.safetensors", self.written())
        self.assertNotIn("out/config.json", self.written())

    def test_floats(self):
        """What a folder is exported to is a model again."""
        self.llama()
        spec = self.spec(("Linear", {"weights": {"dtype": "int8"}}))
        self.made(spec)
        self.assertEqual(self.ptq("export", "out", "--format", "float", "-o", "again").returncode, 0)
        self.assertEqual(self.quantize(spec, "--format", "float", "results_dir=once", model="llama").returncode, 0)
        once, again = (self.folder / name / "float_model_torchao.safetensors" for name in ("once", "again"))
        self.assertEqual(again.read_bytes(), once.read_bytes())
        self.assertEqual(self.ptq("inspect", again).returncode, 0)

    def test_damage(self):
        self.llama()
        self.made(self.spec(("Linear", {"weights": {"dtype": "int8"}})))
        path = self.folder / "out/model.safetensors"
        header, data = header_of(path)
        begin, _ = header["model.layers.0.mlp.up_proj.weight_shape"]["data_offsets"]
        whole = path.read_bytes()
        at = len(whole) - len(data) + begin
        for wrong in (9, 2**63, 0):
            path.write_bytes(whole[:at] + wrong.to_bytes(8, "little") + whole[at + 8 :])
            run = self.ptq("inspect", path)
            self.assertFails(run, 1, "up_proj.weight_packed", "The artifact is damaged")

    def test_cache(self):
        """Links into blobs: what is carried are files."""
        self.llama(folder="blobs")
        snapshot = self.folder / "llama"
        snapshot.mkdir()
        for path in (self.folder / "blobs").iterdir():
            (snapshot / path.name).symlink_to("../blobs/" + path.name)
        self.made(self.spec(("Linear", {"weights": {"dtype": "int8"}})))
        self.assertEqual(self.assertCarried(), {"model.safetensors"})
        self.assertFalse(any(path.is_symlink() for path in (self.folder / "out").iterdir()))


if __name__ == "__main__":
    main()
