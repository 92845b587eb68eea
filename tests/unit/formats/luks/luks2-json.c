// SPDX-License-Identifier: Apache-2.0
/* luks: the JSON area of version 2, its grammar, and the rules of the segment. */
#include <stdio.h>

#include "tests/support/luks2-image.h"

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* Both headers have this JSON area, which is accepted. */
static void assert_good(const char *json)
{
    make_luks2(&s, json);
    if (sample_open(&s, &luks_driver) != 0)
        fail_msg("%s: %s", json, image_problems(s.img));
    assert_string_equal(image_problems(s.img), "");
}

static void assert_bad(const char *json, int error, const char *words)
{
    make_luks2(&s, json);
    if (sample_open(&s, &luks_driver) != -error)
        fail_msg("%s: not error %d: %s", json, error, image_problems(s.img));
    assert_reported(s.img, words);
}

/* A JSON area with a value of any kind beside the segments. */
#define WITH(value) "{\"x\":" value ",\"segments\":{\"0\":" SEGMENT "}}"
#define IN(segment) "{\"segments\":{\"0\":" segment "}}"

static void test_grammar(void **state)
{
    static const char *const good[] = {
        "0",
        "-0",
        "10",
        "-12",
        "0.5",
        "1e5",
        "1E+5",
        "1.25e-07",
        "true",
        "false",
        "null",
        "\"\"",
        "\"\\u00e9\\\"\\\\\"",
        "{}",
        "[]",
        "[ ]",
        "{ }",
        "[1]",
        "[1,2]",
        "[[],{}]",
        "{\"a\":1,\"b\":[2,{\"c\":3}]}",
        " \t\r\n 1 \n",
        "123456789012345678901234567890123456789",
    };
    char json[512];

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        snprintf(json, sizeof json, WITH("%s"), good[i]);
        assert_good(json);
    }
}

static void test_bad_grammar(void **state)
{
    static const struct {
        const char *value, *words;
    } bad[] = {
        {"", "expected a value"},
        {"01", "expected a value"},
        {"-", "expected a value"},
        {"1.", "expected a value"},
        {".5", "expected a value"},
        {"+1", "expected a value"},
        {"1e", "expected a value"},
        {"1e+", "expected a value"},
        {"0x1", "expected a value"},
        {"tru", "expected a value"},
        {"truex", "expected a value"},
        {"True", "expected a value"},
        {"'a'", "expected a value"},
        {"\\", "expected a value"},
        {"1234567890123456789012345678901234567890", "more than 39 characters"},
        {"\"\\x\"", "escape"},
        {"\"a\nb\"", "control character"},
        {"[1,]", "expected a value"},
        {"[,1]", "expected a value"},
        {"[1 2]", "comma"},
        {"[1}", "comma"},
        {"{]", "expected a key"},
        {"{\"a\"}", "colon"},
        {"{\"a\":}", "expected a value"},
        {"{\"a\":1,}", "expected a key"},
        {"{1:2}", "expected a key"},
        {"{\"a\":1", "comma"},
        {"[", "expected a value"},
        {"1]", "comma"},
    };
    char json[512];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(json, sizeof json, WITH("%s"), bad[i].value);
        assert_bad(json, EUCLEAN, bad[i].words);
    }
}

/* The area has one object, and a NUL after it. */
static void test_area(void **state)
{
    static char full[12 * 1024 + 1];

    (void)state;
    assert_good(" \n" JSON " \n");
    assert_bad("", EUCLEAN, "byte 1: expected an object");
    assert_bad("[]", EUCLEAN, "expected an object");
    assert_bad("{}", EUCLEAN, "segment 0 has no type");
    assert_bad(JSON "x", EUCLEAN, "NUL");
    assert_bad(JSON "{}", EUCLEAN, "NUL");
    memset(full, ' ', sizeof full - 1);
    memcpy(full, JSON, strlen(JSON));
    assert_bad(full, EUCLEAN, "byte 12288: unexpected end");
    full[sizeof full - 2] = '\0';
    assert_good(full);
    memset(full, 'a', sizeof full - 1);
    memcpy(full, "{\"", 2);
    assert_bad(full, EUCLEAN, "byte 12288: unexpected end");
}

static void nest(char *json, unsigned depth)
{
    strcpy(json, "{\"x\":");
    memset(json + 5, '[', depth);
    memset(json + 5 + depth, ']', depth);
    strcpy(json + 5 + 2 * depth, ",\"segments\":{\"0\":" SEGMENT "}}");
}

static void test_limits(void **state)
{
    static char json[200 << 10];
    size_t used;

    (void)state;
    nest(json, 15);
    assert_good(json);
    nest(json, 16);
    assert_bad(json, EUCLEAN, "more than 16 nested");
    for (unsigned more = 0; more < 2; more++) {
        /* Six other values: x, segments, 0, type, offset, size. */
        used = (size_t)sprintf(json, "{\"x\":[1");
        for (unsigned i = 1; i < 65536 - 6 + more; i++)
            used += (size_t)sprintf(json + used, ",1");
        strcpy(json + used, "],\"segments\":{\"0\":" SEGMENT "}}");
        sample_begin(&s);
        put_luks2_header(&s, 0, json);
        put_be(&s, HDR_SIZE_AT, 8, 256 << 10);
        set_size(&s, 2 * MIB);
        assert_int_equal(sample_open(&s, &luks_driver), more ? -EUCLEAN : 0);
        if (more)
            assert_reported(s.img, "more than 65536 values");
    }
}

