// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "formats/onnx/models.hpp"
#include "support/temporary_folder.hpp"

using ptq::element_type;
using ptq::errc;

TEST_CASE("a shipped model is read without copying its weights") {
  const ptq::onnx_model model = read_model(PTQ_MODELS_DIR "/lenet-digits/model.onnx");
  CHECK(model.ir_version == 9);
  CHECK(model.opset() == 19);
  CHECK(model.graph.nodes.size() == 10);
  CHECK(model.graph.initializers.size() == 8);
  CHECK(model.decoded.empty());
  REQUIRE(model.graph.inputs.size() == 1);
  const auto& shape = *model.graph.inputs[0].shape;
  REQUIRE(shape.size() == 4);
  CHECK(shape[0].symbol == "N");
  CHECK(shape[3].number == 28);

  const ptq::onnx_node& conv = model.graph.nodes[0];
  CHECK(conv.op_type == "Conv");
  CHECK(conv.input(1) == "conv1.weight");
  CHECK(conv.integers("kernel_shape").size() == 2);
  CHECK(conv.integer("group", 1) == 1);
  CHECK(model.graph.nodes[7].integer("transB", 0) == 1);

  const ptq::onnx_tensor& weight = initializer(model.graph, "conv1.weight");
  CHECK(weight.type_text() == "float32[8, 1, 5, 5]");
  const auto file = model.files.front().bytes();
  CHECK(weight.data.data() >= file.data());
  CHECK(weight.data.data() + weight.data.size() <= file.data() + file.size());
}

TEST_CASE("a model keeps its views when it moves") {
  ptq::onnx_model first = read_odd("stored");
  const ptq::onnx_model second = std::move(first);
  CHECK(values_of<float>(initializer(second.graph, "f32"))[0] == 1.5F);
}

TEST_CASE("values are the same however they are stored") {
  const ptq::onnx_model model = read_odd("stored");
  const auto get = [&](const char* name) -> const ptq::onnx_tensor& {
    return initializer(model.graph, name);
  };
  CHECK(values_of<float>(get("f32")) == std::vector<float>{1.5F, -2.25F, 3e-40F});
  CHECK(values_of<double>(get("f64")) == std::vector<double>{1.5, -2.25, 1e300});
  CHECK(values_of<std::int64_t>(get("i64")) == std::vector<std::int64_t>{-1, std::int64_t{1} << 62, 3});
  CHECK(values_of<std::uint64_t>(get("u64")) == std::vector<std::uint64_t>{std::uint64_t{1} << 63, 1, 2});
  CHECK(values_of<std::uint32_t>(get("u32")) == std::vector<std::uint32_t>{4294967295u, 1, 2});
  CHECK(values_of<std::int32_t>(get("i32")) == std::vector<std::int32_t>{-1, INT32_MAX, INT32_MIN});
  CHECK(values_of<std::int16_t>(get("i16")) == std::vector<std::int16_t>{-1, 300, 2});
  CHECK(values_of<std::int8_t>(get("i8")) == std::vector<std::int8_t>{-128, 127, -1});
  CHECK(values_of<std::uint8_t>(get("u8")) == std::vector<std::uint8_t>{255, 0, 7});
  CHECK(values_of<std::uint8_t>(get("flag")) == std::vector<std::uint8_t>{1, 0, 1});
  CHECK(values_of<std::uint16_t>(get("f16")) == std::vector<std::uint16_t>{0x3c00, 0xc000, 0x7c00});
  CHECK(values_of<std::uint16_t>(get("bf16")) == std::vector<std::uint16_t>{0x3f80, 0xc000, 0x7f80});
  CHECK(values_of<std::uint8_t>(get("e4m3")) == std::vector<std::uint8_t>{0x38, 0xb8, 0x7e});
  CHECK(values_of<std::uint8_t>(get("i4")) == std::vector<std::uint8_t>{0x7f, 0x08});
  CHECK(get("none").size() == 0);

  const ptq::onnx_tensor& raw = get("raw");
  CHECK(raw.data.size() == 24);
  CHECK(raw.view().type == ptq::element_type::float32);
  CHECK(raw.view().shape == ptq::tensor_shape{2, 3});
  CHECK(get("i64").view().type == ptq::element_type::int64);

  REQUIRE(model.graph.constants.size() == 4);  // not the text
  CHECK(values_of<float>(model.graph.constants[0]) == std::vector<float>{1.5F});
  CHECK(model.graph.constants[0].dims.empty());
  CHECK(values_of<float>(model.graph.constants[1]) == std::vector<float>{1.5F, 2.5F});
  CHECK(values_of<std::int64_t>(model.graph.constants[2]) == std::vector<std::int64_t>{-7});
  CHECK(values_of<std::int64_t>(model.graph.constants[3]) == std::vector<std::int64_t>{1, -2});
  CHECK(model.graph.constants[3].name == "wholes");
}

