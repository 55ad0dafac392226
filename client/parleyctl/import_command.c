/* import_command.c: an exported conversation into another deployment, as new records at new places. */
#include "client/parleyctl/convfold.h"
#include "client/parleyctl/import.h"
#include "common/base/clock.h"
#include "common/base/hex.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_EVERY 1000
#define FLUSH_MS    30000

struct work {
    struct ctl *c;
    struct import_file file;
    struct scan *scan;
    int32_t part;
    /* what is here already */
    int64_t here; /* records of it that are the file's first ones */
    bool another; /* … and others */
    /* writing */
    rd_kafka_t *rk;
    int64_t failed;
    int64_t mute_until, mute_over; /* a mute that has to pass: when it was over then; when it is here */
    int rc;
};

/* ---- is it here? ---- */

static size_t packed(const Im__ConvRecord *m, uint8_t **out)
{
    size_t n = im__conv_record__get_packed_size(m);
    *out = malloc(n + 1);
    if (!*out)
        abort();
    return im__conv_record__pack(m, *out);
}

/* The file is read beside the log: an import that broke off goes on where it was. */
static enum scan_go compare(void *ctx, const struct record *rec)
{
    struct work *w = ctx;
    struct import_record r;
    uint8_t *bytes;
    if (rec->key.n != ID_SIZE || memcmp(rec->key.p, w->file.id.b, ID_SIZE) != 0)
        return SCAN_ON;
    int got = import_next(&w->file, &r);
    if (got <= 0) {
        w->another = true;
        return SCAN_STOP;
    }
    size_t n = packed(r.m, &bytes);
    w->another = n != rec->value.n || memcmp(bytes, rec->value.p, n) != 0;
    w->here += !w->another;
    free(bytes);
    im__conv_record__free_unpacked(r.m, NULL);
    return w->another ? SCAN_STOP : SCAN_ON;
}

static int find_here(struct work *w)
{
    struct scan_range r = {.topic = T_CONVERSATION, .part = w->part};
    char id[ID_HEX];
    import_rewind(&w->file);
    if (scan_ends(w->scan, T_CONVERSATION, w->part, &r.from, &r.to))
        return CTL_FAILED;
    if (r.from < r.to && scan_read(w->scan, &r, 1, w->c->quiet ? NULL : "the log here", compare, w))
        return CTL_FAILED;
    if (w->another)
        ctl_complain("conversation %s is here already, and is another: nothing is imported",
                     id_hex(w->file.id, id));
    return w->another ? CTL_FAILED : 0;
}

/* ---- do its people have accounts? ---- */

static enum scan_go cross_off(void *ctx, const struct record *rec)
{
    struct work *w = ctx;
    char id[2 * ID_SIZE + 1];
    Im__UserRecord *u = rec->key.n == ID_SIZE && rec->value.n
                            ? im__user_record__unpack(NULL, rec->value.n, rec->value.p)
                            : NULL;
    if (!u)
        return SCAN_ON;
    hex_encode(id, rec->key.p, ID_SIZE);
    json_t *person = json_object_get(json_object_get(w->file.state, "missing"), id);
    if (person && u->kind == IM__USER_KIND__USER_REGISTERED)
        json_object_del(json_object_get(w->file.state, "missing"), id);
    im__user_record__free_unpacked(u, NULL);
    return SCAN_ON;
}

