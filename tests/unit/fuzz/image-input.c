// SPDX-License-Identifier: Apache-2.0
/* Inputs of the fuzzer of images: parsing, writing, reading and patching pieces; checksums. */
#include "tests/fuzz/image-input.h"

#include <stdlib.h>

#include "formats/vhdx/header.h"
#include "formats/vhdx/regions.h"
#include "tests/support/support.h"

static struct image_input input;

/* An input of one piece: "abc", three times at offset 5 of the image, which has 12 bytes. */
static size_t make_input(uint8_t *data, size_t size)
{
    input = (struct image_input){.choices = {1, 2}, .sizes = {12, 0, 7}, .count = 1};
    input.pieces[0] = (struct input_piece){5, 3, 3, 0, (uint8_t *)"abc"};
    return input_write(&input, data, size);
}

static void test_both_ways(void **state)
{
    uint8_t data[128], again[128];
    size_t size = make_input(data, sizeof data);

    (void)state;
    assert_int_equal(size, INPUT_HEADER_BYTES + INPUT_PIECE_BYTES + 3);
    assert_true(input_parse(&input, data, size));
    assert_int_equal(input.count, 1);
    assert_int_equal(input.sizes[2], 7);
    assert_int_equal(input.choices[1], 2);
    assert_int_equal(input_piece_bytes(&input.pieces[0]), 9);
    assert_int_equal(input_write(&input, again, sizeof again), size);
    assert_memory_equal(again, data, size);
}

/* Pieces that do not fit are omitted; a truncated piece is shorter. */
static void test_short(void **state)
{
    uint8_t data[128];
    size_t size = make_input(data, sizeof data);

    (void)state;
    assert_int_equal(make_input(data, size - 1), INPUT_HEADER_BYTES);
    assert_int_equal(make_input(data, INPUT_HEADER_BYTES - 1), 0);
    size = make_input(data, sizeof data);
    assert_true(input_parse(&input, data, size - 1));
    assert_int_equal(input.pieces[0].length, 2);
    assert_true(input_parse(&input, data, INPUT_HEADER_BYTES));
    assert_int_equal(input.count, 0);
    assert_false(input_parse(&input, data, INPUT_HEADER_BYTES - 1));
}

/* Pieces whose end exceeds the largest file cover nothing. */
static void test_nowhere(void **state)
{
    struct input_piece piece = {INT64_MAX - 8, 8, 1, 0, NULL};

    (void)state;
    assert_int_equal(input_piece_bytes(&piece), 8);
    piece.times = 2;
    assert_int_equal(input_piece_bytes(&piece), 0);
    piece.offset = UINT64_MAX;
    assert_int_equal(input_piece_bytes(&piece), 0);
}

static void test_read_and_patch(void **state)
{
    uint8_t data[128], bytes[10], piece[] = "0123", room[4];
    size_t size = make_input(data, sizeof data);

    (void)state;
    assert_true(input_parse(&input, data, size));
    input_read(&input, 0, 4, bytes, sizeof bytes);
    assert_memory_equal(bytes, "\0abcabca\0\0", 10); /* the file ends at 12 */
    input_read(&input, 1, 4, bytes, sizeof bytes);
    assert_memory_equal(bytes, "\0\0\0\0\0\0\0\0\0\0", 10);
    /* A repeated piece cannot be patched: a new piece is written over it. */
    assert_true(input_patch(&input, 0, 6, (const uint8_t *)"XY", 2, room));
    assert_int_equal(input.count, 2);
    /* The new piece can be patched. */
    assert_true(input_patch(&input, 0, 7, (const uint8_t *)"Z", 1, room + 2));
    assert_int_equal(input.count, 2);
    input.pieces[input.count++] = (struct input_piece){9, 4, 1, 0, piece};
    input_read(&input, 0, 4, bytes, sizeof bytes);
    assert_memory_equal(bytes, "\0aXZa012\0\0", 10);
}

/* Covered pieces are removed, except past the end of the file. */
static void test_prune(void **state)
{
    uint8_t bytes[8] = "abcdefg";

    (void)state;
    input = (struct image_input){.sizes = {12, 12}, .count = 5};
    input.pieces[0] = (struct input_piece){5, 3, 1, 0, bytes};
    input.pieces[1] = (struct input_piece){5, 3, 1, 1, bytes};
    input.pieces[2] = (struct input_piece){12, 3, 1, 0, bytes};
    input.pieces[3] = (struct input_piece){4, 2, 2, 0, bytes};
    input.pieces[4] = (struct input_piece){12, 3, 1, 0, bytes};
    input_prune(&input);
    assert_int_equal(input.count, 4);
    assert_int_equal(input.pieces[0].file, 1);
    input.pieces[2].times = 1; /* it no longer covers the end of another one */
    input.pieces[0].file = 0;
    input_prune(&input);
    assert_int_equal(input.count, 4);
}

/* Opens the image that the pieces make. */
static int open_as(const struct format_driver *driver)
{
    struct sample s = {.fd = -1};
    int error;

    sample_begin(&s);
    for (size_t i = 0; i < input.count; i++)
        put(&s, input.pieces[i].offset, input.pieces[i].bytes, input.pieces[i].length);
    set_size(&s, input.sizes[0]);
    error = sample_open(&s, driver);
    sample_end(&s);
    return error;
}

/* A fixed disk with a wrong checksum in its footer. */
static void test_repair_footer(void **state)
{
    uint8_t footer[512] = "conectix", room[INPUT_REPAIR_BYTES];

    (void)state;
    footer[60 + 3] = 2; /* the type */
    footer[12 + 1] = 1; /* the version */
    footer[48 + 5] = 2; /* 128 KiB */
    input = (struct image_input){.sizes = {(128 << 10) + 512}, .count = 1};
    input.pieces[0] = (struct input_piece){128 << 10, sizeof footer, 1, 0, footer};
    assert_true(open_as(&vhd_driver) != 0);
    input_repair(&input, room);
    assert_int_equal(input.count, 1);
    assert_int_equal(open_as(&vhd_driver), 0);
}

/* Headers and region tables with valid checksums and invalid contents. */
static void test_repair_vhdx(void **state)
{
    static uint8_t signature[] = "vhdxfile", header[] = "head\0\0\0\0", regions[] = "regi\0\0\0\0";
    static const char *const sums[] = {"head\xbc\x4e\x41\xfc", "regi\xef\x09\x6e\x91"};
    uint8_t room[INPUT_REPAIR_BYTES];

    (void)state;
    input = (struct image_input){.sizes = {1 << 20}, .count = 3};
    input.pieces[0] = (struct input_piece){0, 8, 1, 0, signature};
    input.pieces[1] = (struct input_piece){VHDX_HEADER1_AT, 8, 1, 0, header};
    input.pieces[2] = (struct input_piece){VHDX_REGIONS2_AT, 8, 1, 0, regions};
    input_repair(&input, room);
    assert_int_equal(input.count, 3);
    assert_memory_equal(header, sums[0], 8);
    assert_memory_equal(regions, sums[1], 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),     cmocka_unit_test(test_short),
        cmocka_unit_test(test_nowhere),       cmocka_unit_test(test_read_and_patch),
        cmocka_unit_test(test_repair_footer), cmocka_unit_test(test_repair_vhdx),
        cmocka_unit_test(test_prune),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
