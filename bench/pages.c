/* pages.c: HISTORY_REQ over the wire: client → edge → im.query → query → PostgreSQL → im.deliver → edge → client. Each
 * answer is looked at: the right conversation, fifty items, ascending, dense, right below the number asked for. */
#include "bench/bench.h"
#include "bench/link.h"
#include "bench/page.h"
#include "bench/pg.h"
#include "bench/procs.h"
#include "bench/result.h"

#include "common/im/frame.h"
#include "common/im/wire.h"

#include <stdlib.h>

#define TICK_MS 10
#define QUIT_NS 15000000000
#define EACH    8 /* edge.queries: questions of one client without an answer */

enum { LOGIN, WARM, MEASURE, TAIL, OVER };

struct reader {
    struct link k;
    struct {
        int64_t at_ns; /* 0: free */
        struct page_place place;
    } q[EACH];
};

struct pages {
    struct arg_list processes;
    const char *accounts, *postgres;
    uint64_t rows, in_flight, warm_ms, measure_ms, seed;
    struct loop *loop;
    struct links links;
    struct people people;
    struct page_set set;
    struct rng rng;
    struct reader r[PAGE_PEOPLE];
    unsigned ready, turn;
    uint64_t asked, answered, at_start, at_end, bytes;
    int phase;
    int64_t phase_ns, begin_ns, end_ns, last_ns, self_us;
    struct hist *h;
    struct procs procs;
    struct timer tick;
    char failure[160];
};

static struct pages *pages_of(struct link *k)
{
    return container_of(k->set, struct pages, links);
}

static void fail(struct pages *p, const char *why, uint64_t n)
{
    if (!p->failure[0])
        snprintf(p->failure, sizeof p->failure, "%s (%llu)", why, (unsigned long long)n);
    fprintf(stderr, "parley-bench: %s\n", p->failure);
    p->phase = OVER;
    loop_stop(p->loop, 0);
}

/* The place's conversation must be one of the reader's: i mod people. */
static bool ask_one(struct pages *p, struct reader *r)
{
    Im__HistoryReq m = IM__HISTORY_REQ__INIT;
    for (unsigned s = 0; s < EACH; s++) {
        if (r->q[s].at_ns)
            continue;
        struct page_place at = page_random(&p->set, &p->rng);
        at.i = at.i / PAGE_PEOPLE * PAGE_PEOPLE + r->k.index;
        if (at.i >= p->set.n)
            at.i = r->k.index % p->set.n;
        r->q[s].place = at;
        r->q[s].at_ns = now_ns();
        m.conversation = (ProtobufCBinaryData){16, p->set.conv[at.i].b};
        m.seq = at.before;
        m.limit = PAGE_ROWS;
        link_send(&r->k, IM__FRAME_TYPE__HISTORY_REQ, s + 1, &m.base);
        p->asked++;
        return true;
    }
    return false;
}

static void fill(struct pages *p)
{
    for (unsigned tried = 0; p->phase < TAIL && p->asked - p->answered < p->in_flight && tried < PAGE_PEOPLE;)
        tried = ask_one(p, &p->r[p->turn++ % PAGE_PEOPLE]) ? 0 : tried + 1;
}

static void on_up(struct link *k)
{
    link_login(k, 1, pages_of(k)->people.v[k->index].token);
}

static void on_over(struct link *k, const char *why)
{
    if (pages_of(k)->phase != OVER)
        fail(pages_of(k), why, k->index);
}

static uint64_t seq_of(struct slice item)
{
    struct wire w = wire_of(item);
    struct wire_field f;
    while (wire_next(&w, &f))
        if (f.id == 1) { /* the event; its seq is field 2 */
            struct wire e = wire_of(f.bytes);
            while (wire_next(&e, &f))
                if (f.id == 2)
                    return f.number;
        }
    return 0;
}

static bool right(const struct pages *p, const struct page_place *at, struct slice payload)
{
    struct wire w = wire_of(payload);
    struct wire_field f;
    uint64_t want = at->before - PAGE_ROWS, items = 0;
    bool conv = false;
    while (wire_next(&w, &f)) {
        if (f.id == 1 && f.number)
            return false;
        if (f.id == 2)
            conv = f.bytes.n == 16 && !memcmp(f.bytes.p, p->set.conv[at->i].b, 16);
        if (f.id == 3 && (items++, seq_of(f.bytes) != want++))
            return false;
    }
    return conv && items == PAGE_ROWS;
}

static void on_answer(struct pages *p, struct reader *r, uint32_t seq_id, struct slice payload)
{
    int64_t now = now_ns();
    if (seq_id < 1 || seq_id > EACH || !r->q[seq_id - 1].at_ns ||
        !right(p, &r->q[seq_id - 1].place, payload)) {
        fail(p, "an answer is not the page that was asked for", p->answered);
        return;
    }
    if (p->phase == MEASURE && r->q[seq_id - 1].at_ns >= p->begin_ns)
        hist_add(p->h, now - r->q[seq_id - 1].at_ns);
    r->q[seq_id - 1].at_ns = 0;
    p->answered++;
    p->bytes += payload.n;
    p->last_ns = now;
    fill(p);
}

