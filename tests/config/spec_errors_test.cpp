// SPDX-License-Identifier: Apache-2.0
// Specifications that are wrong: each message says where, what was expected, and what to do.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "specs.hpp"
#include "support/temporary_folder.hpp"

namespace {

std::string named(int i) {
  std::string name = "a";
  return name.append(std::to_string(i));
}

}  // namespace

TEST_CASE("a file that is missing, empty, or a directory") {
  CHECK(ptq::read_spec("/nowhere/spec.yaml").error().what == "/nowhere/spec.yaml: there is no such file.");
  CHECK(ptq::read_spec("/nowhere/spec.yaml").error().code == ptq::errc::cannot_open);
  const std::string here = std::filesystem::current_path().string();
  CHECK(ptq::read_spec(".").error().what.ends_with("this is a directory, not a file."));
  CHECK(ptq::read_spec("no.yaml").error().what == here + "/no.yaml: there is no such file.");
  const temporary_folder temporary;
  write_file(temporary / "static.yaml", "quantize: {}\n");
  CHECK(ptq::read_spec(temporary / "sttaic.yaml").error().what ==
        temporary / "sttaic.yaml" + ": there is no such file. Did you mean \"static.yaml\"?");
  for (const char* empty : {"", "\n\n", "# a comment\n", "---\n", "null\n"})
    CHECK(message(empty) == "spec.yaml: the file is empty: a section quantize is expected.");
}

TEST_CASE("pipes are refused instead of waited for") {
  const auto folder = std::filesystem::temp_directory_path() / "ptq_spec_errors_test";
  std::filesystem::create_directories(folder);
  const std::string pipe = (folder / "pipe.yaml").string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const std::string refusal =
      ": this is not a regular file but a pipe or a device. Write the text into a file, and give that.";
  CHECK(ptq::read_spec(pipe).error().what == pipe + refusal);
  CHECK(message("quantize: {}\nptq: {module_types: " + pipe + "}") ==
        "spec.yaml:2:21: ptq.module_types: " + pipe + refusal);
  std::filesystem::remove_all(folder);
}

TEST_CASE("text that is not YAML") {
  CHECK(message("quantize:\n  backend: \"torchao\n  mode: \"weight_only_ptq\"\n") ==
        "spec.yaml:3:10: this is not YAML: end of map not found.");
  CHECK(message("quantize:\n  layers: [a, b\n") ==
        "spec.yaml:3:1: this is not YAML: end of sequence flow not found.");
  CHECK(message("quantize:\n  skip_names: [*fc]\n") ==
        "spec.yaml:2:16: this is not YAML: the referenced anchor is not defined. A word that starts with "
        "\"*\" must be in quotes.");
  CHECK(parse("a: [").error().code == ptq::errc::syntax);
  CHECK(message("quantize: {}\n---\nquantize: {}\n") ==
        "spec.yaml:3:1: text goes on after the end of the document.");
  CHECK(message(std::string("quantize:\0", 10)) ==
        "spec.yaml: byte 9 is 0: this is not a text. Save it as UTF-8.");
  CHECK(message("quantize: {}\n# \xc3(\n") ==
        "spec.yaml: byte 15 is not UTF-8: this is not a text. Save it as UTF-8.");
}

TEST_CASE("another kind of file says what it looks like") {
  struct beginning {
    std::string bytes;
    const char* look;
  };
  for (const auto& [bytes, look] : {beginning{"\x93NUMPY\x01", "a NumPy array (.npy)"},
                                    {std::string("PK\x03\x04\x14\0", 6), "a zip archive"},
                                    {std::string("\x40\0\0\0\0\0\0\0{\"", 10), "a safetensors file"},
                                    {std::string("\x08\x08\x12\0", 4), "an ONNX model"}}) {
    CAPTURE(look);
    const std::string said = message(bytes);
    CHECK_MESSAGE(said.find(std::string(": this is not a text: it looks like ") + look) != std::string::npos,
                  said);
    CHECK(said.ends_with(". Give a YAML file."));
    const std::string large = message(bytes + std::string(std::size_t{20} << 20, ' '));
    CHECK_MESSAGE(large.find(std::string("MiB: it looks like ") + look) != std::string::npos, large);
    const std::string text = "quantize: {}\n#" + bytes + "\xff";  // it begins as a text
    CHECK(message(text).ends_with(": this is not a text. Save it as UTF-8."));
  }
}

