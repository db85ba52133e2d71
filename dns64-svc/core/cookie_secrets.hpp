// SPDX-License-Identifier: Apache-2.0
// The file of cookie secrets that all replicas share (RFC 9018 §5): one secret of 32 hexadecimal digits a
// line, the first makes cookies, all are accepted. `#` begins a comment.
//
// A rotation that no client notices has three steps, each to all replicas before the next begins: the new
// secret is added below the current one; it becomes the first; an hour later the old one is removed.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.hpp"
#include "dns64-svc/core/cookies.hpp"

namespace isthmus::dns64 {

// The error is a sentence that names the line, never its content.
[[nodiscard]] Result<CookieJar, std::string> parse_cookie_secrets(std::string_view text);

}  // namespace isthmus::dns64
