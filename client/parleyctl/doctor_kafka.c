/* Brokers, topics, commits, retention, dead letters. */
#include "client/parleyctl/dlq.h"
#include "client/parleyctl/doctor.h"

#include "common/base/clock.h"
#include "common/im/codec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct wrong {
    size_t n;
    char first[300], fix[300];
};

static void on_wrong(void *ctx, const char *topic, const char *what, const char *fix)
{
    struct wrong *w = ctx;
    if (!w->n++) {
        snprintf(w->first, sizeof w->first, "%.80s: %.200s", topic, what);
        snprintf(w->fix, sizeof w->fix, "%s", fix);
    }
}

static bool reached(struct doctor *d)
{
    struct ctl *c = d->c;
    if (deploy_init(&c->deploy, &c->settings.deploy, "ctl")) {
        doctor_say(d, "topic table", DOCTOR_FAIL, "set topics.file", "schema/topics.json cannot be used");
        return false;
    }
    c->admin = kadmin_new(&c->deploy.kafka, c->timeout_ms > 0 ? c->timeout_ms : 3000);
    bool ok = c->admin && kadmin_ping(c->admin) == 0;
    doctor_say(d, "kafka", ok ? DOCTOR_OK : DOCTOR_FAIL,
               "start it, or say where it is: kafka.bootstrap, PARLEY_KAFKA", "%s%s%s",
               c->settings.deploy.bootstrap, ok ? "" : ": ",
               ok         ? " answers"
               : c->admin ? kadmin_error(c->admin)
                          : "no memory");
    return ok;
}

static void brokers(struct doctor *d)
{
    int n = 0;
    if (kadmin_brokers(d->c->admin, &n))
        return;
    bool cluster = !strcmp(topics_profile(d->c->deploy.topics), "cluster");
    char isr[32] = "?";
    const struct topic *truth = topics_get(d->c->deploy.topics, T_CONVERSATION);
    kadmin_topic_config(d->c->admin, truth->name, "min.insync.replicas", isr, sizeof isr);
    if (cluster && n < 3)
        doctor_say(d, "brokers", DOCTOR_WARN, "run three or more, then make the topics with --replication 3",
                   "%d, with the profile cluster", n);
    else if (n >= 3 && strtol(isr, NULL, 10) < 2)
        doctor_say(
            d, "brokers", DOCTOR_FAIL,
            "kafka-configs.sh --alter --add-config min.insync.replicas=2 for every topic, replication 3",
            "%d, but min.insync.replicas of %s is %s: an ack may mean one disk", n, truth->name, isr);
    else
        doctor_say(d, "brokers", DOCTOR_OK, "", "%d, min.insync.replicas %s%s", n, isr,
                   n < 3 ? "; an ack survives no power cut (docs/guarantees.md)" : "");
}

static bool topics_right(struct doctor *d)
{
    struct wrong w = {0};
    size_t n = 0;
    int rc = ctl_topics_wrong(d->c, on_wrong, &w, &n);
    if (rc)
        doctor_say(d, "topics", DOCTOR_FAIL, "see above", "%s", kadmin_error(d->c->admin));
    else if (n)
        doctor_say(d, "topics", DOCTOR_FAIL, w.fix, "%zu things are wrong; the first: %s", n, w.first);
    else
        doctor_say(d, "topics", DOCTOR_OK, "",
                   "%zu are as the profile %s says, with settings and first commits",
                   topics_count(d->c->deploy.topics), topics_profile(d->c->deploy.topics));
    return !rc && !n;
}

/* ---- retention ---- */

struct overtaken {
    size_t lost, near;
    char which[200];
};

static void judge(struct doctor *d, struct scan *s, uint32_t g, uint16_t topic, struct overtaken *o)
{
    const struct topic *t = topics_get(d->c->deploy.topics, topic);
    int64_t *at = calloc(2 * (size_t)t->parts, sizeof *at), *half = at + t->parts, low, high;
    if (!at || ctl_offsets(d->c, g, t, at) ||
        scan_times(s, topic, 0, t->parts, clock_wall_ms() - t->retention_ms / 2, half)) {
        free(at);
        return;
    }
    bool needed = g != GROUP_AUDITOR && g != GROUP_WEBHOOKS; /* else at 0 it never ran */
    for (int32_t p = 0; p < t->parts; p++) {
        if (at[p] < (needed ? 0 : 1) || scan_ends(s, topic, p, &low, &high) || at[p] >= high)
            continue;
        bool lost = at[p] < low, near = at[p] < half[p];
        o->lost += lost;
        o->near += near && !lost;
        if ((lost || near) && !*o->which)
            snprintf(o->which, sizeof o->which, "%.90s at %" PRId64 " of %.60s/%" PRId32,
                     topics_group(d->c->deploy.topics, g), at[p], t->name, p);
    }
    free(at);
}

