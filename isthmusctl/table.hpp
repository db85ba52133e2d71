// SPDX-License-Identifier: Apache-2.0
// Columns for people: as wide as their widest cell, two blanks between, no blanks at line ends.
#pragma once

#include <string>
#include <vector>

namespace isthmus {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace isthmus
