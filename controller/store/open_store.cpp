// SPDX-License-Identifier: Apache-2.0
#include "controller/store/open_store.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "controller/store/memory_store.hpp"
#include "controller/store/sqlite_store.hpp"

namespace isthmus::controller {
namespace {

constexpr std::string_view kSqlite = "sqlite:";
constexpr std::string_view kEtcd = "etcd:";

auto unusable(std::string message) {
  return failure(StoreError{StoreFailure::kUnusable, std::move(message)});
}

Result<EtcdOptions, StoreError> options_of(const std::string& text, const EtcdFlags& flags) {
  EtcdOptions options;
  std::istringstream endpoints{text.substr(kEtcd.size())};
  for (std::string endpoint; std::getline(endpoints, endpoint, ',');) {
    if (!endpoint.empty()) options.endpoints.push_back(endpoint);
  }
  options.ca = flags.ca;
  options.certificate = flags.certificate;
  options.key = flags.key;
  options.user = flags.user;
  options.prefix = flags.prefix;
  if (!options.prefix.ends_with("/")) return unusable("--etcd-prefix " + flags.prefix + " must end in /");
  if (flags.user.empty() != flags.password_file.empty())
    return unusable("--etcd-user and --etcd-password-file go together");
  if (flags.user.empty()) return options;
  std::ifstream file{flags.password_file};
  if (!std::getline(file, options.password) || options.password.empty())
    return unusable("cannot read a password from " + flags.password_file +
                    ", which --etcd-password-file names");
  return options;
}

}  // namespace

Result<std::shared_ptr<EtcdStore>, StoreError> open_shared_store(const std::string& text,
                                                                 const EtcdFlags& etcd) {
  if (!text.starts_with(kEtcd)) return std::shared_ptr<EtcdStore>{};
  auto options = options_of(text, etcd);
  if (!options) return failure(options.error());
  return EtcdStore::open(std::move(*options));
}

Result<std::shared_ptr<Store>, StoreError> open_store(const std::string& text, StoreUse use,
                                                      const EtcdFlags& etcd) {
  if (text == "memory") return std::make_shared<MemoryStore>();
  if (text.starts_with(kSqlite) && text.size() > kSqlite.size()) {
    const std::string path = text.substr(kSqlite.size());
    std::error_code ignored;  // what is missing in the end, the store says
    if (use == StoreUse::kDecide)
      std::filesystem::create_directories(std::filesystem::path{path}.parent_path(), ignored);
    auto store = SqliteStore::open(path, {.read_only = use == StoreUse::kRead});
    if (!store) return failure(store.error());
    return std::shared_ptr<Store>(std::move(*store));
  }
  if (auto shared = open_shared_store(text, etcd); !shared) {
    return failure(shared.error());
  } else if (*shared != nullptr) {
    if (use == StoreUse::kRead) return std::shared_ptr<Store>(std::move(*shared));
    // To write, even once, is to lead: no controller may decide meanwhile.
    const auto leader = (*shared)->campaign("a restore");
    if (!leader) return failure(leader.error());
    if (!(*shared)->is_writer())
      return unusable("the controller at " + *leader + " leads: stop every controller first");
    return std::shared_ptr<Store>(std::move(*shared));
  }
  return unusable("--store " + text +
                  " is not known: give sqlite:PATH, for example sqlite:/var/lib/isthmus/controller.db, "
                  "etcd:HOST:PORT,HOST:PORT,..., or memory");
}

}  // namespace isthmus::controller
