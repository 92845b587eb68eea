// SPDX-License-Identifier: Apache-2.0
/* dmg: the property list: data elements that are found, and lists that are refused. */
#include <errno.h>

#include "tests/support/dmg-image.h"

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* Writes all data of the list to out, each followed by '!' if it is in blkx, else by '.'. Returns 0
 * or -errno. */
static int read_list(const char *list, size_t length, size_t window_bytes, size_t step, char *out)
{
    struct image_window window;
    struct dmg_plist p;
    bool is_blkx;
    int found;

    sample_begin(&s);
    put(&s, 100, list, length);
    put_text(&s, 100 + length, "<data>behind</data>");
    sample_session(&s);
    assert_int_equal(image_window_begin(s.img, &window, window_bytes), 0);
    dmg_plist_begin(&p, s.img, &window, 100, length);
    while ((found = dmg_plist_next(&p, &is_blkx)) == 1) {
        size_t got = step;

        while (got == step) {
            int error = dmg_plist_read(&p, (uint8_t *)out, step, &got);

            if (error)
                return error;
            out += got;
        }
        *out++ = is_blkx ? '!' : '.';
        *out = '\0';
    }
    return found;
}

static void test_data(void **state)
{
    static const struct {
        const char *list, *data;
    } lists[] = {
        {"<plist/>", ""},
        {"<plist><dict/></plist>", ""},
        {"<plist><data>aGVsbG8=</data></plist>", "hello."},
        {"<plist><data>aGVs</data></plist>\r\n\t ", "hel."},
        {"<plist><data> a G\nV\r\ns\tb A = = </data></plist>", "hell."},
        {"<plist><data></data></plist>", "."},
        {"<plist><data/></plist>", ""},
        {"<plist><data>=</data></plist>", NULL},
        {PLIST_HEAD "<array><data>aQ==</data><data>ag==</data></array></plist>", "i.j."},
        {PLIST_HEAD BLKX_HEAD "<dict><key>Data</key><data>aQ==</data></dict>" BLKX_TAIL, "i!"},
        {PLIST_HEAD BLKX_HEAD "<dict><key>Data</key><data>aQ==</data><key>data</key>"
                              "<data>ag==</data></dict>" BLKX_TAIL,
         "i!j."},
        {PLIST_HEAD BLKX_HEAD
         "<dict><key>Data</key><data>aQ==</data></dict><dict><key>ID</key>"
         "<string>-1</string><key>Data</key><data>ag==</data></dict>" BLKX_TAIL,
         "i!j!"},
        /* Data that is not in blkx: a level too deep, not deep enough, under other keys. */
        {PLIST_HEAD BLKX_HEAD
         "<array><dict><key>Data</key><data>aQ==</data></dict></array>" BLKX_TAIL,
         "i."},
        {PLIST_HEAD BLKX_HEAD "<data>aQ==</data>" BLKX_TAIL, "i."},
        {PLIST_HEAD "<dict><key>blkx</key><array><dict><key>Data</key><data>aQ==</data></dict>"
                    "</array></dict></plist>",
         "i."},
        {PLIST_HEAD "<dict><key>resource-fork</key><dict><key>blkx </key><array><dict>"
                    "<key>Data</key><data>aQ==</data></dict>" BLKX_TAIL,
         "i."},
        {PLIST_HEAD "<dict><key>resource-fork</key><dict><key>blkx</key><string/><key>b</key>"
                    "<array><dict><key>Data</key><data>aQ==</data></dict>" BLKX_TAIL,
         "i."},
        {PLIST_HEAD "<dict><key>resource-fork0</key><dict><key>blkx</key><array><dict>"
                    "<key>Data</key><data>aQ==</data></dict>" BLKX_TAIL,
         "i."},
        {PLIST_HEAD "<dict><key>t</key><true/><key>f</key><false></false><key>i</key>"
                    "<integer>-1</integer><key>r</key><real>.5</real><key>d</key><date>x</date>"
                    "<key>s</key><string>&lt;&#60;&x; ]]></string></dict></plist>",
         ""},
    };
    char out[256];

    (void)state;
    for (size_t i = 0; i < COUNT(lists); i++)
        for (size_t window = 1; window <= 64; window *= 4)
            for (size_t step = 1; step <= 4; step++) {
                out[0] = '\0';
                assert_int_equal(read_list(lists[i].list, strlen(lists[i].list), window, step, out),
                                 lists[i].data ? 0 : -EUCLEAN);
                if (lists[i].data)
                    assert_string_equal(out, lists[i].data);
            }
}

