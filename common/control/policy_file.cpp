// SPDX-License-Identifier: Apache-2.0
#include "common/control/policy_file.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "common/config/from_proto.hpp"
#include "common/config/yaml.hpp"
#include "common/control/list_files.hpp"

namespace isthmus {
namespace {

Result<std::string, Violation> read_text(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  std::string text;
  std::array<char, 65536> part;
  while (file && text.size() <= kMaxPolicyBytes) {  // what is too long is refused by the parser
    file.read(part.data(), part.size());
    text.append(part.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (!file.is_open() || file.bad()) {
    return failure(Violation{
        "", "cannot read " + path + ": " + std::strerror(errno) + ": check that it exists and may be read"});
  }
  return text;
}

}  // namespace

PolicyFile::Loaded PolicyFile::load() {
  return load(read_text(path_));
}

std::optional<PolicyFile::Loaded> PolicyFile::load_if_changed() {
  auto text = read_text(path_);
  if (!text && !text_) return std::nullopt;  // still unreadable
  if (text && text_ && *text == *text_ && stamps() == stamps_) return std::nullopt;
  return load(std::move(text));
}

std::string PolicyFile::stamps() const {
  return list_stamps(lists_, directory_of(path_));
}

PolicyFile::Loaded PolicyFile::load(Result<std::string, Violation> text) {
  text_ = text ? std::optional{*text} : std::nullopt;
  if (!text) return failure(std::vector{std::move(text.error())});
  auto wire = parse_policy_yaml(*text);
  if (!wire) return failure(std::move(wire.error()));
  lists_ = *wire;
  stamps_ = stamps();  // before they are read: a change in between is seen
  auto chunks = read_lists(*wire, directory_of(path_));
  if (!chunks) return failure(std::move(chunks.error()));
  auto policy = from_proto(*wire);
  if (!policy) return failure(std::move(policy.error()));
  return LoadedPolicy{std::move(*wire), std::move(*policy), std::move(*chunks)};
}

}  // namespace isthmus
