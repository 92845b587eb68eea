// SPDX-License-Identifier: Apache-2.0
/* The conversions that a task tells of. */
#include "conversions.h"

#include <stdio.h>
#include <string.h>

#include "formats/image.h"

/* What the walk tells goes to all of them. */
struct walk {
    struct facts *facts;
    const struct pass_sink *sink;
};

/* The file is called as the image, but for what stands behind the last dot. */
static void name_file(const struct facts *facts, const struct target *target, char *name,
                      size_t size)
{
    const char *path = facts->layers->items[facts->layer].path;
    const char *base = path ? strrchr(path, '/') + 1 : "image";
    const char *dot = strrchr(base, '.');
    size_t length = dot && dot != base ? (size_t)(dot - base) : strlen(base);

    snprintf(name, size, "%.*s.%s", (int)length, base, target->name);
}

static void begin(struct facts *facts, const struct target *target)
{
    struct converted *c = &facts->conversions[target_row(target)];
    const struct disk *disk = &facts->disk;
    const struct target_options *options = facts->set ? &facts->set->options : &target->defaults;
    struct reason why = {.words = ""};

    name_file(facts, target, c->name, sizeof c->name);
    c->error = conversion_begin(&c->conversion, disk->img, target, options, disk->virtual_size,
                                c->name, &why);
    c->begun = !c->error;
    if (c->error && *why.words)
        image_fail(disk->img, -c->error, "%s: as a %s image: %s", disk->driver->name, target->name,
                   why.words);
}

void conversions_begin(struct facts *facts, const struct task *task)
{
    const struct node *directory = node_by_path("convert_size");

    for (const struct node *n = nodes; n->path; n++) {
        const struct place place = {task->view, task->set, n};
        const struct target *target = n->target ? target_by_name(n->target) : NULL;

        if (n->parent != directory || !task_may_tell(task, &place) ||
            (facts->set && facts->set->target != target) ||
            facts->conversions[target_row(target)].begun)
            continue;
        begin(facts, target);
    }
}

static int tell_run(void *context, uint64_t offset, uint64_t length)
{
    const struct walk *w = context;
    int error = 0;

    for (size_t i = 0; i < TARGETS_MAX && !error; i++)
        if (w->facts->conversions[i].begun)
            error = conversion_run(&w->facts->conversions[i].conversion, offset, length);
    return error;
}

static int tell_written(void *context, uint64_t offset, uint64_t length)
{
    const struct walk *w = context;
    int error = 0;

    for (size_t i = 0; i < TARGETS_MAX && !error; i++)
        if (w->facts->conversions[i].begun)
            error = conversion_written(&w->facts->conversions[i].conversion, offset, length);
    return error;
}

static int tell_slab(void *context, uint64_t offset, const uint8_t *bytes, size_t length)
{
    const struct walk *w = context;
    int error = 0;

    for (size_t i = 0; i < TARGETS_MAX && !error; i++)
        if (w->facts->conversions[i].begun)
            error = conversion_slab(&w->facts->conversions[i].conversion, offset, bytes, length);
    return error;
}

static int tell_progress(void *context, uint64_t offset)
{
    const struct walk *w = context;

    if (!w->sink->progress)
        return 0;
    return w->sink->progress(w->sink->context, offset, w->facts->disk.virtual_size);
}

void conversions_walk(struct facts *facts, const struct pass_sink *sink)
{
    struct walk walk = {facts, sink};
    struct data_walk_sink contents = {
        .context = &walk, .run = tell_run, .written = tell_written, .progress = tell_progress};
    bool reads = false;

    for (size_t i = 0; i < TARGETS_MAX; i++) {
        const struct converted *c = &facts->conversions[i];

        if (!c->begun)
            continue;
        reads |= conversion_reads(&c->conversion);
        if (conversion_wants_slabs(&c->conversion))
            contents.slab = tell_slab;
    }
    facts->data_error = reads ? data_walk(&facts->disk, &contents) : 0;
}

void conversions_end(struct facts *facts)
{
    for (size_t i = 0; i < TARGETS_MAX; i++)
        if (facts->conversions[i].begun)
            conversion_end(&facts->conversions[i].conversion);
}
