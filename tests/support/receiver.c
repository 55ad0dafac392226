#include "tests/support/receiver.h"

#include "common/base/kadmin.h"
#include "common/im/codec.h"
#include "common/im/conv.h"
#include "common/im/topics.h"
#include "tests/support/pipeline_int.h"
#include "tests/support/script.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONVS 512

/* ---- receivers ---- */

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[4400], tmp[4400];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)snprintf(tmp, sizeof tmp, "%s/%s.new", folder, name);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    assert_int_equal(rename(tmp, path), 0);
}

void receiver_init(struct receiver *r, const char *base, const char *name, const char *secret)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    *r = (struct receiver){0};
    (void)snprintf(r->folder, sizeof r->folder, "%.4000s/%s", base, name);
    assert_int_equal(mkdir(r->folder, 0700), 0);
    write_file(r->folder, "secret", secret);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    r->port = ntohs(sa.sin_port);
    close(fd);
}

static bool answers(const struct receiver *r)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)r->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0;
    close(fd);
    return ok;
}

void receiver_start(struct receiver *r)
{
    char port[16];
    (void)snprintf(port, sizeof port, "%d", r->port);
    r->pid = script_start((const char *const[]){"/usr/bin/env", "python3", "tests/webhooks/endpoint.py", port,
                                                r->folder, NULL});
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    while (!answers(r)) {
        if (clock_mono_ms() > by)
            fail_msg("the receiver does not answer");
        poll(NULL, 0, 20);
    }
}

void receiver_kill(struct receiver *r)
{
    if (!r->pid)
        return;
    kill(r->pid, SIGKILL);
    while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    r->pid = 0;
}

void receiver_mode(const struct receiver *r, const char *mode)
{
    write_file(r->folder, "mode", mode);
}

void receiver_forget(const struct receiver *r)
{
    write_file(r->folder, "log", "");
}

void receiver_release(struct receiver *r)
{
    static const char *const files[] = {"secret", "mode", "log", "cert"};
    char path[4400];
    receiver_kill(r);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", r->folder, files[i]);
        unlink(path);
    }
    rmdir(r->folder);
}

/* ---- what they got ---- */

static void copy(char *out, size_t n, const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));
    (void)snprintf(out, n, "%s", s ? s : "");
}

static struct got parse(const json_t *j)
{
    struct got g = {.seq = (uint64_t)json_integer_value(json_object_get(j, "seq")),
                    .status = (int)json_integer_value(json_object_get(j, "status")),
                    .same_id = json_is_true(json_object_get(j, "same_id")),
                    .is_signed = json_is_true(json_object_get(j, "signed")),
                    .overlap = json_is_true(json_object_get(j, "overlap"))};
    char path[32];
    copy(g.id, sizeof g.id, j, "id");
    copy(g.conv, sizeof g.conv, j, "conv");
    copy(g.text, sizeof g.text, j, "text");
    copy(path, sizeof path, j, "path");
    g.elsewhere = strcmp(path, "/hook") != 0;
    return g;
}

struct got *receiver_got(const struct receiver *r, size_t *n)
{
    char path[4400];
    size_t room = 1024;
    struct got *all = malloc(room * sizeof *all);
    (void)snprintf(path, sizeof path, "%s/log", r->folder);
    char *text = pl_read_file(path), *save = NULL;
    *n = 0;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        json_t *j = json_loads(line, 0, NULL);
        if (!j)
            break; /* being written */
        if (*n == room)
            all = realloc(all, (room *= 2) * sizeof *all);
        assert_non_null(all);
        all[(*n)++] = parse(j);
        json_decref(j);
    }
    free(text);
    return all;
}

static bool is_first(const struct got *all, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (all[k].status == 200 && strcmp(all[k].id, all[i].id) == 0)
            return false;
    return true;
}

size_t receiver_taken(const struct receiver *r)
{
    size_t n, taken = 0;
    struct got *all = receiver_got(r, &n);
    for (size_t i = 0; i < n; i++)
        taken += all[i].status == 200 && is_first(all, i);
    free(all);
    return taken;
}

