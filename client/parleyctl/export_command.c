/* export_command.c: the log of one conversation or user as JSON lines, complete in itself. docs/rebuild.md has the form. */
#include "client/parleyctl/convfold.h"
#include "client/parleyctl/pbjson.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool keep_sealed;

/* ---- a conversation ---- */

/* What was opened, in the place of the sealed; the strings are the message's. */
static void set_body(Im__ConvRecord *m, const struct convfold_step *s)
{
    Im__Body *b = m->body;
    if (!b || (s->opened != BODY_OK && s->opened != BODY_ERASED))
        return;
    Im__Body *fresh = malloc(sizeof *fresh);
    if (!fresh)
        abort();
    im__body__init(fresh);
    if (s->body->text.n)
        fresh->text = strndup(s->body->text.p, s->body->text.n);
    if (s->body->content_type.n)
        fresh->content_type = strndup(s->body->content_type.p, s->body->content_type.n);
    fresh->data.len = s->body->data.n;
    fresh->data.data = malloc(s->body->data.n + 1);
    if (s->body->data.n)
        memcpy(fresh->data.data, s->body->data.p, s->body->data.n);
    im__body__free_unpacked(b, NULL);
    m->body = fresh;
}

static int put_record(void *ctx, const struct convfold_step *s)
{
    static const char *const verdicts[] = {"accepted", "duplicate", "refused", "noted"};
    const struct convfold *f = ctx;
    Im__ConvRecord *m = im__conv_record__unpack(NULL, s->rec->value.n, s->rec->value.p);
    if (!m) {
        ctl_complain("offset %" PRId64 " cannot be read", s->rec->offset);
        return CTL_FAILED;
    }
    if (s->opened == BODY_LOCKED && !keep_sealed) {
        ctl_complain("offset %" PRId64 ": its body is sealed, and its key cannot be opened here\n"
                     "  secrets.master_key_file says where the key is; --sealed exports it as it is",
                     s->rec->offset);
        im__conv_record__free_unpacked(m, NULL);
        return CTL_FAILED;
    }
    if (f->bodies)
        set_body(m, s);
    json_t *j = json_pack("{sI sI ss sI so}", "offset", (json_int_t)s->rec->offset, "time_ms",
                          (json_int_t)s->rec->time_ms, "verdict", verdicts[s->out->verdict], "seq",
                          (json_int_t)s->out->seq, "record", pbjson_from(&m->base));
    if (s->out->reason)
        json_object_set_new(j, "reason", json_integer(s->out->reason));
    if (s->out->until_ms)
        json_object_set_new(j, "until_ms", json_integer(s->out->until_ms));
    if (s->opened == BODY_ERASED)
        json_object_set_new(j, "erased", json_true());
    ctl_put(j);
    im__conv_record__free_unpacked(m, NULL);
    return ferror(stdout) ? CTL_FAILED : 0;
}

static int conversation(struct ctl *c, const char *what)
{
    struct convfold f;
    char id[ID_HEX];
    int rc = convfold_init(&f, c, what);
    f.bodies = !keep_sealed;
    if (!rc) {
        ctl_put(json_pack("{ss si ss si sb}", "parley", "conversation", "format", 1, "id", id_hex(f.id, id),
                          "partition", (int)f.part, "sealed", (int)keep_sealed));
        rc = convfold_run(&f, put_record, &f);
    }
    if (!rc && f.records == 0) {
        ctl_complain("the log has nothing of %s", what);
        rc = CTL_FAILED;
    }
    if (!rc) {
        ctl_put(json_pack("{sb sI sI so}", "end", 1, "records", (json_int_t)f.records, "time_ms",
                          (json_int_t)f.last_ms, "state", convfold_state(&f, true)));
        ctl_say(c, "%" PRId64 " records, numbers 1 … %" PRIu64, f.records, conv_head(f.conv));
    }
    convfold_release(&f);
    return rc;
}

/* ---- a user ---- */
struct user {
    struct id16 id;
    int64_t n;
    const ProtobufCMessageDescriptor *type;
    const char *topic;
};

