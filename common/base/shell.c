#include "common/base/shell.h"
#include "common/base/crash.h"
#include "common/base/log.h"
#include "common/base/shell_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECOMMIT_MS (24 * 3600 * 1000ll) /* the broker forgets what is not committed for 7 days */

/* ---- what the consumer tells ---- */
static struct spart *part_of(const struct shell *s, int32_t part)
{
    return part >= 0 && (size_t)part < s->n_parts ? s->parts[part] : NULL;
}

static void drop_parts(struct shell *s)
{
    for (size_t i = 0; i < s->n_parts; i++) {
        spart_free(s->parts[i]);
        s->parts[i] = NULL;
    }
    s->changed = true;
}

static void room_for(struct shell *s, int32_t part)
{
    size_t need = (size_t)part + 1;
    if (need <= s->n_parts)
        return;
    struct spart **p = realloc(s->parts, need * sizeof(struct spart *));
    if (!p)
        shell_no_memory();
    memset(p + s->n_parts, 0, (need - s->n_parts) * sizeof(struct spart *));
    s->parts = p;
    s->n_parts = need;
}

static void on_assigned(void *ctx, const struct kpart *k, size_t n)
{
    struct shell *s = ctx;
    drop_parts(s);
    s->assigned = true;
    s->revoking = false;
    s->client_why[0] = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t committed[STORE_TOPICS];
        size_t found = 0;
        room_for(s, k[i].part);
        if (s->parts[k[i].part])
            continue;
        for (size_t j = 0; j < n; j++)
            if (k[j].part == k[i].part) {
                committed[s->input_of[k[j].topic]] = k[j].offset;
                found++;
            }
        if (found == s->decl.n_inputs)
            s->parts[k[i].part] = spart_new(&s->decl, &s->env, k[i].part, committed);
        else
            log_error("topics are not partitioned alike", log_str("core", s->decl.name),
                      log_int("part", k[i].part));
    }
}

static void on_revoked(void *ctx, const struct kpart *k, size_t n)
{
    struct shell *s = ctx;
    (void)k;
    (void)n;
    s->revoking = true;
    for (size_t i = 0; i < s->n_parts; i++)
        if (s->parts[i])
            spart_drain(s->parts[i]);
}

static void on_lost(void *ctx, const struct kpart *k, size_t n)
{
    struct shell *s = ctx;
    (void)k;
    (void)n;
    log_warn("assignment lost", log_str("core", s->decl.name));
    s->revoking = s->assigned = false;
    drop_parts(s);
}

static bool on_message(void *ctx, const struct record *r, struct kmsg *m)
{
    struct shell *s = ctx;
    struct spart *p = part_of(s, r->part);
    return p && spart_record(p, s->input_of[r->topic], r, m);
}

static void on_client_error(void *ctx, enum kconsumer_error e, const struct kpart *k, const char *why)
{
    struct shell *s = ctx;
    struct spart *p = k ? part_of(s, k->part) : NULL;
    char text[192];
    if (e == KCONSUMER_FATAL) {
        s->consumer_dead = true;
    } else if (e != KCONSUMER_TRANSIENT && p) {
        snprintf(text, sizeof text, "%s at offset %lld: %s", s->decl.topics[k->topic].name,
                 (long long)k->offset, why);
        spart_fail(p, SPART_HALT, text);
    }
    snprintf(s->client_why, sizeof s->client_why, "%s", why);
    s->changed = true;
}

/* ---- clients ---- */
static void on_writable(void *ctx)
{
    struct shell *s = ctx;
    for (size_t i = 0; i < s->n_parts; i++)
        if (s->parts[i])
            spart_writable(s->parts[i]);
}

static void on_producer_ready(void *ctx)
{
    ((struct shell *)ctx)->changed = true;
}

static void on_producer_fatal(void *ctx, int code, const char *reason)
{
    struct shell *s = ctx;
    (void)code;
    s->producer_dead = true;
    loop_again(s->loop);
    if (s->decl.fatal)
        s->decl.fatal(s->decl.ctx, reason);
}

