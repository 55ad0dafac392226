/* Array parameters in PostgreSQL's binary form (array_recv): dimensions, has-null flag, element type, length and
 * lower bound of the one dimension, then each element behind its length. */
#include "common/base/db.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define HEADER 20

static char *room(struct db_array *a, size_t n)
{
    if (a->failed)
        return NULL;
    if (a->cap - a->n < n) {
        size_t cap = a->cap ? 2 * a->cap : 1024;
        while (cap - a->n < n)
            cap *= 2;
        char *p = realloc(a->p, cap);
        if (!p) {
            a->failed = true;
            return NULL;
        }
        a->p = p;
        a->cap = cap;
    }
    char *at = a->p + a->n;
    a->n += n;
    return at;
}

static void put32(char *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof v);
}

static void element(struct db_array *a, const void *p, size_t n)
{
    char *at = room(a, 4 + n);
    if (!at)
        return;
    put32(at, (uint32_t)n);
    if (n)
        memcpy(at + 4, p, n);
    a->count++;
}

void db_array_start(struct db_array *a, Oid type)
{
    a->n = 0;
    a->count = 0;
    a->failed = false;
    char *h = room(a, HEADER);
    if (!h)
        return;
    memset(h, 0, HEADER);
    put32(h + 8, type);
}

void db_array_bytes(struct db_array *a, const void *p, size_t n)
{
    element(a, p, n);
}

void db_array_i64(struct db_array *a, int64_t v)
{
    uint64_t be = htobe64((uint64_t)v);
    element(a, &be, sizeof be);
}

void db_array_i32(struct db_array *a, int32_t v)
{
    uint32_t be = htobe32((uint32_t)v);
    element(a, &be, sizeof be);
}

void db_array_i16(struct db_array *a, int16_t v)
{
    uint16_t be = htobe16((uint16_t)v);
    element(a, &be, sizeof be);
}

void db_array_null(struct db_array *a)
{
    char *at = room(a, 4);
    if (!at)
        return;
    put32(at, UINT32_MAX);
    put32(a->p + 4, 1);
    a->count++;
}

void db_array_end(struct db_array *a)
{
    if (a->failed)
        return;
    if (a->count == 0) { /* an empty array has no dimension */
        a->n = 12;
        return;
    }
    put32(a->p, 1);
    put32(a->p + 12, (uint32_t)a->count);
    put32(a->p + 16, 1);
}

void db_array_release(struct db_array *a)
{
    free(a->p);
    *a = (struct db_array){0};
}

int64_t db_get_i64(const PGresult *r, int row, int col)
{
    if (PQgetisnull(r, row, col))
        return 0;
    const char *p = PQgetvalue(r, row, col);
    uint64_t v = 0;
    int n = PQgetlength(r, row, col);
    for (int i = 0; i < n && i < 8; i++)
        v = v << 8 | (uint8_t)p[i];
    return n == 2 ? (int16_t)v : n == 4 ? (int32_t)v : (int64_t)v;
}
