// SPDX-License-Identifier: Apache-2.0
/* The parent locator of VHDX: the paths that it names, its rules, and the check of the parent's
 * identity. */
#include "tests/support/vhdx-image.h"

#include <errno.h>

static struct sample parent = {.fd = -1};

static void test_parent(void **state)
{
    static const uint16_t absolute[] = {'C', ':', '/', 'a'};
    static const uint16_t relative[] = {0xe4, 0x20ac, 0xd83d, 0xde00, 0xdc00, 0xd800, 'x', 0x202e};

    (void)state;
    make_differencing(&s, 64 * MIB, 8 * MIB, 512, 2);
    put_locator_pair(&s, 0, "parent_linkage", absolute, 1);
    put_locator_pair(&s, 1, "absolute_win32_path", absolute, 4);
    assert_extents_fail(&s, EACCES, "C:/a");
    assert_string_equal(s.disk.subformat, "differencing");
    ASSERT_REFERENCE(0, REFERENCE_BACKING, "parent", "C:/a");
    assert_string_equal(s.disk.backing_reference->source, "absolute_win32_path");
    put_le(&s, LOCATOR + 18, 2, 3);
    put_locator_pair(&s, 2, "relative_path", relative, 8);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    ASSERT_REFERENCE(0, REFERENCE_BACKING, "parent", "C:/a");
    ASSERT_REFERENCE(1, REFERENCE_BACKING, "parent",
                     "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"
                     "\xef\xbf\xbd\xef\xbf\xbd"
                     "x\xe2\x80\xae");
    assert_string_equal(s.disk.references[1].source, "relative_path");
    assert_int_equal(s.disk.references_count, 2);
    assert_string_equal(s.disk.backing_reference->source, "absolute_win32_path");
}

static void test_bad_locators(void **state)
{
    static const uint16_t path[] = {'p'};

    (void)state;
    make_differencing(&s, 64 * MIB, 8 * MIB, 512, 1);
    put_locator_pair(&s, 0, "parent_linkage", path, 1);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "path");
    put_locator_pair(&s, 0, "relative_path", path, 1);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    put_le(&s, LOCATOR + 20 + 10, 2, 3);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "UTF-16");
    put_le(&s, LOCATOR + 20 + 10, 2, 2);
    put_le(&s, LOCATOR + 20 + 4, 4, 2047);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "2048 bytes");
    put_le(&s, LOCATOR + 20, 4, UINT32_MAX);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "2048 bytes");
    put_le(&s, LOCATOR + 18, 2, UINT16_MAX);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "65535 pairs");
    put_le(&s, LOCATOR, 1, 0);
    assert_refused(&s, &vhdx_driver, ENOTSUP, "LocatorType");
    make_differencing(&s, 64 * MIB, 8 * MIB, 512, 0);
    put_le(&s, METADATA + 32 + 32 * 5 + 20, 4, MIB - 65536 - 64);
    set_size(&s, METADATA + MIB - 1);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "parent locator (982976 bytes");
}

/* Paths are in the order of the pairs. Other keys are ignored, and so is a key that is repeated. */
static void test_order(void **state)
{
    (void)state;
    make_differencing(&s, 64 * MIB, 8 * MIB, 512, 7);
    put_locator_text(&s, 0, "volume_path", "v");
    put_locator_text(&s, 1, "parent_linkage2", "x");
    put_locator_text(&s, 2, "some_path", "p");
    put_locator_text(&s, 3, "relative_path", "r");
    put_locator_text(&s, 4, "volume_path", "w");
    put_locator_text(&s, 5, "absolute_win32_path", "a");
    put_locator_text(&s, 6, "Relative_path", "R");
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    assert_int_equal(s.disk.references_count, 3);
    ASSERT_REFERENCE(0, REFERENCE_BACKING, "parent", "v");
    ASSERT_REFERENCE(1, REFERENCE_BACKING, "parent", "r");
    ASSERT_REFERENCE(2, REFERENCE_BACKING, "parent", "a");
    assert_string_equal(s.disk.references[0].source, "volume_path");
    assert_string_equal(s.disk.references[2].format, "vhdx");
    assert_true(s.disk.references[2].is_windows);
    assert_ptr_equal(s.disk.backing_reference, &s.disk.references[0]);
    assert_reported(s.img, "volume_path twice");
    /* An empty value is not a path, nor are NULs. */
    put_le(&s, LOCATOR + 18, 2, 1);
    put_locator_text(&s, 0, "volume_path", "");
    assert_refused(&s, &vhdx_driver, EUCLEAN, "path");
    put_locator_pair(&s, 0, "volume_path", (const uint16_t[]){0, 0}, 2);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "path");
}

