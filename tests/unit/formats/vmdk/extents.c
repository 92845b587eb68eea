// SPDX-License-Identifier: Apache-2.0
/* vmdk: disks whose extents are files of their own, over files that are granted. */
#include "tests/support/vmdk-extents.h"

#include <stdio.h>
#include <zlib.h>

enum { BLOCK = 4096 };

static const char two_gb[] = DESCRIPTOR("twoGbMaxExtentSparse");

static void assert_unreadable(uint64_t sector, int error, const char *words)
{
    uint8_t got[SECTOR];

    assert_int_equal(disk_read(&s.disk, sector * SECTOR, got, sizeof got), -error);
    assert_reported(s.img, words);
}

static void test_flat(void **state)
{
    (void)state;
    grant(0, numbered_file(16));
    assert_int_equal(open_lines(flat, "RW 8 FLAT \"a\" 2\n"), 0);
    assert_string_equal(s.disk.references[0].format, "raw");
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, FLAT_DATA(8 * SECTOR, 2 * SECTOR, 1));
    for (uint8_t i = 0; i < 8; i++)
        assert_sector(i, 2 + i);
    assert_int_equal(granted_files.opened, 1);
}

/* VMFS has no offset. */
static void test_two_in_one_file(void **state)
{
    (void)state;
    grant(0, numbered_file(16));
    grant_same(1, 0);
    grant_same(2, 0);
    assert_int_equal(open_lines(flat, "RW 8 FLAT \"a\" 8\nRW 2 FLAT \"a\" 3\nRW 4 VMFS \"a\"\n"),
                     0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, FLAT_DATA(8 * SECTOR, 8 * SECTOR, 1),
                   FLAT_DATA(2 * SECTOR, 3 * SECTOR, 2), FLAT_DATA(4 * SECTOR, 0, 3));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(14 * SECTOR, 0));
    assert_sector(0, 8);
    assert_sector(8, 3);
    assert_sector(13, 3);
    assert_sector(7, 15);
    assert_int_equal(granted_files.opened, 1);
}

/* Holes of a file are zeros. What is past its end counts as zeros, but cannot be read. */
static void test_holes(void **state)
{
    (void)state;
    sample_begin(&s);
    put(&s, 8 * BLOCK, "x", 1);
    put(&s, 10 * BLOCK - 1, "x", 1);
    grant(0, sample_take(&s));
    assert_int_equal(open_lines(flat, "RW 80 FLAT \"a\" 8\nRW 8 FLAT \"b\" 0\n"), 0);
    grant_same(1, 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, FLAT_HOLE(7 * BLOCK, BLOCK, 1),
                   FLAT_DATA(2 * BLOCK, 8 * BLOCK, 1), FLAT_DATA(BLOCK, 10 * BLOCK, 1),
                   FLAT_HOLE(BLOCK, 0, 2));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, ZERO(7 * BLOCK), DATA(2 * BLOCK, 0), ZERO(2 * BLOCK));
    assert_sector(0, 0);
    assert_unreadable(72, EIO, "offset 40960");
    assert_sector(80, 0);
}

/* The stream fails at a file that is not granted, and goes on when it is skipped. */
static void test_not_granted(void **state)
{
    struct extents stream;
    struct extent e;

    (void)state;
    grant(0, numbered_file(8));
    grant_copy(2, 0);
    assert_int_equal(open_lines(flat, "RW 8 FLAT \"a\" 0\nRW 8 FLAT \"b\" 0\nRW 8 FLAT \"c\" 0\n"),
                     0);
    extents_begin(&stream, &s.disk, 0);
    assert_int_equal(extents_next(&stream, &e), 1);
    assert_int_equal(e.length, 8 * SECTOR);
    assert_int_equal(extents_next(&stream, &e), -EACCES);
    assert_reported(s.img, "extent \"b\"");
    extents_skip(&stream, 20 * SECTOR);
    assert_int_equal(extents_next(&stream, &e), 1);
    assert_true(stream.skipped);
    assert_int_equal(e.offset, 20 * SECTOR);
    assert_int_equal(e.length, 4 * SECTOR);
    assert_sector(7, 7);
    assert_sector(16, 0);
    assert_unreadable(8, EACCES, "extent \"b\"");
    grant_copy(1, 0);
    assert_sector(8, 0);
}

