/* Whole files and folders. False: errno says why. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <base/bytes.h>

#define PATH_BYTES 768u

/* Mode 0600; what is there is replaced. Blocks of zeros become holes. */
bool file_copy(const char *from, const char *to);
bool file_write(const char *to, struct view bytes); /* mode 0600 */
/* A folder and all in it, without following links. Absent: nothing to do. */
bool folder_remove(const char *path);
uint64_t folder_bytes(const char *path); /* on the disk; 0: not there */

#endif
