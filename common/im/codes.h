/* codes.h: one row per Code of client.proto; docs/errors.md is made from this table (tools/make-errors). */
#ifndef PARLEY_IM_CODES_H
#define PARLEY_IM_CODES_H

#include <stddef.h>
#include <stdint.h>

struct code {
    uint16_t number;
    const char *name;
    const char *cause; /* one sentence; also the default text of Error.message */
    const char *fix;   /* what a client, or its user, does about it */
};

const struct code *code_get(uint32_t number); /* NULL: unknown */
const char *code_name(uint32_t number);       /* "?" when unknown */
const char *code_cause(uint32_t number);      /* "" when unknown */
const struct code *codes_all(size_t *n);      /* ascending */

#endif
