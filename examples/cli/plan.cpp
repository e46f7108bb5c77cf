// SPDX-License-Identifier: Apache-2.0
// ptq plan: what would happen to each layer, and why.
#include <cstdio>

#include "command.hpp"
#include "model_file.hpp"
#include "ptq/config/yaml.hpp"
#include "ptq/model/match.hpp"
#include "ptq/report/json.hpp"
#include "ptq/report/text.hpp"

namespace cli {

int run_plan(const options& given) {
  const auto spec = ptq::read_spec(given.spec_file, given.overrides);
  if (!spec) return fail(given, spec.error(), bad_usage);
  if (const auto wanted = require(*spec, "model_path"); !wanted)
    return fail(given, wanted.error(), bad_usage);
  const auto model = open_model(*spec);
  if (!model) return fail(given, model.error(), failed);
  const ptq::plan plan = ptq::match(*spec, model->layers);
  if (given.json)
    std::puts(ptq::to_json(plan).dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  else
    std::fputs(ptq::to_text(plan).c_str(), stdout);
  return given.strict && !plan.warnings.empty() ? bad_usage : done;
}

}  // namespace cli
