// SPDX-License-Identifier: Apache-2.0
/* Passes: detection and headers; and the one walk over the extents that feeds every consumer. */
#include "passes.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conversions.h"
#include "detect/content.h"
#include "formats/checked.h"
#include "formats/image.h"
#include "render.h"

enum {
    PROGRESS_EXTENTS = 4096, /* looking at the clock for each would take longer than itself */
    PROGRESS_PARTS = 512,    /* of the disk */
};

/* Begins the counters: of the set of options, or of all targets. */
static void begin_counts(struct facts *facts)
{
    const struct option_set *set = facts->set;

    target_counts_begin(&facts->counts);
    for (size_t i = 0; targets[i]; i++)
        if (!set || set->target == targets[i])
            target_counts_want(&facts->counts, i, targets[i],
                               set ? &set->options : &targets[i]->defaults,
                               facts->disk.virtual_size);
}

/* How far a walk is, told every so many extents, and every so many bytes of the disk. */
struct teller {
    const struct pass_sink *sink;
    uint64_t total, next; /* bytes */
    unsigned extents;     /* until the next time */
};

/* 0 or the sink's -errno. */
static int tell_progress(struct teller *t, uint64_t done)
{
    if (t->extents-- && done < t->next)
        return 0;
    t->extents = PROGRESS_EXTENTS;
    t->next = done + t->total / PROGRESS_PARTS;
    return t->sink->progress ? t->sink->progress(t->sink->context, done, t->total) : 0;
}

/* Feeds all consumers of allocation from one stream; all: without leaving anything out. */
static int scan(struct facts *facts, const struct pass_sink *sink, bool all)
{
    uint64_t least = facts->set ? 0 : MEASURED_UNIT;
    struct teller teller = {.sink = sink, .total = facts->disk.virtual_size};
    struct extents stream;
    struct extent extent;
    int more, failed;

    begin_counts(facts);
    if (facts->set && !facts->counts.used) /* whatever the data */
        return 0;
    facts->allocated = 0;
    extents_begin(&stream, &facts->disk, 0);
    while ((more = extents_next(&stream, &extent)) == 1) {
        uint64_t counted;

        failed = tell_progress(&teller, extent.offset);
        if (failed)
            return failed;
        if (extent.kind != EXTENT_DATA)
            continue;
        facts->allocated += extent.length;
        counted = target_counts_add(&facts->counts, least, &extent);
        if (!all)
            extents_skip(&stream, counted);
    }
    facts->scanned_all = !stream.skipped;
    return more;
}

/* Finds what header/ shows, whether or not the driver could open the image. */
static void find_headers(struct facts *facts)
{
    const struct header_section *sections = facts->disk.driver->sections;

    for (size_t i = 0; sections && sections[i].fields; i++)
        header_find(&facts->disk, &sections[i], &facts->header[i]);
}

/* How the image of a view is to be taken. */
static struct open_options options_of(unsigned view, const struct layers *layers,
                                      const struct open_options *options)
{
    struct open_options o = *options;

    if (view > 0)
        o.alone = true;
    if (view > 1) {
        o.format = layers->items[view - 1].format;
        o.name = strrchr(layers->items[view - 1].path, '/') + 1;
    }
    return o;
}

static void open_disk(struct image *img, const struct open_options *options, struct facts *facts)
{
    facts->detect_error = detect(img, options, &facts->detection);
    facts->open_error = facts->detect_error;
    if (facts->detect_error)
        return;
    facts->open_error = disk_open(&facts->disk, img, facts->detection.driver, options);
    chain_open(&facts->chain, &facts->disk, facts->layers, facts->layer, options);
}

/* Walks over the extents; all: over every one of them. What makes that fail need not concern
 * measure/: it says the same whatever was read before. */
static void walk(struct facts *facts, const struct pass_sink *sink, bool all)
{
    facts->measure_error = facts->scan_error = scan(facts, sink, all);
    if (!all || !facts->scan_error)
        return;
    facts->measure_error = scan(facts, sink, false);
    facts->scanned_all = true;
}

