// SPDX-License-Identifier: Apache-2.0
/* The walk over the guest data: written pieces, runs, slabs, errors, and a sink that ends it. */
#include "formats/targets/data-walk.h"

#include <stdlib.h>

#include "tests/support/scripted-disk.h"

enum { BLOCK = DATA_WALK_BLOCK, SLAB = DATA_WALK_SLAB, PIECES_MAX = 100 };

/* What the sink received. */
static struct {
    uint64_t offsets[PIECES_MAX], lengths[PIECES_MAX];
    uint64_t run_offsets[PIECES_MAX], run_lengths[PIECES_MAX], run_at[PIECES_MAX];
    unsigned runs;                   /* run_at: pieces received before the run */
    unsigned pieces, slabs, slab_at; /* slab_at: pieces received before the last slab */
    uint64_t slab_offset, progress;
    size_t slab_length;
    uint8_t slab[SLAB];
    unsigned fails_at; /* the number of the call that returns an error; 0: none */
    unsigned calls;
} received;

static bool with_runs; /* the sink takes runs */

static int call(void)
{
    return ++received.calls == received.fails_at ? -ECANCELED : 0;
}

static int take_written(void *context, uint64_t offset, uint64_t length)
{
    assert_ptr_equal(context, &received);
    assert_true(received.pieces < PIECES_MAX && length > 0);
    assert_true(offset / SLAB == (offset + length - 1) / SLAB);
    received.offsets[received.pieces] = offset;
    received.lengths[received.pieces++] = length;
    return call();
}

static int take_slab(void *context, uint64_t offset, const uint8_t *bytes, size_t length)
{
    assert_ptr_equal(context, &received);
    assert_int_equal(offset % SLAB, 0);
    received.slabs++;
    received.slab_at = received.pieces;
    received.slab_offset = offset;
    received.slab_length = length;
    memcpy(received.slab, bytes, length);
    return call();
}

static int take_run(void *context, uint64_t offset, uint64_t length)
{
    assert_ptr_equal(context, &received);
    assert_true(received.runs < PIECES_MAX && length > 0);
    received.run_offsets[received.runs] = offset;
    received.run_lengths[received.runs] = length;
    received.run_at[received.runs++] = received.pieces;
    return call();
}

static int take_progress(void *context, uint64_t offset)
{
    assert_ptr_equal(context, &received);
    assert_true(offset >= received.progress);
    received.progress = offset;
    return call();
}

static int walk(void)
{
    const struct data_walk_sink sink = {.context = &received,
                                        .run = with_runs ? take_run : NULL,
                                        .written = take_written,
                                        .slab = take_slab,
                                        .progress = take_progress};
    unsigned fails_at = received.fails_at;

    memset(&received, 0, sizeof received);
    received.fails_at = fails_at;
    return data_walk(&s.disk, &sink);
}

/* A walk finds exactly these pieces: offset, length, ... */
static void assert_written(const uint64_t *expected, size_t count)
{
    assert_int_equal(walk(), 0);
    for (size_t i = 0; i < received.pieces && i < count / 2; i++) {
        assert_int_equal(received.offsets[i], expected[2 * i]);
        assert_int_equal(received.lengths[i], expected[2 * i + 1]);
    }
    assert_int_equal(received.pieces, count / 2);
    assert_int_equal(received.progress, s.disk.virtual_size);
    assert_string_equal(image_problems(s.img), "");
}
#define ASSERT_WRITTEN(...)                                                                        \
    assert_written((const uint64_t[]){__VA_ARGS__}, COUNT(((const uint64_t[]){__VA_ARGS__})))

static int begin(void **state)
{
    (void)state;
    memset(&received, 0, sizeof received);
    with_runs = false;
    sample_begin(&s);
    return 0;
}

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* Makes a file of zeros except for a byte at each offset. */
static void put_bytes(const uint64_t *offsets, size_t count, uint64_t size)
{
    set_size(&s, size);
    for (size_t i = 0; i < count; i++)
        put(&s, offsets[i], "x", 1);
}
#define PUT_BYTES(size, ...)                                                                       \
    put_bytes((const uint64_t[]){__VA_ARGS__}, COUNT(((const uint64_t[]){__VA_ARGS__})), size)

