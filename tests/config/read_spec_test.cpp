// SPDX-License-Identifier: Apache-2.0
// Specifications that are right: what each key means, aliases, defaults and warnings.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "ptq/config/to_yaml.hpp"
#include "specs.hpp"

using kind = ptq::axis_choice::kind_type;

TEST_CASE("the documentation's first example") {
  const auto made = ptq::read_spec(PTQ_GOLDEN_DIR "/spec/example-weight-only.yaml",
                                   std::vector<std::string>{"model_path=a.safetensors", "results_dir=out"});
  REQUIRE(made.has_value());
  const ptq::quantize_config& q = made->quantize;
  CHECK(q.backend == "torchao");
  CHECK(q.mode == "weight_only_ptq");
  CHECK(q.algorithm == "minmax");
  REQUIRE(q.layers.size() == 1);
  CHECK(q.layers[0] == ptq::rule_config{"Linear", ptq::slot_config{"int8", {}}, std::nullopt});
  CHECK(q.skip_names == std::vector<std::string>{"classifier.fc"});
  CHECK(q.model_path == "a.safetensors");
  CHECK(q.results_dir == "out");
  REQUIRE(made->warnings.size() == 1);
  CHECK(made->warnings[0] ==
        "quantize.default_layer_dtype: int8 is ignored, as TAO documents. Write a rule instead: layers: "
        "[{module_name: \"*\", weights: {dtype: int8}}].");
}

TEST_CASE("the documentation's second example") {
  const auto made = ptq::read_spec(PTQ_GOLDEN_DIR "/spec/example-static.yaml");
  REQUIRE(made.has_value());
  CHECK(made->quantize.backend == "modelopt");
  REQUIRE(made->quantize.layers.size() == 2);
  CHECK(made->quantize.layers[0].module_name == "Conv2d");
  CHECK(made->quantize.layers[1].activations == ptq::slot_config{"int8", {}});
  CHECK(made->quantize.model_path.empty());
  CHECK(made->warnings.size() == 2);
  CHECK(std::filesystem::path(made->file).is_absolute());
}

TEST_CASE("defaults are those of the schema") {
  const ptq::spec made = good("quantize: {}");
  CHECK(made.quantize == ptq::quantize_config{});
  CHECK(made.quantize.backend == "torchao");
  CHECK(made.quantize.mode == "weight_only_ptq");
  CHECK(made.quantize.algorithm == "minmax");
  CHECK(made.quantize.default_layer_dtype == "native");
  CHECK(made.quantize.default_activation_dtype == "native");
  CHECK(!made.data());
  CHECK(made.warnings.empty());
  const ptq::spec nulls = good(
      "quantize: {layers: null, skip_names: ~, algorithm: , model_path: null, default_layer_dtype: null}");
  CHECK(nulls.quantize == ptq::quantize_config{});
}

TEST_CASE("words: aliases and case") {
  const auto dtype = [](const char* word) {
    return good(one_rule(std::string("weights: {dtype: ") + word + "}")).quantize.layers[0].weights->dtype;
  };
  CHECK(dtype("float8_e4m3fn") == "fp8_e4m3fn");
  CHECK(dtype("FLOAT8_E5M2") == "fp8_e5m2");
  CHECK(dtype("fp8_E4M3FN") == "fp8_e4m3fn");
  CHECK(dtype("\"INT8\"") == "int8");
  CHECK(dtype("Native") == "native");
  for (const char* word : {"modelopt", "modelopt.pytorch", "modelopt.onnx"})
    CHECK(good("quantize: {mode: STATIC_PTQ, backend: " + std::string(word) + "}").quantize.backend == word);
  CHECK(good("quantize: {algorithm: max}").quantize.algorithm == "minmax");
  CHECK(good("quantize: {algorithm: Entropy}").quantize.algorithm == "entropy");
}

TEST_CASE("quant_axis: absent, null or a number") {
  const auto axis = [](const char* slot) {
    return good(one_rule(slot)).quantize.layers[0].weights->quant_axis;
  };
  CHECK(axis("weights: {dtype: int8}") == ptq::axis_choice{});
  CHECK(axis("weights: {dtype: int8, quant_axis: null}") == ptq::axis_choice{kind::per_tensor, 0});
  CHECK(axis("weights: {dtype: int8, quant_axis: 1}") == ptq::axis_choice{kind::axis, 1});
  const auto warnings = good(one_rule("activations: {dtype: int8, quant_axis: 0}")).warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0] ==
        "quantize.layers[0].activations.quant_axis is ignored: activations have one scale per tensor.");
}

