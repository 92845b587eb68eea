// SPDX-License-Identifier: Apache-2.0
/* luks: the two headers of version 2, which of them is used, and their fields. */
#include "tests/support/luks2-image.h"

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void test_good(void **state)
{
    (void)state;
    make_luks2(&s, JSON);
    assert_int_equal(sample_open(&s, &luks_driver), 0);
    assert_string_equal(s.disk.subformat, "luks2");
    assert_int_equal(s.disk.virtual_size, MIB);
    assert_true(s.disk.is_encrypted);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(MIB, EXTENT_NO_HOST));
    assert_string_equal(image_problems(s.img), "");
    set_size(&s, MIB + 1);
    assert_int_equal(sample_open(&s, &luks_driver), 0);
    assert_int_equal(s.disk.virtual_size, 512);
    set_size(&s, MIB);
    assert_int_equal(sample_open(&s, &luks_driver), 0);
    assert_int_equal(s.disk.virtual_size, 0);
    set_size(&s, MIB - 512);
    assert_refused(&s, &luks_driver, EUCLEAN, "payload at offset 1048576");
}

/* The copy is found by the size of the first header or, if that is damaged, by a search. */
static void test_header_size(void **state)
{
    static const uint64_t bad[] = {0, 4096, 8192, 16385, 24576, 8 << 20, UINT64_C(1) << 63};

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        make_luks2(&s, JSON);
        put_be(&s, HDR_SIZE_AT, 8, bad[i]);
        assert_int_equal(sample_open(&s, &luks_driver), 0);
        assert_reported(s.img, "hdr_size");
        assert_reported(s.img, "copy at offset 16384");
        put_text(&s, 16 << 10, "no copy");
        assert_refused(&s, &luks_driver, EUCLEAN, "hdr_size");
    }
    for (uint64_t size = 16 << 10; size <= 4 << 20; size *= 2) {
        make_luks2(&s, "{\"segments\":{\"0\":{\"type\":\"crypt\",\"offset\":\"8388608\","
                       "\"size\":\"dynamic\"}}}");
        put_be(&s, HDR_SIZE_AT, 8, size);
        set_size(&s, 9 * MIB);
        assert_int_equal(sample_open(&s, &luks_driver), 0);
        assert_int_equal(s.disk.virtual_size, MIB);
    }
}

static void test_copy(void **state)
{
    (void)state;
    make_luks2(&s, JSON);
    put_text(&s, JSON_AT, "[");
    assert_int_equal(sample_open(&s, &luks_driver), 0);
    assert_int_equal(s.disk.virtual_size, MIB);
    assert_reported(s.img, "copy at offset 16384");
    put_be(&s, JSON_AT, 1, '{');
    put_be(&s, HDR_OFFSET_AT, 8, 512);
    assert_int_equal(sample_open(&s, &luks_driver), 0);
    assert_reported(s.img, "hdr_offset 512");
    /* The copy must have its own magic and offset. */
    put_be(&s, COPY_AT + HDR_OFFSET_AT, 8, 0);
    assert_refused(&s, &luks_driver, EUCLEAN, "hdr_offset 0");
    put_be(&s, COPY_AT + HDR_OFFSET_AT, 8, COPY_AT);
    put_text(&s, COPY_AT, "LUKS");
    assert_refused(&s, &luks_driver, EUCLEAN,
                   "luks: header at offset 16384: magic or version is not that of LUKS2");
    put_text(&s, COPY_AT, "SKUL");
    put_be(&s, COPY_AT + 6, 2, 1);
    assert_refused(&s, &luks_driver, EUCLEAN, "header at offset 16384");
    /* The copy is not read if the first header is valid, but not supported. */
    make_luks2(&s, "{\"segments\":{\"0\":{\"type\":\"linear\"}}}");
    put_luks2_header(&s, COPY_AT, JSON "\0");
    assert_refused(&s, &luks_driver, ENOTSUP, "linear");
}

static void test_fields(void **state)
{
    (void)state;
    make_luks2(&s, "{\"a\":\"\\/\"}");
    put_be(&s, 16, 8, UINT64_MAX);
    put_text(&s, 24, "a label");
    put_text(&s, 72, "sha256");
    put_text(&s, 168, "6c756b73-0000-4000-8000-000000000002");
    put_text(&s, 208, "a subsystem");
    put_text(&s, COPY_AT + 24, "another");
    assert_int_equal(sample_open(&s, &luks_driver), -EUCLEAN);
    assert_header(&s, "", "version", "2");
    assert_header(&s, "", "hdr_size", "16384");
    assert_header(&s, "", "seqid", "18446744073709551615");
    assert_header(&s, "", "label", "a label");
    assert_header(&s, "", "csum_alg", "sha256");
    assert_header(&s, "", "uuid", "6c756b73-0000-4000-8000-000000000002");
    assert_header(&s, "", "subsystem", "a subsystem");
    assert_header(&s, "", "hdr_offset", "0");
    assert_header(&s, "", "json_area", "{\"a\":\"\\/\"}");
    assert_header(&s, "", "cipher-name", NULL);
    assert_header(&s, "key-slot-1", "active", NULL);
    assert_header(&s, "copy", "magic", "534b554cbabe");
    assert_header(&s, "copy", "label", "another");
    assert_header(&s, "copy", "hdr_offset", "16384");
    assert_header(&s, "copy", "json_area", "{\"a\":\"\\/\"}");
    put_be(&s, HDR_SIZE_AT, 8, 5);
    assert_int_equal(sample_open(&s, &luks_driver), -EUCLEAN);
    assert_header(&s, "", "hdr_size", "5");
    assert_header(&s, "copy", "magic", "534b554cbabe");
    assert_header(&s, "", "json_area", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_header_size),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_fields),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
