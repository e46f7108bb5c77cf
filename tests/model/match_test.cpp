// SPDX-License-Identifier: Apache-2.0
// Plans: classes, what can be done, reasons, counts and warnings.
#include "ptq/model/match.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/layers_of.hpp"

namespace {

using ptq::element_type;

ptq::any_view shaped(std::initializer_list<std::size_t> extents, element_type type = element_type::float32) {
  return {nullptr, type, extents};
}

ptq::rule_config rule(std::string pattern, std::string weights, std::string activations = "") {
  ptq::rule_config made{std::move(pattern), std::nullopt, std::nullopt};
  if (!weights.empty()) made.weights = ptq::slot_config{std::move(weights), {}};
  if (!activations.empty()) made.activations = ptq::slot_config{std::move(activations), {}};
  return made;
}

ptq::spec weight_only(std::vector<ptq::rule_config> rules, std::vector<std::string> skips = {}) {
  ptq::spec made;
  made.quantize.layers = std::move(rules);
  made.quantize.skip_names = std::move(skips);
  return made;
}

ptq::spec static_ptq(std::vector<ptq::rule_config> rules, std::vector<std::string> skips = {}) {
  ptq::spec made = weight_only(std::move(rules), std::move(skips));
  made.quantize.backend = "modelopt";
  made.quantize.mode = "static_ptq";
  return made;
}

/// One layer of each kind.
std::vector<ptq::layer> zoo() {
  return {{"stem.conv", "Conv2d", shaped({8, 3, 3, 3})},
          {"stem.bn", "BatchNorm2d", shaped({8})},
          {"pool", "MaxPool2d", {}},
          {"embed", "Embedding", shaped({100, 16})},
          {"encoder.fc", "Linear", shaped({32, 16})},
          {"up", "ConvTranspose2d", shaped({8, 4, 2, 2})},
          {"head", "Linear", shaped({10, 32}, element_type::unknown)},
          {"gate", "", shaped({4})}};
}

std::string only_warning(const ptq::plan& made) {
  REQUIRE(made.warnings.size() == 1);
  return made.warnings.front();
}

struct only_fp8 : ptq::builtin {
  using dtypes = ptq::list<ptq::fp8_e5m2>;
};

const ptq::planned_layer& named(const ptq::plan& made, const std::string& name) {
  for (const auto& planned : made.layers)
    if (planned.name == name) return planned;
  FAIL("no layer " << name);
  return made.layers.front();
}

}  // namespace

TEST_CASE("the class decides what can be quantized") {
  static_assert(ptq::traits_of_class("Linear").rank == 2);
  static_assert(ptq::traits_of_class("Conv3d").rank == 5 && ptq::traits_of_class("Conv3d").output_axis == 0);
  static_assert(ptq::traits_of_class("ConvTranspose1d").rank == 3);
  static_assert(ptq::traits_of_class("ConvTranspose1d").output_axis == 1);
  for (const char* both :
       {"Linear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"})
    CHECK((ptq::traits_of_class(both).weights && ptq::traits_of_class(both).activations));
  for (const char* one : {"MaxPool1d", "AvgPool2d", "AdaptiveAvgPool3d", "BatchNorm", "BatchNorm2d",
                          "InstanceNorm1d", "LeakyReLU"})
    CHECK((!ptq::traits_of_class(one).weights && ptq::traits_of_class(one).activations));
  for (const char* none : {"", "Conv", "Conv4d", "Conv2", "Linear1d", "Embedding", "LayerNorm", "LSTM",
                           "ReLU", "Sequential", "Bottleneck", "LeakyReLU1d"})
    CHECK(!ptq::traits_of_class(none).is_quantizable());
}