TEST_CASE("bodies are kept whole, and what they use of the graph around them is known") {
  const ptq::onnx_model model = read_odd("bodies");
  const ptq::onnx_node& choose = model.graph.nodes[1];
  const auto& then = choose.find_attribute("then_branch")->bodies.front();
  const auto& orelse = choose.find_attribute("else_branch")->bodies.front();
  CHECK(then.captures == std::vector<std::string>{"h", "shared.weight"});
  CHECK(then.nodes.size() == 1);
  CHECK(orelse.captures == std::vector<std::string>{"flag", "h"});
  CHECK(orelse.nodes.size() == 2);
  CHECK(orelse.names == std::vector<std::string>{"own"});

  const auto links = ptq::links_of(model.graph);
  REQUIRE(links);
  const auto uses = links->uses("shared.weight");
  REQUIRE(uses.size() == 2);
  CHECK(uses[0].slot == 1);
  CHECK(uses[1].slot == ptq::onnx_use::in_body);
}

TEST_CASE("external data is mapped, each file once") {
  const ptq::onnx_model model = read_odd("external");
  CHECK(model.files.size() == 2);
  const ptq::onnx_tensor& b = initializer(model.graph, "b.weight");
  CHECK(b.external->file == "external.data");
  CHECK(b.external->offset == 4096);
  CHECK(b.data.size() == 96);
  CHECK(values_of<float>(b)[0] != 0);
}

TEST_CASE("unsound models are refused, and the message says which file, node and tensor") {
  struct sample {
    const char* name;
    errc code;
    std::vector<std::string_view> words;
  };
  const std::vector<sample> samples{
      {"missing",
       errc::tensor_not_found,
       {"node \"fc\" (MatMul)", "input 1", "\"fc.wieght\"", "Did you mean \"fc.weight\"?"}},
      {"output", errc::tensor_not_found, {"graph output \"y\"", "no node makes it"}},
      {"cycle",
       errc::wrong_format,
       {"there is a cycle", "\"first\" (Add) needs node \"second\" (Relu) needs node \"first\""}},
      {"self", errc::wrong_format, {"there is a cycle: node 0 (Add) needs node 0 (Add)"}},
      {"order",
       errc::wrong_format,
       {"node \"act\" (Relu)", "uses \"h\" before node \"fc\" (MatMul) makes it", "topological"}},
      {"twice", errc::duplicate_key, {"tensor \"h\"", "made twice"}},
      {"body", errc::tensor_not_found, {"node \"choose\" (If)", "its body uses \"nowhere\""}},
      {"short",
       errc::wrong_format,
       {"initializer \"fc.weight\"", "float32[3, 4] takes 48 bytes, but the file holds 36"}},
      {"negative", errc::invalid_value, {"initializer \"fc.weight\"", "float32[-3, -3]", "negative"}},
      {"absurd",
       errc::validation_overflow,
       {"initializer \"fc.weight\"", "more bytes than can be addressed"}},
      {"field", errc::wrong_format, {"TensorProto", "another data type"}},
      {"external_up",
       errc::cannot_open,
       {"initializer \"a.weight\"", "../external.data", "leaves the model's folder"}},
      {"external_inside_up", errc::cannot_open, {"leaves the model's folder"}},
      {"external_root", errc::cannot_open, {"/etc/passwd", "must be relative"}},
      {"external_missing", errc::cannot_open, {"initializer \"a.weight\"", "other.data", "no such file"}},
      {"external_folder", errc::cannot_open, {"initializer \"a.weight\"", "this is a folder"}},
      {"external_offset",
       errc::wrong_format,
       {"initializer \"a.weight\"", "99999", "beyond the file's 4192"}},
      {"external_number", errc::wrong_format, {"StringStringEntryProto", "whole numbers"}},
  };
  for (const sample& s : samples) {
    CAPTURE(s.name);
    const auto model = ptq::read_onnx(odd_path(std::string("bad_") + s.name));
    REQUIRE_FALSE(model);
    const std::string& what = model.error().what;
    CAPTURE(what);
    CHECK(model.error().code == s.code);
    CHECK(what.find(s.name) != std::string::npos);
    for (const std::string_view word : s.words) {
      CAPTURE(word);
      CHECK(what.find(word) != std::string::npos);
    }
  }
}

/// The parts of a model that keeps its tensors in external.data.
struct external_parts {
  std::string model = read_file(odd_path("external"));
  std::string data = read_file(std::string(PTQ_GOLDEN_DIR) + "/onnx/external.data");
};

TEST_CASE("external data may be links of the model's own folder, and have other names") {
  const temporary_folder folder;
  const external_parts parts;
  write_file(folder / "model.onnx", parts.model);
  std::filesystem::create_directory(folder / "weights");
  write_file(folder / "weights/real.data", parts.data);
  std::filesystem::create_symlink("weights/real.data", folder / "external.data");
  CHECK(ptq::read_onnx(folder / "model.onnx"));

  std::filesystem::remove(folder / "external.data");
  std::filesystem::create_hard_link(folder / "weights/real.data", folder / "external.data");
  CHECK(ptq::read_onnx(folder / "model.onnx"));

  const temporary_folder other;
  std::filesystem::create_directory_symlink(folder.path(), other / "link");
  CHECK(ptq::read_onnx(other / "link/model.onnx"));
}

