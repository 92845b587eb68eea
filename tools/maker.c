// SPDX-License-Identifier: Apache-2.0
/* make-image: arguments, the file, and what can be done to any image once it is laid out. */
#include "maker.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct maker {
    int fd;
    int argc;
    char **argv; /* key=value */
    bool *used;
};

static const struct {
    const char *name;
    void (*make)(struct maker *m);
} makers[] = {
    {"bochs", make_bochs},
    {"cloop", make_cloop},
    {"content", make_content},
    {"dmg", make_dmg},
    {"luks", make_luks},
    {"mark", make_mark},
    {"parallels", make_parallels},
    {"qcow", make_qcow},
    {"qcow2", make_qcow2},
    {"qed", make_qed},
    {"raw", make_raw},
    {"vdi", make_vdi},
    {"vhd", make_vhd},
    {"vhdx", make_vhdx},
    {"vmdk", make_vmdk},
};

void maker_die(const char *format, ...)
{
    va_list args;

    fputs("make-image: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

uint64_t maker_parse(const char *text, const char **end)
{
    static const char units[] = "KMGT";
    char *rest;
    uint64_t value;
    const char *unit;

    errno = 0;
    value = strtoull(text, &rest, 0);
    if (errno || rest == text)
        maker_die("'%s' is not a number", text);
    unit = *rest ? strchr(units, *rest) : NULL;
    if (unit) {
        value <<= 10 * (unit - units + 1);
        rest++;
    }
    *end = rest;
    return value;
}

const char *maker_each(struct maker *m, const char *key, int *position)
{
    size_t length = strlen(key);

    for (int i = *position; i < m->argc; i++)
        if (strncmp(m->argv[i], key, length) == 0 && m->argv[i][length] == '=') {
            m->used[i] = true;
            *position = i + 1;
            return m->argv[i] + length + 1;
        }
    return NULL;
}

const char *maker_string(struct maker *m, const char *key, const char *otherwise)
{
    int position = 0;
    const char *value = maker_each(m, key, &position);

    return value ? value : otherwise;
}

uint64_t maker_number(struct maker *m, const char *key, uint64_t otherwise)
{
    const char *value = maker_string(m, key, NULL);
    const char *end;

    if (!value)
        return otherwise;
    otherwise = maker_parse(value, &end);
    if (*end)
        maker_die("%s=%s: '%s' is not part of a number", key, value, end);
    return otherwise;
}

void maker_uuid(struct maker *m, const char *key, char order, uint8_t *uuid)
{
    static const uint8_t guid[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    const char *value = maker_string(m, key, NULL);
    size_t n = 0;

    for (const char *p = value; p && *p; p++) {
        char digit[2] = {*p, 0};
        size_t at = n / 2;

        if (*p == '-')
            continue;
        if (n == 32 || !isxdigit((unsigned char)*p))
            maker_die("%s=%s: a UUID is wanted", key, value);
        if (order == '<')
            at = guid[at];
        uuid[at] = (uint8_t)((n % 2 ? uuid[at] << 4 : 0) | (int)strtoul(digit, NULL, 16));
        n++;
    }
    if (value && n != 32)
        maker_die("%s=%s: a UUID is wanted", key, value);
}

void maker_put(uint8_t *header, uint32_t offset, uint8_t width, char order, uint64_t value)
{
    for (uint8_t i = 0; i < width; i++)
        header[offset + (order == '<' ? i : width - 1u - i)] = (uint8_t)(value >> (8 * i));
}

bool maker_fields(struct maker *m, const char *prefix, const struct maker_field *fields,
                  uint8_t *header, const char *watch)
{
    bool seen = false;

    for (const struct maker_field *f = fields; f->name; f++) {
        char key[64];
        const char *end, *value;

        snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", f->name);
        value = maker_string(m, key, NULL);
        if (!value)
            continue;
        maker_put(header, f->offset, f->width, f->order, maker_parse(value, &end));
        if (*end)
            maker_die("%s=%s: '%s' is not part of a number", key, value, end);
        seen |= watch && strcmp(watch, f->name) == 0;
    }
    return seen;
}

void maker_write(struct maker *m, uint64_t offset, const void *bytes, size_t length)
{
    const uint8_t *p = bytes;

    while (length) {
        ssize_t n = pwrite(m->fd, p, length, (off_t)offset);

        if (n <= 0)
            maker_die("cannot write at %llu: %s", (unsigned long long)offset, strerror(errno));
        p += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
}

uint64_t maker_size(struct maker *m)
{
    struct stat st;

    if (fstat(m->fd, &st) < 0)
        maker_die("fstat: %s", strerror(errno));
    return (uint64_t)st.st_size;
}

static void set_size(struct maker *m, uint64_t size)
{
    if (ftruncate(m->fd, (off_t)size) < 0)
        maker_die("cannot make the file %llu bytes: %s", (unsigned long long)size, strerror(errno));
}

void maker_extend(struct maker *m, uint64_t size)
{
    if (size > maker_size(m))
        set_size(m, size);
}

static void write_hex(struct maker *m, uint64_t offset, const char *hex)
{
    for (; isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1]); hex += 2, offset++) {
        char digits[3] = {hex[0], hex[1], 0};
        uint8_t byte = (uint8_t)strtoul(digits, NULL, 16);

        maker_write(m, offset, &byte, 1);
    }
    if (*hex)
        maker_die("'%s' is not pairs of hexadecimal digits", hex);
}

static void fill(struct maker *m, const char *value)
{
    const char *end;
    uint64_t offset = maker_parse(value, &end), length, byte;
    uint8_t block[4096];

    if (*end != ':')
        maker_die("fill=%s: OFFSET:LENGTH:BYTE is wanted", value);
    length = maker_parse(end + 1, &end);
    if (*end != ':')
        maker_die("fill=%s: OFFSET:LENGTH:BYTE is wanted", value);
    byte = maker_parse(end + 1, &end);
    memset(block, (int)byte, sizeof block);
    while (length) {
        size_t n = length < sizeof block ? (size_t)length : sizeof block;

        maker_write(m, offset, block, n);
        offset += n;
        length -= n;
    }
}

/* What can be done to any image: one argument. Returns false if the argument is none of these. */
static bool alter(struct maker *m, const char *argument)
{
    const char *value = strchr(argument, '=') + 1;
    size_t key = (size_t)(value - argument);
    const char *end;

    if (strncmp(argument, "poke=", key) == 0) {
        uint64_t offset = maker_parse(value, &end);

        if (*end != ':')
            maker_die("%s: OFFSET:HEX is wanted", argument);
        write_hex(m, offset, end + 1);
    } else if (strncmp(argument, "fill=", key) == 0) {
        fill(m, value);
    } else if (strncmp(argument, "truncate=", key) == 0) {
        set_size(m, *value == '-' ? maker_size(m) - maker_parse(value + 1, &end)
                                  : maker_parse(value, &end));
    } else if (strncmp(argument, "append=", key) == 0) {
        write_hex(m, maker_size(m), value);
    } else if (strncmp(argument, "pad=", key) == 0) {
        set_size(m, maker_size(m) + maker_parse(value, &end));
    } else {
        return false;
    }
    return true;
}

void make_raw(struct maker *m)
{
    maker_extend(m, maker_number(m, "size", 0));
}

int main(int argc, char **argv)
{
    struct maker m = {.argc = argc - 3, .argv = argv + 3};
    size_t row = 0;
    int flags;

    if (argc < 3)
        maker_die("usage: make-image FORMAT FILE [key=value ...]");
    while (row < sizeof makers / sizeof *makers && strcmp(makers[row].name, argv[1]) != 0)
        row++;
    if (row == sizeof makers / sizeof *makers)
        maker_die("no format '%s'", argv[1]);
    m.used = calloc((size_t)argc, sizeof *m.used);
    if (!m.used)
        maker_die("out of memory");
    for (int i = 0; i < m.argc; i++)
        if (!strchr(m.argv[i], '='))
            maker_die("'%s' is not key=value", m.argv[i]);
    flags = O_RDWR | O_CREAT | O_CLOEXEC | (maker_number(&m, "over", 0) ? 0 : O_TRUNC);
    m.fd = open(argv[2], flags, 0666);
    if (m.fd < 0)
        maker_die("cannot make '%s': %s", argv[2], strerror(errno));
    makers[row].make(&m);
    for (int i = 0; i < m.argc; i++)
        if (!m.used[i] && !alter(&m, m.argv[i]))
            maker_die("'%s' means nothing to %s", m.argv[i], argv[1]);
    free(m.used);
    return close(m.fd) == 0 ? 0 : 1;
}
