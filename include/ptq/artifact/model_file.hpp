// SPDX-License-Identifier: Apache-2.0
/// @file model_file.hpp A model or artifact whose format is known at run time.
#ifndef PTQ_ARTIFACT_MODEL_FILE_HPP
#define PTQ_ARTIFACT_MODEL_FILE_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/data/fed_layers.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/type_list.hpp"
#include "ptq/error.hpp"
#include "ptq/file/file_kind.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/settings.hpp"
#include "ptq/formats/checkpoint/share.hpp"
#include "ptq/formats/concept.hpp"
#include "ptq/formats/contents.hpp"
#include "ptq/formats/form_settings.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/match.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

template <class Formats, class Artifacts>
class basic_model_file;

/// @tparam Formats   a list such as `model_formats` (formats.hpp). The last that recognises a file opens it;
///   the first takes what none recognises.
/// @tparam Artifacts a list such as `artifact_formats`: the forms that they are quantized into
template <model_format... Formats, class... Artifacts>
class basic_model_file<list<Formats...>, list<Artifacts...>> {
 public:
  /// Opens a model or an artifact.
  ///
  /// @return what the format's `open` returns; of a file that is of none of the formats, what it looks like
  ///         and which are taken; invalid_value: `how` says something that the format does not ask
  static result<basic_model_file> open(const std::string& path, const checkpoint_config& how = {}) {
    const std::size_t format = format_of(path);
    std::optional<result<basic_model_file>> opened;
    std::size_t i = 0;
    (void)((i++ == format && (static_cast<void>(opened = open_as<Formats>(path, how)), true)) || ...);
    return *std::move(opened);
  }

  /// Opens the model that a specification names, for its rules.
  ///
  /// @return as above; unsupported: weights that a rule quantizes hold codes already
  static result<basic_model_file> open_for(const spec& wanted) {
    auto opened = open(wanted.quantize.model_path, wanted.ptq.checkpoint);
    if (!opened) return opened;
    if (auto floats = opened->expect_floats(wanted.quantize); !floats) return floats.error();
    opened->name_classes(wanted.ptq.module_types);
    return opened;
  }

  /// The names of the forms of artifacts, in the order of the list.
  static constexpr std::array<std::string_view, sizeof...(Artifacts)> artifact_names{Artifacts::name...};

  /// Of the artifact of a model, whether it exists or not.
  ///
  /// @param path    of the model
  /// @param form    one of `artifact_names`; empty: the one that models of the format have
  /// @param backend as the specification has it
  static std::string artifact_file_name(const std::string& path, std::string_view form,
                                        const std::string& backend) {
    const std::size_t format = format_of(path);
    std::string name;
    std::size_t i = 0;
    (void)((i++ == format && (name = file_name_for<Formats>(form, backend), true)) || ...);
    return name;
  }

  /// Whether the artifact is its whole folder, which other programs open.
  ///
  /// @param form one of `artifact_names`
  static bool is_folder(std::string_view form) {
    const auto is_one = [&]<class A>() {
      if constexpr (requires { A::is_folder; })
        return A::is_folder && form == A::name;
      else
        return false;
    };
    return (is_one.template operator()<Artifacts>() || ...);
  }

  /// Whether a form takes `form_settings`.
  ///
  /// @param form one of `artifact_names`
  static bool has_settings(std::string_view form) {
    const auto has = [&]<class A>() {
      if constexpr (requires { A::has_settings; })
        return A::has_settings && form == A::name;
      else
        return false;
    };
    return (has.template operator()<Artifacts>() || ...);
  }

  /// Whether a file beside an artifact holds a part of it, or of an older one of its name.
  ///
  /// @param artifact name of its file
  static bool is_part_of(std::string_view artifact, std::string_view file) {
    return (Artifacts::is_part_of(artifact, file) || ...);
  }

