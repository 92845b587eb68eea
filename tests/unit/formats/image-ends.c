// SPDX-License-Identifier: Apache-2.0
/* The reading session: head, tail, and what lies past the end of the file. */
#include <errno.h>

#include "tests/support/pattern.h"
#include "tests/support/support.h"

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void test_head_and_tail(void **state)
{
    static const size_t sizes[] = {0,    1,    2,    510,  511,  512,  513,  514, 1022,
                                   1023, 1024, 1025, 1026, 1535, 1536, 1537, 5000};
    static const size_t head = IMAGE_HEAD_BYTES, tail = IMAGE_TAIL_BYTES;

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_t size = sizes[i], before = size < tail ? tail - size : 0;
        const uint8_t *p;

        pattern_file(&s, size);
        assert_int_equal(image_head(s.img, &p), 0);
        assert_pattern(p, 0, head, size);
        assert_int_equal(image_tail(s.img, &p), 0);
        for (size_t k = 0; k < before; k++)
            assert_int_equal(p[k], 0);
        assert_pattern(p + before, size < tail ? 0 : size - tail, tail - before, size);
        /* A short file is read at most twice. */
        assert_true(image_bytes_read(s.img) <= head + (size < tail ? size : tail));
    }
}

static void test_holds(void **state)
{
    (void)state;
    pattern_file(&s, 1000);
    assert_true(image_holds(s.img, 0, 1000));
    assert_true(image_holds(s.img, 1000, 0));
    assert_false(image_holds(s.img, 0, 1001));
    assert_false(image_holds(s.img, 1001, 0));
    assert_false(image_holds(s.img, UINT64_MAX, 2));
    assert_false(image_holds(s.img, 2, UINT64_MAX));
}

static void test_require(void **state)
{
    (void)state;
    pattern_file(&s, 1000);
    assert_int_equal(image_require(s.img, 0, 1000, "x: header"), 0);
    assert_int_equal(image_require(s.img, 1000, 0, "x: header"), 0);
    assert_int_equal(image_require(s.img, 999, 1, "x: header"), 0);
    assert_string_equal(image_problems(s.img), "");
    assert_int_equal(image_require(s.img, 999, 2, "x: header"), -EUCLEAN);
    assert_string_equal(image_problems(s.img),
                        "x: header (2 bytes at offset 999) ends past the end of the file\n");
    assert_int_equal(image_require(s.img, 1001, 0, "x: table"), -EUCLEAN);
    assert_int_equal(image_require(s.img, UINT64_MAX, 2, "x: table"), -EUCLEAN);
    assert_int_equal(image_require(s.img, 2, UINT64_MAX, "x: table"), -EUCLEAN);
    assert_reported(s.img, "(18446744073709551615 bytes at offset 2)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_and_tail),
        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_require),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
