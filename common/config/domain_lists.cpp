// SPDX-License-Identifier: Apache-2.0
#include "common/config/domain_lists.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <set>

#include "common/config/checker.hpp"

namespace isthmus {
namespace {

constexpr std::size_t kTold = 20;  // violations of one file
constexpr std::size_t kMinChunkBytes = 64U << 10;
constexpr std::uint32_t kLinesPerChunk = 8192;  // on average; a power of two

std::uint32_t hash_of_line(std::string_view line) {
  std::uint32_t sum = 0x811c9dc5;  // FNV-1a
  for (const char c : line) sum = (sum ^ static_cast<unsigned char>(c)) * 0x01000193;
  return sum ^ sum >> 15;
}

std::string_view trimmed(std::string_view line) {
  line = line.substr(0, line.find('#'));
  constexpr std::string_view kBlank = " \t\r";
  const auto first = line.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kBlank) - first + 1);
}

class Cutter {
 public:
  void add(const std::string& domain) {
    text_ += domain;
    text_ += '\n';
    const bool content_says_so = hash_of_line(domain) % kLinesPerChunk == 0 && text_.size() >= kMinChunkBytes;
    if (content_says_so || text_.size() + 256 > kMaxChunkBytes) cut();
  }
  std::vector<ListChunk> take() {
    if (!text_.empty() || chunks_.empty()) cut();
    return std::move(chunks_);
  }
  [[nodiscard]] std::size_t count() const { return chunks_.size(); }

 private:
  void cut() {
    auto hash = content_hash(text_);
    chunks_.push_back({std::move(hash), std::make_shared<const std::string>(std::move(text_))});
    text_.clear();
  }
  std::string text_;
  std::vector<ListChunk> chunks_;
};

}  // namespace

std::string content_hash(std::string_view data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(data.data(), data.size(), digest.data(), &size, EVP_sha256(), nullptr);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

bool is_content_hash(std::string_view text) {
  return text.size() == 64 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Result<std::vector<ListChunk>, std::vector<Violation>> cut_list(std::string_view text,
                                                                const std::string& path) {
  Checker check;
  Cutter cutter;
  std::size_t told = 0;
  std::size_t line_number = 0;
  while (!text.empty() && told < kTold) {
    const auto end = text.find('\n');
    const auto line = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++line_number;
    if (line.empty()) continue;
    if (auto domain = check.domain(line, path + " line " + std::to_string(line_number)))
      cutter.add(*domain);
    else
      ++told;
  }
  if (cutter.count() >= kMaxChunks) check.refuse(path, "holds more domains than one list may: make several");
  if (!check.clean()) return failure(check.take());
  return cutter.take();
}

std::vector<std::string> named_chunks(const v1::Policy& policy) {
  std::vector<std::string> named;
  std::set<std::string_view> seen;
  const auto add = [&](const auto& lists) {
    for (const auto& list : lists) {
      for (const auto& hash : list.chunks()) {
        if (seen.insert(hash).second) named.push_back(hash);
      }
    }
  };
  add(policy.exclusions().never_synthesize_lists());
  add(policy.exclusions().always_synthesize_lists());
  return named;
}

std::vector<std::string> missing_chunks(const v1::Policy& policy, const ChunkLookup& have) {
  auto missing = named_chunks(policy);
  std::erase_if(missing, [&](const auto& hash) { return have(hash) != nullptr; });
  return missing;
}

Result<void, std::vector<Violation>> attach_lists(Policy& policy, const ChunkLookup& have) {
  std::vector<Violation> violations;
  const auto attach = [&](std::vector<DomainList>& lists, const char* field) {
    for (std::size_t i = 0; i < lists.size(); ++i) {
      auto& list = lists[i];
      const auto path = "exclusions." + at(field, static_cast<int>(i));
      if (list.chunks.empty())
        violations.push_back(
            {path, "the file " + list.file + " was not read: apply the policy with isthmusctl"});
      list.data.clear();
      for (const auto& hash : list.chunks) {
        auto data = have(hash);
        if (data == nullptr) {
          violations.push_back({path, "a piece of " + list.file + " is not here (" + hash +
                                          "): apply the policy with isthmusctl, which brings the lists"});
          break;
        }
        list.data.push_back(std::move(data));
      }
    }
  };
  attach(policy.exclusions.never_synthesize_lists, "never_synthesize_lists");
  attach(policy.exclusions.always_synthesize_lists, "always_synthesize_lists");
  if (!violations.empty()) return failure(std::move(violations));
  return {};
}

}  // namespace isthmus
