// SPDX-License-Identifier: Apache-2.0
/*
 * Large blocks for the fuzzer of images, instead of those of calloc() and free() (-Wl,--wrap), as
 * AddressSanitizer maps and poisons each of them again, which took most of the time. A block ends
 * at an inaccessible page, apart from alignment. Free blocks are kept. Their memory is limited.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    PAGE = 4096,
    LARGE = 64 << 10, /* bytes; smaller blocks are the allocator's */
    ALIGNMENT = 16,   /* that of malloc() */
    BLOCKS_MAX = 64,
    BYTES_MAX = 64 << 20, /* in use at a time: the limit of a job */
};

/* Pages with a block at their end, and an inaccessible page. */
struct block {
    uint8_t *pages;
    size_t bytes;   /* of the accessible pages */
    uint8_t *begin; /* NULL: it is free */
};

static struct block blocks[BLOCKS_MAX];
static size_t used;

void *__real_calloc(size_t count, size_t size);
void __real_free(void *memory);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *memory);

/* A free block of that size, or a new one. */
static struct block *find(size_t bytes)
{
    struct block *b = blocks;

    while (b < blocks + BLOCKS_MAX && b->pages && (b->begin || b->bytes != bytes))
        b++;
    if (b == blocks + BLOCKS_MAX) /* no free block has this size: replace one */
        for (b = blocks; b < blocks + BLOCKS_MAX && b->begin; b++)
            ;
    if (b == blocks + BLOCKS_MAX)
        return NULL;
    if (b->bytes == bytes)
        return b;
    if (b->pages)
        munmap(b->pages, b->bytes + PAGE);
    b->bytes = bytes;
    b->pages = mmap(NULL, bytes + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->pages == MAP_FAILED || mprotect(b->pages + bytes, PAGE, PROT_NONE) < 0)
        abort();
    return b;
}

void *__wrap_calloc(size_t count, size_t size)
{
    struct block *b;
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes < LARGE)
        return __real_calloc(count, size);
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    b = find((bytes + PAGE - 1) / PAGE * PAGE);
    if (!b)
        return __real_calloc(count, size);
    b->begin = b->pages + b->bytes - bytes;
    used += b->bytes;
    if (used > BYTES_MAX) {
        fprintf(stderr, "%zu bytes of memory in use\n", used);
        abort();
    }
    return b->begin;
}

/* Zeroes the block, of which most is zero already. Not instrumented, as it is a hot loop. */
__attribute__((no_sanitize("address", "undefined", "coverage"))) static void clean(struct block *b)
{
    for (uint8_t *page = b->pages; page < b->pages + b->bytes; page += PAGE) {
        const uint64_t *words = (const uint64_t *)(void *)page;
        uint64_t any = 0;

        for (size_t i = 0; i < PAGE / sizeof *words; i++)
            any |= words[i];
        if (any)
            memset(page, 0, PAGE);
    }
}

void __wrap_free(void *memory)
{
    for (struct block *b = blocks; memory && b < blocks + BLOCKS_MAX && b->pages; b++)
        if (b->begin == memory) {
            clean(b);
            b->begin = NULL;
            used -= b->bytes;
            return;
        }
    __real_free(memory);
}
