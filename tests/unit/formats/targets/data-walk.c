// SPDX-License-Identifier: Apache-2.0
/* The walk over the guest's data: which pieces are written, slabs, errors, and who ends it. */
#include "formats/targets/data-walk.h"

#include <stdlib.h>

#include "tests/support/scripted-disk.h"

enum { BLOCK = DATA_WALK_BLOCK, SLAB = DATA_WALK_SLAB, PIECES_MAX = 100 };

/* What was told. */
static struct {
    uint64_t offsets[PIECES_MAX], lengths[PIECES_MAX];
    uint64_t run_offsets[PIECES_MAX], run_lengths[PIECES_MAX], run_at[PIECES_MAX];
    unsigned runs;                   /* run_at: pieces that were told before them */
    unsigned pieces, slabs, slab_at; /* slab_at: pieces that were told before the last slab */
    uint64_t slab_offset, progress;
    size_t slab_length;
    uint8_t slab[SLAB];
    unsigned fails_at; /* the call, of any, that returns an error; 0: none */
    unsigned calls;
} told;

static bool with_runs; /* they are wanted */

static int call(void)
{
    return ++told.calls == told.fails_at ? -ECANCELED : 0;
}

static int take_written(void *context, uint64_t offset, uint64_t length)
{
    assert_ptr_equal(context, &told);
    assert_true(told.pieces < PIECES_MAX && length > 0);
    assert_true(offset / SLAB == (offset + length - 1) / SLAB);
    told.offsets[told.pieces] = offset;
    told.lengths[told.pieces++] = length;
    return call();
}

static int take_slab(void *context, uint64_t offset, const uint8_t *bytes, size_t length)
{
    assert_ptr_equal(context, &told);
    assert_int_equal(offset % SLAB, 0);
    told.slabs++;
    told.slab_at = told.pieces;
    told.slab_offset = offset;
    told.slab_length = length;
    memcpy(told.slab, bytes, length);
    return call();
}

static int take_run(void *context, uint64_t offset, uint64_t length)
{
    assert_ptr_equal(context, &told);
    assert_true(told.runs < PIECES_MAX && length > 0);
    told.run_offsets[told.runs] = offset;
    told.run_lengths[told.runs] = length;
    told.run_at[told.runs++] = told.pieces;
    return call();
}

static int take_progress(void *context, uint64_t offset)
{
    assert_ptr_equal(context, &told);
    assert_true(offset >= told.progress);
    told.progress = offset;
    return call();
}

static int walk(void)
{
    const struct data_walk_sink sink = {.context = &told,
                                        .run = with_runs ? take_run : NULL,
                                        .written = take_written,
                                        .slab = take_slab,
                                        .progress = take_progress};
    unsigned fails_at = told.fails_at;

    memset(&told, 0, sizeof told);
    told.fails_at = fails_at;
    return data_walk(&s.disk, &sink);
}

/* The walk tells just these pieces: offset, length, ... */
static void assert_written(const uint64_t *expected, size_t count)
{
    assert_int_equal(walk(), 0);
    for (size_t i = 0; i < told.pieces && i < count / 2; i++) {
        assert_int_equal(told.offsets[i], expected[2 * i]);
        assert_int_equal(told.lengths[i], expected[2 * i + 1]);
    }
    assert_int_equal(told.pieces, count / 2);
    assert_int_equal(told.progress, s.disk.virtual_size);
    assert_string_equal(image_problems(s.img), "");
}
#define ASSERT_WRITTEN(...)                                                                        \
    assert_written((const uint64_t[]){__VA_ARGS__}, COUNT(((const uint64_t[]){__VA_ARGS__})))