TEST_CASE("classes of a bare state dict are inferred from name and rank") {
  const std::vector<ptq::named_tensor> tensors{{"conv.weight", shaped({8, 3, 3, 3})},
                                               {"conv.bias", shaped({8})},
                                               {"bn.weight", shaped({8})},
                                               {"bn.running_mean", shaped({8})},
                                               {"norm.weight", shaped({8})},
                                               {"a.weight", shaped({4, 4})},
                                               {"b.weight", shaped({4, 4, 4})},
                                               {"c.weight", shaped({4, 4, 4, 4, 4})},
                                               {"tok_embeddings.weight", shaped({9, 4})},
                                               {"embedder.proj.weight", shaped({4, 4})},
                                               {"t.wte.weight", shaped({9, 4})},
                                               {"wpe.weight", shaped({9, 4})},
                                               {"shared.weight", shaped({9, 4})},
                                               {"attn.relative_attention_bias.weight", shaped({9, 4})},
                                               {"shared_fc.weight", shaped({9, 4})},
                                               {"patch_embed.weight", shaped({4, 3, 2, 2})},
                                               {"scale.weight", shaped({})},
                                               {"weight", shaped({4, 4})},
                                               {".weight", shaped({4, 4})},
                                               {"p.weight.weight", shaped({4, 4})},
                                               {"q.weight_g", shaped({4, 4})}};
  std::string seen;
  for (const auto& l : ptq::layers_of(tensors))
    seen += l.name + ":" + l.class_name + (l.inferred ? "* " : " ");
  CHECK(seen ==
        "conv:Conv2d* bn:BatchNorm* norm: a:Linear* b:Conv1d* c:Conv3d* tok_embeddings:Embedding* "
        "embedder.proj:Embedding* t.wte:Embedding* wpe:Embedding* shared:Embedding* "
        "attn.relative_attention_bias:Embedding* shared_fc:Linear* "
        "patch_embed:Conv2d* scale: weight: .weight: p.weight:Linear* q.weight_g: ");
}

TEST_CASE("classes of a bare state dict are inferred from what stands beside a weight") {
  const std::vector<ptq::named_tensor> tensors{{"ln_1.weight", shaped({8})},
                                               {"ln_1.bias", shaped({8})},
                                               {"0.weight", shaped({8})},
                                               {"0.bias", shaped({8})},
                                               {"group_norm.weight", shaped({8})},
                                               {"group_norm.bias", shaped({8})},
                                               {"gn1.weight", shaped({8})},
                                               {"gn1.bias", shaped({8})},
                                               {"bn1.weight", shaped({8})},
                                               {"bn1.bias", shaped({8})},
                                               {"bn2.weight", shaped({8})},
                                               {"bn2.bias", shaped({8})},
                                               {"bn2.running_mean", shaped({8})},
                                               {"prelu.weight", shaped({8})},
                                               {"odd.weight", shaped({8})},
                                               {"odd.bias", shaped({1})},
                                               {"rms.weight", shaped({8})},
                                               {"time_embed.0.weight", shaped({8, 4})},
                                               {"time_embed.0.bias", shaped({8})},
                                               {"embed.weight", shaped({8, 4})},
                                               {"depthwise.weight", shaped({8, 1, 3, 3})}};
  std::string seen;
  for (const auto& l : ptq::layers_of(tensors))
    seen += l.name + ":" + l.class_name + (l.inferred ? "* " : " ");
  CHECK(seen ==
        "ln_1:LayerNorm* 0:LayerNorm* group_norm:GroupNorm* gn1:GroupNorm* bn1: bn2:BatchNorm* prelu: odd: "
        "rms: time_embed.0:Linear* embed:Embedding* depthwise:Conv2d* ");
  const auto made = ptq::match(weight_only({rule("*", "int8")}), ptq::layers_of(tensors));
  CHECK(named(made, "0").weights.reason == "normalisation is never quantized");
}

TEST_CASE("a tensor of two axes is in the plan, whatever its name") {
  const std::vector<ptq::named_tensor> tensors{{"attn.in_proj_weight", shaped({12, 4})},
                                               {"attn.in_proj_bias", shaped({12})},
                                               {"mask", shaped({1, 1, 8, 8}, element_type::boolean)},
                                               {"lstm.weight_ih_l0", shaped({16, 4})},
                                               {"mlp.experts.gate_up_proj", shaped({3, 4, 8})},
                                               {"fc.weight", shaped({4, 4})}};
  const std::string other = "its name does not end in \".weight\": only such tensors are quantized";
  const std::string stack =
      "it is a stack of 3 matrices, which need a scale for each matrix and output channel: not supported";
  for (const auto& types : {std::map<std::string, std::string>(), {{"attn.in_proj_weight", "Linear"}}}) {
    const auto made = ptq::match(weight_only({rule("*", "int8")}), ptq::layers_of(tensors, types));
    REQUIRE(made.layers.size() == 5);
    CHECK(named(made, "attn.in_proj_weight").weights.reason == other);
    CHECK(named(made, "attn.in_proj_weight").class_name == (types.empty() ? "" : "Linear"));
    CHECK(named(made, "mask").weights.reason == other);
    CHECK(named(made, "lstm.weight_ih_l0").weights.reason == other);
    CHECK(named(made, "mlp.experts.gate_up_proj").weights.reason == stack);
    CHECK(named(made, "mlp.experts.gate_up_proj").shape == ptq::tensor_shape{3, 4, 8});
    CHECK(named(made, "fc").weights.is_quantized());
    CHECK(made.warnings.empty());
  }
}

