// SPDX-License-Identifier: Apache-2.0
/*
 * The XML property list of a DMG (Apple, PropertyList-1.0.dtd), parsed as far as it takes to find
 * its data elements, which are base64. Strict: what two readers could understand differently
 * (declarations, comments, CDATA sections, a second root) is refused, so that qemu, which searches
 * the text for data elements, finds the same ones. Entities are not replaced: the names of interest
 * contain none.
 */
#include "plist.h"

#include <errno.h>
#include <string.h>

#include "formats/checked.h"

enum { WORD_BYTES = 16 }; /* longer than any known name */

enum plist_element {
    NONE,
    PLIST,
    DICT,
    ARRAY,
    KEY,
    STRING,
    DATA,
    DATE,
    INTEGER,
    REAL,
    TRUE,
    FALSE
};
static const char *const element_names[] = {
    "",     "plist", "dict",    "array", "key",  "string",
    "data", "date",  "integer", "real",  "true", "false",
};

enum plist_key { KEY_NONE, KEY_RESOURCE_FORK, KEY_BLKX, KEY_DATA, KEY_OTHER };
static const char *const key_names[] = {"", "resource-fork", "blkx", "Data"};

struct plist_tag {
    enum plist_element element; /* NONE: a declaration or instruction */
    bool is_end, is_empty;
};

void dmg_plist_begin(struct dmg_plist *p, struct image *img, struct image_window *window,
                     uint64_t offset, uint64_t length)
{
    *p = (struct dmg_plist){.img = img, .window = window, .at = offset, .end = offset + length};
}

static int dmg_plist_fail(const struct dmg_plist *p, const char *what)
{
    return image_fail(p->img, EUCLEAN, "dmg: property list: %s, before offset %llu", what,
                      (unsigned long long)p->at);
}

/* Sets *bytes to the next bytes of the list, without taking them: at least one; *count is 0 at the
 * end of the list. */
static int dmg_plist_peek(struct dmg_plist *p, const uint8_t **bytes, size_t *count)
{
    uint64_t left = p->end - p->at;
    int error = 0;

    *count = 0;
    if (left) {
        error = image_window_ahead(p->img, p->window, p->at, 1, left, bytes);
        *count = (size_t)min_u64(left, p->window->length - (p->at - p->window->offset));
    }
    return error;
}

/* Takes the next byte. The end of the list is an error. */
static int dmg_plist_take(struct dmg_plist *p, uint8_t *c)
{
    const struct image_window *w = p->window;
    const uint8_t *bytes;
    size_t count = 1;
    int error = 0;

    /* Fast path: the byte is in the window. */
    if (p->at < p->end && p->at >= w->offset && p->at - w->offset < w->length)
        bytes = w->bytes + (p->at - w->offset);
    else
        error = dmg_plist_peek(p, &bytes, &count);
    if (error)
        return error;
    if (!count)
        return dmg_plist_fail(p, "an unexpected end");
    *c = *bytes;
    p->at++;
    return 0;
}

static bool dmg_plist_is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Takes the text up to and including the next '<'. word (WORD_BYTES) gets its first bytes. */
static int dmg_plist_take_text(struct dmg_plist *p, char *word)
{
    size_t used = 0;
    uint8_t c;

    memset(word, 0, WORD_BYTES);
    for (;;) {
        int error = dmg_plist_take(p, &c);

        if (error)
            return error;
        if (c == '<')
            return 0;
        if (c == '\0')
            return dmg_plist_fail(p, "a NUL character");
        if (used < WORD_BYTES - 1)
            word[used++] = (char)c;
    }
}

/* Takes the rest of a declaration, or of a tag with attributes, up to its '>'. Tags and definitions
 * inside it are errors. */
static int dmg_plist_skip_tag(struct dmg_plist *p)
{
    uint8_t c;

    do {
        int error = dmg_plist_take(p, &c);

        if (error)
            return error;
        if (c == '<' || c == '[' || c == '\0')
            return dmg_plist_fail(p, "markup inside a declaration or tag");
    } while (c != '>');
    return 0;
}

/* Takes <?xml ...?> or <!DOCTYPE ...>; c is its second byte. */
static int dmg_plist_take_declaration(struct dmg_plist *p, uint8_t c)
{
    static const char doctype[] = "DOCTYPE";

    if (p->is_begun)
        return dmg_plist_fail(p, "a comment, declaration or instruction in or after the root");
    for (const char *d = doctype; c != '?' && *d; d++) {
        uint8_t letter;
        int error = dmg_plist_take(p, &letter);

        if (error)
            return error;
        if (letter != (uint8_t)*d)
            return dmg_plist_fail(p, "a comment, or a declaration other than DOCTYPE");
    }
    return dmg_plist_skip_tag(p);
}

