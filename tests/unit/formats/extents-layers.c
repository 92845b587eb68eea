// SPDX-License-Identifier: Apache-2.0
/* The extent stream through several layers with scripted drivers: which layer supplies an extent,
 * how often it is asked, and what happens if a layer is missing or fails. */
#include <stdlib.h>

#include "tests/support/scripted-disk.h"

static struct script scripts[LAYERS_MAX];
static struct disk backing_disks[LAYERS_MAX];
static unsigned layers_count;

static int begin(void **state)
{
    (void)state;
    sample_begin(&s);
    sample_session(&s);
    layers_count = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* The disk of a layer; 0: the top one. */
static struct disk *layer(unsigned n)
{
    return n ? &backing_disks[n] : &s.disk;
}

/* Adds a layer at the bottom. */
static void add_layer(uint64_t virtual_size, const struct extent *extents, size_t count)
{
    struct disk *disk = layer(layers_count);

    scripts[layers_count] = (struct script){.extents = extents, .count = count};
    *disk = (struct disk){.img = s.img,
                          .driver = &scripted_driver,
                          .virtual_size = virtual_size,
                          .state = &scripts[layers_count]};
    if (layers_count) {
        layer(layers_count - 1)->backing_reference = &base;
        assert_int_equal(disk_set_backing(layer(layers_count - 1), disk, NULL), 0);
    }
    layers_count++;
}

#define LAYER(virtual_size, ...)                                                                   \
    do {                                                                                           \
        static const struct extent layer_extents[] = {__VA_ARGS__};                                \
        add_layer(virtual_size, layer_extents, COUNT(layer_extents));                              \
    } while (0)

/* An extent of a layer. */
#define DATA_OF(layer_, length_, host_)                                                            \
    {                                                                                              \
        .length = (length_), .kind = EXTENT_DATA, .host = (host_), .layer = (layer_)               \
    }
#define ZERO_OF(layer_, length_)                                                                   \
    {                                                                                              \
        .length = (length_), .kind = EXTENT_ZERO, .host = EXTENT_NO_HOST, .layer = (layer_)        \
    }
#define HOLE_OF(layer_, length_)                                                                   \
    {                                                                                              \
        .length = (length_), .kind = EXTENT_HOLE, .host = EXTENT_NO_HOST, .layer = (layer_)        \
    }
#define FAILURE(length_, error_)                                                                   \
    {                                                                                              \
        .length = (length_), .kind = (enum extent_kind)FAILS, .flags = (error_)                    \
    }

/* Asserts the next extent of a stream. */
static void next(struct extents *stream, uint64_t offset, struct extent expected)
{
    struct extent e;

    assert_int_equal(extents_next(stream, &e), 1);
    assert_int_equal(e.offset, offset);
    assert_int_equal(e.length, expected.length);
    assert_int_equal(e.kind, expected.kind);
    assert_int_equal(e.host, expected.host);
    assert_int_equal(e.layer, expected.layer);
}
#define NEXT(stream, offset, ...) next(stream, offset, (struct extent)__VA_ARGS__)

static void fails(struct extents *stream, uint64_t offset, int error)
{
    assert_int_equal(extents_next(stream, &(struct extent){0}), -error);
    assert_int_equal(stream->offset, offset);
}

/* Holes are filled from the backing image; data and zeros hide it. */
static void test_masks(void **state)
{
    (void)state;
    LAYER(1000, DATA(100, 7000), HOLE(300), ZERO(200), HOLE(400));
    LAYER(1000, DATA(250, 100), ZERO(50), HOLE(200), DATA(500, 5000));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(100, 7000), DATA_OF(1, 150, 200), ZERO_OF(1, 50),
                   HOLE_OF(1, 100), ZERO(200), DATA_OF(1, 400, 5100));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(250, 0), ZERO(50), HOLE(100), ZERO(200),
                   DATA(400, 0));
}

/* The backing image ends in the middle of a hole: from there on the hole remains. */
static void test_shorter(void **state)
{
    (void)state;
    LAYER(1000, HOLE(1000));
    LAYER(300, DATA(100, 0), HOLE(900));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA_OF(1, 100, 0), HOLE_OF(1, 200), HOLE(700));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(100, 0), HOLE(900));
    assert_int_equal(scripts[1].calls, 4);
}

