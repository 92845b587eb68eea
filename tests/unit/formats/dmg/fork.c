// SPDX-License-Identifier: Apache-2.0
/* dmg: resource forks. */
#include <errno.h>

#include "tests/support/dmg-image.h"

enum { FORK_AT = 1000, FORK_BYTES = 200, DATA_AT = 32 };

static struct sample s = {.fd = -1};
static struct image_window window;
static struct dmg_fork f;

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* A fork with two resources, of 5 and 3 bytes. */
static void make_fork(void)
{
    sample_begin(&s);
    put_be(&s, FORK_AT, 4, DATA_AT);
    put_be(&s, FORK_AT + 8, 4, 16);
    put_be(&s, FORK_AT + DATA_AT, 4, 5);
    put_text(&s, FORK_AT + DATA_AT + 4, "hello");
    put_be(&s, FORK_AT + DATA_AT + 9, 4, 3);
    put_text(&s, FORK_AT + DATA_AT + 13, "you");
    set_size(&s, FORK_AT + FORK_BYTES);
}

static int begin(uint64_t length)
{
    sample_session(&s);
    assert_int_equal(image_window_begin(s.img, &window, 64), 0);
    return dmg_fork_begin(&f, s.img, &window, FORK_AT, length);
}

static void test_resources(void **state)
{
    uint8_t bytes[8];
    size_t got;

    (void)state;
    make_fork();
    assert_int_equal(begin(FORK_BYTES), 0);
    assert_int_equal(dmg_fork_next(&f), 1);
    assert_int_equal(dmg_fork_read(&f, bytes, 2, &got), 0);
    assert_int_equal(got, 2);
    assert_int_equal(dmg_fork_read(&f, bytes, 8, &got), 0);
    assert_int_equal(got, 3);
    assert_memory_equal(bytes, "llo", 3);
    assert_int_equal(dmg_fork_read(&f, bytes, 8, &got), 0);
    assert_int_equal(got, 0);
    assert_int_equal(dmg_fork_next(&f), 1);
    /* A resource that is not read is skipped. */
    assert_int_equal(dmg_fork_next(&f), 0);
    assert_int_equal(dmg_fork_next(&f), 0);
}

static void test_header(void **state)
{
    (void)state;
    make_fork();
    assert_int_equal(begin(DATA_AT + 16), 0);
    assert_int_equal(begin(DATA_AT + 15), -EUCLEAN);
    assert_reported(s.img, "resource data of 16 bytes at 32");
    assert_int_equal(begin(DATA_AT - 1), -EUCLEAN);
    put_be(&s, FORK_AT + 8, 4, 0);
    assert_int_equal(begin(FORK_BYTES), -EUCLEAN);
    put_be(&s, FORK_AT + 8, 4, UINT32_MAX);
    assert_int_equal(begin(FORK_BYTES), -EUCLEAN);
    put_be(&s, FORK_AT, 4, UINT32_MAX);
    assert_int_equal(begin(FORK_BYTES), -EUCLEAN);
}

static void test_lengths(void **state)
{
    (void)state;
    make_fork();
    put_be(&s, FORK_AT + DATA_AT + 9, 4, 4);
    assert_int_equal(begin(FORK_BYTES), 0);
    assert_int_equal(dmg_fork_next(&f), 1);
    assert_int_equal(dmg_fork_next(&f), -EUCLEAN);
    assert_reported(s.img, "resource of 4 bytes at offset 1045");
    put_be(&s, FORK_AT + DATA_AT, 4, 0);
    assert_int_equal(begin(FORK_BYTES), 0);
    assert_int_equal(dmg_fork_next(&f), -EUCLEAN);
    put_be(&s, FORK_AT + DATA_AT, 4, UINT32_MAX);
    assert_int_equal(begin(FORK_BYTES), 0);
    assert_int_equal(dmg_fork_next(&f), -EUCLEAN);
    put_be(&s, FORK_AT + DATA_AT, 4, 9);
    assert_int_equal(begin(FORK_BYTES), 0);
    assert_int_equal(dmg_fork_next(&f), 1);
    assert_int_equal(dmg_fork_next(&f), -EUCLEAN);
    assert_reported(s.img, "dmg: 3 bytes after the last resource are too few for another");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resources),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
