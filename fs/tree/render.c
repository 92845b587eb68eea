// SPDX-License-Identifier: Apache-2.0
/* What each file of the tree contains. */
#include "render.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detect/files/image-file.h"
#include "formats/escape.h"
#include "formats/image.h"

/* One number and a newline. */
static int number(struct text *text, uint64_t value)
{
    text_add(text, "%" PRIu64 "\n", value);
    return 0;
}

int render_format(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)place;
    if (!facts->detect_error)
        text_add(text, "%s\n", facts->detection.driver->name);
    return facts->detect_error;
}

int render_subformat(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)place;
    if (!facts->disk.subformat)
        return facts->open_error ? facts->open_error : -ENOENT;
    text_add(text, "%s\n", facts->disk.subformat);
    return 0;
}

int render_virtual_size(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)place;
    return facts->open_error ? facts->open_error : number(text, facts->disk.virtual_size);
}

int render_content(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)place;
    if (!facts->content_error)
        text_add(text, "%s\n", facts->content.name);
    return facts->content_error;
}

/* The field header/DIRECTORY/NAME or header/NAME of these sections. */
static int add_field(const struct header_section *sections, const struct header_found *found,
                     const struct node *node, struct text *text)
{
    const char *slash = strchr(node->parent->path, '/');
    char value[FIELD_TEXT_MAX];
    int error = header_field(sections, found, slash ? slash + 1 : "", node_name(node), value);

    if (!error)
        text_add(text, "%s\n", value);
    return error;
}

/* Of an image whose format is not known no header is. */
int render_header_field(const struct facts *facts, const struct place *place, struct text *text)
{
    if (facts->detect_error)
        return -ENOENT;
    return add_field(facts->disk.driver->sections, facts->header, place->node, text);
}

/* Where the content cannot be read, nothing is known to be there. */
int render_content_field(const struct facts *facts, const struct place *place, struct text *text)
{
    if (facts->content_error)
        return -ENOENT;
    return add_field(content_sections, facts->content.sections, place->node, text);
}

int render_candidates(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)place;
    for (size_t i = 0; i < facts->detection.count; i++) {
        const struct candidate *c = &facts->detection.candidates[i];

        text_add(text, "%s %" PRIu64 " %s\n", c->driver->name, c->offset,
                 c->accepted ? "accepted" : c->why.words);
    }
    return facts->detect_error;
}

size_t count_references(const struct facts *facts)
{
    return facts->detect_error ? 0 : facts->disk.references_count;
}

/* Where there is but one, it is all that the rest tells of. */
size_t count_layers(const struct facts *facts)
{
    return facts->layers->count > 1 ? facts->layers->count : 0;
}

/* The reference that the place tells of. */
static const struct reference *reference_of(const struct facts *facts, const struct place *place)
{
    return &facts->disk.references[place->number];
}

/* What became of it; NULL: the image names other files than those on which was decided. */
static const struct grant *grant_of(const struct facts *facts, const struct place *place)
{
    const struct grant *grants = facts->chain.files[0].grants;

    return grants ? &grants[place->number] : NULL;
}

/* A line of text from the image. Without any the file does not apply. */
static int add_escaped(struct text *text, const char *bytes, size_t length)
{
    char *line;

    if (!length)
        return -ENOENT;
    line = malloc(4 * length + 1);
    if (!line)
        return -ENOMEM;
    escape_text(line, 4 * length + 1, bytes, length);
    text_add(text, "%s\n", line);
    free(line);
    return 0;
}

int render_reference_kind(const struct facts *facts, const struct place *place, struct text *text)
{
    text_add(text, "%s\n", reference_of(facts, place)->kind);
    return 0;
}

int render_reference_source(const struct facts *facts, const struct place *place, struct text *text)
{
    text_add(text, "%s\n", reference_of(facts, place)->source);
    return 0;
}

int render_reference_path(const struct facts *facts, const struct place *place, struct text *text)
{
    const struct reference *r = reference_of(facts, place);

    return add_escaped(text, r->path, r->length);
}

int render_reference_format(const struct facts *facts, const struct place *place, struct text *text)
{
    const char *format = reference_of(facts, place)->format;

    if (!format)
        return -ENOENT;
    text_add(text, "%s\n", format);
    return 0;
}

/* Whether the image below is there, but not the one that this image was made on, or not readable.
 */
static bool is_unfit(const struct facts *facts, const struct place *place)
{
    return facts->disk.backing_error && reference_of(facts, place)->role == REFERENCE_BACKING;
}

int render_reference_state(const struct facts *facts, const struct place *place, struct text *text)
{
    const struct grant *grant = grant_of(facts, place);
    const char *state = grant ? grant_state_name(grant->state) : "changed";

    if (grant && grant->state == GRANT_OPENED && is_unfit(facts, place))
        state = "unfit";
    text_add(text, "%s\n", state);
    return 0;
}

int render_reference_reason(const struct facts *facts, const struct place *place, struct text *text)
{
    const struct grant *grant = grant_of(facts, place);

    if (!grant)
        text_add(
            text,
            "the image names other files than when it was mounted, or could not be read then\n");
    else if (grant->why)
        text_add(text, "%s\n", grant->why);
    else if (grant->state == GRANT_OPENED && is_unfit(facts, place))
        text_add(text, "it cannot be used: problems says why\n");
    else
        return -ENOENT;
    return 0;
}

int render_reference_resolved(const struct facts *facts, const struct place *place,
                              struct text *text)
{
    const struct grant *grant = grant_of(facts, place);

    if (!grant || grant->state != GRANT_OPENED || !grant->resolved)
        return -ENOENT;
    return add_escaped(text, grant->resolved, strlen(grant->resolved));
}

