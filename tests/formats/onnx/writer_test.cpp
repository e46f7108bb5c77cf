// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "formats/onnx/models.hpp"
#include "formats/onnx/quantized.hpp"
#include "support/golden.hpp"
#include "support/temporary_folder.hpp"

using ptq::element_type;

namespace {

/// A graph in one line a node: "MatMul x_dequantized w_dequantized -> y".
std::vector<std::string> lines_of(const ptq::onnx_graph& graph) {
  std::vector<std::string> lines;
  for (const ptq::onnx_node& node : graph.nodes) {
    std::string line = node.op_type;
    for (const std::string& input : node.inputs) line += " " + input;
    line += " ->";
    for (const std::string& output : node.outputs) line += " " + output;
    lines.push_back(line);
  }
  return lines;
}

double number_of(const test::json& value) {
  return std::strtod(value.word.c_str(), nullptr);
}

bool has_initializer(const ptq::onnx_graph& graph, std::string_view name) {
  return std::any_of(graph.initializers.begin(), graph.initializers.end(),
                     [&](const ptq::onnx_tensor& tensor) { return tensor.name == name; });
}

}  // namespace

TEST_CASE("codes, scales and structure are those of the reference graphs") {
  const test::golden_group group("f_onnx");
  for (const test::json& one : group.cases()) {
    for (const char* const dtype : {"int8", "fp8_e4m3fn"}) {
      CAPTURE(one["name"].word);
      CAPTURE(dtype);
      const bool is_int8 = std::string_view(dtype) == "int8";
      const test::json& wanted = one["qdq"][is_int8 ? "int8" : "fp8"];
      const auto source = read_model(PTQ_GOLDEN_DIR "/f_onnx/" + one["float_model"].word);
      job work(source);
      work.quantize_weights(dtype);
      for (std::size_t i = 0; i < work.layers.sources.size(); ++i) {
        const auto& call = work.layers.sources[i].calls.front();
        const std::string& input = source.graph.nodes[call.node].inputs.front();
        const double amax = number_of(one["activation_amax"][input]);
        work.quantize_input(i, dtype, static_cast<float>(amax) / (is_int8 ? 127.0F : 448.0F));
      }
      const temporary_folder folder;
      const auto written = work.write(folder / "q.onnx");

      for (const auto& [name, weight] : wanted["weights"].members) {
        const auto& codes = initializer(written.graph, name + "_quantized");
        const auto& scale = initializer(written.graph, name + "_scale");
        CHECK(codes.type == (is_int8 ? element_type::int8 : element_type::fp8_e4m3fn));
        CHECK(codes.dims == test::golden_group::shape(weight["codes"]));
        CHECK(values_of<std::uint8_t>(codes) == (is_int8 ? bytes_of(group.array<std::int8_t>(weight["codes"]))
                                                         : group.array<std::uint8_t>(weight["codes"])));
        CHECK(values_of<float>(scale) == group.array<float>(weight["scale"]));
        CHECK_FALSE(has_initializer(written.graph, name));
      }
      for (const auto& [name, scale] : wanted["activation_scale"].members) {
        const auto& written_scale = initializer(written.graph, (name == "x" ? "input" : name) + "_scale");
        CHECK(written_scale.dims.empty());
        CHECK(values_of<float>(written_scale)[0] == static_cast<float>(number_of(scale)));
      }
      const auto reference = read_model(PTQ_GOLDEN_DIR "/f_onnx/" + wanted["model"].word);
      std::multiset<std::string> operators;
      std::multiset<std::string> reference_operators;
      for (const ptq::onnx_node& node : written.graph.nodes) operators.insert(node.op_type);
      for (const ptq::onnx_node& node : reference.graph.nodes) reference_operators.insert(node.op_type);
      for (const ptq::onnx_node& node : source.graph.nodes)
        if (!is_int8 && !node.input(2).empty()) reference_operators.insert("Sum");  // keeps a bias as it is
      CHECK(operators == reference_operators);
      CHECK(written.opset() == (is_int8 ? 19 : 21));
      CHECK(written.ir_version == (is_int8 ? 9 : 10));
    }
  }
}

