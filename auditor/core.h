/* core.h: the auditor's decisions about im.conversation: the reducer run once more, in a process of its own; what it
 * says goes into the books. Sends nothing; bytes that no version can read are passed over, as everywhere (im.dlq has
 * them from the others). Rows: A_CELL, the reducer's cells. */
#ifndef PARLEY_AUDITOR_CORE_H
#define PARLEY_AUDITOR_CORE_H

#include "auditor/books.h"
#include "common/base/core.h"

enum auditor_table { A_CELL = 1 };

struct auditor_settings {
    int64_t cache_bytes; /* conversations kept between batches, per partition */
};

struct auditor_shared { /* the core's `shared` */
    struct books *books;
    /* The first record since the partition was opened, before it is judged; may be NULL. */
    void (*first)(void *ctx, int32_t part, int64_t time_ms);
    void *ctx;
};

extern const struct core_ops auditor_core;

#endif
