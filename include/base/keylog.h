/*
 * Where session secrets go for whoever wants to read a capture: an interface, filled by the
 * program (--keylog) and by tests. Whoever has a line can read that connection.
 *
 * Lines: docs/keylog.md. The engines make no lines: the host and the node do.
 */
#ifndef BASE_KEYLOG_H
#define BASE_KEYLOG_H

struct keylog {
    void (*line)(struct keylog *self, const char *text); /* without its newline */
};

#endif