static void test_cannot_be_opened(void **state)
{
    (void)state;
    grant(0, numbered_file(8));
    grant_broken(1, -ENOENT);
    assert_int_equal(open_lines(flat, "RW 8 FLAT \"a\" 0\nRW 8 SPARSE \"b\\x\"\n"), 0);
    assert_stream_fails(&s, 0, EIO, "extent \"b\\x\"");
    assert_sector(0, 0);
    assert_unreadable(8, EIO, "extent \"b");
}

/* A file with a sparse extent of one grain table, in which grain n has bytes of that value. */
static int sparse_file(uint64_t n, uint8_t value)
{
    uint8_t bytes[GRAIN];

    make_sparse(1);
    put_text(&s, SECTOR, "\n"); /* no descriptor is needed */
    gte(0, n, 64);
    memset(bytes, value, sizeof bytes);
    put(&s, 64 * SECTOR, bytes, sizeof bytes);
    return sample_take(&s);
}

enum { SPARSE_SECTORS = 512 * GRAIN_SECTORS, SPARSE_BYTES = SPARSE_SECTORS * SECTOR };

static void test_sparse(void **state)
{
    (void)state;
    grant(0, sparse_file(0, 17));
    grant(1, sparse_file(511, 18));
    grant_same(2, 0);
    assert_int_equal(open_lines(two_gb, "RW 4096 SPARSE \"a\"\nRW 4096 VMFSSPARSE \"b\"\n"
                                        "RW 4096 SPARSE \"a\"\n"),
                     0);
    assert_string_equal(s.disk.references[1].format, "vmdk");
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, FILE_DATA(GRAIN, 64 * SECTOR, 1),
                   HOLE(SPARSE_BYTES - GRAIN), HOLE(SPARSE_BYTES - GRAIN),
                   FILE_DATA(GRAIN, 64 * SECTOR, 2), FILE_DATA(GRAIN, 64 * SECTOR, 3),
                   HOLE(SPARSE_BYTES - GRAIN));
    assert_sector(0, 17);
    assert_sector(2 * SPARSE_SECTORS - 1, 18);
    assert_sector(2 * SPARSE_SECTORS, 17);
    assert_sector(SPARSE_SECTORS, 0);
    assert_int_equal(granted_files.opened, 2);
}

/* The holes of an extent are filled from the parent of the whole disk. */
static void test_sparse_parent(void **state)
{
    static const char lines[] = "parentFileNameHint=\"base\"\nRW 4096 SPARSE \"a\"\n"
                                "RW 4096 SPARSE \"b\"\n";
    struct sample parent = {.fd = -1};

    (void)state;
    grant(0, sparse_file(0, 17));
    grant(1, sparse_file(511, 18));
    assert_int_equal(open_lines(two_gb, lines), 0);
    assert_sector(0, 17);
    assert_unreadable(8, EACCES, "parent \"base\"");
    parent.fd = numbered_file(9);
    assert_int_equal(sample_open(&parent, &raw_driver), 0);
    assert_int_equal(open_lines(two_gb, lines), 0);
    s.disk.backing = &parent.disk;
    assert_sector(8, 8);
    assert_sector(9, 0);
    assert_sector(2 * SPARSE_SECTORS - 1, 18);
    image_close(s.img); /* before the parent that it reads */
    s.img = NULL;
    sample_end(&parent);
}

/* Markers count sectors from the start of the extent. */
static void test_compressed(void **state)
{
    uint8_t plain[GRAIN], packed[GRAIN];
    uLongf length = sizeof packed;

    (void)state;
    memset(plain, 'A', sizeof plain);
    assert_int_equal(compress(packed, &length, plain, sizeof plain), Z_OK);
    grant(0, numbered_file(8));
    make_sparse(1);
    put_le(&s, 8, 4, 1 << 16 | 1 << 17);
    put_le(&s, 77, 2, 1);
    gte(0, 3, 64);
    put_le(&s, 64 * SECTOR, 8, 3 * GRAIN_SECTORS);
    put_le(&s, 64 * SECTOR + 8, 4, length);
    put(&s, 64 * SECTOR + 12, packed, length);
    grant(1, sample_take(&s));
    assert_int_equal(open_lines(two_gb, "RW 8 FLAT \"a\" 0\nRW 4096 SPARSE \"b\"\n"), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, FLAT_DATA(8 * SECTOR, 0, 1), HOLE(3 * GRAIN),
                   {.length = GRAIN,
                    .kind = EXTENT_DATA,
                    .host = EXTENT_NO_HOST,
                    .file = 2,
                    .flags = EXTENT_COMPRESSED},
                   HOLE(508 * GRAIN));
    assert_sector(7, 7);
    assert_sector(8 + 3 * GRAIN_SECTORS + 5, 'A');
    assert_sector(8 + 4 * GRAIN_SECTORS, 0);
}