TEST_CASE(
    "external data may be links to where the model's own file is, as in a cache of the Hugging Face hub") {
  const temporary_folder cache;
  const external_parts parts;
  std::filesystem::create_directories(cache / "blobs");
  std::filesystem::create_directories(cache / "snapshots/f00d/onnx");
  write_file(cache / "blobs/0123", parts.model);
  write_file(cache / "blobs/4567", parts.data);
  const std::string model = cache / "snapshots/f00d/onnx/model.onnx";
  std::filesystem::create_symlink("../../../blobs/0123", model);
  const std::string data = cache / "snapshots/f00d/onnx/external.data";
  std::filesystem::create_symlink("../../../blobs/4567", data);
  const auto read = ptq::read_onnx(model);
  REQUIRE(read);
  CHECK(read->files.size() == 2);

  std::filesystem::remove(cache / "blobs/4567");  // a download that was cut short
  const auto cut = ptq::read_onnx(model);
  REQUIRE_FALSE(cut);
  CHECK(cut.error().what.find(data + ": this is a link to \"../../../blobs/4567\"") != std::string::npos);
}

TEST_CASE("external data may not be links to elsewhere") {
  const temporary_folder folder;
  const external_parts parts;
  for (const char* const part : {"secret", "blobs", "blobs-2", "model", "model/inside"})
    std::filesystem::create_directory(folder / part);
  write_file(folder / "secret/real.data", parts.data);
  write_file(folder / "blobs-2/real.data", parts.data);
  write_file(folder / "blobs/model.onnx", parts.model);
  const auto refuses = [&](const std::string& target) {
    const std::string link = folder / "model/external.data";
    std::filesystem::remove_all(link);
    std::filesystem::create_symlink(target, link);
    const auto model = ptq::read_onnx(folder / "model/model.onnx");
    REQUIRE_FALSE(model);
    CHECK(model.error().code == errc::cannot_open);
    CHECK(model.error().what.find("symbolic link") != std::string::npos);
    CHECK(model.error().what.find("real.data") != std::string::npos);
  };
  write_file(folder / "model/model.onnx", parts.model);
  refuses("../secret/real.data");
  refuses(folder / "secret/real.data");
  std::filesystem::create_symlink("../../secret/real.data", folder / "model/inside/first");
  refuses("inside/first");  // a link to a link

  std::filesystem::remove(folder / "model/model.onnx");
  std::filesystem::create_symlink("../blobs/model.onnx", folder / "model/model.onnx");
  refuses("../secret/real.data");
  refuses("../blobs-2/real.data");  // its name begins as that of the folder does
}

TEST_CASE("what is no ONNX model is told apart from one that is cut short") {
  const temporary_folder folder;
  const auto what = [&](const std::string& content) {
    write_file(folder / "m.onnx", content);
    const auto model = ptq::read_onnx(folder / "m.onnx");
    REQUIRE_FALSE(model);
    return model.error().what;
  };
  const std::string whole = read_file(odd_path("layers"));
  CHECK(what(whole.substr(0, 1000)).find("Is the file complete?") != std::string::npos);
  CHECK(what("PK\x03\x04 and so on").find("this is not an ONNX model: it looks like a zip archive") !=
        std::string::npos);
  CHECK(what("\x93NUMPY\x01").find("it looks like a NumPy array (.npy)") != std::string::npos);
  CHECK(what("\x07\x07").find("Is the file an ONNX model?") != std::string::npos);
  CHECK(what("\x08\x09").find("there is no graph") != std::string::npos);
  CHECK(what(whole + whole).find("more than one graph") != std::string::npos);
  CHECK(what("").find("empty") != std::string::npos);
  CHECK(what(std::string("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10)).find("Is the file complete?") !=
        std::string::npos);
  CHECK(
      what(std::string("\x3a\x85\x80\x80\x80\x10", 6) + std::string(9, '\0')).find("Is the file complete?") !=
      std::string::npos);  // 2^32 + 5
}

TEST_CASE("bodies may not be nested without end") {
  const auto field = [](int tag, const std::string& payload) {
    std::string text(1, static_cast<char>(tag << 3 | 2));
    std::size_t size = payload.size();
    for (; size > 127; size >>= 7) text += static_cast<char>(0x80u | (size & 0x7fu));
    return text + static_cast<char>(size) + payload;
  };
  std::string graph;
  for (int depth = 0; depth < 200; ++depth) graph = field(1, field(5, field(6, graph)));
  const std::string file = field(7, graph);
  const auto model = ptq::read_onnx(std::as_bytes(std::span(file)), "deep.onnx");
  REQUIRE_FALSE(model);
  CHECK(model.error().what.find("nested deeper than 64") != std::string::npos);
}