TEST_CASE("a stack of matrices is no convolution") {
  const std::vector<ptq::named_tensor> tensors{{"mlp.experts.up.weight", shaped({4, 8, 8})},
                                               {"moe.input_linear.weight", shaped({4, 8, 8})},
                                               {"block_sparse_moe.out.weight", shaped({4, 8, 8})},
                                               {"ffn.w1.weight", shaped({4, 8, 8})},
                                               {"ffn.w5.weight", shaped({5, 8, 8})},  // of no experts
                                               {"ffn.router.layer.weight", shaped({4, 8})},
                                               {"heads.weight", shaped({4, 8, 8})},
                                               {"heads.bias", shaped({4, 8})},  // convolutions:
                                               {"experts.3.conv.weight", shaped({4, 8, 3})},
                                               {"expert.conv.weight", shaped({4, 8, 3})},
                                               {"expert.conv.bias", shaped({4})},
                                               {"memoenc.conv.weight", shaped({4, 8, 3})},
                                               {"tcn.gate.weight", shaped({8, 4})},
                                               {"tcn.conv.weight", shaped({4, 8, 3})}};
  std::string stacks;
  for (const ptq::layer& l : ptq::layers_of(tensors)) {
    if (l.weight.shape.rank == 3 && l.class_name.empty()) stacks += l.name + " ";
    CHECK((l.reason.find("a stack of 4 matrices") != std::string::npos) ==
          (l.weight.shape.rank == 3 && l.class_name.empty()));
  }
  CHECK(stacks == "mlp.experts.up moe.input_linear block_sparse_moe.out ffn.w1 heads ");
  const auto named_class = ptq::layers_of(tensors, {{"mlp.experts.up", "Conv1d"}});
  CHECK(ptq::match(weight_only({rule("Conv1d", "int8")}), named_class).layers[0].weights.is_quantized());
}

TEST_CASE("a matrix that is stored [in, out] has its output channels on axis 1") {
  const std::vector<ptq::named_tensor> gpt2{
      {"h.0.attn.c_attn.weight", shaped({4, 12})}, {"h.0.attn.c_attn.bias", shaped({12})},
      {"h.0.attn.c_proj.weight", shaped({4, 4})},  {"h.0.attn.c_proj.bias", shaped({4})},
      {"h.0.square.weight", shaped({4, 4})},       {"h.0.square.bias", shaped({4})}};
  const auto made = ptq::match(weight_only({rule("*", "int8")}), ptq::layers_of(gpt2));
  for (const char* const name : {"h.0.attn.c_attn", "h.0.attn.c_proj"}) {
    CHECK(named(made, name).class_name == "Conv1D");
    CHECK(named(made, name).inferred);
    CHECK(named(made, name).weights.grain == ptq::per_channel(1));
  }
  CHECK(named(made, "h.0.square").class_name == "Linear");

  // As others write it, under the same names: [out, in].
  const std::vector<ptq::named_tensor> clip{{"mlp.c_fc.weight", shaped({16, 4})},
                                            {"mlp.c_fc.bias", shaped({16})},
                                            {"attn.c_proj.weight", shaped({4, 4})},
                                            {"attn.c_proj.bias", shaped({4})},
                                            {"attn.c_attn.weight", shaped({12, 4})}};
  for (const ptq::layer& l : ptq::layers_of(clip)) CHECK(l.class_name == "Linear");

  const auto told = ptq::layers_of(clip, {{"attn.c_proj", "Conv1D"}});
  const auto planned = ptq::match(weight_only({rule("Conv1D", "int8")}), told);
  CHECK(named(planned, "attn.c_proj").weights.grain == ptq::per_channel(1));
}