static void test_cowd_and_sesparse(void **state)
{
    static const char lines[] = "RW 32768 VMFSSPARSE \"a\"\nRW 32768 SESPARSE \"b\"\n";

    (void)state;
    make_cowd(1);
    put_le(&s, 8 * SECTOR + 4 * 9, 4, 100);
    grant(0, sample_take(&s));
    make_sesparse(1);
    put_le(&s, SE_GT * SECTOR, 8, UINT64_C(2) << 60);
    put_le(&s, SE_GT * SECTOR + 8, 8, UINT64_C(3) << 60);
    grant(1, sample_take(&s));
    assert_int_equal(open_lines(two_gb, lines), 0);
    assert_string_equal(s.disk.references[1].format, "vmdk");
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, HOLE(9 * GRAIN), FILE_DATA(GRAIN, 100 * SECTOR, 1),
                   HOLE(4086 * GRAIN), ZERO(GRAIN), FILE_DATA(GRAIN, SE_GRAINS * SECTOR, 2),
                   HOLE(4094 * GRAIN));
}

/* Files whose kind or size is not that of the descriptor's line. */
static void test_bad_files(void **state)
{
    static const struct {
        const char *lines;
        const char *key;
    } bad[] = {
        {"RW 4088 SPARSE \"a\"\n", "vmdk: capacity 4096 is not the 4088 sectors in the descriptor"},
        {"RW 4104 VMFSSPARSE \"a\"\n", "4104 sectors"},
        {"RW 4096 SESPARSE \"a\"\n",
         "vmdk: the file is not a seSparse extent, but its type in the descriptor is SESPARSE"},
        {"RW 8 FLAT \"a\" 0\nRW 8 SPARSE \"b\"\n",
         "vmdk: the file is not a sparse extent: it begins with no known magic"},
        {"RW 8 FLAT \"a\" 0\nRW 8 FLAT \"b\" 0\nRW 32768 SPARSE \"c\"\n",
         "vmdk: the file is a seSparse extent, but its type in the descriptor is not SESPARSE"},
        {"RW 8 FLAT \"a\" 0\nRW 8 FLAT \"b\" 0\nRW 32768 SESPARSE \"c\"\nRW 9 SPARSE \"d\"\n",
         "extent \"d\": vmdk: grainSize 3"},
    };

    (void)state;
    grant(0, sparse_file(0, 1));
    grant(1, numbered_file(8));
    make_sesparse(1);
    grant(2, sample_take(&s));
    make_sparse(1);
    put_le(&s, 20, 8, 3);
    grant(3, sample_take(&s));
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(open_lines(two_gb, bad[i].lines), 0);
        assert_stream_fails(&s, 0, EUCLEAN, bad[i].key);
        assert_stream_fails(&s, EXTENTS_WANT_HOST, EUCLEAN, bad[i].key);
    }
}

/* A descriptor is not an extent, nor is a header without capacity that carries a descriptor. */
static void test_nested(void **state)
{
    (void)state;
    sample_begin(&s);
    put_text(&s, 0, two_gb);
    grant(0, sample_take(&s));
    sample_begin(&s);
    header(0, 0);
    put_text(&s, SECTOR, "createType=\"monolithicFlat\"\nparentCID=ffffffff\nRW 8 FLAT \"x\" 0\n");
    set_size(&s, 64 * SECTOR);
    grant(1, sample_take(&s));
    assert_int_equal(open_lines(two_gb, "RW 8 SPARSE \"a\"\n"), 0);
    assert_stream_fails(&s, 0, EUCLEAN, "not a sparse extent");
    assert_int_equal(
        open_lines(two_gb, "RW 0 SPARSE \"a\"\nRW 8 FLAT \"a\" 0\nRW 8 SPARSE \"b\"\n"), 0);
    assert_stream_fails(&s, 0, EUCLEAN, "capacity 0");
}

