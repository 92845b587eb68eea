// SPDX-License-Identifier: Apache-2.0
/* qcow2: reading compressed clusters, good and bad. */
#include "formats/targets/data-walk.h"

#include "tests/support/qcow2-image.h"

#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { BITS = 12, CLUSTER = 1 << BITS, L2_AT = 4 * CLUSTER, HOST = 16 * CLUSTER };

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* Byte i of cluster n: runs of eight, with few other repetitions. */
static uint8_t byte_at(uint64_t n, uint64_t i)
{
    return (uint8_t)(n * 31 + i / 8 * (i / 8) / 7 + (i >> 8));
}

static void fill(uint8_t *bytes, uint64_t n, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = byte_at(n, i);
}

static size_t deflated(const uint8_t *bytes, size_t length, int window, uint8_t *out, size_t size)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)bytes, .avail_in = (unsigned)length};

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = out;
    z.avail_out = (unsigned)size;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

/* Writes the L2 entry of cluster n: a descriptor of a stream of `length` bytes at host. */
static void put_descriptor(uint64_t n, uint64_t host, size_t length, unsigned entry_bytes,
                           unsigned bits)
{
    uint64_t sectors = (host + length - 1) / 512 - host / 512;

    put_be(&s, (UINT64_C(4) << bits) + n * entry_bytes, 8,
           Q_COMPRESSED | sectors << (62 - (bits - 8)) | host);
}

/* Writes cluster n, compressed, at offset host. Returns the offset of its end. */
static uint64_t put_cluster(uint64_t n, uint64_t host)
{
    uint8_t bytes[CLUSTER], stream[2 * CLUSTER];
    size_t length;

    fill(bytes, n, sizeof bytes);
    length = deflated(bytes, sizeof bytes, -12, stream, sizeof stream);
    put(&s, host, stream, length);
    put_descriptor(n, host, length, 8, BITS);
    return host + length;
}

/* A disk of 64 clusters, with an empty L2 table. */
static void make(void)
{
    make_qcow2(&s, 64 * CLUSTER, BITS);
    put_be(&s, CLUSTER, 8, L2_AT | Q_COPIED);
}

static void assert_bytes(uint64_t n, uint64_t within, size_t length)
{
    uint8_t bytes[4 * CLUSTER];

    assert_int_equal(disk_read(&s.disk, n * CLUSTER + within, bytes, length), 0);
    for (uint64_t i = 0; i < length; i++) {
        uint64_t at = within + i;

        if (bytes[i] != byte_at(n + at / CLUSTER, at % CLUSTER))
            fail_msg("byte %llu from %llu of cluster %llu", (unsigned long long)i,
                     (unsigned long long)within, (unsigned long long)n);
    }
}

static void assert_unreadable(uint64_t n, int error, const char *words)
{
    uint8_t bytes[16];

    reopen(&s);
    assert_int_equal(disk_read(&s.disk, n * CLUSTER, bytes, sizeof bytes), -error);
    assert_reported(s.img, words);
}

/* Adjacent streams that begin at any byte, in any order. */
static void test_clusters(void **state)
{
    uint64_t at = HOST + 511;

    (void)state;
    make();
    at = put_cluster(2, at);
    at = put_cluster(1, at);
    at = put_cluster(3, at);
    put_cluster(9, at);
    reopen(&s);
    for (uint64_t n = 1; n <= 3; n++)
        assert_bytes(n, 0, CLUSTER);
    assert_bytes(9, 0, CLUSTER);
    assert_bytes(1, 0, 3 * CLUSTER);
    assert_bytes(1, CLUSTER - 1, 2);
    assert_bytes(2, 1, 1);
    assert_bytes(2, CLUSTER - 1, 1);
    assert_bytes(1, 700, 2 * CLUSTER + 1000);
}

/* Next to clusters that are not compressed, and at the end of the disk. */
static void test_beside_others(void **state)
{
    uint8_t bytes[3 * CLUSTER];

    (void)state;
    make();
    put_cluster(5, HOST);
    put_cluster(63, HOST + CLUSTER);
    put_be(&s, L2_AT + 8 * 6, 8, (HOST + 4 * CLUSTER) | Q_COPIED);
    put_text(&s, HOST + 4 * CLUSTER, "plain");
    reopen(&s);
    assert_int_equal(disk_read(&s.disk, 4 * CLUSTER, bytes, sizeof bytes), 0);
    assert_int_equal(bytes[CLUSTER - 1], 0);
    assert_int_equal(bytes[CLUSTER + 100], byte_at(5, 100));
    assert_int_equal(bytes[2 * CLUSTER - 1], byte_at(5, CLUSTER - 1));
    assert_memory_equal(bytes + 2 * CLUSTER, "plain", 6);
    assert_int_equal(disk_read(&s.disk, 63 * CLUSTER, bytes, sizeof bytes), 0);
    assert_int_equal(bytes[CLUSTER - 1], byte_at(63, CLUSTER - 1));
    assert_int_equal(bytes[CLUSTER], 0);
}

