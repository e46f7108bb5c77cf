// SPDX-License-Identifier: Apache-2.0
/// @file writer.hpp Writes a model with QuantizeLinear and DequantizeLinear, one weight in memory at a time.
#ifndef PTQ_FORMATS_ONNX_WRITER_HPP
#define PTQ_FORMATS_ONNX_WRITER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "ptq/detail/platform.hpp"
#include "ptq/error.hpp"
#include "ptq/file/output_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/float_pieces.hpp"
#include "ptq/formats/onnx/build.hpp"
#include "ptq/formats/onnx/code_types.hpp"
#include "ptq/formats/onnx/data_name.hpp"
#include "ptq/formats/onnx/edit.hpp"
#include "ptq/formats/onnx/layers.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/opset.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/formats/onnx/text.hpp"
#include "ptq/formats/onnx/wire.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/formats/stored_codes.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/model/quantized_view.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"
#include "ptq/text/word_hash.hpp"

namespace ptq::inline v0_1 {

/// A protobuf message may not be larger: codes move to a file beside it.
inline constexpr std::uint64_t largest_onnx_file = 0x7fffffff;

namespace detail {

/// A file as pieces of others. `room` bytes that come later follow the text.
struct onnx_piece {
  std::string_view text;
  std::uint64_t room = 0;
};

/// Where the codes and scales of a weight will lie.
struct onnx_weight_place {
  std::uint64_t codes = 0;
  std::uint64_t scales = 0;
  bool codes_are_external = false;
};

/// A tensor that is copied from one external file into another.
struct onnx_copy {
  std::uint64_t offset = 0;
  std::span<const std::byte> data;
};

/// The written model, but for codes and scales.
class onnx_layout {
 public:
  /// @param data_name file for external data, in the model's folder
  onnx_layout(const onnx_model& model, const onnx_edits& edits, const std::string& data_name,
              bool codes_are_external)
      : model_(&model), edits_(&edits), data_name_(data_name), codes_are_external_(codes_are_external) {
    if (edits.empty() && !has_external(model.graph)) {
      keep(model.source);
    } else {
      places_.resize(edits.weights.size());
      lay_graph();
      lay_model();
    }
  }

  std::uint64_t size() const noexcept { return size_; }
  std::uint64_t data_size() const noexcept { return data_size_; }
  const std::vector<onnx_piece>& pieces() const noexcept { return pieces_; }
  const std::vector<onnx_weight_place>& places() const noexcept { return places_; }
  const std::vector<onnx_copy>& copies() const noexcept { return copies_; }
  /// Where the model says how its data file is called.
  const std::vector<std::uint64_t>& data_names() const noexcept { return data_names_; }

 private:
  static bool has_external(const onnx_graph& graph) {
    return std::any_of(graph.initializers.begin(), graph.initializers.end(),
                       [](const onnx_tensor& tensor) { return tensor.external.has_value(); });
  }

  /// Adds what stands in the source file: neighbours become one piece.
  void keep(std::string_view text) {
    size_ += text.size();
    if (!pieces_.empty() && pieces_.back().room == 0) {
      std::string_view& last = pieces_.back().text;
      if (last.data() + last.size() == text.data()) {
        last = {last.data(), last.size() + text.size()};
        return;
      }
    }
    pieces_.push_back({text});
  }

  void add(std::string text, std::uint64_t room = 0) {
    pieces_.push_back({owned_.emplace_back(std::move(text)), room});
    size_ += pieces_.back().text.size() + room;
  }

  void lay(const onnx_text& text) {
    for (const onnx_text::piece& piece : text.pieces()) {
      if (const auto* const made = std::get_if<std::string>(&piece))
        add(*made);
      else
        keep(std::get<std::string_view>(piece));
    }
  }

  /// Adds a tensor that lies in the data file: what is known about its place comes last.
  void add_located(std::string text) {
    data_names_.push_back(size_ + text.rfind(data_name_));
    add(std::move(text));
  }

