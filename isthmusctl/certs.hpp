// SPDX-License-Identifier: Apache-2.0
// isthmusctl certs: a CA and a certificate for everyone, in one command. A second run keeps the CA and renews
// the rest.
//
//   DIR/ca/tls.crt tls.key          the authority: keep its key away from the machines
//   DIR/WHO/ca.crt tls.crt tls.key  one folder each, named as in a Kubernetes secret of type tls
#pragma once

#include <string>
#include <vector>

#include "common/base/result.hpp"

namespace isthmus {

struct CertsOptions {
  std::string directory;
  std::vector<std::string> controller_names{"localhost", "127.0.0.1",
                                            "::1"};  // how clients call the controller
  std::vector<std::string> identities{"operator/admin", "reader/monitoring", "dns64/*",
                                      "nat64/*"};  // ROLE/NAME
  int days = 365;
};

struct CertificateToMake {
  std::string folder;  // "nat64-gw1"; for "*" the role alone
  std::vector<std::string> alternative_names;
};

// What is to be made, or the first mistake in the options.
[[nodiscard]] Result<std::vector<CertificateToMake>, std::string> certificates_to_make(
    const CertsOptions& options);

[[nodiscard]] int certs_command(const CertsOptions& options);

}  // namespace isthmus
