// SPDX-License-Identifier: Apache-2.0
/* luks: detection, the rules of version 1, sizes, fields. */
#include <errno.h>
#include <string.h>

#include "detect/detect.h"
#include "tests/support/header-value.h"

enum {
    VERSION_AT = 6,
    CIPHER_NAME = 8,
    CIPHER_MODE = 40,
    HASH_SPEC = 72,
    PAYLOAD = 104,
    KEY_BYTES = 108,
    ITERATIONS = 164,
    ACTIVE = 0, /* of a slot */
    SLOT_ITERATIONS = 4,
    MATERIAL = 40,
    STRIPES = 44,
};

#define ENABLED  UINT32_C(0x00ac71f3)
#define DISABLED UINT32_C(0x0000dead)
#define SECTOR   512
#define FIRST                                                                                      \
    1032 /* sector of the payload: keys of 16 bytes take 125 sectors, rounded up to 128            \
          */

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* File offset of a field of a key slot, numbered from 0. */
#define SLOT(number, field) (208 + 48 * (number) + (field))

static void make(uint64_t payload)
{
    sample_begin(&s);
    put(&s, 0, "LUKS\xba\xbe\0\1aes", 11);
    put_text(&s, CIPHER_MODE, "xts-plain64");
    put_text(&s, HASH_SPEC, "sha256");
    put_be(&s, PAYLOAD, 4, FIRST);
    put_be(&s, KEY_BYTES, 4, 16);
    put_be(&s, ITERATIONS, 4, 1000);
    put_text(&s, 168, "6c756b73-0000-4000-8000-000000000001");
    for (unsigned i = 0; i < 8; i++) {
        put_be(&s, SLOT(i, ACTIVE), 4, i ? DISABLED : ENABLED);
        put_be(&s, SLOT(i, SLOT_ITERATIONS), 4, i ? 0 : 1234);
        put_be(&s, SLOT(i, MATERIAL), 4, 8 + 128 * i);
        put_be(&s, SLOT(i, STRIPES), 4, 4000);
    }
    set_size(&s, FIRST * SECTOR + payload);
}

static const struct format_driver *found(void)
{
    struct detection d;

    sample_session(&s);
    assert_int_equal(detect(s.img, NULL, &d), 0);
    return d.driver;
}

static void test_detection(void **state)
{
    (void)state;
    for (unsigned version = 0; version < 4; version++) {
        make(MIB);
        put_be(&s, VERSION_AT, 2, version);
        assert_ptr_equal(found(), version == 1 || version == 2 ? &luks_driver : &raw_driver);
    }
    assert_reported(s.img, "version 3");
    assert_refused(&s, &luks_driver, ENOTSUP, "version 3");
    put_text(&s, 3, "s");
    assert_ptr_equal(found(), &raw_driver);
    assert_refused(&s, &luks_driver, EUCLEAN, "magic at offset 0");
}

static void test_sizes(void **state)
{
    static const uint64_t sizes[][2] = {
        {0, 0}, {1, 512}, {512, 512}, {513, 1024}, {4 << 20, 4 << 20}};

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        make(sizes[i][0]);
        assert_int_equal(sample_open(&s, &luks_driver), 0);
        assert_int_equal(s.disk.virtual_size, sizes[i][1]);
        assert_string_equal(s.disk.subformat, "luks1");
    }
    set_size(&s, FIRST * SECTOR - 511); /* rounded up to a sector */
    assert_int_equal(sample_open(&s, &luks_driver), 0);
    assert_int_equal(s.disk.virtual_size, 0);
    set_size(&s, FIRST * SECTOR - 512);
    assert_refused(&s, &luks_driver, EUCLEAN, "payload at offset 528384");
}

/* All is data, even holes of the host file, and none of it can be read. */
static void test_payload(void **state)
{
    struct extent e = {.offset = 1000};
    uint8_t bytes[512];

    (void)state;
    make(MIB);
    assert_int_equal(sample_open(&s, &luks_driver), 0);
    assert_true(s.disk.is_encrypted);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(MIB, EXTENT_NO_HOST));
    assert_int_equal(luks_driver.extent_at(&s.disk, 1000, 0, &e), 0);
    assert_int_equal(e.length, MIB - 1000);
    assert_int_equal(disk_read(&s.disk, 0, bytes, 512), -ENOTSUP);
    assert_reported(s.img, "encrypted");
}