TEST_CASE("a plan that quantizes nothing writes the source, byte for byte") {
  const temporary_folder folder;
  for (const std::string& path :
       {odd_path("layers"), odd_path("bodies"), odd_path("stored"), odd_path("shared"), odd_path("half"),
        odd_path("ir3_opset9"), std::string(PTQ_MODELS_DIR "/lenet-digits/model.onnx"),
        std::string(PTQ_MODELS_DIR "/pitch-transformer/model.onnx")}) {
    CAPTURE(path);
    const auto source = read_model(path);
    job(source).write(folder / "same.onnx");
    CHECK(read_file(folder / "same.onnx") == read_file(path));
  }
}

TEST_CASE("what the plan does not touch stays byte for byte, unknown fields included") {
  // An unknown field 1000 (varint 5) at the end of the model, and one in its graph and first node.
  const std::string unknown("\xc0\x3e\x05", 3);
  const std::string original = read_file(odd_path("opset13"));
  const temporary_folder folder;
  const auto before = read_odd("opset13");
  const std::string node(before.graph.nodes[0].source);
  const std::string field = ptq::detail::make_field(1, node + unknown);
  std::string graph(before.graph.source);
  graph.replace(graph.find(node) - 2, node.size() + 2, field);
  std::string model(before.source);
  model.replace(model.find(before.graph.source) - 2, before.graph.source.size() + 2,
                ptq::detail::make_field(7, graph + unknown));
  write_file(folder / "unknown.onnx", model + unknown);
  const auto source = read_model(folder / "unknown.onnx");

  job work(source);
  work.quantize_weights("int8");
  const auto written = work.write(folder / "q.onnx");
  const std::string text = read_file(folder / "q.onnx");
  CHECK(text.substr(text.size() - 3) == unknown);
  REQUIRE(written.graph.nodes.size() == 2);
  CHECK(written.graph.nodes[1].source.substr(written.graph.nodes[1].source.size() - 3) == unknown);
  CHECK(std::string(written.graph.source).find("x" + unknown) == std::string::npos);
  CHECK(std::string(written.graph.source).find(unknown) != std::string::npos);
  for (const ptq::onnx_value& input : written.graph.inputs) CHECK(input.name == "x");
}

TEST_CASE("nodes that are not part of a quantized layer keep their bytes and their order") {
  const auto source = read_model(PTQ_MODELS_DIR "/pitch-transformer/model.onnx");
  job work(source);
  work.quantize_weights("int8");
  const temporary_folder folder;
  const auto written = work.write(folder / "q.onnx");
  std::vector<std::string> kept;
  for (const ptq::onnx_node& node : written.graph.nodes)
    if (node.op_type != "DequantizeLinear") kept.push_back(node.name);
  std::vector<std::string> wanted;
  for (const ptq::onnx_node& node : source.graph.nodes) wanted.push_back(node.name);
  CHECK(kept == wanted);
  std::set<std::string_view> sources;
  for (const ptq::onnx_node& node : source.graph.nodes) sources.insert(node.source);
  for (const ptq::onnx_node& node : written.graph.nodes)
    if (node.op_type != "MatMul" && node.op_type != "Gemm" && node.op_type != "Conv" &&
        node.op_type != "DequantizeLinear")
      CHECK(sources.count(node.source) == 1);
  for (const ptq::onnx_tensor& tensor : source.graph.initializers)
    if (has_initializer(written.graph, tensor.name))
      CHECK(initializer(written.graph, tensor.name).source == tensor.source);
}

