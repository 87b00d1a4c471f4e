# Executables are linked as position independent, whatever the compiler's default is.
include(CheckPIESupported)
check_pie_supported()

# Everything is hidden in the library but what include/p2pd exports; no FP contraction, since the
# same seed must give the same run on every machine.
add_compile_options(-fvisibility=hidden -fno-common -ffp-contract=off)
add_compile_options($<$<CONFIG:RelWithDebInfo>:-fstack-protector-strong>)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU") # clang 14 hides it behind another flag
  add_compile_options($<$<CONFIG:RelWithDebInfo>:-ftrivial-auto-var-init=zero>)
endif()
if(P2PD_FUZZ) # a fuzz target without assertions shows nothing
  string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options($<$<CONFIG:RelWithDebInfo>:-fcf-protection>
    $<$<CONFIG:RelWithDebInfo>:-fstack-clash-protection>)
endif()
if(NOT P2PD_SANITIZE)
  add_compile_options($<$<CONFIG:RelWithDebInfo>:-U_FORTIFY_SOURCE>
    $<$<CONFIG:RelWithDebInfo>:-D_FORTIFY_SOURCE=3>)
endif()
add_link_options($<$<CONFIG:RelWithDebInfo>:-Wl,-z,relro,-z,now>)
