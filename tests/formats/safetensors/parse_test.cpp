// SPDX-License-Identifier: Apache-2.0
#include "ptq/formats/safetensors/parse.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/safetensors_bytes.hpp"

using ptq::errc;

namespace {

ptq::error error_of(const std::string& file) {
  const auto content = ptq::parse_safetensors(bytes_of(file), "m");
  REQUIRE(!content);
  return content.error();
}

ptq::error error_of_header(const std::string& header, const std::string& data = "") {
  return error_of(safetensors_bytes(header, data));
}

bool accepts(const std::string& header, const std::string& data = "") {
  return bool(ptq::parse_safetensors(bytes_of(safetensors_bytes(header, data)), "m"));
}

const std::string ab = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                       R"("b":{"dtype":"I8","shape":[2,1],"data_offsets":[8,10]},"__metadata__":{"k":"v"}})";
const std::string ab_data = "0123456789";

}  // namespace

TEST_CASE("tensors come in file order, with their bytes") {
  const std::string file = safetensors_bytes(ab, ab_data);
  const auto content = ptq::parse_safetensors(bytes_of(file), "m");
  REQUIRE(content);
  REQUIRE(content->tensors.size() == 2);
  const ptq::stored_tensor& a = content->tensors[0];
  CHECK(a.name == "a");
  CHECK(a.type == ptq::element_type::float32);
  CHECK(a.shape == std::vector<std::size_t>{2});
  CHECK(a.data.size() == 8);
  CHECK(static_cast<const void*>(a.data.data()) == file.data() + 8 + ab.size());
  CHECK(a.view().type == ptq::element_type::float32);
  const ptq::stored_tensor& b = content->tensors[1];
  CHECK(b.shape == std::vector<std::size_t>{2, 1});
  CHECK(static_cast<char>(b.data[1]) == '9');
  CHECK(b.view().type == ptq::element_type::int8);
  CHECK(b.view().shape == ptq::tensor_shape{2, 1});
  CHECK(content->metadata == ptq::metadata_map{{"k", "v"}});
}