TEST_CASE("tied weights, shared activations and names that are taken") {
  const auto source = read_odd("shared");
  job work(source);
  work.quantize_weights("int8");
  for (std::size_t i = 0; i < work.layers.layers.size(); ++i)
    if (work.layers.layers[i].class_name == "Linear") work.quantize_input(i, "int8", 0.25F);
  const temporary_folder folder;
  const auto written = work.write(folder / "q.onnx");
  const auto& graph = written.graph;
  CHECK(lines_of(graph) ==
        std::vector<std::string>{
            "Gather table.weight ids -> h",
            // "h_scale" and "a.weight_quantized" are names of the source
            "DequantizeLinear a.weight_quantized_2 a.weight_scale -> a.weight_dequantized",
            "QuantizeLinear h h_scale_2 int8_zero_point -> h_quantized",
            "DequantizeLinear h_quantized h_scale_2 int8_zero_point -> h_dequantized",
            "Gemm h_dequantized a.weight_dequantized -> a",
            "DequantizeLinear b.weight_quantized b.weight_scale -> b.weight_dequantized",
            "Gemm h_dequantized b.weight_dequantized -> b",
            "Relu h -> r",
            "Add a b -> s",
            "Add s r -> t",
            "DequantizeLinear table.weight_quantized table.weight_scale -> table.weight_dequantized",
            "QuantizeLinear t t_scale int8_zero_point -> t_quantized",
            "DequantizeLinear t_quantized t_scale int8_zero_point -> t_dequantized",
            "Gemm t_dequantized table.weight_dequantized -> logits",
            // two layers share a weight and the decision about it: coded once
            "DequantizeLinear both.weight_quantized both.weight_scale -> both.weight_dequantized",
            "MatMul t_dequantized both.weight_dequantized -> m",
            "QuantizeLinear m m_scale int8_zero_point -> m_quantized",
            "DequantizeLinear m_quantized m_scale int8_zero_point -> m_dequantized",
            "Gemm m_dequantized both.weight_dequantized -> g",
        });
  CHECK(has_initializer(graph, "table.weight"));  // the table is still looked up in floats
  CHECK_FALSE(has_initializer(graph, "both.weight"));
  REQUIRE(work.notes.size() == 1);
  CHECK(work.notes[0] ==
        "\"table.weight\" is quantized and kept as a float tensor too, for node \"look_up\" (Gather)");
}

TEST_CASE("layers that share a weight and not the decision keep what each was promised") {
  const auto source = read_odd("shared");
  job work(source);
  for (std::size_t i = 0; i < work.layers.layers.size(); ++i) {
    if (work.layers.layers[i].name == "both") work.quantize_weight(i, "int8");
    if (work.layers.layers[i].name == "by_gemm") work.quantize_weight(i, "fp8_e5m2");
  }
  const temporary_folder folder;
  const auto written = work.write(folder / "q.onnx");
  CHECK(initializer(written.graph, "both.weight_quantized").type == element_type::int8);
  CHECK(initializer(written.graph, "both.weight_quantized_2").type == element_type::fp8_e5m2);
  CHECK_FALSE(has_initializer(written.graph, "both.weight"));

  job half_of_it(source);
  for (std::size_t i = 0; i < half_of_it.layers.layers.size(); ++i)
    if (half_of_it.layers.layers[i].name == "by_gemm") half_of_it.quantize_weight(i, "int8");
  const auto partly = half_of_it.write(folder / "partly.onnx");
  CHECK(has_initializer(partly.graph, "both.weight"));
  REQUIRE(half_of_it.notes.size() == 1);
  CHECK(half_of_it.notes[0].find("node \"by_matmul\" (MatMul)") != std::string::npos);
}

TEST_CASE("a constant that is both a weight and an input is there for both") {
  const auto source = read_odd("shared");
  job work(source);
  for (std::size_t i = 0; i < work.layers.layers.size(); ++i) {
    if (work.layers.layers[i].name == "head") work.quantize_weight(i, "int8");
    if (work.layers.layers[i].name == "table") work.quantize_input(i, "int8", 0.25F);  // the table itself
  }
  const temporary_folder folder;
  const auto written = work.write(folder / "q.onnx");
  CHECK(lines_of(written.graph)[0] ==
        "QuantizeLinear table.weight table.weight_scale int8_zero_point -> table.weight_quantized");
  CHECK(has_initializer(written.graph, "table.weight"));
}

