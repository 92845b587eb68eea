// SPDX-License-Identifier: Apache-2.0
/* Inodes: one text each, a new inode when the text changes, freed when the kernel forgets it.
 * AddressSanitizer reports those that are not freed. */
#include "fs/inodes.h"

#include <string.h>

#include "tests/support/support.h"

static struct inodes inodes;
static const struct node *file, *other;

static int begin(void **state)
{
    (void)state;
    file = node_by_path("format");
    other = node_by_path("virtual_size");
    inodes_begin(&inodes);
    return file && other ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    inodes_end(&inodes);
    return 0;
}

/* Looks the node up with that text. */
static struct inode *lookup(const struct node *node, int error, const char *text)
{
    struct result *result = text ? result_new(error, text, strlen(text), 0) : NULL;
    struct inode *inode = inodes_lookup(&inodes, &(struct place){.node = node}, false, result);

    assert_non_null(inode);
    assert_ptr_equal(inode->place.node, node);
    result_drop(result);
    return inode;
}

static void assert_text(const struct inode *inode, const char *text)
{
    assert_int_equal(inode->result->length, strlen(text));
    assert_memory_equal(inode->result->bytes, text, strlen(text));
}

static void test_root(void **state)
{
    (void)state;
    assert_ptr_equal(inodes.root.place.node, nodes);
    inodes_forget(&inodes, &inodes.root, UINT64_MAX);
    assert_ptr_equal(inodes.root.place.node, nodes);
}

static void test_same(void **state)
{
    struct inode *inode = lookup(file, 0, "raw\n");

    (void)state;
    assert_int_equal(inode->lookups, 1);
    assert_ptr_equal(lookup(file, 0, "raw\n"), inode);
    assert_int_equal(inode->lookups, 2);
    assert_ptr_not_equal(lookup(other, 0, "raw\n"), inode);
    inodes_forget(&inodes, inode, 1);
    assert_ptr_equal(lookup(file, 0, "raw\n"), inode);
    inodes_forget(&inodes, inode, 2);
    inode = lookup(file, 0, "raw\n");
    assert_int_equal(inode->lookups, 1);
}

/* Another text, error or length: a new inode; the old one keeps its text. */
static void test_changes(void **state)
{
    static const struct {
        int error;
        const char *text;
    } texts[] = {{0, "raw\n"}, {0, "vpc\n"}, {0, "vpc"}, {0, ""}, {-5, ""}, {0, ""}};
    struct inode *got[COUNT(texts)];

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        got[i] = lookup(file, texts[i].error, texts[i].text);
        for (size_t k = 0; k < i; k++) {
            assert_ptr_not_equal(got[k], got[i]);
            assert_int_not_equal(got[k]->generation, got[i]->generation);
            assert_text(got[k], texts[k].text);
        }
    }
    /* Forgetting old inodes leaves the current one. */
    for (size_t i = 0; i < COUNT(texts) - 1; i++)
        inodes_forget(&inodes, got[i], 1);
    assert_ptr_equal(lookup(file, 0, ""), got[COUNT(texts) - 1]);
}

/* An inode without a text gets it at a later lookup. Once it has one, a lookup without a text leads
 * to a new inode. */
static void test_computed_later(void **state)
{
    struct inode *inode = lookup(file, 0, NULL), *later;

    (void)state;
    assert_null(inode->result);
    assert_ptr_equal(lookup(file, 0, NULL), inode);
    assert_ptr_equal(lookup(file, 0, "raw\n"), inode);
    assert_text(inode, "raw\n");
    assert_int_equal(inode->lookups, 3);
    later = lookup(file, 0, NULL);
    assert_ptr_not_equal(later, inode);
    assert_null(later->result);
    assert_text(inode, "raw\n");
    inodes_forget(&inodes, inode, 3);
}

/* The kernel forgets more lookups than there were. */
static void test_forget_more(void **state)
{
    struct inode *inode = lookup(file, 0, "raw\n");
    uint64_t generation = inode->generation;

    (void)state;
    lookup(file, 0, "raw\n");
    inodes_forget(&inodes, inode, 0);
    assert_int_equal(inode->lookups, 2);
    inodes_forget(&inodes, inode, UINT64_MAX);
    inode = lookup(file, 0, "raw\n");
    assert_int_equal(inode->lookups, 1);
    assert_true(inode->generation > generation);
}

/* An open file's text outlives its inode. */
static void test_open_file(void **state)
{
    struct inode *inode = lookup(file, 0, "raw\n");
    struct result *open = result_hold(inode->result);

    (void)state;
    inodes_forget(&inodes, inode, 1);
    assert_memory_equal(open->bytes, "raw\n", 4);
    assert_int_equal(open->references, 1);
    result_drop(open);
}

/* Many places that differ in number and view: each is found again. */
static void test_places(void **state)
{
    const struct node *path = node_by_path("references/#/path");
    struct inode *got[3][500];

    (void)state;
    for (unsigned view = 0; view < 3; view++)
        for (uint32_t i = 0; i < 500; i++)
            got[view][i] = inodes_lookup(
                &inodes, &(struct place){.view = view, .number = i, .node = path}, false, NULL);
    for (unsigned view = 0; view < 3; view++)
        for (uint32_t i = 0; i < 500; i++) {
            const struct place place = {.view = view, .number = i, .node = path};

            assert_ptr_equal(inodes_lookup(&inodes, &place, false, NULL), got[view][i]);
            assert_int_equal(got[view][i]->place.view, view);
            assert_int_equal(got[view][i]->place.number, i);
            if (i % 2)
                inodes_forget(&inodes, got[view][i], 2);
        }
    assert_int_equal(
        inodes_lookup(&inodes, &(struct place){.view = 1, .number = 1, .node = path}, false, NULL)
            ->lookups,
        1);
    assert_int_equal(
        inodes_lookup(&inodes, &(struct place){.view = 1, .number = 2, .node = path}, false, NULL)
            ->lookups,
        3);
}

/* The same place below .now/ has an inode of its own. */
static void test_eager(void **state)
{
    const struct place place = {.node = node_by_path("format")};
    struct inode *lazy = inodes_lookup(&inodes, &place, false, NULL),
                 *eager = inodes_lookup(&inodes, &place, true, NULL);

    (void)state;
    assert_ptr_not_equal(lazy, eager);
    assert_false(lazy->is_eager);
    assert_true(eager->is_eager);
    assert_ptr_equal(inodes_lookup(&inodes, &place, true, NULL), eager);
    assert_ptr_equal(inodes_lookup(&inodes, &place, false, NULL), lazy);
    assert_int_not_equal(inode_number(&place, true), inode_number(&place, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_places, begin, end),
        cmocka_unit_test_setup_teardown(test_root, begin, end),
        cmocka_unit_test_setup_teardown(test_same, begin, end),
        cmocka_unit_test_setup_teardown(test_changes, begin, end),
        cmocka_unit_test_setup_teardown(test_computed_later, begin, end),
        cmocka_unit_test_setup_teardown(test_forget_more, begin, end),
        cmocka_unit_test_setup_teardown(test_open_file, begin, end),
        cmocka_unit_test_setup_teardown(test_eager, begin, end),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