static enum scan_go put_user(void *ctx, const struct record *rec)
{
    struct user *u = ctx;
    if (rec->key.n != ID_SIZE || memcmp(rec->key.p, u->id.b, ID_SIZE) != 0 || !rec->value.n)
        return SCAN_ON;
    ProtobufCMessage *m = protobuf_c_message_unpack(u->type, NULL, rec->value.n, rec->value.p);
    if (!m)
        return SCAN_ON; /* as for every reader */
    ctl_put(json_pack("{ss sI sI so}", "topic", u->topic, "offset", (json_int_t)rec->offset, "time_ms",
                      (json_int_t)rec->time_ms, "record", pbjson_from(m)));
    protobuf_c_message_free_unpacked(m, NULL);
    u->n++;
    return SCAN_ON;
}

static int read_topic(struct ctl *c, struct scan *scan, uint16_t topic, struct user *u)
{
    struct scan_range r = {.topic = topic,
                           .part = topics_partition(c->deploy.topics, topic, slice_id(&u->id))};
    u->topic = topic == T_USER ? "im.user" : "im.vault";
    u->type = topic == T_USER ? &im__user_record__descriptor : &im__vault_record__descriptor;
    if (scan_ends(scan, topic, r.part, &r.from, &r.to))
        return CTL_FAILED;
    return r.from < r.to && scan_read(scan, &r, 1, c->quiet ? NULL : u->topic, put_user, u) ? CTL_FAILED : 0;
}

static int user(struct ctl *c, const char *name)
{
    struct user u = {.n = 0};
    char login[LOGIN_MAX + 1], id[ID_HEX];
    if (login_normalise(name, strlen(name), login)) {
        ctl_complain("\"%s\" is not a login name", name);
        return CTL_USAGE;
    }
    u.id = id_user(login);
    struct scan *scan = scan_new(c);
    if (!scan)
        return CTL_FAILED;
    ctl_put(json_pack("{ss si ss ss sb}", "parley", "user", "format", 1, "id", id_hex(u.id, id), "login",
                      login, "sealed", (int)keep_sealed));
    int rc = read_topic(c, scan, T_USER, &u);
    if (!rc && keep_sealed)
        rc = read_topic(c, scan, T_VAULT, &u);
    scan_free(scan);
    if (!rc && u.n == 0) {
        ctl_complain("the log has nothing of %s", login);
        rc = CTL_FAILED;
    }
    if (!rc) {
        ctl_put(json_pack("{sb sI}", "end", 1, "records", (json_int_t)u.n));
        ctl_say(c, "%" PRId64 " records", u.n);
    }
    return rc;
}

static int run(struct ctl *c, int argc, char **argv)
{
    bool of_user = argc == 3 && !strcmp(argv[1], "user");
    if (argc != 3 || (!of_user && strcmp(argv[1], "conversation") != 0))
        return ctl_usage("export conversation ID|NAME,NAME|system  or  export user NAME [--sealed]");
    int rc = ctl_kafka(c);
    if (rc)
        return rc;
    return of_user ? user(c, argv[2]) : conversation(c, argv[2]);
}

static int take(int option, const char *arg)
{
    (void)option;
    (void)arg;
    keep_sealed = true;
    return 0;
}

static const struct option options[] = {{"sealed", no_argument, NULL, CTL_OWN}, {0}};

const struct ctl_command ctl_export = {
    .name = "export",
    .about = "the log of one conversation or user as JSON lines",
    .help = "Examples\n"
            "  parleyctl export conversation anna,bert > anna-bert.jsonl\n"
            "  parleyctl export conversation 74431a61226cef02bc371e4e67ae74ea > group.jsonl\n"
            "  parleyctl export user anna > anna.jsonl\n"
            "\n"
            "One line for the file, one for each record with every field and what became of it\n"
            "(accepted with its number, noted, refused, duplicate), one for the state at the end.\n"
            "What is sealed is opened, as far as its key still exists; what was erased is empty.\n"
            "A conversation can be read again elsewhere: parleyctl import. The file holds what\n"
            "people said: keep it accordingly.\n"
            "\n"
            "Options\n"
            "  --sealed   leave sealed bodies as they are; of a user the sealed verifier and\n"
            "             keys too. Such a file is an archive and cannot be imported\n"
            "\n"
            "Exit code 1 when the log has nothing of it.\n",
    .options = options,
    .take = take,
    .run = run,
};
