/* vault_command.c: the records of im.vault sealed anew, under the master key that seals now. Each goes through the
 * router of its user, which takes it only when it was made from what is there (InRekey.was): the one writer stays one. */
#include "client/parleyctl/ctl.h"
#include "client/parleyctl/progress.h"
#include "client/parleyctl/scan.h"

#include "common/im/bodykeys.h"
#include "common/im/codec.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define TRIES    300 /* times POLL_MS for the routers */
#define POLL_MS  100
#define FLUSH_MS 15000
#define VALUE    4096

struct entry { /* the newest record of a user */
    UT_hash_handle hh;
    struct id16 user;
    int64_t offset;
    bool old, locked; /* under another master key; under one that is not in the ring */
};

struct vault {
    struct ctl *c;
    struct secrets *ring;
    struct scan *scan;
    struct entry *users;
    rd_kafka_t *producer;
    size_t records, old, locked, sent;
    bool sending, failed;
};

static bool under(const struct vault *v, struct slice sealed, bool *locked)
{
    uint32_t key = secret_sealed_by(sealed);
    *locked |= sealed.n && !secrets_has(v->ring, key);
    return sealed.n == 0 || key == secrets_key_id(v->ring);
}

static void judge(const struct vault *v, const Im__VaultRecord *r, struct entry *e)
{
    e->locked = false;
    bool newest = under(v, codec_slice(r->verifier), &e->locked);
    for (size_t i = 0; i < r->n_keys; i++)
        newest &= under(v, codec_slice(r->keys[i]->sealed), &e->locked);
    e->old = !newest;
}

/* ---- sealing one anew ---- */
/* The bytes written to `to`, or negative. */
static int reseal(const struct vault *v, struct id16 user, struct slice from, uint8_t *to, size_t cap)
{
    uint8_t plain[CODEC_VERIFIER_MAX];
    int n = secret_open(v->ring, user, from, plain, sizeof plain);
    if (n >= 0)
        n = secret_seal(v->ring, user, (struct slice){plain, (size_t)n}, to, cap);
    secret_wipe(plain, sizeof plain);
    return n;
}

static int produce(struct vault *v, struct id16 user, const Im__InRekey *rekey)
{
    const struct topic *t = topics_get(v->c->deploy.topics, T_INBOUND);
    Im__Inbound m = IM__INBOUND__INIT;
    Im__Session s = IM__SESSION__INIT;
    uint8_t value[VALUE];
    s.slot = UINT32_MAX;
    m.version = CODEC_VERSION;
    m.session = &s;
    m.body_case = IM__INBOUND__BODY_REKEY;
    m.rekey = (Im__InRekey *)(uintptr_t)rekey;
    int n = codec_pack_into(&m.base, value, sizeof value);
    if (n < 0)
        return n;
    rd_kafka_resp_err_t err;
    do {
        err = rd_kafka_producev(
            v->producer, RD_KAFKA_V_TOPIC(t->name),
            RD_KAFKA_V_PARTITION(topics_partition(v->c->deploy.topics, T_INBOUND, slice_id(&user))),
            RD_KAFKA_V_KEY(user.b, ID_SIZE), RD_KAFKA_V_VALUE(value, (size_t)n),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        rd_kafka_poll(v->producer, err ? POLL_MS : 0);
    } while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (err)
        ctl_complain("not written: %s", rd_kafka_err2str(err));
    return err ? -1 : 0;
}

static int rekey(struct vault *v, struct id16 user, const Im__VaultRecord *r)
{
    uint8_t was[VAULT_DIGEST], verifier[CODEC_VERIFIER_MAX], sealed[CODEC_BODY_KEYS][BODY_KEY_SEALED];
    Im__InRekey b = IM__IN_REKEY__INIT;
    Im__BodyKey keys[CODEC_BODY_KEYS], *list[CODEC_BODY_KEYS];
    vault_digest(r, was);
    int n = reseal(v, user, codec_slice(r->verifier), verifier, sizeof verifier);
    for (size_t i = 0; n >= 0 && i < r->n_keys; i++) {
        im__body_key__init(&keys[i]);
        keys[i].id = r->keys[i]->id;
        keys[i].since = r->keys[i]->since;
        keys[i].sealed = codec_bytes(slice_of(sealed[i], BODY_KEY_SEALED));
        list[i] = &keys[i];
        int k = reseal(v, user, codec_slice(r->keys[i]->sealed), sealed[i], BODY_KEY_SEALED);
        if (k != BODY_KEY_SEALED)
            return -1;
    }
    if (n < 0)
        return -1;
    b.was = codec_bytes(slice_of(was, sizeof was));
    b.verifier = codec_bytes(slice_of(verifier, (size_t)n));
    b.keys = list;
    b.n_keys = r->n_keys;
    return produce(v, user, &b);
}

/* ---- reading ---- */
static struct entry *entry_of(struct vault *v, struct id16 user)
{
    struct entry *e;
    HASH_FIND(hh, v->users, &user, sizeof user, e);
    if (e || v->sending)
        return e;
    e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->user = user;
    HASH_ADD(hh, v->users, user, sizeof e->user, e);
    return e;
}

static enum scan_go take(void *ctx, const struct record *r)
{
    struct vault *v = ctx;
    Im__VaultRecord *m = NULL;
    struct id16 user;
    if (id_from(r->key.p, r->key.n, &user) || r->value.n == 0 || codec_vault(NULL, r->value, &m))
        return SCAN_ON;
    struct entry *e = entry_of(v, user);
    if (e && !v->sending) {
        e->offset = r->offset;
        judge(v, m, e);
        v->records++;
    } else if (e && e->offset == r->offset && e->old && !e->locked) {
        v->failed |= rekey(v, user, m) != 0;
        v->sent++;
    }
    im__vault_record__free_unpacked(m, NULL);
    return v->failed ? SCAN_STOP : SCAN_ON;
}

static void forget(struct vault *v)
{
    struct entry *e, *next;
    HASH_ITER (hh, v->users, e, next) {
        HASH_DEL(v->users, e);
        free(e);
    }
}

static int read_all(struct vault *v, const char *what)
{
    const struct topic *t = topics_get(v->c->deploy.topics, T_VAULT);
    struct scan_range *ranges = calloc((size_t)t->parts, sizeof *ranges);
    int rc = ranges ? 0 : -1;
    for (int32_t p = 0; rc == 0 && p < t->parts; p++) {
        ranges[p] = (struct scan_range){.topic = T_VAULT, .part = p};
        rc = scan_ends(v->scan, T_VAULT, p, &ranges[p].from, &ranges[p].to);
    }
    if (rc == 0)
        rc = scan_read(v->scan, ranges, (size_t)t->parts, what, take, v);
    free(ranges);
    return rc ? CTL_FAILED : CTL_OK;
}

/* What there is now, user by user. */
static int count(struct vault *v, const char *what)
{
    forget(v);
    v->sending = false;
    v->records = v->old = v->locked = 0;
    int rc = read_all(v, what);
    for (struct entry *e = v->users; e; e = e->hh.next) {
        v->old += e->old;
        v->locked += e->locked;
    }
    return rc;
}

static int send_all(struct vault *v)
{
    static const char *const defaults[] = {"enable.idempotence", "true", NULL};
    char why[256] = "";
    rd_kafka_conf_t *conf = kconf_build(&v->c->deploy.kafka, defaults);
    v->producer = conf ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why) : NULL;
    if (!v->producer) {
        ctl_complain("cannot make a Kafka client: %s", why);
        return CTL_FAILED;
    }
    v->sending = true;
    int rc = read_all(v, "sealing");
    if (rd_kafka_flush(v->producer, FLUSH_MS) || v->failed) {
        ctl_complain("not all was written. The same command again does no harm");
        rc = CTL_FAILED;
    }
    rd_kafka_destroy(v->producer);
    return rc;
}