  std::string path() const {
    return visit([](const auto& model) { return model.path(); });
  }
  std::span<const mapped_file> files() const {
    return visit([](const auto& model) { return std::span<const mapped_file>(model.files()); });
  }
  std::span<const layer> layers() const {
    return visit([](const auto& model) { return std::span<const layer>(model.layers()); });
  }
  std::span<const std::string> notes() const {
    return visit([](const auto& model) { return std::span<const std::string>(model.notes()); });
  }
  std::uint64_t bytes() const {
    return visit([](const auto& model) { return model.bytes(); });
  }
  std::size_t other_tensors() const {
    return visit([](const auto& model) { return model.other_tensors(); });
  }
  const model_graph* graph() const {
    return visit([](const auto& model) { return model.graph(); });
  }
  fed_layers fed(const plan& planned) const {
    return visit([&](const auto& model) { return model.fed(planned); });
  }
  void name_classes(const class_map& classes) {
    std::visit([&](auto& held) { held.model.name_classes(classes); }, opened_);
  }
  result<void> expect_floats(const quantize_config& config) {
    return std::visit([&](auto& held) { return held.model.expect_floats(config); }, opened_);
  }

  /// Forgets all tensors and layers but those of one share (`checkpoint_model::keep_only`).
  ///
  /// @return the places that the layers had; unsupported: a graph is one piece
  result<std::vector<std::size_t>> keep_only(const share& one) {
    return std::visit(
        [&]<class F>(holder<F>& held) -> result<std::vector<std::size_t>> {
          if constexpr (requires { held.model.keep_only(one); }) {
            return held.model.keep_only(one);
          } else {
            return error(errc::unsupported, path(),
                         std::string("a model of the format ") + F::name +
                             " is one graph, which is not divided into shares. Its data may be: "
                             "`ptq calibrate` parts of them, `ptq merge` the statistics, and `ptq quantize "
                             "--statistics` with what comes of it.");
          }
        },
        opened_);
  }

  /// What is worth saying of the form that its artifacts have; empty where nothing is.
  std::string_view artifact_note() const {
    return std::visit(
        []<class F>(const holder<F>&) -> std::string_view {
          if constexpr (requires { F::artifact_note; })
            return F::artifact_note;
          else
            return {};
        },
        opened_);
  }

  /// What an artifact says of the backend that made its codes; empty where it says nothing.
  std::string backend() const {
    return visit([]<class Model>(const Model& model) -> std::string {
      if constexpr (requires { model.file().metadata(); }) {
        const auto found = model.file().metadata().find("ptq_backend");
        if (found != model.file().metadata().end()) return found->second;
      }
      return {};
    });
  }

  /// Gives the model away for what it holds.
  ///
  /// @tparam Policies has the dtypes of artifacts
  template <class Policies = builtin>
  result<model_contents> contents() && {
    return std::visit(
        []<class F>(holder<F>& held) { return F::template contents<Policies>(std::move(held.model)); },
        opened_);
  }

  /// The form that artifacts of this model have where none is asked for.
  std::string_view own_form() const {
    return std::visit([]<class F>(const holder<F>&) { return std::string_view(F::artifact::name); }, opened_);
  }

  /// @param form one of `artifact_names`
  /// @return unsupported: models of this format have no such artifacts
  result<void> takes(std::string_view form) const {
    return in_form(form, []<class A, class F>(const holder<F>&) { return result<void>(); });
  }

  /// What is worth saying of artifacts in a form; empty where nothing is.
  static std::string_view note_of(std::string_view form) {
    std::string_view note;
    const auto take = [&]<class A>() {
      if constexpr (requires { A::note; })
        if (form == A::name) note = A::note;
    };
    (take.template operator()<Artifacts>(), ...);
    return note;
  }

  /// As the form's `check`; what is written fits the plan then.
  ///
  /// @param form one of `artifact_names`
  /// @return unsupported: models of this format have no such artifacts
  template <class Policies = builtin>
  result<void> check(std::string_view form, const plan& planned) const {
    return in_form(form, [&]<class A, class F>(const holder<F>& held) {
      return A::template check<Policies, F>(held.model, planned);
    });
  }