static int begin(void **state)
{
    (void)state;
    memset(&told, 0, sizeof told);
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

/* Bytes that are not zero here and there in a file of zeros. */
static void put_bytes(const uint64_t *offsets, size_t count, uint64_t size)
{
    set_size(&s, size);
    for (size_t i = 0; i < count; i++)
        put(&s, offsets[i], "x", 1);
}
#define PUT_BYTES(size, ...)                                                                       \
    put_bytes((const uint64_t[]){__VA_ARGS__}, COUNT(((const uint64_t[]){__VA_ARGS__})), size)

/* The first and the last byte of a block make it written; neighbours are told as one. */
static void test_blocks(void **state)
{
    (void)state;
    PLAY(64 * KIB, DATA(64 * KIB, 0));
    PUT_BYTES(64 * KIB, 0, 3 * BLOCK - 1, 3 * BLOCK, 5 * BLOCK + 7, 16 * BLOCK - 1);
    play(64 * KIB, script_extents, COUNT(script_extents));
    ASSERT_WRITTEN(0, BLOCK, 2 * BLOCK, 2 * BLOCK, 5 * BLOCK, BLOCK, 15 * BLOCK, BLOCK);
    assert_int_equal(told.slabs, 1);
    assert_int_equal(told.slab_at, 4);
    assert_int_equal(told.slab_length, 64 * KIB);
    assert_int_equal(told.slab[3 * BLOCK - 1], 'x');
    assert_int_equal(told.slab[3 * BLOCK + 1], 0);
}

/* Runs that begin and end anywhere: the pieces of a block are looked at one by one. */
static void test_unaligned_runs(void **state)
{
    (void)state;
    PUT_BYTES(64 * KIB, 512, 1000, 9000, 20000, 30000);
    PLAY(16 * BLOCK + 100, HOLE(1000), DATA(500, 10000), DATA(500, 512), ZERO(5000),
         DATA(4000, 18000), DATA(55 * KIB + 1216 - 1000, 8900));
    /* One of two runs in a block; 20000 stands at 9000, and 9000 at 11100, in pieces of one block
     * that are neighbours; 20000 and 30000 at 22100 and 32100. */
    ASSERT_WRITTEN(1500, 500, 8192, BLOCK, 20480, BLOCK, 28672, BLOCK);
}

/* Buffers of 2 MiB are counted from where the run begins. */
static void test_buffers(void **state)
{
    (void)state;
    PUT_BYTES(8 * MIB, 2 * MIB - 1, 4 * MIB);
    PLAY(8 * MIB, HOLE(512), DATA(7 * MIB, 0), HOLE(MIB));
    ASSERT_WRITTEN(2 * MIB, 512,                /* up to the end of the first buffer */
                   4 * MIB + 512, BLOCK - 512); /* from the beginning of the third */
    assert_int_equal(told.slabs, 2);
}

/* Slabs without data, and those of zeros, are not told; gaps in the others are zeros. */
static void test_slabs(void **state)
{
    (void)state;
    PUT_BYTES(4 * MIB, 0, 100000, 2 * MIB);
    PLAY(1024 * GIB + 5 * MIB + 10, DATA(MIB, 0), HOLE(1024 * GIB - MIB), DATA(2 * MIB, MIB - 4096),
         ZERO(2 * MIB + 100), DATA(4096, 2 * MIB - 50), HOLE(1 * MIB));
    ASSERT_WRITTEN(0, BLOCK, 98304, BLOCK,          /* the first slab */
                   1024 * GIB + MIB + BLOCK, BLOCK, /* 2 MiB there */
                   1024 * GIB + 4 * MIB + 100, BLOCK - 100);
    assert_int_equal(told.slabs, 3);
    assert_int_equal(told.slab_offset, 1024 * GIB + 4 * MIB);
    assert_int_equal(told.slab_length, MIB + 10);
    assert_int_equal(told.slab[150], 'x');
    told.slab[150] = 0;
    for (size_t i = 0; i < told.slab_length; i++)
        assert_int_equal(told.slab[i], 0);
    assert_true(image_bytes_read(s.img) < 4 * MIB);
}

/* A slab whose last bytes were another's. */
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
    assert_int_equal(told.slabs, 2);
    for (size_t i = 0; i < 2 * MIB; i++)
        bytes[i] = i >= MIB / 2 && i < MIB / 2 + 3 * 4096 && (i - MIB / 2) / 4096 != 1 ? 'x' : 0;
    assert_memory_equal(told.slab, bytes, 2 * MIB);
    free(bytes);
}

/* The disk ends inside a block; a disk of nothing has no pieces. */
static void test_end_of_disk(void **state)
{
    (void)state;
    PUT_BYTES(8192, 5000, 5120);
    PLAY(5121, DATA(8192, 0));
    ASSERT_WRITTEN(BLOCK, 5121 - BLOCK);
    assert_int_equal(told.slab_length, 5121);
    s.disk.virtual_size = 5120;
    ASSERT_WRITTEN(BLOCK, 1024);
    s.disk.virtual_size = 5000;
    assert_written(NULL, 0);
    s.disk.virtual_size = 0;
    assert_written(NULL, 0);
}

/* Extents one behind the other in the file may be read together, but are runs of their own. */
static void test_neighbours(void **state)
{
    (void)state;
    PUT_BYTES(MIB, 8192 + 600, 20000);
    PLAY(MIB, DATA(4096, 0), DATA(4096, 4096), DATA(700, 8192), DATA(300, 8892), DATA(20000, 9192),
         HOLE(MIB));
    ASSERT_WRITTEN(8192, 700, 16384, BLOCK);
    assert_int_equal(image_bytes_read(s.img), 4096 * 2 + 1000 + 20000);
}

/* The run of that number, which was told in front of that piece. */
static void assert_run(size_t number, uint64_t offset, uint64_t length, size_t piece)
{
    assert_true(number < told.runs);
    assert_int_equal(told.run_offsets[number], offset);
    assert_int_equal(told.run_lengths[number], length);
    assert_int_equal(told.run_at[number], piece);
}

/* Who wants to know of runs is told, and hears of the pieces of each by themselves; the file is
 * read as it is without that. */