static int rotate(struct vault *v)
{
    struct ctl *c = v->c;
    int rc = count(v, NULL), tries = 0;
    size_t found = v->old;
    if (rc == CTL_OK && !c->dry_run && v->old > v->locked)
        rc = send_all(v);
    while (rc == CTL_OK && !c->dry_run && v->old > v->locked && tries++ < TRIES) {
        poll(NULL, 0, POLL_MS);
        rc = count(v, NULL);
    }
    if (rc)
        return rc;
    if (c->json)
        ctl_put(json_pack("{sI sI sI sI sI}", "users", (json_int_t)HASH_COUNT(v->users), "sealed anew",
                          (json_int_t)(c->dry_run ? 0 : found - v->old), "under other keys",
                          (json_int_t)v->old, "not to be opened", (json_int_t)v->locked, "master key",
                          (json_int_t)secrets_key_id(v->ring)));
    else
        printf("%u users; %zu records %s under master key %" PRIu32 "; %zu are under other keys\n",
               HASH_COUNT(v->users), c->dry_run ? found : found - v->old,
               c->dry_run ? "would be sealed anew" : "were sealed anew", secrets_key_id(v->ring), v->old);
    if (v->locked)
        ctl_complain("%zu records are sealed under a master key that is not in the ring", v->locked);
    else if (v->old && !c->dry_run)
        ctl_complain("%zu records are not done yet: is every router running, with this ring?", v->old);
    return v->locked || (v->old && !c->dry_run) ? CTL_FAILED : CTL_OK;
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct vault v = {.c = c};
    char path[4096], why[256];
    if (argc != 2 || strcmp(argv[1], "rotate") != 0)
        return ctl_usage("vault rotate [--dry-run]");
    int rc = ctl_kafka(c);
    if (rc)
        return rc;
    ctl_path(c, c->settings.master_key, path, sizeof path);
    v.ring = secrets_load(path, true, why, sizeof why);
    if (!v.ring) {
        ctl_complain("%s", why);
        return CTL_USAGE;
    }
    v.scan = scan_new(c);
    rc = v.scan ? rotate(&v) : CTL_FAILED;
    scan_free(v.scan);
    forget(&v);
    secrets_free(v.ring);
    return rc;
}

const struct ctl_command ctl_vault = {
    .name = "vault",
    .about = "seals all verifiers and body keys under the newest master key",
    .help = "Examples\n"
            "  parleyctl vault rotate --dry-run   how many records are under older keys\n"
            "  parleyctl vault rotate             seals them anew, through the routers\n"
            "\n"
            "  To change the master key without a pause:\n"
            "  1. add a line to the key file, and a * in front of the old one: it still seals,\n"
            "     both open; restart the processes one after the other\n"
            "  2. move the * to the new one (or take it away); restart them again\n"
            "  3. parleyctl vault rotate\n"
            "  4. when it says that nothing is under other keys, and the tokens of before are\n"
            "     over (30 days), take the old line out and restart\n"
            "\n"
            "Verbs\n"
            "  rotate               every record that is not under the key that seals now\n"
            "\n"
            "Exit codes\n"
            "  1 also: some records are left, or their master key is not in the ring\n",
    .run = run,
};