TEST_CASE("an entry may carry both slots, one, or none") {
  const ptq::spec made = good(
      "quantize:\n  layers:\n    - {module_name: a, weights: null, activations: {dtype: native}}\n    - "
      "module_name: 5\n");
  CHECK(!made.quantize.layers[0].weights);
  CHECK(made.quantize.layers[0].activations->dtype == "native");
  CHECK(made.quantize.layers[1].module_name == "5");
}

TEST_CASE("keys of TAO that change nothing are accepted, and warned of where they say something") {
  const ptq::spec made = good(
      "quantize:\n  device: cuda\n  backend_kwargs: {}\n  layers:\n    - module_name: Linear\n      weights: "
      "{dtype: int8, "
      "observer_or_fake_quant: mse, observer_or_fake_quant_kwargs: {}}\n");
  REQUIRE(made.warnings.size() == 2);
  CHECK(made.warnings[0] == "quantize.device has no effect: ptq has no use for it.");
  CHECK(made.warnings[1] ==
        "quantize.layers[0].weights.observer_or_fake_quant has no effect: ptq has no use for it.");
}

TEST_CASE("other sections are left alone") {
  const ptq::spec made = good(R"(
train:
  x: ???
  y: ${oc.env:HOME}
  <<: {a: 1}
model: [1, 2]
encryption_key: ${oc.env:KEY}
quantize: {backend: torchao}
evaluate:
  checkpoint: ???
  batch_size: -1
dataset: {train_dataset: {a: 1}}
)");
  CHECK(!made.data());
  CHECK(made.warnings.empty());
}

TEST_CASE("results_dir: the section's own, else the top one and /quantize") {
  CHECK(good("results_dir: /r\nquantize: {results_dir: /q}").quantize.results_dir == "/q");
  CHECK(good("results_dir: /r\nquantize: {results_dir: \"\"}").quantize.results_dir == "/r/quantize");
  CHECK(good("quantize: {}").quantize.results_dir.empty());
}

TEST_CASE("anchors, aliases and interpolations") {
  const ptq::spec made = good(
      "root: /data\nname: ${root}/m\nslot: &slot {dtype: int8}\nquantize:\n  model_path: "
      "${name}.safetensors\n  results_dir: "
      "${quantize.backend}-\\${x}\n  layers:\n    - {module_name: a, weights: *slot}\n    - {module_name: b, "
      "weights: "
      "'${quantize.layers[0].weights}'}\n    - '${quantize.layers.0}'\n  backend: torchao\n");
  CHECK(made.quantize.model_path == "/data/m.safetensors");
  CHECK(made.quantize.results_dir == "torchao-${x}");
  CHECK(made.quantize.layers[0].weights->dtype == "int8");
  CHECK(made.quantize.layers[1].weights->dtype == "int8");
  CHECK(made.quantize.layers[2] == made.quantize.layers[0]);
}

TEST_CASE("data to calibrate with") {
  const ptq::spec made = good(
      "quantize: {backend: modelopt, mode: static_ptq}\ndataset:\n  quant_calibration_dataset:\n    inputs: "
      "{a: a.npy, b: b.npz}\n"
      "    batch_size: 8\n    max_samples: 100\n    scale: 0.5\n    mean: [1, 2.5, .25]\n    std: [1, 2, "
      "+3e-1]\n"
      "evaluate: {inputs: t.npy, labels: l.npy, checkpoint: x, max_samples: all}\n");
  REQUIRE(made.calibration_data.has_value());
  CHECK(made.data() == &*made.calibration_data);
  CHECK(made.calibration_data->inputs == std::map<std::string, std::string>{{"a", "a.npy"}, {"b", "b.npz"}});
  CHECK(made.calibration_data->batch_size == 8);
  CHECK(made.calibration_data->max_samples == 100);
  CHECK(made.calibration_data->mean == ptq::channel_values{1, 2.5, 0.25});
  CHECK(made.calibration_data->std == ptq::channel_values{1, 2, 0.3});
  REQUIRE(made.evaluation_data.has_value());
  CHECK(made.evaluation_data->labels == "l.npy");
  CHECK(made.evaluation_data->inputs.at("") == "t.npy");
  CHECK(!made.evaluation_data->max_samples);
  CHECK(made.evaluation_data->batch_size == 32);
}