TEST_CASE("hints tell what names and shapes do not") {
  const std::vector<ptq::named_tensor> tensors{
      {"emb.weight", shaped({50, 8})}, {"head.weight", shaped({50, 8})},  {"fc.weight", shaped({50, 8})},
      {"fc.bias", shaped({50})},       {"c_proj.weight", shaped({8, 8})}, {"other.weight", shaped({8, 8})}};
  const auto classes = [&](const ptq::model_hints& hints) {
    std::string seen;
    for (const auto& l : ptq::layers_of(tensors, {}, hints)) seen += l.class_name + (l.inferred ? "* " : " ");
    return seen;
  };
  CHECK(classes({}) == "Linear* Linear* Linear* Linear* Linear* ");
  CHECK(classes({false, ptq::tensor_shape{50, 8}}) == "Embedding* Linear* Linear* Linear* Linear* ");
  CHECK(classes({true, {}}) == "Linear* Linear* Linear* Conv1D* Linear* ");
}

TEST_CASE("module types override what would be inferred") {
  const std::vector<ptq::named_tensor> tensors{
      {"up.weight", shaped({8, 4, 2, 2})}, {"x.weight", shaped({2, 2})}, {"y.weight", shaped({2, 2})}};
  const auto layers =
      ptq::layers_of(tensors, {{"up", "ConvTranspose2d"}, {"y", "MyOwn"}, {"absent", "Linear"}});
  REQUIRE(layers.size() == 3);
  CHECK(layers[0].class_name == "ConvTranspose2d");
  CHECK(!layers[0].inferred);
  CHECK(layers[1].class_name == "Linear");
  CHECK(layers[1].inferred);
  const auto made = ptq::match(weight_only({rule("*", "int8"), rule("MyOwn", "int8")}), layers);
  CHECK(made.layers[0].weights.grain == ptq::per_channel(1));
  CHECK(made.rules[1].matched == 1);
  CHECK(made.layers[2].weights.reason == "ptq cannot quantize layers of this class");
}

TEST_CASE("a weight-only plan says what happens to every layer, and why") {
  const auto made = ptq::match(weight_only({rule("*", "int8"), rule("encoder.*", "native")}), zoo());
  REQUIRE(made.layers.size() == 8);
  CHECK(made.backend == "torchao");
  CHECK(named(made, "stem.conv").weights.dtype == "int8");
  CHECK(named(made, "stem.conv").weights.rule == 0);
  CHECK(named(made, "stem.conv").weights.reason.empty());
  CHECK(named(made, "stem.conv").weights.grain == ptq::per_channel(0));
  CHECK(named(made, "up").weights.grain == ptq::per_channel(1));
  CHECK(named(made, "stem.bn").weights.reason == "only the activations of BatchNorm2d can be quantized");
  CHECK(named(made, "embed").weights.reason == "embeddings are looked up, not multiplied: never quantized");
  CHECK(named(made, "embed").weights.rule == 0);
  CHECK(named(made, "encoder.fc").weights.rule == 1);
  CHECK(named(made, "encoder.fc").weights.reason == "quantize.layers[1] says native");
  CHECK(named(made, "head").weights.reason == "its weight does not hold floating-point numbers");
  CHECK(named(made, "gate").weights.reason == "its class is not known; ptq.module_types can name it");
  CHECK(named(made, "pool").activations.reason == "no matching rule sets activations");
  CHECK(made.rules[0].matched == 8);
  CHECK(made.warnings.empty());
  REQUIRE(made.notes.size() == 1);
  CHECK(
      made.notes[0] ==
      "quantize.layers[0] \"*\": 5 of the 8 layers that it matches cannot be quantized; the plan says why.");
  CHECK(made.quantizes_weights());
  CHECK(!made.quantizes_activations());
}

TEST_CASE("a weight of a type that cannot be quantized is told by the name that its file has for it") {
  const std::vector<ptq::layer> layers{
      {"fc", "Linear", {nullptr, element_type::fp8_e4m3fn, {4, 2}, "F8_E4M3"}}};
  CHECK(ptq::match(weight_only({rule("*", "int8")}), layers).layers[0].weights.reason ==
        "its weight holds F8_E4M3; float16, bfloat16, float32 and float64 can be quantized");
}