/* A block is written if its first or its last byte is not zero; adjacent blocks come together. */
static void test_blocks(void **state)
{
    (void)state;
    PLAY(64 * KIB, DATA(64 * KIB, 0));
    PUT_BYTES(64 * KIB, 0, 3 * BLOCK - 1, 3 * BLOCK, 5 * BLOCK + 7, 16 * BLOCK - 1);
    play(64 * KIB, script_extents, COUNT(script_extents));
    ASSERT_WRITTEN(0, BLOCK, 2 * BLOCK, 2 * BLOCK, 5 * BLOCK, BLOCK, 15 * BLOCK, BLOCK);
    assert_int_equal(received.slabs, 1);
    assert_int_equal(received.slab_at, 4);
    assert_int_equal(received.slab_length, 64 * KIB);
    assert_int_equal(received.slab[3 * BLOCK - 1], 'x');
    assert_int_equal(received.slab[3 * BLOCK + 1], 0);
}

/* Runs that do not begin or end with a block: each piece of a block is examined by itself. */
static void test_unaligned_runs(void **state)
{
    (void)state;
    PUT_BYTES(64 * KIB, 512, 1000, 9000, 20000, 30000);
    PLAY(16 * BLOCK + 100, HOLE(1000), DATA(500, 10000), DATA(500, 512), ZERO(5000),
         DATA(4000, 18000), DATA(55 * KIB + 1216 - 1000, 8900));
    /* One of two runs in a block. File offset 20000 is guest offset 9000, and 9000 is 11100:
     * adjacent pieces of one block. 20000 and 30000 are 22100 and 32100. */
    ASSERT_WRITTEN(1500, 500, 8192, BLOCK, 20480, BLOCK, 28672, BLOCK);
}

/* Buffers of 2 MiB begin at the beginning of the run. */
static void test_buffers(void **state)
{
    (void)state;
    PUT_BYTES(8 * MIB, 2 * MIB - 1, 4 * MIB);
    PLAY(8 * MIB, HOLE(512), DATA(7 * MIB, 0), HOLE(MIB));
    ASSERT_WRITTEN(2 * MIB, 512,                /* up to the end of the first buffer */
                   4 * MIB + 512, BLOCK - 512); /* from the beginning of the third */
    assert_int_equal(received.slabs, 2);
}

/* Slabs without data or with zeros only are left out; gaps in the others are zeros. */
static void test_slabs(void **state)
{
    (void)state;
    PUT_BYTES(4 * MIB, 0, 100000, 2 * MIB);
    PLAY(1024 * GIB + 5 * MIB + 10, DATA(MIB, 0), HOLE(1024 * GIB - MIB), DATA(2 * MIB, MIB - 4096),
         ZERO(2 * MIB + 100), DATA(4096, 2 * MIB - 50), HOLE(1 * MIB));
    ASSERT_WRITTEN(0, BLOCK, 98304, BLOCK,          /* the first slab */
                   1024 * GIB + MIB + BLOCK, BLOCK, /* 2 MiB there */
                   1024 * GIB + 4 * MIB + 100, BLOCK - 100);
    assert_int_equal(received.slabs, 3);
    assert_int_equal(received.slab_offset, 1024 * GIB + 4 * MIB);
    assert_int_equal(received.slab_length, MIB + 10);
    assert_int_equal(received.slab[150], 'x');
    received.slab[150] = 0;
    for (size_t i = 0; i < received.slab_length; i++)
        assert_int_equal(received.slab[i], 0);
    assert_true(image_bytes_read(s.img) < 4 * MIB);
}

