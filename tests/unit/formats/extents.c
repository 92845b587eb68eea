// SPDX-License-Identifier: Apache-2.0
/* The extent stream over a scripted driver: order, clipping, joining, host holes, references,
 * skipping. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/scripted-disk.h"

static int begin(void **state)
{
    (void)state;
    sample_begin(&s);
    return 0;
}

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void test_in_order(void **state)
{
    (void)state;
    PLAY(1000, DATA(100, 7000), HOLE(200), ZERO(300), DATA(400, EXTENT_NO_HOST));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(100, 7000), HOLE(200), ZERO(300),
                   DATA(400, EXTENT_NO_HOST));
    assert_int_equal(script.want, EXTENTS_WANT_HOST);
    assert_int_equal(script.calls, 4);
    ASSERT_EXTENTS(&s, 0, DATA(100, 0), HOLE(200), ZERO(300), DATA(400, 0));
    assert_int_equal(script.want, 0);
}

static void test_clipped(void **state)
{
    (void)state;
    PLAY(513, DATA(512, 0), DATA(UINT64_MAX / 2, 1000));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(512, 0), DATA(1, 1000));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(513, 0));
}

static void test_nothing(void **state)
{
    (void)state;
    PLAY(0, DATA(512, 0));
    assert_extents(&s, EXTENTS_WANT_JOINED, NULL, 0);
    assert_int_equal(script.calls, 0);
}

static void test_largest(void **state)
{
    (void)state;
    PLAY(UINT64_MAX, ZERO(UINT64_MAX - 1), DATA(1, 0));
    ASSERT_EXTENTS(&s, 0, ZERO(UINT64_MAX - 1), DATA(1, 0));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, ZERO(UINT64_MAX - 1), DATA(1, 0));
}

/* Without host offsets, extents of one kind are joined. */
static void test_joined(void **state)
{
    (void)state;
    PLAY(1000, DATA(100, 7000), DATA(100, 9000),
         {.length = 100, .kind = EXTENT_DATA, .host = EXTENT_NO_HOST, .flags = EXTENT_COMPRESSED},
         HOLE(100), HOLE(100), ZERO(100), ZERO(100), DATA(300, 0));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(300, 0), HOLE(200), ZERO(200), DATA(300, 0));
}

static void test_joined_host(void **state)
{
    (void)state;
    PLAY(1100, DATA(100, 7000), DATA(100, 7100), DATA(100, 7201), DATA(100, 7300),
         DATA(100, EXTENT_NO_HOST), DATA(100, EXTENT_NO_HOST),
         {.length = 100, .kind = EXTENT_DATA, .host = EXTENT_NO_HOST, .flags = EXTENT_COMPRESSED},
         ZERO(100), {.length = 100, .kind = EXTENT_ZERO, .host = 7400},
         {.length = 100, .kind = EXTENT_ZERO, .host = 7500}, ZERO(100));
    ASSERT_EXTENTS(
        &s, EXTENTS_WANT_HOST | EXTENTS_WANT_JOINED, DATA(200, 7000), DATA(100, 7201),
        DATA(100, 7300), DATA(200, EXTENT_NO_HOST),
        {.length = 100, .kind = EXTENT_DATA, .host = EXTENT_NO_HOST, .flags = EXTENT_COMPRESSED},
        ZERO(100), {.length = 200, .kind = EXTENT_ZERO, .host = 7400}, ZERO(100));
}

/* Data from 4 KiB to 8 KiB, in a file of 12 KiB + 100. */
static void make_host_file(void)
{
    sample_begin(&s);
    put_text(&s, 4 * KIB, "x");
    set_size(&s, 12 * KIB + 100);
}

static void test_host_holes(void **state)
{
    static const struct extent whole[] = {HOST_DATA(64 * KIB, 0)},
                               inside[] = {HOST_DATA(64 * KIB, 6 * KIB + 1)};
    static const struct extent not_asked[] = {DATA(64 * KIB, 0)};
    enum { FLAG = EXTENT_HOST_HOLES };

    (void)state;
    make_host_file();
    play(64 * KIB, whole, 1);
    ASSERT_EXTENTS(
        &s, EXTENTS_WANT_HOST, {.length = 4 * KIB, .kind = EXTENT_ZERO, .host = 0, .flags = FLAG},
        HOST_DATA(4 * KIB, 4 * KIB),
        {.length = 4608, .kind = EXTENT_ZERO, .host = 8 * KIB, .flags = FLAG},
        HOST_DATA(56 * KIB - 4608, 8 * KIB + 4608)); /* up to the last sector of the file */
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, ZERO(4 * KIB), DATA(4 * KIB, 0), ZERO(56 * KIB));
    play(64 * KIB, inside, 1);
    ASSERT_EXTENTS(&s, 0, DATA(2 * KIB - 1, 0), ZERO(62 * KIB + 1));
    play(64 * KIB, not_asked, 1);
    ASSERT_EXTENTS(&s, 0, DATA(64 * KIB, 0));
}