  /// Takes room in the data file.
  onnx_location place_data(std::uint64_t size) {
    constexpr std::uint64_t page = 4096;  // so that readers can map a tensor alone
    data_size_ = (data_size_ + page - 1) / page * page;
    const onnx_location location{data_name_, data_size_, size};
    data_size_ += size;
    return location;
  }

  void lay_graph() {
    const onnx_graph& graph = model_->graph;
    std::size_t node = 0;
    std::size_t initializer = 0;
    std::size_t input = 0;
    wire_state state;
    for_each_field(graph.source, state, "GraphProto", [&](const wire_field& field) {
      switch (field.tag) {
        case 1:
          lay_node(node++, field.raw);
          break;
        case 5:
          lay_initializer(graph.initializers[initializer++], field.raw);
          break;
        case 11:
          if (!edits_->dropped_constants.contains(graph.inputs[input++].name)) keep(field.raw);
          break;
        default:
          keep(field.raw);
          break;
      }
    });
    if (const auto last = edits_->inserted.find(node); last != edits_->inserted.end())
      for (const std::string& field : last->second) add(field);  // behind the last node
    for (const std::string& field : edits_->initializers) add(field);
    std::set<std::size_t> in_place;
    for (const auto& [name, weight] : edits_->replaced) in_place.insert(weight);
    for (std::size_t i = 0; i < edits_->weights.size(); ++i)
      if (!in_place.contains(i)) lay_weight(i);
  }

  void lay_node(std::size_t node, std::string_view raw) {
    if (const auto found = edits_->inserted.find(node); found != edits_->inserted.end())
      for (const std::string& field : found->second) add(field);
    if (edits_->dropped_nodes.contains(node)) return;
    if (const auto moved = edits_->moved.find(node); moved != edits_->moved.end()) return lay(moved->second);
    const auto renamed = edits_->renamed.find(node);
    if (renamed == edits_->renamed.end()) return keep(raw);
    const auto output = edits_->outputs.find(node);
    add(rename_node(model_->graph.nodes[node].source, renamed->second,
                    output != edits_->outputs.end() ? output->second : std::string()));
  }

  void lay_initializer(const onnx_tensor& tensor, std::string_view raw) {
    if (edits_->dropped_constants.contains(tensor.name)) return;
    if (const auto found = edits_->replaced.find(tensor.name); found != edits_->replaced.end())
      return lay_weight(found->second);
    if (!tensor.external) return keep(raw);
    const onnx_location location = place_data(tensor.data.size());
    copies_.push_back({location.offset, tensor.data});
    add_located(move_initializer(tensor.source, location));
  }

  void lay_weight(std::size_t index) {
    const onnx_coded_weight& weight = edits_->weights[index];
    onnx_weight_place& at = places_[index];
    if (!weight.is_float) {
      const std::uint64_t scale_size = sizeof(float) * weight.scale_count();
      add(initializer_header(weight.scale, element_type::float32, weight.scale_dims(), scale_size),
          scale_size);
      at.scales = size_ - scale_size;
    }
    const std::uint64_t size = weight.code_bytes();
    at.codes_are_external = codes_are_external_;
    if (codes_are_external_) {
      const onnx_location location = place_data(size);
      at.codes = location.offset;
      add_located(make_field(5, describe_tensor(weight.quantized, weight.type, weight.source->dims) +
                                    location_fields(location)));
    } else {
      add(initializer_header(weight.quantized, weight.type, weight.source->dims, size), size);
      at.codes = size_ - size;
    }
  }

