// SPDX-License-Identifier: Apache-2.0
/* The table of passes. */
#include "passes.h"

#include "conversions.h"
#include "headers.h"
#include "measures.h"

enum {
    HEADER = PASS_BIT(PASS_HEADER),
    CONTENT = PASS_BIT(PASS_CONTENT),
    MEASURE = PASS_BIT(PASS_MEASURE),
    SCAN = PASS_BIT(PASS_SCAN),
    DATA = PASS_BIT(PASS_DATA),
};

const struct pass passes[PASSES] = {
    [PASS_HEADER] = {.name = "header",
                     .cpu_seconds = 60,
                     .shapes_listings = true,
                     .yields = HEADER,
                     .run = headers_run},
    [PASS_CONTENT] = {.name = "content",
                      .cpu_seconds = 60,
                      .needs = HEADER,
                      .yields = HEADER | CONTENT,
                      .run = content_run},
    [PASS_MEASURE] = {.name = "measure",
                      .cpu_seconds = 600,
                      .takes_slot = true,
                      .yields = MEASURE | SCAN, /* SCAN only if it skipped no extent */
                      .joins = SCAN,
                      .run = measures_run},
    [PASS_SCAN] = {.name = "scan",
                   .cpu_seconds = 600,
                   .takes_slot = true,
                   .yields = MEASURE | SCAN,
                   .with_options = PASS_MEASURE, /* options may allow it to skip extents */
                   .run = measures_run_all},
    [PASS_DATA] = {.name = "data",
                   .cpu_seconds = 6 * 3600, /* some terabytes of compressed data */
                   .takes_slot = true,
                   .yields = DATA,
                   .run = conversions_run},
};

bool pass_exists(uint32_t pass)
{
    return pass < PASSES && passes[pass].run;
}

/* A pass needs earlier rows only, so one loop from the last row to the first is enough. */
unsigned passes_needed(unsigned set_of_passes)
{
    for (unsigned pass = PASSES; pass-- > 0;)
        if (set_of_passes & PASS_BIT(pass))
            set_of_passes |= passes[pass].needs;
    return set_of_passes;
}

struct task place_task(const struct place *place)
{
    enum pass_id pass = place->node->pass;

    if (place->set && passes[pass].with_options)
        pass = passes[pass].with_options;
    return (struct task){place->view, pass, place->set};
}

bool task_is_same(const struct task *a, const struct task *b)
{
    return a->view == b->view && a->pass == b->pass && a->set == b->set;
}

bool task_may_yield(const struct task *task, const struct place *place)
{
    struct task own = place_task(place);

    if (task->set || own.set)
        return task->set == own.set && task->pass == own.pass;
    return passes[task->pass].yields & PASS_BIT(own.pass);
}

bool task_yields_headers(const struct task *task)
{
    return !task->set && passes[task->pass].yields & HEADER;
}

bool task_takes_slot(const struct task *task)
{
    return task->set || passes[task->pass].takes_slot;
}