TEST_CASE("without calibration data, evaluation data is reused") {
  const ptq::spec made = good("quantize: {}\nevaluate: {inputs: t.npy}");
  CHECK(!made.calibration_data);
  CHECK(made.data() == &*made.evaluation_data);
  const ptq::spec recorded = good("quantize: {}\ndataset: {quant_calibration_dataset: {activations: a.npz}}");
  CHECK(recorded.data()->activations == "a.npz");
}

TEST_CASE("the section ptq") {
  const ptq::spec made = good(
      "quantize: {}\nptq:\n  module_types: {up: ConvTranspose2d, a.b: Linear}\n  calibration: {algorithm: "
      "percentile, percentile: "
      "99.9, bins: 1024, statistics: a.ptqcal}\n  checkpoint: {key: ema.module, strip_prefix: module.}\n");
  CHECK(made.ptq.module_types.at("a.b") == "Linear");
  CHECK(made.ptq.calibration.algorithm == "percentile");
  CHECK(made.ptq.calibration.percentile == 99.9);
  CHECK(made.ptq.calibration.bins == 1024);
  CHECK(made.ptq.calibration.statistics == "a.ptqcal");
  CHECK(made.ptq.checkpoint.key == "ema.module");
  CHECK(made.ptq.checkpoint.strip_prefix == std::vector<std::string>{"module."});
  CHECK(good("quantize: {}\nptq: {checkpoint: {key: }}").ptq.checkpoint.key.empty());
  const ptq::spec several = good("quantize: {}\nptq: {checkpoint: {strip_prefix: [module., model., ]}}");
  CHECK(several.ptq.checkpoint.strip_prefix == std::vector<std::string>{"module.", "model."});
  CHECK(message("quantize: {}\nptq: {checkpoint: {strip_prefix: {a: b}}}").find("expected a word") !=
        std::string::npos);
  CHECK(message("quantize: {}\nptq: {checkpoint: {keys: x}}").find("Did you mean \"key\"?") !=
        std::string::npos);
}

TEST_CASE("module types from a file, in JSON or YAML") {
  const auto folder = std::filesystem::temp_directory_path() / "ptq_read_spec_test";
  std::filesystem::create_directories(folder);
  const std::string file = (folder / "types.json").string();
  std::ofstream(file) << R"({"up": "ConvTranspose2d", "encoder.fc": "Linear"})";
  const ptq::spec made = good("quantize: {}\nptq: {module_types: " + file + "}");
  CHECK(made.ptq.module_types.size() == 2);
  CHECK(made.ptq.module_types.at("encoder.fc") == "Linear");
  std::ofstream(file) << "[1]";
  CHECK(message("quantize: {}\nptq: {module_types: " + file + "}") ==
        "spec.yaml:2:21: ptq.module_types: " + file + ":1:1: expected a map of layer names to class names.");
  std::filesystem::remove_all(folder);
  CHECK(message("quantize: {}\nptq: {module_types: " + file + "}") ==
        "spec.yaml:2:21: ptq.module_types: " + file + ": there is no such file.");
}

TEST_CASE("an own bundle brings its words") {
  ptq::spec_words words;
  words.dtypes = {"int4", "native"};
  words.calibrators = words.tao_calibrators = {"minmax"};
  words.backends = {{"mine", "my_mode", false}};
  const auto made = ptq::parse_spec(
      "quantize: {backend: mine, mode: my_mode, layers: [{module_name: a, weights: {dtype: int4}}]}", "s", {},
      words);
  REQUIRE(made.has_value());
  CHECK(made->quantize.layers[0].weights->dtype == "int4");
  CHECK(ptq::parse_spec("quantize: {backend: modelopt.onnx, mode: my_mode}", "s", {}, words).error().what ==
        "s:1:21: quantize.backend: unknown word \"modelopt.onnx\". Allowed: mine.");
}

TEST_CASE("where a field is") {
  const ptq::spec made = good("quantize:\n  model_path: a\n", {"results_dir=b"});
  CHECK(made.where("quantize.model_path") == "spec.yaml:2:15: quantize.model_path");
  CHECK(made.where("quantize.results_dir") == "argument 1: quantize.results_dir");
  CHECK(made.where("evaluate.inputs") == "spec.yaml: evaluate.inputs");
  CHECK(ptq::spec{}.where("quantize.model_path") == "quantize.model_path");
}