/* Zeros and holes of the image do not depend on the host file. */
static void test_host_holes_only_of_data(void **state)
{
    (void)state;
    make_host_file();
    PLAY(16 * KIB, {.length = 8 * KIB, .kind = EXTENT_ZERO, .host = 0, .flags = EXTENT_HOST_HOLES},
         {.length = 8 * KIB, .kind = EXTENT_HOLE, .host = 0, .flags = EXTENT_HOST_HOLES});
    ASSERT_EXTENTS(&s, 0, ZERO(8 * KIB), HOLE(8 * KIB));
}

/* Past the end of the host file, up to the largest offset. */
static void test_host_past_the_end(void **state)
{
    (void)state;
    make_host_file();
    PLAY(1000, HOST_DATA(500, 12 * KIB + 100), HOST_DATA(500, UINT64_MAX - 500));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, ZERO(1000));
}

static void test_below(void **state)
{
    struct extents stream;
    struct extent e;

    (void)state;
    PLAY(1000, DATA(100, 0), ZERO(100), HOLE(100), DATA(700, 0));
    s.disk.backing_reference = &base;
    extents_begin(&stream, &s.disk, 0);
    assert_int_equal(extents_next(&stream, &e), 1);
    assert_int_equal(extents_next(&stream, &e), 1);
    assert_string_equal(image_problems(s.img), "");
    assert_int_equal(extents_next(&stream, &e), -EACCES);
    assert_string_equal(image_problems(s.img),
                        "scripted: guest bytes are in a file that is not granted, the "
                        "backing file \"base.img\"\n");
    assert_stream_fails(&s, EXTENTS_WANT_JOINED | EXTENTS_WANT_HOST, EACCES, "base.img");
}

/* An image without holes needs no grant. */
static void test_below_unneeded(void **state)
{
    (void)state;
    PLAY(200, DATA(100, 0), ZERO(100), HOLE(100));
    s.disk.backing_reference = &base;
    ASSERT_EXTENTS(&s, 0, DATA(100, 0), ZERO(100));
}

static void test_driver_fails(void **state)
{
    (void)state;
    PLAY(300, DATA(100, 0), {.length = 100, .kind = (enum extent_kind)FAILS, .flags = EUCLEAN},
         DATA(100, 0));
    assert_stream_fails(&s, 0, EUCLEAN, "fails at 100");
    assert_stream_fails(&s, EXTENTS_WANT_JOINED, EUCLEAN, "fails at 100");
}

/* Runs the stream over a driver that breaks its contract: it must stop at once, not loop. */
static void assert_aborts(const struct format_driver *driver)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct extents stream;
        struct extent e;

        signal(SIGABRT, SIG_DFL);
        alarm(20);
        close(STDERR_FILENO);
        s.disk.driver = driver;
        extents_begin(&stream, &s.disk, 0);
        while (extents_next(&stream, &e) == 1)
            ;
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static int no_length(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    (void)disk;
    (void)offset;
    (void)want;
    extent->kind = EXTENT_ZERO;
    return 0;
}

static int another_offset(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    (void)disk;
    (void)want;
    extent->kind = EXTENT_ZERO;
    extent->offset = offset - offset % 512;
    extent->length = offset ? 512 : 100;
    return 0;
}

static void test_contract(void **state)
{
    static const struct format_driver stuck = {.name = "stuck", .extent_at = no_length};
    static const struct format_driver back = {.name = "back", .extent_at = another_offset};

    (void)state;
    PLAY(1000, DATA(1000, 0));
    assert_aborts(&stuck);
    assert_aborts(&back);
}

static void next(struct extents *stream, uint64_t offset, uint64_t length, enum extent_kind kind)
{
    struct extent e;

    assert_int_equal(extents_next(stream, &e), 1);
    assert_int_equal(e.offset, offset);
    assert_int_equal(e.length, length);
    assert_int_equal(e.kind, kind);
}

