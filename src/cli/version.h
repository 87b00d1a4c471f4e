/* What this program is made of: cmake/Version.cmake fills it at build time. */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

const char *version_number(void);    /* "0.1.0" */
const char *version_agent(void);     /* "beacon-p2pd/0.1.0" */
const char *version_commit(void);    /* as git describes it, or "unknown" */
const char *version_libraries(void); /* "libuv 1.44.2, ...": what it was built with */

#endif
