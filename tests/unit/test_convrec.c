#include "common/im/convrec.h"

#include "common/base/rand.h"
#include "tests/support/samples.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static bool is(struct slice s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static void reads_what_protobuf_wrote(void **state)
{
    (void)state;
    uint8_t buf[SAMPLE_MAX];
    struct convrec r;
    size_t n = sample_convrec(0, buf);
    struct id16 anna = id_user("anna"), bert = id_user("bert"), conv;
    assert_int_equal(convrec_decode((struct slice){buf, n}, 777, &r), 0);
    assert_int_equal(r.event.rules, CONV_RULES);
    assert_int_equal(r.event.kind, IM__CONV_KIND__CONV_MESSAGE);
    assert_true(id_eq(r.event.conv, id_direct(anna, bert)));
    assert_true(id_eq(r.event.user, anna) && id_eq(r.event.peer, bert) && id_eq(r.msg_id, bert));
    assert_int_equal(r.event.device, 2);
    assert_int_equal(r.event.client_seq, 300);
    assert_int_equal(r.event.time_ms, 777);
    assert_int_equal(r.source_part, 1);
    assert_int_equal(r.source_offset, 12345);
    assert_int_equal(r.edge_time_us, INT64_C(1700000000000000));
    assert_int_equal(r.trace.n, CODEC_TRACE);
    assert_true(is(r.user_login, "anna") && is(r.peer_login, "bert"));
    assert_true(is(r.body.text, "h\xc3\xa9llo") && r.body.data.n == 0 && r.body.key_id == 0);
    assert_true(r.has_origin);
    struct session s = {anna, 2, 3, 400, 5, 600};
    assert_true(session_eq(&r.origin, &s));
    assert_int_equal(convrec_peek((struct slice){buf, n}, &conv), 0);
    assert_true(id_eq(conv, r.event.conv));

    n = sample_convrec(1, buf);
    assert_int_equal(convrec_decode((struct slice){buf, n}, 777, &r), 0);
    assert_int_equal(r.source_part, -1);
    assert_int_equal(r.edge_time_us, -5);
    assert_false(r.has_origin);
    assert_int_equal(r.trace.n, 0);
    assert_int_equal(r.body.key_id, 7);
    assert_true(is(r.body.content_type, "image/png") && is(r.body.sealed, "sealed"));
    assert_int_equal(r.body.data.n, 4);
}

/* Each field taken away or spoilt. */
static void spoil(void (*change)(Im__ConvRecord *), int expect)
{
    uint8_t buf[SAMPLE_MAX];
    size_t n = sample_convrec(0, buf);
    Im__ConvRecord *m = im__conv_record__unpack(NULL, n, buf);
    assert_non_null(m);
    Im__ConvRecord copy = *m; /* the original is freed as it was */
    Im__Body body = *m->body;
    Im__Session origin = *m->origin;
    copy.body = &body;
    copy.origin = &origin;
    change(&copy);
    int size = codec_pack_into(&copy.base, buf, sizeof buf);
    struct convrec r;
    assert_int_equal(convrec_decode((struct slice){buf, (size_t)size}, 1, &r), expect);
    im__conv_record__free_unpacked(m, NULL);
}

#define CHANGE(name, what)              \
    static void name(Im__ConvRecord *r) \
    {                                   \
        what;                           \
    }
CHANGE(nothing, (void)r)
CHANGE(no_version, r->version = 0)
CHANGE(newer, r->version = 2)
CHANGE(no_conv, r->conversation.len = 0)
CHANGE(short_user, r->user.len = 15)
CHANGE(no_msg_id, r->msg_id.len = 0)
CHANGE(no_peer, r->peer.len = 0)
CHANGE(short_peer, r->peer.len = 3)
CHANGE(short_trace, r->trace.len = 23)
CHANGE(huge_number, r->client_seq = (uint64_t)INT64_MAX + 1)
CHANGE(no_body, r->body = NULL)
CHANGE(other_kind_no_body, r->body = NULL; r->kind = (Im__ConvKind)9)
CHANGE(bad_text, r->body->text = "\xff")
CHANGE(bad_login, r->user_login = "\xc0\x80")
CHANGE(no_origin, r->origin = NULL)
CHANGE(short_origin, r->origin->user.len = 1)
CHANGE(new_rules, r->rules = 99)
static uint8_t three[48] = {[0] = 1, [16] = 2, [32] = 3}, backwards[32] = {[0] = 2, [16] = 1}, many[101 * 16];
static char *names[] = {"one", "", "three"}, *bad_names[] = {"\xff", "", "three"};
CHANGE(users, r->users = ((ProtobufCBinaryData){48, three}))
CHANGE(users_and_logins, users(r); r->logins = names; r->n_logins = 3)
CHANGE(too_few_logins, users(r); r->logins = names; r->n_logins = 2)
CHANGE(bad_logins, users(r); r->logins = bad_names; r->n_logins = 3)
CHANGE(half_a_user, r->users = ((ProtobufCBinaryData){40, three}))
CHANGE(unsorted, r->users = ((ProtobufCBinaryData){32, backwards}))
CHANGE(huge_target, r->target = UINT64_MAX)
CHANGE(too_many, for (size_t i = 0; i < 101; i++) many[16 * i] = (uint8_t)(i + 1);
       r->users = ((ProtobufCBinaryData){sizeof many, many}))
