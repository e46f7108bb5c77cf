// SPDX-License-Identifier: Apache-2.0
#include "engines.hpp"

#include "command.hpp"
#include "ptq/file/path.hpp"
#include "tiny_engine/engine.hpp"

namespace cli {

ptq::result<any_engine> any_engine::load(const std::string& path, tiny::arithmetic numbers) {
  any_engine loaded(path, numbers);
  auto tiny = tiny::engine::load(path, numbers);
  if (tiny) {
    loaded.running_ = std::make_unique<runner_of<tiny::engine>>(*std::move(tiny));
    loaded.is_tiny_ = true;
  } else if (tiny.error().code != ptq::errc::unsupported || numbers != tiny::arithmetic::onnx) {
    return tiny.error();
  } else if (auto used = loaded.use_openvino(tiny.error()); !used) {
    return used.error();
  }
  return loaded;
}

ptq::result<void> any_engine::run(std::span<const ptq::named_array> given,
                                  std::span<const std::string> wanted, const tensor_sink& sink) {
  bool has_begun = false;
  auto ran = running_->run(given, wanted, [&](const ptq::named_array& made) {
    has_begun = true;
    return sink(made);
  });
  const bool may_change = is_tiny_ && numbers_ == tiny::arithmetic::onnx && !has_begun;
  if (ran || !may_change || ran.error().code != ptq::errc::unsupported) return ran;
  if (auto used = use_openvino(ran.error().in(ptq::absolute_path(path_))); !used) return used;
  return running_->run(given, wanted, sink);
}

ptq::result<void> any_engine::use_openvino(const ptq::error& lacking) {
  auto openvino = load_openvino(path_);
  if (!openvino) {
    ptq::error both = lacking;
    both.what += " " + openvino.error().what;
    return both;
  }
  note(lacking.what + " OpenVINO runs it, not tiny_engine.");
  running_ = *std::move(openvino);
  is_tiny_ = false;
  return {};
}

}  // namespace cli
