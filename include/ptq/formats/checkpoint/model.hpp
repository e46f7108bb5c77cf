// SPDX-License-Identifier: Apache-2.0
/// @file model.hpp A checkpoint open for quantizing, and what it holds.
#ifndef PTQ_FORMATS_CHECKPOINT_MODEL_HPP
#define PTQ_FORMATS_CHECKPOINT_MODEL_HPP

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/error.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/formats/checkpoint/share.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/concept.hpp"
#include "ptq/formats/contents.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/layers_of.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// Weights by name, without a graph. A model of `open_model`.
class checkpoint_model {
 public:
  /// @param path  absolute
  /// @param notes how the file was read
  /// @param hints what else is known of the classes of layers
  checkpoint_model(std::string path, checkpoint file, std::vector<std::string> notes = {},
                   model_hints hints = {})
      : path_(std::move(path)), file_(std::move(file)), notes_(std::move(notes)), hints_(hints) {
    name_classes({});
  }

  const std::string& path() const noexcept { return path_; }
  const checkpoint& file() const noexcept { return file_; }
  std::span<const mapped_file> files() const noexcept { return file_.files(); }
  std::span<const layer> layers() const noexcept { return layers_; }
  std::span<const std::string> notes() const noexcept { return notes_; }

  std::uint64_t bytes() const noexcept {
    std::uint64_t bytes = 0;
    for (const stored_tensor& tensor : file_.tensors()) bytes += tensor.bytes();
    return bytes;
  }

  std::size_t other_tensors() const noexcept { return file_.tensors().size() - layers_.size(); }
  static const model_graph* graph() noexcept { return nullptr; }
  static fed_layers fed(const plan&) { return {}; }

  /// The classes that are not named are inferred.
  void name_classes(const class_map& classes) {
    std::vector<named_tensor> tensors;
    for (const stored_tensor& tensor : file_.tensors()) tensors.push_back({tensor.name, tensor.view()});
    layers_ = layers_of(tensors, classes, hints_);
  }

  /// Forgets all tensors and layers but those of one share (`divide`). Classes stay as they were found.
  ///
  /// @return the places that the layers had
  std::vector<std::size_t> keep_only(const share& one) {
    const std::vector<std::size_t> shares = divide(file_.tensors(), one.count);
    std::vector<bool> is_kept(shares.size());
    std::vector<std::size_t> places;
    std::vector<layer> layers;
    std::size_t next = 0;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      is_kept[i] = shares[i] == one.index;
      const stored_tensor& tensor = file_.tensors()[i];
      if (!makes_layer(tensor.name, tensor.view().shape)) continue;
      if (is_kept[i]) {
        places.push_back(next);
        layers.push_back(std::move(layers_[next]));
      }
      ++next;
    }
    PTQ_ASSERT(next == layers_.size());
    layers_ = std::move(layers);
    file_.keep_only(is_kept);
    return places;
  }

  /// An artifact of this model in its place, of whatever files (`open_parts`): it lies where the model does,
  /// its tensors come in the order that they have here, and its layers are of the same classes.
  ///
  /// @return cannot_open
  result<checkpoint_model> with(checkpoint artifact) const {
    checkpoint whole;
    auto beside = mapped_file::open(file_.files().front().path());
    if (!beside) return beside.error();
    if (auto added = whole.add(*std::move(beside), {}, {}); !added) return added.error();
    if (auto added = whole.add(std::move(artifact)); !added) return added.error();
    whole.sort_as(file_);
    whole.set_origin(file_.metadata());
    checkpoint_model made(path_, std::move(whole));
    class_map classes;
    for (const layer& one : layers_) classes.emplace(one.name, one.class_name);
    made.name_classes(classes);
    return made;
  }

  /// @return unsupported: an artifact of ptq
  result<void> expect_floats(const quantize_config&) const {
    if (!is_artifact(file_)) return {};
    return error(errc::unsupported, path_,
                 "this model is quantized already, by ptq. Give the float model that it was made from as "
                 "model_path.");
  }

 private:
  std::string path_;
  checkpoint file_;
  std::vector<std::string> notes_;
  model_hints hints_;
  std::vector<layer> layers_;
};

namespace detail {

/// What an artifact says of its layers replaces any guess.
inline std::vector<listed_layer> list_layers(const artifact& made) {
  std::vector<listed_layer> layers;
  for (const artifact_layer& one : made.layers) {
    listed_layer listed{one.name, one.class_name, false, {}, {}, one.weights, {}};
    if (one.weights) listed.shape = one.weights->shape;
    if (const auto& input = one.activations)
      listed.input = listed_input{input->dtype, input->scale, input->amax};
    layers.push_back(std::move(listed));
  }
  return layers;
}

/// "fc.weight" -> "fc".
inline std::string layer_of_tensor(const std::string& tensor) {
  constexpr std::string_view suffix = ".weight";
  return tensor.ends_with(suffix) ? tensor.substr(0, tensor.size() - suffix.size()) : tensor;
}

/// Scales belong to the weight they scale: they are no tensors of the model.
inline std::vector<model_tensor> list_tensors(const checkpoint& file, const artifact& made) {
  std::map<std::string, const artifact_weights*> weights;
  std::set<std::string> scales;
  for (const artifact_layer& one : made.layers) {
    if (one.weights) weights[one.name + ".weight"] = &*one.weights;
    scales.insert({one.name + ".weight_scale", one.name + ".input_scale"});
  }
  std::vector<model_tensor> tensors;
  for (const stored_tensor& tensor : file.tensors()) {
    if (scales.contains(tensor.name)) continue;
    model_tensor& added = tensors.emplace_back(model_tensor{tensor.name,
                                                            layer_of_tensor(tensor.name),
                                                            tensor.type_name,
                                                            tensor.shape,
                                                            tensor.data,
                                                            tensor.view(),
                                                            {},
                                                            0});
    const auto found = weights.find(tensor.name);
    if (found == weights.end()) continue;
    added.weights = *found->second;
    added.type = added.weights->dtype;
    added.shape.assign(
        added.weights->shape.extents.begin(),
        added.weights->shape.extents.begin() + static_cast<std::ptrdiff_t>(added.weights->shape.rank));
  }
  return tensors;
}

}  // namespace detail

/// What a checkpoint holds.
///
/// @tparam Policies has the dtypes of artifacts
/// @return what `read_artifact` returns, of an artifact
template <class Policies = builtin>
result<model_contents> contents_of(checkpoint_model&& model) {
  const auto file = std::make_shared<const checkpoint_model>(std::move(model));
  model_contents found;
  found.metadata = file->file().metadata();
  found.notes.assign(file->notes().begin(), file->notes().end());
  artifact made;
  if (is_artifact(file->file())) {
    auto read = read_artifact<Policies>(file->file());
    if (!read) return read.error();
    made = *std::move(read);
    found.headline = "artifact of ptq " + made.version + ", backend " + made.backend + ", mode " + made.mode;
    found.layers = detail::list_layers(made);
  } else {
    for (const layer& one : file->layers())
      found.layers.push_back({one.name, one.class_name, one.inferred, one.origin, one.weight.shape, {}, {}});
  }
  for (const stored_tensor& tensor : file->file().tensors())
    found.stored.push_back({tensor.name, tensor.type_name, tensor.shape, tensor.bytes()});
  found.tensors = detail::list_tensors(file->file(), made);
  found.files = file->files();
  found.owner = file;
  return found;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_MODEL_HPP
