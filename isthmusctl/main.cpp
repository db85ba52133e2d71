// SPDX-License-Identifier: Apache-2.0
#include <grpc/support/log.h>

#include <cstdint>
#include <functional>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

#include "isthmusctl/certs.hpp"
#include "isthmusctl/change_commands.hpp"
#include "isthmusctl/commands.hpp"
#include "isthmusctl/completion.hpp"
#include "isthmusctl/dns64_commands.hpp"
#include "isthmusctl/nat64_cli.hpp"

namespace {

using isthmus::ControllerAddress;

void add_format(CLI::App& command, std::string& format) {
  command.add_option("-o,--output", format, "table, wide, json or yaml")
      ->check(CLI::IsMember({"table", "wide", "json", "yaml"}))
      ->capture_default_str();
}

// What the commands of change_commands.hpp take.
struct Changes {
  isthmus::ChangeOptions options;
  std::uint64_t if_version = 0;
  std::string file, node, machine;
  std::uint64_t from = 0, to = 0;
  bool force = false;
  std::string format = "table";
  std::function<int(const ControllerAddress&)> chosen;  // by the subcommand that was given

  [[nodiscard]] isthmus::Format output() const { return isthmus::parse_format(format).value(); }
};

void add_policy_commands(CLI::App& app, Changes& c) {
  const auto add_edit_options = [&c](CLI::App& command) {
    auto* given = command.add_option("--if-version", c.if_version,
                                     "only if this is the newest version (isthmusctl history)");
    command.add_option("--comment", c.options.comment, "why; kept in the history");
    command.add_flag("--drain", c.options.drain,
                     "take away addresses and prefixes that are in use, after what runs over them ended");
    return given;
  };
  auto* apply = app.add_subcommand("apply", "make a policy file the policy, when the controller keeps it");
  apply->add_option("-f,--file,FILE", c.file, "policy in YAML, - for standard input")->required();
  apply->add_flag("--dry-run", c.options.dry_run, "check all, change nothing");
  auto* apply_if = add_edit_options(*apply);
  apply->callback([&c, apply_if] {
    if (*apply_if) c.options.if_version = c.if_version;
    c.chosen = [&c](const auto& at) { return isthmus::apply_command(at, c.file, c.options); };
  });
  auto* rollback = app.add_subcommand("rollback", "make an earlier version the policy again");
  rollback->add_option("VERSION", c.to, "of isthmusctl history")->required();
  auto* rollback_if = add_edit_options(*rollback);
  rollback->callback([&c, rollback_if] {
    if (*rollback_if) c.options.if_version = c.if_version;
    c.chosen = [&c](const auto& at) { return isthmus::rollback_command(at, c.to, c.options); };
  });
  auto* diff =
      app.add_subcommand("diff", "what a file, or a version, changes; exit 1: there are differences");
  auto* file = diff->add_option("-f,--file,FILE", c.file, "policy in YAML, - for standard input");
  diff->add_option("--from", c.from, "version to compare with; the newest when left out");
  diff->add_option("--to", c.to, "version instead of a file")->excludes(file);
  add_format(*diff, c.format);
  diff->callback([&c] {
    if (c.file.empty() && c.to == 0) throw CLI::RequiredError("FILE or --to");
    c.chosen = [&c](const auto& at) { return isthmus::diff_command(at, c.file, c.from, c.to, c.output()); };
  });
  auto* history = app.add_subcommand("history", "versions of the policy: when, who, why");
  add_format(*history, c.format);
  history->callback(
      [&c] { c.chosen = [&c](const auto& at) { return isthmus::history_command(at, c.output()); }; });
}

void add_node_commands(CLI::App& app, Changes& c) {
  auto* drain = app.add_subcommand("drain", "take a NAT64 node out of service without a client noticing");
  drain->add_option("NODE", c.node)->required();
  drain->add_option("--comment", c.options.comment, "why; shown with the node");
  drain->add_flag("--force", c.force, "also when it is the last healthy one");
  drain->callback([&c] {
    c.chosen = [&c](const auto& at) {
      return isthmus::drain_command(at, c.node, c.options.comment, c.force);
    };
  });
  auto* undrain = app.add_subcommand("undrain", "take a drained node back");
  undrain->add_option("NODE", c.node)->required();
  undrain->callback(
      [&c] { c.chosen = [&c](const auto& at) { return isthmus::undrain_command(at, c.node); }; });
  auto* fence =
      app.add_subcommand("fence", "vouch that a machine is gone: its addresses rest, then are free");
  fence->add_option("NODE", c.node)->required();
  fence->add_option("--machine", c.machine, "its machine, as isthmusctl describe node shows it")->required();
  fence->callback(
      [&c] { c.chosen = [&c](const auto& at) { return isthmus::fence_command(at, c.node, c.machine); }; });
  auto* describe = app.add_subcommand("describe", "all that is known about one thing");
  describe->require_subcommand(1);
  auto* node = describe->add_subcommand("node", "a service");
  node->add_option("NODE", c.node)->required();
  add_format(*node, c.format);
  node->callback([&c] {
    c.chosen = [&c](const auto& at) { return isthmus::describe_node_command(at, c.node, c.output()); };
  });
}

}  // namespace

