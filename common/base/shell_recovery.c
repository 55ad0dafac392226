/* shell_recovery.c: rows made again, put in chunks while the mark says "not present"; the last put brings the mark.
 * A crash in between leaves no mark, so the next open recovers from the start. */
#include "common/base/log.h"
#include "common/base/shell_int.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_ROWS  4000u
#define CHUNK_BYTES (2u << 20)

struct chunk {
    struct arena *arena;
    struct srow *rows, **tail;
    uint32_t n;
    size_t bytes;
};

struct shell_recovery {
    struct spart *p;
    void *user;
    struct chunk filling, putting_chunk;
    struct store_put put;
    struct store_mark put_mark;
    struct timer retry, again;
    bool first, in_put, restart, full_told, ended,
        last_put; /* first: clear the rows; restart: so must the next put */
    int64_t next[STORE_TOPICS], quiet[STORE_TOPICS];
};

static bool chunk_init(struct chunk *c)
{
    struct arena *a = c->arena ? c->arena : arena_new(0);
    if (c->arena)
        arena_reset(a);
    *c = (struct chunk){.arena = a};
    return a != NULL;
}

static void put_out(struct shell_recovery *r);

static void flush(struct shell_recovery *r)
{
    struct spart *p = r->p;
    bool last = r->ended;
    if (r->in_put || (!last && r->filling.n < CHUNK_ROWS && r->filling.bytes < CHUNK_BYTES))
        return;
    struct chunk c = r->filling;
    r->filling = r->putting_chunk;
    r->putting_chunk = c;
    if (!chunk_init(&r->filling))
        shell_no_memory();
    c.arena = r->putting_chunk.arena;
    struct store_row *rows = arena_alloc(c.arena, (c.n + 1) * sizeof *rows);
    if (!rows)
        shell_no_memory();
    size_t n = 0;
    struct row_index index = {0};
    for (struct srow *s = c.rows; s; s = s->next) {
        struct srow *old = row_index_put(&index, c.arena, s);
        if (old)
            old->replaced = true;
    }
    for (struct srow *s = c.rows; s; s = s->next)
        if (!s->replaced)
            rows[n++] = s->r;
    r->put_mark = p->mark;
    r->put_mark.serial++;
    r->put_mark.present = last;
    memcpy(r->put_mark.next, r->next, sizeof r->next);
    memcpy(r->put_mark.quiet, r->quiet, sizeof r->quiet);
    r->put = (struct store_put){.rows = rows, .n = n, .mark = &r->put_mark, .reset = r->first};
    r->last_put = last;
    r->in_put = true;
    put_out(r);
}

static void release(struct shell_recovery *r)
{
    struct loop *loop = r->p->env->loop;
    loop_timer_stop(loop, &r->retry);
    loop_timer_stop(loop, &r->again);
    r->p->recovery = NULL;
    arena_free(r->filling.arena);
    arena_free(r->putting_chunk.arena);
    free(r);
}

static void on_put(void *ctx, enum store_rc rc)
{
    struct shell_recovery *r = ctx;
    struct spart *p = r->p;
    if (rc == STORE_DOWN) {
        spart_wait(p, "the store does not take the recovered rows");
        loop_timer_start(p->env->loop, &r->retry, spart_retry_ms(p));
        return;
    }
    if (rc != STORE_OK) {
        spart_fail(p, rc == STORE_BAD ? SPART_HALT : SPART_REOPEN, "the store refused recovered rows");
        return;
    }
    p->mark = r->put_mark;
    r->in_put = false;
    r->first = r->restart;
    r->restart = false;
    spart_wait(p, NULL);
    if (r->last_put) {
        release(r);
        log_info("partition recovered", log_str("core", p->decl->name), log_int("part", p->part),
                 log_int("next", p->mark.next[0]), log_int("quiet", p->mark.quiet[0]));
        spart_open_core(p);
        return;
    }
    flush(r);
    if (r->full_told && !shell_recovery_full(r)) {
        r->full_told = false;
        if (p->decl->recover_room)
            p->decl->recover_room(p->decl->ctx, r);
    }
}

static void put_out(struct shell_recovery *r)
{
    r->p->decl->store->ops->put(r->p->store, &r->put, on_put, r);
}

