// SPDX-License-Identifier: Apache-2.0
/// @file engines.hpp The engines of this build behind one type: tiny_engine, and OpenVINO if it is built in.
#ifndef PTQ_CLI_ENGINES_HPP
#define PTQ_CLI_ENGINES_HPP

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "ptq/engine/concept.hpp"
#include "ptq/result.hpp"
#include "tiny_engine/arithmetic.hpp"

namespace cli {

using tensor_sink = std::function<ptq::result<void>(const ptq::named_array&)>;

/// `ptq::engine` for an engine that is known at run time.
class runner {
 public:
  runner() = default;
  runner(const runner&) = delete;
  runner& operator=(const runner&) = delete;
  virtual ~runner() = default;

  virtual std::span<const ptq::graph_input> inputs() const = 0;
  virtual std::span<const std::string> outputs() const = 0;
  virtual ptq::result<void> run(std::span<const ptq::named_array> given, std::span<const std::string> wanted,
                                const tensor_sink& sink) = 0;
};

template <ptq::engine Engine>
class runner_of final : public runner {
 public:
  explicit runner_of(Engine engine) : engine_(std::move(engine)) {}

  std::span<const ptq::graph_input> inputs() const override { return engine_.inputs(); }
  std::span<const std::string> outputs() const override { return engine_.outputs(); }
  ptq::result<void> run(std::span<const ptq::named_array> given, std::span<const std::string> wanted,
                        const tensor_sink& sink) override {
    return engine_.run(given, wanted, sink);
  }

 private:
  Engine engine_;
};

/// Whether OpenVINO is built in.
bool has_openvino() noexcept;

/// @return unsupported if OpenVINO cannot run the graph, or is not built in
ptq::result<std::unique_ptr<runner>> load_openvino(const std::string& path);

/// tiny_engine where it covers the graph, else OpenVINO, which has no integer arithmetic.
class any_engine {
 public:
  /// @return unsupported if none covers the graph, with what each lacks; else what is wrong with the file
  static ptq::result<any_engine> load(const std::string& path,
                                      tiny::arithmetic numbers = tiny::arithmetic::onnx);

  std::span<const ptq::graph_input> inputs() const { return running_->inputs(); }
  std::span<const std::string> outputs() const { return running_->outputs(); }

  /// Whether tensors reach the sink a sample at a time, or as many as the graph insists on.
  bool makes_samples_alone() const noexcept { return is_tiny_; }

  /// As `ptq::engine` says. Some of what tiny_engine lacks shows only now; then OpenVINO takes over.
  ptq::result<void> run(std::span<const ptq::named_array> given, std::span<const std::string> wanted,
                        const tensor_sink& sink);

 private:
  any_engine(std::string path, tiny::arithmetic numbers) : path_(std::move(path)), numbers_(numbers) {}

  /// @param lacking why tiny_engine does not run the graph
  ptq::result<void> use_openvino(const ptq::error& lacking);

  std::string path_;
  tiny::arithmetic numbers_;
  std::unique_ptr<runner> running_;
  bool is_tiny_ = false;
};

static_assert(ptq::engine<any_engine>);

}  // namespace cli

#endif  // PTQ_CLI_ENGINES_HPP