TEST_CASE("a static plan decides weights and activations apart") {
  const auto made = ptq::match(static_ptq({rule("*", "fp8_e4m3fn", "int8"), rule("Linear", "", "fp8_e5m2")},
                                          {"stem.*", "embed", "gate"}),
                               zoo());
  CHECK(named(made, "pool").activations.dtype == "int8");
  CHECK(named(made, "pool").activations.grain == ptq::per_tensor());
  CHECK(named(made, "encoder.fc").weights.dtype == "fp8_e4m3fn");
  CHECK(named(made, "encoder.fc").weights.rule == 0);
  CHECK(named(made, "encoder.fc").weights.grain == ptq::per_tensor());
  CHECK(named(made, "encoder.fc").activations.dtype == "fp8_e5m2");
  CHECK(named(made, "encoder.fc").activations.rule == 1);
  CHECK(named(made, "stem.conv").skipped_by == 0);
  CHECK(!named(made, "stem.conv").weights.rule);
  CHECK(named(made, "stem.conv").weights.reason == "skipped by quantize.skip_names[0] \"stem.*\"");
  CHECK(made.skip_names[0].matched == 2);
  CHECK(made.quantizes_activations());
  CHECK(made.warnings.empty());
}

TEST_CASE("quant_axis: a number, null, or the backend's default") {
  const std::vector<ptq::layer> layers{{"up", "ConvTranspose2d", shaped({8, 4, 2, 2})}};
  const auto grain = [&](ptq::spec from, ptq::axis_choice choice) {
    from.quantize.layers[0].weights->quant_axis = choice;
    return ptq::match(from, layers).layers[0].weights.grain;
  };
  using kind = ptq::axis_choice::kind_type;
  const auto modelopt = static_ptq({rule("*", "int8")});
  CHECK(grain(modelopt, {}) == ptq::per_channel(1));
  CHECK(grain(modelopt, {kind::axis, 0}) == ptq::per_channel(0));
  CHECK(grain(modelopt, {kind::per_tensor, 0}) == ptq::per_tensor());
  CHECK(grain(weight_only({rule("*", "int8")}), {kind::per_tensor, 0}) == ptq::per_channel(1));
  CHECK(grain(weight_only({rule("*", "int8")}), {kind::axis, 2}) == ptq::per_channel(2));
}

TEST_CASE("a layer may know its own output axis") {
  std::vector<ptq::layer> layers{{"fc", "Linear", shaped({16, 32})}};
  layers[0].output_axis = 1;
  CHECK(ptq::match(static_ptq({rule("Linear", "int8")}), layers).layers[0].weights.grain ==
        ptq::per_channel(1));
}

TEST_CASE("warning: a pattern that matches nothing, with what would") {
  const auto text = [](std::string pattern) {
    return only_warning(ptq::match(weight_only({rule("Conv2d", "int8")}, {std::move(pattern)}), zoo()));
  };
  CHECK(text("fc") ==
        "quantize.skip_names[0] \"fc\" matches no layer. Patterns match whole names; \"*fc\" would match 1 "
        "layer.");
  CHECK(text("stem") ==
        "quantize.skip_names[0] \"stem\" matches no layer. Patterns match whole names; \"stem.*\" would "
        "match 2 layers.");
  CHECK(text("nn.Linear")
            .ends_with("Classes have no package in their names; \"Linear\" would match 2 layers."));
  CHECK(text("linear") == "quantize.skip_names[0] \"linear\" matches no layer. Did you mean \"Linear\"?");
  CHECK(text("classifier.fc") == "quantize.skip_names[0] \"classifier.fc\" matches no layer.");
  const auto made = ptq::match(weight_only({rule("Conv2d", "int8"), rule("conv2d", "int8")}), zoo());
  CHECK(only_warning(made) ==
        "quantize.layers[1].module_name \"conv2d\" matches no layer. Did you mean \"Conv2d\"?");
}

