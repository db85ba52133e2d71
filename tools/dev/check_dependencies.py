#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The dependency rule, checked:  check_dependencies.py [link_graph.txt]

1. A pure library (every */core, and the foundations of common/) links, over any number of steps, nothing but pure
   libraries: no sockets, no logging, no generated messages.
2. A pure file includes only pure headers of its own program or of common/, and no system header that does I/O, threads or
   clocks.
3. No program's files include another program's.

One line per violation; exit status 1 when there is any.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ["nat64-svc", "dns64-svc", "controller", "isthmusctl"]
FOUNDATIONS = {"isthmus_base", "isthmus_net", "isthmus_rfc6052", "isthmus_config"}
HARMLESS_LINKS = {"tl::expected", "isthmus_warnings", "$<LINK_ONLY:isthmus_warnings>", "links-NOTFOUND", "own-NOTFOUND", ""}
# In common/, directories of pure files, less the files that are the shell's.
PURE_COMMON = re.compile(r"common/(net|rfc6052)/|common/config/(allocation|policy)\.|common/base/(result|clock|enum_names|utf8)\.")
IMPURE_SYSTEM = re.compile(
    r"<(thread|mutex|condition_variable|future|shared_mutex|fstream|iostream|filesystem|stop_token|semaphore|barrier|latch)>"
    r"|<(sys|net|netinet|arpa|linux|bpf|xdp|netlink|google|grpc|grpcpp|boost|spdlog|yaml-cpp|prometheus|openssl|event2)/"
    r"|<(unistd|poll|signal|pthread|fcntl|netdb|sqlite3|unbound)\.h>")
INCLUDE = re.compile(r'^\s*#\s*include\s+(<[^>]+>|"[^"]+")', re.MULTILINE)
# Text <-> bytes without a socket: inet_ntop and inet_pton.
ALLOWED = {("common/net/ipv4_address.cpp", "<arpa/inet.h>"), ("common/net/ipv6_address.cpp", "<arpa/inet.h>"),
           ("common/net/ipv6_address.cpp", "<sys/socket.h>"), ("common/base/clock.hpp", "<time.h>")}


def is_pure(path):
    return "/core/" in path or PURE_COMMON.match(path) is not None


def check_links(graph_file):
    links, places = {}, {}
    for line in graph_file.read_text(encoding="utf-8").splitlines():
        target, place, libraries, _ = line.split(";", 3)
        links[target] = {library for library in libraries.split(",") if library not in HARMLESS_LINKS}
        places[target] = place
    pure = {name for name in links if name in FOUNDATIONS
            or (re.search(r"(^|/)core($|/)", places[name]) or name.endswith("_core")) and not places[name].startswith("tests")}
    for target in sorted(pure):
        todo, seen = [(target, target)], set()
        while todo:
            name, way = todo.pop()
            for library in sorted(links.get(name, ())):
                if library in seen:
                    continue
                seen.add(library)
                if library in pure:
                    todo.append((library, f"{way} -> {library}"))
                else:
                    yield f"{target}: a pure library links {library} ({way} -> {library})"
    if len(pure) < len(FOUNDATIONS):
        yield f"{graph_file}: only {len(pure)} pure libraries found, so nothing was checked"


def check_includes():
    for top in ["common", *PROGRAMS]:
        for file in sorted((ROOT / top).rglob("*")):
            if file.suffix not in {".cpp", ".hpp", ".c", ".h"}:
                continue
            path = file.relative_to(ROOT).as_posix()
            for match in INCLUDE.finditer(file.read_text(encoding="utf-8")):
                yield from check_include(path, top, match.group(1))


def check_include(path, top, header):
    name = header.strip('<>"')
    other = name.split("/")[0]
    if header.startswith('"') and other in PROGRAMS and other != top:
        yield f"{path}: includes {name} of another program"
    if not is_pure(path) or (path, header) in ALLOWED:
        return
    if header.startswith("<") and IMPURE_SYSTEM.match(header):
        yield f"{path}: pure code includes {header}"
    if header.startswith('"') and not is_pure(name):
        yield f"{path}: pure code includes {name}, which is not pure"


def main():
    graph = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/dev/link_graph.txt")
    if not graph.exists():
        sys.exit(f"{graph} is missing: configure first (./dev build)")
    violations = [*check_links(graph), *check_includes()]
    print(*violations, sep="\n", end="\n" if violations else "")
    print(f"dependency rule: {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