TEST_CASE("outputs stay floats; declarations of tensors that are gone declare none of ours") {
  const auto source = read_odd("outputs");
  job work(source);
  work.quantize_weights("int8");
  for (std::size_t i = 0; i < work.layers.layers.size(); ++i)
    if (work.layers.layers[i].name == "seen") work.quantize_input(i, "int8", 0.25F);
  const temporary_folder folder;
  const auto written = work.write(folder / "q.onnx");
  CHECK(lines_of(written.graph) ==
        std::vector<std::string>{
            "Relu x -> h",
            "DequantizeLinear tied.weight_quantized tied.weight_scale -> tied.weight_dequantized_2",
            "MatMul h tied.weight_dequantized_2 -> m",
            "DequantizeLinear tied.weight_quantized_2 tied.weight_scale_2 -> tied.weight_dequantized_3",
            "Gemm m tied.weight_dequantized_3 -> n",
            "Gemm n tied.weight_dequantized_2 -> y",
            "DequantizeLinear seen.weight_quantized seen.weight_scale -> seen.weight_dequantized",
            "QuantizeLinear h h_scale int8_zero_point -> h_quantized_2",
            "DequantizeLinear h_quantized_2 h_scale int8_zero_point -> h_dequantized_2",
            "MatMul h_dequantized_2 seen.weight_dequantized -> z",
        });
  REQUIRE(work.notes.size() == 1);
  CHECK(work.notes[0] ==
        "\"seen.weight\" is quantized and kept as a float tensor too, for graph output \"seen.weight\"");
}

TEST_CASE("the bytes of constants: what layers share counts once, what is kept counts too") {
  const auto source = read_odd("outputs");
  job work(source);
  const temporary_folder folder;
  const auto bytes = [&] {
    const auto writer = ptq::onnx_writer::create(folder / "q.onnx", source, work.layers, work.planned);
    REQUIRE(writer);
    return writer->tensor_bytes();
  };
  const std::size_t tied = 8 * 8;
  const std::size_t seen = 8 * 5;
  CHECK(bytes() == 4 * (tied + seen));
  work.quantize_weights("int8");
  CHECK(bytes() == 2 * (tied + 4 * 8) + 4 * seen + (seen + 4 * 5));
}

TEST_CASE("a weight is quantized where it is stored; what brought it to its layer follows") {
  const auto source = read_odd("layers");
  job work(source);
  for (std::size_t i = 0; i < work.layers.layers.size(); ++i)
    for (const char* const name : {"turned", "fixed", "kept"})
      if (work.layers.layers[i].name == name) work.quantize_weight(i, "int8");
  const temporary_folder folder;
  const auto written = work.write(folder / "q.onnx");
  const auto lines = lines_of(written.graph);
  const auto has = [&](const std::string& line) {
    CAPTURE(line);
    CHECK(std::find(lines.begin(), lines.end(), line) != lines.end());
  };
  // Both the zero point and the Sum are there for fusions of ONNX Runtime: levels_test.py
  has("DequantizeLinear turned.weight_quantized turned.weight_scale int8_zero_point -> "
      "turned.weight_dequantized");
  has("Transpose turned.weight_dequantized -> turned_t_dequantized");
  has("Sum turned_t_dequantized -> turned_t_dequantized_passed_on");
  has("MatMul f1 turned_t_dequantized_passed_on -> y4");
  has("DequantizeLinear fixed_quantized fixed_scale -> fixed_dequantized");
  has("Cast kept.weight_dequantized -> kept.weight_dequantized_float16");
  has("Identity kept.weight_dequantized_float16 -> kept_i_dequantized");
  has("Cast kept_i_dequantized -> kept_c_dequantized");
  for (const std::string& line : lines) {  // the float forms are gone, with the nodes that only they needed
    CHECK(line.rfind("Constant", 0) != 0);
    CHECK(line.find("-> turned_t ") == std::string::npos);
    CHECK(line.find("Identity kept.weight ") == std::string::npos);
  }
  CHECK(initializer(written.graph, "turned.weight_quantized").dims == std::vector<std::size_t>{3, 4});
  CHECK(initializer(written.graph, "turned.weight_scale").dims == std::vector<std::size_t>{3});
  CHECK(initializer(written.graph, "kept.weight_scale").dims == std::vector<std::size_t>{3});
}

