// SPDX-License-Identifier: Apache-2.0
// Files that want to run code, to take all memory or to read what is not theirs: each is refused by its name,
// in either container. Nothing is ever called: there is nothing here that could call.
#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "ptq/formats/torch/open.hpp"
#include "support/files.hpp"
#include "support/temporary_folder.hpp"
#include "support/torch_bytes.hpp"

using namespace std::string_literals;
using namespace torch_bytes;

namespace {

std::string failure_of(const std::string& file) {
  const temporary_folder folder;
  const std::string path = folder / "model.pth";
  write_file(path, file);
  const auto start = std::chrono::steady_clock::now();
  const auto opened = ptq::open_torch(path);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));  // one, but for sanitizers
  REQUIRE(!opened);
  return opened.error().what;
}

void check_words(const std::string& said, std::string_view wanted) {
  INFO(said);
  CHECK(said.find(wanted) != std::string::npos);
  CHECK(said.ends_with("."));
}

/// Of a pickle in both containers.
void check_refused(const std::string& pickle, std::string_view wanted) {
  check_words(failure_of(archive(pickle)), wanted);
  const bool has_storage = pickle.find("cpu") != pickle.npos;
  check_words(failure_of(has_storage ? legacy(pickle) : legacy_head() + pickle + proto() + "]."), wanted);
}

}  // namespace

TEST_CASE("what the other tests damage is fine") {
  const temporary_folder folder;
  const std::string path = folder / "model.pth";
  for (const std::string& file : {archive(pickle_of({})), legacy(pickle_of({}))}) {
    write_file(path, file);
    const auto opened = ptq::open_torch(path);
    INFO(opened.error().what);
    REQUIRE(opened);
    REQUIRE(opened->file.tensors().size() == 1);
    CHECK(opened->file.tensors().front().shape == std::vector<std::size_t>{2, 3});
  }
}

TEST_CASE("functions and classes are refused by their names") {
  const std::string call = "(" + text("true") + "tR";
  check_refused(proto() + global("os", "system") + call + ".", "names \"os.system\"");
  check_refused(proto() + global("posix", "system") + call + ".", "names \"posix.system\"");
  check_refused(proto() + global("builtins", "eval") + call + ".", "names \"builtins.eval\"");
  check_refused(proto() + global("__builtin__", "getattr") + ".", "names \"__builtin__.getattr\"");
  check_refused(proto() + global("torch", "load") + ".", "names \"torch.load\"");
  check_refused(proto() + global("torch._utils", "_rebuild_tensor_v2.__globals__") + ".",
                "_v2.__globals__\"");
  check_refused("\x80\x04\x8c\x02os\x8c\x06system\x93" + call + ".", "names \"os.system\"");
  check_refused(proto() + "(" + text("true") + "ios\nsystem\n.", "names \"os.system\"");
  check_refused(proto() + "(" + global("os", "system") + text("true") + "o.", "names \"os.system\"");
  check_refused(proto() + "(" + global("collections", "OrderedDict") + text("x") + "o.", "the opcode OBJ");
  check_refused(pickle_of({}).substr(0, 3) + text("a") + global("subprocess", "Popen") + call + "s.",
                "names \"subprocess.Popen\"");
  check_refused(proto() + global("__main__", "Net") + ")\x81.", "names \"__main__.Net\"");
  check_words(failure_of(archive(proto() + global("os", "system") + call + ".")),
              "m/data.pkl: byte 2: the pickle names \"os.system\", which no tensor needs");
}