/* The backing image ends after a hole, and before one. */
static void test_shorter_at_edges(void **state)
{
    (void)state;
    LAYER(400, HOLE(200), DATA(100, 900), HOLE(100));
    LAYER(200, DATA(1000, 0));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA_OF(1, 200, 0), DATA(100, 900), HOLE(100));
    layer(1)->virtual_size = 300;
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA_OF(1, 200, 0), DATA(100, 900), HOLE(100));
    layer(1)->virtual_size = 0;
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, HOLE(200), DATA(100, 900), HOLE(100));
}

static void test_longer(void **state)
{
    (void)state;
    LAYER(300, DATA(100, 0), HOLE(200));
    LAYER(5000, HOLE(150), DATA(4850, 2000));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(100, 0), HOLE_OF(1, 50), DATA_OF(1, 150, 2000));
}

/* The middle layer is the shortest: the lowest is not asked beyond its end. */
static void test_three(void **state)
{
    (void)state;
    LAYER(1000, DATA(100, 0), HOLE(900));
    LAYER(600, ZERO(200), HOLE(100), DATA(100, 50), HOLE(200));
    LAYER(1000, DATA(250, 1000), ZERO(250), DATA(500, 4000));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(100, 0), ZERO_OF(1, 100), DATA_OF(2, 50, 1200),
                   ZERO_OF(2, 50), DATA_OF(1, 100, 50), ZERO_OF(2, 100), DATA_OF(2, 100, 4000),
                   HOLE(400));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(100, 0), ZERO(100), DATA(50, 0), ZERO(50),
                   DATA(100, 0), ZERO(100), DATA(100, 0), HOLE(400));
}

/* An error of the middle layer is returned only where the layer is used. */
static void test_middle_fails(void **state)
{
    struct extents stream;

    (void)state;
    LAYER(500, HOLE(100), DATA(200, 0), HOLE(200));
    LAYER(500, HOLE(100), FAILURE(250, EUCLEAN), HOLE(150));
    LAYER(500, ZERO(500));
    extents_begin(&stream, &s.disk, 0);
    NEXT(&stream, 0, ZERO_OF(2, 100));
    NEXT(&stream, 100, DATA(200, 0));
    assert_string_equal(image_problems(s.img), "");
    fails(&stream, 300, EUCLEAN);
    assert_reported(s.img, "fails at 300");
    extents_seek(&stream, 350);
    NEXT(&stream, 350, ZERO_OF(2, 150));
    assert_stream_fails(&s, EXTENTS_WANT_JOINED, EUCLEAN, "fails at 300");
}

/* The backing image of a middle layer is not open. */
static void test_middle_not_granted(void **state)
{
    struct extents stream;

    (void)state;
    LAYER(500, DATA(100, 0), HOLE(400));
    LAYER(500, ZERO(200), HOLE(100), DATA(200, 0));
    layer(1)->backing_reference = &base;
    extents_begin(&stream, &s.disk, 0);
    NEXT(&stream, 0, DATA(100, 0));
    NEXT(&stream, 100, ZERO_OF(1, 100));
    assert_string_equal(image_problems(s.img), "");
    fails(&stream, 200, EACCES);
    assert_reported(s.img, "base.img");
    extents_seek(&stream, 300);
    NEXT(&stream, 300, DATA_OF(1, 200, 0));
    /* It could be opened, but is not accepted. */
    layer(1)->backing_error = -EUCLEAN;
    assert_stream_fails(&s, 0, EUCLEAN, "");
    /* backing=none applies to the top image only. */
    layer(1)->backing_error = 0;
    s.disk.alone = true;
    assert_stream_fails(&s, 0, EACCES, "base.img");
}

/* backing=none: without host offsets a hole is a hole; with them, reading it fails. */
static void test_alone(void **state)
{
    (void)state;
    LAYER(500, DATA(100, 0), HOLE(400));
    s.disk.backing_reference = &base;
    s.disk.alone = true;
    ASSERT_EXTENTS(&s, 0, DATA(100, 0), HOLE(400));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(100, 0), HOLE(400));
    assert_string_equal(image_problems(s.img), "");
    assert_stream_fails(&s, EXTENTS_WANT_HOST, EACCES, "left out here");
}

enum { MANY = 1000 };

/* Data and holes alternate, a byte each. */
static const struct extent *many(void)
{
    static struct extent extents[MANY];

    for (size_t i = 0; i < MANY; i++)
        extents[i] = i % 2 ? (struct extent)HOLE(1) : (struct extent)DATA(1, i);
    return extents;
}

