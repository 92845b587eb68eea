// SPDX-License-Identifier: Apache-2.0
/* Which files can be rendered from the findings, and with which options. */
#include "findings.h"

bool findings_yield(const struct findings *findings, const struct node *node)
{
    const struct option_set *set = findings->set;

    if (set)
        return node->parent == set->directory && node->target == set->target;
    return findings->yields & PASS_BIT(node->pass);
}

const struct target_options *findings_options(const struct findings *findings,
                                              const struct target *target)
{
    return findings->set ? &findings->set->options : &target->defaults;
}
