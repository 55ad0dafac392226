#include "query/ask.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

void *query_alloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n ? n : 1);
    if (!p)
        abort();
    return memset(p, 0, n);
}

void ask_start(struct ask *a, struct arena *arena)
{
    *a = (struct ask){.arena = arena};
}

void ask_stmt(struct ask *a, const struct db_stmt *stmt)
{
    if (a->n == ASK_STMTS)
        abort();
    a->values = query_alloc(a->arena, ASK_PARAMS * sizeof *a->values);
    a->lengths = query_alloc(a->arena, ASK_PARAMS * sizeof *a->lengths);
    a->params = 0;
    a->calls[a->n++] = (struct db_call){.stmt = stmt, .values = a->values, .lengths = a->lengths};
}

static void param(struct ask *a, const void *p, size_t n)
{
    if (a->params == a->calls[a->n - 1].stmt->n_params)
        abort();
    a->values[a->params] = p;
    a->lengths[a->params++] = (int)n;
}

static void copied(struct ask *a, const void *p, size_t n)
{
    param(a, memcpy(query_alloc(a->arena, n), p, n), n);
}

void ask_id(struct ask *a, const struct id16 *id)
{
    copied(a, id->b, ID_SIZE);
}

void ask_i64(struct ask *a, int64_t v)
{
    uint64_t be = htobe64((uint64_t)v);
    copied(a, &be, sizeof be);
}

void ask_null(struct ask *a)
{
    param(a, NULL, 0);
}

void ask_i32(struct ask *a, int32_t v)
{
    uint32_t be = htobe32((uint32_t)v);
    copied(a, &be, sizeof be);
}

void ask_bool(struct ask *a, bool v)
{
    copied(a, &(char){(char)v}, 1);
}

void ask_text(struct ask *a, const char *text)
{
    param(a, text ? text : "", text ? strlen(text) : 0);
}

/* As array_recv() wants it; see common/base/db_array.c. */
void ask_ids(struct ask *a, const struct id16 *ids, size_t n)
{
    size_t head = n ? 20 : 12;
    uint8_t *p = query_alloc(a->arena, head + n * (4 + ID_SIZE)), *at = p + head;
    const uint32_t dims[5] = {htobe32(n ? 1 : 0), 0, htobe32(DB_OID_BYTEA), htobe32((uint32_t)n), htobe32(1)};
    memcpy(p, dims, head);
    for (size_t i = 0; i < n; i++, at += 4 + ID_SIZE) {
        const uint32_t len = htobe32(ID_SIZE);
        memcpy(at, &len, 4);
        memcpy(at + 4, ids[i].b, ID_SIZE);
    }
    param(a, p, (size_t)(at - p));
}
