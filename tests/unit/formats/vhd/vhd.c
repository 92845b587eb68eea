// SPDX-License-Identifier: Apache-2.0
/* vpc: which footer is used, in detection and in opening; size and geometry; names of parents. */
#include "tests/support/vhd-image.h"

#include <errno.h>

#include "detect/detect.h"

#define BLOCK (2 * MIB)

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* Detection finds that format. key: of the reason of a rejected vpc candidate; NULL: there is none.
 */
static void assert_detected(const struct format_driver *driver, const char *key)
{
    struct detection d;
    const char *rejected = NULL;

    sample_session(&s);
    assert_int_equal(detect(s.img, NULL, &d), 0);
    assert_ptr_equal(d.driver, driver);
    for (size_t i = 0; i < d.count; i++)
        if (d.candidates[i].driver == &vhd_driver && !d.candidates[i].is_accepted)
            rejected = d.candidates[i].why.words;
    assert_int_equal(rejected != NULL, key != NULL);
    if (key && !strstr(rejected, key))
        fail_msg("rejected because \"%s\"", rejected);
}

static void test_fixed(void **state)
{
    (void)state;
    make_fixed(&s, 8 * MIB);
    put_text(&s, MIB, "x");
    assert_detected(&vhd_driver, NULL);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.virtual_size, 8 * MIB);
    assert_string_equal(s.disk.subformat, "fixed");
    assert_int_equal(s.disk.references_count, 0);
    ASSERT_EXTENTS(&s, 0, ZERO(MIB), DATA(4096, 0), ZERO(7 * MIB - 4096));
    assert_string_equal(image_problems(s.img), "");
}

static void test_fixed_of_nothing(void **state)
{
    (void)state;
    make_fixed(&s, 0);
    assert_detected(&vhd_driver, "first sector");
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.virtual_size, 0);
    assert_extents(&s, 0, NULL, 0);
}

static void test_fixed_checksum(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    put_be(&s, MIB + 100, 1, 1);
    assert_detected(&raw_driver, "checksum");
    assert_refused(&s, &vhd_driver, EUCLEAN, "last footer");
}

static void test_fixed_other_type(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    put_footer(&s, MIB, &(struct footer){"win ", MIB, 0, DYNAMIC, 0});
    assert_detected(&raw_driver, "disk type 3");
    assert_refused(&s, &vhd_driver, EUCLEAN, "disk type 3");
}

/* A footer without its last byte, a reserved one, is not detected, but opens as vpc. */
static void test_fixed_cut_off(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    set_size(&s, MIB + 511);
    assert_detected(&raw_driver, NULL);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.virtual_size, MIB);
    set_size(&s, MIB + 60);
    assert_refused(&s, &vhd_driver, EUCLEAN, "disk type 0");
    set_size(&s, MIB);
    assert_refused(&s, &vhd_driver, EUCLEAN, "no footer");
}

/* The footer is at the end of the file, whatever its size. */
static void test_fixed_odd_size(void **state)
{
    (void)state;
    sample_begin(&s);
    put_footer(&s, MIB + 100, &(struct footer){"win ", MIB, 0, FIXED, 0});
    assert_detected(&vhd_driver, NULL);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.virtual_size, MIB);
}

static void test_fixed_followed(void **state)
{
    static const uint64_t more[] = {1, 100, 511, 512};

    (void)state;
    for (size_t i = 0; i < COUNT(more); i++) {
        make_fixed(&s, MIB);
        set_size(&s, MIB + 512 + more[i]);
        assert_detected(&raw_driver, NULL);
        assert_refused(&s, &vhd_driver, EUCLEAN, "no footer");
    }
}

static void test_two_footers(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    put_footer(&s, MIB + 512, &(struct footer){"win ", MIB / 2, 0, FIXED, 0});
    assert_detected(&vhd_driver, NULL);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.virtual_size, MIB / 2);
}

