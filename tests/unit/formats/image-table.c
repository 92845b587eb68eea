// SPDX-License-Identifier: Apache-2.0
/* The reading session: windows and paged tables. */
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

static void test_window(void **state)
{
    struct image_window w;
    const uint8_t *p;

    (void)state;
    pattern_file(&s, 10000);
    assert_int_equal(image_window_begin(s.img, &w, 4096), 0);
    assert_int_equal(image_window_at(s.img, &w, 100, 4096, &p), 0);
    assert_pattern(p, 100, 4096, 10000);
    assert_int_equal(image_bytes_read(s.img), 4096);
    /* Bytes that it holds are not read again, at either end. */
    assert_int_equal(image_window_at(s.img, &w, 100, 1, &p), 0);
    assert_pattern(p, 100, 1, 10000);
    assert_int_equal(image_window_at(s.img, &w, 4195, 1, &p), 0);
    assert_pattern(p, 4195, 1, 10000);
    assert_int_equal(image_bytes_read(s.img), 4096);
    /* One byte beyond either end: the window then holds only the bytes requested. */
    assert_int_equal(image_window_at(s.img, &w, 4195, 2, &p), 0);
    assert_pattern(p, 4195, 2, 10000);
    assert_int_equal(image_bytes_read(s.img), 4098);
    assert_int_equal(image_window_at(s.img, &w, 4194, 2, &p), 0);
    assert_pattern(p, 4194, 2, 10000);
    assert_int_equal(image_bytes_read(s.img), 4100);
}

static void test_window_ends(void **state)
{
    struct image_window w;
    const uint8_t *p;

    (void)state;
    pattern_file(&s, 1000);
    assert_int_equal(image_window_begin(s.img, &w, 512), 0);
    assert_int_equal(image_window_at(s.img, &w, 900, 512, &p), 0);
    assert_pattern(p, 900, 512, 1000);
    assert_int_equal(image_window_at(s.img, &w, UINT64_MAX - 100, 512, &p), 0);
    assert_pattern(p, 1000, 512, 1000);
    assert_int_equal(image_bytes_read(s.img), 100);
    assert_int_equal(image_window_at(s.img, &w, 0, 513, &p), -EFBIG);
    assert_reported(s.img, "513 bytes of a table at offset 0");
    assert_int_equal(image_window_at(s.img, &w, 0, 0, &p), 0);
}

/* After a failed read the window is empty: it does not return its former bytes. */
static void test_window_after_failure(void **state)
{
    struct image_window w;
    const uint8_t *p;

    (void)state;
    pattern_file(&s, 1000);
    assert_int_equal(image_window_begin(s.img, &w, 512), 0);
    assert_int_equal(image_window_at(s.img, &w, 0, 10, &p), 0);
    set_size(&s, 200);
    assert_int_equal(image_window_at(s.img, &w, 100, 512, &p), -EIO);
    assert_reported(s.img, "the file has become shorter than 1000 bytes");
    assert_int_equal(image_window_at(s.img, &w, 0, 10, &p), 0);
    assert_pattern(p, 0, 10, 1000);
    assert_int_equal(image_bytes_read(s.img), 10 + 100 + 10);
}

/* Reading ahead: small steps cost a single read per capacity. */
static void test_ahead(void **state)
{
    struct image_window w;
    const uint8_t *p;

    (void)state;
    pattern_file(&s, 5000);
    assert_int_equal(image_window_begin(s.img, &w, 1000), 0);
    for (uint64_t at = 0; at < 3000; at += 8) {
        assert_int_equal(image_window_ahead(s.img, &w, at, 8, 3000 - at, &p), 0);
        assert_pattern(p, at, 8, 5000);
    }
    assert_int_equal(image_bytes_read(s.img), 3000);
}

/* Pieces begin at multiples of IMAGE_TABLE_PIECE from the start of the table; the last one is
 * shorter. */
static void test_table(void **state)
{
    const uint64_t entries = IMAGE_TABLE_PIECE / 4 + 3;
    struct image_table t = {.offset = 100, .entries = entries, .entry_bytes = 4};
    const uint64_t size = t.offset + 4 * entries;
    const uint8_t *p;
    uint64_t count, read;

    (void)state;
    pattern_file(&s, size);
    assert_int_equal(image_table_at(s.img, &t, 5, &p, &count), 0);
    assert_int_equal(count, IMAGE_TABLE_PIECE / 4 - 5);
    assert_pattern(p, 120, 4, size);
    read = image_bytes_read(s.img);
    assert_int_equal(image_table_at(s.img, &t, IMAGE_TABLE_PIECE / 4 - 1, &p, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(image_bytes_read(s.img), read);
    assert_int_equal(image_table_at(s.img, &t, entries - 1, &p, &count), 0);
    assert_int_equal(count, 1);
    assert_pattern(p, 100 + 4 * (entries - 1), 4, size);
    assert_int_equal(image_bytes_read(s.img), read + 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_window_ends),
        cmocka_unit_test(test_window_after_failure),
        cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