  /// Puts the messages around the graph, whose size is known now.
  void lay_model() {
    const std::vector<onnx_piece> graph = std::exchange(pieces_, {});
    const std::uint64_t graph_size = std::exchange(size_, 0);
    wire_state state;
    bool has_version = false;
    std::size_t function = 0;
    for_each_field(model_->source, state, "ModelProto", [&](const wire_field& field) {
      if (field.tag == 7) {
        add(field_header(7, graph_size));
        for (onnx_weight_place& at : places_) {
          at.scales += size_;
          if (!at.codes_are_external) at.codes += size_;
        }
        for (std::uint64_t& at : data_names_) at += size_;
        pieces_.insert(pieces_.end(), graph.begin(), graph.end());
        size_ += graph_size;
      } else if (field.tag == 1 && edits_->ir_version != 0) {
        has_version = true;
        lay_ir_version();
      } else if (field.tag == 8 && edits_->opset != 0 && is_standard_opset(field.bytes())) {
        add(opset_field(8, edits_->opset));
      } else if (field.tag == 25) {
        lay_function(function++, field.raw);
      } else {
        keep(field.raw);
      }
    });
    if (edits_->ir_version != 0 && !has_version) lay_ir_version();
  }

  void lay_ir_version() {
    std::string version;
    protozero::pbf_writer(version).add_int64(1, edits_->ir_version);
    add(std::move(version));
  }

  void lay_function(std::size_t function, std::string_view raw) {
    const auto moved = edits_->moved_functions.find(function);
    if (moved != edits_->moved_functions.end()) return lay(moved->second);
    keep(raw);
  }

  const onnx_model* model_;
  const onnx_edits* edits_;
  std::string data_name_;
  bool codes_are_external_;
  std::deque<std::string> owned_;
  std::vector<onnx_piece> pieces_;
  std::uint64_t size_ = 0;
  std::uint64_t data_size_ = 0;
  std::vector<onnx_weight_place> places_;
  std::vector<onnx_copy> copies_;
  std::vector<std::uint64_t> data_names_;
};

/// Data files can be moved only where this library looks: not inside bodies and attributes.
inline result<void> check_movable(const onnx_graph& graph, const onnx_edits& edits) {
  const auto has_external = [](const onnx_node& node) {
    for (const onnx_attribute& attribute : node.attributes) {
      for (const onnx_tensor& tensor : attribute.tensors)
        if (tensor.external) return true;
      for (const onnx_body& body : attribute.bodies)
        if (body.has_external) return true;
    }
    return false;
  };
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (edits.dropped_nodes.contains(i)) continue;
    bool found = has_external(graph.nodes[i]);
    for_each_body_node(graph.nodes[i], [&](const onnx_node& inner) { found = found || has_external(inner); });
    if (found)
      return error(
          errc::unsupported, node_text(graph, i),
          "a tensor inside it lies in another file, which cannot be moved along. Save the model with "
          "only initializers in external data.");
  }
  return {};
}

}  // namespace detail

/// Created with everything but codes and scales in place. Those come layer by layer from `apply`; nothing is
/// kept in memory. The model it is made from must outlive `create` only.
///
/// The written graph computes what the float graph does, with weights and activations rounded: weights are
/// initializers of int8 or fp8 behind a DequantizeLinear, activations go through a QuantizeLinear and a
/// DequantizeLinear in front of the layer. Biases stay float: an int32 bias would have to have the scale
/// input scale x weight scale exactly, which fused kernels rely on and do not check. Codes have the
/// initializer's own layout. What the plan does not touch stays byte for byte; without any quantized layer
/// the file is the source.
class onnx_writer {
 public:
  /// @param path         the file to write; external data, if there are any, lie beside it in a file whose
  ///                     name depends on them (`onnx_data_name`)
  /// @param layers       of this model
  /// @param planned      for these layers
  /// @param types        of the dtypes of the plan
  /// @param input_scales one for each layer, looked at where the plan quantizes its activations
  /// @param largest_file codes go to external data where the model file would be larger
  /// @return unsupported (a graph that cannot be moved to the operator set it needs, see `check_opset`; a
  ///         dtype that ONNX lacks), axis_out_of_range, invalid_value (a scale), size_mismatch (layers or
  ///         scales of another number), cannot_write
  static result<onnx_writer> create(const std::string& path, const onnx_model& model,
                                    const onnx_layers& layers, const plan& planned,
                                    const onnx_code_types& types = onnx_code_types_of<>(),
                                    std::span<const float> input_scales = {},
                                    std::uint64_t largest_file = largest_onnx_file) {
    const std::string where = absolute_path(model.file);
    if (const auto same = detail::check_same_layers(planned, layers.layers); !same)
      return same.error().in(where);
    if (input_scales.size() != layers.layers.size() && planned.quantizes_activations())
      return error(errc::size_mismatch, where,
                   "the plan quantizes activations, and " + std::to_string(input_scales.size()) +
                       " scales of inputs were given for " + std::to_string(layers.layers.size()) +
                       " layers. Calibrate, and give one for each layer.");
    const auto links = links_of(model.graph);
    if (!links) return links.error().in(where);
    auto edits = detail::onnx_editor(model, *links, layers, types).edit(planned, input_scales);
    if (!edits) return edits.error().in(where);
    std::vector<std::string> names;
    for (const detail::onnx_coded_weight& weight : edits->weights)
      names.push_back(layers.layers[weight.layer].name);
    return create(path, model, *std::move(edits), names, largest_file);
  }