static int check_people(struct work *w)
{
    json_t *missing = json_object(), *person;
    const char *id;
    size_t i, said = 0;
    int rc = 0;
    json_array_foreach(json_object_get(w->file.state, "people"), i, person) json_object_set(
        missing, json_string_value(json_object_get(person, "id")), json_object_get(person, "user"));
    json_object_set_new(w->file.state, "missing", missing);
    for (int32_t p = 0; !rc && p < topics_get(w->c->deploy.topics, T_USER)->parts; p++) {
        struct scan_range r = {.topic = T_USER, .part = p};
        rc = scan_ends(w->scan, T_USER, p, &r.from, &r.to) ? CTL_FAILED : 0;
        if (!rc && r.from < r.to && scan_read(w->scan, &r, 1, NULL, cross_off, w))
            rc = CTL_FAILED;
    }
    if (!rc && json_object_size(missing)) {
        ctl_complain(
            "people of it have no account here. Whoever registers their names would get what they said; make "
            "the accounts first (parleyctl user add):");
        json_object_foreach(missing, id, person) if (said++ < 20)
            fprintf(stderr, "  %s\n", json_string_value(person));
        rc = CTL_FAILED;
    }
    json_object_del(w->file.state, "missing");
    return rc;
}

/* ---- writing ---- */

static void reported(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    struct work *w = opaque;
    if (m->err && !w->failed++)
        ctl_complain("not written: %s", rd_kafka_err2str(m->err));
}

static rd_kafka_t *producer(struct work *w)
{
    static const char *const defaults[] = {
        "enable.idempotence", "true",           "linger.ms", "5", "message.timeout.ms", "300000",
        "message.max.bytes",  KCONF_RECORD_MAX, NULL};
    char why[256] = "";
    rd_kafka_conf_t *conf = kconf_build(&w->c->deploy.kafka, defaults);
    if (!conf)
        return NULL;
    rd_kafka_conf_set_dr_msg_cb(conf, reported);
    rd_kafka_conf_set_opaque(conf, w);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!rk)
        ctl_complain("cannot make a Kafka client: %s", why);
    return rk;
}

static int flush(struct work *w)
{
    if (rd_kafka_flush(w->rk, FLUSH_MS) || w->failed) {
        ctl_complain("not all is written; the same command again goes on from there");
        return CTL_FAILED;
    }
    return 0;
}

/* What was said after a mute had ended waits here until it has ended too. */
static int pace(struct work *w, const struct import_record *r)
{
    int rc = 0;
    if (w->mute_until && r->time_ms >= w->mute_until) {
        rc = flush(w);
        int64_t left = w->mute_over - clock_mono_ms();
        if (left > 0)
            poll(NULL, 0, (int)left);
        w->mute_until = 0;
    }
    if (r->until_ms) {
        w->mute_until = !w->mute_until || r->until_ms < w->mute_until ? r->until_ms : w->mute_until;
        w->mute_over = clock_mono_ms() + IMPORT_MUTE_S * 1000 + 1000;
    }
    return rc;
}