TEST_CASE("operator set and IR version are raised only where a type needs it, and nodes follow") {
  const temporary_folder folder;
  std::vector<std::string> notes;
  const auto write = [&](const char* name, const char* dtype) {
    const auto source = read_odd(name);
    job work(source);
    work.quantize_weights(dtype);
    auto written = work.write(folder / "q.onnx");
    notes = work.notes;
    return written;
  };
  const auto versions = [&](const char* name, const char* dtype) {
    const auto written = write(name, dtype);
    return std::vector<std::int64_t>{written.opset(), written.ir_version,
                                     static_cast<std::int64_t>(notes.size())};
  };
  CHECK(versions("opset13", "int8") == std::vector<std::int64_t>{13, 7, 0});
  CHECK(versions("opset13", "fp8_e4m3fn") == std::vector<std::int64_t>{21, 10, 2});
  CHECK(
      notes.front() ==
      "operator set 13 is now 21, which fp8_e4m3fn needs; no operator of this graph has changed in between");
  CHECK(versions("opset13_reduce_mean", "int8") == std::vector<std::int64_t>{13, 7, 0});
  CHECK(versions("ir3_opset9", "int8") == std::vector<std::int64_t>{13, 4, 3});
  CHECK(versions("layers", "fp8_e5m2") == std::vector<std::int64_t>{21, 10, 2});

  // The last axis of the matrix z, which is the default of version 11 and not of version 13.
  const auto softmax = write("opset11_softmax", "int8");
  CHECK(notes.front() == "operator set 11 is now 13, which int8 needs; 1 node was rewritten");
  CHECK(lines_of(softmax.graph).back() == "Softmax y -> z");
  CHECK(softmax.graph.nodes.back().integer("axis", -1) == 1);
  CHECK(softmax.graph.nodes.back().name == "soft");
  const auto mean = write("opset13_reduce_mean", "fp8_e4m3fn");
  CHECK(notes.front() == "operator set 13 is now 21, which fp8_e4m3fn needs; 1 node was rewritten");
  CHECK(lines_of(mean.graph) ==
        std::vector<std::string>{"DequantizeLinear w_quantized w_scale -> w_dequantized",
                                 "MatMul x w_dequantized -> y", "Constant -> z_axes",
                                 "ReduceMean y z_axes -> z"});
}

TEST_CASE("half and double activations are rounded in float32") {
  const auto source = read_odd("half");
  job work(source);
  work.quantize_weights("int8");
  for (std::size_t i = 0; i < work.layers.layers.size(); ++i) work.quantize_input(i, "int8", 0.5F);
  const temporary_folder folder;
  CHECK(lines_of(work.write(folder / "q.onnx").graph) ==
        std::vector<std::string>{
            "DequantizeLinear w.weight_quantized w.weight_scale -> w.weight_dequantized",
            "Cast w.weight_dequantized -> w.weight_dequantized_float16",
            "Cast x -> x_float32",
            "QuantizeLinear x_float32 x_scale int8_zero_point -> x_quantized",
            "DequantizeLinear x_quantized x_scale int8_zero_point -> x_dequantized",
            "Cast x_dequantized -> x_dequantized_float16",
            "Gemm x_dequantized_float16 w.weight_dequantized_float16 b -> h",
            "Cast x4 -> x4_float32",
            "QuantizeLinear x4_float32 x4_scale int8_zero_point -> x4_quantized",
            "DequantizeLinear x4_quantized x4_scale int8_zero_point -> x4_dequantized",
            "Cast x4_dequantized -> x4_dequantized_float16",
            "MaxPool x4_dequantized_float16 -> p",
        });
}

