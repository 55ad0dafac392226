#include "client/parleyctl/keysort.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define HELD     400000
#define RUNS_MAX 4096
#define AHEAD    64 /* entries read at once, of a run */

struct run {
    long next, end; /* entries in the file */
    size_t at, n;
    struct keysort_entry e[AHEAD];
};

struct keysort {
    struct keysort_entry *held;
    size_t n, max, at;
    FILE *file;
    long ends[RUNS_MAX];
    size_t n_runs;
    struct run **runs; /* while reading */
    bool reading, any;
    struct keysort_entry last;
};

struct keysort *keysort_new(size_t held)
{
    struct keysort *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->max = held ? held : HELD;
    s->held = malloc(s->max * sizeof *s->held);
    if (!s->held) {
        free(s);
        return NULL;
    }
    return s;
}

void keysort_free(struct keysort *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->runs && i < s->n_runs; i++)
        free(s->runs[i]);
    free(s->runs);
    if (s->file)
        fclose(s->file);
    free(s->held);
    free(s);
}

int keysort_cmp(const struct keysort_entry *a, const struct keysort_entry *b)
{
    int d = memcmp(a->key, b->key, KEYSORT_KEY);
    return d ? d : a->key_n - b->key_n;
}

static int compare(const void *a, const void *b)
{
    int d = keysort_cmp(a, b);
    return d ? d
             : memcmp(((const struct keysort_entry *)a)->digest, ((const struct keysort_entry *)b)->digest,
                      16);
}

static int spill(struct keysort *s)
{
    if (!s->file && !(s->file = tmpfile()))
        return -errno;
    if (s->n_runs == RUNS_MAX)
        return -ENOSPC;
    qsort(s->held, s->n, sizeof *s->held, compare);
    if (fwrite(s->held, sizeof *s->held, s->n, s->file) != s->n)
        return -EIO;
    s->ends[s->n_runs] = (s->n_runs ? s->ends[s->n_runs - 1] : 0) + (long)s->n;
    s->n_runs++;
    s->n = 0;
    return 0;
}

int keysort_add(struct keysort *s, struct slice key, uint8_t flag, struct slice row)
{
    if (key.n > KEYSORT_KEY)
        return -E2BIG;
    int rc = s->n == s->max ? spill(s) : 0;
    if (rc)
        return rc;
    struct keysort_entry *e = &s->held[s->n++];
    *e = (struct keysort_entry){.key_n = (uint8_t)key.n, .flag = flag};
    memcpy(e->key, key.p, key.n);
    XXH128_canonicalFromHash((XXH128_canonical_t *)(void *)e->digest, XXH3_128bits(row.p, row.n));
    return 0;
}

static int begin(struct keysort *s)
{
    s->reading = true;
    if (!s->n_runs) {
        qsort(s->held, s->n, sizeof *s->held, compare);
        return 0;
    }
    int rc = s->n ? spill(s) : 0;
    if (rc)
        return rc;
    free(s->held);
    s->held = NULL;
    s->runs = calloc(s->n_runs, sizeof *s->runs);
    for (size_t i = 0; s->runs && i < s->n_runs; i++) {
        s->runs[i] = calloc(1, sizeof **s->runs);
        if (!s->runs[i])
            return -ENOMEM;
        s->runs[i]->next = i ? s->ends[i - 1] : 0;
        s->runs[i]->end = s->ends[i];
    }
    return s->runs ? 0 : -ENOMEM;
}

/* Its first entry, or NULL when it is read. */
static const struct keysort_entry *peek(struct keysort *s, struct run *r, int *err)
{
    if (r->at < r->n)
        return &r->e[r->at];
    long left = r->end - r->next;
    if (left == 0)
        return NULL;
    r->at = 0;
    r->n = left < AHEAD ? (size_t)left : AHEAD;
    if (fseek(s->file, r->next * (long)sizeof r->e[0], SEEK_SET) ||
        fread(r->e, sizeof r->e[0], r->n, s->file) != r->n) {
        *err = -EIO;
        r->n = 0;
        return NULL;
    }
    r->next += (long)r->n;
    return r->e;
}

static bool lowest(struct keysort *s, struct keysort_entry *out, int *err)
{
    struct run *best = NULL;
    const struct keysort_entry *low = NULL;
    if (!s->n_runs) {
        if (s->at == s->n)
            return false;
        *out = s->held[s->at++];
        return true;
    }
    for (size_t i = 0; i < s->n_runs; i++) {
        const struct keysort_entry *e = peek(s, s->runs[i], err);
        if (e && (!low || compare(e, low) < 0)) {
            low = e;
            best = s->runs[i];
        }
    }
    if (!low || *err)
        return false;
    *out = *low;
    best->at++;
    return true;
}

bool keysort_next(struct keysort *s, struct keysort_entry *out, int *err)
{
    int rc = s->reading ? 0 : begin(s);
    if (rc) {
        *err = rc;
        return false;
    }
    while (lowest(s, out, err)) {
        if (s->any && compare(out, &s->last) == 0)
            continue; /* a scan may name a row twice */
        s->any = true;
        s->last = *out;
        return true;
    }
    return false;
}
