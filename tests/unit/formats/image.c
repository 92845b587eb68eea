// SPDX-License-Identifier: Apache-2.0
/* The reading session: bounds, budget, windows, memory, and what is said. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/support.h"

static struct sample s = {.fd = -1};

/* A session on a file of size bytes, byte n of it being 1 + n % 251: never 0. */
static void make(size_t size)
{
    static uint8_t bytes[4 << 20];

    assert_true(size <= sizeof bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(1 + i % 251);
    sample_begin(&s);
    put(&s, 0, bytes, size);
    sample_session(&s);
}

/* The bytes at offset of such a file. */
static const uint8_t *pattern(uint64_t offset, size_t length)
{
    static uint8_t bytes[16];

    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(1 + (offset + i) % 251);
    return bytes;
}

static uint8_t byte_at(uint64_t offset, uint64_t size)
{
    return offset < size ? (uint8_t)(1 + offset % 251) : 0;
}

static void assert_bytes(const uint8_t *bytes, uint64_t offset, size_t length, uint64_t size)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != byte_at(offset + i, size))
            fail_msg("byte %zu from offset %llu on is %u", i, (unsigned long long)offset, bytes[i]);
}

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* A file in memory with that size: on disk no file can be that long. Its end can be asked for, and
 * what lies past it. */
static void assert_size(uint64_t size)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    const uint8_t *p;
    struct image *img;
    uint64_t range_end;
    bool data;

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(image_open(&img, fd), 0);
    assert_int_equal(image_size(img), size);
    assert_int_equal(image_tail(img, &p), 0);
    assert_int_equal(image_get(img, size, 512, &p), 0);
    assert_int_equal(image_require(img, 0, size, "x"), 0);
    assert_int_equal(image_host_range(img, size, &data, &range_end), 0);
    assert_false(data);
    assert_int_equal(image_require(img, size, 1, "x"), -EUCLEAN);
    image_close(img);
    close(fd);
}

static void test_open(void **state)
{
    struct image *img = (struct image *)state;

    assert_int_equal(image_open(&img, -1), -EBADF);
    assert_null(img);
    assert_size(0);
    assert_size(1);
    assert_size(INT64_MAX);
    image_close(NULL);
}

static void test_sizes(void **state)
{
    struct stat st;

    (void)state;
    sample_begin(&s);
    set_size(&s, 8 * MIB + 1);
    put_text(&s, 4 * MIB, "x");
    sample_session(&s);
    assert_int_equal(fstat(s.fd, &st), 0);
    assert_int_equal(image_size(s.img), 8 * MIB + 1);
    assert_int_equal(image_disk_size(s.img), (uint64_t)st.st_blocks * 512);
    assert_true(image_disk_size(s.img) > 0 && image_disk_size(s.img) < MIB);
    assert_int_equal(image_bytes_read(s.img), 0);
}

static void test_get(void **state)
{
    const uint8_t *p;

    (void)state;
    make(1000);
    assert_int_equal(image_get(s.img, 10, 20, &p), 0);
    assert_bytes(p, 10, 20, 1000);
    assert_int_equal(image_get(s.img, 0, 1000, &p), 0);
    assert_bytes(p, 0, 1000, 1000);
    assert_int_equal(image_get(s.img, 999, 512, &p), 0);
    assert_bytes(p, 999, 512, 1000);
    assert_int_equal(image_get(s.img, 1000, 1, &p), 0);
    assert_int_equal(*p, 0);
    assert_int_equal(image_get(s.img, UINT64_MAX, 512, &p), 0);
    assert_bytes(p, 1000, 512, 1000);
    assert_int_equal(image_get(s.img, UINT64_MAX - 511, 512, &p), 0);
    assert_int_equal(image_get(s.img, 5, 0, &p), 0);
    assert_int_equal(image_bytes_read(s.img), 20 + 1000 + 1);
    assert_string_equal(image_problems(s.img), "");
}

