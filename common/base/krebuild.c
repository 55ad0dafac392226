#include "common/base/krebuild.h"

#include "common/base/kadmin.h"
#include "common/base/kview.h"
#include "common/base/log.h"
#include "common/base/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADMIN_MS 2000
#define WAIT_MS  100

struct krebuild {
    const struct krebuild_decl *decl;
    struct shell_recovery *shell;
    int32_t part;
    struct krebuild_ends ends;
    struct timer timer; /* waits for ready() */
    uint32_t slice, slices;
    size_t topic; /* being read */
    void *builder;
    struct krange *range;
    bool giving; /* rows of this slice */
    int failed;
};

uint32_t krebuild_slice(struct slice key, uint32_t slices)
{
    const uint8_t *p = key.p;
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < key.n; i++)
        h = (h ^ p[i]) * 16777619u;
    return (h ^ h >> 16) % slices;
}

static void krebuild_free(struct krebuild *k)
{
    shell_recovery_set_user(k->shell, NULL);
    loop_timer_stop(k->decl->loop, &k->timer);
    krange_free(k->range);
    if (k->builder)
        k->decl->end(k->builder);
    free(k);
}

static void fail(struct krebuild *k, int err, bool retry)
{
    struct shell_recovery *shell = k->shell;
    char why[160];
    snprintf(why, sizeof why, "rebuild from %s: %s", k->decl->ktopics[k->decl->topics[k->topic]].name,
             strerror(-err));
    krebuild_free(k);
    shell_recovery_fail(shell, retry, why);
}

static int find_ends(struct krebuild *k)
{
    uint64_t records = 0, slice = k->decl->slice_records ? k->decl->slice_records : 1000000;
    struct kadmin *admin = kadmin_new(&k->decl->kafka, ADMIN_MS);
    int rc = admin ? 0 : -ENOMEM;
    for (size_t i = 0; i < k->decl->n && rc == 0; i++) {
        k->topic = i;
        rc = kadmin_watermarks(admin, k->decl->ktopics[k->decl->topics[i]].name, k->part, &k->ends.low[i],
                               &k->ends.high[i]);
        if (rc == 0 && i < k->decl->n_read)
            records += (uint64_t)(k->ends.high[i] - k->ends.low[i]);
    }
    kadmin_free(admin);
    k->slices = (uint32_t)(records / slice) + 1;
    return rc;
}

static void next_topic(struct krebuild *k);

static bool on_message(void *ctx, const struct record *rec)
{
    struct krebuild *k = ctx;
    if (!k->failed)
        k->failed = k->decl->feed(k->builder, rec);
    return true;
}

static void on_done(void *ctx, int err)
{
    struct krebuild *k = ctx;
    krange_free(k->range);
    k->range = NULL;
    if (k->failed || err) {
        fail(k, k->failed ? k->failed : err, !k->failed);
        return;
    }
    k->topic++;
    next_topic(k);
}

static void next_slice(struct krebuild *k)
{
    k->giving = false;
    k->topic = 0;
    k->builder = k->decl->begin(k->decl->ctx, k->part, k->slice, k->slices, &k->ends);
    if (k->builder)
        next_topic(k);
    else
        fail(k, -ENOMEM, true);
}

static void give_rows(struct krebuild *k)
{
    uint8_t table;
    struct slice key, row;
    k->giving = true;
    while (!shell_recovery_full(k->shell)) {
        if (k->decl->row(k->builder, &table, &key, &row)) {
            shell_recovery_row(k->shell, table, key, row);
            continue;
        }
        k->decl->end(k->builder);
        k->builder = NULL;
        if (++k->slice < k->slices) {
            next_slice(k);
            return;
        }
        const struct krebuild_decl *decl = k->decl;
        struct shell_recovery *shell = k->shell;
        struct krebuild_ends ends = k->ends;
        log_info("rows made again from the log", log_int("part", k->part));
        krebuild_free(k);
        decl->done(decl->ctx, shell, &ends);
        return;
    }
}

static void next_topic(struct krebuild *k)
{
    if (k->topic == k->decl->n_read) {
        give_rows(k);
        return;
    }
    uint16_t topic = k->decl->topics[k->topic];
    const struct krange_conf conf = {
        .kafka = k->decl->kafka,
        .topic = topic,
        .name = k->decl->ktopics[topic].name,
        .part = k->part,
        .from = k->ends.low[k->topic],
        .to = k->ends.high[k->topic],
        .ctx = k,
        .message = on_message,
        .done = on_done,
    };
    k->range = krange_new(k->decl->loop, &conf);
    if (!k->range)
        fail(k, -EIO, true);
}

static void start(struct timer *t)
{
    struct krebuild *k = container_of(t, struct krebuild, timer);
    if (k->decl->ready && !k->decl->ready(k->decl->ctx)) {
        loop_timer_start(k->decl->loop, &k->timer, WAIT_MS);
        return;
    }
    int rc = find_ends(k);
    if (rc) {
        fail(k, rc, true);
        return;
    }
    log_info("making rows again from the log", log_int("part", k->part), log_uint("passes", k->slices));
    next_slice(k);
}

void krebuild_begin(const struct krebuild_decl *decl, struct shell_recovery *shell,
                    const struct shell_gap *gap)
{
    struct krebuild *k = calloc(1, sizeof *k);
    if (!k) {
        shell_recovery_fail(shell, true, "out of memory");
        return;
    }
    k->decl = decl;
    k->shell = shell;
    k->part = gap->part;
    memcpy(k->ends.committed, gap->committed, decl->n_inputs * sizeof *gap->committed);
    shell_recovery_set_user(shell, k);
    timer_init(&k->timer, start);
    loop_timer_start(decl->loop, &k->timer, 0);
}

void krebuild_room(struct shell_recovery *shell)
{
    struct krebuild *k = shell_recovery_user(shell);
    if (k && k->giving)
        give_rows(k);
}

void krebuild_cancel(struct shell_recovery *shell)
{
    struct krebuild *k = shell_recovery_user(shell);
    if (k)
        krebuild_free(k);
}