TEST_CASE("data of a model are known by their names, today's and those of before") {
  CHECK(ptq::is_onnx_data_name("q.onnx", ptq::onnx_data_name("q.onnx", 0x0123456789abcdefu)));
  CHECK(ptq::is_onnx_data_name("q.onnx", "q.onnx.data"));
  for (const char* const other :
       {"q.onnx", ".onnx.data", "r.onnx.data", "q.0123456789abcde.onnx.data", "q.0123456789abcdeg.onnx.data",
        "q-0123456789abcdef.onnx.data", "qq.onnx.data", "q.onnx.dat"})
    CHECK_FALSE(ptq::is_onnx_data_name("q.onnx", other));
}

TEST_CASE("external data move into one file beside the written model") {
  const auto source = read_odd("external");
  job work(source);
  work.quantize_weight(0, "int8");
  const temporary_folder folder;
  const auto written = work.write(folder / "q.onnx");
  const auto& codes = initializer(written.graph, "a.weight_quantized");
  REQUIRE(codes.external);
  CHECK(ptq::is_onnx_data_name("q.onnx", codes.external->file));
  CHECK(codes.external->offset % 4096 == 0);
  CHECK(codes.data.size() == 32);
  const auto& kept = initializer(written.graph, "b.weight");
  CHECK(kept.external->file == codes.external->file);
  CHECK(values_of<float>(kept) == values_of<float>(initializer(source.graph, "b.weight")));
  CHECK_FALSE(has_initializer(written.graph, "a.weight"));

  const std::string name = codes.external->file;  // the same data have the same name, others another one
  const std::string bytes = read_file(folder / "q.onnx");
  job again(source);
  again.quantize_weight(0, "int8");
  again.write(folder / "q.onnx");
  CHECK(read_file(folder / "q.onnx") == bytes);
  job other(source);
  other.quantize_weight(0, "fp8_e4m3fn");
  CHECK(initializer(other.write(folder / "q.onnx").graph, "a.weight_quantized").external->file != name);
  CHECK(std::filesystem::exists(folder / name));
}

TEST_CASE("codes go to external data where the model file would be too large") {
  const auto source = read_model(PTQ_MODELS_DIR "/lenet-digits/model.onnx");
  const temporary_folder folder;
  job inline_codes(source);
  inline_codes.quantize_weights("int8");
  const auto small = inline_codes.write(folder / "inline.onnx");
  job work(source);
  work.quantize_weights("int8");
  const auto written = work.write(folder / "q.onnx", 8000);
  for (const ptq::onnx_tensor& tensor : written.graph.initializers) {
    CHECK(tensor.external.has_value() == tensor.name.ends_with("_quantized"));
    CHECK(values_of<std::uint8_t>(tensor) == values_of<std::uint8_t>(initializer(small.graph, tensor.name)));
  }
  job too_small(source);
  too_small.quantize_weights("int8");
  CHECK(too_small.refused(folder / "no.onnx", 1000).find("Save the model with external data first") !=
        std::string::npos);
}

TEST_CASE("what keeps the float form of a weight is named, whatever it is") {
  const auto source = read_odd("shared");
  job work(source);
  for (std::size_t i = 0; i < work.layers.layers.size(); ++i) {
    if (work.layers.layers[i].name == "head") work.quantize_weight(i, "int8");
    if (work.layers.layers[i].name == "table") work.quantize_input(i, "int8", 0.25F);  // the table itself
  }
  const temporary_folder folder;
  work.write(folder / "q.onnx");
  REQUIRE(work.notes.size() == 1);
  CHECK(work.notes[0] ==
        "\"table.weight\" is quantized and kept as a float tensor too, for node \"look_up\" (Gather), whose "
        "quantized input it is");
}

