#include "client/parleyctl/dlq.h"

#include "common/im/codec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *dlq_state_name(enum dlq_state s)
{
    static const char *const names[] = {"waiting", "retry begun", "retried", "dropped"};
    return names[s];
}

/* "im.inbound/0@42", with the topic's name as it is in Kafka. */
static int make_id(const Im__DlqRecord *m, char out[300])
{
    return snprintf(out, 300, "%.200s/%" PRId32 "@%" PRId64, m->topic, m->part, m->offset);
}

struct dlq_entry *dlq_find(struct dlq *d, const char *id)
{
    struct dlq_entry *e = NULL;
    char full[400];
    HASH_FIND_STR(d->entries, id, e);
    if (e)
        return e;
    snprintf(full, sizeof full, "%s%s%s", topics_prefix(d->c->deploy.topics),
             strncmp(id, "im.", 3) ? "im." : "", id);
    HASH_FIND_STR(d->entries, full, e);
    return e;
}

static struct dlq_entry *add(struct dlq *d, const char *id, const struct record *r, const Im__DlqRecord *m)
{
    struct dlq_entry *e = calloc(1, sizeof *e);
    if (!e || !(e->id = strdup(id)) || !(e->topic = strdup(m->topic)) || !(e->error = strdup(m->error)))
        abort();
    e->part = m->part;
    e->offset = m->offset;
    e->dlq_part = r->part;
    e->first = r->offset;
    e->time_ms = r->time_ms;
    e->from = -1;
    HASH_ADD_KEYPTR(hh, d->entries, e->id, strlen(e->id), e);
    return e;
}

static void letter(struct dlq *d, const struct record *r, const Im__DlqRecord *m)
{
    char id[300];
    make_id(m, id);
    struct dlq_entry *e = dlq_find(d, id);
    if (!e)
        e = add(d, id, r, m);
    e->letters++;
    size_t used = strlen(e->processes);
    if (!strstr(e->processes, m->process) && used + strlen(m->process) + 3 < sizeof e->processes)
        snprintf(e->processes + used, sizeof e->processes - used, "%s%s", used ? ", " : "", m->process);
}

static void mark(struct dlq *d, const struct record *r, const Im__DlqRecord *m)
{
    char id[300];
    make_id(m, id);
    struct dlq_entry *e = dlq_find(d, id);
    if (!e || e->state == DLQ_DONE)
        return; /* the letter is beyond retention, or all is said */
    if (m->mark == IM__DLQ_MARK__DLQ_DROPPED) {
        e->state = DLQ_GONE;
    } else if (m->mark == IM__DLQ_MARK__DLQ_RETRIED) {
        e->state = DLQ_DONE;
        e->retried = m->retried;
    } else if (m->mark == IM__DLQ_MARK__DLQ_RETRYING && m->run.len == DLQ_RUN) {
        if (e->state != DLQ_OPEN || r->time_ms - e->run_ms > dlq_stale_s * 1000) {
            e->taken_over = e->state == DLQ_OPEN;
            memcpy(e->run, m->run.data, DLQ_RUN);
            e->run_ms = r->time_ms;
            e->state = DLQ_OPEN;
        }
        if (e->from < 0 || m->retried < e->from)
            e->from = m->retried;
    }
}

static enum scan_go on_record(void *ctx, const struct record *r)
{
    struct dlq *d = ctx;
    Im__DlqRecord *m = NULL;
    d->next[r->part] = r->offset + 1;
    if (codec_dlq(NULL, r->value, &m)) {
        d->unreadable++;
        return SCAN_ON;
    }
    if (m->mark == IM__DLQ_MARK__DLQ_LETTER)
        letter(d, r, m);
    else
        mark(d, r, m);
    im__dlq_record__free_unpacked(m, NULL);
    return SCAN_ON;
}

int dlq_more(struct dlq *d, int32_t part)
{
    return scan_read(d->scan, &(struct scan_range){T_DLQ, part, d->next[part], INT64_MAX}, 1, NULL, on_record,
                     d);
}