/* A fixed disk that is larger than the file before the footer is not detected, but opens as vpc. */
static void test_fixed_too_long(void **state)
{
    (void)state;
    sample_begin(&s);
    put_footer(&s, MIB, &(struct footer){"win ", MIB + 1, 0, FIXED, 0});
    assert_detected(&raw_driver, "current size 1048577");
    put_footer(&s, MIB, &(struct footer){"win ", 3 * MIB, 0, FIXED, 0});
    put_text(&s, MIB - 1, "x");
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.virtual_size, 3 * MIB);
    ASSERT_EXTENTS(&s, 0, ZERO(MIB - 4096), DATA(4096 + 512, 0), ZERO(2 * MIB - 512));
}

/* A guest has written a footer to its first sector. */
static void test_fixed_of_footer(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    put_footer(&s, 0, &(struct footer){"win ", 4 * MIB, 0, FIXED, 0});
    assert_detected(&vhd_driver, "first sector");
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.virtual_size, MIB);
    assert_string_equal(s.disk.subformat, "fixed");
    /* With a wrong checksum it is ignored, too. As the valid footer of a dynamic disk it is used.
     */
    put_be(&s, 100, 1, 1);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    put_footer(&s, 0, &(struct footer){"win ", 4 * MIB, 0, DYNAMIC, 0});
    assert_detected(&vhd_driver, "vpc at offset 0 comes first");
    assert_refused(&s, &vhd_driver, EUCLEAN, "no dynamic disk header");
}

static void test_tiny_files(void **state)
{
    (void)state;
    sample_begin(&s);
    assert_detected(&raw_driver, NULL);
    assert_refused(&s, &vhd_driver, EUCLEAN, "no footer");
    put_text(&s, 0, "c");
    assert_detected(&raw_driver, NULL);
    assert_refused(&s, &vhd_driver, EUCLEAN, "no footer");
    put_text(&s, 0, "conectix");
    assert_detected(&vhd_driver, NULL);
    assert_true(sample_open(&s, &vhd_driver) == -EUCLEAN);
}

/* Sizes of a 2 MiB disk with geometry 4/16/63, by creator. */
static void test_size_by_creator(void **state)
{
    static const struct {
        const char *creator;
        uint64_t size;
    } cases[] = {
        {"vpc ", 2064384},     {"qemu", 2064384},  {"win ", 2 * MIB}, {"qem2", 2 * MIB},
        {"d2v ", 2 * MIB},     {"tap\0", 2 * MIB}, {"CTXS", 2 * MIB}, {"wa\0\0", 2 * MIB},
        {"\0\0\0\0", 2 * MIB}, {"vpc\0", 2 * MIB},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        make_fixed(&s, 2 * MIB);
        put_footer(&s, 2 * MIB, &(struct footer){cases[i].creator, 2 * MIB, 0x0004103f, FIXED, 0});
        assert_int_equal(sample_open(&s, &vhd_driver), 0);
        assert_int_equal(s.disk.virtual_size, cases[i].size);
    }
}

