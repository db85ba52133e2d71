// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/term.hpp"

namespace isthmus::controller {
namespace {

std::string refusal_of(const std::vector<Violation>& violations, const std::string& file) {
  std::string text = "policy file " + file + " is refused";
  for (const auto& v : violations) text += (v.path.empty() ? ": " : ": " + v.path + ": ") + v.message;
  return text;
}

}  // namespace

Term::Term(std::unique_ptr<Ledger> ledger, const TermOptions& options)
    : hub_(options.settings, std::move(ledger)), control_(hub_), admin_(hub_) {}

Result<std::unique_ptr<Term>, std::string> Term::begin(std::shared_ptr<Store> store,
                                                       const TermOptions& options, bool shared) {
  auto ledger = Ledger::open(std::move(store), {boot_now(), wall_now()});
  if (!ledger) return failure(ledger.error().message);
  std::unique_ptr<Term> term{new Term(std::move(*ledger), options)};
  if (auto read = term->read_policy(options, shared); !read) return failure(std::move(read.error()));
  return term;
}

Result<void, std::string> Term::read_policy(const TermOptions& options, bool shared) {
  const bool from_file = !options.policy_file.empty();
  const auto origin = from_file ? PolicyOrigin::kFile : PolicyOrigin::kStore;
  if (auto kept =
          hub_.use_policy_from(origin, from_file ? "file " + options.policy_file : "the store", shared);
      !kept)
    return kept;
  if (!from_file) return {};
  source_.emplace(options.policy_file, options.drain_what_is_in_use, hub_);
  if (const auto loaded = source_->start(); !loaded)
    return failure(refusal_of(loaded.error(), options.policy_file));
  return {};
}

void Term::register_with(grpc::ServerBuilder& builder) {
  builder.RegisterService(&control_);
  builder.RegisterService(&admin_);
}

void Term::serve(std::unique_ptr<grpc::Server> server, std::function<void()> lost) {
  server_ = std::move(server);
  hub_.start(std::move(lost));
}

Term::~Term() {
  if (source_) source_->stop();
  hub_.stop();  // first: the server waits for calls that wait for a decision, which a store that fails delays
  if (server_ != nullptr) {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds{500});
    server_->Wait();
  }
}

}  // namespace isthmus::controller