TEST_CASE("tabs cannot indent") {
  const std::string hint = " Line 3 is indented with a tab: tabs cannot indent YAML, write spaces.";
  CHECK(message("quantize:\n  layers:\n\t- module_name: Linear\n").ends_with(hint));
  CHECK(message("# a\nquantize:\n\tbackend: torchao\n\tmode: weight_only_ptq\n").ends_with(hint));
  CHECK(message("quantize: [a,\n  b\n").find("tab") == std::string::npos);
  CHECK(good("quantize:\t{model_path: a}\n\t\n").quantize.model_path == "a");
}

TEST_CASE("a key that is nearly one of ours is not passed over in silence") {
  const auto warnings = [](const char* text, const std::vector<std::string>& arguments = {}) {
    return good(std::string("quantize: {}\n") + text, arguments).warnings;
  };
  using texts = std::vector<std::string>;
  CHECK(warnings("evaluate: {inptus: a.npy}") ==
        texts{"evaluate.inptus has no effect. Did you mean \"inputs\"?"});
  CHECK(warnings("evaluate: {inputs: a.npy, lables: b.npy}") ==
        texts{"evaluate.lables has no effect. Did you mean \"labels\"?"});
  CHECK(warnings("", {"evaluate.batchsize=2"}) ==
        texts{"evaluate.batchsize has no effect. Did you mean \"batch_size\"?"});
  CHECK(
      warnings("", {"dataset.quant_calibration_datasets.inputs=a.npy"}) ==
      texts{"dataset.quant_calibration_datasets has no effect. Did you mean \"quant_calibration_dataset\"?"});
  CHECK(warnings("evaluate: {checkpoint: a, num_gpus: 1, mean: 0, input_width: 1, batch_size: 1}\n"
                 "dataset: {train_dataset: {}, test_dataset: {}}")
            .empty());
}

TEST_CASE("text that is too much") {
  CHECK(message(std::string(2 << 20, ' ')) == "spec.yaml: the text is larger than 1 MiB.");
  CHECK(message(std::string(100000, '[')).ends_with("the text is nested more than 64 levels deep."));
  CHECK(message("quantize: " + std::string(200, '[') + std::string(200, ']')) ==
        "spec.yaml:1:74: the text is nested more than 64 levels deep.");
  CHECK(message("quantize: &a {layers: [*a]}").ends_with("an alias stands inside what it stands for."));
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  std::string doubling = "a0: xxxxxxxxxx\n";
  for (int i = 1; i < 16; ++i) {
    const std::string key = named(i);
    const std::string before = named(i - 1);
    if (i < 12) laughs.append(key + ": &" + key + " [*" + before);
    for (int k = 1; i < 12 && k < 10; ++k) laughs.append(", *" + before);
    if (i < 12) laughs.append("]\n");
    doubling.append(key + ": ${" + before + "}${" + before + "}\n");
  }
  CHECK(message(laughs + "quantize: {}\n")
            .ends_with("the text holds too many values (aliases count each time)."));
  CHECK(message(doubling + "quantize: {model_path: \"${a15}\"}\n").ends_with("grow beyond 1 MiB."));
}

TEST_CASE("the outer form") {
  CHECK(message("- a\n") == "spec.yaml:1:1: an experiment file is a map of sections, this is a list.");
  CHECK(message("quantize") ==
        "spec.yaml:1:1: an experiment file is a map of sections, this is \"quantize\".");
  CHECK(message("train: {}\n") == "spec.yaml:1:1: quantize: there is no section quantize.");
  CHECK(message("quantize:\ntrain: {}\n") == "spec.yaml:1:1: quantize: the section is empty.");
  CHECK(message("quantize: torchao\n") == "spec.yaml:1:11: quantize: expected a map, found \"torchao\".");
  CHECK(message("? [a]\n: b\n") == "spec.yaml:1:3: a key must be a word.");
}