TEST_CASE("what is known is only named, never called") {
  check_refused(proto() + global("torch", "FloatStorage") + ")R.", "REDUCE calls \"torch.FloatStorage\"");
  check_refused(proto() + global("torch", "float32") + ")\x81.", "NEWOBJ calls \"torch.float32\"");
  check_refused(proto() + text("os") + ")R.", "REDUCE calls a str");
  check_refused(proto() + global("torch", "Size") + "]R.", "REDUCE calls a class with a list");
  check_refused(proto() + global("torch", "Size") + ")R)R.", "REDUCE calls a object");
  check_refused(proto() + global("collections", "OrderedDict") + "}b.", "BUILD sets the state of a class");
  check_refused(proto() + "}" + text("a") + tensor().pickled() + "}bs.", "BUILD sets the state of a object");
  check_refused(proto() + "]}b.", "BUILD sets the state of a list");
}

TEST_CASE("opcodes that no checkpoint needs") {
  for (const auto& [opcode, name] :
       {std::pair("\x82\x01", "EXT1"), std::pair("\x83\x01\x01", "EXT2"),
        std::pair("\x84\x01\x01\x01\x01", "EXT4"), std::pair("\x92", "NEWOBJ_EX"),
        std::pair("Pid\n", "PERSID"), std::pair("\x97", "NEXT_BUFFER"), std::pair("\x98", "READONLY_BUFFER"),
        std::pair("I1\n", "INT"), std::pair("S'a'\n", "STRING"), std::pair("g0\n", "GET"),
        std::pair("\xff", "0xff")})
    check_refused(proto() + opcode + ".", std::string("the opcode ") + name + ",");
  check_refused("\x80\x06}.", "protocol 6");
}

TEST_CASE("pickles that lack what they use") {
  check_words(failure_of(archive(proto())), "ends in the middle");
  check_words(failure_of(archive(proto() + "X\xff\xff\xff\xff")), "ends in the middle");
  check_refused(proto() + "\x8d" + little(~0ull, 8), "ends in the middle");
  check_refused(proto() + "\x8b" + little(0xffffffff, 4) + ".", "ends in the middle");
  check_refused(proto() + ".", "lacks the values");
  check_refused(proto() + "t.", "lacks its mark");
  check_refused(proto() + "(.", "a mark that nothing took");
  check_refused(proto() + "}(Nu.", "a key without a value");
  check_refused(proto() + "](NNu.", "come to a list");
  check_refused(proto() + "NNa.", "come to a None");
  check_refused(proto() + "h\x05.", "place 5 of the memo");
  check_refused(proto() + "Nr\x05\0\0\0h\x04."s.substr(0, 9), "place 4 of the memo");
  check_refused(proto() + "NN\x93.", "STACK_GLOBAL lacks a name");
  check_refused(proto() + "c" + std::string(2000, 'a'), "a name has no end");
}