/* Only members of segments.0 count, no others of the same names. */
static void test_place(void **state)
{
    (void)state;
    assert_good("{\"type\":\"a\",\"0\":{\"offset\":\"1\"},\"segments\":{\"0\":" SEGMENT
                "},\"x\":{\"segments\":{\"0\":{\"type\":\"b\"}}}}");
    assert_good(
        IN("{\"type\":\"crypt\",\"x\":{\"offset\":\"1\",\"size\":\"2\"},\"y\":[{\"type\":\"z\"}],"
           "\"offset\":\"1048576\",\"size\":\"dynamic\"}"));
    assert_bad("{\"segments\":[" SEGMENT "]}", EUCLEAN, "segment 0 has no type");
    assert_bad("{\"segments\":{\"00\":" SEGMENT "}}", EUCLEAN, "segment 0 has no type");
    assert_bad("{\"segments\":{\"0\":[" SEGMENT "]}}", EUCLEAN, "segment 0 has no type");
    assert_bad("{\"segments\":\"0\"}", EUCLEAN, "segment 0 has no type");
    assert_bad("{\"segments\":{\"0\":" SEGMENT ",\"1\":" SEGMENT "}}", ENOTSUP,
               "more than one segment");
    assert_bad("{\"segments\":{\"0\":" SEGMENT ",\"0\":" SEGMENT "}}", EUCLEAN, "duplicate key");
}

static void test_segment_rules(void **state)
{
    static const struct {
        const char *segment;
        int error;
        const char *words;
    } bad[] = {
        {"{}", EUCLEAN, "segment 0 has no type"},
        {"{\"type\":1}", EUCLEAN, "segment 0 has no type"},
        {"{\"type\":\"linear\"}", ENOTSUP, "segment type \"linear\""},
        {"{\"type\":\"crypt\",\"integrity\":{}}", ENOTSUP, "integrity"},
        {"{\"type\":\"crypt\"}", EUCLEAN, "segment offset \"\""},
        {"{\"type\":\"crypt\",\"offset\":1048576}", EUCLEAN, "segment offset \"\""},
        {"{\"type\":\"crypt\",\"offset\":\"1048577\"}", EUCLEAN, "segment offset \"1048577\""},
        {"{\"type\":\"crypt\",\"offset\":\"-512\"}", EUCLEAN, "segment offset \"-512\""},
        {"{\"type\":\"crypt\",\"offset\":\"0x200\"}", EUCLEAN, "segment offset \"0x200\""},
        {"{\"type\":\"crypt\",\"offset\":\" 512\"}", EUCLEAN, "segment offset \" 512\""},
        {"{\"type\":\"crypt\",\"offset\":\"18446744073709551616\"}", EUCLEAN, "09551616\""},
        {"{\"type\":\"crypt\",\"offset\":\"0\"}", ENOTSUP, "segment offset \"0\""},
        {"{\"type\":\"crypt\",\"offset\":\"1048576\"}", EUCLEAN, "segment size \"\""},
        {"{\"type\":\"crypt\",\"offset\":\"1048576\",\"size\":\"all\"}", EUCLEAN, "size \"all\""},
        {"{\"type\":\"crypt\",\"offset\":\"1048576\",\"size\":\"1\"}", EUCLEAN, "size \"1\""},
        {"{\"type\":\"crypt\",\"offset\":\"32256\",\"size\":\"dynamic\"}", EUCLEAN,
         "segment offset 32256"},
        {"{\"type\":\"crypt\",\"offset\":\"18446744073709551104\",\"size\":\"dynamic\"}", EUCLEAN,
         "payload at offset 18446744073709551104"},
        {"{\"type\":\"crypt\",\"offset\":\"1048576\",\"size\":\"9223372036854775296\"}", EFBIG,
         "payload of 9223372036854775296 bytes"},
    };
    char json[512];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(json, sizeof json, IN("%s"), bad[i].segment);
        assert_bad(json, bad[i].error, bad[i].words);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    assert_good(IN("{\"size\":\"dynamic\",\"offset\":\"32768\",\"type\":\"crypt\"}"));
    assert_int_equal(s.disk.virtual_size, 2 * MIB - 32 * KIB);
    assert_good(IN("{\"type\":\"crypt\",\"offset\":\"1048576\",\"size\":\"512\"}"));
    assert_int_equal(s.disk.virtual_size, 512);
    assert_good(IN("{\"type\":\"crypt\",\"offset\":\"1048576\",\"size\":\"9223372035781033984\"}"));
    assert_int_equal(s.disk.virtual_size, DISK_BYTES_MAX);
    ASSERT_EXTENTS(&s, 0, DATA(DISK_BYTES_MAX, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar), cmocka_unit_test(test_bad_grammar),
        cmocka_unit_test(test_area),    cmocka_unit_test(test_limits),
        cmocka_unit_test(test_place),   cmocka_unit_test(test_segment_rules),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
