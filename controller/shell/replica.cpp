// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/replica.hpp"

#include <spdlog/spdlog.h>

#include "common/control/tls_credentials.hpp"
#include "common/telemetry/metrics_page.hpp"
#include "controller/shell/metrics.hpp"

namespace isthmus::controller {
namespace {

constexpr auto kCampaignEvery = std::chrono::milliseconds{500};
constexpr int kMaxMessageBytes = 32 << 20;

}  // namespace

int Replica::run(StopSignals& signals) {
  while (true) {
    if (term_ != nullptr && lost_) end_term();
    if (term_ == nullptr) campaign();
    if (const auto signal = signals.wait(kCampaignEvery)) {
      front_door_.set_target(nullptr, false, "this controller ends: try again");
      const std::scoped_lock lock{lock_};
      term_.reset();
      store_->resign();
      return *signal;
    }
  }
}

void Replica::campaign() {
  const auto leader = store_->campaign(options_.address);
  if (!leader) {
    // Who leads may well be alive: calls still go there.
    if (complaints_.pass(boot_now())) spdlog::warn("no news of who leads: {}", leader.error().message);
  } else if (store_->is_writer()) {
    begin_term();
  } else if (*leader == options_.address) {
    // This controller's predecessor on the same address: its lease runs out in seconds.
    follow("");
  } else {
    follow(*leader);
  }
}

void Replica::begin_term() {
  lost_ = false;
  auto term = Term::begin(store_, options_.term, true);
  std::unique_ptr<grpc::Server> server;
  if (term) {
    grpc::ServerBuilder builder;  // reached in the process alone
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.SetMaxSendMessageSize(kMaxMessageBytes);
    (*term)->register_with(builder);
    server = builder.BuildAndStart();
  }
  if (server == nullptr) {
    if (complaints_.pass(boot_now()))
      spdlog::error("cannot lead: {}", term ? "no server for calls within the process" : term.error());
    store_->resign();
    return;
  }
  (*term)->serve(std::move(server), [this] { lost_ = true; });
  spdlog::info("leads from now on");
  const std::scoped_lock lock{lock_};
  term_ = std::move(*term);
  leader_.clear();
  front_door_.set_target(term_->channel(), false, {});
}

void Replica::end_term() {
  spdlog::warn("leads no more");
  front_door_.set_target(nullptr, false, "no controller leads now: try again");
  const std::scoped_lock lock{lock_};
  term_.reset();
  store_->resign();
}

void Replica::follow(const std::string& leader) {
  if (leader == leader_ && !leader.empty()) return;
  const std::scoped_lock lock{lock_};
  leader_ = leader;
  if (leader.empty()) return front_door_.set_target(nullptr, false, "no controller leads yet: try again");
  const auto credentials = watched_channel_credentials(options_.tls);
  if (!credentials) {
    leader_.clear();  // once more, when the files may be whole
    return front_door_.set_target(nullptr, false, credentials.error());
  }
  spdlog::info("follows the controller at {}", leader);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  front_door_.set_target(grpc::CreateCustomChannel(leader, *credentials, arguments), true, {});
}

HttpReply Replica::answer(const std::string& path) {
  const std::scoped_lock lock{lock_};
  if (term_ != nullptr) return management_routes(term_->hub(), options_.tls.certificate).at(path)();
  if (path == "/healthz") return {.status = 200, .body = "alive\n"};
  if (path == "/readyz") {
    if (!leader_.empty()) return {.status = 200, .body = "follows the controller at " + leader_ + "\n"};
    return {.status = 503, .body = "no controller leads yet\n"};
  }
  MetricsPage page;
  page.gauge("isthmus_controller_leads", "1 while this controller is the one that decides", {}, 0);
  return page.reply();
}

HttpRoutes Replica::routes() {
  HttpRoutes routes;
  for (const auto* path : {"/metrics", "/healthz", "/readyz"})
    routes[path] = [this, path] { return answer(path); };
  return routes;
}

}  // namespace isthmus::controller