TEST_CASE("lost indentation") {
  const std::string text =
      "spec.yaml:2:1: backend: the keys of quantize stand beside it: indent them, and what belongs to them, "
      "below quantize:.";
  CHECK(message("quantize:\nbackend: \"torchao\"\nmode: \"weight_only_ptq\"\n") == text);
  CHECK(message("quantize:   \nbackend: \"modelopt\"\nlayers:\n- module_name: \"Conv2d\"\nweights: { dtype: "
                "\"int8\" }\n- module_name: \"Linear\"\n") == text);
  CHECK(message("quantize:\n\n# why\nlayers:\n") ==
        "spec.yaml:4:1: layers: the keys of quantize stand beside it: indent them, and what belongs to them, "
        "below quantize:.");
  CHECK(good("quantize:\n  backend: torchao\nmode: x\n").quantize.backend == "torchao");
}

TEST_CASE("unknown keys") {
  CHECK(
      message("quantize:\n  backnd: torchao\n") ==
      "spec.yaml:2:3: quantize.backnd: unknown key. Allowed: backend, mode, algorithm, default_layer_dtype, "
      "default_activation_dtype, layers, skip_names, model_path, results_dir. Did you mean \"backend\"?");
  CHECK(message(one_rule("weight: {dtype: int8}")) ==
        "spec.yaml:5:7: quantize.layers[0].weight: unknown key. Allowed: module_name, weights, activations. "
        "Did you mean \"weights\"?");
  CHECK(message(one_rule("weights: {dtyp: int8}")) ==
        "spec.yaml:5:17: quantize.layers[0].weights.dtyp: unknown key. Allowed: dtype, quant_axis. Did you "
        "mean \"dtype\"?");
  CHECK(message("quantize: {}\nptq: {moduletypes: a}\n") ==
        "spec.yaml:2:7: ptq.moduletypes: unknown key. Allowed: module_types, calibration, data, checkpoint. "
        "Did you mean "
        "\"module_types\"?");
  CHECK(
      message("quantize: {}\nptq: {calibration: {zzz: a}}\n") ==
      "spec.yaml:2:21: ptq.calibration.zzz: unknown key. Allowed: algorithm, percentile, bins, statistics.");
  CHECK(message("quantize: {}\ndataset: {quant_calibration_dataset: {input: a.npy}}\n") ==
        "spec.yaml:2:39: dataset.quant_calibration_dataset.input: unknown key. Allowed: inputs, activations, "
        "images_dir, batch_size, max_samples, scale, mean, std. Did you mean \"inputs\"?");
  CHECK(parse("quantize: {observer_or_fake_quant: x}").error().code == ptq::errc::unknown_key);
}

TEST_CASE("unknown words") {
  CHECK(message(one_rule("weights: {dtype: int9}")) ==
        "spec.yaml:5:24: quantize.layers[0].weights.dtype: unknown word \"int9\". Allowed: int8, fp8_e4m3fn, "
        "fp8_e5m2, "
        "native. Did you mean \"int8\"?");
  CHECK(message(one_rule("activations: {dtype: e4m3}")) ==
        "spec.yaml:5:28: quantize.layers[0].activations.dtype: unknown word \"e4m3\". Allowed: int8, "
        "fp8_e4m3fn, fp8_e5m2, native. Did you mean \"fp8_e4m3fn\"?");
  CHECK(message("quantize: {backend: TorchAO}") ==
        "spec.yaml:1:21: quantize.backend: unknown word \"TorchAO\". Allowed: torchao, modelopt, "
        "modelopt.pytorch, modelopt.onnx. Did you mean \"torchao\"?");
  CHECK(message("quantize: {backend: torcaho}").ends_with("Did you mean \"torchao\"?"));
  CHECK(
      message("quantize: {mode: static}") ==
      "spec.yaml:1:18: quantize.mode: unknown word \"static\". Allowed: weight_only_ptq, static_ptq. Did you "
      "mean \"static_ptq\"?");
  CHECK(message("quantize: {algorithm: entrpy}") ==
        "spec.yaml:1:23: quantize.algorithm: unknown word \"entrpy\". Allowed: minmax, entropy. Did you mean "
        "\"entropy\"?");
  CHECK(message("quantize: {algorithm: percentile}") ==
        "spec.yaml:1:23: quantize.algorithm: \"percentile\" is not an algorithm of TAO. Write ptq: "
        "{calibration: {algorithm: "
        "percentile}} beside the section quantize.");
  CHECK(message("quantize: {default_layer_dtype: int4}") ==
        "spec.yaml:1:33: quantize.default_layer_dtype: unknown word \"int4\". Allowed: int8, fp8_e4m3fn, "
        "fp8_e5m2, native. Did "
        "you mean \"int8\"?");
  CHECK(message("quantize: {}\nptq: {calibration: {algorithm: kl}}") ==
        "spec.yaml:2:32: ptq.calibration.algorithm: unknown word \"kl\". Allowed: minmax, entropy, "
        "percentile, mse.");
}