static void test_rules(void **state)
{
    static const struct defect defects[] = {
        {PAYLOAD, 4, 0, ENOTSUP, "payload-offset 0"},
        {PAYLOAD, 4, 7, EUCLEAN, "payload-offset 7"},
        {PAYLOAD, 4, FIRST - 1, EUCLEAN, "key slot 8: key material up to sector 1032"},
        {PAYLOAD, 4, UINT32_MAX, EUCLEAN, "payload at offset 2199023255040"},
        {ITERATIONS, 4, 0, EUCLEAN, "mk-digest-iter 0"},
        {KEY_BYTES, 4, 17, EUCLEAN, "key slots 1 and 2"},
        {KEY_BYTES, 4, UINT32_MAX, EUCLEAN, "key slot 1: key material up to sector 33554432008"},
        {SLOT(0, STRIPES), 4, 3999, EUCLEAN, "key slot 1: stripes 3999"},
        {SLOT(7, STRIPES), 4, 0, EUCLEAN, "key slot 8: stripes 0"},
        {SLOT(7, ACTIVE), 4, 0, EUCLEAN, "key slot 8: active 0x00000000"},
        {SLOT(3, ACTIVE), 4, ENABLED, EUCLEAN, "key slot 4: iterations 0"},
        {SLOT(0, SLOT_ITERATIONS), 4, 0, EUCLEAN, "key slot 1: iterations 0"},
        {SLOT(0, MATERIAL), 4, 7, EUCLEAN,
         "luks: key slot 1: key-material-offset 7 is inside the header of 8 sectors"},
        {SLOT(7, MATERIAL), 4, 905, EUCLEAN, "key slot 8: key material up to sector 1033"},
        {SLOT(7, MATERIAL), 4, UINT32_MAX, EUCLEAN, "up to sector 4294967423"},
        {SLOT(6, MATERIAL), 4, 904, EUCLEAN, "key slots 7 and 8"},
        {SLOT(6, MATERIAL), 4, 777, EUCLEAN, "key slots 7 and 8"},
        {SLOT(0, MATERIAL), 4, 9, EUCLEAN, "key slots 1 and 2"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make(MIB);
        assert_int_equal(sample_open(&s, &luks_driver), 0);
        put_be(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &luks_driver, defects[i].error, defects[i].words);
        assert_string_equal(s.disk.subformat, "luks1");
    }
}

/* Fields of 32 bytes have room for 31 characters and a NUL. */
static void test_words(void **state)
{
    static const struct {
        uint64_t at;
        const char *words;
    } fields[] = {
        {CIPHER_NAME, "cipher-name"}, {CIPHER_MODE, "cipher-mode"}, {HASH_SPEC, "hash-spec"}};

    (void)state;
    for (size_t i = 0; i < COUNT(fields); i++) {
        make(MIB);
        put_text(&s, fields[i].at, "1234567890123456789012345678901");
        assert_int_equal(sample_open(&s, &luks_driver), 0);
        put_text(&s, fields[i].at, "12345678901234567890123456789012");
        assert_refused(&s, &luks_driver, EUCLEAN, fields[i].words);
    }
}

/* Unusual values that are accepted. */
static void test_edges(void **state)
{
    (void)state;
    make(MIB);
    put_be(&s, SLOT(6, MATERIAL), 4, 904); /* the material of two slots is swapped */
    put_be(&s, SLOT(7, MATERIAL), 4, 776);
    assert_int_equal(sample_open(&s, &luks_driver), 0);
    put_be(&s, SLOT(6, MATERIAL), 4, 905); /* not a multiple of 8 sectors */
    put_be(&s, PAYLOAD, 4, 1033);
    assert_int_equal(sample_open(&s, &luks_driver), 0);
    assert_int_equal(s.disk.virtual_size, MIB - 512);
    put_be(&s, SLOT(0, ACTIVE), 4, DISABLED); /* no key can open it */
    assert_int_equal(sample_open(&s, &luks_driver), 0);
    put_be(&s, KEY_BYTES, 4, 0);
    assert_int_equal(sample_open(&s, &luks_driver), 0);
}

static void test_fields(void **state)
{
    (void)state;
    make(MIB);
    put_be(&s, 112, 4, 0xd1d2d3d4);
    put_be(&s, 132, 4, 0xe1e2e3e4);
    put_be(&s, SLOT(7, ACTIVE), 4, 5);
    put_be(&s, SLOT(7, 8), 4, 0xf1f2f3f4);
    sample_open(&s, &luks_driver);
    assert_header(&s, "", "magic", "4c554b53babe");
    assert_header(&s, "", "version", "1");
    assert_header(&s, "", "cipher-name", "aes");
    assert_header(&s, "", "cipher-mode", "xts-plain64");
    assert_header(&s, "", "hash-spec", "sha256");
    assert_header(&s, "", "payload-offset", "1032");
    assert_header(&s, "", "key-bytes", "16");
    assert_header(&s, "", "mk-digest", "d1d2d3d400000000000000000000000000000000");
    assert_header(&s, "", "mk-digest-salt",
                  "e1e2e3e400000000000000000000000000000000000000000000000000000000");
    assert_header(&s, "", "mk-digest-iter", "1000");
    assert_header(&s, "", "uuid", "6c756b73-0000-4000-8000-000000000001");
    assert_header(&s, "key-slot-1", "active", "enabled");
    assert_header(&s, "key-slot-1", "iterations", "1234");
    assert_header(&s, "key-slot-2", "active", "disabled");
    assert_header(&s, "key-slot-8", "active", "5");
    assert_header(&s, "key-slot-8", "salt",
                  "f1f2f3f400000000000000000000000000000000000000000000000000000000");
    assert_header(&s, "key-slot-8", "key-material-offset", "904");
    assert_header(&s, "key-slot-8", "stripes", "4000");
    assert_header(&s, "", "hdr_size", NULL);
    assert_header(&s, "copy", "magic", NULL);
    assert_header(&s, "", "json_area", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detection), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_payload),   cmocka_unit_test(test_rules),
        cmocka_unit_test(test_words),     cmocka_unit_test(test_edges),
        cmocka_unit_test(test_fields),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