  /// As above, where the edits are made.
  ///
  /// @param names by which the weights of the edits are written
  static result<onnx_writer> create(const std::string& path, const onnx_model& model,
                                    detail::onnx_edits edits, std::span<const std::string> names,
                                    std::uint64_t largest_file = largest_onnx_file) {
    const std::string where = absolute_path(model.file);
    if (const auto movable = detail::check_movable(model.graph, edits); !movable)
      return movable.error().in(where);
    const std::string data_name = onnx_data_name(file_name_of(path), 0);
    detail::onnx_layout layout(model, edits, data_name, false);
    if (layout.size() > largest_file || layout.data_size() > 0)
      layout = detail::onnx_layout(model, edits, data_name, true);
    if (layout.size() > largest_file)
      return error(errc::unsupported, where,
                   "the written model would have " + std::to_string(layout.size()) +
                       " bytes, but a protobuf message has at most " + std::to_string(largest_file) +
                       ". Save the model with external data first.");
    auto file = output_file::create(path);
    if (!file) return file.error();
    onnx_writer writer(*std::move(file));
    if (const auto begun = writer.begin(model, layout); !begun) return begun.error();
    for (const auto* list : {&model.graph.initializers, &model.graph.constants})
      for (const onnx_tensor& tensor : *list)
        if (!edits.dropped_constants.contains(tensor.name) && !edits.replaced.contains(tensor.name))
          writer.tensor_bytes_ += tensor.data.size();
    writer.tensor_bytes_ += bytes_in_bodies(model.graph.nodes);
    for (std::size_t i = 0; i < edits.weights.size(); ++i) {
      const detail::onnx_coded_weight& weight = edits.weights[i];
      const std::uint64_t size = weight.code_bytes();
      writer.tensor_bytes_ += size + weight.scale_count() * sizeof(float);
      writer.weights_.emplace(
          names[i], awaited{layout.places()[i], size, weight.scale_count(), weight.type, weight.is_float});
    }
    writer.notes_ = std::move(edits.notes);
    return writer;
  }

  const std::string& path() const noexcept { return file_.path(); }
  const std::string& partial_path() const noexcept { return file_.partial_path(); }
  /// Of the model file and its data file.
  std::uint64_t size() const noexcept { return file_.size() + (data_ ? data_->size() : 0); }
  /// Of the constants alone: kept ones, codes and the scales of weights. What layers share counts once.
  std::uint64_t tensor_bytes() const noexcept { return tensor_bytes_; }
  /// What a user should know: versions that were raised, weights that stay as floats too.
  const std::vector<std::string>& notes() const noexcept { return notes_; }

