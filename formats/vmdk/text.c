// SPDX-License-Identifier: Apache-2.0
/* vmdk: parsing the text of a descriptor: lines, words, numbers, values of keys. */
#include "text.h"

#include <string.h>

#include "formats/checked.h"
#include "formats/escape.h"

int vmdk_text_read(struct image *img, uint64_t offset, uint64_t length, struct vmdk_text *text)
{
    uint64_t size = image_size(img), wanted;
    const uint8_t *bytes;
    int error;

    *text = (struct vmdk_text){"", 0};
    if (offset >= size)
        return 0;
    wanted = min_u64(length, size - offset);
    length = min_u64(wanted, VMDK_DESCRIPTOR_MAX);
    error = image_get(img, offset, (size_t)length, &bytes);
    if (error)
        return error;
    text->bytes = (const char *)bytes;
    text->length = strnlen(text->bytes, (size_t)length);
    if (text->length < wanted && text->length == VMDK_DESCRIPTOR_MAX)
        image_note(img, "vmdk: the descriptor is longer than %d bytes: the rest is ignored",
                   VMDK_DESCRIPTOR_MAX);
    return 0;
}

static bool vmdk_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool vmdk_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool vmdk_text_is(const struct vmdk_text *text, const char *s)
{
    return text->length == strlen(s) && memcmp(text->bytes, s, text->length) == 0;
}

const char *vmdk_text_keep(struct image *img, const struct vmdk_text *text)
{
    size_t size = 4 * text->length + 1;
    char *kept = image_alloc(img, size);

    if (kept)
        escape_text(kept, size, text->bytes, text->length);
    return kept;
}

bool vmdk_text_hex(const struct vmdk_text *text, uint32_t *number)
{
    static const char digits[] = "0123456789abcdefABCDEF";

    *number = 0;
    for (size_t i = 0; i < text->length; i++) {
        const char *at = memchr(digits, text->bytes[i], sizeof digits - 1);
        uint32_t digit = at ? (uint32_t)(at - digits) : 0;

        if (!at)
            return false;
        *number = *number << 4 | (digit < 16 ? digit : digit - 6);
    }
    return text->length >= 1 && text->length <= 8;
}

void vmdk_text_skip(struct vmdk_text *text, size_t n)
{
    text->bytes += n;
    text->length -= n;
}

void vmdk_text_skip_blanks(struct vmdk_text *text)
{
    while (text->length && vmdk_is_blank(text->bytes[0]))
        vmdk_text_skip(text, 1);
}

struct vmdk_text vmdk_text_until(struct vmdk_text *text, char end)
{
    const char *at = memchr(text->bytes, end, text->length);
    struct vmdk_text taken = {text->bytes, at ? (size_t)(at - text->bytes) : text->length};

    vmdk_text_skip(text, taken.length + (at != NULL));
    return taken;
}

struct vmdk_text vmdk_text_word(struct vmdk_text *text)
{
    struct vmdk_text word;

    vmdk_text_skip_blanks(text);
    word = (struct vmdk_text){text->bytes, 0};
    while (word.length < text->length && !vmdk_is_blank(text->bytes[word.length]))
        word.length++;
    vmdk_text_skip(text, word.length);
    return word;
}

bool vmdk_text_number(struct vmdk_text *text, uint64_t *number)
{
    bool any = false;

    *number = 0;
    vmdk_text_skip_blanks(text);
    if (text->length && text->bytes[0] == '+')
        vmdk_text_skip(text, 1);
    for (; text->length && vmdk_is_digit(text->bytes[0]); vmdk_text_skip(text, 1)) {
        any = true;
        if (!checked_mul(*number, 10, number) ||
            !checked_add(*number, (uint64_t)(text->bytes[0] - '0'), number))
            return false;
    }
    return any && (!text->length || vmdk_is_blank(text->bytes[0]));
}

static void vmdk_text_trim(struct vmdk_text *line)
{
    vmdk_text_skip_blanks(line);
    while (line->length && vmdk_is_blank(line->bytes[line->length - 1]))
        line->length--;
}

bool vmdk_text_line(struct vmdk_text *text, struct vmdk_text *line)
{
    if (!text->length)
        return false;
    *line = vmdk_text_until(text, '\n');
    vmdk_text_trim(line);
    return true;
}

/* Whether only blanks precede that place in its line. */
static bool vmdk_text_begins_line(const struct vmdk_text *text, const char *at)
{
    while (at > text->bytes && vmdk_is_blank(at[-1]))
        at--;
    return at == text->bytes || at[-1] == '\n';
}

/* Searches for the key instead of going line by line: a hostile text may have a million lines. */
bool vmdk_text_value(struct vmdk_text text, const char *key, struct vmdk_text *value)
{
    struct vmdk_text rest = text, line, behind;
    size_t length = strlen(key);
    const char *at;

    while ((at = memmem(rest.bytes, rest.length, key, length))) {
        vmdk_text_skip(&rest, (size_t)(at - rest.bytes) + length);
        if (!vmdk_text_begins_line(&text, at))
            continue;
        behind = rest;
        line = vmdk_text_until(&behind, '\n');
        vmdk_text_trim(&line);
        if (!line.length || line.bytes[0] != '=')
            continue;
        vmdk_text_skip(&line, 1);
        vmdk_text_skip_blanks(&line);
        if (line.length && line.bytes[0] == '"') {
            vmdk_text_skip(&line, 1);
            line = vmdk_text_until(&line, '"');
        }
        *value = line;
        return true;
    }
    return false;
}
