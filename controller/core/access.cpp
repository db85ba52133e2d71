// SPDX-License-Identifier: Apache-2.0
#include "controller/core/access.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace isthmus::controller {
namespace {

constexpr std::string_view kDomain = ".isthmus.internal";
constexpr std::array<std::string_view, 6> kReadingVerbs{"Get", "List", "Watch", "Find", "Diff", "Validate"};

// DNS names are compared without regard to case.
std::string lower(std::string_view text) {
  std::string out{text};
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

}  // namespace

Right right_needed(std::string_view path) {
  if (path.starts_with("/grpc.health.v1.") || path.starts_with("/grpc.reflection.")) return Right::kGreet;
  if (path == "/isthmus.v1.ControlPlane/Session") return Right::kRegister;
  constexpr std::string_view kAdmin = "/isthmus.v1.Admin/";
  if (!path.starts_with(kAdmin)) return Right::kChange;
  const auto method = path.substr(kAdmin.size());
  const bool reads = method.ends_with("History") ||
                     std::ranges::any_of(kReadingVerbs, [&](auto verb) { return method.starts_with(verb); });
  return reads ? Right::kRead : Right::kChange;
}

Caller Caller::plain_text(std::string peer) {
  Caller caller;
  caller.plain_text_ = true;
  caller.peer_ = std::move(peer);
  return caller;
}

Caller Caller::certificate(std::span<const std::string> dns_names, std::string peer) {
  Caller caller;
  caller.peer_ = std::move(peer);
  for (const auto& text : dns_names) {
    const auto full = lower(text);
    if (!full.ends_with(kDomain)) continue;
    const auto rest = std::string_view{full}.substr(0, full.size() - kDomain.size());
    const auto dot = rest.rfind('.');  // a node_id may hold dots
    if (dot == std::string_view::npos || dot == 0) continue;
    if (const auto role = kRoleNames.find(rest.substr(dot + 1))) {
      caller.grants_.push_back({*role, std::string{rest.substr(0, dot)}});
    }
  }
  return caller;
}

bool Caller::has(Role role) const {
  return std::ranges::any_of(grants_, [&](const Grant& grant) { return grant.role == role; });
}

Result<void, std::string> Caller::may(Right right) const {
  if (plain_text_) return {};
  if (grants_.empty()) {
    return failure(
        std::string{"this certificate names no role: it needs a DNS name NAME.ROLE.isthmus.internal, ROLE "
                    "one of dns64, nat64, "
                    "operator, reader, controller ('isthmusctl certs' makes such)"});
  }
  const bool service = has(Role::kDns64) || has(Role::kNat64);
  const bool allowed = right == Right::kGreet || is_controller() || (right == Right::kRegister && service) ||
                       (right == Right::kRead && (has(Role::kReader) || has(Role::kOperator))) ||
                       (right == Right::kChange && has(Role::kOperator));
  if (allowed) return {};
  const std::string needed = right == Right::kRegister ? "dns64 or nat64"
                             : right == Right::kRead   ? "reader or operator"
                                                       : "operator";
  return failure(name() + " may not do this: it needs a certificate with the role " + needed);
}

Result<void, std::string> Caller::may_register(ServiceKind kind, std::string_view node_id) const {
  if (plain_text_) return {};
  const auto role = kind == ServiceKind::kDns64 ? Role::kDns64 : Role::kNat64;
  const auto wanted = lower(node_id);
  const bool allowed = std::ranges::any_of(grants_, [&](const Grant& grant) {
    return grant.role == role && (grant.name == "*" || grant.name == wanted);
  });
  if (allowed) return {};
  return failure(name() + " may not register as " + std::string{kRoleNames[role]} + " " +
                 std::string{node_id} + ": its certificate needs the DNS name " + wanted + "." +
                 std::string{kRoleNames[role]} + std::string{kDomain});
}

std::string Caller::name() const {
  std::string names;
  for (const auto& grant : grants_) {
    names += (names.empty() ? "" : ",") + grant.name + "." + std::string{kRoleNames[grant.role]};
  }
  if (names.empty()) names = plain_text_ ? "somebody without TLS" : "somebody without a role";
  return names + " (" + peer_ + ")";
}

}  // namespace isthmus::controller
