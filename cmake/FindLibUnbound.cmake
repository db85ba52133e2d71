# libunbound as tools/build-libunbound.sh makes it: static, with TLS (Debian's libunbound8 has none).
# Defines the target LibUnbound::LibUnbound.
if(DEFINED ENV{XDG_CACHE_HOME})
  set(libunbound_default "$ENV{XDG_CACHE_HOME}/isthmus/libunbound")
else()
  set(libunbound_default "$ENV{HOME}/.cache/isthmus/libunbound")
endif()
set(ISTHMUS_LIBUNBOUND_ROOT "${libunbound_default}" CACHE PATH "Where tools/build-libunbound.sh put libunbound")
set(archive "${ISTHMUS_LIBUNBOUND_ROOT}/libunbound.a")
if(NOT EXISTS "${archive}" OR NOT EXISTS "${ISTHMUS_LIBUNBOUND_ROOT}/unbound-event.h")
  message(FATAL_ERROR "libunbound is not in ${ISTHMUS_LIBUNBOUND_ROOT}: run `./dev setup`, "
                      "or `tools/build-libunbound.sh DIR` and configure with -DISTHMUS_LIBUNBOUND_ROOT=DIR")
endif()
add_library(LibUnbound::LibUnbound STATIC IMPORTED)
set_target_properties(LibUnbound::LibUnbound PROPERTIES
  IMPORTED_LOCATION "${archive}"
  INTERFACE_INCLUDE_DIRECTORIES "${ISTHMUS_LIBUNBOUND_ROOT}"  # imported targets' includes are SYSTEM
  INTERFACE_LINK_LIBRARIES "OpenSSL::SSL;OpenSSL::Crypto;Threads::Threads")
set(LibUnbound_FOUND TRUE)