/* The buffer of a slab holds bytes of the slab before: gaps are zeroed. */
static void test_gaps(void **state)
{
    uint8_t *bytes = malloc(6 * MIB);

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 'x', 6 * MIB);
    put(&s, 0, bytes, 6 * MIB);
    PLAY(8 * MIB, DATA(2 * MIB, 0), HOLE(MIB / 2), DATA(4096, 0), HOLE(4096), DATA(4096, 5),
         HOLE(6 * MIB));
    assert_int_equal(walk(), 0);
    assert_int_equal(received.slabs, 2);
    for (size_t i = 0; i < 2 * MIB; i++)
        bytes[i] = i >= MIB / 2 && i < MIB / 2 + 3 * 4096 && (i - MIB / 2) / 4096 != 1 ? 'x' : 0;
    assert_memory_equal(received.slab, bytes, 2 * MIB);
    free(bytes);
}

/* The disk ends inside a block; an empty disk has no pieces. */
static void test_end_of_disk(void **state)
{
    (void)state;
    PUT_BYTES(8192, 5000, 5120);
    PLAY(5121, DATA(8192, 0));
    ASSERT_WRITTEN(BLOCK, 5121 - BLOCK);
    assert_int_equal(received.slab_length, 5121);
    s.disk.virtual_size = 5120;
    ASSERT_WRITTEN(BLOCK, 1024);
    s.disk.virtual_size = 5000;
    assert_written(NULL, 0);
    s.disk.virtual_size = 0;
    assert_written(NULL, 0);
}

/* Extents that are adjacent in the file are read together where that changes no piece. */
static void test_neighbours(void **state)
{
    (void)state;
    PUT_BYTES(MIB, 8192 + 600, 20000);
    PLAY(MIB, DATA(4096, 0), DATA(4096, 4096), DATA(700, 8192), DATA(300, 8892), DATA(20000, 9192),
         HOLE(MIB));
    ASSERT_WRITTEN(8192, 700, 16384, BLOCK);
    assert_int_equal(image_bytes_read(s.img), 4096 * 2 + 1000 + 20000);
}

/* The run with that number was received before that piece. */
static void assert_run(size_t number, uint64_t offset, uint64_t length, size_t piece)
{
    assert_true(number < received.runs);
    assert_int_equal(received.run_offsets[number], offset);
    assert_int_equal(received.run_lengths[number], length);
    assert_int_equal(received.run_at[number], piece);
}

/* A sink that takes runs receives the pieces of each separately; the file is read as without. */
static void test_runs(void **state)
{
    (void)state;
    with_runs = true;
    PUT_BYTES(8 * MIB, 100, 5000, 8192, 12000, 5 * MIB);
    PLAY(8 * MIB, DATA(4096, 0), DATA(4096, 4096), DATA(8192, 8192), HOLE(MIB),
         DATA(3 * MIB, 3 * MIB), HOLE(8 * MIB));
    ASSERT_WRITTEN(0, BLOCK, BLOCK, BLOCK, 2 * BLOCK, BLOCK, 16384 + 3 * MIB, BLOCK);
    assert_int_equal(received.runs, 4);
    assert_run(0, 0, 4096, 0);
    assert_run(1, 4096, 4096, 1);
    assert_run(2, 8192, 8192, 2);
    assert_run(3, 16384 + MIB, 3 * MIB, 3);
    assert_int_equal(image_reads(s.img), 1 + 3);
}

/* Formats whose extents qemu reports at most a cluster at a time. */
static void test_reported_at_once(void **state)
{
    (void)state;
    with_runs = true;
    PUT_BYTES(MIB, 0, 8192, 100000);
    PLAY(MIB, DATA(10000, 0), DATA(190000, 10000), HOLE(MIB));
    s.disk.qemu_run_unit = 65536;
    ASSERT_WRITTEN(0, BLOCK, 8192, 10000 - 8192, 98304, BLOCK);
    assert_int_equal(received.runs, 5);
    assert_run(0, 0, 10000, 0);
    assert_run(1, 10000, 55536, 2);
    assert_run(2, 65536, 65536, 2);
    assert_run(3, 131072, 65536, 3);
    assert_run(4, 196608, 3392, 3);
}