static void count_extents(unsigned want, unsigned expected)
{
    struct extents stream;
    struct extent e;
    unsigned extents = 0;

    for (unsigned n = 0; n < layers_count; n++)
        scripts[n].calls = 0;
    extents_begin(&stream, &s.disk, want);
    while (extents_next(&stream, &e) == 1)
        extents++;
    assert_int_equal(extents, expected);
}

/* Each layer is asked once for each of its runs, however the runs of others cut them. */
static void test_asked_once(void **state)
{
    static const unsigned wants[] = {0, EXTENTS_WANT_HOST, EXTENTS_WANT_JOINED};

    (void)state;
    add_layer(MANY, many(), MANY);
    LAYER(MANY, HOLE(MANY));
    LAYER(MANY, ZERO(MANY));
    for (size_t i = 0; i < COUNT(wants); i++) {
        count_extents(wants[i], MANY);
        assert_int_equal(scripts[0].calls, MANY);
        assert_int_equal(scripts[1].calls, 1);
        assert_int_equal(scripts[2].calls, 1);
    }
}

/* The other way round: one long hole over many short runs. */
static void test_asked_once_below(void **state)
{
    static const unsigned wants[] = {0, EXTENTS_WANT_HOST, EXTENTS_WANT_JOINED};

    (void)state;
    LAYER(MANY, HOLE(MANY));
    add_layer(MANY, many(), MANY);
    LAYER(MANY, ZERO(MANY));
    for (size_t i = 0; i < COUNT(wants); i++) {
        count_extents(wants[i], MANY);
        assert_int_equal(scripts[0].calls, 1);
        assert_int_equal(scripts[1].calls, MANY);
        assert_int_equal(scripts[2].calls, 1);
    }
}

/* Runs of several layers that cut each other. */
static void test_asked_once_across(void **state)
{
    (void)state;
    LAYER(1000, HOLE(300), HOLE(300), HOLE(400));
    LAYER(1000, DATA(200, 0), HOLE(200), HOLE(600));
    LAYER(1000, ZERO(250), DATA(750, 0));
    count_extents(0, 6);
    assert_int_equal(scripts[0].calls, 3);
    assert_int_equal(scripts[1].calls, 3);
    assert_int_equal(scripts[2].calls, 2);
    count_extents(EXTENTS_WANT_JOINED, 3);
}

/* Seeking back to the extent of another layer, and into the middle of a run. */
static void test_seek(void **state)
{
    static const unsigned wants[] = {EXTENTS_WANT_HOST, EXTENTS_WANT_HOST | EXTENTS_WANT_JOINED};
    struct extents stream;

    (void)state;
    LAYER(1000, DATA(200, 0), HOLE(400), DATA(400, 3000));
    LAYER(500, HOLE(300), DATA(200, 7000));
    LAYER(1000, DATA(1000, 20000));
    for (size_t i = 0; i < COUNT(wants); i++) {
        extents_begin(&stream, &s.disk, wants[i]);
        extents_seek(&stream, 400);
        NEXT(&stream, 400, DATA_OF(1, 100, 7100));
        NEXT(&stream, 500, HOLE(100));
        NEXT(&stream, 600, DATA(400, 3000));
        extents_seek(&stream, 250);
        NEXT(&stream, 250, DATA_OF(2, 50, 20250));
        NEXT(&stream, 300, DATA_OF(1, 200, 7000));
        extents_seek(&stream, 0);
        NEXT(&stream, 0, DATA(200, 0));
        NEXT(&stream, 200, DATA_OF(2, 100, 20200));
        extents_seek(&stream, 550);
        NEXT(&stream, 550, HOLE(50));
    }
}

/* A hole without a usable backing image, before the wanted offset. */
static void test_skip(void **state)
{
    struct extents stream;

    (void)state;
    LAYER(500, DATA(100, 0), HOLE(300), DATA(100, 900));
    LAYER(500, HOLE(200), FAILURE(150, EUCLEAN), HOLE(150));
    layer(1)->backing_reference = &base;
    extents_begin(&stream, &s.disk, 0);
    NEXT(&stream, 0, DATA(100, 0));
    extents_skip(&stream, 400);
    NEXT(&stream, 400, DATA(100, 900));
    assert_true(stream.skipped);
    assert_int_equal(extents_next(&stream, &(struct extent){0}), 0);
    assert_string_equal(image_problems(s.img), "");
    /* Only up to the wanted offset. */
    extents_begin(&stream, &s.disk, 0);
    NEXT(&stream, 0, DATA(100, 0));
    extents_skip(&stream, 399);
    fails(&stream, 399, EACCES);
    assert_reported(s.img, "base.img");
    /* An error of the backing image is skipped as well. */
    extents_begin(&stream, &s.disk, 0);
    extents_seek(&stream, 250);
    extents_skip(&stream, 400);
    NEXT(&stream, 400, DATA(100, 900));
    assert_true(stream.skipped);
}

