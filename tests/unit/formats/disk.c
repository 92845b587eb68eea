// SPDX-License-Identifier: Apache-2.0
/* Reading the virtual disk: every kind of extent, across extents, past the end, and errors. */
#include <errno.h>
#include <string.h>

#include "tests/support/scripted-disk.h"

static uint8_t got[4096];

static int begin(void **state)
{
    uint8_t bytes[2048];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i / 8 + 1);
    sample_begin(&s);
    put(&s, 0, bytes, sizeof bytes);
    return 0;
}

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* The byte of the file at that offset. */
static uint8_t in_file(uint64_t host)
{
    return (uint8_t)(host / 8 + 1);
}

static int read_at(uint64_t offset, size_t length)
{
    assert_true(length < sizeof got);
    memset(got, '#', sizeof got);
    return disk_read(&s.disk, offset, got, length);
}

/* Asserts that the count bytes of got from index on are those of the file from host on
 * (EXTENT_NO_HOST: zeros). */
static void assert_got(size_t index, size_t count, uint64_t host)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(got[index + i], host == EXTENT_NO_HOST ? 0 : in_file(host + i));
}

static void test_kinds(void **state)
{
    (void)state;
    PLAY(1000, DATA(100, 1000), HOLE(200), ZERO(300),
         {.length = 300, .flags = EXTENT_COMPRESSED, .host = 5}, DATA(100, 0));
    assert_int_equal(read_at(0, 1000), 0);
    assert_got(0, 100, 1000);
    assert_got(100, 500, EXTENT_NO_HOST);
    for (size_t i = 600; i < 900; i++)
        assert_int_equal(got[i], (uint8_t)i);
    assert_got(900, 100, 0);
    assert_int_equal(got[1000], '#');
    assert_int_equal(script.want, EXTENTS_WANT_HOST);
    assert_string_equal(image_problems(s.img), "");
}

/* Reading in pieces gives the same. */
static void test_pieces(void **state)
{
    uint8_t all[1000];

    (void)state;
    PLAY(1000, DATA(100, 1000), HOLE(200), DATA(300, 333), DATA(50, 1700),
         {.length = 250, .flags = EXTENT_COMPRESSED}, ZERO(100));
    assert_int_equal(disk_read(&s.disk, 0, all, sizeof all), 0);
    for (uint64_t offset = 0; offset < 1000; offset += 37)
        for (size_t length = 1; length < 1000 - offset; length += 111) {
            assert_int_equal(read_at(offset, length), 0);
            assert_memory_equal(got, all + offset, length);
            assert_int_equal(got[length], '#');
        }
}

/* The driver is asked only for the bytes wanted. */
static void test_economy(void **state)
{
    (void)state;
    PLAY(1000, DATA(100, 1000), HOLE(200), {.kind = (enum extent_kind)FAILS, .flags = EIO});
    assert_int_equal(read_at(0, 300), 0);
    assert_int_equal(script.calls, 2);
    assert_int_equal(image_bytes_read(s.img), 100);
    assert_int_equal(read_at(150, 0), 0);
    assert_int_equal(script.calls, 2);
    assert_int_equal(read_at(0, 301), -EIO);
    assert_reported(s.img, "scripted: fails at 300");
}

/* Past the end of the disk there are zeros, and the driver is not asked. */
static void test_past_end(void **state)
{
    (void)state;
    PLAY(100, DATA(4096, 0));
    assert_int_equal(read_at(90, 100), 0);
    assert_got(0, 10, 90);
    assert_got(10, 90, EXTENT_NO_HOST);
    assert_int_equal(got[100], '#');
    script.calls = 0;
    assert_int_equal(read_at(100, 50), 0);
    assert_got(0, 50, EXTENT_NO_HOST);
    assert_int_equal(read_at(UINT64_MAX, 50), 0);
    assert_got(0, 50, EXTENT_NO_HOST);
    assert_int_equal(read_at(UINT64_MAX - 10, 50), 0);
    s.disk.virtual_size = 0;
    assert_int_equal(read_at(0, 50), 0);
    assert_got(0, 50, EXTENT_NO_HOST);
    assert_int_equal(script.calls, 0);
}

/* Data past the end of the file is an error, never zeros. */
static void test_past_end_of_file(void **state)
{
    (void)state;
    PLAY(4096, DATA(4096, 2000));
    assert_int_equal(read_at(0, 48), 0);
    assert_got(0, 48, 2000);
    assert_int_equal(read_at(0, 49), -EIO);
    assert_reported(s.img, "scripted: guest data at offset 2000 ends past the end of the file");
    assert_int_equal(read_at(48, 1), -EIO);
    assert_int_equal(read_at(1000, 1), -EIO);
}

