// SPDX-License-Identifier: Apache-2.0
// The changes of the Admin API, and what is asked about changes.
#include <spdlog/spdlog.h>

#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "common/base/utf8.hpp"
#include "common/config/from_proto.hpp"
#include "common/config/policy_diff.hpp"
#include "common/config/yaml.hpp"
#include "controller/shell/admin_service.hpp"
#include "controller/shell/caller.hpp"
#include "controller/shell/convert.hpp"

namespace isthmus::controller {
namespace {

using Reactor = grpc::ServerUnaryReactor;

grpc::Status status_of(const EditRefusal& refusal) {
  switch (refusal.kind) {
    case EditFailure::kConflict:
      return {grpc::StatusCode::ABORTED, refusal.message};
    case EditFailure::kNoSuchVersion:
      return {grpc::StatusCode::NOT_FOUND, refusal.message};
    case EditFailure::kReadOnly:
    case EditFailure::kNoRevision:
    case EditFailure::kOldRevision:
    case EditFailure::kCount:
      break;
  }
  return {grpc::StatusCode::FAILED_PRECONDITION, refusal.message};
}

// The certificate's word counts more than the caller's.
std::string author_of(const grpc::CallbackServerContext& context, const std::string& said) {
  const auto caller = caller_of(context);
  if (caller.is_known()) return caller.name();
  return said.empty() ? "unknown" : said;
}

// Line breaks would forge lines of the log.
std::string one_line(const std::string& text) {
  auto line = utf8_within(text, kMaxNote);
  for (auto& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return line;
}

template <class... Args>
void audit(const std::string& author, spdlog::format_string_t<Args...> format, Args&&... args) {
  spdlog::info("audit: {}: {}", one_line(author), fmt::format(format, std::forward<Args>(args)...));
}

Result<PolicyText, std::vector<Violation>> text_of(const std::string& yaml) {
  auto wire = parse_policy_yaml(yaml);
  if (!wire) return failure(std::move(wire.error()));
  auto policy = from_proto(*wire);
  if (!policy) return failure(std::move(policy.error()));
  return PolicyText{std::make_shared<const Policy>(std::move(*policy)),
                    std::make_shared<const v1::Policy>(std::move(*wire))};
}

const v1::Policy& wire_of(const PolicyEdit* edit) {
  return edit == nullptr ? v1::Policy::default_instance() : *edit->text.wire;
}

// Ends a call exactly once: with its status when what was decided is durable, or, when the hub ends before,
// with the word to ask again.
class Ending {
 public:
  explicit Ending(Reactor* reactor) : reactor_(reactor) {}
  ~Ending() {
    if (reactor_ != nullptr)
      reactor_->Finish({grpc::StatusCode::UNAVAILABLE,
                        "this controller ends: ask again, it is not known whether "
                        "the change was kept"});
  }
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;
  void with(const grpc::Status& status) { std::exchange(reactor_, nullptr)->Finish(status); }

 private:
  Reactor* reactor_;
};

// `decide` gives the status; it is told when the decision is durable.
template <class Decide>
Reactor* decided(Hub& hub, Reactor* reactor, Decide decide) {
  auto ending = std::make_shared<Ending>(reactor);
  auto status = std::make_shared<grpc::Status>();
  hub.post([status, decide = std::move(decide)](ControlPlane& core,
                                                TimePoint now) { *status = decide(core, now); },
           [status, ending] { ending->with(*status); });
  return reactor;
}

// Answers with what the desk says; `before` is the version that ran when the proposal was made.
void answer(Ending& ending, const Result<std::uint64_t, ProposalRefused>& taken,
            v1::ApplyResponse* response) {
  if (taken) {
    response->set_version(*taken);
  } else if (taken.error().refusal) {
    return ending.with(status_of(*taken.error().refusal));
  } else {
    fill_violations(taken.error().violations, *response->mutable_violations());
  }
  ending.with(grpc::Status::OK);
}

}  // namespace

Reactor* AdminService::Apply(grpc::CallbackServerContext* context, const v1::ApplyRequest* request,
                             v1::ApplyResponse* response) {
  auto* reactor = context->DefaultReactor();
  auto text = text_of(request->yaml());
  if (!text) {
    fill_violations(text.error(), *response->mutable_violations());
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  Proposal proposal{
      .from = PolicyOrigin::kStore,
      .text = std::move(*text),
      .author = one_line(author_of(*context, request->author())),
      .comment = one_line(request->comment()),
      .if_version = request->has_if_version() ? std::optional{request->if_version()} : std::nullopt,
      .dry_run = request->dry_run(),
      .drain = request->drain()};
  hub_.read([&](const Hub::View& view) {
    fill_changes(diff(wire_of(view.desk.desired().newest()), *proposal.text.wire),
                 *response->mutable_changes());
  });
  auto ending = std::make_shared<Ending>(reactor);
  hub_.propose(proposal,
               [ending, response, author = proposal.author, dry = proposal.dry_run](const auto& taken) {
                 if (taken && !dry) audit(author, "policy version {} applied", *taken);
                 answer(*ending, taken, response);
               });
  return reactor;
}

Reactor* AdminService::PutChunks(grpc::CallbackServerContext* context, const v1::PutChunksRequest* request,
                                 v1::PutChunksResponse* response) {
  auto* reactor = context->DefaultReactor();
  for (const auto& chunk : request->chunks()) {
    if (const auto put = hub_.chunks().put(chunk.hash(), chunk.data(), boot_now()); !put) {
      reactor->Finish({grpc::StatusCode::INVALID_ARGUMENT, put.error()});
      return reactor;
    }
  }
  for (const auto& hash : request->hashes()) {
    if (!hub_.chunks().touch(hash, boot_now())) response->add_missing(hash);
  }
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

Reactor* AdminService::Rollback(grpc::CallbackServerContext* context, const v1::RollbackRequest* request,
                                v1::ApplyResponse* response) {
  auto* reactor = context->DefaultReactor();
  Proposal proposal{
      .from = PolicyOrigin::kStore,
      .text = {},
      .author = one_line(author_of(*context, request->author())),
      .comment = one_line(request->comment().empty() ? "rollback to " + std::to_string(request->to())
                                                     : request->comment()),
      .if_version = request->has_if_version() ? std::optional{request->if_version()} : std::nullopt,
      .drain = request->drain()};
  std::optional<EditRefusal> refused;
  hub_.read([&](const Hub::View& view) {
    const auto& desired = view.desk.desired();
    const auto edit = desired.find(request->to());
    if (!edit) {
      refused = edit.error();
      return;
    }
    proposal.text = (*edit)->text;
    fill_changes(diff(wire_of(desired.newest()), *proposal.text.wire), *response->mutable_changes());
  });
  if (refused) {
    reactor->Finish(status_of(*refused));
    return reactor;
  }
  auto ending = std::make_shared<Ending>(reactor);
  hub_.propose(proposal, [ending, response, to = request->to(), author = proposal.author](const auto& taken) {
    if (taken) audit(author, "policy rolled back to version {}, as version {}", to, *taken);
    answer(*ending, taken, response);
  });
  return reactor;
}

Reactor* AdminService::Diff(grpc::CallbackServerContext* context, const v1::DiffRequest* request,
                            v1::DiffResponse* response) {
  auto* reactor = context->DefaultReactor();
  auto status = grpc::Status::OK;
  const auto wire = request->to() == 0 ? parse_policy_yaml(request->yaml())
                                       : Result<v1::Policy, std::vector<Violation>>{v1::Policy{}};
  if (!wire) {
    fill_violations(wire.error(), *response->mutable_violations());
    reactor->Finish(status);
    return reactor;
  }
  hub_.read([&](const Hub::View& view) {
    const auto& desired = view.desk.desired();
    const auto edit_of = [&](std::uint64_t number) -> const PolicyEdit* {
      if (number == 0) return desired.newest();
      const auto edit = desired.find(number);
      if (!edit) status = status_of(edit.error());
      return edit ? *edit : nullptr;
    };
    const auto* from = edit_of(request->from());
    const auto* to = request->to() == 0 ? nullptr : edit_of(request->to());
    if (!status.ok()) return;
    response->set_from(from == nullptr ? 0 : from->number);
    fill_changes(diff(wire_of(from), request->to() == 0 ? *wire : wire_of(to)), *response->mutable_changes());
  });
  reactor->Finish(status);
  return reactor;
}

Reactor* AdminService::History(grpc::CallbackServerContext* context, const v1::HistoryRequest*,
                               v1::HistoryResponse* response) {
  hub_.read([&](const Hub::View& view) {
    const auto& edits = view.desk.desired().edits();
    for (std::size_t i = edits.size(); i-- > 0;) {
      auto* version = response->add_versions();
      version->set_version(edits[i].number);
      set_time(*version->mutable_time(), edits[i].time);
      version->set_author(edits[i].author);
      version->set_comment(edits[i].comment);
      version->set_revision(edits[i].text.policy->revision);
      const auto changes = diff(wire_of(i == 0 ? nullptr : &edits[i - 1]), *edits[i].text.wire);
      version->set_changes(static_cast<std::uint32_t>(changes.size()));
    }
  });
  auto* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

namespace {

grpc::Status unknown_node(const std::string& node_id) {
  return {grpc::StatusCode::NOT_FOUND,
          "no NAT64 node " + one_line(node_id) +
              " is known: isthmusctl get nodes lists them (a DNS64 service is not "
              "drained: stop it, it answers what it has begun)"};
}

// Every machine that goes by this node_id, as far as is known: it is connected, it holds an address, or the
// store remembers it though it holds nothing.
std::set<std::string> machines_of(const ControlPlane& core, const std::string& node_id) {
  std::set<std::string> machines;
  const auto add = [&](const Holder& holder) {
    if (holder.node_id == node_id) machines.insert(holder.machine);
  };
  for (const auto& [holder, addresses] : core.leases().holders()) add(holder);
  for (const auto& [holder, node] : core.known_nodes()) add(holder);
  const auto service = core.services().find({ServiceKind::kNat64, node_id});
  if (service != core.services().end()) add(service->second.holder());
  return machines;
}

// Would taking this node out leave clients without any?
bool last_healthy(const ControlPlane& core, const std::string& node_id) {
  const auto& healthy = core.health().published();
  return healthy.size() == 1 && healthy.contains(node_id);
}

}  // namespace

Reactor* AdminService::Drain(grpc::CallbackServerContext* context, const v1::DrainRequest* request,
                             v1::DrainResponse*) {
  auto* reactor = context->DefaultReactor();
  controller::Drain drain{.node_id = request->node_id(),
                          .since = {},
                          .began = wall_now(),
                          .author = one_line(author_of(*context, request->author())),
                          .comment = one_line(request->comment())};
  return decided(
      hub_, reactor, [drain, force = request->force()](ControlPlane& core, TimePoint now) -> grpc::Status {
        if (!core.services().contains({ServiceKind::kNat64, drain.node_id})) {
          return unknown_node(drain.node_id);
        }
        if (!force && last_healthy(core, drain.node_id)) {
          return grpc::Status{grpc::StatusCode::FAILED_PRECONDITION,
                              drain.node_id +
                                  " is the last healthy NAT64 node: start another, or drain it all the "
                                  "same with --force"};
        }
        core.drain(drain, now);
        audit(drain.author, "drain {} ({})", drain.node_id, drain.comment);
        return grpc::Status::OK;
      });
}

Reactor* AdminService::Undrain(grpc::CallbackServerContext* context, const v1::UndrainRequest* request,
                               v1::UndrainResponse*) {
  auto* reactor = context->DefaultReactor();
  return decided(hub_, reactor,
                 [node_id = request->node_id(), author = author_of(*context, request->author())](
                     ControlPlane& core, TimePoint now) -> grpc::Status {
                   if (core.drain_of(node_id) == nullptr) {
                     return grpc::Status{grpc::StatusCode::NOT_FOUND,
                                         "node " + one_line(node_id) + " is not drained"};
                   }
                   core.undrain(node_id, now);
                   audit(author, "undrain {}", node_id);
                   return grpc::Status::OK;
                 });
}

Reactor* AdminService::Fence(grpc::CallbackServerContext* context, const v1::FenceRequest* request,
                             v1::FenceResponse* response) {
  auto* reactor = context->DefaultReactor();
  return decided(
      hub_, reactor,
      [response, node_id = request->node_id(), machine = request->machine(),
       author = author_of(*context, request->author())](ControlPlane& core, TimePoint now) -> grpc::Status {
        const auto machines = machines_of(core, node_id);
        if (machines.empty()) return unknown_node(node_id);
        if (!machines.contains(machine)) {
          std::string known;
          for (const auto& each : machines) known += (known.empty() ? "" : ", ") + each;
          return grpc::Status{grpc::StatusCode::FAILED_PRECONDITION,
                              "node " + node_id + " is not machine `" + one_line(machine) + "` but " + known +
                                  ": make sure that machine is off, then name it with --machine"};
        }
        const Holder holder{node_id, machine};
        for (const auto address : core.leases().held_by(holder)) response->add_addresses(address.to_string());
        core.fence(holder, now);
        audit(author, "fence {} (machine {})", node_id, machine);
        return grpc::Status::OK;
      });
}

}  // namespace isthmus::controller