/* Without host offsets, extents of different layers are joined; with them they are not, even if the
 * offsets are contiguous. */
static void test_joined(void **state)
{
    (void)state;
    LAYER(600, DATA(100, 0), HOLE(100), ZERO(100), HOLE(300));
    LAYER(500, HOLE(100), DATA(100, 100), HOLE(100), ZERO(100), HOLE(100));
    LAYER(500, HOLE(500));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(200, 0), ZERO(200), HOLE(200));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED | EXTENTS_WANT_HOST, DATA(100, 0), DATA_OF(1, 100, 100),
                   ZERO(100), ZERO_OF(1, 100), HOLE_OF(2, 100), HOLE(100));
}

/* The most layers: the lowest has all the data; then each has a piece. */
static void test_deepest(void **state)
{
    static struct extent pieces[LAYERS_MAX][3];
    static struct extent expected[LAYERS_MAX];

    (void)state;
    for (size_t n = 0; n < LAYERS_MAX; n++) {
        pieces[n][0] = (struct extent)HOLE(10 * (LAYERS_MAX - 1 - n) + 1);
        pieces[n][1] = (struct extent)DATA(10, 100 * n);
        pieces[n][2] = (struct extent)HOLE(10 * LAYERS_MAX);
        expected[LAYERS_MAX - 1 - n] = (struct extent)DATA_OF((unsigned)n, 10, 100 * n);
        add_layer(10 * LAYERS_MAX + 1, pieces[n], 3);
    }
    /* No layer has the first byte. */
    pieces[LAYERS_MAX - 1][0] = (struct extent)ZERO(1);
    {
        struct extents stream;

        extents_begin(&stream, &s.disk, EXTENTS_WANT_HOST);
        NEXT(&stream, 0, ZERO_OF(LAYERS_MAX - 1, 1));
        for (size_t i = 0; i < LAYERS_MAX; i++)
            next(&stream, 10 * i + 1, expected[i]);
        assert_int_equal(extents_next(&stream, &(struct extent){0}), 0);
        for (unsigned n = 0; n < LAYERS_MAX; n++)
            assert_in_range(scripts[n].calls, 1, 3);
    }
}

/* Bytes are read from the layer that has them; past the end of a shorter layer they are zeros. */
static void test_read(void **state)
{
    uint8_t bytes[12];

    (void)state;
    put_text(&s, 0, "abcdefghijklmnopqrstuvwxyz");
    sample_session(&s);
    LAYER(11, DATA(2, 0), HOLE(8), DATA(1, 25));
    LAYER(8, HOLE(4), DATA(2, 10),
          {.length = 1, .kind = EXTENT_DATA, .host = EXTENT_NO_HOST, .flags = EXTENT_COMPRESSED},
          HOLE(1));
    LAYER(100, DATA(100, 2));
    assert_int_equal(disk_read(&s.disk, 0, bytes, sizeof bytes), 0);
    assert_memory_equal(bytes, "abefkl\6j\0\0z\0", sizeof bytes);
    layer(1)->backing = NULL;
    assert_int_equal(disk_read(&s.disk, 4, bytes, 3), 0);
    assert_int_equal(disk_read(&s.disk, 4, bytes, 4), -EACCES);
    assert_int_equal(disk_read(&s.disk, 0, bytes, 2), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_masks),
        TEST(test_shorter),
        TEST(test_shorter_at_edges),
        TEST(test_longer),
        TEST(test_three),
        TEST(test_middle_fails),
        TEST(test_middle_not_granted),
        TEST(test_alone),
        TEST(test_asked_once),
        TEST(test_asked_once_below),
        TEST(test_asked_once_across),
        TEST(test_seek),
        TEST(test_skip),
        TEST(test_joined),
        TEST(test_deepest),
        TEST(test_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
