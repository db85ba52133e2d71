// SPDX-License-Identifier: Apache-2.0
#include "common/config/from_proto.hpp"

#include "common/config/checker.hpp"

namespace isthmus {

Result<Policy, std::vector<Violation>> from_proto(const v1::Policy& in) {
  Checker check;
  Policy out;
  out.revision = in.revision();
  read_prefixes(in, check, out);
  read_exclusions(in, check, out);
  read_pools(in, check, out);
  read_nat64(in, check, out);
  read_static_mappings(in, check, out);
  read_dns64(in, check, out);
  if (!check.clean()) return failure(check.take());
  return out;
}

}  // namespace isthmus
