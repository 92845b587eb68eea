// SPDX-License-Identifier: Apache-2.0
/* What each file of the tree contains. */
#include "render.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "formats/escape.h"

/* One number and a newline. */
static int number(struct text *text, uint64_t value)
{
    text_add(text, "%" PRIu64 "\n", value);
    return 0;
}

int render_format(const struct facts *facts, const struct node *node, struct text *text)
{
    (void)node;
    if (!facts->detect_error)
        text_add(text, "%s\n", facts->detection.driver->name);
    return facts->detect_error;
}

int render_subformat(const struct facts *facts, const struct node *node, struct text *text)
{
    (void)node;
    if (!facts->disk.subformat)
        return facts->open_error ? facts->open_error : -ENOENT;
    text_add(text, "%s\n", facts->disk.subformat);
    return 0;
}

int render_virtual_size(const struct facts *facts, const struct node *node, struct text *text)
{
    (void)node;
    return facts->open_error ? facts->open_error : number(text, facts->disk.virtual_size);
}

int render_content(const struct facts *facts, const struct node *node, struct text *text)
{
    (void)node;
    if (!facts->content_error)
        text_add(text, "%s\n", facts->content.name);
    return facts->content_error;
}

/* The field header/DIRECTORY/NAME or header/NAME of these parts. */
static int add_field(const struct header_part *parts, const struct header_found *found,
                     const struct node *node, struct text *text)
{
    const char *slash = strchr(node->parent->path, '/');
    char value[FIELD_TEXT_MAX];
    int error = header_field(parts, found, slash ? slash + 1 : "", node_name(node), value);

    if (!error)
        text_add(text, "%s\n", value);
    return error;
}

/* Of an image whose format is not known no header is. */
int render_header_field(const struct facts *facts, const struct node *node, struct text *text)
{
    if (facts->detect_error)
        return -ENOENT;
    return add_field(facts->disk.driver->parts, facts->header, node, text);
}

/* Where the content cannot be read, nothing is known to be there. */
int render_content_field(const struct facts *facts, const struct node *node, struct text *text)
{
    if (facts->content_error)
        return -ENOENT;
    return add_field(content_parts, facts->content.parts, node, text);
}

int render_candidates(const struct facts *facts, const struct node *node, struct text *text)
{
    (void)node;
    for (size_t i = 0; i < facts->detection.count; i++) {
        const struct candidate *c = &facts->detection.candidates[i];

        text_add(text, "%s %" PRIu64 " %s\n", c->driver->name, c->offset,
                 c->accepted ? "accepted" : c->why.words);
    }
    return facts->detect_error;
}

int render_allocated_size(const struct facts *facts, const struct node *node, struct text *text)
{
    (void)node;
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
    const struct target_options *options = &target->defaults;
    struct disk disk = facts->disk;
    int found = 0;
    int error = node->pass == PASS_MEASURE ? facts->measure_error : facts->open_error;

    if (error)
        return error;
    error =
        target->size(options, disk.virtual_size, facts->units[target - targets].touched, &m->size);
    if (error)
        return image_fail(disk.img, EFBIG,
                          "%s: a disk of %" PRIu64 " bytes is too large for a %s image",
                          disk.driver->name, disk.virtual_size, target->name);
    if (target->keeps_bitmaps && disk.driver->bitmaps_size)
        found = disk.driver->bitmaps_size(&disk, options->cluster_size, &m->bitmaps);
    m->has_bitmaps = found == 1;
    return found < 0 ? found : 0;
}

int render_measure(const struct facts *facts, const struct node *node, struct text *text)
{
    struct measurement m;
    int error = measure(facts, node, &m);

    if (error)
        return error;
    text_add(text, "required size: %" PRIu64 "\n", m.size.required);
    text_add(text, "fully allocated size: %" PRIu64 "\n", m.size.fully_allocated);
    if (m.has_bitmaps)
        text_add(text, "bitmaps size: %" PRIu64 "\n", m.bitmaps);
    return 0;
}

int render_measure_json(const struct facts *facts, const struct node *node, struct text *text)
{
    struct measurement m;
    int error = measure(facts, node, &m);

    if (error)
        return error;
    text_add(text, "{\n");
    if (m.has_bitmaps)
        text_add(text, "    \"bitmaps\": %" PRIu64 ",\n", m.bitmaps);
    text_add(text, "    \"required\": %" PRIu64 ",\n", m.size.required);
    text_add(text, "    \"fully-allocated\": %" PRIu64 "\n}\n", m.size.fully_allocated);
    return 0;
}

int render_file_size(const struct facts *facts, const struct node *node, struct text *text)
{
    (void)node;
    return number(text, facts->status->file_size);
}

int render_disk_size(const struct facts *facts, const struct node *node, struct text *text)
{
    (void)node;
    return number(text, facts->status->disk_size);
}

int render_bytes_read(const struct facts *facts, const struct node *node, struct text *text)
{
    (void)node;
    return number(text, facts->status->bytes_read);
}

int render_problems(const struct facts *facts, const struct node *node, struct text *text)
{
    (void)node;
    text_add(text, "%.*s", (int)facts->status->problems->length, facts->status->problems->bytes);
    return 0;
}

int render_version(const struct facts *facts, const struct node *node, struct text *text)
{
    (void)facts;
    (void)node;
    text_add(text, "%s\n", VERSION);
    return 0;
}

int render_options(const struct facts *facts, const struct node *node, struct text *text)
{
    (void)node;
    text_add(text, "%s\n", facts->status->options);
    return 0;
}

int render_image(const struct facts *facts, const struct node *node, struct text *text)
{
    char path[4 * 4096];

    (void)node;
    escape_text(path, sizeof path, facts->status->image, strlen(facts->status->image));
    text_add(text, "%s\n", path);
    return 0;
}
