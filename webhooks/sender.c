#include "webhooks/sender_int.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/im/bodykeys.h"
#include "webhooks/event.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

METRIC_COUNTER(delivered, "parley_webhooks_delivered_total", "Events that an endpoint took.", "endpoint");
METRIC_COUNTER(failed, "parley_webhooks_failed_total", "Attempts that failed and are made again.",
               "endpoint");
METRIC_COUNTER(refused, "parley_webhooks_refused_total", "Attempts that an endpoint refused.", "endpoint");
METRIC_COUNTER(dead, "parley_webhooks_dead_total", "Events given up: they are in im.dlq.", "endpoint");
METRIC_GAUGE(waiting, "parley_webhooks_waiting", "Events read from the log that an endpoint has not taken.",
             "endpoint");
METRIC_GAUGE(circuit, "parley_webhooks_circuit", "0 closed, 1 open, 2 half open.", "endpoint");
METRIC_GAUGE(paused, "parley_webhooks_paused", "1: the operator paused it.", "endpoint");
METRIC_HISTOGRAM(seconds, "parley_webhooks_attempt_seconds", "How long an attempt takes.", 1e-6, "endpoint");

static void answer(struct item *i, enum sent how)
{
    struct ksend *k = i->k;
    const struct kreport r = {.outcome = how};
    i->k = NULL;
    if (k)
        k->done(k, &r);
}

void sender_item_free(struct item *i)
{
    TAILQ_REMOVE(&i->s->items, i, entry);
    metric_add(i->s->waiting, -1);
    bytes_release(&i->redacted);
    free(i);
}

/* It has left the outbox. */
void sender_end(struct item *i, enum sent how)
{
    answer(i, how);
    if (!i->buried)
        sender_item_free(i); /* else Kafka's report does */
}

/* ---- attempts ---- */

static enum attempt judge(long status)
{
    if (status >= 200 && status < 300)
        return ATTEMPT_OK;
    if (status == 429)
        return ATTEMPT_BUSY;
    return status == 0 || status == 408 || status >= 500 ? ATTEMPT_FAILED : ATTEMPT_REFUSED;
}

static void tell_circuit(struct sender *s, const char *why)
{
    enum circuit now = outbox_circuit(s->outbox);
    int64_t before = metric_get(s->circuit);
    metric_set(s->circuit, now);
    if (before == CIRCUIT_CLOSED && now != CIRCUIT_CLOSED)
        log_warn("endpoint does not take anything: waiting, with a probe now and then",
                 log_str("endpoint", s->conf.endpoint->name), log_str("why", why));
    else if (before != CIRCUIT_CLOSED && now == CIRCUIT_CLOSED)
        log_info("endpoint is there again", log_str("endpoint", s->conf.endpoint->name));
}

static void on_answer(struct post *post, const struct post_result *r)
{
    struct item *i = container_of(post, struct item, post);
    struct sender *s = i->s;
    enum attempt how = judge(r->status);
    metric_observe(s->seconds, clock_mono_us() - i->begun_us);
    if (how != ATTEMPT_OK) {
        metric_add(how == ATTEMPT_REFUSED ? s->refused : s->failed, 1);
        log_warn("event not taken", log_str("endpoint", s->conf.endpoint->name), log_int("status", r->status),
                 log_int("part", i->event.part), log_int("offset", i->event.offset),
                 log_uint("attempt", i->d.tries), log_str("why", r->why));
    }
    i->status = r->status;
    switch (outbox_done(s->outbox, &i->d, how, r->retry_after_ms, loop_now_ms(s->conf.loop))) {
    case OUTBOX_ENDED:
        metric_add(s->delivered, 1);
        sender_end(i, SENT_OK);
        break;
    case OUTBOX_BURY:
        i->burying = true;
        sender_bury(i);
        break;
    case OUTBOX_AGAIN:
        break;
    }
    tell_circuit(s, r->why);
    sender_soon(s);
}

/* What is sent: as it is now allowed. */
static struct slice text_of(struct item *i)
{
    struct bodykeys *bodies = i->s->conf.bodies;
    bool body = i->event.body.to > 0;
    if (body && !i->redacted.n && bodies && bodykeys_erased(bodies, i->event.user))
        event_redact(&i->redacted, i->event.json, i->event.body);
    return i->redacted.n ? bytes_slice(&i->redacted) : i->event.json;
}

