#include "persister/rowmap.h"

#include "common/base/log.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct entry {
    UT_hash_handle hh;
    uint8_t *row;
    size_t row_n;
    uint8_t key[]; /* table, then key */
};

struct rowmap {
    struct entry *entries;
};

#define KEY_MAX 256

static _Noreturn void no_memory(void)
{
    log_error("no memory for the rows of a batch");
    abort();
}

struct rowmap *rowmap_new(void)
{
    return calloc(1, sizeof(struct rowmap));
}

void rowmap_free(struct rowmap *m)
{
    if (m)
        rowmap_clear(m);
    free(m);
}

static struct entry *find(const struct rowmap *m, uint8_t table, struct slice key, uint8_t name[KEY_MAX])
{
    struct entry *e = NULL;
    if (key.n >= KEY_MAX)
        return NULL;
    name[0] = table;
    memcpy(name + 1, key.p, key.n);
    HASH_FIND(hh, m->entries, name, key.n + 1, e);
    return e;
}

void rowmap_set(struct rowmap *m, uint8_t table, struct slice key, struct slice row)
{
    uint8_t name[KEY_MAX];
    struct entry *e = find(m, table, key, name);
    if (key.n >= KEY_MAX)
        return;
    if (!e) {
        e = calloc(1, sizeof *e + key.n + 1);
        if (!e)
            no_memory();
        memcpy(e->key, name, key.n + 1);
        HASH_ADD_KEYPTR(hh, m->entries, e->key, key.n + 1, e);
    }
    uint8_t *copy = malloc(row.n + 1);
    if (!copy)
        no_memory();
    if (row.n)
        memcpy(copy, row.p, row.n);
    free(e->row);
    e->row = copy;
    e->row_n = row.n;
}

bool rowmap_get(const struct rowmap *m, uint8_t table, struct slice key, struct slice *row)
{
    uint8_t name[KEY_MAX];
    const struct entry *e = find(m, table, key, name);
    if (!e)
        return false;
    *row = (struct slice){e->row, e->row_n};
    return true;
}

void rowmap_clear(struct rowmap *m)
{
    struct entry *e, *next;
    HASH_ITER (hh, m->entries, e, next) {
        HASH_DEL(m->entries, e);
        free(e->row);
        free(e);
    }
}
