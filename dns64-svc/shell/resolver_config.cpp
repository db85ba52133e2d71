// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/resolver_config.hpp"

#include <algorithm>
#include <cctype>
#include <sstream>

#include "common/net/ipv6_address.hpp"

namespace isthmus::dns64 {

namespace {

// IANA's root key-signing keys (root-anchors.xml): the one in use and its successor.
constexpr const char* kRootAnchors[] = {
    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16"};

// Zones that libunbound would answer by itself although the operator's own servers may know them.
constexpr const char* kSpecialZones[] = {"test.",      "home.arpa.", "invalid.",
                                         "localhost.", "onion.",     "resolver.arpa."};

std::uint64_t questions_at_a_time(const Dns64Limits& limits) {
  return std::min<std::uint64_t>(limits.max_outstanding, 4096);
}

// Whatever the operator wrote ends up between quotes: nothing may end them.
bool is_quotable(const std::string& text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20; });
}

class Writer {
 public:
  void section(const char* name) { out_ << name << ":\n"; }
  void plain(const char* option, const std::string& value) {
    out_ << "  " << option << ": " << value << "\n";
  }
  void plain(const char* option, std::uint64_t value) { out_ << "  " << option << ": " << value << "\n"; }
  void yes(const char* option, bool on = true) { plain(option, on ? std::string{"yes"} : std::string{"no"}); }
  void quoted(const char* option, const std::string& value) {
    if (!is_quotable(value) && problem_.empty())
      problem_ = "the value \"" + value + "\" has a quote, backslash or control character: remove it";
    out_ << "  " << option << ": \"" << value << "\"\n";
  }
  [[nodiscard]] Result<std::string, std::string> take() const {
    if (!problem_.empty()) return failure(problem_);
    return out_.str();
  }
  void problem(std::string text) {
    if (problem_.empty()) problem_ = std::move(text);
  }

