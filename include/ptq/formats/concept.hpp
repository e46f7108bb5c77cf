// SPDX-License-Identifier: Apache-2.0
/// @file concept.hpp What a format of models and a form of artifacts do: all that the command and engines
/// know of them.
#ifndef PTQ_FORMATS_CONCEPT_HPP
#define PTQ_FORMATS_CONCEPT_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/data/fed_layers.hpp"
#include "ptq/data/graph_value.hpp"
#include "ptq/error.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/formats/contents.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// What a graph takes and gives.
struct model_graph {
  std::vector<graph_value> inputs;  ///< that must be given
  std::vector<graph_value> outputs;
};

/// Class names of layers, by the layers' names.
using class_map = std::map<std::string, std::string>;

/// A model, open for quantizing: its weights are mapped, not read. Move-only; what it gave out stays valid as
/// it moves.
///
/// | member             | meaning                                                                        |
/// |--------------------|--------------------------------------------------------------------------------|
/// | path()             | absolute                                                                       |
/// | files()            | all that it lies in                                                            |
/// | layers()           | in the model's order; they look into it                                        |
/// | notes()            | what of it was not looked into                                                 |
/// | bytes()            | of all tensors, quantized or not                                               |
/// | other_tensors()    | how many tensors are no layer's weight                                         |
/// | graph()            | null in a format that holds weights alone                                      |
/// | fed(planned)       | the tensors that feed the layers whose activations a plan quantizes            |
/// | name_classes(map)  | gives layers their classes (`ptq.module_types`)                                |
/// | expect_floats(c)   | refuses weights that are codes already, where a rule quantizes them            |
template <class Model>
concept open_model =
    std::movable<Model> && requires(Model& model, const Model& opened, const plan& planned,
                                    const class_map& classes, const quantize_config& config) {
      { opened.path() } -> std::convertible_to<std::string>;
      { opened.files() } -> std::convertible_to<std::span<const mapped_file>>;
      { opened.layers() } -> std::convertible_to<std::span<const layer>>;
      { opened.notes() } -> std::convertible_to<std::span<const std::string>>;
      { opened.bytes() } -> std::same_as<std::uint64_t>;
      { opened.other_tensors() } -> std::same_as<std::size_t>;
      { opened.graph() } -> std::same_as<const model_graph*>;
      { opened.fed(planned) } -> std::same_as<fed_layers>;
      { model.name_classes(classes) } -> std::same_as<void>;
      { model.expect_floats(config) } -> std::same_as<result<void>>;
    };

namespace detail {

struct any_layer_sink {
  result<void> operator()(const quantized_layer&) const;
};

}  // namespace detail

/// A form of artifacts, of models of the format F: an empty struct with
///
/// | member                  | meaning                                                                   |
/// |-------------------------|---------------------------------------------------------------------------|
/// | name                    | as `--format` has it                                                      |
/// | takes<F>                | whether models of a format are written so                                 |
/// | file_name<F>(backend)   | of the artifact's file, the one that names all others                     |
/// | is_part_of(artifact, name)    | whether a file beside an artifact holds a part of it, or of an older |
/// | check<Policies, F>(model, planned) | whether `write` will refuse, found out before any work         |
/// | write<Policies, F>(path, model, planned, ranges, sink) | the artifact of a plan: whole, and pending.|
/// |                         | Each layer reaches the sink once it is stored (`apply`). It may take an   |
/// |                         | `executor` behind the sink                                                |
///
/// It may have a `convert<Policies, F>(path, model)`, which writes an artifact that is open as a model (and
/// may take an `executor`), and a `note`: what is worth saying of its artifacts. Where the whole folder is
/// the artifact, `is_folder` is true. Where `has_settings` is true, both take `form_settings` behind the
/// executor.
///
/// What every form must do (the granularity of the plan, errors of the sink, missing ranges, dtypes of the
/// user) is tested over the lists in formats.hpp.
template <class A, class F>
concept artifact_format =
    A::template takes<F> &&
    requires(const std::string& path, const typename F::model& model, const plan& planned,
             std::span<const activation_range> ranges, detail::any_layer_sink sink) {
      { A::name } -> std::convertible_to<const char*>;
      { A::template file_name<F>(path) } -> std::same_as<std::string>;
      { A::is_part_of(std::string_view(), std::string_view()) } -> std::same_as<bool>;
      { A::template check<builtin, F>(model, planned) } -> std::same_as<result<void>>;
      {
        A::template write<builtin, F>(path, model, planned, ranges, sink)
      } -> std::same_as<result<pending_artifact>>;
    };

/// A format of models: an empty struct with
///
/// | member                  | meaning                                                                   |
/// |-------------------------|---------------------------------------------------------------------------|
/// | name                    | as messages call it                                                       |
/// | suffix                  | of its files                                                              |
/// | files                   | the files that it takes, as a list in words                               |
/// | kind                    | what `kind_of_file` calls one                                             |
/// | recognises(path)        | whether it is to open a file or folder: by its name or content            |
/// | open(path)              | a `model`, which is an `open_model`. It may take a `checkpoint_config`    |
/// | denies(error)           | whether that error of `open` means that the file is no such file at all   |
/// | contents(model)         | what it holds, codes and scales of layers among it (coded weights)        |
/// | artifact                | the `artifact_format` of its artifacts where none is asked for            |
/// | check_origin(artifact, model) | whether an artifact may be of a model, as far as the files tell     |
///
/// It may have an `artifact_note`: what is worth saying of that form.
template <class F>
concept model_format = open_model<typename F::model> &&
                       requires(const std::string& path, typename F::model model, const error& refused) {
                         { F::name } -> std::convertible_to<const char*>;
                         { F::suffix } -> std::convertible_to<const char*>;
                         { F::files } -> std::convertible_to<const char*>;
                         { F::kind } -> std::convertible_to<const char*>;
                         { F::recognises(path) } -> std::same_as<bool>;
                         { F::denies(refused) } -> std::same_as<bool>;
                         { F::open(path) } -> std::same_as<result<typename F::model>>;
                         {
                           F::template contents<builtin>(static_cast<typename F::model&&>(model))
                         } -> std::same_as<result<model_contents>>;
                         { F::check_origin(model, model) } -> std::same_as<result<void>>;
                       } && artifact_format<typename F::artifact, F>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CONCEPT_HPP
