#include "tests/sim/sim_store.h"

#include "tests/sim/sim_world.h"

/* ---- rows ---- */
static uint32_t hash_of(uint8_t table, struct slice key)
{
    const uint8_t *p = key.p;
    uint32_t h = 2166136261u ^ table;
    for (size_t i = 0; i < key.n; i++)
        h = (h ^ p[i]) * 16777619u;
    return h ^ h >> 15;
}

static uint32_t *slot_of(const struct sim_rows *r, uint8_t table, struct slice key)
{
    uint32_t at = hash_of(table, key) & r->mask;
    for (; r->slots[at]; at = (at + 1) & r->mask) {
        const struct sim_row *v = &r->v[r->slots[at] - 1];
        if (v->table == table && v->key.n == key.n && !memcmp(v->key.p, key.p, key.n))
            break;
    }
    return &r->slots[at];
}

static void grow(struct sim *s, struct sim_rows *r)
{
    uint32_t cap = r->cap ? r->cap * 2 : 32;
    struct sim_row *v = sim_alloc(s, cap * sizeof *v);
    if (r->n)
        memcpy(v, r->v, r->n * sizeof *v);
    r->v = v;
    r->cap = cap;
    r->mask = cap * 2 - 1;
    r->slots = sim_alloc(s, cap * 2 * sizeof *r->slots);
    for (uint32_t i = 0; i < r->n; i++)
        *slot_of(r, v[i].table, v[i].key) = i + 1;
}

void sim_rows_put(struct sim *s, struct sim_rows *r, uint8_t table, struct slice key, struct slice row)
{
    if (r->n == r->cap)
        grow(s, r);
    uint32_t *slot = slot_of(r, table, key);
    if (!*slot) {
        r->v[r->n] = (struct sim_row){.table = table, .key = sim_copy(s, key)};
        *slot = ++r->n;
    }
    r->v[*slot - 1].row = sim_copy(s, row);
}

struct slice sim_rows_get(const struct sim_rows *r, uint8_t table, struct slice key)
{
    uint32_t at = r->cap ? *slot_of(r, table, key) : 0;
    return at ? r->v[at - 1].row : (struct slice){0};
}

/* ---- requests ---- */
enum verb { OPEN, LOAD, PUT };
struct request {
    struct sim_handle *h;
    enum verb verb;
    enum store_rc rc;
    struct store_mark mark;
    struct sim_row *keys;
    size_t n;
    const struct sim_put *put;
    sim_opened_fn *opened;
    sim_done_fn *done;
    void *ctx;
    const bool *cancelled;
};

static struct sim_stores *stores(struct sim *s)
{
    return &s->world->stores;
}

static bool down(struct sim_spart *p)
{
    return stores(p->sim)->down_until[sim_store_is_redis(p->name) ? 0 : 1] > p->sim->now;
}

static void answer(void *ctx, uint64_t arg)
{
    struct request *q = ctx;
    (void)arg;
    if (*q->cancelled)
        return;
    if (q->verb == PUT && q->rc == STORE_OK) {
        q->h->serial = q->put->mark.serial;
        q->h->putting = false;
    }
    if (q->verb == OPEN && q->rc == STORE_OK) {
        q->h->generation = q->mark.generation;
        q->h->serial = q->mark.serial;
    }
    if (q->opened)
        q->opened(q->ctx, q->rc, &q->mark);
    else
        q->done(q->ctx, q->rc);
}

static void do_open(struct request *q)
{
    struct sim_spart *p = q->h->of;
    p->now.mark.generation = ++p->generations;
    q->mark = p->now.mark;
    q->h->generation = q->mark.generation;
    sim_trace(p->sim, "store %d/%d: generation %ld, serial %ld, next %ld%s", p->name, p->part,
              (long)q->mark.generation, (long)q->mark.serial, (long)q->mark.next[0],
              q->mark.present ? "" : ", no mark");
}

/* The mark comes with every read: rows that were lost or are somebody else's are never taken for absent ones. */
static void do_load(struct request *q)
{
    const struct sim_spart *p = q->h->of;
    const struct store_mark *m = &p->now.mark;
    bool ours = m->generation == q->h->generation &&
                (m->serial == q->h->serial || (q->h->putting && m->serial == q->h->serial + 1));
    if (!ours && p->sim->conf.plant != PLANT_NO_FENCE) {
        q->rc = STORE_FENCED;
        return;
    }
    for (size_t i = 0; i < q->n; i++)
        q->keys[i].row = sim_rows_get(&p->now.rows, q->keys[i].table, q->keys[i].key);
}

static void append(struct sim_spart *p, struct slice row)
{
    if (p->n_appended == p->cap_appended) {
        size_t cap = p->cap_appended ? p->cap_appended * 2 : 64;
        struct slice *v = sim_alloc(p->sim, cap * sizeof *v);
        if (p->n_appended)
            memcpy(v, p->appended, p->n_appended * sizeof *v);
        p->appended = v;
        p->cap_appended = cap;
    }
    p->appended[p->n_appended++] = row;
}