/* Takes the name of an element. *c: in, its first byte; out, the byte after it. */
static int dmg_plist_take_name(struct dmg_plist *p, uint8_t *c, enum plist_element *element)
{
    char word[WORD_BYTES] = "";
    size_t used = 0;

    while (*c >= 'a' && *c <= 'z' && used < WORD_BYTES - 1) {
        int error;

        word[used++] = (char)*c;
        error = dmg_plist_take(p, c);
        if (error)
            return error;
    }
    for (int e = PLIST; e <= FALSE; e++)
        if (strcmp(word, element_names[e]) == 0) {
            *element = (enum plist_element)e;
            return 0;
        }
    return dmg_plist_fail(p, "an unknown element");
}

/* Takes a tag whose '<' was taken. */
static int dmg_plist_take_tag(struct dmg_plist *p, struct plist_tag *tag)
{
    uint8_t c;
    int error = dmg_plist_take(p, &c);

    *tag = (struct plist_tag){.element = NONE};
    if (error)
        return error;
    if (c == '?' || c == '!')
        return dmg_plist_take_declaration(p, c);
    tag->is_end = c == '/';
    if (tag->is_end)
        error = dmg_plist_take(p, &c);
    if (!error)
        error = dmg_plist_take_name(p, &c, &tag->element);
    if (error)
        return error;
    if (tag->element == PLIST && !tag->is_end && dmg_plist_is_space(c))
        return dmg_plist_skip_tag(p);
    tag->is_empty = !tag->is_end && c == '/';
    if (tag->is_empty)
        error = dmg_plist_take(p, &c);
    if (error)
        return error;
    return c == '>' ? 0 : dmg_plist_fail(p, "an element with attributes");
}

/* Takes the end tag of this element; its '<' was taken. */
static int dmg_plist_take_end_tag(struct dmg_plist *p, enum plist_element element)
{
    struct plist_tag tag;
    int error = dmg_plist_take_tag(p, &tag);

    if (error)
        return error;
    return tag.is_end && tag.element == element ? 0 : dmg_plist_fail(p, "a missing end tag");
}

/* Checks that a value, or the root, may begin here. */
static int dmg_plist_begin_value(struct dmg_plist *p, enum plist_element element)
{
    if ((p->depth == 0) != (element == PLIST) || (p->depth == 0 && p->is_begun))
        return dmg_plist_fail(p, "an element outside the root, plist");
    if (p->depth && p->elements[p->depth - 1] == DICT && !p->keys[p->depth - 1])
        return dmg_plist_fail(p, "a value without a key");
    p->is_begun = true;
    return 0;
}

static void dmg_plist_end_value(struct dmg_plist *p)
{
    if (p->depth)
        p->keys[p->depth - 1] = KEY_NONE;
}

/* Takes the text and the end tag of a key. */
static int dmg_plist_take_key(struct dmg_plist *p)
{
    char word[WORD_BYTES];
    enum plist_key key = KEY_OTHER;
    int error = dmg_plist_take_text(p, word);

    if (error)
        return error;
    if (!p->depth || p->elements[p->depth - 1] != DICT || p->keys[p->depth - 1])
        return dmg_plist_fail(p, "a misplaced key");
    for (int k = KEY_RESOURCE_FORK; k < KEY_OTHER; k++)
        if (strcmp(word, key_names[k]) == 0)
            key = (enum plist_key)k;
    p->keys[p->depth - 1] = (uint8_t)key;
    return dmg_plist_take_end_tag(p, KEY);
}

static int dmg_plist_open_container(struct dmg_plist *p, enum plist_element element)
{
    if (p->depth == DMG_PLIST_DEPTH_MAX)
        return image_fail(p->img, EFBIG, "dmg: property list: more than %d nested elements",
                          DMG_PLIST_DEPTH_MAX);
    p->elements[p->depth] = (uint8_t)element;
    p->keys[p->depth++] = KEY_NONE;
    return 0;
}

static int dmg_plist_close_container(struct dmg_plist *p, enum plist_element element)
{
    if (!p->depth || p->elements[p->depth - 1] != element)
        return dmg_plist_fail(p, "an end tag without a start tag");
    if (element == DICT && p->keys[p->depth - 1])
        return dmg_plist_fail(p, "a key without a value");
    p->depth--;
    dmg_plist_end_value(p);
    return 0;
}

/* Takes the rest of the element of a tag: all of it, but only the tag of plist, dict and array. Not
 * for data elements with text. */
static int dmg_plist_take_element(struct dmg_plist *p, const struct plist_tag *tag)
{
    char word[WORD_BYTES];
    int error;

    if (tag->element == NONE)
        return 0;
    if (tag->is_end)
        return dmg_plist_close_container(p, tag->element);
    if (tag->element == KEY)
        return tag->is_empty ? dmg_plist_fail(p, "an empty key") : dmg_plist_take_key(p);
    error = dmg_plist_begin_value(p, tag->element);
    if (error)
        return error;
    if (!tag->is_empty && tag->element <= ARRAY)
        return dmg_plist_open_container(p, tag->element);
    if (!tag->is_empty) {
        error = dmg_plist_take_text(p, word);
        if (!error)
            error = dmg_plist_take_end_tag(p, tag->element);
    }
    dmg_plist_end_value(p);
    return error;
}