TEST_CASE("warning: a regular expression, with the pattern that it would be") {
  const auto hint = [](std::string pattern) {
    const std::string start = "quantize.skip_names[0] \"" + pattern +
                              "\" matches no layer. It looks like a regular expression, but patterns are "
                              "fnmatch's (*, ?, [abc], [!abc]): ";
    std::string said =
        only_warning(ptq::match(weight_only({rule("Conv2d", "int8")}, {std::move(pattern)}), zoo()));
    CHECK(said.starts_with(start));
    return said.substr(start.size());
  };
  CHECK(hint("re:.*conv$") == "\"*conv\" would match 1 layer.");
  CHECK(hint("re:stem") == "\"stem*\" would match 2 layers.");  // matched from the start
  CHECK(hint(".*conv") == "\"*conv*\" would match 1 layer.");
  CHECK(hint("^stem\\..*$") == "\"stem.*\" would match 2 layers.");
  CHECK(hint("re:.*layers\\.\\d+\\.mlp$") == "it would be \"*layers.[0-9]*.mlp\".");
  CHECK(hint("re:a[^b].+c") == "it would be \"a[!b]?*c*\".");
  for (const char* const beyond : {"re:(conv|fc)", "conv|fc", "re:x?", "re:[a", "re:a{2}", "re:\\", "re:a*b",
                                   "re:\\bfc", "a\\s", "re:(a)\\1"})
    CHECK(hint(beyond) == "write one for each alternative.");
}

TEST_CASE("warning: a rule all of whose matches cannot be quantized") {
  const auto made = ptq::match(weight_only({rule("Conv2d", "int8"), rule("Embedding", "int8")}), zoo());
  CHECK(
      only_warning(made) ==
      "quantize.layers[1] \"Embedding\" matches 1 layer, none of which can be quantized; the plan says why.");
  // skipped layers do not count, and native asks for nothing
  CHECK(ptq::match(weight_only({rule("Conv2d", "int8"), rule("embed", "int8")}, {"embed"}), zoo())
            .warnings.empty());
  CHECK(ptq::match(weight_only({rule("Conv2d", "int8"), rule("embed", "native")}), zoo()).warnings.empty());
}

TEST_CASE("warning: activations under a backend for weights alone") {
  const auto made =
      ptq::match(weight_only({rule("Linear", "int8", "int8"), rule("stem.*", "", "int8")}), zoo());
  REQUIRE(made.warnings.size() == 2);
  CHECK(made.warnings[0] ==
        "quantize.layers[0].activations is ignored: backend \"torchao\" quantizes weights only. Activations "
        "need "
        "backend \"modelopt\" with mode \"static_ptq\".");
  CHECK(named(made, "encoder.fc").activations.dtype == "native");
  CHECK(named(made, "encoder.fc").activations.rule == 0);
  CHECK(named(made, "encoder.fc").activations.reason == "backend \"torchao\" quantizes weights only");
}

TEST_CASE("warning: quant_axis that is ignored") {
  auto from = weight_only({rule("Conv2d", "int8")});
  from.quantize.layers[0].weights->quant_axis.kind = ptq::axis_choice::kind_type::per_tensor;
  CHECK(only_warning(ptq::match(from, zoo())) ==
        "quantize.layers[0].weights.quant_axis: null is ignored: backend \"torchao\" keeps its own "
        "granularity.");
}