static void do_put(struct request *q)
{
    struct sim_spart *p = q->h->of;
    const struct store_mark *m = &p->now.mark, *mine = &q->put->mark;
    bool fenced =
        m->generation != mine->generation || m->serial > mine->serial || mine->serial > m->serial + 1;
    if (fenced && p->sim->conf.plant != PLANT_NO_FENCE) {
        q->rc = STORE_FENCED;
        sim_trace(p->sim, "store %d/%d: put of generation %ld serial %ld refused", p->name, p->part,
                  (long)mine->generation, (long)mine->serial);
        sim_fault(p->sim, FAULT_ZOMBIE_WROTE);
        return;
    }
    if (m->serial == mine->serial && !fenced)
        return; /* done before */
    if (q->put->reset)
        p->now.rows = (struct sim_rows){0};
    for (size_t i = 0; i < q->put->n; i++)
        sim_rows_put(p->sim, &p->now.rows, q->put->rows[i].table, q->put->rows[i].key, q->put->rows[i].row);
    for (size_t i = 0; i < q->put->n_appends; i++)
        append(p, q->put->appends[i]);
    p->now.mark = *mine;
    if (fenced)
        p->now.mark.generation = m->generation;
}

/* One connection: what is asked first is done and answered first. */
static int64_t in_order(int64_t last, int64_t at)
{
    return at > last ? at : last + 1;
}

static void carry_out(void *ctx, uint64_t arg)
{
    static void (*const verbs[])(struct request *) = {[OPEN] = do_open, [LOAD] = do_load, [PUT] = do_put};
    struct request *q = ctx;
    struct sim *s = q->h->of->sim;
    (void)arg;
    if (down(q->h->of))
        q->rc = STORE_DOWN;
    else
        verbs[q->verb](q);
    if (q->rc == STORE_OK && !s->calm && sim_chance(s, 4) &&
        sim_chance(s, s->conf.weights[FAULT_PUT_UNANSWERED])) {
        q->rc = STORE_DOWN;
        sim_fault(s, FAULT_PUT_UNANSWERED);
    }
    q->h->answered_at =
        in_order(q->h->answered_at, s->now + sim_delay(s) + (q->rc == STORE_DOWN ? 20 * MS : 0));
    sim_at(s, q->h->actor, q->h->answered_at - s->now, answer, q, 0);
}

static void ask(struct request r)
{
    struct sim *s = r.h->of->sim;
    struct request *q = sim_alloc(s, sizeof *q);
    *q = r;
    if (r.verb == PUT)
        r.h->putting = true;
    r.h->done_at = in_order(r.h->done_at, s->now + sim_delay(s));
    sim_at(s, NULL, r.h->done_at - s->now, carry_out, q, 0);
}

void sim_store_open(struct sim_handle *h, sim_opened_fn *fn, void *ctx, const bool *cancelled)
{
    ask((struct request){.h = h, .verb = OPEN, .opened = fn, .ctx = ctx, .cancelled = cancelled});
}

void sim_store_load(struct sim_handle *h, struct sim_row *keys, size_t n, sim_done_fn *fn, void *ctx,
                    const bool *cancelled)
{
    ask((struct request){
        .h = h, .verb = LOAD, .keys = keys, .n = n, .done = fn, .ctx = ctx, .cancelled = cancelled});
}

void sim_store_put(struct sim_handle *h, const struct sim_put *put, sim_done_fn *fn, void *ctx,
                   const bool *cancelled)
{
    ask((struct request){.h = h, .verb = PUT, .put = put, .done = fn, .ctx = ctx, .cancelled = cancelled});
}

/* ---- trouble ---- */
void sim_stores_init(struct sim *s, struct sim_stores *all)
{
    for (int n = 0; n < SIM_STORES; n++)
        for (int32_t i = 0; i < SIM_PARTS; i++)
            all->part[n][i] = (struct sim_spart){.sim = s, .name = (enum sim_store_name)n, .part = i};
}

void sim_redis_wipe(struct sim *s)
{
    for (int n = 0; n <= STORE_OFFLINE; n++)
        for (int32_t i = 0; i < SIM_PARTS; i++)
            stores(s)->part[n][i].now = stores(s)->part[n][i].snapshot = (struct sim_state){0};
}

static struct sim_rows clone(struct sim *s, const struct sim_rows *r)
{
    struct sim_rows c = *r;
    if (!r->cap)
        return c;
    c.v = sim_alloc(s, r->cap * sizeof *c.v);
    c.slots = sim_alloc(s, (r->mask + 1) * sizeof *c.slots);
    memcpy(c.v, r->v, r->n * sizeof *c.v);
    memcpy(c.slots, r->slots, (r->mask + 1) * sizeof *c.slots);
    return c;
}

void sim_redis_snapshot(struct sim *s)
{
    for (int n = 0; n <= STORE_OFFLINE; n++)
        for (int32_t i = 0; i < SIM_PARTS; i++) {
            struct sim_spart *p = &stores(s)->part[n][i];
            p->snapshot = (struct sim_state){clone(s, &p->now.rows), p->now.mark};
        }
}

bool sim_redis_rollback(struct sim *s)
{
    bool any = false;
    for (int n = 0; n <= STORE_OFFLINE; n++)
        for (int32_t i = 0; i < SIM_PARTS; i++) {
            struct sim_spart *p = &stores(s)->part[n][i];
            any |= p->snapshot.mark.serial != p->now.mark.serial;
            p->now = (struct sim_state){clone(s, &p->snapshot.rows), p->snapshot.mark};
        }
    return any;
}

void sim_store_down(struct sim *s, bool redis, int64_t us)
{
    stores(s)->down_until[redis ? 0 : 1] = s->now + us;
}
