// SPDX-License-Identifier: Apache-2.0
// Checkpoints of one file and of several.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "ptq/formats/safetensors/open.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/temporary_folder.hpp"

using ptq::errc;

namespace {

/// A file with one-byte tensors of these names.
std::string file_with(const std::vector<std::string>& names) {
  std::string header = "{\"__metadata__\":{\"format\":\"pt\"}";
  std::string data;
  for (const std::string& name : names) {
    header += ",\"" + name + R"(":{"dtype":"I8","shape":[1],"data_offsets":[)" + std::to_string(data.size()) +
              "," + std::to_string(data.size() + 1) + "]}";
    data += name.back();
  }
  return safetensors_bytes(header + "}", data);
}

const std::string shard_1 = "model-00001-of-00002.safetensors";
const std::string shard_2 = "model-00002-of-00002.safetensors";
const std::string index_name = "model.safetensors.index.json";

void write_shards(const temporary_folder& folder) {
  write_file(folder / shard_1, file_with({"a", "b"}));
  write_file(folder / shard_2, file_with({"c"}));
  write_file(folder / index_name, R"({"metadata":{"total_size":3},"weight_map":{"a":")" + shard_1 +
                                      R"(","b":")" + shard_1 + R"(","c":")" + shard_2 + "\"}}");
}

ptq::checkpoint opened(const std::string& path) {
  auto model = ptq::open_safetensors(path);
  REQUIRE_MESSAGE(model, model.error().what);
  return *std::move(model);
}

ptq::error opening_error(const std::string& path) {
  const auto model = ptq::open_safetensors(path);
  REQUIRE(!model);
  return model.error();
}

std::string names_of(const ptq::checkpoint& model) {
  std::string names;
  for (const ptq::stored_tensor& tensor : model.tensors()) {
    CHECK(static_cast<char>(tensor.data[0]) == tensor.name.back());
    CHECK(model.find(tensor.name) == &tensor);
    names += tensor.name + " ";
  }
  return names;
}

}  // namespace

TEST_CASE("one file") {
  const temporary_folder folder;
  write_file(folder / "x.safetensors", file_with({"b", "a"}));
  const ptq::checkpoint model = opened(folder / "x.safetensors");
  CHECK(names_of(model) == "b a ");
  CHECK(model.find("c") == nullptr);
  CHECK(model.metadata() == ptq::metadata_map{{"format", "pt"}});
  model.release(model.tensors()[0]);
  CHECK(names_of(model) == "b a ");
}

TEST_CASE("an index of several files") {
  const temporary_folder folder;
  write_shards(folder);
  const ptq::checkpoint model = opened(folder / index_name);
  CHECK(names_of(model) == "a b c ");
  CHECK(model.files().size() == 2);
}

TEST_CASE("a folder stands for the model in it") {
  const temporary_folder folder;
  CHECK(opening_error(folder.path()).what ==
        folder.path() +
            ": there is no .safetensors file in this folder. Name the file of the model (ONNX "
            "models are named, always).");
  write_file(folder / "only.safetensors", file_with({"o"}));
  CHECK(names_of(opened(folder.path())) == "o ");
  write_file(folder / "other.safetensors", file_with({"p"}));
  CHECK(
      opening_error(folder.path()).what ==
      folder.path() +
          ": there are several models in this folder; name one of them: only.safetensors other.safetensors");
  write_shards(folder);
  CHECK(names_of(opened(folder.path())) == "a b c ");
  write_file(folder / "model.safetensors", file_with({"m"}));
  CHECK(names_of(opened(folder.path() + "/")) == "m ");
}

TEST_CASE("a missing or broken file") {
  const temporary_folder folder;
  write_file(folder / "model.safetensors", "x");
  CHECK(opening_error(folder / "nodel.safetensors").what ==
        folder / "nodel.safetensors" + ": no such file. Did you mean \"model.safetensors\"?");
  CHECK(
      opening_error(folder / "model.safetensors").what ==
      folder / "model.safetensors" +
          ": the file has 1 bytes, but a safetensors file begins with 8 that give the length of its header.");
}

