// SPDX-License-Identifier: Apache-2.0
// A format of models that lacks a member is told which.
//
// BAD NO_NAME: name
// BAD NO_OPEN: open
// BAD NO_WRITE: write
// BAD NO_LAYERS: layers
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ptq/formats/concept.hpp"

struct no_model {
  std::string path() const { return {}; }
  std::span<const ptq::mapped_file> files() const { return {}; }
#ifndef NO_LAYERS
  std::span<const ptq::layer> layers() const { return {}; }
#endif
  std::span<const std::string> notes() const { return {}; }
  std::uint64_t bytes() const { return 0; }
  std::size_t other_tensors() const { return 0; }
  const ptq::model_graph* graph() const { return nullptr; }
  ptq::fed_layers fed(const ptq::plan&) const { return {}; }
  void name_classes(const ptq::class_map&) {}
  ptq::result<void> expect_floats(const ptq::quantize_config&) { return {}; }
};

struct no_artifact {
  static constexpr const char* name = "nothing";
  template <class F>
  static constexpr bool takes = true;
  template <class F>
  static std::string file_name(const std::string&) {
    return {};
  }
  static bool is_part_of(std::string_view, std::string_view) { return false; }
  template <class Policies, class F>
  static ptq::result<void> check(const no_model&, const ptq::plan&) {
    return {};
  }
#ifndef NO_WRITE
  template <class Policies, class F>
  static ptq::result<ptq::pending_artifact> write(const std::string&, const no_model&, const ptq::plan&,
                                                  std::span<const ptq::activation_range>,
                                                  ptq::layer_sink auto&&) {
    return ptq::pending_artifact(0);
  }
#endif
};

struct no_format {
  using model = no_model;
  using artifact = no_artifact;
#ifndef NO_NAME
  static constexpr const char* name = "nothing";
#endif
  static constexpr const char* suffix = ".nothing";
  static constexpr const char* files = "nothing (.nothing)";
  static constexpr const char* kind = "nothing";
  static bool recognises(const std::string&) { return false; }
  static bool denies(const ptq::error&) { return true; }
#ifndef NO_OPEN
  static ptq::result<model> open(const std::string&) { return model(); }
#endif
  template <class Policies>
  static ptq::result<ptq::model_contents> contents(model&&) {
    return ptq::model_contents();
  }
  static ptq::result<void> check_origin(const model&, const model&) { return {}; }
};
static_assert(ptq::model_format<no_format>);