static void on_frame(struct link *k, uint16_t type, uint32_t seq_id, struct slice payload)
{
    struct pages *p = pages_of(k);
    struct wire w = wire_of(payload);
    struct wire_field f;
    uint64_t code = wire_next(&w, &f) && f.id == 1 && f.type == WIRE_VARINT ? f.number : 0;
    if (type == IM__FRAME_TYPE__HISTORY_RSP) {
        on_answer(p, container_of(k, struct reader, k), seq_id, payload);
    } else if (type == IM__FRAME_TYPE__LOGIN_RSP && !code) {
        p->last_ns = now_ns();
        if (++p->ready == PAGE_PEOPLE) {
            p->phase = WARM;
            p->phase_ns = now_ns();
            fill(p);
        }
    } else if (type == IM__FRAME_TYPE__ERROR || type == IM__FRAME_TYPE__LOGIN_RSP ||
               type == IM__FRAME_TYPE__KICKED) {
        fail(p, frame_name(type), code);
    }
}

static void on_tick(struct timer *t)
{
    struct pages *p = container_of(t, struct pages, tick);
    int64_t now = now_ns(), passed = now - p->phase_ns;
    loop_timer_start(p->loop, t, TICK_MS);
    if (p->phase == WARM && passed >= (int64_t)p->warm_ms * 1000000) {
        p->phase = MEASURE;
        p->phase_ns = p->begin_ns = now;
        p->at_start = p->answered;
        p->self_us = procs_self_us();
        procs_begin(&p->procs);
    } else if (p->phase == MEASURE && passed >= (int64_t)p->measure_ms * 1000000) {
        p->phase = TAIL;
        p->end_ns = now;
        p->at_end = p->answered;
        p->self_us = procs_self_us() - p->self_us;
        procs_end(&p->procs);
    } else if (p->phase == TAIL && p->answered == p->asked) {
        p->phase = OVER;
        loop_stop(p->loop, 0);
    } else if (p->phase < OVER && now - p->last_ns > QUIT_NS) {
        fail(p, "no answer; missing", p->asked - p->answered);
    }
}

static int report(struct pages *p)
{
    uint64_t n = p->at_end - p->at_start;
    double s = (double)(p->end_ns - p->begin_ns) / 1e9;
    json_t *o = result_new("pages", p->seed);
    if (p->failure[0])
        json_object_set_new(o, "failure", json_string(p->failure));
    json_object_set_new(o, "table_rows", json_integer((json_int_t)(p->set.n * PAGE_CONV)));
    json_object_set_new(o, "in_flight", json_integer((json_int_t)p->in_flight));
    json_object_set_new(o, "pages_per_s", json_real(s > 0 ? (double)n / s : 0));
    json_object_set_new(o, "page_bytes", json_real(p->answered ? (double)p->bytes / (double)p->answered : 0));
    json_object_set_new(o, "page_us", result_latency(p->h));
    json_object_set_new(o, "cpu_us_per_page", procs_json(&p->procs, n));
    json_object_set_new(o, "client_cpu_us_per_page", json_real(n ? (double)p->self_us / (double)n : 0));
    return result_print(o, !p->failure[0]);
}

static int run(struct pages *p)
{
    PGconn *db = pg_open(p->postgres);
    page_fill(&p->set, db, &p->people, p->rows);
    PQfinish(db);
    p->h = hist_new();
    if (!p->h || loop_new(&p->loop) < 0)
        return 1;
    p->rng.state = p->seed;
    p->links.loop = p->loop;
    p->links.up = on_up;
    p->links.frame = on_frame;
    p->links.over = on_over;
    links_init(&p->links);
    p->phase_ns = p->last_ns = now_ns();
    timer_init(&p->tick, on_tick);
    loop_timer_start(p->loop, &p->tick, 1);
    for (unsigned i = 0; i < PAGE_PEOPLE; i++)
        if (link_open(&p->r[i].k, &p->links, i))
            fail(p, "could not connect", i);
    loop_run(p->loop);
    loop_timer_stop(p->loop, &p->tick);
    p->phase = OVER;
    for (unsigned i = 0; i < PAGE_PEOPLE; i++) {
        link_close(&p->r[i].k);
        bytes_release(&p->r[i].k.in);
    }
    int rc = report(p);
    loop_unhook(p->loop, &p->links.hook);
    loop_free(p->loop);
    page_release(&p->set);
    hist_free(p->h);
    return rc;
}

int command_pages(int argc, char **argv)
{
    static struct pages p = {.rows = 1000000, .in_flight = 1, .warm_ms = 1000, .measure_ms = 3000, .seed = 1};
    const struct arg args[] = {
        {"edge", ARG_LIST, &p.links.edges, "host:port of an edge; once for each"},
        {"postgres", ARG_TEXT, &p.postgres, "conninfo (env: $PARLEY_POSTGRES), to fill the table"},
        {"accounts", ARG_TEXT, &p.accounts, "file of accounts (parley-bench accounts)"},
        {"rows", ARG_NUMBER, &p.rows, "in the table, at least (1000000)"},
        {"in-flight", ARG_NUMBER, &p.in_flight, "questions over all clients (1)"},
        {"warm-ms", ARG_NUMBER, &p.warm_ms, "before measuring (1000)"},
        {"measure-ms", ARG_NUMBER, &p.measure_ms, "how long (3000)"},
        {"process", ARG_LIST, &p.processes, "name=pid: count its CPU time; once for each"},
        {"seed", ARG_NUMBER, &p.seed, "of the places (1)"},
    };
    int rc = args_parse("parley-bench pages: pages of 50 messages by HISTORY_REQ, each answer checked.", args,
                        ARRAY_LEN(args), argc, argv);
    if (rc)
        return rc - 1;
    if (args_edges(&p.links.edges))
        return 2;
    p.postgres = args_postgres(p.postgres);
    if (!p.links.edges.n || !p.postgres || !p.in_flight || procs_init(&p.procs, &p.processes) ||
        people_read(&p.people, p.accounts, PAGE_PEOPLE))
        return 2;
    rc = run(&p);
    people_release(&p.people);
    return rc;
}