/* Whether the open elements are plist, dict, resource-fork: dict, blkx: array, dict, and the key is
 * Data. */
static bool dmg_plist_is_in_blkx(const struct dmg_plist *p)
{
    static const uint8_t elements[] = {PLIST, DICT, DICT, ARRAY, DICT};

    return p->depth == sizeof elements && memcmp(p->elements, elements, sizeof elements) == 0 &&
           p->keys[1] == KEY_RESOURCE_FORK && p->keys[2] == KEY_BLKX && p->keys[4] == KEY_DATA;
}

/* Takes white space and the '<' of a tag. At the end of the list *c is 0. */
static int dmg_plist_skip_space(struct dmg_plist *p, uint8_t *c)
{
    do {
        int error;

        *c = 0;
        if (p->at == p->end)
            return p->depth || !p->is_begun ? dmg_plist_fail(p, "an unexpected end") : 0;
        error = dmg_plist_take(p, c);
        if (error)
            return error;
    } while (dmg_plist_is_space(*c));
    return *c == '<' ? 0 : dmg_plist_fail(p, "text between elements");
}

int dmg_plist_next(struct dmg_plist *p, bool *is_blkx)
{
    uint8_t rest[256], c;
    size_t got;
    int error = 0;

    while (!error && p->is_in_data)
        error = dmg_plist_read(p, rest, sizeof rest, &got);
    for (;;) {
        struct plist_tag tag;

        if (!error)
            error = dmg_plist_skip_space(p, &c);
        if (error || !c)
            return error;
        error = dmg_plist_take_tag(p, &tag);
        if (!error && tag.element == DATA && !tag.is_end && !tag.is_empty)
            break;
        if (!error)
            error = dmg_plist_take_element(p, &tag);
    }
    error = dmg_plist_begin_value(p, DATA);
    *is_blkx = dmg_plist_is_in_blkx(p);
    p->is_in_data = true;
    p->bits = 0;
    p->bit_count = p->digits = p->padding = 0;
    return error ? error : 1;
}

/* The value of a base64 digit (RFC 4648, section 4); 64 for any other byte. */
static uint8_t dmg_plist_digit_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint8_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint8_t)(c - 'a' + 26);
    if (c >= '0' && c <= '9')
        return (uint8_t)(c - '0' + 52);
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* Decodes one byte of base64 text. Returns 1 if that completes a byte, *made; 0; -errno, reported.
 */
static int dmg_plist_decode_digit(struct dmg_plist *p, uint8_t c, uint8_t *made)
{
    uint8_t value = dmg_plist_digit_value(c);

    if (dmg_plist_is_space(c))
        return 0;
    if (c == '=' && p->digits >= 2 && p->padding < 4 - p->digits) {
        p->padding++;
        return 0;
    }
    if (value == 64 || p->padding)
        return dmg_plist_fail(p, "data that is not base64");
    p->bits = (p->bits << 6 | value) & 0xffff;
    p->bit_count = (uint8_t)(p->bit_count + 6);
    p->digits = (uint8_t)((p->digits + 1) % 4);
    if (p->bit_count < 8)
        return 0;
    p->bit_count = (uint8_t)(p->bit_count - 8);
    *made = (uint8_t)(p->bits >> p->bit_count);
    return 1;
}

/* Takes the end tag of a data element; its '<' was taken. */
static int dmg_plist_end_data(struct dmg_plist *p)
{
    p->is_in_data = false;
    if (p->digits && p->digits + p->padding != 4)
        return dmg_plist_fail(p, "base64 that ends inside a group of 4 digits");
    dmg_plist_end_value(p);
    return dmg_plist_take_end_tag(p, DATA);
}

int dmg_plist_read(struct dmg_plist *p, uint8_t *bytes, size_t wanted, size_t *got)
{
    *got = 0;
    while (p->is_in_data && *got < wanted) {
        const uint8_t *text;
        size_t count, i;
        int error = dmg_plist_peek(p, &text, &count);

        if (!error && !count)
            error = dmg_plist_fail(p, "an unexpected end");
        for (i = 0; !error && i < count && *got < wanted && text[i] != '<'; i++) {
            int made = dmg_plist_decode_digit(p, text[i], &bytes[*got]);

            error = made < 0 ? made : 0;
            *got += made == 1;
        }
        if (error)
            return error;
        p->at += i;
        if (i < count && *got < wanted) {
            p->at++;
            error = dmg_plist_end_data(p);
        }
        if (error)
            return error;
    }
    return 0;
}
