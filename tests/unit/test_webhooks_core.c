#include "common/base/shell.h"
#include "tests/unit/convlog.h"
#include "tests/unit/corerun.h"
#include "webhooks/core.h"
#include "webhooks/event.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct endpoint all = {.name = "crm", .kinds = UINT64_MAX};
static const struct hook_settings settings = {.endpoint = &all, .cache_bytes = 1 << 20};

struct world {
    struct arena *arena;
    struct run run;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->arena = arena_new(0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    run_release(&w->run);
    arena_free(w->arena);
    free(w);
    return 0;
}

static struct hook_item item(const struct run *r, size_t i)
{
    struct hook_item it;
    assert_true(i < r->fx.n_sends);
    assert_int_equal(r->fx.sends[i].topic, SHELL_ELSEWHERE);
    assert_int_equal(r->fx.sends[i].key.n, ID_SIZE);
    hook_item_parse(r->fx.sends[i].value, &it);
    return it;
}

static json_t *event(const struct run *r, size_t i)
{
    struct hook_item it = item(r, i);
    json_t *j = json_loadb(it.json.p, it.json.n, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(j);
    return j;
}

static const char *text(const json_t *j, const char *name)
{
    return json_string_value(json_object_get(j, name));
}

static void accepted_records_are_told_in_order_with_their_number(void **state)
{
    struct world *w = *state;
    struct record log[4];
    char conv[ID_HEX], id[EVENT_ID_MAX];
    struct id16 direct = id_direct(uid("anna"), uid("bert"));
    struct chat first = {.from = "anna", .to = "bert", .device = 2, .client_seq = 7, .text = "a \"word\"\n"};
    log[0] = chat_record(w->arena, 20, &first);
    log[1] = chat_record(w->arena, 21, &first); /* a repeat */
    log[2] = chat_record(
        w->arena, 22,
        &(struct chat){.from = "anna", .to = "bert", .device = 2, .client_seq = 8, .stranger = true});
    log[3] =
        chat_record(w->arena, 23,
                    &(struct chat){.from = "bert", .to = "anna", .device = 1, .client_seq = 1, .text = "b"});
    run_open(&w->run, &hook_core, &settings, NULL, 0, 0);
    assert_int_equal(run_batch(&w->run, log, 4), CORE_OK);
    assert_int_equal(w->run.fx.n_sends, 2);
    struct hook_item a = item(&w->run, 0), b = item(&w->run, 1);
    assert_int_equal(a.seq, 1);
    assert_int_equal(a.offset, 20);
    assert_int_equal(b.seq, 2);
    assert_int_equal(b.offset, 23);
    json_t *j = event(&w->run, 0), *data = json_object_get(j, "data");
    assert_string_equal(text(j, "specversion"), "1.0");
    assert_string_equal(text(j, "id"), event_id(direct, 1, id));
    assert_null(strchr(id, '.')); /* a full stop would make the signature ambiguous */
    assert_string_equal(text(j, "type"), "parley.message");
    assert_string_equal(text(j, "subject"), id_hex(direct, conv));
    assert_string_equal(text(j, "time"), "1970-01-01T00:00:01.020Z");
    assert_string_equal(text(data, "text"), "a \"word\"\n");
    assert_string_equal(text(data, "conversation_type"), "direct");
    assert_string_equal(text(json_object_get(data, "sender"), "login"), "anna");
    assert_string_equal(text(json_object_get(data, "peer"), "login"), "bert");
    assert_int_equal(json_integer_value(json_object_get(data, "seq")), 1);
    json_decref(j);
}

static void what_an_erased_person_said_can_be_cut_out_later(void **state)
{
    struct world *w = *state;
    struct record r = chat_record(
        w->arena, 1,
        &(struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1, .text = "secret words"});
    struct bytes b = {0};
    run_open(&w->run, &hook_core, &settings, NULL, 0, 0);
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    struct hook_item it = item(&w->run, 0);
    assert_true(id_eq(it.user, uid("anna")));
    event_redact(&b, it.json, it.body);
    assert_null(strstr((char *)b.p, "secret"));
    json_t *j = json_loadb((char *)b.p, b.n, JSON_REJECT_DUPLICATES, NULL), *was = event(&w->run, 0),
           *data = json_object_get(was, "data");
    assert_non_null(j);
    json_object_del(data, "text"); /* all else is as it was */
    json_object_set_new(data, "erased", json_true());
    assert_true(json_equal(j, was));
    json_decref(j);
    json_decref(was);
    bytes_release(&b);
}

static void what_was_told_is_not_told_again_but_counted(void **state)
{
    struct world *w = *state;
    struct record log[10];
    for (int i = 0; i < 10; i++)
        log[i] = chat_record(
            w->arena, i,
            &(struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = (uint64_t)i + 1});
    run_open(&w->run, &hook_core, &settings, NULL, 0, 7); /* recovering: below 7 it was sent before */
    assert_int_equal(run_batch(&w->run, log, 7), CORE_OK);
    assert_int_equal(w->run.fx.n_sends, 0);
    assert_int_equal(run_batch(&w->run, log + 7, 3), CORE_OK);
    assert_int_equal(w->run.fx.n_sends, 3);
    assert_int_equal(item(&w->run, 0).seq, 8);
}

static void a_restart_goes_on_with_the_same_numbers(void **state)
{
    struct world *w = *state;
    struct rng rng = {5};
    enum { N = 300 };
    struct record *log = random_log(w->arena, &rng, N, 1);
    struct run whole = {0};
    run_open(&whole, &hook_core, &settings, NULL, 0, 0);
    assert_int_equal(run_batch(&whole, log, N), CORE_OK);
    run_open(&w->run, &hook_core, &settings, NULL, 0, 0);
    for (size_t at = 0; at < N;) {
        size_t n = 1 + rng_below(&rng, 20);
        n = at + n > N ? N - at : n;
        assert_int_equal(run_batch(&w->run, log + at, n), CORE_OK);
        at += n;
        if (rng_below(&rng, 3) == 0) {
            run_crash(&w->run);
            run_open(&w->run, &hook_core, &settings, NULL, (int64_t)at, 0);
        }
    }
    assert_true(whole.fx.n_sends > 20);
    assert_int_equal(w->run.fx.n_sends, whole.fx.n_sends);
    for (size_t i = 0; i < whole.fx.n_sends; i++) {
        assert_int_equal(w->run.fx.sends[i].value.n, whole.fx.sends[i].value.n);
        assert_memory_equal(w->run.fx.sends[i].value.p, whole.fx.sends[i].value.p, whole.fx.sends[i].value.n);
    }
    run_release(&whole);
    free(log);
}

static void only_what_is_asked_for(void **state)
{
    struct world *w = *state;
    struct id16 wanted = id_direct(uid("anna"), uid("carl"));
    struct endpoint some = {
        .name = "some", .kinds = 1ull << IM__CONV_KIND__CONV_MESSAGE, .convs = &wanted, .n_convs = 1};
    const struct hook_settings few = {.endpoint = &some, .cache_bytes = 1 << 20};
    struct record log[2];
    log[0] =
        chat_record(w->arena, 1, &(struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1});
    log[1] =
        chat_record(w->arena, 2, &(struct chat){.from = "anna", .to = "carl", .device = 1, .client_seq = 1});
    run_open(&w->run, &hook_core, &few, NULL, 0, 0);
    assert_int_equal(run_batch(&w->run, log, 2), CORE_OK);
    assert_int_equal(w->run.fx.n_sends, 1);
    assert_int_equal(item(&w->run, 0).offset, 2);
    run_crash(&w->run);
    w->run.fx.n_sends = 0;
    some.kinds = 1ull << IM__CONV_KIND__CONV_EDIT;
    run_open(&w->run, &hook_core, &few, NULL, 3, 0);
    log[1] =
        chat_record(w->arena, 3, &(struct chat){.from = "anna", .to = "carl", .device = 1, .client_seq = 2});
    assert_int_equal(run_batch(&w->run, log + 1, 1), CORE_OK);
    assert_int_equal(w->run.fx.n_sends, 0);
}

static void rubbish_is_passed_over_and_the_future_stops_it(void **state)
{
    struct world *w = *state;
    struct record r =
        chat_record(w->arena, 5, &(struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1});
    struct record rubbish = r, later;
    rubbish.offset = 4;
    rubbish.value = (struct slice){"\xff\xff\xff", 3};
    run_open(&w->run, &hook_core, &settings, NULL, 0, 0);
    const struct record two[] = {rubbish, r};
    assert_int_equal(run_batch(&w->run, two, 2), CORE_OK);
    assert_int_equal(w->run.fx.n_sends, 1);
    later = chat_record(
        w->arena, 6,
        &(struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 2, .rules = 9999});
    assert_int_equal(run_batch(&w->run, &later, 1), CORE_STOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(accepted_records_are_told_in_order_with_their_number, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_an_erased_person_said_can_be_cut_out_later, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_told_is_not_told_again_but_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_goes_on_with_the_same_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(only_what_is_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(rubbish_is_passed_over_and_the_future_stops_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
