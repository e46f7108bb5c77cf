// SPDX-License-Identifier: Apache-2.0
/// @file wire.hpp The fields of a protobuf message, one after the other, with their bytes.
#ifndef PTQ_IO_ONNX_WIRE_HPP
#define PTQ_IO_ONNX_WIRE_HPP

#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>
#include <protozero/varint.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ptq::inline v0_1 {
namespace detail {

/// The fields are well-formed, but say something impossible.
struct wire_error {
  const char* text;
};

/// Throws protozero's exceptions and wire_error, which are caught where reading ends.
struct wire_field {
  protozero::pbf_tag_type tag = 0;
  protozero::pbf_wire_type type = protozero::pbf_wire_type::unknown;
  std::uint64_t number = 0;  ///< of a varint or fixed field: its bits
  std::string_view payload;  ///< of a length-delimited field
  std::string_view raw;      ///< the whole field, tag included

  void expect(protozero::pbf_wire_type wanted) const {
    if (type != wanted) throw protozero::unknown_pbf_wire_type_exception{};
  }

  std::string_view bytes() const {
    expect(protozero::pbf_wire_type::length_delimited);
    return payload;
  }
  std::string text() const { return std::string(bytes()); }
  std::int64_t integer() const {
    expect(protozero::pbf_wire_type::varint);
    return static_cast<std::int64_t>(number);
  }
  std::int32_t integer32() const { return static_cast<std::int32_t>(integer()); }
  float real() const {
    expect(protozero::pbf_wire_type::fixed32);
    return std::bit_cast<float>(static_cast<std::uint32_t>(number));
  }

  /// Calls f(value) for each value of a repeated varint field, packed or not.
  template <class F>
  void for_each_varint(F&& f) const {
    if (type != protozero::pbf_wire_type::length_delimited) return f(static_cast<std::uint64_t>(integer()));
    const char* at = payload.data();
    const char* const end = at + payload.size();
    while (at != end) f(protozero::decode_varint(&at, end));
  }

  /// The little-endian bytes of a repeated fixed field, packed or not, appended.
  template <class Byte>
  void append_fixed(std::size_t size, std::vector<Byte>& out) const {
    std::string_view from = payload;
    if (type != protozero::pbf_wire_type::length_delimited) {
      expect(size == 4 ? protozero::pbf_wire_type::fixed32 : protozero::pbf_wire_type::fixed64);
      from = raw.substr(raw.size() - size);
    }
    if (from.size() % size != 0) throw protozero::invalid_length_exception{};
    for (const char c : from) out.push_back(static_cast<Byte>(c));
  }
};

/// Where reading stands, for the message when it fails.
struct wire_place {
  const char* at = nullptr;  ///< the start of a field
  const char* message = "";  ///< the kind of message it belongs to
};

/// Calls f(field) for each field of a message.
template <class F>
void for_each_field(std::string_view message, wire_place& place, const char* kind, F&& f) {
  protozero::pbf_reader reader(message.data(), message.size());
  for (;;) {
    const char* const start = reader.data().data();
    place = {start, kind};
    if (!reader.next()) return;
    wire_field field;
    field.tag = reader.tag();
    field.type = reader.wire_type();
    switch (field.type) {
      case protozero::pbf_wire_type::varint:
        field.number = reader.get_uint64();
        break;
      case protozero::pbf_wire_type::fixed64:
        field.number = reader.get_fixed64();
        break;
      case protozero::pbf_wire_type::fixed32:
        field.number = reader.get_fixed32();
        break;
      default: {
        // protozero keeps 32 bits of a length.
        const char* at = reader.data().data();
        if (protozero::decode_varint(&at, at + reader.length()) > reader.length())
          throw protozero::end_of_buffer_exception{};
        const protozero::data_view view = reader.get_view();
        field.payload = {view.data(), view.size()};
        break;
      }
    }
    field.raw = {start, static_cast<std::size_t>(reader.data().data() - start)};
    f(field);
  }
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_ONNX_WIRE_HPP
