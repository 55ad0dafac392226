/* Parts of the load generator that figures rest on: places of pages, and the file of accounts. */
#include "bench/args.h"
#include "bench/page.h"
#include "bench/people.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void places_have_a_whole_page_below(void **state)
{
    struct page_set s = {.n = 7};
    struct rng r = {1};
    uint64_t low = UINT64_MAX, high = 0;
    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct page_place p = page_random(&s, &r);
        assert_true(p.i < 7);
        low = p.before < low ? p.before : low;
        high = p.before > high ? p.before : high;
    }
    assert_int_equal(low, PAGE_ROWS + 1);
    assert_int_equal(high, PAGE_CONV);
}

static void same_seed_same_places(void **state)
{
    struct page_set s = {.n = 100};
    struct rng a = {42}, b = {42};
    (void)state;
    for (int i = 0; i < 100; i++) {
        struct page_place p = page_random(&s, &a), q = page_random(&s, &b);
        assert_true(p.i == q.i && p.before == q.before);
    }
}

static void people_are_those_of_the_file(void **state)
{
    char path[] = "/tmp/parley-people-XXXXXX";
    struct people p;
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    close(fd);
    json_t *file = json_pack("{s:s, s:s, s:{s:s, s:s}}", "prefix", "bench1", "password", "x", "tokens",
                             "bench1-0", "T0", "bench1-1", "T1");
    assert_int_equal(people_write(file, path), 0);
    json_decref(file);
    assert_int_equal(people_read(&p, path, 2), 0);
    assert_string_equal(p.v[1].login, "bench1-1");
    assert_string_equal(p.v[1].token, "T1");
    assert_true(id_eq(p.v[1].id, id_user("bench1-1")));
    people_release(&p);
    assert_true(people_read(&p, path, 3) < 0); /* only two */
    unlink(path);
    assert_true(people_read(&p, path, 1) < 0);
}

static void names_of_edges_become_addresses(void **state)
{
    (void)state;
    struct arg_list edges = {{"127.0.0.1:7000", "[::1]:7001"}, 2};
    assert_int_equal(args_edges(&edges), 0);
    assert_string_equal(edges.v[0], "127.0.0.1:7000");
    assert_string_equal(edges.v[1], "[::1]:7001");
    edges =
        (struct arg_list){{"127.1:7000"}, 1}; /* no numeric address to addr_parse, and needs no resolver */
    assert_int_equal(args_edges(&edges), 0);
    assert_string_equal(edges.v[0], "127.0.0.1:7000");
    free((void *)(uintptr_t)edges.v[0]);
    edges = (struct arg_list){{"no-port-at-all"}, 1};
    assert_int_not_equal(args_edges(&edges), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_have_a_whole_page_below),
        cmocka_unit_test(same_seed_same_places),
        cmocka_unit_test(people_are_those_of_the_file),
        cmocka_unit_test(names_of_edges_become_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
