// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/store_commands.hpp"

#include <iostream>

#include "common/base/startup_error.hpp"
#include "controller/store/backup.hpp"

namespace isthmus::controller {
namespace {

constexpr std::string_view kProgram = "isthmus-controller";

}  // namespace

int backup_command(Store& store, const std::string& file) {
  const auto done = back_up(store, file);
  if (!done) return startup_error(kProgram, done.error().message);
  std::cout << file << ": " << done->entries << " entries as of revision " << done->revision << "\n";
  return 0;
}

int restore_command(Store& store, const std::string& file, bool replace) {
  const auto done = restore(file, store, replace, wall_now());
  if (!done) return startup_error(kProgram, done.error().message);
  std::cout << done->entries << " entries of " << file
            << " are in the store; the controller will grant addresses when every gateway the backup knows "
               "has told what it holds\n";
  return 0;
}

}  // namespace isthmus::controller
