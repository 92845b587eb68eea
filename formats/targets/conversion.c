// SPDX-License-Identifier: Apache-2.0
/* Conversions: counts touched units, or calls the target's own model. */
#include "conversion.h"

#include <errno.h>
#include <stdio.h>

#include "formats/checked.h"
#include "formats/image.h"
#include "formats/zeros.h"

int conversion_units(uint64_t offset, const uint8_t *bytes, size_t length, uint64_t unit,
                     int (*take)(void *, uint64_t, const uint8_t *, size_t), void *context)
{
    int error = 0;

    for (size_t at = 0; at < length && !error; at += (size_t)unit) {
        const uint8_t *begin = bytes + at;
        size_t n = (size_t)min_u64(unit, length - at);

        if (!are_zeros(begin, n))
            error = take(context, offset + at, begin, n);
    }
    return error;
}

int conversion_begin(struct conversion *c, struct image *img, const struct target *target,
                     const struct target_options *options, uint64_t virtual_size, const char *name,
                     struct reason *why)
{
    uint64_t units[TARGET_UNITS_MAX];
    struct target_size size;
    int error;

    *c = (struct conversion){
        .img = img,
        .target = target,
        .options = options,
        .virtual_size = virtual_size,
        .name = name,
    };
    if (target->model)
        c->model = target->model(options);
    if (c->model)
        error = c->model->begin(c, why);
    else /* refuse before the walk, not after it */
        error = target->size(options, virtual_size, (uint64_t[TARGET_UNITS_MAX]){0}, &size, why);
    if (error)
        conversion_end(c);
    else if (!c->model && target->units)
        c->kinds = target->units(options, virtual_size, units);
    for (size_t i = 0; i < c->kinds; i++)
        unit_count_begin(&c->counts[i], units[i]);
    return error;
}

bool conversion_reads(const struct conversion *c)
{
    return c->kinds || (c->model && (c->model->written || c->model->slab));
}

bool conversion_wants_slabs(const struct conversion *c)
{
    return c->model && c->model->slab;
}

int conversion_run(struct conversion *c, uint64_t offset, uint64_t length)
{
    return c->model && c->model->run ? c->model->run(c, offset, length) : 0;
}

int conversion_written(struct conversion *c, uint64_t offset, uint64_t length)
{
    for (size_t i = 0; i < c->kinds; i++)
        unit_count_range(&c->counts[i], offset, length);
    return c->model && c->model->written ? c->model->written(c, offset, length) : 0;
}

int conversion_slab(struct conversion *c, uint64_t offset, const uint8_t *bytes, size_t length)
{
    return conversion_wants_slabs(c) ? c->model->slab(c, offset, bytes, length) : 0;
}

int conversion_size(struct conversion *c, uint64_t *size, struct reason *why)
{
    uint64_t touched[TARGET_UNITS_MAX] = {0};
    struct target_size sizes = {0, 0};
    int error;

    for (size_t i = 0; i < c->kinds; i++)
        touched[i] = c->counts[i].touched;
    if (c->model)
        error = c->model->size(c, &sizes.required, why);
    else
        error = c->target->size(c->options, c->virtual_size, touched, &sizes, why);
    c->size = *size = sizes.required;
    return error;
}

uint64_t conversion_files(const struct conversion *c)
{
    return c->model && c->model->files ? c->model->files(c) : 1;
}

void conversion_file(const struct conversion *c, uint64_t number, struct conversion_file *file)
{
    if (c->model && c->model->file) {
        c->model->file(c, number, file);
        return;
    }
    snprintf(file->name, sizeof file->name, "%s", c->name);
    file->size = c->size;
}

void conversion_end(struct conversion *c)
{
    if (c->model && c->model->close && c->state)
        c->model->close(c);
    c->state = NULL;
}