CHANGE(edit_no_body, r->body = NULL; r->kind = IM__CONV_KIND__CONV_EDIT)
CHANGE(huge_key, r->body->key_id = UINT64_MAX)

static void what_is_a_record(void **state)
{
    (void)state;
    spoil(nothing, 0);
    spoil(no_version, -EBADMSG);
    spoil(newer, -ENOTSUP);
    spoil(no_conv, -EBADMSG);
    spoil(short_user, -EBADMSG);
    spoil(no_msg_id, -EBADMSG);
    spoil(no_peer, 0);
    spoil(short_peer, -EBADMSG);
    spoil(short_trace, -EBADMSG);
    spoil(huge_number, -EBADMSG);
    spoil(no_body, -EBADMSG);
    spoil(other_kind_no_body, 0); /* the reducer refuses it */
    spoil(bad_text, -EBADMSG);
    spoil(bad_login, -EBADMSG);
    spoil(no_origin, 0);
    spoil(short_origin, -EBADMSG);
    spoil(new_rules, 0); /* the caller halts */
    spoil(huge_key, -EBADMSG);
    spoil(users, 0);
    spoil(users_and_logins, 0);
    spoil(too_few_logins, -EBADMSG);
    spoil(bad_logins, -EBADMSG);
    spoil(half_a_user, -EBADMSG);
    spoil(unsorted, -EBADMSG);
    spoil(too_many, -EBADMSG);
    spoil(huge_target, -EBADMSG);
    spoil(edit_no_body, -EBADMSG);
}

static void unknown_fields_are_skipped(void **state)
{
    (void)state;
    uint8_t buf[SAMPLE_MAX + 64];
    struct convrec r;
    size_t n = sample_convrec(0, buf);
    memcpy(buf + n,
           "\xfa\x07\x02zz\xf8\x07\x05\xf9\x07"
           "12345678\xfd\x07"
           "1234",
           5 + 3 + 10 + 6);
    assert_int_equal(convrec_decode((struct slice){buf, n + 24}, 1, &r), 0);
    assert_int_equal(convrec_decode((struct slice){buf, n + 23}, 1, &r), -EBADMSG);
    memcpy(buf + n, "\x33", 1); /* the start of a group */
    assert_int_equal(convrec_decode((struct slice){buf, n + 1}, 1, &r), -EBADMSG);
    memcpy(buf + n, "\x20\x01", 2); /* field 4 as a number */
    assert_int_equal(convrec_decode((struct slice){buf, n + 2}, 1, &r), -EBADMSG);
}

static void every_cut_and_flip_is_survived(void **state)
{
    (void)state;
    uint8_t buf[SAMPLE_MAX];
    struct rng rng = {5};
    for (unsigned v = 0; v < 2; v++) {
        size_t n = sample_convrec(v, buf);
        for (size_t k = 0; k <= n; k++) {
            void *exact = malloc(k ? k : 1);
            memcpy(exact, buf, k);
            struct convrec r;
            struct id16 id;
            (void)convrec_decode((struct slice){exact, k}, 1, &r);
            (void)convrec_peek((struct slice){exact, k}, &id);
            free(exact);
        }
        for (int i = 0; i < 50000; i++) {
            size_t at = rng_below(&rng, n);
            uint8_t was = buf[at];
            struct convrec r;
            buf[at] = (uint8_t)rng_next(&rng);
            int rc = convrec_decode((struct slice){buf, n}, 1, &r);
            assert_true(rc == 0 || rc == -EBADMSG || rc == -ENOTSUP);
            buf[at] = was;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_protobuf_wrote),
        cmocka_unit_test(what_is_a_record),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(every_cut_and_flip_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
