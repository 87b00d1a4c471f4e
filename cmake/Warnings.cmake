# The flags that every source of ours compiles with, without a warning, under gcc 12 and clang 14.
set(P2PD_WARNINGS
  -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla -Walloca -Wformat=2 -Wconversion
  -Wsign-conversion -Wimplicit-fallthrough -Wswitch-enum -Wnull-dereference -Wdouble-promotion
  -Wno-gnu-zero-variadic-macro-arguments)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(REMOVE_ITEM P2PD_WARNINGS -Wno-gnu-zero-variadic-macro-arguments)
  list(APPEND P2PD_WARNINGS -Wcast-align=strict -Wduplicated-cond -Wduplicated-branches
    -Wlogical-op -Wframe-larger-than=16384)
  # ISO C17 has no empty variadic tail; both compilers take it in GNU spelling, LOG() needs it.
  list(REMOVE_ITEM P2PD_WARNINGS -Wpedantic)
endif()
if(P2PD_SANITIZE OR P2PD_FUZZ)
  list(REMOVE_ITEM P2PD_WARNINGS -Wnull-dereference -Wframe-larger-than=16384)
endif()
if(P2PD_WERROR)
  list(APPEND P2PD_WARNINGS -Werror)
endif()