static void retention(struct doctor *d, struct scan *s)
{
    const struct topics *ts = d->c->deploy.topics;
    struct overtaken o = {0};
    for (uint32_t g = 0; g < topics_groups(ts); g++)
        for (size_t i = 0; i < topics_count(ts); i++)
            if (topics_reads(ts, g, (uint16_t)i) && topics_get(ts, (uint16_t)i)->retention_ms > 0)
                judge(d, s, g, (uint16_t)i, &o);
    if (o.lost)
        doctor_say(
            d, "retention", DOCTOR_FAIL,
            "what was deleted unread is lost to that group; find out what stopped it, then rebuild its store",
            "%zu partitions were deleted faster than they were read: %s", o.lost, o.which);
    else if (o.near)
        doctor_say(d, "retention", DOCTOR_WARN,
                   "start what reads it (parleyctl lag), or raise retention_ms now",
                   "%zu partitions are behind by more than half of it: %s", o.near, o.which);
    else
        doctor_say(d, "retention", DOCTOR_OK, "", "no consumer is behind by more than half of it");
}

/* ---- dead letters and the clock ---- */

static void dead_letters(struct doctor *d)
{
    struct dlq q = {.c = d->c};
    size_t n = 0;
    if (dlq_open(d->c, &q) == 0) {
        n = dlq_choose(&q, &(struct dlq_filter){0});
        doctor_say(d, "dead letters", n ? DOCTOR_WARN : DOCTOR_OK,
                   "parleyctl dlq list; then dlq retry, or dlq drop", "%zu wait for somebody to look", n);
    }
    dlq_close(&q);
}

/* Records from the future, which can be seen without writing. */
static void future(struct doctor *d, struct scan *s)
{
    const struct topics *ts = d->c->deploy.topics;
    int64_t ahead = clock_wall_ms() + 2000;
    for (uint16_t i = 0; i < topics_count(ts); i++) {
        int32_t parts = topics_get(ts, i)->parts;
        int64_t *at = calloc((size_t)parts, sizeof *at), low, high;
        bool found = false;
        if (!at || scan_times(s, i, 0, parts, ahead, at))
            parts = 0;
        for (int32_t p = 0; p < parts && !found; p++)
            found = scan_ends(s, i, p, &low, &high) == 0 && at[p] < high;
        free(at);
        if (found) {
            doctor_say(d, "broker clock", DOCTOR_FAIL, "let all machines follow one time server (chrony)",
                       "%s has records of the future: a broker's clock was or is ahead of this machine's",
                       topics_name(ts, i));
            return;
        }
    }
    if (!d->write)
        doctor_say(d, "broker clock", DOCTOR_OK, "", "not ahead; whether it is behind --clock finds out");
}

static enum scan_go time_of(void *ctx, const struct record *r)
{
    *(int64_t *)ctx = r->time_ms;
    return SCAN_STOP;
}

/* A mark about no letter, which nobody minds. */
static void clock_by_writing(struct doctor *d, struct scan *s)
{
    struct dlq q = {.c = d->c};
    struct dlq_sent sent;
    struct dlq_entry none = {.topic = (char *)(uintptr_t) "", .dlq_part = 0};
    int64_t theirs = -1;
    struct dlq_writer *w = dlq_writer_new(d->c);
    if (!w)
        return;
    int64_t before = clock_wall_ms();
    dlq_mark(w, &q, &none, (struct slice){NULL, 0}, IM__DLQ_MARK__DLQ_DROPPED, NULL, 0, &sent);
    dlq_flush(w);
    int64_t after = clock_wall_ms();
    dlq_writer_free(w);
    if (sent.offset < 0 ||
        scan_read(s, &(struct scan_range){T_DLQ, 0, sent.offset, sent.offset + 1}, 1, NULL, time_of,
                  &theirs) ||
        theirs < 0)
        return;
    /* Between the two it was written: no difference that can be told. */
    doctor_clock(d, "broker clock", theirs < before ? before : theirs > after ? after : theirs, theirs);
}

void doctor_kafka(struct doctor *d)
{
    if (!reached(d))
        return;
    brokers(d);
    if (!topics_right(d))
        return;
    struct scan *s = scan_new(d->c);
    if (!s)
        return;
    retention(d, s);
    future(d, s);
    if (d->write)
        clock_by_writing(d, s);
    scan_free(s);
    dead_letters(d);
}
