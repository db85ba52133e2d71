// SPDX-License-Identifier: Apache-2.0
// A backup is an SQLite store file with all that a store holds as of one commit, whatever engine it came
// from. So it can be put into any engine too: that is how one moves from SQLite to etcd.
//
// A restored store may be older than what nodes do. It is marked: the next controller grants nothing until
// every node that the backup knows has told what it holds or was fenced (ControlPlane::settling).
#pragma once

#include <string>

#include "common/base/clock.hpp"
#include "controller/store/store.hpp"

namespace isthmus::controller {

struct BackupSummary {
  Revision revision = 0;
  std::size_t entries = 0;
};

// Writes `path`, which must not exist; it appears complete or not at all.
[[nodiscard]] Result<BackupSummary, StoreError> back_up(Store& from, const std::string& path);

// Replaces all that `into` holds; the history of addresses is merged, not replaced. Unless `replace`, `into`
// must hold no leases. When it is interrupted, controllers refuse the store until it is repeated.
[[nodiscard]] Result<BackupSummary, StoreError> restore(const std::string& path, Store& into, bool replace,
                                                        WallTime now);

}  // namespace isthmus::controller
