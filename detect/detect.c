// SPDX-License-Identifier: Apache-2.0
/*
 * Detection: every signature of every format is compared, the driver confirms, and the first one
 * confirmed wins. The others that match are kept as candidates with the reason why they did not.
 */
#include "detect.h"

#include <stdio.h>
#include <string.h>

#include "formats/image.h"

/* Whether the bytes of the signature stand where they should. 1, 0 or -errno. */
static int signature_matches(struct image *img, const struct signature *s, uint64_t *offset)
{
    const uint8_t *bytes;
    int error;

    if (s->anchor == HEAD) {
        *offset = s->offset;
        error = image_head(img, &bytes);
        return error ? error : !s->length || memcmp(bytes + s->offset, s->magic, s->length) == 0;
    }
    if (image_size(img) < s->offset)
        return 0;
    *offset = image_size(img) - s->offset;
    error = image_tail(img, &bytes);
    return error ? error
                 : !s->length ||
                       memcmp(bytes + IMAGE_TAIL_BYTES - s->offset, s->magic, s->length) == 0;
}

/* Notes a match that the driver confirmed, or did not: then why says why not. */
static void add_candidate(struct detection *d, const struct format_driver *driver, uint64_t offset,
                          bool confirmed, const struct reason *why)
{
    const struct candidate *winner = NULL;
    struct candidate *c = &d->candidates[d->count];

    for (size_t i = 0; i < d->count; i++)
        if (d->candidates[i].accepted)
            winner = &d->candidates[i];
    /* Not enough by itself, but part of the format that was found: a dynamic VHD ends with a
     * footer. */
    if (!confirmed && winner && winner->driver == driver)
        return;
    if (d->count == CANDIDATES_MAX)
        return;
    *c = (struct candidate){driver, offset, confirmed, confirmed && !winner, *why};
    if (confirmed && winner)
        snprintf(c->why.words, sizeof c->why.words, "%s at offset %llu comes first",
                 winner->driver->name, (unsigned long long)winner->offset);
    d->count++;
}

static int ask_signature(struct image *img, struct detection *d, const struct format_driver *driver,
                         const struct signature *s)
{
    struct reason why = {""};
    uint64_t offset = 0;
    int matches = signature_matches(img, s, &offset);

    if (matches == 1 && driver->probe)
        matches = driver->probe(img, s, &why);
    if (matches < 0)
        return matches;
    if (matches == 0 && !why.words[0])
        return 0;
    if (driver->locate) {
        int error = driver->locate(img, &offset);

        if (error)
            return error;
    }
    add_candidate(d, driver, offset, matches == 1, &why);
    return 0;
}

/* Asks all formats but the last, raw, for their signatures with that anchor. */
static int ask_formats(struct image *img, struct detection *d, enum anchor anchor)
{
    for (const struct format_driver *const *f = formats; f[1]; f++)
        for (const struct signature *s = (*f)->signatures; s < (*f)->signatures + FORMAT_SIGNATURES;
             s++) {
            int error = s->magic && s->anchor == anchor ? ask_signature(img, d, *f, s) : 0;

            if (error)
                return error;
        }
    return 0;
}

/* Adds what the name of a raw file tells of it. */
static void ask_names(struct detection *d, const char *name)
{
    struct reason why = {""};

    for (const struct format_driver *const *f = formats; name && *f; f++)
        if ((*f)->is_part_name && (*f)->is_part_name(name, &why))
            add_candidate(d, *f, 0, false, &why);
}

/* The accepted candidate's format; where there is none, raw. */
static void decide(struct detection *d)
{
    const struct reason none = {""};

    for (size_t i = 0; i < d->count; i++)
        if (d->candidates[i].accepted)
            d->driver = d->candidates[i].driver;
    if (d->driver)
        return;
    d->driver = &raw_driver;
    add_candidate(d, &raw_driver, 0, true, &none);
}

/* Tells what of a raw file only looked like another format. */
static void tell_doubts(struct image *img, const struct detection *d)
{
    for (size_t i = 0; i < d->count && d->driver == &raw_driver && !d->candidates[i].accepted; i++)
        image_note(img, "raw: what looks like %s at offset %llu is not: %s",
                   d->candidates[i].driver->name, (unsigned long long)d->candidates[i].offset,
                   d->candidates[i].why.words);
}

/*
 * The format that was given is taken: its first candidate that was confirmed is the accepted one,
 * the others say why they are not.
 */
static void overrule(struct detection *d, const struct format_driver *given)
{
    bool accepted = false;

    d->driver = given;
    for (size_t i = 0; i < d->count; i++) {
        struct candidate *c = &d->candidates[i];

        c->accepted = c->confirmed && c->driver == given && !accepted;
        accepted |= c->accepted;
        if (c->confirmed && c->driver != given)
            snprintf(c->why.words, sizeof c->why.words, "the format was given as %s", given->name);
    }
}

int detect(struct image *img, const struct open_options *options, struct detection *d)
{
    int error = 0;

    *d = (struct detection){.driver = NULL};
    if (image_size(img) > 0) {
        error = ask_formats(img, d, HEAD);
        if (!error)
            error = ask_formats(img, d, TAIL);
    }
    if (error)
        return error;
    decide(d);
    if (options && d->driver == &raw_driver)
        ask_names(d, options->name);
    if (options && options->format)
        overrule(d, options->format);
    else
        tell_doubts(img, d);
    return 0;
}