static void test_past_end_of_file_far(void **state)
{
    (void)state;
    PLAY(4096, DATA(4096, UINT64_MAX - 5000));
    assert_int_equal(read_at(0, 100), -EIO);
}

/* Holes of the host file, where they count, are zeros; past its end bytes are unknown. */
static void test_host_holes(void **state)
{
    (void)state;
    PLAY(4000, HOST_DATA(4000, 0));
    assert_int_equal(read_at(1900, 148), 0);
    assert_got(0, 148, 1900);
    assert_int_equal(read_at(1900, 1000), -EIO);
    assert_reported(s.img, "scripted: guest data at offset 2048 ends past the end of the file");
}

/* A hole at the end of the file ends with it. */
static void test_host_hole_at_the_end(void **state)
{
    (void)state;
    set_size(&s, 64 * KIB);
    PLAY(70 * KIB, HOST_DATA(70 * KIB, 0));
    assert_int_equal(read_at(64 * KIB - 100, 100), 0);
    assert_got(0, 100, EXTENT_NO_HOST);
    assert_int_equal(read_at(64 * KIB - 100, 101), -EIO);
    assert_reported(s.img, "scripted: guest data at offset 65536 ends past the end of the file");
}

static void test_below(void **state)
{
    (void)state;
    PLAY(1000, DATA(100, 0), HOLE(100), ZERO(800));
    s.disk.backing_reference = &base;
    assert_int_equal(read_at(0, 100), 0);
    assert_int_equal(read_at(200, 800), 0);
    assert_string_equal(image_problems(s.img), "");
    assert_int_equal(read_at(0, 101), -EACCES);
    assert_reported(s.img, "guest bytes are in a file that is not granted, the backing "
                           "file \"base.img\"");
    assert_int_equal(read_at(199, 1), -EACCES);
}

/* Zeros can be read without a key. */
static void test_encrypted(void **state)
{
    (void)state;
    PLAY(1000, DATA(100, 0), ZERO(900));
    s.disk.is_encrypted = true;
    assert_int_equal(read_at(100, 900), 0);
    assert_int_equal(read_at(99, 2), -ENOTSUP);
    assert_reported(s.img, "encrypted");
}

static void test_decode(void **state)
{
    static const struct format_driver plain = {.name = "plain", .extent_at = scripted_extent_at};

    (void)state;
    PLAY(2 * MIB, {.length = 2 * MIB, .flags = EXTENT_COMPRESSED});
    assert_int_equal(read_at(MIB - 10, 10), 0);
    assert_int_equal(read_at(MIB, 10), -EUCLEAN);
    assert_reported(s.img, "scripted: broken at 1048576");
    s.disk.driver = &plain;
    assert_int_equal(read_at(0, 10), -ENOTSUP);
    assert_reported(s.img, "plain: compressed guest data cannot be read");
}

/* qemu= does not change what is read. */
static void test_opaque(void **state)
{
    static const struct format_driver opaque = {
        .name = "opaque", .extent_at = scripted_extent_at, .opaque_to_qemu = true};

    (void)state;
    PLAY(1000, ZERO(500), DATA(500, 10));
    s.disk.driver = &opaque;
    s.disk.qemu = QEMU_VERSION(7, 2);
    assert_int_equal(read_at(400, 200), 0);
    assert_got(0, 100, EXTENT_NO_HOST);
    assert_got(100, 100, 10);
}

static void test_open(void **state)
{
    const struct open_options options = {.qemu = QEMU_VERSION(7, 2)};

    (void)state;
    sample_session(&s);
    memset(&s.disk, 0xff, sizeof s.disk);
    assert_int_equal(disk_open(&s.disk, s.img, &raw_driver, NULL), 0);
    assert_ptr_equal(s.disk.img, s.img);
    assert_ptr_equal(s.disk.driver, &raw_driver);
    assert_int_equal(s.disk.virtual_size, 2048);
    assert_int_equal(s.disk.qemu, 0);
    assert_null(s.disk.backing_reference);
    assert_int_equal(disk_open(&s.disk, s.img, &raw_driver, &options), 0);
    assert_int_equal(s.disk.qemu, QEMU_VERSION(7, 2));
    assert_true(disk_open(&s.disk, s.img, &qcow2_driver, &options) < 0);
    assert_ptr_equal(s.disk.driver, &qcow2_driver);
}

#define TEST(function) cmocka_unit_test_setup(function, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kinds),
        TEST(test_pieces),
        TEST(test_economy),
        TEST(test_past_end),
        TEST(test_past_end_of_file),
        TEST(test_past_end_of_file_far),
        TEST(test_host_holes),
        TEST(test_host_hole_at_the_end),
        TEST(test_below),
        TEST(test_encrypted),
        TEST(test_decode),
        TEST(test_opaque),
        TEST(test_open),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