static bool make_producer(struct shell *s)
{
    const struct shell_decl *d = &s->decl;
    size_t n = 0;
    for (size_t i = 0; d->outputs && i < d->n_outputs; i++)
        s->warm[n++] = d->outputs[i];
    if (d->dlq_topic != SHELL_NO_DLQ)
        s->warm[n++] = d->dlq_topic;
    s->producer = kproducer_new(s->loop, &(struct kproducer_conf){.kafka = d->kafka,
                                                                  .topics = d->topics,
                                                                  .n_topics = d->n_topics,
                                                                  .warm = s->warm,
                                                                  .n_warm = n,
                                                                  .linger_ms = d->linger_ms,
                                                                  .ctx = s,
                                                                  .writable = on_writable,
                                                                  .ready = on_producer_ready,
                                                                  .fatal = on_producer_fatal});
    return s->producer != NULL;
}

static bool make_consumer(struct shell *s)
{
    const struct shell_decl *d = &s->decl;
    s->consumer = kconsumer_new(s->loop, &(struct kconsumer_conf){.kafka = d->kafka,
                                                                  .group = d->group,
                                                                  .topics = d->topics,
                                                                  .n_topics = d->n_topics,
                                                                  .inputs = d->inputs,
                                                                  .n_inputs = d->n_inputs,
                                                                  .instance_id = d->instance_id,
                                                                  .fetch_wait_ms = d->fetch_wait_ms,
                                                                  .fetch_min_bytes = d->fetch_min_bytes,
                                                                  .session_ms = d->session_ms,
                                                                  .ctx = s,
                                                                  .ops = {on_assigned, on_revoked, on_lost,
                                                                          on_message, on_client_error}});
    return s->consumer != NULL;
}

/* A dead client is replaced; everything that hung on it starts again at the marks. */
static void replace_clients(struct shell *s)
{
    if (s->producer_dead) {
        s->producer_dead = false;
        kproducer_free(s->producer, 0);
        make_producer(s);
    }
    if (s->consumer_dead && !s->decl.fatal) {
        s->consumer_dead = false;
        on_lost(s, NULL, 0);
        kconsumer_free(s->consumer);
        make_consumer(s);
    } else if (s->consumer_dead) {
        s->consumer_dead = false;
        s->decl.fatal(s->decl.ctx, s->client_why);
    }
}

static void finish_revoke(struct shell *s)
{
    for (size_t i = 0; i < s->n_parts; i++)
        if (s->parts[i] && s->parts[i]->state != SPART_CLOSED && s->parts[i]->state != SPART_HALTED)
            return;
    s->revoking = s->assigned = false;
    drop_parts(s);
    kconsumer_revoke_done(s->consumer);
}

static void on_turn(struct loop_hook *h)
{
    struct shell *s = container_of(h, struct shell, hook);
    if (s->producer_dead || s->consumer_dead)
        replace_clients(s);
    for (size_t i = 0; i < s->n_parts; i++)
        if (s->parts[i])
            spart_turn(s->parts[i]);
    if (s->revoking)
        finish_revoke(s);
    if (s->changed)
        shell_stat_update(s);
    if (s->closed && !s->stopped) {
        s->stopped = true;
        loop_timer_stop(s->loop, &s->stop_deadline);
        s->done(s->done_ctx); /* may free us */
    }
}

static void on_second(struct timer *t)
{
    struct shell *s = container_of(t, struct shell, second);
    int64_t now = loop_now_ms(s->loop);
    loop_timer_start(s->loop, t, 1000);
    for (size_t i = 0; i < s->n_parts; i++) {
        struct spart *p = s->parts[i];
        if (!p || p->state != SPART_RUNNING || now - p->last_commit_ms < RECOMMIT_MS)
            continue;
        for (size_t k = 0; k < s->decl.n_inputs; k++) /* the same again */
            p->committed[k] = p->committed[k] > 0 ? p->committed[k] - 1 : 0;
        p->commit_due = true;
        spart_commit_now(p);
    }
    shell_stat_update(s);
}