/* The same by the rule of qemu before 10.0, which has a list of creators that go by the size. */
static void test_size_by_older_qemu(void **state)
{
    static const struct {
        const char *creator;
        uint64_t older, newer;
    } cases[] = {
        {"vpc ", 2064384, 2064384}, {"qemu", 2064384, 2064384},   {"win ", 2 * MIB, 2 * MIB},
        {"qem2", 2 * MIB, 2 * MIB}, {"d2v ", 2 * MIB, 2 * MIB},   {"tap\0", 2 * MIB, 2 * MIB},
        {"CTXS", 2 * MIB, 2 * MIB}, {"tap ", 2064384, 2 * MIB},   {"vbox", 2064384, 2 * MIB},
        {"vs  ", 2064384, 2 * MIB}, {"wa\0\0", 2064384, 2 * MIB}, {"\0\0\0\0", 2064384, 2 * MIB},
        {"WIN ", 2064384, 2 * MIB}, {"n qe", 2064384, 2 * MIB},
    };
    static const unsigned older[] = {QEMU_VERSION(1, 0), QEMU_VERSION(7, 2), QEMU_VERSION(9, 99)};
    static const unsigned newer[] = {0, QEMU_VERSION(10, 0), QEMU_VERSION(11, 1)};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        make_fixed(&s, 2 * MIB);
        put_footer(&s, 2 * MIB, &(struct footer){cases[i].creator, 2 * MIB, 0x0004103f, FIXED, 0});
        for (size_t k = 0; k < COUNT(older); k++) {
            sample_session(&s);
            assert_int_equal(
                disk_open(&s.disk, s.img, &vhd_driver, &(struct open_options){.qemu = older[k]}),
                0);
            assert_int_equal(s.disk.virtual_size, cases[i].older);
        }
        for (size_t k = 0; k < COUNT(newer); k++) {
            sample_session(&s);
            assert_int_equal(
                disk_open(&s.disk, s.img, &vhd_driver, &(struct open_options){.qemu = newer[k]}),
                0);
            assert_int_equal(s.disk.virtual_size, cases[i].newer);
        }
    }
    /* With the largest geometry all go by the current size. */
    put_footer(&s, 2 * MIB, &(struct footer){"vbox", 2 * MIB, 0xffff10ff, FIXED, 0});
    sample_session(&s);
    assert_int_equal(
        disk_open(&s.disk, s.img, &vhd_driver, &(struct open_options){.qemu = QEMU_VERSION(7, 2)}),
        0);
    assert_int_equal(s.disk.virtual_size, 2 * MIB);
}

static void test_size_limits(void **state)
{
    (void)state;
    make_fixed(&s, 0);
    /* With the largest geometry the current size is used; with one sector per track less it is not.
     */
    put_footer(&s, 0, &(struct footer){"vpc ", 5 * MIB + 511, 0xffff10ff, FIXED, 0});
    assert_int_equal(sample_open(&s, &vhd_driver),
                     -EUCLEAN); /* it is the leading footer of a dynamic disk */
    sample_begin(&s);
    put_footer(&s, 512, &(struct footer){"vpc ", 5 * MIB + 511, 0xffff10ff, FIXED, 0});
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.virtual_size, 5 * MIB);
    put_footer(&s, 512, &(struct footer){"vpc ", 5 * MIB, 0xffff10fe, FIXED, 0});
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.virtual_size, UINT64_C(65535) * 16 * 254 * 512);
    put_footer(&s, 512, &(struct footer){"vpc ", 5 * MIB, 0, FIXED, 0});
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.virtual_size, 0);
    put_footer(&s, 512, &(struct footer){"win ", 2040 * GIB + 511, 0, FIXED, 0});
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.virtual_size, 2040 * GIB);
    put_footer(&s, 512, &(struct footer){"win ", 2040 * GIB + 512, 0, FIXED, 0});
    assert_refused(&s, &vhd_driver, EFBIG, "2040 GiB");
    put_footer(&s, 512, &(struct footer){"win ", UINT64_MAX, 0, FIXED, 0});
    assert_refused(&s, &vhd_driver, EFBIG, "36028797018963967 sectors");
}

static void test_dynamic(void **state)
{
    (void)state;
    make_dynamic(&s, 5 * BLOCK, BLOCK, DYNAMIC);
    assert_detected(&vhd_driver, NULL);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.virtual_size, 5 * BLOCK);
    assert_string_equal(s.disk.subformat, "dynamic");
    assert_int_equal(s.disk.references_count, 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, ZERO(5 * BLOCK));
    assert_string_equal(image_problems(s.img), "");
    /* The last footer is ignored: an equal one, a damaged one, another one. */
    put_footer(&s, 2560, &(struct footer){"win ", 5 * BLOCK, 0, DYNAMIC, 0});
    assert_detected(&vhd_driver, NULL);
    put_be(&s, 2560 + 100, 1, 1);
    assert_detected(&vhd_driver, NULL);
    put_footer(&s, 2560, &(struct footer){"win ", 7 * BLOCK, 0, DYNAMIC, 0});
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.virtual_size, 5 * BLOCK);
}

