// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/service_binding.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace isthmus::dns64 {
namespace {

// One parameter: key, length, value.
std::string param(int key, const std::string& value) {
  return {std::string{'\0', static_cast<char>(key), static_cast<char>(value.size() >> 8),
                      static_cast<char>(value.size())} +
          value};
}
// Priority 1, target ".".
std::string binding(const std::string& params) {
  return std::string{"\0\1\0", 3} + params;
}
std::string v4(const std::vector<const char*>& addresses) {
  std::string value;
  for (const auto* text : addresses) {
    std::array<std::uint8_t, 4> bytes{};
    Ipv4Address::parse(text).value().store(bytes.data());
    value.append(bytes.begin(), bytes.end());
  }
  return value;
}
std::string v6(const std::vector<const char*>& addresses) {
  std::string value;
  for (const auto* text : addresses) {
    const auto bytes = Ipv6Address::parse(text).value().bytes();
    value.append(bytes.begin(), bytes.end());
  }
  return value;
}
const std::string kAlpn = param(1, "\2h2");
const std::string kEch = param(5, "secret");

// 10.0.0.0/8 and fd00::/8.
bool is_unwanted(const ClientAddress& address) {
  if (const auto* four = std::get_if<Ipv4Address>(&address)) return four->value() >> 24 == 10;
  return std::get<Ipv6Address>(address).bytes()[0] == 0xfd;
}

// "withheld", "as it is", or the bytes of the copy.
std::string rest_of(const std::string& rdata) {
  const std::vector<std::uint8_t> bytes(rdata.begin(), rdata.end());
  BindingRoom room;
  const auto rest = without_hints(bytes, is_unwanted, room);
  if (!rest) return "withheld";
  if (rest->data() == bytes.data() && rest->size() == bytes.size()) return "as it is";
  return {rest->begin(), rest->end()};
}

TEST(ServiceBinding, WithoutUnwantedHintsTheRdataIsGivenAsItIs) {
  for (const auto& params :
       {std::string{}, kAlpn, param(4, v4({"198.51.0.1"})), param(6, v6({"2001:db8::1"})),
        kAlpn + param(4, v4({"198.51.0.1", "198.51.0.2"})) + kEch + param(6, v6({"2001:db8::1"}))})
    EXPECT_EQ(rest_of(binding(params)), "as it is");
  EXPECT_EQ(rest_of(std::string{"\0\1\3www\7example\0", 15} + kAlpn), "as it is");
}

TEST(ServiceBinding, UnwantedHintsGoAndTheOthersStay) {
  EXPECT_EQ(rest_of(binding(kAlpn + param(4, v4({"10.0.0.1", "198.51.0.1", "10.0.0.2"})) + kEch +
                            param(6, v6({"2001:db8::1", "fd00::1"})))),
            binding(kAlpn + param(4, v4({"198.51.0.1"})) + kEch + param(6, v6({"2001:db8::1"}))));
}

TEST(ServiceBinding, AParameterThatWouldBeEmptyGoesWhole) {
  EXPECT_EQ(rest_of(binding(kAlpn + param(4, v4({"10.0.0.1"})) + kEch + param(6, v6({"2001:db8::1"})))),
            binding(kAlpn + kEch + param(6, v6({"2001:db8::1"}))));
  EXPECT_EQ(rest_of(binding(param(4, v4({"10.0.0.1"})) + param(6, v6({"fd00::1", "fd00::2"})))), binding(""));
  EXPECT_EQ(rest_of(std::string{"\0\1\3www\7example\0", 15} + param(6, v6({"fd00::1"}))),
            (std::string{"\0\1\3www\7example\0", 15}));
}

// RFC 9460 §8: a record that lacks a mandatory parameter is malformed.
TEST(ServiceBinding, ARecordWhoseMandatoryParameterGoesIsWithheld) {
  const auto mandatory = param(0, std::string{"\0\1\0\4", 4});
  EXPECT_EQ(rest_of(binding(mandatory + kAlpn + param(4, v4({"10.0.0.1"})))), "withheld");
  EXPECT_EQ(rest_of(binding(mandatory + kAlpn + param(4, v4({"10.0.0.1", "198.51.0.1"})))),
            binding(mandatory + kAlpn + param(4, v4({"198.51.0.1"}))));
  EXPECT_EQ(rest_of(binding(mandatory + kAlpn + param(4, v4({"198.51.0.1"})) + param(6, v6({"fd00::1"})))),
            binding(mandatory + kAlpn + param(4, v4({"198.51.0.1"}))))
      << "the other one is not mandatory";
}

TEST(ServiceBinding, WhatCannotBeReadIsWithheld) {
  for (const auto& rdata : {std::string{}, std::string{"\0\1", 2}, std::string{"\0\1\300\0", 4},
                            binding(std::string(1, '\0')), binding(kAlpn.substr(0, 6)), binding(param(4, "")),
                            binding(param(4, "\n\0\0")), binding(param(6, v6({"2001:db8::1"}).substr(1)))})
    EXPECT_EQ(rest_of(rdata), "withheld") << rdata.size();
}

TEST(ServiceBinding, ALargeRecordIsGivenAsItIsOrWithheld) {
  const auto large = param(5, std::string(2048, 'x'));
  EXPECT_EQ(rest_of(binding(param(4, v4({"198.51.0.1"})) + large)), "as it is");
  EXPECT_EQ(rest_of(binding(param(4, v4({"10.0.0.1"})) + large)), "withheld");
}

}  // namespace
}  // namespace isthmus::dns64