  /// Codes and scales of a layer. A layer that shares its codes with an earlier one is passed over.
  ///
  /// @return size_mismatch, cannot_write
  result<void> write(const quantized_layer& q) {
    const auto found = weights_.find(q.source.name);
    if (found == weights_.end()) return {};
    awaited& weight = found->second;
    if (weight.is_float) return write_values(weight, q.view());
    const std::size_t size = q.dtype.stored_size(q.codes.size() / q.dtype.code_size);
    if (size != weight.size || q.scales.size() != weight.scales)
      return error(errc::size_mismatch, "layer \"" + q.source.name + "\"",
                   "has " + std::to_string(weight.size) + " bytes of codes and " +
                       std::to_string(weight.scales) + " scales; " + std::to_string(size) + " and " +
                       std::to_string(q.scales.size()) +
                       " were given. Say in the plan what its scales are for (weights.grain).");
    weight.is_written = true;
    std::uint64_t at = weight.place.codes;
    const auto write = [&](std::span<const std::byte> piece) {
      const std::uint64_t place = std::exchange(at, at + piece.size());
      return weight.place.codes_are_external ? write_data(place, piece) : file_.write_at(place, piece);
    };
    if (auto written = for_each_stored_piece(q.view(), write); !written) return written;
    return file_.write_at(weight.place.scales, std::as_bytes(q.scales));
  }

  /// The values of codes, by the name that the weight has in the edits.
  ///
  /// @param codes that are not packed
  /// @return cannot_write
  result<void> write_values(const std::string& name, const quantized_view& codes) {
    const auto found = weights_.find(name);
    PTQ_ASSERT(found != weights_.end());
    return write_values(found->second, codes);
  }

  /// The files as an artifact, the model last. Nothing can be written to them any more. Data of an older
  /// model file stay: nothing points to them any more.
  ///
  /// @return size_mismatch if a layer was not written, cannot_write
  result<pending_artifact> finish() {
    for (const auto& [name, weight] : weights_)
      if (!weight.is_written)
        return error(errc::size_mismatch, "layer \"" + name + "\"", "its codes were not written.");
    pending_artifact made(tensor_bytes_, std::move(notes_));
    if (data_) {
      std::string name = onnx_data_name(file_name_of(path()), data_hash_);
      for (const std::uint64_t at : data_names_)
        if (auto written = file_.write_at(at, std::as_bytes(std::span(name))); !written)
          return written.error();
      made.add(*std::move(data_), std::move(name));
    }
    std::string name(file_name_of(path()));
    made.add(std::move(file_), std::move(name));
    return made;
  }

 private:
  struct awaited {
    detail::onnx_weight_place place;
    std::uint64_t size = 0;
    std::size_t scales = 0;
    element_type type = element_type::unknown;
    bool is_float = false;
    bool is_written = false;
  };

  result<void> write_values(awaited& weight, const quantized_view& codes) {
    weight.is_written = true;
    std::uint64_t at = weight.place.codes;
    return for_each_float_piece(codes, weight.type, [&](std::span<const std::byte> piece) {
      const std::uint64_t place = std::exchange(at, at + piece.size());
      return weight.place.codes_are_external ? write_data(place, piece) : file_.write_at(place, piece);
    });
  }

  explicit onnx_writer(output_file file) : file_(std::move(file)) {}

  result<void> begin(const onnx_model& model, const detail::onnx_layout& layout) {
    if (auto taken = file_.resize(layout.size()); !taken) return taken;
    std::uint64_t at = 0;
    for (const detail::onnx_piece& piece : layout.pieces()) {
      if (auto written = file_.write_at(at, std::as_bytes(std::span(piece.text))); !written) return written;
      at += piece.text.size() + piece.room;
    }
    if (layout.data_size() == 0) return {};
    data_names_ = layout.data_names();
    data_hash_ = layout.data_size();
    auto data = output_file::create(path() + ".data");  // until its name is known
    if (!data) return data.error();
    data_ = *std::move(data);
    if (auto taken = data_->resize(layout.data_size()); !taken) return taken;
    for (const detail::onnx_copy& copy : layout.copies())
      if (auto written = copy_data(model, copy); !written) return written;
    return {};
  }