void receiver_check(const struct receiver *r, uint64_t from, size_t expected)
{
    size_t n, taken = 0, convs = 0;
    static struct {
        char conv[33];
        uint64_t next;
    } seen[CONVS];
    struct got *all = receiver_got(r, &n);
    for (size_t i = 0; i < n; i++) {
        size_t c = 0;
        const struct got *g = &all[i];
        if (!g->same_id || !g->is_signed || g->overlap || g->elsewhere)
            fail_msg("%s: same id %d, signed %d, overlap %d", g->id, g->same_id, g->is_signed, g->overlap);
        if (g->status != 200 || !is_first(all, i))
            continue;
        while (c < convs && strcmp(seen[c].conv, g->conv) != 0)
            c++;
        if (c == convs) {
            assert_true(convs < CONVS);
            (void)snprintf(seen[c].conv, sizeof seen[c].conv, "%s", g->conv);
            seen[convs++].next = from;
        }
        if (g->seq != seen[c].next)
            fail_msg("%s came when %llu was next", g->id, (unsigned long long)seen[c].next);
        seen[c].next++;
        taken++;
    }
    free(all);
    assert_int_equal(taken, expected);
}

/* ---- the log ---- */

struct talk {
    struct topics *topics;
    rd_kafka_t *rk;
};

struct talk *talk_new(struct pl *pl)
{
    char why[256] = "";
    struct talk *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->topics = topics_new(NULL, "small", pl_prefix(pl), why, sizeof why);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", getenv("PARLEY_KAFKA"), NULL, 0);
    rd_kafka_conf_set(conf, "partitioner", "murmur2_random", NULL, 0);
    rd_kafka_conf_set(conf, "enable.idempotence", "true", NULL, 0);
    t->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!t->topics || !t->rk)
        fail_msg("%s", why);
    return t;
}

void talk_free(struct talk *t)
{
    if (!t)
        return;
    rd_kafka_destroy(t->rk);
    topics_free(t->topics);
    free(t);
}

void talk_say(struct talk *t, unsigned conv, unsigned i, const char *more)
{
    Im__ConvRecord r = IM__CONV_RECORD__INIT;
    Im__ConvSettings settings = IM__CONV_SETTINGS__INIT;
    Im__Body body = IM__BODY__INIT;
    char one[32], two[32], text[128];
    uint8_t value[1024];
    (void)snprintf(one, sizeof one, "anna%u", conv);
    (void)snprintf(two, sizeof two, "bert%u", conv);
    (void)snprintf(text, sizeof text, "c%u m%u%s", conv, i, more);
    struct id16 user = id_user(one), peer = id_user(two), id = id_direct(user, peer),
                msg = id_message(user, 1, i);
    r.version = CODEC_VERSION;
    r.rules = CONV_RULES;
    r.kind = IM__CONV_KIND__CONV_MESSAGE;
    r.conversation = (ProtobufCBinaryData){ID_SIZE, id.b};
    r.user = (ProtobufCBinaryData){ID_SIZE, user.b};
    r.peer = (ProtobufCBinaryData){ID_SIZE, peer.b};
    r.msg_id = (ProtobufCBinaryData){ID_SIZE, msg.b};
    r.device = 1;
    r.client_seq = i;
    r.user_login = one;
    r.peer_login = two;
    r.settings = &settings;
    r.body = &body;
    body.text = text;
    int n = codec_pack_into(&r.base, value, sizeof value);
    assert_true(n > 0);
    rd_kafka_resp_err_t err = rd_kafka_producev(
        t->rk, RD_KAFKA_V_TOPIC(topics_name(t->topics, T_CONVERSATION)), RD_KAFKA_V_KEY(id.b, ID_SIZE),
        RD_KAFKA_V_VALUE(value, (size_t)n), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    assert_int_equal(err, 0);
}

void talk_flush(struct talk *t)
{
    assert_int_equal(rd_kafka_flush(t->rk, pl_ms(PL_WAIT_MS)), 0);
}
