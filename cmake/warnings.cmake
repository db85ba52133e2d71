# One warning list, one place. Warnings are errors everywhere, in every preset.
add_library(isthmus_warnings INTERFACE)
target_compile_options(isthmus_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wunused-value -Wswitch-enum
  -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual -Wnull-dereference -Wimplicit-fallthrough -Werror
  $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-branches -Wduplicated-cond -Wlogical-op>)
# GCC 12 reports false positives of these two under sanitizers and deep inlining.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(isthmus_warnings INTERFACE -Wno-null-dereference -Wno-maybe-uninitialized)
  # GCC 12 sees overlapping and endless copies in std::string under -O3 (its PR 105651, PR 105329).
  target_compile_options(isthmus_warnings INTERFACE
    "$<$<CONFIG:Release>:-Wno-restrict;-Wno-stringop-overflow;-Wno-array-bounds>")
endif()
if(ISTHMUS_SANITIZE)
  add_compile_options(-fsanitize=${ISTHMUS_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ISTHMUS_SANITIZE})
  if(ISTHMUS_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(isthmus_warnings INTERFACE -Wno-tsan)  # Asio's fences, which GCC's runtime does not model
  endif()
endif()