#define GUID  "{03020100-0504-0706-0809-0a0b0c0d0e0f}"
#define OTHER "{03020100-0504-0706-0809-0a0b0c0d0eff}"

/* Sets the backing image of a child with these linkages (NULL: none) to one with DataWriteGuid
 * GUID. */
static int set_backing(const char *one, const char *two)
{
    make_differencing(&s, 64 * MIB, 8 * MIB, 512, 3);
    put_locator_text(&s, 0, "relative_path", "r");
    put_locator_text(&s, 1, one ? "parent_linkage" : "x", one ? one : "x");
    put_locator_text(&s, 2, two ? "parent_linkage2" : "x", two ? two : "x");
    make_vhdx(&parent, 64 * MIB, MIB, 512);
    for (uint64_t i = 0; i < 16; i++) /* of header 2, the current one */
        put_le(&parent, HEADER2 + 32 + i, 1, i);
    seal_all(&parent);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    assert_int_equal(sample_open(&parent, &vhdx_driver), 0);
    return disk_set_backing(&s.disk, &parent.disk, NULL);
}

static void test_identity(void **state)
{
    (void)state;
    assert_int_equal(set_backing(GUID, NULL), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(64 * MIB));
    assert_int_equal(set_backing("{03020100-0504-0706-0809-0A0B0C0D0E0F}", NULL), 0);
    assert_int_equal(set_backing(OTHER, GUID), 0);
    assert_int_equal(set_backing(NULL, GUID), 0);
    assert_string_equal(image_problems(s.img), "");
    assert_int_equal(set_backing(OTHER, NULL), -EUCLEAN);
    assert_reported(s.img, "parent_linkage is \"" OTHER "\";");
    assert_stream_fails(&s, 0, EUCLEAN, "DataWriteGuid");
    assert_int_equal(
        disk_set_backing(&s.disk, &parent.disk, &(struct open_options){.any_parent = true}), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(64 * MIB));
    assert_int_equal(set_backing(OTHER, "{}"), -EUCLEAN);
    assert_reported(s.img, "DataWriteGuid of the parent is " GUID ", but parent_linkage is \"" OTHER
                           "\", parent_linkage2 \"{}\"; -o any-parent accepts it anyway");
    assert_int_equal(set_backing("03020100-0504-0706-0809-0a0b0c0d0e0f", NULL), -EUCLEAN);
    assert_int_equal(set_backing(NULL, NULL), -EUCLEAN);
    assert_reported(s.img, "parent_linkage is \"\";");
    assert_int_equal(set_backing(GUID "x", NULL), -EUCLEAN);
}

static void test_other_format(void **state)
{
    (void)state;
    set_backing(GUID, NULL);
    assert_int_equal(sample_open(&parent, &raw_driver), 0);
    assert_int_equal(disk_set_backing(&s.disk, &parent.disk, NULL), -EUCLEAN);
    assert_reported(s.img, "vhdx: the parent is raw, not vhdx; -o any-parent accepts it anyway");
}

static int end_both(void **state)
{
    sample_end(&parent);
    return end(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parent),       cmocka_unit_test(test_bad_locators),
        cmocka_unit_test(test_order),        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_other_format),
    };

    return cmocka_run_group_tests(tests, NULL, end_both);
}
