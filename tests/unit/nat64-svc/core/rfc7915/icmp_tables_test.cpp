// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/rfc7915/icmp_tables.hpp"

#include <gtest/gtest.h>

namespace isthmus::nat64 {
namespace {

constexpr PathMtu kPath{1500, 1500};
constexpr std::uint32_t pointer(std::uint32_t offset) {
  return offset << 24;
}

struct Row {
  IcmpError in;
  std::optional<IcmpError> out;
};

TEST(IcmpErrorAsIpv6, Rfc7915Section42) {
  const Row rows[] = {
      {{3, 0, 0}, IcmpError{1, 0, 0}},
      {{3, 1, 0}, IcmpError{1, 0, 0}},
      {{3, 2, 0}, IcmpError{4, 1, 6}},
      {{3, 3, 0}, IcmpError{1, 4, 0}},
      {{3, 5, 0}, IcmpError{1, 0, 0}},
      {{3, 6, 0}, IcmpError{1, 0, 0}},
      {{3, 7, 0}, IcmpError{1, 0, 0}},
      {{3, 8, 0}, IcmpError{1, 0, 0}},
      {{3, 9, 0}, IcmpError{1, 1, 0}},
      {{3, 10, 0}, IcmpError{1, 1, 0}},
      {{3, 11, 0}, IcmpError{1, 0, 0}},
      {{3, 12, 0}, IcmpError{1, 0, 0}},
      {{3, 13, 0}, IcmpError{1, 1, 0}},
      {{3, 14, 0}, std::nullopt},
      {{3, 15, 0}, IcmpError{1, 1, 0}},
      {{3, 16, 0}, std::nullopt},
      {{4, 0, 0}, std::nullopt},
      {{11, 0, 0}, IcmpError{3, 0, 0}},
      {{11, 1, 0}, IcmpError{3, 1, 0}},
      {{12, 1, 0}, std::nullopt},
      {{12, 0, pointer(0)}, IcmpError{4, 0, 0}},
      {{12, 0, pointer(1)}, IcmpError{4, 0, 1}},
      {{12, 0, pointer(2)}, IcmpError{4, 0, 4}},
      {{12, 0, pointer(3)}, IcmpError{4, 0, 4}},
      {{12, 0, pointer(4)}, std::nullopt},
      {{12, 0, pointer(7)}, std::nullopt},
      {{12, 0, pointer(8)}, IcmpError{4, 0, 7}},
      {{12, 2, pointer(9)}, IcmpError{4, 0, 6}},
      {{12, 0, pointer(10)}, std::nullopt},
      {{12, 0, pointer(12)}, IcmpError{4, 0, 8}},
      {{12, 0, pointer(15)}, IcmpError{4, 0, 8}},
      {{12, 0, pointer(16)}, IcmpError{4, 0, 24}},
      {{12, 0, pointer(19)}, IcmpError{4, 0, 24}},
      {{12, 0, pointer(20)}, std::nullopt},
  };
  for (const auto& row : rows)
    EXPECT_EQ(icmp_error_as_ipv6(row.in, 1500, kPath), row.out)
        << "type " << int{row.in.type} << " code " << int{row.in.code} << " rest " << row.in.rest;
}

TEST(IcmpErrorAsIpv4, Rfc7915Section52) {
  const Row rows[] = {
      {{1, 0, 0}, IcmpError{3, 1, 0}},
      {{1, 1, 0}, IcmpError{3, 10, 0}},
      {{1, 2, 0}, IcmpError{3, 1, 0}},
      {{1, 3, 0}, IcmpError{3, 1, 0}},
      {{1, 4, 0}, IcmpError{3, 3, 0}},
      {{1, 5, 0}, std::nullopt},
      {{3, 0, 0}, IcmpError{11, 0, 0}},
      {{3, 1, 0}, IcmpError{11, 1, 0}},
      {{4, 1, 6}, IcmpError{3, 2, 0}},
      {{4, 2, 0}, std::nullopt},
      {{4, 0, 0}, IcmpError{12, 0, pointer(0)}},
      {{4, 0, 1}, IcmpError{12, 0, pointer(1)}},
      {{4, 0, 2}, std::nullopt},
      {{4, 0, 3}, std::nullopt},
      {{4, 0, 4}, IcmpError{12, 0, pointer(2)}},
      {{4, 0, 5}, IcmpError{12, 0, pointer(2)}},
      {{4, 0, 6}, IcmpError{12, 0, pointer(9)}},
      {{4, 0, 7}, IcmpError{12, 0, pointer(8)}},
      {{4, 0, 8}, IcmpError{12, 0, pointer(12)}},
      {{4, 0, 23}, IcmpError{12, 0, pointer(12)}},
      {{4, 0, 24}, IcmpError{12, 0, pointer(16)}},
      {{4, 0, 39}, IcmpError{12, 0, pointer(16)}},
      {{4, 0, 40}, std::nullopt},
  };
  for (const auto& row : rows)
    EXPECT_EQ(icmp_error_as_ipv4(row.in, kPath, false), row.out)
        << "type " << int{row.in.type} << " code " << int{row.in.code} << " rest " << row.in.rest;
}

struct MtuRow {
  const char* why;
  std::uint32_t told;
  std::uint16_t quoted;
  PathMtu path;
  std::uint32_t want;
};

TEST(IcmpErrorAsIpv6, FragmentationNeededGrowsByTheHeaderAndStaysInsideBothWays) {
  const MtuRow rows[] = {
      {"20 bytes more", 1400, 1500, {1500, 1500}, 1420},
      {"not above the IPv6 way", 1500, 1500, {1480, 1500}, 1480},
      {"not above the IPv4 way", 1500, 1500, {9000, 1460}, 1480},
      {"not below what every IPv6 way carries", 576, 1500, {1500, 1500}, 1280},
      {"no MTU told: the plateau below the packet", 0, 1500, {9000, 9000}, 1512},
      {"no MTU told: the next plateau", 0, 4352, {9000, 9000}, 2022},
      {"no MTU told: small", 0, 600, {9000, 9000}, 1280},
  };
  for (const auto& row : rows)
    EXPECT_EQ(icmp_error_as_ipv6({3, 4, row.told}, row.quoted, row.path), (IcmpError{2, 0, row.want}))
        << row.why;
}

TEST(IcmpErrorAsIpv4, PacketTooBigShrinksByTheHeaderAndStaysInsideBothWays) {
  const MtuRow rows[] = {
      {"20 bytes less", 1400, 0, {1500, 1500}, 1380},
      {"not above the IPv4 way", 1500, 0, {9000, 1400}, 1400},
      {"not above the IPv6 way", 9000, 0, {1480, 9000}, 1460},
      {"a hostile zero", 0, 0, {1500, 1500}, 68},
      {"more than the field holds", 0xffffffff, 0, {100000, 100000}, 65535},
  };
  for (const auto& row : rows)
    EXPECT_EQ(icmp_error_as_ipv4({2, 0, row.told}, row.path, false), (IcmpError{3, 4, row.want})) << row.why;
}

TEST(IcmpErrorAsIpv4, PacketTooBigAboutAFragmentShrinksByItsHeaderToo) {
  const MtuRow rows[] = {
      {"28 bytes less", 1400, 0, {1500, 1500}, 1372},
      {"not above the IPv4 way", 1500, 0, {9000, 1400}, 1400},
      {"not above the IPv6 way", 9000, 0, {1480, 9000}, 1452},
      {"a hostile zero", 0, 0, {1500, 1500}, 68},
  };
  for (const auto& row : rows)
    EXPECT_EQ(icmp_error_as_ipv4({2, 0, row.told}, row.path, true), (IcmpError{3, 4, row.want})) << row.why;
}

}  // namespace
}  // namespace isthmus::nat64
