// SPDX-License-Identifier: Apache-2.0
/* vpc: the header fields, of the footer that is used, whether or not the image opens. */
#include "tests/support/header-fields.h"
#include "tests/support/vhd-image.h"

#define BLOCK (2 * MIB)

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void test_fixed(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    open_whatever(&s, &vhd_driver);
    ASSERT_FIELDS(&s, "", "cookie", "conectix", "features", "reserved", "file_format_version",
                  "65536", "data_offset", "18446744073709551615", "time_stamp", "0",
                  "creator_application", "win", "creator_version", "0", "creator_host_os", "",
                  "original_size", "12345", "current_size", "1048576", "cylinders", "0",
                  "geometry_size", "0", "disk_type", "2", "unique_id",
                  "88776655-4433-2211-0000-000000000000", "saved_state", "0");
    assert_field_fails(&s, "copy", "cookie", ENOENT);
    assert_field_fails(&s, "dynamic", "cookie", ENOENT);
    assert_field_fails(&s, "", "table_offset", ENOENT);
    assert_string_equal(image_problems(s.img), "");
}

/* All bytes of each field are used. */
static void test_values(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    put_be(&s, MIB + 8, 4, 0x80000001);
    put_be(&s, MIB + 12, 4, 0xfedcba98);
    put_be(&s, MIB + 24, 4, 0x2d000001);
    put_text(&s, MIB + 28, "q\x1b  ");
    put_be(&s, MIB + 32, 4, 0x00050003);
    put_text(&s, MIB + 36, "Mac ");
    put_be(&s, MIB + 40, 8, UINT64_MAX);
    put_be(&s, MIB + 48, 8, 1);
    put_be(&s, MIB + 56, 4, 0xfffe10ff);
    put_be(&s, MIB + 60, 4, 0xffffffff);
    put_be(&s, MIB + 64, 4, 0x12345678);
    put_be(&s, MIB + 84, 1, 1);
    open_whatever(&s, &vhd_driver);
    ASSERT_FIELDS(&s, "", "features", "temporary bit-31", "file_format_version", "4275878552",
                  "time_stamp", "754974721", "creator_application", "q\\x1b", "creator_version",
                  "327683", "creator_host_os", "Mac", "original_size", "18446744073709551615",
                  "current_size", "1", "cylinders", "65534", "heads", "16", "sectors_per_track",
                  "255", "geometry_size", "136897904640", "disk_type", "4294967295", "checksum",
                  "305419896", "saved_state", "1");
}

static void test_dynamic(void **state)
{
    (void)state;
    make_dynamic(&s, 5 * BLOCK, BLOCK, DYNAMIC);
    put_footer(&s, 2560, &(struct footer){"vpc ", 7 * BLOCK, 0x0004103f, DYNAMIC, 0});
    open_whatever(&s, &vhd_driver);
    ASSERT_FIELDS(&s, "", "current_size", "10485760", "creator_application", "win", "data_offset",
                  "512", "disk_type", "3");
    ASSERT_FIELDS(&s, "copy", "current_size", "14680064", "creator_application", "vpc",
                  "geometry_size", "2064384");
    ASSERT_FIELDS(&s, "dynamic", "cookie", "cxsparse", "data_offset", "18446744073709551615",
                  "table_offset", "2048", "header_version", "65536", "max_table_entries", "5",
                  "block_size", "2097152", "checksum", "0", "parent_unique_id",
                  "00000000-0000-0000-0000-000000000000", "parent_time_stamp", "0",
                  "parent_unicode_name", "");
    assert_field_fails(&s, "dynamic", "parent_locator_1_platform_code", ENOENT);
    assert_field_fails(&s, "dynamic", "parent_locator_8_platform_data_offset", ENOENT);
}

static void test_dynamic_without_copy(void **state)
{
    (void)state;
    make_dynamic(&s, BLOCK, BLOCK, DYNAMIC);
    open_whatever(&s, &vhd_driver);
    assert_field(&s, "", "disk_type", "3");
    assert_field_fails(&s, "copy", "disk_type", ENOENT);
    /* The leading footer is also the last one. */
    set_size(&s, 512);
    open_whatever(&s, &vhd_driver);
    assert_field(&s, "", "disk_type", "3");
    assert_field_fails(&s, "copy", "disk_type", ENOENT);
    assert_field_fails(&s, "dynamic", "cookie", EUCLEAN);
    assert_reported(s.img, "offset 512");
    /* Of a truncated footer, the fields that are in the file. */
    set_size(&s, 60);
    open_whatever(&s, &vhd_driver);
    assert_field(&s, "", "current_size", "2097152");
    assert_field_fails(&s, "", "disk_type", EUCLEAN);
}