static void test_dynamic_leading(void **state)
{
    (void)state;
    make_dynamic(&s, BLOCK, BLOCK, DYNAMIC);
    put_footer(&s, 2560, &(struct footer){"win ", BLOCK, 0, DYNAMIC, 0});
    put(&s, 0, (uint8_t[512]){0}, 512);
    assert_detected(&raw_driver, "disk type 3");
    assert_refused(&s, &vhd_driver, EUCLEAN, "disk type 3");
    put_footer(&s, 0, &(struct footer){"win ", BLOCK, 0, DYNAMIC, 0});
    put_be(&s, 100, 1, 1);
    assert_detected(&vhd_driver, NULL);
    assert_refused(&s, &vhd_driver, EUCLEAN, "leading footer");
}

static void test_dynamic_types(void **state)
{
    (void)state;
    make_dynamic(&s, BLOCK, BLOCK, 5);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_reported(s.img, "disk type 5");
    assert_string_equal(s.disk.subformat, "dynamic");
    /* A leading footer of a fixed disk is read as dynamic, unless the file ends with the footer of
     * a fixed disk. */
    put_footer(&s, 0, &(struct footer){"win ", BLOCK, 0, FIXED, DYNAMIC_AT});
    assert_detected(&vhd_driver, NULL);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_reported(s.img, "disk type 2");
    assert_string_equal(s.disk.subformat, "dynamic");
    put_footer(&s, 2560, &(struct footer){"win ", 2048, 0, FIXED, 0});
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_string_equal(s.disk.subformat, "fixed");
    assert_int_equal(s.disk.virtual_size, 2048);
    /* The header may be anywhere, but not past the end. */
    make_dynamic(&s, BLOCK, BLOCK, DYNAMIC);
    put_footer(&s, 0, &(struct footer){"win ", BLOCK, 0, DYNAMIC, UINT64_MAX - 100});
    assert_refused(&s, &vhd_driver, EUCLEAN, "offset 18446744073709551515");
}

static void test_differencing(void **state)
{
    static const uint8_t name[] = {0, 'C', 0, ':', 0, '\\', 0, 'b', 0, '\n'};

    (void)state;
    make_dynamic(&s, BLOCK, BLOCK, DIFFERENCING);
    put(&s, DYNAMIC_PARENT_NAME, name, sizeof name);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_string_equal(s.disk.subformat, "differencing");
    ASSERT_REFERENCE(0, REFERENCE_BACKING, "parent", "C:\\b\n");
    assert_stream_fails(&s, 0, EACCES, "parent \"C:\\b\\x0a\"");
}

/* A name of 256 characters without a NUL, each of three bytes in UTF-8. */
static void test_differencing_long_name(void **state)
{
    (void)state;
    make_dynamic(&s, BLOCK, BLOCK, DIFFERENCING);
    for (uint64_t i = 0; i < 256; i++)
        put_be(&s, DYNAMIC_PARENT_NAME + 2 * i, 2, 0x202e);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(s.disk.backing_reference->length, 3 * 256);
    assert_memory_equal(s.disk.backing_reference->path + 3 * 255, "\xe2\x80\xae", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_fixed_of_nothing),
        cmocka_unit_test(test_fixed_checksum),
        cmocka_unit_test(test_fixed_other_type),
        cmocka_unit_test(test_fixed_cut_off),
        cmocka_unit_test(test_fixed_odd_size),
        cmocka_unit_test(test_fixed_followed),
        cmocka_unit_test(test_two_footers),
        cmocka_unit_test(test_fixed_too_long),
        cmocka_unit_test(test_fixed_of_footer),
        cmocka_unit_test(test_tiny_files),
        cmocka_unit_test(test_size_by_creator),
        cmocka_unit_test(test_size_by_older_qemu),
        cmocka_unit_test(test_size_limits),
        cmocka_unit_test(test_dynamic),
        cmocka_unit_test(test_dynamic_leading),
        cmocka_unit_test(test_dynamic_types),
        cmocka_unit_test(test_differencing),
        cmocka_unit_test(test_differencing_long_name),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