  /// As the form's `write`.
  ///
  /// @param form one of `artifact_names`
  /// @param run  runs its parts, where the form has parts
  /// @param how  where the form has settings
  /// @return unsupported: models of this format have no such artifacts
  template <class Policies = builtin, layer_sink Sink, executor Run = serial>
  result<pending_artifact> write(std::string_view form, const std::string& path, const plan& planned,
                                 std::span<const activation_range> ranges, Sink&& sink, const Run& run = {},
                                 const form_settings& how = {}) const {
    return in_form(form, [&]<class A, class F>(const holder<F>& held) -> result<pending_artifact> {
      if constexpr (requires {
                      A::template write<Policies, F>(path, held.model, planned, ranges, sink, run, how);
                    })
        return A::template write<Policies, F>(path, held.model, planned, ranges, sink, run, how);
      else if constexpr (requires {
                           A::template write<Policies, F>(path, held.model, planned, ranges, sink, run);
                         })
        return A::template write<Policies, F>(path, held.model, planned, ranges, sink, run);
      else
        return A::template write<Policies, F>(path, held.model, planned, ranges, sink);
    });
  }

  /// This artifact in another form, as the form's `convert`.
  ///
  /// @param form one of `artifact_names`
  /// @param run  runs its parts, where the form has parts
  /// @param how  where the form has settings
  /// @return unsupported: artifacts of this format are not written so
  template <class Policies = builtin, executor Run = serial>
  result<pending_artifact> convert(std::string_view form, const std::string& path, const Run& run = {},
                                   const form_settings& how = {}) const {
    return in_form(form, [&]<class A, class F>(const holder<F>& held) -> result<pending_artifact> {
      if constexpr (requires { A::template convert<Policies, F>(path, held.model, run, how); })
        return A::template convert<Policies, F>(path, held.model, run, how);
      else if constexpr (requires { A::template convert<Policies, F>(path, held.model, run); })
        return A::template convert<Policies, F>(path, held.model, run);
      else if constexpr (requires { A::template convert<Policies, F>(path, held.model); })
        return A::template convert<Policies, F>(path, held.model);
      else
        return refuse_form<F>(form);
    });
  }

  /// An artifact of this model, which lies in parts, as the form's `convert`: what `write` would have
  /// written.
  ///
  /// @param form  one of `artifact_names`
  /// @param parts opened by `open_parts`
  /// @param run   runs pieces of the copies
  /// @param how   where the form has settings
  /// @return unsupported: models of this format have no such artifacts, or none in parts
  template <class Policies = builtin, executor Run = serial>
  result<pending_artifact> merge(std::string_view form, const std::string& path, checkpoint parts,
                                 const Run& run = {}, const form_settings& how = {}) const {
    return std::visit(
        [&]<class F>(const holder<F>& held) -> result<pending_artifact> {
          if constexpr (requires { held.model.with(std::move(parts)); }) {
            auto whole = held.model.with(std::move(parts));
            if (!whole) return whole.error();
            return basic_model_file(holder<F>{*std::move(whole)})
                .template convert<Policies>(form, path, run, how);
          } else {
            return refuse_form<F>(form);
          }
        },
        opened_);
  }

  /// Whether an artifact may be of a model, as far as the files tell. Both must be of one format.
  ///
  /// @return wrong_model
  static result<void> check_origin(const basic_model_file& artifact, const basic_model_file& model) {
    return std::visit(
        [&]<class F>(const holder<F>& held) {
          const auto* const original = std::get_if<holder<F>>(&model.opened_);
          PTQ_ASSERT(original != nullptr);
          return F::check_origin(held.model, original->model);
        },
        artifact.opened_);
  }

 private:
  /// Two formats may share a model.
  template <class F>
  struct holder {
    typename F::model model;
  };

  template <class F>
  explicit basic_model_file(holder<F> opened) : opened_(std::move(opened)) {}

  template <class F>
  decltype(auto) visit(F&& f) const {
    return std::visit([&](const auto& held) { return f(held.model); }, opened_);
  }

