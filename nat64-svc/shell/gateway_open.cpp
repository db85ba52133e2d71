// SPDX-License-Identifier: Apache-2.0
// How the data plane comes up: refusals in the order in which an operator can mend them.
#include <spdlog/spdlog.h>
#include <sys/random.h>

#include <algorithm>
#include <thread>

#include "nat64-svc/shell/ethtool.hpp"
#include "nat64-svc/shell/gateway.hpp"
#include "nat64-svc/shell/preflight.hpp"

namespace isthmus::nat64 {
namespace {

constexpr const char* kAnnouncingInterface = "isthmus0";

}  // namespace

Result<std::unique_ptr<Gateway>, std::string> Gateway::open(const StartupConfig& config) {
  std::unique_ptr<Gateway> self(new Gateway);
  if (auto done = self->open_all(config); !done) {
    if (self->node_) self->node_->remove();
    return failure(done.error());
  }
  self->look_at_ports(*self->watcher_->view().get());
  self->guard_ = std::thread([raw = self.get()] { raw->guard_leases(); });
  self->watcher_->start([raw = self.get()](const NetworkView& view) { raw->on_network_change(view); });
  return self;
}

Result<void, std::string> Gateway::open_all(StartupConfig config) {
  busy_poll_ = config.busy_poll > 0;
  auto lock = lock_network_namespace();
  if (!lock) return failure(lock.error());
  namespace_lock_ = std::move(*lock);
  for (auto* half : {&key_.k0, &key_.k1}) {
    if (getrandom(half, sizeof *half, 0) != sizeof *half) {
      return failure(std::string("the kernel gives no random bytes: run Linux 5.15 or newer"));
    }
  }
  auto watcher = NetlinkWatcher::open();
  if (!watcher) return failure(watcher.error());
  watcher_ = std::move(*watcher);
  auto routes = KernelRoutes::open();
  if (!routes) return failure(routes.error());
  routes_ = std::move(*routes);
  auto steering = Steering::load();
  if (!steering) return failure(steering.error());
  steering_ = std::move(*steering);
  if (config.mode == Mode::kNode) {
    if (auto done = open_node(config); !done) return done;
  }

  if (auto done = open_announcers(config); !done) return done;
  if (auto done = open_ports(config); !done) return done;
  warn_of_missing_addresses();
  if (!config.events.empty() || !config.events_syslog.empty()) {
    auto events = EventSpool::open({config.events, config.events_syslog}, config.node_id, config.workers);
    if (!events) return failure(events.error());
    events_ = std::move(*events);
  }
  return open_workers(config);
}

// docs/nat64.md, "Next hops": errors come from somebody else's address then, which hides this gateway.
void Gateway::warn_of_missing_addresses() const {
  if (node_) return;
  const auto options = runtime_options({});
  constexpr auto kAdvice =
      "{0} has no {1} address, so ICMP errors there come from the address that the packet was sent to and a "
      "traceroute does not show this gateway: ip addr add ADDRESS dev {0}";
  if (options.own6.is_unspecified()) spdlog::warn(kAdvice, worker_ports_.front().interface, "global IPv6");
  if (options.own4 == Ipv4Address{}) spdlog::warn(kAdvice, worker_ports_.back().interface, "IPv4");
}

Result<void, std::string> Gateway::open_announcers(const StartupConfig& config) {
  if (config.announce_routes) {
    auto announced = AnnouncedRoutes::open(kAnnouncingInterface);
    if (!announced) return failure(announced.error());
    announced_ = std::move(*announced);
  }
  answers_arp_ = config.answer_arp;
  if (config.answer_arp) {
    auto arp = ArpResponder::open(config.interface4);
    if (!arp) return failure(arp.error());
    arp_ = std::move(*arp);
  }
  if (config.mode == Mode::kGateway) {
    auto routers = RouterListener::open(config.interface6);
    if (!routers) return failure(routers.error());
    routers_ = std::move(*routers);
  }
  return {};
}

// A pair of our own, with a queue for each worker; from here on it is used as any interface is.
Result<void, std::string> Gateway::open_node(StartupConfig& config) {
  auto node = NodeMode::open(config.workers, *watcher_->view().get());
  if (!node) return failure(node.error());
  node_ = std::move(*node);
  config.interface6 = config.interface4 = kOurEnd;
  if (!watcher_->refresh()) return failure(std::string("cannot read the kernel's interfaces"));
  return {};
}

// Queue q of each interface goes to worker q modulo their number.
Result<void, std::string> Gateway::open_workers(const StartupConfig& config) {
  WorkerOptions options;
  options.busy_poll = config.busy_poll;
  options.limits.max_sessions = config.max_sessions;
  options.limits.max_subscribers = config.max_subscribers();
  options.key = key_;
  if (node_) options.kernel_end = kKernelEndMac;
  const auto view = watcher_->view().get();
  for (std::size_t number = 0; number < ports_.size(); ++number) {
    const auto& port = worker_ports_[number];
    const auto& name = port.device;
    for (const int index : {port.interface_index, port.device_index}) {
      const auto* interface = view->interface(index);
      const auto size = interface != nullptr ? frame_size_for_mtu(interface->mtu) : std::nullopt;
      if (!size) return failure("interface " + name + " went away: start again when it is back");
      options.frame_size = std::max(options.frame_size, *size);
    }
    if (ports_[number].mode == XdpMode::kGeneric) options.copy_only = true;
    const auto queues = port.queues.size();
    if (queues < config.workers && queues > 0) {
      // NOLINTBEGIN(performance-inefficient-string-concatenation): once, before the end
      return failure(name + " has " + std::to_string(queues) + " queues, too few for " +
                     std::to_string(config.workers) + " workers: ethtool -L " + name +
                     " gives it more, or lower --workers");
      // NOLINTEND(performance-inefficient-string-concatenation)
    }
    const auto transmit = known_transmit_queue_count(name).value_or(config.workers);
    if (transmit < config.workers) {
      // NOLINTBEGIN(performance-inefficient-string-concatenation): once, before the end
      return failure(name + " has " + std::to_string(transmit) + " transmit queues, too few for " +
                     std::to_string(config.workers) + " workers: ethtool -L " + name + " tx " +
                     std::to_string(config.workers) + ", or lower --workers");
      // NOLINTEND(performance-inefficient-string-concatenation)
    }
  }
  frame_size_ = options.frame_size;
  for (options.index = 0; options.index < config.workers; ++options.index) {
    if (events_) options.events = &events_->queue(options.index);
    options.ports = worker_ports_;
    for (auto& port : options.ports) {
      std::erase_if(port.queues,
                    [&](std::uint32_t queue) { return queue % config.workers != options.index; });
    }
    if (auto opened = open_worker(options); !opened) return opened;
  }
  std::vector<Worker*> peers;
  peers.reserve(workers_.size());
  for (const auto& worker : workers_) peers.push_back(worker.get());
  for (const auto& worker : workers_) worker->connect(peers);
  for (const auto& worker : workers_) worker->start();
  return {};
}

Result<void, std::string> Gateway::open_worker(WorkerOptions options) {
  auto worker = Worker::create(std::move(options), *watcher_);
  if (!worker) return failure(worker.error());
  for (const auto& bound : (*worker)->sockets()) {
    const auto port = static_cast<std::uint32_t>(bound.port);
    if (auto done = steering_->set_socket(port, bound.queue, bound.socket->fd()); !done) return done;
    spdlog::info("{} queue {}: worker {}, XDP {}, {}", worker_ports_[port].device, bound.queue,
                 (*worker)->index(), kXdpModeNames[ports_[port].mode],
                 bound.socket->zero_copy() ? "zero copy" : "copy");
  }
  workers_.push_back(std::move(*worker));
  return {};
}

}  // namespace isthmus::nat64
