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


if __name__ == "__main__":
    main()