/* Calls to the host file system are skipped, and this is visible in `skipped`. */
static void test_skip(void **state)
{
    struct extents stream;
    struct extent e;

    (void)state;
    sample_begin(&s);
    for (unsigned i = 0; i < 8; i++)
        put_text(&s, 8 * KIB * i, "x");
    PLAY(64 * KIB, HOST_DATA(64 * KIB, 0));
    extents_begin(&stream, &s.disk, 0);
    next(&stream, 0, 4 * KIB, EXTENT_DATA);
    extents_skip(&stream, 4 * KIB);
    assert_false(stream.skipped);
    extents_skip(&stream, 17 * KIB);
    assert_true(stream.skipped);
    next(&stream, 17 * KIB, 3 * KIB, EXTENT_DATA);
    extents_skip(&stream, 1);
    next(&stream, 20 * KIB, 4 * KIB, EXTENT_ZERO);
    extents_skip(&stream, UINT64_MAX);
    assert_int_equal(extents_next(&stream, &e), 0);
    assert_int_equal(extents_next(&stream, &e), 0);
}

/* Extents that cost nothing are still returned. */
static void test_skip_tables(void **state)
{
    struct extents stream;
    struct extent e;

    (void)state;
    PLAY(300, DATA(100, 0), DATA(100, 500), ZERO(100));
    extents_begin(&stream, &s.disk, 0);
    next(&stream, 0, 100, EXTENT_DATA);
    extents_skip(&stream, 250);
    next(&stream, 100, 100, EXTENT_DATA);
    next(&stream, 200, 100, EXTENT_ZERO);
    assert_int_equal(extents_next(&stream, &e), 0);
    assert_false(stream.skipped);
}

/* A file that ends with a hole: bytes past its end are zeros, but data with host offsets. */
static void test_host_hole_at_the_end(void **state)
{
    (void)state;
    sample_begin(&s);
    set_size(&s, MIB);
    PLAY(GIB, HOST_DATA(GIB, 0));
    ASSERT_EXTENTS(&s, 0, ZERO(GIB));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST,
                   {.length = MIB, .kind = EXTENT_ZERO, .host = 0, .flags = EXTENT_HOST_HOLES},
                   HOST_DATA(GIB - MIB, MIB));
}

/* An image in which the same bytes of the file stand for many places of the disk fails. */
static void test_repeated_host_bytes(void **state)
{
    struct extents stream;

    (void)state;
    sample_begin(&s);
    set_size(&s, 40 * MIB);
    PLAY(120 * MIB, HOST_DATA(40 * MIB, 0), HOST_DATA(40 * MIB, 0), HOST_DATA(40 * MIB, 0));
    extents_begin(&stream, &s.disk, 0);
    next(&stream, 0, 40 * MIB, EXTENT_ZERO);
    next(&stream, 40 * MIB, 40 * MIB, EXTENT_ZERO);
    assert_int_equal(extents_next(&stream, &(struct extent){0}), -EFBIG);
    assert_reported(s.img, "the same bytes of the file stand for many places");
}

/* Four extents as short as the last one are skipped. */
static void test_skip_many(void **state)
{
    struct extents stream;

    (void)state;
    PLAY(1000, DATA(100, 0), ZERO(100), DATA(100, 0), ZERO(100), DATA(600, 0));
    extents_begin(&stream, &s.disk, 0);
    next(&stream, 0, 100, EXTENT_DATA);
    extents_skip(&stream, 499);
    assert_false(stream.skipped);
    extents_skip(&stream, 500);
    assert_true(stream.skipped);
    next(&stream, 500, 500, EXTENT_DATA);
}