TEST_CASE("wrong pairs name the right partner") {
  CHECK(message("quantize:\n  backend: torchao\n  mode: static_ptq\n") ==
        "spec.yaml:3:9: quantize.mode: backend \"torchao\" goes with mode \"weight_only_ptq\", not with "
        "\"static_ptq\", which goes "
        "with backend \"modelopt\".");
  CHECK(message("quantize:\n  backend: modelopt.onnx\n") ==
        "spec.yaml:2:3: quantize.mode: backend \"modelopt.onnx\" goes with mode \"static_ptq\", not with "
        "\"weight_only_ptq\", "
        "which goes with backend \"torchao\".");
  CHECK(parse("quantize: {backend: modelopt}").error().code == ptq::errc::wrong_pair);
}

TEST_CASE("wrong types") {
  CHECK(message("quantize: {layers: 5}") == "spec.yaml:1:20: quantize.layers: expected a list, found \"5\".");
  CHECK(message("quantize: {layers: {a: b}}") ==
        "spec.yaml:1:20: quantize.layers: expected a list, found a map.");
  CHECK(message("quantize: {layers: [Linear]}") ==
        "spec.yaml:1:21: quantize.layers[0]: expected a map, found \"Linear\".");
  CHECK(message("quantize: {skip_names: fc}") ==
        "spec.yaml:1:24: quantize.skip_names: expected a list, found \"fc\".");
  CHECK(message("quantize: {skip_names: [[fc]]}") ==
        "spec.yaml:1:25: quantize.skip_names[0]: expected a word, found a list. A pattern that starts with "
        "\"[\" must be in quotes.");
  CHECK(message("quantize: {backend: [torchao]}") ==
        "spec.yaml:1:21: quantize.backend: expected a word, found a list.");
  CHECK(message("quantize: {model_path: {a: b}}") ==
        "spec.yaml:1:24: quantize.model_path: expected a word, found a map.");
  CHECK(message(one_rule("weights: int8")) ==
        "spec.yaml:5:16: quantize.layers[0].weights: expected a map, found \"int8\": write {dtype: int8}.");
  CHECK(message(one_rule("weights: [int8]")) ==
        "spec.yaml:5:16: quantize.layers[0].weights: expected a map, found a list.");
  CHECK(message("quantize: {}\nptq: {module_types: [1]}") ==
        "spec.yaml:2:21: ptq.module_types: expected a file or a map, found a list.");
  CHECK(message("quantize: {}\nevaluate: {inputs: [x.npy]}") ==
        "spec.yaml:2:20: evaluate.inputs: expected a file or a map, found a list.");
  const auto data = [](const std::string& text) {
    return message("quantize: {}\ndataset: {quant_calibration_dataset: {inputs: a, " + text + "}}");
  };
  const std::string at = "spec.yaml:2:";
  CHECK(data("batch_size: many") ==
        at + "62: dataset.quant_calibration_dataset.batch_size: expected a whole number, found \"many\".");
  CHECK(data("batch_size: 1.5") ==
        at + "62: dataset.quant_calibration_dataset.batch_size: expected a whole number, found \"1.5\".");
  CHECK(data("max_samples: []") ==
        at + "63: dataset.quant_calibration_dataset.max_samples: expected a whole number, found a list.");
  CHECK(data("scale: 1/255") ==
        at + "57: dataset.quant_calibration_dataset.scale: expected a number, found \"1/255\".");
  CHECK(data("mean: [0, x]") ==
        at + "60: dataset.quant_calibration_dataset.mean[1]: expected a number, found \"x\".");
  CHECK(data("std: null") ==
        at + "50: dataset.quant_calibration_dataset.std: expected a number, found nothing.");
  CHECK(message("quantize: {}\ndataset: {quant_calibration_dataset: a.npy}") ==
        at + "38: dataset.quant_calibration_dataset: expected a map, found \"a.npy\".");
}

