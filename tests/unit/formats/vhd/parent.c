// SPDX-License-Identifier: Apache-2.0
/* vpc: the names that a differencing disk has for its parent, and the check of the parent's
 * identity. */
#include "tests/support/vhd-image.h"

#include <errno.h>
#include <sys/stat.h>

enum { LOCATOR_AT = 8192, SPACE = 16384, EPOCH_2000 = 946684800 };

static struct sample s = {.fd = -1}, parent = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    sample_end(&parent);
    return 0;
}

static void make_child(void)
{
    make_dynamic(&s, MIB, MIB, DIFFERENCING);
    set_size(&s, LOCATOR_AT + 8 * SPACE);
}

static void put_name(const char *name)
{
    for (size_t i = 0; name[i]; i++)
        put_be(&s, DYNAMIC_PARENT_NAME + 2 * i, 2, (uint8_t)name[i]);
}

/* Puts locator n, from 1 on, with length bytes of platform data at a place of its own. */
static void put_locator(unsigned n, const char *code, const void *data, size_t length)
{
    uint64_t entry = DYNAMIC_LOCATORS + 24 * (n - 1), at = LOCATOR_AT + (n - 1) * SPACE;

    put(&s, entry, code, 4);
    put_be(&s, entry + 4, 4, n % 2 ? 1 : 512); /* sectors or bytes: ignored */
    put_be(&s, entry + 8, 4, length);
    put_be(&s, entry + 16, 8, at);
    if (length)
        put(&s, at, data, length);
}

static void assert_name(size_t n, const char *source, const char *path, bool is_windows)
{
    ASSERT_REFERENCE(n, REFERENCE_BACKING, "parent", path);
    assert_string_equal(s.disk.references[n].source, source);
    assert_string_equal(s.disk.references[n].format, "vpc");
    assert_int_equal(s.disk.references[n].is_windows, is_windows);
}

/* The name and all locators, in the header's order. Locators of zeros are unused. */
static void test_names(void **state)
{
    (void)state;
    make_child();
    put_name("name.vhd");
    put_locator(1, "W2ru", ".\0\\\0p\0", 6);
    put_locator(3, "W2ku", "C\0:\0\xe4\0\xac\x20\0\0", 10); /* with its NUL */
    put_locator(4, "Wi2r", ".\\p", 3);
    put_locator(5, "Wi2k", "C:\\\xe4\0", 5); /* in an unknown code page */
    put_locator(6, "MacX", "file://localhost/p%20q", 22);
    put_locator(7, "Mac ", "\1\2\3", 3);
    put_locator(8, "\x1bZZ\\", "path", 4);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.references_count, 8);
    assert_name(0, "parent_unicode_name", "name.vhd", true);
    assert_name(1, "parent_locator_1 W2ru", ".\\p", true);
    assert_name(2, "parent_locator_3 W2ku", "C:\xc3\xa4\xe2\x82\xac", true);
    assert_name(3, "parent_locator_4 Wi2r", ".\\p", true);
    assert_name(4, "parent_locator_5 Wi2k", "C:\\\xe4", true);
    assert_name(5, "parent_locator_6 MacX", "file://localhost/p%20q", false);
    assert_name(6, "parent_locator_7 Mac", "", false);
    assert_name(7, "parent_locator_8 \\x1bZZ\\x5c", "", false);
    assert_ptr_equal(s.disk.backing_reference, &s.disk.references[0]);
    assert_string_equal(image_problems(s.img), "");
}

