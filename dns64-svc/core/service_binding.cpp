// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/service_binding.hpp"

#include <algorithm>

#include "common/net/big_endian.hpp"

namespace isthmus::dns64 {
namespace {

using Bytes = std::span<const std::uint8_t>;

struct Param {
  std::uint16_t key = 0;
  Bytes value;
};

// Where the parameters begin: behind priority and target, which must not be compressed.
std::optional<std::size_t> params_at(Bytes rdata) {
  if (rdata.size() < 3) return std::nullopt;
  std::size_t at = 2;
  const auto target = Name::read(rdata, at);
  if (!target || at != 2 + target->size()) return std::nullopt;
  return at;
}

// The parameter at `at`, which then is behind it.
std::optional<Param> read_param(Bytes rdata, std::size_t& at) {
  if (rdata.size() - at < 4) return std::nullopt;
  const std::size_t length = load_be16(&rdata[at + 2]);
  if (rdata.size() - at - 4 < length) return std::nullopt;
  const Param param{load_be16(&rdata[at]), rdata.subspan(at + 4, length)};
  at += 4 + length;
  return param;
}

// Bytes of one address of a hint; 0: no hint.
std::size_t width_of(std::uint16_t key) {
  return key == svc_param::kIpv4Hint ? 4 : key == svc_param::kIpv6Hint ? 16 : 0;
}

ClientAddress address_of(Bytes hint) {
  if (hint.size() == 4) return Ipv4Address::load(hint.data());
  return Ipv6Address::load(hint.data());
}

bool lists(Bytes mandatory, std::uint16_t key) {
  for (std::size_t i = 0; i + 1 < mandatory.size(); i += 2)
    if (load_be16(&mandatory[i]) == key) return true;
  return false;
}

}  // namespace

std::optional<Binding> read_binding(Bytes rdata) {
  const auto begin = params_at(rdata);
  if (!begin || load_be16(rdata.data()) == 0) return std::nullopt;
  Binding binding{rdata.subspan(2, *begin - 2), {}, rdata.size()};
  for (std::size_t at = *begin; at < rdata.size();) {
    const auto start = at;
    const auto param = read_param(rdata, at);
    if (!param || param->key == svc_param::kIpv6Hint) return std::nullopt;
    if (param->key == svc_param::kIpv4Hint) binding.ipv4_hints = param->value;
    if (param->key > svc_param::kIpv6Hint) binding.insert_at = std::min(binding.insert_at, start);
  }
  if (binding.ipv4_hints.empty() || binding.ipv4_hints.size() % 4 != 0) return std::nullopt;
  return binding;
}

std::optional<Bytes> with_ipv6_hints(Bytes rdata, const Binding& binding, Bytes hints, BindingRoom& room) {
  constexpr std::size_t kHeader = 4;
  const std::size_t size = rdata.size() + kHeader + hints.size();
  if (hints.empty() || size > room.size()) return std::nullopt;
  auto* at = std::copy_n(rdata.data(), binding.insert_at, room.data());
  store_be16(at, svc_param::kIpv6Hint);
  store_be16(at + 2, static_cast<std::uint16_t>(hints.size()));
  at = std::copy(hints.begin(), hints.end(), at + kHeader);
  const auto rest = rdata.subspan(binding.insert_at);
  std::copy(rest.begin(), rest.end(), at);
  return Bytes{room.data(), size};
}

std::optional<Bytes> without_hints(Bytes rdata, const std::function<bool(const ClientAddress&)>& is_unwanted,
                                   BindingRoom& room) {
  const auto begin = params_at(rdata);
  if (!begin) return std::nullopt;
  bool changes = false;
  Bytes mandatory;
  for (std::size_t at = *begin; at < rdata.size();) {
    const auto param = read_param(rdata, at);
    if (!param) return std::nullopt;
    if (param->key == svc_param::kMandatory) mandatory = param->value;
    const auto width = width_of(param->key);
    if (width == 0) continue;
    if (param->value.empty() || param->value.size() % width != 0) return std::nullopt;
    for (std::size_t i = 0; i < param->value.size(); i += width)
      changes = changes || is_unwanted(address_of(param->value.subspan(i, width)));
  }
  if (!changes) return rdata;
  if (rdata.size() > room.size()) return std::nullopt;

  std::size_t size = 0;
  const auto append = [&](Bytes bytes) {
    std::copy(bytes.begin(), bytes.end(), room.begin() + static_cast<std::ptrdiff_t>(size));
    size += bytes.size();
  };
  append(rdata.first(*begin));
  for (std::size_t at = *begin; at < rdata.size();) {
    const auto start = at;
    const auto param = read_param(rdata, at);
    const auto width = width_of(param->key);
    if (width == 0) {
      append(rdata.subspan(start, at - start));
      continue;
    }
    const auto head = size;
    append(rdata.subspan(start, 4));
    for (std::size_t i = 0; i < param->value.size(); i += width) {
      const auto hint = param->value.subspan(i, width);
      if (!is_unwanted(address_of(hint))) append(hint);
    }
    store_be16(&room[head + 2], static_cast<std::uint16_t>(size - head - 4));
    if (size != head + 4) continue;
    if (lists(mandatory, param->key)) return std::nullopt;
    size = head;
  }
  return Bytes{room.data(), size};
}

}  // namespace isthmus::dns64
