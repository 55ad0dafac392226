#include "common/im/codes.h"

#include "proto/client.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void every_code_has_a_row(void **state)
{
    (void)state;
    size_t n;
    const struct code *c = codes_all(&n);
    const ProtobufCEnumDescriptor *d = &im__code__descriptor;
    assert_int_equal(n, d->n_values);
    for (size_t i = 0; i < n; i++) {
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, c[i].number);
        assert_non_null(v);
        assert_string_equal(c[i].name, v->name);
        assert_true(i == 0 || c[i - 1].number < c[i].number);
        assert_true(strlen(c[i].cause) > 5 && strlen(c[i].fix) > 5);
        assert_ptr_equal(code_get(c[i].number), &c[i]);
    }
    assert_null(code_get(7));
    assert_string_equal(code_name(400), "STALE");
    assert_string_equal(code_name(7), "?");
    assert_string_equal(code_cause(7), "");
}

/* The page is made from the table; a change without `tools/make-errors` shows here. */
static void the_page_is_fresh(void **state)
{
    (void)state;
    static char page[65536];
    FILE *f = fopen("docs/errors.md", "r");
    assert_non_null(f);
    page[fread(page, 1, sizeof page - 1, f)] = '\0';
    fclose(f);
    size_t n;
    const struct code *c = codes_all(&n);
    for (size_t i = 0; i < n; i++) {
        char row[1024];
        if (c[i].number == 0)
            continue;
        snprintf(row, sizeof row, "\n| %u | `%s` | %s | %s |\n", c[i].number, c[i].name, c[i].cause,
                 c[i].fix);
        if (!strstr(page, row))
            print_error("stale: run tools/make-errors: %s", row);
        assert_non_null(strstr(page, row));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_code_has_a_row),
                                       cmocka_unit_test(the_page_is_fresh)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