static bool begin(struct item *i)
{
    struct sender *s = i->s;
    char id[EVENT_ID_MAX], h_id[EVENT_ID_MAX + 16], h_time[48];
    struct bytes sig = {0};
    int64_t now_s = clock_wall_ms() / 1000;
    event_id(i->conv, i->event.seq, id);
    (void)snprintf(h_id, sizeof h_id, "webhook-id: %s", id);
    (void)snprintf(h_time, sizeof h_time, "webhook-timestamp: %" PRId64, now_s);
    bytes_str(&sig, "webhook-signature: ");
    const struct slice text = text_of(i);
    sign_write(&s->sign, id, now_s, text, &sig);
    const char *const headers[] = {"Content-Type: application/cloudevents+json; charset=utf-8",
                                   "Expect:",
                                   h_id,
                                   h_time,
                                   (const char *)sig.p,
                                   NULL};
    i->post.done = on_answer;
    i->begun_us = clock_mono_us();
    int rc = bytes_ok(&sig) && bytes_ok(&i->redacted)
                 ? post_start(s->poster, &i->post, s->conf.endpoint->url, headers, text)
                 : -ENOMEM;
    bytes_release(&sig);
    return rc == 0;
}

static void pump(struct loop_job *j)
{
    struct sender *s = container_of(j, struct sender, pump);
    int64_t now = loop_now_ms(s->conf.loop);
    struct delivery *d;
    while (!s->off && (d = outbox_take(s->outbox, now))) {
        struct item *i = container_of(d, struct item, d);
        if (!begin(i))
            (void)outbox_done(s->outbox, d, ATTEMPT_FAILED, 0, now);
    }
    int64_t due = s->off ? INT64_MAX : outbox_due(s->outbox);
    tell_circuit(s, "");
    if (due == INT64_MAX)
        loop_timer_stop(s->conf.loop, &s->due);
    else
        loop_timer_start(s->conf.loop, &s->due, due > now ? due - now : 1);
}

void sender_soon(struct sender *s)
{
    loop_defer(s->conf.loop, &s->pump, pump);
}

static void on_due(struct timer *t)
{
    sender_soon(container_of(t, struct sender, due));
}

/* ---- the shell ---- */

int sender_deliver(struct sender *s, struct slice key, struct slice value, struct ksend *k)
{
    struct item *i = calloc(1, sizeof *i);
    if (!i)
        return -ENOMEM;
    i->s = s;
    i->k = k;
    memcpy(i->conv.b, key.p, ID_SIZE);
    hook_item_parse(value, &i->event);
    if (outbox_add(s->outbox, &i->d, i->conv)) {
        free(i);
        return -ENOMEM;
    }
    TAILQ_INSERT_TAIL(&s->items, i, entry);
    metric_add(s->waiting, 1);
    sender_soon(s);
    return 0;
}

static void drop(struct item *i)
{
    post_cancel(&i->post);
    if (i->d.lane)
        outbox_remove(i->s->outbox, &i->d);
    sender_end(i, SENT_UNKNOWN);
}

void sender_drop(struct sender *s, int32_t part)
{
    for (struct item *i = TAILQ_FIRST(&s->items), *next; i; i = next) {
        next = TAILQ_NEXT(i, entry);
        if (i->event.part == part && i->k)
            drop(i);
    }
    sender_soon(s);
}

void sender_pause(struct sender *s, bool on)
{
    s->off = on;
    metric_set(s->paused, on);
    sender_soon(s);
}

void sender_sign(struct sender *s, const struct sign *sign)
{
    s->sign = *sign;
}

static void metrics(struct sender *s, const char *name)
{
    s->paused = metric_with(&paused, name);
    s->delivered = metric_with(&delivered, name);
    s->failed = metric_with(&failed, name);
    s->refused = metric_with(&refused, name);
    s->dead = metric_with(&dead, name);
    s->waiting = metric_with(&waiting, name);
    s->circuit = metric_with(&circuit, name);
    s->seconds = metric_with(&seconds, name);
}

struct sender *sender_new(const struct sender_conf *conf, const struct sign *sign)
{
    struct sender *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->conf = *conf;
    s->sign = *sign;
    TAILQ_INIT(&s->items);
    timer_init(&s->due, on_due);
    timer_init(&s->bury_again, sender_bury_again);
    metrics(s, conf->endpoint->name);
    s->outbox = outbox_new(&conf->outbox);
    s->poster = poster_new(conf->loop, &conf->poster);
    if (s->outbox && s->poster)
        return s;
    sender_free(s);
    return NULL;
}

void sender_free(struct sender *s)
{
    if (!s)
        return;
    for (struct item *i = TAILQ_FIRST(&s->items), *next; i; i = next) {
        next = TAILQ_NEXT(i, entry);
        if (i->k)
            drop(i);
    }
    for (struct item *i; (i = TAILQ_FIRST(&s->items)); i->s = NULL)
        TAILQ_REMOVE(&s->items, i, entry);
    loop_cancel(s->conf.loop, &s->pump);
    loop_timer_stop(s->conf.loop, &s->due);
    loop_timer_stop(s->conf.loop, &s->bury_again);
    poster_free(s->poster);
    outbox_free(s->outbox);
    sign_wipe(&s->sign);
    free(s);
}
