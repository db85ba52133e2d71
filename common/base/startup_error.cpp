// SPDX-License-Identifier: Apache-2.0
#include "common/base/startup_error.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace isthmus {

int startup_error(std::string_view program, std::string_view problem) {
  std::string line{program};
  line += ": ";
  for (const char c : problem) {
    if (c == '\n') {
      line += "; ";
    } else {
      line += c;
    }
  }
  line += '\n';
  (void)std::fputs(line.c_str(), stderr);
  return EXIT_FAILURE;
}

}  // namespace isthmus