TEST_CASE("bombs") {
  check_refused(proto() + "Nr\xff\xff\xff\xff.", "MB of objects");
  check_refused(proto() + std::string(std::size_t{1} << 23, 'N') + ".", "values waiting");
  check_refused(proto() + std::string(std::size_t{1} << 23, '(') + ".", "values waiting");
  std::string empties = proto();
  for (int i = 0; i < 5'000'000; ++i) empties += ")0";
  check_refused(empties + ".", "more than");
  std::string nested = proto();  // deep, but a list like any other
  for (int i = 0; i < 100'000; ++i) nested += "](";
  check_refused(nested + ".", "a mark that nothing took");
  std::string deep = proto() + ")";
  for (int i = 0; i < 1'000'000; ++i) deep += "\x85";
  check_refused(deep + ".", "the checkpoint is a tuple");
  // Each dict has the one before twice: 2^60 paths lead to the first.
  std::string laughs = proto() + "}" + text("a") + tensor().pickled() + "sq\0"s;
  for (char i = 0; i < 60; ++i)
    laughs += "}(" + text("x") + "h" + i + text("y") + "h" + i + "uq" + static_cast<char>(i + 1);
  check_refused(laughs + ".", "there are no tensors in the checkpoint");
  std::string circle = proto() + "}q\0"s + text("model") + "h\0s."s;
  check_refused(circle, "there are no tensors in");
}

TEST_CASE("storages that lie") {
  const auto refused = [](const tensor& one, std::string_view wanted) {
    check_refused(pickle_of(one), wanted);
  };
  check_words(failure_of(archive(pickle_of({.key = "1"}))),
              "tensor \"a\": its storage \"1\" is not in the file");
  check_words(failure_of(legacy(pickle_of({.key = "1"}))), "nothing uses its storage \"0\"");
  refused({.offset = 1}, "from element 1 on reaches beyond its storage of 6 elements");
  refused({.strides = {4, 1}}, "reaches beyond its storage of 6 elements");
  refused({.shape = {1ull << 62, 1ull << 62}, .strides = {1ull << 62, 1}}, "reaches beyond");
  refused({.shape = {1ull << 40, 1ull << 40}, .strides = {0, 0}}, "more bytes than can be counted");
  refused({.shape = {1ull << 20, 1ull << 20}, .strides = {0, 0}}, "views of each other");
  refused({.shape = {~0ull, 3}}, "no shape and strides");
  refused({.shape = {2, 3, 1}}, "no shape and strides");
  refused({.offset = ~0ull}, "no shape and strides");
  refused({.stored = 24, .storage = "UntypedStorage"}, "has no dtype");
  check_words(failure_of(archive(pickle_of({.stored = 7}))),
              "has 24 bytes, where the pickle promises 7 elements");
  check_words(failure_of(archive(pickle_of({.storage = "DoubleStorage"}))), "promises 6 elements of 8 bytes");
  check_words(failure_of(archive(pickle_of({}), std::string(25, 'x'))), "has 25 bytes");
  check_words(failure_of(legacy(pickle_of({}), 7)), "its storage \"0\" has 7 elements, which lie beyond");
  check_words(failure_of(legacy(pickle_of({}), ~0ull)), "which lie beyond its end");
  check_words(failure_of(legacy(pickle_of({}), 5)), "promises 6 elements");
  const std::string whole = legacy(pickle_of({}));
  check_words(failure_of(whole.substr(0, whole.size() - 1)), "which lie beyond its end");
}

TEST_CASE("checkpoints without weights, or with too many") {
  check_refused(proto() + "].", "the checkpoint is a list, not a dict of tensors");
  check_refused(proto() + tensor().pickled() + ".", "the checkpoint is a tensor, not a dict of tensors");
  check_refused(proto() + "}" + text("epoch") + "K\x01s.", "there are no tensors in the checkpoint");
  const std::string one = "}" + text("w") + tensor().pickled() + "s";
  check_refused(
      proto() + "}(" + text("g") + one + text("d") + one + "u.",
      "several dicts of the checkpoint have tensors. They are: \"g\", \"d\". Name the one with the weights");
  check_refused(proto() + "}(" + text("a") + tensor().pickled() + text("a") + tensor().pickled() + "u.",
                "tensor \"a\": there are two of this name");
  check_refused(proto() + "}" + text("\xff") + tensor().pickled() + "s.", "its name is no text");
  const auto foreign = [](const char* function) {
    return proto() + "}" + text("a") + global("torch._utils", function) + ")Rs.";
  };
  check_refused(foreign("_rebuild_sparse_tensor"), "it is sparse");
  check_refused(foreign("_rebuild_qtensor"), "it is quantized by PyTorch");
  check_refused(foreign("_rebuild_meta_tensor_no_storage"), "on the device \"meta\"");
  check_refused(foreign("_rebuild_tensor_v2"), "too few arguments");
  check_refused(foreign("_rebuild_parameter"), "too few arguments");
}

TEST_CASE("archives that lie") {
  const std::string good = pickle_of({});
  const std::string data(24, 'x');
  const auto refused = [](const std::vector<entry>& entries, std::string_view wanted) {
    check_words(failure_of(zip(entries)), wanted);
  };
  refused({{"m/data.pkl", good}}, "its storage \"0\" is not in the file");
  refused({{"m/data.pkl", good}, {"m/data.pkl", good}}, "entry \"m/data.pkl\": there are two of this name");
  refused({{"m/data.pkl", good}, {"n/data.pkl", good}}, "has \"m/data.pkl\" and \"n/data.pkl\"");
  refused({{"m/data.pkl", good}, {"m/data/0", data, "m/data/1"}},
          "entry \"m/data/0\": where it lies, it is called \"m/data/1\"");
  refused({{"m/data.pkl", good, "m/data.pkl", good.size() + 50}, {"m/data/0", data}},
          "another begins within \"m/data.pkl\"");
  refused({{"m/data.pkl", good}, {"m/data/0", data, "m/data/0", 100'000}},
          "entry \"m/data/0\": its data lies outside");
  refused({{"m/data.pkl", good}, {"m/data/0", data, "m/data/0", 24, 8}},
          "entry \"m/data/0\": it is deflated");
  refused({{"m/data.pkl", good}, {"m/data/0", data, "m/data/0", 24, 12}}, "compression method 12");
  refused({{"m/data.pkl", good}, {"m/data/0", data}, {"m/byteorder", "big"}}, "not little-endian");
  refused({{"m/data.pkl", good}, {"m/constants.pkl", ""}}, "TorchScript");
  for (const std::string told : {"[]", "{", "\"a\"", "{\"a\":1}", "{\"a\":{}}", "{\"a\":[\"b\"]}",
                                 "{\"a\":\"b\",\"a\":\"b\"}", "{}x", "{\"\xff\":\"\"}", "nul"})
    refused({{"m/data.pkl", good}, {"m/data/0", data}, {"m/ptq.json", told}},
            "entry \"ptq.json\": it is not an object of JSON whose values are strings");
  refused({{"m/data.pkl", good}, {"m/data/0", data}, {"m/ptq.json", std::string(10'000'000, '[')}},
          "entry \"ptq.json\"");
  refused({{"a.txt", ""}}, "no checkpoint of PyTorch: it has no <folder>/data.pkl");
  refused({{"a.npy", ""}}, "no checkpoint of PyTorch: it looks like a zip archive");
  refused({{"data.pkl", good}}, "no <folder>/data.pkl");
  // Names of entries are looked up in the archive alone, never as paths.
  check_words(failure_of(archive(pickle_of({.key = "../../etc/passwd"}))),
              "storage \"../../etc/passwd\" is not in the file");
  const std::string whole = archive(good);
  check_words(failure_of(whole.substr(0, whole.size() - 10)), "the end of this ZIP archive is missing");
}

TEST_CASE("legacy files that lie") {
  check_words(failure_of(pickle_of({})), "without the magic number of PyTorch");
  check_words(failure_of(legacy_head().substr(0, 15)),
              "the version, at byte 15: byte 0: the pickle is damaged");
  const std::string head = legacy_head();
  check_words(failure_of(head.substr(0, 15) + "\x80\x02K\x01." + head.substr(21)), "its version is not 1001");
  check_words(failure_of(head.substr(0, head.size() - 3) + "\x89s." + pickle_of({})), "not little-endian");
  check_words(failure_of(head + pickle_of({}) + proto() + "}."), "its list of storages is none");
  check_words(failure_of(head + pickle_of({}) + proto() + "]" + text("1") + "a."),
              "nothing uses its storage \"1\"");
  check_words(failure_of(head + pickle_of({}) + proto() + "]" + text("0") + "a." + little(6, 8) + "x"),
              "beyond its end");
  check_words(failure_of(head + pickle_of({}) + proto() + "](" + text("0") + text("0") + "e." + little(6, 8) +
                         std::string(24, 'x') + little(6, 8) + std::string(24, 'x')),
              "two of its storage \"0\"");
  check_words(failure_of("text"), "this is no checkpoint of PyTorch");
}

namespace {

/// A dict of as many items, 50,000 to an opcode; their values are what `value` puts on the stack.
std::string dict_of(std::size_t count, std::string_view value, const auto& key) {
  std::string made = "}";
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 50'000 == 0) made += i == 0 ? "(" : "u(";
    made += key(i) + std::string(value);
  }
  return made + "u";
}

std::string numbered(std::size_t i) {
  return text(std::to_string(i));
}

/// A function and its arguments, kept in the memo: "h\0h\1R" is a tensor then.
std::string kept_tensor(const tensor& one) {
  const std::string made = one.pickled();
  const std::size_t name = made.find("v2\n") + 3;
  return made.substr(0, name) + "q"s + '\0' + "0" + made.substr(name, made.size() - 1 - name) + "q\1" + "0";
}

}  // namespace

TEST_CASE("what is written once and named very often takes no time and no memory") {
  const std::string kept = kept_tensor({});
  const std::string made = "h\0h\1R"s;
  const temporary_folder folder;
  const std::string path = folder / "model.pth";
  SUBCASE("a long key of what is left out") {
    const std::string key = text(std::string(20'000, 'k')) + "q\2" + "0";
    write_file(path,
               archive(proto() + kept + key + dict_of(400'000, "K\1", [](std::size_t) { return "h\2"s; }) +
                       text("a") + made + "s."));
    const auto opened = ptq::open_torch(path);
    INFO(opened.error().what);
    REQUIRE(opened);
    CHECK(opened->file.tensors().size() == 1);
    REQUIRE(opened->notes.size() == 1);
    CHECK(opened->notes[0].size() < 4000);
    CHECK(opened->notes[0].ends_with("... (int) and 399992 more."));
  }
  SUBCASE("a shape of very many axes") {
    tensor wide;
    wide.shape.assign(5000, 1);
    wide.strides = wide.shape;
    check_words(failure_of(archive(proto() + kept_tensor(wide) + dict_of(100'000, made, numbered) + ".")),
                "shape and strides of at most 64 axes");
  }
  SUBCASE("a name that fills the pickle") {
    check_words(failure_of(archive(proto() + kept + "}" + text(std::string(30'000'000, 'a')) + made + "s.")),
                "a...\": its name is no text, or one of more than 4096 bytes");
  }
  SUBCASE("more tensors than a model has") {
    check_words(failure_of(archive(proto() + kept + dict_of(200'000, made, numbered) + ".")),
                "there are more than 131072 tensors");
  }
  SUBCASE("dicts, none of which has a tensor; and all of which have one") {
    check_words(failure_of(archive(proto() + "}q\2" + "0" + dict_of(200'000, "h\2"s, numbered) + ".")),
                "there are no tensors in the checkpoint");
    const std::string dict = "}" + text("a") + made + "sq\2" + "0";
    check_words(failure_of(archive(proto() + kept + dict + dict_of(200'000, "h\2"s, numbered) + ".")),
                "several dicts of the checkpoint have tensors");
  }
}

TEST_CASE("of two values of one key, and of the memo, the pickle's reader has what Python has") {
  const temporary_folder folder;
  const std::string path = folder / "last.pth";
  const auto dict = [](std::string_view name) { return "}" + text(name) + tensor{}.pickled() + "s"; };
  write_file(path, archive(proto() + "}" + text("model") + dict("first") + "s" + text("model") +
                           dict("last") + "s."));
  const auto last = ptq::open_torch(path);
  REQUIRE(last);
  CHECK(last->file.tensors().front().name == "last");
  // MEMOIZE goes to the place of the count of what is kept, not behind the last.
  const std::string counting = folder / "counted.pth";  // Windows does not write over mapped files
  write_file(counting, archive("\x80\4" + text("far") + "q\7" + "0" + text("a") + "\x94" + "0}h\1" +
                               tensor{}.pickled() + "s."));
  const auto counted = ptq::open_torch(counting);
  INFO(counted.error().what);
  REQUIRE(counted);
  CHECK(counted->file.tensors().front().name == "a");
}
