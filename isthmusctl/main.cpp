// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "isthmusctl/commands.hpp"
#include "isthmusctl/dns64_commands.hpp"

int main(int argc, char** argv) {
  CLI::App app{"isthmusctl: ask and check an Isthmus installation"};
  app.require_subcommand(1);
  app.fallthrough();

  isthmus::ControllerAddress controller{"127.0.0.1:7400", {}};
  app.add_option("--controller", controller.target, "controller's gRPC address, HOST:PORT")
      ->envname("ISTHMUS_CONTROLLER")
      ->capture_default_str();
  app.add_option("--tls-ca", controller.tls.ca,
                 "PEM file of the CA that signed the controller's certificate");
  app.add_option("--tls-certificate", controller.tls.certificate, "PEM file of the operator's certificate");
  app.add_option("--tls-key", controller.tls.key, "PEM file of its key");

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
  get->add_option("-o,--output", format, "table, wide, json or yaml")
      ->check(CLI::IsMember({"table", "wide", "json", "yaml"}))
      ->capture_default_str();

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
  dump->add_option("--under", under, "only this name and what is below");
  dump->add_option("--limit", limit, "entries at most")->capture_default_str();
  auto* flush = cache->add_subcommand("flush", "forget a name, a subtree or all");
  asks_dns64(flush);
  isthmus::FlushCache flushed;
  flush->add_option("NAME", flushed.name, "this name, every type");
  flush->add_option("--subtree", flushed.subtree, "this name and all below");
  flush->add_flag("--all", flushed.everything, "everything");

  CLI11_PARSE(app, argc, argv);
  const isthmus::ControllerAddress at_dns64{dns64, controller.tls};
  if (*explain_dns) return isthmus::explain_dns_command(at_dns64, question, format == "json");
  if (*dump) return isthmus::dump_cache_command(at_dns64, under, limit, format == "json");
  if (*flush) return isthmus::flush_cache_command(at_dns64, flushed);
  if (*validate)
    return remote ? isthmus::validate_remote_command(controller, file) : isthmus::validate_command(file);
  const auto chosen = what == "policy"  ? isthmus::What::kPolicy
                      : what == "nodes" ? isthmus::What::kNodes
                                        : isthmus::What::kLeases;
  return isthmus::get_command(controller, chosen, isthmus::parse_format(format).value());
}