static void test_refused(void **state)
{
    static const struct {
        const char *list, *words;
    } lists[] = {
        {"", "unexpected end"},
        {" \n", "unexpected end"},
        {"x", "text between elements"},
        {"\xef\xbb\xbf<plist></plist>", "text between elements"},
        {"<", "unexpected end"},
        {"<?xml", "unexpected end"},
        {"<!DOCTYPE", "unexpected end"},
        {"<!DOCTYPE plist [<!ENTITY a \"b\">]><plist/>", "markup"},
        {"<!DOCTYPE plist <><plist/>", "markup"},
        {"<?xml <data>aQ==</data> ?><plist/>", "markup"},
        {"<!-- a --><plist/>", "DOCTYPE"},
        {"<!doctype a><plist/>", "DOCTYPE"},
        {"<plist><!-- a --></plist>", "comment, declaration"},
        {"<plist><![CDATA[a]]></plist>", "comment, declaration"},
        {"<plist><?a?></plist>", "comment, declaration"},
        {"<plist></plist><!-- a -->", "comment, declaration"},
        {"<plist", "unexpected end"},
        {"<plist>", "unexpected end"},
        {"<plist><dict>", "unexpected end"},
        {"<plist a=\"<\"></plist>", "markup"},
        {"<plist></dict>", "without a start tag"},
        {"</plist>", "without a start tag"},
        {"<plist><dict></plist></dict>", "without a start tag"},
        {"<plist></plist a>", "attributes"},
        {"<plist></plist></plist>", "without a start tag"},
        {"<plist></plist><plist></plist>", "outside the root"},
        {"<plist/><dict/>", "outside the root"},
        {"<plist></plist>x", "text between elements"},
        {"<dict></dict>", "outside the root"},
        {"<data>aQ==</data>", "outside the root"},
        {"<plist><plist></plist></plist>", "outside the root"},
        {"<plist><array a=\"b\"></array></plist>", "attributes"},
        {"<plist><data >aQ==</data></plist>", "attributes"},
        {"<plist><data/ ></plist>", "attributes"},
        {"<plist><Dict></Dict></plist>", "unknown element"},
        {"<plist><dictionarydictionary/></plist>", "unknown element"},
        {"<plist>< dict/></plist>", "unknown element"},
        {"<plist><></plist>", "unknown element"},
        {"<plist><true></false></plist>", "missing end tag"},
        {"<plist><string>a<b/></string></plist>", "unknown element"},
        {"<plist><string>a<true/></string></plist>", "missing end tag"},
        {"<plist><string>a", "unexpected end"},
        {"<plist><dict><data>aQ==</data></dict></plist>", "without a key"},
        {"<plist><dict><key>a</key><true/><true/></dict></plist>", "without a key"},
        {"<plist><dict><key>a</key></dict></plist>", "without a value"},
        {"<plist><dict><key>a</key><key>b</key><true/></dict></plist>", "misplaced key"},
        {"<plist><array><key>a</key></array></plist>", "misplaced key"},
        {"<plist><key>a</key></plist>", "misplaced key"},
        {"<key>a</key>", "misplaced key"},
        {"<plist><dict><key/><true/></dict></plist>", "empty key"},
        {"<plist><dict><key>a</string></dict></plist>", "missing end tag"},
        {"<plist><data>a</data></plist>", "group of 4 digits"},
        {"<plist><data>aa</data></plist>", "group of 4 digits"},
        {"<plist><data>aaa</data></plist>", "group of 4 digits"},
        {"<plist><data>aa=</data></plist>", "group of 4 digits"},
        {"<plist><data>aa==a</data></plist>", "not base64"},
        {"<plist><data>aa===</data></plist>", "not base64"},
        {"<plist><data>aaa==</data></plist>", "not base64"},
        {"<plist><data>a===</data></plist>", "not base64"},
        {"<plist><data>aaaa=</data></plist>", "not base64"},
        {"<plist><data>aa-_</data></plist>", "not base64"},
        {"<plist><data>aa&#65;a</data></plist>", "not base64"},
        {"<plist><data>aaaa\x80</data></plist>", "not base64"},
        {"<plist><data>aaaa", "unexpected end"},
        {"<plist><data>aaaa</dat", "unexpected end"},
        {"<plist><data>aaaa</date></plist>", "missing end tag"},
        {"<plist><data>aaaa<true/></data></plist>", "missing end tag"},
    };
    char out[256];

    (void)state;
    for (size_t i = 0; i < COUNT(lists); i++) {
        assert_int_equal(read_list(lists[i].list, strlen(lists[i].list), 16, 3, out), -EUCLEAN);
        assert_reported(s.img, lists[i].words);
        assert_reported(s.img, "dmg: property list: ");
    }
}