 private:
  std::ostringstream out_;
  std::string problem_;
};

void write_zone(Writer& out, const std::string& name, ZoneKind kind, const std::vector<Upstream>& upstreams) {
  const bool stub = kind == ZoneKind::kStub;
  const auto tls = std::count_if(upstreams.begin(), upstreams.end(), [](const auto& u) { return u.tls; });
  if (tls != 0 && tls != std::ssize(upstreams))
    out.problem("zone " + name + " mixes upstreams with and without TLS: use one kind");
  out.section(stub ? "stub-zone" : "forward-zone");
  out.quoted("name", name);
  for (const auto& upstream : upstreams) {
    auto address = upstream.address + "@" + std::to_string(upstream.port);
    if (upstream.tls) address += "#" + upstream.tls_name;
    out.quoted(stub ? "stub-addr" : "forward-addr", address);
  }
  if (tls != 0) out.yes(stub ? "stub-tls-upstream" : "forward-tls-upstream");
  // We keep the facts: a question that we ask again is meant for the upstream.
  out.yes(stub ? "stub-no-cache" : "forward-no-cache");
}

// The owner of a DS or DNSKEY line, in one spelling.
std::string zone_of(const std::string& line) {
  auto zone = line.substr(0, line.find_first_of(" \t"));
  std::transform(zone.begin(), zone.end(), zone.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (!zone.ends_with('.')) zone += '.';
  return zone;
}

void write_trust(Writer& out, const Resolver& resolver, const UnboundFiles& files) {
  out.quoted("module-config", resolver.dnssec ? "validator iterator" : "iterator");
  if (!resolver.dnssec) return;
  if (resolver.trust_anchors.empty() && !files.root_anchor.file.empty()) {
    out.quoted("auto-trust-anchor-file", files.root_anchor.file);
    if (const auto seconds = files.root_anchor.lab_hold_down; seconds != 0) {
      out.yes("permit-small-holddown");
      out.plain("add-holddown", seconds);
      out.plain("del-holddown", seconds);
    }
  } else if (resolver.trust_anchors.empty()) {
    for (const auto* anchor : kRootAnchors) out.quoted("trust-anchor", anchor);
  }
  // RFC 7646 §2: at one name the negative anchor wins; libunbound would go by the other.
  const auto is_negated = [&](const std::string& anchor) {
    return std::any_of(resolver.negative_trust_anchors.begin(), resolver.negative_trust_anchors.end(),
                       [&](const std::string& domain) { return zone_of(domain) == zone_of(anchor); });
  };
  for (const auto& anchor : resolver.trust_anchors)
    if (!is_negated(anchor)) out.quoted("trust-anchor", anchor);
  for (const auto& domain : resolver.negative_trust_anchors) out.quoted("domain-insecure", domain);
}

// libunbound answers private reverse zones, "test." and others by itself (RFC 6303). Unless the policy says,
// that is right towards the public DNS only: a site's forwarder or private root may serve them.
void write_local_zones(Writer& out, const Resolver& resolver) {
  const bool public_dns = resolver.mode == ResolverMode::kRecurse && resolver.root_hints.empty();
  if (!resolver.local_zones.value_or(public_dns)) {
    out.yes("unblock-lan-zones");
    out.yes("insecure-lan-zones");
    for (const auto* zone : kSpecialZones) out.plain("local-zone", "\"" + std::string{zone} + "\" nodefault");
  }
  for (const auto& zone : resolver.zones) {
    if (!is_quotable(zone.name)) out.problem("the zone name " + zone.name + " cannot be used");
    out.plain("local-zone", "\"" + zone.name + "\" nodefault");
  }
  out.plain("local-zone", "\"" + std::string{kStartName} + "\" always_nxdomain");
}

}  // namespace

Result<std::string, std::string> unbound_config(const Resolver& resolver, const Dns64Limits& limits,
                                                const UnboundFiles& files) {
  Writer out;
  out.section("server");
  out.plain("verbosity", std::uint64_t{0});
  write_trust(out, resolver, files);
  write_local_zones(out, resolver);
  if (!files.root_hints.empty()) out.quoted("root-hints", files.root_hints);
  out.yes("do-not-query-localhost", false);  // an upstream may well run on this host
  out.yes("tls-system-cert");
  out.yes("minimal-responses");
  out.yes("qname-minimisation");
  // RFC 5452 §9 and 0x20: hard to guess questions. Forwarders are not asked in mixed case: some mangle it.
  out.yes("use-caps-for-id", resolver.mode == ResolverMode::kRecurse);
  out.plain("edns-buffer-size", std::uint64_t{1232});
  out.plain("outgoing-range", questions_at_a_time(limits));
  out.plain("num-queries-per-thread", questions_at_a_time(limits));
  out.plain("outgoing-num-tcp", std::uint64_t{64});
  out.plain("cache-max-ttl", limits.max_ttl_seconds);
  out.plain("cache-max-negative-ttl", limits.max_negative_ttl_seconds);
  // Answers are kept by our own cache; here only delegations and keys are worth memory. With one message
  // kept at most, a question that we ask again goes upstream.
  out.plain("msg-cache-size", std::uint64_t{1});
  out.plain("msg-cache-slabs", std::uint64_t{1});
  out.plain("rrset-cache-size", std::string{"16m"});
  out.plain("rrset-cache-slabs", std::uint64_t{1});
  out.plain("infra-cache-slabs", std::uint64_t{1});
  out.plain("infra-host-ttl", std::uint64_t{60});  // a server that was dead is tried again soon
  out.plain("key-cache-size", std::string{"4m"});
  out.plain("key-cache-slabs", std::uint64_t{1});
  if (resolver.mode == ResolverMode::kForward) write_zone(out, ".", ZoneKind::kForward, resolver.upstreams);
  for (const auto& zone : resolver.zones) write_zone(out, zone.name, zone.kind, zone.upstreams);
  return out.take();
}

bool alike_in_config(const Dns64Limits& a, const Dns64Limits& b) {
  return a.max_ttl_seconds == b.max_ttl_seconds && a.max_negative_ttl_seconds == b.max_negative_ttl_seconds &&
         questions_at_a_time(a) == questions_at_a_time(b);
}

std::string built_in_root_anchors() {
  std::string text;
  for (const auto* anchor : kRootAnchors) text += std::string{anchor} + "\n";
  return text;
}

Result<std::string, std::string> root_hints_zone(const Resolver& resolver) {
  std::ostringstream out;
  for (const auto& hint : resolver.root_hints) {
    std::istringstream words{hint};
    std::string name;
    std::string address;
    std::string rest;
    words >> name >> address >> rest;
    const bool ipv6 = Ipv6Address::parse(address).has_value();
    if (!rest.empty() || (!ipv6 && !Ipv4Address::parse(address)))
      return failure("the root hint \"" + hint + "\" is not \"name address\"");
    if (name.back() != '.') name += '.';
    out << ". 3600000 IN NS " << name << "\n"
        << name << " 3600000 IN " << (ipv6 ? "AAAA " : "A ") << address << "\n";
  }
  return out.str();
}

}  // namespace isthmus::dns64