  /// Block by block, and zeros are not written: a new file is full of them already.
  result<void> copy_data(const onnx_model& model, const detail::onnx_copy& copy) {
    constexpr std::size_t block = std::size_t{1} << 20;
    for (std::size_t at = 0; at < copy.data.size(); at += block) {
      const auto part = copy.data.subspan(at, (std::min)(block, copy.data.size() - at));
      const bool is_zero =
          std::all_of(part.begin(), part.end(), [](std::byte b) { return b == std::byte{0}; });
      if (!is_zero) {
        if (auto written = write_data(copy.offset + at, part); !written) return written;
      }
      model.release(part);
    }
    return {};
  }

  /// The hash is a sum over pieces, so that their order does not matter.
  result<void> write_data(std::uint64_t at, std::span<const std::byte> bytes) {
    detail::word_hash piece;
    piece.add(at);
    piece.add(std::uint64_t{bytes.size()});
    piece.add(bytes);
    data_hash_ += piece.value();
    return data_->write_at(at, bytes);
  }

  output_file file_;
  std::optional<output_file> data_;
  std::vector<std::uint64_t> data_names_;
  std::uint64_t data_hash_ = 0;
  std::map<std::string, awaited, std::less<>> weights_;
  std::uint64_t tensor_bytes_ = 0;
  std::vector<std::string> notes_;
};

namespace detail {
inline namespace PTQ_BUILD {

/// The plan, with the granularity that `apply` uses where it names none.
inline plan with_granularities(plan planned, std::span<const quantizer* const> quantizers) {
  for (std::size_t i = 0; i < quantizers.size(); ++i) {
    decision& decided = planned.layers[i].weights;
    if (quantizers[i] != nullptr && !decided.grain) decided.grain = quantizers[i]->numbers.weights;
  }
  return planned;
}

/// Quantizes the layers into a writer of theirs, and ends it.
template <class OnLayer>
result<pending_artifact> store_onnx(onnx_writer& writer, const onnx_model& model, const onnx_layers& layers,
                                    const plan& planned, std::span<const quantizer* const> quantizers,
                                    OnLayer& on_layer, std::span<const activation_range> inputs) {
  const auto store = [&](const quantized_layer& q) -> result<void> {
    if (auto written = writer.write(q); !written) return written;
    auto told = deliver(q, on_layer);
    const std::size_t size = q.source.weight.size() * size_of(q.source.weight.type);
    model.release({static_cast<const std::byte*>(q.source.weight.data), size});
    return told;
  };
  if (auto applied = apply_weights(planned, layers.layers, quantizers, inputs, store); !applied)
    return applied.error();
  return writer.finish();
}

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// Carries out a plan: writes the model, but does not let it appear yet: call `commit` on what is returned.
///
/// @param layers   those the plan was made from (`layers_of`)
/// @param on_layer called with each `quantized_layer`; what it returns is that of a sink of `apply`
/// @param inputs   as `calibration::ranges` gives them; none where the plan quantizes no activations
/// @return what `onnx_writer` and `apply` return
template <class Policies = builtin, layer_sink OnLayer>
result<pending_artifact> write_onnx(const std::string& path, const onnx_model& model,
                                    const onnx_layers& layers, const plan& planned, OnLayer&& on_layer,
                                    std::span<const activation_range> inputs = {}) {
  const auto quantizers = detail::quantizers_for<Policies>(planned, layers.layers);
  if (!quantizers) return quantizers.error();
  if (auto complete = detail::check_ranges(planned, inputs); !complete) return complete.error();
  std::vector<float> scales(planned.layers.size(), 1.0F);
  for (std::size_t i = 0; i < scales.size(); ++i)
    if (planned.layers[i].activations.is_quantized()) scales[i] = detail::find_range(inputs, i)->scale;
  auto writer = onnx_writer::create(path, model, layers, detail::with_granularities(planned, *quantizers),
                                    onnx_code_types_of<Policies>(), scales);
  if (!writer) return writer.error();
  return detail::store_onnx(*writer, model, layers, planned, *quantizers, on_layer, inputs);
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_WRITER_HPP