/* Without a name, the first locator names the parent; without a locator, the parent has no name. */
static void test_missing_names(void **state)
{
    (void)state;
    make_child();
    put_locator(2, "W2ru", "p\0", 2);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.references_count, 1);
    assert_name(0, "parent_locator_2 W2ru", "p", true);
    assert_stream_fails(&s, 0, EACCES, "parent \"p\"");
    make_child();
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.references_count, 1);
    assert_name(0, "parent_unicode_name", "", true);
    assert_string_equal(image_problems(s.img), "");
    assert_stream_fails(&s, 0, EACCES, "parent_unicode_name");
    /* A name ends at its NUL. */
    put_name("a");
    put_be(&s, DYNAMIC_PARENT_NAME + 4, 2, 'b');
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_name(0, "parent_unicode_name", "a", true);
    /* A dynamic disk has no parent, even if the fields name one. */
    change_footer(&s, 0, VHD_TYPE, 4, DYNAMIC);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.references_count, 0);
}

/* A locator that cannot be read is listed without a path, and the disk opens. */
static void test_bad_locators(void **state)
{
    static const struct {
        uint32_t length;
        uint64_t offset; /* 0: where it is */
        const char *key;
    } cases[] = {
        {0, 0, "(0 bytes at offset 8192)"},
        {4, UINT64_MAX - 3, "past the end"},
        {4, UINT64_MAX, "past the end"},
        {4, LOCATOR_AT + 8 * SPACE - 3, "past the end"},
        {UINT32_MAX, 0, "4294967295 bytes at offset 8192"},
        {5, 0, "UTF-16"},
        {8194, 0, "4095 bytes"},
        {8, LOCATOR_AT + 8 * SPACE - 8, "empty"}, /* only NULs */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        make_child();
        put_locator(1, "W2ku", "x\0x\0", 4);
        put_locator(2, "W2ru", "p\0", 2);
        put_be(&s, DYNAMIC_LOCATORS + 8, 4, cases[i].length);
        if (cases[i].offset)
            put_be(&s, DYNAMIC_LOCATORS + 16, 8, cases[i].offset);
        assert_int_equal(sample_open(&s, &vhd_driver), 0);
        assert_reported(s.img, "parent_locator_1 W2ku");
        assert_reported(s.img, cases[i].key);
        assert_int_equal(s.disk.references_count, 2);
        assert_name(0, "parent_locator_1 W2ku", "", true);
        assert_name(1, "parent_locator_2 W2ru", "p", true);
    }
}

/* A path has at most 4095 bytes of UTF-8, in as many characters or fewer. */
static void test_long_paths(void **state)
{
    static uint8_t text[8192];
    static const struct {
        const char *code, *unit;
        size_t unit_bytes, utf8_bytes, most;
    } cases[] = {
        {"W2ku", "x", 2, 1, 4095}, {"W2ru", "\xac\x20", 2, 3, 1365}, {"Wi2k", "y", 1, 1, 4095}};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t more = 0; more < 2; more++) {
            size_t units = cases[i].most + more;

            make_child();
            for (size_t k = 0; k < units; k++)
                memcpy(text + k * cases[i].unit_bytes, cases[i].unit, cases[i].unit_bytes);
            put_locator(1, cases[i].code, text, units * cases[i].unit_bytes);
            assert_int_equal(sample_open(&s, &vhd_driver), 0);
            assert_int_equal(s.disk.references[0].length, more ? 0 : units * cases[i].utf8_bytes);
            if (more)
                assert_reported(s.img, "4095 bytes");
            else
                assert_string_equal(image_problems(s.img), "");
        }
}

/* Makes a child that records this identity of its parent, and a parent with that modification time.
 */
static void make_pair(uint64_t id, uint32_t time, uint32_t footer_time, int64_t modified)
{
    const struct timespec times[2] = {{.tv_sec = modified}, {.tv_sec = modified}};

    make_child();
    put_be(&s, DYNAMIC_PARENT_ID, 8, id);
    put_be(&s, DYNAMIC_PARENT_ID + 8, 8, 7);
    put_be(&s, DYNAMIC_PARENT_TIME, 4, time);
    make_dynamic(&parent, MIB, MIB, DYNAMIC);
    change_footer(&parent, 0, VHD_UNIQUE_ID, 8, 0x0123456789abcdef);
    change_footer(&parent, 0, VHD_UNIQUE_ID + 8, 8, 7);
    change_footer(&parent, 0, 24, 4, footer_time);
    assert_int_equal(futimens(parent.fd, times), 0);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(sample_open(&parent, &vhd_driver), 0);
}