/* ---- life ---- */
static uint32_t or_else(uint32_t v, uint32_t def)
{
    return v ? v : def;
}

static void fill_in(struct shell_decl *d)
{
    d->store_name = d->store_name ? d->store_name : d->group;
    d->batch_records = or_else(d->batch_records, 1000);
    d->batch_kbytes = or_else(d->batch_kbytes, 1024);
    d->batches = or_else(d->batches, 4);
    d->batches = d->batches > SHELL_BATCHES_MAX ? SHELL_BATCHES_MAX : d->batches;
    d->queue_records = or_else(d->queue_records, 8192);
    d->lazy_ms = or_else(d->lazy_ms, 200);
    d->lazy_records = or_else(d->lazy_records, 4096);
    d->drain_ms = or_else(d->drain_ms, 2000);
}

static void stop_late(struct timer *t)
{
    struct shell *s = container_of(t, struct shell, stop_deadline);
    log_warn("stopped before everything was finished", log_str("core", s->decl.name));
    s->closed = true;
}

struct shell *shell_new(struct loop *loop, const struct shell_decl *decl)
{
    struct shell *s = calloc(1, sizeof *s);
    if (!s || decl->n_inputs < 1 || decl->n_inputs > STORE_TOPICS) {
        free(s);
        return NULL;
    }
    s->loop = loop;
    s->decl = *decl;
    s->lag = -1;
    fill_in(&s->decl);
    s->env = shell_env(s);
    s->input_of = calloc(decl->n_topics + 1, 1);
    s->warm = calloc(decl->n_outputs + 1, sizeof *s->warm);
    timer_init(&s->second, on_second);
    timer_init(&s->stop_deadline, stop_late);
    loop_hook(loop, &s->hook, on_turn);
    if (!s->input_of || !s->warm)
        goto fail;
    for (size_t i = 0; i < decl->n_inputs; i++)
        s->input_of[decl->inputs[i]] = (uint8_t)i;
    shell_stat_init(s);
    if (!make_producer(s) || !make_consumer(s))
        goto fail;
    loop_timer_start(loop, &s->second, 1000);
    s->changed = true;
    return s;
fail:
    shell_free(s);
    return NULL;
}

static void on_closed(void *ctx)
{
    ((struct shell *)ctx)->closed = true;
    loop_again(((struct shell *)ctx)->loop);
}

void shell_stop(struct shell *s, void (*done)(void *), void *ctx)
{
    s->stopping = true;
    s->done = done;
    s->done_ctx = ctx;
    loop_timer_start(s->loop, &s->stop_deadline, s->decl.drain_ms + 3000);
    kconsumer_close(s->consumer, on_closed, s);
}

void shell_free(struct shell *s)
{
    if (!s)
        return;
    loop_unhook(s->loop, &s->hook);
    loop_timer_stop(s->loop, &s->second);
    loop_timer_stop(s->loop, &s->stop_deadline);
    drop_parts(s);
    kconsumer_free(s->consumer);
    kproducer_free(s->producer, s->stopped ? 1000 : 0); /* frees the batches that still waited for reports */
    free(s->parts);
    free(s->input_of);
    free(s->warm);
    free(s);
}

bool shell_offer(struct shell *s, const struct record *r, uint32_t patience_ms)
{
    struct spart *p = part_of(s, r->part);
    if (!p || !spart_offer(p, r, patience_ms))
        return false;
    loop_again(s->loop);
    return true;
}

void shell_writable(struct shell *s)
{
    on_writable(s);
}

void shell_poke(struct shell *s)
{
    for (size_t i = 0; i < s->n_parts; i++)
        if (s->parts[i])
            s->parts[i]->poked = true;
    loop_again(s->loop);
}
