// SPDX-License-Identifier: Apache-2.0
// Arguments `key.path=value` that win over the file.
#include <doctest/doctest.h>

#include <string>

#include "specs.hpp"

namespace {

const std::string file = one_rule("weights: &slot {dtype: int8}\n      activations: *slot");

}  // namespace

TEST_CASE("an argument replaces, adds, and reaches into lists") {
  const ptq::spec made =
      good(file, {"quantize.layers.0.weights.dtype=fp8_e5m2", "quantize.skip_names=[a, \"*fc\"]",
                  "model_path=m.onnx", "results_dir=out", "quantize.layers[0].module_name='*'"});
  CHECK(made.quantize.layers[0].weights->dtype == "fp8_e5m2");
  CHECK(made.quantize.layers[0].activations->dtype == "int8");  // the alias is not touched
  CHECK(made.quantize.layers[0].module_name == "*");
  CHECK(made.quantize.skip_names == std::vector<std::string>{"a", "*fc"});
  CHECK(made.quantize.model_path == "m.onnx");
  CHECK(made.quantize.results_dir == "out");
}

TEST_CASE("sections of data that the file lacks are made; later arguments win") {
  const ptq::spec made = good("train: {lr: 1}\nquantize:",
                              {"quantize.backend=torchao", "dataset.quant_calibration_dataset.inputs=a.npy",
                               "train.lr=2", "quantize.backend=modelopt", "quantize.mode=static_ptq"});
  CHECK(made.quantize.backend == "modelopt");
  CHECK(made.calibration_data->inputs.at("") == "a.npy");
}

TEST_CASE("an empty value is null, and a value may hold an equals sign") {
  CHECK(!good(file, {"quantize.layers.0.activations="}).quantize.layers[0].activations);
  CHECK(good(file, {"model_path=a=b"}).quantize.model_path == "a=b");
  CHECK(good("root: /r\nquantize: {}", {"model_path=${root}/m"}).quantize.model_path == "/r/m");
}

TEST_CASE("arguments neither make the section quantize nor hide what stands there") {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{}, {"model_path=x"}, {"quantize.layers=[]"}, {"quantize={}"}}) {
    CHECK(message("train: {}", arguments) == "spec.yaml:1:1: quantize: there is no section quantize.");
    CHECK(message("train: {}\nquantise:\n  layers: []", arguments) ==
          "spec.yaml:2:1: quantise: there is no section quantize. Did you mean \"quantize\"?");
    CHECK(
        message("train: {}\nbackend: torchao\nlayers: []", arguments) ==
        "spec.yaml:2:1: backend: there is no section quantize, but this key of it stands at top level. Write "
        "quantize: and indent its keys, and what belongs to them, below it.");
    CHECK(message("quantize: [a]", arguments) == "spec.yaml:1:11: quantize: expected a map, found a list.");
    CHECK(message("quantize: torchao", arguments) ==
          "spec.yaml:1:11: quantize: expected a map, found \"torchao\".");
    CHECK(message("[a]", arguments) ==
          "spec.yaml:1:1: an experiment file is a map of sections, this is a list.");
  }
  CHECK(message("quantize: {}", {"quantize=5"}) == "argument 1: quantize: expected a map, found \"5\".");
  CHECK(message("quantize: {}", {"quantize="}) == "argument 1: quantize: the section is empty.");
}

TEST_CASE("a path is taken as it is; everything else is YAML") {
  const ptq::spec made =
      good(file, {"results_dir=my #1 out", "model_path=\"a\": [b", "evaluate.inputs.x= y # z",
                  "evaluate.labels=l: m", "quantize.skip_names=[a] # a comment",
                  "dataset.quant_calibration_dataset.inputs={ids: a.npy, mask: b.npy}",
                  "ptq.calibration.statistics=*", "ptq.module_types={fc: Linear}"});
  CHECK(made.quantize.results_dir == "my #1 out");
  CHECK(made.quantize.model_path == "\"a\": [b");
  CHECK(made.evaluation_data->inputs.at("x") == " y # z");
  CHECK(made.evaluation_data->labels == "l: m");
  CHECK(made.quantize.skip_names == std::vector<std::string>{"a"});
  CHECK(made.calibration_data->inputs.at("mask") == "b.npy");
  CHECK(made.ptq.calibration.statistics == "*");
  CHECK(made.ptq.module_types.at("fc") == "Linear");
}

