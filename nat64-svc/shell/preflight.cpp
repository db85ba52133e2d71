// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/preflight.hpp"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string_view>

namespace isthmus::nat64 {
namespace {

struct Capability {
  unsigned bit;
  std::string_view name;
};
constexpr std::array<Capability, 5> kNeeded{{{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
                                             {CAP_NET_RAW, "CAP_NET_RAW"},
                                             {CAP_BPF, "CAP_BPF"},
                                             {CAP_PERFMON, "CAP_PERFMON"},
                                             {CAP_IPC_LOCK, "CAP_IPC_LOCK"}}};

std::uint64_t effective_capabilities() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("CapEff:", 0) == 0) return std::stoull(line.substr(7), nullptr, 16);
  }
  return 0;
}

}  // namespace

bool kernel_at_least(const std::string& release, unsigned major, unsigned minor) {
  unsigned have_major = 0;
  unsigned have_minor = 0;
  if (std::sscanf(release.c_str(), "%u.%u", &have_major, &have_minor) != 2)
    return false;  // NOLINT(cert-err34-c)
  return have_major > major || (have_major == major && have_minor >= minor);
}

std::string missing_capabilities(std::uint64_t effective) {
  std::string missing;
  for (const auto& capability : kNeeded) {
    if ((effective >> capability.bit & 1) != 0) continue;
    if (!missing.empty()) missing += ", ";
    missing += capability.name;
  }
  return missing;
}

Result<void, std::string> check_machine() {
  utsname name{};
  uname(&name);
  if (!kernel_at_least(name.release, 5, 15)) {
    return failure(std::string("Linux ") + name.release + " is too old: run 5.15 or newer");
  }
  if (const auto missing = missing_capabilities(effective_capabilities()); !missing.empty()) {
    return failure(
        "this process lacks " + missing +
        ": run it as root, or grant them (systemd: AmbientCapabilities=, Kubernetes: securityContext)");
  }
  // CAP_IPC_LOCK lifts the limit for packet memory; BPF maps on kernels before 5.11 count against it as well.
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_MEMLOCK, &unlimited);
  return {};
}

Result<UniqueFd, std::string> lock_network_namespace() {
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  // An abstract name (it begins with a zero byte) belongs to the network namespace.
  constexpr std::string_view kName = "isthmus-nat64-svc";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, kName.data(), kName.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + kName.size());
  const void* untyped = &address;
  if (!fd.valid() || bind(fd.get(), static_cast<const sockaddr*>(untyped), length) != 0) {
    return failure(
        std::string("another nat64-svc runs in this network namespace: stop it first (ss -xa | grep ") +
        std::string(kName) + ")");
  }
  return fd;
}

}  // namespace isthmus::nat64
