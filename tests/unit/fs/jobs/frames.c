// SPDX-License-Identifier: Apache-2.0
/* Frames received in pieces, several at once, and too long. */
#include "fs/jobs/frames.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fs/tree/limits.h"
#include "fs/tree/text.h"
#include "tests/support/support.h"

static int ends[2];
static struct frames frames;

static int begin(void **state)
{
    (void)state;
    return pipe2(ends, O_NONBLOCK | O_CLOEXEC);
}

static int end(void **state)
{
    (void)state;
    frames_end(&frames);
    close(ends[0]);
    if (ends[1] >= 0)
        close(ends[1]);
    return 0;
}

static void send_bytes(const void *bytes, size_t length)
{
    assert_int_equal(write(ends[1], bytes, length), length);
}

static void assert_frame(uint32_t kind, const char *expected)
{
    struct wire_frame frame;
    const char *bytes;

    assert_int_equal(frames_next(&frames, &frame, &bytes), 1);
    assert_int_equal(frame.kind, kind);
    assert_int_equal(frame.length, strlen(expected));
    assert_memory_equal(bytes, expected, frame.length);
}

static void assert_no_frame(int error)
{
    struct wire_frame frame;
    const char *bytes;

    assert_int_equal(frames_next(&frames, &frame, &bytes), error);
}

static void test_nothing(void **state)
{
    (void)state;
    assert_no_frame(0);
    assert_int_equal(frames_read(&frames, ends[0]), -EAGAIN);
    assert_no_frame(0);
    close(ends[1]);
    ends[1] = -1;
    assert_int_equal(frames_read(&frames, ends[0]), 0);
    assert_no_frame(0);
    assert_int_equal(frames_read(&frames, -1), -EBADF);
}

static void test_byte_by_byte(void **state)
{
    struct wire_frame frame = {.kind = WIRE_PROBLEMS, .length = 5};
    char bytes[sizeof frame + 5];

    (void)state;
    memcpy(bytes, &frame, sizeof frame);
    memcpy(bytes + sizeof frame, "words", 5);
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_no_frame(0);
        send_bytes(bytes + i, 1);
        assert_int_equal(frames_read(&frames, ends[0]), 1);
    }
    assert_frame(WIRE_PROBLEMS, "words");
    assert_no_frame(0);
}

static void test_several_and_a_half(void **state)
{
    struct wire_frame empty = {.kind = WIRE_END}, frame = {.kind = WIRE_FILE, .length = 3};

    (void)state;
    send_bytes(&frame, sizeof frame);
    send_bytes("abc", 3);
    send_bytes(&empty, sizeof empty);
    send_bytes(&frame, sizeof frame);
    send_bytes("d", 1);
    assert_int_equal(frames_read(&frames, ends[0]), 1);
    assert_frame(WIRE_FILE, "abc");
    assert_frame(WIRE_END, "");
    assert_no_frame(0);
    send_bytes("ef", 2);
    assert_int_equal(frames_read(&frames, ends[0]), 1);
    assert_frame(WIRE_FILE, "def");
    assert_no_frame(0);
}

static void test_too_long(void **state)
{
    static const uint32_t lengths[] = {TEXT_BYTES_MAX + 1, INT32_MAX, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct wire_frame frame = {.kind = WIRE_FILE, .length = lengths[i]};

        send_bytes(&frame, sizeof frame);
        assert_int_equal(frames_read(&frames, ends[0]), 1);
        assert_no_frame(-EPROTO);
        assert_no_frame(-EPROTO);
        frames_end(&frames);
    }
}

/* The longest frame arrives in pieces; the buffer holds at most one frame and a piece. */
static void test_longest(void **state)
{
    static char bytes[4096];
    struct wire_frame frame = {.kind = WIRE_FILE, .length = TEXT_BYTES_MAX}, got;
    const char *at;

    (void)state;
    send_bytes(&frame, sizeof frame);
    memset(bytes, 'x', sizeof bytes);
    for (size_t sent = 0; sent < TEXT_BYTES_MAX; sent += sizeof bytes) {
        assert_no_frame(0);
        send_bytes(bytes, sizeof bytes);
        assert_int_equal(frames_read(&frames, ends[0]), 1);
    }
    assert_int_equal(frames_next(&frames, &got, &at), 1);
    assert_int_equal(got.length, TEXT_BYTES_MAX);
    for (size_t i = 0; i < TEXT_BYTES_MAX; i++)
        assert_int_equal(at[i], 'x');
    assert_true(frames.capacity <= TEXT_BYTES_MAX + sizeof frame + (64 << 10));
    assert_no_frame(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing, begin, end),
        cmocka_unit_test_setup_teardown(test_byte_by_byte, begin, end),
        cmocka_unit_test_setup_teardown(test_several_and_a_half, begin, end),
        cmocka_unit_test_setup_teardown(test_too_long, begin, end),
        cmocka_unit_test_setup_teardown(test_longest, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