TEST_CASE("quant_axis that is none") {
  const auto axis = [](const char* value) {
    return message(one_rule(std::string("weights: {dtype: int8, quant_axis: ") + value + "}"));
  };
  const std::string where = "spec.yaml:5:42: quantize.layers[0].weights.quant_axis: ";
  CHECK(axis("-1") == where + "is -1, but axes count from 0.");
  CHECK(axis("8") == where + "is 8, but a tensor has at most 8 axes, counted from 0.");
  CHECK(axis("one") == where + "expected an axis (0, 1, ...) or null, found \"one\".");
  CHECK(axis("[0]") == where + "expected an axis (0, 1, ...) or null, found a list.");
}

TEST_CASE("values that are missing or empty") {
  CHECK(message("quantize: {layers: [{weights: {dtype: int8}}]}") ==
        "spec.yaml:1:21: quantize.layers[0].module_name: is missing: name a layer, a pattern or a class.");
  CHECK(message("quantize: {layers: [{module_name: \"\"}]}") ==
        "spec.yaml:1:35: quantize.layers[0].module_name: is empty: name a layer, a pattern or a class.");
  CHECK(message("quantize: {skip_names: [a, \"\"]}") ==
        "spec.yaml:1:28: quantize.skip_names[1]: is empty: name a layer, a pattern or a class.");
  CHECK(message(one_rule("weights: {}")) ==
        "spec.yaml:5:16: quantize.layers[0].weights.dtype: has no value. Allowed: int8, fp8_e4m3fn, "
        "fp8_e5m2, native.");
  CHECK(message("quantize: {backend: }") ==
        "spec.yaml:1:12: quantize.backend: has no value. Allowed: torchao, modelopt, modelopt.pytorch, "
        "modelopt.onnx.");
  CHECK(message("quantize:\n  model_path: ???\n") ==
        "spec.yaml:2:15: quantize.model_path: the mandatory value is missing: \"???\" stands in its place.");
}

TEST_CASE("duplicate keys and merged maps") {
  CHECK(message("quantize: {}\nquantize: {}\n") == "spec.yaml:2:1: quantize: the key is there twice.");
  CHECK(message("quantize:\n  mode: static_ptq\n  mode: static_ptq\n") ==
        "spec.yaml:3:3: quantize.mode: the key is there twice.");
  CHECK(message(one_rule("weights: {dtype: int8, dtype: int8}")) ==
        "spec.yaml:5:30: quantize.layers[0].weights.dtype: the key is there twice.");
  CHECK(message("base: &b {mode: x}\nquantize:\n  <<: *b\n") ==
        "spec.yaml:3:3: quantize.<<: merging maps is not supported: write the keys out.");
}