TEST_CASE("a plan without granularities is carried out with those of its backend") {
  const auto source = read_model(PTQ_MODELS_DIR "/lenet-digits/model.onnx");
  job work(source);
  work.quantize_weights("int8");
  for (ptq::planned_layer& decided : work.planned.layers) decided.weights.grain = {};
  const temporary_folder folder;
  auto written = ptq::write_onnx(
      folder / "q.onnx", source, work.layers, work.planned,
      [&](const ptq::quantized_layer& q) {  // of the caller's plan
        CHECK(&q.planned ==
              &work.planned.layers[static_cast<std::size_t>(&q.source - work.layers.layers.data())]);
      });
  INFO(written.error().what);
  REQUIRE(written);
  REQUIRE(written->commit());
  const auto read = read_model(folder / "q.onnx");
  CHECK(initializer(read.graph, "conv1.weight_scale").dims == std::vector<std::size_t>{8});

  // The writer alone takes it for one scale, and refuses more.
  auto alone = ptq::onnx_writer::create(folder / "alone.onnx", source, work.layers, work.planned);
  REQUIRE(alone);
  const auto refused = ptq::apply(work.planned, work.layers.layers,
                                  [&](const ptq::quantized_layer& q) { return alone->write(q); });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().what.find("layer \"conv1\": has 200 bytes of codes and 1 scales; 200 and 8 were "
                                  "given") != std::string::npos);
}

TEST_CASE("what a sink returns stops the run, as it is") {
  const auto source = read_model(PTQ_MODELS_DIR "/lenet-digits/model.onnx");
  job work(source);
  work.quantize_weights("int8");
  const temporary_folder folder;
  const auto stopped =
      ptq::write_onnx(folder / "q.onnx", source, work.layers, work.planned,
                      [](const ptq::quantized_layer&) -> ptq::result<void> {
                        return ptq::error(ptq::errc::unsupported, "the sink", "wants no more.");
                      });
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().what == "the sink: wants no more.");
  const auto by_status =
      ptq::write_onnx(folder / "q.onnx", source, work.layers, work.planned,
                      [](const ptq::quantized_layer&) { return ptq::status{ptq::errc::stopped}; });
  REQUIRE_FALSE(by_status);
  CHECK(by_status.error().what.find("layer \"conv1\": the sink stopped the run") != std::string::npos);
}

TEST_CASE("what cannot be written says why, and leaves no file") {
  const temporary_folder folder;
  const auto source = read_odd("layers");
  job unknown(source);
  unknown.quantize_weight(0, "int4");
  CHECK(unknown.refused(folder / "q.onnx").find("layer \"conv1d\": ONNX has no type for dtype \"int4\"") !=
        std::string::npos);
  job uncalibrated(source);
  uncalibrated.quantize_input(0, "int8", 0.0F);
  CHECK(uncalibrated.refused(folder / "q.onnx").find("layer \"conv1d\": the scale of its input") !=
        std::string::npos);
  uncalibrated.input_scales.clear();
  CHECK(uncalibrated.refused(folder / "q.onnx").find("0 scales of inputs were given for") !=
        std::string::npos);
  uncalibrated.planned.layers.pop_back();
  CHECK(uncalibrated.refused(folder / "q.onnx").find("layers, and the model has") != std::string::npos);
  job beyond(source);
  beyond.quantize_weight(0, "int8");
  beyond.planned.layers[0].weights.grain = ptq::per_channel(3);
  CHECK(beyond.refused(folder / "q.onnx").find("quant_axis is 3, but the weight is float32[6, 2, 3]") !=
        std::string::npos);
  job fine(source);
  fine.quantize_weights("int8");
  CHECK(fine.refused(folder / "missing/q.onnx").find("does not exist") != std::string::npos);
  {
    auto begun = ptq::onnx_writer::create(folder / "q.onnx", source, fine.layers, fine.planned);
    REQUIRE(begun);
    const auto unfinished = begun->finish();
    REQUIRE_FALSE(unfinished);
    CHECK(unfinished.error().what.find("its codes were not written") != std::string::npos);
  }
  CHECK(::access((folder / "q.onnx").c_str(), F_OK) != 0);
  CHECK(ptq::names_in(folder.path()).empty());
}