int main(int argc, char** argv) {
  gpr_set_log_function([](gpr_log_func_args*) {});  // what went wrong is in the status, and told once
  CLI::App app{"isthmusctl: ask and check an Isthmus installation"};
  app.require_subcommand(1);
  app.fallthrough();

  isthmus::ControllerAddress controller{"127.0.0.1:7400", {}};
  app.add_option("--controller", controller.target, "controller's gRPC address, HOST:PORT")
      ->envname("ISTHMUS_CONTROLLER")
      ->capture_default_str();
  app.add_option("--tls-ca", controller.tls.ca, "PEM file of the CA that signed the controller's certificate")
      ->envname("ISTHMUS_TLS_CA");
  app.add_option("--tls-certificate", controller.tls.certificate, "PEM file of the operator's certificate")
      ->envname("ISTHMUS_TLS_CERTIFICATE");
  app.add_option("--tls-key", controller.tls.key, "PEM file of its key")->envname("ISTHMUS_TLS_KEY");

  std::string file;
  auto* validate = app.add_subcommand("validate", "check a policy file; needs no controller");
  bool remote = false;
  validate->add_flag("--remote", remote, "let the controller check it, with its own build");
  validate->add_option("FILE", file, "policy in YAML, - for standard input")->required();

  std::string what;
  std::string format = "table";
  auto* get = app.add_subcommand("get", "show what the controller knows");
  get->add_option("WHAT", what, "policy, nodes or leases")
      ->required()
      ->check(CLI::IsMember({"policy", "nodes", "leases"}));
  add_format(*get, format);

  std::string events_of;
  bool follow = false;
  auto* events = app.add_subcommand("events", "what happened at the controller, the oldest first");
  events->add_option("--node", events_of, "of this service only");
  events->add_flag("-w,--watch", follow, "go on until interrupted");
  add_format(*events, format);

  Changes changes;
  add_policy_commands(app, changes);
  add_node_commands(app, changes);

  std::string history;
  get->add_option("--history", history, "with leases: who held this address, from when to when");

  isthmus::Nat64Cli nat64(app);

  std::string dns64 = "127.0.0.1:7465";
  const auto asks_dns64 = [&](CLI::App* command) {
    command->add_option("--dns64", dns64, "dns64-svc's gRPC address, HOST:PORT")
        ->envname("ISTHMUS_DNS64")
        ->capture_default_str();
    command->add_option("-o,--output", format, "table or json")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
  };
  isthmus::ExplainDns question;
  auto* explain_dns = app.add_subcommand("explain-dns", "show why a client gets the answer that it gets");
  asks_dns64(explain_dns);
  explain_dns->add_option("NAME", question.name, "domain name")->required();
  explain_dns->add_option("TYPE", question.type, "record type")->capture_default_str();
  explain_dns->add_option("--client", question.client, "address of the client")->required();
  explain_dns->add_flag("--dnssec-ok", question.dnssec_ok, "the client sets DO");
  explain_dns->add_flag("--checking-disabled", question.checking_disabled, "the client sets CD");
  auto* cache = app.add_subcommand("cache", "look into the cache of a dns64-svc");
  cache->require_subcommand(1);
  auto* dump = cache->add_subcommand("dump", "list what is kept");
  asks_dns64(dump);
  std::string under;
  std::uint32_t limit = 1000;
  dump->add_option("--under", under, "what a flush of this subtree would take");
  dump->add_option("--limit", limit, "entries at most")->capture_default_str();
  auto* flush = cache->add_subcommand("flush", "forget a name, a subtree or all");
  asks_dns64(flush);
  isthmus::FlushCache flushed;
  flush->add_option("NAME", flushed.name, "this name, every type");
  flush->add_option("--subtree", flushed.subtree, "this name and all below");
  flush->add_flag("--all", flushed.everything, "everything");

  isthmus::CertsOptions certs_options;
  auto* certs = app.add_subcommand("certs", "make a lab CA with a certificate for everyone, or renew them");
  certs->add_option("DIRECTORY", certs_options.directory, "where; an existing CA there is kept")->required();
  certs
      ->add_option("--controller-name", certs_options.controller_names,
                   "DNS name or address by which clients call the controller; repeatable")
      ->capture_default_str();
  certs
      ->add_option(
          "--identity", certs_options.identities,
          "ROLE/NAME, ROLE one of operator, reader, dns64, nat64; NAME * for all nodes of a kind; repeatable")
      ->capture_default_str();
  certs->add_option("--days", certs_options.days, "how long the certificates are valid")
      ->check(CLI::Range(1, 3650))
      ->capture_default_str();

  double interval = 2;
  int count = 0;
  auto* top = app.add_subcommand("top", "who carries how much now, the busiest first");
  top->add_option("--interval", interval, "seconds between two looks")
      ->check(CLI::Range(0.2, 3600.0))
      ->capture_default_str();
  top->add_option("--count", count, "tables to show; 0: until interrupted")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();

  std::string shell;
  auto* completion = app.add_subcommand("completion", "print a script that completes commands: source it");
  completion->add_option("SHELL", shell)->required()->check(CLI::IsMember({"bash"}));

  CLI11_PARSE(app, argc, argv);
  if (const auto code = nat64.run(controller.tls)) return *code;
  if (changes.chosen) return changes.chosen(controller);
  const isthmus::ControllerAddress at_dns64{dns64, controller.tls};
  if (*explain_dns) return isthmus::explain_dns_command(at_dns64, question, format == "json");
  if (*dump) return isthmus::dump_cache_command(at_dns64, under, limit, format == "json");
  if (*flush) return isthmus::flush_cache_command(at_dns64, flushed);
  if (*completion) {
    std::cout << isthmus::bash_completion(app);
    return 0;
  }
  if (*events)
    return isthmus::events_command(controller, events_of, follow, isthmus::parse_format(format).value());
  if (*top) return isthmus::top_command(controller, interval, count);
  if (*certs) return isthmus::certs_command(certs_options);
  if (*validate)
    return remote ? isthmus::validate_remote_command(controller, file) : isthmus::validate_command(file);
  if (!history.empty()) {
    if (what != "leases") {
      std::cerr << "isthmusctl: --history goes with `get leases`\n";
      return 2;
    }
    return isthmus::lease_history_command(controller, history, isthmus::parse_format(format).value());
  }
  const auto chosen = what == "policy"  ? isthmus::What::kPolicy
                      : what == "nodes" ? isthmus::What::kNodes
                                        : isthmus::What::kLeases;
  return isthmus::get_command(controller, chosen, isthmus::parse_format(format).value());
}
