# Every outside library, from Debian 12 packages (`./dev setup` installs them).
find_package(Threads REQUIRED)
find_package(tl-expected CONFIG REQUIRED)       # tl::expected, behind common/base/result.hpp
find_package(PkgConfig REQUIRED)
find_package(Boost 1.81 REQUIRED)               # header-only Beast and Asio
pkg_check_modules(libnghttp2 REQUIRED IMPORTED_TARGET libnghttp2)
find_package(OpenSSL 3 REQUIRED)

if(NOT ISTHMUS_FUZZ)                            # the fuzzers link what does no I/O
  find_package(prometheus-cpp CONFIG REQUIRED COMPONENTS core)
  find_package(spdlog CONFIG REQUIRED)
  find_package(fmt CONFIG REQUIRED)
  find_package(CLI11 CONFIG REQUIRED)
  find_package(nlohmann_json CONFIG REQUIRED)
  find_package(SQLite3 REQUIRED)
  find_package(mimalloc 2 CONFIG REQUIRED)      # the allocator of dns64-svc
  foreach(module libbpf libxdp libnl-3.0 libnl-route-3.0 libnftables libfstrm)
    string(MAKE_C_IDENTIFIER ${module} id)      # PkgConfig::libnl_route_3_0
    pkg_check_modules(${id} REQUIRED IMPORTED_TARGET ${module})
  endforeach()
  find_program(ISTHMUS_BPF_CLANG NAMES clang-19 clang REQUIRED)
  find_program(ISTHMUS_BPFTOOL bpftool PATHS /usr/sbin REQUIRED)
endif()
find_package(Protobuf 3.21 REQUIRED)            # CMake's module: Debian ships no config file
find_package(yaml-cpp CONFIG REQUIRED)          # plain target `yaml-cpp`
find_package(gRPC 1.51 CONFIG REQUIRED)
if(ISTHMUS_TESTS)
  find_package(GTest CONFIG REQUIRED)
  include(GoogleTest)
endif()
if(ISTHMUS_BENCH)
  find_package(benchmark CONFIG REQUIRED)
endif()