static int append(struct work *w, const Im__ConvRecord *m)
{
    uint8_t *bytes;
    size_t n = packed(m, &bytes);
    rd_kafka_resp_err_t err;
    while ((err = rd_kafka_producev(w->rk, RD_KAFKA_V_TOPIC(topics_name(w->c->deploy.topics, T_CONVERSATION)),
                                    RD_KAFKA_V_PARTITION(w->part), RD_KAFKA_V_KEY(w->file.id.b, ID_SIZE),
                                    RD_KAFKA_V_VALUE(bytes, n), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                    RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        rd_kafka_poll(w->rk, 100);
    free(bytes);
    if (err)
        ctl_complain("not written: %s", rd_kafka_err2str(err));
    return err ? CTL_FAILED : 0;
}

static int write_all(struct work *w)
{
    struct import_record r;
    int64_t n = 0;
    int rc = 0, got;
    w->rk = producer(w);
    if (!w->rk)
        return CTL_FAILED;
    import_rewind(&w->file);
    while (!rc && (got = import_next(&w->file, &r)) != 0) {
        if (got < 0) {
            rc = CTL_FAILED;
            break;
        }
        rc = pace(w, &r);
        if (!rc && n++ >= w->here)
            rc = append(w, r.m);
        rd_kafka_poll(w->rk, 0);
        if (!rc && n % FLUSH_EVERY == 0)
            rc = flush(w);
        im__conv_record__free_unpacked(r.m, NULL);
    }
    if (!rc)
        rc = flush(w);
    rd_kafka_destroy(w->rk);
    return rc;
}

/* ---- is it the same? ---- */

static int verify(struct work *w)
{
    struct convfold f;
    convfold_id(&f, w->c, w->file.id);
    int rc = f.scan ? convfold_run(&f, NULL, NULL) : CTL_FAILED;
    if (!rc) {
        json_t *here = convfold_state(&f, true);
        if (!json_equal(here, w->file.state)) {
            char *a = json_dumps(w->file.state, JSON_COMPACT | JSON_SORT_KEYS),
                 *b = json_dumps(here, JSON_COMPACT | JSON_SORT_KEYS);
            ctl_complain("what is here now is not what was exported:\n  there %s\n  here  %s", a, b);
            free(a);
            free(b);
            rc = CTL_FAILED;
        }
        json_decref(here);
    }
    convfold_release(&f);
    return rc;
}

static int import(struct work *w)
{
    char question[200], id[ID_HEX];
    int64_t left = w->file.taken - w->here;
    ctl_say(w->c, "%" PRId64 " of %" PRId64 " records had an effect; %" PRId64 " are here already",
            w->file.taken, w->file.records, w->here);
    ctl_say(w->c, "mapped: people by their names; numbers, message ids and the conversation's id stay; "
                  "places, times and "
                  "the numbers of devices are new");
    snprintf(question, sizeof question, "Append %" PRId64 " records to %s?", left,
             topics_name(w->c->deploy.topics, T_CONVERSATION));
    if (!w->c->dry_run && left && !ctl_sure(w->c, question))
        return CTL_FAILED;
    int rc = w->c->dry_run || !left ? 0 : write_all(w);
    if (!rc && !w->c->dry_run)
        rc = verify(w);
    if (!rc && w->c->json)
        ctl_put(json_pack("{ss sI sI sb sb}", "conversation", id_hex(w->file.id, id), "appended",
                          (json_int_t)(w->c->dry_run ? 0 : left), "records", (json_int_t)w->file.taken,
                          "dry_run", (int)w->c->dry_run, "equal", (int)!w->c->dry_run));
    else if (!rc)
        ctl_say(w->c, w->c->dry_run ? "nothing was written" : "what is here now equals what was exported");
    return rc;
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct work w = {.c = c};
    if (argc != 2)
        return ctl_usage("import FILE [--dry-run]");
    int rc = import_open(&w.file, argv[1]);
    if (!rc)
        rc = ctl_kafka(c);
    if (!rc && !(w.scan = scan_new(c)))
        rc = CTL_FAILED;
    if (!rc) {
        w.part = topics_partition(c->deploy.topics, T_CONVERSATION, slice_id(&w.file.id));
        rc = check_people(&w);
    }
    if (!rc)
        rc = find_here(&w);
    if (!rc)
        rc = import(&w);
    scan_free(w.scan);
    import_release(&w.file);
    return rc;
}

const struct ctl_command ctl_import = {
    .name = "import",
    .about = "an exported conversation into this deployment",
    .help = "Examples\n"
            "  parleyctl import anna-bert.jsonl --dry-run   may it come in, and what would be written?\n"
            "  parleyctl import anna-bert.jsonl\n"
            "\n"
            "Appends what had an effect to im.conversation: the same rules decide again, at new\n"
            "places. People are the same when their names are: each must have an account here.\n"
            "Ids and numbers stay; times are those of the import (edge_time_us keeps the old\n"
            "ones); bodies are in the clear. Nobody is told of what is new by the file itself,\n"
            "but members who are away find it waiting, as any message. Afterwards the fold of\n"
            "what is here is compared with the state at the end of the file.\n"
            "\n"
            "A conversation that is here already is refused, unless it is the beginning of this\n"
            "very import: then it goes on. A mute that ended within the file costs some seconds.\n"
            "\n"
            "Exit code 1 when it was refused, or is not equal afterwards.\n",
    .run = run,
};
