// SPDX-License-Identifier: Apache-2.0
#include "common/control/list_files.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/config/checker.hpp"

namespace isthmus {
namespace {

std::string place(const std::string& directory, const std::string& file) {
  return (std::filesystem::path{directory} / file).string();  // `file` alone when it is absolute
}

Result<std::string, std::string> read_text(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  if (!in) return failure("cannot read " + path + ": " + std::strerror(errno));
  std::string text;
  in.seekg(0, std::ios::end);
  const auto size = in.tellg();
  if (size > static_cast<std::streamoff>(kMaxListBytes))
    return failure(path + " is larger than " + std::to_string(kMaxListBytes >> 20) +
                   " MiB: make several lists");
  in.seekg(0);
  text.assign(std::istreambuf_iterator<char>{in}, {});
  if (in.bad()) return failure("cannot read " + path + ": " + std::strerror(errno));
  if (text.size() > kMaxListBytes) return failure(path + " grows while it is read");
  return text;
}

using Lists = google::protobuf::RepeatedPtrField<v1::DomainList>;

void read(Lists& lists, const char* field, const std::string& directory, std::vector<ListChunk>& chunks,
          std::vector<Violation>& violations) {
  for (int i = 0; i < lists.size(); ++i) {
    const auto path = "exclusions." + at(field, i);
    auto& list = lists[i];
    list.clear_chunks();
    const auto text = read_text(place(directory, list.file()));
    if (!text) {
      violations.push_back({path + ".file", text.error()});
      continue;
    }
    auto cut = cut_list(*text, path + ": " + list.file());
    if (!cut) {
      std::ranges::move(cut.error(), std::back_inserter(violations));
      continue;
    }
    for (auto& chunk : *cut) {
      list.add_chunks(chunk.hash);
      chunks.push_back(std::move(chunk));
    }
  }
}

}  // namespace

Result<std::vector<ListChunk>, std::vector<Violation>> read_lists(v1::Policy& policy,
                                                                  const std::string& directory) {
  std::vector<ListChunk> chunks;
  std::vector<Violation> violations;
  if (!policy.has_exclusions()) return chunks;
  auto& exclusions = *policy.mutable_exclusions();
  read(*exclusions.mutable_never_synthesize_lists(), "never_synthesize_lists", directory, chunks, violations);
  read(*exclusions.mutable_always_synthesize_lists(), "always_synthesize_lists", directory, chunks,
       violations);
  if (!violations.empty()) return failure(std::move(violations));
  return chunks;
}

std::string list_stamps(const v1::Policy& policy, const std::string& directory) {
  std::string stamps;
  const auto add = [&](const Lists& lists) {
    for (const auto& list : lists) {
      struct stat status{};
      const auto path = place(directory, list.file());
      if (::stat(path.c_str(), &status) != 0) {
        stamps += path + " -\n";
        continue;
      }
      stamps += path + " " + std::to_string(status.st_ino) + " " + std::to_string(status.st_size) + " " +
                std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) + "\n";
    }
  };
  add(policy.exclusions().never_synthesize_lists());
  add(policy.exclusions().always_synthesize_lists());
  return stamps;
}

std::string directory_of(const std::string& policy_file) {
  const auto directory = std::filesystem::path{policy_file}.parent_path().string();
  return directory.empty() ? "." : directory;
}

}  // namespace isthmus