static void test_get_reads_once(void **state)
{
    const uint8_t *first, *part, *more;

    (void)state;
    make(1000);
    assert_int_equal(image_get(s.img, 100, 200, &first), 0);
    put(&s, 0, (uint8_t[1000]){0}, 1000);
    assert_int_equal(image_get(s.img, 299, 1, &part), 0);
    assert_ptr_equal(part, first + 199);
    assert_bytes(part, 299, 1, 1000);
    assert_int_equal(image_bytes_read(s.img), 200);
    /* One byte more, at either end, is another piece: and that one sees the file as it is now. */
    assert_int_equal(image_get(s.img, 299, 2, &more), 0);
    assert_int_equal(more[0], 0);
    assert_int_equal(image_get(s.img, 99, 2, &more), 0);
    assert_int_equal(image_bytes_read(s.img), 204);
}

static void test_get_limit(void **state)
{
    const uint8_t *p;

    (void)state;
    make(IMAGE_GET_MAX + 1);
    assert_int_equal(image_get(s.img, 1, IMAGE_GET_MAX, &p), 0);
    assert_bytes(p, 1, IMAGE_GET_MAX, IMAGE_GET_MAX + 1);
    assert_int_equal(image_get(s.img, 0, IMAGE_GET_MAX + 1, &p), -EFBIG);
    assert_said(s.img, "1048577 bytes at offset 0");
}

static void test_head_and_tail(void **state)
{
    static const size_t sizes[] = {0,    1,    2,    510,  511,  512,  513,  514, 1022,
                                   1023, 1024, 1025, 1026, 1535, 1536, 1537, 5000};
    static const size_t head = IMAGE_HEAD_BYTES, tail = IMAGE_TAIL_BYTES;

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_t size = sizes[i], before = size < tail ? tail - size : 0;
        const uint8_t *p;

        make(size);
        assert_int_equal(image_head(s.img, &p), 0);
        assert_bytes(p, 0, head, size);
        assert_int_equal(image_tail(s.img, &p), 0);
        for (size_t k = 0; k < before; k++)
            assert_int_equal(p[k], 0);
        assert_bytes(p + before, size < tail ? 0 : size - tail, tail - before, size);
        /* The whole of a short file is read at most twice. */
        assert_true(image_bytes_read(s.img) <= head + (size < tail ? size : tail));
    }
}

static void test_require(void **state)
{
    (void)state;
    make(1000);
    assert_int_equal(image_require(s.img, 0, 1000, "x: header"), 0);
    assert_int_equal(image_require(s.img, 1000, 0, "x: header"), 0);
    assert_int_equal(image_require(s.img, 999, 1, "x: header"), 0);
    assert_string_equal(image_problems(s.img), "");
    assert_int_equal(image_require(s.img, 999, 2, "x: header"), -EUCLEAN);
    assert_string_equal(image_problems(s.img),
                        "x: header (2 bytes at offset 999) ends past the end of the file\n");
    assert_int_equal(image_require(s.img, 1001, 0, "x: table"), -EUCLEAN);
    assert_int_equal(image_require(s.img, UINT64_MAX, 2, "x: table"), -EUCLEAN);
    assert_int_equal(image_require(s.img, 2, UINT64_MAX, "x: table"), -EUCLEAN);
    assert_said(s.img, "(18446744073709551615 bytes at offset 2)");
}