TEST_CASE("an axis that the weights of a rule lack") {
  auto from = weight_only({rule("*", "int8")});
  const std::vector<float> values(24, 1.0F);
  std::vector<ptq::layer> layers{{"c", "Conv2d", {values, {2, 3, 2, 2}}}, {"f", "Linear", {values, {4, 6}}}};
  from.quantize.layers[0].weights->quant_axis = {ptq::axis_choice::kind_type::axis, 1};
  CHECK(ptq::check_axes(from, ptq::match(from, layers)));
  from.quantize.layers[0].weights->quant_axis.axis = 2;
  CHECK(
      ptq::check_axes(from, ptq::match(from, layers)).error().what ==
      "quantize.layers[0].weights.quant_axis: is 2, but the weight of layer \"f\" has rank 2, its axes count "
      "from 0.");
  from.quantize.layers[0].weights->quant_axis.axis = 300;  // no axis that a granularity could hold
  CHECK(ptq::check_axes(from, ptq::match(from, layers)).error().what ==
        "quantize.layers[0].weights.quant_axis: is 300, but the weight of layer \"c\" has rank 4, its axes "
        "count "
        "from 0; so it is with 1 more layer.");
  from.quantize.layers[0].weights->quant_axis.axis = 4;
  from.file = "/spec.yaml";
  from.places["quantize.layers[0].weights.quant_axis"] = "5:42";
  const auto made = ptq::match(from, layers);
  CHECK(made.warnings.empty());
  CHECK(ptq::check_axes(from, made).error().what ==
        "/spec.yaml:5:42: quantize.layers[0].weights.quant_axis: is 4, but the weight of layer \"c\" has "
        "rank 4, "
        "its axes count from 0; so it is with 1 more layer.");
  const auto done = ptq::apply(made, layers, [](const ptq::quantized_layer&) {});
  CHECK(done.error().code == ptq::errc::axis_out_of_range);

  // Counted are those that lack the axis, of this rule alone.
  from.quantize.layers[0].weights->quant_axis.axis = 2;
  from.quantize.layers.push_back(rule("other", "int8"));
  from.quantize.layers[1].weights->quant_axis = {ptq::axis_choice::kind_type::axis, 3};
  layers.push_back({"g", "Linear", {values, {6, 4}}});
  layers.push_back({"other", "Linear", {values, {6, 4}}});
  layers.push_back({"d", "Conv2d", {values, {2, 3, 2, 2}}});
  CHECK(ptq::check_axes(from, ptq::match(from, layers)).error().what ==
        "/spec.yaml:5:42: quantize.layers[0].weights.quant_axis: is 2, but the weight of layer \"f\" has "
        "rank 2, its axes count from 0; so it is with 1 more layer.");
}

TEST_CASE("a weight none of whose axes counts output channels has no scale for each of them") {
  ptq::layer stack{"stack", "Linear", shaped({4, 6})};
  stack.axis_reason = "it is a stack";
  const auto weights = [&](ptq::spec from, const ptq::axis_choice& axis) {
    from.quantize.layers[0].weights->quant_axis = axis;
    return ptq::match(from, std::vector{stack}).layers[0].weights;
  };
  using kind = ptq::axis_choice::kind_type;
  const ptq::spec torchao = weight_only({rule("*", "int8")});
  const ptq::spec modelopt = static_ptq({rule("*", "int8")});
  for (const ptq::spec& from : {torchao, modelopt}) {
    CHECK(weights(from, {}).reason == "it is a stack");
    CHECK(weights(from, {kind::axis, 1}).grain == ptq::per_channel(1));
    CHECK(weights(from, {kind::axis, 1}).reason.empty());
  }
  CHECK(weights(torchao, {kind::per_tensor, 0}).reason == "it is a stack");  // it keeps its own granularity
  CHECK(weights(modelopt, {kind::per_tensor, 0}).grain == ptq::per_tensor());
  CHECK(weights(static_ptq({rule("*", "fp8_e4m3fn")}), {}).grain == ptq::per_tensor());
  stack.axis_reason.clear();
  CHECK(weights(torchao, {}).grain == ptq::per_channel(0));
}

TEST_CASE("warning: a class that contradicts the rank") {
  const std::vector<ptq::layer> layers{
      {"a", "Linear", shaped({2, 2})}, {"b", "Conv2d", shaped({2, 2})}, {"c", "MaxPool2d", shaped({2})}};
  const auto made = ptq::match(weight_only({rule("*", "int8")}), layers);
  CHECK(
      only_warning(made) ==
      "layer \"b\": class Conv2d needs a weight of rank 4, this one has rank 2; so it is with 1 more layer.");
  CHECK(made.layers[1].weights.reason == "class Conv2d needs a weight of rank 4, this one has rank 2");
  CHECK(made.layers[2].weights.reason == "class MaxPool2d has no weight, but there is one of rank 1");

  // A scalar is a weight of rank 0, wherever it lies and whatever it holds.
  const float value = 1;
  for (const ptq::any_view& scalar :
       {shaped({}), ptq::any_view(&value, element_type::int32, ptq::tensor_shape()),
        ptq::any_view(&value, element_type::float32, ptq::tensor_shape())})
    CHECK(ptq::match(weight_only({rule("*", "int8")}), std::vector<ptq::layer>{{"s", "Linear", scalar}})
              .layers[0]
              .weights.reason == "class Linear needs a weight of rank 2, this one has rank 0");
  CHECK(ptq::match(weight_only({rule("*", "int8")}), std::vector<ptq::layer>{{"s", "Linear", {}}})
            .layers[0]
            .weights.reason == "it has no constant weight");
}