/* At most 8 files are open at a time. Those that were closed are reopened. */
static void test_many_sparse(void **state)
{
    enum { FILES = 12, OPEN = 8 };
    char text[FILES * 40] = "";
    unsigned before;

    (void)state;
    for (unsigned i = 0; i < FILES; i++) {
        grant(i, sparse_file(i, (uint8_t)(i + 1)));
        snprintf(text + strlen(text), 40, "RW 4096 SPARSE \"disk-s%03u.vmdk\"\n", i + 1);
    }
    assert_int_equal(open_lines(two_gb, text), 0);
    before = open_descriptors();
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < FILES; i++) {
            assert_sector(i * SPARSE_SECTORS + i * GRAIN_SECTORS, (uint8_t)(i + 1));
            assert_sector(i * SPARSE_SECTORS + FILES * GRAIN_SECTORS, 0);
            assert_true(open_descriptors() <= before + OPEN);
        }
    assert_int_equal(granted_files.opened, 3 * FILES);
    for (unsigned i = FILES - OPEN; i < FILES; i++) /* these are still open */
        assert_sector(i * SPARSE_SECTORS + i * GRAIN_SECTORS, (uint8_t)(i + 1));
    assert_int_equal(granted_files.opened, 3 * FILES);
    assert_non_null(image_alloc(s.img, IMAGE_MEMORY_MAX - MIB));
}

/* The tables of all extents together would not fit in memory. */
static void test_large_sparse(void **state)
{
    enum { FILES = 10, TABLES = 1024 };
    char text[FILES * 40] = "";

    (void)state;
    for (unsigned i = 0; i < FILES; i++) {
        make_sparse(TABLES);
        gte(TABLES - 1, 511, 64);
        grant(i, sample_take(&s));
        snprintf(text + strlen(text), 40, "RW %u SPARSE \"%u\"\n", TABLES * SPARSE_SECTORS, i);
    }
    assert_int_equal(open_lines(two_gb, text), 0);
    for (unsigned i = 0; i < FILES; i++) {
        uint64_t start = i * (uint64_t)TABLES * SPARSE_BYTES,
                 last = TABLES * (uint64_t)SPARSE_BYTES;

        assert_int_equal(at(start, 0).length, 128 * SPARSE_BYTES);
        assert_extent(at(start + last - GRAIN, 1), EXTENT_DATA, GRAIN, 64 * SECTOR);
    }
    assert_non_null(image_alloc(s.img, IMAGE_MEMORY_MAX - 3 * MIB));
}

/* ZERO extents count, as specified. Extents that are not supported cannot be read. */
static void test_other_types(void **state)
{
    static const char custom[] = DESCRIPTOR("custom");

    (void)state;
    grant(0, numbered_file(16));
    grant_same(1, 0);
    grant_same(2, 0);
    assert_int_equal(open_lines(custom, "RW 8 ZERO\nRDONLY 2 FLAT \"a\" 5\nNOACCESS 4 ZERO\n"
                                        "RW 1 VMFSRDM \"b\"\nRW 1 FLAT \"c\" part-1\n"),
                     0);
    assert_int_equal(s.disk.virtual_size, 16 * SECTOR);
    assert_sector(0, 0);
    assert_sector(8, 5);
    assert_sector(9, 6);
    assert_sector(13, 0);
    assert_unreadable(14, ENOTSUP, "extent \"b\"");
    assert_unreadable(15, ENOTSUP, "extent \"c\"");
    assert_string_equal(s.disk.references[1].format, "VMFSRDM");
    assert_string_equal(s.disk.references[2].format, "raw");
    assert_int_equal(granted_files.opened, 1);
}

static void test_far_offsets(void **state)
{
    (void)state;
    grant(0, numbered_file(1));
    assert_int_equal(open_lines(flat, "RW 8 FLAT \"a\" 18014398509481984\n"), -EUCLEAN);
    assert_reported(s.img,
                    "18014398509481984': it ends beyond the largest possible file, 2^63 bytes");
    assert_int_equal(open_lines(flat, "RW 8 FLAT \"a\" 36028797018963968\n"), -EUCLEAN);
    assert_int_equal(open_lines(flat, "RW 8 FLAT \"a\" 18014398509481975\n"), 0);
    ASSERT_EXTENTS(&s, 0, ZERO(8 * SECTOR));
    assert_unreadable(0, EIO, "offset 9223372036854771200");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_flat),          TEST(test_two_in_one_file),  TEST(test_holes),
        TEST(test_not_granted),   TEST(test_cannot_be_opened), TEST(test_sparse),
        TEST(test_sparse_parent), TEST(test_compressed),       TEST(test_cowd_and_sesparse),
        TEST(test_bad_files),     TEST(test_nested),           TEST(test_many_sparse),
        TEST(test_large_sparse),  TEST(test_other_types),      TEST(test_far_offsets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
