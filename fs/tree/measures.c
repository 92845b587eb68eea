// SPDX-License-Identifier: Apache-2.0
/* The measure and scan passes. */
#include "measures.h"

#include "formats/checked.h"
#include "formats/extents.h"
#include "formats/image.h"
#include "formats/unit-map.h"
#include "passes.h"

enum {
    /* Progress is reported so often in a walk. The sink reads the clock: doing so for each extent
     * would take longer than the walk itself. */
    PROGRESS_STEPS = 512,
};

/* A walk over the extents. */
struct walk {
    struct findings *findings;
    const struct pass_sink *sink;
    bool is_full;                /* skips no extent */
    bool has_skipped;            /* has skipped extents */
    struct target_counts counts; /* by index of targets[] */
    uint64_t allocated;          /* guest bytes that hold data */
    uint64_t next_progress;      /* guest offset of the next report: a second walk repeats none */
    uint64_t least;              /* smallest unit, in bytes, that decides what may be skipped */
    uint64_t counted;            /* before this guest offset no data changes a counter */
    uint64_t offset;             /* of the guest bytes that come next */
    struct extents stream;
    struct unit_map map;
};

/* Begins counting for the option set's target, or for all targets. */
static void begin_counts(struct walk *w)
{
    const struct findings *f = w->findings;

    target_counts_begin(&w->counts);
    for (size_t i = 0; targets[i]; i++)
        if (!f->set || f->set->target == targets[i])
            target_counts_want(&w->counts, i, targets[i], findings_options(f, targets[i]),
                               f->disk.virtual_size);
}

/* Reports the progress if it is time to. Returns 0 or the sink's -errno. */
static int report_progress(struct walk *w, uint64_t done)
{
    uint64_t total = w->findings->disk.virtual_size;

    if (done < w->next_progress)
        return 0;
    w->next_progress = done + total / PROGRESS_STEPS;
    return w->sink->progress ? w->sink->progress(w->sink->context, done, total) : 0;
}

/* Adds the next units in bulk, up to one that needs a closer look. Returns whether there were any.
 */
static bool add_units(struct walk *w)
{
    uint32_t units;

    if (!disk_map_units(&w->findings->disk, w->offset, &w->map))
        return false;
    units = unit_map_next(&w->map, w->map.odd, 0);
    if (!units && !w->is_full && w->offset < w->counted) {
        w->has_skipped = true;
        w->offset = min_u64(w->counted, w->findings->disk.virtual_size);
        return true;
    }
    w->allocated += unit_map_count(&w->map, units) * w->map.unit;
    w->counted = target_counts_add_map(&w->counts, w->least, &w->map, w->offset, units);
    w->offset += units * w->map.unit;
    return units;
}

/* Adds the next extent. Returns 1, 0 at the end, or -errno. */
static int add_extent(struct walk *w)
{
    struct extent extent;
    int more;

    if (w->stream.offset != w->offset)
        extents_seek(&w->stream, w->offset);
    more = extents_next(&w->stream, &extent);
    if (more == 1 && extent.kind == EXTENT_DATA) {
        w->allocated += extent.length;
        w->counted = target_counts_add(&w->counts, w->least, &extent);
        if (!w->is_full)
            extents_skip(&w->stream, w->counted);
    }
    w->offset = w->stream.offset;
    return more;
}

/* Walks over the allocation once. Returns 0 or -errno. */
static int scan(struct walk *w)
{
    struct findings *f = w->findings;
    int more = 1;

    begin_counts(w);
    w->allocated = w->counted = w->offset = 0;
    w->least = f->set ? 0 : MEASURED_UNIT;
    if (f->set && !w->counts.used) /* the size does not depend on the data */
        return 0;
    extents_begin(&w->stream, &f->disk, 0);
    while (more == 1 && w->offset < f->disk.virtual_size) {
        int error = report_progress(w, w->offset);

        if (error)
            return error;
        more = add_units(w) ? 1 : add_extent(w);
    }
    w->has_skipped |= w->stream.skipped;
    return more < 0 ? more : 0;
}

static int bitmaps_size(struct findings *f, const struct target *target, struct measured *m)
{
    const struct target_options *options = findings_options(f, target);
    int found = 0;

    if (target->keeps_bitmaps && target->keeps_bitmaps(options) && f->disk.driver->bitmaps_size)
        found = f->disk.driver->bitmaps_size(&f->disk, options->cluster_size, &m->bitmaps);
    m->has_bitmaps = found == 1;
    return found < 0 ? found : 0;
}

static int compute_size(struct findings *f, const struct target *target,
                        const struct target_counts *counts, struct measured *m)
{
    uint64_t touched[TARGET_UNITS_MAX] = {0};
    struct reason why;
    int error;

    if (counts)
        target_counts_get(counts, target_row(target), touched);
    error =
        target->size(findings_options(f, target), f->disk.virtual_size, touched, &m->size, &why);
    if (error)
        return image_fail(f->disk.img, -error, "%s: as a %s image: %s", f->disk.driver->name,
                          target->name, why.words);
    return bitmaps_size(f, target, m);
}

/* Computes the sizes that are still missing of the files in measure/ of these passes. error: of
 * what they depend on; counts: NULL if they do not depend on the data. */
static void compute(struct findings *f, unsigned set_of_passes, int error,
                    const struct target_counts *counts)
{
    const struct node *directory = node_by_path("measure");

    f->measured = f->room.measured;
    for (const struct node *n = directory; n->path; n++) {
        struct measured *m = n->target ? &f->room.measured[target_row(n->target)] : NULL;

        if (n->parent != directory || !findings_yield(f, n) ||
            !(set_of_passes & PASS_BIT(n->pass)) || m->is_computed)
            continue;
        m->is_computed = true;
        m->error = error ? error : compute_size(f, n->target, counts, m);
    }
}

void measures_compute(struct findings *f, enum pass_id pass, int error)
{
    compute(f, PASS_BIT(pass), error, NULL);
}

/*
 * The walk over all extents can fail at one that the measure pass would skip. The files of the
 * measure pass must not depend on which pass ran, so it is then walked again with skipping.
 */
static void run(struct findings *f, const struct pass_sink *sink, bool is_full)
{
    struct walk w = {.findings = f, .sink = sink, .is_full = is_full};
    int scan_error = f->open_error ? f->open_error : scan(&w), measure_error = scan_error;
    bool has_skipped = w.has_skipped;

    f->scan = &f->room.scan;
    f->room.scan = (struct scan_findings){.error = scan_error, .allocated = w.allocated};
    if (is_full && scan_error && !f->open_error) {
        w.is_full = false;
        measure_error = scan(&w);
    }
    if (has_skipped && !f->set)
        f->yields &= ~PASS_BIT(PASS_SCAN);
    compute(f, PASS_BIT(PASS_MEASURE), measure_error, &w.counts);
    compute(f, PASS_BIT(PASS_SCAN), scan_error, &w.counts);
}

/* The measure pass: skips extents that change no size in measure/. */
void measures_run(struct findings *f, const struct pass_sink *sink)
{
    run(f, sink, false);
}

/* The scan pass: visits all extents. */
void measures_run_all(struct findings *f, const struct pass_sink *sink)
{
    run(f, sink, true);
}