int render_allocated_size(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)place;
    return facts->scan_error ? facts->scan_error : number(text, facts->allocated);
}

/* A measurement: the sizes, and the bytes of bitmaps where the image may bring some. */
struct measurement {
    struct target_size size;
    bool has_bitmaps;
    uint64_t bitmaps;
};

static int measure(const struct facts *facts, const struct node *node, struct measurement *m)
{
    const struct target *target = target_by_name(node->target);
    const struct target_options *options = facts->set ? &facts->set->options : &target->defaults;
    struct disk disk = facts->disk;
    uint64_t touched[TARGET_UNITS_MAX];
    struct reason why;
    int found = 0, error = facts->open_error;

    if (node->pass >= PASS_MEASURE)
        error = node->pass == PASS_MEASURE ? facts->measure_error : facts->scan_error;
    if (error)
        return error;
    target_counts_get(&facts->counts, target_row(target), touched);
    error = target->size(options, disk.virtual_size, touched, &m->size, &why);
    if (error)
        return image_fail(disk.img, -error, "%s: as a %s image: %s", disk.driver->name,
                          target->name, why.words);
    if (target->keeps_bitmaps && target->keeps_bitmaps(options) && disk.driver->bitmaps_size)
        found = disk.driver->bitmaps_size(&disk, options->cluster_size, &m->bitmaps);
    m->has_bitmaps = found == 1;
    return found < 0 ? found : 0;
}

int render_measure(const struct facts *facts, const struct place *place, struct text *text)
{
    struct measurement m;
    int error = measure(facts, place->node, &m);

    if (error)
        return error;
    text_add(text, "required size: %" PRIu64 "\n", m.size.required);
    text_add(text, "fully allocated size: %" PRIu64 "\n", m.size.fully_allocated);
    if (m.has_bitmaps)
        text_add(text, "bitmaps size: %" PRIu64 "\n", m.bitmaps);
    return 0;
}

int render_measure_json(const struct facts *facts, const struct place *place, struct text *text)
{
    struct measurement m;
    int error = measure(facts, place->node, &m);

    if (error)
        return error;
    text_add(text, "{\n");
    if (m.has_bitmaps)
        text_add(text, "    \"bitmaps\": %" PRIu64 ",\n", m.bitmaps);
    text_add(text, "    \"required\": %" PRIu64 ",\n", m.size.required);
    text_add(text, "    \"fully-allocated\": %" PRIu64 "\n}\n", m.size.fully_allocated);
    return 0;
}

/* How large what a conversion writes would be. */
static int convert_size(const struct facts *facts, const struct node *node, struct conversion *c,
                        uint64_t *size)
{
    const struct target *target = target_by_name(node->target);
    const struct converted *converted = &facts->conversions[target_row(target)];
    const struct disk *disk = &facts->disk;
    struct reason why = {.words = ""};
    int error = facts->open_error ? facts->open_error : converted->error;

    *c = converted->conversion;
    if (!error && conversion_reads(c))
        error = facts->data_error;
    if (error)
        return error;
    error = conversion_size(c, size, &why);
    if (error && *why.words)
        image_fail(disk->img, -error, "%s: as a %s image: %s", disk->driver->name, target->name,
                   why.words);
    return error;
}

int render_convert_size(const struct facts *facts, const struct place *place, struct text *text)
{
    struct conversion c;
    uint64_t size;
    int error = convert_size(facts, place->node, &c, &size);

    return error ? error : number(text, size);
}

int render_convert_size_json(const struct facts *facts, const struct place *place,
                             struct text *text)
{
    struct conversion c;
    uint64_t size;
    int error = convert_size(facts, place->node, &c, &size);

    if (error)
        return error;
    text_add(text, "{\n    \"size\": %" PRIu64 ",\n    \"files\": [", size);
    for (uint64_t i = 0; i < conversion_files(&c); i++) {
        struct conversion_file file;

        conversion_file(&c, i, &file);
        text_add(text, "%s\n        {\n            \"name\": ", i ? "," : "");
        text_add_json_string(text, file.name);
        text_add(text, ",\n            \"size\": %" PRIu64 "\n        }", file.size);
    }
    text_add(text, "\n    ]\n}\n");
    return 0;
}

int render_file_size(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)place;
    return number(text, facts->status->file_size);
}

int render_disk_size(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)place;
    return number(text, facts->status->disk_size);
}

int render_bytes_read(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)place;
    return number(text, facts->status->bytes_read);
}

int render_problems(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)place;
    text_add(text, "%.*s", (int)facts->status->problems->length, facts->status->problems->bytes);
    return 0;
}

int render_generation(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)place;
    return number(text, facts->status->generation);
}

int render_in_use(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)place;
    if (facts->status->fd < 0)
        return -ENOTSUP;
    text_add(text, "%s\n", image_file_use(facts->status->fd));
    return 0;
}

int render_lines(const struct facts *facts, const struct place *place, struct text *text)
{
    const struct text *lines = facts->status->lines;

    (void)place;
    if (!lines)
        return -ENOENT;
    text_add(text, "%.*s", (int)lines->length, lines->bytes);
    return 0;
}

int render_version(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)facts;
    (void)place;
    text_add(text, "%s\n", VERSION);
    return 0;
}

int render_options(const struct facts *facts, const struct place *place, struct text *text)
{
    (void)place;
    text_add(text, "%s\n", facts->status->options);
    return 0;
}

int render_image(const struct facts *facts, const struct place *place, struct text *text)
{
    char path[4 * 4096];

    (void)place;
    escape_text(path, sizeof path, facts->status->image, strlen(facts->status->image));
    text_add(text, "%s\n", path);
    return 0;
}
