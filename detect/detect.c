// SPDX-License-Identifier: Apache-2.0
/*
 * Detection: compares every signature of every format and asks the driver to confirm a match. The
 * first confirmed signature is accepted. The other matches are candidates with the reason why they
 * are not.
 */
#include "detect.h"

#include <stdio.h>
#include <string.h>

#include "formats/image.h"

/* Whether the file has the signature. Sets *offset to its offset from the start of the file.
 * Returns 1, 0 or -errno. */
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

/* Adds a match. If the driver did not confirm it, why has the reason. */
static void add_candidate(struct detection *d, const struct format_driver *driver, uint64_t offset,
                          bool is_confirmed, const struct reason *why)
{
    const struct candidate *winner = NULL;
    struct candidate *c = &d->candidates[d->count];

    for (size_t i = 0; i < d->count; i++)
        if (d->candidates[i].is_accepted)
            winner = &d->candidates[i];
    /* A second signature of the accepted format is no candidate of its own: a dynamic VHD begins
     * and ends with a footer. */
    if (!is_confirmed && winner && winner->driver == driver)
        return;
    if (d->count == CANDIDATES_MAX)
        return;
    *c = (struct candidate){driver, offset, is_confirmed, is_confirmed && !winner, *why};
    if (is_confirmed && winner)
        snprintf(c->why.words, sizeof c->why.words, "%s at offset %llu comes first",
                 winner->driver->name, (unsigned long long)winner->offset);
    d->count++;
}

static int try_signature(struct image *img, struct detection *d, const struct format_driver *driver,
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

/* Tries all signatures with that anchor. The last format, raw, has none. */
static int try_formats(struct image *img, struct detection *d, enum anchor anchor)
{
    for (const struct format_driver *const *f = formats; f[1]; f++)
        for (const struct signature *s = (*f)->signatures; s < (*f)->signatures + FORMAT_SIGNATURES;
             s++) {
            int error = s->magic && s->anchor == anchor ? try_signature(img, d, *f, s) : 0;

            if (error)
                return error;
        }
    return 0;
}

/* Adds the formats whose files have names like that of this raw file. */
static void add_names(struct detection *d, const char *name)
{
    struct reason why = {""};

    for (const struct format_driver *const *f = formats; name && *f; f++)
        if ((*f)->is_extent_file_name && (*f)->is_extent_file_name(name, &why))
            add_candidate(d, *f, 0, false, &why);
}

/* Sets the format of the accepted candidate, or raw. */
static void set_format(struct detection *d)
{
    const struct reason none = {""};

    for (size_t i = 0; i < d->count; i++)
        if (d->candidates[i].is_accepted)
            d->driver = d->candidates[i].driver;
    if (d->driver)
        return;
    d->driver = &raw_driver;
    add_candidate(d, &raw_driver, 0, true, &none);
}

/* Reports the signatures of a raw file that were not confirmed. */
static void note_unconfirmed(struct image *img, const struct detection *d)
{
    for (size_t i = 0; i < d->count && d->driver == &raw_driver && !d->candidates[i].is_accepted;
         i++)
        image_note(img, "raw: the %s signature at offset %llu is not accepted: %s",
                   d->candidates[i].driver->name, (unsigned long long)d->candidates[i].offset,
                   d->candidates[i].why.words);
}

/* Sets the given format. Its first confirmed candidate becomes the accepted one. */
static void set_given_format(struct detection *d, const struct format_driver *given)
{
    bool has_accepted = false;

    d->driver = given;
    for (size_t i = 0; i < d->count; i++) {
        struct candidate *c = &d->candidates[i];

        c->is_accepted = c->is_confirmed && c->driver == given && !has_accepted;
        has_accepted |= c->is_accepted;
        if (c->is_confirmed && c->driver != given)
            snprintf(c->why.words, sizeof c->why.words, "the format was given as %s", given->name);
    }
}

int detect(struct image *img, const struct open_options *options, struct detection *d)
{
    int error = 0;

    *d = (struct detection){.driver = NULL};
    if (image_size(img) > 0) {
        error = try_formats(img, d, HEAD);
        if (!error)
            error = try_formats(img, d, TAIL);
    }
    if (error)
        return error;
    set_format(d);
    if (options && d->driver == &raw_driver)
        add_names(d, options->name);
    if (options && options->format)
        set_given_format(d, options->format);
    else
        note_unconfirmed(img, d);
    return 0;
}
