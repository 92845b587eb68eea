// SPDX-License-Identifier: Apache-2.0
/* The table of passes. */
#include "passes.h"

/* A bit per pass, for the sets of passes in the table. */
enum {
#define PASS(name, ...) name = PASS_BIT(PASS_##name),
#include "passes.def"
#undef PASS
};

#define PASS(name, function, ...) [PASS_##name] = {.run = (function), __VA_ARGS__},
/* clang-format off */
const struct pass passes[PASSES] = {
#include "passes.def"
};
/* clang-format on */
#undef PASS

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
