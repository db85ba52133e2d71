// SPDX-License-Identifier: Apache-2.0
// Large lists of domains. The text of a list is cut into chunks, each named by its hash, so that a service
// that has most of a list fetches only what changed. Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/config/policy.hpp"
#include "isthmus/v1/policy.pb.h"

namespace isthmus {

inline constexpr std::size_t kMaxListBytes = 64U << 20;    // of a file
inline constexpr std::size_t kMaxChunkBytes = 512U << 10;  // fits a message, and a value of every store
inline constexpr std::size_t kMaxChunks = 1024;            // of a list
inline constexpr int kMaxChunksAtOnce = 16;  // in one NeedChunks: the queue to a slow reader stays short

struct ListChunk {
  std::string hash;  // content_hash() of *data
  ListData data;     // lines, each a domain in lower case with its final dot
};

// Lower-case hexadecimal SHA-256.
[[nodiscard]] std::string content_hash(std::string_view data);
[[nodiscard]] bool is_content_hash(std::string_view text);

// The chunks of a file with one domain a line; "#" begins a comment. `path` begins the paths of violations,
// of which the first few are told. Where one chunk ends depends on the lines around it alone, so a line more
// or less changes one or two chunks. An empty list has one, empty, chunk.
[[nodiscard]] Result<std::vector<ListChunk>, std::vector<Violation>> cut_list(std::string_view text,
                                                                              const std::string& path);

// Gives what a hash stands for; null: it is not here.
using ChunkLookup = std::function<ListData(const std::string& hash)>;

// The hashes that the policy's lists name, each once, in their order.
[[nodiscard]] std::vector<std::string> named_chunks(const v1::Policy& policy);
// Those of them that are not here.
[[nodiscard]] std::vector<std::string> missing_chunks(const v1::Policy& policy, const ChunkLookup& have);
// Puts the content into the policy's lists; violations when some of it is not here.
[[nodiscard]] Result<void, std::vector<Violation>> attach_lists(Policy& policy, const ChunkLookup& have);

}  // namespace isthmus
