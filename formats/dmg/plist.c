// SPDX-License-Identifier: Apache-2.0
/*
 * The XML property list of a DMG (Apple, PropertyList-1.0.dtd), as far as it is needed to find the
 * data elements in it, which are base64. Strict: what two readers could understand differently
 * (declarations, comments, character data sections, a second root) is refused, so that every data
 * element is one to qemu, too, which searches the text for them. Entities are never replaced: names
 * that are of interest have none.
 */
#include "dmg.h"

#include <errno.h>
#include <string.h>

#include "formats/checked.h"

enum { WORD_BYTES = 16 }; /* longer than any name that is of interest */

enum element { NONE, PLIST, DICT, ARRAY, KEY, STRING, DATA, DATE, INTEGER, REAL, TRUE, FALSE };
static const char *const element_names[] = {
    "",     "plist", "dict",    "array", "key",  "string",
    "data", "date",  "integer", "real",  "true", "false",
};

enum key { KEY_NONE, KEY_RESOURCE_FORK, KEY_BLKX, KEY_DATA, KEY_OTHER };
static const char *const key_names[] = {"", "resource-fork", "blkx", "Data"};

struct tag {
    enum element element; /* NONE: a declaration */
    bool is_end, is_empty;
};

void dmg_plist_begin(struct dmg_plist *p, struct image *img, struct image_window *window,
                     uint64_t offset, uint64_t length)
{
    *p = (struct dmg_plist){.img = img, .window = window, .at = offset, .end = offset + length};
}

static int malformed(const struct dmg_plist *p, const char *what)
{
    return image_fail(p->img, EUCLEAN, "dmg: property list: %s, before offset %llu", what,
                      (unsigned long long)p->at);
}

/* Bytes of the list that can be looked at without reading: at least one, or *count is 0 at its end.
 */
static int look(struct dmg_plist *p, const uint8_t **bytes, size_t *count)
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

