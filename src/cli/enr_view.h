/* What a node record says, for people and for programs. */
#ifndef CLI_ENR_VIEW_H
#define CLI_ENR_VIEW_H

#include <proto/enr.h>
#include <stdio.h>

void enr_print(const struct enr *e, FILE *to);      /* lines of "name  value" */
void enr_print_json(const struct enr *e, FILE *to); /* one object on one line */

#endif
