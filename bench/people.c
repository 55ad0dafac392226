/* people.c: accounts for thousands of clients, and their tokens.
 *
 * A client registers with a password that an edge hashes, on purpose slowly: two minutes for ten thousand. So this writes
 * the registrations where an edge would have put them, with one hash sealed for each, and signs the first tokens with the
 * deployment's key. Nothing of it is in a measured part. */
#include "bench/people.h"
#include "bench/args.h"
#include "bench/bench.h"
#include "bench/kfloor.h"

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/base/rand.h"
#include "common/im/codec.h"
#include "common/im/secrets.h"
#include "common/im/topics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int people_read(struct people *p, const char *path, size_t n)
{
    json_error_t err;
    const char *prefix;
    *p = (struct people){.file = path ? json_load_file(path, 0, &err) : NULL};
    const json_t *tokens = json_object_get(p->file, "tokens");
    if (!tokens || json_unpack(p->file, "{s:s}", "prefix", &prefix) ||
        !(p->v = calloc(n + 1, sizeof *p->v))) {
        fprintf(stderr, "parley-bench: --accounts %s: make it with `parley-bench accounts`\n",
                path ? path : "FILE");
        people_release(p);
        return -EINVAL;
    }
    for (; p->n < n; p->n++) {
        struct person *one = &p->v[p->n];
        snprintf(one->login, sizeof one->login, "%s-%zu", prefix, p->n);
        one->id = id_user(one->login);
        one->token = json_string_value(json_object_get(tokens, one->login));
        if (!one->token) {
            fprintf(stderr, "parley-bench: %s has only %zu accounts, not %zu\n", path, p->n, n);
            people_release(p);
            return -EINVAL;
        }
    }
    return 0;
}

void people_release(struct people *p)
{
    json_decref(p->file);
    free(p->v);
    *p = (struct people){0};
}

int people_write(json_t *file, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc = fd < 0 || json_dumpfd(file, fd, 0) < 0 ? -EIO : 0;
    if (rc)
        fprintf(stderr, "parley-bench: %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

struct seed {
    const char *kafka, *key, *path, *prefix;
    uint64_t count;
    struct secrets *secrets;
    struct topics *topics;
    struct kfloor_client out;
    char hash[PASSWORD_HASH_SIZE];
};

static void add(struct seed *s, const char *login, json_t *tokens)
{
    uint8_t sealed[PASSWORD_HASH_SIZE + SECRET_SEAL_EXTRA], value[512];
    char text[TOKEN_TEXT_MAX];
    struct token t = {.user = id_user(login), .issued_s = clock_wall_ms() / 1000};
    Im__Inbound m = IM__INBOUND__INIT;
    Im__Session session = IM__SESSION__INIT;
    Im__InRegister reg = IM__IN_REGISTER__INIT;
    t.expires_s = t.issued_s + TOKEN_LIFE_S;
    snprintf(t.login, sizeof t.login, "%s", login);
    int n = secret_seal(s->secrets, t.user, slice_of(s->hash, strlen(s->hash)), sealed, sizeof sealed);
    if (n < 0 || token_sign(s->secrets, &t, text, sizeof text) < 0)
        kfloor_die("accounts", "cannot seal");
    reg.login = (char *)(uintptr_t)login;
    reg.verifier = (ProtobufCBinaryData){(size_t)n, sealed};
    m.version = CODEC_VERSION;
    m.session = &session; /* slot 0, epoch 0: over long ago, so nobody is answered */
    m.body_case = IM__INBOUND__BODY_REGISTER_;
    m.register_ = &reg;
    n = codec_pack_into(&m.base, value, sizeof value);
    if (n < 0)
        kfloor_die("accounts", "cannot pack");
    while (!kfloor_produce(&s->out, t.user.b, ID_SIZE, value, (size_t)n))
        rd_kafka_poll(s->out.rk, 10);
    json_object_set_new(tokens, login, json_string(text));
}

static int seed(struct seed *s)
{
    char err[256], prefix[24], password[33], login[LOGIN_MAX + 1];
    s->secrets = secrets_load(s->key, true, err, sizeof err);
    s->topics = s->secrets ? topics_new(NULL, "small", s->prefix, err, sizeof err) : NULL;
    if (!s->topics) {
        fprintf(stderr, "parley-bench: %s\n", err);
        return 1;
    }
    if (topics_get(s->topics, T_INBOUND)->parts != KFLOOR_PARTS)
        kfloor_die("accounts", "im.inbound has another number of partitions");
    snprintf(prefix, sizeof prefix, "bench%06x", (unsigned)(rand_u64() & 0xffffff));
    snprintf(password, sizeof password, "%016llx%016llx", (unsigned long long)rand_u64(),
             (unsigned long long)rand_u64());
    if (password_hash(password, strlen(password), s->hash))
        kfloor_die("accounts", "no memory to hash");
    json_t *tokens = json_object();
    json_t *file = json_pack("{s:s, s:s, s:o}", "prefix", prefix, "password", password, "tokens", tokens);
    kfloor_producer(&s->out, s->kafka, topics_name(s->topics, T_INBOUND), 5);
    for (uint64_t i = 0; i < s->count; i++) {
        snprintf(login, sizeof login, "%s-%llu", prefix, (unsigned long long)i);
        add(s, login, tokens);
    }
    int rc =
        rd_kafka_flush(s->out.rk, 30000) || s->out.reported != s->count ? -EIO : people_write(file, s->path);
    json_decref(file);
    kfloor_release(&s->out);
    return rc ? 1 : 0;
}

int command_accounts(int argc, char **argv)
{
    struct seed s = {.count = 1000, .kafka = getenv("PARLEY_KAFKA"), .prefix = ""};
    const struct arg args[] = {
        {"kafka", ARG_TEXT, &s.kafka, "host:port of a broker ($PARLEY_KAFKA)"},
        {"master-key", ARG_TEXT, &s.key, "the deployment's key file"},
        {"accounts", ARG_TEXT, &s.path, "the file to write"},
        {"topics-prefix", ARG_TEXT, &s.prefix, "as the deployment has it (none)"},
        {"count", ARG_NUMBER, &s.count, "how many (1000)"},
    };
    int rc = args_parse("parley-bench accounts: many accounts at once, for clients that log in by token.",
                        args, ARRAY_LEN(args), argc, argv);
    if (rc)
        return rc - 1;
    if (!s.kafka || !s.key || !s.path) {
        fprintf(stderr, "parley-bench: accounts needs --kafka, --master-key and --accounts\n");
        return 2;
    }
    rc = seed(&s);
    topics_free(s.topics);
    secrets_free(s.secrets);
    return rc;
}
