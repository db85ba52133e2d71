// SPDX-License-Identifier: Apache-2.0
// Who may do what, from the DNS names in the client's certificate (subjectAltName):
//
//   NAME.ROLE.isthmus.internal      gw1.nat64.isthmus.internal, alice.operator.isthmus.internal
//
// ROLE is dns64, nat64, operator, reader or controller. For the two kinds of service NAME is the node_id that
// it may register under; `*` is any, for replicas that share one certificate. A controller passes on the
// calls of others, whose names it looked at (shell/relay.hpp). A certificate may carry several names; without
// one it may do nothing. On a plain-text port, which is loopback unless the operator insists, there is nobody
// to tell apart.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/enum_names.hpp"
#include "common/base/result.hpp"
#include "controller/core/messages.hpp"

namespace isthmus::controller {

enum class Role : std::uint8_t { kDns64, kNat64, kOperator, kReader, kController, kCount };
inline constexpr EnumNames<Role> kRoleNames{{"dns64", "nat64", "operator", "reader", "controller"}};

enum class Right : std::uint8_t {
  kGreet,     // health and reflection: every known caller
  kRegister,  // the control protocol
  kRead,
  kChange,
  kCount
};

// What a call asks for, by its path "/isthmus.v1.Admin/GetPolicy". Methods whose name begins with Get, List,
// Watch, Find, Diff or Validate or ends in History read; every other one changes something, so that a method
// nobody thought of is for operators.
[[nodiscard]] Right right_needed(std::string_view path);

class Caller {
 public:
  static Caller plain_text(std::string peer);
  static Caller certificate(std::span<const std::string> dns_names, std::string peer);

  // The error is a sentence with the remedy.
  [[nodiscard]] Result<void, std::string> may(Right right) const;
  [[nodiscard]] Result<void, std::string> may_register(ServiceKind kind, std::string_view node_id) const;
  [[nodiscard]] bool is_plain_text() const { return plain_text_; }
  [[nodiscard]] bool is_controller() const { return has(Role::kController); }
  [[nodiscard]] const std::string& peer() const { return peer_; }
  [[nodiscard]] bool is_known() const { return !grants_.empty(); }  // by a certificate with a role
  // For audit lines: "alice (ipv4:192.0.2.1:4711)".
  [[nodiscard]] std::string name() const;

 private:
  struct Grant {
    Role role;
    std::string name;
  };
  [[nodiscard]] bool has(Role role) const;

  std::vector<Grant> grants_;
  std::string peer_;
  bool plain_text_ = false;
};

}  // namespace isthmus::controller
