// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include <CLI/CLI.hpp>

#include "isthmusctl/certs.hpp"
#include "isthmusctl/commands.hpp"
#include "isthmusctl/completion.hpp"

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
  if (*completion) {
    std::cout << isthmus::bash_completion(app);
    return 0;
  }
  if (*top) return isthmus::top_command(controller, interval, count);
  if (*certs) return isthmus::certs_command(certs_options);
  if (*validate)
    return remote ? isthmus::validate_remote_command(controller, file) : isthmus::validate_command(file);
  const auto chosen = what == "policy"  ? isthmus::What::kPolicy
                      : what == "nodes" ? isthmus::What::kNodes
                                        : isthmus::What::kLeases;
  return isthmus::get_command(controller, chosen, isthmus::parse_format(format).value());
}