static void retry_due(struct timer *t)
{
    put_out(container_of(t, struct shell_recovery, retry));
}

static void ask(struct shell_recovery *r)
{
    struct spart *p = r->p;
    struct shell_gap gap = {p->part, p->committed, &p->mark};
    p->decl->recover(p->decl->ctx, r, &gap);
}

static void again_due(struct timer *t)
{
    ask(container_of(t, struct shell_recovery, again));
}

void recovery_start(struct spart *p, bool from_zero)
{
    struct shell_recovery *r = calloc(1, sizeof *r);
    if (!r || !chunk_init(&r->filling) || !chunk_init(&r->putting_chunk))
        shell_no_memory();
    r->p = p;
    r->first = true;
    timer_init(&r->retry, retry_due);
    timer_init(&r->again, again_due);
    p->recovery = r;
    p->state = SPART_RECOVERING;
    p->env->changed(p->env->ctx, p);
    if (from_zero) {
        int64_t zero[STORE_TOPICS] = {0};
        shell_recovery_done(r, zero, zero);
        return;
    }
    log_warn("partition needs recovery", log_str("core", p->decl->name), log_int("part", p->part),
             log_str("mark", p->mark.present ? "behind" : "missing"), log_int("committed", p->committed[0]));
    ask(r);
}

void recovery_cancel(struct spart *p)
{
    struct shell_recovery *r = p->recovery;
    if (!r)
        return;
    if (!r->ended && p->decl->recover_cancel)
        p->decl->recover_cancel(p->decl->ctx, r);
    release(r);
}

/* ---- for the process ---- */
int32_t shell_recovery_part(const struct shell_recovery *r)
{
    return r->p->part;
}

void *shell_recovery_user(const struct shell_recovery *r)
{
    return r->user;
}

void shell_recovery_set_user(struct shell_recovery *r, void *user)
{
    r->user = user;
}

void shell_recovery_row(struct shell_recovery *r, uint8_t table, struct slice key, struct slice row)
{
    struct chunk *c = &r->filling;
    struct srow *s = arena_alloc(c->arena, sizeof *s);
    void *k = arena_copy(c->arena, key.p, key.n), *v = arena_copy(c->arena, row.p, row.n);
    if (!s || !k || !v)
        shell_no_memory();
    *s = (struct srow){.r = {.table = table, .key = {k, key.n}, .row = {v, row.n}}};
    if (c->tail)
        *c->tail = s;
    else
        c->rows = s;
    c->tail = &s->next;
    c->n++;
    c->bytes += key.n + row.n;
    if (c->n >= CHUNK_ROWS || c->bytes >= CHUNK_BYTES)
        flush(r);
}

bool shell_recovery_full(const struct shell_recovery *r)
{
    bool full = r->in_put && (r->filling.n >= CHUNK_ROWS || r->filling.bytes >= CHUNK_BYTES);
    ((struct shell_recovery *)r)->full_told |= full;
    return full;
}

void shell_recovery_done(struct shell_recovery *r, const int64_t *next, const int64_t *quiet)
{
    memcpy(r->next, next, r->p->decl->n_inputs * sizeof *next);
    memcpy(r->quiet, quiet, r->p->decl->n_inputs * sizeof *quiet);
    r->ended = true;
    flush(r);
}

static void start_over(struct shell_recovery *r) /* whatever was put before goes */
{
    chunk_init(&r->filling);
    if (r->in_put)
        r->restart = true;
    else
        r->first = true;
}

void shell_recovery_from_start(struct shell_recovery *r)
{
    int64_t next[STORE_TOPICS] = {0};
    r->p->env->low(r->p->env->ctx, r->p, next);
    for (size_t i = 0; i < r->p->decl->n_inputs; i++)
        if (next[i] < 0) {
            shell_recovery_fail(r, true, "where the log begins is not known yet");
            return;
        }
    start_over(r);
    shell_recovery_done(r, next, r->p->committed);
}

void shell_recovery_fail(struct shell_recovery *r, bool retry, const char *why)
{
    if (!retry) {
        r->ended = true;
        spart_fail(r->p, SPART_HALT, why);
        return;
    }
    spart_wait(r->p, why);
    start_over(r);
    loop_timer_start(r->p->env->loop, &r->again, spart_retry_ms(r->p));
}