/* All cluster sizes: the descriptor's layout depends on them. Streams of the largest refer to bytes
 * 20000 bytes back, which qemu reads, though it does not write such streams. */
static void test_cluster_sizes(void **state)
{
    static uint8_t bytes[2 << 20], stream[3 << 20], read[2 << 20];

    (void)state;
    for (unsigned bits = 9; bits <= 21; bits++) {
        uint64_t size = UINT64_C(1) << bits, host = 16 * size + 3;
        size_t length;

        make_qcow2(&s, 2 * size, bits);
        put_be(&s, size, 8, 4 * size);
        for (size_t i = 0; i < size; i++)
            bytes[i] = byte_at(0, i % 20000);
        length = deflated(bytes, size, -15, stream, sizeof stream);
        put(&s, host, stream, length);
        put_descriptor(1, host, length, 8, bits);
        reopen(&s);
        assert_int_equal(disk_read(&s.disk, size, read, size), 0);
        assert_memory_equal(read, bytes, size);
        assert_int_equal(disk_read(&s.disk, 2 * size - 2, read, 2), 0);
        assert_memory_equal(read, bytes + size - 2, 2);
    }
}

static void test_extended_l2(void **state)
{
    uint8_t bytes[1 << 14], stream[1 << 15], read[1 << 14];
    size_t length;

    (void)state;
    make_qcow2(&s, 8 << 14, 14);
    put_be(&s, Q_INCOMPATIBLE, 8, 1 << 4);
    put_be(&s, 1 << 14, 8, 4 << 14);
    fill(bytes, 3, sizeof bytes);
    length = deflated(bytes, sizeof bytes, -12, stream, sizeof stream);
    put(&s, (16 << 14) + 77, stream, length);
    put_descriptor(3, (16 << 14) + 77, length, 16, 14);
    reopen(&s);
    assert_int_equal(disk_read(&s.disk, 3 << 14, read, sizeof read), 0);
    assert_memory_equal(read, bytes, sizeof bytes);
}

static void test_broken(void **state)
{
    (void)state;
    make();
    put_cluster(0, HOST);
    put_be(&s, HOST, 2, 0xffff);
    assert_unreadable(0, EUCLEAN, "compressed cluster at offset 65536");
    /* A stream shorter than the cluster: one last, empty block of fixed codes. */
    put_be(&s, HOST, 2, 0x0300);
    assert_unreadable(0, EUCLEAN, "compressed cluster at offset 65536");
    /* The descriptor's length is shorter than the stream. */
    make();
    put_cluster(0, HOST);
    put_descriptor(0, HOST, 1, 8, BITS);
    reopen(&s);
    assert_int_equal(disk_read(&s.disk, CLUSTER - 1, (uint8_t[1]){0}, 1), -EUCLEAN);
    assert_reported(s.img, "compressed cluster at offset 65536");
    /* The file ends inside the stream, then before it. */
    put_cluster(0, HOST);
    set_size(&s, HOST + 20);
    reopen(&s);
    assert_int_equal(disk_read(&s.disk, CLUSTER - 1, (uint8_t[1]){0}, 1), -EUCLEAN);
    set_size(&s, HOST);
    assert_unreadable(0, EIO, "compressed cluster at offset 65536");
    put_be(&s, L2_AT, 8, UINT64_MAX >> 1);
    assert_unreadable(0, EIO, "compressed cluster at offset");
}

/* The descriptor's sectors may extend past the end of the file, and past the end of the stream. */
static void test_room(void **state)
{
    uint64_t at;

    (void)state;
    make();
    at = put_cluster(0, HOST + 100);
    set_size(&s, at);
    reopen(&s);
    assert_bytes(0, 0, CLUSTER);
    /* More sectors than the stream needs, with other bytes in them. */
    put_descriptor(0, HOST + 100, 2 * CLUSTER - 512, 8, BITS);
    put_text(&s, at, "anything");
    reopen(&s);
    assert_bytes(0, 0, CLUSTER);
}