/* A NUL, where qemu's search for elements ends. */
static void test_nul(void **state)
{
    static const char in_text[] = "<plist><string>a\0</string></plist>";
    static const char between[] = "<plist>\0</plist>",
                      in_data[] = "<plist><data>a\0</data></plist>";
    char out[64];

    (void)state;
    assert_int_equal(read_list(in_text, sizeof in_text - 1, 16, 1, out), -EUCLEAN);
    assert_reported(s.img, "NUL");
    assert_int_equal(read_list(between, sizeof between - 1, 16, 1, out), -EUCLEAN);
    assert_int_equal(read_list(in_data, sizeof in_data - 1, 16, 1, out), -EUCLEAN);
}

static void test_depth(void **state)
{
    char list[1024], out[64];

    (void)state;
    for (size_t depth = 31; depth <= 32; depth++) {
        strcpy(list, "<plist>");
        for (size_t i = 0; i < depth; i++)
            strcat(list, "<array>");
        for (size_t i = 0; i < depth; i++)
            strcat(list, "</array>");
        strcat(list, "</plist>");
        out[0] = '\0';
        assert_int_equal(read_list(list, strlen(list), 64, 1, out), depth == 32 ? -EFBIG : 0);
    }
    assert_reported(s.img, "more than 32 nested");
}

/* Bytes of an element that are not read are skipped, but checked. A copy of a position returns to
 * it. */
static void test_places(void **state)
{
    static const char list[] =
        "<plist><array><data>aGVsbG8=</data><data>d29ybGQ=</data></array></plist>";
    struct image_window window;
    struct dmg_plist p, place;
    uint8_t bytes[8];
    bool is_blkx;
    size_t got;

    (void)state;
    sample_begin(&s);
    put_text(&s, 0, list);
    sample_session(&s);
    assert_int_equal(image_window_begin(s.img, &window, 16), 0);
    dmg_plist_begin(&p, s.img, &window, 0, sizeof list - 1);
    assert_int_equal(dmg_plist_next(&p, &is_blkx), 1);
    assert_int_equal(dmg_plist_read(&p, bytes, 2, &got), 0);
    place = p;
    assert_int_equal(dmg_plist_next(&p, &is_blkx), 1);
    assert_int_equal(dmg_plist_read(&p, bytes, 8, &got), 0);
    assert_int_equal(got, 5);
    assert_memory_equal(bytes, "world", 5);
    assert_int_equal(dmg_plist_read(&p, bytes, 8, &got), 0);
    assert_int_equal(got, 0);
    assert_int_equal(dmg_plist_next(&p, &is_blkx), 0);
    assert_int_equal(dmg_plist_next(&p, &is_blkx), 0);
    p = place;
    assert_int_equal(dmg_plist_read(&p, bytes, 8, &got), 0);
    assert_int_equal(got, 3);
    assert_memory_equal(bytes, "llo", 3);
}

/* All base64 digits. */
static void test_digits(void **state)
{
    uint8_t bytes[256];
    char list[512] = "<plist><data>", out[320];
    char *text;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    text = base64_of(bytes, sizeof bytes);
    strcat(strcat(list, text), "</data></plist>");
    free(text);
    assert_int_equal(read_list(list, strlen(list), 64, 32, out), 0);
    assert_memory_equal(out, bytes, sizeof bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data),  cmocka_unit_test(test_refused), cmocka_unit_test(test_nul),
        cmocka_unit_test(test_depth), cmocka_unit_test(test_places),  cmocka_unit_test(test_digits),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
