// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/certs.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"
#include "isthmusctl/lab_ca.hpp"

namespace isthmus {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kRoles{"operator", "reader", "dns64", "nat64"};
constexpr int kAuthorityDays = 3650;

std::string alternative_name(const std::string& host) {
  const bool address = Ipv4Address::parse(host).has_value() || Ipv6Address::parse(host).has_value();
  return (address ? "IP:" : "DNS:") + host;
}

bool is_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

Result<void, std::string> write(const fs::path& path, const std::string& text, mode_t mode) {
  const auto fresh = path.string() + ".new";
  const auto old_mask = ::umask(0777 & ~mode);
  std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  ::umask(old_mask);
  std::error_code error;
  if (out) fs::rename(fresh, path, error);
  if (!out || error)
    return failure("cannot write " + path.string() + ": check the directory and its permissions");
  return {};
}

Result<void, std::string> write_pair(const fs::path& folder, const PemPair& pem) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return failure("cannot make " + folder.string() + ": " + error.message());
  return write(folder / "tls.key", pem.key, 0600).and_then([&] {
    return write(folder / "tls.crt", pem.certificate, 0644);
  });
}

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>{in}, {}};
}

Result<LabCa, std::string> authority(const fs::path& folder) {
  if (fs::exists(folder / "tls.crt") || fs::exists(folder / "tls.key")) {
    return LabCa::load({read(folder / "tls.crt"), read(folder / "tls.key")});
  }
  auto made = LabCa::make("Isthmus lab CA", kAuthorityDays);
  if (!made) return made;
  if (const auto kept = write_pair(folder, made->pem()); !kept) return failure(kept.error());
  return made;
}

Result<void, std::string> make_all(const CertsOptions& options,
                                   const std::vector<CertificateToMake>& wanted) {
  const fs::path top{options.directory};
  const auto ca = authority(top / "ca");
  if (!ca) return failure("the authority in " + (top / "ca").string() + ": " + ca.error());
  for (const auto& one : wanted) {
    const auto pem = ca->issue("isthmus " + one.folder, one.alternative_names, options.days);
    if (!pem) return failure(pem.error());
    const auto kept = write_pair(top / one.folder, *pem).and_then([&] {
      return write(top / one.folder / "ca.crt", ca->pem().certificate, 0644);
    });
    if (!kept) return kept;
    std::cout << (top / one.folder).string();
    for (const auto& name : one.alternative_names) std::cout << "  " << name;
    std::cout << "\n";
  }
  return {};
}

}  // namespace

Result<std::vector<CertificateToMake>, std::string> certificates_to_make(const CertsOptions& options) {
  CertificateToMake controller{"controller", {}};
  for (const auto& name : options.controller_names)
    controller.alternative_names.push_back(alternative_name(name));
  controller.alternative_names.emplace_back(
      "DNS:any.controller.isthmus.internal");  // it passes calls on to another
  std::vector<CertificateToMake> out{std::move(controller)};
  for (const auto& identity : options.identities) {
    const auto slash = identity.find('/');
    const auto role = identity.substr(0, slash);
    const auto name = slash == std::string::npos ? std::string{} : identity.substr(slash + 1);
    const bool any_node = name == "*" && (role == "dns64" || role == "nat64");
    if (std::ranges::find(kRoles, role) == kRoles.end() || (!any_node && !is_name(name))) {
      return failure(
          "identity '" + identity +
          "' is not ROLE/NAME: ROLE is operator, reader, dns64 or nat64; NAME is a node_id or a person, "
          "* for all nodes of a kind");
    }
    out.push_back({any_node ? role : role + "-" + name, {"DNS:" + name + "." + role + ".isthmus.internal"}});
  }
  return out;
}

int certs_command(const CertsOptions& options) {
  const auto wanted = certificates_to_make(options);
  const auto made = wanted ? make_all(options, *wanted) : Result<void, std::string>{failure(wanted.error())};
  if (made) return 0;
  std::cerr << "isthmusctl: " << made.error() << "\n";
  return 2;
}

}  // namespace isthmus