/* zstd streams that begin at any byte, some with a descriptor longer than the stream. */
static void test_zstd(void **state)
{
    uint8_t bytes[CLUSTER], stream[2 * CLUSTER];
    uint64_t host = HOST + 77;

    (void)state;
    make();
    put_be(&s, Q_HEADER_LENGTH, 4, 112);
    put_be(&s, Q_COMPRESSION_TYPE, 1, 1);
    put_be(&s, Q_INCOMPATIBLE, 8, 1 << 3);
    for (uint64_t n = 0; n < 3; n++) {
        size_t length;

        fill(bytes, n, sizeof bytes);
        length = ZSTD_compress(stream, sizeof stream, bytes, sizeof bytes, 3);
        put(&s, host, stream, length);
        put_descriptor(n, host, n == 1 ? length : length + 1000, 8, BITS);
        host += length;
    }
    reopen(&s);
    assert_bytes(0, 0, 3 * CLUSTER);
    assert_bytes(1, CLUSTER - 1, 2);
    assert_bytes(1, 700, CLUSTER + 1000);
    put_be(&s, HOST + 77, 4, 0);
    assert_unreadable(0, EUCLEAN, "compressed cluster at offset 65613");
    /* Other clusters can still be read. */
    assert_bytes(1, 0, CLUSTER);
    /* A deflate stream is not a zstd stream. */
    put_cluster(0, HOST);
    assert_unreadable(0, EUCLEAN, "compressed cluster at offset 65536");
}

static int count_written(void *context, uint64_t offset, uint64_t length)
{
    (void)offset;
    *(uint64_t *)context += length;
    return 0;
}

/* A disk of 1 GiB whose clusters are all the same stream, in a file that ends with a hole of `hole`
 * bytes. */
static void make_same_stream(uint64_t hole)
{
    enum { TABLES = CLUSTER / 8 };

    make_qcow2(&s, GIB, BITS);
    set_size(&s, HOST + CLUSTER);
    for (uint64_t i = 0; i < TABLES; i++)
        put_be(&s, CLUSTER + 8 * i, 8, L2_AT | Q_COPIED);
    put_cluster(0, HOST);
    for (uint64_t i = 1; i < CLUSTER / 8; i++) {
        uint8_t entry[8];

        assert_int_equal(pread(s.fd, entry, 8, L2_AT), 8);
        put(&s, L2_AT + 8 * i, entry, 8);
    }
    set_size(&s, HOST + CLUSTER + hole);
    reopen(&s);
}

/*
 * A walk over the data fails after it has inflated far more bytes than a genuine file of that size
 * could hold, but before the end of the disk. Holes of the file do not raise the limit.
 */
static void test_same_stream(void **state)
{
    uint64_t written = 0;
    const struct data_walk_sink sink = {.context = &written, .written = count_written};

    (void)state;
    for (uint64_t hole = 0; hole <= GIB; hole += GIB) {
        make_same_stream(hole);
        written = 0;
        assert_int_equal(data_walk(&s.disk, &sink), -EFBIG);
        assert_reported(s.img, "takes too long");
        assert_true(written > 100 * (HOST + CLUSTER));
        assert_true(written < GIB / 2);
        sample_end(&s);
    }
}

/* The limit allows a genuine image, in which every cluster has its own stream. */
static void test_many_streams(void **state)
{
    enum { CLUSTERS = 200 };
    static uint8_t zeros[2 << 20], stream[1 << 20];
    uint64_t written = 0, host = 16 * sizeof zeros;
    const struct data_walk_sink sink = {.context = &written, .written = count_written};
    size_t length;

    (void)state;
    make_qcow2(&s, CLUSTERS * sizeof zeros, 21);
    put_be(&s, sizeof zeros, 8, 4 * sizeof zeros);
    memset(zeros, 'z', sizeof zeros);
    length = deflated(zeros, sizeof zeros, -15, stream, sizeof stream);
    for (uint64_t n = 0; n < CLUSTERS; n++, host += length) {
        put(&s, host, stream, length);
        put_descriptor(n, host, length, 8, 21);
    }
    set_size(&s, host);
    reopen(&s);
    assert_int_equal(data_walk(&s.disk, &sink), 0);
    assert_int_equal(written, CLUSTERS * sizeof zeros);
    assert_true(image_bytes_read(s.img) < 16 * sizeof zeros + CLUSTERS * length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clusters),      cmocka_unit_test(test_beside_others),
        cmocka_unit_test(test_cluster_sizes), cmocka_unit_test(test_extended_l2),
        cmocka_unit_test(test_broken),        cmocka_unit_test(test_room),
        cmocka_unit_test(test_zstd),          cmocka_unit_test(test_same_stream),
        cmocka_unit_test(test_many_streams),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
