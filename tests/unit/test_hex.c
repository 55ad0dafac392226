#include "common/base/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void there_and_back(void **state)
{
    (void)state;
    char text[9];
    unsigned char back[4];
    assert_string_equal(hex_encode(text, "\x00\x9f\xa0\xff", 4), "009fa0ff");
    assert_int_equal(hex_decode(back, 4, "009Fa0fF"), 0);
    assert_memory_equal(back, "\x00\x9f\xa0\xff", 4);
    assert_string_equal(hex_encode(text, "", 0), "");
}

static void refuses(void **state)
{
    (void)state;
    unsigned char out[4];
    static const char *const texts[] = {"",         "009fa0f",  "009fa0fff", "009fa0fg",
                                        "009f a0f", "0x9fa0ff", "@@@@@@@@"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(hex_decode(out, 4, texts[i]), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(there_and_back), cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