static void test_differencing(void **state)
{
    (void)state;
    make_dynamic(&s, BLOCK, BLOCK, DIFFERENCING);
    put_be(&s, DYNAMIC_AT + 40, 8, 0x0011223344556677);
    put_be(&s, DYNAMIC_AT + 48, 8, 0x8899aabbccddeeff);
    put_be(&s, DYNAMIC_AT + 56, 4, 77);
    for (unsigned i = 0; i < 5; i++)
        put_be(&s, DYNAMIC_PARENT_NAME + 2 * i, 2, (uint8_t) "p.vhd"[i]);
    for (unsigned i = 0; i < 8; i += 7) {
        put_text(&s, DYNAMIC_AT + 576 + 24 * i, "W2ru");
        put_be(&s, DYNAMIC_AT + 580 + 24 * i, 4, 512 + i);
        put_be(&s, DYNAMIC_AT + 584 + 24 * i, 4, 24 + i);
        put_be(&s, DYNAMIC_AT + 592 + 24 * i, 8, (UINT64_C(1) << 40) + i);
    }
    put_be(&s, DYNAMIC_AT + 576 + 24 + 23, 1, 1); /* no code, but in use */
    open_whatever(&s, &vhd_driver);
    ASSERT_FIELDS(
        &s, "dynamic", "parent_unique_id", "00112233-4455-6677-8899-aabbccddeeff",
        "parent_time_stamp", "77", "parent_unicode_name", "p.vhd", "parent_locator_1_platform_code",
        "W2ru", "parent_locator_1_platform_data_space", "512",
        "parent_locator_1_platform_data_length", "24", "parent_locator_1_platform_data_offset",
        "1099511627776", "parent_locator_2_platform_code", "",
        "parent_locator_2_platform_data_offset", "1", "parent_locator_8_platform_code", "W2ru",
        "parent_locator_8_platform_data_space", "519", "parent_locator_8_platform_data_length",
        "31", "parent_locator_8_platform_data_offset", "1099511627783");
    assert_field_fails(&s, "dynamic", "parent_locator_3_platform_code", ENOENT);
    assert_string_equal(s.disk.subformat, "differencing");
    assert_stream_fails(&s, 0, EACCES, "parent \"p.vhd\"");
}

/* An image that does not open has its fields, too. */
static void test_refused(void **state)
{
    (void)state;
    make_dynamic(&s, BLOCK, BLOCK, DYNAMIC);
    put_be(&s, 100, 1, 1); /* the checksum is wrong */
    put_be(&s, DYNAMIC_AT, 1, 'X');
    put_be(&s, DYNAMIC_BLOCK_SIZE, 4, 513);
    assert_refused(&s, &vhd_driver, EUCLEAN, "checksum");
    assert_field(&s, "", "current_size", "2097152");
    ASSERT_FIELDS(&s, "dynamic", "cookie", "Xxsparse", "block_size", "513");
    /* The last footer of a dynamic disk, without a leading one: its header is shown. */
    make_dynamic(&s, BLOCK, BLOCK, DYNAMIC);
    put_footer(&s, 2560, &(struct footer){"win ", BLOCK, 0, DYNAMIC, 0});
    put_be(&s, 0, 8, 0);
    assert_refused(&s, &vhd_driver, EUCLEAN, "disk type 3");
    assert_field(&s, "", "disk_type", "3");
    assert_field(&s, "dynamic", "cookie", "cxsparse");
    put_footer(&s, 2560, &(struct footer){"win ", BLOCK, 0, DYNAMIC, UINT64_MAX});
    open_whatever(&s, &vhd_driver);
    assert_field_fails(&s, "dynamic", "cookie", ENOENT);
    make_fixed(&s, MIB);
    set_size(&s, MIB + 1024);
    assert_refused(&s, &vhd_driver, EUCLEAN, "no footer");
    assert_field_fails(&s, "", "cookie", ENOENT);
    assert_field_fails(&s, "dynamic", "cookie", ENOENT);
}

/* The first sector of a fixed disk is neither the footer nor its copy. */
static void test_fixed_of_footer(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    put_footer(&s, 0, &(struct footer){"vpc ", 4 * MIB, 0, FIXED, 0});
    open_whatever(&s, &vhd_driver);
    assert_field(&s, "", "current_size", "1048576");
    assert_field_fails(&s, "copy", "current_size", ENOENT);
    /* A footer without its last byte, a reserved one. */
    make_fixed(&s, MIB);
    set_size(&s, MIB + 511);
    open_whatever(&s, &vhd_driver);
    ASSERT_FIELDS(&s, "", "cookie", "conectix", "saved_state", "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed),           cmocka_unit_test(test_values),
        cmocka_unit_test(test_dynamic),         cmocka_unit_test(test_dynamic_without_copy),
        cmocka_unit_test(test_differencing),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_fixed_of_footer),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