static void test_runs(void **state)
{
    (void)state;
    with_runs = true;
    PUT_BYTES(8 * MIB, 100, 5000, 8192, 12000, 5 * MIB);
    PLAY(8 * MIB, DATA(4096, 0), DATA(4096, 4096), DATA(8192, 8192), HOLE(MIB),
         DATA(3 * MIB, 3 * MIB), HOLE(8 * MIB));
    ASSERT_WRITTEN(0, BLOCK, BLOCK, BLOCK, 2 * BLOCK, BLOCK, 16384 + 3 * MIB, BLOCK);
    assert_int_equal(told.runs, 4);
    assert_run(0, 0, 4096, 0);
    assert_run(1, 4096, 4096, 1);
    assert_run(2, 8192, 8192, 2);
    assert_run(3, 16384 + MIB, 3 * MIB, 3);
    assert_int_equal(image_reads(s.img), 1 + 3);
}

/* Of formats of which qemu is told no more than a cluster, or so, at once. */
static void test_told_at_once(void **state)
{
    (void)state;
    with_runs = true;
    PUT_BYTES(MIB, 0, 8192, 100000);
    PLAY(MIB, DATA(10000, 0), DATA(190000, 10000), HOLE(MIB));
    s.disk.told_at_once = 65536;
    ASSERT_WRITTEN(0, BLOCK, 8192, 10000 - 8192, 98304, BLOCK);
    assert_int_equal(told.runs, 5);
    assert_run(0, 0, 10000, 0);
    assert_run(1, 10000, 55536, 2);
    assert_run(2, 65536, 65536, 2);
    assert_run(3, 131072, 65536, 3);
    assert_run(4, 196608, 3392, 3);
}

/* Nothing is told of what is behind an error. */
static void test_errors(void **state)
{
    (void)state;
    PUT_BYTES(5 * MIB, 0, 4 * MIB);
    PLAY(32 * MIB, DATA(4096, 0), ZERO(2 * MIB), DATA(4096, 4 * MIB),
         {.length = MIB, .kind = (enum extent_kind)FAILS, .flags = EIO}, DATA(MIB, 0));
    assert_int_equal(walk(), -EIO);
    assert_int_equal(told.pieces, 1);
    assert_int_equal(told.slabs, 1);
    assert_int_equal(told.slab_offset, 0);
    assert_said(s.img, "scripted: fails at");
}

static void test_unreadable(void **state)
{
    (void)state;
    PUT_BYTES(8192, 0, 4096);
    PLAY(MIB, DATA(4096, 0), HOLE(4096), DATA(4096, 8191), DATA(MIB, 0));
    assert_int_equal(walk(), -EIO);
    assert_int_equal(told.slabs, 0);
    assert_said(s.img, "scripted: guest data at offset 8191 ends past the end of the file");
    s.disk.is_encrypted = true;
    assert_int_equal(walk(), -ENOTSUP);
    assert_int_equal(told.pieces, 0);
}

static void test_compressed(void **state)
{
    (void)state;
    PLAY(2 * MIB, {.length = 8192, .flags = EXTENT_COMPRESSED, .host = EXTENT_NO_HOST},
         ZERO(MIB - 8192), {.length = MIB, .flags = EXTENT_COMPRESSED, .host = EXTENT_NO_HOST});
    s.disk.virtual_size = MIB;
    ASSERT_WRITTEN(0, 8192);
    assert_int_equal(told.slab[8191], 8191 & 0xff);
    s.disk.virtual_size = 2 * MIB;
    assert_int_equal(walk(), -EUCLEAN);
    assert_int_equal(told.slabs, 0);
}

/* Whoever takes what is told ends the walk, at any call, and is told no more. */
static void test_sink_ends(void **state)
{
    unsigned calls;

    (void)state;
    PUT_BYTES(6 * MIB, 0, 10000, 3 * MIB, 5 * MIB);
    PLAY(6 * MIB, DATA(6 * MIB, 0));
    assert_int_equal(walk(), 0);
    calls = told.calls;
    assert_true(calls > 8);
    for (unsigned i = 1; i <= calls; i++) {
        play(6 * MIB, script_extents, COUNT(script_extents));
        told.fails_at = i;
        assert_int_equal(walk(), -ECANCELED);
        assert_int_equal(told.calls, i);
    }
    assert_string_equal(image_problems(s.img), "");
}

/* Nobody need want slabs or progress. */
static void test_pieces_alone(void **state)
{
    const struct data_walk_sink sink = {.context = &told, .written = take_written};

    (void)state;
    PUT_BYTES(6 * MIB, 0, 5 * MIB);
    PLAY(6 * MIB, DATA(2 * MIB, 0), HOLE(2 * MIB), DATA(2 * MIB, 4 * MIB));
    assert_int_equal(data_walk(&s.disk, &sink), 0);
    assert_int_equal(told.pieces, 2);
}

/* The same bytes for ever more of the disk are refused, after so many of them. */
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
    assert_said(s.img, "the same bytes of the file stand for many places of the disk");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_runs),           TEST(test_told_at_once), TEST(test_blocks),
        TEST(test_unaligned_runs), TEST(test_buffers),      TEST(test_slabs),
        TEST(test_gaps),           TEST(test_end_of_disk),  TEST(test_neighbours),
        TEST(test_errors),         TEST(test_unreadable),   TEST(test_compressed),
        TEST(test_sink_ends),      TEST(test_pieces_alone), TEST(test_same_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