TEST_CASE("interpolations that cannot be replaced") {
  const auto path = [](const char* value) {
    return message(std::string("quantize:\n  model_path: '") + value + "'\n");
  };
  const std::string where = "spec.yaml:2:15: quantize.model_path: ";
  CHECK(path("${oc.env:HOME}/m") ==
        where + "\"${oc.env:HOME}\" is not supported: only absolute paths like \"${a.b}\" are.");
  CHECK(path("${.mode}") ==
        where + "\"${.mode}\" is not supported: only absolute paths like \"${a.b}\" are.");
  CHECK(path("${}") == where + "\"${}\" is not supported: only absolute paths like \"${a.b}\" are.");
  CHECK(path("${a.b}") == where + "\"${a.b}\": there is nothing at a.b.");
  CHECK(path("${a") == where + "\"${\" without its \"}\" in \"${a\".");
  CHECK(message("train: {}\nquantize: {model_path: \"x${train}\"}") ==
        "spec.yaml:2:24: quantize.model_path: \"${train}\" is a map, which cannot be a part of a word.");
  std::string chain = "quantize: {model_path: \"${v0}\"}\nv0: end\n";
  for (int i = 1; i <= 16; ++i)
    chain.append("v" + std::to_string(i) + ": ${v" + std::to_string(i - 1) + "}\n");
  CHECK(good(chain, {"model_path=${v15}"}).quantize.model_path == "end");
  CHECK(message(chain, {"model_path=${v16}"}) ==
        "argument 1: quantize.model_path: \"${v0}\" is the end of a chain of more than 16 \"${...}\": write "
        "its "
        "value at an earlier place of the chain.");
  CHECK(message("quantize: {model_path: \"${x.a}\"}\nx: {a: \"${x.b}\", b: [\"${x.a}\"]}\n") ==
        "spec.yaml:1:24: quantize.model_path: \"${x.a}\" leads back to itself.");
  CHECK(path("${quantize.model_path}") == where + "\"${quantize.model_path}\" leads back to itself.");
}

TEST_CASE("data") {
  const auto data = [](const std::string& text) {
    return message("quantize: {}\ndataset:\n  quant_calibration_dataset: {" + text + "}");
  };
  const std::string where = ": dataset.quant_calibration_dataset";
  CHECK(data("inputs: a, activations: b") ==
        "spec.yaml:3:30" + where +
            ": give either inputs (a file, or a map of graph inputs to "
            "files) or activations (a file); pictures as images_dir (a folder).");
  CHECK(data("inputs: {a: }") == "spec.yaml:3:40" + where + ".inputs.a: names no file.");
  CHECK(data("inputs: a, batch_size: 0") == "spec.yaml:3:54" + where + ".batch_size: must be at least 1.");
  CHECK(data("inputs: a, max_samples: 0") ==
        "spec.yaml:3:55" + where + ".max_samples: must be at least 1, or the word all.");
  CHECK(data("inputs: a, std: [1, 0]") == "spec.yaml:3:47" + where + ".std: must not be 0.");
  CHECK(data("inputs: a, scale: inf") == "spec.yaml:3:49" + where + ".scale: must be finite.");
  CHECK(data("inputs: a, mean: []") ==
        "spec.yaml:3:48" + where + ".mean: is an empty list: give a number, or one for each channel.");
  CHECK(data("images_dir: [a]") ==
        "spec.yaml:3:43" + where + ".images_dir: expected a folder, found a list.");
  CHECK(data("activations: a, scale: 2") ==
        "spec.yaml:3:54" + where +
            ".scale: has no effect on recorded activations, which are taken as they are. Remove it.");
  CHECK(message("quantize: {}\nevaluate: {inputs: a, batch_size: -1}") ==
        "spec.yaml:2:35: evaluate.batch_size: expected a whole number, found \"-1\".");
}

TEST_CASE("ptq.calibration") {
  const auto calibration = [](const std::string& text) {
    return message("quantize: {}\nptq: {calibration: {" + text + "}}");
  };
  CHECK(calibration("percentile: 100.5") ==
        "spec.yaml:2:33: ptq.calibration.percentile: must be above 0 and at most 100.");
  CHECK(calibration("percentile: high") ==
        "spec.yaml:2:33: ptq.calibration.percentile: expected a number, found \"high\".");
  CHECK(calibration("bins: 1000") ==
        "spec.yaml:2:27: ptq.calibration.bins: must be a power of two from 256 to 4096.");
}

TEST_CASE("the code and the nearest word are there for programs") {
  const auto made = parse(one_rule("weights: {dtype: fp8_e4m3}"));
  CHECK(made.error().code == ptq::errc::unknown_word);
  CHECK(made.error().nearest == "fp8_e4m3fn");
  CHECK(made.error().where == "spec.yaml:5:24: quantize.layers[0].weights.dtype");
}