static void gather(const struct task *task, struct image *img, const struct open_options *options,
                   const struct pass_sink *sink, struct facts *facts)
{
    enum pass pass = task->pass;

    open_disk(img, options, facts);
    facts->content_error = facts->scan_error = facts->measure_error = facts->open_error;
    facts->scanned_all = true;
    if (pass <= PASS_CONTENT && !facts->set && !facts->detect_error)
        find_headers(facts);
    if (facts->open_error)
        return;
    conversions_begin(facts, task);
    if (pass == PASS_CONTENT)
        facts->content_error = content_detect(&facts->disk, &facts->content);
    else if (pass == PASS_DATA)
        conversions_walk(facts, sink);
    else if (pass != PASS_HEADER)
        walk(facts, sink, pass == PASS_SCAN);
}

static bool is_walk(enum pass pass)
{
    return pass == PASS_MEASURE || pass == PASS_SCAN;
}

bool task_tells_headers(const struct task *task)
{
    return task->pass <= PASS_CONTENT && !task->set;
}

bool task_may_tell(const struct task *task, const struct place *place)
{
    struct task asked = place_task(place);

    if (task->set || asked.set)
        return task->set == asked.set && task->pass == asked.pass;
    return task->pass == asked.pass || (task->pass == PASS_CONTENT && asked.pass == PASS_HEADER) ||
           (is_walk(task->pass) && is_walk(asked.pass));
}

static int emit_file(const struct facts *facts, const struct place *place,
                     const struct pass_sink *sink)
{
    struct text text = {.bytes = NULL};
    int failed = place->node->render(facts, place, &text);
    int error = sink->file(sink->context, place, failed ? failed : text.error, &text);

    text_free(&text);
    return error;
}

/* How many entries a numbered directory has. */
static uint32_t count_of(const struct facts *facts, const struct node *directory)
{
    return (uint32_t)min_u64(directory->count(facts), NUMBERS_MAX);
}

/* Tells what of the node the task is to tell. */
static int emit_node(const struct task *task, const struct facts *facts, const struct node *node,
                     const struct pass_sink *sink)
{
    struct place place = {task->view, node->target ? task->set : 0, node};
    uint32_t count = node->is_numbered ? count_of(facts, node_counter(node)) : place.number + 1;
    int error = 0;

    if (task->view && node->of_mount)
        return 0;
    if (node->count && !task->set && task->pass <= PASS_CONTENT)
        return sink->count(sink->context, &place, count_of(facts, node));
    if (!task_may_tell(task, &place))
        return 0;
    if (node->pass == PASS_SCAN && !task->set && !facts->scanned_all)
        return 0;
    for (; place.number < count && !error; place.number++)
        error = emit_file(facts, &place, sink);
    return error;
}

/* Whether the node is one of those that the task is about. */
static bool is_asked(const struct option_set *set, const struct node *node)
{
    return !set || (node->parent == set->directory && node->target &&
                    target_by_name(node->target) == set->target);
}

static int emit_all(const struct task *task, const struct facts *facts,
                    const struct pass_sink *sink)
{
    bool wanted = sink->reference && task->pass == PASS_HEADER && !task->set;
    int error = 0;

    for (const struct node *n = nodes; n->path && !error; n++)
        if (is_asked(facts->set, n))
            error = emit_node(task, facts, n, sink);
    for (size_t i = 0; wanted && i < count_references(facts) && !error; i++)
        error = sink->reference(sink->context, &facts->disk.references[i]);
    return error;
}

int task_run(const struct task *task, const struct option_set *set, const struct layers *layers,
             const struct open_options *options, const struct pass_sink *sink,
             struct pass_report *report)
{
    struct open_options o = options_of(task->view, layers, options);
    struct facts *facts = calloc(1, sizeof *facts);
    struct image *img = NULL;
    unsigned layer = task->view ? task->view - 1 : 0;
    int error = facts ? image_open(&img, layers->items[layer].fd) : -ENOMEM;

    *report = (struct pass_report){.bytes_read = 0};
    if (!error) {
        facts->layers = layers;
        facts->layer = layer;
        facts->set = set;
        image_tell_reads(img, sink->read, sink->context);
        gather(task, img, &o, sink, facts);
        error = emit_all(task, facts, sink);
        snprintf(report->problems, sizeof report->problems, "%s", image_problems(img));
        report->bytes_read = image_bytes_read(img);
        report->reads = image_reads(img);
        conversions_end(facts);
    }
    image_close(img);
    free(facts);
    return error;
}