/* The next byte; there must be one. */
static int take(struct dmg_plist *p, uint8_t *c)
{
    const struct image_window *w = p->window;
    const uint8_t *bytes;
    size_t count = 1;
    int error = 0;

    /* Nearly always it is at hand. */
    if (p->at < p->end && p->at >= w->offset && p->at - w->offset < w->length)
        bytes = w->bytes + (p->at - w->offset);
    else
        error = look(p, &bytes, &count);
    if (error)
        return error;
    if (!count)
        return malformed(p, "it ends too early");
    *c = *bytes;
    p->at++;
    return 0;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Takes what is up to the next '<', and that. The first bytes of it are kept in word (WORD_BYTES).
 */
static int take_text(struct dmg_plist *p, char *word)
{
    size_t used = 0;
    uint8_t c;

    memset(word, 0, WORD_BYTES);
    for (;;) {
        int error = take(p, &c);

        if (error)
            return error;
        if (c == '<')
            return 0;
        if (c == '\0')
            return malformed(p, "a NUL");
        if (used < WORD_BYTES - 1)
            word[used++] = (char)c;
    }
}

/* The rest of a declaration or of a tag with attributes, up to its '>': neither tags nor
 * definitions may be in it. */
static int take_rest(struct dmg_plist *p)
{
    uint8_t c;

    do {
        int error = take(p, &c);

        if (error)
            return error;
        if (c == '<' || c == '[' || c == '\0')
            return malformed(p, "a declaration with something in it");
    } while (c != '>');
    return 0;
}

/* <?xml ...?> and <!DOCTYPE ...>, of which c is the second byte. */
static int take_declaration(struct dmg_plist *p, uint8_t c)
{
    static const char doctype[] = "DOCTYPE";

    if (p->is_begun)
        return malformed(p, "a comment, declaration or instruction within it");
    for (const char *d = doctype; c != '?' && *d; d++) {
        uint8_t letter;
        int error = take(p, &letter);

        if (error)
            return error;
        if (letter != (uint8_t)*d)
            return malformed(p, "a declaration that is not DOCTYPE");
    }
    return take_rest(p);
}

/* The name of an element, of which *c is the first byte; *c is then the byte behind it. */
static int take_name(struct dmg_plist *p, uint8_t *c, enum element *element)
{
    char word[WORD_BYTES] = "";
    size_t used = 0;

    while (*c >= 'a' && *c <= 'z' && used < WORD_BYTES - 1) {
        int error;

        word[used++] = (char)*c;
        error = take(p, c);
        if (error)
            return error;
    }
    for (int e = PLIST; e <= FALSE; e++)
        if (strcmp(word, element_names[e]) == 0) {
            *element = (enum element)e;
            return 0;
        }
    return malformed(p, "an unknown element");
}

/* A tag, behind its '<'. */
static int take_tag(struct dmg_plist *p, struct tag *tag)
{
    uint8_t c;
    int error = take(p, &c);

    *tag = (struct tag){.element = NONE};
    if (error)
        return error;
    if (c == '?' || c == '!')
        return take_declaration(p, c);
    tag->is_end = c == '/';
    if (tag->is_end)
        error = take(p, &c);
    if (!error)
        error = take_name(p, &c, &tag->element);
    if (error)
        return error;
    if (tag->element == PLIST && !tag->is_end && is_space(c))
        return take_rest(p);
    tag->is_empty = !tag->is_end && c == '/';
    if (tag->is_empty)
        error = take(p, &c);
    if (error)
        return error;
    return c == '>' ? 0 : malformed(p, "an element with attributes");
}

/* The end tag of that element, behind its '<'. */
static int take_end(struct dmg_plist *p, enum element element)
{
    struct tag tag;
    int error = take_tag(p, &tag);

    if (error)
        return error;
    return tag.is_end && tag.element == element ? 0 : malformed(p, "an element is not ended");
}

/* Where in the dictionary or array that is open a value may begin. */
static int begin_value(struct dmg_plist *p, enum element element)
{
    if ((p->depth == 0) != (element == PLIST) || (p->depth == 0 && p->is_begun))
        return malformed(p, "an element outside the one that holds them all");
    if (p->depth && p->elements[p->depth - 1] == DICT && !p->keys[p->depth - 1])
        return malformed(p, "a value without a key");
    p->is_begun = true;
    return 0;
}

static void end_value(struct dmg_plist *p)
{
    if (p->depth)
        p->keys[p->depth - 1] = KEY_NONE;
}

static int take_key(struct dmg_plist *p)
{
    char word[WORD_BYTES];
    enum key key = KEY_OTHER;
    int error = take_text(p, word);

    if (error)
        return error;
    if (!p->depth || p->elements[p->depth - 1] != DICT || p->keys[p->depth - 1])
        return malformed(p, "a key that is out of place");
    for (int k = KEY_RESOURCE_FORK; k < KEY_OTHER; k++)
        if (strcmp(word, key_names[k]) == 0)
            key = (enum key)k;
    p->keys[p->depth - 1] = (uint8_t)key;
    return take_end(p, KEY);
}

static int open_container(struct dmg_plist *p, enum element element)
{
    if (p->depth == DMG_PLIST_DEPTH_MAX)
        return image_fail(p->img, EFBIG, "dmg: property list: more than %d elements deep",
                          DMG_PLIST_DEPTH_MAX);
    p->elements[p->depth] = (uint8_t)element;
    p->keys[p->depth++] = KEY_NONE;
    return 0;
}

static int close_container(struct dmg_plist *p, enum element element)
{
    if (!p->depth || p->elements[p->depth - 1] != element)
        return malformed(p, "an end without a beginning");
    if (element == DICT && p->keys[p->depth - 1])
        return malformed(p, "a key without a value");
    p->depth--;
    end_value(p);
    return 0;
}

/* Anything but a data element that has text: all of it. */
static int take_element(struct dmg_plist *p, const struct tag *tag)
{
    char word[WORD_BYTES];
    int error;

    if (tag->element == NONE)
        return 0;
    if (tag->is_end)
        return close_container(p, tag->element);
    if (tag->element == KEY)
        return tag->is_empty ? malformed(p, "an empty key") : take_key(p);
    error = begin_value(p, tag->element);
    if (error)
        return error;
    if (!tag->is_empty && tag->element <= ARRAY)
        return open_container(p, tag->element);
    if (!tag->is_empty) {
        error = take_text(p, word);
        if (!error)
            error = take_end(p, tag->element);
    }
    end_value(p);
    return error;
}

/* plist / dict / resource-fork: dict / blkx: array / dict / Data */
static bool is_in_blkx(const struct dmg_plist *p)
{
    static const uint8_t elements[] = {PLIST, DICT, DICT, ARRAY, DICT};

    return p->depth == sizeof elements && memcmp(p->elements, elements, sizeof elements) == 0 &&
           p->keys[1] == KEY_RESOURCE_FORK && p->keys[2] == KEY_BLKX && p->keys[4] == KEY_DATA;
}

/* Blanks up to a tag or the list's end: then *c is 0. */
static int take_blanks(struct dmg_plist *p, uint8_t *c)
{
    do {
        int error;

        *c = 0;
        if (p->at == p->end)
            return p->depth || !p->is_begun ? malformed(p, "it ends too early") : 0;
        error = take(p, c);
        if (error)
            return error;
    } while (is_space(*c));
    return *c == '<' ? 0 : malformed(p, "text between elements");
}

int dmg_plist_next(struct dmg_plist *p, bool *is_blkx)
{
    uint8_t rest[256], c;
    size_t got;
    int error = 0;

    while (!error && p->is_in_data)
        error = dmg_plist_read(p, rest, sizeof rest, &got);
    for (;;) {
        struct tag tag;

        if (!error)
            error = take_blanks(p, &c);
        if (error || !c)
            return error;
        error = take_tag(p, &tag);
        if (!error && tag.element == DATA && !tag.is_end && !tag.is_empty)
            break;
        if (!error)
            error = take_element(p, &tag);
    }
    error = begin_value(p, DATA);
    *is_blkx = is_in_blkx(p);
    p->is_in_data = true;
    p->bits = 0;
    p->bit_count = p->digits = p->padding = 0;
    return error ? error : 1;
}

/* The value of a base64 digit (RFC 4648, section 4); 64: it is none. */
static uint8_t digit_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint8_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint8_t)(c - 'a' + 26);
    if (c >= '0' && c <= '9')
        return (uint8_t)(c - '0' + 52);
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* A byte of base64. 1: *made is a byte of data; 0: not yet; -errno. */
static int decode_digit(struct dmg_plist *p, uint8_t c, uint8_t *made)
{
    uint8_t value = digit_value(c);

    if (is_space(c))
        return 0;
    if (c == '=' && p->digits >= 2 && p->padding < 4 - p->digits) {
        p->padding++;
        return 0;
    }
    if (value == 64 || p->padding)
        return malformed(p, "data that is not base64");
    p->bits = (p->bits << 6 | value) & 0xffff;
    p->bit_count = (uint8_t)(p->bit_count + 6);
    p->digits = (uint8_t)((p->digits + 1) % 4);
    if (p->bit_count < 8)
        return 0;
    p->bit_count = (uint8_t)(p->bit_count - 8);
    *made = (uint8_t)(p->bits >> p->bit_count);
    return 1;
}

/* The end of a data element, behind the '<'. */
static int end_data(struct dmg_plist *p)
{
    p->is_in_data = false;
    if (p->digits && p->digits + p->padding != 4)
        return malformed(p, "base64 that ends within a group of digits");
    end_value(p);
    return take_end(p, DATA);
}

int dmg_plist_read(struct dmg_plist *p, uint8_t *bytes, size_t wanted, size_t *got)
{
    *got = 0;
    while (p->is_in_data && *got < wanted) {
        const uint8_t *text;
        size_t count, i;
        int error = look(p, &text, &count);

        if (!error && !count)
            error = malformed(p, "it ends too early");
        for (i = 0; !error && i < count && *got < wanted && text[i] != '<'; i++) {
            int made = decode_digit(p, text[i], &bytes[*got]);

            error = made < 0 ? made : 0;
            *got += made == 1;
        }
        if (error)
            return error;
        p->at += i;
        if (i < count && *got < wanted) {
            p->at++;
            error = end_data(p);
        }
        if (error)
            return error;
    }
    return 0;
}