static void assert_set(int error, const char *key)
{
    assert_int_equal(disk_set_backing(&s.disk, &parent.disk, NULL), -error);
    if (error) {
        assert_reported(s.img, key);
        assert_reported(s.img, "any-parent");
        assert_stream_fails(&s, 0, error, key);
        assert_null(s.disk.backing);
    } else {
        assert_ptr_equal(s.disk.backing, &parent.disk);
        assert_string_equal(image_problems(s.img), "");
        ASSERT_EXTENTS(&s, 0, ZERO(MIB));
    }
    assert_int_equal(
        disk_set_backing(&s.disk, &parent.disk, &(struct open_options){.any_parent = true}), 0);
    assert_ptr_equal(s.disk.backing, &parent.disk);
}

#define ID 0x0123456789abcdef

static void test_identity(void **state)
{
    (void)state;
    make_pair(ID, 1000, 5, EPOCH_2000 + 1000); /* the modification time */
    assert_set(0, NULL);
    make_pair(ID, 1000, 1000, EPOCH_2000 + 5); /* the time stamp of the footer */
    assert_set(0, NULL);
    make_pair(ID, 0, 7, EPOCH_2000 + 5); /* not recorded */
    assert_set(0, NULL);
    make_pair(ID, UINT32_MAX, 7, EPOCH_2000 + INT64_C(0xffffffff));
    assert_set(0, NULL);
    make_pair(ID ^ 1, 0, 0, EPOCH_2000);
    assert_set(EUCLEAN, "01234567-89ab-cdee-0000-000000000007");
    make_pair(ID, 289224000, 289310400, EPOCH_2000 + 289223999);
    assert_set(EUCLEAN, "2009-03-01 11:59:59");
}

/* Times are formatted right at the ends of months, years, centuries, and before 1970. */
static void test_times(void **state)
{
    static const struct {
        int64_t seconds; /* since 1970 */
        const char *key;
    } cases[] = {
        {0, "1970-01-01 00:00:00"},           {-1, "1969-12-31 23:59:59"},
        {951782399, "2000-02-28 23:59:59"},   {951782400, "2000-02-29 00:00:00"},
        {951868800, "2000-03-01 00:00:00"},   {978307199, "2000-12-31 23:59:59"},
        {978307200, "2001-01-01 00:00:00"},   {4107542399, "2100-02-28 23:59:59"},
        {4107542400, "2100-03-01 00:00:00"},  {1709164800, "2024-02-29 00:00:00"},
        {-2147483648, "1901-12-13 20:45:52"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stat st;

        make_pair(ID, 99, 7, cases[i].seconds);
        assert_int_equal(fstat(parent.fd, &st), 0);
        assert_int_equal(st.st_mtime, cases[i].seconds);
        assert_set(EUCLEAN, cases[i].key);
    }
    make_pair(ID, UINT32_MAX, 7, EPOCH_2000);
    assert_set(EUCLEAN, "2136-02-07 06:28:15");
}

/* A parent may be a fixed disk, but not of another format. */
static void test_kinds_of_parents(void **state)
{
    (void)state;
    make_child();
    put_be(&s, DYNAMIC_PARENT_ID, 8, 0x8877665544332211);
    make_fixed(&parent, MIB);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(sample_open(&parent, &vhd_driver), 0);
    assert_set(0, NULL);
    assert_int_equal(sample_open(&parent, &raw_driver), 0);
    assert_set(EUCLEAN, "vpc: the parent is raw, not vpc; -o any-parent accepts it anyway");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_missing_names),
        cmocka_unit_test(test_bad_locators),
        cmocka_unit_test(test_long_paths),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_kinds_of_parents),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