/* An error ends the walk. */
static void test_errors(void **state)
{
    (void)state;
    PUT_BYTES(5 * MIB, 0, 4 * MIB);
    PLAY(32 * MIB, DATA(4096, 0), ZERO(2 * MIB), DATA(4096, 4 * MIB),
         {.length = MIB, .kind = (enum extent_kind)FAILS, .flags = EIO}, DATA(MIB, 0));
    assert_int_equal(walk(), -EIO);
    assert_int_equal(received.pieces, 1);
    assert_int_equal(received.slabs, 1);
    assert_int_equal(received.slab_offset, 0);
    assert_reported(s.img, "scripted: fails at");
}

static void test_unreadable(void **state)
{
    (void)state;
    PUT_BYTES(8192, 0, 4096);
    PLAY(MIB, DATA(4096, 0), HOLE(4096), DATA(4096, 8191), DATA(MIB, 0));
    assert_int_equal(walk(), -EIO);
    assert_int_equal(received.slabs, 0);
    assert_reported(s.img, "scripted: guest data at offset 8191 ends past the end of the file");
    s.disk.is_encrypted = true;
    assert_int_equal(walk(), -ENOTSUP);
    assert_int_equal(received.pieces, 0);
}

static void test_compressed(void **state)
{
    (void)state;
    PLAY(2 * MIB, {.length = 8192, .flags = EXTENT_COMPRESSED, .host = EXTENT_NO_HOST},
         ZERO(MIB - 8192), {.length = MIB, .flags = EXTENT_COMPRESSED, .host = EXTENT_NO_HOST});
    s.disk.virtual_size = MIB;
    ASSERT_WRITTEN(0, 8192);
    assert_int_equal(received.slab[8191], 8191 & 0xff);
    s.disk.virtual_size = 2 * MIB;
    assert_int_equal(walk(), -EUCLEAN);
    assert_int_equal(received.slabs, 0);
}

/* An error of the sink ends the walk, at any call. */
static void test_sink_ends(void **state)
{
    unsigned calls;

    (void)state;
    PUT_BYTES(6 * MIB, 0, 10000, 3 * MIB, 5 * MIB);
    PLAY(6 * MIB, DATA(6 * MIB, 0));
    assert_int_equal(walk(), 0);
    calls = received.calls;
    assert_true(calls > 8);
    for (unsigned i = 1; i <= calls; i++) {
        play(6 * MIB, script_extents, COUNT(script_extents));
        received.fails_at = i;
        assert_int_equal(walk(), -ECANCELED);
        assert_int_equal(received.calls, i);
    }
    assert_string_equal(image_problems(s.img), "");
}

/* A sink without run, slab and progress. */
static void test_pieces_alone(void **state)
{
    const struct data_walk_sink sink = {.context = &received, .written = take_written};

    (void)state;
    PUT_BYTES(6 * MIB, 0, 5 * MIB);
    PLAY(6 * MIB, DATA(2 * MIB, 0), HOLE(2 * MIB), DATA(2 * MIB, 4 * MIB));
    assert_int_equal(data_walk(&s.disk, &sink), 0);
    assert_int_equal(received.pieces, 2);
}

/* The same bytes of the file for many places of the disk are refused, above a limit. */
static void test_same_bytes(void **state)
{
    static struct extent extents[100];

    (void)state;
    PUT_BYTES(2 * MIB, 0);
    for (size_t i = 0; i < COUNT(extents); i++)
        extents[i] = (struct extent)DATA(MIB, 0);
    play(66 * MIB, extents, COUNT(extents));
    assert_int_equal(walk(), 0);
    play(67 * MIB, extents, COUNT(extents));
    assert_int_equal(walk(), -EFBIG);
    assert_reported(s.img, "the same bytes of the file stand for many places of the disk");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_runs),           TEST(test_reported_at_once), TEST(test_blocks),
        TEST(test_unaligned_runs), TEST(test_buffers),          TEST(test_slabs),
        TEST(test_gaps),           TEST(test_end_of_disk),      TEST(test_neighbours),
        TEST(test_errors),         TEST(test_unreadable),       TEST(test_compressed),
        TEST(test_sink_ends),      TEST(test_pieces_alone),     TEST(test_same_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