static void test_window(void **state)
{
    struct image_window w;
    const uint8_t *p;

    (void)state;
    make(10000);
    assert_int_equal(image_window_begin(s.img, &w, 4096), 0);
    assert_int_equal(image_window_at(s.img, &w, 100, 4096, &p), 0);
    assert_bytes(p, 100, 4096, 10000);
    assert_int_equal(image_bytes_read(s.img), 4096);
    /* What it holds costs nothing, at both ends. */
    assert_int_equal(image_window_at(s.img, &w, 100, 1, &p), 0);
    assert_bytes(p, 100, 1, 10000);
    assert_int_equal(image_window_at(s.img, &w, 4195, 1, &p), 0);
    assert_bytes(p, 4195, 1, 10000);
    assert_int_equal(image_bytes_read(s.img), 4096);
    /* One byte beyond either end: it holds just what was asked for. */
    assert_int_equal(image_window_at(s.img, &w, 4195, 2, &p), 0);
    assert_bytes(p, 4195, 2, 10000);
    assert_int_equal(image_bytes_read(s.img), 4098);
    assert_int_equal(image_window_at(s.img, &w, 4194, 2, &p), 0);
    assert_bytes(p, 4194, 2, 10000);
    assert_int_equal(image_bytes_read(s.img), 4100);
}

static void test_window_ends(void **state)
{
    struct image_window w;
    const uint8_t *p;

    (void)state;
    make(1000);
    assert_int_equal(image_window_begin(s.img, &w, 512), 0);
    assert_int_equal(image_window_at(s.img, &w, 900, 512, &p), 0);
    assert_bytes(p, 900, 512, 1000);
    assert_int_equal(image_window_at(s.img, &w, UINT64_MAX - 100, 512, &p), 0);
    assert_bytes(p, 1000, 512, 1000);
    assert_int_equal(image_bytes_read(s.img), 100);
    assert_int_equal(image_window_at(s.img, &w, 0, 513, &p), -EFBIG);
    assert_said(s.img, "513 bytes of a table at offset 0");
    assert_int_equal(image_window_at(s.img, &w, 0, 0, &p), 0);
}

/* A window whose reading failed holds nothing, not the bytes of before. */
static void test_window_after_failure(void **state)
{
    struct image_window w;
    const uint8_t *p;

    (void)state;
    make(1000);
    assert_int_equal(image_window_begin(s.img, &w, 512), 0);
    assert_int_equal(image_window_at(s.img, &w, 0, 10, &p), 0);
    set_size(&s, 200);
    assert_int_equal(image_window_at(s.img, &w, 100, 512, &p), -EIO);
    assert_said(s.img, "the file has become shorter than 1000 bytes");
    assert_int_equal(image_window_at(s.img, &w, 0, 10, &p), 0);
    assert_bytes(p, 0, 10, 1000);
    assert_int_equal(image_bytes_read(s.img), 10 + 100 + 10);
}

static void test_cannot_read(void **state)
{
    const uint8_t *p;
    int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct image *img;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(image_open(&img, fd), 0);
    assert_int_equal(image_get(img, 0, 4, &p), -EIO);
    assert_said(img, "cannot read 4 bytes at offset 0: Is a directory");
    image_close(img);
    close(fd);
}

/* The file's size and 64 MiB more may be read, to the byte. */
static void test_budget(void **state)
{
    struct image_window w;
    const uint8_t *p;

    (void)state;
    make(MIB);
    assert_int_equal(image_window_begin(s.img, &w, MIB), 0);
    for (unsigned i = 0; i < 65; i++) {
        w.length = 0;
        assert_int_equal(image_window_at(s.img, &w, 0, MIB, &p), 0);
        /* What lies past the end costs nothing. */
        assert_int_equal(image_window_at(s.img, &w, MIB, MIB, &p), 0);
    }
    assert_int_equal(image_bytes_read(s.img), 65 * MIB);
    w.length = 0;
    assert_int_equal(image_window_at(s.img, &w, MIB - 1, 1, &p), -EFBIG);
    assert_said(s.img, "reads more than the file holds");
    assert_int_equal(image_window_at(s.img, &w, MIB, 1, &p), 0);
}