TEST_CASE("errors are located at the argument") {
  CHECK(message(file, {"quantize.mode=weight_only_ptq", "quantize.layers.0.weights.dtype=int7"}) ==
        "argument 2: quantize.layers[0].weights.dtype: unknown word \"int7\". Allowed: int8, fp8_e4m3fn, "
        "fp8_e5m2, native. Did "
        "you mean \"int8\"?");
  CHECK(message(file, {"quantize.backed=torchao"})
            .starts_with("argument 1: quantize.backed: unknown key. Allowed: backend, "));
  CHECK(message(file, {"quantise.backend=torchao"}) ==
        "argument 1: quantise.backend: there is no section \"quantise\". Did you mean \"quantize.backend\"?");
  CHECK(message(file, {"modle_path=x"}) ==
        "argument 1: modle_path: there is no section \"modle_path\". Did you mean \"quantize.model_path\"?");
  CHECK(message(file, {"backend=modelopt"}).ends_with("Did you mean \"quantize.backend\"?"));
  CHECK(message(file, {"layers.0.weights.dtype=int8"})
            .ends_with("Did you mean \"quantize.layers.0.weights.dtype\"?"));
  CHECK(message(file, {"evalaute.inputs=x"}).ends_with("Did you mean \"evaluate.inputs\"?"));
  CHECK(message(file, {"zzzzzz.inputs=x"}).ends_with("there is no section \"zzzzzz\"."));
  CHECK(message(file, {"quantize.layers.1.module_name=a"}) ==
        "argument 1: quantize.layers.1.module_name: \"1\" is not an index of quantize.layers, which has 1 "
        "item, counted from 0.");
  CHECK(message(file, {"quantize.layers.-1.module_name=a"}).find("\"-1\" is not an index") !=
        std::string::npos);
  CHECK(message(file, {"quantize.backend.name=a"}) ==
        "argument 1: quantize.backend.name: quantize.backend is a word: it has no \"name\" to set.");
  CHECK(message(file, {"quantize.layers=5"}) == "argument 1: quantize.layers: expected a list, found \"5\".");
  CHECK(message(file, {"quantize.skip_names=[[a]]"}) ==
        "argument 1: quantize.skip_names[0]: expected a word, found a list. A pattern that starts with \"[\" "
        "must be in quotes.");
  CHECK(message(file, {"quantize.mode=static_ptq"})
            .starts_with("argument 1: quantize.mode: backend \"torchao\" goes with mode"));
  CHECK(message(file, {"model_path=???"})
            .starts_with("argument 1: quantize.model_path: the mandatory value is missing"));
}

TEST_CASE("arguments that are no assignment") {
  const auto advised = [&](const std::string& argument, const std::string& form) {
    return message(file, {argument}) == "argument 1: \"" + argument +
                                            "\" is not of the form key.path=value. A file is given as " +
                                            form + ".";
  };
  CHECK(advised("model", "model_path=model"));
  CHECK(advised("a/model.onnx", "model_path=a/model.onnx"));
  CHECK(advised("spec.yaml", "-e spec.yaml"));
  CHECK(advised("x.npy", "dataset.quant_calibration_dataset.inputs=x.npy"));
  CHECK(advised("all.ptqcal", "ptq.calibration.statistics=all.ptqcal"));
  CHECK(message(file, {"=x"}) == "argument 1: \"=x\" is not of the form key.path=value.");
  CHECK(message(file, {"quantize..mode=x"}) ==
        "argument 1: \"quantize..mode\" is not a path of keys like quantize.backend.");
  CHECK(message(file, {"quantize.skip_names=[*fc]"}) ==
        "argument 1: the value of quantize.skip_names: 1:2: this is not YAML: the referenced anchor is not "
        "defined. A word that "
        "starts with \"*\" must be in quotes.");
}
