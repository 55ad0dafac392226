/* log_fill.c: writes records of im.conversation straight into the log, as a router would have: messages of pairs of people,
 * so that there is something to make history from. As fast as Kafka takes them; sent is what was acknowledged. */
#include "bench/args.h"
#include "bench/bench.h"
#include "bench/kfloor.h"
#include "bench/result.h"

#include "common/base/macros.h"
#include "common/base/rand.h"
#include "common/im/codec.h"
#include "common/im/conv.h"
#include "common/im/ids.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#define DEVICE    1
#define TEXT_MAX  4096
#define IN_FLIGHT 50000
#define SHOW      1000000

struct pair { /* a conversation */
    struct id16 id, user[2];
    uint64_t client_seq[2];
};

struct fill {
    const char *kafka;
    uint64_t messages, conversations, size, seed, first;
    struct pair *pairs;
    struct kfloor_client producer;
};

static void login_of(uint64_t pair, int side, char out[LOGIN_MAX + 1])
{
    snprintf(out, LOGIN_MAX + 1, "log%" PRIu64 "%c", pair, 'a' + side);
}

static void make_pairs(struct fill *f)
{
    char login[LOGIN_MAX + 1];
    f->pairs = calloc(f->conversations, sizeof *f->pairs);
    if (!f->pairs)
        kfloor_die("log", "no memory");
    for (uint64_t i = 0; i < f->conversations; i++) {
        struct pair *p = &f->pairs[i];
        for (int side = 0; side < 2; side++) {
            login_of(f->first + i, side, login);
            p->user[side] = id_user(login);
        }
        p->id = id_direct(p->user[0], p->user[1]);
    }
}

static size_t pack(struct fill *f, uint64_t at, int side, uint64_t number, uint8_t *out, size_t n)
{
    static char text[TEXT_MAX + 1];
    char logins[2][LOGIN_MAX + 1];
    struct pair *p = &f->pairs[at];
    struct id16 msg = id_message(p->user[side], DEVICE, ++p->client_seq[side]);
    Im__ConvRecord r = IM__CONV_RECORD__INIT;
    Im__Body body = IM__BODY__INIT;
    for (int i = 0; i < 2; i++)
        login_of(f->first + at, i, logins[i]);
    int said =
        snprintf(text, sizeof text, "message %" PRIu64 " of a history that somebody reads again", number);
    for (uint64_t i = (uint64_t)said; i < f->size && i < TEXT_MAX; i++)
        text[i] = (char)(i % 8 ? 'a' + (char)((number + i) % 26) : ' ');
    text[f->size < TEXT_MAX ? f->size : TEXT_MAX] = '\0';
    r.version = CODEC_VERSION;
    r.rules = CONV_RULES;
    r.kind = IM__CONV_KIND__CONV_MESSAGE;
    r.conversation = codec_bytes(slice_id(&p->id));
    r.user = codec_bytes(slice_id(&p->user[side]));
    r.peer = codec_bytes(slice_id(&p->user[1 - side]));
    r.user_login = logins[side];
    r.peer_login = logins[1 - side];
    r.device = DEVICE;
    r.client_seq = p->client_seq[side];
    r.msg_id = codec_bytes(slice_id(&msg));
    r.source_offset = (int64_t)number;
    r.body = &body;
    body.text = text;
    int packed = codec_pack_into(&r.base, out, n);
    if (packed <= 0)
        kfloor_die("log", "a record that cannot be packed");
    return (size_t)packed;
}

static void produce_all(struct fill *f)
{
    uint8_t value[TEXT_MAX + 1024];
    struct rng rng = {f->seed};
    for (uint64_t i = 0; i < f->messages; i++) {
        uint64_t at = rng_below(&rng, f->conversations);
        size_t n = pack(f, at, (int)rng_below(&rng, 2), i, value, sizeof value);
        while (i - f->producer.reported >= IN_FLIGHT) {
            kfloor_wait(&f->producer, NULL, 100);
            kfloor_reports(&f->producer);
        }
        while (!kfloor_produce(&f->producer, f->pairs[at].id.b, ID_SIZE, value, n)) {
            kfloor_wait(&f->producer, NULL, 100);
            kfloor_reports(&f->producer);
        }
        if ((i + 1) % SHOW == 0)
            fprintf(stderr, "log      %" PRIu64 " records\n", i + 1);
    }
    while (f->producer.reported < f->messages) {
        kfloor_wait(&f->producer, NULL, 100);
        kfloor_reports(&f->producer);
    }
}

int command_log(int argc, char **argv)
{
    static struct fill f = {.messages = 100000, .conversations = 1000, .size = 100, .seed = 1};
    f.kafka = getenv("PARLEY_KAFKA");
    const struct arg args[] = {
        {"kafka", ARG_TEXT, &f.kafka, "host:port of a broker ($PARLEY_KAFKA)"},
        {"messages", ARG_NUMBER, &f.messages, "how many (100000)"},
        {"conversations", ARG_NUMBER, &f.conversations, "of two people each, in random order (1000)"},
        {"first", ARG_NUMBER, &f.first, "number of the first conversation: others than of a run before (0)"},
        {"size", ARG_NUMBER, &f.size, "bytes of text, at most 4096 (100)"},
        {"seed", ARG_NUMBER, &f.seed, "of the order (1)"},
    };
    int rc = args_parse("parley-bench log: messages straight into im.conversation, to make history from.",
                        args, ARRAY_LEN(args), argc, argv);
    if (rc)
        return rc - 1;
    if (!f.kafka || !f.conversations || f.size > TEXT_MAX)
        return 2;
    make_pairs(&f);
    kfloor_producer(&f.producer, f.kafka, "im.conversation", 5);
    int64_t begin = now_ns();
    produce_all(&f);
    double s = (double)(now_ns() - begin) / 1e9;
    kfloor_release(&f.producer);
    free(f.pairs);
    json_t *o = result_new("log", f.seed);
    json_object_set_new(o, "messages", json_integer((json_int_t)f.messages));
    json_object_set_new(o, "conversations", json_integer((json_int_t)f.conversations));
    json_object_set_new(o, "seconds", json_real(s));
    json_object_set_new(o, "messages_per_s", json_real(s > 0 ? (double)f.messages / s : 0));
    return result_print(o, true);
}