int dlq_open(struct ctl *c, struct dlq *d)
{
    *d = (struct dlq){.c = c};
    int rc = ctl_kafka(c);
    if (rc)
        return rc;
    int32_t parts = topics_get(c->deploy.topics, T_DLQ)->parts;
    struct scan_range *r = calloc((size_t)parts, sizeof *r);
    d->next = calloc((size_t)parts, sizeof *d->next);
    d->scan = scan_new(c);
    for (int32_t p = 0; r && p < parts; p++)
        r[p] = (struct scan_range){T_DLQ, p, 0, INT64_MAX};
    rc = r && d->next && d->scan && !scan_read(d->scan, r, (size_t)parts, "dead letters", on_record, d)
             ? 0
             : CTL_FAILED;
    free(r);
    if (d->unreadable)
        ctl_say(c, "%zu records of im.dlq cannot be read; parleyctl tail dlq shows them", d->unreadable);
    return rc;
}

void dlq_close(struct dlq *d)
{
    struct dlq_entry *e, *next;
    HASH_ITER (hh, d->entries, e, next) {
        HASH_DEL(d->entries, e);
        free(e->id);
        free(e->topic);
        free(e->error);
        free(e);
    }
    scan_free(d->scan);
    free(d->next);
}

/* ---- choosing ---- */

static int by_place(const struct dlq_entry *a, const struct dlq_entry *b)
{
    int c = strcmp(a->topic, b->topic);
    return c                    ? c
           : a->part != b->part ? (a->part > b->part) - (a->part < b->part)
                                : (a->offset > b->offset) - (a->offset < b->offset);
}

static bool topic_is(const struct dlq *d, const struct dlq_entry *e, const char *name)
{
    const char *prefix = topics_prefix(d->c->deploy.topics);
    const char *own = strncmp(e->topic, prefix, strlen(prefix)) ? e->topic : e->topic + strlen(prefix);
    return !strcmp(e->topic, name) || !strcmp(own, name) ||
           (!strncmp(own, "im.", 3) && !strcmp(own + 3, name));
}

static bool passes(const struct dlq *d, const struct dlq_entry *e, const struct dlq_filter *f)
{
    return (f->finished || e->state == DLQ_WAITING || e->state == DLQ_OPEN) &&
           (!f->topic || topic_is(d, e, f->topic)) && (!f->error || strcasestr(e->error, f->error)) &&
           (!f->process || strstr(e->processes, f->process)) && e->time_ms >= f->since_ms &&
           (!f->until_ms || e->time_ms < f->until_ms);
}

size_t dlq_choose(struct dlq *d, const struct dlq_filter *f)
{
    size_t n = 0;
    HASH_SORT(d->entries, by_place);
    for (struct dlq_entry *e = d->entries; e; e = e->hh.next) {
        e->chosen = passes(d, e, f);
        n += e->chosen;
    }
    return n;
}

const struct dlq_entry *dlq_retry_of(struct dlq *d, const struct dlq_entry *now)
{
    for (const struct dlq_entry *e = d->entries; e; e = e->hh.next)
        if (e->state == DLQ_DONE && e->retried == now->offset && e->part == now->part &&
            !strcmp(e->topic, now->topic))
            return e;
    return NULL;
}

/* ---- one letter ---- */

static enum scan_go keep(void *ctx, const struct record *r)
{
    Im__DlqRecord **out = ctx;
    if (codec_dlq(NULL, r->value, out))
        *out = NULL;
    return SCAN_STOP;
}

Im__DlqRecord *dlq_letter(struct dlq *d, const struct dlq_entry *e)
{
    Im__DlqRecord *m = NULL;
    if (scan_read(d->scan, &(struct scan_range){T_DLQ, e->dlq_part, e->first, e->first + 1}, 1, NULL, keep,
                  &m) ||
        !m)
        ctl_complain("%s: its dead letter is not in im.dlq any more", e->id);
    return m;
}
