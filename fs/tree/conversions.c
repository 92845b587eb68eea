// SPDX-License-Identifier: Apache-2.0
/* Runs the conversions to all targets side by side. */
#include "conversions.h"

#include <stdio.h>
#include <string.h>

#include "formats/image.h"
#include "passes.h"

/* The context of the walk over the data. */
struct walk {
    struct findings *findings;
    const struct pass_sink *sink;
};

/* Writes the name of the converted file: the image's, with the target as its extension. */
static void name_file(const struct findings *f, const struct target *target, char *name,
                      size_t size)
{
    const char *path = f->layers->items[view_layer(f->view)].path;
    const char *base = path ? strrchr(path, '/') + 1 : "image";
    const char *dot = strrchr(base, '.');
    size_t length = dot && dot != base ? (size_t)(dot - base) : strlen(base);

    snprintf(name, size, "%.*s.%s", (int)length, base, target->name);
}

/* Reports why a target cannot hold the disk. Returns error. */
static int fail(const struct findings *f, const struct target *target, int error,
                const struct reason *why)
{
    if (error && *why->words)
        image_fail(f->disk.img, -error, "%s: as a %s image: %s", f->disk.driver->name, target->name,
                   why->words);
    return error;
}

static void begin(struct findings *f, const struct target *target, struct converted *c)
{
    struct reason why = {.words = ""};

    c->error = f->open_error;
    if (c->error)
        return;
    name_file(f, target, c->name, sizeof c->name);
    c->error =
        fail(f, target,
             conversion_begin(&c->conversion, f->disk.img, target, findings_options(f, target),
                              f->disk.virtual_size, c->name, &why),
             &why);
    c->is_begun = !c->error;
}

static void finish(struct findings *f, const struct target *target, struct converted *c, int error)
{
    struct reason why = {.words = ""};

    if (!c->error && conversion_reads(&c->conversion))
        c->error = error;
    if (!c->error)
        c->error = fail(f, target, conversion_size(&c->conversion, &c->size, &why), &why);
    c->is_computed = true;
}

/* Calls begin() or finish() for each target whose file in convert_size/ belongs to the pass. */
static void for_each(struct findings *f, enum pass_id pass, bool begins, int error)
{
    const struct node *directory = node_by_path("convert_size"), *previous = NULL;

    f->converted = f->room.converted;
    for (const struct node *n = directory; n->path; n++) {
        if (n->parent != directory || n->pass != pass || !findings_yield(f, n) ||
            (previous && previous->target == n->target)) /* TARGET.json, the row after TARGET */
            continue;
        if (begins)
            begin(f, n->target, &f->room.converted[target_row(n->target)]);
        else
            finish(f, n->target, &f->room.converted[target_row(n->target)], error);
        previous = n;
    }
}

void conversions_begin(struct findings *f, enum pass_id pass)
{
    for_each(f, pass, true, 0);
}

void conversions_finish(struct findings *f, enum pass_id pass, int error)
{
    for_each(f, pass, false, error);
}

static int take_run(void *context, uint64_t offset, uint64_t length)
{
    const struct walk *w = context;
    int error = 0;

    for (size_t i = 0; i < TARGETS_MAX && !error; i++)
        if (w->findings->room.converted[i].is_begun)
            error = conversion_run(&w->findings->room.converted[i].conversion, offset, length);
    return error;
}

static int take_written(void *context, uint64_t offset, uint64_t length)
{
    const struct walk *w = context;
    int error = 0;

    for (size_t i = 0; i < TARGETS_MAX && !error; i++)
        if (w->findings->room.converted[i].is_begun)
            error = conversion_written(&w->findings->room.converted[i].conversion, offset, length);
    return error;
}

static int take_slab(void *context, uint64_t offset, const uint8_t *bytes, size_t length)
{
    const struct walk *w = context;
    int error = 0;

    for (size_t i = 0; i < TARGETS_MAX && !error; i++)
        if (w->findings->room.converted[i].is_begun)
            error =
                conversion_slab(&w->findings->room.converted[i].conversion, offset, bytes, length);
    return error;
}

static int take_progress(void *context, uint64_t offset)
{
    const struct walk *w = context;

    if (!w->sink->progress)
        return 0;
    return w->sink->progress(w->sink->context, offset, w->findings->disk.virtual_size);
}

/* Walks over the guest data if the size of a conversion depends on it. Returns 0 or -errno. */
static int walk_data(struct findings *f, const struct pass_sink *sink)
{
    struct walk walk = {f, sink};
    struct data_walk_sink walk_sink = {
        .context = &walk, .run = take_run, .written = take_written, .progress = take_progress};
    bool reads = false;

    for (size_t i = 0; i < TARGETS_MAX; i++) {
        const struct converted *c = &f->room.converted[i];

        if (!c->is_begun)
            continue;
        reads |= conversion_reads(&c->conversion);
        if (conversion_wants_slabs(&c->conversion))
            walk_sink.slab = take_slab;
    }
    return reads ? data_walk(&f->disk, &walk_sink) : 0;
}

void conversions_run(struct findings *f, const struct pass_sink *sink)
{
    conversions_begin(f, PASS_DATA);
    conversions_finish(f, PASS_DATA, walk_data(f, sink));
}

void conversions_close(struct findings *f)
{
    for (size_t i = 0; i < TARGETS_MAX; i++)
        if (f->room.converted[i].is_begun)
            conversion_end(&f->room.converted[i].conversion);
}
