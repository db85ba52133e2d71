// SPDX-License-Identifier: Apache-2.0
// One table per enum: value <-> text. The text feeds metric labels, log fields and tests alike.
//
//   enum class Colour { kRed, kBlue, kCount };
//   inline constexpr EnumNames<Colour> kColourNames{{"red", "blue"}};
//
// The enum must be dense from 0 and end in kCount; a missing name is a compile error.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace isthmus {

template <class E>
inline constexpr std::size_t kEnumSize = static_cast<std::size_t>(E::kCount);

template <class E>
class EnumNames {
 public:
  consteval EnumNames(std::array<std::string_view, kEnumSize<E>> names) : names_(names) {
    for (auto name : names_) {
      if (name.empty()) throw "an enum value has no name";
    }
  }
  [[nodiscard]] constexpr std::string_view operator[](E value) const {
    const auto index = static_cast<std::size_t>(value);
    return index < names_.size() ? names_[index] : std::string_view{"?"};
  }
  [[nodiscard]] constexpr std::optional<E> find(std::string_view name) const {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] == name) return static_cast<E>(i);
    }
    return std::nullopt;
  }
  [[nodiscard]] constexpr const auto& all() const { return names_; }

 private:
  std::array<std::string_view, kEnumSize<E>> names_;
};

}  // namespace isthmus
