# As a script, at every build: cmake -DOUT= -DSOURCE= -DNUMBER= -DLIBRARIES= -P Version.cmake
# Writes OUT, a C file, and touches it only when something in it has changed.
execute_process(
  COMMAND git -C "${SOURCE}" describe --always --dirty --abbrev=12 --exclude=*
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed OR commit STREQUAL "")
  set(commit "unknown")
endif()
file(CONFIGURE OUTPUT "${OUT}" @ONLY CONTENT [[/* Made by cmake/Version.cmake; do not edit. */
#include "@SOURCE@/src/cli/version.h"

const char *version_number(void)
{
    return "@NUMBER@";
}

const char *version_agent(void)
{
    return "beacon-p2pd/@NUMBER@";
}

const char *version_commit(void)
{
    return "@commit@";
}

const char *version_libraries(void)
{
    return "@LIBRARIES@";
}
]])