TEST_CASE("what to_yaml writes reads back as the same specification") {
  const ptq::spec made = good(R"(
results_dir: /r
quantize:
  backend: modelopt.onnx
  mode: static_ptq
  algorithm: entropy
  default_layer_dtype: fp8_e5m2
  model_path: "a \"b\" \\ \t \x01 é \\${x} #: - ???"
  layers:
    - {module_name: "*", weights: {dtype: int8, quant_axis: 1}, activations: {dtype: native}}
    - {module_name: "[!a]?", weights: {dtype: float8_e5m2, quant_axis: null}}
    - {module_name: "null"}
  skip_names: ["*head*", "true", "1"]
dataset:
  quant_calibration_dataset: {inputs: {"x: y": a.npy, b: b}, scale: 0.00392156862745098, mean: [0.485, 0.456], std: 1e-30, max_samples: 7}
evaluate: {inputs: e.npy, labels: l.npy, task: {y: binary}, class_axis: {y: -1, z: 1}}
ptq:
  module_types: {"a: b": Conv2d}
  calibration: {algorithm: mse, percentile: 99.999, bins: 512, statistics: "a: b.ptqcal"}
)");
  const ptq::spec again = good(ptq::to_yaml(made));
  CHECK(again.quantize == made.quantize);
  CHECK(again.calibration_data == made.calibration_data);
  CHECK(again.evaluation_data == made.evaluation_data);
  CHECK(again.ptq == made.ptq);
  const ptq::spec plain = good("quantize: {}");
  CHECK(good(ptq::to_yaml(plain)).quantize == plain.quantize);
  CHECK(good(ptq::to_yaml(plain)).ptq == plain.ptq);
}

TEST_CASE(
    "a folder of pictures takes what TAO does to pixels from the section beside it, unless ours says it") {
  const auto pictures = [](const std::string& own,
                           const std::string& shared = "augmentation: {mean: [0.5, 0.25, 0]}") {
    return good("quantize: {}\ndataset: {" + shared + ", quant_calibration_dataset: {images_dir: /val" + own +
                "}}");
  };
  const ptq::data_config shared = *pictures("").calibration_data;
  CHECK(shared.images_dir == "/val");
  CHECK(shared.normalized_by == "dataset.augmentation");
  CHECK(shared.scale == ptq::channel_values{1.0 / 255});
  CHECK(shared.mean == ptq::channel_values{0.5, 0.25, 0});
  CHECK(shared.std == ptq::channel_values{1});

  const ptq::spec own =
      pictures(", augmentation: {input_mean: [124, 116, 104], input_std: 58}, shuffle: false");
  CHECK(own.calibration_data->normalized_by == "dataset.quant_calibration_dataset.augmentation");
  CHECK(own.calibration_data->scale == ptq::channel_values{1});
  CHECK(own.calibration_data->std == ptq::channel_values{58});
  REQUIRE(own.warnings.size() == 1);
  CHECK(own.warnings[0].starts_with("dataset.quant_calibration_dataset.shuffle has no effect"));

  for (const char* word : {", scale: 2", ", mean: 1", ", std: 2", ", inputs: a.npy"})
    CHECK(pictures(word).calibration_data->normalized_by.empty());
  CHECK(good("quantize: {}\nevaluate: {images_dir: /val, normalization: {std: 2}}")
            .evaluation_data->normalized_by == "evaluate.normalization");
}

TEST_CASE("a section of data that names none is not used, and that is said") {
  for (const char* const section :
       {"batch_size: 4, mean: 1", "images_dir: ''", "images_dir: '\?\?\?'", "inputs: ", "inputs: {}", "",
        "activations: '', images_dir: '${dataset.todo}', scale: 2"}) {
    CAPTURE(section);
    const ptq::spec made = good("quantize: {}\ndataset: {todo: '\?\?\?', quant_calibration_dataset: {" +
                                std::string(section) + "}}");
    CHECK(!made.calibration_data);
    REQUIRE(made.warnings.size() == 1);
    CHECK(
        made.warnings[0].starts_with("dataset.quant_calibration_dataset names no data, so it is not used: "));
  }
  const ptq::spec filled = good(
      "quantize: {}\ndataset: {quant_calibration_dataset: {inputs: a.npy, images_dir: '\?\?\?'}}\n"
      "evaluate: {inputs: '\?\?\?', labels: l.npy, metric: [f1]}");
  CHECK(filled.warnings.empty());
  CHECK(filled.calibration_data->images_dir.empty());
  CHECK(filled.calibration_data->inputs.at("") == "a.npy");
  CHECK(!filled.evaluation_data);
  CHECK(good("quantize: {}\nevaluate: {inputs: '\?\?\?'}", {"evaluate.inputs=b.npy"})
            .evaluation_data->inputs.at("") == "b.npy");
}