TEST_CASE("memory that does not have the size of its shape cannot be quantized") {
  const std::vector<float> flat(6);
  const std::vector<ptq::layer> layers{{"a", "Linear", {flat, {2, 4}}}, {"b", "Linear", {flat, {2, 3}}}};
  const auto made = ptq::match(weight_only({rule("*", "int8")}), layers);
  CHECK(made.layers[0].weights.reason ==
        "its weight lies in memory of 6 elements, but its shape [2, 4] has 8");
  CHECK(made.layers[1].weights.dtype == "int8");
}

TEST_CASE("warning: nothing is quantized") {
  CHECK(only_warning(ptq::match(weight_only({}), zoo())) ==
        "nothing is quantized: quantize.layers is empty.");
  CHECK(only_warning(ptq::match(weight_only({}), {})) == "nothing is quantized: the model has no layers.");
  CHECK(only_warning(ptq::match(weight_only({rule("Linear", "int8")}, {"Linear"}), zoo())) ==
        "nothing is quantized: the plan gives the reason for each layer.");
}

TEST_CASE("the warnings of the specification come first") {
  auto from = weight_only({});
  from.warnings = {"first"};
  CHECK(ptq::match(from, zoo()).warnings.front() == "first");
}

TEST_CASE("names of a backend that go on after a dot, and words that the bundle lacks") {
  auto from = static_ptq({rule("Linear", "int8")});
  from.quantize.backend = "modelopt.onnx";
  CHECK(named(ptq::match(from, zoo()), "encoder.fc").is_quantized());
  from.quantize.backend = "other";
  CHECK(named(ptq::match(from, zoo()), "encoder.fc").weights.reason ==
        "\"other\" with \"int8\" is not in this bundle of policies");
  CHECK(named(ptq::match<only_fp8>(weight_only({rule("Linear", "int8")}), zoo()), "encoder.fc")
            .weights.reason == "\"torchao\" with \"int8\" is not in this bundle of policies");

  // What a backend quantizes that nobody knows is not known either.
  from.quantize.layers = {rule("Linear", "int8", "int8")};
  const auto unknown = ptq::match(from, zoo());
  CHECK(named(unknown, "encoder.fc").activations.reason ==
        "\"other\" with \"int8\" is not in this bundle of policies");
  for (const std::string& warning : unknown.warnings)
    CHECK(warning.find("quantizes weights only") == std::string::npos);
}

TEST_CASE("names to skip that are there more than once count alike, and the first is the reason") {
  const auto made = ptq::match(weight_only({}, {"no*", "stem.*", "**", "stem.*", "*", "no*"}), zoo());
  std::vector<std::size_t> matched;
  for (const ptq::pattern_count& count : made.skip_names) matched.push_back(count.matched);
  CHECK(matched == std::vector<std::size_t>{0, 2, 8, 2, 8, 0});
  CHECK(named(made, "stem.conv").skipped_by == 1);
  CHECK(named(made, "pool").skipped_by == 2);
}

TEST_CASE("very many layers, rules and names to skip") {
  std::vector<ptq::layer> layers;
  for (std::size_t i = 0; i < 10'000; ++i)
    layers.push_back({"encoder.layers." + std::to_string(i) + ".fc", "Linear", shaped({8, 8})});
  std::vector<ptq::rule_config> rules{rule("Linear", "int8")};
  std::vector<std::string> skips;
  for (std::size_t i = 0; i < 1'000; ++i) rules.push_back(rule("*dead." + std::to_string(i) + "*", "int8"));
  for (std::size_t i = 0; i < 90'000; ++i) skips.push_back("encoder.layers." + std::to_string(2 * i) + ".fc");
  const auto start = std::chrono::steady_clock::now();
  const auto made = ptq::match(weight_only(std::move(rules), std::move(skips)), layers);
  // minutes, if each pattern were tried and hinted at in turn
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  CHECK(made.rules[0].matched == 10'000);
  CHECK(!made.layers[9'999].skipped_by);
  CHECK(made.layers[9'998].skipped_by == 4'999);
  REQUIRE(made.warnings.size() == 1'000 + 85'000);
  CHECK(made.warnings.back() == "quantize.skip_names[89999] \"encoder.layers.179998.fc\" matches no layer.");
}