TEST_CASE("what the format allows, however rare") {
  CHECK(accepts("{}"));
  CHECK(accepts(" \t\r\n{ } \n  "));
  CHECK(accepts(R"({"__metadata__":{}})"));
  CHECK(accepts(R"({"__metadata__":null})"));
  CHECK(accepts(R"({"":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", "abcd"));
  CHECK(accepts(R"({"a":{"dtype":"U64","shape":[3,0,7],"data_offsets":[0,0]}})"));
  CHECK(accepts(R"({"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", "x"));
  CHECK(accepts(R"({"a":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}})", "xyz"));
  CHECK(accepts(R"({"a":{"x":[{"y":[null,-1.5e3]}],"dtype":"I8","shape":[1],"data_offsets":[0,1],"z":{}}})",
                "x"));
  CHECK(accepts(R"({"a":{"dtype":"I8","shape":[1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", "x"));
}

TEST_CASE("a rank above max_rank is passed through, not viewed") {
  const std::string file =
      safetensors_bytes(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", "abcd");
  const auto content = ptq::parse_safetensors(bytes_of(file), "m");
  REQUIRE(content);
  CHECK(content->tensors[0].shape.size() == 9);
  CHECK(content->tensors[0].view().data == nullptr);
}

TEST_CASE("header_too_small") {
  for (std::size_t n = 0; n < 8; ++n) CHECK(error_of(std::string(n, 'x')).code == errc::header_too_small);
  CHECK(error_of("abc").what ==
        "m: the file has 3 bytes, but a safetensors file begins with 8 that give the length of its header.");
}

TEST_CASE("header_too_large: a claim of 100 GB is not believed") {
  const ptq::error e = error_of(length_bytes(100'000'000'000) + "{}");
  CHECK(e.code == errc::header_too_large);
  CHECK(e.what ==
        "m: the first 8 bytes say that the header has 100000000000 bytes, but at most 100000000 are allowed. "
        "Is "
        "this a safetensors file?");
  CHECK(error_of(length_bytes(100'000'001) + "{}").code == errc::header_too_large);
  CHECK(error_of(length_bytes(~std::uint64_t{0}) + "{}").code == errc::header_too_large);
}

TEST_CASE("invalid_header_length") {
  const ptq::error e = error_of(length_bytes(3) + "{}");
  CHECK(e.code == errc::invalid_header_length);
  CHECK(e.what ==
        "m: the first 8 bytes say that the header has 3 bytes, but only 2 follow. The file is cut off.");
  CHECK(error_of(length_bytes(100'000'000) + "{}").code == errc::invalid_header_length);
}

TEST_CASE("invalid_header: not UTF-8") {
  const ptq::error e = error_of_header("{\"a\xff\":1}");
  CHECK(e.code == errc::invalid_header);
  CHECK(e.what == "m: byte 3 of the header is not UTF-8.");
  CHECK(e.at == 3);
  for (const char* const bytes :
       {"\x80", "\xc1\xbf", "\xc3", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x28\xa1", "\xf0\x90\x28\xbc"}) {
    CAPTURE(bytes);
    CHECK(error_of_header(std::string("{\"") + bytes).code == errc::invalid_header);
  }
  for (const char* const bytes : {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                  "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    CHECK(accepts(std::string(R"({"__metadata__":{"k":")") + bytes + "\"}}"));
}

TEST_CASE("invalid_header_deserialization: not JSON, or not of the right shape") {
  const auto text = [](const std::string& header) {
    const ptq::error e = error_of_header(header, "abcd");
    CHECK(e.code == errc::invalid_header_deserialization);
    return e.what;
  };
  const auto tensor = [&](const std::string& fields) { return text(R"({"t":{)" + fields + "}}"); };

  CHECK(text("{\"a\":").starts_with("m: the header is not JSON: parse error at line 1, column 6"));
  CHECK(text("").starts_with("m: the header is not JSON: "));
  CHECK(text("{} {}").starts_with("m: the header is not JSON: "));
  CHECK(text("\xef\xbb\xbf{}") == "m: the header is not JSON: it holds a byte order mark or a zero byte.");
  CHECK(text(std::string("{}\0", 3)) ==
        "m: the header is not JSON: it holds a byte order mark or a zero byte.");
  CHECK(text("[]") == "m: the header is an array, not an object.");
  CHECK(text("7") == "m: the header is a number, not an object.");
  CHECK(text(R"({"t":[1]})") == R"(m: entry "t" of the header is an array, not an object.)");
  CHECK(text(R"({"t":null})") == R"(m: entry "t" of the header is null, not an object.)");
  CHECK(text(R"({"__metadata__":{"k":1}})") ==
        R"(m: "__metadata__" may hold strings only, but "k" is a number.)");
  CHECK(text(R"({"__metadata__":{"k":{}}})") ==
        R"(m: "__metadata__" may hold strings only, but "k" is an object.)");

  CHECK(tensor(R"("dtype":"F31","shape":[1],"data_offsets":[0,4])") ==
        R"(m: tensor "t": "dtype" is "F31", which the format does not have.)");
  CHECK(tensor(R"("dtype":1)") == R"(m: tensor "t": "dtype" is a number, not a string.)");
  CHECK(tensor(R"("shape":"1")") == R"(m: tensor "t": "shape" is a string, not an array.)");
  CHECK(tensor(R"("shape":{})") == R"(m: tensor "t": "shape" is an object, not an array.)");
  CHECK(tensor(R"("shape":[-1])") ==
        R"(m: tensor "t": "shape" holds a negative number; whole numbers from 0 to 2^64 - 1 are allowed.)");
  for (const char* const number : {"1.0", "1e2", "0.5", "18446744073709551616", "1e400"}) {
    CAPTURE(number);
    CHECK(!tensor("\"data_offsets\":[0," + std::string(number) + "]").empty());
  }
  CHECK(tensor(R"("shape":[1.5])") ==
        R"(m: tensor "t": "shape" holds a number that is not whole or not below )"
        R"(2^64; whole numbers from 0 to 2^64 - 1 are allowed.)");
  CHECK(tensor(R"("shape":[-0])").find("a negative number") != std::string::npos);
  CHECK(tensor(R"("shape":[[1]])").find("holds an array") != std::string::npos);
  CHECK(tensor(R"("shape":[null])").find("holds null") != std::string::npos);
  CHECK(tensor(R"("shape":[true])").find("holds a boolean") != std::string::npos);
  CHECK(tensor(R"("shape":[1],"data_offsets":[0,4])") == R"(m: tensor "t": "dtype" is missing.)");
  CHECK(tensor(R"("dtype":"F32","data_offsets":[0,4])") == R"(m: tensor "t": "shape" is missing.)");
  CHECK(tensor(R"("dtype":"F32","shape":[1])") == R"(m: tensor "t": "data_offsets" is missing.)");
  CHECK(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0])") ==
        R"(m: tensor "t": "data_offsets" has 1 numbers, not 2.)");
  CHECK(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])") ==
        R"(m: tensor "t": "data_offsets" has 3 numbers, not 2.)");
  const std::string deep(200, '[');
  CHECK(tensor("\"x\":" + deep + std::string(200, ']')) == R"(m: tensor "t": "x" is nested too deeply.)");
}

TEST_CASE("invalid_header_deserialization: nothing may come twice") {
  const auto text = [](const std::string& header) {
    const ptq::error e = error_of_header(header, "abcd");
    CHECK(e.code == errc::invalid_header_deserialization);
    return e.what;
  };
  const std::string a = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  CHECK(text("{" + a + "," + a + "}") == R"(m: tensor "a" comes twice in the header.)");
  CHECK(text(R"({"__metadata__":{},"__metadata__":{}})") ==
        R"(m: "__metadata__" comes twice in the header.)");
  CHECK(text(R"({"__metadata__":{"k":"","k":""}})") == R"(m: "k" comes twice in the header.)");
  CHECK(text(R"({"a":{"dtype":"F32","dtype":"F32"}})") == R"(m: tensor "a": "dtype" comes twice.)");
  CHECK(text(R"({"a":{"shape":[],"shape":[]}})") == R"(m: tensor "a": "shape" comes twice.)");
  CHECK(text(R"({"a":{"data_offsets":[],"data_offsets":[]}})") ==
        R"(m: tensor "a": "data_offsets" comes twice.)");
}

TEST_CASE("invalid_offset: holes, overlaps and negative lengths") {
  const auto text = [](const std::string& a, const std::string& b) {
    const ptq::error e = error_of_header(R"({"a":{"dtype":"I8","shape":[4],"data_offsets":)" + a +
                                             R"(},"b":{"dtype":"I8","shape":[4],"data_offsets":)" + b + "}}",
                                         "01234567");
    CHECK(e.code == errc::invalid_offset);
    return e.what;
  };
  CHECK(text("[0,4]", "[5,9]") ==
        R"(m: tensor "b": "data_offsets" are [5, 9], which leaves a hole: they must begin at 4.)");
  CHECK(text("[1,4]", "[4,8]") ==
        R"(m: tensor "a": "data_offsets" are [1, 4], which leaves a hole: they must begin at 0.)");
  CHECK(text("[0,4]", "[3,7]") ==
        R"(m: tensor "b": "data_offsets" are [3, 7], which overlaps another tensor: they must begin at 4.)");
  CHECK(text("[0,4]", "[0,4]") ==
        R"(m: tensor "b": "data_offsets" are [0, 4], which overlaps another tensor: they must begin at 4.)");
  CHECK(text("[0,4]", "[4,2]") ==
        R"(m: tensor "b": "data_offsets" are [4, 2], which end before they begin.)");
  CHECK(text("[0,4]", "[18446744073709551615,3]").find("leaves a hole") != std::string::npos);
}

TEST_CASE("validation_overflow") {
  const ptq::error e = error_of_header(
      R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", "abcd");
  CHECK(e.code == errc::validation_overflow);
  CHECK(e.what ==
        R"(m: tensor "a": shape [4294967296, 4294967296] of F32 takes more bytes than can be counted.)");
  CHECK(error_of_header(R"({"a":{"dtype":"I8","shape":[4611686018427387904],"data_offsets":[0,0]}})").code ==
        errc::validation_overflow);
  CHECK(error_of_header(R"({"a":{"dtype":"I8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}})")
            .code == errc::validation_overflow);
  CHECK(accepts(R"({"a":{"dtype":"I8","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})"));
  CHECK(accepts(R"({"a":{"dtype":"I8","shape":[18446744073709551615,0],"data_offsets":[0,0]}})"));
}

TEST_CASE("misaligned_slice") {
  const ptq::error e = error_of_header(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", "ab");
  CHECK(e.code == errc::misaligned_slice);
  CHECK(e.what == R"(m: tensor "a": shape [3] of F4 does not fill its last byte.)");
}

TEST_CASE("tensor_invalid_info") {
  const ptq::error e = error_of_header(R"({"a":{"dtype":"F16","shape":[3],"data_offsets":[0,4]}})", "abcd");
  CHECK(e.code == errc::tensor_invalid_info);
  CHECK(e.what ==
        R"(m: tensor "a": shape [3] of F16 takes 6 bytes, but "data_offsets" are [0, 4], which is 4.)");
}

TEST_CASE("metadata_incomplete_buffer") {
  const ptq::error cut = error_of_header(ab, "012345678");
  CHECK(cut.code == errc::metadata_incomplete_buffer);
  CHECK(cut.what == "m: the header describes 10 bytes of data, but 9 follow it. The file is cut off.");
  const ptq::error trailing = error_of_header(ab, "01234567890");
  CHECK(trailing.code == errc::metadata_incomplete_buffer);
  CHECK(trailing.what ==
        "m: the header describes 10 bytes of data, but 11 follow it. The file has something behind its end.");
}

TEST_CASE("a file cut off anywhere is refused") {
  const std::string file = safetensors_bytes(ab, ab_data);
  for (std::size_t n = 0; n < file.size(); ++n) {
    const errc code = error_of(file.substr(0, n)).code;
    CAPTURE(n);
    CHECK(code == (n < 8               ? errc::header_too_small
                   : n < 8 + ab.size() ? errc::invalid_header_length
                                       : errc::metadata_incomplete_buffer));
  }
}
