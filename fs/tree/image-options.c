// SPDX-License-Identifier: Apache-2.0
/* Options about images: those of formats, then those of the policy. */
#include "image-options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/image.h"

int image_options_take(struct image_options *options, const char *option, struct reason *why)
{
    int taken = open_options_take(&options->open, option, why);

    return taken ? taken : policy_take(&options->policy, option, why);
}

/* Copies the first option of a list to out, which has room for the whole list, and resolves
 * backslashes. Returns what follows its comma. */
static const char *next_option(const char *list, char *out)
{
    while (*list && *list != ',') {
        unsigned byte;

        if (sscanf(list, "\\%3o", &byte) == 1 && strspn(list + 1, "01234567") >= 3) {
            *out++ = (char)byte;
            list += 4;
            continue;
        }
        list += *list == '\\' && list[1];
        *out++ = *list++;
    }
    *out = '\0';
    return list + (*list == ',');
}

int image_options_take_list(struct image_options *options, const char *list, struct reason *why)
{
    char *option = malloc(strlen(list) + 1);
    int taken = option ? 1 : -ENOMEM;

    while (taken == 1 && *list) {
        list = next_option(list, option);
        taken = image_options_take(options, option, why);
        if (taken == 0)
            snprintf(why->words, sizeof why->words, "unknown option '%s'", option);
    }
    free(option);
    return taken;
}

void image_options_end(struct image_options *options)
{
    policy_end(&options->policy);
}

char *image_options_describe(const struct open_options *open, const struct policy *policy)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fputs("ro,", out);
    open_options_describe(open, out);
    policy_describe(policy, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