  template <class F>
  static std::string file_name_for(std::string_view form, const std::string& backend) {
    std::string name = F::artifact::template file_name<F>(backend);
    const auto take = [&]<class A>() {
      if constexpr (A::template takes<F>)
        if (form == A::name) name = A::template file_name<F>(backend);
    };
    (take.template operator()<Artifacts>(), ...);
    return name;
  }

  /// Calls f<A, F>(holder) with the form of the name A and the format of the model F, and returns what it
  /// returns.
  template <class Function>
  auto in_form(std::string_view form, Function&& f) const {
    return std::visit(
        [&]<class F>(const holder<F>& held) {
          using outcome = decltype(f.template operator()<typename F::artifact, F>(held));
          std::optional<outcome> found;
          const auto take = [&]<class A>() {
            if constexpr (A::template takes<F>)
              if (form == A::name) found = f.template operator()<A, F>(held);
          };
          (take.template operator()<Artifacts>(), ...);
          return found ? *std::move(found) : outcome(refuse_form<F>(form));
        },
        opened_);
  }

  /// Of a form that models of the format F do not have.
  template <class F>
  static error refuse_form(std::string_view form) {
    std::string fitting;
    const auto add = [&]<class A>() {
      if constexpr (A::template takes<F>) fitting.append(fitting.empty() ? "" : ", ").append(A::name);
    };
    (add.template operator()<Artifacts>(), ...);
    return {errc::unsupported, "--format",
            std::string("a model of the format ") + F::name + " has no artifact in the form \"" +
                std::string(form) + "\". There are: " + fitting + "."};
  }

  /// Its place in the list.
  static std::size_t format_of(const std::string& path) {
    std::size_t place = 0;
    std::size_t last = 0;
    ((last = Formats::recognises(path) ? place : last, ++place), ...);
    return last;
  }

  template <class F>
  static result<basic_model_file> open_as(const std::string& path, const checkpoint_config& how) {
    auto opened = open_with<F>(path, how);
    if (opened) return basic_model_file(holder<F>{*std::move(opened)});
    return F::denies(opened.error()) ? describe<F>(path, opened.error()) : opened.error();
  }

  template <class F>
  static result<typename F::model> open_with(const std::string& path, const checkpoint_config& how) {
    if constexpr (requires { F::open(path, how); }) {
      return F::open(path, how);
    } else {
      if (auto flat = refuse_key(how, F::name); !flat) return flat.error();
      if (auto named = refuse_prefixes(how, F::name); !named) return named.error();
      return F::open(path);
    }
  }

  /// Of a file that is none of a format: what it is, and which are taken.
  template <class F>
  static error describe(const std::string& path, const error& refused) {
    const auto file = mapped_file::open(refused.where);
    if (!file) return file.error();
    const std::string_view kind = kind_of_file(path, file->bytes());
    if (kind == F::kind) return refused;
    std::string text = std::string("this is not ") + F::kind;
    if (!kind.empty()) text.append(": it looks like ").append(kind);
    (void)((kind == Formats::kind && (text.append(" without the suffix ").append(Formats::suffix), true)) ||
           ...);
    constexpr const char* files[] = {Formats::files...};
    std::string taken;
    for (const char* const each : files)
      taken.append(taken.empty() ? "" : each == files[sizeof...(Formats) - 1] ? ", and " : ", ").append(each);
    return {refused.code, refused.where, text + ". Models are " + taken + "."};
  }

  std::variant<holder<Formats>...> opened_;
};

/// The plan for a model. Its notes begin with what in the model was not looked into.
///
/// @return axis_out_of_range: a `weights.quant_axis` of the specification is no axis of a weight
template <class Policies = builtin, class Formats, class Artifacts>
result<plan> match_model(const spec& wanted, const basic_model_file<Formats, Artifacts>& model) {
  plan made = match<Policies>(wanted, model.layers());
  if (auto checked = check_axes(wanted, made); !checked) return checked.error();
  made.notes.insert(made.notes.begin(), model.notes().begin(), model.notes().end());
  return made;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_ARTIFACT_MODEL_FILE_HPP