static void test_memory(void **state)
{
    struct image_window w;
    const uint8_t *p;
    uint8_t *bytes;

    (void)state;
    make(1);
    assert_null(image_alloc(s.img, (size_t)IMAGE_MEMORY_MAX + 1));
    assert_null(image_alloc(s.img, SIZE_MAX));
    assert_string_equal(image_problems(s.img), "needs more than 16 MiB of memory\n");
    bytes = image_alloc(s.img, IMAGE_MEMORY_MAX - 8);
    assert_non_null(bytes);
    for (size_t i = 0; i < IMAGE_MEMORY_MAX - 8; i += 4093)
        assert_int_equal(bytes[i], 0);
    assert_null(image_alloc(s.img, 9));
    assert_non_null(image_alloc(s.img, 8));
    assert_null(image_alloc(s.img, 1));
    assert_int_equal(image_window_begin(s.img, &w, 1), -ENOMEM);
    assert_true(image_get(s.img, 0, 1, &p) < 0);
}

/* Pieces lie at fixed places, the last is cut; one begins where the one before it ends. */
static void test_table(void **state)
{
    const uint64_t entries = IMAGE_TABLE_PIECE / 4 + 3;
    struct image_table t = {.offset = 100, .entries = entries, .entry_bytes = 4};
    const uint8_t *p;
    uint64_t count, read;

    (void)state;
    make(100 + 4 * entries);
    assert_int_equal(image_table_at(s.img, &t, 5, &p, &count), 0);
    assert_int_equal(count, IMAGE_TABLE_PIECE / 4 - 5);
    assert_memory_equal(p, pattern(120, 4), 4);
    read = image_bytes_read(s.img);
    assert_int_equal(image_table_at(s.img, &t, IMAGE_TABLE_PIECE / 4 - 1, &p, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(image_bytes_read(s.img), read);
    assert_int_equal(image_table_at(s.img, &t, entries - 1, &p, &count), 0);
    assert_int_equal(count, 1);
    assert_memory_equal(p, pattern(100 + 4 * (entries - 1), 4), 4);
    assert_int_equal(image_bytes_read(s.img), read + 12);
}

/* A few bytes at a time cost one read. */
static void test_ahead(void **state)
{
    struct image_window w;
    const uint8_t *p;

    (void)state;
    make(5000);
    assert_int_equal(image_window_begin(s.img, &w, 1000), 0);
    for (uint64_t at = 0; at < 3000; at += 8) {
        assert_int_equal(image_window_ahead(s.img, &w, at, 8, 3000 - at, &p), 0);
        assert_memory_equal(p, pattern(at, 8), 8);
    }
    assert_int_equal(image_bytes_read(s.img), 3000);
}

static void test_problems(void **state)
{
    (void)state;
    make(0);
    assert_string_equal(image_problems(s.img), "");
    assert_int_equal(image_fail(s.img, ENOTSUP, "x: version %u is not 1", 2), -ENOTSUP);
    image_note(s.img, "x: odd");
    assert_int_equal(image_fail(s.img, EIO, "x: version %u is not 1", 2), -EIO);
    image_note(s.img, "x: odd");
    assert_string_equal(image_problems(s.img), "x: version 2 is not 1\nx: odd\n");
    /* The beginning and the end of a line are other lines. */
    image_note(s.img, "x: od");
    image_note(s.img, "odd");
    assert_string_equal(image_problems(s.img), "x: version 2 is not 1\nx: odd\nx: od\nodd\n");
}

static void test_problems_escaped(void **state)
{
    (void)state;
    make(0);
    image_note(s.img, "name \"%s\"", "a\nb\x1b\xff\xe2\x80\xae");
    assert_string_equal(image_problems(s.img), "name \"a\\x0ab\\x1b\\xff\\xe2\\x80\\xae\"\n");
    /* What was escaped already is not escaped again. */
    make(0);
    image_note(s.img, "%s", "C:\\x5cbase");
    assert_string_equal(image_problems(s.img), "C:\\x5cbase\n");
}

/* A line that is cut says so; one that just fits is whole. */
static void test_problems_long(void **state)
{
    char expected[513];

    (void)state;
    make(0);
    image_note(s.img, "%0*d", 511, 0);
    memset(expected, '0', 511);
    memcpy(expected + 511, "\n", 2);
    assert_string_equal(image_problems(s.img), expected);
    make(0);
    image_note(s.img, "%0*d", 512, 0);
    memcpy(expected + 508, "...", 3);
    assert_string_equal(image_problems(s.img), expected);
    /* That the words are longer once escaped is no reason to cut them. */
    make(0);
    memset(expected, '\n', 511);
    expected[511] = '\0';
    image_note(s.img, "%s", expected);
    assert_int_equal(strlen(image_problems(s.img)), 4 * 511 + 1);
    make(0);
    expected[511] = '\n';
    expected[512] = '\0';
    image_note(s.img, "%s", expected);
    assert_int_equal(strlen(image_problems(s.img)), 4 * 508 + 3 + 1);
    assert_said(s.img, "\\x0a...\n");
}

static void test_problems_limit(void **state)
{
    size_t before = 0, lines = 0;

    (void)state;
    make(0);
    image_note(s.img, "%0600d", 1);
    assert_true(strlen(image_problems(s.img)) <= 512);
    assert_int_equal(image_problems(s.img)[strlen(image_problems(s.img)) - 1], '\n');
    for (unsigned i = 0; i < 1000; i++)
        image_note(s.img, "line %u of many that are more than are kept", i);
    before = strlen(image_problems(s.img));
    assert_true(before < IMAGE_PROBLEMS_MAX && before > IMAGE_PROBLEMS_MAX - 60);
    for (const char *p = image_problems(s.img); *p; p = strchr(p, '\n') + 1)
        lines++;
    assert_true(lines > 150);
    /* A short one may still find room. */
    image_note(s.img, "!");
    assert_true(strlen(image_problems(s.img)) <= before + 2);
}

static void test_host_range(void **state)
{
    uint64_t range_end;
    bool data;

    (void)state;
    sample_begin(&s);
    set_size(&s, MIB);
    put_text(&s, 0, "x");
    sample_session(&s);
    assert_int_equal(image_host_range(s.img, 0, &data, &range_end), 0);
    assert_true(data);
    assert_true(range_end >= 1 && range_end < MIB);
    assert_int_equal(image_host_range(s.img, range_end, &data, &range_end), 0);
    assert_false(data);
    assert_true(range_end >= MIB);
    assert_int_equal(image_host_range(s.img, MIB, &data, &range_end), 0);
    assert_false(data);
    assert_true(range_end == UINT64_MAX);
    assert_int_equal(image_host_range(s.img, UINT64_MAX - 1, &data, &range_end), 0);
    assert_false(data);
}

/* However many layers there are, the windows and the parts of all fit in memory. */
static void test_shares(void **state)
{
    (void)state;
    sample_begin(&s);
    sample_session(&s);
    for (unsigned layers = 1; layers <= 64; layers++) {
        uint64_t window, parts;

        image_share_windows(s.img, layers);
        window = image_window_share(s.img, 256 * KIB);
        parts = image_parts_share(s.img);
        assert_true(parts >= 1 && parts <= IMAGE_PARTS_MAX);
        assert_true(window >= IMAGE_WINDOW_MIN);
        assert_true(layers * parts * window <= IMAGE_MEMORY_MAX / 2);
        assert_true(image_window_share(s.img, 100) <= 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_get_reads_once),
        cmocka_unit_test(test_get_limit),
        cmocka_unit_test(test_head_and_tail),
        cmocka_unit_test(test_require),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_window_ends),
        cmocka_unit_test(test_window_after_failure),
        cmocka_unit_test(test_cannot_read),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_problems_escaped),
        cmocka_unit_test(test_problems_long),
        cmocka_unit_test(test_problems_limit),
        cmocka_unit_test(test_host_range),
        cmocka_unit_test(test_shares),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