/* Errors before the wanted offset are neither returned nor reported; those after it are. */
static void test_skip_failures(void **state)
{
    struct extents stream;
    struct extent e;

    (void)state;
    PLAY(400, DATA(100, 0), HOLE(100), DATA(100, 0), HOLE(100));
    s.disk.backing_reference = &base;
    extents_begin(&stream, &s.disk, 0);
    next(&stream, 0, 100, EXTENT_DATA);
    extents_skip(&stream, 250);
    next(&stream, 250, 50, EXTENT_DATA);
    assert_true(stream.skipped);
    assert_string_equal(image_problems(s.img), "");
    assert_int_equal(extents_next(&stream, &e), -EACCES);
    assert_int_equal(stream.offset, 300);
    /* A hole across the wanted offset. */
    extents_begin(&stream, &s.disk, 0);
    next(&stream, 0, 100, EXTENT_DATA);
    extents_skip(&stream, 199);
    assert_int_equal(extents_next(&stream, &e), -EACCES);
    assert_int_equal(stream.offset, 199);
    /* Skipping to the end of the disk. */
    extents_begin(&stream, &s.disk, 0);
    next(&stream, 0, 100, EXTENT_DATA);
    extents_skip(&stream, 400);
    assert_int_equal(extents_next(&stream, &e), 0);
}

/* A format that is opaque to qemu is all data with qemu=; consumers that read still get the true
 * extents. */
static void test_opaque(void **state)
{
    static const struct format_driver opaque = {
        .name = "opaque", .extent_at = scripted_extent_at, .opaque_to_qemu = true};

    (void)state;
    PLAY(1000, DATA(100, 7000), HOLE(200), ZERO(700));
    s.disk.driver = &opaque;
    ASSERT_EXTENTS(&s, 0, DATA(100, 0), HOLE(200), ZERO(700));
    s.disk.qemu = QEMU_VERSION(7, 2);
    script.calls = 0;
    ASSERT_EXTENTS(&s, 0, DATA(1000, 0));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(1000, 0));
    assert_int_equal(script.calls, 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(100, 7000), HOLE(200), ZERO(700));
    /* With a backing image it has no effect: qemu does not open such an image. */
    s.disk.backing_reference = &base;
    assert_stream_fails(&s, 0, EACCES, "base.img");
    /* Nor with other formats. */
    s.disk.driver = &scripted_driver;
    s.disk.backing_reference = NULL;
    s.disk.qemu = QEMU_VERSION(7, 2);
    ASSERT_EXTENTS(&s, 0, DATA(100, 0), HOLE(200), ZERO(700));
}

static void assert_next(struct extents *stream, uint64_t offset, uint64_t length,
                        enum extent_kind kind, uint64_t host)
{
    struct extent e;

    assert_int_equal(extents_next(stream, &e), 1);
    assert_int_equal(e.offset, offset);
    assert_int_equal(e.length, length);
    assert_int_equal(e.kind, kind);
    assert_int_equal(e.host, host);
}

/* Seeking forwards, into the middle of an extent, backwards, and to the end. */
static void test_seek(void **state)
{
    static const unsigned wants[] = {EXTENTS_WANT_HOST, EXTENTS_WANT_HOST | EXTENTS_WANT_JOINED};
    struct extents stream;
    struct extent e;

    (void)state;
    PLAY(1000, DATA(100, 7000), HOLE(200), ZERO(300), DATA(400, 9000));
    for (size_t i = 0; i < COUNT(wants); i++) {
        extents_begin(&stream, &s.disk, wants[i]);
        extents_seek(&stream, 300);
        assert_next(&stream, 300, 300, EXTENT_ZERO, EXTENT_NO_HOST);
        assert_next(&stream, 600, 400, EXTENT_DATA, 9000);
        extents_seek(&stream, 50);
        assert_next(&stream, 50, 50, EXTENT_DATA, 7050);
        /* The extent that was read ahead is dropped. */
        extents_seek(&stream, 700);
        assert_next(&stream, 700, 300, EXTENT_DATA, 9100);
        assert_int_equal(extents_next(&stream, &e), 0);
        extents_seek(&stream, 0);
        assert_next(&stream, 0, 100, EXTENT_DATA, 7000);
        extents_seek(&stream, 1000);
        assert_int_equal(extents_next(&stream, &e), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_clipped),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_joined_host),
        cmocka_unit_test(test_host_holes),
        cmocka_unit_test(test_host_holes_only_of_data),
        cmocka_unit_test(test_host_past_the_end),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_below_unneeded),
        cmocka_unit_test(test_driver_fails),
        cmocka_unit_test(test_contract),
        cmocka_unit_test(test_opaque),
        cmocka_unit_test(test_seek),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_skip_tables),
        cmocka_unit_test(test_skip_many),
        cmocka_unit_test(test_repeated_host_bytes),
        cmocka_unit_test(test_host_hole_at_the_end),
        cmocka_unit_test(test_skip_failures),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
