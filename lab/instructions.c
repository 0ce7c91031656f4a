/* A QEMU plugin that counts instructions by mark: see lab/instructions.py. Argument: mark=NUMBER, the system call that is the mark.

   Declares by itself what it uses of QEMU's plugin API, version 1 (QEMU 4.2 to 8.2; include/qemu/qemu-plugin.h), since Debian packages no
   header of it. One guest thread. At the end it prints, a line each: mark, instructions executed while it stood. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARKS 8

typedef uint64_t plugin_id;
typedef struct translated_block translated_block;

enum operation { ADD_U64 };

size_t qemu_plugin_tb_n_insns(const translated_block *block);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*then)(plugin_id, translated_block *));
void qemu_plugin_register_vcpu_tb_exec_inline(translated_block *block, enum operation add, void *to, uint64_t number);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id id, void (*then)(plugin_id, unsigned int, int64_t, uint64_t, uint64_t, uint64_t,
                                                                    uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));
void qemu_plugin_register_atexit_cb(plugin_id id, void (*then)(plugin_id, void *), void *data);

int qemu_plugin_version = 1;

static int64_t mark;
static uint64_t executed, before; /* since the start; when the mark that stands was set */
static uint64_t counted[MARKS];
static unsigned int standing;

static void translated(plugin_id id, translated_block *block)
{
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &executed, qemu_plugin_tb_n_insns(block));
}

static void system_call(plugin_id id, unsigned int cpu, int64_t number, uint64_t argument, uint64_t a2, uint64_t a3, uint64_t a4,
                        uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    if (number != mark)
        return;
    counted[standing] += executed - before;
    before = executed;
    standing = argument % MARKS;
}

static void end(plugin_id id, void *data)
{
    for (int i = 0; i < MARKS; i++)
        fprintf(stderr, "%d %" PRIu64 "\n", i, counted[i]);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    if (argc != 1 || strncmp(argv[0], "mark=", 5) != 0)
        return -1;
    mark = atoll(argv[0] + 5);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, system_call);
    qemu_plugin_register_atexit_cb(id, end, NULL);
    return 0;
}
