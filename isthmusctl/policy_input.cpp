// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/policy_input.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "common/config/yaml.hpp"
#include "common/control/list_files.hpp"
#include "isthmusctl/ask.hpp"

namespace isthmus {
namespace {

constexpr std::size_t kChunksPerCall = 16;

}  // namespace

Result<PolicyInput, std::vector<Violation>> read_policy(const std::string& file) {
  auto text = read_input(file);
  if (!text)
    return failure(
        std::vector<Violation>{{"", "cannot read " + file + ": check the path and its permissions"}});
  PolicyInput input{std::move(*text), {}};
  auto policy = parse_policy_yaml(input.yaml);
  if (!policy) return input;
  auto chunks = read_lists(*policy, file == "-" ? "." : directory_of(file));
  if (!chunks) return failure(std::move(chunks.error()));
  if (chunks->empty()) return input;
  input.yaml = to_yaml(*policy);
  input.chunks = std::move(*chunks);
  return input;
}

int put_chunks(const ControllerAddress& controller, const std::vector<ListChunk>& chunks) {
  if (chunks.empty()) return 0;
  v1::PutChunksRequest question;
  for (const auto& chunk : chunks) question.add_hashes(chunk.hash);
  std::set<std::string> missing;
  const int asked =
      ask<v1::PutChunksResponse>(controller, &v1::Admin::Stub::PutChunks, question, [&](const auto& answer) {
        missing.insert(answer.missing().begin(), answer.missing().end());
        return 0;
      });
  if (asked != 0) return asked;
  v1::PutChunksRequest request;
  const auto send = [&] {
    if (request.chunks().empty()) return 0;
    const auto full = std::exchange(request, {});
    return ask<v1::PutChunksResponse>(controller, &v1::Admin::Stub::PutChunks, full,
                                      [](const auto&) { return 0; });
  };
  for (const auto& chunk : chunks) {
    if (missing.erase(chunk.hash) == 0) continue;
    auto& out = *request.add_chunks();
    out.set_hash(chunk.hash);
    out.set_data(*chunk.data);
    if (request.chunks_size() < static_cast<int>(kChunksPerCall)) continue;
    if (const int sent = send(); sent != 0) return sent;
  }
  return send();
}

}  // namespace isthmus
