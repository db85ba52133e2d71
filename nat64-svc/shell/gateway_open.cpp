// SPDX-License-Identifier: Apache-2.0
// How the data plane comes up: refusals in the order in which an operator can mend them.
#include <net/if.h>
#include <spdlog/spdlog.h>
#include <sys/random.h>

#include <algorithm>
#include <thread>

#include "nat64-svc/shell/busy_poll_settings.hpp"
#include "nat64-svc/shell/gateway.hpp"
#include "nat64-svc/shell/preflight.hpp"
#include "nat64-svc/shell/queue_count.hpp"
#include "nat64-svc/shell/xsk/steer_maps.h"

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

  const bool one = config.one_interface();
  ports_.push_back({config.interface6, config.xdp_mode});
  if (auto done = open_announcers(config); !done) return done;
  if (auto done = open_port(STEER_PORT6, config.interface6, one ? Take::kBoth : Take::kV6); !done)
    return done;
  if (!one) {
    ports_.push_back({config.interface4, config.xdp_mode});
    if (auto done = open_port(STEER_PORT4, config.interface4, Take::kV4); !done) return done;
  }
  if (!config.events.empty() || !config.events_syslog.empty()) {
    auto events = EventSpool::open({config.events, config.events_syslog}, config.node_id, config.workers);
    if (!events) return failure(events.error());
    events_ = std::move(*events);
  }
  return open_workers(config);
}

Result<void, std::string> Gateway::open_announcers(const StartupConfig& config) {
  if (config.announce_routes) {
    auto announced = AnnouncedRoutes::open(kAnnouncingInterface);
    if (!announced) return failure(announced.error());
    announced_ = std::move(*announced);
  }
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

Result<void, std::string> Gateway::open_port(std::uint32_t port, const std::string& name, Take take) {
  const int index = static_cast<int>(if_nametoindex(name.c_str()));
  const auto view = watcher_->view().get();
  const auto* interface = view->interface(index);
  if (index == 0 || interface == nullptr) {
    return failure("there is no interface " + name + ": ip link shows those that are");
  }
  if (!interface->up) return failure("interface " + name + " is down: ip link set " + name + " up");
  if (interface->mac == MacAddress{}) {
    return failure("interface " + name + " is no Ethernet: NAT64 needs an interface with a link address");
  }
  if (interface->kind == "bond") {
    return failure(name + " is a bond: AF_XDP sockets belong to queues of real interfaces; name one of its " +
                   "members, or use routed links with several gateways");
  }
  if (!frame_size_for_mtu(interface->mtu)) {
    return failure("the MTU of " + name + " is " + std::to_string(interface->mtu) +
                   ": AF_XDP takes at most " + std::to_string(kLargestMtu) + "; ip link set " + name +
                   " mtu " + std::to_string(kLargestMtu));
  }
  if (auto done = steering_->set_mac(port, interface->mac); !done) return done;
  const auto queues = queue_count(name);
  if (queues > STEER_MAX_QUEUES) {
    return failure(name + " has " + std::to_string(queues) + " queues, at most " +
                   std::to_string(STEER_MAX_QUEUES) + " can be used: ethtool -L " + name + " combined " +
                   std::to_string(STEER_MAX_QUEUES));
  }
  if (busy_poll_) {
    for (const auto& wrong : prepare_busy_poll(name, interface_files(name, index))) spdlog::warn("{}", wrong);
  }
  auto mode = steering_->attach(port, index, name, take, ports_[port].mode);
  if (!mode) return failure(mode.error());
  ports_[port].mode = *mode;
  WorkerPort worker_port{name, index, {}};
  for (std::uint32_t queue = 0; queue < queues; ++queue) worker_port.queues.push_back(queue);
  worker_ports_.push_back(std::move(worker_port));
  return {};
}

// Queue q of each interface goes to worker q modulo their number.
Result<void, std::string> Gateway::open_workers(const StartupConfig& config) {
  WorkerOptions options;
  options.busy_poll = config.busy_poll;
  options.limits.max_sessions = config.max_sessions;
  options.key = key_;
  if (node_) options.kernel_end = kKernelEndMac;
  const auto view = watcher_->view().get();
  for (std::size_t port = 0; port < ports_.size(); ++port) {
    const auto& name = ports_[port].interface;
    const auto* interface = view->interface(worker_ports_[port].interface_index);
    const auto size = interface != nullptr ? frame_size_for_mtu(interface->mtu) : std::nullopt;
    if (!size) return failure("interface " + name + " went away: start again when it is back");
    options.frame_size = std::max(options.frame_size, *size);
    if (ports_[port].mode == XdpMode::kGeneric) options.copy_only = true;
    const auto queues = worker_ports_[port].queues.size();
    if (queues < config.workers) {
      return failure(name + " has " + std::to_string(queues) + " queues, too few for " +
                     std::to_string(config.workers) + " workers: ethtool -L " + name +
                     " gives it more, or lower --workers");
    }
  }
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
    spdlog::info("{} queue {}: worker {}, XDP {}, {}", ports_[port].interface, bound.queue,
                 (*worker)->index(), kXdpModeNames[ports_[port].mode],
                 bound.socket->zero_copy() ? "zero copy" : "copy");
  }
  workers_.push_back(std::move(*worker));
  return {};
}

}  // namespace isthmus::nat64