TEST_CASE("an index and its files must agree") {
  const temporary_folder folder;
  write_shards(folder);
  const std::string index = folder / index_name;
  const std::string advice = "Correct the index, or get it and its files again.";

  SUBCASE("a file is missing") {
    std::filesystem::remove(folder / shard_2);
    const ptq::error e = opening_error(index);
    CHECK(e.code == errc::cannot_open);
    CHECK(e.what == index + ": a shard cannot be opened: " + folder / shard_2 +
                        ": no such file. Did you mean \"" + shard_1 + "\"?");
  }
  SUBCASE("a file is broken") {
    write_file(folder / shard_2, "x");
    const ptq::error e = opening_error(index);
    CHECK(e.code == errc::header_too_small);
    CHECK(e.what.starts_with(folder / shard_2 + ": "));
  }
  SUBCASE("a tensor is not in its file") {
    write_file(folder / shard_2, file_with({"d"}));
    const ptq::error e = opening_error(index);
    CHECK(e.code == errc::tensor_not_found);
    CHECK(e.what == index + ": weight_map: \"c\": the tensor is neither in " + shard_2 +
                        " nor in another file of the index. " + advice);
  }
  SUBCASE("a tensor is in another file than its own") {
    write_file(folder / shard_1, file_with({"a", "c"}));
    write_file(folder / shard_2, file_with({"b"}));
    const ptq::error e = opening_error(index);
    CHECK(e.code == errc::tensor_not_found);
    CHECK(e.what ==
          index + ": weight_map: \"b\": the tensor is in " + shard_2 + ", not in " + shard_1 + ". " + advice);
  }
  SUBCASE("a tensor is not in the index") {
    write_file(folder / shard_2, file_with({"c", "d"}));
    const ptq::error e = opening_error(index);
    CHECK(e.code == errc::tensor_not_found);
    CHECK(e.what ==
          index + ": weight_map: \"d\": the tensor is not listed, but it is in " + shard_2 + ". " + advice);
  }
  SUBCASE("a tensor is in two files") {
    write_file(folder / shard_2, file_with({"c", "a"}));
    const ptq::error e = opening_error(index);
    CHECK(e.code == errc::duplicate_key);
    CHECK(e.what == folder / shard_2 + ": tensor \"a\" is in another file of this model too.");
  }
  SUBCASE("not JSON") {
    write_file(index, "{\"weight_map\": ");
    const ptq::error e = opening_error(index);
    CHECK(e.code == errc::syntax);
    CHECK(e.what.starts_with(index + ": this is not JSON: parse error at line 1, column 16"));
    write_file(index, "\x93NUMPY\x01");
    CHECK(opening_error(index).what ==
          index +
              ": this is not JSON: it looks like a NumPy array (.npy). The index of a "
              "sharded checkpoint is {\"weight_map\": {tensor: file, ...}}.");
  }
  SUBCASE("no map") {
    const auto says = [&](const char* text, errc code, const std::string& what) {
      write_file(index, text);
      const ptq::error e = opening_error(index);
      CHECK(e.code == code);
      CHECK(e.what == index + ": " + what +
                          " The index of a sharded checkpoint is {\"weight_map\": {tensor: file, ...}}.");
    };
    says("{}", errc::missing_value, "\"weight_map\" is missing.");
    says("{\"foo\":1}", errc::missing_value, "\"weight_map\" is missing.");
    says("[]", errc::wrong_type, "this is not a JSON object.");
    says("7", errc::wrong_type, "this is not a JSON object.");
    says("{\"weight_map\":[]}", errc::wrong_type, "\"weight_map\" is not a JSON object.");
    says("{\"weight_map\":{}}", errc::invalid_value, "\"weight_map\" is empty.");
  }
  SUBCASE("a value that is no file beside the index") {
    write_file(index, R"({"weight_map":{"a":1}})");
    CHECK(opening_error(index).code == errc::wrong_type);
    CHECK(opening_error(index).what == index + ": weight_map: \"a\": this is not the name of a file.");
    write_file(index, R"({"weight_map":{"a":"../x.safetensors"}})");
    CHECK(opening_error(index).code == errc::invalid_value);
    CHECK(opening_error(index).what ==
          index +
              ": weight_map: \"a\": \"../x.safetensors\" is not the name of a file "
              "in the folder of the index.");
  }
}
