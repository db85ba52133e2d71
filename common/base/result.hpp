// SPDX-License-Identifier: Apache-2.0
// Result<T, E>: a value or the reason there is none. The one alias for tl::expected (C++20 has no
// std::expected). tl::expected is itself [[nodiscard]]; functions that return Result<void, E> say
// [[nodiscard]] again where it matters.
#pragma once

#include <utility>

#include <tl/expected.hpp>

namespace isthmus {

template <class T, class E>
using Result = tl::expected<T, E>;

template <class E>
[[nodiscard]] constexpr auto failure(E&& error) {
  return tl::make_unexpected(std::forward<E>(error));
}

}  // namespace isthmus
