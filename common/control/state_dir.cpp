// SPDX-License-Identifier: Apache-2.0
#include "common/control/state_dir.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

#include "common/config/domain_lists.hpp"

namespace isthmus {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "isthmus-state-1 ";
constexpr std::uintmax_t kMaxFile = 64U << 20;

std::string hex64(std::uint64_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = 0; i < 16; ++i) text[15 - i] = kDigits[(value >> (4 * i)) & 15];
  return text;
}

// FNV-1a: finds torn and rotten files; it is no defence against a forger, who could write the policy itself.
std::uint64_t checksum(std::string_view bytes) {
  std::uint64_t sum = 0xcbf29ce484222325ULL;
  for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return sum;
}

std::string system_text(const std::string& what) {
  return what + ": " + std::generic_category().message(errno);
}

Result<void, std::string> write_all(int fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    const auto written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failure(system_text("cannot write " + name));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void, std::string> sync_directory(const std::string& path) {
  const UniqueFd directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory.valid() || ::fsync(directory.get()) != 0) return failure(system_text("cannot sync " + path));
  return {};
}

Result<void, std::string> write_file(const std::string& directory, const std::string& name,
                                     std::string_view head, std::string_view body) {
  const auto path = directory + "/" + name;
  const auto temporary = path + ".new";
  const UniqueFd fd{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
  if (!fd.valid()) return failure(system_text("cannot create " + temporary));
  if (auto done = write_all(fd.get(), head, temporary); !done) return done;
  if (auto done = write_all(fd.get(), body, temporary); !done) return done;
  if (::fsync(fd.get()) != 0) return failure(system_text("cannot sync " + temporary));
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failure(system_text("cannot rename to " + path));
  return sync_directory(directory);
}

Result<void, std::string> replace_file(const std::string& directory, const std::string& name,
                                       std::string_view body) {
  return write_file(directory, name, std::string{kMagic} + hex64(checksum(body)) + "\n", body);
}

// The body, nothing when there is no such file, or why it is of no use.
Result<std::optional<std::string>, std::string> read_file(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error == std::errc::no_such_file_or_directory) return std::optional<std::string>{};
  std::ifstream in{path, std::ios::binary};
  if (error || !in) return failure(path + " cannot be read and is ignored");
  if (size > kMaxFile) return failure(path + " is too large and is ignored");
  std::ostringstream all;
  all << in.rdbuf();
  const auto text = all.str();
  const auto head = kMagic.size() + 17;
  if (text.size() < head || !text.starts_with(kMagic) ||
      text.substr(kMagic.size(), 17) != hex64(checksum(std::string_view{text}.substr(head))) + "\n") {
    return failure(path + " is damaged and is ignored");
  }
  return std::optional{text.substr(head)};
}

template <class Update>
void load_one(const std::string& path, std::optional<Update>& out, std::vector<std::string>& problems) {
  const auto body = read_file(path);
  if (!body) {
    problems.push_back(body.error());
  } else if (*body) {
    Update update;
    if (update.ParseFromString(**body)) {
      out = std::move(update);
    } else {
      problems.push_back(path + " is of another format and is ignored");
    }
  }
}

template <class Update>
Result<void, std::string> save_one(const std::string& directory, const std::string& name,
                                   const std::optional<Update>& update, std::string& last) {
  if (!update) {
    last.clear();
    if (::unlink((directory + "/" + name).c_str()) == 0) return sync_directory(directory);
    if (errno != ENOENT) return failure(system_text("cannot remove " + directory + "/" + name));
    return {};
  }
  auto body = update->SerializeAsString();
  if (body == last) return {};
  if (auto done = replace_file(directory, name, body); !done) return done;
  last = std::move(body);
  return {};
}

Result<std::string, std::string> read_chunk(const std::string& path, const std::string& hash) {
  std::ifstream in{path, std::ios::binary};
  std::ostringstream all;
  if (in) all << in.rdbuf();
  auto data = all.str();
  if (!in || content_hash(data) != hash) return failure(path + " is missing or damaged and is ignored");
  return data;
}

}  // namespace

std::string random_id() {
  std::array<std::uint64_t, 2> words{};
  std::size_t have = 0;
  while (have < sizeof words) {
    const auto got = ::getrandom(reinterpret_cast<char*>(words.data()) + have, sizeof words - have, 0);
    if (got > 0) have += static_cast<std::size_t>(got);
  }
  return hex64(words[0]) + hex64(words[1]);
}

Result<StateDir, std::string> StateDir::open(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return failure("cannot create the state directory " + path + ": " + error.message());
  UniqueFd lock{::open((path + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (!lock.valid()) return failure(system_text("cannot open " + path + "/lock"));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return failure("the state directory " + path +
                   " is in use by another process: give each service its own --state-dir");
  }
  return StateDir{path, std::move(lock)};
}

StateDir::Loaded StateDir::load() const {
  Loaded loaded;
  load_one(path_ + "/policy", loaded.state.policy, loaded.problems);
  if (loaded.state.policy) load_chunks(loaded);
  load_one(path_ + "/allocation", loaded.state.allocation, loaded.problems);
  load_one(path_ + "/health", loaded.state.health, loaded.problems);
  return loaded;
}

void StateDir::load_chunks(Loaded& loaded) const {
  for (const auto& hash : named_chunks(loaded.state.policy->policy())) {
    if (!is_content_hash(hash)) continue;  // it is a file name here
    auto data = read_chunk(path_ + "/chunks/" + hash, hash);
    if (data) {
      loaded.state.chunks[hash] = std::make_shared<const std::string>(std::move(*data));
    } else if (fs::exists(path_ + "/chunks")) {  // a service that has no use for lists keeps none
      loaded.problems.push_back(data.error());
    }
  }
}

// Named by their content: what is there is right, unless the disk rots.
Result<void, std::string> StateDir::save_chunks(const GoodState& state) {
  const auto directory = path_ + "/chunks";
  std::error_code error;
  if (state.chunks.empty() && !fs::exists(directory, error)) return {};
  fs::create_directories(directory, error);
  if (error) return failure("cannot create " + directory + ": " + error.message());
  for (const auto& [hash, data] : state.chunks) {
    if (fs::exists(directory + "/" + hash, error)) continue;
    if (auto done = write_file(directory, hash, {}, *data); !done) return done;
  }
  return {};
}

void StateDir::remove_old_chunks(const GoodState& state) const {
  std::error_code error;
  for (fs::directory_iterator it{path_ + "/chunks", error}, end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (!state.chunks.contains(it->path().filename().string())) fs::remove(it->path(), ignored);
  }
}

Result<void, std::string> StateDir::save(const GoodState& state) {
  // In the order in which each refers to what was before.
  if (auto done = save_chunks(state); !done) return done;
  if (auto done = save_one(path_, "policy", state.policy, policy_); !done) return done;
  if (auto done = save_one(path_, "allocation", state.allocation, allocation_); !done) return done;
  if (auto done = save_one(path_, "health", state.health, health_); !done) return done;
  remove_old_chunks(state);
  return {};
}

Result<std::string, std::string> StateDir::machine_id() {
  if (const auto saved = read_file(path_ + "/machine"); saved && *saved && (*saved)->size() == 32)
    return **saved;
  auto id = random_id();
  if (auto done = replace_file(path_, "machine", id); !done) return failure(done.error());
  return id;
}

}  // namespace isthmus