TEST_CASE("a pattern that must be in quotes and is not") {
  struct pattern {
    const char* written;
    const char* advised;
  };
  const auto rule = [](const char* name) {
    return "quantize:\n  layers:\n    - module_name: " + std::string(name) +
           "\n      weights: {dtype: int8}\n";
  };
  for (const auto& [written, advised] :
       {pattern{"*", "\"*\" must be in quotes: YAML takes \"*\" for an alias."},
        {"!head", "\"!head\" must be in quotes: YAML takes \"!\" for a tag."},
        {"!head*", "\"!head*\" must be in quotes: YAML takes \"!\" for a tag."},
        {"![ab]*", "\"![ab]*\" must be in quotes: YAML takes \"!\" for a tag."},
        {"[ab]*", "\"[ab]*\" must be in quotes: YAML takes \"[\" for a list."},
        {"[!ab].fc # x", "\"[!ab].fc\" must be in quotes: YAML takes \"[\" for a list."},
        {"%head", "\"%head\" must be in quotes: YAML takes \"%\" for a directive."},
        {"@head", "\"@head\" must be in quotes: YAML takes \"@\" for something reserved."},
        {"[ab]", "found a list. A pattern that starts with \"[\" must be in quotes."}}) {
    CAPTURE(written);
    CHECK_MESSAGE(message(rule(written)).ends_with(advised), message(rule(written)));
    CHECK(message(rule(written)).starts_with("spec.yaml:3:"));
  }
  for (const auto& [written, advised] :
       {pattern{"[!head]", "\"!head\" must be in quotes"},
        {"[\"a\", [ab]*]", "\"[ab]*\" must be in quotes"},
        {"[fc[12], a]", "\"fc[12]\" must be in quotes: YAML takes \"[\" for a list."},
        {"['*x', fc?]", "\"fc?\" must be in quotes: YAML takes \"?\" for a key."},
        {"[[ab]]", "found a list. A pattern"}}) {
    CAPTURE(written);
    const std::string said = message("quantize: {skip_names: " + std::string(written) + "}");
    CHECK_MESSAGE(said.find(advised) != std::string::npos, said);
    CHECK(message("quantize: {}", {"quantize.skip_names=" + std::string(written)}).find(advised) !=
          std::string::npos);
  }
  // What is right, or wrong for another reason, is not told so.
  CHECK(good("quantize: {skip_names: ['[ab]*', \"!x\", fc.*, a-b, !!str x]}").quantize.skip_names.size() ==
        5);
  CHECK(good("quantize: {skip_names: []}\nother: !tag word").quantize.skip_names.empty());
  CHECK(message("quantize: {layers: [{module_name: \"[ab]*\"}}").find("quotes") == std::string::npos);
  CHECK(message("a: [\r\n  x: 1\r\n").find("quotes") == std::string::npos);
  CHECK(message("quantize: {a: 'it''s [ab]*', b: [1, 2}").find("quotes") == std::string::npos);
}

TEST_CASE("keys and words that other tools and versions of TAO have") {
  const auto meant = [](const std::string& text, std::string_view key) {
    return message(text).ends_with("Did you mean \"" + std::string(key) + "\"?");
  };
  CHECK(meant("quantize: {skip_layers: [a]}", "skip_names"));
  CHECK(meant("quantize: {ignore: [a]}", "skip_names"));
  CHECK(meant("quantize: {calibration_method: max}", "algorithm"));
  CHECK(meant("quantize: {checkpoint: a}", "model_path"));
  CHECK(meant("quantize: {layers: [{name: a}]}", "module_name"));
  CHECK(meant(one_rule("weights: {dtype: int8, axis: 0}"), "quant_axis"));
  CHECK(meant(one_rule("weights: {num_bits: 8}"), "dtype"));
  CHECK_FALSE(meant("quantize: {axis: 0}", "quant_axis"));  // not a key of this place
  for (const char* const algorithm : {"awq_clip", "AWQ_lite", "rtn_dq"})
    CHECK(message("quantize: {algorithm: " + std::string(algorithm) + "}")
              .find("is for int4 weights in later versions of TAO") != std::string::npos);
}
