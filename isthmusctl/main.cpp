// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "isthmusctl/commands.hpp"
#include "isthmusctl/nat64_cli.hpp"

int main(int argc, char** argv) {
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
  get->add_option("-o,--output", format, "table, wide, json or yaml")
      ->check(CLI::IsMember({"table", "wide", "json", "yaml"}))
      ->capture_default_str();

  isthmus::Nat64Cli nat64(app);

  CLI11_PARSE(app, argc, argv);
  if (const auto code = nat64.run(controller.tls)) return *code;
  if (*validate)
    return remote ? isthmus::validate_remote_command(controller, file) : isthmus::validate_command(file);
  const auto chosen = what == "policy"  ? isthmus::What::kPolicy
                      : what == "nodes" ? isthmus::What::kNodes
                                        : isthmus::What::kLeases;
  return isthmus::get_command(controller, chosen, isthmus::parse_format(format).value());
}
