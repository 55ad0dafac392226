/* Blocks: who wrote the last numbers and when, sixteen to a cell. That of the head is part of the header's cell: a
 * message then changes two cells, and a cold conversation is loaded in one round. The others take turns in 64 cells.
 *
 *   block   format:1 number:8 | n:1 { author:16 } | 16 × { what:1; when that is not 0: zigzag time - previous }
 *
 * previous: 0 at first. Without authors the one in `what` is an index into the pair. */
#include "common/im/conv_private.h"
#include "proto/record.pb-c.h"

#include <errno.h>
#include <stdlib.h>

bool conv_block_kept(const struct conv *c, uint64_t seq)
{
    return c->tracked && seq >= c->tracked && seq <= c->head &&
           conv_block_of(seq) + CONV_BLOCKS >= conv_block_of(c->head);
}

struct conv_block *conv_block_find(const struct conv *c, uint64_t number)
{
    if (c->loaded && c->tracked && number == c->tail.number)
        return (struct conv_block *)(uintptr_t)&c->tail;
    struct conv_block *b = c->blocks ? c->blocks[number % CONV_BLOCKS] : NULL;
    return b && b->number == number ? b : NULL;
}

void conv_block_free(struct conv *c, unsigned slot)
{
    struct conv_block *b = c->blocks ? c->blocks[slot] : NULL;
    if (!b)
        return;
    c->weight -= sizeof *b + b->cap_authors * sizeof *b->authors;
    free(b->authors);
    free(b);
    c->blocks[slot] = NULL;
}

/* Where the block goes; it owns its authors from now on. */
static void keep(struct conv *c, const struct conv_block *b)
{
    unsigned slot = b->number % CONV_BLOCKS;
    if (!c->blocks) {
        c->blocks = conv_realloc(NULL, CONV_BLOCKS * sizeof *c->blocks);
        memset(c->blocks, 0, CONV_BLOCKS * sizeof *c->blocks);
        c->weight += CONV_BLOCKS * sizeof *c->blocks;
    }
    struct conv_block *at = c->blocks[slot];
    if (at) {
        c->weight -= at->cap_authors * sizeof *at->authors;
        free(at->authors);
    } else {
        at = c->blocks[slot] = conv_realloc(NULL, sizeof *at);
        c->weight += sizeof *at;
    }
    *at = *b;
    c->weight += at->cap_authors * sizeof *at->authors;
}

int conv_block_load(struct conv *c, unsigned slot, struct slice s)
{
    struct conv_block b;
    struct wire w = wire_of(s);
    uint64_t f;
    int rc = cell_format(&w, CELL_FORMAT, &f);
    if (rc)
        return rc;
    uint64_t number = wire_be(&w, 8);
    if (number % CONV_BLOCKS != slot || (c->loaded && !conv_block_fits(c, number)) ||
        !conv_block_get(&w, CONV_BLOCK, &b))
        return -EBADMSG;
    if (w.p != w.end) {
        free(b.authors);
        return -EBADMSG;
    }
    b.number = number;
    keep(c, &b);
    return 0;
}

size_t conv_block_cell(const struct conv_block *b, uint8_t *out)
{
    out[0] = CELL_FORMAT;
    uint8_t *p = wire_put_be(out + 1, b->number, 8);
    return (size_t)(conv_block_put(b, CONV_BLOCK, p) - out);
}

bool conv_block_fits(const struct conv *c, uint64_t number)
{
    return c->exists && c->tracked && number < c->tail.number && number + CONV_BLOCKS >= c->tail.number &&
           number >= conv_block_of(c->tracked);
}

/* The tail is full: its cell takes the place of the one that is too far back now. */
static void rotate(struct conv *c, uint64_t number)
{
    keep(c, &c->tail);
    conv_block_changed(c, c->tail.number);
    c->tail = (struct conv_block){.number = number};
}

void conv_block_changed(struct conv *c, uint64_t number)
{
    c->blocks_dirty |= UINT64_C(1) << number % CONV_BLOCKS;
}

static uint8_t author_index(struct conv *c, struct conv_block *b, struct id16 user)
{
    if (c->type == CONV_DIRECT)
        return id_eq(user, c->pair[0]) ? 0 : 1;
    uint8_t i = 0;
    while (i < b->n_authors && !id_eq(b->authors[i], user))
        i++;
    if (i < b->n_authors)
        return i;
    if (b->n_authors == b->cap_authors) {
        b->cap_authors = (uint8_t)(b->cap_authors ? 2 * b->cap_authors : 2);
        b->authors = conv_realloc(b->authors, b->cap_authors * sizeof *b->authors);
    }
    b->authors[b->n_authors++] = user;
    return i;
}

void conv_block_append(struct conv *c, uint64_t seq, const struct conv_event *e, int64_t time_ms)
{
    uint64_t number = conv_block_of(seq);
    struct conv_block *b = &c->tail;
    if (!c->tracked) {
        c->tracked = seq;
        b->number = number;
    } else if (number != b->number) {
        rotate(c, number);
    }
    if (e->kind != IM__CONV_KIND__CONV_MESSAGE)
        return;
    size_t at = (seq - 1) % CONV_BLOCK;
    b->what[at] = (uint8_t)(BLOCK_MESSAGE | author_index(c, b, e->user) << BLOCK_AUTHOR);
    b->time_ms[at] = time_ms;
}

struct id16 conv_block_author(const struct conv *c, const struct conv_block *b, size_t index)
{
    size_t a = b->what[index] >> BLOCK_AUTHOR;
    if (c->type == CONV_DIRECT)
        return c->pair[a & 1];
    return a < b->n_authors ? b->authors[a] : (struct id16){{0}};
}

uint8_t *conv_block_put(const struct conv_block *b, size_t n, uint8_t *p)
{
    uint64_t time = 0;
    *p++ = b->n_authors;
    p = wire_put(p, b->authors, b->n_authors * sizeof *b->authors);
    for (size_t i = 0; i < n; i++) {
        *p++ = b->what[i];
        if (!b->what[i])
            continue;
        p = wire_put_varint(p, wire_zigzag((int64_t)((uint64_t)b->time_ms[i] - time)));
        time = (uint64_t)b->time_ms[i];
    }
    return p;
}

bool conv_block_get(struct wire *w, size_t n, struct conv_block *out)
{
    struct conv_block b = {0};
    uint64_t time = 0;
    b.n_authors = (uint8_t)wire_be(w, 1);
    if (b.n_authors > CONV_BLOCK)
        return false;
    struct slice authors = wire_take(w, b.n_authors * ID_SIZE);
    for (size_t i = 0; i < n; i++) {
        b.what[i] = (uint8_t)wire_be(w, 1);
        if (!b.what[i])
            continue;
        if (!(b.what[i] & BLOCK_MESSAGE) || b.what[i] >> BLOCK_AUTHOR >= (b.n_authors ? b.n_authors : 2))
            return false;
        time += (uint64_t)wire_unzigzag(wire_varint(w));
        b.time_ms[i] = (int64_t)time;
    }
    if (w->bad)
        return false;
    if (b.n_authors) {
        b.cap_authors = CONV_BLOCK;
        b.authors = conv_realloc(NULL, CONV_BLOCK * sizeof *b.authors);
        memcpy(b.authors, authors.p, authors.n);
    }
    *out = b;
    return true;
}
